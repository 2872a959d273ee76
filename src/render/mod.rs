//! Rows to table, JSON, NDJSON, CSV and HTML; each sanitizes what strangers wrote in its own way.
//!
//! | format | text from strangers |
//! |--------|---------------------|
//! | table  | whatever acts on a terminal is shown as `\u{..}`, and long text is cut |
//! | JSON, NDJSON | the same characters and `<`, `>`, `&` are escaped as `\uXXXX`, which loses nothing |
//! | HTML   | as in a table, not cut, and markup is escaped |
//! | CSV    | as in a table, not cut; what a spreadsheet would take for a formula gets a `'` in front |

pub mod chart;
pub mod csv;
pub mod html;
pub mod json;
pub mod page;
pub mod rows;
pub mod sanitize;
pub mod sheet;
pub mod table;

pub use crate::number;
pub use rows::{Column, Field, Kind, Value};
pub use sheet::Sheet;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Table,
    /// One document.
    Json,
    /// One document per line.
    Ndjson,
    /// RFC 4180, with a header.
    Csv,
}

/// What the table goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Columns of the terminal.
    pub width: usize,
    /// Whether colours are wanted.
    pub colour: bool,
}
