//! Who reported about what, and when last: to notice who fell silent.

use rusqlite::named_params;

use super::{Database, Error, Window};

super::row! {
    /// Aggregate reports of one reporter about one policy domain.
    pub struct Heard {
        /// The reporter.
        org_name: Option<String>,
        /// The policy domain.
        domain: Option<String>,
        /// How many reports.
        reports: i64,
        /// On how many different days a period ended.
        days: i64,
        /// End of the first period.
        first_at: i64,
        /// End of the last.
        last_at: i64,
    }
}

/// Of reports whose period ends in the window.
///
/// # Errors
/// As [`Database`].
pub fn heard(database: &Database, window: Window) -> Result<Vec<Heard>, Error> {
    let params = named_params! {":since": window.since, ":until": window.until};
    database.rows(include_str!("heard.sql"), params, Heard::read)
}
