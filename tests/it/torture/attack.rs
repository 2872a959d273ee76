//! A thousand hostile mails among a thousand good ones: the good ones are in after one run, in bounded time and memory.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::site::{ANY_USER, Kept, Site};
use super::suite::{Random, Suite, full, scale};
use crate::support::dovecot::Dovecot;
use crate::support::run::{Ran, mail};

/// What is promised of the release build; the other one is slower, and shares its cores with other tests.
const MOST_TIME: Duration = Duration::from_secs(if cfg!(debug_assertions) { 240 } else { 60 });
const MOST_MEMORY: u64 = 128_000_000;

/// A report that our own server says is from whom it names.
fn good(number: usize) -> Vec<u8> {
    let field = "Authentication-Results: mx.example.com; dmarc=pass header.from=receiver.example\r\n";
    format!("{field}{}", mail(&format!("good{number}"), messages(number))).into_bytes()
}

fn messages(number: usize) -> u32 {
    1 + number as u32 % 1000
}

/// What strangers sent to others, and what they would send to bring a program down.
fn hostile(count: usize) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let folders = ["hostile/mail", "hostile/strangers", "hostile/trust", "feedback/hostile", "feedback/adversarial"];
    let mut files: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .collect();
    files.sort();
    let mut mails = bombs();
    mails.extend(files.iter().map(|path| std::fs::read(path).unwrap()));
    mails.truncate(count * 4 / 5);
    let mut random = Random::new(81);
    let originals = mails.len();
    while mails.len() < count {
        let forged = mail(&format!("good{}", random.below(count)), 1_000_000 + random.below(1000) as u32);
        let mutated = mutated(&mails[random.below(originals)], &mut random);
        mails.push(if mails.len().is_multiple_of(3) { forged.into_bytes() } else { mutated });
    }
    mails
}

/// Some bytes changed, left out or doubled. What is very large stays as it is, for it is there for its size.
fn mutated(mail: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = mail.to_vec();
    if bytes.is_empty() || bytes.len() > 1 << 20 {
        return b"Subject: nothing\r\n".to_vec();
    }
    for _ in 0..1 + random.below(8) {
        let at = random.below(bytes.len());
        match random.below(4) {
            0 => bytes[at] = random.next() as u8,
            1 => bytes.truncate(at.max(1)),
            2 => bytes.extend_from_within(at..),
            _ => bytes.insert(at, *b"\r\n<>-=\"\0".get(random.below(8)).unwrap()),
        }
        bytes.truncate(1 << 20);
    }
    bytes
}

/// Small mails that unpack to much, or cost much to take apart.
fn bombs() -> Vec<Vec<u8>> {
    let gzip = |content: &[u8], times: usize| {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        (0..times).for_each(|_| packer.write_all(content).unwrap());
        packer.finish().unwrap()
    };
    let attached = |packed: &[u8]| {
        let head = "From: a@evil.example\r\nMIME-Version: 1.0\r\nContent-Type: application/gzip; name=\"r.xml.gz\"\r\n\
            Content-Transfer-Encoding: base64\r\n\r\n";
        format!("{head}{}\r\n", STANDARD.encode(packed)).into_bytes()
    };
    let megabyte = vec![b' '; 1 << 20];
    let nested: String = (0..5000)
        .map(|depth| format!("Content-Type: multipart/mixed; boundary=b{depth}\r\n\r\n--b{depth}\r\n"))
        .collect();
    let words = format!("Subject: {}\r\n\r\nhello\r\n", "=?=?".repeat(1 << 18));
    let encoded = format!("Subject: {}\r\n\r\nhello\r\n", "=?utf-8?q?a?= ".repeat(1 << 16));
    let deep = "<a>".repeat(1 << 20);
    let record = "<record><row><source_ip>192.0.2.1</source_ip><count>1</count></row></record>";
    let boundaries = "--\r\n".repeat(1 << 20);
    vec![
        attached(&gzip(&megabyte, 200)),
        attached(&gzip(&gzip(&megabyte, 100), 1)),
        attached(&gzip(deep.as_bytes(), 1)),
        attached(&gzip(format!("<feedback>{}", record.repeat(10_000)).as_bytes(), 10)),
        nested.into_bytes(),
        words.into_bytes(),
        encoded.into_bytes(),
        format!("Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n{boundaries}").into_bytes(),
        [b"Subject: large\r\n\r\n".to_vec(), vec![b'x'; 33 << 20]].concat(),
    ]
}

/// Runs the program; the most memory that was resident, and how long it took.
fn measure(site: &Site<'_>) -> (Ran, u64, Duration) {
    let started = Instant::now();
    let mut child = site.command(&[]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let peak =
            text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse().ok());
        most = most.max(peak.unwrap_or(0) * 1024);
        std::thread::sleep(Duration::from_millis(2));
    }
    let took = started.elapsed();
    (child.wait_with_output().unwrap().into(), most, took)
}

#[test]
fn good_mail_comes_through_among_hostile_mail() {
    let mut suite = Suite::new("hostile and good mails", "torture::attack::good_mail_comes_through_among_hostile_mail");
    let server = Dovecot::start_with(ANY_USER);
    let site = Site::imap(&server, "alice", server.imap, "");
    let config = std::fs::read_to_string(site.place.path("config.toml")).unwrap();
    site.place.write("config.toml", format!("authserv_id = \"mx.example.com\"\n{config}"));
    let count = scale(250, 1000);
    let mut mails: Vec<(Option<usize>, Vec<u8>)> = hostile(count).into_iter().map(|mail| (None, mail)).collect();
    mails.extend((0..count).map(|number| (Some(number), good(number))));
    let mut random = Random::new(82);
    for last in (1..mails.len()).rev() {
        mails.swap(last, random.below(last + 1));
    }
    mails.iter().for_each(|(_, mail)| server.deliver("alice", "INBOX", mail));
    let (ran, memory, time) = measure(&site);
    let mut wrong = Vec::new();
    if ran.status != Some(0) {
        wrong.push(format!("status {:?}: {}", ran.status, ran.stderr));
    }
    if memory >= MOST_MEMORY || time >= MOST_TIME {
        wrong.push(format!("{time:?} and {memory} bytes resident"));
    }
    let archive: Vec<Vec<u8>> = server.stored("alice", "Done").into_iter().map(|stored| stored.bytes).collect();
    let archive: std::collections::HashSet<Vec<u8>> = archive.into_iter().collect();
    let database = site.place.database();
    let mut counted = database.prepare("SELECT messages FROM v_report WHERE report_id = ?1 AND counted").unwrap();
    for (number, mail) in mails.iter().filter_map(|(number, mail)| Some(((*number)?, mail))) {
        let found = counted.query_map([format!("good{number}")], |row| row.get(0)).unwrap();
        let found: Vec<u32> = found.collect::<Result<_, _>>().unwrap();
        if found != [messages(number)] {
            wrong.push(format!("good{number} counts {found:?} instead of {}", messages(number)));
        }
        if !archive.contains(mail) {
            wrong.push(format!("good{number} was not moved"));
        }
    }
    if let Err(why) = Kept::read(&site.place.path("db.sqlite")) {
        wrong.push(format!("I6: {why}"));
    }
    let again = site.run();
    if again.status != Some(0) {
        wrong.push(format!("the next run: {:?}: {}", again.status, again.stderr));
    }
    suite.points("the attack", mails.len() as u64, wrong);
    suite.note(format!("one run: {:.1} s, {} MB", time.as_secs_f64(), memory / 1_000_000));
    suite.done(500, 2000);
    assert!(!full() || mails.len() == 2000);
}
