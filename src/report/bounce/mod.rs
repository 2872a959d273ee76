//! Delivery status notifications: what became of a mail for each of its recipients (RFC 3464, in the envelope of RFC 6522,
//! internationalised by RFC 6533), and the same told by Amazon SES in JSON.
//!
//! `Action` says whether that is final, `Status` why. Whom it is about is `Original-Recipient`, the address that was
//! written to; `Final-Recipient` is whatever the last server made of it.
//!
//! Warnings, stable words: `action`, `arrival-date`, `container`, `field-form`, `last-attempt-date`, `original-missing`,
//! `recipient`, `reporting-mta`, `status`, `status-differs`, `transfer-encoding`.

mod dsn;
mod refused;
mod ses;
mod status;

use std::fmt;
use std::net::IpAddr;

use super::feedback::Recipient;
use crate::problem::Warning;

pub(in crate::report) use dsn::read;
pub use ses::read as read_ses_json;
pub(in crate::report) use ses::read_mail as read_ses_mail;
pub use status::StatusCode;

/// A delivery status notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounce {
    /// Who tells it where that is no mail server: `amazon-ses`.
    pub provider: Option<&'static str>,
    /// `Reporting-MTA`: the name without its type.
    pub reporting_mta: Option<String>,
    /// `Original-Envelope-Id`.
    pub original_envelope_id: Option<String>,
    /// `Arrival-Date`: when the mail that bounced came to the reporting server, seconds since the epoch, UTC.
    pub arrived_at: Option<i64>,
    /// When the notification says it was made (`timestamp` of SES); `None` where only the mail's own date tells.
    pub told_at: Option<i64>,
    /// One for each recipient that is told about; never empty.
    pub recipients: Vec<Outcome>,
    /// Domain of the bounced mail's `From` (lower-case A-label).
    pub header_from: Option<String>,
    /// `Message-ID` of the bounced mail without angle brackets.
    pub message_id: Option<String>,
    /// Its `Subject`, decoded; at most 512 bytes.
    pub subject: Option<String>,
    /// Its `Date`.
    pub sent_at: Option<i64>,
    /// Its `List-Id`.
    pub list_id: Option<String>,
    /// `d=` and `s=` of its `DKIM-Signature`s.
    pub dkim_signatures: Vec<(String, Option<String>)>,
    /// Opaque sender tokens of it: name and value.
    pub tokens: Vec<(String, String)>,
    /// The fields about the whole mail in order: name and unfolded value as sent.
    pub fields: Vec<(String, String)>,
    /// What was read around.
    pub warnings: Vec<Warning>,
}

/// What became of the mail for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whom the mail was for: found in `original-recipient`, else `final-recipient`, else `x-actual-recipient`; `ses`.
    pub recipient: Recipient,
    /// `Final-Recipient` as sent, without its type.
    pub final_recipient: Option<String>,
    /// `Action`; `None` where absent.
    pub action: Option<Action>,
    /// `Status`, or a more exact one of the same class in `Diagnostic-Code`.
    pub status: Option<StatusCode>,
    /// What SES calls it where it gives no status: whether the failure is permanent.
    pub permanent: Option<bool>,
    /// `Diagnostic-Code` without its type, at most 1 000 bytes.
    pub diagnostic: Option<String>,
    /// `Remote-MTA`: the name without its type.
    pub remote_mta: Option<String>,
    /// The address of ours that was refused, where the diagnostic names one.
    pub source_ip: Option<IpAddr>,
    /// `Last-Attempt-Date`.
    pub last_attempt_at: Option<i64>,
    /// `Will-Retry-Until`.
    pub will_retry_until: Option<i64>,
    /// All its fields in order: name and unfolded value as sent.
    pub fields: Vec<(String, String)>,
}

/// `Action` (RFC 3464, section 2.3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Not delivered, and not tried again.
    Failed,
    /// Not delivered yet.
    Delayed,
    /// Delivered.
    Delivered,
    /// Handed to a system that tells no more.
    Relayed,
    /// Delivered to a list of several.
    Expanded,
    /// A word that the standard does not know, lower case.
    Other(String),
}

impl Action {
    /// Reads the word, any case.
    pub(in crate::report) fn parse(word: &str) -> Action {
        match word.to_lowercase().as_str() {
            // `failure` is not the standard's word, but some servers'.
            "failed" | "failure" => Action::Failed,
            "delayed" => Action::Delayed,
            "delivered" => Action::Delivered,
            "relayed" => Action::Relayed,
            "expanded" => Action::Expanded,
            other => Action::Other(other.to_owned()),
        }
    }

    /// The standard's word, or the other word as sent.
    pub fn as_str(&self) -> &str {
        match self {
            Action::Failed => "failed",
            Action::Delayed => "delayed",
            Action::Delivered => "delivered",
            Action::Relayed => "relayed",
            Action::Expanded => "expanded",
            Action::Other(word) => word,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
