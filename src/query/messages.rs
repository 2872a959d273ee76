//! The ledger: one row for each message seen.

use rusqlite::named_params;

use super::{Database, Error, Window};

super::row! {
    /// One message, as `v_message` tells it.
    pub struct Message {
        /// Row id.
        id: i64,
        /// Digest of its bytes, hexadecimal.
        sha256: Option<String>,
        /// Where it was first seen.
        origin: String,
        /// When it was kept.
        seen_at: i64,
        /// Its size.
        bytes: i64,
        /// What became of it.
        outcome: String,
        /// Why.
        reason: Option<String>,
        /// When the server got it.
        received_at: Option<i64>,
        /// Message-ID of the mail.
        message_id: Option<String>,
        /// From address of the mail.
        from_address: Option<String>,
        /// Subject of the mail.
        subject: Option<String>,
        /// Date of the mail.
        sent_at: Option<i64>,
        /// How it was authenticated.
        auth: Option<String>,
        /// The domain that passed.
        auth_domain: Option<String>,
    }
}

/// Hands over the messages kept in `window`, newest first, until `take` answers false.
///
/// # Errors
/// As [`Database`], and what `take` fails with.
pub fn each<E: From<Error>>(
    database: &Database,
    window: Window,
    outcome: Option<&str>,
    take: impl FnMut(Message) -> Result<bool, E>,
) -> Result<(), E> {
    let params = named_params! {":since": window.since, ":until": window.until, ":outcome": outcome};
    database.each(include_str!("messages.sql"), params, Message::read, take)
}
