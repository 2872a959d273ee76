//! What `fetch` and `ingest` share: settings for the pipeline, signals, progress, and telling what was done.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::enrich::dns_settings;
use super::{Context, Error, Status};
use crate::config::Config;
use crate::dns::signatures::Signatures;
use crate::ingest::{self, BATCH_MESSAGES, Observer, Options, Reserved, Tally, Verifier, Verify};
use crate::reading;
use crate::render::sanitize::Untrusted;
use crate::source::{self, Origin, Source, Stop};
use crate::store::{self, Kept, Ours, Retried, Store};
use crate::suppress::rules::Policy;

/// How to print what was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A sentence on standard error
    #[default]
    Text,
    /// One JSON object on standard output
    Json,
}

/// A run over one or more sources into one database.
pub struct Run<'a> {
    context: &'a Context,
    store: Store,
    options: Options,
    stop: Stop,
    tally: Tally,
    /// Whether progress may be drawn.
    drawn: bool,
}

impl<'a> Run<'a> {
    /// Opens the database for writing and listens for SIGINT and SIGTERM: the first ends the run after the batch, the
    /// second at once.
    ///
    /// # Errors
    /// The database can not be written: [`Status::Temporary`], [`Status::CannotCreate`], [`Status::Io`],
    /// [`Status::Configuration`].
    pub fn open(context: &'a Context, config: &Config, dry_run: bool) -> Result<Self, Error> {
        let path = context.db_path(config);
        let store = Store::open(&path).map_err(|error| store_error(&error))?;
        let stop = Stop::new(stop_on_signal()?);
        // A write beyond the limit on file sizes is to fail, not to end the process.
        signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false)))
            .map_err(|error| Error::new(Status::Software, format_args!("signals: {error}")))?;
        Ok(Run { drawn: context.progress(), ..Run::with(context, config, store, stop, dry_run)? })
    }

    /// A run over a database that is open already, which draws no progress and ends when `stop` says so.
    ///
    /// # Errors
    /// As [`options`].
    pub fn with(context: &'a Context, config: &Config, store: Store, stop: Stop, dry_run: bool) -> Result<Self, Error> {
        let options = options(context, config, dry_run)?;
        Ok(Run { context, store, options, stop, tally: Tally::default(), drawn: false })
    }

    /// What was read from here on was read at `now`, seconds since the epoch.
    pub fn set_now(&mut self, now: i64) {
        self.options.now = now;
    }

    /// What was done so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The database.
    pub fn into_store(self) -> Store {
        self.store
    }

    /// Set when a signal asks to stop.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// The database, for what a source needs to know before it starts.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The database, for what a source tells when it is done.
    pub fn store_mut(&mut self) -> &mut Store {
        &mut self.store
    }

    /// Whether a signal asked to stop.
    pub fn stopped(&self) -> bool {
        self.stop.is_set()
    }

    /// Runs one source. `tell` prints each problem on standard error.
    ///
    /// # Errors
    /// The run ended early; what was committed counts.
    pub fn source(
        &mut self,
        source: &mut (dyn Source + Send),
        settles: bool,
        reserved: Reserved,
        tell: bool,
    ) -> Result<(), Error> {
        let options = Options { settles, reserved, ..self.options.clone() };
        let mut watcher = Watcher { context: self.context, bar: self.drawn.then(bar), tell, stop: &self.stop };
        let (tally, result) = ingest::run(source, &mut self.store, &options, self.stop.flag(), &mut watcher);
        if let Some(bar) = watcher.bar {
            bar.finish_and_clear();
        }
        self.tally.merge(&tally);
        result.map_err(|error| run_error(&error))
    }

    /// Judges complaints again where what they were judged by has changed: once, when all sources have run.
    ///
    /// # Errors
    /// Those of the database.
    pub fn judge(&mut self) -> Result<(), Error> {
        if self.options.dry_run {
            return Ok(());
        }
        let changed = self.store.judge_again(&self.options.ours).map_err(|error| store_error(&error))?;
        if changed > 0 {
            self.context.detail(format_args!(
                "{changed} complaints and bounces judged otherwise than before, by what is known now"
            ));
        }
        Ok(())
    }

    /// Reads messages with problems again.
    ///
    /// # Errors
    /// Those of the database.
    pub fn retry(&mut self) -> Result<Again, Error> {
        let mut again = Again::default();
        let failed = |error| store_error(&error);
        for message in self.store.waiting().map_err(failed)? {
            let waiting =
                self.store.waiting_message(message, self.options.reading.limits.message_bytes).map_err(failed)?;
            let Some(bytes) = &waiting.bytes else {
                again.without_bytes += 1;
                continue;
            };
            again.tried += 1;
            let name = waiting.origin.rsplit('/').next().map(str::to_owned);
            let reading = ingest::read_verified(bytes, name.as_deref(), &self.options, reading::HELD_BYTES);
            let Options { reading: settings, ours, now, .. } = &self.options;
            match self.store.keep_again(&waiting, bytes, reading, settings, ours, *now).map_err(failed)? {
                Retried::Solved(kept) => {
                    again.solved += 1;
                    self.context.detail(format_args!("{}: {}", waiting.origin, kept.outcome.as_str()));
                }
                Retried::Waits => {}
            }
        }
        Ok(again)
    }

    /// Closes the database and hands out the counts.
    pub fn finish(self) -> Tally {
        self.tally
    }
}

/// A flag that SIGINT and SIGTERM set. A second signal ends the process at once.
///
/// # Errors
/// The system refuses.
pub fn stop_on_signal() -> Result<Arc<AtomicBool>, Error> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        let status = Status::Temporary as i32;
        signal_hook::flag::register_conditional_shutdown(signal, status, stop.clone())
            .and_then(|_| signal_hook::flag::register(signal, stop.clone()))
            .map_err(|error| Error::new(Status::Software, format_args!("signals: {error}")))?;
    }
    Ok(stop)
}

/// What the user says about its mail, with the secrets fetched from where they are.
///
/// # Errors
/// A secret that cannot be had: [`Status::Configuration`].
pub fn ours(config: &Config) -> Result<Ours, Error> {
    Ok(Ours {
        own_domains: config.own_domains.clone(),
        feedback_senders: config.feedback_senders.clone(),
        tokens: config.tokens().map_err(|error| Error::new(Status::Configuration, error))?,
        soft: config.soft_bounces,
        reach: config.reach,
        policy: Policy { suppress_fraud: config.suppress_fraud },
        kept_bytes: config.limits.kept_bytes,
    })
}

/// What the pipeline is told, for a source that leaves mail alone.
///
/// # Errors
/// As [`ours`].
pub fn options(context: &Context, config: &Config, dry_run: bool) -> Result<Options, Error> {
    Ok(Options {
        reading: reading::Settings { limits: config.limits.clone(), authserv_id: config.authserv_id.clone() },
        ours: ours(config)?,
        readers: readers(config.verify_dkim),
        verifier: if config.verify_dkim { Some(verifier(config)?) } else { None },
        now: context.now,
        settles: false,
        reserved: Reserved::default(),
        dry_run,
        batch_messages: BATCH_MESSAGES,
    })
}

/// Threads that read: all cores but the writer's, which most runs wait for and which others would share with it; none where
/// that is the only one. Those that ask for keys of signatures wait themselves, and may be as many as there are cores.
fn readers(asks: bool) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if asks { cores } else { cores.saturating_sub(1) }
}

/// Whoever checks the signatures of mail, as the configuration says.
fn verifier(config: &Config) -> Result<Verifier, Error> {
    struct ByDns(Signatures);
    impl Verify for ByDns {
        fn passed(&self, message: &[u8]) -> Vec<String> {
            self.0.passed(message)
        }
    }
    let signatures = Signatures::new(&dns_settings(config)).map_err(|text| Error::new(Status::Configuration, text))?;
    Ok(Verifier(Arc::new(ByDns(signatures))))
}

/// What reading again came to, in messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Again {
    /// Read again.
    pub tried: u64,
    /// Of these without a problem now.
    pub solved: u64,
    /// Not read again, because their bytes were too many to keep.
    pub without_bytes: u64,
}

/// What printing the counts came to: that nobody listens does not hide how the run ended.
///
/// # Errors
/// Any other failure of standard output.
pub fn tolerate_closed_pipe(printed: std::io::Result<()>) -> Result<(), Error> {
    match printed.map_err(Error::from) {
        Err(error) if error.status != Status::Ok => Err(error),
        _ => Ok(()),
    }
}

/// What a failed run exits with.
fn run_error(error: &ingest::Error) -> Error {
    match error {
        ingest::Error::Source(error) => source_error(error),
        ingest::Error::Store(error) => store_error(error),
        ingest::Error::Thread(_) | ingest::Error::Stopped => Error::new(Status::Temporary, error),
    }
}

/// What a source's failure exits with.
pub fn source_error(error: &source::Error) -> Error {
    Error::new(error.kind.into(), error)
}

/// What a failure of the database exits with.
pub fn store_error(error: &store::Error) -> Error {
    let status = match error {
        error if error.is_temporary() => Status::Temporary,
        store::Error::CannotCreate { .. } => Status::CannotCreate,
        store::Error::Newer { .. } | store::Error::Foreign(_) => Status::Configuration,
        _ => Status::Io,
    };
    Error::new(status, error)
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::no_length();
    let style = ProgressStyle::with_template("{spinner} {pos} messages  {msg}  {per_sec}  {elapsed}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Shows progress on a terminal and tells problems.
struct Watcher<'a> {
    context: &'a Context,
    bar: Option<ProgressBar>,
    tell: bool,
    stop: &'a Stop,
}

impl Observer for Watcher<'_> {
    fn kept(&mut self, origin: &Origin, kept: &Kept, tally: &Tally, remaining: Option<u64>) {
        // A sign of life.
        let _ = self.stop.is_set();
        if let Some(bar) = &self.bar {
            bar.set_position(tally.messages);
            let ahead = remaining.map(|remaining| left(bar, remaining)).unwrap_or_default();
            bar.set_message(format!("{} records{ahead}", tally.records));
        }
        if !self.tell && !self.context.verbose {
            return;
        }
        for problem in &kept.problems {
            let line = format!("{}: {}", Untrusted(&origin.to_string()), Untrusted(problem));
            match &self.bar {
                Some(bar) => bar.suspend(|| self.context.note(line)),
                None => self.context.note(line),
            }
        }
    }
}

/// How many messages and how long, by the rate so far.
fn left(bar: &ProgressBar, remaining: u64) -> String {
    let rate = bar.per_sec();
    if rate < 0.1 {
        return format!("  {remaining} left");
    }
    let seconds = (remaining as f64 / rate).min(1e6) as u64;
    format!("  {remaining} left, about {}", indicatif::HumanDuration(Duration::from_secs(seconds)))
}

/// The object of `--format json`.
pub fn json(tally: &Tally, took: Duration) -> String {
    let [aggregate, failure, tls] = tally.reports;
    json!({
        "messages": tally.messages,
        "stored": tally.stored,
        "duplicate": tally.duplicate,
        "not_a_report": tally.not_a_report,
        "problems": tally.problems,
        "partial": tally.partial,
        "reports": {"aggregate": aggregate, "failure": failure, "tls": tls},
        "complaints": tally.complaints,
        "bounces": tally.bounces,
        "records": tally.records,
        "seconds": (took.as_secs_f64() * 1000.0).round() / 1000.0,
    })
    .to_string()
}

/// What was done, in a sentence.
pub fn sentence(tally: &Tally, took: Duration) -> String {
    let count = |number: u64, noun: &str| match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    };
    let mut parts = vec![format!(
        "{} with {}, {}",
        count(tally.reports.iter().sum(), "new report"),
        count(tally.records, "record"),
        count(tally.complaints, "new complaint"),
    )];
    if tally.bounces > 0 {
        parts.push(count(tally.bounces, "new bounce"));
    }
    if tally.duplicate > 0 {
        parts.push(count(tally.duplicate, "duplicate"));
    }
    if tally.not_a_report > 0 {
        parts.push(format!("{} without a report", tally.not_a_report));
    }
    if tally.problems > 0 {
        parts.push(format!("{} that could not be read whole: see `dmarcdb problems`", tally.problems));
    }
    format!("{} in {:.1} s: {}", count(tally.messages, "message"), took.as_secs_f64(), parts.join("; "))
}
