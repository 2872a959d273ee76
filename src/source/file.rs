//! Mail out of files: of any kind, mbox, Maildir, directory trees, standard input. Told apart by what is in them.

use std::collections::{HashSet, VecDeque};
use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::maildir::{self, Found};
use super::mbox::{Mbox, Piece, is_mbox};
use super::{Error, ErrorKind, Fate, Message, Origin, Refused, Source, Taken};

/// How much of a file decides whether it is an mbox.
const HEAD_BYTES: u64 = 16 << 10;

/// A standard input of any make.
type Stdin = Box<dyn Read + Send>;

/// Files and directories, one after the other. Files that are no mail (XML, gzip, zip, JSON) are handed out as they
/// are; whoever reads the message looks at its bytes first.
pub struct FileSource {
    pending: VecDeque<Place>,
    mbox: Option<OpenMbox>,
    message_bytes: u64,
    stdin: Option<Stdin>,
}

/// Where a message may be.
enum Place {
    File(PathBuf),
    Unreadable(PathBuf, io::Error),
    Stdin,
}

/// An mbox that is being read.
struct OpenMbox {
    mbox: Mbox<Box<dyn BufRead + Send>>,
    /// None for standard input.
    path: Option<PathBuf>,
    received_at: Option<i64>,
}

impl FileSource {
    /// Files, mboxes, Maildirs and directory trees at `paths`, in that order and each once; `-` among them, or `stdin`,
    /// is standard input. Directories are listed now, files are opened when it is their turn. Messages of more than
    /// `message_bytes` are refused.
    pub fn new(paths: Vec<PathBuf>, stdin: bool, message_bytes: u64) -> Self {
        Self::with_stdin(paths, stdin, message_bytes, Box::new(io::stdin()))
    }

    fn with_stdin(paths: Vec<PathBuf>, stdin: bool, message_bytes: u64, input: Stdin) -> Self {
        let mut pending = VecDeque::new();
        let is_several = paths.len() > 1;
        for path in paths {
            if path == Path::new("-") {
                pending.push_back(Place::Stdin);
            } else if path.is_dir() {
                maildir::walk(&path, &mut |found| {
                    pending.push_back(match found {
                        Found::File(path) => Place::File(path),
                        Found::Unreadable(path, error) => Place::Unreadable(path, error),
                    });
                });
            } else {
                pending.push_back(Place::File(path));
            }
        }
        if stdin && !pending.iter().any(|place| matches!(place, Place::Stdin)) {
            pending.push_back(Place::Stdin);
        }
        if is_several {
            let mut seen = HashSet::new();
            pending.retain(|place| match place {
                Place::File(path) | Place::Unreadable(path, _) => seen.insert(path.clone()),
                Place::Stdin => seen.insert(PathBuf::from("-")),
            });
        }
        FileSource { pending, mbox: None, message_bytes, stdin: Some(input) }
    }

    /// The next message of the mbox that is open, if one is.
    fn next_piece(&mut self) -> Result<Option<Taken>, Error> {
        let Some(open) = &mut self.mbox else {
            return Ok(None);
        };
        let origin = |index| origin(open.path.as_deref(), index);
        let piece = match open.mbox.next() {
            Ok(Some(piece)) => piece,
            Ok(None) => {
                self.mbox = None;
                return Ok(None);
            }
            Err(error) => {
                let taken = unreadable(origin(None), &error);
                self.mbox = None;
                return taken.map(Some);
            }
        };
        let Piece { index, is_last, content } = piece;
        // A single message with an envelope line is a mail that was saved so, not an mbox.
        let origin = origin((index > 0 || !is_last).then_some(index));
        Ok(Some(match content {
            Ok(bytes) => Taken::Message(Message { origin, bytes, received_at: open.received_at }),
            Err(bytes) => too_large(origin, bytes, self.message_bytes),
        }))
    }

    fn take_file(&mut self, path: PathBuf) -> Result<Option<Taken>, Error> {
        // Else opening a named pipe waits for whoever writes to it.
        let at_once = OFlags::NONBLOCK.bits().cast_signed();
        let opened = File::options().read(true).custom_flags(at_once).open(&path).or_else(|error| match error.kind() {
            // Only files are leased, by a server that shares them: it gives the lease up to who waits.
            io::ErrorKind::WouldBlock => File::open(&path),
            _ => Err(error),
        });
        match opened.and_then(|file| Ok((file.metadata()?, file))) {
            Ok((metadata, file)) if metadata.is_file() => self.take(Box::new(file), Some(path), Some(metadata)),
            Err(error) if std::fs::metadata(&path).map_or(true, |metadata| metadata.is_file()) => {
                unreadable(origin(Some(&path), None), &error).map(Some)
            }
            _ => {
                let reason = "neither a file nor a directory".to_owned();
                let origin = origin(Some(&path), None);
                Ok(Some(Taken::Refused { origin, bytes: 0, refusal: Refused::Unreadable(reason) }))
            }
        }
    }

    /// One message, or None where an mbox was opened.
    fn take(
        &mut self,
        mut reader: Box<dyn Read + Send>,
        path: Option<PathBuf>,
        metadata: Option<Metadata>,
    ) -> Result<Option<Taken>, Error> {
        let origin = origin(path.as_deref(), None);
        let received_at = metadata.as_ref().and_then(modified_at);
        let length = metadata.map_or(0, |metadata| metadata.len());
        let mut bytes = Vec::with_capacity(length.min(HEAD_BYTES) as usize);
        if let Err(error) = (&mut reader).take(HEAD_BYTES).read_to_end(&mut bytes) {
            return unreadable(origin, &error).map(Some);
        }
        if is_mbox(&bytes) {
            let rest = BufReader::with_capacity(64 << 10, reader);
            let reader: Box<dyn BufRead + Send> = Box::new(io::Cursor::new(bytes).chain(rest));
            self.mbox = Some(OpenMbox { mbox: Mbox::new(reader, self.message_bytes), path, received_at });
            return Ok(None);
        }
        let limit = self.message_bytes;
        if length > limit {
            return Ok(Some(too_large(origin, length, limit)));
        }
        let is_whole = (bytes.len() as u64) < HEAD_BYTES;
        bytes.reserve_exact((length as usize).saturating_sub(bytes.len()));
        let more = limit.saturating_add(1).saturating_sub(bytes.len() as u64);
        let rest = if is_whole { Ok(0) } else { reader.take(more).read_to_end(&mut bytes) };
        match rest {
            Ok(_) if bytes.len() as u64 > limit => Ok(Some(too_large(origin, bytes.len() as u64, limit))),
            Ok(_) => Ok(Some(Taken::Message(Message { origin, bytes, received_at }))),
            Err(error) => unreadable(origin, &error).map(Some),
        }
    }
}

impl Source for FileSource {
    fn next(&mut self) -> Result<Option<Taken>, Error> {
        loop {
            if let Some(taken) = self.next_piece()? {
                return Ok(Some(taken));
            }
            let taken = match self.pending.pop_front() {
                None => return Ok(None),
                Some(Place::File(path)) => self.take_file(path)?,
                Some(Place::Unreadable(path, error)) => Some(unreadable(origin(Some(&path), None), &error)?),
                Some(Place::Stdin) => match self.stdin.take() {
                    Some(stdin) => self.take(stdin, None, None)?,
                    None => None,
                },
            };
            if taken.is_some() {
                return Ok(taken);
            }
        }
    }

    /// Files stay as they are, whatever became of them.
    fn settle(&mut self, _settled: &[(Origin, Fate)]) -> Result<Vec<Origin>, Error> {
        Ok(Vec::new())
    }

    /// Files to come; an mbox counts as one until it is open, and is then left out.
    fn remaining(&self) -> Option<u64> {
        Some(self.pending.len() as u64)
    }
}

fn origin(path: Option<&Path>, index: Option<u32>) -> Origin {
    match path {
        Some(path) => Origin::File { path: path.to_owned(), index },
        None => Origin::Stdin { index },
    }
}

fn too_large(origin: Origin, bytes: u64, limit: u64) -> Taken {
    Taken::Refused { origin, bytes, refusal: Refused::TooLarge { limit } }
}

/// A file that can not be read, unless that is no fault of the file: out of memory or file descriptors, nothing else
/// can be read either, and the next run may be luckier.
fn unreadable(origin: Origin, error: &io::Error) -> Result<Taken, Error> {
    // ENFILE and EMFILE.
    if matches!(error.raw_os_error(), Some(23 | 24)) || error.kind() == io::ErrorKind::OutOfMemory {
        return Err(Error { kind: ErrorKind::Temporary, place: origin.to_string(), reason: error.to_string() });
    }
    Ok(Taken::Refused { origin, bytes: 0, refusal: Refused::Unreadable(error.to_string()) })
}

/// When the file was last written, seconds since the epoch.
fn modified_at(metadata: &Metadata) -> Option<i64> {
    let modified = metadata.modified().ok()?;
    match modified.duration_since(std::time::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).ok(),
        Err(before) => i64::try_from(before.duration().as_secs()).ok().map(|seconds| -seconds),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    const MAIL: &str = "From: a@b\nSubject: x\n\nbody\n";
    const FROM: &str = "From a@b Wed Jul  2 01:02:03 2025\n";

    /// Everything a source hands out, as `origin: bytes` or `origin: why not`.
    fn taken(mut source: FileSource, root: &Path) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(taken) = source.next().unwrap() {
            found.push(match taken {
                Taken::Message(message) => {
                    let is_stdin = matches!(message.origin, Origin::Stdin { .. });
                    assert_eq!(message.received_at.is_none(), is_stdin);
                    format!("{}: {}", message.origin, String::from_utf8_lossy(&message.bytes))
                }
                Taken::Refused { origin, bytes, refusal } => format!("{origin}: {bytes} {refusal:?}"),
            });
        }
        found.iter().map(|line| line.replace(&format!("{}/", root.display()), "")).collect()
    }

    fn source(paths: &[&Path], stdin: &'static str, limit: u64) -> FileSource {
        let paths = paths.iter().map(|path| path.to_path_buf()).collect();
        FileSource::with_stdin(paths, !stdin.is_empty(), limit, Box::new(stdin.as_bytes()))
    }

    #[test]
    fn a_tree_is_walked_by_name_without_hidden_and_linked_directories() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        for directory in ["tree/b", "tree/.hidden", "else"] {
            fs::create_dir_all(path(directory)).unwrap();
        }
        for (file, text) in [
            ("tree/c.xml", "<feedback/>"),
            ("tree/b/2.eml", "2"),
            ("tree/b/10.eml", "10"),
            ("tree/a", ""),
            ("tree/.note", "no"),
            ("tree/.hidden/x", "no"),
            ("else/e.eml", "e"),
        ] {
            fs::write(path(file), text).unwrap();
        }
        symlink(path("tree"), path("tree/loop")).unwrap();
        symlink(path("else"), path("tree/else")).unwrap();
        symlink(path("else/e.eml"), path("tree/link.eml")).unwrap();
        symlink(path("nowhere"), path("tree/broken.eml")).unwrap();
        let found = taken(source(&[&path("tree"), &path("tree/c.xml")], "", 100), root.path());
        let mut expected = vec!["tree/a: ", "tree/b/10.eml: 10", "tree/b/2.eml: 2", "tree/c.xml: <feedback/>"];
        expected.push("tree/link.eml: e");
        let (refused, read): (Vec<&str>, Vec<&str>) =
            found.iter().map(String::as_str).partition(|line| line.contains("Unreadable"));
        assert_eq!(read, expected);
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert!(refused[0].starts_with("tree/broken.eml: 0 Unreadable"), "{refused:?}");
    }

    #[test]
    fn a_maildir_is_its_cur_and_new() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        for directory in ["cur", "new", "tmp", ".Sent/cur", ".Sent/new"] {
            fs::create_dir_all(path(directory)).unwrap();
        }
        for file in ["cur/1:2,S", "cur/2:2,", "new/3", "tmp/4", ".Sent/cur/5", "dovecot-uidlist", "new/.6"] {
            fs::write(path(file), "mail").unwrap();
        }
        let found = taken(source(&[root.path()], "", 100), root.path());
        assert_eq!(found, ["cur/1:2,S: mail", "cur/2:2,: mail", "new/3: mail"]);
    }

    #[test]
    fn an_mbox_is_told_by_its_content() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::write(path("two"), format!("{FROM}{MAIL}\n{FROM}{MAIL}")).unwrap();
        fs::write(path("one"), format!("{FROM}{MAIL}")).unwrap();
        fs::write(path("quoting"), format!("{MAIL}\n{FROM}Also: text\n")).unwrap();
        let found = taken(source(&[&path("two"), &path("one"), &path("quoting")], "", 100), root.path());
        assert_eq!(
            found,
            [
                format!("two#0: {MAIL}"),
                format!("two#1: {MAIL}"),
                format!("one: {MAIL}"),
                format!("quoting: {MAIL}\n{FROM}Also: text\n"),
            ]
        );
    }

    /// Some complaints of Yahoo begin with a `From ` line, and so does the message within.
    #[test]
    fn a_complaint_is_one_message() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/feedback");
        if !corpus.is_dir() {
            return;
        }
        let mut source = source(&[&corpus], "", 1 << 20);
        let files = source.remaining();
        let mut messages = 0;
        while let Some(taken) = source.next().unwrap() {
            let Taken::Message(message) = taken else { panic!("{taken:?}") };
            assert!(matches!(message.origin, Origin::File { index: None, .. }), "{}", message.origin);
            messages += 1;
        }
        assert_eq!(files, Some(messages));
    }

    #[test]
    fn standard_input_may_be_any_of_them() {
        let none = Path::new("");
        assert_eq!(taken(source(&[], MAIL, 100), none), [format!("-: {MAIL}")]);
        assert_eq!(taken(source(&[Path::new("-")], MAIL, 100), none), [format!("-: {MAIL}")]);
        let mbox = "From a Wed Jul  2 01:02:03 2025\nA: 1\n\n\nFrom b Wed Jul  2 01:02:03 2025\nB: 2\n";
        assert_eq!(taken(source(&[], mbox, 100), none), ["-#0: A: 1\n\n", "-#1: B: 2\n"]);
        assert_eq!(taken(source(&[], MAIL, 5), none), ["-: 27 TooLarge { limit: 5 }"]);
    }

    #[test]
    fn what_can_not_be_taken_is_told_and_the_rest_goes_on() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::write(path("large"), "x".repeat(200)).unwrap();
        fs::write(path("box"), format!("{FROM}A: {}\n\n{FROM}B: 2\n", "x".repeat(200))).unwrap();
        fs::write(path("good"), "good").unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), rustix::fs::Mode::RUSR).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        let paths = ["large", "missing", "box", "pipe", "socket", "good"].map(path);
        let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        let found = taken(source(&paths, "", 100), root.path());
        assert_eq!(found[0], "large: 200 TooLarge { limit: 100 }");
        assert!(found[1].starts_with("missing: 0 Unreadable(\"No such file"), "{}", found[1]);
        assert_eq!(found[2], "box#0: 204 TooLarge { limit: 100 }");
        assert_eq!(found[3], "box#1: B: 2\n");
        assert_eq!(found[4], "pipe: 0 Unreadable(\"neither a file nor a directory\")");
        assert_eq!(found[5], "socket: 0 Unreadable(\"neither a file nor a directory\")");
        assert_eq!(found[6..], ["good: good"]);
    }

    #[test]
    fn a_file_is_taken_whole_however_long_it_is() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        for length in [0, 1, HEAD_BYTES - 1, HEAD_BYTES, HEAD_BYTES + 1, 5 * HEAD_BYTES] {
            let text: String = (b'a'..=b'z').cycle().take(length as usize).map(char::from).collect();
            fs::write(&path, &text).unwrap();
            assert_eq!(taken(source(&[&path], "", length), root.path()), [format!("file: {text}")]);
            let more = format!("file: {} TooLarge {{ limit: {length} }}", length + 1);
            fs::write(&path, text + "x").unwrap();
            assert_eq!(taken(source(&[&path], "", length), root.path()), [more]);
        }
    }

    #[test]
    fn what_is_left_is_known() {
        let root = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            fs::write(root.path().join(name), "x").unwrap();
        }
        let mut source = source(&[root.path()], "", 100);
        for left in [3, 2, 1] {
            assert_eq!(source.remaining(), Some(left));
            source.next().unwrap();
        }
        assert_eq!(source.remaining(), Some(0));
    }
}
