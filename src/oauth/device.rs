//! A login by another device (RFC 8628): we show an address and a code, a person confirms it anywhere, we poll.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Client, Error, http};
use crate::source::ErrorKind;
use crate::source::imap::Secret;

/// What to show the person who logs in. From the provider: sanitize before showing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The address to open.
    pub address: String,
    /// The code to enter there; none where the address says all.
    pub code: Option<String>,
    /// How long there is time.
    pub lasts: Duration,
}

/// Between two polls, where the provider does not say (RFC 8628, section 3.2), and more after a `slow_down` (3.5).
const INTERVAL: Duration = Duration::from_secs(5);
/// Between two polls, at most, and for a login at most, whatever the provider says.
const LONGEST: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(3600);

impl Client {
    /// Logs in by another device: `show` is called once, then the provider is polled until a person has confirmed.
    ///
    /// # Errors
    /// [`ErrorKind::Login`] when the person refuses, [`ErrorKind::Temporary`] when nobody confirmed in time.
    pub fn log_in_by_device(&self, url: &str, show: impl FnOnce(&Prompt)) -> Result<(), Error> {
        let form: &[(&str, &str)] = &[("scope", &self.scope)];
        let answer = self.ask(url, form, &[])??;
        let text = |key: &str| answer.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let seconds = |key: &str| answer.get(key).and_then(Value::as_u64).map(Duration::from_secs);
        // Google's name of the address is older than the RFC.
        let address = text("verification_uri").or_else(|| text("verification_url"));
        let (Some(code), Some(user_code), Some(address)) = (text("device_code"), text("user_code"), address) else {
            return Err(Error::new(ErrorKind::Protocol, format!("{url} gave no code to log in with")));
        };
        let lasts = seconds("expires_in").unwrap_or(PATIENCE).min(PATIENCE);
        show(&Prompt { address: http::short(address), code: Some(http::short(user_code)), lasts });
        let interval = seconds("interval").unwrap_or(INTERVAL).clamp(Duration::from_secs(1), LONGEST);
        let granted = self.poll(&Secret::new(code.to_owned()), interval, Instant::now() + lasts)?;
        self.adopt(&granted)
    }

    fn poll(&self, code: &Secret, mut interval: Duration, until: Instant) -> Result<Value, Error> {
        let form = [("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("device_code", code.expose())];
        loop {
            self.pause(interval)?;
            if Instant::now() >= until {
                return Err(expired());
            }
            let answer = match self.post(&self.token_url, &form, std::slice::from_ref(code)) {
                Ok(answer) => answer,
                // The network may come back before the code is void.
                Err(error) if error.kind == ErrorKind::Temporary => {
                    interval = (interval * 2).min(LONGEST);
                    continue;
                }
                Err(error) => return Err(error),
            };
            match answer.refusal() {
                Some("authorization_pending") => {}
                Some("slow_down") => interval = (interval + INTERVAL).min(LONGEST),
                Some("expired_token") => return Err(expired()),
                Some("access_denied") => {
                    return Err(Error::new(ErrorKind::Login, "the login was refused in the browser"));
                }
                _ => match answer.into_result(&self.token_url) {
                    Err(error) if error.kind == ErrorKind::Temporary => interval = (interval * 2).min(LONGEST),
                    answer => return answer,
                },
            }
        }
    }

    /// Sleeps, but not when it is time to stop.
    fn pause(&self, time: Duration) -> Result<(), Error> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            if self.stop.is_set() {
                return Err(Error::new(ErrorKind::Temporary, "stopped by a signal"));
            }
            sleep(until.saturating_duration_since(Instant::now()).min(Duration::from_millis(200)));
        }
        Ok(())
    }
}

fn expired() -> Error {
    Error::new(ErrorKind::Temporary, "nobody confirmed the code in time; run it again for another one")
}
