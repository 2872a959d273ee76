//! `dmarcdb metrics`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use super::window::WindowArgs;
use super::{Context, Error, Status, answer, output};
use crate::classify::Class;
use crate::query::heard::heard;
use crate::query::summary::{self, By};
use crate::query::{Counts, Database, Window, extent, notes};
use crate::review::{self, Asked, Review};

/// The window when nothing is said.
const DEFAULT_SINCE: &str = "1d";
/// How far back reporters are looked for.
const REPORTERS_SECONDS: i64 = 35 * 86_400;
/// Reporters whose last report is told, by most reports: strangers choose the names, and each is a time series.
const MOST_REPORTERS: usize = 100;

const EXAMPLES: &str = "\
All are gauges. Those of messages, sources and complaints are of the window (--since, the last day unless said otherwise); times are
seconds since the epoch. Names and labels are stable. A file is replaced whole and may be read by everybody, as the textfile
collector of the node exporter needs it.

Examples:
  dmarcdb metrics
  dmarcdb metrics --output /var/lib/prometheus/node-exporter/dmarcdb.prom";

/// Options of `dmarcdb metrics`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    window: WindowArgs,
    /// Write to this file, which is replaced whole
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(context: &Context, mut args: Args) -> Result<Status, Error> {
    let database = answer::open(context)?;
    if args.window.since.is_none() {
        args.window.since = Some(DEFAULT_SINCE.to_owned());
    }
    let reach = extent::of_reports(&database, Some("aggregate"), context.now)?;
    let newest = reach.newest;
    let window = args.window.resolve(context.now, reach).map_err(|text| Error::new(Status::Usage, text))?;
    let text = exposition(&database, window, newest, context.now)?;
    match &args.output {
        Some(file) => output::replace(file, text.as_bytes(), Some(0o644))?,
        None => {
            let mut out = answer::stdout();
            out.write_all(text.as_bytes())?;
            out.flush()?;
        }
    }
    Ok(Status::Ok)
}

fn exposition(database: &Database, window: Window, newest: Option<i64>, now: i64) -> Result<String, Error> {
    let review = review::review(database, Asked { window, domain: None, verified: false, now })?;
    let by_domain = summary::summary(database, window, None, false, By::Domain)?.lines;
    let notes = notes::notes(database, window, None, false)?;
    let mut text = Exposition::default();
    let length = window.until.saturating_sub(window.since);
    text.family("dmarcdb_window_seconds", "Length of the window that messages, sources and complaints are of.");
    text.sample("dmarcdb_window_seconds", &[], length as f64);
    text.family("dmarcdb_reports", "Aggregate reports that count, in the window.");
    text.sample("dmarcdb_reports", &[], notes.reports as f64);
    text.family("dmarcdb_messages", "Messages in the window by policy domain and DMARC result.");
    text.family_of_domains("dmarcdb_messages", &by_domain);
    text.family("dmarcdb_pass_ratio", "Part of the messages in the window that pass DMARC, by policy domain.");
    for line in &by_domain {
        if let (Some(domain), Some(share)) = (&line.key, line.counts.share(line.counts.dmarc_pass)) {
            text.sample("dmarcdb_pass_ratio", &[("domain", domain)], share);
        }
    }
    by_class(&mut text, &review);
    complaints(&mut text, &review);
    text.family(
        "dmarcdb_policy_info",
        "The published policy by policy domain, from the newest report in the window; always 1.",
    );
    for domain in &review.domains {
        let policy = &domain.standing.policy;
        let (p, sp) = (policy.p.as_deref().unwrap_or(""), policy.sp.as_deref().unwrap_or(""));
        text.sample("dmarcdb_policy_info", &[("domain", &domain.standing.domain), ("p", p), ("sp", sp)], 1.0);
    }
    text.family("dmarcdb_problems", "Documents that could not be read and wait.");
    text.sample("dmarcdb_problems", &[], notes.problems as f64);
    text.family("dmarcdb_newest_report_timestamp_seconds", "End of the newest aggregate report.");
    if let Some(newest) = newest {
        text.sample("dmarcdb_newest_report_timestamp_seconds", &[], newest as f64);
    }
    reporters(&mut text, database, window)?;
    text.family("dmarcdb_generated_timestamp_seconds", "When this was written.");
    text.sample("dmarcdb_generated_timestamp_seconds", &[], now as f64);
    Ok(text.text)
}

fn by_class(text: &mut Exposition, review: &Review) {
    text.family("dmarcdb_sources", "Sending addresses in the window by class.");
    for class in Class::ALL {
        text.sample("dmarcdb_sources", &[("class", class.as_str())], review.of(class).len() as f64);
    }
    text.family("dmarcdb_failing_messages", "Messages in the window that fail DMARC by the class of their source.");
    for class in Class::ALL {
        let fail = review.of(class).iter().fold(0, |sum: i64, source| sum.saturating_add(source.facts.counts.fail()));
        text.sample("dmarcdb_failing_messages", &[("class", class.as_str())], fail as f64);
    }
}

fn complaints(text: &mut Exposition, review: &Review) {
    text.family("dmarcdb_complaints", "Incidents of complaints that arrived in the window.");
    text.sample("dmarcdb_complaints", &[], review.totals.complaints as f64);
    text.family("dmarcdb_complaint_ratio", "Complaints in the window for each message reported in it.");
    if let Some(rate) = review.totals.share(review.totals.complaints) {
        text.sample("dmarcdb_complaint_ratio", &[], rate);
    }
}

fn reporters(text: &mut Exposition, database: &Database, window: Window) -> Result<(), Error> {
    let memory = Window { since: window.until.saturating_sub(REPORTERS_SECONDS), until: window.until };
    let mut last: std::collections::BTreeMap<String, (i64, i64)> = std::collections::BTreeMap::new();
    for row in heard(database, memory)? {
        if let Some(org_name) = row.org_name {
            let (reports, at) = last.entry(org_name).or_insert((0, row.last_at));
            *reports += row.reports;
            *at = row.last_at.max(*at);
        }
    }
    let mut rows: Vec<_> = last.into_iter().collect();
    rows.sort_by_key(|(_, (reports, _))| std::cmp::Reverse(*reports));
    rows.truncate(MOST_REPORTERS);
    text.family(
        "dmarcdb_reporter_last_report_timestamp_seconds",
        "End of the newest aggregate report by reporter, of the last 35 days.",
    );
    for (org_name, (_, at)) in rows {
        text.sample("dmarcdb_reporter_last_report_timestamp_seconds", &[("org_name", &org_name)], at as f64);
    }
    Ok(())
}

/// Prometheus' text format, version 0.0.4.
#[derive(Debug, Default)]
struct Exposition {
    text: String,
}

impl Exposition {
    fn family(&mut self, name: &str, help: &str) {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} gauge");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.text, "{name}{labels} {value}");
    }

    fn family_of_domains(&mut self, name: &str, lines: &[summary::Line]) {
        for line in lines {
            let Some(domain) = &line.key else { continue };
            let counts: Counts = line.counts;
            for (result, count) in [("pass", counts.dmarc_pass), ("fail", counts.fail()), ("unknown", counts.unknown)] {
                self.sample(name, &[("domain", domain), ("result", result)], count as f64);
            }
        }
    }
}

/// A label value: what acts on a terminal is shown, and the three characters of the format are escaped.
fn escaped(value: &str) -> String {
    let safe = crate::render::sanitize::Untrusted(value).to_string();
    safe.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_strangers_stay_in_their_quotes() {
        let mut text = Exposition::default();
        text.family("a_metric", "Help with \\ and\nmore.");
        text.sample("a_metric", &[("org_name", "x\"} 1\nforged{y=\"\\z"), ("b", "\u{1b}[2J")], 0.5);
        assert_eq!(
            text.text,
            "# HELP a_metric Help with \\\\ and\\nmore.\n# TYPE a_metric gauge\n\
             a_metric{org_name=\"x\\\"} 1\\\\u{a}forged{y=\\\"\\\\z\",b=\"\\\\u{1b}[2J\"} 0.5\n"
        );
    }
}
