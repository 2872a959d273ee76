//! `dmarcdb source`.

use std::io::Write;
use std::net::IpAddr;

use serde_json::{Value as Json, json};

use super::answer::{self, FormatArgs};
use super::window::WindowArgs;
use super::{Context, Error, Status};
use crate::query::extent;
use crate::query::source::{self, Facet, Source};
use crate::render::{Field, Format, Sheet, json as write, number, sheet};

const EXAMPLES: &str = "\
Without --since and --until all times count. Messages with several DKIM signatures or override reasons count in each.
JSON has `source_ip`, the totals as in `summary`, `first_at`, `last_at`, and arrays `domains`, `reporters`, `dkim`, `spf`,
`dispositions`, `reasons` and `complaints`; NDJSON and CSV have the same rows with their `section`.

Examples:
  dmarcdb source 192.0.2.10
  dmarcdb source 2001:db8::25 --since 30d --format json";

/// Options of `dmarcdb source`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// The sending address, IPv4 or IPv6
    #[arg(value_name = "IP")]
    ip: IpAddr,
    #[command(flatten)]
    window: WindowArgs,
    #[command(flatten)]
    format: FormatArgs,
}

/// Word in `section`, key in JSON, heading in the table, and what its name and detail are.
const SECTIONS: [(&str, &str, &str, &[Field<Facet>]); 7] = [
    ("domain", "domains", "Policy domains and From domains", DOMAIN),
    ("reporter", "reporters", "Reported by", REPORTER),
    ("dkim", "dkim", "DKIM signatures", DKIM),
    ("spf", "spf", "SPF domains", SPF),
    ("disposition", "dispositions", "What was done", DISPOSITION),
    ("reason", "reasons", "Why other than the policy asks", REASON),
    ("complaint", "complaints", "Complaints", COMPLAINT),
];

macro_rules! fields {
    ($($field:expr),*; $messages:literal) => {
        &[
            $($field,)*
            Field::integer($messages, |row: &Facet| row.messages.into()),
            Field::time("first_at", |row: &Facet| row.first_at.into()),
            Field::time("last_at", |row: &Facet| row.last_at.into()),
        ]
    };
}

const fn name(word: &'static str) -> Field<Facet> {
    Field::text(word, |row: &Facet| (&row.name).into())
}

const fn detail(word: &'static str) -> Field<Facet> {
    Field::text(word, |row: &Facet| (&row.detail).into())
}

const RESULT: Field<Facet> = Field::text("result", |row: &Facet| (&row.result).into());
const PASS: Field<Facet> = Field::integer("dmarc_pass", |row: &Facet| row.dmarc_pass.into());

const DOMAIN: &[Field<Facet>] = fields!(name("domain"), detail("header_from"), PASS; "messages");
const REPORTER: &[Field<Facet>] = fields!(name("org_name"), PASS; "messages");
const DKIM: &[Field<Facet>] = fields!(name("domain"), detail("selector"), RESULT, PASS; "messages");
const SPF: &[Field<Facet>] = fields!(name("domain"), detail("scope"), RESULT, PASS; "messages");
const DISPOSITION: &[Field<Facet>] = fields!(name("disposition"), PASS; "messages");
const REASON: &[Field<Facet>] = fields!(name("type"), detail("comment"), PASS; "messages");
const COMPLAINT: &[Field<Facet>] = fields!(name("feedback_type"), detail("provider"); "incidents");

/// All sections in one table, for formats that have only one.
const FLAT: &[Field<Facet>] = fields!(Field::text("section", |row: &Facet| (&row.section).into()), name("name"), detail("detail"), RESULT, PASS; "messages");

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(context: &Context, args: Args) -> Result<Status, Error> {
    let database = answer::open(context)?;
    let reach = extent::of_reports(&database, None, context.now)?.with(extent::of_complaints(&database, context.now)?);
    let window = args.window.resolve_or_all(context.now, reach).map_err(|text| Error::new(Status::Usage, text))?;
    let found = source::source(&database, window, args.ip)?;
    let format = args.format.format();
    let mut out = answer::stdout();
    match format {
        Format::Table => page(&mut out, args.ip, found)?,
        Format::Json => write::document(&mut out, &document(args.ip, &found))?,
        Format::Ndjson | Format::Csv => {
            let mut sheet = Sheet::begin(&mut out, format, answer::look(), FLAT)?;
            for facet in &found.facets {
                sheet.row(facet)?;
            }
            sheet.finish()?;
        }
    }
    out.flush()?;
    Ok(Status::Ok)
}

fn document(ip: IpAddr, found: &Source) -> Json {
    let counts = found.totals.counts;
    let mut document = json!({
        "source_ip": ip.to_canonical().to_string(),
        "messages": counts.messages,
        "dmarc_pass": counts.dmarc_pass,
        "dkim_pass": counts.dkim_pass,
        "spf_pass": counts.spf_pass,
        "unknown": counts.unknown,
        "quarantine": counts.quarantine,
        "reject": counts.reject,
        "first_at": found.totals.first_at,
        "last_at": found.totals.last_at,
        "why": counts.why(),
    });
    for (section, key, _, fields) in SECTIONS {
        let rows = found.facets.iter().filter(|facet| facet.section == section);
        document[key] = rows.map(|facet| sheet::object(fields, facet)).collect();
    }
    document
}

fn page(out: &mut impl Write, ip: IpAddr, found: Source) -> Result<(), Error> {
    let ip = ip.to_canonical();
    if found.facets.is_empty() {
        writeln!(out, "Nothing is known about {ip}.")?;
        return Ok(());
    }
    let (counts, totals) = (found.totals.counts, found.totals);
    let mut line = format!("{ip}: {}", number::count(counts.messages, "message"));
    if let (Some(first), Some(last)) = (totals.first_at, totals.last_at) {
        line.push_str(&format!(" from {} to {} UTC", number::time(first), number::time(last)));
    }
    if let Some(why) = counts.why() {
        line.push_str(&format!("; {why}"));
    }
    if counts.complaints > 0 {
        line.push_str(&format!("; {}", number::count(counts.complaints, "complaint")));
    }
    writeln!(out, "{line}")?;
    for (section, _, heading, fields) in SECTIONS {
        let rows: Vec<_> = found.facets.iter().filter(|facet| facet.section == section).collect();
        if rows.is_empty() {
            continue;
        }
        writeln!(out, "\n{heading}")?;
        answer::table(out, fields, rows)?;
    }
    Ok(())
}
