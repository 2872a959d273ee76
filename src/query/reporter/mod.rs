//! Everything known about one reporter and how its reports deviate.

use rusqlite::named_params;

use super::{Database, Error, Window};

super::row! {
    /// A reporter: the name in `report_metadata/org_name`, as sent.
    pub struct Name {
        /// Row id of the name.
        id: i64,
        /// The name.
        org_name: String,
        /// End of its newest report's period.
        last_at: i64,
    }
}

super::row! {
    /// Its reports of one kind.
    pub struct Reports {
        /// `aggregate`, `failure` or `tls`.
        kind: String,
        /// How many.
        reports: i64,
        /// About how many policy domains.
        domains: i64,
        /// Begin of the first period.
        first_at: i64,
        /// End of the last period.
        last_at: i64,
        /// The shortest period.
        shortest_seconds: i64,
        /// The longest period.
        longest_seconds: i64,
        /// Records stored.
        records: i64,
        /// Messages they count.
        messages: i64,
        /// Reports of whose identity another one stands.
        conflicts: i64,
        /// Records that could not be used.
        records_rejected: i64,
    }
}

super::row! {
    /// One kind of deviation in its reports.
    pub struct Deviation {
        /// The stable word.
        code: String,
        /// In how many reports.
        reports: i64,
        /// How often in all.
        times: i64,
        /// Row id of the newest report with it.
        example_report: i64,
        /// Where in that report.
        place: String,
        /// What was there and how it was taken.
        text: String,
    }
}

/// All reporters by name.
///
/// # Errors
/// As [`Database`].
pub fn names(database: &Database) -> Result<Vec<Name>, Error> {
    database.rows(include_str!("names.sql"), [], Name::read)
}

/// Reports of the reporter `org` (a [`Name`]'s id) whose period ends in `window`, by kind.
///
/// # Errors
/// As [`Database`].
pub fn reports(database: &Database, window: Window, org: i64) -> Result<Vec<Reports>, Error> {
    let params = named_params! {":org": org, ":since": window.since, ":until": window.until};
    database.rows(include_str!("reports.sql"), params, Reports::read)
}

/// Deviations in the same reports, most frequent first.
///
/// # Errors
/// As [`Database`].
pub fn deviations(database: &Database, window: Window, org: i64) -> Result<Vec<Deviation>, Error> {
    let params = named_params! {":org": org, ":since": window.since, ":until": window.until};
    database.rows(include_str!("warnings.sql"), params, Deviation::read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::testing::{FIXTURE, scratch};

    #[test]
    fn counts_by_hand() {
        let scratch = scratch(FIXTURE);
        let names = names(&scratch.database).unwrap();
        let last: Vec<_> = names.iter().map(|name| (name.id, name.last_at)).collect();
        assert_eq!(last, [(20, 4_102_444_800), (2, 1_795_132_800), (1, 1_795_132_799)]);
        let reports = reports(&scratch.database, Window::ALL, 1).unwrap();
        let kinds: Vec<_> =
            reports.iter().map(|row| (&*row.kind, row.reports, row.conflicts, row.longest_seconds)).collect();
        assert_eq!(kinds, [("aggregate", 4, 1, 86_399), ("tls", 1, 0, 86_399)]);
        let deviations = deviations(&scratch.database, Window::ALL, 1).unwrap();
        let codes: Vec<_> = deviations.iter().map(|row| (&*row.code, row.times, row.example_report)).collect();
        assert_eq!(codes, [("enum-case", 2, 2), ("bad-ip", 1, 1)]);
    }
}
