//! Everything known about one policy domain.

use rusqlite::{Row, named_params};

use super::facets::{Adding, Facet, Facets, facets};
use super::policy::Published;
use super::{Database, Error, Window, sums};

/// One policy, and when reports told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// What it says.
    pub published: Published,
    /// Reports that tell of it.
    pub reports: i64,
    /// Different reporters.
    pub reporters: i64,
    /// Begin of their first period.
    pub first_at: i64,
    /// End of their last.
    pub last_at: i64,
}

impl Policy {
    fn read(row: &Row<'_>) -> rusqlite::Result<Policy> {
        Ok(Policy {
            published: Published::read(row)?,
            reports: row.get("reports")?,
            reporters: row.get("reporters")?,
            first_at: row.get("first_at")?,
            last_at: row.get("last_at")?,
        })
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    /// All together, told apart in every way but by reporter.
    pub facets: Facets,
    /// `reporter`.
    pub reporters: Vec<Facet>,
    /// Policies, by when they were first seen.
    pub policies: Vec<Policy>,
}

/// What aggregate reports whose period ends in `window` say about a policy domain.
///
/// # Errors
/// As [`Database`].
pub fn domain(database: &Database, window: Window, domain: &str) -> Result<Domain, Error> {
    let params = named_params! {":domain": domain, ":since": window.since, ":until": window.until};
    let times = named_params! {":since": window.since, ":until": window.until};
    let summed = database.one(include_str!("summed.sql"), times, |row| row.get::<_, bool>("summed"))?;
    let mut adding = Adding::default();
    // The rows of one domain are found at once, the sums only by reading the days of the window; but what `prune` left is only there.
    if summed {
        sums::in_window(database, window, Some(domain), false, |sum| adding.add(sum))?;
    } else {
        adding.ask(database, include_str!("rows.sql"), params)?;
    }
    Ok(Domain {
        facets: facets(database, adding)?,
        reporters: database.rows(include_str!("reporters.sql"), params, Facet::from_row)?,
        policies: database.rows(include_str!("policies.sql"), params, Policy::read)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::testing::{FIXTURE, scratch};

    #[test]
    fn counts_by_hand() {
        let scratch = scratch(FIXTURE);
        let found = domain(&scratch.database, Window::ALL, "example.com").unwrap();
        assert_eq!((found.facets.counts.messages, found.facets.counts.dmarc_pass), (1761, 1641));
        let policies: Vec<_> =
            found.policies.iter().map(|policy| (policy.published.p.as_deref(), policy.reports)).collect();
        assert_eq!(policies, [(Some("quarantine"), 1), (Some("reject"), 2)]);
        assert_eq!(found.reporters.len(), 1);
        let from: Vec<_> = found.facets.domains.iter().map(|row| (row.detail.as_deref(), row.messages)).collect();
        assert_eq!(from, [(Some("example.com"), 1713), (Some("news.example.com"), 48)]);
        assert!(domain(&scratch.database, Window::ALL, "nothing.test").unwrap().policies.is_empty());
        // By the daily sums it is the same.
        let summed = format!("{FIXTURE}; INSERT INTO summed_report VALUES (1794873600, x'00')");
        let by_sums = domain(&self::scratch(&summed).database, Window::ALL, "example.com").unwrap();
        assert_eq!(by_sums, found);
    }
}
