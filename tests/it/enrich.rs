//! `dmarcdb enrich` against a real DNS server on loopback.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use crate::support::mmdb::{self, Value};
use crate::support::nameserver::{Nameserver, Relay};
use crate::support::run::{Place, report};

const ZONE: &str = "
1.2.0.192.in-addr.arpa PTR mail-1.google.com.
mail-1.google.com A 192.0.2.1
2.2.0.192.in-addr.arpa PTR mail.example.com.
mail.example.com A 192.0.2.99
4.2.0.192.in-addr.arpa PTR broken.servfail.test.
5.2.0.192.in-addr.arpa CNAME 5.rev.example.com.
5.rev.example.com PTR out.example.com.
out.example.com CNAME real.example.com.
real.example.com A 192.0.2.5
5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR six.example.com.
six.example.com AAAA 2001:db8::25
1.2.0.192.list.test A 127.0.0.4
1.2.0.192.list.test TXT \"infected, see https://list.test/192.0.2.1\"
1.2.0.192.closed.test A 127.255.255.254
2.2.0.192.closed.test A 127.255.255.254
";

/// A database with one record from each of these addresses.
fn place(ips: &[&str], configuration: &str) -> Place {
    let place = Place::new();
    for (number, ip) in ips.iter().enumerate() {
        let text = report(&format!("r{number}"), 100 - u32::try_from(number).unwrap())
            .replace("192.0.2.1<", &format!("{ip}<"));
        place.write(&format!("in/{number}.xml"), text);
    }
    place.write("config.toml", configuration);
    place.run(&["-q", "--config", "config.toml", "ingest", "in"]).expect(0);
    place
}

fn enrich(place: &Place, more: &[&str], status: i32) -> serde_json::Value {
    let mut arguments = vec!["--config", "config.toml", "enrich", "--format", "json"];
    arguments.extend(more);
    place.run(&arguments).expect(status).json()
}

/// One column of `v_source_name` for an address.
fn column(place: &Place, ip: &str, column: &str) -> Option<String> {
    let sql = format!("SELECT CAST({column} AS TEXT) FROM v_source_name WHERE source_ip = ?1");
    place.database().query_row(&sql, [ip], |row| row.get(0)).unwrap()
}

const ALL: [&str; 6] = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "2001:db8::25"];

#[test]
fn names_networks_and_lists() {
    let server = Nameserver::start(ZONE);
    let configuration = format!(
        "{}[enrich]\nmmdb = [\"asn.mmdb\", \"country.mmdb\"]\nblocklists = [\"list.test\", \"closed.test\"]\n",
        server.section()
    );
    let place = place(&ALL, &configuration);
    let asn = |number, owner| {
        Value::Map(vec![
            ("autonomous_system_number", Value::Number(number)),
            ("autonomous_system_organization", Value::Text(owner)),
        ])
    };
    let country = |code| Value::Map(vec![("country", Value::Map(vec![("iso_code", Value::Text(code))]))]);
    place.write(
        "asn.mmdb",
        mmdb::file(&[("192.0.2.0/25", asn(64_500, "Example Net")), ("2001:db8::/32", asn(64_501, "Six"))]),
    );
    place.write("country.mmdb", mmdb::file(&[("192.0.0.0/16", country("NL"))]));

    let done = enrich(&place, &[], 0);
    let counts: Vec<u64> = ["looked_up", "confirmed", "unconfirmed", "none", "failed", "listed", "left"]
        .iter()
        .map(|name| done[name].as_u64().unwrap())
        .collect();
    assert_eq!(counts, [6, 3, 1, 1, 1, 1, 0], "{done}");
    let is = |ip: &str, name: &str, expected: Option<&str>| {
        assert_eq!(column(&place, ip, name).as_deref(), expected, "{ip} {name}");
    };
    is("192.0.2.1", "name", Some("mail-1.google.com"));
    is("192.0.2.1", "provider", Some("Google"));
    is("192.0.2.1", "asn", Some("64500"));
    is("192.0.2.1", "as_owner", Some("Example Net"));
    is("192.0.2.1", "network", Some("192.0.2.0/25"));
    is("192.0.2.1", "country", Some("NL"));
    is(
        "192.0.2.1",
        "listed",
        Some(r#"[{"list":"list.test","answers":["127.0.0.4"],"reason":"infected, see https://list.test/192.0.2.1"}]"#),
    );
    assert!(column(&place, "192.0.2.1", "list_errors").unwrap().contains("does not answer public resolvers"));
    is("192.0.2.2", "outcome", Some("unconfirmed"));
    is("192.0.2.2", "name", None);
    is("192.0.2.2", "names", Some(r#"["mail.example.com"]"#));
    is("192.0.2.2", "listed", Some("[]"));
    is("192.0.2.3", "outcome", Some("none"));
    is("192.0.2.3", "list_errors", None);
    is("192.0.2.4", "outcome", Some("failed"));
    is("192.0.2.5", "name", Some("out.example.com"));
    is("2001:db8::25", "name", Some("six.example.com"));
    is("2001:db8::25", "as_owner", Some("Six"));

    // What is still good is not asked again; what failed is, but not at once.
    let again = enrich(&place, &[], 0);
    assert_eq!((again["looked_up"].as_u64(), again["queries"].as_u64()), (Some(0), Some(0)), "{again}");
    assert_eq!(enrich(&place, &["--refresh", "--limit", "1"], 0)["looked_up"], 1);
}

/// Entries as the makers of files lay them out, down to what nobody asks for.
#[test]
fn files_of_every_maker() {
    use Value::{Map, Number, Text};
    let names = || Map(vec![("de", Text("Niederlande")), ("en", Text("Netherlands"))]);
    let continent = || {
        Map(vec![("code", Text("EU")), ("geoname_id", Number(6_255_148)), ("names", Map(vec![("en", Text("Europe"))]))])
    };
    let country = || Map(vec![("geoname_id", Number(2_750_405)), ("iso_code", Text("NL")), ("names", names())]);
    let german = || Map(vec![("geoname_id", Number(2_921_044)), ("iso_code", Text("DE")), ("names", names())]);
    let of_asn = || {
        Map(vec![("autonomous_system_number", Number(64_500)), ("autonomous_system_organization", Text("Example Net"))])
    };
    let asn = Some(("64500", "Example Net"));
    let cases = [
        ("GeoLite2-ASN", of_asn(), asn, None),
        (
            "GeoLite2-Country",
            Map(vec![("continent", continent()), ("country", country()), ("registered_country", german())]),
            None,
            Some("NL"),
        ),
        ("GeoLite2-Country, of a network", Map(vec![("registered_country", german())]), None, Some("DE")),
        ("dbip-asn-lite", of_asn(), asn, None),
        ("dbip-country-lite", Map(vec![("continent", continent()), ("country", country())]), None, Some("NL")),
        (
            "dbip-isp",
            Map(vec![
                ("country", country()),
                (
                    "traits",
                    Map(vec![
                        ("autonomous_system_number", Number(64_500)),
                        ("autonomous_system_organization", Text("Example Net")),
                        ("isp", Text("Example")),
                    ]),
                ),
            ]),
            asn,
            Some("NL"),
        ),
        (
            "ipinfo_lite",
            Map(vec![
                ("as_domain", Text("example.net")),
                ("as_name", Text("Example Net")),
                ("asn", Text("AS64500")),
                ("continent", Text("Europe")),
                ("continent_code", Text("EU")),
                ("country", Text("Netherlands")),
                ("country_code", Text("NL")),
            ]),
            asn,
            Some("NL"),
        ),
        (
            "ipinfo country_asn",
            Map(vec![
                ("as_name", Text("Example Net")),
                ("asn", Text("AS64500")),
                ("continent", Text("EU")),
                ("country", Text("NL")),
                ("country_name", Text("Netherlands")),
            ]),
            asn,
            Some("NL"),
        ),
        ("iptoasn-asn, ip-location-db", of_asn(), asn, None),
        ("iptoasn-country, ip-location-db", Map(vec![("country_code", Text("NL"))]), None, Some("NL")),
    ];
    let server = Nameserver::start(ZONE);
    let place = place(&["192.0.2.1"], &format!("{}[enrich]\nmmdb = [\"a.mmdb\"]\n", server.section()));
    for (maker, entry, asn, country) in cases {
        place.write("a.mmdb", mmdb::file(&[("192.0.2.0/24", entry)]));
        enrich(&place, &["--refresh"], 0);
        let found = |name: &str| column(&place, "192.0.2.1", name);
        let (number, owner) = (asn.map(|(number, _)| number), asn.map(|(_, owner)| owner));
        assert_eq!((found("asn").as_deref(), found("as_owner").as_deref()), (number, owner), "{maker}");
        assert_eq!(found("country").as_deref(), country, "{maker}");
        assert_eq!(found("network").as_deref(), Some("192.0.2.0/24"), "{maker}");
    }
}

#[test]
fn a_failure_keeps_what_was_known() {
    let server = Nameserver::start(ZONE);
    let place = place(&["192.0.2.1"], &server.section());
    enrich(&place, &[], 0);
    drop(server);
    let broken = Nameserver::start("1.2.0.192.in-addr.arpa CNAME name.servfail.test.\n");
    place.write("config.toml", broken.section());
    assert_eq!(enrich(&place, &["--refresh"], 0)["failed"], 1);
    assert_eq!(column(&place, "192.0.2.1", "outcome").as_deref(), Some("failed"));
    assert_eq!(column(&place, "192.0.2.1", "name").as_deref(), Some("mail-1.google.com"));
    assert_eq!(column(&place, "192.0.2.1", "provider").as_deref(), Some("Google"));
    let text = "SELECT expires_at - looked_up_at FROM source_name";
    let good_for: i64 = place.database().query_row(text, [], |row| row.get(0)).unwrap();
    assert_eq!(good_for, 3600, "asked again soon");
}

#[test]
fn nobody_answers() {
    // Bound, and never read.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let section = format!("[dns]\nserver = \"{}\"\ntimeout_seconds = 1\n", silent.local_addr().unwrap());
    let place = place(&ALL, &section);
    let began = Instant::now();
    let ran = place.run(&["--config", "config.toml", "enrich"]).expect(75);
    assert!(ran.stderr.contains("DNS does not answer"), "{}", ran.stderr);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let kept: i64 = place.database().query_row("SELECT count(*) FROM source_name", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 0, "what was not answered is not taken for an answer");
    // Nothing else needs it.
    place.run(&["--config", "config.toml", "summary", "--since", "all"]).expect(0);
}

#[test]
fn one_name_that_nobody_answers_for_holds_up_no_other() {
    let server = Nameserver::start(ZONE);
    let relay = Relay::start(server.address, "\u{7}in-addr");
    let section = format!("[dns]\nserver = \"{}\"\ntimeout_seconds = 1\n", relay.address);
    let place = place(&["192.0.2.1", "2001:db8::25"], &section);
    let done = enrich(&place, &[], 0);
    assert_eq!((&done["failed"], &done["confirmed"]), (&1.into(), &1.into()), "{done}");
}

#[test]
fn bounds_leave_the_rest_for_the_next_run() {
    let server = Nameserver::start(ZONE);
    let place = place(&ALL, &format!("{}queries = 4\n", server.section()));
    let mut left = Vec::new();
    for _ in 0..20 {
        let ran = place.run(&["--config", "config.toml", "enrich", "--format", "json"]);
        let done = ran.json();
        assert!(done["queries"].as_u64().unwrap() <= 4, "{done}");
        left.push(done["left"].as_u64().unwrap());
        assert_eq!(ran.status, Some(if done["left"] == 0 { 0 } else { 75 }), "{done}");
        if done["left"] == 0 {
            break;
        }
    }
    assert!(left.len() > 1 && left.last() == Some(&0), "{left:?}");
    assert!(left.is_sorted_by(|a, b| a > b), "each run gets on: {left:?}");
    assert_eq!(column(&place, "192.0.2.1", "name").as_deref(), Some("mail-1.google.com"));
}

#[test]
fn a_name_too_long_for_one_packet_comes_by_tcp() {
    let mut zone = String::new();
    for number in 0..40 {
        zone.push_str(&format!("1.2.0.192.in-addr.arpa PTR a-rather-long-name-{number}.of-a-network.example.\n"));
        zone.push_str(&format!("a-rather-long-name-{number}.of-a-network.example A 192.0.2.1\n"));
    }
    let server = Nameserver::start(&zone);
    let place = place(&["192.0.2.1"], &server.section());
    assert_eq!(enrich(&place, &[], 0)["confirmed"], 1);
    let names = column(&place, "192.0.2.1", "names").unwrap();
    assert_eq!(serde_json::from_str::<Vec<String>>(&names).unwrap().len(), 10, "bounded: {names}");
}

#[test]
fn a_file_that_is_none_is_named() {
    let place = place(&["192.0.2.1"], "[enrich]\nmmdb = [\"none.mmdb\"]\n");
    let ran = place.run(&["--config", "config.toml", "enrich"]).expect(78);
    assert!(ran.stderr.contains("none.mmdb"), "{}", ran.stderr);
}
