//! The state machine: elements and texts in any order, one report at a time, to records and a report.

use quick_xml::events::BytesStart;

use super::chunk::{Builder, DkimResult, Form, Reason, SpfResult, StringId};
use super::elements::Element;
use super::head::{Head, lang, namespace};
use super::record::{Draft, Row};
use super::values::{self, Word};
use super::xml::{merge, too_deep};
use super::{AggregateReport, Chunk};
use crate::limits::Limits;
use crate::problem::{Code, Refusal, Warning};
use crate::report::text;

/// Raw XML of all extensions of a report that is kept.
const EXTENSION_BYTES: usize = 64 << 10;

/// Reads one report after the other.
pub struct Machine {
    /// The open elements, the report's root first. Empty outside a report.
    pub(super) open: Vec<Element>,
    /// Text of the open element that holds text.
    pub(super) text: String,
    pub(super) lang: Option<String>,
    pub(super) head: Head,
    pub(super) record: Draft,
    pub(super) rows: Vec<Row>,
    /// The memory of an earlier row.
    pub(super) spare: Option<Row>,
    pub(super) builder: Builder,
    pub(super) records: u64,
    pub(super) messages: u64,
    pub(super) extension_bytes: usize,
    /// Depth of `open` at which the extension began that is being read.
    pub(super) extension_at: Option<usize>,
    pub(super) warnings: Vec<Warning>,
    pub(super) document_warnings: Vec<Warning>,
}

impl Machine {
    pub fn new(_limits: &Limits) -> Self {
        Machine {
            open: Vec::new(),
            text: String::new(),
            lang: None,
            head: Head::default(),
            record: Draft::default(),
            rows: Vec::new(),
            spare: None,
            builder: Builder::default(),
            records: 0,
            messages: 0,
            extension_bytes: 0,
            extension_at: None,
            warnings: Vec::new(),
            document_warnings: Vec::new(),
        }
    }

    /// Whether a report is being read.
    pub fn inside(&self) -> bool {
        !self.open.is_empty()
    }

    /// Elements of the report that are open.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// The standard's name of the innermost open element.
    pub fn name(&self) -> Option<&'static str> {
        self.open.last().map(|element| element.name())
    }

    /// Whether text that comes now is of use.
    pub fn listens(&self) -> bool {
        self.open.last().is_some_and(|element| element.holds_text()) || self.extending()
    }

    /// Whether the innermost open element is one whose text is its value.
    pub fn expects_value(&self) -> bool {
        self.open.last().is_some_and(|element| element.holds_text())
    }

    /// Whether raw XML of an extension is being collected.
    pub fn extending(&self) -> bool {
        self.extension_at.is_some()
    }

    /// Warnings about the document, for every report in it.
    pub fn document_warnings(&mut self, warnings: Vec<Warning>) {
        merge(&mut self.document_warnings, warnings);
    }

    pub fn warn(&mut self, code: &'static str, place: impl FnOnce() -> String, text: impl FnOnce() -> String) {
        Warning::note(&mut self.warnings, code, place, text);
    }

    fn place(&self, element: &str) -> String {
        format!("record[{}]/{element}", self.builder.rows)
    }

    /// Collects raw XML of an extension.
    pub fn extend(&mut self, pieces: &[&str]) {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        if self.extension_bytes + length > EXTENSION_BYTES {
            self.warn(
                "extension-long",
                || "extension".into(),
                || format!("only its first {EXTENSION_BYTES} bytes are kept"),
            );
            return;
        }
        self.extension_bytes += length;
        if let Some(extension) = self.head.extensions.last_mut() {
            for piece in pieces {
                extension.extend(piece.chars().map(|c| if illegal(c) { '\u{fffd}' } else { c }));
            }
        }
    }

    /// An element begins. Whether its name is what [`Machine::name`] says.
    #[inline]
    pub fn start(&mut self, start: &BytesStart<'_>, at: u64, limits: &Limits) -> Result<bool, Refusal> {
        if self.open.len() >= limits.xml_depth {
            return Err(too_deep(limits.xml_depth, at));
        }
        let name = start.name().into_inner();
        let Some(&parent) = self.open.last() else {
            self.head.namespace = namespace(start);
            self.open.push(Element::Feedback);
            return Ok(name == Element::Feedback.name());
        };
        let element = match parent.child(name) {
            Element::Unknown => prefixed(parent, start),
            element => element,
        };
        if element == Element::Extension && self.extension_at.is_none() {
            self.head.extensions.push(String::new());
            self.extension_at = Some(self.open.len());
        }
        if self.extending() {
            self.extend(&["<", start, ">"]);
        } else if element == Element::Unknown && parent != Element::Unknown {
            let name = start.local_name().into_inner();
            self.warn(
                "unknown-element",
                || format!("byte {at}"),
                || format!("<{}> is not of the format; read over", cut(name)),
            );
        }
        self.open.push(element);
        self.begin(element, start, limits)?;
        Ok(name == element.name())
    }

    #[inline]
    fn begin(&mut self, element: Element, start: &BytesStart<'_>, limits: &Limits) -> Result<(), Refusal> {
        if element.holds_text() {
            self.text.clear();
            self.lang = None;
            if element.has_lang() && !start.attributes_raw().is_empty() {
                self.lang = lang(start);
            }
            if element == Element::Reason {
                self.row().reason = Reason::default();
            }
            return Ok(());
        }
        match element {
            Element::Record => {
                self.record.clear();
                self.clear_rows();
            }
            Element::Row => {
                let row = self.spare.take().unwrap_or_default();
                self.rows.push(row);
            }
            Element::Identifiers => {
                self.record.identified = true;
                if start.local_name().into_inner() == "identities" {
                    self.warn_at("identities", "identities", "the name of the draft of 2012 for identifiers");
                }
            }
            Element::PolicyPublished => {
                self.head.policies += 1;
                if self.head.policies == 2 {
                    self.warn(
                        "several-policies",
                        || "policy_published".into(),
                        || "sent more than once; the first counts".into(),
                    );
                }
            }
            Element::Dkim => self.record.dkim = DkimResult::default(),
            Element::Spf => self.record.spf = SpfResult::default(),
            _ => {}
        }
        let most = limits.results_per_record;
        if self.record.dkim_results.len() > most || self.record.spf_results.len() > most {
            return Err(Refusal::new(
                Code::TooManyResults,
                format!("{}: more than {most} results (limits.results_per_record)", self.place("auth_results")),
            ));
        }
        Ok(())
    }

    /// Text, a CDATA section or a reference; appended until the element ends.
    pub fn text(&mut self, text: &str, at: u64, limits: &Limits) -> Result<(), Refusal> {
        let Some(&element) = self.open.last() else {
            return Ok(());
        };
        if element.holds_text() {
            if self.text.len() + text.len() > limits.value_bytes {
                let most = limits.value_bytes;
                return Err(Refusal::new(
                    Code::FieldTooLong,
                    format!("byte {at}: a value is longer than {most} bytes (limits.value_bytes)"),
                ));
            }
            self.text.push_str(text);
        } else if self.extending() {
            self.extend(&[&escape(text)]);
        }
        Ok(())
    }

    /// The innermost element ends, with `rest` as the last piece of its text. A chunk, when one is full.
    #[inline]
    pub fn end(&mut self, rest: &str, at: u64, limits: &Limits) -> Result<Option<Chunk>, Refusal> {
        let Some(&element) = self.open.last() else {
            return Ok(None);
        };
        if element.holds_text() {
            if self.text.is_empty() && rest.len() <= limits.value_bytes {
                self.open.pop();
                self.leaf(element, rest);
            } else {
                self.text(rest, at, limits)?;
                self.open.pop();
                let text = std::mem::take(&mut self.text);
                self.leaf(element, &text);
                self.text = text;
                self.text.clear();
            }
            return self.reasons_bounded(element, limits).map(|()| None);
        }
        self.open.pop();
        if self.extension_at == Some(self.open.len()) {
            self.extension_at = None;
        }
        match element {
            Element::Dkim => self.dkim_ends(),
            Element::Spf => self.spf_ends(),
            Element::Record => {
                self.record_ends();
                if u64::from(self.builder.rows) > limits.records {
                    let most = limits.records;
                    return Err(Refusal::new(
                        Code::TooManyRecords,
                        format!("more than {most} records (limits.records)"),
                    ));
                }
                return Ok(self.builder.full());
            }
            _ => {}
        }
        Ok(None)
    }

    fn reasons_bounded(&self, element: Element, limits: &Limits) -> Result<(), Refusal> {
        let most = limits.results_per_record;
        if element == Element::Reason && self.rows.last().is_some_and(|row| row.reasons.len() > most) {
            return Err(Refusal::new(
                Code::TooManyResults,
                format!("{}: more than {most} reasons (limits.results_per_record)", self.place("row")),
            ));
        }
        Ok(())
    }

    fn clear_rows(&mut self) {
        if let Some(mut row) = self.rows.pop() {
            row.clear();
            self.spare = Some(row);
        }
        self.rows.clear();
    }

    fn row(&mut self) -> &mut Row {
        if self.rows.is_empty() {
            self.rows.push(Row::default());
        }
        let last = self.rows.len() - 1;
        &mut self.rows[last]
    }

    /// An element that holds text is over.
    #[inline]
    fn leaf(&mut self, element: Element, text: &str) {
        if self.recalled(element, text) {
            return;
        }
        let value = trim(text);
        // The white space between the elements of a reason is no value.
        if value.len() != text.len() && !(value.is_empty() && element == Element::Reason) {
            self.warn("white-space", || element.place().to_owned(), || "white space around a value, left out".into());
        }
        self.value(element, value);
    }

    /// Takes a value that was met before and found to be in order.
    fn recalled(&mut self, element: Element, text: &str) -> bool {
        let form = match element {
            Element::DkimDomain | Element::SpfDomain => Form::Domain,
            Element::DkimSelector => Form::Plain,
            Element::DkimOutcome => Form::DkimResult,
            Element::SpfOutcome => Form::SpfResult,
            Element::SpfScope => Form::Scope,
            _ => return false,
        };
        let Some(id) = self.builder.recall(text, form) else {
            return false;
        };
        let Draft { dkim, spf, .. } = &mut self.record;
        let field = match element {
            Element::DkimDomain => &mut dkim.domain,
            Element::DkimSelector => &mut dkim.selector,
            Element::DkimOutcome => {
                dkim.spelled = None;
                &mut dkim.result
            }
            Element::SpfDomain => &mut spf.domain,
            Element::SpfScope => &mut spf.scope,
            _ => {
                spf.spelled = None;
                &mut spf.result
            }
        };
        *field = Some(id);
        true
    }

    /// A value without the white space around it.
    fn value(&mut self, element: Element, text: &str) {
        let cleaned;
        let text = if text.bytes().any(|byte| byte < b' ' || byte == 0xef) && text.chars().any(illegal) {
            self.warn(
                "control-character",
                || element.place().to_owned(),
                || "characters that XML forbids became U+FFFD".into(),
            );
            cleaned = text.replace(illegal, "\u{fffd}");
            &cleaned
        } else {
            text
        };
        match element {
            Element::SourceIp | Element::Count | Element::Disposition | Element::AlignedDkim | Element::AlignedSpf => {
                self.row_value(element, text);
            }
            Element::Reason | Element::ReasonType | Element::ReasonComment => self.reason_value(element, text),
            Element::HeaderFrom | Element::EnvelopeFrom | Element::EnvelopeTo => self.identifier(element, text),
            Element::DkimDomain | Element::DkimSelector | Element::DkimOutcome | Element::DkimHumanResult => {
                self.dkim_value(element, text);
            }
            Element::SpfDomain | Element::SpfScope | Element::SpfOutcome | Element::SpfHumanResult => {
                self.spf_value(element, text);
            }
            _ => self.head_value(element, text),
        }
    }

    fn row_value(&mut self, element: Element, text: &str) {
        let row = self.row();
        let (field, name) = match element {
            Element::SourceIp => (&mut row.source_ip, "source_ip"),
            Element::Count => (&mut row.count, "count"),
            Element::Disposition => (&mut row.disposition, "disposition"),
            Element::AlignedDkim => (&mut row.dkim, "dkim"),
            _ => (&mut row.spf, "spf"),
        };
        if field.filled {
            row.repeated = Some(name);
        } else {
            field.set(text);
        }
    }

    fn reason_value(&mut self, element: Element, text: &str) {
        let lang = self.lang.take();
        match element {
            Element::ReasonType => {
                let word = values::reason(text);
                let kind = self.word(word, text, "reason/type", Form::Reason).0;
                self.row().reason.kind = kind;
            }
            Element::ReasonComment => {
                let comment = self.filled(text);
                let lang = lang.and_then(|lang| self.filled(&lang));
                let reason = &mut self.row().reason;
                reason.comment = comment;
                reason.lang = lang;
            }
            // The end of `reason` itself. rspamd 1.8 wrote the type as its text: <reason>sampled_out</reason>.
            _ => {
                if self.row().reason == Reason::default() && !text.is_empty() {
                    self.warn_at("reason-text", "reason", "the type stands as text, without an element");
                    let word = values::reason(text);
                    let kind = self.word(word, text, "reason", Form::Reason).0;
                    self.row().reason.kind = kind;
                }
                let row = self.row();
                let reason = std::mem::take(&mut row.reason);
                if reason == Reason::default() {
                    self.warn_at("empty-element", "reason", "without content; left out");
                } else {
                    self.row().reasons.push(reason);
                }
            }
        }
    }

    fn identifier(&mut self, element: Element, text: &str) {
        let (field, name) = match element {
            Element::HeaderFrom => (&mut self.record.header_from, "header_from"),
            Element::EnvelopeFrom => (&mut self.record.envelope_from, "envelope_from"),
            _ => (&mut self.record.envelope_to, "envelope_to"),
        };
        if !field.filled {
            field.set(text);
        } else if field.text != text {
            self.record.repeated = Some(name);
        }
    }

    fn dkim_value(&mut self, element: Element, text: &str) {
        match element {
            Element::DkimDomain => self.record.dkim.domain = self.domain(text, "auth_results/dkim/domain"),
            Element::DkimSelector => self.record.dkim.selector = self.filled(text),
            Element::DkimOutcome => {
                let word = values::dkim_result(text);
                let (result, spelled) = self.word(word, text, "auth_results/dkim/result", Form::DkimResult);
                (self.record.dkim.result, self.record.dkim.spelled) = (result, spelled);
            }
            _ => {
                self.record.dkim.human_result = self.filled(text);
                self.record.dkim.lang = self.lang.take().and_then(|lang| self.filled(&lang));
            }
        }
    }

    fn spf_value(&mut self, element: Element, text: &str) {
        match element {
            Element::SpfDomain => self.record.spf.domain = self.domain(text, "auth_results/spf/domain"),
            Element::SpfScope => {
                let word = values::scope(text);
                self.record.spf.scope = self.word(word, text, "auth_results/spf/scope", Form::Scope).0;
            }
            Element::SpfOutcome => {
                let word = values::spf_result(text);
                let (result, spelled) = self.word(word, text, "auth_results/spf/result", Form::SpfResult);
                (self.record.spf.result, self.record.spf.spelled) = (result, spelled);
            }
            _ => {
                self.record.spf.human_result = self.filled(text);
                self.record.spf.lang = self.lang.take().and_then(|lang| self.filled(&lang));
            }
        }
    }

    /// gosecure.net sends empty `<dkim/>` and `<spf/>` by the pair; they say nothing.
    fn dkim_ends(&mut self) {
        let result = std::mem::take(&mut self.record.dkim);
        if result == DkimResult::default() {
            self.warn_at("empty-element", "auth_results/dkim", "without content; left out");
        } else {
            self.record.dkim_results.push(result);
        }
    }

    fn spf_ends(&mut self) {
        let result = std::mem::take(&mut self.record.spf);
        if result == SpfResult::default() {
            self.warn_at("empty-element", "auth_results/spf", "without content; left out");
        } else {
            self.record.spf_results.push(result);
        }
    }

    pub(super) fn warn_at(&mut self, code: &'static str, element: &str, text: &str) {
        let row = self.builder.rows;
        Warning::note(&mut self.warnings, code, || format!("record[{row}]/{element}"), || text.to_owned());
    }

    /// The number of a text, `None` where it is empty.
    fn filled(&mut self, text: &str) -> Option<StringId> {
        (!text.is_empty()).then(|| self.builder.intern(text, Form::Plain))
    }

    fn domain(&mut self, text: &str, element: &str) -> Option<StringId> {
        let taken = values::domain(text);
        let mut form = Form::Domain;
        if let Some(code) = taken.odd {
            self.warn_at(code, element, cut(text));
            form = Form::Odd;
        }
        (!taken.value.is_empty()).then(|| self.builder.intern(&taken.value, form))
    }

    /// The numbers of a word as taken and, where that differs, as sent.
    fn word(
        &mut self,
        word: Word<'_>,
        text: &str,
        element: &str,
        mut form: Form,
    ) -> (Option<StringId>, Option<StringId>) {
        let row = self.builder.rows;
        if text.is_empty() {
            Warning::note(
                &mut self.warnings,
                "empty-element",
                || format!("record[{row}]/{element}"),
                || "without a value".into(),
            );
            return (None, None);
        }
        let mut spelled = None;
        if let Some(code) = word.odd {
            Warning::note(
                &mut self.warnings,
                code,
                || format!("record[{row}]/{element}"),
                || taken_as(text, &word.value),
            );
            form = Form::Odd;
            if word.value != text {
                spelled = self.filled(text);
            }
        }
        (Some(self.builder.intern(&word.value, form)), spelled)
    }

    /// The report is over. The machine is ready for another.
    pub fn finish(&mut self) -> (Chunk, Result<AggregateReport, Refusal>) {
        let head = std::mem::take(&mut self.head);
        let builder = std::mem::take(&mut self.builder);
        let mut warnings = self.document_warnings.clone();
        merge(&mut warnings, std::mem::take(&mut self.warnings));
        let (records, messages) = (std::mem::take(&mut self.records), std::mem::take(&mut self.messages));
        self.extension_bytes = 0;
        let seen = u64::from(builder.rows);
        let (last, content_hash) = builder.finish(&head.digest());
        let report = head.report(content_hash, &mut warnings).map(|mut report| {
            if seen == 0 {
                warnings.push(Warning::new("no-records", "feedback", "a report without records"));
            }
            report.warnings = warnings;
            AggregateReport { records_seen: seen, records, messages, ..report }
        });
        (last, report)
    }
}

/// The element that a name with a prefix means.
fn prefixed(parent: Element, start: &BytesStart<'_>) -> Element {
    if start.name().prefix().is_none() {
        return Element::Unknown;
    }
    match parent.child(start.local_name().into_inner()) {
        // RFC 9990 lets records carry elements of other namespaces.
        Element::Unknown if parent == Element::Record => Element::Extension,
        element => element,
    }
}

/// Characters that XML 1.0 forbids, NUL among them: SQLite's readers would cut the text there.
pub(super) fn illegal(character: char) -> bool {
    matches!(character, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

pub(super) fn taken_as(text: &str, value: &str) -> String {
    if text == value {
        format!("`{}` is no known word", cut(text))
    } else {
        format!("`{}` taken as `{value}`", cut(text))
    }
}

/// Without white space around it; mostly there is none.
fn trim(text: &str) -> &str {
    match text.as_bytes() {
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => text.trim(),
    }
}

/// The first 100 bytes or so of a text, for a message.
pub(super) fn cut(text: &str) -> &str {
    text::bounded(text, 100)
}
