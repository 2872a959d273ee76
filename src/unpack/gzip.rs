//! gzip (RFC 1952): several members are one document; what follows the last one is told, not refused.

use std::io;

use super::inflate::{Inflate, refuse};
use crate::problem::{Code, Warning};

const FHCRC: u8 = 1 << 1;
const FEXTRA: u8 = 1 << 2;
const FNAME: u8 = 1 << 3;
const FCOMMENT: u8 = 1 << 4;

/// A gzip file that is being unpacked.
pub(super) struct Gzip<'a> {
    bytes: &'a [u8],
    /// Where the current member's deflate stream starts.
    at: usize,
    inflate: Inflate,
    ended: bool,
    /// Deviations met so far.
    pub warnings: Vec<Warning>,
}

impl<'a> Gzip<'a> {
    /// Reads the first member's header.
    pub fn new(bytes: &'a [u8]) -> io::Result<Self> {
        let header = match header_length(bytes) {
            Header::Length(length) => length,
            Header::Cut => return Err(refuse(Code::Truncated, "the gzip header is cut")),
            Header::Foreign => {
                return Err(refuse(Code::Unsupported, "gzip of a compression method other than deflate"));
            }
        };
        Ok(Gzip { bytes, at: header, inflate: Inflate::new(), ended: false, warnings: Vec::new() })
    }

    /// Checks the trailer of the member that just ended, and goes to the next one, if there is one.
    fn end_member(&mut self) -> io::Result<()> {
        let end = self.at + self.inflate.used;
        let Some((trailer, rest)) = self.bytes.get(end..).and_then(|rest| rest.split_first_chunk::<8>()) else {
            return Err(refuse(Code::Truncated, "the gzip file ends before its checksum"));
        };
        let [a, b, c, d, e, f, g, h] = *trailer;
        if u32::from_le_bytes([a, b, c, d]) != self.inflate.crc() {
            return Err(refuse(Code::Corrupt, "the gzip checksum does not match"));
        }
        let (size, made) = (u32::from_le_bytes([e, f, g, h]), self.inflate.made);
        if size != made as u32 {
            // The checksum has vouched for the bytes.
            let text = format!("the trailer says {size} bytes, {made} came out");
            self.warn("gzip-size", text);
        }
        match header_length(rest) {
            Header::Length(length) => {
                self.at = self.bytes.len() - rest.len() + length;
                self.inflate.restart();
            }
            Header::Cut if rest.starts_with(&[0x1F, 0x8B]) => {
                return Err(refuse(Code::Truncated, "the header of a further gzip member is cut"));
            }
            Header::Cut | Header::Foreign => {
                self.ended = true;
                self.tell_rest(rest);
            }
        }
        Ok(())
    }

    /// Mimecast adds a line end behind the trailer, tape blocks are filled up with zeros.
    fn tell_rest(&mut self, rest: &[u8]) {
        if rest.is_empty() {
            return;
        }
        let length = rest.len();
        if rest.iter().all(|&byte| byte == 0) {
            self.warn("gzip-trailing-zeros", format!("{length} zero bytes follow the last member"));
        } else {
            self.warn("gzip-trailing-junk", format!("{length} bytes follow the last member and were ignored"));
        }
    }

    /// Adds a warning; each sort once, since the number of members is the sender's choice.
    fn warn(&mut self, code: &'static str, text: String) {
        if self.warnings.iter().all(|warning| warning.code != code) {
            self.warnings.push(Warning::new(code, "gzip", text));
        }
    }
}

impl io::Read for Gzip<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !self.ended && !out.is_empty() {
            let input = self.bytes.get(self.at..).unwrap_or_default();
            let made = self.inflate.read(input, out)?;
            if made > 0 {
                return Ok(made);
            }
            self.end_member()?;
        }
        Ok(0)
    }
}

/// What stands where a member's header should.
enum Header {
    /// A header of this many bytes.
    Length(usize),
    /// The bytes end before the header does, or before it can be told.
    Cut,
    /// Not a header of gzip with deflate.
    Foreign,
}

/// Reads a member's header. Its file name may be of any length.
fn header_length(bytes: &[u8]) -> Header {
    match bytes {
        [0x1F, 0x8B, 8, ..] | [0x1F, 0x8B] | [0x1F] | [] => {}
        _ => return Header::Foreign,
    }
    after_options(bytes).map_or(Header::Cut, Header::Length)
}

/// The length of a header with its optional fields; None where the bytes end first.
fn after_options(bytes: &[u8]) -> Option<usize> {
    let flags = *bytes.get(3)?;
    let mut at = 10;
    if flags & FEXTRA != 0 {
        let length = bytes.get(at..at + 2)?;
        at += 2 + usize::from(u16::from_le_bytes([length[0], length[1]]));
    }
    for text in [FNAME, FCOMMENT] {
        if flags & text != 0 {
            at += memchr::memchr(0, bytes.get(at..)?)? + 1;
        }
    }
    if flags & FHCRC != 0 {
        at += 2;
    }
    (at <= bytes.len()).then_some(at)
}
