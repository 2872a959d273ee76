//! `dmarcdb ingest` through the front door: what is kept, what is told, and how it ends.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::support::run::{Place, Ran, mail, report};

/// Counts of the whole database: messages in the ledger, reports, records, sum of messages.
fn counts(place: &Place) -> [i64; 4] {
    ["message", "report", "record"]
        .map(|table| format!("SELECT count(*) FROM {table}"))
        .into_iter()
        .chain(["SELECT coalesce(sum(messages), 0) FROM v_record".to_owned()])
        .map(|query| place.database().query_row(&query, [], |row| row.get(0)).unwrap())
        .collect::<Vec<_>>()
        .try_into()
        .unwrap()
}

#[test]
fn a_second_time_changes_nothing() {
    let place = Place::new();
    place.write("in/a.eml", mail("a", 3));
    place.write("in/b.xml", report("b", 4));
    let first = place.run(&["ingest", "in", "--format", "json"]).expect(0).json();
    assert_eq!(first["messages"], 2);
    assert_eq!(first["stored"], 2);
    assert_eq!(first["reports"]["aggregate"], 2);
    assert_eq!(first["records"], 2);
    let before = counts(&place);
    assert_eq!(before, [2, 2, 2, 7]);
    let second = place.run(&["ingest", "in", "--format", "json"]).expect(0).json();
    assert_eq!((&second["duplicate"], &second["stored"], &second["records"]), (&2.into(), &0.into(), &0.into()));
    assert_eq!(counts(&place), before);
}

#[test]
fn the_same_report_in_another_container_is_a_duplicate() {
    let place = Place::new();
    place.write("a.xml", report("a", 3));
    place.write("b.eml", mail("a", 3));
    let done = place.run(&["ingest", "a.xml", "b.eml", "--format", "json"]).expect(0).json();
    assert_eq!((&done["stored"], &done["duplicate"]), (&1.into(), &1.into()));
    assert_eq!(counts(&place), [2, 1, 1, 3]);
}

#[test]
fn the_same_identity_with_other_content_is_a_conflict_that_does_not_count() {
    let place = Place::new();
    place.write("a.xml", report("a", 3));
    place.write("b.xml", report("a", 999));
    place.run(&["ingest", "a.xml", "b.xml"]).expect(0);
    let conflict: Vec<(i64, Option<i64>)> = place
        .database()
        .prepare("SELECT messages, conflict_with FROM v_report ORDER BY id")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(conflict, [(3, None), (999, Some(1))]);
    let summary = place.run(&["summary", "--since", "all", "--format", "json"]).expect(0).json();
    assert_eq!(summary["totals"]["messages"], 3);
}

#[test]
fn what_can_not_be_read_is_told_and_the_rest_goes_on() {
    let place = Place::new();
    place.write("bad.xml", &report("bad", 1)[..500]);
    place.write("good.xml", report("good", 2));
    place.write("letter.eml", "From: a@b.example\r\nSubject: hello\r\n\r\nHow are you?\r\n");
    let done =
        place.run(&["ingest", "bad.xml", "good.xml", "letter.eml", "missing.xml", "--format", "json"]).expect(65);
    let tally = done.json();
    assert_eq!(tally["messages"], 4);
    assert_eq!((&tally["stored"], &tally["not_a_report"], &tally["problems"]), (&1.into(), &1.into(), &2.into()));
    assert!(done.stderr.contains("bad.xml: truncated: "), "{}", done.stderr);
    assert!(done.stderr.contains("missing.xml: unreadable: "), "{}", done.stderr);
    let problems = place.run(&["problems", "--format", "json"]).expect(0).json();
    assert_eq!(problems.as_array().unwrap().len(), 2, "{problems}");
}

#[test]
fn a_stored_report_and_a_problem_in_one_message_are_partial() {
    let place = Place::new();
    let (good, bad) = (report("a", 3), &report("b", 1)[..500]);
    let part = |name: &str, xml: &str| format!("--x\r\nContent-Type: text/xml; name={name}\r\n\r\n{xml}\r\n");
    let mail = format!(
        "From: r@receiver.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n{}{}--x--\r\n",
        part("a.xml", &good),
        part("b.xml", bad)
    );
    place.write("both.eml", mail);
    let done = place.run(&["ingest", "both.eml", "--format", "json"]).expect(65).json();
    assert_eq!((&done["problems"], &done["partial"], &done["records"]), (&1.into(), &1.into(), &1.into()));
    let outcome: String = place.database().query_row("SELECT outcome FROM v_message", [], |row| row.get(0)).unwrap();
    assert_eq!(outcome, "partial");
}

/// What a server that shares files does by a lease (F_SETLEASE), until it has told its client.
#[test]
fn a_file_that_somebody_has_leased_is_waited_for() {
    let place = Place::new();
    let path = place.write("a.xml", report("a", 3));
    let plain = place.command(&["ingest", path.to_str().unwrap(), "--format", "json"]);
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "inject=openat:error=EAGAIN:when=1", "-P"]).arg(&path);
    command.arg(plain.get_program()).args(plain.get_args()).current_dir(place.dir.path());
    let ran = Ran::from(command.output().unwrap()).expect(0);
    assert_eq!((&ran.json()["stored"], &ran.json()["records"]), (&1.into(), &1.into()));
}

#[test]
fn standard_input_is_read() {
    let place = Place::new();
    let mbox = format!(
        "From a@b Thu Aug 21 06:00:00 2025\n{}\nFrom a@b Thu Aug 21 06:00:01 2025\n{}\n",
        mail("a", 1).replace("\r\n", "\n"),
        mail("b", 2).replace("\r\n", "\n")
    );
    let done = place.run_with_input(&["ingest", "-", "--format", "json"], mbox.as_bytes()).expect(0).json();
    assert_eq!((&done["messages"], &done["stored"]), (&2.into(), &2.into()));
    let done = place.run_with_input(&["ingest", "-", "--format", "json"], report("c", 4).as_bytes()).expect(0).json();
    assert_eq!(done["stored"], 1);
    assert_eq!(counts(&place)[3], 7);
}

#[test]
fn a_dry_run_stores_nothing() {
    let place = Place::new();
    place.write("a.xml", report("a", 3));
    let done = place.run(&["ingest", "a.xml", "--dry-run", "--format", "json"]).expect(0).json();
    assert_eq!((&done["stored"], &done["records"]), (&1.into(), &1.into()));
    assert_eq!(counts(&place), [0, 0, 0, 0]);
}

#[test]
fn the_database_is_for_its_owner_alone() {
    let place = Place::new();
    place.write("a.xml", report("a", 3));
    let db = place.path("deep/dmarcdb/dmarcdb.sqlite");
    let data = place.path("deep");
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_dmarcdb"))
        .env_clear()
        .env("XDG_DATA_HOME", &data)
        .arg("ingest")
        .arg(place.path("a.xml"))
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&db), 0o600);
    assert_eq!(mode(db.parent().unwrap()), 0o700);
}

#[test]
fn one_writer_at_a_time() {
    let place = Place::new();
    place.write("a.xml", report("a", 3));
    // The first waits for its standard input, with the lock.
    let mut first = place
        .command(&["ingest", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lock = place.path("db.sqlite");
    for _ in 0..500 {
        if lock.exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let second = place.run(&["ingest", "a.xml"]).expect(75);
    assert!(second.stderr.contains("another run of dmarcdb is writing"), "{}", second.stderr);
    drop(first.stdin.take());
    first.wait().unwrap();
    place.run(&["ingest", "a.xml"]).expect(0);
}

#[test]
fn foreign_and_newer_files_are_refused_and_left_alone() {
    let place = Place::new();
    place.write("a.xml", report("a", 3));
    let path = place.write("db.sqlite", "this is no database, it is a letter\n".repeat(100));
    let before = fs::read(&path).unwrap();
    let refused = place.run(&["ingest", "a.xml"]).expect(78);
    assert!(refused.stderr.contains("is not a dmarcdb database"), "{}", refused.stderr);
    assert_eq!(fs::read(&path).unwrap(), before);
    fs::remove_file(&path).unwrap();
    place.run(&["ingest", "a.xml"]).expect(0);
    let writer = rusqlite::Connection::open(&path).unwrap();
    writer.pragma_update(None, "user_version", 9999).unwrap();
    drop(writer);
    let refused = place.run(&["ingest", "a.xml"]).expect(78);
    assert!(refused.stderr.contains("upgrade dmarcdb"), "{}", refused.stderr);
}

#[test]
fn a_closed_pipe_is_no_error() {
    let place = Place::new();
    for number in 0..300 {
        place.write(&format!("in/{number}.xml"), report(&format!("r{number}"), 1));
    }
    place.run(&["-q", "ingest", "in"]).expect(0);
    let mut child = place
        .command(&["records", "--since", "all", "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut byte = [0];
    child.stdout.take().unwrap().read_exact(&mut byte).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_problem_is_read_again_when_the_bounds_allow_it() {
    let place = Place::new();
    place.write("a.xml", report("a", 3));
    let narrow = place.write("narrow.toml", "[limits]\nxml_depth = 2\n");
    place.run(&["--config", narrow.to_str().unwrap(), "ingest", "a.xml"]).expect(65);
    assert_eq!(counts(&place)[1], 0);
    let retried = place.run(&["problems", "retry"]).expect(0);
    assert!(retried.stderr.contains("1 of 1"), "{}", retried.stderr);
    assert_eq!(counts(&place), [1, 1, 1, 3]);
    let waiting: i64 = place
        .database()
        .query_row("SELECT count(*) FROM problem WHERE solved_at IS NULL", [], |row| row.get(0))
        .unwrap();
    assert_eq!(waiting, 0);
}

#[test]
fn a_file_that_is_offered_again_is_read_again_where_it_could_not_be_read() {
    let place = Place::new();
    place.write("a.xml", report("a", 3));
    let narrow = place.write("narrow.toml", "[limits]\nxml_depth = 2\n");
    let narrow = ["--config", narrow.to_str().unwrap(), "ingest", "a.xml", "--format", "json"];
    assert_eq!(place.run(&narrow).expect(65).json()["problems"], 1);
    assert_eq!(place.run(&narrow).expect(0).json()["duplicate"], 1, "the same problem is nothing new");
    let wide = place.run(&["ingest", "a.xml", "--format", "json"]).expect(0).json();
    assert_eq!((&wide["stored"], &wide["records"]), (&1.into(), &1.into()));
    assert_eq!(counts(&place), [1, 1, 1, 3]);
    let problems = place.run(&["problems", "--format", "json"]).expect(0).json();
    assert_eq!(problems.as_array().unwrap().len(), 0);
}
