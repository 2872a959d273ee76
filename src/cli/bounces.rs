//! `dmarcdb bounces`.

use std::io::Write;

use clap::builder::PossibleValuesParser;

use super::answer::{self, FormatArgs, LimitArgs};
use super::window::{self, WindowArgs};
use super::{Context, Error, Status};
use crate::query::bounces::{self, Bounce, Refusal};
use crate::query::{Window, extent};
use crate::render::{Field, number};
use crate::suppress::bounces::Class;

/// Rows of a table on a terminal.
const TERMINAL_ROWS: usize = 100;

const EXAMPLES: &str = "\
A bounce is listed when it was told of in the window, newest first, with one row for each recipient. `class` says what it
means: hard (there is no such mailbox: suppressed at once), soft (it may pass: suppressed when there were enough of them,
see [bounces] in the configuration), policy and sender (refused for our reputation or our address, which is never the
person's fault), content, delayed, delivered, unclear. One that nothing proves genuine waits as `pending`: anybody could
write that a stranger's address is dead.

Examples:
  dmarcdb bounces --since 30d --class hard
  dmarcdb bounces --policy                      who refuses us, from which address, and why";

/// Options of `dmarcdb bounces`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    window: WindowArgs,
    /// Only bounces of mail whose From field names this domain or one below it
    #[arg(long, value_name = "DOMAIN", value_parser = answer::domain)]
    domain: Option<String>,
    /// Only bounces of this class
    #[arg(long, value_parser = PossibleValuesParser::new(Class::ALL.map(Class::as_str)), conflicts_with = "policy")]
    class: Option<String>,
    /// Refusals that are about us, summed up by sending address, From domain and server
    #[arg(long)]
    policy: bool,
    #[command(flatten)]
    limit: LimitArgs,
    #[command(flatten)]
    format: FormatArgs,
}

const BOUNCE: &[Field<Bounce>] = &[
    Field::id("id", |row: &Bounce| row.id.into()),
    Field::time("at", |row: &Bounce| row.at.into()),
    Field::text("class", |row: &Bounce| (&row.class).into()),
    Field::text("status", |row: &Bounce| (&row.status).into()),
    Field::text("recipient", |row: &Bounce| (&row.recipient).into()),
    Field::text("decision", |row: &Bounce| (&row.decision).into()),
    Field::text("decision_reason", |row: &Bounce| (&row.decision_reason).into()).if_wide(3),
    Field::text("diagnostic", |row: &Bounce| (&row.diagnostic).into()).if_wide(2),
    Field::text("header_from", |row: &Bounce| (&row.header_from).into()).if_wide(4),
    Field::text("source_ip", |row: &Bounce| (&row.source_ip).into()).if_wide(5),
    Field::text("action", |row: &Bounce| (&row.action).into()).data_only(),
    Field::text("recipient_status", |row: &Bounce| (&row.recipient_status).into()).data_only(),
    Field::text("recipient_via", |row: &Bounce| (&row.recipient_via).into()).data_only(),
    Field::text("reported", |row: &Bounce| (&row.reported).into()).data_only(),
    Field::text("final_recipient", |row: &Bounce| (&row.final_recipient).into()).data_only(),
    Field::text("remote_mta", |row: &Bounce| (&row.remote_mta).into()).data_only(),
    Field::text("reporting_mta", |row: &Bounce| (&row.reporting_mta).into()).data_only(),
    Field::text("message_id", |row: &Bounce| (&row.message_id).into()).data_only(),
    Field::flag("trusted", |row: &Bounce| row.trusted.into()).data_only(),
    Field::text("trust_reason", |row: &Bounce| (&row.trust_reason).into()).data_only(),
    Field::flag("about_us", |row: &Bounce| row.about_us.into()).data_only(),
    Field::text("provider", |row: &Bounce| (&row.provider).into()).data_only(),
    Field::time("arrived_at", |row: &Bounce| row.arrived_at.into()).data_only(),
    Field::time("told_at", |row: &Bounce| row.told_at.into()).data_only(),
    Field::time("last_attempt_at", |row: &Bounce| row.last_attempt_at.into()).data_only(),
    Field::time("will_retry_until", |row: &Bounce| row.will_retry_until.into()).data_only(),
    Field::text("subject", |row: &Bounce| (&row.subject).into()).data_only(),
    Field::time("sent_at", |row: &Bounce| row.sent_at.into()).data_only(),
    Field::text("list_id", |row: &Bounce| (&row.list_id).into()).data_only(),
    Field::json("dkim_signatures", |row: &Bounce| (&row.dkim_signatures).into()),
    Field::integer("warnings", |row: &Bounce| row.warnings.into()).data_only(),
    Field::path("origin", |row: &Bounce| (&row.origin).into()).data_only(),
    Field::time("seen_at", |row: &Bounce| row.seen_at.into()).data_only(),
];

const REFUSAL: &[Field<Refusal>] = &[
    Field::text("source_ip", |row: &Refusal| (&row.source_ip).into()),
    Field::text("header_from", |row: &Refusal| (&row.header_from).into()),
    Field::text("refused_by", |row: &Refusal| (&row.refused_by).into()),
    Field::text("status", |row: &Refusal| (&row.status).into()),
    Field::integer("bounces", |row: &Refusal| row.bounces.into()),
    Field::integer("recipients", |row: &Refusal| row.recipients.into()).if_wide(3),
    Field::day("first_at", |row: &Refusal| row.first_at.into()).if_wide(4),
    Field::day("last_at", |row: &Refusal| row.last_at.into()).if_wide(2),
    Field::text("diagnostic", |row: &Refusal| (&row.diagnostic).into()).if_wide(1),
];

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(context: &Context, args: Args) -> Result<Status, Error> {
    let database = answer::open(context)?;
    let reach = extent::of_bounces(&database, context.now)?;
    let newest = reach.newest;
    let window = args.window.resolve(context.now, reach).map_err(|text| Error::new(Status::Usage, text))?;
    let format = args.format.format();
    let limit = args.limit.rows(format, TERMINAL_ROWS);
    let domain = args.domain.as_deref();
    let mut out = answer::stdout();
    let listed = if args.policy {
        answer::list(&mut out, format, limit, REFUSAL, |take| bounces::each_refusal(&database, window, domain, take))?
    } else {
        let class = args.class.as_deref();
        answer::list(&mut out, format, limit, BOUNCE, |take| bounces::each(&database, window, domain, class, take))?
    };
    if listed.rows == 0 {
        answer::say_empty(context, &mut out, format, &nothing(&args, window, newest))?;
    }
    out.flush()?;
    Ok(Status::Ok)
}

fn nothing(args: &Args, window: Window, newest: Option<i64>) -> String {
    let words = window::words(window);
    if args.policy {
        return format!("Nobody refused us in {words}, as far as bounces tell.");
    }
    let kind = args.class.as_ref().map_or_else(String::new, |class| format!("{class} "));
    match newest {
        None => format!("No {kind}bounce was told of in {words}, nor at any other time."),
        Some(newest) => format!(
            "No {kind}bounce was told of in {words}. The newest of all is of {} UTC: --until newest shows the days before it.",
            number::time(newest)
        ),
    }
}
