//! SendGrid, global suppressions: one body a line for `POST /v3/asm/suppressions/global`. Its lists of complaints and
//! bounces cannot be added to.

use super::{Body, Format, List, Refused, Removal, Row, Same, json, line};

/// The documentation names no greatest number in a body; a thousand stay far below any bound on its size.
pub const FORMAT: Format = Format {
    name: "sendgrid",
    about: "SendGrid global suppressions: one body per line for POST /v3/asm/suppressions/global",
    extension: "ndjson",
    lists: &[List {
        body: Some(Body { open: "{\"recipient_emails\":[", close: "]}\n", rows: 1000, elements: 1 }),
        ..List::lines("", element)
    }],
    list: |_| 0,
    same: Same::Address,
    sheet: false,
    marks_pending: false,
    removal: Removal::Listed(List::lines("remove", line)),
};

fn element(row: &Row, out: &mut Vec<u8>) -> Result<(), Refused> {
    json(&row.address, out);
    Ok(())
}
