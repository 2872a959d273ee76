//! The daily sums follow whatever happens to reports: each step ends with sums that equal those of the rows.

use std::collections::BTreeSet;

use dmarcdb::query::summary::{By, summary};
use dmarcdb::query::{Database, Window, evidence, source};
use dmarcdb::store::daily;
use rusqlite::types::Value;
use rusqlite::{Connection, named_params};

use crate::support::run::Place;

/// A report in a mail. Its id, count, addresses and the word of the own server hang on `number`, so that of a few dozens
/// many are versions of one another, sent again, forged, or verified only later.
fn mail(number: u64) -> String {
    let (id, messages, day) = (number % 5, 1 + number / 5 % 3, number % 3);
    let field = match number / 7 % 4 {
        0 => "Authentication-Results: mx.example.com; dmarc=pass header.from=receiver.example\r\n",
        1 => "Authentication-Results: mx.example.com; dmarc=fail header.from=receiver.example\r\n",
        2 => "Authentication-Results: other.example; dmarc=pass header.from=receiver.example\r\n",
        _ => "",
    };
    let end = 1_755_648_000 + day as i64 * 86_400 + [0, 86_399, 40_000][id as usize % 3];
    let begin = end - [86_400, 86_399, 6 * 86_400][id as usize % 3];
    let rows: String = (0..=number % 4).map(|row| record(row, messages)).collect();
    format!(
        "{field}From: dmarc@receiver.example\r\nSubject: {number}\r\nMIME-Version: 1.0\r\nContent-Type: text/xml\r\n\r\n\
         <?xml version=\"1.0\"?><feedback><report_metadata><org_name>receiver.example</org_name><email>dmarc@receiver.example\
         </email><report_id>r{id}.{day}</report_id><date_range><begin>{begin}</begin><end>{end}</end></date_range>\
         </report_metadata><policy_published><domain>example.com</domain><p>none</p></policy_published>{rows}</feedback>\r\n"
    )
}

fn record(number: u64, messages: u64) -> String {
    let (results, reason) = match number {
        0 => ("<dkim>pass</dkim><spf>fail</spf>", ""),
        1 => ("<dkim>fail</dkim>", "<reason><type>forwarded</type></reason>"),
        2 => ("<dkim>fail</dkim><spf>fail</spf>", "<reason><type>local_policy</type></reason>"),
        _ => ("<spf>pass</spf>", ""),
    };
    let disposition = ["none", "quarantine", "reject", "none"][number as usize];
    let word = if number.is_multiple_of(2) { "pass" } else { "fail" };
    format!(
        "<record><row><source_ip>192.0.2.{number}</source_ip><count>{messages}</count><policy_evaluated><disposition>\
         {disposition}</disposition>{results}{reason}</policy_evaluated></row><identifiers><header_from>a{number}.example.com\
         </header_from></identifiers><auth_results><dkim><domain>example.org</domain><selector>s</selector><result>{word}\
         </result></dkim><spf><domain>example.net</domain><result>{word}</result></spf></auth_results></record>"
    )
}

/// Every entry of the three tables.
fn entries(connection: &Connection) -> Vec<String> {
    let tables = ["daily_source", "daily_reporter", "daily_result"];
    let mut all = Vec::new();
    for table in tables {
        let mut statement = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = statement.column_count();
        let read =
            |row: &rusqlite::Row<'_>| (0..columns).map(|at| row.get::<_, Value>(at)).collect::<Result<Vec<_>, _>>();
        let rows = statement.query_map([], |row| read(row)).unwrap();
        all.extend(rows.map(|row| format!("{table} {:?}", row.unwrap())));
    }
    all
}

#[track_caller]
fn hold(place: &Place, step: &str) {
    let path = place.path("db.sqlite");
    let connection = Connection::open(&path).unwrap();
    assert_eq!(daily::differences(&connection).unwrap(), Vec::<String>::new(), "{step}");
    let kept = entries(&connection);
    connection.execute_batch("BEGIN").unwrap();
    daily::rebuild(&connection).unwrap();
    let anew = entries(&connection);
    connection.execute_batch("ROLLBACK").unwrap();
    assert_eq!(kept, anew, "{step}");
    place
        .run(&["doctor", "--full", "--format", "ndjson"])
        .stdout
        .lines()
        .filter(|line| line.contains("daily"))
        .for_each(|line| assert!(line.contains("\"ok\""), "{step}: {line}"));
}

#[test]
fn sums_follow_versions_verification_and_pruning() {
    let place = Place::new();
    place.write("config.toml", "authserv_id = \"mx.example.com\"\n");
    place.write("other.toml", "authserv_id = \"other.example\"\n");
    place.write("none.toml", "");
    // The order of 60 mails, in runs of seven, read by what three servers say.
    let order: Vec<u64> = (0..60).map(|step| step * 37 % 60).collect();
    let mut verified = BTreeSet::new();
    for (run, numbers) in order.chunks(7).enumerate() {
        for number in numbers {
            place.write(&format!("{run}/{number}.eml"), mail(*number));
        }
        let config = ["none.toml", "config.toml", "other.toml"][run % 3];
        place.run(&["--config", config, "-q", "ingest", &run.to_string()]).expect(0);
        hold(&place, &format!("run {run}"));
        // Seen before; now another server is believed.
        if run > 1 {
            place.run(&["--config", "config.toml", "-q", "ingest", &(run - 2).to_string()]).expect(0);
            hold(&place, &format!("run {run}, again"));
        }
        let count = "SELECT count(*) FROM daily_source WHERE verified";
        verified.insert(place.database().query_row(count, [], |row| row.get::<_, i64>(0)).unwrap());
    }
    assert!(verified.len() > 2, "verification changes: {verified:?}");
    let conflicts = "SELECT count(*) FROM report WHERE conflict_with IS NOT NULL";
    assert!(place.database().query_row(conflicts, [], |row| row.get::<_, i64>(0)).unwrap() > 5);

    // A day goes, then all; the numbers of reports that are gone are given again.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    for before in [1_755_648_000 + 86_400 + 1, 1_755_648_000 + 10 * 86_400] {
        let days = (now - before) / 86_400;
        place.run(&["prune", "--keep", &format!("{days}d")]).expect(0);
        hold(&place, "pruned");
    }
    assert!(entries(&place.database()).is_empty(), "{:?}", entries(&place.database()));
    for number in 0..4 {
        place.write(&format!("last/{number}.eml"), mail(number).replace("<report_id>", "<report_id>last"));
    }
    place.run(&["-q", "ingest", "last"]).expect(0);
    hold(&place, "after all was pruned");
    assert!(!entries(&place.database()).is_empty());
}

/// Messages and passes by address, straight from the rows.
const PLAIN: &str = "
    SELECT s.ip, sum(c.messages), total(c.messages) FILTER (WHERE c.dkim = 1 OR c.spf = 1)
    FROM record c JOIN report r ON r.id = c.report JOIN address s ON s.id = c.source LEFT JOIN text t ON t.id = r.domain
    WHERE r.conflict_with IS NULL AND r.verification <> 'failed' AND r.end_at >= :since AND r.end_at < :until
      AND (:verified = 0 OR r.verification = 'verified') AND (:domain IS NULL OR t.value = :domain)
    GROUP BY s.ip ORDER BY s.ip";

#[test]
fn questions_say_what_the_rows_say_whatever_the_window() {
    let place = Place::new();
    place.write("config.toml", "authserv_id = \"mx.example.com\"\n");
    for number in 0..60 {
        place.write(&format!("in/{number}.eml"), mail(number));
    }
    place.run(&["--config", "config.toml", "-q", "ingest", "in"]).expect(0);
    let (rows, database) = (place.database(), Database::open(&place.path("db.sqlite")).unwrap());
    let ends = rows.prepare("SELECT DISTINCT end_at FROM report").unwrap();
    let ends: Vec<i64> = { ends }.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(ends.len() > 5, "{ends:?}");
    let around = ends.iter().flat_map(|end| [end - 1, *end, end + 1]);
    let windows = around.flat_map(|at| [Window { since: at, until: i64::MAX }, Window { since: 0, until: at }]);
    let mut compared = 0;
    for window in windows.chain([Window::ALL, Window { since: -5, until: 5 }]) {
        for (domain, verified) in
            [(None, false), (None, true), (Some("example.com"), false), (Some("x.example"), false)]
        {
            let asked = named_params! {":since": window.since, ":until": window.until, ":verified": verified, ":domain": domain};
            let mut plain = rows.prepare_cached(PLAIN).unwrap();
            let plain = plain.query_map(asked, |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, f64>(2)? as i64)));
            let plain: Vec<(String, i64, i64)> = plain.unwrap().map(Result::unwrap).collect();
            compared += plain.len();
            let sum = plain.iter().fold((0, 0), |sum, line| (sum.0 + line.1, sum.1 + line.2));
            for by in [By::Source, By::Domain, By::Reporter, By::Day] {
                let found = summary(&database, window, domain, verified, by).unwrap();
                let context = format!("{window:?} {domain:?} {verified} {by:?}");
                assert_eq!((found.totals.messages, found.totals.dmarc_pass), sum, "{context}");
                let lines = found.lines.iter().map(|line| &line.counts);
                let all = lines.fold((0, 0), |sum, line| (sum.0 + line.messages, sum.1 + line.dmarc_pass));
                assert_eq!(all, sum, "{context}");
                if by == By::Source {
                    let line = |line: &dmarcdb::query::summary::Line| {
                        (line.key.clone().unwrap(), line.counts.messages, line.counts.dmarc_pass)
                    };
                    let mut lines: Vec<_> = found.lines.iter().map(line).collect();
                    lines.sort();
                    assert_eq!(lines, plain, "{context}");
                }
            }
            let seen = evidence::evidence(&database, window, domain, verified).unwrap();
            assert_eq!(seen.seen.iter().map(|seen| seen.messages).sum::<i64>(), sum.0);
            if domain.is_none() && !verified {
                for (ip, messages, passes) in &plain {
                    let addresses = source::address(&database, ip.parse().unwrap()).unwrap();
                    let found = source::source(&database, window, &addresses).unwrap();
                    assert_eq!(found.facets.counts.messages, *messages, "{ip} {window:?}");
                    let reported = found.reporters.iter().map(|reporter| reporter.messages).sum::<i64>();
                    assert_eq!(reported, *messages, "{ip} {window:?}");
                    let found = source::passes(&database, window, &addresses).unwrap();
                    assert_eq!((found[0].messages, found[0].dmarc_pass), (*messages, *passes), "{ip} {window:?}");
                }
            }
        }
    }
    assert!(compared > 300, "{compared}");
}

#[test]
fn a_report_that_is_solved_later_enters_the_sums() {
    let place = Place::new();
    let mail = mail(3);
    // Past a limit of the first run, within that of the second.
    place.write("tight.toml", "[limits]\nrecords = 1\n");
    place.write("a.eml", &mail);
    place.run(&["--config", "tight.toml", "-q", "ingest", "a.eml"]).expect(65);
    hold(&place, "refused");
    assert!(entries(&place.database()).is_empty());
    place.run(&["problems", "retry"]).expect(0);
    hold(&place, "retried");
    assert!(!entries(&place.database()).is_empty());
}

/// Takes away what ended before `before`, to the minute.
fn prune(place: &Place, before: i64, more: &[&str]) -> serde_json::Value {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    let keep = format!("{}m", (now - before) / 60);
    let mut arguments = vec!["prune", "--keep", &keep, "--format", "json"];
    arguments.extend(more);
    place.run(&arguments).expect(0).json()
}

fn count(place: &Place, sql: &str) -> i64 {
    place.database().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn sums_that_are_kept_outlive_their_reports_and_are_added_to_once() {
    const FIRST: i64 = 1_755_648_000;
    const BEFORE: i64 = FIRST + 86_400 + 50_000;
    let place = Place::new();
    place.write("config.toml", "authserv_id = \"mx.example.com\"\n");
    let ingest =
        |folder: &str| place.run(&["--config", "config.toml", "-q", "ingest", "--format", "json", folder]).expect(0);
    let right = |step: &str| {
        let connection = Connection::open(place.path("db.sqlite")).unwrap();
        assert_eq!(daily::differences(&connection).unwrap(), Vec::<String>::new(), "{step}");
        let told = place.run(&["doctor", "--full", "--format", "ndjson"]).stdout;
        assert!(
            told.lines().filter(|line| line.contains("daily")).all(|line| line.contains("\"ok\"")),
            "{step}: {told}"
        );
    };
    let summary = || {
        let mut told = place
            .run(&["summary", "--since", "2025-08-19", "--until", "2025-08-24", "--format", "json"])
            .expect(0)
            .json();
        let mut domain = place
            .run(&["domain", "example.com", "--since", "2025-08-19", "--until", "2025-08-24", "--format", "json"])
            .expect(0)
            .json();
        // Of what reports publish there are no sums.
        domain.as_object_mut().unwrap().retain(|key, _| key != "policies" && key != "policy");
        told.as_object_mut().unwrap().remove("notes");
        (told["totals"].clone(), told["sources"].clone(), domain)
    };
    for number in 0..60 {
        place.write(&format!("in/{number}.eml"), mail(number));
    }
    ingest("in");
    right("at first");
    let (kept, told) = (entries(&place.database()), summary());
    let counters =
        "SELECT group_concat(ip || ' ' || records || ' ' || records_failed) FROM (SELECT * FROM address ORDER BY ip)";
    let counted: String = place.database().query_row(counters, [], |row| row.get(0)).unwrap();

    let gone = prune(&place, BEFORE, &["--keep-sums"]);
    assert!(gone["reports"].as_i64().unwrap() > 5, "{gone}");
    assert_eq!(count(&place, &format!("SELECT count(*) FROM report WHERE end_at < {BEFORE} / 60 * 60")), 0);
    assert!(count(&place, "SELECT count(*) FROM report") > 0, "some are left");
    assert!(entries(&place.database()) == kept, "the sums stay");
    assert_eq!(summary(), told);
    assert_eq!(place.database().query_row(counters, [], |row| row.get::<_, String>(0)).unwrap(), counted);
    right("pruned, with sums kept");

    // The same reports in other mails, and other versions of them.
    for number in 0..60 {
        place.write(&format!("again/{number}.eml"), mail(number).replace("Subject: ", "Subject: again "));
    }
    let again = ingest("again").json();
    assert_eq!(again["duplicate"], 60, "{again}");
    assert_eq!(entries(&place.database()), kept, "nothing is counted twice");
    right("the same again");

    // One of that time which is new does count, once, and stays in the sums when it goes.
    place.write("late/late.eml", mail(3).replace("<report_id>", "<report_id>late"));
    ingest("late");
    let more = entries(&place.database());
    assert_ne!(more, kept);
    right("a late one");
    let connection = Connection::open(place.path("db.sqlite")).unwrap();
    connection.execute_batch("BEGIN; UPDATE daily_source SET messages = 0, records = 0").unwrap();
    assert!(!daily::differences(&connection).unwrap().is_empty(), "less than the rows");
    connection.execute_batch("ROLLBACK").unwrap();
    drop(connection);
    prune(&place, BEFORE, &["--keep-sums"]);
    assert_eq!(entries(&place.database()), more);
    right("the late one pruned");

    // Without, the sums go too; then a report that comes again counts again.
    let would = prune(&place, BEFORE, &["--dry-run"]);
    let gone = prune(&place, BEFORE, &[]);
    assert!(gone["summed_reports"].as_i64().unwrap() > 3, "{gone}");
    assert_eq!(would["summed_reports"], gone["summed_reports"]);
    assert_eq!(count(&place, "SELECT count(*) FROM summed_report"), 0);
    assert_eq!(count(&place, &format!("SELECT count(*) FROM daily_source WHERE end_at < {BEFORE} / 60 * 60")), 0);
    hold(&place, "sums pruned");
    place.write("once more/0.eml", mail(0).replace("Subject: ", "Subject: once more "));
    ingest("once more");
    assert!(count(&place, &format!("SELECT count(*) FROM daily_source WHERE end_at < {BEFORE}")) > 0);
    hold(&place, "counted again");
}

#[test]
fn a_wrong_sum_is_found() {
    for sql in [
        "UPDATE daily_source SET messages = messages + 1",
        "UPDATE daily_source SET dkim_any = dkim_any + 1",
        "UPDATE daily_reporter SET reports = reports + 1",
        "UPDATE address SET records_failed = records_failed + 1",
        "DELETE FROM daily_result WHERE source = (SELECT max(source) FROM daily_result)",
        "UPDATE daily_result SET sums = (SELECT sums FROM daily_result ORDER BY source LIMIT 1)",
        "UPDATE daily_result SET sums = x'ff'",
        "UPDATE report SET conflict_with = id WHERE id = 1",
        "UPDATE record SET source = 2 WHERE source = 1",
    ] {
        let place = Place::new();
        place.write("a.eml", mail(3));
        place.run(&["-q", "ingest", "a.eml"]).expect(0);
        hold(&place, "at first");
        let connection = Connection::open(place.path("db.sqlite")).unwrap();
        connection.execute_batch(sql).unwrap();
        assert!(!daily::differences(&connection).unwrap().is_empty(), "{sql}");
    }
}
