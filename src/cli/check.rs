//! `dmarcdb check`.

use std::io::Write;
use std::net::IpAddr;

use serde_json::json;

use super::answer::{self, FormatArgs};
use super::enrich::ask;
use super::run::stop_on_signal;
use super::window::WindowArgs;
use super::{Context, Error, Status};
use crate::checks::dkim::{Key, Why};
use crate::checks::name::is_name;
use crate::checks::{self, Finding, Known, Severity};
use crate::number;
use crate::query::{Database, Window, check as facts, extent};
use crate::render::page::{Page, Tone};
use crate::render::{Field, Format, Sheet, json as write, sheet};

const EXAMPLES: &str = "\
Asks DNS for what a sender must have: SPF, the DKIM keys that reports tell of, DMARC, MX, TLS-RPT, MTA-STS, and for each sending
address of yours its name, whether that leads back, and block lists ([enrich] blocklists, none by default). Sending addresses
are those that passed DMARC in reports, and those that the SPF record names. Without --since and --until the reports of the 30
days before the newest one count; without a database the domain alone is checked.

Exit status: 0 nothing to do; 1 findings that are warnings or errors; 75 DNS does not answer.

Examples:
  dmarcdb check example.com
  dmarcdb check example.com --selector s2026 --format json";

/// How far back reports are looked at, in seconds.
const WINDOW: i64 = 30 * 86_400;
/// Keys that are checked, at most.
const KEYS: usize = 50;

/// Options of `dmarcdb check`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// The domain
    #[arg(value_name = "DOMAIN", value_parser = domain)]
    domain: String,
    /// Check the DKIM key of this selector too; repeat for more
    #[arg(long, value_name = "SELECTOR")]
    selector: Vec<String>,
    /// Check at most so many sending addresses out of reports
    #[arg(long, value_name = "N", default_value_t = 20)]
    addresses: usize,
    #[command(flatten)]
    window: WindowArgs,
    #[command(flatten)]
    format: FormatArgs,
}

const FIELDS: &[Field<Finding>] = &[
    Field::text("severity", |finding| finding.severity.word().into()),
    Field::text("check", |finding| finding.check.into()),
    Field::text("code", |finding| finding.code.into()),
    Field::text("name", |finding| (&finding.name).into()),
    Field::text("finding", |finding| (&finding.text).into()),
    Field::text("record", |finding| (&finding.record).into()),
    Field::text("fix", |finding| (&finding.fix).into()),
];

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(context: &Context, args: Args) -> Result<Status, Error> {
    let config = context.config()?;
    let mut known = Known { domain: args.domain.clone(), lists: config.enrich.blocklists.clone(), ..Known::default() };
    let path = context.db_path(&config);
    if path.exists() {
        from_reports(context, &Database::open(&path)?, &args, &mut known)?;
    } else {
        context.note("no database: neither keys nor senders are known from reports");
    }
    for selector in &args.selector {
        let key = Key { domain: args.domain.clone(), selector: selector.to_ascii_lowercase(), why: Why::Asked };
        if !known.keys.iter().any(|known| known.domain == key.domain && known.selector.eq_ignore_ascii_case(selector)) {
            known.keys.push(key);
        }
    }
    let mut dns = ask(&config, stop_on_signal()?)?;
    let mut findings = checks::domain(&mut dns, &known);
    let unanswered = findings.iter().filter(|finding| finding.code == "dns").count();
    if unanswered > 0 && !dns.is_reachable() {
        return Err(Error::new(
            Status::Temporary,
            "DNS does not answer; run again when it does, or name another server under [dns]",
        ));
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let format = args.format.format();
    let mut out = answer::stdout();
    match format {
        Format::Table => page(&mut out, &args, &findings)?,
        Format::Json => write::document(&mut out, &document(&args.domain, &findings))?,
        Format::Ndjson | Format::Csv => {
            let mut sheet = Sheet::begin(&mut out, format, answer::look(), FIELDS)?;
            for finding in &findings {
                sheet.row(finding)?;
            }
            sheet.finish()?;
        }
    }
    out.flush()?;
    let bad = findings.iter().any(|finding| finding.severity >= Severity::Warning);
    Ok(if bad { Status::Findings } else { Status::Ok })
}

/// A domain that mail can be sent as.
fn domain(text: &str) -> Result<String, String> {
    let name = answer::domain(text)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let fits = is_name(&name) && name.contains('.') && name.bytes().all(plain);
    if fits { Ok(name) } else { Err("not a domain name".to_owned()) }
}

/// Keys and senders, out of the reports of the window; by default the 30 days before the newest report.
fn from_reports(context: &Context, database: &Database, args: &Args, known: &mut Known) -> Result<(), Error> {
    let reach = extent::of_reports(database, None, context.now)?;
    let window = if args.window.is_default() {
        let newest = reach.newest.unwrap_or(context.now).min(context.now);
        Window { since: newest.saturating_sub(WINDOW), until: i64::MAX }
    } else {
        args.window.resolve(context.now, reach).map_err(|text| Error::new(Status::Usage, text))?
    };
    for found in facts::selectors(database, window, &args.domain, KEYS)? {
        let why = if found.passed > 0 { Why::Passed(found.passed) } else { Why::NeverPassed };
        known.keys.push(Key { domain: found.domain, selector: found.selector, why });
    }
    for found in facts::addresses(database, window, &args.domain, args.addresses)? {
        if let Ok(ip) = found.source_ip.parse::<IpAddr>() {
            known.addresses.push((ip, found.helo.filter(|helo| helo.contains('.'))));
        }
    }
    Ok(())
}

fn counts(findings: &[Finding]) -> [(Severity, usize); 4] {
    [Severity::Error, Severity::Warning, Severity::Info, Severity::Ok]
        .map(|severity| (severity, findings.iter().filter(|finding| finding.severity == severity).count()))
}

fn document(domain: &str, findings: &[Finding]) -> serde_json::Value {
    let [(_, errors), (_, warnings), (_, infos), (_, oks)] = counts(findings);
    let rows: Vec<_> = findings.iter().map(|finding| sheet::object(FIELDS, finding)).collect();
    json!({"domain": domain, "errors": errors, "warnings": warnings, "infos": infos, "oks": oks, "findings": rows})
}

/// The findings for people: what is wrong with the record and what to do, then what is worth knowing, then what is fine.
fn page(out: &mut impl Write, args: &Args, findings: &[Finding]) -> std::io::Result<()> {
    /// Where the text begins, behind the severity and the check.
    const INDENT: usize = 18;
    let mut page = Page::new(out, answer::page_look());
    let words: Vec<String> = counts(findings)
        .into_iter()
        .filter(|(severity, count)| *count > 0 && *severity >= Severity::Warning)
        .map(|(severity, count)| number::count(i64::try_from(count).unwrap_or(i64::MAX), severity.word()))
        .collect();
    let verdict = if words.is_empty() { "nothing to do".to_owned() } else { words.join(", ") };
    page.paragraph(Tone::Bold, "", 0, &format!("{}: {verdict}", args.domain))?;
    let mut before = Severity::Error;
    for finding in findings {
        let bad = finding.severity >= Severity::Warning;
        if bad || before >= Severity::Warning {
            page.blank()?;
        }
        before = finding.severity;
        let name = if finding.name == args.domain { String::new() } else { format!("{}: ", finding.name) };
        let first = format!("{:<9}{:<9}", finding.severity.word(), finding.check);
        page.paragraph(tone(finding.severity), &first, INDENT, &format!("{name}{}", finding.text))?;
        if bad {
            for (word, text) in [("record", &finding.record), ("do", &finding.fix)] {
                if let Some(text) = text {
                    page.paragraph(Tone::Plain, &format!("{:9}{word:<9}", ""), INDENT, text)?;
                }
            }
        }
    }
    Ok(())
}

fn tone(severity: Severity) -> Tone {
    match severity {
        Severity::Error => Tone::Hostile,
        Severity::Warning => Tone::Alert,
        Severity::Info => Tone::Notice,
        Severity::Ok => Tone::Good,
    }
}
