//! The daily sums held against the records, by SQL alone, so that what adds them up does not check itself.

use rusqlite::Connection;

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
             WHERE k.auth_set = c.auth_set AND k.result = 'pass')) AS INTEGER),
           CAST(total(c.messages) FILTER (WHERE EXISTS (SELECT 1 FROM spf_result k
             WHERE k.auth_set = c.auth_set AND k.result = 'pass')) AS INTEGER)
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
           coalesce(c.dkim, -1), coalesce(c.spf, -1), c.auth_set, coalesce(c.reason_set, 0), :early, :short,
           r.verification = 'verified', count(*), CAST(total(c.messages) AS INTEGER)
    FROM report r CROSS JOIN record c ON c.report = r.id
    WHERE r.kind = 'aggregate' AND r.counted
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12";

const ADDRESSES: &str = "
    SELECT c.source, count(*), count(*) FILTER (WHERE c.dkim = 0 AND c.spf = 0)
    FROM report r CROSS JOIN record c ON c.report = r.id
    WHERE r.kind = 'aggregate' AND r.counted
    GROUP BY 1";

/// Each table, the columns of it that are kept, and what they add up.
const TABLES: [(&str, &str, &str); 4] = [
    (
        "daily_source",
        "SELECT day, source, early, short, verified, records, messages, dmarc_pass, dkim_pass, spf_pass, unknown, quarantine, \
         reject, forwarded, dkim_any, spf_any FROM daily_source",
        SOURCES,
    ),
    (
        "daily_reporter",
        "SELECT day, domain, org_name, early, short, verified, reports, records, messages, dmarc_pass, dkim_pass, spf_pass, \
         unknown, quarantine, reject FROM daily_reporter",
        REPORTERS,
    ),
    (
        "daily_result",
        "SELECT day, source, domain, header_from, disposition, dkim, spf, auth_set, reason_set, early, short, verified, \
         records, messages FROM daily_result",
        RESULTS,
    ),
    ("address", "SELECT id, records, records_failed FROM address WHERE records <> 0 OR records_failed <> 0", ADDRESSES),
];

/// The day of a report. SQLite divides towards zero, and a period may end in the first second of 1970.
const DAY: &str = "(r.end_at - 1 - ((r.end_at - 1) % 86400 + 86400) % 86400) / 86400";

/// How many entries of each table are not what the records add up to, or are missing, in words; empty where all are right.
/// Reads and sorts every record.
///
/// # Errors
/// Those of SQLite.
pub fn differences(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut found = Vec::new();
    for (table, kept, sums) in TABLES {
        let sums = sums
            .replace(":early", &format!("({DAY} + 1) * 86400 - r.end_at"))
            .replace(":short", "86400 - (r.end_at - r.begin_at)")
            .replace(":day", DAY);
        let sql = format!(
            "WITH wanted AS MATERIALIZED ({sums}) SELECT \
             (SELECT count(*) FROM ({kept} EXCEPT SELECT * FROM wanted)), \
             (SELECT count(*) FROM (SELECT * FROM wanted EXCEPT {kept}))"
        );
        let (wrong, missing): (i64, i64) = connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if wrong + missing > 0 {
            found.push(format!("{table}: {wrong} entries that are not the sums of records, {missing} sums not there"));
        }
    }
    Ok(found)
}
