//! `dmarcdb suppress export`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use super::Choice;
use super::files::{self, Files};
use crate::cli::{Context, Error, Status, answer};
use crate::query::suppression::{self, Current, Exported, Last};
use crate::query::{self, Database};
use crate::store::exports::{self, Done, Ledger};
use crate::suppress::export::{
    self, Change, Desk, Entry, Export, FORMATS, Format, Options, Place, Refused, Removal, Row, State, Written,
};

const EXAMPLES: &str = "\
docs/suppression-formats.md tells for each format what its target's documentation says. With --output every file is
replaced in one step once all of it is on the disk. Where the target takes no more, there are several: FILE-001, FILE-002, ….
An address that is suppressed for one From domain only is in the list too unless --scope names another.

An address that a format cannot express is named on standard error, and the exit status is 65. A list that has shrunk by
more than --max-shrink since it was last written there is not written, and the exit status is 76.

--since-last NAME writes what is new since the last export under that name and, in files that end in `-remove` or in rows
with the state `removed`, what may be mailed again. Each of these files must reach its target before the next export.

Examples:
  dmarcdb suppress export --format postfix --output /etc/postfix/suppressed
  dmarcdb suppress export --scope news.example.com --format csv --evidence
  dmarcdb suppress export --format mailgun --scope example.com --output lists/
  dmarcdb suppress export --format ses-ndjson --since-last ses-eu --output ses.ndjson";

/// How many addresses that are not in the list are named; the others are counted.
const NAMED: u64 = 1_000;

/// Options of `dmarcdb suppress export`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// How to write the list
    #[arg(long, value_name = "FORMAT", value_parser = format_parser(), default_value = "csv")]
    format: &'static Format,
    /// Write to this file, or into this folder, instead of standard output
    #[arg(long, value_name = "PATH")]
    output: Option<PathBuf>,
    #[command(flatten)]
    choice: Choice,
    /// Also what is pending, in a format that cannot mark it: as if it were certain
    #[arg(long)]
    pending_as_active: bool,
    /// Only what changed since the last export under this name, which is remembered in the database
    #[arg(long, value_name = "NAME")]
    since_last: Option<String>,
    /// With --since-last: write all of the list again, for a target that has lost it
    #[arg(long, requires = "since_last")]
    from_scratch: bool,
    /// Refuse when the list has shrunk by more than this since it was last written there, in per cent
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u8).range(0..=100))]
    max_shrink: u8,
    /// Write the list however much it has shrunk
    #[arg(long)]
    force: bool,
    /// Tell with every entry the message it rests on, by its SHA-256 and where it was found (csv, ndjson)
    #[arg(long)]
    evidence: bool,
    /// In CSV, write also addresses that a spreadsheet would run as a formula
    #[arg(long)]
    allow_formulas: bool,
}

fn format_parser() -> impl TypedValueParser<Value = &'static Format> {
    PossibleValuesParser::new(FORMATS.map(|format| PossibleValue::new(format.name).help(format.about)))
        .try_map(|name| export::format(&name).ok_or("no such format"))
}

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(context: &Context, database: &Database, args: &Args) -> Result<Status, Error> {
    check(args)?;
    let job = Job { context, database, args };
    let written = match (&args.output, &args.since_last) {
        (None, None) => job.on_stdout()?,
        (None, Some(name)) => job.changes(name, None)?,
        (Some(path), None) => job.in_files(path)?,
        (Some(path), Some(name)) => job.changes(name, Some(path))?,
    };
    if written.refused > 0 {
        let (what, them) = if written.refused == 1 { ("address", "it") } else { ("addresses", "them") };
        let (number, name) = (written.refused, args.format.name);
        if number > NAMED {
            context.warn(format_args!("only the first {NAMED} of them are named above; ndjson has all"));
        }
        context.warn(format_args!("{number} {what} not in the list, because `{name}` cannot express {them}"));
        return Ok(Status::Data);
    }
    Ok(Status::Ok)
}

/// Refuses what the format cannot do.
fn check(args: &Args) -> Result<(), Error> {
    let format = args.format;
    let usage = |text: String| Err(Error::new(Status::Usage, text));
    if args.choice.include_pending && !format.marks_pending && !args.pending_as_active {
        return usage(format!(
            "--include-pending marks what is pending, which `{}` cannot: use csv or ndjson, or say --pending-as-active",
            format.name
        ));
    }
    if args.evidence && !format.marks_pending {
        return usage(format!("--evidence: `{}` has no room for it: use csv or ndjson", format.name));
    }
    if let (Some(_), Removal::Whole(why)) = (&args.since_last, &format.removal) {
        return usage(format!("`{}` cannot take changes: {why}; export without --since-last", format.name));
    }
    let files = format.lists.len()
        * if matches!(format.removal, Removal::Listed(_)) && args.since_last.is_some() { 2 } else { 1 };
    if args.output.is_none() && files > 1 {
        return usage(format!("`{}` writes {files} files: name a file or a folder with --output", format.name));
    }
    Ok(())
}

/// One export.
#[derive(Clone, Copy)]
struct Job<'a> {
    context: &'a Context,
    database: &'a Database,
    args: &'a Args,
}

impl Job<'_> {
    fn scope(&self) -> &str {
        self.args.choice.scope.as_deref().unwrap_or_default()
    }

    /// Hands the list to `desk`.
    fn export<D: Desk<Error = Error>>(&self, desk: &mut D) -> Result<Written, Error> {
        let Args { format, choice, pending_as_active, since_last, allow_formulas, evidence, .. } = self.args;
        let options = Options { changes_only: since_last.is_some(), formulas: *allow_formulas };
        let pending = choice.include_pending || *pending_as_active;
        let mut export = Export::new(format, options, desk);
        suppression::current(self.database, choice.scope.as_deref(), self.context.now, pending, |row| {
            let mut row = of_query(row);
            if *evidence {
                row.evidence = suppression::proof(self.database, &row.evidence)?;
            }
            export.row(row)
        })?;
        export.finish()
    }

    /// Where the target has limits, the list is measured first: standard output cannot become two files.
    fn on_stdout(&self) -> Result<Written, Error> {
        if self.args.format.lists.iter().any(|list| list.rows.is_some() || list.bytes.is_some()) {
            one_file(self.args.format, &self.export(&mut Measure)?)?;
        }
        let mut desk = Stream { context: self.context, out: answer::stdout(), ledger: None, next: None, named: 0 };
        let written = self.export(&mut desk)?;
        desk.out.flush()?;
        Ok(written)
    }

    fn in_files(&self, path: &Path) -> Result<Written, Error> {
        let mut files = Files::new(path, self.args.format)?;
        let target = files.target();
        let last = suppression::last(self.database, &target)?;
        let mut desk = Stream { context: self.context, out: &mut files, ledger: None, next: None, named: 0 };
        let written = self.export(&mut desk)?;
        let before = match &last {
            Some(last) => u64::try_from(last.entries).unwrap_or_default(),
            None => files.entries_there(),
        };
        self.guard(before, written.entries, &path.display().to_string())?;
        let names = files.put_in_place(last.as_ref())?;
        if let Err(error) = exports::note(self.database.path(), &target, self.done(&written, &names)) {
            let error = query::Error::of(self.database.path(), error);
            self.context.warn(format_args!("{error}: the next export will not notice whether the list shrinks"));
        }
        Ok(written)
    }

    /// Writes what changed since the last export for a target. What it has by then is noted in the same transaction
    /// that began before it was read.
    fn changes(&self, name: &str, path: Option<&Path>) -> Result<Written, Error> {
        let failed = |error| Error::from(query::Error::of(self.database.path(), error));
        let target = format!("target:{name}");
        let ledger = Ledger::begin(self.database.path(), &target).map_err(failed)?;
        let last = suppression::last(self.database, &target)?;
        if let Some(last) =
            last.as_ref().filter(|last| last.format != self.args.format.name || last.scope != self.scope())
        {
            let scope = if last.scope.is_empty() { String::new() } else { format!(" --scope {}", last.scope) };
            let text = format_args!(
                "`{name}` was last exported with --format {}{scope}: use these, or another name",
                last.format
            );
            return Err(Error::new(Status::Usage, text));
        }
        let (written, names) = match path {
            Some(path) => {
                let mut files = Files::new(path, self.args.format)?;
                let written = self.changes_to(&mut files, &ledger, last.as_ref())?;
                self.guard_last(last.as_ref(), &written, name)?;
                (written, files.put_in_place(last.as_ref())?)
            }
            None => {
                // Nothing may be on standard output before all is known to be right.
                let mut held = Vec::new();
                let written = self.changes_to(&mut held, &ledger, last.as_ref())?;
                one_file(self.args.format, &written)?;
                self.guard_last(last.as_ref(), &written, name)?;
                let mut out = answer::stdout();
                out.write_all(&held)?;
                out.flush()?;
                (written, Vec::new())
            }
        };
        ledger.finish(self.done(&written, &names)).map_err(failed)?;
        let left = written.entries;
        let Written { written: new, removed, .. } = written;
        self.context.note(format_args!("{name}: {new} to add, {removed} to remove, {left} in the list"));
        if let (Removal::Nothing(why), 1..) = (&self.args.format.removal, removed) {
            self.context.warn(format_args!(
                "{removed} may be mailed again, which `{}` does not tell: {why}",
                self.args.format.name
            ));
        }
        Ok(written)
    }

    fn changes_to<O: Output>(&self, out: O, ledger: &Ledger, last: Option<&Last>) -> Result<Written, Error> {
        let id = last.map_or(-1, |last| last.id);
        suppression::entries(self.database, id, |next| {
            let from_scratch = self.args.from_scratch;
            let mut next = || {
                let entry = next()?.map(|entry| of_ledger(entry, from_scratch));
                Ok(entry)
            };
            let mut desk = Stream { context: self.context, out, ledger: Some(ledger), next: Some(&mut next), named: 0 };
            self.export(&mut desk)
        })
    }

    fn done<'a>(&'a self, written: &Written, files: &'a [String]) -> Done<'a> {
        Done {
            format: self.args.format.name,
            scope: self.scope(),
            at: self.context.now,
            entries: written.entries,
            files,
        }
    }

    fn guard_last(&self, last: Option<&Last>, written: &Written, name: &str) -> Result<(), Error> {
        let before = last.map_or(0, |last| u64::try_from(last.entries).unwrap_or_default());
        self.guard(before, written.entries, name)
    }

    /// Refuses a list that has shrunk too much: more likely something is wrong than that so many were lifted.
    fn guard(&self, before: u64, now: u64, place: &str) -> Result<(), Error> {
        let lost = before.saturating_sub(now);
        let most = u64::from(self.args.max_shrink);
        if self.args.force || u128::from(lost) * 100 <= u128::from(before) * u128::from(most) {
            return Ok(());
        }
        let text = format_args!(
            "{place}: {now} left of {before} in the last export, which is more than {most} % less; nothing was \
             written: if that is right, say --force"
        );
        Err(Error::new(Status::Protocol, text))
    }
}

/// Refuses several files where there is room for one.
fn one_file(format: &Format, written: &Written) -> Result<(), Error> {
    match written.places.len() {
        0 | 1 => Ok(()),
        files => {
            let text = format_args!(
                "`{}` needs {files} files for this list: name a file or a folder with --output",
                format.name
            );
            Err(Error::new(Status::Usage, text))
        }
    }
}

fn of_query(row: Current) -> Row {
    Row {
        folded: row.folded,
        address: row.address,
        kind: row.kind,
        reason: row.reason,
        scope: row.scope,
        since_at: Some(row.since_at),
        until_at: row.until_at,
        evidence: row.evidence,
        state: if row.pending { State::Pending } else { State::Active },
    }
}

/// An entry whose digest is forgotten is written again.
fn of_ledger(entry: Exported, forget: bool) -> Entry {
    let digest = if forget { Vec::new() } else { entry.digest };
    Entry { folded: entry.folded, list: entry.list, address: entry.address, scope: entry.scope, digest }
}

/// Where an export can go.
pub trait Output {
    /// Appends to a file.
    ///
    /// # Errors
    /// Of the file.
    fn append(&mut self, place: Place, bytes: &[u8]) -> Result<(), Error>;
}

impl Output for std::io::BufWriter<std::io::StdoutLock<'_>> {
    fn append(&mut self, _: Place, bytes: &[u8]) -> Result<(), Error> {
        Ok(self.write_all(bytes)?)
    }
}

impl Output for &mut Vec<u8> {
    fn append(&mut self, _: Place, bytes: &[u8]) -> Result<(), Error> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

impl Output for &mut Files {
    fn append(&mut self, place: Place, bytes: &[u8]) -> Result<(), Error> {
        files::Files::append(self, place, bytes)
    }
}

/// Writes, tells what cannot be written, and notes changes.
struct Stream<'a, O> {
    context: &'a Context,
    out: O,
    ledger: Option<&'a Ledger>,
    next: Option<&'a mut dyn FnMut() -> Result<Option<Entry>, query::Error>>,
    named: u64,
}

impl<O: Output> Desk for Stream<'_, O> {
    type Error = Error;

    fn write(&mut self, place: Place, bytes: &[u8]) -> Result<(), Error> {
        self.out.append(place, bytes)
    }

    fn previous(&mut self) -> Result<Option<Entry>, Error> {
        Ok(self.next.as_mut().map(|next| next()).transpose()?.flatten())
    }

    fn changed(&mut self, change: Change, entry: &Entry) -> Result<(), Error> {
        let Some(ledger) = self.ledger else { return Ok(()) };
        let Entry { folded, list, address, scope, digest } = entry;
        let row = exports::Entry { folded, list, address, scope, digest };
        let noted = match change {
            Change::Written => ledger.put(row),
            Change::Removed => ledger.remove(row),
        };
        noted.map_err(|error| Error::new(Status::Io, format_args!("what was exported cannot be noted: {error}")))
    }

    fn refused(&mut self, address: &str, why: Refused) {
        self.named += 1;
        if self.named <= NAMED {
            self.context.warn(format_args!("{address}: {why}"));
        }
    }
}

/// Writes nothing.
struct Measure;

impl Desk for Measure {
    type Error = Error;

    fn write(&mut self, _: Place, _: &[u8]) -> Result<(), Error> {
        Ok(())
    }

    fn refused(&mut self, _: &str, _: Refused) {}
}
