//! One account under watch: connect, read all there is, wait for more, and again.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use super::health::{Condition, Health, jitter};
use super::{now, settles};
use crate::cli::login::Door;
use crate::cli::run::{self, Run};
use crate::cli::{Context, Error, Status, fetch};
use crate::config::{self, Config};
use crate::source::imap::{ImapSource, Resume};
use crate::source::{self, Fate, Origin, Source, Stop, Taken};

/// Messages and bytes that are fetched before the database is taken to keep them.
const CHUNK_MESSAGES: usize = 500;
const CHUNK_BYTES: usize = 8 << 20;
/// How often to note that an account without news was read to its end.
const NOTE: Duration = Duration::from_secs(300);
/// No run ends because of its time or size: there is always a next one. Each command still has its own bounds.
const RUN: Duration = Duration::from_secs(30 * 86400);
/// Between two looks whether the database is free.
const LOOK: Duration = Duration::from_millis(5);

/// An account under watch.
pub struct Watched<'s, 'c> {
    pub context: &'c Context,
    pub config: &'s Config,
    pub account: &'s config::Account,
    /// The database, for one at a time.
    pub run: &'s Mutex<Run<'c>>,
    pub stop: Stop,
    pub health: Mutex<Health>,
}

/// Why a session ended before it was time to stop.
enum Trouble {
    /// Something with this account: it is tried again.
    Account(Error),
    /// The database: it may not be as it seems until it is opened again.
    Database(Error),
}

impl<'c> Watched<'_, 'c> {
    /// How the account fares.
    pub fn condition(&self) -> Condition {
        self.health().condition()
    }

    /// Watches until it is time to stop.
    ///
    /// # Errors
    /// Those of the database.
    pub fn run(&self) -> Result<(), Error> {
        let mut door = Door::new(self.config, self.account, self.stop.clone());
        while !self.stop.is_set() {
            match self.session(&mut door) {
                Ok(()) => {}
                Err(Trouble::Database(error)) => return Err(error),
                Err(Trouble::Account(_)) if self.stop.is_set() => {}
                Err(Trouble::Account(error)) => {
                    let advice = self.health().failed(error.status, Instant::now());
                    let pause = jitter(advice.pause);
                    let text = format!("{}; trying again in {:.0?}", error.text, pause);
                    if advice.tell {
                        crate::cli::say(text);
                    } else {
                        self.context.detail(text);
                    }
                    self.pause(pause);
                }
            }
        }
        Ok(())
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until && !self.stop.is_set() {
            thread::sleep(until.saturating_duration_since(Instant::now()).min(Duration::from_millis(100)));
        }
    }

    /// One connection.
    fn session(&self, door: &mut Door<'_>) -> Result<(), Trouble> {
        let resume = self.resume()?;
        let connected = door.connect(resume, |imap| {
            imap.timeouts.run = RUN;
            (imap.bounds.run_messages, imap.bounds.run_bytes) = (0, 0);
        });
        let mut source = connected.map_err(Trouble::Account)?;
        self.health().connected(Instant::now());
        let mut noted_at: Option<Instant> = None;
        loop {
            let taken = self.drain(&mut source)?;
            if self.stop.is_set() {
                return Ok(());
            }
            if let Some(time) = self.health().works(Instant::now()) {
                let name = &self.account.name;
                self.context.note(format_args!("account `{name}`: works again, after {:.0?}", time));
            }
            if taken || noted_at.is_none_or(|at| at.elapsed() >= NOTE) {
                noted_at = Some(Instant::now());
                let noted = self.database().store_mut().reached_end(&self.account.server(), now());
                noted.map_err(|error| Trouble::Database(run::store_error(&error)))?;
            }
            let waited = source.wait(self.account.idle, self.account.poll);
            waited.map_err(|error| Trouble::Account(run::source_error(&error)))?;
            if self.stop.is_set() {
                return Ok(());
            }
            source.again(self.resume()?);
        }
    }

    fn resume(&self) -> Result<Resume, Trouble> {
        let run = self.database();
        fetch::resume(run.store(), &self.account.server(), settles(self.account)).map_err(Trouble::Database)
    }

    /// The database, as soon as no other account has it.
    fn database(&self) -> MutexGuard<'_, Run<'c>> {
        loop {
            // Also a sign of life while others have it for long.
            let _ = self.stop.is_set();
            match self.run.try_lock() {
                Ok(run) => return run,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => thread::sleep(LOOK),
            }
        }
    }

    /// Reads all there is; whether that was anything.
    fn drain(&self, source: &mut ImapSource) -> Result<bool, Trouble> {
        let mut any = false;
        loop {
            let (items, end) = fetch_some(source);
            any |= !items.is_empty();
            let last = end.is_some();
            self.keep(items, source)?;
            if let Some(Err(error)) = end {
                return Err(Trouble::Account(run::source_error(&error)));
            }
            if last || self.stop.is_set() {
                return Ok(any);
            }
        }
    }

    fn keep(&self, items: VecDeque<Taken>, source: &mut ImapSource) -> Result<(), Trouble> {
        let kept = {
            let mut run = self.database();
            let mut kept = Ok(());
            let any = !items.is_empty();
            if any {
                run.set_now(now());
                let mut fetched = Fetched { items, source };
                kept = run.source(&mut fetched, settles(self.account), fetch::reserved(self.account), false);
                kept = kept.and_then(|()| run.judge());
            }
            fetch::note(run.store_mut(), source).map_err(Trouble::Database)?;
            if any && kept.is_ok() {
                self.health().progressed();
            }
            kept
        };
        fetch::tell(self.context, source);
        kept.map_err(|error| match error.status {
            // Of the database these are final; a server's protocol or login is not its business.
            Status::Io | Status::CannotCreate => Trouble::Database(error),
            _ => Trouble::Account(error),
        })
    }
}

/// What can be fetched without the database, and how it ended if it did.
fn fetch_some(source: &mut ImapSource) -> (VecDeque<Taken>, Option<Result<(), source::Error>>) {
    let mut items = VecDeque::new();
    let mut bytes = 0;
    while items.len() < CHUNK_MESSAGES && bytes < CHUNK_BYTES {
        match source.next() {
            Ok(Some(taken)) => {
                if let Taken::Message(message) = &taken {
                    bytes += message.bytes.len();
                }
                items.push_back(taken);
            }
            Ok(None) => return (items, Some(Ok(()))),
            Err(error) => return (items, Some(Err(error))),
        }
    }
    (items, None)
}

/// Messages that are here already; settling them goes to the server.
struct Fetched<'a> {
    items: VecDeque<Taken>,
    source: &'a mut ImapSource,
}

impl Source for Fetched<'_> {
    fn next(&mut self) -> Result<Option<Taken>, source::Error> {
        Ok(self.items.pop_front())
    }

    fn settle(&mut self, settled: &[(Origin, Fate)]) -> Result<Vec<Origin>, source::Error> {
        self.source.settle(settled)
    }
}
