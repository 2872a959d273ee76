//! A damaged database: every command answers right or says that the file is damaged, and none writes into it. And the way
//! back: a backup, restored as docs/backup.md says.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::support::run::{Place, Ran, report};

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    /// One of `0..sides`.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % sides as u64) as usize
    }
}

/// Commands that read, and those that write.
const READ: [&[&str]; 8] = [
    &["summary", "--since", "2025-08-01", "--until", "2025-09-01", "--format", "csv"],
    &["reports", "--since", "all", "--format", "csv"],
    &["records", "--since", "all", "--format", "csv"],
    &["messages", "--format", "csv"],
    &["problems", "--all", "--format", "csv"],
    &["reporter", "--format", "csv"],
    &["source", "192.0.2.1", "--format", "json"],
    &["suppress", "export"],
];
const WRITE: [&[&str]; 4] = [
    &["-q", "ingest", "new.xml"],
    &["suppress", "add", "bob@isp.example", "--reason", "x"],
    &["suppress", "lift", "eve@isp.example", "--reason", "x"],
    &["problems", "retry"],
];

fn database() -> Place {
    let place = Place::new();
    for number in 0..120 {
        let report =
            report(&format!("r{number}"), number + 1).replace("192.0.2.1", &format!("192.0.2.{}", number % 200));
        place.write(&format!("in/{number}.xml"), report);
    }
    place.write("in/bad.xml", &report("d", 1)[..400]);
    place.run(&["-q", "ingest", "in"]).expect(65);
    place.run(&["-q", "suppress", "add", "eve@isp.example", "--reason", "asked"]).expect(0);
    place.write("new.xml", report("new", 1));
    place
}

/// The database file and those beside it, but for empty ones, which only tell that it was opened.
fn files(place: &Place) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(place.dir.path()).unwrap().map(Result::unwrap);
    let database = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("db.sqlite"));
    let read =
        database.map(|entry| (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).unwrap()));
    read.filter(|(name, bytes)| !name.ends_with("-shm") && !bytes.is_empty()).collect()
}

/// Puts `bytes` in the place of the database, with nothing beside it.
fn put(place: &Place, bytes: &[u8]) {
    for end in ["-wal", "-shm"] {
        let _ = fs::remove_file(place.path(&format!("db.sqlite{end}")));
    }
    fs::write(place.path("db.sqlite"), bytes).unwrap();
}

fn says_what_helps(ran: &Ran) -> bool {
    ["restore a backup", "name another file with --db", "upgrade dmarcdb", "update dmarcdb", "dmarcdb fetch"]
        .iter()
        .any(|help| ran.stderr.contains(help) || ran.stdout.contains(help))
}

#[test]
fn garbage_in_pages_is_refused_or_without_effect() {
    let place = database();
    let sound = fs::read(place.path("db.sqlite")).unwrap();
    let answers = READ.map(|command| place.run(command).expect(0).stdout);
    let mut dice = Dice(20_261_121);
    let (mut refused, mut unseen) = (0, 0);
    for round in 0..60 {
        let mut bytes = sound.clone();
        let pages = bytes.len() / 4096;
        for _ in 0..=dice.roll(3) {
            let start = 4096 * dice.roll(pages) + dice.roll(16);
            let length = 8 << dice.roll(9);
            let end = (start + length).min(bytes.len());
            for byte in &mut bytes[start..end] {
                *byte = dice.roll(256) as u8;
            }
        }
        put(&place, &bytes);
        for (command, answer) in READ.iter().zip(&answers) {
            let ran = place.run(command);
            match ran.status {
                // What is wrong may be in a page that this question does not read.
                Some(0) => assert!(ran.stdout == *answer, "round {round}: {command:?}: {}", ran.stdout),
                Some(74 | 78) => {
                    refused += 1;
                    assert!(says_what_helps(&ran), "round {round}: {command:?}: {}", ran.stderr);
                }
                status => panic!("round {round}: {command:?}: {status:?}: {}", ran.stderr),
            }
        }
        let doctor = place.run(&["doctor"]);
        assert!(matches!(doctor.status, Some(1 | 74 | 78)), "round {round}: {}", doctor.stdout);
        let seen = doctor.status != Some(1);
        unseen += u32::from(!seen);
        let backup = place.run(&["backup", "copy.sqlite"]);
        assert!(matches!(backup.status, Some(0 | 74 | 78)), "round {round}: backup: {}", backup.stderr);
        let _ = fs::remove_file(place.path("copy.sqlite"));
        assert_eq!(files(&place)["db.sqlite"], bytes, "round {round}: reading wrote");
        for command in WRITE {
            // Garbage in what a page has left over is seen by nobody and harms nobody.
            if !seen {
                continue;
            }
            let ran = place.run(command);
            assert!(matches!(ran.status, Some(74 | 78)), "round {round}: {command:?}: {:?} {}", ran.status, ran.stderr);
            assert!(says_what_helps(&ran), "round {round}: {command:?}: {}", ran.stderr);
            assert_eq!(
                files(&place),
                BTreeMap::from([("db.sqlite".to_owned(), bytes.clone())]),
                "round {round}: {command:?} wrote"
            );
        }
    }
    assert!(refused > 200 && unseen < 15, "{refused} refusals, {unseen} rounds without: was there any damage?");
}

#[test]
fn flipped_bits_never_crash_anything() {
    let place = database();
    let sound = fs::read(place.path("db.sqlite")).unwrap();
    let mut dice = Dice(4711);
    for round in 0..100 {
        let mut bytes = sound.clone();
        for _ in 0..=dice.roll(4) {
            // The header of the file and of its pages more often than chance would.
            let at = match dice.roll(4) {
                0 => dice.roll(100),
                1 => 4096 * dice.roll(bytes.len() / 4096) + dice.roll(12),
                _ => dice.roll(bytes.len()),
            };
            bytes[at] ^= 1 << dice.roll(8);
        }
        put(&place, &bytes);
        let (read, write) = (READ[round % READ.len()], WRITE[round % WRITE.len()]);
        for command in [read, &["doctor"], write] {
            let ran = place.run(command);
            let expected = matches!(ran.status, Some(0 | 1 | 65 | 74 | 78));
            assert!(expected, "round {round}: {command:?}: {:?}: {}", ran.status, ran.stderr);
            assert!(!ran.stderr.contains("panicked"), "round {round}: {command:?}: {}", ran.stderr);
        }
    }
}

#[test]
fn a_truncated_file_is_refused_and_left_alone() {
    let place = database();
    let sound = fs::read(place.path("db.sqlite")).unwrap();
    for length in [1, 15, 16, 99, 100, 512, 4095, 4096, 8192, sound.len() / 2, sound.len() - 4096, sound.len() - 1] {
        put(&place, &sound[..length]);
        for command in READ.iter().chain(&WRITE).chain([&["doctor"][..], &["backup", "copy.sqlite"]].iter()) {
            let ran = place.run(command);
            // The last byte is not among those that every question reads.
            let whole_enough = length == sound.len() - 1 || length == sound.len() - 4096;
            let reads = !WRITE.contains(command) && command[0] != "doctor";
            let expected = matches!(ran.status, Some(74 | 78)) || whole_enough && reads && ran.status == Some(0);
            assert!(expected, "{length}: {command:?}: {:?}: {}{}", ran.status, ran.stderr, ran.stdout);
            assert_eq!(files(&place)["db.sqlite"], &sound[..length], "{length}: {command:?} wrote");
        }
    }
    assert!(!place.path("copy.sqlite").exists());
}

#[test]
fn a_foreign_and_a_newer_file_are_refused_and_left_alone() {
    let place = database();
    let other = place.path("other.sqlite");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE diary (entry)").unwrap();
    let writer = rusqlite::Connection::open(place.path("db.sqlite")).unwrap();
    writer.pragma_update(None, "user_version", 99).unwrap();
    drop(writer);
    let newer = fs::read(place.path("db.sqlite")).unwrap();
    for bytes in [fs::read(other).unwrap(), b"Dear diary, today I replaced a database".to_vec(), newer] {
        put(&place, &bytes);
        for command in READ.iter().chain(&WRITE).chain([&["doctor"][..], &["backup", "copy.sqlite"]].iter()) {
            let ran = place.run(command);
            assert!(matches!(ran.status, Some(74 | 78)), "{command:?}: {:?}: {}", ran.status, ran.stderr);
            assert!(says_what_helps(&ran), "{command:?}: {}{}", ran.stderr, ran.stdout);
            assert_eq!(files(&place), BTreeMap::from([("db.sqlite".to_owned(), bytes.clone())]), "{command:?} wrote");
        }
    }
}

#[test]
fn a_backup_is_private_whole_and_never_overwrites() {
    let place = database();
    // While somebody writes, and somebody reads.
    let other = rusqlite::Connection::open(place.path("db.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; INSERT INTO text (value) VALUES ('half done')").unwrap();
    place.run(&["backup", "copy.sqlite"]).expect(0);
    drop(other);
    let copy = place.path("copy.sqlite");
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    let (bytes, summary) = (fs::read(&copy).unwrap(), READ[0]);
    place.run(&["backup", "copy.sqlite"]).expect(73);
    std::os::unix::fs::symlink("nowhere", place.path("link")).unwrap();
    place.run(&["backup", "link"]).expect(73);
    place.run(&["backup", "none/copy.sqlite"]).expect(73);
    assert_eq!(fs::read(&copy).unwrap(), bytes);
    let expected = place.run(summary).expect(0).stdout;
    let elsewhere = Place::new();
    fs::copy(&copy, elsewhere.path("db.sqlite")).unwrap();
    assert_eq!(elsewhere.run(summary).expect(0).stdout, expected);
    let names = fs::read_dir(place.dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names.filter(|name| name.contains(".tmp")).count() == 0, "nothing is left beside it");
}

/// The steps of docs/backup.md.
#[test]
fn a_backup_is_restored() {
    let place = database();
    place.run(&["backup", "copy.sqlite"]).expect(0);
    place.run(&["-q", "ingest", "new.xml"]).expect(0);
    let expected = place.run(READ[0]).expect(0).stdout;
    let mut bytes = fs::read(place.path("db.sqlite")).unwrap();
    bytes[4096..40960].fill(0xA5);
    put(&place, &bytes);
    place.run(&["-q", "ingest", "new.xml"]).expect(74);

    let copy = Command::new(env!("CARGO_BIN_EXE_dmarcdb"))
        .arg("--db")
        .arg(place.path("copy.sqlite"))
        .args(["doctor", "--full"])
        .output()
        .unwrap();
    let told = String::from_utf8(copy.stdout).unwrap();
    // The reports are old, which is right.
    assert!(told.lines().all(|line| line.starts_with("ok ") || line.starts_with("warn   reports")), "{told}");
    for end in ["", "-wal", "-shm"] {
        let _ = fs::rename(place.path(&format!("db.sqlite{end}")), place.path(&format!("damaged.sqlite{end}")));
    }
    fs::copy(place.path("copy.sqlite"), place.path("db.sqlite")).unwrap();
    // What came since is offered again.
    place.run(&["-q", "ingest", "in", "new.xml"]).expect(0);
    assert_eq!(place.run(READ[0]).expect(0).stdout, expected);
    assert_eq!(fs::metadata(place.path("db.sqlite")).unwrap().permissions().mode() & 0o777, 0o600);
}
