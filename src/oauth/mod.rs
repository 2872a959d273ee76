//! Access tokens instead of passwords (OAuth 2.0, RFC 6749): refreshed before a login, and a person's login itself, by
//! another device (RFC 8628) or by a browser on this machine (RFC 8252).
//!
//! The refresh token is the one lasting secret. It lies in a file for nobody else, it is sent to the end point that gave
//! it and to no other, and a new one that a provider gives in exchange is on the disk before it is used: the old one may
//! be void from then on.

mod browser;
mod device;
mod http;
mod keep;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::source::imap::Secret;
use crate::source::{ErrorKind, Stop};
pub use device::Prompt;
use http::Answer;
use keep::{Kept, Pen};

/// What is known of a provider, and who we are to it.
#[derive(Clone, Debug)]
pub struct Client {
    /// The token end point (RFC 6749, section 3.2).
    pub token_url: String,
    /// The device authorization end point (RFC 8628, section 3.1).
    pub device_url: Option<String>,
    /// The authorization end point (RFC 6749, section 3.1).
    pub auth_url: Option<String>,
    /// Our identifier there.
    pub client_id: String,
    /// Our secret there, if we have one.
    pub client_secret: Option<Secret>,
    /// The access that is asked for.
    pub scope: String,
    /// Whether tokens are had in our own name (RFC 6749, section 4.4), not in a person's.
    pub in_own_name: bool,
    /// Where the refresh token is kept.
    pub token_file: PathBuf,
    /// PEM file with certificate authorities to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// When set, every wait ends within a few seconds.
    pub stop: Stop,
}

/// What to log in with.
#[derive(Clone, Debug)]
pub struct Token {
    /// The access token.
    pub secret: Secret,
    /// How long it is good for, as far as the provider says.
    pub lasts: Option<Duration>,
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Error {
    /// Decides the exit status.
    pub kind: ErrorKind,
    /// A lower-case fragment without full stop. May quote the provider: sanitize before showing.
    pub reason: String,
}

impl Error {
    fn new(kind: ErrorKind, reason: impl Into<String>) -> Error {
        Error { kind, reason: reason.into() }
    }
}

impl Client {
    /// A new access token.
    ///
    /// # Errors
    /// [`ErrorKind::Login`] when a person must log in (again); [`ErrorKind::Io`] when a new refresh token could not be
    /// kept, in which case none was asked for; the others as their names say.
    pub fn token(&self) -> Result<Token, Error> {
        if self.in_own_name {
            let answer =
                self.ask(&self.token_url, &[("grant_type", "client_credentials"), ("scope", &self.scope)], &[])?;
            return self.read_token(&answer?);
        }
        // Two at once would each make the other's refresh token void.
        let _lock = keep::lock(&self.token_file, &self.stop)?;
        let kept = self.kept()?;
        let pen = Pen::new(&self.token_file)?;
        let form = [("grant_type", "refresh_token"), ("refresh_token", kept.refresh_token.expose())];
        let answer = self.ask(&self.token_url, &form, std::slice::from_ref(&kept.refresh_token))??;
        let token = self.read_token(&answer)?;
        if let Some(new) = refresh_token(&answer)
            && new != kept.refresh_token
        {
            pen.write(&Kept { refresh_token: new, ..kept })?;
        }
        Ok(token)
    }

    fn kept(&self) -> Result<Kept, Error> {
        let kept = keep::read(&self.token_file)?.ok_or_else(|| {
            let path = self.token_file.display();
            Error::new(ErrorKind::Login, format!("nobody has logged in yet: there is no {path}"))
        })?;
        if kept.token_url != self.token_url || kept.client_id != self.client_id {
            let path = self.token_file.display();
            let reason = format!("the login in {path} is of another `client_id` or `token_url`");
            return Err(Error::new(ErrorKind::Login, reason));
        }
        Ok(kept)
    }

    /// Keeps what a person's login has brought.
    fn adopt(&self, answer: &Value) -> Result<(), Error> {
        self.read_token(answer)?;
        let refresh_token = refresh_token(answer).ok_or_else(|| {
            let reason = "the provider gave no refresh token, so the login would not last: ask for it by `scope` \
                (Microsoft: `offline_access`)";
            Error::new(ErrorKind::Configuration, reason)
        })?;
        let _lock = keep::lock(&self.token_file, &self.stop)?;
        let kept = Kept { refresh_token, token_url: self.token_url.clone(), client_id: self.client_id.clone() };
        Pen::new(&self.token_file)?.write(&kept)
    }

    fn read_token(&self, answer: &Value) -> Result<Token, Error> {
        let text = |key: &str| answer.get(key).and_then(Value::as_str);
        let secret =
            text("access_token").filter(|token| !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic()));
        let secret = secret
            .ok_or_else(|| Error::new(ErrorKind::Protocol, format!("{} gave no access token", self.token_url)))?;
        if let Some(other) = text("token_type").filter(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            let reason = format!("{} gave a token of type `{}`, not `Bearer`", self.token_url, http::short(other));
            return Err(Error::new(ErrorKind::Protocol, reason));
        }
        // Some providers quote the number.
        let lasts = answer.get("expires_in");
        let lasts = lasts.and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()));
        Ok(Token { secret: Secret::new(secret.to_owned()), lasts: lasts.map(Duration::from_secs) })
    }

    /// Posts a form with our identifier and secret. The outer error: no answer; the inner one: a refusal. `secrets` do
    /// not appear in either.
    fn ask(&self, url: &str, form: &[(&str, &str)], secrets: &[Secret]) -> Result<Result<Value, Error>, Error> {
        self.post(url, form, secrets).map(|answer| answer.into_result(url))
    }

    fn post(&self, url: &str, form: &[(&str, &str)], secrets: &[Secret]) -> Result<Answer, Error> {
        let mut form: Vec<(String, Secret)> =
            form.iter().map(|(key, value)| ((*key).to_owned(), Secret::new((*value).to_owned()))).collect();
        form.push(("client_id".into(), Secret::new(self.client_id.clone())));
        form.extend(self.client_secret.clone().map(|secret| ("client_secret".into(), secret)));
        let mut answer = http::post(url, form, self.ca_file.as_deref(), &self.stop)?;
        answer.hide(secrets.iter().chain(&self.client_secret));
        Ok(answer)
    }
}

fn refresh_token(answer: &Value) -> Option<Secret> {
    let token = answer.get("refresh_token").and_then(Value::as_str).filter(|token| !token.is_empty());
    token.map(|token| Secret::new(token.to_owned()))
}
