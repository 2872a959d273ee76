//! What can be wrong with a message: the vocabulary of problems (nothing of it could be used) and
//! warnings (read around). Shared by every reading room; plain data.

use std::fmt;

/// Why a part, document or whole message could not be used. The word is stable: scripts match on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// Nothing in it: zero bytes, an archive without members, or gzip of nothing.
    Empty,
    /// The literal word `unused` that Yahoo and AOL sent in May 2023 for a report.
    Unused,
    /// A web page where a report should be.
    Html,
    /// Ends before its end: cut compressed stream, archive, base64 or XML.
    Truncated,
    /// A container whose structure or checksum is wrong.
    Corrupt,
    /// An encrypted archive member.
    Encrypted,
    /// A compression method or container that is not read.
    Unsupported,
    /// Archive members that share bytes: an attack.
    Overlap,
    /// Archive members of one name, which readers disagree about.
    DuplicateNames,
    /// More than `archive_members`.
    TooManyEntries,
    /// Containers nested deeper than `container_depth`.
    Nesting,
    /// Over `message_bytes`, `document_bytes` or `unpacked_bytes`.
    TooLarge,
    /// More than `mime_parts`.
    MimeParts,
    /// Deeper than `mime_depth`.
    MimeDepth,
    /// A header block or field over its bound.
    Headers,
    /// A document type declaration that declares entities or names outside files.
    Dtd,
    /// Deeper than `xml_depth`.
    XmlDepth,
    /// A text or attribute over `value_bytes`.
    FieldTooLong,
    /// Not well-formed XML.
    Xml,
    /// Not JSON, or JSON that is no report.
    Json,
    /// Bytes that no character set makes sense of.
    Encoding,
    /// An aggregate report that names no policy domain.
    NoPolicyDomain,
    /// A report without a usable begin and end.
    NoPeriod,
    /// An element twice where once is meant, with readers free to pick either.
    DuplicateElement,
    /// More than `records`.
    TooManyRecords,
    /// More than `results_per_record`.
    TooManyResults,
    /// More than `feedback_fields`.
    TooManyFields,
    /// More than `complaint_recipients`.
    TooManyRecipients,
    /// A feedback report that contradicts itself (RFC 5965, section 3.2 and 8.9).
    Malformed,
    /// The server holds it but did not hand it over in several runs.
    Undeliverable,
    /// A file that could not be opened or read.
    Unreadable,
    /// The reader itself failed on it: a bug of ours, kept so that it delays nothing else.
    Crash,
}

impl Code {
    /// The stable word for this code, as stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::Empty => "empty",
            Code::Unused => "unused",
            Code::Html => "html",
            Code::Truncated => "truncated",
            Code::Corrupt => "corrupt",
            Code::Encrypted => "encrypted",
            Code::Unsupported => "unsupported",
            Code::Overlap => "overlap",
            Code::DuplicateNames => "duplicate-names",
            Code::TooManyEntries => "too-many-entries",
            Code::Nesting => "nesting",
            Code::TooLarge => "too-large",
            Code::MimeParts => "mime-parts",
            Code::MimeDepth => "mime-depth",
            Code::Headers => "headers",
            Code::Dtd => "dtd",
            Code::XmlDepth => "xml-depth",
            Code::FieldTooLong => "field-too-long",
            Code::Xml => "xml",
            Code::Json => "json",
            Code::Encoding => "encoding",
            Code::NoPolicyDomain => "no-policy-domain",
            Code::NoPeriod => "no-period",
            Code::DuplicateElement => "duplicate-element",
            Code::TooManyRecords => "too-many-records",
            Code::TooManyResults => "too-many-results",
            Code::TooManyFields => "too-many-fields",
            Code::TooManyRecipients => "too-many-recipients",
            Code::Malformed => "malformed",
            Code::Undeliverable => "undeliverable",
            Code::Unreadable => "unreadable",
            Code::Crash => "crash",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// U+FFFD for NUL, where readers of the database would cut the text.
fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// A refusal: the code and a sentence fragment for people (lower case, no full stop, says where and what).
///
/// The text may quote what a stranger sent: whoever shows it must sanitize it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// The stable word.
    pub code: Code,
    /// For people: `byte 210: expected </record>, found end of file`.
    pub reason: String,
}

impl Refusal {
    /// A refusal for `code`, told as `reason`.
    pub fn new(code: Code, reason: impl Into<String>) -> Self {
        Refusal { code, reason: without_nul(reason.into()) }
    }
}

/// A refusal with the place it happened at: becomes one row under `problems`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What was wrong.
    pub refusal: Refusal,
    /// Where in the message: MIME part numbers and container members, `2/report.zip/report.xml`. Empty for the whole.
    pub part: String,
    /// The media type the sender declared for the part, lower case.
    pub declared_type: Option<String>,
    /// What its bytes look like: `gzip`, `zip`, `xml`, `json`, `html`, `text`, `binary`, `message`.
    pub found_type: Option<&'static str>,
    /// The file name the sender gave. Hostile text, never a path of ours.
    pub file_name: Option<String>,
    /// Size of the part or document as far as it was seen.
    pub bytes: u64,
    /// Its first bytes, at most [`Problem::HEAD_BYTES`], for a person to look at.
    pub head: Vec<u8>,
}

impl Problem {
    /// How many first bytes of the offending part are kept to be shown.
    pub const HEAD_BYTES: usize = 2048;

    /// A problem with the message as a whole.
    pub fn whole(refusal: Refusal, message: &[u8]) -> Self {
        Problem {
            refusal,
            part: String::new(),
            declared_type: None,
            found_type: Some("message"),
            file_name: None,
            bytes: message.len() as u64,
            head: message[..message.len().min(Self::HEAD_BYTES)].to_vec(),
        }
    }
}

/// A deviation that was read around, kept with the report or complaint it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// A short stable word: `bom`, `enum-case`, `period-long`.
    pub code: &'static str,
    /// Where: an element path (`record[3]/row/count`), a header field, or a container member.
    pub place: String,
    /// What was there and how it was taken. May quote a stranger.
    pub text: String,
    /// How often it was met; `place` and `text` tell of the first.
    pub times: u32,
}

impl Warning {
    /// A warning at `place`.
    pub fn new(code: &'static str, place: impl Into<String>, text: impl Into<String>) -> Self {
        Warning { code, place: without_nul(place.into()), text: without_nul(text.into()), times: 1 }
    }

    /// Adds a warning to a list, or counts it where its code is there already: a report of a million rows that all
    /// spell `Pass` in upper case has one warning, not a million.
    pub fn note(
        list: &mut Vec<Warning>,
        code: &'static str,
        place: impl FnOnce() -> String,
        text: impl FnOnce() -> String,
    ) {
        match list.iter_mut().find(|warning| warning.code == code) {
            Some(warning) => warning.times = warning.times.saturating_add(1),
            None => list.push(Warning::new(code, place(), text())),
        }
    }
}
