//! Complaints, one row for each complaint and recipient.

use rusqlite::named_params;

use super::{Database, Error, Window};

super::row! {
    /// One recipient of one complaint, as `v_complaint` tells it.
    pub struct Complaint {
        /// Row id of the complaint; repeats where several people are named.
        id: i64,
        /// What it says of the mail.
        feedback_type: String,
        /// Who runs the feedback loop.
        provider: Option<String>,
        /// Sending address of the mail complained about.
        source_ip: Option<String>,
        /// When it arrived.
        arrived_at: i64,
        /// How many times the same.
        incidents: i64,
        /// Who complained, where usable.
        recipient: Option<String>,
        /// `ok`, or why not usable.
        recipient_status: String,
        /// Where the recipient was found.
        recipient_via: Option<String>,
        /// Envelope sender of the mail complained about.
        original_mail_from: Option<String>,
        /// Domain of its From field.
        header_from: Option<String>,
        /// Its Message-ID.
        message_id: Option<String>,
        /// The complaint is known to come from a feedback loop.
        trusted: bool,
        /// Why, or why not.
        trust_reason: String,
        /// The mail complained about was ours.
        about_us: bool,
        /// Deviations that were read around.
        warnings: i64,
        /// Its subject.
        subject: Option<String>,
        /// Its date.
        sent_at: Option<i64>,
        /// Its List-Id.
        list_id: Option<String>,
        /// Who wrote the complaint.
        user_agent: Option<String>,
        /// Source of a shared loop.
        provider_source: Option<String>,
        /// Reported domains, JSON array.
        reported_domains: String,
        /// Reported URIs, JSON array.
        reported_uris: String,
        /// DKIM signatures, JSON array.
        dkim_signatures: String,
        /// CFBL-Feedback-ID.
        cfbl_feedback_id: Option<String>,
        /// Where the sending address was found.
        source_ip_via: Option<String>,
        /// Where the message was found.
        origin: String,
        /// When it was kept.
        seen_at: i64,
        /// `reported` by the provider, or `subscribed`: known from the sender's own records.
        recipient_identity: Option<String>,
        /// What follows: `suppress`, `pending`, `never`.
        decision: String,
        /// Why not suppressed.
        decision_reason: Option<String>,
        /// What proves it: `mail`, `reserved`, `person`, `token`.
        trusted_by: Option<String>,
        /// Why the mail was not ours.
        not_ours: Option<String>,
    }
}

/// Which complaints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// All.
    #[default]
    All,
    /// Those that wait for a person.
    Pending,
    /// Those that name nobody who could be suppressed.
    Unresolved,
    /// Those about mail that was not ours.
    NotOurs,
}

impl Which {
    fn word(self) -> Option<&'static str> {
        match self {
            Which::All => None,
            Which::Pending => Some("pending"),
            Which::Unresolved => Some("unresolved"),
            Which::NotOurs => Some("not_ours"),
        }
    }
}

/// Hands over the complaints that arrived in `window`, newest first, until `take` answers false. With `domain`, those
/// about mail whose From field names it or a subdomain of it.
///
/// # Errors
/// As [`Database`], and what `take` fails with.
pub fn each<E: From<Error>>(
    database: &Database,
    window: Window,
    domain: Option<&str>,
    which: Which,
    take: impl FnMut(Complaint) -> Result<bool, E>,
) -> Result<(), E> {
    let params =
        named_params! {":since": window.since, ":until": window.until, ":domain": domain, ":which": which.word()};
    database.each(include_str!("complaints.sql"), params, Complaint::read, take)
}
