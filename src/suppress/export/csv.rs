//! CSV by RFC 4180 with a header line, for people and their spreadsheets: the columns of `v_suppression`, and `state`.
//! Lines end in a line feed, as those of every other answer do.

use super::{Format, List, Refused, Removal, Row, Same, cell, text, words};

/// Words that a spreadsheet would run get an apostrophe in front; an address never does, it is refused.
pub const FORMAT: Format = Format {
    name: "csv",
    about: "RFC 4180 with a header, one row for an address and From domain",
    extension: "csv",
    lists: &[List { head: "address,reason,scope,since_at,until_at,evidence,state\n", ..List::lines("", row) }],
    list: |_| 0,
    same: Same::Scope,
    sheet: true,
    marks_pending: true,
    removal: Removal::Marked,
};

fn row(row: &Row, out: &mut Vec<u8>) -> Result<(), Refused> {
    cell(&row.address, out);
    for cell in [&row.reason, &row.scope] {
        out.push(b',');
        words(cell, out);
    }
    for time in [row.since_at, row.until_at] {
        out.push(b',');
        if let Some(at) = time {
            text(&at.to_string(), out);
        }
    }
    out.push(b',');
    words(&row.evidence, out);
    out.push(b',');
    text(row.state.as_str(), out);
    out.push(b'\n');
    Ok(())
}
