//! A fortnight of a made-up company, asked about in every way: word for word against what stands under `expected/`, and figure by
//! figure against plain SQL. On a mismatch what was got is written beside the expected file as `NAME.tmp`.

mod company;
mod digest;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::Value;

use crate::support::run::{Place, Ran};
use company::{BEGIN, DAY, END};

const WINDOW: [&str; 4] = ["--since", "2026-11-01", "--until", "2026-11-15"];

/// The company's reports and complaints, ingested, with the names that DNS would give.
fn fortnight() -> Place {
    let place = Place::new();
    for (name, text) in company::reports().into_iter().chain(company::complaints()) {
        place.write(&format!("in/{name}"), text);
    }
    place.run(&["-q", "ingest", "in"]).expect(0);
    Connection::open(place.path("db.sqlite")).unwrap().execute_batch(company::NAMES).unwrap();
    place
}

fn ask(place: &Place, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let mut command = place.command(arguments);
    command.envs(variables.iter().copied());
    Ran::from(command.output().unwrap())
}

fn json(place: &Place, arguments: &[&str]) -> Value {
    let mut all = arguments.to_vec();
    all.extend(WINDOW);
    all.extend(["--format", "json"]);
    place.run(&all).expect(0).json()
}

fn sql<T: rusqlite::types::FromSql>(place: &Place, query: &str) -> T {
    place.database().query_row(query, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{query}: {error}"))
}

/// Records of the fortnight, in the words of the contract.
fn window() -> String {
    format!("FROM v_record WHERE end_at >= {BEGIN} AND end_at < {END}")
}

fn expected_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fortnight/expected").join(name)
}

/// Compares with what is expected; the names of those that differ.
fn compare(name: &str, found: &str, wrong: &mut Vec<String>) {
    let file = expected_file(name);
    if fs::read_to_string(&file).unwrap_or_default() != found {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(expected_file(&format!("{name}.tmp")), found).unwrap();
        wrong.push(name.to_owned());
    }
}

#[test]
fn the_fortnight_word_for_word() {
    let place = fortnight();
    let mut wrong = Vec::new();
    let mut all = |name: &str, variables: &[(&str, &str)], command: &str, window: bool| {
        let mut arguments: Vec<&str> = command.split_whitespace().collect();
        if window {
            arguments.extend(WINDOW);
        }
        let ran = ask(&place, variables, &arguments);
        compare(name, &format!("{}{}[status {}]\n", ran.stdout, ran.stderr, ran.status.unwrap()), &mut wrong);
    };
    for width in ["80", "100", "160"] {
        all(&format!("summary-{width}.txt"), &[("COLUMNS", width)], "summary", true);
        all(&format!("summary-{width}-colour.txt"), &[("COLUMNS", width), ("CLICOLOR_FORCE", "1")], "summary", true);
    }
    all("summary-mail.txt", &[], "summary", true);
    all("summary.json", &[], "summary --format json --explain", true);
    all("summary.csv", &[], "summary --format csv", true);
    all("summary-by-day.txt", &[("COLUMNS", "100")], "summary --by day", true);
    all("summary-explain.txt", &[], "summary --explain", true);
    all("source.txt", &[], "source 192.0.2.12", true);
    all("source-network.txt", &[], "source 203.0.113.128/25", true);
    all("source-name.txt", &[], "source mailer.example --explain", true);
    all("source.json", &[], "source 203.0.113.41 --format json", true);
    all("domain.txt", &[], "domain meadow.example", true);
    all("domain-100.txt", &[("COLUMNS", "100")], "domain meadow-shop.example", true);
    all("domain.json", &[], "domain meadow-shop.example --format json", true);
    assert!(wrong.is_empty(), "other than expected, see tests/it/fortnight/expected/NAME.tmp: {wrong:?}");
}

#[test]
fn every_line_fits() {
    let place = fortnight();
    for width in ["80", "100", "160"] {
        for command in
            [&["summary"][..], &["source", "192.0.2.12"], &["domain", "meadow.example"], &["summary", "--explain"]]
        {
            let mut arguments = command.to_vec();
            arguments.extend(WINDOW);
            let text = ask(&place, &[("COLUMNS", width)], &arguments).expect(0).stdout;
            for line in text.lines() {
                assert!(line.chars().count() <= width.parse().unwrap(), "{command:?} in {width}: {line}");
            }
        }
    }
}

#[test]
fn figures_are_those_of_plain_sql() {
    let place = fortnight();
    let summary = json(&place, &["summary"]);
    let window = window();
    let of = |what: &str| sql::<i64>(&place, &format!("SELECT coalesce(sum(messages), 0) {window} {what}"));
    let totals = &summary["totals"];
    for (name, what) in [
        ("messages", ""),
        ("dmarc_pass", "AND dmarc = 'pass'"),
        ("dkim_pass", "AND dkim = 'pass'"),
        ("spf_pass", "AND spf = 'pass'"),
        ("quarantine", "AND disposition = 'quarantine'"),
        ("reject", "AND disposition = 'reject'"),
    ] {
        assert_eq!(totals[name], of(what), "{name}");
        let sum: i64 = summary["sources"].as_array().unwrap().iter().map(|row| row[name].as_i64().unwrap()).sum();
        assert_eq!(totals[name], sum, "{name} of the sources");
    }
    let arrived = format!("SELECT sum(incidents) FROM v_complaint WHERE arrived_at >= {BEGIN} AND arrived_at < {END}");
    assert_eq!(totals["complaints"], sql::<i64>(&place, &arrived));
    let mut classes: BTreeMap<String, i64> = BTreeMap::new();
    for source in summary["sources"].as_array().unwrap() {
        let ip = source["source_ip"].as_str().unwrap();
        assert_eq!(source["messages"], of(&format!("AND source_ip = '{ip}'")), "{ip}");
        assert_eq!(source["dmarc_pass"], of(&format!("AND source_ip = '{ip}' AND dmarc = 'pass'")), "{ip}");
        let class = source["class"].as_str().unwrap().to_owned();
        *classes.entry(class).or_default() += of(&format!("AND source_ip = '{ip}' AND dmarc = 'fail'"));
    }
    // What each policy domain loses by class is what its sources lose.
    for (class, fail) in classes {
        let sum: i64 =
            summary["policies"].as_array().unwrap().iter().map(|policy| policy["fail"][&class].as_i64().unwrap()).sum();
        assert_eq!(sum, fail, "{class}");
    }
    let before =
        format!("SELECT sum(messages) FROM v_record WHERE end_at >= {} AND end_at < {BEGIN}", BEGIN - 14 * DAY);
    assert_eq!(summary["previous"]["messages"], sql::<i64>(&place, &before));
}

#[test]
fn sources_have_the_class_they_were_made_for() {
    let place = fortnight();
    let summary = json(&place, &["summary"]);
    let sources = summary["sources"].as_array().unwrap();
    for (ip, class) in [
        ("192.0.2.10", "ok"),
        ("192.0.2.11", "ok"),
        ("2001:db8:10::25", "ok"),
        ("192.0.2.12", "ok"),
        ("192.0.2.99", "fix"),
        ("198.51.100.20", "fix"),
        ("198.51.100.21", "fix"),
        ("198.51.100.77", "fix"),
        ("198.51.100.50", "new"),
        ("203.0.113.40", "forwarded"),
        ("203.0.113.41", "forwarded"),
        ("203.0.113.42", "forwarded"),
        ("203.0.113.7", "threat"),
        ("203.0.113.130", "threat"),
    ] {
        let source = sources.iter().find(|source| source["source_ip"] == ip).unwrap_or_else(|| panic!("{ip}"));
        assert_eq!(source["class"], class, "{source}");
        let alone = json(&place, &["source", ip]);
        assert_eq!((&alone["class"], &alone["why"]), (&source["class"], &source["why"]), "{ip} alone");
        assert_eq!(alone["messages"], source["messages"], "{ip} alone");
    }
    assert_eq!(sources.iter().filter(|source| source["class"] == "threat").count(), 59);
    assert_eq!(summary["action"], true);
}

#[test]
fn days_add_up_although_one_reports_by_the_week() {
    let place = fortnight();
    let days = json(&place, &["summary", "--by", "day"]);
    let days = days["days"].as_array().unwrap();
    let sum = |name: &str| days.iter().map(|day| day[name].as_i64().unwrap()).sum::<i64>();
    assert_eq!(sum("messages"), sql::<i64>(&place, &format!("SELECT sum(messages) {}", window())));
    let long = "AND end_at - begin_at > 172801";
    assert_eq!(sum("spread"), sql::<i64>(&place, &format!("SELECT sum(messages) {} {long}", window())));
    assert_eq!(days.len(), 14);
    let source = json(&place, &["source", "192.0.2.10"]);
    let daily: i64 = source["days"].as_array().unwrap().iter().map(|day| day["messages"].as_i64().unwrap()).sum();
    assert_eq!(source["messages"], daily);
    assert_eq!(source["days"].as_array().unwrap().iter().map(|day| day["spread"].as_i64().unwrap()).sum::<i64>(), 200);
}

#[test]
fn a_domain_tells_what_a_stricter_policy_would_do() {
    let place = fortnight();
    let domain = json(&place, &["domain", "meadow.example"]);
    let of = |what: &str| {
        sql::<i64>(
            &place,
            &format!("SELECT coalesce(sum(messages), 0) {} AND domain = 'meadow.example' {what}", window()),
        )
    };
    assert_eq!(domain["messages"], of(""));
    let lost = domain["lost"]["own"].as_i64().unwrap() + domain["lost"]["forwarded"].as_i64().unwrap();
    let threat = domain["policy"]["fail"]["threat"].as_i64().unwrap();
    assert_eq!(lost + threat, of("AND dmarc = 'fail'"));
    assert_eq!(domain["lost"]["spared"], of("AND dmarc = 'fail' AND reasons <> '[]'"));
    let policies: Vec<&str> =
        domain["policies"].as_array().unwrap().iter().map(|row| row["p"].as_str().unwrap()).collect();
    assert_eq!(policies, ["none", "quarantine"]);
    let selectors: Vec<&str> =
        domain["selectors"].as_array().unwrap().iter().map(|row| row["selector"].as_str().unwrap()).collect();
    assert_eq!(selectors, ["s2026", "shop"]);
    let steps: Vec<&str> = domain["steps"].as_array().unwrap().iter().map(|step| step.as_str().unwrap()).collect();
    assert!(steps.iter().any(|step| step.contains("mailer.example")), "{steps:?}");
}
