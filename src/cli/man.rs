//! `dmarcdb man`.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use super::{Context, Error, Status, answer, manual};

const EXAMPLES: &str = "\
Examples:
  dmarcdb man | man -l -
  dmarcdb man --out /usr/local/share/man/man1";

/// Options of `dmarcdb man`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// Write a page for every command into this directory, which is made if need be
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(_context: &Context, args: Args) -> Result<Status, Error> {
    let command = manual::command().disable_help_subcommand(true);
    if let Some(directory) = args.out {
        fs::create_dir_all(&directory)
            .and_then(|()| clap_mangen::generate_to(command, &directory))
            .map_err(|error| Error::new(Status::CannotCreate, format_args!("{}: {error}", directory.display())))?;
        return Ok(Status::Ok);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    let mut out = answer::stdout();
    out.write_all(&page)?;
    out.flush()?;
    Ok(Status::Ok)
}
