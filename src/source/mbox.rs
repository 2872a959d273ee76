//! Messages out of an mbox (RFC 4155), one after the other, each in bounded memory.

use std::io::{self, BufRead};

/// Longest piece of a line that is looked at; the rest of a longer line is passed through.
const LINE_BYTES: usize = 8 << 10;

/// Room for a message from the start: as much as most complaints take.
const USUAL_BYTES: usize = 2 << 10;

/// A message of an mbox, without its `From ` line and without the empty line that ends it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Its position, from 0.
    pub index: u32,
    /// Whether nothing follows it.
    pub is_last: bool,
    /// Its bytes, or how many they are if that is over the bound.
    pub content: Result<Vec<u8>, u64>,
}

/// An mbox that is being read.
pub(super) struct Mbox<R> {
    lines: Lines<R>,
    message_bytes: u64,
    index: u32,
    ended: bool,
}

/// Whether a file that begins with `head` is an mbox: a `From ` line, and a header field after it.
pub(super) fn is_mbox(head: &[u8]) -> bool {
    let mut lines = head.split_inclusive(|&byte| byte == b'\n').skip_while(|line| is_from(line));
    head.starts_with(b"From ") && lines.next().is_some_and(is_field)
}

impl<R: BufRead> Mbox<R> {
    /// Reads an mbox from its first `From ` line on. Messages of more than `message_bytes` are only counted.
    pub fn new(reader: R, message_bytes: u64) -> Self {
        let lines = Lines { reader, ahead: None, spare: Vec::new(), goes_on: false };
        Mbox { lines, message_bytes, index: 0, ended: false }
    }

    /// The next message.
    pub fn next(&mut self) -> io::Result<Option<Piece>> {
        if self.index == 0 && !self.ended {
            // The line that made it an mbox.
            self.lines.next()?;
        }
        if self.ended {
            return Ok(None);
        }
        let bytes = Vec::with_capacity(USUAL_BYTES);
        let mut message = Gathered { bytes, length: 0, empty_line: 0, limit: self.message_bytes };
        let mut place = Place::default();
        self.ended = true;
        while let Some(line) = self.lines.next()? {
            if line.is_begun && place.may_separate(&line.bytes) && self.lines.peek_is_header()? {
                self.ended = false;
                break;
            }
            if line.is_begun {
                place.pass(&line.bytes);
            }
            message.add(&line);
            self.lines.spare = line.bytes;
        }
        let index = self.index;
        self.index = self.index.saturating_add(1);
        Ok(Some(Piece { index, is_last: self.ended, content: message.finish() }))
    }
}

/// Where in a message the reader is, as far as it decides what a `From ` line means.
#[derive(Default)]
struct Place {
    after_empty_line: bool,
    /// After a line that begins with `--`, nothing but fields.
    in_part_header: bool,
    /// One of them describes content: it is the header of a MIME part, not the signature of a person.
    has_content_field: bool,
    /// The empty line was the end of such a header. Yahoo's complaints begin the message they are about with a `From `
    /// line of its own; it is no separator.
    after_part_header: bool,
}

impl Place {
    fn may_separate(&self, line: &[u8]) -> bool {
        self.after_empty_line && !self.after_part_header && is_separator(line)
    }

    fn pass(&mut self, line: &[u8]) {
        let is_empty = line.trim_ascii().is_empty();
        self.after_part_header = is_empty && self.in_part_header && self.has_content_field;
        self.after_empty_line = is_empty;
        if line.starts_with(b"--") {
            (self.in_part_header, self.has_content_field) = (true, false);
        } else if self.in_part_header {
            // Few lines are in such a header; of the others nothing more is asked.
            let describes = line.get(..8).is_some_and(|name| name.eq_ignore_ascii_case(b"content-"));
            self.has_content_field |= describes;
            self.in_part_header = !is_empty && (is_field(line) || line.starts_with(b" ") || line.starts_with(b"\t"));
        }
    }
}

/// A message while its lines are gathered.
struct Gathered {
    bytes: Vec<u8>,
    length: u64,
    /// Length of the empty line at the end, if there is one; it belongs to the mbox.
    empty_line: usize,
    limit: u64,
}

impl Gathered {
    fn add(&mut self, line: &Line) {
        let Line { bytes: line, is_begun } = line;
        self.length += line.len() as u64;
        self.empty_line = if *is_begun && matches!(&line[..], b"\n" | b"\r\n") { line.len() } else { 0 };
        if self.length - self.empty_line as u64 <= self.limit {
            self.bytes.extend_from_slice(line);
        } else {
            self.bytes = Vec::new();
        }
    }

    fn finish(mut self) -> Result<Vec<u8>, u64> {
        self.length -= self.empty_line as u64;
        if self.length > self.limit {
            return Err(self.length);
        }
        self.bytes.truncate(self.length as usize);
        Ok(self.bytes)
    }
}

/// A line with its end, or a piece of a long one.
struct Line {
    bytes: Vec<u8>,
    /// It is the beginning of the line.
    is_begun: bool,
}

/// Lines in bounded memory.
struct Lines<R> {
    reader: R,
    ahead: Option<Line>,
    /// Room for the next line.
    spare: Vec<u8>,
    /// The last piece did not reach the end of its line.
    goes_on: bool,
}

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> io::Result<Option<Line>> {
        match self.ahead.take() {
            Some(line) => Ok(Some(line)),
            None => self.read(),
        }
    }

    fn read(&mut self) -> io::Result<Option<Line>> {
        let mut bytes = std::mem::take(&mut self.spare);
        bytes.clear();
        while bytes.len() < LINE_BYTES {
            let ahead = match self.reader.fill_buf() {
                Ok(ahead) => &ahead[..ahead.len().min(LINE_BYTES - bytes.len())],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let end = memchr::memchr(b'\n', ahead);
            let length = end.map_or(ahead.len(), |at| at + 1);
            bytes.extend_from_slice(&ahead[..length]);
            self.reader.consume(length);
            if end.is_some() || length == 0 {
                break;
            }
        }
        let line = Line { is_begun: !self.goes_on, bytes };
        self.goes_on = !line.bytes.ends_with(b"\n");
        Ok((!line.bytes.is_empty()).then_some(line))
    }

    /// Whether a message may begin with the next line.
    fn peek_is_header(&mut self) -> io::Result<bool> {
        if self.ahead.is_none() {
            self.ahead = self.read()?;
        }
        let ahead = self.ahead.as_ref();
        Ok(ahead.is_some_and(|line| is_field(&line.bytes) || line.bytes.starts_with(b">From ")))
    }
}

/// A `From ` line, also one that was quoted.
fn is_from(line: &[u8]) -> bool {
    line.starts_with(b"From ") || line.starts_with(b">From ")
}

/// `name:`, but not the beginning of an URL.
fn is_field(line: &[u8]) -> bool {
    let length = line.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')).count();
    let rest = line.get(length..).unwrap_or_default().trim_ascii_start();
    length > 0 && rest.starts_with(b":") && !rest.starts_with(b"://")
}

/// A `From ` line with a date as `asctime` writes it, with or without a time zone: `From a@b Wed Jul  2 01:02:03 2025`.
/// Thunderbird also writes `From ` alone and `From -`.
fn is_separator(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"From ") else {
        return false;
    };
    let rest = String::from_utf8_lossy(rest);
    let words: Vec<&str> = rest.split_ascii_whitespace().take(16).collect();
    matches!(words[..], [] | ["-"]) || (0..words.len()).any(|at| words.get(at..).is_some_and(begins_with_date))
}

fn begins_with_date(words: &[&str]) -> bool {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let [weekday, month, day, time, rest @ ..] = words else {
        return false;
    };
    let is_in =
        |range: std::ops::RangeInclusive<u32>, text: &str| text.parse().is_ok_and(|value| range.contains(&value));
    let known = |names: &[&str], word: &str| names.iter().any(|name| word.eq_ignore_ascii_case(name));
    let is_time = time.split(':').count() >= 2 && time.split(':').all(|part| is_in(0..=60, part));
    known(&DAYS, weekday)
        && known(&MONTHS, month)
        && is_in(1..=31, day)
        && is_time
        && rest.iter().take(3).any(|year| is_in(1970..=2199, year))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(mbox: &str, limit: u64) -> Vec<(u32, bool, Result<String, u64>)> {
        let mut mbox = Mbox::new(mbox.as_bytes(), limit);
        let mut found = Vec::new();
        while let Some(piece) = mbox.next().unwrap() {
            let text = piece.content.map(|bytes| String::from_utf8(bytes).unwrap());
            found.push((piece.index, piece.is_last, text));
        }
        found
    }

    #[test]
    fn a_line_of_white_space_ends_the_header_of_a_part() {
        let first = "Subject: one\n\n--b\nContent-Type: text/plain\n \n";
        let mbox =
            format!("From a@b Wed Jul  2 01:02:03 2025\n{first}\nFrom a@b Wed Jul  2 01:02:03 2025\nSubject: two\n\n");
        let found = pieces(&mbox, 1000);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].2.as_deref(), Ok(first));
    }

    #[test]
    fn an_mbox_is_split_at_separators_only() {
        const FROM: &str = "From a@b Wed Jul  2 01:02:03 2025\n";
        let cases = [
            ("one", format!("{FROM}A: 1\n\nx\n"), vec!["A: 1\n\nx\n"]),
            ("two", format!("{FROM}A: 1\n\nx\n\n{FROM}B: 2\n\ny\n\n"), vec!["A: 1\n\nx\n", "B: 2\n\ny\n"]),
            ("no empty line at the end", format!("{FROM}A: 1\n\nx"), vec!["A: 1\n\nx"]),
            (
                "carriage returns",
                "From a Wed Jul  2 01:02:03 2025\r\nA: 1\r\n\r\nx\r\n\r\nFrom b Wed Jul  2 01:02:03 2025\r\nB: 2\r\n"
                    .into(),
                vec!["A: 1\r\n\r\nx\r\n", "B: 2\r\n"],
            ),
            ("no date", format!("{FROM}A: 1\n\nx\n\nFrom here on: y\n\n"), vec!["A: 1\n\nx\n\nFrom here on: y\n"]),
            (
                "no empty line before it",
                format!("{FROM}A: 1\n\nx\n{FROM}B: 2\n"),
                vec!["A: 1\n\nx\nFrom a@b Wed Jul  2 01:02:03 2025\nB: 2\n"],
            ),
            (
                "no field after it",
                format!("{FROM}A: 1\n\n{FROM}he wrote\n"),
                vec!["A: 1\n\nFrom a@b Wed Jul  2 01:02:03 2025\nhe wrote\n"],
            ),
            (
                "quoted",
                format!("{FROM}A: 1\n\n>{FROM}B: 2\n"),
                vec!["A: 1\n\n>From a@b Wed Jul  2 01:02:03 2025\nB: 2\n"],
            ),
            (
                "time zone",
                "From a Wed Jul 02 01:02:03 +0000 2025\nA: 1\n\n\nFrom b Wed Jul 2 01:02 CEST 2025\nB: 2\n".into(),
                vec!["A: 1\n\n", "B: 2\n"],
            ),
            (
                "Thunderbird",
                "From \nA: 1\n\nx\n\nFrom \nB: 2\n\n\nFrom - Wed Jul  2 01:02:03 2025\nC: 3\n".into(),
                vec!["A: 1\n\nx\n", "B: 2\n\n", "C: 3\n"],
            ),
            (
                "a From line in the third part of a complaint (Yahoo)",
                format!(
                    "{FROM}A: 1\n\n--b\nContent-Type: message/rfc822;\n x=y\n\n{FROM}B: 2\n\n--b--\n\n{FROM}C: 3\n"
                ),
                vec![
                    "A: 1\n\n--b\nContent-Type: message/rfc822;\n x=y\n\nFrom a@b Wed Jul  2 01:02:03 2025\nB: 2\n\n--b--\n",
                    "C: 3\n",
                ],
            ),
            (
                "a signature that looks like fields",
                format!("{FROM}A: 1\n\n-- \nPhone: 1\n\n{FROM}B: 2\n"),
                vec!["A: 1\n\n-- \nPhone: 1\n", "B: 2\n"],
            ),
        ];
        for (name, mbox, expected) in cases {
            let found = pieces(&mbox, 1000);
            let texts: Vec<&str> = found.iter().map(|(_, _, text)| text.as_deref().unwrap()).collect();
            assert_eq!(texts, expected, "{name}");
            let last: Vec<bool> = found.iter().map(|(_, is_last, _)| *is_last).collect();
            assert_eq!(last.iter().rposition(|last| *last), Some(texts.len() - 1), "{name}");
            assert_eq!(last.iter().filter(|last| **last).count(), 1, "{name}");
        }
    }

    #[test]
    fn a_message_over_the_bound_costs_only_itself() {
        let long = "x".repeat(20_000);
        let mbox = format!(
            "From a Wed Jul  2 01:02:03 2025\nA: 1\n\n{long}\n\nFrom b Wed Jul  2 01:02:03 2025\nB: 2\n\n\
             From c Wed Jul  2 01:02:03 2025\nC: 3456789\n"
        );
        let found = pieces(&mbox, 11);
        assert_eq!(found[0], (0, false, Err(20_007)));
        assert_eq!(found[1], (1, false, Ok("B: 2\n".into())));
        assert_eq!(found[2], (2, true, Ok("C: 3456789\n".into())));
        assert_eq!(pieces(&mbox, 10)[2], (2, true, Err(11)));
    }

    #[test]
    fn an_mbox_is_told_from_a_mail() {
        let cases = [
            ("From a Wed Jul  2 01:02:03 2025\nA: 1\n", true),
            ("From a\r\nA: 1\r\n", true),
            ("From a Wed Jul  2 01:02:03 2025\n>From b Wed Jul  2 01:02:03 2025\nA: 1\n", true),
            ("From: a\nTo: b\n\nFrom c Wed Jul  2 01:02:03 2025\nA: 1\n", false),
            ("From here on, there is text\nand more of it\n", false),
            ("From a", false),
            ("", false),
        ];
        for (head, expected) in cases {
            assert_eq!(is_mbox(head.as_bytes()), expected, "{head:?}");
        }
    }
}
