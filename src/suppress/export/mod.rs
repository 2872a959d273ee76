//! The formats a suppression list is handed on in, one file each: rows in, bytes out, the same bytes for the same rows.

pub mod csv;
pub mod ndjson;
pub mod plain;

use std::io;

/// One active suppression, as in `v_suppression`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Row {
    /// The address, exactly.
    pub address: String,
    /// Feedback type, or what a person wrote.
    pub reason: String,
    /// The From domain it is about; empty for every domain.
    pub scope: String,
    /// When it began, seconds since the epoch, UTC.
    pub since_at: i64,
    /// When it ends; `None` for never.
    pub until_at: Option<i64>,
    /// What it rests on.
    pub evidence: String,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows, or lines where a format has one line for an address.
    pub rows: u64,
    /// Addresses that a spreadsheet would run as a formula. They are written exactly, because a changed address
    /// suppresses nobody; whoever opens the file in a spreadsheet should be told.
    pub unsafe_addresses: Vec<String>,
}

/// Rows in their one order: by address in lower case, then exact address, then scope.
fn ordered(rows: &[Row]) -> Vec<&Row> {
    let mut rows: Vec<&Row> = rows.iter().collect();
    rows.sort_by_cached_key(|row| (row.address.to_lowercase(), row.address.clone(), row.scope.clone(), row.since_at));
    rows
}

/// Whether a spreadsheet takes a text for a formula by its first character (full-width forms included).
fn runs_in_spreadsheets(text: &str) -> bool {
    let first = text.trim_start().chars().next();
    first.is_some_and(|c| "=+-@＝＋－＠".contains(c)) || text.starts_with(['\t', '\r'])
}

/// Refuses an address with a control character: it would end its line and begin another.
fn check_address(address: &str) -> io::Result<()> {
    if address.is_empty() || address.chars().any(char::is_control) {
        let message = format!("address {address:?} cannot be written on one line; lift it and add it again");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows for the tests of every format, out of order.
    pub(super) fn rows() -> Vec<Row> {
        let row = |address: &str, scope: &str, until_at: Option<i64>| Row {
            address: address.to_owned(),
            reason: "abuse".to_owned(),
            scope: scope.to_owned(),
            since_at: 1_755_684_000,
            until_at,
            evidence: "complaint 1".to_owned(),
        };
        vec![
            row("user@isp.example", "example.com", None),
            row("=cmd|calc!a1@isp.example", "example.com", None),
            row("Alice@isp.example", "", Some(1_800_000_000)),
            row("\"a b,c\"@isp.example", "example.com", None),
            row("user@isp.example", "example.net", None),
        ]
    }

    #[test]
    fn formulas() {
        let check = |text: &str, expected: bool| assert_eq!(runs_in_spreadsheets(text), expected, "{text:?}");
        check("=1+1", true);
        check(" +1", true);
        check("-1", true);
        check("@sum", true);
        check("＝1", true);
        check("\tx", true);
        check("user@isp.example", false);
        check("", false);
    }

    #[test]
    fn no_format_writes_a_line_break_into_an_address() {
        let mut bad = rows();
        bad[0].address = "user@isp.example\nceo@isp.example".to_owned();
        assert!(csv::write(&bad, Vec::new()).is_err());
        assert!(ndjson::write(&bad, Vec::new()).is_err());
        assert!(plain::write(&bad, Vec::new()).is_err());
    }
}
