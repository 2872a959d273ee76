//! `dmarcdb sendlog`: the sender's own records, which tell who got a mail where a provider does not.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::json;

use super::run::{self, ours, store_error};
use super::{Context, Error, Status, window};
use crate::render::number;
use crate::report::address::Address;
use crate::report::sendlog::{self, Columns, Named, Send};
use crate::store::{self, Ours, Store};

/// Rows that cannot be used and are told one by one.
const TOLD: u64 = 5;
/// Bytes of a line, at most.
const LINE: u64 = 1 << 20;

const EXAMPLES: &str = "\
A complaint often names nobody, but holds the Message-ID of your mail. With a log of what you sent, the person is found:
for complaints to come, and for those that are there. A log also proves a bounce, where it knows the Message-ID for one
person alone.

Examples:
  dmarcdb sendlog import sent.csv
  zcat sent.ndjson.gz | dmarcdb sendlog import -
  dmarcdb sendlog prune --before 180d
  dmarcdb sendlog hashes subscribers.txt";

/// Options of `dmarcdb sendlog`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Take in a log: CSV with a header, or NDJSON
    ///
    /// Columns are found by their usual names: message_id, recipient (or email, rcpt, to), time (or timestamp, sent_at,
    /// date), stream (or campaign, tag, list). The same log again changes nothing.
    Import(ImportArgs),
    /// Forget what was sent long ago; what it told about complaints stays
    Prune(PruneArgs),
    /// Find the people whom providers name by a digest only, in a list of addresses
    ///
    /// Tried are MD5, SHA-1 and SHA-256 of the local part, of the address, and of the address in lower case. The list has
    /// one address in each line; what else is in the line is passed over.
    Hashes(HashArgs),
}

#[derive(Debug, clap::Args)]
struct ImportArgs {
    /// The log; `-` is standard input
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// The column with the Message-ID
    #[arg(long, value_name = "COLUMN")]
    message_id: Option<String>,
    /// The column with the recipient
    #[arg(long, value_name = "COLUMN")]
    recipient: Option<String>,
    /// The column with the time
    #[arg(long, value_name = "COLUMN")]
    time: Option<String>,
    /// The column with the stream
    #[arg(long, value_name = "COLUMN")]
    stream: Option<String>,
    /// How to print what was done
    #[arg(long, value_enum, default_value_t)]
    format: run::Format,
}

#[derive(Debug, clap::Args)]
struct PruneArgs {
    /// Forget what was sent before this time: a span back from now (90d 6mo 1y), a date, or an RFC 3339 time
    #[arg(long, value_name = "WHEN")]
    before: String,
}

#[derive(Debug, clap::Args)]
struct HashArgs {
    /// The list; `-` is standard input
    #[arg(value_name = "FILE")]
    path: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// As the exit statuses say.
pub fn run(context: &Context, args: Args) -> Result<Status, Error> {
    match args.command {
        Command::Import(args) => import(context, args),
        Command::Prune(args) => prune(context, &args),
        Command::Hashes(args) => match_hashes(context, &args.path),
    }
}

fn open(context: &Context) -> Result<(Store, Ours), Error> {
    let config = context.config()?;
    let store = Store::open(&context.db_path(&config)).map_err(|error| store_error(&error))?;
    Ok((store, ours(&config)?))
}

fn reader(path: &Path) -> Result<Box<dyn BufRead>, Error> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    Ok(Box::new(BufReader::with_capacity(1 << 16, file)))
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::new(Status::Io, format_args!("{}: {error}", path.display()))
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Error {
        store_error(&error)
    }
}

fn import(context: &Context, args: ImportArgs) -> Result<Status, Error> {
    let started = Instant::now();
    let ImportArgs { path, message_id, recipient, time, stream, format } = args;
    let named = Named { message_id, recipient, time, stream };
    let mut rows = Rows::open(context, &path, named)?;
    let (mut store, ours) = open(context)?;
    let imported = store.import_sends(&ours, || rows.next())?;
    let seconds = started.elapsed().as_secs_f64();
    if format == run::Format::Json {
        let answer = json!({
            "rows": imported.rows, "new": imported.new, "unusable": rows.unusable, "judged": imported.judged,
            "resolved": imported.resolved, "seconds": (seconds * 1000.0).round() / 1000.0,
        });
        writeln!(io::stdout().lock(), "{answer}")?;
    } else {
        let count = |number: u64, noun: &str| number::count(i64::try_from(number).unwrap_or(i64::MAX), noun);
        let mut text = format!("{} in {seconds:.1} s, {} new", count(imported.rows, "row"), imported.new);
        if imported.judged > 0 {
            let found = count(imported.resolved, "complaint");
            text.push_str(&format!("; {} judged again, {found} found a person", count(imported.judged, "known event")));
        }
        context.note(text);
    }
    if rows.unusable > 0 {
        let rows = number::count(i64::try_from(rows.unusable).unwrap_or(i64::MAX), "row");
        context.note(format_args!("{}: {rows} could not be used", path.display()));
        return Ok(Status::Data);
    }
    Ok(Status::Ok)
}

fn prune(context: &Context, args: &PruneArgs) -> Result<Status, Error> {
    let before = window::past(context.now, &args.before)
        .map_err(|text| Error::new(Status::Usage, format_args!("--before: {text}")))?;
    let (mut store, _) = open(context)?;
    let rows = store.prune_sends(before)?;
    context.note(format_args!("{} forgotten", number::count(i64::try_from(rows).unwrap_or(i64::MAX), "row")));
    Ok(Status::Ok)
}

/// Matches hashed complainers with a list of addresses.
///
/// # Errors
/// As the exit statuses say.
pub fn match_hashes(context: &Context, path: &Path) -> Result<Status, Error> {
    let mut lines = Lines { from: reader(path)?, path: path.to_owned(), number: 0, line: Vec::new() };
    let (mut store, ours) = open(context)?;
    let matched = store.match_hashes(&ours, || {
        while let Some(line) = lines.next()? {
            let pieces = line.split([',', ';', '\t', ' ']).map(|piece| piece.trim_matches(['"', '\'', '<', '>']));
            if let Some(address) = pieces.into_iter().find_map(|piece| Address::parse(piece).ok()) {
                return Ok::<_, Error>(Some(address));
            }
        }
        Ok(None)
    })?;
    let mut out = io::stdout().lock();
    let count = |number: u64, noun: &str| number::count(i64::try_from(number).unwrap_or(i64::MAX), noun);
    let share = if matched.hashed > 0 {
        format!(" ({})", number::percent(matched.matched as f64 / matched.hashed as f64))
    } else {
        String::new()
    };
    writeln!(
        out,
        "{} of {} matched{share} among {}.",
        matched.matched,
        count(matched.hashed, "hashed complainer"),
        count(matched.listed, "listed recipient")
    )?;
    for (form, number) in &matched.forms {
        writeln!(out, "{number} by {form}.")?;
    }
    if matched.ambiguous > 0 {
        writeln!(out, "{} fit more than one address: not known who it was.", matched.ambiguous)?;
    }
    Ok(Status::Ok)
}

/// Lines of text, bounded.
struct Lines {
    from: Box<dyn BufRead>,
    path: PathBuf,
    number: u64,
    line: Vec<u8>,
}

impl Lines {
    fn next(&mut self) -> Result<Option<String>, Error> {
        self.line.clear();
        let mut limited = (&mut self.from).take(LINE);
        let read = limited.read_until(b'\n', &mut self.line).map_err(|error| unreadable(&self.path, &error))?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if read as u64 == LINE && self.line.last() != Some(&b'\n') {
            let text = format!("{}:{}: a line over {LINE} bytes", self.path.display(), self.number);
            return Err(Error::new(Status::Io, text));
        }
        Ok(Some(String::from_utf8_lossy(&self.line).into_owned()))
    }
}

/// The rows of a log, of either form. What cannot be used is told and passed over.
struct Rows<'a> {
    context: &'a Context,
    path: PathBuf,
    named: Named,
    form: Form,
    unusable: u64,
}

enum Form {
    Ndjson(Lines),
    Csv { reader: Box<csv::Reader<Box<dyn BufRead>>>, columns: Columns, record: csv::StringRecord },
}

impl<'a> Rows<'a> {
    fn open(context: &'a Context, path: &Path, named: Named) -> Result<Rows<'a>, Error> {
        let mut from = reader(path)?;
        let start = from.fill_buf().map_err(|error| unreadable(path, &error))?;
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
        let form = if start.first() == Some(&b'{') {
            Form::Ndjson(Lines { from, path: path.to_owned(), number: 0, line: Vec::new() })
        } else {
            let header = start.split(|&b| b == b'\n').next().unwrap_or_default();
            let count = |delimiter: u8| header.iter().filter(|&&b| b == delimiter).count();
            let delimiter = [b',', b';', b'\t', b'|'].into_iter().rev().max_by_key(|delimiter| count(*delimiter));
            let mut reader =
                csv::ReaderBuilder::new().delimiter(delimiter.unwrap_or(b',')).flexible(true).from_reader(from);
            let header = reader.headers().map_err(|error| unreadable(path, &error))?.clone();
            let columns = Columns::of(header.iter(), &named)
                .map_err(|text| Error::new(Status::Usage, format_args!("{}: {text}", path.display())))?;
            Form::Csv { reader: Box::new(reader), columns, record: csv::StringRecord::new() }
        };
        Ok(Rows { context, path: path.to_owned(), named, form, unusable: 0 })
    }

    fn next(&mut self) -> Result<Option<Send>, Error> {
        loop {
            let now = self.context.now;
            let (line, found) = match &mut self.form {
                Form::Ndjson(lines) => match lines.next()? {
                    None => return Ok(None),
                    Some(line) if line.trim().is_empty() => continue,
                    Some(line) => {
                        (lines.number, sendlog::read_json(line.trim_start_matches('\u{feff}'), &self.named, now))
                    }
                },
                Form::Csv { reader, columns, record } => match reader.read_record(record) {
                    Ok(false) => return Ok(None),
                    Ok(true) => {
                        let line = record.position().map_or(0, csv::Position::line);
                        (line, columns.read(|place| record.get(place), now))
                    }
                    Err(error) if error.is_io_error() => return Err(unreadable(&self.path, &error)),
                    Err(error) => (error.position().map_or(0, csv::Position::line), Err(error.to_string())),
                },
            };
            match found {
                Ok(send) => return Ok(Some(send)),
                Err(reason) => self.tell(line, &reason),
            }
        }
    }

    fn tell(&mut self, line: u64, reason: &str) {
        self.unusable += 1;
        if self.unusable <= TOLD {
            self.context.note(format_args!("{}:{line}: {reason}", self.path.display()));
        }
    }
}
