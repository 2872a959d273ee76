//! A message into its entities (RFC 2046), in one pass over the lines.
//!
//! Every open multipart is a frame on a stack. A delimiter line of any of them closes all that stand above it, as RFC
//! 2046, section 5.1.2, asks for; so a missing closing delimiter costs nothing. Bytes are read a second time only
//! where that can not be avoided: attached messages under base64 or quoted-printable, and multiparts whose declared
//! boundary never came. What is read again is bounded by `message_bytes` in all.

use super::header::{self, is_message};
use super::line::{Line, Lines};
use super::{Entity, Header, Kind, Mail, Raw, decode};
use crate::limits::Limits;
use crate::problem::{Code, Refusal, Warning};

/// Entities that there is room for from the start: those of most reports and complaints.
const USUAL_ENTITIES: usize = 5;

/// Longest file name that is decoded; decoding takes quadratic time.
const FILE_NAME_BYTES: usize = 2048;

/// Most parameters of one Content-Type; each takes many times the memory of its text.
const PARAMETERS: usize = 128;

/// Bytes that are looked at to tell whether an attached file is a message.
const PEEK_BYTES: usize = 4096;

/// Splits `message`; see [`super::parse`].
pub(super) fn split<'a>(message: &'a [u8], limits: &Limits) -> Result<Mail<'a>, Refusal> {
    let mut splitter = Splitter {
        limits,
        entities: Vec::with_capacity(USUAL_ENTITIES),
        places: Vec::with_capacity(USUAL_ENTITIES),
        later: Vec::new(),
        again: 0,
        warnings: Vec::new(),
    };
    splitter.scan(&Raw::Borrowed(message), Begin::Message(None))?;
    while let Some(index) = splitter.later.pop() {
        splitter.scan_again(index)?;
    }
    Ok(Mail { entities: in_order(splitter.entities), warnings: splitter.warnings })
}

/// What a scan starts with.
enum Begin {
    /// A message, the child of an entity unless it is the root.
    Message(Option<usize>),
    /// The body of a multipart entity, with the boundary found in it.
    Parts(usize, Vec<u8>),
}

/// What is known of an entity besides itself, under the same index.
struct Place {
    /// Multiparts and messages around it.
    depth: usize,
    children: usize,
    /// Where its body starts in the bytes scanned.
    body: usize,
}

/// An open multipart or attached message.
struct Frame {
    entity: usize,
    /// None for a message, and for a multipart that declares none.
    boundary: Option<Vec<u8>>,
    /// Its closing delimiter has been seen.
    closed: bool,
}

struct Splitter<'a, 'l> {
    limits: &'l Limits,
    entities: Vec<Entity<'a>>,
    places: Vec<Place>,
    /// Entities to be looked at again.
    later: Vec<usize>,
    /// Bytes read more than once.
    again: u64,
    warnings: Vec<Warning>,
}

impl<'a> Splitter<'a, '_> {
    /// Reads `source` from its beginning to its end.
    fn scan(&mut self, source: &Raw<'a>, begin: Begin) -> Result<(), Refusal> {
        let bytes: &[u8] = source;
        let mut lines = Lines::new(bytes);
        let mut frames = Vec::new();
        let mut leaf = None;
        match begin {
            Begin::Message(parent) => {
                if lines.are_bare_cr() {
                    let text = "the lines of the message end with CR alone";
                    self.warn("bare-cr", parent, text);
                }
                leaf = self.open(source, &mut lines, parent, true, &mut frames)?
            }
            Begin::Parts(entity, boundary) => {
                frames.push(Frame { entity, boundary: Some(boundary), closed: false });
            }
        }
        while let Some(line) = lines.next() {
            let content = lines.content(line);
            if !content.starts_with(b"--") {
                continue;
            }
            let Some((level, closing)) = delimiter(&frames, content) else {
                continue;
            };
            self.close(source, lines.end_before(line.start), leaf.take(), frames.drain(level + 1..));
            let Some(frame) = frames.get_mut(level) else {
                continue;
            };
            frame.closed = closing;
            if !closing {
                let parent = frame.entity;
                leaf = self.open(source, &mut lines, Some(parent), false, &mut frames)?;
            }
        }
        self.close(source, bytes.len(), leaf, frames.into_iter());
        Ok(())
    }

    /// Reads the header of the entity that begins where `lines` stands, and of the messages that begin with its body.
    /// Leaves `lines` at the body and returns the leaf, if that is what it came to.
    fn open(
        &mut self,
        source: &Raw<'a>,
        lines: &mut Lines<'_>,
        mut parent: Option<usize>,
        mut is_message: bool,
        frames: &mut Vec<Frame>,
    ) -> Result<Option<usize>, Refusal> {
        loop {
            if is_message {
                lines.at = header::first_field(lines.clone());
            }
            let block = header::read(source, lines.clone(), self.limits, |line| delimiter(frames, line).is_some())?;
            lines.at = block.body;
            let index = self.add(block.fields, parent, is_message)?;
            if let Some(name) = block.omitted {
                let limit = self.limits.header_field_bytes;
                let text = format!("{name} is longer than {limit} bytes and was left out");
                self.warn("header-omitted", Some(index), text);
            }
            let place = Place { depth: self.depth_below(parent), children: 0, body: block.body };
            self.places.push(place);
            let rest = source.get(block.body..).unwrap_or_default();
            let Some(entity) = self.entities.get_mut(index) else {
                return Ok(None);
            };
            entity.kind = kind(entity, rest);
            let boundary = match entity.kind {
                Kind::Leaf => return Ok(Some(index)),
                Kind::Multipart => boundary(entity),
                Kind::Message => None,
            };
            let is_multipart = entity.kind == Kind::Multipart;
            if self.depth_below(Some(index)) > self.limits.mime_depth {
                let limit = self.limits.mime_depth;
                let reason = format!("multiparts and attached messages nested deeper than {limit}");
                return Err(Refusal::new(Code::MimeDepth, reason));
            }
            frames.push(Frame { entity: index, boundary, closed: false });
            if is_multipart {
                return Ok(None);
            }
            (parent, is_message) = (Some(index), true);
        }
    }

    /// Adds an entity of which the body is not known yet, and returns its index.
    fn add(&mut self, fields: Vec<Header<'a>>, parent: Option<usize>, is_message: bool) -> Result<usize, Refusal> {
        let index = self.entities.len();
        if index > self.limits.mime_parts {
            let reason = format!("more than {} MIME parts", self.limits.mime_parts);
            return Err(Refusal::new(Code::MimeParts, reason));
        }
        let path = self.path(parent, is_message);
        let digest = !is_message
            && parent
                .and_then(|parent| self.entities.get(parent))
                .is_some_and(|p| p.content_type == "multipart/digest");
        let entity = entity(fields, path, parent, digest);
        if entity.parameters.len() > PARAMETERS {
            let reason = format!("more than {PARAMETERS} parameters of one Content-Type");
            return Err(Refusal::new(Code::Headers, reason));
        }
        self.entities.push(entity);
        Ok(index)
    }

    /// The part number of the next child of `parent`.
    fn path(&mut self, parent: Option<usize>, is_message: bool) -> String {
        let Some(parent) = parent else {
            return String::new();
        };
        let (Some(place), Some(entity)) = (self.places.get_mut(parent), self.entities.get(parent)) else {
            return String::new();
        };
        place.children += 1;
        // A message and its content share a number: the parts of message `2.0` are `2.1` and `2.2`.
        let above = match entity.path.as_str() {
            "0" if !is_message => "",
            path if !is_message => path.strip_suffix(".0").unwrap_or(path),
            path => path,
        };
        let number = if is_message { 0 } else { place.children };
        if above.is_empty() { number.to_string() } else { format!("{above}.{number}") }
    }

    fn warn(&mut self, code: &'static str, entity: Option<usize>, text: impl Into<String>) {
        let place = entity.and_then(|index| self.entities.get(index)).map(|entity| entity.path.clone());
        self.warnings.push(Warning::new(code, place.unwrap_or_default(), text));
    }

    fn depth_below(&self, parent: Option<usize>) -> usize {
        parent.and_then(|parent| self.places.get(parent)).map_or(0, |place| place.depth + 1)
    }

    /// Ends a leaf and the entities of frames at `end`.
    fn close(&mut self, source: &Raw<'a>, end: usize, leaf: Option<usize>, frames: impl Iterator<Item = Frame>) {
        for index in leaf.into_iter().chain(frames.map(|frame| frame.entity)) {
            let (Some(entity), Some(place)) = (self.entities.get_mut(index), self.places.get(index)) else {
                continue;
            };
            // The body of a multipart that is scanned again is known already.
            if place.body <= end && entity.raw.is_empty() {
                entity.raw = source.slice(place.body..end);
            }
            let childless = entity.kind == Kind::Multipart && place.children == 0;
            if childless || (entity.kind == Kind::Leaf && is_encoded_message(entity)) {
                self.later.push(index);
            }
        }
    }

    /// A second look: a message out of its transfer encoding, or the parts of a multipart whose boundary is another
    /// than declared.
    fn scan_again(&mut self, index: usize) -> Result<(), Refusal> {
        let Some(entity) = self.entities.get_mut(index) else {
            return Ok(());
        };
        let raw = entity.raw.clone();
        self.again += raw.len() as u64;
        if self.again > self.limits.message_bytes {
            let limit = self.limits.message_bytes;
            let reason = format!("attached messages and damaged multiparts add up to more than {limit} bytes");
            return Err(Refusal::new(Code::TooLarge, reason));
        }
        if entity.kind == Kind::Multipart {
            let Some(boundary) = guess_boundary(&raw) else {
                // Whatever it is, its bytes are what is left to look at.
                entity.kind = Kind::Leaf;
                if !raw.trim_ascii().is_empty() {
                    let text = "a multipart without any delimiter line was read as one part";
                    self.warn("boundary-missing", Some(index), text);
                }
                return Ok(());
            };
            let shown = String::from_utf8_lossy(&boundary);
            let text = format!("the declared boundary never came, `{shown}` was taken");
            self.warn("boundary-guessed", Some(index), text);
            return self.scan(&raw, Begin::Parts(index, boundary));
        }
        entity.kind = Kind::Message;
        let message = match entity.body() {
            std::borrow::Cow::Borrowed(_) => raw,
            std::borrow::Cow::Owned(bytes) => Raw::decoded(bytes),
        };
        if self.depth_below(Some(index)) > self.limits.mime_depth {
            let reason = format!("attached messages nested deeper than {}", self.limits.mime_depth);
            return Err(Refusal::new(Code::MimeDepth, reason));
        }
        self.scan(&message, Begin::Message(Some(index)))
    }
}

/// An entity out of its header, as a leaf without a body.
fn entity<'a>(headers: Vec<Header<'a>>, path: String, parent: Option<usize>, digest: bool) -> Entity<'a> {
    let first = |name: &str| headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
    let value = |name: &str| first(name).map(|field| header::unfold(&field.value));
    // `ContentType`: Trustwave SEG.
    let (media_type, parameters) = match value("content-type").or_else(|| value("contenttype")) {
        Some(value) => content_type(&value),
        None => (None, Vec::new()),
    };
    let default = if digest { "message/rfc822" } else { "text/plain" };
    let transfer_encoding =
        value("content-transfer-encoding").map(|value| token(&value).to_ascii_lowercase()).unwrap_or_default();
    let file_name = value("content-disposition")
        .and_then(|value| parameter(&content_type(&value).1, "filename"))
        .or_else(|| parameter(&parameters, "name"))
        .map(|name| if name.len() > FILE_NAME_BYTES { name } else { header::decode_words(&name) })
        .map(|name| if name.contains('\0') { name.replace('\0', "\u{fffd}") } else { name });
    Entity {
        path,
        parent,
        kind: Kind::Leaf,
        content_type: media_type.unwrap_or_else(|| default.to_owned()),
        parameters,
        transfer_encoding,
        file_name,
        headers,
        raw: Raw::Borrowed(&[]),
    }
}

/// A media type, if it is one, and the parameters of a field value.
fn content_type(value: &str) -> (Option<String>, Vec<(String, String)>) {
    let media_type = |text: &str| {
        let (kind, subtype) = text.split_once('/').unwrap_or_default();
        let (kind, subtype) = (token(kind), token(subtype));
        let mut media_type = [kind, "/", subtype].concat();
        media_type.make_ascii_lowercase();
        (!kind.is_empty() && !subtype.is_empty()).then_some(media_type)
    };
    let Some((before, parameters)) = value.split_once(';') else {
        return (media_type(value), Vec::new());
    };
    if value.is_ascii()
        && !before.contains('"')
        && let Some(parameters) = plain_parameters(parameters)
    {
        return (media_type(before), parameters);
    }
    let parsed = mailparse::parse_content_type(value);
    (media_type(&parsed.mimetype), parsed.params.into_iter().map(|(name, value)| (name, closed(value))).collect())
}

/// A quote that is never closed stays in a value.
fn closed(value: String) -> String {
    match value.strip_prefix('"') {
        Some(value) => value.trim_end_matches('"').to_owned(),
        None => value,
    }
}

/// Parameters that are all `name=token` or `name="text"`, by name, as nearly all are: what mailparse makes of them. `None`
/// where there is anything else, or an asterisk, which makes parameters of RFC 2231.
fn plain_parameters(text: &str) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut rest = text.trim_ascii();
    while !rest.is_empty() {
        let (name, value) = rest.split_once('=')?;
        let value = value.trim_ascii_start();
        let (value, after) = match value.strip_prefix('"') {
            Some(value) => value.split_once('"').filter(|(value, _)| !value.contains('\\'))?,
            None => value.split_at(token(value).len()),
        };
        let name = name.trim_ascii();
        if name.is_empty() || token(name) != name || name.contains('*') {
            return None;
        }
        found.push((name.to_ascii_lowercase(), value.to_owned()));
        let after = after.trim_ascii_start();
        rest = if after.is_empty() { after } else { after.strip_prefix(';')?.trim_ascii_start() };
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    found.is_sorted_by(|(one, _), (other, _)| one < other).then_some(found)
}

/// The token a value begins with.
fn token(value: &str) -> &str {
    let value = value.trim();
    let length = value.bytes().take_while(|&byte| header::is_name(byte)).count();
    value.get(..length).unwrap_or_default()
}

fn parameter(parameters: &[(String, String)], name: &str) -> Option<String> {
    parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
}

/// What an entity with this header, and a body that begins with `rest`, holds. A message under base64 is told later.
fn kind(entity: &Entity<'_>, rest: &[u8]) -> Kind {
    if entity.content_type.starts_with("multipart/") {
        return Kind::Multipart;
    }
    let is_plain = !matches!(entity.transfer_encoding.as_str(), "base64" | "quoted-printable");
    let head = &rest[..rest.len().min(PEEK_BYTES)];
    let is_declared = is_declared_message(entity);
    if is_plain && (is_declared || (may_be_message(entity) && is_message(head))) {
        return Kind::Message;
    }
    // Declared as encoded although it is not.
    if is_declared && is_message(head) && entity.transfer_encoding == "base64" {
        return Kind::Message;
    }
    Kind::Leaf
}

fn is_declared_message(entity: &Entity<'_>) -> bool {
    matches!(entity.content_type.as_str(), "message/rfc822" | "message/global")
}

/// A file that may be a message although its type does not say so (Exchange attaches `report.eml`).
fn may_be_message(entity: &Entity<'_>) -> bool {
    let is_named = entity.file_name.as_deref().is_some_and(|name| {
        let extension = name.rsplit_once('.').map(|(_, extension)| extension).unwrap_or_default();
        extension.eq_ignore_ascii_case("eml") || extension.eq_ignore_ascii_case("msg")
    });
    is_named || entity.content_type == "application/octet-stream"
}

/// Whether a leaf is a message once its transfer encoding is taken off.
fn is_encoded_message(entity: &Entity<'_>) -> bool {
    (is_declared_message(entity) || may_be_message(entity))
        && is_message(&decode::peek(&entity.raw, &entity.transfer_encoding, PEEK_BYTES))
}

/// The declared boundary.
fn boundary(entity: &Entity<'_>) -> Option<Vec<u8>> {
    let boundary = parameter(&entity.parameters, "boundary")?;
    let boundary = boundary.trim_end();
    (!boundary.is_empty()).then(|| boundary.as_bytes().to_vec())
}

/// Which frame a line that begins with `--` delimits, and whether it closes it. The innermost goes first, and one that
/// is not closed yet before one that is: the boundary of two nested multiparts may be the same.
fn delimiter(frames: &[Frame], line: &[u8]) -> Option<(usize, bool)> {
    let line = line.get(2..)?.trim_ascii_end();
    let find = |closed: bool| {
        frames.iter().enumerate().rev().filter(|(_, frame)| frame.closed == closed).find_map(|(level, frame)| {
            let rest = line.strip_prefix(frame.boundary.as_deref()?)?;
            (rest.is_empty() || rest == b"--").then_some((level, !rest.is_empty()))
        })
    };
    find(false).or_else(|| find(true))
}

/// The boundary that a body shows where none or a wrong one is declared: the first line that begins with `--` and
/// stands before a field that describes content.
fn guess_boundary(raw: &[u8]) -> Option<Vec<u8>> {
    let mut lines = Lines::new(raw);
    let mut candidate: Option<Line> = None;
    while let Some(line) = lines.next() {
        let content = lines.content(line);
        if let Some(candidate) = candidate.take()
            && content.get(..8).is_some_and(|name| name.eq_ignore_ascii_case(b"content-"))
        {
            let boundary = lines.content(candidate).get(2..)?.trim_ascii_end();
            return Some(boundary.to_vec());
        }
        if content.starts_with(b"--") && content.trim_ascii_end().len() > 2 {
            candidate = Some(line);
        }
    }
    None
}

/// Entities in pre-order. They were added so, except those of second looks, which stand at the end.
fn in_order(entities: Vec<Entity<'_>>) -> Vec<Entity<'_>> {
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); entities.len()];
    for (index, entity) in entities.iter().enumerate() {
        if let Some(siblings) = entity.parent.and_then(|parent| children.get_mut(parent)) {
            siblings.push(index);
        }
    }
    let mut order = Vec::with_capacity(entities.len());
    let mut stack = vec![0];
    while let Some(index) = stack.pop() {
        order.push(index);
        stack.extend(children.get(index).into_iter().flatten().rev());
    }
    if order.is_sorted() {
        return entities;
    }
    let mut position = vec![0; entities.len()];
    for (new, &old) in order.iter().enumerate() {
        position[old] = new;
    }
    let mut sorted: Vec<(usize, Entity<'_>)> =
        entities.into_iter().enumerate().map(|(old, entity)| (position[old], entity)).collect();
    sorted.sort_by_key(|&(new, _)| new);
    let mut sorted: Vec<Entity<'_>> = sorted.into_iter().map(|(_, entity)| entity).collect();
    for entity in &mut sorted {
        entity.parent = entity.parent.and_then(|parent| position.get(parent).copied());
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::{closed, content_type, plain_parameters};

    #[test]
    fn plain_parameters_are_read_as_any_other() {
        let check = |value: &str, is_plain: bool| {
            let (_, parameters) = value.split_once(';').expect("parameters");
            assert_eq!(plain_parameters(parameters).is_some(), is_plain, "{value}");
            let library = mailparse::parse_content_type(value).params;
            let library: Vec<_> = library.into_iter().map(|(name, value)| (name, closed(value))).collect();
            assert_eq!(content_type(value).1, library, "{value}");
        };
        check("a/b; boundary=x", true);
        check("a/b;boundary=\"----=_Part 1;2\" ; Report-Type = feedback-report ;", true);
        check("a/b; z=1; y=\" 2 \"; X=", true);
        check("a/b;", true);
        check("a/b; name=x; name=y", false);
        check("a/b; name*0=x; name*1=y", false);
        check("a/b; name*=utf-8''%C3%A9", false);
        check("a/b; name=\"a\\\"b\"; c=d", false);
        check("a/b; name=\"a; c=d", false);
        check("a/b; name=\"a\"b; c=d", false);
        check("a/b; name=a b; c=d", false);
        check("a/b; name=----=_Part; c=d", false);
        check("a/b; flag; c=d", false);
        check("a/b;; c=d", false);
        check("a/b; =d", false);
        check("a/b; c=\u{b}d", false);
        check("a/b; \u{b}c=d", false);
    }

    #[test]
    fn media_types() {
        let check =
            |value: &str, expected: Option<&str>| assert_eq!(content_type(value).0.as_deref(), expected, "{value}");
        check("Text/Plain", Some("text/plain"));
        check(" text / plain ; charset=x", Some("text/plain"));
        check("text/plain junk; charset=x", Some("text/plain"));
        check("text/\"a;b\"; charset=x", None);
        check("text", None);
        check("text/; charset=x", None);
        check("te\u{212a}t/plain; charset=x", Some("tekt/plain"));
    }
}
