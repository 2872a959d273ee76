//! Every export format, byte for byte, through the built binary: what is expected stands under `exports/FORMAT/`, the
//! whole list and, under `changes`, what `--since-last` writes after one address was lifted and one came. `told.txt` is
//! standard error and the exit status. On a mismatch what was got is written to `exports/FORMAT.tmp/`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use dmarcdb::suppress::export::FORMATS;
use rusqlite::Connection;

use crate::support::run::{Place, Ran};

const FIXTURE: &str = include_str!("exports.sql");

fn place(rows: &str) -> Place {
    let place = Place::new();
    let connection = Connection::open(place.path("db.sqlite")).unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    // The list must be right for kinds of events that are yet to come.
    let schema = dmarcdb::store::migrations::SCHEMA.replace("'add', 'lift'))", "'add', 'lift', 'hard_bounce'))");
    connection.execute_batch(&schema).unwrap();
    connection.pragma_update(None, "application_id", dmarcdb::store::migrations::APPLICATION_ID).unwrap();
    connection.pragma_update(None, "user_version", dmarcdb::store::migrations::VERSION).unwrap();
    connection.execute_batch(rows).unwrap();
    place
}

fn change(place: &Place, rows: &str) {
    Connection::open(place.path("db.sqlite")).unwrap().execute_batch(rows).unwrap();
}

fn export(place: &Place, arguments: &[&str]) -> Ran {
    place.run(&[&["suppress", "export"], arguments].concat())
}

/// Files of a folder by name; none where there is no folder.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeMap::new() };
    let paths = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    paths
        .map(|path| {
            (
                path.file_name().unwrap().to_str().unwrap().to_owned(),
                String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned(),
            )
        })
        .collect()
}

fn told(ran: &Ran) -> String {
    format!("{}[status {}]\n", ran.stderr, ran.status.unwrap())
}

/// What a format gives: the whole list, then the changes.
fn given(format: &str) -> BTreeMap<String, String> {
    let place = place(FIXTURE);
    fs::create_dir(place.path("out")).unwrap();
    fs::create_dir(place.path("changes")).unwrap();
    let mut told_all = told(&export(&place, &["--format", format, "--output", "out"]));
    let changes = ["--format", format, "--output", "changes/", "--since-last", "t"];
    export(&place, &changes);
    change(
        &place,
        "INSERT INTO suppression_event (folded, address, scope, kind, at, reason, author) VALUES
           ('o''hara@isp.example', 'o''hara@isp.example', 'example.com', 'lift', 1755800000, 'wants it', 'mia'),
           ('zoe@isp.example', 'zoe@isp.example', 'example.com', 'complaint', 1755800001, 'abuse', NULL);",
    );
    told_all.push_str(&format!("\nchanges:\n{}", told(&export(&place, &changes))));
    let mut all = files(&place.path("out"));
    all.extend(files(&place.path("changes")).into_iter().map(|(name, text)| (format!("changes/{name}"), text)));
    all.insert("told.txt".to_owned(), told_all);
    all
}

fn golden(format: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/exports").join(format)
}

#[test]
fn every_format_byte_for_byte() {
    let mut wrong = Vec::new();
    for format in FORMATS {
        let found = given(format.name);
        let folder = golden(format.name);
        let mut expected = files(&folder);
        expected
            .extend(files(&folder.join("changes")).into_iter().map(|(name, text)| (format!("changes/{name}"), text)));
        if found != expected {
            let folder = golden(&format!("{}.tmp", format.name));
            fs::create_dir_all(folder.join("changes")).unwrap();
            for (name, text) in found {
                fs::write(folder.join(name), text).unwrap();
            }
            wrong.push(format.name);
        }
    }
    assert!(wrong.is_empty(), "other than expected, see tests/it/exports/FORMAT.tmp: {wrong:?}");
}

#[test]
fn every_format_is_documented_and_every_golden_folder_is_of_one() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/suppression-formats.md")).unwrap();
    for format in FORMATS {
        assert!(
            page.contains(&format!("\n### `{}`", format.name)),
            "{} is not in docs/suppression-formats.md",
            format.name
        );
        // The sample line of each section is one that is really written.
        let section = page.split(&format!("\n### `{}`", format.name)).nth(1).unwrap();
        let sample = section.split("```text").nth(1).unwrap().split("```").next().unwrap();
        let written = given(format.name);
        for line in sample.lines().filter(|line| !line.is_empty()) {
            assert!(written.values().any(|text| text.contains(line)), "{}: never written: {line}", format.name);
        }
    }
    for entry in fs::read_dir(golden("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name.ends_with(".tmp") || FORMATS.iter().any(|format| format.name == name), "{name} is of no format");
    }
}

fn people(range: std::ops::Range<u32>) -> String {
    format!(
        "WITH RECURSIVE n(n) AS (SELECT {} UNION ALL SELECT n + 1 FROM n WHERE n + 1 < {})
         INSERT INTO suppression_event (folded, address, scope, kind, at, reason)
         SELECT printf('u%07d@isp.example', n), printf('u%07d@isp.example', n), '', 'complaint', n, 'abuse' FROM n;",
        range.start, range.end
    )
}

fn lift(range: std::ops::Range<u32>) -> String {
    people(range).replace("'complaint', n", "'lift', n + 10000000")
}

#[test]
fn a_file_is_replaced_whole_and_kept_from_others() {
    let place = place(&people(0..3));
    let mode = |name: &str| fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o777;
    export(&place, &["--format", "plain", "--output", "list"]).expect(0);
    assert_eq!(mode("list"), 0o600);
    fs::set_permissions(place.path("list"), fs::Permissions::from_mode(0o644)).unwrap();
    let before = fs::File::open(place.path("list")).unwrap();
    change(&place, &people(3..4));
    export(&place, &["--format", "plain", "--output", "list"]).expect(0);
    assert_eq!(mode("list"), 0o644, "who may read the old list may read the new one");
    assert_eq!(
        std::io::read_to_string(before).unwrap().lines().count(),
        3,
        "whoever reads the old list reads it to its end"
    );
    assert_eq!(fs::read_to_string(place.path("list")).unwrap().lines().count(), 4);
    let ran = export(&place, &["--format", "plain", "--output", "none/list"]).expect(73);
    assert!(ran.stderr.contains("none/list"), "{}", ran.stderr);
    assert!(!files(place.dir.path()).keys().any(|name| name.contains(".tmp")));
}

#[test]
fn a_list_that_shrinks_too_much_is_not_written() {
    let place = place(&people(0..100));
    let list = ["--format", "plain", "--output", "list"];
    let with = |more: &[&str]| export(&place, &[&list[..], more].concat());
    let lines = || fs::read_to_string(place.path("list")).unwrap().lines().count();
    with(&[]).expect(0);
    change(&place, &lift(0..10));
    with(&[]).expect(0);
    assert_eq!(lines(), 90, "10 % less is allowed");
    change(&place, &lift(10..20));
    let ran = with(&[]).expect(76);
    assert!(ran.stderr.contains("80 left of 90") && ran.stderr.contains("--force"), "{}", ran.stderr);
    assert_eq!(lines(), 90, "the old list stays");
    assert_eq!(files(place.dir.path()).keys().filter(|name| !name.starts_with("db.sqlite")).count(), 1);
    with(&["--max-shrink", "5"]).expect(76);
    with(&["--max-shrink", "12"]).expect(0);
    assert_eq!(lines(), 80);
    change(&place, &lift(20..100));
    with(&["--max-shrink", "99"]).expect(76);
    with(&["--force"]).expect(0);
    assert_eq!(lines(), 0);
    with(&[]).expect(0);
}

/// A database that was lost and begun anew knows of no last export, but the file is there.
#[test]
fn a_list_of_another_database_is_guarded_by_its_own_length() {
    for format in FORMATS {
        let full = place(&people(0..120));
        fs::create_dir(full.path("out")).unwrap();
        export(&full, &["--format", format.name, "--output", "out/list.x"]).expect(0);
        let empty = place("");
        let output = full.path("out/list.x");
        let before = files(&full.path("out"));
        let ran = export(&empty, &["--format", format.name, "--output", output.to_str().unwrap()]).expect(76);
        assert!(ran.stderr.contains("0 left of 120"), "{}: {}", format.name, ran.stderr);
        assert_eq!(files(&full.path("out")), before, "{}", format.name);
    }
}

#[test]
fn a_list_too_long_for_one_file_is_several() {
    let place = place(&people(0..100_001));
    let ses = ["--format", "ses-csv", "--output", "ses.csv", "--force"];
    let ran = export(&place, &ses[..2]).expect(2);
    assert!(ran.stderr.contains("`ses-csv` needs 2 files"), "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
    export(&place, &ses).expect(0);
    let names = || files(place.dir.path()).into_keys().filter(|name| name.starts_with("ses")).collect::<Vec<_>>();
    assert_eq!(names(), ["ses-001.csv", "ses-002.csv"]);
    assert_eq!(fs::read_to_string(place.path("ses-002.csv")).unwrap(), "u0100000@isp.example,COMPLAINT\n");
    change(&place, &lift(0..50_000));
    export(&place, &ses).expect(0);
    assert_eq!(names(), ["ses.csv"], "what is left of a longer list would be taken for part of this one");
    export(&place, &ses[..2]).expect(0);
}

#[test]
fn several_lists_need_a_place_for_files() {
    let place = place(FIXTURE);
    let ran = export(&place, &["--format", "mailgun"]).expect(2);
    assert!(ran.stderr.contains("`mailgun` writes 3 files"), "{}", ran.stderr);
    let ran = export(&place, &["--format", "ses-csv", "--since-last", "x"]).expect(2);
    assert!(ran.stderr.contains("`ses-csv` writes 2 files"), "{}", ran.stderr);
    let ran = export(&place, &["--format", "exim", "--since-last", "x"]).expect(2);
    assert!(ran.stderr.contains("`exim` cannot take changes"), "{}", ran.stderr);
}

#[test]
fn changes_for_a_target_are_those_since_it_was_written_last() {
    let place = place(&people(0..30));
    let ask =
        |arguments: &[&str]| export(&place, &[&["--format", "ndjson", "--since-last", "crm"], arguments].concat());
    assert_eq!(ask(&[]).expect(0).stdout.lines().count(), 30);
    assert_eq!(ask(&[]).expect(0).stdout, "");
    change(&place, &format!("{}{}", lift(0..2), people(30..31)));
    let ran = ask(&[]).expect(0);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines[0].contains("u0000000@isp.example") && lines[0].ends_with("\"state\":\"removed\"}"), "{lines:?}");
    assert!(lines[2].contains("u0000030@isp.example") && lines[2].ends_with("\"state\":\"active\"}"), "{lines:?}");
    assert_eq!(lines.len(), 3);
    assert!(ran.stderr.contains("crm: 1 to add, 2 to remove, 29 in the list"), "{}", ran.stderr);

    let ran = export(&place, &["--format", "plain", "--since-last", "crm", "--output", "x"]).expect(2);
    assert!(ran.stderr.contains("--format ndjson"), "{}", ran.stderr);
    ask(&["--scope", "example.com"]).expect(2);
    assert_eq!(ask(&["--from-scratch"]).expect(0).stdout.lines().count(), 29);

    // What is refused, or cannot be put in place, leaves the target as it was.
    change(&place, &lift(2..20));
    assert_eq!(ask(&[]).expect(76).stdout, "");
    ask(&["--force", "--output", "none/list"]).expect(73);
    assert_eq!(ask(&["--force"]).expect(0).stdout.lines().count(), 18);
    assert_eq!(ask(&[]).expect(0).stdout, "");
}

#[test]
fn what_is_pending_is_never_unmarked_by_chance() {
    let place = place(include_str!("fixture.sql"));
    let ran = export(&place, &["--format", "postmark", "--include-pending"]).expect(2);
    assert!(ran.stderr.contains("`postmark` cannot"), "{}", ran.stderr);
    let ran = export(&place, &["--format", "ndjson", "--include-pending"]).expect(0);
    assert!(ran.stdout.contains("\"bob@customer.example\"") && ran.stdout.contains("\"pending\""), "{}", ran.stdout);
    let ran = export(&place, &["--format", "plain", "--pending-as-active"]).expect(0);
    assert_eq!(ran.stdout, "+dave@customer.example\nAlice@customer.example\nbob@customer.example\n");
}

/// Every line of the list that `make demo` ends with can be asked why it is there.
#[test]
fn every_line_of_the_demo_can_be_explained() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let place = Place::new();
    let (mail, config) = (root.join("samples/mail"), root.join("samples/dmarcdb.toml"));
    let config = config.to_str().unwrap();
    place.run(&["--config", config, "-q", "ingest", mail.to_str().unwrap()]);
    let list = place.run(&["--config", config, "suppress", "export", "--format", "plain"]).expect(0).stdout;
    assert!(list.lines().count() >= 5);
    for address in list.lines() {
        let why = place.run(&["suppress", "why", address]).expect(0).stdout;
        for part in [
            "is suppressed for",
            "trusted:   yes, ",
            "about:     mail of ours",
            "named:     ",
            "sha256:    ",
            "found at:  ",
        ] {
            assert!(why.contains(part), "{address}: no `{part}` in\n{why}");
        }
        assert!(why.contains("by complaint ") || why.contains("by bounce "), "{address}: no evidence in\n{why}");
        let json = place.run(&["suppress", "why", address, "--format", "json"]).expect(0).json();
        let event = &json["events"][0];
        let sha256 = event["sha256"].as_str().unwrap();
        let file = event["origin"].as_str().unwrap();
        assert!(event["fields"].is_array() && event["trust_reason"].is_string(), "{event}");
        assert_eq!(sha256.len(), 64);
        assert!(file.contains("samples/mail"), "{file}");
    }
}
