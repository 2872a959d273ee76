//! A real IMAP server on loopback, started and stopped by the test that uses it.
//!
//! Mail is delivered and looked at in the Maildirs themselves, behind the server's back, so that tests see what is
//! really there and not what a client is told.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer};
use rcgen::{KeyPair, KeyUsagePurpose};
use rustix::process::{Pid, Signal, getuid, kill_process_group};
use tempfile::TempDir;

const BINARY: &str = "/usr/sbin/dovecot";

/// A running Dovecot. The users are `alice` and `bob` (password: the name and `-pw`) and `carol`, whose password is
/// `pa ss"wo\rd`. It is killed, and its files are removed, when this is dropped.
pub struct Dovecot {
    child: Child,
    /// Port that speaks TLS at once, with a certificate for `localhost` and 127.0.0.1 by [`Dovecot::ca_file`].
    pub imaps: u16,
    /// Port that starts in plain text and offers STARTTLS.
    pub imap: u16,
    owner: Owner,
    dir: TempDir,
}

/// Whom the mail belongs to: Dovecot refuses to touch mail as root.
#[derive(Clone)]
struct Owner {
    user: String,
    group: String,
    ids: Option<(u32, u32)>,
}

/// A message as it lies in a Maildir.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stored {
    /// The Maildir flags: `S` is seen, `T` is deleted. Empty while it is still in `new`.
    pub flags: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Where the folders of servers are. In memory if there is such a place: Maildirs are small files, made and removed by the
/// thousand, and a disk's file system is slow to give out again what it just took back. Short, because sockets are in them.
fn base() -> &'static str {
    if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" }
}

impl Dovecot {
    /// Starts one.
    pub fn start() -> Dovecot {
        Self::start_with("")
    }

    /// Starts one with more lines of configuration, in which `DIR` is its folder. There lie the certificates
    /// `srv.pem`, `elsewhere.pem` for another host, and `expired.pem`, all with the key `srv.key`. Panics when Dovecot
    /// 2.3 is not installed.
    pub fn start_with(extra: &str) -> Dovecot {
        Self::start_with_files(extra, &[])
    }

    /// One that takes tokens by XOAUTH2 and OAUTHBEARER which are signed with `key` (see [`super::tokens::jwt`]), beside
    /// passwords.
    pub fn start_with_tokens(key: &str) -> Dovecot {
        let extra = "auth_mechanisms = plain login xoauth2 oauthbearer\n\
            passdb {\n driver = oauth2\n mechanisms = xoauth2 oauthbearer\n args = DIR/oauth2.conf\n}\n";
        let settings = "introspection_mode = local\nlocal_validation_key_dict = fs:posix:prefix=DIR/keys/\n\
            username_attribute = sub\n";
        let key = STANDARD.encode(key);
        Self::start_with_files(extra, &[("oauth2.conf", settings), ("keys/default/HS256/default", &key)])
    }

    fn start_with_files(extra: &str, files: &[(&str, &str)]) -> Dovecot {
        check_installed();
        let mut why = String::new();
        // Another test may take the port before it is used.
        for _ in 0..5 {
            match Self::try_start(extra, files) {
                Ok(server) => return server,
                Err(log) => why = log,
            }
        }
        panic!("dovecot does not start:\n{why}");
    }

    fn try_start(extra: &str, files: &[(&str, &str)]) -> Result<Dovecot, String> {
        let dir = tempfile::Builder::new().prefix("dm").tempdir_in(base()).expect("a folder for a server");
        let owner = Owner::find();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["run", "state", "home"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        certificates(dir.path());
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text.replace("DIR", &dir.path().display().to_string())).unwrap();
        }
        let users = "alice:{PLAIN}alice-pw\nbob:{PLAIN}bob-pw\ncarol:{PLAIN}pa ss\"wo\\rd\n";
        fs::write(dir.path().join("users"), users).unwrap();
        let (imap, imaps) = free_ports();
        let conf = configuration(dir.path(), &owner, imap, imaps, extra);
        fs::write(dir.path().join("dovecot.conf"), conf).unwrap();
        owner.give_tree(dir.path());
        let child = spawn(dir.path());
        let mut server = Dovecot { child, imaps, imap, owner, dir };
        if server.answers() { Ok(server) } else { Err(server.log()) }
    }

    /// Kills the server; its mail stays.
    pub fn kill(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let _ = self.child.wait();
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until && connects(self.imap) {
            sleep(Duration::from_millis(2));
        }
        // An old pid file of an unreaped process makes the next start fail, and a lock in a mailbox makes it wait for minutes.
        let _ = fs::remove_file(self.path("run/master.pid"));
        remove_locks(&self.path("home"));
    }

    /// Starts it again on the same ports after [`Dovecot::kill`].
    pub fn revive(&mut self) {
        self.child = spawn(self.dir.path());
        assert!(self.answers(), "dovecot does not come back");
    }

    /// Its processes.
    #[allow(dead_code, reason = "a benchmark asks for them")]
    pub fn processes(&self) -> impl Iterator<Item = u32> + use<> {
        let group = self.child.id().to_string();
        let all = fs::read_dir("/proc").into_iter().flatten().flatten();
        all.filter_map(move |entry| {
            let process = entry.file_name().to_str()?.parse().ok()?;
            let text = fs::read_to_string(entry.path().join("stat")).ok()?;
            let is_ours = text.rsplit_once(") ")?.1.split(' ').nth(2) == Some(&group);
            is_ours.then_some(process)
        })
    }

    /// The authority of the server's certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// An authority that has nothing to do with it.
    pub fn other_ca_file(&self) -> PathBuf {
        self.path("other.pem")
    }

    /// What the server logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("dovecot.log")).unwrap_or_default()
    }

    /// Delivers `message` into `folder` (levels separated by `/`, names in modified UTF-7), which is created if
    /// missing.
    pub fn deliver(&self, user: &str, folder: &str, message: &[u8]) {
        self.deliver_at(user, folder, message, SystemTime::now());
    }

    /// The same, with the time that becomes the INTERNALDATE.
    pub fn deliver_at(&self, user: &str, folder: &str, message: &[u8], received: SystemTime) {
        static SERIAL: AtomicU32 = AtomicU32::new(1);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let maildir = self.create_folder(user, folder);
        // UIDs are given in the order of the number that a name begins with.
        let name = format!("{}.M{serial}P1.test", 1_700_000_000 + u64::from(serial));
        let path = maildir.join("tmp").join(&name);
        let mut file = fs::File::create(&path).unwrap();
        file.write_all(message).unwrap();
        file.set_modified(received).unwrap();
        self.owner.give(&path);
        fs::rename(&path, maildir.join("new").join(&name)).unwrap();
    }

    /// Makes the folder; its path.
    pub fn create_folder(&self, user: &str, folder: &str) -> PathBuf {
        let maildir = self.maildir(user, folder);
        for name in ["cur", "new", "tmp"] {
            fs::create_dir_all(maildir.join(name)).unwrap();
        }
        if folder != "INBOX" {
            fs::write(maildir.join("maildirfolder"), "").unwrap();
        }
        self.owner.give_tree(&self.path("home").join(user));
        maildir
    }

    /// Where a folder lies.
    pub fn maildir(&self, user: &str, folder: &str) -> PathBuf {
        let root = self.path("home").join(user).join("Maildir");
        match folder {
            "INBOX" => root,
            name => root.join(format!(".{}", name.replace('/', "."))),
        }
    }

    /// What is in a folder, in the order of delivery; empty when there is no such folder.
    pub fn stored(&self, user: &str, folder: &str) -> Vec<Stored> {
        let files = self.files(user, folder);
        let stored = files.iter().map(|path| Stored { flags: flags(path), bytes: fs::read(path).unwrap() });
        stored.collect()
    }

    /// The files of a folder, in the order of delivery.
    pub fn files(&self, user: &str, folder: &str) -> Vec<PathBuf> {
        let maildir = self.maildir(user, folder);
        let mut files: Vec<PathBuf> = Vec::new();
        for part in ["new", "cur"] {
            let Ok(entries) = fs::read_dir(maildir.join(part)) else {
                continue;
            };
            files.extend(entries.map(|entry| entry.unwrap().path()));
        }
        files.sort_by_key(|path| path.file_name().map(ToOwned::to_owned));
        files
    }

    /// Lets the UIDs of an INBOX that nobody has opened yet begin at `uid`.
    pub fn next_uid(&self, user: &str, uid: u32) {
        let path = self.maildir(user, "INBOX").join("dovecot-uidlist");
        fs::write(&path, format!("3 V1700000000 N{uid} G0123456789abcdef0123456789abcdef\n")).unwrap();
        self.owner.give(&path);
    }

    /// Removes a user's mail.
    pub fn forget_user(&self, user: &str) {
        let _ = fs::remove_dir_all(self.path("home").join(user));
    }

    /// Makes the folder lose its UIDs: it gets another UIDVALIDITY.
    pub fn forget_uids(&self, user: &str, folder: &str) {
        for entry in fs::read_dir(self.maildir(user, folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            // What remains sees to it that the new value differs from the old one; a lock is the server's, which is at work.
            let keep = name.starts_with("dovecot-uidvalidity") || name.ends_with(".lock");
            if name.starts_with("dovecot") && !keep {
                match fs::remove_file(path) {
                    Err(error) if error.kind() != ErrorKind::NotFound => panic!("{name}: {error}"),
                    // Gone: the server removed or renamed it between the listing and here.
                    _ => {}
                }
            }
        }
    }

    /// Another client: logs in as `user` over plain text, gives `commands`, and returns all that the server said.
    pub fn talk(&self, user: &str, commands: &[&str]) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.imap)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        let mut said = String::new();
        lines.read_line(&mut said).unwrap();
        let login = format!("LOGIN {user} {user}-pw");
        for (number, command) in [login.as_str()].iter().chain(commands).enumerate() {
            write!(stream, "t{number} {command}\r\n").unwrap();
            let done = format!("t{number} ");
            loop {
                let mut line = String::new();
                assert!(lines.read_line(&mut line).unwrap() > 0, "closed after {command}: {said}");
                said.push_str(&line);
                if line.starts_with(&done) {
                    break;
                }
            }
        }
        said
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Whether it greets within a few seconds.
    fn answers(&mut self) -> bool {
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", self.imap)) {
                stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                let mut line = String::new();
                let greeted = BufReader::new(stream).read_line(&mut line).is_ok();
                if greeted && line.starts_with("* OK") && line.contains("Dovecot") {
                    return true;
                }
            }
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            sleep(Duration::from_millis(5));
        }
        false
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("dovecot's log:\n{}", self.log());
        }
        self.kill();
    }
}

impl Owner {
    fn find() -> Owner {
        if !getuid().is_root() {
            let name = |flags| {
                let output = Command::new("id").arg(flags).output().expect("id runs");
                String::from_utf8(output.stdout).unwrap().trim().to_owned()
            };
            return Owner { user: name("-un"), group: name("-gn"), ids: None };
        }
        let uid = field("/etc/passwd", |line| line.first() == Some(&"nobody"), 2);
        let gid = field("/etc/passwd", |line| line.first() == Some(&"nobody"), 3);
        let group = field("/etc/group", |line| line.get(2) == Some(&gid.as_str()), 0);
        let ids = Some((uid.parse().unwrap(), gid.parse().unwrap()));
        Owner { user: "nobody".into(), group, ids }
    }

    fn give(&self, path: &Path) {
        if let Some((uid, gid)) = self.ids {
            chown(path, Some(uid), Some(gid)).unwrap();
        }
    }

    fn give_tree(&self, path: &Path) {
        // The server may rename and remove what lies in there at the same time.
        if let Some((uid, gid)) = self.ids {
            let _ = chown(path, Some(uid), Some(gid));
        }
        let Ok(entries) = fs::read_dir(path) else {
            return;
        };
        for entry in entries.flatten() {
            self.give_tree(&entry.path());
        }
    }
}

fn field(file: &str, wanted: impl Fn(&[&str]) -> bool, index: usize) -> String {
    let text = fs::read_to_string(file).unwrap();
    let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let line = lines.find(|line| wanted(line)).unwrap_or_else(|| panic!("no such line in {file}"));
    line[index].to_owned()
}

/// Removes what Dovecot locks mailboxes with: files that a killed process leaves behind.
fn remove_locks(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_locks(&path);
        } else if path.extension().is_some_and(|extension| extension == "lock") {
            let _ = fs::remove_file(path);
        }
    }
}

fn check_installed() {
    let version = Command::new(BINARY).arg("--version").output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    match version {
        Ok(version) if version.starts_with("2.3.") => {}
        Ok(version) => panic!("these tests are written for Dovecot 2.3, but {BINARY} is {version}"),
        Err(error) => panic!(
            "{BINARY}: {error}\nthese tests need Dovecot 2.3: \
             apt-get install -y --no-install-recommends dovecot-imapd"
        ),
    }
}

fn spawn(dir: &Path) -> Child {
    let mut command = Command::new(BINARY);
    command.arg("-F").arg("-c").arg(dir.join("dovecot.conf")).process_group(0);
    // Its children keep these: a pipe would never end.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("dovecot starts")
}

fn connects(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn free_ports() -> (u16, u16) {
    let first = TcpListener::bind("127.0.0.1:0").unwrap();
    let second = TcpListener::bind("127.0.0.1:0").unwrap();
    (first.local_addr().unwrap().port(), second.local_addr().unwrap().port())
}

fn flags(path: &Path) -> String {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    name.split_once(":2,").map(|(_, flags)| flags.to_owned()).unwrap_or_default()
}

/// An authority, a server certificate by it, and an authority that nobody uses.
fn certificates(dir: &Path) {
    let (authority, issuer) = authority("dmarcdb test");
    fs::write(dir.join("ca.pem"), authority).unwrap();
    fs::write(dir.join("other.pem"), self::authority("other test").0).unwrap();
    let key = KeyPair::generate().unwrap();
    let certify = |file: &str, names: &[&str], until: i32| {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        fs::write(dir.join(file), certificate.pem()).unwrap();
    };
    certify("srv.pem", &["localhost", "127.0.0.1"], 2090);
    certify("elsewhere.pem", &["elsewhere.example"], 2090);
    certify("expired.pem", &["localhost", "127.0.0.1"], 2021);
    fs::write(dir.join("srv.key"), key.serialize_pem()).unwrap();
}

/// A certificate authority: its certificate in PEM, and what it signs with.
pub fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), Issuer::new(params, key))
}

fn configuration(dir: &Path, owner: &Owner, imap: u16, imaps: u16, extra: &str) -> String {
    let Owner { user, group, .. } = owner;
    let dir = dir.display();
    let extra = extra.replace("DIR", &dir.to_string());
    // Without chroot and change of user it runs as anyone; without penalties a wrong password slows no later test.
    format!(
        r"
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/dovecot.log
instance_name = dmarcdb-test
listen = 127.0.0.1
protocols = imap
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
auth_mechanisms = plain login
disable_plaintext_auth = no
auth_failure_delay = 0
first_valid_uid = 1
mail_location = maildir:{dir}/home/%u/Maildir
mail_uid = {user}
mail_gid = {group}
mail_fsync = never
mail_max_userip_connections = 100
ssl = yes
ssl_cert = <{dir}/srv.pem
ssl_key = <{dir}/srv.key
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {dir}/users
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={dir}/home/%u
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
service auth {{
  user = {user}
}}
service auth-worker {{
  user = {user}
}}
service imap-login {{
  chroot =
  service_count = 0
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
{extra}
"
    )
}
