//! Messages as they come, and what is read from them.

use super::*;
use crate::problem::Code;

/// A message as one line for each entity: path, kind, type, and the body of a leaf.
fn shape(message: &[u8]) -> Vec<String> {
    shape_within(message, &Limits::default())
}

fn shape_within(message: &[u8], limits: &Limits) -> Vec<String> {
    let mail = match parse(message, limits) {
        Ok(mail) => mail,
        Err(refusal) => return vec![format!("refused: {}", refusal.code)],
    };
    assert_tree(&mail);
    let mut lines: Vec<String> = mail.entities.iter().map(line).collect();
    lines.extend(mail.warnings.iter().map(|warning| format!("warning {} at {}", warning.code, warning.place)));
    lines
}

fn line(entity: &Entity<'_>) -> String {
    let Entity { path, kind, content_type, .. } = entity;
    let path = if path.is_empty() { "-" } else { path };
    match kind {
        Kind::Leaf => {
            let body = entity.body();
            format!("{path} {content_type} {:?}", String::from_utf8_lossy(&body))
        }
        kind => format!("{path} {kind:?}"),
    }
}

/// Parents stand before their children, leaves have none, and messages have one.
fn assert_tree(mail: &Mail<'_>) {
    assert!(mail.entities[0].parent.is_none());
    for (index, entity) in mail.entities.iter().enumerate() {
        assert!(entity.parent.is_some() == (index > 0));
        assert!(entity.parent.is_none_or(|parent| parent < index));
        let children = mail.entities.iter().filter(|child| child.parent == Some(index)).count();
        match entity.kind {
            Kind::Leaf => assert_eq!(children, 0, "{}", entity.path),
            Kind::Multipart => assert!(children > 0, "{}", entity.path),
            Kind::Message => assert_eq!(children, 1, "{}", entity.path),
        }
    }
    let mut paths: Vec<&str> = mail.entities.iter().map(|entity| entity.path.as_str()).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), mail.entities.len(), "{paths:?}");
}

#[test]
fn messages_are_taken_apart() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("nothing", "", &["- text/plain \"\""]),
        ("one part", "From: a\n\nbody\n", &["- text/plain \"body\\n\""]),
        ("no body", "From: a\nTo: b\n", &["- text/plain \"\""]),
        ("no message", "<feedback xmlns:x='y'>", &["- text/plain \"<feedback xmlns:x='y'>\""]),
        ("JSON", "{\"a\": 1}", &["- text/plain \"{\\\"a\\\": 1}\""]),
        ("text", "Hello\nthere: x\n\ny", &["- text/plain \"Hello\\nthere: x\\n\\ny\""]),
        (
            "two parts",
            "Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\n\r\none\r\n--b\r\n\
             Content-Type: TEXT/XML\r\n\r\ntwo\r\n\r\n--b--\r\nepilogue",
            &["- Multipart", "1 text/plain \"one\"", "2 text/xml \"two\\r\\n\""],
        ),
        (
            "no closing delimiter",
            "Content-Type: multipart/mixed; boundary=\"b\"\n\n--b\n\none\n--b\n\ntwo\n",
            &["- Multipart", "1 text/plain \"one\"", "2 text/plain \"two\\n\""],
        ),
        (
            "an inner multipart without closing delimiter",
            "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/alternative; boundary=b\n\n\
             --b\n\none\n--a\n\ntwo\n--a--\n",
            &["- Multipart", "1 Multipart", "1.1 text/plain \"one\"", "2 text/plain \"two\""],
        ),
        (
            "a boundary that is the beginning of another, and one that ends like a closing delimiter",
            "Content-Type: multipart/mixed; boundary=B\n\n--BB\n\nno\n--B\n\
             Content-Type: multipart/mixed; boundary=B--x--\n\n--B--x--\n\none\n--B--x----\n--B\n\ntwo\n--B--\n--B--x--\n",
            &["- Multipart", "1 Multipart", "1.1 text/plain \"one\"", "2 text/plain \"two\""],
        ),
        (
            "one boundary for two multiparts",
            "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=b\n\n\
             --b\n\none\n--b--\n--b\n\ntwo\n--b--\n",
            &["- Multipart", "1 Multipart", "1.1 text/plain \"one\"", "2 text/plain \"two\""],
        ),
        (
            "parts behind the closing delimiter",
            "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n--b\n\ntwo\n",
            &["- Multipart", "1 text/plain \"one\"", "2 text/plain \"two\\n\""],
        ),
        (
            "white space behind a delimiter, and in the boundary",
            "Content-Type: multipart/mixed; boundary=\"a b= '()+_,-./:?\"\n\n--a b= '()+_,-./:? \t\n\none\n\
             --a b= '()+_,-./:?-- \n",
            &["- Multipart", "1 text/plain \"one\""],
        ),
        (
            "no boundary",
            "Content-Type: multipart/mixed\n\nhello\n--\n--=_1\nContent-Type: text/xml\n\none\n--=_1--\n",
            &["- Multipart", "1 text/xml \"one\"", "warning boundary-guessed at "],
        ),
        (
            "another boundary than declared, within parts",
            "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=x\n\n--y\n\
             content-type: text/xml\n\none\n--y--\n\n--a\n\ntwo",
            &[
                "- Multipart",
                "1 Multipart",
                "1.1 text/xml \"one\"",
                "2 text/plain \"two\"",
                "warning boundary-guessed at 1",
            ],
        ),
        (
            "a multipart without parts",
            "Content-Type: multipart/mixed; boundary=x\n\n<feedback/>\n",
            &["- multipart/mixed \"<feedback/>\\n\"", "warning boundary-missing at "],
        ),
        (
            "an unfinished quote",
            "Content-Type: multipart/mixed; boundary=\"b\n\n--b\n\none\n--b--",
            &["- Multipart", "1 text/plain \"one\""],
        ),
        ("ContentType (Trustwave SEG)", "ContentType: text/xml\n\nx", &["- text/xml \"x\""]),
        (
            "a parameter on a line of its own, without its field (Microsoft, [Preview] reports)",
            "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: application/gzip;\nname=\"a:b.xml.gz\"\n\
             Content-Transfer-Encoding: base64\n\nQUJD\n--b--\n",
            &["- Multipart", "1 application/gzip \"ABC\""],
        ),
        (
            "a continuation line that lost its indentation",
            "Subject: Report\nDomain\nContent-Type: multipart/mixed;\nboundary=\"b\"\n\n--b\n\none\n--b--\n",
            &["- Multipart", "1 text/plain \"one\""],
        ),
        (
            "no empty line before text",
            "From: a\nTo: b\nHello there,\nthis is text\n",
            &["- text/plain \"Hello there,\\nthis is text\\n\""],
        ),
        (
            "no empty line before XML",
            "From: a\n<feedback>\n\n</feedback>",
            &["- text/plain \"<feedback>\\n\\n</feedback>\""],
        ),
        (
            "no empty line before base64",
            "Content-Transfer-Encoding: base64\nQUJDQUJDQUJDQUJDQUJDQUJD\n\n",
            &["- text/plain \"ABCABCABCABCABCABC\""],
        ),
        ("white space for the empty line", "From: a\n \t\nHello\n", &["- text/plain \"Hello\\n\""]),
        (
            "white space for the empty line before parts",
            "Content-Type: multipart/mixed; boundary=b\r\n \r\n--b\r\nContent-Type: text/xml\r\n\r\none\r\n--b--\r\n",
            &["- Multipart", "1 text/xml \"one\""],
        ),
        (
            "a part without a body",
            "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/xml\n--b\n--b--\n",
            &["- Multipart", "1 text/xml \"\"", "2 text/plain \"\""],
        ),
        (
            "CR alone",
            "From: a\rContent-Type: multipart/mixed; boundary=b\r\r--b\r\rone\r--b--\r",
            &["- Multipart", "1 text/plain \"one\"", "warning bare-cr at "],
        ),
        (
            "CR CR LF",
            "Content-Type: multipart/mixed; boundary=b\r\r\n\r\r\n--b\r\r\n\r\r\none\r\r\n--b--\r\r\n",
            &["- Multipart", "1 text/plain \"one\\r\""],
        ),
        ("From line", "From a@b Wed Jul  2 01:02:03 2025\nSubject: x\n\ny", &["- text/plain \"y\""]),
        ("quoted From line", ">From a@b Wed Jul  2 01:02:03 2025\nSubject: x\n\ny", &["- text/plain \"y\""]),
        ("byte order mark", "\u{FEFF}Subject: x\n\ny", &["- text/plain \"y\""]),
        ("empty lines first", "\r\n\r\nSubject: x\r\n\r\ny", &["- text/plain \"y\""]),
        (
            "an attached message",
            "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\nContent-Type: message/rfc822\n\n\
             Content-Type: multipart/mixed; boundary=c\n\n--c\n\ntwo\n--c\n\nthree\n--c--\n--b--\n",
            &[
                "- Multipart",
                "1 text/plain \"one\"",
                "2 Message",
                "2.0 Multipart",
                "2.1 text/plain \"two\"",
                "2.2 text/plain \"three\"",
            ],
        ),
        (
            "an attached message with a From line (Yahoo), that has no parts",
            "Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n\
             From a@b Wed Jul  2 01:02:03 2025\nTo: x\n\nbody\n--b--\n",
            &["- Multipart", "1 Message", "1.0 text/plain \"body\""],
        ),
        (
            "a message that is a message",
            "Content-Type: message/rfc822\n\nTo: x\n\nbody",
            &["- Message", "0 text/plain \"body\""],
        ),
        (
            "an attached message in an attached message",
            "Content-Type: message/rfc822\n\nContent-Type: message/rfc822\n\n\
             Content-Type: multipart/mixed; boundary=b\n\n--b\n\none",
            &["- Message", "0 Message", "0.0 Multipart", "0.1 text/plain \"one\""],
        ),
        (
            "an attached message without a header",
            "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n--b\n\
             Content-Type: message/rfc822\n\n<feedback/>\n--b--",
            &["- Multipart", "1 Message", "1.0 text/plain \"\"", "2 Message", "2.0 text/plain \"<feedback/>\""],
        ),
        (
            "a digest",
            "Content-Type: multipart/digest; boundary=b\n\n--b\n\nTo: x\n\nbody\n--b--",
            &["- Multipart", "1 Message", "1.0 text/plain \"body\""],
        ),
        (
            "an attached message under base64, and what follows it",
            // To: x / Content-Type: multipart/mixed; boundary=c / --c / one / --c-- /
            "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\
             Content-Transfer-Encoding: base64\n\nVG86IHgKQ29udGVudC1UeXBlOiBtdWx0aXBhcnQvbWl4ZWQ7IGJvdW5kYXJ5PWMKCi0tYwoKb25l\n\
             Ci0tYy0tCg==\n--b\n\ntwo\n--b--\n",
            &["- Multipart", "1 Message", "1.0 Multipart", "1.1 text/plain \"one\"", "2 text/plain \"two\""],
        ),
        (
            "base64 that is no message under message/rfc822",
            "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nPGZlZWRiYWNrLz4=\n",
            &["- message/rfc822 \"<feedback/>\""],
        ),
        (
            "an attached message said to be under base64 but not",
            "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nTo: x\n\nbody",
            &["- Message", "0 text/plain \"body\""],
        ),
        (
            "an attached message under quoted-printable",
            "Content-Type: message/global\nContent-Transfer-Encoding: Quoted-Printable\n\nTo:=20x\n\nbo=\ndy",
            &["- Message", "0 text/plain \"body\""],
        ),
        (
            "a message as a file (Exchange)",
            "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: application/octet-stream; name=x.eml\n\n\
             Received: y\nTo: x\n\nbody\n--b\nContent-Type: text/plain\n\
             Content-Disposition: attachment; filename=x.EML\nContent-Transfer-Encoding: base64\n\nVG86IHgKCnk=\n--b--",
            &["- Multipart", "1 Message", "1.0 text/plain \"body\"", "2 Message", "2.0 text/plain \"y\""],
        ),
        (
            "parts that stay as they are",
            "Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/feedback-report\n\n\
             Feedback-Type: abuse\nAuthentication-Results: x\n--b\nContent-Type: text/rfc822-headers\n\nTo: x\n--b\n\
             Content-Type: message/delivery-status\n\nReporting-MTA: x\n--b\nContent-Type: application/octet-stream\n\n\
             Feedback-Type: abuse\nAuthentication-Results: x\n--b--",
            &[
                "- Multipart",
                "1 message/feedback-report \"Feedback-Type: abuse\\nAuthentication-Results: x\"",
                "2 text/rfc822-headers \"To: x\"",
                "3 message/delivery-status \"Reporting-MTA: x\"",
                "4 application/octet-stream \"Feedback-Type: abuse\\nAuthentication-Results: x\"",
            ],
        ),
    ];
    for (name, message, expected) in cases {
        assert_eq!(shape(message.as_bytes()), *expected, "{name}");
    }
}

#[test]
fn content_types_are_read_leniently() {
    let cases = [
        ("", "text/plain"),
        ("text", "text/plain"),
        ("/", "text/plain"),
        ("text/", "text/plain"),
        ("Application/GZIP", "application/gzip"),
        (" application/gzip ", "application/gzip"),
        ("application/gzip,", "application/gzip"),
        ("application/x-gzip (gzip)", "application/x-gzip"),
        ("application/tlsrpt+gzip; x", "application/tlsrpt+gzip"),
        ("text /xml", "text/xml"),
        ("\"text/xml\"", "text/plain"),
    ];
    for (value, expected) in cases {
        let message = format!("Content-Type: {value}\n\n");
        let mail = parse(message.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(mail.entities[0].content_type, expected, "{value:?}");
    }
}

#[test]
fn file_names_are_decoded() {
    let cases = [
        ("Content-Disposition: attachment; filename=\"a!b.xml.gz\"", Some("a!b.xml.gz")),
        ("Content-Type: x/y; name=a.zip", Some("a.zip")),
        ("Content-Type: x/y; name=a.zip\nContent-Disposition: attachment; filename=b.zip", Some("b.zip")),
        ("Content-Type: x/y; name=a.zip\nContent-Disposition: inline", Some("a.zip")),
        // Amazon SES.
        ("Content-Type: x/y;\n name*0=\"a.xm\"; name*1=\"l.gz\"", Some("a.xml.gz")),
        ("Content-Disposition: attachment; filename*=UTF-8''b%C3%BCcher.xml", Some("bücher.xml")),
        ("Content-Type: x/y; name=\"=?utf-8?Q?b=C3=BCcher.xml?=\"", Some("bücher.xml")),
        ("Content-Disposition: attachment; filename=\"a;b.xml\"", Some("a;b.xml")),
        ("Content-Disposition: attachment; filename=\"../../x", Some("../../x")),
        ("Content-Disposition: attachment", None),
    ];
    for (header, expected) in cases {
        let message = format!("{header}\n\n");
        let mail = parse(message.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(mail.entities[0].file_name.as_deref(), expected, "{header}");
    }
}

#[test]
fn header_fields_are_found_and_unfolded() {
    let message =
        b"Subject:  =?utf-8?B?QsO8?=\r\n =?utf-8?Q?cher?= \r\nReceived: one\r\nRECEIVED : two\r\n\ttabbed\r\n\
        X: caf\xE9 \0\x1B\r\nEmpty:\r\n\r\n";
    let mail = parse(message, &Limits::default()).unwrap();
    let root = &mail.entities[0];
    assert_eq!(root.header("subject").unwrap(), "=?utf-8?B?QsO8?= =?utf-8?Q?cher?=");
    assert_eq!(root.header_decoded("Subject").unwrap().trim(), "Bücher");
    assert_eq!(root.headers_named("received"), ["one", "two\ttabbed"]);
    assert_eq!(root.header("x").unwrap(), "caf\u{FFFD} \u{FFFD}\u{1B}");
    assert_eq!(root.header("empty").unwrap(), "");
    assert_eq!(root.header("absent"), None);
    assert_eq!(root.headers.len(), 5);
}

#[test]
fn bounds_are_kept() {
    let limits = Limits {
        header_block_bytes: 200,
        header_field_bytes: 50,
        mime_parts: 3,
        mime_depth: 2,
        message_bytes: 400,
        ..Limits::default()
    };
    let parts = |count: usize| format!("Content-Type: multipart/mixed; boundary=b\n\n{}", "--b\n\n\n".repeat(count));
    let nested = |count: usize| {
        let level = |level: usize| format!("Content-Type: multipart/mixed; boundary={level}\n\n--{level}\n");
        (0..count).map(level).collect::<String>()
    };
    let messages = |count: usize| "Content-Type: message/rfc822\n\n".repeat(count);
    let inner = |header: String| format!("Content-Type: message/rfc822\n\n{header}\n\n");
    let cases = [
        (parts(3), None),
        (parts(4), Some(Code::MimeParts)),
        (nested(2), None),
        (nested(3), Some(Code::MimeDepth)),
        (messages(2), None),
        (messages(3), Some(Code::MimeDepth)),
        (format!("A: {}\n\n", "b".repeat(150).replace("bbbbbbb", "b\n b\n b")), None),
        ("A: b\n".repeat(39) + "\n", None),
        ("A: b\n".repeat(41) + "\n", Some(Code::Headers)),
        (inner("A: b\n".repeat(41)), Some(Code::Headers)),
        (format!("To: {}\n\n", "a, ".repeat(50)), None),
        (format!("Content-Type: {}\n\n", "a".repeat(51)), Some(Code::Headers)),
        (inner(format!("Content-Disposition: {}\n\n", "a ".repeat(51))), Some(Code::Headers)),
        (format!("Authentication-Results: {}\n\n", "a\n ".repeat(20)), Some(Code::Headers)),
    ];
    for (message, expected) in cases {
        let found = parse(message.as_bytes(), &limits).err().map(|refusal| refusal.code);
        assert_eq!(found, expected, "{message:?}");
    }
    let parameters: String = (0..200).map(|number| format!("; a{number}=b")).collect();
    let message = format!("Content-Type: a/b{parameters}\n\n");
    let refusal = parse(message.as_bytes(), &Limits::default()).unwrap_err();
    assert_eq!(refusal.code, Code::Headers);
    // What is decoded or read again counts against a message's size.
    let encoded = format!(
        "Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\nTo: x\n\n{}",
        "x=\n".repeat(200)
    );
    assert_eq!(parse(encoded.as_bytes(), &limits).unwrap_err().code, Code::TooLarge);
}

#[test]
fn an_overlong_field_that_decides_nothing_is_left_out_with_a_word() {
    let message = format!("Subject: {}\nTo: x\n\nbody", "=?".repeat(20_000));
    let mail = parse(message.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(mail.entities[0].header("subject").unwrap(), "");
    assert_eq!(mail.entities[0].header("to").unwrap(), "x");
    assert_eq!(mail.warnings.len(), 1);
    assert_eq!(mail.warnings[0].code, "header-omitted");
}

#[test]
fn messages_are_told_from_other_text() {
    let cases = [
        ("From: a\nTo: b\n\nx", true),
        ("Received: from x\n\tby y\nX-Y: z\n", true),
        ("X-Mailer: y\nSubject: x\n", true),
        ("From a Wed Jul  2 01:02:03 2025\nReturn-Path: <x>\n", true),
        ("\r\n\r\nMIME-Version: 1.0\r\n", true),
        ("From a Wed Jul  2 01:02:03 2025\n\nno\n", false),
        ("Feedback-Type: abuse\nReceived: x\nVersion: 1\n", false),
        ("Reporting-MTA: dns; x\nArrival-Date: y\n", false),
        ("Note: this\n", false),
        ("http://from: x\n", false),
        ("Hello\nFrom: a\n", false),
        ("<a:b>\n", false),
        ("", false),
    ];
    for (text, expected) in cases {
        assert_eq!(is_message(text.as_bytes()), expected, "{text:?}");
    }
}
