//! The XML reader: whole and streamed, in windows that cut tokens anywhere, a document says the same.
#![no_main]

use std::io::{self, BufRead};

use dmarcdb::limits::Limits;
use dmarcdb::problem::{Code, Refusal};
use dmarcdb::report::aggregate::{AggregateReport, Chunk, Input, Read, Record, Sink, read};
use libfuzzer_sys::fuzz_target;

/// What a sink is told: records as numbers, reports as text.
#[derive(Debug, Default, PartialEq)]
struct Told {
    records: Vec<Record>,
    reports: Vec<Result<String, Code>>,
}

impl Sink for Told {
    fn chunk(&mut self, chunk: Chunk) {
        for record in &chunk.records {
            let ids = [record.header_from, record.envelope_from, record.envelope_to];
            assert!(
                ids.into_iter()
                    .flatten()
                    .all(|id| id.index() < chunk.strings.len())
            );
            assert!((record.auth_set as usize) < chunk.auth_sets.len());
        }
        self.records.extend(&chunk.records);
    }

    fn report(&mut self, report: Result<AggregateReport, Refusal>) {
        self.reports.push(match report {
            // Places of warnings are bytes of the text, or of the document.
            Ok(report) => Ok(format!(
                "{:?} {:?} {}",
                report.policy, report.content_hash, report.messages
            )),
            Err(refusal) => Err(refusal.code),
        });
    }
}

/// Hands out a few bytes at a time.
struct Trickle<'a>(&'a [u8], usize);

impl io::Read for Trickle<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.fill_buf()?
            .read(out)
            .inspect(|&read| self.0 = &self.0[read..])
    }
}

impl BufRead for Trickle<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(&self.0[..self.0.len().min(self.1)])
    }

    fn consume(&mut self, amount: usize) {
        self.0 = &self.0[amount..];
    }
}

fuzz_target!(|data: &[u8]| {
    // No input reaches it: a stream measures a token that has begun, a document in memory one that has ended.
    let limits = Limits {
        value_bytes: 1 << 20,
        ..Limits::default()
    };
    let (mut whole, mut streamed) = (Told::default(), Told::default());
    let one = read(Input::Whole(data), &limits, &mut whole);
    // The declaration has to be in the first piece.
    let piece = 600 + data.len() % 41;
    let other = read(
        Input::Stream(&mut Trickle(data, piece)),
        &limits,
        &mut streamed,
    );
    let code = |outcome: Result<Read, Refusal>| outcome.map_err(|refusal| refusal.code);
    let (one, other) = (code(one), code(other));
    assert_eq!(one, other);
    assert_eq!(whole, streamed);
});
