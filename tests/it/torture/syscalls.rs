//! Every system call at which a run can be killed, or at which the system can refuse: one by one, once and for good, and
//! again during the recovery from the first.
//!
//! `strace` counts calls for each thread, so a point is the n-th call of a name in whatever thread comes to it first.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use super::site::{ANY_USER, Delivered, Mail, Site, mixture, report_mail};
use super::suite::{Random, Suite, Tried, full, sample, scale};
use crate::support::dovecot::Dovecot;

/// Calls that write, or prepare for it, or may be out of something.
const CALLS: [&str; 16] = [
    "pwrite64",
    "write",
    "fsync",
    "fdatasync",
    "ftruncate",
    "openat",
    "unlink",
    "fcntl",
    "flock",
    "mmap",
    "sendto",
    "recvfrom",
    "connect",
    "socket",
    "clone3",
    "rename",
];

/// What is done at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Kill,
    /// The call fails with this error; `true`: and so do all that follow.
    Error(&'static str, bool),
}

/// One point.
#[derive(Clone, Copy, Debug)]
struct Point {
    call: &'static str,
    number: usize,
    fault: Fault,
}

fn faults(call: &str) -> Vec<Fault> {
    let both = |errors: &[&'static str]| -> Vec<Fault> {
        let errors = errors.iter().flat_map(|error| [Fault::Error(error, false), Fault::Error(error, true)]);
        [Fault::Kill].into_iter().chain(errors).collect()
    };
    match call {
        "pwrite64" | "write" | "fsync" | "fdatasync" | "ftruncate" => both(&["ENOSPC", "EIO"]),
        "openat" => both(&["ENOSPC", "EIO", "EMFILE", "ENOMEM"]),
        "unlink" | "rename" => both(&["EIO", "ENOSPC"]),
        "mmap" => both(&["ENOMEM"]),
        "socket" => both(&["EMFILE", "ENOMEM"]),
        "clone3" => both(&["EAGAIN"]),
        "sendto" | "recvfrom" => both(&["ECONNRESET", "ENOMEM"]),
        "connect" => both(&["ECONNREFUSED", "ENETUNREACH"]),
        // A lock that cannot be had is no reason to go on without.
        "flock" => both(&["ENOLCK", "EIO"]),
        _ => both(&["EIO"]),
    }
}

impl Point {
    /// The words before the program's.
    fn wrapper(&self, log: &str) -> Vec<String> {
        let inject = match self.fault {
            Fault::Kill => format!("inject={}:signal=SIGKILL:when={}", self.call, self.number),
            Fault::Error(error, sticky) => {
                let plus = if sticky { "+" } else { "" };
                format!("inject={}:error={error}:when={}{plus}", self.call, self.number)
            }
        };
        let trace = format!("trace={}", self.call);
        ["strace", "-qq", "-f", "-o", log, "-e", &trace, "-e", &inject].map(str::to_owned).into()
    }
}

/// How often each call is made by one thread, in a run that nothing disturbs.
fn profile(site: &Site<'_>) -> BTreeMap<&'static str, usize> {
    let log = site.place.path("strace.log");
    let trace = format!("trace={}", CALLS.join(","));
    let wrapper = ["strace", "-qq", "-f", "-o", log.to_str().unwrap(), "-e", &trace].map(str::to_owned);
    let status = site.command(&wrapper).status().expect("strace runs: apt-get install strace");
    assert_eq!(status.code(), Some(site.clean_status()));
    let mut counts: BTreeMap<(String, &'static str), usize> = BTreeMap::new();
    for line in std::fs::read_to_string(&log).unwrap().lines() {
        let (thread, rest) = line.split_once(' ').unwrap_or_default();
        let rest = rest.trim_start();
        if let Some(call) =
            CALLS.iter().find(|call| rest.strip_prefix(**call).is_some_and(|rest| rest.starts_with('(')))
        {
            *counts.entry((thread.to_owned(), call)).or_default() += 1;
        }
    }
    let mut most = BTreeMap::new();
    for ((_, call), count) in counts {
        let known = most.entry(call).or_insert(0);
        *known = count.max(*known);
    }
    most
}

/// Every `step`-th point of a run.
fn points(profile: &BTreeMap<&'static str, usize>, step: usize) -> Vec<Point> {
    let mut points = Vec::new();
    for (call, count) in profile {
        for number in (1..=*count).step_by(step) {
            points.extend(faults(call).into_iter().map(|fault| Point { call, number, fault }));
        }
    }
    points
}

/// A run with a fault: whether the fault came to pass, and what is wrong with how the run ended.
fn disturbed(site: &Site<'_>, point: &Point) -> (bool, Vec<String>) {
    let log = site.place.path("strace.log");
    let _ = std::fs::remove_file(&log);
    let output = site.command(&point.wrapper(log.to_str().unwrap())).output().unwrap();
    let log = std::fs::read_to_string(&log).unwrap_or_default();
    let reached = log.contains("(INJECTED)") || log.contains("killed by SIGKILL");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut wrong = Vec::new();
    if !ends_well(output.status, point) {
        wrong.push(format!("status {}: {told}", output.status));
    }
    // Rust's runtime panics where a thread gets no stack for its signals.
    if told.contains("panicked") && !told.contains("failed to allocate an alternative stack") {
        wrong.push(format!("a panic: {told}"));
    }
    if reached && output.status.code() == Some(0) {
        // Whoever says 0 has done everything.
        wrong.extend(site.check(true).into_iter().map(|violation| format!("status 0, but {violation}")));
    }
    (reached, wrong)
}

/// Whether a disturbed run ends with a status that tells what to do.
fn ends_well(status: ExitStatus, point: &Point) -> bool {
    match (status.code(), point.fault) {
        (None, Fault::Kill) => status.signal() == Some(9),
        // Out of memory ends a program in the C library's loader or in Rust's runtime; nothing that was kept is lost by it.
        (None, Fault::Error("ENOMEM", _)) => matches!(status.signal(), Some(6 | 11)),
        (None, _) => false,
        // Done all the same; what could not be read waits; disk; temporary.
        (Some(0 | 65 | 74 | 75), _) => true,
        // A configuration that cannot be read.
        (Some(78), Fault::Error(..)) => point.call == "openat",
        // The program's loader finds no library.
        (Some(127), Fault::Error(..)) => matches!(point.call, "openat" | "mmap"),
        _ => false,
    }
}

/// A fault, and perhaps another one in the run that is to put things right.
#[derive(Clone, Copy)]
struct Pair {
    number: usize,
    first: Point,
    second: Option<Point>,
}

fn single(points: Vec<Point>) -> Vec<Pair> {
    points.into_iter().enumerate().map(|(number, first)| Pair { number, first, second: None }).collect()
}

/// `count` pairs of any of `points`.
fn pairs(points: &[Point], count: usize, seed: u64) -> Vec<Pair> {
    let mut random = Random::new(seed);
    let mut any = || points[random.below(points.len())];
    let pair = |number| {
        let (first, second) = (any(), any());
        // Less is left to be done in the second run: the late calls of a first one are not reached.
        let second = Point { number: 1 + second.number * 2 / 3, ..second };
        Pair { number, first, second: Some(second) }
    };
    (0..count).map(pair).collect()
}

fn label(pair: &Pair) -> String {
    let tell = |Point { call, number, fault }: Point| match fault {
        Fault::Kill => format!("kill at {call} {number}"),
        Fault::Error(error, false) => format!("{error} at {call} {number}"),
        Fault::Error(error, true) => format!("{error} from {call} {number} on"),
    };
    match pair.second {
        None => tell(pair.first),
        Some(second) => format!("{} and then {}", tell(pair.first), tell(second)),
    }
}

/// Tries all `pairs`, each on a place of its own made by `make`.
fn attempt<'a>(suite: &mut Suite, pairs: &[Pair], make: impl Fn(usize) -> Site<'a> + Sync) {
    suite.each(3, pairs, label, |Pair { number, first, second }| {
        let site = make(*number);
        let (mut reached, mut wrong) = disturbed(&site, first);
        if let Some(second) = second.as_ref().filter(|_| reached) {
            wrong.extend(site.check(false));
            let (again, more) = disturbed(&site, second);
            reached = again;
            wrong.extend(more);
        }
        if reached {
            wrong.extend(site.check(false));
            wrong.extend(site.recover());
        }
        if let Mail::Imap { server, user } = &site.mail {
            server.forget_user(user);
        }
        if reached || !wrong.is_empty() { Tried::Reached(wrong) } else { Tried::NotReached }
    });
}

fn many(count: u32) -> Vec<Delivered> {
    (1..=count).map(|number| Delivered::report(&format!("m{number}"), number)).collect()
}

fn some_files(_: usize) -> Site<'static> {
    let mut site = Site::files();
    site.deliver(mixture(""));
    site
}

fn a_mailbox(server: &Dovecot, number: usize) -> Site<'_> {
    let mut site = Site::imap(server, &format!("u{number}"), server.imap, "");
    site.deliver(mixture(""));
    site
}

#[test]
fn ingest_killed_or_refused_at_every_system_call() {
    let test = "torture::syscalls::ingest_killed_or_refused_at_every_system_call";
    let mut suite = Suite::new("system calls of ingest", test);
    let points = points(&profile(&some_files(0)), 1);
    attempt(&mut suite, &sample(single(points), 60, 11), some_files);
    suite.done(40, 1500);
}

#[test]
fn fetch_killed_or_refused_at_every_system_call() {
    let test = "torture::syscalls::fetch_killed_or_refused_at_every_system_call";
    let mut suite = Suite::new("system calls of fetch", test);
    let server = Dovecot::start_with(ANY_USER);
    let points = points(&profile(&a_mailbox(&server, 999_999)), 1);
    attempt(&mut suite, &sample(single(points), 60, 12), |number| a_mailbox(&server, number));
    suite.done(40, 1500);
}

#[test]
fn the_recovery_is_killed_or_refused_too() {
    let test = "torture::syscalls::the_recovery_is_killed_or_refused_too";
    let mut suite = Suite::new("system calls of the recovery", test);
    let server = Dovecot::start_with(ANY_USER);
    let count = scale(20, 1400);
    let of_files = points(&profile(&some_files(0)), 1);
    attempt(&mut suite, &pairs(&of_files, count, 14), some_files);
    let of_mail = points(&profile(&a_mailbox(&server, 999_999)), 1);
    attempt(&mut suite, &pairs(&of_mail, count, 15), |number| a_mailbox(&server, number));
    suite.done(15, 1200);
}

/// Several batches, each committed and moved before the next.
#[test]
fn several_commits_killed_or_refused() {
    let test = "torture::syscalls::several_commits_killed_or_refused";
    let mut suite = Suite::new("system calls of several commits", test);
    let make = |_| {
        let mut site = Site::files();
        site.deliver(many(1100));
        site
    };
    let mut points = points(&profile(&make(0)), if full() { 4 } else { 40 });
    points.retain(|point| matches!(point.call, "pwrite64" | "fsync" | "fdatasync" | "ftruncate" | "openat"));
    points.retain(|point| point.call != "openat" || point.number % 64 == 1);
    attempt(&mut suite, &sample(single(points), 10, 13), make);
    suite.done(8, 800);
}

#[test]
fn the_mail_of_the_points_is_small() {
    // Small mails keep the conversation short enough to break it at each of its bytes.
    assert!(report_mail("a", 3).len() < 700);
}
