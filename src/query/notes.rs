//! What the reader of a summary should know beside it.

use rusqlite::named_params;

use super::{Database, Error, Window};

super::row! {
    /// Counts of what a summary leaves out or could not use.
    pub struct Notes {
        /// Aggregate reports that count.
        reports: i64,
        /// Aggregate reports kept but not counted: another of the same identity says something else.
        conflicts: i64,
        /// Aggregate reports kept but not counted: the own server says that their mail is not from whom it says it is.
        failed: i64,
        /// Records that could not be used.
        rejected_records: i64,
        /// Of the reports that count: those whose mail is not known to come from their reporter.
        unverified_reports: i64,
        /// Messages of these.
        unverified_messages: i64,
        /// Complaints without a recipient that could be suppressed.
        unresolved_complaints: i64,
        /// Complaints whose mail is not known to come from a feedback loop.
        untrusted_complaints: i64,
        /// Problems that wait, of any time.
        problems: i64,
    }
}

/// Counts for `window`, and of it for one policy `domain` or all: complaints with it as in
/// [`super::summary::summary`], and `verified` likewise.
///
/// # Errors
/// As [`Database`].
pub fn notes(database: &Database, window: Window, domain: Option<&str>, verified: bool) -> Result<Notes, Error> {
    let params =
        named_params! {":since": window.since, ":until": window.until, ":domain": domain, ":verified": verified};
    database.one(include_str!("notes.sql"), params, Notes::read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::testing::{FIXTURE, scratch};

    #[test]
    fn counts_by_hand() {
        let scratch = scratch(FIXTURE);
        let expected = Notes {
            reports: 3,
            conflicts: 1,
            failed: 0,
            rejected_records: 1,
            unverified_reports: 1,
            unverified_messages: 5,
            unresolved_complaints: 1,
            untrusted_complaints: 1,
            problems: 1,
        };
        let week = Window { since: 1_794_614_400, until: 1_795_219_200 };
        assert_eq!(notes(&scratch.database, week, None, false).unwrap(), expected);
        let none = Notes {
            reports: 1,
            conflicts: 0,
            failed: 0,
            rejected_records: 0,
            unverified_reports: 1,
            unverified_messages: 5,
            unresolved_complaints: 0,
            untrusted_complaints: 0,
            problems: 1,
        };
        assert_eq!(notes(&scratch.database, week, Some("example.org"), false).unwrap(), none);
        let com = notes(&scratch.database, week, Some("example.com"), false).unwrap();
        assert_eq!((com.reports, com.conflicts, com.unresolved_complaints, com.untrusted_complaints), (2, 1, 0, 1));
    }
}
