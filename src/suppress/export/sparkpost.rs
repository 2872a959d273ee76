//! SparkPost and Bird: one body a line for `PUT /api/v1/suppression-list`.

use super::{Body, Format, List, Refused, Removal, Row, Same, json, line, text};

/// Each address twice, because an entry is about transactional mail or about the rest, never both: so 5 000 addresses
/// are the 10 000 recipients of a body, and 500 000 the 1 000 000 entries of an account.
pub const FORMAT: Format = Format {
    name: "sparkpost",
    about: "SparkPost and Bird: one body per line for PUT /api/v1/suppression-list",
    extension: "ndjson",
    lists: &[List {
        body: Some(Body { open: "{\"recipients\":[", close: "]}\n", rows: 5_000, elements: 2 }),
        total: Some(500_000),
        ..List::lines("", element)
    }],
    list: |_| 0,
    same: Same::Address,
    sheet: false,
    marks_pending: false,
    removal: Removal::Listed(List::lines("remove", line)),
};

fn element(row: &Row, out: &mut Vec<u8>) -> Result<(), Refused> {
    for (index, kind) in ["transactional", "non_transactional"].into_iter().enumerate() {
        text(if index == 0 { "{\"recipient\":" } else { ",{\"recipient\":" }, out);
        json(&row.address, out);
        text(",\"type\":\"", out);
        text(kind, out);
        text("\",\"description\":", out);
        json(&row.reason, out);
        out.push(b'}');
    }
    Ok(())
}
