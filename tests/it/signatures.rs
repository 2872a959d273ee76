//! `verify_dkim`: signatures of report mail, checked while it is read, against a real DNS server on loopback.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};

use crate::support::nameserver::Nameserver;
use crate::support::run::{Place, mail};

/// A key, and the record that publishes it.
fn key() -> (Ed25519KeyPair, String) {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let key = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
    let record = format!("v=DKIM1\\; k=ed25519\\; p={}", STANDARD.encode(key.public_key().as_ref()));
    (key, record)
}

/// Puts a signature over `From`, `Subject` and the body in front of a mail (RFC 6376, simple canonicalization; RFC 8463).
fn sign(key: &Ed25519KeyPair, domain: &str, mail: &str, more: &str) -> String {
    let (header, body) = mail.split_once("\r\n\r\n").unwrap();
    let field = |name: &str| header.lines().find(|line| line.starts_with(name)).unwrap().to_owned() + "\r\n";
    let body = body.trim_end_matches("\r\n").to_owned() + "\r\n";
    let hash = STANDARD.encode(digest(&SHA256, body.as_bytes()));
    let signature = format!(
        "DKIM-Signature: v=1; a=ed25519-sha256; c=simple/simple; d={domain}; s=s1;{more} h=from:subject; bh={hash}; b="
    );
    let signed = field("From:") + &field("Subject:") + &signature;
    let value = key.sign(digest(&SHA256, signed.as_bytes()).as_ref());
    format!("{signature}{}\r\n{mail}", STANDARD.encode(value.as_ref()))
}

/// Of each message in the order read: `auth`, the domain, and the verification of its report.
fn judged(place: &Place) -> Vec<(String, Option<String>, String)> {
    let database = place.database();
    let sql =
        "SELECT m.auth, m.auth_domain, r.verification FROM message m JOIN report r ON r.message = m.id ORDER BY m.id";
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

fn read(configuration: &str, mails: &[String]) -> Place {
    let place = Place::new();
    place.write("config.toml", configuration);
    for (number, mail) in mails.iter().enumerate() {
        let name = format!("{number}.eml");
        place.write(&name, mail);
        place.run(&["--config", "config.toml", "-q", "ingest", &name]).expect(0);
    }
    place
}

#[test]
fn a_signature_that_passes_counts_like_the_word_of_the_server() {
    let (key, record) = key();
    let (other, _) = self::key();
    let zone = format!(
        "s1._domainkey.receiver.example TXT \"{record}\"\ns1._domainkey.stranger.example TXT \"{record}\"\n\
         s1._domainkey.sub.receiver.example TXT \"{record}\"\n"
    );
    let server = Nameserver::start(&zone);
    let plain = |id: &str| mail(id, 3);
    let good = sign(&key, "receiver.example", &plain("good"), "");
    let header = "Authentication-Results: mx.example.com; dkim=fail header.d=receiver.example\r\n";
    let cases: Vec<(String, &str, Option<&str>, &str)> = vec![
        (good.clone(), "pass", Some("receiver.example"), "verified"),
        (good.replace("good", "lines").replace("\r\n", "\n"), "none", None, "unverified"),
        (
            sign(&key, "receiver.example", &plain("unix"), "").replace("\r\n", "\n"),
            "pass",
            Some("receiver.example"),
            "verified",
        ),
        (sign(&key, "sub.receiver.example", &plain("sub"), ""), "pass", Some("sub.receiver.example"), "verified"),
        (plain("unsigned"), "none", None, "unverified"),
        (
            sign(&key, "receiver.example", &plain("body"), "").replace("<count>3", "<count>4"),
            "none",
            None,
            "unverified",
        ),
        (sign(&other, "receiver.example", &plain("key"), ""), "none", None, "unverified"),
        (sign(&key, "stranger.example", &plain("stranger"), ""), "none", None, "unverified"),
        (sign(&key, "gone.example", &plain("gone"), ""), "none", None, "unverified"),
        (sign(&key, "receiver.example", &plain("part"), " l=10;"), "none", None, "unverified"),
        (sign(&key, "receiver.example", &plain("old"), " t=1000; x=2000;"), "none", None, "unverified"),
        (
            "From: x@evil.example\r\n".to_owned() + &sign(&key, "receiver.example", &plain("two"), ""),
            "none",
            None,
            "unverified",
        ),
        (format!("{header}{}", sign(&key, "receiver.example", &plain("said"), "")), "fail", None, "failed"),
        (
            "DKIM-Signature: v=1; a=rsa-sha256; d=x; s=y; h=from; bh=; b=\r\n".repeat(200)
                + &sign(&key, "receiver.example", &plain("many"), ""),
            "none",
            None,
            "unverified",
        ),
    ];
    let mails: Vec<String> = cases.iter().map(|(mail, ..)| mail.clone()).collect();
    let configuration = format!("authserv_id = \"mx.example.com\"\nverify_dkim = true\n{}", server.section());
    let place = read(&configuration, &mails);
    let found = judged(&place);
    for (number, (found, (mail, auth, domain, verification))) in found.iter().zip(&cases).enumerate() {
        let expected = ((*auth).to_owned(), domain.map(str::to_owned), (*verification).to_owned());
        assert_eq!(*found, expected, "{number}: {mail}");
    }
    assert_eq!(found.len(), cases.len());
    let why: String = place
        .database()
        .query_row("SELECT auth_results FROM message ORDER BY id LIMIT 1", [], |row| row.get(0))
        .unwrap();
    assert_eq!(why, "dmarcdb; dkim=pass header.d=receiver.example");
}

#[test]
fn nobody_is_asked_unless_that_is_wished() {
    let (key, record) = key();
    let server = Nameserver::start(&format!("s1._domainkey.receiver.example TXT \"{record}\"\n"));
    let mails = [sign(&key, "receiver.example", &mail("good", 3), "")];
    let place = read(&server.section(), &mails);
    assert_eq!(judged(&place), [("none".to_owned(), None, "unverified".to_owned())]);
}

#[test]
fn what_is_read_again_is_checked_too() {
    let (key, record) = key();
    let server = Nameserver::start(&format!("s1._domainkey.receiver.example TXT \"{record}\"\n"));
    let place = Place::new();
    place.write("0.eml", sign(&key, "receiver.example", &mail("good", 3), ""));
    place.write("narrow.toml", format!("{}[limits]\nxml_depth = 2\n", server.section()));
    place.run(&["--config", "narrow.toml", "-q", "ingest", "0.eml"]).expect(65);
    assert_eq!(judged(&place), []);
    place.write("config.toml", format!("verify_dkim = true\n{}", server.section()));
    place.run(&["--config", "config.toml", "problems", "retry"]).expect(0);
    assert_eq!(judged(&place), [("pass".to_owned(), Some("receiver.example".to_owned()), "verified".to_owned())]);
}

#[test]
fn silence_of_dns_holds_up_nothing_for_long_and_loses_nothing() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let (key, _) = key();
    let section =
        format!("verify_dkim = true\n[dns]\nserver = \"{}\"\ntimeout_seconds = 1\n", silent.local_addr().unwrap());
    let began = std::time::Instant::now();
    let place = read(&section, &[sign(&key, "receiver.example", &mail("good", 3), "")]);
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    assert_eq!(judged(&place), [("none".to_owned(), None, "unverified".to_owned())]);
}
