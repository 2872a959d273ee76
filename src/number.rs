//! Numbers and times for people.

use chrono::DateTime;

/// `1234567` as `1,234,567`.
pub fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        text.push('-');
    }
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A part of one as `98.2%`. Only none is `0.0%` and only all is `100.0%`: what lies between is never rounded to them.
pub fn percent(share: f64) -> String {
    let tenths = (share * 1000.0).round();
    let tenths = if share > 0.0 && tenths < 1.0 {
        1.0
    } else if share < 1.0 && tenths > 999.0 {
        999.0
    } else {
        tenths
    };
    format!("{:.1}%", tenths / 10.0)
}

/// Seconds since the epoch as `2026-11-20 14:00`, UTC; the number itself where no calendar has that time.
pub fn time(seconds: i64) -> String {
    match DateTime::from_timestamp(seconds, 0) {
        Some(time) if (0..253_402_300_800).contains(&seconds) => time.format("%Y-%m-%d %H:%M").to_string(),
        _ => seconds.to_string(),
    }
}

/// The UTC day of a time: `2026-11-20`.
pub fn day(seconds: i64) -> String {
    let time = time(seconds);
    time.split_once(' ').map_or(time.clone(), |(day, _)| day.to_owned())
}

/// `1 report`, `2 reports`, `1,000 reports`.
pub fn count(number: i64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number))
}

/// A length of time in the two largest units that are not zero: `7 days`, `1 day 2 hours`.
pub fn length(seconds: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let mut rest = seconds.max(0);
    let mut parts = Vec::new();
    for (unit, noun) in UNITS {
        if rest >= unit && parts.len() < 2 {
            parts.push(count(rest / unit, noun));
            rest %= unit;
        }
    }
    if parts.is_empty() { "0 seconds".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands() {
        for (number, expected) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
            (-1234, "-1,234"),
            (i64::MIN, "-9,223,372,036,854,775,808"),
        ] {
            assert_eq!(grouped(number), expected);
        }
    }

    #[test]
    fn nearly_all_is_not_all() {
        for (share, expected) in
            [(0.0, "0.0%"), (1.0, "100.0%"), (0.99999, "99.9%"), (0.00001, "0.1%"), (0.9825, "98.3%"), (0.5, "50.0%")]
        {
            assert_eq!(percent(share), expected);
        }
    }

    #[test]
    fn times_and_lengths() {
        assert_eq!(time(1_795_132_799), "2026-11-19 23:59");
        assert_eq!(time(i64::MAX), "9223372036854775807");
        assert_eq!(time(-1), "-1");
        for (seconds, expected) in [
            (0, "0 seconds"),
            (-5, "0 seconds"),
            (59, "59 seconds"),
            (604_800, "7 days"),
            (90_000, "1 day 1 hour"),
            (86_399, "23 hours 59 minutes"),
            (86_401, "1 day 1 second"),
        ] {
            assert_eq!(length(seconds), expected);
        }
    }
}
