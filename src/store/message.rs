//! The ledger: one row for each message ever seen.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::keep::{Arrival, Outcome};
use super::strings::Strings;
use crate::reading::MailHead;
use crate::report::day;

/// A message in the ledger.
pub struct Known {
    pub id: i64,
    /// Only what tells that it was seen is left of it.
    pub pruned: bool,
    pub outcome: Outcome,
}

/// What tells the bytes of a message from those of all others.
pub struct Fingerprint<'a> {
    /// As [`day::of_message`] tells it: messages that come together share pages of the index, which for a digest alone would be
    /// one for each.
    pub day: i64,
    pub sha256: &'a [u8; 32],
}

impl<'a> Fingerprint<'a> {
    /// That of `bytes`, which have this digest.
    pub fn of(bytes: &[u8], sha256: &'a [u8; 32]) -> Fingerprint<'a> {
        Fingerprint { day: day::of_message(bytes), sha256 }
    }
}

/// The message of these bytes, if it was seen before.
pub fn known(connection: &Connection, fingerprint: &Fingerprint) -> rusqlite::Result<Option<Known>> {
    connection
        .prepare_cached("SELECT id, outcome, pruned_at IS NOT NULL FROM message WHERE day = ?1 AND sha256 = ?2")?
        .query_row(params![fingerprint.day, fingerprint.sha256], |row| {
            let outcome: String = row.get(1)?;
            Ok(Known { id: row.get(0)?, outcome: Outcome::from_word(&outcome), pruned: row.get(2)? })
        })
        .optional()
}

/// The message that could not be taken at `origin`, if one is in the ledger.
pub fn known_untaken(connection: &Connection, origin: &str) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM message WHERE sha256 IS NULL AND origin = ?1 AND outcome = 'problem'")?
        .query_row(params![origin], |row| row.get(0))
        .optional()
}

/// Where the messages lie that could not be taken.
pub fn untaken(connection: &Connection) -> rusqlite::Result<HashSet<String>> {
    connection
        .prepare_cached("SELECT origin FROM message WHERE sha256 IS NULL AND outcome = 'problem'")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Puts `message` in the place of the one that could not be taken at `origin` before, and of its problem.
pub fn replace_untaken(connection: &Connection, origin: &str, message: i64) -> rusqlite::Result<()> {
    let Some(untaken) = known_untaken(connection, origin)? else { return Ok(()) };
    connection.execute("UPDATE place SET message = ?2 WHERE message = ?1", params![untaken, message])?;
    connection.execute("DELETE FROM message WHERE id = ?1", params![untaken]).map(|_| ())
}

/// Adds a message with the outcome that it will have by all appearance; [`finish`] corrects that.
pub fn insert(
    connection: &Connection,
    strings: &mut Strings,
    arrival: &Arrival,
    fingerprint: Option<&Fingerprint>,
    bytes: u64,
    head: Option<&MailHead>,
    outcome: Outcome,
) -> rusqlite::Result<i64> {
    let none = MailHead::default();
    let mail = head.unwrap_or(&none);
    let origin = arrival.origin.to_string();
    // One that could not be taken is found again by the whole of it.
    let (folder, rest) = match fingerprint {
        Some(_) => split(&origin),
        None => (None, origin.as_str()),
    };
    let folder = strings.text_of(connection, folder)?;
    connection
        .prepare_cached(
            "INSERT INTO message (sha256, day, folder, origin, seen_at, received_at, bytes, outcome, message_id, from_address, \
             subject, sent_at, auth, auth_domain, auth_results) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        )?
        .insert(params![
            fingerprint.map(|fingerprint| fingerprint.sha256),
            fingerprint.map_or(0, |fingerprint| fingerprint.day),
            folder,
            rest,
            arrival.seen_at,
            arrival.received_at,
            bytes as i64,
            outcome.as_str(),
            mail.message_id,
            strings.text_of(connection, mail.from_address.as_deref())?,
            mail.subject,
            mail.sent_at,
            head.map(|mail| mail.auth.as_str()),
            mail.auth_domain,
            mail.auth_results,
        ])
}

/// Says what became of a message.
pub fn finish(connection: &Connection, id: i64, outcome: Outcome, reason: Option<&str>) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE message SET outcome = ?2, reason = ?3 WHERE id = ?1")?
        .execute(params![id, outcome.as_str(), reason])
        .map(|_| ())
}

/// What an origin has in common with those beside it, and the rest.
fn split(origin: &str) -> (Option<&str>, &str) {
    let end = match origin.starts_with("imap://") {
        true => origin.rfind(";uid=").map(|at| at + ";uid=".len()),
        false => origin.rfind('/').map(|at| at + 1),
    };
    match end.and_then(|end| origin.split_at_checked(end)) {
        Some((folder, rest)) => (Some(folder), rest),
        None => (None, origin),
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn origins_share_their_folder() {
        for (origin, folder, rest) in [
            ("/mail/new/1.M1P1", Some("/mail/new/"), "1.M1P1"),
            ("/mail/a.mbox#3", Some("/mail/"), "a.mbox#3"),
            ("a.eml", None, "a.eml"),
            ("imap://a/INBOX;uidvalidity=1;uid=7", Some("imap://a/INBOX;uidvalidity=1;uid="), "7"),
            ("imap://a/odd;uid=2/x;uidvalidity=1;uid=7", Some("imap://a/odd;uid=2/x;uidvalidity=1;uid="), "7"),
            ("/ünder/é", Some("/ünder/"), "é"),
            ("", None, ""),
        ] {
            assert_eq!(split(origin), (folder, rest));
        }
    }
}
