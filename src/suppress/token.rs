//! Tokens of the sender's own, by a pattern that the user writes: variable envelope return paths, and the
//! `CFBL-Feedback-ID` of RFC 9477.
//!
//! A pattern is text with `{local}`, `{domain}`, `{any}` and `{mac}` in it, each at most once. A token that fits says who
//! got the mail. With `{mac}` and a secret it also proves that the sender wrote it: `{mac}` is the HMAC-SHA256 of all of
//! the token that stands before it, in hexadecimal digits, 16 or more of its 64. So a token speaks for its own recipient
//! and for nobody else.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::report::Complaint;
use crate::report::address::Address;
use crate::report::feedback::{Recipient, RecipientStatus};

/// Hexadecimal digits of a MAC, at least: 64 bits.
const MAC_DIGITS: usize = 16;
/// Characters of a token that are looked at.
const TOKEN_BYTES: usize = 400;

/// What tokens the sender uses.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    /// Envelope return paths.
    pub verp: Option<Pattern>,
    /// `CFBL-Feedback-ID`.
    pub cfbl: Option<Pattern>,
}

impl Tokens {
    /// What differs when the patterns or the keys do. Tells nothing of the keys that a token does not.
    pub fn fingerprint(&self) -> String {
        let one = |pattern: &Option<Pattern>| {
            let pattern = pattern.as_ref()?;
            let key = pattern.key.as_ref().map(|key| mac(key, "fingerprint", MAC_DIGITS));
            Some(format!("{:?} {key:?}", pattern.pieces))
        };
        format!("{:?} {:?}", one(&self.verp), one(&self.cfbl))
    }
}

/// The key of a MAC. Never shown.
#[derive(Clone)]
pub struct Key(Zeroizing<Vec<u8>>);

impl Key {
    /// From the secret's bytes.
    pub fn new(secret: &[u8]) -> Key {
        Key(Zeroizing::new(secret.to_vec()))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Local,
    Domain,
    Any,
    Mac,
}

/// A pattern of tokens.
#[derive(Clone, Debug)]
pub struct Pattern {
    pieces: Vec<Piece>,
    key: Option<Key>,
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Who got the mail, where the pattern has that and it is an address.
    pub recipient: Option<Address>,
    /// Only the sender can have written it.
    pub proven: bool,
}

impl Pattern {
    /// Reads a pattern; `key` is needed for `{mac}`.
    ///
    /// # Errors
    /// Text for people.
    pub fn parse(text: &str, key: Option<Key>) -> Result<Pattern, String> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or("`{` without `}`")?;
            if !before.is_empty() {
                pieces.push(Piece::Literal(before.to_owned()));
            }
            let piece = match name {
                "local" => Piece::Local,
                "domain" => Piece::Domain,
                "any" => Piece::Any,
                "mac" => Piece::Mac,
                _ => return Err(format!("`{{{name}}}` is not one of {{local}}, {{domain}}, {{any}}, {{mac}}")),
            };
            if pieces.contains(&piece) {
                return Err(format!("`{{{name}}}` is there twice"));
            }
            if before.is_empty() && pieces.last().is_some_and(|last| !matches!(last, Piece::Literal(_))) {
                return Err(format!("something must stand before `{{{name}}}` to tell it apart"));
            }
            pieces.push(piece);
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        let has = |piece: &Piece| pieces.contains(piece);
        if has(&Piece::Local) != has(&Piece::Domain) {
            return Err("`{local}` and `{domain}` belong together".to_owned());
        }
        if !has(&Piece::Local) && !has(&Piece::Mac) {
            return Err("says neither who got the mail ({local}, {domain}) nor that it is yours ({mac})".to_owned());
        }
        let behind_mac = pieces.iter().skip_while(|piece| **piece != Piece::Mac).skip(1);
        if behind_mac.clone().any(|piece| !matches!(piece, Piece::Literal(_))) || pieces.first() == Some(&Piece::Mac) {
            return Err("`{mac}` must come last: it covers what stands before it".to_owned());
        }
        if has(&Piece::Mac) != key.is_some() {
            return Err("`{mac}` and a secret belong together".to_owned());
        }
        Ok(Pattern { pieces, key })
    }

    /// Reads a token. `None` for a text that does not fit, or whose MAC is another's: that is a forgery or no token.
    pub fn read(&self, token: &str) -> Option<Reading> {
        if token.len() > TOKEN_BYTES {
            return None;
        }
        let mut found = Found::default();
        if !fit(&self.pieces, token, 0, &mut found) {
            return None;
        }
        let proven = match (&self.key, found.mac) {
            (Some(key), Some((at, mac))) => is_mac(key, token.get(..at)?, mac).then_some(true)?,
            _ => false,
        };
        let recipient = match (found.local, found.domain) {
            (Some(local), Some(domain)) => {
                let address = Address::parse(&format!("{local}@{domain}")).ok();
                Some(address.filter(|address| address.placeholder().is_none())?)
            }
            _ => None,
        };
        Some(Reading { recipient, proven })
    }
}

/// A token that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Who got the mail, where the token says so; found in `cfbl-token` or `verp-token` where it is proven, else `verp`.
    pub recipient: Option<Recipient>,
    /// Only the sender can have written it.
    pub proven: bool,
    /// What it was in, for people.
    pub field: &'static str,
}

/// The token of a complaint: a proven one before any other.
pub fn of_complaint(tokens: &Tokens, complaint: &Complaint) -> Option<Token> {
    let paths = complaint.tokens.iter().filter(|(name, _)| name == "return-path").map(|(_, value)| value.as_str());
    find(
        tokens,
        complaint.cfbl_feedback_id.as_deref(),
        complaint.original_mail_from.as_deref().into_iter().chain(paths),
    )
}

/// The token among a `CFBL-Feedback-ID` and return paths: a proven one before any other.
pub fn find<'a>(tokens: &Tokens, cfbl: Option<&str>, paths: impl Iterator<Item = &'a str>) -> Option<Token> {
    let cfbl = tokens
        .cfbl
        .as_ref()
        .and_then(|pattern| pattern.read(cfbl?))
        .map(|found| ("CFBL-Feedback-ID", "cfbl-token", found));
    let path = |path: &str| {
        let path = path.trim().trim_start_matches('<').trim_end_matches('>');
        tokens
            .verp
            .as_ref()
            .and_then(|pattern| pattern.read(path))
            .map(|found| ("the return path", "verp-token", found))
    };
    let mut found: Vec<_> = cfbl.into_iter().chain(paths.filter_map(path)).collect();
    found.sort_by_key(|(_, _, reading)| !reading.proven);
    found.into_iter().next().map(|(field, via, Reading { recipient, proven })| Token {
        recipient: recipient.map(|address| Recipient {
            address: Some(address.canonical()),
            status: RecipientStatus::Ok,
            via: if proven { via } else { "verp" },
            spelled: address.canonical(),
        }),
        proven,
        field,
    })
}

/// The token with its MAC for the text before it, as a sender makes it: the first `digits` of the HMAC in hexadecimal.
pub fn mac(key: &Key, before: &str, digits: usize) -> String {
    let bytes = keyed(key, before).finalize().into_bytes();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().chars().take(digits).collect()
}

fn keyed(key: &Key, before: &str) -> Hmac<Sha256> {
    // A key of any length is taken (RFC 2104, section 3), so this does not fail.
    let mut mac = Hmac::<Sha256>::new_from_slice(&key.0).unwrap_or_else(|_| Hmac::new(&Default::default()));
    mac.update(before.as_bytes());
    mac
}

/// Compares in constant time.
fn is_mac(key: &Key, before: &str, digits: &str) -> bool {
    let pair = |at: usize| digits.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(pair).collect();
    bytes.is_some_and(|bytes| keyed(key, before).verify_truncated_left(&bytes).is_ok())
}

#[derive(Default)]
struct Found<'t> {
    local: Option<&'t str>,
    domain: Option<&'t str>,
    /// Where it begins, and its digits.
    mac: Option<(usize, &'t str)>,
}

/// Fits the pieces to `token` from `at` on. What may be of any length is taken as long as possible, so that of several
/// `=` the last divides local part and domain.
fn fit<'t>(pieces: &[Piece], token: &'t str, at: usize, found: &mut Found<'t>) -> bool {
    let Some(rest) = token.get(at..) else { return false };
    let Some((piece, more)) = pieces.split_first() else { return rest.is_empty() };
    if let Piece::Literal(text) = piece {
        let fits = rest.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text));
        return fits && fit(more, token, at + text.len(), found);
    }
    let longest = rest.char_indices().take_while(|(_, c)| is_of(piece, *c)).map(|(at, c)| at + c.len_utf8()).last();
    for length in (1..=longest.unwrap_or(0)).rev() {
        let Some(text) = rest.get(..length) else { continue };
        if !fit(more, token, at + length, found) {
            continue;
        }
        match piece {
            Piece::Local => found.local = Some(text),
            Piece::Domain => found.domain = Some(text),
            Piece::Mac if text.len() < MAC_DIGITS => return false,
            Piece::Mac => found.mac = Some((at, text)),
            Piece::Any | Piece::Literal(_) => {}
        }
        return true;
    }
    false
}

fn is_of(piece: &Piece, c: char) -> bool {
    match piece {
        Piece::Domain => c.is_alphanumeric() || matches!(c, '.' | '-'),
        Piece::Mac => c.is_ascii_hexdigit(),
        Piece::Local | Piece::Any | Piece::Literal(_) => !c.is_whitespace() && !c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key::new(b"hunter2")
    }

    #[test]
    fn patterns() {
        let check = |text: &str, with_key: bool, expected: Result<(), &str>| {
            let found = Pattern::parse(text, with_key.then(key));
            match expected {
                Ok(()) => assert!(found.is_ok(), "{text}: {found:?}"),
                Err(part) => assert!(found.as_ref().is_err_and(|error| error.contains(part)), "{text}: {found:?}"),
            }
        };
        check("bounces+{local}={domain}@news.example.com", false, Ok(()));
        check("bounces+{local}={domain}+{mac}@news.example.com", true, Ok(()));
        check("{any}:{mac}", true, Ok(()));
        check("{any}:{mac}", false, Err("a secret"));
        check("{local}={domain}", true, Err("a secret"));
        check("b-{any}@x", false, Err("neither"));
        check("{local}@x", false, Err("belong together"));
        check("{local}{domain}", false, Err("must stand before"));
        check("{mac}+{local}={domain}@x", true, Err("must come last"));
        check("{mac}@x", true, Err("must come last"));
        check("{local}={local}", false, Err("twice"));
        check("{who}@x", false, Err("{who}"));
        check("{local=x", false, Err("without"));
    }

    #[test]
    fn return_paths() {
        let plain = Pattern::parse("bounces+{local}={domain}@News.example.com", None).expect("a pattern");
        let check = |token: &str, expected: Option<&str>| {
            let found = plain.read(token);
            assert!(found.iter().all(|found| !found.proven), "{token}");
            let found = found.and_then(|found| found.recipient).map(|address| address.canonical());
            assert_eq!(found.as_deref(), expected, "{token}");
        };
        check("bounces+user=isp.example@news.example.com", Some("user@isp.example"));
        check("BOUNCES+User=ISP.example@news.EXAMPLE.com", Some("User@isp.example"));
        check("bounces+a=b+c=isp.example@news.example.com", Some("a=b+c@isp.example"));
        check("bounces+redacted=aol.com@news.example.com", None);
        check("bounces+user=isp@news.example.com", None);
        check("bounces+user=isp.example@evil.example", None);
        check("bounces+=isp.example@news.example.com", None);
        check("bounces@news.example.com", None);
        check("", None);
        check(&format!("bounces+{}=isp.example@news.example.com", "a=".repeat(200)), None);
    }

    #[test]
    fn proof() {
        let pattern = Pattern::parse("b+{local}={domain}+{mac}@example.com", Some(key())).expect("a pattern");
        let token = |before: &str, mac: &str| format!("{before}{mac}@example.com");
        let before = "b+user=isp.example+";
        let proven = |text: &str| pattern.read(text).is_some_and(|found| found.proven && found.recipient.is_some());
        let whole = mac(&key(), before, 64);
        assert!(proven(&token(before, &whole)) && proven(&token(before, &whole[..16])));
        assert!(proven(&token(before, &whole[..20].to_uppercase())));
        assert!(!proven(&token(before, &whole[..14])), "too short");
        assert!(!proven(&token(before, &whole[..17])), "half a byte");
        assert!(!proven(&token(before, &"0".repeat(16))));
        assert!(!proven(&token("b+other=isp.example+", &whole)), "of another person");
        assert_eq!(pattern.read(&token(before, &mac(&Key::new(b"hunter3"), before, 32))), None, "another key");
        let cfbl = Pattern::parse("{any}:{mac}", Some(key())).expect("a pattern");
        let id = format!("111:222:{}", mac(&key(), "111:222:", 32));
        assert_eq!(cfbl.read(&id), Some(Reading { recipient: None, proven: true }));
        assert_eq!(cfbl.read(&id.replace("111", "112")), None);
        assert_eq!(format!("{:?}", key()), "Key(..)");
    }

    /// RFC 4231, section 4.3 (test case 2).
    #[test]
    fn the_mac_is_hmac_sha256() {
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(mac(&Key::new(b"Jefe"), "what do ya want for nothing?", 64), expected);
    }
}
