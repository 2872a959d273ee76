//! Comments, quotes and folding: the lexical rules that every structured mail field shares (RFC 5322, section 3.2).

use std::borrow::Cow;

/// Removes comments (nested, with quoted pairs) outside quoted strings, each replaced by one space. An unclosed comment
/// runs to the end, as a reader of mail would take it.
pub(super) fn without_comments(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'(', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    // Where what is to be copied next begins; of no meaning within a comment.
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' if depth == 0 => quoted = !quoted,
            b'(' if !quoted => {
                if depth == 0 {
                    out.push_str(&text[from..at]);
                }
                depth += 1;
            }
            b')' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    out.push(' ');
                    from = at + 1;
                }
            }
            _ => {}
        }
    }
    if depth == 0 {
        out.push_str(&text[from..]);
    }
    Cow::Owned(out)
}

/// Splits at `separator` outside quoted strings and angle brackets. Comments must be gone already.
pub(super) fn split_outside_quotes(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let is_one = memchr::memchr(separator, text.as_bytes()).is_none();
    let many = (!is_one).then(|| split_outside(text, move |byte| byte == separator));
    is_one.then_some(text).into_iter().chain(many.into_iter().flatten())
}

/// Splits at separators, which are ASCII characters other than letters and digits, outside quoted strings and angle brackets.
pub(super) fn split_outside(text: &str, is_separator: impl Fn(u8) -> bool) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let (mut quoted, mut escaped, mut angle) = (false, false, false);
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'a'..=b'z' | b'0'..=b'9' => {}
                b'\\' => escaped = true,
                b'"' => quoted = !quoted,
                b'<' if !quoted => angle = true,
                b'>' if !quoted => angle = false,
                _ if !quoted && !angle && is_separator(byte) => {
                    rest = Some(&text[at + 1..]);
                    return Some(&text[..at]);
                }
                _ => {}
            }
        }
        Some(text)
    })
}

/// The content of a quoted string without its quotes and quoted pairs; other text as it is, trimmed.
pub(super) fn unquoted(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            _ => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// A text in which U+FFFD stands for NUL, where readers of the database would cut it.
pub(super) fn without_nul(text: &str) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text.to_owned() }
}

/// The longest prefix of at most `bytes` bytes that ends between characters.
pub(super) fn bounded(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let mut end = bytes;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_quotes_stay() {
        let check = |text: &str, expected: &str| assert_eq!(without_comments(text).trim(), expected, "{text}");
        check("a (b (c) d) e", "a   e");
        check("\"a (b)\" c", "\"a (b)\" c");
        check("a (b \\) c) d", "a   d");
        check("a (b", "a");
        check("a) b", "a) b");
        check("\"a\\\"(\" (x)", "\"a\\\"(\"");
    }

    #[test]
    fn separators_inside_quotes_and_brackets_do_not_split() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(split_outside_quotes(text, b',').collect::<Vec<_>>(), expected, "{text}");
        };
        check("a,b", &["a", "b"]);
        check("\"a,b\",c", &["\"a,b\"", "c"]);
        check("<a,b>,c", &["<a,b>", "c"]);
        check("\"a\\\",b\",c", &["\"a\\\",b\"", "c"]);
        check("", &[""]);
    }

    #[test]
    fn bounds_fall_between_characters() {
        assert_eq!(bounded("aé", 2), "a");
        assert_eq!(bounded("aé", 3), "aé");
    }
}
