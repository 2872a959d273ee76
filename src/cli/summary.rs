//! `dmarcdb summary`.

use std::io::Write;

use clap::ValueEnum;
use serde_json::{Value as Json, json};

use super::answer::{self, FormatArgs, LimitArgs, VerifiedArgs};
use super::window::{self, WindowArgs};
use super::{Context, Error, Status};
use crate::query::extent::{self, Extent};
use crate::query::notes::{self, Notes};
use crate::query::summary::{self, Line, Summary};
use crate::query::{Counts, Database, Window};
use crate::render::{Field, Format, Sheet, Value, json, number, sheet};

/// Rows of a table.
const TABLE_ROWS: usize = 20;

const EXAMPLES: &str = "\
A report counts when its period ends in the window; a complaint when it arrived in it. Of reports that contradict each
other one counts: the best verified, then the first. A report whose mail your server found forged does not count. dmarc, dkim and spf are the shares of messages that pass, aligned; `unknown` are
messages that passed neither while the reporter left a result out.

JSON has `since_at`, `until_at`, `domains` (policy domains in the window), `totals`, `previous` (the window of the same
length before), and the rows under `sources`, `domains`, `reporters` or `days`. With --by domain the rows take the place
of the list of names: each has its name under `domain`.

Examples:
  dmarcdb summary                                   the last 7 days by sending address
  dmarcdb summary --since 30d --domain example.com  one domain
  dmarcdb summary --until newest --by reporter      the last 7 days there are reports of
  dmarcdb summary --since all --format csv > all.csv";

/// Options of `dmarcdb summary`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    window: WindowArgs,
    /// Only reports about this policy domain, and complaints about mail from it or below it
    #[arg(long, value_name = "DOMAIN", value_parser = answer::domain)]
    domain: Option<String>,
    /// What the rows are about
    #[arg(long, value_enum, default_value = "source")]
    by: By,
    #[command(flatten)]
    verified: VerifiedArgs,
    #[command(flatten)]
    limit: LimitArgs,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// Sending address
    Source,
    /// Policy domain
    Domain,
    /// Reporting organisation
    Reporter,
    /// UTC day on which the report's period ends
    Day,
}

impl By {
    fn question(self) -> summary::By {
        match self {
            By::Source => summary::By::Source,
            By::Domain => summary::By::Domain,
            By::Reporter => summary::By::Reporter,
            By::Day => summary::By::Day,
        }
    }

    fn singular(self) -> &'static str {
        match self {
            By::Source => "source",
            By::Domain => "domain",
            By::Reporter => "reporter",
            By::Day => "day",
        }
    }

    fn plural(self) -> &'static str {
        match self {
            By::Source => "sources",
            By::Domain => "domains",
            By::Reporter => "reporters",
            By::Day => "days",
        }
    }

    fn fields(self) -> &'static [Field<Row>] {
        match self {
            By::Source => SOURCE,
            By::Domain => DOMAIN,
            By::Reporter => REPORTER,
            By::Day => DAY,
        }
    }
}

/// A line, and what it is a share of.
struct Row {
    line: Line,
    all: i64,
}

impl Row {
    fn share(&self, part: i64) -> Value {
        self.line.counts.share(part).into()
    }
}

macro_rules! fields {
    ($key:literal, $complaints:expr $(, $more:expr)*) => {
        &[
            Field::text($key, |row: &Row| (&row.line.key).into()),
            Field::integer("messages", |row: &Row| row.line.counts.messages.into()),
            Field::share("share", |row: &Row| {
                (row.all > 0).then(|| row.line.counts.messages as f64 / row.all as f64).into()
            })
            .table_only()
            .if_wide(4),
            Field::share("dmarc", |row: &Row| row.share(row.line.counts.dmarc_pass)).table_only(),
            Field::share("dkim", |row: &Row| row.share(row.line.counts.dkim_pass)).table_only(),
            Field::share("spf", |row: &Row| row.share(row.line.counts.spf_pass)).table_only(),
            Field::integer("dmarc_pass", |row: &Row| row.line.counts.dmarc_pass.into()).data_only(),
            Field::integer("dkim_pass", |row: &Row| row.line.counts.dkim_pass.into()).data_only(),
            Field::integer("spf_pass", |row: &Row| row.line.counts.spf_pass.into()).data_only(),
            Field::integer("unknown", |row: &Row| row.line.counts.unknown.into()).if_wide(6),
            Field::integer("quarantine", |row: &Row| row.line.counts.quarantine.into()),
            Field::integer("reject", |row: &Row| row.line.counts.reject.into()),
            Field::integer("complaints", $complaints),
            $($more,)*
            Field::day("first_at", |row: &Row| row.line.first_at.into()).if_wide(5),
            Field::day("last_at", |row: &Row| row.line.last_at.into()).if_wide(3),
            Field::text("why", |row: &Row| row.line.counts.why().into()).data_only(),
        ]
    };
}

const SOURCE: &[Field<Row>] = fields!(
    "source_ip",
    |row| row.line.counts.complaints.into(),
    Field::text("name", |_| Value::Null).data_only(),
    Field::text("class", |_| Value::Null).data_only()
);
const DOMAIN: &[Field<Row>] = fields!("domain", |row| row.line.counts.complaints.into());
/// Which feedback loop belongs to which reporter is not known, and none is not nought.
const REPORTER: &[Field<Row>] = fields!("org_name", |_| Value::Null);
const DAY: &[Field<Row>] = fields!("day", |row| row.line.counts.complaints.into());

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(context: &Context, args: Args) -> Result<Status, Error> {
    let database = answer::open(context)?;
    let reach = reach(&database, context.now)?;
    let window = args.window.resolve(context.now, reach.clone()).map_err(|text| Error::new(Status::Usage, text))?;
    let found =
        summary::summary(&database, window, args.domain.as_deref(), args.verified.verified_only, args.by.question())?;
    let notes = notes::notes(&database, window, args.domain.as_deref(), args.verified.verified_only)?;
    let format = args.format.format();
    let empty = (notes.reports == 0).then(|| nothing(window, reach.newest, args.domain.as_deref()));
    let limit = args.limit.of_table(format, TABLE_ROWS);
    let mut out = answer::stdout();
    match format {
        Format::Table => table(&mut out, &args, window, found, &notes, empty.as_deref(), limit)?,
        Format::Json => json::document(&mut out, &document(args.by, window, found, &notes, limit))?,
        Format::Ndjson | Format::Csv => {
            let mut sheet = Sheet::begin(&mut out, format, answer::look(), args.by.fields())?;
            for row in rows(found, limit) {
                sheet.row(&row)?;
            }
            sheet.finish()?;
        }
    }
    out.flush()?;
    if format != Format::Table
        && let Some(text) = empty
    {
        context.note(text);
    }
    Ok(Status::Ok)
}

/// How far aggregate reports reach, and complaints with them; the newest is the newest report where there is one.
fn reach(database: &Database, now: i64) -> Result<Extent, Error> {
    let reports = extent::of_reports(database, Some("aggregate"), now)?;
    Ok(reports.with(extent::of_complaints(database, now)?))
}

/// What is said when no report ends in the window. `newest` is about all domains.
pub fn nothing(window: Window, newest: Option<i64>, domain: Option<&str>) -> String {
    let words = window::words(window);
    let about = domain.map_or_else(String::new, |domain| format!(" about {domain}"));
    let of_all = if domain.is_some() { " of all" } else { "" };
    match newest {
        None => format!("No report{about} ended in {words}: there is none of any time (`dmarcdb messages`)."),
        Some(newest) => format!(
            "No report{about} ended in {words}. The newest{of_all} ended {} UTC: --until newest shows the days before it.",
            number::time(newest)
        ),
    }
}

fn rows(found: Summary, limit: usize) -> impl Iterator<Item = Row> {
    let all = found.totals.messages;
    found.lines.into_iter().take(limit).map(move |line| Row { line, all })
}

fn document(by: By, window: Window, found: Summary, notes: &Notes, limit: usize) -> Json {
    let mut document = json!({
        "since_at": window.since,
        "until_at": window.until,
        "domains": found.domains,
        "totals": counts(found.totals),
        "previous": counts(found.previous),
    });
    document["totals"]["unverified_reports"] = notes.unverified_reports.into();
    document["totals"]["unverified_messages"] = notes.unverified_messages.into();
    document[by.plural()] = rows(found, limit).map(|row| sheet::object(by.fields(), &row)).collect();
    document
}

fn counts(counts: Counts) -> Json {
    json!({
        "messages": counts.messages,
        "dmarc_pass": counts.dmarc_pass,
        "dkim_pass": counts.dkim_pass,
        "spf_pass": counts.spf_pass,
        "unknown": counts.unknown,
        "quarantine": counts.quarantine,
        "reject": counts.reject,
        "complaints": counts.complaints,
    })
}

fn table(
    out: &mut impl Write,
    args: &Args,
    window: Window,
    found: Summary,
    notes: &Notes,
    empty: Option<&str>,
    limit: usize,
) -> Result<(), Error> {
    match empty {
        Some(text) => writeln!(out, "{text}")?,
        None => writeln!(out, "{}\n", headline(window, args.domain.as_deref(), &found, notes))?,
    }
    let (totals, lines) = (found.totals, found.lines.len());
    let rest = found.lines.iter().skip(limit).fold(Counts::default(), |sum, line| sum.plus(line.counts));
    let attributed = found.lines.iter().fold(0, |sum: i64, line| sum.saturating_add(line.counts.complaints));
    let mut sheet = Sheet::begin(&mut *out, Format::Table, answer::look(), args.by.fields())?;
    for row in rows(found, limit) {
        sheet.row(&row)?;
    }
    let left_out = sheet.finish()?;
    if lines > limit {
        let more = number::count((lines - limit) as i64, &format!("more {}", args.by.singular()));
        let share =
            totals.share(rest.messages).map_or_else(String::new, |share| format!(" ({})", number::percent(share)));
        writeln!(out, "{more} with {}{share}: --limit 0 shows all.", number::count(rest.messages, "message"))?;
    }
    answer::no_room(out, &left_out)?;
    closing(out, args.by, totals, totals.complaints - attributed, notes)
}

/// The window, how much there was, and how it fared against the window before.
fn headline(window: Window, domain: Option<&str>, found: &Summary, notes: &Notes) -> String {
    let totals = found.totals;
    let mut of = format!("in {}", number::count(notes.reports, "report"));
    if let Some(domain) = domain {
        of.push_str(&format!(" about {domain}"));
    }
    let mut text = format!("{}: {} {of}", window::words(window), number::count(totals.messages, "message"));
    let Some(share) = totals.share(totals.dmarc_pass) else {
        return text;
    };
    text.push_str(&format!(", {} pass DMARC", number::percent(share)));
    match found.previous.share(found.previous.dmarc_pass) {
        Some(before) => text.push_str(&format!(" ({:+.1} points on the window before)", (share - before) * 100.0)),
        None => text.push_str(" (the window before has no messages)"),
    }
    if let Some(unknown) = totals.share(totals.unknown).filter(|share| *share > 0.0) {
        text.push_str(&format!(", {} not known", number::percent(unknown)));
    }
    text
}

/// What the figures leave out, and what waits.
fn closing(out: &mut impl Write, by: By, totals: Counts, elsewhere: i64, notes: &Notes) -> Result<(), Error> {
    let mut lines = Vec::new();
    if notes.unverified_reports > 0 {
        let of = totals
            .share(notes.unverified_messages)
            .map_or_else(String::new, |share| format!(" ({} of all)", number::percent(share)));
        lines.push(format!(
            "{} with {}{of} not known to come from whom it names (--verified-only leaves such out).",
            number::count(notes.unverified_reports, "report"),
            number::count(notes.unverified_messages, "message"),
        ));
    }
    if notes.failed > 0 {
        lines.push(format!(
            "{} not counted: your server found the mail forged (`dmarcdb reports`, verification).",
            number::count(notes.failed, "report")
        ));
    }
    if notes.conflicts > 0 {
        let reports = number::count(notes.conflicts, "report");
        lines.push(format!("{reports} not counted: another of the same identity says something else (`dmarcdb reports`, conflict_with)."));
    }
    if notes.rejected_records > 0 {
        let records = number::count(notes.rejected_records, "record");
        lines.push(format!("{records} could not be used (`dmarcdb reports --warnings`)."));
    }
    if elsewhere > 0 && by != By::Reporter {
        let complaints = number::count(elsewhere, "complaint");
        lines.push(format!("{complaints} about no {} of these reports (`dmarcdb complaints`).", by.singular()));
    }
    if notes.unresolved_complaints > 0 {
        let complaints = number::count(notes.unresolved_complaints, "complaint");
        lines.push(format!("{complaints} without a usable recipient (`dmarcdb complaints`)."));
    }
    if notes.untrusted_complaints > 0 {
        let complaints = number::count(notes.untrusted_complaints, "complaint");
        lines.push(format!(
            "{complaints} not known to come from a feedback loop (`dmarcdb suppress list --include-pending`)."
        ));
    }
    if notes.problems > 0 {
        let problems = number::count(notes.problems, "problem");
        lines.push(format!("{problems} waiting: `dmarcdb problems` tells what could not be read."));
    }
    if !lines.is_empty() {
        writeln!(out)?;
    }
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(())
}
