//! Tags and values as nearly all are written: told without the XML reader, whose events cost several times as much. What is
//! written in any other way is left to it.

/// The longest name that is looked at.
const NAME: usize = 64;

/// A tag with a name and nothing else, without a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag<'t> {
    Start(&'t str),
    End(&'t str),
}

/// The tag that comes next, after nothing but white space; the bytes before it, and with it.
#[inline]
pub(super) fn tag(rest: &str) -> Option<(Tag<'_>, usize, usize)> {
    let bytes = rest.as_bytes();
    let before = bytes.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let (ends, start) = match bytes.get(before..)? {
        [b'<', b'/', ..] => (true, before + 2),
        [b'<', ..] => (false, before + 1),
        _ => return None,
    };
    let length = bytes.get(start..)?.iter().take(NAME + 1).position(|byte| !is_of_name(*byte))?;
    let end = start + length;
    if length == 0 || bytes.get(end) != Some(&b'>') {
        return None;
    }
    let name = rest.get(start..end)?;
    Some((if ends { Tag::End(name) } else { Tag::Start(name) }, before, end + 1))
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// The value of an element that consists of plain text, and its length with the end tag.
pub(super) fn leaf<'t>(rest: &'t str, name: &str, most: usize) -> Option<(&'t str, usize)> {
    let end = memchr::memchr2(b'<', b'&', rest.as_bytes()).filter(|&end| end <= most)?;
    let (value, tag) = rest.split_at_checked(end)?;
    let after = tag.strip_prefix("</")?.strip_prefix(name)?.strip_prefix('>')?;
    Some((value, rest.len() - after.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_tag_is_told() {
        let long = format!("<{}>", "x".repeat(NAME));
        for (rest, expected) in [
            ("<row>1", Some((Tag::Start("row"), 0, 5))),
            ("\r\n\t </source_ip><", Some((Tag::End("source_ip"), 4, 16))),
            ("<x-1.y>", Some((Tag::Start("x-1.y"), 0, 7))),
            (&long, Some((Tag::Start(&long[1..=NAME]), 0, NAME + 2))),
            (&long.replace('>', "x>"), None),
            ("<row", None),
            ("</", None),
            ("  ", None),
            ("", None),
            ("x<row>", None),
            ("<>", None),
            ("</>", None),
            ("< row>", None),
            ("<row >", None),
            ("<row/>", None),
            ("<a:row>", None),
            ("<row a='b'>", None),
            ("<!-- -->", None),
            ("<?xml?>", None),
            ("<r\u{f6}w>", None),
        ] {
            assert_eq!(tag(rest), expected, "{rest}");
        }
    }

    #[test]
    fn a_plain_value_is_told() {
        for (rest, expected) in [
            ("1</count>x", Some(("1", 9))),
            ("</count>", Some(("", 8))),
            ("12345</count>", None),
            ("1</counts>", None),
            ("1</count >", None),
            ("1&#50;</count>", None),
            ("1", None),
        ] {
            assert_eq!(leaf(rest, "count", 4), expected, "{rest}");
        }
    }
}
