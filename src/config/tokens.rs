//! `[verp]` and `[cfbl]`: what tokens our mail bears, and where the secret is that signs them.

use super::password::{Password, Reading};
use super::reader::{Reader, Section};
use crate::suppress::token::{Key, Pattern};

/// A pattern of tokens as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSource {
    /// The pattern, known to be one.
    pub pattern: String,
    /// Where its secret is.
    pub secret: Option<Password>,
}

pub(super) const KEYS: &[&str] = &["pattern", "secret_command", "secret_file", "secret_env", "secret_credential"];

impl TokenSource {
    /// The pattern with the secret fetched from where it is.
    pub(super) fn open(&self, section: &str, how: Reading<'_>) -> Result<Pattern, String> {
        let secret = self.secret.as_ref().map(|secret| secret.read("secret", how)).transpose();
        let secret = secret.map_err(|reason| format!("[{section}]: {reason}"))?;
        let key = secret.map(|secret| Key::new(secret.expose().as_bytes()));
        Pattern::parse(&self.pattern, key).map_err(|reason| format!("[{section}]: {reason}"))
    }
}

/// Reads one section.
pub(super) fn take(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<TokenSource> {
    reader.known(section, KEYS);
    let secret = Password::take(reader, section, "secret");
    let pattern = reader.required(section, "pattern")?;
    if let Err(reason) = Pattern::parse(&pattern, secret.as_ref().map(|_| Key::new(b""))) {
        reader.wrong(section.at("pattern"), "pattern", reason);
        return None;
    }
    Some(TokenSource { pattern, secret })
}
