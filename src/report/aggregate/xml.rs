//! From XML events to the state machine: well-formedness, bounds, references, and the honest end.
//!
//! A stream is read through a window of text that never ends within a token: so quick-xml borrows from it, as from a
//! document in memory, and copies nothing. It forgets the open elements at the end of each window, so their names are
//! checked here.

use std::borrow::Cow;
use std::io::{self, BufRead};
use std::ops::ControlFlow;

use quick_xml::Reader;
use quick_xml::errors::{Error as XmlError, SyntaxError};
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::machine::{Machine, cut};
use super::plain::{self, Tag};
use super::{AggregateReport, Chunk};
use crate::limits::Limits;
use crate::problem::{Code, Refusal, Warning};
use crate::report::decode::{self, Utf8};

/// Bytes taken from a stream at once.
const WINDOW: usize = 128 << 10;

/// The longest markup around the content of an event, `<![CDATA[` and `]]>`.
const MARKUP: u64 = 12;

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
    let mut driver = Driver::new(limits, sink);
    match input {
        Input::Whole(bytes) => driver.whole(bytes),
        Input::Stream(stream) => driver.stream(stream, WINDOW),
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
    names: Names,
}

/// Names of open elements, as sent, where the element does not tell them.
#[derive(Default)]
struct Names {
    text: String,
    /// Depth of each, and where its name starts.
    starts: Vec<(usize, usize)>,
}

impl Names {
    fn open(&mut self, depth: usize, name: &str) {
        self.starts.push((depth, self.text.len()));
        self.text.push_str(name);
    }

    /// The name of the element at `depth`, the innermost one.
    fn at(&self, depth: usize) -> Option<&str> {
        let &(at, start) = self.starts.last()?;
        if at == depth { self.text.get(start..) } else { None }
    }

    fn close(&mut self, depth: usize) {
        if let Some((_, start)) = self.starts.pop_if(|(at, _)| *at == depth) {
            self.text.truncate(start);
        }
    }
}

impl<'a> Driver<'a> {
    fn new(limits: &'a Limits, sink: &'a mut dyn Sink) -> Self {
        let names = Names::default();
        Driver { machine: Machine::new(limits), limits, sink, reports: 0, outside: 0, root_seen: false, names }
    }

    fn whole(&mut self, bytes: &[u8]) -> Result<Read, Refusal> {
        let mut warnings = Vec::new();
        let text = decode::whole(bytes, &mut warnings);
        self.machine.document_warnings(warnings);
        let mut at = self.leading(&text);
        loop {
            match self.window(&text[at..], at as u64, false) {
                ControlFlow::Break(result) => return result,
                ControlFlow::Continue(used) => at += used,
            }
        }
    }

    fn stream(&mut self, stream: &mut dyn BufRead, window: usize) -> Result<Read, Refusal> {
        let mut utf8 = Utf8::new(stream);
        let mut text = String::with_capacity(window + window / 2);
        let mut base = 0;
        let result = loop {
            let more = utf8.fill(&mut text, window).map_err(|error| refusal_of(&error, base))?;
            if !utf8.warnings.is_empty() {
                self.machine.document_warnings(std::mem::take(&mut utf8.warnings));
            }
            if base == 0 {
                let start = self.leading(&text);
                text.drain(..start);
                base = start as u64;
            }
            let end = if more { complete(&text) } else { text.len() };
            match self.window(&text[..end], base, more) {
                ControlFlow::Break(result) => break result,
                ControlFlow::Continue(used) => {
                    text.drain(..used);
                    base += used as u64;
                }
            }
            if !more {
                break self.end(base);
            }
            if text.len() > self.limits.value_bytes {
                break self.fail(too_long(self.limits.value_bytes, base));
            }
        };
        // The checksum of the container stands at its end, behind whatever follows the report.
        match utf8.finish() {
            Ok(()) => result,
            Err(error) => Err(refusal_of(&error, base)),
        }
    }

    /// The length of what stands before the document and is no part of it.
    fn leading(&mut self, text: &str) -> usize {
        let trimmed = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n', '\0']);
        let length = text.len() - trimmed.len();
        if length > 0 {
            self.machine.document_warnings(vec![Warning::new(
                "leading-space",
                "document",
                "white space before the document",
            )]);
        }
        length
    }

    /// Reads `text`, which stands at byte `base` of the document. Goes on with how much of it was used, or breaks with the
    /// outcome. Where no `more` of the document follows, what is left has to be read.
    fn window(&mut self, text: &str, base: u64, more: bool) -> ControlFlow<Result<Read, Refusal>, usize> {
        // quick-xml would take it for a byte order mark.
        let marks = text.len() - text.trim_start_matches('\u{feff}').len();
        let (marks, text) = text.split_at(marks);
        if let Err(refusal) = self.machine.text(marks, base, self.limits) {
            return ControlFlow::Break(self.fail(refusal));
        }
        self.events(text, base + marks.len() as u64, more).map_continue(|used| marks.len() + used)
    }

    fn events(&mut self, text: &str, base: u64, more: bool) -> ControlFlow<Result<Read, Refusal>, usize> {
        let mut reader = Reader::from_str(text);
        configure(&mut reader);
        let most = self.limits.value_bytes;
        // The text before the next event, not yet copied: mostly the element ends there.
        let mut pending = "";
        // Bytes that quick-xml was not shown.
        let mut skipped = 0;
        // Whether quick-xml has read to the end of some markup, and no further.
        let mut after_markup = false;
        loop {
            let begins = reader.buffer_position();
            if after_markup && pending.is_empty() && !self.machine.listens() {
                match self.plain(&text[(begins + skipped) as usize..], base + begins + skipped) {
                    Ok(used) => skipped += skip(&mut reader, used),
                    Err(refusal) => return ControlFlow::Break(self.fail(refusal)),
                }
            }
            let at = base + begins + skipped;
            // Matched in place: moving an event costs as much as most of them take.
            let result = match reader.read_event() {
                Ok(Event::Start(start)) => match self.flush(&mut pending, at).and_then(|()| self.start(&start, at)) {
                    Ok(()) => {
                        let rest = &text[(reader.buffer_position() + skipped) as usize..];
                        let used = self.value(rest, start.name().into_inner(), at);
                        used.map(|used| skipped += skip(&mut reader, used))
                    }
                    result => result,
                },
                // A text may come in pieces, so it is measured where it is put together.
                Ok(Event::Text(text)) => match self.keep_text(&mut pending, text.into_inner(), at) {
                    Ok(()) => {
                        after_markup = false;
                        continue;
                    }
                    result => result,
                },
                Ok(Event::End(end)) => self.close(std::mem::take(&mut pending), &end, at),
                Ok(Event::Eof) if more => return self.carry(pending, at, text.len()),
                Ok(Event::Eof) => return ControlFlow::Break(self.end(at)),
                Ok(event) => self.flush(&mut pending, at).and_then(|()| self.event(event, at)),
                Err(XmlError::Syntax(error)) if more && error != SyntaxError::InvalidBangMarkup => {
                    return self.carry(pending, at, (begins + skipped) as usize);
                }
                Err(error) => Err(broken(&error, base + reader.error_position() + skipped)),
            };
            if let Err(refusal) = result {
                return ControlFlow::Break(self.fail(refusal));
            }
            after_markup = true;
            if reader.buffer_position() - begins > most as u64 + MARKUP {
                return ControlFlow::Break(self.fail(too_long(most, at)));
            }
            // quick-xml waits for the end tags that were skipped, and its list of them must not grow for ever.
            if skipped > WINDOW as u64 && pending.is_empty() {
                return ControlFlow::Continue((reader.buffer_position() + skipped) as usize);
            }
        }
    }

    /// Reads what is plain at the start of `text`, which stands at byte `base` of the document and where no text is of use. How
    /// much that was.
    fn plain(&mut self, text: &str, base: u64) -> Result<usize, Refusal> {
        let mut used = 0;
        while !self.machine.listens()
            && let Some((tag, before, length)) = plain::tag(&text[used..])
        {
            let at = base + (used + before) as u64;
            used += length;
            match tag {
                Tag::Start(name) => {
                    self.start(&BytesStart::new(name), at)?;
                    used += self.value(&text[used..], name, at)?;
                }
                Tag::End(name) => self.close("", name, at)?,
            }
        }
        Ok(used)
    }

    /// Reads the value of the element that was just begun, and its end, where it has one and that is plain. How much that was.
    fn value(&mut self, rest: &str, name: &str, at: u64) -> Result<usize, Refusal> {
        if !self.machine.expects_value() {
            return Ok(0);
        }
        match plain::leaf(rest, name, self.limits.value_bytes) {
            Some((value, used)) => self.end_element(value, at).map(|()| used),
            None => Ok(0),
        }
    }

    fn flush(&mut self, pending: &mut &str, at: u64) -> Result<(), Refusal> {
        let text = std::mem::take(pending);
        if text.is_empty() { Ok(()) } else { self.machine.text(text, at, self.limits) }
    }

    /// The window ends; what was not used of it comes again in the next one.
    fn carry(&mut self, pending: &str, at: u64, used: usize) -> ControlFlow<Result<Read, Refusal>, usize> {
        match self.machine.text(pending, at, self.limits) {
            Ok(()) => ControlFlow::Continue(used),
            Err(refusal) => ControlFlow::Break(self.fail(refusal)),
        }
    }

    fn keep_text<'t>(&mut self, pending: &mut &'t str, text: Cow<'t, str>, at: u64) -> Result<(), Refusal> {
        if !self.machine.listens() {
            return Ok(());
        }
        self.flush(pending, at)?;
        match text {
            Cow::Borrowed(text) => *pending = text,
            Cow::Owned(text) => self.machine.text(&text, at, self.limits)?,
        }
        Ok(())
    }

    /// An event other than those that documents mostly consist of.
    fn event(&mut self, event: Event<'_>, at: u64) -> Result<(), Refusal> {
        match event {
            Event::Empty(start) => {
                self.start(&start, at)?;
                self.end_element("", at)
            }
            Event::CData(text) => self.machine.text(&text, at, self.limits),
            Event::GeneralRef(reference) => self.reference(&reference, at),
            Event::DocType(declaration) => self.document_type(&declaration, at),
            _ => Ok(()),
        }
    }

    fn depth(&self) -> usize {
        self.outside + self.machine.depth()
    }

    #[inline]
    fn start(&mut self, start: &BytesStart<'_>, at: u64) -> Result<(), Refusal> {
        if !self.machine.inside() {
            let name = start.name();
            if name.local_name().into_inner() != "feedback" {
                self.outside += 1;
                if self.outside > self.limits.xml_depth {
                    return Err(too_deep(self.limits.xml_depth, at));
                }
                self.names.open(self.depth(), name.into_inner());
                self.root_seen = true;
                return Ok(());
            }
            if name.prefix().is_some() {
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
        if !self.machine.start(start, at, self.limits)? {
            self.names.open(self.depth(), start.name().into_inner());
        }
        Ok(())
    }

    /// An end tag, after `text`.
    #[inline]
    fn close(&mut self, text: &str, tag: &str, at: u64) -> Result<(), Refusal> {
        let depth = self.depth();
        let name = tag.trim_ascii_end();
        let open = self.names.at(depth).or(self.machine.name()).unwrap_or("");
        if name != open || depth == 0 {
            let expected = if depth == 0 { "no end tag".to_owned() } else { format!("</{}>", cut(open)) };
            let found = cut(name);
            return Err(Refusal::new(Code::Xml, format!("byte {at}: expected {expected}, found </{found}>")));
        }
        if self.machine.extending() {
            self.machine.text(text, at, self.limits)?;
            self.machine.extend(&["</", tag, ">"]);
            return self.end_element("", at);
        }
        self.end_element(text, at)
    }

    /// The innermost element ends.
    #[inline]
    fn end_element(&mut self, text: &str, at: u64) -> Result<(), Refusal> {
        self.names.close(self.depth());
        if !self.machine.inside() {
            self.outside = self.outside.saturating_sub(1);
            return Ok(());
        }
        if let Some(chunk) = self.machine.end(text, at, self.limits)? {
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
                        || format!("&{}; stands for no character", cut(name)),
                    );
                    "\u{fffd}"
                }
            },
            _ => {
                self.machine.warn(
                    "unknown-entity",
                    || format!("byte {at}"),
                    || format!("&{}; is kept as it stands", cut(name)),
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
}

/// How much of a text can be read before more of it is there. What remains is markup or a reference that has begun;
/// plain text can be cut anywhere.
fn complete(text: &str) -> usize {
    memchr::memrchr3(b'<', b'>', b'&', text.as_bytes())
        .filter(|&at| text.as_bytes().get(at) != Some(&b'>'))
        .unwrap_or(text.len())
}

/// Has the reader go on behind so many bytes, which it is not shown; how many that are.
fn skip(reader: &mut Reader<&[u8]>, used: usize) -> u64 {
    let bytes = reader.get_mut();
    *bytes = &bytes[used..];
    used as u64
}

fn configure<R>(reader: &mut Reader<R>) {
    let config = reader.config_mut();
    // `AT&T` unescaped would lose the report otherwise.
    config.allow_dangling_amp = true;
    // Checked by us.
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.trim_markup_names_in_closing_tags = false;
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

/// What a stream's error says, in its own words where it carries them.
fn refusal_of(error: &io::Error, at: u64) -> Refusal {
    let refusal = error.get_ref().and_then(|source| source.downcast_ref::<Refusal>());
    refusal.cloned().unwrap_or_else(|| Refusal::new(Code::Corrupt, format!("byte {at}: {error}")))
}

fn broken(error: &XmlError, at: u64) -> Refusal {
    let code = match error {
        // Every syntax error of quick-xml is an end of input inside a token.
        XmlError::Syntax(_) => Code::Truncated,
        _ => Code::Xml,
    };
    Refusal::new(code, format!("byte {at}: {error}"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::aggregate::Record;

    const REPORT: &str = "<?xml version=\"1.0\"?>\n<feedback>\n <report_metadata><org_name>A &amp; B > C</org_name><email>a@b.example</email>\
        <report_id>1</report_id><date_range><begin>1755648000</begin><end>1755734399</end></date_range></report_metadata>\n\
        <policy_published><domain>example.com</domain><p><![CDATA[no]]>ne</p></policy_published>\n\
        <extension><x:a xmlns:x='urn:x' y='>'>t &lt; u</x:a></extension>\
        <record><row><source_ip>192.0.2.1</source_ip><!-- a > b --><count>1<!-- -->2</count><policy_evaluated>\
        <disposition>none</disposition><dkim>pass</dkim><spf> fail </spf>\n<reason>\n<type>other</type>\n<comment>b\u{fc}>\u{feff}c</comment>\
        </reason>\n</policy_evaluated></row><identities><header_from>example.com</header_from></identities><auth_results>\
        <dkim/><spf><domain>example.com</domain><result>Pass</result></spf></auth_results></record><odd><odder/></odd></feedback>\n";

    /// All that a sink is told.
    #[derive(Debug, Default, PartialEq)]
    struct Told {
        records: Vec<(Record, Vec<String>)>,
        reports: Vec<Result<String, (Code, String)>>,
    }

    impl Sink for Told {
        fn chunk(&mut self, chunk: Chunk) {
            let texts: Vec<String> = chunk.strings.iter().map(ToString::to_string).collect();
            self.records.extend(chunk.records.iter().map(|record| (*record, texts.clone())));
        }

        fn report(&mut self, report: Result<AggregateReport, Refusal>) {
            self.reports
                .push(report.map(|report| format!("{report:?}")).map_err(|refusal| (refusal.code, refusal.reason)));
        }
    }

    fn whole(text: &str) -> (Result<Read, Refusal>, Told) {
        let (mut told, limits) = (Told::default(), Limits::default());
        (read(Input::Whole(text.as_bytes()), &limits, &mut told), told)
    }

    /// However a document is cut into windows, it says the same.
    fn check(text: &str) {
        let expected = whole(text);
        for window in [1, 2, 7, 50, 333, 100_000] {
            let (mut told, limits) = (Told::default(), Limits::default());
            let outcome = Driver::new(&limits, &mut told).stream(&mut text.as_bytes(), window);
            assert_eq!((outcome, told), expected, "in windows of {window}: {text}");
        }
    }

    #[test]
    fn windows_make_no_difference() {
        check(REPORT);
        for end in (0..REPORT.len()).filter(|&end| REPORT.is_char_boundary(end)) {
            check(&REPORT[..end]);
        }
        check(&REPORT.replace("</p>", "</q>"));
        check(&REPORT.replace("<p>", "<!q>"));
        check(&REPORT.replace("<feedback>", "<w><x:y><feedback>"));
        check(&REPORT.replace("feedback>", "ns:feedback>").replace("record>", "ns:record>"));
        check(&format!("{REPORT}{REPORT}"));
        check(&format!("{REPORT}</x>"));
        check(&format!(" \u{feff}\n{REPORT}"));
        check("<!DOCTYPE x [<!ENTITY a 'b'>]><feedback/>");
        check("<html><p>no</p></html>");
        check("no XML");
        check("");
    }

    /// A tag with a space in it goes through the XML reader.
    #[test]
    fn plain_tags_are_read_as_others_are() {
        let is_plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        let spaced = |report: &str| -> String {
            let spaced = |piece: &str| match piece.strip_suffix('>').and_then(|piece| piece.rsplit_once('<')) {
                // The extension is kept as it is written.
                Some((_, tag)) if tag.contains("extension") || !is_plain(tag.strip_prefix('/').unwrap_or(tag)) => {
                    piece.to_owned()
                }
                Some((before, tag)) => format!("{before}<{tag} >"),
                None => piece.to_owned(),
            };
            report.split_inclusive('>').map(spaced).collect()
        };
        // Places are told in bytes.
        let told = |text: &str| {
            let (outcome, told) = whole(text);
            let text = format!("{outcome:?} {:?} {:?}", told.records, told.reports);
            text.split("byte ")
                .map(|piece| piece.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned())
                .collect::<Vec<_>>()
        };
        for (from, to) in [
            ("", ""),
            ("<count>1", "<count>1<b>2</b>"),
            ("</count>", "</counts>"),
            ("<count>", "<count>\u{fc} &amp;"),
            ("</row>", ""),
            ("</feedback>", "</feedback><feedback></feedback></x>"),
            ("<feedback>", "<outer><feedback>x"),
            ("<email>", "<email> <email>"),
            ("<record>", "<record><record>"),
        ] {
            let report = REPORT.replace(from, to);
            let other = spaced(&report);
            assert!(other.len() > report.len() + 40, "{other}");
            assert_eq!(told(&other), told(&report), "{from} {to}");
        }
    }

    #[test]
    fn the_report_is_read() {
        let (outcome, told) = whole(REPORT);
        assert_eq!(outcome, Ok(Read::Reports(1)));
        let [(record, texts)] = &told.records[..] else { panic!("{told:?}") };
        assert_eq!((record.messages, record.dkim, record.spf), (12, Some(true), Some(false)));
        assert!(texts.contains(&"b\u{fc}>\u{feff}c".to_owned()), "{texts:?}");
        let [Ok(report)] = &told.reports[..] else { panic!("{told:?}") };
        for part in [
            "Some(\"A & B > C\")",
            "p: Some(\"none\")",
            "t &lt; u</x:a>",
            "white-space",
            "identities",
            "enum-case",
            "unknown-element",
        ] {
            assert!(report.contains(part), "{part}: {report}");
        }
    }

    #[test]
    fn end_tags_must_match() {
        let refused = |text: &str| {
            let (_, told) = whole(text);
            assert!(matches!(&told.reports[..], [Err((Code::Xml, _))]), "{text}: {told:?}");
        };
        for (from, to) in [
            ("</p>", "</sp>"),
            ("</count>", "</counts>"),
            ("</row>", "</x:row>"),
            ("</identities>", "</identifiers>"),
            ("</x:a>", "</y:a>"),
            ("</odd>", "</odder>"),
            ("<odder/>", "<odder>"),
            ("</dkim>", ""),
        ] {
            assert!(REPORT.contains(from));
            refused(&REPORT.replace(from, to));
        }
        assert_eq!(whole("</p>").0.unwrap_err().code, Code::Xml);
        assert_eq!(whole("<html><p></q></html>").0.unwrap_err().code, Code::Xml);
        let (_, told) = whole(&REPORT.replace("</p>", "</p \n>").replace("</count>", "</count >"));
        assert!(matches!(&told.reports[..], [Ok(_)]), "{told:?}");
    }

    #[test]
    fn text_that_nobody_wants_may_be_long() {
        let most = Limits::default().value_bytes;
        check(&REPORT.replace("<odd>", &format!("<odd>{}", " ".repeat(2 * most))));
        check(&format!("{REPORT}{}{REPORT}", "x".repeat(2 * most)));
    }

    #[test]
    fn long_tokens_are_refused() {
        let most = Limits::default().value_bytes;
        for text in [
            REPORT.replace("A &amp; B", &"x".repeat(most + 1)),
            REPORT.replace(" a > b ", &"x".repeat(most + 20)),
            REPORT.replace(" y='>'", &format!(" y='{}'", ">".repeat(most))),
        ] {
            let (_, told) = whole(&text);
            assert!(matches!(&told.reports[..], [Err((Code::FieldTooLong, _))]), "{}", &text[..200]);
            let (mut told, limits) = (Told::default(), Limits::default());
            let _ = Driver::new(&limits, &mut told).stream(&mut text.as_bytes(), 1000);
            assert!(matches!(&told.reports[..], [Err((Code::FieldTooLong, _))]), "{}", &text[..200]);
        }
    }
}
