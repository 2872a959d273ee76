//! What deciding about complaints and bounces needs to know beside them: loaded once, and again when it has changed.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::keep::Ours;
use crate::suppress::Own;
use crate::suppress::trust::Trusted;

/// Addresses of the send log that one Message-ID may have gone to and still be looked at.
const LOG_RECIPIENTS: usize = 1000;

/// What is known of the user and of the mail that was sent.
pub struct Knowledge {
    /// Our domains: configured, and reported as policy domains.
    pub own: Own,
    /// Our domains, as configured: reports come from strangers.
    pub configured: Own,
    /// Domains whose people no complaint and no bounce takes off a list. The configured ones, where there are any: a policy
    /// domain is what a stranger writes, and one who writes `gmail.com` must not have everybody there mailed again.
    pub exempt: Own,
    /// Senders of complaints whom a person trusts.
    pub trusted: Vec<Trusted>,
    /// Whether there is a send log.
    has_log: bool,
    /// Sources by their row, and whether they only ever fail DMARC.
    fails: HashMap<i64, bool>,
}

impl Knowledge {
    /// What is in `slot`, loaded where it is empty; with that is noted what it is that is judged by.
    pub fn of<'k>(
        slot: &'k mut Option<Knowledge>,
        connection: &Connection,
        ours: &Ours,
    ) -> rusqlite::Result<&'k mut Knowledge> {
        if slot.is_none() {
            super::judge::begin(connection, ours)?;
            *slot = Some(Knowledge::load(connection, ours)?);
        }
        slot.as_mut().ok_or(rusqlite::Error::InvalidQuery)
    }

    /// Loads it.
    pub fn load(connection: &Connection, ours: &Ours) -> rusqlite::Result<Knowledge> {
        let mut domains = policy_domains(connection)?;
        domains.extend(ours.own_domains.iter().cloned());
        let (own, configured) = (Own::new(domains), Own::new(&ours.own_domains));
        let exempt = if ours.own_domains.is_empty() { own.clone() } else { configured.clone() };
        Ok(Knowledge {
            own,
            configured,
            exempt,
            trusted: super::trust::trusted(connection)?,
            has_log: connection.query_row("SELECT EXISTS (SELECT 1 FROM send)", [], |row| row.get(0))?,
            fails: HashMap::new(),
        })
    }

    /// Forgets what it remembers of sources: there are new records.
    pub fn forget_sources(&mut self) {
        self.fails.clear();
    }

    /// Whether aggregate reports know a source, and every record of it fails DMARC.
    pub fn only_fails(&mut self, connection: &Connection, source: i64) -> rusqlite::Result<bool> {
        if let Some(&known) = self.fails.get(&source) {
            return Ok(known);
        }
        let fails = only_fails(connection, source)?;
        self.fails.insert(source, fails);
        Ok(fails)
    }

    /// Whom the send log says a Message-ID went to; empty where it does not know it, or where it went to very many.
    pub fn sent_to(&self, connection: &Connection, message_id: Option<&str>) -> rusqlite::Result<Vec<String>> {
        let Some(message_id) = message_id.filter(|_| self.has_log) else { return Ok(Vec::new()) };
        let hash = super::sendlog::hash(message_id);
        let sql = format!(
            "SELECT r.address FROM send s JOIN send_recipient r ON r.id = s.recipient WHERE s.message_id = ?1 LIMIT {}",
            LOG_RECIPIENTS + 1
        );
        let mut found: Vec<String> = connection
            .prepare_cached(&sql)?
            .query_map(params![hash], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        if found.len() > LOG_RECIPIENTS {
            found.clear();
        }
        Ok(found)
    }
}

/// Whether aggregate reports know a source, and every record of it fails DMARC. A record that leaves a result out does
/// not say that it fails. The sums are brought up to date for that: reports of the same batch count.
pub fn only_fails(connection: &Connection, source: i64) -> rusqlite::Result<bool> {
    super::daily::catch_up(connection)?;
    connection
        .prepare_cached("SELECT records > 0 AND records_failed = records FROM address WHERE id = ?1")?
        .query_row(params![source], |row| row.get(0))
        .optional()
        .map(|fails| fails.unwrap_or(false))
}

/// Domains that reports named as their policy domain, in order.
pub fn policy_domains(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT t.value FROM policy_domain d CROSS JOIN text t ON t.id = d.domain ORDER BY t.value")?
        .query_map([], |row| row.get(0))?
        .collect()
}
