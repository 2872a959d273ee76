//! Postfix, access(5) table for `check_recipient_access`, to be indexed by postmap(1).

use super::{Format, List, Refused, Removal, Row, Same, ascii, text, unquoted, without};

/// Keys are in lower case, as Postfix looks them up. Removals are keys for `postmap -d -`.
pub const FORMAT: Format = Format {
    name: "postfix",
    about: "Postfix access(5) table for check_recipient_access",
    extension: "txt",
    lists: &[List::lines("", row)],
    list: |_| 0,
    same: Same::Folded,
    sheet: false,
    marks_pending: false,
    removal: Removal::Listed(List::lines("remove", removed)),
};

/// "The table format does not understand quoting conventions", and `#` begins a comment.
fn key(row: &Row, out: &mut Vec<u8>) -> Result<(), Refused> {
    ascii(row)?;
    unquoted(row)?;
    if row.address.starts_with('#') {
        without(row, &['#'])?;
    }
    text(&row.address, out);
    Ok(())
}

fn row(row: &Row, out: &mut Vec<u8>) -> Result<(), Refused> {
    key(row, out)?;
    text("\tREJECT 5.7.1 recipient is on the suppression list\n", out);
    Ok(())
}

fn removed(row: &Row, out: &mut Vec<u8>) -> Result<(), Refused> {
    key(row, out)?;
    out.push(b'\n');
    Ok(())
}
