//! The daily sums of results, unpacked as they are read: as many as there are are handed on, and none is held.

use rusqlite::{OptionalExtension, Params, named_params};

use super::counts::{dmarc_pass, result};
use super::{Database, Error, Window};
use crate::store::daily;
use crate::store::daily::packed::{self, Key};

/// Messages of one address that have all this in common, out of reports whose period ends in the window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sum<'a> {
    /// Number of the sending address.
    pub source: i64,
    /// The address.
    pub ip: &'a str,
    /// Domains and results. A domain or set of reasons that is missing is 0, a result -1.
    pub key: Key,
    /// How many.
    pub messages: i64,
    /// Begin of the period.
    pub begin_at: i64,
    /// End of the period.
    pub end_at: i64,
}

impl Sum<'_> {
    /// Aligned DKIM and SPF result.
    pub fn results(&self) -> (Option<bool>, Option<bool>) {
        (result(self.key.dkim.into()), result(self.key.spf.into()))
    }

    /// Whether DMARC passes; `None` where the reporter left that out.
    pub fn pass(&self) -> Option<bool> {
        let (dkim, spf) = self.results();
        dmarc_pass(dkim, spf)
    }

    /// Disposition, as stored with records.
    pub fn disposition(&self) -> Option<i64> {
        Some(self.key.disposition.into()).filter(|disposition| *disposition >= 0)
    }
}

/// Hands on the sums of a window: of one policy domain or all, of verified reports or all.
///
/// # Errors
/// As [`Database`].
pub(super) fn in_window(
    database: &Database,
    window: Window,
    domain: Option<&str>,
    verified: bool,
    mut take: impl FnMut(&Sum<'_>),
) -> Result<(), Error> {
    let number = |domain: &str| {
        let sql = include_str!("domain.sql");
        let number =
            database.connection().query_row(sql, named_params! {":domain": domain}, |row| row.get(0)).optional();
        number.map_err(|error| database.explain(error))
    };
    let domain: Option<i64> = match domain {
        None => None,
        Some(domain) => match number(domain)? {
            None => return Ok(()),
            found => found,
        },
    };
    let params = named_params! {":since": window.since, ":until": window.until};
    let read = read(database, include_str!("window.sql"), params, window, |sum| {
        if domain.is_none_or(|domain| sum.key.domain == domain) && (!verified || sum.key.period.verified) {
            take(sum);
        }
    });
    read.map_err(|error| database.explain(error))
}

/// Hands on the sums of these addresses in a window.
///
/// # Errors
/// As [`Database`].
pub(super) fn of(
    database: &Database,
    window: Window,
    sources: impl Iterator<Item = i64>,
    take: impl FnMut(&Sum<'_>),
) -> Result<(), Error> {
    let sources = serde_json::Value::from_iter(sources).to_string();
    let params = named_params! {":since": window.since, ":until": window.until, ":sources": sources};
    read(database, include_str!("of.sql"), params, window, take).map_err(|error| database.explain(error))
}

fn read(
    database: &Database,
    sql: &str,
    params: impl Params,
    window: Window,
    mut take: impl FnMut(&Sum<'_>),
) -> rusqlite::Result<()> {
    let mut statement = database.connection().prepare(sql)?;
    let mut rows = statement.query(params)?;
    while let Some(row) = rows.next()? {
        let (day, source): (i64, i64) = (row.get(0)?, row.get(1)?);
        let ip = row.get_ref(2)?.as_str()?;
        daily::each(row, 3, |packed::Sum { key, messages, .. }| {
            let (begin_at, end_at) = (key.period.begin_at(day), key.period.end_at(day));
            if window.holds(end_at) {
                take(&Sum { source, ip, key, messages, begin_at, end_at });
            }
        })?;
    }
    Ok(())
}
