//! The formats a suppression list is handed on in, one file each: rows in, bytes out, the same bytes for the same rows.
//! `docs/suppression-formats.md` says which sentence of a target's documentation each follows.

mod brevo;
mod csv;
mod exim;
mod listmonk;
mod listmonk_csv;
mod mailgun;
mod mailman;
mod mandrill;
mod mautic;
mod md5;
mod ndjson;
mod plain;
mod postfix;
mod postmark;
mod sendgrid;
mod ses_csv;
mod ses_ndjson;
mod sha256;
mod sparkpost;
mod write;

use std::fmt;

use crate::report::address::{Address, Fault};

pub use write::{Change, Desk, Entry, Export, Options, Place, Written};

/// Every format, in the order in which help lists them.
pub const FORMATS: [&Format; 19] = [
    &csv::FORMAT,
    &ndjson::FORMAT,
    &plain::FORMAT,
    &ses_csv::FORMAT,
    &ses_ndjson::FORMAT,
    &sendgrid::FORMAT,
    &mailgun::FORMAT,
    &postmark::FORMAT,
    &sparkpost::FORMAT,
    &mandrill::FORMAT,
    &brevo::FORMAT,
    &listmonk::FORMAT,
    &listmonk_csv::FORMAT,
    &mautic::FORMAT,
    &mailman::FORMAT,
    &postfix::FORMAT,
    &exim::FORMAT,
    &md5::FORMAT,
    &sha256::FORMAT,
];

/// The format of that name.
pub fn format(name: &str) -> Option<&'static Format> {
    FORMATS.into_iter().find(|format| format.name == name)
}

/// One suppression, as in `v_suppression`, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The address in lower case: what targets match by, and what rows are ordered by.
    pub folded: String,
    /// The address, exactly.
    pub address: String,
    /// What kind of event suppresses it: `complaint`, `unsubscribe`, `add`, `hard_bounce`, ….
    pub kind: String,
    /// Feedback type, or what a person wrote.
    pub reason: String,
    /// The From domain it is about; empty for every domain.
    pub scope: String,
    /// When it began, seconds since the epoch, UTC; `None` where it is removed.
    pub since_at: Option<i64>,
    /// When it ends; `None` for never.
    pub until_at: Option<i64>,
    /// What it rests on.
    pub evidence: String,
    /// Where it stands.
    pub state: State,
}

/// Where a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Not to be mailed.
    Active,
    /// Named by a complaint that is not known to be genuine.
    Pending,
    /// In the last export, and suppressed no more.
    Removed,
}

impl State {
    /// The word in exports.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Active => "active",
            State::Pending => "pending",
            State::Removed => "removed",
        }
    }
}

/// What targets tell apart, in the order of what weighs more where an address has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The person objected.
    Complaint,
    /// The person asked to be removed.
    Unsubscribe,
    /// Somebody of ours added it, or whatever else there is.
    Other,
    /// The mailbox does not take mail.
    Bounce,
}

impl Row {
    /// What a target would call it.
    pub fn class(&self) -> Class {
        match self.kind.as_str() {
            "complaint" => Class::Complaint,
            "unsubscribe" => Class::Unsubscribe,
            kind if kind.ends_with("bounce") => Class::Bounce,
            _ => Class::Other,
        }
    }
}

/// How a list is written for one target.
#[derive(Debug)]
pub struct Format {
    /// What `--format` takes.
    pub name: &'static str,
    /// One line of help.
    pub about: &'static str,
    /// What files of it are called by.
    pub extension: &'static str,
    /// The lists it has, each in files of its own: one, or one for each reason.
    pub lists: &'static [List],
    /// Which of them a row goes to.
    pub list: fn(&Row) -> usize,
    /// What is one entry.
    pub same: Same,
    /// A spreadsheet may open it, so no cell may begin as a formula does.
    pub sheet: bool,
    /// Whether it shows that a row is pending.
    pub marks_pending: bool,
    /// How it tells that an address may be mailed again.
    pub removal: Removal,
}

/// What is one entry of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Same {
    /// An address and a From domain.
    Scope,
    /// An address as it is spelled: the target may heed its case.
    Address,
    /// An address in lower case, which is what is written.
    Folded,
}

/// One list of a format: its files are of this form.
#[derive(Debug)]
pub struct List {
    /// What its file names end in; empty where there is but one.
    pub name: &'static str,
    /// The first line of each file, with its end; may be empty.
    pub head: &'static str,
    /// Where the target takes several entries in one body: each body is one line.
    pub body: Option<Body>,
    /// Entries that one file may have.
    pub rows: Option<u64>,
    /// Bytes that one file may have.
    pub bytes: Option<u64>,
    /// Entries that the target takes at all.
    pub total: Option<u64>,
    /// Writes one entry: a line with its end, or an element of a body.
    pub write: fn(&Row, &mut Vec<u8>) -> Result<(), Refused>,
}

impl List {
    /// A list without limits, one line for an entry.
    const fn lines(name: &'static str, write: fn(&Row, &mut Vec<u8>) -> Result<(), Refused>) -> List {
        List { name, head: "", body: None, rows: None, bytes: None, total: None, write }
    }
}

/// The frame around several entries.
#[derive(Debug)]
pub struct Body {
    /// Before the first.
    pub open: &'static str,
    /// After the last; entries have a comma between them.
    pub close: &'static str,
    /// Entries in one.
    pub rows: u64,
    /// Elements that one entry is.
    pub elements: u64,
}

/// How a format tells that an address may be mailed again.
#[derive(Debug)]
pub enum Removal {
    /// A row of its own, in the same file.
    Marked,
    /// Files of their own.
    Listed(List),
    /// The target has nothing to undo, for this reason.
    Nothing(&'static str),
    /// Not at all, for this reason: only whole lists can be exported.
    Whole(&'static str),
}

/// Why an address is not in the list that was written. Whoever asked must be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is no address.
    Address(Fault),
    /// Its domain is an address literal.
    Literal,
    /// A spreadsheet would run it.
    Formula,
    /// The target takes ASCII local parts only, as far as is known.
    NotAscii,
    /// The target has no way to write a quoted local part.
    Quoted,
    /// The target has no way to write this character.
    Character(char),
    /// The target takes no more than so many.
    Full(u64),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Address(fault) => write!(f, "not a mail address ({fault}): lift it"),
            Refused::Literal => f.write_str("an address literal, which no list holds"),
            Refused::Formula => f.write_str(
                "a spreadsheet would run it as a formula: use a format that is not CSV, or --allow-formulas",
            ),
            Refused::NotAscii => f.write_str("the format takes ASCII local parts only"),
            Refused::Quoted => f.write_str("the format has no quoted local parts"),
            Refused::Character(character) => write!(f, "the format has no way to write `{character}`"),
            Refused::Full(total) => write!(f, "the target takes {total} entries at most"),
        }
    }
}

/// What no format can write, and what this one cannot in a cell.
fn check(row: &Row, sheet: bool) -> Result<(), Refused> {
    let address = Address::parse(&row.address).map_err(Refused::Address)?;
    if address.is_literal() {
        return Err(Refused::Literal);
    }
    if sheet && runs_in_spreadsheets(&row.address) {
        return Err(Refused::Formula);
    }
    Ok(())
}

/// Refuses local parts outside ASCII. The domain is an A-label always.
fn ascii(row: &Row) -> Result<(), Refused> {
    if row.address.is_ascii() { Ok(()) } else { Err(Refused::NotAscii) }
}

/// Refuses quoted local parts.
fn unquoted(row: &Row) -> Result<(), Refused> {
    if row.address.starts_with('"') { Err(Refused::Quoted) } else { Ok(()) }
}

/// Refuses addresses that hold one of these.
fn without(row: &Row, characters: &[char]) -> Result<(), Refused> {
    row.address.chars().find(|c| characters.contains(c)).map_or(Ok(()), |c| Err(Refused::Character(c)))
}

/// One address on one line.
fn line(row: &Row, out: &mut Vec<u8>) -> Result<(), Refused> {
    out.extend_from_slice(row.address.as_bytes());
    out.push(b'\n');
    Ok(())
}

/// Whether a spreadsheet takes a text for a formula by its first character (full-width forms included).
fn runs_in_spreadsheets(text: &str) -> bool {
    let first = text.trim_start().chars().next();
    first.is_some_and(|c| "=+-@＝＋－＠".contains(c)) || text.starts_with(['\t', '\r'])
}

/// A cell of CSV as RFC 4180 quotes it.
fn quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for piece in text.split_inclusive('"') {
        out.extend_from_slice(piece.as_bytes());
        if piece.ends_with('"') {
            out.push(b'"');
        }
    }
    out.push(b'"');
}

/// A cell of CSV, quoted where it must be; for text without line breaks.
fn cell(text: &str, out: &mut Vec<u8>) {
    if text.contains(['"', ',', ';']) {
        quoted(text, out);
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

/// A cell of words for people: on one line, nothing in it that acts, and nothing that a spreadsheet would run.
fn words(text: &str, out: &mut Vec<u8>) {
    let guard = if runs_in_spreadsheets(text) { "'" } else { "" };
    if guard.is_empty() && !text.contains(unseen) {
        return cell(text, out);
    }
    let shown = text.chars().fold(guard.to_owned(), |mut shown, c| {
        if unseen(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
        shown
    });
    cell(&shown, out);
}

/// Characters that act instead of being seen: controls, line breaks, direction.
fn unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A JSON string. What acts on a terminal is escaped, which loses nothing.
fn json(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut units = [0; 2];
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
            c if unseen(c) => {
                for unit in c.encode_utf16(&mut units) {
                    out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
                }
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

/// Bytes as hexadecimal digits in lower case.
fn hexadecimal(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend(bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]));
}

/// Appends text.
fn text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests;
