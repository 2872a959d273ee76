//! Questions to the database. One question is one `.sql` file beside the `.rs` file with its parameters and its row.
//!
//! SQL is written, never assembled: parameters are bound, a time range always among them, with wide ends where the
//! asker has none, so that the index on time is used. `tests/it/plans.rs` asks SQLite for the plan of every file here.

pub mod bounces;
pub mod check;
pub mod complaints;
pub mod counts;
pub mod database;
pub mod days;
pub mod domain;
pub mod evidence;
pub mod extent;
pub mod facets;
pub mod handed;
pub mod heard;
pub mod labels;
pub mod messages;
pub mod names;
pub mod notes;
pub mod policy;
pub mod problems;
pub mod rates;
pub mod records;
pub mod reporter;
pub mod reports;
pub mod source;
pub mod spread;
pub mod summary;
mod sums;
pub mod suppression;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod trust;

pub use counts::Counts;
pub use database::{Database, Error};

/// A stretch of time: seconds since the epoch, from `since` on, and before `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first second in it.
    pub since: i64,
    /// The first second after it.
    pub until: i64,
}

impl Window {
    /// Every time there is.
    pub const ALL: Window = Window { since: i64::MIN, until: i64::MAX };

    /// Whether a time is in it.
    pub fn holds(self, at: i64) -> bool {
        self.since <= at && at < self.until
    }

    /// The window of the same length that ends where this one begins.
    pub fn previous(self) -> Window {
        let length = self.until.saturating_sub(self.since);
        Window { since: self.since.saturating_sub(length), until: self.since }
    }
}

/// Declares a row: its type, and how it is read from the columns of the same names.
macro_rules! row {
    ($(#[$about:meta])* pub struct $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name { $($(#[$doc])* pub $field: $type,)* }

        impl $name {
            pub(in crate::query) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
                Ok($name { $($field: row.get(stringify!($field))?,)* })
            }
        }
    };
}
use row;
