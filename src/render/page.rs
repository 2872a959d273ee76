//! Text for people that is no table: lines that fit, broken between words, with colours where these are wanted.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr;

use super::Look;
use super::sanitize::Untrusted;

/// Lines are never broken to less than this.
const LEAST_WIDTH: usize = 24;
/// Prose is not wider than this, however wide the terminal: it would be hard to read.
const PROSE_WIDTH: usize = 120;

/// How a line is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// A heading.
    Bold,
    /// Of less weight.
    Dim,
    /// All is well.
    Good,
    /// Worth a look.
    Notice,
    /// Wants action.
    Alert,
    /// Hostile.
    Hostile,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Tone::Plain => Style::new(),
            Tone::Bold => Style::new().bold(),
            Tone::Dim => Style::new().dimmed(),
            Tone::Good => AnsiColor::Green.on_default().bold(),
            Tone::Notice => AnsiColor::Cyan.on_default().bold(),
            Tone::Alert => AnsiColor::Yellow.on_default().bold(),
            Tone::Hostile => AnsiColor::Red.on_default().bold(),
        }
    }
}

/// Writes lines.
#[derive(Debug)]
pub struct Page<W: Write> {
    out: W,
    look: Look,
}

impl<W: Write> Page<W> {
    /// A page for `look`.
    pub fn new(out: W, look: Look) -> Page<W> {
        Page { out, look }
    }

    /// Columns there are.
    pub fn width(&self) -> usize {
        self.look.width
    }

    /// An empty line.
    ///
    /// # Errors
    /// Of the writer.
    pub fn blank(&mut self) -> io::Result<()> {
        writeln!(self.out)
    }

    /// A line as it is, sanitized before: what was laid out by the caller.
    ///
    /// # Errors
    /// Of the writer.
    pub fn line(&mut self, tone: Tone, text: &str) -> io::Result<()> {
        let style = if self.look.colour { tone.style() } else { Style::new() };
        writeln!(self.out, "{style}{}{style:#}", text.trim_end())
    }

    /// A paragraph, from strangers for all we know: `first` stands before its first line, and the others are indented by
    /// `indent`.
    ///
    /// # Errors
    /// Of the writer.
    pub fn paragraph(&mut self, tone: Tone, first: &str, indent: usize, text: &str) -> io::Result<()> {
        let width = self.look.width.min(PROSE_WIDTH).saturating_sub(indent).max(LEAST_WIDTH);
        let start = first.width().saturating_sub(indent);
        for (number, line) in wrap(&Untrusted(text).to_string(), width, start).into_iter().enumerate() {
            let before = if number == 0 { first.to_owned() } else { " ".repeat(indent) };
            self.line(tone, &format!("{before}{line}"))?;
        }
        Ok(())
    }
}

/// Breaks text between words into lines of `width`, of which the first has `taken` columns less. A word that is longer has a
/// line to itself.
pub fn wrap(text: &str, width: usize, taken: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = taken;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let (Some(line), length) = (lines.last_mut(), word.width()) else { break };
        let gap = usize::from(!line.is_empty());
        if used + gap + length > width && !(line.is_empty() && used == 0) {
            used = length;
            lines.push(word.to_owned());
        } else {
            line.push_str(&" ".repeat(gap));
            line.push_str(word);
            used += gap + length;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        for (text, width, taken, expected) in [
            ("a bc def", 8, 0, &["a bc def"][..]),
            ("a bc def", 7, 0, &["a bc", "def"]),
            ("a bc def", 7, 3, &["a bc", "def"]),
            ("a bc def", 7, 4, &["a", "bc def"]),
            ("a bc def", 7, 7, &["", "a bc", "def"]),
            ("abcdefghij k", 4, 0, &["abcdefghij", "k"]),
            ("日本 語", 5, 0, &["日本", "語"]),
            ("", 5, 0, &[""]),
        ] {
            assert_eq!(wrap(text, width, taken), expected, "{text} in {width} after {taken}");
        }
    }

    #[test]
    fn what_strangers_wrote_does_nothing() {
        let mut out = Vec::new();
        let mut page = Page::new(&mut out, Look { width: 40, colour: false });
        page.paragraph(Tone::Alert, "- ", 2, "named a\x1b[2J\nb\u{202e} and more words than fit into one line")
            .unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "- named a\\u{1b}[2J\\u{a}b\\u{202e} and\n  more words than fit into one line\n");
    }
}
