//! How far the data reaches in time: what `all` and `newest` mean.

use rusqlite::named_params;

use super::{Database, Error};

super::row! {
    /// First and last times of one kind of row. All `None` when there is none.
    pub struct Extent {
        /// The first time.
        oldest: Option<i64>,
        /// The last time that is not in the future by more than clocks and time zones explain, else the last.
        newest: Option<i64>,
        /// The last time.
        last: Option<i64>,
    }
}

impl Extent {
    /// From the earlier begin to the later end; `newest` is that of `self`, else of `other`.
    pub fn with(self, other: Extent) -> Extent {
        Extent {
            oldest: self.oldest.into_iter().chain(other.oldest).min(),
            newest: self.newest.or(other.newest),
            last: self.last.max(other.last),
        }
    }
}

/// A report whose period ends later than this after now is not taken for the newest: one stranger who writes the year
/// 2100 must not hide everybody else's.
const AHEAD_SECONDS: i64 = 2 * 86_400;

/// Ends of reports: of one `kind`, or all.
///
/// # Errors
/// As [`Database`].
pub fn of_reports(database: &Database, kind: Option<&str>, now: i64) -> Result<Extent, Error> {
    let horizon = now.saturating_add(AHEAD_SECONDS);
    let params = named_params! {":kind": kind, ":horizon": horizon};
    database.one(include_str!("extent_reports.sql"), params, Extent::read)
}

/// Arrival of complaints.
///
/// # Errors
/// As [`Database`].
pub fn of_complaints(database: &Database, now: i64) -> Result<Extent, Error> {
    let params = named_params! {":horizon": now.saturating_add(AHEAD_SECONDS)};
    database.one(include_str!("extent_complaints.sql"), params, Extent::read)
}

/// When bounces were told of.
///
/// # Errors
/// As [`Database`].
pub fn of_bounces(database: &Database, now: i64) -> Result<Extent, Error> {
    let params = named_params! {":horizon": now.saturating_add(AHEAD_SECONDS)};
    database.one(include_str!("extent_bounces.sql"), params, Extent::read)
}

/// When messages were kept.
///
/// # Errors
/// As [`Database`].
pub fn of_messages(database: &Database) -> Result<Extent, Error> {
    database.one(include_str!("extent_messages.sql"), [], Extent::read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::testing::{FIXTURE, scratch};

    #[test]
    fn a_report_from_the_future_is_not_the_newest() {
        let scratch = scratch(FIXTURE);
        let now = 1_795_219_200;
        let extent = of_reports(&scratch.database, None, now).unwrap();
        assert_eq!(extent.newest, Some(1_795_132_800));
        assert_eq!(extent.last, Some(4_102_444_800));
        assert_eq!(of_reports(&scratch.database, Some("tls"), now).unwrap().newest, Some(1_795_132_799));
        assert_eq!(of_reports(&scratch.database, Some("failure"), now).unwrap().newest, None);
        // When everything is in the future, the newest is all the same the last.
        assert_eq!(of_reports(&scratch.database, None, 0).unwrap().newest, Some(4_102_444_800));
        assert_eq!(of_complaints(&scratch.database, now).unwrap().oldest, Some(1_794_100_000));
        assert_eq!(of_messages(&scratch.database).unwrap().newest, Some(1_795_180_000));
    }
}
