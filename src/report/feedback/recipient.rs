//! Who complained: what the report says about the person, in the order in which it may be believed.
//!
//! A provider that names somebody, even by a mask or a digest, has decided what to disclose: then nothing is dug out of
//! the rest of the original. Only a token of the sender's own may still say who it was.

use super::fields::Fields;
use super::{Recipient, RecipientStatus, token};
use crate::limits::Limits;
use crate::problem::{Code, Refusal, Warning};
use crate::report::address::{self, Address, Fault, Placeholder};
use crate::report::text::bounded;

/// Bytes of a recipient that are kept as sent.
const SPELLED_BYTES: usize = 512;

/// What providers call the recipient in the report itself, best first.
const STATED: [(&str, &str); 2] =
    [("Original-Rcpt-To", "original-rcpt-to"), ("Removal-Recipient", "removal-recipient")];

/// Header fields that deliveries add. With forwarding they name a later hop, so they come after all statements.
const DELIVERED: [(&str, &str); 4] = [
    ("X-Apparently-To", "x-apparently-to"),
    ("X-Original-To", "x-original-to"),
    ("Delivered-To", "delivered-to"),
    ("Envelope-To", "envelope-to"),
];

/// Finds the people a complaint names: the report's own statement, else a token that can be read, else, where the report
/// does not speak of a recipient at all, what the delivery wrote into the original, else its `To` with one address.
///
/// # Errors
/// More people than `complaint_recipients`.
pub(super) fn resolve(
    fields: &Fields,
    original: &Fields,
    limits: &Limits,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Recipient>, Refusal> {
    let message_id = original.first("Message-ID").map(bare_message_id);
    let mut people = stated(fields, original, message_id);
    let named = people.iter().any(|person| person.status == RecipientStatus::Ok);
    match token::recipient(original) {
        Some((address, via)) if !named => people = vec![usable(&address, via, &address.canonical())],
        Some((address, via)) if !people.iter().any(|person| same(person, &address)) => {
            let text = format!("the sender's token names {address}, the report somebody else");
            warnings.push(Warning::new("token-differs", via, text));
        }
        _ => {}
    }
    if people.is_empty() {
        people = delivered(original, message_id).or_else(|| addressed(original)).into_iter().collect();
    }
    unique(people, limits, warnings)
}

/// Judges one recipient as sent. `None` for an empty text.
pub(in crate::report) fn judge(sent: &str, via: &'static str, message_id: Option<&str>) -> Option<Recipient> {
    let sent = sent.trim();
    let status = match Address::parse_field(sent) {
        Err(Fault::Empty) if !sent.contains('<') => return None,
        Ok(address) if message_id.is_some_and(|id| address.is(id)) => RecipientStatus::Malformed,
        Ok(address) => match address.placeholder() {
            None => return Some(usable(&address, via, sent)),
            Some(Placeholder::Redacted) => RecipientStatus::Redacted,
            Some(Placeholder::Hashed) => RecipientStatus::Hashed,
        },
        Err(_) if address::says_redacted(sent) => RecipientStatus::Redacted,
        Err(_) if address::is_digest(sent.trim_matches(['<', '>'])) => RecipientStatus::Hashed,
        Err(_) => RecipientStatus::Malformed,
    };
    Some(Recipient { address: None, status, via, spelled: bounded(sent, SPELLED_BYTES).to_owned() })
}

/// Each person once, by the address in lower case; placeholders by their spelling.
///
/// # Errors
/// More people than `complaint_recipients`: a complaint is about one person, a list of strangers is an attack.
pub(super) fn unique(
    people: Vec<Recipient>,
    limits: &Limits,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Recipient>, Refusal> {
    // As many as are kept, which are few.
    let mut seen: Vec<String> = Vec::new();
    let mut kept = Vec::new();
    for person in people {
        let folded = address::folded(person.address.as_ref().unwrap_or(&person.spelled));
        if seen.contains(&folded) {
            continue;
        }
        seen.push(folded);
        if kept.len() == limits.complaint_recipients {
            let reason = format!("names more than {} recipients", limits.complaint_recipients);
            return Err(Refusal::new(Code::TooManyRecipients, reason));
        }
        if person.status == RecipientStatus::Malformed {
            let fault =
                Address::parse_field(&person.spelled).err().map_or("a Message-ID".to_owned(), |f| f.to_string());
            warnings.push(Warning::new("recipient", person.via, format!("{fault}: {}", bounded(&person.spelled, 80))));
        }
        kept.push(person);
    }
    Ok(kept)
}

fn stated(fields: &Fields, original: &Fields, message_id: Option<&str>) -> Vec<Recipient> {
    for (name, via) in STATED {
        let people: Vec<Recipient> = fields.all(name).filter_map(|sent| judge(sent, via, message_id)).collect();
        if !people.is_empty() {
            return people;
        }
    }
    // Microsoft's Junk Mail Reporting Program before 2026 names the person in the original's headers.
    let microsoft = original.all("X-HmXmrOriginalRecipient");
    let people: Vec<Recipient> =
        microsoft.filter_map(|sent| judge(sent, "x-hmxmroriginalrecipient", message_id)).collect();
    if !people.is_empty() {
        return people;
    }
    // AOL says what it took out: `Redacted-Address: redacted`.
    let redacted = fields.first("Redacted-Address").map(|sent| Recipient {
        address: None,
        status: RecipientStatus::Redacted,
        via: "redacted-address",
        spelled: bounded(sent, SPELLED_BYTES).to_owned(),
    });
    redacted.into_iter().collect()
}

fn delivered(original: &Fields, message_id: Option<&str>) -> Option<Recipient> {
    DELIVERED.iter().find_map(|(name, via)| {
        // `X-Apparently-To: user@yahoo.com via 192.0.2.1; Thu, 29 Apr 2017 23:34:45 +0000`
        let value = original.first(name)?.split([';']).next()?.split(" via ").next()?;
        judge(value, via, message_id).filter(|person| person.status != RecipientStatus::Malformed)
    })
}

fn addressed(original: &Fields) -> Option<Recipient> {
    let to = original.first("To")?;
    match &address::mailboxes(to)[..] {
        [one] => judge(&one.spelled, "to", None).filter(|person| person.status != RecipientStatus::Malformed),
        _ => None,
    }
}

fn usable(address: &Address, via: &'static str, spelled: &str) -> Recipient {
    Recipient {
        address: Some(address.canonical()),
        status: RecipientStatus::Ok,
        via,
        spelled: bounded(spelled, SPELLED_BYTES).to_owned(),
    }
}

fn same(person: &Recipient, address: &Address) -> bool {
    person.address.as_ref().is_some_and(|known| address::folded(known) == address.folded())
}

/// A Message-ID without brackets and a stray semicolon.
pub(in crate::report) fn bare_message_id(sent: &str) -> &str {
    sent.trim().trim_end_matches(';').trim().trim_start_matches('<').trim_end_matches('>').trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        Fields(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn the_order_of_trust() {
        use RecipientStatus::{Hashed, Malformed, Ok as Usable, Redacted};
        let check =
            |report: &[(&str, &str)], mail: &[(&str, &str)], expected: &[(Option<&str>, RecipientStatus, &str)]| {
                let found = resolve(&fields(report), &fields(mail), &Limits::default(), &mut Vec::new()).expect("few");
                let found: Vec<_> = found.iter().map(|p| (p.address.as_deref(), p.status, p.via)).collect();
                assert_eq!(found, expected, "{report:?} {mail:?}");
            };
        let rcpt = |value| [("Original-Rcpt-To", value)];
        let user = Some("user@isp.example");
        let token = ("X-MSFBL", "x|eyJyIjoidG9rZW5AaXNwLmV4YW1wbGUifQ==");
        let to = ("To", "User <user@isp.example>");
        check(&rcpt("<user@isp.example>"), &[token], &[(user, Usable, "original-rcpt-to")]);
        check(&rcpt("redacted@isp.example"), &[token, to], &[(Some("token@isp.example"), Usable, "x-msfbl")]);
        check(&rcpt("redacted@isp.example"), &[to], &[(None, Redacted, "original-rcpt-to")]);
        check(&rcpt("*@isp.example"), &[to], &[(None, Redacted, "original-rcpt-to")]);
        check(&rcpt("d41d8cd98f00b204e9800998ecf8427e@a.example"), &[to], &[(None, Hashed, "original-rcpt-to")]);
        check(&rcpt("d41d8cd98f00b204e9800998ecf8427e"), &[], &[(None, Hashed, "original-rcpt-to")]);
        check(&rcpt("rZ8cqXWGiKHzhz1MsFRGTysHia4=@a.example"), &[], &[(None, Hashed, "original-rcpt-to")]);
        check(&rcpt("a@isp.example, b@isp.example"), &[to], &[(None, Malformed, "original-rcpt-to")]);
        check(
            &rcpt("undisclosed comcast recipient <redacted@comcast.net>"),
            &[],
            &[(None, Redacted, "original-rcpt-to")],
        );
        check(&rcpt("<id@x.example>"), &[("Message-ID", "<id@x.example>")], &[(None, Malformed, "original-rcpt-to")]);
        check(&rcpt(""), &[to], &[(user, Usable, "to")]);
        check(&[("Removal-Recipient", "user@isp.example")], &[], &[(user, Usable, "removal-recipient")]);
        check(&[("Redacted-Address", "redacted@")], &[to], &[(None, Redacted, "redacted-address")]);
        check(
            &[],
            &[("X-HmXmrOriginalRecipient", "user@isp.example"), ("To", "x@y.example")],
            &[(user, Usable, "x-hmxmroriginalrecipient")],
        );
        check(
            &[],
            &[("X-Apparently-To", "user@isp.example via 192.0.2.1; Thu"), ("Delivered-To", "x@y.example")],
            &[(user, Usable, "x-apparently-to")],
        );
        check(&[], &[("Delivered-To", "localuser"), to], &[(user, Usable, "to")]);
        check(&[], &[("To", "a@isp.example, b@isp.example")], &[]);
        check(&[], &[("To", "<Undisclosed Recipients>")], &[(None, Redacted, "to")]);
        check(&[], &[("To", "xxxx@outlook.com")], &[(None, Redacted, "to")]);
        check(&[], &[("To", "everybody")], &[]);
        check(&[], &[], &[]);
    }

    #[test]
    fn a_list_of_strangers_is_refused() {
        let many: Vec<_> = (0..11).map(|n| ("Original-Rcpt-To".to_owned(), format!("u{n}@isp.example"))).collect();
        let code = |people: &[(String, String)]| {
            let found = resolve(&Fields(people.to_vec()), &Fields::default(), &Limits::default(), &mut Vec::new());
            found.map(|people| people.len()).map_err(|refusal| refusal.code)
        };
        assert_eq!(code(&many[..10]), Ok(10));
        assert_eq!(code(&many), Err(Code::TooManyRecipients));
        let twice: Vec<_> = many[..10].iter().chain(&many[..10]).cloned().collect();
        assert_eq!(code(&twice), Ok(10));
    }
}
