//! `dmarcdb config`: writes the configuration file, checks it, says which one is used.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind as Io, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::login::Door;
use super::run::source_error;
use super::{Context, Error, Status};
use crate::config::{Account, Config};
use crate::render::sanitize::Untrusted;
use crate::source::Stop;
use crate::source::imap::ImapSource;

/// Options of `dmarcdb config`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Write a configuration file with every key commented at its default
    ///
    /// The file is for nobody else to read. One that is already there is left alone.
    Init {
        /// Where to write it, instead of `--config` or the user's place
        #[arg(long, value_name = "FILE")]
        path: Option<PathBuf>,
    },
    /// Name every mistake in the configuration file
    Check {
        /// Log in to every account and look for its folders
        #[arg(long)]
        connect: bool,
    },
    /// Say which configuration file is used
    Path,
}

/// Runs the command.
///
/// # Errors
/// 73 when a file is already there or cannot be written; 78 for mistakes in it; of accounts that cannot be used, the
/// status of the first.
pub fn run(context: &Context, args: Args) -> Result<Status, Error> {
    match args.action {
        Action::Init { path } => init(context, path),
        Action::Check { connect } => check(context, connect),
        Action::Path => path(context),
    }
}

fn init(context: &Context, path: Option<PathBuf>) -> Result<Status, Error> {
    let path = path.or_else(|| context.config_path.clone());
    let Some(path) = path.or_else(|| Config::places().into_iter().next()) else {
        return Err(Error::new(Status::CannotCreate, "no place for it: name one with --path"));
    };
    let problem = |error: io::Error| {
        let reason = match error.kind() {
            Io::AlreadyExists => "is already there and stays as it is".to_owned(),
            _ => error.to_string(),
        };
        Error::new(Status::CannotCreate, format_args!("{}: {reason}", path.display()))
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(problem)?;
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let mut file = file.map_err(problem)?;
    file.write_all(Config::template().as_bytes()).map_err(problem)?;
    file.sync_all().map_err(problem)?;
    print_path(&path)?;
    context.note("edit it, then run `dmarcdb config check --connect`");
    Ok(Status::Ok)
}

fn path(context: &Context) -> Result<Status, Error> {
    match find(context)? {
        Some(path) => print_path(&path)?,
        None => {
            let places: Vec<_> = Config::places().iter().map(|path| path.display().to_string()).collect();
            context.note(format_args!("no configuration file; looked for {}", places.join(", ")));
        }
    }
    Ok(Status::Ok)
}

fn find(context: &Context) -> Result<Option<PathBuf>, Error> {
    Config::find(context.config_path.as_deref()).map_err(|text| Error::new(Status::Configuration, text))
}

fn print_path(path: &Path) -> io::Result<()> {
    writeln!(io::stdout(), "{}", Untrusted(&path.to_string_lossy()))
}

fn check(context: &Context, connect: bool) -> Result<Status, Error> {
    let Some(path) = find(context)? else {
        let text = "no configuration file: `dmarcdb config init` writes one";
        return Err(Error::new(Status::Configuration, text));
    };
    let config = Config::load(Some(&path)).map_err(|text| Error::new(Status::Configuration, text))?;
    let accounts = match config.accounts.len() {
        0 => "no account".to_owned(),
        1 => "1 account".to_owned(),
        many => format!("{many} accounts"),
    };
    let mut out = io::stdout().lock();
    writeln!(out, "{}: no mistakes, {accounts}", Untrusted(&path.to_string_lossy()))?;
    let mut worst = Status::Ok;
    for account in config.accounts.iter().filter(|_| connect) {
        match try_account(&config, account) {
            Ok(folders) => {
                writeln!(out, "account `{}`: logged in; its folders:", Untrusted(&account.name))?;
                for folder in &folders {
                    writeln!(out, "  {}", Untrusted(folder))?;
                }
                for folder in account.folders.iter().filter(|folder| !is_among(folder, &folders)) {
                    super::say(format_args!("account `{}`: there is no folder `{folder}`", account.name));
                    worst = first(worst, Status::Configuration);
                }
            }
            Err(error) => {
                super::say(&error.text);
                worst = first(worst, error.status);
            }
        }
    }
    Ok(worst)
}

fn first(before: Status, now: Status) -> Status {
    if before == Status::Ok { now } else { before }
}

fn try_account(config: &Config, account: &Account) -> Result<Vec<String>, Error> {
    let account = Door::new(config, account, Stop::default()).open()?;
    ImapSource::list(&account).map_err(|error| source_error(&error))
}

/// A folder may be listed below the prefix of the user's namespace, which need not be written.
fn is_among(folder: &str, listed: &[String]) -> bool {
    listed.iter().any(|name| {
        name == folder
            || name.strip_prefix("INBOX/") == Some(folder)
            || name.eq_ignore_ascii_case("INBOX") && folder.eq_ignore_ascii_case("INBOX")
    })
}
