//! Every sample gives exactly the reading kept under `samples/expected`, and the whole set the count made by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Map, Value, json};

type Object = Map<String, Value>;

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples")
}

/// Runs the binary on the samples' configuration and a database in `dir`, with nothing of the user's environment.
fn dmarcdb(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dmarcdb"))
        .env_clear()
        .env("HOME", dir)
        .current_dir(dir)
        .arg("--db")
        .arg(dir.join("db.sqlite"))
        .arg("--config")
        .arg(samples().join("dmarcdb.toml"))
        .args(arguments)
        .output()
        .expect("the binary runs")
}

/// Standard output of a command that must end with `status`.
fn answer(dir: &Path, arguments: &[&str], status: i32) -> String {
    let output = dmarcdb(dir, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).expect("an answer in UTF-8")
}

fn open(dir: &Path) -> Connection {
    Connection::open_with_flags(dir.join("db.sqlite"), OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the database opens")
}

fn read_json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

// ---------------------------------------------------------------- what the database holds, in the form of expected/

/// The rows of a query as objects, without what is null. Columns that hold JSON come as JSON.
fn rows(db: &Connection, sql: &str, parameters: impl rusqlite::Params) -> Vec<Object> {
    const JSON: [&str; 5] = ["reasons", "dkim_results", "spf_results", "errors", "auth_failure"];
    let mut statement = db.prepare(sql).expect(sql);
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let found = statement.query_map(parameters, |row| {
        let mut object = Object::new();
        for (index, name) in names.iter().enumerate() {
            let value = match row.get_ref(index)? {
                ValueRef::Null => continue,
                ValueRef::Integer(number) => json!(number),
                ValueRef::Text(text) if JSON.contains(&name.as_str()) => {
                    without_nulls(serde_json::from_slice(text).expect(name))
                }
                ValueRef::Text(text) => json!(std::str::from_utf8(text).expect(name)),
                other => panic!("{name}: {other:?}"),
            };
            if value != json!([]) {
                object.insert(name.clone(), value);
            }
        }
        Ok(object)
    });
    found.expect(sql).collect::<Result<_, _>>().expect(sql)
}

/// JSON out of the database without members that are null, and without empty explanations.
fn without_nulls(value: Value) -> Value {
    let empty = |name: &str, value: &Value| {
        value.is_null() || (matches!(name, "comment" | "human_result") && value == &json!(""))
    };
    match value {
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(name, value)| !empty(name, value));
            Value::Object(kept.map(|(name, value)| (name, without_nulls(value))).collect())
        }
        other => other,
    }
}

fn reading(db: &Connection) -> Value {
    let mut reading = Object::new();
    let outcomes: Vec<Value> = rows(db, "SELECT outcome FROM v_message ORDER BY id", [])
        .into_iter()
        .map(|mut row| row["outcome"].take())
        .collect();
    let outcome = if outcomes.len() == 1 { outcomes[0].clone() } else { Value::Array(outcomes) };
    reading.insert("outcome".into(), outcome);
    for (name, list) in [
        ("reports", reports(db)),
        ("complaints", complaints(db)),
        ("bounces", rows(db, "SELECT * FROM v_bounce ORDER BY id", []).into_iter().map(Value::Object).collect()),
        ("problems", words(db, "SELECT code FROM problem ORDER BY id")),
        ("warnings", words(db, "SELECT DISTINCT code FROM warning ORDER BY code")),
    ] {
        if !list.is_empty() {
            reading.insert(name.into(), Value::Array(list));
        }
    }
    Value::Object(reading)
}

fn words(db: &Connection, sql: &str) -> Vec<Value> {
    rows(db, sql, []).into_iter().map(|mut row| row["code"].take()).collect()
}

fn reports(db: &Connection) -> Vec<Value> {
    rows(db, "SELECT id, kind FROM v_report ORDER BY id", [])
        .into_iter()
        .map(|found| {
            let id = found["id"].as_i64().expect("an id");
            Value::Object(match found["kind"].as_str() {
                Some("aggregate") => aggregate(db, id),
                Some("tls") => tls(db, id),
                _ => failure(db, id),
            })
        })
        .collect()
}

fn head(db: &Connection, columns: &str, id: i64) -> Object {
    let sql = format!("SELECT {columns} FROM v_report WHERE id = ?");
    rows(db, &sql, [id]).pop().expect("the report")
}

const HEAD: &str = "kind, org_name, org_email, report_id, domain, begin_at, end_at";

fn aggregate(db: &Connection, id: i64) -> Object {
    let columns = format!(
        "{HEAD}, records, messages, records_rejected AS rejected, version, namespace, generator, extra_contact_info, \
         errors, p, sp, np, adkim, aspf, pct, fo, testing, discovery_method"
    );
    let mut report = head(db, &columns, id);
    let records = rows(
        db,
        "SELECT source_ip, messages, disposition, dkim, spf, header_from, envelope_from, envelope_to, reasons,
                dkim_results, spf_results
         FROM v_record WHERE report = ? ORDER BY ordinal",
        [id],
    );
    if !records.is_empty() {
        report.insert("rows".into(), records.into_iter().map(Value::Object).collect());
    }
    report
}

fn tls(db: &Connection, id: i64) -> Object {
    let mut report = head(db, HEAD, id);
    let policies = rows(
        db,
        "SELECT p.ordinal, p.policy_type, t.value AS policy_domain, p.successful_sessions, p.failed_sessions
         FROM tls_policy p LEFT JOIN text t ON t.id = p.policy_domain WHERE p.report = ? ORDER BY p.ordinal",
        [id],
    );
    let policies = policies.into_iter().map(|mut policy| {
        let ordinal = policy.remove("ordinal").and_then(|ordinal| ordinal.as_i64());
        let failures = rows(
            db,
            "SELECT result_type, sending_mta_ip, receiving_mx_hostname, receiving_mx_helo, receiving_ip, failed_sessions,
                    additional_information, failure_reason_code
             FROM tls_failure WHERE report = ? AND policy = ? ORDER BY ordinal",
            (id, ordinal),
        );
        if !failures.is_empty() {
            policy.insert("failures".into(), failures.into_iter().map(Value::Object).collect());
        }
        Value::Object(policy)
    });
    report.insert("policies".into(), policies.collect());
    report
}

fn failure(db: &Connection, id: i64) -> Object {
    let mut report = head(db, HEAD, id);
    let found = rows(
        db,
        "SELECT f.auth_failure, f.delivery_result, f.identity_alignment, a.ip AS source_ip, f.original_mail_from,
                t.value AS header_from, f.message_id, f.subject
         FROM failure f LEFT JOIN address a ON a.id = f.source LEFT JOIN text t ON t.id = f.header_from
         WHERE f.report = ?",
        [id],
    );
    report.insert("failure".into(), found.into_iter().map(Value::Object).next().expect("the failure"));
    report
}

/// One object for each complaint; `v_complaint` has a row for each of its people.
fn complaints(db: &Connection) -> Vec<Value> {
    let mut complaints: BTreeMap<i64, Object> = BTreeMap::new();
    for mut row in rows(db, "SELECT * FROM v_complaint ORDER BY id", []) {
        let id = row.remove("id").and_then(|id| id.as_i64()).expect("an id");
        let status = row.remove("recipient_status").expect("a status");
        let mut recipient = Object::new();
        if let Some(address) = row.remove("recipient") {
            recipient.insert("address".into(), address);
        }
        let complaint = complaints.entry(id).or_insert(row);
        let recipients = complaint.entry("recipients").or_insert(json!([])).as_array_mut().expect("an array");
        if status != "absent" {
            recipient.insert("status".into(), status);
            recipients.push(Value::Object(recipient));
        }
    }
    complaints.into_values().map(Value::Object).collect()
}

/// `got` cut down to what `expected` names where it names only some columns: complaints, bounces, failures, warnings.
fn comparable(mut got: Value, expected: &Value) -> Value {
    let Some(members) = got.as_object_mut() else {
        return got;
    };
    match expected.get("warnings") {
        None => drop(members.remove("warnings")),
        Some(_) => drop(members.entry("warnings").or_insert(json!([]))),
    }
    for (list, inside) in [("complaints", ""), ("bounces", ""), ("reports", "/failure")] {
        let items = members.get_mut(list).and_then(Value::as_array_mut);
        for (index, item) in items.into_iter().flatten().enumerate() {
            let named = expected.pointer(&format!("/{list}/{index}{inside}")).and_then(Value::as_object);
            if let (Some(named), Some(object)) = (named, item.pointer_mut(inside).and_then(Value::as_object_mut)) {
                object.retain(|name, _| named.contains_key(name));
            }
        }
    }
    got
}

/// What the JSON of an expectation means: a member that is null says that the column must be null.
fn named(expected: &Value) -> Value {
    without_nulls(expected.clone())
}

// ---------------------------------------------------------------- the tests

#[test]
fn every_sample_gives_the_reading_beside_it() {
    let mut names: BTreeSet<String> = BTreeSet::new();
    for entry in fs::read_dir(samples().join("mail")).expect("samples/mail") {
        names.insert(entry.expect("a sample").file_name().into_string().expect("a name in UTF-8"));
    }
    assert!(names.len() > 30, "only {} samples", names.len());
    let expected = fs::read_dir(samples().join("expected")).expect("samples/expected").count();
    assert_eq!(names.len(), expected, "samples and expectations do not match one to one");
    let wrong: Vec<String> = names.iter().filter_map(|name| check(name).err()).collect();
    assert!(wrong.is_empty(), "{} of {} samples:\n{}", wrong.len(), names.len(), wrong.join("\n"));
}

fn check(name: &str) -> Result<(), String> {
    let dir = tempfile::tempdir().expect("a directory");
    let sample = samples().join("mail").join(name);
    let expected = read_json(&samples().join("expected").join(format!("{name}.json")));
    let output = dmarcdb(dir.path(), &["ingest", sample.to_str().expect("a path in UTF-8")]);
    let status = if expected.get("problems").is_some() { 65 } else { 0 };
    if output.status.code() != Some(status) {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{name}: ended with {}, expected {status}: {stderr}", output.status));
    }
    let full = reading(&open(dir.path()));
    if comparable(full.clone(), &expected) == named(&expected) {
        return Ok(());
    }
    let kept = std::env::temp_dir().join("dmarcdb-samples");
    fs::create_dir_all(&kept).expect("a place for what was read");
    let kept = kept.join(format!("{name}.json"));
    let pretty = |value: &Value| serde_json::to_string_pretty(&sorted(value)).expect("JSON");
    fs::write(&kept, pretty(&full) + "\n").expect("a file for what was read");
    let (expected, got) = (pretty(&named(&expected)), pretty(&comparable(full, &expected)));
    Err(format!(
        "{name}: read otherwise (- expected, + got); all that was read is in {}\n{}",
        kept.display(),
        differences(&expected, &got)
    ))
}

/// The same with the members of every object in one order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(members) => {
            let members: BTreeMap<&String, Value> = members.iter().map(|(name, value)| (name, sorted(value))).collect();
            json!(members)
        }
        other => other.clone(),
    }
}

/// The lines that differ, with their numbers in each text: everything between the common beginning and the common end.
fn differences(expected: &str, got: &str) -> String {
    let (expected, got): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), got.lines().collect());
    let start = expected.iter().zip(&got).take_while(|(one, other)| one == other).count();
    let rest = expected.len().min(got.len()) - start;
    let end = expected.iter().rev().zip(got.iter().rev()).take(rest).take_while(|(one, other)| one == other).count();
    let lines = |mark: char, lines: &[&str]| {
        let inside = lines[start..lines.len() - end].iter().enumerate();
        inside.map(|(index, line)| format!("{mark} {:4} {line}\n", start + index + 1)).collect::<String>()
    };
    lines('-', &expected) + &lines('+', &got)
}

/// A database with the whole set in it.
fn whole_set() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    answer(dir.path(), &["ingest", samples().join("mail").to_str().expect("a path in UTF-8")], 65);
    dir
}

const FIGURES: [&str; 7] = ["messages", "dmarc_pass", "dkim_pass", "spf_pass", "unknown", "quarantine", "reject"];

/// The figures of an object, as numbers, whatever they are written as.
fn figures(of: &Value, at: &str) -> Vec<i64> {
    let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
    let one = |name: &&str| of.get(name).and_then(number).unwrap_or_else(|| panic!("{at}: no number {name} in {of}"));
    FIGURES.iter().map(one).collect()
}

/// Source address to figures.
fn by_source(sources: &[Value], at: &str) -> BTreeMap<String, Vec<i64>> {
    let one = |source: &Value| {
        let ip = source["source_ip"].as_str().unwrap_or_else(|| panic!("{at}: no source_ip in {source}"));
        (ip.to_owned(), figures(source, at))
    };
    sources.iter().map(one).collect()
}

fn summary(dir: &Path, format: &str) -> String {
    answer(dir, &["summary", "--since", "7d", "--until", "newest", "--format", format], 0)
}

#[test]
fn summary_counts_what_was_counted_by_hand() {
    let dir = whole_set();
    let hand = read_json(&samples().join("expected-summary.json"));
    let sources = by_source(hand["sources"].as_array().expect("sources"), "by hand");

    let db = open(dir.path());
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).expect(sql);
    let counted = "FROM v_report WHERE kind = 'aggregate' AND conflict_with IS NULL";
    assert_eq!(hand["aggregate_reports"], count(&format!("SELECT count(*) {counted}")));
    assert_eq!(hand["records"], count(&format!("SELECT sum(records) {counted}")));
    assert_eq!(hand["newest_end_at"], count(&format!("SELECT max(end_at) {counted}")));

    let json: Value = serde_json::from_str(&summary(dir.path(), "json")).expect("JSON");
    assert_eq!(figures(&json["totals"], "json"), figures(&hand["totals"], "by hand"), "totals");
    assert_eq!(by_source(json["sources"].as_array().expect("sources"), "json"), sources);

    let text = summary(dir.path(), "ndjson");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("NDJSON")).collect();
    assert_eq!(by_source(&lines, "ndjson"), sources);

    let text = summary(dir.path(), "csv");
    let mut csv = csv::Reader::from_reader(text.as_bytes());
    let lines: Vec<Value> =
        csv.deserialize().map(|line: Result<BTreeMap<String, String>, _>| json!(line.expect("CSV"))).collect();
    assert_eq!(by_source(&lines, "csv"), sources);
}

#[test]
fn the_table_shows_the_same_numbers() {
    let dir = whole_set();
    let hand = read_json(&samples().join("expected-summary.json"));
    let sources = by_source(hand["sources"].as_array().expect("sources"), "by hand");
    let table = summary(dir.path(), "table");
    let mut shown = 0;
    for line in table.lines() {
        let words: Vec<&str> =
            line.split(|c: char| c.is_whitespace() || "│|".contains(c)).filter(|word| !word.is_empty()).collect();
        let Some(figures) = words.first().and_then(|word| sources.get(*word)) else {
            continue;
        };
        let digits = |word: &str| {
            word.chars().filter(|c| !matches!(c, ',' | '.' | '\'' | '\u{a0}' | '\u{202f}')).collect::<String>()
        };
        let messages = figures[0].to_string();
        assert!(words.iter().any(|word| digits(word) == messages), "{messages} messages in: {line}");
        shown += 1;
    }
    assert!(shown >= 10, "the table shows {shown} of {} sources:\n{table}", sources.len());
    let total = hand["totals"]["messages"].to_string();
    let plain: String = table.chars().filter(|c| !matches!(c, ',' | '\'' | '\u{a0}' | '\u{202f}')).collect();
    assert!(plain.contains(&total), "{total} messages in all:\n{table}");
}

#[test]
fn only_those_who_complained_are_suppressed() {
    let dir = whole_set();
    let hand = read_json(&samples().join("expected-summary.json"));
    let db = open(dir.path());
    let found: Vec<Value> = rows(&db, "SELECT address FROM v_suppression ORDER BY address", [])
        .into_iter()
        .map(|mut row| row["address"].take())
        .collect();
    assert_eq!(hand["suppressed"], Value::Array(found));
    let exported = answer(dir.path(), &["suppress", "export", "--format", "csv"], 0);
    for address in hand["suppressed"].as_array().expect("addresses") {
        assert!(exported.contains(address.as_str().expect("an address")), "{address} in\n{exported}");
    }
    for address in ["best.customer@people.example", "ida@provider.example"] {
        assert!(!exported.contains(address), "{address} in\n{exported}");
    }
}

#[test]
fn reading_everything_twice_changes_nothing() {
    let dir = whole_set();
    let before = contents(&open(dir.path()));
    let mail = samples().join("mail");
    let output = dmarcdb(dir.path(), &["ingest", "--format", "json", mail.to_str().expect("a path in UTF-8")]);
    let tally: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(matches!(output.status.code(), Some(0 | 65)), "{}", output.status);
    assert_eq!(contents(&open(dir.path())), before);
    assert_eq!(tally["stored"], 0, "{tally}");
    assert_eq!(tally["complaints"], 0, "{tally}");
    assert_eq!(tally["records"], 0, "{tally}");
    assert_eq!(tally["duplicate"], tally["messages"], "{tally}");
    assert!(tally["messages"].as_i64() > Some(30), "{tally}");
}

/// Every table with its rows.
fn contents(db: &Connection) -> BTreeMap<String, Vec<String>> {
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
    let mut tables = db.prepare(sql).expect(sql);
    let tables = tables.query_map([], |row| row.get::<_, String>(0)).expect(sql);
    tables
        .map(|table| {
            let table = table.expect("a name");
            let sql = format!("SELECT * FROM \"{table}\"");
            let mut statement = db.prepare(&sql).expect("the table");
            let columns = statement.column_count();
            let line = |row: &rusqlite::Row<'_>| {
                let values: Result<Vec<_>, _> =
                    (0..columns).map(|column| row.get::<_, rusqlite::types::Value>(column)).collect();
                Ok(format!("{:?}", values?))
            };
            let lines = statement.query_map([], line).expect("rows").collect::<Result<Vec<_>, _>>().expect("rows");
            (table, lines)
        })
        .collect()
}
