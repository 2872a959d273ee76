//! The database: opening it safely, one insert file per kind, one transaction per batch. The only room, with `query`,
//! that knows SQL.

mod aggregate;
mod complaint;
mod failure;
mod keep;
mod mailbox;
mod message;
pub mod migrations;
mod problem;
mod retry;
mod strings;
mod tls;

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

pub use keep::{Arrival, Kept, Ours, Outcome, Read};
pub use mailbox::Progress;
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
    /// SQLite or the disk failed.
    #[error("{}: {source}", .path.display())]
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
}

impl Error {
    /// Whether running again later may help: another writer holds the file.
    pub fn is_temporary(&self) -> bool {
        match self {
            Error::Locked(_) => true,
            Error::Sqlite { source, .. } => matches!(
                source.sqlite_error_code(),
                Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
            ),
            _ => false,
        }
    }
}

/// The open database of the one process that writes.
pub struct Store {
    connection: Connection,
    path: PathBuf,
    strings: strings::Strings,
    /// Domains of ours, loaded with the first complaint.
    own: Option<crate::suppress::Own>,
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
        let sqlite = |source| Error::Sqlite { path: path.to_owned(), source };
        let mut connection = Connection::open(path).map_err(sqlite)?;
        connection.busy_timeout(Duration::from_secs(10)).map_err(sqlite)?;
        let version = version(&connection, path)?;
        configure(&connection).map_err(sqlite)?;
        migrations::migrate(&mut connection, version).map_err(sqlite)?;
        Ok(Store { connection, path: path.to_owned(), strings: strings::Strings::default(), own: None, _lock: lock })
    }

    fn error(&self, source: rusqlite::Error) -> Error {
        Error::Sqlite { path: self.path.clone(), source }
    }
}

/// The writer's lock: advisory, held by the kernel, gone with the process.
fn lock(path: &Path) -> Result<File, Error> {
    let cannot = |error: std::io::Error| Error::CannotCreate { path: path.to_owned(), reason: error.to_string() };
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
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Error::CannotCreate { path: path.to_owned(), reason: error.to_string() }),
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
        Err(source) => Err(Error::Sqlite { path: path.to_owned(), source }),
    }
}

/// `synchronous = FULL` although WAL: with NORMAL a power loss takes commits back whose mail was already moved away.
fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
    connection.pragma_update(None, "cache_size", -16_000)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}
