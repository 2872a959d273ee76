//! A part's bytes to the documents in it: gzip and zip, nested, decided by the bytes, bounded. Pure.

mod gzip;
mod inflate;
mod looks;
mod zip;

use std::cell::RefCell;
use std::io::{self, BufRead, Read};
use std::ops::ControlFlow;

use crate::limits::Limits;
use crate::problem::{Code, Problem, Refusal, Warning};

pub use looks::{Looks, looks};

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
        Budget { bytes: limits.unpacked_bytes, members: limits.archive_members }
    }
}

/// Something found on the way.
pub enum Event<'a> {
    /// A document that is no container. Its warnings, if any, follow as [`Event::Warning`].
    Document(Document<'a>),
    /// A deviation of the container, about the document before it: `gzip-trailing-junk`, `gzip-trailing-zeros`,
    /// `gzip-size`, `zip-names-differ`. Before any document of its archive: `zip-duplicate-names`.
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
    /// A larger one, unpacked while it is read. A reading error carries a [`Refusal`] as its
    /// source (`truncated`, `corrupt`, `too-large`; see [`refusal`]) and means that the document is not to be used. It
    /// must be read to its end, because that is where a container's checksum is.
    Stream(&'a mut dyn BufRead),
}

/// Documents up to this size are unpacked into memory, larger ones are streamed.
pub const WHOLE_BYTES: usize = 8 << 20;

/// The refusal that a reading error of [`Content::Stream`] carries, also through further layers of readers.
pub fn refusal<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Refusal> {
    let mut error = Some(error);
    while let Some(current) = error {
        if let Some(refusal) = current.downcast_ref::<Refusal>() {
            return Some(refusal);
        }
        // An io::Error made of another error shows that one's source as its own.
        error = match current.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => current.source(),
        };
    }
    None
}

/// Unpacks `bytes` and everything packed in them, depth first and in order, telling `visit` of each document and each
/// problem. `path` and `name` say where the bytes come from. Empty members, directories and resource forks
/// (`__MACOSX/`, `.DS_Store`) are passed over without a word where other members are there.
pub fn unpack(
    bytes: &[u8],
    path: &str,
    name: Option<&str>,
    limits: &Limits,
    budget: &mut Budget,
    visit: &mut dyn FnMut(Event<'_>),
) {
    let packed = Packed { bytes, path: path.to_owned(), name: name.map(str::to_owned), depth: 0 };
    Unpacker { limits, budget, visit }.dispatch(packed, looks(bytes));
}

/// Bytes on their way through the layers.
struct Packed<'b> {
    bytes: &'b [u8],
    path: String,
    name: Option<String>,
    /// Containers around them.
    depth: usize,
}

impl Packed<'_> {
    fn problem(&self, refusal: Refusal, found: Looks) -> Problem {
        Problem {
            refusal,
            part: self.path.clone(),
            declared_type: None,
            found_type: Some(found.as_str()),
            file_name: self.name.clone(),
            bytes: self.bytes.len() as u64,
            head: self.bytes[..self.bytes.len().min(Problem::HEAD_BYTES)].to_vec(),
        }
    }
}

struct Unpacker<'u, 'v> {
    limits: &'u Limits,
    budget: &'u mut Budget,
    visit: &'u mut (dyn FnMut(Event<'_>) + 'v),
}

impl Unpacker<'_, '_> {
    /// Hands a document over, or opens a container. Calls itself at most `container_depth` times.
    fn dispatch(&mut self, packed: Packed<'_>, looks: Looks) {
        let is_container = matches!(looks, Looks::Gzip | Looks::Zip);
        if is_container && packed.depth >= self.limits.container_depth {
            let limit = self.limits.container_depth;
            let refusal = Refusal::new(Code::Nesting, format!("containers nested deeper than {limit}"));
            return (self.visit)(Event::Problem(packed.problem(refusal, looks)));
        }
        match looks {
            Looks::Gzip => self.gzip(&packed),
            Looks::Zip => self.zip(&packed),
            _ => (self.visit)(Event::Document(Document {
                path: packed.path,
                name: packed.name,
                looks,
                content: Content::Whole(packed.bytes),
                depth: packed.depth,
            })),
        }
    }

    fn gzip(&mut self, packed: &Packed<'_>) {
        let inner = |name: Option<String>| Inner {
            path: below(&packed.path, "gzip"),
            name,
            depth: packed.depth + 1,
            is_link: false,
        };
        let mut content = match gzip::Gzip::new(packed.bytes) {
            Ok(content) => content,
            Err(error) => {
                return (self.visit)(Event::Problem(packed.problem(refusal_of(&error), Looks::Gzip)));
            }
        };
        let outcome = self.content(&mut content, inner(packed.name.clone()));
        match outcome {
            Outcome::Done | Outcome::PassedOver => {
                for mut warning in content.warnings.drain(..) {
                    warning.place.clone_from(&packed.path);
                    (self.visit)(Event::Warning(warning));
                }
            }
            Outcome::Empty => {
                let refusal = Refusal::new(Code::Empty, "gzip of nothing");
                (self.visit)(Event::Problem(packed.problem(refusal, Looks::Gzip)));
            }
            Outcome::Refused(refusal) => (self.visit)(Event::Problem(packed.problem(refusal, Looks::Gzip))),
        }
    }

    fn zip(&mut self, packed: &Packed<'_>) {
        let archive = match zip::open(packed.bytes) {
            Ok(archive) => archive,
            Err(refusal) => {
                return (self.visit)(Event::Problem(packed.problem(refusal, Looks::Zip)));
            }
        };
        if archive.members.len() > self.budget.members {
            let reason = format!(
                "{} members, more than the {} that one message may hold",
                archive.members.len(),
                self.limits.archive_members
            );
            let refusal = Refusal::new(Code::TooManyEntries, reason);
            return (self.visit)(Event::Problem(packed.problem(refusal, Looks::Zip)));
        }
        self.budget.members -= archive.members.len();
        if archive.repeated_names > 0 {
            let text = format!("{} members bear a name that another has; all were read", archive.repeated_names);
            (self.visit)(Event::Warning(Warning::new("zip-duplicate-names", packed.path.clone(), text)));
        }
        let mut nothing = true;
        for (number, member) in (1..).zip(&archive.members) {
            if member.is_passed_over() {
                continue;
            }
            match self.member(packed, number, member) {
                ControlFlow::Continue(is_passed_over) => nothing &= is_passed_over,
                ControlFlow::Break(()) => return,
            }
        }
        if nothing {
            let refusal = Refusal::new(Code::Empty, "a zip archive that holds no file");
            (self.visit)(Event::Problem(packed.problem(refusal, Looks::Zip)));
        }
    }

    /// Unpacks one member; true when nothing was told of it. Breaks when the message's bytes are used up.
    fn member(&mut self, archive: &Packed<'_>, number: usize, member: &zip::Member<'_>) -> ControlFlow<(), bool> {
        let name = member.name();
        let shown = if name.is_empty() { format!("#{number}") } else { name.clone() };
        let path = below(&archive.path, &shown);
        let name = if name.is_empty() { archive.name.clone() } else { Some(name) };
        let outcome = match member.content() {
            Ok(mut content) => {
                let inner = Inner {
                    path: path.clone(),
                    name: name.clone(),
                    depth: archive.depth + 1,
                    is_link: member.is_link(),
                };
                self.content(&mut content, inner)
            }
            Err(refusal) => Outcome::Refused(refusal),
        };
        let refusal = match outcome {
            Outcome::Done if member.renamed => {
                let text = "the name before the data differs from the name in the directory, which was taken";
                (self.visit)(Event::Warning(Warning::new("zip-names-differ", path, text)));
                return ControlFlow::Continue(false);
            }
            Outcome::Done => return ControlFlow::Continue(false),
            Outcome::PassedOver => return ControlFlow::Continue(true),
            Outcome::Empty => Refusal::new(Code::Corrupt, "nothing in a member that should hold something"),
            Outcome::Refused(refusal) => refusal,
        };
        let head = member.packed();
        (self.visit)(Event::Problem(Problem {
            refusal,
            part: path,
            declared_type: None,
            found_type: Some(Looks::Zip.as_str()),
            file_name: name,
            bytes: member.packed_bytes(),
            head: head[..head.len().min(Problem::HEAD_BYTES)].to_vec(),
        }));
        // Every member after this one would be refused for the same reason.
        if self.budget.bytes == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(false) }
    }

    /// Unpacks one layer and goes on with what comes out.
    fn content(&mut self, content: &mut dyn Read, inner: Inner) -> Outcome {
        let mut whole = take_buffer();
        let outcome = self.content_into(content, inner, &mut whole);
        give_back(whole);
        outcome
    }

    fn content_into(&mut self, content: &mut dyn Read, inner: Inner, whole: &mut Vec<u8>) -> Outcome {
        let mut bounded = Bounded::new(content, self.limits, self.budget);
        if let Err(error) = (&mut bounded).take(WHOLE_BYTES as u64 + 1).read_to_end(whole) {
            return Outcome::Refused(refusal_of(&error));
        }
        if whole.is_empty() {
            return Outcome::Empty;
        }
        let is_whole = whole.len() <= WHOLE_BYTES;
        let looks = if is_whole { looks(whole) } else { looks::looks_at_head(whole) };
        if inner.is_link && looks == Looks::Text {
            return Outcome::PassedOver;
        }
        if !is_whole {
            if !matches!(looks, Looks::Gzip | Looks::Zip) {
                return stream(&mut bounded, whole, inner, looks, self.visit);
            }
            // A container is only readable as a whole. Packed bytes hardly pack further, so one that is larger than a
            // message may be is not what it seems.
            let limit = self.limits.message_bytes;
            let more = limit.saturating_add(1).saturating_sub(whole.len() as u64);
            if let Err(error) = (&mut bounded).take(more).read_to_end(whole) {
                return Outcome::Refused(refusal_of(&error));
            }
            if whole.len() as u64 > limit {
                let reason = format!("a container in a container of more than {limit} bytes");
                return Outcome::Refused(Refusal::new(Code::TooLarge, reason));
            }
        }
        self.dispatch(Packed { bytes: whole, path: inner.path, name: inner.name, depth: inner.depth }, looks);
        Outcome::Done
    }
}

/// What one layer's content is.
struct Inner {
    path: String,
    name: Option<String>,
    depth: usize,
    /// It is a symbolic link: a path is passed over, but a document, whatever its mode says, is not.
    is_link: bool,
}

/// How unpacking one layer went.
enum Outcome {
    /// What came out was handed over or opened.
    Done,
    /// What came out is of no interest.
    PassedOver,
    /// Nothing came out.
    Empty,
    /// It can not be unpacked.
    Refused(Refusal),
}

/// Hands over a document of which the beginning is in `head`.
fn stream(
    rest: &mut Bounded<'_, '_>,
    head: &[u8],
    inner: Inner,
    looks: Looks,
    visit: &mut dyn FnMut(Event<'_>),
) -> Outcome {
    let mut content = head.chain(io::BufReader::with_capacity(64 << 10, rest));
    visit(Event::Document(Document {
        path: inner.path,
        name: inner.name,
        looks,
        content: Content::Stream(&mut content),
        depth: inner.depth,
    }));
    Outcome::Done
}

fn refusal_of(error: &io::Error) -> Refusal {
    refusal(error).cloned().unwrap_or_else(|| Refusal::new(Code::Corrupt, error.to_string()))
}

/// Counts what comes out against the bounds.
struct Bounded<'c, 'u> {
    content: &'c mut dyn Read,
    /// Bytes this document may still have.
    left: u64,
    limits: &'u Limits,
    budget: &'u mut Budget,
}

impl<'c, 'u> Bounded<'c, 'u> {
    fn new(content: &'c mut dyn Read, limits: &'u Limits, budget: &'u mut Budget) -> Self {
        Bounded { content, left: limits.document_bytes, limits, budget }
    }
}

impl Read for Bounded<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let made = self.content.read(out)? as u64;
        if made > self.left {
            let reason = format!("unpacks to more than {} bytes", self.limits.document_bytes);
            return Err(inflate::refuse(Code::TooLarge, reason));
        }
        if made > self.budget.bytes {
            self.budget.bytes = 0;
            let reason = format!("the message unpacks to more than {} bytes", self.limits.unpacked_bytes);
            return Err(inflate::refuse(Code::TooLarge, reason));
        }
        self.left -= made;
        self.budget.bytes -= made;
        Ok(made as usize)
    }
}

thread_local! {
    /// Buffers that are not in use: fresh memory costs more than unpacking into it.
    static BUFFERS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

fn take_buffer() -> Vec<u8> {
    BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_default()
}

fn give_back(mut buffer: Vec<u8>) {
    const KEPT: usize = 2;
    buffer.clear();
    if buffer.capacity() > 2 * WHOLE_BYTES {
        return;
    }
    BUFFERS.with_borrow_mut(|buffers| {
        if buffers.len() < KEPT {
            buffers.push(buffer);
        }
    });
}

/// What stands below a path. A bare file has none, and its members no slash before them.
fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
}

#[cfg(test)]
mod tests;
