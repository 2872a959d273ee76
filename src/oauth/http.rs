//! One POST: over TLS with the system's authorities, without redirects, bounded in time and size.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

use super::Error;
use crate::source::imap::{Secret, authorities};
use crate::source::{ErrorKind, Stop};

/// For the connection, and for all of it.
const CONNECT: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to go on when it is time to stop: an answer may hold a new refresh token that makes the old one void.
const GRACE: Duration = Duration::from_secs(3);
/// Bytes of an answer, at most.
const LENGTH: u64 = 256 << 10;
/// Characters of a provider's text that are shown.
const TEXT: usize = 300;

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    status: u16,
    /// `None` when it is no JSON object.
    value: Option<Value>,
    hidden: Vec<Secret>,
}

/// Posts `form` to `url`.
///
/// # Errors
/// When no whole answer comes: of TLS or the address [`ErrorKind::Configuration`], else [`ErrorKind::Temporary`].
pub(super) fn post(
    url: &str,
    form: Vec<(String, Secret)>,
    ca_file: Option<&Path>,
    stop: &Stop,
) -> Result<Answer, Error> {
    let agent = agent(ca_file)?;
    let (send, receive) = mpsc::channel();
    let to = url.to_owned();
    let thread = thread::Builder::new().spawn(move || drop(send.send(talk(&agent, &to, &form))));
    thread.map_err(|error| Error::new(ErrorKind::Temporary, format!("no thread to be had: {error}")))?;
    let mut until = Instant::now() + PATIENCE + CONNECT;
    let mut stopping = false;
    loop {
        if stop.is_set() && !stopping {
            stopping = true;
            until = until.min(Instant::now() + GRACE);
        }
        let left = until.saturating_duration_since(Instant::now());
        match receive.recv_timeout(left.min(Duration::from_millis(200))) {
            Ok(answer) => return answer.map_err(|error| explain(url, &error)),
            Err(mpsc::RecvTimeoutError::Timeout) if !left.is_zero() => {}
            Err(_) if stopping => return Err(Error::new(ErrorKind::Temporary, "stopped by a signal")),
            Err(_) => return Err(Error::new(ErrorKind::Temporary, format!("{url}: no answer in time"))),
        }
    }
}

fn agent(ca_file: Option<&Path>) -> Result<Agent, Error> {
    let certificates = authorities(ca_file).map_err(|reason| Error::new(ErrorKind::Configuration, reason))?;
    let roots: Vec<_> = certificates.iter().map(|one| Certificate::from_der(one).to_owned()).collect();
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::new_with_certs(&roots))
        .build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        // A form with a secret in it goes where the configuration says, and nowhere else.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(Some(CONNECT))
        .timeout_global(Some(PATIENCE))
        .user_agent(concat!("dmarcdb/", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(config.new_agent())
}

fn talk(agent: &Agent, url: &str, form: &[(String, Secret)]) -> Result<Answer, ureq::Error> {
    let form = form.iter().map(|(key, value)| (key.as_str(), value.expose()));
    let mut response = agent.post(url).header("Accept", "application/json").send_form(form)?;
    let status = response.status().as_u16();
    let text = response.body_mut().with_config().limit(LENGTH).read_to_string()?;
    let value = serde_json::from_str(&text).ok().filter(Value::is_object);
    Ok(Answer { status, value, hidden: Vec::new() })
}

fn explain(url: &str, error: &ureq::Error) -> Error {
    let kind = match error {
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
            ErrorKind::Configuration
        }
        ureq::Error::Io(error) => match error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>()) {
            Some(_) => ErrorKind::Configuration,
            None => ErrorKind::Temporary,
        },
        ureq::Error::BodyExceedsLimit(_) | ureq::Error::Protocol(_) => ErrorKind::Protocol,
        _ => ErrorKind::Temporary,
    };
    Error::new(kind, format!("{url}: {}", short(&error.to_string())))
}

/// Text of strangers, shortened. Whoever prints it must still make it safe for a terminal.
pub(super) fn short(text: &str) -> String {
    text.chars().take(TEXT).collect()
}

impl Answer {
    /// Keeps these out of everything that is told.
    pub fn hide<'a>(&mut self, secrets: impl Iterator<Item = &'a Secret>) {
        self.hidden.extend(secrets.cloned());
    }

    /// The error code of a refusal (RFC 6749, section 5.2).
    pub fn refusal(&self) -> Option<&str> {
        self.value.as_ref().and_then(|value| value.get("error")).and_then(Value::as_str)
    }

    /// The object of a success, else why it is none.
    pub fn into_result(self, url: &str) -> Result<Value, Error> {
        if self.status != 200 || self.refusal().is_some() {
            return Err(self.refused(url));
        }
        self.value.ok_or_else(|| Error::new(ErrorKind::Protocol, format!("{url}: the answer is no JSON object")))
    }

    fn refused(&self, url: &str) -> Error {
        let text = |key: &str| self.value.as_ref().and_then(|value| value.get(key)).and_then(Value::as_str);
        let Some(code) = self.refusal() else {
            let kind = match self.status {
                429 | 500.. => ErrorKind::Temporary,
                300..400 | 404 | 405 => ErrorKind::Configuration,
                _ => ErrorKind::Protocol,
            };
            return Error::new(kind, format!("{url}: HTTP status {}", self.status));
        };
        let kind = match code {
            "temporarily_unavailable" | "server_error" | "slow_down" => ErrorKind::Temporary,
            _ if self.status == 429 || self.status >= 500 => ErrorKind::Temporary,
            "invalid_client"
            | "unauthorized_client"
            | "invalid_scope"
            | "unsupported_grant_type"
            | "invalid_request" => ErrorKind::Configuration,
            // The token is void or lacks something that a person must add: in all cases somebody must log in.
            _ => ErrorKind::Login,
        };
        let mut reason = short(code);
        if let Some(description) = text("error_description") {
            // Microsoft writes numbers for its support on further lines.
            reason = format!("{reason}: {}", short(description.lines().next().unwrap_or_default()));
        }
        let hidden = self.hidden.iter().map(Secret::expose).filter(|secret| !secret.is_empty());
        let reason = hidden.fold(reason, |reason, secret| reason.replace(secret, "…"));
        Error::new(kind, format!("{url} refuses: {reason}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart() {
        let check = |status, body: &str, kind, words: &str| {
            let value = serde_json::from_str(body).ok().filter(Value::is_object);
            let mut answer = Answer { status, value, hidden: Vec::new() };
            answer.hide([Secret::new("hunter2".into())].iter());
            let error = answer.into_result("https://x").expect_err(body);
            assert_eq!(error.kind, kind, "{error}");
            assert!(error.reason.contains(words) && !error.reason.contains("hunter2"), "{error}");
        };
        use ErrorKind::{Configuration, Login, Protocol, Temporary};
        check(400, r#"{"error":"invalid_grant"}"#, Login, "invalid_grant");
        check(
            400,
            r#"{"error":"invalid_grant","error_description":"hunter2 is void\nTrace ID: 1"}"#,
            Login,
            ": … is void",
        );
        check(400, r#"{"error":"interaction_required"}"#, Login, "interaction");
        check(401, r#"{"error":"invalid_client"}"#, Configuration, "invalid_client");
        check(400, r#"{"error":"invalid_scope"}"#, Configuration, "scope");
        check(503, r#"{"error":"anything"}"#, Temporary, "anything");
        check(400, r#"{"error":"temporarily_unavailable"}"#, Temporary, "unavailable");
        check(502, "<html>", Temporary, "HTTP status 502");
        check(302, "", Configuration, "HTTP status 302");
        check(404, "[]", Configuration, "HTTP status 404");
        check(400, "what?", Protocol, "HTTP status 400");
        check(200, "what?", Protocol, "no JSON object");
        check(200, r#"{"error":"invalid_grant"}"#, Login, "invalid_grant");
    }
}
