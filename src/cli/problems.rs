//! `dmarcdb problems`.

use std::io::{self, Write};

use super::answer::{self, FormatArgs, LimitArgs};
use super::run::Run;
use super::{Context, Error, Status};
use crate::query::Database;
use crate::query::problems::{self, Problem};
use crate::render::sanitize::Untrusted;
use crate::render::{Field, Format, Sheet, Value, json, number, sheet};

/// Rows of a table on a terminal.
const TERMINAL_ROWS: usize = 100;
/// Lines and characters of a line that `show` shows of what could not be read.
const HEAD_LINES: usize = 20;
const HEAD_WIDTH: usize = 200;

const EXAMPLES: &str = "\
One row for each part, document or message that could not be read and waits. What it says under `code` is stable:
truncated, encrypted, too-large and so on.

Examples:
  dmarcdb problems
  dmarcdb problems show 17
  dmarcdb problems retry
  dmarcdb problems --format ndjson | jq -r .origin";

/// Options of `dmarcdb problems`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show one problem and the beginning of what could not be read
    Show(ShowArgs),
    /// Read again what waits, after an upgrade or with wider `[limits]`
    Retry,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Also those that were read after all
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    limit: LimitArgs,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// The `id` that `dmarcdb problems` lists
    id: i64,
    #[command(flatten)]
    format: FormatArgs,
}

const PROBLEM: &[Field<Problem>] = &[
    Field::id("id", |row: &Problem| row.id.into()),
    Field::id("message", |row: &Problem| row.message.into()).data_only(),
    Field::time("seen_at", |row: &Problem| row.seen_at.into()).if_wide(2),
    Field::text("code", |row: &Problem| (&row.code).into()),
    Field::text("reason", |row: &Problem| (&row.reason).into()),
    Field::path("origin", |row: &Problem| (&row.origin).into()),
    Field::text("part", |row: &Problem| (&row.part).into()).if_wide(1),
    Field::text("declared_type", |row: &Problem| (&row.declared_type).into()).data_only(),
    Field::text("found_type", |row: &Problem| (&row.found_type).into()).data_only(),
    Field::text("file_name", |row: &Problem| (&row.file_name).into()).data_only(),
    Field::integer("bytes", |row: &Problem| row.bytes.into()).if_wide(3),
    Field::text("subject", |row: &Problem| (&row.subject).into()).data_only(),
    Field::text("from_address", |row: &Problem| (&row.from_address).into()).data_only(),
    Field::flag("kept", |row: &Problem| row.kept.into()).data_only(),
    Field::time("solved_at", |row: &Problem| row.solved_at.into()).data_only(),
];

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(context: &Context, args: Args) -> Result<Status, Error> {
    match args.command {
        None => list(context, &answer::open(context)?, &args.list),
        Some(Command::Show(args)) => show(&answer::open(context)?, &args),
        Some(Command::Retry) => retry(context),
    }
}

/// Reads every waiting message again whose bytes were kept. The others are still where they were found.
fn retry(context: &Context) -> Result<Status, Error> {
    let config = context.config()?;
    answer::open(context)?;
    let mut run = Run::open(context, &config, false)?;
    let retried = run.retry()?;
    run.judge()?;
    let gone = match retried.without_bytes {
        0 => String::new(),
        number => format!("; the bytes of {number} were not kept, ingest them again from where they are"),
    };
    context.note(format_args!("{} of {} are read now{gone}", retried.solved, retried.tried));
    Ok(if retried.solved < retried.tried + retried.without_bytes { Status::Data } else { Status::Ok })
}

fn list(context: &Context, database: &Database, args: &ListArgs) -> Result<Status, Error> {
    let format = args.format.format();
    let limit = args.limit.rows(format, TERMINAL_ROWS);
    let mut out = answer::stdout();
    let listed = answer::list(&mut out, format, limit, PROBLEM, |take| problems::each(database, args.all, take))?;
    if listed.rows == 0 {
        answer::say_empty(context, &mut out, format, "No problem waits: all that was seen could be read.")?;
    }
    out.flush()?;
    Ok(Status::Ok)
}

fn show(database: &Database, args: &ShowArgs) -> Result<Status, Error> {
    let Some((problem, head)) = problems::show(database, args.id)? else {
        return Err(Error::new(Status::Usage, format_args!("no problem {}: see `dmarcdb problems --all`", args.id)));
    };
    let head = String::from_utf8_lossy(&head);
    let mut out = answer::stdout();
    let mut document = sheet::object(PROBLEM, &problem);
    document["head"] = head.as_ref().into();
    match args.format.format() {
        Format::Table => page(&mut out, &problem, &head)?,
        Format::Json => json::document(&mut out, &document)?,
        Format::Ndjson => json::line(&mut out, &document)?,
        Format::Csv => {
            let mut sheet = Sheet::begin(&mut out, Format::Csv, answer::look(), PROBLEM)?;
            sheet.row(&problem)?;
            sheet.finish()?;
        }
    }
    out.flush()?;
    Ok(Status::Ok)
}

/// All that is known, one line each, then the first lines of the head.
fn page(out: &mut impl Write, problem: &Problem, head: &str) -> io::Result<()> {
    for field in PROBLEM {
        let text = match ((field.value)(problem), field.column.name) {
            (Value::Null, _) => continue,
            (Value::Integer(at), "seen_at" | "solved_at") => number::time(at),
            (Value::Integer(count), "bytes") => number::grouped(count),
            (Value::Integer(number), _) => number.to_string(),
            (Value::Flag(flag), _) => if flag { "yes" } else { "no" }.to_owned(),
            (Value::Text(text), "part") if text.is_empty() => "the whole message".to_owned(),
            (Value::Text(text), _) => text,
            (Value::Share(share), _) => number::percent(share),
        };
        writeln!(out, "{:<14} {}", field.column.name, Untrusted(&text))?;
    }
    if head.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nIt begins:")?;
    for line in head.lines().take(HEAD_LINES) {
        let beginning: String = line.chars().take(HEAD_WIDTH).collect();
        let rest = if beginning.len() < line.len() { "…" } else { "" };
        writeln!(out, "  {}{rest}", Untrusted(&beginning))?;
    }
    if head.lines().count() > HEAD_LINES {
        writeln!(out, "  …")?;
    }
    Ok(())
}
