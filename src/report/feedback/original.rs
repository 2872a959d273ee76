//! The mail a report is about: found among the report's parts, read no further than its headers, never taken in.

use super::fields::{Fields, header_block, original_headers};
use super::recipient::bare_message_id;
use crate::limits::Limits;
use crate::mail::{Entity, Kind, Mail};
use crate::report::text::{bounded, without_nul};
use crate::report::{address, date};

/// Bytes of a decoded subject that are kept.
const SUBJECT_BYTES: usize = 512;
/// Bytes of any other single value that are kept.
const VALUE_BYTES: usize = 1000;
/// Bytes of the header block that a failure report keeps.
const SAMPLE_BYTES: usize = 64 << 10;
/// DKIM signatures of one mail that are looked at.
const SIGNATURES: usize = 50;

/// The headers of the mail a report is about. Empty where the report has none.
#[derive(Debug, Default)]
pub(in crate::report) struct Original {
    /// Its header fields, bounded.
    pub(in crate::report) headers: Fields,
    /// The header block as text, at most 64 KiB; `None` where there is no original or nobody asked for it.
    pub(in crate::report) sample: Option<String>,
}

impl Original {
    /// The original of the report whose machine part is entity `report`: the first fitting part after it under the same
    /// parent, else before it. With its sample for a failure report, which keeps it.
    pub(in crate::report) fn of(mail: &Mail<'_>, report: usize, limits: &Limits, sample: bool) -> Original {
        let parent = mail.entities.get(report).and_then(|entity| entity.parent);
        let fits = |(_, entity): &(usize, &Entity<'_>)| {
            parent.is_some() && entity.parent == parent && is_original_type(&entity.content_type)
        };
        let all = || mail.entities.iter().enumerate();
        let found = all().skip(report + 1).find(fits).or_else(|| all().take(report).find(fits));
        found.map_or_else(Original::default, |(at, entity)| Original::from_part(mail, at, entity, limits, sample))
    }

    /// From the part that holds it: an attached message, or its headers as text.
    pub(in crate::report) fn from_part(
        mail: &Mail<'_>,
        at: usize,
        entity: &Entity<'_>,
        limits: &Limits,
        sample: bool,
    ) -> Original {
        let body = entity.body();
        let original = Original::from_message(&body, limits, sample);
        if !original.headers.0.is_empty() || entity.kind != Kind::Message {
            return original;
        }
        // The body of a message part may be its content only, where the splitter keeps the headers with the child.
        let child = mail.entities.iter().find(|child| child.parent == Some(at));
        child.map_or(original, |child| Original {
            headers: Fields(child.headers.iter().map(|h| (h.name.to_string(), unfolded(&h.value))).collect()),
            sample: None,
        })
    }

    /// From the bytes of a message or header block.
    pub(in crate::report) fn from_message(message: &[u8], limits: &Limits, sample: bool) -> Original {
        let headers = original_headers(message, limits);
        let text = || String::from_utf8_lossy(header_block(message, SAMPLE_BYTES));
        let sample = (sample && !headers.0.is_empty()).then(|| without_nul(bounded(&text(), SAMPLE_BYTES)));
        Original { headers, sample }
    }

    /// Whether the report has an original with headers.
    pub(in crate::report) fn is_present(&self) -> bool {
        !self.headers.0.is_empty()
    }

    /// Domain of its `From`.
    pub(in crate::report) fn header_from(&self) -> Option<String> {
        self.headers.first("From").and_then(address::from_domain)
    }

    /// Its Message-ID without brackets.
    pub(in crate::report) fn message_id(&self) -> Option<String> {
        let id = bare_message_id(self.headers.first("Message-ID")?);
        (!id.is_empty()).then(|| bounded(id, VALUE_BYTES).to_owned())
    }

    /// Its subject, decoded.
    pub(in crate::report) fn subject(&self) -> Option<String> {
        self.headers.first("Subject").map(|value| bounded(&decoded(value), SUBJECT_BYTES).to_owned())
    }

    /// Its date.
    pub(in crate::report) fn sent_at(&self) -> Option<i64> {
        self.headers.first("Date").and_then(date::mail)
    }

    /// Its `List-Id`.
    pub(in crate::report) fn list_id(&self) -> Option<String> {
        self.headers.first("List-Id").map(|value| bounded(value, VALUE_BYTES).to_owned())
    }

    /// Domain and selector of each signature.
    pub(in crate::report) fn dkim_signatures(&self) -> Vec<(String, Option<String>)> {
        self.headers.all("DKIM-Signature").take(SIGNATURES).filter_map(signature).collect()
    }

    /// The token of RFC 9477 without its white space, which folding put there (section 3.2).
    pub(in crate::report) fn cfbl_feedback_id(&self) -> Option<String> {
        let id: String = self.headers.first("CFBL-Feedback-ID")?.split_whitespace().collect();
        Some(bounded(&id, VALUE_BYTES).to_owned())
    }
}

/// Part types that hold the original: RFC 5965 and 6533, RFC 9477's own examples (`text/rfc822`), and the drafts' singular
/// `text/rfc822-header`.
fn is_original_type(content_type: &str) -> bool {
    matches!(
        content_type,
        "message/rfc822"
            | "message/rfc822-headers"
            | "message/global"
            | "message/global-headers"
            | "text/rfc822"
            | "text/rfc822-headers"
            | "text/rfc822-header"
    )
}

fn signature(value: &str) -> Option<(String, Option<String>)> {
    let (mut domain, mut selector) = (None, None);
    for (key, value) in value.split(';').filter_map(|tag| tag.split_once('=')) {
        match key.trim() {
            "d" => domain = domain.or(Some(value)),
            "s" => selector = selector.or(Some(value)),
            _ => {}
        }
    }
    let closed_up = |value: &str| match value.trim() {
        "" => None,
        value if value.contains(char::is_whitespace) => Some(value.split_whitespace().collect::<String>()),
        value => Some(value.to_owned()),
    };
    let selector = selector.and_then(closed_up).map(|selector| bounded(&selector, 255).to_ascii_lowercase());
    Some((address::domain(&domain.and_then(closed_up)?)?, selector))
}

fn unfolded(value: &str) -> String {
    let value = value.trim();
    if memchr::memchr3(b'\r', b'\n', b'\0', value.as_bytes()).is_none() {
        return value.to_owned();
    }
    without_nul(&value.replace(['\r', '\n'], ""))
}

/// Encoded words decoded (RFC 2047).
pub(in crate::report) fn decoded(value: &str) -> String {
    let plain = !value.contains("=?") && value.trim() == value;
    if plain && memchr::memchr2(b'\r', b'\n', value.as_bytes()).is_none() {
        return without_nul(value);
    }
    let field = [b"Subject: ", value.as_bytes()].concat();
    mailparse::parse_header(&field).map_or_else(|_| value.to_owned(), |(header, _)| without_nul(&header.get_value()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_an_original() {
        let original = Original::from_message(
            b"From: \"=?utf-8?Q?B=C3=BCcher?=\" <News@Shop.Example>\r\nSubject: =?utf-8?Q?gr=C3=BC=C3=9Fe?=\r\n\
              Message-ID: <m1@shop.example>;\r\nDate: Wed, 20 Aug 2025 10:00:00 +0000\r\n\
              DKIM-Signature: v=1; a=rsa-sha256; d=Shop.Example;\r\n\ts=News; b=ab\r\n c\r\n\
              DKIM-Signature: v=1; b=none\r\nCFBL-Feedback-ID: 111:\r\n 222\r\nList-Id: <l.shop.example>\r\n\r\nbody",
            &Limits::default(),
            true,
        );
        assert_eq!(original.header_from().as_deref(), Some("shop.example"));
        assert_eq!(original.subject().as_deref(), Some("grüße"));
        assert_eq!(original.message_id().as_deref(), Some("m1@shop.example"));
        assert_eq!(original.sent_at(), Some(1_755_684_000));
        assert_eq!(original.dkim_signatures(), [("shop.example".to_owned(), Some("news".to_owned()))]);
        assert_eq!(original.cfbl_feedback_id().as_deref(), Some("111:222"));
        assert!(original.sample.is_some_and(|sample| !sample.contains("body")));
    }

    #[test]
    fn nothing_is_made_of_nothing() {
        let original = Original::from_message(b"REDACTED\r\n", &Limits::default(), true);
        assert!(!original.is_present());
        assert_eq!(original.sample, None);
        assert_eq!(original.header_from(), None);
    }
}
