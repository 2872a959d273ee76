//! What comes out of containers, whole and damaged.

use ::zip::CompressionMethod::{Deflated, Stored};

use super::super::*;
use super::{REPORT, gz, joined, noise, zipped};

/// Documents and problems as text, in order.
fn events(bytes: &[u8], limits: &Limits) -> Vec<String> {
    let mut events = Vec::new();
    unpack(bytes, "2", Some("given"), limits, &mut Budget::new(limits), &mut |event| {
        events.push(match event {
            Event::Document(Document { path, name, looks, content, depth }) => {
                let length = match content {
                    Content::Whole(bytes) => format!("{} bytes", bytes.len()),
                    Content::Stream(stream) => match io::copy(stream, &mut io::sink()) {
                        Ok(length) => format!("stream of {length}"),
                        Err(error) => format!("stream: {}", refusal(&error).unwrap().code),
                    },
                };
                format!("{path} ({}) {} {length} in {depth}", name.unwrap_or_default(), looks.as_str())
            }
            Event::Warning(warning) => format!("{}: {}", warning.place, warning.code),
            Event::Problem(problem) => {
                assert!(problem.head.len() <= Problem::HEAD_BYTES);
                format!("{} ({}): {}", problem.part, problem.file_name.unwrap_or_default(), problem.refusal.code)
            }
        });
    });
    events
}

/// One member that says it is a symbolic link.
fn linked(content: &[u8]) -> Vec<u8> {
    let mut archive = zipped(&[("a", Stored, content)]);
    let entry = memchr::memmem::rfind(&archive, b"PK\x01\x02").unwrap();
    archive[entry + 38..entry + 42].copy_from_slice(&(0o120_777_u32 << 16).to_le_bytes());
    archive
}

#[test]
fn containers_are_opened_in_order() {
    let limits = Limits { container_depth: 2, ..Limits::default() };
    let xml = |name: &str| format!("2/{name} ({name}) xml 62 bytes in 1");
    let mut renamed = zipped(&[("a.xml", Deflated, REPORT)]);
    renamed[30] = b'b';
    let mut twice = zipped(&[("a.xml", Deflated, REPORT), ("b.xml", Stored, REPORT)]);
    for at in memchr::memmem::find_iter(&twice.clone(), b"b.xml") {
        twice[at] = b'a';
    }
    let one = zipped(&[("a.xml", Stored, REPORT)]);
    let mut named = Vec::new();
    let mut encoder = flate2::GzBuilder::new()
        .filename(vec![b'x'; 100_000])
        .comment("y")
        .extra(vec![0; 300])
        .read(REPORT, flate2::Compression::fast());
    encoder.read_to_end(&mut named).unwrap();
    let cases: Vec<(&str, Vec<u8>, Vec<String>)> = vec![
        ("a document", REPORT.to_vec(), vec!["2 (given) xml 62 bytes in 0".into()]),
        ("nothing", vec![], vec!["2 (given) empty 0 bytes in 0".into()]),
        ("gzip", gz(REPORT), vec!["2/gzip (given) xml 62 bytes in 1".into()]),
        ("gzip with all optional fields", named, vec!["2/gzip (given) xml 62 bytes in 1".into()]),
        ("gzip of the word that Yahoo sent", gz(b"unused"), vec!["2/gzip (given) text 6 bytes in 1".into()]),
        ("gzip of nothing", gz(b""), vec!["2 (given): empty".into()]),
        ("gzip in gzip", gz(&gz(REPORT)), vec!["2/gzip/gzip (given) xml 62 bytes in 2".into()]),
        ("too deep", gz(&gz(&gz(REPORT))), vec!["2/gzip/gzip (given): nesting".into()]),
        (
            "two members and a line end (Mimecast)",
            joined(&[&gz(&REPORT[..20]), &gz(&REPORT[20..]), b"\r\n"]),
            vec!["2/gzip (given) xml 62 bytes in 1".into(), "2: gzip-trailing-junk".into()],
        ),
        (
            "zeros behind it",
            joined(&[&gz(REPORT), &[0; 512]]),
            vec!["2/gzip (given) xml 62 bytes in 1".into(), "2: gzip-trailing-zeros".into()],
        ),
        ("a cut second member", joined(&[&gz(REPORT), &gz(REPORT)[..12]]), vec!["2 (given): truncated".into()]),
        ("the header of a second member", joined(&[&gz(REPORT), b"\x1F\x8B"]), vec!["2 (given): truncated".into()]),
        ("gzip of another method", b"\x1F\x8B\x07\0\0\0\0\0\0\0abc".to_vec(), vec!["2 (given): unsupported".into()]),
        ("zip", one.clone(), vec![xml("a.xml")]),
        ("zip behind junk", joined(&[b"MZ\x90\0 junk", &one]), vec![xml("a.xml")]),
        ("zip before junk", joined(&[&one, &[b'x'; 70_000]]), vec![xml("a.xml")]),
        (
            "several members, among them what is passed over",
            zipped(&[
                ("__MACOSX/._a.xml", Stored, b"\0\x05\x16\x07"),
                ("d/", Stored, b""),
                ("d/.DS_Store", Stored, b"\0\0\0\x01Bud1"),
                ("empty.xml", Deflated, b""),
                ("d/a.xml", Deflated, REPORT),
                ("b.txt", Stored, b"hello"),
            ]),
            vec![xml("d/a.xml"), "2/b.txt (b.txt) text 5 bytes in 1".into()],
        ),
        ("zip without members", zipped(&[]), vec!["2 (given): empty".into()]),
        ("zip of a link", linked(b"/etc/passwd"), vec!["2 (given): empty".into()]),
        ("zip of a link that is none", linked(REPORT), vec![xml("a")]),
        (
            "zip of directories and empty files",
            zipped(&[("d/", Stored, b""), ("a", Deflated, b"")]),
            vec!["2 (given): empty".into()],
        ),
        ("zip in gzip", gz(&one), vec!["2/gzip/a.xml (a.xml) xml 62 bytes in 2".into()]),
        (
            "gzip in zip",
            zipped(&[("a.xml.gz", Stored, &gz(REPORT))]),
            vec!["2/a.xml.gz/gzip (a.xml.gz) xml 62 bytes in 2".into()],
        ),
        (
            "a damaged member costs itself only",
            zipped(&[("a.gz", Stored, b"\x1F\x8B\x08"), ("b", Stored, REPORT)]),
            vec!["2/a.gz (a.gz): truncated".into(), xml("b")],
        ),
        ("another name before the data", renamed, vec![xml("a.xml"), "2/a.xml: zip-names-differ".into()]),
        (
            "one name twice",
            twice,
            vec!["2: zip-duplicate-names".into(), xml("a.xml"), xml("a.xml"), { "2/a.xml: zip-names-differ".into() }],
        ),
        ("a page", b" <!DOCTYPE html><html></html>".to_vec(), vec!["2 (given) html 29 bytes in 0".into()]),
        (
            "zip with a message in it",
            zipped(&[("a.eml", Deflated, b"From: a\nTo: b\n\nc")]),
            vec!["2/a.eml (a.eml) message 16 bytes in 1".into()],
        ),
    ];
    for (name, bytes, mut expected) in cases {
        if name == "one name twice" {
            // Only the directory was changed, so the second member's own name differs or not as it was found.
            expected.truncate(3);
        }
        assert_eq!(events(&bytes, &limits), expected, "{name}");
    }
}

#[test]
fn bounds_count_what_really_comes_out() {
    let large = vec![b'x'; WHOLE_BYTES + 1000];
    let bomb = gz(&large);
    let length = large.len() as u64;
    let with = |change: fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        limits
    };
    let cases: Vec<(&str, Vec<u8>, Limits, Vec<String>)> = vec![
        ("streamed", bomb.clone(), Limits::default(), vec![format!("2/gzip (given) text stream of {length} in 1")]),
        (
            "a document over its bound within the part in memory",
            bomb.clone(),
            with(|limits| limits.document_bytes = 1000),
            vec!["2 (given): too-large".into()],
        ),
        (
            "a document over its bound while it is read",
            bomb.clone(),
            with(|limits| limits.document_bytes = WHOLE_BYTES as u64 + 10),
            vec!["2/gzip (given) text stream: too-large in 1".into()],
        ),
        (
            "all of a message",
            zipped(&[("a", Stored, &[b'x'; 600]), ("b", Deflated, &[b'x'; 600]), ("c", Stored, b"x")]),
            with(|limits| limits.unpacked_bytes = 1000),
            vec!["2/a (a) text 600 bytes in 1".into(), "2/b (b): too-large".into()],
        ),
        (
            "all of a message to the byte",
            zipped(&[("a", Stored, &[b'x'; 1000]), ("b", Stored, b"x")]),
            with(|limits| limits.unpacked_bytes = 1000),
            vec!["2/a (a) text 1000 bytes in 1".into(), "2/b (b): too-large".into()],
        ),
        (
            "members",
            zipped(&[("a", Stored, b"x"), ("b", Stored, b"x"), ("c", Stored, b"x")]),
            with(|limits| limits.archive_members = 2),
            vec!["2 (given): too-many-entries".into()],
        ),
        (
            "members of several archives",
            zipped(&[
                ("a.zip", Stored, &zipped(&[("x", Stored, b"x")])),
                ("b.zip", Stored, &zipped(&[("y", Stored, b"y")])),
            ]),
            with(|limits| limits.archive_members = 3),
            vec!["2/a.zip/x (x) text 1 bytes in 2".into(), "2/b.zip (b.zip): too-many-entries".into()],
        ),
        (
            "a large container in a container",
            gz(&gz(&noise(WHOLE_BYTES + 1000))),
            with(|limits| limits.message_bytes = WHOLE_BYTES as u64 + 100),
            vec!["2 (given): too-large".into()],
        ),
        (
            "the same within the bound",
            gz(&gz(&noise(WHOLE_BYTES + 1000))),
            Limits::default(),
            vec![format!("2/gzip/gzip (given) binary stream of {length} in 2")],
        ),
    ];
    for (name, bytes, limits, expected) in cases {
        assert_eq!(events(&bytes, &limits), expected, "{name}");
    }
    // A damaged checksum is only known at the end of what is streamed.
    let mut damaged = bomb;
    let crc = damaged.len() - 8;
    damaged[crc] ^= 1;
    assert_eq!(events(&damaged, &Limits::default()), ["2/gzip (given) text stream: corrupt in 1"]);
    damaged.truncate(crc);
    assert_eq!(events(&damaged, &Limits::default()), ["2/gzip (given) text stream: truncated in 1"]);
}

#[test]
fn looks_are_told_from_bytes() {
    let utf16 = |text: &str, low_first: bool| -> Vec<u8> {
        text.encode_utf16().flat_map(|unit| if low_first { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
    };
    let cases: Vec<(Vec<u8>, Looks)> = vec![
        (b"".to_vec(), Looks::Empty),
        (b"\x1F\x8B\x08".to_vec(), Looks::Gzip),
        (b"PK\x03\x04".to_vec(), Looks::Zip),
        (b"PK\x05\x06".to_vec(), Looks::Zip),
        (b"PK00PK\x03\x04".to_vec(), Looks::Zip),
        (b"<?xml version=\"1.0\"?><feedback>".to_vec(), Looks::Xml),
        (b"<?xml version=\"1.0\"?>".to_vec(), Looks::Xml),
        (b"<?xml version=\"1.0\"".to_vec(), Looks::Xml),
        (b"\xEF\xBB\xBF \r\n<feedback>".to_vec(), Looks::Xml),
        (b"<ns1:feedback xmlns:ns1=\"x\">".to_vec(), Looks::Xml),
        (b"<!DOCTYPE feedback SYSTEM \"x\"><feedback>".to_vec(), Looks::Xml),
        (b"<!-- <html> --><feedback>".to_vec(), Looks::Xml),
        (b"<anything>".to_vec(), Looks::Xml),
        (utf16("\u{FEFF}<?xml version=\"1.0\"?>", true), Looks::Xml),
        (utf16("\u{FEFF}<?xml version=\"1.0\"?>", false), Looks::Xml),
        (utf16("<feedback>", true), Looks::Xml),
        (utf16(" <feedback>", false), Looks::Xml),
        (b"<html>".to_vec(), Looks::Html),
        (b"\n<!doctype HTML PUBLIC>".to_vec(), Looks::Html),
        (b"<!-- x --><HTML>".to_vec(), Looks::Html),
        (b"<?xml version=\"1.0\"?><!DOCTYPE html><html>".to_vec(), Looks::Html),
        (b"<?xml version=\"1.0\"?><html xmlns=\"x\">".to_vec(), Looks::Html),
        (b"<?xml:namespace prefix=o /><p>".to_vec(), Looks::Html),
        (b"<div dir=\"ltr\">Hello".to_vec(), Looks::Html),
        (b"{\"organization-name\": \"x\"}".to_vec(), Looks::Json),
        (b" \n{ }".to_vec(), Looks::Json),
        (b"{hello}".to_vec(), Looks::Text),
        (b"From: a\r\nSubject: b\r\n".to_vec(), Looks::Message),
        (b"<3 you".to_vec(), Looks::Text),
        (b"a@b <c>".to_vec(), Looks::Text),
        (b"unused".to_vec(), Looks::Text),
        (b"caf\xE9 \x1B[0m".to_vec(), Looks::Text),
        (b"MZ\x90\0".to_vec(), Looks::Binary),
        (b"\0\0\0".to_vec(), Looks::Binary),
    ];
    for (bytes, expected) in cases {
        assert_eq!(looks(&bytes), expected, "{:?}", String::from_utf8_lossy(&bytes));
    }
}

/// What a container holds comes out whole, or a problem says that it did not, whatever is cut off or flipped.
#[test]
fn damage_is_never_passed_over() {
    let second = b"<feedback>\n<report_metadata><org_name>another one</org_name></report_metadata></feedback>";
    let two = zipped(&[("a.xml", Deflated, REPORT), ("b.xml", Stored, second)]);
    let pair = joined(&[&gz(REPORT), &gz(second)]);
    let both = joined(&[REPORT, second]);
    for (container, whole) in [(gz(REPORT), vec![REPORT]), (pair, vec![&both[..]]), (two, vec![REPORT, &second[..]])] {
        for cut in 2..container.len() {
            // That a member is missing can not be seen.
            if cut == gz(REPORT).len() {
                continue;
            }
            assert_whole_or_problem(&container[..cut], &whole, &format!("cut at {cut}"));
        }
        for at in 0..container.len() {
            for bit in 0..8 {
                let mut damaged = container.clone();
                damaged[at] ^= 1 << bit;
                assert_whole_or_problem(&damaged, &whole, &format!("bit {bit} of byte {at}"));
            }
        }
    }
}

fn assert_whole_or_problem(bytes: &[u8], whole: &[&[u8]], what: &str) {
    if !matches!(looks(bytes), Looks::Gzip | Looks::Zip) {
        return;
    }
    let limits = Limits::default();
    let mut documents: Vec<Vec<u8>> = Vec::new();
    let mut told = false;
    unpack(bytes, "", None, &limits, &mut Budget::new(&limits), &mut |event| match event {
        Event::Document(Document { content: Content::Whole(bytes), .. }) => documents.push(bytes.to_vec()),
        Event::Document(_) => panic!("{what}: a small document is not streamed"),
        Event::Problem(_) => told = true,
        // Junk behind a member that was the only one is told too.
        Event::Warning(warning) => told |= warning.code.starts_with("gzip-trailing"),
    });
    assert!(told || documents == whole, "{what}");
    let is_known = |document: &Vec<u8>| whole.iter().any(|whole| whole.starts_with(document));
    assert!(documents.iter().all(is_known), "{what}");
}

/// The members that the zip crate sees, in its order.
#[test]
fn archives_are_read_as_the_zip_crate_reads_them() {
    let contents: Vec<Vec<u8>> = (0..20).map(|size| noise(size * size * size)).collect();
    let names: Vec<String> = (0..20).map(|number| format!("{number}/ü{number}.bin")).collect();
    let members: Vec<_> = names
        .iter()
        .zip(&contents)
        .enumerate()
        .map(|(number, (name, content))| (&name[..], if number % 3 == 0 { Stored } else { Deflated }, &content[..]))
        .collect();
    let archive = zipped(&members);
    let mut theirs = ::zip::ZipArchive::new(io::Cursor::new(&archive)).unwrap();
    let mut expected = Vec::new();
    for index in 0..theirs.len() {
        let mut member = theirs.by_index(index).unwrap();
        let mut content = Vec::new();
        member.read_to_end(&mut content).unwrap();
        if !content.is_empty() {
            expected.push((member.name().unwrap().into_owned(), content));
        }
    }
    let limits = Limits::default();
    let mut found = Vec::new();
    unpack(&archive, "", None, &limits, &mut Budget::new(&limits), &mut |event| match event {
        Event::Document(Document { name, content: Content::Whole(bytes), .. }) => {
            found.push((name.unwrap(), bytes.to_vec()));
        }
        Event::Document(_) => panic!("a small document is not streamed"),
        Event::Warning(warning) => panic!("{warning:?}"),
        Event::Problem(problem) => panic!("{problem:?}"),
    });
    assert_eq!(found.len(), 19);
    assert!(found == expected);
}
