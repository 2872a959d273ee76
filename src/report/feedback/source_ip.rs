//! Where the mail that is complained about came from: `Source-IP`, else what the original's headers say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::fields::Fields;
use crate::problem::Warning;
use crate::report::text::{bounded, without_comments};

/// An address and the field it was found in.
pub(in crate::report) type Source = Option<(IpAddr, &'static str)>;

/// Reads `Source-IP`: bare, in brackets, with the `IPv6:` of RFC 5965's grammar, with a host name behind (OpenDMARC). A
/// mask or nonsense is a warning.
pub(in crate::report) fn stated(fields: &Fields, warnings: &mut Vec<Warning>) -> Source {
    let sent = fields.first("Source-IP")?;
    let word = without_comments(sent);
    let word = word.split_ascii_whitespace().next().unwrap_or_default();
    if let Some(ip) = literal(word) {
        return Some((ip, "source-ip"));
    }
    let masked = word.bytes().any(|b| b == b'x' || b == b'X' || b == b'*') && word.contains('.');
    let code = if masked { "source-ip-masked" } else { "source-ip" };
    warnings.push(Warning::new(code, "Source-IP", format!("no address: {}", bounded(sent, 80))));
    None
}

/// What the original's headers say, in order of trust: Yahoo's `X-Originating-IP` (elsewhere that field names a person's
/// computer), `sender IP is` and `client-ip=` of the receiver's checks, and the topmost `Received` that came from outside.
pub(in crate::report) fn derived(provider: Option<&str>, original: &Fields) -> Source {
    let yahoo = || original.first("X-Originating-IP").filter(|_| provider == Some("yahoo")).and_then(literal);
    let results = || after(original, "Authentication-Results", "sender ip is ");
    let spf = || after(original, "Received-SPF", "client-ip=");
    let received = || original.all("Received").find_map(received_from);
    None.or_else(|| yahoo().map(|ip| (ip, "x-originating-ip")))
        .or_else(|| results().map(|ip| (ip, "authentication-results")))
        .or_else(|| spf().map(|ip| (ip, "received-spf")))
        .or_else(|| received().map(|ip| (ip, "received")))
}

/// One address in any bracketing, canonical (IPv4-mapped as IPv4).
pub(in crate::report) fn literal(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches(['[', ']', '(', ')', '<', '>']);
    let text = match text.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => text.get(5..)?,
        _ => text,
    };
    text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

fn after(fields: &Fields, name: &str, key: &str) -> Option<IpAddr> {
    fields.all(name).find_map(|value| {
        let at = value.to_ascii_lowercase().find(key)? + key.len();
        let word = value.get(at..)?.split([';', ' ', ')', ',', '\t']).next()?;
        literal(word).filter(is_public)
    })
}

/// The first public address in brackets or parentheses before `by`.
fn received_from(value: &str) -> Option<IpAddr> {
    let spaced = value.replace(['\t', '\r', '\n'], " ");
    let from = spaced.split(" by ").next()?;
    if !from.trim_start().get(..5)?.eq_ignore_ascii_case("from ") {
        return None;
    }
    let words = from.split(['[', ']', '(', ')', ' ']).filter(|word| word.contains(['.', ':']));
    words.filter_map(literal).find(is_public)
}

/// Neither private, local, shared nor unspecified. Documentation ranges pass: they stand for public ones.
fn is_public(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => is_public_v4(*v4),
        IpAddr::V6(v6) => is_public_v6(*v6),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    let shared = a == 100 && (64..128).contains(&b);
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_broadcast()
        || shared
        || a == 0)
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [first, ..] = ip.segments();
    let local = first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80;
    !(ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || local)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        Fields(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn source_ip_in_every_dress() {
        let check = |value: &str, expected: Option<&str>| {
            let mut warnings = Vec::new();
            let found = stated(&fields(&[("Source-Ip", value)]), &mut warnings).map(|(ip, _)| ip.to_string());
            assert_eq!(found.as_deref(), expected, "{value}");
            assert_eq!(warnings.is_empty(), expected.is_some() || value.is_empty(), "{value}");
        };
        check("192.0.2.1", Some("192.0.2.1"));
        check("[192.0.2.1]", Some("192.0.2.1"));
        check("IPv6:2001:db8::25", Some("2001:db8::25"));
        check("[IPv6:2001:DB8::25]", Some("2001:db8::25"));
        check("::ffff:192.0.2.1", Some("192.0.2.1"));
        check("203.0.113.5 (mx.sender.example)", Some("203.0.113.5"));
        check("10.0.0.1", Some("10.0.0.1"));
        check("x.x.x.x", None);
        check("192.0.2", None);
        check("not-an-ip", None);
        check("", None);
    }

    #[test]
    fn headers_name_the_sender_when_the_report_does_not() {
        let check = |provider: Option<&str>, pairs: &[(&str, &str)], expected: Option<(&str, &str)>| {
            let found = derived(provider, &fields(pairs)).map(|(ip, via)| (ip.to_string(), via));
            assert_eq!(found, expected.map(|(ip, via)| (ip.to_owned(), via)), "{pairs:?}");
        };
        let local = ("Received", "from a (a [10.0.0.5]) by b; x");
        let outside = ("Received", "from mail.x (mail.x\r\n [198.51.100.7])\r\n by mx; x [192.0.2.9]");
        let v6 = ("Received", "from mail.x (mail.x [IPv6:2001:db8::7]) by mx");
        check(None, &[local, outside], Some(("198.51.100.7", "received")));
        check(None, &[v6, outside], Some(("2001:db8::7", "received")));
        check(None, &[("Received", "by 10.1.1.1 with SMTP id x"), local], None);
        check(
            None,
            &[("Received", "from 127.0.0.1  (EHLO a2-22.x) (192.0.2.2) by m")],
            Some(("192.0.2.2", "received")),
        );
        let origin = ("X-Originating-IP", "[192.0.2.1]");
        check(Some("yahoo"), &[outside, origin], Some(("192.0.2.1", "x-originating-ip")));
        check(None, &[outside, origin], Some(("198.51.100.7", "received")));
        let results = ("Authentication-Results", "spf=pass (sender IP is 203.0.113.9) smtp.mailfrom=x");
        check(None, &[results, outside], Some(("203.0.113.9", "authentication-results")));
        let spf = ("Received-SPF", "Pass (x) client-ip=203.0.113.10; helo=x");
        check(None, &[spf, outside], Some(("203.0.113.10", "received-spf")));
        check(None, &[("Received", "by x"), ("Received", "é")], None);
    }
}
