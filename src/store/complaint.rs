//! Keeps complaints, and what follows from them for the people they name.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::aggregate::insert_warnings;
use super::strings::Strings;
use crate::reading::{Auth, MailHead};
use crate::report::Complaint;
use crate::report::address::Address;
use crate::report::authentication::Verdict;
use crate::report::feedback::RecipientStatus;
use crate::suppress::rules::Policy;
use crate::suppress::{About, Decision, Own, Trust, decide, trust};

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
    /// Our domains: configured, and reported as policy domains.
    pub own: &'a Own,
    /// Senders of complaints beside the built-in ones.
    pub feedback_senders: &'a [String],
}

impl Context<'_> {
    /// Whether the complaint's own mail is known to come from a feedback loop.
    fn trust(&self, complaint: &Complaint) -> Trust {
        let head = self.head;
        let verdict = match head.map(|head| (head.auth, &head.auth_domain)) {
            Some((Auth::Pass, Some(domain))) => Verdict::Pass(domain.clone()),
            Some((Auth::Fail, _)) => Verdict::Fail,
            _ => Verdict::None,
        };
        let from = head.and_then(|head| head.from_address.as_deref()).and_then(|from| Address::parse(from).ok());
        let settings = trust::Settings { feedback_senders: self.feedback_senders, reserved: self.reserved };
        trust::assess(complaint, &verdict, from.as_ref(), &settings)
    }
}

/// The domains of the policies that aggregate reports tell of.
pub fn policy_domains(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached(
            "SELECT value FROM text WHERE id IN (SELECT domain FROM report WHERE kind = 'aggregate' AND domain IS NOT NULL)",
        )?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// What makes two complaints the same one: who complained about which mail. Where either is not told, all its fields:
/// a hundred people whose names are hidden may complain about one Message-ID.
fn identity(complaint: &Complaint) -> [u8; 32] {
    let mut people: Vec<String> =
        complaint.recipients.iter().filter_map(|person| person.address.as_deref()).map(str::to_lowercase).collect();
    people.sort_unstable();
    people.dedup();
    let content = match &complaint.message_id {
        Some(message_id) if !people.is_empty() => json!(["mail", complaint.feedback_type.as_str(), message_id, people]),
        message_id => json!([
            "fields",
            complaint.feedback_type.as_str(),
            message_id,
            people,
            complaint.fields,
            complaint.source_ip.map(|ip| ip.to_string()),
            complaint.arrived_at,
            complaint.sent_at,
            complaint.subject,
            complaint.recipients.iter().map(|person| person.spelled.as_str()).collect::<Vec<_>>(),
            complaint.tokens,
        ]),
    };
    Sha256::digest(content.to_string()).into()
}

/// Adds a complaint. `None`: it is there already.
pub fn insert(
    connection: &Connection,
    strings: &mut Strings,
    complaint: &Complaint,
    context: &Context<'_>,
) -> rusqlite::Result<Option<i64>> {
    let identity = identity(complaint);
    let known: Option<i64> = connection
        .prepare_cached("SELECT id FROM complaint WHERE identity = ?1")?
        .query_row(params![identity], |row| row.get(0))
        .optional()?;
    if known.is_some() {
        return Ok(None);
    }
    let trust = context.trust(complaint);
    let about = trust::about(complaint, context.own);
    let source = complaint.source_ip.map(|ip| strings.address(connection, ip)).transpose()?;
    let header_from = strings.text_of(connection, complaint.header_from.as_deref())?;
    let arrived_at = complaint.arrived_at.or(complaint.sent_at).unwrap_or(context.at);
    let id = connection
        .prepare_cached(
            "INSERT INTO complaint (message, identity, feedback_type, provider, provider_source, user_agent, version, \
             arrived_at, source, source_ip_via, source_port, incidents, original_envelope_id, original_mail_from, \
             reporting_mta, reported_domains, reported_uris, authentication_results, header_from, message_id, subject, \
             sent_at, list_id, dkim_signatures, cfbl_feedback_id, tokens, fields, trusted, trust_reason, about_us) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, \
             ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30)",
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
            json!(complaint.reported_domains).to_string(),
            json!(complaint.reported_uris).to_string(),
            json!(complaint.authentication_results).to_string(),
            header_from,
            complaint.message_id,
            complaint.subject,
            complaint.sent_at,
            complaint.list_id,
            json!(complaint.dkim_signatures).to_string(),
            complaint.cfbl_feedback_id,
            json!(complaint.tokens).to_string(),
            json!(complaint.fields).to_string(),
            trust.trusted,
            trust.reason,
            matches!(about, About::Ours(_)),
        ])?;
    insert_recipients(connection, id, complaint)?;
    for person in &complaint.recipients {
        let decision = decide(complaint, person, &trust, &about, context.own, Policy::default());
        if let (Decision::Suppress { scope, kind }, Some(address)) = (decision, &person.address) {
            let reason = complaint.feedback_type.as_str();
            connection
                .prepare_cached(
                    "INSERT INTO suppression_event (folded, address, scope, kind, at, reason, complaint) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![address.to_lowercase(), address, scope, kind.as_str(), arrived_at, reason, id])?;
        }
    }
    insert_warnings(connection, None, Some(id), &complaint.warnings)?;
    Ok(Some(id))
}

fn insert_recipients(connection: &Connection, id: i64, complaint: &Complaint) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO complaint_recipient (complaint, ordinal, address, folded, status, via, spelled) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for (ordinal, person) in complaint.recipients.iter().enumerate() {
        if person.status == RecipientStatus::Absent {
            continue;
        }
        let folded = person.address.as_deref().map(str::to_lowercase);
        let status = person.status.as_str();
        insert.execute(params![id, ordinal as i64, person.address, folded, status, person.via, person.spelled])?;
    }
    Ok(())
}
