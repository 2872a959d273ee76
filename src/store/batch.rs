//! A batch: what is kept between two commits, in one transaction.
//!
//! A message that the database will not take must not take the others of its batch with it. A savepoint for each message
//! would see to that, at the price of a copy of every page that the message touches, which for a complaint are some forty.
//! So there is none: the bytes of the messages of a batch are held until it is committed, and where one fails, which takes a
//! bug of ours, the transaction is given up, what was held is read again and kept, each message under a savepoint of its own.
//! What becomes of a message depends on its bytes and the rows alone, so the others come out as they did before. What was read
//! in a message is not held: that is many times more memory than its bytes.

use super::keep::{Arrival, Content, Kept, Message, Ours};
use super::{Error, Store, daily};
use crate::problem::{Code, Problem, Refusal};
use crate::reading::{self, MailHead, Reading};

/// Bytes of messages that are held. The rest of a batch that holds more is kept under savepoints, which cost little beside
/// messages so large.
const HELD_BYTES: usize = 16 << 20;
/// What a message takes in memory beside its bytes.
const MESSAGE_BYTES: usize = 1 << 10;
/// Of a message that is read again, memory of the records that are held; those of longer reports are read once more.
const RECORD_BYTES: usize = 64 << 10;

/// The batch under way.
#[derive(Default)]
pub(super) struct Batch {
    /// What was kept in it, in order, without savepoints.
    held: Vec<Held>,
    /// About the memory that takes.
    bytes: usize,
    /// From here on every message has a savepoint.
    apart: bool,
    /// What was read in the message that was held last.
    spent: Option<Box<Reading>>,
}

impl Batch {
    /// Whether a message is held when it is kept; if not, nothing is from now on.
    fn holds(&mut self, message: &Message) -> bool {
        self.bytes = self.bytes.saturating_add(memory(message));
        if self.bytes > HELD_BYTES {
            *self = Batch { apart: true, ..Batch::default() };
        }
        !self.apart
    }
}

/// About how much memory a message takes while it is held.
fn memory(message: &Message) -> usize {
    let content = match &message.content {
        Content::Read { bytes, .. } => bytes.len(),
        Content::Refused { .. } => 0,
    };
    MESSAGE_BYTES + content
}

/// A message that is kept but not committed.
enum Held {
    /// To be read again, if it is to be kept again.
    Bytes {
        arrival: Arrival,
        bytes: Vec<u8>,
        sha256: [u8; 32],
        name: Option<String>,
        /// As it was: the signatures may have been checked, which reading does not do.
        head: Option<MailHead>,
    },
    /// Nothing was found in it, perhaps because reading failed: it is not tried again.
    Whole(Message),
}

impl Held {
    /// A message, and what was read in it, where that is not held.
    fn of(message: Message) -> (Held, Option<Box<Reading>>) {
        let Message { arrival, content } = message;
        match content {
            Content::Read { bytes, sha256, name, mut reading } if !reading.found.is_empty() => {
                let head = reading.head.take();
                (Held::Bytes { arrival, bytes, sha256, name, head }, Some(reading))
            }
            content => (Held::Whole(Message { arrival, content }), None),
        }
    }

    fn message(self, settings: &reading::Settings) -> Message {
        match self {
            Held::Bytes { arrival, bytes, sha256, name, head } => {
                let read = reading::read_holding(&bytes, name.as_deref(), settings, RECORD_BYTES);
                let reading = Box::new(Reading { head, ..read });
                Message { arrival, content: Content::Read { bytes, sha256, name, reading } }
            }
            Held::Whole(message) => message,
        }
    }
}

impl Store {
    /// Begins a batch: everything until [`Store::commit`] is one transaction.
    ///
    /// # Errors
    /// Those of SQLite; busy if something else writes to the file.
    pub fn begin(&mut self) -> Result<(), Error> {
        let begin = super::set_cache(&self.connection, self.cache_kib)
            .and_then(|()| self.connection.execute_batch("BEGIN IMMEDIATE"));
        begin.map_err(|source| self.error(source))
    }

    /// Ends the batch; when this returns, it is on the disk.
    ///
    /// # Errors
    /// Those of SQLite. Whether the batch was kept is then unknown until the file is opened again; offering the same
    /// messages again is harmless.
    pub fn commit(&mut self) -> Result<(), Error> {
        let commit = daily::catch_up_with(&self.connection, &mut self.fresh)
            .and_then(|()| self.connection.execute_batch("COMMIT"));
        self.batch = Batch::default();
        self.fresh.clear();
        commit.map_err(|source| {
            self.abandon();
            self.error(source)
        })
    }

    /// Gives the batch up.
    pub fn abandon(&mut self) {
        self.batch = Batch::default();
        self.fresh.clear();
        self.strings.forget();
        self.untaken = None;
        self.known = None;
        if !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }

    /// Keeps a message. `settings`: how it was read. `None`: its server is to be asked for it again by a later run.
    ///
    /// # Errors
    /// Those of SQLite that concern the whole database (disk full, damaged, busy); the batch is to be abandoned.
    pub fn keep(&mut self, message: Message, settings: &reading::Settings, ours: &Ours) -> Result<Option<Kept>, Error> {
        if !self.batch.holds(&message) {
            return self.keep_apart(message, settings, ours);
        }
        match self.keep_arrived(&message, settings, ours) {
            Ok(kept) => {
                let (held, spent) = Held::of(message);
                self.batch.held.push(held);
                self.batch.spent = spent;
                Ok(kept)
            }
            Err(source) if is_about_the_message(&source) => {
                self.keep_held_apart(settings, ours)?;
                self.keep_apart(message, settings, ours)
            }
            Err(source) => Err(self.error(source)),
        }
    }

    /// What was read in the message that was kept last, which nobody needs any more: memory in many pieces, that is given back
    /// best by the thread that took it.
    pub fn take_spent(&mut self) -> Option<Box<Reading>> {
        self.batch.spent.take()
    }

    /// Begins the batch again, this time with savepoints.
    fn keep_held_apart(&mut self, settings: &reading::Settings, ours: &Ours) -> Result<(), Error> {
        let held = std::mem::take(&mut self.batch.held);
        self.abandon();
        self.begin()?;
        self.batch.apart = true;
        for held in held {
            self.keep_apart(held.message(settings), settings, ours)?;
        }
        Ok(())
    }

    /// Keeps a message under a savepoint; where it fails, that is a problem with the message.
    fn keep_apart(
        &mut self,
        message: Message,
        settings: &reading::Settings,
        ours: &Ours,
    ) -> Result<Option<Kept>, Error> {
        match self.in_savepoint(|store| store.keep_arrived(&message, settings, ours)) {
            Err(Error::Sqlite { source, .. }) if is_about_the_message(&source) => {
                let message = crashed(message, &source);
                self.in_savepoint(|store| store.keep_arrived(&message, settings, ours))
            }
            result => result,
        }
    }

    /// Runs `work`, which leaves nothing behind where it fails, within a transaction.
    pub(super) fn in_savepoint<T>(&mut self, work: impl FnOnce(&mut Store) -> rusqlite::Result<T>) -> Result<T, Error> {
        let run = |store: &mut Store| {
            store.connection.execute_batch("SAVEPOINT message")?;
            let value = work(store)?;
            store.connection.execute_batch("RELEASE message")?;
            Ok(value)
        };
        run(self).map_err(|source| {
            self.fresh.clear();
            self.strings.forget();
            self.known = None;
            // Where the whole transaction is gone already, so is the savepoint.
            let _ = self.connection.execute_batch("ROLLBACK TO message; RELEASE message");
            self.error(source)
        })
    }
}

/// The same message with nothing in it but that the database would not take it.
fn crashed(message: Message, source: &rusqlite::Error) -> Message {
    let Message { arrival, content } = message;
    let content = match content {
        Content::Read { bytes, sha256, .. } => {
            let reason = format!("it could not be stored ({source}): a bug in dmarcdb, please report it");
            let problems = vec![Problem::whole(Refusal::new(Code::Crash, reason), &bytes)];
            let reading = Box::new(Reading { problems, ..Reading::default() });
            Content::Read { bytes, sha256, name: None, reading }
        }
        refused @ Content::Refused { .. } => refused,
    };
    Message { arrival, content }
}

/// Whether SQLite objects to what one message holds, and not to the disk, the memory or the file.
fn is_about_the_message(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{ConstraintViolation, TooBig, TypeMismatch};
    match error.sqlite_error_code() {
        Some(code) => matches!(code, ConstraintViolation | TooBig | TypeMismatch),
        // A value that rusqlite itself could not hand over.
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::types::Value;

    use super::*;
    use crate::source::{Origin, Refused, Reserved};
    use crate::store::{Arrival, Outcome};

    fn complaint(number: usize) -> Vec<u8> {
        let text = format!(
            "From: fbl@isp{number}.example\nMessage-ID: <{number}@isp.example>\nMIME-Version: 1.0\n\
             Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\n\
             Content-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: x\nVersion: 1\n\
             Source-IP: 192.0.2.{number}\nOriginal-Rcpt-To: user{number}@isp.example\n\n--b\n\
             Content-Type: message/rfc822\n\nFrom: news@shop{number}.example\nMessage-ID: <m{number}@shop.example>\n\n--b--\n"
        );
        text.into_bytes()
    }

    fn message(number: usize) -> Message {
        let reserved = Reserved { complaints: true, bounces: false };
        let arrival = Arrival {
            origin: Origin::Stdin { index: Some(number as u32) },
            received_at: None,
            seen_at: 1_785_801_600,
            settles: false,
            reserved,
        };
        let content = if number == 3 {
            Content::Refused { bytes: 7, refused: Refused::Unreadable("gone".into()) }
        } else {
            let bytes = complaint(number);
            let reading = Box::new(reading::read(&bytes, None, &reading::Settings::default()));
            Content::Read { bytes, sha256: [number as u8; 32], name: None, reading }
        };
        Message { arrival, content }
    }

    /// A database that will not take the complaint `refused`, with messages kept in one batch, and what became of them.
    fn kept(refused: usize, apart: bool) -> (Vec<Vec<Vec<Value>>>, Vec<Option<Outcome>>) {
        let dir = tempfile::tempdir().expect("a folder");
        let mut store = Store::open(&dir.path().join("db.sqlite")).expect("a database");
        let trigger = format!(
            "CREATE TEMP TRIGGER refuse BEFORE INSERT ON main.complaint WHEN NEW.message_id = 'm{refused}@shop.example' \
             BEGIN SELECT RAISE(ABORT, 'not this one'); END"
        );
        store.connection.execute_batch(&trigger).expect("a trigger");
        let ours = Ours { own_domains: vec!["shop1.example".into()], kept_bytes: 1000, ..Ours::default() };
        store.begin().expect("a transaction");
        store.batch.apart = apart;
        let keep = |number| {
            let kept =
                store.keep(message(number), &reading::Settings::default(), &ours).expect("no error of the database");
            kept.map(|kept| kept.outcome)
        };
        let outcomes = (1..7).map(keep).collect();
        store.commit().expect("on the disk");
        (rows(&store), outcomes)
    }

    /// All rows of all tables.
    fn rows(store: &Store) -> Vec<Vec<Vec<Value>>> {
        let names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name";
        let mut statement = store.connection.prepare(names).expect("a statement");
        let names = statement.query_map([], |row| row.get::<_, String>(0)).expect("names");
        names.map(|name| table(store, &name.expect("a name"))).collect()
    }

    fn table(store: &Store, name: &str) -> Vec<Vec<Value>> {
        let mut statement = store.connection.prepare(&format!("SELECT * FROM {name}")).expect("a table");
        let width = statement.column_count();
        let rows = statement.query_map([], |row| (0..width).map(|at| row.get(at)).collect()).expect("rows");
        rows.map(|row| row.expect("a row")).collect()
    }

    #[test]
    fn what_the_database_will_not_take_costs_only_itself() {
        for refused in [1, 2, 4, 6] {
            let (rows, outcomes) = kept(refused, false);
            let expected = (1..7)
                .map(|number| Some(if number == refused || number == 3 { Outcome::Problem } else { Outcome::Stored }));
            assert_eq!(outcomes, expected.collect::<Vec<_>>(), "refused: {refused}");
            assert!(rows == kept(refused, true).0, "not the rows that a savepoint for each message gives: {refused}");
        }
    }

    #[test]
    fn without_a_failure_savepoints_make_no_difference() {
        assert!(kept(0, false).0 == kept(0, true).0);
    }

    #[test]
    fn only_so_much_is_held() {
        let mut batch = Batch::default();
        let large = |bytes: usize| {
            let content = Content::Read { bytes: vec![0; bytes], sha256: [0; 32], name: None, reading: Box::default() };
            Message { content, ..message(1) }
        };
        assert!(batch.holds(&large(HELD_BYTES / 2)));
        assert!(!batch.holds(&large(HELD_BYTES / 2)));
        assert!(batch.held.is_empty());
        assert!(!batch.holds(&large(1)));
    }
}
