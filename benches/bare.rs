//! The least that keeping a report costs: its rows into the same schema, with prepared statements and nothing else. The
//! floor of what is kept, and how a database of any size is made.

use std::collections::HashMap;

use rusqlite::types::Value;
use rusqlite::{Connection, params};

use crate::generate::{self, Head, Row};

/// Thirty-two bytes that no other number has.
pub fn digest(number: u64) -> [u8; 32] {
    let mut digest = [0; 32];
    for (index, part) in digest.chunks_mut(8).enumerate() {
        part.copy_from_slice(&(number ^ (index as u64) << 60).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
    }
    digest
}

/// Ids given to words by their first use, and the statement that stores a new one.
struct Words<'a> {
    ids: HashMap<String, i64>,
    insert: rusqlite::Statement<'a>,
}

impl<'a> Words<'a> {
    fn new(db: &'a Connection, sql: &str) -> Self {
        Words { ids: HashMap::new(), insert: db.prepare(sql).expect(sql) }
    }

    fn id(&mut self, word: &str) -> i64 {
        if let Some(id) = self.ids.get(word) {
            return *id;
        }
        let id = self.insert.insert([word]).expect("a word");
        self.ids.insert(word.to_owned(), id);
        id
    }
}

/// Addresses by their first use, each inserted with what the daily sums say of it.
struct Addresses<'a> {
    ids: HashMap<String, i64>,
    insert: rusqlite::Statement<'a>,
    sums: &'a Sums,
}

impl Addresses<'_> {
    fn id(&mut self, ip: &str) -> i64 {
        if let Some(id) = self.ids.get(ip) {
            return *id;
        }
        let (first_at, records, failed) = self.sums.addresses.get(ip).copied().unwrap_or_default();
        let id = self.insert.insert(params![ip, first_at, records, failed]).expect("an address");
        self.ids.insert(ip.to_owned(), id);
        id
    }
}

/// Prepared statements for all that belongs to a report.
pub struct Bare<'a> {
    text: Words<'a>,
    address: Addresses<'a>,
    dkim_sets: Sets<'a>,
    spf_sets: Sets<'a>,
    forwarding: i64,
    message: rusqlite::Statement<'a>,
    report: rusqlite::Statement<'a>,
    record: rusqlite::Statement<'a>,
    dkim: rusqlite::Statement<'a>,
    spf: rusqlite::Statement<'a>,
}

impl<'a> Bare<'a> {
    /// For a database that holds the schema and nothing else. `sums`: what addresses are inserted with.
    pub fn new(db: &'a Connection, sums: &'a Sums) -> Bare<'a> {
        let prepare = |sql: &str| db.prepare(sql).expect(sql);
        db.execute_batch(
            "INSERT INTO reason_set (id, digest) VALUES (1, x'00');
             INSERT INTO reason (reason_set, ordinal, type) VALUES (1, 0, 'local_policy');
             INSERT INTO aggregate (id, digest, version, p, sp, adkim, aspf, pct)
             VALUES (1, x'00', '1.0', 'quarantine', 'quarantine', 'r', 'r', 100)",
        )
        .expect("a reason and a policy");
        Bare {
            text: Words::new(db, "INSERT INTO text (value) VALUES (?)"),
            address: Addresses {
                ids: HashMap::new(),
                insert: prepare("INSERT INTO address (ip, first_at, records, records_failed) VALUES (?, ?, ?, ?)"),
                sums,
            },
            dkim_sets: Sets::new(db, "INSERT INTO dkim_set (digest) VALUES (?)"),
            spf_sets: Sets::new(db, "INSERT INTO spf_set (digest) VALUES (?)"),
            forwarding: 1,
            message: prepare(
                "INSERT INTO message (sha256, day, folder, origin, seen_at, bytes, outcome, message_id, from_address, subject,
                   sent_at, auth)
                 VALUES (?, ?, ?, ?, ?, 3000, 'stored', ?, ?, ?, ?, 'none')",
            ),
            report: prepare(
                "INSERT INTO report (kind, message, part, org_name, org_email, report_id, domain, begin_at, end_at,
                   identity, content_hash, records_seen, records, messages, aggregate)
                 VALUES ('aggregate', ?, '2/report.xml', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
            ),
            record: prepare(
                "INSERT INTO record (report, ordinal, source, messages, disposition, dkim, spf, header_from, envelope_from,
                   dkim_set, spf_set, reason_set) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ),
            dkim: prepare(
                "INSERT INTO dkim_result (dkim_set, ordinal, domain, selector, result) VALUES (?, 0, ?, ?, ?)",
            ),
            spf: prepare(
                "INSERT INTO spf_result (spf_set, ordinal, domain, scope, result) VALUES (?, 0, ?, 'mfrom', ?)",
            ),
        }
    }

    /// Keeps report number `number`; its row.
    pub fn keep(&mut self, number: u64, head: &Head, rows: &[Row]) -> i64 {
        let digest = digest(number);
        let Head { org_name, org_email, report_id, domain, begin_at, end_at } = head;
        // As the store makes them: the end of the period first, and half digests.
        let identity = [&end_at.to_be_bytes()[..], &digest[..16]].concat();
        let folder = self.text.id("imap://reports/INBOX;uidvalidity=1690000000;uid=");
        let origin = number.to_string();
        let subject = format!("Report Domain: {domain} Submitter: receiver.example Report-ID: <{report_id}>");
        let message_id = format!("{report_id}@receiver.example");
        let (org_name, org_email, domain) = (self.text.id(org_name), self.text.id(org_email), self.text.id(domain));
        let message = params![digest, end_at / 86_400, folder, origin, end_at, message_id, org_email, subject, end_at];
        let message = self.message.insert(message).expect("message");
        let (records, messages) = (rows.len() as i64, rows.iter().map(|row| row.messages).sum::<i64>());
        let values = params![
            message,
            org_name,
            org_email,
            report_id,
            domain,
            begin_at,
            end_at,
            identity,
            &digest[..16],
            records,
            records,
            messages
        ];
        let report = self.report.insert(values).expect("report");
        for (ordinal, row) in rows.iter().enumerate() {
            self.record(report, ordinal, row);
        }
        report
    }

    fn record(&mut self, report: i64, ordinal: usize, row: &Row) {
        let source = self.address.id(&row.source_ip);
        let (header_from, envelope_from) = (self.text.id(row.header_from), self.text.id(&row.envelope_from));
        let (dkim_set, spf_set) = self.results(row, header_from, envelope_from);
        let reason_set = row.forwarded.then_some(self.forwarding);
        let ordinal = ordinal as i64;
        let values = params![
            report,
            ordinal,
            source,
            row.messages,
            row.disposition,
            row.dkim,
            row.spf,
            header_from,
            envelope_from,
            dkim_set,
            spf_set,
            reason_set
        ];
        self.record.execute(values).expect("record");
    }

    fn results(&mut self, row: &Row, header_from: i64, envelope_from: i64) -> (i64, i64) {
        let selector = self.text.id(row.selector);
        let (dkim, spf) = ((header_from, selector, row.dkim), (envelope_from, 0, row.spf));
        let (dkim, new) = self.dkim_sets.id(dkim);
        if new {
            self.dkim.execute(params![dkim, header_from, selector, generate::word(row.dkim)]).expect("dkim");
        }
        let (spf, new) = self.spf_sets.id(spf);
        if new {
            self.spf.execute(params![spf, envelope_from, generate::word(row.spf)]).expect("spf");
        }
        (dkim, spf)
    }
}

/// Combinations of one kind, which here have one result each.
struct Sets<'a> {
    known: HashMap<(i64, i64, bool), i64>,
    insert: rusqlite::Statement<'a>,
}

impl<'a> Sets<'a> {
    fn new(db: &'a Connection, insert: &str) -> Sets<'a> {
        Sets { known: HashMap::new(), insert: db.prepare(insert).expect(insert) }
    }

    /// Its row, and whether that is new.
    fn id(&mut self, key: (i64, i64, bool)) -> (i64, bool) {
        if let Some(known) = self.known.get(&key) {
            return (*known, false);
        }
        let digest = digest(self.known.len() as u64);
        let id = self.insert.insert([&digest[..16]]).expect("a set");
        self.known.insert(key, id);
        (id, true)
    }
}

/// The daily sums.
#[derive(Default)]
pub struct Sums {
    /// Rows of their tables, as columns and values.
    rows: Vec<(&'static str, Vec<Vec<Value>>)>,
    /// When each address was first told of, and how many records tell of it and of its failing.
    addresses: HashMap<String, (Option<i64>, i64, i64)>,
}

impl Sums {
    /// What is in a database.
    #[allow(dead_code, reason = "shared with the other benchmarks")]
    pub fn of(db: &Connection) -> Sums {
        let source = "daily_source (day, source, early, short, verified, records, messages, dmarc_pass, dkim_pass, spf_pass, \
                      unknown, quarantine, reject, forwarded, dkim_any, spf_any)";
        let reporter = "daily_reporter (day, domain, org_name, early, short, verified, reports, records, messages, dmarc_pass, \
                        dkim_pass, spf_pass, unknown, quarantine, reject)";
        let result = "daily_result (day, source, part, ip, sums)";
        let rows = |table: &'static str| {
            let (name, columns) = table.split_once(" (").expect("columns");
            let columns = columns.trim_end_matches(')');
            let mut statement = db.prepare(&format!("SELECT {columns} FROM {name}")).expect("a table");
            let count = statement.column_count();
            let row =
                |row: &rusqlite::Row<'_>| (0..count).map(|at| row.get(at)).collect::<rusqlite::Result<Vec<Value>>>();
            let rows = statement.query_map([], row).expect("rows").map(|row| row.expect("a row")).collect();
            (table, rows)
        };
        let mut addresses =
            db.prepare("SELECT ip, first_at, records, records_failed FROM address").expect("the addresses");
        let address = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, (row.get(1)?, row.get(2)?, row.get(3)?)));
        let addresses = addresses.query_map([], address).expect("addresses").map(|row| row.expect("an address"));
        Sums { rows: [source, reporter, result].into_iter().map(rows).collect(), addresses: addresses.collect() }
    }

    /// Inserts the rows of their tables, in the order of their keys.
    #[allow(dead_code, reason = "shared with the other benchmarks")]
    pub fn insert(&self, db: &Connection) {
        for (table, rows) in &self.rows {
            let Some(first) = rows.first() else { continue };
            let places = vec!["?"; first.len()].join(", ");
            let mut insert = db.prepare(&format!("INSERT INTO {table} VALUES ({places})")).expect("a table");
            for row in rows {
                insert.execute(rusqlite::params_from_iter(row)).expect("a row");
            }
        }
    }
}
