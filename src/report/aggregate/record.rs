//! A record and its rows, from the values met to what is kept or rejected.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::chunk::{DkimResult, Form, Reason, Record, RejectedRecord, SpfResult, StringId};
use super::machine::{Machine, cut};
use super::values;
use crate::problem::Warning;

/// What belongs to all rows of the record being read.
#[derive(Default)]
pub(super) struct Draft {
    pub header_from: Slot,
    pub envelope_from: Slot,
    pub envelope_to: Slot,
    pub dkim_results: Vec<DkimResult>,
    pub spf_results: Vec<SpfResult>,
    /// The ones being read.
    pub dkim: DkimResult,
    pub spf: SpfResult,
    pub repeated: Option<&'static str>,
    pub identified: bool,
}

/// A value that may be missing. Its memory serves for the next record.
#[derive(Default)]
pub(super) struct Slot {
    pub text: String,
    pub filled: bool,
}

impl Slot {
    pub fn get(&self) -> Option<&str> {
        self.filled.then_some(self.text.as_str())
    }

    pub fn set(&mut self, text: &str) {
        self.text.push_str(text);
        self.filled = true;
    }

    pub fn clear(&mut self) {
        self.text.clear();
        self.filled = false;
    }
}

impl Draft {
    pub fn clear(&mut self) {
        [&mut self.header_from, &mut self.envelope_from, &mut self.envelope_to].into_iter().for_each(Slot::clear);
        self.dkim_results.clear();
        self.spf_results.clear();
        self.repeated = None;
        self.identified = false;
    }
}

/// One `row` being read.
#[derive(Default)]
pub(super) struct Row {
    pub source_ip: Slot,
    pub count: Slot,
    pub disposition: Slot,
    pub dkim: Slot,
    pub spf: Slot,
    pub reasons: Vec<Reason>,
    pub reason: Reason,
    pub repeated: Option<&'static str>,
}

impl Machine {
    /// A record is over: every row of it becomes a record of its own, for real records have one.
    pub(super) fn record_ends(&mut self) {
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
        let header_from = self.identity(ordinal, "header_from", draft.header_from.get());
        let envelope_from = self.identity(ordinal, "envelope_from", draft.envelope_from.get());
        let envelope_to = self.identity(ordinal, "envelope_to", draft.envelope_to.get());
        let auth_set = self.builder.auth_set(&draft.dkim_results, &draft.spf_results);
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

    fn identity(&mut self, ordinal: u32, field: &'static str, text: Option<&str>) -> Option<StringId> {
        let text = text?;
        if let Some(id) = self.builder.recall(text, Form::Domain) {
            return Some(id);
        }
        let taken = values::domain(text);
        let mut form = Form::Domain;
        if let Some(code) = taken.odd {
            Warning::note(
                &mut self.warnings,
                code,
                || format!("record[{ordinal}]/identifiers/{field}"),
                || cut(text).to_owned(),
            );
            self.builder.spelling(ordinal, field, text);
            form = Form::Odd;
        }
        Some(self.builder.intern(&taken.value, form))
    }
}

impl Row {
    pub fn clear(&mut self) {
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
