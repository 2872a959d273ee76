//! Mail and containers together, over the corpus and over broken copies of it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::*;
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
        self.documents
            .iter()
            .filter(|(looks, _)| *looks == Looks::Xml)
            .count()
    }
}

/// Everything in a file, read to the end.
fn read(bytes: &[u8], limits: &Limits) -> Found {
    let mut found = Found::default();
    let mut budget = Budget::new(limits);
    let is_mail = !matches!(
        looks(bytes),
        Looks::Gzip | Looks::Zip | Looks::Xml | Looks::Json | Looks::Html
    );
    if !is_mail {
        take(bytes, limits, &mut budget, &mut found);
        return found;
    }
    match mail::parse(bytes, limits) {
        Ok(mail) => {
            found
                .warnings
                .extend(mail.warnings.iter().map(|warning| warning.code));
            for entity in mail
                .entities
                .iter()
                .filter(|entity| entity.kind == Kind::Leaf)
            {
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
                Err(error) => found
                    .problems
                    .push(refusal(&error).map_or(Code::Crash, |refusal| refusal.code)),
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
            if path.is_dir() {
                folders.push(path)
            } else {
                found.push(path)
            }
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
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{}: {:?}",
            path.display(),
            start.elapsed()
        );
    }
}

/// One document that looks like a report for each report that the table promises, and a problem with the named code
/// for what the mail and container rooms must refuse.
#[test]
fn the_corpus_yields_the_documents_it_holds() {
    let Some(corpus) = corpus() else { return };
    let mut seen = 0;
    let table = std::fs::read_to_string(corpus.join("synthetic.tsv")).unwrap();
    for row in table.lines().skip(1) {
        let [path, verdict, reports, ..] = row.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{row}")
        };
        if !matches!(verdict, "accept" | "accept-lenient") {
            continue;
        }
        let found = read(
            &std::fs::read(corpus.join(path)).unwrap(),
            &Limits::default(),
        );
        assert_eq!(
            (found.xml(), &found.problems[..]),
            (reports.parse().unwrap(), &[][..]),
            "{path}"
        );
        seen += 1;
    }
    let table = std::fs::read_to_string(corpus.join("hostile/manifest.tsv")).unwrap();
    for row in table.lines().skip(1) {
        let [path, outcome, _, reason, ..] = row.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{row}")
        };
        let found = read(
            &std::fs::read(corpus.join("hostile").join(path)).unwrap(),
            &Limits::default(),
        );
        let is_complaint = path.starts_with("mail/f");
        match outcome.split_once(':').unwrap_or((outcome, "")) {
            // The counts of a38 and x18 are of records.
            ("accept", _) if path.contains("/a38") || path.contains("/x18") => {
                assert_eq!(found.xml(), 1, "{path}")
            }
            ("accept", count) if !is_complaint && count != "0" => {
                assert_eq!(
                    (found.xml(), &found.problems[..]),
                    (count.parse().unwrap(), &[][..]),
                    "{path}"
                );
            }
            ("refuse", _) if path.contains("/a") || path.contains("/m") => {
                let refused: Vec<&str> = found.problems.iter().map(|code| code.as_str()).collect();
                let expected = if path.contains("/a31") {
                    vec![]
                } else {
                    vec![reason]
                };
                assert_eq!((found.xml(), refused), (0, expected), "{path}");
            }
            // Lines that end with CR alone may be refused, or read with a warning.
            ("not-a-report", _) if path.contains("/m07e") => {
                assert_eq!(
                    (found.xml(), &found.warnings[..]),
                    (1, &["bare-cr"][..]),
                    "{path}"
                );
            }
            ("not-a-report", _) => {
                assert_eq!((found.xml(), &found.problems[..]), (0, &[][..]), "{path}")
            }
            _ => continue,
        }
        seen += 1;
    }
    assert!(seen > 150, "{seen} rows were looked at");
}
