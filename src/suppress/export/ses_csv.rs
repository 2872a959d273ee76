//! Amazon SES, account-level suppression list in bulk, as CSV without a header: `address,COMPLAINT` to put,
//! `address` to delete.

use super::{Class, Format, List, Refused, Removal, Row, Same, ascii, text, without};

/// One file is one import job: 100 000 addresses to put, 10 000 to delete.
pub const FORMAT: Format = Format {
    name: "ses-csv",
    about: "Amazon SES CreateImportJob with DataFormat CSV: files to put, and with --since-last to delete",
    extension: "csv",
    lists: &[List { rows: Some(100_000), ..List::lines("", put) }],
    list: |_| 0,
    same: Same::Address,
    sheet: true,
    marks_pending: false,
    removal: Removal::Listed(List { rows: Some(10_000), ..List::lines("remove", delete) }),
};

/// SES has two reasons. Who asked for no more mail is as one who complained: SES must not send.
pub(super) fn reason(row: &Row) -> &'static str {
    if row.class() == Class::Bounce { "BOUNCE" } else { "COMPLAINT" }
}

/// The examples show no quotes, and nothing says that SES would take them off again.
fn address(row: &Row, out: &mut Vec<u8>) -> Result<(), Refused> {
    ascii(row)?;
    without(row, &['"', ',', ' '])?;
    text(&row.address, out);
    Ok(())
}

fn put(row: &Row, out: &mut Vec<u8>) -> Result<(), Refused> {
    address(row, out)?;
    out.push(b',');
    text(reason(row), out);
    out.push(b'\n');
    Ok(())
}

fn delete(row: &Row, out: &mut Vec<u8>) -> Result<(), Refused> {
    address(row, out)?;
    out.push(b'\n');
    Ok(())
}
