//! Sums of the daily tables, which cost by the window and not by what is stored. They say the same as sums over the rows:
//! reports that count, whole, whose period ends in the window.
//!
//! Domains, organisations and addresses are numbers here; [`texts`] and [`addresses`] name those that are shown.

pub mod spread;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;

use rusqlite::{Row, named_params};

use super::{Counts, Database, Error, Window};
use crate::store::daily::day;

/// What is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'a> {
    /// Reports whose period ends in it.
    pub window: Window,
    /// Only of this policy domain.
    pub domain: Option<&'a str>,
    /// Only reports whose mail is known to come from their reporter.
    pub verified: bool,
}

impl Filter<'_> {
    /// The first and the last day in which a period of the window ends.
    fn days(&self) -> (i64, i64) {
        (day(self.window.since), day(self.window.until.saturating_sub(1)))
    }
}

/// What one sending address sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its number; see [`addresses`].
    pub source: i64,
    /// How its messages fared. No complaints.
    pub counts: Counts,
    /// Messages with a reason `forwarded`, `mailing_list` or `trusted_forwarder`.
    pub forwarded: i64,
    /// Messages with a DKIM signature that passes, of whatever domain.
    pub dkim_any: i64,
    /// Messages with an SPF pass, of whatever domain.
    pub spf_any: i64,
    /// Begin of the first period it was seen in.
    pub first_at: i64,
    /// End of the last.
    pub last_at: i64,
}

impl Source {
    fn read(row: &Row<'_>) -> rusqlite::Result<Source> {
        Ok(Source {
            source: row.get("source")?,
            counts: Counts::read(row)?,
            forwarded: row.get("forwarded")?,
            dkim_any: row.get("dkim_any")?,
            spf_any: row.get("spf_any")?,
            first_at: row.get("first_at")?,
            last_at: row.get("last_at")?,
        })
    }

    fn plus(&mut self, other: &Source) {
        self.counts = self.counts.plus(other.counts);
        self.forwarded = self.forwarded.saturating_add(other.forwarded);
        self.dkim_any = self.dkim_any.saturating_add(other.dkim_any);
        self.spf_any = self.spf_any.saturating_add(other.spf_any);
        self.first_at = self.first_at.min(other.first_at);
        self.last_at = self.last_at.max(other.last_at);
    }
}

/// Every sending address of the window, in no order.
///
/// # Errors
/// As [`Database`].
pub fn sources(database: &Database, filter: Filter<'_>) -> Result<Vec<Source>, Error> {
    let Filter { window: Window { since, until }, domain, verified } = filter;
    let (first, last) = filter.days();
    let mut found: HashMap<i64, Source> = HashMap::new();
    let take = |source: Source| {
        match found.entry(source.source) {
            Entry::Occupied(mut known) => known.get_mut().plus(&source),
            Entry::Vacant(new) => drop(new.insert(source)),
        }
        Ok::<_, Error>(true)
    };
    match domain {
        None => database.each(
            include_str!("sources.sql"),
            named_params! {":first": first, ":last": last, ":since": since, ":until": until, ":verified": verified},
            Source::read,
            take,
        )?,
        Some(domain) => database.each(
            include_str!("domain_sources.sql"),
            named_params! {":first": first, ":last": last, ":since": since, ":until": until, ":verified": verified,
            ":domain": domain},
            Source::read,
            take,
        )?,
    }
    Ok(found.into_values().collect())
}

/// What one reporter reported of one policy domain in reports of one period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reported {
    /// The policy domain, see [`texts`]; `None` where the reports do not say.
    pub domain: Option<i64>,
    /// The reporting organisation, likewise.
    pub org_name: Option<i64>,
    /// Begin of the period.
    pub begin_at: i64,
    /// Its end.
    pub end_at: i64,
    /// How many reports.
    pub reports: i64,
    /// How the messages fared. No complaints.
    pub counts: Counts,
}

impl Reported {
    fn read(row: &Row<'_>) -> rusqlite::Result<Reported> {
        Ok(Reported {
            domain: row.get("domain")?,
            org_name: row.get("org_name")?,
            begin_at: row.get("begin_at")?,
            end_at: row.get("end_at")?,
            reports: row.get("reports")?,
            counts: Counts::read(row)?,
        })
    }
}

/// Hands over what was reported in the window, day by day. [`spread::counts`] parts a long period into days.
///
/// # Errors
/// As [`Database`].
pub fn reported(database: &Database, filter: Filter<'_>, mut take: impl FnMut(Reported)) -> Result<(), Error> {
    let Filter { window: Window { since, until }, domain, verified } = filter;
    let (first, last) = filter.days();
    database.each(
        include_str!("reporters.sql"),
        named_params! {":first": first, ":last": last, ":since": since, ":until": until, ":verified": verified,
        ":domain": domain},
        Reported::read,
        |reported| {
            take(reported);
            Ok(true)
        },
    )
}

/// All messages of the window together. No complaints.
///
/// # Errors
/// As [`Database`].
pub fn totals(database: &Database, filter: Filter<'_>) -> Result<Counts, Error> {
    let Filter { window: Window { since, until }, domain, verified } = filter;
    let (first, last) = filter.days();
    database.one(
        include_str!("totals.sql"),
        named_params! {":first": first, ":last": last, ":since": since, ":until": until, ":verified": verified,
        ":domain": domain},
        Counts::read,
    )
}

super::row! {
    /// Messages of one sending address that have all this in common.
    pub struct Sent {
        /// The policy domain, see [`texts`].
        domain: Option<i64>,
        /// The domain of the From field, likewise.
        header_from: Option<i64>,
        /// 0 none, 1 quarantine, 2 reject, 3 pass.
        disposition: Option<i64>,
        /// The aligned result: 1 pass, 0 fail.
        dkim: Option<i64>,
        /// Likewise.
        spf: Option<i64>,
        /// Row of `auth_set`: `dkim_result` and `spf_result` tell what it holds.
        auth_set: i64,
        /// Row of `reason_set`: `reason` tells what it holds.
        reason_set: Option<i64>,
        /// Begin of the period.
        begin_at: i64,
        /// Its end.
        end_at: i64,
        /// How many.
        messages: i64,
    }
}

/// Hands over what `ip` sent, day by day.
///
/// # Errors
/// As [`Database`].
pub fn sent(database: &Database, filter: Filter<'_>, ip: IpAddr, mut take: impl FnMut(Sent)) -> Result<(), Error> {
    let Filter { window: Window { since, until }, domain, verified } = filter;
    let (first, last) = filter.days();
    let ip = ip.to_canonical().to_string();
    database.each(
        include_str!("results.sql"),
        named_params! {":first": first, ":last": last, ":since": since, ":until": until, ":verified": verified,
        ":domain": domain, ":ip": ip},
        Sent::read,
        |sent| {
            take(sent);
            Ok(true)
        },
    )
}

/// The texts of these numbers.
///
/// # Errors
/// As [`Database`].
pub fn texts(database: &Database, numbers: impl Iterator<Item = i64>) -> Result<HashMap<i64, String>, Error> {
    names(database, include_str!("text.sql"), numbers)
}

/// The addresses of these numbers.
///
/// # Errors
/// As [`Database`].
pub fn addresses(database: &Database, numbers: impl Iterator<Item = i64>) -> Result<HashMap<i64, String>, Error> {
    names(database, include_str!("address.sql"), numbers)
}

/// In the order of the rows, which lie beside each other.
fn names(database: &Database, sql: &str, numbers: impl Iterator<Item = i64>) -> Result<HashMap<i64, String>, Error> {
    let mut numbers: Vec<i64> = numbers.collect();
    numbers.sort_unstable();
    numbers.dedup();
    let look_up = || -> rusqlite::Result<HashMap<i64, String>> {
        let mut statement = database.connection().prepare(sql)?;
        let one = |number: &i64| Ok((*number, statement.query_row([number], |row| row.get(0))?));
        numbers.iter().map(one).collect()
    };
    look_up().map_err(|error| database.explain(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::summary;
    use crate::query::testing::{FIXTURE, scratch};

    const WEEK: Window = Window { since: 1_794_614_400, until: 1_795_219_200 };

    /// The sums over the rows, which the fixture is small enough for.
    fn by_rows(database: &Database, window: Window, domain: Option<&str>, verified: bool) -> Vec<(String, Counts)> {
        let summary = summary::summary(database, window, domain, verified, summary::By::Source);
        let lines = summary.unwrap().lines.into_iter();
        let mut lines: Vec<_> =
            lines.map(|line| (line.key.unwrap(), Counts { complaints: 0, ..line.counts })).collect();
        lines.sort_by(|one, other| one.0.cmp(&other.0));
        lines
    }

    #[test]
    fn sums_are_those_of_the_rows() {
        let scratch = scratch(FIXTURE);
        let mut windows = vec![WEEK, WEEK.previous(), Window::ALL, Window { since: 0, until: 0 }];
        // Windows that begin and end at each second around the ends of periods.
        for at in [1_794_960_000, 1_795_046_399, 1_795_046_400, 1_795_132_799, 1_795_132_800] {
            windows.extend([-1, 0, 1].map(|by| Window { since: at + by, until: i64::MAX }));
            windows.extend([-1, 0, 1].map(|by| Window { since: 0, until: at + by }));
        }
        for window in windows {
            for domain in [None, Some("example.com"), Some("example.org"), Some("nobody.example")] {
                for verified in [false, true] {
                    let filter = Filter { window, domain, verified };
                    let found = sources(&scratch.database, filter).unwrap();
                    let names = addresses(&scratch.database, found.iter().map(|source| source.source)).unwrap();
                    let mut lines: Vec<_> =
                        found.iter().map(|source| (names[&source.source].clone(), source.counts)).collect();
                    lines.sort_by(|one, other| one.0.cmp(&other.0));
                    let rows = by_rows(&scratch.database, window, domain, verified);
                    assert_eq!(lines, rows, "{filter:?}");
                    let sum = rows.iter().fold(Counts::default(), |sum, line| sum.plus(line.1));
                    assert_eq!(totals(&scratch.database, filter).unwrap(), sum, "{filter:?}");
                    let mut all = Counts::default();
                    reported(&scratch.database, filter, |reported| all = all.plus(reported.counts)).unwrap();
                    assert_eq!(all, sum, "{filter:?}");
                    for (ip, counts) in rows {
                        let mut messages = 0;
                        sent(&scratch.database, filter, ip.parse().unwrap(), |sent| messages += sent.messages).unwrap();
                        assert_eq!(messages, counts.messages, "{ip} {filter:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn names_are_those_of_the_rows() {
        let scratch = scratch(FIXTURE);
        let mut names = Vec::new();
        let filter = Filter { window: WEEK, domain: None, verified: false };
        reported(&scratch.database, filter, |reported| names.extend([reported.domain, reported.org_name])).unwrap();
        let texts = texts(&scratch.database, names.into_iter().flatten()).unwrap();
        let mut texts: Vec<&str> = texts.values().map(String::as_str).collect();
        texts.sort_unstable();
        assert_eq!(texts, ["Outlook", "example.com", "example.org", "google.com"]);
    }
}
