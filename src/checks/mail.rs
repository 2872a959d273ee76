//! Whether mail reaches the domain, and how: MX (RFC 5321, section 5.1; RFC 7505), TLS-RPT (RFC 8460), MTA-STS (RFC 8461).
//! Bounces and complaints are mail too.

use std::net::IpAddr;

use super::address::exchanges;
use super::finding::{Finding, Notes, Severity};
use super::lookup::{Answer, Kind, Lookup, Question};
use super::tags::Tags;

/// Mail exchanges that are looked at, at most.
const EXCHANGES: usize = 20;

/// Checks the mail exchanges of a domain.
pub fn exchanges_of(lookup: &mut dyn Lookup, domain: &str, findings: &mut Vec<Finding>) {
    let mut notes = Notes::new(findings, "mx", domain);
    let answer = lookup.get(domain, Kind::Mx);
    if let Answer::Failed(failure) = &answer {
        return notes.unknown(failure);
    }
    let list = exchanges(answer.records());
    if list.is_empty() {
        return without(lookup, &mut notes, domain);
    }
    let shown: Vec<String> = list.iter().map(|(preference, exchange)| format!("{preference} {exchange}.")).collect();
    notes.record(&shown.join(" | "));
    if list.iter().any(|(_, exchange)| exchange.is_empty()) {
        return null(&mut notes, list.len());
    }
    let questions: Vec<Question> = list
        .iter()
        .take(EXCHANGES)
        .flat_map(|(_, exchange)| [Kind::Cname, Kind::A, Kind::Aaaa].map(|kind| Question::new(exchange, kind)))
        .collect();
    lookup.prepare(&questions);
    for (_, exchange) in list.iter().take(EXCHANGES) {
        one(lookup, &mut notes, exchange);
    }
    if notes.worst() < Severity::Warning {
        notes.ok("mx", shown.join(", "));
    }
}

fn without(lookup: &mut dyn Lookup, notes: &mut Notes<'_>, domain: &str) {
    let has_address = [Kind::A, Kind::Aaaa].iter().any(|kind| !lookup.get(domain, *kind).records().is_empty());
    if has_address {
        notes.warning(
            "mx-missing",
            "there is no MX record: bounces and complaints go to the address of the domain itself, if it takes mail",
            "publish an MX record for the server that takes mail of this domain",
        );
    } else {
        notes.error(
            "mx-missing",
            "there is neither MX record nor address: bounces and complaints are lost, and receivers refuse mail from such a domain",
            "publish an MX record for the server that takes mail of this domain",
        );
    }
}

fn null(notes: &mut Notes<'_>, count: usize) {
    if count > 1 {
        notes.error(
            "mx-null-beside",
            "the null MX (`0 .`), which says that the domain takes no mail, stands beside others (RFC 7505, section 3)",
            "take it out, or the others",
        );
    } else {
        notes.warning(
            "mx-null",
            "the domain says that it takes no mail (null MX): nobody can answer, and receivers may refuse mail from it (RFC 7505, section 4.2)",
            "if it sends mail, give it a mail exchange",
        );
    }
}

fn one(lookup: &mut dyn Lookup, notes: &mut Notes<'_>, exchange: &str) {
    if exchange.parse::<IpAddr>().is_ok() {
        return notes.error(
            "mx-address",
            format!("{exchange} is an address, where a name must stand (RFC 5321, section 5.1)"),
            "give the server a name, and put that there",
        );
    }
    if !lookup.get(exchange, Kind::Cname).records().is_empty() {
        notes.error(
            "mx-alias",
            format!(
                "{exchange} is an alias (CNAME), which the name of a mail exchange must not be (RFC 2181, section 10.3)"
            ),
            "put the name there that the alias leads to",
        );
    }
    let answers = [Kind::A, Kind::Aaaa].map(|kind| lookup.get(exchange, kind));
    if let Some(failure) = answers.iter().find_map(Answer::failure) {
        return notes.warning(
            "dns",
            format!("{exchange} could not be looked up: {}", failure.text()),
            "run the check again; if it stays, look at the name servers of this name",
        );
    }
    if answers.iter().all(|answer| answer.records().is_empty()) {
        notes.error("mx-nowhere", format!("{exchange} has no address"), "give it one, or take it out");
    }
}

/// Checks the TLS-RPT record (RFC 8460, section 3). Answers whether there is one.
pub fn tls_reports(lookup: &mut dyn Lookup, domain: &str, findings: &mut Vec<Finding>) -> bool {
    let name = format!("_smtp._tls.{domain}");
    let mut notes = Notes::new(findings, "tls-rpt", &name);
    let answer = lookup.get(&name, Kind::Txt);
    if let Answer::Failed(failure) = &answer {
        notes.unknown(failure);
        return true;
    }
    let records: Vec<&str> = answer.texts().filter(|text| Tags::read(text).begins_with("TLSRPTv1")).collect();
    let [record] = records[..] else {
        if let Some(text) = answer.texts().next() {
            notes.record(text);
        }
        match (records.len(), answer.texts().next()) {
            (0, None) => notes.info(
                "tls-rpt-missing",
                "there is no TLS-RPT record: nobody tells you when mail to you cannot be encrypted",
                format!("publish `v=TLSRPTv1; rua=mailto:tls@{domain}` at {name}; dmarcdb reads these reports too"),
            ),
            (0, Some(_)) => notes.error(
                "tls-rpt-unreadable",
                "what is there is no TLS-RPT record: `v=TLSRPTv1` must stand first",
                "correct the start of the record",
            ),
            (several, _) => notes.error(
                "tls-rpt-several",
                format!("there are {several} TLS-RPT records: senders act as if there were none"),
                "keep one",
            ),
        }
        return !records.is_empty();
    };
    notes.record(record);
    let tags = Tags::read(record);
    let uris: Vec<&str> = tags.get("rua").unwrap_or_default().split(',').map(str::trim).collect();
    let fits = |uri: &&str| {
        let lower = uri.to_ascii_lowercase();
        lower.starts_with("https://") || (lower.starts_with("mailto:") && lower.contains('@'))
    };
    match uris.iter().find(|uri| !fits(uri)) {
        Some(uri) => notes.error(
            "tls-rpt-rua",
            format!("`rua`: `{uri}` is neither `mailto:` nor `https:`, and nothing is sent there"),
            "say where reports are to go: `rua=mailto:…`",
        ),
        None => notes.ok("tls-rpt", format!("reports to {}", uris.join(", "))),
    }
    true
}

/// Checks the record of MTA-STS (RFC 8461, section 3.1) and that its policy's host is there. The policy itself is not fetched.
pub fn transport_security(lookup: &mut dyn Lookup, domain: &str, reported: bool, findings: &mut Vec<Finding>) {
    let name = format!("_mta-sts.{domain}");
    let mut notes = Notes::new(findings, "mta-sts", &name);
    let answer = lookup.get(&name, Kind::Txt);
    if let Answer::Failed(failure) = &answer {
        return notes.unknown(failure);
    }
    let records: Vec<&str> = answer.texts().filter(|text| Tags::read(text).begins_with("STSv1")).collect();
    let [record] = records[..] else {
        if let Some(text) = answer.texts().next() {
            notes.record(text);
        }
        return match (records.len(), answer.texts().next()) {
            (0, None) => {
                notes.info("mta-sts-missing", "there is no MTA-STS record: mail to you may be read on its way", "")
            }
            (0, Some(_)) => notes.error(
                "mta-sts-unreadable",
                "what is there is no MTA-STS record: `v=STSv1` must stand first",
                "correct the start of the record",
            ),
            (several, _) => notes.error(
                "mta-sts-several",
                format!("there are {several} MTA-STS records: senders act as if there were none"),
                "keep one",
            ),
        };
    };
    notes.record(record);
    let tags = Tags::read(record);
    let id = tags.get("id").unwrap_or_default();
    if !(1..=32).contains(&id.len()) || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        notes.error(
            "mta-sts-id",
            "`id` must be 1 to 32 letters and digits: senders take this for no record",
            "say when the policy last changed: `id=20261121T150000`",
        );
    }
    let host = format!("mta-sts.{domain}");
    let answers = [Kind::A, Kind::Aaaa].map(|kind| lookup.get(&host, kind));
    if answers.iter().all(|answer| answer.failure().is_none() && answer.records().is_empty()) {
        notes.error(
            "mta-sts-host",
            format!("{host}, where the policy must lie, has no address: senders act as if there were none"),
            "give it a web server with the policy under /.well-known/mta-sts.txt, or take the record out",
        );
    }
    if !reported {
        notes.info(
            "mta-sts-silent",
            "there is no TLS-RPT record beside it: nobody tells you when mail to you is held back",
            "publish one",
        );
    }
    if notes.worst() < Severity::Warning {
        notes.ok("mta-sts", format!("policy {id}; the policy itself was not fetched"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::lookup::tests::Zone;
    use super::*;

    fn codes(findings: &[Finding]) -> Vec<&'static str> {
        findings.iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn faults_of_mail_exchanges() {
        let check = |records: &str, expected: &[&str]| {
            let zone = format!(
                "mail.example.com A 192.0.2.25\nalias.example.com CNAME mail.example.com\n{}",
                records.replace('|', "\n")
            );
            let mut findings = Vec::new();
            exchanges_of(&mut Zone::new(&zone), "example.com", &mut findings);
            assert_eq!(codes(&findings), expected, "{records}: {findings:?}");
        };
        check("example.com MX 10 mail.example.com", &["mx"]);
        check("", &["mx-missing"]);
        check("example.com A 192.0.2.1", &["mx-missing"]);
        check("example.com MX 0 .", &["mx-null"]);
        check("example.com MX 0 .|example.com MX 10 mail.example.com", &["mx-null-beside"]);
        check("example.com MX 10 192.0.2.25", &["mx-address"]);
        check("example.com MX 10 alias.example.com|alias.example.com A 192.0.2.25", &["mx-alias"]);
        check("example.com MX 10 gone.example.com", &["mx-nowhere"]);
        check("example.com MX 10 broken.example.com|broken.example.com FAIL", &["dns"]);
        check("example.com FAIL", &["dns"]);
    }

    #[test]
    fn faults_of_transport_records() {
        let check = |records: &str, expected: &[&str]| {
            let mut findings = Vec::new();
            let mut zone = Zone::new(&records.replace('|', "\n"));
            let reported = tls_reports(&mut zone, "example.com", &mut findings);
            transport_security(&mut zone, "example.com", reported, &mut findings);
            assert_eq!(codes(&findings), expected, "{records}: {findings:?}");
        };
        let rpt = "_smtp._tls.example.com TXT v=TLSRPTv1; rua=mailto:tls@example.com";
        let sts = "_mta-sts.example.com TXT v=STSv1; id=20260101T000000;";
        let host = "mta-sts.example.com A 192.0.2.80";
        check("", &["tls-rpt-missing", "mta-sts-missing"]);
        check(&format!("{rpt}|{sts}|{host}"), &["tls-rpt", "mta-sts"]);
        check(&format!("{rpt}|{sts}"), &["tls-rpt", "mta-sts-host"]);
        check(&format!("{sts}|{host}"), &["tls-rpt-missing", "mta-sts-silent", "mta-sts"]);
        check(&format!("{rpt}|{rpt}"), &["tls-rpt-several", "mta-sts-missing"]);
        check("_smtp._tls.example.com TXT TLSRPTv1; rua=x", &["tls-rpt-unreadable", "mta-sts-missing"]);
        check("_smtp._tls.example.com TXT v=TLSRPTv1; rua=tls@example.com", &["tls-rpt-rua", "mta-sts-missing"]);
        check(&format!("{rpt}|{host}|_mta-sts.example.com TXT v=STSv1; id=2026-01-01"), &["tls-rpt", "mta-sts-id"]);
        check(&format!("{rpt}|{sts}|{sts}"), &["tls-rpt", "mta-sts-several"]);
        check(&format!("{rpt}|_mta-sts.example.com TXT STSv1; id=1"), &["tls-rpt", "mta-sts-unreadable"]);
    }
}
