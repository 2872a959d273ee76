//! The database: opening it safely, one insert file per kind, one transaction per batch. The only room, with `query`,
//! that knows SQL.

mod aggregate;
pub mod backup;
mod batch;
mod bounce;
pub mod check;
mod complaint;
pub mod daily;
pub mod digests;
mod events;
pub mod exports;
mod failure;
pub mod hashes;
mod judge;
mod keep;
mod knowledge;
pub mod labels;
mod mailbox;
mod message;
pub mod migrations;
pub mod names;
pub mod probe;
mod problem;
pub mod prune;
mod retry;
pub mod sendlog;
mod standing;
mod strings;
pub mod suppressions;
mod tls;
pub mod trust;

use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

pub use judge::Judged;
pub use keep::{Arrival, Content, Kept, Message, Ours, Outcome};
pub use mailbox::Progress;
use probe::Looks;
pub use retry::{Retried, Waiting};

/// Why the database can not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process writes.
    #[error("{}: another run of dmarcdb is writing; run again when it is done", .0.display())]
    Locked(PathBuf),
    /// The file can not be made.
    #[error("{}: cannot be made: {reason}", .path.display())]
    CannotCreate {
        /// The database file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The disk is full or fails.
    #[error("{}: {reason}; make room or look at the disk, then run again: nothing is lost", .path.display())]
    Disk {
        /// The database file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The system has no memory or file descriptors left.
    #[error("{}: {reason}; run again when the machine is less busy", .path.display())]
    Strained {
        /// The database file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A SQLite file of something else, or no SQLite file.
    #[error("{}: is not a dmarcdb database; name another file with --db", .0.display())]
    Foreign(PathBuf),
    /// Written by a newer version.
    #[error("{}: has schema version {found}, this dmarcdb knows up to {}; upgrade dmarcdb", .path.display(), migrations::VERSION)]
    Newer {
        /// The database file.
        path: PathBuf,
        /// Its version.
        found: i32,
    },
    /// Ours, but its pages contradict each other.
    #[error("{}: the database is damaged ({reason}) and is left as it is; `dmarcdb doctor --full` tells more; restore a backup, or save what can be with `sqlite3 FILE .recover`", .path.display())]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
    /// SQLite or the disk failed.
    #[error("{}: {source}{}", .path.display(), advice(source))]
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
}

impl Error {
    /// Whether running again later may help: another writer holds the file, or the machine is short of something.
    pub fn is_temporary(&self) -> bool {
        match self {
            Error::Locked(_) | Error::Strained { .. } => true,
            Error::Sqlite { source, .. } => matches!(
                source.sqlite_error_code(),
                Some(
                    rusqlite::ErrorCode::DatabaseBusy
                        | rusqlite::ErrorCode::DatabaseLocked
                        | rusqlite::ErrorCode::OutOfMemory
                )
            ),
            _ => false,
        }
    }

    /// What the system's refusal to make a file means.
    fn from_system(path: &Path, error: &std::io::Error) -> Error {
        let (path, reason) = (path.to_owned(), error.to_string());
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::Disk { path, reason },
            ErrorKind::OutOfMemory => Error::Strained { path, reason },
            _ => match error.raw_os_error() {
                // EIO; ENFILE, EMFILE and ENOLCK.
                Some(5) => Error::Disk { path, reason },
                Some(23 | 24 | 37) => Error::Strained { path, reason },
                _ => Error::CannotCreate { path, reason },
            },
        }
    }
}

/// What a person can do about a failure of SQLite.
fn advice(error: &rusqlite::Error) -> &'static str {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull, OutOfMemory, SystemIoFailure};
    match error.sqlite_error_code() {
        Some(DiskFull) => "; make room and run again: mail that is not kept yet stays where it is",
        Some(SystemIoFailure) => "; look at the disk and run again: mail that is not kept yet stays where it is",
        Some(DatabaseBusy | DatabaseLocked) => "; another program holds it: run again when that is done",
        Some(OutOfMemory) => "; run again when the machine is less busy",
        _ => "",
    }
}

/// The open database of the one process that writes.
pub struct Store {
    connection: Connection,
    path: PathBuf,
    strings: strings::Strings,
    /// Where messages lie that could not be taken, loaded with the first message.
    untaken: Option<HashSet<String>>,
    /// What deciding needs to know, loaded when it is needed first.
    known: Option<knowledge::Knowledge>,
    batch: batch::Batch,
    /// What the batch under way adds to the daily sums.
    fresh: daily::Fresh,
    /// Pages that SQLite holds in a batch without a long report, in KiB.
    cache_kib: i32,
    /// Kept open for its lock: the kernel lets go of it whatever happens to the process.
    _lock: File,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database for writing, making it (0600, in a folder 0700) where it is missing and bringing it up to the
    /// present schema where it is older. Takes the writer's lock, a file beside the database, without waiting.
    ///
    /// # Errors
    /// See [`Error`]. A damaged, foreign or newer file is never written to.
    pub fn open(path: &Path) -> Result<Store, Error> {
        let lock = lock(path)?;
        create(path)?;
        probe(path)?;
        let sqlite = |source| failed_to_open(path, source);
        let mut connection = Connection::open(path).map_err(sqlite)?;
        connection.busy_timeout(Duration::from_secs(10)).map_err(sqlite)?;
        let version = version(&connection, path)?;
        if version == 0 {
            // Only a new file can be made to give space back; see `prune`.
            connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(sqlite)?;
        } else {
            refuse_damaged(&mut connection, path)?;
        }
        configure(&connection).map_err(sqlite)?;
        migrations::migrate(&mut connection, version).map_err(sqlite)?;
        Ok(Store {
            connection,
            path: path.to_owned(),
            strings: strings::Strings::default(),
            untaken: None,
            known: None,
            batch: batch::Batch::default(),
            fresh: daily::Fresh::default(),
            cache_kib: CACHE_KIB,
            _lock: lock,
        })
    }

    /// Holds so many KiB less from the next batch on than it would: somebody else needs them.
    pub fn leave_memory(&mut self, kib: i32) {
        self.cache_kib = CACHE_KIB.saturating_sub(kib).max(CACHE_BESIDE_LONG_KIB);
    }

    fn error(&self, source: rusqlite::Error) -> Error {
        of(&self.path, source)
    }
}

/// Sorts what SQLite says by what a person can do about it.
fn of(path: &Path, source: rusqlite::Error) -> Error {
    match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
            Error::Damaged { path: path.to_owned(), reason: source.to_string() }
        }
        _ => Error::Sqlite { path: path.to_owned(), source },
    }
}

/// How long a run looks for damage before it writes. A file too large for that is looked at by `doctor`.
const LOOKING: Duration = Duration::from_millis(500);

/// Writing into a damaged file makes more of it, and may take away what could still be saved.
fn refuse_damaged(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    let found = check::quick(connection, LOOKING).map_err(|source| of(path, source))?;
    match found.as_deref() {
        Some([reason, ..]) => Err(Error::Damaged { path: path.to_owned(), reason: reason.clone() }),
        _ => Ok(()),
    }
}

/// Why SQLite could not open the file: what it says is the same for a folder in which it may not make its files.
fn failed_to_open(path: &Path, source: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode::{CannotOpen, ReadOnly};
    let refused = matches!(source.sqlite_error_code(), Some(CannotOpen | ReadOnly));
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let writable = |path: &Path| rustix::fs::access(path, rustix::fs::Access::WRITE_OK).map_err(std::io::Error::from);
    match writable(folder).and_then(|()| writable(path)) {
        Err(error) if refused => {
            let reason = format!("the file or its folder cannot be written: {error}");
            Error::CannotCreate { path: path.to_owned(), reason }
        }
        _ => of(path, source),
    }
}

/// The writer's lock: advisory, held by the kernel, gone with the process.
fn lock(path: &Path) -> Result<File, Error> {
    let cannot = |error: std::io::Error| Error::from_system(path, &error);
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(cannot)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&name).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}

/// Makes the file before SQLite does, because SQLite would make it readable to others. WAL and index files get its mode.
fn create(path: &Path) -> Result<(), Error> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Error::from_system(path, &error)),
    }
}

/// Turns away what is no database of ours before SQLite touches it.
fn probe(path: &Path) -> Result<(), Error> {
    let cannot = |error: std::io::Error| Error::from_system(path, &error);
    match probe::looks(path).map_err(cannot)? {
        Looks::Empty | Looks::Database => Ok(()),
        Looks::Foreign => Err(Error::Foreign(path.to_owned())),
        Looks::CutShort => Err(Error::Damaged { path: path.to_owned(), reason: "the file was cut short".into() }),
    }
}

/// The schema version: 0 for a new file.
fn version(connection: &Connection, path: &Path) -> Result<i32, Error> {
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let read = || -> rusqlite::Result<(i32, i32, i64)> {
        let tables = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok((pragma("application_id")?, pragma("user_version")?, tables))
    };
    match read() {
        Ok((0, 0, 0)) => Ok(0),
        Ok((migrations::APPLICATION_ID, found, _)) if found > migrations::VERSION => {
            Err(Error::Newer { path: path.to_owned(), found })
        }
        Ok((migrations::APPLICATION_ID, found, _)) => Ok(found),
        Ok(_) => Err(Error::Foreign(path.to_owned())),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
            Err(Error::Foreign(path.to_owned()))
        }
        Err(source) => Err(of(path, source)),
    }
}

/// WAL, so that questions read while a run writes, and a commit is one write and one sync of the log.
///
/// `synchronous = FULL`, because of the step that follows a commit: mail is moved away or deleted at its source. With NORMAL a
/// commit is in the log but not yet on the disk, and a power loss takes it back after its mail is gone; replaying the writes
/// up to every point, with what was not synced lost or torn, found 112 of 344 such states with NORMAL and none with FULL. A
/// sync costs milliseconds for each batch of up to 4 000 messages, so nothing would be gained. docs/performance.md tells more.
fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    // What is deleted is overwritten: addresses of people are in it.
    connection.pragma_update(None, "secure_delete", true)?;
    // Of the pages that one commit touches the next touches many again; each is carried to its place once.
    connection.pragma_update(None, "wal_autocheckpoint", 8000)?;
    set_cache(connection, CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(128);
    // Else SQLite looks at what is bound where it joins or limits, and compiles such a statement anew each time that something
    // else is bound: for each report, a quarter of the writer's work.
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Pages that SQLite holds, in KiB: those of the indexes with random keys that the messages of a batch touch.
const CACHE_KIB: i32 = 32_000;
/// The same while there is a report too long to be held, which needs memory of its own and whose rows lie side by side.
const CACHE_BESIDE_LONG_KIB: i32 = 12_000;

fn set_cache(connection: &Connection, kibibytes: i32) -> rusqlite::Result<()> {
    connection.pragma_update(None, "cache_size", -kibibytes)
}

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, StatementStatus};

    #[test]
    fn no_statement_is_compiled_anew_for_what_is_bound() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(super::migrations::SCHEMA).unwrap();
        super::configure(&connection).unwrap();
        let sql = "SELECT 1 FROM report n CROSS JOIN report o ON o.id = n.id + 1 WHERE n.id = ?1 LIMIT ?2";
        let mut statement = connection.prepare(sql).unwrap();
        for value in 0..5 {
            assert!(!statement.exists([value, value]).unwrap());
        }
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }
}
