//! Keeps bounces, and what follows from them for the people they tell about.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::aggregate::{Of, insert_warnings};
use super::complaint::{half, verdict};
use super::events::{self, Event, Evidence};
use super::keep::Ours;
use super::knowledge::Knowledge;
use super::strings::Strings;
use crate::reading::{Auth, MailHead};
use crate::report::Bounce;
use crate::report::address::{self, Address};
use crate::report::feedback::{Recipient, RecipientStatus};
use crate::suppress::bounces::{Class, News, classify, suppressing};
use crate::suppress::rules::{Kind, Never, decide_bounce};
use crate::suppress::token;
use crate::suppress::trust::{self, BounceMail, By};
use crate::suppress::{About, Decision, Trust};

/// What is known of a bounce beside what it tells.
pub struct Context<'a> {
    /// The message's row.
    pub message: i64,
    /// When it came, for bounces that tell no time.
    pub at: i64,
    /// Now: nothing can have bounced later.
    pub now: i64,
    /// The mail it came in.
    pub head: Option<&'a MailHead>,
    /// Whether the mailbox is known to mail servers only.
    pub reserved: bool,
    /// What the user says.
    pub ours: &'a Ours,
}

impl Context<'_> {
    fn trust(&self, bounce: &Bounce, known: &Knowledge) -> Trust {
        let head = self.head;
        let verdict =
            verdict(head.map_or(Auth::None, |head| head.auth), head.and_then(|head| head.auth_domain.as_deref()));
        let from = head.and_then(|head| head.from_address.as_deref()).and_then(|from| Address::parse(from).ok());
        let mail = BounceMail {
            own_server: head.is_some_and(|head| head.own_server),
            verdict: &verdict,
            from: from.as_ref(),
            reserved: self.reserved,
        };
        trust::assess_bounce(bounce, &mail, &known.configured)
    }
}

/// What makes two bounces the same one: all that is told, by the same mail.
fn identity(bounce: &Bounce, told_at: i64) -> [u8; 16] {
    let people: Vec<_> = bounce.recipients.iter().map(|one| (&one.recipient.spelled, &one.fields)).collect();
    let content = json!(["bounce", bounce.provider, bounce.fields, people, bounce.message_id, bounce.sent_at, told_at]);
    half(Sha256::digest(content.to_string()).into())
}

/// One recipient of a bounce as far as deciding goes.
struct Case {
    ordinal: i64,
    reported: Recipient,
    class: Class,
    trust: Trust,
    /// Whom the send log named when it was asked before: older rows of it may be gone.
    logged: Option<String>,
}

/// What follows for one recipient.
struct Judged {
    person: Recipient,
    trust: Trust,
    decision: Decision,
}

/// What the bounced mail tells of itself.
struct Mail<'a> {
    message_id: Option<&'a str>,
    header_from: Option<&'a str>,
    list_id: Option<&'a str>,
    tokens: &'a [(String, String)],
}

/// Decides for each recipient. Who got the mail is known from a signed return path, or from a send log that knows its
/// Message-ID for one person only: many may know the Message-ID of a mail that went to many.
fn judge(
    connection: &Connection,
    known: &Knowledge,
    ours: &Ours,
    mail: &Mail<'_>,
    cases: &[Case],
) -> rusqlite::Result<(About, Vec<Judged>)> {
    let mut about = trust::about_bounce(mail.header_from, &known.own);
    if let About::Ours(from) = &about {
        about = About::Ours(ours.reach.scope(from, mail.list_id));
    }
    let sent_to = known.sent_to(connection, mail.message_id)?;
    let paths =
        mail.tokens.iter().filter(|(name, _)| name == "return-path" || name == "to").map(|(_, path)| path.as_str());
    let token = token::find(&ours.tokens, None, paths);
    let judged = cases.iter().map(|case| {
        let log = if sent_to.is_empty() { case.logged.as_slice() } else { &sent_to[..] };
        let mut person = case.reported.clone();
        let mut trust = case.trust.clone();
        let folded = person.address.as_deref().map(address::folded);
        let told = |address: &String| folded.as_ref() == Some(&address::folded(address));
        let alone = cases.len() == 1;
        match (log, token.as_ref().and_then(|token| token.recipient.as_ref().map(|person| (token, person)))) {
            (_, Some((token, subscriber)))
                if token.proven && (alone || subscriber.address.as_ref().is_some_and(told)) =>
            {
                trust = proven(trust, By::Token, "its return path bears your signature");
                person = subscriber.clone();
            }
            ([address], _) if alone || told(address) => {
                trust = proven(trust, By::Log, "the send log knows its Message-ID for this person alone");
                if !told(address) {
                    person = Recipient {
                        address: Some(address.clone()),
                        status: RecipientStatus::Ok,
                        via: "send-log",
                        spelled: person.spelled,
                    };
                }
            }
            (_, Some((_, subscriber))) if alone && person.address.is_none() => person = subscriber.clone(),
            _ => {}
        }
        let domain = person.address.as_deref().and_then(|address| address.rsplit_once('@')).map(|(_, domain)| domain);
        if person.status == RecipientStatus::Ok && domain.is_some_and(|domain| known.exempt.holds(domain)) {
            person.status = RecipientStatus::OwnDomain;
        }
        let decision = decide_bounce(case.class, &person, trust.trusted, &about, &known.exempt);
        Judged { person, trust, decision }
    });
    let judged = judged.collect();
    Ok((about, judged))
}

fn proven(trust: Trust, by: By, reason: &str) -> Trust {
    if trust.trusted { trust } else { Trust::yes(by, reason) }
}

/// Adds a bounce. `None`: it is there already; then it may be trusted from now on.
pub fn insert(
    connection: &Connection,
    strings: &mut Strings,
    known: &Knowledge,
    bounce: &Bounce,
    context: &Context<'_>,
) -> rusqlite::Result<Option<i64>> {
    let told_at = bounce.told_at.unwrap_or(context.at).min(context.now);
    let identity = identity(bounce, told_at);
    let trust = context.trust(bounce, known);
    let there: Option<i64> = connection
        .prepare_cached("SELECT id FROM bounce WHERE identity = ?1")?
        .query_row(params![identity], |row| row.get(0))
        .optional()?;
    if let Some(id) = there {
        if trust.trusted {
            connection
                .prepare_cached(
                    "UPDATE bounce_recipient SET trusted = 1, trust_reason = ?2, trusted_by = ?3 \
                     WHERE bounce = ?1 AND (trusted = 0 OR trusted_by IN ('token', 'log'))",
                )?
                .execute(params![id, trust.reason, trust.by.map(By::as_str)])?;
            judge_again(connection, known, context.ours, id)?;
        }
        return Ok(None);
    }
    let mut tokens = bounce.tokens.clone();
    tokens.extend(context.head.and_then(|head| head.to.clone()).map(|to| ("to".to_owned(), to)));
    let cases: Vec<Case> = bounce
        .recipients
        .iter()
        .enumerate()
        .map(|(ordinal, one)| Case {
            ordinal: ordinal as i64,
            reported: one.recipient.clone(),
            class: classify(one.action.as_ref(), one.status, one.permanent),
            trust: trust.clone(),
            logged: None,
        })
        .collect();
    let mail = Mail {
        message_id: bounce.message_id.as_deref(),
        header_from: bounce.header_from.as_deref(),
        list_id: bounce.list_id.as_deref(),
        tokens: &tokens,
    };
    let (about, judged) = judge(connection, known, context.ours, &mail, &cases)?;
    let header_from = strings.text_of(connection, bounce.header_from.as_deref())?;
    let id = connection
        .prepare_cached(
            "INSERT INTO bounce (message, identity, provider, reporting_mta, original_envelope_id, arrived_at, told_at, \
             header_from, message_id, subject, sent_at, list_id, dkim_signatures, tokens, fields, about_us) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        )?
        .insert(params![
            context.message,
            identity,
            bounce.provider,
            bounce.reporting_mta,
            bounce.original_envelope_id,
            bounce.arrived_at,
            told_at,
            header_from,
            bounce.message_id,
            bounce.subject,
            bounce.sent_at,
            bounce.list_id,
            json!(bounce.dkim_signatures).to_string(),
            json!(tokens).to_string(),
            json!(bounce.fields).to_string(),
            matches!(about, About::Ours(_)),
        ])?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO bounce_recipient (bounce, ordinal, address, folded, status, via, reported, reported_via, spelled, \
         final_recipient, action, code, class, diagnostic, remote_mta, source, last_attempt_at, will_retry_until, at, trusted, \
         trust_reason, decision, decision_reason, fields, trusted_by, scope) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, \
         ?25, ?26)",
    )?;
    for ((case, outcome), judged) in cases.iter().zip(&bounce.recipients).zip(&judged) {
        let source = outcome.source_ip.map(|ip| strings.address(connection, ip)).transpose()?;
        let Judged { person, trust, decision } = judged;
        insert.execute(params![
            id,
            case.ordinal,
            person.address,
            person.address.as_deref().map(address::folded),
            person.status.as_str(),
            person.via,
            case.reported.address,
            case.reported.via,
            case.reported.spelled,
            outcome.final_recipient,
            outcome.action.as_ref().map(|action| action.as_str()),
            outcome.status.map(|code| code.to_string()),
            case.class.as_str(),
            outcome.diagnostic,
            outcome.remote_mta,
            source,
            outcome.last_attempt_at,
            outcome.will_retry_until,
            outcome.last_attempt_at.unwrap_or(told_at).min(told_at),
            trust.trusted,
            trust.reason,
            decision.as_str(),
            decision.reason(),
            json!(outcome.fields).to_string(),
            trust.by.map(By::as_str),
            scope_of(decision, &about),
        ])?;
    }
    insert_warnings(connection, Of::Bounce(id), &bounce.warnings)?;
    follow(connection, known, context.ours, id, &BTreeSet::new())?;
    Ok(Some(id))
}

/// Decides again about a bounce that is there, by what is known now. What its own mail proves stays proven. Whether that
/// changed anything.
pub fn judge_again(connection: &Connection, known: &Knowledge, ours: &Ours, id: i64) -> rusqlite::Result<bool> {
    let (message_id, header_from, tokens, list_id): (Option<String>, Option<String>, String, Option<String>) = connection
        .prepare_cached(
            "SELECT b.message_id, f.value, b.tokens, b.list_id FROM bounce b LEFT JOIN text f ON f.id = b.header_from WHERE b.id = ?1",
        )?
        .query_row(params![id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let tokens: Vec<(String, String)> = serde_json::from_str(&tokens).unwrap_or_default();
    let mut before = BTreeSet::new();
    let mut rows = connection.prepare_cached(
        "SELECT ordinal, reported, status, reported_via, spelled, class, trusted_by, trust_reason, folded, address FROM bounce_recipient \
         WHERE bounce = ?1 ORDER BY ordinal",
    )?;
    let mut rows = rows.query(params![id])?;
    let mut cases = Vec::new();
    while let Some(row) = rows.next()? {
        let reported: Option<String> = row.get(1)?;
        let status: String = row.get(2)?;
        let via: String = row.get(3)?;
        let class: String = row.get(5)?;
        before.extend(row.get::<_, Option<String>>(8)?);
        let status = match &reported {
            Some(_) => RecipientStatus::Ok,
            // Where the bounce names nobody usable, what it is instead; what a log added is looked up again.
            None => RecipientStatus::from_word(&status)
                .filter(|status| !matches!(status, RecipientStatus::Ok | RecipientStatus::OwnDomain))
                .unwrap_or(RecipientStatus::Malformed),
        };
        let vias = ["original-recipient", "final-recipient", "x-actual-recipient", "ses"];
        // What the mail itself proves stays proven; the rest is looked up again.
        let by = row.get::<_, Option<String>>(6)?.as_deref().and_then(By::from_word);
        let logged = if by == Some(By::Log) { row.get(9)? } else { None };
        let by = by.filter(|by| matches!(by, By::Mail | By::Reserved));
        let reason: String = row.get(7)?;
        cases.push(Case {
            ordinal: row.get(0)?,
            reported: Recipient {
                address: reported,
                status,
                via: vias.into_iter().find(|known| *known == via).unwrap_or("final-recipient"),
                spelled: row.get(4)?,
            },
            class: Class::from_word(&class),
            trust: by.map_or_else(|| Trust::no(trust::NOT_GENUINE), |by| Trust::yes(by, reason)),
            logged,
        });
    }
    let (message_id, header_from) = (message_id.as_deref(), header_from.as_deref());
    let mail = Mail { message_id, header_from, list_id: list_id.as_deref(), tokens: &tokens };
    let (about, judged) = judge(connection, known, ours, &mail, &cases)?;
    let mut changed = connection
        .prepare_cached("UPDATE bounce SET about_us = ?2 WHERE id = ?1 AND about_us <> ?2")?
        .execute(params![id, matches!(about, About::Ours(_))])?;
    let mut update = connection.prepare_cached(
        "UPDATE bounce_recipient SET address = ?3, folded = ?4, status = ?5, via = ?6, trusted = ?7, trust_reason = ?8, \
         decision = ?9, decision_reason = ?10, trusted_by = ?11, scope = ?12 WHERE bounce = ?1 AND ordinal = ?2 \
         AND (address, status, trusted, trust_reason, decision, decision_reason, trusted_by, scope) \
         IS NOT (?3, ?5, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    for (case, Judged { person, trust, decision }) in cases.iter().zip(&judged) {
        changed += update.execute(params![
            id,
            case.ordinal,
            person.address,
            person.address.as_deref().map(address::folded),
            person.status.as_str(),
            person.via,
            trust.trusted,
            trust.reason,
            decision.as_str(),
            decision.reason(),
            trust.by.map(By::as_str),
            scope_of(decision, &about),
        ])?;
    }
    changed += follow(connection, known, ours, id, &before)?;
    Ok(changed > 0)
}

/// Holds the events to what the rows of a bounce say: its hard bounces, and the soft bounces of everybody it tells about
/// or `before` told about.
fn follow(
    connection: &Connection,
    known: &Knowledge,
    ours: &Ours,
    id: i64,
    before: &BTreeSet<String>,
) -> rusqlite::Result<usize> {
    let mut rows = connection.prepare_cached(
        "SELECT p.address, coalesce(f.value, ''), p.at, p.code, p.class, p.decision, p.folded, b.list_id \
         FROM bounce_recipient p JOIN bounce b ON b.id = p.bounce LEFT JOIN text f ON f.id = b.header_from \
         WHERE p.bounce = ?1 AND p.address IS NOT NULL ORDER BY p.ordinal",
    )?;
    let mut rows = rows.query(params![id])?;
    let mut hard: Vec<Event> = Vec::new();
    let mut counted = before.clone();
    while let Some(row) = rows.next()? {
        let (class, decision): (String, String) = (row.get(4)?, row.get(5)?);
        if class == Class::Hard.as_str() && decision == "suppress" {
            let code: Option<String> = row.get(3)?;
            let event = Event {
                address: row.get(0)?,
                scope: scope(row, 1, 7, ours)?,
                kind: Kind::HardBounce,
                at: row.get(2)?,
                until_at: None,
                reason: code.unwrap_or_else(|| "permanent".to_owned()),
            };
            if !hard.iter().any(|other| address::folded(&other.address) == address::folded(&event.address)) {
                hard.push(event);
            }
        }
        if class == Class::Soft.as_str() || class == Class::Delivered.as_str() {
            counted.insert(row.get(6)?);
        }
    }
    let mut changed = events::hold(connection, Evidence::Bounce(id), &hard)?;
    for folded in counted {
        changed += count_soft(connection, known, ours, &folded)?;
    }
    Ok(changed)
}

/// What a suppression would be limited to, where a person has to decide about one.
fn scope_of<'a>(decision: &Decision, about: &'a About) -> Option<&'a str> {
    match (decision, about) {
        (Decision::Pending(_), About::Ours(scope)) => Some(scope),
        _ => None,
    }
}

/// What a suppression is limited to, by the columns of the From domain and of the List-Id.
fn scope(row: &rusqlite::Row<'_>, from: usize, list_id: usize, ours: &Ours) -> rusqlite::Result<String> {
    Ok(ours.reach.scope(row.get_ref(from)?.as_str()?, row.get_ref(list_id)?.as_str_or_null()?))
}

/// A soft bounce or a delivery, as counted.
struct Heard {
    bounce: i64,
    ordinal: i64,
    address: String,
    news: News,
    code: Option<String>,
    scope: String,
}

/// Counts the soft bounces of one address, for each From domain by itself. A delivery is better news for all of them.
fn count_soft(connection: &Connection, known: &Knowledge, ours: &Ours, folded: &str) -> rusqlite::Result<usize> {
    let heard: Vec<Heard> = connection
        .prepare_cached(
            "SELECT p.bounce, p.ordinal, p.address, p.at, p.class, p.code, coalesce(f.value, ''), b.list_id \
             FROM bounce_recipient p JOIN bounce b ON b.id = p.bounce LEFT JOIN text f ON f.id = b.header_from \
             WHERE p.folded = ?1 AND p.status = 'ok' AND p.trusted = 1 AND b.about_us = 1 AND p.class IN ('soft', 'delivered') \
             ORDER BY p.at, p.bounce, p.ordinal",
        )?
        .query_map(params![folded], |row| {
            let good = row.get::<_, String>(4)? == Class::Delivered.as_str();
            Ok(Heard {
                bounce: row.get(0)?,
                ordinal: row.get(1)?,
                address: row.get(2)?,
                news: News { at: row.get(3)?, good },
                code: row.get(5)?,
                scope: scope(row, 6, 7, ours)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let better_at = heard.iter().filter(|one| one.news.good).map(|one| one.news.at).max();
    let mut suppressing_now: Vec<&Heard> = Vec::new();
    let scopes: BTreeSet<&str> = heard.iter().filter(|one| !one.news.good).map(|one| one.scope.as_str()).collect();
    for scope in scopes {
        let here: Vec<&Heard> = heard.iter().filter(|one| one.news.good || one.scope == scope).collect();
        let news: Vec<News> = here.iter().map(|one| one.news).collect();
        suppressing_now.extend(suppressing(&news, ours.soft).iter().filter_map(|place| here.get(*place)));
    }
    let fit = |one: &Heard| {
        let person = Recipient {
            address: Some(one.address.clone()),
            status: RecipientStatus::Ok,
            via: "stored",
            spelled: String::new(),
        };
        let about = About::Ours(one.scope.clone());
        decide_bounce(Class::Soft, &person, true, &about, &known.exempt) == Decision::Never(Never::Soft)
    };
    suppressing_now.retain(|one| fit(one));
    let days = ours.soft.window / 86_400;
    let reason = |one: &Heard| {
        let code = one.code.as_deref().unwrap_or("failed");
        format!("{code}, {} times in {days} days", ours.soft.bounces)
    };
    let event = |one: &&Heard| {
        let event = Event {
            address: one.address.clone(),
            scope: one.scope.clone(),
            kind: Kind::SoftBounce,
            at: one.news.at,
            until_at: Some(one.news.at.saturating_add(ours.soft.lasts)),
            reason: reason(one),
        };
        (one.bounce, event)
    };
    let mut events: Vec<(i64, Event)> = suppressing_now.iter().map(event).collect();
    events.dedup_by(|a, b| a.0 == b.0 && a.1.scope == b.1.scope);
    let mut update = connection.prepare_cached(
        "UPDATE bounce_recipient SET decision = ?3, decision_reason = ?4 WHERE bounce = ?1 AND ordinal = ?2 AND decision <> ?3",
    )?;
    for one in heard.iter().filter(|one| !one.news.good) {
        let acts = suppressing_now.iter().any(|other| (other.bounce, other.ordinal) == (one.bounce, one.ordinal));
        let decision = if acts {
            Decision::Suppress { scope: one.scope.clone(), kind: Kind::SoftBounce }
        } else {
            Decision::Never(Never::Soft)
        };
        if fit(one) {
            update.execute(params![one.bounce, one.ordinal, decision.as_str(), decision.reason()])?;
        }
    }
    events::hold_soft(connection, folded, &events, better_at)
}
