//! Lines, whatever ends them: CR LF, LF, or CR alone in bytes without any LF.

/// A line's place in the bytes it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Its first byte.
    pub start: usize,
    /// The end of its content, before the line end.
    pub end: usize,
    /// The first byte of the next line.
    pub next: usize,
}

/// Lines of some bytes, from a place that can be moved.
#[derive(Clone, Debug)]
pub(super) struct Lines<'b> {
    bytes: &'b [u8],
    /// Where the next line starts.
    pub at: usize,
    end_of_line: u8,
}

impl<'b> Lines<'b> {
    /// The lines of `bytes`.
    pub fn new(bytes: &'b [u8]) -> Self {
        let bare_cr = memchr::memchr(b'\n', bytes).is_none() && memchr::memchr(b'\r', bytes).is_some();
        Lines { bytes, at: 0, end_of_line: if bare_cr { b'\r' } else { b'\n' } }
    }

    /// Whether CR alone ends the lines.
    pub fn are_bare_cr(&self) -> bool {
        self.end_of_line == b'\r'
    }

    /// The line at the current place, without moving on.
    pub fn peek(&self) -> Option<Line> {
        let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
        let start = self.at;
        let Some(length) = memchr::memchr(self.end_of_line, rest) else {
            return Some(Line { start, end: self.bytes.len(), next: self.bytes.len() });
        };
        let mut end = start + length;
        // Some mailers write CR CR LF.
        while end > start && self.bytes[end - 1] == b'\r' {
            end -= 1;
        }
        Some(Line { start, end, next: start + length + 1 })
    }

    /// The content of a line.
    pub fn content(&self, line: Line) -> &'b [u8] {
        &self.bytes[line.start..line.end]
    }

    /// Where the content before the line at `start` ends: without the one line end that stands before it.
    pub fn end_before(&self, start: usize) -> usize {
        let mut end = start;
        if end > 0 && self.bytes[end - 1] == self.end_of_line {
            end -= 1;
            if end > 0 && self.end_of_line == b'\n' && self.bytes[end - 1] == b'\r' {
                end -= 1;
            }
        }
        end
    }
}

impl Iterator for Lines<'_> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        let line = self.peek()?;
        self.at = line.next;
        Some(line)
    }
}
