//! Failure reports (RFC 6591, RFC 9991): one message that failed authentication. Never a complaint.

use std::net::IpAddr;

use crate::problem::Warning;

/// What the tokens of `Identity-Alignment` mean, which RFC 9991 turned round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlignmentSemantics {
    /// RFC 7489, section 7.3.1: the mechanisms that produced an aligned identity.
    Rfc7489,
    /// RFC 9991: the mechanisms that failed to authenticate an aligned identity.
    Rfc9991,
    /// The report does not tell; the token `none` or nothing at all.
    Unknown,
}

impl AlignmentSemantics {
    /// `7489`, `9991` or `unknown`.
    pub fn as_str(self) -> &'static str {
        match self {
            AlignmentSemantics::Rfc7489 => "7489",
            AlignmentSemantics::Rfc9991 => "9991",
            AlignmentSemantics::Unknown => "unknown",
        }
    }
}

/// A failure report. Fields are `None` where absent; texts are unfolded and as sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureReport {
    /// Who reports: the display name or domain of the report mail's `From`.
    pub org_name: Option<String>,
    /// The address of the report mail's `From`.
    pub org_email: Option<String>,
    /// The `Message-ID` of the report mail, else of the failed mail.
    pub report_id: Option<String>,
    /// `Reported-Domain`, else the `From` domain of the failed mail (lower-case A-label).
    pub domain: Option<String>,
    /// `Arrival-Date`, else the `Date` of the report mail; seconds since the epoch, UTC.
    pub arrived_at: Option<i64>,
    /// `Auth-Failure` words, lower case: `dmarc`, `spf`, `signature`, `bodyhash`, `revoked`, `adsp`, others as sent.
    pub auth_failure: Vec<String>,
    /// `Delivery-Result`, as sent.
    pub delivery_result: Option<String>,
    /// `Identity-Alignment`, raw.
    pub identity_alignment: Option<String>,
    /// How to read it.
    pub alignment_semantics: AlignmentSemantics,
    /// `Source-IP`.
    pub source_ip: Option<IpAddr>,
    /// `Source-Port`.
    pub source_port: Option<u16>,
    /// `Incidents`; 1 where absent.
    pub incidents: u32,
    /// `User-Agent`.
    pub user_agent: Option<String>,
    /// `Version`.
    pub version: Option<String>,
    /// `Reporting-MTA`.
    pub reporting_mta: Option<String>,
    /// `Original-Envelope-Id`.
    pub original_envelope_id: Option<String>,
    /// `Original-Mail-From` without angle brackets.
    pub original_mail_from: Option<String>,
    /// `Original-Rcpt-To`, each, without angle brackets, as sent.
    pub original_rcpt_to: Vec<String>,
    /// `Authentication-Results`, each.
    pub authentication_results: Vec<String>,
    /// `DKIM-Domain`.
    pub dkim_domain: Option<String>,
    /// `DKIM-Identity`.
    pub dkim_identity: Option<String>,
    /// `DKIM-Selector`.
    pub dkim_selector: Option<String>,
    /// `SPF-DNS`, each.
    pub spf_dns: Vec<String>,
    /// Domain of the failed mail's `From`.
    pub header_from: Option<String>,
    /// `Message-ID` of the failed mail without angle brackets.
    pub message_id: Option<String>,
    /// Decoded `Subject` of the failed mail.
    pub subject: Option<String>,
    /// The header block of the failed mail as text, at most 64 KiB. Its body is other people's mail and is not kept.
    pub sample_headers: Option<String>,
    /// The human part of a report that has no machine part (Exim, cPanel), at most 4 KiB.
    pub prose: Option<String>,
    /// Every field of the feedback part in order.
    pub fields: Vec<(String, String)>,
    /// What was read around.
    pub warnings: Vec<Warning>,
}
