//! The command line: one file per command, exit statuses, and raw options resolved once into a [`Context`].
//! Knows every room; no room knows it.

pub mod answer;
pub mod auth;
mod author;
pub mod backup;
pub mod bounces;
pub mod check;
pub mod complaints;
pub mod completions;
pub mod config;
pub mod digest;
pub mod doctor;
pub mod domain;
pub mod enrich;
mod facets;
pub mod fetch;
pub mod ingest;
pub mod label;
pub mod login;
pub mod man;
pub mod manual;
pub mod messages;
pub mod metrics;
pub mod notify;
pub mod output;
pub mod problems;
pub mod prune;
pub mod rates;
pub mod records;
pub mod reporter;
pub mod reports;
pub mod run;
pub mod sendlog;
pub mod source;
pub mod status;
pub mod summary;
pub mod suppress;
pub mod tls;
pub mod trust;
pub mod watch;
pub mod watch_for;
pub mod window;

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{FromArgMatches, Parser, Subcommand};
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, setrlimit, umask};

use crate::config::Config;
use crate::render::sanitize::{Untrusted, acts_on_terminal};
pub use status::Status;

/// Read DMARC reports and spam complaints from a mailbox, keep them in one SQLite file, and answer from it.
#[derive(Debug, Parser)]
#[command(name = "dmarcdb", version, propagate_version = true, max_term_width = 100, after_long_help = AFTER_HELP)]
pub struct Cli {
    /// The database file.
    #[arg(long, global = true, help_heading = HEADING, value_name = "FILE", env = "DMARCDB_DB", hide_env_values = true)]
    db: Option<PathBuf>,
    /// The configuration file.
    #[arg(long, global = true, help_heading = HEADING, value_name = "FILE", env = "DMARCDB_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// Print errors only.
    #[arg(short, long, global = true, help_heading = HEADING, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more on standard error about what is being done.
    #[arg(short, long, global = true, help_heading = HEADING)]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

const HEADING: &str = "Options of every command";

const AFTER_HELP: &str = "\
Exit status: 0 done; 2 wrong usage; 65 something could not be read and waits under `problems`; 70 a bug; \
73 cannot write an output file; 74 disk or database; 75 temporary, run again; 76 the server broke the protocol; \
77 login refused; 78 configuration.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Pull new mail from the configured IMAP accounts
    Fetch(fetch::Args),
    /// Read reports and complaints from files, mailboxes, directories or standard input
    Ingest(ingest::Args),
    /// Who sends as your domains, and how it fares
    Summary(summary::Args),
    /// What changed and what needs you, as a mail or a page
    Digest(digest::Args),
    /// Figures for Prometheus
    Metrics(metrics::Args),
    /// Exit with 1 when a rate, a new source or silence is over a limit
    WatchFor(watch_for::Args),
    /// List reports, one row each
    Reports(reports::Args),
    /// List the records of aggregate reports, one row each
    Records(records::Args),
    /// List complaints, one row for each complaint and recipient
    Complaints(complaints::Args),
    /// List bounces, one row for each bounce and recipient
    Bounces(bounces::Args),
    /// SMTP TLS reports: sessions and failures by policy domain
    Tls(tls::Args),
    /// Everything known about one of your domains, and what to do before tightening its policy
    Domain(domain::Args),
    /// Everything known about one sending address, network or name
    Source(source::Args),
    /// Say what a source is, or what to call it
    Label(label::Args),
    /// Check what a sender must have in DNS: SPF, DKIM, DMARC, MX, names of the sending addresses
    Check(check::Args),
    /// Look up who sends: names, networks, block lists
    Enrich(enrich::Args),
    /// Everything known about one reporter and how its reports deviate
    Reporter(reporter::Args),
    /// The ledger: one row for each message seen, and what became of it
    Messages(messages::Args),
    /// What could not be read, and why
    Problems(problems::Args),
    /// Who must not be mailed any more
    Suppress(suppress::Args),
    /// Check the database, its files, the configuration and how fresh the data is
    Doctor(doctor::Args),
    /// Copy the database while it is in use
    Backup(backup::Args),
    /// Take away what is older than you keep
    Prune(prune::Args),
    /// Log in to an account by OAuth 2.0, once
    Auth(auth::Args),
    /// Whose complaints count
    Trust(trust::Args),
    /// Tell which mail went to whom, so that complaints that name nobody find their person
    Sendlog(sendlog::Args),
    /// Write or check the configuration
    Config(config::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
    /// Print the manual page, or write one for every command
    Man(man::Args),
}

/// What every command gets: resolved once, here.
#[derive(Debug)]
pub struct Context {
    /// `--config` or `$DMARCDB_CONFIG`, as given.
    pub config_path: Option<PathBuf>,
    /// `--db` or `$DMARCDB_DB`, as given.
    pub db_option: Option<PathBuf>,
    /// Seconds since the epoch, asked for once.
    pub now: i64,
    /// `-q`.
    pub quiet: bool,
    /// `-v`.
    pub verbose: bool,
}

impl Context {
    /// The configuration: the file named or found, else the defaults.
    ///
    /// # Errors
    /// A file that was named but cannot be read, or one with mistakes in it: [`Status::Configuration`].
    pub fn config(&self) -> Result<Config, Error> {
        Config::load(self.config_path.as_deref()).map_err(|error| Error::new(Status::Configuration, error))
    }

    /// The database file: `--db`, `$DMARCDB_DB`, `db` in the configuration, `$XDG_DATA_HOME/dmarcdb/dmarcdb.sqlite`.
    pub fn db_path(&self, config: &Config) -> PathBuf {
        self.db_option.clone().or_else(|| config.db.clone()).unwrap_or_else(default_db)
    }

    /// A line on standard error unless `-q`.
    pub fn note(&self, text: impl Display) {
        if !self.quiet {
            say(text);
        }
    }

    /// A line on standard error, also with `-q`: for what must be acted on although the command was done.
    pub fn warn(&self, text: impl Display) {
        say(text);
    }

    /// A line on standard error with `-v` only.
    pub fn detail(&self, text: impl Display) {
        if self.verbose {
            say(text);
        }
    }

    /// Whether to draw progress: a terminal to look at it, and not `-q`.
    pub fn progress(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }
}

fn default_db() -> PathBuf {
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let data = data.or_else(|| std::env::home_dir().map(|home| home.join(".local/share")));
    data.unwrap_or_else(|| Path::new(".").to_path_buf()).join("dmarcdb/dmarcdb.sqlite")
}

/// Why a command failed: what to exit with and what to say.
#[derive(Debug)]
pub struct Error {
    /// The exit status.
    pub status: Status,
    /// What to print after `dmarcdb: `; sanitized when printed.
    pub text: String,
}

impl Error {
    /// An error that ends the command with `status`.
    pub fn new(status: Status, text: impl Display) -> Self {
        Error { status, text: text.to_string() }
    }
}

impl From<io::Error> for Error {
    /// Writing the answer failed. A closed pipe is no error: whoever read had enough.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Error::new(Status::Ok, "");
        }
        Error::new(Status::Io, format_args!("standard output: {error}"))
    }
}

/// Lines on standard error, sanitized, with our name; each in one piece, because runs may share a log. Nothing useful
/// can be done if that fails.
fn say(text: impl Display) {
    let text = text.to_string();
    let mut stderr = io::stderr().lock();
    for line in text.lines() {
        let line = format!("dmarcdb: {}\n", Untrusted(line));
        let _ = stderr.write_all(line.as_bytes());
    }
}

/// Prints what is wrong with the arguments, or the help that they ask for. A script may have handed on what a stranger wrote:
/// then it is printed without colours, and harmless.
fn complain(error: &clap::Error) {
    let acting = std::env::args_os().any(|word| word.to_string_lossy().contains(acts_on_terminal));
    if !acting {
        let _ = error.print();
        return;
    }
    let mut stderr = io::stderr().lock();
    for line in error.render().to_string().split('\n') {
        let _ = writeln!(stderr, "{}", Untrusted(line));
    }
}

/// What this process writes is for its user alone, and no core file of it is written: passwords and addresses of people are
/// in its memory. Manual pages and completion scripts are for everybody.
fn keep_to_ourselves(command: &Command) {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    // Where that is not allowed, it is not worth failing over.
    let _ = setrlimit(Resource::Core, none);
    if !matches!(command, Command::Man(_) | Command::Completions(_)) {
        umask(Mode::from_raw_mode(0o077));
    }
}

/// Runs the command line of this process. A panic is a bug of ours, and is told apart from everything that is not.
pub fn main() -> ExitCode {
    std::panic::catch_unwind(run).unwrap_or_else(|_| {
        say("this is a bug in dmarcdb, please report it; what was kept so far is safe");
        Status::Software.into()
    })
}

fn run() -> ExitCode {
    let cli = match manual::command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            let status = if error.use_stderr() { Status::Usage } else { Status::Ok };
            complain(&error);
            return status.into();
        }
    };
    keep_to_ourselves(&cli.command);
    let context = Context {
        config_path: cli.config,
        db_option: cli.db,
        now: chrono::Utc::now().timestamp(),
        quiet: cli.quiet,
        verbose: cli.verbose,
    };
    let result = match cli.command {
        Command::Fetch(args) => fetch::run(&context, args),
        Command::Ingest(args) => ingest::run(&context, args),
        Command::Summary(args) => summary::run(&context, args),
        Command::Digest(args) => digest::run(&context, args),
        Command::Metrics(args) => metrics::run(&context, args),
        Command::WatchFor(args) => watch_for::run(&context, args),
        Command::Reports(args) => reports::run(&context, args),
        Command::Records(args) => records::run(&context, args),
        Command::Complaints(args) => complaints::run(&context, args),
        Command::Bounces(args) => bounces::run(&context, args),
        Command::Tls(args) => tls::run(&context, args),
        Command::Domain(args) => domain::run(&context, args),
        Command::Source(args) => source::run(&context, args),
        Command::Label(args) => label::run(&context, args),
        Command::Check(args) => check::run(&context, args),
        Command::Enrich(args) => enrich::run(&context, args),
        Command::Reporter(args) => reporter::run(&context, args),
        Command::Messages(args) => messages::run(&context, args),
        Command::Problems(args) => problems::run(&context, args),
        Command::Suppress(args) => suppress::run(&context, args),
        Command::Doctor(args) => doctor::run(&context, args),
        Command::Backup(args) => backup::run(&context, args),
        Command::Prune(args) => prune::run(&context, args),
        Command::Auth(args) => auth::run(&context, args),
        Command::Trust(args) => trust::run(&context, args),
        Command::Sendlog(args) => sendlog::run(&context, args),
        Command::Config(args) => config::run(&context, args),
        Command::Completions(args) => completions::run(&context, args),
        Command::Man(args) => man::run(&context, args),
    };
    match result {
        Ok(status) => status.into(),
        Err(error) => {
            if !error.text.is_empty() {
                say(&error.text);
            }
            error.status.into()
        }
    }
}
