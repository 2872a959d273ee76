//! `dmarcdb reporter`.

use std::io::Write;

use serde_json::json;

use super::answer::{self, FormatArgs};
use super::window::{self, WindowArgs};
use super::{Context, Error, Status};
use crate::query::reporter::{self, Deviation, Name, Reports};
use crate::query::{Database, Window, extent};
use crate::render::{Field, Format, Sheet, json as write, number, sheet};

const EXAMPLES: &str = "\
A reporter is a name under org_name, in any case. Without a name all reporters are listed. Without --since and --until
all times count. JSON has `org_name`, `reports` (by kind: how many, and the lengths of their periods) and `warnings` (how
they deviate, with the newest example); NDJSON and CSV have the warnings.

Examples:
  dmarcdb reporter
  dmarcdb reporter google.com
  dmarcdb reporter 'Outlook.com' --since 30d --format json";

/// Options of `dmarcdb reporter`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// The name, as `dmarcdb reports` shows it
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    window: WindowArgs,
    #[command(flatten)]
    format: FormatArgs,
}

const NAME: &[Field<Name>] = &[
    Field::text("org_name", |row: &Name| (&row.org_name).into()),
    Field::time("last_at", |row: &Name| row.last_at.into()),
];

const REPORTS: &[Field<Reports>] = &[
    Field::text("kind", |row: &Reports| (&row.kind).into()),
    Field::integer("reports", |row: &Reports| row.reports.into()),
    Field::integer("domains", |row: &Reports| row.domains.into()),
    Field::integer("records", |row: &Reports| row.records.into()),
    Field::integer("records_rejected", |row: &Reports| row.records_rejected.into()).if_wide(3),
    Field::integer("messages", |row: &Reports| row.messages.into()),
    Field::integer("conflicts", |row: &Reports| row.conflicts.into()).if_wide(4),
    Field::time("first_at", |row: &Reports| row.first_at.into()),
    Field::time("last_at", |row: &Reports| row.last_at.into()),
    Field::integer("shortest_seconds", |row: &Reports| row.shortest_seconds.into()).data_only(),
    Field::integer("longest_seconds", |row: &Reports| row.longest_seconds.into()).data_only(),
    Field::text("periods", |row: &Reports| periods(row).into()).table_only().if_wide(2),
];

const DEVIATION: &[Field<Deviation>] = &[
    Field::text("code", |row: &Deviation| (&row.code).into()),
    Field::integer("reports", |row: &Deviation| row.reports.into()),
    Field::integer("times", |row: &Deviation| row.times.into()),
    Field::id("example_report", |row: &Deviation| row.example_report.into()).if_wide(1),
    Field::text("place", |row: &Deviation| (&row.place).into()),
    Field::text("text", |row: &Deviation| (&row.text).into()),
];

/// How long the periods are. Most reporters end a day one second early, which is still a day.
fn periods(row: &Reports) -> String {
    let length = |seconds: i64| number::length(if seconds % 60 == 59 { seconds.saturating_add(1) } else { seconds });
    let (shortest, longest) = (length(row.shortest_seconds), length(row.longest_seconds));
    if shortest == longest { shortest } else { format!("{shortest} to {longest}") }
}

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(context: &Context, args: Args) -> Result<Status, Error> {
    let database = answer::open(context)?;
    let format = args.format.format();
    match &args.name {
        None => list(context, &database, format),
        Some(name) => {
            let reach = extent::of_reports(&database, None, context.now)?;
            let window =
                args.window.resolve_or_all(context.now, reach).map_err(|text| Error::new(Status::Usage, text))?;
            show(&database, name, window, format)
        }
    }
}

fn list(context: &Context, database: &Database, format: Format) -> Result<Status, Error> {
    let mut out = answer::stdout();
    let names = reporter::names(database)?;
    let listed = answer::list(&mut out, format, usize::MAX, NAME, |take| {
        names.into_iter().try_for_each(|name| take(name).map(|_| ()))
    })?;
    if listed.rows == 0 {
        answer::say_empty(context, &mut out, format, "Nobody has sent a report yet.")?;
    }
    out.flush()?;
    Ok(Status::Ok)
}

fn show(database: &Database, name: &str, window: Window, format: Format) -> Result<Status, Error> {
    let found = find(reporter::names(database)?, name).map_err(|text| Error::new(Status::Usage, text))?;
    let mut all = Vec::new();
    for name in found {
        let reports = reporter::reports(database, window, name.id)?;
        let deviations = reporter::deviations(database, window, name.id)?;
        all.push((name, reports, deviations));
    }
    let mut out = answer::stdout();
    match format {
        Format::Table => {
            for (position, (name, reports, deviations)) in all.iter().enumerate() {
                if position > 0 {
                    writeln!(out)?;
                }
                page(&mut out, window, name, reports, deviations)?;
            }
        }
        Format::Json => {
            let documents = all.iter().map(|(name, reports, deviations)| document(name, reports, deviations));
            let mut documents: Vec<_> = documents.collect();
            // Names that differ in case only are rare; then there are several.
            let one = documents.len() == 1;
            let whole = if one { documents.swap_remove(0) } else { serde_json::Value::Array(documents) };
            write::document(&mut out, &whole)?;
        }
        Format::Ndjson | Format::Csv => {
            let mut sheet = Sheet::begin(&mut out, format, answer::look(), DEVIATION)?;
            for deviation in all.iter().flat_map(|(_, _, deviations)| deviations) {
                sheet.row(deviation)?;
            }
            sheet.finish()?;
        }
    }
    out.flush()?;
    Ok(Status::Ok)
}

/// The reporters of that name, in any case.
fn find(names: Vec<Name>, name: &str) -> Result<Vec<Name>, String> {
    let wanted = name.trim().to_lowercase();
    let (found, others): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|name| name.org_name.trim().to_lowercase() == wanted);
    if !found.is_empty() {
        return Ok(found);
    }
    let alike = others.iter().filter(|other| other.org_name.to_lowercase().contains(&wanted)).take(5);
    let alike: Vec<_> = alike.map(|other| format!("`{}`", other.org_name)).collect();
    match alike.as_slice() {
        [] => Err(format!("no reporter `{name}`: `dmarcdb reporter` lists all")),
        alike => Err(format!("no reporter `{name}`: perhaps {}", alike.join(", "))),
    }
}

fn document(name: &Name, reports: &[Reports], deviations: &[Deviation]) -> serde_json::Value {
    json!({
        "org_name": name.org_name,
        "reports": reports.iter().map(|row| sheet::object(REPORTS, row)).collect::<Vec<_>>(),
        "warnings": deviations.iter().map(|row| sheet::object(DEVIATION, row)).collect::<Vec<_>>(),
    })
}

fn page(
    out: &mut impl Write,
    window: Window,
    name: &Name,
    reports: &[Reports],
    deviations: &[Deviation],
) -> Result<(), Error> {
    let name = crate::render::sanitize::Untrusted(&name.org_name);
    if reports.is_empty() {
        writeln!(out, "No report of {name} ended in {}.", window::words(window))?;
        return Ok(());
    }
    writeln!(out, "{name}\n")?;
    answer::table(out, REPORTS, reports)?;
    if deviations.is_empty() {
        writeln!(out, "\nIts reports do not deviate.")?;
        return Ok(());
    }
    writeln!(out, "\nHow its reports deviate, with the newest example")?;
    answer::table(out, DEVIATION, deviations)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_any_case_and_the_like_of_them() {
        let names = || {
            ["google.com", "Google.com", "Outlook.com"]
                .map(|name| Name { id: 1, org_name: name.to_owned(), last_at: 0 })
                .to_vec()
        };
        let found = |name| find(names(), name).map(|found| found.len());
        assert_eq!(found("GOOGLE.com"), Ok(2));
        assert_eq!(found(" outlook.com"), Ok(1));
        assert_eq!(found("outlook"), Err("no reporter `outlook`: perhaps `Outlook.com`".to_owned()));
        assert!(found("yahoo").unwrap_err().contains("lists all"));
    }
}
