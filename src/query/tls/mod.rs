//! What SMTP TLS reports (RFC 8460) say: sessions, and why some failed.

use rusqlite::named_params;

use super::{Database, Error, Window};

super::row! {
    /// Sessions to one policy domain under one type of policy.
    pub struct Domain {
        /// The policy domain.
        policy_domain: Option<String>,
        /// `tlsa`, `sts`, `no-policy-found`, or other as sent.
        policy_type: Option<String>,
        /// Sessions that were established.
        successful_sessions: i64,
        /// Sessions that were not.
        failed_sessions: i64,
        /// Begin of the first period.
        first_at: i64,
        /// End of the last period.
        last_at: i64,
    }
}

super::row! {
    /// One kind of failure at one receiving MX.
    pub struct Failure {
        /// The policy domain.
        policy_domain: Option<String>,
        /// What failed.
        result_type: Option<String>,
        /// Where.
        receiving_mx_hostname: Option<String>,
        /// How often. Reporters need not explain every failed session.
        failed_sessions: i64,
        /// Begin of the first period.
        first_at: i64,
        /// End of the last period.
        last_at: i64,
    }
}

/// The answer; both by most failed sessions first.
#[derive(Clone, Debug, PartialEq)]
pub struct Tls {
    /// By policy domain and type.
    pub domains: Vec<Domain>,
    /// By failure and MX.
    pub failures: Vec<Failure>,
}

/// What TLS reports whose period ends in `window` say, for one policy `domain` or all.
///
/// # Errors
/// As [`Database`].
pub fn tls(database: &Database, window: Window, domain: Option<&str>) -> Result<Tls, Error> {
    let params = named_params! {":since": window.since, ":until": window.until, ":domain": domain};
    Ok(Tls {
        domains: database.rows(include_str!("domains.sql"), params, Domain::read)?,
        failures: database.rows(include_str!("failures.sql"), params, Failure::read)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::testing::{FIXTURE, scratch};

    #[test]
    fn counts_by_hand() {
        let scratch = scratch(FIXTURE);
        let all = tls(&scratch.database, Window::ALL, None).unwrap();
        let domains: Vec<_> = all.domains.iter().map(|row| (row.successful_sessions, row.failed_sessions)).collect();
        assert_eq!(domains, [(5000, 12), (30, 0)]);
        let failures: Vec<_> = all
            .failures
            .iter()
            .map(|row| (row.result_type.as_deref(), row.receiving_mx_hostname.as_deref(), row.failed_sessions))
            .collect();
        assert_eq!(
            failures,
            [
                (Some("certificate-expired"), Some("mx1.example.com"), 10),
                (Some("starttls-not-supported"), Some("mx2.example.com"), 2)
            ]
        );
        assert_eq!(tls(&scratch.database, Window::ALL, Some("example.org")).unwrap().domains.len(), 1);
    }
}
