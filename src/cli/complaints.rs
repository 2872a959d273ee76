//! `dmarcdb complaints`.

use std::io::Write;

use super::answer::{self, FormatArgs, LimitArgs};
use super::window::{self, WindowArgs};
use super::{Context, Error, Status, rates};
use crate::query::complaints::{self, Complaint, Which};
use crate::query::{Window, extent};
use crate::render::{Field, Format, number};

/// Rows of a table on a terminal.
const TERMINAL_ROWS: usize = 100;

const EXAMPLES: &str = "\
A complaint is listed when it arrived in the window, newest first; `--until newest` is the arrival of the newest
complaint. It has one row for each person it names, and one row if it names nobody. recipient_status tells whether the
person can be suppressed: ok, redacted, hashed, absent, malformed or own_domain. `not-spam` is listed too, and is no
complaint: `summary` does not count it.

What follows for each person stands in `decision`: suppress, pending or never, and why not in `decision_reason`. A person
whom the provider states is `reported`; one whom your own records show to have got the mail (a send log, a token, a
matched hash) is `subscribed`, and then decides.

Examples:
  dmarcdb complaints --since 30d
  dmarcdb complaints --pending                what waits for you; `dmarcdb trust review` has it by sender
  dmarcdb complaints --unresolved             whom nobody names; `dmarcdb sendlog import FILE` may
  dmarcdb complaints --rates=dkim --since 30d how often people complain, by signature
  dmarcdb complaints --since all --domain example.com --format csv";

/// Options of `dmarcdb complaints`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    window: WindowArgs,
    /// Only complaints about mail whose From field names this domain or one below it
    #[arg(long, value_name = "DOMAIN", value_parser = answer::domain)]
    domain: Option<String>,
    /// Only complaints that wait for a person to decide, of all times unless --since says otherwise
    #[arg(long, conflicts_with_all = ["unresolved", "not_ours"])]
    pending: bool,
    /// Only complaints that name nobody who could be suppressed, of all times unless --since says otherwise
    #[arg(long, conflicts_with = "not_ours")]
    unresolved: bool,
    /// Only complaints about mail that was not ours, of all times unless --since says otherwise
    #[arg(long)]
    not_ours: bool,
    /// How often people complain: complaints over the messages that the same receiver reported
    #[arg(long, value_name = "BY", value_enum, num_args = 0..=1, default_missing_value = "domain", require_equals = true,
          conflicts_with_all = ["pending", "unresolved", "not_ours"])]
    rates: Option<rates::By>,
    #[command(flatten)]
    limit: LimitArgs,
    #[command(flatten)]
    format: FormatArgs,
}

const COMPLAINT: &[Field<Complaint>] = &[
    Field::id("id", |row: &Complaint| row.id.into()),
    Field::text("feedback_type", |row: &Complaint| (&row.feedback_type).into()),
    Field::text("provider", |row: &Complaint| (&row.provider).into()).if_wide(3),
    Field::text("source_ip", |row: &Complaint| (&row.source_ip).into()).if_wide(4),
    Field::time("arrived_at", |row: &Complaint| row.arrived_at.into()),
    Field::integer("incidents", |row: &Complaint| row.incidents.into()).if_wide(6),
    Field::text("recipient", |row: &Complaint| (&row.recipient).into()),
    Field::text("recipient_status", |row: &Complaint| (&row.recipient_status).into()),
    Field::text("recipient_via", |row: &Complaint| (&row.recipient_via).into()).data_only(),
    Field::text("recipient_identity", |row: &Complaint| (&row.recipient_identity).into()).data_only(),
    Field::text("original_mail_from", |row: &Complaint| (&row.original_mail_from).into()).data_only(),
    Field::text("header_from", |row: &Complaint| (&row.header_from).into()).if_wide(5),
    Field::text("message_id", |row: &Complaint| (&row.message_id).into()).data_only(),
    Field::flag("trusted", |row: &Complaint| row.trusted.into()).if_wide(2),
    Field::text("decision", |row: &Complaint| (&row.decision).into()),
    Field::text("decision_reason", |row: &Complaint| (&row.decision_reason).into()).if_wide(7),
    Field::integer("warnings", |row: &Complaint| row.warnings.into()).data_only(),
    Field::flag("about_us", |row: &Complaint| row.about_us.into()).data_only(),
    Field::text("trust_reason", |row: &Complaint| (&row.trust_reason).into()).data_only(),
    Field::text("trusted_by", |row: &Complaint| (&row.trusted_by).into()).data_only(),
    Field::text("not_ours", |row: &Complaint| (&row.not_ours).into()).data_only(),
    Field::text("subject", |row: &Complaint| (&row.subject).into()).data_only(),
    Field::time("sent_at", |row: &Complaint| row.sent_at.into()).data_only(),
    Field::text("list_id", |row: &Complaint| (&row.list_id).into()).data_only(),
    Field::text("user_agent", |row: &Complaint| (&row.user_agent).into()).data_only(),
    Field::text("provider_source", |row: &Complaint| (&row.provider_source).into()).data_only(),
    Field::json("reported_domains", |row: &Complaint| (&row.reported_domains).into()),
    Field::json("reported_uris", |row: &Complaint| (&row.reported_uris).into()),
    Field::json("dkim_signatures", |row: &Complaint| (&row.dkim_signatures).into()),
    Field::text("cfbl_feedback_id", |row: &Complaint| (&row.cfbl_feedback_id).into()).data_only(),
    Field::text("source_ip_via", |row: &Complaint| (&row.source_ip_via).into()).data_only(),
    Field::path("origin", |row: &Complaint| (&row.origin).into()).data_only(),
    Field::time("seen_at", |row: &Complaint| row.seen_at.into()).data_only(),
];

/// What a table shows of complaints that wait: why they do.
const PENDING: &[Field<Complaint>] = &[
    Field::id("id", |row: &Complaint| row.id.into()),
    Field::text("feedback_type", |row: &Complaint| (&row.feedback_type).into()).if_wide(2),
    Field::time("arrived_at", |row: &Complaint| row.arrived_at.into()),
    Field::text("recipient", |row: &Complaint| (&row.recipient).into()),
    Field::text("trust_reason", |row: &Complaint| (&row.trust_reason).into()),
    Field::text("decision_reason", |row: &Complaint| (&row.decision_reason).into()).if_wide(4),
];

/// What a table shows of complaints that name nobody: what a send log would find them by.
const UNRESOLVED: &[Field<Complaint>] = &[
    Field::id("id", |row: &Complaint| row.id.into()),
    Field::text("feedback_type", |row: &Complaint| (&row.feedback_type).into()).if_wide(2),
    Field::text("provider", |row: &Complaint| (&row.provider).into()).if_wide(3),
    Field::time("arrived_at", |row: &Complaint| row.arrived_at.into()),
    Field::text("recipient_status", |row: &Complaint| (&row.recipient_status).into()),
    Field::text("header_from", |row: &Complaint| (&row.header_from).into()).if_wide(4),
    Field::text("message_id", |row: &Complaint| (&row.message_id).into()),
];

/// What a table shows of complaints about mail of others: why it is taken for that.
const NOT_OURS: &[Field<Complaint>] = &[
    Field::id("id", |row: &Complaint| row.id.into()),
    Field::text("feedback_type", |row: &Complaint| (&row.feedback_type).into()).if_wide(3),
    Field::time("arrived_at", |row: &Complaint| row.arrived_at.into()),
    Field::text("recipient", |row: &Complaint| (&row.recipient).into()).if_wide(2),
    Field::text("source_ip", |row: &Complaint| (&row.source_ip).into()),
    Field::text("header_from", |row: &Complaint| (&row.header_from).into()),
    Field::text("not_ours", |row: &Complaint| (&row.not_ours).into()),
];

/// The columns: all of them for programs.
fn columns(which: Which, format: Format) -> &'static [Field<Complaint>] {
    match (format, which) {
        (Format::Table, Which::Pending) => PENDING,
        (Format::Table, Which::Unresolved) => UNRESOLVED,
        (Format::Table, Which::NotOurs) => NOT_OURS,
        _ => COMPLAINT,
    }
}

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(context: &Context, args: Args) -> Result<Status, Error> {
    let database = answer::open(context)?;
    let reach = extent::of_complaints(&database, context.now)?;
    let newest = reach.newest;
    let which = args.which();
    let window = match which {
        Which::All => args.window.resolve(context.now, reach),
        _ => args.window.resolve_or_all(context.now, reach),
    };
    let window = window.map_err(|text| Error::new(Status::Usage, text))?;
    let format = args.format.format();
    let limit = args.limit.rows(format, TERMINAL_ROWS);
    if let Some(by) = args.rates {
        return rates::run(context, &database, window, args.domain.as_deref(), by, format, limit);
    }
    let mut out = answer::stdout();
    let listed = answer::list(&mut out, format, limit, columns(which, format), |take| {
        complaints::each(&database, window, args.domain.as_deref(), which, take)
    })?;
    if listed.rows == 0 {
        answer::say_empty(context, &mut out, format, &nothing(which, window, newest))?;
    }
    out.flush()?;
    Ok(Status::Ok)
}

impl Args {
    fn which(&self) -> Which {
        match (self.pending, self.unresolved, self.not_ours) {
            (true, ..) => Which::Pending,
            (_, true, _) => Which::Unresolved,
            (.., true) => Which::NotOurs,
            _ => Which::All,
        }
    }
}

fn nothing(which: Which, window: Window, newest: Option<i64>) -> String {
    let words = window::words(window);
    match which {
        Which::All => {}
        Which::Pending => return format!("No complaint of {words} waits for a decision."),
        Which::Unresolved => return format!("Every complaint of {words} names somebody."),
        Which::NotOurs => return format!("No complaint of {words} is about mail that was not ours."),
    }
    match newest {
        None => format!("No complaint arrived in {words}, nor at any other time."),
        Some(newest) => format!(
            "No complaint arrived in {words}. The newest arrived {} UTC: --until newest shows the days before it.",
            number::time(newest)
        ),
    }
}
