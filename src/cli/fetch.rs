//! `dmarcdb fetch`: the main job from IMAP.

use std::io::{self, Write};
use std::time::Instant;

use super::login::Door;
use super::run::{self, Run};
use super::{Context, Error, Status, watch};
use crate::config::{self, Config};
use crate::ingest::{Reserved, Share};
use crate::source::imap::{After, ImapSource, Known, Resume, Waiting};
use crate::store::Store;

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
    /// Stay, and read mail as it comes (for a service; see systemd/dmarcdb.service)
    ///
    /// Whatever is there is read at full speed first. Then the server tells of new mail where it can (IDLE), else it is
    /// asked every `poll_seconds`. Connections that are lost are made again, after a pause that grows. One line is
    /// printed when an account fails and one when it works again. SIGHUP reads the configuration again, SIGTERM ends.
    #[arg(long, conflicts_with_all = ["dry_run", "strict", "format"])]
    watch: bool,
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
    if args.watch {
        return watch::run(context, &args.account);
    }
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
    if args.strict && tally.problems > 0 {
        let messages = if tally.problems == 1 { "1 message" } else { &format!("{} messages", tally.problems) };
        context.note(format_args!("{messages} could not be read whole: `dmarcdb problems` tells what and why"));
    }
    Ok(if args.strict && (tally.problems > 0 || warned) { Status::Data } else { Status::Ok })
}

/// The accounts to read: those named, else all.
///
/// # Errors
/// There is none, or none of such a name.
pub fn chosen<'a>(config: &'a Config, names: &[String]) -> Result<Vec<&'a config::Account>, Error> {
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
    let settles = account.after != After::Keep && !args.dry_run;
    let server = account.server();
    context.detail(format_args!("account `{}`: {server}", account.name));
    let resume = resume(run.store(), &server, settles)?;
    let mut door = Door::new(config, account, run.stop());
    let mut source = door.connect(resume, |imap| {
        if args.dry_run {
            imap.after = After::Keep;
        }
    })?;
    let result = run.source(&mut source, settles, reserved(account), false);
    *warned |= tell(context, &mut source);
    if !args.dry_run {
        note(run.store_mut(), &mut source)?;
    }
    result?;
    more_waits(account, source.waiting())?;
    if !args.dry_run {
        run.store_mut().reached_end(&server, context.now).map_err(|error| run::store_error(&error))?;
    }
    Ok(())
}

/// From where to go on. What was not settled is repeated only by who settles.
pub fn resume(store: &Store, server: &str, settles: bool) -> Result<Resume, Error> {
    let progress = store.progress(server).map_err(|error| run::store_error(&error))?;
    let mailboxes = progress.into_iter().map(|progress| Known {
        mailbox: progress.mailbox,
        cursor_uid: progress.cursor_uid,
        retry: progress.deferred,
        unsettled: if settles { progress.unsettled } else { Vec::new() },
    });
    Ok(Resume { mailboxes: mailboxes.collect() })
}

/// What of an account only feedback loops or mail servers write to.
pub fn reserved(account: &config::Account) -> Reserved {
    let share = |all: bool, folders: &[String]| match all {
        true => Share::All,
        false if folders.is_empty() => Share::No,
        false => Share::Folders(folders.to_vec()),
    };
    Reserved {
        complaints: share(account.feedback, &account.feedback_folders),
        bounces: share(account.bounces, &account.bounce_folders),
    }
}

/// Tells what the source noticed; whether there was a warning.
pub fn tell(context: &Context, source: &mut ImapSource) -> bool {
    for notice in source.take_notices() {
        context.detail(notice);
    }
    let warnings = source.take_warnings();
    for warning in &warnings {
        context.note(warning);
    }
    !warnings.is_empty()
}

/// Notes in the database what the source learned beside messages.
pub fn note(store: &mut Store, source: &mut ImapSource) -> Result<(), Error> {
    store
        .confirm(&source.take_repeated())
        .and_then(|()| store.forget_deferred(&source.take_gone()))
        .map_err(|error| run::store_error(&error))
}

/// An error when the run ended at its bound and left something.
fn more_waits(account: &config::Account, waiting: Waiting) -> Result<(), Error> {
    let Waiting { messages, at_least } = waiting;
    if messages == 0 && !at_least {
        return Ok(());
    }
    let (at_least, are) = (if at_least { "at least " } else { "" }, if messages == 1 { "is" } else { "are" });
    Err(Error::new(
        Status::Temporary,
        format_args!(
            "account `{}`: {at_least}{messages} more {are} waiting: a bound of this run is reached (`run_messages`, \
             `run_bytes`), the next one goes on from here",
            account.name
        ),
    ))
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
