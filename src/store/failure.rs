//! Keeps failure reports (RFC 6591, RFC 9991).

use rusqlite::{Connection, params};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::aggregate::{Found, Head, insert_head};
use super::strings::Strings;
use crate::report::FailureReport;

/// Adds a failure report; `at` stands in where it tells no time. `None`: it is there already.
pub fn insert(
    connection: &Connection,
    strings: &mut Strings,
    found: Found<'_>,
    report: &FailureReport,
    at: i64,
) -> rusqlite::Result<Option<i64>> {
    let content = json!([
        report.fields,
        report.sample_headers,
        report.prose,
        report.message_id,
        report.subject,
        report.header_from,
    ]);
    let content_hash: [u8; 32] = Sha256::digest(content.to_string()).into();
    let derived: String = content_hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let arrived_at = report.arrived_at.unwrap_or(at);
    let head = Head {
        kind: "failure",
        org_name: report.org_name.as_deref(),
        org_email: report.org_email.as_deref(),
        extra_contact_info: None,
        report_id: report.report_id.as_deref().unwrap_or(&derived),
        domain: report.domain.as_deref(),
        begin_at: arrived_at,
        end_at: arrived_at,
        content_hash: &content_hash,
        records_seen: 1,
        records: 1,
        messages: u64::from(report.incidents),
        warnings: &report.warnings,
    };
    let Some(id) = insert_head(connection, strings, found, &head, None)? else { return Ok(None) };
    let source = report.source_ip.map(|ip| strings.address(connection, ip)).transpose()?;
    let header_from = strings.text_of(connection, report.header_from.as_deref())?;
    connection
        .prepare_cached(
            "INSERT INTO failure (report, auth_failure, delivery_result, identity_alignment, alignment_semantics, source, \
             source_port, incidents, user_agent, version, reporting_mta, original_envelope_id, original_mail_from, \
             original_rcpt_to, authentication_results, dkim_domain, dkim_identity, dkim_selector, spf_dns, header_from, \
             message_id, subject, sample_headers, prose, fields) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, \
             ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25)",
        )?
        .execute(params![
            id,
            json!(report.auth_failure).to_string(),
            report.delivery_result,
            report.identity_alignment,
            report.alignment_semantics.as_str(),
            source,
            report.source_port,
            report.incidents,
            report.user_agent,
            report.version,
            report.reporting_mta,
            report.original_envelope_id,
            report.original_mail_from,
            json!(report.original_rcpt_to).to_string(),
            json!(report.authentication_results).to_string(),
            report.dkim_domain,
            report.dkim_identity,
            report.dkim_selector,
            json!(report.spf_dns).to_string(),
            header_from,
            report.message_id,
            report.subject,
            report.sample_headers,
            report.prose,
            json!(report.fields).to_string(),
        ])?;
    Ok(Some(id))
}
