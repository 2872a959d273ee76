//! Mail from folders on an IMAP server (RFC 3501, RFC 9051), taken read-only and bounded whatever the server does.
//!
//! ```text
//!  ImapSource     folder by folder, batch by batch; settles
//!    session      the commands, their budgets, their failures
//!      (imap)     the protocol library
//!        guard    bounds and filters what the library may see
//!          wire   TCP and TLS, with a time limit on every wait
//! ```
//!
//! All five share a `watch`, which holds the time and bytes that are left.

mod account;
mod fetch;
mod guard;
mod login;
mod name;
mod session;
mod settle;
mod tls;
mod uids;
mod watch;
mod wire;

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

pub use account::{Account, After, Auth, Bounds, Known, Resume, Secret, Timeouts, Tls};
pub use tls::{authorities, is_server_name};

use super::{Error, ErrorKind, Mailbox, Origin, Refused, Source, Taken};
use fetch::Batch;
use session::{Connection, Failure, Opened};
use uids::Windows;

/// UIDs whose sizes are asked for by one command: as many as can be, because each costs a round trip in which nothing comes, and
/// the library holds half a kilobyte for each.
const SIZES: usize = 8000;
/// New connections in one run after messages on which one was lost, beside the one that a run always has.
const SUSPICIONS: u32 = 3;
/// Before a new connection after a lost one.
const PAUSE: Duration = Duration::from_secs(1);
/// Searches only to count what is left for the next run.
const COUNTING: u32 = 100;
/// Messages that may have come between opening a folder and searching it.
const ARRIVED: usize = 10_000;

/// The folders of one account.
///
/// Within a folder, messages come in ascending order of UID, those above the cursor, and then those of [`Known::retry`]. A
/// UID that no longer exists is passed over in silence. Something that concerns one folder only, such as that
/// it does not exist, does not keep the others from being read: the error comes when all are done.
pub struct ImapSource {
    account: Account,
    resume: Resume,
    run_until: Instant,
    connection: Connection,
    /// Whether a lost connection may still be replaced.
    may_reconnect: bool,
    /// Index of the folder that is selected at the server, and how.
    selected: Option<(usize, Selected)>,
    /// Index of the folder being read.
    current: usize,
    work: Option<Work>,
    /// Fetched and not yet handed out, in order.
    ready: VecDeque<Taken>,
    /// Messages fetched by one command; falls when a connection was lost.
    batch_messages: usize,
    /// How many of the next are fetched one by one, because a connection was lost on them.
    suspects: usize,
    /// How many more times a connection that is lost on a message is made again.
    suspicions: u32,
    /// What concerns single folders, for the end.
    failed: Vec<Error>,
    repeated: Vec<Origin>,
    gone: Vec<Origin>,
    notices: Vec<String>,
    warnings: Vec<String>,
    /// Whether it was said that the server sends messages that were not asked for.
    strange: bool,
    /// Messages and bytes taken in this run.
    taken: (u64, u64),
    /// What is left for the next run.
    waiting: Waiting,
    /// Searches made only to count.
    counting: u32,
    /// Whether a folder was opened for another purpose than to be read, so that news of it may have been lost.
    stale: bool,
    /// The move target as on the wire, once it is known to exist.
    target: Option<String>,
    /// All folders are done, or the connection is; what is ready is still handed out.
    ended: bool,
    /// And that is done too.
    over: bool,
    /// Whether the server refused to tell of new mail although it offers to.
    no_idle: bool,
}

/// A folder that is selected at the server.
#[derive(Clone, Copy, Debug)]
struct Selected {
    uid_validity: u32,
    read_only: bool,
}

/// What a run that reached its bound left for the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Messages.
    pub messages: u64,
    /// Whether there may be more, because counting was given up.
    pub at_least: bool,
}

/// A folder being read.
#[derive(Debug)]
struct Work {
    mailbox: Arc<Mailbox>,
    /// How many messages there were when it was opened, and how many were found since.
    exists: usize,
    all_found: usize,
    uid_next: Option<u32>,
    /// UIDs up to this one are tried again.
    cursor: u32,
    /// Those still to be tried again, when there is nothing new.
    retry: VecDeque<u32>,
    /// Found, sizes not yet known.
    found: VecDeque<u32>,
    /// With what the server claims of them.
    sized: VecDeque<(u32, Claim)>,
    windows: Windows,
    /// The last UID of the window that was searched, if it has one.
    window_end: Option<u32>,
    /// Up to this UID all sizes have been asked for.
    sized_to: u32,
    /// What a second search of the window found, where one was needed.
    found_again: Option<Vec<u32>>,
}

/// What the server says of a message before it is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// Its size.
    Bytes(u64),
    /// Nothing.
    Unknown,
    /// A search finds it, but FETCH passes over it.
    Withheld,
}

impl Claim {
    fn bytes(self) -> Option<u64> {
        match self {
            Claim::Bytes(bytes) => Some(bytes),
            Claim::Unknown | Claim::Withheld => None,
        }
    }
}

impl ImapSource {
    /// Connects and logs in. Folders are opened one after the other by [`Source::next`].
    ///
    /// # Errors
    /// [`ErrorKind::Temporary`] when there is no connection to be had, [`ErrorKind::Configuration`] for TLS and
    /// certificates, [`ErrorKind::Login`] when the server refuses the login, [`ErrorKind::Protocol`] when it is no
    /// IMAP server.
    pub fn connect(account: Account, resume: Resume) -> Result<ImapSource, Error> {
        let run_until = Instant::now() + account.timeouts.run;
        let connection = Connection::open(&account, run_until)?;
        let batch_messages = account.bounds.batch_messages.max(1);
        Ok(ImapSource {
            account,
            resume,
            run_until,
            connection,
            may_reconnect: true,
            selected: None,
            current: 0,
            work: None,
            ready: VecDeque::new(),
            batch_messages,
            suspects: 0,
            suspicions: SUSPICIONS,
            failed: Vec::new(),
            repeated: Vec::new(),
            gone: Vec::new(),
            notices: Vec::new(),
            warnings: Vec::new(),
            strange: false,
            taken: (0, 0),
            waiting: Waiting::default(),
            counting: 0,
            stale: false,
            target: None,
            ended: false,
            over: false,
            no_idle: false,
        })
    }

    /// The folders of the account that can be opened, as they are written in the configuration, sorted.
    ///
    /// # Errors
    /// Like [`ImapSource::connect`].
    pub fn list(account: &Account) -> Result<Vec<String>, Error> {
        let mut connection = Connection::open(account, Instant::now() + account.timeouts.run)?;
        let listing = |failure: Failure| {
            let (kind, reason) = failure.into_parts(ErrorKind::Protocol);
            Error { kind, place: account.place(), reason: format!("listing folders: {reason}") }
        };
        let names = connection.names("\"*\"").map_err(listing)?;
        let naming = connection.naming().map_err(listing)?;
        let mut names: Vec<_> = names.iter().map(|name| naming.decode(name)).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Takes the messages of [`Known::unsettled`] whose step has been repeated with success since last asked.
    pub fn take_repeated(&mut self) -> Vec<Origin> {
        std::mem::take(&mut self.repeated)
    }

    /// Takes the messages of [`Known::retry`] that were found to exist no longer since last asked: nobody needs to try
    /// them again.
    pub fn take_gone(&mut self) -> Vec<Origin> {
        std::mem::take(&mut self.gone)
    }

    /// Takes what the user should hear although nothing failed: the server's alerts, a folder that started over. May
    /// quote the server: sanitize before showing.
    pub fn take_notices(&mut self) -> Vec<String> {
        self.collect_alerts();
        std::mem::take(&mut self.notices)
    }

    /// Takes what the user should do something about although the run goes on: kept messages that the server did not let
    /// be flagged, moved or deleted. May quote the server: sanitize before showing.
    pub fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// What is left for the next run because [`Bounds::run_messages`] or [`Bounds::run_bytes`] were reached. Known at
    /// the end.
    pub fn waiting(&self) -> Waiting {
        self.waiting
    }

    /// Begins another run over the same connection, which goes on from where `resume` says.
    pub fn again(&mut self, resume: Resume) {
        self.run_until = Instant::now() + self.account.timeouts.run;
        self.connection.run_until(self.run_until);
        self.resume = resume;
        self.may_reconnect = true;
        self.batch_messages = self.account.bounds.batch_messages.max(1);
        self.selected = None;
        self.current = 0;
        self.work = None;
        self.ready.clear();
        self.taken = (0, 0);
        self.waiting = Waiting::default();
        self.counting = 0;
        self.stale = false;
        self.strange = false;
        self.suspects = 0;
        self.suspicions = SUSPICIONS;
        self.ended = false;
        self.over = false;
    }

    /// Waits between two runs until there may be new mail: told by the server in an IDLE of at most `idle` (RFC 2177),
    /// or after `poll`, where the server has no IDLE or there are more folders than the one it tells about.
    ///
    /// # Errors
    /// When the connection is lost.
    pub fn wait(&mut self, idle: Duration, poll: Duration) -> Result<(), Error> {
        if std::mem::take(&mut self.stale) {
            return Ok(());
        }
        if self.connection.can_idle && !self.no_idle && self.selected.is_some() {
            let time = if self.account.folders.len() == 1 { idle } else { idle.min(poll) };
            let Err(failure) = self.connection.idle(time) else { return Ok(()) };
            self.no_idle = matches!(failure, Failure::Refused(_));
            if !self.no_idle {
                let (kind, reason) = failure.into_parts(ErrorKind::Protocol);
                return Err(self.error(kind, format!("waiting for mail: {reason}")));
            }
        }
        let until = Instant::now() + poll;
        while Instant::now() < until && !self.connection.is_stopping() {
            thread::sleep(until.saturating_duration_since(Instant::now()).min(Duration::from_millis(200)));
        }
        Ok(())
    }

    /// Says it once, however often it happens.
    fn warn(&mut self, folder: &str, text: &str) {
        let warning = format!("{}: folder `{folder}`: {text}", self.connection.place());
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    fn collect_alerts(&mut self) {
        let place = self.connection.place();
        let alerts = self.connection.take_alerts();
        self.notices.extend(alerts.iter().map(|text| format!("{place}: the server says: {text}")));
    }

    fn error(&self, kind: ErrorKind, reason: String) -> Error {
        Error { kind, place: self.connection.place().to_owned(), reason }
    }

    fn folder_error(&self, folder: &str, kind: ErrorKind, reason: &str) -> Error {
        self.error(kind, format!("folder `{folder}`: {reason}"))
    }

    /// Does `step`, once more over a new connection if this one is lost in it.
    fn persist<T>(&mut self, mut step: impl FnMut(&mut Self) -> Result<T, Failure>) -> Result<T, Error> {
        loop {
            let failure = match step(self) {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            let lost = matches!(failure, Failure::Lost(_));
            if !lost || !self.may_reconnect || self.connection.is_stopping() {
                let (kind, reason) = failure.into_parts(ErrorKind::Temporary);
                return Err(self.error(kind, reason));
            }
            self.reconnect()?;
        }
    }

    fn reconnect(&mut self) -> Result<(), Error> {
        self.may_reconnect = false;
        self.selected = None;
        self.collect_alerts();
        // On a line that breaks, smaller answers have a better chance to come through whole.
        self.batch_messages = (self.batch_messages / 8).max(1);
        thread::sleep(PAUSE);
        self.connection = Connection::open(&self.account, self.run_until)?;
        self.stale = true;
        Ok(())
    }

    /// Makes `ready` grow, or goes one step towards it; false when all folders are done.
    fn advance(&mut self) -> Result<bool, Failure> {
        if self.connection.is_stopping() {
            return Err(Failure::Broken(ErrorKind::Temporary, watch::STOPPED.into()));
        }
        if Instant::now() >= self.run_until {
            let reason = watch::out_of_time(self.account.timeouts.run);
            return Err(Failure::Broken(ErrorKind::Temporary, reason));
        }
        let Some(folder) = self.account.folders.get(self.current).cloned() else {
            return Ok(false);
        };
        let Some(selected) = self.select(self.current)? else {
            self.next_folder();
            return Ok(true);
        };
        let stale = |work: &Work| work.mailbox.uid_validity != selected.0.uid_validity;
        if self.work.as_ref().is_some_and(stale) {
            self.notices.push(format!(
                "{}: folder `{folder}`: UIDVALIDITY changed; it is read from its beginning",
                self.connection.place()
            ));
            self.work = None;
        }
        let Some(mut work) = self.work.take() else {
            let opened = match selected.1 {
                Some(opened) => opened,
                // It was selected for settling, before its turn.
                None => {
                    self.selected = None;
                    return Ok(true);
                }
            };
            self.work = Some(self.begin(&folder, selected.0, opened)?);
            return Ok(true);
        };
        let goes_on = self.work_on(&mut work);
        if goes_on == Ok(false) {
            self.next_folder();
        } else {
            self.work = Some(work);
        }
        goes_on.map(|_| true)
    }

    fn next_folder(&mut self) {
        self.work = None;
        self.current += 1;
    }

    /// Selects the folder unless it is; what the server said of it if it was not. `None` when it cannot be used, which
    /// is noted for the end.
    fn select(&mut self, index: usize) -> Result<Option<(Selected, Option<Opened>)>, Failure> {
        if let Some((selected_index, selected)) = self.selected
            && selected_index == index
            && self.connection.is_open()
        {
            return Ok(Some((selected, None)));
        }
        let Some(folder) = self.account.folders.get(index).cloned() else {
            return Ok(None);
        };
        self.selected = None;
        let read_only = self.account.after == After::Keep;
        let mut refusal = None;
        for name in self.connection.names_of(&folder)? {
            match self.connection.select(&name, read_only) {
                Ok(opened) => return Ok(self.opened(index, &folder, opened)),
                Err(Failure::Refused(said)) => {
                    let missing = said.kind(ErrorKind::Configuration) == ErrorKind::Configuration;
                    // A missing folder may bear another name; any other reason is the one to tell.
                    if refusal.is_none() || !missing {
                        refusal = Some(said);
                    }
                    if !missing {
                        break;
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
        if let Some(refusal) = refusal {
            let failure = Failure::Refused(refusal);
            let (kind, reason) = failure.into_parts(ErrorKind::Configuration);
            self.failed.push(self.folder_error(&folder, kind, &reason));
        }
        Ok(None)
    }

    fn opened(&mut self, index: usize, folder: &str, opened: Opened) -> Option<(Selected, Option<Opened>)> {
        let Some(uid_validity) = opened.uid_validity else {
            let reason = "the server gives no lasting UIDs (no UIDVALIDITY, or UIDNOTSTICKY), so that messages could \
                be lost or counted twice";
            self.failed.push(self.folder_error(folder, ErrorKind::Protocol, reason));
            return None;
        };
        let selected = Selected { uid_validity, read_only: opened.read_only };
        self.selected = Some((index, selected));
        Some((selected, Some(opened)))
    }

    /// Starts on a folder that has just been selected: repeats what was not settled, and finds where to go on.
    fn begin(&mut self, folder: &str, selected: Selected, opened: Opened) -> Result<Work, Failure> {
        let mailbox = Arc::new(Mailbox {
            account: self.account.name.clone(),
            server: self.account.server(),
            folder: folder.to_owned(),
            uid_validity: selected.uid_validity,
        });
        if self.resume.is_renumbered(&mailbox) {
            let text = "the server numbers its messages anew (UIDVALIDITY changed); all are looked at again, and those \
                that are known are not stored twice";
            self.warn(folder, text);
        }
        let known = self.resume.known(&mailbox).cloned();
        let (cursor, mut retry, unsettled) = match known {
            Some(known) => (known.cursor_uid, known.retry, known.unsettled),
            None => (0, Vec::new(), Vec::new()),
        };
        self.repeat(&mailbox, selected.read_only, unsettled)?;
        // Those above the cursor are found anyway.
        retry.retain(|uid| (1..=cursor).contains(uid));
        Ok(Work {
            mailbox,
            exists: opened.exists as usize,
            all_found: 0,
            uid_next: opened.uid_next,
            cursor,
            retry: retry.into(),
            found: VecDeque::new(),
            sized: VecDeque::new(),
            windows: Windows::new(cursor, opened.exists, opened.uid_next),
            window_end: None,
            sized_to: cursor,
            found_again: None,
        })
    }

    /// Whether this run may take no more.
    fn is_full(&self) -> bool {
        let Bounds { run_messages, run_bytes, .. } = self.account.bounds;
        let (messages, bytes) = self.taken;
        (run_messages > 0 && messages >= run_messages) || (run_bytes > 0 && bytes >= run_bytes)
    }

    /// Counts what the next run will find, one search at a time; false when that is done.
    fn count_on(&mut self, work: &mut Work) -> Result<bool, Failure> {
        self.waiting.messages += (work.found.len() + work.sized.len() + work.retry.len()) as u64;
        work.found.clear();
        work.sized.clear();
        work.retry.clear();
        if work.windows.current().is_none() {
            return Ok(false);
        }
        if self.counting >= COUNTING {
            self.waiting.at_least = true;
            return Ok(false);
        }
        self.counting += 1;
        self.search_on(work).map(|()| true)
    }

    fn search_on(&mut self, work: &mut Work) -> Result<(), Failure> {
        let Some((set, within)) = work.windows.current() else { return Ok(()) };
        let mut uids = self.connection.search(&set)?;
        uids.retain(|uid| within.contains(uid));
        work.all_found += uids.len();
        if work.all_found > work.exists.saturating_add(ARRIVED)
            && let Some(next) = work.uid_next
        {
            // A server that lists more than it has. What really came meanwhile is there for the next run.
            uids.retain(|uid| *uid < next);
        }
        work.windows.advance(uids.len());
        work.window_end = Some(*within.end()).filter(|last| *last < u32::MAX);
        work.found_again = None;
        work.found.extend(uids);
        Ok(())
    }

    /// One command for the folder that is selected; false when it is done.
    fn work_on(&mut self, work: &mut Work) -> Result<bool, Failure> {
        if self.is_full() {
            return self.count_on(work);
        }
        if !work.sized.is_empty() {
            let batch = self.next_batch(work);
            match self.fetch(work, &batch) {
                Ok(taken) => self.ready.extend(taken),
                Err(failure) => {
                    self.interrupted(work, &batch, &failure);
                    return Err(failure);
                }
            }
            self.suspects = self.suspects.saturating_sub(batch.order.len());
            work.sized.drain(..batch.order.len());
        } else if !work.found.is_empty() {
            self.ask_sizes(work)?;
        } else if work.windows.current().is_some() {
            self.search_on(work)?;
        } else if let Some(uid) = work.retry.pop_front() {
            work.found_again = None;
            work.found.push_back(uid);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// The connection failed on a batch. Its messages are then fetched one by one, and one on which it fails again is put
    /// off until the others have been read: it may be what the server fails on, and it would do so in every run.
    fn interrupted(&mut self, work: &mut Work, batch: &Batch, failure: &Failure) {
        // Where the run was at its end or told to stop, it was not the messages.
        if self.connection.is_stopping() || Instant::now() >= self.run_until {
            return;
        }
        let (lost, reason) = match failure {
            Failure::Lost(reason) => (true, reason),
            Failure::Broken(_, reason) => (false, reason),
            // A server that refuses says so of all.
            Failure::Refused(_) => return,
        };
        let alone = self.suspects > 0 || batch.order.len() == 1;
        let was_free = lost && self.may_reconnect;
        if lost && !was_free && self.suspicions > 0 {
            self.suspicions -= 1;
            self.may_reconnect = true;
        }
        if lost && self.may_reconnect && (was_free || !alone) {
            self.suspects = batch.order.len();
            return;
        }
        self.suspects = self.suspects.saturating_sub(batch.order.len());
        self.put_off(work, batch, reason);
    }

    fn put_off(&mut self, work: &mut Work, batch: &Batch, reason: &str) {
        for (uid, claim, too_large) in &batch.order {
            let origin = Origin::Imap { mailbox: work.mailbox.clone(), uid: *uid };
            let refusal = match *too_large {
                true => Refused::TooLarge { limit: self.account.bounds.message_bytes },
                false => Refused::Interrupted(reason.to_owned()),
            };
            self.ready.push_back(Taken::Refused { origin, bytes: claim.bytes().unwrap_or(0), refusal });
        }
        work.sized.drain(..batch.order.len());
        if self.may_reconnect {
            // The run goes on, and must not end as if nothing were missing.
            let count = batch.order.len();
            let text = format!("{count} left to the next run, because the connection failed on it: {reason}");
            let error = self.folder_error(&work.mailbox.folder, ErrorKind::Temporary, &text);
            self.failed.push(error);
        }
    }

    /// The error for the end, if anything failed: of the first kind, naming everything.
    fn finish(&mut self) -> Result<Option<Taken>, Error> {
        self.over = true;
        let mut failed = std::mem::take(&mut self.failed).into_iter();
        let Some(mut first) = failed.next() else {
            return Ok(None);
        };
        let cause = format!(": {}", first.reason);
        for error in failed {
            first.reason.push_str("; ");
            // What ended the run is told once.
            first.reason.push_str(error.reason.strip_suffix(&cause).unwrap_or(&error.reason));
        }
        Err(first)
    }
}

impl Source for ImapSource {
    /// The answer to a command, and the messages that are made of it.
    fn held_kib(&self) -> i32 {
        15_000
    }

    fn next(&mut self) -> Result<Option<Taken>, Error> {
        loop {
            if let Some(taken) = self.ready.pop_front() {
                return Ok(Some(taken));
            }
            if self.over {
                return Ok(None);
            }
            if self.ended {
                return self.finish();
            }
            match self.persist(Self::advance) {
                Ok(goes_on) => self.ended = !goes_on,
                Err(error) => {
                    self.failed.insert(0, error);
                    self.ended = true;
                }
            }
        }
    }

    fn settle(&mut self, settled: &[(Origin, super::Fate)]) -> Result<Vec<Origin>, Error> {
        self.settle_all(settled)
    }

    /// Those found so far; a folder that has not been searched to its end holds more.
    fn remaining(&self) -> Option<u64> {
        let work = self.work.as_ref();
        let found = work.map_or(0, |work| work.found.len() + work.sized.len() + work.retry.len());
        Some((found + self.ready.len()) as u64)
    }
}
