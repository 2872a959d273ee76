//! One logged-in connection: the commands that are used, each with its budget, and what can come of them.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use imap::extensions::idle::stop_on_any;
use imap_proto::{Capability, NameAttribute};

use super::account::{Account, Tls};
use super::guard::{Guard, readable, veil};
use super::login;
use super::name::{self, Naming, unescape};
use super::watch::{Budget, Expect, Said, Watch};
use super::wire::{self, Wire};
use crate::source::{Error, ErrorKind};

pub(super) type Client = imap::Client<Guard<Wire>>;
pub(super) type Session = imap::Session<Guard<Wire>>;

/// Why a command did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The server said NO or BAD; the connection goes on.
    Refused(Refusal),
    /// The connection ended without a reason given: worth another one.
    Lost(String),
    /// The connection is of no use any more.
    Broken(ErrorKind, String),
}

/// A NO or BAD from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// BAD: the server did not understand, or pretends so.
    pub bad: bool,
    /// The response code (RFC 9051, section 7.1), in upper case.
    pub code: Option<String>,
    /// What it said.
    pub text: String,
}

impl Refusal {
    /// What sort of failure this is; `otherwise` where the response code does not tell.
    pub fn kind(&self, otherwise: ErrorKind) -> ErrorKind {
        if self.text.contains("authenticated but not connected") {
            // Exchange Online, with BAD, when a mailbox server does not answer its front end.
            return ErrorKind::Temporary;
        }
        match self.code.as_deref() {
            Some(
                "AUTHENTICATIONFAILED"
                | "AUTHORIZATIONFAILED"
                | "EXPIRED"
                | "PRIVACYREQUIRED"
                | "CONTACTADMIN"
                | "NOPERM",
            ) => ErrorKind::Login,
            Some("UNAVAILABLE" | "INUSE" | "LIMIT" | "THROTTLED" | "OVERQUOTA" | "SERVERBUG" | "CORRUPTION") => {
                ErrorKind::Temporary
            }
            Some("NONEXISTENT" | "CANNOT" | "TRYCREATE" | "CLIENTBUG") => ErrorKind::Configuration,
            _ if self.bad => ErrorKind::Protocol,
            _ => otherwise,
        }
    }

    /// Whether more of the same would be refused too, so that the run must stop.
    pub fn stops_the_run(&self) -> bool {
        matches!(self.code.as_deref(), Some("UNAVAILABLE" | "INUSE" | "LIMIT" | "THROTTLED" | "OVERQUOTA"))
            || self.kind(ErrorKind::Protocol) == ErrorKind::Temporary && self.bad
    }
}

/// A folder as SELECT or EXAMINE describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opened {
    pub uid_validity: Option<u32>,
    pub uid_next: Option<u32>,
    pub exists: u32,
    pub read_only: bool,
}

/// A message as fetched.
#[derive(Debug)]
pub(super) struct Item {
    pub bytes: Vec<u8>,
    pub received_at: Option<i64>,
}

/// What came of a FETCH of sizes.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    /// By UID: every message that the server told of, with its size where it said that.
    pub told: HashMap<u32, Option<u64>>,
    /// Whether there was one without its UID.
    pub strange: bool,
}

/// What came of a FETCH of bodies.
#[derive(Debug, Default)]
pub(super) struct Items {
    /// By UID: only those asked for, and only those with a body.
    pub items: HashMap<u32, Item>,
    /// Whether the server sent bodies nobody asked for.
    pub strange: bool,
}

/// A logged-in connection.
pub(super) struct Connection {
    /// `None` once it is of no use any more.
    session: Option<Session>,
    watch: Watch,
    place: String,
    /// MOVE (RFC 6851).
    pub can_move: bool,
    /// UID EXPUNGE (RFC 4315).
    pub uid_plus: bool,
    /// IDLE (RFC 2177).
    pub can_idle: bool,
    /// NAMESPACE (RFC 2342).
    tells_namespaces: bool,
    /// How folder names are written, once that had to be known.
    naming: Option<Naming>,
}

impl Connection {
    /// Connects, protects the connection, logs in, and learns what the server can do.
    pub fn open(account: &Account, run_until: Instant) -> Result<Connection, Error> {
        let place = account.place();
        let error = |(kind, reason)| Error { kind, place: place.clone(), reason };
        let watch = Watch::new(account.timeouts, run_until, account.stop.clone());
        watch.hide(login::spellings(account));
        let wire = wire::connect(account, &watch).map_err(error)?;
        let greeted = account.tls == Tls::StartTls;
        watch.within(account.timeouts.connect);
        let guard = Guard::new(wire, watch.clone(), !greeted);
        let mut client = Client::new(guard);
        if !greeted {
            guarded(|| client.read_greeting())
                .and_then(|greeting| greeting.map_err(|error| failure(error, &watch)))
                .map_err(|failure| error(failure.into_parts(ErrorKind::Temporary)))?;
        }
        let session = login::log_in(account, client, &watch).map_err(error)?;
        let mut connection = Connection {
            session: Some(session),
            watch,
            place: place.clone(),
            can_move: false,
            uid_plus: false,
            can_idle: false,
            tells_namespaces: false,
            naming: None,
        };
        connection.learn().map_err(|failure| error(failure.into_parts(ErrorKind::Protocol)))?;
        Ok(connection)
    }

    /// Capabilities after login. Most servers tell them with the login's answer.
    fn learn(&mut self) -> Result<(), Failure> {
        let capabilities = match self.watch.take_capabilities() {
            Some(told) => told,
            None => self.run(Budget::small(Expect::Capability), |session| Ok(words(&session.capabilities()?)))?,
        };
        let has = |name: &str| capabilities.iter().any(|word| word.eq_ignore_ascii_case(name));
        // IMAP4rev2 includes all four.
        let rev2 = has("IMAP4rev2");
        self.can_idle = rev2 || has("IDLE");
        self.can_move = rev2 || has("MOVE");
        self.uid_plus = rev2 || has("UIDPLUS");
        self.tells_namespaces = rev2 || has("NAMESPACE");
        Ok(())
    }

    /// How folder names are written: asked for when it has to be known, which it has not of INBOX.
    pub fn naming(&mut self) -> Result<&Naming, Failure> {
        let naming = match self.naming.take() {
            Some(naming) => naming,
            None => match self.namespace()? {
                Some(naming) => naming,
                None => Naming { delimiter: self.delimiter()?, ..Naming::default() },
            },
        };
        Ok(self.naming.insert(naming))
    }

    /// The names on the wire that a folder may have, likeliest first.
    pub fn names_of(&mut self, folder: &str) -> Result<Vec<String>, Failure> {
        match name::is_inbox(folder) {
            true => Ok(Naming::default().candidates(folder)),
            false => Ok(self.naming()?.candidates(folder)),
        }
    }

    fn namespace(&mut self) -> Result<Option<Naming>, Failure> {
        if !self.tells_namespaces {
            return Ok(None);
        }
        match self.run(Budget::small(Expect::Nothing), |session| session.run_command_and_check_ok("NAMESPACE")) {
            Err(Failure::Refused(_)) | Ok(()) => {}
            Err(failure) => return Err(failure),
        }
        Ok(self.watch.take_namespace().as_deref().and_then(Naming::from_namespace))
    }

    fn delimiter(&mut self) -> Result<Option<char>, Failure> {
        let asked = self.run(Budget::small(Expect::List), |session| {
            let names = session.list(Some(""), Some("\"\""))?;
            Ok(names.iter().find_map(|name| name.delimiter().map(unescape)))
        });
        match asked {
            Err(Failure::Refused(_)) => Ok(None),
            Err(failure) => Err(failure),
            Ok(delimiter) => Ok(delimiter.and_then(|text| text.chars().next())),
        }
    }

    /// Runs one command within its budget. A panic of the library ends the connection, not the process.
    fn run<T>(&mut self, budget: Budget, command: impl FnOnce(&mut Session) -> imap::Result<T>) -> Result<T, Failure> {
        let Some(session) = &mut self.session else {
            return Err(Failure::Lost("the connection is closed".into()));
        };
        self.watch.begin(budget);
        let answer = guarded(|| {
            let answer = command(session);
            // The library collects what it did not expect; nothing of that is of use here.
            drop(session.take_all_unsolicited());
            answer
        });
        let result = answer.and_then(|answer| answer.map_err(|error| failure(error, &self.watch)));
        if let Err(Failure::Lost(_) | Failure::Broken(..)) = result {
            self.session = None;
        }
        result
    }

    /// Whether commands can still be sent.
    pub fn is_open(&self) -> bool {
        self.session.is_some()
    }

    /// Lets the run go on for `time` from now at least. When it is time to stop, one more brief step is allowed.
    pub fn grant(&self, time: Duration) {
        self.watch.grant(time);
        self.watch.grant_step();
    }

    /// A run of its own begins on this connection.
    pub fn run_until(&self, until: Instant) {
        self.watch.run_until(until);
    }

    /// Whether it is time to stop.
    pub fn is_stopping(&self) -> bool {
        self.watch.is_stopping()
    }

    /// Waits at most `time` until the server tells of a message in the folder that is selected (IDLE, RFC 2177). At
    /// once, when it has done so since the folder was selected.
    pub fn idle(&mut self, time: Duration) -> Result<(), Failure> {
        if self.watch.take_news() {
            return Ok(());
        }
        let waited = self.run(Budget::small(Expect::Idle), |session| {
            let mut handle = session.idle();
            let waited = handle.timeout(time).keepalive(false).wait_while(stop_on_any);
            if let Err(imap::Error::No(_) | imap::Error::Bad(_)) = waited {
                // There is nothing to end, and a DONE would be taken for a command.
                std::mem::forget(handle);
            }
            waited.map(|_| ())
        });
        self.watch.take_news();
        waited
    }

    /// What the server wanted people to see, since last asked.
    pub fn take_alerts(&self) -> Vec<String> {
        self.watch.take_alerts()
    }

    /// How errors name this account.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Opens the folder `name` (as on the wire).
    ///
    /// A server that says that its UIDs do not last is treated as one without UIDVALIDITY.
    pub fn select(&mut self, name: &str, read_only: bool) -> Result<Opened, Failure> {
        self.watch.take_news();
        let mailbox = self.run(Budget::small(Expect::Select), |session| match read_only {
            true => session.examine(name),
            false => session.select(name),
        })?;
        let sticky = !self.watch.has_seen("UIDNOTSTICKY");
        Ok(Opened {
            uid_validity: mailbox.uid_validity.filter(|value| sticky && *value > 0),
            uid_next: mailbox.uid_next,
            exists: mailbox.exists,
            read_only: read_only || mailbox.is_read_only,
        })
    }

    /// The UIDs that exist within `set`, ascending.
    pub fn search(&mut self, set: &str) -> Result<Vec<u32>, Failure> {
        let budget = Budget { bytes: 16 << 20, likely: 1 << 20, ..Budget::small(Expect::Search) };
        let found = self.run(budget, |session| session.uid_search(format!("UID {set}")))?;
        let mut uids: Vec<u32> = found.into_iter().filter(|uid| *uid > 0).collect();
        uids.sort_unstable();
        Ok(uids)
    }

    /// What the server tells of the messages of `set`. Some servers send bodies nobody asked for; one of up to `literal`
    /// bytes is passed over.
    pub fn sizes(&mut self, set: &str, literal: u64) -> Result<Sizes, Failure> {
        // Where sizes were never asked for, a server may have to read the messages.
        let small = Budget::small(Expect::Sizes);
        let budget =
            Budget { bytes: (4 * small.bytes).saturating_add(literal), likely: 4 * small.bytes, literal, ..small };
        self.run(budget, |session| {
            let mut sizes = Sizes::default();
            for item in session.uid_fetch(set, "(UID RFC822.SIZE)")?.iter() {
                match item.uid {
                    Some(uid) => drop(sizes.told.insert(uid, item.size.map(u64::from))),
                    None => sizes.strange |= item.size.is_some() || item.body().is_some(),
                }
            }
            Ok(sizes)
        })
    }

    /// The messages `uids` (`set` on the wire), of which the server claims `bytes` in all and none may be larger than
    /// `literal`. Nothing changes at the server.
    pub fn bodies(&mut self, set: &str, uids: &[u32], bytes: u64, literal: u64) -> Result<Items, Failure> {
        let most = bytes.saturating_mul(2).saturating_add(literal).saturating_add(2 << 20);
        let budget = Budget { expect: Expect::Fetch, bytes: most, likely: bytes, literal };
        let byte = self.watch.veil();
        self.run(budget, |session| {
            let fetched = session.uid_fetch(set, "(UID INTERNALDATE BODY.PEEK[])")?;
            let mut answer = Items::default();
            for item in fetched.iter() {
                let Some(body) = item.body() else { continue };
                let asked = item.uid.filter(|uid| uids.binary_search(uid).is_ok());
                let Some(uid) = asked else {
                    answer.strange = true;
                    continue;
                };
                answer.items.entry(uid).or_insert_with(|| {
                    let mut bytes = body.to_vec();
                    veil(&mut bytes, byte);
                    let received_at = item.internal_date().map(|date| date.timestamp());
                    Item { bytes, received_at: received_at.filter(|seconds| *seconds > 0) }
                });
            }
            Ok(answer)
        })
    }

    /// Adds `flag` to the messages of `set`.
    pub fn add_flag(&mut self, set: &str, flag: &str) -> Result<(), Failure> {
        self.run(Budget::small(Expect::Nothing), |session| {
            session.uid_store(set, format!("+FLAGS.SILENT ({flag})")).map(|_| ())
        })
    }

    /// Moves the messages of `set` to the folder `name` (as on the wire).
    pub fn move_to(&mut self, set: &str, name: &str) -> Result<(), Failure> {
        self.run(Budget::small(Expect::Nothing), |session| session.uid_mv(set, name))
    }

    /// Copies the messages of `set` to the folder `name` (as on the wire).
    pub fn copy_to(&mut self, set: &str, name: &str) -> Result<(), Failure> {
        let name = quote(name);
        self.run(Budget::small(Expect::Nothing), |session| session.uid_copy(set, &name))
    }

    /// Removes those messages of `set` that are marked `\Deleted`, and no others.
    pub fn expunge(&mut self, set: &str) -> Result<(), Failure> {
        self.run(Budget::small(Expect::Nothing), |session| session.uid_expunge(set).map(|_| ()))
    }

    /// Whether the folder `name` (as on the wire) exists and can be opened.
    pub fn exists(&mut self, name: &str) -> Result<bool, Failure> {
        let pattern = quote(name);
        let names = self.names(&pattern)?;
        Ok(names.iter().any(|listed| listed == name || name == "INBOX" && listed.eq_ignore_ascii_case(name)))
    }

    /// Creates the folder `name` (as on the wire).
    pub fn create(&mut self, name: &str) -> Result<(), Failure> {
        self.run(Budget::small(Expect::Nothing), |session| session.create(name))
    }

    /// The folders that can be opened, as on the wire, that match a quoted pattern.
    pub fn names(&mut self, pattern: &str) -> Result<Vec<String>, Failure> {
        let budget = Budget { bytes: 16 << 20, likely: 1 << 20, ..Budget::small(Expect::List) };
        self.run(budget, |session| {
            let names = session.list(Some(""), Some(pattern))?;
            let open = names.iter().filter(|name| !name.attributes().iter().any(is_no_folder));
            Ok(open.map(|name| unescape(name.name())).collect())
        })
    }
}

impl Drop for Connection {
    /// Takes leave, if that is quick.
    fn drop(&mut self) {
        if let Some(mut session) = self.session.take() {
            self.watch.begin(Budget::small(Expect::Nothing));
            self.watch.within(Duration::from_secs(5));
            self.watch.grant_step();
            let _ = guarded(|| session.logout());
        }
    }
}

fn is_no_folder(attribute: &NameAttribute<'_>) -> bool {
    match attribute {
        NameAttribute::NoSelect => true,
        NameAttribute::Extension(name) => name.eq_ignore_ascii_case("\\NonExistent"),
        _ => false,
    }
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

pub(super) fn words(capabilities: &imap::types::Capabilities) -> Vec<String> {
    let word = |capability: &Capability<'_>| match capability {
        Capability::Imap4rev1 => "IMAP4rev1".to_owned(),
        Capability::Auth(mechanism) => format!("AUTH={mechanism}"),
        Capability::Atom(atom) => atom.to_string(),
    };
    capabilities.iter().map(word).collect()
}

/// Runs a call of the library. It has panicked on what servers sent, and may again.
pub(super) fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| {
        let reason = "the protocol library failed on what the server sent";
        Failure::Broken(ErrorKind::Protocol, reason.into())
    })
}

/// What became of a command, from the library's error and from what the watch saw.
pub(super) fn failure(error: imap::Error, watch: &Watch) -> Failure {
    if let Some(fault) = watch.fault() {
        return Failure::Broken(fault.kind, fault.reason);
    }
    let protocol = |reason: String| Failure::Broken(ErrorKind::Protocol, reason);
    match error {
        imap::Error::No(imap::error::No { information, .. }) => refused(false, information, watch),
        imap::Error::Bad(imap::error::Bad { information, .. }) => refused(true, information, watch),
        imap::Error::ConnectionLost => lost("the server closed the connection".into(), watch),
        imap::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            protocol(format!("the connection is garbled: {error}"))
        }
        imap::Error::Io(error) => lost(format!("the connection broke: {error}"), watch),
        // The library takes every line it cannot parse for a BYE; real ones the guard keeps from it.
        imap::Error::Bye(_) => protocol("the server's answer is not understood".into()),
        imap::Error::TagMismatch(_) => protocol("the server answered a command that was not sent".into()),
        imap::Error::Validate(error) => {
            Failure::Broken(ErrorKind::Configuration, format!("a name or password that cannot be sent: {error}"))
        }
        other => {
            let text = other.to_string();
            protocol(format!("the server's answer is not understood: {}", readable(text.as_bytes())))
        }
    }
}

fn refused(bad: bool, information: String, watch: &Watch) -> Failure {
    let Said { code, text } =
        watch.take_tagged().unwrap_or_else(|| Said { code: None, text: readable(information.as_bytes()) });
    Failure::Refused(Refusal { bad, code, text })
}

fn lost(reason: String, watch: &Watch) -> Failure {
    match watch.said_bye() {
        Some(bye) => Failure::Broken(ErrorKind::Temporary, format!("the server closed the connection: {}", bye.text)),
        None => Failure::Lost(reason),
    }
}

impl Failure {
    /// Kind and reason, with the kind of a refusal whose code does not tell.
    pub fn into_parts(self, otherwise: ErrorKind) -> (ErrorKind, String) {
        match self {
            Failure::Refused(refusal) => {
                let verb = if refusal.bad { "BAD" } else { "NO" };
                (refusal.kind(otherwise), format!("the server says {verb}: {}", refusal.text))
            }
            Failure::Lost(reason) => (ErrorKind::Temporary, reason),
            Failure::Broken(kind, reason) => (kind, reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_codes_decide() {
        let check = |code: &str, bad, otherwise, kind, stops| {
            let code = (!code.is_empty()).then(|| code.to_owned());
            let refusal = Refusal { bad, code, text: String::new() };
            assert_eq!(refusal.kind(otherwise), kind, "{refusal:?}");
            assert_eq!(refusal.stops_the_run(), stops, "{refusal:?}");
        };
        use ErrorKind::{Configuration, Login, Protocol, Temporary};
        check("AUTHENTICATIONFAILED", false, Protocol, Login, false);
        check("", false, Login, Login, false);
        check("", true, Login, Protocol, false);
        check("UNAVAILABLE", false, Login, Temporary, true);
        check("THROTTLED", true, Login, Temporary, true);
        check("OVERQUOTA", false, Configuration, Temporary, true);
        check("SERVERBUG", false, Login, Temporary, false);
        check("NONEXISTENT", false, Protocol, Configuration, false);
        check("ALERT", false, Login, Login, false);
    }

    #[test]
    fn quotes() {
        assert_eq!(quote(r#"a"b\c"#), r#""a\"b\\c""#);
    }
}
