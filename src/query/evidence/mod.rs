//! What reporters saw of each sending address: the raw results that tell why its mail passes or fails.

mod gather;
mod numbers;
mod results;

use std::collections::BTreeSet;
use std::sync::Arc;

use rusqlite::named_params;

pub(super) use numbers::Place;
pub(super) use results::Words;
pub use results::{Dkim, Reason, Results, Spf};

use super::{Counts, Database, Error, Window, sums};
use gather::Gathering;

/// A sending address and how its mail fared.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Its number.
    pub id: i64,
    /// Itself.
    pub ip: String,
    /// Whether a report that ended before the window tells of it.
    pub seen_before: bool,
    /// Its messages; complaints are not known here.
    pub counts: Counts,
    /// Begin of the first period of the window that it was seen in.
    pub first_at: i64,
    /// End of the last.
    pub last_at: i64,
}

/// Messages of one source that have all this in common; there may be several such. The first five are places in the lists of
/// [`Evidence`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// Who sent them.
    pub source: u32,
    /// Policy domain.
    pub domain: u32,
    /// Combination of DKIM results.
    pub dkim_set: u32,
    /// Combination of SPF results.
    pub spf_set: u32,
    /// Combination of override reasons.
    pub reason_set: u32,
    /// Whether DMARC passes; `None` where the reporter left that out.
    pub pass: Option<bool>,
    /// How many.
    pub messages: i64,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// Who sent.
    pub sources: Vec<Source>,
    /// Policy domains; `None` where the reports name none.
    pub domains: Vec<Option<Arc<str>>>,
    /// Combinations of DKIM results by their numbers: see [`Results::dkim`].
    pub dkim_sets: Vec<i64>,
    /// Combinations of SPF results.
    pub spf_sets: Vec<i64>,
    /// Combinations of override reasons; 0: none.
    pub reason_sets: Vec<i64>,
    /// What was seen.
    pub seen: Vec<Seen>,
    /// What the combinations of results and reasons are.
    pub results: Results,
}

/// Of the reports that [`super::summary::summary`] counts. One pass over the daily sums of the window, and a look at each
/// address and combination that is in them.
///
/// # Errors
/// As [`Database`].
pub fn evidence(database: &Database, window: Window, domain: Option<&str>, verified: bool) -> Result<Evidence, Error> {
    let mut gathering = Gathering::default();
    sums::in_window(database, window, domain, verified, |sum| gathering.take(sum))?;
    gathering.finish(database, window)
}

/// The same of these addresses alone, of all domains and reports.
///
/// # Errors
/// As [`Database`].
pub fn of(database: &Database, window: Window, addresses: &[super::source::Address]) -> Result<Evidence, Error> {
    let mut gathering = Gathering::default();
    sums::of(database, window, addresses.iter().map(|address| address.id), |sum| gathering.take(sum))?;
    gathering.finish(database, window)
}

/// Whether a report that ended before `since` tells of one of these addresses.
///
/// # Errors
/// As [`Database`].
pub fn any_seen_before(database: &Database, since: i64, of: &[super::source::Address]) -> Result<bool, Error> {
    let ids = of.iter().map(|address| address.id);
    let mut found = false;
    gather::first_seen(database, ids, |_, first_at| found |= first_at.is_some_and(|first_at| first_at < since))?;
    Ok(found)
}

/// The keys of these signing domains that have verified a signature at any time.
///
/// # Errors
/// As [`Database`].
pub fn keys<'a>(database: &Database, domains: impl Iterator<Item = &'a str>) -> Result<Vec<Dkim>, Error> {
    let once: BTreeSet<&str> = domains.collect();
    let domains = serde_json::Value::from_iter(once).to_string();
    database.rows(include_str!("keys.sql"), named_params! {":domains": domains}, |row| {
        Ok(Dkim { domain: row.get("domain")?, selector: row.get("selector")?, result: row.get("result")? })
    })
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
        let sum = |pass| found.seen.iter().filter(|seen| seen.pass == pass).map(|seen| seen.messages).sum::<i64>();
        assert_eq!((sum(Some(true)), sum(Some(false)), sum(None)), (1241, 20, 5));
        let mut sources: Vec<_> = found.sources.iter().map(|source| (source.ip.as_str(), source.seen_before)).collect();
        sources.sort_unstable();
        assert_eq!(sources, [("192.0.2.10", true), ("198.51.100.7", true), ("2001:db8::25", false)]);
        assert_eq!(found.results.dkim(1).len(), 2);
        let keys = keys(&scratch.database, ["example.com", "other.test"].into_iter()).unwrap();
        assert_eq!(keys.iter().map(|key| key.selector.as_deref()).collect::<Vec<_>>(), [Some("s1")]);
        assert_eq!(found.results.spf(2)[0].result.as_deref(), Some("softfail"));
        assert_eq!(found.results.reasons(1)[0].kind.as_deref(), Some("forwarded"));
        let org = evidence(&scratch.database, week, Some("example.org"), false).unwrap();
        assert_eq!(org.seen.iter().map(|seen| seen.messages).sum::<i64>(), 5);
        assert!(evidence(&scratch.database, week, None, true).unwrap().seen.len() < found.seen.len());
    }
}
