//! Bytes of a message: borrowed from it, or a range of a part that had to be decoded first.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// Bytes that cost nothing to slice further, whether they are the message's own or those of a decoded part.
#[derive(Clone)]
pub enum Raw<'a> {
    /// A range of the message as given.
    Borrowed(&'a [u8]),
    /// A range of an attached message that was transferred under base64 or quoted-printable.
    Decoded {
        /// All of it, shared by its parts.
        bytes: Arc<Vec<u8>>,
        /// This part; always within `bytes`.
        range: Range<usize>,
    },
}

impl<'a> Raw<'a> {
    /// A decoded part, whole.
    pub(super) fn decoded(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Raw::Decoded { bytes: Arc::new(bytes), range }
    }

    /// A part of these bytes; a range that reaches beyond them is cut.
    pub(super) fn slice(&self, range: Range<usize>) -> Raw<'a> {
        let end = range.end.min(self.len());
        let start = range.start.min(end);
        match self {
            Raw::Borrowed(bytes) => Raw::Borrowed(&bytes[start..end]),
            Raw::Decoded { bytes, range } => {
                Raw::Decoded { bytes: Arc::clone(bytes), range: range.start + start..range.start + end }
            }
        }
    }

    /// A part of these bytes as text, invalid UTF-8 replaced.
    pub(super) fn text(&self, range: Range<usize>) -> Cow<'a, str> {
        match self.slice(range) {
            Raw::Borrowed(bytes) => lossy(bytes),
            owned => Cow::Owned(lossy(&owned).into_owned()),
        }
    }

    /// Two parts of these bytes as text, the one before the other: together, because most are short.
    pub(super) fn texts(&self, first: Range<usize>, second: Range<usize>) -> (Cow<'a, str>, Cow<'a, str>) {
        if let Raw::Borrowed(bytes) = self
            && let Some(both) = bytes.get(first.start..second.end)
            && let Ok(both) = std::str::from_utf8(both)
            && let (Some(one), Some(other)) = (both.get(..first.len()), both.get(second.start - first.start..))
        {
            return (Cow::Borrowed(one), Cow::Borrowed(other));
        }
        (self.text(first), self.text(second))
    }
}

/// Text, with U+FFFD in place of what is not UTF-8: as `String::from_utf8_lossy`, which is slow where nothing is wrong.
pub fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

impl Deref for Raw<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Raw::Borrowed(bytes) => bytes,
            Raw::Decoded { bytes, range } => bytes.get(range.clone()).unwrap_or_default(),
        }
    }
}

impl fmt::Debug for Raw<'_> {
    /// The length and the beginning only: a message may be long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = String::from_utf8_lossy(&self[..self.len().min(40)]);
        write!(f, "{} bytes {head:?}", self.len())
    }
}
