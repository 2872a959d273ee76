//! GNU Mailman 3: members to delete, for `mailman delmembers --fromall -f FILE`.

use super::{Format, List, Refused, Removal, Row, Same, text};

/// What is lifted needs nothing: who was deleted subscribes again, or not.
pub const FORMAT: Format = Format {
    name: "mailman",
    about: "GNU Mailman 3: one address per line for mailman delmembers --file",
    extension: "txt",
    lists: &[List::lines("", row)],
    list: |_| 0,
    same: Same::Address,
    sheet: false,
    marks_pending: false,
    removal: Removal::Nothing("who was taken off a list subscribes again, or not"),
};

/// A line that begins with `#` would be a comment; in angle brackets it is an address.
fn row(row: &Row, out: &mut Vec<u8>) -> Result<(), Refused> {
    let (open, close) = if row.address.starts_with('#') { ("<", ">") } else { ("", "") };
    text(open, out);
    text(&row.address, out);
    text(close, out);
    out.push(b'\n');
    Ok(())
}
