//! `dmarcdb prune`.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::run::{Format, store_error};
use super::{Context, Error, Status, answer, window};
use crate::query::Database;
use crate::render::number;
use crate::store::Store;
use crate::store::prune::{Age, Erased, Pruned};

/// What claims to be of later than so many seconds from now is as old as its mail.
const AHEAD_SECONDS: i64 = 2 * 86_400;

const EXAMPLES: &str = "\
Takes away reports whose period ended, complaints and bounces that arrived, and problems met before the span. What goes is
overwritten, for which the whole file is written anew: that takes twice its size on the disk for a moment, and once a week or
month is often enough. With --in-place the space is given back without a copy, and bytes of what was deleted may be left between
rows until a run without it. Suppressions, and what people said about them, stay for good; of each message stays what tells that
it was seen, so that the same mail offered again is still a duplicate. Copies and backups are yours to delete.

With --keep-sums, what aggregate reports add up to by day, address and result stays: `summary`, `source` and `domain` go on to answer
for those days, and a report of them that comes once more, whatever its mail, is a duplicate. A later run without it takes the
sums away too.

Examples:
  dmarcdb prune --keep 2y --dry-run
  dmarcdb prune --keep 400d
  dmarcdb prune --keep 1y --keep-sums --in-place";

/// Options of `dmarcdb prune`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// How far back to keep: `90d`, `6mo`, `2y`
    #[arg(long, value_name = "SPAN")]
    keep: String,
    /// Keep what the aggregate reports that go add up to by day
    #[arg(long)]
    keep_sums: bool,
    /// Give the space back without writing the file anew, which takes no room and leaves traces
    #[arg(long)]
    in_place: bool,
    /// Count what would go, and take nothing away
    #[arg(long)]
    dry_run: bool,
    /// Even if nothing newer would be left, as when the clock is wrong
    #[arg(long)]
    everything: bool,
    /// How to print what was done
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(context: &Context, args: Args) -> Result<Status, Error> {
    let before = window::back(context.now, &args.keep)
        .map_err(|text| Error::new(Status::Usage, format_args!("--keep: {text}")))?;
    let age =
        Age { before, horizon: context.now.saturating_add(AHEAD_SECONDS), now: context.now, keep_sums: args.keep_sums };
    let path = context.db_path(&context.config()?);
    // A database that is not there is not made to be pruned.
    drop(Database::open(&path)?);
    let mut store = Store::open(&path).map_err(|error| store_error(&error))?;
    let newest = store.newest_seen_at().map_err(|error| store_error(&error))?;
    if !args.everything && newest.is_some_and(|newest| newest < before) {
        let text = format!(
            "everything was kept before {} UTC and would go; if the clock is right and that is meant, say --everything",
            number::time(before)
        );
        return Err(Error::new(Status::Usage, text));
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, stop.clone())
            .map_err(|error| Error::new(Status::Software, format_args!("signals: {error}")))?;
    }
    let done = if args.dry_run {
        store.would_prune(age).map(|pruned| (pruned, Erased::Whole))
    } else {
        store.prune(age, args.in_place, || !stop.load(Ordering::Relaxed))
    };
    let (pruned, erased) = done.map_err(|error| store_error(&error))?;
    match args.format {
        Format::Json => {
            let mut out = answer::stdout();
            writeln!(out, "{}", document(&pruned, before))?;
            out.flush()?;
        }
        Format::Text => context.note(sentence(&pruned, before, args.dry_run)),
    }
    match erased {
        Erased::Whole | Erased::InPlace => Ok(Status::Ok),
        Erased::Stopped => Err(Error::new(Status::Temporary, "stopped by a signal; run again for the rest")),
        Erased::HeldByReader => Err(Error::new(
            Status::Temporary,
            "taken away, but another program still reads the state of before, which keeps its bytes; run again when it has ended",
        )),
        Erased::NoRoom => Err(Error::new(
            Status::Io,
            "taken away, but traces may be left in the file: writing it anew needs twice its size on the disk; make room and run again, or say --in-place",
        )),
    }
}

fn document(pruned: &Pruned, before: i64) -> serde_json::Value {
    json!({
        "before_at": before,
        "reports": pruned.reports,
        "records": pruned.records,
        "complaints": pruned.complaints,
        "bounces": pruned.bounces,
        "problems": pruned.problems,
        "messages": pruned.messages,
        "summed_reports": pruned.summed_reports,
    })
}

fn sentence(pruned: &Pruned, before: i64, dry_run: bool) -> String {
    let done = if dry_run { "would be taken away" } else { "taken away" };
    let sums = match pruned.summed_reports {
        0 => String::new(),
        count => format!("the sums of {} more, ", number::count(count, "report")),
    };
    format!(
        "{} with {}, {sums}{}, {} and {} of before {} UTC {done}",
        number::count(pruned.reports, "report"),
        number::count(pruned.records, "record"),
        number::count(pruned.complaints, "complaint"),
        number::count(pruned.bounces, "bounce"),
        number::count(pruned.problems, "problem"),
        number::time(before),
    )
}
