//! What can go wrong between us and a mail server, a row each: what the run prints and how it ends. `docs/failure-matrix.md`
//! shows every row to people; a row here that is not there in the same words fails, and so does one there that names no test.

use std::cell::Cell;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;

use crate::support::dovecot::Dovecot;
use crate::support::proxy;
use crate::support::run::{Place, Ran, mail};
use crate::support::script::{Reply, Script, say};

/// A folder with a configuration of one account, and the port of its server.
struct Site {
    place: Place,
    port: u16,
    missing: Cell<bool>,
}

impl Drop for Site {
    fn drop(&mut self) {
        assert!(!self.missing.get() || thread::panicking(), "a row is missing in docs/failure-matrix.md");
    }
}

impl Site {
    /// An account at `port` of this machine. `more` are further lines of it; what they set is not set otherwise.
    fn at(port: u16, more: &str) -> Site {
        let place = Place::new();
        let mut text =
            "own_domains = [\"example.com\"]\n[[account]]\nname = \"reports\"\nuser = \"alice\"\n".to_owned();
        let port_line = format!("port = {port}");
        let usual =
            ["host = \"127.0.0.1\"", &port_line, "tls = \"none\"", "password_env = \"PW\"", "silence_seconds = 1"];
        for line in usual {
            let key = line.split(' ').next().unwrap();
            let other = key == "password_env" && more.contains("password_");
            if !other && !more.lines().any(|more| more.starts_with(key)) {
                text.push_str(line);
                text.push('\n');
            }
        }
        place.write("config.toml", format!("{text}{more}\n"));
        Site { place, port, missing: Cell::new(false) }
    }

    fn command(&self, more: &[&str]) -> Command {
        let config = self.place.path("config.toml");
        let arguments = [&["--config", config.to_str().unwrap()], more].concat();
        let mut command = self.place.command(&arguments);
        command.env("PW", "alice-pw");
        command
    }

    fn run(&self, more: &[&str]) -> Ran {
        self.command(more).output().unwrap().into()
    }

    /// Runs `fetch`: it must end with `status` and print what `docs/failure-matrix.md` says of `failure`.
    #[track_caller]
    fn row(&self, test: &str, failure: &str, does: &str, status: i32) {
        self.told(&self.run(&["fetch"]), test, failure, does, status);
    }

    /// The same of a run that was made.
    #[track_caller]
    fn told(&self, ran: &Ran, test: &str, failure: &str, does: &str, status: i32) {
        assert_eq!(ran.status, Some(status), "{failure}: {ran:?}");
        assert!(!ran.stderr.contains("alice-pw"), "{failure}: {ran:?}");
        let folder = self.place.dir.path().to_str().unwrap();
        let said = ran.stderr.trim_end().replace(folder, "DIR").replace(&format!(":{}", self.port), ":993");
        let said =
            said.replace("127.0.0.1:993", "imap.example.com:993").replace("localhost:993", "imap.example.com:993");
        let said = without_times(&said).replace(&format!("port {} ", self.port), "port 993 ");
        assert!(said.lines().count() <= 1, "{failure}: more than a line: {said}");
        let said = if said.is_empty() { "nothing".to_owned() } else { format!("`{}`", said.replace('|', "\\|")) };
        let line = format!("| {failure} | {does} | {said} | {status} | `matrix::{test}` |");
        if !document().lines().any(|have| have == line) {
            // Every row that is missing is told, not the first alone.
            eprintln!("not in docs/failure-matrix.md:\n{line}");
            self.missing.set(true);
        }
    }

    /// Reports kept, and the sum of their messages.
    fn kept(&self) -> (i64, i64) {
        let sums = "SELECT count(*), coalesce(sum(messages), 0) FROM v_report";
        self.place.database().query_row(sums, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    }

    fn deferred(&self) -> i64 {
        self.place.database().query_row("SELECT count(*) FROM deferred", [], |row| row.get(0)).unwrap()
    }
}

/// Without the figures of Dovecot's "(0.001 + 0.000 secs)".
fn without_times(text: &str) -> String {
    match text.split_once(" (0.").and_then(|(before, rest)| Some((before, rest.split_once(" secs)")?.1))) {
        Some((before, after)) => format!("{before}{after}"),
        None => text.to_owned(),
    }
}

fn document() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/failure-matrix.md")).unwrap_or_default()
}

/// A Dovecot with reports 1 to `count` for Alice; report `n` tells of `n` messages.
fn dovecot(extra: &str, count: u32) -> Dovecot {
    let server = Dovecot::start_with(extra);
    deliver(&server, 1, count);
    server
}

fn deliver(server: &Dovecot, from: u32, to: u32) {
    for number in from..=to {
        server.deliver("alice", "INBOX", mail(&format!("r{number}"), number).as_bytes());
    }
}

/// A server that answers `verb` (empty: the greeting) by `reply`, and everything else as usual.
fn script(verb: &'static str, reply: fn() -> Reply) -> Script {
    Script::start(move |seen, _, _| if seen == verb { reply() } else { Reply::Usual })
}

/// A server that says this to the first who come, one connection after the other.
fn saying(bytes: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut buffer = [0; 1024];
                let _ = stream.read(&mut buffer);
                let _ = stream.write_all(bytes);
                while stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
            });
        }
    });
    port
}

#[test]
fn no_connection() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let does = "nothing is changed; the next run tries again";
    Site::at(unused, "").row("no_connection", "nobody listens", does, 75);
    let site = Site::at(993, "host = \"imap.invalid\"\ntls = \"tls\"");
    site.row("no_connection", "the name is not known", does, 75);
}

#[test]
fn tls() {
    let does = "no login is sent";
    let over_tls = |server: &Dovecot, ca: PathBuf| {
        let more = format!("host = \"localhost\"\ntls = \"tls\"\nca_file = {ca:?}");
        Site::at(server.imaps, &more)
    };
    let check = |certificate: &str, failure: &str| {
        let server = dovecot(&format!("ssl_cert = <DIR/{certificate}"), 1);
        over_tls(&server, server.ca_file()).row("tls", failure, does, 78);
        assert!(!server.log().contains("Login"), "{}", server.log());
    };
    check("expired.pem", "the certificate has expired");
    check("elsewhere.pem", "the certificate is for another host");
    let server = dovecot("ssl_min_protocol = TLSv1.2", 1);
    over_tls(&server, server.other_ca_file()).row(
        "tls",
        "the certificate is by nobody we know (or signed by itself)",
        does,
        78,
    );
    Site::at(server.imap, "tls = \"tls\"").row("tls", "the port speaks no TLS", does, 78);
    // The alert of a server that knows only versions before 1.2.
    let old = saying(b"\x15\x03\x01\x00\x02\x02\x46");
    Site::at(old, "tls = \"tls\"").row("tls", "the server speaks only TLS 1.0 or 1.1", does, 78);
    let silent = saying(b"");
    Site::at(silent, "tls = \"tls\"").row("tls", "the TLS handshake stalls", "given up after `silence_seconds`", 75);
}

#[test]
fn starttls() {
    let does = "no login is sent; STARTTLS is never optional";
    let server = dovecot("ssl = no", 1);
    let ca = server.ca_file();
    let more = format!("tls = \"starttls\"\nca_file = {ca:?}");
    Site::at(server.imap, &more).row(
        "starttls",
        "STARTTLS was asked for and is not offered (or stripped on the way)",
        does,
        78,
    );
    let refused = Script::start(|verb, _, _| match verb {
        "CAPABILITY" => say("* CAPABILITY IMAP4rev1 STARTTLS\r\nTAG OK done\r\n"),
        "STARTTLS" => say("TAG NO not today\r\n"),
        _ => Reply::Usual,
    });
    Site::at(refused.port, &more).row("starttls", "STARTTLS is offered and refused", does, 75);
    let injected = Script::start(|verb, _, _| match verb {
        "CAPABILITY" => say("* CAPABILITY IMAP4rev1 STARTTLS\r\nTAG OK done\r\n"),
        "STARTTLS" => say("TAG OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n"),
        _ => Reply::Usual,
    });
    let does = "the connection ends there: what comes in plain text is not believed";
    Site::at(injected.port, &more).row("starttls", "something was slipped in behind the answer to STARTTLS", does, 76);
    let does = "PREAUTH would skip TLS and login: refused";
    let preauth = script("", || say("* PREAUTH welcome\r\n"));
    Site::at(preauth.port, &more).row("starttls", "the server says that we are logged in already", does, 76);
}

#[test]
fn login() {
    let server = dovecot("", 1);
    let wrong = Site::at(server.imap, "password_command = \"echo wrong\"");
    wrong.row("login", "the password is wrong", "one try only, so that the account is not locked", 77);
    let check = |reply: fn() -> Reply, failure: &str, does: &str, status| {
        let script = script("LOGIN", reply);
        Site::at(script.port, "").row("login", failure, does, status);
        assert_eq!(script.verbs().iter().filter(|verb| *verb == "LOGIN").count(), 1);
    };
    let act = "one try only; a person must act";
    check(|| say("TAG NO [EXPIRED] Password expired\r\n"), "the password has expired", act, 77);
    check(|| say("TAG NO [PRIVACYREQUIRED] TLS first\r\n"), "the server wants TLS before the login", act, 77);
    let wait = "one try only; the next run tries again";
    check(|| say("TAG NO [UNAVAILABLE] later\r\n"), "the login server is not there", wait, 75);
    check(|| say("TAG NO [INUSE] locked\r\n"), "the mailbox is in use", wait, 75);
    check(|| say("TAG NO [LIMIT] too many\r\n"), "too many connections", wait, 75);
    check(|| Reply::SayAndClose(b"* BYE too many connections\r\n".to_vec()), "BYE instead of an answer", wait, 75);
    let disabled = script("CAPABILITY", || say("* CAPABILITY IMAP4rev1 LOGINDISABLED\r\nTAG OK\r\n"));
    Site::at(disabled.port, "").row("login", "logins are disabled", "nothing is sent", 78);
    let failing = Site::at(server.imap, "password_command = \"exit 3\"");
    failing.row("login", "the command for the password fails", "no connection is made", 78);
}

#[test]
fn plain_text() {
    let site = Site::at(993, "host = \"192.0.2.1\"");
    site.row("plain_text", "no TLS, and the server is not this machine", "no connection is made", 78);
}

#[test]
fn folders() {
    let server = dovecot("", 1);
    let missing = Site::at(server.imap, "folders = [\"Reports\", \"INBOX\"]");
    missing.row("folders", "a folder does not exist", "the other folders are read", 78);
    assert_eq!(missing.kept(), (1, 1));
    let check = |reply: fn() -> Reply, failure: &str, does: &str, status| {
        Site::at(script("EXAMINE", reply).port, "").row("folders", failure, does, status);
    };
    let does = "without it no UID means anything: the folder is not read";
    check(|| say("* 1 EXISTS\r\nTAG OK done\r\n"), "no UIDVALIDITY", does, 76);
    let unsteady = || say("* 1 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* NO [UIDNOTSTICKY] x\r\nTAG OK done\r\n");
    check(unsteady, "UIDs do not last (UIDNOTSTICKY)", "the folder is not read", 76);
    check(|| say("TAG NO [NOPERM] not yours\r\n"), "the folder is somebody else's", "the other folders are read", 77);
}

#[test]
fn uidvalidity() {
    let server = dovecot("", 3);
    let site = Site::at(server.imap, "after = \"move:Done\"");
    // A folder of its own for what was kept but not moved before the change.
    site.place
        .write("config.toml", fs::read_to_string(site.place.path("config.toml")).unwrap().replace("move:Done", "keep"));
    site.run(&["fetch"]).expect(0);
    server.forget_uids("alice", "INBOX");
    let does = "the folder is listed anew; what is known is told by its hash and stored no second time";
    site.row("uidvalidity", "UIDVALIDITY has changed", does, 0);
    assert_eq!(site.kept(), (3, 6));
}

#[test]
fn gone_meanwhile() {
    let script = Script::start(|verb, command, before| match verb {
        "FETCH" if command.contains("BODY") => say("TAG OK done\r\n"),
        "SEARCH" if before > 0 => say("* SEARCH\r\nTAG OK done\r\n"),
        _ => Reply::Usual,
    });
    let site = Site::at(script.port, "");
    let failure = "a message is expunged or moved by another client between SEARCH and FETCH";
    site.row("gone_meanwhile", failure, "passed over, when a second SEARCH does not list it", 0);
    assert_eq!((site.kept(), site.deferred()), ((0, 0), 0));
}

#[test]
fn undeliverable() {
    let script = Script::start(|verb, command, _| match verb {
        "FETCH" if command.contains("BODY") => say("TAG NO cannot read it\r\n"),
        _ => Reply::Usual,
    });
    let site = Site::at(script.port, "");
    let failure = "the server lists a message and does not deliver it";
    site.row("undeliverable", failure, "asked for again by the next two runs, after the others", 0);
    assert_eq!(site.deferred(), 1);
    site.run(&["fetch"]).expect(0);
    let third = site.run(&["fetch", "--strict"]);
    site.told(&third, "undeliverable", "… for the third time, with `--strict`", "then it is a problem", 65);
    let problems = site.run(&["problems", "--format", "json"]).expect(0);
    assert!(problems.stdout.contains("cannot read it"), "{problems:?}");
}

#[test]
fn fetching() {
    let check = |reply: fn() -> Reply, failure: &str, status| {
        let script = Script::start(move |verb, command, _| match verb {
            "FETCH" if command.contains("BODY") => reply(),
            _ => Reply::Usual,
        });
        Site::at(script.port, "").row("fetching", failure, "what was kept before stays; the next run goes on", status);
    };
    check(|| say("TAG NO [THROTTLED] slow down\r\n"), "the server throttles", 75);
    check(|| say("TAG NO [OVERQUOTA] too much\r\n"), "the account is over its quota", 75);
    check(|| say("TAG NO [UNAVAILABLE] back end away\r\n"), "the server's back end is not there", 75);
    check(|| say("TAG NO [LIMIT] enough for today\r\n"), "a limit of the server is reached", 75);
    let bye = || Reply::SayAndClose(b"* BYE shutting down\r\n".to_vec());
    check(bye, "the server shuts down", 75);
    let stalls = || Reply::SayAndHang(b"* 1 FETCH (UID 1 BODY[] {100}\r\nFrom: ".to_vec());
    check(stalls, "it stalls in a message", 75);
    let drips = || Reply::Drip(vec![b' '; 1 << 20], Duration::from_millis(300));
    let script = Script::start(move |verb, _, _| if verb.is_empty() { drips() } else { Reply::Usual });
    let site = Site::at(script.port, "command_seconds = 2");
    site.row("fetching", "it sends a byte at a time (slow loris)", "given up after `command_seconds`", 75);
}

#[test]
fn connection_lost() {
    let server = dovecot("", 60);
    // Lost, and lost again in the one new connection.
    let site = Site::at(proxy::cutting(server.imap, &[20_000, 9_000]), "batch_messages = 5");
    let does = "one new connection; then what was kept stays, and the next run goes on";
    site.row("connection_lost", "the connection is lost in a message, twice", does, 75);
    let (kept, _) = site.kept();
    assert!((1..60).contains(&kept), "{kept}");
    site.run(&["fetch"]).expect(0);
    assert_eq!(site.kept(), (60, 60 * 61 / 2));
    let once = Site::at(proxy::cutting(server.imap, &[20_000]), "");
    once.row("connection_lost", "the connection is lost once", "one new connection goes on where it was", 0);
    assert_eq!(once.kept().0, 60);
}

#[test]
fn moving() {
    let does = "COPY, `\\Deleted` on the copied alone, UID EXPUNGE of them alone";
    let server = dovecot("imap_capability = IMAP4rev1 UIDPLUS", 2);
    let site = Site::at(server.imap, "after = \"move:Done\"");
    site.row("moving", "the server knows no MOVE", does, 0);
    assert_eq!((server.stored("alice", "INBOX").len(), server.stored("alice", "Done").len()), (0, 2));
    let server = dovecot("imap_capability = IMAP4rev1", 2);
    let site = Site::at(server.imap, "after = \"move:Done\"");
    let does = "left where it is: a plain EXPUNGE would remove what others marked";
    site.row("moving", "neither MOVE nor UIDPLUS", does, 0);
    assert_eq!((site.kept(), server.stored("alice", "INBOX").len()), ((2, 3), 2));
    deliver(&server, 3, 3);
    let strict = site.run(&["fetch", "--strict"]);
    site.told(&strict, "moving", "… with `--strict`", "left where it is", 65);
}

#[test]
fn target() {
    let server = dovecot("namespace inbox {\n  prefix = INBOX.\n  separator = .\n}\n", 2);
    let site = Site::at(server.imap, "after = \"move:Done/DMARC\"");
    let does = "created once, with the server's prefix and delimiter";
    site.row("target", "the folder to move to does not exist", does, 0);
    assert_eq!(server.stored("alice", "Done/DMARC").len(), 2, "{}", server.log());
    let server = dovecot("", 2);
    let site = Site::at(server.imap, "after = \"move:a//b\"");
    site.row("target", "it cannot be created", "left where it is; tried again by the next run", 0);
    assert_eq!((site.kept(), server.stored("alice", "INBOX").len()), ((2, 3), 2));
}

#[test]
fn quota() {
    let extra = "mail_plugins = $mail_plugins quota\nprotocol imap {\n mail_plugins = $mail_plugins imap_quota\n}\n\
        plugin {\n quota = count:User quota\n quota_vsizes = yes\n quota_rule = *:storage=1K\n quota_grace = 0\n}\n\
        imap_capability = IMAP4rev1 UIDPLUS\n";
    let server = dovecot(extra, 3);
    let site = Site::at(server.imap, "after = \"move:Done\"");
    site.row("quota", "there is no room for the copy", "left where it is; tried again by the next run", 0);
    assert_eq!((site.kept(), server.stored("alice", "INBOX").len()), ((3, 6), 3));
    assert!(server.stored("alice", "Done").is_empty());
}

#[test]
fn read_only() {
    let script = Script::start(|verb, command, _| match verb {
        "SELECT" => say("* 1 EXISTS\r\n* OK [UIDVALIDITY 7] v\r\n* OK [UIDNEXT 2] n\r\nTAG OK [READ-ONLY] done\r\n"),
        "FETCH" if command.contains("BODY") => {
            let mail = mail("one", 1);
            say(format!("* 1 FETCH (UID 1 BODY[] {{{}}}\r\n{mail})\r\nTAG OK done\r\n", mail.len()))
        }
        _ => Reply::Usual,
    });
    let site = Site::at(script.port, "after = \"delete\"");
    site.row("read_only", "the folder may only be read", "read; nothing is flagged, moved or deleted", 0);
    assert_eq!(site.kept(), (1, 1));
    assert!(!script.verbs().iter().any(|verb| verb == "STORE" || verb == "EXPUNGE"), "{:?}", script.verbs());
}

#[test]
fn poison() {
    let server = dovecot("", 2);
    let broken = mail("broken", 1);
    server.deliver("alice", "INBOX", &broken.as_bytes()[..700]);
    deliver(&server, 3, 4);
    let site = Site::at(server.imap, "");
    let does = "a row under `problems`; the others are read in the same run";
    site.row("poison", "a report cannot be read", does, 0);
    assert_eq!(site.kept(), (4, 10));
    server.deliver("alice", "INBOX", mail("broken-too", 1).replace("</row>", "<row>").as_bytes());
    let strict = site.run(&["fetch", "--strict"]);
    site.told(&strict, "poison", "… with `--strict`", does, 65);
    let large = Site::at(server.imap, "");
    let config = fs::read_to_string(large.place.path("config.toml")).unwrap();
    large.place.write("config.toml", format!("{config}[limits]\nmessage_bytes = 1100\n"));
    large.row("poison", "a message is larger than `message_bytes`", "not fetched; a row under `problems`", 0);
    let listed = large.run(&["problems", "--format", "json"]).expect(0).stdout;
    assert!(listed.contains("1100"), "{listed}");
}

#[test]
fn hostile() {
    let check = |verb: &'static str, reply: fn() -> Reply, failure: &str| {
        let does = "the connection ends; what was kept stays";
        Site::at(script(verb, reply).port, "").row("hostile", failure, does, 76);
    };
    check("", || say("220 smtp ready\r\n"), "the server speaks another protocol");
    check("", || Reply::Flood(vec![b'A'; 65536]), "a line without end");
    check("SEARCH", || Reply::Flood(b"* 1 EXISTS\r\n".to_vec()), "untagged responses without end");
    let nested = || say([b"* 1 FETCH ".to_vec(), vec![b'('; 5000], b"\r\nTAG OK\r\n".to_vec()].concat());
    check("FETCH", nested, "parentheses nested without end");
    check("EXAMINE", || say("zz99 OK [READ-WRITE] ok\r\n"), "an answer to a command that was not sent");
    let literal = || say("* 1 FETCH (UID 1 BODY[] {99999999999}\r\n");
    check("FETCH", literal, "a literal of 100 GB");
}

#[test]
fn bounds_of_a_run() {
    let server = dovecot("", 10);
    let site = Site::at(server.imap, "run_messages = 4");
    let does = "what was read is kept and settled; the next run goes on";
    site.row("bounds_of_a_run", "more mail than `run_messages` or `run_bytes`", does, 75);
    assert_eq!(site.kept().0, 4);
    let silent = Script::start(|verb, _, _| match verb {
        "SEARCH" => Reply::Drip(vec![b' '; 1 << 20], Duration::from_millis(300)),
        _ => Reply::Usual,
    });
    let site = Site::at(silent.port, "run_seconds = 2");
    site.row("bounds_of_a_run", "the run takes longer than `run_seconds`", does, 75);
}

#[test]
fn overlapping() {
    let server = dovecot("", 1);
    let site = Site::at(server.imap, "");
    site.run(&["fetch"]).expect(0);
    let stuck = Script::start(|verb, _, _| if verb == "SEARCH" { Reply::SayAndHang(Vec::new()) } else { Reply::Usual });
    let long = Site::at(stuck.port, "silence_seconds = 20");
    let mut first = long.command(&["fetch"]).stderr(Stdio::null()).spawn().unwrap();
    while !stuck.verbs().iter().any(|verb| verb == "SEARCH") {
        thread::sleep(Duration::from_millis(10));
    }
    let config = fs::read_to_string(site.place.path("config.toml")).unwrap();
    long.place.write("config.toml", &config);
    let second = long.run(&["fetch"]);
    first.kill().unwrap();
    first.wait().unwrap();
    let does = "the second ends at once; the lock goes with the process that holds it";
    long.told(&second, "overlapping", "another run holds the database", does, 75);
    long.run(&["fetch"]).expect(0);
    assert_eq!(long.kept(), (1, 1));
}

#[test]
fn database() {
    let server = dovecot("", 3);
    let site = || Site::at(server.imap, "after = \"move:Done\"");
    let check = |site: &Site, failure: &str, does: &str, status| {
        site.row("database", failure, does, status);
        assert_eq!(server.stored("alice", "INBOX").len(), 3, "{failure}");
    };
    let busy = site();
    busy.run(&["summary"]);
    Connection::open(busy.place.path("db.sqlite")).unwrap().close().unwrap();
    let foreign = site();
    foreign.place.write("db.sqlite", "this is a letter, and not a database\n".repeat(200));
    let untouched = "neither recreated nor overwritten; no connection is made";
    check(&foreign, "the file is no database", untouched, 78);
    let newer = site();
    newer.run(&["ingest", newer.place.write("one.eml", mail("one", 1)).to_str().unwrap()]).expect(0);
    let connection = Connection::open(newer.place.path("db.sqlite")).unwrap();
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    connection.pragma_update(None, "user_version", version + 1).unwrap();
    drop(connection);
    check(&newer, "the file was written by a newer dmarcdb", untouched, 78);
    let truncated = site();
    truncated.run(&["ingest", truncated.place.write("one.eml", mail("one", 1)).to_str().unwrap()]).expect(0);
    let path = truncated.place.path("db.sqlite");
    let length = fs::metadata(&path).unwrap().len();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length / 2).unwrap();
    check(&truncated, "the file is truncated or damaged", untouched, 74);
    let nowhere = site();
    let file = nowhere.place.write("file", "");
    let config = nowhere.place.path("config.toml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_dmarcdb"));
    command.env_clear().env("PW", "alice-pw").env("HOME", nowhere.place.dir.path());
    command.arg("--db").arg(file.join("db.sqlite")).arg("--config").arg(config).arg("fetch");
    let ran: Ran = command.output().unwrap().into();
    nowhere.told(&ran, "database", "the file cannot be made", "no connection is made", 73);
}

#[test]
fn in_use() {
    let server = dovecot("", 3);
    let site = Site::at(server.imap, "after = \"move:Done\"");
    site.run(&["ingest", site.place.write("one.eml", mail("one", 1)).to_str().unwrap()]).expect(0);
    let holder = Connection::open(site.place.path("db.sqlite")).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let failure = "another program keeps the database locked for more than ten seconds";
    site.row("in_use", failure, "nothing is moved; the next run tries again", 75);
    assert_eq!(server.stored("alice", "INBOX").len(), 3);
    holder.execute_batch("ROLLBACK").unwrap();
    site.run(&["fetch"]).expect(0);
    assert_eq!(site.kept(), (4, 7));
}

/// Runs `fetch` with system calls that fail.
fn refused(server: &Dovecot, inject: &str) -> (Site, Ran) {
    let site = Site::at(server.imap, "after = \"move:Done\"");
    site.run(&["ingest", site.place.write("one.eml", mail("one", 1)).to_str().unwrap()]).expect(0);
    let plain = site.command(&["fetch"]);
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", inject, "-P"]).arg(site.place.path("db.sqlite-wal"));
    command.arg("-P").arg(site.place.path("db.sqlite")).arg(plain.get_program()).args(plain.get_args());
    command.env_clear().env("PATH", std::env::var("PATH").unwrap()).env("PW", "alice-pw").env("TZ", "UTC");
    command.env("HOME", site.place.dir.path()).current_dir(site.place.dir.path());
    let ran = command.output().unwrap().into();
    (site, ran)
}

#[test]
fn disk() {
    let server = dovecot("", 3);
    let does = "rolled back, nothing is moved; the next run goes on";
    let (site, ran) = refused(&server, "inject=pwrite64:error=ENOSPC:when=3+");
    site.told(&ran, "disk", "the disk is full", does, 74);
    assert_eq!(server.stored("alice", "INBOX").len(), 3);
    let (broken, ran) = refused(&server, "inject=fsync,fdatasync:error=EIO:when=1+");
    broken.told(&ran, "disk", "the disk fails", does, 74);
    site.run(&["fetch"]).expect(0);
    assert_eq!((site.kept(), server.stored("alice", "Done").len()), ((4, 7), 3));
}

/// Every test that the document names is there, and it names no row that is not made here.
#[test]
fn the_document_names_tests_that_are_there() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let here = fs::read_to_string(folder.join("matrix.rs")).unwrap();
    let mut named = 0;
    for line in document().lines().filter(|line| line.starts_with("| ") && line.contains("::")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        for test in cells.last().unwrap().split(", ") {
            let test = test.trim_matches('`');
            let (module, name) = test.split_once("::").unwrap_or_else(|| panic!("{line}"));
            let mut text = fs::read_to_string(folder.join(format!("{module}.rs"))).unwrap_or_default();
            for entry in fs::read_dir(folder.join(module)).into_iter().flatten() {
                text.push_str(&fs::read_to_string(entry.unwrap().path()).unwrap_or_default());
            }
            assert!(text.contains(&format!("fn {name}()")), "no test {test}: {line}");
            assert!(module != "matrix" || here.contains(&format!("\"{}\"", cells[0])), "no such row: {line}");
            named += 1;
        }
    }
    assert!(named > 60, "{named}");
}
