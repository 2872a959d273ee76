//! What an entry of a list rests on, down to the message.

use rusqlite::{OptionalExtension, named_params};

use super::{Database, Error};

/// `evidence` as a list tells it, with the message that brought the complaint or bounce: its number, its SHA-256 and where
/// it was found first. What a person said rests on no message and stays as it is.
///
/// # Errors
/// As [`Database`].
pub fn proof(database: &Database, evidence: &str) -> Result<String, Error> {
    let (kind, rest) = evidence.split_once(' ').unwrap_or_default();
    let Ok(id) = rest.split(':').next().unwrap_or_default().parse::<i64>() else { return Ok(evidence.to_owned()) };
    let find = || {
        let mut statement = database.connection().prepare_cached(include_str!("proof.sql"))?;
        let read = |row: &rusqlite::Row<'_>| {
            let (message, sha256, origin): (i64, Option<String>, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(format!("{evidence}; message {message}, sha256 {}, {origin}", sha256.unwrap_or_default()))
        };
        statement.query_row(named_params! {":kind": kind, ":id": id}, read).optional()
    };
    find().map(|found| found.unwrap_or_else(|| evidence.to_owned())).map_err(|error| database.explain(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::testing::{FIXTURE, scratch};

    #[test]
    fn from_an_entry_to_its_message() {
        let scratch = scratch(FIXTURE);
        let sha256 = "07".repeat(32);
        let message = format!("message 7, sha256 {sha256}, /mail/complaints.mbox");
        for (evidence, expected) in [
            ("complaint 1", format!("complaint 1; {message}")),
            ("bounce 2", format!("bounce 2; {message}")),
            ("complaint 2: not known to be genuine", format!("complaint 2: not known to be genuine; {message}")),
            ("complaint 99", "complaint 99".to_owned()),
            ("add by mia", "add by mia".to_owned()),
            ("add by 5", "add by 5".to_owned()),
            ("", String::new()),
        ] {
            assert_eq!(proof(&scratch.database, evidence).unwrap(), expected);
        }
    }
}
