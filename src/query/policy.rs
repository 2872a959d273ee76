//! Policies as published, by policy domain.

use rusqlite::named_params;

use super::{Database, Error, Window};

super::row! {
    /// One policy domain in a window.
    pub struct Policy {
        /// The domain.
        domain: String,
        /// Reports about it.
        reports: i64,
        /// Different reporters.
        reporters: i64,
        /// Begin of their first period.
        first_at: i64,
        /// End of their last.
        last_at: i64,
        /// `p`, of the newest report; so are the following.
        p: Option<String>,
        /// `sp`.
        sp: Option<String>,
        /// `np`.
        np: Option<String>,
        /// `adkim`.
        adkim: Option<String>,
        /// `aspf`.
        aspf: Option<String>,
        /// `pct`.
        pct: Option<i64>,
        /// `testing`.
        testing: Option<String>,
    }
}

/// Of the reports that [`super::summary::summary`] counts, by domain.
///
/// # Errors
/// As [`Database`].
pub fn policies(
    database: &Database,
    window: Window,
    domain: Option<&str>,
    verified: bool,
) -> Result<Vec<Policy>, Error> {
    let params =
        named_params! {":since": window.since, ":until": window.until, ":domain": domain, ":verified": verified};
    database.rows(include_str!("policy.sql"), params, Policy::read)
}

/// Domains that aggregate reports named as their policy domain, ever, in order.
///
/// # Errors
/// As [`Database`].
pub fn domains(database: &Database) -> Result<Vec<String>, Error> {
    database.rows(include_str!("policy_domains.sql"), [], |row| row.get("domain"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::testing::{FIXTURE, scratch};

    #[test]
    fn the_newest_policy_stands() {
        let scratch = scratch(FIXTURE);
        let all = policies(&scratch.database, Window { since: 0, until: 1_800_000_000 }, None, false).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].domain.as_str(), all[0].reports, all[0].reporters), ("example.com", 3, 1));
        assert_eq!((all[0].p.as_deref(), all[0].sp.as_deref(), all[0].pct), (Some("reject"), Some("none"), Some(100)));
        assert_eq!((all[0].first_at, all[0].last_at), (1_794_268_800, 1_795_132_799));
        let old = policies(&scratch.database, Window { since: 0, until: 1_794_400_000 }, None, false).unwrap();
        assert_eq!((old[0].p.as_deref(), old[0].pct), (Some("quarantine"), Some(50)));
        let none = policies(&scratch.database, Window::ALL, Some("example.org"), true).unwrap();
        assert!(none.is_empty());
    }
}
