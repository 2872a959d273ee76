//! `[[account]]`: one IMAP account.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::password::Password;
use super::reader::{Reader, Section, closest};
use crate::limits::Limits;
use crate::source::imap::{self, After, Bounds, Timeouts, Tls};

/// An IMAP account as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// What the user calls it; unique.
    pub name: String,
    /// Name or address of the server.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: Tls,
    /// PEM file with certificate authorities to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Who logs in.
    pub user: String,
    /// Where the password is.
    pub password: Password,
    /// The folders to take mail from; at least one.
    pub folders: Vec<String>,
    /// What to do with messages that are kept.
    pub after: After,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// Messages fetched by one command.
    pub batch_messages: usize,
    /// Bytes fetched by one command.
    pub batch_bytes: u64,
}

pub(super) const KEYS: &[&str] = &[
    "name",
    "host",
    "port",
    "tls",
    "ca_file",
    "user",
    "password_command",
    "password_file",
    "password_env",
    "folders",
    "after",
    "connect_seconds",
    "silence_seconds",
    "command_seconds",
    "run_seconds",
    "batch_messages",
    "batch_bytes",
];

impl Account {
    /// What the source needs, with the password fetched from where it is.
    ///
    /// # Errors
    /// Text for people when the password cannot be had.
    pub fn open(&self, limits: &Limits) -> Result<imap::Account, String> {
        let password = self.password.read().map_err(|reason| format!("account `{}`: {reason}", self.name))?;
        Ok(imap::Account {
            name: self.name.clone(),
            host: self.host.clone(),
            port: self.port,
            tls: self.tls,
            ca_file: self.ca_file.clone(),
            user: self.user.clone(),
            password,
            folders: self.folders.clone(),
            after: self.after.clone(),
            timeouts: self.timeouts,
            bounds: Bounds {
                message_bytes: limits.message_bytes,
                batch_messages: self.batch_messages,
                batch_bytes: self.batch_bytes,
            },
        })
    }
}

/// Reads one account; `others` come before it in the file.
pub(super) fn take(reader: &mut Reader<'_>, section: &Section<'_>, others: &[Account]) -> Option<Account> {
    reader.known(section, KEYS);
    let name = reader.required(section, "name");
    if let Some(name) = &name
        && others.iter().any(|other| other.name == *name)
    {
        let at = section.at("name");
        reader.wrong(at, "name", format!("there is another account `{name}`"));
    }
    let host = take_host(reader, section);
    let tls = take_tls(reader, section, host.as_deref());
    let port = if tls == Tls::Implicit { 993 } else { 143 };
    let port = reader.number(section, "port", port, 1, 65535);
    let ca_file = reader.path(section, "ca_file");
    let user = reader.required(section, "user");
    let password = Password::take(reader, section);
    let folders = take_folders(reader, section);
    let after = take_after(reader, section, &folders);
    let timeouts = take_timeouts(reader, section);
    let bounds = Bounds::default();
    let messages = reader.number(section, "batch_messages", bounds.batch_messages as u64, 1, 10_000);
    let batch_bytes = reader.number(section, "batch_bytes", bounds.batch_bytes, 1, 1 << 30);
    Some(Account {
        name: name?,
        host: host?,
        port: u16::try_from(port).ok()?,
        tls,
        ca_file,
        user: user?,
        password: password?,
        folders,
        after,
        timeouts,
        batch_messages: usize::try_from(messages).ok()?,
        batch_bytes,
    })
}

fn take_host(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<String> {
    let host = reader.required(section, "host")?;
    if rustls::pki_types::ServerName::try_from(host.as_str()).is_err() {
        let text = format!("`{host}` is not a host name or address (a port goes into `port`)");
        reader.wrong(section.at("host"), "host", text);
        return None;
    }
    Some(host)
}

fn take_tls(reader: &mut Reader<'_>, section: &Section<'_>, host: Option<&str>) -> Tls {
    let words = ["tls", "starttls", "none"];
    match reader.text(section, "tls").as_deref() {
        None | Some("tls") => Tls::Implicit,
        Some("starttls") => Tls::StartTls,
        Some("none") => {
            if host.is_some_and(|host| !is_loopback(host)) {
                let text = "\"none\" is for this machine only (localhost, 127.0.0.1, ::1): use \"tls\" or \
                    \"starttls\"";
                reader.wrong(section.at("tls"), "tls", text);
            }
            Tls::None
        }
        Some(other) => {
            not_one_of(reader, section, "tls", other, &words);
            Tls::Implicit
        }
    }
}

/// By name or address only; the source looks again at what the name means.
fn is_loopback(host: &str) -> bool {
    let address = host.parse::<IpAddr>().ok();
    address.map_or_else(
        || host.eq_ignore_ascii_case("localhost") || host.eq_ignore_ascii_case("ip6-localhost"),
        |address| address.is_loopback(),
    )
}

fn not_one_of(reader: &mut Reader<'_>, section: &Section<'_>, key: &str, found: &str, words: &[&str]) {
    let hint = closest(found, words).map(|word| format!("; did you mean `{word}`?"));
    let text = format!("`{found}` is not one of {}{}", words.join(", "), hint.unwrap_or_default());
    reader.wrong(section.at(key), key, text);
}

fn take_folders(reader: &mut Reader<'_>, section: &Section<'_>) -> Vec<String> {
    let Some(texts) = reader.texts(section, "folders") else {
        return vec!["INBOX".into()];
    };
    if texts.is_empty() {
        reader.wrong(section.at("folders"), "folders", "must not be empty");
    }
    let mut folders: Vec<String> = Vec::new();
    for (at, folder) in texts {
        if folders.iter().any(|known| same_folder(known, &folder)) {
            reader.wrong(at, "folders", format!("`{folder}` is there twice"));
        } else {
            folders.push(folder);
        }
    }
    folders
}

/// Only INBOX is the same in every case (RFC 9051, section 5.1).
fn same_folder(a: &str, b: &str) -> bool {
    a == b || a.eq_ignore_ascii_case("INBOX") && b.eq_ignore_ascii_case("INBOX")
}

fn take_after(reader: &mut Reader<'_>, section: &Section<'_>, folders: &[String]) -> After {
    let words = ["keep", "seen", "move:FOLDER", "delete"];
    let text = reader.text(section, "after");
    let Some(text) = text.as_deref() else {
        return After::Keep;
    };
    let target = match text {
        "keep" => return After::Keep,
        "seen" => return After::Seen,
        "delete" => return After::Delete,
        other => other.strip_prefix("move:").map(str::trim),
    };
    match target {
        None if text == "move" => {
            reader.wrong(section.at("after"), "after", "name the folder to move to: \"move:FOLDER\"");
        }
        None => not_one_of(reader, section, "after", text, &words),
        Some("") => {
            reader.wrong(section.at("after"), "after", "name the folder to move to: \"move:FOLDER\"");
        }
        Some(target) if folders.iter().any(|folder| same_folder(folder, target)) => {
            let text = format!("`{target}` is one of `folders`: messages would come back for ever");
            reader.wrong(section.at("after"), "after", text);
        }
        Some(target) => return After::Move(target.to_owned()),
    }
    After::Keep
}

fn take_timeouts(reader: &mut Reader<'_>, section: &Section<'_>) -> Timeouts {
    let default = Timeouts::default();
    let mut seconds =
        |key, default: Duration| Duration::from_secs(reader.number(section, key, default.as_secs(), 1, 7 * 86400));
    Timeouts {
        connect: seconds("connect_seconds", default.connect),
        silence: seconds("silence_seconds", default.silence),
        command: seconds("command_seconds", default.command),
        run: seconds("run_seconds", default.run),
    }
}
