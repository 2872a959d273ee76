//! Everything known about one sending address.

use std::net::IpAddr;

use rusqlite::{Row, named_params};

use super::{Counts, Database, Error, Window};

/// All its messages, and when it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Messages and complaints.
    pub counts: Counts,
    /// Begin of the first period it was seen in.
    pub first_at: Option<i64>,
    /// End of the last.
    pub last_at: Option<i64>,
}

super::row! {
    /// One way in which its messages can be told apart.
    pub struct Facet {
        /// `domain`, `reporter`, `dkim`, `spf`, `disposition`, `reason` or `complaint`.
        section: String,
        /// Policy domain, reporter, DKIM or SPF domain, disposition, reason or feedback type.
        name: Option<String>,
        /// From domain, DKIM selector, SPF scope, comment of the reason, or provider of the complaint.
        detail: Option<String>,
        /// DKIM or SPF result.
        result: Option<String>,
        /// Messages; incidents of complaints. One message counts in each of several signatures and reasons.
        messages: i64,
        /// Of these with DMARC pass; `None` for complaints.
        dmarc_pass: Option<i64>,
        /// Begin of the first period, or first complaint.
        first_at: i64,
        /// End of the last period, or last complaint.
        last_at: i64,
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// All together.
    pub totals: Totals,
    /// By section, and within it by most messages first.
    pub facets: Vec<Facet>,
}

/// What reports whose period ends in `window`, and complaints that arrived in it, say about `ip`.
///
/// # Errors
/// As [`Database`].
pub fn source(database: &Database, window: Window, ip: IpAddr) -> Result<Source, Error> {
    const FACETS: [&str; 7] = [
        include_str!("domains.sql"),
        include_str!("reporters.sql"),
        include_str!("dkim.sql"),
        include_str!("spf.sql"),
        include_str!("dispositions.sql"),
        include_str!("reasons.sql"),
        include_str!("complaints.sql"),
    ];
    let ip = ip.to_canonical().to_string();
    let params = named_params! {":ip": ip, ":since": window.since, ":until": window.until};
    let mut totals = database.one(include_str!("totals.sql"), params, totals)?;
    let mut facets = Vec::new();
    for sql in FACETS {
        facets.extend(database.rows(sql, params, Facet::read)?);
    }
    let complaint = |facet: &&Facet| facet.section == "complaint" && facet.name.as_deref() != Some("not-spam");
    totals.counts.complaints =
        facets.iter().filter(complaint).fold(0, |sum: i64, facet| sum.saturating_add(facet.messages));
    Ok(Source { totals, facets })
}

fn totals(row: &Row<'_>) -> rusqlite::Result<Totals> {
    Ok(Totals { counts: Counts::read(row)?, first_at: row.get("first_at")?, last_at: row.get("last_at")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::testing::{FIXTURE, scratch};

    #[test]
    fn counts_by_hand() {
        let scratch = scratch(FIXTURE);
        let source = |ip: &str| source(&scratch.database, Window::ALL, ip.parse().unwrap()).unwrap();
        let found = source("192.0.2.10");
        assert_eq!(found.totals.counts.messages, 1640, "the conflicting report does not count");
        assert_eq!((found.totals.counts.dkim_pass, found.totals.counts.spf_pass), (1640, 1600));
        assert_eq!(found.totals.counts.complaints, 4, "not-spam is no complaint");
        assert_eq!((found.totals.first_at, found.totals.last_at), (Some(1_794_268_800), Some(1_795_132_799)));
        let facets: Vec<_> = found
            .facets
            .iter()
            .map(|f| (&*f.section, f.name.as_deref(), f.detail.as_deref(), f.result.as_deref(), f.messages))
            .collect();
        assert_eq!(
            facets,
            [
                ("domain", Some("example.com"), Some("example.com"), None, 1600),
                ("domain", Some("example.com"), Some("news.example.com"), None, 40),
                ("reporter", Some("google.com"), None, None, 1640),
                ("dkim", Some("example.com"), Some("s1"), Some("pass"), 1640),
                ("dkim", Some("other.test"), None, Some("fail"), 1640),
                ("spf", Some("bounces.example.com"), Some("mfrom"), Some("pass"), 1640),
                ("disposition", Some("none"), None, None, 1640),
                ("complaint", Some("not-spam"), Some("yahoo"), None, 5),
                ("complaint", Some("abuse"), Some("yahoo"), None, 4),
            ]
        );
        assert_eq!(source("::ffff:192.0.2.10"), found, "a mapped address is the address");
        assert_eq!(source("192.0.2.99").totals.counts, Counts::default());
        let reasons = source("2001:DB8::25").facets;
        assert_eq!(reasons.iter().filter(|facet| facet.section == "reason").count(), 2);
    }
}
