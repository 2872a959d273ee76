//! `dmarcdb messages`.

use std::io::Write;

use clap::ValueEnum;

use super::answer::{self, FormatArgs, LimitArgs};
use super::window::WindowArgs;
use super::{Context, Error, Status};
use crate::query::extent;
use crate::query::messages::{self, Message};
use crate::render::Field;

/// Rows of a table on a terminal.
const TERMINAL_ROWS: usize = 100;

const EXAMPLES: &str = "\
The ledger has one row for every message ever seen, newest first, files given to `ingest` among them. --since and --until
are about when it was kept; without them all are listed. Outcomes: `stored`; `partial`, some of it stored and some a
problem; `duplicate`, all it held was known; `not_a_report`; `problem`.

Examples:
  dmarcdb messages --outcome problem
  dmarcdb messages --since 24h --format csv";

/// Options of `dmarcdb messages`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// Only messages with this outcome
    #[arg(long, value_enum)]
    outcome: Option<Outcome>,
    #[command(flatten)]
    window: WindowArgs,
    #[command(flatten)]
    limit: LimitArgs,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Outcome {
    Stored,
    Partial,
    Duplicate,
    NotAReport,
    Problem,
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Outcome::Stored => "stored",
            Outcome::Partial => "partial",
            Outcome::Duplicate => "duplicate",
            Outcome::NotAReport => "not_a_report",
            Outcome::Problem => "problem",
        }
    }
}

const MESSAGE: &[Field<Message>] = &[
    Field::id("id", |row: &Message| row.id.into()),
    Field::text("sha256", |row: &Message| (&row.sha256).into()).data_only(),
    Field::path("origin", |row: &Message| (&row.origin).into()),
    Field::time("seen_at", |row: &Message| row.seen_at.into()),
    Field::integer("bytes", |row: &Message| row.bytes.into()).if_wide(1),
    Field::text("outcome", |row: &Message| (&row.outcome).into()),
    Field::text("reason", |row: &Message| (&row.reason).into()),
    Field::time("received_at", |row: &Message| row.received_at.into()).data_only(),
    Field::text("message_id", |row: &Message| (&row.message_id).into()).data_only(),
    Field::text("from_address", |row: &Message| (&row.from_address).into()).if_wide(3),
    Field::text("subject", |row: &Message| (&row.subject).into()).if_wide(2),
    Field::time("sent_at", |row: &Message| row.sent_at.into()).data_only(),
    Field::text("auth", |row: &Message| (&row.auth).into()).data_only(),
    Field::text("auth_domain", |row: &Message| (&row.auth_domain).into()).data_only(),
];

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(context: &Context, args: Args) -> Result<Status, Error> {
    let database = answer::open(context)?;
    let reach = extent::of_messages(&database)?;
    let window = args.window.resolve_or_all(context.now, reach).map_err(|text| Error::new(Status::Usage, text))?;
    let format = args.format.format();
    let limit = args.limit.rows(format, TERMINAL_ROWS);
    let mut out = answer::stdout();
    let listed = answer::list(&mut out, format, limit, MESSAGE, |take| {
        messages::each(&database, window, args.outcome.map(Outcome::word), take)
    })?;
    if listed.rows == 0 {
        answer::say_empty(context, &mut out, format, "No such message.")?;
    }
    out.flush()?;
    Ok(Status::Ok)
}
