//! Dates as mail spells them (RFC 5322, section 3.3, and its offenders), and as RFC 3339 does.
//!
//! A weekday is never checked: RFC 5965's own example names the wrong one.

use chrono::NaiveDate;

use super::text::without_comments;

/// Reads a mail date: seconds since the epoch, UTC. Reads around a wrong or missing weekday, a missing comma, comments,
/// two-digit years, missing seconds, zone names, asctime order and `2014-03-26 00-01-19`. A zone it does not know counts
/// as UTC (RFC 5322, section 4.3). `None` where day, month, year or time is missing or impossible.
pub fn mail(text: &str) -> Option<i64> {
    plain(text).or_else(|| lenient(text))
}

/// `Tue, 4 Aug 2026 09:12:00 +0000`, as nearly all are written: what [`lenient`] makes of it, in a tenth of the time.
fn plain(text: &str) -> Option<i64> {
    const WEEKDAYS: [&[u8; 3]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
    let rest = match text.as_bytes() {
        [a, b, c, b',', b' ', rest @ ..] if WEEKDAYS.contains(&&[*a, *b, *c]) => rest,
        all => all,
    };
    let (day, rest) = match rest {
        [units, b' ', rest @ ..] => ([b'0', *units], rest),
        [tens, units, b' ', rest @ ..] => ([*tens, *units], rest),
        _ => return None,
    };
    let [month @ .., b' ', c, y, t, z, b' ', h, i, b':', m, n, b':', s, u] = rest.get(..17)? else { return None };
    let [b' ', zone @ ..] = rest.get(17..)? else { return None };
    let zone = std::str::from_utf8(zone).ok()?;
    let offset = match zone.as_bytes() {
        [b'+' | b'-', ..] => numeric_zone(zone)?,
        [_, ..] if zone.bytes().all(|b| b.is_ascii_alphabetic()) => named_zone(zone),
        _ => return None,
    };
    let year = two_digits([*c, *y])? * 100 + two_digits([*t, *z])?;
    let month = MONTHS.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(month))? + 1;
    let date = NaiveDate::from_ymd_opt(year as i32, month as u32, two_digits(day)?).filter(|_| year >= 1970)?;
    let (hour, minute, second) = (two_digits([*h, *i])?, two_digits([*m, *n])?, two_digits([*s, *u])?);
    if second > 60 { None } else { seconds(date, (hour, minute, second), offset) }
}

fn two_digits([tens, units]: [u8; 2]) -> Option<u32> {
    let both = tens.is_ascii_digit() && units.is_ascii_digit();
    both.then(|| u32::from(tens - b'0') * 10 + u32::from(units - b'0'))
}

fn lenient(text: &str) -> Option<i64> {
    let text = without_comments(text);
    if let Some((seconds, _)) = rfc3339(text.trim()) {
        return Some(seconds);
    }
    let (mut day, mut month, mut year, mut time, mut offset) = (None, None, None, None, 0);
    for word in text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty()) {
        if word.contains(':') && time.is_none() {
            time = Some(clock(word, ':')?);
        } else if time.is_some() && word.starts_with(['+', '-']) {
            offset = numeric_zone(word)?;
        } else if month.is_none() && month_number(word).is_some() {
            month = month_number(word);
        } else if word.bytes().all(|b| b.is_ascii_digit()) && word.len() <= 4 {
            match day {
                None if word.len() <= 2 => day = Some(word.parse::<u32>().ok()?),
                _ if year.is_none() => year = Some(full_year(word)?),
                _ => return None,
            }
        } else if time.is_some() && word.bytes().all(|b| b.is_ascii_alphabetic()) {
            offset = named_zone(word);
        } else if let Some(parts) = hyphenated(word) {
            (day, month, year) = (Some(parts.0), Some(parts.1), Some(parts.2));
        }
    }
    seconds(NaiveDate::from_ymd_opt(year?, month?, day?)?, time?, offset)
}

/// Reads a date and time of RFC 3339: seconds since the epoch, UTC, and whether it named its zone. Without one it is
/// taken as UTC (TLS reports of Microsoft). `T` may be a space; `2014-03-26 00-01-19` is read too.
pub fn rfc3339(text: &str) -> Option<(i64, bool)> {
    let text = text.trim();
    if !text.is_ascii() {
        return None;
    }
    let (day, rest) = text.split_at_checked(10)?;
    let mut parts = day.split('-');
    let year = digits(parts.next()?, 4)?;
    let (month, dom) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, dom)?;
    if rest.is_empty() {
        return seconds(date, (0, 0, 0), 0).map(|at| (at, false));
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock_text, zone) = match rest.get(..8) {
        Some(time) if rest.len() > 8 => (time, rest.get(8..)?),
        _ => (rest, ""),
    };
    let time = clock(clock_text, if clock_text.contains(':') { ':' } else { '-' })?;
    let zone = match zone.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => zone,
    };
    let (offset, named) = match zone.trim() {
        "" => (0, false),
        "Z" | "z" => (0, true),
        signed if signed.starts_with(['+', '-']) => (numeric_zone(&signed.replace(':', ""))?, true),
        name => (known_zone(name)?, true),
    };
    seconds(date, time, offset).map(|at| (at, named))
}

fn seconds(date: NaiveDate, (hour, minute, second): (u32, u32, u32), offset: i64) -> Option<i64> {
    // A leap second is counted as the second before it: the epoch has no place for it.
    Some(date.and_hms_opt(hour, minute, second.min(59))?.and_utc().timestamp() - offset)
}

fn clock(text: &str, separator: char) -> Option<(u32, u32, u32)> {
    let text = text.split('.').next()?;
    let mut parts = text.split(separator);
    let hour = short_number(parts.next()?)?;
    let minute = short_number(parts.next()?)?;
    let second = parts.next().map_or(Some(0), short_number)?;
    (parts.next().is_none() && hour < 24 && minute < 60 && second <= 60).then_some((hour, minute, second))
}

fn short_number(text: &str) -> Option<u32> {
    (1..=2).contains(&text.len()).then_some(())?;
    digits(text, text.len())
}

fn digits(text: &str, len: usize) -> Option<u32> {
    (text.len() == len && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

/// RFC 5322, section 4.3: two digits up to 49 are after 2000, other short years after 1900.
fn full_year(text: &str) -> Option<i32> {
    let year: i32 = text.parse().ok()?;
    match (text.len(), year) {
        (2, 0..=49) => Some(year + 2000),
        (2 | 3, _) => Some(year + 1900),
        (4, 1970..) => Some(year),
        _ => None,
    }
}

/// `02-Jul-2026`.
fn hyphenated(word: &str) -> Option<(u32, u32, i32)> {
    let mut parts = word.split('-');
    let found = (short_number(parts.next()?)?, month_number(parts.next()?)?, full_year(parts.next()?)?);
    parts.next().is_none().then_some(found)
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

fn month_number(word: &str) -> Option<u32> {
    let word = word.trim_end_matches('.');
    let begins = word.get(..3).filter(|_| word.bytes().all(|b| b.is_ascii_alphabetic()))?;
    let at = MONTHS.iter().position(|month| begins.eq_ignore_ascii_case(month))?;
    u32::try_from(at + 1).ok()
}

fn numeric_zone(text: &str) -> Option<i64> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let number = digits(text.get(1..)?, 4)?;
    let (hours, minutes) = (number / 100, number % 100);
    (hours < 24 && minutes < 60).then(|| sign * i64::from(hours * 3600 + minutes * 60))
}

fn named_zone(word: &str) -> i64 {
    known_zone(word).unwrap_or(0)
}

/// Seconds east of Greenwich for the names of RFC 5322 and the few others that are seen and mean one thing.
fn known_zone(word: &str) -> Option<i64> {
    let hours = match word.to_ascii_uppercase().as_str() {
        "UT" | "UTC" | "GMT" | "Z" | "WET" => 0,
        "EDT" => -4,
        "EST" | "CDT" => -5,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        "CET" | "WEST" => 1,
        "CEST" | "EET" => 2,
        "EEST" | "MSK" => 3,
        "JST" | "KST" => 9,
        "NZST" => 12,
        "NZDT" => 13,
        _ => return None,
    };
    Some(hours * 3600)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn shown(seconds: i64) -> String {
        DateTime::from_timestamp(seconds, 0).expect("in range").format("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    #[test]
    fn mail_dates_as_sent() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(mail(text).map(shown).as_deref(), expected, "{text}");
        };
        check("Wed, 20 Aug 2025 11:00:00 +0000", Some("2025-08-20T11:00:00Z"));
        check("Thu, 8 Mar 2005 14:00:00 EDT", Some("2005-03-08T18:00:00Z"));
        check("Thu, 30 Dec 10 10:37:16 UT", Some("2010-12-30T10:37:16Z"));
        check("Thu, 02 Jul 26 18:55:38 UTC", Some("2026-07-02T18:55:38Z"));
        check("Mon, 01 Jan 99 00:00:00 GMT", Some("1999-01-01T00:00:00Z"));
        check("8 Oct 2011 20:15:58 +0000 (GMT)", Some("2011-10-08T20:15:58Z"));
        check("Tue,  5 Oct 2021 17:37:02 +1300 (NZDT)", Some("2021-10-05T04:37:02Z"));
        check("Wed, 14 Apr 2010 12:15:31 -0700 (PDT)", Some("2010-04-14T19:15:31Z"));
        check("Thu, 9 Apr 2006 23:34:45 JST", Some("2006-04-09T14:34:45Z"));
        check("Thu, 29 Apr 2009 00:00:00 -0000 (EST)", Some("2009-04-29T00:00:00Z"));
        check("Thu, 29 Apr 2009 00:00:00 PST", Some("2009-04-29T08:00:00Z"));
        check("29 Apr 2009 00:00 +0100", Some("2009-04-28T23:00:00Z"));
        check("29 Apr 2009 7:05", Some("2009-04-29T07:05:00Z"));
        check("Tue Apr 30 02:09:16 2019", Some("2019-04-30T02:09:16Z"));
        check("02-Jul-2026 18:55:38 +0000", Some("2026-07-02T18:55:38Z"));
        check("2014-03-26 00-01-19", Some("2014-03-26T00:01:19Z"));
        check("2014-03-26T00:01:19.123+02:00", Some("2014-03-25T22:01:19Z"));
        check("Sat, 31 Dec 2016 23:59:60 +0000", Some("2016-12-31T23:59:59Z"));
        check("Wed, 20 August 2025 11:00:00 XYZ", Some("2025-08-20T11:00:00Z"));
        check("Fri, 32 Feb 99999 25:61:61 +9999", None);
        check("Fri, 30 Feb 2024 01:00:00 +0000", None);
        check("Fri, 3 Feb 2024 24:00:00 +0000", None);
        check("Fri, 3 Feb 2024 01:00:00 +2500", None);
        check("Fri, 3 Feb 2024", None);
        check("Fri, 3 Feb 1492 01:00:00 +0000", None);
        check("yesterday", None);
        check("", None);
    }

    #[test]
    fn plain_dates_are_read_as_any_other() {
        let check = |text: &str, expected: bool| {
            assert_eq!(plain(text).is_some(), expected, "{text}");
            assert!(!expected || plain(text) == lenient(text), "{text}");
        };
        check("Tue, 4 Aug 2026 09:12:00 +0000", true);
        check("Tue, 04 aug 2026 09:12:00 -0730", true);
        check("04 AUG 2026 23:59:60 PST", true);
        check("4 Aug 2026 09:12:00 nowhere", true);
        check("Mar, 4 Aug 2026 09:12:00 +0000", false);
        check("Tue, 4 Aug 2026  09:12:00 +0000", false);
        check("Tue, 4 Aug 2026 09:12:00 +0000 (UTC)", false);
        check("Tue, 4 Aug. 2026 09:12:00 +0000", false);
        check("Tue, 4 Aug 26 09:12:00 +0000", false);
        check("Tue, 4 Aug 2026 9:12:00 +0000", false);
        check("Tue, 4 Aug 2026 09.12:00 +0000", false);
        check("Tue, 31 Jun 2026 09:12:00 +0000", false);
        check("Tue, 4 Aug 2026 09:12:00 ", false);
        check("Tue, 4 Aug 2026 09:12:61 +0000", false);
        check("Tue, 4 Aug 2026 09:60:00 +0000", false);
        check("Tue, 4 Aug 1969 09:12:00 +0000", false);
        check("Tue, 4 Aug 2026 09:12:00 +2500", false);
        check("Tue, 4 Aug 2026 09:12:00 \u{e9}", false);
        check("Tue, 4 Aug +026 09:12:00 +0000", false);
    }

    #[test]
    fn rfc3339_with_and_without_zone() {
        let check = |text: &str, expected: Option<(&str, bool)>| {
            let found = rfc3339(text).map(|(at, zone)| (shown(at), zone));
            assert_eq!(found, expected.map(|(at, zone)| (at.to_owned(), zone)), "{text}");
        };
        check("2024-02-22T00:00:00Z", Some(("2024-02-22T00:00:00Z", true)));
        check("2026-08-02T23:59:59+02:00", Some(("2026-08-02T21:59:59Z", true)));
        check("2026-08-02T23:59:59-0230", Some(("2026-08-03T02:29:59Z", true)));
        check("2024-02-22T00:00:00", Some(("2024-02-22T00:00:00Z", false)));
        check("2024-02-22 00:00:00.000", Some(("2024-02-22T00:00:00Z", false)));
        check("2024-02-22", Some(("2024-02-22T00:00:00Z", false)));
        check("2024-02-30T00:00:00Z", None);
        check("2024-02-22T00:00:00 nonsense", None);
        check("2024-02-22Tééééé", None);
        check("", None);
    }
}
