//! `dmarcdb ingest`: the main job from files.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

use super::run::{self, Run};
use super::{Context, Error, Status};
use crate::ingest::Reserved;
use crate::source::file::FileSource;

/// Options of `dmarcdb ingest`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
What a file is, its content decides: aggregate reports (.xml, .gz, .zip), TLS reports (.json), mails (.eml), mbox files, \
Maildirs, and folders of any of these. What was read before is told as a duplicate and changes nothing. What can not be \
read waits under `dmarcdb problems`; then the exit status is 65.

Examples:
  dmarcdb ingest ~/Maildir/.dmarc
  dmarcdb ingest google.com!example.com!1755648000!1755734399.zip
  zcat archive.mbox.gz | dmarcdb ingest -")]
pub struct Args {
    /// Files, mbox files, Maildirs or folders; `-` is standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Read and count, but store nothing
    #[arg(long)]
    dry_run: bool,
    /// How to print what was done
    #[arg(long, value_enum, default_value_t)]
    format: run::Format,
}

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(context: &Context, args: Args) -> Result<Status, Error> {
    let started = Instant::now();
    let config = context.config()?;
    let mut run = Run::open(context, &config, args.dry_run)?;
    let mut source = FileSource::new(args.paths, false, config.limits.message_bytes);
    let outcome = run.source(&mut source, false, Reserved::default(), true).and_then(|()| run.judge());
    let tally = run.finish();
    let mut printed = Ok(());
    match args.format {
        run::Format::Json => printed = writeln!(io::stdout().lock(), "{}", run::json(&tally, started.elapsed())),
        run::Format::Text => context.note(run::sentence(&tally, started.elapsed())),
    }
    outcome?;
    run::tolerate_closed_pipe(printed)?;
    Ok(if tally.problems > 0 { Status::Data } else { Status::Ok })
}
