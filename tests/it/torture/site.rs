//! A place with mail, a database and a configuration; what was delivered there; and the seven invariants.
//!
//! - I1: every report and complaint is counted exactly once.
//! - I2: a message that is out of the inbox has its rows on the disk.
//! - I3: no message disappears from inbox and archive.
//! - I4: a poison message delays no other.
//! - I5: when the faults stop, one run puts everything where it belongs.
//! - I6: the database is whole at every point.
//! - I7: `summary` tells what was delivered.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use rusqlite::Connection;

use crate::support::dovecot::Dovecot;
use crate::support::run::{Place, Ran, report};

/// Lets every user in, so that each point gets a mailbox of its own.
pub const ANY_USER: &str = "passdb {\n  driver = static\n  args = nopassword=y\n}\n";

/// A mail in few bytes: `kind` and `body` as one part.
fn small(id: &str, kind: &str, body: &str) -> Vec<u8> {
    format!("From: d@r.example\r\nMessage-ID: <{id}@r>\r\nMIME-Version: 1.0\r\nContent-Type: {kind}\r\n{body}")
        .into_bytes()
}

/// A packed aggregate report with `messages` messages.
pub fn report_mail(id: &str, messages: u32) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(report(id, messages).as_bytes()).unwrap();
    let packed = STANDARD.encode(packer.finish().unwrap());
    let lines: Vec<&str> = packed.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let body = format!("Content-Transfer-Encoding: base64\r\n\r\n{}\r\n", lines.join("\r\n"));
    small(id, "application/gzip", &body)
}

/// A complaint about mail of ours.
pub fn complaint_mail(id: &str) -> Vec<u8> {
    let body = format!(
        "\r\n--B\r\nContent-Type: text/plain\r\n\r\nspam\r\n--B\r\nContent-Type: message/feedback-report\r\n\r\n\
         Feedback-Type: abuse\r\nUser-Agent: x/1\r\nVersion: 1\r\nArrival-Date: Wed, 20 Aug 2025 12:00:00 +0000\r\n\
         Original-Rcpt-To: {id}@dest.example\r\n\r\n--B\r\nContent-Type: message/rfc822\r\n\r\n\
         From: news@example.com\r\nMessage-ID: <o-{id}@example.com>\r\n\r\nbuy\r\n--B--\r\n"
    );
    small(id, "multipart/report; report-type=feedback-report; boundary=B", &body)
}

/// A letter, of no interest.
pub fn letter(id: &str) -> Vec<u8> {
    small(id, "text/plain", "\r\nNoon?\r\n")
}

/// A report that is cut short.
pub fn broken(id: &str) -> Vec<u8> {
    let whole = report(id, 1);
    small(id, "text/xml", &format!("\r\n{}", &whole[..whole.len() / 2]))
}

/// What a delivered message holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holds {
    /// The report of this id, with so many messages.
    Report(String, u32),
    /// The complaint whose original has this Message-ID.
    Complaint(String),
    /// Nothing of use: it stays where it is.
    Nothing,
}

/// One delivered message.
#[derive(Clone, Debug)]
pub struct Delivered {
    pub holds: Holds,
    pub bytes: Vec<u8>,
}

impl Delivered {
    pub fn report(id: &str, messages: u32) -> Delivered {
        Delivered { holds: Holds::Report(id.into(), messages), bytes: report_mail(id, messages) }
    }

    /// The same report in other bytes.
    pub fn other_copy(id: &str, messages: u32) -> Delivered {
        let bytes = [b"X-Copy: 1\r\n".to_vec(), report_mail(id, messages)].concat();
        Delivered { holds: Holds::Report(id.into(), messages), bytes }
    }

    pub fn complaint(id: &str) -> Delivered {
        Delivered { holds: Holds::Complaint(format!("o-{id}@example.com")), bytes: complaint_mail(id) }
    }

    pub fn nothing(bytes: Vec<u8>) -> Delivered {
        Delivered { holds: Holds::Nothing, bytes }
    }
}

/// A few messages of every sort.
pub fn mixture(tag: &str) -> Vec<Delivered> {
    let id = |name: &str| format!("{tag}{name}");
    vec![
        Delivered::report(&id("a"), 3),
        Delivered::nothing(letter(&id("l"))),
        Delivered::report(&id("b"), 5),
        Delivered::complaint(&id("c")),
        Delivered::report(&id("a"), 3),
        Delivered::nothing(broken(&id("x"))),
        Delivered::other_copy(&id("b"), 5),
        Delivered::report(&id("d"), 7),
    ]
}

/// Where the mail lies.
pub enum Mail<'a> {
    /// In the folder `mail` of the place.
    Files,
    /// In the INBOX of `user`; what is kept is moved to `Done`.
    Imap { server: &'a Dovecot, user: String },
}

/// One place.
pub struct Site<'a> {
    pub place: Place,
    pub mail: Mail<'a>,
    pub delivered: Vec<Delivered>,
    /// Messages that somebody else took away: they may be kept or not.
    pub taken_away: Vec<Vec<u8>>,
    /// Whether the server lets nothing be moved: what is kept stays in the inbox.
    pub stuck: bool,
}

impl<'a> Site<'a> {
    pub fn files() -> Site<'static> {
        let place = place();
        std::fs::create_dir(place.path("mail")).unwrap();
        Site { place, mail: Mail::Files, delivered: Vec::new(), taken_away: Vec::new(), stuck: false }
    }

    /// `more` are further lines of the account.
    pub fn imap(server: &'a Dovecot, user: &str, port: u16, more: &str) -> Site<'a> {
        let place = place();
        let config = format!(
            "own_domains = [\"example.com\"]\n[[account]]\nname = \"t\"\nhost = \"127.0.0.1\"\nport = {port}\n\
             tls = \"none\"\nuser = \"{user}\"\npassword_env = \"PW\"\nafter = \"move:Done\"\n{more}\n"
        );
        place.write("config.toml", config);
        server.create_folder(user, "INBOX");
        let mail = Mail::Imap { server, user: user.into() };
        Site { place, mail, delivered: Vec::new(), taken_away: Vec::new(), stuck: false }
    }

    pub fn deliver(&mut self, messages: Vec<Delivered>) {
        for message in messages {
            match &self.mail {
                Mail::Files => {
                    let name = format!("mail/{:05}.eml", self.delivered.len());
                    self.place.write(&name, &message.bytes);
                }
                Mail::Imap { server, user, .. } => server.deliver(user, "INBOX", &message.bytes),
            }
            self.delivered.push(message);
        }
    }

    /// The arguments of a run.
    pub fn arguments(&self) -> Vec<String> {
        let path = |name: &str| self.place.path(name).to_str().unwrap().to_owned();
        let mut arguments = vec!["--db".into(), path("db.sqlite")];
        match &self.mail {
            Mail::Files => arguments.extend(["ingest".into(), path("mail")]),
            Mail::Imap { .. } => arguments.extend(["--config".into(), path("config.toml"), "fetch".into()]),
        }
        arguments
    }

    /// A run, under `wrapper` where that is not empty.
    pub fn command(&self, wrapper: &[String]) -> Command {
        let mut words = wrapper.to_vec();
        words.push(binary());
        words.extend(self.arguments());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env_clear().env("PATH", "/usr/bin:/bin").env("PW", "x").env("TZ", "UTC");
        command.env("HOME", self.place.dir.path()).current_dir(self.place.dir.path());
        command.stdin(Stdio::null());
        command
    }

    pub fn run(&self) -> Ran {
        self.command(&[]).output().unwrap().into()
    }

    /// The status of a first run that is not disturbed: with files, that some cannot be read is told.
    pub fn clean_status(&self) -> i32 {
        let unreadable =
            self.delivered.iter().any(|message| String::from_utf8_lossy(&message.bytes).contains("<feedback>"));
        if unreadable && matches!(self.mail, Mail::Files) { 65 } else { 0 }
    }

    /// Takes away the short limits on waiting: a machine that is busy is no fault.
    pub fn be_patient(&self) {
        let path = self.place.path("config.toml");
        let Ok(config) = std::fs::read_to_string(&path) else { return };
        let patient = config.lines().filter(|line| !line.contains("_seconds")).collect::<Vec<_>>().join("\n");
        std::fs::write(path, patient).unwrap();
    }

    /// One run without faults, after which everything must be where it belongs.
    pub fn recover(&self) -> Vec<String> {
        self.be_patient();
        let ran = self.run();
        let mut wrong = self.check(true);
        // What an earlier run kept is a duplicate, and no problem is told twice.
        if ran.status != Some(self.clean_status()) && ran.status != Some(0) {
            wrong.push(format!("I5: the undisturbed run ended with {:?}: {}", ran.status, ran.stderr));
        }
        wrong
    }

    /// The invariants; `drained` after a run that nothing disturbed.
    pub fn check(&self, drained: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        let (inbox, archive) = self.folders();
        let kept = match Kept::read(&self.place.path("db.sqlite")) {
            Ok(kept) => kept,
            Err(why) => {
                wrong.push(format!("I6: {why}"));
                return wrong;
            }
        };
        self.check_rows(&kept, &mut wrong);
        let mut due: BTreeMap<&[u8], (usize, &Holds)> = BTreeMap::new();
        for message in &self.delivered {
            due.entry(&message.bytes).or_insert((0, &message.holds)).0 += 1;
        }
        for (bytes, (copies, holds)) in due {
            let name = String::from_utf8_lossy(bytes).lines().nth(1).unwrap_or_default().to_owned();
            let here = count(&inbox, bytes);
            let there = archive.as_ref().map_or(0, |archive| count(archive, bytes));
            let is_kept = kept.holds(holds);
            let taken = count(&self.taken_away, bytes);
            if here + there + taken < copies {
                wrong.push(format!("I3: {name}: {copies} delivered, {here} in the inbox and {there} in the archive"));
            }
            if archive.is_some() && here < copies.saturating_sub(taken) && !is_kept {
                wrong.push(format!("I2: {name} is out of the inbox without its rows"));
            }
            if drained && taken == 0 {
                if !is_kept {
                    wrong.push(format!("I5: {name} was not kept"));
                }
                let stays = if archive.is_none() || self.stuck || *holds == Holds::Nothing { copies } else { 0 };
                if here != stays {
                    wrong.push(format!("I5: {name}: {here} in the inbox instead of {stays}"));
                }
            }
        }
        if drained {
            self.check_drained(&kept, &mut wrong);
        }
        wrong
    }

    fn check_rows(&self, kept: &Kept, wrong: &mut Vec<String>) {
        for (id, (rows, messages, counted)) in &kept.reports {
            let known = |message: &&Delivered| matches!(&message.holds, Holds::Report(known, _) if known == id);
            let Some(Holds::Report(_, due)) = self.delivered.iter().find(known).map(|message| &message.holds) else {
                wrong.push(format!("I1: report {id} was never delivered"));
                continue;
            };
            let due = i64::from(*due);
            if (*rows, *messages, *counted) != (1, due, due) {
                wrong.push(format!(
                    "I1: report {id}: {rows} rows with {messages}, in records {counted}, delivered {due}"
                ));
            }
        }
        for (id, rows) in &kept.complaints {
            let known = |message: &Delivered| message.holds == Holds::Complaint(id.clone());
            if *rows != 1 || !self.delivered.iter().any(known) {
                wrong.push(format!("I1: complaint {id}: {rows} rows"));
            }
        }
    }

    fn check_drained(&self, kept: &Kept, wrong: &mut Vec<String>) {
        if kept.unsettled > 0 && !self.stuck {
            wrong.push(format!("I5: {} steps at the server are left", kept.unsettled));
        }
        if self.taken_away.is_empty() {
            let due =
                self.delivered.iter().filter(|message| message.bytes.windows(10).any(|part| part == b"<feedback>"));
            let due = due.map(|message| &message.bytes).collect::<std::collections::BTreeSet<_>>().len();
            if kept.problems != due {
                wrong.push(format!("I5: {} problems wait instead of {due}", kept.problems));
            }
        }
        let all =
            ["--db", "db.sqlite", "summary", "--since", "2000-01-01", "--until", "2090-01-01", "--format", "json"];
        let ran = Ran::from(self.place.command(&all[2..]).output().unwrap());
        if ran.status != Some(0) {
            wrong.push(format!("I7: summary ended with {:?}: {}", ran.status, ran.stderr));
            return;
        }
        let totals = &ran.json()["totals"];
        let messages: i64 = kept.reports.values().map(|(_, messages, _)| messages).sum();
        let told = (totals["messages"].as_i64(), totals["complaints"].as_u64());
        if told != (Some(messages), Some(kept.complaints.len() as u64)) {
            wrong.push(format!("I7: summary tells {totals}, not {messages} and {}", kept.complaints.len()));
        }
    }

    /// The messages in the inbox and, where there is one, the archive.
    fn folders(&self) -> (Vec<Vec<u8>>, Option<Vec<Vec<u8>>>) {
        let bytes = |server: &Dovecot, user: &str, folder: &str| -> Vec<Vec<u8>> {
            server.stored(user, folder).into_iter().map(|stored| stored.bytes).collect()
        };
        match &self.mail {
            Mail::Files => {
                let files = std::fs::read_dir(self.place.path("mail")).unwrap();
                (files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect(), None)
            }
            // In this order: what is moved in between is seen twice and not never.
            Mail::Imap { server, user, .. } => {
                let inbox = bytes(server, user, "INBOX");
                (inbox, Some(bytes(server, user, "Done")))
            }
        }
    }
}

fn count(messages: &[Vec<u8>], bytes: &[u8]) -> usize {
    messages.iter().filter(|message| *message == bytes).count()
}

/// The program under test: `DMARCDB_BINARY`, else the one that was built with the tests.
pub fn binary() -> String {
    std::env::var("DMARCDB_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_dmarcdb").into())
}

/// A folder in memory where there is one: a suite opens thousands.
pub fn place() -> Place {
    Place { dir: scratch() }
}

/// A temporary folder in memory.
pub fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let mut builder = tempfile::Builder::new();
    builder.prefix("dm");
    if memory.is_dir() { builder.tempdir_in(memory).unwrap() } else { builder.tempdir().unwrap() }
}

/// What is in a database.
#[derive(Debug, Default)]
pub struct Kept {
    /// By id: rows that count, the sum of their messages, and the same from their records.
    pub reports: BTreeMap<String, (i64, i64, i64)>,
    /// By Message-ID of the original: rows.
    pub complaints: BTreeMap<String, i64>,
    pub problems: usize,
    pub unsettled: usize,
}

impl Kept {
    /// Reads a copy, as a crash would have left it, so that nothing is put right by looking.
    pub fn read(path: &Path) -> Result<Kept, String> {
        let dir = scratch();
        let copy = dir.path().join("db.sqlite");
        if !path.exists() {
            return Ok(Kept::default());
        }
        std::fs::copy(path, &copy).map_err(|error| error.to_string())?;
        let wal = |path: &Path| PathBuf::from(format!("{}-wal", path.display()));
        let journal = |path: &Path| PathBuf::from(format!("{}-journal", path.display()));
        for beside in [wal, journal] {
            if beside(path).exists() {
                std::fs::copy(beside(path), beside(&copy)).map_err(|error| error.to_string())?;
            }
        }
        Self::read_copy(&copy).map_err(|error| error.to_string())?
    }

    fn read_copy(path: &Path) -> rusqlite::Result<Result<Kept, String>> {
        let db = Connection::open(path)?;
        let integrity: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        if integrity != "ok" {
            return Ok(Err(integrity));
        }
        let orphans: i64 = db.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))?;
        if orphans > 0 {
            return Ok(Err(format!("{orphans} rows without what they refer to")));
        }
        if !db.table_exists(None, "report")? {
            return Ok(Ok(Kept::default()));
        }
        if let Some(wrong) = dmarcdb::store::daily::differences(&db)?.pop() {
            return Ok(Err(wrong));
        }
        let mut kept = Kept::default();
        let mut reports = db.prepare(
            "SELECT report_id, count(*), sum(messages), \
             sum((SELECT coalesce(sum(c.messages), 0) FROM v_record c WHERE c.report = r.id)) \
             FROM v_report r GROUP BY report_id",
        )?;
        for row in reports.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?, row.get(3)?))))? {
            let (id, counts) = row?;
            kept.reports.insert(id, counts);
        }
        let mut complaints = db.prepare("SELECT coalesce(message_id, '?'), count(*) FROM v_complaint GROUP BY 1")?;
        for row in complaints.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
            let (id, rows) = row?;
            kept.complaints.insert(id, rows);
        }
        let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0));
        kept.problems = usize::try_from(number("SELECT count(*) FROM problem WHERE solved_at IS NULL")?).unwrap();
        // Under an older UIDVALIDITY, or on another server, there is nothing left to be done.
        let unsettled = number(
            "SELECT count(*) FROM place p JOIN mailbox m ON m.id = p.mailbox WHERE p.settled = 0 \
             AND m.id = (SELECT max(id) FROM mailbox)",
        )?;
        kept.unsettled = usize::try_from(unsettled).unwrap();
        Ok(Ok(kept))
    }

    /// Whether what a message holds is here.
    pub fn holds(&self, holds: &Holds) -> bool {
        match holds {
            Holds::Report(id, _) => self.reports.contains_key(id),
            Holds::Complaint(id) => self.complaints.contains_key(id),
            Holds::Nothing => true,
        }
    }
}
