//! The directory of a zip archive (APPNOTE 6.3), checked before anything is unpacked, and its members.
//!
//! The `zip` crate keeps members in a map by name, so that of two members of one name it shows one, and it takes the
//! first end record that it meets from the end, also one that stands in a comment. Either loses reports without a
//! word. The archive is in memory here, which makes a reader that sees every entry short.

use std::collections::HashSet;
use std::io;

use super::inflate::{Inflate, refuse};
use crate::problem::{Code, Refusal};

const END_OF_DIRECTORY: &[u8] = b"PK\x05\x06";
const ENTRY: &[u8] = b"PK\x01\x02";
const LOCAL_HEADER: &[u8] = b"PK\x03\x04";
const END_OF_DIRECTORY_64: &[u8] = b"PK\x06\x06";
const LOCATOR_64: &[u8] = b"PK\x06\x07";

/// How far from the end an end record is looked for: itself, the longest comment, and as much again of what gateways
/// append.
const END_SEARCHED: usize = 2 * (22 + 0xFFFF);

/// End records that are considered: each is compared with a directory, which takes time.
const END_RECORDS: usize = 16;

/// Entries that are read to see whether they overlap, however many may be opened.
const ENTRIES_READ: u64 = 0xFFFF;

/// An archive's members in the order of its directory.
pub(super) struct Archive<'a> {
    pub members: Vec<Member<'a>>,
    /// Names that several members bear.
    pub repeated_names: usize,
}

/// One entry of the directory.
pub(super) struct Member<'a> {
    name: &'a [u8],
    /// The bytes from its local header's end on, as long as the directory says.
    data: &'a [u8],
    flags: u16,
    method: u16,
    crc: u32,
    size: u64,
    made_by: u16,
    attributes: u32,
    /// The name before the data is another one.
    pub renamed: bool,
}

/// Whether bytes end like a zip archive, whatever they begin with.
pub(super) fn ends_like_zip(bytes: &[u8]) -> bool {
    end_records(bytes).any(|end| matches!(directory(bytes, &end), Ok(Some(_))))
}

/// Reads the directory.
///
/// # Errors
/// `Corrupt` where it is missing, cut or contradicts itself; `Overlap` where members share bytes; `TooManyEntries`
/// above 65 535.
pub(super) fn open(bytes: &[u8]) -> Result<Archive<'_>, Refusal> {
    let mut empty = false;
    let mut wrong = None;
    let mut found: Option<Vec<Entry<'_>>> = None;
    for end in end_records(bytes) {
        match directory(bytes, &end) {
            Ok(None) => empty = true,
            Ok(Some(entries)) => {
                found = Some(entries);
                break;
            }
            Err(refusal) => wrong = wrong.or(Some(refusal)),
        }
    }
    match (found, wrong) {
        (Some(entries), _) => archive(bytes, entries),
        (None, Some(refusal)) => Err(refusal),
        (None, None) if empty => Ok(Archive { members: Vec::new(), repeated_names: 0 }),
        (None, None) => Err(corrupt("the zip archive ends without its directory")),
    }
}

fn corrupt(reason: impl Into<String>) -> Refusal {
    Refusal::new(Code::Corrupt, reason)
}

/// What an end record says.
struct End {
    /// Where it stands.
    at: usize,
    entries: u64,
    directory_size: u64,
    directory_at: u64,
}

/// The end records of an archive, the last one first.
fn end_records(bytes: &[u8]) -> impl Iterator<Item = End> + '_ {
    let start = bytes.len().saturating_sub(END_SEARCHED);
    let tail = &bytes[start..];
    let mut until = tail.len();
    std::iter::from_fn(move || {
        loop {
            let at = memchr::memmem::rfind(tail.get(..until)?, END_OF_DIRECTORY)?;
            // The next one may begin before this one, not within it.
            until = at;
            if let Some(end) = end_record(bytes, start + at) {
                return Some(end);
            }
        }
    })
    .take(END_RECORDS)
}

fn end_record(bytes: &[u8], at: usize) -> Option<End> {
    let record = bytes.get(at..at + 22)?;
    let comment = usize::from(u16_at(record, 20)?);
    if at + 22 + comment > bytes.len() {
        return None;
    }
    let mut end = End {
        at,
        entries: u64::from(u16_at(record, 10)?),
        directory_size: u64::from(u32_at(record, 12)?),
        directory_at: u64::from(u32_at(record, 16)?),
    };
    let is_64 = end.entries == 0xFFFF || end.directory_size == 0xFFFF_FFFF || end.directory_at == 0xFFFF_FFFF;
    if is_64 && let Some(wide) = end_record_64(bytes, at) {
        end = wide;
    }
    Some(end)
}

/// The 64-bit end record that stands before the locator before the end record.
fn end_record_64(bytes: &[u8], at: usize) -> Option<End> {
    let locator_at = at.checked_sub(20)?;
    if !bytes.get(locator_at..)?.starts_with(LOCATOR_64) {
        return None;
    }
    // The record without extensible data is right before its locator; where the locator points is off by what stands
    // before the archive.
    let record_at = locator_at.checked_sub(56)?;
    let record = bytes.get(record_at..locator_at)?;
    record.starts_with(END_OF_DIRECTORY_64).then_some(())?;
    Some(End {
        at: record_at,
        entries: u64_at(record, 32)?,
        directory_size: u64_at(record, 40)?,
        directory_at: u64_at(record, 48)?,
    })
}

/// An entry, and how far its offsets are from where things are.
struct Entry<'a> {
    member: Member<'a>,
    /// Where its local header is.
    header_at: usize,
    packed_size: u64,
}

/// The entries of the directory that an end record names: None where it names none.
fn directory<'a>(bytes: &'a [u8], end: &End) -> Result<Option<Vec<Entry<'a>>>, Refusal> {
    if end.entries == 0 && end.directory_size == 0 {
        return Ok(None);
    }
    let size = usize::try_from(end.directory_size).ok().filter(|&size| size <= end.at);
    let Some(size) = size else {
        return Err(corrupt("the zip directory is larger than the archive"));
    };
    let mut at = end.at - size;
    // What stands before the archive moves all of it.
    let mut shift = (at as u64).wrapping_sub(end.directory_at);
    if !bytes[at..].starts_with(ENTRY) {
        // Or something stands between the directory and its end record.
        at = usize::try_from(end.directory_at).ok().filter(|&at| at < end.at).unwrap_or(at);
        shift = 0;
    }
    let Some(mut rest) = bytes.get(at..(at + size).min(end.at)).filter(|rest| rest.starts_with(ENTRY)) else {
        return Err(corrupt("the zip directory is not where the end record says"));
    };
    let mut entries = Vec::new();
    while rest.starts_with(ENTRY) {
        if entries.len() as u64 >= ENTRIES_READ {
            return Err(Refusal::new(Code::TooManyEntries, format!("more than {ENTRIES_READ} members")));
        }
        let Some((entry, after)) = entry(rest, shift) else {
            return Err(corrupt(format!("zip directory entry {} is cut", entries.len() + 1)));
        };
        entries.push(entry);
        rest = after;
    }
    if entries.len() as u64 != end.entries {
        let reason = format!("the zip directory holds {} entries, its end says {}", entries.len(), end.entries);
        return Err(corrupt(reason));
    }
    Ok(Some(entries))
}

/// Reads one directory entry.
fn entry(bytes: &[u8], shift: u64) -> Option<(Entry<'_>, &[u8])> {
    let (fixed, rest) = bytes.split_at_checked(46)?;
    let (name, rest) = rest.split_at_checked(usize::from(u16_at(fixed, 28)?))?;
    let (extra, rest) = rest.split_at_checked(usize::from(u16_at(fixed, 30)?))?;
    let (_comment, rest) = rest.split_at_checked(usize::from(u16_at(fixed, 32)?))?;
    let (mut packed_size, mut size) = (u64::from(u32_at(fixed, 20)?), u64::from(u32_at(fixed, 24)?));
    let mut header_at = u64::from(u32_at(fixed, 42)?);
    let mut wide = extra_64(extra);
    for value in [&mut size, &mut packed_size, &mut header_at] {
        if *value == 0xFFFF_FFFF
            && let Some((first, others)) = wide.split_first_chunk::<8>()
        {
            *value = u64::from_le_bytes(*first);
            wide = others;
        }
    }
    let member = Member {
        name,
        data: &[],
        flags: u16_at(fixed, 8)?,
        method: u16_at(fixed, 10)?,
        crc: u32_at(fixed, 16)?,
        size,
        made_by: u16_at(fixed, 4)?,
        attributes: u32_at(fixed, 38)?,
        renamed: false,
    };
    // An offset that lies is out of the archive, which is found when the header is looked for.
    let header_at = usize::try_from(header_at.wrapping_add(shift)).unwrap_or(usize::MAX);
    Some((Entry { member, header_at, packed_size }, rest))
}

/// The 64-bit values of an entry.
fn extra_64(mut extra: &[u8]) -> &[u8] {
    while let (Some(id), Some(length)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let end = (4 + usize::from(length)).min(extra.len());
        if id == 1 {
            return &extra[4..end];
        }
        extra = &extra[end..];
    }
    &[]
}

/// Finds each member's data and makes sure that no two share bytes.
fn archive<'a>(bytes: &'a [u8], entries: Vec<Entry<'a>>) -> Result<Archive<'a>, Refusal> {
    let mut members = Vec::with_capacity(entries.len());
    let mut ranges = Vec::with_capacity(entries.len());
    let mut names = HashSet::with_capacity(entries.len());
    let mut repeated_names = 0;
    for (number, Entry { mut member, header_at, packed_size }) in (1..).zip(entries) {
        let Some((local_name, data_at)) = local_header(bytes, header_at) else {
            return Err(corrupt(format!("member {number} of the zip archive is not where its directory says")));
        };
        let data = bytes.get(data_at..).unwrap_or_default();
        let Some(data) = usize::try_from(packed_size).ok().and_then(|size| data.get(..size)) else {
            return Err(corrupt(format!("member {number} of the zip archive reaches beyond its end")));
        };
        if !data.is_empty() {
            ranges.push((header_at, data_at + data.len()));
        }
        repeated_names += usize::from(!names.insert(member.name));
        member.data = data;
        member.renamed = local_name != member.name;
        members.push(member);
    }
    ranges.sort_unstable();
    if ranges.windows(2).any(|pair| matches!(pair, [(_, end), (start, _)] if end > start)) {
        return Err(Refusal::new(Code::Overlap, "members of the zip archive share bytes"));
    }
    Ok(Archive { members, repeated_names })
}

/// A local header's name, and where the data behind it starts.
fn local_header(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let fixed = bytes.get(at..)?.get(..30)?;
    fixed.starts_with(LOCAL_HEADER).then_some(())?;
    let name_length = usize::from(u16_at(fixed, 26)?);
    let name = bytes.get(at + 30..at + 30 + name_length)?;
    Some((name, at + 30 + name_length + usize::from(u16_at(fixed, 28)?)))
}

impl<'a> Member<'a> {
    /// Its name; hostile text, but for NUL, for which U+FFFD stands.
    pub fn name(&self) -> String {
        String::from_utf8_lossy(self.name).replace('\0', "\u{fffd}")
    }

    /// Nothing that could be a report: directories, empty files, resource forks and folder settings.
    pub fn is_passed_over(&self) -> bool {
        let base = self.name.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        self.is_empty() || self.name.starts_with(b"__MACOSX/") || base == b".DS_Store"
    }

    /// A symbolic link: its content is the path it points to.
    pub fn is_link(&self) -> bool {
        const UNIX: u16 = 3;
        const MACOS: u16 = 19;
        const KIND: u32 = 0o170_000;
        const SYMBOLIC_LINK: u32 = 0o120_000;
        // Some writers set the mode and leave the system at 0.
        matches!(self.made_by >> 8, UNIX | MACOS | 0) && (self.attributes >> 16) & KIND == SYMBOLIC_LINK
    }

    /// Holds nothing: no size, and no more packed bytes than deflate takes for that.
    fn is_empty(&self) -> bool {
        self.size == 0 && self.data.len() <= 8
    }

    /// Bytes it takes in the archive.
    pub fn packed_bytes(&self) -> u64 {
        self.data.len() as u64
    }

    /// Its beginning as packed.
    pub fn packed(&self) -> &'a [u8] {
        self.data
    }

    /// Reads its content.
    ///
    /// # Errors
    /// `Encrypted` or `Unsupported`.
    pub fn content(&self) -> Result<MemberContent<'a>, Refusal> {
        const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
        if self.flags & ENCRYPTED != 0 {
            return Err(Refusal::new(Code::Encrypted, "the member is encrypted"));
        }
        let packed = match self.method {
            0 => Packed::Stored { at: 0, crc: flate2::Crc::new() },
            8 => Packed::Deflated(Inflate::new()),
            method => {
                let reason = format!("compression method {method} is not read, only stored and deflate are");
                return Err(Refusal::new(Code::Unsupported, reason));
            }
        };
        Ok(MemberContent { data: self.data, crc: self.crc, size: self.size, packed })
    }
}

/// A member that is being unpacked. The end is only reached when size and checksum are as the directory says.
pub(super) struct MemberContent<'a> {
    data: &'a [u8],
    crc: u32,
    size: u64,
    packed: Packed,
}

enum Packed {
    Stored { at: usize, crc: flate2::Crc },
    Deflated(Inflate),
}

impl io::Read for MemberContent<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        let (made, total, crc) = match &mut self.packed {
            Packed::Stored { at, crc } => {
                let rest = self.data.get(*at..).unwrap_or_default();
                let length = rest.len().min(out.len());
                out[..length].copy_from_slice(&rest[..length]);
                crc.update(&rest[..length]);
                *at += length;
                (length, *at as u64, crc.sum())
            }
            Packed::Deflated(inflate) => (inflate.read(self.data, out)?, inflate.made, inflate.crc()),
        };
        if made == 0 && (total != self.size || crc != self.crc) {
            let what = if crc != self.crc { "checksum" } else { "size" };
            return Err(refuse(Code::Corrupt, format!("the {what} of the zip member does not match its directory")));
        }
        Ok(made)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk::<2>()?;
    Some(u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..)?.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*bytes))
}
