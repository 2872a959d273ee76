//! What was exported last, so that the next export can tell what changed and notice when the list shrinks.

use std::path::Path;

use rusqlite::{Connection, named_params, params};
use serde_json::json;

use super::suppressions::open;

/// What is known of an export when it is done.
#[derive(Clone, Copy, Debug)]
pub struct Done<'a> {
    /// Name of the format.
    pub format: &'static str,
    /// The From domain asked for; empty is every domain.
    pub scope: &'a str,
    /// Now, seconds since the epoch.
    pub at: i64,
    /// How many entries the target has.
    pub entries: u64,
    /// Names of the files written.
    pub files: &'a [String],
}

/// One entry that a target has.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The address in lower case.
    pub folded: &'a str,
    /// Which list of the format.
    pub list: &'a str,
    /// The address as written.
    pub address: &'a str,
    /// The From domain, in formats that tell it; else empty.
    pub scope: &'a str,
    /// Digest of what was written.
    pub digest: &'a [u8],
}

/// What one target has, while an export for it is written: one transaction, which ends with [`Ledger::finish`] or is as
/// if it never was.
#[derive(Debug)]
pub struct Ledger {
    connection: Connection,
    target: String,
    id: i64,
}

impl Ledger {
    /// Begins. No other export can write until this ends, so two for one target come one after the other.
    ///
    /// # Errors
    /// The database cannot be written, or another program writes for longer than we wait.
    pub fn begin(path: &Path, target: &str) -> rusqlite::Result<Ledger> {
        let connection = open(path)?;
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let id = place(&connection, target)?;
        Ok(Ledger { connection, target: target.to_owned(), id })
    }

    /// Notes what the target gets.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn put(&self, entry: Entry<'_>) -> rusqlite::Result<()> {
        let Entry { folded, list, address, scope, digest } = entry;
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO export_entry VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![self.id, folded, list, address, scope, digest])
            .map(|_| ())
    }

    /// Notes what the target loses.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn remove(&self, entry: Entry<'_>) -> rusqlite::Result<()> {
        let Entry { folded, list, address, scope, .. } = entry;
        self.connection
            .prepare_cached(
                "DELETE FROM export_entry WHERE export = ?1 AND folded = ?2 AND list = ?3 AND address = ?4 AND scope = ?5",
            )?
            .execute(params![self.id, folded, list, address, scope])
            .map(|_| ())
    }

    /// Ends it; when this returns, it is on the disk.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn finish(self, done: Done<'_>) -> rusqlite::Result<()> {
        update(&self.connection, &self.target, done)?;
        self.connection.execute_batch("COMMIT")
    }
}

/// Notes an export to a file, of which only the number of entries is kept.
///
/// # Errors
/// The database cannot be written.
pub fn note(path: &Path, target: &str, done: Done<'_>) -> rusqlite::Result<()> {
    let mut connection = open(path)?;
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    place(&transaction, target)?;
    update(&transaction, target, done)?;
    transaction.commit()
}

/// The row of a target, made if it is missing.
fn place(connection: &Connection, target: &str) -> rusqlite::Result<i64> {
    connection.execute(
        "INSERT OR IGNORE INTO export_state (target, format, scope, at, entries, files) VALUES (?1, '', '', 0, 0, '[]')",
        [target],
    )?;
    connection.query_row("SELECT id FROM export_state WHERE target = ?1", [target], |row| row.get(0))
}

fn update(connection: &Connection, target: &str, done: Done<'_>) -> rusqlite::Result<()> {
    let params = named_params! {
        ":target": target, ":format": done.format, ":scope": done.scope, ":at": done.at,
        ":entries": i64::try_from(done.entries).unwrap_or(i64::MAX), ":files": json!(done.files).to_string(),
    };
    connection
        .execute(
            "UPDATE export_state SET format = :format, scope = :scope, at = :at, entries = :entries, files = :files \
             WHERE target = :target",
            params,
        )
        .map(|_| ())
}
