//! The pipeline: one thread takes, all cores read, one writer keeps in batches and has the source settle what is kept.
//!
//! Messages are kept in the order they were taken, whatever core reads them first: so the database does not depend on
//! the number of cores, and an IMAP folder's cursor never passes a message that is not kept.

mod gate;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded, unbounded};
use sha2::{Digest, Sha256};

use self::gate::Gate;
use crate::problem::{Code, Problem, Refusal};
use crate::reading::{self, Auth, Reading};
use crate::source::{self, Fate, Message, Origin, Source, Taken};
use crate::store::{self, Arrival, Content, Kept, Ours, Outcome, Store};

/// Records of one message that are held once as much is under way as may be; what is longer is read twice.
const HELD_BYTES_WHEN_FULL: usize = 64 << 10;
/// Messages that may wait to be read: as many as one command of IMAP brings and more, so that the next one is asked for while they
/// are read.
const MESSAGES_TAKEN: usize = 3000;
/// Messages that may wait to be kept; what was read in one may be many times its bytes.
const MESSAGES_READ: usize = 512;
/// What was read in so many messages may wait until the memory is given back by a thread that reads, if it is no more than this.
/// Given back by the writer, each of its pieces is a call on what the other thread is using.
const SPENT: usize = 64;
const SPENT_BYTES: usize = 64 << 10;
/// A batch is committed at this many messages, unless told otherwise: each commit writes every page that its messages touched,
/// and with keys as random as digests and people's addresses few messages share one,
pub const BATCH_MESSAGES: usize = 4000;
/// or this many records,
const BATCH_RECORDS: u64 = 50_000;
/// or when it is this old.
const BATCH_AGE: Duration = Duration::from_secs(1);

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// What reading needs.
    pub reading: reading::Settings,
    /// What deciding about complaints needs.
    pub ours: Ours,
    /// Threads that read. 0: the writer does, where there is one core. What was read is then given back by the thread that took
    /// the memory, and while it is in the processor's caches.
    pub readers: usize,
    /// Now, seconds since the epoch.
    pub now: i64,
    /// Checks signatures of mail that the own server said nothing about; `None`: nobody does.
    pub verifier: Option<Verifier>,
    /// Whether the source flags, moves or deletes what is kept.
    pub settles: bool,
    /// Which messages come from where only feedback loops or mail servers write to.
    pub reserved: Reserved,
    /// Read and count, but keep nothing and leave the source alone.
    pub dry_run: bool,
    /// Messages after which is committed, at the latest; [`BATCH_MESSAGES`] is fast.
    pub batch_messages: usize,
}

/// Checks the DKIM signatures of mails. It may take its time, within bounds of its own, and is called by every reader.
pub trait Verify: Send + Sync {
    /// The domains whose signatures on a mail pass.
    fn passed(&self, message: &[u8]) -> Vec<String>;
}

/// Whoever does that.
#[derive(Clone)]
pub struct Verifier(pub Arc<dyn Verify>);

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier")
    }
}

/// What is known to feedback loops only, or to mail servers only, so that complaints or bounces in it are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reserved {
    /// Known to feedback loops only.
    pub complaints: Share,
    /// Known to mail servers only.
    pub bounces: Share,
}

/// A share of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Share {
    /// Nothing.
    #[default]
    No,
    /// The whole source.
    All,
    /// These folders of it.
    Folders(Vec<String>),
}

impl Reserved {
    fn at(&self, origin: &Origin) -> source::Reserved {
        source::Reserved { complaints: self.complaints.holds(origin), bounces: self.bounces.holds(origin) }
    }
}

impl Share {
    fn holds(&self, origin: &Origin) -> bool {
        match (self, origin) {
            (Share::No, _) => false,
            (Share::All, _) => true,
            (Share::Folders(folders), Origin::Imap { mailbox, .. }) => folders.contains(&mailbox.folder),
            (Share::Folders(_), _) => false,
        }
    }
}

/// What a run did. The five outcomes add up to `messages`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages taken, or refused while taking.
    pub messages: u64,
    /// Of these stored whole.
    pub stored: u64,
    /// Known before, or holding only what was known.
    pub duplicate: u64,
    /// Without a report.
    pub not_a_report: u64,
    /// With something that could not be read.
    pub problems: u64,
    /// Of the problems: something else in them was stored.
    pub partial: u64,
    /// New reports by kind: aggregate, failure, tls.
    pub reports: [u64; 3],
    /// New complaints.
    pub complaints: u64,
    /// New bounces.
    pub bounces: u64,
    /// New records.
    pub records: u64,
}

impl Tally {
    fn add(&mut self, kept: &Kept) {
        self.messages += 1;
        match kept.outcome {
            Outcome::Stored => self.stored += 1,
            Outcome::Duplicate => self.duplicate += 1,
            Outcome::NotAReport => self.not_a_report += 1,
            Outcome::Problem => self.problems += 1,
            Outcome::Partial => {
                self.problems += 1;
                self.partial += 1;
            }
        }
        self.reports.iter_mut().zip(kept.reports).for_each(|(sum, count)| *sum += count);
        self.complaints += kept.complaints;
        self.bounces += kept.bounces;
        self.records += kept.records;
    }

    /// Adds another run's counts.
    pub fn merge(&mut self, other: &Tally) {
        self.messages += other.messages;
        self.stored += other.stored;
        self.duplicate += other.duplicate;
        self.not_a_report += other.not_a_report;
        self.problems += other.problems;
        self.partial += other.partial;
        self.reports.iter_mut().zip(other.reports).for_each(|(sum, count)| *sum += count);
        self.complaints += other.complaints;
        self.bounces += other.bounces;
        self.records += other.records;
    }
}

/// Who looks on.
pub trait Observer {
    /// A message was kept (not yet committed).
    fn kept(&mut self, origin: &Origin, kept: &Kept, tally: &Tally, remaining: Option<u64>);
}

/// Why a run ended early. What was committed stays, and the next run goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source can not go on.
    #[error("{0}")]
    Source(source::Error),
    /// The database can not go on.
    #[error("{0}")]
    Store(#[from] store::Error),
    /// The system gave no thread.
    #[error("cannot start a thread: {0}; run again when the machine is less busy")]
    Thread(std::io::Error),
    /// A signal asked to stop.
    #[error("stopped by a signal; what was read so far is kept")]
    Stopped,
}

/// Runs everything that `source` has into `store`. The tally tells what is committed, also when an error ended the run.
pub fn run(
    source: &mut (dyn Source + Send),
    store: &mut Store,
    options: &Options,
    stop: &AtomicBool,
    observer: &mut dyn Observer,
) -> (Tally, Result<(), Error>) {
    store.leave_memory(source.held_kib());
    let (to_readers, jobs) = bounded::<Job>(MESSAGES_TAKEN);
    let (to_writer, done) = bounded::<Done>(MESSAGES_READ);
    let (give_back, spent) = bounded::<Box<Reading>>(SPENT);
    let (to_source, settled) = unbounded::<Vec<(Origin, Fate)>>();
    let (to_confirm, confirmed) = unbounded::<Vec<Origin>>();
    let gate = Gate::default();
    let remaining = Mutex::new(None);
    thread::scope(|scope| {
        // One reader is enough, where there can be no more.
        let mut reading = if options.readers == 0 { Ok(()) } else { Err(std::io::Error::other("none was started")) };
        for _ in 0..options.readers {
            let (jobs, to_writer, spent) = (jobs.clone(), to_writer.clone(), spent.clone());
            let gate = &gate;
            let work = move || read_all(&jobs, &to_writer, &spent, options, gate);
            match thread::Builder::new().spawn_scoped(scope, work) {
                Ok(_) => reading = Ok(()),
                Err(error) => reading = reading.or(Err(error)),
            }
        }
        // Theirs alone: what nobody will give back, the writer does.
        drop((to_writer, spent));
        // Where nothing is done yet the writer reads as well, unless it might have to wait for answers.
        let helps = options.verifier.is_none();
        let next = |most: Duration| {
            if options.readers == 0 {
                return jobs.recv_timeout(most).map(|job| read(job, options, &gate));
            }
            match done.try_recv() {
                Ok(done) => return Ok(done),
                Err(TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
                Err(TryRecvError::Empty) => {}
            }
            match helps.then(|| jobs.try_recv()) {
                Some(Ok(job)) => Ok(read(job, options, &gate)),
                _ => done.recv_timeout(most),
            }
        };
        let mut taker = Taker { source, to_readers, settled, to_confirm, gate: &gate, remaining: &remaining, stop };
        let taking = reading.and_then(|()| thread::Builder::new().spawn_scoped(scope, move || taker.run()));
        let taking = match taking {
            Ok(taking) => taking,
            Err(error) => return (Tally::default(), Err(Error::Thread(error))),
        };
        let mut writer = Writer {
            store,
            options,
            tally: Tally::default(),
            committed: Tally::default(),
            batch: Vec::new(),
            batch_records: 0,
            batch_since: None,
            to_source,
            give_back,
            gate: &gate,
        };
        let kept = writer.run(&next, &remaining, observer);
        if kept.is_err() {
            // Let everybody upstream run into closed doors instead of waiting for ever.
            gate.open_for_good();
        }
        let tally = writer.committed.clone();
        let Writer { store, to_source, give_back, .. } = writer;
        drop((jobs, done, give_back));
        drop(to_source);
        let taken = taking.join().unwrap_or_else(|_| {
            let reason = "the reader of this source failed: a bug in dmarcdb".to_owned();
            Err(Error::Source(source::Error { kind: source::ErrorKind::Protocol, place: "source".into(), reason }))
        });
        let confirmed: Vec<Origin> = confirmed.try_iter().flatten().collect();
        let confirm = if confirmed.is_empty() || kept.is_err() { Ok(()) } else { store.confirm(&confirmed) };
        (tally, kept.map_err(Error::from).and(taken).and(confirm.map_err(Error::from)))
    })
}

/// Something taken, with its number in the order of taking.
struct Job {
    number: u64,
    taken: Taken,
    weight: u64,
}

/// Something read.
struct Done {
    number: u64,
    weight: u64,
    origin: Origin,
    received_at: Option<i64>,
    content: Content,
}

/// The source's thread: takes, and between takes settles what was committed.
struct Taker<'a> {
    source: &'a mut (dyn Source + Send),
    to_readers: Sender<Job>,
    settled: Receiver<Vec<(Origin, Fate)>>,
    to_confirm: Sender<Vec<Origin>>,
    gate: &'a Gate,
    remaining: &'a Mutex<Option<u64>>,
    stop: &'a AtomicBool,
}

impl Taker<'_> {
    fn run(&mut self) -> Result<(), Error> {
        let taken = self.take_all();
        // No more work: the readers and then the writer come to their end.
        let (closed, _) = bounded(0);
        drop(std::mem::replace(&mut self.to_readers, closed));
        let mut settling = Ok(());
        for batch in self.settled.clone() {
            if settling.is_ok() {
                settling = self.settle(&batch);
            }
        }
        taken.and(settling)
    }

    fn take_all(&mut self) -> Result<(), Error> {
        for number in 0.. {
            while let Ok(batch) = self.settled.try_recv() {
                self.settle(&batch)?;
            }
            if self.stop.load(Ordering::Relaxed) {
                return Err(Error::Stopped);
            }
            let Some(taken) = self.source.next().map_err(|error| self.failed(error))? else { return Ok(()) };
            *self.remaining.lock().unwrap_or_else(PoisonError::into_inner) = self.source.remaining();
            let weight = match &taken {
                Taken::Message(message) => message.bytes.len() as u64,
                Taken::Refused { .. } => 0,
            };
            if !self.gate.enter(weight) || self.to_readers.send(Job { number, taken, weight }).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// A source that was asked to stop has nothing else to say.
    fn failed(&self, error: source::Error) -> Error {
        if self.stop.load(Ordering::Relaxed) { Error::Stopped } else { Error::Source(error) }
    }

    fn settle(&mut self, batch: &[(Origin, Fate)]) -> Result<(), Error> {
        let done = self.source.settle(batch).map_err(|error| self.failed(error))?;
        // The writer's end is open until this thread has ended.
        let _ = self.to_confirm.send(done);
        Ok(())
    }
}

fn read_all(
    jobs: &Receiver<Job>,
    to_writer: &Sender<Done>,
    spent: &Receiver<Box<Reading>>,
    options: &Options,
    gate: &Gate,
) {
    for job in jobs {
        spent.try_iter().for_each(drop);
        if to_writer.send(read(job, options, gate)).is_err() {
            return;
        }
    }
}

fn read(job: Job, options: &Options, gate: &Gate) -> Done {
    let Job { number, taken, mut weight } = job;
    let (origin, received_at, content) = match taken {
        Taken::Refused { origin, bytes, refusal } => (origin, None, Content::Refused { bytes, refused: refusal }),
        Taken::Message(Message { origin, bytes, received_at }) => {
            let sha256 = Sha256::digest(&bytes).into();
            let name = file_name(&origin);
            let held_bytes = if gate.is_full() { HELD_BYTES_WHEN_FULL } else { reading::HELD_BYTES };
            let reading = Box::new(read_verified(&bytes, name.as_deref(), options, held_bytes));
            let held_bytes = reading.held_bytes as u64;
            gate.add(held_bytes);
            weight += held_bytes;
            (origin, received_at, Content::Read { bytes, sha256, name, reading })
        }
    };
    Done { number, weight, origin, received_at, content }
}

/// Reads a message and has its signatures checked, as `options` say.
pub fn read_verified(bytes: &[u8], name: Option<&str>, options: &Options, held_bytes: usize) -> Reading {
    let mut reading = read_safely(bytes, name, &options.reading, held_bytes);
    verify(&mut reading, bytes, options.verifier.as_ref());
    reading
}

/// Asks whoever checks signatures about a mail with something in it whose word matters.
fn verify(reading: &mut Reading, message: &[u8], verifier: Option<&Verifier>) {
    if let (Some(Verifier(verifier)), Some(head)) = (verifier, &mut reading.head)
        && head.auth == Auth::None
        && !reading.found.is_empty()
    {
        head.believe(&verifier.passed(message));
    }
}

/// The name of a file that is read by itself; a message of a mailbox has none.
fn file_name(origin: &Origin) -> Option<String> {
    match origin {
        Origin::File { path, index: None } => Some(path.file_name()?.to_string_lossy().into_owned()),
        _ => None,
    }
}

/// A bug of ours in one message must not cost the others: it becomes a problem, with the bytes kept.
pub fn read_safely(bytes: &[u8], name: Option<&str>, settings: &reading::Settings, held_bytes: usize) -> Reading {
    let read = || reading::read_holding(bytes, name, settings, held_bytes);
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        let refusal = Refusal::new(Code::Crash, "reading it failed: a bug in dmarcdb, please report it");
        Reading { problems: vec![Problem::whole(refusal, bytes)], ..Reading::default() }
    })
}

/// The one thread that writes.
struct Writer<'a> {
    store: &'a mut Store,
    options: &'a Options,
    /// With the batch under way.
    tally: Tally,
    /// Without it.
    committed: Tally,
    batch: Vec<(Origin, Fate)>,
    batch_records: u64,
    batch_since: Option<Instant>,
    to_source: Sender<Vec<(Origin, Fate)>>,
    give_back: Sender<Box<Reading>>,
    gate: &'a Gate,
}

impl Writer<'_> {
    fn run(
        &mut self,
        next: &dyn Fn(Duration) -> Result<Done, RecvTimeoutError>,
        remaining: &Mutex<Option<u64>>,
        observer: &mut dyn Observer,
    ) -> Result<(), store::Error> {
        let result = self.keep_all(next, remaining, observer).and_then(|()| self.commit());
        if result.is_err() {
            self.store.abandon();
        }
        result
    }

    fn keep_all(
        &mut self,
        next: &dyn Fn(Duration) -> Result<Done, RecvTimeoutError>,
        remaining: &Mutex<Option<u64>>,
        observer: &mut dyn Observer,
    ) -> Result<(), store::Error> {
        let mut waiting = BTreeMap::new();
        let mut due = 0;
        loop {
            match next(BATCH_AGE) {
                Ok(done) => waiting.insert(done.number, done),
                Err(RecvTimeoutError::Timeout) => {
                    self.commit()?;
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            while let Some(done) = waiting.remove(&due) {
                due += 1;
                let weight = done.weight;
                let origin = done.origin.clone();
                let kept = self.keep(done.origin, done.received_at, done.content)?;
                self.gate.leave(weight);
                if let Some(kept) = kept {
                    self.batch_records += kept.records;
                    self.tally.add(&kept);
                    let remaining = *remaining.lock().unwrap_or_else(PoisonError::into_inner);
                    observer.kept(&origin, &kept, &self.tally, remaining);
                    self.batch.push((origin, kept.fate));
                }
                self.commit_if_due()?;
            }
        }
    }

    /// Keeps one message. `None`: its server is to be asked for it again by a later run.
    fn keep(
        &mut self,
        origin: Origin,
        received_at: Option<i64>,
        content: Content,
    ) -> Result<Option<Kept>, store::Error> {
        if self.batch_since.is_none() {
            self.store.begin()?;
            self.batch_since = Some(Instant::now());
        }
        let Options { now, settles, ours, reading, reserved, .. } = self.options;
        let reserved = reserved.at(&origin);
        let arrival = Arrival { origin, received_at, seen_at: *now, settles: *settles, reserved };
        let kept = self.store.keep(store::Message { arrival, content }, reading, ours)?;
        if let Some(spent) = self.store.take_spent().filter(|spent| spent.held_bytes <= SPENT_BYTES) {
            // Where there is no room for it, or nobody else who reads, it is given back here.
            let _ = self.give_back.try_send(spent);
        }
        Ok(kept)
    }

    fn commit_if_due(&mut self) -> Result<(), store::Error> {
        // What a dry run gives up is not recognized when it comes again, so it does so as seldom as may be.
        let old = !self.options.dry_run && self.batch_since.is_some_and(|since| since.elapsed() >= BATCH_AGE);
        if old || self.batch.len() >= self.options.batch_messages || self.batch_records >= BATCH_RECORDS {
            return self.commit();
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), store::Error> {
        if self.batch_since.take().is_none() {
            return Ok(());
        }
        if self.options.dry_run {
            self.store.abandon();
        } else {
            self.store.commit()?;
        }
        self.committed = self.tally.clone();
        self.batch_records = 0;
        let batch = std::mem::take(&mut self.batch);
        if !self.options.dry_run {
            // The source's thread may have ended with an error; then nobody settles, and the next run will.
            let _ = self.to_source.send(batch);
        }
        Ok(())
    }
}
