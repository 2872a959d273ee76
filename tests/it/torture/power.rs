//! Power loss, replayed: the program's own system calls on its files, and after each of them the disk as it may be found
//! when everything that was not synced is lost, kept, or torn. A message that was moved away at the server always has its
//! rows.
//!
//! The model is strict: a write counts when its file was synced since, a name when its folder was. Names of one folder
//! reach the disk in order; writes to one file in any.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::site::{ANY_USER, Delivered, Kept, Mail, Site, binary, mixture, scratch};
use super::suite::{Random, Suite, Tried, full, sample, scale};
use crate::support::dovecot::Dovecot;
use crate::support::run::Ran;

/// What a system call did.
#[derive(Clone, Debug)]
enum Step {
    /// A name that may be new.
    Create(PathBuf),
    Write(PathBuf, usize, Vec<u8>),
    Truncate(PathBuf, usize),
    /// A file or a folder.
    Sync(PathBuf),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf),
    /// The server is told to move these UIDs.
    Moved(Vec<u32>),
}

/// A change of a file's content that is not on the disk yet.
#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>, bytes: usize) {
        match self {
            Change::Write(at, data) => {
                let end = at + bytes.min(data.len());
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*at..end].copy_from_slice(&data[..end - at]);
            }
            Change::Truncate(length) => content.resize(*length, 0),
        }
    }
}

#[derive(Clone, Debug)]
enum NameChange {
    Link(PathBuf, usize),
    Unlink(PathBuf),
}

/// A disk with what is safe on it and what is not.
#[derive(Default)]
struct Disk {
    /// Content by number, and the changes to come.
    files: Vec<(Vec<u8>, Vec<Change>)>,
    /// Names as the program sees them, and as they are on the disk.
    names: BTreeMap<PathBuf, usize>,
    safe_names: BTreeMap<PathBuf, usize>,
    name_changes: Vec<NameChange>,
}

/// How much of what is not safe is found after the loss.
#[derive(Clone, Copy, Debug)]
enum Loss {
    All,
    Nothing,
    /// Some, some of it torn between sectors, by this seed.
    Some(u64),
}

impl Disk {
    fn step(&mut self, step: &Step) {
        match step {
            Step::Create(path) => {
                if !self.names.contains_key(path) {
                    self.files.push(Default::default());
                    let number = self.files.len() - 1;
                    self.names.insert(path.clone(), number);
                    self.name_changes.push(NameChange::Link(path.clone(), number));
                }
            }
            Step::Write(path, at, data) => self.change(path, Change::Write(*at, data.clone())),
            Step::Truncate(path, length) => self.change(path, Change::Truncate(*length)),
            Step::Sync(path) => match self.names.get(path) {
                Some(number) => {
                    let (content, changes) = &mut self.files[*number];
                    changes.drain(..).for_each(|change| change.apply(content, usize::MAX));
                }
                // All names are in one folder.
                None => self.name_changes.drain(..).for_each(|change| rename(&mut self.safe_names, &change)),
            },
            Step::Unlink(path) => {
                self.names.remove(path);
                self.name_changes.push(NameChange::Unlink(path.clone()));
            }
            Step::Rename(from, to) => {
                if let Some(number) = self.names.remove(from) {
                    self.names.insert(to.clone(), number);
                    self.name_changes.push(NameChange::Link(to.clone(), number));
                    self.name_changes.push(NameChange::Unlink(from.clone()));
                }
            }
            Step::Moved(_) => {}
        }
    }

    fn change(&mut self, path: &Path, change: Change) {
        if let Some(number) = self.names.get(path) {
            self.files[*number].1.push(change);
        }
    }

    /// The files after a loss of power now.
    fn after(&self, loss: Loss) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut random = Random::new(if let Loss::Some(seed) = loss { seed } else { 0 });
        let mut names = self.safe_names.clone();
        let survive = match loss {
            Loss::All => 0,
            Loss::Nothing => self.name_changes.len(),
            Loss::Some(_) => random.below(self.name_changes.len() + 1),
        };
        self.name_changes.iter().take(survive).for_each(|change| rename(&mut names, change));
        let mut files = BTreeMap::new();
        for (path, number) in names {
            let (content, changes) = &self.files[number];
            let mut content = content.clone();
            for change in changes {
                match loss {
                    Loss::All => {}
                    Loss::Nothing => change.apply(&mut content, usize::MAX),
                    Loss::Some(_) => match random.below(5) {
                        0 | 1 => {}
                        2 => change.apply(&mut content, 512 * random.below(9)),
                        _ => change.apply(&mut content, usize::MAX),
                    },
                }
            }
            files.insert(path, content);
        }
        files
    }
}

fn rename(names: &mut BTreeMap<PathBuf, usize>, change: &NameChange) {
    match change {
        NameChange::Link(path, number) => drop(names.insert(path.clone(), *number)),
        NameChange::Unlink(path) => drop(names.remove(path)),
    }
}

/// Runs the site and returns what its system calls did to files in its folder and said to the server.
fn record(site: &Site<'_>) -> Vec<Step> {
    let log = site.place.path("strace.log");
    let trace = "trace=openat,pwrite64,write,ftruncate,fsync,fdatasync,unlink,rename,sendto";
    let words = ["strace", "-qq", "-f", "-y", "-xx", "-s", "9999999", "-o", log.to_str().unwrap(), "-e", trace];
    let status = site.command(&words.map(str::to_owned)).status().expect("strace runs: apt-get install strace");
    assert_eq!(status.code(), Some(0));
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::remove_file(&log).unwrap();
    let mut waiting: BTreeMap<String, String> = BTreeMap::new();
    let mut steps = Vec::new();
    for line in text.lines() {
        let (thread, rest) = line.split_once(' ').unwrap();
        let rest = rest.trim_start();
        if let Some(begun) = rest.strip_suffix(" <unfinished ...>") {
            // What is written or said may arrive as soon as it is begun; what is synced is safe only at the end.
            let whole = format!("{begun}) = 0");
            if !begun.starts_with("fsync") && !begun.starts_with("fdatasync") && !begun.starts_with("openat") {
                steps.extend(parse(&whole, site.place.dir.path()));
            } else {
                waiting.insert(thread.to_owned(), begun.to_owned());
            }
        } else if rest.starts_with("<... ") {
            if let Some(begun) = waiting.remove(thread) {
                let (_, end) = rest.split_once("resumed>").unwrap();
                steps.extend(parse(&format!("{begun}{end}"), site.place.dir.path()));
            }
        } else {
            steps.extend(parse(rest, site.place.dir.path()));
        }
    }
    steps
}

/// The bytes of `\x2f\x74`.
fn bytes(hex: &str) -> Vec<u8> {
    hex.split("\\x").skip(1).map(|byte| u8::from_str_radix(&byte[..2], 16).unwrap()).collect()
}

/// One line of the log.
fn parse(line: &str, root: &Path) -> Option<Step> {
    let (call, rest) = line.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(") ")?;
    if result.trim_start().starts_with("= -1") {
        return None;
    }
    let quoted: Vec<&str> = arguments.split('"').skip(1).step_by(2).collect();
    let path = |hex: &str| PathBuf::from(String::from_utf8(bytes(hex)).unwrap());
    let inside = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.to_owned();
        let ours = name.starts_with("db.sqlite") && !name.ends_with("-shm") && !name.ends_with(".lock");
        (path == root || path.parent() == Some(root) && ours).then_some(path)
    };
    let file = || {
        let hex = arguments.split_once('<')?.1.split_once('>')?.0;
        inside(path(hex))
    };
    let number = |from_end: usize| arguments.rsplit(", ").nth(from_end)?.trim().parse::<usize>().ok();
    match call {
        "openat" if arguments.contains("O_CREAT") => Some(Step::Create(inside(path(quoted.first()?))?)),
        "pwrite64" => Some(Step::Write(file()?, number(0)?, bytes(quoted.first()?))),
        "write" => file().map(|path| panic!("{}: written without a place", path.display())),
        "ftruncate" => Some(Step::Truncate(file()?, number(0)?)),
        "fsync" | "fdatasync" => Some(Step::Sync(file()?)),
        "unlink" => Some(Step::Unlink(inside(path(quoted.first()?))?)),
        "rename" => Some(Step::Rename(inside(path(quoted.first()?))?, inside(path(quoted.get(1)?))?)),
        "sendto" => {
            let said = String::from_utf8_lossy(&bytes(quoted.first()?)).into_owned();
            let set = said.split_once("UID MOVE ")?.1.split_once(' ')?.0.to_owned();
            Some(Step::Moved(uids(&set)))
        }
        _ => None,
    }
}

fn uids(set: &str) -> Vec<u32> {
    let mut uids = Vec::new();
    for part in set.split(',') {
        let (first, last) = part.split_once(':').unwrap_or((part, part));
        uids.extend(first.parse::<u32>().unwrap()..=last.parse::<u32>().unwrap());
    }
    uids
}

/// The disk after a loss of power, with the UIDs that were moved before.
struct State {
    label: String,
    files: BTreeMap<PathBuf, Vec<u8>>,
    moved: usize,
}

fn states(steps: &[Step], wanted: impl Fn(usize) -> bool) -> (Vec<State>, Vec<u32>) {
    let mut disk = Disk::default();
    let mut states = Vec::new();
    let mut moved: Vec<u32> = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        disk.step(step);
        if let Step::Moved(uids) = step {
            moved.extend(uids);
        }
        if !wanted(number) {
            continue;
        }
        let seed = |pattern: u64| Loss::Some(number as u64 * 1000 + pattern);
        for loss in [Loss::All, Loss::Nothing].into_iter().chain((0..6).map(seed)) {
            let label = format!("after call {number} of {}, {loss:?}", steps.len());
            states.push(State { label, files: disk.after(loss), moved: moved.len() });
        }
    }
    (states, moved)
}

fn restore(state: &State, dir: &Path) {
    for (path, content) in &state.files {
        std::fs::write(dir.join(path.file_name().unwrap()), content).unwrap();
    }
}

#[test]
fn power_is_lost_after_every_system_call() {
    let mut suite = Suite::new("power lost", "torture::power::power_is_lost_after_every_system_call");
    let server = Dovecot::start_with(ANY_USER);
    let mut site = Site::imap(&server, "alice", server.imap, "");
    let mut steps = Vec::new();
    for (tag, more) in [("one", 0), ("two", 20), ("three", if full() { 600 } else { 0 })] {
        let mut messages = mixture(tag);
        messages.extend((0..more).map(|number| Delivered::report(&format!("{tag}{number}"), 1 + number)));
        site.deliver(messages);
        steps.extend(record(&site));
    }
    assert_eq!(site.check(true), [""; 0]);
    let moves = steps.iter().filter(|step| matches!(step, Step::Moved(_))).count();
    let syncs = steps.iter().filter(|step| matches!(step, Step::Sync(_))).count();
    assert!(moves >= 3 && syncs >= 12, "{moves} moves and {syncs} syncs in {} steps", steps.len());
    let near: Vec<bool> = (0..steps.len()).map(|number| is_near_a_move(&steps, number)).collect();
    let stride = steps.len() / 60 + 1;
    let (states, moved) = states(&steps, |number| full() || near[number] || number % stride == 0);
    let states = sample(states, 500, 31);
    let empty = site.place.path("empty");
    std::fs::create_dir(&empty).unwrap();
    suite.each(
        2,
        &states,
        |state| state.label.clone(),
        |state| {
            let dir = scratch();
            restore(state, dir.path());
            let mut wrong = Vec::new();
            match Kept::read(&dir.path().join("db.sqlite")) {
                Err(why) => wrong.push(format!("I6: {why}")),
                Ok(kept) => {
                    for uid in &moved[..state.moved] {
                        let message = &site.delivered[*uid as usize - 1];
                        if !kept.holds(&message.holds) {
                            wrong.push(format!("I2: UID {uid} was moved, and {:?} is lost", message.holds));
                        }
                    }
                }
            }
            // The program must find its way, too, whatever it looks for before it trusts a file.
            let mut command = std::process::Command::new(binary());
            command.arg("--db").arg(dir.path().join("db.sqlite")).arg("ingest").arg(&empty).env_clear();
            let ran = Ran::from(command.output().unwrap());
            if ran.status != Some(0) {
                wrong.push(format!("I5: the next run ends with {:?}: {}", ran.status, ran.stderr));
            }
            Tried::Reached(wrong)
        },
    );
    // From some of the states, a run with what the server then has brings everything.
    let number = scale(6, 250);
    let some: Vec<&State> = states.iter().step_by(states.len() / number + 1).collect();
    let numbered: Vec<(usize, &State)> = some.into_iter().enumerate().collect();
    let label = |(_, state): &(usize, &State)| format!("a run {}", state.label);
    suite.each(2, &numbered, label, |(number, state)| {
        let mut after = Site::imap(&server, &format!("after{number}"), server.imap, "");
        restore(state, after.place.dir.path());
        after.deliver(site.delivered.clone());
        let Mail::Imap { user, .. } = &after.mail else { unreachable!() };
        let files = server.files(user, "INBOX");
        server.create_folder(user, "Done");
        for uid in &moved[..state.moved] {
            let file = &files[*uid as usize - 1];
            std::fs::rename(file, server.maildir(user, "Done").join("new").join(file.file_name().unwrap())).unwrap();
        }
        let mut wrong = after.check(false);
        wrong.extend(after.recover());
        server.forget_user(user);
        Tried::Reached(wrong)
    });
    suite.done(450, 5000);
}

/// The steps before and after a move are the ones that matter most.
fn is_near_a_move(steps: &[Step], number: usize) -> bool {
    let from = number.saturating_sub(3);
    let to = (number + 3).min(steps.len());
    steps[from..to].iter().any(|step| matches!(step, Step::Moved(_)))
}

#[test]
fn the_model_of_a_disk_loses_what_is_not_synced() {
    let path = |name: &str| PathBuf::from("/x").join(name);
    let mut disk = Disk::default();
    let text =
        |disk: &Disk, loss| disk.after(loss).get(&path("db")).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    disk.step(&Step::Create(path("db")));
    disk.step(&Step::Write(path("db"), 0, b"one".to_vec()));
    assert_eq!((text(&disk, Loss::All), text(&disk, Loss::Nothing)), (None, Some("one".into())));
    disk.step(&Step::Sync(path("db")));
    assert_eq!(text(&disk, Loss::All), None, "its name is not safe");
    disk.step(&Step::Sync("/x".into()));
    disk.step(&Step::Write(path("db"), 3, b"two".to_vec()));
    assert_eq!((text(&disk, Loss::All), text(&disk, Loss::Nothing)), (Some("one".into()), Some("onetwo".into())));
    disk.step(&Step::Unlink(path("db")));
    assert_eq!((text(&disk, Loss::All), text(&disk, Loss::Nothing)), (Some("one".into()), None));
    let line = r#"pwrite64(5</x/db.sqlite>, "\x61\x62", 2, 4096) = 2"#;
    let hex = line.replace("/x/db.sqlite", r"\x2f\x78\x2f\x64\x62\x2e\x73\x71\x6c\x69\x74\x65");
    let Some(Step::Write(at, 4096, data)) = parse(&hex, Path::new("/x")) else { panic!("not understood") };
    assert_eq!((at, data), (PathBuf::from("/x/db.sqlite"), b"ab".to_vec()));
    assert_eq!(uids("1:3,7"), [1, 2, 3, 7]);
}
