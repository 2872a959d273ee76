//! listmonk, bounce events: one body a line for `POST /webhooks/bounce`.

use super::{Class, Format, List, Refused, Removal, Row, Same, json, line, text};

/// With listmonk's defaults one complaint or one hard bounce puts a subscriber on its blocklist.
pub const FORMAT: Format = Format {
    name: "listmonk",
    about: "listmonk: one body per line for POST /webhooks/bounce",
    extension: "ndjson",
    lists: &[List::lines("", body)],
    list: |_| 0,
    same: Same::Folded,
    sheet: false,
    marks_pending: false,
    removal: Removal::Listed(List::lines("remove", line)),
};

fn body(row: &Row, out: &mut Vec<u8>) -> Result<(), Refused> {
    let kind = if row.class() == Class::Bounce { "hard" } else { "complaint" };
    text("{\"email\":", out);
    json(&row.address, out);
    text(",\"source\":\"dmarcdb\",\"type\":\"", out);
    text(kind, out);
    text("\",\"meta\":", out);
    // JSON within a string of JSON.
    let mut meta = Vec::new();
    text("{\"reason\":", &mut meta);
    json(&row.reason, &mut meta);
    meta.push(b'}');
    json(&String::from_utf8_lossy(&meta), out);
    text("}\n", out);
    Ok(())
}
