//! The configuration file: TOML, every key with a default, every mistake named with its line.

mod account;
mod dns;
mod oauth;
mod password;
mod reader;
mod tokens;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::limits::Limits;
use crate::source::Stop;
use crate::suppress::bounces::SoftPolicy;
use crate::suppress::token::Tokens;
use crate::suppress::trust::Reach;
pub use account::{Account, Login};
pub use dns::{Dns, Enrich};
pub use oauth::{Flow, OAuth};
pub use password::{Password, Reading};
use reader::{Mistake, Reader, Section};
pub use tokens::TokenSource;

/// The whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The database file.
    pub db: Option<PathBuf>,
    /// Domains that are ours, in lower-case ASCII. Reported policy domains count as ours too.
    pub own_domains: Vec<String>,
    /// Whose `Authentication-Results` to believe: the authserv-id of our own receiving server (RFC 8601, section 2.5).
    pub authserv_id: Option<String>,
    /// Who may send complaints beside the built-in list of feedback loops: domains, `@domain` for one without those below
    /// it, and addresses; in lower case.
    pub feedback_senders: Vec<String>,
    /// Bounds on what strangers send.
    pub limits: Limits,
    /// What suppressions are limited to.
    pub reach: Reach,
    /// Whether complaints of type `fraud` act like those of type `abuse`.
    pub suppress_fraud: bool,
    /// When soft bounces suppress.
    pub soft_bounces: SoftPolicy,
    /// Our variable envelope return paths.
    pub verp: Option<TokenSource>,
    /// Our `CFBL-Feedback-ID`.
    pub cfbl: Option<TokenSource>,
    /// Whether to check DKIM signatures of mail that the own server said nothing about. Needs DNS.
    pub verify_dkim: bool,
    /// Whom to ask about names.
    pub dns: Dns,
    /// What `enrich` looks up beside names.
    pub enrich: Enrich,
    /// The IMAP accounts, in the order of the file, with different names.
    pub accounts: Vec<Account>,
}

/// Bytes of a configuration file, at most.
const FILE: u64 = 1 << 20;

impl Config {
    /// Reads the file at `path`, else the first of the default places that exists, else the defaults.
    ///
    /// # Errors
    /// Text for people: every mistake on a line of its own, with file and line.
    pub fn load(path: Option<&Path>) -> Result<Config, String> {
        match Config::find(path)? {
            Some(path) => Config::read(&path),
            None => Ok(Config::default()),
        }
    }

    /// Which file [`Config::load`] reads; `None` when there is none.
    ///
    /// # Errors
    /// A file that was named must be there.
    pub fn find(path: Option<&Path>) -> Result<Option<PathBuf>, String> {
        let Some(path) = path else {
            return Ok(Config::places().into_iter().find(|path| path.exists()));
        };
        match fs::metadata(path) {
            Ok(_) => Ok(Some(path.to_owned())),
            Err(error) => Err(format!("{}: {error}; `dmarcdb config init` writes one", path.display())),
        }
    }

    /// Where the file is looked for if none is named: the user's place, then the system's.
    pub fn places() -> Vec<PathBuf> {
        let home = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
        let home = home.filter(|path| path.is_absolute());
        let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".config")));
        let mut places = Vec::from_iter(home.map(|home| home.join("dmarcdb/config.toml")));
        places.push("/etc/dmarcdb/config.toml".into());
        places
    }

    /// A file with every key, commented out, at its default.
    pub fn template() -> &'static str {
        include_str!("config/template.toml")
    }

    /// The environment variables that hold secrets: no business of the commands that are run.
    pub fn secret_variables(&self) -> Vec<String> {
        let secrets = self.accounts.iter().filter_map(|account| match &account.login {
            Login::Password(password) => Some(password),
            Login::OAuth { oauth, .. } => oauth.client_secret.as_ref(),
        });
        let tokens = [&self.verp, &self.cfbl].into_iter().flatten().filter_map(|token| token.secret.as_ref());
        secrets.chain(tokens).filter_map(Password::variable).map(str::to_owned).collect()
    }

    /// The patterns of our tokens, with their secrets fetched from where they are.
    ///
    /// # Errors
    /// Text for people when a secret cannot be had.
    pub fn tokens(&self) -> Result<Tokens, String> {
        let (hidden, stop) = (self.secret_variables(), Stop::default());
        let how = Reading { hidden: &hidden, stop: &stop };
        let open =
            |section, token: &Option<TokenSource>| token.as_ref().map(|token| token.open(section, how)).transpose();
        Ok(Tokens { verp: open("verp", &self.verp)?, cfbl: open("cfbl", &self.cfbl)? })
    }

    fn read(path: &Path) -> Result<Config, String> {
        let problem = |what: &str| format!("{}: {what}", path.display());
        let file = fs::File::open(path).map_err(|error| problem(&error.to_string()))?;
        let mut text = String::new();
        file.take(FILE + 1).read_to_string(&mut text).map_err(|error| problem(&error.to_string()))?;
        if text.len() as u64 > FILE {
            return Err(problem("too large for a configuration file"));
        }
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Config::parse(&text, &folder).map_err(|mistakes| {
            let lines = mistakes.iter().map(|Mistake { line, text }| format!("{}:{line}: {text}", path.display()));
            lines.collect::<Vec<_>>().join("\n")
        })
    }

    /// Reads `text`; relative paths in it are below `folder`.
    fn parse(text: &str, folder: &Path) -> Result<Config, Vec<Mistake>> {
        let mut reader = Reader::new(text, folder);
        let mut config = Config::default();
        let top = reader.top();
        config.take(&mut reader, &top);
        reader.finish().map(|()| config)
    }

    fn take(&mut self, reader: &mut Reader<'_>, top: &Section<'_>) {
        reader.known(top, KEYS);
        self.db = reader.path(top, "db");
        self.own_domains = reader.domains(top, "own_domains");
        self.authserv_id = reader.text(top, "authserv_id");
        self.verify_dkim = reader.flag(top, "verify_dkim", false);
        self.feedback_senders = reader.senders(top, "feedback_senders");
        if let Some(section) = reader.section(top, "limits") {
            take_limits(&mut self.limits, reader, &section);
        }
        self.reach = take_reach(reader, top);
        self.suppress_fraud = reader.flag(top, "suppress_fraud", false);
        if let Some(section) = reader.section(top, "bounces") {
            self.soft_bounces = take_soft(reader, &section);
        }
        self.verp = reader.section(top, "verp").and_then(|section| tokens::take(reader, &section));
        self.cfbl = reader.section(top, "cfbl").and_then(|section| tokens::take(reader, &section));
        if let Some(section) = reader.section(top, "dns") {
            dns::take_dns(&mut self.dns, reader, &section);
        }
        if let Some(section) = reader.section(top, "enrich") {
            dns::take_enrich(&mut self.enrich, reader, &section);
        }
        for section in reader.sections(top, "account") {
            if let Some(account) = account::take(reader, &section, &self.accounts) {
                self.accounts.push(account);
            }
        }
    }
}

const KEYS: &[&str] = &[
    "db",
    "own_domains",
    "authserv_id",
    "verify_dkim",
    "feedback_senders",
    "suppress_by",
    "suppress_fraud",
    "bounces",
    "verp",
    "cfbl",
    "limits",
    "dns",
    "enrich",
    "account",
];

const BOUNCE_KEYS: &[&str] = &["soft_bounces", "within_days", "suppress_days"];

fn take_reach(reader: &mut Reader<'_>, top: &Section<'_>) -> Reach {
    match reader.text(top, "suppress_by").as_deref() {
        None | Some("domain") => Reach::Domain,
        Some("stream") => Reach::Stream,
        Some(other) => {
            reader.wrong(top.at("suppress_by"), "suppress_by", format!("`{other}` is not one of domain, stream"));
            Reach::Domain
        }
    }
}

fn take_soft(reader: &mut Reader<'_>, section: &Section<'_>) -> SoftPolicy {
    const DAY: i64 = 86_400;
    reader.known(section, BOUNCE_KEYS);
    let default = SoftPolicy::default();
    let mut days = |key, seconds: i64| {
        let days = reader.number(section, key, (seconds / DAY).unsigned_abs(), 1, 36_500);
        i64::try_from(days).unwrap_or(1) * DAY
    };
    let (window, lasts) = (days("within_days", default.window), days("suppress_days", default.lasts));
    let bounces = reader.number(section, "soft_bounces", u64::from(default.bounces), 0, 1000);
    SoftPolicy { bounces: u32::try_from(bounces).unwrap_or(default.bounces), window, lasts }
}

/// Where a bound is kept.
enum Bound<'a> {
    U64(&'a mut u64),
    Usize(&'a mut usize),
}

/// Every bound with its key. A bound that is added to [`Limits`] does not compile until it is named here.
fn bounds(limits: &mut Limits) -> [(&'static str, Bound<'_>); 17] {
    let Limits {
        message_bytes,
        document_bytes,
        unpacked_bytes,
        archive_members,
        container_depth,
        mime_parts,
        mime_depth,
        header_block_bytes,
        header_field_bytes,
        xml_depth,
        value_bytes,
        records,
        results_per_record,
        feedback_fields,
        complaint_recipients,
        bounce_recipients,
        kept_bytes,
    } = limits;
    [
        ("message_bytes", Bound::U64(message_bytes)),
        ("document_bytes", Bound::U64(document_bytes)),
        ("unpacked_bytes", Bound::U64(unpacked_bytes)),
        ("archive_members", Bound::Usize(archive_members)),
        ("container_depth", Bound::Usize(container_depth)),
        ("mime_parts", Bound::Usize(mime_parts)),
        ("mime_depth", Bound::Usize(mime_depth)),
        ("header_block_bytes", Bound::Usize(header_block_bytes)),
        ("header_field_bytes", Bound::Usize(header_field_bytes)),
        ("xml_depth", Bound::Usize(xml_depth)),
        ("value_bytes", Bound::Usize(value_bytes)),
        ("records", Bound::U64(records)),
        ("results_per_record", Bound::Usize(results_per_record)),
        ("feedback_fields", Bound::Usize(feedback_fields)),
        ("complaint_recipients", Bound::Usize(complaint_recipients)),
        ("bounce_recipients", Bound::Usize(bounce_recipients)),
        ("kept_bytes", Bound::U64(kept_bytes)),
    ]
}

fn take_limits(limits: &mut Limits, reader: &mut Reader<'_>, section: &Section<'_>) {
    let bounds = bounds(limits);
    let keys: Vec<&str> = bounds.iter().map(|(key, _)| *key).collect();
    reader.known(section, &keys);
    for (key, bound) in bounds {
        match bound {
            Bound::U64(bound) => *bound = reader.number(section, key, *bound, 1, u64::MAX),
            Bound::Usize(bound) => {
                let value = reader.number(section, key, *bound as u64, 1, u64::from(u32::MAX));
                *bound = usize::try_from(value).unwrap_or(*bound);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::source::imap::{After, Auth, Tls};

    fn parse(text: &str) -> Result<Config, Vec<Mistake>> {
        Config::parse(text, Path::new("/etc/dmarcdb"))
    }

    /// Every mistake as `line: text`, joined.
    fn mistakes(text: &str) -> String {
        let mistakes = parse(text).expect_err(text);
        let lines = mistakes.iter().map(|mistake| format!("{}: {}", mistake.line, mistake.text));
        lines.collect::<Vec<_>>().join("\n")
    }

    const ACCOUNT: &str = "[[account]]\nname = \"a\"\nhost = \"imap.example.com\"\nuser = \"u\"\n\
        password_env = \"P\"\n";

    #[test]
    fn reads_a_whole_file() {
        let config = parse(
            "db = \"reports.sqlite\"\nown_domains = [\"Example.COM.\", \"münchen.example\"]\n\
             authserv_id = \"MX.example.com\"\n[limits]\nxml_depth = 64\nrecords = 1_000\n\
             [[account]]\nname = \"reports\"\nhost = \"imap.example.com\"\nport = 1993\n\
             tls = \"starttls\"\nca_file = \"ca.pem\"\nuser = \"dmarc@example.com\"\n\
             password_command = \"pass show dmarc\"\nfolders = [\"INBOX\", \"a/b\"]\n\
             after = \"move:Done/2026\"\nrun_seconds = 60\n",
        )
        .unwrap();
        assert_eq!(config.db.as_deref(), Some(Path::new("/etc/dmarcdb/reports.sqlite")));
        assert_eq!(config.own_domains, ["example.com", "xn--mnchen-3ya.example"]);
        assert_eq!(config.authserv_id.as_deref(), Some("MX.example.com"));
        assert_eq!((config.limits.xml_depth, config.limits.records), (64, 1000));
        let [account] = &config.accounts[..] else { panic!("{config:?}") };
        assert_eq!((account.port, account.tls), (1993, Tls::StartTls));
        assert_eq!(account.ca_file.as_deref(), Some(Path::new("/etc/dmarcdb/ca.pem")));
        assert_eq!(account.after, After::Move("Done/2026".into()));
        assert_eq!(account.login, Login::Password(Password::Command("pass show dmarc".into())));
        assert_eq!(account.timeouts.run.as_secs(), 60);
    }

    #[test]
    fn defaults_are_sensible() {
        assert_eq!(parse("").unwrap(), Config::default());
        let config = parse(ACCOUNT).unwrap();
        let account = &config.accounts[0];
        assert_eq!((account.port, account.tls, &account.after), (993, Tls::Implicit, &After::Keep));
        assert_eq!(account.folders, ["INBOX"]);
        let plain = ACCOUNT.replace("imap.example.com", "localhost") + "tls = \"none\"\n";
        assert_eq!(parse(&plain).unwrap().accounts[0].port, 143);
    }

    #[test]
    fn every_mistake_is_named_with_its_line() {
        let check = |text: &str, expected: &[&str]| {
            let found = mistakes(text);
            let lines: Vec<&str> = found.lines().collect();
            assert_eq!(lines.len(), expected.len(), "{found}");
            for (line, start) in lines.iter().zip(expected) {
                assert!(line.starts_with(start), "{line}\nexpected {start}");
            }
        };
        check(
            "own_domain = []\ndb = 5\nauthserv_id = \"\"\n[limit]\n[limits]\nxml_deep = 3\n\
             records = -1\nxml_depth = \"many\"\n",
            &[
                "1: unknown key `own_domain`; did you mean `own_domains`?",
                "2: `db`: expected text in quotes, found integer",
                "3: `authserv_id`: must not be empty",
                "4: unknown key `limit`; did you mean `limits`?",
                "6: unknown key `xml_deep`; did you mean `xml_depth`?",
                "7: `records`: expected a whole number from 1",
                "8: `xml_depth`: expected a whole number",
            ],
        );
        check(
            "own_domains = [\n  \"example.com\",\n  \"not a domain\",\n  7,\n  \"localhost\"]\n",
            &[
                "3: `own_domains`: `not a domain` is not a domain name",
                "4: `own_domains`: expected text in quotes, found integer",
                "5: `own_domains`: `localhost` is not a domain name",
            ],
        );
        check("own_domains = \"example.com\"\n", &["1: `own_domains`: expected a list"]);
        check(
            "[dns]\nserver = \"dns.example.com\"\nqueries = 0\n[enrich]\nblocklist = []\n",
            &["2: `server`: `dns.example.com` is neither", "3: `queries`", "5: unknown key `blocklist`; did you mean"],
        );
        check("db = \n[limits\n", &["1: ", "2: "]);
        check("db = \"a\"\ndb = \"b\"\n", &["2: duplicate key"]);
        check(
            "[[account]]\n",
            &["1: `host` is missing", "1: `name` is missing", "1: `user` is missing", "1: no password"],
        );
        check("[account]\nname = \"a\"\n", &["1: `account`: write `[[account]]`"]);
        check(&format!("{ACCOUNT}{ACCOUNT}"), &["7: `name`: there is another account `a`"]);
        let with = |more: &str| format!("{ACCOUNT}{more}\n");
        check(&with("after = \"archive\""), &["6: `after`: `archive` is not one of"]);
        check(&with("after = \"move:\""), &["6: `after`: name the folder to move to"]);
        check(&with("after = \"move:INBOX\""), &["6: `after`: `INBOX` is one of `folders`"]);
        check(&with("port = 65536"), &["6: `port`: expected a whole number from 1 to 65535"]);
        check(&with("tls = \"ssl\""), &["6: `tls`: `ssl` is not one of"]);
        check(&with("tls = \"none\""), &["6: `tls`: \"none\" is for this machine only"]);
        check(&with("folders = []"), &["6: `folders`: must not be empty"]);
        check(&with("folders = [\"A\", \"A\"]"), &["6: `folders`: `A` is there twice"]);
        check(&with("password = \"x\""), &["6: a password does not belong in this file"]);
        check(&with("password_command = \"x\""), &["6: more than one"]);
        check(&with("password_credential = \"x\""), &["6: more than one source of the password"]);
        check(
            &ACCOUNT.replace("env", "credential").replace("\"P\"", "\"a/b\""),
            &["5: `password_credential`: is the name"],
        );
        check(&with("feedback = 1"), &["6: `feedback`: expected `true` or `false`"]);
        check("feedback_senders = [\"a b\"]\n", &["1: `feedback_senders`: `a b` is neither"]);
        check(&with("idle_seconds = 1800"), &["6: `idle_seconds`: expected a whole number from 1 to 1740"]);
        check(&with("auth = \"oauth\""), &["6: `auth`: `oauth` is not one of"]);
        check(&with("auth = \"xoauth2\""), &["6: `auth`: tokens need a section"]);
        check(&with("[account.oauth]"), &["6: `[account.oauth]` is for"]);
        let token = |more: &str| {
            let account = ACCOUNT.replace("password_env = \"P\"", "auth = \"xoauth2\"");
            format!("{account}[account.oauth]\n{more}\n")
        };
        check(&token(""), &["6: `client_id` is missing", "6: `token_url` is missing"]);
        let own = "client_id = \"i\"\ntoken_url = ";
        check(&token(&format!("{own}\"http://example.com/\"")), &["8: `token_url`: `http://example.com/` is no https"]);
        check(&token(&format!("{own}\"http://127.0.0.1.example.com/\"")), &["8: `token_url`"]);
        check(&token(&format!("{own}\"http://localhost@example.com/\"")), &["8: `token_url`"]);
        check(
            &token("provider = \"gogle\"\nclient_id = \"i\""),
            &["6: `token_url` is", "7: `provider`: `gogle` is not one"],
        );
        check(&token("provider = \"google\"\nclient_id = \"i\"\nclient_secret = \"s\""), &["9: a secret does not"]);
        check(
            &token("provider = \"microsoft\"\nclient_id = \"i\"\nflow = \"client_credentials\"\ntenant = \"a/b\""),
            &["6: `flow = \"client_credentials\"` needs", "10: `tenant`: expected"],
        );
        check(&with("pasword_file = \"x\""), &["6: unknown key `pasword_file`; did you mean `password_file`?"]);
        check(&with("host = 3"), &["6: duplicate key"]);
        check(&ACCOUNT.replace("imap.", "imap://"), &["3: `host`: `imap://example.com` is not"]);
    }

    #[test]
    fn reads_how_tokens_are_had() {
        let oauth = |more: &str| {
            let account = ACCOUNT.replace("password_env = \"P\"", "auth = \"oauthbearer\"");
            let config = parse(&format!("{account}[account.oauth]\nclient_id = \"i\"\n{more}")).unwrap();
            match config.accounts.into_iter().next().unwrap().login {
                Login::OAuth { auth: Auth::OAuthBearer, oauth } => oauth,
                other => panic!("{other:?}"),
            }
        };
        let google = oauth("provider = \"google\"\nclient_secret_env = \"S\"");
        assert_eq!(google.token_url, "https://oauth2.googleapis.com/token");
        assert_eq!((google.device_url, google.flow), (None, Flow::Refresh));
        assert_eq!(google.token_file, Path::new("/var/lib/dmarcdb/oauth-a.json"));
        assert_eq!(google.client_secret, Some(Password::Env("S".into())));
        let microsoft = oauth("provider = \"microsoft\"\ntenant = \"contoso.example\"\ntoken_file = \"t\"");
        assert!(microsoft.token_url.contains("/contoso.example/") && microsoft.device_url.is_some());
        assert!(microsoft.scope.contains("offline_access"));
        assert_eq!(microsoft.token_file, Path::new("/etc/dmarcdb/t"));
        let own = oauth("token_url = \"http://127.0.0.1:8080/token\"\nscope = \"mail\"");
        assert_eq!((own.token_url.as_str(), own.scope.as_str()), ("http://127.0.0.1:8080/token", "mail"));
    }

    #[test]
    fn folders_for_feedback_are_read_too() {
        let text = format!("{ACCOUNT}folders = [\"INBOX\", \"A\"]\nfeedback_folders = [\"inbox\", \"FBL\"]\n");
        let account = &parse(&text).unwrap().accounts[0];
        assert_eq!(account.folders, ["INBOX", "A", "FBL"]);
        assert_eq!(account.feedback_folders, ["INBOX", "FBL"]);
    }

    #[test]
    fn secrets_in_variables_are_known() {
        assert_eq!(parse(ACCOUNT).unwrap().secret_variables(), ["P"]);
    }

    #[test]
    fn a_password_file_is_for_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "hunter2\n").unwrap();
        let text = ACCOUNT.replace("password_env = \"P\"", "password_file = \"secret\"");
        let parse = |mode| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            Config::parse(&text, folder.path())
        };
        assert!(parse(0o600).is_ok() && parse(0o400).is_ok());
        for mode in [0o640, 0o604, 0o622] {
            let mistakes = parse(mode).unwrap_err();
            assert_eq!(mistakes[0].line, 5);
            assert!(mistakes[0].text.contains("chmod 600"), "{}", mistakes[0].text);
        }
    }

    #[test]
    fn files_are_named_in_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        let error = Config::load(Some(&path)).unwrap_err();
        assert!(error.starts_with(&format!("{}: ", path.display())), "{error}");
        fs::write(&path, "a = 1\nb = 2\n").unwrap();
        let error = Config::load(Some(&path)).unwrap_err();
        let lines: Vec<&str> = error.lines().collect();
        assert!(lines[0].starts_with(&format!("{}:1: unknown key `a`", path.display())), "{error}");
        assert!(lines[1].starts_with(&format!("{}:2: unknown key `b`", path.display())), "{error}");
    }

    /// The template with its keys in force: they stand behind a `#` without a space.
    fn uncommented() -> String {
        let lines = Config::template().lines();
        let lines = lines.map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => rest,
            _ => line,
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_template_says_what_holds_without_it() {
        assert_eq!(parse(Config::template()).unwrap(), Config::default());
        let mut config = parse(&uncommented()).unwrap();
        let account = config.accounts.pop().expect("an account");
        let plain = parse(&format!(
            "[[account]]\nname = {:?}\nhost = {:?}\nuser = {:?}\npassword_command = \"pass show dmarc\"\n",
            account.name, account.host, account.user
        ));
        assert_eq!(account, plain.unwrap().accounts[0]);
        assert_eq!(config.limits, Limits::default());
        assert_eq!(config.soft_bounces, SoftPolicy::default());
        assert_eq!((config.dns, config.enrich), (Dns::default(), Enrich::default()));
    }

    #[test]
    fn tokens_and_bounces() {
        let config = parse(
            "[bounces]\nsoft_bounces = 3\nwithin_days = 7\nsuppress_days = 30\n\
             [verp]\npattern = \"b+{local}={domain}@example.com\"\n\
             [cfbl]\npattern = \"{any}:{mac}\"\nsecret_command = \"echo hunter2\"\n\
             [[account]]\nname = \"a\"\nhost = \"h\"\nuser = \"u\"\npassword_env = \"P\"\nbounce_folders = [\"Bounces\"]\n",
        )
        .unwrap();
        let soft = SoftPolicy { bounces: 3, window: 7 * 86_400, lasts: 30 * 86_400 };
        assert_eq!(config.soft_bounces, soft);
        let account = &config.accounts[0];
        assert_eq!((&account.bounce_folders, account.bounces), (&vec!["Bounces".to_owned()], false));
        assert!(account.folders.contains(&"Bounces".to_owned()) && account.feedback_folders.is_empty());
        let tokens = config.tokens().unwrap();
        assert!(tokens.verp.is_some() && tokens.cfbl.is_some());
        let check = |text: &str, expected: &str| {
            let found = mistakes(text);
            assert!(found.starts_with(expected), "{found}\nexpected {expected}");
        };
        check("[verp]\n", "1: `pattern` is missing");
        check("[verp]\npattern = \"b@x\"\n", "2: `pattern`: says neither");
        check("[cfbl]\npattern = \"{any}:{mac}\"\n", "2: `pattern`: `{mac}` and a secret");
        check("[cfbl]\npattern = \"{any}:{mac}\"\nsecret = \"x\"\n", "2: `pattern`: `{mac}`");
        check("[bounces]\nsoft = 3\n", "2: unknown key `soft`");
        check("suppress_by = \"list\"\n", "1: `suppress_by`: `list` is not one of domain, stream");
        assert_eq!(parse("suppress_by = \"stream\"\n").unwrap().reach, Reach::Stream);
    }

    #[test]
    fn the_template_has_every_key() {
        let text = uncommented();
        let mut limits = Limits::default();
        let bounds = bounds(&mut limits);
        let keys = bounds.iter().map(|(key, _)| *key).chain(KEYS.iter().copied());
        let keys = keys.chain(account::KEYS.iter().copied()).chain(oauth::KEYS.iter().copied());
        let keys = keys.chain(BOUNCE_KEYS.iter().copied()).chain(tokens::KEYS.iter().copied());
        let keys = keys.chain(dns::DNS_KEYS.iter().copied()).chain(dns::ENRICH_KEYS.iter().copied());
        for key in keys {
            let there = text.lines().any(|line| {
                let line = line.trim_start_matches("# or: ");
                line.starts_with(&format!("{key} = "))
                    || ["[KEY]", "[[KEY]]", "[account.KEY]"].iter().any(|section| line == section.replace("KEY", key))
            });
            assert!(there, "{key}");
        }
    }
}
