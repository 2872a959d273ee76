//! Every answer in every format, word for word, through the built binary. What is expected stands under `answers/`; on a
//! mismatch what was got is written beside it as `NAME.tmp`, to be looked at and put in its place if it is right.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use dmarcdb::store::daily;
use rusqlite::Connection;

const WEEK: &str = "--since=2026-11-14 --until=2026-11-21";
const FORMATS: [&str; 4] = ["table", "json", "ndjson", "csv"];

/// Name of the file, and the command, in which `WEEK` stands for the options of the fixture's week.
const ANSWERS: &[(&str, &str)] = &[
    ("summary", "summary WEEK"),
    ("summary-by-domain", "summary WEEK --by domain"),
    ("summary-by-reporter", "summary WEEK --by reporter"),
    ("summary-by-day", "summary WEEK --by day"),
    ("summary-of-domain", "summary WEEK --domain EXAMPLE.com. --limit 1"),
    ("summary-explain", "summary WEEK --explain"),
    ("summary-empty", "summary --since 2020-01-01 --until 2020-02-01"),
    ("reports", "reports --since all"),
    ("reports-of-kind", "reports WEEK --kind tls --domain example.com"),
    ("reports-warnings", "reports WEEK --warnings"),
    ("records", "records WEEK"),
    ("records-limit", "records WEEK --domain example.com --limit 2"),
    ("complaints", "complaints --since all"),
    ("complaints-of-domain", "complaints WEEK --domain example.com"),
    ("complaints-pending", "complaints --pending"),
    ("complaints-unresolved", "complaints --unresolved"),
    ("complaints-not-ours", "complaints --not-ours"),
    ("complaints-rates", "complaints WEEK --rates"),
    ("complaints-rates-dkim", "complaints WEEK --rates=dkim"),
    ("bounces", "bounces WEEK"),
    ("bounces-of-class", "bounces WEEK --class hard"),
    ("bounces-policy", "bounces WEEK --policy --domain example.com"),
    ("trust-list", "trust list"),
    ("trust-review", "trust review"),
    ("suppress-why-bounced", "suppress why gina@customer.example"),
    ("messages", "messages"),
    ("messages-of-outcome", "messages --outcome not_a_report"),
    ("problems", "problems"),
    ("problems-all", "problems --all"),
    ("problems-show", "problems show 1"),
    ("source", "source 192.0.2.10"),
    ("source-v6", "source 2001:DB8:0:0::25 WEEK"),
    ("source-unknown", "source 192.0.2.99"),
    ("reporter", "reporter GOOGLE.com"),
    ("reporters", "reporter"),
    ("labels", "label list"),
    ("tls", "tls WEEK"),
    ("suppress-list", "suppress list"),
    ("suppress-list-pending", "suppress list --include-pending"),
    ("suppress-list-scope", "suppress list --scope example.com"),
    ("suppress-why", "suppress why Erin@Customer.example"),
    ("suppress-why-pending", "suppress why bob@customer.example"),
    ("suppress-why-unknown", "suppress why nobody@customer.example"),
];

/// A database with the fixture's rows, in a directory that goes when this goes.
struct Scratch {
    directory: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Scratch {
        let scratch = Scratch { directory: tempfile::tempdir().unwrap() };
        let connection = Connection::open(scratch.db()).unwrap();
        connection.pragma_update(None, "journal_mode", "wal").unwrap();
        connection.execute_batch(include_str!("../../schema.sql")).unwrap();
        connection.execute_batch("PRAGMA application_id = 0x444D4442; PRAGMA user_version = 1").unwrap();
        connection.execute_batch(include_str!("fixture.sql")).unwrap();
        daily::rebuild(&connection).unwrap();
        scratch
    }

    fn db(&self) -> PathBuf {
        self.directory.path().join("db.sqlite")
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dmarcdb"));
        command.env_clear().env("COLUMNS", "100").env("HOME", self.directory.path()).current_dir(self.directory.path());
        command.arg("--db").arg(self.db()).args(line.replace("WEEK", WEEK).split_whitespace());
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn expected_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/answers").join(name)
}

#[test]
fn answers_word_for_word() {
    let scratch = Scratch::new();
    let mut wrong = Vec::new();
    for (name, line) in ANSWERS {
        let mut found = String::new();
        for format in FORMATS {
            let line = format!("{line} --format {format}");
            let output = scratch.run(&line);
            found.push_str(&format!("$ dmarcdb {line}\n{}", text(&output.stdout)));
            for line in text(&output.stderr).lines() {
                found.push_str(&format!("[stderr] {line}\n"));
            }
            found.push_str(&format!("[status {}]\n\n", output.status.code().unwrap()));
        }
        let file = expected_file(&format!("{name}.txt"));
        if fs::read_to_string(&file).unwrap_or_default() != found {
            fs::write(file.with_extension("tmp"), found).unwrap();
            wrong.push(*name);
        }
    }
    assert!(wrong.is_empty(), "other than expected, see tests/it/answers/NAME.tmp: {wrong:?}");
}

#[test]
fn every_expected_answer_is_asked_for() {
    for entry in fs::read_dir(expected_file("")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(ANSWERS.iter().any(|(asked, _)| *asked == name), "{} is of no test", path.display());
    }
}

#[test]
fn machine_formats_parse() {
    let scratch = Scratch::new();
    for (name, line) in ANSWERS {
        let json = scratch.run(&format!("{line} --format json"));
        serde_json::from_slice::<serde_json::Value>(&json.stdout).unwrap_or_else(|error| panic!("{name}: {error}"));
        let ndjson = scratch.run(&format!("{line} --format ndjson"));
        for line in text(&ndjson.stdout).lines() {
            let row = serde_json::from_str::<serde_json::Value>(line).unwrap();
            assert!(row.is_object(), "{name}");
        }
        let rows = text(&ndjson.stdout).lines().count();
        let csv = scratch.run(&format!("{line} --format csv"));
        let records = csv::Reader::from_reader(csv.stdout.as_slice()).into_records().map(Result::unwrap).count();
        assert_eq!(records, rows, "{name}: as many rows in CSV as in NDJSON");
    }
}

#[test]
fn nothing_that_acts_on_a_terminal_is_ever_written() {
    let scratch = Scratch::new();
    for (_, line) in ANSWERS {
        for format in FORMATS {
            let output = scratch.run(&format!("{line} --format {format}"));
            for (stream, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
                let acting = text(bytes).chars().find(|c| {
                    (c.is_control() && *c != '\n') || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
                });
                assert_eq!(acting, None, "{line} --format {format}, {stream}");
            }
        }
    }
}

#[test]
fn json_of_the_summary_is_as_published() {
    let scratch = Scratch::new();
    let output = scratch.run("summary WEEK --format json");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&document["since_at"], &document["until_at"]), (&1_794_614_400.into(), &1_795_219_200.into()));
    let counts = ["messages", "dmarc_pass", "dkim_pass", "spf_pass", "unknown", "quarantine", "reject", "complaints"];
    let source = &document["sources"][0];
    for object in [&document["totals"], &document["previous"], source] {
        for name in counts {
            assert!(object[name].is_u64(), "{name} in {object}");
        }
    }
    for name in ["source_ip", "name", "class", "first_at", "last_at", "why"] {
        assert!(source.get(name).is_some(), "{name}");
    }
    for name in counts.iter().filter(|name| **name != "complaints") {
        let sum: u64 = document["sources"].as_array().unwrap().iter().map(|row| row[*name].as_u64().unwrap()).sum();
        assert_eq!(document["totals"][*name], sum, "{name}");
    }
}

#[test]
fn the_default_window_says_where_the_reports_are() {
    let scratch = Scratch::new();
    let connection = Connection::open(scratch.db()).unwrap();
    connection.execute_batch("UPDATE report SET end_at = 1500000000 + id").unwrap();
    daily::rebuild(&connection).unwrap();
    for command in ["summary", "reports", "records", "tls"] {
        let output = scratch.run(command);
        let answer = text(&output.stdout);
        assert!(answer.contains("The newest ended 2017-07-14 02:40 UTC: --until newest"), "{command}: {answer}");
        let newest = scratch.run(&format!("{command} --until newest"));
        assert!(!text(&newest.stdout).contains("No report"), "{command}: the end itself is in the window");
        let output = scratch.run(&format!("{command} --format csv"));
        assert!(text(&output.stderr).contains("--until newest"), "{command}: on standard error beside data");
    }
}

#[test]
fn wrong_databases_are_told_apart() {
    let scratch = Scratch::new();
    let check = |bytes: Option<&[u8]>, status: i32, part: &str| {
        let path = scratch.directory.path().join("other");
        if let Some(bytes) = bytes {
            fs::write(&path, bytes).unwrap();
        }
        let output =
            Command::new(env!("CARGO_BIN_EXE_dmarcdb")).arg("--db").arg(&path).arg("summary").output().unwrap();
        assert_eq!(output.status.code(), Some(status));
        assert!(output.stdout.is_empty());
        assert!(text(&output.stderr).contains(part), "{}", text(&output.stderr));
        fs::remove_file(&path).ok();
    };
    check(None, 74, "nothing has been fetched yet: run `dmarcdb fetch` or `dmarcdb ingest FILES`");
    check(Some(b"hello, world, this is text"), 74, "not a dmarcdb database");
    let sound = fs::read(scratch.db()).unwrap();
    check(Some(&sound[..5000]), 74, "damaged");
}

#[test]
fn wrong_usage_says_what_is_right() {
    let scratch = Scratch::new();
    for (line, part) in [
        ("summary --since 7x", "`7x` is no time: give a span"),
        ("summary --since 7d --until 2020-01-01", "--since must be before --until"),
        ("summary --domain ..", "not a domain name"),
        ("source 192.0.2.300", "`192.0.2.300`: give an address (192.0.2.10)"),
        ("domain ..", "not a domain name"),
        ("reporter goo", "perhaps `google.com`"),
        ("label 192.0.2.300 --class ok", "give an address (192.0.2.10), a network (192.0.2.0/24) or a domain"),
        ("label 192.0.2.3 --class good", "no class: give one of fix, new, threat, forwarded, ok"),
        ("label 192.0.2.3", "--class"),
        ("label --class ok", "IP|NETWORK|DOMAIN"),
        ("problems show 99", "no problem 99: see `dmarcdb problems --all`"),
        ("suppress add bob --reason x", "not of the form local@domain"),
        ("suppress add bob@[192.0.2.1] --reason x", "an address literal"),
        ("suppress add bob@example.com", "--reason"),
        ("suppress add bob@example.com --reason x --until 2020-01-01", "is no time after now"),
        ("suppress export --format plain --include-pending", "`plain` cannot"),
    ] {
        let output = scratch.run(line);
        assert_eq!(output.status.code(), Some(2), "{line}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(part), "{line}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn answers_change_nothing_and_come_while_another_writes() {
    let scratch = Scratch::new();
    let writer = Connection::open(scratch.db()).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE; DELETE FROM record; DELETE FROM complaint_recipient").unwrap();
    let output = scratch.run("summary WEEK --format json");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["totals"]["messages"], 1266, "what is not committed is not seen");
    writer.execute_batch("ROLLBACK").unwrap();
    drop(writer);
    let before = fs::read(scratch.db()).unwrap();
    for (_, line) in ANSWERS {
        scratch.run(line);
    }
    assert!(fs::read(scratch.db()).unwrap() == before);
}

#[test]
fn a_closed_pipe_is_no_error() {
    let scratch = Scratch::new();
    for line in ["completions zsh", "completions bash", "man", "records WEEK", "reports --since all --format json"] {
        let mut child = scratch.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{line}");
    }
}

#[test]
fn a_label_wins_and_goes() {
    let scratch = Scratch::new();
    let first = || {
        let json = scratch.run("summary WEEK --format json");
        let document: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        let source = document["sources"].as_array().unwrap().iter().find(|row| row["source_ip"] == "198.51.100.7");
        let source = source.unwrap().clone();
        (source["class"].as_str().unwrap().to_owned(), source["name"].clone(), document["action"] == true)
    };
    assert_eq!(first(), ("threat".to_owned(), serde_json::Value::Null, false));
    let run = |line: &str, said: &str| {
        let output = scratch.run(line);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), ""), "{line}");
        assert_eq!(text(&output.stderr), format!("dmarcdb: {said}\n"), "{line}");
    };
    run("label 198.51.100.99/24 --class fix --name Payroll --author mia", "198.51.100.0/24 is labelled as fix");
    assert_eq!(first(), ("fix".to_owned(), "Payroll".into(), true));
    run("label 198.51.100.7 --class ok --author mia", "198.51.100.7 is labelled as ok");
    run("label 198.51.100.7 --note known --author eve", "198.51.100.7 is labelled");
    assert_eq!(first(), ("ok".to_owned(), serde_json::Value::Null, false));
    let csv = scratch.run("label list --format csv");
    let rows: Vec<_> = csv::Reader::from_reader(csv.stdout.as_slice()).into_records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 2);
    let row: Vec<_> = rows[1].iter().collect();
    assert_eq!((&row[..4], row[5]), (&["198.51.100.7", "ok", "", "known"][..], "eve"));
    run("label remove 198.51.100.7", "198.51.100.7 has no label any more");
    run("label remove 198.51.100.7", "198.51.100.7 has no label");
    run("label remove 198.51.100.0/24", "198.51.100.0/24 has no label any more");
    assert_eq!(first().0, "threat");
}

#[test]
fn an_address_is_suppressed_and_lifted() {
    let scratch = Scratch::new();
    let exported = || text(&scratch.run("suppress export --format plain").stdout).to_owned();
    let before = exported();
    assert_eq!(before, "+dave@customer.example\nAlice@customer.example\n");
    let output = scratch.run("suppress add Bob@X.test --reason asked --author mia");
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), ""));
    assert_eq!(exported(), before.clone() + "Bob@x.test\n");
    let output = scratch.run("suppress why bob@x.test");
    assert!(
        text(&output.stdout).contains("Bob@x.test is suppressed")
            || text(&output.stdout).contains("bob@x.test is suppressed")
    );
    let output = scratch.run("suppress lift BOB@x.test --reason back --author mia");
    assert!(text(&output.stderr).contains("may be mailed again from every domain"));
    assert_eq!(exported(), before);
    let output = scratch.run("suppress lift bob@x.test --reason again");
    assert!(text(&output.stderr).contains("nothing to lift"));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn help_teaches_with_an_example() {
    let scratch = Scratch::new();
    let commands = [
        "summary",
        "reports",
        "records",
        "complaints",
        "messages",
        "problems",
        "source",
        "reporter",
        "tls",
        "suppress",
        "suppress list",
        "suppress export",
        "suppress add",
        "suppress lift",
        "suppress why",
        "completions",
        "man",
        "fetch",
        "ingest",
        "domain",
        "label",
        "bounces",
        "trust",
        "sendlog",
        "digest",
        "metrics",
        "watch-for",
        "enrich",
        "check",
        "doctor",
        "backup",
        "prune",
    ];
    for command in commands {
        let long = scratch.run(&format!("{command} --help"));
        let example = format!("\n  dmarcdb {command}");
        assert!(text(&long.stdout).contains(&example), "{command}: {}", text(&long.stdout));
        let short = scratch.run(&format!("{command} -h"));
        assert!(short.stdout.len() < long.stdout.len(), "{command}");
    }
}

#[test]
fn manual_pages_and_completions_are_made_for_every_command() {
    let scratch = Scratch::new();
    let output = scratch.run("man --out pages");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for page in ["dmarcdb.1", "dmarcdb-summary.1", "dmarcdb-suppress-export.1"] {
        let page = fs::read_to_string(scratch.directory.path().join("pages").join(page)).unwrap();
        assert!(page.contains(".SH SYNOPSIS"));
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = scratch.run(&format!("completions {shell}"));
        assert!(text(&output.stdout).contains("complaints"), "{shell}");
    }
}
