//! Folder names: UTF-8 with `/` between levels for people, modified UTF-7 (RFC 3501, section 5.1.3) and the server's
//! own delimiter and prefix on the wire.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// `name` in modified UTF-7. Whatever is not printable ASCII is encoded, so the result can be quoted.
pub(super) fn encode(name: &str) -> String {
    let mut wire = String::with_capacity(name.len());
    let mut units = Vec::new();
    for character in name.chars() {
        if matches!(character, ' '..='~') {
            flush(&mut wire, &mut units);
            wire.push(character);
            if character == '&' {
                wire.push('-');
            }
        } else {
            units.extend_from_slice(character.encode_utf16(&mut [0; 2]));
        }
    }
    flush(&mut wire, &mut units);
    wire
}

/// Writes the pending UTF-16 units as `&base64-`.
fn flush(wire: &mut String, units: &mut Vec<u16>) {
    if units.is_empty() {
        return;
    }
    wire.push('&');
    let (mut bits, mut count) = (0_u32, 0);
    for unit in units.drain(..) {
        bits = bits << 16 | u32::from(unit);
        count += 16;
        while count >= 6 {
            count -= 6;
            wire.push(digit(bits >> count));
        }
        bits &= (1 << count) - 1;
    }
    if count > 0 {
        wire.push(digit(bits << (6 - count)));
    }
    wire.push('-');
}

fn digit(bits: u32) -> char {
    ALPHABET.get((bits & 63) as usize).map_or('A', |byte| char::from(*byte))
}

/// `wire` for people; a name that is not valid modified UTF-7 stays as it is.
pub(super) fn decode(wire: &str) -> String {
    try_decode(wire).unwrap_or_else(|| wire.to_owned())
}

fn try_decode(wire: &str) -> Option<String> {
    let mut name = String::with_capacity(wire.len());
    let mut rest = wire;
    while let Some((plain, shifted)) = rest.split_once('&') {
        let (encoded, after) = shifted.split_once('-')?;
        name.push_str(plain);
        if encoded.is_empty() {
            name.push('&');
        } else {
            name.push_str(&units(encoded)?);
        }
        rest = after;
    }
    name.push_str(rest);
    Some(name)
}

fn units(encoded: &str) -> Option<String> {
    let mut units = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in encoded.bytes() {
        let value = ALPHABET.iter().position(|digit| *digit == byte)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        count += 6;
        if count >= 16 {
            count -= 16;
            units.push(u16::try_from(bits >> count).ok()?);
            bits &= (1 << count) - 1;
        }
    }
    if count >= 6 || bits != 0 {
        return None;
    }
    String::from_utf16(&units).ok()
}

/// How a server writes the names of a user's own folders (RFC 2342).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Naming {
    /// Between levels; `None` where there are none.
    pub delimiter: Option<char>,
    /// What names outside of INBOX begin with: `INBOX.` on some servers.
    pub prefix: String,
}

impl Naming {
    /// The first personal namespace in the data of a NAMESPACE response: `(("INBOX." ".")) NIL NIL`.
    pub fn from_namespace(data: &str) -> Option<Naming> {
        let (prefix, rest) = quoted(data.strip_prefix("((")?)?;
        let (delimiter, _) = quoted(rest.strip_prefix(' ')?)?;
        Some(Naming { delimiter: delimiter.chars().next(), prefix })
    }

    /// The names on the wire that `name` may mean, likeliest first.
    pub fn candidates(&self, name: &str) -> Vec<String> {
        if is_inbox(name) {
            return vec!["INBOX".into()];
        }
        let plain = match self.delimiter {
            Some(delimiter) if delimiter != '/' => encode(&name.replace('/', delimiter.encode_utf8(&mut [0; 4]))),
            _ => encode(name),
        };
        let mut candidates = vec![plain.clone()];
        if !self.prefix.is_empty() && !plain.starts_with(&self.prefix) {
            candidates.insert(0, format!("{}{plain}", self.prefix));
        }
        candidates
    }

    /// A name from the wire, for people.
    pub fn decode(&self, wire: &str) -> String {
        match self.delimiter {
            Some(delimiter) if delimiter != '/' => decode(wire).replace(delimiter, "/"),
            _ => decode(wire),
        }
    }
}

/// Whether this is the one folder that every server writes alike (RFC 9051, section 5.1).
pub(super) fn is_inbox(name: &str) -> bool {
    name.eq_ignore_ascii_case("INBOX")
}

/// The quoted string at the start of `data`, and what follows it.
fn quoted(data: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut characters = data.strip_prefix('"')?.chars();
    loop {
        match characters.next()? {
            '"' => return Some((text, characters.as_str())),
            '\\' => text.push(characters.next()?),
            character => text.push(character),
        }
    }
}

/// Takes back the escapes of a quoted string, which the protocol library leaves in.
pub(super) fn unescape(text: &str) -> String {
    quoted(&format!("\"{text}\"")).filter(|(_, rest)| rest.is_empty()).map_or_else(|| text.to_owned(), |(text, _)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_the_wire() {
        let check = |name: &str, wire: &str| {
            assert_eq!(encode(name), wire);
            assert_eq!(decode(wire), name);
        };
        check("INBOX", "INBOX");
        check("A&B", "A&-B");
        check("&", "&-");
        check("Entwürfe", "Entw&APw-rfe");
        check("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
        check("😀", "&2D3eAA-");
        check("a\"b\\c d", "a\"b\\c d");
        check("line\r\nbreak", "line&AA0ACg-break");
    }

    #[test]
    fn broken_names_stay_as_they_are() {
        for wire in ["&", "a&b", "&!-", "&AP-", "&2D0-", "&APx-"] {
            assert_eq!(decode(wire), wire);
        }
    }

    #[test]
    fn understands_namespaces() {
        let naming = Naming::from_namespace("((\"INBOX.\" \".\")) NIL NIL").unwrap();
        assert_eq!(naming, Naming { delimiter: Some('.'), prefix: "INBOX.".into() });
        assert_eq!(naming.candidates("a/b"), ["INBOX.a.b", "a.b"]);
        assert_eq!(naming.candidates("INBOX/a"), ["INBOX.a"]);
        assert_eq!(naming.candidates("inbox"), ["INBOX"]);
        assert_eq!(naming.decode("INBOX.Entw&APw-rfe"), "INBOX/Entwürfe");
        let naming = Naming::from_namespace("((\"\" \"/\")(\"~\" \"/\")) NIL NIL").unwrap();
        assert_eq!(naming.candidates("a/b"), ["a/b"]);
        let naming = Naming::from_namespace("((\"\" \"\\\\\")) NIL NIL").unwrap();
        assert_eq!(naming.candidates("a/b"), ["a\\b"]);
        assert_eq!(Naming::from_namespace("NIL NIL NIL"), None);
    }

    #[test]
    fn takes_back_escapes() {
        assert_eq!(unescape(r#"a\"b\\c"#), r#"a"b\c"#);
        assert_eq!(unescape(r#"a"b"#), r#"a"b"#);
        assert_eq!(unescape("plain"), "plain");
    }
}
