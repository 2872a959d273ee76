//! `dmarcdb enrich`.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::run::{Format, stop_on_signal};
use super::window::WindowArgs;
use super::{Context, Error, Status, answer};
use crate::config::Config;
use crate::dns::{self, Dns};
use crate::enrich::networks::Networks;
use crate::enrich::{self, Settings, Tally};
use crate::number;
use crate::query::{Database, extent, names};
use crate::render::json as write;

const EXAMPLES: &str = "\
Asks DNS for the names of sending addresses and whether these lead back, looks their networks up in the files of [enrich] mmdb,
asks the block lists of [enrich] blocklists (none by default), and names the provider. What is found is kept, and asked for
again after [enrich] days; no other command needs it or waits for it. Those with the most messages come first, and a run that is
stopped, or reaches a bound of [dns], goes on the next time.

Exit status 75: DNS does not answer, or something is left for the next run.

Examples:
  dmarcdb enrich
  dmarcdb enrich --since 7d --limit 500
  dmarcdb enrich --refresh --format json";

/// Options of `dmarcdb enrich`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    window: WindowArgs,
    /// Look up at most so many addresses
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Ask again also what is still good
    #[arg(long)]
    refresh: bool,
    /// How to print what was done
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(context: &Context, args: Args) -> Result<Status, Error> {
    let config = context.config()?;
    let path = context.db_path(&config);
    let networks = Networks::open(&config.enrich.mmdb)
        .map_err(|text| Error::new(Status::Configuration, format_args!("[enrich] mmdb: {text}")))?;
    let database = Database::open(&path)?;
    let reach = extent::of_reports(&database, None, context.now)?.with(extent::of_complaints(&database, context.now)?);
    let window = args.window.resolve_or_all(context.now, reach).map_err(|text| Error::new(Status::Usage, text))?;
    let expired = if args.refresh { i64::MAX } else { context.now };
    let pending = names::pending(&database, window, expired, args.limit.unwrap_or(usize::MAX))?;
    // A reader that stays open keeps the log of the database from being emptied.
    drop(database);
    let mut dns = ask(&config, stop_on_signal()?)?;
    let bar = context.progress().then(|| bar(pending.len()));
    let settings = Settings {
        blocklists: config.enrich.blocklists.clone(),
        days: i64::try_from(config.enrich.days).unwrap_or(i64::MAX),
    };
    let (tally, result) = enrich::run(&path, &mut dns, &networks, &settings, context.now, &pending, |tally| {
        if let Some(bar) = &bar {
            bar.set_position(tally.looked_up);
        }
    });
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    tell(context, args.format, &tally, &dns)?;
    result.map_err(|error| match error {
        enrich::Error::Unreachable => Error::new(Status::Temporary, error),
        enrich::Error::Query(error) => error.into(),
        enrich::Error::Store(_) => Error::new(Status::Io, error),
    })?;
    Ok(if tally.left > 0 { Status::Temporary } else { Status::Ok })
}

/// DNS as the configuration says.
///
/// # Errors
/// /etc/resolv.conf cannot be used: [`Status::Configuration`].
pub fn ask(config: &Config, stop: Arc<AtomicBool>) -> Result<Dns, Error> {
    Dns::new(dns_settings(config), stop).map_err(|text| Error::new(Status::Configuration, text))
}

/// The settings of `[dns]`.
pub fn dns_settings(config: &Config) -> dns::Settings {
    dns::Settings {
        server: config.dns.server,
        timeout: config.dns.timeout,
        run: config.dns.run,
        queries: config.dns.queries,
        at_once: config.dns.at_once,
    }
}

fn bar(addresses: usize) -> ProgressBar {
    let bar = ProgressBar::new(addresses as u64);
    if let Ok(style) = ProgressStyle::with_template("{pos} of {len} addresses, {eta} left {wide_bar}") {
        bar.set_style(style);
    }
    bar
}

fn tell(context: &Context, format: Format, tally: &Tally, dns: &Dns) -> Result<(), Error> {
    if format == Format::Json {
        let mut out = answer::stdout();
        let document = json!({
            "looked_up": tally.looked_up, "confirmed": tally.confirmed, "unconfirmed": tally.unconfirmed, "none": tally.none,
            "failed": tally.failed, "listed": tally.listed, "left": tally.left, "queries": dns.asked(),
        });
        write::document(&mut out, &document)?;
        out.flush()?;
        return Ok(());
    }
    let addresses = |number: u64| {
        let grouped = number::grouped(i64::try_from(number).unwrap_or(i64::MAX));
        format!("{grouped} address{}", if number == 1 { "" } else { "es" })
    };
    if tally.looked_up == 0 && tally.left == 0 {
        context.note("no address needs to be looked up");
        return Ok(());
    }
    let mut parts = vec![format!("{} looked up", addresses(tally.looked_up))];
    let kinds = [
        (tally.confirmed, "with a name that leads back"),
        (tally.unconfirmed, "with one that does not"),
        (tally.none, "without a name"),
        (tally.failed, "without an answer"),
        (tally.listed, "on a block list"),
    ];
    parts.extend(kinds.iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!("{number} {what}")));
    let mut line = parts.join(", ");
    if tally.left > 0 {
        line.push_str(&format!("; {} left: run again", addresses(tally.left)));
    }
    context.note(line);
    Ok(())
}
