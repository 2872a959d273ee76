//! The IMAP source against a real server.

use std::time::{Duration, Instant, SystemTime};

use dmarcdb::source::imap::Tls;
use dmarcdb::source::imap::{Account, After, Auth, Bounds, ImapSource, Known, Resume, Secret, Timeouts};
use dmarcdb::source::{Error, ErrorKind, Fate, Mailbox, Origin, Refused, Source, Stop, Taken};

use crate::support::dovecot::Dovecot;
use crate::support::proxy;

/// Alice's INBOX over plain text, as small tests need it.
fn account(server: &Dovecot) -> Account {
    Account {
        name: "test".into(),
        host: "127.0.0.1".into(),
        port: server.imap,
        tls: Tls::None,
        ca_file: None,
        user: "alice".into(),
        auth: Auth::Password,
        password: Secret::new("alice-pw".into()),
        folders: vec!["INBOX".into()],
        after: After::Keep,
        timeouts: Timeouts { silence: Duration::from_secs(10), ..Timeouts::default() },
        bounds: Bounds::default(),
        stop: Stop::default(),
    }
}

fn mail(number: usize) -> Vec<u8> {
    format!("From: a@example.com\r\nSubject: report {number}\r\n\r\nbody {number}\r\n").into_bytes()
}

/// A server with `count` messages in Alice's INBOX.
fn with_mail(count: usize) -> Dovecot {
    let server = Dovecot::start();
    for number in 1..=count {
        server.deliver("alice", "INBOX", &mail(number));
    }
    server
}

/// What a whole run brought: messages in order, what was refused, and how it ended.
#[derive(Debug)]
struct Run {
    messages: Vec<(Origin, Vec<u8>)>,
    refused: Vec<(Origin, Refused)>,
    end: Result<(), Error>,
}

fn run(source: &mut ImapSource) -> Run {
    let mut run = Run { messages: Vec::new(), refused: Vec::new(), end: Ok(()) };
    loop {
        match source.next() {
            Ok(Some(Taken::Message(message))) => run.messages.push((message.origin, message.bytes)),
            Ok(Some(Taken::Refused { origin, refusal, .. })) => run.refused.push((origin, refusal)),
            Ok(None) => return run,
            Err(error) => {
                run.end = Err(error);
                return run;
            }
        }
    }
}

fn take(account: Account, resume: Resume) -> Run {
    run(&mut ImapSource::connect(account, resume).expect("a connection"))
}

impl Run {
    fn bodies(&self) -> Vec<Vec<u8>> {
        self.messages.iter().map(|(_, bytes)| bytes.clone()).collect()
    }

    /// What a store would hand to the next run.
    fn resume(&self) -> Resume {
        let mut mailboxes: Vec<Known> = Vec::new();
        let refused = self.refused.iter().map(|(origin, _)| origin);
        for origin in self.messages.iter().map(|(origin, _)| origin).chain(refused) {
            let (mailbox, uid) = place(origin);
            match mailboxes.iter_mut().find(|known| known.mailbox == *mailbox) {
                Some(known) => known.cursor_uid = known.cursor_uid.max(uid),
                None => mailboxes.push(known(mailbox, uid)),
            }
        }
        for (origin, refusal) in &self.refused {
            let (mailbox, uid) = place(origin);
            if matches!(refusal, Refused::Interrupted(_)) {
                let known = mailboxes.iter_mut().find(|known| known.mailbox == *mailbox);
                known.expect("its folder").retry.push(uid);
            }
        }
        Resume { mailboxes }
    }

    fn kept(&self) -> Vec<(Origin, Fate)> {
        self.messages.iter().map(|(origin, _)| (origin.clone(), Fate::Kept)).collect()
    }

    fn uids(&self) -> Vec<u32> {
        self.messages.iter().map(|(origin, _)| place(origin).1).collect()
    }
}

fn known(mailbox: &Mailbox, cursor_uid: u32) -> Known {
    Known { mailbox: mailbox.clone(), cursor_uid, retry: Vec::new(), unsettled: Vec::new() }
}

fn place(origin: &Origin) -> (&Mailbox, u32) {
    match origin {
        Origin::Imap { mailbox, uid } => (mailbox, *uid),
        other => panic!("not from IMAP: {other}"),
    }
}

fn mails(numbers: impl IntoIterator<Item = usize>) -> Vec<Vec<u8>> {
    numbers.into_iter().map(mail).collect()
}

/// The error of a connection that must not succeed.
fn refusal(account: Account) -> Error {
    match ImapSource::connect(account, Resume::default()) {
        Ok(_) => panic!("connected"),
        Err(error) => error,
    }
}

#[test]
fn takes_everything_once_over_tls_and_changes_nothing() {
    let server = with_mail(250);
    let received = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    server.deliver_at("alice", "INBOX", &mail(251), received);
    let account = || Account {
        host: "localhost".into(),
        port: server.imaps,
        tls: Tls::Implicit,
        ca_file: Some(server.ca_file()),
        ..account(&server)
    };
    let mut source = ImapSource::connect(account(), Resume::default()).unwrap();
    let mut last = None;
    let mut bodies = Vec::new();
    while let Some(taken) = source.next().unwrap() {
        let Taken::Message(message) = taken else { panic!("{taken:?}") };
        bodies.push(message.bytes);
        last = message.received_at;
    }
    assert_eq!(bodies, mails(1..=251));
    assert_eq!(last, Some(1_767_225_600));
    assert!(source.next().unwrap().is_none(), "the end stays the end");

    let first = take(account(), Resume::default());
    assert_eq!(first.uids(), (1..=251).collect::<Vec<_>>());
    source.settle(&first.kept()).unwrap();
    drop(source);
    let again = take(account(), first.resume());
    assert!(again.messages.is_empty() && again.end.is_ok(), "{again:?}");

    server.deliver("alice", "INBOX", &mail(252));
    assert_eq!(take(account(), first.resume()).bodies(), mails([252]));
    assert!(server.stored("alice", "INBOX").iter().all(|stored| stored.flags.is_empty()));
}

#[test]
fn starttls_protects_the_login() {
    let server = with_mail(3);
    let account =
        Account { host: "localhost".into(), tls: Tls::StartTls, ca_file: Some(server.ca_file()), ..account(&server) };
    assert_eq!(take(account, Resume::default()).bodies(), mails(1..=3));
    assert!(server.log().contains("TLS"), "{}", server.log());
}

#[test]
fn a_server_without_starttls_is_an_error() {
    let server = Dovecot::start_with("ssl = no");
    let account = Account { tls: Tls::StartTls, ca_file: Some(server.ca_file()), ..account(&server) };
    let error = refusal(account);
    assert_eq!(error.kind, ErrorKind::Configuration, "{error}");
    assert!(error.reason.contains("does not offer STARTTLS"), "{error}");
    assert!(!server.log().contains("Login"), "{}", server.log());
}

#[test]
fn certificates_must_be_right() {
    let server = Dovecot::start();
    let good = || Account {
        host: "localhost".into(),
        port: server.imaps,
        tls: Tls::Implicit,
        ca_file: Some(server.ca_file()),
        ..account(&server)
    };
    let check = |account: Account, words: &str| {
        let error = refusal(account);
        assert_eq!(error.kind, ErrorKind::Configuration, "{error}");
        assert!(error.reason.contains(words), "{error}");
    };
    assert!(ImapSource::list(&good()).is_ok());
    assert!(ImapSource::list(&Account { host: "127.0.0.1".into(), ..good() }).is_ok());
    check(Account { ca_file: Some(server.other_ca_file()), ..good() }, "issuer is not known");
    check(Account { ca_file: None, ..good() }, "issuer is not known");
    check(Account { ca_file: Some("/nonexistent.pem".into()), ..good() }, "/nonexistent.pem");
    check(Account { port: server.imap, ..good() }, "does not speak TLS");
    // Only the two good ones got that far.
    assert_eq!(server.log().matches(" Login: ").count(), 2, "{}", server.log());
}

#[test]
fn certificates_of_others_are_refused() {
    let check = |file: &str, words: &str| {
        let server = Dovecot::start_with(&format!("ssl_cert = <DIR/{file}"));
        for (tls, port) in [(Tls::Implicit, server.imaps), (Tls::StartTls, server.imap)] {
            let error = refusal(Account {
                host: "localhost".into(),
                port,
                tls,
                ca_file: Some(server.ca_file()),
                ..account(&server)
            });
            assert_eq!(error.kind, ErrorKind::Configuration, "{error}");
            assert!(error.reason.contains(words), "{error}");
        }
        assert!(!server.log().contains("Login"), "{}", server.log());
    };
    check("elsewhere.pem", "not for `localhost`");
    check("expired.pem", "expired");
}

#[test]
fn a_wrong_password_is_a_refused_login() {
    let server = Dovecot::start();
    let error = refusal(Account { password: Secret::new("sesame".into()), ..account(&server) });
    assert_eq!(error.kind, ErrorKind::Login, "{error}");
    assert!(!error.to_string().contains("sesame"));
    let odd = Account { user: "carol".into(), password: Secret::new("pa ss\"wo\\rd".into()), ..account(&server) };
    assert_eq!(take(odd, Resume::default()).end, Ok(()));
}

#[test]
fn reads_every_folder_and_reports_a_missing_one_at_the_end() {
    let server = with_mail(2);
    server.deliver("alice", "Reports/2026", &mail(3));
    server.deliver("alice", "Entw&APw-rfe &- mehr", &mail(4));
    server.deliver("alice", "a\"b\\c", &mail(5));
    let folders = ["INBOX", "Missing", "Reports/2026", "Entwürfe & mehr", "a\"b\\c"];
    let account = Account { folders: folders.map(String::from).to_vec(), ..account(&server) };
    let listed = ImapSource::list(&account).unwrap();
    for folder in folders.iter().filter(|folder| **folder != "Missing") {
        assert!(listed.iter().any(|listed| listed == folder), "{folder}: {listed:?}");
    }
    let run = take(account.clone(), Resume::default());
    assert_eq!(run.bodies(), mails(1..=5));
    assert_eq!(place(&run.messages[3].0).0.folder, "Entwürfe & mehr");
    let error = run.end.clone().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Configuration, "{error}");
    assert!(error.reason.contains("`Missing`"), "{error}");
    let again = take(account, run.resume());
    assert!(again.messages.is_empty(), "{again:?}");
}

#[test]
fn names_follow_the_servers_delimiter_and_prefix() {
    let server = Dovecot::start_with("namespace inbox {\n  prefix = INBOX.\n  separator = .\n}\n");
    server.deliver("alice", "INBOX", &mail(1));
    server.deliver("alice", "Reports/2026", &mail(2));
    let account = Account {
        folders: vec!["INBOX".into(), "Reports/2026".into()],
        after: After::Move("Done/Kept".into()),
        ..account(&server)
    };
    assert!(ImapSource::list(&account).unwrap().contains(&"INBOX/Reports/2026".to_owned()));
    let mut source = ImapSource::connect(account, Resume::default()).unwrap();
    let run = run(&mut source);
    assert_eq!((run.bodies(), &run.end), (mails(1..=2), &Ok(())));
    source.settle(&run.kept()).unwrap();
    assert_eq!(server.stored("alice", "Done/Kept").len(), 2, "{}", server.log());
    assert!(server.stored("alice", "INBOX").is_empty());
}

#[test]
fn seen_flags_only_what_is_kept() {
    let server = with_mail(3);
    let account = Account { after: After::Seen, ..account(&server) };
    let mut source = ImapSource::connect(account, Resume::default()).unwrap();
    let run = run(&mut source);
    let mut settled = run.kept();
    settled[1].1 = Fate::Left;
    source.settle(&settled).unwrap();
    let flags: Vec<_> = server.stored("alice", "INBOX").into_iter().map(|stored| stored.flags).collect();
    assert_eq!(flags.iter().filter(|flags| *flags == "S").count(), 2, "{flags:?}");
    let left = server.stored("alice", "INBOX").into_iter().find(|stored| stored.bytes == mail(2));
    assert_eq!(left.unwrap().flags, "");
}

/// Moves two of three messages to a folder that is not there yet, on a server with these capabilities.
fn check_move(extra: &str) {
    let server = Dovecot::start_with(extra);
    for number in 1..=3 {
        server.deliver("alice", "INBOX", &mail(number));
    }
    // Someone else's mark must survive.
    server.talk("alice", &["SELECT INBOX", "STORE 3 +FLAGS (\\Deleted)"]);
    let account = Account { after: After::Move("Done/März".into()), ..account(&server) };
    let mut source = ImapSource::connect(account.clone(), Resume::default()).unwrap();
    let run = run(&mut source);
    assert_eq!(run.bodies(), mails(1..=3));
    let mut settled = run.kept();
    settled[2].1 = Fate::Left;
    source.settle(&settled).unwrap();
    let target = || {
        let stored = server.stored("alice", "Done/M&AOQ-rz");
        stored.into_iter().map(|stored| stored.bytes).collect::<Vec<_>>()
    };
    assert_eq!(target(), mails(1..=2), "{}", server.log());
    let left = server.stored("alice", "INBOX");
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].bytes.clone(), left[0].flags.as_str()), (mail(3), "T"));
    // A step that was done but not confirmed is repeated without harm.
    drop(source);
    let mut resume = run.resume();
    resume.mailboxes[0].unsettled = vec![1, 2];
    let mut source = ImapSource::connect(account, resume).unwrap();
    assert!(source.next().unwrap().is_none());
    assert_eq!(source.take_repeated().len(), 2);
    assert_eq!(target(), mails(1..=2));
}

#[test]
fn moves_with_move() {
    check_move("");
}

#[test]
fn moves_without_move() {
    check_move("imap_capability = IMAP4rev1 UIDPLUS");
}

#[test]
fn without_uidplus_nothing_is_moved_or_deleted() {
    let server = Dovecot::start_with("imap_capability = IMAP4rev1");
    server.deliver("alice", "INBOX", &mail(1));
    for after in [After::Move("Done".into()), After::Delete] {
        let account = Account { after, ..account(&server) };
        let mut source = ImapSource::connect(account, Resume::default()).unwrap();
        let run = run(&mut source);
        assert_eq!(source.settle(&run.kept()), Ok(Vec::new()));
        let warnings = source.take_warnings();
        assert!(warnings[0].contains("UIDPLUS"), "{warnings:?}");
    }
    let left = server.stored("alice", "INBOX");
    assert_eq!((left.len(), left[0].flags.contains('T')), (1, false));
    assert!(server.stored("alice", "Done").is_empty());
}

#[test]
fn deletes_only_what_is_kept() {
    let server = with_mail(3);
    server.deliver("alice", "Other", &mail(4));
    server.talk("alice", &["SELECT INBOX", "STORE 2 +FLAGS (\\Deleted)"]);
    let account = Account { after: After::Delete, folders: vec!["INBOX".into(), "Other".into()], ..account(&server) };
    let mut source = ImapSource::connect(account, Resume::default()).unwrap();
    let run = run(&mut source);
    let mut settled = run.kept();
    assert_eq!(settled.len(), 4);
    settled[1].1 = Fate::Left;
    source.settle(&settled).unwrap();
    let left = server.stored("alice", "INBOX");
    assert_eq!(left.iter().map(|stored| stored.bytes.clone()).collect::<Vec<_>>(), mails([2]));
    assert!(server.stored("alice", "Other").is_empty());
}

#[test]
fn settling_between_batches_loses_nothing() {
    let server = with_mail(7);
    for number in 8..=12 {
        server.deliver("alice", "Other", &mail(number));
    }
    let account = Account {
        after: After::Move("Done".into()),
        folders: vec!["INBOX".into(), "Other".into()],
        bounds: Bounds { batch_messages: 2, ..Bounds::default() },
        ..account(&server)
    };
    let mut source = ImapSource::connect(account, Resume::default()).unwrap();
    let mut waiting = Vec::new();
    let mut bodies = Vec::new();
    while let Some(taken) = source.next().unwrap() {
        let Taken::Message(message) = taken else { panic!("{taken:?}") };
        bodies.push(message.bytes);
        waiting.push((message.origin, Fate::Kept));
        if waiting.len() == 3 {
            source.settle(&waiting).unwrap();
            waiting.clear();
        }
    }
    source.settle(&waiting).unwrap();
    assert_eq!(bodies, mails(1..=12));
    assert_eq!(server.stored("alice", "Done").len(), 12);
}

#[test]
fn another_uidvalidity_starts_over() {
    let server = with_mail(3);
    let account = || Account { after: After::Delete, ..account(&server) };
    let mut source = ImapSource::connect(account(), Resume::default()).unwrap();
    let first = run(&mut source);
    let mut resume = first.resume();
    resume.mailboxes[0].unsettled = vec![1, 2, 3];
    source.settle(&[]).unwrap();
    drop(source);
    server.forget_uids("alice", "INBOX");
    let mut source = ImapSource::connect(account(), resume).unwrap();
    let again = run(&mut source);
    assert_eq!(again.bodies(), mails(1..=3));
    let value = |run: &Run| place(&run.messages[0].0).0.uid_validity;
    assert_ne!(value(&again), value(&first));
    assert!(source.take_repeated().is_empty());
    // Origins of the old value settle nothing, and say so.
    source.settle(&first.kept()).unwrap();
    assert_eq!(server.stored("alice", "INBOX").len(), 3);
    assert!(source.take_notices().iter().any(|notice| notice.contains("UIDVALIDITY")));
}

#[test]
fn a_message_over_the_bound_is_refused_unread() {
    let server = with_mail(1);
    let large = [mail(2), vec![b'x'; 5000]].concat();
    server.deliver("alice", "INBOX", &large);
    server.deliver("alice", "INBOX", &mail(3));
    let account = Account { bounds: Bounds { message_bytes: 4096, ..Bounds::default() }, ..account(&server) };
    let run = take(account, Resume::default());
    assert_eq!(run.bodies(), mails([1, 3]));
    let [(origin, refusal)] = &run.refused[..] else { panic!("{run:?}") };
    assert_eq!((place(origin).1, refusal), (2, &Refused::TooLarge { limit: 4096 }));
}

#[test]
fn what_another_client_removes_meanwhile_is_passed_over() {
    let server = with_mail(5);
    let account = Account { bounds: Bounds { batch_messages: 2, ..Bounds::default() }, ..account(&server) };
    let mut source = ImapSource::connect(account.clone(), Resume::default()).unwrap();
    assert!(matches!(source.next(), Ok(Some(Taken::Message(_)))));
    // One by another client, one behind the server's back.
    server.talk("alice", &["SELECT INBOX", "UID STORE 3 +FLAGS (\\Deleted)", "EXPUNGE"]);
    let file = server.files("alice", "INBOX").into_iter();
    let fifth = file.filter(|path| std::fs::read(path).unwrap() == mail(5));
    fifth.for_each(|path| std::fs::remove_file(path).unwrap());
    let rest = run(&mut source);
    assert_eq!((rest.bodies(), &rest.end), (mails([2, 4]), &Ok(())), "{rest:?}");
    assert!(rest.refused.is_empty(), "{rest:?}");
    // UIDs to be tried again may be gone as well.
    let mut resume = rest.resume();
    resume.mailboxes[0].retry = vec![1, 3, 0, 77];
    let mut source = ImapSource::connect(account, resume).unwrap();
    assert_eq!(run(&mut source).uids(), [1]);
    let gone: Vec<u32> = source.take_gone().iter().map(|origin| place(origin).1).collect();
    assert_eq!(gone, [3], "77 lies above the cursor");
}

#[test]
fn a_cut_connection_is_resumed_where_it_was() {
    let server = with_mail(40);
    // The login takes some 400 bytes, the answer with sizes 1300, each message 200.
    for cut in [1, 300, 700, 1500, 2500, 4000, 6000] {
        let port = proxy::cutting(server.imap, &[cut]);
        let account = Account { port, ..account(&server) };
        let run = match ImapSource::connect(account, Resume::default()) {
            Ok(mut source) => run(&mut source),
            // Before the login is done there is nothing to resume.
            Err(error) => {
                assert!(cut < 1500, "{cut}: {error}");
                assert_eq!(error.kind, ErrorKind::Temporary, "{cut}: {error}");
                continue;
            }
        };
        assert_eq!((run.bodies(), &run.end), (mails(1..=40), &Ok(())), "{cut}");
    }
}

#[test]
fn what_came_before_the_last_cut_counts() {
    let server = with_mail(200);
    let port = proxy::cutting(server.imap, &[9000, 20_000, 3000, 3000, 3000, 3000]);
    let first = take(Account { port, ..account(&server) }, Resume::default());
    let error = first.end.clone().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Temporary, "{error}");
    assert!((1..200).contains(&first.messages.len()), "{}", first.messages.len());
    let mut resume = first.resume();
    // The port is part of what tells servers apart.
    resume.mailboxes[0].mailbox.server = account(&server).server();
    let second = take(account(&server), resume);
    let (mut all, mut due) = ([first.bodies(), second.bodies()].concat(), mails(1..=200));
    all.sort();
    due.sort();
    assert_eq!(all, due);
}

/// Whatever the server fails on is tried last.
#[test]
fn a_message_on_which_the_server_fails_keeps_no_other_away() {
    let server = with_mail(30);
    let path = &server.files("alice", "INBOX")[0];
    // Dovecot believes the size in the name, and hangs up when the file is longer.
    let name = format!("{},S=10,W=10", path.file_name().unwrap().to_str().unwrap());
    std::fs::rename(path, path.with_file_name(name)).unwrap();
    let first = take(account(&server), Resume::default());
    let error = first.end.clone().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Temporary, "{first:?}");
    assert!(error.reason.contains("1 left to the next run, because the connection failed on it"), "{error}");
    assert_eq!(first.uids(), (2..=30).collect::<Vec<u32>>());
    server.deliver("alice", "INBOX", &mail(31));
    let second = take(account(&server), first.resume());
    assert_eq!((second.uids(), second.end.is_err()), (vec![31], true), "{second:?}");
}

#[test]
fn a_server_that_is_not_there_is_temporary() {
    let mut server = with_mail(30);
    let account = Account { bounds: Bounds { batch_messages: 3, ..Bounds::default() }, ..account(&server) };
    let mut source = ImapSource::connect(account.clone(), Resume::default()).unwrap();
    assert!(matches!(source.next(), Ok(Some(Taken::Message(_)))));
    server.kill();
    let rest = run(&mut source);
    assert_eq!(rest.end.clone().unwrap_err().kind, ErrorKind::Temporary);
    assert_eq!(rest.bodies(), mails(2..=3), "what was fetched is handed out");
    assert_eq!(refusal(account.clone()).kind, ErrorKind::Temporary);
    server.revive();
    assert_eq!(take(account, rest.resume()).bodies(), mails(4..=30));
}

#[test]
fn the_time_for_a_run_is_bounded() {
    let server = with_mail(3);
    let timeouts = Timeouts { run: Duration::from_secs(1), ..Timeouts::default() };
    let account = Account {
        after: After::Seen,
        timeouts,
        bounds: Bounds { batch_messages: 1, ..Bounds::default() },
        ..account(&server)
    };
    let started = Instant::now();
    let mut source = ImapSource::connect(account, Resume::default()).unwrap();
    let Ok(Some(Taken::Message(message))) = source.next() else { panic!("no message") };
    std::thread::sleep(Duration::from_millis(1100).saturating_sub(started.elapsed()));
    let error = source.next().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Temporary, "{error}");
    assert!(error.reason.contains("next run"), "{error}");
    // What was taken is settled nevertheless.
    source.settle(&[(message.origin, Fate::Kept)]).unwrap();
    assert!(source.next().unwrap().is_none());
    let seen = server.stored("alice", "INBOX").into_iter().filter(|stored| stored.flags == "S");
    assert_eq!(seen.count(), 1);
}

#[test]
fn plain_text_is_for_loopback_only() {
    let server = Dovecot::start();
    // A documentation address (RFC 5737), to which nothing is sent.
    let error = refusal(Account { host: "192.0.2.1".into(), ..account(&server) });
    assert_eq!(error.kind, ErrorKind::Configuration, "{error}");
    assert!(error.reason.contains("loopback"), "{error}");
}
