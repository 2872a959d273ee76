//! The file with the refresh token: for nobody else, replaced in one step, never half written.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::Error;
use crate::source::imap::Secret;
use crate::source::{ErrorKind, Stop};

/// What is in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub refresh_token: Secret,
    /// Who gave it.
    pub token_url: String,
    /// To whom.
    pub client_id: String,
}

/// The file's JSON, before the secret is wrapped.
#[derive(Deserialize)]
struct Spelled {
    refresh_token: String,
    token_url: String,
    client_id: String,
}

/// Bytes of the file, at most; as many are reserved before a new token is asked for.
const LENGTH: usize = 64 << 10;
/// How long to wait for another process.
const PATIENCE: Duration = Duration::from_secs(60);

fn problem(path: &Path, error: &io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("{}: {error}", path.display()))
}

/// Reads the file; `None` when there is none.
pub(super) fn read(path: &Path) -> Result<Option<Kept>, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(problem(path, &error)),
    };
    let mode = file.metadata().map_err(|error| problem(path, &error))?.permissions().mode();
    let wrong = |reason: String| Error::new(ErrorKind::Configuration, format!("{}: {reason}", path.display()));
    if mode & 0o077 != 0 {
        return Err(wrong(format!("others may read or write it (mode {:03o}): chmod 600 it", mode & 0o777)));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(LENGTH as u64).read_to_string(&mut text).map_err(|error| problem(path, &error))?;
    let spelled: Spelled =
        serde_json::from_str(&text).map_err(|_| wrong("is no login of dmarcdb: remove it and log in again".into()))?;
    let Spelled { refresh_token, token_url, client_id } = spelled;
    Ok(Some(Kept { refresh_token: Secret::new(refresh_token), token_url, client_id }))
}

/// Keeps other processes from refreshing until it is dropped.
pub(super) fn lock(path: &Path, stop: &Stop) -> Result<File, Error> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| problem(folder, &error))?;
    }
    let path = beside(path, ".lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(|error| problem(&path, &error))?;
    let until = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(problem(&path, &error)),
            Err(TryLockError::WouldBlock) if Instant::now() < until && !stop.is_set() => {
                sleep(Duration::from_millis(50));
            }
            Err(TryLockError::WouldBlock) => {
                let reason = format!("{}: another process is logging in", path.display());
                return Err(Error::new(ErrorKind::Temporary, reason));
            }
        }
    }
}

fn beside(path: &Path, more: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(more);
    name.into()
}

/// A new file, with its room on the disk, that can take the place of the old one.
pub(super) struct Pen {
    file: File,
    from: PathBuf,
    to: PathBuf,
}

impl Pen {
    /// Makes it, under the lock. What fails here would else fail when the old token is void already.
    pub fn new(path: &Path) -> Result<Pen, Error> {
        let from = beside(path, ".new");
        // Left by a run that was killed; its content is not known to be whole.
        let _ = fs::remove_file(&from);
        let make = || -> io::Result<File> {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&from)?;
            file.write_all(&vec![b' '; LENGTH])?;
            file.sync_all()?;
            Ok(file)
        };
        let file = make().map_err(|error| {
            let _ = fs::remove_file(&from);
            problem(&from, &error)
        })?;
        Ok(Pen { file, from, to: path.to_owned() })
    }

    /// Writes and puts it in place: afterwards it survives a loss of power.
    pub fn write(mut self, kept: &Kept) -> Result<(), Error> {
        let value = json!({
            "refresh_token": kept.refresh_token.expose(),
            "token_url": kept.token_url,
            "client_id": kept.client_id,
        });
        let text = Zeroizing::new(format!("{value:#}\n"));
        if text.len() > LENGTH {
            return Err(Error::new(ErrorKind::Protocol, "the provider gave a refresh token that is too long to keep"));
        }
        let mut put = || -> io::Result<()> {
            self.file.rewind()?;
            self.file.write_all(text.as_bytes())?;
            self.file.set_len(text.len() as u64)?;
            self.file.sync_all()?;
            fs::rename(&self.from, &self.to)?;
            match self.to.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
                _ => Ok(()),
            }
        };
        put().map_err(|error| problem(&self.to, &error))
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        // Not there any more when it was put in place.
        let _ = fs::remove_file(&self.from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(token: &str) -> Kept {
        Kept {
            refresh_token: Secret::new(token.into()),
            token_url: "https://login.example".into(),
            client_id: "me".into(),
        }
    }

    #[test]
    fn is_kept_for_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/token.json");
        assert_eq!(read(&path).unwrap(), None);
        let _lock = lock(&path, &Stop::default()).unwrap();
        for token in ["first", "second \"quoted\"", "1"] {
            Pen::new(&path).unwrap().write(&kept(token)).unwrap();
            assert_eq!(read(&path).unwrap(), Some(kept(token)));
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        drop(Pen::new(&path).unwrap());
        let mut names: Vec<_> =
            fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["token.json", "token.json.lock"], "nothing is left behind");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = read(&path).unwrap_err();
        assert!(error.kind == ErrorKind::Configuration && error.reason.contains("mode 640"), "{error}");
        fs::write(&path, "{\"refresh_token\": \"hunter2\"").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let error = read(&path).unwrap_err();
        assert!(error.reason.contains("no login") && !error.reason.contains("hunter2"), "{error}");
    }

    #[test]
    fn what_cannot_be_kept_is_known_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token.json");
        fs::create_dir(folder.path().join("token.json.new")).unwrap();
        let Err(error) = Pen::new(&path) else { panic!("made over a folder") };
        assert_eq!(error.kind, ErrorKind::Io, "{error}");
    }

    #[test]
    fn one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token.json");
        let held = lock(&path, &Stop::default()).unwrap();
        let stop = Stop::default();
        stop.set();
        assert_eq!(lock(&path, &stop).unwrap_err().kind, ErrorKind::Temporary);
        drop(held);
        assert!(lock(&path, &stop).is_ok());
    }
}
