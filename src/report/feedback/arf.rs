//! The Abuse Reporting Format (RFC 5965): a `message/feedback-report` part. Its `Feedback-Type` decides whether it is a
//! complaint or a failure report.

use super::fields::{Fields, report_part};
use super::original::Original;
use super::{Complaint, Feedback, FeedbackType, provider, recipient, source_ip};
use crate::limits::Limits;
use crate::mail::Mail;
use crate::problem::{Code, Refusal, Warning};
use crate::report::address::{self, Address};
use crate::report::text::{bounded, without_comments};
use crate::report::{date, failure};

/// Fields that may stand once (RFC 5965, section 3.1 and 3.2; RFC 6591, section 3).
const ONCE: [&str; 12] = [
    "User-Agent",
    "Version",
    "Original-Envelope-Id",
    "Original-Mail-From",
    "Arrival-Date",
    "Received-Date",
    "Reporting-MTA",
    "Source-IP",
    "Source-Port",
    "Incidents",
    "Auth-Failure",
    "Identity-Alignment",
];

/// Reads the feedback report whose machine part is entity `at`.
pub(super) fn read(mail: &Mail<'_>, at: usize, limits: &Limits) -> Result<Feedback, Refusal> {
    let body = mail.entities.get(at).map(|entity| entity.body()).unwrap_or_default();
    let (fields, mut warnings) = report_part(&body, limits)?;
    refuse_contradictions(&fields)?;
    container_warnings(mail, at, &mut warnings);
    field_warnings(&fields, &mut warnings);
    let mut about_kind = Vec::new();
    let kind = kind(&fields, &mut about_kind);
    let original = Original::of(mail, at, limits, kind.is_none());
    if !original.is_present() {
        warnings.push(Warning::new("original-missing", "", "no headers of the mail that is reported"));
    }
    warnings.append(&mut about_kind);
    match kind {
        None => Ok(Feedback::Failure(Box::new(failure::from_fields(mail, fields, &original, warnings)))),
        Some(kind) => {
            let complaint = complaint(mail, kind, fields, &original, limits, warnings)?;
            Ok(Feedback::Complaint(Box::new(complaint)))
        }
    }
}

/// The type of a complaint; `None` for a failure report.
fn kind(fields: &Fields, warnings: &mut Vec<Warning>) -> Option<FeedbackType> {
    let Some(sent) = fields.all("Feedback-Type").next() else {
        if fields.has("Auth-Failure") {
            warnings.push(Warning::new("feedback-type", "Feedback-Type", "missing; Auth-Failure says what it is"));
            return None;
        }
        warnings.push(Warning::new("feedback-type", "Feedback-Type", "missing"));
        return Some(FeedbackType::Unknown(String::new()));
    };
    let text = without_comments(sent);
    let word = text.trim().split([' ', '\t', ';']).next().unwrap_or_default();
    if word != text.trim() {
        let text = format!("more than a type, its first word is taken: {}", bounded(sent, 80));
        warnings.push(Warning::new("feedback-type", "Feedback-Type", text));
    }
    // `dmarc` is no registered type; some reporters send it for a DMARC failure.
    let failure = word.eq_ignore_ascii_case("auth-failure") || word.eq_ignore_ascii_case("dmarc");
    if failure {
        return None;
    }
    let kind = FeedbackType::parse(bounded(word, 100));
    if let FeedbackType::Unknown(word) = &kind {
        warnings.push(Warning::new("feedback-type", "Feedback-Type", format!("unknown: `{word}`")));
    }
    Some(kind)
}

fn complaint(
    mail: &Mail<'_>,
    kind: FeedbackType,
    fields: Fields,
    original: &Original,
    limits: &Limits,
    mut warnings: Vec<Warning>,
) -> Result<Complaint, Refusal> {
    let mut found = Complaint::new(kind);
    found.recipients = recipient::resolve(&fields, &original.headers, limits, &mut warnings)?;
    found.describe(original);
    let message = mail.entities.first();
    let from = message.and_then(|entity| entity.header("From")).and_then(|text| Address::parse_field(&text).ok());
    found.provider = message.and_then(|entity| provider::recognise(fields.first("User-Agent"), entity, from.as_ref()));
    found.provider_source = provider::source(found.provider, &fields);
    let stated = source_ip::stated(&fields, &mut warnings);
    let source = stated.or_else(|| source_ip::derived(found.provider, &original.headers));
    (found.source_ip, found.source_ip_via) = (source.map(|(ip, _)| ip), source.map(|(_, via)| via));
    found.message_id = found.message_id.or_else(|| reported_message_id(&fields));
    found.arrived_at = arrived_at(&fields, &mut warnings);
    found.incidents = incidents(&fields, &mut warnings);
    found.source_port = fields.first("Source-Port").and_then(|port| port.parse().ok());
    found.user_agent = fields.text("User-Agent");
    found.version = fields.text("Version");
    found.original_envelope_id = fields.text("Original-Envelope-Id");
    found.original_mail_from = mail_from(&fields);
    found.reporting_mta = fields.text("Reporting-MTA");
    found.reported_domains = reported_domains(&fields);
    found.reported_uris = fields.texts("Reported-URI");
    found.authentication_results = fields.texts("Authentication-Results");
    found.fields = fields.0;
    found.warnings = warnings;
    Ok(found)
}

/// RFC 5965, section 3.2 and 8.9: two dates, or two types, are a contradiction that a reader must not resolve by taste.
fn refuse_contradictions(fields: &Fields) -> Result<(), Refusal> {
    let malformed = |reason: &str| Err(Refusal::new(Code::Malformed, reason));
    if fields.0.is_empty() {
        return malformed("feedback report without a field");
    }
    if fields.has("Arrival-Date") && fields.has("Received-Date") {
        return malformed("both Arrival-Date and Received-Date (RFC 5965, section 3.2)");
    }
    let mut types = fields.all("Feedback-Type");
    let first = types.next();
    if first.is_some_and(|first| types.any(|other| !other.eq_ignore_ascii_case(first))) {
        return malformed("several values of Feedback-Type");
    }
    Ok(())
}

fn container_warnings(mail: &Mail<'_>, at: usize, warnings: &mut Vec<Warning>) {
    let Some(part) = mail.entities.get(at) else {
        return;
    };
    let parent = part.parent.and_then(|parent| mail.entities.get(parent));
    if parent.is_none_or(|parent| parent.content_type != "multipart/report") {
        let within = parent.map_or("no multipart", |parent| parent.content_type.as_str());
        warnings.push(Warning::new("container", part.path.clone(), format!("in {within}, not in multipart/report")));
    }
    if !matches!(part.transfer_encoding.as_str(), "" | "7bit" | "8bit" | "binary") {
        let text = format!("{} where only 7bit is allowed", bounded(&part.transfer_encoding, 40));
        warnings.push(Warning::new("transfer-encoding", part.path.clone(), text));
    }
    let more = mail.entities.iter().skip(at + 1);
    if more.filter(|other| other.parent == part.parent && other.content_type == part.content_type).count() > 0 {
        warnings.push(Warning::new("several-reports", part.path.clone(), "more feedback reports follow, not read"));
    }
}

fn field_warnings(fields: &Fields, warnings: &mut Vec<Warning>) {
    match fields.first("Version") {
        // `0.1` is the drafts', which AOL and Yahoo never left; two thirds of real reports have one of the two others.
        Some("1" | "0.1" | "1.0") => {}
        Some(other) => warnings.push(Warning::new("version", "Version", format!("`{}`, not 1", bounded(other, 20)))),
        None => warnings.push(Warning::new("version", "Version", "missing")),
    }
    if !fields.has("User-Agent") {
        warnings.push(Warning::new("user-agent", "User-Agent", "missing"));
    }
    for name in ONCE {
        if fields.all(name).nth(1).is_some() {
            warnings.push(Warning::new("field-repeated", name, "more than once, the first is taken"));
        }
    }
}

/// `Arrival-Date`, or `Received-Date` as drafts called it (accepted by RFC 5965, section 3.2).
pub(in crate::report) fn arrived_at(fields: &Fields, warnings: &mut Vec<Warning>) -> Option<i64> {
    let sent = fields.first("Arrival-Date").or_else(|| fields.first("Received-Date"))?;
    let found = date::mail(sent);
    if found.is_none() {
        warnings.push(Warning::new("arrival-date", "Arrival-Date", format!("no date: {}", bounded(sent, 80))));
    }
    found
}

/// `Incidents`: a number that fits 32 bits, capped. What is none counts once and never more.
pub(in crate::report) fn incidents(fields: &Fields, warnings: &mut Vec<Warning>) -> u32 {
    let Some(sent) = fields.first("Incidents") else {
        return 1;
    };
    let text = without_comments(sent);
    let number = text.trim().parse::<u32>().ok().filter(|n| *n > 0);
    let counted = number.unwrap_or(1).min(Complaint::MAX_INCIDENTS);
    if number != Some(counted) {
        let text = format!("`{}` is counted as {counted}", bounded(sent, 40));
        warnings.push(Warning::new("incidents", "Incidents", text));
    }
    counted
}

/// `Original-Mail-From` without brackets. An empty field says nothing; `<>` says that there was no sender.
pub(in crate::report) fn mail_from(fields: &Fields) -> Option<String> {
    let sent = fields.first("Original-Mail-From")?;
    let text = without_comments(sent);
    let text = text.trim();
    Some(text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(text).to_owned())
}

/// Every `Reported-Domain`, canonical where it is a name, else as sent.
pub(in crate::report) fn reported_domains(fields: &Fields) -> Vec<String> {
    let sent = fields.all("Reported-Domain").filter(|value| !value.is_empty());
    sent.map(|value| address::domain(value).unwrap_or_else(|| value.to_owned())).collect()
}

/// A Message-ID of the original in the machine part (Comcast, LinkedIn).
pub(in crate::report) fn reported_message_id(fields: &Fields) -> Option<String> {
    let sent = fields.first("Original-Message-ID").or_else(|| fields.first("Message-ID"))?;
    let id = recipient::bare_message_id(sent);
    (!id.is_empty()).then(|| id.to_owned())
}
