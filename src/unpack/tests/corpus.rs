//! Mail and containers together, over the corpus and over broken copies of it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ::zip::CompressionMethod::{Deflated, Stored};

use super::super::*;
use super::{Chance, REPORT, gz, joined, zipped};
use crate::mail::{self, Kind};

/// What came out of a file: the looks of each document, and the code of each problem.
#[derive(Debug, Default, PartialEq)]
struct Found {
    documents: Vec<(Looks, u64)>,
    warnings: Vec<&'static str>,
    problems: Vec<Code>,
}

impl Found {
    fn xml(&self) -> usize {
        self.documents.iter().filter(|(looks, _)| *looks == Looks::Xml).count()
    }
}

/// Everything in a file, read to the end.
fn read(bytes: &[u8], limits: &Limits) -> Found {
    let mut found = Found::default();
    let mut budget = Budget::new(limits);
    let is_mail = !matches!(looks(bytes), Looks::Gzip | Looks::Zip | Looks::Xml | Looks::Json | Looks::Html);
    if !is_mail {
        take(bytes, limits, &mut budget, &mut found);
        return found;
    }
    match mail::parse(bytes, limits) {
        Ok(mail) => {
            found.warnings.extend(mail.warnings.iter().map(|warning| warning.code));
            for entity in mail.entities.iter().filter(|entity| entity.kind == Kind::Leaf) {
                let body = entity.body();
                take(&body, limits, &mut budget, &mut found);
            }
        }
        Err(refusal) => found.problems.push(refusal.code),
    }
    found
}

fn take(bytes: &[u8], limits: &Limits, budget: &mut Budget, found: &mut Found) {
    unpack(bytes, "", None, limits, budget, &mut |event| match event {
        Event::Document(document) => match document.content {
            Content::Whole(bytes) => found.documents.push((document.looks, bytes.len() as u64)),
            Content::Stream(stream) => match io::copy(stream, &mut io::sink()) {
                Ok(length) => found.documents.push((document.looks, length)),
                Err(error) => found.problems.push(refusal(&error).map_or(Code::Crash, |refusal| refusal.code)),
            },
        },
        Event::Warning(warning) => found.warnings.push(warning.code),
        Event::Problem(problem) => found.problems.push(problem.refusal.code),
    });
}

fn corpus() -> Option<PathBuf> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    corpus.is_dir().then_some(corpus)
}

fn files(below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![below.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// Every file is read to its end, quickly and without a panic.
#[test]
fn the_corpus_is_read_in_time() {
    let Some(corpus) = corpus() else { return };
    for path in files(&corpus) {
        let bytes = std::fs::read(&path).unwrap();
        let start = Instant::now();
        read(&bytes, &Limits::default());
        assert!(start.elapsed() < Duration::from_secs(2), "{}: {:?}", path.display(), start.elapsed());
    }
}

/// One document that looks like a report for each report that the tables promise, and a problem with the named code
/// for what the mail and container rooms must refuse.
#[test]
fn the_corpus_yields_the_documents_it_holds() {
    let Some(corpus) = corpus() else { return };
    let mut seen = 0;
    for table in ["synthetic.tsv", "reports.tsv"] {
        let table = std::fs::read_to_string(corpus.join(table)).unwrap();
        for row in table.lines().skip(1) {
            let [path, verdict, reports, ..] = row.split('\t').collect::<Vec<_>>()[..] else { panic!("{row}") };
            let looks = match verdict {
                "accept" | "accept-lenient" => Looks::Xml,
                "tlsrpt" => Looks::Json,
                _ => continue,
            };
            let found = read(&std::fs::read(corpus.join(path)).unwrap(), &Limits::default());
            let documents = found.documents.iter().filter(|(found, _)| *found == looks).count();
            assert_eq!((documents, &found.problems[..]), (reports.parse().unwrap(), &[][..]), "{path}");
            seen += 1;
        }
    }
    let table = std::fs::read_to_string(corpus.join("hostile/manifest.tsv")).unwrap();
    for row in table.lines().skip(1) {
        let [path, outcome, _, reason, ..] = row.split('\t').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let found = read(&std::fs::read(corpus.join("hostile").join(path)).unwrap(), &Limits::default());
        let is_complaint = path.starts_with("mail/f");
        match outcome.split_once(':').unwrap_or((outcome, "")) {
            // The counts of a38 and x18 are of records.
            ("accept", _) if path.contains("/a38") || path.contains("/x18") => {
                assert_eq!(found.xml(), 1, "{path}")
            }
            ("accept", count) if !is_complaint && count != "0" => {
                assert_eq!((found.xml(), &found.problems[..]), (count.parse().unwrap(), &[][..]), "{path}");
            }
            ("refuse", _) if path.contains("/a") || path.contains("/m") => {
                let refused: Vec<&str> = found.problems.iter().map(|code| code.as_str()).collect();
                let expected = if path.contains("/a31") { vec![] } else { vec![reason] };
                assert_eq!((found.xml(), refused), (0, expected), "{path}");
            }
            // Lines that end with CR alone may be refused, or read with a warning.
            ("not-a-report", _) if path.contains("/m07e") => {
                assert_eq!((found.xml(), &found.warnings[..]), (1, &["bare-cr"][..]), "{path}");
            }
            ("not-a-report", _) => {
                assert_eq!((found.xml(), &found.problems[..]), (0, &[][..]), "{path}")
            }
            _ => continue,
        }
        seen += 1;
    }
    assert!(seen > 500, "{seen} rows were looked at");
}

/// Broken copies of good messages: no panic, no endless loop, and a tree that holds together.
#[test]
fn mutated_messages_are_read_to_their_end() {
    const TOKENS: [&[u8]; 24] = [
        b"\r\n",
        b"\n\n",
        b"\r",
        b"--b",
        b"--b--",
        b"\n--b\n",
        b"\nContent-Type: multipart/mixed; boundary=b\n\n",
        b"\nContent-Type: message/rfc822\n\n",
        b"Content-Transfer-Encoding: base64\n",
        b"=?utf-8?q?=",
        b"; name*0*=x''%",
        b"boundary=\"",
        b"From a Wed Jul  2 01:02:03 2025\n",
        b"PK\x03\x04",
        b"PK\x01\x02",
        b"PK\x05\x06",
        b"PK\x06\x07",
        b"\x1F\x8B\x08",
        b"\xFF\xFF\xFF\xFF",
        b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F",
        b"\0\0\0\0",
        b"\xEF\xBB\xBF",
        b"H4sI",
        b"=",
    ];
    let archive = zipped(&[("a.xml", Deflated, REPORT), ("b/c.xml.gz", Stored, &gz(REPORT))]);
    let mut samples = vec![
        b"Content-Type: multipart/report; boundary=b\n\npre\n--b\nContent-Type: text/plain; name=x\n\nhello\n--b\n\
          Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nVG86IHgKCnk=\n--b\nContent-Type: message/rfc822\n\n\
          From: x\nContent-Type: multipart/mixed; boundary=bb\n\n--bb\nContent-Transfer-Encoding: quoted-printable\n\na=3D=\n\
          --bb--\n--b--\n"
            .to_vec(),
        joined(&[b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: application/zip\n\n", &archive, b"\n--b--\n"]),
        archive,
        joined(&[&gz(REPORT), &gz(&gz(REPORT)), b"\r\n"]),
    ];
    if let Some(corpus) = corpus() {
        let small = files(&corpus.join("synthetic")).into_iter().map(|path| std::fs::read(path).unwrap());
        samples.extend(small.filter(|bytes| (1..8192).contains(&bytes.len())));
    }
    let limits = Limits { document_bytes: 1 << 20, unpacked_bytes: 4 << 20, ..Limits::default() };
    let mut chance = Chance(0xD3A2C);
    for round in 0..6000 {
        let mut bytes = samples[round % samples.len()].clone();
        for _ in 0..=chance.below(4) {
            let at = chance.below(bytes.len());
            let end = (at + chance.below(40)).min(bytes.len());
            match chance.below(5) {
                0 => drop(bytes.splice(at..at, TOKENS[chance.below(TOKENS.len())].iter().copied())),
                1 => drop(bytes.splice(at..end, TOKENS[chance.below(TOKENS.len())].iter().copied())),
                2 => drop(bytes.drain(at..end)),
                3 => bytes.extend_from_within(at..end),
                _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = chance.next() as u8),
            }
        }
        let start = Instant::now();
        read(&bytes, &limits);
        take(&bytes, &limits, &mut Budget::new(&limits), &mut Found::default());
        assert!(start.elapsed() < Duration::from_secs(2), "round {round}");
    }
}
