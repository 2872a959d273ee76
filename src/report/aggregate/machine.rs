//! The state machine: elements and texts in any order, one report at a time, to records and a report.

use std::net::IpAddr;

use quick_xml::events::BytesStart;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::chunk::{self, AuthSet, Builder, DkimResult, Reason, Record, RejectedRecord, SpfResult, StringId};
use super::elements::Element;
use super::values::{self, Word};
use super::xml::{merge, too_deep};
use super::{AggregateReport, Chunk, PolicyPublished, Text};
use crate::limits::Limits;
use crate::problem::{Code, Refusal, Warning};

/// Raw XML of all extensions of a report that is kept.
const EXTENSION_BYTES: usize = 64 << 10;

/// A domain name has no more bytes (RFC 1035, section 2.3.4).
const LONGEST_DOMAIN: usize = 253;

/// Reads one report after the other.
pub struct Machine {
    /// The open elements, the report's root first. Empty outside a report.
    open: Vec<Element>,
    /// Text of the open element that holds text.
    text: String,
    lang: Option<String>,
    head: Head,
    record: Draft,
    rows: Vec<Row>,
    /// The memory of an earlier row.
    spare: Option<Row>,
    builder: Builder,
    last: Last,
    records: u64,
    messages: u64,
    extension_bytes: usize,
    /// Depth of `open` at which the extension began that is being read.
    extension_at: Option<usize>,
    warnings: Vec<Warning>,
    document_warnings: Vec<Warning>,
}

/// What a report says of itself, as far as it was read.
#[derive(Default)]
struct Head {
    namespace: Option<String>,
    version: Option<String>,
    org_name: Option<String>,
    email: Option<String>,
    extra_contact_info: Option<Text>,
    report_id: Option<String>,
    begin: Option<String>,
    end: Option<String>,
    errors: Vec<Text>,
    generator: Option<String>,
    /// The first `policy_published` only.
    policies: usize,
    domain: Option<String>,
    policy: PolicyPublished,
    extensions: Vec<String>,
}

/// What belongs to all rows of the record being read.
#[derive(Default)]
struct Draft {
    header_from: Slot,
    envelope_from: Slot,
    envelope_to: Slot,
    auth: AuthSet,
    dkim: DkimResult,
    spf: SpfResult,
    repeated: Option<&'static str>,
    identified: bool,
}

/// A value that may be missing. Its memory serves for the next record.
#[derive(Default)]
struct Slot {
    text: String,
    filled: bool,
}

impl Slot {
    fn get(&self) -> Option<&str> {
        self.filled.then_some(self.text.as_str())
    }

    fn set(&mut self, text: &str) {
        self.text.push_str(text);
        self.filled = true;
    }

    fn clear(&mut self) {
        self.text.clear();
        self.filled = false;
    }
}

impl Draft {
    fn clear(&mut self) {
        [&mut self.header_from, &mut self.envelope_from, &mut self.envelope_to].into_iter().for_each(Slot::clear);
        self.auth.dkim.clear();
        self.auth.spf.clear();
        self.repeated = None;
        self.identified = false;
    }
}

/// One `row` being read.
#[derive(Default)]
struct Row {
    source_ip: Slot,
    count: Slot,
    disposition: Slot,
    dkim: Slot,
    spf: Slot,
    reasons: Vec<Reason>,
    reason: Reason,
    repeated: Option<&'static str>,
}

/// The number that each field had in the record before.
#[derive(Default)]
struct Last {
    header_from: Option<StringId>,
    envelope_from: Option<StringId>,
    envelope_to: Option<StringId>,
    dkim_domain: Option<StringId>,
    selector: Option<StringId>,
    dkim_result: Option<StringId>,
    spf_domain: Option<StringId>,
    scope: Option<StringId>,
    spf_result: Option<StringId>,
    human: Option<StringId>,
    reason: Option<StringId>,
    other: Option<StringId>,
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
            last: Last::default(),
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
            pieces.iter().for_each(|piece| extension.push_str(piece));
        }
    }

    pub fn start(&mut self, start: &BytesStart<'_>, at: u64, limits: &Limits) -> Result<(), Refusal> {
        if self.open.len() >= limits.xml_depth {
            return Err(too_deep(limits.xml_depth, at));
        }
        let Some(&parent) = self.open.last() else {
            self.head.namespace = namespace(start);
            self.open.push(Element::Feedback);
            return Ok(());
        };
        let name = start.local_name().into_inner();
        let mut element = parent.child(name);
        // RFC 9990 lets records carry elements of other namespaces.
        if element == Element::Unknown && parent == Element::Record && start.name().prefix().is_some() {
            element = Element::Extension;
        }
        if element == Element::Extension && self.extension_at.is_none() {
            self.head.extensions.push(String::new());
            self.extension_at = Some(self.open.len());
        }
        if self.extending() {
            self.extend(&["<", start, ">"]);
        } else if element == Element::Unknown && parent != Element::Unknown {
            self.warn(
                "unknown-element",
                || format!("byte {at}"),
                || format!("<{}> is not of the format; read over", cut(name)),
            );
        }
        self.open.push(element);
        self.begin(element, start, limits)
    }

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
        if self.record.auth.dkim.len() > most || self.record.auth.spf.len() > most {
            return Err(Refusal::new(
                Code::TooManyResults,
                format!("{}: more than {most} results (limits.results_per_record)", self.place("auth_results")),
            ));
        }
        Ok(())
    }

    /// Text, a CDATA section or a reference; appended until the element ends.
    pub fn text(&mut self, text: &str, at: u64, limits: &Limits) -> Result<(), Refusal> {
        let Some(&element) = self.open.last() else { return Ok(()) };
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

    /// The innermost element ends. A chunk, when one is full.
    pub fn end(&mut self, limits: &Limits) -> Result<Option<Chunk>, Refusal> {
        let Some(element) = self.open.pop() else { return Ok(None) };
        if self.extension_at == Some(self.open.len()) {
            self.extension_at = None;
        }
        if element.holds_text() {
            let text = std::mem::take(&mut self.text);
            let value = trim(&text);
            // White space around the children of `reason` is layout.
            if value.len() != text.len() && !value.is_empty() && element != Element::Reason {
                self.warn("white-space", || format!("{element:?}"), || "white space around a value, left out".into());
            }
            self.value(element, value);
            self.text = text;
            self.text.clear();
            return self.reasons_bounded(limits).map(|()| None);
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
                let full = self.builder.full();
                if full.is_some() {
                    self.last = Last::default();
                }
                return Ok(full);
            }
            _ => {}
        }
        Ok(None)
    }

    fn reasons_bounded(&self, limits: &Limits) -> Result<(), Refusal> {
        let most = limits.results_per_record;
        if self.rows.last().is_some_and(|row| row.reasons.len() > most) {
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
    fn value(&mut self, element: Element, text: &str) {
        let cleaned;
        let text = if text.bytes().any(|byte| byte < b' ' || byte == 0xef) && text.chars().any(illegal) {
            self.warn(
                "control-character",
                || format!("{element:?}"),
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
                let kind = self.word(word, text, "reason/type", |last| &mut last.reason).0;
                self.row().reason.kind = kind;
            }
            Element::ReasonComment => {
                let comment = self.filled(text, |last| &mut last.human);
                let lang = lang.and_then(|lang| self.filled(&lang, |last| &mut last.other));
                let reason = &mut self.row().reason;
                reason.comment = comment;
                reason.lang = lang;
            }
            // The end of `reason` itself. rspamd 1.8 wrote the type as its text: <reason>sampled_out</reason>.
            _ => {
                if self.row().reason == Reason::default() && !text.is_empty() {
                    self.warn_at("reason-text", "reason", "the type stands as text, without an element");
                    let word = values::reason(text);
                    let kind = self.word(word, text, "reason", |last| &mut last.reason).0;
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
            Element::DkimDomain => {
                self.record.dkim.domain = self.domain(text, "auth_results/dkim/domain", |last| &mut last.dkim_domain)
            }
            Element::DkimSelector => self.record.dkim.selector = self.filled(text, |last| &mut last.selector),
            Element::DkimOutcome => {
                let word = values::dkim_result(text);
                let (result, spelled) = self.word(word, text, "auth_results/dkim/result", |last| &mut last.dkim_result);
                (self.record.dkim.result, self.record.dkim.spelled) = (result, spelled);
            }
            _ => {
                self.record.dkim.human_result = self.filled(text, |last| &mut last.human);
                self.record.dkim.lang = self.lang.take().and_then(|lang| self.filled(&lang, |last| &mut last.other));
            }
        }
    }

    fn spf_value(&mut self, element: Element, text: &str) {
        match element {
            Element::SpfDomain => {
                self.record.spf.domain = self.domain(text, "auth_results/spf/domain", |last| &mut last.spf_domain)
            }
            Element::SpfScope => {
                let word = values::scope(text);
                self.record.spf.scope = self.word(word, text, "auth_results/spf/scope", |last| &mut last.scope).0;
            }
            Element::SpfOutcome => {
                let word = values::spf_result(text);
                let (result, spelled) = self.word(word, text, "auth_results/spf/result", |last| &mut last.spf_result);
                (self.record.spf.result, self.record.spf.spelled) = (result, spelled);
            }
            _ => {
                self.record.spf.human_result = self.filled(text, |last| &mut last.human);
                self.record.spf.lang = self.lang.take().and_then(|lang| self.filled(&lang, |last| &mut last.other));
            }
        }
    }

    /// gosecure.net sends empty `<dkim/>` and `<spf/>` by the pair; they say nothing.
    fn dkim_ends(&mut self) {
        let result = std::mem::take(&mut self.record.dkim);
        if result == DkimResult::default() {
            self.warn_at("empty-element", "auth_results/dkim", "without content; left out");
        } else {
            self.record.auth.dkim.push(result);
        }
    }

    fn spf_ends(&mut self) {
        let result = std::mem::take(&mut self.record.spf);
        if result == SpfResult::default() {
            self.warn_at("empty-element", "auth_results/spf", "without content; left out");
        } else {
            self.record.auth.spf.push(result);
        }
    }

    fn warn_at(&mut self, code: &'static str, element: &str, text: &str) {
        let row = self.builder.rows;
        Warning::note(&mut self.warnings, code, || format!("record[{row}]/{element}"), || text.to_owned());
    }

    /// The number of a text, `None` where it is empty.
    fn filled(&mut self, text: &str, field: impl FnOnce(&mut Last) -> &mut Option<StringId>) -> Option<StringId> {
        (!text.is_empty()).then(|| self.builder.intern(text, field(&mut self.last)))
    }

    fn domain(
        &mut self,
        text: &str,
        element: &str,
        field: impl FnOnce(&mut Last) -> &mut Option<StringId>,
    ) -> Option<StringId> {
        let taken = values::domain(text);
        if let Some(code) = taken.odd {
            let row = self.builder.rows;
            Warning::note(&mut self.warnings, code, || format!("record[{row}]/{element}"), || cut(text).to_owned());
        }
        self.filled(&taken.value, field)
    }

    /// The numbers of a word as taken and, where that differs, as sent.
    fn word(
        &mut self,
        word: Word<'_>,
        text: &str,
        element: &str,
        field: impl FnOnce(&mut Last) -> &mut Option<StringId>,
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
            if word.value != text {
                spelled = self.filled(text, |last| &mut last.other);
            }
        }
        (self.filled(&word.value, field), spelled)
    }

    fn head_value(&mut self, element: Element, text: &str) {
        if self.head.policies > 1 && self.open.last() == Some(&Element::PolicyPublished) {
            return;
        }
        if text.is_empty() {
            if element != Element::ExtraContactInfo {
                self.warn("empty-element", || format!("{element:?}"), || "without a value".into());
            }
            return;
        }
        let lang = self.lang.take();
        let Head { policy, .. } = &mut self.head;
        let field = match element {
            Element::Version => &mut self.head.version,
            Element::OrgName => &mut self.head.org_name,
            Element::Email => &mut self.head.email,
            Element::ReportId => &mut self.head.report_id,
            Element::Begin => &mut self.head.begin,
            Element::End => &mut self.head.end,
            Element::Generator => &mut self.head.generator,
            Element::PolicyDomain => &mut self.head.domain,
            Element::Adkim => &mut policy.adkim,
            Element::Aspf => &mut policy.aspf,
            Element::Fo => &mut policy.fo,
            Element::Testing => &mut policy.testing,
            Element::DiscoveryMethod => &mut policy.discovery_method,
            Element::P => return self.policy_word(text, "p"),
            Element::Sp => return self.policy_word(text, "sp"),
            Element::Np => return self.policy_word(text, "np"),
            Element::Pct => return self.pct(text),
            Element::ExtraContactInfo => {
                self.head.extra_contact_info = Some(Text { text: text.to_owned(), lang });
                return;
            }
            Element::Error => {
                if self.head.errors.len() < 100 {
                    self.head.errors.push(Text { text: text.to_owned(), lang });
                }
                return;
            }
            _ => return,
        };
        match field {
            Some(known) if known != text => {
                self.warn(
                    "repeated-element",
                    || format!("{element:?}"),
                    || format!("sent again as {}; the first counts", cut(text)),
                );
            }
            _ => *field = Some(text.to_owned()),
        }
    }

    /// Mail.Ru writes `nil` for a policy that is not there.
    fn policy_word(&mut self, text: &str, name: &'static str) {
        let word = values::policy(text);
        if let Some(code) = word.odd {
            self.warn(code, || format!("policy_published/{name}"), || taken_as(text, &word.value));
        }
        let value = (!text.eq_ignore_ascii_case("nil")).then(|| word.value.into_owned());
        let policy = &mut self.head.policy;
        *match name {
            "p" => &mut policy.p,
            "sp" => &mut policy.sp,
            _ => &mut policy.np,
        } = value;
    }

    fn pct(&mut self, text: &str) {
        match text.parse::<i64>() {
            Ok(pct) if (0..=100).contains(&pct) => self.head.policy.pct = Some(pct),
            _ => self.warn(
                "pct",
                || "policy_published/pct".into(),
                || format!("{} is no percentage; left out", cut(text)),
            ),
        }
    }

    /// A record is over: every row of it becomes a record of its own, for real records have one.
    fn record_ends(&mut self) {
        let draft = std::mem::take(&mut self.record);
        if !draft.identified {
            self.warn_at("missing-element", "identifiers", "not there");
        }
        if self.rows.is_empty() {
            self.rows.push(Row::default());
        }
        if self.rows.len() > 1 {
            self.warn_at("several-rows", "row", "more than one row in a record; each counts");
        }
        let rows = std::mem::take(&mut self.rows);
        for row in &rows {
            let ordinal = self.builder.rows;
            match self.usable(row, &draft) {
                Ok((ip, count)) => self.keep(ordinal, ip, count, row, &draft),
                Err((code, reason)) => {
                    self.warn_at("rejected-record", "row", &reason);
                    self.builder.reject(RejectedRecord { ordinal, code, reason, values: row.values(&draft) });
                }
            }
            self.builder.rows = ordinal.saturating_add(1);
        }
        self.rows = rows;
        self.record = draft;
    }

    /// The address and count of a row, or why it can not be used.
    fn usable(&mut self, row: &Row, draft: &Draft) -> Result<(IpAddr, u32), (&'static str, String)> {
        if let Some(name) = row.repeated.or(draft.repeated) {
            return Err(("duplicate-element", format!("{name} is there more than once")));
        }
        let (ip, count) = (&*row.source_ip.text, &*row.count.text);
        if ip.is_empty() && values::count(count).is_none_or(|count| count.value == 0) {
            return Err(("null-row", "no source address and no messages".into()));
        }
        let Some(ip) = values::source_ip(ip) else {
            return Err(("bad-ip", format!("source_ip `{}` is no address", cut(ip))));
        };
        let Some(count) = values::count(count) else {
            return Err(("bad-count", format!("count `{}` is no number of messages", cut(count))));
        };
        for (odd, name, text) in [(ip.odd, "row/source_ip", &row.source_ip), (count.odd, "row/count", &row.count)] {
            if let Some(code) = odd {
                let rows = self.builder.rows;
                Warning::note(
                    &mut self.warnings,
                    code,
                    || format!("record[{rows}]/{name}"),
                    || cut(&text.text).to_owned(),
                );
            }
        }
        Ok((ip.value, count.value))
    }

    fn keep(&mut self, ordinal: u32, source_ip: IpAddr, messages: u32, row: &Row, draft: &Draft) {
        let disposition = self.evaluated(ordinal, "disposition", row.disposition.get(), values::disposition);
        let dkim = self.evaluated(ordinal, "dkim", row.dkim.get(), values::aligned);
        let spf = self.evaluated(ordinal, "spf", row.spf.get(), values::aligned);
        let header_from = self.identity(ordinal, "header_from", draft.header_from.get(), |last| &mut last.header_from);
        let envelope_from =
            self.identity(ordinal, "envelope_from", draft.envelope_from.get(), |last| &mut last.envelope_from);
        let envelope_to = self.identity(ordinal, "envelope_to", draft.envelope_to.get(), |last| &mut last.envelope_to);
        let auth_set = self.builder.auth_set(&draft.auth);
        let reason_set = self.builder.reason_set(&row.reasons);
        self.builder.record(Record {
            ordinal,
            source_ip,
            messages,
            disposition,
            dkim,
            spf,
            header_from: header_from.filter(|_| draft.header_from.get() != Some("")),
            envelope_from,
            envelope_to: envelope_to.filter(|_| draft.envelope_to.get() != Some("")),
            auth_set,
            reason_set,
        });
        self.records += 1;
        self.messages = self.messages.saturating_add(u64::from(messages));
    }

    /// A word of `policy_evaluated`. Absent and empty are `None`, and so is a word that means nothing known.
    fn evaluated<T>(
        &mut self,
        ordinal: u32,
        field: &'static str,
        text: Option<&str>,
        take: impl FnOnce(&str) -> values::Taken<Option<T>>,
    ) -> Option<T> {
        let Some(text) = text else {
            self.warn_at("missing-element", &format!("policy_evaluated/{field}"), "not there; the result is unknown");
            return None;
        };
        if text.is_empty() {
            self.warn_at(
                "empty-element",
                &format!("policy_evaluated/{field}"),
                "without a value; the result is unknown",
            );
            return None;
        }
        let taken = take(text);
        if let Some(code) = taken.odd {
            Warning::note(
                &mut self.warnings,
                code,
                || format!("record[{ordinal}]/policy_evaluated/{field}"),
                || cut(text).to_owned(),
            );
            self.builder.spelling(ordinal, field, text);
        }
        taken.value
    }

    fn identity(
        &mut self,
        ordinal: u32,
        field: &'static str,
        text: Option<&str>,
        last: impl FnOnce(&mut Last) -> &mut Option<StringId>,
    ) -> Option<StringId> {
        let text = text?;
        let taken = values::domain(text);
        if let Some(code) = taken.odd {
            Warning::note(
                &mut self.warnings,
                code,
                || format!("record[{ordinal}]/identifiers/{field}"),
                || cut(text).to_owned(),
            );
            self.builder.spelling(ordinal, field, text);
        }
        Some(self.builder.intern(&taken.value, last(&mut self.last)))
    }

    /// The report is over. The machine is ready for another.
    pub fn finish(&mut self) -> (Chunk, Result<AggregateReport, Refusal>) {
        let head = std::mem::take(&mut self.head);
        let builder = std::mem::take(&mut self.builder);
        let mut warnings = self.document_warnings.clone();
        merge(&mut warnings, std::mem::take(&mut self.warnings));
        let (records, messages) = (std::mem::take(&mut self.records), std::mem::take(&mut self.messages));
        self.extension_bytes = 0;
        self.last = Last::default();
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

impl Head {
    /// The content of the head, for the report's digest.
    fn digest(&self) -> Vec<u8> {
        let PolicyPublished { p, sp, np, adkim, aspf, pct, fo, testing, discovery_method, .. } = &self.policy;
        let mut bytes = Vec::new();
        let texts = [
            &self.org_name,
            &self.email,
            &self.report_id,
            &self.begin,
            &self.end,
            &self.generator,
            &self.domain,
            p,
            sp,
            np,
            adkim,
            aspf,
            fo,
            testing,
            discovery_method,
        ];
        for text in texts {
            bytes.push(u8::from(text.is_some()));
            chunk::put_text(&mut bytes, text.as_deref().unwrap_or(""));
        }
        bytes.extend(pct.unwrap_or(-1).to_le_bytes());
        for text in self.errors.iter().chain(&self.extra_contact_info) {
            chunk::put_text(&mut bytes, &text.text);
        }
        for extension in &self.extensions {
            chunk::put_text(&mut bytes, extension);
        }
        bytes
    }

    /// The report, if it says what it must: whose policy, and when.
    fn report(self, content_hash: [u8; 32], warnings: &mut Vec<Warning>) -> Result<AggregateReport, Refusal> {
        let domain = self.domain.as_deref().unwrap_or("");
        let taken = values::domain(domain);
        if taken.value.is_empty() {
            return Err(Refusal::new(
                Code::NoPolicyDomain,
                "policy_published/domain is missing or empty: whose policy was it?",
            ));
        }
        if taken.value.len() > LONGEST_DOMAIN {
            let length = taken.value.len();
            return Err(Refusal::new(
                Code::FieldTooLong,
                format!("policy_published/domain has {length} bytes, a domain name {LONGEST_DOMAIN} at most"),
            ));
        }
        if let Some(code) = taken.odd {
            Warning::note(warnings, code, || "policy_published/domain".into(), || cut(domain).to_owned());
        }
        let (begin_at, end_at) = period(self.begin.as_deref(), self.end.as_deref(), warnings)?;
        let policy = PolicyPublished { domain: taken.value.into_owned(), ..self.policy };
        let org_name = self.org_name.or_else(|| {
            let host = self.email.as_deref()?.rsplit_once('@')?.1.trim_matches(['>', ' ']);
            warnings.push(Warning::new(
                "org-name-missing",
                "report_metadata/org_name",
                format!("taken from email: {}", cut(host)),
            ));
            Some(host.to_ascii_lowercase())
        });
        let report_id = self.report_id.unwrap_or_else(|| {
            warnings.push(Warning::new("report-id-missing", "report_metadata/report_id", "derived from the content"));
            let digest = Sha256::digest(content_hash);
            digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
        });
        if self.email.is_none() {
            warnings.push(Warning::new("email-missing", "report_metadata/email", "not there"));
        }
        Ok(AggregateReport {
            namespace: self.namespace,
            version: self.version,
            org_name,
            email: self.email,
            extra_contact_info: self.extra_contact_info,
            report_id,
            begin_at,
            end_at,
            errors: self.errors,
            generator: self.generator,
            policy,
            extensions: self.extensions,
            records_seen: 0,
            records: 0,
            messages: 0,
            content_hash,
            warnings: Vec::new(),
        })
    }
}

/// RFC 7489 and RFC 9990 ask for a day; more than two is worth a word.
const LONG_PERIOD: i64 = 2 * 86_400;

fn period(begin: Option<&str>, end: Option<&str>, warnings: &mut Vec<Warning>) -> Result<(i64, i64), Refusal> {
    let mut time = |text: Option<&str>, name: &str| {
        let text = text.unwrap_or("");
        let taken = values::time(text).ok_or_else(|| {
            Refusal::new(Code::NoPeriod, format!("date_range/{name} `{}` is no time: when was it?", cut(text)))
        })?;
        if let Some(code) = taken.odd {
            Warning::note(warnings, code, || format!("date_range/{name}"), || cut(text).to_owned());
        }
        Ok(taken.value)
    };
    let (begin, end) = (time(begin, "begin")?, time(end, "end")?);
    if begin > end {
        warnings.push(Warning::new(
            "period-swapped",
            "date_range",
            format!("begin {begin} is after end {end}; taken the other way round"),
        ));
        return Ok((end, begin));
    }
    if end - begin > LONG_PERIOD {
        let hours = (end - begin) / 3600;
        warnings.push(Warning::new("period-long", "date_range", format!("{hours} hours")));
    }
    Ok((begin, end))
}

impl Row {
    fn clear(&mut self) {
        let Row { source_ip, count, disposition, dkim, spf, reasons, reason, repeated } = self;
        [source_ip, count, disposition, dkim, spf].into_iter().for_each(Slot::clear);
        reasons.clear();
        *reason = Reason::default();
        *repeated = None;
    }

    /// What was met, for the record of the rejected.
    fn values(&self, draft: &Draft) -> Vec<(&'static str, String)> {
        let fields = [
            ("source_ip", &self.source_ip),
            ("count", &self.count),
            ("disposition", &self.disposition),
            ("dkim", &self.dkim),
            ("spf", &self.spf),
            ("header_from", &draft.header_from),
            ("envelope_from", &draft.envelope_from),
            ("envelope_to", &draft.envelope_to),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name, cut(value.get()?).to_owned()))).collect()
    }
}

impl RejectedRecord {
    /// The values met as one JSON object.
    pub fn content(&self) -> String {
        let map: Map<String, Value> =
            self.values.iter().map(|(name, value)| ((*name).into(), value.as_str().into())).collect();
        Value::Object(map).to_string()
    }
}

/// The namespace that a root element declares, by default or for its own prefix.
fn namespace(start: &BytesStart<'_>) -> Option<String> {
    if start.attributes_raw().is_empty() {
        return None;
    }
    let wanted = match start.name().prefix() {
        Some(prefix) => format!("xmlns:{}", prefix.into_inner()),
        None => "xmlns".to_owned(),
    };
    attribute(start, &wanted)
}

fn lang(start: &BytesStart<'_>) -> Option<String> {
    attribute(start, "lang").or_else(|| attribute(start, "xml:lang"))
}

/// An attribute's value as written. No more than a few attributes are looked at: real reports have three at most.
fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    let mut attributes = start.attributes();
    attributes.with_checks(false);
    let found = attributes.take(16).filter_map(Result::ok).find(|attribute| attribute.key.into_inner() == name)?;
    Some(found.value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// Characters that XML 1.0 forbids, NUL among them: SQLite's readers would cut the text there.
fn illegal(character: char) -> bool {
    matches!(character, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn taken_as(text: &str, value: &str) -> String {
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
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(100)).unwrap_or("")
}
