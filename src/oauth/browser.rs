//! A login by a browser (RFC 8252) with proof that the code comes back to who asked for it (PKCE, RFC 7636): for providers
//! whose device login does not serve mail. The browser comes back to a port of this machine; where it runs elsewhere, the
//! address it ends at can be pasted instead.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::device::Prompt;
use super::{Client, Error};
use crate::source::ErrorKind;
use crate::source::imap::Secret;

/// How long a login may take.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// Bytes of a request line or of a pasted address, at most.
const LINE: u64 = 16 << 10;
/// For a browser to send its request.
const REQUEST: Duration = Duration::from_secs(5);

/// What came back through the browser, still encoded.
type Query = String;

impl Client {
    /// Logs in by a browser: `show` is called once, then the browser's return is awaited, on a port of this machine or as
    /// a line of `pasted`.
    ///
    /// # Errors
    /// [`ErrorKind::Login`] when the person refuses, [`ErrorKind::Temporary`] when nobody came back in time.
    pub fn log_in_by_browser(
        &self,
        url: &str,
        pasted: impl Read + Send + 'static,
        show: impl FnOnce(&Prompt),
    ) -> Result<(), Error> {
        let io = |error: io::Error| Error::new(ErrorKind::Io, format!("127.0.0.1: {error}"));
        let listener = TcpListener::bind("127.0.0.1:0").map_err(io)?;
        let redirect = format!("http://127.0.0.1:{}", listener.local_addr().map_err(io)?.port());
        let (state, verifier) = (random()?, random()?);
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose().as_bytes()));
        let query = encode(&[
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", &redirect),
            ("scope", &self.scope),
            ("state", state.expose()),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            // Google gives a refresh token only to whom this is said.
            ("access_type", "offline"),
            ("prompt", "consent"),
        ]);
        let joint = if url.contains('?') { '&' } else { '?' };
        show(&Prompt { address: format!("{url}{joint}{query}"), code: None, lasts: PATIENCE });
        let (send, receive) = channel();
        let also = send.clone();
        let threads = [
            thread::Builder::new().spawn(move || listen(&listener, &send)),
            thread::Builder::new().spawn(move || read_lines(pasted, &also)),
        ];
        for thread in threads {
            thread.map_err(|error| Error::new(ErrorKind::Temporary, format!("no thread to be had: {error}")))?;
        }
        let code = self.await_code(&receive, &state)?;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.expose()),
            ("redirect_uri", &redirect),
            ("code_verifier", verifier.expose()),
        ];
        let answer = self.ask(&self.token_url, &form, &[code.clone(), verifier.clone()])??;
        self.adopt(&answer)
    }

    /// The code of the first return that bears our state; others may knock too.
    fn await_code(&self, returned: &Receiver<Query>, state: &Secret) -> Result<Secret, Error> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if self.stop.is_set() {
                return Err(Error::new(ErrorKind::Temporary, "stopped by a signal"));
            }
            let query = match returned.recv_timeout(Duration::from_millis(200)) {
                Ok(query) => query,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if value(&query, "state").as_deref() != Some(state.expose()) {
                continue;
            }
            if let Some(code) = value(&query, "code").filter(|code| !code.is_empty()) {
                return Ok(Secret::new(code));
            }
            let error = value(&query, "error").unwrap_or_default();
            return Err(Error::new(ErrorKind::Login, format!("the login was refused: {}", super::http::short(&error))));
        }
        Err(Error::new(ErrorKind::Temporary, "nobody came back from the browser in time; run it again"))
    }
}

fn listen(listener: &TcpListener, send: &Sender<Query>) {
    for stream in listener.incoming().flatten() {
        if let Some(query) = answer(stream)
            && send.send(query).is_err()
        {
            return;
        }
    }
}

/// Reads one request and tells the person to go back to the terminal.
fn answer(stream: TcpStream) -> Option<Query> {
    stream.set_read_timeout(Some(REQUEST)).ok()?;
    stream.set_write_timeout(Some(REQUEST)).ok()?;
    let mut line = String::new();
    BufReader::new(stream.try_clone().ok()?.take(LINE)).read_line(&mut line).ok()?;
    let query = line.strip_prefix("GET ")?.split(' ').next()?.split_once('?').map(|(_, query)| query.to_owned());
    let page = "<!doctype html><title>dmarcdb</title><p>You can close this page and go back to the terminal.\n";
    let _ = write!(
        &stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         Connection: close\r\n\r\n{page}",
        page.len()
    );
    query
}

fn read_lines(pasted: impl Read, send: &Sender<Query>) {
    let mut lines = BufReader::new(pasted);
    loop {
        let mut line = String::new();
        match (&mut lines).take(LINE).read_line(&mut line) {
            Ok(1..) => {}
            _ => return,
        }
        if let Some((_, query)) = line.trim().split_once('?')
            && send.send(query.to_owned()).is_err()
        {
            return;
        }
    }
}

/// 256 bits from the system, in characters that need no encoding.
fn random() -> Result<Secret, Error> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| Error::new(ErrorKind::Io, format!("/dev/urandom: {error}")))?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
}

/// Pairs as a query (RFC 3986, section 3.4).
fn encode(pairs: &[(&str, &str)]) -> String {
    let mut query = String::new();
    for (key, value) in pairs {
        let joint = if query.is_empty() { "" } else { "&" };
        query.push_str(&format!("{joint}{key}="));
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => query.push(char::from(byte)),
                _ => query.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    query
}

/// The first value of `key` in a query.
fn value(query: &str, key: &str) -> Option<String> {
    let query = query.split('#').next()?;
    let encoded = query.split('&').find_map(|pair| pair.split_once('=').filter(|(name, _)| *name == key))?.1;
    let mut bytes = Vec::new();
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                u8::try_from(digit(rest.next())? << 4 | digit(rest.next())?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_there_and_back() {
        for text in ["", "plain", "a b&c=d/é?%#+", "https://mail.google.com/"] {
            let query = encode(&[("x", "1"), ("key", text), ("key", "second")]);
            assert_eq!(value(&query, "key").as_deref(), Some(text), "{query}");
        }
        assert_eq!(value("code=4%2F0A+b&state=s#frag", "code").as_deref(), Some("4/0A b"));
        for broken in ["key=%", "key=%4", "key=%zz", "key=%ff", "kei=1", ""] {
            assert_eq!(value(broken, "key"), None, "{broken}");
        }
    }

    #[test]
    fn chance_does_not_repeat() {
        let (one, other) = (random().unwrap(), random().unwrap());
        assert!(one != other && one.expose().len() == 43);
    }
}
