//! `dmarcdb doctor`: one line for each thing that is looked at, and what to do where something is wrong.

mod look;

use std::io::Write;

use super::answer::{self, FormatArgs};
use super::{Context, Error, Status};
use crate::config::Config;
use crate::query::{self, Database};
use crate::render::sanitize::Untrusted;
use crate::render::{Field, Format, Sheet};
use crate::store::check::{self, Depth};

const EXAMPLES: &str = "\
Each line is `ok`, `warn` or `error`, the name of what was looked at, what was found, and what to do about it. Exit status: 0
all is well, 1 there are findings, 74 the database is damaged or cannot be read, 78 it is of a newer dmarcdb, or none of
dmarcdb's. Nothing is changed; a run under way is not disturbed.

Examples:
  dmarcdb doctor
  dmarcdb doctor --full --format json";

/// Options of `dmarcdb doctor`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// Also hold every index against its table, which takes longer
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    format: FormatArgs,
}

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Ok,
    Warn,
    Error,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Error => "error",
        }
    }
}

/// One line.
struct Finding {
    level: Level,
    check: &'static str,
    text: String,
    /// What to do.
    advice: Option<String>,
}

/// The findings so far.
#[derive(Default)]
struct Findings {
    all: Vec<Finding>,
}

impl Findings {
    fn ok(&mut self, check: &'static str, text: impl Into<String>) {
        self.all.push(Finding { level: Level::Ok, check, text: text.into(), advice: None });
    }

    fn warn(&mut self, check: &'static str, text: impl Into<String>, advice: impl Into<String>) {
        self.all.push(Finding { level: Level::Warn, check, text: text.into(), advice: Some(advice.into()) });
    }

    fn error(&mut self, check: &'static str, text: impl Into<String>, advice: impl Into<String>) {
        self.all.push(Finding { level: Level::Error, check, text: text.into(), advice: Some(advice.into()) });
    }
}

const FINDING: &[Field<Finding>] = &[
    Field::text("level", |row: &Finding| row.level.word().into()),
    Field::text("check", |row: &Finding| row.check.into()),
    Field::text("text", |row: &Finding| (&row.text).into()),
    Field::text("advice", |row: &Finding| (&row.advice).into()),
];

/// What to do about a damaged file.
const RESTORE: &str = "restore a backup (docs/backup.md), or save what can be with `sqlite3 FILE .recover`";

/// Runs the command.
///
/// # Errors
/// As the exit statuses say, where not even the findings can be written.
pub fn run(context: &Context, args: Args) -> Result<Status, Error> {
    let mut findings = Findings::default();
    let config = look::configuration(context, &mut findings);
    let path = context.db_path(&config);
    look::files(&path, &mut findings);
    let status = database(context, &args, &config, &path, &mut findings);
    look::disk(&path, &mut findings);
    write(&args, &findings.all)?;
    let worst = findings.all.iter().map(|finding| finding.level).max();
    Ok(match status {
        Status::Ok if worst > Some(Level::Ok) => Status::Findings,
        status => status,
    })
}

/// What is in the file. The status is that of the file itself: `Ok` where it can be read.
fn database(
    context: &Context,
    args: &Args,
    config: &Config,
    path: &std::path::Path,
    findings: &mut Findings,
) -> Status {
    let depth = if args.full { Depth::Full } else { Depth::Quick };
    // Where in the file the damage is, the checks tell.
    let opened = match Database::open(path) {
        Ok(_) => Ok(false),
        Err(error @ query::Error::Damaged { .. }) => {
            unusable(error, findings);
            Ok(true)
        }
        Err(error) => Err(error),
    };
    let checks = opened.and_then(|damaged| match check::check(path, depth) {
        Ok(checks) => Ok((damaged, checks)),
        Err(error) => Err(query::Error::of(path, error)),
    });
    let (mut damaged, checks) = match checks {
        Ok(checks) => checks,
        Err(query::Error::Missing(_)) => {
            findings.warn("database", "nothing has been fetched yet", "run `dmarcdb fetch` or `dmarcdb ingest FILES`");
            return Status::Ok;
        }
        Err(error) => return unusable(error, findings),
    };
    for check in checks {
        damaged |= check.damage;
        for text in &check.found {
            let advice =
                if check.damage { RESTORE } else { "keep a copy (`dmarcdb backup FILE`) and report this: a bug" };
            findings.error(check.name, text, advice);
        }
        if check.found.is_empty() {
            findings.ok(check.name, look::meaning(check.name, args.full));
        }
    }
    match check::figures(path) {
        Ok(figures) => look::figures(context.now, config, &figures, findings),
        Err(error) => {
            damaged |= matches!(query::Error::of(path, error), query::Error::Damaged { .. });
            findings.error("figures", "the tables cannot be read", RESTORE);
        }
    }
    if damaged { Status::Io } else { Status::Ok }
}

fn unusable(error: query::Error, findings: &mut Findings) -> Status {
    let (advice, status) = match error {
        query::Error::Newer { .. } => ("update dmarcdb", Status::Configuration),
        query::Error::Foreign(_) => {
            ("name the database with --db, or `db` in the configuration", Status::Configuration)
        }
        query::Error::Busy(_) => ("look for another program that has it locked, and try again", Status::Temporary),
        query::Error::Unreadable { .. } => {
            ("look at the disk, and at who may read the file and its folder", Status::Io)
        }
        query::Error::Missing(_) | query::Error::Damaged { .. } | query::Error::Sqlite { .. } => (RESTORE, Status::Io),
    };
    findings.error("database", error.to_string(), advice);
    status
}

fn write(args: &Args, findings: &[Finding]) -> Result<(), Error> {
    let mut out = answer::stdout();
    let format = args.format.format();
    if format == Format::Table {
        for Finding { level, check, text, advice } in findings {
            let advice = advice.as_ref().map_or_else(String::new, |advice| format!(": {}", Untrusted(advice)));
            writeln!(out, "{:<5}  {check:<13}  {}{advice}", level.word(), Untrusted(text))?;
        }
    } else {
        let mut sheet = Sheet::begin(&mut out, format, answer::look(), FINDING)?;
        for finding in findings {
            sheet.row(finding)?;
        }
        sheet.finish()?;
    }
    out.flush()?;
    Ok(())
}
