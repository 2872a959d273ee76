//! What the doctor looks at beside the tables: configuration, files and their modes, lock, disk, clock, and how old the
//! newest data is.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Findings;
use crate::cli::Context;
use crate::config::Config;
use crate::render::number;
use crate::store::{check, migrations};

/// No clock that is right shows a time before this version was written: 2026-11-01.
const BUILT_AFTER: i64 = 1_793_491_200;
/// Clocks of two machines may differ by so much.
const CLOCK_SECONDS: i64 = 3_600;
/// A folder that was not read for so long is looked into.
const FETCH_SECONDS: i64 = 2 * 86_400;
/// Reports come every day. Two days late is not unusual, four are.
const REPORT_SECONDS: i64 = 4 * 86_400;
/// A write-ahead log of more bytes is not folded back into the database, mostly because something keeps reading.
const WAL_BYTES: u64 = 256 << 20;
/// With fewer bytes left the disk is as good as full; with fewer of these times the database's size it soon may be.
const FULL_BYTES: u64 = 16 << 20;
const ROOM_BYTES: u64 = 256 << 20;
/// Lines about single domains.
const TOLD: usize = 20;

/// The configuration, or the defaults where it has mistakes.
pub fn configuration(context: &Context, findings: &mut Findings) -> Config {
    let config = match context.config() {
        Ok(config) => config,
        Err(error) => {
            for line in error.text.lines() {
                findings.error("configuration", line, "`dmarcdb config check` once it is mended");
            }
            return Config::default();
        }
    };
    let path = Config::find(context.config_path.as_deref()).ok().flatten();
    let place =
        path.as_ref().map_or_else(|| "no file, the defaults hold".to_owned(), |path| path.display().to_string());
    let unset = match (&config.authserv_id, config.accounts.is_empty()) {
        (None, false) => "; `authserv_id` is not set, so no report is verified and no complaint trusted",
        _ => "",
    };
    findings.ok("configuration", format!("{place}{unset}"));
    if let Some(path) = path {
        mode("configuration", &path, 0o022, "others may change the configuration", "chmod go-w", findings);
    }
    config
}

/// Modes and sizes of the database's files, and whether a run has the lock.
pub fn files(path: &Path, findings: &mut Findings) {
    let folder = folder(path);
    let mut well =
        mode("mode", &folder, 0o022, "others may replace files in the database's folder", "chmod go-w", findings);
    for end in ["", "-wal", "-shm", ".lock"] {
        well &= mode("mode", &beside(path, end), 0o077, "others may read or write it", "chmod 600", findings);
    }
    if well {
        findings.ok("mode", "the database is for its owner alone");
    }
    match fs::metadata(beside(path, "-wal")).map(|log| log.len()) {
        Ok(bytes) if bytes > WAL_BYTES => findings.warn(
            "wal",
            format!("{} bytes wait in the write-ahead log", number::grouped(whole(bytes))),
            "end what keeps the database open, then run `dmarcdb fetch`",
        ),
        Ok(bytes) => findings.ok("wal", format!("{} bytes in the write-ahead log", number::grouped(whole(bytes)))),
        Err(_) => findings.ok("wal", "no write-ahead log"),
    }
    match locked(&beside(path, ".lock")) {
        Some(true) => findings.ok("lock", "a run is writing now"),
        Some(false) => findings.ok("lock", "free"),
        None => {}
    }
}

/// Whether `path` has none of the bits of `mask`; a file that is not there has none.
fn mode(check: &'static str, path: &Path, mask: u32, wrong: &str, command: &str, findings: &mut Findings) -> bool {
    let Ok(found) = fs::metadata(path) else { return true };
    // In a folder like /tmp nobody can replace what is not theirs.
    let sticky = found.is_dir() && found.mode() & 0o1000 != 0;
    if found.mode() & mask == 0 || sticky {
        return true;
    }
    let path = path.display();
    findings.warn(check, format!("{path}: mode {:03o}: {wrong}", found.mode() & 0o777), format!("{command} {path}"));
    false
}

/// Whether the lock is held, by the system's own list: trying it would be in the way of a run that starts.
fn locked(path: &Path) -> Option<bool> {
    let Ok(file) = fs::metadata(path) else { return Some(false) };
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let inode = format!(":{}", file.ino());
    Some(locks.lines().any(|line| {
        let mut words = line.split_whitespace();
        line.contains("FLOCK") && words.any(|word| word.ends_with(&inode) && word.matches(':').count() == 2)
    }))
}

/// What a check without findings has shown.
pub fn meaning(check: &str, full: bool) -> &'static str {
    match (check, full) {
        ("integrity", true) => "every page and every index is whole",
        ("integrity", false) => "every page is whole",
        ("foreign_keys", _) => "what rows point to is there",
        ("orphans", _) => "no row is left over",
        ("ledger", _) => "what messages are told to hold is there",
        ("sums", _) => "reports count what their records count",
        ("daily", true) => "daily sums are those of the records, entry by entry",
        ("daily", false) => "daily sums are those of the records",
        ("identities", _) => "of every report that came in several versions one stands",
        _ => "nothing found",
    }
}

/// Version, clock, what waits, and how fresh the data is.
pub fn figures(now: i64, config: &Config, figures: &check::Figures, findings: &mut Findings) {
    if figures.version < migrations::VERSION {
        let text = format!("version {}, this dmarcdb writes {}", figures.version, migrations::VERSION);
        findings.warn(
            "schema",
            text,
            "the next `dmarcdb fetch` or `ingest` brings it up to date; make a backup before",
        );
    } else {
        findings.ok("schema", format!("version {}", figures.version));
    }
    clock(now, figures.newest_seen_at, findings);
    fetched(now, config, figures, findings);
    newest_reports(now, config, figures, findings);
    let waiting = |count: i64, noun: &str| number::count(count, noun);
    match figures.deferred {
        0 => findings.ok("deferred", "the server handed over all that it lists"),
        count => findings.warn(
            "deferred",
            format!("{} that the server lists but did not hand over", waiting(count, "message")),
            "`dmarcdb fetch` asks again and after three runs makes it a problem",
        ),
    }
    match figures.unsettled {
        0 => findings.ok("unsettled", "nothing is left to do at the source"),
        count => findings.warn(
            "unsettled",
            format!("{} kept, and still to be flagged, moved or deleted at the source", waiting(count, "message")),
            "`dmarcdb fetch` goes on with it",
        ),
    }
    // Strangers fill that mailbox: no alarm.
    findings.ok(
        "problems",
        match figures.problems {
            0 => "none waits".to_owned(),
            count => format!("{} waiting: `dmarcdb problems` tells which", waiting(count, "problem")),
        },
    );
}

fn clock(now: i64, newest_seen_at: Option<i64>, findings: &mut Findings) {
    let time = number::time(now);
    if now < BUILT_AFTER {
        findings.error("clock", format!("it is {time} UTC, before this version was written"), "set the clock");
    } else if let Some(seen) = newest_seen_at.filter(|seen| *seen > now.saturating_add(CLOCK_SECONDS)) {
        let text = format!("it is {time} UTC, but a message was kept {} UTC", number::time(seen));
        findings.warn("clock", text, "set the clock, or wait until it is past that");
    } else {
        findings.ok("clock", format!("{time} UTC"));
    }
}

fn fetched(now: i64, config: &Config, figures: &check::Figures, findings: &mut Findings) {
    for account in &config.accounts {
        let mut known = figures.mailboxes.iter().filter(|(name, ..)| *name == account.name).peekable();
        if known.peek().is_none() {
            findings.warn("fetch", format!("account `{}` was never read", account.name), "run `dmarcdb fetch -v`");
        }
        for (_, folder, fetched_at) in known {
            let place = format!("account `{}`, folder `{folder}`", account.name);
            match fetched_at {
                Some(at) if now.saturating_sub(*at) <= FETCH_SECONDS => {
                    findings.ok("fetch", format!("{place}: read to its end {} UTC", number::time(*at)));
                }
                Some(at) => findings.warn(
                    "fetch",
                    format!("{place}: last read to its end {} UTC", number::time(*at)),
                    "run `dmarcdb fetch -v`, and look at what should run it",
                ),
                None => findings.warn("fetch", format!("{place}: never read to its end"), "run `dmarcdb fetch -v`"),
            }
        }
    }
}

/// Only domains that are configured raise an alarm one by one: any stranger can name one more, and then fall silent.
fn newest_reports(now: i64, config: &Config, figures: &check::Figures, findings: &mut Findings) {
    let old = |at: Option<i64>| at.is_none_or(|at| now.saturating_sub(at) > REPORT_SECONDS);
    let told = |at: Option<i64>| at.map_or("none".to_owned(), |at| format!("ended {} UTC", number::time(at)));
    const ADVICE: &str = "look at the domain's `rua`, and at whether its mail arrives";
    for domain in config.own_domains.iter().take(TOLD) {
        // Reports on a domain cover those below it that have no policy of their own.
        let newest = figures.domains.iter().find(|(name, _)| name == domain).and_then(|(_, at)| *at);
        let text = format!("{domain}: newest report {}", told(newest));
        if old(newest) {
            findings.warn("reports", text, ADVICE);
        } else {
            findings.ok("reports", text);
        }
    }
    let newest = figures.domains.iter().filter_map(|(_, at)| *at).max();
    if config.own_domains.is_empty() {
        let text = format!("newest report of all {}", told(newest));
        if old(newest) {
            findings.warn("reports", text, ADVICE);
        } else {
            findings.ok("reports", text);
        }
    }
}

/// How much room is left for the database.
pub fn disk(path: &Path, findings: &mut Findings) {
    let Ok(system) = rustix::fs::statvfs(folder(path)) else { return };
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    let size = fs::metadata(path).map_or(0, |file| file.len());
    let text = format!("{} MB free", number::grouped(whole(free >> 20)));
    if free < FULL_BYTES {
        findings.error("disk", text, "make room: nothing more can be kept");
    } else if free < ROOM_BYTES.max(size / 4) {
        findings.warn("disk", text, "make room, or `dmarcdb prune`");
    } else {
        findings.ok("disk", text);
    }
}

fn folder(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

fn whole(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
