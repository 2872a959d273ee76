//! Amazon SES, account-level suppression list in bulk, as newline-delimited JSON.

use super::ses_csv::reason;
use super::{Format, List, Refused, Removal, Row, Same, ascii, json, text};

/// One file is one import job: 100 000 addresses to put, 10 000 to delete.
pub const FORMAT: Format = Format {
    name: "ses-ndjson",
    about: "Amazon SES CreateImportJob with DataFormat JSON: files to put, and with --since-last to delete",
    extension: "ndjson",
    lists: &[List { rows: Some(100_000), ..List::lines("", put) }],
    list: |_| 0,
    same: Same::Address,
    sheet: false,
    marks_pending: false,
    removal: Removal::Listed(List { rows: Some(10_000), ..List::lines("remove", delete) }),
};

fn put(row: &Row, out: &mut Vec<u8>) -> Result<(), Refused> {
    ascii(row)?;
    text("{\"emailAddress\":", out);
    json(&row.address, out);
    text(",\"reason\":\"", out);
    text(reason(row), out);
    text("\"}\n", out);
    Ok(())
}

fn delete(row: &Row, out: &mut Vec<u8>) -> Result<(), Refused> {
    ascii(row)?;
    text("{\"emailAddress\":", out);
    json(&row.address, out);
    text("}\n", out);
    Ok(())
}
