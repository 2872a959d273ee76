//! Bounce notifications of Amazon SES over SNS: JSON by web hook, or as the text of a mail.
//! <https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html#bounce-object>

use serde::Deserialize;

use super::status::in_diagnostic;
use super::{Action, Bounce, Outcome, StatusCode};
use crate::limits::Limits;
use crate::mail::Mail;
use crate::problem::{Code, Refusal, Warning};
use crate::report::date;
use crate::report::feedback::recipient::judge;
use crate::report::feedback::ses::{self, MailObject};
use crate::report::text::bounded;

#[derive(Deserialize)]
struct Notification {
    #[serde(rename = "notificationType", alias = "eventType")]
    kind: String,
    bounce: Option<BounceObject>,
    mail: Option<MailObject>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BounceObject {
    bounce_type: Option<String>,
    bounce_sub_type: Option<String>,
    #[serde(default)]
    bounced_recipients: Vec<RecipientObject>,
    timestamp: Option<String>,
    feedback_id: Option<String>,
    #[serde(rename = "reportingMTA")]
    reporting_mta: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecipientObject {
    email_address: Option<String>,
    action: Option<String>,
    status: Option<String>,
    diagnostic_code: Option<String>,
}

/// Reads a bounce from a mail whose text is a notification; `None` for any other mail.
pub(in crate::report) fn read_mail(mail: &Mail<'_>, limits: &Limits) -> Option<(usize, Result<Bounce, Refusal>)> {
    ses::texts(mail).find_map(|(at, body)| Some((at, read(&body, limits)?)))
}

/// Reads a bounce notification; `None` for any other text, other notifications of SES included.
///
/// # Errors
/// More recipients than `bounce_recipients`, or none.
pub fn read(json: &[u8], limits: &Limits) -> Option<Result<Bounce, Refusal>> {
    let notification: Notification = ses::parse(json)?;
    if !notification.kind.eq_ignore_ascii_case("bounce") {
        return None;
    }
    Some(bounce(notification.bounce?, &notification.mail.unwrap_or_default(), limits))
}

fn bounce(object: BounceObject, mail: &MailObject, limits: &Limits) -> Result<Bounce, Refusal> {
    if object.bounced_recipients.is_empty() {
        return Err(Refusal::new(Code::Malformed, "bounce notification without bouncedRecipients"));
    }
    if object.bounced_recipients.len() > limits.bounce_recipients {
        let reason = format!("tells about more than {} recipients", limits.bounce_recipients);
        return Err(Refusal::new(Code::TooManyRecipients, reason));
    }
    let mut warnings = Vec::new();
    let fields = listed(&object);
    let people = &object.bounced_recipients;
    let recipients = people.iter().filter_map(|person| outcome(&object, person, &mut warnings)).collect();
    Ok(Bounce {
        provider: Some("amazon-ses"),
        reporting_mta: object.reporting_mta.as_deref().map(|mta| name_of(mta).to_owned()),
        original_envelope_id: None,
        arrived_at: mail.timestamp.as_deref().and_then(date::mail),
        told_at: object.timestamp.as_deref().and_then(date::mail),
        recipients,
        header_from: mail.sent_as(),
        message_id: mail.message_id(),
        subject: mail.subject(),
        sent_at: mail.timestamp.as_deref().and_then(date::mail),
        list_id: None,
        dkim_signatures: Vec::new(),
        tokens: Vec::new(),
        fields,
        warnings,
    })
}

fn outcome(object: &BounceObject, person: &RecipientObject, warnings: &mut Vec<Warning>) -> Option<Outcome> {
    let sent = person.email_address.as_deref()?;
    let recipient = judge(sent, "ses", None)?;
    if recipient.address.is_none() {
        let text = format!("names no usable address: {}", bounded(&recipient.spelled, 80));
        warnings.push(Warning::new("recipient", "bouncedRecipients", text));
    }
    let diagnostic = person.diagnostic_code.as_deref().map(|sent| bounded(name_of(sent), 1000).to_owned());
    let stated = person.status.as_deref().and_then(|status| StatusCode::parse(status.trim()));
    let told = diagnostic.as_deref().and_then(in_diagnostic);
    Some(Outcome {
        recipient,
        final_recipient: Some(bounded(sent, 512).to_owned()),
        // Where SES says no action, the notification itself says that it has failed.
        action: Some(person.action.as_deref().map_or(Action::Failed, |word| Action::parse(bounded(word.trim(), 40)))),
        status: match (stated, told) {
            (Some(stated), Some(told)) if stated.is_vague() && stated.class == told.class => Some(told),
            (stated, told) => stated.or(told),
        },
        permanent: permanent(object),
        source_ip: diagnostic.as_deref().and_then(super::refused::source_ip),
        diagnostic,
        remote_mta: None,
        last_attempt_at: None,
        will_retry_until: None,
        fields: Vec::new(),
    })
}

/// `Permanent` for an address or mailbox, `Transient`; `None` where SES says something about the message.
fn permanent(object: &BounceObject) -> Option<bool> {
    let word = |text: &Option<String>| text.as_deref().unwrap_or_default().to_ascii_lowercase();
    match (word(&object.bounce_type).as_str(), word(&object.bounce_sub_type).as_str()) {
        ("permanent", "general" | "noemail" | "suppressed" | "onaccountsuppressionlist") => Some(true),
        ("transient", "general" | "mailboxfull") => Some(false),
        _ => None,
    }
}

/// `dns; name` and `smtp; text` without the type.
fn name_of(text: &str) -> &str {
    text.split_once(';').map_or(text, |(_, name)| name).trim()
}

fn listed(object: &BounceObject) -> Vec<(String, String)> {
    let pairs = [
        ("bounce.feedbackId", &object.feedback_id),
        ("bounce.bounceType", &object.bounce_type),
        ("bounce.bounceSubType", &object.bounce_sub_type),
        ("bounce.timestamp", &object.timestamp),
        ("bounce.reportingMTA", &object.reporting_mta),
    ];
    let said = pairs.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    said.map(|(name, value)| (name.to_owned(), bounded(value, 1000).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNCE: &str = r#"{"notificationType":"Bounce","bounce":{"bounceType":"Permanent","bounceSubType":"General",
        "bouncedRecipients":[{"emailAddress":"a@isp.example","action":"failed","status":"5.0.0","diagnosticCode":"smtp; 550 5.1.1 unknown"}],
        "timestamp":"2016-11-25T01:49:01.000Z","reportingMTA":"dns; a.amazonses.com"},"mail":{"source":"News@Sender.example",
        "headers":[{"name":"Message-ID","value":"<m1@sender.example>"}],"messageId":"x-1"}}"#;

    fn found(text: &str) -> Bounce {
        read(text.as_bytes(), &Limits::default()).expect("a bounce").expect("within bounds")
    }

    #[test]
    fn notifications_however_they_come() {
        let plain = found(BOUNCE);
        let one = &plain.recipients[0];
        assert_eq!(one.recipient.address.as_deref(), Some("a@isp.example"));
        assert_eq!(one.status.map(|code| code.to_string()).as_deref(), Some("5.1.1"));
        assert_eq!((&one.action, one.permanent), (&Some(Action::Failed), Some(true)));
        assert_eq!((plain.told_at, plain.reporting_mta.as_deref()), (Some(1_480_038_541), Some("a.amazonses.com")));
        assert_eq!(plain.message_id.as_deref(), Some("m1@sender.example"));
        assert_eq!(plain.header_from.as_deref(), Some("sender.example"));
        let envelope = serde_json::json!({"Type": "Notification", "Message": BOUNCE}).to_string();
        assert_eq!(found(&envelope), plain);
        assert_eq!(found(&BOUNCE.replace("notificationType", "eventType")), plain);
    }

    #[test]
    fn what_ses_calls_permanent() {
        let check = |kind: &str, sub: &str, expected: Option<bool>| {
            let text =
                BOUNCE.replace("\"Permanent\"", &format!("{kind:?}")).replace("\"General\"", &format!("{sub:?}"));
            assert_eq!(found(&text).recipients[0].permanent, expected, "{kind} {sub}");
        };
        check("Permanent", "NoEmail", Some(true));
        check("Permanent", "OnAccountSuppressionList", Some(true));
        check("Permanent", "ContentRejected", None);
        check("Transient", "MailboxFull", Some(false));
        check("Transient", "MessageTooLarge", None);
        check("Undetermined", "Undetermined", None);
    }

    #[test]
    fn what_is_no_bounce() {
        let check = |text: &str| assert!(read(text.as_bytes(), &Limits::default()).is_none(), "{text}");
        check("{}");
        check(&BOUNCE.replace("\"Bounce\"", "\"Complaint\""));
        let empty = BOUNCE.replace(r#"{"emailAddress":"a@isp.example","action":"failed","status":"5.0.0","diagnosticCode":"smtp; 550 5.1.1 unknown"}"#, "");
        assert_eq!(
            read(empty.as_bytes(), &Limits::default()).and_then(Result::err).map(|r| r.code),
            Some(Code::Malformed)
        );
    }
}
