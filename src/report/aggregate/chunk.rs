//! Records in a compact form: every text and every combination of results once, records as numbers.
//!
//! A report of any length is read in chunks, so that memory does not follow it.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// A text of a [`Chunk`]. `Option<StringId>` is as small as this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StringId(NonZeroU32);

impl StringId {
    /// Its place in [`Chunk::strings`].
    pub fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// What the receiver did (`policy_evaluated/disposition`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Disposition {
    /// No action.
    None = 0,
    /// Treated as suspicious.
    Quarantine = 1,
    /// Refused.
    Reject = 2,
    /// No action, because DMARC passed under an enforcing policy (RFC 9990).
    Pass = 3,
}

/// One `row` of a `record` with what belongs to it (RFC 9990, section 3.1.1.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Position among the rows of the report, from 0, rejected ones included.
    pub ordinal: u32,
    /// `row/source_ip`; IPv4-mapped addresses as IPv4.
    pub source_ip: IpAddr,
    /// `row/count`.
    pub messages: u32,
    /// `None`: absent, or a word that means nothing known; then a [`Spelling`] has it.
    pub disposition: Option<Disposition>,
    /// Aligned DKIM result: `Some(true)` pass, `None` absent or unknown.
    pub dkim: Option<bool>,
    /// Aligned SPF result.
    pub spf: Option<bool>,
    /// `identifiers/header_from`, lower-case A-label.
    pub header_from: Option<StringId>,
    /// `identifiers/envelope_from`; the empty text is the null reverse-path.
    pub envelope_from: Option<StringId>,
    /// `identifiers/envelope_to`.
    pub envelope_to: Option<StringId>,
    /// Index into [`Chunk::auth_sets`].
    pub auth_set: u32,
    /// Index into [`Chunk::reason_sets`]; `None`: no reason given.
    pub reason_set: Option<u32>,
}

/// All of `auth_results` of one record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AuthSet {
    /// In the order sent.
    pub dkim: Vec<DkimResult>,
    /// In the order sent.
    pub spf: Vec<SpfResult>,
}

/// `auth_results/dkim`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DkimResult {
    /// `d=`, lower-case A-label.
    pub domain: Option<StringId>,
    /// `s=`.
    pub selector: Option<StringId>,
    /// The standard's word, or another as sent.
    pub result: Option<StringId>,
    /// As sent, where `result` says it otherwise.
    pub spelled: Option<StringId>,
    /// `human_result`.
    pub human_result: Option<StringId>,
    /// `human_result/@lang`.
    pub lang: Option<StringId>,
}

/// `auth_results/spf`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SpfResult {
    /// The domain checked, lower-case A-label.
    pub domain: Option<StringId>,
    /// `mfrom`, `helo`, or another as sent.
    pub scope: Option<StringId>,
    /// The standard's word, or another as sent.
    pub result: Option<StringId>,
    /// As sent, where `result` says it otherwise.
    pub spelled: Option<StringId>,
    /// `human_result`.
    pub human_result: Option<StringId>,
    /// `human_result/@lang`.
    pub lang: Option<StringId>,
}

/// `policy_evaluated/reason`: why the policy was not applied as published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reason {
    /// `type`, lower case.
    pub kind: Option<StringId>,
    /// `comment`.
    pub comment: Option<StringId>,
    /// `comment/@lang`.
    pub lang: Option<StringId>,
}

/// A word of a record that was sent otherwise than it was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spelling {
    /// [`Record::ordinal`].
    pub ordinal: u32,
    /// Column of `record`: `disposition`, `dkim`, `header_from`, ….
    pub field: &'static str,
    /// As sent.
    pub spelled: String,
}

/// A row that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRecord {
    /// Position among the rows of the report.
    pub ordinal: u32,
    /// A stable word: `bad-ip`, `bad-count`, `null-row`, `duplicate-element`.
    pub code: &'static str,
    /// For people.
    pub reason: String,
    /// The values met: element name and text.
    pub values: Vec<(&'static str, String)>,
}

/// Up to [`Chunk::RECORDS`] records with the texts they share.
#[derive(Debug, Default)]
pub struct Chunk {
    /// Every text, once, in the order first met.
    pub strings: Vec<Arc<str>>,
    /// Every combination of authentication results.
    pub auth_sets: Vec<AuthSet>,
    /// Every combination of override reasons.
    pub reason_sets: Vec<Vec<Reason>>,
    /// The usable rows in order.
    pub records: Vec<Record>,
    /// Odd spellings in them.
    pub spellings: Vec<Spelling>,
    /// The unusable rows in order.
    pub rejected: Vec<RejectedRecord>,
}

impl Chunk {
    /// Records of a full chunk.
    pub const RECORDS: usize = 8192;
    /// Bytes of texts at which a chunk is closed before it is full.
    pub const TEXT_BYTES: usize = 1 << 20;

    /// The text of `id`.
    pub fn text(&self, id: StringId) -> &str {
        self.strings.get(id.index()).map_or("", |text| text)
    }

    /// The text of `id`, where there is one.
    pub fn text_of(&self, id: Option<StringId>) -> Option<&str> {
        id.map(|id| self.text(id))
    }

    /// Adds the content to a digest. Texts and combinations are numbered in the order met, so that equal content has
    /// equal numbers; spellings and warnings are form, not content, and stay out.
    fn digest(&self, hash: &mut Sha256) {
        let mut bytes = Vec::with_capacity(self.records.len() * 48 + 4096);
        let id = |bytes: &mut Vec<u8>, id: Option<StringId>| bytes.extend(id.map_or(0, |id| id.0.get()).to_le_bytes());
        for text in &self.strings {
            put_text(&mut bytes, text);
        }
        for set in &self.auth_sets {
            bytes.extend([set.dkim.len(), set.spf.len()].into_iter().flat_map(usize::to_le_bytes));
            for DkimResult { domain, selector, result, human_result, lang, .. } in &set.dkim {
                [*domain, *selector, *result, *human_result, *lang].into_iter().for_each(|text| id(&mut bytes, text));
            }
            for SpfResult { domain, scope, result, human_result, lang, .. } in &set.spf {
                [*domain, *scope, *result, *human_result, *lang].into_iter().for_each(|text| id(&mut bytes, text));
            }
        }
        for set in &self.reason_sets {
            bytes.extend(set.len().to_le_bytes());
            for Reason { kind, comment, lang } in set {
                [*kind, *comment, *lang].into_iter().for_each(|text| id(&mut bytes, text));
            }
        }
        for record in &self.records {
            bytes.extend(record.ordinal.to_le_bytes());
            match record.source_ip {
                IpAddr::V4(ip) => bytes.extend(ip.octets()),
                IpAddr::V6(ip) => bytes.extend(ip.octets()),
            }
            bytes.extend(record.messages.to_le_bytes());
            bytes.push(record.disposition.map_or(9, |disposition| disposition as u8));
            bytes.extend([record.dkim, record.spf].map(|result| result.map_or(9, u8::from)));
            [record.header_from, record.envelope_from, record.envelope_to]
                .into_iter()
                .for_each(|text| id(&mut bytes, text));
            bytes.extend(record.auth_set.to_le_bytes());
            bytes.extend(record.reason_set.map_or(u32::MAX, |set| set).to_le_bytes());
        }
        for rejected in &self.rejected {
            bytes.extend(rejected.ordinal.to_le_bytes());
            for (name, value) in &rejected.values {
                put_text(&mut bytes, name);
                put_text(&mut bytes, value);
            }
        }
        hash.update(&bytes);
    }
}

/// A text with its length before it, so that no two lists of texts have the same bytes.
pub(super) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

/// Fills chunks.
#[derive(Debug, Default)]
pub(super) struct Builder {
    chunk: Chunk,
    strings: HashMap<Arc<str>, StringId>,
    auth_sets: HashMap<AuthSet, u32>,
    reason_sets: HashMap<Vec<Reason>, u32>,
    text_bytes: usize,
    /// Neighbours often have the same results.
    last_set: u32,
    hash: Sha256,
    /// Rows so far in this report, rejected ones included.
    pub rows: u32,
}

impl Builder {
    /// The number of `text`, which is stored if it is new. `last` remembers the number that the same field had before:
    /// neighbours mostly agree.
    pub fn intern(&mut self, text: &str, last: &mut Option<StringId>) -> StringId {
        if let Some(id) = *last
            && self.chunk.strings.get(id.index()).is_some_and(|known| **known == *text)
        {
            return id;
        }
        let id = self.strings.get(text).copied().unwrap_or_else(|| self.add(text));
        *last = Some(id);
        id
    }

    fn add(&mut self, text: &str) -> StringId {
        let shared: Arc<str> = text.into();
        self.chunk.strings.push(shared.clone());
        self.text_bytes += text.len();
        let number = u32::try_from(self.chunk.strings.len()).unwrap_or(u32::MAX);
        let id = StringId(NonZeroU32::new(number).unwrap_or(NonZeroU32::MAX));
        self.strings.insert(shared, id);
        id
    }

    /// The number of a combination of results.
    pub fn auth_set(&mut self, set: &AuthSet) -> u32 {
        if self.chunk.auth_sets.get(self.last_set as usize).is_some_and(|last| last == set) {
            return self.last_set;
        }
        self.last_set = number(&mut self.auth_sets, &mut self.chunk.auth_sets, set);
        self.last_set
    }

    /// The number of a combination of reasons; `None` for none at all.
    pub fn reason_set(&mut self, set: &Vec<Reason>) -> Option<u32> {
        (!set.is_empty()).then(|| number(&mut self.reason_sets, &mut self.chunk.reason_sets, set))
    }

    pub fn record(&mut self, record: Record) {
        self.chunk.records.push(record);
    }

    pub fn spelling(&mut self, ordinal: u32, field: &'static str, spelled: &str) {
        self.text_bytes += spelled.len();
        self.chunk.spellings.push(Spelling { ordinal, field, spelled: spelled.to_owned() });
    }

    pub fn reject(&mut self, rejected: RejectedRecord) {
        self.text_bytes += rejected.values.iter().map(|(_, value)| value.len()).sum::<usize>();
        self.chunk.rejected.push(rejected);
    }

    /// The chunk, if it is full. Numbers given out before are void then. Chunks end at the same records whenever the
    /// same report is read.
    pub fn full(&mut self) -> Option<Chunk> {
        let rows = self.chunk.records.len() + self.chunk.rejected.len();
        (rows >= Chunk::RECORDS || self.text_bytes >= Chunk::TEXT_BYTES).then(|| self.close())
    }

    fn close(&mut self) -> Chunk {
        self.strings.clear();
        self.auth_sets.clear();
        self.reason_sets.clear();
        self.text_bytes = 0;
        let chunk = std::mem::take(&mut self.chunk);
        chunk.digest(&mut self.hash);
        chunk
    }

    /// The last chunk (perhaps empty) and the digest over all of them and `head`.
    pub fn finish(mut self, head: &[u8]) -> (Chunk, [u8; 32]) {
        let last = self.close();
        self.hash.update(head);
        (last, self.hash.finalize().into())
    }
}

fn number<T: Clone + Eq + Hash>(numbers: &mut HashMap<T, u32>, sets: &mut Vec<T>, set: &T) -> u32 {
    if let Some(&number) = numbers.get(set) {
        return number;
    }
    let number = u32::try_from(sets.len()).unwrap_or(u32::MAX);
    sets.push(set.clone());
    numbers.insert(set.clone(), number);
    number
}
