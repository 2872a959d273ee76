//! What could not be read, and the bytes kept so that it can be read again.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use rusqlite::{Connection, params};

use crate::problem::Problem;

/// Adds one problem of a message.
pub fn insert(connection: &Connection, message: i64, problem: &Problem, seen_at: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO problem (message, part, code, reason, declared_type, found_type, file_name, bytes, head, seen_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            message,
            problem.part,
            problem.refusal.code.as_str(),
            problem.refusal.reason,
            problem.declared_type,
            problem.found_type,
            problem.file_name,
            problem.bytes as i64,
            problem.head,
            seen_at,
        ])
        .map(|_| ())
}

/// Whether exactly these problems of a message wait already.
pub fn are_waiting(connection: &Connection, message: i64, problems: &[Problem]) -> rusqlite::Result<bool> {
    let waiting: Vec<(String, String)> = connection
        .prepare_cached("SELECT part, code FROM problem WHERE message = ?1 AND solved_at IS NULL ORDER BY id")?
        .query_map(params![message], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let now = problems.iter().map(|problem| (problem.part.as_str(), problem.refusal.code.as_str()));
    Ok(!waiting.is_empty() && waiting.iter().map(|(part, code)| (part.as_str(), code.as_str())).eq(now))
}

/// Puts the problems that reading a message again met in the place of those that wait; where there are none, those are
/// solved and the bytes kept for them are no longer needed.
pub fn replace(connection: &Connection, message: i64, problems: &[Problem], at: i64) -> rusqlite::Result<()> {
    if problems.is_empty() {
        connection.execute(
            "UPDATE problem SET solved_at = ?2 WHERE message = ?1 AND solved_at IS NULL",
            params![message, at],
        )?;
        connection.execute("DELETE FROM kept_message WHERE message = ?1", params![message])?;
        return Ok(());
    }
    connection.execute("DELETE FROM problem WHERE message = ?1 AND solved_at IS NULL", params![message])?;
    problems.iter().try_for_each(|problem| insert(connection, message, problem, at))
}

/// Keeps the bytes of a message with a problem, packed.
pub fn keep_bytes(connection: &Connection, message: i64, bytes: &[u8]) -> rusqlite::Result<()> {
    let mut packer = GzEncoder::new(Vec::with_capacity(bytes.len() / 2 + 64), Compression::default());
    // Writing to memory does not fail.
    let packed = packer.write_all(bytes).and_then(|()| packer.finish()).unwrap_or_default();
    connection
        .prepare_cached("INSERT OR REPLACE INTO kept_message (message, bytes) VALUES (?1, ?2)")?
        .execute(params![message, packed])
        .map(|_| ())
}

/// The bytes kept by [`keep_bytes`], at most `most` of them.
pub fn kept_bytes(packed: &[u8], most: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed).take(most).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
