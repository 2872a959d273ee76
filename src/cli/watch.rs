//! `dmarcdb fetch --watch`: every account in a thread of its own, one database, until a signal ends it.
//!
//! A thread fetches without the database and takes it only to keep what it has fetched, so that a slow server does not
//! hold up the others. The main thread looks after signals and the service manager.

mod account;
mod health;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::notify::Notify;
use super::run::{self, Run};
use super::{Context, Error, Status, fetch};
use crate::config::{self, Config};
use crate::source::Stop;
use crate::store::Store;
use account::Watched;
use health::Condition;

/// How often to look for signals.
const LOOK: Duration = Duration::from_millis(100);

/// The signals that have come.
struct Signals {
    stop: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
}

impl Signals {
    fn listen() -> Result<Signals, Error> {
        let reload = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGHUP, reload.clone())
            .map_err(|error| Error::new(Status::Software, format_args!("signals: {error}")))?;
        Ok(Signals { stop: run::stop_on_signal()?, reload })
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// Those of the configuration and the database. What an account does only ends up in the log.
pub fn run(context: &Context, names: &[String]) -> Result<Status, Error> {
    let signals = Signals::listen()?;
    let notify = Notify::from_env();
    let mut config = context.config()?;
    fetch::chosen(&config, names)?;
    let mut path = context.db_path(&config);
    let mut store = open(&path)?;
    notify.ready();
    loop {
        let ended = watch_all(context, &config, names, store, &signals, &notify);
        if signals.stopped() || ended.is_err() {
            notify.stopping();
        }
        store = ended?;
        if signals.stopped() {
            return Ok(Status::Ok);
        }
        signals.reload.store(false, Ordering::Relaxed);
        notify.reloading();
        match context.config().and_then(|new| fetch::chosen(&new, names).map(|_| ()).map(|()| new)) {
            Ok(new) => {
                config = new;
                context.note("the configuration is read again");
            }
            Err(error) => super::say(format_args!("{}\nthe configuration stays as it was", error.text)),
        }
        let new_path = context.db_path(&config);
        if new_path != path {
            path = new_path;
            drop(store);
            store = open(&path)?;
        }
        notify.ready();
    }
}

fn open(path: &Path) -> Result<Store, Error> {
    Store::open(path).map_err(|error| run::store_error(&error))
}

/// Watches all accounts until a signal comes or the database fails.
fn watch_all(
    context: &Context,
    config: &Config,
    names: &[String],
    store: Store,
    signals: &Signals,
    notify: &Notify,
) -> Result<Store, Error> {
    let accounts = fetch::chosen(config, names)?;
    let halt = Arc::new(AtomicBool::new(false));
    let writer = Stop::new(halt.clone());
    let run = Mutex::new(Run::with(context, config, store, writer.clone(), false)?);
    let watched: Vec<Watched<'_, '_>> = accounts
        .iter()
        .map(|account| Watched {
            context,
            config,
            account,
            run: &run,
            stop: Stop::new(halt.clone()),
            health: Mutex::default(),
        })
        .collect();
    let ended = thread::scope(|scope| {
        let spawn = |one| thread::Builder::new().spawn_scoped(scope, move || Watched::run(one));
        let (threads, refused): (Vec<_>, Vec<_>) = watched.iter().map(spawn).partition(Result::is_ok);
        let threads: Vec<_> = threads.into_iter().flatten().collect();
        if let Some(Err(error)) = refused.into_iter().next() {
            writer.set();
            return Err(Error::new(Status::Temporary, format!("no thread to be had: {error}")));
        }
        let mut manager = Manager::new(notify, &writer, &watched);
        while !threads.iter().any(|thread| thread.is_finished()) {
            if signals.stopped() || signals.reload.load(Ordering::Relaxed) {
                break;
            }
            thread::sleep(LOOK);
            manager.look();
        }
        writer.set();
        let ended = threads.into_iter().map(|thread| {
            let bug = || Err(Error::new(Status::Software, "watching an account failed: a bug in dmarcdb"));
            thread.join().unwrap_or_else(|_| bug())
        });
        // All of them are waited for, the first failure counts.
        ended.collect::<Vec<_>>().into_iter().collect::<Result<(), Error>>()
    });
    drop(watched);
    let run = run.into_inner().unwrap_or_else(PoisonError::into_inner);
    ended.map(|()| run.into_store())
}

/// Tells the service manager that all is alive, and what is wrong.
struct Manager<'a, 'c> {
    notify: &'a Notify,
    writer: &'a Stop,
    watched: &'a [Watched<'a, 'c>],
    /// Of each account: the signs of life so far, and since when there were no more.
    signs: Vec<(u64, Instant)>,
    told_at: Option<Instant>,
    status: String,
}

impl<'a, 'c> Manager<'a, 'c> {
    fn new(notify: &'a Notify, writer: &'a Stop, watched: &'a [Watched<'a, 'c>]) -> Self {
        let signs = vec![(0, Instant::now()); watched.len()];
        Manager { notify, writer, watched, signs, told_at: None, status: String::new() }
    }

    fn look(&mut self) {
        // Whoever waits for the database lives, and whoever has it lets the writer show signs.
        let writer = self.writer.looks();
        for (sign, one) in self.signs.iter_mut().zip(self.watched) {
            let looks = one.stop.looks().wrapping_add(writer);
            if sign.0 != looks {
                *sign = (looks, Instant::now());
            }
        }
        if let Some(watchdog) = self.notify.watchdog() {
            let alive = self.signs.iter().all(|(_, since)| since.elapsed() < watchdog);
            if alive && self.told_at.is_none_or(|at| at.elapsed() >= watchdog / 4) {
                self.told_at = Some(Instant::now());
                self.notify.alive();
            }
        }
        let status = status(self.watched);
        if status != self.status {
            self.notify.status(&status);
            self.status = status;
        }
    }
}

fn status(watched: &[Watched<'_, '_>]) -> String {
    let names = |condition: Condition| {
        let names = watched.iter().filter(|one| one.condition() == condition).map(|one| one.account.name.as_str());
        names.collect::<Vec<&str>>()
    };
    let parts = [("watching", Condition::Working), ("starting", Condition::Starting), ("failing", Condition::Failing)];
    let parts = parts.map(|(word, condition)| (word, names(condition)));
    let parts =
        parts.iter().filter(|(_, names)| !names.is_empty()).map(|(word, names)| format!("{word} {}", names.join(", ")));
    parts.collect::<Vec<_>>().join("; ")
}

/// Now, seconds since the epoch.
fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

/// How an account of the configuration is settled.
fn settles(account: &config::Account) -> bool {
    account.after != crate::source::imap::After::Keep
}
