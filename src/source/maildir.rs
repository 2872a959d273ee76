//! Files below a directory, in an order that is the same in every run. A Maildir is a directory with `cur` and `new`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Something found below a directory.
#[derive(Debug)]
pub(super) enum Found {
    /// A file, or something that is neither file nor directory.
    File(PathBuf),
    /// A directory or link that could not be followed.
    Unreadable(PathBuf, io::Error),
}

/// Everything below `root`, depth first and by name. Hidden entries are skipped, and so are links to directories, so
/// that the walk ends. Of a Maildir only `cur` and `new` are looked at, and directories that are not its own.
pub(super) fn walk(root: &Path, found: &mut impl FnMut(Found)) {
    let mut stack = vec![Entry { path: root.to_owned(), is_directory: true }];
    while let Some(Entry { path, is_directory }) = stack.pop() {
        if !is_directory {
            found(Found::File(path));
            continue;
        }
        let mut inside = Vec::new();
        let mut unreadable = |path: PathBuf, error| found(Found::Unreadable(path, error));
        if let Err(error) = list(&path, &mut inside, &mut unreadable) {
            found(Found::Unreadable(path, error));
        }
        // The stack hands out the last one first. All are in one directory, and paths are slow to compare.
        inside.sort_unstable_by(|one, other| other.path.as_os_str().cmp(one.path.as_os_str()));
        stack.append(&mut inside);
    }
}

struct Entry {
    path: PathBuf,
    is_directory: bool,
}

/// The entries of one directory that are walked.
fn list(directory: &Path, entries: &mut Vec<Entry>, unreadable: &mut impl FnMut(PathBuf, io::Error)) -> io::Result<()> {
    let is_maildir = ["cur", "new"].iter().all(|name| directory.join(name).is_dir());
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        let kind = entry.file_type()?;
        let mut is_directory = kind.is_dir();
        if kind.is_symlink() {
            match fs::metadata(&path) {
                Ok(target) if target.is_dir() => continue,
                Ok(_) => is_directory = false,
                Err(error) => {
                    unreadable(path, error);
                    continue;
                }
            }
        }
        // Beside its folders, a Maildir holds what a server notes about it; `tmp` holds mail that is still arriving.
        if is_maildir && (!is_directory || name == "tmp") {
            continue;
        }
        entries.push(Entry { path, is_directory });
    }
    Ok(())
}
