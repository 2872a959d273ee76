//! SMTP TLS reports (RFC 8460).

use crate::problem::{Refusal, Warning};

/// A TLS report (RFC 8460, section 4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsReport {
    /// `organization-name`.
    pub org_name: Option<String>,
    /// `contact-info`.
    pub org_email: Option<String>,
    /// `report-id`; derived from the content where missing, with a warning.
    pub report_id: String,
    /// `date-range.start-datetime`, seconds since the epoch, UTC.
    pub begin_at: i64,
    /// `date-range.end-datetime`.
    pub end_at: i64,
    /// `policies`.
    pub policies: Vec<TlsPolicy>,
    /// SHA-256 over the content in canonical form: equal for the same report in any container.
    pub content_hash: [u8; 32],
    /// What was read around.
    pub warnings: Vec<Warning>,
}

/// One policy with its sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsPolicy {
    /// `policy-type`: `tlsa`, `sts`, `no-policy-found`, others as sent.
    pub policy_type: Option<String>,
    /// `policy-domain`, lower-case A-label.
    pub policy_domain: Option<String>,
    /// `policy-string`, each line.
    pub policy_string: Vec<String>,
    /// `mx-host` patterns.
    pub mx_host: Vec<String>,
    /// `total-successful-session-count`.
    pub successful_sessions: u64,
    /// `total-failure-session-count`.
    pub failed_sessions: u64,
    /// `failure-details`.
    pub failures: Vec<TlsFailure>,
}

/// One kind of failure under a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFailure {
    /// `result-type`.
    pub result_type: Option<String>,
    /// `sending-mta-ip`, canonical where it is an address, else as sent.
    pub sending_mta_ip: Option<String>,
    /// `receiving-mx-hostname`.
    pub receiving_mx_hostname: Option<String>,
    /// `receiving-mx-helo`.
    pub receiving_mx_helo: Option<String>,
    /// `receiving-ip`.
    pub receiving_ip: Option<String>,
    /// `failed-session-count`.
    pub failed_sessions: u64,
    /// `additional-information`.
    pub additional_information: Option<String>,
    /// `failure-reason-code`.
    pub failure_reason_code: Option<String>,
}

/// Reads one TLS report from its JSON.
///
/// # Errors
/// Not JSON, not a TLS report, or no usable period.
pub fn read(_json: &[u8], _limits: &crate::limits::Limits) -> Result<TlsReport, Refusal> {
    Err(Refusal::new(crate::problem::Code::Json, "not read yet"))
}
