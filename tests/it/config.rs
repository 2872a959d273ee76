//! `dmarcdb config`, through the binary.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::dovecot::Dovecot;

/// Runs `dmarcdb config ARGS` with `home` as the home directory and nothing else around it.
fn config(home: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dmarcdb"));
    command.env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin").arg("config").args(args);
    command.output().expect("the binary runs")
}

#[track_caller]
fn expect(output: &Output, status: i32, stdout: &str, stderr: &str) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let found = (output.status.code(), text(&output.stdout), text(&output.stderr));
    assert_eq!(found, (Some(status), stdout.to_owned(), stderr.to_owned()));
}

#[test]
fn init_writes_a_file_for_nobody_else_and_never_over_one() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(".config/dmarcdb/config.toml");
    let shown = format!("{}\n", path.display());
    let hint = "dmarcdb: edit it, then run `dmarcdb config check --connect`\n";
    expect(&config(home.path(), &["init"]), 0, &shown, hint);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    expect(&config(home.path(), &["path"]), 0, &shown, "");
    let good = format!("{}: no mistakes, no account\n", path.display());
    expect(&config(home.path(), &["check"]), 0, &good, "");

    fs::write(&path, "# mine\n").unwrap();
    let there = format!("dmarcdb: {}: is already there and stays as it is\n", path.display());
    expect(&config(home.path(), &["init"]), 73, "", &there);
    assert_eq!(fs::read_to_string(&path).unwrap(), "# mine\n");

    let other = home.path().join("other.toml");
    let other_text = other.to_str().unwrap();
    expect(&config(home.path(), &["init", "-q", "--path", other_text]), 0, &format!("{other_text}\n"), "");
    expect(&config(home.path(), &["path", "--config", other_text]), 0, &format!("{other_text}\n"), "");
}

#[test]
fn check_names_every_mistake() {
    let home = tempfile::tempdir().unwrap();
    let output = config(home.path(), &["check"]);
    assert_eq!(output.status.code(), Some(78));
    let path = home.path().join("bad.toml");
    let shown = path.to_str().unwrap();
    let missing =
        format!("dmarcdb: {shown}: No such file or directory (os error 2); `dmarcdb config init` writes one\n");
    for action in ["check", "path"] {
        expect(&config(home.path(), &["--config", shown, action]), 78, "", &missing);
    }
    fs::write(&path, "own_domains = [\"x\\u001by\"]\ndp = 1\n").unwrap();
    let mistakes = format!(
        "dmarcdb: {shown}:1: `own_domains`: must not hold control characters\n\
         dmarcdb: {shown}:2: unknown key `dp`; did you mean `db`?\n"
    );
    expect(&config(home.path(), &["--config", shown, "check"]), 78, "", &mistakes);
}

#[test]
fn what_the_documents_show_is_understood() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("config.toml");
    let mut blocks = 0;
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).unwrap() {
        let file = entry.unwrap().path();
        let text = fs::read_to_string(&file).unwrap();
        for block in text.split("```toml\n").skip(1) {
            let block = block.split("```").next().unwrap();
            // Indented as part of a list; a section of an account stands alone.
            let lines: String = block.lines().map(|line| format!("{}\n", line.trim_start())).collect();
            let account = "[[account]]\nname = \"a\"\nhost = \"h.example\"\nuser = \"u\"\nauth = \"xoauth2\"\n";
            let whole = if lines.contains("[[account]]") { lines } else { format!("{account}{lines}") };
            fs::write(&path, &whole).unwrap();
            let output = config(home.path(), &["check", "--config", path.to_str().unwrap()]);
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(0), "{}: {told}\n{whole}", file.display());
            blocks += 1;
        }
    }
    assert!(blocks >= 6, "{blocks}");
}

#[test]
fn check_connects() {
    let server = Dovecot::start();
    server.create_folder("alice", "Reports/2026");
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("config.toml");
    let check = |account: &str| {
        let ca_file = server.ca_file();
        let text = format!(
            "[[account]]\nname = \"reports\"\nhost = \"localhost\"\nport = {}\nca_file = {ca_file:?}\n\
             user = \"alice\"\n{account}",
            server.imaps
        );
        fs::write(&path, text).unwrap();
        config(home.path(), &["check", "--connect", "--config", path.to_str().unwrap()])
    };
    let good = format!(
        "{}: no mistakes, 1 account\naccount `reports`: logged in; its folders:\n  INBOX\n  Reports/2026\n",
        path.display()
    );
    let command = "password_command = \"echo alice-pw\"\n";
    expect(&check(&format!("{command}folders = [\"inbox\", \"Reports/2026\"]\n")), 0, &good, "");
    let missing = "dmarcdb: account `reports`: there is no folder `Missing`\n";
    expect(&check(&format!("{command}folders = [\"Missing\"]\n")), 78, &good, missing);
    let output = check("password_command = \"echo sesame\"\n");
    assert_eq!(output.status.code(), Some(77));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("login as `alice`") && !said.contains("sesame"), "{said}");
    assert_eq!(check("password_command = \"false\"\n").status.code(), Some(78));
}
