//! The day of a message, told by its bytes alone.

use super::date;

/// Bytes of a message that are looked at.
const LOOKED_AT: usize = 64 << 10;
const SECONDS: i64 = 86_400;

/// The day, since the epoch (UTC), that the first Date field of a message names (RFC 5322, section 3.6.1), however it is
/// spelled; 0 where there is none, as in a file that is no mail.
///
/// The ledger finds a message by it. So it may not depend on anything but the bytes, such as a bound of the reader, and what
/// it tells of a message that was kept once may not change.
pub fn of_message(message: &[u8]) -> i64 {
    let head = message.get(..LOOKED_AT).unwrap_or(message);
    date_field(head)
        .and_then(|field| std::str::from_utf8(field).ok())
        .and_then(date::mail)
        .map_or(0, |at| at.div_euclid(SECONDS))
}

/// The body of the first Date field, with the line ends in it.
fn date_field(head: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"Date:";
    let mut at = 0;
    loop {
        let rest = head.get(at..).filter(|rest| !matches!(rest, [] | [b'\n', ..] | [b'\r', b'\n', ..]))?;
        let end = end_of_field(rest);
        if let Some((name, body)) = rest[..end].split_at_checked(NAME.len())
            && name.eq_ignore_ascii_case(NAME)
        {
            return Some(body);
        }
        at += end;
    }
}

/// Where the next field begins: lines that begin with white space belong to the one before them.
fn end_of_field(rest: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', rest)
        .map(|end| end + 1)
        .find(|next| !matches!(rest.get(*next), Some(b' ' | b'\t')))
        .unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::of_message;

    #[test]
    fn the_day_is_what_the_first_date_says() {
        const DAY: i64 = 20_669;
        for (message, day) in [
            ("Date: Tue, 4 Aug 2026 09:12:00 +0000\r\n\r\nx", DAY),
            ("From: a@b.example\r\ndate:\r\n\tTue,\r\n 4 Aug 2026 23:12:00 -0300\r\n\r\n", DAY + 1),
            (
                "Subject: x\n Date: Mon, 3 Aug 2026 09:12:00 +0000\nDATE: 4 Aug 2026 00:00:00 GMT\nDate: 1 Jan 2026 0:0:0 GMT\n",
                DAY,
            ),
            ("From x Mon Aug  3 2026\nDate: Tue Aug  4 00:00:00 2026\n\n", DAY),
            // The body is not looked at, nor what is no date, nor a file that is no mail.
            ("Subject: x\r\n\r\nDate: Tue, 4 Aug 2026 09:12:00 +0000\r\n", 0),
            ("Subject: x\n\nDate: Tue, 4 Aug 2026 09:12:00 +0000\n", 0),
            ("Date: yesterday\nDate: Tue, 4 Aug 2026 09:12:00 +0000\n\n", 0),
            ("Date: \u{fc}\n\n", 0),
            ("<?xml version='1.0'?><feedback/>", 0),
            ("Date:", 0),
            ("", 0),
        ] {
            assert_eq!(of_message(message.as_bytes()), day, "{message}");
        }
        assert_eq!(of_message(b"Date: \xff\n"), 0);
        let far = format!("{}Date: Tue, 4 Aug 2026 09:12:00 +0000\n", "X: y\n".repeat(super::LOOKED_AT / 5 + 1));
        assert_eq!(of_message(far.as_bytes()), 0);
    }
}
