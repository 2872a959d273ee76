//! Judges complaints: whether they are to be believed, whether they are about mail of ours, and whom they take off which
//! list. Again, when what that rests on has changed: a policy domain that only a later report tells of, other
//! `own_domains` or `feedback_senders`, a message that is only now known to be authenticated. So the order in which mail
//! came in does not matter.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::keep::Ours;
use super::{Error, Store};
use crate::reading::{Auth, MailHead};
use crate::report::Complaint;
use crate::report::address::Address;
use crate::report::authentication::Verdict;
use crate::report::feedback::{FeedbackType, Recipient, RecipientStatus};
use crate::suppress::rules::{Kind, Policy};
use crate::suppress::{About, Decision, Own, Trust, decide, trust};

/// Complaints judged again in one transaction.
const BATCH: usize = 500;

/// Domains of ours.
#[derive(Clone, Debug, Default)]
pub struct Domains {
    /// Configured, and named as policy domains by reports: mail from these is ours.
    pub ours: Own,
    /// Those whose people no complaint takes off a list. The configured ones, where there are any: a policy domain is what
    /// a stranger writes, and one who writes `gmail.com` must not have everybody there mailed again.
    exempt: Own,
    /// Whether `exempt` is as configured.
    configured: bool,
}

impl Domains {
    /// Those configured, and those that reports told of.
    pub fn load(connection: &Connection, own_domains: &[String]) -> rusqlite::Result<Domains> {
        let mut all = policy_domains(connection)?;
        all.extend(own_domains.iter().cloned());
        let ours = Own::new(all);
        let configured = !own_domains.is_empty();
        let exempt = if configured { Own::new(own_domains) } else { ours.clone() };
        Ok(Domains { ours, exempt, configured })
    }
}

fn policy_domains(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT t.value FROM policy_domain d CROSS JOIN text t ON t.id = d.domain ORDER BY t.value")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// What is known of the mail that brought a complaint.
#[derive(Clone, Debug)]
pub struct Evidence {
    verdict: Verdict,
    from: Option<String>,
    /// Came through a mailbox that is known to feedback loops only.
    pub reserved: bool,
}

impl Evidence {
    /// From the mail's header, where it was a mail.
    pub fn of(head: Option<&MailHead>, reserved: bool) -> Evidence {
        let auth = head.map_or(Auth::None, |head| head.auth);
        let domain = head.and_then(|head| head.auth_domain.clone());
        Evidence::new(auth.as_str(), domain, head.and_then(|head| head.from_address.clone()), reserved)
    }

    fn new(auth: &str, domain: Option<String>, from: Option<String>, reserved: bool) -> Evidence {
        let verdict = match (auth, domain) {
            ("pass", Some(domain)) => Verdict::Pass(domain),
            ("fail", _) => Verdict::Fail,
            _ => Verdict::None,
        };
        Evidence { verdict, from, reserved }
    }
}

/// What complaints are judged by.
pub struct Judge<'a> {
    pub domains: &'a Domains,
    pub feedback_senders: &'a [String],
}

/// What became of a complaint.
pub struct Judged {
    pub trust: Trust,
    pub about_us: bool,
    /// Of each of its recipients.
    pub statuses: Vec<RecipientStatus>,
    pub suppressions: Vec<Suppression>,
}

/// A person and a list.
pub struct Suppression {
    address: String,
    scope: String,
    kind: Kind,
}

impl Judge<'_> {
    /// Judges a complaint, whose recipients are not marked as ours yet.
    pub fn judge(&self, complaint: &Complaint, evidence: &Evidence) -> Judged {
        let mut complaint = complaint.clone();
        complaint.mark_own(|domain| self.domains.exempt.holds(domain));
        let from = evidence.from.as_deref().and_then(|from| Address::parse(from).ok());
        let settings = trust::Settings { feedback_senders: self.feedback_senders, reserved: evidence.reserved };
        let trust = trust::assess(&complaint, &evidence.verdict, from.as_ref(), &settings);
        let about = trust::about(&complaint, &self.domains.ours);
        let mut suppressions = Vec::new();
        for person in &complaint.recipients {
            let decision = decide(&complaint, person, &trust, &about, &self.domains.exempt, Policy::default());
            if let (Decision::Suppress { scope, kind }, Some(address)) = (decision, &person.address) {
                suppressions.push(Suppression { address: address.clone(), scope, kind });
            }
        }
        let statuses = complaint.recipients.iter().map(|person| person.status).collect();
        Judged { trust, about_us: matches!(about, About::Ours(_)), statuses, suppressions }
    }
}

/// Adds the event that follows from a complaint, dated when it arrived: what a person said since stands.
pub fn append(
    connection: &Connection,
    suppression: &Suppression,
    complaint: i64,
    at: i64,
    reason: &str,
) -> rusqlite::Result<()> {
    let Suppression { address, scope, kind } = suppression;
    connection
        .prepare_cached(
            "INSERT INTO suppression_event (folded, address, scope, kind, at, reason, complaint) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![address.to_lowercase(), address, scope, kind.as_str(), at, reason, complaint])
        .map(|_| ())
}

/// Digests of what judging rests on: what the configuration says, and what reports say.
fn digests(connection: &Connection, ours: &Ours) -> rusqlite::Result<[[u8; 32]; 2]> {
    let settings = [sorted(&ours.own_domains), sorted(&ours.feedback_senders)];
    let settings = serde_json::json!(settings).to_string();
    let domains = serde_json::json!(policy_domains(connection)?).to_string();
    Ok([settings, domains].map(|text| Sha256::digest(text).into()))
}

fn sorted(names: &[String]) -> Vec<String> {
    let mut names: Vec<String> = names.iter().map(|name| name.trim().to_lowercase()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Notes what the first complaint is judged by, so that it is known when that changes.
pub fn begin(connection: &Connection, ours: &Ours) -> rusqlite::Result<()> {
    let [settings, domains] = digests(connection, ours)?;
    connection
        .prepare_cached("INSERT OR IGNORE INTO judgement (id, settings, domains) VALUES (1, ?1, ?2)")?
        .execute(params![settings, domains])
        .map(|_| ())
}

/// Has every complaint judged again by [`Store::judge_again`].
pub fn forget(connection: &Connection) -> rusqlite::Result<()> {
    connection.prepare_cached("UPDATE judgement SET settings = x''")?.execute([]).map(|_| ())
}

impl Store {
    /// Judges complaints again where what they were judged by has changed. To be called once, at the end of a run; costs
    /// next to nothing when nothing has changed. `now` in seconds since the epoch. How many complaints are judged
    /// otherwise than before.
    ///
    /// # Errors
    /// Those of SQLite. What was judged by then is kept, and the next run goes on.
    pub fn judge_again(&mut self, ours: &Ours, now: i64) -> Result<u64, Error> {
        let start = |store: &Store| -> rusqlite::Result<Option<Again>> {
            let [settings, domains] = digests(&store.connection, ours)?;
            let before: Option<(Vec<u8>, Vec<u8>)> = store
                .connection
                .query_row("SELECT settings, domains FROM judgement", [], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some(before) = before.filter(|before| before.0 != settings || before.1 != domains) else {
                return Ok(None);
            };
            let loaded = Domains::load(&store.connection, &ours.own_domains)?;
            // More policy domains make mail ours that was not, and leave the people of other complaints alone.
            let only_others = before.0 == settings && loaded.configured;
            Ok(Some(Again { settings, domains, loaded, only_others }))
        };
        let Some(again) = start(self).map_err(|source| self.error(source))? else {
            return Ok(0);
        };
        let judge = Judge { domains: &again.loaded, feedback_senders: &ours.feedback_senders };
        let (mut last, mut changed) = (0, 0);
        loop {
            self.begin()?;
            let batch = self.in_savepoint(|store| {
                let ids = candidates(&store.connection, last, again.only_others)?;
                for id in &ids {
                    changed += u64::from(judge_one(&store.connection, *id, &judge, now)?);
                }
                if ids.len() < BATCH {
                    store.connection.execute(
                        "UPDATE judgement SET settings = ?1, domains = ?2",
                        params![again.settings, again.domains],
                    )?;
                }
                Ok(ids)
            });
            match batch {
                Ok(ids) => {
                    self.commit()?;
                    if ids.len() < BATCH {
                        return Ok(changed);
                    }
                    last = ids.last().copied().unwrap_or(i64::MAX);
                }
                Err(error) => {
                    self.abandon();
                    return Err(error);
                }
            }
        }
    }
}

struct Again {
    settings: [u8; 32],
    domains: [u8; 32],
    loaded: Domains,
    only_others: bool,
}

/// The next complaints after `last`; with `only_others` those that are not known to be about us, and those whose scope
/// hangs on which of several reported domains are ours.
fn candidates(connection: &Connection, last: i64, only_others: bool) -> rusqlite::Result<Vec<i64>> {
    connection
        .prepare_cached(
            "SELECT id FROM complaint WHERE id > ?1 AND pruned_at IS NULL \
             AND (?2 = 0 OR about_us = 0 OR header_from IS NULL) ORDER BY id LIMIT ?3",
        )?
        .query_map(params![last, only_others, BATCH as i64], |row| row.get(0))?
        .collect()
}

/// A complaint as far as judging goes, with what it was judged to be.
struct Stored {
    complaint: Complaint,
    evidence: Evidence,
    arrived_at: i64,
    before: (bool, String, bool),
    /// Numbers of the rows of its recipients, and their statuses.
    people: Vec<(i64, String)>,
}

fn load(connection: &Connection, id: i64) -> rusqlite::Result<Stored> {
    let mut stored = connection
        .prepare_cached(
            "SELECT c.feedback_type, c.provider, f.value, c.reported_domains, c.dkim_signatures, c.unsubscribe_to, c.reserved, \
             c.arrived_at, c.trusted, c.trust_reason, c.about_us, m.auth, m.auth_domain, m.from_address \
             FROM complaint c JOIN message m ON m.id = c.message LEFT JOIN text f ON f.id = c.header_from WHERE c.id = ?1",
        )?
        .query_row(params![id], |row| {
            let word: String = row.get(0)?;
            let provider: Option<String> = row.get(1)?;
            let mut complaint = Complaint::new(FeedbackType::parse(&word));
            // The rules know two by name.
            complaint.provider =
                ["amazon-ses", "abusix"].into_iter().find(|known| provider.as_deref() == Some(known));
            complaint.header_from = row.get(2)?;
            complaint.reported_domains = list(&row.get::<_, String>(3)?);
            complaint.dkim_signatures = list(&row.get::<_, String>(4)?);
            complaint.unsubscribe_to = row.get(5)?;
            let auth: Option<String> = row.get(11)?;
            let evidence = Evidence::new(auth.as_deref().unwrap_or(""), row.get(12)?, row.get(13)?, row.get(6)?);
            let before = (row.get(8)?, row.get(9)?, row.get(10)?);
            Ok(Stored { complaint, evidence, arrived_at: row.get(7)?, before, people: Vec::new() })
        })?;
    let mut select = connection.prepare_cached(
        "SELECT ordinal, address, status, via FROM complaint_recipient WHERE complaint = ?1 ORDER BY ordinal",
    )?;
    let mut rows = select.query(params![id])?;
    while let Some(row) = rows.next()? {
        let status: String = row.get(2)?;
        let via: String = row.get(3)?;
        stored.complaint.recipients.push(Recipient {
            address: row.get(1)?,
            status: match status.as_str() {
                "ok" | "own_domain" => RecipientStatus::Ok,
                "redacted" => RecipientStatus::Redacted,
                "hashed" => RecipientStatus::Hashed,
                _ => RecipientStatus::Malformed,
            },
            // What matters is whether somebody speaks for himself.
            via: if via == "from" { "from" } else { "" },
            spelled: String::new(),
        });
        stored.people.push((row.get(0)?, status));
    }
    Ok(stored)
}

fn list<T: DeserializeOwned>(json: &str) -> Vec<T> {
    serde_json::from_str(json).unwrap_or_default()
}

/// Judges one complaint again. Whether that changed anything.
fn judge_one(connection: &Connection, id: i64, judge: &Judge<'_>, now: i64) -> rusqlite::Result<bool> {
    let stored = load(connection, id)?;
    let judged = judge.judge(&stored.complaint, &stored.evidence);
    let mut changed = false;
    let after = (judged.trust.trusted, judged.trust.reason.clone(), judged.about_us);
    if after != stored.before {
        changed = true;
        connection
            .prepare_cached("UPDATE complaint SET trusted = ?2, trust_reason = ?3, about_us = ?4 WHERE id = ?1")?
            .execute(params![id, after.0, after.1, after.2])?;
    }
    for ((ordinal, before), status) in stored.people.iter().zip(&judged.statuses) {
        if before != status.as_str() {
            changed = true;
            connection
                .prepare_cached("UPDATE complaint_recipient SET status = ?3 WHERE complaint = ?1 AND ordinal = ?2")?
                .execute(params![id, ordinal, status.as_str()])?;
        }
    }
    let mut events = events(connection, id)?;
    for suppression in &judged.suppressions {
        let event = events.remove(&(suppression.address.to_lowercase(), suppression.scope.clone()));
        if event.is_none_or(|event| event.taken_back) {
            changed = true;
            append(connection, suppression, id, stored.arrived_at, stored.complaint.feedback_type.as_str())?;
        }
    }
    for ((folded, scope), event) in events {
        if event.active && rests_on_nothing(connection, id, &folded, &scope, judge, now)? {
            changed = true;
            take_back(connection, id, &folded, &scope, now)?;
        }
    }
    Ok(changed)
}

/// What the newest event that follows from a complaint came to.
struct Event {
    /// Nobody and nothing has lifted it since.
    active: bool,
    /// Lifted because a complaint was judged again.
    taken_back: bool,
}

/// The newest event of a complaint for each person and list.
fn events(connection: &Connection, complaint: i64) -> rusqlite::Result<BTreeMap<(String, String), Event>> {
    connection
        .prepare_cached(
            "SELECT e.folded, e.scope, \
             NOT EXISTS (SELECT 1 FROM suppression_event l WHERE l.folded = e.folded AND l.scope = e.scope AND l.kind = 'lift' \
                         AND (l.at, l.id) > (e.at, e.id)), \
             EXISTS (SELECT 1 FROM suppression_event l WHERE l.folded = e.folded AND l.scope = e.scope AND l.kind = 'lift' \
                     AND l.complaint IS NOT NULL AND (l.at, l.id) > (e.at, e.id)) \
             FROM suppression_event e WHERE e.complaint = ?1 AND e.kind <> 'lift' ORDER BY e.id",
        )?
        .query_map(params![complaint], |row| {
            Ok(((row.get(0)?, row.get(1)?), Event { active: row.get(2)?, taken_back: row.get(3)? }))
        })?
        .collect()
}

/// Whether nothing else speaks against mailing the person, by what holds now: no word of a person, and no other complaint.
fn rests_on_nothing(
    connection: &Connection,
    complaint: i64,
    folded: &str,
    scope: &str,
    judge: &Judge<'_>,
    now: i64,
) -> rusqlite::Result<bool> {
    let mut others = connection.prepare_cached(
        "SELECT DISTINCT e.complaint, c.pruned_at FROM suppression_event e LEFT JOIN complaint c ON c.id = e.complaint \
         WHERE e.folded = ?1 AND e.scope = ?2 AND e.kind <> 'lift' \
         AND e.complaint IS NOT ?3 AND (e.until_at IS NULL OR e.until_at > ?4) \
         AND NOT EXISTS (SELECT 1 FROM suppression_event l WHERE l.folded = e.folded AND l.scope = e.scope AND l.kind = 'lift' \
                         AND (l.at, l.id) > (e.at, e.id))",
    )?;
    let mut rows = others.query(params![folded, scope, complaint, now])?;
    while let Some(row) = rows.next()? {
        let Some(other) = row.get::<_, Option<i64>>(0)? else {
            return Ok(false);
        };
        // Of a pruned complaint only the outcome is left.
        if row.get::<_, Option<i64>>(1)?.is_some() {
            return Ok(false);
        }
        let stored = load(connection, other)?;
        let judged = judge.judge(&stored.complaint, &stored.evidence);
        if judged.suppressions.iter().any(|s| s.scope == scope && s.address.to_lowercase() == folded) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Lifts what rests on nothing, dated as the newest of it, so that whatever came after it stands.
fn take_back(connection: &Connection, complaint: i64, folded: &str, scope: &str, now: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO suppression_event (folded, address, scope, kind, at, reason, complaint) \
             SELECT folded, address, scope, 'lift', max(at), 'judged again: it speaks against nobody', ?3 \
             FROM suppression_event WHERE folded = ?1 AND scope = ?2 AND kind <> 'lift' AND (until_at IS NULL OR until_at > ?4)",
        )?
        .execute(params![folded, scope, complaint, now])
        .map(|_| ())
}
