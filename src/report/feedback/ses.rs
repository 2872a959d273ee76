//! Complaint notifications of Amazon SES over SNS: JSON by web hook, or as the text of a mail.
//!
//! SES names the complainer only where the mailbox provider does; else it lists everybody in that provider's domain to
//! whom the mail went. Several names are therefore candidates, not complainers.

use std::borrow::Cow;

use serde::Deserialize;

use super::{Complaint, FeedbackType, recipient};
use crate::limits::Limits;
use crate::mail::{Kind, Mail};
use crate::problem::{Refusal, Warning};
use crate::report::text::bounded;
use crate::report::{address, date};

/// A notification is at most 256 KiB (SNS), its envelope doubles that at worst.
const NOTIFICATION_BYTES: usize = 1 << 20;

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "Message")]
    message: Option<String>,
}

#[derive(Deserialize)]
struct Notification {
    #[serde(rename = "notificationType", alias = "eventType")]
    kind: String,
    complaint: Option<ComplaintObject>,
    mail: Option<MailObject>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ComplaintObject {
    #[serde(default)]
    complained_recipients: Vec<RecipientObject>,
    timestamp: Option<String>,
    arrival_date: Option<String>,
    feedback_id: Option<String>,
    user_agent: Option<String>,
    complaint_feedback_type: Option<String>,
    complaint_sub_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecipientObject {
    email_address: Option<String>,
}

/// The mail that a notification is about.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::report) struct MailObject {
    /// When SES took it.
    pub(in crate::report) timestamp: Option<String>,
    /// Its envelope sender.
    pub(in crate::report) source: Option<String>,
    source_ip: Option<String>,
    message_id: Option<String>,
    headers: Vec<HeaderObject>,
}

#[derive(Deserialize)]
struct HeaderObject {
    name: String,
    value: String,
}

impl MailObject {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value.as_str())
    }

    /// The domain it was sent as.
    pub(in crate::report) fn sent_as(&self) -> Option<String> {
        self.header("From").or(self.source.as_deref()).and_then(address::from_domain)
    }

    /// Its subject, decoded.
    pub(in crate::report) fn subject(&self) -> Option<String> {
        self.header("Subject").map(|subject| bounded(&super::original::decoded(subject), 512).to_owned())
    }

    /// Its Message-ID, else the name SES has for it.
    pub(in crate::report) fn message_id(&self) -> Option<String> {
        let id = self.header("Message-ID").or(self.message_id.as_deref())?;
        Some(bounded(recipient::bare_message_id(id), 1000).to_owned())
    }
}

/// Reads a complaint from a mail whose text is a notification; `None` for any other mail.
pub(super) fn read_mail(mail: &Mail<'_>, limits: &Limits) -> Option<(usize, Result<Complaint, Refusal>)> {
    texts(mail).find_map(|(at, body)| Some((at, read(&body, limits)?)))
}

/// The parts of a mail in which a notification may stand.
pub(in crate::report) fn texts<'m>(mail: &'m Mail<'_>) -> impl Iterator<Item = (usize, Cow<'m, [u8]>)> {
    let text = |(_, entity): &(usize, &crate::mail::Entity<'_>)| {
        let root_or_child = entity.parent.is_none_or(|parent| parent == 0);
        entity.kind == Kind::Leaf
            && root_or_child
            && matches!(entity.content_type.as_str(), "text/plain" | "application/json")
            && entity.raw.len() <= 2 * NOTIFICATION_BYTES
    };
    mail.entities.iter().enumerate().filter(text).map(|(at, entity)| (at, entity.body()))
}

/// Reads a complaint notification; `None` for any other text, other notifications of SES included.
///
/// # Errors
/// More recipients than `complaint_recipients`.
pub fn read(json: &[u8], limits: &Limits) -> Option<Result<Complaint, Refusal>> {
    let notification: Notification = parse(json)?;
    if !notification.kind.eq_ignore_ascii_case("complaint") {
        return None;
    }
    let mail = notification.mail.unwrap_or_default();
    Some(complaint(notification.complaint?, mail, limits))
}

/// A notification, by itself or in the envelope of SNS.
pub(in crate::report) fn parse<T: for<'de> Deserialize<'de>>(json: &[u8]) -> Option<T> {
    if json.len() > 2 * NOTIFICATION_BYTES {
        return None;
    }
    // No text of a notification holds NUL, which readers of the database would cut it at.
    let text = std::str::from_utf8(json).ok()?.replace("\\u0000", "\\ufffd");
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if !text.starts_with('{') || text.len() > NOTIFICATION_BYTES {
        return None;
    }
    if let Some(notification) = first_value::<T>(text) {
        return Some(notification);
    }
    let envelope: Envelope = first_value(text)?;
    first_value(&envelope.message?)
}

/// The first JSON value of a text: as it is, else mended where a mail server broke lines over 998 bytes (`!`, line feed,
/// blank, within `sim!\n ulator`), else with every line break taken out. Text behind it (SNS' footer) is left.
fn first_value<T: for<'de> Deserialize<'de>>(text: &str) -> Option<T> {
    let read = |text: &str| serde_json::Deserializer::from_str(text).into_iter::<T>().next().and_then(Result::ok);
    let mended = |breaks: &str| Cow::<str>::Owned(text.replace("\r\n", "\n").replace(breaks, ""));
    read(text).or_else(|| read(&mended("!\n "))).or_else(|| read(&mended("\n")))
}

fn complaint(object: ComplaintObject, mail: MailObject, limits: &Limits) -> Result<Complaint, Refusal> {
    let mut warnings = Vec::new();
    let kind = match object.complaint_feedback_type.as_deref() {
        Some(word) => FeedbackType::parse(bounded(word, 100)),
        None => {
            let text = "missing; SES sends complaints of abuse so";
            warnings.push(Warning::new("feedback-type", "complaintFeedbackType", text));
            FeedbackType::Abuse
        }
    };
    let mut found = Complaint::new(kind);
    found.provider = Some("amazon-ses");
    let sent = object.complained_recipients.iter().take(10 * limits.complaint_recipients);
    let people = sent.filter_map(|person| recipient::judge(person.email_address.as_deref()?, "ses", None)).collect();
    found.recipients = recipient::unique(people, limits, &mut warnings)?;
    if found.recipients.len() > 1 {
        let text = "several names: SES lists everybody whom that provider may have meant";
        warnings.push(Warning::new("recipient-ambiguous", "complainedRecipients", text));
    }
    let time = |text: &Option<String>| text.as_deref().and_then(date::mail);
    found.arrived_at = time(&object.arrival_date).or_else(|| time(&object.timestamp));
    found.sent_at = time(&mail.timestamp);
    found.header_from = mail.sent_as();
    found.subject = mail.subject();
    found.message_id = mail.message_id();
    found.fields = listed(&object, &mail);
    found.user_agent = object.user_agent;
    found.original_mail_from = mail.source;
    found.warnings = warnings;
    Ok(found)
}

/// The notification's own words, so that nothing said is lost. `mail.sourceIp` is whoever handed the mail to SES, not the
/// address it was sent from, and so no `Source-IP`.
fn listed(object: &ComplaintObject, mail: &MailObject) -> Vec<(String, String)> {
    let pairs = [
        ("complaint.feedbackId", &object.feedback_id),
        ("complaint.timestamp", &object.timestamp),
        ("complaint.arrivalDate", &object.arrival_date),
        ("complaint.userAgent", &object.user_agent),
        ("complaint.complaintFeedbackType", &object.complaint_feedback_type),
        ("complaint.complaintSubType", &object.complaint_sub_type),
        ("mail.timestamp", &mail.timestamp),
        ("mail.source", &mail.source),
        ("mail.sourceIp", &mail.source_ip),
        ("mail.messageId", &mail.message_id),
    ];
    let said = pairs.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    said.map(|(name, value)| (name.to_owned(), bounded(value, 1000).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Code;

    const COMPLAINT: &str = r#"{"notificationType":"Complaint","complaint":{"complainedRecipients":[{"emailAddress":"a@isp.example"}],
        "arrivalDate":"2016-11-25T01:49:01.000Z","complaintFeedbackType":"abuse"},"mail":{"source":"News@Sender.example",
        "headers":[{"name":"Message-ID","value":"<m1@sender.example>"}],"messageId":"x-1"}}"#;

    fn found(text: &str) -> Complaint {
        read(text.as_bytes(), &Limits::default()).expect("a complaint").expect("within bounds")
    }

    #[test]
    fn notifications_however_they_come() {
        let plain = found(COMPLAINT);
        assert_eq!(plain.recipients[0].address.as_deref(), Some("a@isp.example"));
        assert_eq!(plain.arrived_at, Some(1_480_038_541));
        assert_eq!(plain.header_from.as_deref(), Some("sender.example"));
        assert_eq!(plain.message_id.as_deref(), Some("m1@sender.example"));
        assert_eq!(found(&COMPLAINT.replace("isp.ex", "isp!\n .ex")), plain);
        assert_eq!(found(&COMPLAINT.replace("isp.ex", "isp\r\n.ex")), plain);
        assert_eq!(found(&format!("{COMPLAINT}\n\n--\nIf you wish to stop")), plain);
        assert_eq!(found(&COMPLAINT.replace("notificationType", "eventType")), plain);
        let envelope = serde_json::json!({"Type": "Notification", "Message": COMPLAINT}).to_string();
        assert_eq!(found(&envelope), plain);
    }

    #[test]
    fn several_names_are_candidates() {
        let two = COMPLAINT.replace(
            r#"{"emailAddress":"a@isp.example"}"#,
            r#"{"emailAddress":"a@isp.example"},{"emailAddress":"b@isp.example"}"#,
        );
        assert!(found(&two).warnings.iter().any(|warning| warning.code == "recipient-ambiguous"));
        let many = (0..11).map(|n| format!(r#"{{"emailAddress":"u{n}@isp.example"}}"#)).collect::<Vec<_>>().join(",");
        let many = COMPLAINT.replace(r#"{"emailAddress":"a@isp.example"}"#, &many);
        let refusal = read(many.as_bytes(), &Limits::default()).expect("a complaint").expect_err("too many");
        assert_eq!(refusal.code, Code::TooManyRecipients);
    }

    #[test]
    fn what_is_no_complaint() {
        let check = |text: &str| assert!(read(text.as_bytes(), &Limits::default()).is_none(), "{text}");
        check("");
        check("{}");
        check("hello");
        check(&COMPLAINT.replace("\"Complaint\"", "\"Delivery\""));
        check(&"[".repeat(100_000));
        check(&format!("{{\"a\":{}", "[".repeat(100_000)));
    }
}
