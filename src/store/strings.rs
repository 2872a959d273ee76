//! Texts, addresses and combinations of results that repeat: stored once, found again through bounded caches.

use std::hash::Hash;
use std::net::IpAddr;

use foldhash::fast::RandomState;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::report::aggregate::{AggregateReport, Chunk, DkimResult, Reason, SpfResult, StringId};
use crate::report::verification::Verification;

/// Entries of one cache; past that it starts over. About 20 MB for all of them at the worst.
const MOST: usize = 50_000;
/// Combinations that are known by their texts, and the texts in one of them: about 2 MB for those of a kind.
const MOST_BY_TEXTS: usize = 10_000;
const TEXTS: usize = 18;

type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;
type HashSet<K> = std::collections::HashSet<K, RandomState>;

/// Row numbers already known. They are void after a rollback.
#[derive(Default)]
pub struct Strings {
    texts: HashMap<Box<str>, i64>,
    addresses: HashMap<IpAddr, i64>,
    dkim_sets: Sets,
    spf_sets: Sets,
    reason_sets: Sets,
    aggregates: HashMap<[u8; 16], i64>,
    /// Policy domains that were noted.
    policy_domains: HashSet<i64>,
}

fn remember<K: Eq + Hash>(cache: &mut HashMap<K, i64>, key: K, id: i64) -> i64 {
    if cache.len() >= MOST {
        cache.clear();
    }
    cache.insert(key, id);
    id
}

/// Combinations of one kind.
#[derive(Default)]
struct Sets {
    /// By the rows of their texts, which tell one as well as a digest of the texts, and need not be made. Only short ones.
    by_texts: HashMap<Box<[i64]>, i64>,
    by_digest: HashMap<[u8; 16], i64>,
    /// The rows of the texts of the one that is looked for.
    texts: Vec<i64>,
}

impl Sets {
    /// The row of the combination that consists of these texts of a chunk; `rows` are the rows of all texts of that.
    fn known(&mut self, texts: impl Iterator<Item = Option<StringId>>, rows: &[i64]) -> Option<i64> {
        self.texts.clear();
        self.texts.extend(texts.map(|id| id.and_then(|id| rows.get(id.index())).copied().unwrap_or(0)));
        self.by_texts.get(self.texts.as_slice()).copied()
    }

    /// Remembers that this is the row of the combination that was looked for last, and that has this digest.
    fn remember(&mut self, digest: [u8; 16], id: i64) -> i64 {
        if self.texts.len() <= TEXTS {
            if self.by_texts.len() >= MOST_BY_TEXTS {
                self.by_texts.clear();
            }
            self.by_texts.insert(self.texts.as_slice().into(), id);
        }
        remember(&mut self.by_digest, digest, id)
    }
}

/// The row of `key` in a table with one unique column, made if it is missing.
fn row(
    connection: &Connection,
    select: &str,
    insert: &str,
    key: impl rusqlite::ToSql + Copy,
) -> rusqlite::Result<(i64, bool)> {
    let known = connection.prepare_cached(select)?.query_row(params![key], |row| row.get(0)).optional()?;
    match known {
        Some(id) => Ok((id, false)),
        None => Ok((connection.prepare_cached(insert)?.insert(params![key])?, true)),
    }
}

impl Strings {
    /// Forgets everything: after a rollback.
    pub fn forget(&mut self) {
        *self = Strings::default();
    }

    /// The row of a text.
    pub fn text(&mut self, connection: &Connection, text: &str) -> rusqlite::Result<i64> {
        if let Some(&id) = self.texts.get(text) {
            return Ok(id);
        }
        let (id, _) =
            row(connection, "SELECT id FROM text WHERE value = ?1", "INSERT INTO text (value) VALUES (?1)", text)?;
        // Long explanations do not come again often enough to be worth the memory.
        Ok(if text.len() <= 255 { remember(&mut self.texts, text.into(), id) } else { id })
    }

    /// The row of a text that may be missing.
    pub fn text_of(&mut self, connection: &Connection, text: Option<&str>) -> rusqlite::Result<Option<i64>> {
        text.map(|text| self.text(connection, text)).transpose()
    }

    /// The row of a sending address.
    pub fn address(&mut self, connection: &Connection, ip: IpAddr) -> rusqlite::Result<i64> {
        self.address_or_new(connection, ip).map(|(id, _)| id)
    }

    /// The same, and whether it was made just now.
    pub fn address_or_new(&mut self, connection: &Connection, ip: IpAddr) -> rusqlite::Result<(i64, bool)> {
        if let Some(&id) = self.addresses.get(&ip) {
            return Ok((id, false));
        }
        // Most that are not remembered were never seen: who forges mail does so from everywhere.
        let text = ip.to_string();
        let new = connection
            .prepare_cached("INSERT INTO address (ip) VALUES (?1) ON CONFLICT (ip) DO NOTHING")?
            .execute([text.as_str()])?;
        let id = match new {
            0 => connection
                .prepare_cached("SELECT id FROM address WHERE ip = ?1")?
                .query_row([text.as_str()], |row| row.get(0))?,
            _ => connection.last_insert_rowid(),
        };
        Ok((remember(&mut self.addresses, ip, id), new == 1))
    }

    /// Whether a policy domain, which a report names whose mail is so verified, is yet to be noted.
    pub fn is_new_policy_domain(&mut self, domain: i64, verification: Verification) -> bool {
        if self.policy_domains.len() >= MOST {
            self.policy_domains.clear();
        }
        verification != Verification::Failed && self.policy_domains.insert(domain)
    }

    /// The row of a combination of DKIM results of `chunk`; `texts` are the rows of the chunk's texts.
    pub fn dkim_set(
        &mut self,
        connection: &Connection,
        chunk: &Chunk,
        set: &[DkimResult],
        texts: &[i64],
    ) -> rusqlite::Result<i64> {
        let in_order =
            |dkim: &DkimResult| [dkim.domain, dkim.selector, dkim.result, dkim.spelled, dkim.human_result, dkim.lang];
        if let Some(id) = self.dkim_sets.known(set.iter().flat_map(in_order), texts) {
            return Ok(id);
        }
        let digest = digest(b"d", set.iter().map(in_order), chunk);
        if let Some(&id) = self.dkim_sets.by_digest.get(&digest) {
            return Ok(self.dkim_sets.remember(digest, id));
        }
        let (id, new) = row(
            connection,
            "SELECT id FROM dkim_set WHERE digest = ?1",
            "INSERT INTO dkim_set (digest) VALUES (?1)",
            digest,
        )?;
        if new {
            let at = |id: Option<StringId>| id.and_then(|id| texts.get(id.index()));
            let mut insert = connection.prepare_cached(
                "INSERT INTO dkim_result (dkim_set, ordinal, domain, selector, result, spelled, human_result, lang) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?;
            for (ordinal, dkim) in set.iter().enumerate() {
                let (result, spelled, lang) =
                    (chunk.text_of(dkim.result), chunk.text_of(dkim.spelled), chunk.text_of(dkim.lang));
                let (domain, selector, human) = (at(dkim.domain), at(dkim.selector), at(dkim.human_result));
                insert.execute(params![id, ordinal as i64, domain, selector, result, spelled, human, lang])?;
            }
        }
        Ok(self.dkim_sets.remember(digest, id))
    }

    /// The row of a combination of SPF results, likewise.
    pub fn spf_set(
        &mut self,
        connection: &Connection,
        chunk: &Chunk,
        set: &[SpfResult],
        texts: &[i64],
    ) -> rusqlite::Result<i64> {
        let in_order = |spf: &SpfResult| [spf.domain, spf.scope, spf.result, spf.spelled, spf.human_result, spf.lang];
        if let Some(id) = self.spf_sets.known(set.iter().flat_map(in_order), texts) {
            return Ok(id);
        }
        let digest = digest(b"s", set.iter().map(in_order), chunk);
        if let Some(&id) = self.spf_sets.by_digest.get(&digest) {
            return Ok(self.spf_sets.remember(digest, id));
        }
        let (id, new) = row(
            connection,
            "SELECT id FROM spf_set WHERE digest = ?1",
            "INSERT INTO spf_set (digest) VALUES (?1)",
            digest,
        )?;
        if new {
            let at = |id: Option<StringId>| id.and_then(|id| texts.get(id.index()));
            let mut insert = connection.prepare_cached(
                "INSERT INTO spf_result (spf_set, ordinal, domain, scope, result, spelled, human_result, lang) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?;
            for (ordinal, spf) in set.iter().enumerate() {
                let (scope, result) = (chunk.text_of(spf.scope), chunk.text_of(spf.result));
                let (spelled, lang) = (chunk.text_of(spf.spelled), chunk.text_of(spf.lang));
                let (domain, human) = (at(spf.domain), at(spf.human_result));
                insert.execute(params![id, ordinal as i64, domain, scope, result, spelled, human, lang])?;
            }
        }
        Ok(self.spf_sets.remember(digest, id))
    }

    /// The row of a combination of override reasons, likewise.
    pub fn reason_set(
        &mut self,
        connection: &Connection,
        chunk: &Chunk,
        set: &[Reason],
        texts: &[i64],
    ) -> rusqlite::Result<i64> {
        let in_order = |reason: &Reason| [reason.kind, reason.comment, reason.lang];
        if let Some(id) = self.reason_sets.known(set.iter().flat_map(in_order), texts) {
            return Ok(id);
        }
        let digest = digest(b"r", set.iter().map(in_order), chunk);
        if let Some(&id) = self.reason_sets.by_digest.get(&digest) {
            return Ok(self.reason_sets.remember(digest, id));
        }
        let (id, new) = row(
            connection,
            "SELECT id FROM reason_set WHERE digest = ?1",
            "INSERT INTO reason_set (digest) VALUES (?1)",
            digest,
        )?;
        if new {
            let mut insert = connection.prepare_cached(
                "INSERT INTO reason (reason_set, ordinal, type, comment, lang) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            for (ordinal, reason) in set.iter().enumerate() {
                let comment = reason.comment.and_then(|id| texts.get(id.index()));
                let (kind, lang) = (chunk.text_of(reason.kind), chunk.text_of(reason.lang));
                insert.execute(params![id, ordinal as i64, kind, comment, lang])?;
            }
        }
        Ok(self.reason_sets.remember(digest, id))
    }
}

impl Strings {
    /// The row of what an aggregate report says of itself and of the policy.
    pub fn aggregate(&mut self, connection: &Connection, report: &AggregateReport) -> rusqlite::Result<i64> {
        let policy = &report.policy;
        let errors: Vec<_> =
            report.errors.iter().map(|error| json!({"text": error.text, "lang": error.lang})).collect();
        let errors = (!errors.is_empty()).then(|| serde_json::Value::from(errors).to_string());
        let extension = (!report.extensions.is_empty()).then(|| json!(report.extensions).to_string());
        let pct = policy.pct.map(|pct| pct.to_string());
        let values = [
            report.version.as_deref(),
            report.namespace.as_deref(),
            report.generator.as_deref(),
            errors.as_deref(),
            report.extra_contact_info.as_ref().and_then(|info| info.lang.as_deref()),
            policy.p.as_deref(),
            policy.sp.as_deref(),
            policy.np.as_deref(),
            policy.adkim.as_deref(),
            policy.aspf.as_deref(),
            policy.fo.as_deref(),
            policy.testing.as_deref(),
            policy.discovery_method.as_deref(),
            extension.as_deref(),
            pct.as_deref(),
        ];
        let mut hash = Sha256::new();
        values.iter().for_each(|value| add(&mut hash, *value));
        let digest = short(hash);
        if let Some(&id) = self.aggregates.get(&digest) {
            return Ok(id);
        }
        let known = connection
            .prepare_cached("SELECT id FROM aggregate WHERE digest = ?1")?
            .query_row([digest], |row| row.get(0))
            .optional()?;
        let id = match known {
            Some(id) => id,
            None => {
                let [
                    version,
                    namespace,
                    generator,
                    errors,
                    contact_lang,
                    p,
                    sp,
                    np,
                    adkim,
                    aspf,
                    fo,
                    testing,
                    found,
                    more,
                    _,
                ] = values;
                connection
                    .prepare_cached(
                        "INSERT INTO aggregate (digest, version, namespace, generator, errors, contact_lang, p, sp, np, adkim, \
                         aspf, pct, fo, testing, discovery_method, extension) \
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
                    )?
                    .insert(params![
                        digest, version, namespace, generator, errors, contact_lang, p, sp, np, adkim, aspf, policy.pct, fo,
                        testing, found, more,
                    ])?
            }
        };
        // What is long tells of one report only.
        let lasting = errors.is_none() && extension.is_none();
        Ok(if lasting { remember(&mut self.aggregates, digest, id) } else { id })
    }
}

/// The digest of a combination: of the texts of each of its members, after a mark of its kind.
fn digest<const N: usize>(
    kind: &[u8],
    members: impl Iterator<Item = [Option<StringId>; N]>,
    chunk: &Chunk,
) -> [u8; 16] {
    let mut hash = Sha256::new();
    for member in members {
        hash.update(kind);
        member.iter().for_each(|id| add(&mut hash, chunk.text_of(*id)));
    }
    short(hash)
}

/// A text in a digest: absent and empty are different.
fn add(hash: &mut Sha256, text: Option<&str>) {
    match text {
        Some(text) => {
            hash.update((text.len() as u64 + 1).to_le_bytes());
            hash.update(text);
        }
        None => hash.update(0u64.to_le_bytes()),
    }
}

/// Half a SHA-256: enough against accident and against a stranger who wants two of his own sets confused.
fn short(hash: Sha256) -> [u8; 16] {
    let digest: [u8; 32] = hash.finalize().into();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}
