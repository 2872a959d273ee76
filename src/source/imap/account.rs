//! The plain values an IMAP source is made from.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::source::{Mailbox, Stop};

/// A text that must not be seen: it has no `Display`, its `Debug` hides it, and it is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes `text` in.
    pub fn new(text: String) -> Self {
        Secret(Zeroizing::new(text))
    }

    /// The text itself. For the wire only: never print, log or store it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How the connection is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// TLS from the first byte (RFC 8314, section 3).
    #[default]
    Implicit,
    /// STARTTLS before anything else (RFC 9051, section 6.2.1). A server that does not offer it is an error.
    StartTls,
    /// Not at all; refused for every address but a loopback one.
    None,
}

/// What an account logs in with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// A password: LOGIN, or SASL PLAIN (RFC 4616).
    #[default]
    Password,
    /// A token, by the mechanism XOAUTH2 (<https://developers.google.com/workspace/gmail/imap/xoauth2-protocol>).
    XOAuth2,
    /// A token, by the mechanism OAUTHBEARER (RFC 7628).
    OAuthBearer,
}

/// What to do at the server with a message that is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum After {
    /// Nothing. Folders are opened read-only.
    #[default]
    Keep,
    /// Set the `\Seen` flag.
    Seen,
    /// Move it to this folder (UTF-8, `/` between levels), which is created when it is missing.
    Move(String),
    /// Delete it.
    Delete,
}

/// How long to wait for a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the name look-up, the TCP connection, and again for the TLS handshake.
    pub connect: Duration,
    /// For the next byte, in either direction.
    pub silence: Duration,
    /// For the whole answer to a command; a second more is allowed for every 64 KiB expected.
    pub command: Duration,
    /// For the whole run over this account. What is taken until then stays valid.
    pub run: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(15),
            silence: Duration::from_secs(60),
            command: Duration::from_secs(60),
            run: Duration::from_secs(15 * 60),
        }
    }
}

/// Bounds on what is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of a message; a larger one is refused unread.
    pub message_bytes: u64,
    /// Messages fetched by one command.
    pub batch_messages: usize,
    /// Bytes fetched by one command, by the sizes the server claims. One message is always fetched.
    pub batch_bytes: u64,
    /// Messages taken in one run; 0 is no bound. What is more waits for the next run.
    pub run_messages: u64,
    /// Bytes taken in one run; 0 is no bound. One message is always taken.
    pub run_bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        // Google locks an account for a day that takes more than 2.5 GB in one.
        Bounds {
            message_bytes: 32 << 20,
            // Each command costs a round trip in which nothing comes.
            batch_messages: 2000,
            batch_bytes: 8 << 20,
            run_messages: 100_000,
            run_bytes: 2 << 30,
        }
    }
}

/// One account on one server, with all that is needed to take its mail.
#[derive(Clone, Debug)]
pub struct Account {
    /// What the user calls it.
    pub name: String,
    /// Name or address of the server. A certificate must be for it.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: Tls,
    /// PEM file with certificate authorities to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Who logs in.
    pub user: String,
    /// What `password` is.
    pub auth: Auth,
    /// With what: the password, or an access token.
    pub password: Secret,
    /// The folders to take mail from, in UTF-8, `/` between levels.
    pub folders: Vec<String>,
    /// What to do with messages that are kept.
    pub after: After,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// How much to take.
    pub bounds: Bounds,
    /// When set, the run ends within a few seconds, whatever the server does.
    pub stop: Stop,
}

impl Account {
    /// `user@host:port`, by which [`Mailbox::server`] tells servers apart.
    pub fn server(&self) -> String {
        format!("{}@{}:{}", self.user, self.host, self.port)
    }

    /// How errors of this account name it.
    pub(super) fn place(&self) -> String {
        format!("account `{}` ({}:{})", self.name, self.host, self.port)
    }
}

/// What is known of an account's folders from earlier runs.
#[derive(Clone, Debug, Default)]
pub struct Resume {
    /// One for each folder and UIDVALIDITY; those that no longer apply are ignored.
    pub mailboxes: Vec<Known>,
}

/// How far an earlier run came in one folder under one UIDVALIDITY.
#[derive(Clone, Debug)]
pub struct Known {
    /// The folder.
    pub mailbox: Mailbox,
    /// Every UID up to this one was kept or is in `retry`.
    pub cursor_uid: u32,
    /// UIDs up to the cursor that the server did not hand over; tried again in this order, one by one, after all others.
    pub retry: Vec<u32>,
    /// UIDs of kept messages whose flagging, moving or deleting was not confirmed; repeated first.
    pub unsettled: Vec<u32>,
}

impl Resume {
    /// Whether `mailbox` is known under another UIDVALIDITY and not under this one.
    pub(super) fn is_renumbered(&self, mailbox: &Arc<Mailbox>) -> bool {
        let mut others = self.mailboxes.iter().map(|known| &known.mailbox);
        self.known(mailbox).is_none()
            && others.any(|other| other.server == mailbox.server && other.folder == mailbox.folder)
    }

    /// What is known of `mailbox`. The account's name may have changed since.
    pub(super) fn known(&self, mailbox: &Arc<Mailbox>) -> Option<&Known> {
        self.mailboxes.iter().find(|known| {
            let Mailbox { server, folder, uid_validity, .. } = &known.mailbox;
            *server == mailbox.server && *folder == mailbox.folder && *uid_validity == mailbox.uid_validity
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_hide() {
        let secret = Secret::new("hunter2".into());
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert_eq!(secret.expose(), "hunter2");
    }
}
