//! The daily sums: what the records of counted aggregate reports add up to, kept beside them in the same transaction.
//!
//! New reports are added when their batch is committed, all at once: the rows of a batch share most of their keys, and a
//! report that loses its standing within the batch never enters. `daily_state` tells up to which report that is done, so
//! a report that was never added is found whatever brought it. A report that is in already and stops counting, starts
//! counting or goes is taken out or put in when that happens.

mod compare;
mod fresh;
pub mod packed;
mod results;

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

pub use compare::differences;
pub use fresh::Fresh;
use packed::{Key, Sum};
use results::Results;
pub use results::{each, functions, tell_used};
use rusqlite::{Connection, OptionalExtension, Row, Statement, params};

use super::standing::OF_IDENTITY;

/// Entries held in memory before they are written: about 6 MB. More of them save no time.
const MOST: usize = 10_000;

/// What stands in a key where there is no value.
const NO_RESULT: i8 = -1;
const NO_TEXT: i64 = 0;

const SECONDS: i64 = 86_400;

/// The UTC day of a period's end, in days since the epoch: one that ends at midnight belongs to the day before.
pub fn day(end_at: i64) -> i64 {
    end_at.saturating_sub(1).div_euclid(SECONDS)
}

/// Adds every report that is not in the sums yet.
///
/// # Errors
/// Those of SQLite; the transaction is then to be given up.
pub fn catch_up(connection: &Connection) -> rusqlite::Result<()> {
    catch_up_with(connection, &Fresh::default())
}

/// The same, with rows that need not be read.
///
/// # Errors
/// Those of SQLite; the transaction is then to be given up.
pub fn catch_up_with(connection: &Connection, fresh: &Fresh) -> rusqlite::Result<()> {
    let done = done(connection)?;
    let last: Option<i64> = connection.prepare_cached("SELECT max(id) FROM report")?.query_row([], |row| row.get(0))?;
    match last {
        Some(last) if last > done => {
            add(connection, Reports { first: done + 1, last, verified: None, sign: 1 }, fresh)?;
            set_done(connection, last)
        }
        _ => Ok(()),
    }
}

/// Makes the sums anew. What was kept in them of reports that are gone is lost, and such a report counts again.
///
/// # Errors
/// Those of SQLite; the transaction is then to be given up.
pub fn rebuild(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "DELETE FROM daily_source; DELETE FROM daily_reporter; DELETE FROM daily_result; DELETE FROM daily_state;
         UPDATE address SET records = 0, records_failed = 0 WHERE records <> 0; DELETE FROM summed_report",
    )?;
    catch_up(connection)
}

/// Runs `change`, which changes which of the reports of `identity` count or how they are verified, and has the sums
/// follow.
///
/// # Errors
/// Those of SQLite; the savepoint is then to be given up.
pub fn follow<T>(
    connection: &Connection,
    identity: &[u8],
    change: impl FnOnce() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let before = standings(connection, identity)?;
    let value = change()?;
    let after = standings(connection, identity)?;
    for (report, before) in before {
        let after = after.get(&report).copied();
        if after == Some(before) {
            continue;
        }
        before.enter(connection, report, -1)?;
        if let Some(after) = after {
            after.enter(connection, report, 1)?;
        }
    }
    Ok(value)
}

/// Takes the report out of the sums, which is about to be deleted.
///
/// # Errors
/// Those of SQLite; the transaction is then to be given up.
pub fn leave(connection: &Connection, report: i64) -> rusqlite::Result<()> {
    let standing = connection
        .prepare_cached(
            "SELECT counted, verification = 'verified' FROM report WHERE id = ?1 AND kind = 'aggregate' \
             AND id <= (SELECT report FROM daily_state)",
        )?
        .query_row([report], |row| Ok(Standing { counted: row.get(0)?, verified: row.get(1)? }))
        .optional()?;
    standing.map_or(Ok(()), |standing| standing.enter(connection, report, -1))
}

/// Whether the report of this identity is gone and what it added to the sums was kept.
///
/// # Errors
/// Those of SQLite; the savepoint is then to be given up.
pub fn is_kept(connection: &Connection, end_at: i64, identity: &[u8]) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM summed_report WHERE end_at = ?1 AND digest = substr(?2, 9)")?
        .exists(params![end_at, identity])
}

/// Takes away what is left in the sums of a day for periods that ended before a time, when the reports that are there were
/// taken out of it: it is of reports that are gone. How many these were.
///
/// # Errors
/// Those of SQLite; the transaction is then to be given up.
pub fn forget_kept(connection: &Connection, day: i64, before: i64) -> rusqlite::Result<i64> {
    for sql in [
        "UPDATE address SET records = address.records - d.sum FROM (SELECT source, sum(records) AS sum FROM daily_source \
         WHERE day = ?1 AND end_at < ?2 GROUP BY source) d WHERE address.id = d.source",
        "DELETE FROM daily_source WHERE day = ?1 AND end_at < ?2",
        "DELETE FROM daily_reporter WHERE day = ?1 AND end_at < ?2",
    ] {
        connection.prepare_cached(sql)?.execute([day, before])?;
    }
    let mut failed =
        connection.prepare_cached("UPDATE address SET records_failed = records_failed - ?2 WHERE id = ?1")?;
    results::forget(connection, day, before, |source, records| failed.execute([source, records]).map(|_| ()))?;
    let first = day.saturating_mul(SECONDS).saturating_add(1);
    let last = day.saturating_add(1).saturating_mul(SECONDS);
    connection
        .prepare_cached("DELETE FROM summed_report WHERE end_at BETWEEN ?1 AND ?2 AND end_at < ?3")?
        .execute([first, last, before])
        .map(|gone| gone as i64)
}

/// Numbers of reports that are gone may be given again.
///
/// # Errors
/// Those of SQLite; the transaction is then to be given up.
pub fn forget_deleted(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE daily_state SET report = min(report, coalesce((SELECT max(id) FROM report), 0))")?
        .execute([])
        .map(|_| ())
}

fn done(connection: &Connection) -> rusqlite::Result<i64> {
    let done: Option<i64> =
        connection.prepare_cached("SELECT report FROM daily_state")?.query_row([], |row| row.get(0)).optional()?;
    Ok(done.unwrap_or(0))
}

fn set_done(connection: &Connection, report: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO daily_state (id, report) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET report = excluded.report",
        )?
        .execute([report])
        .map(|_| ())
}

/// Whether a report is in the sums, and under which mark.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Standing {
    counted: bool,
    verified: bool,
}

impl Standing {
    fn enter(self, connection: &Connection, report: i64, sign: i64) -> rusqlite::Result<()> {
        if !self.counted {
            return Ok(());
        }
        add(connection, Reports { first: report, last: report, verified: Some(self.verified), sign }, &Fresh::default())
    }
}

/// The aggregate reports of an identity that the sums are made up to.
fn standings(connection: &Connection, identity: &[u8]) -> rusqlite::Result<BTreeMap<i64, Standing>> {
    connection
        .prepare_cached(&format!(
            "SELECT id, counted, verification = 'verified' FROM report WHERE id IN ({OF_IDENTITY}) AND kind = 'aggregate' \
             AND id <= (SELECT report FROM daily_state)",
        ))?
        .query_map(params![identity], |row| {
            Ok((row.get(0)?, Standing { counted: row.get(1)?, verified: row.get(2)? }))
        })?
        .collect()
}

/// Which reports to put in or take out.
struct Reports {
    first: i64,
    last: i64,
    /// As what they were put in; `None`: as they are now, and only those that count now.
    verified: Option<bool>,
    /// 1 or -1.
    sign: i64,
}

/// A period, as it ends each key: how it differs from one that ends with its day and takes a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    /// Seconds from its end to the end of the day.
    pub early: i64,
    /// Seconds that it is shorter than a day; below 0: longer.
    pub short: i64,
    /// Whether its report is verified.
    pub verified: bool,
}

impl Period {
    /// Ends and begins can be written as dates: nothing here comes near to overflow.
    fn new(begin_at: i64, end_at: i64, verified: bool) -> Period {
        let midnight = day(end_at).saturating_add(1).saturating_mul(SECONDS);
        let length = end_at.saturating_sub(begin_at);
        Period { early: midnight.saturating_sub(end_at), short: SECONDS.saturating_sub(length), verified }
    }

    /// Its end, in seconds since the epoch, as a period of that day.
    pub fn end_at(self, day: i64) -> i64 {
        day.saturating_add(1).saturating_mul(SECONDS).saturating_sub(self.early)
    }

    /// Its begin.
    pub fn begin_at(self, day: i64) -> i64 {
        self.end_at(day).saturating_sub(SECONDS).saturating_add(self.short)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct SourceKey {
    day: i64,
    source: i64,
    period: Period,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct ReporterKey {
    day: i64,
    domain: i64,
    org_name: i64,
    period: Period,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct ResultKey {
    day: i64,
    source: i64,
    key: Key,
}

/// How messages fared. A count is at most 2^31, so these cannot overflow by what is read.
#[derive(Clone, Copy, Default)]
struct Figures {
    records: i64,
    messages: i64,
    dmarc_pass: i64,
    dkim_pass: i64,
    spf_pass: i64,
    unknown: i64,
    quarantine: i64,
    reject: i64,
}

impl Figures {
    fn add(&mut self, record: &Record, sign: i64) {
        let plus = |sum: &mut i64, holds: bool| {
            if holds {
                *sum = sum.saturating_add(record.messages.saturating_mul(sign));
            }
        };
        let (dkim, spf) = (record.dkim == 1, record.spf == 1);
        self.records += sign;
        plus(&mut self.messages, true);
        plus(&mut self.dmarc_pass, dkim || spf);
        plus(&mut self.dkim_pass, dkim);
        plus(&mut self.spf_pass, spf);
        plus(&mut self.unknown, !dkim && !spf && (record.dkim == NO_RESULT || record.spf == NO_RESULT));
        plus(&mut self.quarantine, record.disposition == 1);
        plus(&mut self.reject, record.disposition == 2);
    }
}

#[derive(Clone, Copy, Default)]
struct SourceFigures {
    figures: Figures,
    forwarded: i64,
    dkim_any: i64,
    spf_any: i64,
}

/// What counted reports tell of an address, whatever the day.
#[derive(Clone, Copy)]
struct Told {
    first_at: i64,
    records: i64,
    failed: i64,
}

/// The part of a report that every key has.
#[derive(Clone, Copy)]
struct Head {
    id: i64,
    day: i64,
    period: Period,
    domain: i64,
    org_name: i64,
}

/// The columns of a record that are summed up.
#[allow(missing_docs, reason = "they are told in schema.sql")]
pub struct Record {
    pub source: i64,
    pub messages: i64,
    /// As [`result`] makes it, and so are the next two.
    pub disposition: i8,
    pub dkim: i8,
    pub spf: i8,
    /// As [`text`] makes it.
    pub header_from: i64,
    pub dkim_set: i64,
    pub spf_set: i64,
    /// As [`text`] makes it.
    pub reason_set: i64,
}

/// A result, as keys hold it.
pub fn result(value: Option<i64>) -> i8 {
    value.and_then(|value| i8::try_from(value).ok()).unwrap_or(NO_RESULT)
}

/// The row of a text or of reasons, as keys hold it.
pub fn text(row: Option<i64>) -> i64 {
    row.unwrap_or(NO_TEXT)
}

impl Record {
    fn read(row: &Row<'_>) -> rusqlite::Result<Record> {
        let result = |index: usize| row.get(index).map(result);
        Ok(Record {
            source: row.get(0)?,
            messages: row.get(1)?,
            disposition: result(2)?,
            dkim: result(3)?,
            spf: result(4)?,
            header_from: text(row.get(5)?),
            dkim_set: row.get(6)?,
            spf_set: row.get(7)?,
            reason_set: text(row.get(8)?),
        })
    }
}

/// Mixes row numbers and times, which are given out here: nobody can choose them so that they fall together.
#[derive(Clone, Copy, Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, value: u64) {
        // The table takes its place from the lowest bits and a mark from the highest: both halves of the product.
        let mixed = u128::from(self.0 ^ value ^ 0x9E37_79B9_7F4A_7C15) * 0xD6E8_FEB8_6659_FD93;
        self.0 = (mixed ^ (mixed >> 64)) as u64;
    }

    fn write_i64(&mut self, value: i64) {
        self.write_u64(value as u64);
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }
}

type Map<K, V> = HashMap<K, V, BuildHasherDefault<Mix>>;

/// Sums on their way into the tables.
struct Sums<'a> {
    connection: &'a Connection,
    sign: i64,
    sources: Map<SourceKey, SourceFigures>,
    addresses: Map<i64, Told>,
    reporters: Map<ReporterKey, (i64, Figures)>,
    results: Map<ResultKey, (i64, i64)>,
    /// Whether a signature passes in these results.
    dkim_sets: Map<i64, bool>,
    spf_sets: Map<i64, bool>,
    reason_sets: Map<i64, bool>,
}

fn add(connection: &Connection, reports: Reports, fresh: &Fresh) -> rusqlite::Result<()> {
    let mut sums = Sums {
        connection,
        sign: reports.sign,
        sources: Map::default(),
        addresses: Map::default(),
        reporters: Map::default(),
        results: Map::default(),
        dkim_sets: Map::default(),
        spf_sets: Map::default(),
        reason_sets: Map::default(),
    };
    let mut heads = connection.prepare_cached(
        "SELECT id, end_at, begin_at, coalesce(?3, verification = 'verified'), coalesce(domain, 0), coalesce(org_name, 0), \
         records FROM report WHERE id BETWEEN ?1 AND ?2 AND kind = 'aggregate' AND (counted OR ?3 IS NOT NULL) ORDER BY id",
    )?;
    let mut records = connection.prepare_cached(
        "SELECT source, messages, disposition, dkim, spf, header_from, dkim_set, spf_set, reason_set \
         FROM record WHERE report = ?1",
    )?;
    let mut heads = heads.query(params![reports.first, reports.last, reports.verified])?;
    while let Some(row) = heads.next()? {
        let (end_at, begin_at) = (row.get(1)?, row.get(2)?);
        let period = Period::new(begin_at, end_at, row.get(3)?);
        let head = Head { id: row.get(0)?, day: day(end_at), period, domain: row.get(4)?, org_name: row.get(5)? };
        let mut all = Figures::default();
        match fresh.rows(head.id, row.get(6)?) {
            Some(rows) => rows.iter().try_for_each(|record| sums.record(&head, record, &mut all))?,
            None => sums.stored(&head, &mut records, &mut all)?,
        }
        sums.report(&head, &all);
    }
    sums.write()
}

impl Sums<'_> {
    fn report(&mut self, head: &Head, all: &Figures) {
        let &Head { day, period, domain, org_name, .. } = head;
        let (reports, sum) = self.reporters.entry(ReporterKey { day, domain, org_name, period }).or_default();
        *reports += self.sign;
        sum.plus(all);
    }

    /// The records of a report as they are stored.
    fn stored(&mut self, head: &Head, records: &mut Statement<'_>, all: &mut Figures) -> rusqlite::Result<()> {
        let mut rows = records.query([head.id])?;
        while let Some(row) = rows.next()? {
            self.record(head, &Record::read(row)?, all)?;
        }
        Ok(())
    }

    /// A record, also into what its whole report comes to.
    fn record(&mut self, head: &Head, record: &Record, all: &mut Figures) -> rusqlite::Result<()> {
        all.add(record, self.sign);
        let &Record { source, messages, disposition, dkim, spf, header_from, dkim_set, spf_set, reason_set } = record;
        let (sign, day, period, domain) = (self.sign, head.day, head.period, head.domain);
        let signed = messages.saturating_mul(sign);
        let dkim_any = known(&mut self.dkim_sets, dkim_set, || holds(self.connection, PASSES_DKIM, dkim_set))?;
        let spf_any = known(&mut self.spf_sets, spf_set, || holds(self.connection, PASSES_SPF, spf_set))?;
        let forwarded = reason_set != NO_TEXT
            && known(&mut self.reason_sets, reason_set, || holds(self.connection, TELLS_OF_FORWARDING, reason_set))?;
        let end_at = period.end_at(day);
        let told = self.addresses.entry(source).or_insert(Told { first_at: end_at, records: 0, failed: 0 });
        told.first_at = told.first_at.min(end_at);
        told.records += sign;
        if dkim == 0 && spf == 0 {
            told.failed += sign;
        }
        let sum = self.sources.entry(SourceKey { day, source, period }).or_default();
        sum.figures.add(record, sign);
        for (sum, holds) in
            [(&mut sum.forwarded, forwarded), (&mut sum.dkim_any, dkim_any), (&mut sum.spf_any, spf_any)]
        {
            if holds {
                *sum = sum.saturating_add(signed);
            }
        }
        let key = Key { domain, header_from, disposition, dkim, spf, dkim_set, spf_set, reason_set, period };
        let key = ResultKey { day, source, key };
        let sum = self.results.entry(key).or_default();
        sum.0 += sign;
        sum.1 = sum.1.saturating_add(signed);
        if self.sources.len() >= MOST || self.results.len() >= MOST {
            self.write()?;
        }
        Ok(())
    }

    /// Writes what is held, in the order of the keys: neighbours share their page.
    fn write(&mut self) -> rusqlite::Result<()> {
        self.write_sources()?;
        self.write_addresses()?;
        self.write_reporters()?;
        self.write_results()
    }

    fn write_sources(&mut self) -> rusqlite::Result<()> {
        let mut upsert = self.connection.prepare_cached(
            "INSERT INTO daily_source (day, source, early, short, verified, records, messages, dmarc_pass, dkim_pass, \
             spf_pass, unknown, quarantine, reject, forwarded, dkim_any, spf_any) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) \
             ON CONFLICT (day, source, early, short, verified) DO UPDATE SET records = records + excluded.records, \
             messages = messages + excluded.messages, dmarc_pass = dmarc_pass + excluded.dmarc_pass, \
             dkim_pass = dkim_pass + excluded.dkim_pass, spf_pass = spf_pass + excluded.spf_pass, \
             unknown = unknown + excluded.unknown, quarantine = quarantine + excluded.quarantine, \
             reject = reject + excluded.reject, forwarded = forwarded + excluded.forwarded, \
             dkim_any = dkim_any + excluded.dkim_any, spf_any = spf_any + excluded.spf_any",
        )?;
        let mut remove = self.connection.prepare_cached(
            "DELETE FROM daily_source WHERE (day, source, early, short, verified) = (?1, ?2, ?3, ?4, ?5) AND records = 0",
        )?;
        for (key, sum) in sorted(&mut self.sources) {
            let SourceKey { day, source, period: Period { early, short, verified } } = key;
            let SourceFigures { figures: f, forwarded, dkim_any, spf_any } = sum;
            upsert.execute((
                day,
                source,
                early,
                short,
                verified,
                f.records,
                f.messages,
                f.dmarc_pass,
                f.dkim_pass,
                f.spf_pass,
                f.unknown,
                f.quarantine,
                f.reject,
                forwarded,
                dkim_any,
                spf_any,
            ))?;
            if self.sign < 0 {
                remove.execute(params![day, source, early, short, verified])?;
            }
        }
        Ok(())
    }

    fn write_addresses(&mut self) -> rusqlite::Result<()> {
        let mut update = self.connection.prepare_cached(
            "UPDATE address SET records = records + ?2, records_failed = records_failed + ?3, \
             first_at = CASE WHEN ?4 IS NULL OR first_at <= ?4 THEN first_at ELSE ?4 END WHERE id = ?1",
        )?;
        for (source, told) in sorted(&mut self.addresses) {
            let first_at = (self.sign > 0).then_some(told.first_at);
            update.execute((source, told.records, told.failed, first_at))?;
        }
        Ok(())
    }

    fn write_reporters(&mut self) -> rusqlite::Result<()> {
        let mut upsert = self.connection.prepare_cached(
            "INSERT INTO daily_reporter (day, domain, org_name, early, short, verified, reports, records, messages, \
             dmarc_pass, dkim_pass, spf_pass, unknown, quarantine, reject) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) \
             ON CONFLICT (day, domain, org_name, early, short, verified) DO UPDATE SET reports = reports + excluded.reports, \
             records = records + excluded.records, messages = messages + excluded.messages, \
             dmarc_pass = dmarc_pass + excluded.dmarc_pass, dkim_pass = dkim_pass + excluded.dkim_pass, \
             spf_pass = spf_pass + excluded.spf_pass, unknown = unknown + excluded.unknown, \
             quarantine = quarantine + excluded.quarantine, reject = reject + excluded.reject",
        )?;
        let mut remove = self.connection.prepare_cached(
            "DELETE FROM daily_reporter \
             WHERE (day, domain, org_name, early, short, verified) = (?1, ?2, ?3, ?4, ?5, ?6) AND reports = 0",
        )?;
        for (key, (reports, f)) in sorted(&mut self.reporters) {
            let ReporterKey { day, domain, org_name, period: Period { early, short, verified } } = key;
            upsert.execute(params![
                day,
                domain,
                org_name,
                early,
                short,
                verified,
                reports,
                f.records,
                f.messages,
                f.dmarc_pass,
                f.dkim_pass,
                f.spf_pass,
                f.unknown,
                f.quarantine,
                f.reject
            ])?;
            if self.sign < 0 {
                remove.execute(params![day, domain, org_name, early, short, verified])?;
            }
        }
        Ok(())
    }

    fn write_results(&mut self) -> rusqlite::Result<()> {
        let mut rows = Results::of(self.connection)?;
        let place = |(key, _): &(ResultKey, (i64, i64))| (key.day, key.source);
        for entries in sorted(&mut self.results).chunk_by(|one, other| place(one) == place(other)) {
            let Some((day, source)) = entries.first().map(place) else { continue };
            let sum = |(key, (records, messages)): &(ResultKey, (i64, i64))| Sum {
                key: key.key,
                records: *records,
                messages: *messages,
            };
            rows.add(day, source, &entries.iter().map(sum).collect::<Vec<_>>())?;
            if self.sign < 0 {
                rows.tidy(day, source)?;
            }
        }
        Ok(())
    }
}

impl Figures {
    fn plus(&mut self, other: &Figures) {
        let plus = |sum: &mut i64, more: i64| *sum = sum.saturating_add(more);
        plus(&mut self.records, other.records);
        plus(&mut self.messages, other.messages);
        plus(&mut self.dmarc_pass, other.dmarc_pass);
        plus(&mut self.dkim_pass, other.dkim_pass);
        plus(&mut self.spf_pass, other.spf_pass);
        plus(&mut self.unknown, other.unknown);
        plus(&mut self.quarantine, other.quarantine);
        plus(&mut self.reject, other.reject);
    }
}

/// Empties the map.
fn sorted<K: Ord + Copy + Hash, V>(sums: &mut Map<K, V>) -> Vec<(K, V)> {
    let mut all: Vec<(K, V)> = sums.drain().collect();
    all.sort_unstable_by_key(|(key, _)| *key);
    all
}

/// What is known of a set, looked up at most once while it is held.
fn known<V: Copy>(
    cache: &mut Map<i64, V>,
    set: i64,
    look_up: impl FnOnce() -> rusqlite::Result<V>,
) -> rusqlite::Result<V> {
    if let Some(value) = cache.get(&set) {
        return Ok(*value);
    }
    let value = look_up()?;
    if cache.len() >= MOST {
        cache.clear();
    }
    cache.insert(set, value);
    Ok(value)
}

/// Whether one of a combination of results passes, and whether one of reasons tells of forwarding.
const PASSES_DKIM: &str = "SELECT EXISTS (SELECT 1 FROM dkim_result WHERE dkim_set = ?1 AND result = 'pass')";
const PASSES_SPF: &str = "SELECT EXISTS (SELECT 1 FROM spf_result WHERE spf_set = ?1 AND result = 'pass')";
const TELLS_OF_FORWARDING: &str = "SELECT EXISTS (SELECT 1 FROM reason WHERE reason_set = ?1 \
    AND type IN ('forwarded', 'mailing_list', 'trusted_forwarder'))";

fn holds(connection: &Connection, sql: &str, set: i64) -> rusqlite::Result<bool> {
    connection.prepare_cached(sql)?.query_row([set], |row| row.get(0))
}
