//! `[[account]]`: one IMAP account.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::oauth::{self, OAuth};
use super::password::Password;
use super::reader::{Reader, Section, closest};
use crate::limits::Limits;
use crate::source::Stop;
use crate::source::imap::{self, After, Auth, Bounds, Secret, Timeouts, Tls};

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
    /// With what.
    pub login: Login,
    /// The folders to take mail from; at least one.
    pub folders: Vec<String>,
    /// Whether this mailbox is known to feedback loops only, so that complaints in it are believed.
    pub feedback: bool,
    /// Those of the folders that are known to feedback loops only, spelled as in `folders`.
    pub feedback_folders: Vec<String>,
    /// Whether this mailbox is known to mail servers only, so that bounces in it are believed.
    pub bounces: bool,
    /// Those of the folders that are known to mail servers only, spelled as in `folders`.
    pub bounce_folders: Vec<String>,
    /// What to do with messages that are kept.
    pub after: After,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// Messages fetched by one command.
    pub batch_messages: usize,
    /// Bytes fetched by one command.
    pub batch_bytes: u64,
    /// Messages taken in one run; 0 is no bound.
    pub run_messages: u64,
    /// Bytes taken in one run; 0 is no bound.
    pub run_bytes: u64,
    /// With `--watch`: between two looks where the server does not tell of new mail, or not of all folders.
    pub poll: Duration,
    /// With `--watch`: how long to wait for the server to tell before asking again.
    pub idle: Duration,
}

/// With what an account logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// A password.
    Password(Password),
    /// A token.
    OAuth {
        /// How the token is shown.
        auth: Auth,
        /// Where it comes from.
        oauth: OAuth,
    },
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
    "password_credential",
    "auth",
    "oauth",
    "folders",
    "after",
    "feedback",
    "feedback_folders",
    "bounces",
    "bounce_folders",
    "connect_seconds",
    "silence_seconds",
    "command_seconds",
    "run_seconds",
    "batch_messages",
    "batch_bytes",
    "run_messages",
    "run_bytes",
    "poll_seconds",
    "idle_seconds",
];

impl Account {
    /// `user@host:port`, by which the database tells servers apart.
    pub fn server(&self) -> String {
        format!("{}@{}:{}", self.user, self.host, self.port)
    }

    /// What the source needs, with the password or token that it logs in with.
    pub fn open(&self, limits: &Limits, secret: Secret, stop: Stop) -> imap::Account {
        imap::Account {
            name: self.name.clone(),
            host: self.host.clone(),
            port: self.port,
            tls: self.tls,
            ca_file: self.ca_file.clone(),
            user: self.user.clone(),
            auth: match &self.login {
                Login::Password(_) => Auth::Password,
                Login::OAuth { auth, .. } => *auth,
            },
            password: secret,
            folders: self.folders.clone(),
            after: self.after.clone(),
            timeouts: self.timeouts,
            bounds: Bounds {
                message_bytes: limits.message_bytes,
                batch_messages: self.batch_messages,
                batch_bytes: self.batch_bytes,
                run_messages: self.run_messages,
                run_bytes: self.run_bytes,
            },
            stop,
        }
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
    let login = take_login(reader, section, name.as_deref());
    let mut folders = take_folders(reader, section);
    let feedback = reader.flag(section, "feedback", false);
    let feedback_folders = take_reserved(reader, section, "feedback_folders", &mut folders);
    let bounces = reader.flag(section, "bounces", false);
    let bounce_folders = take_reserved(reader, section, "bounce_folders", &mut folders);
    let after = take_after(reader, section, &folders);
    let timeouts = take_timeouts(reader, section);
    let bounds = Bounds::default();
    let messages = reader.number(section, "batch_messages", bounds.batch_messages as u64, 1, 10_000);
    let batch_bytes = reader.number(section, "batch_bytes", bounds.batch_bytes, 1, 1 << 30);
    let run_messages = reader.number(section, "run_messages", bounds.run_messages, 0, u64::MAX);
    let run_bytes = reader.number(section, "run_bytes", bounds.run_bytes, 0, u64::MAX);
    let poll = reader.number(section, "poll_seconds", 60, 1, 86400);
    // Past 29 minutes servers may log out whoever is silent (RFC 2177).
    let idle = reader.number(section, "idle_seconds", 600, 1, 29 * 60);
    Some(Account {
        name: name?,
        host: host?,
        port: u16::try_from(port).ok()?,
        tls,
        ca_file,
        user: user?,
        login: login?,
        folders,
        feedback,
        feedback_folders,
        bounces,
        bounce_folders,
        after,
        timeouts,
        batch_messages: usize::try_from(messages).ok()?,
        batch_bytes,
        run_messages,
        run_bytes,
        poll: Duration::from_secs(poll),
        idle: Duration::from_secs(idle),
    })
}

fn take_login(reader: &mut Reader<'_>, section: &Section<'_>, name: Option<&str>) -> Option<Login> {
    let auth = match reader.text(section, "auth").as_deref() {
        None | Some("password") => Auth::Password,
        Some("xoauth2") => Auth::XOAuth2,
        Some("oauthbearer") => Auth::OAuthBearer,
        Some(other) => {
            not_one_of(reader, section, "auth", other, &["password", "xoauth2", "oauthbearer"]);
            return None;
        }
    };
    let password = Password::take(reader, section, "password");
    let named = Password::is_named(section, "password");
    let oauth = reader.section(section, "oauth");
    match (auth, oauth) {
        (Auth::Password, None) => {
            if !named && !section.has("password") {
                let text = "no password: one of `password_command`, `password_file`, `password_env` and \
                    `password_credential` is needed";
                reader.missing(section, text);
            }
            password.map(Login::Password)
        }
        (Auth::Password, Some(_)) => {
            let text = "`[account.oauth]` is for `auth = \"xoauth2\"` or `auth = \"oauthbearer\"`";
            reader.mistake(section.at("oauth"), text);
            None
        }
        (_, None) => {
            reader.mistake(section.at("auth"), "`auth`: tokens need a section `[account.oauth]`");
            None
        }
        (auth, Some(oauth)) => {
            if named {
                reader.mistake(section.at("auth"), "`auth`: a token and a password are one too many");
            }
            oauth::take(reader, &oauth, name).map(|oauth| Login::OAuth { auth, oauth })
        }
    }
}

/// Folders that are reserved for feedback loops or bounces are read like the others, so they need not be named twice.
fn take_reserved(reader: &mut Reader<'_>, section: &Section<'_>, key: &str, folders: &mut Vec<String>) -> Vec<String> {
    let mut reserved = Vec::new();
    for (_, folder) in reader.texts(section, key).unwrap_or_default() {
        match folders.iter().find(|known| same_folder(known, &folder)) {
            Some(known) => reserved.push(known.clone()),
            None => {
                folders.push(folder.clone());
                reserved.push(folder);
            }
        }
    }
    reserved
}

fn take_host(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<String> {
    let host = reader.required(section, "host")?;
    if !imap::is_server_name(&host) {
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

pub(super) fn not_one_of(reader: &mut Reader<'_>, section: &Section<'_>, key: &str, found: &str, words: &[&str]) {
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
