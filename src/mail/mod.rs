//! A message and its parts, bounded. Pure.
//!
//! mailparse has limits for little and loses a whole mail over one deep part or one damaged header line, so messages
//! are split here, over the raw bytes, in one pass and without recursion, and bodies are decoded leniently. mailparse
//! reads single fields that are known to be short: parameters (RFC 2231) and encoded words (RFC 2047).

mod decode;
mod header;
mod line;
mod raw;
mod split;

use std::borrow::Cow;

use crate::limits::Limits;
use crate::problem::{Refusal, Warning};

pub use header::{alphanumeric_and, is_message};
pub use raw::{Raw, lossy};

/// A message taken apart: every entity in the order met, the message itself first.
#[derive(Debug)]
pub struct Mail<'a> {
    /// Pre-order: a parent stands before its children. Never empty; entity 0 is the message.
    pub entities: Vec<Entity<'a>>,
    /// What was read around: `bare-cr`, `header-omitted`, `boundary-guessed`, `boundary-missing`. The place is an
    /// entity's path; at most one of a sort for an entity.
    pub warnings: Vec<Warning>,
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
    /// Media type, lower case, without parameters; `text/plain` where absent or unusable (RFC 2045, section 5.2),
    /// `message/rfc822` where absent in a `multipart/digest` (RFC 2046, section 5.1.5).
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
    pub raw: Raw<'a>,
}

/// What an entity holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A body.
    Leaf,
    /// Parts.
    Multipart,
    /// A message of its own (`message/rfc822`, `message/global`, or an attached file whose bytes are one): one child.
    Message,
}

/// A header field, not decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The name as sent.
    pub name: Cow<'a, str>,
    /// The value as sent, folding included, invalid UTF-8 replaced. Empty where it was longer than
    /// `header_field_bytes`; a field over that bound that decides how the message is read (`Content-*`,
    /// `Authentication-Results`, `ARC-*`) is refused instead.
    pub value: Cow<'a, str>,
}

/// Takes a message apart.
///
/// # Errors
/// A bound exceeded: [`Code::MimeParts`](crate::problem::Code), `MimeDepth`, `Headers`, or `TooLarge` where attached
/// messages that must be decoded first add up to more than `message_bytes`. Anything else is read leniently: bytes
/// that are no mail at all become one leaf without headers.
pub fn parse<'a>(message: &'a [u8], limits: &Limits) -> Result<Mail<'a>, Refusal> {
    split::split(message, limits)
}

impl<'a> Entity<'a> {
    /// The body without its transfer encoding, decoded leniently: white space and stray bytes in base64 are skipped,
    /// a missing end is taken as it is, broken quoted-printable stays literal. Binary bodies and bodies whose
    /// declared encoding plainly does not fit (an XML document under `base64`) are passed as they are; gzip and zip
    /// under base64 that nobody declared are decoded.
    pub fn body(&self) -> Cow<'_, [u8]> {
        decode::decode(&self.raw, &self.transfer_encoding)
    }

    /// The first field of this name (any case), unfolded and trimmed, not decoded.
    pub fn header(&self, name: &str) -> Option<String> {
        self.named(name).next().map(|field| header::unfold(&field.value).into_owned())
    }

    /// Every field of this name, unfolded and trimmed, in order.
    pub fn headers_named(&self, name: &str) -> Vec<String> {
        self.named(name).map(|field| header::unfold(&field.value).into_owned()).collect()
    }

    /// The first field of this name, unfolded, with encoded words decoded (RFC 2047).
    pub fn header_decoded(&self, name: &str) -> Option<String> {
        self.header(name).map(|value| header::decode_words(&value))
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &Header<'a>> {
        self.headers.iter().filter(move |field| field.name.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests;
