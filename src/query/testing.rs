//! Databases for the tests of this room: `schema.sql`, and rows set by hand.

use std::path::Path;

use super::Database;
use super::database::{APPLICATION_ID, SCHEMA_VERSION};

const SCHEMA: &str = include_str!("../../schema.sql");

/// Makes a database at `path` runs `rows` in it and adds up the daily sums.
pub fn create(path: &Path, rows: &str) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute_batch(SCHEMA).unwrap();
    connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
    connection.pragma_update(None, "user_version", SCHEMA_VERSION).unwrap();
    connection.execute_batch(rows).unwrap();
    crate::store::daily::catch_up(&connection).unwrap();
}

/// A database in a directory that goes when this goes.
pub struct Scratch {
    /// Opened for reading.
    pub database: Database,
    _directory: tempfile::TempDir,
}

/// A database with `rows` in it, opened.
pub fn scratch(rows: &str) -> Scratch {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("scratch.sqlite");
    create(&path, rows);
    Scratch { database: Database::open(&path).unwrap(), _directory: directory }
}

/// The rows that the golden tests of the whole binary use too.
pub const FIXTURE: &str = include_str!("../../tests/it/fixture.sql");
