//! Whose word counts, through the binary: what a stranger forges never takes the place of what a reporter sent, whatever
//! comes first; and complaints end up judged the same in whatever order mail comes.

use std::path::Path;

use crate::support::run::{Place, Ran, report};

const CONFIG: &str = "authserv_id = \"mx.example.com\"\n";

fn sample(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/hostile/trust").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A place with a configuration and samples; each is read by a run of its own, in order.
fn read(config: &str, mails: &[(&str, Vec<u8>)]) -> Place {
    let place = Place::new();
    place.write("config.toml", config);
    for (name, mail) in mails {
        place.write(name, mail);
        ask(&place, &["-q", "ingest", name]).expect(0);
    }
    place
}

fn samples(names: &[&'static str]) -> Place {
    read(CONFIG, &names.iter().map(|name| (*name, sample(name))).collect::<Vec<_>>())
}

fn ask(place: &Place, arguments: &[&str]) -> Ran {
    let mut all = vec!["--config", "config.toml"];
    all.extend(arguments);
    place.run(&all)
}

/// Messages in all, of these not verified, reports not verified.
fn totals(place: &Place, more: &[&str]) -> [i64; 3] {
    let mut arguments = vec!["summary", "--since", "all", "--format", "json"];
    arguments.extend(more);
    let totals = ask(place, &arguments).expect(0).json()["totals"].clone();
    ["messages", "unverified_messages", "unverified_reports"].map(|name| totals[name].as_i64().unwrap())
}

/// Report id, verification and whether it counts, of every report.
fn reports(place: &Place) -> Vec<(String, String, bool)> {
    let rows = ask(place, &["reports", "--since", "all", "--format", "json"]).expect(0).json();
    let text = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap().to_owned();
    let mut rows: Vec<_> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (text(row, "report_id"), text(row, "verification"), row["counted"].as_bool().unwrap()))
        .collect();
    rows.sort();
    rows
}

/// A mail with a report of `messages` messages by receiver.example, under this field of our own server.
fn mail(id: &str, messages: u32, authentication_results: &str) -> Vec<u8> {
    let field = match authentication_results {
        "" => String::new(),
        found => format!("Authentication-Results: mx.example.com; {found}\r\n"),
    };
    format!(
        "{field}From: dmarc@receiver.example\r\nTo: dmarc@example.com\r\nMessage-ID: <{messages}.{}@receiver.example>\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/xml; name=\"{id}.xml\"\r\n\r\n{}\r\n",
        field.len(),
        report(id, messages)
    )
    .into_bytes()
}

const PASS: &str = "dmarc=pass header.from=receiver.example";
const FAIL: &str = "spf=fail smtp.mailfrom=evil.example; dmarc=fail header.from=receiver.example";

#[test]
fn a_forged_report_never_shadows_the_real_one() {
    let (real, forged) = ("x20-dup-1.eml", "x21-same-id-other-content.eml");
    let alone = totals(&samples(&[real]), &[]);
    assert!(alone[0] > 0);
    assert_eq!(alone[1..], [0, 0]);
    for order in [[real, forged], [forged, real]] {
        let place = samples(&order);
        assert_eq!(totals(&place, &[]), alone, "{order:?}");
        let found: Vec<_> = reports(&place).into_iter().map(|(_, word, counted)| (word, counted)).collect();
        assert_eq!(found, [("unverified".to_owned(), false), ("verified".to_owned(), true)], "{order:?}");
    }
}

#[test]
fn the_forged_one_alone_is_counted_and_told() {
    let place = samples(&["x21-same-id-other-content.eml"]);
    let [messages, unverified, reports] = totals(&place, &[]);
    assert!(messages > 0);
    assert_eq!((unverified, reports), (messages, 1));
    assert_eq!(totals(&place, &["--verified-only"]), [0, 0, 0]);
    let table = ask(&place, &["summary", "--since", "all"]).expect(0).stdout;
    let table = table.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(table.contains("(100.0% of all) not known to come from whom it names"), "{table}");
    for command in ["reports", "records"] {
        let csv = |more: &[&str]| {
            let mut arguments = vec![command, "--since", "all", "--format", "csv"];
            arguments.extend(more);
            ask(&place, &arguments).expect(0).stdout.lines().count()
        };
        assert!(csv(&[]) > 1);
        assert_eq!(csv(&["--verified-only"]), 1, "{command}: the header alone");
    }
}

#[test]
fn the_same_report_again_counts_once() {
    let all = ["x20-dup-1.eml", "x20-dup-2.eml", "x20-dup-3.eml"];
    let alone = totals(&samples(&all[..1]), &[]);
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        assert_eq!(totals(&samples(&order.map(|at| all[at])), &[]), alone);
    }
}

#[test]
fn the_same_rows_under_another_id_count_and_are_pointed_at() {
    let (first, again) = ("x20-dup-1.eml", "x22-same-content-other-id.eml");
    let alone = totals(&samples(&[first]), &[]);
    for order in [[first, again], [again, first]] {
        let place = samples(&order);
        assert_eq!(totals(&place, &[]), [2 * alone[0], 0, 0]);
        let warnings = ask(&place, &["reports", "--since", "all", "--warnings", "--format", "csv"]).expect(0).stdout;
        assert_eq!(warnings.matches("same-content").count(), 1, "{warnings}");
    }
}

#[test]
fn what_our_server_found_forged_is_kept_and_not_counted() {
    let place = samples(&["m16-forged-auth-results.eml"]);
    assert_eq!(totals(&place, &[]), [0, 0, 0]);
    let found = reports(&place);
    assert_eq!((found.len(), found[0].1.as_str(), found[0].2), (1, "failed", false));
    let table = ask(&place, &["summary", "--since", "all"]).expect(0).stdout;
    let table = table.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(table.contains("1 report not counted: your server found the mail forged"), "{table}");
}

#[test]
fn the_better_verified_stands_in_every_order() {
    let mails = [("failed", mail("a", 1, FAIL)), ("unverified", mail("a", 20, "")), ("verified", mail("a", 300, PASS))];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let place = read(CONFIG, &order.map(|at| mails[at].clone()));
        assert_eq!(totals(&place, &[]), [300, 0, 0], "{order:?}");
        let standing: i64 = place
            .database()
            .query_row(
                "SELECT count(*) FROM report WHERE conflict_with = (SELECT id FROM report WHERE messages = 300)",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(standing, 2, "{order:?}: the others point to it");
    }
    for order in [[0, 1], [1, 0]] {
        assert_eq!(totals(&read(CONFIG, &order.map(|at| mails[at].clone())), &[])[0], 20, "{order:?}");
    }
}

#[test]
fn a_report_is_as_well_verified_as_the_best_mail_that_brought_it() {
    let (bare, verified, other) = (report("a", 3).into_bytes(), mail("a", 3, PASS), mail("a", 999, ""));
    for order in [["bare", "other", "verified"], ["other", "bare", "verified"], ["other", "verified", "bare"]] {
        let mails = order.map(|name| match name {
            "bare" => (name, bare.clone()),
            "verified" => (name, verified.clone()),
            _ => (name, other.clone()),
        });
        assert_eq!(totals(&read(CONFIG, &mails), &[]), [3, 0, 0], "{order:?}");
    }
}

#[test]
fn a_name_that_is_a_domain_must_hold_whatever_address_is_given() {
    let real = mail("a", 3, PASS);
    // Signed by the liar's own domain, with an address to match.
    let lie = String::from_utf8(mail("a", 999, "dmarc=pass header.from=evil.example")).unwrap();
    let lie = lie.replace("dmarc@receiver.example", "dmarc@evil.example").into_bytes();
    for order in [[0, 1], [1, 0]] {
        let place = read(CONFIG, &order.map(|at| [("real", real.clone()), ("lie", lie.clone())][at].clone()));
        assert_eq!(totals(&place, &[]), [3, 0, 0], "{order:?}");
    }
}

#[test]
fn a_message_is_authenticated_when_it_is_offered_again_under_a_better_configuration() {
    let place = read("", &[("m", mail("a", 3, PASS)), ("f", mail("b", 5, FAIL))]);
    assert_eq!(totals(&place, &[]), [8, 8, 2]);
    place.write("config.toml", CONFIG);
    let again = ask(&place, &["ingest", "m", "f", "--format", "json"]).expect(0).json();
    assert_eq!(again["duplicate"], 2);
    assert_eq!(totals(&place, &[]), [3, 0, 0]);
}

/// A complaint of a feedback loop about mail from `from`, naming `person`.
fn complaint(from: &str, person: &str) -> Vec<u8> {
    format!(
        "Authentication-Results: mx.example.com; dmarc=pass header.from=fbl.example\r\nFrom: fbl@fbl.example\r\n\
         To: fbl@example.com\r\nMessage-ID: <{from}.{person}>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nA complaint.\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\n\
         Feedback-Type: abuse\r\nUser-Agent: fbl/1\r\nVersion: 1\r\nOriginal-Rcpt-To: {person}\r\n\
         Arrival-Date: Wed, 20 Aug 2025 11:00:00 +0000\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n\
         From: news@{from}\r\nMessage-ID: <1@{from}>\r\nSubject: offer\r\n\r\n\r\n--b--\r\n"
    )
    .into_bytes()
}

const FBL: &str = "authserv_id = \"mx.example.com\"\nfeedback_senders = [\"fbl.example\"]\n";

/// Everything about complaints and suppressions that does not depend on row numbers.
fn state(place: &Place) -> Vec<String> {
    let database = place.database();
    let mut rows = Vec::new();
    for query in [
        "SELECT header_from || ' ' || recipient || ' ' || recipient_status || ' ' || trusted || ' ' || about_us FROM v_complaint ORDER BY 1",
        "SELECT address || ' ' || scope || ' ' || reason || ' ' || since_at FROM v_suppression ORDER BY 1",
    ] {
        let mut statement = database.prepare(query).unwrap();
        let found = statement.query_map([], |row| row.get(0)).unwrap();
        rows.extend(found.collect::<Result<Vec<String>, _>>().unwrap());
    }
    rows
}

#[test]
fn complaints_end_up_the_same_in_every_order() {
    let mails = [
        ("about-us", complaint("example.com", "bob@isp.example")),
        ("from-us", complaint("example.com", "eve@example.com")),
        ("not-about-us", complaint("other.example", "bob@isp.example")),
        ("report", report("a", 3).into_bytes()),
    ];
    let expected = [
        "example.com bob@isp.example ok 1 1",
        "example.com eve@example.com own_domain 1 1",
        "other.example bob@isp.example ok 1 0",
        "bob@isp.example example.com abuse 1755687600",
    ];
    for order in [[0, 1, 2, 3], [3, 0, 1, 2], [0, 3, 1, 2], [2, 1, 0, 3]] {
        let place = read(FBL, &order.map(|at| mails[at].clone()));
        assert_eq!(state(&place), expected, "{order:?}");
        // One run over all of them is no different.
        let together = Place::new();
        together.write("config.toml", FBL);
        for (at, number) in order.iter().zip(0..) {
            together.write(&format!("in/{number}"), &mails[*at].1);
        }
        ask(&together, &["-q", "ingest", "in"]).expect(0);
        assert_eq!(state(&together), expected, "{order:?} in one run");
    }
}

#[test]
fn complaints_follow_the_configuration() {
    let own = |names: &str| format!("{FBL}own_domains = [{names}]\n");
    let place = read(
        FBL,
        &[("c", complaint("example.com", "bob@isp.example")), ("d", complaint("example.com", "eve@shop.example"))],
    );
    let suppressed = |place: &Place| -> Vec<String> { state(place).into_iter().skip(2).collect() };
    assert_eq!(suppressed(&place), Vec::<String>::new());
    let again = |config: &str| {
        place.write("config.toml", config);
        // Nothing new comes in; the change alone has to do.
        ask(&place, &["-q", "ingest", "c"]).expect(0);
        suppressed(&place)
    };
    let both = ["bob@isp.example example.com abuse 1755687600", "eve@shop.example example.com abuse 1755687600"];
    assert_eq!(again(&own("\"example.com\"")), both);
    assert_eq!(again(&own("\"example.com\", \"shop.example\"")), both[..1], "eve is one of us");
    assert_eq!(again(&own("\"other.example\"")), Vec::<String>::new());
    assert_eq!(again(&own("\"example.com\"")), both);
    assert_eq!(again("authserv_id = \"mx.example.com\"\nown_domains = [\"example.com\"]\n"), Vec::<String>::new());
    assert_eq!(again(&own("\"example.com\"")), both);
    let events = |place: &Place| -> i64 {
        place.database().query_row("SELECT count(*) FROM suppression_event", [], |row| row.get(0)).unwrap()
    };
    let before = events(&place);
    assert_eq!(again(&own("\"Example.COM\"")), both);
    assert_eq!(events(&place), before, "nothing has changed, so nothing is added");
}

#[test]
fn fraud_waits_unless_the_user_says_otherwise() {
    let own = format!("{FBL}own_domains = [\"example.com\"]\n");
    let abuse = String::from_utf8(complaint("example.com", "bob@isp.example")).unwrap();
    let fraud = abuse.replace("Feedback-Type: abuse", "Feedback-Type: fraud");
    assert!(fraud != abuse);
    let place = read(&own, &[("c", fraud.into_bytes())]);
    let suppressed = |place: &Place| state(place).len() - 1;
    let again = |config: &str| {
        place.write("config.toml", config);
        ask(&place, &["-q", "ingest", "c"]).expect(0);
        suppressed(&place)
    };
    assert_eq!(suppressed(&place), 0);
    let waits = ask(&place, &["complaints", "--pending", "--format", "csv"]).expect(0);
    assert!(waits.stdout.contains("bob@isp.example"), "{waits:?}");
    assert_eq!(again(&format!("{own}suppress_fraud = true\n")), 1);
    assert_eq!(again(&own), 0);
}

#[test]
fn what_a_person_said_stands_when_complaints_are_judged_again() {
    let own = format!("{FBL}own_domains = [\"example.com\"]\n");
    let place = read(&own, &[("c", complaint("example.com", "bob@isp.example"))]);
    let active = |place: &Place| state(place).len() - 1;
    let again = |config: &str| {
        place.write("config.toml", config);
        ask(&place, &["-q", "ingest", "c"]).expect(0);
    };
    assert_eq!(active(&place), 1);
    ask(&place, &["suppress", "lift", "bob@isp.example", "--reason", "asked"]).expect(0);
    again(FBL);
    again(&own);
    assert_eq!(active(&place), 0, "lifted by a person, after the complaint");
    ask(&place, &["suppress", "add", "bob@isp.example", "--scope", "example.com", "--reason", "phoned"]).expect(0);
    again(FBL);
    assert_eq!(active(&place), 1, "added by a person");
}

#[test]
fn a_stranger_who_names_a_domain_frees_nobody_there() {
    let own = format!("{FBL}own_domains = [\"example.com\"]\n");
    let poison = report("p", 1).replace("<domain>example.com</domain><adkim>", "<domain>isp.example</domain><adkim>");
    let mails = [("c", complaint("example.com", "bob@isp.example")), ("p", poison.into_bytes())];
    for order in [[0, 1], [1, 0]] {
        let place = read(&own, &order.map(|at| mails[at].clone()));
        assert_eq!(state(&place)[1..], ["bob@isp.example example.com abuse 1755687600"], "{order:?}");
    }
    // Nor does one whose mail failed make anything ours.
    let forged = mail("f", 1, FAIL);
    let place = read(FBL, &[("c", complaint("example.com", "bob@isp.example")), ("f", forged)]);
    assert_eq!(state(&place), ["example.com bob@isp.example ok 1 0"]);
}
