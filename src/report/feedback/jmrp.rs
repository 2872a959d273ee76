//! Microsoft's Junk Mail Reporting Program as it was before June 2026: the reported mail in `multipart/mixed`, or with some
//! fields put in front of its own headers, and no machine part at all. What it reports is abuse.

use std::net::IpAddr;

use super::fields::Fields;
use super::original::Original;
use super::{Complaint, FeedbackType, recipient, source_ip};
use crate::limits::Limits;
use crate::mail::Mail;
use crate::problem::{Refusal, Warning};
use crate::report::address::Address;

/// The field in which Microsoft names the person who complained.
const RECIPIENT: &str = "X-HmXmrOriginalRecipient";

/// Reads a complaint of this form; `None` for any other mail.
pub(super) fn read(mail: &Mail<'_>, limits: &Limits) -> Option<(usize, Result<Complaint, Refusal>)> {
    let message = mail.entities.first()?;
    if message.header(RECIPIENT).is_some() {
        let headers =
            message.headers.iter().map(|h| (h.name.to_string(), h.value.replace(['\r', '\n'], "").trim().to_owned()));
        let original = Original { headers: Fields(headers.collect()), sample: None };
        return Some((0, complaint(None, &original, limits)));
    }
    let (at, part) = mail
        .entities
        .iter()
        .enumerate()
        .find(|(_, part)| part.content_type == "message/rfc822" && part.parent == Some(0))?;
    let original = Original::from_part(mail, at, part, limits, false);
    let named = original.headers.has(RECIPIENT);
    let ip = message.header("Subject").and_then(|subject| subject_ip(&subject));
    let from = message.header("From").and_then(|text| Address::parse_field(&text).ok());
    let staff = from.is_some_and(|from| from.folded() == "staff@hotmail.com");
    let is_complaint = (ip.is_some() && (named || staff)) || (staff && named);
    is_complaint.then(|| (at, complaint(ip, &original, limits)))
}

fn complaint(subject: Option<IpAddr>, original: &Original, limits: &Limits) -> Result<Complaint, Refusal> {
    let mut found = Complaint::new(FeedbackType::Abuse);
    let mut warnings = vec![Warning::new("jmrp-legacy", "", "no machine part; taken as a complaint of abuse")];
    found.provider = Some("microsoft");
    found.recipients = recipient::resolve(&Fields::default(), &original.headers, limits, &mut warnings)?;
    found.describe(original);
    let stated = subject.map(|ip| (ip, "subject"));
    let source = stated.or_else(|| source_ip::derived(found.provider, &original.headers));
    (found.source_ip, found.source_ip_via) = (source.map(|(ip, _)| ip), source.map(|(_, via)| via));
    found.authentication_results = original.headers.texts("Authentication-Results").into_iter().take(1).collect();
    found.warnings = warnings;
    Ok(found)
}

/// `complaint about message from 192.0.2.222`, with one blank or two.
fn subject_ip(subject: &str) -> Option<IpAddr> {
    let words: Vec<&str> = subject.split_ascii_whitespace().collect();
    match &words[..] {
        [.., complaint, "about", "message", "from", ip] if complaint.eq_ignore_ascii_case("complaint") => {
            source_ip::literal(ip)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects() {
        let check = |subject: &str, expected: Option<&str>| {
            assert_eq!(subject_ip(subject).map(|ip| ip.to_string()).as_deref(), expected, "{subject}");
        };
        check("complaint about message from 192.0.2.222", Some("192.0.2.222"));
        check(" complaint about message from  192.0.2.222", Some("192.0.2.222"));
        check("complaint about message from 2001:db8::1", Some("2001:db8::1"));
        check("complaint about message from you", None);
        check("complaint", None);
    }
}
