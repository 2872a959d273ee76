//! Postmark, suppressions of one message stream: one body a line for `POST /message-streams/{stream}/suppressions`, and
//! to remove for `…/suppressions/delete`.

use super::{Body, Format, List, Refused, Removal, Row, Same, json, text};

const BODY: Option<Body> = Some(Body { open: "{\"Suppressions\":[", close: "]}\n", rows: 50, elements: 1 });

/// Fifty addresses in a body.
pub const FORMAT: Format = Format {
    name: "postmark",
    about: "Postmark: one body per line for POST /message-streams/{stream}/suppressions",
    extension: "ndjson",
    lists: &[List { body: BODY, ..List::lines("", element) }],
    list: |_| 0,
    same: Same::Address,
    sheet: false,
    marks_pending: false,
    removal: Removal::Listed(List { body: BODY, ..List::lines("remove", element) }),
};

fn element(row: &Row, out: &mut Vec<u8>) -> Result<(), Refused> {
    text("{\"EmailAddress\":", out);
    json(&row.address, out);
    out.push(b'}');
    Ok(())
}
