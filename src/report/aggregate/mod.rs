//! Aggregate reports (RFC 7489 appendix C, RFC 9990): a streaming reader for every shape that is really sent.

mod chunk;
mod elements;
mod head;
mod lists;
mod machine;
mod plain;
mod record;
mod values;
mod xml;

pub use chunk::{
    AuthSet, Chunk, Disposition, DkimResult, Reason, Record, RejectedRecord, Spelling, SpfResult, StringId,
};
pub use lists::{Lists, Texts};
pub use xml::{Input, Read, Sink, read};

use crate::problem::Warning;

/// A text that may name its language (RFC 9990: `@lang`, default `en`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The text.
    pub text: String,
    /// `@lang`, where given.
    pub lang: Option<String>,
}

/// `policy_published`: the policy as the reporter found it. Words in the standard's spelling, or as sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyPublished {
    /// `domain`: the DMARC policy domain, lower-case A-label.
    pub domain: String,
    /// `p`.
    pub p: Option<String>,
    /// `sp`.
    pub sp: Option<String>,
    /// `np` (RFC 9990; Google sends it since 2024 without namespace).
    pub np: Option<String>,
    /// `adkim`: `r` or `s`.
    pub adkim: Option<String>,
    /// `aspf`.
    pub aspf: Option<String>,
    /// `pct` (RFC 7489).
    pub pct: Option<i64>,
    /// `fo`.
    pub fo: Option<String>,
    /// `testing` (RFC 9990): `y` or `n`.
    pub testing: Option<String>,
    /// `discovery_method` (RFC 9990): `psl` or `treewalk`.
    pub discovery_method: Option<String>,
}

/// An aggregate report without its records, which are handed out in [`Chunk`]s.
#[derive(Debug)]
pub struct AggregateReport {
    /// XML namespace of the root element. Kept, never branched on.
    pub namespace: Option<String>,
    /// `version`, as sent.
    pub version: Option<String>,
    /// `org_name`; where it is empty the domain of `email`, with a warning.
    pub org_name: Option<String>,
    /// `email`.
    pub email: Option<String>,
    /// `extra_contact_info`.
    pub extra_contact_info: Option<Text>,
    /// `report_id`, trimmed; where it is missing one derived from the content, with a warning.
    pub report_id: String,
    /// `date_range/begin`, seconds since the epoch.
    pub begin_at: i64,
    /// `date_range/end`.
    pub end_at: i64,
    /// `error`, each.
    pub errors: Vec<Text>,
    /// `generator` (RFC 9990).
    pub generator: Option<String>,
    /// `policy_published`; the first where several are sent.
    pub policy: PolicyPublished,
    /// `extension` elements of the report and of its records, as raw XML; together at most 64 KiB.
    pub extensions: Vec<String>,
    /// Rows met.
    pub records_seen: u64,
    /// Rows that are usable.
    pub records: u64,
    /// Sum of their counts.
    pub messages: u64,
    /// Digest of the content: equal for the same report in every container, encoding and layout.
    pub content_hash: [u8; 32],
    /// What was read around.
    pub warnings: Vec<Warning>,
}
