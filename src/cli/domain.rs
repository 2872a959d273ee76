//! `dmarcdb domain`.

use std::io::Write;

use serde_json::{Value as Json, json};

use super::answer::{self, FormatArgs};
use super::facets::{self, SECTIONS};
use super::summary::{data, nothing, page as summary_page};
use super::window::WindowArgs;
use super::{Context, Error, Status};
use crate::classify::Class;
use crate::classify::tighten::words as advice_words;
use crate::query::domain::{self, Domain, Policy};
use crate::query::facets::Facet;
use crate::query::{Window, extent};
use crate::render::page::{Page, Tone};
use crate::render::{Field, Format, Sheet, json as write, number, sheet};
use crate::review::selectors::{Selector, selectors};
use crate::review::steps::steps;
use crate::review::{self, Asked, Review};

/// The window when nothing is said: long enough for monthly mail.
const DEFAULT_SINCE: &str = "30d";
/// Rows of sources.
const SOURCES: usize = 16;

const EXAMPLES: &str = "\
Without --since and --until the window is the last 30 days. What a stricter policy would do is told by today's failing mail: of
yours, which has to be mended first, and of what others pass on, part of which receivers spare (override reasons).

JSON has the policy domain under `domain`, the totals as in `summary`, `policy` (as under `policies` in `summary`), `lost` (failing
messages: `own`, `forwarded`, and `spared`, those that receivers let through for an override reason), `steps`, and arrays `policies`
(over time), `selectors`, `sources` (as in `summary`), `days`, `domains`, `reporters`, `dkim`, `spf`, `dispositions` and `reasons`;
NDJSON and CSV have the last six with their `section`, but for the days.

Examples:
  dmarcdb domain example.com
  dmarcdb domain example.com --since 6mo --until newest
  dmarcdb domain example.com --format json";

/// Options of `dmarcdb domain`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// A policy domain: one of yours
    #[arg(value_name = "DOMAIN", value_parser = answer::domain)]
    domain: String,
    #[command(flatten)]
    window: WindowArgs,
    #[command(flatten)]
    format: FormatArgs,
}

const POLICY: &[Field<Policy>] = &[
    Field::text("p", |row: &Policy| (&row.published.p).into()),
    Field::text("sp", |row: &Policy| (&row.published.sp).into()),
    Field::text("np", |row: &Policy| (&row.published.np).into()).if_wide(3),
    Field::text("adkim", |row: &Policy| (&row.published.adkim).into()),
    Field::text("aspf", |row: &Policy| (&row.published.aspf).into()),
    Field::integer("pct", |row: &Policy| row.published.pct.into()),
    Field::text("testing", |row: &Policy| (&row.published.testing).into()).if_wide(2),
    Field::integer("reports", |row: &Policy| row.reports.into()),
    Field::integer("reporters", |row: &Policy| row.reporters.into()).if_wide(1),
    Field::day("first_at", |row: &Policy| row.first_at.into()),
    Field::day("last_at", |row: &Policy| row.last_at.into()),
];

const SELECTOR: &[Field<Selector>] = &[
    Field::text("domain", |row: &Selector| (&row.domain).into()),
    Field::text("selector", |row: &Selector| (&row.selector).into()),
    Field::integer("messages", |row: &Selector| row.messages.into()),
    Field::integer("pass", |row: &Selector| row.pass.into()),
    Field::time("last_pass_at", |row: &Selector| row.last_pass_at.into()),
    Field::time("last_at", |row: &Selector| row.last_at.into()),
];

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(context: &Context, mut args: Args) -> Result<Status, Error> {
    let database = answer::open(context)?;
    let reach = extent::of_reports(&database, Some("aggregate"), context.now)?;
    if args.window.since.is_none() {
        args.window.since = Some(DEFAULT_SINCE.to_owned());
    }
    let newest = reach.newest;
    let window = args.window.resolve(context.now, reach).map_err(|text| Error::new(Status::Usage, text))?;
    let name = args.domain.as_str();
    let asked = Asked { window, domain: Some(name), verified: false, now: context.now };
    let review = review::review(&database, asked)?;
    let found = domain::domain(&database, window, name)?;
    let format = args.format.format();
    let empty = (found.policies.is_empty() && found.reporters.is_empty()).then(|| nothing(window, newest, Some(name)));
    let mut out = answer::stdout();
    match (format, &empty) {
        (Format::Table, Some(text)) => writeln!(out, "{text}")?,
        (Format::Table, None) => page(&mut out, name, &review, &found)?,
        (Format::Json, _) => write::document(&mut out, &document(name, window, &review, &found))?,
        (Format::Ndjson | Format::Csv, _) => {
            let mut sheet = Sheet::begin(&mut out, format, answer::look(), facets::FLAT)?;
            for facet in SECTIONS.iter().flat_map(|section| of(&found, section.word)) {
                sheet.row(facet)?;
            }
            sheet.finish()?;
        }
    }
    out.flush()?;
    if let (Some(text), true) = (empty, format != Format::Table) {
        context.note(text);
    }
    Ok(Status::Ok)
}

fn of<'a>(found: &'a Domain, section: &str) -> &'a [Facet] {
    if section == "reporter" { &found.reporters } else { facets::of(&found.facets, section) }
}

fn document(name: &str, window: Window, review: &Review, found: &Domain) -> Json {
    let mut document = json!({ "domain": name, "since_at": window.since, "until_at": window.until });
    facets::put_counts(&mut document, found.facets.counts);
    document["complaints"] = review.totals.complaints.into();
    document["policy"] = review.domains.first().map(data::policy).into();
    let lost = Lost::of(review);
    document["lost"] = json!({ "own": lost.own, "forwarded": lost.forwarded, "spared": lost.spared });
    document["steps"] = review.domains.first().map(|domain| steps(review, domain, &found.facets)).into();
    document["policies"] = found.policies.iter().map(|policy| sheet::object(POLICY, policy)).collect();
    document["selectors"] =
        selectors(name, &found.facets.dkim).iter().map(|row| sheet::object(SELECTOR, row)).collect();
    document["sources"] = review.sources.iter().map(|source| sheet::object(data::SOURCE, source)).collect();
    document["days"] = facets::days(&found.facets.days);
    for section in SECTIONS.iter().filter(|section| section.word != "complaint") {
        document[section.key] = facets::array(section, of(found, section.word));
    }
    document
}

/// What a stricter policy would do to the mail of the window.
struct Lost {
    own: i64,
    forwarded: i64,
    spared: i64,
}

impl Lost {
    fn of(review: &Review) -> Lost {
        let sum = |value: fn(&review::Judged) -> i64| {
            review.sources.iter().fold(0, |sum: i64, source| sum.saturating_add(value(source)))
        };
        let of = |class: Class| review.domains.first().map_or(0, |domain| domain.standing.fails.of(class));
        Lost {
            own: review.domains.first().map_or(0, |domain| domain.standing.fails.own()),
            forwarded: of(Class::Forwarded),
            spared: sum(|source| source.facts.fail_forwarded),
        }
    }

    /// In words, for people.
    fn words(&self, messages: i64) -> Vec<String> {
        let share = |part: i64| {
            let share = if messages > 0 { part as f64 / messages as f64 } else { 0.0 };
            format!("{} ({})", number::count(part, "message"), number::percent(share))
        };
        let lost = self.own.saturating_add(self.forwarded);
        let mut lines = match lost {
            0 => {
                vec!["At quarantine and at reject nothing of yours, nor what others pass on, would be lost.".to_owned()]
            }
            lost => vec![
                format!(
                    "At quarantine {} would go to spam: {} of yours, {} passed on by others.",
                    share(lost),
                    share(self.own),
                    share(self.forwarded)
                ),
                format!("At reject {} would be refused.", share(lost)),
            ],
        };
        if self.spared > 0 {
            let spared = number::count(self.spared, "message");
            lines.push(format!("Receivers spare {spared} today because they know who passed them on."));
        }
        lines
    }
}

fn page(out: &mut impl Write, name: &str, review: &Review, found: &Domain) -> Result<(), Error> {
    let mut page = Page::new(&mut *out, answer::page_look());
    let policy = review.domains.first().map_or_else(String::new, |domain| domain.standing.policy.words());
    page.paragraph(Tone::Bold, "", 2, &format!("{name} {policy}"))?;
    if let Some(domain) = review.domains.first() {
        page.paragraph(Tone::Plain, "", 2, &advice_words(&domain.standing, &domain.advice))?;
    }
    facets::figures(&mut page, &found.facets)?;
    facets::chart(&mut page, &found.facets.days)?;
    page.blank()?;
    page.line(Tone::Bold, "What a stricter policy would do to this mail")?;
    for line in Lost::of(review).words(found.facets.counts.messages) {
        page.paragraph(Tone::Plain, "  ", 2, &line)?;
    }
    if let Some(domain) = review.domains.first() {
        let steps = steps(review, domain, &found.facets);
        if !steps.is_empty() {
            page.blank()?;
            page.line(Tone::Bold, "Before tightening it")?;
        }
        for (number, step) in steps.iter().enumerate() {
            page.paragraph(Tone::Plain, &format!("  {}. ", number + 1), 5, step)?;
        }
    }
    page.blank()?;
    summary_page::sources(&mut page, &review.sources, review.totals, SOURCES)?;
    writeln!(out, "\nPolicy as reported")?;
    answer::page_table(out, POLICY, &found.policies)?;
    let selectors = selectors(name, &found.facets.dkim);
    if !selectors.is_empty() {
        writeln!(out, "\nSelectors of your signatures")?;
        answer::page_table(out, SELECTOR, &selectors)?;
    }
    for section in SECTIONS {
        facets::table(out, section, of(found, section.word))?;
    }
    Ok(())
}
