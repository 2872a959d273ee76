//! `dmarcdb check` against a real DNS server on loopback, with each fault planted once.

use std::fmt::Write;
use std::net::UdpSocket;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::support::nameserver::{Nameserver, Relay};
use crate::support::run::{Place, Ran, report};

/// An RSA key with a modulus of so many bits, as it is published (RFC 5280, section 4.1.2.7).
fn rsa(bits: usize) -> String {
    let element = |tag: u8, body: &[u8]| {
        let length = u16::try_from(body.len()).unwrap();
        let mut out = vec![tag, 0x82];
        out.extend(length.to_be_bytes());
        out.extend(body);
        out
    };
    let mut modulus = vec![0xFF; bits / 8];
    modulus.insert(0, 0);
    let key = element(0x30, &[element(2, &modulus), element(2, &[1, 0, 1])].concat());
    let algorithm = [0x30, 0x0D, 6, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 1, 5, 0];
    STANDARD.encode(element(0x30, &[&algorithm[..], &element(3, &[&[0], &key[..]].concat())].concat()))
}

/// A TXT record in strings that fit.
fn txt(name: &str, text: &str) -> String {
    let strings: Vec<String> =
        text.as_bytes().chunks(200).map(|part| format!("\"{}\"", String::from_utf8_lossy(part))).collect();
    format!("{name} TXT ({})\n", strings.join(" ").replace(';', "\\;"))
}

/// What each fault replaces: the name with `@` for the domain, and `TXT text`, `MX 10 x.`, …; several lines, or none.
struct Fault {
    name: &'static str,
    replaces: &'static str,
    by: &'static [&'static str],
    code: &'static str,
}

const fn fault(name: &'static str, replaces: &'static str, by: &'static [&'static str], code: &'static str) -> Fault {
    Fault { name, replaces, by, code }
}

const FAULTS: &[Fault] = &[
    fault("spf-none", "@ TXT", &[], "spf-missing"),
    fault("spf-two", "@ TXT", &["@ TXT v=spf1 -all", "@ TXT v=spf1 mx -all"], "spf-several"),
    fault("spf-bad", "@ TXT", &["@ TXT v=spf1 ip4:192.0.2 -all"], "spf-syntax"),
    fault("spf-plus", "@ TXT", &["@ TXT v=spf1 +all"], "spf-all"),
    fault("spf-open", "@ TXT", &["@ TXT v=spf1 ip4:192.0.2.1"], "spf-open-end"),
    fault("spf-ptr", "@ TXT", &["@ TXT v=spf1 ptr -all"], "spf-ptr"),
    fault("spf-macro", "@ TXT", &["@ TXT v=spf1 exists:%{x}.test -all"], "spf-syntax"),
    fault("spf-gone", "@ TXT", &["@ TXT v=spf1 include:nowhere.test -all"], "spf-include"),
    fault("spf-loop", "@ TXT", &["@ TXT v=spf1 include:spf-loop.test -all"], "spf-loop"),
    fault("spf-many", "@ TXT", &["@ TXT v=spf1 include:six.test include:six.test -all"], "spf-lookups"),
    fault("spf-void", "@ TXT", &["@ TXT v=spf1 a:x.test a:y.test a:z.test -all"], "spf-void"),
    fault("spf-fails", "@ TXT", &["@ TXT v=spf1 include:a.servfail.test -all"], "dns"),
    fault("dkim-none", "s1._domainkey.@ TXT", &[], "dkim-missing"),
    fault("dkim-gone", "s1._domainkey.@ TXT", &["s1._domainkey.@ TXT v=DKIM1; p="], "dkim-revoked"),
    fault("dkim-weak", "s1._domainkey.@ TXT", &["s1._domainkey.@ TXT v=DKIM1; p=RSA512"], "dkim-weak"),
    fault("dkim-short", "s1._domainkey.@ TXT", &["s1._domainkey.@ TXT v=DKIM1; p=RSA1024"], "dkim-short"),
    fault("dkim-test", "s1._domainkey.@ TXT", &["s1._domainkey.@ TXT v=DKIM1; t=y; p=RSA2048"], "dkim-testing"),
    fault("dkim-cut", "s1._domainkey.@ TXT", &["s1._domainkey.@ TXT v=DKIM1; p=MIIBIjANBg"], "dkim-broken"),
    fault("dkim-fails", "s1._domainkey.@ TXT", &["s1._domainkey.@ CNAME k.servfail.test."], "dns"),
    fault("dmarc-none", "_dmarc.@ TXT", &[], "dmarc-missing"),
    fault(
        "dmarc-two",
        "_dmarc.@ TXT",
        &["_dmarc.@ TXT v=DMARC1; p=none", "_dmarc.@ TXT v=DMARC1; p=reject"],
        "dmarc-several",
    ),
    fault("dmarc-start", "_dmarc.@ TXT", &["_dmarc.@ TXT p=none; v=DMARC1"], "dmarc-unreadable"),
    fault("dmarc-p", "_dmarc.@ TXT", &["_dmarc.@ TXT v=DMARC1; rua=mailto:d@@"], "dmarc-policy"),
    fault("dmarc-rua", "_dmarc.@ TXT", &["_dmarc.@ TXT v=DMARC1; p=reject"], "dmarc-rua"),
    fault("dmarc-pct", "_dmarc.@ TXT", &["_dmarc.@ TXT v=DMARC1; p=reject; pct=20; rua=mailto:d@@"], "dmarc-pct"),
    fault(
        "dmarc-out",
        "_dmarc.@ TXT",
        &["_dmarc.@ TXT v=DMARC1; p=reject; rua=mailto:d@other.example"],
        "dmarc-permission",
    ),
    fault(
        "dmarc-to",
        "_dmarc.@ TXT",
        &["_dmarc.@ TXT v=DMARC1; p=reject; rua=mailto:d@nowhere.test"],
        "dmarc-destination",
    ),
    fault("mx-none", "@ MX", &[], "mx-missing"),
    fault("mx-null", "@ MX", &["@ MX 0 ."], "mx-null"),
    fault("mx-both", "@ MX", &["@ MX 0 .", "@ MX 10 mail.test."], "mx-null-beside"),
    fault("mx-alias", "@ MX", &["@ MX 10 alias.test."], "mx-alias"),
    fault("mx-gone", "@ MX", &["@ MX 10 gone.test."], "mx-nowhere"),
    fault("mx-ip", "@ MX", &["@ MX 10 192.0.2.25."], "mx-address"),
    fault(
        "tls-two",
        "_smtp._tls.@ TXT",
        &["_smtp._tls.@ TXT v=TLSRPTv1; rua=mailto:a@@", "_smtp._tls.@ TXT v=TLSRPTv1; rua=mailto:b@@"],
        "tls-rpt-several",
    ),
    fault("sts-host", "mta-sts.@ A", &[], "mta-sts-host"),
    fault("sts-id", "_mta-sts.@ TXT", &["_mta-sts.@ TXT v=STSv1; id=a-b"], "mta-sts-id"),
    fault("ip-none", "@ TXT", &["@ TXT v=spf1 ip4:192.0.2.2 -all"], "no-ptr"),
    fault("ip-wrong", "@ TXT", &["@ TXT v=spf1 ip4:192.0.2.3 -all"], "unconfirmed-ptr"),
    fault("ip-list", "@ TXT", &["@ TXT v=spf1 ip4:192.0.2.4 -all"], "listed"),
    fault("ip-six", "@ TXT", &["@ TXT v=spf1 ip6:2001:db8::7 -all"], "no-ptr"),
];

const WORLD: &str = "
1.2.0.192.in-addr.arpa PTR mail.test.
mail.test A 192.0.2.1
3.2.0.192.in-addr.arpa PTR mail.test.
4.2.0.192.in-addr.arpa PTR four.test.
four.test A 192.0.2.4
4.2.0.192.list.test A 127.0.0.2
alias.test CNAME mail.test.
other.example MX 10 mail.test.
*._report._dmarc.takes.example TXT \"v=DMARC1\"
takes.example MX 10 mail.test.
wanted.test._report._dmarc.wants.example TXT \"v=DMARC1\"
wants.example MX 10 mail.test.
six.test TXT \"v=spf1 a:mail.test a:mail.test a:mail.test a:mail.test a:mail.test ~all\"
";

/// A domain that has all it needs.
const SOUND: &[&str] = &[
    "@ TXT v=spf1 ip4:192.0.2.1 -all",
    "@ MX 10 mail.test.",
    "s1._domainkey.@ TXT v=DKIM1; k=rsa; p=RSA2048",
    "_dmarc.@ TXT v=DMARC1; p=reject; rua=mailto:dmarc@takes.example",
    "_smtp._tls.@ TXT v=TLSRPTv1; rua=mailto:tls@@",
    "_mta-sts.@ TXT v=STSv1; id=20260101",
    "mta-sts.@ A 192.0.2.80",
];

/// The records of a domain with what replaces some of them.
fn domain(name: &str, replaces: &str, by: &[&str]) -> String {
    let kept = SOUND.iter().filter(|line| replaces.is_empty() || !line.starts_with(&format!("{replaces} ")));
    let mut zone = String::new();
    for line in kept.chain(by) {
        let mut words = line.splitn(3, ' ');
        let (owner, kind, value) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        let owner = owner.replace('@', name);
        let value = value.replace("@@", &format!("@{name}"));
        let value =
            [512, 1024, 2048].iter().fold(value, |value, bits| value.replace(&format!("RSA{bits}"), &rsa(*bits)));
        match kind {
            "TXT" => zone.push_str(&txt(&owner, &value)),
            _ => writeln!(zone, "{owner} {kind} {value}").unwrap(),
        }
    }
    zone
}

fn world() -> Nameserver {
    let mut zone = WORLD.to_owned() + &domain("sound.test", "", &[]);
    zone += &domain("wanted.test", "_dmarc.@ TXT", &["_dmarc.@ TXT v=DMARC1; p=reject; rua=mailto:d@wants.example"]);
    let long = format!("@ TXT v=spf1 {}ip4:192.0.2.1 -all", "ip4:198.51.100.0/24 ".repeat(60));
    zone += &domain("long.test", "@ TXT", &[&long]);
    for fault in FAULTS {
        zone += &domain(&format!("{}.test", fault.name), fault.replaces, fault.by);
    }
    Nameserver::start(&zone)
}

fn check(place: &Place, arguments: &[&str]) -> Ran {
    let mut all = vec!["--config", "config.toml", "-q", "check"];
    all.extend(arguments);
    place.run(&all)
}

/// The codes of warnings and errors.
fn bad(ran: &Ran) -> Vec<String> {
    let document = ran.json();
    let findings = document["findings"].as_array().unwrap().iter();
    let bad = findings.filter(|finding| finding["severity"] == "error" || finding["severity"] == "warning");
    bad.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_fault_is_found_and_nothing_else() {
    let server = world();
    let place = Place::new();
    place.write("config.toml", format!("{}[enrich]\nblocklists = [\"list.test\"]\n", server.section()));
    for name in ["sound.test", "wanted.test", "long.test"] {
        let ran = check(&place, &[name, "--selector", "s1", "--format", "json"]).expect(0);
        assert_eq!(bad(&ran), [""; 0], "{name}: {}", ran.stdout);
    }
    let mut wrong = Vec::new();
    for fault in FAULTS {
        let ran = check(&place, &[&format!("{}.test", fault.name), "--selector", "s1", "--format", "json"]);
        let found = bad(&ran);
        if ran.status != Some(1) || found != [fault.code] {
            wrong.push(format!("{}: status {:?}, {found:?} instead of {}", fault.name, ran.status, fault.code));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn keys_and_senders_come_from_reports() {
    let zone = WORLD.to_owned()
        + &domain("example.com", "s1._domainkey.@ TXT", &[])
        + "2.2.0.192.in-addr.arpa PTR two.example.com.\ntwo.example.com A 192.0.2.2\n";
    let server = Nameserver::start(&zone);
    let place = Place::new();
    place.write("config.toml", server.section());
    place.write("in/a.xml", report("a", 5).replace("192.0.2.1<", "192.0.2.2<"));
    place.run(&["-q", "ingest", "in"]).expect(0);
    let ran = check(&place, &["example.com", "--format", "json"]).expect(1);
    assert_eq!(bad(&ran), ["dkim-missing"], "{}", ran.stdout);
    assert!(ran.stdout.contains("two.example.com leads back"), "{}", ran.stdout);
    // The forms for scripts have the same findings.
    for format in ["csv", "ndjson"] {
        let ran = check(&place, &["example.com", "--format", format]).expect(1);
        assert!(ran.stdout.contains("dkim-missing"), "{}", ran.stdout);
    }
}

#[test]
fn the_name_said_in_ehlo_comes_from_reports() {
    // Of the address that has a name leading back; the name in the report leads elsewhere, or there as well.
    for (helo, found) in [("six.example.com", &["helo"][..]), ("mail.test", &[])] {
        let zone = WORLD.to_owned() + &domain("example.com", "", &[]) + "six.example.com A 192.0.2.6\n";
        let server = Nameserver::start(&zone);
        let place = Place::new();
        place.write("config.toml", server.section());
        let spf = format!("<spf><domain>{helo}</domain><scope>helo</scope><result>pass</result></spf></auth_results>");
        place.write("in/a.xml", report("a", 5).replace("</auth_results>", &spf));
        place.run(&["-q", "ingest", "in"]).expect(0);
        let ran = check(&place, &["example.com", "--format", "json"]).expect(i32::from(!found.is_empty()));
        assert_eq!(bad(&ran), *found, "{}", ran.stdout);
    }
}

#[test]
fn the_page_for_people() {
    let zone = WORLD.to_owned() + &domain("a.test", "@ TXT", &["@ TXT v=spf1 ip4:192.0.2.3 include:nowhere.test ?all"]);
    let server = Nameserver::start(&zone);
    let place = Place::new();
    place.write("config.toml", server.section());
    let ran = check(&place, &["a.test", "--selector", "s1"]).expect(1);
    let expected = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/check/page.txt");
    if std::fs::read_to_string(&expected).unwrap_or_default() != ran.stdout {
        std::fs::write(expected.with_extension("tmp"), &ran.stdout).unwrap();
        panic!("other than expected, see tests/it/check/page.tmp");
    }
    assert!(ran.stdout.lines().all(|line| line.chars().count() <= 80), "{}", ran.stdout);
}

#[test]
fn records_of_strangers_do_not_act_on_the_terminal() {
    let zone = WORLD.to_owned() + &domain("a.test", "@ TXT", &["@ TXT v=spf1 \\027[2Joops -all"]);
    let server = Nameserver::start(&zone);
    let place = Place::new();
    place.write("config.toml", server.section());
    for format in ["table", "json", "csv", "ndjson"] {
        let ran = check(&place, &["a.test", "--selector", "s1", "--format", format]).expect(1);
        assert!(!ran.stdout.contains('\u{1b}') && ran.stdout.contains("oops"), "{format}: {}", ran.stdout);
    }
}

#[test]
fn nobody_answers() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let place = Place::new();
    let section = format!("[dns]\nserver = \"{}\"\ntimeout_seconds = 1\n", silent.local_addr().unwrap());
    place.write("config.toml", section);
    let ran = check(&place, &["example.com"]).expect(75);
    assert!(ran.stderr.contains("DNS does not answer"), "{}", ran.stderr);
    assert_eq!(ran.stdout, "", "no verdict without an answer");
}

#[test]
fn one_name_without_an_answer_is_said_to_be_unknown() {
    let server = Nameserver::start(&(WORLD.to_owned() + &domain("a.test", "", &[])));
    let relay = Relay::start(server.address, "_dmarc");
    let place = Place::new();
    place.write("config.toml", format!("[dns]\nserver = \"{}\"\ntimeout_seconds = 1\n", relay.address));
    let ran = check(&place, &["a.test", "--format", "json"]).expect(1);
    assert!(bad(&ran).contains(&"dns".to_owned()), "{}", ran.stdout);
}

#[test]
fn what_is_no_domain() {
    for text in ["not a domain", "example", "", "a..example", "*.example.com"] {
        Place::new().run(&["check", text]).expect(2);
    }
}
