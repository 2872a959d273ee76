//! Text from strangers, made safe for a terminal.

use std::fmt;

/// Text from a stranger. Its `Display` escapes whatever could act on a terminal: C0 and C1 controls, line breaks, bidi
/// and invisible characters, as `\u{..}`.
#[derive(Clone, Copy, Debug)]
pub struct Untrusted<'a>(pub &'a str);

impl fmt::Display for Untrusted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if acts_on_terminal(character) {
                write!(f, "{}", character.escape_unicode())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        Ok(())
    }
}

/// Whether a character can do something on a terminal other than being seen: controls, line breaks, direction, and what
/// is invisible.
pub fn acts_on_terminal(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(attack: &str, expected: &str) {
        assert_eq!(Untrusted(attack).to_string(), expected);
    }

    #[test]
    fn clipboard_by_osc_52() {
        check("\x1b]52;c;aGk=\x07", "\\u{1b}]52;c;aGk=\\u{7}");
    }

    #[test]
    fn eight_bit_controls() {
        check("\u{9b}2J\u{85}", "\\u{9b}2J\\u{85}");
    }

    #[test]
    fn line_breaks_that_forge_a_row() {
        check("a\r\nb\u{2028}c\u{2029}d", "a\\u{d}\\u{a}b\\u{2028}c\\u{2029}d");
    }

    #[test]
    fn text_turned_round() {
        check("a\u{202e}b\u{2066}c\u{200f}d\u{61c}", "a\\u{202e}b\\u{2066}c\\u{200f}d\\u{61c}");
    }

    #[test]
    fn names_that_look_alike_by_what_is_invisible() {
        check("exa\u{200b}mple\u{feff}\u{ad}\u{2060}\u{e0041}", "exa\\u{200b}mple\\u{feff}\\u{ad}\\u{2060}\\u{e0041}");
    }

    #[test]
    fn plain_text_of_any_script_stays() {
        check("Zürich 日本語 שלום é 🙂", "Zürich 日本語 שלום é 🙂");
    }
}
