//! How far each IMAP folder was read: cursor, deferred UIDs, and steps at the source that wait for confirmation.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Error, Store};
use crate::source::{Mailbox, Origin};

/// How far one folder under one UIDVALIDITY was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The folder.
    pub mailbox: Mailbox,
    /// Every UID up to this one is dealt with, but for those in `deferred`.
    pub cursor_uid: u32,
    /// UIDs that the server did not hand over yet, those first that were tried least.
    pub deferred: Vec<u32>,
    /// UIDs of messages that are kept and still to be flagged, moved or deleted.
    pub unsettled: Vec<u32>,
}

/// The row of a folder, made if it is missing.
pub fn row(connection: &Connection, mailbox: &Mailbox) -> rusqlite::Result<i64> {
    let Mailbox { account, server, folder, uid_validity } = mailbox;
    let known = connection
        .prepare_cached("SELECT id FROM mailbox WHERE server = ?1 AND folder = ?2 AND uid_validity = ?3")?
        .query_row(params![server, folder, uid_validity], |row| row.get(0))
        .optional()?;
    match known {
        Some(id) => Ok(id),
        None => connection
            .prepare_cached("INSERT INTO mailbox (account, server, folder, uid_validity) VALUES (?1, ?2, ?3, ?4)")?
            .insert(params![account, server, folder, uid_validity]),
    }
}

/// Notes that the message of `uid` is in the ledger and that all before it are dealt with.
pub fn place(
    connection: &Connection,
    mailbox: &Mailbox,
    uid: u32,
    message: i64,
    settled: bool,
) -> rusqlite::Result<()> {
    let id = row(connection, mailbox)?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO place (mailbox, uid, message, settled) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![id, uid, message, settled])?;
    connection.prepare_cached("DELETE FROM deferred WHERE mailbox = ?1 AND uid = ?2")?.execute(params![id, uid])?;
    advance(connection, id, uid)
}

fn advance(connection: &Connection, mailbox: i64, uid: u32) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE mailbox SET cursor_uid = max(cursor_uid, ?2) WHERE id = ?1")?
        .execute(params![mailbox, uid])
        .map(|_| ())
}

/// Notes that the server lists `uid` but did not hand it over. How often that happened by now.
pub fn defer(connection: &Connection, mailbox: &Mailbox, uid: u32, reason: &str) -> rusqlite::Result<u32> {
    let id = row(connection, mailbox)?;
    let tries = connection
        .prepare_cached(
            "INSERT INTO deferred (mailbox, uid, tries, reason) VALUES (?1, ?2, 1, ?3) \
             ON CONFLICT DO UPDATE SET tries = tries + 1, reason = excluded.reason RETURNING tries",
        )?
        .query_row(params![id, uid, reason], |row| row.get(0))?;
    advance(connection, id, uid)?;
    Ok(tries)
}

/// Notes that the step at the source is done.
pub fn settled(connection: &Connection, mailbox: &Mailbox, uid: u32) -> rusqlite::Result<()> {
    let id = row(connection, mailbox)?;
    connection
        .prepare_cached("UPDATE place SET settled = 1 WHERE mailbox = ?1 AND uid = ?2")?
        .execute(params![id, uid])
        .map(|_| ())
}

impl Store {
    /// How far the folders of `server` were read.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn progress(&self, server: &str) -> Result<Vec<Progress>, Error> {
        self.read_progress(server).map_err(|source| self.error(source))
    }

    fn read_progress(&self, server: &str) -> rusqlite::Result<Vec<Progress>> {
        let mut select = self.connection.prepare_cached(
            "SELECT id, account, server, folder, uid_validity, cursor_uid FROM mailbox WHERE server = ?1 ORDER BY id",
        )?;
        let rows = select.query_map(params![server], |row| {
            let mailbox =
                Mailbox { account: row.get(1)?, server: row.get(2)?, folder: row.get(3)?, uid_validity: row.get(4)? };
            Ok((row.get::<_, i64>(0)?, mailbox, row.get(5)?))
        })?;
        rows.map(|row| {
            let (id, mailbox, cursor_uid) = row?;
            let deferred = self.uids("SELECT uid FROM deferred WHERE mailbox = ?1 ORDER BY tries, uid", id)?;
            let unsettled = self.uids("SELECT uid FROM place WHERE mailbox = ?1 AND settled = 0 ORDER BY uid", id)?;
            Ok(Progress { mailbox, cursor_uid, deferred, unsettled })
        })
        .collect()
    }

    fn uids(&self, select: &str, mailbox: i64) -> rusqlite::Result<Vec<u32>> {
        self.connection.prepare_cached(select)?.query_map(params![mailbox], |row| row.get(0))?.collect()
    }

    /// Notes that the steps at the source are done, in a transaction of its own. Losing it is harmless: the step is
    /// repeated by the next run.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn confirm(&mut self, origins: &[Origin]) -> Result<(), Error> {
        let confirm = || -> rusqlite::Result<()> {
            let transaction = self.connection.unchecked_transaction()?;
            for origin in origins {
                if let Origin::Imap { mailbox, uid } = origin {
                    settled(&transaction, mailbox, *uid)?;
                }
            }
            transaction.commit()
        };
        confirm().map_err(|source| self.error(source))
    }

    /// Forgets deferred messages that do not exist any more.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn forget_deferred(&mut self, origins: &[Origin]) -> Result<(), Error> {
        let forget = || -> rusqlite::Result<()> {
            for origin in origins {
                if let Origin::Imap { mailbox, uid } = origin {
                    let id = row(&self.connection, mailbox)?;
                    self.connection
                        .execute("DELETE FROM deferred WHERE mailbox = ?1 AND uid = ?2", params![id, uid])?;
                }
            }
            Ok(())
        };
        forget().map_err(|source| self.error(source))
    }

    /// Notes that every folder of `server` that was read before was read to its end.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn reached_end(&mut self, server: &str, at: i64) -> Result<(), Error> {
        self.connection
            .execute("UPDATE mailbox SET fetched_at = ?2 WHERE server = ?1", params![server, at])
            .map(|_| ())
            .map_err(|source| self.error(source))
    }
}
