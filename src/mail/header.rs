//! Header fields (RFC 5322, section 2.2), read around what mailers get wrong in them.

use std::borrow::Cow;

use super::line::{Line, Lines};
use super::{Header, Raw};
use crate::limits::Limits;
use crate::problem::{Code, Refusal};

/// Most fields of one header block; 69 is the most seen in real reports.
const FIELDS: usize = 2048;

/// Fields that a header block has room for from the start: as many as most have.
const USUAL_FIELDS: usize = 12;

/// Longest field name that is taken for one.
const NAME_BYTES: usize = 128;

/// Fields by which parts are told apart and senders believed. One of these over the bound is refused; any other (a
/// long list of people under `To`, a bait under `Subject`) is kept without its value, which says nothing of a report.
fn is_deciding(name: &str) -> bool {
    let begins = |prefix: &str| name.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
    begins("content") || begins("authentication-results") || begins("arc-")
}

/// A header block.
pub(super) struct Block<'a> {
    pub fields: Vec<Header<'a>>,
    /// Where the body starts.
    pub body: usize,
    /// The first field that was too long to be kept with its value.
    pub omitted: Option<String>,
}

/// A field's places while its continuation lines are gathered.
struct Field {
    name: std::ops::Range<usize>,
    value: std::ops::Range<usize>,
}

/// Reads the header block of `source` that begins where `lines` stands. It ends at an empty line, at a delimiter line
/// (`is_delimiter`) of a part that has no body, or where text begins without an empty line before it.
pub(super) fn read<'a>(
    source: &Raw<'a>,
    mut lines: Lines<'_>,
    limits: &Limits,
    is_delimiter: impl Fn(&[u8]) -> bool,
) -> Result<Block<'a>, Refusal> {
    let start = lines.at;
    let mut block = Block { fields: Vec::new(), body: start, omitted: None };
    let mut field: Option<Field> = None;
    while let Some(line) = lines.peek() {
        let content = lines.content(line);
        if content.is_empty() || (field.is_some() && is_blank_end(content, &lines, line)) {
            lines.at = line.next;
            break;
        }
        if content.starts_with(b"--") && is_delimiter(content) {
            break;
        }
        let name = name_length(content);
        if field.is_none() && name.is_none() {
            break;
        }
        if name.is_none() && !continues(content, &lines, line) {
            break;
        }
        if line.end - start > limits.header_block_bytes {
            return Err(too_long(format!("header block at byte {start}"), limits.header_block_bytes));
        }
        lines.at = line.next;
        match (name, &mut field) {
            (None, Some(field)) => field.value.end = line.end,
            (None, None) => {}
            (Some(length), _) => {
                keep(source, field.take(), &mut block, limits)?;
                let colon = line.start + memchr::memchr(b':', content).unwrap_or(length);
                field = Some(Field { name: line.start..line.start + length, value: colon + 1..line.end });
            }
        }
    }
    keep(source, field, &mut block, limits)?;
    block.body = lines.at;
    Ok(block)
}

/// Adds a complete field.
fn keep<'a>(source: &Raw<'a>, field: Option<Field>, block: &mut Block<'a>, limits: &Limits) -> Result<(), Refusal> {
    let Some(Field { name, mut value }) = field else {
        return Ok(());
    };
    if block.fields.len() >= FIELDS {
        return Err(Refusal::new(Code::Headers, format!("more than {FIELDS} header fields in one block")));
    }
    if value.len() > limits.header_field_bytes {
        let start = name.start;
        let name = source.text(name.clone());
        if is_deciding(&name) {
            return Err(too_long(format!("header field at byte {start}"), limits.header_field_bytes));
        }
        value.end = value.start;
        block.omitted.get_or_insert_with(|| name.to_string());
    }
    if block.fields.is_empty() {
        block.fields.reserve(USUAL_FIELDS);
    }
    let (name, value) = source.texts(name, value);
    block.fields.push(Header { name, value });
    Ok(())
}

fn too_long(what: String, limit: usize) -> Refusal {
    Refusal::new(Code::Headers, format!("{what} is longer than {limit} bytes"))
}

/// The length of the field name that `content` begins with, if it is a field.
fn name_length(content: &[u8]) -> Option<usize> {
    let length = content.iter().take(NAME_BYTES + 1).take_while(|&&byte| is_name(byte)).count();
    let after = content.get(length..)?.trim_ascii_start();
    let is_field = (1..=NAME_BYTES).contains(&length) && after.first() == Some(&b':') && !after.starts_with(b"://");
    is_field.then_some(length)
}

/// Of the characters RFC 5322 allows, those that names are made of; those of the tokens of RFC 2045, too. Brackets and quotes
/// would make fields of XML and JSON.
pub(super) fn is_name(byte: u8) -> bool {
    NAME[usize::from(byte)]
}

/// Asked of every byte of every name.
const NAME: [bool; 256] = alphanumeric_and(b"-_.!#$%&'*+^`|~");

/// ASCII letters and digits, and these bytes, each by its number.
pub const fn alphanumeric_and(others: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    let mut byte = 0;
    while byte < 128u8 {
        table[byte as usize] |= byte.is_ascii_alphanumeric();
        byte += 1;
    }
    table
}

/// Whether a line without a field name belongs to the field before it. The rule is folding white space; beyond it,
/// - `name="report.xml.gz"` at the margin (Microsoft, `[Preview]` reports) and any other folded line that lost its
///   indentation, told by what follows: another field or the empty line;
/// - `From ` envelope lines, which mail stores leave among the fields.
fn continues(content: &[u8], lines: &Lines<'_>, line: Line) -> bool {
    match content.first() {
        Some(b' ' | b'\t') => return true,
        Some(b'<' | b'{') => return false,
        Some(b'-') if content.starts_with(b"--") => return false,
        Some(byte) if byte.is_ascii_control() => return false,
        _ => {}
    }
    if is_parameter(content) || is_envelope(content) {
        return true;
    }
    if content.len() >= 20 && content.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte)) {
        return false;
    }
    following(lines, line).is_none_or(|next| next.is_empty() || name_length(next).is_some())
}

/// A line of white space that stands for the empty line: what follows it is no header.
fn is_blank_end(content: &[u8], lines: &Lines<'_>, line: Line) -> bool {
    content.trim_ascii().is_empty()
        && following(lines, line)
            .is_none_or(|next| name_length(next).is_none() && !matches!(next.first(), Some(b' ' | b'\t')))
}

/// The content of the line after `line`.
fn following<'b>(lines: &Lines<'b>, line: Line) -> Option<&'b [u8]> {
    let mut after = lines.clone();
    after.at = line.next;
    after.peek().map(|next| after.content(next))
}

/// `name=value` with nothing before it, as in a folded Content-Type.
fn is_parameter(content: &[u8]) -> bool {
    let length = content.iter().take(NAME_BYTES).take_while(|&&byte| is_name(byte)).count();
    length > 0 && content.get(length) == Some(&b'=') && content.get(length + 1).is_some_and(|&byte| byte != b'=')
}

/// An mbox envelope line, also quoted.
pub(super) fn is_envelope(content: &[u8]) -> bool {
    content.starts_with(b"From ") || content.starts_with(b">From ")
}

/// Whether text begins with a header field.
pub(super) fn looks_like_field(text: &[u8]) -> bool {
    name_length(&text[..text.len().min(NAME_BYTES + 8)]).is_some()
}

/// Where a message's first field stands behind what may come before it: a byte order mark, empty lines, envelope
/// lines. Where `lines` stands now if no field follows them.
pub(super) fn first_field(mut lines: Lines<'_>) -> usize {
    let start = lines.at;
    if lines.peek().is_some_and(|line| lines.content(line).starts_with(b"\xEF\xBB\xBF")) {
        lines.at += 3;
    }
    while let Some(line) = lines.peek() {
        let content = lines.content(line);
        if content.starts_with(b"--") {
            return start;
        }
        if !content.trim_ascii().is_empty() && !is_envelope(content) {
            return if name_length(content).is_some() { line.start } else { start };
        }
        lines.at = line.next;
    }
    start
}

/// Names of which every message has some. A single field of another name may be the first line of any text.
const KNOWN: [&str; 16] = [
    "received",
    "return-path",
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "content-type",
    "sender",
    "reply-to",
    "delivered-to",
    "dkim-signature",
    "authentication-results",
    "x-original-to",
    "arc-seal",
];

/// Whether bytes are a mail message: header fields first, and among the first of them one that only mail has.
/// At most 4 KiB are looked at.
pub fn is_message(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(4096)];
    let mut lines = Lines::new(head);
    lines.at = first_field(lines.clone());
    let mut found = false;
    while let Some(line) = lines.next() {
        let content = lines.content(line);
        match name_length(content) {
            Some(length) => {
                let name = &content[..length];
                // The fields of a feedback report (RFC 5965) stand in a block of their own, some of them under names
                // that mail has too.
                if name.eq_ignore_ascii_case(b"feedback-type") {
                    return false;
                }
                found = found
                    || KNOWN.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
                    || starts_with_x(name);
            }
            None if matches!(content.first(), Some(b' ' | b'\t')) => {}
            None => break,
        }
    }
    found
}

/// `X-` fields that relays put on top of all others.
fn starts_with_x(name: &[u8]) -> bool {
    let prefix = |prefix: &[u8]| name.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
    prefix(b"ARC-") || prefix(b"X-MS-") || prefix(b"X-Apparently-") || prefix(b"X-Received") || prefix(b"Resent-")
}

/// A value on one line: folds are taken out, white space at the ends too (RFC 5322, section 2.2.3). U+FFFD stands for
/// NUL, where readers of a database would cut the text.
pub(super) fn unfold(value: &str) -> Cow<'_, str> {
    let value = value.trim();
    if memchr::memchr3(b'\r', b'\n', b'\0', value.as_bytes()).is_none() {
        return Cow::Borrowed(value);
    }
    let value = &value.replace('\0', "\u{fffd}");
    let mut out = String::with_capacity(value.len());
    for line in value.split(['\r', '\n']).filter(|line| !line.is_empty()) {
        // A continuation line that lost its indentation.
        if !out.is_empty() && !line.starts_with([' ', '\t']) {
            out.push(' ');
        }
        out.push_str(line);
    }
    Cow::Owned(out)
}

/// A value with its encoded words decoded (RFC 2047). The decoder takes quadratic time: give it bounded fields.
pub(super) fn decode_words(value: &str) -> String {
    if !value.contains("=?") {
        return value.to_owned();
    }
    let field = format!("X: {value}");
    match mailparse::parse_header(field.as_bytes()) {
        Ok((field, _)) => field.get_value().replace('\0', "\u{fffd}"),
        Err(_) => value.to_owned(),
    }
}
