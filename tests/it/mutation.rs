//! Damaged and malicious variants of every sample, the same ones in every run: none makes the reader panic, hang, or
//! take half a report. `MUTATIONS=100` tries a hundred times as many.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dmarcdb::limits::Limits;
use dmarcdb::mail;
use dmarcdb::reading::{Item, Reading, Settings};
use dmarcdb::unpack::{Budget, Content, Event, unpack};

use super::invariants;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// Pieces that mean something to some reader on the way.
const TOKENS: [&[u8]; 46] = [
    b"\0",
    b"\r\n",
    b"\r\n\r\n",
    b"\r",
    b"--",
    b"--b--\r\n",
    b"PK\x03\x04",
    b"PK\x01\x02",
    b"PK\x05\x06",
    b"\x1f\x8b",
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xfe\xff",
    b"\xff",
    b"\xc3",
    b"<",
    b">",
    b"<record>",
    b"</record>",
    b"<feedback>",
    b"</feedback>",
    b"<row>",
    b"<policy_published>",
    b"<extension>",
    b"<domain/>",
    b"<!--",
    b"-->",
    b"<![CDATA[",
    b"]]>",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
    b"<?xml version='1.0' encoding='utf-16'?>",
    b"&#x",
    b"&#0;",
    b"&amp;",
    b"&",
    b"99999999999999999999",
    b"-1",
    b"=",
    b"=?utf-8?b?",
    b"=?utf-8?q?=00?=",
    b"\\u0000",
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Feedback-Type: abuse\r\n",
    b"Original-Rcpt-To: <a@b.example>, c@d.example\r\n",
];

/// One to four random changes.
fn mutated(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..1 + random.below(4) {
        change(&mut bytes, random);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, random: &mut Random) {
    let length = bytes.len();
    let at = random.below(length);
    let block = at..(at + 1 + random.below(length / 4)).min(length);
    match random.below(9) {
        0 if length > 0 => bytes[at] ^= 1 << random.below(8),
        1 if length > 0 => bytes[at] = random.next() as u8,
        2 | 3 => drop(bytes.splice(at..at, TOKENS[random.below(TOKENS.len())].iter().copied())),
        4 => {
            let token = TOKENS[random.below(TOKENS.len())];
            bytes.splice(at..(at + token.len()).min(length), token.iter().copied());
        }
        5 => bytes.truncate(at),
        6 => drop(bytes.drain(block)),
        7 => {
            let copy = bytes[block].to_vec();
            let to = random.below(length);
            bytes.splice(to..to, copy);
        }
        _ => {
            let number = bytes[at..].iter().position(u8::is_ascii_digit).map(|found| at + found);
            if let Some(start) = number {
                let end =
                    bytes[start..].iter().position(|byte| !byte.is_ascii_digit()).map_or(length, |found| start + found);
                let other = ["", "0", "18446744073709551616", "-5", "1e9", "2147483649", "00000000000000000001"]
                    [random.below(7)];
                bytes.splice(start..end, other.bytes());
            }
        }
    }
}

/// A message to change.
struct Seed {
    place: String,
    bytes: Vec<u8>,
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// What Amazon tells over SNS, of which the samples have none: a complaint and a bounce, bare, in the envelope of SNS, and by mail.
fn notifications() -> Vec<Seed> {
    const MAIL: &str = r#""mail":{"timestamp":"2026-08-04T08:59:38.237Z","source":"news@example.com","sourceIp":"192.0.2.10",
"messageId":"0000","destination":["Ann@people.example","bob@people.example"],"headers":[{"name":"From",
"value":"News <news@example.com>"},{"name":"Message-ID","value":"<n1@example.com>"},{"name":"List-Id","value":"<l.example.com>"}]}"#;
    const COMPLAINT: &str = r#"{"notificationType":"Complaint","complaint":{"complainedRecipients":[{"emailAddress":
"Ann@people.example"}],"timestamp":"2026-08-04T09:02:00.000Z","feedbackId":"f1","complaintSubType":null,"userAgent":"x/1",
"complaintFeedbackType":"abuse","arrivalDate":"2026-08-04T09:00:00.000Z"},"#;
    const BOUNCE: &str = r#"{"eventType":"Bounce","bounce":{"bounceType":"Permanent","bounceSubType":"General",
"bouncedRecipients":[{"emailAddress":"bob@people.example","action":"failed","status":"5.1.1","diagnosticCode":
"smtp; 550 5.1.1 no such user"}],"timestamp":"2026-08-04T09:02:00.000Z","feedbackId":"f2","reportingMTA":"dns; a.example",
"remoteMtaIp":"192.0.2.25"},"#;
    let seed = |place: &str, text: String| Seed { place: place.to_owned(), bytes: text.into_bytes() };
    let mut seeds = Vec::new();
    for event in [COMPLAINT, BOUNCE] {
        let bare = format!("{event}{MAIL}}}");
        let quoted = bare.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let enveloped = format!(r#"{{"Type":"Notification","TopicArn":"arn:aws:sns:x:1:y","Message":"{quoted}"}}"#);
        let head = "From: no-reply@sns.amazonaws.com\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n";
        seeds.push(seed("a notification by mail", format!("{head}{bare}\r\n")));
        seeds.push(seed("a notification in its envelope", enveloped));
        seeds.push(seed("a notification", bare));
    }
    let settings = settings();
    assert!(seeds.iter().all(|one| !read(&one.bytes, one, &settings).found.is_empty()), "none is read as it is");
    seeds
}

/// Larger seeds take their time without showing more.
const SEED_BYTES: usize = 32 << 10;

/// Every sample, the made-up corpus where it is there, and the documents packed in them: a checksum would catch every
/// change of those.
fn seeds() -> Vec<Seed> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    files(&root.join("samples/mail"), &mut paths);
    files(&root.join("tests/data/hostile"), &mut paths);
    let corpus = root.join("../shared/corpus");
    for folder in ["synthetic", "feedback/adversarial", "feedback/standards", "hostile"] {
        files(&corpus.join(folder), &mut paths);
    }
    let mut seeds = notifications();
    let mut known = BTreeSet::new();
    for path in paths {
        let bytes = fs::read(&path).unwrap();
        let place = path.display().to_string();
        let mut documents = vec![Seed { place: place.clone(), bytes: bytes.clone() }];
        packed(&bytes, &place, &mut documents);
        documents.retain(|seed| seed.bytes.len() <= SEED_BYTES && known.insert(seed.bytes.clone()));
        seeds.append(&mut documents);
    }
    assert!(seeds.len() > 40, "{} seeds", seeds.len());
    seeds
}

/// The documents in a message.
fn packed(bytes: &[u8], place: &str, seeds: &mut Vec<Seed>) {
    let limits = Limits { unpacked_bytes: 1 << 20, ..Limits::default() };
    let mut budget = Budget::new(&limits);
    let mut take = |part: &[u8]| {
        unpack(part, place, None, &limits, &mut budget, &mut |event| {
            if let Event::Document(document) = event
                && let Content::Whole(bytes) = document.content
            {
                seeds.push(Seed { place: document.path, bytes: bytes.to_vec() });
            }
        });
    };
    take(bytes);
    if let Ok(mail) = mail::parse(bytes, &limits) {
        mail.entities.iter().filter(|entity| entity.kind == mail::Kind::Leaf).for_each(|entity| take(&entity.body()));
    }
}

/// Runs `test` on every seed, on every core.
fn each_seed(seeds: &[Seed], test: impl Fn(usize, &Seed) + Sync) {
    let next = AtomicUsize::new(0);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(seed) = seeds.get(number) else {
                        return;
                    };
                    test(number, seed);
                }
            });
        }
    });
}

/// Reads a variant. Where that fails, the variant is written to a file before anything else.
fn read(variant: &[u8], seed: &Seed, settings: &Settings) -> Reading {
    let started = Instant::now();
    let reading = std::panic::catch_unwind(|| invariants::read(variant, None, settings)).unwrap_or_else(|panic| {
        let path = std::env::temp_dir().join("dmarcdb-mutation-failed");
        let _ = fs::write(&path, variant);
        eprintln!("a variant of {}, which is in {}", seed.place, path.display());
        std::panic::resume_unwind(panic)
    });
    // Not optimized, and on shared cores.
    assert!(started.elapsed() < Duration::from_secs(10), "a variant of {} took {:?}", seed.place, started.elapsed());
    reading
}

/// With the name under which most samples were judged.
fn settings() -> Settings {
    Settings { authserv_id: Some("mx.example.com".into()), ..Settings::default() }
}

fn effort() -> usize {
    std::env::var("MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

#[test]
fn mutated_messages_never_panic() {
    let (seeds, settings, effort) = (seeds(), settings(), effort());
    each_seed(&seeds, |number, seed| {
        let mut random = Random(number as u64);
        let times = effort * 70_000 / (2_000 + seed.bytes.len());
        for _ in 0..times.max(3) {
            read(&mutated(&seed.bytes, &mut random), seed, &settings);
        }
    });
}

/// Digests of the reports in a reading.
fn digests(reading: &Reading) -> BTreeSet<[u8; 32]> {
    let digest = |item: &Item| match item {
        Item::Aggregate(report, _) => Some(report.content_hash),
        Item::Tls(report) => Some(report.content_hash),
        Item::Failure(_) | Item::Complaint(_) | Item::Bounce(_) => None,
    };
    reading.found.iter().filter_map(|found| digest(&found.item)).collect()
}

/// A message cut short holds no report that the whole message does not hold, and a document cut short none at all.
#[test]
fn half_a_report_is_no_report() {
    let (seeds, settings, effort) = (seeds(), settings(), effort());
    each_seed(&seeds, |number, seed| {
        let whole = digests(&read(&seed.bytes, seed, &settings));
        if whole.is_empty() {
            return;
        }
        let length = seed.bytes.len();
        let mut random = Random(number as u64);
        let cuts = (1..64).map(|part| length * part / 64).chain((0..16 * effort).map(|_| random.below(length)));
        for cut in cuts {
            let reading = read(&seed.bytes[..cut], seed, &settings);
            let half = digests(&reading);
            assert!(half.is_subset(&whole), "{} cut at {cut}: {:?}", seed.place, reading.found);
            let document = seed.bytes.starts_with(b"<") && whole.len() == 1;
            let mut tags =
                seed.bytes.windows(9).enumerate().filter(|(_, bytes)| *bytes == b"feedback>").map(|(at, _)| at + 9);
            let (begin, end) = (tags.next(), tags.next_back());
            if document && begin.is_some_and(|begin| cut >= begin) && end.is_some_and(|end| cut < end) {
                assert!(half.is_empty(), "{} cut at {cut}", seed.place);
                assert!(!reading.problems.is_empty(), "{} cut at {cut}: not a word", seed.place);
            }
        }
    });
}

/// Whatever could be read can be kept: nothing of it offends the database.
#[test]
fn mutated_messages_can_be_kept() {
    let (seeds, settings) = (seeds(), settings());
    let folder = tempfile::tempdir().unwrap();
    let inputs = folder.path().join("in");
    fs::create_dir(&inputs).unwrap();
    let mut random = Random(7);
    let mut kept = 0;
    for (number, seed) in seeds.iter().enumerate() {
        let variant = mutated(&seed.bytes, &mut random);
        if !read(&variant, seed, &settings).found.is_empty() {
            fs::write(inputs.join(format!("{number}.eml")), variant).unwrap();
            kept += 1;
        }
    }
    assert!(kept > 20, "{kept}");
    let database = folder.path().join("d.sqlite");
    let output = Command::new(env!("CARGO_BIN_EXE_dmarcdb"))
        .env_clear()
        .args(["--db", database.to_str().unwrap(), "ingest", "--format", "json", inputs.to_str().unwrap()])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 65)), "{}: {errors}", output.status);
    let connection = rusqlite::Connection::open(&database).unwrap();
    let crashes: i64 =
        connection.query_row("SELECT count(*) FROM problem WHERE code = 'crash'", [], |row| row.get(0)).unwrap();
    assert_eq!(crashes, 0, "{errors}");
    let wrong: i64 = connection
        .query_row(
            "SELECT count(*) FROM report r WHERE kind = 'aggregate' AND (records, messages) IS NOT
               (SELECT count(*), coalesce(sum(messages), 0) FROM record WHERE report = r.id)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(wrong, 0, "reports whose records are not all there");
}
