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
        /// Combination of results: see [`Results::dkim`] and [`Results::spf`].
        auth_set: i64,
        /// Combination of override reasons: see [`Results::reasons`].
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
        /// `mfrom` or `helo`.
        scope: Option<String>,
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
    /// What their combinations of results and reasons are.
    pub results: Results,
}

/// Results and reasons by the numbers of their combinations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results {
    /// DKIM results.
    pub dkim: HashMap<i64, Vec<Dkim>>,
    /// SPF results.
    pub spf: HashMap<i64, Vec<Spf>>,
    /// Override reasons.
    pub reasons: HashMap<i64, Vec<Reason>>,
}

impl Results {
    /// Looks up these combinations.
    pub(super) fn of(
        database: &Database,
        auth_sets: impl Iterator<Item = i64>,
        reason_sets: impl Iterator<Item = i64>,
    ) -> Result<Results, Error> {
        let (auth_sets, reason_sets) = (numbers(auth_sets), numbers(reason_sets));
        Ok(Results {
            dkim: sets(database, include_str!("dkim.sql"), &auth_sets, |row| Ok((row.get("id")?, Dkim::read(row)?)))?,
            spf: sets(database, include_str!("spf.sql"), &auth_sets, |row| Ok((row.get("id")?, Spf::read(row)?)))?,
            reasons: sets(database, include_str!("reasons.sql"), &reason_sets, |row| {
                Ok((row.get("id")?, Reason::read(row)?))
            })?,
        })
    }

    /// The DKIM results of a combination.
    pub fn dkim(&self, set: i64) -> &[Dkim] {
        self.dkim.get(&set).map_or(&[], Vec::as_slice)
    }

    /// The SPF results of a combination.
    pub fn spf(&self, set: i64) -> &[Spf] {
        self.spf.get(&set).map_or(&[], Vec::as_slice)
    }

    /// The override reasons of a combination.
    pub fn reasons(&self, set: i64) -> &[Reason] {
        self.reasons.get(&set).map_or(&[], Vec::as_slice)
    }
}

/// Of the reports that [`super::summary::summary`] counts.
///
/// # Errors
/// As [`Database`].
pub fn evidence(database: &Database, window: Window, domain: Option<&str>, verified: bool) -> Result<Evidence, Error> {
    let params =
        named_params! {":since": window.since, ":until": window.until, ":domain": domain, ":verified": verified};
    let rows = database.rows(include_str!("rows.sql"), params, Seen::read)?;
    let sources = addresses(database, window.since, rows.iter().map(|row| row.source))?;
    let results =
        Results::of(database, rows.iter().map(|row| row.auth_set), rows.iter().filter_map(|row| row.reason_set))?;
    Ok(Evidence { rows, sources: sources.into_iter().map(|source| (source.id, source)).collect(), results })
}

/// Whether a report that ended before `since` tells of one of these addresses.
///
/// # Errors
/// As [`Database`].
pub fn any_seen_before(database: &Database, since: i64, of: &[super::source::Address]) -> Result<bool, Error> {
    let found = addresses(database, since, of.iter().map(|address| address.id))?;
    Ok(found.iter().any(|address| address.seen_before))
}

fn addresses(database: &Database, since: i64, sources: impl Iterator<Item = i64>) -> Result<Vec<Address>, Error> {
    let params = named_params! {":sources": numbers(sources), ":since": since};
    database.rows(include_str!("sources.sql"), params, Address::read)
}

/// The keys of these signing domains that have verified a signature at any time.
///
/// # Errors
/// As [`Database`].
pub fn keys<'a>(database: &Database, domains: impl Iterator<Item = &'a str>) -> Result<Vec<Dkim>, Error> {
    let once: BTreeSet<&str> = domains.collect();
    let domains = serde_json::Value::from_iter(once).to_string();
    database.rows(include_str!("keys.sql"), named_params! {":domains": domains}, Dkim::read)
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
        assert_eq!(found.results.dkim(1).len(), 2);
        let keys = keys(&scratch.database, ["example.com", "other.test"].into_iter()).unwrap();
        assert_eq!(keys.iter().map(|key| key.selector.as_deref()).collect::<Vec<_>>(), [Some("s1")]);
        assert_eq!(found.results.spf(2)[0].result.as_deref(), Some("softfail"));
        assert_eq!(found.results.reasons(1)[0].kind.as_deref(), Some("forwarded"));
        let org = evidence(&scratch.database, week, Some("example.org"), false).unwrap();
        assert_eq!(org.rows.iter().map(|row| row.messages).sum::<i64>(), 5);
        assert!(evidence(&scratch.database, week, None, true).unwrap().rows.len() < found.rows.len());
    }
}
