//! Whatever comes in whatever order: the list is the same, holds nobody whom no message named, and not who was lifted.

use std::collections::BTreeSet;
use std::path::Path;

use dmarcdb::query::{Database, Error, suppression};
use dmarcdb::reading::{self, Settings};
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
    fn nobody_is_listed_whom_no_message_named_and_nobody_who_was_lifted(mails in mails(), lifted in 0..4usize) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        drop(keep(&path, &mails, &["example.com"], Reach::Domain));
        let named: BTreeSet<String> = mails.iter().filter_map(|mail| match mail {
            Mail::Complaint { person, kind, from, .. } if *kind != "not-spam" && *from != "stranger.example" => Some(person),
            Mail::Bounce { person, code, .. } if !matches!(*code, "5.7.1" | "2.0.0") => Some(person),
            _ => None,
        }).map(|person| PEOPLE[*person].to_lowercase()).collect();
        for row in list(&path) {
            let name = named.iter().any(|name| row.starts_with(name.as_str()));
            prop_assert!(name && !row.starts_with("eve@example.com"), "{}", row);
        }
        let folded = PEOPLE[lifted].to_lowercase();
        let word = Word { address: PEOPLE[lifted], folded: &folded, reason: "asked", author: "mia", at: NOW };
        suppressions::lift(&path, word, None).unwrap();
        let left = list(&path);
        prop_assert!(!left.iter().any(|row| row.starts_with(&folded) && row.ends_with("false")), "{:?}", left);
    }
}
