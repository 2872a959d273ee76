//! The configuration file: TOML, every key with a default, every mistake named with its line.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::limits::Limits;

/// The whole configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The database file.
    pub db: Option<PathBuf>,
    /// Domains that are ours. Reported policy domains count as ours too.
    pub own_domains: Vec<String>,
    /// Whose `Authentication-Results` to believe: the authserv-id of our own receiving server (RFC 8601, section 2.5).
    pub authserv_id: Option<String>,
    /// Domains that may send complaints, beside the built-in list of feedback loops.
    pub feedback_senders: Vec<String>,
    /// Bounds on what strangers send.
    pub limits: Limits,
    /// x
    pub accounts: Vec<Account>,
}
/// x
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Account {
    /// x
    pub name: String,
}
impl Account {
    /// x
    pub fn open(&self, _l: &Limits) -> Result<crate::source::imap::Account, String> {
        Err("x".into())
    }
}

impl Config {
    /// Reads the file at `path`, else the first of the default places that exists, else the defaults.
    ///
    /// # Errors
    /// Text for people: every mistake with file and line.
    pub fn load(path: Option<&Path>) -> Result<Config, String> {
        if let Some(p) = path {
            return toml::from_str(&std::fs::read_to_string(p).map_err(|e| e.to_string())?).map_err(|e| e.to_string());
        }
        Ok(Config::default())
    }
}
