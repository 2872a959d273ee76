//! What SQL can ask of the daily sums beside their columns.

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;

use super::day;
use super::packed::{self, Key, Sum};

/// Gives SQL of this connection four functions. `period_day` is [`day`] of the end of a period. Of a row's sums, `sums_json` is an array of
/// an array for each, in the order of [`Key`] and then records and messages; `sums_records` and `sums_messages` are how many in all. Each
/// is NULL of what is no time, or no sums.
///
/// # Errors
/// Those of SQLite.
pub fn functions(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_scalar_function(c"period_day", 1, flags, |context| match context.get_raw(0) {
        ValueRef::Integer(end_at) => Ok(Some(day(end_at))),
        _ => Ok(None),
    })?;
    connection.create_scalar_function(c"sums_json", 1, flags, |context| {
        let list =
            |sums: Vec<Sum>| serde_json::Value::from_iter(sums.iter().map(|sum| values(sum).to_vec())).to_string();
        Ok(argument(context).map(list))
    })?;
    let total = |of: fn(&Sum) -> i64| {
        move |context: &Context<'_>| {
            let sum = |sums: Vec<Sum>| sums.iter().map(of).fold(0, i64::saturating_add);
            Ok(argument(context).map(sum))
        }
    };
    connection.create_scalar_function(c"sums_records", 1, flags, total(|sum| sum.records))?;
    connection.create_scalar_function(c"sums_messages", 1, flags, total(|sum| sum.messages))
}

/// The sums that a function is asked for.
fn argument(context: &Context<'_>) -> Option<Vec<Sum>> {
    match context.get_raw(0) {
        ValueRef::Blob(bytes) => packed::unpack(bytes).collect::<Result<_, _>>().ok(),
        _ => None,
    }
}

/// A sum as `sums_json` has it.
fn values(sum: &Sum) -> [i64; 13] {
    let &Sum { key, records, messages } = sum;
    let Key { domain, header_from, disposition, dkim, spf, dkim_set, spf_set, reason_set, period } = key;
    let [disposition, dkim, spf] = [disposition, dkim, spf].map(i64::from);
    let (early, short, verified) = (period.early, period.short, i64::from(period.verified));
    [
        domain,
        header_from,
        disposition,
        dkim,
        spf,
        dkim_set,
        spf_set,
        reason_set,
        early,
        short,
        verified,
        records,
        messages,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_of_a_period_in_sql() {
        let connection = Connection::open_in_memory().unwrap();
        functions(&connection).unwrap();
        let day_of = |end_at: Option<i64>| -> Option<i64> {
            connection.query_row("SELECT period_day(?1)", [end_at], |row| row.get(0)).unwrap()
        };
        for (end_at, expected) in
            [(i64::MIN, i64::MIN.div_euclid(86_400)), (-86_400, -2), (0, -1), (1, 0), (86_400, 0), (86_401, 1)]
        {
            assert_eq!(day_of(Some(end_at)), Some(expected), "{end_at}");
        }
        assert_eq!(day_of(None), None);
    }
}
