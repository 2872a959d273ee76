//! The least that reading and keeping reports costs, for whole runs: base64 by the bare crate, bare flate2, a bare loop over the
//! events of quick-xml, and bare prepared statements.

use std::hint::black_box;
use std::io::Read as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::bufread::GzDecoder;
use quick_xml::events::Event;
use rusqlite::Connection;

use crate::bare::{Bare, Sums};
use crate::generate::{self, Report};
use crate::program::remove;

/// How many cores there are.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// A report as the base64 of its gzip.
pub fn packed(report: &Report) -> String {
    STANDARD.encode(generate::gzip(&report.xml))
}

/// Decodes, inflates and walks through all reports, on so many threads.
pub fn bare_read(texts: &[String], threads: usize) {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(text) = texts.get(next.fetch_add(1, Ordering::Relaxed)) {
            let packed = STANDARD.decode(text).expect("base64");
            let mut xml = String::new();
            GzDecoder::new(packed.as_slice()).read_to_string(&mut xml).expect("gzip");
            black_box(bare_events(&xml));
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
}

/// Every event of a document in memory, and nothing done with it.
pub fn bare_events(text: &str) -> u64 {
    let mut reader = quick_xml::Reader::from_str(text);
    let mut events = 0;
    loop {
        match reader.read_event().expect("well-formed") {
            Event::Eof => return events,
            event => {
                black_box(&event);
                events += 1;
            }
        }
    }
}

fn fresh(db: &Path) -> Connection {
    remove(db);
    let connection = Connection::open(db).expect("a database");
    connection.pragma_update(None, "journal_mode", "WAL").expect("WAL");
    connection.pragma_update(None, "synchronous", "FULL").expect("synchronous");
    connection.pragma_update(None, "foreign_keys", true).expect("foreign keys");
    // As much memory as the store has, or pages are written several times.
    connection.pragma_update(None, "cache_size", -32_000).expect("a cache");
    connection.execute_batch(concat!("BEGIN;", include_str!("../schema.sql"), "COMMIT")).expect("schema.sql");
    connection
}

/// The same rows into the same schema, those of the daily sums included, with prepared statements and one transaction, and
/// nothing else.
pub fn bare_insert(path: &Path, reports: &[Report], sums: &Sums) -> i64 {
    let db = fresh(path);
    db.execute_batch("BEGIN IMMEDIATE").expect("a transaction");
    {
        let mut bare = Bare::new(&db, sums);
        for (number, report) in reports.iter().enumerate() {
            bare.keep(number as u64, &report.head, &report.rows);
        }
    }
    sums.insert(&db);
    db.execute_batch("COMMIT").expect("a commit");
    db.last_insert_rowid()
}

/// The daily sums that the rows of `reports` make.
pub fn sums(path: &Path, reports: &[Report]) -> Sums {
    bare_insert(path, reports, &Sums::default());
    let db = Connection::open(path).expect("a database");
    db.execute_batch("BEGIN IMMEDIATE").expect("a transaction");
    dmarcdb::store::daily::catch_up(&db).expect("daily sums");
    db.execute_batch("COMMIT").expect("a commit");
    Sums::of(&db)
}
