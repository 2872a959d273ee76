//! `dmarcdb prune`: what is old is gone, also from the bytes of the file; what must stay stays.

use std::fs;

use rusqlite::Connection;

use crate::support::run::{Place, report};

const CONFIG: &str =
    "authserv_id = \"mx.example.com\"\nfeedback_senders = [\"fbl.example\"]\nown_domains = [\"example.com\"]\n";

fn now() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64
}

/// A report with names of its own everywhere; its period ends at `end`.
fn named(name: &str, end: i64) -> String {
    report(name, 7)
        .replace("dmarc@receiver.example", &format!("{name}-contact@receiver.example"))
        .replace("<header_from>example.com", &format!("<header_from>{name}-from.example.com"))
        .replace("<selector>s1", &format!("<selector>{name}-selector"))
        .replace("<begin>1755648000", &format!("<begin>{}", end - 86_399))
        .replace("<end>1755734399", &format!("<end>{end}"))
}

/// A complaint that names `person`, of a loop that is trusted, or of nobody.
fn complaint(person: &str, trusted: bool) -> String {
    let field =
        if trusted { "Authentication-Results: mx.example.com; dmarc=pass header.from=fbl.example\r\n" } else { "" };
    format!(
        "{field}From: {person}.reporter@fbl.example\r\nSubject: about {person}.subject\r\nMessage-ID: <{person}.id@fbl.example>\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n\
         --b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nUser-Agent: fbl/1\r\nVersion: 1\r\n\
         Original-Rcpt-To: {person}@isp.example\r\nArrival-Date: Wed, 20 Aug 2025 11:00:00 +0000\r\n\r\n\
         --b\r\nContent-Type: message/rfc822\r\n\r\nFrom: news@example.com\r\nTo: {person}@isp.example\r\n\
         Message-ID: <{person}.offer@example.com>\r\nSubject: offer for {person}\r\n\r\n\r\n--b--\r\n"
    )
}

/// Forty of each kind that are old, some that are not, and one of a stranger from the year 2100.
fn filled() -> Place {
    let place = Place::new();
    place.write("config.toml", CONFIG);
    for number in 0..40 {
        place.write(&format!("in/{number}.xml"), named(&format!("old{number}x"), 1_755_734_399));
        place.write(&format!("in/{number}-c.eml"), complaint(&format!("plain{number}x"), false));
        place.write(&format!("in/{number}-t.eml"), complaint(&format!("trusted{number}x"), true));
        let broken = format!(
            "From: broken{number}x@b.example\r\nContent-Type: text/xml; name=a.xml\r\n\r\n<feedback><broken{number}y/>"
        );
        place.write(&format!("in/{number}-p.eml"), broken);
    }
    place.write("in/future.xml", named("futurex", 4_102_444_800));
    place.run(&["--config", "config.toml", "-q", "ingest", "in"]).expect(65);
    // All this came long ago.
    let connection = Connection::open(place.path("db.sqlite")).unwrap();
    connection.pragma_update(None, "secure_delete", true).unwrap();
    connection
        .execute_batch("UPDATE message SET seen_at = 1755800000; UPDATE problem SET seen_at = 1755800000")
        .unwrap();
    drop(connection);
    place.write("new/new.xml", named("newx", now() - 86_400));
    place.write("new/note.eml", "From: a@b.example\r\nSubject: notex\r\n\r\nhello\r\n");
    place.run(&["--config", "config.toml", "-q", "ingest", "new"]).expect(0);
    place
}

fn prune(place: &Place, more: &[&str]) -> serde_json::Value {
    let mut arguments = vec!["--config", "config.toml", "prune", "--keep", "180d", "--format", "json"];
    arguments.extend(more);
    let mut found = place.run(&arguments).expect(0).json();
    found.as_object_mut().unwrap().remove("before_at");
    found
}

/// Which of the names are anywhere in the files of the database.
fn in_the_bytes<'a>(place: &Place, names: &'a [String]) -> Vec<&'a str> {
    let mut bytes = Vec::new();
    for end in ["", "-wal", "-shm", "-journal"] {
        bytes.extend(fs::read(place.path(&format!("db.sqlite{end}"))).unwrap_or_default());
    }
    let is_there = |name: &&String| memchr::memmem::find(&bytes, name.as_bytes()).is_some();
    names.iter().filter(is_there).map(String::as_str).collect()
}

fn names(kinds: &[&str]) -> Vec<String> {
    kinds.iter().flat_map(|kind| (0..40).map(move |number| kind.replace('#', &format!("{number}x")))).collect()
}

fn suppressed(place: &Place) -> usize {
    place.run(&["--config", "config.toml", "suppress", "export", "--format", "plain"]).expect(0).stdout.lines().count()
}

#[test]
fn nothing_deleted_is_left_in_the_bytes_of_the_file() {
    let place = filled();
    let gone = names(&[
        "old#-contact",
        "old#-from",
        "old#-selector",
        "plain#@isp",
        "plain#.reporter",
        "plain#.subject",
        "plain#.offer",
        "trusted#.subject",
        "trusted#.offer",
        "offer for trusted#",
        "broken#@b",
    ]);
    // What lies packed is told by its head.
    let broken: Vec<String> = (0..40).map(|number| format!("<broken{number}y/>")).collect();
    assert_eq!(in_the_bytes(&place, &gone).len(), gone.len(), "to find nothing later, all must be there now");
    assert_eq!(in_the_bytes(&place, &broken).len(), 40);
    let size = fs::metadata(place.path("db.sqlite")).unwrap().len();
    let would = prune(&place, &["--dry-run"]);
    assert_eq!(in_the_bytes(&place, &gone).len(), gone.len(), "a dry run takes nothing away");
    let done = prune(&place, &[]);
    for name in ["reports", "records", "complaints", "problems"] {
        assert_eq!(would[name], done[name], "{name}");
    }
    assert_eq!((&done["reports"], &done["records"]), (&41.into(), &41.into()), "the one of the year 2100 among them");
    assert_eq!((&done["complaints"], &done["problems"], &done["messages"]), (&80.into(), &40.into(), &161.into()));
    assert_eq!(in_the_bytes(&place, &gone), Vec::<&str>::new());
    assert_eq!(in_the_bytes(&place, &broken), Vec::<&str>::new());
    let left = fs::metadata(place.path("db.sqlite")).unwrap().len();
    let free: i64 = place.database().pragma_query_value(None, "freelist_count", |row| row.get(0)).unwrap();
    assert!(left < size && free == 0, "{size} bytes before, {left} after, {free} pages free");
    assert_eq!(
        prune(&place, &[]),
        serde_json::json!({"reports": 0, "records": 0, "complaints": 0, "bounces": 0, "problems": 0, "messages": 0, "summed_reports": 0})
    );
}

#[test]
fn space_is_given_back_in_place() {
    let (place, anew) = (filled(), filled());
    let size = fs::metadata(place.path("db.sqlite")).unwrap().len();
    assert_eq!(prune(&place, &["--in-place"]), prune(&anew, &[]));
    let left = fs::metadata(place.path("db.sqlite")).unwrap().len();
    let free: i64 = place.database().pragma_query_value(None, "freelist_count", |row| row.get(0)).unwrap();
    assert!(left < size && free == 0, "{size} bytes before, {left} after, {free} pages free");
    let whole: String = place.database().pragma_query_value(None, "integrity_check", |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
    assert_eq!(suppressed(&place), suppressed(&anew));
}

#[test]
fn what_must_stay_stays() {
    let place = filled();
    assert_eq!(suppressed(&place), 40);
    let recent = |place: &Place| {
        place.run(&["summary", "--since", "30d", "--by", "reporter", "--format", "csv"]).expect(0).stdout
    };
    let before = recent(&place);
    prune(&place, &[]);
    assert_eq!(recent(&place), before);
    assert_eq!(suppressed(&place), 40, "nobody is mailed again because evidence was pruned");
    let why = place.run(&["suppress", "why", "trusted3x@isp.example"]).expect(0).stdout;
    assert!(why.contains("complaint"), "{why}");

    // The same mail offered again is a duplicate, whatever it was.
    let again = place.run(&["--config", "config.toml", "ingest", "in", "new", "--format", "json"]).expect(0).json();
    assert_eq!(again["duplicate"], again["messages"], "{again}");
    assert_eq!(recent(&place), before);
    // What is ours is still known, and judging again takes nobody off the list.
    place.write("config.toml", CONFIG.replace(", \"x\"", "").replace("own_domains = [\"example.com\"]", ""));
    place.run(&["--config", "config.toml", "-q", "ingest", "new"]).expect(0);
    assert_eq!(suppressed(&place), 40);
    let doctor = place.run(&["doctor", "--full"]);
    let bad: Vec<&str> =
        doctor.stdout.lines().filter(|line| !line.starts_with("ok ") && !line.starts_with("warn   mode")).collect();
    assert_eq!(bad, Vec::<&str>::new());
}

#[test]
fn a_wrong_clock_or_a_wrong_word_takes_nothing_away() {
    let place = Place::new();
    place.write("a.xml", report("a", 3));
    place.run(&["-q", "ingest", "a.xml"]).expect(0);
    let connection = Connection::open(place.path("db.sqlite")).unwrap();
    connection.execute_batch("UPDATE message SET seen_at = 1755800000").unwrap();
    drop(connection);
    let reports = |place: &Place| {
        place.run(&["reports", "--since", "all", "--format", "csv"]).expect(0).stdout.lines().count() - 1
    };
    let refused = place.run(&["prune", "--keep", "30d"]).expect(2);
    assert!(refused.stderr.contains("--everything"), "{}", refused.stderr);
    for wrong in ["0d", "all", "2020-01-01", "x"] {
        place.run(&["prune", "--keep", wrong]).expect(2);
    }
    place.run(&["prune"]).expect(2);
    assert_eq!(reports(&place), 1);
    place.run(&["prune", "--keep", "30d", "--everything"]).expect(0);
    assert_eq!(reports(&place), 0);
    let none = Place::new();
    none.run(&["prune", "--keep", "30d"]).expect(74);
    assert!(!none.path("db.sqlite").exists());
}

#[test]
fn reports_that_contradict_each_other_go_together() {
    let place = Place::new();
    for messages in [1, 2, 3] {
        place.write(&format!("{messages}.xml"), report("a", messages));
    }
    place.write("new.xml", named("newx", now()));
    place.run(&["-q", "ingest", "1.xml", "2.xml", "3.xml", "new.xml"]).expect(0);
    assert_eq!(
        prune(
            &{
                place.write("config.toml", "");
                place
            },
            &[]
        )["reports"],
        3
    );
}
