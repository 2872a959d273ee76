//! Combinations of results and reasons, looked up by their numbers.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};

use super::numbers::{Numbers, once};
use crate::query::{Database, Error};

/// A DKIM result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dkim {
    /// `d=`.
    pub domain: Option<Arc<str>>,
    /// `s=`.
    pub selector: Option<Arc<str>>,
    /// The result.
    pub result: Option<Arc<str>>,
}

/// An SPF result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spf {
    /// The domain.
    pub domain: Option<Arc<str>>,
    /// `mfrom` or `helo`.
    pub scope: Option<Arc<str>>,
    /// The result.
    pub result: Option<Arc<str>>,
}

/// An override reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reason {
    /// Its type.
    pub kind: Option<Arc<str>>,
    /// The reporter's explanation.
    pub comment: Option<Arc<str>>,
}

/// Results and reasons by the numbers of their combinations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results {
    dkim: Numbers<Vec<Dkim>>,
    spf: Numbers<Vec<Spf>>,
    reasons: Numbers<Vec<Reason>>,
}

impl Results {
    /// Looks up these combinations of DKIM results, of SPF results and of reasons.
    pub(in crate::query) fn of(
        database: &Database,
        dkim_sets: impl Iterator<Item = i64>,
        spf_sets: impl Iterator<Item = i64>,
        reason_sets: impl Iterator<Item = i64>,
    ) -> Result<Results, Error> {
        let mut words = Words::default();
        let (dkim_sets, spf_sets, reason_sets) = (once(dkim_sets), once(spf_sets), once(reason_sets));
        let connection = database.connection();
        let mut read = || -> rusqlite::Result<Results> {
            let dkim = rows(connection, include_str!("dkim.sql"), &dkim_sets, |row| {
                let (domain, selector) = (words.text(connection, row.get(0)?)?, words.text(connection, row.get(1)?)?);
                Ok(Dkim { domain, selector, result: words.word(row, 2)? })
            })?;
            let spf = rows(connection, include_str!("spf.sql"), &spf_sets, |row| {
                let domain = words.text(connection, row.get(0)?)?;
                Ok(Spf { domain, scope: words.word(row, 1)?, result: words.word(row, 2)? })
            })?;
            let reasons = rows(connection, include_str!("reasons.sql"), &reason_sets, |row| {
                Ok(Reason { kind: words.word(row, 0)?, comment: words.text(connection, row.get(1)?)? })
            })?;
            Ok(Results { dkim, spf, reasons })
        };
        read().map_err(|error| database.explain(error))
    }

    /// The DKIM results of a combination.
    pub fn dkim(&self, set: i64) -> &[Dkim] {
        self.dkim.get(&set).map_or(&[], Vec::as_slice)
    }

    /// Those of all.
    pub fn all_dkim(&self) -> impl Iterator<Item = &Dkim> {
        self.dkim.values().flatten()
    }

    /// The SPF results of a combination.
    pub fn spf(&self, set: i64) -> &[Spf] {
        self.spf.get(&set).map_or(&[], Vec::as_slice)
    }

    /// The override reasons of a combination.
    pub fn reasons(&self, set: i64) -> &[Reason] {
        self.reasons.get(&set).map_or(&[], Vec::as_slice)
    }
}

/// Strings of which there are few, each held once.
#[derive(Default)]
pub(in crate::query) struct Words {
    texts: Numbers<Arc<str>>,
    words: HashMap<Box<[u8]>, Arc<str>, RandomState>,
}

impl Words {
    /// Number `id` of the table `text`.
    pub(in crate::query) fn text(
        &mut self,
        connection: &Connection,
        id: Option<i64>,
    ) -> rusqlite::Result<Option<Arc<str>>> {
        let Some(id) = id else { return Ok(None) };
        if let Some(known) = self.texts.get(&id) {
            return Ok(Some(known.clone()));
        }
        let mut text = connection.prepare_cached(include_str!("text.sql"))?;
        let found: Option<Arc<str>> = text.query_row([id], |row| row.get(0)).optional()?;
        if let Some(found) = &found {
            self.texts.insert(id, found.clone());
        }
        Ok(found)
    }

    /// A word that stands in a row.
    fn word(&mut self, row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Arc<str>>> {
        let ValueRef::Text(word) = row.get_ref(column)? else { return Ok(None) };
        if let Some(known) = self.words.get(word) {
            return Ok(Some(known.clone()));
        }
        let held: Arc<str> = row.get(column)?;
        self.words.insert(word.into(), held.clone());
        Ok(Some(held))
    }
}

/// The rows of `sql` for each of these numbers, which it asks for.
fn rows<T>(
    connection: &Connection,
    sql: &str,
    numbers: &[i64],
    mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Numbers<Vec<T>>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut found: Numbers<Vec<T>> = Numbers::with_capacity_and_hasher(numbers.len(), Default::default());
    for number in numbers {
        let mut rows = statement.query([number])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(read(row)?);
        }
        if !all.is_empty() {
            found.insert(*number, all);
        }
    }
    Ok(found)
}
