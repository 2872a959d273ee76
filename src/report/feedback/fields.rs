//! Blocks of header-like fields: the machine part of a feedback report, and the headers of the mail it is about.

use crate::limits::Limits;
use crate::mail::lossy;
use crate::problem::{Code, Refusal, Warning};
use crate::report::text::{bounded, without_nul};

/// Bytes of a field that is kept but never read whole: canonicalized headers and bodies are other people's mail.
const CUT_BYTES: usize = 512;
/// Header fields of the original mail that are looked at.
const ORIGINAL_FIELDS: usize = 1000;

/// Fields in order: name and unfolded value, both as sent except for NUL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::report) struct Fields(pub(in crate::report) Vec<(String, String)>);

impl Fields {
    /// Every value of a field, in order, empty ones included.
    pub(in crate::report) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The first value of a field that is not empty.
    pub(in crate::report) fn first<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).find(|value| !value.is_empty())
    }

    /// [`Fields::first`] as an owned text.
    pub(in crate::report) fn text(&self, name: &str) -> Option<String> {
        self.first(name).map(str::to_owned)
    }

    /// Every value that is not empty, owned.
    pub(in crate::report) fn texts(&self, name: &str) -> Vec<String> {
        self.all(name).filter(|value| !value.is_empty()).map(str::to_owned).collect()
    }

    /// Whether a field is there at all.
    pub(in crate::report) fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }
}

/// Reads the machine part of a feedback report. Reads around blank lines, lines that are no field, a byte order mark and
/// any line ending; each is a warning.
///
/// # Errors
/// More than `feedback_fields` ([`Code::TooManyFields`]), or a field or block over its bound ([`Code::Headers`]).
pub(in crate::report) fn report_part(body: &[u8], limits: &Limits) -> Result<(Fields, Vec<Warning>), Refusal> {
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut warnings = Vec::new();
    let (mut bytes, mut blank, mut stray) = (0usize, false, false);
    for line in lines(body) {
        bytes += line.len();
        if line.trim_ascii().is_empty() {
            blank = true;
        } else if let (true, Some((name, value))) = (is_folded(line), fields.last_mut()) {
            append(name, value, line);
            if value.len() > limits.header_field_bytes {
                return Err(over("field", &format!("`{}`", bounded(name, 64)), limits.header_field_bytes));
            }
            if is_cut(name) {
                bytes -= line.len();
            }
        } else if let Some(field) = split_field(line) {
            if blank {
                warnings.push(Warning::new("blank-line", field.0.clone(), "blank line within the fields, read on"));
                blank = false;
            }
            if field.1.len() > limits.header_field_bytes {
                return Err(over("field", &format!("`{}`", bounded(&field.0, 64)), limits.header_field_bytes));
            }
            if fields.len() == limits.feedback_fields {
                let reason = format!("more than {} fields in one feedback report", limits.feedback_fields);
                return Err(Refusal::new(Code::TooManyFields, reason));
            }
            fields.push(field);
        } else if !stray {
            stray = true;
            let text = String::from_utf8_lossy(line);
            warnings.push(Warning::new(
                "field-form",
                "",
                format!("no field, ignored: {}", without_nul(bounded(&text, 80))),
            ));
        }
        if bytes > limits.header_block_bytes {
            return Err(over("fields", "of the feedback report", limits.header_block_bytes));
        }
    }
    Ok((finished(fields), warnings))
}

/// Reads the header block of the mail a report is about: to its first blank line, at most `header_block_bytes` and 1 000
/// fields; fields over `header_field_bytes` are cut. What is beyond is not read, for it is not our mail.
pub(in crate::report) fn original_headers(message: &[u8], limits: &Limits) -> Fields {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in lines(header_block(message, limits.header_block_bytes)) {
        if let (true, Some((name, value))) = (is_folded(line), fields.last_mut()) {
            if value.len() + line.len() <= limits.header_field_bytes {
                append(name, value, line);
            }
        } else if let Some((name, value)) = split_field(line) {
            if fields.len() == ORIGINAL_FIELDS {
                break;
            }
            let value = match value.len() > limits.header_field_bytes {
                true => bounded(&value, limits.header_field_bytes).to_owned(),
                false => value,
            };
            fields.push((name, value));
        }
    }
    finished(fields)
}

/// The bytes up to the first blank line, at most `max`; leading blank lines and an mbox `From ` line are left out.
pub(in crate::report) fn header_block(message: &[u8], max: usize) -> &[u8] {
    let message = message.strip_prefix(b"\xef\xbb\xbf").unwrap_or(message);
    let message = message.trim_ascii_start();
    let message = if message.starts_with(b"From ") || message.starts_with(b">From ") {
        let end = memchr::memchr(b'\n', message).map_or(message.len(), |at| at + 1);
        &message[end..]
    } else {
        message
    };
    let message = &message[..message.len().min(max)];
    let mut at = 0;
    for line in split(message, ending(message)) {
        if at > 0 && line.trim_ascii().is_empty() {
            return message[..at.min(message.len())].trim_ascii_end();
        }
        at += line.len() + 1;
    }
    message
}

fn over(what: &str, which: &str, max: usize) -> Refusal {
    Refusal::new(Code::Headers, format!("{what} {which} over {max} bytes"))
}

/// Lines without their endings. Where there is no line feed at all, a lone carriage return ends a line (old Mac relays).
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    split(bytes, ending(bytes)).map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

fn ending(bytes: &[u8]) -> u8 {
    if memchr::memchr(b'\n', bytes).is_some() { b'\n' } else { b'\r' }
}

fn split(bytes: &[u8], ending: u8) -> impl Iterator<Item = &[u8]> {
    let ends = memchr::memchr_iter(ending, bytes).chain(std::iter::once(bytes.len()));
    ends.scan(0, |from, end| {
        let line = &bytes[*from..end];
        *from = end + 1;
        Some(line)
    })
}

fn is_folded(line: &[u8]) -> bool {
    matches!(line.first(), Some(b' ' | b'\t'))
}

/// Name and value of a line; white space before the colon is read around (RFC 5322, section 4.5).
fn split_field(line: &[u8]) -> Option<(String, String)> {
    let colon = memchr::memchr(b':', line)?;
    let name = line[..colon].trim_ascii();
    let valid = !name.is_empty() && name.len() <= 128 && name.iter().all(|b| b.is_ascii_graphic());
    let value = line[colon + 1..].trim_ascii_start();
    valid.then(|| (lossy(name).into_owned(), lossy(value).into_owned()))
}

fn append(name: &str, value: &mut String, line: &[u8]) {
    if !is_cut(name) || value.len() < CUT_BYTES {
        value.push_str(&lossy(line));
    }
}

fn is_cut(name: &str) -> bool {
    name.get(..19).is_some_and(|start| start.eq_ignore_ascii_case("DKIM-Canonicalized-"))
}

fn finished(mut fields: Vec<(String, String)>) -> Fields {
    for (name, value) in &mut fields {
        let cut = if is_cut(name) { bounded(value, CUT_BYTES) } else { value.as_str() };
        let trimmed = cut.trim();
        if trimmed.len() < value.len() || trimmed.contains('\0') {
            *value = without_nul(trimmed);
        }
    }
    Fields(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        report_part(text.as_bytes(), &Limits::default()).expect("within bounds").0.0
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn fields_however_they_are_laid_out() {
        let check = |text: &str, expected: &[(&str, &str)]| assert_eq!(read(text), pairs(expected), "{text:?}");
        let two = &[("A", "1"), ("B", "2")];
        check("A: 1\r\nB: 2\r\n", two);
        check("A: 1\nB: 2", two);
        check("A: 1\rB: 2\r", two);
        check("\u{feff}A: 1\nB: 2", two);
        check("\n\nA: 1\nB: 2", two);
        check("A: 1\n\nB: 2", two);
        check("A : 1\nB:2", two);
        check("A:\r\n 1\r\nB:\r\n\t2", two);
        check("A: 1\nno field here\nB: 2", two);
        check("A:\nB:", &[("A", ""), ("B", "")]);
        check(" folded onto nothing\nA: 1", &[("A", "1")]);
        check("", &[]);
    }

    #[test]
    fn bounds_are_refusals() {
        let limits =
            Limits { feedback_fields: 3, header_field_bytes: 100, header_block_bytes: 400, ..Limits::default() };
        let code = |text: String| report_part(text.as_bytes(), &limits).map(|_| ()).map_err(|refusal| refusal.code);
        assert_eq!(code("A: 1\n".repeat(3)), Ok(()));
        assert_eq!(code("A: 1\n".repeat(4)), Err(Code::TooManyFields));
        assert_eq!(code(format!("A: {}", "x".repeat(101))), Err(Code::Headers));
        assert_eq!(code(format!("A: 1{}", "\n b".repeat(100))), Err(Code::Headers));
        assert_eq!(code("junk\n".repeat(200)), Err(Code::Headers));
    }

    #[test]
    fn bodies_of_others_are_cut() {
        let text = format!("DKIM-Canonicalized-Body: {}\n", "YWJj\n ".repeat(100_000));
        let fields = read(&text);
        assert!(fields[0].1.len() <= CUT_BYTES, "{}", fields[0].1.len());
    }

    #[test]
    fn an_original_ends_at_its_blank_line() {
        let limits = Limits::default();
        let fields = original_headers(b"From x@y Thu\nA: 1\r\n\t2\r\n\r\nB: 3\r\n", &limits);
        assert_eq!(fields.0, pairs(&[("A", "1\t2")]));
        assert_eq!(header_block(b"\nA: 1\r\n b\r\n\r\nB: 3", 1000), b"A: 1\r\n b");
        assert_eq!(original_headers(b"REDACTED\r\n", &limits).0, pairs(&[]));
        let many = "A: 1\n".repeat(5000);
        assert_eq!(original_headers(many.as_bytes(), &limits).0.len(), ORIGINAL_FIELDS);
    }
}
