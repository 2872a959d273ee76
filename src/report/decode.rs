//! Bytes of a document to UTF-8: byte order mark, else declared character set, else UTF-8, else Windows-1252 for the
//! bytes that are not. What had to be guessed is told as a [`Warning`].

use std::borrow::Cow;
use std::io::{self, BufRead};

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use crate::problem::Warning;

/// How much of a document is looked at to find its character set.
const HEAD: usize = 512;

/// The character set of a document that begins with `head`, and the length of its byte order mark.
fn character_set(head: &[u8], warnings: &mut Vec<Warning>) -> (&'static Encoding, usize) {
    if let Some((encoding, length)) = Encoding::for_bom(head) {
        let name = encoding.name();
        Warning::note(warnings, "bom", || "document".into(), || format!("begins with a byte order mark ({name})"));
        return (encoding, length);
    }
    let guessed = match head {
        [b'<', 0, ..] => Some(UTF_16LE),
        [0, b'<', ..] => Some(UTF_16BE),
        _ => None,
    };
    if let Some(encoding) = guessed {
        Warning::note(warnings, "encoding", || "document".into(), || format!("{} without a mark", encoding.name()));
        return (encoding, 0);
    }
    let Some(label) = declared(head) else {
        return (UTF_8, 0);
    };
    match Encoding::for_label(label) {
        // A declaration that could be read byte by byte is not UTF-16, whatever it says.
        Some(encoding) if encoding == UTF_16LE || encoding == UTF_16BE => {
            note_label(warnings, label, "declared, but the bytes are not; read as UTF-8");
            (UTF_8, 0)
        }
        Some(encoding) if encoding == UTF_8 => (UTF_8, 0),
        Some(encoding) => {
            note_label(warnings, label, "read as declared");
            (encoding, 0)
        }
        None => {
            note_label(warnings, label, "unknown character set; read as UTF-8");
            (UTF_8, 0)
        }
    }
}

fn note_label(warnings: &mut Vec<Warning>, label: &[u8], what: &str) {
    let label = String::from_utf8_lossy(label).into_owned();
    Warning::note(warnings, "encoding", || "document".into(), || format!("{label}: {what}"));
}

/// The value of `encoding` in an XML declaration, after optional white space.
fn declared(head: &[u8]) -> Option<&[u8]> {
    let head = &head[..head.len().min(HEAD)];
    let head = head.trim_ascii_start().strip_prefix(b"<?xml")?;
    let end = head.windows(2).position(|pair| pair == b"?>")?;
    let declaration = head.get(..end)?;
    let at = declaration.windows(8).position(|word| word == b"encoding")?;
    let rest = declaration.get(at + 8..)?.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (quote, rest) = rest.split_first()?;
    let end = rest.iter().position(|byte| byte == quote)?;
    rest.get(..end).map(<[u8]>::trim_ascii)
}

/// A whole document as text; borrowed where it is plain UTF-8.
pub fn whole<'a>(bytes: &'a [u8], warnings: &mut Vec<Warning>) -> Cow<'a, str> {
    let (encoding, mark) = character_set(&bytes[..bytes.len().min(HEAD)], warnings);
    let bytes = bytes.get(mark..).unwrap_or_default();
    if encoding != UTF_8 {
        return encoding.decode_without_bom_handling(bytes).0;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            let mut text = String::with_capacity(bytes.len() + bytes.len() / 8);
            push_lenient(bytes, &mut text, warnings);
            Cow::Owned(text)
        }
    }
}

/// Appends UTF-8 with every stray byte read as Windows-1252 (AOL, and reporters that paste Latin-1 names).
fn push_lenient(bytes: &[u8], text: &mut String, warnings: &mut Vec<Warning>) {
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            Warning::note(
                warnings,
                "invalid-utf8",
                || "document".into(),
                || "bytes that are not UTF-8 were read as Windows-1252".into(),
            );
            text.push_str(&WINDOWS_1252.decode_without_bom_handling(chunk.invalid()).0);
        }
    }
}

/// A streamed document as text.
pub struct Utf8<R> {
    inner: R,
    decoder: Option<Decoder>,
    /// The beginning of a character that the last block cut.
    cut: Vec<u8>,
    started: bool,
    /// What had to be guessed so far.
    pub warnings: Vec<Warning>,
}

impl<R: BufRead> Utf8<R> {
    /// Decodes `inner`.
    pub fn new(inner: R) -> Self {
        Utf8 { inner, decoder: None, cut: Vec::new(), started: false, warnings: Vec::new() }
    }

    fn start(&mut self) -> io::Result<()> {
        self.started = true;
        let head = self.inner.fill_buf()?;
        let (encoding, mark) = character_set(&head[..head.len().min(HEAD)], &mut self.warnings);
        self.inner.consume(mark);
        if encoding != UTF_8 {
            self.decoder = Some(encoding.new_decoder_without_bom_handling());
        }
        Ok(())
    }

    /// Appends what the next bytes of the document say, at most `most` of them, and says whether more may come.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn fill(&mut self, text: &mut String, most: usize) -> io::Result<bool> {
        if !self.started {
            self.start()?;
        }
        let block = self.inner.fill_buf()?;
        let length = block.len().min(most);
        let (block, ended) = (&block[..length], block.is_empty());
        match &mut self.decoder {
            Some(decoder) => {
                text.reserve(decoder.max_utf8_buffer_length(length).unwrap_or(3 * length + 16));
                let (result, read, _) = decoder.decode_to_string(block, text, ended);
                debug_assert!(result == CoderResult::InputEmpty && read == length);
            }
            None => utf8_block(block, ended, &mut self.cut, text, &mut self.warnings),
        }
        self.inner.consume(length);
        Ok(!ended)
    }

    /// Reads the rest away: the checksum of a container stands at its end.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn finish(mut self) -> io::Result<()> {
        io::copy(&mut self.inner, &mut io::sink()).map(drop)
    }
}

/// Appends one block of UTF-8; a character cut at its end waits in `cut` for the next block.
fn utf8_block(block: &[u8], last: bool, cut: &mut Vec<u8>, text: &mut String, warnings: &mut Vec<Warning>) {
    let joined;
    let bytes = if cut.is_empty() {
        block
    } else {
        cut.extend_from_slice(block);
        joined = std::mem::take(cut);
        &joined
    };
    match std::str::from_utf8(bytes) {
        Ok(valid) => text.push_str(valid),
        Err(error) if error.error_len().is_none() && !last => {
            let (valid, rest) = bytes.split_at(error.valid_up_to());
            push_lenient(valid, text, warnings);
            *cut = rest.to_vec();
        }
        Err(_) => {
            // A stray byte somewhere: keep a possibly cut character at the end for the next block.
            let keep = if last { 0 } else { cut_length(bytes) };
            let (now, later) = bytes.split_at(bytes.len() - keep);
            push_lenient(now, text, warnings);
            *cut = later.to_vec();
        }
    }
}

/// How many bytes at the end begin a character that is not complete.
fn cut_length(bytes: &[u8]) -> usize {
    (1..=bytes.len().min(3))
        .find(|&length| {
            let tail = &bytes[bytes.len() - length..];
            matches!(std::str::from_utf8(tail), Err(error) if error.error_len().is_none() && error.valid_up_to() == 0)
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &str = "<?xml version=\"1.0\"?><a>Bücher GmbH – 社 🦀</a>";

    fn utf16le(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    fn streamed(bytes: &[u8], block: usize) -> (String, Vec<Warning>) {
        let mut utf8 = Utf8::new(bytes);
        let mut text = String::new();
        while utf8.fill(&mut text, block).unwrap() {}
        (text, utf8.warnings)
    }

    fn check(bytes: &[u8], text: &str, codes: &[&str]) {
        let mut warnings = Vec::new();
        assert_eq!(whole(bytes, &mut warnings), text);
        assert_eq!(warnings.iter().map(|warning| warning.code).collect::<Vec<_>>(), codes);
        for block in [1, 2, 3, 64, 65, 67, 512, 8192] {
            let (streamed, warnings) = streamed(bytes, block);
            assert_eq!(streamed, text, "in blocks of {block}");
            assert_eq!(warnings.iter().map(|warning| warning.code).collect::<Vec<_>>(), codes);
        }
    }

    #[test]
    fn every_character_set() {
        check(NAMES.as_bytes(), NAMES, &[]);
        check(&[b"\xef\xbb\xbf", NAMES.as_bytes()].concat(), NAMES, &["bom"]);
        check(&[b"\xff\xfe", &utf16le(NAMES)[..]].concat(), NAMES, &["bom"]);
        check(&utf16le(NAMES), NAMES, &["encoding"]);
        let latin = b"<?xml version='1.0' encoding = 'ISO-8859-1' ?><a>B\xfccher</a>";
        check(latin, "<?xml version='1.0' encoding = 'ISO-8859-1' ?><a>Bücher</a>", &["encoding"]);
        let lying = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?><a>B\xfccher \xc3\xbc</a>";
        check(lying, "<?xml version=\"1.0\" encoding=\"UTF-8\"?><a>Bücher ü</a>", &["invalid-utf8"]);
        let bogus = "<?xml version=\"1.0\" encoding=\"x-made-up\"?><a>ü</a>";
        check(bogus.as_bytes(), bogus, &["encoding"]);
        let wide = "<?xml version=\"1.0\" encoding=\"UTF-16\"?><a>ü</a>";
        check(wide.as_bytes(), wide, &["encoding"]);
        check(b"", "", &[]);
        check(b"<a>\xe2\x82", "<a>â‚", &["invalid-utf8"]);
    }
}
