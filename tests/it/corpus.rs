//! The shared corpus, where it is there: every file with a known verdict is read, and the verdict must hold.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dmarcdb::reading::{self, Item, Reading, Records, Settings};
use dmarcdb::source::file::FileSource;
use dmarcdb::source::{Origin, Source, Taken};

/// The corpus beside the project. It holds other people's data and is not part of it.
fn corpus() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    if !path.is_dir() {
        eprintln!("no corpus at {}: nothing compared", path.display());
        return None;
    }
    Some(path)
}

/// What was read in one file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    aggregate: u64,
    records: u64,
    messages: u64,
    rejected: u64,
    tls: u64,
    policies: u64,
    sessions: u64,
    failure: u64,
    complaints: u64,
    problems: Vec<String>,
}

impl Counts {
    fn add(&mut self, reading: Reading) {
        for found in &reading.found {
            match &found.item {
                Item::Aggregate(report, records) => {
                    self.aggregate += 1;
                    self.records += report.records;
                    self.messages += report.messages;
                    self.rejected += report.records_seen - report.records;
                    if let Records::Here(chunks) = records {
                        let held: usize = chunks.iter().map(|chunk| chunk.records.len()).sum();
                        assert_eq!(held as u64, report.records, "records held and records counted");
                    }
                }
                Item::Tls(report) => {
                    self.tls += 1;
                    self.policies += report.policies.len() as u64;
                    self.sessions += report
                        .policies
                        .iter()
                        .map(|policy| policy.successful_sessions + policy.failed_sessions)
                        .sum::<u64>();
                }
                Item::Failure(_) => self.failure += 1,
                Item::Complaint(_) => self.complaints += 1,
                // The tables count no bounces.
                Item::Bounce(_) => {}
            }
        }
        self.problems.extend(reading.problems.iter().map(|problem| problem.refusal.code.to_string()));
    }

    fn nothing(&self) -> bool {
        self.aggregate + self.tls + self.failure + self.complaints == 0
    }
}

/// Reads a file as `ingest` does.
fn read(path: &Path) -> Counts {
    let settings = Settings::default();
    let mut source = FileSource::new(vec![path.to_owned()], false, settings.limits.message_bytes);
    let mut counts = Counts::default();
    let started = Instant::now();
    while let Some(taken) = source.next().unwrap() {
        match taken {
            Taken::Message(message) => {
                let name = match &message.origin {
                    Origin::File { path, index: None } => {
                        path.file_name().map(|name| name.to_string_lossy().into_owned())
                    }
                    _ => None,
                };
                counts.add(reading::read(&message.bytes, name.as_deref(), &settings));
            }
            Taken::Refused { refusal, .. } => counts.problems.push(format!("{refusal:?}")),
        }
    }
    // Twice a second in the release build; this one is not optimized and shares its cores.
    assert!(started.elapsed() < Duration::from_secs(20), "{} took {:?}", path.display(), started.elapsed());
    counts
}

/// Files whose verdict we read otherwise, and why.
const OTHERWISE: [&str; 2] = [
    // A failure report in prose. The table knows only reports with a machine part; RFC 6591 senders such as Exim and
    // cPanel write this one, and it is kept as kind `failure` (never as a complaint).
    "reports/domainaware+parsedmarc/samples/failure/exim_plain_text_only_no_arf_part.eml",
    // The source of an Internet-Draft, which quotes a report as an example. Quoting is not sending:
    // adversarial/20-arf-text-in-plain-body.eml says so for mails.
    "reports/ietf-wg-dmarc+draft-ietf-dmarc-failure-reporting/draft-ietf-dmarc-failure-reporting-24.xml",
];

/// One line of a table: which file, what verdict, how many reports, records and messages.
struct Expected<'a> {
    path: &'a str,
    verdict: &'a str,
    counts: [u64; 3],
}

fn table(text: &str) -> impl Iterator<Item = Expected<'_>> {
    text.lines().skip(1).map(|line| {
        let mut fields = line.split('\t');
        let mut field = || fields.next().unwrap();
        let (path, verdict) = (field(), field());
        Expected { path, verdict, counts: [field(), field(), field()].map(|number| number.parse().unwrap()) }
    })
}

/// Whether a verdict holds.
fn holds(expected: &Expected<'_>, got: &Counts) -> bool {
    let aggregate = [got.aggregate, got.records, got.messages] == expected.counts;
    let only_aggregate = got.tls + got.failure + got.complaints == 0;
    match expected.verdict {
        // A null row says nothing of any message; it is kept as a rejected row, which the table calls right as well.
        "accept" | "accept-lenient" => {
            let null_row = got.records + got.rejected == expected.counts[1] && got.messages == expected.counts[2];
            only_aggregate
                && got.problems.is_empty()
                && (aggregate || got.rejected == 1 && expected.counts[2] == 0 && null_row)
        }
        // Exactly these, or a refusal of the whole or of the row that makes the difference.
        "optional" => aggregate || got.nothing() && !got.problems.is_empty() || got.rejected > 0,
        "reject" => got.nothing(),
        "tlsrpt" => {
            [got.tls, got.policies, got.sessions] == expected.counts
                && got.aggregate + got.failure + got.complaints == 0
        }
        "arf" => got.failure + got.complaints == expected.counts[0] && got.aggregate + got.tls == 0,
        other => panic!("unknown verdict {other}"),
    }
}

fn compare(corpus: &Path, name: &str, floors: &[(&str, u64)]) {
    let text = fs::read_to_string(corpus.join(name)).unwrap();
    let mut tally: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
    let mut wrong = Vec::new();
    for expected in table(&text).filter(|expected| !OTHERWISE.contains(&expected.path)) {
        let got = read(&corpus.join(expected.path));
        let right = holds(&expected, &got);
        let count = tally.entry(expected.verdict).or_default();
        count[0] += u64::from(right);
        count[1] += 1;
        if !right {
            wrong
                .push(format!("{} ({}): expected {:?}, got {got:?}", expected.path, expected.verdict, expected.counts));
        }
    }
    for (verdict, [right, all]) in &tally {
        eprintln!("{name}: {verdict}: {right} of {all}");
    }
    for (verdict, floor) in floors {
        let right = tally.get(verdict).map_or(0, |count| count[0]);
        assert!(
            right >= *floor,
            "{name}: {verdict}: {right} right, at least {floor} were before\n{}",
            wrong.join("\n")
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn real_reports() {
    let Some(corpus) = corpus() else { return };
    let floors =
        [("accept", 216), ("accept-lenient", 155), ("arf", 6), ("optional", 3), ("reject", 18), ("tlsrpt", 21)];
    compare(&corpus, "reports.tsv", &floors);
}

#[test]
fn synthetic_reports() {
    let Some(corpus) = corpus() else { return };
    compare(&corpus, "synthetic.tsv", &[("accept", 38), ("accept-lenient", 28), ("optional", 13), ("reject", 10)]);
}

/// `hostile/manifest.tsv` on the level of one message; what needs a database is tested through the binary.
#[test]
fn hostile_inputs() {
    let Some(corpus) = corpus() else { return };
    let folder = corpus.join("hostile");
    let text = fs::read_to_string(folder.join("manifest.tsv")).unwrap();
    let mut wrong = Vec::new();
    for line in text.lines().skip(1) {
        let mut fields = line.split('\t');
        let (path, outcome) = (fields.next().unwrap(), fields.next().unwrap());
        let got = read(&folder.join(path));
        let kept = got.aggregate + got.failure + got.complaints + got.tls;
        let right = match outcome {
            // Both may also be read with a warning, says the table: bare CR line ends, and a count with a comment in it,
            // which XML says is 12.
            _ if path == "mail/m07e-bare-cr.eml" => got.aggregate <= 1 && got.messages == 2 * got.aggregate,
            _ if path == "raw/x29-mixed-count.xml" => got.nothing() || got.messages == 12,
            // Likewise references to characters that do not exist: refused, or U+FFFD with a warning.
            "refuse" if path.starts_with("raw/x32-charref") => got.aggregate <= 1 && got.messages <= 2,
            "refuse" => got.nothing() && !got.problems.is_empty(),
            "not-a-report" => got.nothing() && got.problems.is_empty(),
            "no-count" => got.rejected > 0 || !got.problems.is_empty(),
            // Whether an address may be exported is decided where the user's domains are known.
            "either" | "no-suppress" | "dup" | "conflict" => true,
            accept => {
                let wanted: u64 = accept.strip_prefix("accept:").unwrap().parse().unwrap();
                // A number above the reports that one mail can hold counts records.
                kept == wanted || got.records == wanted || (wanted == 0 && kept == 1 && got.records == 0)
            }
        };
        if !right {
            wrong.push(format!("{path}: expected {outcome}, got {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
