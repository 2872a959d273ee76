//! What could not be read, and why.

use rusqlite::named_params;

use super::{Database, Error};

super::row! {
    /// One part, document or message that could not be read.
    pub struct Problem {
        /// Row id.
        id: i64,
        /// Row id of the message it is in.
        message: i64,
        /// Where the message was found.
        origin: String,
        /// Where in the message; empty for the whole.
        part: String,
        /// The stable word.
        code: String,
        /// A sentence for people.
        reason: String,
        /// Media type as declared.
        declared_type: Option<String>,
        /// What the bytes look like.
        found_type: Option<String>,
        /// File name as declared.
        file_name: Option<String>,
        /// Size as far as seen.
        bytes: i64,
        /// When it was met.
        seen_at: i64,
        /// When it was read after all.
        solved_at: Option<i64>,
        /// Subject of the mail it is in.
        subject: Option<String>,
        /// From address of the mail it is in.
        from_address: Option<String>,
        /// Whether the message is kept to be read again.
        kept: bool,
    }
}

/// Hands over the problems that wait, and with `all` the solved ones too, newest first, until `take` answers false.
///
/// # Errors
/// As [`Database`], and what `take` fails with.
pub fn each<E: From<Error>>(
    database: &Database,
    all: bool,
    take: impl FnMut(Problem) -> Result<bool, E>,
) -> Result<(), E> {
    let sql = if all { include_str!("problems_all.sql") } else { include_str!("problems.sql") };
    database.each(sql, [], Problem::read, take)
}

/// The problem `id` and the first bytes of what could not be read; `None` where there is no such problem.
///
/// # Errors
/// As [`Database`].
pub fn show(database: &Database, id: i64) -> Result<Option<(Problem, Vec<u8>)>, Error> {
    let found = database.rows(include_str!("problem.sql"), named_params! {":id": id}, |row| {
        Ok((Problem::read(row)?, row.get("head")?))
    })?;
    Ok(found.into_iter().next())
}
