//! `dmarcdb backup`.

use std::path::PathBuf;

use super::{Context, Error, Status, answer};
use crate::query;
use crate::render::number;
use crate::store::backup::{self, Failure};

const EXAMPLES: &str = "\
The copy is one state of the database in one file, made while other commands read and write. It is checked, and readable by
its owner alone. A file that is there already is never overwritten. How to restore: docs/backup.md.

Examples:
  dmarcdb backup /backup/dmarcdb-$(date +%F).sqlite
  dmarcdb --db /backup/dmarcdb-2026-11-21.sqlite doctor --full";

/// Options of `dmarcdb backup`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// The copy to make
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// 73 where the copy cannot be made, 74 where the database cannot be read.
pub fn run(context: &Context, args: Args) -> Result<Status, Error> {
    // What is no database of ours is told as every command tells it.
    let path = answer::open(context)?.path().to_owned();
    let bytes = backup::backup(&path, &args.file).map_err(|failure| match failure {
        Failure::Target { .. } => Error::new(Status::CannotCreate, failure),
        Failure::Source { source } => query::Error::of(&path, source).into(),
        Failure::Damaged(_) => Error::new(Status::Io, failure),
    })?;
    let bytes = number::count(i64::try_from(bytes).unwrap_or(i64::MAX), "byte");
    context.detail(format_args!("{}: {bytes}", args.file.display()));
    Ok(Status::Ok)
}
