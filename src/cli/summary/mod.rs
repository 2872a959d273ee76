//! `dmarcdb summary`.

mod by;
pub(super) mod data;
pub(super) mod page;

use std::io::Write;

use clap::ValueEnum;
use serde_json::Value as Json;

use super::answer::{self, FormatArgs, LimitArgs, VerifiedArgs};
use super::window::{self, WindowArgs};
use super::{Context, Error, Status};
use crate::query::extent::{self, Extent};
use crate::query::notes::{self, Notes};
use crate::query::rates::{self, Rate};
use crate::query::summary::{self, Summary};
use crate::query::{Counts, Database, Window};
use crate::render::page::{Page, Tone};
use crate::render::{Format, Sheet, json, number, sheet};
use crate::review::{self, Asked, Judged, Review};

use page::Limits;

/// Rows of a table.
const TABLE_ROWS: usize = 20;
/// Policy domains above it.
pub(in crate::cli) const TABLE_DOMAINS: usize = 8;

const EXAMPLES: &str = "\
The first line says whether anybody is needed. Every source has a class: `fix` is yours or your provider's and does not
authenticate as you, `new` was not seen before the window, `threat` uses your name and proves nothing, `forwarded` is your mail
passed on by others, `ok` passes. `dmarcdb label` says otherwise, `--explain` shows what a class rests on, `dmarcdb enrich` adds
names. Where a class has many sources, those of one provider, domain or network share a line.

A report counts when its period ends in the window; a complaint when it arrived in it. Of reports that contradict each
other one counts: the best verified, then the first. A report whose mail your server found forged does not count. dmarc, dkim
and spf are the shares of messages that pass, aligned; `unknown` are messages that passed neither while the reporter left a
result out. Of a report over more than two days each day has its part in --by day, marked under `spread`.

JSON has `since_at`, `until_at`, `domains` (policy domains in the window), `totals`, `previous` (the window of the same
length before), and the rows under `sources`, `domains`, `reporters` or `days`. With --by domain the rows take the place
of the list of names: each has its name under `domain`. By source there are `verdict`, `action` (whether somebody must act), and
`policies` too.

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
    /// Show the facts that the class of each source rests on
    #[arg(long)]
    explain: bool,
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
}

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(context: &Context, args: Args) -> Result<Status, Error> {
    let database = answer::open(context)?;
    let reach = reach(&database, context.now)?;
    let window = args.window.resolve(context.now, reach.clone()).map_err(|text| Error::new(Status::Usage, text))?;
    let (domain, verified) = (args.domain.as_deref(), args.verified.verified_only);
    let notes = notes::notes(&database, window, domain, verified)?;
    let rate = rates::overall(&database, window, domain)?;
    let format = args.format.format();
    let empty = (notes.reports == 0).then(|| nothing(window, reach.newest, domain));
    let limit = args.limit.of_table(format, TABLE_ROWS);
    let mut out = answer::stdout();
    if let (Format::Table, Some(text)) = (format, &empty) {
        writeln!(out, "{text}")?;
    }
    if args.by == By::Source {
        let asked = Asked { window, domain, verified, now: context.now };
        let review = review::review(&database, asked)?;
        sources(&mut out, &args, &review, &notes, rate.as_ref(), limit)?;
        // The program is about to end: giving back thousands of sources one by one would be waited for.
        std::mem::forget(review);
    } else {
        let found = summary::summary(&database, window, domain, verified, args.by.question())?;
        others(&mut out, &args, window, found, &notes, rate.as_ref(), limit)?;
    }
    out.flush()?;
    if let (Some(text), true) = (empty, format != Format::Table) {
        context.note(text);
    }
    Ok(Status::Ok)
}

fn sources(
    out: &mut impl Write,
    args: &Args,
    review: &Review,
    notes: &Notes,
    rate: Option<&Rate>,
    limit: usize,
) -> Result<(), Error> {
    let format = args.format.format();
    let rows = || review.sources.iter().take(limit);
    match format {
        Format::Table => {
            let limits = Limits { sources: limit, domains: args.limit.of_table(format, TABLE_DOMAINS) };
            page::write(out, review, notes, rate, limits, args.domain.as_deref(), args.explain)?;
            let attributed = rows_complaints(&review.sources);
            closing(out, args.by, review.totals, review.totals.complaints - attributed, notes)?;
        }
        Format::Json => {
            let mut document = data::document(review, args.explain, rows());
            unverified(&mut document, notes, rate);
            json::document(out, &document)?;
        }
        Format::Ndjson | Format::Csv => {
            let mut sheet = Sheet::begin(&mut *out, format, answer::look(), data::SOURCE)?;
            for source in rows() {
                sheet.row(source)?;
            }
            sheet.finish()?;
        }
    }
    Ok(())
}

fn rows_complaints(sources: &[Judged]) -> i64 {
    sources.iter().fold(0, |sum: i64, source| sum.saturating_add(source.facts.counts.complaints))
}

fn others(
    out: &mut impl Write,
    args: &Args,
    window: Window,
    found: Summary,
    notes: &Notes,
    rate: Option<&Rate>,
    limit: usize,
) -> Result<(), Error> {
    let format = args.format.format();
    match format {
        Format::Table => {
            let totals = found.totals;
            let attributed = found.lines.iter().fold(0, |sum: i64, line| sum.saturating_add(line.counts.complaints));
            by::table(out, args, window, found, notes, limit)?;
            closing(out, args.by, totals, totals.complaints - attributed, notes)?;
        }
        Format::Json => {
            let mut document = data::head(window, &found.domains, found.totals, found.previous);
            unverified(&mut document, notes, rate);
            document[args.by.plural()] =
                by::rows(found, limit).map(|row| sheet::object(by::fields(args.by), &row)).collect();
            json::document(out, &document)?;
        }
        Format::Ndjson | Format::Csv => {
            let mut sheet = Sheet::begin(&mut *out, format, answer::look(), by::fields(args.by))?;
            for row in by::rows(found, limit) {
                sheet.row(&row)?;
            }
            sheet.finish()?;
        }
    }
    Ok(())
}

/// How much of the totals nobody vouches for, and how often people complained.
fn unverified(document: &mut Json, notes: &Notes, rate: Option<&Rate>) {
    document["totals"]["unverified_reports"] = notes.unverified_reports.into();
    document["totals"]["unverified_messages"] = notes.unverified_messages.into();
    document["totals"]["complaint_rate"] = rate.map_or(Json::Null, super::rates::document);
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

/// What the figures leave out, and what waits.
fn closing(out: &mut impl Write, by: By, totals: Counts, elsewhere: i64, notes: &Notes) -> Result<(), Error> {
    let mut lines = Vec::new();
    if notes.unverified_reports > 0 {
        let of = totals
            .share(notes.unverified_messages)
            .map_or_else(String::new, |share| format!(" ({} of all)", number::percent(share)));
        lines.push(format!(
            "{} with {}{of} not known to come from whom {} (--verified-only leaves such out).",
            number::count(notes.unverified_reports, "report"),
            number::count(notes.unverified_messages, "message"),
            if notes.unverified_reports == 1 { "it names" } else { "they name" },
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
    if lines.is_empty() {
        return Ok(());
    }
    let mut page = Page::new(out, answer::page_look());
    page.blank()?;
    for line in lines {
        page.paragraph(Tone::Plain, "", 2, &line)?;
    }
    Ok(())
}
