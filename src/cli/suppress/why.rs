//! `dmarcdb suppress why`: the whole story of one address.

use std::io::Write;

use serde_json::json;

use super::{SUPPRESSION, everywhere};
use crate::cli::answer::{self, FormatArgs};
use crate::cli::{Context, Error, Status};
use crate::query::Database;
use crate::query::suppression::{self, Event, Suppression};
use crate::render::sanitize::Untrusted;
use crate::render::{Field, Format, Sheet, json as write, number, sheet};
use crate::report::address::Address;

const EXAMPLES: &str = "\
Every event is told with who or what it rests on: the person, or the complaint or bounce, why that is trusted or not, where
in it the address was found, and the message that brought it, by its SHA-256 and the places it was found at. JSON has all
fields of the complaint or bounce as they were sent.

Examples:
  dmarcdb suppress why bob@example.com
  dmarcdb suppress why bob@example.com --format json";

/// Options of `dmarcdb suppress why`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// The address
    #[arg(value_parser = super::address)]
    address: Address,
    #[command(flatten)]
    format: FormatArgs,
}

const EVENT: &[Field<Event>] = &[
    Field::time("at", |row: &Event| row.at.into()),
    Field::text("kind", |row: &Event| (&row.kind).into()),
    Field::text("scope", |row: &Event| (&row.scope).into()),
    Field::text("reason", |row: &Event| (&row.reason).into()),
    Field::time("until_at", |row: &Event| row.until_at.into()),
    Field::text("author", |row: &Event| (&row.author).into()),
    Field::id("complaint", |row: &Event| row.complaint.into()),
    Field::id("bounce", |row: &Event| row.bounce.into()),
    Field::text("decision_reason", |row: &Event| (&row.decision_reason).into()),
    Field::text("provider", |row: &Event| (&row.provider).into()),
    Field::flag("trusted", |row: &Event| row.trusted.into()),
    Field::text("trust_reason", |row: &Event| (&row.trust_reason).into()),
    Field::path("origin", |row: &Event| (&row.origin).into()),
    Field::flag("about_us", |row: &Event| row.about_us.into()),
    Field::integer("incidents", |row: &Event| row.incidents.into()),
    Field::text("source_ip", |row: &Event| (&row.source_ip).into()),
    Field::text("header_from", |row: &Event| (&row.header_from).into()),
    Field::text("message_id", |row: &Event| (&row.message_id).into()),
    Field::text("subject", |row: &Event| (&row.subject).into()),
    Field::text("user_agent", |row: &Event| (&row.user_agent).into()),
    Field::text("recipient_via", |row: &Event| (&row.recipient_via).into()),
    Field::text("recipient_status", |row: &Event| (&row.recipient_status).into()),
    Field::text("recipient_spelled", |row: &Event| (&row.recipient_spelled).into()),
    Field::text("diagnostic", |row: &Event| (&row.diagnostic).into()),
    Field::text("remote_mta", |row: &Event| (&row.remote_mta).into()),
    Field::text("reporting_mta", |row: &Event| (&row.reporting_mta).into()),
    Field::json("fields", |row: &Event| (&row.fields).into()),
    Field::id("message", |row: &Event| row.message.into()),
    Field::text("sha256", |row: &Event| (&row.sha256).into()),
    Field::time("seen_at", |row: &Event| row.seen_at.into()),
    Field::text("auth", |row: &Event| (&row.auth).into()),
    Field::text("auth_domain", |row: &Event| (&row.auth_domain).into()),
    Field::json("places", |row: &Event| (&row.places).into()),
];

/// Runs the command.
///
/// # Errors
/// Those of the database and of standard output.
pub fn run(context: &Context, database: &Database, args: &Args) -> Result<Status, Error> {
    let (address, folded) = (args.address.canonical(), args.address.folded());
    let active = suppression::state(database, &folded, context.now)?;
    let events = suppression::why(database, &folded)?;
    let format = args.format.format();
    let mut out = answer::stdout();
    match format {
        Format::Table => page(&mut out, &address, &active, &events)?,
        Format::Json => {
            let document = json!({
                "address": address,
                "suppressed": active.iter().map(|row| sheet::object(SUPPRESSION, row)).collect::<Vec<_>>(),
                "events": events.iter().map(|row| sheet::object(EVENT, row)).collect::<Vec<_>>(),
            });
            write::document(&mut out, &document)?;
        }
        Format::Ndjson | Format::Csv => {
            let mut sheet = Sheet::begin(&mut out, format, answer::look(), EVENT)?;
            for event in &events {
                sheet.row(event)?;
            }
            sheet.finish()?;
        }
    }
    out.flush()?;
    Ok(Status::Ok)
}

fn page(out: &mut impl Write, address: &str, active: &[Suppression], events: &[Event]) -> Result<(), Error> {
    let address = Untrusted(address);
    if active.is_empty() {
        writeln!(out, "{address} is not suppressed.")?;
    }
    for row in active {
        let until = row.until_at.map_or_else(String::new, |at| format!(" until {} UTC", number::time(at)));
        let since = number::time(row.since_at);
        let scope = Untrusted(everywhere(&row.scope));
        let (reason, evidence) = (Untrusted(&row.reason), Untrusted(&row.evidence));
        writeln!(out, "{address} is suppressed for {scope} since {since} UTC{until}: {reason} ({evidence}).")?;
    }
    if events.is_empty() {
        writeln!(out, "Nothing is known about it.")?;
    }
    for event in events {
        let line = |text: String| Untrusted(&text).to_string();
        writeln!(out, "\n{}", line(headline(event)))?;
        for detail in details(event) {
            writeln!(out, "  {}", line(detail))?;
        }
    }
    Ok(())
}

/// What happened, when, and who says so.
fn headline(event: &Event) -> String {
    let Event { kind, reason, .. } = event;
    let scope = everywhere(&event.scope);
    let until = event.until_at.map_or_else(String::new, |at| format!(", until {} UTC", number::time(at)));
    let complaint = event.complaint.map(|id| format!("complaint {id}"));
    let evidence = complaint.or_else(|| event.bounce.map(|id| format!("bounce {id}")));
    let what = match (event.kind.as_str(), &event.author, evidence) {
        ("pending", _, Some(evidence)) => format!("{evidence} ({reason}), which waits for a decision, for {scope}"),
        ("ignored", _, Some(evidence)) => format!("{evidence} ({reason}), which suppresses nobody, for {scope}"),
        (_, Some(author), _) => format!("{kind} by {author} for {scope}{until}: {reason}"),
        (_, None, Some(evidence)) => format!("{kind} ({reason}) for {scope}{until}, by {evidence}"),
        (_, None, None) => format!("{kind} ({reason}) for {scope}{until}"),
    };
    format!("{} UTC  {what}", number::time(event.at))
}

/// What it rests on.
fn details(event: &Event) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |name: &str, words: Vec<Option<String>>| {
        let words: Vec<String> = words.into_iter().flatten().collect();
        if !words.is_empty() {
            lines.push(format!("{:<10} {}", format!("{name}:"), words.join(", ")));
        }
    };
    let named = |name: &str, value: &Option<String>| value.as_ref().map(|value| format!("{name} {value}"));
    let trust = |trusted: bool| if trusted { "yes" } else { "no" }.to_owned();
    say("because", vec![event.decision_reason.clone()]);
    say("trusted", vec![event.trusted.map(trust), event.trust_reason.clone()]);
    let ours = |ours: bool| if ours { "mail of ours" } else { "mail not known to be ours" }.to_owned();
    say(
        "about",
        vec![
            event.about_us.map(ours),
            named("From domain", &event.header_from),
            named("sent by", &event.source_ip),
            named("Message-ID", &event.message_id),
            named("subject", &event.subject),
        ],
    );
    say(
        "named",
        vec![
            event.recipient_spelled.clone(),
            named("in", &event.recipient_via),
            event.recipient_status.clone().filter(|status| status != "ok"),
        ],
    );
    say(
        "refused",
        vec![
            named("by", &event.remote_mta),
            named("told by", &event.reporting_mta).filter(|_| event.reporting_mta != event.remote_mta),
            event.diagnostic.clone(),
        ],
    );
    let incidents = event.incidents.filter(|times| *times != 1).map(|times| format!("incidents {times}"));
    say("through", vec![event.provider.clone(), event.user_agent.clone(), incidents]);
    let authenticated = event.auth.as_ref().map(|auth| match &event.auth_domain {
        Some(domain) => format!("authenticated {auth} as {domain}"),
        None => format!("authenticated {auth}"),
    });
    let message = event.message.map(|id| format!("message {id}"));
    let kept = event.seen_at.map(|at| format!("kept {} UTC", number::time(at)));
    say("message", vec![message, kept, authenticated]);
    say("sha256", vec![event.sha256.clone()]);
    let places: Vec<String> =
        event.places.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let first = event.origin.clone().filter(|origin| !places.contains(origin));
    say("found at", first.into_iter().chain(places).map(Some).collect());
    lines
}
