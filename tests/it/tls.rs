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
        flate2::read::GzDecoder::new(bytes)
            .read_to_end(&mut out)
            .map(|_| out)
            .unwrap_or_default()
    };
    if file.trim_ascii_start().starts_with(b"{") {
        return vec![file.to_vec()];
    }
    let mail = mail::parse(file, &Limits::default()).expect("a mail");
    let bodies = mail
        .entities
        .iter()
        .map(|entity| entity.body().into_owned());
    let bodies = bodies.map(|body| {
        if body.starts_with(&[0x1f, 0x8b]) {
            inflated(&body)
        } else {
            body
        }
    });
    bodies
        .filter(|body| body.trim_ascii_start().starts_with(b"{"))
        .collect()
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
        let [document] = &documents[..] else {
            panic!("{path}: {} documents", documents.len())
        };
        let report = tls::read(document, &Limits::default())
            .unwrap_or_else(|refusal| panic!("{path}: {refusal}"));
        let sum: u64 = report
            .policies
            .iter()
            .map(|p| p.successful_sessions + p.failed_sessions)
            .sum();
        assert_eq!(
            report.policies.len().to_string(),
            policies,
            "{path}: policies"
        );
        assert_eq!(sum.to_string(), sessions, "{path}: sessions");
        assert_eq!(
            report.org_name.as_deref(),
            Some(reporter),
            "{path}: organization-name"
        );
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
        tls::read(&documents[0], &Limits::default())
            .expect(name)
            .content_hash
    };
    assert_eq!(hash("rpt02.json"), hash("rpt02.eml"));
}
