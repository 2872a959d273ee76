//! `dmarcdb tls`.

use std::io::Write;

use serde_json::json;

use super::answer::{self, FormatArgs};
use super::summary::nothing;
use super::window::{self, WindowArgs};
use super::{Context, Error, Status};
use crate::query::tls::{self, Domain, Failure, Tls};
use crate::query::{Window, extent};
use crate::render::{Field, Format, Sheet, json as write, number, sheet};

const EXAMPLES: &str = "\
A report counts when its period ends in the window. JSON has `since_at`, `until_at`, `totals`, `domains` (sessions by
policy domain and type) and `failures` (by kind and receiving MX); NDJSON and CSV have the same rows with their
`section`. Reporters need not explain every failed session, so `failures` may hold fewer than `domains`.

Examples:
  dmarcdb tls --since 30d
  dmarcdb tls --until newest --domain example.com --format json";

/// Options of `dmarcdb tls`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    window: WindowArgs,
    /// Only sessions to this policy domain
    #[arg(long, value_name = "DOMAIN", value_parser = answer::domain)]
    domain: Option<String>,
    #[command(flatten)]
    format: FormatArgs,
}

const DOMAIN: &[Field<Domain>] = &[
    Field::text("policy_domain", |row: &Domain| (&row.policy_domain).into()),
    Field::text("policy_type", |row: &Domain| (&row.policy_type).into()),
    Field::integer("successful_sessions", |row: &Domain| row.successful_sessions.into()),
    Field::integer("failed_sessions", |row: &Domain| row.failed_sessions.into()),
    Field::time("first_at", |row: &Domain| row.first_at.into()).if_wide(2),
    Field::time("last_at", |row: &Domain| row.last_at.into()).if_wide(1),
];

const FAILURE: &[Field<Failure>] = &[
    Field::text("policy_domain", |row: &Failure| (&row.policy_domain).into()),
    Field::text("result_type", |row: &Failure| (&row.result_type).into()),
    Field::text("receiving_mx_hostname", |row: &Failure| (&row.receiving_mx_hostname).into()),
    Field::integer("failed_sessions", |row: &Failure| row.failed_sessions.into()),
    Field::time("first_at", |row: &Failure| row.first_at.into()).if_wide(2),
    Field::time("last_at", |row: &Failure| row.last_at.into()).if_wide(1),
];

/// A row of either, for formats that have only one table.
enum Row {
    Domain(Domain),
    Failure(Failure),
}

macro_rules! of {
    ($row:expr, $field:ident) => {
        match $row {
            Row::Domain(row) => row.$field.clone().into(),
            Row::Failure(row) => row.$field.clone().into(),
        }
    };
}

macro_rules! only {
    ($row:expr, $variant:ident, $field:ident) => {
        match $row {
            Row::$variant(row) => row.$field.clone().into(),
            _ => crate::render::Value::Null,
        }
    };
}

const FLAT: &[Field<Row>] = &[
    Field::text("section", |row: &Row| match row {
        Row::Domain(_) => "domain".into(),
        Row::Failure(_) => "failure".into(),
    }),
    Field::text("policy_domain", |row: &Row| of!(row, policy_domain)),
    Field::text("policy_type", |row: &Row| only!(row, Domain, policy_type)),
    Field::text("result_type", |row: &Row| only!(row, Failure, result_type)),
    Field::text("receiving_mx_hostname", |row: &Row| only!(row, Failure, receiving_mx_hostname)),
    Field::integer("successful_sessions", |row: &Row| only!(row, Domain, successful_sessions)),
    Field::integer("failed_sessions", |row: &Row| of!(row, failed_sessions)),
    Field::time("first_at", |row: &Row| of!(row, first_at)),
    Field::time("last_at", |row: &Row| of!(row, last_at)),
];

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(context: &Context, args: Args) -> Result<Status, Error> {
    let database = answer::open(context)?;
    let reach = extent::of_reports(&database, Some("tls"), context.now)?;
    let newest = reach.newest;
    let window = args.window.resolve(context.now, reach).map_err(|text| Error::new(Status::Usage, text))?;
    let found = tls::tls(&database, window, args.domain.as_deref())?;
    let format = args.format.format();
    let mut out = answer::stdout();
    if found.domains.is_empty() {
        answer::say_empty(context, &mut out, format, &nothing(window, newest, args.domain.as_deref()))?;
    }
    match format {
        Format::Table if found.domains.is_empty() => {}
        Format::Table => page(&mut out, window, &found)?,
        Format::Json => write::document(&mut out, &document(window, &found))?,
        Format::Ndjson | Format::Csv => {
            let mut sheet = Sheet::begin(&mut out, format, answer::look(), FLAT)?;
            let rows = found.domains.into_iter().map(Row::Domain);
            for row in rows.chain(found.failures.into_iter().map(Row::Failure)) {
                sheet.row(&row)?;
            }
            sheet.finish()?;
        }
    }
    out.flush()?;
    Ok(Status::Ok)
}

fn totals(found: &Tls) -> (i64, i64) {
    found.domains.iter().fold((0, 0), |(successful, failed): (i64, i64), row| {
        (successful.saturating_add(row.successful_sessions), failed.saturating_add(row.failed_sessions))
    })
}

fn document(window: Window, found: &Tls) -> serde_json::Value {
    let (successful, failed) = totals(found);
    json!({
        "since_at": window.since,
        "until_at": window.until,
        "totals": { "successful_sessions": successful, "failed_sessions": failed },
        "domains": found.domains.iter().map(|row| sheet::object(DOMAIN, row)).collect::<Vec<_>>(),
        "failures": found.failures.iter().map(|row| sheet::object(FAILURE, row)).collect::<Vec<_>>(),
    })
}

fn page(out: &mut impl Write, window: Window, found: &Tls) -> Result<(), Error> {
    let (successful, failed) = totals(found);
    let all = successful.saturating_add(failed);
    let share = if all > 0 { format!(" ({})", number::percent(failed as f64 / all as f64)) } else { String::new() };
    let sessions = number::count(all, "session");
    writeln!(out, "{}: {sessions}, {} failed{share}\n", window::words(window), number::grouped(failed))?;
    answer::table(out, DOMAIN, &found.domains)?;
    if !found.failures.is_empty() {
        writeln!(out, "\nFailures by kind and receiving MX")?;
        answer::table(out, FAILURE, &found.failures)?;
    }
    Ok(())
}
