//! Every case of the scripted hostile server in the shared corpus, through the binary: how the run ends, that nothing is
//! lost or doubled, and that time and memory stay bounded. Runs where the corpus and python3 are.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use crate::support::run::{Place, mail};

/// The server's folder and a python3, where both are.
fn scripted() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/imap-faults");
    let python = Command::new("python3").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !folder.join("fakeimap.py").is_file() || !python.is_ok_and(|status| status.success()) {
        eprintln!("no scripted server at {}, or no python3: nothing compared", folder.display());
        return None;
    }
    Some(folder)
}

/// A running case; killed when dropped.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Serves `message`, which is a report: what holds none is never moved.
    fn start(folder: &Path, case: &str, place: &Place) -> Server {
        let script = fs::read_to_string(folder.join("fakeimap.py")).unwrap();
        let mut lines: Vec<&str> = script.lines().collect();
        let message = lines.iter_mut().find(|line| line.starts_with("MSG=")).expect("a message in the script");
        *message = "MSG=open(sys.argv[2],'rb').read()";
        let script = place.write("fakeimap.py", lines.join("\n"));
        let mut child = Command::new("python3")
            .arg(script)
            .arg(case)
            .arg(place.write("message", mail("only", 1)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Server { port: line.trim().parse().unwrap_or_else(|_| panic!("{case}: no port: {line:?}")), child }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a run came to.
#[derive(Debug)]
struct Ended {
    status: Option<i32>,
    stderr: String,
    took: Duration,
    /// Peak of resident memory, KiB.
    peak: u64,
    /// Messages in the ledger, and those that the server owes us.
    messages: i64,
    reports: i64,
    deferred: i64,
    unsettled: i64,
}

fn run(folder: &Path, case: &str) -> Ended {
    let place = Place::new();
    let server = Server::start(folder, case, &place);
    let config = place.write(
        "config.toml",
        format!(
            "[[account]]\nname = \"a\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nuser = \"u\"\n\
             password_env = \"PW\"\nafter = \"move:Done\"\nconnect_seconds = 5\nsilence_seconds = 5\n",
            server.port
        ),
    );
    let started = Instant::now();
    let mut command = place.command(&["--config", config.to_str().unwrap(), "fetch"]);
    let mut child = command.env("PW", "pw").stderr(Stdio::piped()).spawn().unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = peak.max(peak_memory(child.id()).unwrap_or(0));
        assert!(started.elapsed() < Duration::from_secs(120), "{case} does not end");
        sleep(Duration::from_millis(10));
    }
    let took = started.elapsed();
    let output = child.wait_with_output().unwrap();
    let database = place.path("db.sqlite").is_file().then(|| place.database());
    let count = |table: &str| {
        let count =
            database.as_ref().map(|db| db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)));
        count.map_or(0, Result::unwrap)
    };
    Ended {
        status: output.status.code(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        took,
        peak,
        messages: count("message"),
        reports: count("v_report"),
        deferred: count("deferred"),
        unsettled: count("place WHERE settled = 0"),
    }
}

fn peak_memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// What must be in the database after a case that brings the message, and after one that does not.
fn check(case: &str, exit: i32, ended: &Ended) -> Result<(), String> {
    let fail = |what: &str| Err(format!("{case}: {what}: {ended:?}"));
    if ended.status != Some(exit) {
        return fail(&format!("expected status {exit}"));
    }
    let (messages, deferred, unsettled) = match case {
        // The message is kept; what could not be moved is known to be there still.
        "mv-no" | "mv-close" => (1, 0, 1),
        "ok" | "greet-esc" | "search-1m" | "fetch-twice" | "size-lie" | "lf-literal-20m" | "mv-bad" => (1, 0, 0),
        // The server lists it still: it is asked for again by the next runs, and a problem after three.
        "wrong-uid" | "no-uid" | "nil-body" | "expunged" | "fetch-no" => (0, 1, 0),
        _ => (0, 0, 0),
    };
    let whole = !matches!(case, "fetch-twice" | "size-lie" | "lf-literal-20m");
    if ended.reports != i64::from(whole) * messages {
        return fail("reports");
    }
    if (ended.messages, ended.deferred, ended.unsettled) != (messages, deferred, unsettled) {
        return fail(&format!("expected {messages} messages, {deferred} deferred, {unsettled} unsettled"));
    }
    let lines = ended.stderr.lines().count();
    let told = if exit == 0 && case != "mv-no" { 0 } else { 1 };
    if lines != told || ended.stderr.contains(|character: char| character.is_control() && character != '\n') {
        return fail(&format!("expected {told} clean lines"));
    }
    let memory = match case {
        "endless-greeting" => 64 << 10,
        _ => 128 << 10,
    };
    if ended.peak > memory {
        return fail("too much memory");
    }
    // Generous: the machine runs all tests at once. A case that is not bounded never ends.
    if ended.took > Duration::from_secs(60) {
        return fail("too long");
    }
    Ok(())
}

#[test]
fn every_case_ends_as_required() {
    let Some(folder) = scripted() else { return };
    let table = fs::read_to_string(folder.join("cases.tsv")).unwrap();
    let cases: Vec<(&str, i32)> = table
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            (cells[0], cells[3].parse().unwrap_or_else(|_| panic!("{line}")))
        })
        .collect();
    assert_eq!(cases.len(), 47);
    let queue = Mutex::new(cases.iter());
    let failed = Mutex::new(Vec::new());
    scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                loop {
                    let Some((case, exit)) = queue.lock().unwrap().next() else { return };
                    if let Err(reason) = check(case, *exit, &run(&folder, case)) {
                        failed.lock().unwrap().push(reason);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} cases:\n{}", failed.len(), cases.len(), failed.join("\n"));
}
