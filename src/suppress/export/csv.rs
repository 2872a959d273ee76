//! CSV by RFC 4180, with a header line and CRLF.

use std::io::{self, Write};

use ::csv::{QuoteStyle, Terminator, WriterBuilder};

use super::{Row, Written, check_address, ordered, runs_in_spreadsheets};

/// Writes a header and a line for each row: `address,reason,scope,since_at,until_at,evidence`.
///
/// Every text is quoted. A reason or evidence that a spreadsheet would run gets an apostrophe in front; an address never
/// does, see [`Written::unsafe_addresses`].
///
/// # Errors
/// Those of `out`, and an address that does not fit on a line.
pub fn write(rows: &[Row], out: impl Write) -> io::Result<Written> {
    let mut written = Written::default();
    let mut csv =
        WriterBuilder::new().quote_style(QuoteStyle::NonNumeric).terminator(Terminator::CRLF).from_writer(out);
    csv.write_record(["address", "reason", "scope", "since_at", "until_at", "evidence"])?;
    for row in ordered(rows) {
        check_address(&row.address)?;
        if runs_in_spreadsheets(&row.address) {
            written.unsafe_addresses.push(row.address.clone());
        }
        let since = row.since_at.to_string();
        let until = row.until_at.map(|at| at.to_string()).unwrap_or_default();
        let (reason, evidence) = (guarded(&row.reason), guarded(&row.evidence));
        csv.write_record([&row.address, &reason, &row.scope, &since, &until, &evidence])?;
        written.rows += 1;
    }
    csv.flush()?;
    Ok(written)
}

fn guarded(text: &str) -> String {
    if runs_in_spreadsheets(text) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::tests::rows;
    use super::*;

    #[test]
    fn exact_bytes() {
        let mut rows = rows();
        rows[0].reason = "=HYPERLINK(\"x\")".to_owned();
        let mut out = Vec::new();
        let written = write(&rows, &mut out).expect("a vector takes everything");
        let expected = "\"address\",\"reason\",\"scope\",\"since_at\",\"until_at\",\"evidence\"\r\n\
            \"\"\"a b,c\"\"@isp.example\",\"abuse\",\"example.com\",1755684000,\"\",\"complaint 1\"\r\n\
            \"=cmd|calc!a1@isp.example\",\"abuse\",\"example.com\",1755684000,\"\",\"complaint 1\"\r\n\
            \"Alice@isp.example\",\"abuse\",\"\",1755684000,1800000000,\"complaint 1\"\r\n\
            \"user@isp.example\",\"'=HYPERLINK(\"\"x\"\")\",\"example.com\",1755684000,\"\",\"complaint 1\"\r\n\
            \"user@isp.example\",\"abuse\",\"example.net\",1755684000,\"\",\"complaint 1\"\r\n";
        assert_eq!(String::from_utf8(out).expect("text"), expected);
        assert_eq!(written.rows, 5);
        assert_eq!(written.unsafe_addresses, ["=cmd|calc!a1@isp.example"]);
    }

    #[test]
    fn a_reader_gets_the_addresses_back() {
        let mut out = Vec::new();
        write(&rows(), &mut out).expect("a vector takes everything");
        let mut reader = ::csv::Reader::from_reader(out.as_slice());
        let mut found: Vec<String> = reader.records().map(|row| row.expect("well-formed")[0].to_owned()).collect();
        let mut expected: Vec<String> = rows().into_iter().map(|row| row.address).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    }
}
