//! Brevo, contacts import with `emailBlacklist: true`: CSV of one column.

use super::{Format, List, Refused, Removal, Row, Same, line, text, without};

/// Eight megabytes a file: what Brevo calls safe for `fileBody`, of which ten are the most.
pub const FORMAT: Format = Format {
    name: "brevo",
    about: "Brevo contacts import (fileBody or fileUrl, with emailBlacklist true): CSV of one column",
    extension: "csv",
    lists: &[List { head: "EMAIL\n", bytes: Some(8_000_000), ..List::lines("", row) }],
    list: |_| 0,
    same: Same::Address,
    sheet: true,
    marks_pending: false,
    removal: Removal::Listed(List::lines("remove", line)),
};

/// Columns are separated by semicolons; nothing is said of quotes.
fn row(row: &Row, out: &mut Vec<u8>) -> Result<(), Refused> {
    without(row, &['"', ';', ','])?;
    text(&row.address, out);
    out.push(b'\n');
    Ok(())
}
