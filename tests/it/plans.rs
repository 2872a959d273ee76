//! Asks SQLite for the plan of every `.sql` file under `src/query`. A question that reads a whole table is slow on the
//! day it matters; every scan that is right all the same stands in [`ALLOWED`] with its reason.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

/// File, line of the plan, and why it may be there.
const ALLOWED: &[(&str, &str, &str)] = &[
    ("records.sql", "SCAN q", "the reasons of one record, in order"),
    ("records.sql", "SCAN k", "the DKIM results of one record, in order"),
    ("records.sql", "SCAN p", "the SPF results of one record, in order"),
    ("reporter/names.sql", "SCAN org", "a common table expression with one row for each reporter"),
    ("suppression/list.sql", "SCAN e", "the answer is the whole list of suppressions"),
    (
        "suppression/current.sql",
        "SCAN suppression_event USING COVERING INDEX suppression_event_address",
        "the answer is the whole list of suppressions",
    ),
    ("names/any.sql", "SCAN source_name USING COVERING INDEX source_name_expires", "its first row is enough"),
    ("trust/list.sql", "SCAN e USING INDEX trust_event_sender", "what persons decided, a row for each time"),
    ("suppression/pending.sql", "SCAN w", "what waits, found by its index, which is the answer"),
    ("suppression/waiting.sql", "SCAN w", "what waits, found by its index, which is the answer"),
    ("rates/by_source.sql", "SCAN j VIRTUAL TABLE INDEX 1:", "the names of reporters that are asked for"),
    ("rates/by_dkim.sql", "SCAN j VIRTUAL TABLE INDEX 1:", "the names of reporters that are asked for"),
    ("rates/by_domain.sql", "SCAN j VIRTUAL TABLE INDEX 1:", "the names of reporters that are asked for"),
    ("rates/by_provider.sql", "SCAN j VIRTUAL TABLE INDEX 1:", "the names of reporters that are asked for"),
    ("names/pending.sql", "SCAN u", "the daily sums and complaints of the window"),
    ("names/passed.sql", "SCAN j VIRTUAL TABLE INDEX 1:", "numbers handed in"),
    ("check/addresses.sql", "SCAN j VIRTUAL TABLE INDEX 1:", "the addresses of the window, which are the answer"),
    ("check/selectors.sql", "SCAN j VIRTUAL TABLE INDEX 1:", "the combinations of signatures of the window"),
    ("names/passed_sums.sql", "SCAN days", "the days that have mail, each found through the key"),
    ("notes.sql", "SCAN d", "a subquery of one row"),
    ("notes.sql", "SCAN r", "a subquery of one row"),
    ("notes.sql", "SCAN c", "a subquery of one row"),
    ("notes.sql", "SCAN p", "a subquery of one row"),
    ("policy_domains.sql", "SCAN p", "one row for each policy domain"),
    ("sums/of.sql", "SCAN days", "the days of the window that have mail, each found through the key"),
    ("sums/of.sql", "SCAN j VIRTUAL TABLE INDEX 1:", "numbers handed in"),
    ("evidence/keys.sql", "SCAN j VIRTUAL TABLE INDEX 1:", "domains handed in"),
    ("summary/domains.sql", "SCAN g", "the grouped rows, which are the answer"),
    ("source/passes.sql", "SCAN days", "the days of the window that have mail, each found through the key"),
    ("source/reporters.sql", "SCAN days", "the days of the window that have mail, each found through the key"),
    ("source/reporters.sql", "SCAN e", "the periods in which the addresses were seen"),
    ("source/reporters.sql", "SCAN json_each VIRTUAL TABLE INDEX 1:", "numbers handed in"),
    ("source/reporters.sql", "SCAN j VIRTUAL TABLE INDEX 1:", "numbers handed in"),
    ("source/complained.sql", "SCAN j VIRTUAL TABLE INDEX 1:", "numbers handed in"),
    ("source/complaints.sql", "SCAN j VIRTUAL TABLE INDEX 1:", "numbers handed in"),
    ("source/passes.sql", "SCAN j VIRTUAL TABLE INDEX 1:", "numbers handed in"),
    ("domain/reporters.sql", "SCAN days", "the days of the window that have mail, each found through the key"),
    ("source/named.sql", "SCAN n", "one row for each address that was looked up"),
    ("summary/by_source.sql", "SCAN g", "the grouped rows, which are the answer"),
    ("summary/by_domain.sql", "SCAN g", "the grouped rows, which are the answer"),
    ("summary/by_reporter.sql", "SCAN g", "the grouped rows, which are the answer"),
];

fn sql_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sql_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "sql") {
            found.push(path);
        }
    }
}

fn database() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(include_str!("../../schema.sql")).unwrap();
    dmarcdb::store::daily::functions(&connection).unwrap();
    connection
}

/// The plan for `sql`, line by line. Parameters stay unbound, which is no value, so the plan suits every value.
fn plan(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let mut rows = statement.raw_query();
    let mut lines = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        lines.push(row.get("detail").unwrap());
    }
    lines
}

/// The lines of the plan that read a whole table or index. A constant row and the value of a subquery are none.
fn scans(connection: &Connection, sql: &str) -> Vec<String> {
    plan(connection, sql)
        .into_iter()
        .filter(|line| line.starts_with("SCAN "))
        .filter(|line| line != "SCAN CONSTANT ROW" && !line.starts_with("SCAN (subquery"))
        .collect()
}

#[test]
fn no_question_reads_a_whole_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/query");
    let mut files = Vec::new();
    sql_files(&root, &mut files);
    assert!(files.len() > 20, "the questions are under {}", root.display());
    let connection = database();
    let mut unused: Vec<_> = ALLOWED.iter().map(|(file, line, _)| (*file, *line)).collect();
    let mut refused = Vec::new();
    for path in files {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        for line in scans(&connection, &fs::read_to_string(&path).unwrap()) {
            let allowed = ALLOWED.iter().find(|(file, scan, _)| *file == name && *scan == line);
            match allowed {
                Some((file, scan, _)) => unused.retain(|entry| *entry != (*file, *scan)),
                None => refused.push(format!("{name}: {line}")),
            }
        }
    }
    assert!(refused.is_empty(), "these questions read a whole table:\n{}", refused.join("\n"));
    assert!(unused.is_empty(), "allowed, but no such scan is left: {unused:?}");
}

#[test]
fn the_guard_sees_a_scan() {
    let connection = database();
    let bad = "SELECT * FROM report WHERE (:since IS NULL OR end_at >= :since)";
    assert_eq!(scans(&connection, bad), ["SCAN report"]);
    let covering = "SELECT count(*) FROM complaint WHERE arrived_at + 0 > 1";
    assert_eq!(scans(&connection, covering).len(), 1);
    let good = "SELECT * FROM report WHERE end_at >= :since AND end_at < :until";
    assert!(scans(&connection, good).is_empty());
}

#[test]
fn the_summary_reads_the_days_of_its_window() {
    let connection = database();
    let plan = plan(&connection, include_str!("../../src/query/summary/by_source.sql"));
    assert!(plan.iter().any(|line| line.starts_with("SEARCH d USING PRIMARY KEY (day>? AND day<?)")), "{plan:#?}");
    assert!(!plan.iter().any(|line| line.contains(" record ") || line.contains(" report ")), "{plan:#?}");
}

/// Questions about a window that read sums and not every record, in which most of a database is.
#[test]
fn sums_are_asked_and_not_records() {
    let connection = database();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/query");
    for name in [
        "domain/reporters",
        "names/passed_sums",
        "names/pending",
        "notes",
        "policy_reach",
        "rates/by_provider",
        "rates/periods",
        "source/passes",
        "summary/by_domain",
        "summary/by_reporter",
        "summary/by_source",
        "summary/domains",
        "summary/totals",
        "sums/of",
        "sums/window",
    ] {
        let sql = fs::read_to_string(root.join(name).with_extension("sql")).unwrap();
        assert!(!sql.contains(" record "), "{name} reads records");
        let plan = plan(&connection, &sql);
        let summed = |line: &String| line.contains(" USING PRIMARY KEY (day");
        assert!(plan.iter().any(summed), "{name}: {plan:#?}");
        let all = |line: &String| line.contains("USING INDEX report_end");
        assert!(!plan.iter().any(all), "{name} reads every report of the window: {plan:#?}");
    }
    // Sums do not tell who reported about which source: the records of the few reporters are read whose users complained.
    for name in ["rates/by_dkim", "rates/by_domain", "rates/by_source"] {
        let sql = fs::read_to_string(root.join(name).with_extension("sql")).unwrap();
        let plan = plan(&connection, &sql);
        let bounded = |line: &String| line.starts_with("SEARCH r USING INDEX report_org (org_name=? AND end_at>");
        assert!(plan.iter().any(bounded), "{name}: {plan:#?}");
    }
}

#[test]
fn lists_come_as_they_are_read() {
    let connection = database();
    for (name, sql) in [
        ("records", include_str!("../../src/query/records.sql")),
        ("messages", include_str!("../../src/query/messages.sql")),
        ("complaints", include_str!("../../src/query/complaints.sql")),
    ] {
        let plan = plan(&connection, sql);
        assert!(!plan.iter().any(|line| line == "USE TEMP B-TREE FOR ORDER BY"), "{name} sorts all first: {plan:#?}");
    }
}
