//! Names as values: what may stand in a question, and what lies below what.

/// Whether a text can be asked for: labels of 1 to 63 printable ASCII characters, 253 in all (RFC 1035, section 2.3.4).
pub fn is_name(text: &str) -> bool {
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(|byte| byte.is_ascii_graphic());
    text.len() <= 253 && text.split('.').all(label)
}

pub use crate::providers::is_within;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in ["example.com", "_dmarc.example.com", "a", &"a".repeat(63)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".", "a..b", "a b.example", ".a", "a.", "ä.example", &"a".repeat(64), &"a.".repeat(200)] {
            assert!(!is_name(name), "{name}");
        }
        assert!(is_within("a.example", "example") && is_within("example", "example"));
        assert!(!is_within("badexample", "example"));
    }
}
