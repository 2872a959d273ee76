//! Running the binary as a user does: in an empty folder, with nothing of the developer's environment.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tempfile::TempDir;

/// An empty folder with a database `db.sqlite` to be.
pub struct Place {
    pub dir: TempDir,
}

impl Place {
    pub fn new() -> Place {
        Place { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file and gives its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dmarcdb"));
        command.env_clear().env("HOME", self.dir.path()).env("TZ", "UTC").current_dir(self.dir.path());
        command.arg("--db").arg(self.path("db.sqlite")).args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::from(self.command(arguments).output().unwrap())
    }

    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let _ = child.stdin.take().unwrap().write_all(input);
        Ran::from(child.wait_with_output().unwrap())
    }

    /// The database, as anyone may open it.
    pub fn database(&self) -> Connection {
        open(&self.path("db.sqlite"))
    }
}

pub fn open(path: &Path) -> Connection {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

/// What a run of the binary gave.
#[derive(Debug)]
pub struct Ran {
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// Fails unless it ended with `status`.
    #[track_caller]
    pub fn expect(self, status: i32) -> Ran {
        assert_eq!(self.status, Some(status), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// An aggregate report of one record with `messages` messages, told apart by `id`.
pub fn report(id: &str, messages: u32) -> String {
    format!(
        "<?xml version=\"1.0\"?><feedback><version>1.0</version><report_metadata><org_name>receiver.example</org_name>\
         <email>dmarc@receiver.example</email><report_id>{id}</report_id><date_range><begin>1755648000</begin>\
         <end>1755734399</end></date_range></report_metadata><policy_published><domain>example.com</domain><adkim>r</adkim>\
         <aspf>r</aspf><p>none</p><sp>none</sp><pct>100</pct></policy_published><record><row><source_ip>192.0.2.1</source_ip>\
         <count>{messages}</count><policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>fail</spf>\
         </policy_evaluated></row><identifiers><header_from>example.com</header_from></identifiers><auth_results><dkim>\
         <domain>example.com</domain><selector>s1</selector><result>pass</result></dkim><spf><domain>example.com</domain>\
         <result>fail</result></spf></auth_results></record></feedback>"
    )
}

/// A mail that carries a report as plain XML.
pub fn mail(id: &str, messages: u32) -> String {
    format!(
        "From: dmarc@receiver.example\r\nTo: dmarc@example.com\r\nSubject: Report Domain: example.com Submitter: \
         receiver.example Report-ID: {id}\r\nMessage-ID: <{id}@receiver.example>\r\nDate: Thu, 21 Aug 2025 06:00:00 +0000\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/xml; name=\"{id}.xml\"\r\n\r\n{}\r\n",
        report(id, messages)
    )
}
