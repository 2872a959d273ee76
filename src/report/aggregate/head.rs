//! What a report says of itself, above its records.

use quick_xml::events::BytesStart;
use sha2::{Digest, Sha256};

use super::elements::Element;
use super::machine::{Machine, cut, illegal, taken_as};
use super::{AggregateReport, PolicyPublished, Text, chunk, values};
use crate::problem::{Code, Refusal, Warning};

/// A domain name has no more bytes (RFC 1035, section 2.3.4).
const LONGEST_DOMAIN: usize = 253;

/// What a report says of itself, as far as it was read.
#[derive(Default)]
pub(super) struct Head {
    pub namespace: Option<String>,
    version: Option<String>,
    org_name: Option<String>,
    email: Option<String>,
    extra_contact_info: Option<Text>,
    report_id: Option<String>,
    begin: Option<String>,
    end: Option<String>,
    errors: Vec<Text>,
    generator: Option<String>,
    /// The first `policy_published` only.
    pub policies: usize,
    domain: Option<String>,
    policy: PolicyPublished,
    pub extensions: Vec<String>,
}

impl Machine {
    pub(super) fn head_value(&mut self, element: Element, text: &str) {
        if self.head.policies > 1 && self.open.last() == Some(&Element::PolicyPublished) {
            return;
        }
        if text.is_empty() {
            if element != Element::ExtraContactInfo {
                self.warn("empty-element", || element.place().to_owned(), || "without a value".into());
            }
            return;
        }
        let lang = self.lang.take();
        let Head { policy, .. } = &mut self.head;
        let field = match element {
            Element::Version => &mut self.head.version,
            Element::OrgName => &mut self.head.org_name,
            Element::Email => &mut self.head.email,
            Element::ReportId => &mut self.head.report_id,
            Element::Begin => &mut self.head.begin,
            Element::End => &mut self.head.end,
            Element::Generator => &mut self.head.generator,
            Element::PolicyDomain => &mut self.head.domain,
            Element::Adkim => &mut policy.adkim,
            Element::Aspf => &mut policy.aspf,
            Element::Fo => &mut policy.fo,
            Element::Testing => &mut policy.testing,
            Element::DiscoveryMethod => &mut policy.discovery_method,
            Element::P => return self.policy_word(text, "p"),
            Element::Sp => return self.policy_word(text, "sp"),
            Element::Np => return self.policy_word(text, "np"),
            Element::Pct => return self.pct(text),
            Element::ExtraContactInfo => {
                self.head.extra_contact_info = Some(Text { text: text.to_owned(), lang });
                return;
            }
            Element::Error => {
                if self.head.errors.len() < 100 {
                    self.head.errors.push(Text { text: text.to_owned(), lang });
                }
                return;
            }
            _ => return,
        };
        match field {
            Some(known) if known != text => {
                self.warn(
                    "repeated-element",
                    || element.place().to_owned(),
                    || format!("sent again as {}; the first counts", cut(text)),
                );
            }
            _ => *field = Some(text.to_owned()),
        }
    }

    /// Mail.Ru writes `nil` for a policy that is not there.
    fn policy_word(&mut self, text: &str, name: &'static str) {
        let word = values::policy(text);
        if let Some(code) = word.odd {
            self.warn(code, || format!("policy_published/{name}"), || taken_as(text, &word.value));
        }
        let value = (!text.eq_ignore_ascii_case("nil")).then(|| word.value.into_owned());
        let policy = &mut self.head.policy;
        *match name {
            "p" => &mut policy.p,
            "sp" => &mut policy.sp,
            _ => &mut policy.np,
        } = value;
    }

    fn pct(&mut self, text: &str) {
        match text.parse::<i64>() {
            Ok(pct) if (0..=100).contains(&pct) => self.head.policy.pct = Some(pct),
            _ => self.warn(
                "pct",
                || "policy_published/pct".into(),
                || format!("{} is no percentage; left out", cut(text)),
            ),
        }
    }
}

impl Head {
    /// The content of the head, for the report's digest. The namespace is form.
    pub fn digest(&self) -> Vec<u8> {
        let PolicyPublished { p, sp, np, adkim, aspf, pct, fo, testing, discovery_method, .. } = &self.policy;
        let domain = self.domain.as_deref().map(|domain| values::domain(domain).value.into_owned());
        let mut bytes = Vec::new();
        let texts = [
            &self.version,
            &self.org_name,
            &self.email,
            &self.report_id,
            &self.begin,
            &self.end,
            &self.generator,
            &domain,
            p,
            sp,
            np,
            adkim,
            aspf,
            fo,
            testing,
            discovery_method,
        ];
        texts.into_iter().for_each(|text| put_text_of(&mut bytes, text.as_deref()));
        bytes.extend(pct.unwrap_or(-1).to_le_bytes());
        bytes.extend((self.errors.len() as u64).to_le_bytes());
        for text in self.errors.iter().chain(&self.extra_contact_info) {
            chunk::put_text(&mut bytes, &text.text);
            put_text_of(&mut bytes, text.lang.as_deref());
        }
        bytes.extend((self.extensions.len() as u64).to_le_bytes());
        self.extensions.iter().for_each(|extension| chunk::put_text(&mut bytes, extension));
        bytes
    }

    /// The report, if it says what it must: whose policy, and when.
    pub fn report(self, content_hash: [u8; 32], warnings: &mut Vec<Warning>) -> Result<AggregateReport, Refusal> {
        let domain = self.domain.as_deref().unwrap_or("");
        let taken = values::domain(domain);
        if taken.value.is_empty() {
            return Err(Refusal::new(
                Code::NoPolicyDomain,
                "policy_published/domain is missing or empty: whose policy was it?",
            ));
        }
        if taken.value.len() > LONGEST_DOMAIN {
            let length = taken.value.len();
            return Err(Refusal::new(
                Code::FieldTooLong,
                format!("policy_published/domain has {length} bytes, a domain name {LONGEST_DOMAIN} at most"),
            ));
        }
        if let Some(code) = taken.odd {
            Warning::note(warnings, code, || "policy_published/domain".into(), || cut(domain).to_owned());
        }
        let (begin_at, end_at) = period(self.begin.as_deref(), self.end.as_deref(), warnings)?;
        let policy = PolicyPublished { domain: taken.value.into_owned(), ..self.policy };
        let org_name = self.org_name.or_else(|| {
            let host = self.email.as_deref()?.rsplit_once('@')?.1.trim_matches(['>', ' ']);
            warnings.push(Warning::new(
                "org-name-missing",
                "report_metadata/org_name",
                format!("taken from email: {}", cut(host)),
            ));
            Some(host.to_ascii_lowercase())
        });
        let report_id = self.report_id.unwrap_or_else(|| {
            warnings.push(Warning::new("report-id-missing", "report_metadata/report_id", "derived from the content"));
            let digest = Sha256::digest(content_hash);
            digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
        });
        if self.email.is_none() {
            warnings.push(Warning::new("email-missing", "report_metadata/email", "not there"));
        }
        Ok(AggregateReport {
            namespace: self.namespace,
            version: self.version,
            org_name,
            email: self.email,
            extra_contact_info: self.extra_contact_info,
            report_id,
            begin_at,
            end_at,
            errors: self.errors,
            generator: self.generator,
            policy,
            extensions: self.extensions,
            records_seen: 0,
            records: 0,
            messages: 0,
            content_hash,
            warnings: Vec::new(),
        })
    }
}

/// A text that may be missing: absent and empty are different.
fn put_text_of(bytes: &mut Vec<u8>, text: Option<&str>) {
    bytes.push(u8::from(text.is_some()));
    chunk::put_text(bytes, text.unwrap_or(""));
}

/// RFC 7489 and RFC 9990 ask for a day; more than two is worth a word.
const LONG_PERIOD: i64 = 2 * 86_400;

fn period(begin: Option<&str>, end: Option<&str>, warnings: &mut Vec<Warning>) -> Result<(i64, i64), Refusal> {
    let mut time = |text: Option<&str>, name: &str| {
        let text = text.unwrap_or("");
        let taken = values::time(text).ok_or_else(|| {
            Refusal::new(Code::NoPeriod, format!("date_range/{name} `{}` is no time: when was it?", cut(text)))
        })?;
        if let Some(code) = taken.odd {
            Warning::note(warnings, code, || format!("date_range/{name}"), || cut(text).to_owned());
        }
        Ok(taken.value)
    };
    let (begin, end) = (time(begin, "begin")?, time(end, "end")?);
    if begin > end {
        warnings.push(Warning::new(
            "period-swapped",
            "date_range",
            format!("begin {begin} is after end {end}; taken the other way round"),
        ));
        return Ok((end, begin));
    }
    if end - begin > LONG_PERIOD {
        let hours = (end - begin) / 3600;
        warnings.push(Warning::new("period-long", "date_range", format!("{hours} hours")));
    }
    Ok((begin, end))
}

/// The namespace that a root element declares, by default or for its own prefix.
pub(super) fn namespace(start: &BytesStart<'_>) -> Option<String> {
    if start.attributes_raw().is_empty() {
        return None;
    }
    let wanted = match start.name().prefix() {
        Some(prefix) => format!("xmlns:{}", prefix.into_inner()),
        None => "xmlns".to_owned(),
    };
    attribute(start, &wanted)
}

pub(super) fn lang(start: &BytesStart<'_>) -> Option<String> {
    attribute(start, "lang").or_else(|| attribute(start, "xml:lang"))
}

/// An attribute's value as written. No more than a few attributes are looked at: real reports have three at most.
fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    let mut attributes = start.attributes();
    attributes.with_checks(false);
    let found = attributes.take(16).filter_map(Result::ok).find(|attribute| attribute.key.into_inner() == name)?;
    Some(found.value.trim().replace(illegal, "\u{fffd}")).filter(|value| !value.is_empty())
}
