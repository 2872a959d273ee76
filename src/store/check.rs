//! Is the database whole: what SQLite can tell of its file, and what of the ledger and the reports can be held against
//! each other. Reads only.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::daily;

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// `PRAGMA quick_check`: the structure of every page.
    Quick,
    /// `PRAGMA integrity_check`: also every index against its table.
    Full,
}

/// One check and what it found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// What was wrong, as many as are worth telling; empty where nothing is.
    pub found: Vec<String>,
    /// The file itself is damaged, as against rows that contradict each other.
    pub damage: bool,
}

/// Figures of the database that a person may want to act upon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// `PRAGMA user_version`.
    pub version: i32,
    /// When the newest message was kept.
    pub newest_seen_at: Option<i64>,
    /// UIDs that servers list but did not hand over.
    pub deferred: i64,
    /// Messages that are kept and still to be flagged, moved or deleted at the source.
    pub unsettled: i64,
    /// Problems that wait.
    pub problems: i64,
    /// Account, folder, and the end of the last run that reached the folder's end.
    pub mailboxes: Vec<(String, String, Option<i64>)>,
    /// Policy domain and the end of its newest aggregate report, at most [`DOMAINS`], the newest first.
    pub domains: Vec<(String, Option<i64>)>,
}

/// How many policy domains are looked at: strangers can name as many as they like.
pub const DOMAINS: usize = 1000;

/// How many findings of one check are told.
const TOLD: usize = 5;

/// Rows that contradict each other: the check's name, what it means, and the question, whose every row is a finding and
/// has one number.
const CONTRADICTIONS: [(&str, &str, &str); 16] = [
    (
        "orphans",
        "report without what belongs to its kind",
        "SELECT r.id FROM report r WHERE r.kind = 'aggregate' AND NOT EXISTS (SELECT 1 FROM aggregate a WHERE a.id = r.aggregate)
            OR r.kind = 'failure' AND NOT EXISTS (SELECT 1 FROM failure f WHERE f.report = r.id)",
    ),
    (
        "orphans",
        "bytes kept of a message without a problem that waits",
        "SELECT k.message FROM kept_message k
         WHERE NOT EXISTS (SELECT 1 FROM problem p WHERE p.message = k.message AND p.solved_at IS NULL)",
    ),
    (
        "ledger",
        "report of a message that is not told as stored",
        "SELECT r.id FROM report r JOIN message m ON m.id = r.message WHERE m.outcome NOT IN ('stored', 'partial')",
    ),
    (
        "ledger",
        "complaint of a message that is not told as stored",
        "SELECT c.id FROM complaint c JOIN message m ON m.id = c.message WHERE m.outcome NOT IN ('stored', 'partial')",
    ),
    (
        "ledger",
        "bounce of a message that is not told as stored",
        "SELECT b.id FROM bounce b JOIN message m ON m.id = b.message WHERE m.outcome NOT IN ('stored', 'partial')",
    ),
    (
        "ledger",
        "message told as stored, with no report, no complaint and no bounce",
        "SELECT m.id FROM message m WHERE m.outcome IN ('stored', 'partial') AND m.pruned_at IS NULL
            AND NOT EXISTS (SELECT 1 FROM report r WHERE r.message = m.id)
            AND NOT EXISTS (SELECT 1 FROM complaint c WHERE c.message = m.id)
            AND NOT EXISTS (SELECT 1 FROM bounce b WHERE b.message = m.id)",
    ),
    (
        "ledger",
        "message told as a problem, with no problem",
        "SELECT m.id FROM message m WHERE m.outcome IN ('problem', 'partial') AND m.pruned_at IS NULL
            AND NOT EXISTS (SELECT 1 FROM problem p WHERE p.message = m.id)",
    ),
    (
        "sums",
        "report whose `records` is not the number of its records",
        "SELECT r.id FROM report r
         WHERE r.kind = 'aggregate' AND r.records <> (SELECT count(*) FROM record c WHERE c.report = r.id)",
    ),
    // Beyond 2^53 the sum is not exact, and a stranger's joke.
    (
        "sums",
        "report whose `messages` is not the sum of its records",
        "SELECT r.id FROM report r WHERE r.kind = 'aggregate' AND r.messages < 9007199254740992
            AND r.messages <> (SELECT total(c.messages) FROM record c WHERE c.report = r.id)",
    ),
    // Where reports were taken away and their sums kept, these may be more than the rows and never less.
    (
        "daily",
        "UTC day, since the epoch, of which `daily_source` is not the sum of the records",
        "SELECT day FROM (
           SELECT period_day(r.end_at) AS day, r.records, r.messages
           FROM report r WHERE r.kind = 'aggregate' AND r.counted
           UNION ALL SELECT day, -records, -messages FROM daily_source)
         GROUP BY day HAVING (total(records) <> 0 OR total(messages) <> 0)
            AND (total(records) > 0 OR total(messages) > 0 OR day NOT IN (SELECT period_day(end_at) FROM summed_report))",
    ),
    (
        "daily",
        "UTC day, since the epoch, of which `daily_reporter` is not the sum of the records",
        "SELECT day FROM (
           SELECT period_day(r.end_at) AS day, 1 AS reports, r.records, r.messages
           FROM report r WHERE r.kind = 'aggregate' AND r.counted
           UNION ALL SELECT day, -reports, -records, -messages FROM daily_reporter)
         GROUP BY day HAVING (total(reports) <> 0 OR total(records) <> 0 OR total(messages) <> 0)
            AND (total(reports) > 0 OR total(records) > 0 OR total(messages) > 0 OR day NOT IN (SELECT period_day(end_at) FROM summed_report))",
    ),
    (
        "daily",
        "UTC day, since the epoch, of which `daily_result` is not the sum of the records",
        "SELECT day FROM (
           SELECT period_day(r.end_at) AS day, r.records, r.messages
           FROM report r WHERE r.kind = 'aggregate' AND r.counted
           UNION ALL SELECT day, -sums_records(sums), -sums_messages(sums) FROM daily_result)
         GROUP BY day HAVING (total(records) <> 0 OR total(messages) <> 0)
            AND (total(records) > 0 OR total(messages) > 0 OR day NOT IN (SELECT period_day(end_at) FROM summed_report))",
    ),
    (
        "daily",
        "UTC day, since the epoch, of which `daily_result` has another address than that of its number",
        "SELECT d.day FROM daily_result d LEFT JOIN address a ON a.id = d.source WHERE a.ip IS NOT d.ip GROUP BY d.day",
    ),
    (
        "identities",
        "report of whose identity more than one stands",
        "SELECT min(id) FROM report WHERE conflict_with IS NULL GROUP BY identity HAVING count(*) > 1",
    ),
    (
        "identities",
        "report that points to one that does not stand, or of another identity",
        "SELECT r.id FROM report r JOIN report o ON o.id = r.conflict_with
         WHERE o.conflict_with IS NOT NULL OR o.identity <> r.identity",
    ),
    (
        "identities",
        "report that stands although a better verified one is there",
        "SELECT r.id FROM report o JOIN report r ON r.id = o.conflict_with
         WHERE o.verification = 'verified' AND r.verification <> 'verified'
            OR r.verification = 'failed' AND o.verification <> 'failed'",
    ),
];

/// Looks at the database at `path`, which is known to be ours. Each check is made whatever the others find.
///
/// # Errors
/// It cannot be opened at all.
pub fn check(path: &Path, depth: Depth) -> rusqlite::Result<Vec<Check>> {
    let connection = open(path)?;
    daily::functions(&connection)?;
    let mut checks = vec![integrity(&connection, depth), foreign_keys(&connection)];
    for (name, meaning, question) in CONTRADICTIONS {
        let check = contradiction(&connection, name, meaning, question);
        match checks.iter_mut().find(|known| known.name == name) {
            Some(known) => {
                known.found.extend(check.found);
                known.damage |= check.damage;
            }
            None => checks.push(check),
        }
    }
    if depth == Depth::Full
        && let Some(daily) = checks.iter_mut().find(|check| check.name == "daily")
    {
        match daily::differences(&connection) {
            Ok(found) => daily.found.extend(found),
            Err(error) => {
                let failed = failed("daily", &error);
                daily.found.extend(failed.found);
                daily.damage |= failed.damage;
            }
        }
    }
    Ok(checks)
}

/// The figures of the database at `path`.
///
/// # Errors
/// Those of SQLite.
pub fn figures(path: &Path) -> rusqlite::Result<Figures> {
    let connection = open(path)?;
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let mailboxes = connection
        .prepare("SELECT account, folder, max(fetched_at) FROM mailbox GROUP BY account, folder ORDER BY 1, 2")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let domains = connection
        .prepare(
            "SELECT t.value, (SELECT max(r.end_at) FROM report r WHERE r.domain = d.domain AND r.end_at < 9223372036854775807)
             FROM policy_domain d JOIN text t ON t.id = d.domain ORDER BY 2 DESC, 1 LIMIT ?1",
        )?
        .query_map([DOMAINS as i64], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Figures {
        version: connection.pragma_query_value(None, "user_version", |row| row.get(0))?,
        newest_seen_at: connection.query_row("SELECT max(seen_at) FROM message", [], |row| row.get(0))?,
        deferred: number("SELECT count(*) FROM deferred")?,
        unsettled: number("SELECT count(*) FROM place WHERE settled = 0")?,
        problems: number("SELECT count(*) FROM problem WHERE solved_at IS NULL")?,
        mailboxes,
        domains,
    })
}

/// A file of so many pages is looked at whole in a few milliseconds.
const SMALL: i64 = 1_000;
const SHORT: Duration = Duration::from_secs(1);

/// Whether the pages of a database hang together, as far as can be seen in `time`; `None` where that was too short. Of a file
/// that a short look hardly sees the beginning of, a tenth of it has to do: SQLite also looks at the form of each page that it reads.
///
/// # Errors
/// Those of SQLite, which may be of damage too.
pub fn quick(connection: &mut Connection, time: Duration) -> rusqlite::Result<Option<Vec<String>>> {
    let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
    let time = if time < SHORT && pages > SMALL { time / 10 } else { time };
    let until = std::time::Instant::now() + time;
    connection.progress_handler(1_000, Some(move || std::time::Instant::now() >= until))?;
    let found = pragma(connection, "PRAGMA quick_check(1)");
    connection.progress_handler(0, None::<fn() -> bool>)?;
    match found {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => Ok(None),
        found => found.map(Some),
    }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    // One state for all checks, whatever is written meanwhile.
    connection.execute_batch("BEGIN")?;
    Ok(connection)
}

/// The findings of an integrity pragma; `ok` is none.
fn pragma(connection: &Connection, pragma: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(pragma)?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(rows.iter().flat_map(|row| row.lines()).filter(|line| *line != "ok").map(str::to_owned).collect())
}

fn integrity(connection: &Connection, depth: Depth) -> Check {
    let command = match depth {
        Depth::Quick => "PRAGMA quick_check(5)",
        Depth::Full => "PRAGMA integrity_check(5)",
    };
    match pragma(connection, command) {
        Ok(found) => Check { name: "integrity", damage: !found.is_empty(), found },
        Err(error) => failed("integrity", &error),
    }
}

fn foreign_keys(connection: &Connection) -> Check {
    let read = || -> rusqlite::Result<Vec<String>> {
        let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
        let rows = statement.query_map([], |row| {
            let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
            let row: Option<i64> = row.get(1)?;
            let row = row.map_or_else(String::new, |row| format!(" {row}"));
            Ok(format!("{table}{row}: what it points to in {parent} is not there"))
        })?;
        rows.take(TOLD).collect()
    };
    match read() {
        Ok(found) => Check { name: "foreign_keys", found, damage: false },
        Err(error) => failed("foreign_keys", &error),
    }
}

fn contradiction(connection: &Connection, name: &'static str, meaning: &str, question: &str) -> Check {
    let read = || -> rusqlite::Result<(i64, Vec<i64>)> {
        let mut statement = connection.prepare(question)?;
        let mut rows = statement.query([])?;
        let (mut count, mut first) = (0, Vec::new());
        while let Some(row) = rows.next()? {
            count += 1;
            if first.len() < TOLD {
                first.push(row.get(0)?);
            }
        }
        Ok((count, first))
    };
    match read() {
        Ok((0, _)) => Check { name, found: Vec::new(), damage: false },
        Ok((count, first)) => {
            let rows: Vec<String> = first.iter().map(i64::to_string).collect();
            let more = if count > TOLD as i64 { ", …" } else { "" };
            let found = vec![format!("{count} × {meaning} (id {}{more})", rows.join(", "))];
            Check { name, found, damage: false }
        }
        Err(error) => failed(name, &error),
    }
}

/// A check that SQLite could not make. That is damage unless it says that it is something else.
fn failed(name: &'static str, error: &rusqlite::Error) -> Check {
    let passing = [ErrorCode::DatabaseBusy, ErrorCode::DatabaseLocked, ErrorCode::OutOfMemory];
    let damage = error.sqlite_error_code().is_none_or(|code| !passing.contains(&code));
    Check { name, found: vec![error.to_string()], damage }
}
