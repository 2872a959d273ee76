//! How messages fared in a window: in all, and by source, policy domain, reporter or day.
//!
//! Only aggregate reports count: of those that contradict each other the one that stands, and none whose mail failed
//! authentication.

use std::collections::{BTreeSet, HashMap};

use chrono::DateTime;
use rusqlite::{Row, named_params};

use super::days::{Cells, Day};
use super::{Counts, Database, Error, Window, sums};

/// What the rows of a summary are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The sending address.
    Source,
    /// The policy domain.
    Domain,
    /// The reporting organisation.
    Reporter,
    /// The UTC day on which the report's period ends; of a period of more than two days each day has its part.
    Day,
}

/// One row of a summary.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The source, domain, reporter or day (`2026-11-20`). `None` where the reports do not say.
    pub key: Option<String>,
    /// Its messages and complaints.
    pub counts: Counts,
    /// Begin of the first period it was seen in, within the window.
    pub first_at: i64,
    /// End of the last.
    pub last_at: i64,
    /// Of a day: messages among these that are its part of a longer report.
    pub spread: i64,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Policy domains that the reports of the window are about, in order.
    pub domains: Vec<String>,
    /// All messages and complaints of the window.
    pub totals: Counts,
    /// The same of the window of equal length before.
    pub previous: Counts,
    /// By most messages first, days in order.
    pub lines: Vec<Line>,
}

/// Sums up the window, for one policy `domain` or all. Complaints are those that arrived in the window; with `domain`,
/// those about mail whose From field names it or a subdomain of it. A complaint that names no line's source or domain
/// is in the totals only, and reporters have none: a feedback loop and a reporter are not told to be the same. With
/// `verified` only reports whose mail is known to come from their reporter count, and only trusted complaints.
///
/// # Errors
/// As [`Database`].
pub fn summary(
    database: &Database,
    window: Window,
    domain: Option<&str>,
    verified: bool,
    by: By,
) -> Result<Summary, Error> {
    let params =
        named_params! {":since": window.since, ":until": window.until, ":domain": domain, ":verified": verified};
    let mut lines = match (by, domain) {
        (By::Source, None) => {
            let params = named_params! {":since": window.since, ":until": window.until, ":verified": verified};
            database.rows(include_str!("by_source.sql"), params, line)?
        }
        (By::Source, Some(domain)) => sources_of(database, window, domain, verified)?,
        (By::Domain, _) => database.rows(include_str!("by_domain.sql"), params, line)?,
        (By::Reporter, _) => database.rows(include_str!("by_reporter.sql"), params, line)?,
        (By::Day, _) => {
            let mut cells = Cells::default();
            sums::in_window(database, window, domain, verified, |sum| {
                cells.add((sum.begin_at, sum.end_at), sum.results(), sum.disposition(), sum.messages);
            })?;
            cells.days().into_iter().map(of_day).collect()
        }
    };
    let domains = database.rows(include_str!("domains.sql"), params, |row| row.get::<_, String>("domain"))?;
    let complaints = database.rows(include_str!("complaints.sql"), params, Incidents::read)?;
    let mut totals = lines.iter().fold(Counts::default(), |sum, line| sum.plus(line.counts));
    totals.complaints = incidents(&complaints);
    attribute(&mut lines, &complaints, by);
    let previous = self::totals(database, window.previous(), domain, verified)?;
    Ok(Summary { domains, totals, previous, lines })
}

fn line(row: &Row<'_>) -> rusqlite::Result<Line> {
    Ok(Line {
        key: row.get("key")?,
        counts: Counts::read(row)?,
        first_at: row.get("first_at")?,
        last_at: row.get("last_at")?,
        spread: 0,
    })
}

/// By source, of one policy domain: the sums by address alone do not tell domains apart.
fn sources_of(database: &Database, window: Window, domain: &str, verified: bool) -> Result<Vec<Line>, Error> {
    let mut sources: HashMap<i64, Line> = HashMap::new();
    sums::in_window(database, window, Some(domain), verified, |sum| {
        let (dkim, spf) = sum.results();
        let line = sources.entry(sum.source).or_insert_with(|| Line {
            key: Some(sum.ip.to_owned()),
            counts: Counts::default(),
            first_at: sum.begin_at,
            last_at: sum.end_at,
            spread: 0,
        });
        line.counts = line.counts.plus(Counts::of(sum.messages, dkim, spf, sum.disposition()));
        line.first_at = line.first_at.min(sum.begin_at);
        line.last_at = line.last_at.max(sum.end_at);
    })?;
    let mut lines: Vec<Line> = sources.into_values().collect();
    lines.sort_by(|one, other| other.counts.messages.cmp(&one.counts.messages).then_with(|| one.key.cmp(&other.key)));
    Ok(lines)
}

fn of_day(day: Day) -> Line {
    let date = DateTime::from_timestamp(day.day.saturating_mul(86_400), 0);
    Line {
        key: date.map(|date| date.format("%Y-%m-%d").to_string()),
        counts: day.counts,
        first_at: day.first_at,
        last_at: day.last_at,
        spread: day.spread,
    }
}

/// Incidents of complaints about mail of a window, as [`summary`] counts them: all, and those of each sending address.
///
/// # Errors
/// As [`Database`].
pub fn complaints(
    database: &Database,
    window: Window,
    domain: Option<&str>,
    verified: bool,
) -> Result<(i64, HashMap<String, i64>), Error> {
    let params =
        named_params! {":since": window.since, ":until": window.until, ":domain": domain, ":verified": verified};
    let found = database.rows(include_str!("complaints.sql"), params, Incidents::read)?;
    let all = incidents(&found);
    let mut sources: HashMap<String, i64> = HashMap::new();
    for complaint in found {
        if let Some(ip) = complaint.source_ip {
            let sum = sources.entry(ip).or_default();
            *sum = sum.saturating_add(complaint.incidents);
        }
    }
    Ok((all, sources))
}

/// All messages and complaints of a window together, as [`summary`] counts them.
///
/// # Errors
/// As [`Database`].
pub fn totals(database: &Database, window: Window, domain: Option<&str>, verified: bool) -> Result<Counts, Error> {
    let params =
        named_params! {":since": window.since, ":until": window.until, ":domain": domain, ":verified": verified};
    let complaints = database.rows(include_str!("complaints.sql"), params, Incidents::read)?;
    let counts = database.one(include_str!("totals.sql"), params, Counts::read)?;
    Ok(Counts { complaints: incidents(&complaints), ..counts })
}

super::row! {
    /// Complaints that have these three in common.
    pub struct Incidents {
        /// The sending address.
        source_ip: Option<String>,
        /// The domain of the From field of the mail complained about.
        header_from: Option<String>,
        /// The UTC day of arrival.
        day: Option<String>,
        /// How many incidents.
        incidents: i64,
    }
}

fn incidents(complaints: &[Incidents]) -> i64 {
    complaints.iter().fold(0, |sum: i64, row| sum.saturating_add(row.incidents))
}

/// Adds each complaint to the line it belongs to, if there is one.
fn attribute(lines: &mut [Line], complaints: &[Incidents], by: By) {
    let keys: BTreeSet<&str> = lines.iter().filter_map(|line| line.key.as_deref()).collect();
    let mut found: HashMap<String, i64> = HashMap::new();
    for complaint in complaints {
        let key = match by {
            By::Source => complaint.source_ip.as_deref(),
            By::Domain => complaint.header_from.as_deref().and_then(|domain| governing(domain, &keys)),
            By::Reporter => None,
            By::Day => complaint.day.as_deref(),
        };
        if let Some(key) = key.filter(|key| keys.contains(key)) {
            let sum = found.entry(key.to_owned()).or_default();
            *sum = sum.saturating_add(complaint.incidents);
        }
    }
    for line in lines {
        line.counts.complaints = line.key.as_ref().and_then(|key| found.get(key)).copied().unwrap_or(0);
    }
}

/// The longest of `policies` that is `domain` or above it.
fn governing<'a>(domain: &'a str, policies: &BTreeSet<&str>) -> Option<&'a str> {
    let parents = domain.match_indices('.').map(|(dot, _)| &domain[dot + 1..]);
    std::iter::once(domain).chain(parents).find(|parent| policies.contains(parent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::notes::notes;
    use crate::query::policy::policies;
    use crate::query::testing::{FIXTURE, scratch};

    const WEEK: Window = Window { since: 1_794_614_400, until: 1_795_219_200 };

    fn keys(summary: &Summary) -> Vec<(&str, i64, i64)> {
        let line = |line: &'_ Line| (line.counts.messages, line.counts.complaints);
        summary.lines.iter().map(|row| (row.key.as_deref().unwrap_or("-"), line(row).0, line(row).1)).collect()
    }

    #[test]
    fn counts_by_hand() {
        let scratch = scratch(FIXTURE);
        let all = summary(&scratch.database, WEEK, None, false, By::Source).unwrap();
        assert_eq!(all.domains, ["example.com", "example.org"]);
        assert_eq!(
            all.totals,
            Counts {
                messages: 1266,
                dmarc_pass: 1241,
                dkim_pass: 1240,
                spf_pass: 1201,
                unknown: 5,
                quarantine: 12,
                reject: 8,
                complaints: 6,
            }
        );
        assert_eq!(keys(&all), [("192.0.2.10", 1240, 3), ("198.51.100.7", 20, 0), ("2001:db8::25", 6, 0)]);
        assert_eq!(all.lines[0].first_at, 1_794_873_600);
        assert_eq!(all.lines[0].last_at, 1_795_132_799);
        assert_eq!((all.previous.messages, all.previous.dmarc_pass, all.previous.complaints), (500, 400, 1));
    }

    #[test]
    fn by_domain_reporter_and_day() {
        let scratch = scratch(FIXTURE);
        let by = |by| summary(&scratch.database, WEEK, None, false, by).unwrap();
        // The complaint about news.example.com belongs to the policy of example.com.
        assert_eq!(keys(&by(By::Domain)), [("example.com", 1261, 4), ("example.org", 5, 0)]);
        assert_eq!(keys(&by(By::Reporter)), [("google.com", 1261, 0), ("Outlook", 5, 0)]);
        assert_eq!(keys(&by(By::Day)), [("2026-11-17", 1021, 3), ("2026-11-19", 245, 1)]);
    }

    #[test]
    fn one_domain_takes_its_reports_and_the_complaints_below_it() {
        let scratch = scratch(FIXTURE);
        let of = |domain| summary(&scratch.database, WEEK, Some(domain), false, By::Source).unwrap();
        let com = of("example.com");
        assert_eq!((com.totals.messages, com.totals.complaints, com.domains.len()), (1261, 4, 1));
        assert_eq!(of("example.org").totals.messages, 5);
        assert_eq!(of("xample.com").totals, Counts::default(), "no match by suffix of a label");
    }

    #[test]
    fn counts_too_large_to_add_leave_an_answer() {
        let rows = "INSERT INTO message (id, origin, seen_at, bytes, outcome) VALUES (1, 'x', 0, 0, 'stored');
            INSERT INTO report (id, kind, message, part, report_id, begin_at, end_at, identity, content_hash)
              VALUES (1, 'aggregate', 1, '', 'r', 0, 100, x'00', x'00');
            INSERT INTO address (id, ip) VALUES (1, '192.0.2.1');
            INSERT INTO dkim_set VALUES (1, x'00'); INSERT INTO spf_set VALUES (1, x'00');
            INSERT INTO record VALUES (1, 0, 1, 9223372036854775807, 0, 1, 1, NULL, NULL, NULL, 1, 1, NULL),
                                      (1, 1, 1, 9223372036854775807, 0, 1, 1, NULL, NULL, NULL, 1, 1, NULL);";
        let scratch = scratch(rows);
        let all = summary(&scratch.database, Window { since: 0, until: 200 }, None, false, By::Source).unwrap();
        assert_eq!(all.totals.messages, i64::MAX);
    }

    /// A report of one message for each of these ends of periods.
    fn ending(ends: &[i64]) -> String {
        let mut rows = "INSERT INTO message (id, origin, seen_at, bytes, outcome) VALUES (1, 'x', 0, 0, 'stored');
            INSERT INTO address (id, ip) VALUES (1, '192.0.2.1'); INSERT INTO text (id, value) VALUES (1, 'example.com');
            INSERT INTO aggregate (id, digest) VALUES (1, x'00');
            INSERT INTO dkim_set VALUES (1, x'00'); INSERT INTO spf_set VALUES (1, x'00');"
            .to_owned();
        for (number, end_at) in ends.iter().enumerate() {
            rows.push_str(&format!(
                "INSERT INTO report (id, kind, message, part, report_id, domain, begin_at, end_at, records_seen, records, messages,
                                     aggregate, identity, content_hash)
                   VALUES ({number} + 1, 'aggregate', 1, '', 'r', 1, {end_at} - 7200, {end_at}, 1, 1, 1, 1, x'{number:02x}', x'00');
                 INSERT INTO record VALUES ({number} + 1, 0, 1, 1, 0, 1, 1, NULL, NULL, NULL, 1, 1, NULL);"
            ));
        }
        rows
    }

    #[test]
    fn a_window_begins_and_ends_at_any_second() {
        const DAY: i64 = 86_400;
        let ends: Vec<i64> = (-1..2).flat_map(|day| [day * DAY, day * DAY + 1, day * DAY + 40_000]).collect();
        let database = scratch(&ending(&ends)).database;
        let borders = [i64::MIN, i64::MAX].into_iter().chain(ends.iter().flat_map(|end| [*end, end + 1]));
        let borders: BTreeSet<i64> = borders.collect();
        for since in &borders {
            for until in &borders {
                let window = Window { since: *since, until: *until };
                let inside: Vec<i64> = ends.iter().copied().filter(|end_at| window.holds(*end_at)).collect();
                let count = inside.len() as i64;
                let by = |by| summary(&database, window, None, false, by).unwrap().totals.messages;
                assert_eq!([By::Source, By::Domain, By::Reporter, By::Day].map(by), [count; 4], "{window:?}");
                assert_eq!(totals(&database, window, None, false).unwrap().messages, count, "{window:?}");
                assert_eq!(notes(&database, window, None, false).unwrap().reports, count, "{window:?}");
                let policies = policies(&database, window, None, false).unwrap();
                let reach = policies
                    .first()
                    .map(|policy| (policy.reach.reports, policy.reach.first_at + 7200, policy.reach.last_at));
                assert_eq!(
                    reach,
                    inside.first().zip(inside.last()).map(|(first, last)| (count, *first, *last)),
                    "{window:?}"
                );
            }
        }
    }

    #[test]
    fn a_policy_governs_what_is_below_it() {
        let policies = BTreeSet::from(["example.com", "a.example.com"]);
        for (domain, expected) in [
            ("example.com", Some("example.com")),
            ("x.a.example.com", Some("a.example.com")),
            ("ba.example.com", Some("example.com")),
            ("badexample.com", None),
            ("com", None),
            ("", None),
        ] {
            assert_eq!(governing(domain, &policies), expected, "{domain}");
        }
    }
}
