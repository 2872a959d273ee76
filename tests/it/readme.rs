//! The README's examples really run: in every fenced `console` block each `$ dmarcdb …` line ends well in a directory
//! that holds the samples, in the order of the page, and every line shown below it is one that it printed (`…` stands for
//! anything). `$ export NAME=VALUE …` counts for the lines after it. Blocks that need a server or root are fenced `sh`.

use std::fs;
use std::path::Path;
use std::process::Command;

/// One command line of the README.
#[derive(Debug, Default, PartialEq)]
struct Example {
    line: usize,
    command: String,
    /// 0, or what the comment `# exit status 65` behind the command says.
    status: i32,
    /// What the page shows below it.
    shown: Vec<String>,
}

/// The commands in fenced `console` blocks; a backslash at a line's end continues it.
fn examples(readme: &str) -> Vec<Example> {
    let (mut examples, mut inside) = (Vec::new(), false);
    let mut lines = readme.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            inside = !inside && language.trim() == "console";
        } else if !inside {
            continue;
        } else if let Some(command) = line.strip_prefix("$ ") {
            let mut command = command.to_owned();
            while command.ends_with('\\') {
                command.pop();
                command.push_str(lines.next().map_or("", |(_, more)| more.trim_start()));
            }
            let (command, comment) = command.split_once(" # exit status ").unwrap_or((&command, "0"));
            let status = comment.trim().parse().expect("a number behind `# exit status`");
            examples.push(Example { line: index + 1, command: command.trim().to_owned(), status, shown: Vec::new() });
        } else if let Some(example) = examples.last_mut() {
            example.shown.push(line.to_owned());
        }
    }
    examples
}

/// Whether a line of the page is the line printed: blanks count once, `…` stands for anything.
fn matches(shown: &str, printed: &str) -> bool {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (shown, printed) = (words(shown), words(printed));
    match shown.split_once('…') {
        None => shown == printed,
        Some((start, end)) => {
            printed.len() >= start.len() + end.len() && printed.starts_with(start) && printed.ends_with(end)
        }
    }
}

#[test]
fn every_example_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let examples = examples(&fs::read_to_string(root.join("README.md")).expect("README.md"));
    assert!(examples.len() >= 10, "only {} examples", examples.len());
    let dir = tempfile::tempdir().expect("a directory");
    std::os::unix::fs::symlink(root.join("samples"), dir.path().join("samples")).expect("a link");
    let mut variables: Vec<(String, String)> = Vec::new();
    let mut wrong = Vec::new();
    for example in examples {
        if let Some(assignments) = example.command.strip_prefix("export ") {
            let assignments = assignments.split_whitespace().filter_map(|one| one.split_once('='));
            variables.extend(assignments.map(|(name, value)| (name.to_owned(), value.to_owned())));
        } else if let Err(reason) = run(&example, dir.path(), &variables) {
            wrong.push(format!("README.md:{}: {}\n{reason}", example.line, example.command));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn run(example: &Example, dir: &Path, variables: &[(String, String)]) -> Result<(), String> {
    if !example.command.starts_with("dmarcdb ") {
        return Err("only dmarcdb may be run".to_owned());
    }
    let binaries = Path::new(env!("CARGO_BIN_EXE_dmarcdb")).parent().expect("a directory");
    let output = Command::new("sh")
        .args(["-c", &example.command])
        .env_clear()
        .env("HOME", dir)
        .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", binaries.display()))
        .envs(variables.iter().cloned())
        .current_dir(dir)
        .output()
        .expect("sh runs");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if output.status.code() != Some(example.status) {
        return Err(format!("ended with {}, expected {}:\n{printed}", output.status, example.status));
    }
    let missing = example.shown.iter().find(|shown| {
        let plain = shown.trim();
        !plain.is_empty() && plain != "…" && !printed.lines().any(|printed| matches(plain, printed))
    });
    missing.map_or(Ok(()), |missing| Err(format!("the page shows\n  {missing}\nbut it printed\n{printed}")))
}

#[test]
fn examples_are_found() {
    let page = "$ not this\n```console\n$ dmarcdb a \\\n    --b\noutput\n…\n$ dmarcdb c # exit status 65\n```\nno output\n```sh\n$ dmarcdb d\n```\n";
    let shown = vec!["output".to_owned(), "…".to_owned()];
    let expected = [
        Example { line: 3, command: "dmarcdb a --b".to_owned(), status: 0, shown },
        Example { line: 7, command: "dmarcdb c".to_owned(), status: 65, shown: Vec::new() },
    ];
    assert_eq!(examples(page), expected);
}

#[test]
fn lines_match_as_a_reader_would_say() {
    for (shown, printed, expected) in [
        ("a  b", "a b", true),
        ("a b", "a c", false),
        ("3 messages in …", "3 messages in 0.1 s", true),
        ("a … z", "a b c z", true),
        ("a … z", "a b c y", false),
        ("ab…bc", "abc", false),
    ] {
        assert_eq!(matches(shown, printed), expected, "{shown} / {printed}");
    }
}
