//! Keeps aggregate reports: identity, duplicates and conflicts, records, odd spellings, rejected rows.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::strings::Strings;
use crate::problem::Warning;
use crate::report::aggregate::{AggregateReport, Chunk};

/// Where a report was found.
#[derive(Clone, Copy)]
pub struct Found<'a> {
    /// The message's row.
    pub message: i64,
    /// Where in the message.
    pub part: &'a str,
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

impl Head<'_> {
    /// Who, about whom, which, and when: what makes two reports the same report. The report id alone does not:
    /// rspamd's default ids collide between reporters, and Google and Mimecast use one id for several days.
    fn identity(&self) -> [u8; 32] {
        let submitter = self.org_name.or(self.org_email).unwrap_or("").trim().to_lowercase();
        let mut hash = Sha256::new();
        for text in [self.kind, &submitter, self.domain.unwrap_or(""), self.report_id.trim()] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        hash.update(self.begin_at.to_le_bytes());
        hash.update(self.end_at.to_le_bytes());
        hash.finalize().into()
    }
}

/// Adds the row of a report, unless the same report with the same content is there. The row's number and, where
/// another report of this identity counts already, that one's.
pub fn insert_head(
    connection: &Connection,
    strings: &mut Strings,
    found: Found<'_>,
    head: &Head<'_>,
) -> rusqlite::Result<Option<(i64, Option<i64>)>> {
    let identity = head.identity();
    let same: Option<i64> = connection
        .prepare_cached("SELECT id FROM report WHERE identity = ?1 AND content_hash = ?2")?
        .query_row(params![identity, head.content_hash], |row| row.get(0))
        .optional()?;
    if same.is_some() {
        return Ok(None);
    }
    let conflict: Option<i64> = connection
        .prepare_cached("SELECT id FROM report WHERE identity = ?1 AND conflict_with IS NULL")?
        .query_row(params![identity], |row| row.get(0))
        .optional()?;
    let id = connection
        .prepare_cached(
            "INSERT INTO report (kind, message, part, org_name, org_email, extra_contact_info, report_id, domain, begin_at, \
             end_at, identity, content_hash, conflict_with, records_seen, records, messages) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        )?
        .insert(params![
            head.kind,
            found.message,
            found.part,
            strings.text_of(connection, head.org_name)?,
            strings.text_of(connection, head.org_email)?,
            head.extra_contact_info,
            head.report_id,
            strings.text_of(connection, head.domain)?,
            head.begin_at,
            head.end_at,
            identity,
            head.content_hash,
            conflict,
            head.records_seen as i64,
            head.records as i64,
            i64::try_from(head.messages).unwrap_or(i64::MAX),
        ])?;
    insert_warnings(connection, Some(id), None, head.warnings)?;
    Ok(Some((id, conflict)))
}

/// Adds the warnings of a report or complaint.
pub fn insert_warnings(
    connection: &Connection,
    report: Option<i64>,
    complaint: Option<i64>,
    warnings: &[Warning],
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO warning (report, complaint, code, place, text, times) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for Warning { code, place, text, times } in warnings {
        insert.execute(params![report, complaint, code, place, text, times])?;
    }
    Ok(())
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
    let Some((id, _)) = insert_head(connection, strings, found, &head)? else { return Ok(None) };
    let policy = &report.policy;
    let errors: Vec<_> = report.errors.iter().map(|error| json!({"text": error.text, "lang": error.lang})).collect();
    let list = |values: &[_]| (!values.is_empty()).then(|| serde_json::Value::from(values.to_vec()).to_string());
    connection
        .prepare_cached(
            "INSERT INTO aggregate (report, version, namespace, generator, errors, contact_lang, p, sp, np, adkim, aspf, pct, \
             fo, testing, discovery_method, extension) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        )?
        .execute(params![
            id,
            report.version,
            report.namespace,
            report.generator,
            list(&errors),
            report.extra_contact_info.as_ref().and_then(|info| info.lang.as_deref()),
            policy.p,
            policy.sp,
            policy.np,
            policy.adkim,
            policy.aspf,
            policy.pct,
            policy.fo,
            policy.testing,
            policy.discovery_method,
            (!report.extensions.is_empty()).then(|| json!(report.extensions).to_string()),
        ])?;
    Ok(Some(id))
}

/// Adds a chunk of the records of a report.
pub fn insert_chunk(
    connection: &Connection,
    strings: &mut Strings,
    report: i64,
    chunk: &Chunk,
) -> rusqlite::Result<()> {
    let texts =
        chunk.strings.iter().map(|text| strings.text(connection, text)).collect::<rusqlite::Result<Vec<_>>>()?;
    let auth_sets = chunk
        .auth_sets
        .iter()
        .map(|set| strings.auth_set(connection, chunk, set, &texts))
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let reason_sets = chunk
        .reason_sets
        .iter()
        .map(|set| strings.reason_set(connection, chunk, set, &texts))
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO record (report, ordinal, source, messages, disposition, dkim, spf, header_from, envelope_from, \
         envelope_to, auth_set, reason_set) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    for record in &chunk.records {
        let text = |id: Option<crate::report::aggregate::StringId>| id.and_then(|id| texts.get(id.index()));
        insert.execute(params![
            report,
            record.ordinal,
            strings.address(connection, record.source_ip)?,
            record.messages,
            record.disposition.map(|disposition| disposition as u8),
            record.dkim,
            record.spf,
            text(record.header_from),
            text(record.envelope_from),
            text(record.envelope_to),
            auth_sets.get(record.auth_set as usize),
            record.reason_set.and_then(|set| reason_sets.get(set as usize)),
        ])?;
    }
    insert_oddities(connection, report, chunk)
}

fn insert_oddities(connection: &Connection, report: i64, chunk: &Chunk) -> rusqlite::Result<()> {
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
