//! `dmarcdb doctor`: nothing to say about a healthy database, and a line that tells what to do about every other.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use dmarcdb::store::daily;
use rusqlite::Connection;

use crate::support::run::{Place, Ran, mail, report};

/// A place with a database that has a bit of everything.
fn place() -> Place {
    let place = Place::new();
    fs::set_permissions(place.dir.path(), Permissions::from_mode(0o700)).unwrap();
    place.write("in/a.xml", report("a", 3));
    place.write("in/b.xml", report("b", 4));
    place.write("in/c.eml", mail("b", 999));
    place.write("in/d.xml", &report("d", 1)[..400]);
    place.write("in/e.eml", "From: a@b.example\r\n\r\nhello\r\n");
    place.run(&["-q", "ingest", "in"]).expect(65);
    // The reports are of 2025: to the doctor they came yesterday.
    let now = "CAST(strftime('%s', 'now') AS INTEGER)";
    vandalize(&place, &format!("UPDATE report SET begin_at = {now} - 172800, end_at = {now} - 86400"));
    daily::rebuild(&Connection::open(place.path("db.sqlite")).unwrap()).unwrap();
    place
}

/// Everything that the samples hold: reports and complaints of every kind, bounces, and what cannot be read.
#[test]
fn mail_of_every_kind_is_in_order() {
    let place = Place::new();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let (config, mail) = (samples.join("dmarcdb.toml"), samples.join("mail"));
    let paths = [config.to_str().unwrap(), mail.to_str().unwrap()];
    place.run(&["--config", paths[0], "-q", "ingest", paths[1]]).expect(65);
    let bounces = "SELECT count(*) FROM bounce";
    assert!(place.database().query_row(bounces, [], |row| row.get::<_, i64>(0)).unwrap() > 1);
    let found = findings(&place.run(&["doctor", "--full", "--format", "json"]));
    let wrong: Vec<_> = found.iter().filter(|(level, ..)| level == "error").collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

fn vandalize(place: &Place, sql: &str) {
    let connection = Connection::open(place.path("db.sqlite")).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    connection.execute_batch(sql).unwrap();
}

fn findings(ran: &Ran) -> Vec<(String, String, bool)> {
    let text = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap().to_owned();
    let rows = ran.json();
    let bad = rows.as_array().unwrap().iter().filter(|row| row["level"] != "ok");
    bad.map(|row| (text(row, "level"), text(row, "check"), row["advice"].is_string())).collect()
}

#[test]
fn a_healthy_database_has_no_findings() {
    let place = place();
    for depth in [&["doctor"][..], &["doctor", "--full"]] {
        let table = place.run(depth).expect(0);
        assert!(table.stdout.lines().count() > 12, "{}", table.stdout);
        assert!(table.stdout.lines().all(|line| line.starts_with("ok ")), "{}", table.stdout);
        assert!(table.stdout.contains("1 problem waiting"), "{}", table.stdout);
    }
    assert_eq!(findings(&place.run(&["doctor", "--format", "json"]).expect(0)), []);
}

#[test]
fn every_contradiction_is_found() {
    for (check, sql) in [
        ("foreign_keys", "UPDATE record SET source = 4711 WHERE ordinal = 0"),
        ("orphans", "DELETE FROM aggregate"),
        ("orphans", "UPDATE problem SET solved_at = 1"),
        ("ledger", "UPDATE message SET outcome = 'not_a_report' WHERE outcome = 'stored'"),
        ("ledger", "UPDATE message SET outcome = 'stored' WHERE outcome = 'not_a_report'"),
        ("ledger", "DELETE FROM problem; DELETE FROM kept_message"),
        ("sums", "UPDATE report SET records = records + 1"),
        ("sums", "UPDATE report SET messages = messages + 1"),
        ("sums", "UPDATE record SET messages = messages + 1"),
        ("sums", "DELETE FROM record WHERE report = 1"),
        ("daily", "UPDATE daily_source SET messages = messages + 1"),
        ("daily", "DELETE FROM daily_reporter"),
        ("daily", "UPDATE daily_result SET day = day + 1"),
        ("daily", "UPDATE daily_result SET sums = x'ff'"),
        ("daily", "UPDATE daily_result SET ip = '192.0.2.250'"),
        ("daily", "UPDATE report SET conflict_with = 1 WHERE conflict_with IS NULL AND id <> 1"),
        ("identities", "UPDATE report SET conflict_with = 1 WHERE conflict_with IS NULL AND id <> 1"),
        ("identities", "UPDATE report SET verification = 'verified' WHERE conflict_with IS NOT NULL"),
        ("identities", "UPDATE report SET verification = 'failed' WHERE conflict_with IS NULL"),
        ("schema", "PRAGMA user_version = 0"),
        ("clock", "UPDATE message SET seen_at = seen_at + 864000"),
        (
            "deferred",
            "INSERT INTO mailbox VALUES (1, 'a', 's', 'INBOX', 1, 0, NULL); INSERT INTO deferred VALUES (1, 5, 1, 'NO')",
        ),
        (
            "unsettled",
            "INSERT INTO mailbox VALUES (1, 'a', 's', 'INBOX', 1, 0, NULL); INSERT INTO place VALUES (1, 5, 1, 0)",
        ),
        ("reports", "UPDATE report SET end_at = end_at - 864000"),
    ] {
        let place = place();
        vandalize(&place, sql);
        let found = findings(&place.run(&["doctor", "--format", "json"]).expect(1));
        assert!(found.iter().any(|(_, name, advice)| name == check && *advice), "{check}: {found:?}");
    }
}

#[test]
fn modes_and_configuration_are_looked_at() {
    let place = place();
    let check = |expected: &str, part: &str| {
        let ran = place.run(&["--config", "config.toml", "doctor"]).expect(1);
        let bad: Vec<&str> = ran.stdout.lines().filter(|line| !line.starts_with("ok ")).collect();
        assert_eq!(bad.len(), 1, "{bad:#?}");
        assert!(bad[0].contains(expected) && bad[0].contains(part), "{bad:#?}");
    };
    let mode = |name: &str, mode: u32| fs::set_permissions(place.path(name), Permissions::from_mode(mode)).unwrap();
    place.write("config.toml", "own_domains = [\"example.com\"]\n");
    place.run(&["--config", "config.toml", "doctor"]).expect(0);

    mode("db.sqlite", 0o644);
    check("mode", "chmod 600");
    mode("db.sqlite", 0o600);
    // SQLite gives these the mode of the database.
    for end in ["-wal", "-shm"] {
        let _ = fs::remove_file(place.path(&format!("db.sqlite{end}")));
    }
    mode(".", 0o777);
    check("mode", "chmod go-w");
    mode(".", 0o700);
    mode("config.toml", 0o666);
    check("configuration", "chmod go-w");
    mode("config.toml", 0o600);
    place.write("config.toml", "own_domains = [\"example.com\", \"quiet.example\"]\n");
    check("reports", "quiet.example: newest report none");

    let account = "[[account]]\nname = \"a\"\nhost = \"imap.example\"\nuser = \"u\"\npassword_file = \"secret\"\n";
    place.write("secret", "geheim\n");
    mode("secret", 0o644);
    place.write("config.toml", account);
    check("configuration", "others may read or write");
    mode("secret", 0o600);
    check("fetch", "account `a` was never read");
    vandalize(&place, "INSERT INTO mailbox VALUES (1, 'a', 's', 'INBOX', 1, 0, 1000)");
    check("fetch", "last read to its end 1970-01-01");
    place.write("config.toml", "mistake = 1\n");
    check("configuration", "mistake");
}

#[test]
fn a_missing_a_foreign_and_a_newer_file_are_told() {
    let empty = Place::new();
    fs::set_permissions(empty.dir.path(), Permissions::from_mode(0o700)).unwrap();
    let told = empty.run(&["doctor"]).expect(1);
    assert!(told.stdout.contains("nothing has been fetched yet: run `dmarcdb fetch`"), "{}", told.stdout);
    assert!(!empty.path("db.sqlite").exists());
    empty.write("db.sqlite", "Dear diary");
    let told = empty.run(&["doctor"]).expect(78);
    assert!(told.stdout.contains("not a dmarcdb database"), "{}", told.stdout);
    let place = place();
    vandalize(&place, "PRAGMA user_version = 99");
    let told = place.run(&["doctor"]).expect(78);
    assert!(told.stdout.contains("update dmarcdb"), "{}", told.stdout);
}
