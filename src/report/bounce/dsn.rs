//! The machine part of a delivery status notification: a group of fields about the mail, then one for each recipient.
//! Groups are told apart by blank lines (RFC 3464, section 2.1), and where those are missing or too many, by the fields.

use std::collections::HashSet;

use super::refused::source_ip;
use super::status::{StatusCode, in_diagnostic};
use super::{Action, Bounce, Outcome};
use crate::limits::Limits;
use crate::mail::Mail;
use crate::problem::{Code, Refusal, Warning};
use crate::report::address::{self, Address};
use crate::report::date;
use crate::report::feedback::fields::{Fields, report_part};
use crate::report::feedback::original::Original;
use crate::report::feedback::recipient::{bare_message_id, judge};
use crate::report::feedback::{Recipient, RecipientStatus, token};
use crate::report::text::{bounded, without_comments};

/// Bytes of a diagnostic that are kept.
const DIAGNOSTIC_BYTES: usize = 1000;
/// Bytes of any other single value that are kept.
const VALUE_BYTES: usize = 512;

/// The fields that name a recipient, best first.
const RECIPIENTS: [(&str, &str); 3] = [
    ("Original-Recipient", "original-recipient"),
    ("Final-Recipient", "final-recipient"),
    ("X-Actual-Recipient", "x-actual-recipient"),
];

/// Fields that only a recipient's group has.
const PER_RECIPIENT: [&str; 7] =
    ["Action", "Status", "Remote-MTA", "Diagnostic-Code", "Last-Attempt-Date", "Final-Log-ID", "Will-Retry-Until"];

/// Reads the notification whose machine part is entity `at`.
///
/// # Errors
/// A field or the part over its bound, more groups than `bounce_recipients`, or no group about any recipient.
pub(in crate::report) fn read(mail: &Mail<'_>, at: usize, limits: &Limits) -> Result<Bounce, Refusal> {
    let part = mail.entities.get(at);
    let body = part.map(|entity| entity.body()).unwrap_or_default();
    let mut warnings = Vec::new();
    let (about_mail, groups) = groups(&body, limits, &mut warnings)?;
    if groups.is_empty() {
        return Err(Refusal::new(Code::Malformed, "delivery status without a recipient (RFC 3464, section 2.1)"));
    }
    container_warnings(mail, at, &mut warnings);
    let original = Original::of(mail, at, limits, false);
    if !original.is_present() {
        warnings.push(Warning::new("original-missing", "", "no headers of the mail that bounced"));
    }
    let message_id = original.message_id().or_else(|| stated_message_id(&about_mail));
    let recipients = groups.into_iter().map(|group| outcome(group, message_id.as_deref(), &mut warnings)).collect();
    let reporting_mta = about_mail.first("Reporting-MTA").map(untyped);
    if reporting_mta.is_none() {
        warnings.push(Warning::new("reporting-mta", "Reporting-MTA", "missing"));
    }
    Ok(Bounce {
        provider: None,
        reporting_mta,
        original_envelope_id: about_mail.text("Original-Envelope-Id"),
        arrived_at: time(&about_mail, "Arrival-Date", "arrival-date", &mut warnings),
        told_at: None,
        recipients: unique(recipients),
        header_from: original.header_from(),
        message_id,
        subject: original.subject(),
        sent_at: original.sent_at(),
        list_id: original.list_id(),
        dkim_signatures: original.dkim_signatures(),
        tokens: token::all(&original.headers),
        fields: about_mail.0,
        warnings,
    })
}

/// The fields about the mail, and those of each recipient.
fn groups(body: &[u8], limits: &Limits, warnings: &mut Vec<Warning>) -> Result<(Fields, Vec<Fields>), Refusal> {
    if body.len() > limits.header_block_bytes {
        let reason = format!("delivery status over {} bytes", limits.header_block_bytes);
        return Err(Refusal::new(Code::Headers, reason));
    }
    let mut about_mail = Fields::default();
    let mut people: Vec<Fields> = Vec::new();
    for block in blocks(body) {
        let (fields, found) = report_part(block, limits)?;
        warnings.extend(found);
        for (nth, field) in fields.0.into_iter().enumerate() {
            let full = people.len() == limits.bounce_recipients;
            match people.last_mut() {
                Some(group) if !begins(group, &field.0, nth == 0) => {
                    if group.0.len() == limits.feedback_fields {
                        let reason = format!("more than {} fields about one recipient", limits.feedback_fields);
                        return Err(Refusal::new(Code::TooManyFields, reason));
                    }
                    group.0.push(field);
                }
                None if !is_per_recipient(&field.0) => about_mail.0.push(field),
                _ if full => {
                    let reason = format!("tells about more than {} recipients", limits.bounce_recipients);
                    return Err(Refusal::new(Code::TooManyRecipients, reason));
                }
                _ => people.push(Fields(vec![field])),
            }
        }
    }
    Ok((about_mail, people))
}

/// Whether a field begins a new recipient rather than going on with `group`.
fn begins(group: &Fields, name: &str, after_blank: bool) -> bool {
    let names_someone = is_recipient(name);
    let judged = group.has("Action") || group.has("Status");
    (names_someone && group.has(name)) || (names_someone && after_blank && judged)
}

fn is_recipient(name: &str) -> bool {
    RECIPIENTS.iter().take(2).any(|(known, _)| known.eq_ignore_ascii_case(name))
}

fn is_per_recipient(name: &str) -> bool {
    is_recipient(name) || PER_RECIPIENT.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Runs of lines that are not blank.
fn blocks(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let ending = if body.contains(&b'\n') { b'\n' } else { b'\r' };
    let mut rest = body;
    std::iter::from_fn(move || {
        let mut end = 0;
        while end < rest.len() {
            let line = rest[end..].iter().position(|&b| b == ending).map_or(rest.len(), |at| end + at + 1);
            if rest[end..line].trim_ascii().is_empty() {
                if end > 0 {
                    break;
                }
                rest = &rest[line..];
            } else {
                end = line;
            }
        }
        let (block, after) = rest.split_at(end);
        rest = after;
        (!block.is_empty()).then_some(block)
    })
}

fn container_warnings(mail: &Mail<'_>, at: usize, warnings: &mut Vec<Warning>) {
    let Some(part) = mail.entities.get(at) else { return };
    let parent = part.parent.and_then(|parent| mail.entities.get(parent));
    if parent.is_none_or(|parent| parent.content_type != "multipart/report") {
        let within = parent.map_or("no multipart", |parent| parent.content_type.as_str());
        warnings.push(Warning::new("container", part.path.clone(), format!("in {within}, not in multipart/report")));
    }
    if !matches!(part.transfer_encoding.as_str(), "" | "7bit" | "8bit" | "binary") {
        let text = format!("{} where none is allowed", bounded(&part.transfer_encoding, 40));
        warnings.push(Warning::new("transfer-encoding", part.path.clone(), text));
    }
}

fn outcome(group: Fields, message_id: Option<&str>, warnings: &mut Vec<Warning>) -> Outcome {
    let action = action(&group, warnings);
    let diagnostic = group.first("Diagnostic-Code").map(|sent| bounded(&untyped(sent), DIAGNOSTIC_BYTES).to_owned());
    Outcome {
        recipient: recipient(&group, message_id, warnings),
        final_recipient: group.first("Final-Recipient").map(|sent| bounded(typed(sent).1, VALUE_BYTES).to_owned()),
        action,
        status: status(&group, diagnostic.as_deref(), warnings),
        permanent: None,
        source_ip: diagnostic.as_deref().and_then(source_ip),
        diagnostic,
        remote_mta: group.first("Remote-MTA").map(untyped),
        last_attempt_at: time(&group, "Last-Attempt-Date", "last-attempt-date", warnings),
        will_retry_until: group.first("Will-Retry-Until").and_then(date::mail),
        fields: group.0,
    }
}

fn action(group: &Fields, warnings: &mut Vec<Warning>) -> Option<Action> {
    let Some(sent) = group.first("Action") else {
        warnings.push(Warning::new("action", "Action", "missing: whether it is final is not known"));
        return None;
    };
    let text = without_comments(sent);
    let word = text.trim().split([' ', '\t', ';']).next().unwrap_or_default();
    let action = Action::parse(bounded(word, 40));
    if let Action::Other(word) = &action {
        warnings.push(Warning::new("action", "Action", format!("unknown: `{word}`")));
    }
    Some(action)
}

/// `Status`; where it says no more than its class (Exim writes `5.0.0`) or is missing, the code in the diagnostic.
fn status(group: &Fields, diagnostic: Option<&str>, warnings: &mut Vec<Warning>) -> Option<StatusCode> {
    let sent = group.first("Status");
    let text = sent.map(without_comments).unwrap_or_default();
    let stated = text.split_ascii_whitespace().next().and_then(StatusCode::parse);
    match (sent, stated) {
        (None, _) => warnings.push(Warning::new("status", "Status", "missing")),
        (Some(sent), None) => {
            warnings.push(Warning::new("status", "Status", format!("no status code: {}", bounded(sent, 40))));
        }
        _ => {}
    }
    let told = diagnostic.and_then(in_diagnostic);
    match (stated, told) {
        (Some(stated), Some(told)) if stated.is_vague() && stated.class == told.class => Some(told),
        (Some(stated), Some(told)) if stated.class != told.class => {
            let text = format!("Status {stated}, but the diagnostic says {told}");
            warnings.push(Warning::new("status-differs", "Status", text));
            Some(stated)
        }
        (stated, told) => stated.or(told),
    }
}

/// Whom the mail was for: the first field that names a usable address, else the first that names anything.
fn recipient(group: &Fields, message_id: Option<&str>, warnings: &mut Vec<Warning>) -> Recipient {
    let mut best: Option<Recipient> = None;
    for (name, via) in RECIPIENTS {
        let Some(found) = group.first(name).and_then(|sent| named(sent, via, group, message_id)) else { continue };
        if found.status == RecipientStatus::Ok {
            return found;
        }
        best = best.or(Some(found));
    }
    let unusable = best.unwrap_or(Recipient {
        address: None,
        status: RecipientStatus::Absent,
        via: "final-recipient",
        spelled: String::new(),
    });
    let text = format!("names no usable address: {}", bounded(&unusable.spelled, 80));
    warnings.push(Warning::new("recipient", unusable.via, text));
    unusable
}

fn named(sent: &str, via: &'static str, group: &Fields, message_id: Option<&str>) -> Option<Recipient> {
    let (kind, text) = typed(sent);
    if text.is_empty() {
        return None;
    }
    let malformed = Recipient {
        address: None,
        status: RecipientStatus::Malformed,
        via,
        spelled: bounded(text, VALUE_BYTES).to_owned(),
    };
    match kind.to_ascii_lowercase().as_str() {
        "utf-8" => judge(&utf8_address(text), via, message_id),
        // `x-…` types and `unknown` are local names of mailboxes, `x400` is no Internet address.
        "" | "rfc822" => {
            let plain = judge(text, via, message_id)?;
            let decoded = xtext(text).filter(|_| via == "original-recipient");
            match decoded.and_then(|decoded| judge(&decoded, via, message_id)) {
                Some(decoded) if decoded.status == RecipientStatus::Ok && prefers(&decoded, &plain, group) => {
                    Some(decoded)
                }
                _ => Some(plain),
            }
        }
        _ => Some(malformed),
    }
}

/// `Original-Recipient` must not be in xtext, the encoding of `ORCPT` (RFC 3461, section 4), yet some servers leave it so.
/// Plus signs are also plain characters of an address: it is taken for encoded only where nothing else can be meant.
fn prefers(decoded: &Recipient, plain: &Recipient, group: &Fields) -> bool {
    let last = group.first("Final-Recipient").and_then(|sent| Address::parse_field(typed(sent).1).ok());
    let last = last.map(|address| address.folded());
    let same = |person: &Recipient| person.address.as_deref().map(address::folded) == last;
    plain.status != RecipientStatus::Ok || (last.is_some() && same(decoded) && !same(plain))
}

/// The type before the first semicolon and the rest, trimmed; no type where there is none.
fn typed(sent: &str) -> (&str, &str) {
    match sent.split_once(';') {
        Some((kind, rest)) if kind.trim().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => {
            (kind.trim(), rest.trim())
        }
        _ => ("", sent.trim()),
    }
}

fn untyped(sent: &str) -> String {
    bounded(typed(sent).1, DIAGNOSTIC_BYTES).to_owned()
}

/// `+HH` decoded (RFC 3461, section 4); `None` where there is none, or one that is no encoding.
fn xtext(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('+') {
        let code =
            after.get(..2).filter(|code| code.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b)))?;
        let byte = u8::from_str_radix(code, 16).ok().filter(u8::is_ascii)?;
        out.push_str(before);
        out.push(char::from(byte));
        rest = after.get(2..)?;
    }
    out.push_str(rest);
    (out != text).then_some(out)
}

/// `\x{HHHH}` decoded (RFC 6533, section 3). What is no such sequence stays as it is.
fn utf8_address(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\x{") {
        out.push_str(before);
        let code = after.split_once('}').filter(|(code, _)| (2..=6).contains(&code.len()));
        let decoded = code.and_then(|(code, rest)| Some((char::from_u32(u32::from_str_radix(code, 16).ok()?)?, rest)));
        match decoded {
            Some((c, after)) => {
                out.push(c);
                rest = after;
            }
            None => {
                out.push_str("\\x{");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn time(fields: &Fields, name: &'static str, code: &'static str, warnings: &mut Vec<Warning>) -> Option<i64> {
    let sent = fields.first(name)?;
    let found = date::mail(sent);
    if found.is_none() {
        warnings.push(Warning::new(code, name, format!("no date: {}", bounded(sent, 80))));
    }
    found
}

/// Microsoft and Google put the Message-ID of the mail into the machine part.
fn stated_message_id(fields: &Fields) -> Option<String> {
    let names = ["X-Original-Message-ID", "Original-Message-ID"];
    let sent = names.iter().find_map(|name| fields.first(name))?;
    let id = bare_message_id(sent);
    let id = address::domain(id).is_none().then_some(id)?;
    (!id.is_empty()).then(|| bounded(id, DIAGNOSTIC_BYTES).to_owned())
}

/// Each recipient and action once: some servers repeat a group for each server they tried.
fn unique(outcomes: Vec<Outcome>) -> Vec<Outcome> {
    let mut seen = HashSet::new();
    let key = |outcome: &Outcome| {
        let person = address::folded(outcome.recipient.address.as_ref().unwrap_or(&outcome.recipient.spelled));
        (person, outcome.action.as_ref().map(ToString::to_string), outcome.status)
    };
    outcomes.into_iter().filter(|outcome| seen.insert(key(outcome))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail;

    fn parsed(status: &str) -> Result<Bounce, Refusal> {
        let text = format!(
            "From: MAILER-DAEMON\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\
             Content-Type: message/delivery-status\r\n\r\n{status}\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\n\
             From: News <news@example.com>\r\nMessage-ID: <m1@example.com>\r\n\r\n--b--\r\n"
        );
        let limits = Limits::default();
        let mail = mail::parse(text.as_bytes(), &limits).expect("a mail");
        let at = mail.entities.iter().position(|entity| entity.content_type == "message/delivery-status");
        read(&mail, at.expect("a machine part"), &limits)
    }

    fn shown(status: &str) -> Vec<String> {
        let shown = |outcome: &Outcome| {
            let action = outcome.action.as_ref().map_or("-", |action| action.as_str());
            let code = outcome.status.map_or("-".to_owned(), |code| code.to_string());
            format!("{} {action} {code}", outcome.recipient.address.as_deref().unwrap_or("-"))
        };
        parsed(status).expect("a bounce").recipients.iter().map(shown).collect()
    }

    #[test]
    fn groups_however_they_are_divided() {
        let check = |status: &str, expected: &[&str]| assert_eq!(shown(status), expected, "{status}");
        let one = &["a@isp.example failed 5.1.1"];
        let two = &["a@isp.example failed 5.1.1", "b@isp.example delayed 4.4.7"];
        let mta = "Reporting-MTA: dns; mx.example.com\n";
        let a = "Final-Recipient: rfc822; a@isp.example\nAction: failed\nStatus: 5.1.1\n";
        let b = "Final-Recipient: rfc822; b@isp.example\nAction: delayed\nStatus: 4.4.7\n";
        check(&format!("{mta}\n{a}"), one);
        check(&format!("{mta}{a}"), one);
        check(a, one);
        check(&format!("\n\n{mta}\n\n\n{a}\n\n"), one);
        check(&format!("{mta}\n{}", a.replace('\n', "\n\n")), one);
        check(&format!("{mta}\n{a}").replace('\n', "\r"), one);
        check(&format!("{mta}\n{a}\n{b}"), two);
        check(&format!("{mta}{a}{b}"), two);
        check(&format!("{mta}\n{a}\n{a}\n{b}"), two);
        check(&format!("{mta}\nAction: failed\nStatus: 5.1.1\nFinal-Recipient: rfc822;a@isp.example\n"), one);
        // Postfix puts the original behind the final recipient.
        let postfix = a.replace("Action", "Original-Recipient: rfc822;old@example.org\nAction");
        check(&format!("{mta}\n{postfix}\n{b}"), &["old@example.org failed 5.1.1", two[1]]);
        check(&format!("{mta}\nAction: failed\n"), &["- failed -"]);
    }

    #[test]
    fn people_and_codes() {
        let check =
            |fields: &str, expected: &str| assert_eq!(shown(&format!("Reporting-MTA: x\n\n{fields}")), [expected]);
        check(
            "Final-Recipient: RFC822;<A@ISP.example>\nAction: Failed\nStatus: 5.1.1 (unknown)",
            "A@isp.example failed 5.1.1",
        );
        check(
            "Final-Recipient: rfc822; a@isp.example (x)\nAction: failed (y)\nStatus: 5.1.1",
            "a@isp.example failed 5.1.1",
        );
        check("Final-Recipient: a@isp.example\nAction: failure\nStatus: 511", "a@isp.example failed -");
        check("Final-Recipient: x400; /g=a/\nAction: failed\nStatus: 5.1.1", "- failed 5.1.1");
        check(
            "Original-Recipient: rfc822;\nFinal-Recipient: rfc822; a@isp.example\nAction: failed",
            "a@isp.example failed -",
        );
        check("Original-Recipient: unknown; x\nFinal-Recipient: rfc822; a@isp.example", "a@isp.example - -");
        check(
            "Original-Recipient: rfc822; b+2Bt@isp.example\nFinal-Recipient: rfc822; b+t@isp.example",
            "b+t@isp.example - -",
        );
        check(
            "Original-Recipient: rfc822; b+2B@isp.example\nFinal-Recipient: rfc822; c@isp.example",
            "b+2B@isp.example - -",
        );
        check("Original-Recipient: rfc822; b+40isp.example\nAction: failed", "b@isp.example failed -");
        check(
            "Final-Recipient: utf-8; j\\x{F6}rg@b\\x{FC}cher.example\nAction: failed",
            "jörg@xn--bcher-kva.example failed -",
        );
        check("Final-Recipient: utf-8; \\x{}a@isp.example", "- - -");
        check("Final-Recipient: rfc822; redacted@isp.example\nAction: failed", "- failed -");
        check("Final-Recipient: rfc822; m1@example.com\nAction: failed", "- failed -");
        let exim = "Action: failed\nFinal-Recipient: rfc822;a@isp.example\nStatus: 5.0.0\nDiagnostic-Code: smtp; ";
        check(&format!("{exim}550 5.1.1 unknown"), "a@isp.example failed 5.1.1");
        check(&format!("{exim}450 4.1.1 later"), "a@isp.example failed 5.0.0");
        check(&format!("{exim}550 unknown"), "a@isp.example failed 5.0.0");
        check("Final-Recipient: rfc822;a@isp.example\nAction: bounced\nStatus: 5.1.1", "a@isp.example bounced 5.1.1");
    }

    #[test]
    fn bounds_are_refusals() {
        let code =
            |status: String| parsed(&status).map(|bounce| bounce.recipients.len()).map_err(|refusal| refusal.code);
        let people = |n: usize| {
            (0..n).map(|n| format!("Final-Recipient: rfc822; u{n}@isp.example\nAction: failed\n\n")).collect()
        };
        assert_eq!(code(people(100)), Ok(100));
        assert_eq!(code(people(101)), Err(Code::TooManyRecipients));
        assert_eq!(code("Reporting-MTA: dns; x\n".to_owned()), Err(Code::Malformed));
        assert_eq!(code(String::new()), Err(Code::Malformed));
        assert_eq!(code("X: 1\n".repeat(300)), Err(Code::TooManyFields));
        assert_eq!(code(format!("Action: failed\n{}", "X: 1\n\n".repeat(300))), Err(Code::TooManyFields));
        assert_eq!(code(format!("X: {}", "y".repeat(40_000))), Err(Code::Headers));
        assert_eq!(code("junk\n\n".repeat(60_000)), Err(Code::Headers));
    }

    #[test]
    fn what_is_told_of_the_mail() {
        let bounce = parsed(
            "Reporting-MTA: dns; mx.example.com\nArrival-Date: Wed, 20 Aug 2025 10:00:00 +0000\nOriginal-Envelope-Id: e1\n\n\
             Final-Recipient: rfc822; a@isp.example\nAction: failed\nStatus: 5.7.1\nRemote-MTA: dns; mx.isp.example\n\
             Last-Attempt-Date: Wed, 20 Aug 2025 11:00:00 +0000\nDiagnostic-Code: smtp; 550 5.7.1 [198.51.100.7]\n blocked",
        );
        let bounce = bounce.expect("a bounce");
        assert_eq!(bounce.reporting_mta.as_deref(), Some("mx.example.com"));
        assert_eq!((bounce.arrived_at, bounce.original_envelope_id.as_deref()), (Some(1_755_684_000), Some("e1")));
        assert_eq!(
            (bounce.header_from.as_deref(), bounce.message_id.as_deref()),
            (Some("example.com"), Some("m1@example.com"))
        );
        let [one] = &bounce.recipients[..] else { panic!("{bounce:?}") };
        assert_eq!(one.diagnostic.as_deref(), Some("550 5.7.1 [198.51.100.7] blocked"));
        assert_eq!(one.source_ip.map(|ip| ip.to_string()).as_deref(), Some("198.51.100.7"));
        assert_eq!((one.remote_mta.as_deref(), one.last_attempt_at), (Some("mx.isp.example"), Some(1_755_687_600)));
        assert_eq!(bounce.warnings, []);
    }
}
