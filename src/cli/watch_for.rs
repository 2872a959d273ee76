//! `dmarcdb watch-for`.

use std::io::Write;

use super::answer::{self, FormatArgs};
use super::window::{self, WindowArgs};
use super::{Context, Error, Status};
use crate::number;
use crate::query::rates::{self, Rate};
use crate::query::{Database, Window, extent};
use crate::render::sanitize::Untrusted;
use crate::render::{Field, Format, Sheet};
use crate::review::silence::silence;
use crate::review::{self, Asked, Review};

/// A source with fewer messages has no rate of complaints worth an alarm.
const LEAST_MESSAGES: i64 = 100;

const EXAMPLES: &str = "\
Prints a line for each finding and exits with 1, or prints nothing and exits with 0. Rates are per cent. The pass rate is that of
`summary`, over all messages of the window (the last 7 days unless said otherwise); with --domain that of one policy domain. The
complaint rate is that of all, and of each source at each receiver that reported 100 messages of it or more (`dmarcdb complaints
--rates`). A new source is one that no older report tells of.
Silence is told of the newest report, and of policy domains and reporters that were heard regularly before.

Examples:
  dmarcdb watch-for --pass-rate-below 95 --silence 3d
  dmarcdb watch-for --since 1d --complaint-rate-above 0.3 --new-source-above 100 --format json";

/// Options of `dmarcdb watch-for`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
#[group(id = "alarm", multiple = true)]
pub struct Args {
    /// Less than so many per cent of messages pass DMARC
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pass_rate_below: Option<f64>,
    /// More than so many complaints for a hundred messages
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    complaint_rate_above: Option<f64>,
    /// A source that was not seen before has more than so many messages
    #[arg(long, value_name = "MESSAGES")]
    new_source_above: Option<u32>,
    /// No report for longer than this: 3d, 1w
    #[arg(long, value_name = "SPAN")]
    silence: Option<String>,
    /// Only this policy domain
    #[arg(long, value_name = "DOMAIN", value_parser = answer::domain)]
    domain: Option<String>,
    #[command(flatten)]
    window: WindowArgs,
    #[command(flatten)]
    format: FormatArgs,
}

fn percent(text: &str) -> Result<f64, String> {
    let number: f64 = text.trim_end_matches('%').parse().map_err(|_| "not a number of per cent".to_owned())?;
    if (0.0..=100.0).contains(&number) { Ok(number) } else { Err("not between 0 and 100".to_owned()) }
}

/// Something to be alarmed at.
#[derive(Clone, Debug, PartialEq)]
struct Finding {
    /// `pass_rate`, `complaint_rate`, `new_source` or `silence`.
    check: &'static str,
    /// What it is about: a source, domain or reporter; `None`: all.
    subject: Option<String>,
    /// Per cent, messages or seconds.
    value: f64,
    /// What was allowed.
    limit: f64,
    /// In a sentence.
    text: String,
}

const FINDING: &[Field<Finding>] = &[
    Field::text("check", |row: &Finding| row.check.into()),
    Field::text("subject", |row: &Finding| (&row.subject).into()),
    Field::share("value", |row: &Finding| row.value.into()),
    Field::share("limit", |row: &Finding| row.limit.into()),
    Field::text("text", |row: &Finding| (&row.text).into()),
];

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(context: &Context, args: Args) -> Result<Status, Error> {
    let usage = |text: String| Error::new(Status::Usage, text);
    let rates = args.pass_rate_below.is_some() || args.complaint_rate_above.is_some();
    if !rates && args.new_source_above.is_none() && args.silence.is_none() {
        return Err(usage(
            "nothing to watch for: give --pass-rate-below, --complaint-rate-above, --new-source-above or --silence"
                .to_owned(),
        ));
    }
    let database = answer::open(context)?;
    let reach = extent::of_reports(&database, Some("aggregate"), context.now)?;
    let newest = reach.newest;
    let window = args.window.resolve(context.now, reach).map_err(usage)?;
    let domain = args.domain.as_deref();
    let review = review::review(&database, Asked { window, domain, verified: false, now: context.now })?;
    let rates = rates::rates(&database, window, domain, rates::By::Source)?;
    let mut found = rate_findings(&args, &review, &rates);
    if let Some(span) = &args.silence {
        let at = context.now.min(window.until);
        let least = window::back(at, span).map_err(|text| usage(format!("--silence: {text}")))?;
        found.extend(silence_findings(&database, domain, newest, window, at, at - least)?);
    }
    write(&args, &found)?;
    Ok(if found.is_empty() { Status::Ok } else { Status::Findings })
}

fn write(args: &Args, found: &[Finding]) -> Result<(), Error> {
    let format = args.format.format();
    let mut out = answer::stdout();
    if format == Format::Table {
        for finding in found {
            writeln!(out, "{}: {}", finding.check, Untrusted(&finding.text))?;
        }
    } else {
        let mut sheet = Sheet::begin(&mut out, format, answer::look(), FINDING)?;
        for finding in found {
            sheet.row(finding)?;
        }
        sheet.finish()?;
    }
    out.flush()?;
    Ok(())
}

fn rate_findings(args: &Args, review: &Review, rates: &[Rate]) -> Vec<Finding> {
    let mut found = Vec::new();
    let totals = review.totals;
    if let (Some(limit), Some(share)) = (args.pass_rate_below, totals.share(totals.dmarc_pass)) {
        let value = share * 100.0;
        if value < limit {
            let messages = number::count(totals.messages, "message");
            let text = format!("{} of {messages} pass DMARC, less than {limit}%", number::percent(share));
            found.push(Finding { check: "pass_rate", subject: args.domain.clone(), value, limit, text });
        }
    }
    if let Some(limit) = args.complaint_rate_above {
        found.extend(complaint_findings(args, review, rates, limit));
    }
    if let Some(limit) = args.new_source_above {
        for source in review.sources.iter().filter(|source| source.facts.seen_before == Some(false)) {
            let messages = source.facts.counts.messages;
            if messages > i64::from(limit) {
                let fail = number::grouped(source.facts.counts.fail());
                let messages_text = number::count(messages, "message");
                let text = format!("{} was not seen before: {messages_text}, of which {fail} fail", call(source));
                let (value, limit) = (messages as f64, f64::from(limit));
                found.push(Finding { check: "new_source", subject: Some(source.ip.clone()), value, limit, text });
            }
        }
    }
    found
}

fn complaint_findings(args: &Args, review: &Review, rates: &[Rate], limit: f64) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |subject: Option<String>, called: &str, complaints: i64, share: Option<f64>| {
        let value = share.unwrap_or(0.0) * 100.0;
        if value > limit {
            let complaints = number::count(complaints, "complaint");
            let text = format!("{complaints} about {called}: {value:.2}% of messages, more than {limit}%");
            found.push(Finding { check: "complaint_rate", subject, value, limit, text });
        }
    };
    let totals = review.totals;
    let all = args.domain.as_deref().unwrap_or("all mail");
    add(args.domain.clone(), all, totals.complaints, totals.share(totals.complaints));
    for rate in rates.iter().filter(|rate| rate.messages.is_some_and(|messages| messages >= LEAST_MESSAGES)) {
        let called = format!("{} at {}", rate.value.as_deref().unwrap_or("a source that is not named"), rate.receiver);
        add(rate.value.clone(), &called, rate.compared, rate.interval().map(|interval| interval.share));
    }
    found
}

fn call(source: &review::Judged) -> String {
    match source.name() {
        Some(name) => format!("{} ({name})", source.ip),
        None => source.ip.clone(),
    }
}

fn silence_findings(
    database: &Database,
    domain: Option<&str>,
    newest: Option<i64>,
    window: Window,
    at: i64,
    least: i64,
) -> Result<Vec<Finding>, Error> {
    let mut found = Vec::new();
    let limit = least as f64;
    let newest = newest.map(|newest| newest.min(window.until.max(at)));
    let age = newest.map_or(i64::MAX, |newest| at.saturating_sub(newest));
    if age > least {
        let text = newest.map_or_else(
            || "no report has ever come".to_owned(),
            |newest| {
                format!(
                    "the newest report ended {} UTC, {} ago",
                    number::time(newest),
                    number::length(age / 3600 * 3600)
                )
            },
        );
        found.push(Finding { check: "silence", subject: None, value: age as f64, limit, text });
    }
    for silent in silence(database, at, least)? {
        if domain.is_none_or(|domain| silent.kind == "reporter" || silent.name == domain) {
            let (value, text) = ((at - silent.last_at) as f64, silent.words(at));
            found.push(Finding { check: "silence", subject: Some(silent.name), value, limit, text });
        }
    }
    Ok(found)
}
