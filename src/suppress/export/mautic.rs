//! Mautic, import of contacts: map `email` to Email and `doNotEmail` to the special field Do Not Contact.

use super::{Format, List, Refused, Removal, Row, Same, cell, line, text};

/// `1` marks the contact as not to be contacted. An import never takes the mark off again.
pub const FORMAT: Format = Format {
    name: "mautic",
    about: "Mautic contact import: CSV with the columns email and doNotEmail",
    extension: "csv",
    lists: &[List { head: "email,doNotEmail\n", ..List::lines("", row) }],
    list: |_| 0,
    same: Same::Address,
    sheet: true,
    marks_pending: false,
    removal: Removal::Listed(List::lines("remove", line)),
};

fn row(row: &Row, out: &mut Vec<u8>) -> Result<(), Refused> {
    cell(&row.address, out);
    text(",1\n", out);
    Ok(())
}
