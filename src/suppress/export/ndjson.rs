//! One JSON object a line, with the keys of `v_suppression`, and `state`.

use super::{Format, List, Refused, Removal, Row, Same, json, text};

/// `until_at` is `null` for never; `since_at` is `null` where the state is `removed`.
pub const FORMAT: Format = Format {
    name: "ndjson",
    about: "one JSON object per line, for an address and From domain",
    extension: "ndjson",
    lists: &[List::lines("", row)],
    list: |_| 0,
    same: Same::Scope,
    sheet: false,
    marks_pending: true,
    removal: Removal::Marked,
};

fn row(row: &Row, out: &mut Vec<u8>) -> Result<(), Refused> {
    let time = |at: Option<i64>| at.map_or_else(|| "null".to_owned(), |at| at.to_string());
    text("{\"address\":", out);
    json(&row.address, out);
    text(",\"reason\":", out);
    json(&row.reason, out);
    text(",\"scope\":", out);
    json(&row.scope, out);
    text(&format!(",\"since_at\":{},\"until_at\":{},\"evidence\":", time(row.since_at), time(row.until_at)), out);
    json(&row.evidence, out);
    text(",\"state\":", out);
    json(row.state.as_str(), out);
    text("}\n", out);
    Ok(())
}
