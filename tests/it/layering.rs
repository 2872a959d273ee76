//! The table at the top of `src/lib.rs` as code: which room may name which, what a pure room may not touch, and where
//! SQL may stand. Reads `src/` to hold it; modules under `#[cfg(test)]` are exempt. Change the table on purpose, in a
//! commit of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A room and the rooms it may name, besides those everybody may.
const MAY_NAME: [(&str, &[&str]); 21] = [
    ("limits", &[]),
    ("number", &[]),
    ("problem", &[]),
    ("config", &["source", "suppress"]),
    ("source", &[]),
    ("oauth", &["source"]),
    ("mail", &[]),
    ("unpack", &["mail"]),
    ("report", &["mail"]),
    ("reading", &["mail", "unpack", "report"]),
    ("suppress", &["report", "query"]),
    ("store", &["report", "reading", "source", "suppress"]),
    ("ingest", &["source", "reading", "store"]),
    ("query", &["store", "providers"]),
    ("providers", &[]),
    ("classify", &["report", "query", "providers"]),
    ("review", &["classify", "query", "report", "providers"]),
    ("checks", &["providers"]),
    ("dns", &["checks"]),
    ("enrich", &["checks", "dns", "providers", "query", "store"]),
    ("render", &["query"]),
];

/// Knows every room, and no room knows it.
const TOP: &str = "cli";

/// Plain data that every room may name.
const EVERYBODY: [&str; 3] = ["limits", "number", "problem"];

/// Rooms without file, socket, clock, environment, process, printing or SQL.
const PURE: [&str; 11] = [
    "limits",
    "number",
    "problem",
    "mail",
    "unpack",
    "report",
    "reading",
    "suppress",
    "providers",
    "classify",
    "checks",
];

/// What a pure room may not name: paths and all below them.
const IMPURE: [&str; 20] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::os",
    "std::time::SystemTime",
    "std::time::Instant",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "chrono::Utc::now",
    "chrono::Local",
    "rusqlite",
    "rustls",
    "imap",
    "clap",
    "hickory_resolver",
    "mail_auth",
    "tokio",
    "maxminddb",
];

/// Values, not sockets.
const ADDRESSES: [&str; 4] =
    ["std::net::IpAddr", "std::net::Ipv4Addr", "std::net::Ipv6Addr", "std::net::AddrParseError"];

/// Macros that print.
const PRINTING: [&str; 5] = ["print", "println", "eprint", "eprintln", "dbg"];

/// Crates that belong to rooms.
const ONLY_IN: [(&str, &[&str]); 9] = [
    ("rusqlite", &["store", "query"]),
    ("clap", &["cli"]),
    ("imap", &["source"]),
    ("rustls", &["source", "oauth"]),
    ("ureq", &["oauth"]),
    ("hickory_resolver", &["dns"]),
    ("tokio", &["dns"]),
    ("mail_auth", &["dns"]),
    ("maxminddb", &["enrich"]),
];

#[test]
fn every_room_keeps_to_the_table() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&src, &mut files);
    files.sort();
    assert!(files.len() > 20, "only {} files under src", files.len());
    let sources: Vec<(String, String)> = files
        .iter()
        .map(|path| {
            let name = path.strip_prefix(&src).expect("below src").to_string_lossy().into_owned();
            (name, fs::read_to_string(path).expect("a source file"))
        })
        .collect();
    let violations = check(&sources);
    assert!(violations.is_empty(), "{} violations:\n{}", violations.len(), violations.join("\n"));
}

#[test]
fn the_crate_root_shows_the_same_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let root = fs::read_to_string(root).expect("src/lib.rs");
    let mut rooms = BTreeSet::new();
    for line in root.lines().filter_map(|line| line.strip_prefix("//! | `")) {
        let cells: Vec<&str> = line.split('|').collect();
        let room = cells[0].trim().trim_end_matches('`');
        let Some((_, allowed)) = MAY_NAME.iter().find(|(name, _)| *name == room) else {
            assert_eq!(room, TOP, "a room in src/lib.rs that is not in this table");
            continue;
        };
        let named: Vec<&str> = cells[2].split('`').skip(1).step_by(2).collect();
        assert_eq!(named, *allowed, "what `{room}` may know");
        rooms.insert(room.to_owned());
    }
    let undrawn = ["limits", "number", "problem", "config"];
    let missing = MAY_NAME.iter().filter(|(name, _)| !rooms.contains(*name) && !undrawn.contains(name));
    assert_eq!(missing.map(|(name, _)| *name).collect::<Vec<_>>(), Vec::<&str>::new(), "rooms that src/lib.rs lacks");
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Every violation in these files, given as (path below `src`, text).
fn check(sources: &[(String, String)]) -> Vec<String> {
    let read: Vec<(&str, Vec<Token>, BTreeSet<String>)> = sources
        .iter()
        .map(|(path, text)| {
            let (tokens, test_modules) = without_tests(tokens(text));
            (path.as_str(), tokens, test_modules)
        })
        .collect();
    let exempt: BTreeSet<String> = read
        .iter()
        .flat_map(|(path, _, modules)| modules.iter().map(move |module| join(&module_of(path), module)))
        .collect();
    let mut violations = Vec::new();
    for (path, tokens, _) in &read {
        let module = module_of(path);
        let in_tests = exempt.iter().any(|tests| module == *tests || module.starts_with(&format!("{tests}::")));
        if !in_tests {
            check_file(path, &module, tokens, &mut violations);
        }
    }
    violations
}

fn check_file(path: &str, module: &str, tokens: &[Token], violations: &mut Vec<String>) {
    let room = module.split("::").next().unwrap_or_default();
    let mut report = |line: usize, what: String| violations.push(format!("src/{path}:{line}: {what}"));
    if room.is_empty() {
        return check_root(path, tokens, &mut report);
    }
    if room != TOP && !MAY_NAME.iter().any(|(name, _)| *name == room) {
        return report(1, format!("room `{room}` is not in the table"));
    }
    for (named, line) in paths(tokens, module) {
        if let Some(what) = wrong_path(room, &named) {
            report(line, what);
        }
    }
    for (index, token) in tokens.iter().enumerate() {
        match &token.kind {
            Kind::Word(word) if PURE.contains(&room) && is_printing(tokens, index) => {
                report(token.line, format!("`{room}` is pure and prints with `{word}!`"));
            }
            Kind::Text(text) if !["store", "query"].contains(&room) && is_sql(text) => {
                report(token.line, format!("SQL outside store and query: {}", text.lines().next().unwrap_or_default()));
            }
            _ => {}
        }
    }
}

/// Whether the call of a printing macro begins at `index`.
fn is_printing(tokens: &[Token], index: usize) -> bool {
    PRINTING.iter().any(|name| tokens[index].is_word(name))
        && tokens.get(index + 1).is_some_and(|next| next.kind == Kind::Mark('!'))
}

/// `lib.rs` only declares the rooms; `main.rs` names nothing but the command line.
fn check_root(path: &str, tokens: &[Token], report: &mut impl FnMut(usize, String)) {
    for (named, line) in paths(tokens, "") {
        let mut parts = named.split("::");
        let room = match parts.next() {
            Some("crate" | "dmarcdb") => parts.next().unwrap_or_default(),
            _ => continue,
        };
        if room != TOP {
            report(line, format!("{path} names `{room}`"));
        }
    }
}

fn wrong_path(room: &str, named: &str) -> Option<String> {
    let below = |prefix: &str| named == prefix || named.strip_prefix(prefix).is_some_and(|rest| rest.starts_with("::"));
    if let Some(inner) = named.strip_prefix("crate::") {
        let other = inner.split("::").next().unwrap_or_default();
        let known = other == TOP || MAY_NAME.iter().any(|(name, _)| *name == other);
        let allowed = MAY_NAME.iter().find(|(name, _)| *name == room).map_or(&[][..], |(_, allowed)| allowed);
        let may = !known || room == TOP || other == room || EVERYBODY.contains(&other) || allowed.contains(&other);
        return (!may).then(|| format!("`{room}` may not name `{other}` (`{named}`)"));
    }
    for (name, rooms) in ONLY_IN {
        if below(name) && !rooms.contains(&room) {
            return Some(format!("`{room}` may not name the crate `{name}` (`{named}`)"));
        }
    }
    let impure = IMPURE.iter().any(|prefix| below(prefix)) && !ADDRESSES.iter().any(|address| below(address));
    (impure && PURE.contains(&room)).then(|| format!("`{room}` is pure and may not name `{named}`"))
}

/// Whether a string literal is a statement. Upper case, as ours is written; IMAP's SELECT has no FROM.
fn is_sql(text: &str) -> bool {
    const STATEMENTS: [(&str, &str); 14] = [
        ("SELECT ", " FROM "),
        ("SELECT ", "("),
        ("INSERT ", "INTO "),
        ("UPDATE ", " SET "),
        ("DELETE FROM ", ""),
        ("WITH ", " AS ("),
        ("CREATE TABLE", ""),
        ("CREATE VIEW", ""),
        ("CREATE INDEX", ""),
        ("CREATE UNIQUE INDEX", ""),
        ("CREATE TRIGGER", ""),
        ("DROP ", ""),
        ("ALTER TABLE", ""),
        ("PRAGMA ", ""),
    ];
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ") + " ";
    STATEMENTS.iter().any(|(start, inside)| words.starts_with(start) && words.contains(inside))
}

// ---------------------------------------------------------------- paths

/// `report/aggregate/mod.rs` -> `report::aggregate`; the roots have the empty name.
fn module_of(path: &str) -> String {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == "lib" || path == "main" { String::new() } else { path.replace('/', "::") }
}

fn join(module: &str, name: &str) -> String {
    if module.is_empty() { name.to_owned() } else { format!("{module}::{name}") }
}

/// Every path named in a module, in full, with its line: from `use` declarations, and in the code with the names that
/// these brought in spelled out.
fn paths(tokens: &[Token], module: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut aliases: BTreeMap<String, String> = BTreeMap::new();
    let mut rest = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        if tokens[index].is_word("use") {
            index += 1;
            let mut names = Vec::new();
            use_tree(tokens, &mut index, String::new(), &mut names);
            for (path, alias, line) in names {
                let full = absolute(&path, module);
                aliases.insert(alias, full.clone());
                found.push((full, line));
            }
        } else {
            rest.push(&tokens[index]);
            index += 1;
        }
    }
    let mut index = 0;
    while index < rest.len() {
        let Kind::Word(first) = &rest[index].kind else {
            index += 1;
            continue;
        };
        let line = rest[index].line;
        let mut path = first.clone();
        index += 1;
        while let (Some(colon), Some(Token { kind: Kind::Word(word), .. })) = (rest.get(index), rest.get(index + 1)) {
            if colon.kind != Kind::PathMark {
                break;
            }
            path = format!("{path}::{word}");
            index += 2;
        }
        let (head, tail) = path.split_once("::").unwrap_or((&path, ""));
        let full = match aliases.get(head) {
            Some(alias) if tail.is_empty() => alias.clone(),
            Some(alias) => format!("{alias}::{tail}"),
            None if tail.is_empty() => continue,
            None => absolute(&path, module),
        };
        found.push((full, line));
    }
    found
}

/// Reads one use tree into (path, name it gets, line).
fn use_tree(tokens: &[Token], index: &mut usize, prefix: String, names: &mut Vec<(String, String, usize)>) {
    let mut path = prefix;
    let mut last = String::new();
    let line = tokens.get(*index).map_or(0, |token| token.line);
    while let Some(token) = tokens.get(*index) {
        *index += 1;
        match &token.kind {
            Kind::Word(word) if word == "as" => {
                if let Some(Token { kind: Kind::Word(alias), .. }) = tokens.get(*index) {
                    last.clone_from(alias);
                    *index += 1;
                }
            }
            Kind::Word(word) if word == "self" && !path.is_empty() => last = last_of(&path),
            Kind::Word(word) => {
                path = join(&path, word);
                last.clone_from(word);
            }
            Kind::Mark('*') => {
                path = join(&path, "*");
                last = String::from("*");
            }
            Kind::PathMark => {}
            Kind::Mark('{') => {
                loop {
                    use_tree(tokens, index, path.clone(), names);
                    match tokens.get(*index - 1).map(|token| &token.kind) {
                        Some(Kind::Mark(',')) => {}
                        _ => break,
                    }
                }
                // The tree that this group ends is complete; what follows it is a comma, a brace or the end.
                *index += 1;
                return;
            }
            _ => break,
        }
    }
    if !last.is_empty() {
        names.push((path, last, line));
    }
}

fn last_of(path: &str) -> String {
    path.rsplit("::").next().unwrap_or(path).to_owned()
}

/// A path as seen from the crate root: `self` and `super` resolved, ours beginning with `crate`.
fn absolute(path: &str, module: &str) -> String {
    let mut parts: Vec<&str> = path.split("::").collect();
    let mut base: Vec<&str> = module.split("::").filter(|part| !part.is_empty()).collect();
    match parts[0] {
        "self" => {
            parts.remove(0);
        }
        "super" => {
            while parts.first() == Some(&"super") {
                parts.remove(0);
                base.pop();
            }
        }
        _ => return path.to_owned(),
    }
    let mut full = vec!["crate"];
    full.extend(base);
    full.extend(parts);
    full.join("::")
}

// ---------------------------------------------------------------- Rust, as far as needed here

#[derive(Debug, PartialEq)]
enum Kind {
    Word(String),
    Text(String),
    /// `::`
    PathMark,
    Mark(char),
}

#[derive(Debug)]
struct Token {
    kind: Kind,
    line: usize,
}

impl Token {
    fn is_word(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Word(found) if found == word)
    }
}

/// Words, string literals and marks; comments, characters, lifetimes and numbers are passed over.
fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let (mut at, mut line, mut found) = (0, 1, Vec::new());
    let peek = |at: usize| chars.get(at).copied().unwrap_or('\0');
    while at < chars.len() {
        let (start, first) = (at, chars[at]);
        let started = line;
        let mut kind = None;
        if first == '/' && peek(at + 1) == '/' {
            while at < chars.len() && chars[at] != '\n' {
                at += 1;
            }
        } else if first == '/' && peek(at + 1) == '*' {
            let mut depth = 0;
            loop {
                match (peek(at), peek(at + 1)) {
                    ('/', '*') => (depth, at) = (depth + 1, at + 2),
                    ('*', '/') => (depth, at) = (depth - 1, at + 2),
                    _ => at += 1,
                }
                if depth == 0 || at >= chars.len() {
                    break;
                }
            }
        } else if let Some((text, end)) = string_literal(&chars, at) {
            kind = Some(Kind::Text(text));
            at = end;
        } else if first.is_alphabetic() || first == '_' {
            while peek(at).is_alphanumeric() || peek(at) == '_' {
                at += 1;
            }
            kind = Some(Kind::Word(chars[start..at].iter().collect()));
        } else if first.is_ascii_digit() {
            while peek(at).is_alphanumeric() || peek(at) == '_' {
                at += 1;
            }
        } else if first == '\'' {
            // A character, unless no quote closes it: then a lifetime.
            at = if peek(at + 1) == '\\' {
                (at + 3..chars.len()).find(|end| chars[*end] == '\'').map_or(chars.len(), |end| end + 1)
            } else if peek(at + 2) == '\'' {
                at + 3
            } else {
                at + 1
            };
        } else if first == ':' && peek(at + 1) == ':' {
            kind = Some(Kind::PathMark);
            at += 2;
        } else {
            kind = (!first.is_whitespace()).then_some(Kind::Mark(first));
            at += 1;
        }
        line += chars[start..at.min(chars.len())].iter().filter(|char| **char == '\n').count();
        found.extend(kind.map(|kind| Token { kind, line: started }));
    }
    found
}

/// A string literal at `at` (also raw, byte and C), with the place behind it.
fn string_literal(chars: &[char], at: usize) -> Option<(String, usize)> {
    if at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_') {
        return None;
    }
    let mut start = at;
    while matches!(chars.get(start), Some('b' | 'c' | 'r')) && start - at < 2 {
        start += 1;
    }
    let raw = start > at && chars[start - 1] == 'r';
    let hashes = chars[start..].iter().take_while(|char| raw && **char == '#').count();
    let open = start + hashes;
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let mut end = open + 1;
    while end < chars.len() {
        match chars[end] {
            '\\' if !raw => end += 1,
            '"' if chars[end + 1..].iter().take(hashes).filter(|char| **char == '#').count() == hashes => {
                break;
            }
            _ => {}
        }
        end += 1;
    }
    let text = chars[open + 1..end.min(chars.len())].iter().collect();
    Some((text, (end + 1 + hashes).min(chars.len())))
}

/// The tokens without items under `#[cfg(test)]`, and the names of modules so declared that live in files of their own.
fn without_tests(tokens: Vec<Token>) -> (Vec<Token>, BTreeSet<String>) {
    let is_cfg_test = |at: usize| {
        let wanted = [
            Kind::Mark('#'),
            Kind::Mark('['),
            Kind::Word("cfg".into()),
            Kind::Mark('('),
            Kind::Word("test".into()),
            Kind::Mark(')'),
            Kind::Mark(']'),
        ];
        wanted.iter().enumerate().all(|(offset, kind)| tokens.get(at + offset).is_some_and(|token| token.kind == *kind))
    };
    let (mut skip, mut modules, mut at) = (BTreeSet::new(), BTreeSet::new(), 0);
    while at < tokens.len() {
        if !is_cfg_test(at) {
            at += 1;
            continue;
        }
        let (start, mut depth, mut end) = (at, 0_i32, at + 7);
        while let Some(token) = tokens.get(end) {
            match token.kind {
                Kind::Mark('{' | '(' | '[') => depth += 1,
                Kind::Mark('}' | ')' | ']') => depth -= 1,
                _ => {}
            }
            let closed = token.kind == Kind::Mark('}') && depth == 0;
            if closed || (token.kind == Kind::Mark(';') && depth == 0) {
                break;
            }
            end += 1;
        }
        if let [.., Token { kind: Kind::Word(name), .. }, Token { kind: Kind::Mark(';'), .. }] =
            &tokens[start..(end + 1).min(tokens.len())]
        {
            modules.insert(name.clone());
        }
        skip.extend(start..=end);
        at = end + 1;
    }
    let kept = tokens.into_iter().enumerate().filter(|(index, _)| !skip.contains(index)).map(|(_, token)| token);
    (kept.collect(), modules)
}

// ---------------------------------------------------------------- does the guard bite

fn violations(path: &str, text: &str) -> Vec<String> {
    check(&[(path.to_owned(), text.to_owned())])
}

#[test]
fn a_planted_violation_is_caught() {
    let planted = [
        ("report/feedback.rs", "use crate::store::Keeper;", "`report` may not name `store`"),
        ("report/feedback.rs", "use crate::{limits::Limits, query::{self, Row}};", "`report` may not name `query`"),
        ("report/aggregate/mod.rs", "fn f() { super::super::unpack::looks(b\"\"); }", "`report` may not name `unpack`"),
        ("mail/mod.rs", "use super::unpack;", "`mail` may not name `unpack`"),
        ("render/table.rs", "fn f() { crate::store::open() }", "`render` may not name `store`"),
        ("source/imap.rs", "use crate::config::Config;", "`source` may not name `config`"),
        ("query/summary.rs", "use crate::cli::Context;", "`query` may not name `cli`"),
        ("reading.rs", "use std::fs::File;", "`reading` is pure and may not name `std::fs::File`"),
        ("unpack/mod.rs", "use std::{io::Read, net::TcpStream};", "`std::net::TcpStream`"),
        ("unpack/mod.rs", "use std::net::*;", "`std::net::*`"),
        ("mail/mod.rs", "use std::time;\nfn f() { time::Instant::now(); }", "src/mail/mod.rs:2: `mail` is pure"),
        ("report/date.rs", "use chrono::Utc;\nfn now() { Utc::now(); }", "`chrono::Utc::now`"),
        ("suppress/rules.rs", "fn f() { std::env::var(\"X\"); }", "`std::env::var`"),
        ("report/tls.rs", "fn f() { println!(\"here\"); }", "prints with `println!`"),
        ("report/tls.rs", "fn f() { rusqlite::version(); }", "`report` may not name the crate `rusqlite`"),
        ("cli/summary.rs", "use rusqlite::Connection;", "`cli` may not name the crate `rusqlite`"),
        ("render/csv.rs", "use clap::Args;", "`render` may not name the crate `clap`"),
        ("cli/status.rs", "const Q: &str = r#\"SELECT id\n FROM report\"#;", "SQL outside store and query"),
        ("ingest.rs", "fn f() { run(\"PRAGMA optimize\") }", "SQL outside store and query"),
        ("attic.rs", "", "room `attic` is not in the table"),
        ("main.rs", "fn main() { dmarcdb::store::open() }", "main.rs names `store`"),
        ("mail/mod.rs", "#[cfg(test)] mod tests { use std::fs; }\nuse std::fs;", "src/mail/mod.rs:2"),
    ];
    for (path, text, expected) in planted {
        let found = violations(path, text);
        assert!(!found.is_empty(), "not caught: {path}: {text}");
        assert!(found.iter().all(|violation| violation.contains(expected)), "{path}: {text}\nfound {found:?}");
    }
}

#[test]
fn what_is_allowed_passes() {
    let allowed = [
        ("report/feedback.rs", "use std::net::{IpAddr, Ipv4Addr};\nuse crate::problem::Warning;\nuse super::address;"),
        (
            "report/feedback.rs",
            "// use std::fs;\n/* println!() /* nested */ std::fs */\n/// crate::store\nfn f<'a>(c: char) -> bool { c == '\"' }",
        ),
        ("report/feedback.rs", "const S: &str = \"std::fs::File and crate::store and println!\";"),
        (
            "report/feedback.rs",
            "#[cfg(test)]\nmod tests {\n use crate::store;\n use std::fs;\n fn f() { println!(\"{}\", 1) }\n}",
        ),
        ("source/imap.rs", "fn f() { self.command(\"SELECT INBOX\"); self.command(\"UPDATE available\") }"),
        (
            "store/mod.rs",
            "use crate::{reading, source::Origin};\nuse rusqlite::Connection;\nconst Q: &str = \"SELECT 1 FROM x\";",
        ),
        (
            "cli/ingest.rs",
            "use crate::{ingest, query, render, store};\nfn f() { println!(\"{}\", std::env::args().count()) }",
        ),
        ("main.rs", "fn main() -> std::process::ExitCode { dmarcdb::cli::main() }"),
        ("reading.rs", "use crate::report::{self, aggregate as agg};\nfn f() { agg::read(); report::tls::read(); }"),
    ];
    for (path, text) in allowed {
        assert_eq!(violations(path, text), Vec::<String>::new(), "{path}: {text}");
    }
    let with_tests_in_a_file = [
        ("mail/mod.rs".to_owned(), "#[cfg(test)]\nmod tests;".to_owned()),
        ("mail/tests.rs".to_owned(), "use std::fs;".to_owned()),
    ];
    assert_eq!(check(&with_tests_in_a_file), Vec::<String>::new());
}
