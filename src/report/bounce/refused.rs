//! Which address of ours a server refused, where its words name one.

use std::net::IpAddr;

use super::super::feedback::source_ip::literal;

/// The address in a diagnostic that is not the remote server's own: `… [198.51.100.7] blocked`, `banned sending IP
/// [198.51.100.7]`. What stands before `said:` is the remote server, in Postfix's words.
pub(super) fn source_ip(diagnostic: &str) -> Option<IpAddr> {
    let words = diagnostic.split_once(" said: ").map_or(diagnostic, |(_, words)| words);
    let pieces = words.split([' ', '[', ']', '(', ')', '<', '>', ',', ';', '"', '\'', '=', '/']);
    let mut found = pieces.map(|piece| piece.trim_end_matches(['.', ':'])).filter(|piece| is_long(piece));
    found.find_map(literal)
}

/// Shorter than `1.1.1.1` or `2001::1` is a version or a status code.
fn is_long(piece: &str) -> bool {
    piece.len() >= 7 && (piece.matches('.').count() == 3 || piece.contains("::") || piece.matches(':').count() >= 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_the_words_of_servers() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(source_ip(text).map(|ip| ip.to_string()).as_deref(), expected, "{text}");
        };
        check("550 5.7.606 Access denied, banned sending IP [198.51.100.7]. To request", Some("198.51.100.7"));
        check("550-5.7.1 [198.51.100.7      12] Our system has detected", Some("198.51.100.7"));
        check("550-5.7.26 ... SPF [shop.example] with ip: [2001:db8::7] = did not pass", Some("2001:db8::7"));
        check(
            "host mx.isp.example[203.0.113.5] said: 554 5.7.1 198.51.100.7 blocked using list.example",
            Some("198.51.100.7"),
        );
        check("host mx.isp.example[203.0.113.5] said: 550 5.1.1 unknown", None);
        check("550 5.1.1 user unknown", None);
        check("rejected at 12:30:45", None);
        check("", None);
    }
}
