//! Whom a person trusts to send complaints, and about whom a person has yet to decide.

use super::{Database, Error};

super::row! {
    /// A sender whom a person trusts.
    pub struct Trusted {
        /// A domain, which stands for those below it too, or an address.
        sender: String,
        /// Also where the own server says nothing about its mail.
        unauthenticated: bool,
        /// Since when.
        at: i64,
        /// Who decided.
        author: String,
        /// Why.
        reason: Option<String>,
    }
}

super::row! {
    /// A sender of complaints that wait.
    pub struct Waiting {
        /// From of their mails; `None` where there is none, or several.
        sender: Option<String>,
        /// What the own server says about them: `pass`, `fail`, `none`; `None` where they are no mails.
        auth: Option<String>,
        /// How many complaints.
        complaints: i64,
        /// How many people they name.
        people: i64,
        /// Arrival of the first.
        first_at: i64,
        /// Arrival of the last.
        last_at: i64,
        /// Whose feedback loop they look like.
        provider: Option<String>,
        /// Why they are not trusted.
        trust_reason: String,
    }
}

/// Senders whom a person trusts, in order.
///
/// # Errors
/// As [`Database`].
pub fn trusted(database: &Database) -> Result<Vec<Trusted>, Error> {
    database.rows(include_str!("list.sql"), [], Trusted::read)
}

/// Senders of complaints that wait, those of most complaints first.
///
/// # Errors
/// As [`Database`].
pub fn waiting(database: &Database) -> Result<Vec<Waiting>, Error> {
    database.rows(include_str!("review.sql"), [], Waiting::read)
}
