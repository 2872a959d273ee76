//! Logging in: LOGIN, or AUTHENTICATE with the SASL mechanisms PLAIN, XOAUTH2 and OAUTHBEARER.

use std::cell::RefCell;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::account::{Account, Auth, Secret};
use super::guard::readable;
use super::session::{Client, Session, failure, guarded, words};
use super::watch::{Budget, Expect, Watch};
use crate::source::ErrorKind;

/// The password or token as it goes over the wire: as it is, escaped, and within each mechanism.
pub(super) fn spellings(account: &Account) -> Vec<Secret> {
    let password = account.password.expose();
    let escaped = password.replace('\\', "\\\\").replace('"', "\\\"");
    let within = |mechanism| STANDARD.encode(Mechanism { name: mechanism, account, said: RefCell::default() }.first());
    let mut spellings: Vec<String> = [PLAIN, XOAUTH2, OAUTHBEARER].map(within).into();
    spellings.extend([escaped, password.to_owned()]);
    spellings.into_iter().map(Secret::new).collect()
}

const PLAIN: &str = "PLAIN";
const XOAUTH2: &str = "XOAUTH2";
const OAUTHBEARER: &str = "OAUTHBEARER";

/// Logs in as the account says, after a look at what the server offers. It is asked for that unless its greeting tells of a way in.
pub(super) fn log_in(account: &Account, mut client: Client, watch: &Watch) -> Result<Session, (ErrorKind, String)> {
    let greeted = watch.take_capabilities().map(|offered| choose(account, &offered));
    let mechanism = match greeted {
        Some(Ok(mechanism)) => mechanism,
        _ => {
            watch.begin(Budget::small(Expect::Capability));
            let offered = guarded(|| client.capabilities())
                .and_then(|answer| answer.map_err(|error| failure(error, watch)))
                .map_err(|failure| failure.into_parts(ErrorKind::Protocol))?;
            choose(account, &words(&offered)).map_err(|reason| (ErrorKind::Configuration, reason))?
        }
    };
    // What it can do before the login is not what it can do after.
    watch.take_capabilities();
    let user = account.user.as_str();
    watch.begin(Budget::small(if mechanism.is_some() { Expect::Challenge } else { Expect::Nothing }));
    let sasl = mechanism.map(|name| Mechanism { name, account, said: RefCell::default() });
    let answer = guarded(|| match &sasl {
        Some(sasl) => client.authenticate(sasl.name, sasl).map_err(|(error, _)| error),
        None => client.login(user, account.password.expose()).map_err(|(error, _)| error),
    });
    let failed = match answer {
        Ok(Ok(session)) => return Ok(session),
        Ok(Err(error)) => failure(error, watch),
        Err(panicked) => panicked,
    };
    let (kind, reason) = failed.into_parts(ErrorKind::Login);
    let why = sasl.and_then(|sasl| sasl.said.take()).map(|said| said.join(" ")).filter(|why| !why.is_empty());
    let why = why.map(|why| format!(", and explains: {}", watch.clean(why))).unwrap_or_default();
    Err((kind, format!("login as `{user}`: {reason}{why}")))
}

/// The mechanism to use; `None` is the command LOGIN.
fn choose(account: &Account, offered: &[String]) -> Result<Option<&'static str>, String> {
    let has = |name: &str| offered.iter().any(|word| word.eq_ignore_ascii_case(name));
    let token = match account.auth {
        Auth::XOAuth2 => Some((XOAUTH2, "xoauth2")),
        Auth::OAuthBearer => Some((OAUTHBEARER, "oauthbearer")),
        Auth::Password => None,
    };
    if let Some((mechanism, word)) = token {
        if has(&format!("AUTH={mechanism}")) {
            return Ok(Some(mechanism));
        }
        let other = if mechanism == XOAUTH2 { OAUTHBEARER } else { XOAUTH2 };
        let hint = if has(&format!("AUTH={other}")) { format!(", but {other}") } else { String::new() };
        return Err(format!("`auth = \"{word}\"`: the server does not offer {mechanism}{hint}"));
    }
    // LOGIN is for ASCII only (RFC 9051, section 6.2.3); a server may also forbid it.
    let ascii = account.user.is_ascii() && account.password.expose().is_ascii();
    let plain = has("AUTH=PLAIN") && (has("LOGINDISABLED") || !ascii);
    if has("LOGINDISABLED") && !plain {
        return Err("the server offers no way to log in with a password on this connection".into());
    }
    Ok(plain.then_some(PLAIN))
}

/// Challenges that are kept to explain a refusal.
const EXPLANATIONS: usize = 2;

/// A SASL mechanism: its one response, and what the server said to it.
struct Mechanism<'a> {
    name: &'static str,
    account: &'a Account,
    /// `None` until the response was given.
    said: RefCell<Option<Vec<String>>>,
}

impl Mechanism<'_> {
    /// The response with the secret in it.
    fn first(&self) -> String {
        let Account { user, host, port, password, .. } = self.account;
        let secret = password.expose();
        match self.name {
            XOAUTH2 => format!("user={user}\x01auth=Bearer {secret}\x01\x01"),
            OAUTHBEARER => {
                // A name in the header of GS2 has its own escapes (RFC 5801, section 4).
                let user = user.replace('=', "=3D").replace(',', "=2C");
                format!("n,a={user},\x01host={host}\x01port={port}\x01auth=Bearer {secret}\x01\x01")
            }
            _ => format!("\0{user}\0{secret}"),
        }
    }
}

impl imap::Authenticator for Mechanism<'_> {
    type Response = String;

    /// The secret once. A further challenge explains why it was refused, and must be answered before the server says so:
    /// by nothing, or by a single Control-A for OAUTHBEARER (RFC 7628, section 3.2.3).
    fn process(&self, challenge: &[u8]) -> String {
        let mut said = self.said.borrow_mut();
        let Some(said) = said.as_mut() else {
            *said = Some(Vec::new());
            return self.first();
        };
        if said.len() < EXPLANATIONS {
            said.push(readable(challenge));
        }
        if self.name == OAUTHBEARER { "\x01".into() } else { String::new() }
    }
}

#[cfg(test)]
mod tests {
    use imap::Authenticator;

    use super::super::account::{After, Bounds, Timeouts, Tls};
    use super::*;
    use crate::source::Stop;

    fn account(auth: Auth) -> Account {
        Account {
            name: "a".into(),
            host: "imap.example.com".into(),
            port: 993,
            tls: Tls::Implicit,
            ca_file: None,
            user: "a,b=c@example.com".into(),
            auth,
            password: Secret::new("s3cr\"t".into()),
            folders: Vec::new(),
            after: After::Keep,
            timeouts: Timeouts::default(),
            bounds: Bounds::default(),
            stop: Stop::default(),
        }
    }

    #[test]
    fn what_the_server_offers_decides() {
        let check = |auth, offered: &[&str], expected: Result<Option<&str>, &str>| {
            let offered: Vec<String> = offered.iter().map(|word| (*word).to_owned()).collect();
            match (choose(&account(auth), &offered), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(found), Err(words)) => assert!(found.contains(words), "{found}"),
                (found, _) => panic!("{offered:?}: {found:?}"),
            }
        };
        check(Auth::Password, &[], Ok(None));
        check(Auth::Password, &["AUTH=PLAIN"], Ok(None));
        check(Auth::Password, &["LOGINDISABLED", "auth=plain"], Ok(Some("PLAIN")));
        check(Auth::Password, &["LOGINDISABLED", "AUTH=XOAUTH2"], Err("no way to log in"));
        check(Auth::XOAuth2, &["AUTH=XOAUTH2", "AUTH=PLAIN"], Ok(Some("XOAUTH2")));
        check(Auth::OAuthBearer, &["AUTH=OAUTHBEARER"], Ok(Some("OAUTHBEARER")));
        check(Auth::OAuthBearer, &["AUTH=XOAUTH2"], Err("does not offer OAUTHBEARER, but XOAUTH2"));
        check(Auth::XOAuth2, &["AUTH=PLAIN"], Err("does not offer XOAUTH2"));
    }

    #[test]
    fn the_secret_is_said_once() {
        let check = |name, first: &str, then: &str| {
            let account = account(Auth::Password);
            let mechanism = Mechanism { name, account: &account, said: RefCell::default() };
            assert_eq!(mechanism.process(b""), first);
            for _ in 0..5 {
                assert_eq!(mechanism.process(b"{\"status\":\"401\"}"), then);
            }
            assert_eq!(mechanism.said.take().unwrap(), ["{\"status\":\"401\"}"; EXPLANATIONS]);
            let known = spellings(&account);
            assert!(known.iter().any(|secret| secret.expose() == STANDARD.encode(first)));
        };
        check(PLAIN, "\0a,b=c@example.com\0s3cr\"t", "");
        check(XOAUTH2, "user=a,b=c@example.com\x01auth=Bearer s3cr\"t\x01\x01", "");
        let bearer = "n,a=a=2Cb=3Dc@example.com,\x01host=imap.example.com\x01port=993\x01auth=Bearer s3cr\"t\x01\x01";
        check(OAUTHBEARER, bearer, "\x01");
    }
}
