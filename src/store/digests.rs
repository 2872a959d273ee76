//! When the last digest was handed out, and what it said.

use std::path::Path;

use rusqlite::TransactionBehavior;

use super::suppressions::open;

/// Keeps that a digest of these findings was handed out.
///
/// # Errors
/// The database cannot be written.
pub fn put(path: &Path, at: i64, findings: &[u8]) -> rusqlite::Result<()> {
    let mut connection = open(path)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute(
        "INSERT INTO digest_state (id, at, findings) VALUES (1, ?1, ?2)
         ON CONFLICT (id) DO UPDATE SET at = excluded.at, findings = excluded.findings",
        rusqlite::params![at, findings],
    )?;
    transaction.commit()
}
