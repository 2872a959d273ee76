//! `dmarcdb fetch`: the main job from IMAP.

use std::io::{self, Write};
use std::time::Instant;

use super::run::{self, Run, source_error};
use super::{Context, Error, Status};
use crate::config::{self, Config};
use crate::source::imap::{After, ImapSource, Known, Resume};

/// Options of `dmarcdb fetch`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Made for cron and systemd timers: quiet when all is well, and exit status 75 when trying again later is enough. Only mail \
that came since the last run is taken; what was read before changes nothing. Without `after` in the configuration nothing \
is changed on the server, not even a flag.

Examples:
  dmarcdb fetch
  dmarcdb fetch --account reports --strict -v")]
pub struct Args {
    /// Only this account (may be given more than once)
    #[arg(long, value_name = "NAME")]
    account: Vec<String>,
    /// Read and count, but store nothing and change nothing on the server
    #[arg(long)]
    dry_run: bool,
    /// Exit with 65 when something could not be read or moved (strangers can write to the mailbox, so not by default)
    #[arg(long)]
    strict: bool,
    /// How to print what was done
    #[arg(long, value_enum, default_value_t)]
    format: run::Format,
}

/// Runs the command.
///
/// # Errors
/// As the exit statuses say. With several accounts every one is tried, each failure is told, and the gravest decides.
pub fn run(context: &Context, args: Args) -> Result<Status, Error> {
    let started = Instant::now();
    let config = context.config()?;
    let accounts = chosen(&config, &args.account)?;
    let mut run = Run::open(context, &config, args.dry_run)?;
    let mut worst: Option<Error> = None;
    let mut warned = false;
    for account in accounts {
        if run.stopped() {
            let stopped = Error::new(Status::Temporary, crate::ingest::Error::Stopped);
            worst = Some(graver(context, worst, stopped));
            break;
        }
        if let Err(error) = fetch(context, &config, &mut run, account, &args, &mut warned) {
            worst = Some(graver(context, worst, error));
        }
    }
    if !run.stopped()
        && let Err(error) = run.judge()
    {
        worst = Some(graver(context, worst, error));
    }
    let tally = run.finish();
    let mut printed = Ok(());
    match args.format {
        run::Format::Json => printed = writeln!(io::stdout().lock(), "{}", run::json(&tally, started.elapsed())),
        run::Format::Text if context.verbose || context.progress() => {
            context.note(run::sentence(&tally, started.elapsed()));
        }
        run::Format::Text => {}
    }
    if let Some(error) = worst {
        return Err(error);
    }
    run::tolerate_closed_pipe(printed)?;
    Ok(if args.strict && (tally.problems > 0 || warned) { Status::Data } else { Status::Ok })
}

fn chosen<'a>(config: &'a Config, names: &[String]) -> Result<Vec<&'a config::Account>, Error> {
    if config.accounts.is_empty() {
        return Err(Error::new(
            Status::Configuration,
            "no account is configured; `dmarcdb config init` writes a file to start from",
        ));
    }
    if let Some(unknown) = names.iter().find(|name| !config.accounts.iter().any(|account| account.name == **name)) {
        let known: Vec<&str> = config.accounts.iter().map(|account| account.name.as_str()).collect();
        let text = format!("--account {unknown}: no account of this name; there is {}", known.join(", "));
        return Err(Error::new(Status::Usage, text));
    }
    Ok(config.accounts.iter().filter(|account| names.is_empty() || names.contains(&account.name)).collect())
}

fn fetch(
    context: &Context,
    config: &Config,
    run: &mut Run<'_>,
    account: &config::Account,
    args: &Args,
    warned: &mut bool,
) -> Result<(), Error> {
    let mut imap = account.open(&config.limits).map_err(|error| Error::new(Status::Configuration, error))?;
    if args.dry_run {
        imap.after = After::Keep;
    }
    let settles = imap.after != After::Keep;
    let server = imap.server();
    let store_error = |error| run::store_error(&error);
    let progress = run.store().progress(&server).map_err(store_error)?;
    let mailboxes = progress.into_iter().map(|progress| Known {
        mailbox: progress.mailbox,
        cursor_uid: progress.cursor_uid,
        retry: progress.deferred,
        unsettled: if settles { progress.unsettled } else { Vec::new() },
    });
    context.detail(format_args!("account `{}`: {server}", account.name));
    let mut source =
        ImapSource::connect(imap, Resume { mailboxes: mailboxes.collect() }).map_err(|error| source_error(&error))?;
    let result = run.source(&mut source, settles, false, false);
    for notice in source.take_notices() {
        context.detail(notice);
    }
    for warning in source.take_warnings() {
        context.note(warning);
        *warned = true;
    }
    if !args.dry_run {
        let store = run.store_mut();
        store.confirm(&source.take_repeated()).map_err(store_error)?;
        store.forget_deferred(&source.take_gone()).map_err(store_error)?;
        if result.is_ok() {
            store.reached_end(&server, context.now).map_err(store_error)?;
        }
    }
    result
}

/// Tells the lighter of two failures at once and keeps the graver one for the end.
fn graver(context: &Context, first: Option<Error>, second: Error) -> Error {
    let Some(first) = first else { return second };
    let gravity = |error: &Error| match error.status {
        Status::Temporary => 0,
        Status::Protocol => 1,
        Status::Permission => 2,
        Status::Configuration => 3,
        _ => 4,
    };
    let (lighter, graver) = if gravity(&second) > gravity(&first) { (first, second) } else { (second, first) };
    context.note(lighter.text);
    graver
}
