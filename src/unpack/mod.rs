//! A part's bytes to the documents in it: gzip and zip, nested, decided by the bytes, bounded. Pure.

use std::io::BufRead;

use crate::limits::Limits;
use crate::problem::{Problem, Warning};

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

/// Tells what bytes look like from their beginning (at most 4 KiB are looked at; zip also from the end).
pub fn looks(_bytes: &[u8]) -> Looks {
    todo!()
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

/// What is left of a message's bounds while its parts are unpacked, one after the other.
#[derive(Debug)]
pub struct Budget {
    /// Bytes that may still come out of containers.
    pub bytes: u64,
    /// Archive members that may still be opened.
    pub members: usize,
}

impl Budget {
    /// A whole message's budget.
    pub fn new(limits: &Limits) -> Self {
        Budget {
            bytes: limits.unpacked_bytes,
            members: limits.archive_members,
        }
    }
}

/// Something found on the way.
pub enum Event<'a> {
    /// A document that is no container. Its warnings, if any, follow as [`Event::Warning`].
    Document(Document<'a>),
    /// A deviation of the container, about the document before it.
    Warning(Warning),
    /// A container or member that could not be used.
    Problem(Problem),
}

/// A document out of zero or more containers.
pub struct Document<'a> {
    /// Where: the given path with container members appended, `2/report.zip/report.xml`; a gzip layer adds `/gzip`.
    pub path: String,
    /// The name of the innermost archive member, else the name given.
    pub name: Option<String>,
    /// What its bytes look like; never a container.
    pub looks: Looks,
    /// Its bytes.
    pub content: Content<'a>,
    /// How many containers it was in.
    pub depth: usize,
}

/// The bytes of a document.
pub enum Content<'a> {
    /// At most [`WHOLE_BYTES`], or never packed at all.
    Whole(&'a [u8]),
    /// A larger one, unpacked while it is read. A reading error carries a [`Refusal`](crate::problem::Refusal) as its
    /// source (`truncated`, `corrupt`, `too-large`) and means that the document is not to be used. It must be read to
    /// its end, because that is where a container's checksum is.
    Stream(&'a mut dyn BufRead),
}

/// Documents up to this size are unpacked into memory, larger ones are streamed.
pub const WHOLE_BYTES: usize = 8 << 20;

/// Unpacks `bytes` and everything packed in them, depth first and in order, telling `visit` of each document and each
/// problem. `path` and `name` say where the bytes come from. Empty members, directories and resource forks
/// (`__MACOSX/`, `.DS_Store`) are passed over without a word where other members are there.
pub fn unpack(
    _bytes: &[u8],
    _path: &str,
    _name: Option<&str>,
    _limits: &Limits,
    _budget: &mut Budget,
    _visit: &mut dyn FnMut(Event<'_>),
) {
    todo!()
}
