//! TLS reports: every public sample against `reports.tsv` (`records` are policies, `messages` sessions).

use std::io::Read;

use dmarcdb::limits::Limits;
use dmarcdb::mail;
use dmarcdb::report::tls;

use crate::feedback::corpus;

/// The JSON of a sample: the file itself, or the first part of the mail that is JSON after decompression.
fn documents(file: &[u8]) -> Vec<Vec<u8>> {
    let inflated = |bytes: &[u8]| {
        let mut out = Vec::new();
        flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).map(|_| out).unwrap_or_default()
    };
    if file.trim_ascii_start().starts_with(b"{") {
        return vec![file.to_vec()];
    }
    let mail = mail::parse(file, &Limits::default()).expect("a mail");
    let bodies = mail.entities.iter().map(|entity| entity.body().into_owned());
    let bodies = bodies.map(|body| if body.starts_with(&[0x1f, 0x8b]) { inflated(&body) } else { body });
    bodies.filter(|body| body.trim_ascii_start().starts_with(b"{")).collect()
}

#[test]
fn public_samples_have_the_expected_policies_and_sessions() {
    let Some(corpus) = corpus() else { return };
    let table = std::fs::read_to_string(corpus.join("reports.tsv")).expect("reports.tsv");
    let mut rows = 0;
    for line in table.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [path, "tlsrpt", "1", policies, sessions, reporter, ..] = columns[..] else {
            continue;
        };
        let documents = documents(&std::fs::read(corpus.join(path)).expect(path));
        let [document] = &documents[..] else { panic!("{path}: {} documents", documents.len()) };
        let report = tls::read(document, &Limits::default()).unwrap_or_else(|refusal| panic!("{path}: {refusal}"));
        let sum: u64 = report.policies.iter().map(|p| p.successful_sessions + p.failed_sessions).sum();
        assert_eq!(report.policies.len().to_string(), policies, "{path}: policies");
        assert_eq!(sum.to_string(), sessions, "{path}: sessions");
        assert_eq!(report.org_name.as_deref(), Some(reporter), "{path}: organization-name");
        rows += 1;
    }
    assert!(rows >= 19, "only {rows} rows");
}

/// The same report as a file and as a mail has one hash (mail-auth's `rpt02`).
#[test]
fn container_does_not_change_the_hash() {
    let Some(corpus) = corpus() else { return };
    let dir = corpus.join("reports/stalwartlabs+mail-auth/resources/tlsrpt");
    let hash = |name: &str| {
        let documents = documents(&std::fs::read(dir.join(name)).expect(name));
        tls::read(&documents[0], &Limits::default()).expect(name).content_hash
    };
    assert_eq!(hash("rpt02.json"), hash("rpt02.eml"));
}

/// The same seed, the same mutations: never a panic, and never a sum that lies.
#[test]
fn mutated_reports_never_panic() {
    const REPORT: &str = r#"{"organization-name":"E","date-range":{"start-datetime":"2024-02-22T00:00:00Z",
        "end-datetime":"2024-02-22T23:59:59Z"},"report-id":"r","policies":[{"policy":{"policy-type":"sts",
        "policy-string":["v"],"policy-domain":"example.com","mx-host":"*"},"summary":{"total-successful-session-count":5,
        "total-failure-session-count":2},"failure-details":[{"result-type":"x","failed-session-count":2}]}]}"#;
    const TOKENS: [&str; 16] = [
        "",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "\\",
        ",",
        ":",
        "null",
        "-1",
        "1e999",
        "18446744073709551616",
        "\\ud800",
        "é",
        "{\"a\":",
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or(0) % below.max(1)
    };
    let mut read = 0;
    for _ in 0..5000 {
        let mut json = REPORT.as_bytes().to_vec();
        for _ in 0..=next(3) {
            let at = next(json.len());
            let to = (at + next(8)).min(json.len());
            json.splice(at..to, TOKENS[next(TOKENS.len())].bytes());
        }
        if let Ok(report) = tls::read(&json, &Limits::default()) {
            assert!(report.begin_at <= report.end_at);
            assert!(report.policies.iter().all(|policy| policy.successful_sessions <= 1 << 40));
            read += 1;
        }
    }
    assert!(read > 100, "only {read} mutations were readable at all");
}
