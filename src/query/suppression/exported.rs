//! What was exported last: for a target of `--since-last` its entries, for a file how many there were.

use rusqlite::named_params;

use super::{Database, Error};

super::super::row! {
    /// The last export for a target or to a file.
    pub struct Last {
        /// Row id.
        id: i64,
        /// Name of the format.
        format: String,
        /// The From domain asked for; empty is every domain.
        scope: String,
        /// When.
        at: i64,
        /// How many entries the target has since.
        entries: i64,
        /// Names of the files written, a JSON array.
        files: String,
    }
}

super::super::row! {
    /// One entry of it.
    pub struct Exported {
        /// The address in lower case.
        folded: String,
        /// Which list of the format.
        list: String,
        /// The address as written.
        address: String,
        /// The From domain, in formats that tell it; else empty.
        scope: String,
        /// Digest of what was written.
        digest: Vec<u8>,
    }
}

/// The last export for `target:NAME` or to `file:PATH`.
///
/// # Errors
/// As [`Database`].
pub fn last(database: &Database, target: &str) -> Result<Option<Last>, Error> {
    let params = named_params! {":target": target};
    Ok(database.rows(include_str!("export_last.sql"), params, Last::read)?.pop())
}

/// Lends `work` the entries of an export, one after the other, ordered by the address in lower case.
///
/// # Errors
/// As [`Database`], and what `work` fails with.
pub fn entries<T, E: From<Error>>(
    database: &Database,
    export: i64,
    work: impl FnOnce(&mut dyn FnMut() -> Result<Option<Exported>, Error>) -> Result<T, E>,
) -> Result<T, E> {
    let explain = |error| database.explain(error);
    let mut statement = database.connection().prepare(include_str!("export_entries.sql")).map_err(explain)?;
    let mut rows = statement.query(named_params! {":export": export}).map_err(explain)?;
    work(&mut || rows.next().and_then(|row| row.map(Exported::read).transpose()).map_err(explain))
}
