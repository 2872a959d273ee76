//! The daily sums: what the records of counted aggregate reports add up to, kept beside them in the same transaction.
//!
//! New reports are added when their batch is committed, all at once: the rows of a batch share most of their keys, and a
//! report that loses its standing within the batch never enters. `daily_state` tells up to which report that is done, so
//! a report that was never added is found whatever brought it. A report that is in already and stops counting, starts
//! counting or goes is taken out or put in when that happens.

mod compare;
mod fresh;
mod functions;
mod map;
pub mod packed;
mod results;
mod sources;
mod sums;

use std::collections::BTreeMap;

pub use compare::differences;
pub use fresh::Fresh;
pub use functions::functions;
pub use results::{each, tell_used};
use rusqlite::{Connection, OptionalExtension, Row, Statement, params};
use sums::{Head, Sums};

use super::standing::OF_IDENTITY;

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
    catch_up_with(connection, &mut Fresh::default())
}

/// The same, with rows that need not be read, and new addresses that need not be looked up.
///
/// # Errors
/// Those of SQLite; the transaction is then to be given up.
pub fn catch_up_with(connection: &Connection, fresh: &mut Fresh) -> rusqlite::Result<()> {
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
        let reports = Reports { first: report, last: report, verified: Some(self.verified), sign };
        add(connection, reports, &mut Fresh::default())
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

/// The columns of a record that are summed up.
#[derive(Clone, Copy)]
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

fn add(connection: &Connection, reports: Reports, fresh: &mut Fresh) -> rusqlite::Result<()> {
    let mut sums = Sums::of(connection, reports.sign, fresh.take_addresses(reports.first));
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
        let (id, end_at, begin_at) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let period = Period::new(begin_at, end_at, row.get(3)?);
        sums.begin(Head { day: day(end_at), period, domain: row.get(4)?, org_name: row.get(5)? })?;
        match fresh.rows(id, row.get(6)?) {
            Some(rows) => rows.iter().try_for_each(|record| sums.add(*record))?,
            None => add_stored(&mut sums, &mut records, id)?,
        }
    }
    sums.write()
}

/// Adds the records of a report as they are stored.
fn add_stored(sums: &mut Sums<'_>, records: &mut Statement<'_>, report: i64) -> rusqlite::Result<()> {
    let mut rows = records.query([report])?;
    while let Some(row) = rows.next()? {
        sums.add(Record::read(row)?)?;
    }
    Ok(())
}
