//! A filter between the wire and the protocol library, which has no bounds of its own and panics on, hides the cause
//! of, or gives up on much that servers are free to send.
//!
//! The guard knows lines and literals (RFC 9051, section 4.3), nothing else of the grammar. It bounds the line, the
//! literal, the nesting, the lines and the bytes of an answer; it passes on only the data that the current command
//! asked for; and it keeps aside what the library loses: alerts, BYE, response codes, capabilities told unasked, the namespace.

use std::io::{self, Read, Write};
use std::time::Duration;

use imap::extensions::idle::SetReadTimeout;

use super::watch::{Expect, Said, Watch};
use crate::source::ErrorKind;

/// A line of an answer, without its literals. UIDs found by a search come in one line, bounded by the budget instead.
const LINE: usize = 64 << 10;
/// Parentheses within each other. The library recurses for each; an envelope needs 4.
const DEPTH: usize = 64;
/// Bytes asked from the wire at once.
const CHUNK: usize = 32 << 10;
/// Characters of a server's text that are kept.
const TEXT: usize = 200;

/// Reads through to `inner`, within the bounds; writes unchanged.
#[derive(Debug)]
pub(super) struct Guard<S> {
    inner: S,
    watch: Watch,
    chunk: Box<[u8]>,
    /// The line being collected.
    line: Vec<u8>,
    /// What may be read, from `given` on.
    out: Vec<u8>,
    given: usize,
    /// Bytes of the current literal still to come.
    literal: u64,
    /// Whether the next line goes on with a response that had a literal.
    within: bool,
    /// Whether the current response is dropped.
    dropped: bool,
    /// Parentheses open in the current response.
    depth: usize,
    /// Whether the greeting is still to come.
    greeting: bool,
    /// What stands for a line end in bodies.
    veil: u8,
}

impl<S> Guard<S> {
    /// Guards `inner`; `greeting` says whether the server speaks first.
    pub fn new(inner: S, watch: Watch, greeting: bool) -> Self {
        Guard {
            inner,
            veil: watch.veil(),
            watch,
            chunk: vec![0; CHUNK].into(),
            line: Vec::new(),
            out: Vec::new(),
            given: 0,
            literal: 0,
            within: false,
            dropped: false,
            depth: 0,
            greeting,
        }
    }

    fn take(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.literal > 0 {
                let have = usize::try_from(self.literal).unwrap_or(usize::MAX).min(bytes.len());
                let (data, rest) = bytes.split_at(have);
                if !self.dropped && self.watch.budget().expect != Expect::Sizes {
                    let start = self.out.len();
                    self.out.extend_from_slice(data);
                    if self.watch.budget().expect == Expect::Fetch {
                        veil(self.out.get_mut(start..).unwrap_or_default(), self.veil);
                    }
                }
                self.literal -= have as u64;
                bytes = rest;
                continue;
            }
            let end = bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            let (data, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            self.bound_line(data)?;
            self.line.extend_from_slice(data);
            bytes = rest;
            if end.is_some() {
                let line = std::mem::take(&mut self.line);
                self.take_line(line)?;
            }
        }
        Ok(())
    }

    fn bound_line(&self, more: &[u8]) -> io::Result<()> {
        let length = self.line.len() + more.len();
        if length <= LINE {
            return Ok(());
        }
        let start = if self.line.is_empty() { more } else { &self.line };
        let budget = self.watch.budget();
        let found = !self.within && budget.expect == Expect::Search && is_search(start);
        if found && length as u64 <= budget.bytes {
            return Ok(());
        }
        Err(self.watch.violation(format!("the server sent a line of more than {LINE} bytes")))
    }

    /// A complete line, with its line end.
    fn take_line(&mut self, mut line: Vec<u8>) -> io::Result<()> {
        let starts = !std::mem::replace(&mut self.within, false);
        if starts {
            self.watch.count_line()?;
            self.depth = 0;
            self.dropped = !self.begins(&line)?;
        }
        let text = starts && is_status(&line);
        if !text {
            self.announce_literal(&mut line)?;
        }
        if self.dropped {
            return Ok(());
        }
        if !text {
            self.scan(&mut line)?;
        }
        let fetch = matches!(self.watch.budget().expect, Expect::Fetch | Expect::Sizes) && !text;
        for byte in &mut line {
            if *byte >= 0x80 || *byte == 0 {
                if fetch {
                    // A replaced byte could be one of a message sent as a quoted string.
                    let reason = "the server sent 8-bit data outside of a literal";
                    return Err(self.watch.violation(reason.into()));
                }
                *byte = b'?';
            }
        }
        self.out.append(&mut line);
        Ok(())
    }

    /// The first line of a response: whether the library may see it.
    fn begins(&mut self, line: &[u8]) -> io::Result<bool> {
        if std::mem::replace(&mut self.greeting, false) {
            check_greeting(line, &self.watch)?;
            self.note_capabilities(word(line.strip_prefix(b"* ").unwrap_or_default()).1);
            return Ok(true);
        }
        let expect = self.watch.budget().expect;
        if let Some(rest) = line.strip_prefix(b"* ") {
            return self.untagged(rest, expect);
        }
        if line.first() == Some(&b'+') && matches!(expect, Expect::Challenge | Expect::Idle) {
            return Ok(true);
        }
        let Some(rest) = after_tag(line) else {
            let reason = format!("unexpected line from the server: {}", readable(line));
            return Err(self.watch.violation(reason));
        };
        let (_, rest) = word(rest);
        self.watch.tagged(self.heard(rest, false));
        Ok(true)
    }

    fn untagged(&mut self, data: &[u8], expect: Expect) -> io::Result<bool> {
        let (first, rest) = word(data);
        Ok(match first.as_str() {
            "OK" | "NO" | "BAD" => {
                self.heard(rest, first != "OK");
                // The library panics on an untagged NO or BAD in the answer to SELECT.
                first == "OK" && expect == Expect::Select
            }
            "BYE" => {
                self.watch.bye(said(rest));
                false
            }
            "PREAUTH" => return Err(self.watch.violation("PREAUTH in mid-session".into())),
            "ESEARCH" if expect == Expect::Search => {
                let reason = "the server answered SEARCH with ESEARCH, which nobody asked for";
                return Err(self.watch.violation(reason.into()));
            }
            "NAMESPACE" => {
                self.watch.namespace(readable(rest));
                false
            }
            "CAPABILITY" => {
                self.watch.capabilities(words(rest));
                expect == Expect::Capability
            }
            "LIST" => expect == Expect::List,
            "SEARCH" => expect == Expect::Search,
            number if number.bytes().all(|byte| byte.is_ascii_digit()) => match word(rest).0.as_str() {
                "EXISTS" => {
                    // A message that came after the folder was searched.
                    if expect != Expect::Select {
                        self.watch.tell_news();
                    }
                    matches!(expect, Expect::Select | Expect::Idle)
                }
                "FETCH" => matches!(expect, Expect::Fetch | Expect::Sizes),
                _ => false,
            },
            _ => false,
        })
    }

    /// What a status line says after its first word, of which is kept aside what the library loses. People see it if `alerts`, or if it
    /// says so itself.
    fn heard(&self, rest: &[u8], alerts: bool) -> Said {
        self.note_capabilities(rest);
        let said = said(rest);
        self.watch.saw(&said);
        if alerts || said.code.as_deref() == Some("ALERT") {
            self.watch.alert(&said);
        }
        said
    }

    /// Keeps the capabilities in the code of a status line, if it has them.
    fn note_capabilities(&self, rest: &[u8]) {
        let (first, told) = word(rest);
        if first == "[CAPABILITY" {
            self.watch.capabilities(words(told.split(|byte| *byte == b']').next().unwrap_or_default()));
        }
    }

    /// A literal announced at the end of the line: checks its size and goes on after it.
    fn announce_literal(&mut self, line: &mut Vec<u8>) -> io::Result<()> {
        let Some(body) = line.strip_suffix(b"}\r\n") else {
            return Ok(());
        };
        let Some(open) = body.iter().rposition(|byte| *byte == b'{') else {
            return Ok(());
        };
        let Some(digits) = body.get(open + 1..).and_then(|digits| std::str::from_utf8(digits).ok()) else {
            return Ok(());
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(());
        }
        let bound = self.watch.budget().literal;
        match digits.parse::<u64>() {
            Ok(length) if length <= bound => self.literal = length,
            _ => {
                let reason = format!(
                    "the server announced {} bytes in one piece, more than {bound}",
                    readable(digits.as_bytes())
                );
                return Err(self.watch.violation(reason));
            }
        }
        self.within = true;
        if self.watch.budget().expect == Expect::Sizes {
            line.truncate(open);
            line.extend_from_slice(b"\"\"");
            return Ok(());
        }
        // literal8 (RFC 3516): the library knows only the plain form.
        if let Some(before) = open.checked_sub(1)
            && line.get(before) == Some(&b'~')
        {
            line.remove(before);
        }
        Ok(())
    }

    /// Counts parentheses outside of quoted strings, and takes out `INTERNALDATE NIL`, on which the library panics.
    fn scan(&mut self, line: &mut Vec<u8>) -> io::Result<()> {
        let mut quoted = false;
        let mut escaped = false;
        let mut no_date = None;
        for (at, byte) in line.iter().enumerate() {
            if quoted {
                quoted = escaped || *byte != b'"';
                escaped = !escaped && *byte == b'\\';
                continue;
            }
            match byte {
                b'"' => quoted = true,
                b')' => self.depth = self.depth.saturating_sub(1),
                b'(' if self.depth == DEPTH => {
                    let reason = format!("the server nested more than {DEPTH} lists");
                    return Err(self.watch.violation(reason));
                }
                b'(' => self.depth += 1,
                b'I' | b'i' if starts_with(line.get(at..), NO_DATE) => no_date = Some(at),
                _ => {}
            }
        }
        if let Some(at) = no_date {
            let nil = at + NO_DATE.len() - 3;
            line.splice(nil..nil + 3, DATE_OF_NONE.iter().copied());
        }
        Ok(())
    }
}

/// Exchanges line ends with `byte`, there and back. The library reads to the end of a line and parses all of the response
/// so far, again for each line: a body of 20 MB of line ends costs it many seconds. The byte is not known to who writes the
/// bodies, and not ASCII, so that what comes in a quoted string stays as it is.
pub(super) fn veil(bytes: &mut [u8], byte: u8) {
    for found in bytes {
        *found = match *found {
            b'\n' => byte,
            other if other == byte => b'\n',
            other => other,
        };
    }
}

const NO_DATE: &[u8] = b"INTERNALDATE NIL";
/// What stands for a date that the server did not give: nothing was received at the epoch.
const DATE_OF_NONE: &[u8] = b"\"01-Jan-1970 00:00:00 +0000\"";

/// Checks the first line from the server (RFC 9051, section 7.1).
///
/// # Errors
/// When it is not an IMAP server, refuses the connection, or claims that the client is logged in already: such a
/// connection cannot be upgraded to TLS, which is how CVE-2021-39272 got clients to speak plain text.
pub(super) fn check_greeting(line: &[u8], watch: &Watch) -> io::Result<()> {
    let (status, rest) = word(line.strip_prefix(b"* ").unwrap_or_default());
    match status.as_str() {
        "OK" => Ok(()),
        "BYE" => {
            let reason = format!("the server refuses the connection: {}", said(rest).text);
            Err(watch.fail(ErrorKind::Temporary, reason, io::ErrorKind::ConnectionRefused))
        }
        "PREAUTH" => Err(watch.violation("the server claims that login is done (PREAUTH), which is refused".into())),
        _ => Err(watch.violation(format!("not an IMAP greeting: {}", readable(line)))),
    }
}

/// The first word in upper case, and what follows it.
fn word(line: &[u8]) -> (String, &[u8]) {
    let end = line.iter().position(|byte| matches!(byte, b' ' | b'\r' | b'\n'));
    let (word, rest) = line.split_at(end.unwrap_or(line.len()));
    let word = word.get(..word.len().min(32)).unwrap_or_default();
    (String::from_utf8_lossy(word).to_ascii_uppercase(), rest.trim_ascii())
}

fn words(list: &[u8]) -> Vec<String> {
    list.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).map(readable).collect()
}

/// What follows our tag, if the line bears one: `a` and a number.
fn after_tag(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"a")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (digits > 0).then(|| rest.get(digits..)?.strip_prefix(b" ")).flatten()
}

/// Whether the line ends in text for people, where nothing is a literal or a list.
fn is_status(line: &[u8]) -> bool {
    let rest = line.strip_prefix(b"* ").or_else(|| after_tag(line));
    line.starts_with(b"+")
        || rest.is_some_and(|rest| matches!(word(rest).0.as_str(), "OK" | "NO" | "BAD" | "BYE" | "PREAUTH"))
}

fn is_search(line: &[u8]) -> bool {
    starts_with(Some(line), b"* SEARCH ")
}

fn starts_with(line: Option<&[u8]>, word: &[u8]) -> bool {
    let start = line.and_then(|line| line.get(..word.len()));
    start.is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// `[CODE …] text` as it follows a status word.
pub(super) fn said(rest: &[u8]) -> Said {
    let inner = rest.strip_prefix(b"[");
    let code = inner.and_then(|inner| inner.split(|byte| matches!(byte, b' ' | b']')).next());
    let code = code.map(|code| readable(code).to_ascii_uppercase());
    Said { code, text: readable(rest) }
}

/// Text from the server, decoded and shortened. Whoever prints it must still make it safe for a terminal.
pub(super) fn readable(bytes: &[u8]) -> String {
    let start = bytes.get(..bytes.len().min(4 * TEXT)).unwrap_or_default();
    String::from_utf8_lossy(start.trim_ascii()).chars().take(TEXT).collect()
}

impl<S: Read> Read for Guard<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        while self.given == self.out.len() {
            self.out.clear();
            self.given = 0;
            let mut chunk = std::mem::take(&mut self.chunk);
            let taken = self.inner.read(&mut chunk).and_then(|count| {
                self.watch.count_bytes(count)?;
                self.take(chunk.get(..count).unwrap_or_default())?;
                Ok(count)
            });
            self.chunk = chunk;
            match taken {
                // Many servers close without the closing alert of TLS; what matters is whether the answer is whole.
                Ok(0) => return self.end(),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return self.end(),
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
        let mut ready = self.out.get(self.given..).unwrap_or_default();
        let count = ready.read(into)?;
        self.given += count;
        Ok(count)
    }
}

impl<S> SetReadTimeout for Guard<S> {
    /// Called by the library around the wait of an IDLE. All other limits are the watch's, so there is none to restore.
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> imap::Result<()> {
        match timeout {
            Some(time) => self.watch.idle(time),
            None => self.watch.end_idle(),
        }
        Ok(())
    }
}

impl<S> Guard<S> {
    fn end(&mut self) -> io::Result<usize> {
        let Some(bye) = self.watch.said_bye() else {
            return Ok(0);
        };
        let reason = format!("the server closed the connection: {}", bye.text);
        Err(self.watch.fail(ErrorKind::Temporary, reason, io::ErrorKind::ConnectionAborted))
    }
}

impl<S: Write> Write for Guard<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::account::Timeouts;
    use super::super::watch::Budget;
    use super::*;
    use crate::source::Stop;

    /// Hands out `step` bytes at a time.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(into.len()).min(self.0.len());
            let (now, later) = self.0.split_at(count);
            into[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }
    }

    fn watch(expect: Expect) -> Watch {
        let watch = Watch::new(Timeouts::default(), Instant::now() + Duration::from_secs(60), Stop::default());
        watch.begin(Budget { expect, bytes: 1 << 20, likely: 0, literal: 1000 });
        watch
    }

    #[test]
    fn bodies_come_without_line_ends() {
        let input = b"* 1 FETCH (UID 1 BODY[] {6}\r\na\n\xe9\nbc)\r\na1 OK\r\n";
        let mut guard = Guard::new(Drip(input, 3), watch(Expect::Fetch), false);
        guard.veil = 0xe9;
        let mut out = Vec::new();
        guard.read_to_end(&mut out).unwrap();
        assert_eq!(out, b"* 1 FETCH (UID 1 BODY[] {6}\r\na\xe9\n\xe9bc)\r\na1 OK\r\n");
        let mut body = out[29..35].to_vec();
        veil(&mut body, 0xe9);
        assert_eq!(body, b"a\n\xe9\nbc");
    }

    /// What comes through, the same in every step width, and the state afterwards.
    fn pass(expect: Expect, greeting: bool, input: &[u8]) -> (Result<String, String>, Watch) {
        let mut answers = Vec::new();
        for step in [1, 2, 7, 100_000] {
            let watch = watch(expect);
            let mut guard = Guard::new(Drip(input, step), watch.clone(), greeting);
            guard.veil = b'\n';
            let mut out = Vec::new();
            let answer = match guard.read_to_end(&mut out) {
                Ok(_) => Ok(String::from_utf8(out).expect("the guard passes ASCII only")),
                Err(_) => Err(watch.fault().expect("a reason").reason),
            };
            answers.push((answer, watch));
        }
        let (last, watch) = answers.pop().unwrap();
        for (answer, _) in answers {
            assert_eq!(answer, last, "depends on how the bytes arrive");
        }
        (last, watch)
    }

    #[test]
    fn passes_what_was_asked_for() {
        let check = |expect, input: &str, output: &str| {
            let (passed, _) = pass(expect, false, input.as_bytes());
            assert_eq!(passed.as_deref(), Ok(output), "{input:?}");
        };
        let done = "a1 OK done\r\n";
        let drop = |expect, line: &str| check(expect, &format!("{line}{done}"), done);
        let keep = |expect, line: &str| {
            let input = format!("{line}{done}");
            check(expect, &input, &input);
        };
        keep(Expect::Fetch, "* 1 FETCH (UID 1 BODY[] {5}\r\n* NO\n)\r\n");
        drop(Expect::Nothing, "* 1 FETCH (UID 1 BODY[] {5}\r\n* NO\n)\r\n");
        keep(Expect::Search, "* SEARCH 1 2\r\n");
        drop(Expect::Select, "* SEARCH 1 2\r\n");
        keep(Expect::Select, "* 3 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n");
        drop(Expect::Select, "* NO [ALERT] Disk is 98% full\r\n* BAD what\r\n");
        drop(Expect::Select, "* FLAGS (\\Seen [odd)\r\n* 0 RECENT\r\n* 1 FETCH (FLAGS ())\r\n");
        drop(Expect::Search, "* STATUS x (MESSAGES 1)\r\n* 4 EXPUNGE\r\n* XNEW {3}\r\n(((\r\n");
        drop(Expect::Fetch, "* ESEARCH (TAG \"a1\") UID\r\n* VANISHED 1\r\n");
        keep(Expect::List, "* LIST (\\Noselect) \"/\" {3}\r\na\"b\r\n");
        keep(Expect::Challenge, "+ \r\n+ abc\r\n");
        check(
            Expect::Fetch,
            "* 1 FETCH (UID 1 BODY[] ~{2}\r\nab)\r\na2 OK\r\n",
            "* 1 FETCH (UID 1 BODY[] {2}\r\nab)\r\na2 OK\r\n",
        );
        check(
            Expect::Fetch,
            "* 1 FETCH (X \"INTERNALDATE NIL\\\" (\" internaldate nil UID 1)\r\n",
            "* 1 FETCH (X \"INTERNALDATE NIL\\\" (\" internaldate \"01-Jan-1970 00:00:00 +0000\" \
             UID 1)\r\n",
        );
        // Text for people is neither list nor literal.
        keep(Expect::Select, &format!("* OK {} {{9}}\r\n", "(".repeat(100)));
        check(Expect::Nothing, "a1 NO [X] \u{c9}chec {4}\r\n", "a1 NO [X] ??chec {4}\r\n");
        check(Expect::List, "* LIST () \"/\" \u{e9}t\u{e9}\r\n", "* LIST () \"/\" ??t??\r\n");
    }

    #[test]
    fn stops_what_is_not_imap_or_out_of_bounds() {
        let check = |expect, input: &[u8], word: &str| {
            let (passed, watch) = pass(expect, false, input);
            let reason = passed.expect_err(word);
            assert!(reason.contains(word), "{reason}");
            assert_eq!(watch.fault().unwrap().kind, ErrorKind::Protocol, "{reason}");
        };
        let literal = |announced: &str| format!("* 1 FETCH (UID 1 BODY[] {{{announced}}}\r\n");
        for size in ["1001", "2147483648", "4294967296", "18446744073709551615", "99999999999999999999"] {
            check(Expect::Fetch, literal(size).as_bytes(), "in one piece");
            check(Expect::Nothing, literal(size).as_bytes(), "in one piece");
        }
        let deep = format!("* 1 FETCH (BODYSTRUCTURE {})\r\n", "(".repeat(100));
        check(Expect::Fetch, deep.as_bytes(), "nested");
        check(Expect::Fetch, &vec![b'x'; LINE + 1], "line of more");
        check(Expect::Search, format!("* OK {}", "1 ".repeat(LINE)).as_bytes(), "line of more");
        check(Expect::Search, b"* ESEARCH (TAG \"a1\") UID ALL 1:2\r\n", "ESEARCH");
        check(Expect::Select, b"* PREAUTH hello\r\n", "PREAUTH");
        check(Expect::Select, b"zz99 OK done\r\n", "unexpected line");
        check(Expect::Select, b"+ go on\r\n", "unexpected line");
        check(Expect::Fetch, b"* 1 FETCH (FLAGS (\xff\xfe))\r\n", "8-bit");
        check(Expect::Fetch, &b"* 1 FETCH (FLAGS ())\r\n".repeat(60_000), "larger than");
    }

    #[test]
    fn nesting_is_counted_across_literals() {
        let half = "(".repeat(40);
        let input = format!("* 1 FETCH {half} {{1}}\r\n({half}\r\n");
        let (passed, _) = pass(Expect::Fetch, false, input.as_bytes());
        assert!(passed.expect_err("80 deep").contains("nested"));
    }

    #[test]
    fn a_long_search_passes() {
        let numbers: String = (1..50_000).map(|uid| format!(" {uid}")).collect();
        let input = format!("* SEARCH{numbers}\r\na1 OK\r\n");
        let (passed, _) = pass(Expect::Search, false, input.as_bytes());
        assert_eq!(passed.as_deref(), Ok(input.as_str()));
    }

    #[test]
    fn checks_the_greeting() {
        let check = |line: &str, kind, word: &str| {
            let (passed, watch) = pass(Expect::Nothing, true, line.as_bytes());
            let reason = passed.expect_err(line);
            assert!(reason.contains(word), "{reason}");
            assert_eq!(watch.fault().unwrap().kind, kind);
        };
        check("* BYE overloaded\r\n", ErrorKind::Temporary, "overloaded");
        check("* PREAUTH welcome\r\n", ErrorKind::Protocol, "PREAUTH");
        check("220 smtp ready\r\n", ErrorKind::Protocol, "220 smtp ready");
        check("HTTP/1.1 400 Bad Request\r\n", ErrorKind::Protocol, "HTTP/1.1");
        let (passed, _) = pass(Expect::Nothing, true, b"* OK \x1b]0;\xff ready\r\n");
        assert_eq!(passed.as_deref(), Ok("* OK \x1b]0;? ready\r\n"));
    }

    #[test]
    fn remembers_what_the_library_loses() {
        let input = b"* NO [UIDNOTSTICKY] odd\r\n* OK [ALERT] Maintenance at 5\r\n\
            * NAMESPACE ((\"INBOX.\" \".\")) NIL NIL\r\na1 NO [unavailable 3] later\r\n";
        let (_, watch) = pass(Expect::Nothing, false, input);
        assert!(watch.has_seen("UIDNOTSTICKY"));
        assert_eq!(watch.take_alerts(), ["[UIDNOTSTICKY] odd", "[ALERT] Maintenance at 5"]);
        assert_eq!(watch.take_namespace().unwrap(), "((\"INBOX.\" \".\")) NIL NIL");
        let said = watch.take_tagged().unwrap();
        assert_eq!(said.code.as_deref(), Some("UNAVAILABLE"));
        assert_eq!(said.text, "[unavailable 3] later");
    }

    #[test]
    fn a_bye_is_the_reason_for_the_end() {
        let (passed, watch) = pass(Expect::Fetch, false, b"* BYE [UNAVAILABLE] going down\r\n");
        assert!(passed.unwrap_err().contains("going down"));
        assert_eq!(watch.fault().unwrap().kind, ErrorKind::Temporary);
        assert!(watch.time_left(Instant::now()).unwrap() <= Duration::from_secs(5));
    }
}
