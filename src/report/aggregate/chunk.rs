//! Records in a compact form: every text and every combination of results once, records as numbers.
//!
//! A report of any length is read in chunks, so that memory does not follow it.

use std::net::IpAddr;
use std::num::NonZeroU32;

use sha2::{Digest, Sha256};

use super::lists::{Lists, Met, Texts};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AuthSet {
    /// Index into [`Chunk::dkim_sets`].
    pub dkim: u32,
    /// Index into [`Chunk::spf_sets`].
    pub spf: u32,
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
    pub strings: Texts,
    /// Every combination of DKIM results, in the order sent.
    pub dkim_sets: Lists<DkimResult>,
    /// Every combination of SPF results, in the order sent.
    pub spf_sets: Lists<SpfResult>,
    /// Every combination of the two.
    pub auth_sets: Vec<AuthSet>,
    /// Every combination of override reasons.
    pub reason_sets: Lists<Reason>,
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
        self.strings.get(id.index()).unwrap_or_default()
    }

    /// The text of `id`, where there is one.
    pub fn text_of(&self, id: Option<StringId>) -> Option<&str> {
        id.map(|id| self.text(id))
    }

    /// About how much memory it takes.
    pub fn bytes(&self) -> usize {
        let spellings = self.spellings.iter().map(|spelling| size_of_val(spelling) + spelling.spelled.len());
        let rejected = self.rejected.iter().map(|rejected| {
            let values = rejected.values.iter().map(|value| size_of_val(value) + value.1.len());
            size_of_val(rejected) + rejected.reason.len() + values.sum::<usize>()
        });
        let sets = self.dkim_sets.bytes() + self.spf_sets.bytes() + self.reason_sets.bytes();
        let sets = sets + size_of_val(self.auth_sets.as_slice());
        let odd = spellings.chain(rejected).sum::<usize>();
        size_of_val(self.records.as_slice()) + self.strings.bytes() + sets + odd
    }

    /// Adds the content to a digest: every record in order, each text and combination in full where it is met first and
    /// by its number after that. So the order of elements within a record makes no difference, nor do spellings and
    /// warnings, which are form.
    fn digest(&self, hash: &mut Sha256) {
        let mut bytes = Numbered {
            chunk: self,
            bytes: Vec::with_capacity(self.records.len() * 48 + 4096),
            met: vec![0; self.strings.len()],
            count: 0,
            auth_sets: vec![false; self.auth_sets.len()],
            reason_sets: vec![false; self.reason_sets.len()],
        };
        self.records.iter().for_each(|record| bytes.record(record));
        let mut bytes = bytes.bytes;
        for rejected in &self.rejected {
            bytes.extend(rejected.ordinal.to_le_bytes());
            bytes.extend((rejected.values.len() as u64).to_le_bytes());
            for (name, value) in &rejected.values {
                put_text(&mut bytes, name);
                put_text(&mut bytes, value);
            }
        }
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(&bytes);
    }
}

/// The content of a chunk as bytes.
struct Numbered<'a> {
    chunk: &'a Chunk,
    bytes: Vec<u8>,
    /// For each text its number in the order met here, from 1.
    met: Vec<u32>,
    count: u32,
    auth_sets: Vec<bool>,
    reason_sets: Vec<bool>,
}

impl Numbered<'_> {
    fn record(&mut self, record: &Record) {
        self.bytes.extend(record.ordinal.to_le_bytes());
        match record.source_ip {
            IpAddr::V4(ip) => self.bytes.extend(ip.to_ipv6_mapped().octets()),
            IpAddr::V6(ip) => self.bytes.extend(ip.octets()),
        }
        self.bytes.extend(record.messages.to_le_bytes());
        self.bytes.push(record.disposition.map_or(9, |disposition| disposition as u8));
        self.bytes.extend([record.dkim, record.spf].map(|result| result.map_or(9, u8::from)));
        [record.header_from, record.envelope_from, record.envelope_to].into_iter().for_each(|text| self.text(text));
        self.auth_set(record.auth_set);
        self.reason_set(record.reason_set);
    }

    fn text(&mut self, id: Option<StringId>) {
        let Some(id) = id else { return self.number(0) };
        let Some(met) = self.met.get_mut(id.index()) else {
            return;
        };
        if *met != 0 {
            let number = *met;
            return self.number(number);
        }
        self.count += 1;
        *met = self.count;
        let number = self.count;
        self.number(number);
        put_text(&mut self.bytes, self.chunk.text(id));
    }

    fn number(&mut self, number: u32) {
        self.bytes.extend(number.to_le_bytes());
    }

    fn auth_set(&mut self, number: u32) {
        self.number(number);
        let chunk = self.chunk;
        let Some(set) = chunk.auth_sets.get(number as usize) else {
            return;
        };
        if self.auth_sets.get_mut(number as usize).is_none_or(|met| std::mem::replace(met, true)) {
            return;
        }
        let dkim = chunk.dkim_sets.get(set.dkim).unwrap_or_default();
        self.number(dkim.len() as u32);
        for DkimResult { domain, selector, result, human_result, lang, spelled: _ } in dkim {
            [*domain, *selector, *result, *human_result, *lang].into_iter().for_each(|text| self.text(text));
        }
        let spf = chunk.spf_sets.get(set.spf).unwrap_or_default();
        self.number(spf.len() as u32);
        for SpfResult { domain, scope, result, human_result, lang, spelled: _ } in spf {
            [*domain, *scope, *result, *human_result, *lang].into_iter().for_each(|text| self.text(text));
        }
    }

    fn reason_set(&mut self, number: Option<u32>) {
        self.number(number.unwrap_or(u32::MAX));
        let (Some(number), chunk) = (number, self.chunk) else {
            return;
        };
        let Some(set) = chunk.reason_sets.get(number) else {
            return;
        };
        if self.reason_sets.get_mut(number as usize).is_none_or(|met| std::mem::replace(met, true)) {
            return;
        }
        self.number(set.len() as u32);
        for Reason { kind, comment, lang } in set {
            [*kind, *comment, *lang].into_iter().for_each(|text| self.text(text));
        }
    }
}

/// A text with its length before it, so that no two lists of texts have the same bytes.
pub(super) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

/// A form that texts are brought into. A text that is in it already can be taken as it is when it is met again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Form {
    /// None: something had to be said about the text.
    Odd = 0,
    /// Without white space around it and control characters in it.
    Plain = 1,
    /// A domain in its canonical form.
    Domain = 2,
    /// A word for a DKIM result.
    DkimResult = 4,
    /// A word for an SPF result.
    SpfResult = 8,
    /// A word for an SPF scope.
    Scope = 16,
    /// A word for a reason.
    Reason = 32,
}

/// Places for what was met not long ago.
const RECENT: usize = 256;

/// Fills chunks.
#[derive(Debug)]
pub(super) struct Builder {
    chunk: Chunk,
    strings: Met,
    dkim_sets: Met,
    spf_sets: Met,
    auth_sets: Met,
    reason_sets: Met,
    /// For each text the [`Form`]s it is known to be in.
    forms: Vec<u8>,
    /// Texts and combinations met not long ago, by a few bits of them: neighbours mostly agree, and looking into a map is
    /// slow, because strangers must not be able to make its keys collide.
    recent_strings: [Option<StringId>; RECENT],
    recent_sets: [u32; RECENT],
    text_bytes: usize,
    hash: Sha256,
    /// Rows so far in this report, rejected ones included.
    pub rows: u32,
}

impl Default for Builder {
    fn default() -> Self {
        Builder {
            chunk: Chunk::default(),
            strings: Met::default(),
            dkim_sets: Met::default(),
            spf_sets: Met::default(),
            auth_sets: Met::default(),
            reason_sets: Met::default(),
            forms: Vec::new(),
            recent_strings: [None; RECENT],
            recent_sets: [0; RECENT],
            text_bytes: 0,
            hash: Sha256::default(),
            rows: 0,
        }
    }
}

impl Builder {
    /// The number of `text`, if it was met not long ago and is known to be in this form.
    pub fn recall(&self, text: &str, form: Form) -> Option<StringId> {
        let id = self.recent_strings[place_of(text)]?;
        let known = self.chunk.strings.get(id.index()) == Some(text);
        (known && self.forms.get(id.index())? & form as u8 != 0).then_some(id)
    }

    /// The number of `text`, which is stored if it is new. It is in this form.
    pub fn intern(&mut self, text: &str, form: Form) -> StringId {
        let place = place_of(text);
        let recent = self.recent_strings[place];
        let id = match recent.filter(|id| self.chunk.strings.get(id.index()) == Some(text)) {
            Some(id) => id,
            None => self.find_or_add(text),
        };
        self.recent_strings[place] = Some(id);
        if let Some(forms) = self.forms.get_mut(id.index()) {
            *forms |= form as u8;
        }
        id
    }

    fn find_or_add(&mut self, text: &str) -> StringId {
        let number = self.strings.number(&mut self.chunk.strings, text);
        if self.forms.len() < self.chunk.strings.len() {
            self.forms.push(0);
            self.text_bytes += text.len();
        }
        StringId(NonZeroU32::new(number.saturating_add(1)).unwrap_or(NonZeroU32::MAX))
    }

    /// The number of a combination of results.
    pub fn auth_set(&mut self, dkim: &[DkimResult], spf: &[SpfResult]) -> u32 {
        let place = place_of_set(dkim, spf);
        let recent = self.recent_sets[place];
        let chunk = &self.chunk;
        let holds =
            |set: &AuthSet| chunk.dkim_sets.get(set.dkim) == Some(dkim) && chunk.spf_sets.get(set.spf) == Some(spf);
        if chunk.auth_sets.get(recent as usize).is_some_and(holds) {
            return recent;
        }
        let dkim = self.dkim_sets.number(&mut self.chunk.dkim_sets, dkim);
        let spf = self.spf_sets.number(&mut self.chunk.spf_sets, spf);
        let number = self.auth_sets.number(&mut self.chunk.auth_sets, &AuthSet { dkim, spf });
        self.recent_sets[place] = number;
        number
    }

    /// The number of a combination of reasons; `None` for none at all.
    pub fn reason_set(&mut self, set: &[Reason]) -> Option<u32> {
        (!set.is_empty()).then(|| self.reason_sets.number(&mut self.chunk.reason_sets, set))
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
        self.dkim_sets.clear();
        self.spf_sets.clear();
        self.auth_sets.clear();
        self.reason_sets.clear();
        self.forms.clear();
        self.recent_strings = [None; RECENT];
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

/// Where a text stands among the recent ones: a hash of its length and last eight bytes.
fn place_of(text: &str) -> usize {
    let bytes = text.as_bytes();
    let tail = match bytes.last_chunk() {
        Some(&chunk) => u64::from_le_bytes(chunk),
        None => bytes.iter().fold(0, |tail, &byte| tail << 8 | u64::from(byte)),
    };
    scatter(tail ^ bytes.len() as u64)
}

/// Likewise for a combination of results.
fn place_of_set(dkim: &[DkimResult], spf: &[SpfResult]) -> usize {
    let number = |id: Option<StringId>| id.map_or(0, |id| u64::from(id.0.get()));
    let dkim = dkim.iter().map(|dkim| [dkim.domain, dkim.selector, dkim.result]);
    let spf = spf.iter().map(|spf| [spf.domain, spf.scope, spf.result]);
    scatter(dkim.chain(spf).flatten().fold(1, |sum: u64, id| sum.wrapping_mul(31).wrapping_add(number(id))))
}

fn scatter(bits: u64) -> usize {
    (bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize % RECENT
}
