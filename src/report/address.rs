//! Mail addresses: the strict form that a suppression needs (RFC 5321, 6531), and the header forms around it.
//!
//! Strict, because an address that is read wrongly drops the wrong person from a list: what is not plainly one address
//! is a [`Fault`], never a guess.

use std::fmt;

use icu_normalizer::ComposingNormalizerBorrowed;
use idna::AsciiDenyList;

use super::text::{split_outside_quotes, unquoted, without_comments};
use crate::mail::alphanumeric_and;

/// Octets of a local part (RFC 5321, section 4.5.3.1.1).
const LOCAL_BYTES: usize = 64;
/// Octets of a whole address (RFC 3696, erratum 1690).
const ADDRESS_BYTES: usize = 254;
/// Octets of a label of a domain name.
const LABEL_BYTES: usize = 63;
/// Octets of a domain name in text.
const DOMAIN_BYTES: usize = 253;

/// One address: `local@domain`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// The local part as sent, quotes included: it is opaque, and case may matter (RFC 5321, section 2.4).
    pub local: String,
    /// The domain as lower-case A-labels, or an address literal as sent.
    pub domain: String,
}

/// What a canonical address is matched by: itself in lower case and, beyond ASCII, in Unicode's normalization form C, so that
/// `é` is one letter however it was typed (RFC 6532, section 3.1; case before form as in RFC 8265, section 3.3.2). It is
/// compared and never written: a server may heed what is folded here (RFC 5321, section 2.4).
pub fn folded(address: &str) -> String {
    if address.is_ascii() {
        return address.to_ascii_lowercase();
    }
    ComposingNormalizerBorrowed::new_nfc().normalize(&address.to_lowercase()).into_owned()
}

/// Why a text is not one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing there.
    Empty,
    /// No `@`, or text around the address that belongs to nothing.
    Form,
    /// More than one address where one is meant.
    Several,
    /// A local part of other characters than atoms, dots or a quoted string allow, or longer than 64 octets.
    Local,
    /// A domain that is none, or has no dot.
    Domain,
    /// Longer than 254 octets.
    Length,
    /// Control or invisible formatting characters.
    Control,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Empty => "empty",
            Fault::Form => "not of the form local@domain",
            Fault::Several => "several addresses in one place",
            Fault::Local => "local part is not valid",
            Fault::Domain => "domain is not valid",
            Fault::Length => "longer than 254 octets",
            Fault::Control => "contains control characters",
        })
    }
}

/// What stands in an address' place when a provider will not name the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// A word or a mask: `redacted@…`, `undisclosed@…`, `xxxx@…`, `j***@…`, `….invalid`.
    Redacted,
    /// A digest: 32, 40, 64 or more hexadecimal digits, or the base64 of RFC 6590.
    Hashed,
}

impl Address {
    /// Reads exactly one addr-spec without anything around it.
    ///
    /// # Errors
    /// Whatever is not one address with a domain that can be looked up, or an address literal.
    pub fn parse(text: &str) -> Result<Address, Fault> {
        if text.is_empty() {
            return Err(Fault::Empty);
        }
        if has_unprintable(text) {
            return Err(Fault::Control);
        }
        let (local, domain) = split_at_sign(text)?;
        check_local(local)?;
        let domain = mail_domain(domain)?;
        if local.len() + 1 + domain.len() > ADDRESS_BYTES {
            return Err(Fault::Length);
        }
        Ok(Address { local: local.to_owned(), domain })
    }

    /// Reads one address in any form that a single-address field uses: bare, `<…>`, with a display name, with comments,
    /// with `rfc822;` in front.
    ///
    /// # Errors
    /// As [`Address::parse`], and [`Fault::Several`] for a list.
    pub fn parse_field(text: &str) -> Result<Address, Fault> {
        if has_unprintable(text) {
            return Err(Fault::Control);
        }
        let text = without_comments(text);
        let text = text.trim();
        let text = match text.split_at_checked(7) {
            Some((kind, rest)) if kind.eq_ignore_ascii_case("rfc822;") => rest.trim(),
            _ => text,
        };
        let mut pieces = split_outside_quotes(text, b',').filter(|piece| !piece.trim().is_empty());
        match (pieces.next(), pieces.next()) {
            (None, _) => Err(Fault::Empty),
            (Some(one), None) => mailbox(one).1,
            (Some(_), Some(_)) => Err(Fault::Several),
        }
    }

    /// `local@domain`: the local part as sent, the domain canonical.
    pub fn canonical(&self) -> String {
        [&self.local, "@", &self.domain].concat()
    }

    /// Whether that is `text`.
    pub fn is(&self, text: &str) -> bool {
        let rest = text.strip_prefix(self.local.as_str()).and_then(|rest| rest.strip_prefix('@'));
        rest == Some(self.domain.as_str())
    }

    /// What it is matched by; see [`folded`].
    pub fn folded(&self) -> String {
        folded(&self.canonical())
    }

    /// Whether the domain is an address literal (`[192.0.2.1]`), which no list holds and no export may name.
    pub fn is_literal(&self) -> bool {
        self.domain.starts_with('[')
    }

    /// What this stands for, when it is not a person's address.
    pub fn placeholder(&self) -> Option<Placeholder> {
        let local = unquoted(&self.local);
        if is_digest(&local) || local.eq_ignore_ascii_case("hashed") {
            return Some(Placeholder::Hashed);
        }
        let masked = local.contains('*') || local.bytes().all(|b| matches!(b, b'x' | b'X'));
        let tld = self.domain.rsplit('.').next().unwrap_or_default();
        let nowhere = matches!(tld, "invalid" | "xxx");
        (masked || nowhere || says_redacted(&local)).then_some(Placeholder::Redacted)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

/// Whether a text says that something was taken out: `redacted`, `Undisclosed Recipients`, `[removed]`, ….
pub fn says_redacted(text: &str) -> bool {
    const WITHIN: [&str; 4] = ["redacted", "undisclosed", "anonymized", "anonymised"];
    const ALONE: [&str; 4] = ["hidden", "removed", "masked", "private"];
    let bytes = text.as_bytes();
    // All of the first end in d, which few texts have.
    let ends_word = |at: usize| {
        let start = |word: &str| (at + 1).checked_sub(word.len());
        WITHIN.iter().any(|word| start(word).is_some_and(|s| bytes[s..=at].eq_ignore_ascii_case(word.as_bytes())))
    };
    if memchr::memchr2_iter(b'd', b'D', bytes).any(ends_word) {
        return true;
    }
    let bare = text.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    ALONE.iter().any(|word| bare.eq_ignore_ascii_case(word))
}

/// Whether a text looks like a digest in place of a local part: hexadecimal of a usual length, or the 28 characters of
/// base64 that RFC 6590 uses.
pub(super) fn is_digest(text: &str) -> bool {
    let hex = matches!(text.len(), 32 | 40 | 56 | 64 | 96 | 128) && text.bytes().all(|b| b.is_ascii_hexdigit());
    let base64 = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    let bytes = text.as_bytes();
    let rfc6590 =
        matches!(text.len(), 28 | 44) && bytes.ends_with(b"=") && bytes[..text.len() - 1].iter().all(|&b| base64(b));
    hex || rfc6590
}

/// One entry of an address header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// The display name without quotes, encoded words not decoded; `None` where there is none.
    pub name: Option<String>,
    /// Its address.
    pub address: Result<Address, Fault>,
    /// The text in the address' place, as sent.
    pub spelled: String,
}

/// Reads an address header (`From`, `To`): every mailbox, groups opened. A trailing `;` is read around
/// (RFC 9991's own example has one).
pub fn mailboxes(text: &str) -> Vec<Mailbox> {
    let text = without_comments(text);
    let mut found = Vec::new();
    for piece in split_outside_quotes(&text, b',') {
        let piece = piece.trim().trim_end_matches(';').trim();
        let piece = group_member(piece).trim();
        if piece.is_empty() {
            continue;
        }
        let (name, address) = mailbox(piece);
        found.push(Mailbox { name, address, spelled: piece.to_owned() });
    }
    found
}

/// The domain of the one address in a `From` field, leniently: the local part may be anything. `None` where there is no
/// domain or more than one.
pub fn from_domain(text: &str) -> Option<String> {
    let mut domains = mailboxes(text).into_iter().filter_map(|mailbox| match mailbox.address {
        Ok(address) => Some(address.domain),
        Err(_) => {
            let spec = mailbox.spelled.rsplit('<').next().unwrap_or_default();
            let spec = spec.split('>').next().unwrap_or_default();
            spec.rsplit_once('@').and_then(|(_, tail)| domain(tail))
        }
    });
    let first = domains.next()?;
    domains.all(|other| other == first).then_some(first)
}

/// A domain name in canonical form: lower-case A-labels without a trailing dot. `None` for what is no name: an empty
/// label, a label over 63 or a name over 253 octets, characters other than letters, digits, `-` and `_`.
pub fn domain(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text.strip_suffix('.').unwrap_or(text);
    if is_ascii_name(text) {
        return Some(text.to_ascii_lowercase());
    }
    if text.is_ascii() {
        return None;
    }
    let ascii = idna::domain_to_ascii_cow(text.as_bytes(), AsciiDenyList::EMPTY).ok()?;
    is_ascii_name(&ascii).then(|| ascii.to_ascii_lowercase())
}

fn is_ascii_name(text: &str) -> bool {
    if text.is_empty() || text.len() > DOMAIN_BYTES {
        return false;
    }
    let mut label = 0;
    for (at, byte) in text.bytes().chain(std::iter::once(b'.')).enumerate() {
        if byte == b'.' {
            if !(1..=LABEL_BYTES).contains(&(at - label)) {
                return false;
            }
            label = at + 1;
        } else if !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'_') {
            return false;
        }
    }
    true
}

/// The domain of a mail address: a name with a dot, of letters, digits and hyphens, that is no IP address; or a literal.
fn mail_domain(text: &str) -> Result<String, Fault> {
    if let Some(literal) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let v6 = literal.get(..5).filter(|tag| tag.eq_ignore_ascii_case("IPv6:")).and_then(|_| literal.get(5..));
        let known = match v6 {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => literal.parse::<std::net::Ipv4Addr>().is_ok(),
        };
        return if known { Ok(text.to_ascii_lowercase()) } else { Err(Fault::Domain) };
    }
    let name = domain(text).ok_or(Fault::Domain)?;
    if is_host_name(&name) && !text.ends_with('.') { Ok(name) } else { Err(Fault::Domain) }
}

/// Whether a canonical name is one that mail may go to: it has a dot, no label begins or ends with a hyphen, none has an
/// underscore, and the last is no number.
fn is_host_name(name: &str) -> bool {
    let (mut before, mut has_dot, mut is_number) = (b'.', false, true);
    for byte in name.bytes() {
        match byte {
            b'_' => return false,
            b'-' if before == b'.' => return false,
            b'.' if before == b'-' => return false,
            b'.' => (has_dot, is_number) = (true, true),
            _ => is_number &= byte.is_ascii_digit(),
        }
        before = byte;
    }
    has_dot && !is_number && before != b'-'
}

/// Display name and address of one mailbox.
fn mailbox(text: &str) -> (Option<String>, Result<Address, Fault>) {
    let text = text.trim();
    let Some(open) = find_unquoted(text, b'<') else {
        return (None, Address::parse(text));
    };
    let name = unquoted(&text[..open]);
    let name = (!name.is_empty()).then(|| name.into_owned());
    let rest = &text[open + 1..];
    let Some(close) = find_unquoted(rest, b'>') else {
        return (name, Err(Fault::Form));
    };
    let after = rest[close + 1..].trim_matches(|c: char| c.is_whitespace() || c == ';');
    let address = match after {
        "" => Address::parse(rest[..close].trim()),
        _ if after.contains('<') => Err(Fault::Several),
        _ => Err(Fault::Form),
    };
    (name, address)
}

fn group_member(text: &str) -> &str {
    // `Group name: first`, or a route-like colon inside brackets, which is none of ours.
    match find_unquoted(text, b':') {
        Some(colon) if !text[..colon].contains(['<', '@', '[']) => &text[colon + 1..],
        _ => text,
    }
}

/// Where an ASCII character stands outside quoted strings.
fn find_unquoted(text: &str, wanted: u8) -> Option<usize> {
    let first = memchr::memchr3(wanted, b'"', b'\\', text.as_bytes())?;
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate().skip(first) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            _ if byte == wanted && !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

fn split_at_sign(text: &str) -> Result<(&str, &str), Fault> {
    if text.starts_with('"') {
        let at = find_unquoted(text, b'@').ok_or(Fault::Form)?;
        return Ok((&text[..at], &text[at + 1..]));
    }
    let at = memchr::memchr(b'@', text.as_bytes()).ok_or(Fault::Form)?;
    let (local, domain) = (&text[..at], &text[at + 1..]);
    if memchr::memchr(b'@', domain.as_bytes()).is_some() {
        return Err(Fault::Several);
    }
    Ok((local, domain))
}

fn check_local(local: &str) -> Result<(), Fault> {
    if local.is_empty() || local.len() > LOCAL_BYTES {
        return Err(Fault::Local);
    }
    let quoted = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let valid = match quoted {
        Some(content) => is_quoted_content(content),
        None => is_dot_atom(local),
    };
    if valid { Ok(()) } else { Err(Fault::Local) }
}

fn is_dot_atom(local: &str) -> bool {
    if !local.is_ascii() {
        return local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext));
    }
    let mut before = b'.';
    let fits = local.bytes().all(|byte| {
        let fits = if byte == b'.' { before != b'.' } else { ATEXT[usize::from(byte)] };
        before = byte;
        fits
    });
    fits && before != b'.'
}

/// The characters of atoms below 128 (RFC 5322, section 3.2.3), asked of every byte of every local part.
const ATEXT: [bool; 256] = alphanumeric_and(b"!#$%&'*+-/=?^_`{|}~");

fn is_quoted_content(content: &str) -> bool {
    let mut chars = content.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return false,
            '\\' if chars.next().is_none() => return false,
            _ => {}
        }
    }
    !content.is_empty()
}

fn is_atext(c: char) -> bool {
    u8::try_from(c).is_ok_and(|byte| ATEXT[usize::from(byte)]) || (!c.is_ascii() && !c.is_whitespace())
}

/// Control characters, and the invisible or direction-changing ones that make one address look like another.
fn has_unprintable(text: &str) -> bool {
    if text.is_ascii() {
        // All of them are looked at, which takes less than to stop.
        return text.bytes().fold(false, |found, byte| found | byte.is_ascii_control());
    }
    text.chars().any(|c| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..='\u{e007f}')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_matched() {
        let check = |address: &str, expected: &str| assert_eq!(folded(address), expected, "{address}");
        check("User.Name+Tag@isp.example", "user.name+tag@isp.example");
        check("\"A b\"@isp.example", "\"a b\"@isp.example");
        check("JOS\u{c9}@isp.example", "jos\u{e9}@isp.example");
        check("jose\u{301}@isp.example", "jos\u{e9}@isp.example");
        // Other letters that only look or sound alike stay what they are: form C, not KC, and no folding of sharp s.
        check("\u{fb01}n@isp.example", "\u{fb01}n@isp.example");
        check("stra\u{df}e@isp.example", "stra\u{df}e@isp.example");
    }

    #[test]
    fn an_address_is_its_canonical_text() {
        let address = Address::parse("a.B@Isp.Example").unwrap();
        for (text, expected) in [
            ("a.B@isp.example", true),
            ("a.b@isp.example", false),
            ("a.B@isp.example.", false),
            ("a.Bisp.example", false),
            ("a.B", false),
            ("", false),
        ] {
            assert_eq!(address.is(text), expected, "{text}");
            assert_eq!(address.canonical() == text, expected, "{text}");
        }
    }

    #[test]
    fn one_address_in_the_forms_fields_use() {
        let check = |text: &str, expected: Result<&str, Fault>| {
            let found = Address::parse_field(text).map(|a| a.canonical());
            assert_eq!(found, expected.map(str::to_owned), "{text:?}");
        };
        check("user@isp.example", Ok("user@isp.example"));
        check("<user@isp.example>", Ok("user@isp.example"));
        check("  <User.Name+tag@ISP.Example> ", Ok("User.Name+tag@isp.example"));
        check("A. Person <user@isp.example>", Ok("user@isp.example"));
        check("\"Last, First\" <user@isp.example>", Ok("user@isp.example"));
        check("user@isp.example (a comment)", Ok("user@isp.example"));
        check("rfc822;user@isp.example", Ok("user@isp.example"));
        check("RFC822; user@isp.example", Ok("user@isp.example"));
        check("\"feedback@arf.mail.yahoo.com\" <evil@evil.example>", Ok("evil@evil.example"));
        check("feedback@arf.mail.yahoo.com <evil@evil.example>", Ok("evil@evil.example"));
        check("\"a b@c\"@isp.example", Ok("\"a b@c\"@isp.example"));
        check("\"a b,c\"@isp.example", Ok("\"a b,c\"@isp.example"));
        check("<\"a b@c\"@isp.example>", Ok("\"a b@c\"@isp.example"));
        check("=cmd|calc!a1@isp.example", Ok("=cmd|calc!a1@isp.example"));
        check("user@bücher.example", Ok("user@xn--bcher-kva.example"));
        check("üser@bücher.example", Ok("üser@xn--bcher-kva.example"));
        check("user@[192.0.2.1]", Ok("user@[192.0.2.1]"));
        check("user@[IPv6:2001:db8::1]", Ok("user@[ipv6:2001:db8::1]"));
        check("user@[192.0.2]", Err(Fault::Domain));
        check("user@[IPv6", Err(Fault::Domain));
        check("user@[é]", Err(Fault::Domain));
        check("", Err(Fault::Empty));
        check("<>", Err(Fault::Empty));
        check("user", Err(Fault::Form));
        check("@isp.example", Err(Fault::Local));
        check("user@", Err(Fault::Domain));
        check("user@localhost", Err(Fault::Domain));
        check("user@isp.example.", Err(Fault::Domain));
        check("user@192.0.2.1", Err(Fault::Domain));
        check("user@isp..example", Err(Fault::Domain));
        check("user@-isp.example", Err(Fault::Domain));
        check("user@is_p.example", Err(Fault::Domain));
        check("us er@isp.example", Err(Fault::Local));
        check(".user@isp.example", Err(Fault::Local));
        check("us..er@isp.example", Err(Fault::Local));
        check("\"us\"er\"@isp.example", Err(Fault::Form));
        check("\"us\"er@isp.example", Err(Fault::Local));
        check("a@b@isp.example", Err(Fault::Several));
        check("a@isp.example,b@isp.example", Err(Fault::Several));
        check("a@isp.example , b@isp.example", Err(Fault::Several));
        check("<a@isp.example> <b@isp.example>", Err(Fault::Several));
        check("<a@isp.example> b", Err(Fault::Form));
        check("<a@isp.example", Err(Fault::Form));
        check("<us er\u{1b}[31m@isp.example>", Err(Fault::Control));
        check("us\u{202e}er@isp.example", Err(Fault::Control));
        check("user@isp.example\nb@isp.example", Err(Fault::Control));
        check(&format!("{}@isp.example", "a".repeat(64)), Ok(&format!("{}@isp.example", "a".repeat(64))));
        check(&format!("{}@isp.example", "a".repeat(65)), Err(Fault::Local));
        check(&format!("{}@{}.example", "a".repeat(64), "b.".repeat(91) + "c"), Err(Fault::Length));
        check(&"a".repeat(5000), Err(Fault::Form));
    }

    #[test]
    fn placeholders_are_not_people() {
        let check = |text: &str, expected: Option<Placeholder>| {
            assert_eq!(Address::parse(text).expect(text).placeholder(), expected, "{text}");
        };
        check("user@isp.example", None);
        check("max@isp.example", None);
        check("deadbeef@isp.example", None);
        check("redacted@aol.com", Some(Placeholder::Redacted));
        check("Redacted-Address@aol.com", Some(Placeholder::Redacted));
        check("bounces+15167-8e67-redacted=aol.com@sender.example", Some(Placeholder::Redacted));
        check("undisclosed@isp.example", Some(Placeholder::Redacted));
        check("xxxx@outlook.com", Some(Placeholder::Redacted));
        check("j***n@isp.example", Some(Placeholder::Redacted));
        check("*@isp.example", Some(Placeholder::Redacted));
        check("user@libsisimai.org.invalid", Some(Placeholder::Redacted));
        check("user@email.xxx", Some(Placeholder::Redacted));
        check("hashed@example.com", Some(Placeholder::Hashed));
        check("d41d8cd98f00b204e9800998ecf8427e@comcast.net", Some(Placeholder::Hashed));
        check("DA39A3EE5E6B4B0D3255BFEF95601890AFD80709@isp.example", Some(Placeholder::Hashed));
        check("rZ8cqXWGiKHzhz1MsFRGTysHia4=@example.net", Some(Placeholder::Hashed));
    }

    #[test]
    fn domains_have_one_spelling() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(domain(text).as_deref(), expected, "{text}");
        check("Example.COM", Some("example.com"));
        check(" example.com. ", Some("example.com"));
        check("_dmarc.example.com", Some("_dmarc.example.com"));
        check("Bücher.example", Some("xn--bcher-kva.example"));
        check("XN--bcher-kva.example", Some("xn--bcher-kva.example"));
        check("localhost", Some("localhost"));
        check("", None);
        check(".", None);
        check("a..b", None);
        check("a b", None);
        check("example.com<foo", None);
        check(&"a".repeat(64), None);
        check(&"a.".repeat(128), None);
    }

    #[test]
    fn headers_name_people() {
        let names = |text: &str| -> Vec<String> {
            mailboxes(text).into_iter().map(|m| m.address.map_or_else(|f| f.to_string(), |a| a.canonical())).collect()
        };
        assert_eq!(names("a@x.example, B <b@x.example>"), ["a@x.example", "b@x.example"]);
        assert_eq!(names("DMARC Filter <DMARC@gen.example>;"), ["DMARC@gen.example"]);
        assert_eq!(names("undisclosed-recipients:;"), Vec::<String>::new());
        assert_eq!(names("Team: a@x.example, b@x.example;"), ["a@x.example", "b@x.example"]);
        assert_eq!(from_domain("\"x@y\" <we ird@Example.com>").as_deref(), Some("example.com"));
        assert_eq!(from_domain("a@x.example, b@y.example"), None);
        assert_eq!(from_domain("nobody"), None);
    }
}
