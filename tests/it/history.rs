//! Whatever comes in whatever order: the list is the same, holds nobody whom no message named, and not who was lifted.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use dmarcdb::query::{Database, Error, suppression};
use dmarcdb::reading::{self, Settings};
use dmarcdb::report::address::Address;
use dmarcdb::source::{Origin, Reserved};
use dmarcdb::store::suppressions::{self, Word};
use dmarcdb::store::{Arrival, Content, Message, Ours, Store};
use dmarcdb::suppress::trust::Reach;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

const NOW: i64 = 1_786_300_000;
const PEOPLE: [&str; 4] = ["Ann@people.example", "bob@people.example", "\"c d\"@people.example", "eve@example.com"];

/// A message that may come.
#[derive(Clone, Debug)]
enum Mail {
    /// Who complains, whether the own server found it genuine, of which kind, and about whose mail.
    Complaint { person: usize, genuine: bool, kind: &'static str, from: &'static str, number: usize },
    /// Whose mail bounced, how, whether the own server wrote it, and when.
    Bounce { person: usize, code: &'static str, genuine: bool, day: u32 },
    /// An aggregate report about this domain, which makes it ours.
    Report { domain: &'static str, passes: bool },
}

fn mails() -> impl Strategy<Value = Vec<Mail>> {
    let kind = prop_oneof![4 => Just("abuse"), 1 => Just("opt-out"), 1 => Just("not-spam"), 1 => Just("fraud"), 1 => Just("fax")];
    let from = prop_oneof![3 => Just("example.com"), 1 => Just("example.org"), 1 => Just("stranger.example")];
    let code = prop_oneof![2 => Just("5.1.1"), 3 => Just("4.2.2"), 1 => Just("5.7.1"), 1 => Just("2.0.0")];
    let one = prop_oneof![
        4 => (0..4usize, any::<bool>(), kind, from, 0..3usize).prop_map(|(person, genuine, kind, from, number)| {
            Mail::Complaint { person, genuine, kind, from, number }
        }),
        4 => (0..4usize, code, prop::bool::weighted(0.8), 1..9u32)
            .prop_map(|(person, code, genuine, day)| Mail::Bounce { person, code, genuine, day }),
        1 => (prop_oneof![Just("example.org"), Just("people.example")], any::<bool>())
            .prop_map(|(domain, passes)| Mail::Report { domain, passes }),
    ];
    proptest::collection::vec(one, 1..18)
}

impl Mail {
    fn bytes(&self) -> Vec<u8> {
        let text = match self {
            Mail::Complaint { person, genuine, kind, from, number } => {
                let result = if *genuine { "dkim=pass header.d=arf.mail.yahoo.com" } else { "dkim=none" };
                let person = PEOPLE[*person];
                format!(
                    "Authentication-Results: mx.example.com; {result}\nFrom: feedback@arf.mail.yahoo.com\nTo: fbl@example.com\n\
                     Date: Wed, 05 Aug 2026 1{number}:00:00 +0000\nMIME-Version: 1.0\n\
                     Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\nContent-Type: text/plain\n\n\
                     x\n--b\nContent-Type: message/feedback-report\n\nFeedback-Type: {kind}\nUser-Agent: x/1\nVersion: 1\n\
                     Original-Rcpt-To: <{person}>\nSource-IP: 192.0.2.1\nArrival-Date: Wed, 05 Aug 2026 1{number}:00:00 +0000\n\n\
                     --b\nContent-Type: message/rfc822\n\nFrom: news@{from}\nMessage-ID: <{number}@{from}>\nList-Id: <list{number}.{from}>\n\nx\n--b--\n"
                )
            }
            Mail::Bounce { person, code, genuine, day } => {
                let trace =
                    if *genuine { "by mx.example.com (Postfix)" } else { "from a.example by mx.example.com (Postfix)" };
                let action = match &code[..1] {
                    "2" => "delivered",
                    _ => "failed",
                };
                format!(
                    "Received: {trace}\n\tid 1; Wed, 0{day} Aug 2026 13:00:00 +0000\nFrom: mailer-daemon@mx.example.com\n\
                     Date: Wed, 0{day} Aug 2026 13:00:00 +0000\nMIME-Version: 1.0\n\
                     Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\nContent-Type: text/plain\n\nx\n\
                     --b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.com\n\n\
                     Final-Recipient: rfc822; {}\nAction: {action}\nStatus: {code}\n\n--b\nContent-Type: text/rfc822-headers\n\n\
                     From: news@example.com\nMessage-ID: <b{day}@example.com>\n\n--b--\n",
                    PEOPLE[*person]
                )
            }
            Mail::Report { domain, passes } => {
                let result = if *passes { "pass" } else { "fail" };
                format!(
                    "<feedback><report_metadata><org_name>r.example</org_name><email>d@r.example</email>\
                     <report_id>{domain}-{result}</report_id><date_range><begin>1785801600</begin><end>1785887999</end></date_range>\
                     </report_metadata><policy_published><domain>{domain}</domain><p>none</p></policy_published>\
                     <record><row><source_ip>192.0.2.1</source_ip><count>7</count><policy_evaluated><disposition>none</disposition>\
                     <dkim>{result}</dkim><spf>{result}</spf></policy_evaluated></row><identifiers>\
                     <header_from>{domain}</header_from></identifiers><auth_results/></record></feedback>"
                )
            }
        };
        text.replace('\n', "\r\n").into_bytes()
    }
}

/// A database with these messages, kept in this order, some in one batch.
fn keep(path: &Path, mails: &[Mail], own_domains: &[&str], reach: Reach) -> Store {
    let settings = Settings { authserv_id: Some("mx.example.com".to_owned()), ..Settings::default() };
    let own_domains = own_domains.iter().map(|&name| name.to_owned()).collect();
    let ours = Ours { own_domains, reach, ..Ours::default() };
    let mut store = Store::open(path).unwrap();
    for batch in mails.chunks(3) {
        store.begin().unwrap();
        for mail in batch {
            let bytes = mail.bytes();
            let sha256: [u8; 32] = Sha256::digest(&bytes).into();
            let reading = reading::read(&bytes, None, &settings);
            assert!(reading.problems.is_empty(), "{:?}\n{}", reading.problems, String::from_utf8_lossy(&bytes));
            let origin = Origin::Stdin { index: None };
            let reserved = Reserved::default();
            let arrival = Arrival { origin, received_at: None, seen_at: NOW, settles: false, reserved };
            let content = Content::Read { bytes, sha256, name: None, reading: Box::new(reading) };
            store.keep(Message { arrival, content }, &settings, &ours).unwrap();
        }
        store.commit().unwrap();
        store.judge_again(&ours).unwrap();
    }
    store
}

/// The whole list, with what waits, but without the numbers of rows, which tell what came first.
fn list(path: &Path) -> Vec<String> {
    let mut found = Vec::new();
    suppression::current(&Database::open(path).unwrap(), None, NOW, true, |row| {
        let folded = row.folded;
        // Of the same address in two spellings any may be told.
        found.push(format!(
            "{folded} {} {} {:?} {:?} {}",
            row.scope, row.reason, row.since_at, row.until_at, row.pending
        ));
        Ok::<_, Error>(())
    })
    .unwrap();
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn the_order_of_mail_makes_no_difference(
        (mails, shuffled) in mails().prop_flat_map(|mails| (Just(mails.clone()), Just(mails).prop_shuffle())),
        configured in any::<bool>(),
        reach in prop_oneof![Just(Reach::Domain), Just(Reach::Stream)],
    ) {
        let own: &[&str] = if configured { &["example.com"] } else { &[] };
        let directory = tempfile::tempdir().unwrap();
        let (one, other) = (directory.path().join("one"), directory.path().join("other"));
        drop(keep(&one, &mails, own, reach));
        drop(keep(&other, &shuffled, own, reach));
        prop_assert_eq!(list(&one), list(&other));
    }

    #[test]
    fn nobody_is_listed_whom_no_message_named(mails in mails()) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        drop(keep(&path, &mails, &["example.com"], Reach::Domain));
        let (may, waits) = (named(&mails, true), named(&mails, false));
        suppression::current(&Database::open(&path).unwrap(), None, NOW, true, |row| {
            assert!(PEOPLE.contains(&row.address.as_str()), "not as it was spelled: {row:?}");
            assert!(if row.pending { &waits } else { &may }.contains(&row.folded), "{row:?}");
            Ok::<_, Error>(())
        })
        .unwrap();
        for address in exported(&path) {
            prop_assert!(may.contains(&address.to_lowercase()) && PEOPLE.contains(&address.as_str()), "{}", address);
        }
    }

    #[test]
    fn who_complained_for_sure_is_listed(mails in mails()) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        // What reports tell of the source may make a complaint one about mail of others.
        let mails: Vec<Mail> = mails.into_iter().filter(|mail| !matches!(mail, Mail::Report { .. })).collect();
        drop(keep(&path, &mails, &["example.com"], Reach::Domain));
        let listed = exported(&path);
        for mail in &mails {
            if let Mail::Complaint { person, genuine: true, kind: "abuse" | "opt-out", from: "example.com", .. } = mail {
                let person = PEOPLE[*person];
                prop_assert_eq!(listed.iter().any(|address| address == person), person != "eve@example.com", "{}", person);
            }
        }
    }

    #[test]
    fn nobody_is_listed_who_was_lifted(mails in mails(), lifted in 0..4usize) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        drop(keep(&path, &mails, &["example.com"], Reach::Domain));
        let before = exported(&path);
        let folded = PEOPLE[lifted].to_lowercase();
        let word = Word { address: PEOPLE[lifted], folded: &folded, reason: "asked", author: "mia", at: NOW };
        let scopes = suppressions::lift(&path, word, None).unwrap();
        prop_assert_eq!(!scopes.is_empty(), before.iter().any(|address| address == PEOPLE[lifted]));
        let left = exported(&path);
        let expected: Vec<&String> = before.iter().filter(|address| *address != PEOPLE[lifted]).collect();
        prop_assert_eq!(left.iter().collect::<Vec<_>>(), expected);
    }
}

/// Whom messages name, by the address that is matched: those that can suppress (`surely`), or those that can wait.
fn named(mails: &[Mail], surely: bool) -> BTreeSet<String> {
    let soft = |who: usize| {
        let counts =
            |mail: &&Mail| matches!(mail, Mail::Bounce { person, code: "4.2.2", genuine: true, .. } if *person == who);
        mails.iter().filter(counts).count()
    };
    let acts = |mail: &Mail| match *mail {
        Mail::Complaint { from: "stranger.example", .. } => None,
        Mail::Complaint { person, genuine, kind: "abuse" | "opt-out", .. } => (genuine == surely).then_some(person),
        Mail::Complaint { person, kind: "fraud", .. } => (!surely).then_some(person),
        Mail::Bounce { person, code: "5.1.1", genuine, .. } => (genuine == surely).then_some(person),
        Mail::Bounce { person, code: "4.2.2", .. } => (surely && soft(person) >= 5).then_some(person),
        _ => None,
    };
    mails
        .iter()
        .filter_map(acts)
        .map(|person| PEOPLE[person].to_lowercase())
        .filter(|name| name != "eve@example.com")
        .collect()
}

/// What the program writes into a list.
fn exported(path: &Path) -> Vec<String> {
    let file = path.with_extension("txt");
    let export = ["suppress", "export", "--format", "plain", "--force", "--output"];
    let ran = Command::new(env!("CARGO_BIN_EXE_dmarcdb"))
        .arg("--db")
        .arg(path)
        .args(export)
        .arg(&file)
        .env_clear()
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn an_address_beyond_ascii_is_one_however_it_was_typed_and_is_written_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let (composed, apart) = ("JOS\u{c9}@people.example", "jose\u{301}@people.example");
    let word =
        |address: &'static str, folded: &'static str| Word { address, folded, reason: "asked", author: "mia", at: NOW };
    drop(Store::open(&path).unwrap());
    let folded = |address: &str| Address::parse(address).unwrap().folded().leak() as &str;
    assert_eq!(folded(composed), folded(apart));
    suppressions::add(&path, word(apart, folded(apart)), "", None).unwrap();
    assert_eq!(exported(&path), [apart]);
    suppressions::lift(&path, word(composed, folded(composed)), None).unwrap();
    assert_eq!(exported(&path), [""; 0]);
}
