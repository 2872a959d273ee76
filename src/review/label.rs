//! Which label is on a source.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::classify::{Facts, Label};
use crate::providers::is_within;
use crate::query::labels;

/// What a label can be on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// One address.
    Address(IpAddr),
    /// A network.
    Network(IpNet),
    /// A domain and what is below it.
    Domain(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Address(ip) => write!(f, "{ip}"),
            Subject::Network(network) => write!(f, "{network}"),
            Subject::Domain(domain) => f.write_str(domain),
        }
    }
}

/// Reads an address, a network or a domain into canonical form. A network is what its prefix leaves of the address; one of a
/// single address is that address.
///
/// # Errors
/// Text for people.
pub fn parse(text: &str) -> Result<Subject, String> {
    const EXPECTED: &str = "give an address (192.0.2.10), a network (192.0.2.0/24) or a domain";
    let text = text.trim();
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(Subject::Address(ip.to_canonical()));
    }
    if text.contains('/') {
        let network: IpNet = text.parse().map_err(|_| format!("not a network: {EXPECTED}"))?;
        let network = network.trunc();
        let single = network.prefix_len() == network.max_prefix_len();
        return Ok(if single { Subject::Address(network.addr().to_canonical()) } else { Subject::Network(network) });
    }
    let name = text.trim_end_matches('.');
    // No top-level domain is a number (RFC 3696, section 2): that is an address gone wrong.
    let number = name.rsplit('.').next().is_none_or(|last| last.chars().all(|digit| digit.is_ascii_digit()));
    match idna::domain_to_ascii(name) {
        Ok(domain) if domain.contains('.') && !number && !name.contains(char::is_whitespace) => {
            Ok(Subject::Domain(domain))
        }
        _ => Err(EXPECTED.to_owned()),
    }
}

/// All labels, to be looked up.
#[derive(Debug)]
pub(super) struct Labels {
    all: Vec<(Subject, Label)>,
}

impl Labels {
    pub(super) fn new(rows: Vec<labels::Label>) -> Labels {
        let one = |row: labels::Label| {
            let subject = parse(&row.subject).ok()?;
            let class = row.class.and_then(|class| class.parse().ok());
            Some((subject, Label { subject: row.subject, class, name: row.name, note: row.note }))
        };
        Labels { all: rows.into_iter().filter_map(one).collect() }
    }

    /// The label closest to a source.
    pub(super) fn of(&self, ip: &str, facts: &Facts) -> Option<Label> {
        if self.all.is_empty() {
            return None;
        }
        let ip: Option<IpAddr> = ip.parse().ok();
        let mut names: Vec<&str> = facts.known().names.iter().map(String::as_str).collect();
        // Who sends most under an envelope or a signature that passes.
        names.extend(facts.spf_as.most());
        names.extend(facts.dkim_as.most());
        let fitting = self.all.iter().filter_map(|(subject, label)| Some((close(subject, ip, &names)?, label)));
        fitting.max_by_key(|(close, _)| *close).map(|(_, label)| label.clone())
    }
}

/// How close a label is, if it fits at all.
fn close(subject: &Subject, ip: Option<IpAddr>, names: &[&str]) -> Option<(u8, usize)> {
    match subject {
        Subject::Address(address) => (ip == Some(*address)).then_some((3, 0)),
        Subject::Network(network) => network.contains(&ip?).then_some((2, usize::from(network.prefix_len()))),
        Subject::Domain(domain) => names.iter().any(|name| is_within(name, domain)).then_some((1, domain.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_in_canonical_form() {
        for (text, expected) in [
            ("192.0.2.10", Some("192.0.2.10")),
            ("::ffff:192.0.2.10", Some("192.0.2.10")),
            ("2001:DB8:0::25", Some("2001:db8::25")),
            ("192.0.2.77/24", Some("192.0.2.0/24")),
            ("192.0.2.10/32", Some("192.0.2.10")),
            ("2001:db8:1:2::/48", Some("2001:db8:1::/48")),
            ("Payroll.Example.", Some("payroll.example")),
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("192.0.2.300", None),
            ("192.0.2.0/33", None),
            ("example", None),
            ("a b.example", None),
            ("", None),
        ] {
            assert_eq!(parse(text).ok().map(|subject| subject.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn the_closest_wins() {
        let label = |subject: &str| labels::Label {
            subject: subject.to_owned(),
            class: Some("ok".to_owned()),
            name: None,
            note: None,
            at: 0,
            author: "mia".to_owned(),
        };
        let subjects = ["192.0.2.10", "192.0.2.0/24", "192.0.0.0/16", "esp.test", "mail.esp.test"];
        let labels = Labels::new(subjects.map(label).to_vec());
        let mut facts = Facts::default();
        let of = |ip: &str, facts: &Facts| labels.of(ip, facts).map(|label| label.subject);
        assert_eq!(of("192.0.2.10", &facts).as_deref(), Some("192.0.2.10"));
        assert_eq!(of("192.0.2.11", &facts).as_deref(), Some("192.0.2.0/24"));
        assert_eq!(of("192.0.3.11", &facts).as_deref(), Some("192.0.0.0/16"));
        assert_eq!(of("203.0.113.1", &facts), None);
        facts.know().names.push("out7.mail.esp.test".to_owned());
        assert_eq!(of("203.0.113.1", &facts).as_deref(), Some("mail.esp.test"));
        facts.know().names = vec!["notesp.test".to_owned()];
        assert_eq!(of("203.0.113.1", &facts), None);
        facts.spf_as.add("esp.test", 3);
        assert_eq!(of("203.0.113.1", &facts).as_deref(), Some("esp.test"));
        assert_eq!(of("192.0.2.11", &facts).as_deref(), Some("192.0.2.0/24"), "a network is closer than a name");
    }
}
