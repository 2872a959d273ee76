//! A model of the program and a mailbox: sequences of deliveries, runs in which something goes wrong, what others do, and
//! what the user asks for, against an oracle in memory that knows what must be kept. A sequence that fails is cut down to
//! the shortest one that does.
//!
//! The mailbox is a source of messages like the real one (its rules are those of [`dmarcdb::source::imap`]), so that
//! thousands of sequences can be tried; some are tried on a real server, too.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use dmarcdb::ingest::{self, Observer, Options, Reserved, Tally};
use dmarcdb::limits::Limits;
use dmarcdb::reading;
use dmarcdb::source::imap::Known;
use dmarcdb::source::{Error, ErrorKind, Fate, Mailbox, Message, Origin, Refused, Source, Taken};
use dmarcdb::store::prune::Age;
use dmarcdb::store::{Kept, Ours, Store};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};

use super::site::{broken, complaint_mail, letter, report_mail, scratch};
use super::suite::{Suite, Tried, scale};
use crate::support::run::report;

const SERVER: &str = "t@127.0.0.1:143";

/// One mail that may come, any number of times.
struct Content {
    pub bytes: Vec<u8>,
    /// The reports in it, with their messages.
    reports: Vec<(&'static str, i64)>,
    complaint: bool,
    /// Something in it cannot be read: it stays where it is, as does what is no report.
    problem: bool,
    stays: bool,
}

fn content(bytes: Vec<u8>, reports: &[(&'static str, i64)]) -> Content {
    Content { bytes, reports: reports.to_vec(), complaint: false, problem: false, stays: false }
}

fn copy(bytes: Vec<u8>) -> Vec<u8> {
    [b"X-Copy: 1\r\n".to_vec(), bytes].concat()
}

fn two_parts(first: &str, second: &str) -> Vec<u8> {
    let part = |body: &str| format!("--B\r\nContent-Type: text/xml\r\n\r\n{body}\r\n");
    let head = "From: d@r.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n";
    format!("{head}{}{}--B--\r\n", part(first), part(second)).into_bytes()
}

/// Every sort of mail: copies, contradictions, several reports in one, some of it unreadable.
fn pool() -> Vec<Content> {
    let whole = report("x", 1);
    let complaint = |bytes| Content { complaint: true, ..content(bytes, &[]) };
    vec![
        content(report_mail("a", 3), &[("a", 3)]),
        content(copy(report_mail("a", 3)), &[("a", 3)]),
        content(report_mail("b", 5), &[("b", 5)]),
        content(report_mail("b", 50), &[("b", 50)]),
        content(report_mail("c", 7), &[("c", 7)]),
        content(two_parts(&report("d", 11), &report("a", 3)), &[("d", 11), ("a", 3)]),
        complaint(complaint_mail("k")),
        complaint(copy(complaint_mail("k"))),
        Content { stays: true, ..content(letter("l"), &[]) },
        Content { stays: true, problem: true, ..content(broken("x"), &[]) },
        Content {
            stays: true,
            problem: true,
            ..content(two_parts(&report("e", 13), &whole[..whole.len() / 2]), &[("e", 13)])
        },
    ]
}

const POOL: usize = 11;

/// One step. Indexes count what is there, from the beginning again where it is less.
#[derive(Clone, Debug)]
pub enum Step {
    Deliver(usize),
    Fetch(Vec<(usize, Mishap)>),
    /// The same mail from a file.
    Ingest(usize),
    Others(Deed),
    Retry,
    /// Everything that is kept is old, or nothing is.
    Prune(bool),
}

/// What other clients do, or the server.
#[derive(Clone, Copy, Debug)]
pub enum Deed {
    Deliver(usize),
    Expunge(usize),
    Archive(usize),
    BringBack(usize),
    Forget,
}

/// What goes wrong in a run, when so many messages were taken.
#[derive(Clone, Copy, Debug)]
pub enum Mishap {
    /// The server refuses one message.
    Refuse,
    /// The connection is lost on one and made again.
    Interrupt,
    /// The connection is lost, and the steps at the server with it.
    Lose,
    /// It is lost while messages are moved: before, or when it was done and not yet confirmed.
    LoseInMove(bool),
    /// The program is killed when it has kept so many.
    Kill,
    /// It is told to end.
    Stop,
    Others(Deed),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => (0..POOL).prop_map(Deed::Deliver),
        2 => (0..9usize).prop_map(Deed::Expunge),
        2 => (0..9usize).prop_map(Deed::Archive),
        2 => (0..9usize).prop_map(Deed::BringBack),
        1 => Just(Deed::Forget),
    ]
}

fn mishap() -> impl Strategy<Value = Mishap> {
    prop_oneof![
        2 => Just(Mishap::Refuse),
        2 => Just(Mishap::Interrupt),
        2 => Just(Mishap::Lose),
        2 => any::<bool>().prop_map(Mishap::LoseInMove),
        3 => Just(Mishap::Kill),
        1 => Just(Mishap::Stop),
        3 => deed().prop_map(Mishap::Others),
    ]
}

pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..POOL).prop_map(Step::Deliver),
        6 => vec((0..6usize, mishap()), 0..3).prop_map(Step::Fetch),
        2 => (0..POOL).prop_map(Step::Ingest),
        4 => deed().prop_map(Step::Others),
        1 => Just(Step::Retry),
        1 => any::<bool>().prop_map(Step::Prune),
    ]
}

/// What the server has.
#[derive(Default)]
struct World {
    uid_validity: u32,
    last_uid: u32,
    inbox: BTreeMap<u32, usize>,
    archive: Vec<usize>,
    /// Of the archive, what the program put there.
    moved: Vec<usize>,
    /// How often the server refused each of the inbox.
    refused: BTreeMap<u32, u32>,
}

impl World {
    fn deliver(&mut self, content: usize) {
        self.last_uid += 1;
        self.inbox.insert(self.last_uid, content);
    }

    fn act(&mut self, deed: Deed) {
        let nth = |inbox: &BTreeMap<u32, usize>, index: usize| {
            let at = index % inbox.len().max(1);
            inbox.keys().nth(at).copied()
        };
        match deed {
            Deed::Deliver(content) => self.deliver(content),
            Deed::Expunge(index) => drop(nth(&self.inbox, index).and_then(|uid| self.inbox.remove(&uid))),
            Deed::Archive(index) => {
                let taken = nth(&self.inbox, index).and_then(|uid| self.inbox.remove(&uid));
                self.archive.extend(taken);
            }
            Deed::BringBack(index) => {
                if !self.archive.is_empty() {
                    let content = self.archive.remove(index % self.archive.len());
                    self.deliver(content);
                }
            }
            Deed::Forget => {
                self.uid_validity += 1;
                self.inbox = (1..).zip(std::mem::take(&mut self.inbox).into_values()).collect();
                self.last_uid = self.inbox.len() as u32;
                self.refused.clear();
            }
        }
    }
}

/// A mailbox that follows the rules of the real source.
struct Fake<'a> {
    world: Arc<Mutex<World>>,
    pool: &'a [Content],
    known: Vec<Known>,
    mishaps: Vec<(usize, Mishap)>,
    stop: &'a AtomicBool,
    mailbox: Option<Arc<Mailbox>>,
    cursor: u32,
    retry: VecDeque<u32>,
    taken: usize,
    lost: bool,
    failed: bool,
    lose_in_move: Option<bool>,
    repeated: Vec<Origin>,
    gone: Vec<Origin>,
}

fn lost() -> Error {
    Error { kind: ErrorKind::Temporary, place: "model".into(), reason: "the connection is lost".into() }
}

impl Fake<'_> {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Opens the folder: repeats what was not confirmed, and finds where to go on.
    fn open(&mut self) -> Arc<Mailbox> {
        let uid_validity = self.world().uid_validity;
        if let Some(mailbox) = self.mailbox.as_ref().filter(|mailbox| mailbox.uid_validity == uid_validity) {
            return mailbox.clone();
        }
        let mailbox = Mailbox { account: "t".into(), server: SERVER.into(), folder: "INBOX".into(), uid_validity };
        let mailbox = Arc::new(mailbox);
        let known = self.known.iter().find(|known| known.mailbox == *mailbox);
        let (cursor, retry, unsettled) = known.map_or((0, Vec::new(), Vec::new()), |known| {
            (known.cursor_uid, known.retry.clone(), known.unsettled.clone())
        });
        self.cursor = cursor;
        self.retry = retry.into();
        for uid in unsettled {
            self.move_one(uid);
            self.repeated.push(Origin::Imap { mailbox: mailbox.clone(), uid });
        }
        self.mailbox = Some(mailbox.clone());
        mailbox
    }

    fn move_one(&self, uid: u32) {
        let mut world = self.world();
        if let Some(content) = world.inbox.remove(&uid) {
            world.archive.push(content);
            world.moved.push(content);
        }
    }

    /// The next UID, and whether it is tried again.
    fn next_uid(&mut self) -> Option<(u32, bool)> {
        let next = self.world().inbox.range(self.cursor + 1..).next().map(|(uid, _)| *uid);
        match next {
            Some(uid) => {
                self.cursor = uid;
                Some((uid, false))
            }
            None => self.retry.pop_front().map(|uid| (uid, true)),
        }
    }
}

impl Source for Fake<'_> {
    fn next(&mut self) -> Result<Option<Taken>, Error> {
        if self.lost {
            return Err(lost());
        }
        let due: Vec<Mishap> =
            self.mishaps.iter().filter(|(at, _)| *at == self.taken).map(|(_, mishap)| *mishap).collect();
        self.mishaps.retain(|(at, _)| *at != self.taken);
        let mut refusal = None;
        for mishap in due {
            match mishap {
                Mishap::Refuse => refusal = Some(Refused::Undeliverable("NO".into())),
                Mishap::Interrupt => refusal = Some(Refused::Interrupted("closed".into())),
                Mishap::Lose => self.lost = true,
                Mishap::LoseInMove(after) => self.lose_in_move = Some(after),
                Mishap::Stop => self.stop.store(true, Ordering::SeqCst),
                Mishap::Others(deed) => self.world().act(deed),
                Mishap::Kill => {}
            }
        }
        if self.lost {
            return Err(lost());
        }
        let mailbox = self.open();
        while let Some((uid, again)) = self.next_uid() {
            let origin = Origin::Imap { mailbox: mailbox.clone(), uid };
            let Some(content) = self.world().inbox.get(&uid).copied() else {
                if again {
                    self.gone.push(origin);
                }
                continue;
            };
            self.taken += 1;
            if let Some(refusal) = refusal {
                self.failed = true;
                if matches!(refusal, Refused::Undeliverable(_)) || self.world().refused.contains_key(&uid) {
                    *self.world().refused.entry(uid).or_default() += 1;
                } else {
                    // Tries count, whatever they failed of.
                    self.world().refused.insert(uid, 1);
                }
                return Ok(Some(Taken::Refused { origin, bytes: 1, refusal }));
            }
            let bytes = self.pool[content].bytes.clone();
            return Ok(Some(Taken::Message(Message { origin, bytes, received_at: Some(1_755_760_000) })));
        }
        Ok(None)
    }

    fn settle(&mut self, settled: &[(Origin, Fate)]) -> Result<Vec<Origin>, Error> {
        let kept = settled.iter().filter(|(_, fate)| *fate == Fate::Kept).map(|(origin, _)| origin.clone());
        let kept: Vec<Origin> = kept.collect();
        if self.lost || self.lose_in_move == Some(false) {
            self.lost = true;
            return Err(lost());
        }
        let now = self.world().uid_validity;
        for origin in &kept {
            let Origin::Imap { mailbox, uid } = origin else { unreachable!("nothing else was handed out") };
            if mailbox.uid_validity == now {
                self.move_one(*uid);
            }
        }
        if self.lose_in_move.is_some() && !kept.is_empty() {
            self.lost = true;
            return Err(lost());
        }
        Ok(kept)
    }
}

/// Files, handed out once.
struct Files(VecDeque<Message>);

impl Source for Files {
    fn next(&mut self) -> Result<Option<Taken>, Error> {
        Ok(self.0.pop_front().map(Taken::Message))
    }

    fn settle(&mut self, _: &[(Origin, Fate)]) -> Result<Vec<Origin>, Error> {
        Ok(Vec::new())
    }
}

/// Ends the program when so many messages are kept.
struct Killer(Option<usize>);

impl Observer for Killer {
    fn kept(&mut self, _: &Origin, _: &Kept, tally: &Tally, _: Option<u64>) {
        if self.0.is_some_and(|at| tally.messages > at as u64) {
            resume_unwind(Box::new("killed"));
        }
    }
}

/// The program, the mailbox, and the oracle.
struct Model<'a> {
    pool: &'a [Content],
    world: Arc<Mutex<World>>,
    path: PathBuf,
    now: i64,
    /// Contents that are in the ledger, as the last look found.
    known: Vec<bool>,
    /// Reports that must count, since they came after everything was pruned.
    alive: BTreeMap<&'static str, bool>,
    ever_pruned: bool,
    _dir: tempfile::TempDir,
}

impl<'a> Model<'a> {
    fn new(pool: &'a [Content]) -> Model<'a> {
        let dir = scratch();
        let world = World { uid_validity: 1, ..World::default() };
        Model {
            pool,
            world: Arc::new(Mutex::new(world)),
            path: dir.path().join("db.sqlite"),
            now: 1_755_800_000,
            known: vec![false; pool.len()],
            alive: BTreeMap::new(),
            ever_pruned: false,
            _dir: dir,
        }
    }

    fn options(&self, settles: bool) -> Options {
        let limits = Limits::default();
        Options {
            verifier: None,
            ours: Ours { own_domains: vec!["example.com".into()], kept_bytes: limits.kept_bytes, ..Ours::default() },
            reading: reading::Settings { limits, authserv_id: None },
            readers: 1,
            now: self.now,
            settles,
            reserved: Reserved::default(),
            dry_run: false,
            batch_messages: ingest::BATCH_MESSAGES,
        }
    }

    /// Opens the database. A program that another test of this process is just starting holds, until it runs, whatever was open
    /// here: so also the lock of a store that was closed meanwhile.
    fn store(&self) -> Result<Store, String> {
        let started = Instant::now();
        loop {
            match Store::open(&self.path) {
                Err(error) if error.is_temporary() && started.elapsed() < Duration::from_secs(5) => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                opened => return opened.map_err(|error| format!("the database cannot be opened: {error}")),
            }
        }
    }

    /// One step, and whether everything is as it must be.
    fn step(&mut self, step: &Step) -> Result<(), String> {
        self.now += 60;
        match step {
            Step::Deliver(content) => self.world.lock().unwrap().deliver(*content),
            Step::Others(deed) => self.world.lock().unwrap().act(*deed),
            Step::Fetch(mishaps) => drop(self.fetch(mishaps)?),
            Step::Ingest(content) => self.ingest(*content)?,
            Step::Retry => self.retry()?,
            Step::Prune(all) => self.prune(*all)?,
        }
        self.check()
    }

    /// A run, as `fetch` does it; whether it came to its end.
    fn fetch(&mut self, mishaps: &[(usize, Mishap)]) -> Result<bool, String> {
        let mut store = self.store()?;
        let progress = store.progress(SERVER).map_err(|error| error.to_string())?;
        let known = progress.into_iter().map(|progress| Known {
            mailbox: progress.mailbox,
            cursor_uid: progress.cursor_uid,
            retry: progress.deferred,
            unsettled: progress.unsettled,
        });
        let stop = AtomicBool::new(false);
        let mut source = Fake {
            world: self.world.clone(),
            pool: self.pool,
            known: known.collect(),
            mishaps: mishaps.to_vec(),
            stop: &stop,
            mailbox: None,
            cursor: 0,
            retry: VecDeque::new(),
            taken: 0,
            lost: false,
            failed: false,
            lose_in_move: None,
            repeated: Vec::new(),
            gone: Vec::new(),
        };
        let kill = mishaps.iter().find(|(_, mishap)| matches!(mishap, Mishap::Kill)).map(|(at, _)| *at);
        let options = self.options(true);
        let run = || ingest::run(&mut source, &mut store, &options, &stop, &mut Killer(kill));
        let Ok((_, result)) = catch_unwind(AssertUnwindSafe(run)) else { return Ok(false) };
        store.confirm(&source.repeated).map_err(|error| error.to_string())?;
        store.forget_deferred(&source.gone).map_err(|error| error.to_string())?;
        match result {
            Ok(()) => Ok(true),
            Err(ingest::Error::Source(_) | ingest::Error::Stopped) => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    fn ingest(&mut self, content: usize) -> Result<(), String> {
        let mut store = self.store()?;
        let path = PathBuf::from(format!("/mail/{content}.eml"));
        let origin = Origin::File { path, index: None };
        let message = Message { origin, bytes: self.pool[content].bytes.clone(), received_at: None };
        let options = self.options(false);
        let stop = AtomicBool::new(false);
        let mut source = Files([message].into());
        let (_, result) = ingest::run(&mut source, &mut store, &options, &stop, &mut Killer(None));
        result.map_err(|error| error.to_string())
    }

    fn retry(&mut self) -> Result<(), String> {
        let mut store = self.store()?;
        let options = self.options(false);
        let told = |error: dmarcdb::store::Error| error.to_string();
        for message in store.waiting().map_err(told)? {
            let waiting = store.waiting_message(message, 1 << 20).map_err(told)?;
            let Some(bytes) = waiting.bytes.clone() else { continue };
            let reading = ingest::read_safely(&bytes, None, &options.reading, reading::HELD_BYTES);
            store.keep_again(&waiting, &bytes, reading, &options.reading, &options.ours, self.now).map_err(told)?;
        }
        Ok(())
    }

    fn prune(&mut self, all: bool) -> Result<(), String> {
        let mut store = self.store()?;
        let before = if all { self.now + 1 } else { 0 };
        let age = Age { before, horizon: self.now, now: self.now, keep_sums: false };
        store.prune(age, false, || true).map_err(|error| error.to_string())?;
        if all {
            self.ever_pruned = true;
            self.alive.clear();
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), String> {
        if !self.path.exists() {
            return Ok(());
        }
        let database = Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let database = database.map_err(|error| error.to_string())?;
        self.compare(&database).map_err(|error| error.to_string())?
    }

    /// I1 and I2.
    fn compare(&mut self, database: &Connection) -> rusqlite::Result<Result<(), String>> {
        let mut in_ledger = database.prepare("SELECT count(*) FROM message WHERE sha256 = ?1")?;
        for (number, content) in self.pool.iter().enumerate() {
            let sha256 = Sha256::digest(&content.bytes);
            let rows: i64 = in_ledger.query_row([&sha256[..]], |row| row.get(0))?;
            if rows > 1 || (rows == 0 && self.known[number]) {
                return Ok(Err(format!("content {number} is {rows} times in the ledger")));
            }
            if rows == 1 && !std::mem::replace(&mut self.known[number], true) {
                self.alive.extend(content.reports.iter().map(|(id, _)| (*id, true)));
            }
        }
        let mut counted = database.prepare(
            "SELECT messages, (SELECT coalesce(sum(c.messages), 0) FROM v_record c WHERE c.report = r.id) \
             FROM v_report r WHERE report_id = ?1 AND counted",
        )?;
        for id in ["a", "b", "c", "d", "e"] {
            let rows = counted.query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let rows: Vec<(i64, i64)> = rows.collect::<Result<_, _>>()?;
            let due = self.alive.contains_key(id);
            let sent = |messages| self.pool.iter().any(|content| content.reports.contains(&(id, messages)));
            let right = match rows[..] {
                [] => !due,
                [(messages, of_records)] => due && messages == of_records && sent(messages),
                _ => false,
            };
            if !right {
                return Ok(Err(format!(
                    "report {id} counts {rows:?}, and must{} count",
                    if due { "" } else { " not" }
                )));
            }
        }
        let complaints: i64 =
            database.query_row("SELECT count(*) FROM complaint WHERE pruned_at IS NULL", [], |row| row.get(0))?;
        let come = self.known.iter().zip(self.pool).any(|(known, content)| *known && content.complaint);
        if complaints > 1 || (complaints == 1) != come && !(self.ever_pruned && complaints == 0) {
            return Ok(Err(format!("{complaints} complaints")));
        }
        let mut problems = database
            .prepare("SELECT count(*) FROM problem p JOIN message m ON m.id = p.message WHERE m.sha256 = ?1")?;
        for (number, content) in self.pool.iter().enumerate() {
            let rows: i64 = problems.query_row([&Sha256::digest(&content.bytes)[..]], |row| row.get(0))?;
            let due = i64::from(content.problem && self.known[number]);
            if rows != due && !(self.ever_pruned && rows == 0) {
                return Ok(Err(format!("content {number} has {rows} problems instead of {due}")));
            }
        }
        let world = self.world.lock().unwrap();
        if let Some(content) = world.moved.iter().find(|content| !self.known[**content]) {
            return Ok(Err(format!("I2: content {content} was moved, and is not kept")));
        }
        if let Some(content) = world.moved.iter().find(|content| self.pool[**content].stays) {
            return Ok(Err(format!("content {content} was moved, and must stay")));
        }
        Ok(Ok(()))
    }

    /// One run that nothing disturbs puts everything where it belongs.
    fn drain(&mut self) -> Result<(), String> {
        if !self.fetch(&[])? {
            return Err("I5: the undisturbed run did not come to its end".into());
        }
        self.check()?;
        let world = self.world.lock().unwrap();
        for (uid, content) in &world.inbox {
            let given_up = world.refused.get(uid).is_some_and(|times| *times >= 3);
            if !self.pool[*content].stays && !given_up {
                return Err(format!("I5: content {content} is still in the inbox, as UID {uid}"));
            }
            if !self.known[*content] && !given_up {
                return Err(format!("I5: content {content} was not kept"));
            }
        }
        drop(world);
        self.look_for_damage(&self.path).map_err(|error| error.to_string())?
    }

    /// I6.
    fn look_for_damage(&self, path: &Path) -> rusqlite::Result<Result<(), String>> {
        let database = Connection::open(path)?;
        let integrity: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        let orphans: i64 = database.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))?;
        Ok(if integrity == "ok" && orphans == 0 { Ok(()) } else { Err(format!("I6: {integrity}, {orphans} orphans")) })
    }
}

fn play(pool: &[Content], steps: &[Step]) -> Result<(), String> {
    let mut model = Model::new(pool);
    for (number, step) in steps.iter().enumerate() {
        model.step(step).map_err(|why| format!("after step {number}: {why}"))?;
    }
    model.drain().map_err(|why| format!("at the end: {why}"))
}

/// Tries `cases` sequences out of one seed; the shortest that fails, and how.
fn explore(pool: &[Content], seed: u64, cases: u32) -> Vec<String> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 4000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let tried = runner.run(&vec(step(), 1..24), |steps| play(pool, &steps).map_err(TestCaseError::fail));
    match tried {
        Ok(()) => Vec::new(),
        Err(TestError::Fail(why, steps)) => vec![format!("{why}: {steps:?}")],
        Err(TestError::Abort(why)) => vec![format!("gave up: {why}")],
    }
}

#[test]
fn sequences_of_steps_against_an_oracle() {
    let mut suite = Suite::new("model sequences", "torture::model::sequences_of_steps_against_an_oracle");
    let pool = pool();
    let cases: u32 = 50;
    let seeds: Vec<u64> = (0..scale(5, 201) as u64).collect();
    suite.each(
        2,
        &seeds,
        |seed| format!("seed {seed}"),
        |seed| Tried::ReachedAll(u64::from(cases), explore(&pool, *seed, cases)),
    );
    suite.done(250, 10_000);
}

#[test]
fn the_model_notices_what_is_lost_or_counted_twice() {
    let pool = pool();
    let mut model = Model::new(&pool);
    for step in [Step::Deliver(0), Step::Fetch(Vec::new())] {
        model.step(&step).unwrap();
    }
    // A report that is gone, and a message that was moved without being kept.
    let database = Connection::open(&model.path).unwrap();
    database.execute_batch("PRAGMA foreign_keys = ON; DELETE FROM report").unwrap();
    drop(database);
    assert_eq!(model.check().unwrap_err(), "report a counts [], and must count");
    let mut model = Model::new(&pool);
    model.step(&Step::Ingest(0)).unwrap();
    model.world.lock().unwrap().moved.push(4);
    assert_eq!(model.check().unwrap_err(), "I2: content 4 was moved, and is not kept");
}
