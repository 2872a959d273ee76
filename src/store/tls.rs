//! Keeps SMTP TLS reports (RFC 8460).

use rusqlite::{Connection, params};
use serde_json::json;

use super::aggregate::{Found, Head, insert_head};
use super::strings::Strings;
use crate::report::TlsReport;

/// Adds a TLS report. `None`: it is there already.
pub fn insert(
    connection: &Connection,
    strings: &mut Strings,
    found: Found<'_>,
    report: &TlsReport,
) -> rusqlite::Result<Option<i64>> {
    let sessions =
        report.policies.iter().map(|policy| policy.successful_sessions.saturating_add(policy.failed_sessions));
    let count = report.policies.len() as u64;
    let head = Head {
        kind: "tls",
        org_name: report.org_name.as_deref(),
        org_email: report.org_email.as_deref(),
        extra_contact_info: None,
        report_id: &report.report_id,
        domain: report.policies.iter().find_map(|policy| policy.policy_domain.as_deref()),
        begin_at: report.begin_at,
        end_at: report.end_at,
        content_hash: &report.content_hash,
        records_seen: count,
        records: count,
        messages: sessions.fold(0, u64::saturating_add),
        warnings: &report.warnings,
    };
    let Some(id) = insert_head(connection, strings, found, &head, None)? else { return Ok(None) };
    let mut insert = connection.prepare_cached(
        "INSERT INTO tls_policy (report, ordinal, policy_type, policy_domain, policy_string, mx_host, successful_sessions, \
         failed_sessions) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    let mut insert_failure = connection.prepare_cached(
        "INSERT INTO tls_failure (report, policy, ordinal, result_type, sending_mta_ip, receiving_mx_hostname, \
         receiving_mx_helo, receiving_ip, failed_sessions, additional_information, failure_reason_code) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    for (ordinal, policy) in report.policies.iter().enumerate() {
        insert.execute(params![
            id,
            ordinal as i64,
            policy.policy_type,
            strings.text_of(connection, policy.policy_domain.as_deref())?,
            json!(policy.policy_string).to_string(),
            json!(policy.mx_host).to_string(),
            number(policy.successful_sessions),
            number(policy.failed_sessions),
        ])?;
        for (at, failure) in policy.failures.iter().enumerate() {
            insert_failure.execute(params![
                id,
                ordinal as i64,
                at as i64,
                failure.result_type,
                failure.sending_mta_ip,
                failure.receiving_mx_hostname,
                failure.receiving_mx_helo,
                failure.receiving_ip,
                number(failure.failed_sessions),
                failure.additional_information,
                failure.failure_reason_code,
            ])?;
        }
    }
    Ok(Some(id))
}
