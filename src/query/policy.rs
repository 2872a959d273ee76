//! Policies as published, by policy domain.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, named_params};

use super::{Database, Error, Window};

super::row! {
    /// One policy domain in a window.
    pub struct Policy {
        /// The domain.
        domain: String,
        /// Reports about it.
        reports: i64,
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

/// How far the reports of one domain reach.
#[derive(Clone, Copy, Debug)]
struct Reach {
    reports: i64,
    first_at: i64,
    last_at: i64,
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
    let look = || -> rusqlite::Result<Vec<Policy>> {
        let reaches = reaches(database, window, domain, verified)?;
        let mut statement = database.connection().prepare(include_str!("policy.sql"))?;
        let mut found = Vec::with_capacity(reaches.len());
        for (domain, reach) in reaches {
            let params = named_params! {
                ":domain": domain,
                ":reports": reach.reports,
                ":first_at": reach.first_at,
                ":last_at": reach.last_at,
                ":verified": verified,
            };
            found.extend(statement.query_row(params, Policy::read).optional()?);
        }
        Ok(found)
    };
    let mut found = look().map_err(|error| database.explain(error))?;
    found.sort_by(|one, other| one.domain.cmp(&other.domain));
    Ok(found)
}

/// By the number of the domain.
fn reaches(
    database: &Database,
    window: Window,
    domain: Option<&str>,
    verified: bool,
) -> rusqlite::Result<HashMap<i64, Reach>> {
    let mut statement = database.connection().prepare(include_str!("policy_reach.sql"))?;
    let mut rows = statement.query(
        named_params! {":since": window.since, ":until": window.until, ":domain": domain, ":verified": verified},
    )?;
    let mut reaches: HashMap<i64, Reach> = HashMap::new();
    while let Some(row) = rows.next()? {
        let next = Reach { reports: row.get(1)?, first_at: row.get(2)?, last_at: row.get(3)? };
        let all = reaches.entry(row.get(0)?).or_insert(Reach { reports: 0, ..next });
        all.reports = all.reports.saturating_add(next.reports);
        all.first_at = all.first_at.min(next.first_at);
        all.last_at = all.last_at.max(next.last_at);
    }
    Ok(reaches)
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
        assert_eq!((all[0].domain.as_str(), all[0].reports), ("example.com", 3));
        assert_eq!((all[0].p.as_deref(), all[0].sp.as_deref(), all[0].pct), (Some("reject"), Some("none"), Some(100)));
        assert_eq!((all[0].first_at, all[0].last_at), (1_794_268_800, 1_795_132_799));
        let old = policies(&scratch.database, Window { since: 0, until: 1_794_400_000 }, None, false).unwrap();
        assert_eq!((old[0].p.as_deref(), old[0].pct), (Some("quarantine"), Some(50)));
        let none = policies(&scratch.database, Window::ALL, Some("example.org"), true).unwrap();
        assert!(none.is_empty());
    }
}
