//! Failure reports (RFC 6591, RFC 9991): one message that failed authentication. Never a complaint.

use std::net::IpAddr;

use super::feedback::fields::Fields;
use super::feedback::original::{Original, decoded};
use super::feedback::{arf, source_ip};
use super::text::{bounded, without_comments, without_nul};
use super::{address, authentication, date};
use crate::limits::Limits;
use crate::mail::{Kind, Mail};
use crate::problem::Warning;
use crate::report::feedback::recipient::bare_message_id;

/// How the prose of Exim's failure reports begins.
const PROSE: &str = "A message claiming to be from you has failed";
/// The line above the headers of the mail that failed, as far as it is the same in every version.
const COPY: &str = "------ This is a copy of the headers";
/// Bytes of prose that are kept.
const PROSE_BYTES: usize = 4 << 10;

/// What the tokens of `Identity-Alignment` mean, which RFC 9991 turned round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlignmentSemantics {
    /// RFC 7489, section 7.3.1: the mechanisms that produced an aligned identity.
    Rfc7489,
    /// RFC 9991: the mechanisms that failed to authenticate an aligned identity.
    Rfc9991,
    /// The report does not tell; the token `none` or nothing at all.
    Unknown,
}

impl AlignmentSemantics {
    /// `7489`, `9991` or `unknown`.
    pub fn as_str(self) -> &'static str {
        match self {
            AlignmentSemantics::Rfc7489 => "7489",
            AlignmentSemantics::Rfc9991 => "9991",
            AlignmentSemantics::Unknown => "unknown",
        }
    }
}

/// A failure report. Fields are `None` where absent; texts are unfolded and as sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureReport {
    /// Who reports: the display name or domain of the report mail's `From`.
    pub org_name: Option<String>,
    /// The address of the report mail's `From`.
    pub org_email: Option<String>,
    /// The `Message-ID` of the report mail, else of the failed mail.
    pub report_id: Option<String>,
    /// `Reported-Domain`, else the `From` domain of the failed mail (lower-case A-label).
    pub domain: Option<String>,
    /// `Arrival-Date`, else the `Date` of the report mail; seconds since the epoch, UTC.
    pub arrived_at: Option<i64>,
    /// `Auth-Failure` words, lower case: `dmarc`, `spf`, `signature`, `bodyhash`, `revoked`, `adsp`, others as sent.
    pub auth_failure: Vec<String>,
    /// `Delivery-Result`, as sent.
    pub delivery_result: Option<String>,
    /// `Identity-Alignment`, raw.
    pub identity_alignment: Option<String>,
    /// How to read it.
    pub alignment_semantics: AlignmentSemantics,
    /// `Source-IP`.
    pub source_ip: Option<IpAddr>,
    /// `Source-Port`.
    pub source_port: Option<u16>,
    /// `Incidents`; 1 where absent.
    pub incidents: u32,
    /// `User-Agent`.
    pub user_agent: Option<String>,
    /// `Version`.
    pub version: Option<String>,
    /// `Reporting-MTA`.
    pub reporting_mta: Option<String>,
    /// `Original-Envelope-Id`.
    pub original_envelope_id: Option<String>,
    /// `Original-Mail-From` without angle brackets.
    pub original_mail_from: Option<String>,
    /// `Original-Rcpt-To`, each, without angle brackets, as sent.
    pub original_rcpt_to: Vec<String>,
    /// `Authentication-Results`, each.
    pub authentication_results: Vec<String>,
    /// `DKIM-Domain`.
    pub dkim_domain: Option<String>,
    /// `DKIM-Identity`.
    pub dkim_identity: Option<String>,
    /// `DKIM-Selector`.
    pub dkim_selector: Option<String>,
    /// `SPF-DNS`, each.
    pub spf_dns: Vec<String>,
    /// Domain of the failed mail's `From`.
    pub header_from: Option<String>,
    /// `Message-ID` of the failed mail without angle brackets.
    pub message_id: Option<String>,
    /// Decoded `Subject` of the failed mail.
    pub subject: Option<String>,
    /// The header block of the failed mail as text, at most 64 KiB. Its body is other people's mail and is not kept.
    pub sample_headers: Option<String>,
    /// The human part of a report that has no machine part (Exim, cPanel), at most 4 KiB.
    pub prose: Option<String>,
    /// Every field of the feedback part in order.
    pub fields: Vec<(String, String)>,
    /// What was read around.
    pub warnings: Vec<Warning>,
}

/// Takes a failure report from its fields and the headers of the mail that failed.
pub(super) fn from_fields(
    mail: &Mail<'_>,
    fields: Fields,
    original: &Original,
    mut warnings: Vec<Warning>,
) -> FailureReport {
    let mut found = sender_of(mail);
    found.auth_failure = words(&fields, "Auth-Failure");
    if found.auth_failure.is_empty() {
        warnings.push(Warning::new("auth-failure", "Auth-Failure", "missing"));
    }
    found.report_id = found.report_id.or_else(|| original.message_id());
    found.arrived_at = arf::arrived_at(&fields, &mut warnings).or(found.arrived_at);
    found.incidents = arf::incidents(&fields, &mut warnings);
    found.source_ip = source_ip::stated(&fields, &mut warnings).map(|(ip, _)| ip);
    found.source_port = fields.first("Source-Port").and_then(|port| port.parse().ok());
    found.delivery_result = fields.text("Delivery-Result");
    found.user_agent = fields.text("User-Agent");
    found.version = fields.text("Version");
    found.reporting_mta = fields.text("Reporting-MTA");
    found.original_envelope_id = fields.text("Original-Envelope-Id");
    found.original_mail_from = arf::mail_from(&fields);
    found.original_rcpt_to =
        fields.all("Original-Rcpt-To").filter(|value| !value.is_empty()).map(unbracketed).collect();
    found.authentication_results = fields.texts("Authentication-Results");
    found.dkim_domain = fields.text("DKIM-Domain");
    found.dkim_identity = fields.text("DKIM-Identity");
    found.dkim_selector = fields.text("DKIM-Selector");
    found.spf_dns = fields.texts("SPF-DNS");
    found.message_id = original.message_id().or_else(|| arf::reported_message_id(&fields));
    found.subject = original.subject();
    found.header_from = original.header_from();
    found.sample_headers.clone_from(&original.sample);
    found.domain = arf::reported_domains(&fields).into_iter().next().or_else(|| found.header_from.clone());
    found.identity_alignment = fields.text("Identity-Alignment");
    found.alignment_semantics = semantics(&found, original);
    found.fields = fields.0;
    found.warnings = warnings;
    found
}

/// Reads the failure report of Exim and of cPanel, which is prose without a machine part: `A message claiming to be from you
/// has failed the published DMARC policy`, named lines, and the headers of the mail. `None` for any other mail.
pub(super) fn read_prose(mail: &Mail<'_>, limits: &Limits) -> Option<(usize, FailureReport)> {
    let (at, body) = mail.entities.iter().enumerate().find_map(|(at, entity)| {
        let own = entity.kind == Kind::Leaf && entity.parent.is_none_or(|parent| parent == 0);
        let small = entity.raw.len() <= 2 * limits.header_block_bytes;
        let body = (own && small && entity.content_type == "text/plain").then(|| entity.body())?;
        body.trim_ascii_start().starts_with(PROSE.as_bytes()).then_some((at, body))
    })?;
    let text = String::from_utf8_lossy(&body);
    let (prose, copy) = text.split_once(COPY).unwrap_or((&text, ""));
    let headers = copy.split_once('\n').map_or("", |(_, headers)| headers);
    let original = Original::from_message(headers.as_bytes(), limits, true);
    let line = |name: &str| {
        let mut pairs = prose.lines().filter_map(|line| line.split_once(':'));
        pairs.find(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let mut found = sender_of(mail);
    found.report_id = found.report_id.or_else(|| original.message_id());
    found.header_from = original.header_from();
    found.domain = line("Sender Domain").and_then(address::domain).or_else(|| found.header_from.clone());
    found.source_ip = line("Sender IP Address").and_then(source_ip::literal);
    found.arrived_at = line("Received date").and_then(date::mail).or(found.arrived_at);
    found.auth_failure = vec!["dmarc".to_owned()];
    found.authentication_results = original.headers.texts("Authentication-Results");
    found.message_id = original.message_id();
    found.subject = original.subject();
    found.sample_headers.clone_from(&original.sample);
    found.prose = Some(without_nul(bounded(prose.trim(), PROSE_BYTES)));
    found.warnings = vec![Warning::new("no-machine-part", "", "prose only (Exim); its named lines are read")];
    Some((at, found))
}

/// A report of which only the reporting mail is known.
fn sender_of(mail: &Mail<'_>) -> FailureReport {
    let header = |name: &str| mail.entities.first().and_then(|message| message.header(name));
    let from = header("From").map(|from| address::mailboxes(&from)).unwrap_or_default().into_iter().next();
    let name = from.as_ref().and_then(|from| from.name.as_deref()).map(decoded);
    let person = from.and_then(|from| from.address.ok());
    FailureReport {
        org_name: name.or_else(|| person.as_ref().map(|person| person.domain.clone())),
        org_email: person.map(|person| person.canonical()),
        report_id: header("Message-ID").map(|id| bare_message_id(&id).to_owned()).filter(|id| !id.is_empty()),
        domain: None,
        arrived_at: header("Date").and_then(|value| date::mail(&value)),
        auth_failure: Vec::new(),
        delivery_result: None,
        identity_alignment: None,
        alignment_semantics: AlignmentSemantics::Unknown,
        source_ip: None,
        source_port: None,
        incidents: 1,
        user_agent: None,
        version: None,
        reporting_mta: None,
        original_envelope_id: None,
        original_mail_from: None,
        original_rcpt_to: Vec::new(),
        authentication_results: Vec::new(),
        dkim_domain: None,
        dkim_identity: None,
        dkim_selector: None,
        spf_dns: Vec::new(),
        header_from: None,
        message_id: None,
        subject: None,
        sample_headers: None,
        prose: None,
        fields: Vec::new(),
        warnings: Vec::new(),
    }
}

/// Decides how `Identity-Alignment` is meant, by what the report's own authentication results say of each mechanism: one
/// that is named and passed aligned speaks for RFC 7489, one that is named and did not speaks for RFC 9991, and the other
/// way round for one that is not named. Where they contradict each other, or say nothing, it stays unknown.
fn semantics(report: &FailureReport, original: &Original) -> AlignmentSemantics {
    let Some(sent) = &report.identity_alignment else {
        return AlignmentSemantics::Unknown;
    };
    let named: Vec<String> = split_words(sent);
    let domain = report.header_from.as_ref().or(report.domain.as_ref());
    let Some(from) = domain.filter(|_| named.iter().any(|word| word == "dkim" || word == "spf")) else {
        return AlignmentSemantics::Unknown;
    };
    let own = report.authentication_results.iter().map(String::as_str);
    let results: Vec<_> =
        own.chain(original.headers.first("Authentication-Results")).map(authentication::parse).collect();
    let (mut old, mut new) = (false, false);
    for mechanism in ["dkim", "spf"] {
        let mut stated = results.iter().flat_map(|field| &field.results).filter(|r| r.method == mechanism).peekable();
        if stated.peek().is_none() {
            continue;
        }
        let passed = stated.any(|result| {
            let identity = result.identity().filter(|_| result.result == "pass");
            identity.is_some_and(|domain| authentication::is_aligned(&domain, from))
        });
        if passed == named.iter().any(|word| word == mechanism) { old = true } else { new = true }
    }
    match (old, new) {
        (true, false) => AlignmentSemantics::Rfc7489,
        (false, true) => AlignmentSemantics::Rfc9991,
        _ => AlignmentSemantics::Unknown,
    }
}

fn words(fields: &Fields, name: &str) -> Vec<String> {
    fields.all(name).flat_map(split_words).collect()
}

/// Words separated by commas or blanks, comments gone, lower case.
fn split_words(value: &str) -> Vec<String> {
    let value = without_comments(value).to_lowercase();
    let words = value.split([',', ';', ' ', '\t']).filter(|word| !word.is_empty());
    words.map(|word| bounded(word, 100).to_owned()).collect()
}

fn unbracketed(sent: &str) -> String {
    let sent = sent.trim();
    sent.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(sent).to_owned()
}
