//! What a file is by its first bytes: SQLite itself takes one that is shorter than a page for an empty database, and does
//! not miss the end of one that was cut.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What a file looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    /// Nothing in it.
    Empty,
    /// No SQLite database.
    Foreign,
    /// A SQLite database that is shorter than it says.
    CutShort,
    /// A SQLite database.
    Database,
}

const MAGIC: &[u8] = b"SQLite format 3\0";
/// The header of a database file (<https://sqlite.org/fileformat.html>, section 1.3).
const HEADER: usize = 100;

/// Looks at the file at `path`.
///
/// # Errors
/// It cannot be read.
pub fn looks(path: &Path) -> io::Result<Looks> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut head = Vec::with_capacity(HEADER);
    file.take(HEADER as u64).read_to_end(&mut head)?;
    if head.is_empty() {
        return Ok(Looks::Empty);
    }
    if !head.starts_with(MAGIC) && !MAGIC.starts_with(&head) {
        return Ok(Looks::Foreign);
    }
    // Between the two steps of a checkpoint the rest of the file is in the write-ahead log.
    let log = fs::metadata(beside(path, "-wal")).map_or(0, |log| log.len());
    Ok(match expected(&head) {
        None => Looks::CutShort,
        Some(expected) if length < expected && log == 0 => Looks::CutShort,
        Some(_) => Looks::Database,
    })
}

/// The least size of the file that its header tells of; `None` where not even the header is whole.
fn expected(head: &[u8]) -> Option<u64> {
    let at = |from: usize| head.get(from..from + 4)?.try_into().ok().map(u32::from_be_bytes);
    let page_size = match u16::from_be_bytes(head.get(16..18)?.try_into().ok()?) {
        1 => 65_536,
        size => u64::from(size),
    };
    let (changes, pages, valid_for) = (at(24)?, at(28)?, at(92)?);
    // A size that some old writer did not keep up to date says nothing.
    Some(if changes == valid_for { u64::from(pages) * page_size } else { page_size })
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}
