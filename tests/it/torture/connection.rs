//! The connection, broken at every byte of a whole conversation: cut, stalled, a byte left out or doubled, or the program
//! killed when the byte is due.

use std::process::Stdio;

use super::relay::{Fault, From, Relay, Wrong};
use super::site::{ANY_USER, Delivered, Site, broken, letter};
use super::suite::{Suite, Tried, sample};
use crate::support::dovecot::Dovecot;
use crate::support::run::Ran;

const BATCHES: &str = "batch_messages = 2\n";
/// Short limits: every stalled point waits for them.
const LIMITS: &str = "connect_seconds = 2\nsilence_seconds = 1\ncommand_seconds = 2\nbatch_messages = 2\n";

/// A mailbox whose UIDs are of one, two and three digits on the way.
fn site<'a>(server: &'a Dovecot, user: &str, port: u16, wrong: Wrong) -> Site<'a> {
    let limits = if matches!(wrong, Wrong::Cut | Wrong::Kill) { BATCHES } else { LIMITS };
    let mut site = Site::imap(server, user, port, limits);
    server.next_uid(user, 98);
    site.deliver(vec![
        Delivered::report("a", 3),
        Delivered::nothing(letter("l")),
        Delivered::complaint("c"),
        Delivered::nothing(broken("x")),
        Delivered::report("b", 5),
    ]);
    site
}

pub fn run(site: &Site<'_>, relay: &Relay) -> (Option<i32>, String) {
    let child = site.command(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    relay.victim(child.id());
    let ran = Ran::from(child.wait_with_output().unwrap());
    (ran.status, ran.stderr)
}

/// Whether a run may end with `status`.
pub fn ends_well(status: Option<i32>, wrong: Wrong) -> bool {
    match (status, wrong) {
        (None, Wrong::Kill) | (Some(0 | 75), _) => true,
        // A byte more or less can make the server's words, or the program's, mean anything.
        (Some(76..=78), Wrong::Drop | Wrong::Double) => true,
        _ => false,
    }
}

#[test]
fn the_connection_breaks_at_every_byte() {
    let mut suite = Suite::new("bytes of a conversation", "torture::connection::the_connection_breaks_at_every_byte");
    let server = Dovecot::start_with(ANY_USER);
    let whole = Relay::start(server.imap, None);
    let clean = site(&server, "clean", whole.port, Wrong::Cut);
    assert_eq!(clean.recover(), [""; 0]);
    std::thread::sleep(std::time::Duration::from_millis(50));
    let (from_server, from_client) = whole.sent();
    assert!(from_server >= 2500, "a conversation of {from_server} bytes");
    let mut points = Vec::new();
    for wrong in [Wrong::Cut, Wrong::Stall, Wrong::Drop, Wrong::Double, Wrong::Kill] {
        points.extend((0..from_server).map(|at| Fault { wrong, from: From::Server, at }));
    }
    // What the program says is only cut short: a changed command could mean anything.
    for wrong in [Wrong::Cut, Wrong::Stall, Wrong::Kill] {
        points.extend((0..from_client).map(|at| Fault { wrong, from: From::Client, at }));
    }
    let points = sample(points, 150, 21);
    let label = |Fault { wrong, from, at }: &Fault| format!("{wrong:?} at byte {at} from the {from:?}");
    suite.each(24, &points, label, |fault| {
        let user = format!("{:?}{:?}{}", fault.wrong, fault.from, fault.at).to_lowercase();
        let relay = Relay::start(server.imap, Some(*fault));
        let site = site(&server, &user, relay.port, fault.wrong);
        let (status, told) = run(&site, &relay);
        if !relay.happened() {
            server.forget_user(&user);
            return Tried::NotReached;
        }
        let mut wrong = site.check(false);
        if !ends_well(status, fault.wrong) {
            wrong.push(format!("status {status:?}: {told}"));
        }
        if status != Some(0) && status.is_some() && told.lines().count() == 0 {
            wrong.push("nothing was said".into());
        }
        wrong.extend(site.recover());
        server.forget_user(&user);
        Tried::Reached(wrong)
    });
    suite.done(100, 12_500);
}
