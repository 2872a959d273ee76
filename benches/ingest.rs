//! How fast and how small: each figure beside its floor, measured in the same run. `make bench`.
//!
//! A floor is the least that any program must do with the same bytes: decode base64 with the bare crate, inflate with bare
//! flate2, walk the XML with a bare quick-xml loop, insert the rows with bare prepared statements into the same schema,
//! start a process that does nothing. Prints a table and writes `target/bench.json`. An argument limits the run to figures whose name
//! contains it; `--read FOLDER` only reads what is there, for benches/peers.

mod bare;
mod floor;
#[allow(dead_code, reason = "the generator is complete, whatever is measured")]
mod generate;
#[allow(dead_code, reason = "shared with the other benchmarks")]
mod program;

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufRead, BufReader, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use dmarcdb::limits::Limits;
use dmarcdb::problem::Refusal;
use dmarcdb::reading::{Item, Reading, Settings};
use dmarcdb::report::aggregate::{self, AggregateReport, Chunk, Input, Sink};
use dmarcdb::source::Origin;
use dmarcdb::store::{Arrival, Content, Message, Ours, Store};
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use quick_xml::events::Event;
use serde_json::{Value, json};

use bare::{Sums, digest};
use floor::{bare_events, bare_insert, bare_read, cores, packed, sums};
use generate::{Random, Report};
use program::remove;

const SEED: u64 = 20_260_803;
const DMARCDB: &str = env!("CARGO_BIN_EXE_dmarcdb");

/// One line of the table.
struct Figure {
    name: &'static str,
    unit: &'static str,
    /// `None` for a floor that stands for itself.
    measured: Option<f64>,
    floor: Option<f64>,
    /// What is promised, in words.
    target: &'static str,
    /// More is better: the ratio is floor to measured, so that it is above 1 either way.
    more_is_better: bool,
}

impl Figure {
    /// How many times the floor's cost this costs.
    fn ratio(&self) -> Option<f64> {
        let (measured, floor) = (self.measured?, self.floor?);
        Some(if self.more_is_better { floor / measured } else { measured / floor })
    }
}

/// Measures some figures, with a directory to work in.
type Group = fn(&Path) -> Vec<Figure>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("measures nothing unless run by `cargo bench`");
        return ExitCode::SUCCESS;
    }
    if cfg!(debug_assertions) {
        eprintln!("warning: not a release build");
    }
    if let Some(at) = arguments.iter().position(|argument| argument == "--read") {
        println!("{}", read_folder(Path::new(arguments.get(at + 1).expect("a folder"))));
        return ExitCode::SUCCESS;
    }
    let filter = arguments.iter().find(|argument| !argument.starts_with('-')).cloned().unwrap_or_default();
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
    fs::create_dir_all(&dir).expect("target/tmp/bench");
    let groups: [(&str, Group); 7] = [
        ("start-up", start_up),
        ("read", reading),
        ("insert", inserting),
        ("ingest 1 000", |dir| ingesting(dir, 1_000)),
        ("ingest 5 000", |dir| ingesting(dir, 5_000)),
        ("ingest 20 000", |dir| ingesting(dir, 20_000)),
        ("ingest 500 000 records", huge),
    ];
    let mut figures = Vec::new();
    for (name, group) in groups {
        if name.contains(filter.as_str()) {
            eprintln!("measuring {name} …");
            figures.extend(group(&dir));
        }
    }
    print_table(&figures);
    write_json(&figures, &dir);
    ExitCode::SUCCESS
}

// ---------------------------------------------------------------- start-up

fn start_up(_: &Path) -> Vec<Figure> {
    let median = |program: &str, argument: &str| {
        let mut times: Vec<f64> = (0..51)
            .map(|_| {
                let start = Instant::now();
                let status = Command::new(program).arg(argument).stdout(Stdio::null()).status().expect(program);
                assert!(status.success(), "{program}: {status}");
                start.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    vec![Figure {
        name: "start-up, dmarcdb --version",
        unit: "ms",
        measured: Some(median(DMARCDB, "--version")),
        floor: Some(median("true", "--version")),
        target: "< 15",
        more_is_better: false,
    }]
}

// ---------------------------------------------------------------- reading

/// The shortest of `times` runs, in seconds: what the machine can do when nothing else disturbs it.
fn best_of<T>(times: usize, mut run: impl FnMut() -> T) -> f64 {
    let one = |_| {
        let start = Instant::now();
        black_box(run());
        start.elapsed().as_secs_f64()
    };
    (0..times).map(one).min_by(f64::total_cmp).expect("at least one run")
}

fn reading(_: &Path) -> Vec<Figure> {
    let report = generate::report(&mut Random::new(SEED), 1, Some(10_000));
    let packed = generate::gzip(&report.xml);
    let megabytes = report.xml.len() as f64 / 1e6;
    let text = std::str::from_utf8(&report.xml).expect("UTF-8");
    let events = best_of(7, || bare_events(text));
    let inflate = best_of(7, || bare_inflate(&packed));
    vec![
        Figure {
            name: "read a report of 10 000 records",
            unit: "MB/s",
            measured: Some(megabytes / read_aggregate(&report)),
            floor: Some(megabytes / events),
            target: "ratio <= 1.3",
            more_is_better: true,
        },
        Figure {
            name: "read the same, packed",
            unit: "MB/s",
            measured: Some(megabytes / read_packed(&packed)),
            floor: Some(megabytes / (events + inflate)),
            target: "",
            more_is_better: true,
        },
        Figure {
            name: "(floor) inflate the same",
            unit: "MB/s",
            measured: None,
            floor: Some(megabytes / inflate),
            target: "",
            more_is_better: true,
        },
        base64(&report),
    ]
}

/// A mail taken apart and its attachment decoded, beside the bare crate on the same text without its line ends.
fn base64(report: &Report) -> Figure {
    let mail = generate::mailed(&mut Random::new(1), report);
    let limits = Limits::default();
    let text = generate::attached(&mail);
    let size = BASE64.decode(&text).expect("base64").len();
    let bare = best_of(31, || BASE64.decode(&text).expect("base64"));
    let ours = best_of(31, || {
        let mail = dmarcdb::mail::parse(&mail, &limits).expect("a mail");
        let last = mail.entities.last().expect("a part").body().len();
        assert_eq!(last, size);
    });
    let megabytes = mail.len() as f64 / 1e6;
    Figure {
        name: "take a mail apart, decode base64",
        unit: "MB/s",
        measured: Some(megabytes / ours),
        floor: Some(megabytes / bare),
        target: "",
        more_is_better: true,
    }
}

/// Seconds for the library to read the XML into a report and its records.
fn read_aggregate(report: &Report) -> f64 {
    let limits = Limits::default();
    best_of(7, || {
        let mut counter = Counter::default();
        aggregate::read(Input::Whole(&report.xml), &limits, &mut counter).expect("a report");
        assert_eq!((counter.reports, counter.records), (1, report.rows.len()));
    })
}

/// Takes what is read and drops it.
#[derive(Default)]
struct Counter {
    records: usize,
    reports: usize,
}

impl Sink for Counter {
    fn chunk(&mut self, chunk: Chunk) {
        self.records += black_box(chunk).records.len();
    }

    fn report(&mut self, report: Result<AggregateReport, Refusal>) {
        self.reports += usize::from(black_box(report).is_ok());
    }
}

/// Reads every file of a folder, in memory: the seconds that takes, and the records of aggregate reports in each or why there are
/// none. What other readers make of the same is held against this; see benches/peers.
fn read_folder(folder: &Path) -> Value {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    let files: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).expect("a file")).collect();
    let settings = Settings::default();
    let read =
        || -> Vec<Reading> { files.iter().map(|bytes| dmarcdb::reading::read(bytes, None, &settings)).collect() };
    let seconds = best_of(3, read);
    let found = |reading: &Reading| -> Value {
        let aggregate = reading.found.iter().filter_map(|found| match &found.item {
            Item::Aggregate(report, _) => Some(report.records),
            _ => None,
        });
        match (aggregate.clone().count(), reading.problems.first()) {
            (0, Some(problem)) => json!(problem.refusal.code.to_string()),
            _ => json!(aggregate.sum::<u64>()),
        }
    };
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    let told: serde_json::Map<String, Value> =
        paths.iter().zip(read()).map(|(path, reading)| (name(path), found(&reading))).collect();
    json!({ "seconds": seconds, "files": told })
}

/// Seconds for the library to look at a file, unpack it and read what is in it.
fn read_packed(packed: &[u8]) -> f64 {
    let settings = Settings::default();
    best_of(7, || {
        let reading = dmarcdb::reading::read(packed, None, &settings);
        assert_eq!((reading.found.len(), reading.problems.len()), (1, 0));
        reading
    })
}

/// Every event of a stream.
fn bare_stream(input: impl BufRead) -> u64 {
    let mut reader = quick_xml::Reader::from_reader(input);
    let (mut events, mut buffer) = (0, Vec::new());
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer).expect("well-formed") {
            Event::Eof => return events,
            event => {
                black_box(&event);
                events += 1;
            }
        }
    }
}

fn bare_inflate(packed: &[u8]) -> u64 {
    let mut decoder = GzDecoder::new(packed);
    let (mut total, mut buffer) = (0, vec![0; 64 << 10]);
    loop {
        match decoder.read(&mut buffer).expect("gzip") {
            0 => return total,
            read => total += read as u64,
        }
    }
}

// ---------------------------------------------------------------- inserting

/// The reports of one run and their records in all.
fn reports(number: u64) -> (Vec<Report>, u64) {
    let mut random = Random::new(SEED ^ number);
    let reports: Vec<Report> = (0..number).map(|one| generate::report(&mut random, one, None)).collect();
    let records = reports.iter().map(|report| report.rows.len() as u64).sum();
    (reports, records)
}

fn inserting(dir: &Path) -> Vec<Figure> {
    let (reports, records) = reports(5_000);
    let sums = sums(&dir.join("floor.sqlite"), &reports);
    let (mut floor, mut without, mut ours) = (f64::MAX, f64::MAX, f64::MAX);
    // In turns, so that other work on the machine weighs on all.
    for _ in 0..3 {
        floor = floor.min(best_of(1, || bare_insert(&dir.join("floor.sqlite"), &reports, &sums)));
        without = without.min(best_of(1, || bare_insert(&dir.join("floor.sqlite"), &reports, &Sums::default())));
        ours = ours.min(store_reports(&dir.join("store.sqlite"), &reports));
    }
    vec![
        Figure {
            name: "keep the rows of 5 000 reports",
            unit: "rows/s",
            measured: Some(records as f64 / ours),
            floor: Some(records as f64 / floor),
            target: "ratio <= 1.67",
            more_is_better: true,
        },
        Figure {
            name: "(floor) the same without the daily sums",
            unit: "rows/s",
            measured: None,
            floor: Some(records as f64 / without),
            target: "",
            more_is_better: true,
        },
    ]
}

/// Seconds for the library's store to keep the reports, read before, committed in batches as `ingest` does.
fn store_reports(db: &Path, reports: &[Report]) -> f64 {
    let settings = Settings::default();
    let run = || {
        remove(db);
        let read = |report: &Report| dmarcdb::reading::read(&report.xml, None, &settings);
        let readings: Vec<(Reading, Vec<u8>)> =
            reports.iter().map(|report| (read(report), generate::gzip(&report.xml))).collect();
        let mut store = Store::open(db).expect("a database");
        let start = Instant::now();
        store.begin().expect("a transaction");
        for (number, (report, (reading, bytes))) in reports.iter().zip(readings).enumerate() {
            let origin = Origin::File { path: PathBuf::from(format!("/var/mail/{number}.xml")), index: None };
            let arrival = Arrival {
                origin,
                received_at: None,
                seen_at: 0,
                settles: false,
                reserved: dmarcdb::source::Reserved::default(),
            };
            let sha256 = digest(number as u64);
            let content = Content::Read { bytes, sha256, name: None, reading: Box::new(reading) };
            let kept = store.keep(Message { arrival, content }, &settings, &Ours::default()).expect("a report is kept");
            assert_eq!(kept.map(|kept| kept.records), Some(report.rows.len() as u64));
            if (number + 1).is_multiple_of(dmarcdb::ingest::BATCH_MESSAGES) {
                store.commit().expect("a commit");
                store.begin().expect("a transaction");
            }
        }
        store.commit().expect("a commit");
        start.elapsed().as_secs_f64()
    };
    run()
}

// ---------------------------------------------------------------- ingest, end to end

/// Runs `ingest` on a path and a fresh database; seconds, peak resident bytes, and its tally.
fn ingest(dir: &Path, input: &Path) -> (f64, u64, Value) {
    let db = dir.join("ingest.sqlite");
    remove(&db);
    let ran = program::run(&db, &["--quiet", "ingest", "--format", "json", input.to_str().expect("UTF-8")]);
    (ran.seconds, ran.peak, ran.json())
}

fn ingesting(dir: &Path, number: u64) -> Vec<Figure> {
    let (reports, records) = reports(number);
    let input = dir.join(format!("reports-{number}"));
    let _ = fs::remove_dir_all(&input);
    let mut random = Random::new(SEED);
    // The many as a Maildir, the others as files of every sort.
    let maildir = number == 20_000;
    let folder = if maildir { input.join("new") } else { input.clone() };
    fs::create_dir_all(&folder).expect("a directory");
    if maildir {
        fs::create_dir_all(input.join("cur")).expect("a directory");
        fs::create_dir_all(input.join("tmp")).expect("a directory");
    }
    let mut texts = Vec::new();
    for (index, report) in reports.iter().enumerate() {
        let (bytes, extension) = match maildir {
            true => (generate::mailed(&mut random, report), "M1P1.bench"),
            false => generate::packed(&mut random, report),
        };
        fs::write(folder.join(format!("{}.{extension}", 1_700_000_000 + index)), bytes).expect("a file");
        texts.push(packed(report));
    }
    let sums = sums(&dir.join("floor.sqlite"), &reports);
    let (mut best, mut most, mut read, mut insert) = (f64::MAX, 0, f64::MAX, f64::MAX);
    for _ in 0..3 {
        let (seconds, peak, tally) = ingest(dir, &input);
        assert_eq!(tally["stored"], number, "{tally}");
        assert_eq!(tally["records"], records, "{tally}");
        (best, most) = (best.min(seconds), most.max(peak));
        read = read.min(best_of(1, || bare_read(&texts, cores())));
        insert = insert.min(best_of(1, || bare_insert(&dir.join("floor.sqlite"), &reports, &sums)));
    }
    let _ = fs::remove_dir_all(&input);
    let (time, memory) = match number {
        1_000 => ("ingest 1 000 packed reports", "the same, peak memory"),
        5_000 => ("ingest 5 000 packed reports", "the same, peak memory"),
        _ => ("ingest 20 000 mails of a Maildir", "the same, peak memory"),
    };
    eprintln!(
        "  {number} reports, {records} records; floors: reading on all cores {read:.2} s, inserting on one {insert:.2} s"
    );
    vec![
        Figure {
            name: time,
            unit: "s",
            measured: Some(best),
            floor: Some(read.max(insert)),
            target: if maildir { "ratio <= 1.5" } else { "" },
            more_is_better: false,
        },
        Figure {
            name: memory,
            unit: "MB",
            measured: Some(most as f64 / 1e6),
            floor: None,
            target: "< 100",
            more_is_better: false,
        },
    ]
}

/// A report of half a million records: read whole, in memory that does not follow its size.
fn huge(dir: &Path) -> Vec<Figure> {
    let path = dir.join("huge.xml.gz");
    let mut random = Random::new(SEED);
    let head = generate::head(&mut random, 1);
    let file = BufWriter::new(File::create(&path).expect("a file"));
    let mut out = GzEncoder::new(file, flate2::Compression::default());
    let rows = (0..500_000).map(|_| generate::row(&mut random, head.domain));
    generate::write_xml(&mut out, &head, rows).expect("a report");
    out.finish().expect("gzip").flush().expect("a file");
    let (seconds, peak, tally) = ingest(dir, &path);
    assert_eq!(tally["records"], 500_000, "{tally}");
    let open = || BufReader::with_capacity(64 << 10, File::open(&path).expect("the file"));
    let floor = best_of(1, || bare_stream(BufReader::with_capacity(64 << 10, GzDecoder::new(open()))));
    vec![
        Figure {
            name: "ingest a report of 500 000 records",
            unit: "s",
            measured: Some(seconds),
            floor: Some(floor),
            target: "",
            more_is_better: false,
        },
        Figure {
            name: "the same, peak memory",
            unit: "MB",
            measured: Some(peak as f64 / 1e6),
            floor: None,
            target: "< 64 to read it",
            more_is_better: false,
        },
    ]
}

// ---------------------------------------------------------------- telling

fn number(value: Option<f64>) -> String {
    match value {
        None => String::from("-"),
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) if value >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

fn print_table(figures: &[Figure]) {
    let width = figures.iter().map(|figure| figure.name.len()).max().unwrap_or_default().max(6);
    println!("{:width$}  {:>10}  {:>10}  {:>6}  {:6}  target", "figure", "dmarcdb", "floor", "ratio", "unit");
    for figure in figures {
        let (measured, floor, ratio) = (number(figure.measured), number(figure.floor), number(figure.ratio()));
        let line = format!(
            "{:width$}  {measured:>10}  {floor:>10}  {ratio:>6}  {:6}  {}",
            figure.name, figure.unit, figure.target
        );
        println!("{}", line.trim_end());
    }
}

fn write_json(figures: &[Figure], dir: &Path) {
    let figures: Vec<Value> = figures
        .iter()
        .map(|figure| {
            json!({
                "figure": figure.name, "unit": figure.unit, "measured": figure.measured, "floor": figure.floor,
                "ratio": figure.ratio(), "target": figure.target,
            })
        })
        .collect();
    let target = dir.ancestors().nth(2).expect("target/tmp/bench is below target");
    let path = target.join("bench.json");
    let text = serde_json::to_string_pretty(&json!({ "seed": SEED, "figures": figures })).expect("JSON");
    fs::write(&path, text + "\n").unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    println!("\nwritten to {}", path.display());
}
