//! Complaints and bounces judged again: when something is learned that makes a difference to those that are there. A policy
//! domain that only a later report tells of, a source that turns out to fail only, other settings, a message that is only
//! now known to be authenticated, a person's word about a sender.
//!
//! What follows from evidence is a function of all that is stored, so that it does not matter what came first.

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::keep::Ours;
use super::knowledge::{Knowledge, only_fails, policy_domains};
use super::{Error, Store, bounce, complaint};

/// Complaints or bounces judged again in one transaction.
const BATCH: usize = 500;

/// What judging all of them again came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Complaints and bounces that are judged otherwise than before.
    pub changed: u64,
    /// Addresses that are suppressed now and were not before, less those that were and are not.
    pub suppressed: i64,
}

/// What judging rests on beside the evidence.
#[derive(PartialEq, Eq)]
struct Basis {
    /// Digest of what the configuration says.
    settings: Vec<u8>,
    /// Digest of the policy domains.
    domains: Vec<u8>,
    /// The newest report.
    report: i64,
}

impl Basis {
    fn now(connection: &Connection, ours: &Ours) -> rusqlite::Result<Basis> {
        let settings = serde_json::json!([
            sorted(&ours.own_domains),
            sorted(&ours.feedback_senders),
            ours.tokens.fingerprint(),
            format!("{:?} {:?} {:?}", ours.soft, ours.reach, ours.policy),
        ]);
        let domains = serde_json::json!(policy_domains(connection)?);
        let digest = |json: serde_json::Value| Sha256::digest(json.to_string()).to_vec();
        let report = connection.query_row("SELECT coalesce(max(id), 0) FROM report", [], |row| row.get(0))?;
        Ok(Basis { settings: digest(settings), domains: digest(domains), report })
    }

    fn before(connection: &Connection) -> rusqlite::Result<Option<Basis>> {
        connection
            .query_row("SELECT settings, domains, report FROM judgement", [], |row| {
                Ok(Basis { settings: row.get(0)?, domains: row.get(1)?, report: row.get(2)? })
            })
            .optional()
    }
}

fn sorted(names: &[String]) -> Vec<String> {
    let mut names: Vec<String> = names.iter().map(|name| name.trim().to_lowercase()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Notes what the first complaint or bounce is judged by, so that it is known when that changes.
pub fn begin(connection: &Connection, ours: &Ours) -> rusqlite::Result<()> {
    let Basis { settings, domains, report } = Basis::now(connection, ours)?;
    connection
        .prepare_cached("INSERT OR IGNORE INTO judgement (id, settings, domains, report) VALUES (1, ?1, ?2, ?3)")?
        .execute(params![settings, domains, report])
        .map(|_| ())
}

/// Has everything judged again by [`Store::judge_again`].
pub fn forget(connection: &Connection) -> rusqlite::Result<()> {
    connection.prepare_cached("UPDATE judgement SET settings = x''")?.execute([]).map(|_| ())
}

/// Rows to judge again.
#[derive(Default)]
struct Candidates {
    complaints: Vec<i64>,
    bounces: Vec<i64>,
}

impl Candidates {
    /// Those that may come out otherwise, where what they were judged by has changed.
    fn find(connection: &Connection, before: &Basis, now: &Basis, configured: bool) -> rusqlite::Result<Candidates> {
        let mut found = Candidates::default();
        if before.settings != now.settings || (before.domains != now.domains && !configured) {
            return Candidates::all(connection);
        }
        if before.domains != now.domains {
            // More policy domains make mail ours that was not, and leave the people of other complaints alone.
            found.complaints = ids(
                connection,
                "SELECT id FROM complaint WHERE pruned_at IS NULL AND (about_us = 0 OR header_from IS NULL)",
            )?;
            found.bounces = ids(connection, "SELECT id FROM bounce WHERE pruned_at IS NULL AND about_us = 0")?;
        }
        found.complaints.extend(turned(connection)?);
        found.complaints.sort_unstable();
        found.complaints.dedup();
        Ok(found)
    }

    fn all(connection: &Connection) -> rusqlite::Result<Candidates> {
        Ok(Candidates {
            complaints: ids(connection, "SELECT id FROM complaint WHERE pruned_at IS NULL ORDER BY id")?,
            bounces: ids(connection, "SELECT id FROM bounce WHERE pruned_at IS NULL ORDER BY id")?,
        })
    }
}

impl Store {
    /// Judges complaints and bounces again where what they were judged by has changed. To be called once, at the end of a
    /// run; costs next to nothing when nothing has changed. How many are judged otherwise than before.
    ///
    /// # Errors
    /// Those of SQLite. What was judged by then is kept, and the next run goes on.
    pub fn judge_again(&mut self, ours: &Ours) -> Result<u64, Error> {
        let start = |connection: &Connection| -> rusqlite::Result<Option<(Basis, Candidates)>> {
            let Some(before) = Basis::before(connection)? else { return Ok(None) };
            let now = Basis::now(connection, ours)?;
            if before == now {
                return Ok(None);
            }
            let candidates = Candidates::find(connection, &before, &now, !ours.own_domains.is_empty())?;
            Ok(Some((now, candidates)))
        };
        let Some((basis, candidates)) = start(&self.connection).map_err(|source| self.error(source))? else {
            return Ok(0);
        };
        self.known = None;
        let mut changed = 0;
        for batch in candidates.complaints.chunks(BATCH) {
            changed += self.in_transaction(|store| store.judge(ours, batch, &[]))?;
        }
        for batch in candidates.bounces.chunks(BATCH) {
            changed += self.in_transaction(|store| store.judge(ours, &[], batch))?;
        }
        self.in_transaction(|store| {
            let Basis { settings, domains, report } = &basis;
            store.connection.execute(
                "UPDATE judgement SET settings = ?1, domains = ?2, report = ?3",
                params![settings, domains, report],
            )
        })?;
        Ok(changed)
    }

    /// Runs `work` in a transaction of its own.
    pub(super) fn in_transaction<T>(
        &mut self,
        work: impl FnOnce(&mut Store) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        self.begin()?;
        match self.in_savepoint(work) {
            Ok(value) => self.commit().map(|()| value),
            Err(error) => {
                self.abandon();
                Err(error)
            }
        }
    }

    /// All complaints and bounces, within a transaction.
    pub(super) fn judge_all(&mut self, ours: &Ours) -> rusqlite::Result<Judged> {
        let Candidates { complaints, bounces } = Candidates::all(&self.connection)?;
        let before = suppressed(&self.connection)?;
        let changed = self.judge(ours, &complaints, &bounces)?;
        Ok(Judged { changed, suppressed: suppressed(&self.connection)? - before })
    }

    /// These complaints and bounces, within a transaction. How many are judged otherwise than before.
    pub(super) fn judge(&mut self, ours: &Ours, complaints: &[i64], bounces: &[i64]) -> rusqlite::Result<u64> {
        let Store { connection, known, .. } = self;
        let known = Knowledge::of(known, connection, ours)?;
        let mut changed = 0;
        for &id in complaints {
            changed += u64::from(complaint::judge_again(connection, known, ours, id)?);
        }
        for &id in bounces {
            changed += u64::from(bounce::judge_again(connection, known, ours, id)?);
        }
        Ok(changed)
    }
}

fn ids(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<i64>> {
    connection.prepare_cached(sql)?.query_map([], |row| row.get(0))?.collect()
}

fn suppressed(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT count(DISTINCT address) FROM v_suppression", [], |row| row.get(0))
}

/// Complaints whose source turns out to fail only, or not to fail only any more.
fn turned(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    let sources = ids(connection, "SELECT DISTINCT source FROM complaint WHERE source IS NOT NULL")?;
    let mut found = Vec::new();
    for source in sources {
        let fails = only_fails(connection, source)?;
        let mut statement = connection.prepare_cached(
            "SELECT id FROM complaint WHERE source = ?1 AND pruned_at IS NULL \
             AND (CASE WHEN ?3 THEN not_ours IS NULL ELSE not_ours = ?2 END)",
        )?;
        let rows = statement.query_map(params![source, complaint::ONLY_FAILS, fails], |row| row.get(0))?;
        found.extend(rows.collect::<rusqlite::Result<Vec<i64>>>()?);
    }
    Ok(found)
}
