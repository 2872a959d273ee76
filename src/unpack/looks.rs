//! What bytes are, told from the bytes: labels and file names lie.

use std::borrow::Cow;

use super::zip;
use crate::mail::is_message;

/// How much of the beginning is looked at.
const HEAD_BYTES: usize = 4096;

/// What bytes look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    /// Nothing.
    Empty,
    /// A gzip member (RFC 1952).
    Gzip,
    /// A zip archive, also behind junk.
    Zip,
    /// An XML document that may be a report, in any encoding, also behind white space or a byte order mark.
    Xml,
    /// A web page.
    Html,
    /// A JSON object.
    Json,
    /// A mail message: header fields first.
    Message,
    /// Other text.
    Text,
    /// Other bytes.
    Binary,
}

impl Looks {
    /// The word for it in `problem.found_type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Looks::Empty => "empty",
            Looks::Gzip => "gzip",
            Looks::Zip => "zip",
            Looks::Xml => "xml",
            Looks::Html => "html",
            Looks::Json => "json",
            Looks::Message => "message",
            Looks::Text => "text",
            Looks::Binary => "binary",
        }
    }
}

/// Tells what bytes look like from their beginning (at most 4 KiB are looked at; zip also from the end).
pub fn looks(bytes: &[u8]) -> Looks {
    match looks_at_head(bytes) {
        Looks::Text | Looks::Binary if zip::ends_like_zip(bytes) => Looks::Zip,
        looks => looks,
    }
}

/// The same without the end, for bytes that are not all there.
pub(super) fn looks_at_head(bytes: &[u8]) -> Looks {
    let head = &bytes[..bytes.len().min(HEAD_BYTES)];
    match head {
        [] => return Looks::Empty,
        [0x1F, 0x8B, ..] => return Looks::Gzip,
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => return Looks::Zip,
        // The marker of an archive that was meant to be split but fit.
        [b'P', b'K', b'0', b'0', b'P', b'K', 3, 4, ..] => return Looks::Zip,
        _ => {}
    }
    let text = as_bytes_of_text(head);
    let text = text.trim_ascii_start();
    match text.first() {
        Some(b'<') => looks_of_markup(text),
        Some(b'{') => looks_of_brace(text),
        _ if is_message(head) => Looks::Message,
        _ if is_text(&text[..text.len().min(1024)]) => Looks::Text,
        _ => Looks::Binary,
    }
}

/// The text without its byte order mark, UTF-16 narrowed to the ASCII in it (with and without a mark).
fn as_bytes_of_text(head: &[u8]) -> Cow<'_, [u8]> {
    let narrow = |bytes: &[u8], high: usize| -> Cow<'static, [u8]> {
        let unit = |pair: &[u8]| match (pair.get(high), pair.get(1 - high)) {
            (Some(0), Some(&low)) => low,
            _ => b'?',
        };
        bytes.chunks_exact(2).map(unit).collect::<Vec<u8>>().into()
    };
    match head {
        [0xEF, 0xBB, 0xBF, rest @ ..] => Cow::Borrowed(rest),
        [0xFF, 0xFE, rest @ ..] => narrow(rest, 1),
        [0xFE, 0xFF, rest @ ..] => narrow(rest, 0),
        [b'<' | b' ' | b'\t' | b'\r' | b'\n', 0, ..] => narrow(head, 1),
        [0, b'<' | b' ' | b'\t' | b'\r' | b'\n', ..] => narrow(head, 0),
        _ => Cow::Borrowed(head),
    }
}

/// Markup: the root element decides between a web page and a document that may be a report.
fn looks_of_markup(text: &[u8]) -> Looks {
    let mut declared = false;
    let mut rest = text;
    loop {
        rest = rest.trim_ascii_start();
        let skipped = match rest {
            // What Microsoft Office writes into web pages.
            _ if starts_with(rest, b"<?xml:namespace") => return Looks::Html,
            [b'<', b'?', ..] => {
                declared |= starts_with(rest, b"<?xml");
                skip(rest, b"?>")
            }
            [b'<', b'!', b'-', b'-', ..] => skip(rest, b"-->"),
            [b'<', b'!', ..] => {
                let name = rest.get(2..).unwrap_or_default();
                let name = if starts_with(name, b"doctype") { name[7..].trim_ascii_start() } else { name };
                if starts_with(name, b"html") {
                    return Looks::Html;
                }
                return Looks::Xml;
            }
            [b'<', name @ ..] => return looks_of_element(name, declared),
            _ => None,
        };
        match skipped {
            Some(after) => rest = after,
            None => return if declared { Looks::Xml } else { Looks::Text },
        }
    }
}

/// A document by the name of its root element.
fn looks_of_element(name: &[u8], declared: bool) -> Looks {
    const OF_WEB_PAGES: [&[u8]; 27] = [
        b"html",
        b"head",
        b"body",
        b"meta",
        b"title",
        b"style",
        b"script",
        b"base",
        b"link",
        b"div",
        b"p",
        b"span",
        b"table",
        b"br",
        b"font",
        b"center",
        b"a",
        b"b",
        b"i",
        b"img",
        b"pre",
        b"ul",
        b"ol",
        b"h1",
        b"h2",
        b"h3",
        b"blockquote",
    ];
    let is_name =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':') || *byte >= 0x80;
    let name = &name[..name.iter().take_while(|byte| is_name(byte)).count()];
    if name.eq_ignore_ascii_case(b"html") {
        return Looks::Html;
    }
    match name.first() {
        _ if declared => Looks::Xml,
        Some(first) if first.is_ascii_alphabetic() || *first == b'_' || *first >= 0x80 => {
            if OF_WEB_PAGES.iter().any(|known| name.eq_ignore_ascii_case(known)) { Looks::Html } else { Looks::Xml }
        }
        _ => Looks::Text,
    }
}

/// A JSON object begins with a name or is empty.
fn looks_of_brace(text: &[u8]) -> Looks {
    match text.get(1..).unwrap_or_default().trim_ascii_start().first() {
        Some(b'"' | b'}') | None => Looks::Json,
        _ => Looks::Text,
    }
}

fn starts_with(text: &[u8], prefix: &[u8]) -> bool {
    text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

fn skip<'b>(text: &'b [u8], end: &[u8]) -> Option<&'b [u8]> {
    memchr::memmem::find(text, end).map(|at| &text[at + end.len()..])
}

/// No control characters but white space and the escapes that older character sets use.
fn is_text(head: &[u8]) -> bool {
    !head.iter().any(|&byte| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0C | 0x1B))
}
