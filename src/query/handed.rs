//! The last digest handed out by `digest --if-changed`.

use super::{Database, Error};

super::row! {
    /// It.
    pub struct Handed {
        /// When.
        at: i64,
        /// Digest of what it found.
        findings: Vec<u8>,
    }
}

/// The last one, if there was one.
///
/// # Errors
/// As [`Database`].
pub fn last(database: &Database) -> Result<Option<Handed>, Error> {
    Ok(database.rows(include_str!("handed.sql"), [], Handed::read)?.pop())
}
