//! `dmarcdb suppress`.

mod export;
mod files;
mod why;

use std::io::Write;

use super::answer::{self, FormatArgs, LimitArgs};
use super::author::Author;
use super::{Context, Error, Status, window};
use crate::query::suppression::{self, Suppression};
use crate::query::{Database, Error as QueryError};
use crate::render::{Field, number};
use crate::report::address::Address;
use crate::store::suppressions::{self, Word};

/// Rows of a table on a terminal.
const TERMINAL_ROWS: usize = 100;

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
    Export(export::Args),
    /// Suppress an address
    Add(AddArgs),
    /// Let an address be mailed again
    Lift(LiftArgs),
    /// Tell everything that speaks for or against mailing an address
    Why(why::Args),
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
    address: Address,
    /// Why, for those who ask later
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    author: Author,
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

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(context: &Context, args: Args) -> Result<Status, Error> {
    let database = answer::open_whole(context)?;
    match args.command {
        Command::List(args) => list(context, &database, &args),
        Command::Export(args) => export::run(context, &database, &args),
        Command::Add(args) => add(context, database, &args),
        Command::Lift(args) => lift(context, database, &args),
        Command::Why(args) => why::run(context, &database, &args),
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

fn add(context: &Context, database: Database, args: &AddArgs) -> Result<Status, Error> {
    let until_at = args.until.as_deref().map(|text| window::ahead(context.now, text)).transpose();
    let until_at = until_at.map_err(|text| Error::new(Status::Usage, format_args!("--until: {text}")))?;
    let scope = args.scope.as_deref().unwrap_or_default();
    let path = database.path().to_path_buf();
    drop(database);
    let (address, folded) = (args.word.address.canonical(), args.word.address.folded());
    suppressions::add(&path, word(context, &args.word, &address, &folded), scope, until_at)
        .map_err(|error| QueryError::of(&path, error))?;
    let until = until_at.map_or_else(|| "for good".to_owned(), |at| format!("until {} UTC", number::time(at)));
    context.note(format_args!("{} is suppressed for {} {until}", address, everywhere(scope)));
    Ok(Status::Ok)
}

fn lift(context: &Context, database: Database, args: &LiftArgs) -> Result<Status, Error> {
    let path = database.path().to_path_buf();
    drop(database);
    let (address, folded) = (args.word.address.canonical(), args.word.address.folded());
    let scopes = suppressions::lift(&path, word(context, &args.word, &address, &folded), args.scope.as_deref())
        .map_err(|error| QueryError::of(&path, error))?;
    if scopes.is_empty() {
        context.note(format_args!("{} was not suppressed: nothing to lift", address));
    }
    for scope in scopes {
        context.note(format_args!("{} may be mailed again from {}", address, everywhere(&scope)));
    }
    Ok(Status::Ok)
}

fn word<'a>(context: &Context, args: &'a WordArgs, address: &'a str, folded: &'a str) -> Word<'a> {
    Word { address, folded, reason: &args.reason, author: &args.author.name, at: context.now }
}

fn everywhere(scope: &str) -> &str {
    if scope.is_empty() { "every domain" } else { scope }
}

/// A mail address as suppressions keep it: local part as given, domain as lower-case A-label.
fn address(text: &str) -> Result<Address, String> {
    let text = text.trim();
    let text = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text);
    let address = Address::parse(text).map_err(|fault| fault.to_string())?;
    if address.is_literal() {
        return Err("an address literal, which no list holds".to_owned());
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
            (" bob@example.com ", Some("bob@example.com")),
            ("bob+tag@bücher.example", Some("bob+tag@xn--bcher-kva.example")),
            ("\"a b\"@example.com", Some("\"a b\"@example.com")),
            ("\"a@b\"@example.com", Some("\"a@b\"@example.com")),
            ("jörg@example.com", Some("jörg@example.com")),
            ("bob", None),
            ("@example.com", None),
            ("bob@", None),
            ("bob@localhost", None),
            ("bob@[192.0.2.1]", None),
            ("bob smith@example.com", None),
            ("Bob <bob@example.com>", None),
            ("a@b@example.com", None),
            ("bob\n@example.com", None),
            ("bob\u{202e}@example.com", None),
            ("bob@exa mple.com", None),
            ("bob@example.com, eve@example.com", None),
        ] {
            assert_eq!(address(text).ok().map(|address| address.canonical()).as_deref(), expected, "{text}");
        }
        assert!(address(&format!("{}@example.com", "a".repeat(65))).is_err());
    }
}
