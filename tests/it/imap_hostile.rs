//! The IMAP source against servers that break the protocol, on purpose or not. Every case ends in bounded time, with
//! the kind of error that decides what a cron job is told, and never with a panic.

use std::thread;
use std::time::{Duration, Instant};

use dmarcdb::source::imap::Tls;
use dmarcdb::source::imap::{Account, After, Auth, Bounds, ImapSource, Known, Resume, Secret, Timeouts, Waiting};
use dmarcdb::source::{Error, ErrorKind, Fate, Origin, Refused, Source, Stop, Taken};

use crate::support::script::{MESSAGE, Reply, Script, say};

fn account(script: &Script) -> Account {
    Account {
        name: "test".into(),
        host: "127.0.0.1".into(),
        port: script.port,
        tls: Tls::None,
        ca_file: None,
        user: "alice".into(),
        auth: Auth::Password,
        password: Secret::new("hunter2".into()),
        folders: vec!["INBOX".into()],
        after: After::Keep,
        timeouts: Timeouts {
            connect: Duration::from_secs(2),
            silence: Duration::from_secs(1),
            command: Duration::from_secs(2),
            run: Duration::from_secs(60),
        },
        bounds: Bounds { message_bytes: 1 << 20, ..Bounds::default() },
        stop: Stop::default(),
    }
}

/// What a run brought.
#[derive(Debug, Default)]
struct Run {
    messages: Vec<Vec<u8>>,
    origins: Vec<(Origin, Fate)>,
    refused: Vec<Refused>,
    end: Option<Error>,
    notices: Vec<String>,
    warnings: Vec<String>,
}

fn take(account: Account, resume: Resume) -> Run {
    let mut run = Run::default();
    let mut source = match ImapSource::connect(account, resume) {
        Ok(source) => source,
        Err(error) => {
            run.end = Some(error);
            return run;
        }
    };
    read(&mut source, &mut run);
    run.notices = source.take_notices();
    run.warnings = source.take_warnings();
    run
}

fn read(source: &mut ImapSource, run: &mut Run) {
    loop {
        match source.next() {
            Ok(Some(Taken::Message(message))) => {
                run.messages.push(message.bytes);
                run.origins.push((message.origin, Fate::Kept));
            }
            Ok(Some(Taken::Refused { refusal, .. })) => run.refused.push(refusal),
            Ok(None) => return,
            Err(error) => {
                run.end = Some(error);
                return;
            }
        }
    }
}

/// A server that answers `verb` (empty: the greeting) by `reply`, and everything else as usual.
fn script(verb: &'static str, reply: fn() -> Reply) -> Script {
    Script::start(move |seen, _, _| if seen == verb { reply() } else { Reply::Usual })
}

/// A server that answers a FETCH of bodies by `reply`.
fn body_script(reply: fn() -> Reply) -> Script {
    Script::start(move |verb, command, _| match verb {
        "FETCH" if command.contains("BODY") => reply(),
        _ => Reply::Usual,
    })
}

/// Runs against `script`: nothing may be taken, and the error must be of this kind and say this, within `seconds`.
#[track_caller]
fn fails(script: &Script, kind: ErrorKind, words: &str, seconds: u64) {
    let started = Instant::now();
    let run = take(account(script), Resume::default());
    let error = run.end.as_ref().unwrap_or_else(|| panic!("no error: {run:?}"));
    assert_eq!(error.kind, kind, "{error}");
    assert!(error.reason.contains(words), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    // What was on the way is put off; nothing else is said of it.
    let put_off = run.refused.iter().all(|refused| matches!(refused, Refused::Interrupted(_)));
    assert!(run.messages.is_empty() && put_off, "{run:?}");
    let took = started.elapsed();
    assert!(took < Duration::from_secs(seconds), "took {took:?}");
}

#[test]
fn the_well_behaved_server_is_read() {
    let script = Script::start(|_, _, _| Reply::Usual);
    let run = take(account(&script), Resume::default());
    assert_eq!((run.messages, run.end), (vec![MESSAGE.to_vec()], None));
    assert!(!script.commands().iter().any(|line| line.starts_with("SELECT")), "keep is read-only");
    assert_eq!(script.verbs().last().map(String::as_str), Some("LOGOUT"));
}

#[test]
fn greetings() {
    use ErrorKind::{Protocol, Temporary};
    let check = |reply: fn() -> Reply, kind, words, seconds| {
        let script = script("", reply);
        fails(&script, kind, words, seconds);
        assert_eq!(script.verbs(), [""; 0], "nothing may be sent");
    };
    check(|| Reply::SayAndHang(Vec::new()), Temporary, "no data", 4);
    check(|| say("* BYE overloaded\r\n"), Temporary, "overloaded", 2);
    check(|| say("* PREAUTH welcome\r\n"), Protocol, "PREAUTH", 2);
    check(|| say("HTTP/1.1 400 Bad Request\r\n\r\n"), Protocol, "HTTP/1.1 400", 2);
    check(|| say("220 smtp ready\r\n"), Protocol, "220 smtp ready", 2);
    check(|| Reply::SayAndClose(Vec::new()), Temporary, "closed", 2);
    check(|| Reply::Flood(vec![b'A'; 65536]), Protocol, "line of more", 5);
    // One byte a time never runs into the limit on silence.
    let slow = || Reply::Drip(b"* OK ready when you are, in a very slow fashion\r\n".to_vec(), MS_200);
    check(slow, Temporary, "too long", 5);
}

const MS_200: Duration = Duration::from_millis(200);

#[test]
fn a_greeting_with_escapes_is_only_text() {
    let script = script("", || say(b"* OK \x1b]0;pwn\x07\xff\xfe ready\r\n"));
    let run = take(account(&script), Resume::default());
    assert_eq!((run.messages.len(), run.end), (1, None));
}

#[test]
fn logins() {
    use ErrorKind::{Configuration, Login, Protocol, Temporary};
    let check = |reply: fn() -> Reply, kind, words| {
        let script = script("LOGIN", reply);
        fails(&script, kind, words, 4);
        let logins = script.verbs().iter().filter(|verb| *verb == "LOGIN").count();
        assert_eq!(logins, 1, "a refused login is not tried again");
    };
    check(|| say("TAG NO [AUTHENTICATIONFAILED] Authentication failed.\r\n"), Login, "failed.");
    check(|| say("TAG NO [AUTHENTICATIONFAILED] \u{c9}chec\r\n"), Login, "\u{c9}chec");
    check(|| say("TAG NO login failure\r\n"), Login, "login failure");
    check(|| say("TAG NO [UNAVAILABLE] later\r\n"), Temporary, "later");
    check(|| say("TAG NO [LIMIT] too many\r\n"), Temporary, "too many");
    check(|| say("TAG BAD what?\r\n"), Protocol, "what?");
    check(|| Reply::SayAndClose(b"* BYE [ALERT] too many connections\r\n".to_vec()), Temporary, "too many connections");
    check(|| say("+ go on\r\n"), Protocol, "unexpected line");
    let disabled = script("CAPABILITY", || say("* CAPABILITY IMAP4rev1 LOGINDISABLED\r\nTAG OK\r\n"));
    fails(&disabled, Configuration, "no way to log in", 2);
    assert_eq!(disabled.verbs(), ["CAPABILITY"]);
}

#[test]
fn what_the_server_tells_unasked_is_not_asked_for() {
    let check = |greeting: &'static str, login: &'static str, folder: &str, expected: &[&str]| {
        let script = Script::start(move |verb, command, _| match verb {
            "" => say(format!("* OK {greeting}ready\r\n")),
            "LOGIN" => say(format!("{login} in\r\n")),
            "EXAMINE" if command.contains("refused") => say("TAG NO [NONEXISTENT] no\r\n"),
            _ => Reply::Usual,
        });
        let account = Account { folders: vec![folder.to_owned()], ..account(&script) };
        let run = take(account, Resume::default());
        assert_eq!(run.end.is_none(), folder == "INBOX", "{:?}", run.end);
        let verbs = script.verbs();
        let until = verbs.iter().position(|verb| verb == "EXAMINE").expect("a folder is opened");
        assert_eq!(verbs[..until], *expected, "{greeting}{login}");
    };
    let (both, one) = ("[CAPABILITY IMAP4rev1 AUTH=PLAIN] ", "TAG OK [CAPABILITY IMAP4rev1 MOVE]");
    check("", "TAG OK", "INBOX", &["CAPABILITY", "LOGIN", "CAPABILITY"]);
    check(both, one, "INBOX", &["LOGIN"]);
    check(both, "* CAPABILITY IMAP4rev1 NAMESPACE\r\nTAG OK", "INBOX", &["LOGIN"]);
    // What it could before the login tells nothing of later, and a greeting that offers no way in may not tell all.
    check(both, "TAG OK", "INBOX", &["LOGIN", "CAPABILITY"]);
    check("[CAPABILITY LOGINDISABLED] ", one, "INBOX", &["CAPABILITY", "LOGIN"]);
    // Only INBOX is written alike everywhere.
    check(both, one, "refused", &["LOGIN", "LIST"]);
    check(both, "TAG OK [CAPABILITY IMAP4rev1 NAMESPACE]", "refused", &["LOGIN", "NAMESPACE", "LIST"]);
}

#[test]
fn authenticates_where_login_is_disabled() {
    let script = Script::start(|verb, _, _| match verb {
        "CAPABILITY" => say("* CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=PLAIN\r\nTAG OK\r\n"),
        "AUTHENTICATE" => say("+ \r\n"),
        _ => Reply::Usual,
    });
    let error = ImapSource::list(&account(&script)).unwrap_err();
    // The script takes the response for a tag and gives it back, which must not be shown.
    assert_eq!(error.kind, ErrorKind::Protocol, "{error}");
    assert!(error.reason.contains("unexpected line from the server: … OK done"), "{error}");
    assert!(script.commands().contains(&"AUTHENTICATE PLAIN".to_owned()));
}

#[test]
fn a_server_that_repeats_the_password_does_not_get_it_shown() {
    let script =
        script("LOGIN", || say("* BAD [ALERT] hunter2 is weak\r\nTAG BAD unknown: LOGIN \"alice\" \"hunter2\"\r\n"));
    fails(&script, ErrorKind::Protocol, "LOGIN \"alice\" \"…\"", 2);
}

#[test]
fn folders() {
    use ErrorKind::{Configuration, Login, Protocol, Temporary};
    let check = |reply: fn() -> Reply, kind, words| fails(&script("EXAMINE", reply), kind, words, 4);
    check(|| say("TAG NO [NONEXISTENT] no such folder\r\n"), Configuration, "no such folder");
    check(|| say("TAG NO Mailbox doesn't exist\r\n"), Configuration, "`INBOX`");
    check(|| say("TAG NO [INUSE] locked\r\n"), Temporary, "locked");
    check(|| say("TAG NO [NOPERM] not yours\r\n"), Login, "not yours");
    check(|| say("TAG BAD no\r\n"), Protocol, "no");
    check(|| say("TAG BAD User is authenticated but not connected.\r\n"), Temporary, "not connected");
    check(|| say("* 1 EXISTS\r\nTAG OK done\r\n"), Protocol, "UIDVALIDITY");
    check(|| say("* 1 EXISTS\r\n* OK [UIDVALIDITY 0] x\r\nTAG OK done\r\n"), Protocol, "UIDVALIDITY");
    check(
        || say("* 1 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* NO [UIDNOTSTICKY] x\r\nTAG OK done\r\n"),
        Protocol,
        "UIDNOTSTICKY",
    );
    check(|| say("zz99 OK [READ-WRITE] ok\r\n"), Protocol, "zz99");
    check(|| say("a99 OK [READ-WRITE] ok\r\n"), Protocol, "not sent");
    check(|| say("* PREAUTH hello\r\nTAG OK done\r\n"), Protocol, "PREAUTH");
}

#[test]
fn a_folder_that_fails_does_not_keep_the_others() {
    let script = Script::start(|_, command, _| match command {
        "EXAMINE \"INBOX\"" => say("TAG NO [INUSE] locked\r\n"),
        _ => Reply::Usual,
    });
    let account = Account { folders: vec!["INBOX".into(), "Reports".into()], ..account(&script) };
    let run = take(account, Resume::default());
    assert_eq!(run.messages.len(), 1);
    assert_eq!(run.end.unwrap().kind, ErrorKind::Temporary);
}

#[test]
fn what_panics_the_library_becomes_an_alert() {
    let script = script("EXAMINE", || {
        say("* NO [ALERT] Disk is 98% full\r\n* BAD odd\r\n* FLAGS (\\Seen [x] \u{e9})\r\n\
            * CAPABILITY x\r\n* ESEARCH x\r\n* XSOMETHING {4}\r\n(((\n\r\n* 1 EXISTS\r\n\
            * OK [UIDVALIDITY 7] v\r\nTAG OK [READ-ONLY] done\r\n")
    });
    let run = take(account(&script), Resume::default());
    assert_eq!((run.messages.len(), &run.end), (1, &None));
    assert!(run.notices.iter().any(|text| text.contains("98% full")), "{:?}", run.notices);
}

#[test]
fn searches() {
    use ErrorKind::{Protocol, Temporary};
    let check = |reply: fn() -> Reply, kind, words, seconds| {
        fails(&script("SEARCH", reply), kind, words, seconds);
    };
    check(|| say("* SEARCH 4294967296 99999999999999999999\r\nTAG OK done\r\n"), Protocol, "not understood", 2);
    check(|| say("* ESEARCH (TAG \"a1\") UID ALL 1\r\nTAG OK done\r\n"), Protocol, "ESEARCH", 2);
    check(|| Reply::Flood(b"* 1 EXISTS\r\n".to_vec()), Protocol, "more than 200000 lines", 20);
    check(|| say("TAG NO [UNAVAILABLE] later\r\n"), Temporary, "later", 2);
    check(|| Reply::Flood(b"* SEARCH 1 2 3 4 5\r\n".to_vec()), Protocol, "more than", 30);
}

#[test]
fn a_million_uids_in_one_line_work() {
    let script = Script::start(|verb, command, before| match verb {
        "EXAMINE" => say("* 1000000 EXISTS\r\n* OK [UIDVALIDITY 7] v\r\nTAG OK done\r\n"),
        "SEARCH" if before == 0 => {
            let uids: String = (1..=1_000_000).map(|uid| format!(" {uid}")).collect();
            say(format!("* SEARCH{uids}\r\nTAG OK done\r\n"))
        }
        "SEARCH" => say("* SEARCH\r\nTAG OK done\r\n"),
        "FETCH" if command.contains("BODY") || before == 0 => Reply::Usual,
        "FETCH" if before < 20 => say("TAG OK done\r\n"),
        "FETCH" => say("TAG NO [LIMIT] enough of that\r\n"),
        _ => Reply::Usual,
    });
    let run = take(account(&script), Resume::default());
    assert_eq!(run.messages.len(), 1, "{:?}", run.end);
    assert_eq!(run.end.unwrap().kind, ErrorKind::Temporary);
}

#[test]
fn a_server_that_lists_more_than_it_has_is_believed_below_uidnext_only() {
    let script = Script::start(|verb, _, before| match verb {
        "SEARCH" if before == 0 => {
            let uids: String = (1..=100_000).map(|uid| format!(" {uid}")).collect();
            say(format!("* SEARCH{uids}\r\nTAG OK done\r\n"))
        }
        _ => Reply::Usual,
    });
    let run = take(account(&script), Resume::default());
    assert_eq!((run.messages.len(), run.end), (1, None));
}

#[test]
fn a_body_that_nobody_asked_for_is_passed_over() {
    let script = Script::start(|verb, command, _| match verb {
        "FETCH" if !command.contains("BODY") => {
            let body = "\n".repeat(200_000);
            say(format!("* 1 FETCH (UID 1 RFC822.SIZE 5 BODY[] {{200000}}\r\n{body})\r\nTAG OK done\r\n"))
        }
        _ => Reply::Usual,
    });
    let started = Instant::now();
    let run = take(account(&script), Resume::default());
    assert_eq!((run.messages, run.end), (vec![MESSAGE.to_vec()], None));
    assert!(started.elapsed() < Duration::from_secs(2));
}

/// A folder of `count` messages, each with its UID as the body.
fn folder_of(count: u32) -> Script {
    Script::start(move |verb, command, _| match verb {
        "EXAMINE" => say(format!("* {count} EXISTS\r\n* OK [UIDVALIDITY 7] v\r\nTAG OK done\r\n")),
        "SEARCH" => {
            let first: u32 = command.rsplit(' ').next().unwrap().split(':').next().unwrap().parse().unwrap();
            let uids: String = (first..=count).map(|uid| format!(" {uid}")).collect();
            say(format!("* SEARCH{uids}\r\nTAG OK done\r\n"))
        }
        "FETCH" => numbers(command),
        _ => Reply::Usual,
    })
}

#[test]
fn a_run_ends_at_its_bound_and_counts_the_rest() {
    let script = folder_of(9);
    let check = |messages: u64, bytes: u64, taken: usize, left: u64| {
        let mut account = Account { folders: vec!["INBOX".into(), "Other".into()], ..account(&script) };
        (account.bounds.run_messages, account.bounds.run_bytes) = (messages, bytes);
        let mut source = ImapSource::connect(account, Resume::default()).unwrap();
        let mut run = Run::default();
        read(&mut source, &mut run);
        assert_eq!((run.messages.len(), &run.end), (taken, &None), "{messages} {bytes}");
        assert_eq!(source.waiting(), Waiting { messages: left, at_least: false }, "{messages} {bytes}");
    };
    check(0, 0, 18, 0);
    check(4, 0, 4, 14);
    check(9, 0, 9, 9);
    check(12, 0, 12, 6);
    check(18, 0, 18, 0);
    check(0, 4, 4, 14);
    check(2, 4, 2, 16);
    check(1, 0, 1, 17);
}

#[test]
fn a_run_in_a_hurry_takes_one_message_at_least() {
    let script = folder_of(9);
    let mut account = account(&script);
    account.bounds.run_bytes = 1;
    let mut source = ImapSource::connect(account, Resume::default()).unwrap();
    let mut run = Run::default();
    read(&mut source, &mut run);
    assert_eq!((run.messages.len(), source.waiting().messages), (1, 8));
}

#[test]
fn a_stop_ends_every_wait_within_seconds() {
    use Reply::SayAndHang;
    let literal = || SayAndHang(b"* 1 FETCH (UID 1 BODY[] {1000}\r\nxxxx".to_vec());
    let drip = || Reply::Drip([&b"* 1 FETCH (UID 1 BODY[] {1000}\r\n"[..], &[b'x'; 900]].concat(), MS_200);
    let scripts = [
        ("greeting", script("", || SayAndHang(Vec::new()))),
        ("login", script("LOGIN", || SayAndHang(Vec::new()))),
        ("search", script("SEARCH", || SayAndHang(b"* SEARCH 1".to_vec()))),
        ("body", body_script(literal)),
        ("slow body", body_script(drip)),
    ];
    thread::scope(|scope| {
        for (name, script) in &scripts {
            scope.spawn(move || {
                let hour = Duration::from_secs(3600);
                let timeouts = Timeouts { connect: hour, silence: hour, command: hour, run: hour };
                let account = Account { timeouts, ..account(script) };
                let stop = account.stop.clone();
                let stopping = thread::spawn(move || {
                    thread::sleep(Duration::from_millis(500));
                    stop.set();
                });
                let started = Instant::now();
                let run = take(account, Resume::default());
                let took = started.elapsed();
                let end = run.end.unwrap_or_else(|| panic!("{name}: {:?}", run.messages));
                assert!(end.reason.contains("stopped") && end.kind == ErrorKind::Temporary, "{name}: {end}");
                assert!(took < Duration::from_secs(4), "{name}: {took:?}");
                stopping.join().unwrap();
            });
        }
    });
}

#[test]
fn nothing_is_fetched_after_a_stop_and_leave_is_taken() {
    let script = folder_of(9);
    let mut account = account(&script);
    account.bounds.batch_messages = 1;
    let stop = account.stop.clone();
    let mut source = ImapSource::connect(account, Resume::default()).unwrap();
    assert!(matches!(source.next(), Ok(Some(Taken::Message(_)))));
    stop.set();
    assert_eq!(source.next().unwrap_err().kind, ErrorKind::Temporary);
    drop(source);
    let commands = script.commands();
    assert_eq!(commands.iter().filter(|line| line.contains("BODY")).count(), 1, "{commands:?}");
    assert_eq!(commands.last().map(String::as_str), Some("LOGOUT"));
}

#[test]
fn literals() {
    use ErrorKind::{Protocol, Temporary};
    let check = |reply: fn() -> Reply, kind, words, seconds| {
        fails(&body_script(reply), kind, words, seconds);
    };
    let one_piece = "in one piece";
    let flood = || Reply::Flood(b"* 1 FETCH (UID 1 BODY[] {2147483648}\r\n".to_vec());
    check(flood, Protocol, one_piece, 2);
    check(|| say("* 1 FETCH (UID 1 BODY[] {4294967296}\r\nabc)\r\n"), Protocol, one_piece, 2);
    check(|| say("* 1 FETCH (UID 1 BODY[] {18446744073709551615}\r\nabc)\r\n"), Protocol, one_piece, 2);
    check(|| say("* 1 FETCH (UID 1 BODY[] {-1}\r\nabc)\r\nTAG OK\r\n"), Protocol, "unexpected line", 2);
    check(|| say("* 1 FETCH (UID 1 BODY[] {10}\r\n0123456789ABCDEF)\r\nTAG OK\r\n"), Protocol, "understood", 2);
    // The connection may break once; then it is left to the next run.
    check(|| Reply::SayAndClose(b"* 1 FETCH (UID 1 BODY[] {1000}\r\nxxxx".to_vec()), Temporary, "closed", 5);
    check(|| Reply::SayAndHang(b"* 1 FETCH (UID 1 BODY[] {1000}\r\nxxxx".to_vec()), Temporary, "no data", 4);
}

#[test]
fn a_body_that_drips_is_bounded_by_the_command() {
    let script = body_script(|| {
        let bytes = [&b"* 1 FETCH (UID 1 BODY[] {1000}\r\n"[..], &[b'x'; 900]].concat();
        Reply::Drip(bytes, MS_200)
    });
    fails(&script, ErrorKind::Temporary, "too long", 5);
}

#[test]
fn bodies_come_as_they_are() {
    // Every byte, more than once, so that none can stand for another.
    let every: Vec<u8> = (0..=255).chain((0..=255).rev()).cycle().take(4096).collect();
    let body = every.clone();
    let script = Script::start(move |verb, command, _| match verb {
        "FETCH" if command.contains("BODY") => {
            let head = format!("* 1 FETCH (UID 1 BODY[] {{{}}}\r\n", body.len());
            Reply::Say([head.as_bytes(), &body, b")\r\nTAG OK done\r\n"].concat())
        }
        _ => Reply::Usual,
    });
    for _ in 0..8 {
        let run = take(account(&script), Resume::default());
        assert_eq!((run.messages, run.end), (vec![every.clone()], None));
    }
}

#[test]
fn a_body_of_line_ends_passes() {
    let script = Script::start(|verb, command, _| match verb {
        "FETCH" if command.contains("BODY") => {
            let body = vec![b'\n'; 20_000_000];
            let head = format!("* 1 FETCH (UID 1 BODY[] {{{}}}\r\n", body.len());
            Reply::Say([head.as_bytes(), &body, b")\r\nTAG OK done\r\n"].concat())
        }
        "FETCH" => say("* 1 FETCH (UID 1 RFC822.SIZE 20000000)\r\nTAG OK done\r\n"),
        _ => Reply::Usual,
    });
    let mut account = account(&script);
    account.bounds.message_bytes = 30_000_000;
    account.timeouts.silence = Duration::from_secs(20);
    let started = Instant::now();
    let run = take(account.clone(), Resume::default());
    assert_eq!((run.messages[0].len(), run.end), (20_000_000, None));
    assert!(started.elapsed() < Duration::from_secs(5));
    account.bounds.message_bytes = 1_000_000;
    let run = take(account, Resume::default());
    assert_eq!(run.refused, [Refused::TooLarge { limit: 1_000_000 }]);
}

/// Runs against a server that answers a FETCH of bodies by `reply`, once the search has found UID 1. `later` is what
/// later searches find.
fn fetched(reply: fn() -> Reply, later: &'static str) -> Run {
    let script = Script::start(move |verb, command, before| match verb {
        "FETCH" if command.contains("BODY") => reply(),
        "SEARCH" if before > 0 => say(later),
        _ => Reply::Usual,
    });
    take(account(&script), Resume::default())
}

const STILL_THERE: &str = "* SEARCH 1\r\nTAG OK\r\n";
const GONE: &str = "* SEARCH\r\nTAG OK\r\n";

#[test]
fn bodies_that_are_not_what_was_asked_for() {
    let undeliverable = |reply: fn() -> Reply, words: &str| {
        let run = fetched(reply, STILL_THERE);
        assert!(run.messages.is_empty(), "{run:?}");
        // Another message in its place is worth another run; a refusal is counted first.
        let ends = run.end.as_ref().map(|error| error.kind);
        assert_eq!(ends, (words == "another").then_some(ErrorKind::Temporary), "{run:?}");
        let [Refused::Undeliverable(reason)] = &run.refused[..] else { panic!("{run:?}") };
        assert!(reason.contains(words), "{reason}");
    };
    let another = |reply: fn() -> Reply| {
        let run = fetched(reply, STILL_THERE);
        let [Refused::Undeliverable(reason)] = &run.refused[..] else { panic!("{run:?}") };
        assert!(reason.contains("another"), "{reason}");
        assert_eq!(run.end.unwrap().kind, ErrorKind::Temporary);
    };
    another(|| say("* 1 FETCH (UID 999 BODY[] {3}\r\nabc)\r\nTAG OK\r\n"));
    another(|| say("* 1 FETCH (BODY[] {3}\r\nabc)\r\nTAG OK\r\n"));
    undeliverable(|| say("* 1 FETCH (UID 1 BODY[] NIL)\r\nTAG OK\r\n"), "did not send");
    undeliverable(|| say("* 1 FETCH (UID 1 BODY[] \"\")\r\nTAG OK\r\n"), "sent nothing of");
    undeliverable(|| say("TAG OK\r\n"), "did not send");
    undeliverable(|| say("TAG NO [SERVERBUG] oops\r\n"), "oops");
    undeliverable(|| say("TAG BAD Command Error. 12\r\n"), "Error. 12");
    let gone = |reply: fn() -> Reply| {
        let run = fetched(reply, GONE);
        assert!(run.messages.is_empty() && run.refused.is_empty(), "{run:?}");
        assert_eq!(run.end, None);
    };
    gone(|| say("* 1 FETCH (UID 1 RFC822.SIZE 10 BODY[] NIL)\r\nTAG OK\r\n"));
    gone(|| say("* 1 EXPUNGE\r\nTAG OK [EXPUNGEISSUED] ok\r\n"));
    let one = |reply: fn() -> Reply, body: &[u8]| {
        let run = fetched(reply, STILL_THERE);
        assert_eq!((run.messages, run.end), (vec![body.to_vec()], None));
    };
    one(|| say("* 1 FETCH (UID 1 BODY[] {3}\r\nabc)\r\n* 1 FETCH (UID 1 BODY[] {3}\r\nxyz)\r\nTAG OK\r\n"), b"abc");
    one(|| say("* 1 FETCH (UID 1 BODY[] \"quoted\")\r\nTAG OK\r\n"), b"quoted");
    one(|| say("* 1 FETCH (UID 1 INTERNALDATE NIL BODY[] {1}\r\nx)\r\nTAG OK\r\n"), b"x");
    // The size that was claimed does not matter.
    let long = || {
        let body = "z".repeat(100);
        say(format!("* 1 FETCH (UID 1 RFC822.SIZE 5 BODY[] {{100}}\r\n{body})\r\nTAG OK\r\n"))
    };
    one(long, &[b'z'; 100]);
    let over = || {
        let body = "z".repeat((1 << 20) + 1);
        say(format!("* 1 FETCH (UID 1 BODY[] {{{}}}\r\n{body})\r\nTAG OK\r\n", body.len()))
    };
    let run = fetched(over, STILL_THERE);
    assert_eq!(run.refused, [Refused::TooLarge { limit: 1 << 20 }]);
}

#[test]
fn one_bad_message_does_not_hold_up_the_others() {
    let script = Script::start(|verb, command, before| match verb {
        "EXAMINE" => say("* 3 EXISTS\r\n* OK [UIDVALIDITY 7] v\r\nTAG OK done\r\n"),
        "SEARCH" if before == 0 => say("* SEARCH 1 2 3\r\nTAG OK done\r\n"),
        "FETCH" if !command.contains("BODY") => {
            let sizes = (1..=3).map(|uid| format!("* {uid} FETCH (UID {uid} RFC822.SIZE 5)\r\n"));
            say(sizes.collect::<String>() + "TAG OK done\r\n")
        }
        "FETCH" if command.contains("FETCH 1:3 ") => {
            say("* 1 FETCH (UID 1 BODY[] {3}\r\none)\r\nTAG NO Some messages failed\r\n")
        }
        "FETCH" if command.contains("FETCH 2 ") => say("TAG NO [SERVERBUG] oops\r\n"),
        "FETCH" if command.contains("FETCH 3 ") => say("* 3 FETCH (UID 3 BODY[] {5}\r\nthree)\r\nTAG OK\r\n"),
        "FETCH" => say("* 1 FETCH (UID 1 BODY[] {3}\r\none)\r\nTAG OK\r\n"),
        _ => Reply::Usual,
    });
    let run = take(account(&script), Resume::default());
    assert_eq!((run.messages, run.end), (vec![b"one".to_vec(), b"three".to_vec()], None));
    assert_eq!(run.refused, [Refused::Undeliverable("[SERVERBUG] oops".into())]);
}

#[test]
fn without_sizes_messages_come_one_by_one() {
    let script = Script::start(|verb, command, before| match verb {
        "EXAMINE" => say("* 2 EXISTS\r\n* OK [UIDVALIDITY 7] v\r\nTAG OK done\r\n"),
        "SEARCH" if before == 0 => say("* SEARCH 1 2 2 4\r\nTAG OK done\r\n"),
        "FETCH" if !command.contains("BODY") => say("TAG NO [SERVERBUG] no sizes\r\n"),
        "FETCH" if command.contains("FETCH 1 ") => say("* 1 FETCH (UID 1 BODY[] {1}\r\na)\r\nTAG OK\r\n"),
        "FETCH" if command.contains("FETCH 2 ") => say("* 2 FETCH (UID 2 BODY[] {1}\r\nb)\r\nTAG OK\r\n"),
        "FETCH" => say("TAG OK\r\n"),
        "SEARCH" => say("* SEARCH\r\nTAG OK\r\n"),
        _ => Reply::Usual,
    });
    let run = take(account(&script), Resume::default());
    assert_eq!((run.messages, run.end), (vec![b"a".to_vec(), b"b".to_vec()], None));
    assert!(run.refused.is_empty());
}

#[test]
fn a_server_that_has_had_enough_stops_the_run() {
    let check = |reply: fn() -> Reply, words| {
        fails(&body_script(reply), ErrorKind::Temporary, words, 3);
    };
    check(|| say("TAG NO [THROTTLED] slow down\r\n"), "slow down");
    check(|| say("TAG NO [OVERQUOTA] Account exceeded bandwidth limits\r\n"), "bandwidth");
    check(|| Reply::SayAndClose(b"* BYE [UNAVAILABLE] shutting down\r\n".to_vec()), "shutting");
    // After BYE nobody waits long.
    check(|| Reply::SayAndHang(b"* BYE enough\r\n".to_vec()), "BYE");
    // A code on success is no failure.
    let run = fetched(|| say("* 1 FETCH (UID 1 BODY[] {3}\r\nabc)\r\nTAG OK Success [THROTTLED]\r\n"), STILL_THERE);
    assert_eq!((run.messages.len(), run.end), (1, None));
}

#[test]
fn nesting_and_floods() {
    let check = |reply: fn() -> Reply, words, seconds| {
        fails(&body_script(reply), ErrorKind::Protocol, words, seconds);
    };
    let nested = |depth: usize| {
        let (open, close) = ("(".repeat(depth), ")".repeat(depth));
        say(format!("* 1 FETCH (UID 1 BODYSTRUCTURE {open}{close})\r\nTAG OK\r\n"))
    };
    check(|| say(format!("* 1 FETCH (BODY {})\r\n", "(".repeat(1000))), "nested", 2);
    let valid = || {
        let leaf = "(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 1 1)";
        let (open, close) = ("(".repeat(2000), " \"MIXED\")".repeat(2000));
        say(format!("* 1 FETCH (UID 1 BODYSTRUCTURE {open}{leaf}{close})\r\nTAG OK\r\n"))
    };
    check(valid, "nested", 2);
    // 100 000 levels exceed a line as well; either reason will do.
    let script = Script::start(move |verb, command, _| match verb {
        "FETCH" if command.contains("BODY") => nested(100_000),
        _ => Reply::Usual,
    });
    fails(&script, ErrorKind::Protocol, "the server", 2);
    let extension = || {
        let deep = "(".repeat(30_000);
        say(format!("* 1 FETCH (BODYSTRUCTURE (\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 1 1 {deep}"))
    };
    let script = body_script(extension);
    fails(&script, ErrorKind::Temporary, "no data", 4);
    check(|| say(b"* 1 FETCH (UID 1 FLAGS (\xff\xfe) BODY[] {3}\r\nabc)\r\nTAG OK\r\n"), "8-bit", 2);
    check(|| Reply::Flood(b"* 1 FETCH (FLAGS (\\Seen))\r\n".to_vec()), "the server's answer", 30);
    check(|| Reply::Flood(vec![b'A'; 4096]), "line of more", 3);
    check(|| say("* 1 FETCH (UID 1 EMAILID (x) BODY[] {1}\r\nx)\r\nTAG OK\r\n"), "not understood", 2);
}

/// Runs and settles against `script`: how many messages are settled, or the one warning, or the error.
fn moved(script: &Script) -> Result<Result<usize, String>, Error> {
    let account = Account { after: After::Move("Done/Kept".into()), ..account(script) };
    let mut source = ImapSource::connect(account, Resume::default()).unwrap();
    let mut run = Run::default();
    read(&mut source, &mut run);
    assert_eq!((run.messages.len(), &run.end), (1, &None));
    let settled = source.settle(&run.origins)?.len();
    Ok(match &source.take_warnings()[..] {
        [] => Ok(settled),
        [warning] if settled == 0 => Err(warning.clone()),
        warnings => panic!("{settled} settled, and {warnings:?}"),
    })
}

#[test]
fn a_missing_target_is_created_once() {
    let script = script("MOVE", || say("TAG NO [TRYCREATE] no folder\r\n"));
    let warning = moved(&script).unwrap().unwrap_err();
    assert!(warning.contains("no folder; what is kept stays where it is"), "{warning}");
    let verbs = script.verbs();
    let count = |verb: &str| verbs.iter().filter(|seen| *seen == verb).count();
    // Once because it is not listed, once because MOVE asks for it.
    assert_eq!((count("MOVE"), count("CREATE"), count("COPY")), (2, 2, 0), "{verbs:?}");
    assert!(script.commands().contains(&"CREATE \"Done/Kept\"".to_owned()));
}

#[test]
fn a_move_that_is_not_understood_becomes_a_copy() {
    let script = script("MOVE", || say("TAG BAD Command Error. 12\r\n"));
    assert_eq!(moved(&script), Ok(Ok(1)));
    let commands = script.commands();
    let after = commands.iter().position(|line| line.starts_with("UID MOVE")).unwrap();
    assert_eq!(
        commands[after + 1..][..3],
        ["UID COPY 1 \"Done/Kept\"", "UID STORE 1 +FLAGS.SILENT (\\Deleted)", "UID EXPUNGE 1"]
    );
}

#[test]
fn a_copy_that_fails_deletes_nothing() {
    let script = Script::start(|verb, _, _| match verb {
        "MOVE" => say("TAG BAD Command Error. 12\r\n"),
        "COPY" => say("TAG NO [OVERQUOTA] full\r\n"),
        _ => Reply::Usual,
    });
    let warning = moved(&script).unwrap().unwrap_err();
    assert!(warning.contains("[OVERQUOTA] full"), "{warning}");
    assert!(!script.verbs().iter().any(|verb| verb == "STORE" || verb == "EXPUNGE"));
}

#[test]
fn a_connection_lost_in_a_move_is_left_to_the_next_run() {
    let script = script("MOVE", || Reply::SayAndClose(Vec::new()));
    assert_eq!(moved(&script).unwrap_err().kind, ErrorKind::Temporary);
    assert_eq!(script.verbs().iter().filter(|verb| *verb == "MOVE").count(), 2);
}

#[test]
fn uidvalidity_is_compared_after_a_new_connection() {
    // The second connection finds another folder under the same name.
    let script = Script::start(|verb, command, before| match verb {
        "SELECT" if before > 0 => say("* 1 EXISTS\r\n* OK [UIDVALIDITY 8] v\r\nTAG OK [READ-WRITE] done\r\n"),
        "MOVE" => Reply::SayAndClose(Vec::new()),
        "FETCH" if command.contains("BODY") && before < 2 => Reply::Usual,
        _ => Reply::Usual,
    });
    assert_eq!(moved(&script), Ok(Ok(1)), "there is nothing left to be settled");
    assert_eq!(script.verbs().iter().filter(|verb| *verb == "MOVE").count(), 1);
}

#[test]
fn a_read_only_folder_is_read_but_not_settled() {
    let script = script("SELECT", || say("* 1 EXISTS\r\n* OK [UIDVALIDITY 7] v\r\nTAG OK [READ-ONLY] done\r\n"));
    let warning = moved(&script).unwrap().unwrap_err();
    assert!(warning.contains("read-only"), "{warning}");
    assert!(!script.verbs().iter().any(|verb| verb == "MOVE"));
}

#[test]
fn a_refused_repetition_does_not_keep_new_mail_away() {
    let script = script("STORE", || say("TAG NO [NOPERM] hands off\r\n"));
    let account = Account { after: After::Seen, ..account(&script) };
    let mut source = ImapSource::connect(account.clone(), Resume::default()).unwrap();
    let mut run = Run::default();
    read(&mut source, &mut run);
    let Some((Origin::Imap { mailbox, .. }, _)) = run.origins.first() else { panic!("{run:?}") };
    let known = Known { mailbox: (**mailbox).clone(), cursor_uid: 0, retry: vec![], unsettled: vec![5, 6] };
    let again = take(account, Resume { mailboxes: vec![known] });
    assert_eq!((again.messages.len(), again.end), (1, None));
    assert!(again.warnings[0].contains("hands off"), "{:?}", again.warnings);
}

#[test]
fn nothing_said_before_tls_counts() {
    let starttls = |reply: fn() -> Reply, kind, words: &str| {
        let script = Script::start(move |verb, _, _| match verb {
            "CAPABILITY" => say("* CAPABILITY IMAP4rev1 STARTTLS\r\nTAG OK\r\n"),
            "STARTTLS" => reply(),
            _ => Reply::Usual,
        });
        let account = Account { tls: Tls::StartTls, ..account(&script) };
        let error = take(account, Resume::default()).end.unwrap();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.reason.contains(words), "{error}");
        assert!(!script.verbs().iter().any(|verb| verb == "LOGIN"), "{:?}", script.verbs());
    };
    use ErrorKind::{Protocol, Temporary};
    // Injected answers become part of a handshake, which fails.
    starttls(|| say("TAG OK go\r\na1 OK logged in\r\n* OK hello\r\na2 OK\r\n"), Protocol, "no TLS");
    starttls(|| say("TAG NO not now\r\n"), Temporary, "not now");
    starttls(|| say("x1 OK\r\n"), Protocol, "unexpected line");
    starttls(|| Reply::Flood(b"* OK more\r\n".to_vec()), Protocol, "more than 100 lines");
    starttls(|| Reply::SayAndHang(b"TAG OK go\r\n".to_vec()), Temporary, "handshake");
    starttls(|| Reply::Drip(b"TAG OK go, but take your time\r\n".to_vec(), MS_200), Temporary, "too long");
    let script = script("", || say("* PREAUTH hi\r\n"));
    let account = Account { tls: Tls::StartTls, ..account(&script) };
    let error = take(account, Resume::default()).end.unwrap();
    assert_eq!(error.kind, Protocol, "{error}");
    assert_eq!(script.verbs(), [""; 0]);
}

/// A FETCH of every UID from 1 to 9 and 50001, each with its own number as the body.
fn numbers(command: &str) -> Reply {
    let set = command.split(' ').nth(2).unwrap_or_default();
    let wanted = |uid: u32| {
        set.split(',').any(|part| {
            let (first, last) = part.split_once(':').unwrap_or((part, part));
            (first.parse().unwrap()..=last.parse().unwrap()).contains(&uid)
        })
    };
    let mut text = String::new();
    for uid in (1..10).chain([50_001]).filter(|uid| wanted(*uid)) {
        let body = uid.to_string();
        let length = body.len();
        text += &match command.contains("BODY") {
            true => format!("* {uid} FETCH (UID {uid} BODY[] {{{length}}}\r\n{body})\r\n"),
            false => format!("* {uid} FETCH (UID {uid} RFC822.SIZE {length})\r\n"),
        };
    }
    say(text + "TAG OK done\r\n")
}

#[test]
fn a_folder_replaced_in_mid_run_starts_over() {
    let script = Script::start(|verb, command, before| match verb {
        "EXAMINE" => {
            let value = 7 + before;
            say(format!("* 2 EXISTS\r\n* OK [UIDVALIDITY {value}] v\r\nTAG OK done\r\n"))
        }
        "SEARCH" => say("* SEARCH 1 2\r\nTAG OK done\r\n"),
        // Sizes, the first body, and no more on this connection.
        "FETCH" if before == 2 => Reply::SayAndClose(Vec::new()),
        "FETCH" => numbers(command),
        _ => Reply::Usual,
    });
    let mut account = account(&script);
    account.bounds.batch_messages = 1;
    let run = take(account, Resume::default());
    assert_eq!(run.end, None);
    let places = run.origins.iter().map(|(origin, _)| origin.to_string());
    assert_eq!(
        places.collect::<Vec<_>>(),
        [
            "imap://test/INBOX;uidvalidity=7;uid=1",
            "imap://test/INBOX;uidvalidity=8;uid=1",
            "imap://test/INBOX;uidvalidity=8;uid=2",
        ]
    );
    assert!(run.notices.iter().any(|notice| notice.contains("UIDVALIDITY changed")));
}

#[test]
fn a_search_that_answers_beyond_its_window_brings_nothing_twice() {
    let script = Script::start(|verb, command, _| match verb {
        "EXAMINE" => say("* 60000 EXISTS\r\n* OK [UIDVALIDITY 7] v\r\n* OK [UIDNEXT 60001] n\r\n\
            TAG OK done\r\n"),
        "SEARCH" => say("* SEARCH 50001 1\r\nTAG OK done\r\n"),
        "FETCH" => numbers(command),
        _ => Reply::Usual,
    });
    let run = take(account(&script), Resume::default());
    // The search leaves out eight; the sizes tell of them.
    let all: Vec<Vec<u8>> = (1..10).chain([50_001]).map(|uid: u32| uid.to_string().into_bytes()).collect();
    assert_eq!((run.messages, run.end), (all, None));
    let searches: Vec<_> = script.commands().into_iter().filter(|line| line.contains("SEARCH")).collect();
    assert_eq!(searches, ["UID SEARCH UID 1:50000", "UID SEARCH UID 50001:*"]);
}
