//! Feedback reports that say a person objected: complaints (RFC 5965, 6430, 9477 and the shapes that
//! providers really send).
//!
//! [`read`] decides what a mail is. One mail is one thing: an aggregate report inside a complaint is not read, and the mail
//! that is complained about is looked at only as far as its headers.
//!
//! Warnings of complaints and failure reports, stable words: `arrival-date`, `auth-failure`, `blank-line`, `container`,
//! `feedback-type`, `field-form`, `field-repeated`, `incidents`, `jmrp-legacy`, `no-machine-part`, `original-missing`,
//! `recipient`, `recipient-ambiguous`, `several-reports`, `source-ip`, `source-ip-masked`, `token-differs`,
//! `transfer-encoding`, `user-agent`, `version`.

mod apple;
pub(in crate::report) mod arf;
pub(in crate::report) mod fields;
mod jmrp;
pub(in crate::report) mod original;
mod provider;
pub(in crate::report) mod recipient;
pub(in crate::report) mod ses;
pub(in crate::report) mod source_ip;
pub(in crate::report) mod token;

use std::net::IpAddr;

use crate::limits::Limits;
use crate::mail::{Kind, Mail};
use crate::problem::{Refusal, Warning};

use super::bounce::{self, Bounce};
use super::failure::{self, FailureReport};

pub use ses::read as read_ses_json;
pub use token::verp;

/// What a mail turned out to be, and where in it that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Index of the entity in [`Mail::entities`].
    pub entity: usize,
    /// The report, or why it cannot be used.
    pub report: Result<Feedback, Refusal>,
}

/// What feedback a mail holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feedback {
    /// A person objected.
    Complaint(Box<Complaint>),
    /// A mail failed authentication.
    Failure(Box<FailureReport>),
    /// A delivery status notification (RFC 3464).
    Bounce(Box<Bounce>),
    /// A delivery status notification without a part that a program could read.
    BounceProse,
}

/// Decides what feedback a mail holds; `None` where it holds none, and may hold an aggregate or TLS report.
///
/// In this order: a feedback report part of the mail's own (not of an attached mail), Microsoft's complaints of before 2026,
/// Amazon SES notifications, Apple's unsubscribe mails, the failure prose of Exim and cPanel, bounces.
pub fn read(mail: &Mail<'_>, limits: &Limits) -> Option<Found> {
    if let Some(entity) = own_part(mail, |content_type| content_type == "message/feedback-report") {
        return Some(Found { entity, report: arf::read(mail, entity, limits) });
    }
    let complaint = |(entity, report): (usize, Result<Complaint, Refusal>)| Found {
        entity,
        report: report.map(|complaint| Feedback::Complaint(Box::new(complaint))),
    };
    jmrp::read(mail, limits)
        .or_else(|| ses::read_mail(mail, limits))
        .or_else(|| apple::read(mail, limits))
        .map(complaint)
        .or_else(|| {
            let (entity, report) = failure::read_prose(mail, limits)?;
            Some(Found { entity, report: Ok(Feedback::Failure(Box::new(report))) })
        })
        .or_else(|| delivery_status(mail, limits))
}

fn delivery_status(mail: &Mail<'_>, limits: &Limits) -> Option<Found> {
    let found = |(entity, report): (usize, Result<Bounce, Refusal>)| Found {
        entity,
        report: report.map(|bounce| Feedback::Bounce(Box::new(bounce))),
    };
    let status = |name: &str| matches!(name, "message/delivery-status" | "message/global-delivery-status");
    if let Some(at) = own_part(mail, status) {
        return Some(found((at, bounce::read(mail, at, limits))));
    }
    bounce::read_ses_mail(mail, limits).map(found).or_else(|| {
        let root = mail.entities.first()?;
        let of = root.parameters.iter().find(|(name, _)| name == "report-type");
        let prose = of.is_some_and(|(_, value)| value.eq_ignore_ascii_case("delivery-status"));
        prose.then_some(Found { entity: 0, report: Ok(Feedback::BounceProse) })
    })
}

/// The first part of a type that belongs to the mail itself and not to a mail attached to it.
fn own_part(mail: &Mail<'_>, wanted: impl Fn(&str) -> bool) -> Option<usize> {
    let is_own = |mut at: usize| {
        while let Some(parent) = mail.entities.get(at).and_then(|entity| entity.parent) {
            if mail.entities.get(parent).is_none_or(|entity| entity.kind == Kind::Message) {
                return false;
            }
            at = parent;
        }
        true
    };
    mail.entities.iter().enumerate().find(|(at, entity)| wanted(&entity.content_type) && is_own(*at)).map(|(at, _)| at)
}

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
    /// Reads a type word, any case.
    pub fn parse(word: &str) -> FeedbackType {
        let word = word.to_lowercase();
        match word.as_str() {
            "abuse" => FeedbackType::Abuse,
            "fraud" => FeedbackType::Fraud,
            "virus" => FeedbackType::Virus,
            "other" => FeedbackType::Other,
            "not-spam" => FeedbackType::NotSpam,
            "opt-out" => FeedbackType::OptOut,
            "opt-out-list" => FeedbackType::OptOutList,
            _ => FeedbackType::Unknown(word),
        }
    }

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

    /// What a word in the database means.
    pub fn from_word(word: &str) -> Option<RecipientStatus> {
        use RecipientStatus::{Absent, Hashed, Malformed, Ok, OwnDomain, Redacted};
        [Ok, Redacted, Hashed, Absent, Malformed, OwnDomain].into_iter().find(|status| status.as_str() == word)
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
    /// Where an unsubscribe mail was sent (Apple): its domain is the sender's, its local part the sender's token.
    pub unsubscribe_to: Option<String>,
    /// What was read around.
    pub warnings: Vec<Warning>,
}

impl Complaint {
    /// The most that `Incidents` may weigh.
    pub const MAX_INCIDENTS: u32 = 1000;

    /// A complaint of which nothing is known but its type.
    pub fn new(feedback_type: FeedbackType) -> Complaint {
        Complaint {
            feedback_type,
            provider: None,
            provider_source: None,
            user_agent: None,
            version: None,
            original_envelope_id: None,
            original_mail_from: None,
            arrived_at: None,
            reporting_mta: None,
            source_ip: None,
            source_ip_via: None,
            source_port: None,
            incidents: 1,
            reported_domains: Vec::new(),
            reported_uris: Vec::new(),
            authentication_results: Vec::new(),
            recipients: Vec::new(),
            header_from: None,
            message_id: None,
            subject: None,
            sent_at: None,
            list_id: None,
            dkim_signatures: Vec::new(),
            cfbl_feedback_id: None,
            tokens: Vec::new(),
            fields: Vec::new(),
            unsubscribe_to: None,
            warnings: Vec::new(),
        }
    }

    /// Takes over what the original's headers say.
    fn describe(&mut self, original: &original::Original) {
        self.header_from = original.header_from();
        self.message_id = original.message_id();
        self.subject = original.subject();
        self.sent_at = original.sent_at();
        self.list_id = original.list_id();
        self.dkim_signatures = original.dkim_signatures();
        self.cfbl_feedback_id = original.cfbl_feedback_id();
        self.tokens = token::all(&original.headers);
    }
}

/// Marks everybody whose domain `is_own` says is ours: those must not be suppressed.
pub fn mark_own(people: &mut [Recipient], is_own: impl Fn(&str) -> bool) {
    for person in people {
        let domain = person.address.as_deref().and_then(|address| address.rsplit_once('@')).map(|(_, domain)| domain);
        if person.status == RecipientStatus::Ok && domain.is_some_and(&is_own) {
            person.status = RecipientStatus::OwnDomain;
        }
    }
}
