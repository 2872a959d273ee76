//! Policies as published, by policy domain.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Row, named_params};

use super::{Database, Error, Window};

super::row! {
    /// A policy as published, from reports.
    #[derive(Default, Eq)]
    pub struct Published {
        /// `p`.
        p: Option<String>,
        /// `sp`.
        sp: Option<String>,
        /// `np` (RFC 9989).
        np: Option<String>,
        /// `adkim`.
        adkim: Option<String>,
        /// `aspf`.
        aspf: Option<String>,
        /// `pct` (RFC 7489).
        pct: Option<i64>,
        /// `t` (RFC 9989): y asks receivers to apply the policy one step weaker.
        testing: Option<String>,
    }
}

/// One policy domain in a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The domain.
    pub domain: String,
    /// How far its reports reach.
    pub reach: Reach,
    /// What the newest of them tells.
    pub published: Published,
}

/// How far the reports of one domain reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reach {
    /// How many.
    pub reports: i64,
    /// Begin of their first period.
    pub first_at: i64,
    /// End of their last.
    pub last_at: i64,
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
            let params = named_params! {":domain": domain, ":last_at": reach.last_at, ":verified": verified};
            let read =
                |row: &Row<'_>| Ok(Policy { domain: row.get("domain")?, reach, published: Published::read(row)? });
            found.extend(statement.query_row(params, read).optional()?);
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
        assert_eq!((all[0].domain.as_str(), all[0].reach.reports), ("example.com", 3));
        let published = &all[0].published;
        assert_eq!(
            (published.p.as_deref(), published.sp.as_deref(), published.pct),
            (Some("reject"), Some("none"), Some(100))
        );
        assert_eq!((all[0].reach.first_at, all[0].reach.last_at), (1_794_268_800, 1_795_132_799));
        let old = policies(&scratch.database, Window { since: 0, until: 1_794_400_000 }, None, false).unwrap();
        assert_eq!((old[0].published.p.as_deref(), old[0].published.pct), (Some("quarantine"), Some(50)));
        let none = policies(&scratch.database, Window::ALL, Some("example.org"), true).unwrap();
        assert!(none.is_empty());
    }
}
