//! `dmarcdb problems`.

use super::{Context, Error, Status};

/// Options of `dmarcdb problems`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(_context: &Context, _args: Args) -> Result<Status, Error> {
    Err(Error::new(Status::Software, "not built yet"))
}
