//! Reporters and policy domains that fell silent: who had a rhythm and broke it.

use std::collections::BTreeMap;

use crate::number;
use crate::query::heard::{Heard, heard};
use crate::query::{Database, Error, Window};

/// How far back a rhythm is looked for.
const MEMORY_SECONDS: i64 = 35 * DAY;
const DAY: i64 = 86_400;
/// Days with a report that make a rhythm.
const LEAST_DAYS: i64 = 4;

/// One that fell silent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silent {
    /// `reporter` or `domain`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// End of the last period.
    pub last_at: i64,
    /// How often it was heard before: seconds between reports.
    pub rhythm_seconds: i64,
}

impl Silent {
    /// In a sentence; the name is not sanitized yet.
    pub fn words(&self, now: i64) -> String {
        let about = if self.kind == "domain" { "No report about" } else { "No report from" };
        let rhythm = number::length((self.rhythm_seconds + 1800) / 3600 * 3600);
        let rhythm = rhythm.strip_prefix("1 ").filter(|unit| !unit.contains(' ')).unwrap_or(&rhythm);
        format!(
            "{about} {} since {} UTC ({} ago); before, one every {rhythm}.",
            self.name,
            number::time(self.last_at),
            number::length((now - self.last_at) / 3600 * 3600),
        )
    }
}

/// Who has been silent at `now` for longer than `least`, and than three times its rhythm.
///
/// # Errors
/// As [`Database`].
pub fn silence(database: &Database, now: i64, least: i64) -> Result<Vec<Silent>, Error> {
    let window = Window { since: now.saturating_sub(MEMORY_SECONDS), until: now.saturating_add(1) };
    Ok(find(&heard(database, window)?, now, least))
}

fn find(rows: &[Heard], now: i64, least: i64) -> Vec<Silent> {
    let mut found = Vec::new();
    for kind in ["domain", "reporter"] {
        let name = |row: &'_ Heard| if kind == "domain" { row.domain.clone() } else { row.org_name.clone() };
        let mut all: BTreeMap<String, (i64, i64, i64)> = BTreeMap::new();
        for row in rows {
            let Some(name) = name(row) else { continue };
            let (days, first, last) = all.entry(name).or_insert((0, row.first_at, row.last_at));
            *days = row.days.max(*days);
            *first = row.first_at.min(*first);
            *last = row.last_at.max(*last);
        }
        for (name, (days, first_at, last_at)) in all {
            if days < LEAST_DAYS {
                continue;
            }
            let rhythm_seconds = (last_at - first_at) / (days - 1).max(1);
            if now - last_at > least.max(rhythm_seconds.saturating_mul(3)) {
                found.push(Silent { kind, name, last_at, rhythm_seconds });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(org: &str, domain: &str, days: i64, first: i64, last: i64) -> Heard {
        Heard {
            org_name: Some(org.to_owned()),
            domain: Some(domain.to_owned()),
            reports: days,
            days,
            first_at: first * DAY,
            last_at: last * DAY,
        }
    }

    #[test]
    fn who_had_a_rhythm_and_broke_it() {
        let rows = [
            row("daily", "a.test", 30, 0, 29),
            row("stopped", "a.test", 20, 0, 19),
            row("weekly", "a.test", 5, 0, 28),
            row("weekly, stopped", "a.test", 4, 0, 21),
            row("seldom", "a.test", 2, 0, 7),
            row("daily", "b.test", 10, 0, 9),
        ];
        let found =
            |now, least| find(&rows, now * DAY, least * DAY).into_iter().map(|silent| silent.name).collect::<Vec<_>>();
        assert_eq!(found(30, 3), ["b.test", "stopped"]);
        assert_eq!(found(30, 15), ["b.test"]);
        assert_eq!(found(50, 3), ["a.test", "b.test", "daily", "stopped", "weekly", "weekly, stopped"]);
        let silent = &find(&rows, 30 * DAY, 3 * DAY)[1];
        assert_eq!(
            silent.words(30 * DAY),
            "No report from stopped since 1970-01-20 00:00 UTC (11 days ago); before, one every day."
        );
    }
}
