//! One JSON object a line, with the same keys as the columns of `v_suppression`.

use std::io::{self, Write};

use super::{Row, Written, check_address, ordered};

/// Writes an object for each row; `until_at` is `null` for never.
///
/// # Errors
/// Those of `out`, and an address with control characters.
pub fn write(rows: &[Row], mut out: impl Write) -> io::Result<Written> {
    let mut written = Written::default();
    for row in ordered(rows) {
        check_address(&row.address)?;
        serde_json::to_writer(&mut out, row)?;
        out.write_all(b"\n")?;
        written.rows += 1;
    }
    out.flush()?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::super::tests::rows;
    use super::*;

    #[test]
    fn exact_bytes() {
        let mut out = Vec::new();
        let written = write(&rows()[2..4], &mut out).expect("a vector takes everything");
        let expected = "{\"address\":\"\\\"a b,c\\\"@isp.example\",\"reason\":\"abuse\",\"scope\":\"example.com\",\
            \"since_at\":1755684000,\"until_at\":null,\"evidence\":\"complaint 1\"}\n\
            {\"address\":\"Alice@isp.example\",\"reason\":\"abuse\",\"scope\":\"\",\
            \"since_at\":1755684000,\"until_at\":1800000000,\"evidence\":\"complaint 1\"}\n";
        assert_eq!(String::from_utf8(out).expect("text"), expected);
        assert_eq!(written, Written { rows: 2, unsafe_addresses: Vec::new() });
    }
}
