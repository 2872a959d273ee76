//! Reports of every kind, one row each.

use rusqlite::named_params;

use super::{Database, Error, Window};

super::row! {
    /// One report, as `v_report` tells it.
    pub struct Report {
        /// Row id.
        id: i64,
        /// `aggregate`, `failure` or `tls`.
        kind: String,
        /// Reporting organisation.
        org_name: Option<String>,
        /// Its address for questions.
        org_email: Option<String>,
        /// The id the reporter gave it.
        report_id: String,
        /// Policy domain.
        domain: Option<String>,
        /// Begin of the period.
        begin_at: i64,
        /// End of the period.
        end_at: i64,
        /// Records stored.
        records: i64,
        /// Records that could not be used.
        records_rejected: i64,
        /// Sum of the messages of its records.
        messages: i64,
        /// Deviations that were read around.
        warnings: i64,
        /// The report that counts instead of this one.
        conflict_with: Option<i64>,
        /// Policy for the domain.
        p: Option<String>,
        /// Policy for subdomains.
        sp: Option<String>,
        /// Policy for subdomains that do not exist.
        np: Option<String>,
        /// DKIM alignment.
        adkim: Option<String>,
        /// SPF alignment.
        aspf: Option<String>,
        /// Percentage.
        pct: Option<i64>,
        /// Failure reporting options.
        fo: Option<String>,
        /// Test mode.
        testing: Option<String>,
        /// How the policy was found.
        discovery_method: Option<String>,
        /// Version of the format.
        version: Option<String>,
        /// What wrote the report.
        generator: Option<String>,
        /// Where the message was found.
        origin: String,
        /// Where in the message.
        part: String,
        /// When it was kept.
        seen_at: i64,
        /// How the mail was authenticated.
        auth: Option<String>,
        /// The domain that passed.
        auth_domain: Option<String>,
        /// Whose word it is: `verified`, `foreign`, `unverified` or `failed`.
        verification: String,
        /// Sums are made of it.
        counted: bool,
    }
}

/// Hands over the reports whose period ends in `window`, newest first, until `take` answers false. `domain` is the
/// policy domain, `kind` one of `aggregate`, `failure`, `tls`; with `verified` only
/// those whose mail is known to come from their reporter.
///
/// # Errors
/// As [`Database`], and what `take` fails with.
pub fn each<E: From<Error>>(
    database: &Database,
    window: Window,
    domain: Option<&str>,
    kind: Option<&str>,
    verified: bool,
    take: impl FnMut(Report) -> Result<bool, E>,
) -> Result<(), E> {
    let params = named_params! {":since": window.since, ":until": window.until, ":domain": domain, ":kind": kind, ":verified": verified};
    database.each(include_str!("reports.sql"), params, Report::read, take)
}

super::row! {
    /// One deviation in a report.
    pub struct Warning {
        /// The report's row id.
        report: i64,
        /// Reporting organisation.
        org_name: Option<String>,
        /// The id the reporter gave it.
        report_id: String,
        /// End of the period.
        end_at: i64,
        /// The stable word.
        code: String,
        /// Where in the report, the first time.
        place: String,
        /// What was there and how it was taken.
        text: String,
        /// How often.
        times: i64,
    }
}

/// Hands over the warnings of the same reports in the same order.
///
/// # Errors
/// As [`Database`], and what `take` fails with.
pub fn each_warning<E: From<Error>>(
    database: &Database,
    window: Window,
    domain: Option<&str>,
    kind: Option<&str>,
    verified: bool,
    take: impl FnMut(Warning) -> Result<bool, E>,
) -> Result<(), E> {
    let params = named_params! {":since": window.since, ":until": window.until, ":domain": domain, ":kind": kind, ":verified": verified};
    database.each(include_str!("report_warnings.sql"), params, Warning::read, take)
}
