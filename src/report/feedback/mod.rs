//! Feedback reports that say a person objected: complaints (RFC 5965, 6430, 9477 and the shapes that
//! providers really send).

use std::net::IpAddr;

use crate::problem::Warning;

/// `Feedback-Type` (RFC 5965, section 3.1; registered types of 5965, 6430, and older opt-outs).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedbackType {
    /// Unsolicited mail.
    Abuse,
    /// Phishing.
    Fraud,
    /// Malware.
    Virus,
    /// Anything else, in the standard's own words.
    Other,
    /// The opposite signal (RFC 6430).
    NotSpam,
    /// A wish to be removed: `opt-out`, Apple's unsubscribe mails.
    OptOut,
    /// A wish to be removed from one list: `opt-out-list`.
    OptOutList,
    /// A word that no standard knows, lower-cased as sent; empty where the field was empty.
    Unknown(String),
}

impl FeedbackType {
    /// The standard's word, or the unknown word as sent.
    pub fn as_str(&self) -> &str {
        match self {
            FeedbackType::Abuse => "abuse",
            FeedbackType::Fraud => "fraud",
            FeedbackType::Virus => "virus",
            FeedbackType::Other => "other",
            FeedbackType::NotSpam => "not-spam",
            FeedbackType::OptOut => "opt-out",
            FeedbackType::OptOutList => "opt-out-list",
            FeedbackType::Unknown(word) => word,
        }
    }
}

/// What could be learned about a person whom a complaint names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecipientStatus {
    /// A usable address.
    Ok,
    /// A placeholder in its place (`redacted@…`).
    Redacted,
    /// A hash in its place (MD5 local parts of Validity, RFC 6590 strings).
    Hashed,
    /// Nobody is named.
    Absent,
    /// Named, but not as an address.
    Malformed,
    /// An address of ours, which must not suppress itself. Decided by the caller, who knows our domains.
    OwnDomain,
}

impl RecipientStatus {
    /// The word in `v_complaint.recipient_status`.
    pub fn as_str(self) -> &'static str {
        match self {
            RecipientStatus::Ok => "ok",
            RecipientStatus::Redacted => "redacted",
            RecipientStatus::Hashed => "hashed",
            RecipientStatus::Absent => "absent",
            RecipientStatus::Malformed => "malformed",
            RecipientStatus::OwnDomain => "own_domain",
        }
    }
}

/// One person whom a complaint names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The address: local part as sent, domain lower-case A-label. Present only where `status` is
    /// [`RecipientStatus::Ok`] or [`RecipientStatus::OwnDomain`].
    pub address: Option<String>,
    /// What it is.
    pub status: RecipientStatus,
    /// Where it was found: `original-rcpt-to`, `x-hmxmroriginalrecipient`, `ses`, `x-msfbl`, `to`, …
    pub via: &'static str,
    /// As sent, at most 512 bytes.
    pub spelled: String,
}

/// A complaint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// `Feedback-Type`.
    pub feedback_type: FeedbackType,
    /// Who runs the feedback loop, as a stable word: `yahoo`, `aol`, `microsoft`, `validity`, `comcast`,
    /// `amazon-ses`, `apple`, `abusix`, `yandex`, …; `None` when not recognised.
    pub provider: Option<&'static str>,
    /// The mailbox provider behind a shared loop (Validity's `Source:`), as sent.
    pub provider_source: Option<String>,
    /// `User-Agent`, as sent.
    pub user_agent: Option<String>,
    /// `Version`, as sent (33 of 56 real ones are not the required `1`).
    pub version: Option<String>,
    /// `Original-Envelope-Id`.
    pub original_envelope_id: Option<String>,
    /// `Original-Mail-From` without angle brackets; empty for the null reverse-path.
    pub original_mail_from: Option<String>,
    /// `Arrival-Date` (or the historic `Received-Date`), seconds since the epoch, UTC.
    pub arrived_at: Option<i64>,
    /// `Reporting-MTA`, as sent.
    pub reporting_mta: Option<String>,
    /// `Source-IP`, else what the provider's own fields or the original's headers say; see `source_ip_via`.
    pub source_ip: Option<IpAddr>,
    /// `source-ip`, `x-originating-ip`, `authentication-results`, `received`, `subject`, ….
    pub source_ip_via: Option<&'static str>,
    /// `Source-Port` (RFC 6692).
    pub source_port: Option<u16>,
    /// `Incidents`: how many complaints this one stands for; 1 where absent or unusable, capped at 1 000.
    pub incidents: u32,
    /// `Reported-Domain`, each.
    pub reported_domains: Vec<String>,
    /// `Reported-URI`, each.
    pub reported_uris: Vec<String>,
    /// `Authentication-Results` of the feedback report, each.
    pub authentication_results: Vec<String>,
    /// The people named. Empty when nobody is; then the status is `absent`.
    pub recipients: Vec<Recipient>,
    /// Domain of the original mail's `From` (lower-case A-label).
    pub header_from: Option<String>,
    /// `Message-ID` of the original mail without angle brackets.
    pub message_id: Option<String>,
    /// `Subject` of the original, decoded; at most 512 bytes.
    pub subject: Option<String>,
    /// `Date` of the original.
    pub sent_at: Option<i64>,
    /// `List-Id` of the original.
    pub list_id: Option<String>,
    /// `d=` and `s=` of the original's `DKIM-Signature`s.
    pub dkim_signatures: Vec<(String, Option<String>)>,
    /// `CFBL-Feedback-ID` (RFC 9477) of the original, white space removed.
    pub cfbl_feedback_id: Option<String>,
    /// Opaque sender tokens of the original (`feedback-id`, `x-sg-eid`, `list-unsubscribe`, …): name and value.
    pub tokens: Vec<(String, String)>,
    /// Every field of the feedback part in order: name and unfolded value as sent.
    pub fields: Vec<(String, String)>,
    /// What was read around.
    pub warnings: Vec<Warning>,
}
