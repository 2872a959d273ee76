//! What grows with the database and what does not: from ten thousand record rows to fifty million, all of three years, the
//! space a row takes, how fast more are kept, and how long questions about a week take. `make bench` goes to a million,
//! `make bench-full` to fifty million (5 GB of disk, 20 minutes) and draws docs/growth.svg; `--calm` has a thousand sending
//! addresses in all, where the world else has new forgers every day.
//!
//! A database is filled with bare statements and the store's own daily sums, which gives the tables that reading the same
//! reports would; what is measured runs through the binary.

mod bare;
#[allow(dead_code, reason = "the generator is complete, whatever is measured")]
mod generate;
mod plot;
#[allow(dead_code, reason = "shared with the other benchmarks")]
mod program;
mod world;

use std::fs;
use std::path::Path;

use dmarcdb::store::{Store, daily};
use rusqlite::Connection;
use serde_json::{Value, json};

use generate::Random;
use world::{DAYS, World, written};

const SEED: u64 = 20_260_803;
/// Reports that are ingested into each database.
const MORE: u64 = 4_000;
/// Rounds of each question; the best counts, so that other work on the machine does not.
const ROUNDS: u32 = 7;

/// What was measured at one size.
struct Size {
    rows: u64,
    bytes_per_row: f64,
    /// Rows a second of processor time of `ingest` into this database, and into an empty one before and after.
    ingest: f64,
    ingest_empty: f64,
    /// Name, seconds, peak bytes.
    questions: Vec<(&'static str, f64, u64)>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("measures nothing unless run by `cargo bench`");
        return;
    }
    let full = arguments.iter().any(|argument| argument == "--full");
    let named: Vec<u64> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let sizes: &[u64] = match (named.is_empty(), full) {
        (false, _) => &named,
        (true, false) => &[10_000, 100_000, 1_000_000],
        (true, true) => &[10_000, 100_000, 1_000_000, 10_000_000, 50_000_000],
    };
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("growth");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(dir.join("more")).expect("target/tmp/growth");
    let calm = arguments.iter().any(|argument| argument == "--calm");
    let world = if calm { World::calm() } else { World::new() };
    let more = more(&world, &dir.join("more"));
    println!(
        "{:>11} {:>6} {:>10} {:>10} {:>6}  {:>22} {:>22} {:>22}",
        "rows", "B/row", "rows/CPU s", "if empty", "part", "summary", "source", "domain"
    );
    let mut measured = Vec::new();
    for rows in sizes {
        let size = measure(&world, &dir, *rows, more);
        tell(&size);
        measured.push(size);
    }
    if !arguments.iter().any(|argument| argument == "--keep") {
        let _ = fs::remove_dir_all(&dir);
    }
    write(&measured, full);
}

/// Writes new reports of the last day; how many rows they have.
fn more(world: &World, dir: &Path) -> u64 {
    let mut random = Random::new(SEED ^ 1);
    let report = |number| {
        let report = written(world.report(&mut random, 1 << 40 | number, 0));
        let (bytes, extension) = generate::packed(&mut Random::new(number), &report);
        fs::write(dir.join(format!("{number:05}.{extension}")), bytes).expect("a file");
        report.rows.len() as u64
    };
    (0..MORE).map(report).sum()
}

/// Makes a database of three years with about `rows` records.
fn fill(world: &World, db: &Path, rows: u64) -> u64 {
    program::remove(db);
    drop(Store::open(db).expect("a database"));
    let connection = Connection::open(db).expect("a database");
    let pragma = |name, value: &str| connection.pragma_update(None, name, value).expect(name);
    pragma("journal_mode", "OFF");
    pragma("synchronous", "OFF");
    pragma("cache_size", "-400000");
    let mut random = Random::new(SEED);
    let (mut number, mut kept) = (0, 0);
    {
        // The daily sums are made of the records afterwards.
        let none = bare::Sums::default();
        let mut bare = bare::Bare::new(&connection, &none);
        connection.execute_batch("BEGIN").expect("a transaction");
        let mut since = 0;
        for day in 0..DAYS {
            let due = rows * (day as u64 + 1) / DAYS as u64;
            while kept < due {
                let (head, rows) = world.report(&mut random, number, DAYS - 1 - day);
                bare.keep(number, &head, &rows);
                number += 1;
                kept += rows.len() as u64;
            }
            if kept - since > 200_000 {
                daily::catch_up(&connection).expect("daily sums");
                connection.execute_batch("COMMIT; BEGIN").expect("a transaction");
                since = kept;
            }
        }
        daily::catch_up(&connection).expect("daily sums");
        let domains = "INSERT INTO policy_domain SELECT DISTINCT domain FROM report; COMMIT";
        connection.execute_batch(domains).expect("a commit");
    }
    if rows <= 100_000 {
        assert_eq!(daily::differences(&connection).expect("a comparison"), Vec::<String>::new());
    }
    pragma("journal_mode", "WAL");
    kept
}

fn measure(world: &World, dir: &Path, rows: u64, more: u64) -> Size {
    let (db, empty) = (dir.join("growth.sqlite"), dir.join("empty.sqlite"));
    let rows = fill(world, &db, rows);
    let bytes_per_row = fs::metadata(&db).expect("a database").len() as f64 / rows as f64;
    let mut questions = Vec::new();
    let source = world.largest_source();
    for (name, arguments) in [
        ("summary", &["summary", "--since", "7d", "--until", "newest"][..]),
        ("source", &["source", &source, "--since", "7d", "--until", "newest"]),
        ("domain", &["domain", world.largest_domain(), "--since", "7d", "--until", "newest"]),
    ] {
        let runs: Vec<_> = (0..ROUNDS).map(|_| program::run(&db, arguments)).collect();
        let seconds = runs.iter().map(|run| run.seconds).min_by(f64::total_cmp).expect("runs");
        let peak = runs.iter().map(|run| run.peak).max().expect("runs");
        questions.push((name, seconds, peak));
    }
    // Into an empty one before and after, so that other work on the machine weighs on both.
    let fresh = || {
        program::remove(&empty);
        ingest(&empty, &dir.join("more"), more)
    };
    let before = fresh();
    let ingest = ingest(&db, &dir.join("more"), more);
    let ingest_empty = before.max(fresh());
    Size { rows, bytes_per_row, ingest, ingest_empty, questions }
}

/// Rows a second of processor time, which other work on the machine does not change.
fn ingest(db: &Path, input: &Path, rows: u64) -> f64 {
    let ran = program::run(db, &["-q", "ingest", "--format", "json", input.to_str().expect("UTF-8")]);
    let tally = ran.json();
    assert_eq!(tally["records"], rows, "{tally}");
    rows as f64 / ran.processor.max(0.01)
}

fn tell(size: &Size) {
    print!(
        "{:>11} {:>6.1} {:>10.0} {:>10.0} {:>6.2} ",
        size.rows,
        size.bytes_per_row,
        size.ingest,
        size.ingest_empty,
        size.ingest / size.ingest_empty
    );
    for (_, seconds, peak) in &size.questions {
        print!(" {:>22}", format!("{:.1} ms, {:.1} MB", seconds * 1e3, *peak as f64 / 1e6));
    }
    println!();
}

fn write(sizes: &[Size], draw: bool) {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target");
    let one = |size: &Size| {
        let question = |(name, seconds, peak): &(&str, f64, u64)| json!({"question": name, "seconds": seconds, "peak_bytes": peak});
        json!({
            "rows": size.rows, "bytes_per_row": size.bytes_per_row, "ingest_rows_per_processor_second": size.ingest,
            "ingest_rows_per_processor_second_empty": size.ingest_empty,
            "questions": size.questions.iter().map(question).collect::<Vec<_>>(),
        })
    };
    let sizes_json: Vec<Value> = sizes.iter().map(one).collect();
    let path = target.join("growth.json");
    let text = serde_json::to_string_pretty(&json!({ "seed": SEED, "sizes": sizes_json })).expect("JSON");
    fs::write(&path, text + "\n").expect("target/growth.json");
    println!("\nwritten to {}", path.display());
    let svg =
        if draw { Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/growth.svg") } else { target.join("growth.svg") };
    fs::write(&svg, plot::draw(&lines(sizes))).expect("a plot");
    println!("drawn in {}", svg.display());
}

/// One line for each question, and one for ingest: milliseconds against rows.
fn lines(sizes: &[Size]) -> Vec<plot::Line> {
    let question = |name: &'static str| plot::Line {
        name: format!("{name}, a week"),
        points: sizes
            .iter()
            .filter_map(|size| {
                let found = size.questions.iter().find(|question| question.0 == name)?;
                Some((size.rows as f64, found.1 * 1e3))
            })
            .collect(),
    };
    let ingest = plot::Line {
        name: "ingest, 1 000 rows more".into(),
        points: sizes.iter().map(|size| (size.rows as f64, 1e6 / size.ingest)).collect(),
    };
    vec![question("summary"), question("source"), question("domain"), ingest]
}
