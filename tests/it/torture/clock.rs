//! A clock that is ten years off, at the beginning of time or past 2038, or that jumps in the middle of a run: nothing that
//! is kept depends on it.

use std::path::PathBuf;
use std::process::Stdio;

use super::relay::{Fault, From, Relay, Wrong};
use super::site::{ANY_USER, Mail, Site, mixture};
use super::suite::{Suite, Tried, sample};
use crate::support::dovecot::Dovecot;
use crate::support::run::Ran;

/// What the clock says, in the words of libfaketime.
const CLOCKS: [&str; 7] =
    ["+0", "-10y", "+10y", "@1970-01-02 00:00:00", "@2038-01-19 03:14:00", "@2100-01-01 00:00:00", "-1d"];

/// The library that lies about the time.
fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let mut libraries = folders.map(|folder| folder.join("faketime/libfaketime.so.1"));
    libraries.find(|path| path.is_file()).expect("libfaketime is there: apt-get install libfaketime")
}

/// A run under the clock that the file `clock` of the place tells, which may change on the way.
fn run(site: &Site<'_>) -> Ran {
    let mut command = site.command(&[]);
    command.env("LD_PRELOAD", library()).env("FAKETIME_TIMESTAMP_FILE", site.place.path("clock"));
    // Waiting and the limits on it go by the clock that only runs forward, which nobody sets.
    command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.output().unwrap().into()
}

fn set(site: &Site<'_>, clock: &str) {
    set_at(&site.place.path("clock"), clock);
}

fn set_at(path: &std::path::Path, clock: &str) {
    // In one step: the program may read it at any time.
    let new = path.with_extension("new");
    std::fs::write(&new, format!("{clock}\n")).unwrap();
    std::fs::rename(new, path).unwrap();
}

#[derive(Clone, Debug)]
struct Point {
    first: &'static str,
    second: &'static str,
    /// From files, from a mailbox between two runs, or at this byte of the second run's conversation.
    at: At,
}

#[derive(Clone, Copy, Debug)]
enum At {
    Files,
    Between,
    Byte(usize),
}

fn points() -> Vec<Point> {
    let mut points = Vec::new();
    for first in CLOCKS {
        for second in CLOCKS.into_iter().filter(|second| *second != first) {
            let ats = [At::Files, At::Between].into_iter().chain((200..2600).step_by(600).map(At::Byte));
            points.extend(ats.map(|at| Point { first, second, at }));
        }
    }
    points
}

fn attempt(server: &Dovecot, number: usize, point: &Point) -> Tried {
    let user = format!("c{number}");
    let clock = std::sync::Arc::new(std::sync::OnceLock::<PathBuf>::new());
    let jump = {
        let (clock, second) = (clock.clone(), point.second);
        move || set_at(clock.get().unwrap(), second)
    };
    let relay = Relay::start_with(server.imap, None, Some(Box::new(jump)));
    let mut site = match point.at {
        At::Files => Site::files(),
        _ => Site::imap(server, &user, relay.port, ""),
    };
    clock.set(site.place.path("clock")).unwrap();
    set(&site, point.first);
    let mut wrong = Vec::new();
    for (tag, is_second) in [("one", false), ("two", true)] {
        site.deliver(mixture(tag));
        match point.at {
            At::Byte(at) if is_second => relay.arm(Fault { wrong: Wrong::Act, from: From::Server, at }),
            _ if is_second => set(&site, point.second),
            _ => {}
        }
        let ran = run(&site);
        if ran.status != Some(site.clean_status()) {
            wrong.push(format!("the run ended with {:?}: {}", ran.status, ran.stderr));
        }
        wrong.extend(site.check(true));
    }
    wrong.extend(site.recover());
    if let Mail::Imap { server, user } = &site.mail {
        server.forget_user(user);
    }
    Tried::Reached(wrong)
}

#[test]
fn the_clock_is_years_off_or_jumps() {
    let mut suite = Suite::new("clocks", "torture::clock::the_clock_is_years_off_or_jumps");
    let server = Dovecot::start_with(ANY_USER);
    let points: Vec<(usize, Point)> = sample(points(), 16, 61).into_iter().enumerate().collect();
    let label = |(_, Point { first, second, at }): &(usize, Point)| format!("{first} then {second}, {at:?}");
    suite.each(3, &points, label, |(number, point)| attempt(&server, *number, point));
    suite.done(16, 250);
}

#[test]
fn the_clock_of_the_program_is_another_one() {
    let site = Site::files();
    set(&site, "@2100-01-01 00:00:00");
    site.place.write("mail/x.xml", crate::support::run::report("x", 1));
    assert_eq!(run(&site).status, Some(0));
    let seen: i64 =
        site.place.database().query_row("SELECT max(seen_at) FROM v_message", [], |row| row.get(0)).unwrap();
    assert!((4_102_444_800..4_102_444_900).contains(&seen), "{seen}");
}
