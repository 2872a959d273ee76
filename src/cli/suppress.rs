//! `dmarcdb suppress`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::json;

use super::answer::{self, FormatArgs, LimitArgs};
use super::{Context, Error, Status, window};
use crate::query::suppression::{self, Event, Suppression};
use crate::query::{Database, Error as QueryError};
use crate::render::sanitize::{Untrusted, acts_on_terminal};
use crate::render::{Field, Format, Sheet, csv, json as write, number, sheet};
use crate::store::suppressions::{self, Word};

/// Rows of a table on a terminal.
const TERMINAL_ROWS: usize = 100;
/// The longest address there is (RFC 5321, section 4.5.3.1.3, without the angle brackets).
const ADDRESS_BYTES: usize = 254;
/// The longest local part (RFC 5321, section 4.5.3.1.1).
const LOCAL_BYTES: usize = 64;

const EXAMPLES: &str = "\
Who complained through a known feedback loop, and whom a person added, until a person lifts it. The view v_suppression in
the database has the same list.

Examples:
  dmarcdb suppress list
  dmarcdb suppress export --format plain --output /etc/postfix/suppressed
  dmarcdb suppress add bob@example.com --reason 'asked by phone'
  dmarcdb suppress why bob@example.com
  dmarcdb suppress lift bob@example.com --reason 'signed up again'";

/// Options of `dmarcdb suppress`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the addresses that must not be mailed
    List(ListArgs),
    /// Write the list for another program
    Export(ExportArgs),
    /// Suppress an address
    Add(AddArgs),
    /// Let an address be mailed again
    Lift(LiftArgs),
    /// Tell everything that speaks for or against mailing an address
    Why(WhyArgs),
}

#[derive(Debug, clap::Args)]
struct Choice {
    /// Only what holds for mail from this From domain; what holds for all is among it
    #[arg(long, value_name = "DOMAIN", value_parser = answer::domain)]
    scope: Option<String>,
    /// Also addresses from complaints that are not known to come from a feedback loop, marked `pending`
    #[arg(long)]
    include_pending: bool,
}

const LIST_EXAMPLES: &str = "\
In CSV, text that a spreadsheet would take for a formula has a `'` in front; `suppress export` writes addresses as they are.

Examples:
  dmarcdb suppress list --scope news.example.com
  dmarcdb suppress list --include-pending --format json";

#[derive(Debug, clap::Args)]
#[command(after_long_help = LIST_EXAMPLES)]
struct ListArgs {
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    limit: LimitArgs,
    #[command(flatten)]
    format: FormatArgs,
}

const EXPORT_EXAMPLES: &str = "\
With --output the file is replaced in one step once all of it is written, so a reader sees the old list or the new one.
An address that is suppressed for one From domain only is in the list too unless --scope names another.

Examples:
  dmarcdb suppress export --format plain --output /etc/postfix/suppressed
  dmarcdb suppress export --scope news.example.com --format csv";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXPORT_EXAMPLES)]
struct ExportArgs {
    /// How to write the list
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "csv")]
    format: ExportFormat,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    choice: Choice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    /// RFC 4180 with a header
    Csv,
    /// One JSON object per line
    Ndjson,
    /// One address per line
    Plain,
}

const ADD_EXAMPLES: &str = "\
Examples:
  dmarcdb suppress add bob@example.com --reason 'asked by phone'
  dmarcdb suppress add bob@example.com --reason vacation --scope news.example.com --until 30d";

#[derive(Debug, clap::Args)]
#[command(after_long_help = ADD_EXAMPLES)]
struct AddArgs {
    #[command(flatten)]
    word: WordArgs,
    /// Only for mail from this From domain [default: all]
    #[arg(long, value_name = "DOMAIN", value_parser = answer::domain)]
    scope: Option<String>,
    /// Until when: a span from now, a date, or an RFC 3339 time [default: for good]
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
}

const LIFT_EXAMPLES: &str = "\
A later complaint suppresses the address again.

Examples:
  dmarcdb suppress lift bob@example.com --reason 'signed up again'";

#[derive(Debug, clap::Args)]
#[command(after_long_help = LIFT_EXAMPLES)]
struct LiftArgs {
    #[command(flatten)]
    word: WordArgs,
    /// Only for mail from this From domain [default: wherever it is suppressed]
    #[arg(long, value_name = "DOMAIN", value_parser = answer::domain)]
    scope: Option<String>,
}

#[derive(Debug, clap::Args)]
struct WordArgs {
    /// The address
    #[arg(value_parser = address)]
    address: String,
    /// Why, for those who ask later
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who says so [default: the user who runs this]
    #[arg(long, value_name = "NAME", env = "USER", hide_env = true, default_value = "?", hide_default_value = true)]
    author: String,
}

const WHY_EXAMPLES: &str = "\
Examples:
  dmarcdb suppress why bob@example.com
  dmarcdb suppress why bob@example.com --format json";

#[derive(Debug, clap::Args)]
#[command(after_long_help = WHY_EXAMPLES)]
struct WhyArgs {
    /// The address
    #[arg(value_parser = address)]
    address: String,
    #[command(flatten)]
    format: FormatArgs,
}

const SUPPRESSION: &[Field<Suppression>] = &[
    Field::text("address", |row: &Suppression| (&row.address).into()),
    Field::text("reason", |row: &Suppression| (&row.reason).into()),
    Field::text("scope", |row: &Suppression| (&row.scope).into()),
    Field::time("since_at", |row: &Suppression| row.since_at.into()),
    Field::time("until_at", |row: &Suppression| row.until_at.into()).if_wide(1),
    Field::text("evidence", |row: &Suppression| (&row.evidence).into()).if_wide(2),
    Field::text("state", |row: &Suppression| (&row.state).into()),
];

const EVENT: &[Field<Event>] = &[
    Field::time("at", |row: &Event| row.at.into()),
    Field::text("kind", |row: &Event| (&row.kind).into()),
    Field::text("scope", |row: &Event| (&row.scope).into()),
    Field::text("reason", |row: &Event| (&row.reason).into()),
    Field::time("until_at", |row: &Event| row.until_at.into()).if_wide(3),
    Field::text("author", |row: &Event| (&row.author).into()),
    Field::id("complaint", |row: &Event| row.complaint.into()),
    Field::text("provider", |row: &Event| (&row.provider).into()).if_wide(2),
    Field::flag("trusted", |row: &Event| row.trusted.into()).data_only(),
    Field::text("trust_reason", |row: &Event| (&row.trust_reason).into()).if_wide(1),
    Field::path("origin", |row: &Event| (&row.origin).into()).if_wide(4),
];

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(context: &Context, args: Args) -> Result<Status, Error> {
    let database = answer::open_whole(context)?;
    match args.command {
        Command::List(args) => list(context, &database, &args),
        Command::Export(args) => export(context, &database, &args),
        Command::Add(args) => add(context, database, &args),
        Command::Lift(args) => lift(context, database, &args),
        Command::Why(args) => why(context, &database, &args),
    }
}

/// Hands over what is chosen: the active ones, then the pending.
fn each(
    context: &Context,
    database: &Database,
    choice: &Choice,
    take: &mut dyn FnMut(Suppression) -> Result<bool, Error>,
) -> Result<(), Error> {
    let scope = choice.scope.as_deref();
    suppression::each(database, scope, &mut *take)?;
    if choice.include_pending {
        suppression::each_pending(database, scope, context.now, take)?;
    }
    Ok(())
}

fn list(context: &Context, database: &Database, args: &ListArgs) -> Result<Status, Error> {
    let format = args.format.format();
    let limit = args.limit.rows(format, TERMINAL_ROWS);
    let mut out = answer::stdout();
    let listed =
        answer::list(&mut out, format, limit, SUPPRESSION, |take| each(context, database, &args.choice, take))?;
    if listed.rows == 0 {
        answer::say_empty(context, &mut out, format, "Nobody is suppressed.")?;
    }
    out.flush()?;
    Ok(Status::Ok)
}

fn export(context: &Context, database: &Database, args: &ExportArgs) -> Result<Status, Error> {
    if args.format == ExportFormat::Plain && args.choice.include_pending {
        let text = "--include-pending marks what is pending, which `plain` cannot: use --format csv or ndjson";
        return Err(Error::new(Status::Usage, text));
    }
    let Some(path) = &args.output else {
        let mut out = answer::stdout();
        write_export(context, database, args, &mut out)?;
        out.flush()?;
        return Ok(Status::Ok);
    };
    replace(path, |out| write_export(context, database, args, out))?;
    Ok(Status::Ok)
}

/// Addresses are written as they are, with no sign put in front for spreadsheets: the program that reads this list must
/// match each of them.
fn write_export(context: &Context, database: &Database, args: &ExportArgs, out: &mut dyn Write) -> Result<(), Error> {
    match args.format {
        ExportFormat::Plain => {
            let mut last = None;
            each(context, database, &args.choice, &mut |row| {
                // One address for several scopes comes in a row.
                if last.as_ref() != Some(&row.address) {
                    writeln!(out, "{}", row.address)?;
                }
                last = Some(row.address);
                Ok(true)
            })
        }
        ExportFormat::Ndjson => {
            let mut out = out;
            each(context, database, &args.choice, &mut |row| {
                write::line(&mut out, &sheet::object(SUPPRESSION, &row))?;
                Ok(true)
            })
        }
        ExportFormat::Csv => {
            let mut writer = ::csv::Writer::from_writer(out);
            let failed = |error: ::csv::Error| Error::from(io::Error::from(error));
            writer.write_record(SUPPRESSION.iter().map(|field| field.column.name)).map_err(failed)?;
            let mut formulas = 0;
            each(context, database, &args.choice, &mut |row| {
                formulas += i64::from(csv::runs(&row.address));
                let until_at = row.until_at.map(|at| at.to_string()).unwrap_or_default();
                let since_at = row.since_at.to_string();
                let texts = [&row.reason, &row.scope].map(|text| csv::inert(text));
                let [reason, scope] = texts;
                let (address, evidence) = (Untrusted(&row.address).to_string(), csv::inert(&row.evidence));
                let cells = [address, reason, scope, since_at, until_at, evidence, row.state];
                writer.write_record(cells).map_err(failed)?;
                Ok(true)
            })?;
            writer.flush()?;
            if formulas > 0 {
                context.note(format_args!(
                    "{} that a spreadsheet would take for a formula: do not open this list with one",
                    if formulas == 1 { "1 address".to_owned() } else { format!("{formulas} addresses") }
                ));
            }
            Ok(())
        }
    }
}

/// Writes a new file beside `path` and puts it in its place when all of it is on the disk. Whatever fails, the old file
/// stays and nothing is left beside it.
fn replace(path: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<(), Error>) -> Result<(), Error> {
    let failed = |error: io::Error| Error::new(Status::CannotCreate, format_args!("{}: {error}", path.display()));
    let Some(name) = path.file_name() else {
        return Err(failed(io::Error::from(io::ErrorKind::IsADirectory)));
    };
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}.tmp", std::process::id()));
    let beside = path.with_file_name(beside);
    let written = (|| {
        let file = fs::File::create_new(&beside).map_err(failed)?;
        let mut out = io::BufWriter::new(file);
        fill(&mut out).map_err(|error| match error.status {
            // What `Error` takes for standard output is this file here.
            Status::Io if error.text.starts_with("standard output") => {
                Error::new(Status::CannotCreate, format_args!("{}: cannot be written", path.display()))
            }
            _ => error,
        })?;
        let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
        if let Ok(old) = fs::metadata(path) {
            file.set_permissions(old.permissions()).map_err(failed)?;
        }
        file.sync_all().map_err(failed)?;
        fs::rename(&beside, path).map_err(failed)
    })();
    if written.is_err() {
        // Best effort: the error that matters is the one that is answered.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn add(context: &Context, database: Database, args: &AddArgs) -> Result<Status, Error> {
    let until_at = args.until.as_deref().map(|text| window::ahead(context.now, text)).transpose();
    let until_at = until_at.map_err(|text| Error::new(Status::Usage, format_args!("--until: {text}")))?;
    let scope = args.scope.as_deref().unwrap_or_default();
    let path = database.path().to_path_buf();
    drop(database);
    let folded = args.word.address.to_lowercase();
    suppressions::add(&path, word(context, &args.word, &folded), scope, until_at)
        .map_err(|error| QueryError::of(&path, error))?;
    let until = until_at.map_or_else(|| "for good".to_owned(), |at| format!("until {} UTC", number::time(at)));
    context.note(format_args!("{} is suppressed for {} {until}", args.word.address, everywhere(scope)));
    Ok(Status::Ok)
}

fn lift(context: &Context, database: Database, args: &LiftArgs) -> Result<Status, Error> {
    let path = database.path().to_path_buf();
    drop(database);
    let folded = args.word.address.to_lowercase();
    let scopes = suppressions::lift(&path, word(context, &args.word, &folded), args.scope.as_deref())
        .map_err(|error| QueryError::of(&path, error))?;
    if scopes.is_empty() {
        context.note(format_args!("{} was not suppressed: nothing to lift", args.word.address));
    }
    for scope in scopes {
        context.note(format_args!("{} may be mailed again from {}", args.word.address, everywhere(&scope)));
    }
    Ok(Status::Ok)
}

fn word<'a>(context: &Context, args: &'a WordArgs, folded: &'a str) -> Word<'a> {
    Word { address: &args.address, folded, reason: &args.reason, author: &args.author, at: context.now }
}

fn everywhere(scope: &str) -> &str {
    if scope.is_empty() { "every domain" } else { scope }
}

fn why(context: &Context, database: &Database, args: &WhyArgs) -> Result<Status, Error> {
    let folded = args.address.to_lowercase();
    let active = suppression::state(database, &folded, context.now)?;
    let events = suppression::why(database, &folded)?;
    let format = args.format.format();
    let mut out = answer::stdout();
    match format {
        Format::Table => page(&mut out, &args.address, &active, &events)?,
        Format::Json => {
            let document = json!({
                "address": args.address,
                "suppressed": active.iter().map(|row| sheet::object(SUPPRESSION, row)).collect::<Vec<_>>(),
                "events": events.iter().map(|row| sheet::object(EVENT, row)).collect::<Vec<_>>(),
            });
            write::document(&mut out, &document)?;
        }
        Format::Ndjson | Format::Csv => rows(&mut out, format, &events)?,
    }
    out.flush()?;
    Ok(Status::Ok)
}

fn page(out: &mut impl Write, address: &str, active: &[Suppression], events: &[Event]) -> Result<(), Error> {
    let address = Untrusted(address);
    if active.is_empty() {
        writeln!(out, "{address} is not suppressed.")?;
    }
    for row in active {
        let until = row.until_at.map_or_else(String::new, |at| format!(" until {} UTC", number::time(at)));
        let since = number::time(row.since_at);
        let scope = Untrusted(everywhere(&row.scope));
        let (reason, evidence) = (Untrusted(&row.reason), Untrusted(&row.evidence));
        writeln!(out, "{address} is suppressed for {scope} since {since} UTC{until}: {reason} ({evidence}).")?;
    }
    if events.is_empty() {
        writeln!(out, "Nothing is known about it.")?;
        return Ok(());
    }
    writeln!(out)?;
    rows(out, Format::Table, events)
}

fn rows(out: &mut impl Write, format: Format, events: &[Event]) -> Result<(), Error> {
    let mut sheet = Sheet::begin(&mut *out, format, answer::look(), EVENT)?;
    for event in events {
        sheet.row(event)?;
    }
    let left_out = sheet.finish()?;
    answer::no_room(out, &left_out)?;
    Ok(())
}

/// A mail address as suppressions keep it: local part as given, domain as lower-case A-label.
fn address(text: &str) -> Result<String, String> {
    let text = text.trim();
    let text = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text);
    let (local, domain) = text.rsplit_once('@').ok_or("no `@` in it")?;
    let plain = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    if local.is_empty() || local.len() > LOCAL_BYTES || local.chars().any(acts_on_terminal) {
        return Err("no usable local part".to_owned());
    }
    if !quoted && !local.chars().all(plain) {
        return Err("a character in the local part that only a quoted one may have".to_owned());
    }
    let domain = idna::domain_to_ascii_strict(domain).map_err(|_| "no usable domain".to_owned())?;
    let address = format!("{local}@{domain}");
    if address.len() > ADDRESS_BYTES {
        return Err("too long".to_owned());
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("Bob@Example.COM", Some("Bob@example.com")),
            ("<bob@example.com>", Some("bob@example.com")),
            ("bob+tag@bücher.example", Some("bob+tag@xn--bcher-kva.example")),
            ("\"a b\"@example.com", Some("\"a b\"@example.com")),
            ("jörg@example.com", Some("jörg@example.com")),
            ("bob", None),
            ("@example.com", None),
            ("bob@", None),
            ("bob smith@example.com", None),
            ("a@b@example.com", None),
            ("bob\n@example.com", None),
            ("bob@exa mple.com", None),
            ("bob@example.com, eve@example.com", None),
        ] {
            assert_eq!(address(text).ok().as_deref(), expected, "{text}");
        }
        assert!(address(&format!("{}@example.com", "a".repeat(65))).is_err());
    }

    #[test]
    fn a_failed_export_leaves_the_old_file_and_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("list");
        fs::write(&path, "old").unwrap();
        let failed = replace(&path, |out| {
            out.write_all(b"half")?;
            Err(Error::new(Status::Io, "the database is damaged"))
        });
        assert_eq!(failed.unwrap_err().status, Status::Io);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);

        replace(&path, |out| Ok(out.write_all(b"new")?)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        let nowhere = replace(&directory.path().join("none/list"), |_| Ok(()));
        assert_eq!(nowhere.unwrap_err().status, Status::CannotCreate);
    }
}
