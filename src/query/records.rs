//! Records of aggregate reports, one row each.

use rusqlite::named_params;

use super::{Database, Error, Window};

super::row! {
    /// One record, as `v_record` tells it.
    pub struct Record {
        /// The report's row id.
        report: i64,
        /// Position in the report, from 0.
        ordinal: i64,
        /// Reporting organisation.
        org_name: Option<String>,
        /// The id the reporter gave the report.
        report_id: String,
        /// Policy domain.
        domain: Option<String>,
        /// Begin of the period.
        begin_at: i64,
        /// End of the period.
        end_at: i64,
        /// Sending address.
        source_ip: String,
        /// Messages.
        messages: i64,
        /// What was done with them.
        disposition: Option<String>,
        /// Aligned DKIM result.
        dkim: Option<String>,
        /// Aligned SPF result.
        spf: Option<String>,
        /// DMARC result.
        dmarc: Option<String>,
        /// Domain of the From field.
        header_from: Option<String>,
        /// Domain of the envelope sender; empty for the null reverse-path.
        envelope_from: Option<String>,
        /// Domain of the envelope recipient.
        envelope_to: Option<String>,
        /// Override reasons, JSON array.
        reasons: String,
        /// DKIM results, JSON array.
        dkim_results: String,
        /// SPF results, JSON array.
        spf_results: String,
        /// The report that counts instead of the one this belongs to.
        conflict_with: Option<i64>,
        /// Whose word the report is.
        verification: String,
        /// Sums are made of it.
        counted: bool,
    }
}

/// Hands over the records of reports whose period ends in `window`, newest first, until `take` answers false. With `verified`
/// only those of reports whose mail is known to come from their reporter.
///
/// # Errors
/// As [`Database`], and what `take` fails with.
pub fn each<E: From<Error>>(
    database: &Database,
    window: Window,
    domain: Option<&str>,
    verified: bool,
    take: impl FnMut(Record) -> Result<bool, E>,
) -> Result<(), E> {
    let params =
        named_params! {":since": window.since, ":until": window.until, ":domain": domain, ":verified": verified};
    database.each(include_str!("records.sql"), params, Record::read, take)
}
