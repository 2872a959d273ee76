//! listmonk, import of subscribers in mode `blocklist`: CSV with the column `email`.

use super::{Format, List, Refused, Removal, Row, Same, cell, line};

/// listmonk trims addresses and takes them in lower case.
pub const FORMAT: Format = Format {
    name: "listmonk-csv",
    about: "listmonk import in mode blocklist: CSV with the column email",
    extension: "csv",
    lists: &[List { head: "email\n", ..List::lines("", row) }],
    list: |_| 0,
    same: Same::Folded,
    sheet: true,
    marks_pending: false,
    removal: Removal::Listed(List::lines("remove", line)),
};

fn row(row: &Row, out: &mut Vec<u8>) -> Result<(), Refused> {
    cell(&row.address, out);
    out.push(b'\n');
    Ok(())
}
