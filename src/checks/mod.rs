//! What a sender must have in DNS, as rules over answers. Pure: what asks DNS is handed in, and a test hands in a table.

pub mod address;
pub mod dkim;
pub mod dmarc;
pub mod finding;
pub mod lookup;
pub mod mail;
pub mod name;
pub mod spf;
pub mod tags;

use std::net::IpAddr;

pub use finding::{Finding, Severity};
pub use lookup::Lookup;

/// Addresses that are checked, at most; those of the most mail come first.
const ADDRESSES: usize = 100;

/// What is known of a domain before DNS is asked.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The domain, lower-case ASCII without the dot at the end.
    pub domain: String,
    /// Keys that its mail was signed with.
    pub keys: Vec<dkim::Key>,
    /// Addresses that sent mail which passed, those of the most mail first, with the name each says in EHLO where known.
    pub addresses: Vec<(IpAddr, Option<String>)>,
    /// Zones of block lists to ask.
    pub lists: Vec<String>,
}

/// Checks all that a sender must have. Addresses that the SPF record names one by one are checked beside those known.
pub fn domain(lookup: &mut dyn Lookup, known: &Known) -> Vec<Finding> {
    let mut findings = Vec::new();
    let domain = &known.domain;
    let own = spf::check(lookup, domain, &mut findings);
    dkim::check(lookup, domain, &known.keys, &mut findings);
    dmarc::check(lookup, domain, &mut findings);
    mail::exchanges_of(lookup, domain, &mut findings);
    let reported = mail::tls_reports(lookup, domain, &mut findings);
    mail::transport_security(lookup, domain, reported, &mut findings);
    let mut addresses = known.addresses.clone();
    for ip in own {
        if !addresses.iter().any(|(known, _)| *known == ip) {
            addresses.push((ip, None));
        }
    }
    addresses.truncate(ADDRESSES);
    let first: Vec<_> = addresses.iter().flat_map(|(ip, _)| address::first_questions(*ip, &known.lists)).collect();
    lookup.prepare(&first);
    let second: Vec<_> =
        addresses.iter().flat_map(|(ip, _)| address::second_questions(lookup, *ip, &known.lists)).collect();
    lookup.prepare(&second);
    for (ip, helo) in &addresses {
        address::check(lookup, *ip, &known.lists, helo.as_deref(), &mut findings);
    }
    findings
}
