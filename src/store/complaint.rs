//! Keeps complaints, and what follows from them for the people they name.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::aggregate::insert_warnings;
use super::judge::{self, Evidence, Judge};
use super::strings::Strings;
use crate::report::Complaint;
use crate::report::feedback::RecipientStatus;

/// What makes two complaints the same one: who complained about which mail. Where either is not told, all its fields:
/// a hundred people whose names are hidden may complain about one Message-ID.
fn identity(complaint: &Complaint) -> [u8; 32] {
    let mut people: Vec<String> =
        complaint.recipients.iter().filter_map(|person| person.address.as_deref()).map(str::to_lowercase).collect();
    people.sort_unstable();
    people.dedup();
    let content = match &complaint.message_id {
        Some(message_id) if !people.is_empty() => json!(["mail", complaint.feedback_type.as_str(), message_id, people]),
        message_id => json!([
            "fields",
            complaint.feedback_type.as_str(),
            message_id,
            people,
            complaint.fields,
            complaint.source_ip.map(|ip| ip.to_string()),
            complaint.arrived_at,
            complaint.sent_at,
            complaint.subject,
            complaint.recipients.iter().map(|person| person.spelled.as_str()).collect::<Vec<_>>(),
            complaint.tokens,
        ]),
    };
    Sha256::digest(content.to_string()).into()
}

/// Adds a complaint that came in `message`, and what follows from it; `at` stands in where it tells no time. `None`: it is
/// there already.
pub fn insert(
    connection: &Connection,
    strings: &mut Strings,
    complaint: &Complaint,
    message: i64,
    at: i64,
    evidence: &Evidence,
    judge: &Judge<'_>,
) -> rusqlite::Result<Option<i64>> {
    let identity = identity(complaint);
    let known: Option<i64> = connection
        .prepare_cached("SELECT id FROM complaint WHERE identity = ?1")?
        .query_row(params![identity], |row| row.get(0))
        .optional()?;
    if known.is_some() {
        return Ok(None);
    }
    let judged = judge.judge(complaint, evidence);
    let source = complaint.source_ip.map(|ip| strings.address(connection, ip)).transpose()?;
    let header_from = strings.text_of(connection, complaint.header_from.as_deref())?;
    let arrived_at = complaint.arrived_at.or(complaint.sent_at).unwrap_or(at);
    let id = connection
        .prepare_cached(
            "INSERT INTO complaint (message, identity, feedback_type, provider, provider_source, user_agent, version, \
             arrived_at, source, source_ip_via, source_port, incidents, original_envelope_id, original_mail_from, \
             reporting_mta, reported_domains, reported_uris, authentication_results, header_from, message_id, subject, \
             sent_at, list_id, dkim_signatures, cfbl_feedback_id, tokens, fields, trusted, trust_reason, about_us, \
             unsubscribe_to, reserved) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, \
             ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32)",
        )?
        .insert(params![
            message,
            identity,
            complaint.feedback_type.as_str(),
            complaint.provider,
            complaint.provider_source,
            complaint.user_agent,
            complaint.version,
            arrived_at,
            source,
            complaint.source_ip_via,
            complaint.source_port,
            complaint.incidents.clamp(1, 1000),
            complaint.original_envelope_id,
            complaint.original_mail_from,
            complaint.reporting_mta,
            json!(complaint.reported_domains).to_string(),
            json!(complaint.reported_uris).to_string(),
            json!(complaint.authentication_results).to_string(),
            header_from,
            complaint.message_id,
            complaint.subject,
            complaint.sent_at,
            complaint.list_id,
            json!(complaint.dkim_signatures).to_string(),
            complaint.cfbl_feedback_id,
            json!(complaint.tokens).to_string(),
            json!(complaint.fields).to_string(),
            judged.trust.trusted,
            judged.trust.reason,
            judged.about_us,
            complaint.unsubscribe_to,
            evidence.reserved,
        ])?;
    insert_recipients(connection, id, complaint, &judged)?;
    for suppression in &judged.suppressions {
        judge::append(connection, suppression, id, arrived_at, complaint.feedback_type.as_str())?;
    }
    insert_warnings(connection, None, Some(id), &complaint.warnings)?;
    Ok(Some(id))
}

fn insert_recipients(
    connection: &Connection,
    id: i64,
    complaint: &Complaint,
    judged: &judge::Judged,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO complaint_recipient (complaint, ordinal, address, folded, status, via, spelled) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for (ordinal, (person, status)) in complaint.recipients.iter().zip(&judged.statuses).enumerate() {
        if person.status == RecipientStatus::Absent {
            continue;
        }
        let folded = person.address.as_deref().map(str::to_lowercase);
        let status = status.as_str();
        insert.execute(params![id, ordinal as i64, person.address, folded, status, person.via, person.spelled])?;
    }
    Ok(())
}
