//! Enhanced status codes (RFC 3463): `class.subject.detail`.

use std::fmt;

/// A status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StatusCode {
    /// 2 success, 4 persistent transient failure, 5 permanent failure.
    pub class: u8,
    /// 1 address, 2 mailbox, 3 mail system, 4 network, 5 protocol, 6 content, 7 policy; 0 other.
    pub subject: u16,
    /// What it is within the subject.
    pub detail: u16,
}

impl StatusCode {
    /// Reads a code that stands alone: `5.1.1`.
    pub fn parse(text: &str) -> Option<StatusCode> {
        let mut parts = text.split('.');
        let class = number(parts.next()?, 1)?;
        let (subject, detail) = (number(parts.next()?, 3)?, number(parts.next()?, 3)?);
        let known = matches!(class, 2 | 4 | 5) && parts.next().is_none();
        known.then_some(StatusCode { class: u8::try_from(class).ok()?, subject, detail })
    }

    /// Whether it says no more than its class: `5.0.0`.
    pub fn is_vague(self) -> bool {
        self.subject == 0 && self.detail == 0
    }
}

fn number(text: &str, digits: usize) -> Option<u16> {
    let plain = !text.is_empty() && text.len() <= digits && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// The first status code behind a reply code in an SMTP diagnostic: `550 5.1.1 …`, `550-5.7.26 …`, `550 #5.1.0 …`. A code
/// elsewhere in the text is prose.
pub(in crate::report) fn in_diagnostic(text: &str) -> Option<StatusCode> {
    let mut words = text.split([' ', '-', '\t', ':']).filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        let is_reply = word.len() == 3 && word.starts_with(['4', '5']) && word.bytes().all(|b| b.is_ascii_digit());
        if is_reply {
            let next = words.next()?.trim_start_matches(['#', '(']).trim_end_matches([')', ',', ';']);
            return StatusCode::parse(next).filter(|code| word.starts_with(char::from(b'0' + code.class)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(StatusCode::parse(text).map(|code| code.to_string()).as_deref(), expected, "{text}");
        };
        check("5.1.1", Some("5.1.1"));
        check("4.7.650", Some("4.7.650"));
        check("5.7.1234", None);
        check("6.1.1", None);
        check("15.1.1", None);
        check("5.1", None);
        check("5.1.1.1", None);
        check("5..1", None);
        check("5.+1.1", None);
        check("", None);
    }

    #[test]
    fn codes_in_diagnostics() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(in_diagnostic(text).map(|code| code.to_string()).as_deref(), expected, "{text}");
        };
        check("550 5.1.1 <a@b.example>: no such user", Some("5.1.1"));
        check("550-5.7.26 unauthenticated", Some("5.7.26"));
        check("host mx[192.0.2.1] said: 550 5.2.1 disabled", Some("5.2.1"));
        check("550 #5.1.0 Address rejected.", Some("5.1.0"));
        check("SMTP error from remote mail server after RCPT TO: 550 5.1.1 unknown", Some("5.1.1"));
        check("550 No such user", None);
        check("550 4.1.1 contradiction", None);
        check("see 5.1.1 for more", None);
        check("", None);
    }
}
