//! `dmarcdb reports`.

use std::io::Write;

use clap::ValueEnum;

use super::answer::{self, FormatArgs, LimitArgs, VerifiedArgs};
use super::summary::nothing;
use super::window::WindowArgs;
use super::{Context, Error, Status};
use crate::query::extent;
use crate::query::reports::{self, Report, Warning};
use crate::render::Field;

/// Rows of a table on a terminal.
const TERMINAL_ROWS: usize = 100;

const EXAMPLES: &str = "\
A report is listed when its period ends in the window, newest first. One with `conflict_with` says something else than
the report of that id, which has the same identity and stands. verification tells whose word it is: `verified`, the mail
passed DMARC as a domain of the reporter's; `foreign`, as another; `unverified`, your server did not say (`authserv_id`);
`failed`, your server says that it is forged, and then it is not counted.

Examples:
  dmarcdb reports --since 2d
  dmarcdb reports --until newest --domain example.com
  dmarcdb reports --since all --kind tls --format csv
  dmarcdb reports --warnings               how reports deviate from the standard";

/// Options of `dmarcdb reports`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    window: WindowArgs,
    /// Only reports about this policy domain
    #[arg(long, value_name = "DOMAIN", value_parser = answer::domain)]
    domain: Option<String>,
    /// Only reports of this kind
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// List what the reports deviate in instead, one row for each kind of deviation in each report
    #[arg(long)]
    warnings: bool,
    #[command(flatten)]
    verified: VerifiedArgs,
    #[command(flatten)]
    limit: LimitArgs,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Aggregate,
    Failure,
    Tls,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Aggregate => "aggregate",
            Kind::Failure => "failure",
            Kind::Tls => "tls",
        }
    }
}

const REPORT: &[Field<Report>] = &[
    Field::id("id", |row: &Report| row.id.into()),
    Field::text("kind", |row: &Report| (&row.kind).into()).if_wide(4),
    Field::text("org_name", |row: &Report| (&row.org_name).into()),
    Field::text("org_email", |row: &Report| (&row.org_email).into()).data_only(),
    Field::text("report_id", |row: &Report| (&row.report_id).into()).if_wide(5),
    Field::text("domain", |row: &Report| (&row.domain).into()),
    Field::time("begin_at", |row: &Report| row.begin_at.into()).if_wide(6),
    Field::time("end_at", |row: &Report| row.end_at.into()),
    Field::integer("records", |row: &Report| row.records.into()),
    Field::integer("records_rejected", |row: &Report| row.records_rejected.into()).data_only(),
    Field::integer("messages", |row: &Report| row.messages.into()),
    Field::integer("warnings", |row: &Report| row.warnings.into()),
    Field::id("conflict_with", |row: &Report| row.conflict_with.into()).if_wide(3),
    Field::text("p", |row: &Report| (&row.p).into()).data_only(),
    Field::text("sp", |row: &Report| (&row.sp).into()).data_only(),
    Field::text("np", |row: &Report| (&row.np).into()).data_only(),
    Field::text("adkim", |row: &Report| (&row.adkim).into()).data_only(),
    Field::text("aspf", |row: &Report| (&row.aspf).into()).data_only(),
    Field::integer("pct", |row: &Report| row.pct.into()).data_only(),
    Field::text("fo", |row: &Report| (&row.fo).into()).data_only(),
    Field::text("testing", |row: &Report| (&row.testing).into()).data_only(),
    Field::text("discovery_method", |row: &Report| (&row.discovery_method).into()).data_only(),
    Field::text("version", |row: &Report| (&row.version).into()).data_only(),
    Field::text("generator", |row: &Report| (&row.generator).into()).data_only(),
    Field::path("origin", |row: &Report| (&row.origin).into()).data_only(),
    Field::text("part", |row: &Report| (&row.part).into()).data_only(),
    Field::time("seen_at", |row: &Report| row.seen_at.into()).data_only(),
    Field::text("auth", |row: &Report| (&row.auth).into()).data_only(),
    Field::text("auth_domain", |row: &Report| (&row.auth_domain).into()).data_only(),
    Field::text("verification", |row: &Report| (&row.verification).into()).if_wide(4),
    Field::flag("counted", |row: &Report| row.counted.into()).data_only(),
];

const WARNING: &[Field<Warning>] = &[
    Field::id("report", |row: &Warning| row.report.into()),
    Field::text("org_name", |row: &Warning| (&row.org_name).into()),
    Field::text("report_id", |row: &Warning| (&row.report_id).into()).if_wide(2),
    Field::time("end_at", |row: &Warning| row.end_at.into()).if_wide(1),
    Field::text("code", |row: &Warning| (&row.code).into()),
    Field::text("place", |row: &Warning| (&row.place).into()),
    Field::text("text", |row: &Warning| (&row.text).into()),
    Field::integer("times", |row: &Warning| row.times.into()),
];

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(context: &Context, args: Args) -> Result<Status, Error> {
    let database = answer::open(context)?;
    let kind = args.kind.map(Kind::word);
    let reach = extent::of_reports(&database, kind, context.now)?;
    let newest = reach.newest;
    let window = args.window.resolve(context.now, reach).map_err(|text| Error::new(Status::Usage, text))?;
    let domain = args.domain.as_deref();
    let verified = args.verified.verified_only;
    let format = args.format.format();
    let limit = args.limit.rows(format, TERMINAL_ROWS);
    let mut out = answer::stdout();
    let listed = if args.warnings {
        answer::list(&mut out, format, limit, WARNING, |take| {
            reports::each_warning(&database, window, domain, kind, verified, take)
        })?
    } else {
        answer::list(&mut out, format, limit, REPORT, |take| {
            reports::each(&database, window, domain, kind, verified, take)
        })?
    };
    if listed.rows == 0 && args.warnings {
        answer::say_empty(context, &mut out, format, "No report of the window deviates, or there is none.")?;
    } else if listed.rows == 0 {
        answer::say_empty(context, &mut out, format, &nothing(window, newest, args.domain.as_deref()))?;
    }
    out.flush()?;
    Ok(Status::Ok)
}
