//! `dmarcdb source`.

use std::io::Write;

use serde_json::{Value as Json, json};

use super::answer::{self, FormatArgs};
use super::facets::{self, SECTIONS};
use super::summary::{data, page as summary};
use super::window::WindowArgs;
use super::{Context, Error, Status};
use crate::query::source::{self, Address};
use crate::query::{Database, extent};
use crate::render::page::{Page, Tone};
use crate::render::sanitize::Untrusted;
use crate::render::{Format, Sheet, json as write, number, sheet};
use crate::review::single::{Single, single};
use crate::review::{Judged, Subject, subject};

/// So many lines the addresses of a network or name have on a page.
const LISTED: usize = 20;

const EXAMPLES: &str = "\
A network takes in every address in it that is known; a name every address whose confirmed name it is or is above, and those of a
provider or label of that name. Without --since and --until all times count. Messages with several DKIM signatures or override
reasons count in each. A report over more than two days is spread over them for the figures by day.

Several addresses are judged one by one; the class of all is that of the worst, and what they have in common shares a line.

JSON has `source_ip` (or `sources`, where there are several, and `addresses` with the class of each), the totals as in `summary`, `class` and `why`, `first_at`, `last_at`,
`names` (what `dmarcdb enrich` found), and arrays `days`, `domains`, `reporters`, `dkim`, `spf`, `dispositions`, `reasons` and
`complaints`; NDJSON and CSV have the same rows with their `section`, but for the days.

Examples:
  dmarcdb source 192.0.2.10
  dmarcdb source 203.0.113.0/24 --since 30d
  dmarcdb source mailer.example
  dmarcdb source 2001:db8::25 --since 30d --format json";

/// Options of `dmarcdb source`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// A sending address, a network (192.0.2.0/24), or a name
    #[arg(value_name = "IP|NETWORK|NAME")]
    source: String,
    #[command(flatten)]
    window: WindowArgs,
    /// Show the facts that the class rests on
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    format: FormatArgs,
}

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(context: &Context, args: Args) -> Result<Status, Error> {
    let database = answer::open(context)?;
    let (called, addresses) = addresses(&database, &args.source)?;
    let reach = extent::of_reports(&database, None, context.now)?.with(extent::of_complaints(&database, context.now)?);
    let window = args.window.resolve_or_all(context.now, reach).map_err(|text| Error::new(Status::Usage, text))?;
    let found = single(&database, window, &addresses, context.now)?;
    let format = args.format.format();
    let mut out = answer::stdout();
    match (format, &found) {
        (Format::Table, None) => writeln!(out, "Nothing is known about {}.", Untrusted(&called))?,
        (Format::Table, Some(found)) => page(&mut out, &called, found, &addresses, args.explain)?,
        (Format::Json, _) => write::document(&mut out, &document(&called, found.as_ref(), &addresses, args.explain))?,
        (Format::Ndjson | Format::Csv, _) => {
            let mut sheet = Sheet::begin(&mut out, format, answer::look(), facets::FLAT)?;
            for facet in found.iter().flat_map(|found| SECTIONS.iter().flat_map(|section| of(found, section.word))) {
                sheet.row(facet)?;
            }
            sheet.finish()?;
        }
    }
    out.flush()?;
    Ok(Status::Ok)
}

/// What a person means, in canonical form, and the addresses of it.
fn addresses(database: &Database, text: &str) -> Result<(String, Vec<Address>), Error> {
    match subject(text) {
        Ok(subject @ Subject::Address(ip)) => Ok((subject.to_string(), source::address(database, ip)?)),
        Ok(subject @ Subject::Network(network)) => Ok((subject.to_string(), source::in_network(database, network)?)),
        Ok(Subject::Domain(domain)) => Ok((domain.clone(), labelled(database, &domain)?)),
        Err(error) if text.contains(['/', ':']) || text.starts_with(|first: char| first.is_ascii_digit()) => {
            Err(Error::new(Status::Usage, format_args!("`{text}`: {error}")))
        }
        Err(_) => Ok((text.to_owned(), labelled(database, text.trim())?)),
    }
}

/// The addresses of a confirmed name, a provider, or a label of that name.
fn labelled(database: &Database, name: &str) -> Result<Vec<Address>, Error> {
    let mut found = source::named(database, name)?;
    for label in crate::query::labels::labels(database)? {
        if label.name.is_some_and(|label| label.to_lowercase() == name.to_lowercase()) {
            match subject(&label.subject) {
                Ok(Subject::Address(ip)) => found.extend(source::address(database, ip)?),
                Ok(Subject::Network(network)) => found.extend(source::in_network(database, network)?),
                Ok(Subject::Domain(domain)) => found.extend(source::named(database, &domain)?),
                Err(_) => {}
            }
        }
    }
    found.sort_by(|one, other| one.ip.cmp(&other.ip));
    found.dedup_by(|one, other| one.id == other.id);
    Ok(found)
}

fn of<'a>(found: &'a Single, section: &str) -> &'a [crate::query::facets::Facet] {
    match section {
        "reporter" => &found.found.reporters,
        "complaint" => &found.found.complaints,
        _ => facets::of(&found.found.facets, section),
    }
}

fn document(called: &str, found: Option<&Single>, addresses: &[Address], explain: bool) -> Json {
    let mut document = json!({});
    match addresses {
        [] | [_] => document["source_ip"] = called.into(),
        several => {
            document["source"] = called.into();
            document["sources"] = several.iter().map(|address| address.ip.clone()).collect();
        }
    }
    let facets = found.map(|found| &found.found.facets);
    let counts = facets.map(|facets| facets.counts).unwrap_or_default();
    facets::put_counts(&mut document, counts);
    document["first_at"] = facets.and_then(|facets| facets.first_at).into();
    document["last_at"] = facets.and_then(|facets| facets.last_at).into();
    document["class"] = found.map(|found| found.verdict.class.as_str()).into();
    document["why"] = found.map(|found| found.why.as_str()).into();
    if addresses.len() > 1 {
        let members = found.iter().flat_map(|found| &found.members);
        document["addresses"] = members.map(|member| sheet::object(data::SOURCE, member)).collect();
    }
    document["complaint_rate"] = counts.share(counts.complaints).into();
    if let (true, Some(found)) = (explain, found) {
        document["facts"] = Json::Object(data::facts(&found.facts));
    }
    document["names"] = found.map(Single::names).unwrap_or_default().into_iter().map(facets::names).collect();
    document["days"] = facets.map(|facets| facets::days(&facets.days)).unwrap_or_else(|| json!([]));
    for section in SECTIONS {
        let rows = found.map(|found| of(found, section.word)).unwrap_or_default();
        document[section.key] = facets::array(section, rows);
    }
    document
}

fn page(out: &mut impl Write, called: &str, found: &Single, addresses: &[Address], explain: bool) -> Result<(), Error> {
    let mut page = Page::new(&mut *out, answer::page_look());
    let one = found.only().filter(|_| addresses.len() == 1);
    let name = one.and_then(Judged::name).map_or_else(String::new, |name| format!(" {name}"));
    let several = if addresses.len() > 1 { format!(": {} addresses", addresses.len()) } else { String::new() };
    page.paragraph(Tone::Bold, "", 2, &format!("{called}{name}{several}"))?;
    page.paragraph(facets::tone(found.verdict.class), "", 2, &verdict(found))?;
    facets::figures(&mut page, &found.found.facets)?;
    if let Some(names) = one.and_then(|one| one.names.as_deref()) {
        page.paragraph(Tone::Plain, "  ", 2, &facets::named(names))?;
    }
    facets::chart(&mut page, &found.found.facets.days)?;
    if explain {
        facets::explained(&mut page, &found.facts)?;
    }
    if addresses.len() > 1 {
        page.blank()?;
        let silent = addresses.len().saturating_sub(found.members.len());
        summary::each(&mut page, &found.members, found.facts.counts, LISTED)?;
        if silent > 0 {
            let silent = number::count(i64::try_from(silent).unwrap_or(i64::MAX), "known source");
            page.paragraph(Tone::Dim, "", 0, &format!("{silent} without a report in this time."))?;
        }
    }
    for section in SECTIONS {
        facets::table(out, section, of(found, section.word))?;
    }
    Ok(())
}

/// The class and why; of several sources with different reasons the sentences say their classes.
fn verdict(found: &Single) -> String {
    let same = found.members.iter().all(|member| member.verdict == found.verdict);
    if same { format!("{}: {}", found.verdict.class, found.why) } else { found.why.clone() }
}
