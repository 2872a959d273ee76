//! From rows to files: one entry for each address, files no larger than the target takes, and what changed since last.

use std::io;

use sha2::{Digest, Sha256};

use super::{Format, List, Refused, Removal, Row, Same, State, check};

/// Bytes gathered before they are handed on.
const BUFFER_BYTES: usize = 64 << 10;

/// One file of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Which list of the format, by its index.
    pub list: usize,
    /// What may be mailed again, in a file of its own.
    pub removal: bool,
    /// Counts the files of one list, from 1.
    pub part: u32,
}

/// What an export holds of one address: enough to see later what changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The address in lower case: what entries are ordered by.
    pub folded: String,
    /// Name of the list of the format.
    pub list: String,
    /// The address as written.
    pub address: String,
    /// The From domain, in formats that tell it; else empty.
    pub scope: String,
    /// Digest of what was written.
    pub digest: Vec<u8>,
}

/// What became of an entry since the last export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new, or is written otherwise now.
    Written,
    /// It is gone.
    Removed,
}

/// Where bytes go, and who knows what was exported last.
pub trait Desk {
    /// Why either fails.
    type Error: From<io::Error>;

    /// Appends to a file. The first bytes for a place begin it; there may be none.
    ///
    /// # Errors
    /// Of the file.
    fn write(&mut self, place: Place, bytes: &[u8]) -> Result<(), Self::Error>;

    /// The next entry of the last export, ordered by its address in lower case.
    ///
    /// # Errors
    /// Of whoever keeps them.
    fn previous(&mut self) -> Result<Option<Entry>, Self::Error> {
        Ok(None)
    }

    /// Notes a change.
    ///
    /// # Errors
    /// Of whoever keeps them.
    fn changed(&mut self, change: Change, entry: &Entry) -> Result<(), Self::Error> {
        let _ = (change, entry);
        Ok(())
    }

    /// Tells that an address is not in the list, and why.
    fn refused(&mut self, address: &str, why: Refused);
}

/// How to export.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Write only what changed since the last export.
    pub changes_only: bool,
    /// Write also addresses that a spreadsheet would run.
    pub formulas: bool,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Entries that the target has when it has taken this.
    pub entries: u64,
    /// Entries written, changed ones among them.
    pub written: u64,
    /// Entries that are gone since the last export.
    pub removed: u64,
    /// Addresses that could not be written.
    pub refused: u64,
    /// The files, in order.
    pub places: Vec<Place>,
}

/// Takes rows in the order of their address in lower case, then of their From domain.
pub struct Export<'d, D: Desk> {
    format: &'static Format,
    options: Options,
    desk: &'d mut D,
    /// The rows of one address, brought down to entries.
    group: Vec<(usize, Row)>,
    /// The first entry of the last export that is not dealt with.
    previous: Option<Entry>,
    asked: bool,
    files: Vec<File>,
    removals: Vec<File>,
    encoded: Vec<u8>,
    written: Written,
}

/// The file of a list that is being written.
#[derive(Default)]
struct File {
    part: u32,
    rows: u64,
    bytes: u64,
    /// Entries in the body that is open; 0: none is.
    in_body: u64,
    total: u64,
    buffer: Vec<u8>,
}

impl<'d, D: Desk> Export<'d, D> {
    /// An export with nothing in it.
    pub fn new(format: &'static Format, options: Options, desk: &'d mut D) -> Self {
        let files = || format.lists.iter().map(|_| File::default()).collect();
        Export {
            format,
            options,
            desk,
            group: Vec::new(),
            previous: None,
            asked: false,
            files: files(),
            removals: files(),
            encoded: Vec::new(),
            written: Written::default(),
        }
    }

    /// Takes the next row.
    ///
    /// # Errors
    /// Of the desk; a row out of order.
    pub fn row(&mut self, mut row: Row) -> Result<(), D::Error> {
        if let Some((_, first)) = self.group.first() {
            if first.folded > row.folded {
                return Err(io::Error::other("rows out of order: a bug in dmarcdb, please report it").into());
            }
            if first.folded != row.folded {
                self.flush()?;
            }
        }
        match self.format.same {
            Same::Scope => {}
            Same::Address => row.scope.clear(),
            Same::Folded => {
                row.scope.clear();
                row.address = row.address.to_lowercase();
            }
        }
        let list = (self.format.list)(&row);
        let known = self
            .group
            .iter_mut()
            .find(|(known, other)| *known == list && other.address == row.address && other.scope == row.scope);
        match known {
            Some((_, other)) if (row.state, row.class()) < (other.state, other.class()) => *other = row,
            Some(_) => {}
            None => self.group.push((list, row)),
        }
        Ok(())
    }

    /// Ends every file.
    ///
    /// # Errors
    /// Of the desk.
    pub fn finish(mut self) -> Result<Written, D::Error> {
        self.flush()?;
        if self.options.changes_only {
            self.gone_before(None)?;
        }
        let files = self.removals_are_listed();
        for list in 0..self.format.lists.len() {
            self.end(list, false)?;
            if files {
                self.end(list, true)?;
            }
        }
        self.written.places.sort_unstable();
        Ok(self.written)
    }

    fn removals_are_listed(&self) -> bool {
        self.options.changes_only && matches!(self.format.removal, Removal::Listed(_))
    }

    /// Writes the entries of one address.
    fn flush(&mut self) -> Result<(), D::Error> {
        let group = std::mem::take(&mut self.group);
        let Some((_, first)) = group.first() else { return Ok(()) };
        let mut last = match self.options.changes_only {
            true => self.last_of(&first.folded.clone())?,
            false => Vec::new(),
        };
        let mut told: Vec<&str> = Vec::new();
        for (list, row) in &group {
            match self.encode(*list, row) {
                Ok(()) => self.entry(*list, row, &mut last)?,
                Err(why) => {
                    // Several From domains or lists are one address to whoever reads this.
                    if !told.contains(&row.address.as_str()) {
                        self.desk.refused(&row.address, why);
                        self.written.refused += 1;
                        told.push(&row.address);
                    }
                }
            }
        }
        for entry in last {
            self.remove(&entry)?;
        }
        self.group = group;
        self.group.clear();
        Ok(())
    }

    fn encode(&mut self, list: usize, row: &Row) -> Result<(), Refused> {
        check(row, self.format.sheet && !self.options.formulas)?;
        let form = &self.format.lists[list];
        if form.total.is_some_and(|total| self.files[list].total >= total) {
            return Err(Refused::Full(form.total.unwrap_or_default()));
        }
        self.encoded.clear();
        (form.write)(row, &mut self.encoded)?;
        self.files[list].total += 1;
        Ok(())
    }

    /// Writes what was encoded, unless the target has it. `last` are the entries of this address in the last export;
    /// this one is taken from them.
    fn entry(&mut self, list: usize, row: &Row, last: &mut Vec<Entry>) -> Result<(), D::Error> {
        self.written.entries += 1;
        if !self.options.changes_only {
            self.written.written += 1;
            return self.put(list, false);
        }
        let name = self.format.lists[list].name;
        let digest = Sha256::digest(&self.encoded)[..16].to_vec();
        let same = |entry: &Entry| entry.list == name && entry.address == row.address && entry.scope == row.scope;
        let known = last.iter().position(same).map(|index| last.swap_remove(index));
        if known.is_some_and(|entry| entry.digest == digest) {
            return Ok(());
        }
        self.written.written += 1;
        self.put(list, false)?;
        let (folded, address, scope) = (row.folded.clone(), row.address.clone(), row.scope.clone());
        self.desk.changed(Change::Written, &Entry { folded, list: name.to_owned(), address, scope, digest })
    }

    /// The entries that the last export has of an address; those of addresses before it are gone.
    fn last_of(&mut self, folded: &str) -> Result<Vec<Entry>, D::Error> {
        self.gone_before(Some(folded))?;
        let mut found = Vec::new();
        while let Some(entry) = self.previous.take_if(|entry| entry.folded == folded) {
            found.push(entry);
            self.previous = self.desk.previous()?;
        }
        Ok(found)
    }

    fn gone_before(&mut self, folded: Option<&str>) -> Result<(), D::Error> {
        if !self.asked {
            self.asked = true;
            self.previous = self.desk.previous()?;
        }
        while let Some(entry) =
            self.previous.take_if(|entry| folded.is_none_or(|folded| entry.folded.as_str() < folded))
        {
            self.remove(&entry)?;
            self.previous = self.desk.previous()?;
        }
        Ok(())
    }

    fn remove(&mut self, entry: &Entry) -> Result<(), D::Error> {
        self.written.removed += 1;
        let list = self.format.lists.iter().position(|list| list.name == entry.list).unwrap_or_default();
        let row = Row {
            folded: entry.folded.clone(),
            address: entry.address.clone(),
            kind: String::new(),
            reason: String::new(),
            scope: entry.scope.clone(),
            since_at: None,
            until_at: None,
            evidence: String::new(),
            state: State::Removed,
        };
        let form = match &self.format.removal {
            Removal::Marked => Some((&self.format.lists[list], false)),
            Removal::Listed(form) => Some((form, true)),
            Removal::Nothing(_) | Removal::Whole(_) => None,
        };
        if let Some((form, removal)) = form {
            self.encoded.clear();
            match (form.write)(&row, &mut self.encoded) {
                Ok(()) => self.put(list, removal)?,
                Err(why) => {
                    self.desk.refused(&row.address, why);
                    self.written.refused += 1;
                    return Ok(());
                }
            }
        }
        self.desk.changed(Change::Removed, entry)
    }

    fn form(&self, list: usize, removal: bool) -> &'static List {
        match &self.format.removal {
            Removal::Listed(form) if removal => form,
            _ => &self.format.lists[list],
        }
    }

    /// Appends what was encoded to the file of a list, beginning another where the target's limit is reached.
    fn put(&mut self, list: usize, removal: bool) -> Result<(), D::Error> {
        let form = self.form(list, removal);
        let encoded = std::mem::take(&mut self.encoded);
        let file = &self.files(removal)[list];
        let frame = form.body.as_ref().map_or(0, |body| body.open.len() + body.close.len() + 1);
        let bytes = (encoded.len() + frame) as u64;
        let full = form.rows.is_some_and(|rows| file.rows >= rows)
            || (file.rows > 0 && form.bytes.is_some_and(|most| file.bytes + bytes > most));
        if full {
            self.end(list, removal)?;
        }
        if self.files(removal)[list].bytes == 0 && self.files(removal)[list].rows == 0 {
            self.begin(list, removal);
        }
        let file = &mut self.files(removal)[list];
        if let Some(body) = &form.body {
            if file.in_body == body.rows {
                file.append(body.close.as_bytes());
                file.in_body = 0;
            }
            file.append(if file.in_body == 0 { body.open.as_bytes() } else { b"," });
            file.in_body += 1;
        }
        file.append(&encoded);
        file.rows += 1;
        self.encoded = encoded;
        if self.files(removal)[list].buffer.len() >= BUFFER_BYTES {
            self.hand_on(list, removal)?;
        }
        Ok(())
    }

    fn files(&mut self, removal: bool) -> &mut Vec<File> {
        if removal { &mut self.removals } else { &mut self.files }
    }

    fn begin(&mut self, list: usize, removal: bool) {
        let head = self.form(list, removal).head;
        let file = &mut self.files(removal)[list];
        file.part += 1;
        let place = Place { list, removal, part: file.part };
        file.append(head.as_bytes());
        self.written.places.push(place);
    }

    /// Ends the file of a list; one that was never begun is there, and empty but for its head.
    fn end(&mut self, list: usize, removal: bool) -> Result<(), D::Error> {
        let form = self.form(list, removal);
        let file = &self.files(removal)[list];
        if file.part == 0 {
            self.begin(list, removal);
        } else if file.rows == 0 {
            return Ok(());
        }
        let file = &mut self.files(removal)[list];
        if let Some(body) = form.body.as_ref().filter(|_| file.in_body > 0) {
            file.append(body.close.as_bytes());
        }
        self.hand_on(list, removal)?;
        let file = &mut self.files(removal)[list];
        (file.rows, file.bytes, file.in_body) = (0, 0, 0);
        Ok(())
    }

    fn hand_on(&mut self, list: usize, removal: bool) -> Result<(), D::Error> {
        let file = &mut self.files(removal)[list];
        let place = Place { list, removal, part: file.part };
        let mut buffer = std::mem::take(&mut file.buffer);
        self.desk.write(place, &buffer)?;
        buffer.clear();
        self.files(removal)[list].buffer = buffer;
        Ok(())
    }
}

impl File {
    fn append(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        self.bytes += bytes.len() as u64;
    }
}
