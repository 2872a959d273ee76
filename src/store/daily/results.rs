//! The rows of `daily_result`: read, changed and written as sums.
//!
//! An address of a day has one row, until it has more sums than [`MOST_SUMS`]: then the next row begins, and what comes goes into
//! the last one alone. So a row is never long, however many ways of failing a stranger makes up. A key may then stand in several
//! rows, and in one of them with less than nothing, when what is taken out came in with another; together they are right.

use std::collections::HashSet;

use rusqlite::types::Type;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};

use super::packed::{self, NotSums, Sum};
use super::sources::Address;

/// Of one row: about 26 kB.
const MOST_SUMS: usize = 2_000;
/// So many numbers are remembered as told.
const MOST_TOLD: usize = 100_000;

/// The rows of `daily_result`, to be changed.
pub(super) struct Results<'a> {
    last: CachedStatement<'a>,
    insert: CachedStatement<'a>,
    update: CachedStatement<'a>,
    remove: CachedStatement<'a>,
    remove_all: CachedStatement<'a>,
}

impl<'a> Results<'a> {
    pub(super) fn of(connection: &'a Connection) -> rusqlite::Result<Results<'a>> {
        let prepare = |sql| connection.prepare_cached(sql);
        Ok(Results {
            last: prepare(
                "SELECT part, sums FROM daily_result WHERE day = ?1 AND source = ?2 ORDER BY part DESC LIMIT 1",
            )?,
            insert: prepare(
                "INSERT INTO daily_result (day, source, part, ip, sums) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
            )?,
            update: prepare("UPDATE daily_result SET sums = ?4 WHERE day = ?1 AND source = ?2 AND part = ?3")?,
            remove: prepare("DELETE FROM daily_result WHERE day = ?1 AND source = ?2 AND part = ?3")?,
            remove_all: prepare(
                "DELETE FROM daily_result WHERE day = ?1 AND source = ?2 \
                 AND NOT EXISTS (SELECT 1 FROM daily_source WHERE day = ?1 AND source = ?2)",
            )?,
        })
    }

    /// Adds these, each key once and in order, to those of a day and address.
    pub(super) fn add(&mut self, day: i64, address: &Address, more: &[Sum]) -> rusqlite::Result<()> {
        // Where nothing is, nothing is looked for.
        if address.is_new && more.len() <= MOST_SUMS && self.insert(day, address, 0, more)? {
            return Ok(());
        }
        let last = |row: &Row<'_>| Ok((row.get(0)?, sums(row, 1)?));
        let last: Option<(i64, Vec<Sum>)> = self.last.query_row([day, address.id], last).optional()?;
        let Some((part, known)) = last else { return self.append(day, address, 0, more) };
        let all = merged(&known, more);
        let (here, beyond) = all.split_at(all.len().min(MOST_SUMS));
        self.replace(day, address.id, part, here)?;
        self.append(day, address, part + 1, beyond)
    }

    /// Adds rows from number `part` on, of which there is none yet.
    fn append(&mut self, day: i64, address: &Address, part: i64, sums: &[Sum]) -> rusqlite::Result<()> {
        for (part, sums) in (part..).zip(sums.chunks(MOST_SUMS)) {
            if !self.insert(day, address, part, sums)? {
                return Err(rusqlite::Error::StatementChangedRows(0));
            }
        }
        Ok(())
    }

    /// Adds a row. `false`: it is there already, and as it was.
    fn insert(&mut self, day: i64, address: &Address, part: i64, sums: &[Sum]) -> rusqlite::Result<bool> {
        let inserted = self.insert.execute((day, address.id, part, &address.ip, packed::pack(sums)))?;
        Ok(inserted == 1)
    }

    /// Has these stand in a row that is there.
    fn replace(&mut self, day: i64, source: i64, part: i64, sums: &[Sum]) -> rusqlite::Result<()> {
        let changed = match sums {
            [] => self.remove.execute([day, source, part])?,
            _ => self.update.execute((day, source, part, packed::pack(sums)))?,
        };
        if changed == 1 { Ok(()) } else { Err(rusqlite::Error::StatementChangedRows(changed)) }
    }

    /// Takes away what is left of a day and address of which nothing is in the sums any more: it comes to nothing.
    pub(super) fn tidy(&mut self, day: i64, source: i64) -> rusqlite::Result<()> {
        self.remove_all.execute([day, source]).map(|_| ())
    }
}

/// Two runs of sums in order as one.
fn merged(known: &[Sum], more: &[Sum]) -> Vec<Sum> {
    let (mut known, mut more) = (known.iter().copied().peekable(), more.iter().copied().peekable());
    let mut all = Vec::with_capacity(known.len() + more.len());
    loop {
        let next = match (known.peek(), more.peek()) {
            (Some(one), Some(other)) if one.key == other.key => {
                let records = one.records.saturating_add(other.records);
                let sum = Sum { key: one.key, records, messages: one.messages.saturating_add(other.messages) };
                known.next();
                more.next();
                Some(sum)
            }
            (Some(one), Some(other)) if one.key > other.key => more.next(),
            (None, _) => more.next(),
            _ => known.next(),
        };
        match next {
            None => return all,
            Some(Sum { records: 0, messages: 0, .. }) => {}
            Some(sum) => all.push(sum),
        }
    }
}

/// Takes away the sums of a day of periods that ended before a time, and tells of how many records of each address among them both
/// DKIM and SPF failed.
pub(super) fn forget(
    connection: &Connection,
    day: i64,
    before: i64,
    mut failed: impl FnMut(i64, i64) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut rows = Results::of(connection)?;
    let mut next = connection.prepare_cached(
        "SELECT source, part, sums FROM daily_result WHERE day = ?1 AND (source, part) > (?2, ?3) \
         ORDER BY source, part LIMIT 1",
    )?;
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, sums(row, 2)?));
    let mut last = (i64::MIN, i64::MIN);
    loop {
        let found: Option<(i64, i64, Vec<Sum>)> = next.query_row([day, last.0, last.1], read).optional()?;
        let Some((source, part, known)) = found else { return Ok(()) };
        last = (source, part);
        let (gone, kept): (Vec<Sum>, Vec<Sum>) = known.into_iter().partition(|sum| sum.key.period.end_at(day) < before);
        if gone.is_empty() {
            continue;
        }
        let bare = gone.iter().filter(|sum| (sum.key.dkim, sum.key.spf) == (0, 0));
        failed(source, bare.map(|sum| sum.records).sum())?;
        rows.replace(day, source, part, &kept)?;
    }
}

/// The sums in a column.
fn sums(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<Sum>> {
    let bytes = row.get_ref(column)?.as_blob()?;
    packed::unpack(bytes).collect::<Result<_, _>>().map_err(|error| damaged(column, error))
}

/// Hands on each of the sums in a column.
///
/// # Errors
/// The column holds something else.
pub fn each(row: &Row<'_>, column: usize, mut take: impl FnMut(Sum)) -> rusqlite::Result<()> {
    for sum in packed::unpack(row.get_ref(column)?.as_blob()?) {
        take(sum.map_err(|error| damaged(column, error))?);
    }
    Ok(())
}

/// Makes a temporary table `summed` of what the sums of reports that are gone name: `kind` is `dkim_set`, `spf_set`, `reason_set`
/// or `header_from`, and `id` its number. Empty where no such sums are kept: what the others name, records name.
///
/// # Errors
/// Those of SQLite.
pub fn tell_used(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .execute_batch("CREATE TEMP TABLE summed (kind TEXT, id INTEGER, PRIMARY KEY (kind, id)) WITHOUT ROWID")?;
    let mut insert = connection.prepare("INSERT OR IGNORE INTO summed VALUES (?1, ?2)")?;
    let mut read = connection.prepare("SELECT sums FROM daily_result WHERE EXISTS (SELECT 1 FROM summed_report)")?;
    let mut rows = read.query([])?;
    let mut told: HashSet<(&str, i64)> = HashSet::new();
    while let Some(row) = rows.next()? {
        let before = told.len();
        let mut new = Vec::new();
        each(row, 0, |Sum { key, .. }| {
            let named = [
                ("dkim_set", key.dkim_set),
                ("spf_set", key.spf_set),
                ("reason_set", key.reason_set),
                ("header_from", key.header_from),
            ];
            new.extend(named.into_iter().filter(|one| told.insert(*one)));
        })?;
        for (kind, id) in new {
            insert.execute(params![kind, id])?;
        }
        if before > MOST_TOLD {
            told.clear();
        }
    }
    Ok(())
}

fn damaged(column: usize, error: NotSums) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, Box::new(error))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::store::daily::packed::Key;
    use crate::store::daily::{Period, functions};
    use crate::store::migrations::SCHEMA;

    fn sum(number: i64, records: i64, messages: i64) -> Sum {
        let period = Period { early: number % 3, short: 1, verified: number % 2 == 0 };
        let (domain, header_from) = (number / 50, number / 50 + number % 2);
        let results = ((number % 3) as i8, (number % 2) as i8, 1);
        let (dkim_set, spf_set, reason_set) = (number, number * 7 % 1_000, number % 4);
        let (disposition, dkim, spf) = results;
        let key = Key { domain, header_from, disposition, dkim, spf, dkim_set, spf_set, reason_set, period };
        Sum { key, records, messages }
    }

    fn database() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        connection
    }

    fn address(id: i64, is_new: bool) -> Address {
        Address { id, ip: format!("192.0.2.{id}"), is_new, first_at: None }
    }

    /// What stands there by key, and in how many rows.
    fn stands(connection: &Connection) -> (BTreeMap<Key, (i64, i64)>, usize) {
        let mut statement = connection.prepare("SELECT sums FROM daily_result").unwrap();
        let mut rows = statement.query([]).unwrap();
        let (mut found, mut count): (BTreeMap<Key, (i64, i64)>, _) = (BTreeMap::new(), 0);
        while let Some(row) = rows.next().unwrap() {
            let before = found.len();
            let mut packed = 0;
            each(row, 0, |sum| {
                let (records, messages) = found.entry(sum.key).or_default();
                (*records, *messages) = (*records + sum.records, *messages + sum.messages);
                packed += 1;
            })
            .unwrap();
            assert!((1..=MOST_SUMS).contains(&packed), "{packed} after {before}");
            count += 1;
        }
        (found, count)
    }

    #[test]
    fn many_sums_are_in_several_rows_and_add_up() {
        let connection = database();
        let mut rows = Results::of(&connection).unwrap();
        // More come, some that are there already, and some of those that were first go.
        let mut wanted: BTreeMap<Key, (i64, i64)> = BTreeMap::new();
        for (from, to, sign) in [(0, 1_500, 1), (1_000, 4_500, 1), (10, 20, 1), (0, 1_200, -1), (4_000, 4_500, -1)] {
            let mut more: Vec<Sum> = (from..to).map(|number| sum(number, sign, sign * (number + 1))).collect();
            more.sort_unstable_by_key(|sum| sum.key);
            rows.add(20_000, &address(1, false), &more).unwrap();
            for sum in more {
                let known = wanted.entry(sum.key).or_default();
                *known = (known.0 + sum.records, known.1 + sum.messages);
            }
            let (mut found, _) = stands(&connection);
            found.retain(|_, sum| *sum != (0, 0));
            wanted.retain(|_, sum| *sum != (0, 0));
            assert_eq!(found, wanted, "{from} {to} {sign}");
        }
        assert!(stands(&connection).1 > 1);
        // Nothing of the address is in the sums: what is left comes to nothing.
        rows.tidy(20_000, 1).unwrap();
        assert_eq!(stands(&connection).1, 0);
    }

    #[test]
    fn what_is_taken_out_leaves_no_row() {
        let connection = database();
        let mut rows = Results::of(&connection).unwrap();
        rows.add(5, &address(1, false), &[sum(1, 1, 10), sum(60, 2, 20)]).unwrap();
        rows.add(5, &address(1, false), &[sum(1, -1, -10)]).unwrap();
        assert_eq!(stands(&connection).0, BTreeMap::from([(sum(60, 0, 0).key, (2, 20))]));
        rows.add(5, &address(1, false), &[sum(60, -2, -20)]).unwrap();
        assert_eq!(stands(&connection).1, 0);
    }

    #[test]
    fn what_stands_of_a_new_address_is_added_to_all_the_same() {
        let connection = database();
        let mut rows = Results::of(&connection).unwrap();
        let many: Vec<Sum> = (0..4_500).map(|number| sum(number, 1, 1)).collect();
        for (more, count, records) in [(&[sum(60, 2, 20)][..], 1, 2), (&[sum(60, 1, 10)], 1, 3), (&many, 3, 4_503)] {
            let mut more = more.to_vec();
            more.sort_unstable_by_key(|sum| sum.key);
            rows.add(5, &address(2, true), &more).unwrap();
            let (found, rows) = stands(&connection);
            assert_eq!((rows, found.values().map(|sum| sum.0).sum::<i64>()), (count, records));
        }
        let ip = "SELECT DISTINCT ip FROM daily_result";
        assert_eq!(connection.query_row(ip, [], |row| row.get::<_, String>(0)).unwrap(), "192.0.2.2");
    }

    #[test]
    fn a_day_is_forgotten_up_to_a_time() {
        let connection = database();
        let mut rows = Results::of(&connection).unwrap();
        // Periods that end with the day, one second and two seconds before that.
        for source in 1..=3 {
            rows.add(0, &address(source, false), &[sum(4, 1, 20), sum(8, 1, 30), sum(3, 1, 10)]).unwrap();
        }
        rows.add(1, &address(1, false), &[sum(3, 1, 10)]).unwrap();
        let mut failed = Vec::new();
        forget(&connection, 0, 86_400, |source, records| {
            failed.push((source, records));
            Ok(())
        })
        .unwrap();
        assert_eq!(failed, [(1, 0), (2, 0), (3, 0)]);
        let (found, rows) = stands(&connection);
        assert_eq!((rows, found), (4, BTreeMap::from([(sum(3, 0, 0).key, (4, 40))])));
    }

    #[test]
    fn sql_can_read_them() {
        let connection = database();
        functions(&connection).unwrap();
        Results::of(&connection).unwrap().add(1, &address(1, false), &[sum(4, 2, 20), sum(3, 1, 10)]).unwrap();
        connection.execute("INSERT INTO daily_result VALUES (2, 1, 0, '', x'ff')", []).unwrap();
        let ask = "SELECT group_concat(sums_json(sums), ' '), group_concat(sums_records(sums)), group_concat(sums_messages(sums)) \
                   FROM daily_result";
        let found: (String, String, String) =
            connection.query_row(ask, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        assert_eq!(found.0, "[[0,0,1,0,1,4,28,0,1,1,1,2,20],[0,1,0,1,1,3,21,3,0,1,0,1,10]]");
        assert_eq!((found.1.as_str(), found.2.as_str()), ("3", "30"));
        let damaged = connection
            .query_row("SELECT sums FROM daily_result WHERE day = 2", [], |row| each(row, 0, |_| ()))
            .unwrap_err();
        assert!(damaged.to_string().contains("no daily sums"), "{damaged}");
    }
}
