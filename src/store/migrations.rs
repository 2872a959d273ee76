//! Numbered steps from every older schema to the present one. A step that has been released is never edited.

use rusqlite::Connection;

/// `PRAGMA application_id`: "DMDB".
pub const APPLICATION_ID: i32 = 0x444D_4442;

/// The schema as a document: what a new file gets.
pub const SCHEMA: &str = include_str!("../../schema.sql");

/// Step `n` (from 0) leads from version `n` to `n + 1`. Version 1 is the first; its step is the frozen text of it.
const STEPS: &[&str] = &[include_str!("migrations/0001.sql")];

/// The version this program writes: `PRAGMA user_version`.
pub const VERSION: i32 = STEPS.len() as i32;

/// Runs the steps from `version` on, each in its own transaction.
///
/// # Errors
/// Those of SQLite; the step that failed left nothing behind.
pub fn migrate(connection: &mut Connection, version: i32) -> rusqlite::Result<()> {
    for (number, step) in STEPS.iter().enumerate().skip(usize::try_from(version).unwrap_or(0)) {
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", number as i32 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}
