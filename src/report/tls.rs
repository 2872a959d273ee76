//! SMTP TLS reports (RFC 8460).

use std::net::IpAddr;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::text::{bounded, without_nul};
use super::{address, date};
use crate::limits::Limits;
use crate::problem::{Code, Refusal, Warning};

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

/// Objects in one document: a report has two for each policy, one for each failure and two more.
const OBJECTS: usize = 100_000;
/// Values in one document, counted by commas; texts count too, which only makes the bound tighter.
const VALUES: usize = 1_000_000;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    organization_name: Option<Value>,
    date_range: Option<Lenient<Range>>,
    contact_info: Option<Value>,
    report_id: Option<Value>,
    policies: Option<Vec<Entry>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Range {
    start_datetime: Option<String>,
    end_datetime: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Entry {
    policy: Option<Policy>,
    summary: Option<Summary>,
    failure_details: Option<Vec<Failure>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Policy {
    policy_type: Option<Value>,
    policy_string: Option<Texts>,
    policy_domain: Option<Value>,
    #[serde(alias = "mx-host-pattern")]
    mx_host: Option<Texts>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Summary {
    total_successful_session_count: Option<Value>,
    total_failure_session_count: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Failure {
    result_type: Option<Value>,
    sending_mta_ip: Option<Value>,
    receiving_mx_hostname: Option<Value>,
    receiving_mx_helo: Option<Value>,
    receiving_ip: Option<Value>,
    failed_session_count: Option<Value>,
    additional_information: Option<Value>,
    failure_reason_code: Option<Value>,
}

/// A value of the expected form, or one of another form, which is then as good as absent.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lenient<T> {
    Read(T),
    Other(serde::de::IgnoredAny),
}

/// A text where a text is meant, a number where reporters spell one as the other.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Count(u64),
    Other(serde::de::IgnoredAny),
}

/// A list of texts, or one text instead of a list (RFC 8460's erratum; `policy-string` too).
#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    Many(Vec<String>),
    One(String),
    Other(serde::de::IgnoredAny),
}

/// Reads one TLS report from its JSON.
///
/// Reads around: a byte order mark, times without a zone (Microsoft), counts spelled as texts, one text instead of a list,
/// `mx-host-pattern`, a missing or null contact, domain, address or list of policies. A count that is none adds nothing.
///
/// # Errors
/// Not JSON or not a TLS report ([`Code::Json`]), more in it than a report holds ([`Code::TooManyRecords`]), a text over
/// `value_bytes` ([`Code::FieldTooLong`]), or no usable period ([`Code::NoPeriod`]).
pub fn read(json: &[u8], limits: &Limits) -> Result<TlsReport, Refusal> {
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
    check_bounds(json, limits)?;
    let document: Document = serde_json::from_slice(json).map_err(|error| {
        let code = if error.is_eof() { Code::Truncated } else { Code::Json };
        Refusal::new(
            code,
            format!("line {} column {}: {}", error.line(), error.column(), bounded(&error.to_string(), 200)),
        )
    })?;
    if document.date_range.is_none() && document.policies.is_none() {
        return Err(Refusal::new(Code::Json, "JSON, but no TLS report: neither `date-range` nor `policies`"));
    }
    let mut warnings = Vec::new();
    let (begin_at, end_at) = period(document.date_range, &mut warnings)?;
    let entries = document.policies.unwrap_or_default();
    let policies: Vec<TlsPolicy> =
        entries.into_iter().enumerate().map(|(at, entry)| policy(at, entry, &mut warnings)).collect();
    if policies.is_empty() {
        warnings.push(Warning::new("policies", "policies", "none"));
    }
    let mut report = TlsReport {
        org_name: text(document.organization_name),
        org_email: text(document.contact_info),
        report_id: text(document.report_id).unwrap_or_default(),
        begin_at,
        end_at,
        policies,
        content_hash: [0; 32],
        warnings,
    };
    report.content_hash = content_hash(&report);
    if report.report_id.is_empty() {
        report.report_id = derived_id(&report.content_hash);
        report.warnings.push(Warning::new("report-id", "report-id", "missing, derived from the content"));
    }
    Ok(report)
}

/// Counts what a document would make the reader allocate, before it does.
fn check_bounds(json: &[u8], limits: &Limits) -> Result<(), Refusal> {
    let (mut objects, mut values, mut string) = (0usize, 0usize, 0usize);
    let (mut quoted, mut escaped) = (false, false);
    for &byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => (quoted, string) = (!quoted, 0),
            _ if quoted => {
                string += 1;
                if string > limits.value_bytes {
                    return Err(Refusal::new(Code::FieldTooLong, format!("a text over {} bytes", limits.value_bytes)));
                }
            }
            b'{' => objects += 1,
            b',' => values += 1,
            _ => {}
        }
    }
    if objects > OBJECTS || values > VALUES {
        return Err(Refusal::new(Code::TooManyRecords, format!("more than {OBJECTS} objects or {VALUES} values")));
    }
    Ok(())
}

fn period(range: Option<Lenient<Range>>, warnings: &mut Vec<Warning>) -> Result<(i64, i64), Refusal> {
    let range = match range {
        Some(Lenient::Read(range)) => range,
        _ => Range::default(),
    };
    let mut time = |text: Option<String>, name: &'static str| {
        let text = text.unwrap_or_default();
        let (at, zone) = date::rfc3339(&text).or_else(|| date::mail(&text).map(|at| (at, true))).ok_or_else(|| {
            Refusal::new(Code::NoPeriod, format!("date-range/{name}: no time: `{}`", bounded(&text, 40)))
        })?;
        if !zone {
            let text = format!("`{}` has no time zone, taken as UTC", bounded(&text, 40));
            warnings.push(Warning::new("time-zone", format!("date-range/{name}"), text));
        }
        Ok(at)
    };
    let begin_at = time(range.start_datetime, "start-datetime")?;
    let end_at = time(range.end_datetime, "end-datetime")?;
    if end_at < begin_at {
        return Err(Refusal::new(Code::NoPeriod, "date-range ends before it begins"));
    }
    Ok((begin_at, end_at))
}

fn policy(at: usize, entry: Entry, warnings: &mut Vec<Warning>) -> TlsPolicy {
    let place = format!("policies[{}]", at + 1);
    let (policy, summary) = (entry.policy.unwrap_or_default(), entry.summary.unwrap_or_default());
    let policy_domain = text(policy.policy_domain).map(|name| address::domain(&name).unwrap_or(name));
    if policy_domain.is_none() {
        warnings.push(Warning::new("policy-domain", place.clone(), "missing"));
    }
    let details = entry.failure_details.unwrap_or_default();
    let failures = details
        .into_iter()
        .enumerate()
        .map(|(at, failure)| failure_detail(failure, &format!("{place}/failure-details[{}]", at + 1), warnings));
    let failures = failures.collect();
    TlsPolicy {
        policy_type: text(policy.policy_type),
        policy_domain,
        policy_string: texts(policy.policy_string),
        mx_host: texts(policy.mx_host),
        successful_sessions: count(
            summary.total_successful_session_count,
            &place,
            "total-successful-session-count",
            warnings,
        ),
        failed_sessions: count(summary.total_failure_session_count, &place, "total-failure-session-count", warnings),
        failures,
    }
}

fn failure_detail(failure: Failure, place: &str, warnings: &mut Vec<Warning>) -> TlsFailure {
    let host = |value: Option<Value>| text(value).map(|name| address::domain(&name).unwrap_or(name));
    TlsFailure {
        result_type: text(failure.result_type),
        sending_mta_ip: text(failure.sending_mta_ip).map(canonical_ip),
        receiving_mx_hostname: host(failure.receiving_mx_hostname),
        receiving_mx_helo: text(failure.receiving_mx_helo),
        receiving_ip: text(failure.receiving_ip).map(canonical_ip),
        failed_sessions: count(failure.failed_session_count, place, "failed-session-count", warnings),
        additional_information: text(failure.additional_information),
        failure_reason_code: text(failure.failure_reason_code),
    }
}

fn text(value: Option<Value>) -> Option<String> {
    let text = match value? {
        Value::Text(text) => without_nul(text.trim()),
        Value::Count(number) => number.to_string(),
        Value::Other(_) => return None,
    };
    (!text.is_empty()).then_some(text)
}

fn texts(value: Option<Texts>) -> Vec<String> {
    let texts = match value {
        Some(Texts::Many(texts)) => texts,
        Some(Texts::One(text)) => vec![text],
        _ => Vec::new(),
    };
    texts.iter().map(|text| without_nul(text)).collect()
}

/// A count of sessions, at most what the database's signed integers hold; a text that is a number is one.
fn count(value: Option<Value>, place: &str, name: &str, warnings: &mut Vec<Warning>) -> u64 {
    let number = match &value {
        None => return 0,
        Some(Value::Count(number)) => Some(*number),
        Some(Value::Text(text)) => text.trim().parse().ok(),
        Some(Value::Other(_)) => None,
    };
    let number = number.filter(|number| *number <= MAX_SESSIONS);
    if number.is_none() {
        warnings.push(Warning::new("session-count", format!("{place}/{name}"), "no count, nothing is added"));
    }
    number.unwrap_or(0)
}

/// More sessions than this in one count are a lie: sums of them must fit a signed 64-bit integer.
const MAX_SESSIONS: u64 = 1 << 40;

fn canonical_ip(text: String) -> String {
    text.parse::<IpAddr>().map_or(text, |ip| ip.to_canonical().to_string())
}

/// SHA-256 over every value, each with its length or count before it, so that no two reports run into each other.
fn content_hash(report: &TlsReport) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut put = |text: Option<&str>| {
        hash.update(text.map_or(u64::MAX, |text| text.len() as u64).to_be_bytes());
        hash.update(text.unwrap_or_default());
    };
    put(report.org_name.as_deref());
    put(report.org_email.as_deref());
    put(Some(&report.report_id));
    let number = |n: u64| n.to_string();
    put(Some(&report.begin_at.to_string()));
    put(Some(&report.end_at.to_string()));
    put(Some(&number(report.policies.len() as u64)));
    for policy in &report.policies {
        put(policy.policy_type.as_deref());
        put(policy.policy_domain.as_deref());
        for list in [&policy.policy_string, &policy.mx_host] {
            put(Some(&number(list.len() as u64)));
            list.iter().for_each(|text| put(Some(text)));
        }
        put(Some(&number(policy.successful_sessions)));
        put(Some(&number(policy.failed_sessions)));
        put(Some(&number(policy.failures.len() as u64)));
        for failure in &policy.failures {
            put(failure.result_type.as_deref());
            put(failure.sending_mta_ip.as_deref());
            put(failure.receiving_mx_hostname.as_deref());
            put(failure.receiving_mx_helo.as_deref());
            put(failure.receiving_ip.as_deref());
            put(Some(&number(failure.failed_sessions)));
            put(failure.additional_information.as_deref());
            put(failure.failure_reason_code.as_deref());
        }
    }
    hash.finalize().into()
}

fn derived_id(hash: &[u8; 32]) -> String {
    hash[..8].iter().fold("derived-".to_owned(), |id, byte| id + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{"organization-name":"Example","date-range":{"start-datetime":"2024-02-22T00:00:00Z",
        "end-datetime":"2024-02-22T23:59:59Z"},"contact-info":"tls@example.com","report-id":"r-1","policies":[{"policy":
        {"policy-type":"sts","policy-string":["version: STSv1"],"policy-domain":"Example.COM.","mx-host":["*.example.com"]},
        "summary":{"total-successful-session-count":5,"total-failure-session-count":2},"failure-details":[
        {"result-type":"certificate-expired","sending-mta-ip":"2001:DB8::0:1","failed-session-count":2}]}]}"#;

    fn found(json: &str) -> TlsReport {
        read(json.as_bytes(), &Limits::default()).expect(json)
    }

    fn refused(json: &str) -> Code {
        read(json.as_bytes(), &Limits::default()).expect_err(json).code
    }

    #[test]
    fn a_plain_report() {
        let report = found(REPORT);
        assert_eq!(report.org_name.as_deref(), Some("Example"));
        assert_eq!((report.begin_at, report.end_at), (1_708_560_000, 1_708_646_399));
        let policy = &report.policies[0];
        assert_eq!(policy.policy_domain.as_deref(), Some("example.com"));
        assert_eq!((policy.successful_sessions, policy.failed_sessions), (5, 2));
        assert_eq!(policy.failures[0].sending_mta_ip.as_deref(), Some("2001:db8::1"));
        assert_eq!(report.warnings, []);
    }

    #[test]
    fn quirks_are_read_around_and_said() {
        let check = |from: &str, to: &str, code: Option<&str>| {
            let changed = REPORT.replace(from, to);
            assert_ne!(changed, REPORT, "{from}");
            let report = found(&changed);
            let codes: Vec<_> = report.warnings.iter().map(|warning| warning.code).collect();
            assert_eq!(codes, Vec::from_iter(code), "{to}");
            report
        };
        assert_eq!(check("\"tls@example.com\"", "null", None).org_email, None);
        assert_eq!(check("00:00:00Z", "00:00:00", Some("time-zone")).begin_at, 1_708_560_000);
        assert_eq!(
            check("\"policy-domain\":\"Example.COM.\",", "", Some("policy-domain")).policies[0].policy_domain,
            None
        );
        let one = check("[\"version: STSv1\"]", "\"version: STSv1\"", None);
        assert_eq!(one.policies[0].policy_string, ["version: STSv1"]);
        assert_eq!(
            check("\"mx-host\":[\"*.example.com\"]", "\"mx-host-pattern\":\"*.example.com\"", None).policies[0].mx_host,
            ["*.example.com"]
        );
        assert_eq!(check("count\":5", "count\":\"5\"", None).policies[0].successful_sessions, 5);
        assert_eq!(check("count\":5", "count\":-5", Some("session-count")).policies[0].successful_sessions, 0);
        assert_eq!(check("count\":5", "count\":1e300", Some("session-count")).policies[0].successful_sessions, 0);
        assert_eq!(
            check("count\":5", "count\":18446744073709551615", Some("session-count")).policies[0].successful_sessions,
            0
        );
        assert_eq!(
            check("\"sending-mta-ip\":\"2001:DB8::0:1\",", "", None).policies[0].failures[0].sending_mta_ip,
            None
        );
        let derived = check("\"report-id\":\"r-1\",", "", Some("report-id"));
        assert!(derived.report_id.starts_with("derived-"), "{}", derived.report_id);
        assert_eq!(derived, check("\"report-id\":\"r-1\",", " ", Some("report-id")));
        assert_eq!(check("{\"org", "\u{feff}{\"org", None), found(REPORT));
    }

    #[test]
    fn content_and_not_form_makes_the_hash() {
        let spaced = REPORT.replace(':', ": ").replace("T00: 00: 00", "T00:00:00").replace("T23: 59: 59", "T23:59:59");
        let spaced = spaced.replace("version:  S", "version: S").replace("2001: DB8: : 0: 1", "2001:db8::1");
        assert_eq!(found(&spaced).content_hash, found(REPORT).content_hash);
        assert_ne!(found(&REPORT.replace("count\":5", "count\":6")).content_hash, found(REPORT).content_hash);
        assert_ne!(found(&REPORT.replace("expired", "invalid")).content_hash, found(REPORT).content_hash);
    }

    #[test]
    fn refusals() {
        assert_eq!(refused(""), Code::Truncated);
        assert_eq!(refused("{}"), Code::Json);
        assert_eq!(refused("[]"), Code::Json);
        assert_eq!(refused("<feedback/>"), Code::Json);
        assert_eq!(refused(&REPORT[..REPORT.len() - 2]), Code::Truncated);
        assert_eq!(refused(&REPORT.replace("2024-02-22T00", "yesterday")), Code::NoPeriod);
        assert_eq!(refused(&REPORT.replace("2024-02-22T00", "2025-02-22T00")), Code::NoPeriod);
        assert_eq!(refused("{\"policies\":[]}"), Code::NoPeriod);
        assert_eq!(refused(&REPORT.replace("r-1", &"x".repeat(70_000))), Code::FieldTooLong);
        let many = format!("{{\"policies\":[{}{{}}]}}", "{},".repeat(OBJECTS));
        assert_eq!(refused(&many), Code::TooManyRecords);
        assert_eq!(refused(&format!("{{\"policies\":{}", "[".repeat(100_000))), Code::Json);
    }
}
