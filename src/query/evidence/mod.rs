//! What reporters saw of each sending address: the raw results that tell why its mail passes or fails.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Row, named_params};

use super::{Database, Error, Window};

super::row! {
    /// Messages of one address that have all of this in common.
    pub struct Seen {
        /// The address, by number: see [`Evidence::sources`].
        source: i64,
        /// Policy domain.
        domain: Option<String>,
        /// Combination of results: see [`Evidence::dkim`] and [`Evidence::spf`].
        auth_set: i64,
        /// Combination of override reasons: see [`Evidence::reasons`].
        reason_set: Option<i64>,
        /// Whether DMARC passes; `None` where the reporter left that out.
        pass: Option<bool>,
        /// How many.
        messages: i64,
    }
}

super::row! {
    /// A DKIM result.
    pub struct Dkim {
        /// `d=`.
        domain: Option<String>,
        /// `s=`.
        selector: Option<String>,
        /// The result.
        result: Option<String>,
    }
}

super::row! {
    /// An SPF result.
    pub struct Spf {
        /// The domain.
        domain: Option<String>,
        /// The result.
        result: Option<String>,
    }
}

super::row! {
    /// An override reason.
    pub struct Reason {
        /// Its type.
        kind: Option<String>,
        /// The reporter's explanation.
        comment: Option<String>,
    }
}

super::row! {
    /// A sending address.
    pub struct Address {
        /// Its number.
        id: i64,
        /// Itself.
        ip: String,
        /// Whether a report that ended before the window tells of it.
        seen_before: bool,
    }
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// What was seen.
    pub rows: Vec<Seen>,
    /// Addresses by number.
    pub sources: HashMap<i64, Address>,
    /// DKIM results by combination.
    pub dkim: HashMap<i64, Vec<Dkim>>,
    /// SPF results by combination.
    pub spf: HashMap<i64, Vec<Spf>>,
    /// Override reasons by combination.
    pub reasons: HashMap<i64, Vec<Reason>>,
}

/// Of the reports that [`super::summary::summary`] counts.
///
/// # Errors
/// As [`Database`].
pub fn evidence(database: &Database, window: Window, domain: Option<&str>, verified: bool) -> Result<Evidence, Error> {
    let params =
        named_params! {":since": window.since, ":until": window.until, ":domain": domain, ":verified": verified};
    let rows = database.rows(include_str!("rows.sql"), params, Seen::read)?;
    let auth_sets = numbers(rows.iter().map(|row| row.auth_set));
    let reason_sets = numbers(rows.iter().filter_map(|row| row.reason_set));
    let sources = numbers(rows.iter().map(|row| row.source));
    let seen = named_params! {":sources": sources, ":since": window.since};
    let sources = database.rows(include_str!("sources.sql"), seen, Address::read)?;
    Ok(Evidence {
        rows,
        sources: sources.into_iter().map(|source| (source.id, source)).collect(),
        dkim: sets(database, include_str!("dkim.sql"), &auth_sets, |row| Ok((row.get("id")?, Dkim::read(row)?)))?,
        spf: sets(database, include_str!("spf.sql"), &auth_sets, |row| Ok((row.get("id")?, Spf::read(row)?)))?,
        reasons: sets(database, include_str!("reasons.sql"), &reason_sets, |row| {
            Ok((row.get("id")?, Reason::read(row)?))
        })?,
    })
}

/// Each number once, as a JSON array.
fn numbers(all: impl Iterator<Item = i64>) -> String {
    let once: BTreeSet<i64> = all.collect();
    let text: Vec<String> = once.iter().map(i64::to_string).collect();
    format!("[{}]", text.join(","))
}

fn sets<T>(
    database: &Database,
    sql: &str,
    numbers: &str,
    read: fn(&Row<'_>) -> rusqlite::Result<(i64, T)>,
) -> Result<HashMap<i64, Vec<T>>, Error> {
    let mut found: HashMap<i64, Vec<T>> = HashMap::new();
    for (set, result) in database.rows(sql, named_params! {":sets": numbers}, read)? {
        found.entry(set).or_default().push(result);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::testing::{FIXTURE, scratch};

    #[test]
    fn every_message_of_the_window_is_seen_once() {
        let scratch = scratch(FIXTURE);
        let week = Window { since: 1_794_614_400, until: 1_795_219_200 };
        let found = evidence(&scratch.database, week, None, false).unwrap();
        let sum = |pass| found.rows.iter().filter(|row| row.pass == pass).map(|row| row.messages).sum::<i64>();
        assert_eq!((sum(Some(true)), sum(Some(false)), sum(None)), (1241, 20, 5));
        let mut sources: Vec<_> =
            found.sources.values().map(|source| (source.ip.as_str(), source.seen_before)).collect();
        sources.sort_unstable();
        assert_eq!(sources, [("192.0.2.10", true), ("198.51.100.7", true), ("2001:db8::25", false)]);
        assert_eq!(found.dkim[&1].len(), 2);
        assert_eq!(found.spf[&2][0].result.as_deref(), Some("softfail"));
        assert_eq!(found.reasons[&1][0].kind.as_deref(), Some("forwarded"));
        let org = evidence(&scratch.database, week, Some("example.org"), false).unwrap();
        assert_eq!(org.rows.iter().map(|row| row.messages).sum::<i64>(), 5);
        assert!(evidence(&scratch.database, week, None, true).unwrap().rows.len() < found.rows.len());
    }
}
