//! Whom a person trusts to send complaints. Rows are only ever added; the newest of a sender counts.

use rusqlite::{Connection, named_params};

use super::keep::Ours;
use super::{Error, Judged, Store};
use crate::suppress::trust::Trusted;

/// What a person decides about a sender.
#[derive(Clone, Copy, Debug)]
pub struct Decided<'a> {
    /// A domain, or an address; lower case.
    pub sender: &'a str,
    /// Also where the own server says nothing about its mail.
    pub unauthenticated: bool,
    /// Why, in the person's words.
    pub reason: Option<&'a str>,
    /// The person.
    pub author: &'a str,
    /// Now, seconds since the epoch.
    pub at: i64,
}

/// The senders that are trusted now.
pub fn trusted(connection: &Connection) -> rusqlite::Result<Vec<Trusted>> {
    connection
        .prepare_cached(
            "SELECT sender, unauthenticated FROM trust_event e WHERE kind = 'add' \
             AND NOT EXISTS (SELECT 1 FROM trust_event n WHERE n.sender = e.sender AND n.id > e.id) ORDER BY sender",
        )?
        .query_map([], |row| Ok(Trusted { sender: row.get(0)?, unauthenticated: row.get(1)? }))?
        .collect()
}

fn insert(connection: &Connection, kind: &str, decided: Decided<'_>) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO trust_event (sender, kind, unauthenticated, at, author, reason) \
             VALUES (:sender, :kind, :unauthenticated, :at, :author, :reason)",
        )?
        .execute(named_params! {
            ":sender": decided.sender, ":kind": kind, ":unauthenticated": decided.unauthenticated, ":at": decided.at,
            ":author": decided.author, ":reason": decided.reason,
        })
        .map(|_| ())
}

impl Store {
    /// Trusts a sender of complaints from now on, and judges what is stored by it, in one transaction.
    ///
    /// # Errors
    /// Those of SQLite; then nothing has changed.
    pub fn trust(&mut self, decided: Decided<'_>, ours: &Ours) -> Result<Judged, Error> {
        self.in_transaction(|store| {
            insert(&store.connection, "add", decided)?;
            store.known = None;
            store.judge_all(ours)
        })
    }

    /// Trusts a sender no more: its complaints wait for a decision again, and whom they alone suppressed is suppressed no
    /// more. `None`: no person had trusted it.
    ///
    /// # Errors
    /// Those of SQLite; then nothing has changed.
    pub fn distrust(&mut self, decided: Decided<'_>, ours: &Ours) -> Result<Option<Judged>, Error> {
        self.in_transaction(|store| {
            if !trusted(&store.connection)?.iter().any(|trusted| trusted.sender == decided.sender) {
                return Ok(None);
            }
            insert(&store.connection, "remove", decided)?;
            store.known = None;
            store.judge_all(ours).map(Some)
        })
    }
}
