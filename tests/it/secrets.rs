//! No secret where somebody else could see it: command lines and environments of what we start, output, the database.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::dovecot::Dovecot;
use crate::support::run::{Place, Ran, mail};

/// Files below `folder` that hold any of `secrets`.
fn holding(folder: &Path, secrets: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, secrets));
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let has = |secret: &&str| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        if secrets.iter().any(has) {
            found.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    found
}

#[test]
fn a_running_password_command_sees_no_secret_and_none_is_left_behind() {
    let server = Dovecot::start();
    server.deliver("alice", "INBOX", mail("one", 1).as_bytes());
    let place = Place::new();
    let secrets = ["alice-pw", "hunter-of-bob", "hunter-client"];
    let account = |name: &str, more: &str| {
        format!(
            "[[account]]\nname = \"{name}\"\nhost = \"localhost\"\nport = {}\nca_file = {:?}\nuser = \"{name}\"\n{more}\n",
            server.imaps,
            server.ca_file()
        )
    };
    // Says who it is, and waits until it has been looked at.
    let command = "echo $$ > pid.tmp; mv pid.tmp pid; while [ ! -e go ]; do sleep 0.05; done; cat secret.txt";
    place.write("secret.txt", "alice-pw\n");
    let config = place.write(
        "config.toml",
        [
            account("alice", &format!("password_command = \"cd {}; {command}\"", place.dir.path().display())),
            account("bob", "password_env = \"BOB_PW\""),
            account(
                "carol",
                "auth = \"xoauth2\"\n[account.oauth]\nclient_id = \"i\"\ntoken_url = \"http://127.0.0.1:1/\"\n\
                 client_secret_env = \"CLIENT\"",
            ),
        ]
        .concat(),
    );
    let mut command = place.command(&["--config", config.to_str().unwrap(), "-v", "fetch"]);
    command.env("PATH", "/usr/bin:/bin").env("BOB_PW", "hunter-of-bob").env("CLIENT", "hunter-client");
    command.env("KEPT", "visible");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    let pid = place.path("pid");
    while !pid.exists() {
        assert!(Instant::now() < until, "the command does not start");
        sleep(Duration::from_millis(10));
    }
    let shell = fs::read_to_string(&pid).unwrap();
    let environment = fs::read_to_string(format!("/proc/{}/environ", shell.trim())).unwrap();
    assert!(environment.contains("KEPT=visible"), "the environment is that of the command: {environment}");
    let ours = fs::read_to_string(format!("/proc/{}/cmdline", child.id())).unwrap();
    let theirs = fs::read_to_string(format!("/proc/{}/cmdline", shell.trim())).unwrap();
    let core = fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    for secret in secrets {
        assert!(!environment.contains(secret), "{environment}");
        assert!(!ours.contains(secret) && !theirs.contains(secret), "{ours} {theirs}");
    }
    let core = core.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    place.write("go", "");
    let ran = Ran::from(child.wait_with_output().unwrap());
    // Bob's password is wrong and Carol has not logged in; Alice's mail is there.
    let ran = ran.expect(77);
    for secret in secrets {
        assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{ran:?}");
    }
    let reports: i64 = place.database().query_row("SELECT count(*) FROM v_report", [], |row| row.get(0)).unwrap();
    assert_eq!(reports, 1);
    assert_eq!(holding(place.dir.path(), &secrets), ["secret.txt"]);
}

#[test]
fn a_credential_of_systemd_is_a_password() {
    let server = Dovecot::start();
    server.deliver("alice", "INBOX", mail("one", 1).as_bytes());
    let place = Place::new();
    let config = place.write(
        "config.toml",
        format!(
            "[[account]]\nname = \"a\"\nhost = \"localhost\"\nport = {}\nca_file = {:?}\nuser = \"alice\"\n\
             password_credential = \"imap\"\n",
            server.imaps,
            server.ca_file()
        ),
    );
    let fetch = |folder: Option<&Path>| {
        let mut command = place.command(&["--config", config.to_str().unwrap(), "fetch"]);
        if let Some(folder) = folder {
            command.env("CREDENTIALS_DIRECTORY", folder);
        }
        Ran::from(command.output().unwrap())
    };
    let ran = fetch(None).expect(78);
    assert!(ran.stderr.contains("$CREDENTIALS_DIRECTORY is not set"), "{}", ran.stderr);
    let folder = place.path("credentials");
    fs::create_dir(&folder).unwrap();
    let ran = fetch(Some(&folder)).expect(78);
    assert!(ran.stderr.contains("credentials/imap: No such file"), "{}", ran.stderr);
    fs::write(folder.join("imap"), "alice-pw\n").unwrap();
    // With an access list, as systemd sets one, the mode looks as if the group could read it.
    fs::set_permissions(folder.join("imap"), fs::Permissions::from_mode(0o440)).unwrap();
    fetch(Some(&folder)).expect(0);
}
