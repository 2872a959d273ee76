//! The README's examples really run: in every fenced `console` block each `$ dmarcdb …` line ends well in a directory
//! that holds the samples, in the order of the page; `$ export NAME=VALUE …` lines count for those after them. Blocks that need a server or a root shell are fenced `sh`.

use std::fs;
use std::path::Path;
use std::process::Command;

/// One command line of the README.
struct Example {
    line: usize,
    command: String,
    /// 0, or what the comment `# exit status 65` behind the command says.
    status: i32,
}

/// The commands in fenced `console` blocks; a backslash at a line's end continues it.
fn examples(readme: &str) -> Vec<Example> {
    let (mut examples, mut inside) = (Vec::new(), false);
    let mut lines = readme.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            inside = !inside && language.trim() == "console";
            continue;
        }
        let Some(command) = line.strip_prefix("$ ").filter(|_| inside) else {
            continue;
        };
        let mut command = command.to_owned();
        while command.ends_with('\\') {
            command.pop();
            command.push_str(lines.next().map_or("", |(_, more)| more.trim_start()));
        }
        let (command, comment) = command
            .split_once(" # exit status ")
            .unwrap_or((&command, "0"));
        let status = comment
            .trim()
            .parse()
            .expect("a number behind `# exit status`");
        examples.push(Example {
            line: index + 1,
            command: command.trim().to_owned(),
            status,
        });
    }
    examples
}

#[test]
fn every_example_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let examples = examples(&fs::read_to_string(root.join("README.md")).expect("README.md"));
    assert!(examples.len() >= 10, "only {} examples", examples.len());
    let binaries = Path::new(env!("CARGO_BIN_EXE_dmarcdb"))
        .parent()
        .expect("a directory");
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", binaries.display());
    let dir = tempfile::tempdir().expect("a directory");
    std::os::unix::fs::symlink(root.join("samples"), dir.path().join("samples")).expect("a link");
    let mut wrong = Vec::new();
    for Example {
        line,
        command,
        status,
    } in examples
    {
        assert!(
            command.starts_with("dmarcdb "),
            "README.md:{line}: only dmarcdb may be run: {command}"
        );
        let output = Command::new("sh")
            .args(["-c", &command])
            .env_clear()
            .env("HOME", dir.path())
            .env("PATH", &path)
            .current_dir(dir.path())
            .output()
            .expect("sh runs");
        if output.status.code() != Some(status) {
            let stderr = String::from_utf8_lossy(&output.stderr);
            wrong.push(format!(
                "README.md:{line}: {command}\nended with {}, expected {status}: {stderr}",
                output.status
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn examples_are_found() {
    let page = "$ not this\n```console\n$ dmarcdb a \\\n    --b\noutput\n$ dmarcdb c # exit status 65\n```\n```sh\n$ dmarcdb d\n```\n";
    let found: Vec<(usize, String, i32)> = examples(page)
        .into_iter()
        .map(|example| (example.line, example.command, example.status))
        .collect();
    assert_eq!(
        found,
        [
            (3, "dmarcdb a --b".to_owned(), 0),
            (6, "dmarcdb c".to_owned(), 65)
        ]
    );
}
