//! Exporting a million suppressed addresses, beside its floor: a bare loop over the same rows in the same order that writes
//! each address on a line. `cargo bench --bench export`. What is promised: under 2 s, in memory that does not grow with
//! the list. Beside the time on the clock stands the processor's, which other work on the machine does not change.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dmarcdb::query::Database;
use dmarcdb::store::migrations;
use dmarcdb::suppress::export::FORMATS;
use rusqlite::{Connection, params};

const DMARCDB: &str = env!("CARGO_BIN_EXE_dmarcdb");
/// Rounds of each measurement; the best counts, so that other work on the machine does not.
const ROUNDS: u32 = 3;

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("measures nothing unless run by `cargo bench`");
        return;
    }
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("export");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("target/tmp/export");
    let (small, large) = (dir.join("small.sqlite"), dir.join("large.sqlite"));
    fill(&small, 100_000);
    fill(&large, 1_000_000);
    let floor = best(|| bare(&large, &dir.join("floor.txt")));
    println!(
        "{:<33} {:>8} {:>7} {:>7} {:>6} {:>8} {:>10}",
        "1 000 000 addresses", "seconds", "of CPU", "floor", "ratio", "peak MB", "of 100 000"
    );
    let line = |name: &str, time: Duration, ran: Ran, small: f64| {
        let (seconds, least, Ran { processor, peak }) = (time.as_secs_f64(), floor.as_secs_f64(), ran);
        let ratio = seconds / least;
        println!("{name:<33} {seconds:>8.2} {processor:>7.2} {least:>7.2} {ratio:>6.1} {peak:>8.1} {small:>10.1}");
    };
    // Opening looks at the whole file for damage first, which is not the export's own work but what a user waits for.
    let whole = best(|| drop(Database::open_whole(&large).expect("a database")));
    line("opening, with a look for damage", whole, Ran::default(), 0.0);
    for format in FORMATS.into_iter().filter(|format| format.name.contains(&filter)) {
        let output = dir.join(format.name);
        fs::create_dir_all(&output).expect("a folder");
        let arguments = ["suppress", "export", "--force", "--format", format.name, "--output", text(&output)];
        let small = run(&small, &arguments);
        let mut ran = Ran::default();
        let time = best(|| ran = ran.best(run(&large, &arguments)));
        line(format.name, time, ran, small.peak);
    }
    let output = dir.join("changes.csv");
    let changes = ["suppress", "export", "--format", "csv", "--since-last", "bench", "--output", text(&output)];
    let start = Instant::now();
    let first = run(&large, &changes);
    line("csv --since-last, all new", start.elapsed(), first, 0.0);
    let mut ran = Ran::default();
    let time = best(|| ran = ran.best(run(&large, &changes)));
    line("csv --since-last, no change", time, ran, 0.0);
    let _ = fs::remove_dir_all(&dir);
}

/// What a run of the binary took.
#[derive(Clone, Copy, Default)]
struct Ran {
    /// Seconds of the processor.
    processor: f64,
    /// The most memory it had, in MB.
    peak: f64,
}

impl Ran {
    fn best(self, other: Ran) -> Ran {
        let processor = if self.processor == 0.0 { other.processor } else { self.processor.min(other.processor) };
        Ran { processor, peak: self.peak.max(other.peak) }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn best(mut work: impl FnMut()) -> Duration {
    (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .min()
        .unwrap_or_default()
}

/// A database of suppressions alone, stored in an order that has nothing to do with that of the addresses.
fn fill(path: &Path, addresses: u64) {
    let mut connection = Connection::open(path).expect("a database");
    connection.execute_batch(migrations::SCHEMA).expect("the schema");
    connection.pragma_update(None, "application_id", migrations::APPLICATION_ID).expect("a pragma");
    connection.pragma_update(None, "user_version", migrations::VERSION).expect("a pragma");
    let transaction = connection.transaction().expect("a transaction");
    {
        let mut insert = transaction
            .prepare(
                "INSERT INTO suppression_event (folded, address, scope, kind, at, reason, author) \
                 VALUES (?1, ?2, 'example.com', 'complaint', ?3, 'abuse', NULL)",
            )
            .expect("a statement");
        for number in 0..addresses {
            let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23);
            let address = format!("User.{mixed:016x}@isp{}.example", mixed % 977);
            insert.execute(params![address.to_lowercase(), address, 1_700_000_000 + number as i64]).expect("a row");
        }
    }
    transaction.commit().expect("on the disk");
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_checkpoint(TRUNCATE)").expect("a checkpoint");
}

/// The least any program would do.
fn bare(database: &Path, output: &Path) {
    let connection = Connection::open(database).expect("a database");
    let mut statement =
        connection.prepare("SELECT address FROM suppression_event ORDER BY folded, scope").expect("a statement");
    let mut rows = statement.query([]).expect("rows");
    let mut out = BufWriter::new(File::create(output).expect("a file"));
    while let Some(row) = rows.next().expect("a row") {
        out.write_all(row.get_ref(0).expect("a column").as_bytes().expect("text")).expect("written");
        out.write_all(b"\n").expect("written");
    }
    out.into_inner().expect("written").sync_all().expect("on the disk");
}

/// Runs the binary and looks at it while it runs: what it has used only grows, so the last look is right but for 2 ms.
fn run(database: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(DMARCDB);
    command.arg("--db").arg(database).args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("dmarcdb");
    let proc = format!("/proc/{}", child.id());
    let mut ran = Ran::default();
    loop {
        let status = fs::read_to_string(format!("{proc}/status")).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        if let Some(peak) = peak.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok()) {
            ran.peak = peak / 1e3;
        }
        // utime and stime, in ticks of 10 ms; the name before them may hold blanks, but no `)`.
        let stat = fs::read_to_string(format!("{proc}/stat")).unwrap_or_default();
        let ticks = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
        ran.processor = ran.processor.max(ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0);
        match child.try_wait().expect("a status") {
            Some(ended) => {
                // 65: `sparkpost` takes half of the list.
                assert!(matches!(ended.code(), Some(0 | 65)), "{arguments:?}: {ended}");
                return ran;
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}
