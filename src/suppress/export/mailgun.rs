//! Mailgun, its three lists of one sending domain, each a CSV file to import.

use chrono::DateTime;

use super::{Class, Format, List, Refused, Removal, Row, Same, cell, line, text, words};

/// Bytes of one file: "must be 25MB or under".
const FILE_BYTES: u64 = 25_000_000;

/// Complaints, bounces and unsubscribes. What a person of ours added is an unsubscribe from everything (`*`).
pub const FORMAT: Format = Format {
    name: "mailgun",
    about: "Mailgun CSV imports for one domain: complaints, bounces and unsubscribes, each in its own file",
    extension: "csv",
    lists: &[
        List { head: "address,created_at\n", bytes: Some(FILE_BYTES), ..List::lines("complaints", complaint) },
        List { head: "address,code,error,created_at\n", bytes: Some(FILE_BYTES), ..List::lines("bounces", bounce) },
        List { head: "address,tag,created_at\n", bytes: Some(FILE_BYTES), ..List::lines("unsubscribes", unsubscribe) },
    ],
    list: |row| match row.class() {
        Class::Complaint => 0,
        Class::Bounce => 1,
        Class::Unsubscribe | Class::Other => 2,
    },
    same: Same::Address,
    sheet: true,
    marks_pending: false,
    removal: Removal::Listed(List::lines("remove", line)),
};

fn complaint(row: &Row, out: &mut Vec<u8>) -> Result<(), Refused> {
    cell(&row.address, out);
    created(row, out);
    Ok(())
}

/// The code stays empty where nobody told one: Mailgun takes 550 then.
fn bounce(row: &Row, out: &mut Vec<u8>) -> Result<(), Refused> {
    cell(&row.address, out);
    text(",,", out);
    words(&row.reason, out);
    created(row, out);
    Ok(())
}

fn unsubscribe(row: &Row, out: &mut Vec<u8>) -> Result<(), Refused> {
    cell(&row.address, out);
    text(",*", out);
    created(row, out);
    Ok(())
}

/// A time as RFC 2822 writes it, in quotes for its comma.
fn created(row: &Row, out: &mut Vec<u8>) {
    let at = row.since_at.and_then(|at| DateTime::from_timestamp(at, 0));
    match at {
        Some(at) => text(&format!(",\"{}\"\n", at.format("%a, %d %b %Y %H:%M:%S +0000")), out),
        None => text(",\n", out),
    }
}
