//! Content-Transfer-Encoding (RFC 2045, section 6), read leniently and in linear time.

use std::borrow::Cow;

use super::header::looks_like_field;
use super::line::Lines;

/// Takes `encoding` (lower case) off `raw`. Bytes that plainly are not under it are passed as they are.
pub(super) fn decode<'a>(raw: &'a [u8], encoding: &str) -> Cow<'a, [u8]> {
    match encoding {
        "base64" if !plainly_not_base64(raw) => Cow::Owned(base64(raw)),
        "quoted-printable" if !starts_packed(raw) => quoted_printable(raw),
        "base64" | "quoted-printable" => Cow::Borrowed(raw),
        _ if is_undeclared_base64(raw) => Cow::Owned(base64(raw)),
        _ => Cow::Borrowed(raw),
    }
}

/// Not even its beginning is in the alphabet: a document or container, or a block of fields, left unencoded.
fn plainly_not_base64(raw: &[u8]) -> bool {
    let text = raw.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(raw).trim_ascii_start();
    let utf16 = text.starts_with(b"\xFF\xFE") || text.starts_with(b"\xFE\xFF");
    utf16 || starts_packed(raw) || matches!(text.first(), Some(b'<' | b'{')) || looks_like_field(text)
}

fn starts_packed(raw: &[u8]) -> bool {
    raw.starts_with(b"\x1F\x8B") || raw.starts_with(b"PK\x03\x04") || raw.starts_with(b"PK\x05\x06")
}

/// gzip or zip under base64 whose encoding was not declared, as happens when a part's header is damaged: the first
/// bytes say so, and the first line is nothing else.
fn is_undeclared_base64(raw: &[u8]) -> bool {
    let text = raw.trim_ascii_start();
    if !text.starts_with(b"H4sI") && !text.starts_with(b"UEsDB") {
        return false;
    }
    let line = text.split(|&byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default().trim_ascii_end();
    line.len() >= 16 && line.iter().all(|&byte| SIXTETS[usize::from(byte)] < 64 || byte == b'=')
}

/// The alphabet's values; 0xFF for every byte outside it.
const SIXTETS: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut table = [0xFF; 256];
    let mut value = 0;
    while value < 64 {
        table[alphabet[value] as usize] = value as u8;
        value += 1;
    }
    table
};

/// Set in an entry of [`SHIFTED`] for a byte outside the alphabet.
const FOREIGN: u32 = 1 << 31;

/// The alphabet's values where the first, second, third and fourth character of a group put them.
const SHIFTED: [[u32; 256]; 4] = {
    let mut tables = [[FOREIGN; 256]; 4];
    let mut place = 0;
    while place < 4 {
        let mut byte = 0;
        while byte < 256 {
            if SIXTETS[byte] < 64 {
                tables[place][byte] = (SIXTETS[byte] as u32) << (18 - 6 * place);
            }
            byte += 1;
        }
        place += 1;
    }
    tables
};

/// Decodes base64: bytes outside the alphabet are skipped, missing padding is supplied, and what follows the padding
/// is decoded as another run (mailers that encode in pieces) unless it plainly is text (a gateway's footer).
pub(super) fn base64(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() / 4 * 3 + 3);
    let mut rest = raw;
    let mut bits = 0u32;
    let mut held = 0u32;
    while !rest.is_empty() {
        if held == 0 {
            rest = whole_groups(rest, &mut out);
        }
        let Some((&byte, after)) = rest.split_first() else {
            break;
        };
        rest = after;
        let value = SIXTETS[usize::from(byte)];
        if value < 64 {
            bits = bits << 6 | u32::from(value);
            held += 1;
            if held == 4 {
                out.extend_from_slice(&bits.to_be_bytes()[1..]);
                (bits, held) = (0, 0);
            }
        } else if byte == b'=' && held >= 2 {
            flush(bits, held, &mut out);
            (bits, held) = (0, 0);
            if ends_here(rest) {
                break;
            }
        }
    }
    flush(bits, held, &mut out);
    out
}

/// Decodes groups of four as long as nothing stands between them, which is nearly all of a body.
fn whole_groups<'a>(raw: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let mut groups = raw.chunks_exact(4);
    let mut done = 0;
    for group in &mut groups {
        let word = SHIFTED[0][usize::from(group[0])]
            | SHIFTED[1][usize::from(group[1])]
            | SHIFTED[2][usize::from(group[2])]
            | SHIFTED[3][usize::from(group[3])];
        if word & FOREIGN != 0 {
            break;
        }
        out.extend_from_slice(&word.to_be_bytes()[1..]);
        done += 4;
    }
    &raw[done..]
}

/// The bytes of an incomplete group of `held` characters.
fn flush(bits: u32, held: u32, out: &mut Vec<u8>) {
    match held {
        2 => out.push((bits >> 4) as u8),
        3 => out.extend_from_slice(&((bits >> 2) as u16).to_be_bytes()),
        _ => {}
    }
}

/// Whether the line ends with the padding and what follows is no base64: the next line holds something outside the
/// alphabet. Only a little of it is looked at, since padding may come often.
fn ends_here(rest: &[u8]) -> bool {
    let text = &rest[..rest.len().min(160)];
    let text = text.strip_prefix(b"=").unwrap_or(text);
    if !text.first().is_some_and(u8::is_ascii_whitespace) {
        return false;
    }
    let text = text.trim_ascii_start();
    let line = text.split(|&byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let foreign = |&byte: &u8| SIXTETS[usize::from(byte)] >= 64 && byte != b'=';
    line.trim_ascii_end().iter().any(foreign)
}

/// Decodes quoted-printable: a soft line break may carry trailing white space, and an `=` that introduces neither a
/// break nor two hexadecimal digits stays as it is.
fn quoted_printable(raw: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr::memchr(b'=', raw) else {
        return Cow::Borrowed(raw);
    };
    let mut out = Vec::with_capacity(raw.len());
    out.extend_from_slice(&raw[..first]);
    let mut rest = &raw[first..];
    while let Some((_, after)) = rest.split_first() {
        let (byte, used) = escape(after);
        out.extend(byte);
        rest = &after[used..];
        let next = memchr::memchr(b'=', rest).unwrap_or(rest.len());
        out.extend_from_slice(&rest[..next]);
        rest = &rest[next..];
    }
    Cow::Owned(out)
}

/// What the bytes after an `=` stand for, and how many of them belong to it.
fn escape(after: &[u8]) -> (Option<u8>, usize) {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|value| value as u8);
    if let [high, low, ..] = after
        && let (Some(high), Some(low)) = (digit(*high), digit(*low))
    {
        return (Some(high << 4 | low), 2);
    }
    // A soft break is looked for within the longest line that RFC 5322 allows, so that the search stays linear.
    let blanks = after.iter().take(998).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    match after.get(blanks..).unwrap_or_default() {
        [] => (None, blanks),
        [b'\r', b'\n', ..] => (None, blanks + 2),
        [b'\r' | b'\n', ..] => (None, blanks + 1),
        _ => (Some(b'='), 0),
    }
}

/// The decoded beginning of `raw`, to tell what it is: from at most `bytes` encoded bytes.
pub(super) fn peek(raw: &[u8], encoding: &str, bytes: usize) -> Vec<u8> {
    let head = &raw[..raw.len().min(bytes)];
    // Whole lines only: a cut escape or group would decode to something else.
    let mut end = 0;
    for line in Lines::new(head) {
        if line.next < head.len() || end == 0 {
            end = line.next;
        }
    }
    decode(&head[..end], encoding).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_leniently() {
        let cases: &[(&str, &[u8])] = &[
            ("", b""),
            ("QUJD", b"ABC"),
            ("QUJDRA==", b"ABCD"),
            ("QUJDREU=", b"ABCDE"),
            ("QUJDRA", b"ABCD"),
            ("QUJDREU", b"ABCDE"),
            ("QUJD\r\nREVG\r\n", b"ABCDEF"),
            ("QU\r\nJDR\nEV G", b"ABCDEF"),
            ("!!!! \tQUJDREVG-*", b"ABCDEF"),
            ("QUJDRA==\r\nQUJD", b"ABCDABC"),
            ("QUJDRA==\r\n=====\r\n", b"ABCD"),
            ("QUJDRA==\r\n\r\n-- \r\nScanned by a gateway", b"ABCD"),
            ("QUJDRA==\r\nThis mail was scanned", b"ABCD"),
            ("QUJDRA==\r\n<p>Scanned</p>", b"ABCD"),
            ("QUJDRA==QUJD", b"ABCDABC"),
            ("Q", b""),
            ("=QUJD", b"ABC"),
            ("A=QUJD", b"\x01\x05\x09"),
            ("+/+/", b"\xFB\xFF\xBF"),
        ];
        for (encoded, expected) in cases {
            assert_eq!(base64(encoded.as_bytes()), *expected, "{encoded:?}");
        }
    }

    #[test]
    fn quoted_printable_is_read_leniently() {
        let cases: &[(&str, &str)] = &[
            ("plain", "plain"),
            ("a=3Db", "a=b"),
            ("a=3db", "a=b"),
            ("soft=\r\nbreak", "softbreak"),
            ("soft= \t\r\nbreak", "softbreak"),
            ("soft=\nbreak", "softbreak"),
            ("soft=\rbreak", "softbreak"),
            ("end=", "end"),
            ("a=ZZb", "a=ZZb"),
            ("a=4", "a=4"),
            ("version=\"1.0\"", "version=\"1.0\""),
            ("==3D", "=="),
        ];
        for (encoded, expected) in cases {
            let decoded = decode(encoded.as_bytes(), "quoted-printable");
            assert_eq!(String::from_utf8_lossy(&decoded), *expected, "{encoded:?}");
        }
    }

    #[test]
    fn a_declared_encoding_that_does_not_fit_is_passed_over() {
        let cases: &[(&[u8], &str)] = &[
            (b"<?xml version=\"1.0\"?><feedback/>", "base64"),
            (b"\r\n  <feedback>", "base64"),
            (b"\xEF\xBB\xBF<feedback>", "base64"),
            (b"\xFF\xFE<\0f\0", "base64"),
            (b"{\"organization-name\": 1}", "base64"),
            (b"\x1F\x8B\x08\0\0\0", "base64"),
            (b"PK\x03\x04\x14", "base64"),
            (b"PK\x03\x04=3D", "quoted-printable"),
            (b"Feedback-Type: abuse\r\nVersion: 1\r\n", "base64"),
            (b"<feedback>", "x-unknown"),
            (b"QUJD", ""),
            (b"H4sI is how gzip begins under base64", ""),
        ];
        for (raw, encoding) in cases {
            assert_eq!(&*decode(raw, encoding), *raw, "{encoding} {raw:?}");
        }
    }

    #[test]
    fn gzip_and_zip_under_undeclared_base64_are_decoded() {
        assert!(decode(b"\r\nH4sIAAAAAAAC/31Ty07D\r\nMBC8", "7bit").starts_with(b"\x1F\x8B\x08"));
        assert!(decode(b"UEsDBBQAAAAIAAAAFFss\r\n", "").starts_with(b"PK\x03\x04"));
    }
}
