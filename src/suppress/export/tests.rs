//! What holds for every format, and what the writer does with rows.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use proptest::prelude::*;

use super::*;

/// Files in memory, and a target that remembers.
#[derive(Default)]
struct Memory {
    files: BTreeMap<Place, Vec<u8>>,
    refused: Vec<(String, Refused)>,
    /// What the target has, ordered as `previous` hands it out.
    has: BTreeMap<(String, String, String, String), Vec<u8>>,
    at: usize,
    changes: Vec<(Change, Entry)>,
}

impl Desk for Memory {
    type Error = io::Error;

    fn write(&mut self, place: Place, bytes: &[u8]) -> io::Result<()> {
        self.files.entry(place).or_default().extend_from_slice(bytes);
        Ok(())
    }

    fn previous(&mut self) -> io::Result<Option<Entry>> {
        let next = self.has.iter().nth(self.at).map(|((folded, list, address, scope), digest)| Entry {
            folded: folded.clone(),
            list: list.clone(),
            address: address.clone(),
            scope: scope.clone(),
            digest: digest.clone(),
        });
        self.at += 1;
        Ok(next)
    }

    fn changed(&mut self, change: Change, entry: &Entry) -> io::Result<()> {
        self.changes.push((change, entry.clone()));
        Ok(())
    }

    fn refused(&mut self, address: &str, why: Refused) {
        self.refused.push((address.to_owned(), why));
    }
}

impl Memory {
    fn text(&self) -> String {
        self.files.values().map(|bytes| String::from_utf8_lossy(bytes)).collect()
    }

    /// One more export to the same target.
    fn again(&mut self, format: &'static Format, rows: &[Row]) -> Written {
        self.files.clear();
        self.at = 0;
        let options = Options { changes_only: true, formulas: true };
        let written = export_to(self, format, rows, options);
        for (change, entry) in std::mem::take(&mut self.changes) {
            let key = (entry.folded, entry.list, entry.address, entry.scope);
            match change {
                Change::Written => self.has.insert(key, entry.digest),
                Change::Removed => self.has.remove(&key),
            };
        }
        written
    }
}

fn export_to(memory: &mut Memory, format: &'static Format, rows: &[Row], options: Options) -> Written {
    let mut rows = rows.to_vec();
    rows.sort_by(|a, b| (&a.folded, &a.scope).cmp(&(&b.folded, &b.scope)));
    let mut export = Export::new(format, options, memory);
    for row in rows {
        export.row(row).expect("memory takes everything");
    }
    export.finish().expect("memory takes everything")
}

fn export(name: &str, rows: &[Row]) -> (Memory, Written) {
    let mut memory = Memory::default();
    let written = export_to(&mut memory, format(name).expect(name), rows, Options::default());
    (memory, written)
}

fn row(address: &str, scope: &str, kind: &str) -> Row {
    Row {
        folded: crate::report::address::folded(address),
        address: address.to_owned(),
        kind: kind.to_owned(),
        reason: "abuse".to_owned(),
        scope: scope.to_owned(),
        since_at: Some(1_755_684_000),
        until_at: None,
        evidence: "complaint 1".to_owned(),
        state: State::Active,
    }
}

#[test]
fn formulas() {
    let check = |text: &str, expected: bool| assert_eq!(runs_in_spreadsheets(text), expected, "{text:?}");
    check("=1+1", true);
    check(" +1", true);
    check("-1", true);
    check("@sum", true);
    check("＝1", true);
    check("\tx", true);
    check("user@isp.example", false);
    check("", false);
}

#[test]
fn every_name_is_one_format() {
    let names: BTreeSet<&str> = FORMATS.iter().map(|format| format.name).collect();
    assert_eq!(names.len(), FORMATS.len());
    for format in FORMATS {
        assert!(
            !format.lists.is_empty()
                && format.lists.iter().map(|list| list.name).collect::<BTreeSet<_>>().len() == format.lists.len()
        );
    }
}

#[test]
fn what_is_no_address_is_refused_by_every_format() {
    let bad =
        ["user@isp.example\nceo@isp.example", "user", "", "a b@isp.example", "user@[192.0.2.1]", "x@y@isp.example"];
    for format in FORMATS {
        for address in bad {
            let (memory, written) = export(format.name, &[row(address, "", "complaint")]);
            assert_eq!((written.entries, written.refused), (0, 1), "{} {address:?}", format.name);
            assert_eq!(memory.refused.len(), 1);
            assert!(!memory.text().contains("isp.example"), "{} {address:?}", format.name);
        }
    }
}

#[test]
fn a_spreadsheet_gets_no_formula_unless_asked_for() {
    let rows = [
        row("=cmd|calc!a1@isp.example", "example.com", "complaint"),
        row("user@isp.example", "example.com", "complaint"),
    ];
    for format in FORMATS {
        let (memory, written) = export(format.name, &rows);
        assert_eq!(written.refused, u64::from(format.sheet), "{}", format.name);
        assert!(!format.sheet || !memory.text().contains("=cmd"), "{}", format.name);
        let mut memory = Memory::default();
        let written = export_to(&mut memory, format, &rows, Options { formulas: true, changes_only: false });
        assert_eq!((written.entries, written.refused), (2, 0), "{}", format.name);
    }
    let mut hostile = row("user@isp.example", "example.com", "add");
    hostile.reason = "=HYPERLINK(\"x\")\u{202e}\n".to_owned();
    let (memory, _) = export("csv", &[hostile]);
    assert!(memory.text().contains(",\"'=HYPERLINK(\"\"x\"\")\\u{202e}\\u{a}\","), "{}", memory.text());
}

#[test]
fn limits_of_targets() {
    let check = |name: &str, address: &str, expected: Refused| {
        let (memory, _) = export(name, &[row(address, "", "complaint")]);
        assert_eq!(memory.refused, [(address.to_owned(), expected)], "{name}");
    };
    check("ses-csv", "jörg@isp.example", Refused::NotAscii);
    check("ses-ndjson", "jörg@isp.example", Refused::NotAscii);
    check("ses-csv", "\"a,b\"@isp.example", Refused::Character('"'));
    check("postfix", "\"a b\"@isp.example", Refused::Quoted);
    check("postfix", "#user@isp.example", Refused::Character('#'));
    check("exim", "\"a b\"@isp.example", Refused::Quoted);
    check("brevo", "\"a;b\"@isp.example", Refused::Character('"'));
}

#[test]
fn an_address_is_one_entry_with_what_weighs_most() {
    let rows = [
        row("User@isp.example", "a.example", "hard_bounce"),
        row("User@isp.example", "b.example", "complaint"),
        row("user@isp.example", "c.example", "add"),
    ];
    let (memory, written) = export("ses-csv", &rows);
    assert_eq!(memory.text(), "User@isp.example,COMPLAINT\nuser@isp.example,COMPLAINT\n");
    assert_eq!(written.entries, 2);
    let (memory, written) = export("postfix", &rows);
    assert_eq!(memory.text().lines().count(), 1);
    assert_eq!(written.entries, 1);
    let (_, written) = export("csv", &rows);
    assert_eq!(written.entries, 3);
    let (memory, written) = export("mailgun", &rows);
    assert_eq!(written.entries, 3);
    let lines: Vec<usize> = memory.files.values().map(|file| String::from_utf8_lossy(file).lines().count()).collect();
    assert_eq!(lines, [2, 2, 2], "a complaint, a bounce and an unsubscribe, below a head each");
}

#[test]
fn files_are_as_large_as_the_target_takes() {
    let rows: Vec<Row> = (0..200_001).map(|n| row(&format!("u{n:06}@isp.example"), "", "complaint")).collect();
    let (memory, written) = export("ses-ndjson", &rows);
    let lines: Vec<usize> = memory.files.values().map(|file| file.iter().filter(|b| **b == b'\n').count()).collect();
    assert_eq!(lines, [100_000, 100_000, 1]);
    assert_eq!((written.entries, written.places.len()), (200_001, 3));
    let (memory, _) = export("postmark", &rows[..101]);
    let text = memory.text();
    let bodies: Vec<usize> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).expect("JSON")["Suppressions"]
                .as_array()
                .expect("an array")
                .len()
        })
        .collect();
    assert_eq!(bodies, [50, 50, 1]);
    let long: Vec<Row> = (0..40_000)
        .map(|n| {
            row(
                &format!("{n:06}{}@{}.example", "a".repeat(58), "b".repeat(60).as_str().to_owned() + ".isp"),
                "",
                "complaint",
            )
        })
        .chain(
            (0..40_000).map(|n| row(&format!("{n:06}{}@{}.example", "c".repeat(58), "d".repeat(60)), "", "complaint")),
        )
        .collect();
    let (memory, written) = export("brevo", &long);
    assert_eq!(written.entries, 80_000);
    assert!(memory.files.len() > 1 && memory.files.values().all(|file| file.len() <= 8_000_000));
    assert!(memory.files.values().all(|file| file.starts_with(b"EMAIL\n")));
}

#[test]
fn a_target_that_is_full_takes_no_more() {
    let rows: Vec<Row> = (0..500_002).map(|n| row(&format!("u{n:06}@isp.example"), "", "complaint")).collect();
    let (memory, written) = export("sparkpost", &rows);
    assert_eq!((written.entries, written.refused), (500_000, 2));
    assert_eq!(memory.refused[0].1, Refused::Full(500_000));
}

#[test]
fn an_empty_list_is_a_file_all_the_same() {
    for format in FORMATS {
        let (memory, written) = export(format.name, &[]);
        assert_eq!((written.entries, written.places.len()), (0, format.lists.len()));
        let heads: Vec<&str> = format.lists.iter().map(|list| list.head).collect();
        assert_eq!(
            memory.files.values().map(|file| String::from_utf8_lossy(file).into_owned()).collect::<Vec<_>>(),
            heads
        );
    }
}

#[test]
fn only_what_changed_is_written() {
    for format in FORMATS.into_iter().filter(|format| !matches!(format.removal, Removal::Whole(_))) {
        let name = format.name;
        let mut target = Memory::default();
        let (a, b, c) = (
            row("a@isp.example", "x.example", "complaint"),
            row("b@isp.example", "x.example", "complaint"),
            row("c@isp.example", "x.example", "complaint"),
        );
        let written = target.again(format, &[b.clone(), a.clone()]);
        assert_eq!((written.entries, written.written, written.removed), (2, 2, 0), "{name}");
        let written = target.again(format, &[a.clone(), b.clone()]);
        assert_eq!((written.entries, written.written, written.removed), (2, 0, 0), "{name}: nothing changed");
        let written = target.again(format, &[c.clone(), a.clone()]);
        assert_eq!((written.entries, written.written, written.removed), (2, 1, 1), "{name}: b is gone, c is new");
        let text = target.text();
        if !name.starts_with("md5") && !name.starts_with("sha") {
            assert!(!text.contains("a@isp.example") && text.contains("c@isp.example"), "{name}: {text}");
            assert_eq!(
                text.contains("b@isp.example"),
                !matches!(format.removal, Removal::Nothing(_)),
                "{name}: {text}"
            );
        }
        let written = target.again(format, &[]);
        assert_eq!((written.entries, written.removed), (0, 2), "{name}");
        assert!(target.has.is_empty());
    }
}

#[test]
fn a_changed_entry_is_written_again() {
    let mut target = Memory::default();
    let ses = format("ses-csv").expect("ses-csv");
    target.again(ses, &[row("a@isp.example", "", "hard_bounce")]);
    let written = target.again(ses, &[row("a@isp.example", "", "complaint")]);
    assert_eq!((written.written, written.removed), (1, 0));
    assert_eq!(target.text(), "a@isp.example,COMPLAINT\n");
}

#[test]
fn an_address_that_stays_suppressed_for_another_domain_is_not_removed() {
    let mut target = Memory::default();
    let plain = format("plain").expect("plain");
    target.again(
        plain,
        &[row("a@isp.example", "x.example", "complaint"), row("a@isp.example", "y.example", "complaint")],
    );
    let written = target.again(plain, &[row("a@isp.example", "y.example", "complaint")]);
    assert_eq!((written.entries, written.written, written.removed), (1, 0, 0));
}

#[test]
fn rows_out_of_order_are_refused() {
    let mut memory = Memory::default();
    let mut export = Export::new(format("plain").expect("plain"), Options::default(), &mut memory);
    export.row(row("b@isp.example", "", "add")).expect("the first");
    assert!(export.row(row("a@isp.example", "", "add")).is_err());
}

// ---------------------------------------------------------------- what holds for any address

/// The addresses that a reader of the format finds.
fn read(format: &Format, text: &str) -> BTreeSet<String> {
    let cells = |delimiter: u8, column: usize, head: bool| {
        let mut reader = ::csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(head)
            .flexible(true)
            .from_reader(text.as_bytes());
        reader.records().map(|record| record.expect("well-formed")[column].to_owned()).collect::<BTreeSet<_>>()
    };
    let objects =
        || text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")).collect::<Vec<_>>();
    let strings = |key: &str| objects().iter().map(|object| object[key].as_str().expect(key).to_owned()).collect();
    let nested = |list: &str, key: Option<&str>| {
        let mut found = BTreeSet::new();
        for object in objects() {
            for element in object[list].as_array().expect(list) {
                let address = key.map_or(element, |key| &element[key]);
                found.insert(address.as_str().expect("an address").to_owned());
            }
        }
        found
    };
    match format.name {
        "csv" | "mautic" | "mailgun" => cells(b',', 0, true),
        "listmonk-csv" => cells(b',', 0, true),
        "ses-csv" => cells(b',', 0, false),
        "brevo" => cells(b';', 0, true),
        "ndjson" => strings("address"),
        "ses-ndjson" => strings("emailAddress"),
        "listmonk" => strings("email"),
        "sendgrid" => nested("recipient_emails", None),
        "postmark" => nested("Suppressions", Some("EmailAddress")),
        "sparkpost" => nested("recipients", Some("recipient")),
        "plain" | "mandrill" => text.lines().map(str::to_owned).collect(),
        "mailman" => text.lines().map(|line| line.trim_matches(['<', '>']).to_owned()).collect(),
        "postfix" => text.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect(),
        "exim" => {
            text.lines().map(|line| line.split(": ").next().unwrap_or_default().trim_matches('"').to_owned()).collect()
        }
        "md5" | "sha256" => text.lines().map(str::to_owned).collect(),
        name => panic!("no reader for {name}"),
    }
}

/// What a reader should find for an address.
fn expected(format: &Format, row: &Row) -> String {
    if matches!(format.name, "md5" | "sha256") {
        let mut out = Vec::new();
        let row = Row { address: row.address.to_lowercase(), ..row.clone() };
        (format.lists[0].write)(&row, &mut out).expect("a digest");
        return String::from_utf8_lossy(&out).trim().to_owned();
    }
    if format.same == Same::Folded { row.address.to_lowercase() } else { row.address.clone() }
}

/// Mail addresses of every kind that is allowed: atoms with their odd characters, quoted, beyond ASCII.
fn address() -> impl Strategy<Value = String> {
    let local = prop_oneof![
        4 => "[a-zA-Z0-9+_.-]{1,12}",
        2 => "[!#$%&'*+/=?^_`{|}~a-zA-Z0-9-]{1,10}",
        1 => "[ a-z,;:@<>#()\\[\\]]{1,8}".prop_map(|text| format!("\"{text}\"")),
        1 => "[äöüßéñ日本a-z]{1,8}",
        // Letters typed apart from their accents, which are written as they are.
        1 => "[a-z]{1,3}\u{301}[a-zA-Z\u{c9}]{0,3}",
    ];
    let domain = prop_oneof![3 => "[a-z]{1,6}\\.example", 1 => Just("xn--bcher-kva.example".to_owned())];
    (local, domain)
        .prop_map(|(local, domain)| format!("{local}@{domain}"))
        .prop_filter("an address", |text| Address::parse(text).is_ok())
}

fn some_rows() -> impl Strategy<Value = Vec<Row>> {
    let kind = prop_oneof![Just("complaint"), Just("unsubscribe"), Just("add"), Just("hard_bounce")];
    let one = (address(), prop_oneof![Just(""), Just("a.example"), Just("b.example")], kind)
        .prop_map(|(address, scope, kind)| row(&address, scope, kind));
    proptest::collection::vec(one, 0..12).prop_map(|rows| {
        // One row for an address and From domain, as the database has it.
        let mut seen = BTreeSet::new();
        rows.into_iter().filter(|row| seen.insert((row.folded.clone(), row.scope.clone()))).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every address comes back out of every format exactly, or is refused by name; nothing else does.
    #[test]
    fn every_format_gives_the_addresses_back(rows in some_rows()) {
        for format in FORMATS {
            let (memory, written) = export(format.name, &rows);
            let refused: BTreeSet<String> = memory.refused.iter().map(|(address, _)| address.clone()).collect();
            let mut found = BTreeSet::new();
            for (place, bytes) in &memory.files {
                prop_assert!(!place.removal);
                found.extend(read(format, std::str::from_utf8(bytes).expect("text")));
            }
            let folds = format.same == Same::Folded;
            let spelled = |row: &Row| if folds { row.address.to_lowercase() } else { row.address.clone() };
            let refused = |row: &Row| refused.contains(&spelled(row));
            let expected: BTreeSet<String> =
                rows.iter().filter(|row| !refused(row)).map(|row| expected(format, row)).collect();
            prop_assert_eq!(&found, &expected, "{}", format.name);
            prop_assert!(written.entries >= found.len() as u64);
        }
    }

    /// The same rows in any order are the same bytes.
    #[test]
    fn order_does_not_matter(rows in some_rows().prop_shuffle()) {
        let mut sorted = rows.clone();
        sorted.sort_by(|a, b| (&a.address, &a.scope).cmp(&(&b.address, &b.scope)));
        for format in FORMATS {
            prop_assert_eq!(export(format.name, &rows).0.files, export(format.name, &sorted).0.files);
        }
    }

    /// Whatever was exported before: a target that took every change has what a whole export has.
    #[test]
    fn changes_add_up_to_the_whole(before in some_rows(), after in some_rows()) {
        for format in FORMATS.into_iter().filter(|format| !matches!(format.removal, Removal::Whole(_))) {
            let (mut grown, mut fresh) = (Memory::default(), Memory::default());
            grown.again(format, &before);
            let written = grown.again(format, &after);
            let whole = fresh.again(format, &after);
            prop_assert_eq!(&grown.has, &fresh.has, "{}", format.name);
            prop_assert_eq!(written.entries, whole.entries);
            let gone: BTreeSet<String> = grown.files.iter().filter(|(place, _)| place.removal)
                .flat_map(|(_, bytes)| String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect::<Vec<_>>()).collect();
            prop_assert!(gone.len() as u64 <= written.removed);
        }
    }
}
