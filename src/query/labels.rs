//! What the user said about sources.

use super::{Database, Error};

super::row! {
    /// One label.
    pub struct Label {
        /// An address, a network as `192.0.2.0/24`, or a domain.
        subject: String,
        /// The class; `None` leaves it to be judged.
        class: Option<String>,
        /// What to call the source.
        name: Option<String>,
        /// Why, in the user's words.
        note: Option<String>,
        /// When it was put on.
        at: i64,
        /// Who put it on.
        author: String,
    }
}

/// All labels, in order.
///
/// # Errors
/// As [`Database`].
pub fn labels(database: &Database) -> Result<Vec<Label>, Error> {
    database.rows(include_str!("labels.sql"), [], Label::read)
}
