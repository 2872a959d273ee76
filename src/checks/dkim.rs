//! DKIM keys (RFC 6376, section 3.6.1; RFC 8301; RFC 8463).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::finding::{Finding, Notes, Severity};
use super::lookup::{Answer, Kind, Lookup, Question};
use super::tags::Tags;

/// Bits of an RSA key below which receivers take it for none (RFC 8301, section 3.2).
const LEAST: usize = 1024;
/// Bits that an RSA key should have (RFC 8301, section 3.2).
const GOOD: usize = 2048;

/// A key to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// `d=` of the signatures.
    pub domain: String,
    /// `s=` of the signatures.
    pub selector: String,
    /// Why it is checked.
    pub why: Why,
}

/// Why a key is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Reports tell of so many messages on which a signature with it passed.
    Passed(i64),
    /// Reports tell of signatures with it, none of which passed: forged, or of a key that is gone.
    NeverPassed,
    /// The user asks.
    Asked,
}

impl Key {
    fn name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }

    /// How bad it is if there is no such key.
    fn severity(&self) -> Severity {
        if self.why == Why::NeverPassed { Severity::Info } else { Severity::Error }
    }
}

/// Checks these keys of a domain.
pub fn check(lookup: &mut dyn Lookup, domain: &str, keys: &[Key], findings: &mut Vec<Finding>) {
    if keys.is_empty() {
        let mut notes = Notes::new(findings, "dkim", domain);
        notes.warning(
            "dkim-unseen",
            "no report tells of a DKIM signature of this domain, so no key was checked",
            "sign your mail; if you do, name the selector with --selector",
        );
    }
    let questions: Vec<Question> = keys.iter().map(|key| Question::new(&key.name(), Kind::Txt)).collect();
    lookup.prepare(&questions);
    for key in keys {
        one(lookup, key, findings);
    }
}

fn one(lookup: &mut dyn Lookup, key: &Key, findings: &mut Vec<Finding>) {
    let mut notes = Notes::new(findings, "dkim", &key.name());
    let answer = lookup.get(&key.name(), Kind::Txt);
    if let Answer::Failed(failure) = &answer {
        return notes.unknown(failure);
    }
    let texts: Vec<&str> = answer.texts().collect();
    let mut keys: Vec<&str> = texts.iter().copied().filter(|text| Tags::read(text).get("p").is_some()).collect();
    let record = match keys.pop() {
        None => return missing(&mut notes, key, texts.first().copied()),
        Some(record) => record,
    };
    notes.record(record);
    if !keys.is_empty() {
        notes.error(
            "dkim-several",
            format!("there are {} keys under this name: receivers take any of them, or none", keys.len() + 1),
            "keep one; a new key gets a selector of its own",
        );
    }
    judge(&mut notes, key, record);
}

fn missing(notes: &mut Notes<'_>, key: &Key, text: Option<&str>) {
    if let Some(text) = text {
        notes.record(text);
    }
    let (text, fix) = match (key.why, text) {
        (Why::NeverPassed, _) => ("signatures name this key, which is not there: forged mail, or a key taken away", ""),
        (_, Some(_)) => {
            ("what is there is no key: it has no `p=`", "publish the record as the signing software gives it")
        }
        (Why::Passed(_), None) => (
            "there is no key, though mail was signed with it: signatures fail",
            "publish the record again, or sign with another selector",
        ),
        (Why::Asked, None) => ("there is no key", "publish the record that the signing software gives"),
    };
    notes.add(key.severity(), "dkim-missing", text, fix);
}

fn judge(notes: &mut Notes<'_>, key: &Key, record: &str) {
    let tags = Tags::read(record);
    let version = tags.list.iter().position(|(name, _)| name == "v");
    if version.is_some_and(|at| at != 0) || tags.get("v").is_some_and(|version| version != "DKIM1") {
        notes.error(
            "dkim-version",
            "`v=DKIM1` must stand first, spelled so, or not at all: receivers take this for no key",
            "publish the record as the signing software gives it",
        );
    }
    let repeated = tags.repeated();
    if !repeated.is_empty() {
        let text = format!("`{}=` is there more than once: receivers take this for no key", repeated.join("=`, `"));
        notes.error("dkim-syntax", text, "publish the record as the signing software gives it");
    }
    let bytes: String = tags.get("p").unwrap_or_default().split_ascii_whitespace().collect();
    if bytes.is_empty() {
        let (severity, text) = match key.why {
            Why::Passed(_) => {
                (Severity::Error, "the key was taken back (`p=` is empty), though mail was signed with it")
            }
            Why::Asked => (Severity::Warning, "the key was taken back (`p=` is empty)"),
            Why::NeverPassed => (Severity::Info, "the key was taken back (`p=` is empty), and signatures with it fail"),
        };
        let fix = if severity > Severity::Info { "sign with another selector" } else { "" };
        return notes.add(severity, "dkim-revoked", text, fix);
    }
    let size = match STANDARD.decode(&bytes).map_err(|_| ()).and_then(|bytes| size(tags.get("k"), &bytes)) {
        Ok(size) => size,
        Err(()) => {
            return notes.error(
                "dkim-broken",
                "the key cannot be read: it was cut short, changed, or is of a kind that receivers do not know",
                "publish the record as the signing software gives it, in strings of 255 bytes at most and in the right order",
            );
        }
    };
    strength(notes, &size);
    uses(notes, &tags);
    if notes.worst() < Severity::Warning {
        let passed = match key.why {
            Why::Passed(messages) => format!("; passed on {messages} messages"),
            _ => String::new(),
        };
        let kind = match size {
            Size::Rsa(bits) => format!("RSA key of {bits} bits"),
            Size::Ed25519 => "Ed25519 key".to_owned(),
        };
        notes.ok("dkim", format!("{kind}{passed}"));
    }
}

fn strength(notes: &mut Notes<'_>, size: &Size) {
    match size {
        Size::Rsa(bits) if *bits < LEAST => notes.error(
            "dkim-weak",
            format!("an RSA key of {bits} bits: receivers take anything below {LEAST} for no signature (RFC 8301)"),
            "make a new key of 2048 bits under a new selector",
        ),
        Size::Rsa(bits) if *bits < GOOD => notes.warning(
            "dkim-short",
            format!("an RSA key of {bits} bits, where {GOOD} are asked for (RFC 8301, section 3.2)"),
            "make a new key of 2048 bits under a new selector, sign with it, and take this one away a week later",
        ),
        Size::Ed25519 => notes.info(
            "dkim-ed25519",
            "an Ed25519 key: many receivers cannot check it yet",
            "sign with an RSA key of 2048 bits beside it",
        ),
        Size::Rsa(_) => {}
    }
}

/// What the key may be used for.
fn uses(notes: &mut Notes<'_>, tags: &Tags) {
    let has = |tag: &str, word: &str| {
        tags.get(tag).is_some_and(|list| list.split(':').any(|one| one.trim().eq_ignore_ascii_case(word)))
    };
    if has("t", "y") {
        notes.warning(
            "dkim-testing",
            "`t=y` says that this key is a test: receivers may treat signed mail like unsigned",
            "take `t=y` out when signing works",
        );
    }
    if tags.get("h").is_some() && !has("h", "sha256") {
        notes.error(
            "dkim-hash",
            "`h=` allows no SHA-256, and nobody accepts SHA-1 any more (RFC 8301, section 3.1)",
            "take `h=` out, or say `h=sha256`",
        );
    }
    if tags.get("s").is_some() && !has("s", "*") && !has("s", "email") {
        notes.error("dkim-service", "`s=` says that this key is not for mail", "take `s=` out, or say `s=email`");
    }
}

enum Size {
    Rsa(usize),
    Ed25519,
}

fn size(kind: Option<&str>, bytes: &[u8]) -> Result<Size, ()> {
    match kind.map(str::to_ascii_lowercase).as_deref() {
        None | Some("rsa") => rsa_bits(bytes).map(Size::Rsa).ok_or(()),
        Some("ed25519") if bytes.len() == 32 => Ok(Size::Ed25519),
        _ => Err(()),
    }
}

/// Bits of an RSA modulus, out of a SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7), or a bare RSAPublicKey (RFC 8017, appendix
/// A.1.1), which some publish.
fn rsa_bits(bytes: &[u8]) -> Option<usize> {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 0x02;
    const BIT_STRING: u8 = 0x03;
    let (body, rest) = der(bytes, SEQUENCE)?;
    if !rest.is_empty() {
        return None;
    }
    let key = match der(body, SEQUENCE) {
        Some((_, after)) => {
            let (bits, _) = der(after, BIT_STRING)?;
            // The first byte tells how many bits at the end are unused: none.
            der(bits.strip_prefix(&[0])?, SEQUENCE)?.0
        }
        None => body,
    };
    let (modulus, exponent) = der(key, INTEGER)?;
    der(exponent, INTEGER)?;
    let start = modulus.iter().position(|byte| *byte != 0)?;
    let modulus = modulus.get(start..)?;
    Some(modulus.len() * 8 - modulus.first()?.leading_zeros() as usize)
}

/// The content of the element of this tag at the start, and what follows it (X.690).
fn der(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (short, rest) = rest.split_first()?;
    let (length, rest) = match *short {
        short @ 0..=0x7F => (usize::from(short), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => (usize::from(*rest.first()?) << 8 | usize::from(*rest.get(1)?), rest.get(2..)?),
        _ => return None,
    };
    (*first == tag && rest.len() >= length).then(|| rest.split_at(length))
}

#[cfg(test)]
mod tests {
    use super::super::lookup::tests::Zone;
    use super::*;

    /// A key with a modulus of so many bits, as it is published.
    fn rsa(bits: usize) -> String {
        let mut modulus = vec![0xFF; bits / 8];
        modulus.insert(0, 0);
        let element = |tag: u8, body: &[u8]| {
            let mut out = vec![tag];
            match u16::try_from(body.len()).unwrap() {
                length @ 0..=0x7F => out.push(length as u8),
                length => {
                    out.push(0x82);
                    out.extend(length.to_be_bytes());
                }
            }
            out.extend(body);
            out
        };
        let key = element(0x30, &[element(2, &modulus), element(2, &[1, 0, 1])].concat());
        let algorithm = [0x30, 0x0D, 6, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 1, 5, 0];
        let info = element(0x30, &[&algorithm[..], &element(3, &[&[0], &key[..]].concat())].concat());
        STANDARD.encode(info)
    }

    #[test]
    fn each_fault_is_found() {
        let check = |record: &str, why: Why, expected: &[&str]| {
            let lines = record.split('|').filter(|record| !record.is_empty());
            let zone: String = lines.map(|record| format!("s1._domainkey.example.com TXT {record}\n")).collect();
            let key = Key { domain: "example.com".to_owned(), selector: "s1".to_owned(), why };
            let mut findings = Vec::new();
            super::check(&mut Zone::new(&zone), "example.com", &[key], &mut findings);
            let found: Vec<_> =
                findings.iter().map(|finding| format!("{} {}", finding.severity.word(), finding.code)).collect();
            assert_eq!(found, expected, "{record}: {findings:?}");
        };
        let passed = Why::Passed(7);
        let good = rsa(2048);
        check(&format!("v=DKIM1; k=rsa; p={good}"), passed, &["ok dkim"]);
        check(&format!("p={good}"), passed, &["ok dkim"]);
        check(&format!("v=DKIM1; p={} {}", &good[..100], &good[100..]), passed, &["ok dkim"]);
        check(&format!("v=DKIM1; p={}", rsa(1024)), passed, &["warning dkim-short"]);
        check(&format!("v=DKIM1; p={}", rsa(512)), passed, &["error dkim-weak"]);
        check("v=DKIM1; p=", passed, &["error dkim-revoked"]);
        check("v=DKIM1; p=", Why::Asked, &["warning dkim-revoked"]);
        check("v=DKIM1; p=", Why::NeverPassed, &["info dkim-revoked"]);
        check("", passed, &["error dkim-missing"]);
        check("", Why::NeverPassed, &["info dkim-missing"]);
        check("v=DKIM1; k=rsa", passed, &["error dkim-missing"]);
        check(&format!("v=DKIM1; p={}", &good[..200]), passed, &["error dkim-broken"]);
        check("v=DKIM1; p=!!!", passed, &["error dkim-broken"]);
        check(&format!("v=DKIM1; k=dsa; p={good}"), passed, &["error dkim-broken"]);
        check(&format!("p={good}; v=DKIM1"), passed, &["error dkim-version"]);
        check(&format!("v=DKIM2; p={good}"), passed, &["error dkim-version"]);
        check(&format!("v=DKIM1; p={good}; p={good}"), passed, &["error dkim-syntax"]);
        check(&format!("v=DKIM1; t=y; p={good}"), passed, &["warning dkim-testing"]);
        check(&format!("v=DKIM1; t=s; p={good}"), passed, &["ok dkim"]);
        check(&format!("v=DKIM1; h=sha1; p={good}"), passed, &["error dkim-hash"]);
        check(&format!("v=DKIM1; s=tlsrpt; p={good}"), passed, &["error dkim-service"]);
        check(&format!("v=DKIM1; p={good}|v=DKIM1; p={good}"), passed, &["error dkim-several"]);
        let ed25519 = STANDARD.encode([7; 32]);
        check(&format!("v=DKIM1; k=ed25519; p={ed25519}"), passed, &["info dkim-ed25519", "ok dkim"]);
        check(&format!("v=DKIM1; k=ed25519; p={good}"), passed, &["error dkim-broken"]);
    }

    #[test]
    fn bits_of_a_modulus() {
        for bits in [512, 1024, 2048, 4096] {
            assert_eq!(rsa_bits(&STANDARD.decode(rsa(bits)).unwrap()), Some(bits));
        }
        for bytes in [&[][..], &[0x30], &[0x30, 0x82], &[0x30, 5, 2, 1], &[0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF]] {
            assert_eq!(rsa_bits(bytes), None);
        }
    }

    #[test]
    fn no_key_is_known() {
        let mut findings = Vec::new();
        super::check(&mut Zone::new(""), "example.com", &[], &mut findings);
        assert_eq!(findings[0].code, "dkim-unseen");
    }
}
