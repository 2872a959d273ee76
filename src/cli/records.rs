//! `dmarcdb records`.

use std::io::Write;

use super::answer::{self, FormatArgs, LimitArgs, VerifiedArgs};
use super::summary::nothing;
use super::window::WindowArgs;
use super::{Context, Error, Status};
use crate::query::extent;
use crate::query::records::{self, Record};
use crate::render::Field;

/// Rows of a table on a terminal.
const TERMINAL_ROWS: usize = 100;

const EXAMPLES: &str = "\
A record is listed when its report's period ends in the window, newest first. dkim and spf are the aligned results, dmarc
is pass when either is; `-` is a result the reporter left out. Records of a report that is not `counted` (another
stands, or its mail failed authentication) are listed, but `summary` leaves them out. Reasons and results of each check are in JSON, NDJSON and CSV.

Examples:
  dmarcdb records --since 2d --domain example.com
  dmarcdb records --until newest --format ndjson | jq 'select(.dmarc == \"fail\")'";

/// Options of `dmarcdb records`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    window: WindowArgs,
    /// Only records of reports about this policy domain
    #[arg(long, value_name = "DOMAIN", value_parser = answer::domain)]
    domain: Option<String>,
    #[command(flatten)]
    verified: VerifiedArgs,
    #[command(flatten)]
    limit: LimitArgs,
    #[command(flatten)]
    format: FormatArgs,
}

const RECORD: &[Field<Record>] = &[
    Field::id("report", |row: &Record| row.report.into()),
    Field::id("ordinal", |row: &Record| row.ordinal.into()).data_only(),
    Field::text("org_name", |row: &Record| (&row.org_name).into()).if_wide(2),
    Field::text("report_id", |row: &Record| (&row.report_id).into()).data_only(),
    Field::text("domain", |row: &Record| (&row.domain).into()).if_wide(4),
    Field::time("begin_at", |row: &Record| row.begin_at.into()).data_only(),
    Field::time("end_at", |row: &Record| row.end_at.into()).if_wide(3),
    Field::text("source_ip", |row: &Record| (&row.source_ip).into()),
    Field::integer("messages", |row: &Record| row.messages.into()),
    Field::text("disposition", |row: &Record| (&row.disposition).into()),
    Field::text("dkim", |row: &Record| (&row.dkim).into()),
    Field::text("spf", |row: &Record| (&row.spf).into()),
    Field::text("dmarc", |row: &Record| (&row.dmarc).into()),
    Field::text("header_from", |row: &Record| (&row.header_from).into()),
    Field::text("envelope_from", |row: &Record| (&row.envelope_from).into()).if_wide(5),
    Field::text("envelope_to", |row: &Record| (&row.envelope_to).into()).data_only(),
    Field::json("reasons", |row: &Record| (&row.reasons).into()),
    Field::json("dkim_results", |row: &Record| (&row.dkim_results).into()),
    Field::json("spf_results", |row: &Record| (&row.spf_results).into()),
    Field::id("conflict_with", |row: &Record| row.conflict_with.into()).data_only(),
    Field::text("verification", |row: &Record| (&row.verification).into()).data_only(),
    Field::flag("counted", |row: &Record| row.counted.into()).data_only(),
];

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(context: &Context, args: Args) -> Result<Status, Error> {
    let database = answer::open(context)?;
    let reach = extent::of_reports(&database, Some("aggregate"), context.now)?;
    let newest = reach.newest;
    let window = args.window.resolve(context.now, reach).map_err(|text| Error::new(Status::Usage, text))?;
    let format = args.format.format();
    let limit = args.limit.rows(format, TERMINAL_ROWS);
    let mut out = answer::stdout();
    let listed = answer::list(&mut out, format, limit, RECORD, |take| {
        records::each(&database, window, args.domain.as_deref(), args.verified.verified_only, take)
    })?;
    if listed.rows == 0 {
        answer::say_empty(context, &mut out, format, &nothing(window, newest, args.domain.as_deref()))?;
    }
    out.flush()?;
    Ok(Status::Ok)
}
