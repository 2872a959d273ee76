//! `dmarcdb trust`: whose complaints count. Decided once for a sender, not for each mail.

use std::io::Write;

use super::answer::{self, FormatArgs};
use super::author::Author;
use super::run::{ours, store_error};
use super::{Context, Error, Status};
use crate::query::trust::{self, Waiting};
use crate::render::{Field, number};
use crate::report::address::{self, Address};
use crate::store::Store;
use crate::store::trust::Decided;
use crate::suppress::trust::KNOWN_SENDERS;

const EXAMPLES: &str = "\
A complaint acts by itself only when it is known to come from a feedback loop: its mail passed authentication at your
server, and its sender is one of those built in, in `feedback_senders`, or added here. The others wait.

Examples:
  dmarcdb trust review                       who sent the complaints that wait
  dmarcdb trust add fbl.isp.example --reason 'their feedback loop, ticket 4711'
  dmarcdb trust remove fbl.isp.example";

/// Options of `dmarcdb trust`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the senders whose complaints count, and who says so
    List(ListArgs),
    /// List who sent the complaints that wait for a decision
    Review(ListArgs),
    /// Trust a sender; complaints of it that wait act at once
    ///
    /// SENDER is a domain, which stands for all below it, or an address. Its complaints count where your server found that
    /// they pass authentication.
    Add(AddArgs),
    /// Trust a sender no more
    ///
    /// Its complaints wait for a decision again. Whom they alone have suppressed is suppressed no more; `dmarcdb suppress
    /// add` keeps an address on the list.
    Remove(WordArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    #[command(flatten)]
    word: WordArgs,
    /// Also where your server says nothing about the mail: then anybody who writes this sender's name is believed
    #[arg(long)]
    unauthenticated: bool,
}

#[derive(Debug, clap::Args)]
struct WordArgs {
    /// A domain or an address
    #[arg(value_parser = sender)]
    sender: String,
    /// Why, for those who ask later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    author: Author,
}

/// A sender whose complaints count.
struct Row {
    sender: String,
    origin: &'static str,
    unauthenticated: bool,
    at: Option<i64>,
    author: Option<String>,
    reason: Option<String>,
}

const ROW: &[Field<Row>] = &[
    Field::text("sender", |row: &Row| (&row.sender).into()),
    Field::text("origin", |row: &Row| row.origin.into()),
    Field::flag("unauthenticated", |row: &Row| row.unauthenticated.into()).if_wide(1),
    Field::time("at", |row: &Row| row.at.into()),
    Field::text("author", |row: &Row| (&row.author).into()),
    Field::text("reason", |row: &Row| (&row.reason).into()),
];

const WAITING: &[Field<Waiting>] = &[
    Field::text("sender", |row: &Waiting| (&row.sender).into()),
    Field::text("auth", |row: &Waiting| (&row.auth).into()),
    Field::integer("complaints", |row: &Waiting| row.complaints.into()),
    Field::integer("people", |row: &Waiting| row.people.into()),
    Field::text("provider", |row: &Waiting| (&row.provider).into()).if_wide(2),
    Field::day("first_at", |row: &Waiting| row.first_at.into()).if_wide(3),
    Field::day("last_at", |row: &Waiting| row.last_at.into()),
    Field::text("trust_reason", |row: &Waiting| (&row.trust_reason).into()).if_wide(1),
];

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(context: &Context, args: Args) -> Result<Status, Error> {
    match args.command {
        Command::List(args) => list(context, args.format),
        Command::Review(args) => review(context, args.format),
        Command::Add(args) => add(context, &args),
        Command::Remove(args) => remove(context, &args),
    }
}

fn list(context: &Context, format: FormatArgs) -> Result<Status, Error> {
    let database = answer::open(context)?;
    let known = |sender: &str, origin| Row {
        sender: sender.to_owned(),
        origin,
        unauthenticated: false,
        at: None,
        author: None,
        reason: None,
    };
    let mut rows: Vec<Row> = KNOWN_SENDERS.iter().map(|sender| known(sender, "built in")).collect();
    rows.extend(context.config()?.feedback_senders.iter().map(|sender| known(sender, "configuration")));
    rows.extend(trust::trusted(&database)?.into_iter().map(|found| Row {
        sender: found.sender,
        origin: "person",
        unauthenticated: found.unauthenticated,
        at: Some(found.at),
        author: Some(found.author),
        reason: found.reason,
    }));
    let mut out = answer::stdout();
    answer::list(&mut out, format.format(), usize::MAX, ROW, |take| give(rows, take))?;
    out.flush()?;
    Ok(Status::Ok)
}

fn review(context: &Context, format: FormatArgs) -> Result<Status, Error> {
    let database = answer::open(context)?;
    let rows = trust::waiting(&database)?;
    let format = format.format();
    let mut out = answer::stdout();
    let listed = answer::list(&mut out, format, usize::MAX, WAITING, |take| give(rows, take))?;
    if listed.rows == 0 {
        answer::say_empty(context, &mut out, format, "No complaint waits for a decision about its sender.")?;
    } else if format == crate::render::Format::Table {
        writeln!(out, "`dmarcdb trust add SENDER` believes them; `dmarcdb complaints --pending` shows each.")?;
    }
    out.flush()?;
    Ok(Status::Ok)
}

fn give<T>(rows: Vec<T>, take: &mut dyn FnMut(T) -> Result<bool, Error>) -> Result<(), Error> {
    for row in rows {
        if !take(row)? {
            break;
        }
    }
    Ok(())
}

fn open(context: &Context) -> Result<(Store, crate::store::Ours), Error> {
    let config = context.config()?;
    // A database that is not there is not made by a decision.
    answer::open(context)?;
    let store = Store::open(&context.db_path(&config)).map_err(|error| store_error(&error))?;
    Ok((store, ours(&config)?))
}

fn decided<'a>(context: &Context, word: &'a WordArgs, unauthenticated: bool) -> Decided<'a> {
    let WordArgs { sender, reason, author } = word;
    Decided { sender, unauthenticated, reason: reason.as_deref(), author: &author.name, at: context.now }
}

fn add(context: &Context, args: &AddArgs) -> Result<Status, Error> {
    let (mut store, ours) = open(context)?;
    let decided = decided(context, &args.word, args.unauthenticated);
    let judged = store.trust(decided, &ours).map_err(|error| store_error(&error))?;
    let people = number::count(judged.suppressed.max(0), "recipient");
    context.note(format_args!("{} is trusted; {people} newly suppressed", args.word.sender));
    Ok(Status::Ok)
}

fn remove(context: &Context, word: &WordArgs) -> Result<Status, Error> {
    let (mut store, ours) = open(context)?;
    let judged = store.distrust(decided(context, word, false), &ours).map_err(|error| store_error(&error))?;
    let what = match judged {
        Some(judged) => {
            let people = number::count(judged.suppressed.min(0).saturating_neg(), "recipient");
            format!("is trusted no more; {people} suppressed no more")
        }
        None => "was not trusted by a person".to_owned(),
    };
    context.note(format_args!("{} {what}", word.sender));
    Ok(Status::Ok)
}

/// A domain in canonical form, or an address in lower case.
fn sender(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.contains('@') {
        return Address::parse(text).map(|address| address.folded()).map_err(|fault| fault.to_string());
    }
    address::domain(text).filter(|name| name.contains('.')).ok_or_else(|| "neither a domain nor an address".to_owned())
}
