//! The files of an export: written beside those they replace, and put in their places together when all are on the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::cli::{Error, Status};
use crate::query::suppression::Last;
use crate::suppress::export::{Format, Place};

/// Files that are being written. Dropped before they are put in place, they are as if they never were.
#[derive(Debug)]
pub struct Files {
    format: &'static Format,
    folder: PathBuf,
    stem: String,
    /// With its dot, or empty.
    extension: String,
    open: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    place: Place,
    beside: PathBuf,
    out: BufWriter<File>,
}

impl Files {
    /// Files called after `path`, or, where that is a folder, in it and called after the format.
    ///
    /// # Errors
    /// A path that cannot be a file.
    pub fn new(path: &Path, format: &'static Format) -> Result<Files, Error> {
        let is_folder = path.is_dir() || path.as_os_str().to_string_lossy().ends_with('/');
        let path = if is_folder { path.join(format!("{}.{}", format.name, format.extension)) } else { path.to_owned() };
        let name = path.file_name().ok_or_else(|| cannot(&path, &io::Error::from(io::ErrorKind::IsADirectory)))?;
        let Some(name) = name.to_str() else {
            return Err(Error::new(Status::Usage, format_args!("{}: the name is not UTF-8", path.display())));
        };
        let (stem, extension) = match name.rsplit_once('.') {
            Some((stem, extension)) if !stem.is_empty() => (stem.to_owned(), format!(".{extension}")),
            _ => (name.to_owned(), String::new()),
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
        Ok(Files { format, folder, stem, extension, open: Vec::new() })
    }

    /// What the database knows them by.
    pub fn target(&self) -> String {
        let folder = fs::canonicalize(&self.folder).unwrap_or_else(|_| self.folder.clone());
        format!("file:{}", folder.join(format!("{}{}", self.stem, self.extension)).display())
    }

    /// Appends to a file, which is made with the first bytes for its place.
    ///
    /// # Errors
    /// It cannot be written: [`Status::CannotCreate`].
    pub fn append(&mut self, place: Place, bytes: &[u8]) -> Result<(), Error> {
        let index = match self.open.iter().rposition(|part| part.place == place) {
            Some(index) => index,
            None => {
                self.open.push(self.begin(place)?);
                self.open.len() - 1
            }
        };
        let name = self.path(place, true);
        self.open[index].out.write_all(bytes).map_err(|error| cannot(&name, &error))
    }

    /// Only the owner may read it, unless it takes the place of one that others may.
    fn begin(&self, place: Place) -> Result<Part, Error> {
        let name = self.path(place, true);
        let file_name = name.file_name().unwrap_or_default().to_string_lossy();
        let beside = self.folder.join(format!(".{file_name}.{}.tmp", std::process::id()));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside);
        let file = file.map_err(|error| cannot(&name, &error))?;
        Ok(Part { place, beside, out: BufWriter::new(file) })
    }

    /// `stem-list-remove-001.extension`, without what there is only one of.
    fn path(&self, place: Place, numbered: bool) -> PathBuf {
        let mut name = self.stem.clone();
        let list = self.format.lists.get(place.list).map_or("", |list| list.name);
        for word in [list, if place.removal { "remove" } else { "" }] {
            if !word.is_empty() {
                name.push('-');
                name.push_str(word);
            }
        }
        if numbered {
            name.push_str(&format!("-{:03}", place.part));
        }
        name.push_str(&self.extension);
        self.folder.join(name)
    }

    /// Puts every file in its place, the old ones still whole until then, and takes away those of the last export that
    /// this one does not have. The names, without their folder.
    ///
    /// # Errors
    /// One cannot be put there: [`Status::CannotCreate`].
    pub fn put_in_place(&mut self, last: Option<&Last>) -> Result<Vec<String>, Error> {
        let mut moves = Vec::new();
        for part in &mut self.open {
            let failed = |error: io::Error| cannot(&part.beside, &error);
            part.out.flush().map_err(failed)?;
            part.out.get_ref().sync_all().map_err(failed)?;
        }
        for part in &self.open {
            let several = self.open.iter().any(|other| {
                (other.place.list, other.place.removal) == (part.place.list, part.place.removal) && other.place.part > 1
            });
            let name = self.path(part.place, several);
            if let Ok(old) = fs::metadata(&name) {
                part.out.get_ref().set_permissions(old.permissions()).map_err(|error| cannot(&name, &error))?;
            }
            moves.push((part.beside.clone(), name));
        }
        for (beside, name) in &moves {
            fs::rename(beside, name).map_err(|error| cannot(name, &error))?;
        }
        self.open.clear();
        let names = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let written: Vec<String> = moves.iter().filter_map(|(_, name)| names(name)).collect();
        let stale: Vec<String> = last.and_then(|last| serde_json::from_str(&last.files).ok()).unwrap_or_default();
        for name in stale.iter().filter(|name| !written.contains(name) && self.is_ours(name)) {
            match fs::remove_file(self.folder.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot(Path::new(name), &error)),
                _ => {}
            }
        }
        if let Ok(folder) = File::open(&self.folder) {
            // Not every file system can; the files themselves are on the disk.
            let _ = folder.sync_all();
        }
        Ok(written)
    }

    /// Whether a name from the database is one that these files could have: it never leads elsewhere.
    fn is_ours(&self, name: &str) -> bool {
        name.starts_with(&self.stem) && name.ends_with(&self.extension) && !name.contains('/')
    }

    /// How many entries the files have that would be replaced: for a list that this database did not write.
    pub fn entries_there(&self) -> u64 {
        let lists = 0..self.format.lists.len();
        lists.map(|list| self.entries_of(list)).sum()
    }

    fn entries_of(&self, list: usize) -> u64 {
        let place = |part| Place { list, removal: false, part };
        let single = self.entries_in(&self.path(place(1), false), list);
        let parts = (1..).map_while(|part| self.entries_in(&self.path(place(part), true), list));
        single.unwrap_or_default() + parts.sum::<u64>()
    }

    /// `None` where there is no such file, or it is no text.
    fn entries_in(&self, path: &Path, list: usize) -> Option<u64> {
        let form = &self.format.lists[list];
        let mut lines = BufReader::new(File::open(path).ok()?);
        let (mut entries, mut line) = (0, Vec::new());
        while lines.read_until(b'\n', &mut line).ok()? > 0 {
            let head = line == form.head.as_bytes();
            entries += match &form.body {
                _ if head => 0,
                None => 1,
                Some(body) => elements(&line, body.open) / body.elements,
            };
            line.clear();
        }
        Some(entries)
    }
}

/// How many entries a body has.
fn elements(line: &[u8], open: &str) -> u64 {
    let name = open.split('"').nth(1).unwrap_or_default();
    let body: serde_json::Value = serde_json::from_slice(line).unwrap_or_default();
    body[name].as_array().map_or(0, |array| array.len() as u64)
}

impl Drop for Files {
    fn drop(&mut self) {
        for part in &self.open {
            // Best effort: the error that matters is the one that is answered.
            let _ = fs::remove_file(&part.beside);
        }
    }
}

fn cannot(path: &Path, error: &io::Error) -> Error {
    Error::new(Status::CannotCreate, format_args!("{}: {error}", path.display()))
}
