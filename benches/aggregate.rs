//! The aggregate reader beside its floor, a bare quick-xml event loop over the same bytes, measured in one run:
//! `cargo bench --bench aggregate`. Four forms of one generated report: indented and on one line, in memory and streamed.

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::BufReader;
use std::time::{Duration, Instant};

use dmarcdb::limits::Limits;
use dmarcdb::problem::Refusal;
use dmarcdb::report::aggregate::{AggregateReport, Chunk, Input, Sink, read};
use quick_xml::Reader;
use quick_xml::events::Event;

const RECORDS: u32 = 10_000;
/// Rounds of each measurement; the best counts, so that other work on the machine does not.
const ROUNDS: u32 = 15;

fn main() {
    println!("{:<18} {:>6} {:>12} {:>12} {:>6}", "", "MB", "reader MB/s", "floor MB/s", "ratio");
    let indented = report(RECORDS, "\n", "  ");
    let one_line = report(RECORDS, "", "");
    for (name, xml) in [("indented", &indented), ("one line", &one_line)] {
        let (ours, floor) = both(|| whole(xml), || bare(xml));
        line(&format!("{name}, slice"), xml, ours, floor);
        let (ours, floor) = both(|| streamed(xml), || bare_stream(xml));
        line(&format!("{name}, stream"), xml, ours, floor);
    }
}

fn line(name: &str, xml: &str, ours: Duration, floor: Duration) {
    let megabytes = xml.len() as f64 / 1e6;
    let rate = |time: Duration| megabytes / time.as_secs_f64();
    let ratio = ours.as_secs_f64() / floor.as_secs_f64();
    println!("{name:<18} {megabytes:>6.1} {:>12.0} {:>12.0} {ratio:>6.2}", rate(ours), rate(floor));
}

/// The best times of two pieces of work, taken in turns.
fn both(mut one: impl FnMut(), mut other: impl FnMut()) -> (Duration, Duration) {
    let mut best = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        let time = |work: &mut dyn FnMut()| {
            let start = Instant::now();
            work();
            start.elapsed()
        };
        best.0 = best.0.min(time(&mut one));
        best.1 = best.1.min(time(&mut other));
    }
    best
}

/// Counts what it is told.
#[derive(Default)]
struct Count {
    records: usize,
    reports: usize,
}

impl Sink for Count {
    fn chunk(&mut self, chunk: Chunk) {
        self.records += black_box(chunk).records.len();
    }

    fn report(&mut self, report: Result<AggregateReport, Refusal>) {
        self.reports += usize::from(report.is_ok());
    }
}

fn check(input: Input<'_>) {
    let mut count = Count::default();
    read(input, &Limits::default(), &mut count).unwrap();
    assert_eq!((count.records, count.reports), (RECORDS as usize, 1));
}

fn whole(xml: &str) {
    check(Input::Whole(xml.as_bytes()));
}

fn streamed(xml: &str) {
    check(Input::Stream(&mut BufReader::with_capacity(64 << 10, xml.as_bytes())));
}

fn bare(xml: &str) {
    let mut reader = Reader::from_str(xml);
    loop {
        match black_box(reader.read_event().unwrap()) {
            Event::Eof => return,
            _ => continue,
        }
    }
}

fn bare_stream(xml: &str) {
    let mut reader = Reader::from_reader(BufReader::with_capacity(64 << 10, xml.as_bytes()));
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match black_box(reader.read_event_into(&mut buffer).unwrap()) {
            Event::Eof => return,
            _ => continue,
        }
    }
}

/// A report as large reporters send it; sources, results and selectors vary as they do in real ones.
fn report(records: u32, end: &str, indent: &str) -> String {
    let mut xml = Xml { text: String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"), depth: 0, end, indent };
    xml.text.push_str(end);
    xml.within("feedback", |xml| {
        xml.leaf("version", "1.0");
        xml.within("report_metadata", |xml| {
            xml.leaf("org_name", "receiver.example");
            xml.leaf("email", "dmarc-reports@receiver.example");
            xml.leaf("report_id", "17380429911843257790");
            xml.within("date_range", |xml| {
                xml.leaf("begin", "1755648000");
                xml.leaf("end", "1755734399");
            });
        });
        xml.within("policy_published", |xml| {
            for (name, value) in [
                ("domain", "example.com"),
                ("adkim", "r"),
                ("aspf", "r"),
                ("p", "none"),
                ("sp", "none"),
                ("pct", "100"),
            ] {
                xml.leaf(name, value);
            }
        });
        (0..records).for_each(|number| record(xml, number));
    });
    xml.text
}

fn record(xml: &mut Xml<'_>, number: u32) {
    let word = |pass: bool| if pass { "pass" } else { "fail" };
    let (dkim, spf) = (!number.is_multiple_of(7), !number.is_multiple_of(5));
    let [_, b, c, d] = number.wrapping_mul(2_654_435_761).to_be_bytes();
    xml.within("record", |xml| {
        xml.within("row", |xml| {
            xml.leaf("source_ip", &format!("198.{b}.{c}.{d}"));
            xml.leaf("count", &(1 + number % 13).to_string());
            xml.within("policy_evaluated", |xml| {
                xml.leaf("disposition", "none");
                xml.leaf("dkim", word(dkim));
                xml.leaf("spf", word(spf));
                if number.is_multiple_of(11) {
                    xml.within("reason", |xml| {
                        xml.leaf("type", "local_policy");
                        xml.leaf("comment", "arc=pass");
                    });
                }
            });
        });
        xml.within("identifiers", |xml| {
            xml.leaf("envelope_from", if spf { "bounces.example.com" } else { "elsewhere.example" });
            xml.leaf("header_from", "example.com");
        });
        xml.within("auth_results", |xml| {
            xml.within("dkim", |xml| {
                xml.leaf("domain", "example.com");
                xml.leaf("selector", ["s2025", "k1", "mail"][number as usize % 3]);
                xml.leaf("result", word(dkim));
            });
            xml.within("spf", |xml| {
                xml.leaf("domain", if spf { "bounces.example.com" } else { "elsewhere.example" });
                xml.leaf("scope", "mfrom");
                xml.leaf("result", word(spf));
            });
        });
    });
}

struct Xml<'a> {
    text: String,
    depth: usize,
    end: &'a str,
    indent: &'a str,
}

impl Xml<'_> {
    fn leaf(&mut self, name: &str, value: &str) {
        self.margin();
        let _ = write!(self.text, "<{name}>{value}</{name}>{}", self.end);
    }

    fn within(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.margin();
        let _ = write!(self.text, "<{name}>{}", self.end);
        self.depth += 1;
        content(self);
        self.depth -= 1;
        self.margin();
        let _ = write!(self.text, "</{name}>{}", self.end);
    }

    fn margin(&mut self) {
        (0..self.depth).for_each(|_| self.text.push_str(self.indent));
    }
}
