//! The same mail gives the same database, whatever the number of threads and the size of a batch: row by row, numbers and
//! all.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use dmarcdb::ingest::{self, BATCH_MESSAGES, Observer, Options, Tally};
use dmarcdb::reading::Settings;
use dmarcdb::source::Origin;
use dmarcdb::source::file::FileSource;
use dmarcdb::store::{Kept, Ours, Store};
use rusqlite::Connection;
use rusqlite::types::Value;

use crate::support::run::{Place, mail, report};

struct Nobody;

impl Observer for Nobody {
    fn kept(&mut self, _: &Origin, _: &Kept, _: &Tally, _: Option<u64>) {}
}

/// Every row of every table, in the order of the numbers.
fn content(db: &Path) -> Vec<String> {
    let connection = Connection::open(db).unwrap();
    let list = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
    let mut tables = connection.prepare(list).unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(tables.len() > 20, "{tables:?}");
    let mut all = Vec::new();
    for table in tables {
        let mut statement = connection.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values: Vec<Value> = (0..columns).map(|column| row.get(column).unwrap()).collect();
            all.push(format!("{table} {values:?}"));
        }
    }
    all
}

/// Reads the samples and more into a database of its own, by so many threads and in batches of so many messages.
fn database(place: &Place, paths: &[PathBuf], readers: usize, batch_messages: usize) -> Vec<String> {
    let db = place.path(&format!("{readers}-{batch_messages}.sqlite"));
    let mut store = Store::open(&db).unwrap();
    let options = Options {
        reading: Settings { authserv_id: Some("mx.example.com".into()), ..Settings::default() },
        ours: Ours { own_domains: vec!["example.com".into()], kept_bytes: 1 << 20, ..Ours::default() },
        readers,
        now: 1_795_219_200,
        verifier: None,
        settles: false,
        reserved: ingest::Reserved::default(),
        dry_run: false,
        batch_messages,
    };
    let mut source = FileSource::new(paths.to_vec(), false, options.reading.limits.message_bytes);
    let (tally, outcome) = ingest::run(&mut source, &mut store, &options, &AtomicBool::new(false), &mut Nobody);
    outcome.unwrap();
    assert!(tally.messages > 60 && tally.problems > 0 && tally.complaints > 0, "{tally:?}");
    store.judge_again(&options.ours).unwrap();
    drop(store);
    content(&db)
}

#[test]
fn one_thread_and_one_message_at_a_time_give_the_same_database() {
    let place = Place::new();
    for number in 0..30 {
        // Some are versions of one another, some the same again.
        place.write(&format!("in/{number:02}.eml"), mail(&format!("r{}", number % 20), 1 + number % 7));
        place.write(&format!("in/{number:02}.xml"), report(&format!("s{}", number % 25), 1 + number % 3));
    }
    let paths = [Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/mail"), place.path("in")];
    let plain = database(&place, &paths, 1, 1);
    for (readers, batch_messages) in [(4, BATCH_MESSAGES), (8, 3), (1, BATCH_MESSAGES), (0, BATCH_MESSAGES)] {
        let other = database(&place, &paths, readers, batch_messages);
        assert_eq!(other.len(), plain.len(), "{readers} threads, batches of {batch_messages}");
        for (other, plain) in other.iter().zip(&plain) {
            assert_eq!(other, plain, "{readers} threads, batches of {batch_messages}");
        }
    }
}
