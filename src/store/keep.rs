//! One message into the database: its ledger row, everything read in it, and its place, in one transaction with the
//! others of its batch. Whole or not at all.

use std::collections::{BTreeMap, HashSet};

use super::aggregate::{self, Found};
use super::knowledge::Knowledge;
use super::message::Fingerprint;
use super::{Store, bounce, complaint, failure, judge, mailbox, message, problem, standing, tls};
use crate::problem::{Code, Problem, Refusal};
use crate::reading::{self, Auth, Item, MailHead, Reading, Records};
use crate::source::{Fate, Origin, Refused, Reserved};
use crate::suppress::bounces::SoftPolicy;
use crate::suppress::rules::Policy;
use crate::suppress::token::Tokens;
use crate::suppress::trust::Reach;

/// A message on its way into the database.
#[derive(Debug)]
pub struct Message {
    /// How it came.
    pub arrival: Arrival,
    /// What it holds.
    pub content: Content,
}

/// What came.
#[derive(Debug)]
pub enum Content {
    /// A message that was read.
    Read {
        /// Its bytes.
        bytes: Vec<u8>,
        /// Their SHA-256.
        sha256: [u8; 32],
        /// A bare file's name.
        name: Option<String>,
        /// What was read in it.
        reading: Box<Reading>,
    },
    /// A message that could not be taken from its source.
    Refused {
        /// Its size, as far as known.
        bytes: u64,
        /// Why.
        refused: Refused,
    },
}

/// How a message came.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Where it was found.
    pub origin: Origin,
    /// When the server or file system got it.
    pub received_at: Option<i64>,
    /// Now.
    pub seen_at: i64,
    /// Whether the source is to flag, move or delete it afterwards.
    pub settles: bool,
    /// What the mailbox is reserved for.
    pub reserved: Reserved,
}

/// What became of a message: the words of `message.outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything in it is stored.
    Stored,
    /// Some of it is stored, some is a problem.
    Partial,
    /// Everything in it was known.
    Duplicate,
    /// Nothing in it is a report.
    NotAReport,
    /// Nothing of it could be used.
    Problem,
}

impl Outcome {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Stored => "stored",
            Outcome::Partial => "partial",
            Outcome::Duplicate => "duplicate",
            Outcome::NotAReport => "not_a_report",
            Outcome::Problem => "problem",
        }
    }

    /// The outcome of that word.
    pub(super) fn from_word(word: &str) -> Outcome {
        match word {
            "stored" => Outcome::Stored,
            "partial" => Outcome::Partial,
            "duplicate" => Outcome::Duplicate,
            "not_a_report" => Outcome::NotAReport,
            _ => Outcome::Problem,
        }
    }

    /// What the source may do with the original: only what is stored whole is no longer needed there.
    fn fate(self) -> Fate {
        match self {
            Outcome::Stored | Outcome::Duplicate => Fate::Kept,
            Outcome::Partial | Outcome::NotAReport | Outcome::Problem => Fate::Left,
        }
    }
}

/// What deciding about complaints and problems needs to know of the user.
#[derive(Clone, Debug, Default)]
pub struct Ours {
    /// Our domains, as configured.
    pub own_domains: Vec<String>,
    /// Senders of complaints beside the built-in ones: domains or addresses.
    pub feedback_senders: Vec<String>,
    /// Tokens that our mail bears.
    pub tokens: Tokens,
    /// When soft bounces suppress.
    pub soft: SoftPolicy,
    /// What suppressions are limited to.
    pub reach: Reach,
    /// What follows from complaints of types that standards leave open.
    pub policy: Policy,
    /// Largest message with a problem whose bytes are kept.
    pub kept_bytes: u64,
}

/// What was kept of a message.
#[derive(Clone, Debug)]
pub struct Kept {
    /// What became of it.
    pub outcome: Outcome,
    /// What its source may do.
    pub fate: Fate,
    /// New reports, by kind: aggregate, failure, tls.
    pub reports: [u64; 3],
    /// New complaints.
    pub complaints: u64,
    /// New bounces.
    pub bounces: u64,
    /// New records.
    pub records: u64,
    /// Problems.
    pub problems: Vec<String>,
}

impl Kept {
    fn new(outcome: Outcome) -> Self {
        let fate = outcome.fate();
        Kept { outcome, fate, reports: [0; 3], complaints: 0, bounces: 0, records: 0, problems: Vec::new() }
    }
}

/// A message that was read.
pub(super) struct Read<'a> {
    pub bytes: &'a [u8],
    pub sha256: &'a [u8; 32],
    pub name: Option<&'a str>,
    pub reading: &'a Reading,
    /// How it was read: a long report is read again while it is kept.
    pub settings: &'a reading::Settings,
}

/// How often a server may fail to hand over a message before that is a problem.
const DELIVERY_TRIES: u32 = 3;

impl Store {
    /// Keeps a message, within a transaction.
    pub(super) fn keep_arrived(
        &mut self,
        message: &Message,
        settings: &reading::Settings,
        ours: &Ours,
    ) -> rusqlite::Result<Option<Kept>> {
        let arrival = &message.arrival;
        match &message.content {
            Content::Read { bytes, sha256, name, reading } => {
                let read = Read { bytes, sha256, name: name.as_deref(), reading, settings };
                self.keep_message(arrival, &read, ours).map(Some)
            }
            Content::Refused { bytes, refused } => self.keep_untaken(arrival, *bytes, refused),
        }
    }

    fn keep_message(&mut self, arrival: &Arrival, read: &Read<'_>, ours: &Ours) -> rusqlite::Result<Kept> {
        let fingerprint = Fingerprint::of(read.bytes, read.sha256);
        if let Some(known) = message::known(&self.connection, &fingerprint)? {
            let kept = self.keep_known(arrival, read, &known, ours)?;
            self.place(arrival, known.id, kept.fate)?;
            self.replace_untaken(arrival, known.id)?;
            return Ok(kept);
        }
        let bytes = read.bytes.len() as u64;
        // Most of what comes is new and whole; then this row is right as it is.
        let whole = read.reading.problems.is_empty() && !read.reading.found.is_empty();
        let outcome = if whole { Outcome::Stored } else { Outcome::Problem };
        let head = read.reading.head.as_ref();
        let (connection, strings) = (&self.connection, &mut self.strings);
        let id = message::insert(connection, strings, arrival, Some(&fingerprint), bytes, head, outcome)?;
        let kept = self.keep_content(arrival, read, id, Some(outcome), ours)?;
        for problem in &read.reading.problems {
            problem::insert(&self.connection, id, problem, arrival.seen_at)?;
        }
        if !read.reading.problems.is_empty() && bytes <= ours.kept_bytes {
            problem::keep_bytes(&self.connection, id, read.bytes)?;
        }
        self.place(arrival, id, kept.fate)?;
        self.replace_untaken(arrival, id)?;
        Ok(kept)
    }

    /// What could not be taken from its source before is no problem any more, and neither are the folders in which it lies.
    fn replace_untaken(&mut self, arrival: &Arrival, message: i64) -> rusqlite::Result<()> {
        if self.untaken.is_none() {
            self.untaken = Some(message::untaken(&self.connection)?);
        }
        if self.untaken.as_ref().is_none_or(HashSet::is_empty) {
            return Ok(());
        }
        let mut places = vec![arrival.origin.to_string()];
        if let Origin::File { path, .. } = &arrival.origin {
            places.extend(path.ancestors().map(|path| path.display().to_string()));
        }
        places.retain(|place| self.untaken.as_ref().is_some_and(|untaken| untaken.contains(place)));
        places.iter().try_for_each(|place| message::replace_untaken(&self.connection, place, message))
    }

    /// A message that was seen before. Its bytes are the same, but a newer reader, or one with wider bounds, may find
    /// more in what could not be read then.
    fn keep_known(
        &mut self,
        arrival: &Arrival,
        read: &Read<'_>,
        known: &message::Known,
        ours: &Ours,
    ) -> rusqlite::Result<Kept> {
        self.authenticate_again(known.id, read)?;
        let read_whole = known.pruned || matches!(known.outcome, Outcome::Stored | Outcome::Duplicate);
        let nothing_new =
            known.outcome == Outcome::NotAReport && read.reading.found.is_empty() && read.reading.problems.is_empty();
        if read_whole || nothing_new || problem::are_waiting(&self.connection, known.id, &read.reading.problems)? {
            return Ok(Kept { fate: known.outcome.fate(), ..Kept::new(Outcome::Duplicate) });
        }
        let kept = self.keep_content(arrival, read, known.id, None, ours)?;
        problem::replace(&self.connection, known.id, &read.reading.problems, arrival.seen_at)?;
        Ok(kept)
    }

    /// Keeps everything that was read in a message and says what became of it. `written`: what its row says already, with
    /// no reason.
    pub(super) fn keep_content(
        &mut self,
        arrival: &Arrival,
        read: &Read<'_>,
        message: i64,
        written: Option<Outcome>,
        ours: &Ours,
    ) -> rusqlite::Result<Kept> {
        let mut tally = Tally::default();
        for found in &read.reading.found {
            self.keep_found(arrival, read, message, found, ours, &mut tally)?;
        }
        self.keep_again_read(read, &tally.again)?;
        let mut kept = tally.kept(read.reading);
        let reason = tally.reason(read.reading, kept.outcome);
        if written != Some(kept.outcome) || reason.is_some() {
            message::finish(&self.connection, message, kept.outcome, reason.as_deref())?;
        }
        kept.problems = read.reading.problems.iter().map(told).collect();
        Ok(kept)
    }

    /// What is known by now of how the mail of a message was authenticated holds for all that it brought.
    pub(super) fn authenticate_again(&mut self, message: i64, read: &Read<'_>) -> rusqlite::Result<()> {
        if let Some(head) = read.reading.head.as_ref().filter(|head| head.auth != Auth::None)
            && standing::authenticate(&self.connection, message, head)?
        {
            judge::forget(&self.connection)?;
        }
        Ok(())
    }

    /// Reads once more what was too long to hold. `reports`: the rows of these reports, by their number in the message.
    fn keep_again_read(&mut self, read: &Read<'_>, reports: &BTreeMap<usize, i64>) -> rusqlite::Result<()> {
        if reports.is_empty() {
            return Ok(());
        }
        let Store { connection, strings, fresh, .. } = self;
        super::set_cache(connection, super::CACHE_BESIDE_LONG_KIB)?;
        let mut result = Ok(());
        reading::replay(read.bytes, read.name, read.settings, &mut |number, chunk| {
            if let (true, Some(&id)) = (result.is_ok(), reports.get(&number)) {
                result = aggregate::insert_chunk(connection, strings, fresh, id, &chunk);
            }
        });
        result
    }

    fn keep_found(
        &mut self,
        arrival: &Arrival,
        read: &Read<'_>,
        message: i64,
        found: &reading::Found,
        ours: &Ours,
        tally: &mut Tally,
    ) -> rusqlite::Result<()> {
        let Store { connection, strings, fresh, known, .. } = self;
        let sender = read.reading.head.as_ref().map(MailHead::sender).unwrap_or_default();
        let place = Found { message, part: &found.part, sender: &sender };
        let at =
            read.reading.head.as_ref().and_then(|head| head.sent_at).or(arrival.received_at).unwrap_or(arrival.seen_at);
        match &found.item {
            Item::Aggregate(report, records) => {
                let Some(id) = aggregate::insert(connection, strings, place, report)? else {
                    tally.known += 1;
                    return Ok(());
                };
                match records {
                    Records::Here(chunks) => {
                        fresh.begin(id);
                        for chunk in chunks {
                            aggregate::insert_chunk(connection, strings, fresh, id, chunk)?;
                        }
                    }
                    Records::Again(number) => {
                        tally.again.insert(*number, id);
                    }
                }
                aggregate::warn_of_same_content(connection, strings, id, report)?;
                // A policy domain that is new makes mail ours that was not before; a source that only failed may pass now.
                match known.as_mut().filter(|known| known.own.holds(&report.policy.domain)) {
                    Some(known) => known.forget_sources(),
                    None => *known = None,
                }
                tally.reports[0] += 1;
                tally.records += report.records;
            }
            Item::Failure(report) => match failure::insert(connection, strings, place, report, at)? {
                Some(_) => tally.reports[1] += 1,
                None => tally.known += 1,
            },
            Item::Tls(report) => match tls::insert(connection, strings, place, report)? {
                Some(_) => tally.reports[2] += 1,
                None => tally.known += 1,
            },
            Item::Complaint(report) => {
                let known = Knowledge::of(known, connection, ours)?;
                let head = read.reading.head.as_ref();
                let context = complaint::Context { message, at, head, reserved: arrival.reserved.complaints, ours };
                match complaint::insert(connection, strings, known, report, &context)? {
                    Some(_) => tally.complaints += 1,
                    None => tally.known += 1,
                }
            }
            Item::Bounce(report) => {
                let known = Knowledge::of(known, connection, ours)?;
                let head = read.reading.head.as_ref();
                let now = arrival.received_at.unwrap_or(arrival.seen_at).min(arrival.seen_at);
                let context = bounce::Context { message, at, now, head, reserved: arrival.reserved.bounces, ours };
                match bounce::insert(connection, strings, known, report, &context)? {
                    Some(_) => tally.bounces += 1,
                    None => tally.known += 1,
                }
            }
        }
        Ok(())
    }

    fn place(&self, arrival: &Arrival, message: i64, fate: Fate) -> rusqlite::Result<()> {
        match &arrival.origin {
            Origin::Imap { mailbox, uid } => {
                let settled = !(arrival.settles && fate == Fate::Kept);
                mailbox::place(&self.connection, mailbox, *uid, message, settled)
            }
            Origin::File { .. } | Origin::Stdin { .. } => Ok(()),
        }
    }

    fn keep_untaken(&mut self, arrival: &Arrival, bytes: u64, refused: &Refused) -> rusqlite::Result<Option<Kept>> {
        let refusal = match refused {
            Refused::TooLarge { limit } => {
                Refusal::new(Code::TooLarge, format!("{bytes} bytes; the limit is {limit} (limits.message_bytes)"))
            }
            Refused::Unreadable(reason) => Refusal::new(Code::Unreadable, reason),
            Refused::Interrupted(reason) => {
                if let Origin::Imap { mailbox, uid } = &arrival.origin {
                    mailbox::defer(&self.connection, mailbox, *uid, reason)?;
                    return Ok(None);
                }
                Refusal::new(Code::Unreadable, reason)
            }
            Refused::Undeliverable(reason) => {
                if let Origin::Imap { mailbox, uid } = &arrival.origin {
                    let tries = mailbox::defer(&self.connection, mailbox, *uid, reason)?;
                    if tries < DELIVERY_TRIES {
                        return Ok(None);
                    }
                }
                let text = format!("the server listed it but did not hand it over in {DELIVERY_TRIES} runs: {reason}");
                Refusal::new(Code::Undeliverable, text)
            }
        };
        let id = match message::known_untaken(&self.connection, &arrival.origin.to_string())? {
            Some(id) => id,
            None => {
                let (connection, strings) = (&self.connection, &mut self.strings);
                let id = message::insert(connection, strings, arrival, None, bytes, None, Outcome::Problem)?;
                let problem = Problem { bytes, ..Problem::whole(refusal.clone(), &[]) };
                problem::insert(&self.connection, id, &problem, arrival.seen_at)?;
                message::finish(&self.connection, id, Outcome::Problem, Some(&refusal.reason))?;
                self.untaken = None;
                id
            }
        };
        self.place(arrival, id, Fate::Left)?;
        Ok(Some(Kept {
            problems: vec![format!("{}: {}", refusal.code, refusal.reason)],
            ..Kept::new(Outcome::Problem)
        }))
    }
}

/// What was new in one message.
#[derive(Default)]
struct Tally {
    reports: [u64; 3],
    complaints: u64,
    bounces: u64,
    records: u64,
    known: u64,
    /// Reports whose records are to be read again: their number in the message, and their row.
    again: BTreeMap<usize, i64>,
}

impl Tally {
    fn kept(&self, reading: &Reading) -> Kept {
        let new = self.reports.iter().sum::<u64>() + self.complaints + self.bounces;
        let outcome = match (reading.problems.is_empty(), new, self.known) {
            (false, 0, 0) => Outcome::Problem,
            (false, ..) => Outcome::Partial,
            (true, 0, 0) => Outcome::NotAReport,
            (true, 0, _) => Outcome::Duplicate,
            (true, ..) => Outcome::Stored,
        };
        let Tally { reports, complaints, bounces, records, .. } = *self;
        Kept { reports, complaints, bounces, records, ..Kept::new(outcome) }
    }

    fn reason(&self, reading: &Reading, outcome: Outcome) -> Option<String> {
        match outcome {
            Outcome::Stored => None,
            Outcome::Duplicate => Some("everything in it was stored before, from another message".into()),
            Outcome::NotAReport => reading.not_a_report.clone(),
            Outcome::Partial | Outcome::Problem => reading.problems.first().map(told),
        }
    }
}

/// A problem in one line: where, what.
fn told(problem: &Problem) -> String {
    match problem.part.as_str() {
        "" => format!("{}: {}", problem.refusal.code, problem.refusal.reason),
        part => format!("{part}: {}: {}", problem.refusal.code, problem.refusal.reason),
    }
}
