//! A server that lets nothing be moved, because the inbox is read-only or the archive over its quota, and a message on
//! which it fails whenever it is asked for: what can be read is read, the rest follows when the server allows it.

use std::path::PathBuf;

use super::connection::{ends_well, run};
use super::relay::{Fault, From, Relay, Wrong};
use super::site::{ANY_USER, Delivered, Site, letter, mixture};
use super::suite::{Suite, Tried, sample};
use crate::support::dovecot::Dovecot;

/// Access lists, quotas, and no MOVE: Dovecot moves within one quota, but does not copy beyond it.
const STRICT: &str = "mail_plugins = acl quota\nimap_capability = IMAP4rev1 UIDPLUS LITERAL+\nplugin {\n acl = vfile\n \
    quota = count:User quota\n quota_vsizes = yes\n quota_rule = *:storage=24K\n}\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    ReadOnly,
    OverQuota,
    /// The message at this position.
    Poison(usize),
}

/// A condition, and what else goes wrong in the first run.
type Point = (Condition, Option<Fault>);

fn points(bytes: usize) -> Vec<Point> {
    let mut conditions = vec![Condition::ReadOnly, Condition::OverQuota];
    conditions.extend((0..8).map(Condition::Poison));
    let mut points = Vec::new();
    for condition in conditions {
        points.push((condition, None));
        for wrong in [Wrong::Cut, Wrong::Kill] {
            let fault = |at| (condition, Some(Fault { wrong, from: From::Server, at }));
            points.extend((0..bytes).step_by(80).map(fault));
        }
    }
    points
}

/// Lets a condition begin; what ends it.
fn begin(server: &Dovecot, user: &str, condition: Condition) -> Box<dyn FnOnce()> {
    match condition {
        Condition::ReadOnly => {
            let list = server.maildir(user, "INBOX").join("dovecot-acl");
            std::fs::write(&list, "owner lr\n").unwrap();
            Box::new(move || std::fs::remove_file(list).unwrap())
        }
        Condition::OverQuota => {
            server.deliver(user, "Ballast", &[letter("ballast"), b"x".repeat(40_000)].concat());
            let ballast = server.maildir(user, "Ballast");
            Box::new(move || std::fs::remove_dir_all(ballast).unwrap())
        }
        Condition::Poison(at) => {
            let file = server.files(user, "INBOX").swap_remove(at);
            let poisoned = poison(&file);
            Box::new(move || heal(&poisoned, &file))
        }
    }
}

/// Dovecot believes the size in the name, and hangs up when the file is longer.
fn poison(file: &std::path::Path) -> PathBuf {
    let poisoned = file.with_file_name(format!("{},S=10,W=10", file.file_name().unwrap().to_str().unwrap()));
    std::fs::rename(file, &poisoned).unwrap();
    poisoned
}

/// Dovecot has moved it from `new` to `cur`.
fn heal(poisoned: &std::path::Path, file: &std::path::Path) {
    let name = poisoned.file_name().unwrap().to_str().unwrap();
    let cur = poisoned.parent().unwrap().parent().unwrap().join("cur");
    let lies = [poisoned.to_owned(), cur.join(format!("{name}:2,")), cur.join(format!("{name}:2,S"))];
    let there = lies.into_iter().find(|path| path.exists()).expect("nobody took the poisoned message away");
    std::fs::rename(&there, there.with_file_name(file.file_name().unwrap())).unwrap();
}

fn attempt(server: &Dovecot, number: usize, (condition, fault): &Point) -> Tried {
    let user = format!("s{number}");
    let relay = Relay::start(server.imap, *fault);
    let mut site = Site::imap(server, &user, relay.port, "batch_messages = 3\n");
    server.create_folder(&user, "Done");
    let mut messages = mixture("");
    if let Condition::Poison(at) = condition {
        // Without a twin: who keeps the twin knows what it holds.
        messages[*at] = Delivered::report("poisoned", 13);
    }
    site.deliver(messages);
    let end = begin(server, &user, *condition);
    let (status, told) = run(&site, &relay);
    if fault.is_some() && !relay.happened() {
        server.forget_user(&user);
        return Tried::NotReached;
    }
    let mut wrong = Vec::new();
    if !ends_well(status, fault.map_or(Wrong::Cut, |fault| fault.wrong)) {
        wrong.push(format!("status {status:?}: {told}"));
    }
    let poisoned = match condition {
        Condition::Poison(at) => Some(site.delivered.remove(*at)),
        _ => None,
    };
    site.stuck = poisoned.is_none();
    wrong.extend(site.check(fault.is_none() && site.stuck));
    // I4: a run that meets it defers it, and the next one has everything else. A run that was disturbed may not have met it.
    if fault.is_some() && poisoned.is_some() {
        site.run();
    }
    let second = site.run();
    let due = if poisoned.is_some() { 75 } else { 0 };
    if second.status != Some(due) || second.stderr.is_empty() {
        wrong.push(format!("the last run ended with {:?} instead of {due}: {}", second.status, second.stderr));
    }
    wrong.extend(site.check(true).into_iter().map(|violation| format!("in spite of {condition:?}: {violation}")));
    end();
    site.delivered.extend(poisoned);
    site.stuck = false;
    wrong.extend(site.recover());
    server.forget_user(&user);
    Tried::Reached(wrong)
}

#[test]
fn the_server_is_read_only_full_or_fails_on_a_message() {
    let test = "torture::conditions::the_server_is_read_only_full_or_fails_on_a_message";
    let mut suite = Suite::new("read-only, over quota, poison", test);
    let server = Dovecot::start_with(&format!("{ANY_USER}{STRICT}"));
    let points: Vec<(usize, Point)> = sample(points(2600), 24, 71).into_iter().enumerate().collect();
    let label = |(_, (condition, fault)): &(usize, Point)| match fault {
        None => format!("{condition:?}"),
        Some(Fault { wrong, at, .. }) => format!("{condition:?}, {wrong:?} at byte {at}"),
    };
    suite.each(12, &points, label, |(number, point)| attempt(&server, *number, point));
    suite.done(18, 300);
}
