//! `dmarcdb digest`.

mod html;
mod text;

use std::io::Write;
use std::path::PathBuf;

use clap::ValueEnum;
use sha2::{Digest as _, Sha256};

use super::answer;
use super::output;
use super::window::{self, WindowArgs};
use super::{Context, Error, Status};
use crate::classify::Class;
use crate::number;
use crate::query::notes::{self, Notes};
use crate::query::summary::{self, By, Line};
use crate::query::{Database, Error as QueryError, Window, extent, handed};
use crate::review::collapse::groups;
use crate::review::silence::{Silent, silence};
use crate::review::verdict::{outcome, too_many_complaints};
use crate::review::{self, Asked, Review, changes::changes};
use crate::store::digests;

/// The window when nothing is said.
const DEFAULT_SINCE: &str = "1d";
/// Days of the chart.
const CHART_DAYS: i64 = 14;
/// Reports come a day late; before this nobody is missed.
const SILENCE_SECONDS: i64 = 3 * 86_400;

const EXAMPLES: &str = "\
What `summary` says, with what changed against the window before and who fell silent, as one text or page to be mailed. HTML has no
script and nothing from elsewhere. With --if-changed there is no output unless the findings are others than those handed out last
by --if-changed, or the heartbeat is due: numbers change every day, findings are sources that need action or are new, complaints
over the limit, policies, who is silent, and whether problems wait.

Examples:
  dmarcdb digest                                        the last day, as text
  dmarcdb digest --since 7d --html /var/www/dmarc.html  the last week, as a page
  dmarcdb digest --if-changed --heartbeat 14d           for cron, which mails what is printed
  dmarcdb digest --format html | mail -a 'Content-Type: text/html; charset=utf-8' -s dmarcdb postmaster";

/// Options of `dmarcdb digest`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    window: WindowArgs,
    /// How to write it
    #[arg(long, value_enum, default_value = "text")]
    format: Form,
    /// Write it as HTML to this file, which is replaced whole, and nothing to standard output
    #[arg(long, value_name = "FILE", conflicts_with = "format")]
    html: Option<PathBuf>,
    /// Write nothing unless the findings are others than last time
    #[arg(long)]
    if_changed: bool,
    /// With --if-changed: write all the same when the last one is so old
    #[arg(long, value_name = "SPAN", default_value = "7d")]
    heartbeat: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Plain text in 80 columns
    Text,
    /// A page that stands alone
    Html,
}

/// All that a digest tells.
struct Digest {
    review: Review,
    notes: Notes,
    changes: Vec<String>,
    silent: Vec<Silent>,
    /// Days before the end of the window.
    days: Vec<Line>,
    /// End of the newest report.
    newest_at: Option<i64>,
    /// What `newest` and silence are told against: the end of the window, now at the latest.
    now: i64,
}

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(context: &Context, mut args: Args) -> Result<Status, Error> {
    let database = answer::open(context)?;
    if args.window.since.is_none() {
        args.window.since = Some(DEFAULT_SINCE.to_owned());
    }
    let usage = |text: String| Error::new(Status::Usage, text);
    let due_before =
        window::back(context.now, &args.heartbeat).map_err(|text| usage(format!("--heartbeat: {text}")))?;
    let reach = extent::of_reports(&database, Some("aggregate"), context.now)?;
    let newest_at = reach.newest;
    let window = args.window.resolve(context.now, reach).map_err(usage)?;
    let digest = gather(&database, window, newest_at, context.now)?;
    let findings = findings(&digest);
    if args.if_changed {
        let last = handed::last(&database)?;
        if last.is_some_and(|last| last.findings == findings && last.at > due_before) {
            context.detail("nothing new: no digest");
            return Ok(Status::Ok);
        }
    }
    let path = database.path().to_path_buf();
    drop(database);
    write(&args, &digest)?;
    if args.if_changed {
        digests::put(&path, context.now, &findings).map_err(|error| QueryError::of(&path, error))?;
    }
    Ok(Status::Ok)
}

fn write(args: &Args, digest: &Digest) -> Result<(), Error> {
    if let Some(file) = &args.html {
        return output::replace(file, html::page(digest).as_bytes(), None);
    }
    let mut out = answer::stdout();
    match args.format {
        Form::Text => text::write(&mut out, digest)?,
        Form::Html => out.write_all(html::page(digest).as_bytes())?,
    }
    out.flush()?;
    Ok(())
}

fn gather(database: &Database, window: Window, newest_at: Option<i64>, now: i64) -> Result<Digest, Error> {
    let asked = |window| Asked { window, domain: None, verified: false, now };
    let review = review::review(database, asked(window))?;
    let before = review::review(database, asked(window.previous()))?;
    let at = now.min(window.until);
    let chart = Window { since: at.saturating_sub(CHART_DAYS * 86_400), until: at };
    Ok(Digest {
        changes: changes(&before, &review),
        notes: notes::notes(database, window, None, false)?,
        silent: silence(database, at, SILENCE_SECONDS)?,
        days: summary::summary(database, chart, None, false, By::Day)?.lines,
        newest_at: newest_at.map(|newest| newest.min(at)),
        now: at,
        review,
    })
}

/// What a person would want to be told again only when it is other than before: no numbers.
fn findings(digest: &Digest) -> Vec<u8> {
    let review = &digest.review;
    let mut words: Vec<String> = Vec::new();
    for class in [Class::Fix, Class::New] {
        words.extend(groups(&review.sources, class).iter().map(|line| format!("{class} {}", line.source)));
    }
    let over = |sentence: String| sentence.split(':').next().map(str::to_owned);
    words.extend(too_many_complaints(review).into_iter().filter_map(over));
    for domain in &review.domains {
        words.push(format!("{} {} {}", domain.standing.domain, domain.standing.policy.words(), domain.advice.as_str()));
    }
    words.extend(digest.silent.iter().map(|silent| format!("{} {}", silent.kind, silent.name)));
    if digest.notes.problems > 0 {
        words.push("problems".to_owned());
    }
    words.sort_unstable();
    Sha256::digest(words.join("\n")).to_vec()
}

/// The first line: what a subject would say.
fn title(digest: &Digest) -> String {
    outcome(&digest.review).verdict
}

/// How old the newest report is, in a sentence.
fn freshness(digest: &Digest) -> String {
    match digest.newest_at {
        None => "No report has ever come: is the mailbox fetched, and does the DMARC record name it (rua)?".to_owned(),
        Some(newest) => {
            let age = digest.now.saturating_sub(newest);
            let old = if age < 3600 { "less than an hour".to_owned() } else { number::length(age / 3600 * 3600) };
            let alarm = if age > SILENCE_SECONDS { ": is mail fetched?" } else { "." };
            format!("The newest report ended {} UTC, {old} before the end of the window{alarm}", number::time(newest))
        }
    }
}

/// What waits, in sentences.
fn waiting(digest: &Digest) -> Vec<String> {
    let mut lines = Vec::new();
    if digest.notes.problems > 0 {
        lines.push(format!(
            "{} could not be read: `dmarcdb problems` tells why.",
            number::count(digest.notes.problems, "document")
        ));
    }
    if digest.notes.failed > 0 {
        lines.push(format!(
            "{} not counted: your server found the mail forged.",
            number::count(digest.notes.failed, "report")
        ));
    }
    lines
}
