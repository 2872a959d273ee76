//! The daily sums held against the records, by SQL alone, so that what adds them up does not check itself.

use rusqlite::Connection;

use super::functions;

/// What the records of counted reports add up to, in the columns of each table. `:day` stands for the day of a report,
/// `:early` and `:short` for how its period differs from one that ends with that day and takes a day.
const SOURCES: &str = "
    SELECT :day, c.source, :early, :short, r.verification = 'verified', count(*),
           CAST(total(c.messages) AS INTEGER),
           CAST(total(c.messages) FILTER (WHERE c.dkim = 1 OR c.spf = 1) AS INTEGER),
           CAST(total(c.messages) FILTER (WHERE c.dkim = 1) AS INTEGER),
           CAST(total(c.messages) FILTER (WHERE c.spf = 1) AS INTEGER),
           CAST(total(c.messages) FILTER (WHERE c.dkim IS NOT 1 AND c.spf IS NOT 1 AND (c.dkim IS NULL OR c.spf IS NULL)) AS INTEGER),
           CAST(total(c.messages) FILTER (WHERE c.disposition = 1) AS INTEGER),
           CAST(total(c.messages) FILTER (WHERE c.disposition = 2) AS INTEGER),
           CAST(total(c.messages) FILTER (WHERE EXISTS (SELECT 1 FROM reason q WHERE q.reason_set = c.reason_set
             AND q.type IN ('forwarded', 'mailing_list', 'trusted_forwarder'))) AS INTEGER),
           CAST(total(c.messages) FILTER (WHERE EXISTS (SELECT 1 FROM dkim_result k
             WHERE k.dkim_set = c.dkim_set AND k.result = 'pass')) AS INTEGER),
           CAST(total(c.messages) FILTER (WHERE EXISTS (SELECT 1 FROM spf_result k
             WHERE k.spf_set = c.spf_set AND k.result = 'pass')) AS INTEGER)
    FROM report r CROSS JOIN record c ON c.report = r.id
    WHERE r.kind = 'aggregate' AND r.counted
    GROUP BY 1, 2, 3, 4, 5";

const REPORTERS: &str = "
    SELECT :day, coalesce(r.domain, 0), coalesce(r.org_name, 0), :early, :short, r.verification = 'verified',
           count(DISTINCT r.id), count(c.report),
           CAST(total(c.messages) AS INTEGER),
           CAST(total(c.messages) FILTER (WHERE c.dkim = 1 OR c.spf = 1) AS INTEGER),
           CAST(total(c.messages) FILTER (WHERE c.dkim = 1) AS INTEGER),
           CAST(total(c.messages) FILTER (WHERE c.spf = 1) AS INTEGER),
           CAST(total(c.messages) FILTER (WHERE c.dkim IS NOT 1 AND c.spf IS NOT 1 AND (c.dkim IS NULL OR c.spf IS NULL)) AS INTEGER),
           CAST(total(c.messages) FILTER (WHERE c.disposition = 1) AS INTEGER),
           CAST(total(c.messages) FILTER (WHERE c.disposition = 2) AS INTEGER)
    FROM report r LEFT JOIN record c ON c.report = r.id
    WHERE r.kind = 'aggregate' AND r.counted
    GROUP BY 1, 2, 3, 4, 5, 6";

const RESULTS: &str = "
    SELECT :day, c.source, coalesce(r.domain, 0), coalesce(c.header_from, 0), coalesce(c.disposition, -1),
           coalesce(c.dkim, -1), coalesce(c.spf, -1), c.dkim_set, c.spf_set, coalesce(c.reason_set, 0), :early, :short,
           r.verification = 'verified', count(*), CAST(total(c.messages) AS INTEGER)
    FROM report r CROSS JOIN record c ON c.report = r.id
    WHERE r.kind = 'aggregate' AND r.counted
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13";

const ADDRESSES: &str = "
    SELECT c.source, count(*), count(*) FILTER (WHERE c.dkim = 0 AND c.spf = 0)
    FROM report r CROSS JOIN record c ON c.report = r.id
    WHERE r.kind = 'aggregate' AND r.counted
    GROUP BY 1";

/// What stands in `daily_result`: a key may be in several rows, and come to nothing in all. A row that cannot be read has no key.
const PACKED: &str = "
    SELECT p.day, p.source, j.value ->> 0, j.value ->> 1, j.value ->> 2, j.value ->> 3, j.value ->> 4, j.value ->> 5,
           j.value ->> 6, j.value ->> 7, j.value ->> 8, j.value ->> 9, j.value ->> 10,
           CAST(total(j.value ->> 11) AS INTEGER), CAST(total(j.value ->> 12) AS INTEGER)
    FROM daily_result p LEFT JOIN json_each(sums_json(p.sums)) j
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13
    HAVING total(j.value ->> 11) <> 0 OR total(j.value ->> 12) <> 0 OR count(j.value) = 0";

/// Each table, its key and its figures, how these are read where they are no columns, and what they add up.
const TABLES: [(&str, &str, &str, Option<&str>, &str); 4] = [
    (
        "daily_source",
        "day, source, early, short, verified",
        "records, messages, dmarc_pass, dkim_pass, spf_pass, unknown, quarantine, reject, forwarded, dkim_any, spf_any",
        None,
        SOURCES,
    ),
    (
        "daily_reporter",
        "day, domain, org_name, early, short, verified",
        "reports, records, messages, dmarc_pass, dkim_pass, spf_pass, unknown, quarantine, reject",
        None,
        REPORTERS,
    ),
    (
        "daily_result",
        "day, source, domain, header_from, disposition, dkim, spf, dkim_set, spf_set, reason_set, early, short, verified",
        "records, messages",
        Some(PACKED),
        RESULTS,
    ),
    ("address", "id", "records, records_failed", None, ADDRESSES),
];

/// How many entries of each table are not what the records add up to, or are missing, in words; empty where all are right.
/// On days of which reports were taken away and their sums kept, an entry may be more than its records. Reads and sorts every record.
///
/// # Errors
/// Those of SQLite.
pub fn differences(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut found = Vec::new();
    let summed: bool = connection.query_row("SELECT EXISTS (SELECT 1 FROM summed_report)", [], |row| row.get(0))?;
    functions(connection)?;
    for (table, key, figures, packed, sums) in TABLES {
        let sums = sums
            .replace(":early", "(period_day(r.end_at) + 1) * 86400 - r.end_at")
            .replace(":short", "86400 - (r.end_at - r.begin_at)")
            .replace(":day", "period_day(r.end_at)");
        // Where nothing but the rows is in the sums. Elsewhere they may be more, and never less.
        let exact = match (table, summed) {
            ("address", true) => "0",
            ("address", false) => "records <> 0 OR records_failed <> 0",
            _ => "day NOT IN (SELECT period_day(end_at) FROM summed_report)",
        };
        let no_less: String = figures.split(", ").map(|figure| format!(" AND k.{figure} >= w.{figure}")).collect();
        let same: Vec<String> = key.split(", ").map(|column| format!("k.{column} = w.{column}")).collect();
        let same = same.join(" AND ");
        let (place, kept) = match packed {
            Some(packed) => ("kept", format!("kept ({key}, {figures}) AS MATERIALIZED ({packed})")),
            None => (table, format!("kept AS (SELECT {key}, {figures} FROM {table})")),
        };
        let sql = format!(
            "WITH wanted ({key}, {figures}) AS MATERIALIZED ({sums}), {kept} SELECT \
             (SELECT count(*) FROM (SELECT * FROM kept WHERE {exact} EXCEPT SELECT * FROM wanted)), \
             (SELECT count(*) FROM (SELECT * FROM wanted WHERE {exact} EXCEPT SELECT * FROM kept)), \
             (SELECT count(*) FROM wanted w WHERE NOT ({exact}) \
              AND NOT EXISTS (SELECT 1 FROM {place} k WHERE {same}{no_less}))"
        );
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
        let (wrong, missing, less) = connection.query_row(&sql, [], read)?;
        if wrong + missing + less > 0 {
            let wrong = wrong + less;
            found.push(format!("{table}: {wrong} entries that are not the sums of records, {missing} sums not there"));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use rusqlite::params;

    use super::*;
    use crate::store::daily::{catch_up, leave};
    use crate::store::migrations::SCHEMA;

    /// A report of so many records of one address, each with a From domain of its own.
    fn report(connection: &Connection, id: i64, domains: std::ops::Range<i64>) {
        let head = "INSERT INTO report (id, kind, message, part, report_id, begin_at, end_at, identity, content_hash, records_seen, records) \
                    VALUES (?1, 'aggregate', 1, '', ?1, 0, 86400, ?2, ?2, ?3, ?3)";
        connection.execute(head, params![id, [id as u8], domains.end - domains.start]).unwrap();
        let record = "INSERT INTO record (report, ordinal, source, messages, dkim, spf, header_from, dkim_set, spf_set) \
                      VALUES (?1, ?2, 1, 1, 0, 0, ?2, 1, 1)";
        let mut record = connection.prepare(record).unwrap();
        for domain in domains {
            record.execute([id, domain]).unwrap();
        }
    }

    #[test]
    fn sums_that_cancel_out_in_several_rows_are_no_difference() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        let shared = "PRAGMA foreign_keys = OFF; INSERT INTO address (id, ip) VALUES (1, '192.0.2.1'); \
                      INSERT INTO dkim_set VALUES (1, x'01'); INSERT INTO spf_set VALUES (1, x'01')";
        connection.execute_batch(shared).unwrap();
        for (id, domains) in [(1, 1..1_501), (2, 1_501..3_001)] {
            report(&connection, id, domains);
            catch_up(&connection).unwrap();
        }
        assert_eq!(differences(&connection).unwrap(), Vec::<String>::new());
        // What the first brought is in a row that is not written any more.
        leave(&connection, 1).unwrap();
        connection.execute_batch("DELETE FROM record WHERE report = 1; DELETE FROM report WHERE id = 1").unwrap();
        let rows: i64 = connection.query_row("SELECT count(*) FROM daily_result", [], |row| row.get(0)).unwrap();
        assert!(rows > 2, "{rows}");
        assert_eq!(differences(&connection).unwrap(), Vec::<String>::new());
        connection.execute_batch("UPDATE daily_result SET sums = x'ff' WHERE part = 1").unwrap();
        assert_eq!(differences(&connection).unwrap().len(), 1);
    }
}
