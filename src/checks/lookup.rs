//! Questions to DNS and their answers, as values: what asks is handed in.

use std::net::IpAddr;

/// What kind of record is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Text.
    Txt,
    /// IPv4 address.
    A,
    /// IPv6 address.
    Aaaa,
    /// Mail exchange.
    Mx,
    /// Name of an address.
    Ptr,
    /// Alias.
    Cname,
    /// Name server.
    Ns,
}

impl Kind {
    /// As people write it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Txt => "TXT",
            Kind::A => "A",
            Kind::Aaaa => "AAAA",
            Kind::Mx => "MX",
            Kind::Ptr => "PTR",
            Kind::Cname => "CNAME",
            Kind::Ns => "NS",
        }
    }
}

/// A question: a name in lower case without the dot at the end, and a kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Question {
    /// The name; empty is the root.
    pub name: String,
    /// The kind.
    pub kind: Kind,
}

impl Question {
    /// About a name in any case, with or without the dot at the end.
    pub fn new(name: &str, kind: Kind) -> Question {
        Question { name: name.trim_end_matches('.').to_ascii_lowercase(), kind }
    }

    /// About the name of an address (RFC 1035, section 3.5; RFC 3596, section 2.5).
    pub fn ptr(ip: IpAddr) -> Question {
        let domain = if ip.is_ipv4() { "in-addr.arpa" } else { "ip6.arpa" };
        Question::new(&format!("{}.{domain}", reversed(ip)), Kind::Ptr)
    }
}

/// The labels of an address as they stand in `in-addr.arpa`, `ip6.arpa` and in block lists (RFC 5782, sections 2.1 and 2.4).
pub fn reversed(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}")
        }
        IpAddr::V6(ip) => {
            let nibbles = ip.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}")).collect::<Vec<_>>().join(".")
        }
    }
}

/// One record of an answer. Names are in lower case without the dot at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The strings of a TXT record put together; bytes that are no UTF-8 are replaced.
    Txt(String),
    /// A or AAAA.
    Address(IpAddr),
    /// Preference and exchange; the null MX has the empty name (RFC 7505).
    Mx(u16, String),
    /// PTR, CNAME or NS.
    Name(String),
}

/// What DNS said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Records of the kind, one at least.
    Records(Vec<Record>),
    /// The name is there, and has no such record.
    NoData,
    /// There is no such name (NXDOMAIN).
    NoName,
    /// No answer, or one that says nothing about the name.
    Failed(Failure),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server could not be reached, or did not answer in time.
    Silent,
    /// The server said that it failed or refused, with its word: SERVFAIL, REFUSED.
    Server(String),
    /// The question could not be put: no valid name.
    Malformed,
    /// Not asked: the bound on time or questions of this run is reached, or it was stopped.
    NotAsked,
}

impl Failure {
    /// For people.
    pub fn text(&self) -> String {
        match self {
            Failure::Silent => "no answer in time".to_owned(),
            Failure::Server(word) => format!("the server answered {word}"),
            Failure::Malformed => "not a valid name".to_owned(),
            Failure::NotAsked => "not asked: the bound on time or queries of this run was reached".to_owned(),
        }
    }
}

impl Answer {
    /// The records; none where there was no answer.
    pub fn records(&self) -> &[Record] {
        match self {
            Answer::Records(records) => records,
            _ => &[],
        }
    }

    /// The texts among the records.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.records().iter().filter_map(|record| match record {
            Record::Txt(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// The addresses among the records.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.records().iter().filter_map(|record| match record {
            Record::Address(ip) => Some(*ip),
            _ => None,
        })
    }

    /// The names among the records.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.records().iter().filter_map(|record| match record {
            Record::Name(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Why there is no answer.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Answer::Failed(failure) => Some(failure),
            _ => None,
        }
    }
}

/// What answers questions: DNS, or a table of a test. The same question gets the same answer.
pub trait Lookup {
    /// Answers one question.
    fn ask(&mut self, question: &Question) -> Answer;

    /// Told what will be asked next, so that it can be asked all at once.
    fn prepare(&mut self, _questions: &[Question]) {}

    /// Answers a question about a name.
    fn get(&mut self, name: &str, kind: Kind) -> Answer {
        self.ask(&Question::new(name, kind))
    }
}

#[cfg(test)]
#[allow(missing_docs)]
pub mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Answers out of a zone written as `name KIND value` lines; `NAME FAIL` answers SERVFAIL for every kind.
    #[derive(Default)]
    pub struct Zone {
        records: HashMap<Question, Vec<Record>>,
        failing: Vec<String>,
        /// Every question put, in order.
        pub asked: Vec<Question>,
    }

    impl Zone {
        pub fn new(text: &str) -> Zone {
            let mut zone = Zone::default();
            for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
                let mut words = line.splitn(3, ' ');
                let (name, kind) = (words.next().unwrap(), words.next().unwrap());
                let value = words.next().unwrap_or_default().trim();
                let (kind, record) = match kind {
                    "TXT" => (Kind::Txt, Record::Txt(value.to_owned())),
                    "A" => (Kind::A, Record::Address(value.parse().unwrap())),
                    "AAAA" => (Kind::Aaaa, Record::Address(value.parse().unwrap())),
                    "MX" => {
                        let (preference, exchange) = value.split_once(' ').unwrap();
                        let exchange = exchange.trim_end_matches('.').to_owned();
                        (Kind::Mx, Record::Mx(preference.parse().unwrap(), exchange))
                    }
                    "CNAME" => (Kind::Cname, Record::Name(value.to_owned())),
                    "PTR" => {
                        let question = Question::ptr(name.parse().unwrap());
                        zone.records.entry(question).or_default().push(Record::Name(value.to_owned()));
                        continue;
                    }
                    "FAIL" => {
                        zone.failing.push(name.to_owned());
                        continue;
                    }
                    other => panic!("{other}"),
                };
                zone.records.entry(Question::new(name, kind)).or_default().push(record);
            }
            zone
        }
    }

    impl Lookup for Zone {
        fn ask(&mut self, question: &Question) -> Answer {
            self.asked.push(question.clone());
            if self.failing.contains(&question.name) {
                return Answer::Failed(Failure::Server("SERVFAIL".to_owned()));
            }
            if let Some(records) = self.records.get(question) {
                return Answer::Records(records.clone());
            }
            let below = format!(".{}", question.name);
            let there = self.records.keys().any(|key| key.name == question.name || key.name.ends_with(&below));
            if there { Answer::NoData } else { Answer::NoName }
        }
    }

    #[test]
    fn names_of_addresses() {
        let check = |ip: &str, expected: &str| assert_eq!(Question::ptr(ip.parse().unwrap()).name, expected);
        check("192.0.2.10", "10.2.0.192.in-addr.arpa");
        check("2001:db8::25", "5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
    }
}
