//! `[account.oauth]`: where tokens come from (OAuth 2.0, RFC 6749), instead of a password.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::account::not_one_of;
use super::password::Password;
use super::reader::{Reader, Section};

/// How an account gets its access tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuth {
    /// The token end point (RFC 6749, section 3.2).
    pub token_url: String,
    /// The device authorization end point (RFC 8628, section 3.1), where the provider has one that serves mail.
    pub device_url: Option<String>,
    /// The authorization end point (RFC 6749, section 3.1), for logging in by a browser on this machine.
    pub auth_url: Option<String>,
    /// Who we are to the provider.
    pub client_id: String,
    /// With what we show it. A public client has none.
    pub client_secret: Option<Password>,
    /// What access is asked for, words with a space between.
    pub scope: String,
    /// Whose authority the tokens bear.
    pub flow: Flow,
    /// Where the refresh token is kept.
    pub token_file: PathBuf,
}

/// Whose authority the tokens bear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// A person's, who has logged in once (`dmarcdb auth`); refreshed since (RFC 6749, section 6).
    #[default]
    Refresh,
    /// The client's own (RFC 6749, section 4.4).
    ClientCredentials,
}

pub(super) const KEYS: &[&str] = &[
    "provider",
    "tenant",
    "flow",
    "token_url",
    "device_url",
    "auth_url",
    "client_id",
    "client_secret_command",
    "client_secret_file",
    "client_secret_env",
    "client_secret_credential",
    "scope",
    "token_file",
];

/// What a provider is known for.
#[derive(Default)]
struct Preset {
    token_url: Option<String>,
    device_url: Option<String>,
    auth_url: Option<String>,
    scope: Option<String>,
}

impl Preset {
    /// The device login of Google does not serve mail: its scopes are a short list without Gmail
    /// (https://developers.google.com/identity/protocols/oauth2/limited-input-device).
    fn google() -> Self {
        Preset {
            token_url: Some("https://oauth2.googleapis.com/token".into()),
            device_url: None,
            auth_url: Some("https://accounts.google.com/o/oauth2/v2/auth".into()),
            scope: Some("https://mail.google.com/".into()),
        }
    }

    /// https://learn.microsoft.com/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth
    fn microsoft(tenant: &str, flow: Flow) -> Self {
        let url = |end: &str| Some(format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/{end}"));
        let scope = match flow {
            Flow::Refresh => "https://outlook.office.com/IMAP.AccessAsUser.All offline_access",
            Flow::ClientCredentials => "https://outlook.office365.com/.default",
        };
        Preset {
            token_url: url("token"),
            device_url: url("devicecode"),
            auth_url: url("authorize"),
            scope: Some(scope.into()),
        }
    }
}

/// Reads the section of the account `name`.
pub(super) fn take(reader: &mut Reader<'_>, section: &Section<'_>, name: Option<&str>) -> Option<OAuth> {
    reader.known(section, KEYS);
    let flow = match reader.text(section, "flow").as_deref() {
        None | Some("refresh_token") => Flow::Refresh,
        Some("client_credentials") => Flow::ClientCredentials,
        Some(other) => {
            not_one_of(reader, section, "flow", other, &["refresh_token", "client_credentials"]);
            Flow::Refresh
        }
    };
    let preset = take_preset(reader, section, flow);
    let token_url = take_url(reader, section, "token_url").or(preset.token_url);
    let device_url = take_url(reader, section, "device_url").or(preset.device_url);
    let auth_url = take_url(reader, section, "auth_url").or(preset.auth_url);
    if token_url.is_none() && !section.has("token_url") {
        reader.missing(section, "`token_url` is missing, or `provider`");
    }
    let client_id = reader.required(section, "client_id");
    let client_secret = Password::take(reader, section, "client_secret");
    if flow == Flow::ClientCredentials && !Password::is_named(section, "client_secret") {
        reader.missing(section, "`flow = \"client_credentials\"` needs a client secret, such as `client_secret_file`");
    }
    let scope = reader.text(section, "scope").or(preset.scope).unwrap_or_default();
    let token_file = reader.path(section, "token_file");
    let token_file = token_file.unwrap_or_else(|| default_file(reader.folder(), name.unwrap_or_default()));
    Some(OAuth {
        token_url: token_url?,
        device_url,
        auth_url,
        client_id: client_id?,
        client_secret,
        scope,
        flow,
        token_file,
    })
}

fn take_preset(reader: &mut Reader<'_>, section: &Section<'_>, flow: Flow) -> Preset {
    let tenant = reader.text(section, "tenant");
    let provider = reader.text(section, "provider");
    let plain = |tenant: &String| tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if tenant.as_ref().is_some_and(|tenant| !plain(tenant)) {
        reader.wrong(section.at("tenant"), "tenant", "expected the name or number of a tenant");
    }
    match provider.as_deref() {
        Some("microsoft") => Preset::microsoft(tenant.as_deref().unwrap_or("common"), flow),
        Some("google") => Preset::google(),
        Some(other) => {
            not_one_of(reader, section, "provider", other, &["google", "microsoft"]);
            Preset::default()
        }
        None => Preset::default(),
    }
}

/// Secrets go over TLS only, but on this machine.
fn take_url(reader: &mut Reader<'_>, section: &Section<'_>, key: &str) -> Option<String> {
    let url = reader.text(section, key)?;
    let host = |rest: &str| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        host.trim_matches(['[', ']']).to_owned()
    };
    let loopback = |host: String| host.parse::<IpAddr>().map_or(host == "localhost", |address| address.is_loopback());
    let plain = url.strip_prefix("http://").is_some_and(|rest| loopback(host(rest)));
    let fine = |url: &str| url.is_ascii() && !url.contains([' ', '@', '"', '<', '>']);
    if !(fine(&url) && (plain || url.strip_prefix("https://").is_some_and(|rest| !host(rest).is_empty()))) {
        reader.wrong(section.at(key), key, format!("`{url}` is no https:// address"));
        return None;
    }
    Some(url)
}

/// Of a configuration for the system, beside its database; of a user's, where the user's state is.
fn default_file(folder: &Path, name: &str) -> PathBuf {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    let file: String = name
        .chars()
        .map(|character| if plain(character) { character.to_string() } else { format!("%{:x}", u32::from(character)) })
        .collect();
    let folder = if folder.starts_with("/etc") { PathBuf::from("/var/lib/dmarcdb") } else { state_folder() };
    folder.join(format!("oauth-{file}.json"))
}

fn state_folder() -> PathBuf {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let state = state.or_else(|| std::env::home_dir().map(|home| home.join(".local/state")));
    state.map_or_else(|| PathBuf::from("/var/lib/dmarcdb"), |state| state.join("dmarcdb"))
}
