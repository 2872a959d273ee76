//! A message and its parts, bounded. Pure.
//!
//! mailparse has limits for little and loses a whole mail over one deep part, so the raw bytes are scanned first
//! (header block, field length, delimiter lines, nesting), and bodies are decoded leniently here.

use std::borrow::Cow;

use crate::limits::Limits;
use crate::problem::Refusal;

/// A message taken apart: every entity in the order met, the message itself first.
#[derive(Debug)]
pub struct Mail<'a> {
    /// Pre-order: a parent stands before its children. Never empty; entity 0 is the message.
    pub entities: Vec<Entity<'a>>,
}

/// A message, a multipart, or a leaf (RFC 2045).
#[derive(Debug)]
pub struct Entity<'a> {
    /// Part numbers from the root as in IMAP: `1.2`; empty for the message itself. The content of a single-part
    /// message is the message entity; the message within a `message/rfc822` part `2` is entity `2.0`.
    pub path: String,
    /// Index of the parent in [`Mail::entities`].
    pub parent: Option<usize>,
    /// What its children are.
    pub kind: Kind,
    /// Media type, lower case, without parameters; `text/plain` where absent or unusable (RFC 2045, section 5.2).
    pub content_type: String,
    /// Content-Type parameters: name lower case, value decoded (RFC 2231).
    pub parameters: Vec<(String, String)>,
    /// `Content-Transfer-Encoding`, lower case; empty where absent.
    pub transfer_encoding: String,
    /// File name from Content-Disposition, else Content-Type `name`, decoded. Hostile text.
    pub file_name: Option<String>,
    /// Header fields in order, bounded by the limits.
    pub headers: Vec<Header<'a>>,
    /// The body as transferred.
    pub raw: &'a [u8],
}

/// What an entity holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A body.
    Leaf,
    /// Parts.
    Multipart,
    /// A message of its own (`message/rfc822`, `message/global`): one child.
    Message,
}

/// A header field, not decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The name as sent.
    pub name: Cow<'a, str>,
    /// The value as sent, folding included, invalid UTF-8 replaced.
    pub value: Cow<'a, str>,
}

/// Takes a message apart.
///
/// # Errors
/// A bound exceeded: [`Code::MimeParts`](crate::problem::Code), `MimeDepth`, `Headers`. Anything else is read
/// leniently: bytes that are no mail at all become one leaf without headers.
pub fn parse<'a>(_message: &'a [u8], _limits: &Limits) -> Result<Mail<'a>, Refusal> {
    todo!()
}

impl<'a> Entity<'a> {
    /// The body without its transfer encoding, decoded leniently: white space and stray bytes in base64 are skipped,
    /// a missing end is taken as it is, broken quoted-printable stays literal. Binary bodies and bodies whose
    /// declared encoding plainly does not fit (an XML document under `base64`) are passed as they are.
    pub fn body(&self) -> Cow<'a, [u8]> {
        todo!()
    }

    /// The first field of this name (any case), unfolded and trimmed, not decoded.
    pub fn header(&self, _name: &str) -> Option<String> {
        todo!()
    }

    /// Every field of this name, unfolded and trimmed, in order.
    pub fn headers_named(&self, _name: &str) -> Vec<String> {
        todo!()
    }

    /// The first field of this name, unfolded, with encoded words decoded (RFC 2047).
    pub fn header_decoded(&self, _name: &str) -> Option<String> {
        todo!()
    }
}
