//! `dmarcdb label`.

use std::io::Write;

use super::answer::{self, FormatArgs};
use super::author::Author;
use super::{Context, Error, Status};
use crate::classify::Class;
use crate::query::Error as QueryError;
use crate::query::labels::{self, Label};
use crate::render::Field;
use crate::review::{Subject, subject};
use crate::store::labels as keep;

const EXAMPLES: &str = "\
A label wins over what dmarcdb makes of a source. A domain is that of the name that leads back to the address (`dmarcdb
enrich`), or the one that SPF or DKIM passes for on most of its mail. Of several labels the closest wins: an address before a
network, a network before a domain. Without a class the label only names the source; what is left out stays as it was.

Examples:
  dmarcdb label 198.51.100.30 --class ok --name 'Payroll provider' --note 'signs from January on'
  dmarcdb label 203.0.113.0/24 --class threat
  dmarcdb label lists.example.net --class forwarded --name 'Gardeners'
  dmarcdb label list
  dmarcdb label remove 203.0.113.0/24";

/// Options of `dmarcdb label`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// An address, a network (192.0.2.0/24) or a domain
    #[arg(value_name = "IP|NETWORK|DOMAIN", value_parser = subject, required = true)]
    subject: Option<Subject>,
    /// What it is: ok, fix, forwarded, threat or new
    #[arg(long, value_name = "CLASS", required_unless_present_any = ["name", "note"])]
    class: Option<Class>,
    /// What to call it
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Why, for those who ask later
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    author: Author,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the labels
    List(ListArgs),
    /// Take a label away
    Remove(RemoveArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Debug, clap::Args)]
struct RemoveArgs {
    /// What the label is on
    #[arg(value_name = "IP|NETWORK|DOMAIN", value_parser = subject)]
    subject: Subject,
}

const LABEL: &[Field<Label>] = &[
    Field::text("subject", |row: &Label| (&row.subject).into()),
    Field::text("class", |row: &Label| (&row.class).into()),
    Field::text("name", |row: &Label| (&row.name).into()),
    Field::text("note", |row: &Label| (&row.note).into()),
    Field::time("at", |row: &Label| row.at.into()).if_wide(1),
    Field::text("author", |row: &Label| (&row.author).into()).if_wide(2),
];

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(context: &Context, args: Args) -> Result<Status, Error> {
    match args.command {
        Some(Command::List(args)) => list(context, args),
        Some(Command::Remove(args)) => remove(context, &args.subject),
        None => put(context, &args),
    }
}

fn list(context: &Context, args: ListArgs) -> Result<Status, Error> {
    let database = answer::open(context)?;
    let format = args.format.format();
    let mut out = answer::stdout();
    let labels = labels::labels(&database)?;
    let listed = answer::list(&mut out, format, usize::MAX, LABEL, |take| {
        labels.into_iter().try_for_each(|label| take(label).map(|_| ()))
    })?;
    if listed.rows == 0 {
        answer::say_empty(context, &mut out, format, "No source has a label yet.")?;
    }
    out.flush()?;
    Ok(Status::Ok)
}

fn remove(context: &Context, subject: &Subject) -> Result<Status, Error> {
    let path = answer::open(context)?.path().to_path_buf();
    let removed = keep::remove(&path, &subject.to_string()).map_err(|error| QueryError::of(&path, error))?;
    context.note(if removed { format!("{subject} has no label any more") } else { format!("{subject} has no label") });
    Ok(Status::Ok)
}

fn put(context: &Context, args: &Args) -> Result<Status, Error> {
    let Some(subject) = &args.subject else {
        return Err(Error::new(Status::Usage, "an address, a network or a domain is missing"));
    };
    let path = answer::open(context)?.path().to_path_buf();
    let canonical = subject.to_string();
    let word = keep::Word {
        subject: &canonical,
        class: args.class.map(Class::as_str),
        name: args.name.as_deref(),
        note: args.note.as_deref(),
        author: &args.author.name,
        at: context.now,
    };
    keep::put(&path, word).map_err(|error| QueryError::of(&path, error))?;
    let class = args.class.map_or_else(String::new, |class| format!(" as {class}"));
    context.note(format_args!("{canonical} is labelled{class}"));
    Ok(Status::Ok)
}
