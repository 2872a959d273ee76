//! A copy of the database, taken while others read and write it.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{Error, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rustix::fs::{CWD, RenameFlags, renameat_with};

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The copy cannot be made where it was wanted.
    #[error("{}: cannot be made: {reason}", path.display())]
    Target {
        /// Where the copy was to be.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The database cannot be read.
    #[error("{source}")]
    Source {
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// The copy was made and is not whole.
    #[error("the copy is damaged ({0}); it was removed")]
    Damaged(String),
}

/// Copies the database at `from` to `to`, which must not be there: one state of it, without what was deleted, in one file
/// (0600). The copy is checked and on the disk before it gets its name. Its size in bytes.
///
/// # Errors
/// See [`Failure`]; nothing is left behind.
pub fn backup(from: &Path, to: &Path) -> Result<u64, Failure> {
    let target = |error: Error| Failure::Target { path: to.to_owned(), reason: error.to_string() };
    if fs::symlink_metadata(to).is_ok() {
        return Err(target(Error::new(
            ErrorKind::AlreadyExists,
            "there is a file already, which is never overwritten",
        )));
    }
    let name = to.file_name().ok_or_else(|| target(Error::from(ErrorKind::IsADirectory)))?;
    let mut beside = OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}.tmp", std::process::id()));
    let beside = to.with_file_name(beside);
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(target)?;
    let made = copy(from, &beside, to).and_then(|()| put(&beside, to).map_err(target));
    if made.is_err() {
        // Best effort: the error that matters is the one that is answered.
        let _ = fs::remove_file(&beside);
    }
    made
}

fn copy(from: &Path, beside: &Path, to: &Path) -> Result<(), Failure> {
    let sql = |source: rusqlite::Error| match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => Failure::Target { path: to.to_owned(), reason: source.to_string() },
        _ => Failure::Source { source },
    };
    let Some(beside) = beside.to_str() else {
        let reason = "its name is not UTF-8".to_owned();
        return Err(Failure::Target { path: to.to_owned(), reason });
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(from, flags).map_err(sql)?;
    source.busy_timeout(Duration::from_secs(10)).map_err(sql)?;
    source.pragma_update(None, "cell_size_check", true).map_err(sql)?;
    source.execute("VACUUM INTO ?1", [beside]).map_err(sql)?;
    drop(source);
    let copy = Connection::open_with_flags(beside, flags).map_err(sql)?;
    let found: String = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(sql)?;
    if found == "ok" { Ok(()) } else { Err(Failure::Damaged(found)) }
}

/// Gives the finished copy its name, unless something has taken that meanwhile.
fn put(beside: &Path, to: &Path) -> std::io::Result<u64> {
    let file = File::open(beside)?;
    file.sync_all()?;
    match renameat_with(CWD, beside, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => {}
        // Not every file system can; a second name does not replace either.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            fs::hard_link(beside, to)?;
            fs::remove_file(beside)?;
        }
        Err(error) => return Err(error.into()),
    }
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()?;
    Ok(file.metadata()?.len())
}
