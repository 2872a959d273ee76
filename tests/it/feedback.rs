//! Complaints and failure reports: every sample with what is read from it, side by side.
//!
//! `tests/data/feedback` was made for this project and is always there. The public samples are not ours to copy: their
//! tests run where `DMARCDB_CORPUS`, or `../shared/corpus`, holds them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dmarcdb::limits::Limits;
use dmarcdb::mail;
use dmarcdb::problem::{Code, Refusal};
use dmarcdb::report::address::Address;
use dmarcdb::report::authentication;
use dmarcdb::report::feedback::{self, Complaint, Feedback, RecipientStatus};
use dmarcdb::suppress::rules::Policy;
use dmarcdb::suppress::trust::{self, Settings};
use dmarcdb::suppress::{About, Decision, Own, decide};
use serde_json::Value;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/feedback")
}

/// The public samples, where they are.
pub fn corpus() -> Option<PathBuf> {
    let named = std::env::var_os("DMARCDB_CORPUS").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    named.or(Some(beside)).filter(|dir| dir.join("README.md").is_file())
}

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn table(path: &Path) -> Vec<Value> {
    serde_json::from_slice(&bytes(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn read(message: &[u8]) -> Option<Result<Feedback, Refusal>> {
    let limits = Limits::default();
    let mail = match mail::parse(message, &limits) {
        Ok(mail) => mail,
        Err(refusal) => return Some(Err(refusal)),
    };
    feedback::read(&mail, &limits).map(|found| found.report)
}

fn complaint(message: &[u8], name: &str) -> Complaint {
    match read(message) {
        Some(Ok(Feedback::Complaint(complaint))) => *complaint,
        other => panic!("{name}: expected a complaint, found {other:?}"),
    }
}

/// What follows for each person of a complaint, with `mx.example.com` as the own server and `fbl.example` trusted.
fn decisions(message: &[u8], own: &[&str]) -> Vec<(Option<String>, Decision)> {
    let mail = mail::parse(message, &Limits::default()).expect("a mail");
    let headers = &mail.entities[0].headers;
    let Some(Ok(Feedback::Complaint(complaint))) = read(message) else {
        return Vec::new();
    };
    let verdict = authentication::assess(headers, Some("mx.example.com")).verdict;
    let from = mail.entities[0].header("From").and_then(|from| Address::parse_field(&from).ok());
    let senders = ["fbl.example".to_owned()];
    let settings = Settings { feedback_senders: &senders, ..Settings::default() };
    let trust = trust::assess(&complaint, &verdict, from.as_ref(), &settings);
    let own = Own::new(own);
    let about = trust::about(&complaint, &own);
    let people = &complaint.recipients;
    people
        .iter()
        .map(|person| {
            (person.address.clone(), decide(&complaint, people.len(), person, &trust, &about, &own, Policy::default()))
        })
        .collect()
}

fn real_addresses(people: &[feedback::Recipient]) -> BTreeSet<String> {
    let usable = people.iter().filter(|person| person.status == RecipientStatus::Ok);
    usable.filter_map(|person| person.address.clone()).collect()
}

fn strings(value: &Value) -> BTreeSet<String> {
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// One row of `expected.json`, exactly.
fn check_expected(dir: &Path, row: &Value) {
    let name = row["file"].as_str().expect("file");
    let found = read(&bytes(&dir.join(name)));
    let (kind, recipients, ip) = match found {
        Some(Ok(Feedback::Complaint(complaint))) => (
            Some(complaint.feedback_type.as_str().to_owned()),
            real_addresses(&complaint.recipients),
            complaint.source_ip,
        ),
        Some(Ok(Feedback::Failure(report))) if report.prose.is_none() => {
            let people = report.original_rcpt_to.iter().filter_map(|text| Address::parse_field(text).ok());
            let people = people.filter(|person| person.placeholder().is_none());
            (Some("auth-failure".to_owned()), people.map(|person| person.canonical()).collect(), report.source_ip)
        }
        Some(Err(refusal)) => panic!("{name}: {refusal}"),
        _ => (None, BTreeSet::new(), None),
    };
    assert_eq!(kind.as_deref(), row["feedback_type"].as_str(), "{name}: type");
    assert_eq!(recipients, strings(&row["recipients"]), "{name}: recipients");
    assert_eq!(ip.map(|ip| ip.to_string()).as_deref(), row["source_ip"].as_str(), "{name}: source_ip");
}

#[test]
fn public_samples_are_read_exactly() {
    let Some(corpus) = corpus() else { return };
    let dir = corpus.join("feedback");
    let rows = table(&dir.join("expected.json"));
    assert!(rows.len() >= 38, "the table has lost rows");
    rows.iter().for_each(|row| check_expected(&dir, row));
}

#[test]
fn examples_of_the_standards_are_read_exactly() {
    let rows = table(&data().join("standards.json"));
    assert_eq!(rows.len(), 5);
    rows.iter().for_each(|row| check_expected(&data(), row));
}

#[test]
fn bounces_and_prose_are_named() {
    let Some(corpus) = corpus() else { return };
    let dir = corpus.join("feedback");
    let bounce = read(&bytes(&dir.join("rspamd+rspamd/01_parse-dsn-on-rfc-3464-multipart-report.eml")));
    assert!(matches!(bounce, Some(Ok(Feedback::Bounce(_)))), "{bounce:?}");
    let prose = read(&bytes(&dir.join("domainaware+parsedmarc/exim_plain_text_only_no_arf_part.eml")));
    let Some(Ok(Feedback::Failure(report))) = prose else { panic!("{prose:?}") };
    assert_eq!(report.domain.as_deref(), Some("example.com"));
    assert_eq!(report.source_ip.map(|ip| ip.to_string()).as_deref(), Some("203.0.113.68"));
    assert_eq!(report.arrived_at, Some(1_744_060_569));
    assert_eq!(report.subject.as_deref(), Some("Payment from your account."));
    assert!(report.prose.is_some_and(|prose| prose.ends_with("DMARC Results: None, Accept")));
}

#[test]
fn alignment_is_read_by_the_results_beside_it() {
    use dmarcdb::report::failure::AlignmentSemantics;
    let semantics = |path: &Path| match read(&bytes(path)) {
        Some(Ok(Feedback::Failure(report))) => report.alignment_semantics,
        other => panic!("{}: {other:?}", path.display()),
    };
    assert_eq!(semantics(&data().join("standards/rfc9991-draft24-example.eml")), AlignmentSemantics::Rfc9991);
    let old = bytes(&data().join("standards/rfc9991-draft24-example.eml"));
    let old = String::from_utf8(old)
        .expect("text")
        .replace("dkim=neutral header.d=consumer.example", "dkim=pass header.d=consumer.example");
    let Some(Ok(Feedback::Failure(report))) = read(old.as_bytes()) else { panic!("no failure report") };
    assert_eq!(report.alignment_semantics, AlignmentSemantics::Rfc7489);
    if let Some(corpus) = corpus() {
        let dir = corpus.join("feedback/domainaware+parsedmarc");
        assert_eq!(
            semantics(&dir.join("[Netease DMARC Failure Report] Rent Reminder.eml")),
            AlignmentSemantics::Rfc9991
        );
        assert_eq!(semantics(&dir.join("dmarc_ruf_report_linkedin.eml")), AlignmentSemantics::Unknown);
    }
}

/// One row of `adversarial.json`: every property it names.
fn check_adversarial(row: &Value) {
    let name = row["file"].as_str().expect("file");
    let expected = row["expect"].as_object().expect("expect");
    let message = bytes(&data().join(name));
    for (property, value) in expected {
        let text = value.as_str();
        match (property.as_str(), text) {
            ("kind", None) => assert_eq!(read(&message), None, "{name}"),
            ("malformed", Some("both-dates")) => {
                let code = read(&message).and_then(Result::err).map(|refusal| refusal.code);
                assert_eq!(code, Some(Code::Malformed), "{name}");
            }
            ("malformed", Some(code)) => {
                let warned = complaint(&message, name).warnings.iter().any(|warning| warning.code == code);
                assert!(warned, "{name}: no warning `{code}`");
            }
            ("ip", ip) => {
                let found = complaint(&message, name).source_ip.map(|ip| ip.to_string());
                assert_eq!(found.as_deref(), ip, "{name}");
            }
            ("ft", word) => assert_eq!(Some(complaint(&message, name).feedback_type.as_str()), word, "{name}"),
            ("rcpt", _) => {
                assert_eq!(real_addresses(&complaint(&message, name).recipients), strings(value), "{name}");
            }
            ("incidents" | "n", _) => {
                let incidents = complaint(&message, name).incidents;
                assert_eq!(Some(u64::from(incidents)), value.as_u64(), "{name}");
            }
            ("cfbl", id) => assert_eq!(complaint(&message, name).cfbl_feedback_id.as_deref(), id, "{name}"),
            ("verp", address) => {
                let complaint = complaint(&message, name);
                let path = complaint.tokens.iter().find(|(token, _)| token == "return-path").expect("return-path");
                assert_eq!(feedback::verp(&path.1).map(|found| found.canonical()).as_deref(), address, "{name}");
                assert_eq!(complaint.recipients, [], "{name}: a guess is no recipient");
            }
            ("date", Some(at)) => {
                let expected = dmarcdb::report::date::rfc3339(at).map(|(at, _)| at);
                assert_eq!(complaint(&message, name).arrived_at, expected, "{name}");
            }
            ("suppress", None) => {
                let trusted = authenticated(&message);
                let found = decisions(&trusted, &["sender.example"]);
                assert!(!found.is_empty() && value == false, "{name}");
                assert!(found.iter().all(|(_, decision)| matches!(decision, Decision::Never(_))), "{name}: {found:?}");
            }
            ("flag", Some("own-domain")) => {
                let mut complaint = complaint(&message, name);
                let own = Own::new(["sender.example"]);
                feedback::mark_own(&mut complaint.recipients, |domain| own.holds(domain));
                assert_eq!(complaint.recipients[0].status, RecipientStatus::OwnDomain, "{name}");
            }
            other => panic!("{name}: property {other:?} is not checked"),
        }
    }
}

/// The same mail with the own server's word for its sender.
fn authenticated(message: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(message.to_vec()).expect("text");
    let text = text.replacen("From: fbl@isp.example", "From: fbl@fbl.example", 1);
    let line = "Authentication-Results: mx.example.com; dmarc=pass header.from=fbl.example\n";
    format!("{line}{text}").into_bytes()
}

#[test]
fn adversarial_samples_hold_every_property() {
    let rows = table(&data().join("adversarial.json"));
    assert_eq!(rows.len(), 25);
    rows.iter().for_each(check_adversarial);
}

/// An honest complaint in the adversarial samples' form does suppress: the rows that say `suppress: false` mean something.
#[test]
fn an_authenticated_complaint_about_our_mail_suppresses() {
    let message = authenticated(&bytes(&data().join("adversarial/04-ip-comment.eml")));
    let found = decisions(&message, &["sender.example"]);
    assert!(matches!(&found[..], [(Some(user), Decision::Suppress { .. })] if user == "user@isp.example"), "{found:?}");
    let unasked = bytes(&data().join("adversarial/04-ip-comment.eml"));
    assert!(matches!(decisions(&unasked, &["sender.example"])[..], [(_, Decision::Pending(_))]));
}

/// `hostile/manifest.tsv`, rows `mail/f…`.
#[test]
fn hostile_complaints_suppress_nobody_wrong() {
    let dir = data().join("hostile");
    let manifest = String::from_utf8(bytes(&dir.join("manifest.tsv"))).expect("text");
    let mut rows = 0;
    for line in manifest.lines() {
        let mut columns = line.split('\t');
        let (name, outcome) = (columns.next().expect("path"), columns.next().expect("outcome"));
        let message = bytes(&dir.join(name));
        let found = read(&message);
        let suppressed: Vec<String> = decisions(&message, &["example.com"])
            .into_iter()
            .filter(|(_, decision)| matches!(decision, Decision::Suppress { .. }))
            .filter_map(|(address, _)| address)
            .collect();
        match outcome {
            "accept:1" | "dup" => {
                assert!(matches!(&found, Some(Ok(Feedback::Complaint(_)))), "{name}: {found:?}");
            }
            "no-suppress" => assert_eq!(suppressed, Vec::<String>::new(), "{name}"),
            "not-a-report" => assert_eq!(found, None, "{name}"),
            "refuse" => assert!(matches!(found, Some(Err(_))), "{name}: {found:?}"),
            "either" => assert!(!suppressed.iter().any(|address| address.contains("ceo@")), "{name}"),
            other => panic!("{name}: unknown outcome {other}"),
        }
        let honest = outcome == "accept:1" && !name.starts_with("f06-rcpt-10") && !name.starts_with("f07-type-03");
        if honest || outcome == "dup" {
            assert_eq!(suppressed.len(), 1, "{name}");
        }
        assert!(!suppressed.iter().any(|address| address.starts_with("inner@")), "{name}: {suppressed:?}");
        rows += 1;
    }
    assert_eq!(rows, 34);
}

#[test]
fn floods_are_refused_by_name() {
    let report = |fields: &str| {
        format!(
            "From: fbl@fbl.example\nMIME-Version: 1.0\nContent-Type: multipart/report; boundary=AA\n\n--AA\n\
             Content-Type: message/feedback-report\n\nFeedback-Type: abuse\nVersion: 1\n{fields}\n--AA--\n"
        )
    };
    let code = |fields: String| match read(report(&fields).as_bytes()) {
        Some(Err(refusal)) => refusal.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code("Reported-Domain: x\n".repeat(10_000)), Code::TooManyFields);
    let people = |n: usize| (0..n).map(|n| format!("Original-Rcpt-To: <u{n}@isp.example>\n")).collect::<String>();
    assert_eq!(code(people(11)), Code::TooManyRecipients);
    assert_eq!(code(people(4500)), Code::TooManyFields);
    assert_eq!(code(format!("X-Long: a{}\n", "\n b".repeat(30_000))), Code::Headers);
    assert_eq!(code("Feedback-Type: not-spam\n".to_owned()), Code::Malformed);
}

/// The same seed, the same mutations: tokens that hurt, put where they hurt.
#[test]
fn mutated_reports_never_panic() {
    const TOKENS: [&str; 22] = [
        "",
        "\r\n",
        "\n\n",
        "\0",
        "\u{1b}[31m",
        "<",
        ">",
        "\"",
        "\\",
        "(",
        ")",
        ";",
        ":",
        ",",
        "@",
        "=",
        "é",
        "\u{202e}",
        "IPv6:",
        "--BB",
        "Feedback-Type: not-spam\n",
        "99999999999999999999",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or(0) % below.max(1)
    };
    let mut samples: Vec<Vec<u8>> = Vec::new();
    for folder in ["adversarial", "standards", "hostile"] {
        let mut names: Vec<_> =
            std::fs::read_dir(data().join(folder)).expect("samples").flatten().map(|e| e.path()).collect();
        names.sort();
        samples
            .extend(names.iter().filter(|path| path.extension().is_some_and(|e| e == "eml")).map(|path| bytes(path)));
    }
    assert!(samples.len() >= 60);
    for sample in &samples {
        for _ in 0..40 {
            let mut message = sample.clone();
            for _ in 0..=next(4) {
                let at = next(message.len());
                let to = (at + next(20)).min(message.len());
                message.splice(at..to, TOKENS[next(TOKENS.len())].bytes());
            }
            decisions_of_anything(&message);
        }
    }
}

fn decisions_of_anything(message: &[u8]) {
    if mail::parse(message, &Limits::default()).is_ok() {
        for (address, decision) in decisions(message, &["example.com", "sender.example"]) {
            if matches!(decision, Decision::Suppress { .. }) {
                let address = address.expect("a suppression names somebody");
                assert_eq!(Address::parse(&address).map(|a| a.canonical()), Ok(address));
            }
        }
    }
}

#[test]
fn about_is_judged_before_anything_is_suppressed() {
    let complaint = complaint(&bytes(&data().join("hostile/f05b-forged-wrong-ip.eml")), "f05b");
    assert!(matches!(trust::about(&complaint, &Own::new(["example.com"])), About::NotOurs(_)));
}
/// `reports.tsv`, rows `arf`: the note names the type, the reporter is the user agent. The XML source of RFC 9991 holds its
/// example as text and is no mail, so it is no report.
#[test]
fn public_feedback_reports_are_of_their_kind() {
    let Some(corpus) = corpus() else { return };
    let table = String::from_utf8(bytes(&corpus.join("reports.tsv"))).expect("text");
    let mut rows = 0;
    for line in table.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [path, "arf", _, _, _, reporter, _, notes] = columns[..] else {
            continue;
        };
        let found = read(&bytes(&corpus.join(path)));
        let (kind, agent) = match found {
            _ if path.ends_with(".xml") => {
                assert_eq!(found, None, "{path}");
                continue;
            }
            Some(Ok(Feedback::Complaint(report))) => (report.feedback_type.as_str().to_owned(), report.user_agent),
            Some(Ok(Feedback::Failure(report))) => ("auth-failure".to_owned(), report.user_agent),
            other => panic!("{path}: {other:?}"),
        };
        assert!(notes.starts_with(&format!("arf:{kind}")), "{path}: {kind}");
        assert_eq!(agent.as_deref(), Some(reporter), "{path}");
        rows += 1;
    }
    assert!(rows >= 6, "only {rows} rows");
}

/// A complaint that somebody forwards is that person's mail: nobody vouches for what is attached to it.
#[test]
fn reports_within_an_attached_mail_are_not_read() {
    let inner = bytes(&data().join("adversarial/04-ip-comment.eml"));
    let inner = String::from_utf8(inner).expect("text");
    let forwarded = |headers: &str| {
        format!(
            "From: someone@x.example\nSubject: FW: look\n{headers}MIME-Version: 1.0\n\
             Content-Type: multipart/mixed; boundary=OUTER\n\n--OUTER\nContent-Type: message/rfc822\n\n{inner}\n--OUTER--\n"
        )
    };
    assert_eq!(read(forwarded("").as_bytes()), None);
    // Nor is any attached mail one of Microsoft's complaints.
    assert_eq!(read(forwarded("X-Note: complaint about message from 192.0.2.1\n").as_bytes()), None);
    let bare = inner.replace("multipart/report; report-type=feedback-report", "multipart/mixed");
    assert!(matches!(read(bare.as_bytes()), Some(Ok(Feedback::Complaint(_)))));
}
