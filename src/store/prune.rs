//! Takes away what is older than the user keeps, in steps that are each a transaction, and overwrites it. What people said
//! about suppressions stays for good, and of each message enough to know it again.

use std::path::Path;

use rusqlite::{Connection, Params, params};
use rustix::fs::statvfs;

use super::{Error, Store, daily};

/// Reports, complaints, bounces or messages taken away in one transaction.
const BATCH: i64 = 200;
/// Records taken away in one transaction, but for those of one report, which goes as a whole.
const BATCH_RECORDS: i64 = 20_000;
/// Room that is left on the disk in any case.
const SPARE_BYTES: u64 = 16 << 20;
/// Pages given back to the file system in one transaction.
const BATCH_PAGES: i64 = 4_000;

/// What is old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age {
    /// What is before this goes: the end of a report's period, the arrival of a complaint, when a bounce was told, the time a problem was met.
    pub before: i64,
    /// What claims to be after this is as old as the mail that brought it: a stranger who writes the year 2100 would
    /// otherwise be kept for good.
    pub horizon: i64,
    /// Now.
    pub now: i64,
    /// Whether what the reports that go add up to stays in the daily sums.
    pub keep_sums: bool,
}

/// How much was taken away, or would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Reports of every kind.
    pub reports: i64,
    /// Records of these.
    pub records: i64,
    /// Complaints, also those of which a suppression keeps the bare fact.
    pub complaints: i64,
    /// Bounces, likewise.
    pub bounces: i64,
    /// Problems, waiting or not.
    pub problems: i64,
    /// Messages of which no more is kept than what tells that they were seen.
    pub messages: i64,
    /// Reports taken away before of which the sums were kept, and now these are gone too.
    pub summed_reports: i64,
}

/// Whether what was taken away is gone from the bytes of the file, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Erased {
    /// It is.
    Whole,
    /// It was overwritten row by row, and some bytes may be left: there was no room to write the file anew.
    NoRoom,
    /// The same, as was asked for.
    InPlace,
    /// Another program reads the state of before, and as long as it does, that stays.
    HeldByReader,
    /// Stopped before the end.
    Stopped,
}

/// Numbers of the reports that are old, with how many records each has.
const REPORTS: &str = "
    SELECT r.id, r.records FROM report r WHERE r.end_at < :before
    UNION ALL
    SELECT r.id, r.records FROM report r JOIN message m ON m.id = r.message
    WHERE r.end_at >= max(:horizon, :before) AND m.seen_at < :before";

const COMPLAINTS: &str = "
    SELECT c.id FROM complaint c WHERE c.pruned_at IS NULL AND c.arrived_at < :before
    UNION ALL
    SELECT c.id FROM complaint c JOIN message m ON m.id = c.message
    WHERE c.pruned_at IS NULL AND c.arrived_at >= max(:horizon, :before) AND m.seen_at < :before";

const BOUNCES: &str = "SELECT b.id FROM bounce b WHERE b.pruned_at IS NULL AND b.told_at < :before";

/// Messages that hold nothing any more. One that never held a report goes by its own age.
const MESSAGES: &str = "
    SELECT m.id FROM message m
    WHERE m.pruned_at IS NULL AND (m.seen_at < :before OR m.outcome IN ('stored', 'partial'))
      AND NOT EXISTS (SELECT 1 FROM report r WHERE r.message = m.id)
      AND NOT EXISTS (SELECT 1 FROM complaint c WHERE c.message = m.id AND c.pruned_at IS NULL)
      AND NOT EXISTS (SELECT 1 FROM bounce b WHERE b.message = m.id AND b.pruned_at IS NULL)
      AND NOT EXISTS (SELECT 1 FROM problem p WHERE p.message = m.id)";

/// Rows that are shared and belong to nobody any more. [`LEFT_OVER`] must name every column that refers to them; a test
/// holds it to that. `summed` is [`daily::tell_used`]'s.
const LEFT_OVER: &str = "
    CREATE TEMP TABLE used (id INTEGER PRIMARY KEY);
    INSERT OR IGNORE INTO used SELECT dkim_set FROM record;
    INSERT OR IGNORE INTO used SELECT id FROM summed WHERE kind = 'dkim_set';
    DELETE FROM dkim_result WHERE dkim_set NOT IN (SELECT id FROM used);
    DELETE FROM dkim_set WHERE id NOT IN (SELECT id FROM used);
    DELETE FROM used;
    INSERT OR IGNORE INTO used SELECT spf_set FROM record;
    INSERT OR IGNORE INTO used SELECT id FROM summed WHERE kind = 'spf_set';
    DELETE FROM spf_result WHERE spf_set NOT IN (SELECT id FROM used);
    DELETE FROM spf_set WHERE id NOT IN (SELECT id FROM used);
    DELETE FROM used;
    INSERT OR IGNORE INTO used SELECT reason_set FROM record WHERE reason_set IS NOT NULL;
    INSERT OR IGNORE INTO used SELECT id FROM summed WHERE kind = 'reason_set';
    DELETE FROM reason WHERE reason_set NOT IN (SELECT id FROM used);
    DELETE FROM reason_set WHERE id NOT IN (SELECT id FROM used);
    DELETE FROM used;
    INSERT OR IGNORE INTO used SELECT source FROM record;
    INSERT OR IGNORE INTO used SELECT source FROM daily_source WHERE EXISTS (SELECT 1 FROM summed_report);
    INSERT OR IGNORE INTO used SELECT source FROM failure WHERE source IS NOT NULL;
    INSERT OR IGNORE INTO used SELECT source FROM complaint WHERE source IS NOT NULL;
    INSERT OR IGNORE INTO used SELECT source FROM bounce_recipient WHERE source IS NOT NULL;
    DELETE FROM source_name WHERE source NOT IN (SELECT id FROM used);
    DELETE FROM address WHERE id NOT IN (SELECT id FROM used);
    DELETE FROM used;
    INSERT OR IGNORE INTO used SELECT aggregate FROM report WHERE aggregate IS NOT NULL;
    DELETE FROM aggregate WHERE id NOT IN (SELECT id FROM used);
    DELETE FROM used;
    INSERT OR IGNORE INTO used SELECT org_name FROM report WHERE org_name IS NOT NULL;
    INSERT OR IGNORE INTO used SELECT org_email FROM report WHERE org_email IS NOT NULL;
    INSERT OR IGNORE INTO used SELECT from_address FROM message WHERE from_address IS NOT NULL;
    INSERT OR IGNORE INTO used SELECT folder FROM message WHERE folder IS NOT NULL;
    INSERT OR IGNORE INTO used SELECT domain FROM report WHERE domain IS NOT NULL;
    INSERT OR IGNORE INTO used SELECT domain FROM policy_domain;
    INSERT OR IGNORE INTO used SELECT org_name FROM daily_reporter WHERE EXISTS (SELECT 1 FROM summed_report);
    INSERT OR IGNORE INTO used SELECT domain FROM daily_reporter WHERE EXISTS (SELECT 1 FROM summed_report);
    INSERT OR IGNORE INTO used SELECT id FROM summed WHERE kind = 'header_from';
    INSERT OR IGNORE INTO used SELECT header_from FROM record WHERE header_from IS NOT NULL;
    INSERT OR IGNORE INTO used SELECT envelope_from FROM record WHERE envelope_from IS NOT NULL;
    INSERT OR IGNORE INTO used SELECT envelope_to FROM record WHERE envelope_to IS NOT NULL;
    INSERT OR IGNORE INTO used SELECT domain FROM dkim_result WHERE domain IS NOT NULL;
    INSERT OR IGNORE INTO used SELECT selector FROM dkim_result WHERE selector IS NOT NULL;
    INSERT OR IGNORE INTO used SELECT human_result FROM dkim_result WHERE human_result IS NOT NULL;
    INSERT OR IGNORE INTO used SELECT domain FROM spf_result WHERE domain IS NOT NULL;
    INSERT OR IGNORE INTO used SELECT human_result FROM spf_result WHERE human_result IS NOT NULL;
    INSERT OR IGNORE INTO used SELECT comment FROM reason WHERE comment IS NOT NULL;
    INSERT OR IGNORE INTO used SELECT header_from FROM failure WHERE header_from IS NOT NULL;
    INSERT OR IGNORE INTO used SELECT policy_domain FROM tls_policy WHERE policy_domain IS NOT NULL;
    INSERT OR IGNORE INTO used SELECT header_from FROM complaint WHERE header_from IS NOT NULL;
    INSERT OR IGNORE INTO used SELECT header_from FROM bounce WHERE header_from IS NOT NULL;
    INSERT OR IGNORE INTO used SELECT stream FROM send WHERE stream IS NOT NULL;
    DELETE FROM text WHERE id NOT IN (SELECT id FROM used);
    DROP TABLE used;
    DROP TABLE summed;";

impl Store {
    /// When the newest message was kept.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn newest_seen_at(&self) -> Result<Option<i64>, Error> {
        self.connection
            .query_row("SELECT max(seen_at) FROM message", [], |row| row.get(0))
            .map_err(|source| self.error(source))
    }

    /// How much [`Store::prune`] would take away. What is left of a message when its reports are gone is not counted.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn would_prune(&self, age: Age) -> Result<Pruned, Error> {
        let count = || -> rusqlite::Result<Pruned> {
            let (before, times) = (&[(":before", &age.before)][..], age.bounds());
            let (reports, records) = self.connection.query_row(
                &format!("SELECT count(*), CAST(total(records) AS INTEGER) FROM ({REPORTS})"),
                &times[..],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            let of =
                |sql: &str, times: &[(&str, &i64)]| self.connection.query_row(sql, times, |row| row.get::<_, i64>(0));
            Ok(Pruned {
                reports,
                records,
                complaints: of(&format!("SELECT count(*) FROM ({COMPLAINTS})"), &times)?,
                bounces: of(&format!("SELECT count(*) FROM ({BOUNCES})"), before)?,
                problems: of("SELECT count(*) FROM problem WHERE seen_at < :before", before)?,
                messages: of(&format!("SELECT count(*) FROM ({MESSAGES})"), before)?,
                summed_reports: match age.keep_sums {
                    true => 0,
                    false => of("SELECT count(*) FROM summed_report WHERE end_at < :before", before)?,
                },
            })
        };
        count().map_err(|source| self.error(source))
    }

    /// Takes away what is old, overwrites it, and gives its space back. May be interrupted anywhere: each step is whole, and
    /// the next time goes on. `go_on` is asked between the steps.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn prune(
        &mut self,
        age: Age,
        in_place: bool,
        mut go_on: impl FnMut() -> bool,
    ) -> Result<(Pruned, Erased), Error> {
        let mut pruned = Pruned::default();
        let steps: [Step; 6] =
            [prune_reports, prune_sums, prune_complaints, prune_bounces, prune_problems, prune_messages];
        for step in steps {
            loop {
                if !go_on() {
                    return Ok((pruned, Erased::Stopped));
                }
                self.begin()?;
                let mut so_far = pruned;
                match self.in_savepoint(|store| step(&store.connection, age, &mut so_far)) {
                    Ok(_) if so_far == pruned => {
                        self.abandon();
                        break;
                    }
                    Ok(()) => self.commit()?,
                    Err(error) => {
                        self.abandon();
                        return Err(error);
                    }
                }
                pruned = so_far;
            }
        }
        self.strings.forget();
        // Also what an interrupted time has left.
        self.take_left_over()?;
        let erased = self.renew(in_place)?;
        Ok((pruned, erased))
    }

    /// Foreign keys are not looked at meanwhile: for each row that goes, SQLite would read every table that may refer to it.
    fn take_left_over(&self) -> Result<(), Error> {
        let take = || -> rusqlite::Result<()> {
            self.connection.pragma_update(None, "foreign_keys", false)?;
            let transaction = self.connection.unchecked_transaction()?;
            daily::tell_used(&transaction)?;
            transaction.execute_batch(LEFT_OVER)?;
            transaction.commit()
        };
        let taken = take();
        let restored = self.connection.pragma_update(None, "foreign_keys", true);
        taken.and(restored).map_err(|source| self.error(source))
    }

    /// Writes the whole file anew where there is room for that, unless it is to stay `in_place`. Overwriting what is deleted is
    /// not enough: when SQLite moves rows between pages, bytes of them stay behind in what the pages have left over.
    fn renew(&self, in_place: bool) -> Result<Erased, Error> {
        let renew = || -> rusqlite::Result<Erased> {
            let number = |pragma| self.connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
            let size = number("page_count")?.saturating_mul(number("page_size")?);
            let size = u64::try_from(size).unwrap_or(u64::MAX);
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let free = statvfs(folder).map_or(0, |system| system.f_bavail.saturating_mul(system.f_frsize));
            // Once beside the database, once in its log.
            let roomy = !in_place && free > size.saturating_mul(2).saturating_add(SPARE_BYTES);
            if roomy {
                // Not in memory, and not in a folder where others look.
                self.connection.pragma_update(None, "temp_store", "FILE")?;
                self.connection.pragma_update(None, "temp_store_directory", folder.to_str())?;
                self.connection.execute_batch("VACUUM")?;
            } else {
                self.give_back()?;
            }
            // The log has pages as they were before.
            let busy: bool = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
            Ok(match (busy, roomy) {
                (true, _) => Erased::HeldByReader,
                (false, true) => Erased::Whole,
                (false, false) if in_place => Erased::InPlace,
                (false, false) => Erased::NoRoom,
            })
        };
        renew().map_err(|source| self.error(source))
    }

    /// Gives free pages back, at the cost of little room.
    fn give_back(&self) -> rusqlite::Result<()> {
        let free = || self.connection.pragma_query_value(None, "freelist_count", |row| row.get::<_, i64>(0));
        let mut left = free()?;
        while left > 0 {
            self.connection.execute_batch(&format!("PRAGMA incremental_vacuum({BATCH_PAGES})"))?;
            let now = free()?;
            if now >= left {
                break;
            }
            left = now;
        }
        Ok(())
    }
}

type Step = fn(&Connection, Age, &mut Pruned) -> rusqlite::Result<()>;

impl Age {
    fn bounds(&self) -> [(&'static str, &i64); 2] {
        [(":before", &self.before), (":horizon", &self.horizon)]
    }
}

fn numbers(connection: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<Vec<(i64, i64)>> {
    connection.prepare_cached(sql)?.query_map(params, |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn prune_reports(connection: &Connection, age: Age, pruned: &mut Pruned) -> rusqlite::Result<()> {
    let old = numbers(connection, &format!("SELECT id, records FROM ({REPORTS}) LIMIT {BATCH}"), &age.bounds()[..])?;
    let mut taken = 0;
    for (id, records) in old {
        if taken > 0 && taken + records > BATCH_RECORDS {
            break;
        }
        taken += records;
        if !(age.keep_sums && keep_sum(connection, id, age.before)?) {
            daily::leave(connection, id)?;
        }
        // Those that point to it are of the same period.
        for sql in ["DELETE FROM report WHERE conflict_with = ?1", "DELETE FROM report WHERE id = ?1"] {
            pruned.reports += connection.prepare_cached(sql)?.execute(params![id])? as i64;
        }
        pruned.records += records;
    }
    daily::forget_deleted(connection)
}

/// Has what a report added to the daily sums stay there when it goes, and the report known when it comes again. Not of one
/// that does not count, and not of one that claims to be of the future. Whether that is so.
fn keep_sum(connection: &Connection, report: i64, before: i64) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO summed_report (end_at, digest) SELECT end_at, substr(identity, 9) FROM report \
             WHERE id = ?1 AND kind = 'aggregate' AND counted AND end_at < ?2",
        )?
        .execute(params![report, before])
        .map(|kept| kept > 0)
}

/// A day of sums that were kept when their reports went. Those of other reports were taken out with them by now.
fn prune_sums(connection: &Connection, age: Age, pruned: &mut Pruned) -> rusqlite::Result<()> {
    let oldest = "SELECT min(end_at) FROM summed_report WHERE end_at < ?1";
    let oldest: Option<i64> = connection.prepare_cached(oldest)?.query_row([age.before], |row| row.get(0))?;
    let Some(oldest) = oldest.filter(|_| !age.keep_sums) else { return Ok(()) };
    pruned.summed_reports += daily::forget_kept(connection, daily::day(oldest), age.before)?;
    Ok(())
}

/// A suppression rests on its complaint: of that one stays that it was made, of which kind and through whom, and who was
/// named is told by the suppression alone.
fn prune_complaints(connection: &Connection, age: Age, pruned: &mut Pruned) -> rusqlite::Result<()> {
    let sql = format!(
        "SELECT id, EXISTS (SELECT 1 FROM suppression_event e WHERE e.complaint = old.id) FROM ({COMPLAINTS}) old LIMIT {BATCH}"
    );
    for (id, rests) in numbers(connection, &sql, &age.bounds()[..])? {
        pruned.complaints += 1;
        if rests == 0 {
            connection.prepare_cached("DELETE FROM complaint WHERE id = ?1")?.execute(params![id])?;
            continue;
        }
        connection
            .prepare_cached(
                "UPDATE complaint SET pruned_at = ?2, original_envelope_id = NULL, original_mail_from = NULL, \
                 reporting_mta = NULL, reported_uris = '[]', authentication_results = '[]', message_id = NULL, \
                 subject = NULL, list_id = NULL, cfbl_feedback_id = NULL, tokens = '[]', fields = '[]', \
                 unsubscribe_to = NULL WHERE id = ?1",
            )?
            .execute(params![id, age.now])?;
        for sql in ["DELETE FROM complaint_recipient WHERE complaint = ?1", "DELETE FROM warning WHERE complaint = ?1"]
        {
            connection.prepare_cached(sql)?.execute(params![id])?;
        }
    }
    Ok(())
}

/// As of a complaint: that it was told, by whom and when.
fn prune_bounces(connection: &Connection, age: Age, pruned: &mut Pruned) -> rusqlite::Result<()> {
    let sql = format!(
        "SELECT id, EXISTS (SELECT 1 FROM suppression_event e WHERE e.bounce = old.id) FROM ({BOUNCES}) old LIMIT {BATCH}"
    );
    let before: [(&str, &i64); 1] = [(":before", &age.before)];
    for (id, rests) in numbers(connection, &sql, &before[..])? {
        pruned.bounces += 1;
        if rests == 0 {
            connection.prepare_cached("DELETE FROM bounce WHERE id = ?1")?.execute(params![id])?;
            continue;
        }
        connection
            .prepare_cached(
                "UPDATE bounce SET pruned_at = ?2, original_envelope_id = NULL, message_id = NULL, subject = NULL, \
                 list_id = NULL, tokens = '[]', fields = '[]' WHERE id = ?1",
            )?
            .execute(params![id, age.now])?;
        for sql in ["DELETE FROM bounce_recipient WHERE bounce = ?1", "DELETE FROM warning WHERE bounce = ?1"] {
            connection.prepare_cached(sql)?.execute(params![id])?;
        }
    }
    Ok(())
}

fn prune_problems(connection: &Connection, age: Age, pruned: &mut Pruned) -> rusqlite::Result<()> {
    let sql = format!("DELETE FROM problem WHERE id IN (SELECT id FROM problem WHERE seen_at < ?1 LIMIT {BATCH})");
    pruned.problems += connection.prepare_cached(&sql)?.execute([age.before])? as i64;
    connection
        .prepare_cached(
            "DELETE FROM kept_message WHERE NOT EXISTS \
             (SELECT 1 FROM problem p WHERE p.message = kept_message.message AND p.solved_at IS NULL)",
        )?
        .execute([])
        .map(|_| ())
}

fn prune_messages(connection: &Connection, age: Age, pruned: &mut Pruned) -> rusqlite::Result<()> {
    let sql = format!(
        "UPDATE message SET pruned_at = :now, folder = NULL, origin = CASE WHEN sha256 IS NULL THEN origin ELSE 'pruned' END, reason = NULL, \
         message_id = NULL, from_address = NULL, subject = NULL, auth_results = NULL WHERE id IN ({MESSAGES} LIMIT {BATCH})"
    );
    let times: [(&str, &i64); 2] = [(":before", &age.before), (":now", &age.now)];
    pruned.messages += connection.prepare_cached(&sql)?.execute(&times[..])? as i64;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_is_known() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(super::super::migrations::SCHEMA).unwrap();
        let sql = "SELECT m.name, f.\"from\" FROM sqlite_schema m JOIN pragma_foreign_key_list(m.name) f
                   WHERE m.type = 'table' AND f.\"table\" IN ('text', 'address', 'dkim_set', 'spf_set', 'reason_set', 'aggregate')";
        let references: Vec<(String, String)> = connection
            .prepare(sql)
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert!(references.len() > 20);
        for (table, column) in references {
            let known = LEFT_OVER.contains(&format!("SELECT {column} FROM {table}"))
                || LEFT_OVER.contains(&format!("DELETE FROM {table} WHERE {column} NOT IN"));
            assert!(known, "{table}.{column} may refer to a row that `prune` takes for left over");
        }
    }

    #[test]
    fn no_step_reads_every_report_for_each_that_goes() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(super::super::migrations::SCHEMA).unwrap();
        for sql in ["DELETE FROM report WHERE conflict_with = 1", &format!("SELECT id FROM ({REPORTS}) LIMIT 1")] {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let (mut rows, mut plan) = (statement.raw_query(), Vec::new());
            while let Some(row) = rows.next().unwrap() {
                plan.push(row.get::<_, String>(3).unwrap());
            }
            assert!(!plan.iter().any(|line| line.starts_with("SCAN report") || line == "SCAN r"), "{sql}: {plan:#?}");
        }
    }
}
