//! Keeps complaints, and what follows from them for the people they are about.

use std::borrow::Cow;
use std::net::IpAddr;

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::aggregate::{Of, insert_warnings};
use super::events::{self, Event, Evidence};
use super::keep::Ours;
use super::knowledge::Knowledge;
use super::strings::Strings;
use crate::reading::{Auth, MailHead};
use crate::report::Complaint;
use crate::report::address::{self, Address};
use crate::report::authentication::Verdict;
use crate::report::feedback::{FeedbackType, Recipient, RecipientStatus, mark_own};
use crate::suppress::rules::Never;
use crate::suppress::token;
use crate::suppress::trust::{self, By};
use crate::suppress::{About, Decision, Trust, decide};

/// Where people were found whom the send log names.
pub(super) const SEND_LOG: &str = "send-log";
/// Why mail from a source that no receiver ever saw pass was not ours.
pub(super) const ONLY_FAILS: &str = "its source only ever fails DMARC: forged, or forwarded";

/// What is known of a complaint beside what it says.
pub struct Context<'a> {
    /// The message's row.
    pub message: i64,
    /// When it came, for complaints that tell no time.
    pub at: i64,
    /// The mail it came in.
    pub head: Option<&'a MailHead>,
    /// Whether the mailbox is known to feedback loops only.
    pub reserved: bool,
    /// What the user says.
    pub ours: &'a Ours,
}

/// What the own server says about a mail.
pub fn verdict(auth: Auth, domain: Option<&str>) -> Verdict {
    match (auth, domain) {
        (Auth::Pass, Some(domain)) => Verdict::Pass(domain.to_owned()),
        (Auth::Fail, _) => Verdict::Fail,
        _ => Verdict::None,
    }
}

/// Whether the complaint's own mail is known to come from a feedback loop.
fn mail_trust(
    complaint: &Complaint,
    verdict: &Verdict,
    from: Option<&str>,
    reserved: bool,
    known: &Knowledge,
    ours: &Ours,
) -> Trust {
    let from = from.and_then(|from| Address::parse(from).ok());
    let settings = trust::Settings { feedback_senders: &ours.feedback_senders, reserved, trusted: &known.trusted };
    trust::assess(complaint, verdict, from.as_ref(), &settings)
}

/// What makes two complaints the same one: who complained about which mail. Where either is not told, all its fields:
/// a hundred people whose names are hidden may complain about one Message-ID.
fn identity(complaint: &Complaint) -> [u8; 16] {
    let mut people: Vec<String> =
        complaint.recipients.iter().filter_map(|person| person.address.as_deref()).map(address::folded).collect();
    people.sort_unstable();
    people.dedup();
    let kind = complaint.feedback_type.as_str();
    let content = match &complaint.message_id {
        Some(message_id) if !people.is_empty() => json_of(&("mail", kind, message_id, people)),
        message_id => json_of(&(
            "fields",
            kind,
            message_id,
            people,
            &complaint.fields,
            complaint.source_ip.map(|ip| ip.to_string()),
            complaint.arrived_at,
            complaint.sent_at,
            &complaint.subject,
            complaint.recipients.iter().map(|person| person.spelled.as_str()).collect::<Vec<_>>(),
            &complaint.tokens,
        )),
    };
    half(Sha256::digest(content).into())
}

/// Half a digest, which is enough against accident and against a stranger who wants two of his own confused.
pub(super) fn half(digest: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}

/// Lists as JSON text. Most are empty.
fn text_of<T: serde::Serialize>(list: &[T]) -> Cow<'static, str> {
    if list.is_empty() { Cow::Borrowed("[]") } else { Cow::Owned(json_of(list)) }
}

fn json_of(value: &(impl serde::Serialize + ?Sized)) -> String {
    // Texts, numbers and lists of them: nothing in them can fail.
    serde_json::to_string(value).unwrap_or_default()
}

/// What follows from a complaint.
struct Judgement {
    trust: Trust,
    about: About,
    /// For each person whom the complaint states.
    reported: Vec<(RecipientStatus, Decision)>,
    /// Whom the sender's own records show to have got the mail.
    subscribed: Vec<(Recipient, Decision)>,
}

impl Judgement {
    fn not_ours(&self) -> Option<&'static str> {
        match self.about {
            About::Ours(_) => None,
            About::NotOurs(why) => Some(why),
        }
    }

    /// What a suppression would be limited to, where a person has to decide about one.
    fn scope_of(&self, decision: &Decision) -> Option<&str> {
        match (decision, &self.about) {
            (Decision::Pending(_), About::Ours(scope)) => Some(scope),
            _ => None,
        }
    }

    fn events(&self, complaint: &Complaint, arrived_at: i64) -> Vec<Event> {
        let reported = complaint.recipients.iter().zip(self.reported.iter().map(|(_, decision)| decision));
        let all = reported.chain(self.subscribed.iter().map(|(person, decision)| (person, decision)));
        let event = |(person, decision): (&Recipient, &Decision)| match (decision, &person.address) {
            (Decision::Suppress { scope, kind }, Some(address)) => Some(Event {
                address: address.clone(),
                scope: scope.clone(),
                kind: *kind,
                at: arrived_at,
                until_at: None,
                reason: complaint.feedback_type.as_str().to_owned(),
            }),
            _ => None,
        };
        all.filter_map(event).collect()
    }
}

/// People whom the sender's own records named when they were asked before.
#[derive(Default)]
struct Remembered {
    /// Matched with a digest.
    matched: Vec<Recipient>,
    /// Found in the send log, of which older rows may be gone.
    logged: Vec<String>,
}

/// Decides.
fn judge(
    connection: &Connection,
    known: &mut Knowledge,
    ours: &Ours,
    complaint: &Complaint,
    mail_trust: Trust,
    source: Option<i64>,
    remembered: Remembered,
) -> rusqlite::Result<Judgement> {
    let token = token::of_complaint(&ours.tokens, complaint);
    let proven = token.as_ref().is_some_and(|token| token.proven);
    let trust = match &token {
        Some(token) if token.proven && !mail_trust.trusted => {
            Trust::yes(By::Token, format!("{} bears your signature", token.field))
        }
        _ => mail_trust,
    };
    let mut about = trust::about(complaint, &known.own);
    if let (About::Ours(_), Some(source), false) = (&about, source, proven)
        && known.only_fails(connection, source)?
    {
        about = About::NotOurs(ONLY_FAILS);
    }
    if let About::Ours(from) = &about {
        about = About::Ours(ours.reach.scope(from, complaint.list_id.as_deref()));
    }
    let mut stated = complaint.recipients.clone();
    mark_own(&mut stated, |domain| known.exempt.holds(domain));
    let Remembered { matched, logged } = remembered;
    let mut log = known.sent_to(connection, complaint.message_id.as_deref())?;
    if log.is_empty() {
        log = logged;
    }
    let stated_ok = |person: &Recipient| person.address.as_deref().map(address::folded);
    let in_log = |folded: &String| log.iter().any(|address| address::folded(address) == *folded);
    let confirmed: Vec<String> = stated.iter().filter_map(stated_ok).filter(in_log).collect();
    let of_token =
        |proven: bool| token.as_ref().filter(|token| token.proven == proven).and_then(|t| t.recipient.clone());
    let mut subscribed: Vec<Recipient> = if let Some(person) = of_token(true) {
        vec![person]
    } else if !confirmed.is_empty() {
        Vec::new()
    } else if let [address] = &log[..] {
        vec![known_person(address, SEND_LOG)]
    } else if !matched.is_empty() {
        matched
    } else if stated.iter().any(|person| person.address.is_some()) {
        Vec::new()
    } else {
        of_token(false).into_iter().collect()
    };
    mark_own(&mut subscribed, |domain| known.exempt.holds(domain));
    let deciding = |people: usize, person: &Recipient| {
        decide(complaint, people, person, &trust, &about, &known.exempt, ours.policy)
    };
    let knows_better = !subscribed.is_empty();
    let reported = stated.iter().map(|person| {
        let other = !confirmed.is_empty() && stated_ok(person).is_none_or(|folded| !confirmed.contains(&folded));
        let decision = if knows_better || other {
            Decision::Never(Never::NotTheSubscriber)
        } else {
            deciding(if confirmed.len() == 1 { 1 } else { stated.len() }, person)
        };
        (person.status, decision)
    });
    let reported = reported.collect();
    let people = subscribed.len();
    let decided = |person: Recipient| {
        let decision = deciding(people, &person);
        (person, decision)
    };
    let subscribed = subscribed.into_iter().map(decided).collect();
    Ok(Judgement { trust, about, reported, subscribed })
}

/// Somebody known from the sender's own records.
fn known_person(address: &str, via: &'static str) -> Recipient {
    Recipient { address: Some(address.to_owned()), status: RecipientStatus::Ok, via, spelled: address.to_owned() }
}

/// Adds a complaint. `None`: it is there already. Of two that are the same, one whose mail is trusted counts, else the
/// older, whichever came first.
pub fn insert(
    connection: &Connection,
    strings: &mut Strings,
    known: &mut Knowledge,
    complaint: &Complaint,
    context: &Context<'_>,
) -> rusqlite::Result<Option<i64>> {
    let identity = identity(complaint);
    let arrived_at = complaint.arrived_at.or(complaint.sent_at).unwrap_or(context.at);
    let head = context.head;
    let verdict = verdict(head.map_or(Auth::None, |head| head.auth), head.and_then(|head| head.auth_domain.as_deref()));
    let from = head.and_then(|head| head.from_address.as_deref());
    let mail_trust = mail_trust(complaint, &verdict, from, context.reserved, known, context.ours);
    let source = complaint.source_ip.map(|ip: IpAddr| strings.address(connection, ip)).transpose()?;
    let there: Option<(i64, bool, i64, bool)> = connection
        .prepare_cached("SELECT id, trusted, arrived_at, pruned_at IS NOT NULL FROM complaint WHERE identity = ?1")?
        .query_row(params![identity], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    if let Some((id, trusted, before, pruned)) = there {
        let better =
            !pruned && ((mail_trust.trusted && !trusted) || (mail_trust.trusted == trusted && arrived_at < before));
        if better {
            // The row is written anew under its number, at which events may already point.
            connection.execute_batch("PRAGMA defer_foreign_keys = ON")?;
            connection.prepare_cached("DELETE FROM complaint WHERE id = ?1")?.execute(params![id])?;
        } else {
            return Ok(None);
        }
    }
    let judgement = judge(connection, known, context.ours, complaint, mail_trust, source, Remembered::default())?;
    let header_from = strings.text_of(connection, complaint.header_from.as_deref())?;
    let id = connection
        .prepare_cached(
            "INSERT INTO complaint (message, identity, feedback_type, provider, provider_source, user_agent, version, \
             arrived_at, source, source_ip_via, source_port, incidents, original_envelope_id, original_mail_from, \
             reporting_mta, reported_domains, reported_uris, authentication_results, header_from, message_id, subject, \
             sent_at, list_id, dkim_signatures, cfbl_feedback_id, tokens, fields, trusted, trust_reason, about_us, \
             unsubscribe_to, reserved, trusted_by, not_ours, id) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, \
             ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35)",
        )?
        .insert(params![
            context.message,
            identity,
            complaint.feedback_type.as_str(),
            complaint.provider,
            complaint.provider_source,
            complaint.user_agent,
            complaint.version,
            arrived_at,
            source,
            complaint.source_ip_via,
            complaint.source_port,
            complaint.incidents.clamp(1, 1000),
            complaint.original_envelope_id,
            complaint.original_mail_from,
            complaint.reporting_mta,
            text_of(&complaint.reported_domains),
            text_of(&complaint.reported_uris),
            text_of(&complaint.authentication_results),
            header_from,
            complaint.message_id,
            complaint.subject,
            complaint.sent_at,
            complaint.list_id,
            text_of(&complaint.dkim_signatures),
            complaint.cfbl_feedback_id,
            text_of(&complaint.tokens),
            text_of(&complaint.fields),
            judgement.trust.trusted,
            judgement.trust.reason,
            judgement.not_ours().is_none(),
            complaint.unsubscribe_to,
            context.reserved,
            judgement.trust.by.map(By::as_str),
            judgement.not_ours(),
            there.map(|(id, ..)| id),
        ])?;
    let people = complaint.recipients.iter().zip(&judgement.reported);
    for (ordinal, (person, (status, decision))) in people.enumerate() {
        let scope = judgement.scope_of(decision);
        insert_person(connection, id, (ordinal as i64, "reported"), (person, *status), decision, scope)?;
    }
    insert_subscribed(connection, id, &judgement)?;
    let events = judgement.events(complaint, arrived_at);
    if there.is_some() {
        events::hold(connection, Evidence::Complaint(id), &events)?;
    } else {
        for event in &events {
            events::insert(connection, Evidence::Complaint(id), event)?;
        }
    }
    insert_warnings(connection, Of::Complaint(id), &complaint.warnings)?;
    Ok(there.is_none().then_some(id))
}

fn insert_subscribed(connection: &Connection, id: i64, judgement: &Judgement) -> rusqlite::Result<()> {
    for (person, decision) in &judgement.subscribed {
        let ordinal: i64 = connection
            .prepare_cached("SELECT coalesce(max(ordinal), -1) + 1 FROM complaint_recipient WHERE complaint = ?1")?
            .query_row(params![id], |row| row.get(0))?;
        let scope = judgement.scope_of(decision);
        insert_person(connection, id, (ordinal, "subscribed"), (person, person.status), decision, scope)?;
    }
    Ok(())
}

/// Adds a person under an ordinal, with whose word it is, and with what the address turned out to be.
fn insert_person(
    connection: &Connection,
    id: i64,
    (ordinal, identity): (i64, &str),
    (person, status): (&Recipient, RecipientStatus),
    decision: &Decision,
    scope: Option<&str>,
) -> rusqlite::Result<()> {
    if status == RecipientStatus::Absent {
        return Ok(());
    }
    let folded = person.address.as_deref().map(address::folded);
    let (word, reason) = (decision.as_str(), decision.reason());
    connection
        .prepare_cached(
            "INSERT INTO complaint_recipient (complaint, ordinal, address, folded, status, via, spelled, identity, decision, \
             decision_reason, scope) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            id,
            ordinal,
            person.address,
            folded,
            status.as_str(),
            person.via,
            person.spelled,
            identity,
            word,
            reason,
            scope,
        ])
        .map(|_| ())
}

/// A complaint as far as deciding about it goes, read back.
struct Stored {
    complaint: Complaint,
    /// Places of its stated people.
    ordinals: Vec<i64>,
    remembered: Remembered,
    arrived_at: i64,
    source: Option<i64>,
    reserved: bool,
    auth: Verdict,
    from: Option<String>,
}

fn stored(connection: &Connection, id: i64) -> rusqlite::Result<Stored> {
    let list = |text: String| serde_json::from_str::<Vec<String>>(&text).unwrap_or_default();
    let mut found = connection
        .prepare_cached(
            "SELECT c.feedback_type, c.provider, c.reported_domains, c.dkim_signatures, f.value, c.tokens, c.cfbl_feedback_id, \
             c.original_mail_from, c.message_id, c.arrived_at, c.unsubscribe_to, c.reserved, c.source, m.auth, \
             m.auth_domain, s.value, c.list_id \
             FROM complaint c JOIN message m ON m.id = c.message LEFT JOIN text f ON f.id = c.header_from \
             LEFT JOIN text s ON s.id = m.from_address WHERE c.id = ?1",
        )?
        .query_row(params![id], |row| {
            let mut complaint = Complaint::new(FeedbackType::parse(&row.get::<_, String>(0)?));
            // Of the providers, the rules look at these only.
            let provider: Option<String> = row.get(1)?;
            let known = ["amazon-ses", "abusix", "apple"];
            complaint.provider = known.into_iter().find(|known| provider.as_deref() == Some(known));
            complaint.reported_domains = list(row.get(2)?);
            complaint.dkim_signatures = serde_json::from_str(&row.get::<_, String>(3)?).unwrap_or_default();
            complaint.header_from = row.get(4)?;
            complaint.tokens = serde_json::from_str(&row.get::<_, String>(5)?).unwrap_or_default();
            complaint.cfbl_feedback_id = row.get(6)?;
            complaint.original_mail_from = row.get(7)?;
            complaint.message_id = row.get(8)?;
            complaint.unsubscribe_to = row.get(10)?;
            complaint.list_id = row.get(16)?;
            let auth = match row.get::<_, Option<String>>(13)?.as_deref() {
                Some("pass") => Auth::Pass,
                Some("fail") => Auth::Fail,
                _ => Auth::None,
            };
            let domain: Option<String> = row.get(14)?;
            Ok(Stored {
                complaint,
                ordinals: Vec::new(),
                remembered: Remembered::default(),
                arrived_at: row.get(9)?,
                source: row.get(12)?,
                reserved: row.get(11)?,
                auth: verdict(auth, domain.as_deref()),
                from: row.get(15)?,
            })
        })?;
    let mut people = connection.prepare_cached(
        "SELECT ordinal, address, status, via, spelled, identity FROM complaint_recipient WHERE complaint = ?1 ORDER BY ordinal",
    )?;
    let mut rows = people.query(params![id])?;
    while let Some(row) = rows.next()? {
        let (via, status): (String, String) = (row.get(3)?, row.get(2)?);
        let mut person = Recipient {
            address: row.get(1)?,
            status: RecipientStatus::from_word(&status).unwrap_or(RecipientStatus::Malformed),
            // The one place that trust depends on.
            via: if via == "from" { "from" } else { "stored" },
            spelled: row.get(4)?,
        };
        // Whether a domain is ours may have changed.
        if person.status == RecipientStatus::OwnDomain {
            person.status = RecipientStatus::Ok;
        }
        if row.get::<_, String>(5)? == "reported" {
            found.ordinals.push(row.get(0)?);
            found.complaint.recipients.push(person);
        } else if via == super::hashes::VIA {
            found.remembered.matched.push(Recipient { via: super::hashes::VIA, ..person });
        } else if via == SEND_LOG {
            found.remembered.logged.extend(person.address);
        }
    }
    Ok(found)
}

/// Decides again about a complaint that is there, by what is known now. Whether that changed anything.
pub fn judge_again(connection: &Connection, known: &mut Knowledge, ours: &Ours, id: i64) -> rusqlite::Result<bool> {
    let Stored { complaint, ordinals, remembered, arrived_at, source, reserved, auth, from } = stored(connection, id)?;
    let mail_trust = mail_trust(&complaint, &auth, from.as_deref(), reserved, known, ours);
    let judgement = judge(connection, known, ours, &complaint, mail_trust, source, remembered)?;
    let mut changed = connection
        .prepare_cached(
            "UPDATE complaint SET trusted = ?2, trust_reason = ?3, trusted_by = ?4, about_us = ?5, not_ours = ?6 WHERE id = ?1 \
             AND (trusted, trust_reason, trusted_by, about_us, not_ours) IS NOT (?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            id,
            judgement.trust.trusted,
            judgement.trust.reason,
            judgement.trust.by.map(By::as_str),
            judgement.not_ours().is_none(),
            judgement.not_ours(),
        ])?;
    let mut update = connection.prepare_cached(
        "UPDATE complaint_recipient SET status = ?3, decision = ?4, decision_reason = ?5, scope = ?6 \
         WHERE complaint = ?1 AND ordinal = ?2 AND (status, decision, decision_reason, scope) IS NOT (?3, ?4, ?5, ?6)",
    )?;
    for (ordinal, (status, decision)) in ordinals.iter().zip(&judgement.reported) {
        let (word, reason, scope) = (decision.as_str(), decision.reason(), judgement.scope_of(decision));
        changed += update.execute(params![id, ordinal, status.as_str(), word, reason, scope])?;
    }
    connection
        .prepare_cached("DELETE FROM complaint_recipient WHERE complaint = ?1 AND identity = 'subscribed'")?
        .execute(params![id])?;
    insert_subscribed(connection, id, &judgement)?;
    changed += events::hold(connection, Evidence::Complaint(id), &judgement.events(&complaint, arrived_at))?;
    Ok(changed > 0)
}
