//! From XML events to the state machine: well-formedness, bounds, references, and the honest end.

use std::io::BufRead;

use quick_xml::Reader;
use quick_xml::errors::{Error as XmlError, IllFormedError};
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::machine::Machine;
use super::{AggregateReport, Chunk};
use crate::limits::Limits;
use crate::problem::{Code, Refusal, Warning};
use crate::report::decode::{self, TokenTooLong, Utf8};

/// The bytes of a document.
pub enum Input<'a> {
    /// In memory.
    Whole(&'a [u8]),
    /// Still being unpacked. An error that carries a [`Refusal`] as its source is passed on as that refusal.
    Stream(&'a mut dyn BufRead),
}

/// What a document was, after all reports in it were told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// It held this many `feedback` elements, good and bad.
    Reports(usize),
    /// Well-formed XML of another kind.
    Other,
}

/// Who is told what was read.
pub trait Sink {
    /// The next records of the current report. Nothing of it may be used before [`Sink::report`] says that it is whole.
    fn chunk(&mut self, chunk: Chunk);
    /// The current report is whole, or it is not to be used and all its chunks are void.
    fn report(&mut self, report: Result<AggregateReport, Refusal>);
}

/// Reads every aggregate report in a document; real documents hold one.
///
/// # Errors
/// The document as a whole is not to be used, and whatever was told to `sink` is void: no well-formed XML, or a container
/// around it that turns out damaged at its end. A report that was begun and can not be finished is told to `sink` as an
/// error instead, and those before it stand.
pub fn read(input: Input<'_>, limits: &Limits, sink: &mut dyn Sink) -> Result<Read, Refusal> {
    let mut driver = Driver { machine: Machine::new(limits), limits, sink, reports: 0, outside: 0, root_seen: false };
    match input {
        Input::Whole(bytes) => driver.whole(bytes),
        Input::Stream(stream) => driver.stream(stream),
    }
}

struct Driver<'a> {
    machine: Machine,
    limits: &'a Limits,
    sink: &'a mut dyn Sink,
    reports: usize,
    /// Open elements outside any report.
    outside: usize,
    root_seen: bool,
}

impl Driver<'_> {
    fn whole(&mut self, bytes: &[u8]) -> Result<Read, Refusal> {
        let mut warnings = Vec::new();
        let text = decode::whole(bytes, &mut warnings);
        self.machine.document_warnings(warnings);
        let trimmed = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n', '\0']);
        if trimmed.len() != text.len() {
            self.machine.document_warnings(vec![Warning::new(
                "leading-space",
                "document",
                "white space before the document",
            )]);
        }
        let text = trimmed;
        let mut reader = Reader::from_str(text);
        configure(&mut reader);
        loop {
            let at = reader.buffer_position();
            match reader.read_event() {
                Ok(Event::Eof) => return self.end(at),
                Ok(event) if event.len() > self.limits.value_bytes => {
                    return self.fail(too_long(self.limits.value_bytes, at));
                }
                Ok(event) => {
                    if let Err(refusal) = self.event(event, at) {
                        return self.fail(refusal);
                    }
                }
                Err(error) => return self.broken(&error, reader.error_position(), at >= text.len() as u64),
            }
        }
    }

    fn stream(&mut self, stream: &mut dyn BufRead) -> Result<Read, Refusal> {
        let mut reader = Reader::from_reader(Utf8::new(stream, self.limits.value_bytes));
        configure(&mut reader);
        let mut buffer = Vec::new();
        let result = loop {
            let at = reader.buffer_position();
            buffer.clear();
            reader.get_mut().mark();
            if !reader.get_ref().warnings.is_empty() {
                let warnings = std::mem::take(&mut reader.get_mut().warnings);
                self.machine.document_warnings(warnings);
            }
            match reader.read_event_into(&mut buffer) {
                Ok(Event::Eof) => break self.end(at),
                Ok(event) => {
                    if let Err(refusal) = self.event(event, at) {
                        break self.fail(refusal);
                    }
                }
                Err(error @ XmlError::Io(_)) => {
                    return Err(refusal(&error, reader.error_position(), false, self.limits));
                }
                Err(error) => break self.broken(&error, reader.error_position(), false),
            }
        };
        // The checksum of the container stands at its end, behind whatever follows the report.
        let mut rest = reader.into_inner();
        rest.unmark();
        match std::io::copy(&mut rest, &mut std::io::sink()) {
            Ok(_) => result,
            Err(error) => Err(refusal(&XmlError::from(error), 0, false, self.limits)),
        }
    }

    fn event(&mut self, event: Event<'_>, at: u64) -> Result<(), Refusal> {
        match event {
            Event::Start(start) => self.start(&start, at),
            Event::End(end) => {
                if self.machine.extending() {
                    self.machine.extend(&["</", &end, ">"]);
                }
                self.close()
            }
            Event::Text(text) => self.machine.text(&text, at, self.limits),
            Event::CData(text) => self.machine.text(&text, at, self.limits),
            Event::GeneralRef(reference) => self.reference(&reference, at),
            Event::DocType(declaration) => self.document_type(&declaration, at),
            Event::Empty(start) => {
                self.start(&start, at)?;
                self.close()
            }
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::Eof => Ok(()),
        }
    }

    fn start(&mut self, start: &BytesStart<'_>, at: u64) -> Result<(), Refusal> {
        if !self.machine.inside() {
            if start.local_name().into_inner() != "feedback" {
                self.outside += 1;
                if self.outside > self.limits.xml_depth {
                    return Err(too_deep(self.limits.xml_depth, at));
                }
                self.root_seen = true;
                return Ok(());
            }
            if start.name().prefix().is_some() {
                self.machine.warn("prefix", || "feedback".into(), || "the root element bears a prefix".into());
            }
            if self.outside > 0 {
                self.machine.warn(
                    "wrapper",
                    || "document".into(),
                    || "the report stands inside another element".into(),
                );
            }
            if self.reports > 0 {
                self.machine.warn(
                    "several-reports",
                    || "document".into(),
                    || "more than one report in one document".into(),
                );
            }
            self.reports += 1;
        }
        self.machine.start(start, at, self.limits)
    }

    fn close(&mut self) -> Result<(), Refusal> {
        if !self.machine.inside() {
            self.outside = self.outside.saturating_sub(1);
            return Ok(());
        }
        if let Some(chunk) = self.machine.end(self.limits)? {
            self.sink.chunk(chunk);
        }
        if !self.machine.inside() {
            let (last, report) = self.machine.finish();
            self.sink.chunk(last);
            self.sink.report(report);
        }
        Ok(())
    }

    /// `&amp;` and the like arrive as events of their own.
    fn reference(&mut self, reference: &BytesRef<'_>, at: u64) -> Result<(), Refusal> {
        let name: &str = reference;
        let mut utf8 = [0; 4];
        let text = match name {
            "amp" => "&",
            "lt" => "<",
            "gt" => ">",
            "quot" => "\"",
            "apos" => "'",
            _ if reference.is_char_ref() => match reference.resolve_char_ref() {
                Ok(Some(character)) => character.encode_utf8(&mut utf8),
                _ => {
                    self.machine.warn(
                        "bad-reference",
                        || format!("byte {at}"),
                        || format!("&{name}; stands for no character"),
                    );
                    "\u{fffd}"
                }
            },
            _ => {
                self.machine.warn(
                    "unknown-entity",
                    || format!("byte {at}"),
                    || format!("&{name}; is kept as it stands"),
                );
                self.machine.text("&", at, self.limits)?;
                self.machine.text(name, at, self.limits)?;
                ";"
            }
        };
        self.machine.text(text, at, self.limits)
    }

    /// A declaration that declares or fetches anything is refused; quick-xml would expand nothing, but a reader that
    /// does would see another report than we.
    fn document_type(&mut self, declaration: &str, at: u64) -> Result<(), Refusal> {
        let upper = declaration.to_ascii_uppercase();
        if declaration.contains('[') || upper.contains(" SYSTEM") || upper.contains(" PUBLIC") {
            return Err(Refusal::new(
                Code::Dtd,
                format!("byte {at}: a document type declaration with entities or outside files"),
            ));
        }
        self.machine.warn("doctype", || format!("byte {at}"), || "a document type declaration, ignored".into());
        Ok(())
    }

    /// The document is over.
    fn end(&mut self, at: u64) -> Result<Read, Refusal> {
        if self.machine.inside() {
            return self.fail(Refusal::new(Code::Truncated, format!("byte {at}: the document ends inside the report")));
        }
        match (self.reports, self.root_seen) {
            (0, false) => Err(Refusal::new(Code::Xml, "no element at all")),
            (0, true) if self.outside > 0 => {
                Err(Refusal::new(Code::Truncated, format!("byte {at}: the document ends inside an element")))
            }
            (0, true) => Ok(Read::Other),
            (reports, _) => Ok(Read::Reports(reports)),
        }
    }

    fn fail(&mut self, refusal: Refusal) -> Result<Read, Refusal> {
        if !self.machine.inside() {
            // What follows a whole report is not part of it.
            return if self.reports > 0 { Ok(Read::Reports(self.reports)) } else { Err(refusal) };
        }
        self.sink.report(Err(refusal));
        Ok(Read::Reports(self.reports))
    }

    fn broken(&mut self, error: &XmlError, at: u64, at_end: bool) -> Result<Read, Refusal> {
        self.fail(refusal(error, at, at_end, self.limits))
    }
}

fn configure<R>(reader: &mut Reader<R>) {
    let config = reader.config_mut();
    // `AT&T` unescaped would lose the report otherwise.
    config.allow_dangling_amp = true;
}

fn too_long(most: usize, at: u64) -> Refusal {
    Refusal::new(
        Code::FieldTooLong,
        format!("byte {at}: a single text, tag or comment is longer than {most} bytes (limits.value_bytes)"),
    )
}

pub(super) fn too_deep(most: usize, at: u64) -> Refusal {
    Refusal::new(Code::XmlDepth, format!("byte {at}: elements nested deeper than {most} (limits.xml_depth)"))
}

fn refusal(error: &XmlError, at: u64, at_end: bool, limits: &Limits) -> Refusal {
    match error {
        XmlError::Io(error) => match error.get_ref() {
            Some(source) if source.is::<TokenTooLong>() => too_long(limits.value_bytes, at),
            Some(source) => match source.downcast_ref::<Refusal>() {
                Some(refusal) => refusal.clone(),
                None => Refusal::new(Code::Corrupt, format!("byte {at}: {error}")),
            },
            None => Refusal::new(Code::Corrupt, format!("byte {at}: {error}")),
        },
        // Every syntax error of quick-xml is an end of input inside a token.
        XmlError::Syntax(_) => Refusal::new(Code::Truncated, format!("byte {at}: {error}")),
        XmlError::IllFormed(IllFormedError::MissingEndTag(_)) => {
            Refusal::new(Code::Truncated, format!("byte {at}: {error}"))
        }
        _ if at_end => Refusal::new(Code::Truncated, format!("byte {at}: {error}")),
        _ => Refusal::new(Code::Xml, format!("byte {at}: {error}")),
    }
}

/// A warning list that belongs to the document, not to one report of it.
pub(super) fn merge(into: &mut Vec<Warning>, more: Vec<Warning>) {
    for warning in more {
        match into.iter_mut().find(|known| known.code == warning.code) {
            Some(known) => known.times = known.times.saturating_add(warning.times),
            None => into.push(warning),
        }
    }
}
