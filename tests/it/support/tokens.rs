//! A small server of tokens on loopback (RFC 6749, RFC 8628), and tokens that Dovecot takes.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A form that was posted, with its path under the key `path`.
pub type Form = HashMap<String, String>;

/// What the server answers: status and body. Status 0 is silence, until the client goes away.
pub type Answer = (u16, String);

/// A running server.
pub struct Tokens {
    /// `http://127.0.0.1:PORT` or `https://localhost:PORT`.
    pub url: String,
    forms: Arc<Mutex<Vec<Form>>>,
}

impl Tokens {
    /// Asks `reply` for each form, which gets how many came before it.
    pub fn start(reply: impl Fn(&Form, usize) -> Answer + Send + Sync + 'static) -> Tokens {
        Self::serve(None, reply)
    }

    /// The same over TLS, with `srv.pem` and `srv.key` in `folder`.
    pub fn start_tls(folder: &Path, reply: impl Fn(&Form, usize) -> Answer + Send + Sync + 'static) -> Tokens {
        let chain = CertificateDer::pem_file_iter(folder.join("srv.pem")).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(folder.join("srv.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Self::serve(Some(Arc::new(config)), reply)
    }

    fn serve(tls: Option<Arc<ServerConfig>>, reply: impl Fn(&Form, usize) -> Answer + Send + Sync + 'static) -> Tokens {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = if tls.is_some() { format!("https://localhost:{port}") } else { format!("http://127.0.0.1:{port}") };
        let forms = Arc::new(Mutex::new(Vec::new()));
        let seen = forms.clone();
        let reply = Arc::new(reply);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tls, seen, reply) = (tls.clone(), seen.clone(), reply.clone());
                thread::spawn(move || match tls {
                    Some(config) => {
                        let session = ServerConnection::new(config).unwrap();
                        answer(StreamOwned::new(session, stream), &seen, &*reply);
                    }
                    None => answer(stream, &seen, &*reply),
                });
            }
        });
        Tokens { url, forms }
    }

    /// All forms so far.
    pub fn forms(&self) -> Vec<Form> {
        self.forms.lock().unwrap().clone()
    }
}

fn answer(stream: impl Read + Write, seen: &Mutex<Vec<Form>>, reply: &dyn Fn(&Form, usize) -> Answer) {
    let mut stream = BufReader::new(stream);
    let mut length = 0;
    let mut path = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if path.is_empty() {
            path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    let mut form = decode(&String::from_utf8(body).unwrap());
    form.insert("path".into(), path);
    let before = {
        let mut seen = seen.lock().unwrap();
        seen.push(form.clone());
        seen.len() - 1
    };
    let (status, body) = reply(&form, before);
    let stream = stream.get_mut();
    if status == 0 {
        thread::sleep(Duration::from_secs(60));
        return;
    }
    let length = body.len();
    let _ = write!(
        stream,
        "HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Location: /elsewhere\r\nConnection: close\r\n\r\n{body}"
    );
    let _ = stream.flush();
}

/// A form or query.
pub fn decode(text: &str) -> Form {
    let plain = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'+' => b' ',
                b'%' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                other => other,
            });
        }
        String::from_utf8(bytes).unwrap()
    };
    text.split('&').filter_map(|pair| pair.split_once('=')).map(|(key, value)| (plain(key), plain(value))).collect()
}

/// A grant of `access` and, if any, a new refresh token.
pub fn granted(access: &str, refresh: Option<&str>) -> Answer {
    let mut value = json!({"access_token": access, "token_type": "Bearer", "expires_in": 3600});
    if let Some(refresh) = refresh {
        value["refresh_token"] = refresh.into();
    }
    (200, value.to_string())
}

/// A refusal (RFC 6749, section 5.2).
pub fn refused(error: &str) -> Answer {
    (400, json!({"error": error, "error_description": format!("because of {error}\r\nTrace ID: 1")}).to_string())
}

/// A token for `user` that ends in `seconds` from now, signed with `key` (RFC 7519, HS256).
pub fn jwt(key: &str, user: &str, seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = part(json!({"alg": "HS256", "typ": "JWT"}));
    let body = part(json!({"sub": user, "iat": now - 7200, "exp": now + seconds}));
    let signed = format!("{head}.{body}");
    let signature = URL_SAFE_NO_PAD.encode(hmac(key.as_bytes(), signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// HMAC-SHA256 (RFC 2104) for keys of at most 64 bytes.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    assert!(key.len() <= 64);
    let pad = |byte: u8| (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ byte).collect::<Vec<u8>>();
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}

/// What lies in a file of a login.
pub fn kept(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}
