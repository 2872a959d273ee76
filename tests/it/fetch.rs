//! `dmarcdb fetch` through the front door, against a real Dovecot: what it takes, what it leaves, and how it ends.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::dovecot::Dovecot;
use crate::support::run::{Place, mail};
use crate::support::script::{Reply, Script};

/// A place with a configuration of accounts on `server`.
struct Site {
    place: Place,
    server: Dovecot,
}

impl Site {
    fn new() -> Site {
        Site { place: Place::new(), server: Dovecot::start() }
    }

    /// Writes the configuration: each account is a user, its folders, and further lines.
    fn configure(&self, accounts: &[(&str, &[&str], &str)]) {
        let mut text = "own_domains = [\"example.com\"]\n".to_owned();
        for (user, folders, more) in accounts {
            self.place.write("password", format!("{user}-pw\n"));
            text.push_str(&format!(
                "[[account]]\nname = \"{user}\"\nhost = \"localhost\"\nport = {}\ntls = \"tls\"\nca_file = {:?}\n\
                 user = \"{user}\"\npassword_env = \"{}_PW\"\nfolders = {folders:?}\n{more}\n",
                self.server.imaps,
                self.server.ca_file(),
                user.to_uppercase(),
            ));
        }
        self.place.write("config.toml", text);
    }

    fn fetch(&self, more: &[&str]) -> crate::support::run::Ran {
        let config = self.place.path("config.toml");
        let mut arguments = vec!["--config", config.to_str().unwrap(), "fetch"];
        arguments.extend(more);
        let mut command = self.place.command(&arguments);
        command.env("ALICE_PW", "alice-pw").env("BOB_PW", "bob-pw");
        command.output().unwrap().into()
    }

    /// Delivers reports `from` to `to`, report `n` with `n` messages.
    fn deliver(&self, user: &str, folder: &str, from: u32, to: u32) {
        for number in from..=to {
            let message = mail(&format!("{user}-{number}"), number);
            self.server.deliver(user, folder, message.as_bytes());
        }
    }

    /// Reports in the database and the sum of their messages.
    fn kept(&self) -> (i64, i64) {
        self.place
            .database()
            .query_row("SELECT count(*), coalesce(sum(messages), 0) FROM v_report", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap()
    }

    /// Flags of a folder's messages, with their counts.
    fn flags(&self, user: &str, folder: &str) -> BTreeMap<String, usize> {
        let mut flags = BTreeMap::new();
        for stored in self.server.stored(user, folder) {
            *flags.entry(stored.flags).or_default() += 1;
        }
        flags
    }
}

fn sum(to: i64) -> i64 {
    to * (to + 1) / 2
}

#[test]
fn two_accounts_with_nested_folders_are_read_once_and_left_untouched() {
    let site = Site::new();
    site.server.create_folder("alice", "Reports/DMARC");
    site.deliver("alice", "INBOX", 1, 10);
    site.deliver("alice", "Reports/DMARC", 11, 20);
    site.deliver("bob", "INBOX", 1, 5);
    site.configure(&[("alice", &["INBOX", "Reports/DMARC"], ""), ("bob", &["INBOX"], "")]);
    let first = site.fetch(&["--format", "json"]).expect(0);
    assert_eq!(first.stderr, "", "quiet when all is well");
    let first = first.json();
    assert_eq!((&first["messages"], &first["stored"]), (&25.into(), &25.into()));
    assert_eq!(site.kept(), (25, sum(20) + sum(5)));
    let second = site.fetch(&["--format", "json"]).expect(0).json();
    assert_eq!(second["messages"], 0, "nothing new to take");
    assert_eq!(site.flags("alice", "INBOX"), BTreeMap::from([(String::new(), 10)]));
    assert_eq!(site.flags("alice", "Reports/DMARC"), BTreeMap::from([(String::new(), 10)]));
    site.deliver("bob", "INBOX", 6, 6);
    let only = site.fetch(&["--account", "alice", "--format", "json"]).expect(0).json();
    assert_eq!(only["messages"], 0);
    let third = site.fetch(&["--format", "json"]).expect(0).json();
    assert_eq!(third["stored"], 1);
    assert_eq!(site.kept(), (26, sum(20) + sum(6)));
}

#[test]
fn two_thousand_messages_and_a_second_run_that_stores_nothing() {
    let site = Site::new();
    site.deliver("alice", "INBOX", 1, 2000);
    site.configure(&[("alice", &["INBOX"], "")]);
    let first = site.fetch(&["--format", "json"]).expect(0).json();
    assert_eq!((&first["messages"], &first["stored"]), (&2000.into(), &2000.into()));
    assert_eq!(site.kept(), (2000, sum(2000)));
    let second = site.fetch(&["--format", "json"]).expect(0).json();
    assert_eq!((&second["messages"], &second["stored"]), (&0.into(), &0.into()));
    assert_eq!(site.kept(), (2000, sum(2000)));
    assert_eq!(site.flags("alice", "INBOX"), BTreeMap::from([(String::new(), 2000)]));
}

#[test]
fn a_new_uidvalidity_makes_duplicates_and_no_new_rows() {
    let site = Site::new();
    site.deliver("alice", "INBOX", 1, 20);
    site.configure(&[("alice", &["INBOX"], "")]);
    site.fetch(&[]).expect(0);
    site.server.forget_uids("alice", "INBOX");
    let again = site.fetch(&["--format", "json"]).expect(0).json();
    assert_eq!((&again["messages"], &again["duplicate"]), (&20.into(), &20.into()));
    assert_eq!(site.kept(), (20, sum(20)));
    let validities: i64 = site
        .place
        .database()
        .query_row("SELECT count(DISTINCT uid_validity) FROM mailbox", [], |row| row.get(0))
        .unwrap();
    assert_eq!(validities, 2);
}

#[test]
fn after_says_what_happens_to_what_is_kept_and_the_rest_stays() {
    let letter = b"From: friend@example.org\r\nSubject: lunch?\r\n\r\nNoon?\r\n";
    let broken = mail("broken", 1)[..700].to_owned();
    for (after, inbox, target) in [
        ("after = \"seen\"", BTreeMap::from([("S".to_owned(), 6), (String::new(), 2)]), None),
        ("after = \"move:Done/DMARC\"", BTreeMap::from([(String::new(), 2)]), Some(6)),
        ("after = \"delete\"", BTreeMap::from([(String::new(), 2)]), None),
    ] {
        let site = Site::new();
        site.deliver("alice", "INBOX", 1, 5);
        site.server.deliver("alice", "INBOX", letter);
        site.server.deliver("alice", "INBOX", broken.as_bytes());
        // The same report in other bytes: a duplicate, and as such no longer needed.
        site.server.deliver("alice", "INBOX", format!("X-Copy: 1\r\n{}", mail("alice-1", 1)).as_bytes());
        site.configure(&[("alice", &["INBOX"], after)]);
        let done = site.fetch(&["--format", "json"]).expect(0).json();
        assert_eq!(
            [&done["stored"], &done["duplicate"], &done["not_a_report"], &done["problems"]].map(|count| count.as_u64()),
            [Some(5), Some(1), Some(1), Some(1)],
            "{after}"
        );
        assert_eq!(site.flags("alice", "INBOX"), inbox, "{after}");
        if let Some(moved) = target {
            assert_eq!(site.server.stored("alice", "Done/DMARC").len(), moved, "{after}");
        }
        let unsettled: i64 = site
            .place
            .database()
            .query_row("SELECT count(*) FROM place WHERE settled = 0", [], |row| row.get(0))
            .unwrap();
        assert_eq!(unsettled, 0, "{after}");
        let again = site.fetch(&["--format", "json"]).expect(0).json();
        assert_eq!(again["messages"], 0, "{after}");
        site.fetch(&["--strict"]).expect(0);
    }
}

#[test]
fn problems_decide_the_status_only_with_strict() {
    let site = Site::new();
    site.server.deliver("alice", "INBOX", &mail("broken", 1).as_bytes()[..700]);
    site.configure(&[("alice", &["INBOX"], "")]);
    let quiet = site.fetch(&[]).expect(0);
    assert_eq!(quiet.stderr, "");
    site.server.deliver("alice", "INBOX", &mail("broken-too", 1).as_bytes()[..700]);
    site.fetch(&["--strict"]).expect(65);
}

#[test]
fn a_dry_run_takes_nothing_and_changes_nothing() {
    let site = Site::new();
    site.deliver("alice", "INBOX", 1, 5);
    site.configure(&[("alice", &["INBOX"], "after = \"delete\"")]);
    let dry = site.fetch(&["--dry-run", "--format", "json"]).expect(0).json();
    assert_eq!(dry["stored"], 5);
    assert_eq!(site.kept(), (0, 0));
    assert_eq!(site.server.stored("alice", "INBOX").len(), 5);
    site.fetch(&[]).expect(0);
    assert_eq!(site.kept().0, 5);
}

#[test]
fn one_account_that_fails_does_not_keep_the_other_from_being_read() {
    let site = Site::new();
    site.deliver("bob", "INBOX", 1, 3);
    site.configure(&[("alice", &["No such folder"], ""), ("bob", &["INBOX"], "")]);
    let failed = site.fetch(&[]).expect(78);
    assert!(failed.stderr.contains("No such folder"), "{}", failed.stderr);
    assert_eq!(site.kept().0, 3);
    let config = std::fs::read_to_string(site.place.path("config.toml")).unwrap();
    site.place.write("config.toml", config.replace("ALICE_PW", "BOB_PW").replace("No such folder", "INBOX"));
    let refused = site.fetch(&[]).expect(77);
    assert!(refused.stderr.contains("alice"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("bob-pw"), "a password in the error");
    let unknown = site.fetch(&["--account", "carol"]).expect(2);
    assert!(unknown.stderr.contains("carol"), "{}", unknown.stderr);
}

#[test]
fn a_server_that_is_not_there_is_temporary() {
    let mut site = Site::new();
    site.configure(&[("alice", &["INBOX"], "")]);
    site.server.kill();
    let failed = site.fetch(&[]).expect(75);
    assert_eq!(failed.stderr.lines().count(), 1, "{}", failed.stderr);
}

#[test]
fn two_runs_at_once_keep_everything_once() {
    let site = Site::new();
    site.deliver("alice", "INBOX", 1, 300);
    site.configure(&[("alice", &["INBOX"], "")]);
    for _ in 0..3 {
        let statuses: Vec<Option<i32>> = std::thread::scope(|scope| {
            let runs: Vec<_> = (0..3).map(|_| scope.spawn(|| site.fetch(&[]).status)).collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        assert!(statuses.contains(&Some(0)), "{statuses:?}");
        assert!(statuses.iter().all(|status| matches!(status, Some(0 | 75))), "{statuses:?}");
    }
    assert_eq!(site.kept(), (300, sum(300)));
}

#[test]
fn a_run_that_is_killed_loses_and_doubles_nothing() {
    let site = Site::new();
    site.deliver("alice", "INBOX", 1, 400);
    site.configure(&[("alice", &["INBOX"], "after = \"move:Done\"")]);
    let config = site.place.path("config.toml");
    for milliseconds in [5, 15, 30, 60, 90, 120, 160, 200] {
        let mut child = site
            .place
            .command(&["--config", config.to_str().unwrap(), "fetch"])
            .env("ALICE_PW", "alice-pw")
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        let _ = child.kill();
        child.wait().unwrap();
    }
    site.fetch(&[]).expect(0);
    assert_eq!(site.kept(), (400, sum(400)));
    assert_eq!(site.server.stored("alice", "INBOX").len(), 0);
    // A busy Dovecot may still be at work on a MOVE of a client that is gone when the next asks for the same, and then copies
    // twice. That is more than was asked for, and never less.
    let done: std::collections::BTreeSet<Vec<u8>> =
        site.server.stored("alice", "Done").into_iter().map(|stored| stored.bytes).collect();
    assert_eq!(done.len(), 400);
}

#[test]
fn a_signal_ends_the_run_after_the_batch_and_the_next_goes_on() {
    let site = Site::new();
    site.deliver("alice", "INBOX", 1, 1500);
    site.configure(&[("alice", &["INBOX"], "batch_messages = 20")]);
    let config = site.place.path("config.toml");
    let mut child = site
        .place
        .command(&["--config", config.to_str().unwrap(), "fetch"])
        .env("ALICE_PW", "alice-pw")
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // The run is well under way when its first batch is kept.
    let begun = || {
        let path = site.place.path("db.sqlite");
        let open = rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
        open.query_row("SELECT count(*) FROM message", [], |row| row.get::<_, i64>(0)).ok().filter(|count| *count > 0)
    };
    for _ in 0..3000 {
        if begun().is_some() || child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    if child.try_wait().unwrap().is_none() {
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    // A machine that is fast enough is done before the signal comes.
    if output.status.code() != Some(0) {
        assert_eq!(output.status.code(), Some(75), "{told}");
        assert!(told.contains("stopped by a signal"), "{told}");
    }
    site.fetch(&[]).expect(0);
    assert_eq!(site.kept(), (1500, sum(1500)));
}

/// Signals a running `fetch` against a server that falls silent in a message; how it ended, and after how long.
fn signalled(signals: u32) -> (Option<i32>, String, Duration) {
    let place = Place::new();
    let script = Script::start(|verb, command, _| match verb {
        "FETCH" if command.contains("BODY") => Reply::SayAndHang(b"* 1 FETCH (UID 1 BODY[] {1000}\r\nxxxx".to_vec()),
        _ => Reply::Usual,
    });
    let config = place.write(
        "config.toml",
        format!(
            "[[account]]\nname = \"a\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nuser = \"u\"\n\
             password_env = \"PW\"\n",
            script.port
        ),
    );
    let mut command = place.command(&["--config", config.to_str().unwrap(), "fetch"]);
    let child = command.env("PW", "pw").stderr(Stdio::piped()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while !script.commands().iter().any(|line| line.contains("BODY")) {
        assert!(Instant::now() < until, "{:?}", script.commands());
        sleep(Duration::from_millis(10));
    }
    let signalled = Instant::now();
    for _ in 0..signals {
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
        sleep(Duration::from_millis(100));
    }
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap(), signalled.elapsed())
}

#[test]
fn a_signal_ends_the_run_although_the_server_is_silent() {
    let (status, told, took) = signalled(1);
    assert_eq!(status, Some(75), "{told}");
    assert!(told.contains("stopped by a signal") && told.lines().count() == 1, "{told}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let (status, told, took) = signalled(2);
    assert_eq!(status, Some(75), "{told}");
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn a_backlog_beyond_the_bounds_of_a_run_is_drained_by_several() {
    let site = Site::new();
    site.deliver("alice", "INBOX", 1, 20);
    site.server.create_folder("alice", "More");
    site.deliver("alice", "More", 21, 25);
    let folders: &[&str] = &["INBOX", "More"];
    site.configure(&[("alice", folders, "run_messages = 10\nafter = \"move:Done\"")]);
    for (left, stored) in [("15 more are waiting", 10), ("5 more are waiting", 20)] {
        let ran = site.fetch(&[]).expect(75);
        assert!(ran.stderr.contains(left), "{}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        assert_eq!(site.kept(), (stored, sum(stored)));
        assert_eq!(site.server.stored("alice", "Done").len() as i64, stored, "what was taken is settled");
    }
    assert_eq!(site.fetch(&[]).expect(0).stderr, "");
    assert_eq!(site.kept(), (25, sum(25)));
    site.deliver("alice", "INBOX", 26, 36);
    site.configure(&[("alice", folders, "run_bytes = 1")]);
    let ran = site.fetch(&[]).expect(75);
    assert!(ran.stderr.contains("10 more are waiting"), "{}", ran.stderr);
    site.configure(&[("alice", folders, "run_messages = 9")]);
    let ran = site.fetch(&[]).expect(75);
    assert!(ran.stderr.contains("1 more is waiting"), "{}", ran.stderr);
    site.configure(&[("alice", folders, "run_messages = 0\nrun_bytes = 0")]);
    site.fetch(&[]).expect(0);
    assert_eq!(site.kept(), (36, sum(36)));
}

/// A complaint about mail of example.com, from somebody.
fn complaint(id: u32) -> String {
    format!(
        "From: somebody@fbl.example\r\nTo: fbl@example.com\r\nSubject: complaint\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n--b\r\n\
         Content-Type: text/plain\r\n\r\nComplaint\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\n\
         Feedback-Type: abuse\r\nUser-Agent: test/1\r\nVersion: 1\r\nOriginal-Rcpt-To: user{id}@isp.example\r\n\
         Source-IP: 192.0.2.1\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: news@example.com\r\n\
         To: user{id}@isp.example\r\nMessage-ID: <{id}@example.com>\r\nSubject: news\r\n\r\nNews\r\n--b--\r\n"
    )
}

#[test]
fn complaints_are_believed_where_only_feedback_loops_write_to() {
    let trusted = |more: &str| -> Vec<(String, bool)> {
        let site = Site::new();
        site.server.deliver("alice", "INBOX", complaint(1).as_bytes());
        site.server.deliver("alice", "Loop", complaint(2).as_bytes());
        let folders: &[&str] = if more.contains("feedback_folders") { &["INBOX"] } else { &["INBOX", "Loop"] };
        site.configure(&[("alice", folders, more)]);
        site.fetch(&[]).expect(0);
        let database = site.place.database();
        let mut select = database.prepare("SELECT recipient, trusted FROM v_complaint ORDER BY 1").unwrap();
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let expected =
        |inbox, other| vec![("user1@isp.example".to_owned(), inbox), ("user2@isp.example".to_owned(), other)];
    assert_eq!(trusted(""), expected(false, false));
    assert_eq!(trusted("feedback = true"), expected(true, true));
    assert_eq!(trusted("feedback_folders = [\"Loop\"]"), expected(false, true));
}

#[test]
fn a_target_that_cannot_be_had_leaves_what_is_kept_where_it_is() {
    let site = Site::new();
    site.deliver("alice", "INBOX", 1, 3);
    // A folder name that Dovecot refuses.
    site.configure(&[("alice", &["INBOX"], "after = \"move:a//b\"")]);
    for _ in 0..2 {
        let ran = site.fetch(&[]).expect(0);
        assert!(
            ran.stderr.contains("what is kept stays where it is") && ran.stderr.lines().count() == 1,
            "{}",
            ran.stderr
        );
    }
    assert_eq!((site.kept(), site.server.stored("alice", "INBOX").len()), ((3, 6), 3));
    site.fetch(&["--strict"]).expect(65);
    site.configure(&[("alice", &["INBOX"], "after = \"move:Done\"")]);
    assert_eq!(site.fetch(&[]).expect(0).stderr, "");
    assert_eq!((site.kept(), site.server.stored("alice", "Done").len()), ((3, 6), 3));
}
