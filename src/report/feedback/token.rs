//! Tokens that a sender put into its own mail, so that it knows its recipient when a provider hides the name.
//!
//! Two of them can be read without the sender's key. Neither is proof: they come from the mail that is complained about,
//! which may be forged, so a provider's own statement goes before them.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use super::fields::Fields;
use crate::report::address::Address;
use crate::report::text::bounded;

/// Characters of a token value that are kept; more than any sender's is long.
const TOKEN_BYTES: usize = 2048;
/// Tokens of one mail that are kept.
const TOKENS: usize = 40;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Fields that senders use to find their recipient or mailing again. `-` at the end means every field that begins so.
const TOKEN_FIELDS: [&str; 25] = [
    "return-path",
    "feedback-id",
    "list-unsubscribe",
    "x-msfbl",
    "x-kumoref",
    "x-listmonk-",
    "x-listmember",
    "x-messageid",
    "x-rcpt-to",
    "x-mailgun-",
    "x-sg-eid",
    "x-sg-id",
    "x-pm-message-id",
    "x-mailin-",
    "x-mandrill-user",
    "x-mc-user",
    "x-campaign",
    "x-campaignid",
    "x-customer-id",
    "x-job",
    "x-jobid",
    "x-report-abuse",
    "x-ses-outgoing",
    "x-mailer-recptid",
    "x-virtual-mta",
];

#[derive(Deserialize)]
struct Momentum {
    r: Option<String>,
    #[serde(alias = "rcpt_to", alias = "rcpt")]
    recipient: Option<String>,
}

#[derive(Deserialize)]
struct KumoRef {
    #[serde(rename = "_@_")]
    marker: String,
    recipient: Option<String>,
}

/// The opaque tokens of an original: lower-case name and unfolded value, bounded.
pub(in crate::report) fn all(original: &Fields) -> Vec<(String, String)> {
    let mut tokens = Vec::new();
    for (name, value) in &original.0 {
        if !value.is_empty() && tokens.len() < TOKENS && is_token(name) {
            tokens.push((name.to_ascii_lowercase(), bounded(value, TOKEN_BYTES).to_owned()));
        }
    }
    tokens
}

fn is_token(name: &str) -> bool {
    // What they begin with, which most fields do not.
    if !name.starts_with(['r', 'R', 'f', 'F', 'l', 'L', 'x', 'X']) {
        return false;
    }
    let begins = |field: &str| name.get(..field.len()).is_some_and(|head| head.eq_ignore_ascii_case(field));
    TOKEN_FIELDS.iter().any(|field| name.eq_ignore_ascii_case(field) || (field.ends_with('-') && begins(field)))
}

/// The recipient in a token that needs no key, and the field it was found in.
pub(super) fn recipient(original: &Fields) -> Option<(Address, &'static str)> {
    let momentum = original.all("X-MSFBL").find_map(msfbl).map(|address| (address, "x-msfbl"));
    momentum.or_else(|| original.all("X-KumoRef").find_map(kumo_ref).map(|address| (address, "x-kumoref")))
}

/// `X-MSFBL`: `HMAC|base64 JSON` with the recipient under `r` (Momentum, SparkPost, Adobe), or plain base64 of
/// `recipient@dvp-…@bg-…` (Marketo).
fn msfbl(value: &str) -> Option<Address> {
    let value: String = value.split_whitespace().collect();
    value.split('|').find_map(|piece| {
        let decoded = BASE64.decode(piece).ok()?;
        if let Ok(token) = serde_json::from_slice::<Momentum>(&decoded) {
            return person(&token.r.or(token.recipient)?);
        }
        let text = std::str::from_utf8(&decoded).ok()?;
        let (address, _) = text.split_once("@dvp-").or_else(|| text.split_once("@bg-"))?;
        person(address)
    })
}

/// `X-KumoRef`: base64 JSON marked with `"_@_":"\\_/"` (KumoMTA).
fn kumo_ref(value: &str) -> Option<Address> {
    let value: String = value.split_whitespace().collect();
    let token: KumoRef = serde_json::from_slice(&BASE64.decode(value).ok()?).ok()?;
    if token.marker != "\\_/" {
        return None;
    }
    person(&token.recipient?)
}

fn person(text: &str) -> Option<Address> {
    Address::parse(text).ok().filter(|address| address.placeholder().is_none())
}

/// The recipient in a variable envelope return path of Mailman's default form, `list+local=domain@host`.
///
/// Never used on its own: it is a guess about how the sender writes its return paths, and providers redact inside it
/// (AOL: `bounces+15167-8e67-redacted=aol.com@…`). It is here for senders who say that theirs are of this form.
pub fn verp(return_path: &str) -> Option<Address> {
    let path = Address::parse_field(return_path).ok()?;
    let (_, packed) = path.local.split_once('+')?;
    let (local, domain) = packed.rsplit_once('=')?;
    person(&format!("{local}@{domain}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> Fields {
        Fields(vec![(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn tokens_name_people() {
        let check = |name: &str, value: &str, expected: Option<&str>| {
            let found = recipient(&one(name, value)).map(|(address, _)| address.canonical());
            assert_eq!(found.as_deref(), expected, "{name}: {value}");
        };
        let json = |text: &str| BASE64.encode(text);
        check(
            "X-MSFBL",
            &format!("u1taT9N6|{}", json(r#"{"r":"user@isp.example","b":"x"}"#)),
            Some("user@isp.example"),
        );
        check("x-msfbl", &json(r#"{"r":"user@isp.example"}"#), Some("user@isp.example"));
        check("X-MSFBL", &json("user@isp.example@dvp-10-0-0-1@bg-abd-1"), Some("user@isp.example"));
        check("X-MSFBL", &format!("x|{}", json(r#"{"r":"redacted@isp.example"}"#)), None);
        check("X-MSFBL", &format!("x|{}", json(r#"{"r":"two@a.example,b@a.example"}"#)), None);
        check("X-MSFBL", "%%%", None);
        let kumo = "eyJfQF8iOiJcXF8vIiwicmVjaXBpZW50IjoidGVzdEBleGFtcGxlLmNvbSJ9";
        check("X-KumoRef", kumo, Some("test@example.com"));
        check("X-KumoRef", &format!("{}\r\n\t{}", &kumo[..20], &kumo[20..]), Some("test@example.com"));
        check("X-KumoRef", &json(r#"{"recipient":"test@example.com"}"#), None);
    }

    #[test]
    fn return_paths_of_mailman() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(verp(text).map(|address| address.canonical()).as_deref(), expected, "{text}");
        };
        check("<bounces+user=isp.example@sender.example>", Some("user@isp.example"));
        check("bounces+a=b=isp.example@sender.example", Some("a=b@isp.example"));
        check("<bounces+15167-8e67-redacted=aol.com@sender.example>", None);
        check("<bounces@sender.example>", None);
        check("<>", None);
    }
}
