//! Keeps aggregate reports: identity, duplicates and conflicts, records, odd spellings, rejected rows.

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::daily::{self, Fresh};
use super::standing;
use super::strings::Strings;
use crate::problem::Warning;
use crate::report::aggregate::{AggregateReport, Chunk, StringId};
use crate::report::verification::{self, Sender};

/// Where a report was found.
#[derive(Clone, Copy)]
pub struct Found<'a> {
    /// The message's row.
    pub message: i64,
    /// Where in the message.
    pub part: &'a str,
    /// What the own server said about the mail.
    pub sender: &'a Sender,
}

/// What is the same for reports of every kind.
pub struct Head<'a> {
    pub kind: &'static str,
    pub org_name: Option<&'a str>,
    pub org_email: Option<&'a str>,
    pub extra_contact_info: Option<&'a str>,
    pub report_id: &'a str,
    pub domain: Option<&'a str>,
    pub begin_at: i64,
    pub end_at: i64,
    pub content_hash: &'a [u8],
    pub records_seen: u64,
    pub records: u64,
    pub messages: u64,
    pub warnings: &'a [Warning],
}

/// Bytes of a digest that are kept.
const DIGEST: usize = 16;
const IDENTITY: usize = 8 + DIGEST;

impl Head<'_> {
    /// Who, about whom, which, and when: what makes two reports the same report. The report id alone does not:
    /// rspamd's default ids collide between reporters, and Google and Mimecast use one id for several days.
    fn identity(&self) -> [u8; IDENTITY] {
        let submitter = self.org_name.or(self.org_email).unwrap_or("").trim().to_lowercase();
        let mut hash = Sha256::new();
        for text in [self.kind, &submitter, self.domain.unwrap_or(""), self.report_id.trim()] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        hash.update(self.begin_at.to_le_bytes());
        hash.update(self.end_at.to_le_bytes());
        let digest = hash.finalize();
        // The end first: reports that come together are neighbours in the indexes, and few pages are written for them. Half a
        // digest is enough against accident and against a stranger who wants two of his own reports confused.
        let mut identity = [0; IDENTITY];
        let (end, half) = identity.split_at_mut(8);
        end.copy_from_slice(&self.end_at.to_be_bytes());
        half.copy_from_slice(&digest[..DIGEST]);
        identity
    }
}

/// Adds the row of a report, unless the same report with the same content is there; then that one is as well verified as
/// the better of the two mails. Of several reports of this identity the best verified stands. `aggregate`: what else one of
/// this kind says. The row's number; `None`: it is there already, or was, and is in the sums.
pub fn insert_head(
    connection: &Connection,
    strings: &mut Strings,
    found: Found<'_>,
    head: &Head<'_>,
    aggregate: Option<&AggregateReport>,
) -> rusqlite::Result<Option<i64>> {
    let identity = head.identity();
    let content_hash = head.content_hash.get(..DIGEST).unwrap_or(head.content_hash);
    let verification = verification::verify(found.sender, head.org_name, head.org_email);
    // One of each identity stands, so that where none does there is none.
    let stands = standing::of(connection, &identity)?;
    if stands.is_some()
        && let Some(same) = same(connection, &identity, content_hash)?
    {
        standing::improve(connection, same, verification)?;
        return Ok(None);
    }
    if head.kind == "aggregate" && daily::is_kept(connection, head.end_at, &identity)? {
        return Ok(None);
    }
    let org_name = strings.text_of(connection, head.org_name)?;
    let org_email = strings.text_of(connection, head.org_email)?;
    let domain = strings.text_of(connection, head.domain)?;
    let id = connection
        .prepare_cached(
            "INSERT INTO report (kind, message, part, org_name, org_email, extra_contact_info, report_id, domain, begin_at, \
             end_at, identity, content_hash, verification, conflict_with, records_seen, records, messages, aggregate) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
        )?
        .insert(params![
            head.kind,
            found.message,
            found.part,
            org_name,
            org_email,
            head.extra_contact_info,
            head.report_id,
            domain,
            head.begin_at,
            head.end_at,
            identity,
            content_hash,
            verification.as_str(),
            stands.as_ref().map(|stands| stands.id),
            head.records_seen as i64,
            head.records as i64,
            stored(head.messages),
            aggregate.map(|report| strings.aggregate(connection, report)).transpose()?,
        ])?;
    if stands.is_some_and(|stands| verification.rank() < stands.rank) {
        standing::put(connection, &identity, id)?;
    }
    if aggregate.is_some() && domain.is_some_and(|domain| strings.is_new_policy_domain(domain, verification)) {
        standing::note_policy_domain(connection, id)?;
    }
    insert_warnings(connection, Of::Report(id), head.warnings)?;
    Ok(Some(id))
}

/// The report of this identity with the same content, if there is one.
fn same(connection: &Connection, identity: &[u8], content_hash: &[u8]) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached(
            "SELECT id FROM report WHERE identity = ?1 AND content_hash = ?2 AND conflict_with IS NULL \
             UNION ALL SELECT id FROM report WHERE identity = ?1 AND content_hash = ?2 AND conflict_with IS NOT NULL",
        )?
        .query_row(params![identity, content_hash], |row| row.get(0))
        .optional()
}

/// Adds the warnings of a report or complaint.
pub fn insert_warnings(connection: &Connection, of: Of, warnings: &[Warning]) -> rusqlite::Result<()> {
    if warnings.is_empty() {
        return Ok(());
    }
    let (report, complaint, bounce) = match of {
        Of::Report(id) => (Some(id), None, None),
        Of::Complaint(id) => (None, Some(id), None),
        Of::Bounce(id) => (None, None, Some(id)),
    };
    let mut insert = connection.prepare_cached(
        "INSERT INTO warning (report, complaint, bounce, code, place, text, times) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for Warning { code, place, text, times } in warnings {
        insert.execute(params![report, complaint, bounce, code, place, text, times])?;
    }
    Ok(())
}

/// What a warning belongs to.
#[derive(Clone, Copy)]
pub enum Of {
    Report(i64),
    Complaint(i64),
    Bounce(i64),
}

/// Adds an aggregate report without its records. `None`: it is there already.
pub fn insert(
    connection: &Connection,
    strings: &mut Strings,
    found: Found<'_>,
    report: &AggregateReport,
) -> rusqlite::Result<Option<i64>> {
    let head = Head {
        kind: "aggregate",
        org_name: report.org_name.as_deref(),
        org_email: report.email.as_deref(),
        extra_contact_info: report.extra_contact_info.as_ref().map(|info| info.text.as_str()),
        report_id: &report.report_id,
        domain: Some(&report.policy.domain),
        begin_at: report.begin_at,
        end_at: report.end_at,
        content_hash: &report.content_hash,
        records_seen: report.records_seen,
        records: report.records,
        messages: report.messages,
        warnings: &report.warnings,
    };
    insert_head(connection, strings, found, &head, Some(report))
}

/// Adds a chunk of the records of a report, and to `fresh`, if the report is in there.
pub fn insert_chunk(
    connection: &Connection,
    strings: &mut Strings,
    fresh: &mut Fresh,
    report: i64,
    chunk: &Chunk,
) -> rusqlite::Result<()> {
    let texts =
        chunk.strings.iter().map(|text| strings.text(connection, text)).collect::<rusqlite::Result<Vec<_>>>()?;
    let dkim_sets = chunk
        .dkim_sets
        .iter()
        .map(|set| strings.dkim_set(connection, chunk, set, &texts))
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let spf_sets = chunk
        .spf_sets
        .iter()
        .map(|set| strings.spf_set(connection, chunk, set, &texts))
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let reason_sets = chunk
        .reason_sets
        .iter()
        .map(|set| strings.reason_set(connection, chunk, set, &texts))
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO record (report, ordinal, source, messages, disposition, dkim, spf, header_from, envelope_from, \
         envelope_to, dkim_set, spf_set, reason_set) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?;
    for record in &chunk.records {
        let text = |id: Option<StringId>| id.and_then(|id| texts.get(id.index())).copied();
        let auth_set = chunk.auth_sets.get(record.auth_set as usize);
        let dkim_set = auth_set.and_then(|set| dkim_sets.get(set.dkim as usize)).copied();
        let spf_set = auth_set.and_then(|set| spf_sets.get(set.spf as usize)).copied();
        let (source, is_new) = strings.address_or_new(connection, record.source_ip)?;
        if is_new {
            fresh.add_address(report, source, record.source_ip);
        }
        let disposition = record.disposition.map(|disposition| disposition as i64);
        let header_from = text(record.header_from);
        let reason_set = record.reason_set.and_then(|set| reason_sets.get(set as usize)).copied();
        // A tuple is bound by what its members are; `params!` has to find that out for each.
        insert.execute((
            report,
            record.ordinal,
            source,
            record.messages,
            disposition,
            record.dkim,
            record.spf,
            header_from,
            text(record.envelope_from),
            text(record.envelope_to),
            dkim_set,
            spf_set,
            reason_set,
        ))?;
        if let (Some(dkim_set), Some(spf_set)) = (dkim_set, spf_set) {
            fresh.add(report, || daily::Record {
                source,
                messages: record.messages.into(),
                disposition: daily::result(disposition),
                dkim: daily::result(record.dkim.map(i64::from)),
                spf: daily::result(record.spf.map(i64::from)),
                header_from: daily::text(header_from),
                dkim_set,
                spf_set,
                reason_set: daily::text(reason_set),
            });
        }
    }
    insert_oddities(connection, report, chunk)
}

fn insert_oddities(connection: &Connection, report: i64, chunk: &Chunk) -> rusqlite::Result<()> {
    if chunk.spellings.is_empty() && chunk.rejected.is_empty() {
        return Ok(());
    }
    let mut insert = connection.prepare_cached(
        "INSERT OR IGNORE INTO record_spelling (report, ordinal, field, spelled) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for spelling in &chunk.spellings {
        insert.execute(params![report, spelling.ordinal, spelling.field, spelling.spelled])?;
    }
    let mut insert = connection.prepare_cached(
        "INSERT INTO rejected_record (report, ordinal, code, reason, content) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for rejected in &chunk.rejected {
        insert.execute(params![report, rejected.ordinal, rejected.code, rejected.reason, rejected.content()])?;
    }
    Ok(())
}

/// Candidates that are looked at for [`warn_of_same_content`], and how many of these are compared row by row: a flood of
/// reports about one day must not make each of them slower than the one before.
const LOOKED_AT: i64 = 1000;
const COMPARED: usize = 4;

/// Warns where a report has the same rows as another of the same reporter, domain and period under another report id:
/// perhaps one report sent twice. Both count, because reporters with several servers do send such. `id` is the row of `report`.
pub fn warn_of_same_content(
    connection: &Connection,
    strings: &mut Strings,
    id: i64,
    report: &AggregateReport,
) -> rusqlite::Result<()> {
    let mut others = looked_alike(connection, strings, id, report)?;
    if others.is_empty() || !counts(connection, id)? {
        return Ok(());
    }
    // The first ones.
    others.reverse();
    others.truncate(COMPARED);
    // Row by row in the order sent, so that neither has to be held or sorted.
    let mut differ = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM record a LEFT JOIN record b ON b.report = ?2 AND b.ordinal = a.ordinal WHERE a.report = ?1 \
         AND (b.source, b.messages, b.disposition, b.dkim, b.spf, b.header_from, b.envelope_from, b.envelope_to, b.dkim_set, \
         b.spf_set, b.reason_set) IS NOT (a.source, a.messages, a.disposition, a.dkim, a.spf, a.header_from, a.envelope_from, \
         a.envelope_to, a.dkim_set, a.spf_set, a.reason_set))",
    )?;
    for (other, report_id) in others {
        if !differ.query_row(params![id, other], |row| row.get::<_, bool>(0))? {
            let text = format!("the same rows as report `{report_id}` of this period: perhaps sent twice; both count");
            let warning = Warning::new("same-content", "report_metadata/report_id", text);
            return insert_warnings(connection, Of::Report(id), &[warning]);
        }
    }
    Ok(())
}

/// Whether sums are made of a report.
fn counts(connection: &Connection, id: i64) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT counted FROM report WHERE id = ?1")?.query_row([id], |row| row.get(0))
}

/// Other counted reports of the same reporter, domain, period and numbers, and their report ids, the last one first.
fn looked_alike(
    connection: &Connection,
    strings: &mut Strings,
    id: i64,
    report: &AggregateReport,
) -> rusqlite::Result<Vec<(i64, String)>> {
    let mut alike = Vec::new();
    if report.records == 0 {
        return Ok(alike);
    }
    let domain = strings.text(connection, &report.policy.domain)?;
    let org_name = strings.text_of(connection, report.org_name.as_deref())?;
    // What most have in common is in the index: of others than those of one reporter no row is read.
    let mut candidates = connection.prepare_cached(
        "SELECT id, report_id, kind = 'aggregate' AND begin_at = ?6 AND report_id <> ?7 AND counted FROM report \
         WHERE (domain, end_at, records, messages) = (?1, ?2, ?3, ?4) AND org_name IS ?5 AND id <> ?8 \
         ORDER BY id DESC LIMIT ?9",
    )?;
    let mut rows = candidates.query((
        domain,
        report.end_at,
        report.records as i64,
        stored(report.messages),
        org_name,
        report.begin_at,
        &report.report_id,
        id,
        LOOKED_AT,
    ))?;
    while let Some(row) = rows.next()? {
        if row.get(2)? {
            alike.push((row.get(0)?, row.get(1)?));
        }
    }
    Ok(alike)
}

/// A sum of messages, as it is stored.
fn stored(messages: u64) -> i64 {
    i64::try_from(messages).unwrap_or(i64::MAX)
}
