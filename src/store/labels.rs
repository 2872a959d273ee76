//! What the user says about sources: one label for each address, network or domain.

use std::path::Path;

use rusqlite::{TransactionBehavior, named_params};

use super::suppressions::open;

/// A label to put on.
#[derive(Clone, Copy, Debug)]
pub struct Word<'a> {
    /// An address, a network or a domain, canonical.
    pub subject: &'a str,
    /// The class, as the schema spells it; `None` leaves it to be judged.
    pub class: Option<&'a str>,
    /// What to call the source.
    pub name: Option<&'a str>,
    /// Why.
    pub note: Option<&'a str>,
    /// Who says so.
    pub author: &'a str,
    /// Now, seconds since the epoch.
    pub at: i64,
}

/// Puts the label on. What it leaves out stays as an older label of the same subject has it.
///
/// # Errors
/// The database cannot be written.
pub fn put(path: &Path, word: Word<'_>) -> rusqlite::Result<()> {
    const PUT: &str = "
        INSERT INTO label (subject, class, name, note, at, author) VALUES (:subject, :class, :name, :note, :at, :author)
        ON CONFLICT (subject) DO UPDATE SET class = coalesce(excluded.class, class), name = coalesce(excluded.name, name),
          note = coalesce(excluded.note, note), at = excluded.at, author = excluded.author";
    let mut connection = open(path)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let params = named_params! {
        ":subject": word.subject, ":class": word.class, ":name": word.name, ":note": word.note, ":at": word.at,
        ":author": word.author,
    };
    transaction.execute(PUT, params)?;
    transaction.commit()
}

/// Takes the label of a subject away. Answers whether there was one.
///
/// # Errors
/// The database cannot be written.
pub fn remove(path: &Path, subject: &str) -> rusqlite::Result<bool> {
    let mut connection = open(path)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let removed = transaction.execute("DELETE FROM label WHERE subject = ?1", [subject])?;
    transaction.commit()?;
    Ok(removed > 0)
}
