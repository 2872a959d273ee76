//! What a person says for or against mailing an address: rows that are only ever added.

use std::path::Path;
use std::time::Duration;

use super::check;
use rusqlite::{Connection, OpenFlags, TransactionBehavior, named_params};

/// What a person says about an address.
#[derive(Clone, Copy, Debug)]
pub struct Word<'a> {
    /// The address as it is exported.
    pub address: &'a str,
    /// The address in lower case, which is what is matched.
    pub folded: &'a str,
    /// Why, in the person's words.
    pub reason: &'a str,
    /// The person.
    pub author: &'a str,
    /// Now, seconds since the epoch.
    pub at: i64,
}

/// Suppresses the address for one From domain, or for all where `scope` is empty, until `until_at` or for good.
///
/// # Errors
/// The database cannot be written.
pub fn add(path: &Path, word: Word<'_>, scope: &str, until_at: Option<i64>) -> rusqlite::Result<()> {
    let mut connection = open(path)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    insert(&transaction, "add", word, scope, until_at)?;
    transaction.commit()
}

/// Lifts what suppresses the address now: in one scope, or in all. Answers the scopes that were lifted, none where
/// nothing suppressed it.
///
/// # Errors
/// The database cannot be written.
pub fn lift(path: &Path, word: Word<'_>, scope: Option<&str>) -> rusqlite::Result<Vec<String>> {
    const ACTIVE: &str = "
        SELECT DISTINCT e.scope FROM suppression_event e
        WHERE e.folded = :folded AND (:scope IS NULL OR e.scope = :scope) AND e.kind <> 'lift'
          AND (e.until_at IS NULL OR e.until_at > :now)
          AND NOT EXISTS (SELECT 1 FROM suppression_event l
                          WHERE l.folded = e.folded AND l.scope = e.scope AND l.kind = 'lift' AND (l.at, l.id) > (e.at, e.id))
        ORDER BY e.scope";
    let mut connection = open(path)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let params = named_params! {":folded": word.folded, ":scope": scope, ":now": word.at};
    let scopes: Vec<String> =
        transaction.prepare(ACTIVE)?.query_map(params, |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for scope in &scopes {
        insert(&transaction, "lift", word, scope, None)?;
    }
    transaction.commit()?;
    Ok(scopes)
}

/// The newest event decides, and a complaint bears the date its sender wrote. So that the person has the last word,
/// theirs is always dated after every event that is there, were it by a second.
fn insert(
    connection: &Connection,
    kind: &str,
    word: Word<'_>,
    scope: &str,
    until_at: Option<i64>,
) -> rusqlite::Result<()> {
    const INSERT: &str = "
        INSERT INTO suppression_event (folded, address, scope, kind, at, until_at, reason, author)
        SELECT :folded, :address, :scope, :kind,
               max(:at, coalesce((SELECT max(at) + 1 FROM suppression_event WHERE folded = :folded AND scope = :scope), :at)),
               :until_at, :reason, :author";
    let params = named_params! {
        ":folded": word.folded, ":address": word.address, ":scope": scope, ":kind": kind, ":at": word.at,
        ":until_at": until_at, ":reason": word.reason, ":author": word.author,
    };
    connection.execute(INSERT, params).map(|_| ())
}

/// Opens a database that is known to be ours.
pub(super) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    if let Some([reason, ..]) = check::quick(&mut connection, super::LOOKING)?.as_deref() {
        let corrupt = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        return Err(rusqlite::Error::SqliteFailure(corrupt, Some(reason.clone())));
    }
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000;

    fn word(at: i64) -> Word<'static> {
        Word { address: "Bob@x.test", folded: "bob@x.test", reason: "asked", author: "mia", at }
    }

    fn with(rows: &str, test: impl FnOnce(&Path)) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(include_str!("../../schema.sql")).unwrap();
        connection.execute_batch(rows).unwrap();
        drop(connection);
        test(&path);
    }

    fn active(path: &Path) -> Vec<(String, String)> {
        let connection = Connection::open(path).unwrap();
        let mut statement = connection.prepare("SELECT address, scope FROM v_suppression ORDER BY scope").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    #[test]
    fn what_is_added_is_suppressed_until_lifted() {
        with("", |path| {
            add(path, word(NOW), "", None).unwrap();
            add(path, word(NOW), "a.test", None).unwrap();
            assert_eq!(active(path).len(), 2);
            assert_eq!(lift(path, word(NOW), Some("a.test")).unwrap(), ["a.test"]);
            assert_eq!(active(path), [("Bob@x.test".to_owned(), String::new())]);
            assert_eq!(lift(path, word(NOW), None).unwrap(), [""]);
            assert!(active(path).is_empty());
            assert!(lift(path, word(NOW), None).unwrap().is_empty(), "nothing is left to lift");
            add(path, word(NOW), "", None).unwrap();
            assert_eq!(active(path).len(), 1, "suppressed again");
        });
    }

    #[test]
    fn a_person_has_the_last_word_over_a_complaint_from_the_future() {
        let complaint = "INSERT INTO suppression_event (folded, address, scope, kind, at, reason)
            VALUES ('bob@x.test', 'bob@x.test', '', 'complaint', 4102444800, 'abuse')";
        with(complaint, |path| {
            assert_eq!(lift(path, word(NOW), None).unwrap(), [""]);
            assert!(active(path).is_empty());
            add(path, word(NOW), "", None).unwrap();
            assert_eq!(active(path).len(), 1);
        });
    }

    #[test]
    fn one_that_has_ended_needs_no_lift() {
        with("", |path| {
            add(path, word(NOW), "", Some(NOW + 1)).unwrap();
            assert!(lift(path, word(NOW + 2), None).unwrap().is_empty());
        });
    }
}
