//! The send log: which mail went to whom, as the sender's own records have it.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::keep::Ours;
use super::strings::Strings;
use super::{Error, Store};
use crate::report::sendlog::Send;

/// Rows that are sorted and written together: about 20 MB.
const BATCH: usize = 100_000;
/// Recipients whose row is remembered.
const REMEMBERED: usize = 500_000;

/// The key of a Message-ID without angle brackets: half of its SHA-256.
pub fn hash(message_id: &str) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::digest(message_id.as_bytes()).into();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Rows read.
    pub rows: u64,
    /// Of these new.
    pub new: u64,
    /// Complaints and bounces that these rows say something about.
    pub judged: u64,
    /// Complaints that named nobody before and do now.
    pub resolved: u64,
}

/// What a row is sorted by, and the row.
type Keyed = ([u8; 16], Send);

impl Store {
    /// Takes in a send log as it comes, and judges the complaints and bounces that it says something about, whenever they
    /// came. The same log again changes nothing. What `next` fails with ends it; the batches before are kept.
    ///
    /// # Errors
    /// Those of SQLite, and those of `next`.
    pub fn import_sends<E: From<Error>>(
        &mut self,
        ours: &Ours,
        mut next: impl FnMut() -> Result<Option<Send>, E>,
    ) -> Result<Imported, E> {
        let wanted = self.wanted()?;
        let mut touched = HashSet::new();
        let mut imported = Imported::default();
        let mut recipients = HashMap::new();
        let mut batch: Vec<Keyed> = Vec::new();
        loop {
            let send = next()?;
            let last = send.is_none();
            if let Some(send) = send {
                imported.rows += 1;
                let key = hash(&send.message_id);
                if wanted.contains(&key) {
                    touched.insert(key);
                }
                batch.push((key, send));
            }
            if batch.len() == BATCH || (last && !batch.is_empty()) {
                let new = self.in_transaction(|store| store.keep_sends(&mut batch, &mut recipients))?;
                imported.new += new;
            }
            if last {
                break;
            }
        }
        let (judged, resolved) = self.in_transaction(|store| store.resolve(ours, &touched))?;
        Ok(Imported { judged, resolved, ..imported })
    }

    /// Keys of the Message-IDs that complaints and bounces name.
    fn wanted(&self) -> Result<HashSet<[u8; 16]>, Error> {
        let read = || -> rusqlite::Result<HashSet<[u8; 16]>> {
            let mut found = HashSet::new();
            each_message_id(&self.connection, |_, _, message_id| {
                found.insert(hash(message_id));
            })?;
            Ok(found)
        };
        read().map_err(|source| self.error(source))
    }

    fn keep_sends(&mut self, batch: &mut Vec<Keyed>, recipients: &mut HashMap<String, i64>) -> rusqlite::Result<u64> {
        // In the order of the table, so that a page is written once.
        batch.sort_by_key(|(key, _)| *key);
        let mut new = 0;
        for (key, send) in batch.drain(..) {
            if recipients.len() >= REMEMBERED {
                recipients.clear();
            }
            let recipient = match recipients.get(&send.recipient) {
                Some(&id) => id,
                None => {
                    let id = recipient_row(&self.connection, &send.recipient)?;
                    recipients.insert(send.recipient.clone(), id);
                    id
                }
            };
            new += insert(&self.connection, &mut self.strings, &key, recipient, &send)?;
        }
        Ok(new)
    }

    /// Judges the complaints and bounces of these Message-IDs again. Answers how many, and how many complaints name
    /// somebody now who did not before.
    fn resolve(&mut self, ours: &Ours, touched: &HashSet<[u8; 16]>) -> rusqlite::Result<(u64, u64)> {
        let (mut complaints, mut bounces) = (Vec::new(), Vec::new());
        if !touched.is_empty() {
            each_message_id(&self.connection, |is_complaint, id, message_id| {
                if touched.contains(&hash(message_id)) {
                    if is_complaint { complaints.push(id) } else { bounces.push(id) }
                }
            })?;
        }
        self.known = None;
        let before = unresolved(&self.connection, &complaints)?;
        self.judge(ours, &complaints, &bounces)?;
        let after = unresolved(&self.connection, &complaints)?;
        Ok(((complaints.len() + bounces.len()) as u64, before.saturating_sub(after)))
    }

    /// Forgets what was sent before `before`. What it told about complaints and bounces stays told. Answers how many rows.
    ///
    /// # Errors
    /// Those of SQLite; then nothing has changed.
    pub fn prune_sends(&mut self, before: i64) -> Result<u64, Error> {
        self.in_transaction(|store| {
            let rows = store.connection.execute("DELETE FROM send WHERE sent_at < ?1", params![before])?;
            store.connection.execute("DELETE FROM send_recipient WHERE id NOT IN (SELECT recipient FROM send)", [])?;
            store.known = None;
            Ok(rows as u64)
        })
    }
}

/// Hands out whether it is a complaint, the row, and the Message-ID.
fn each_message_id(connection: &Connection, mut take: impl FnMut(bool, i64, &str)) -> rusqlite::Result<()> {
    const COMPLAINTS: &str = "SELECT id, message_id FROM complaint WHERE message_id IS NOT NULL";
    const BOUNCES: &str = "SELECT id, message_id FROM bounce WHERE message_id IS NOT NULL";
    for (is_complaint, sql) in [(true, COMPLAINTS), (false, BOUNCES)] {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            take(is_complaint, row.get(0)?, row.get_ref(1)?.as_str()?);
        }
    }
    Ok(())
}

fn unresolved(connection: &Connection, complaints: &[i64]) -> rusqlite::Result<u64> {
    let mut statement = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM complaint_recipient WHERE complaint = ?1 AND status = 'ok')")?;
    let mut count = 0;
    for id in complaints {
        let named: bool = statement.query_row(params![id], |row| row.get(0))?;
        count += u64::from(!named);
    }
    Ok(count)
}

fn recipient_row(connection: &Connection, address: &str) -> rusqlite::Result<i64> {
    let known: Option<i64> = connection
        .prepare_cached("SELECT id FROM send_recipient WHERE address = ?1")?
        .query_row(params![address], |row| row.get(0))
        .optional()?;
    match known {
        Some(id) => Ok(id),
        None => connection.prepare_cached("INSERT INTO send_recipient (address) VALUES (?1)")?.insert(params![address]),
    }
}

/// Adds a row. One that is there keeps the earlier time, and the stream with it. Answers how many are new.
fn insert(
    connection: &Connection,
    strings: &mut Strings,
    key: &[u8; 16],
    recipient: i64,
    send: &Send,
) -> rusqlite::Result<u64> {
    let stream = strings.text_of(connection, send.stream.as_deref())?;
    let values = params![key, recipient, send.sent_at, stream];
    let new = connection
        .prepare_cached("INSERT OR IGNORE INTO send (message_id, recipient, sent_at, stream) VALUES (?1, ?2, ?3, ?4)")?
        .execute(values)?;
    if new == 0 {
        connection
            .prepare_cached(
                "UPDATE send SET sent_at = ?3, stream = ?4 WHERE message_id = ?1 AND recipient = ?2 AND sent_at > ?3",
            )?
            .execute(values)?;
    }
    Ok(new as u64)
}
