//! The reading connection: opened read-only beside any writer, and only on a file that is ours.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::store::probe::{Looks, looks};
use crate::store::{check, daily};
use rusqlite::types::Type;
use rusqlite::{Connection, ErrorCode, OpenFlags, Params, Row};

/// `PRAGMA application_id` of a dmarcdb database: `DMDB`.
pub const APPLICATION_ID: i64 = 0x444D_4442;
/// The newest `PRAGMA user_version` that this program reads.
pub const SCHEMA_VERSION: i64 = 1;

/// How long a question looks for damage before it is asked, and how long one whose answer others act upon blindly: a list
/// of suppressions that is empty because of damage would have everybody mailed again.
const LOOKING: Duration = Duration::from_millis(30);
const LOOKING_HARD: Duration = Duration::from_secs(60);

const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a database could not be opened or a question not answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No file there, or an empty one.
    #[error("{}: nothing has been fetched yet: run `dmarcdb fetch` or `dmarcdb ingest FILES`", .0.display())]
    Missing(PathBuf),
    /// A file there that is not a database of ours.
    #[error("{}: not a dmarcdb database; name another file with --db", .0.display())]
    Foreign(PathBuf),
    /// Made by a newer version of this program.
    #[error(
        "{}: written by a newer dmarcdb (schema {found}, this one reads up to {SCHEMA_VERSION}); update dmarcdb",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its `user_version`.
        found: i64,
    },
    /// Ours, but its pages contradict each other.
    #[error("{}: the database is damaged ({reason}); `dmarcdb doctor --full` tells more; restore a backup, or save what can be with `sqlite3 FILE .recover`", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        reason: String,
    },
    /// Locked for longer than we wait.
    #[error("{}: the database is locked by another program; try again", .0.display())]
    Busy(PathBuf),
    /// The file or its directory cannot be read. SQLite keeps two more files beside a database that is being written.
    #[error("{}: cannot read the database ({reason}); the file and the directory it is in must be accessible", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system or SQLite says.
        reason: String,
    },
    /// SQLite refused a question: a bug of ours.
    #[error("{}: {source}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
}

impl Error {
    /// Sorts what SQLite says about the database at `path` by what a person can do about it.
    pub fn of(path: &Path, error: rusqlite::Error) -> Error {
        let path = path.to_path_buf();
        if let rusqlite::Error::FromSqlConversionFailure(_, Type::Blob, reason) = &error {
            return Error::Damaged { path, reason: reason.to_string() };
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt) => Error::Damaged { path, reason: error.to_string() },
            Some(ErrorCode::NotADatabase) => Error::Damaged { path, reason: error.to_string() },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Busy(path),
            Some(
                ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::SystemIoFailure
                | ErrorCode::ReadOnly
                | ErrorCode::DiskFull,
            ) => Error::Unreadable { path, reason: error.to_string() },
            _ => Error::Sqlite { path, source: error },
        }
    }
}

/// A read-only connection that shows one state of the database for as long as it lives, whatever is written meanwhile.
#[derive(Debug)]
pub struct Database {
    connection: Connection,
    path: PathBuf,
}

impl Database {
    /// Opens the database at `path` for reading. Nothing is ever created or changed.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(path: &Path) -> Result<Database, Error> {
        Database::look(path, LOOKING)
    }

    /// The same for a question whose answer is acted upon unseen: takes as long as it must to find damage.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open_whole(path: &Path) -> Result<Database, Error> {
        Database::look(path, LOOKING_HARD)
    }

    fn look(path: &Path, looking: Duration) -> Result<Database, Error> {
        probe(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut database = Connection::open_with_flags(path, flags)
            .and_then(|connection| {
                connection.busy_timeout(BUSY_TIMEOUT)?;
                connection.pragma_update(None, "query_only", true)?;
                connection.pragma_update(None, "trusted_schema", false)?;
                connection.pragma_update(None, "cell_size_check", true)?;
                daily::functions(&connection)?;
                Ok(Database { connection, path: path.to_path_buf() })
            })
            .map_err(|error| Error::of(path, error))?;
        // One snapshot for all questions of a command, so that totals and rows agree while a writer writes.
        database.ask(|connection| connection.execute_batch("BEGIN"))?;
        database.check_owner()?;
        let found = check::quick(&mut database.connection, looking).map_err(|error| Error::of(path, error))?;
        if let Some([reason, ..]) = found.as_deref() {
            return Err(Error::Damaged { path: path.to_path_buf(), reason: reason.clone() });
        }
        Ok(database)
    }

    fn check_owner(&self) -> Result<(), Error> {
        let pragma =
            |name| self.ask(|connection| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)));
        let found = pragma("user_version")?;
        match pragma("application_id")? {
            APPLICATION_ID => {}
            // The first run is at its very beginning, or ended there.
            0 if found == 0 && self.is_bare()? => return Err(Error::Missing(self.path.clone())),
            _ => return Err(Error::Foreign(self.path.clone())),
        }
        if found > SCHEMA_VERSION {
            return Err(Error::Newer { path: self.path.clone(), found });
        }
        Ok(())
    }

    /// Whether nothing was ever made in it.
    fn is_bare(&self) -> Result<bool, Error> {
        self.one("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// For questions that read two answers side by side.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Sorts what SQLite says about this database.
    pub(super) fn explain(&self, error: rusqlite::Error) -> Error {
        Error::of(&self.path, error)
    }

    /// Every row of an answer.
    pub(super) fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Error> {
        self.ask(|connection| connection.prepare(sql)?.query_map(params, read)?.collect())
    }

    /// The one row of an answer that has exactly one.
    pub(super) fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        self.ask(|connection| connection.query_row(sql, params, read))
    }

    /// Hands every row to `take` as it comes, so that an answer of any length needs the memory of one row. Ends early
    /// when `take` answers false.
    pub(super) fn each<T, E: From<Error>>(
        &self,
        sql: &str,
        params: impl Params,
        read: fn(&Row<'_>) -> rusqlite::Result<T>,
        mut take: impl FnMut(T) -> Result<bool, E>,
    ) -> Result<(), E> {
        let explain = |error| E::from(Error::of(&self.path, error));
        let mut statement = self.connection.prepare(sql).map_err(explain)?;
        let mut rows = statement.query(params).map_err(explain)?;
        while let Some(row) = rows.next().map_err(explain)? {
            if !take(read(row).map_err(explain)?)? {
                break;
            }
        }
        Ok(())
    }

    fn ask<T>(&self, question: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        question(&self.connection).map_err(|error| Error::of(&self.path, error))
    }
}

/// Looks at the first bytes, which tells more than SQLite's refusal would.
fn probe(path: &Path) -> Result<(), Error> {
    let unreadable = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => Error::Missing(path.to_path_buf()),
        _ => Error::Unreadable { path: path.to_path_buf(), reason: error.to_string() },
    };
    match looks(path).map_err(unreadable)? {
        Looks::Empty => Err(Error::Missing(path.to_path_buf())),
        Looks::Foreign => Err(Error::Foreign(path.to_path_buf())),
        Looks::CutShort => {
            Err(Error::Damaged { path: path.to_path_buf(), reason: "the file was cut short".to_owned() })
        }
        Looks::Database => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::testing;

    fn refusal(path: &Path) -> String {
        Database::open(path).expect_err("must be refused").to_string()
    }

    #[test]
    fn each_kind_of_wrong_file_is_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);

        assert!(refusal(&path("none.sqlite")).contains("nothing has been fetched yet: run `dmarcdb fetch`"));
        std::fs::write(path("empty"), b"").unwrap();
        assert!(refusal(&path("empty")).contains("nothing has been fetched yet"));
        Connection::open(path("bare")).unwrap().pragma_update(None, "journal_mode", "WAL").unwrap();
        assert!(refusal(&path("bare")).contains("nothing has been fetched yet"));
        std::fs::write(path("text"), b"Dear diary, this is no database at all").unwrap();
        assert!(refusal(&path("text")).contains("not a dmarcdb database"));

        Connection::open(path("other")).unwrap().execute_batch("CREATE TABLE a (b)").unwrap();
        assert!(refusal(&path("other")).contains("not a dmarcdb database"));

        testing::create(&path("newer"), "PRAGMA user_version = 9999");
        assert!(refusal(&path("newer")).contains("newer dmarcdb (schema 9999"));
        assert!(refusal(directory.path()).contains("cannot read the database"));
    }

    #[test]
    fn damage_is_told_apart_from_a_foreign_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("damaged.sqlite");
        testing::create(&path, "");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[200..].fill(0xA5);
        std::fs::write(&path, &bytes).unwrap();
        let error = Database::open(&path)
            .and_then(|database| database.one("SELECT count(*) FROM report", [], |row| row.get::<_, i64>(0)))
            .expect_err("pages overwritten");
        assert!(error.to_string().contains("damaged"), "{error}");
    }

    #[test]
    fn reads_one_state_while_a_writer_writes_and_cannot_write_itself() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("live.sqlite");
        testing::create(&path, "");
        let writer = Connection::open(&path).unwrap();
        writer.pragma_update(None, "journal_mode", "wal").unwrap();
        writer.execute_batch("BEGIN IMMEDIATE; INSERT INTO text (value) VALUES ('half done')").unwrap();

        let database = Database::open(&path).unwrap();
        let texts = || database.one("SELECT count(*) FROM text", [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(texts(), 0);
        writer.execute_batch("COMMIT").unwrap();
        assert_eq!(texts(), 0, "the state of the first question stands");
        assert!(database.ask(|connection| connection.execute("DELETE FROM text", [])).is_err());
        drop(database);
        let after = Database::open(&path).unwrap();
        assert_eq!(after.one("SELECT count(*) FROM text", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
    }
}
