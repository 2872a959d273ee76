//! Everything known about one sending address, or several taken together.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;
use rusqlite::{Row, named_params};

use super::facets::{Adding, Facet, Facets, facets};
use super::{Database, Error, Window, sums};

super::row! {
    /// A sending address.
    pub struct Address {
        /// Its number.
        id: i64,
        /// Itself.
        ip: String,
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// All together, told apart in every way but these two; `counts` has the complaints.
    pub facets: Facets,
    /// `reporter`.
    pub reporters: Vec<Facet>,
    /// `complaint`.
    pub complaints: Vec<Facet>,
}

/// What reports whose period ends in `window`, and complaints that arrived in it, say about the addresses.
///
/// # Errors
/// As [`Database`].
pub fn source(database: &Database, window: Window, addresses: &[Address]) -> Result<Source, Error> {
    let numbers: Vec<i64> = addresses.iter().map(|address| address.id).collect();
    let sources = serde_json::Value::from(numbers).to_string();
    let params = named_params! {":sources": sources, ":since": window.since, ":until": window.until};
    let mut adding = Adding::default();
    sums::of(database, window, addresses.iter().map(|address| address.id), |sum| adding.add(sum))?;
    let mut facets = facets(database, adding)?;
    let reporters = database.rows(include_str!("reporters.sql"), params, Facet::from_row)?;
    let complaints = database.rows(include_str!("complaints.sql"), params, Facet::from_row)?;
    let complaint = |facet: &&Facet| facet.name.as_deref() != Some("not-spam");
    facets.counts.complaints =
        complaints.iter().filter(complaint).fold(0, |sum: i64, facet| sum.saturating_add(facet.messages));
    Ok(Source { facets, reporters, complaints })
}

/// Incidents of complaints about mail of each of these addresses, by its text.
///
/// # Errors
/// As [`Database`].
pub fn complained(database: &Database, window: Window, addresses: &[Address]) -> Result<HashMap<String, i64>, Error> {
    let numbers: Vec<i64> = addresses.iter().map(|address| address.id).collect();
    let sources = serde_json::Value::from(numbers).to_string();
    let params = named_params! {":sources": sources, ":since": window.since, ":until": window.until};
    let read = |row: &Row<'_>| Ok((row.get("ip")?, row.get("incidents")?));
    Ok(database.rows(include_str!("complained.sql"), params, read)?.into_iter().collect())
}

super::row! {
    /// How mail of one address fares.
    pub struct Passes {
        /// The address.
        ip: String,
        /// Its messages.
        messages: i64,
        /// Aligned passes.
        dmarc_pass: i64,
        /// By SPF.
        spf_pass: i64,
    }
}

/// How mail of these addresses fares, in order of their text.
///
/// # Errors
/// As [`Database`].
pub fn passes(database: &Database, window: Window, addresses: &[Address]) -> Result<Vec<Passes>, Error> {
    let numbers: Vec<i64> = addresses.iter().map(|address| address.id).collect();
    let sources = serde_json::Value::from(numbers).to_string();
    let params = named_params! {":sources": sources, ":since": window.since, ":until": window.until};
    database.rows(include_str!("passes.sql"), params, Passes::read)
}

/// An address, if anybody reports about it.
///
/// # Errors
/// As [`Database`].
pub fn address(database: &Database, ip: IpAddr) -> Result<Vec<Address>, Error> {
    let ip = ip.to_canonical().to_string();
    database.rows(include_str!("one.sql"), named_params! {":ip": ip}, Address::read)
}

/// The addresses of a network, in order of their text.
///
/// # Errors
/// As [`Database`].
pub fn in_network(database: &Database, network: IpNet) -> Result<Vec<Address>, Error> {
    let (from, to) = text_range(network);
    let params = named_params! {":from": from, ":to": to};
    let mut found = database.rows(include_str!("between.sql"), params, Address::read)?;
    found.retain(|address| address.ip.parse::<IpAddr>().is_ok_and(|ip| network.contains(&ip)));
    Ok(found)
}

/// The addresses whose confirmed name is this domain or below it, or that are this provider's, in any case.
///
/// # Errors
/// As [`Database`].
pub fn named(database: &Database, name: &str) -> Result<Vec<Address>, Error> {
    let name = name.to_lowercase();
    database.rows(include_str!("named.sql"), named_params! {":name": name}, Address::read)
}

/// From and to of the text of every address in a network, and of some more: as far as whole octets or groups go. A group of
/// zeros may be left out of an IPv6 address (RFC 5952, section 4.2), so that the text is only known up to the first.
fn text_range(network: IpNet) -> (String, String) {
    let prefix = usize::from(network.prefix_len());
    let start: String = match network.network() {
        IpAddr::V4(ip) => ip.octets().iter().take(prefix / 8).take(3).map(|octet| format!("{octet}.")).collect(),
        IpAddr::V6(ip) => {
            let groups = ip.segments().into_iter().take(prefix / 16).take(7).take_while(|group| *group != 0);
            groups.map(|group| format!("{group:x}:")).collect()
        }
    };
    let end = format!("{start}\u{10ffff}");
    (start, end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::testing::{FIXTURE, scratch};

    #[test]
    fn counts_by_hand() {
        let scratch = scratch(FIXTURE);
        let source = |ip: &str| {
            let addresses = address(&scratch.database, ip.parse().unwrap()).unwrap();
            source(&scratch.database, Window::ALL, &addresses).unwrap()
        };
        let found = source("192.0.2.10");
        let facets = &found.facets;
        assert_eq!(facets.counts.messages, 1640, "the conflicting report does not count");
        assert_eq!((facets.counts.dkim_pass, facets.counts.spf_pass), (1640, 1600));
        assert_eq!(facets.counts.complaints, 4, "not-spam is no complaint");
        assert_eq!((facets.first_at, facets.last_at), (Some(1_794_268_800), Some(1_795_132_799)));
        let all = [
            &facets.domains,
            &found.reporters,
            &facets.dkim,
            &facets.spf,
            &facets.dispositions,
            &facets.reasons,
            &found.complaints,
        ];
        let all: Vec<_> = all
            .into_iter()
            .flatten()
            .map(|f| (&*f.section, f.name.as_deref(), f.detail.as_deref(), f.result.as_deref(), f.messages))
            .collect();
        assert_eq!(
            all,
            [
                ("domain", Some("example.com"), Some("example.com"), None, 1600),
                ("domain", Some("example.com"), Some("news.example.com"), None, 40),
                ("reporter", Some("google.com"), None, None, 1640),
                ("dkim", Some("example.com"), Some("s1"), Some("pass"), 1640),
                ("dkim", Some("other.test"), None, Some("fail"), 1640),
                ("spf", Some("bounces.example.com"), Some("mfrom"), Some("pass"), 1640),
                ("disposition", Some("none"), None, None, 1640),
                ("complaint", Some("not-spam"), Some("yahoo"), None, 5),
                ("complaint", Some("abuse"), Some("yahoo"), None, 4),
            ]
        );
        let days: Vec<_> = facets.days.iter().map(|day| (day.day, day.counts.messages)).collect();
        assert_eq!(days, [(20_767, 400), (20_774, 1000), (20_776, 240)]);
        assert_eq!(source("::ffff:192.0.2.10"), found, "a mapped address is the address");
        assert_eq!(source("192.0.2.99").facets, Facets::default());
        assert_eq!(source("2001:DB8::25").facets.reasons.len(), 2);
    }

    #[test]
    fn addresses_of_a_network_and_of_a_name() {
        let more = "INSERT INTO address (id, ip) VALUES (10, '192.0.2.1'), (11, '192.0.20.1'), (12, '2001:db8:1::1'), (13, '2001:db8:0:1::1'),
                      (14, '10.1.2.3');
                    INSERT INTO source_name (source, looked_up_at, expires_at, outcome, name, provider) VALUES
                      (1, 0, 0, 'confirmed', 'mx.esp.test', NULL), (2, 0, 0, 'confirmed', 'notesp.test', 'Google');";
        let scratch = scratch(&format!("{FIXTURE}{more}"));
        for (network, expected) in [
            ("192.0.2.0/24", &["192.0.2.1", "192.0.2.10"][..]),
            ("192.0.2.0/28", &["192.0.2.1", "192.0.2.10"]),
            ("192.0.2.0/30", &["192.0.2.1"]),
            ("192.0.0.0/16", &["192.0.2.1", "192.0.2.10", "192.0.20.1"]),
            ("10.0.0.0/7", &["10.1.2.3"]),
            ("2001:db8::/32", &["2001:db8:0:1::1", "2001:db8:1::1", "2001:db8::25"]),
            ("2001:db8::/48", &["2001:db8:0:1::1", "2001:db8::25"]),
            ("::/0", &["2001:db8:0:1::1", "2001:db8:1::1", "2001:db8::25"]),
            ("203.0.113.128/25", &[]),
        ] {
            let found = in_network(&scratch.database, network.parse().unwrap()).unwrap();
            assert_eq!(found.iter().map(|address| address.ip.as_str()).collect::<Vec<_>>(), expected, "{network}");
        }
        for (name, expected) in [
            ("esp.test", &["192.0.2.10"][..]),
            ("MX.esp.test", &["192.0.2.10"]),
            ("google", &["198.51.100.7"]),
            ("x", &[]),
        ] {
            let found = named(&scratch.database, name).unwrap();
            assert_eq!(found.iter().map(|address| address.ip.as_str()).collect::<Vec<_>>(), expected, "{name}");
        }
    }
}
