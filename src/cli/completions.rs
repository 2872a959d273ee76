//! `dmarcdb completions`.

use std::io::Write;

use clap::ValueEnum;
use clap_complete::Shell;

use super::{Context, Error, Status, answer, manual};

const EXAMPLES: &str = "\
Examples:
  dmarcdb completions bash > ~/.local/share/bash-completion/completions/dmarcdb
  dmarcdb completions zsh > ~/.zfunc/_dmarcdb
  dmarcdb completions fish > ~/.config/fish/completions/dmarcdb.fish";

/// Options of `dmarcdb completions`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: ShellName,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ShellName {
    Bash,
    Zsh,
    Fish,
    Elvish,
    #[value(name = "powershell")]
    PowerShell,
}

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(_context: &Context, args: Args) -> Result<Status, Error> {
    let shell = match args.shell {
        ShellName::Bash => Shell::Bash,
        ShellName::Zsh => Shell::Zsh,
        ShellName::Fish => Shell::Fish,
        ShellName::Elvish => Shell::Elvish,
        ShellName::PowerShell => Shell::PowerShell,
    };
    // Into memory first: the generator panics where it cannot write, and a closed pipe is no error.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut manual::command(), "dmarcdb", &mut script);
    let mut out = answer::stdout();
    out.write_all(&script)?;
    out.flush()?;
    Ok(Status::Ok)
}
