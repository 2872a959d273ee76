//! `dmarcdb fetch --watch` through the front door: mail as it comes, servers that go and come back, signals, and what the
//! service manager is told.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::dovecot::Dovecot;
use crate::support::proxy;
use crate::support::run::{Place, mail};
use crate::support::script::{MESSAGE, Reply, Script, say};

/// A watch that runs until it is dropped.
struct Watch {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Watch {
    fn start(place: &Place, change: impl FnOnce(&mut Command)) -> Watch {
        let config = place.path("config.toml");
        let mut command = place.command(&["--config", config.to_str().unwrap(), "fetch", "--watch"]);
        command.env("ALICE_PW", "alice-pw").env("BOB_PW", "bob-pw").stderr(Stdio::piped());
        change(&mut command);
        let mut child = command.spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (stderr, noted) = (BufReader::new(child.stderr.take().unwrap()), lines.clone());
        thread::spawn(move || stderr.lines().map_while(Result::ok).for_each(|line| noted.lock().unwrap().push(line)));
        Watch { child, lines }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Ends it by SIGTERM, which must take less than five seconds; its lines.
    #[track_caller]
    fn end(mut self) -> Vec<String> {
        let started = Instant::now();
        self.signal(Signal::TERM);
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{:?}", self.lines());
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        sleep(Duration::from_millis(50));
        self.lines()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the watch said: {:#?}", self.lines());
        }
    }
}

/// Waits until `done`, which must be soon; how long that took.
#[track_caller]
fn soon(what: &str, mut done: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(60), "never: {what}");
        sleep(Duration::from_millis(20));
    }
    started.elapsed()
}

fn reports(place: &Place) -> i64 {
    // It may not be there yet, or be taken at this moment.
    let path = place.path("db.sqlite");
    let open = || {
        let database = rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        database.query_row("SELECT count(*) FROM v_report", [], |row| row.get(0))
    };
    open().unwrap_or(0)
}

/// An account of `user` on `port`.
fn account(server: &Dovecot, port: u16, user: &str, more: &str) -> String {
    format!(
        "[[account]]\nname = \"{user}\"\nhost = \"localhost\"\nport = {port}\nca_file = {:?}\nuser = \"{user}\"\n\
         password_env = \"{}_PW\"\n{more}\n",
        server.ca_file(),
        user.to_uppercase(),
    )
}

fn deliver(server: &Dovecot, user: &str, folder: &str, from: u32, to: u32) {
    for number in from..=to {
        server.deliver(user, folder, mail(&format!("{user}-{folder}-{number}"), number).as_bytes());
    }
}

#[test]
fn what_is_there_is_read_first_and_then_what_comes() {
    let (server, place) = (Dovecot::start(), Place::new());
    deliver(&server, "alice", "INBOX", 1, 1200);
    // Only the server can tell in time.
    place.write("config.toml", account(&server, server.imaps, "alice", "poll_seconds = 3600"));
    let watch = Watch::start(&place, |_| {});
    soon("the backlog", || reports(&place) == 1200);
    for number in 1201..=1203 {
        deliver(&server, "alice", "INBOX", number, number);
        let took = soon("new mail", || reports(&place) == i64::from(number));
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
    assert_eq!(watch.end(), [""; 0], "quiet when all is well");
}

#[test]
fn servers_that_do_not_tell_and_several_folders_are_asked() {
    let server = Dovecot::start_with("imap_capability = IMAP4rev1 UIDPLUS MOVE");
    let place = Place::new();
    let folders = "folders = [\"INBOX\", \"Other\"]\npoll_seconds = 1\nafter = \"move:Done\"";
    server.create_folder("bob", "Other");
    let idle = Dovecot::start();
    idle.create_folder("alice", "Other");
    place.write(
        "config.toml",
        account(&server, server.imaps, "bob", folders) + &account(&idle, idle.imaps, "alice", folders),
    );
    let watch = Watch::start(&place, |_| {});
    let mut expected = 0;
    for round in 1..=2 {
        for (server, user) in [(&server, "bob"), (&idle, "alice")] {
            for folder in ["INBOX", "Other"] {
                deliver(server, user, folder, round, round);
                expected += 1;
            }
        }
        soon("mail in every folder", || reports(&place) == expected);
    }
    soon("all moved", || server.stored("bob", "Done").len() == 4 && idle.stored("alice", "Done").len() == 4);
    assert_eq!(watch.end(), [""; 0]);
}

#[test]
fn a_server_that_goes_and_comes_back_makes_two_lines() {
    let (mut server, place) = (Dovecot::start(), Place::new());
    let other = Dovecot::start();
    deliver(&server, "alice", "INBOX", 1, 1);
    place.write(
        "config.toml",
        account(&server, server.imaps, "alice", "") + &account(&other, other.imaps, "bob", "poll_seconds = 1"),
    );
    let watch = Watch::start(&place, |_| {});
    soon("the first", || reports(&place) == 1);
    server.kill();
    deliver(&server, "alice", "INBOX", 2, 2);
    soon("the failure", || !watch.lines().is_empty());
    // The other account goes on meanwhile.
    deliver(&other, "bob", "INBOX", 1, 1);
    soon("the other account", || reports(&place) == 2);
    sleep(Duration::from_millis(2500));
    server.revive();
    soon("the second", || reports(&place) == 3);
    soon("the recovery", || watch.lines().len() == 2);
    let lines = watch.end();
    assert!(lines[0].contains("account `alice`") && lines[0].contains("trying again"), "{lines:?}");
    assert!(lines[1].contains("account `alice`: works again"), "{lines:?}");
    assert_eq!(lines.len(), 2, "{lines:?}");
}

#[test]
fn a_slow_account_does_not_hold_up_the_others() {
    let (server, place) = (Dovecot::start(), Place::new());
    deliver(&server, "alice", "INBOX", 1, 5);
    let script = Script::start(|verb, command, _| match verb {
        "FETCH" if command.contains("BODY") => Reply::SayAndHang(b"* 1 FETCH (UID 1 BODY[] {1000}\r\nxxxx".to_vec()),
        _ => Reply::Usual,
    });
    let slow = format!(
        "[[account]]\nname = \"slow\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nuser = \"u\"\n\
         password_env = \"BOB_PW\"\n",
        script.port
    );
    place.write("config.toml", slow + &account(&server, server.imaps, "alice", ""));
    let watch = Watch::start(&place, |_| {});
    soon("the slow account is asked", || script.commands().iter().any(|line| line.contains("BODY")));
    soon("the other's mail", || reports(&place) == 5);
    deliver(&server, "alice", "INBOX", 6, 6);
    soon("the other's new mail", || reports(&place) == 6);
    watch.end();
}

#[test]
fn a_hangup_reads_the_configuration_again() {
    let (server, place) = (Dovecot::start(), Place::new());
    deliver(&server, "alice", "INBOX", 1, 1);
    deliver(&server, "bob", "INBOX", 1, 1);
    let alice = account(&server, server.imaps, "alice", "");
    place.write("config.toml", &alice);
    let watch = Watch::start(&place, |_| {});
    soon("alice's", || reports(&place) == 1);
    place.write("config.toml", "nonsense = 1\n");
    watch.signal(Signal::HUP);
    soon("the complaint", || watch.lines().len() == 2);
    deliver(&server, "alice", "INBOX", 2, 2);
    soon("alice's next", || reports(&place) == 2);
    place.write("config.toml", alice + &account(&server, server.imaps, "bob", ""));
    watch.signal(Signal::HUP);
    soon("bob's", || reports(&place) == 3);
    let lines = watch.end();
    assert!(lines[0].contains("config.toml:1: unknown key `nonsense`"), "{lines:?}");
    assert!(lines[1].contains("stays as it was") && lines[2].contains("read again"), "{lines:?}");
    assert_eq!(lines.len(), 3, "{lines:?}");
}

#[test]
fn a_configuration_with_mistakes_or_a_database_in_use_does_not_start() {
    let (server, place) = (Dovecot::start(), Place::new());
    place.write("config.toml", "nonsense = 1\n");
    let mut bad = Watch::start(&place, |_| {});
    assert_eq!(bad.child.wait().unwrap().code(), Some(78));
    place.write("config.toml", account(&server, server.imaps, "alice", ""));
    let first = Watch::start(&place, |_| {});
    deliver(&server, "alice", "INBOX", 1, 1);
    soon("the first one's mail", || reports(&place) == 1);
    let mut second = Watch::start(&place, |_| {});
    assert_eq!(second.child.wait().unwrap().code(), Some(75));
    place.run(&["fetch", "--watch", "--dry-run"]).expect(2);
    first.end();
}

/// What is sent to `socket` until `enough`.
fn told(socket: &UnixDatagram, enough: impl Fn(&[String]) -> bool) -> Vec<String> {
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut messages = Vec::new();
    let mut buffer = [0; 4096];
    while !enough(&messages) {
        let count = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{error}: {messages:?}"));
        messages.push(String::from_utf8(buffer[..count].to_vec()).unwrap());
    }
    messages
}

#[test]
fn the_service_manager_is_told() {
    let (server, place) = (Dovecot::start(), Place::new());
    place.write("config.toml", account(&server, server.imaps, "alice", ""));
    let path = place.path("notify");
    let name = format!("dmarcdb-test-{}", std::process::id());
    let abstract_address = SocketAddr::from_abstract_name(&name).unwrap();
    for (socket, address) in [
        (UnixDatagram::bind(&path).unwrap(), path.to_str().unwrap().to_owned()),
        (UnixDatagram::bind_addr(&abstract_address).unwrap(), format!("@{name}")),
    ] {
        let watch = Watch::start(&place, |command| {
            command.env("NOTIFY_SOCKET", &address).env("WATCHDOG_USEC", "1000000");
        });
        let has = |word: &'static str| move |messages: &[String]| messages.iter().any(|message| message.contains(word));
        let messages = told(&socket, has("STATUS=watching alice"));
        assert_eq!(messages[0], "READY=1");
        // Signs of life go on while the account waits for mail.
        told(&socket, |messages| messages.iter().filter(|message| *message == "WATCHDOG=1").count() >= 6);
        watch.signal(Signal::HUP);
        let messages = told(&socket, |messages| messages.iter().any(|message| message == "READY=1"));
        assert!(messages.iter().any(|message| message.starts_with("RELOADING=1\nMONOTONIC_USEC=")), "{messages:?}");
        told(&socket, has("STATUS=watching alice"));
        watch.signal(Signal::TERM);
        told(&socket, has("STOPPING=1"));
    }
    // A watchdog that is meant for another process is none of ours.
    let socket = UnixDatagram::bind(place.path("other")).unwrap();
    let watch = Watch::start(&place, |command| {
        command.env("NOTIFY_SOCKET", place.path("other"));
        command.env("WATCHDOG_USEC", "100000").env("WATCHDOG_PID", "1");
    });
    told(&socket, |messages| messages.iter().any(|message| message == "STATUS=watching alice"));
    sleep(Duration::from_millis(500));
    watch.end();
    let rest = told(&socket, |messages| messages.iter().any(|message| message == "STOPPING=1"));
    assert!(!rest.iter().any(|message| message == "WATCHDOG=1"), "{rest:?}");
}

/// A script with IDLE, one message, and a configuration for it.
fn scripted(place: &Place, more: &str, reply: fn(&str, &str, usize) -> Reply) -> Script {
    let script = Script::start(move |verb, command, before| match verb {
        "CAPABILITY" => say("* CAPABILITY IMAP4rev1 IDLE\r\nTAG OK\r\n"),
        "SEARCH" if command.contains("UID 2:*") => say("* SEARCH\r\nTAG OK\r\n"),
        _ => reply(verb, command, before),
    });
    place.write(
        "config.toml",
        format!(
            "[[account]]\nname = \"a\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nuser = \"u\"\n\
             password_env = \"BOB_PW\"\n{more}\n",
            script.port
        ),
    );
    script
}

fn idle() -> Reply {
    // Silence, until the client has had enough.
    Reply::Continue { challenges: vec!["idling".into()], then: b"TAG OK done\r\n".to_vec() }
}

fn count(script: &Script, verb: &str) -> usize {
    script.verbs().iter().filter(|seen| *seen == verb).count()
}

#[test]
fn an_idle_is_issued_again_before_the_server_loses_patience() {
    let place = Place::new();
    let script = scripted(&place, "idle_seconds = 1", |verb, _, _| match verb {
        "IDLE" => idle(),
        _ => Reply::Usual,
    });
    let watch = Watch::start(&place, |_| {});
    soon("three times", || count(&script, "IDLE") >= 3);
    assert_eq!(script.answers()[..2], ["DONE", "DONE"]);
    assert_eq!(count(&script, "LOGIN"), 1, "over one connection");
    assert_eq!(watch.end(), [""; 0]);
    assert_eq!(script.verbs().last().map(String::as_str), Some("LOGOUT"));
    assert_eq!(script.answers().len(), count(&script, "IDLE"), "the last one too");
}

#[test]
fn mail_that_is_announced_before_the_wait_is_not_waited_for() {
    let place = Place::new();
    // A second message arrives after the search, and this is the only time that the server says so.
    let script = scripted(&place, "", |verb, command, before| match verb {
        "IDLE" => idle(),
        "FETCH" if command.contains("BODY") && before == 1 => {
            let message = String::from_utf8_lossy(MESSAGE);
            let length = MESSAGE.len();
            say(format!("* 1 FETCH (UID 1 BODY[] {{{length}}}\r\n{message})\r\n* 2 EXISTS\r\nTAG OK\r\n"))
        }
        _ => Reply::Usual,
    });
    let watch = Watch::start(&place, |_| {});
    soon("the wait", || count(&script, "IDLE") == 1);
    let verbs = script.verbs();
    assert_eq!(verbs.iter().filter(|verb| *verb == "EXAMINE").count(), 2, "looked again first: {verbs:?}");
    watch.end();
}

#[test]
fn a_server_that_refuses_to_tell_is_asked() {
    let place = Place::new();
    let script = scripted(&place, "poll_seconds = 1", |verb, _, _| match verb {
        "IDLE" => say("TAG NO not today\r\n"),
        _ => Reply::Usual,
    });
    let watch = Watch::start(&place, |_| {});
    soon("several looks", || count(&script, "EXAMINE") >= 4);
    assert!(count(&script, "IDLE") <= 2, "{:?}", script.verbs());
    watch.end();
}

#[test]
fn a_server_that_throws_out_whoever_waits_is_not_stormed() {
    let place = Place::new();
    let script = scripted(&place, "", |verb, _, _| match verb {
        "IDLE" => Reply::SayAndClose(b"+ idling\r\n* BYE idle for too long\r\n".to_vec()),
        _ => Reply::Usual,
    });
    let watch = Watch::start(&place, |_| {});
    sleep(Duration::from_secs(6));
    let logins = count(&script, "LOGIN");
    assert!((2..=5).contains(&logins), "{logins} logins");
    let lines = watch.end();
    assert!(lines[0].contains("idle for too long"), "{lines:?}");
}

#[test]
fn the_units_are_what_systemd_understands() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    let place = Place::new();
    let mut units = Vec::new();
    for name in ["dmarcdb.service", "dmarcdb-fetch.service", "dmarcdb-fetch.timer"] {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', '['])) {
            assert!(
                line.split_once('=').is_some_and(|(key, _)| key.chars().all(char::is_alphanumeric)),
                "{name}: {line}"
            );
        }
        if name.ends_with(".service") {
            for key in
                ["ExecStart=/usr/bin/dmarcdb fetch", "NoNewPrivileges=yes", "StateDirectory=dmarcdb", "User=dmarcdb"]
            {
                assert!(text.lines().any(|line| line.starts_with(key)), "{name}: {key}");
            }
        }
        // The binary is not installed here.
        units.push(place.write(name, text.replace("/usr/bin/dmarcdb", env!("CARGO_BIN_EXE_dmarcdb"))));
    }
    let service = fs::read_to_string(&units[0]).unwrap();
    for key in ["Type=notify", "WatchdogSec=", "ExecReload=", "#LoadCredential="] {
        assert!(service.lines().any(|line| line.starts_with(key)), "{key}");
    }
    let Ok(verified) = Command::new("systemd-analyze").arg("verify").args(&units).output() else {
        eprintln!("no systemd-analyze: the keys were compared only");
        return;
    };
    let told = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(verified.status.success() && !told.contains("dmarcdb"), "{told}");
}

// ---------------------------------------------------------------- soak

/// Peak and present resident memory, KiB.
fn memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Waits until `sent` messages of each account are there, however often connections break meanwhile.
fn all_read(place: &Place, sent: u32) {
    let started = Instant::now();
    while reports(place) < 2 * i64::from(sent) {
        assert!(started.elapsed() < Duration::from_secs(120), "{} of twice {sent}", reports(place));
        sleep(Duration::from_millis(100));
    }
}

/// `DMARCDB_SOAK_SECONDS` (see `make soak`), else a few seconds: mail keeps coming, connections keep breaking, the server
/// is killed and comes back, a folder loses its UIDs, the configuration is read again. Nothing may be lost or counted
/// twice, and memory must not grow.
#[test]
fn faults_for_a_while_lose_nothing_and_memory_stays_flat() {
    let seconds = std::env::var("DMARCDB_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    let (mut server, place) = (Dovecot::start(), Place::new());
    // Some connections break early, some late, by a fixed chance.
    let mut chance = 1_u32;
    let mut next = move || {
        chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (chance >> 8) as usize
    };
    let cuts: Vec<usize> = (0..100_000).map(|_| 1000 + next() % 300_000).collect();
    let port = proxy::cutting(server.imaps, &cuts);
    let bob = account(&server, server.imaps, "bob", "poll_seconds = 1\nafter = \"move:Done\"");
    place.write("config.toml", account(&server, port, "alice", "poll_seconds = 1\nidle_seconds = 2") + &bob);
    let watch = Watch::start(&place, |_| {});
    let (started, mut sent, mut samples) = (Instant::now(), 0, Vec::new());
    let mut ticks = 0;
    while started.elapsed() < Duration::from_secs(seconds) {
        sent += 1;
        ticks += 1;
        deliver(&server, "alice", "INBOX", sent, sent);
        deliver(&server, "bob", "INBOX", sent, sent);
        match ticks % 400 {
            60 => watch.signal(Signal::HUP),
            100 => {
                server.kill();
                sleep(Duration::from_millis(300));
                server.revive();
            }
            200 => server.forget_uids("alice", "INBOX"),
            _ => {}
        }
        samples.push(memory(watch.child.id()));
        sleep(Duration::from_millis(50));
        // What is read is only looked at; the folder must not grow for hours.
        if ticks % 1000 == 0 {
            all_read(&place, sent);
            server.talk("alice", &["SELECT INBOX", "STORE 1:* +FLAGS.SILENT (\\Deleted)", "EXPUNGE"]);
        }
    }
    all_read(&place, sent);
    let (count, messages): (i64, i64) = place
        .database()
        .query_row("SELECT count(*), sum(messages) FROM v_report", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    let sum = i64::from(sent) * (i64::from(sent) + 1);
    assert_eq!((count, messages), (2 * i64::from(sent), sum), "{:?}", watch.lines());
    let quarter = samples.len() / 4;
    let average = |samples: &[u64]| samples.iter().sum::<u64>() / samples.len().max(1) as u64;
    let (early, late) = (average(&samples[quarter..2 * quarter]), average(&samples[3 * quarter..]));
    eprintln!("{sent} messages for each of two accounts in {seconds} s: {early} KiB early, {late} KiB late");
    // Caches fill in the beginning; in a short run that is still going on.
    let more = if seconds >= 300 { early / 10 } else { early / 2 };
    assert!(late <= early + more + 4096, "memory grows from {early} KiB to {late} KiB");
    assert!(late < 96 << 10, "{late} KiB");
    watch.end();
}
