//! Exim, file for an `lsearch` lookup by address: `key: data`.

use super::{Format, List, Refused, Removal, Row, Same, ascii, text, unquoted};

/// The search heeds no case. Exim reads the file at each lookup, so it must be whole.
pub const FORMAT: Format = Format {
    name: "exim",
    about: "Exim lsearch file: address and data",
    extension: "txt",
    lists: &[List::lines("", row)],
    list: |_| 0,
    same: Same::Folded,
    sheet: false,
    marks_pending: false,
    removal: Removal::Whole("Exim reads the whole file at each lookup"),
};

/// A key with `#` in it must stand in quotes. Without a quoted local part no key holds a colon, a blank or a quote.
fn row(row: &Row, out: &mut Vec<u8>) -> Result<(), Refused> {
    ascii(row)?;
    unquoted(row)?;
    let quote = if row.address.contains('#') { "\"" } else { "" };
    text(quote, out);
    text(&row.address, out);
    text(quote, out);
    text(": recipient is on the suppression list\n", out);
    Ok(())
}
