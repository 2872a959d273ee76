//! Logging in by OAuth 2.0: through the binary, against a small server of tokens and Dovecot, which checks them.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::dovecot::Dovecot;
use crate::support::run::{Place, Ran, mail};
use crate::support::script::{Reply, Script, say};
use crate::support::tokens::{Answer, Form, Tokens, decode, granted, jwt, kept, refused};

const KEY: &str = "a key of thirty-two bytes or so.";
const HOUR: i64 = 3600;

/// A place with a configuration for one account.
struct Site {
    place: Place,
}

impl Site {
    /// For `alice` on `port` with tokens from `url`; `more` goes into the section of tokens.
    fn new(server: &str, auth: &str, url: &str, more: &str) -> Site {
        let site = Site { place: Place::new() };
        site.configure(server, auth, url, more);
        site
    }

    fn configure(&self, server: &str, auth: &str, url: &str, more: &str) {
        let text = format!(
            "[[account]]\nname = \"reports\"\n{server}\nuser = \"alice\"\nauth = \"{auth}\"\n[account.oauth]\n\
             token_url = \"{url}/token\"\ndevice_url = \"{url}/device\"\nauth_url = \"{url}/authorize?tenant=a\"\n\
             client_id = \"client-1\"\nclient_secret_env = \"SECRET\"\nscope = \"mail offline_access\"\n\
             token_file = \"state/token.json\"\n{more}\n"
        );
        self.place.write("config.toml", text);
    }

    fn file(&self) -> PathBuf {
        self.place.path("state/token.json")
    }

    /// Writes the login as an earlier run left it.
    fn log_in(&self, url: &str, refresh_token: &str) {
        let value =
            json!({"refresh_token": refresh_token, "token_url": format!("{url}/token"), "client_id": "client-1"});
        self.place.write("state/token.json", value.to_string());
        fs::set_permissions(self.file(), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let config = self.place.path("config.toml");
        let mut all = vec!["--config", config.to_str().unwrap()];
        all.extend(arguments);
        let mut command = self.place.command(&all);
        command.env("SECRET", "client-secret-1");
        command
    }

    fn fetch(&self) -> Ran {
        let ran = Ran::from(self.command(&["-v", "fetch"]).output().unwrap());
        for secret in ["client-secret-1", "refresh-", "eyJ"] {
            assert!(!ran.stderr.contains(secret) && !ran.stdout.contains(secret), "{secret}: {ran:?}");
        }
        ran
    }

    fn reports(&self) -> i64 {
        self.place.database().query_row("SELECT count(*) FROM v_report", [], |row| row.get(0)).unwrap()
    }
}

fn dovecot(server: &Dovecot) -> String {
    format!("host = \"localhost\"\nport = {}\nca_file = {:?}", server.imaps, server.ca_file())
}

/// A server of tokens that gives `tokens` one after the other, the last one for ever, and refresh tokens by number, each
/// good once.
fn rotating(tokens: Vec<String>) -> Tokens {
    Tokens::start(move |form, before| {
        let expected = if before == 0 { "refresh-first".into() } else { format!("refresh-{}", before - 1) };
        let right = form["grant_type"] == "refresh_token"
            && form["client_id"] == "client-1"
            && form["client_secret"] == "client-secret-1"
            && form["path"] == "/token";
        match right && form["refresh_token"] == expected {
            true => granted(tokens.get(before).or(tokens.last()).unwrap(), Some(&format!("refresh-{before}"))),
            false => refused("invalid_grant"),
        }
    })
}

#[test]
fn both_mechanisms_log_in_and_new_refresh_tokens_are_kept() {
    let server = Dovecot::start_with_tokens(KEY);
    for auth in ["xoauth2", "oauthbearer"] {
        server.deliver("alice", "INBOX", mail(auth, 1).as_bytes());
        let tokens = rotating(vec![jwt(KEY, "alice", HOUR)]);
        let site = Site::new(&dovecot(&server), auth, &tokens.url, "");
        site.log_in(&tokens.url, "refresh-first");
        for number in 0..3 {
            site.fetch().expect(0);
            assert_eq!(kept(&site.file())["refresh_token"], format!("refresh-{number}"));
        }
        assert_eq!(tokens.forms().len(), 3, "one for each run");
        let mode = fs::metadata(site.file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut names: Vec<_> =
            fs::read_dir(site.place.path("state")).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["token.json", "token.json.lock"]);
        assert!(site.reports() >= 1);
    }
}

#[test]
fn a_token_that_has_expired_is_replaced_once() {
    let server = Dovecot::start_with_tokens(KEY);
    server.deliver("alice", "INBOX", mail("one", 1).as_bytes());
    let (good, old) = (jwt(KEY, "alice", HOUR), jwt(KEY, "alice", -HOUR));
    let forged = jwt("another key of that same length..", "alice", HOUR);
    for auth in ["xoauth2", "oauthbearer"] {
        for bad in [&old, &forged] {
            let tokens = rotating(vec![bad.clone(), good.clone()]);
            let site = Site::new(&dovecot(&server), auth, &tokens.url, "");
            site.log_in(&tokens.url, "refresh-first");
            site.fetch().expect(0);
            assert_eq!((tokens.forms().len(), site.reports()), (2, 1), "{auth}");
            // The server keeps refusing: no third token, and a person must act.
            let tokens = rotating(vec![bad.clone()]);
            site.configure(&dovecot(&server), auth, &tokens.url, "");
            site.log_in(&tokens.url, "refresh-first");
            let ran = site.fetch().expect(77);
            assert!(ran.stderr.contains("login as `alice`"), "{}", ran.stderr);
            assert_eq!(tokens.forms().len(), 2, "{auth}");
        }
    }
}

#[test]
fn a_refusal_is_told_with_the_servers_words() {
    for (auth, mechanism, last) in [("xoauth2", "XOAUTH2", ""), ("oauthbearer", "OAUTHBEARER", "\x01")] {
        let challenge =
            STANDARD.encode(r#"{"status":"400","schemes":"Bearer","scope":"https://mail.example/ eyJtoken"}"#);
        let script = Script::start(move |verb, _, _| match verb {
            "CAPABILITY" => say(format!("* CAPABILITY IMAP4rev1 SASL-IR AUTH={mechanism}\r\nTAG OK\r\n")),
            "AUTHENTICATE" => Reply::Continue {
                challenges: vec![String::new(), challenge.clone()],
                then: b"TAG NO [AUTHENTICATIONFAILED] Invalid credentials\r\n".to_vec(),
            },
            _ => Reply::Usual,
        });
        let tokens = Tokens::start(|_, _| granted("eyJtoken", None));
        let server = format!("host = \"127.0.0.1\"\nport = {}\ntls = \"none\"", script.port);
        let site = Site::new(&server, auth, &tokens.url, "");
        site.log_in(&tokens.url, "refresh-first");
        let ran = site.fetch().expect(77);
        assert!(ran.stderr.contains("Invalid credentials, and explains: {\"status\":\"400\""), "{}", ran.stderr);
        assert!(ran.stderr.contains("https://mail.example/ …"), "the token is hidden: {}", ran.stderr);
        let answers = script.answers();
        assert_eq!(answers.len(), 4, "two logins of two responses: {answers:?}");
        assert!(
            String::from_utf8(STANDARD.decode(&answers[0]).unwrap()).unwrap().contains("auth=Bearer eyJtoken\x01\x01")
        );
        assert_eq!(STANDARD.decode(&answers[1]).unwrap(), last.as_bytes());
    }
}

#[test]
fn a_server_without_the_mechanism_is_a_matter_of_configuration() {
    let script = Script::start(|verb, _, _| match verb {
        "CAPABILITY" => say("* CAPABILITY IMAP4rev1 AUTH=OAUTHBEARER\r\nTAG OK\r\n"),
        _ => Reply::Usual,
    });
    let tokens = Tokens::start(|_, _| granted("eyJtoken", None));
    let server = format!("host = \"127.0.0.1\"\nport = {}\ntls = \"none\"", script.port);
    let site = Site::new(&server, "xoauth2", &tokens.url, "");
    site.log_in(&tokens.url, "refresh-first");
    let ran = site.fetch().expect(78);
    assert!(ran.stderr.contains("does not offer XOAUTH2, but OAUTHBEARER"), "{}", ran.stderr);
    assert_eq!(script.verbs(), ["CAPABILITY"]);
}

/// Runs `fetch` with `reply` as the server of tokens; nobody listens where the mail would be.
fn without_mail(reply: fn(&Form, usize) -> Answer, more: &str) -> (Site, Tokens, Ran) {
    let tokens = Tokens::start(reply);
    let site = Site::new("host = \"127.0.0.1\"\nport = 1\ntls = \"none\"", "xoauth2", &tokens.url, more);
    site.log_in(&tokens.url, "refresh-first");
    let ran = site.fetch();
    (site, tokens, ran)
}

#[test]
fn failures_to_get_a_token_are_told_apart() {
    let check = |reply: fn(&Form, usize) -> Answer, status, words: &str| {
        let (site, _, ran) = without_mail(reply, "");
        let ran = ran.expect(status);
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
        assert!(!ran.stderr.contains("Trace"), "{}", ran.stderr);
        assert_eq!(kept(&site.file())["refresh_token"], "refresh-first");
    };
    let login = "log in with `dmarcdb auth reports`";
    check(|_, _| refused("invalid_grant"), 77, login);
    check(
        |form, _| (400, json!({"error": "invalid_grant", "error_description": form["refresh_token"]}).to_string()),
        77,
        "…",
    );
    check(|_, _| refused("interaction_required"), 77, login);
    check(|_, _| refused("invalid_client"), 78, "because of invalid_client");
    check(|_, _| refused("temporarily_unavailable"), 75, "temporarily_unavailable");
    check(|_, _| (503, "<html>".into()), 75, "HTTP status 503");
    check(|_, _| (429, "{}".into()), 75, "HTTP status 429");
    check(|_, _| (302, String::new()), 78, "HTTP status 302");
    check(|_, _| (200, "<html>".into()), 76, "no JSON object");
    check(|_, _| (200, "{}".into()), 76, "gave no access token");
    check(|_, _| (200, format!("{{\"access_token\": \"{}\"}}", "x".repeat(1 << 20))), 76, "/token");
    check(|_, _| (200, json!({"access_token": "a", "token_type": "mac"}).to_string()), 76, "`mac`");
    check(|_, _| (200, json!({"access_token": "a\u{1}b"}).to_string()), 76, "gave no access token");
    // With a token in hand, what fails next is the connection for mail.
    check(|_, _| granted("eyJ", None), 75, "cannot connect");
}

#[test]
fn nobody_there_no_login_and_anothers_login() {
    let (site, tokens, _) = without_mail(|_, _| granted("eyJ", None), "");
    fs::remove_file(site.file()).unwrap();
    let ran = site.fetch().expect(77);
    assert!(
        ran.stderr.contains("nobody has logged in yet") && ran.stderr.contains("dmarcdb auth reports"),
        "{}",
        ran.stderr
    );
    site.log_in("https://other.example", "refresh-other");
    let ran = site.fetch().expect(77);
    assert!(ran.stderr.contains("of another `client_id` or `token_url`"), "{}", ran.stderr);
    site.log_in(&tokens.url, "refresh-first");
    fs::set_permissions(site.file(), fs::Permissions::from_mode(0o644)).unwrap();
    let ran = site.fetch().expect(78);
    assert!(ran.stderr.contains("mode 644"), "{}", ran.stderr);
    assert_eq!(tokens.forms().len(), 1, "no secret went anywhere since the first run");
    site.configure("host = \"127.0.0.1\"\nport = 1\ntls = \"none\"", "xoauth2", "http://127.0.0.1:1", "");
    site.log_in("http://127.0.0.1:1", "refresh-first");
    site.fetch().expect(75);
}

#[test]
fn no_token_is_asked_for_when_a_new_one_could_not_be_kept() {
    let tokens = Tokens::start(|_, _| granted("eyJ", Some("refresh-new")));
    let site = Site::new("host = \"127.0.0.1\"\nport = 1\ntls = \"none\"", "xoauth2", &tokens.url, "");
    site.log_in(&tokens.url, "refresh-first");
    fs::create_dir(site.place.path("state/token.json.new")).unwrap();
    let ran = site.fetch().expect(74);
    assert!(ran.stderr.contains("token.json.new"), "{}", ran.stderr);
    assert!(tokens.forms().is_empty());
}

#[test]
fn a_new_refresh_token_is_on_the_disk_before_it_is_used() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let place = Place::new();
    let (file, notes) = (place.path("state/token.json"), seen.clone());
    // Looks at the file when the login comes.
    let script = Script::start(move |verb, _, _| {
        if verb == "AUTHENTICATE" {
            notes.lock().unwrap().push(kept(&file)["refresh_token"].clone());
        }
        match verb {
            "CAPABILITY" => say("* CAPABILITY IMAP4rev1 AUTH=XOAUTH2\r\nTAG OK\r\n"),
            "AUTHENTICATE" => Reply::Continue { challenges: vec![String::new()], then: b"TAG OK in\r\n".to_vec() },
            _ => Reply::Usual,
        }
    });
    let tokens = Tokens::start(|_, _| granted("eyJ", Some("refresh-new")));
    let site = Site { place };
    let server = format!("host = \"127.0.0.1\"\nport = {}\ntls = \"none\"", script.port);
    site.configure(&server, "xoauth2", &tokens.url, "");
    site.log_in(&tokens.url, "refresh-first");
    site.fetch().expect(0);
    assert_eq!(*seen.lock().unwrap(), ["refresh-new"]);
}

#[test]
fn tokens_go_over_tls_to_authorities_that_are_known() {
    let server = Dovecot::start_with_tokens(KEY);
    server.deliver("alice", "INBOX", mail("one", 1).as_bytes());
    let token = jwt(KEY, "alice", HOUR);
    let folder = server.ca_file().parent().unwrap().to_owned();
    let tokens = Tokens::start_tls(&folder, move |_, _| granted(&token, None));
    let site = Site::new(&dovecot(&server), "xoauth2", &tokens.url, "");
    site.log_in(&tokens.url, "refresh-first");
    site.fetch().expect(0);
    assert_eq!((site.reports(), tokens.forms().len()), (1, 1));
    let other = format!("host = \"localhost\"\nport = {}\nca_file = {:?}", server.imaps, server.other_ca_file());
    site.configure(&other, "xoauth2", &tokens.url, "");
    let ran = site.fetch().expect(78);
    assert!(ran.stderr.contains("/token"), "{}", ran.stderr);
    assert_eq!(tokens.forms().len(), 1, "nothing was sent");
}

#[test]
fn an_application_has_tokens_of_its_own() {
    let server = Dovecot::start_with_tokens(KEY);
    server.deliver("alice", "INBOX", mail("one", 1).as_bytes());
    let token = jwt(KEY, "alice", HOUR);
    let tokens = Tokens::start(move |form, _| match form["grant_type"].as_str() {
        "client_credentials" if form["client_secret"] == "client-secret-1" => granted(&token, None),
        _ => refused("invalid_request"),
    });
    let site = Site::new(&dovecot(&server), "xoauth2", &tokens.url, "flow = \"client_credentials\"");
    site.fetch().expect(0);
    assert_eq!((site.reports(), site.file().exists()), (1, false));
    assert_eq!(tokens.forms()[0]["scope"], "mail offline_access");
    let ran = Ran::from(site.command(&["auth", "reports"]).output().unwrap()).expect(78);
    assert!(ran.stderr.contains("needs no person's login"), "{}", ran.stderr);
}

#[test]
fn a_signal_ends_the_wait_for_a_token() {
    let tokens = Tokens::start(|_, _| (0, String::new()));
    let site = Site::new("host = \"127.0.0.1\"\nport = 1\ntls = \"none\"", "xoauth2", &tokens.url, "");
    site.log_in(&tokens.url, "refresh-first");
    let child = site.command(&["fetch"]).stderr(Stdio::piped()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while tokens.forms().is_empty() {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(10));
    }
    let started = Instant::now();
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap()).expect(75);
    assert!(ran.stderr.contains("stopped"), "{}", ran.stderr);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

// ---------------------------------------------------------------- logging in

/// A provider's device login: `answers` to the polls, one after the other.
fn device(answers: &'static [fn() -> Answer]) -> (Site, Tokens, Ran) {
    let polls = AtomicUsize::new(0);
    let tokens = Tokens::start(move |form, _| match form["path"].as_str() {
        "/device" => (
            200,
            json!({
                "device_code": "device-secret-1", "user_code": "WDJB-\u{1b}[31mMJHT", "expires_in": 600, "interval": 1,
                "verification_uri": "https://login.example/device",
            })
            .to_string(),
        ),
        _ => {
            let right = form["grant_type"] == "urn:ietf:params:oauth:grant-type:device_code"
                && form["device_code"] == "device-secret-1";
            assert!(right, "{form:?}");
            answers[polls.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1)]()
        }
    });
    let site = Site::new("host = \"localhost\"", "xoauth2", &tokens.url, "");
    let ran = Ran::from(site.command(&["auth", "reports"]).output().unwrap());
    (site, tokens, ran)
}

#[test]
fn a_device_login_is_polled_until_it_is_confirmed() {
    let started = Instant::now();
    let (site, tokens, ran) = device(&[
        || refused("authorization_pending"),
        || refused("slow_down"),
        || (503, String::new()),
        || granted("eyJ", Some("refresh-1")),
    ]);
    let ran = ran.expect(0);
    // Four polls: after 1 s, 1 s, 6 s, and twice that after a failure of the server.
    assert!(started.elapsed() > Duration::from_secs(1 + 1 + 6 + 11), "{:?}", started.elapsed());
    assert!(ran.stdout.contains("https://login.example/device") && ran.stdout.contains("WDJB-"), "{}", ran.stdout);
    assert!(!ran.stdout.contains('\u{1b}'), "{:?}", ran.stdout);
    for secret in ["device-secret-1", "refresh-1", "eyJ", "client-secret-1"] {
        assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{ran:?}");
    }
    assert_eq!(kept(&site.file())["refresh_token"], "refresh-1");
    assert_eq!(fs::metadata(site.file()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(site.place.path("state")).unwrap().permissions().mode() & 0o777, 0o700);
    let forms = tokens.forms();
    assert_eq!((forms[0]["scope"].as_str(), forms[0]["client_id"].as_str()), ("mail offline_access", "client-1"));
    assert_eq!(forms.len(), 5);
}

#[test]
fn a_device_login_that_fails_says_why() {
    let check = |answers, status, words: &str| {
        let (site, _, ran) = device(answers);
        let ran = ran.expect(status);
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
        assert!(!site.file().exists());
    };
    check(&[|| refused("access_denied")], 77, "refused in the browser");
    check(&[|| refused("expired_token")], 75, "nobody confirmed");
    check(&[|| refused("invalid_client")], 78, "invalid_client");
    check(&[|| granted("eyJ", None)], 78, "no refresh token");
    let place = Site::new("host = \"localhost\"", "xoauth2", "http://127.0.0.1:1", "");
    Ran::from(place.command(&["auth", "nobody"]).output().unwrap()).expect(2);
    Ran::from(place.command(&["auth", "reports"]).output().unwrap()).expect(75);
}

/// Starts a browser login; the running command and the query of the address it prints.
fn browser() -> (Site, Tokens, Child, Form) {
    let challenge = Arc::new(Mutex::new(String::new()));
    let expected = challenge.clone();
    let tokens = Tokens::start(move |form, _| {
        let proof = URL_SAFE_NO_PAD.encode(Sha256::digest(form["code_verifier"].as_bytes()));
        let right = form["grant_type"] == "authorization_code"
            && form["code"] == "4/code+1"
            && form["redirect_uri"].starts_with("http://127.0.0.1:")
            && proof == *expected.lock().unwrap();
        if right { granted("eyJ", Some("refresh-1")) } else { refused("invalid_grant") }
    });
    let site = Site::new("host = \"localhost\"", "xoauth2", &tokens.url, "");
    let mut command = site.command(&["auth", "--browser", "reports"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("Open  ").unwrap_or_else(|| panic!("{line}"));
    let query =
        address.strip_prefix(&format!("{}/authorize?tenant=a&", tokens.url)).unwrap_or_else(|| panic!("{line}"));
    let query = decode(query);
    assert_eq!((query["response_type"].as_str(), query["code_challenge_method"].as_str()), ("code", "S256"));
    assert_eq!((query["client_id"].as_str(), query["scope"].as_str()), ("client-1", "mail offline_access"));
    *challenge.lock().unwrap() = query["code_challenge"].clone();
    (site, tokens, child, query)
}

fn visit(address: &str, query: &str) -> String {
    let mut stream = TcpStream::connect(address.strip_prefix("http://").unwrap()).unwrap();
    write!(stream, "GET /?{query} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

#[test]
fn a_browser_comes_back_with_a_code() {
    let (site, _tokens, child, query) = browser();
    // Somebody else's knock, and noise.
    visit(&query["redirect_uri"], "code=stolen&state=guessed");
    drop(TcpStream::connect(query["redirect_uri"].strip_prefix("http://").unwrap()));
    let page = visit(&query["redirect_uri"], &format!("state={}&code=4/code%2B1", query["state"]));
    assert!(page.contains("close this page") && !page.contains("code"), "{page}");
    Ran::from(child.wait_with_output().unwrap()).expect(0);
    assert_eq!(kept(&site.file())["refresh_token"], "refresh-1");
}

#[test]
fn the_address_that_a_browser_ends_at_can_be_pasted() {
    let (site, _tokens, mut child, query) = browser();
    let line = format!("{}/?code=4%2Fcode%2B1&state={}\n", query["redirect_uri"], query["state"]);
    child.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
    Ran::from(child.wait_with_output().unwrap()).expect(0);
    assert_eq!(kept(&site.file())["refresh_token"], "refresh-1");
}

#[test]
fn a_browser_login_that_is_refused_says_so() {
    let (site, _tokens, child, query) = browser();
    visit(&query["redirect_uri"], &format!("error=access_denied&state={}", query["state"]));
    let ran = Ran::from(child.wait_with_output().unwrap()).expect(77);
    assert!(ran.stderr.contains("access_denied"), "{}", ran.stderr);
    assert!(!site.file().exists());
}
