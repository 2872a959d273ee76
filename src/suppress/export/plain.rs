//! One address a line, each once, sorted: what mail servers and list managers read (`mailman delmembers -f`).

use std::io::{self, Write};

use super::{Row, Written, check_address, ordered};

/// Writes each address once, whatever scopes it is suppressed for.
///
/// # Errors
/// Those of `out`, and an address that does not fit on a line.
pub fn write(rows: &[Row], mut out: impl Write) -> io::Result<Written> {
    let mut written = Written::default();
    let mut last: Option<&str> = None;
    for row in ordered(rows) {
        if last == Some(&row.address) {
            continue;
        }
        last = Some(&row.address);
        check_address(&row.address)?;
        writeln!(out, "{}", row.address)?;
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
        let written = write(&rows(), &mut out).expect("a vector takes everything");
        let expected = "\"a b,c\"@isp.example\n=cmd|calc!a1@isp.example\nAlice@isp.example\nuser@isp.example\n";
        assert_eq!(String::from_utf8(out).expect("text"), expected);
        assert_eq!(written.rows, 4);
    }
}
