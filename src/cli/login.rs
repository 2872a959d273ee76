//! What `fetch`, `config` and `auth` share about logging in: the password or token of an account, and a connection.

use std::time::{Duration, Instant};

use super::run::source_error;
use super::{Error, Status};
use crate::config::{Account, Config, Flow, Login, OAuth, Reading};
use crate::oauth::{Client, Token};
use crate::source::imap::{self, ImapSource, Resume, Secret};
use crate::source::{self, ErrorKind, Stop};

/// How much longer a token must be good for to be used again.
const MARGIN: Duration = Duration::from_secs(300);

/// Logs in to one account, again and again.
pub struct Door<'a> {
    config: &'a Config,
    account: &'a Account,
    stop: Stop,
    /// The last token, and until when it may be used.
    token: Option<(Secret, Instant)>,
}

impl<'a> Door<'a> {
    /// For `account` of `config`. Nothing is done yet.
    pub fn new(config: &'a Config, account: &'a Account, stop: Stop) -> Self {
        Door { config, account, stop, token: None }
    }

    /// All that is needed to connect.
    ///
    /// # Errors
    /// The password or token cannot be had.
    pub fn open(&mut self) -> Result<imap::Account, Error> {
        let secret = match &self.account.login {
            Login::Password(password) => {
                let hidden = self.config.secret_variables();
                let secret = password.read("password", Reading { hidden: &hidden, stop: &self.stop });
                secret.map_err(|reason| self.misconfigured(&reason))?
            }
            Login::OAuth { oauth, .. } => self.token(oauth)?,
        };
        Ok(self.account.open(&self.config.limits, secret, self.stop.clone()))
    }

    /// Connects and logs in. `change` is what this run does otherwise than the configuration says. A token that is
    /// refused is replaced once by a new one: it may have been revoked before its time.
    ///
    /// # Errors
    /// Those of [`Door::open`] and of [`ImapSource::connect`].
    pub fn connect(&mut self, resume: Resume, change: impl Fn(&mut imap::Account)) -> Result<ImapSource, Error> {
        let mut account = self.open()?;
        change(&mut account);
        let again = matches!(self.account.login, Login::OAuth { .. }).then(|| resume.clone());
        match (ImapSource::connect(account, resume), again) {
            (Err(error), Some(resume)) if error.kind == ErrorKind::Login => {
                self.token = None;
                let mut account = self.open()?;
                change(&mut account);
                ImapSource::connect(account, resume).map_err(|error| source_error(&error))
            }
            (result, _) => result.map_err(|error| source_error(&error)),
        }
    }

    fn token(&mut self, oauth: &OAuth) -> Result<Secret, Error> {
        if let Some((secret, until)) = &self.token
            && Instant::now() < *until
        {
            return Ok(secret.clone());
        }
        let Token { secret, lasts } = self.client(oauth)?.token().map_err(|error| self.oauth_error(error))?;
        let until = lasts.and_then(|lasts| Some(Instant::now() + lasts.checked_sub(MARGIN)?));
        self.token = until.map(|until| (secret.clone(), until));
        Ok(secret)
    }

    /// The provider of this account's tokens.
    ///
    /// # Errors
    /// The client's secret cannot be had.
    pub fn client(&self, oauth: &OAuth) -> Result<Client, Error> {
        let hidden = self.config.secret_variables();
        let how = Reading { hidden: &hidden, stop: &self.stop };
        let client_secret = oauth.client_secret.as_ref().map(|secret| secret.read("client_secret", how));
        let client_secret = client_secret.transpose().map_err(|reason| self.misconfigured(&reason))?;
        Ok(Client {
            token_url: oauth.token_url.clone(),
            device_url: oauth.device_url.clone(),
            auth_url: oauth.auth_url.clone(),
            client_id: oauth.client_id.clone(),
            client_secret,
            scope: oauth.scope.clone(),
            in_own_name: oauth.flow == Flow::ClientCredentials,
            token_file: oauth.token_file.clone(),
            ca_file: self.account.ca_file.clone(),
            stop: self.stop.clone(),
        })
    }

    /// What failing to get a token exits with.
    pub fn oauth_error(&self, error: crate::oauth::Error) -> Error {
        let name = &self.account.name;
        let hint = match error.kind {
            ErrorKind::Login => format!("; log in with `dmarcdb auth {name}`"),
            _ => String::new(),
        };
        let place = format!("account `{name}`");
        source_error(&source::Error { kind: error.kind, place, reason: format!("{}{hint}", error.reason) })
    }

    fn misconfigured(&self, reason: &str) -> Error {
        let status = if self.stop.is_set() { Status::Temporary } else { Status::Configuration };
        Error::new(status, format_args!("account `{}`: {reason}", self.account.name))
    }
}
