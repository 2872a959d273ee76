//! CSV (RFC 4180) that a spreadsheet reads as text.

use std::io::{self, Write};

use super::rows::{Column, Kind, Shown, Value};
use super::sanitize::Untrusted;

/// Writes rows; lines end in a line feed, as the tools of the systems this runs on expect.
#[derive(Debug)]
pub struct Rows<W: Write> {
    writer: ::csv::Writer<W>,
    columns: Vec<Column>,
}

impl<W: Write> Rows<W> {
    /// Writes the header: all columns but those for tables only.
    ///
    /// # Errors
    /// Of the writer.
    pub fn begin(out: W, columns: Vec<Column>) -> io::Result<Rows<W>> {
        let mut writer = ::csv::Writer::from_writer(out);
        writer.write_record(columns.iter().filter(|column| shown(column)).map(|column| column.name))?;
        Ok(Rows { writer, columns })
    }

    /// Writes one row. An unknown value is an empty cell.
    ///
    /// # Errors
    /// Of the writer.
    pub fn row(&mut self, values: Vec<Value>) -> io::Result<()> {
        let cells = self.columns.iter().zip(values).filter(|(column, _)| shown(column));
        Ok(self.writer.write_record(cells.map(|(column, value)| cell(column.kind, value).into_bytes()))?)
    }

    /// Hands everything on.
    ///
    /// # Errors
    /// Of the writer.
    pub fn finish(mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

fn shown(column: &Column) -> bool {
    !matches!(column.shown, Shown::Table { .. })
}

fn cell(kind: Kind, value: Value) -> String {
    match value {
        Value::Null => String::new(),
        // A JSON array or object begins with what no spreadsheet runs.
        Value::Text(text) if matches!(kind, Kind::Text | Kind::Path) => inert(&text),
        Value::Text(text) => Untrusted(&text).to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Share(share) => share.to_string(),
        Value::Flag(flag) => flag.to_string(),
    }
}

/// Text that no spreadsheet takes for a formula: with a `'` in front where it begins with what starts one, at once or
/// after blanks, also in the full-width forms that East Asian versions accept.
pub fn inert(text: &str) -> String {
    let quote = if runs(text) { "'" } else { "" };
    format!("{quote}{}", Untrusted(text))
}

/// Whether a spreadsheet would take a text for a formula.
pub fn runs(text: &str) -> bool {
    const STARTS: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];
    let visible = text.trim_start_matches(|c: char| c.is_whitespace() || super::sanitize::acts_on_terminal(c));
    text.starts_with(STARTS) || visible.starts_with(STARTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_starts_a_formula_is_text() {
        for (text, expected) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("  =1", "'  =1"),
            ("\t=1", "'\\u{9}=1"),
            ("\tx", "'\\u{9}x"),
            ("\rx", "'\\u{d}x"),
            ("\n\u{200b}=1", "'\\u{a}\\u{200b}=1"),
            ("\u{a0}=1", "'\u{a0}=1"),
            ("＝1", "'＝1"),
            ("＠x", "'＠x"),
            ("a=1", "a=1"),
            ("", ""),
            ("user@example.com", "user@example.com"),
        ] {
            assert_eq!(inert(text), expected, "{text:?}");
        }
    }

    #[test]
    fn numbers_stay_numbers_and_cells_are_quoted_where_they_must_be() {
        let column = |name, kind| Column { name, kind, shown: Shown::Data };
        let columns = vec![column("a", Kind::Integer), column("b", Kind::Text), column("c", Kind::Json)];
        let mut out = Vec::new();
        let mut rows = Rows::begin(&mut out, columns).unwrap();
        rows.row(vec![(-5).into(), "say \"hi\", x".into(), "[\"-\"]".into()]).unwrap();
        rows.row(vec![Value::Null, Value::Null, Value::Null]).unwrap();
        rows.finish().unwrap();
        let expected = "a,b,c\n-5,\"say \"\"hi\"\", x\",\"[\"\"-\"\"]\"\n,,\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
