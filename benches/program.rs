//! Running the binary, with the time it takes and the most memory it holds.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

const DMARCDB: &str = env!("CARGO_BIN_EXE_dmarcdb");

/// What a run came to.
pub struct Ran {
    pub seconds: f64,
    /// Seconds of processor time, on all cores together, in steps of a hundredth.
    pub processor: f64,
    /// The most bytes that were resident.
    pub peak: u64,
    /// Standard output.
    pub answer: String,
}

impl Ran {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.answer).unwrap_or_else(|error| panic!("{error}: {}", self.answer))
    }
}

/// Runs the binary on the database `db`.
pub fn run(db: &Path, arguments: &[&str]) -> Ran {
    let (start, before) = (Instant::now(), children_seconds());
    let mut child = Command::new(DMARCDB)
        .env_clear()
        .env("HOME", db.parent().expect("a folder"))
        .arg("--db")
        .arg(db)
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("the binary runs");
    let mut out = child.stdout.take().expect("a pipe");
    let reading = thread::spawn(move || {
        let mut answer = String::new();
        out.read_to_string(&mut answer).expect("an answer");
        answer
    });
    let status_file = PathBuf::from(format!("/proc/{}/status", child.id()));
    // Seldom, because a look halts the program that is looked at.
    let (ended, over) = mpsc::channel::<()>();
    let watching = thread::spawn(move || {
        let mut peak = 0;
        while over.recv_timeout(Duration::from_millis(3)) == Err(RecvTimeoutError::Timeout) {
            peak = peak.max(peak_bytes(&status_file).unwrap_or_default());
        }
        peak
    });
    let status = child.wait().expect("a child");
    let seconds = start.elapsed().as_secs_f64();
    drop(ended);
    let (peak, processor) = (watching.join().expect("a peak"), children_seconds() - before);
    assert!(status.success(), "{arguments:?}: {status}");
    Ran { seconds, processor, peak, answer: reading.join().expect("an answer") }
}

/// `VmHWM`: the most that was ever resident. It only grows, so the last look before the end is the peak but for little.
fn peak_bytes(status: &Path) -> Option<u64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// User and system time of a process and of those of its children that have ended.
#[allow(dead_code, reason = "shared with the other benchmarks")]
pub fn processor_seconds_of(process: u32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let fields = text.rsplit_once(") ")?.1.split(' ').skip(11).take(4);
    Some(fields.map(|ticks| ticks.parse::<f64>().unwrap_or(0.0)).sum::<f64>() / 100.0)
}

/// User and system time of all children that have ended, the 16th and 17th field of proc(5), in ticks of a hundredth second.
fn children_seconds() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").expect("/proc");
    let fields = text.rsplit_once(") ").expect("fields").1.split(' ').skip(13).take(2);
    fields.map(|ticks| ticks.parse::<f64>().expect("ticks")).sum::<f64>() / 100.0
}

/// Removes a database and what SQLite and the store keep beside it.
pub fn remove(db: &Path) {
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let mut path = db.as_os_str().to_owned();
        path.push(suffix);
        let _ = fs::remove_file(path);
    }
}
