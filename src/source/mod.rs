//! Where mail comes from. A source hands out [`Message`]s one by one, in order, and is told what became
//! of each only after the commit that keeps it.
//!
//! A source knows nothing of reports, of the database or of the configuration: it takes values.

pub mod file;
pub mod imap;
mod maildir;
mod mbox;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Where a message was found; unique among all messages of a run, and stable between runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A file, or the `index`-th message (from 0) of an mbox.
    File {
        /// The path as given or found below a given directory.
        path: PathBuf,
        /// Position within an mbox.
        index: Option<u32>,
    },
    /// Standard input, or the `index`-th message of an mbox read from there.
    Stdin {
        /// Position within an mbox.
        index: Option<u32>,
    },
    /// A message in an IMAP folder.
    Imap {
        /// The folder with its UIDVALIDITY.
        mailbox: Arc<Mailbox>,
        /// The message's UID, meaningful under that UIDVALIDITY only (RFC 9051, section 2.3.1.1).
        uid: u32,
    },
}

/// An IMAP folder under one UIDVALIDITY.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mailbox {
    /// The account's name in the configuration.
    pub account: String,
    /// `user@host:port`: what tells two servers apart when an account is renamed or pointed elsewhere.
    pub server: String,
    /// The folder's name as configured (decoded from modified UTF-7).
    pub folder: String,
    /// UIDs are only comparable under the same value.
    pub uid_validity: u32,
}

impl fmt::Display for Origin {
    /// For people and for the ledger: a path, `path#3`, `-`, or `imap://account/INBOX;uidvalidity=1;uid=4711`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |f: &mut fmt::Formatter<'_>, index: &Option<u32>| match index {
            Some(index) => write!(f, "#{index}"),
            None => Ok(()),
        };
        match self {
            Origin::File { path, index } => {
                write!(f, "{}", path.display())?;
                number(f, index)
            }
            Origin::Stdin { index } => {
                f.write_str("-")?;
                number(f, index)
            }
            Origin::Imap { mailbox, uid } => {
                let Mailbox { account, folder, uid_validity, .. } = &**mailbox;
                write!(f, "imap://{account}/{folder};uidvalidity={uid_validity};uid={uid}")
            }
        }
    }
}

/// One message (or file) as taken from its source.
#[derive(Debug)]
pub struct Message {
    /// Where it was found.
    pub origin: Origin,
    /// Its bytes, within the source's size bound.
    pub bytes: Vec<u8>,
    /// When the server or file system got it (IMAP INTERNALDATE, file time), seconds since the epoch.
    pub received_at: Option<i64>,
}

/// What a source hands out.
#[derive(Debug)]
pub enum Taken {
    /// A message to be read.
    Message(Message),
    /// Something that is there but could not be taken; becomes a problem, and the run goes on.
    Refused {
        /// Where it is.
        origin: Origin,
        /// Its size as far as known.
        bytes: u64,
        /// Why.
        refusal: Refused,
    },
}

/// Why a source could not hand over a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Larger than the bound on a message (bytes).
    TooLarge {
        /// The bound.
        limit: u64,
    },
    /// The file could not be opened or read.
    Unreadable(String),
    /// An IMAP server lists it but does not hand it over. Tried again in later runs before it counts as a problem.
    Undeliverable(String),
    /// The connection failed while an IMAP server was to hand it over. It is tried again in later runs, after all others:
    /// a message on which a server fails every time must not keep the others away. Never counts as a problem.
    Interrupted(String),
}

/// What became of a message; told to the source after the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// All it held is stored (now or before): the original is no longer needed.
    Kept,
    /// It holds no report, or something in it could not be read: the original stays untouched where it is.
    Left,
}

/// A place mail comes from.
pub trait Source {
    /// The next message in the source's order; `None` at the end. Blocks, but never without a timeout.
    ///
    /// # Errors
    /// When the source as a whole can not go on; what was handed out before stays valid.
    fn next(&mut self) -> Result<Option<Taken>, Error>;

    /// Told once for every message handed out, in order, after the commit that keeps it. A source that was asked to
    /// flag, move or delete does so now for [`Fate::Kept`]; one that was not does nothing. Returns those for which nothing
    /// is left to be done; for the others the step is repeated by the next run, as it is after an error.
    ///
    /// # Errors
    /// When the source can not go on; the messages stay in the ledger.
    fn settle(&mut self, settled: &[(Origin, Fate)]) -> Result<Vec<Origin>, Error>;

    /// How many messages are still to come, as far as known; for progress only.
    fn remaining(&self) -> Option<u64> {
        None
    }

    /// About how many KiB it holds at most beside the messages that it has handed out: the database holds so much less.
    fn held_kib(&self) -> i32 {
        0
    }
}

/// A wish to end, handed to whatever waits: everything that waits looks at it several times a second. The looks are
/// counted, so that a watchdog can tell waiting from hanging.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    flag: Arc<AtomicBool>,
    looks: Arc<AtomicU64>,
}

impl Stop {
    /// Ends when `flag` is set.
    pub fn new(flag: Arc<AtomicBool>) -> Self {
        Stop { flag, looks: Arc::default() }
    }

    /// The flag itself.
    pub fn flag(&self) -> &AtomicBool {
        &self.flag
    }

    /// Whether it is time to end.
    pub fn is_set(&self) -> bool {
        self.looks.fetch_add(1, Ordering::Relaxed);
        self.flag.load(Ordering::Relaxed)
    }

    /// Asks for the end.
    pub fn set(&self) {
        self.flag.store(true, Ordering::Relaxed);
    }

    /// How often somebody looked so far.
    pub fn looks(&self) -> u64 {
        self.looks.load(Ordering::Relaxed)
    }
}

/// Why a source can not go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct Error {
    /// Decides the exit status.
    pub kind: ErrorKind,
    /// Which account, folder or path.
    pub place: String,
    /// A lower-case fragment without full stop. May quote a server: sanitize before showing.
    pub reason: String,
}

/// The sorts of failure that a cron job must tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Run again later: network, timeout, throttled, server busy, limit of this run.
    Temporary,
    /// The server broke the protocol, or exceeded a guard's limit.
    Protocol,
    /// Login or permission refused.
    Login,
    /// Configuration, certificate, or a mailbox that does not exist: a person must act.
    Configuration,
    /// Reading a local disk failed.
    Io,
}

/// What a mailbox is reserved for: an address that nobody else knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reserved {
    /// Feedback loops send to it, and nobody else.
    pub complaints: bool,
    /// Mail servers send bounces to it, and nobody else.
    pub bounces: bool,
}
