//! Where a password or another secret is, and how to get it: never in the configuration itself, never on a command line
//! of ours, never in the environment of what we start.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::reader::{Reader, Section};
use crate::source::Stop;
use crate::source::imap::Secret;

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    /// The first line that this command prints, run by `sh -c`.
    Command(String),
    /// The first line of this file, which nobody else may read.
    File(PathBuf),
    /// The value of this environment variable.
    Env(String),
    /// The first line of this file in the folder of credentials that systemd gives a service (`LoadCredential=`).
    Credential(String),
}

/// What reading a secret depends on.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// Environment variables that hold secrets, which a command must not see.
    pub hidden: &'a [String],
    /// Ends the wait for a command.
    pub stop: &'a Stop,
}

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of a password, at most.
const LENGTH: u64 = 64 << 10;

impl Password {
    /// The one source that is named by the keys `what_command`, `what_file`, `what_env` and `what_credential`.
    pub(super) fn take(reader: &mut Reader<'_>, section: &Section<'_>, what: &str) -> Option<Password> {
        let [command, file, env, credential] = KINDS.map(|kind| format!("{what}_{kind}"));
        let named: Vec<&str> = [&command, &file, &env, &credential]
            .into_iter()
            .map(String::as_str)
            .filter(|key| section.has(key))
            .collect();
        if let [_, _, ..] = named[..] {
            let last = named.iter().map(|key| section.at(key)).max_by_key(|at| at.start);
            let text = format!("more than one source of the {}: {}", what.replace('_', " "), named.join(", "));
            reader.mistake(last.unwrap_or(0..0), text);
        }
        let path = reader.path(section, &file);
        if let Some(path) = &path
            && let Some(text) = others_may_read(path)
        {
            reader.wrong(section.at(&file), &file, text);
        }
        let name = reader.text(section, &credential);
        if let Some(name) = &name
            && (name.contains('/') || name.starts_with('.'))
        {
            reader.wrong(section.at(&credential), &credential, "is the name of a credential, not a path");
        }
        let command = reader.text(section, &command).map(Password::Command);
        let env = reader.text(section, &env).map(Password::Env);
        command.or(path.map(Password::File)).or(env).or(name.map(Password::Credential))
    }

    /// Whether any source is named, right or wrong.
    pub(super) fn is_named(section: &Section<'_>, what: &str) -> bool {
        KINDS.iter().any(|kind| section.has(&format!("{what}_{kind}")))
    }

    /// The environment variable that holds it, if one does.
    pub fn variable(&self) -> Option<&str> {
        match self {
            Password::Env(name) => Some(name),
            _ => None,
        }
    }

    /// The secret; `what` is what its keys begin with.
    ///
    /// # Errors
    /// Text for people, with the key it is about; nothing of what was read.
    pub fn read(&self, what: &str, how: Reading<'_>) -> Result<Secret, String> {
        let (kind, line) = match self {
            Password::Command(command) => ("command", run(command, PATIENCE, how)),
            Password::File(path) => ("file", read_file(path)),
            Password::Env(name) => ("env", read_env(name)),
            Password::Credential(name) => ("credential", read_credential(name)),
        };
        match line {
            Ok(secret) if secret.expose().is_empty() => Err(format!("`{what}_{kind}`: it is empty")),
            Ok(secret) => Ok(secret),
            Err(reason) => Err(format!("`{what}_{kind}`: {reason}")),
        }
    }
}

const KINDS: [&str; 4] = ["command", "file", "env", "credential"];

/// What is wrong with the file's permissions, if it is there and anything is.
fn others_may_read(path: &Path) -> Option<String> {
    let mode = fs::metadata(path).ok()?.permissions().mode();
    (mode & 0o077 != 0).then(|| {
        let path = path.display();
        format!("others may read or write {path} (mode {:03o}): chmod 600 {path}", mode & 0o777)
    })
}

fn read_file(path: &Path) -> Result<Secret, String> {
    if let Some(reason) = others_may_read(path) {
        return Err(reason);
    }
    let problem = |error: io::Error| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(problem)?;
    first_line(&mut BufReader::new(file.take(LENGTH))).map_err(problem)
}

/// systemd decides who may read it, by access lists too, so that the mode says little.
fn read_credential(name: &str) -> Result<Secret, String> {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY")
        .ok_or("$CREDENTIALS_DIRECTORY is not set: only a service that systemd starts has credentials")?;
    let path = Path::new(&folder).join(name);
    let problem = |error: io::Error| format!("{}: {error}", path.display());
    let file = File::open(&path).map_err(problem)?;
    first_line(&mut BufReader::new(file.take(LENGTH))).map_err(problem)
}

fn read_env(name: &str) -> Result<Secret, String> {
    match std::env::var(name) {
        Ok(value) => Ok(Secret::new(value)),
        Err(std::env::VarError::NotPresent) => Err(format!("${name} is not set")),
        Err(std::env::VarError::NotUnicode(_)) => Err(format!("${name} is not UTF-8")),
    }
}

/// The first line without its end.
fn first_line(lines: &mut impl BufRead) -> io::Result<Secret> {
    let mut line = String::new();
    lines.read_line(&mut line)?;
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    Ok(Secret::new(line))
}

/// Runs `command` and takes the first line that it prints. What it says on standard error goes to ours.
fn run(command: &str, patience: Duration, how: Reading<'_>) -> Result<Secret, String> {
    let until = Instant::now() + patience;
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).stdin(Stdio::null()).stdout(Stdio::piped());
    // With a group of its own all that it starts can be killed; but on a terminal it may have to ask for something,
    // which only the foreground group can.
    for name in how.hidden {
        shell.env_remove(name);
    }
    // What it says to systemd would count as ours.
    shell.env_remove("NOTIFY_SOCKET");
    let group = !io::stdin().is_terminal();
    if group {
        shell.process_group(0);
    }
    let mut child = shell.spawn().map_err(|error| format!("sh: {error}"))?;
    let (send, receive) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        let thread = thread::Builder::new().spawn(move || {
            let _ = send.send(read_output(stdout));
        });
        if let Err(error) = thread {
            kill(&mut child, group);
            return Err(format!("no thread to be had: {error}"));
        }
    }
    let status = match wait(&mut child, until, how.stop) {
        Ok(Some(status)) => status,
        Ok(None) => {
            kill(&mut child, group);
            if how.stop.is_set() {
                return Err("stopped by a signal".into());
            }
            return Err(format!("the command took longer than {} s", patience.as_secs()));
        }
        Err(error) => {
            kill(&mut child, group);
            return Err(error.to_string());
        }
    };
    if !status.success() {
        return Err(format!("the command failed: {status}"));
    }
    match receive.recv_timeout(Duration::from_secs(1)) {
        Ok(Ok(secret)) => Ok(secret),
        Ok(Err(error)) => Err(format!("the command's output: {error}")),
        Err(_) => Err("the command printed no line".into()),
    }
}

/// Reads the first line; the rest is read away when that is known, so that the command need not fail on a closed pipe.
fn read_output(stdout: ChildStdout) -> io::Result<Secret> {
    let mut lines = BufReader::new(stdout.take(LENGTH));
    let secret = first_line(&mut lines);
    // Without a thread for it the command meets a closed pipe, which its exit status may tell.
    let rest = thread::Builder::new();
    drop(rest.spawn(move || io::copy(&mut lines.into_inner().into_inner(), &mut io::sink())));
    secret
}

fn wait(child: &mut Child, until: Instant, stop: &Stop) -> io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= until || stop.is_set() {
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn kill(child: &mut Child, group: bool) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid.filter(|_| group) {
        let _ = kill_process_group(pid, Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads in this process's surroundings.
    fn read(password: &Password) -> Result<Secret, String> {
        password.read("password", Reading { hidden: &["HOME".to_owned()], stop: &Stop::default() })
    }

    #[test]
    fn the_first_line_counts() {
        let check = |command: &str, expected: &str| {
            let secret = read(&Password::Command(command.into())).expect(command);
            assert_eq!(secret.expose(), expected, "{command}");
        };
        check("echo hunter2", "hunter2");
        check("printf 'pa ss\"\\\\wörd \\r\\nsecond\\n'", "pa ss\"\\wörd ");
        check("printf hunter2", "hunter2");
        check("echo hunter2; yes | head -c 1000000", "hunter2");
        check("echo hunter2; sleep 30 &", "hunter2");
        check("echo hunter2$HOME", "hunter2");
    }

    #[test]
    fn a_command_that_fails_says_why_and_nothing_else() {
        let check = |command: &str, words: &str| {
            let error = read(&Password::Command(command.into())).expect_err(command);
            assert!(error.contains(words), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        };
        check("echo hunter2; exit 3", "exit status: 3");
        check("true", "empty");
        check("echo; echo hunter2", "empty");
        check("printf 'hunter2\\377\\n'", "UTF-8");
    }

    #[test]
    fn a_command_that_hangs_is_killed_with_all_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let started = Instant::now();
        let command = format!("(sleep 1; touch {}) & sleep 30", mark.display());
        let stop = Stop::default();
        let how = Reading { hidden: &[], stop: &stop };
        let error = run(&command, Duration::from_millis(200), how).unwrap_err();
        assert!(error.contains("took longer"), "{error}");
        stop.set();
        let error = run("sleep 30", Duration::from_secs(30), how).unwrap_err();
        assert!(error.contains("stopped"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(5));
        if !io::stdin().is_terminal() {
            thread::sleep(Duration::from_millis(1300));
            assert!(!mark.exists());
        }
    }

    #[test]
    fn files_and_variables() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let file = Password::File(path.clone());
        let read_file = || read(&file);
        assert!(read_file().unwrap_err().contains("secret: No such file"));
        fs::write(&path, "hunter2\r\nrest").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read_file().unwrap_err().contains("mode 644"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read_file().unwrap().expose(), "hunter2");
        let error = read(&Password::Env("DMARCDB_NO_SUCH_VARIABLE".into())).unwrap_err();
        assert!(error.contains("$DMARCDB_NO_SUCH_VARIABLE is not set"), "{error}");
        assert!(!read(&Password::Env("PATH".into())).unwrap().expose().is_empty());
    }
}
