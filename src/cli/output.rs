//! A file that is replaced whole: whoever reads it sees the old one or the new one.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::{Error, Status};

/// Writes `bytes` beside `path` and puts them in its place. With `mode` the file has that; without, that of the one it replaces,
/// else it is for its owner alone.
///
/// # Errors
/// It cannot be written: [`Status::CannotCreate`].
pub fn replace(path: &Path, bytes: &[u8], mode: Option<u32>) -> Result<(), Error> {
    let cannot = |error: io::Error| Error::new(Status::CannotCreate, format_args!("{}: {error}", path.display()));
    let Some(name) = path.file_name() else {
        return Err(cannot(io::Error::from(io::ErrorKind::IsADirectory)));
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = folder.join(format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id()));
    let mode = mode.or_else(|| Some(fs::metadata(path).ok()?.permissions().mode() & 0o777)).unwrap_or(0o600);
    let written = put(&beside, path, bytes, mode);
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written.map_err(cannot)
}

fn put(beside: &Path, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside)?;
    file.write_all(bytes)?;
    // Not left to the umask, which is strict.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()?;
    fs::rename(beside, path)
}
