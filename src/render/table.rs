//! Tables for people: columns as wide as they must be, numbers to the right, long text cut, hostile text made visible.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr;

use super::rows::{Column, Kind, Shown, Value};
use super::sanitize::Untrusted;
use super::{Look, number};

/// Rows looked at before the widths are settled; later rows are written as they come, so memory does not grow with them.
const SETTLED_BY: usize = 1000;
/// Between columns.
const GAP: usize = 2;
/// Text columns are not made narrower than this while another column can go instead.
const EASY_WIDTH: usize = 20;
/// Text columns are never made narrower than this.
const LEAST_WIDTH: usize = 8;
/// No text column takes more than this.
const MOST_WIDTH: usize = 80;

/// Writes a table.
#[derive(Debug)]
pub struct Table<W: Write> {
    out: W,
    look: Look,
    columns: Vec<Column>,
    waiting: Vec<Vec<Value>>,
    /// Index into `columns` and width of each column shown; settled with the first rows.
    widths: Option<Vec<(usize, usize)>>,
}

impl<W: Write> Table<W> {
    /// A table for `look`. Nothing is written before a row is.
    pub fn new(out: W, look: Look, columns: Vec<Column>) -> Table<W> {
        Table { out, look, columns, waiting: Vec::new(), widths: None }
    }

    /// Writes one row, or keeps it until the widths are settled.
    ///
    /// # Errors
    /// Of the writer.
    pub fn row(&mut self, values: Vec<Value>) -> io::Result<()> {
        if let Some(widths) = &self.widths {
            return write_row(&mut self.out, self.look, &self.columns, widths, &values);
        }
        self.waiting.push(values);
        if self.waiting.len() >= SETTLED_BY { self.settle() } else { Ok(()) }
    }

    /// Writes what is kept, and answers the names of the columns that there was no room for. A table without rows is
    /// nothing at all, not even a header.
    ///
    /// # Errors
    /// Of the writer.
    pub fn finish(mut self) -> io::Result<Vec<&'static str>> {
        if self.widths.is_none() && self.waiting.is_empty() {
            return Ok(Vec::new());
        }
        if self.widths.is_none() {
            self.settle()?;
        }
        let shown = self.widths.unwrap_or_default();
        let left_out = |index: &usize| !shown.iter().any(|(at, _)| at == index);
        let candidates = (0..self.columns.len()).filter(|index| in_table(&self.columns[*index]).is_some());
        Ok(candidates.filter(left_out).map(|index| self.columns[index].name).collect())
    }

    fn settle(&mut self) -> io::Result<()> {
        let widths = settle(&self.columns, &self.waiting, self.look.width);
        let mut line = String::new();
        for (index, width) in &widths {
            let column = &self.columns[*index];
            pad(&mut line, column.name, column.name.width(), *width, right_aligned(column.kind));
        }
        let bold = if self.look.colour { Style::new().bold() } else { Style::new() };
        writeln!(self.out, "{bold}{}{bold:#}", line.trim_end())?;
        for values in std::mem::take(&mut self.waiting) {
            write_row(&mut self.out, self.look, &self.columns, &widths, &values)?;
        }
        self.widths = Some(widths);
        Ok(())
    }
}

/// The rank by which a column goes, if it is in tables at all.
fn in_table(column: &Column) -> Option<u8> {
    match column.shown {
        Shown::Everywhere { rank } | Shown::Table { rank } => Some(rank),
        Shown::Data => None,
    }
}

fn right_aligned(kind: Kind) -> bool {
    matches!(kind, Kind::Integer | Kind::Id | Kind::Share)
}

fn can_be_cut(kind: Kind) -> bool {
    matches!(kind, Kind::Text | Kind::Path | Kind::Json)
}

/// Which columns are shown, and how wide, so that a line fits into `available` if that can be.
fn settle(columns: &[Column], rows: &[Vec<Value>], available: usize) -> Vec<(usize, usize)> {
    let natural = |index: usize, column: &Column| {
        let cells = rows.iter().filter_map(|row| row.get(index));
        let widest = cells.map(|value| cell(column.kind, value, MOST_WIDTH).1).max().unwrap_or(0);
        widest.max(column.name.width())
    };
    let mut widths: Vec<(usize, usize)> = columns
        .iter()
        .enumerate()
        .filter(|(_, column)| in_table(column).is_some())
        .map(|(index, column)| (index, natural(index, column)))
        .collect();
    let least = |index: usize, width: usize, bound: usize| {
        if can_be_cut(columns[index].kind) { width.min(bound.max(columns[index].name.width())) } else { width }
    };
    let needed = |widths: &[(usize, usize)], bound| {
        let cells: usize = widths.iter().map(|&(index, width)| least(index, width, bound)).sum();
        cells + GAP * widths.len().saturating_sub(1)
    };
    while needed(&widths, EASY_WIDTH) > available {
        let rank = |&(index, _): &(usize, usize)| in_table(&columns[index]).unwrap_or(0);
        let Some(position) = (0..widths.len()).filter(|at| rank(&widths[*at]) > 0).max_by_key(|at| rank(&widths[*at]))
        else {
            break;
        };
        widths.remove(position);
    }
    // The widest text gives way first, so that short texts stay whole.
    while needed(&widths, MOST_WIDTH) > available {
        let can_give = |&(index, width): &(usize, usize)| width > least(index, width, LEAST_WIDTH);
        let widest = widths.iter_mut().filter(|entry| can_give(entry)).max_by_key(|entry| entry.1);
        let Some(entry) = widest else { break };
        entry.1 -= 1;
    }
    widths
}

fn write_row(
    out: &mut impl Write,
    look: Look,
    columns: &[Column],
    widths: &[(usize, usize)],
    values: &[Value],
) -> io::Result<()> {
    let mut line = String::new();
    for &(index, width) in widths {
        let (column, Some(value)) = (&columns[index], values.get(index)) else {
            continue;
        };
        let (text, text_width) = cell(column.kind, value, width);
        let style = if look.colour { colour(value) } else { Style::new() };
        let text = format!("{style}{text}{style:#}");
        pad(&mut line, &text, text_width, width, right_aligned(column.kind));
    }
    writeln!(out, "{}", line.trim_end())
}

/// Results that want attention are red, those that want none are green.
fn colour(value: &Value) -> Style {
    match value {
        Value::Text(text) => match text.as_str() {
            "fail" | "reject" | "problem" => AnsiColor::Red.on_default(),
            "quarantine" | "partial" | "pending" => AnsiColor::Yellow.on_default(),
            "pass" => AnsiColor::Green.on_default(),
            _ => Style::new(),
        },
        _ => Style::new(),
    }
}

fn pad(line: &mut String, text: &str, text_width: usize, width: usize, right: bool) {
    if !line.is_empty() {
        line.push_str(&" ".repeat(GAP));
    }
    let blanks = " ".repeat(width.saturating_sub(text_width));
    if right {
        line.push_str(&blanks);
        line.push_str(text);
    } else {
        line.push_str(text);
        line.push_str(&blanks);
    }
}

/// A value as shown, and how wide that is. Text is at most `width` wide; a number is never cut.
fn cell(kind: Kind, value: &Value, width: usize) -> (String, usize) {
    let text = match (kind, value) {
        (_, Value::Null) => "-".to_owned(),
        (Kind::Path, Value::Text(text)) => return cut_front(text, width),
        (_, Value::Text(text)) => return cut(text, width),
        (Kind::Integer, Value::Integer(count)) => number::grouped(*count),
        (Kind::Time, Value::Integer(seconds)) => number::time(*seconds),
        (Kind::Day, Value::Integer(seconds)) => number::day(*seconds),
        (_, Value::Integer(id)) => id.to_string(),
        (_, Value::Share(share)) => number::percent(*share),
        (_, Value::Flag(flag)) => if *flag { "yes" } else { "no" }.to_owned(),
    };
    let text_width = text.width();
    (text, text_width)
}

/// Text from a stranger, made safe, at most `width` wide: cut with an ellipsis where it is longer. No more than eight
/// characters for each column are looked at, so that marks heaped on one letter end somewhere.
pub fn cut(text: &str, width: usize) -> (String, usize) {
    let bound = width.saturating_mul(8).saturating_add(8);
    let head: String = text.chars().take(bound).collect();
    let safe = Untrusted(&head).to_string();
    let whole = head.len() == text.len();
    let full_width = safe.width();
    if whole && full_width <= width {
        return (safe, full_width);
    }
    let mut end = 0;
    for (at, character) in safe.char_indices() {
        let next = at + character.len_utf8();
        // Of the whole beginning, not of one character: some change the width of the one before.
        if safe[..next].width() + 1 > width {
            break;
        }
        end = next;
    }
    let mut text = safe[..end].to_owned();
    text.push('…');
    let text_width = text.width();
    (text, text_width)
}

/// The end of a text that stands for it in `width` columns, sanitized, and how wide that is.
fn cut_front(text: &str, width: usize) -> (String, usize) {
    let (whole, whole_width) = cut(text, usize::MAX / 16);
    if whole_width <= width {
        return (whole, whole_width);
    }
    let start = whole.char_indices().map(|(at, _)| at).find(|&at| whole[at..].width() < width).unwrap_or(whole.len());
    let text = format!("…{}", &whole[start..]);
    let text_width = text.width();
    (text, text_width)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_end_of_a_place_is_shown() {
        assert_eq!(cut_front("/var/mail/reports/a.xml", 10), ("…rts/a.xml".to_owned(), 10));
        assert_eq!(cut_front("a.xml", 10), ("a.xml".to_owned(), 5));
        assert_eq!(cut_front("…", 0).0, "…");
    }

    use super::*;

    fn column(name: &'static str, kind: Kind, rank: u8) -> Column {
        Column { name, kind, shown: Shown::Everywhere { rank } }
    }

    fn draw(width: usize, columns: &[Column], rows: &[Vec<Value>]) -> (String, Vec<&'static str>) {
        let mut out = Vec::new();
        let mut table = Table::new(&mut out, Look { width, colour: false }, columns.to_vec());
        for row in rows {
            table.row(row.clone()).unwrap();
        }
        let left_out = table.finish().unwrap();
        (String::from_utf8(out).unwrap(), left_out)
    }

    #[test]
    fn numbers_stand_right_and_text_left() {
        let columns =
            [column("name", Kind::Text, 0), column("messages", Kind::Integer, 0), column("share", Kind::Share, 0)];
        let rows = [vec!["a".into(), 1_234_567.into(), 0.5.into()], vec![Value::Null, 7.into(), Value::Null]];
        let expected = "name   messages  share\na     1,234,567  50.0%\n-             7      -\n";
        assert_eq!(draw(80, &columns, &rows).0, expected);
    }

    #[test]
    fn no_rows_no_header() {
        assert_eq!(draw(80, &[column("name", Kind::Text, 0)], &[]).0, "");
    }

    #[test]
    fn every_line_fits_and_what_is_left_out_is_named() {
        let columns = [
            column("org_name", Kind::Text, 0),
            column("messages", Kind::Integer, 0),
            column("first_at", Kind::Time, 2),
            column("last_at", Kind::Time, 1),
        ];
        let row: Vec<Value> = vec!["日本語のとても長い組織名です".into(), 12.into(), 0.into(), 0.into()];
        for (width, expected) in
            [(100, vec![]), (66, vec![]), (50, vec!["first_at"]), (30, vec!["first_at", "last_at"])]
        {
            let (text, left_out) = draw(width, &columns, std::slice::from_ref(&row));
            assert_eq!(left_out, expected, "{width}");
            for line in text.lines() {
                assert!(line.width() <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn wide_and_combining_characters_are_cut_where_the_eye_ends() {
        for (text, width, expected) in [
            ("abcdef", 6, "abcdef"),
            ("abcdefg", 6, "abcde…"),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("e\u{301}e\u{301}e\u{301}", 3, "e\u{301}e\u{301}e\u{301}"),
            ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
            ("", 3, ""),
        ] {
            let (shown, shown_width) = cut(text, width);
            assert_eq!(shown, expected, "{text} in {width}");
            assert!(shown_width <= width && shown_width == shown.width());
        }
        let heap = format!("a{}", "\u{301}".repeat(1_000_000));
        assert!(cut(&heap, 10).0.len() < 400);
    }

    #[test]
    fn hostile_text_is_seen_and_does_nothing() {
        let columns = [column("name", Kind::Text, 0)];
        let rows = [vec!["a\x1b]52;c;eA==\x07\nb\u{9b}\u{202e}\u{200b}".into()]];
        let (text, _) = draw(80, &columns, &rows);
        assert_eq!(text, "name\na\\u{1b}]52;c;eA==\\u{7}\\u{a}b\\u{9b}\\u{202e}\\u{200b}\n");
    }

    #[test]
    fn rows_after_the_settled_ones_keep_to_the_widths() {
        let columns = [column("name", Kind::Text, 0)];
        let mut rows = vec![vec!["abcdefgh".into()]; SETTLED_BY];
        rows.push(vec!["abcdefghijkl".into()]);
        let text = draw(80, &columns, &rows).0;
        assert_eq!(text.lines().count(), SETTLED_BY + 2);
        assert_eq!(text.lines().last(), Some("abcdefg…"));
    }

    #[test]
    fn colour_only_when_asked() {
        let columns = vec![column("dmarc", Kind::Text, 0)];
        let mut out = Vec::new();
        let mut table = Table::new(&mut out, Look { width: 80, colour: true }, columns);
        table.row(vec!["fail".into()]).unwrap();
        table.finish().unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("\u{1b}[1mdmarc\u{1b}[0m") && text.contains("\u{1b}[31mfail\u{1b}[0m"), "{text:?}");
    }
}
