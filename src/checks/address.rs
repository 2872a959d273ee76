//! What DNS says of one sending address: its names, whether they lead back, and block lists.

use std::net::{IpAddr, Ipv4Addr};

use super::finding::{Finding, Notes};
use super::lookup::{Failure, Kind, Lookup, Question, Record, reversed};

/// Names of one address that are followed, at most (RFC 7208, section 4.6.4, has the same bound).
const NAMES: usize = 10;
/// Characters of one text that are kept, at most.
const TEXT: usize = 255;

/// The names of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// None.
    None,
    /// These, of which `confirmed` leads back to the address (`iprev`, RFC 8601, section 2.7.3).
    Some {
        /// The first that leads back.
        confirmed: Option<String>,
        /// All, in order of the alphabet, bounded.
        names: Vec<String>,
    },
    /// DNS gave no answer, or one that leaves open whether a name leads back.
    Failed(Failure),
}

/// What block lists say of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// Those that hold it.
    pub listed: Vec<Listing>,
    /// Those that refused or failed, and why.
    pub errors: Vec<(String, String)>,
}

/// An entry in a block list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The zone of the list.
    pub list: String,
    /// What it answered: the kind of entry.
    pub answers: Vec<Ipv4Addr>,
    /// What it says about the entry.
    pub reason: Option<String>,
}

/// The questions that [`names`] puts first.
pub fn first_questions(ip: IpAddr, lists: &[String]) -> Vec<Question> {
    let listed = lists.iter().map(|list| Question::new(&format!("{}.{list}", reversed(ip)), Kind::A));
    std::iter::once(Question::ptr(ip)).chain(listed).collect()
}

/// The questions that [`names`] and [`lists`] put when they know the answers to the first.
pub fn second_questions(lookup: &mut dyn Lookup, ip: IpAddr, lists: &[String]) -> Vec<Question> {
    let answer = lookup.ask(&Question::ptr(ip));
    let mut questions: Vec<Question> =
        distinct(answer.names()).iter().map(|name| Question::new(name, kind_of(ip))).collect();
    for list in lists {
        let name = format!("{}.{list}", reversed(ip));
        if lookup.get(&name, Kind::A).addresses().next().is_some() {
            questions.push(Question::new(&name, Kind::Txt));
        }
    }
    questions
}

/// The names of an address, confirmed or not.
pub fn names(lookup: &mut dyn Lookup, ip: IpAddr) -> Names {
    let answer = lookup.ask(&Question::ptr(ip));
    if let Some(failure) = answer.failure() {
        return Names::Failed(failure.clone());
    }
    let names = distinct(answer.names());
    if names.is_empty() {
        return Names::None;
    }
    let mut failed = None;
    for name in &names {
        let answer = lookup.get(name, kind_of(ip));
        if answer.addresses().any(|address| address == ip) {
            return Names::Some { confirmed: Some(name.clone()), names };
        }
        failed = answer.failure().filter(|failure| **failure != Failure::Malformed).cloned().or(failed);
    }
    match failed {
        // What could not be asked might have led back.
        Some(failure) => Names::Failed(failure),
        None => Names::Some { confirmed: None, names },
    }
}

fn kind_of(ip: IpAddr) -> Kind {
    if ip.is_ipv4() { Kind::A } else { Kind::Aaaa }
}

/// In order, because servers turn their answers round; bounded, because anybody can write as many as he likes.
fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<String> = names.filter(|name| !name.is_empty()).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names.truncate(NAMES);
    names
}

/// What these block lists say of an address (RFC 5782).
pub fn lists(lookup: &mut dyn Lookup, ip: IpAddr, lists: &[String]) -> Lists {
    let mut found = Lists::default();
    for list in lists {
        let name = format!("{}.{list}", reversed(ip));
        let answer = lookup.get(&name, Kind::A);
        if let Some(failure) = answer.failure() {
            found.errors.push((list.clone(), failure.text()));
            continue;
        }
        let answers: Vec<Ipv4Addr> = answer.addresses().filter_map(v4).collect();
        if answers.is_empty() {
            continue;
        }
        match answers.iter().find_map(|answer| no_entry(*answer)) {
            Some(reason) => found.errors.push((list.clone(), reason)),
            None => {
                let text = lookup.get(&name, Kind::Txt);
                let reason = text.texts().next().map(|text| text.chars().take(TEXT).collect());
                found.listed.push(Listing { list: list.clone(), answers, reason });
            }
        }
    }
    found
}

fn v4(ip: IpAddr) -> Option<Ipv4Addr> {
    match ip {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    }
}

/// Why an answer of a block list is no entry: its codes for "do not ask me so", or an address that no list answers with,
/// which is what a resolver gives that answers for names that are not there.
fn no_entry(answer: Ipv4Addr) -> Option<String> {
    match answer.octets() {
        // Spamhaus: https://www.spamhaus.org/news/article/788/, https://www.spamhaus.org/faqs/dnsbl-usage/
        [127, 255, 255, 252] => Some("the name of the list is not one that it answers to (127.255.255.252)".to_owned()),
        [127, 255, 255, 254] => {
            Some("the list does not answer public resolvers (127.255.255.254); use one of your own".to_owned())
        }
        [127, 255, 255, 255] => Some("the list was asked too often (127.255.255.255)".to_owned()),
        [127, 255, 255, _] => Some(format!("the list refused to answer ({answer})")),
        // RFC 5782, section 5: 127.0.0.1 must not be listed; lists that give it use it for refusals.
        [127, 0, 0, 1] => Some("the list answered 127.0.0.1, which no entry has: it refuses, or is closed".to_owned()),
        [127, ..] => None,
        _ => Some(format!("{answer} is no answer of a block list: the list is gone, or the resolver makes answers up")),
    }
}

/// Checks one sending address of ours: a name, one that leads back, and no block list. `helo` is the name it says in EHLO,
/// where that is known.
pub fn check(
    lookup: &mut dyn Lookup,
    ip: IpAddr,
    lists_of: &[String],
    helo: Option<&str>,
    findings: &mut Vec<Finding>,
) {
    let mut notes = Notes::new(findings, "address", &ip.to_string());
    match names(lookup, ip) {
        Names::Failed(failure) => notes.unknown(&failure),
        Names::None => notes.error(
            "no-ptr",
            "the address has no name: large receivers refuse or distrust mail from it",
            "ask whoever gave you the address to set a PTR record to the name of your mail server",
        ),
        Names::Some { confirmed: Some(name), names } => {
            notes.record(&names.join(" "));
            notes.ok("confirmed", format!("{name} leads back to the address"));
            generic(&mut notes, ip, &name);
            said(lookup, &mut notes, ip, helo);
        }
        Names::Some { confirmed: None, names } => {
            notes.record(&names.join(" "));
            let kind = kind_of(ip).word();
            notes.error(
                "unconfirmed-ptr",
                "the name of the address does not lead back to it: receivers treat it like none",
                format!(
                    "give {} an {kind} record with this address, or have the PTR record changed",
                    names.join(" or ")
                ),
            );
        }
    }
    let lists = lists(lookup, ip, lists_of);
    for Listing { list, answers, reason } in &lists.listed {
        let answers: Vec<String> = answers.iter().map(Ipv4Addr::to_string).collect();
        notes.record(&format!("{} {}", answers.join(" "), reason.as_deref().unwrap_or_default()));
        notes.error(
            "listed",
            format!("{list} lists the address"),
            match reason {
                Some(_) => {
                    "find out why (the record says where to look), stop the cause, then ask the list to remove it"
                }
                None => "ask the list about the address, stop the cause, then ask it to remove the address",
            },
        );
    }
    for (list, reason) in &lists.errors {
        notes.info("list-refused", format!("{list} said nothing about the address: {reason}"), "");
    }
}

/// Names that providers give to whole networks, with the address in them.
fn generic(notes: &mut Notes<'_>, ip: IpAddr, name: &str) {
    let IpAddr::V4(ip) = ip else { return };
    let [a, b, c, d] = ip.octets();
    let label = name.split('.').take(4).collect::<Vec<_>>().join("-");
    let forms = [format!("{a}-{b}-{c}-{d}"), format!("{d}-{c}-{b}-{a}")];
    if forms.iter().any(|form| label.contains(form.as_str())) {
        notes.warning(
            "generic-ptr",
            "the name is one that a provider gives to every address of a network: receivers distrust such senders",
            "have the PTR record set to the name of your mail server",
        );
    }
}

/// What it says in EHLO should be a name of the address (RFC 5321, section 4.1.4, does not ask for it; receivers do).
fn said(lookup: &mut dyn Lookup, notes: &mut Notes<'_>, ip: IpAddr, helo: Option<&str>) {
    let Some(helo) = helo else { return };
    let answer = lookup.get(helo, kind_of(ip));
    if answer.failure().is_none() && !answer.addresses().any(|address| address == ip) {
        notes.warning(
            "helo",
            format!("the name it says in EHLO, {helo}, does not lead to the address"),
            format!("let the mail server say the name of the PTR record, or give {helo} an address record"),
        );
    }
}

/// The records of an answer for the questions of [`Kind::Mx`], by preference.
pub fn exchanges(records: &[Record]) -> Vec<(u16, &str)> {
    let mut exchanges: Vec<(u16, &str)> = records
        .iter()
        .filter_map(|record| match record {
            Record::Mx(preference, exchange) => Some((*preference, exchange.as_str())),
            _ => None,
        })
        .collect();
    exchanges.sort_unstable();
    exchanges
}

#[cfg(test)]
mod tests {
    use super::super::lookup::tests::Zone;
    use super::*;

    const ZONE: &str = "
        192.0.2.1 PTR mail.example.com
        mail.example.com A 192.0.2.1
        192.0.2.2 PTR other.example.com
        other.example.com A 192.0.2.99
        192.0.2.4 PTR b.example.com
        192.0.2.4 PTR a.example.com
        b.example.com A 192.0.2.4
        2001:db8::1 PTR six.example.com
        six.example.com AAAA 2001:db8::1
        192.0.2.5 PTR broken.example.com
        broken.example.com FAIL
        192.0.2.6 PTR broken.example.com
        192.0.2.6 PTR fine.example.com
        fine.example.com A 192.0.2.6
        7.2.0.192.in-addr.arpa FAIL
        192.0.2.8 PTR nowhere.example.com
        192.0.2.9 PTR 192-0-2-9.dyn.isp.example
        192-0-2-9.dyn.isp.example A 192.0.2.9";

    #[test]
    fn names_and_whether_they_lead_back() {
        let check = |ip: &str, expected: &str| {
            let found = match names(&mut Zone::new(ZONE), ip.parse().unwrap()) {
                Names::None => "none".to_owned(),
                Names::Some { confirmed, names } => {
                    format!("{} of {}", confirmed.as_deref().unwrap_or("none"), names.join(" "))
                }
                Names::Failed(failure) => failure.text(),
            };
            assert_eq!(found, expected, "{ip}");
        };
        check("192.0.2.1", "mail.example.com of mail.example.com");
        check("192.0.2.2", "none of other.example.com");
        check("192.0.2.3", "none");
        check("192.0.2.4", "b.example.com of a.example.com b.example.com");
        check("2001:db8::1", "six.example.com of six.example.com");
        check("192.0.2.5", "the server answered SERVFAIL");
        check("192.0.2.6", "fine.example.com of broken.example.com fine.example.com");
        check("192.0.2.7", "the server answered SERVFAIL");
        check("192.0.2.8", "none of nowhere.example.com");
    }

    #[test]
    fn a_hundred_names_are_not_followed() {
        let mut zone = String::new();
        for number in 0..100 {
            zone.push_str(&format!("192.0.2.1 PTR n{number}.example.com\n"));
        }
        let mut zone = Zone::new(&zone);
        assert!(matches!(names(&mut zone, "192.0.2.1".parse().unwrap()), Names::Some { confirmed: None, .. }));
        assert!(zone.asked.len() <= 1 + NAMES, "{}", zone.asked.len());
    }

    #[test]
    fn entries_and_refusals_of_lists() {
        let zone = "
            1.2.0.192.a.example A 127.0.0.2
            1.2.0.192.a.example TXT see https://a.example/192.0.2.1
            1.2.0.192.refuses.example A 127.255.255.254
            1.2.0.192.often.example A 127.255.255.255
            1.2.0.192.parked.example A 198.51.100.80
            1.2.0.192.closed.example A 127.0.0.1
            1.2.0.192.broken.example FAIL";
        let names: Vec<String> = ["a", "refuses", "often", "parked", "closed", "broken", "clean"]
            .map(|name| format!("{name}.example"))
            .into();
        let found = lists(&mut Zone::new(zone), "192.0.2.1".parse().unwrap(), &names);
        let listed: Vec<_> = found.listed.iter().map(|listing| (&*listing.list, listing.reason.as_deref())).collect();
        assert_eq!(listed, [("a.example", Some("see https://a.example/192.0.2.1"))]);
        let errors: Vec<_> = found.errors.iter().map(|(list, _)| &**list).collect();
        assert_eq!(errors, ["refuses.example", "often.example", "parked.example", "closed.example", "broken.example"]);
        assert!(found.errors[0].1.contains("public resolvers"), "{:?}", found.errors);
    }

    #[test]
    fn faults_of_an_address() {
        let check = |ip: &str, helo: Option<&str>, expected: &[&str]| {
            let mut findings = Vec::new();
            super::check(&mut Zone::new(ZONE), ip.parse().unwrap(), &[], helo, &mut findings);
            let codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
            assert_eq!(codes, expected, "{ip}");
        };
        check("192.0.2.1", None, &["confirmed"]);
        check("192.0.2.1", Some("mail.example.com"), &["confirmed"]);
        check("192.0.2.1", Some("localhost.localdomain"), &["confirmed", "helo"]);
        check("192.0.2.2", None, &["unconfirmed-ptr"]);
        check("192.0.2.3", None, &["no-ptr"]);
        check("192.0.2.7", None, &["dns"]);
        check("192.0.2.9", None, &["confirmed", "generic-ptr"]);
    }
}
