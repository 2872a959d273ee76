//! What every command that answers shares: the options for format and rows, the database opened for reading, and
//! standard output.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::path::PathBuf;

use clap::ValueEnum;

use super::{Context, Error, Status};
use crate::query::{self, Database};
use crate::render::sanitize::Untrusted;
use crate::render::{Field, Format, Look, Sheet, number};

/// The width of a table that does not go to a terminal.
const WIDTH: usize = 100;

/// Option for how the answer is written.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct FormatArgs {
    /// How to write the answer
    ///
    /// A table is for people and may change. JSON is one document, NDJSON one document per line, CSV has a header. In
    /// these, times are seconds since the epoch.
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "table")]
    format: FormatName,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormatName {
    Table,
    Json,
    Ndjson,
    Csv,
}

impl FormatArgs {
    /// The format asked for.
    pub fn format(self) -> Format {
        match self.format {
            FormatName::Table => Format::Table,
            FormatName::Json => Format::Json,
            FormatName::Ndjson => Format::Ndjson,
            FormatName::Csv => Format::Csv,
        }
    }
}

/// Option for whose word counts.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct VerifiedArgs {
    /// Only reports whose mail your server found to come from their reporter (needs `authserv_id`)
    #[arg(long)]
    pub verified_only: bool,
}

/// Option for how many rows are shown.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct LimitArgs {
    /// Show at most so many rows; 0 is all [default: bounded in tables, else all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

impl LimitArgs {
    /// How many rows to show, where a table has `in_table` at most, be it on a terminal or in a mail.
    pub fn of_table(self, format: Format, in_table: usize) -> usize {
        match self.limit {
            None if format == Format::Table => in_table,
            _ => self.rows(format, in_table),
        }
    }

    /// How many rows to show, where a table on a terminal has `on_terminal` at most.
    pub fn rows(self, format: Format, on_terminal: usize) -> usize {
        match self.limit {
            Some(0) => usize::MAX,
            Some(limit) => limit,
            None if format == Format::Table && io::stdout().is_terminal() => on_terminal,
            None => usize::MAX,
        }
    }
}

/// A domain as reports spell it: lower-case A-label, without the dot at the end.
///
/// # Errors
/// Text for people, where it is no domain.
pub fn domain(text: &str) -> Result<String, String> {
    let name = text.trim().trim_end_matches('.');
    match idna::domain_to_ascii(name) {
        Ok(domain) if !domain.is_empty() => Ok(domain),
        _ => Err("not a domain name".to_owned()),
    }
}

/// The database, opened for reading.
///
/// # Errors
/// As [`Database::open`]; a configuration with mistakes, if it is needed to know the file.
pub fn open(context: &Context) -> Result<Database, Error> {
    Ok(Database::open(&path(context)?)?)
}

/// The same where others act upon the answer unseen.
///
/// # Errors
/// As [`Database::open_whole`], and as [`open`].
pub fn open_whole(context: &Context) -> Result<Database, Error> {
    Ok(Database::open_whole(&path(context)?)?)
}

fn path(context: &Context) -> Result<PathBuf, Error> {
    match &context.db_option {
        Some(path) => Ok(path.clone()),
        None => Ok(context.db_path(&context.config()?)),
    }
}

impl From<query::Error> for Error {
    fn from(error: query::Error) -> Self {
        let status = match error {
            query::Error::Busy(_) => Status::Temporary,
            query::Error::Sqlite { .. } => Status::Software,
            _ => Status::Io,
        };
        Error::new(status, error)
    }
}

/// Standard output, locked and buffered.
pub fn stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::with_capacity(64 << 10, io::stdout().lock())
}

/// The width of prose that does not go to a terminal: it goes into a mail.
const PAGE_WIDTH: usize = 80;

/// How wide tables are and whether they have colours: as the terminal, if there is one; `NO_COLOR` forbids colours, and
/// `CLICOLOR_FORCE` has them without a terminal.
pub fn look() -> Look {
    look_or(WIDTH)
}

/// The same of prose.
pub fn page_look() -> Look {
    look_or(PAGE_WIDTH)
}

fn look_or(otherwise: usize) -> Look {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let terminal = io::stdout().is_terminal();
    let columns = variable("COLUMNS").and_then(|value| value.to_str()?.parse().ok()).filter(|width| *width > 0);
    let size = || terminal.then(terminal_size::terminal_size).flatten().map(|(width, _)| usize::from(width.0));
    let forced = variable("CLICOLOR_FORCE").is_some_and(|value| value != "0");
    let able = terminal && variable("TERM").is_none_or(|term| term != "dumb");
    Look {
        width: columns.or_else(size).unwrap_or(otherwise),
        colour: (able || forced) && variable("NO_COLOR").is_none(),
    }
}

/// What has been listed.
#[derive(Clone, Copy, Debug)]
pub struct Listed {
    /// Rows written.
    pub rows: usize,
    /// Whether there were more.
    pub more: bool,
}

/// Writes rows as `each` hands them over, `limit` at most, and below a table what is not in it.
///
/// # Errors
/// What `each` fails with, or standard output.
pub fn list<T>(
    out: &mut impl Write,
    format: Format,
    limit: usize,
    fields: &'static [Field<T>],
    each: impl FnOnce(&mut dyn FnMut(T) -> Result<bool, Error>) -> Result<(), Error>,
) -> Result<Listed, Error> {
    let mut listed = Listed { rows: 0, more: false };
    let mut sheet = Sheet::begin(&mut *out, format, look(), fields)?;
    each(&mut |row| {
        listed.more = listed.rows == limit;
        if !listed.more {
            sheet.row(&row)?;
            listed.rows += 1;
        }
        Ok(!listed.more)
    })?;
    let left_out = sheet.finish()?;
    if format == Format::Table {
        if listed.more {
            let shown = number::count(i64::try_from(listed.rows).unwrap_or(i64::MAX), "row");
            writeln!(out, "There are more than these {shown}: --limit 0 shows all.")?;
        }
        no_room(out, &left_out)?;
    }
    Ok(listed)
}

/// Writes a table of its own among others, and below it what it had no room for.
///
/// # Errors
/// Of the writer.
pub fn table<'a, T: 'a>(
    out: &mut impl Write,
    fields: &'static [Field<T>],
    rows: impl IntoIterator<Item = &'a T>,
) -> io::Result<()> {
    let left_out = table_in(out, look(), fields, rows)?;
    no_room(out, &left_out)
}

/// The same on a page, which goes into a mail where there is no terminal, and has more tables than such lines are worth.
///
/// # Errors
/// Of the writer.
pub fn page_table<'a, T: 'a>(
    out: &mut impl Write,
    fields: &'static [Field<T>],
    rows: impl IntoIterator<Item = &'a T>,
) -> io::Result<()> {
    table_in(out, page_look(), fields, rows).map(|_| ())
}

fn table_in<'a, T: 'a>(
    out: &mut impl Write,
    look: Look,
    fields: &'static [Field<T>],
    rows: impl IntoIterator<Item = &'a T>,
) -> io::Result<Vec<&'static str>> {
    let mut sheet = Sheet::begin(&mut *out, Format::Table, look, fields)?;
    for row in rows {
        sheet.row(row)?;
    }
    sheet.finish()
}

/// Says why there are no rows: in place of a table, else on standard error.
///
/// # Errors
/// Of the writer.
pub fn say_empty(context: &Context, out: &mut impl Write, format: Format, text: &str) -> io::Result<()> {
    match format {
        Format::Table => writeln!(out, "{}", Untrusted(text)),
        _ => {
            context.note(text);
            Ok(())
        }
    }
}

/// The line below a table about columns it had no room for.
///
/// # Errors
/// Of the writer.
pub fn no_room(out: &mut impl Write, left_out: &[&str]) -> io::Result<()> {
    if left_out.is_empty() {
        return Ok(());
    }
    writeln!(out, "No room for {}: widen the terminal, or --format csv.", left_out.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_as_reports_spell_them() {
        for (text, expected) in [
            ("Example.COM", Some("example.com")),
            ("example.com.", Some("example.com")),
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("", None),
            (".", None),
        ] {
            assert_eq!(domain(text).ok().as_deref(), expected, "{text}");
        }
    }
}
