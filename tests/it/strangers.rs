//! Text from strangers through every command in every format: nothing that acts on a terminal or in a spreadsheet comes
//! out, and no file is written but the database.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::run::{Place, Ran};

const CONFIG: &str =
    "authserv_id = \"mx.example.com\"\nown_domains = [\"example.com\"]\nfeedback_senders = [\"fbl.example\"]\n";

/// What our server puts above a complaint that came through a feedback loop.
const TRUSTED: &str = "Authentication-Results: mx.example.com; dmarc=pass header.from=fbl.example\r\n";

/// Whether a character does anything but be seen. A list of its own: the one of the renderer is what is tested here.
fn acts(c: char) -> bool {
    let invisible = "\u{ad}\u{61c}\u{180e}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\
                     \u{202e}\u{2060}\u{2061}\u{2062}\u{2063}\u{2064}\u{2066}\u{2067}\u{2068}\u{2069}\u{feff}";
    (c < ' ' && c != '\n')
        || ('\u{7f}'..='\u{9f}').contains(&c)
        || invisible.contains(c)
        || ('\u{e0000}'..='\u{e007f}').contains(&c)
}

#[track_caller]
fn check_text(command: &[String], ran: &Ran) {
    for (stream, text) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
        if let Some(at) = text.find(acts) {
            let around: String = text[..at].chars().rev().take(60).collect::<Vec<_>>().into_iter().rev().collect();
            panic!("{command:?}: {stream}: {:?} after {around:?}", text[at..].chars().next().unwrap());
        }
    }
    let fine = matches!(ran.status, Some(0 | 1 | 65));
    assert!(fine, "{command:?}: {:?}: {}", ran.status, ran.stderr);
}

/// No cell is run by a spreadsheet. An address in an export is written as it is, because a mail server must match it: those
/// that a spreadsheet would run must be told on standard error.
fn check_csv(command: &[String], ran: &Ran) {
    let exported = command.iter().any(|word| word == "export");
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(ran.stdout.as_bytes());
    for record in reader.records() {
        for (column, cell) in record.unwrap_or_else(|error| panic!("{command:?}: {error}")).iter().enumerate() {
            let first = cell.trim_start().chars().next();
            let runs = first.is_some_and(|c| "=+-@\t\r＝＋－＠".contains(c)) && cell.parse::<f64>().is_err();
            if runs && exported && column == 0 {
                assert!(ran.stderr.contains("spreadsheet"), "{command:?}: {cell:?} is not told of: {}", ran.stderr);
            } else {
                assert!(!runs, "{command:?}: {cell:?}");
            }
        }
    }
}

/// Every file below a folder but the database's own.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                waiting.push(path.clone());
            }
            if path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with("db.sqlite")) {
                found.insert(path);
            }
        }
    }
    found
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn column(place: &Place, sql: &str) -> Vec<String> {
    let database = place.database();
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get::<_, Option<String>>(0)).unwrap();
    rows.filter_map(Result::unwrap).collect()
}

/// Every command that answers, with each thing that it can be asked about: at most `most` of each.
fn commands(place: &Place, most: usize) -> Vec<Vec<String>> {
    let mut commands: Vec<Vec<String>> = [
        "summary --since all",
        "summary --since all --explain",
        "summary --since all --by domain",
        "source 0.0.0.0/0",
        "source ::/0",
        "summary --since all --by reporter",
        "summary --since all --by day",
        "summary --since all --verified-only",
        "reports --since all",
        "reports --since all --warnings",
        "records --since all",
        "complaints --since all",
        "complaints --pending",
        "complaints --unresolved",
        "complaints --not-ours",
        "complaints --since all --rates=source",
        "complaints --since all --rates=dkim",
        "bounces --since all",
        "bounces --since all --policy",
        "trust list",
        "trust review",
        "label list",
        "watch-for --since all --pass-rate-below 100",
        "messages",
        "problems",
        "problems --all",
        "reporter",
        "tls --since all",
        "suppress list",
        "suppress list --include-pending",
        "doctor --full",
    ]
    .map(words)
    .to_vec();
    let mut ask = |command: &str, values: Vec<String>| {
        // A value that begins with `-` is none of our options, and NUL is in no argument.
        for value in values.into_iter().filter(|value| !value.contains('\0')).take(most) {
            let mut words = words(command);
            words.extend(["--".to_owned(), value]);
            commands.push(words);
        }
    };
    ask("problems show", column(place, "SELECT CAST(id AS TEXT) FROM problem"));
    ask("reporter", column(place, "SELECT DISTINCT org_name FROM v_report ORDER BY length(org_name)"));
    ask("source", column(place, "SELECT ip FROM address"));
    ask("source", column(place, "SELECT DISTINCT domain FROM v_report WHERE domain LIKE '%.%'"));
    ask("domain --since all", column(place, "SELECT DISTINCT domain FROM v_report WHERE domain LIKE '%.%'"));
    ask("suppress why", column(place, "SELECT DISTINCT address FROM complaint_recipient WHERE address NOT LIKE '%[%'"));
    commands
}

fn ask(place: &Place, command: &[String], more: &[&str]) -> Ran {
    // Options stand before `--`.
    let at = command.iter().position(|word| word == "--").unwrap_or(command.len());
    let mut arguments = vec!["--config", "config.toml"];
    arguments.extend(command[..at].iter().map(String::as_str));
    arguments.extend(more);
    arguments.extend(command[at..].iter().map(String::as_str));
    place.run(&arguments)
}

fn check(place: &Place, most: usize) {
    fs::create_dir(place.path("tmp")).unwrap();
    let before = files(place.dir.path());
    for more in [&[][..], &["-v"], &["--format", "json"]] {
        let command = words("ingest in");
        check_text(&command, &ask(place, &command, more));
    }
    let commands = commands(place, most);
    for command in &commands {
        for format in ["table", "json", "ndjson", "csv"] {
            let ran = ask(place, command, &["--format", format]);
            check_text(command, &ran);
            if format == "csv" {
                check_csv(command, &ran);
            }
        }
    }
    for line in ["suppress export", "suppress export --include-pending"] {
        for format in ["csv", "ndjson", "plain"] {
            if format == "plain" && line.ends_with("pending") {
                continue;
            }
            let (command, more) = (words(line), ["--format", format]);
            let ran = ask(place, &command, &more);
            check_text(&command, &ran);
            if format == "csv" {
                check_csv(&command, &ran);
            }
        }
    }
    for line in ["digest --since all", "digest --since all --format html", "metrics --since all"] {
        let command = words(line);
        let ran = ask(place, &command, &[]);
        check_text(&command, &ran);
        assert!(!line.ends_with("html") || (!ran.stdout.contains("<script") && !ran.stdout.contains("<img")), "{line}");
    }
    for line in ["config check", "config path", "man", "help", "problems retry", "prune --keep 100y --dry-run"] {
        let command = words(line);
        check_text(&command, &ask(place, &command, &[]));
    }
    let written: Vec<_> = files(place.dir.path()).difference(&before).cloned().collect();
    assert_eq!(written, Vec::<PathBuf>::new(), "written outside of the database");
}

fn place(samples: &[PathBuf]) -> Place {
    let place = Place::new();
    place.write("config.toml", CONFIG);
    for path in samples {
        let name = path.file_name().unwrap().to_str().unwrap();
        let bytes = fs::read(path).unwrap();
        place.write(&format!("in/{name}"), &bytes);
        // The same complaint through a feedback loop, which then does suppress.
        if name.starts_with('f') {
            place.write(&format!("in/trusted-{name}"), [TRUSTED.as_bytes(), &bytes].concat());
        }
    }
    // A name that tries to write a line of its own.
    place.write("in/\u{1b}]0;x\u{7}\n\u{202e}dmarcdb: all is well.xml", "<feedback>");
    place
}

fn in_folder(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    paths.sort();
    paths
}

#[test]
fn nothing_that_acts_comes_out() {
    let samples = in_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/hostile/strangers"));
    assert!(samples.len() > 40);
    let place = place(&samples);
    check(&place, 12);
    // There must have been something to come out.
    let hostile = |sql: &str| column(&place, sql).iter().any(|text| text.contains(acts));
    assert!(hostile("SELECT value FROM text"), "no hostile text was kept");
    assert!(hostile("SELECT origin FROM message"), "no hostile name was kept");
    let formulas = column(&place, "SELECT value FROM text WHERE value LIKE '=%' OR value LIKE '+%' OR value LIKE '@%'");
    assert!(!formulas.is_empty(), "no formula was kept");
}

/// The whole hostile collection, where it is at hand.
#[test]
fn nothing_that_acts_comes_out_of_the_whole_collection() {
    let folder = std::env::var_os("DMARCDB_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"), PathBuf::from);
    let mut samples = in_folder(&folder.join("hostile/mail"));
    samples.extend(in_folder(&folder.join("hostile/raw")));
    // Big for reasons that are no text.
    samples.retain(|path| fs::metadata(path).unwrap().len() < 64 << 10);
    if !samples.is_empty() {
        check(&place(&samples), 4);
    }
}

#[test]
fn what_is_wrong_with_arguments_is_told_harmlessly() {
    let place = Place::new();
    for arguments in [
        &["summary", "--domain", "\u{1b}]52;c;aGk=\u{7}\u{202e}x"][..],
        &["\u{1b}[2J"],
        &["source", "\u{9b}2J"],
        &["suppress", "add", "a\u{200b}b@isp.example", "--reason", "x"],
        &["--config", "\u{1b}[31m", "ingest", "x"],
        &["ingest", "no\u{1b}[2J\nfile"],
        &["man", "--out", "/dev/null/\u{1b}x"],
    ] {
        let ran = place.run(arguments);
        assert_ne!(ran.status, Some(0), "{arguments:?}");
        assert!(!ran.stderr.is_empty() && !ran.stderr.contains(acts), "{arguments:?}: {:?}", ran.stderr);
    }
}

/// An address cannot be made harmless without becoming another one, so it is left out of what a spreadsheet may open, and
/// whoever asked is told.
#[test]
fn a_formula_for_an_address_is_not_in_csv_unless_asked_for_and_told() {
    let place = Place::new();
    place.run(&["-q", "ingest", "-"]).expect(0);
    place.run(&["-q", "suppress", "add", "--reason", "=1+1", "=cmd|calc!a1@isp.example"]).expect(0);
    let csv = place.run(&["suppress", "export", "--format", "csv"]).expect(65);
    assert!(!csv.stdout.contains("=cmd"), "{}", csv.stdout);
    assert!(csv.stderr.contains("=cmd|calc!a1@isp.example: a spreadsheet would run it"), "{}", csv.stderr);
    let csv = place.run(&["suppress", "export", "--format", "csv", "--allow-formulas"]).expect(0);
    assert!(csv.stdout.contains("\n=cmd|calc!a1@isp.example,'=1+1,"), "{}", csv.stdout);
    let plain = place.run(&["suppress", "export", "--format", "plain"]).expect(0);
    assert_eq!(plain.stdout, "=cmd|calc!a1@isp.example\n");
    assert_eq!(plain.stderr, "");
}

#[cfg(target_os = "linux")]
#[test]
fn no_core_file_and_nothing_for_others() {
    use std::process::Stdio;
    let place = Place::new();
    let mut child = place.command(&["-q", "ingest", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    let of = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", child.id())).unwrap_or_default();
    let limits = || of("limits").lines().find(|line| line.starts_with("Max core file size")).map(str::to_owned);
    for _ in 0..500 {
        if place.path("db.sqlite.lock").exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let (limits, status) = (limits().unwrap(), of("status"));
    drop(child.stdin.take());
    child.wait().unwrap();
    assert_eq!(limits.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{limits}");
    let umask = status.lines().find(|line| line.starts_with("Umask")).unwrap().to_owned();
    assert_eq!(umask.split_whitespace().last(), Some("0077"));
}
