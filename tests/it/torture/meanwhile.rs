//! What others do meanwhile: at any byte of a conversation, or between two runs, another client takes mail away, puts it
//! into the archive or back, or brings some; or the server gives the folder another UIDVALIDITY.

use std::sync::{Arc, Mutex};

use super::connection::{ends_well, run};
use super::relay::{Fault, From, Relay, Wrong};
use super::site::{ANY_USER, Delivered, Site, mixture, report_mail};
use super::suite::{Suite, Tried, sample};
use crate::support::dovecot::Dovecot;

/// What somebody else does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// Removes two messages.
    Expunge,
    /// Moves them to a folder that is nobody's business.
    MoveAway,
    /// Moves them to where the program would.
    MoveToArchive,
    /// Moves everything from there back into the inbox.
    MoveBack,
    /// Brings another report.
    Deliver,
    /// The folder gets another UIDVALIDITY.
    Forget,
}

const DEEDS: [Deed; 6] =
    [Deed::Expunge, Deed::MoveAway, Deed::MoveToArchive, Deed::MoveBack, Deed::Deliver, Deed::Forget];

/// Positions among all that is delivered of messages of the second [`mixture`] without a twin.
const TAKEN: [usize; 2] = [8 + 2, 8 + 7];

/// Does it. What was really taken is noted in `taken`, by UID.
fn act(server: &Dovecot, user: &str, deed: Deed, taken: &Mutex<Vec<usize>>) {
    let uids = TAKEN.map(|at| (at + 1).to_string()).join(",");
    let take = |commands: &[&str]| {
        let search = format!("UID SEARCH UID {uids}");
        let said = server.talk(user, &[&["SELECT INBOX", &search], commands].concat());
        let found = said.lines().filter_map(|line| line.strip_prefix("* SEARCH "));
        taken
            .lock()
            .unwrap()
            .extend(found.flat_map(str::split_whitespace).map(|uid| uid.parse::<usize>().unwrap() - 1));
    };
    match deed {
        Deed::Expunge => take(&[&format!("UID STORE {uids} +FLAGS.SILENT (\\Deleted)"), "EXPUNGE"]),
        Deed::MoveAway => take(&[&format!("UID MOVE {uids} Elsewhere")]),
        Deed::MoveToArchive => take(&[&format!("UID MOVE {uids} Done")]),
        Deed::MoveBack => drop(server.talk(user, &["SELECT Done", "UID MOVE 1:* INBOX"])),
        Deed::Deliver => server.deliver(user, "INBOX", &report_mail("late", 11)),
        Deed::Forget => server.forget_uids(user, "INBOX"),
    }
}

/// When it happens.
#[derive(Clone, Copy, Debug)]
enum When {
    /// Before this byte comes from the server.
    At(usize),
    /// After a run in which something else went wrong.
    After(Fault),
}

fn label((deed, when): &(Deed, When)) -> String {
    match when {
        When::At(at) => format!("{deed:?} at byte {at}"),
        When::After(Fault { wrong, at, .. }) => format!("{deed:?} after {wrong:?} at byte {at}"),
    }
}

/// A mailbox out of which a run has taken what it could, and to which more has come.
fn site<'a>(server: &'a Dovecot, user: &str, port: u16) -> Site<'a> {
    let mut site = Site::imap(server, user, port, "batch_messages = 2\n");
    for folder in ["Done", "Elsewhere"] {
        server.create_folder(user, folder);
    }
    site.deliver(mixture("one"));
    assert_eq!(site.recover(), [""; 0]);
    site.deliver(mixture("two"));
    site
}

#[test]
fn others_use_the_mailbox_at_every_byte() {
    let mut suite = Suite::new("others in the mailbox", "torture::meanwhile::others_use_the_mailbox_at_every_byte");
    let server = Arc::new(Dovecot::start_with(ANY_USER));
    let whole = Relay::start(server.imap, None);
    assert_eq!(site(&server, "clean", whole.port).recover(), [""; 0]);
    std::thread::sleep(std::time::Duration::from_millis(50));
    let (bytes, _) = whole.sent();
    let mut points = Vec::new();
    for deed in DEEDS {
        points.extend((0..bytes).step_by(24).map(|at| (deed, When::At(at))));
        for wrong in [Wrong::Cut, Wrong::Kill] {
            let after = |at| (deed, When::After(Fault { wrong, from: From::Server, at }));
            points.extend((0..bytes).step_by(96).map(after));
        }
    }
    let numbered: Vec<_> = sample(points, 40, 41).into_iter().enumerate().collect();
    suite.each(
        6,
        &numbered,
        |(_, point)| label(point),
        |(number, (deed, when))| {
            let user = format!("o{number}");
            let taken = Arc::new(Mutex::new(Vec::new()));
            let deed = *deed;
            let does = {
                // A relay that is still at work must not keep the server alive.
                let (server, user, taken) = (Arc::downgrade(&server), user.clone(), taken.clone());
                move || act(&server.upgrade().unwrap(), &user, deed, &taken)
            };
            let fault = match *when {
                When::At(at) => Fault { wrong: Wrong::Act, from: From::Server, at },
                When::After(fault) => fault,
            };
            let relay = Relay::start_with(server.imap, None, Some(Box::new(does.clone())));
            let mut site = site(&server, &user, relay.port);
            relay.arm(fault);
            if deed == Deed::Deliver {
                // It is known before it comes, but not yet there.
                site.delivered.push(Delivered::report("late", 11));
            }
            let (status, told) = run(&site, &relay);
            if !relay.happened() {
                server.forget_user(&user);
                return Tried::NotReached;
            }
            let mut wrong = Vec::new();
            if let When::After(_) = when {
                does();
            }
            let taken = taken.lock().unwrap().clone();
            site.taken_away = taken.iter().map(|at| site.delivered[*at].bytes.clone()).collect();
            // Whom the server throws out because the folder is another one now is told to come back.
            if !ends_well(status, fault.wrong) {
                wrong.push(format!("status {status:?}: {told}"));
            }
            wrong.extend(site.check(false));
            wrong.extend(site.recover());
            server.forget_user(&user);
            Tried::Reached(wrong)
        },
    );
    suite.done(30, 1000);
}
