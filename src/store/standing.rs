//! Which of several reports of one identity stands: the best verified, and among equals the first. The others are kept and
//! point to it.

use rusqlite::{Connection, OptionalExtension, params};

use super::daily;
use crate::reading::MailHead;
use crate::report::verification::{Verification, verify};

/// All reports of an identity, `?1`: the one that stands and the few others have an index each.
pub const OF_IDENTITY: &str = "SELECT id FROM report WHERE identity = ?1 AND conflict_with IS NULL \
     UNION ALL SELECT id FROM report WHERE identity = ?1 AND conflict_with IS NOT NULL";

/// The report of an identity that stands.
pub struct Standing {
    pub id: i64,
    /// As [`Verification::rank`].
    pub rank: u8,
}

/// The report of `identity` that stands, if there is any.
pub fn of(connection: &Connection, identity: &[u8]) -> rusqlite::Result<Option<Standing>> {
    connection
        .prepare_cached("SELECT id, verification FROM report WHERE identity = ?1 AND conflict_with IS NULL")?
        .query_row(params![identity], |row| {
            let word: String = row.get(1)?;
            Ok(Standing { id: row.get(0)?, rank: from_word(&word).rank() })
        })
        .optional()
}

fn from_word(word: &str) -> Verification {
    match word {
        "verified" => Verification::Verified,
        "foreign" => Verification::Foreign,
        "failed" => Verification::Failed,
        _ => Verification::Unverified,
    }
}

/// Makes `id` the one of `identity` that stands.
pub fn put(connection: &Connection, identity: &[u8], id: i64) -> rusqlite::Result<()> {
    daily::follow(connection, identity, || stand(connection, identity, id))
}

fn stand(connection: &Connection, identity: &[u8], id: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(&format!("UPDATE report SET conflict_with = ?2 WHERE id IN ({OF_IDENTITY}) AND id <> ?2"))?
        .execute(params![identity, id])?;
    connection.prepare_cached("UPDATE report SET conflict_with = NULL WHERE id = ?1")?.execute(params![id]).map(|_| ())
}

/// A further mail brought the report `id`: if that mail speaks better for it, it is verified by that one.
pub fn improve(connection: &Connection, id: i64, verification: Verification) -> rusqlite::Result<()> {
    if verification.rank() < verification_of(connection, id)?.rank() {
        set(connection, id, verification)?;
    }
    Ok(())
}

fn verification_of(connection: &Connection, id: i64) -> rusqlite::Result<Verification> {
    connection
        .prepare_cached("SELECT verification FROM report WHERE id = ?1")?
        .query_row(params![id], |row| row.get::<_, String>(0))
        .map(|word| from_word(&word))
}

fn set(connection: &Connection, id: i64, verification: Verification) -> rusqlite::Result<()> {
    let identity: Vec<u8> = connection
        .prepare_cached("SELECT identity FROM report WHERE id = ?1")?
        .query_row(params![id], |row| row.get(0))?;
    daily::follow(connection, &identity, || judge(connection, &identity, id, verification))?;
    note_policy_domain(connection, id)
}

/// `id` is verified otherwise than before: perhaps another one of `identity` stands now.
fn judge(connection: &Connection, identity: &[u8], id: i64, verification: Verification) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE report SET verification = ?2 WHERE id = ?1")?
        .execute(params![id, verification.as_str()])?;
    let best: i64 = connection
        .prepare_cached(&format!(
            "SELECT id FROM report WHERE id IN ({OF_IDENTITY}) \
             ORDER BY CASE verification WHEN 'verified' THEN 0 WHEN 'failed' THEN 2 ELSE 1 END, id LIMIT 1",
        ))?
        .query_row(params![identity], |row| row.get(0))?;
    if of(connection, identity)?.is_none_or(|stands| stands.id != best) {
        stand(connection, identity, best)?;
    }
    Ok(())
}

/// Notes the policy domain of an aggregate report as ours, unless its mail failed.
pub fn note_policy_domain(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO policy_domain (domain) SELECT domain FROM report \
             WHERE id = ?1 AND kind = 'aggregate' AND domain IS NOT NULL AND verification <> 'failed'",
        )?
        .execute(params![id])
        .map(|_| ())
}

/// A known message is offered again, and only now is it known whose `Authentication-Results` to believe: takes over what
/// they say, for the message and for the reports that it brought first. Whether anything changed.
pub fn authenticate(connection: &Connection, message: i64, head: &MailHead) -> rusqlite::Result<bool> {
    let changed = connection
        .prepare_cached("UPDATE message SET auth = ?2, auth_domain = ?3, auth_results = ?4 WHERE id = ?1 AND auth = 'none' AND pruned_at IS NULL")?
        .execute(params![message, head.auth.as_str(), head.auth_domain, head.auth_results])?;
    if changed == 0 {
        return Ok(false);
    }
    let reports: Vec<(i64, Option<String>, Option<String>)> = connection
        .prepare_cached(
            "SELECT r.id, o.value, e.value FROM report r LEFT JOIN text o ON o.id = r.org_name \
             LEFT JOIN text e ON e.id = r.org_email WHERE r.message = ?1",
        )?
        .query_map(params![message], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (id, org_name, org_email) in reports {
        let found = verify(&head.sender(), org_name.as_deref(), org_email.as_deref());
        // Another mail may have spoken better for it.
        if verification_of(connection, id)? == Verification::Unverified && found != Verification::Unverified {
            set(connection, id, found)?;
        }
    }
    Ok(true)
}
