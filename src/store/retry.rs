//! Messages with a problem, read again: after an upgrade that reads more, or with wider bounds.

use rusqlite::params;

use super::keep::{Arrival, Kept, Ours, Read};
use super::{Error, Store, problem};
use crate::problem::Code;
use crate::reading::{self, Reading};
use crate::source::{Origin, Reserved};

/// A message with a problem, as far as it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its row in the ledger.
    pub message: i64,
    /// Where it was found.
    pub origin: String,
    /// Its bytes, where they were kept.
    pub bytes: Option<Vec<u8>>,
}

/// What reading again came to.
#[derive(Clone, Debug)]
pub enum Retried {
    /// Nothing in it is a problem any more.
    Solved(Kept),
    /// It still is.
    Waits,
}

impl Store {
    /// Rows of the messages whose problems wait, oldest first.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn waiting(&self) -> Result<Vec<i64>, Error> {
        let read = || -> rusqlite::Result<Vec<i64>> {
            self.connection
                .prepare_cached("SELECT DISTINCT message FROM problem WHERE solved_at IS NULL ORDER BY message")?
                .query_map([], |row| row.get(0))?
                .collect()
        };
        read().map_err(|source| self.error(source))
    }

    /// One of them with the bytes that were kept.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn waiting_message(&self, message: i64, most: u64) -> Result<Waiting, Error> {
        let read = || {
            self.connection
                .prepare_cached(
                    "SELECT coalesce((SELECT value FROM text WHERE text.id = folder), '') || origin, (SELECT bytes FROM kept_message k WHERE k.message = m.id) FROM message m WHERE id = ?1",
                )?
                .query_row(params![message], |row| {
                    let packed: Option<Vec<u8>> = row.get(1)?;
                    let bytes = packed.and_then(|packed| problem::kept_bytes(&packed, most));
                    Ok(Waiting { message, origin: row.get(0)?, bytes })
                })
        };
        read().map_err(|source| self.error(source))
    }

    /// Keeps what reading a message again found, in a transaction of its own.
    ///
    /// # Errors
    /// Those of SQLite; then nothing has changed.
    pub fn keep_again(
        &mut self,
        waiting: &Waiting,
        bytes: &[u8],
        reading: Reading,
        settings: &reading::Settings,
        ours: &Ours,
        now: i64,
    ) -> Result<Retried, Error> {
        self.begin()?;
        match self.in_savepoint(|store| store.replace_problems(waiting, bytes, reading, settings, ours, now)) {
            Ok(retried) => self.commit().map(|()| retried),
            Err(error) => {
                self.abandon();
                Err(error)
            }
        }
    }

    fn replace_problems(
        &mut self,
        waiting: &Waiting,
        bytes: &[u8],
        reading: Reading,
        settings: &reading::Settings,
        ours: &Ours,
        now: i64,
    ) -> rusqlite::Result<Retried> {
        // The ledger tells the place; nothing is looked up by it.
        let origin = Origin::Stdin { index: None };
        let arrival =
            Arrival { origin, received_at: None, seen_at: now, settles: false, reserved: Reserved::default() };
        let sha256 = [0; 32];
        let read = Read { bytes, sha256: &sha256, name: None, reading: &reading, settings };
        self.authenticate_again(waiting.message, &read)?;
        let kept = self.keep_content(&arrival, &read, waiting.message, None, ours)?;
        let problems = &read.reading.problems;
        // A reader that fails on it has nothing new to say.
        if !matches!(&problems[..], [problem] if problem.refusal.code == Code::Crash) {
            problem::replace(&self.connection, waiting.message, problems, now)?;
        }
        if problems.is_empty() {
            return Ok(Retried::Solved(kept));
        }
        Ok(Retried::Waits)
    }
}
