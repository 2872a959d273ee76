//! `--since` and `--until`: from what a person writes to a stretch of time.

use chrono::{DateTime, Months, NaiveDate, NaiveTime};

use crate::query::Window;
use crate::query::extent::Extent;
use crate::render::number;

/// The window when nothing is said.
const DEFAULT_SECONDS: i64 = 7 * 86_400;

/// Options for a stretch of time.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct WindowArgs {
    /// From when on: a span back from now (90m 24h 7d 4w 6mo 1y), a date, an RFC 3339 time, or `all`
    ///
    /// A date is its first second, UTC. With `--until newest` a span counts back from there. Without --since the window
    /// is the 7 days before its end, unless this command says otherwise.
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Before when: as --since, or `newest`
    ///
    /// A date is its first second, UTC, so `--since 2026-11-01 --until 2026-12-01` is November. `newest` is the end of
    /// the newest report, that report included. Without --until the window ends now.
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
}

impl WindowArgs {
    /// Whether the window is the one of no options.
    pub fn is_default(&self) -> bool {
        self.since.is_none() && self.until.is_none()
    }

    /// The window that the options mean at `now`, over data that reaches as far as `extent`.
    ///
    /// # Errors
    /// Text for people: what is no time, or that the window ends before it begins.
    pub fn resolve(&self, now: i64, extent: Extent) -> Result<Window, String> {
        let until = self.until.as_deref().map(Point::parse).transpose().map_err(|error| format!("--until: {error}"))?;
        let since = self.since.as_deref().map(Point::parse).transpose().map_err(|error| format!("--since: {error}"))?;
        resolve(now, extent, since, until)
    }

    /// As [`WindowArgs::resolve`], for what is asked about all times unless said otherwise.
    ///
    /// # Errors
    /// As there.
    pub fn resolve_or_all(&self, now: i64, extent: Extent) -> Result<Window, String> {
        if self.is_default() {
            return resolve(now, extent, Some(Point::All), None);
        }
        self.resolve(now, extent)
    }
}

/// A window in words: `2026-11-14 00:00 to 2026-11-21 00:00 UTC (7 days)`.
pub fn words(window: Window) -> String {
    let length = number::length(window.until.saturating_sub(window.since));
    format!("{} to {} UTC ({length})", number::time(window.since), number::time(window.until))
}

/// The time that a span (`90d 6mo 2y`) before `now` is.
///
/// # Errors
/// Text for people, where it is no span, or one of nothing.
pub fn back(now: i64, text: &str) -> Result<i64, String> {
    let at = match Point::parse(text)? {
        point @ (Point::Seconds(1..) | Point::Months(1..)) => point.before(now),
        _ => return Err(format!("`{text}` is no span of time: give one such as 90d, 6mo or 2y")),
    };
    at.ok_or_else(|| "further back than calendars reach".to_owned())
}

/// A time in the past: a span back from now, a date, or an RFC 3339 time.
///
/// # Errors
/// Text for people.
pub fn past(now: i64, text: &str) -> Result<i64, String> {
    let at = Point::parse(text)?.before(now);
    at.filter(|at| *at <= now).ok_or_else(|| format!("`{text}` is no time before now"))
}

/// A time in the future: a span from now on, a date, or an RFC 3339 time.
///
/// # Errors
/// Text for people.
pub fn ahead(now: i64, text: &str) -> Result<i64, String> {
    let at = match Point::parse(text)? {
        Point::Seconds(span) => now.checked_add(span),
        Point::Months(months) => DateTime::from_timestamp(now, 0)
            .and_then(|time| time.checked_add_months(Months::new(months)))
            .map(|time| time.timestamp()),
        Point::At(at) => Some(at),
        Point::All | Point::Newest => None,
    };
    at.filter(|at| *at > now).ok_or_else(|| format!("`{text}` is no time after now"))
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Point {
    Seconds(i64),
    Months(u32),
    At(i64),
    All,
    Newest,
}

impl Point {
    fn parse(text: &str) -> Result<Point, String> {
        let text = text.trim();
        match text {
            "all" => Ok(Point::All),
            "newest" => Ok(Point::Newest),
            _ => span(text).or_else(|| time(text)).ok_or_else(|| {
                format!(
                    "`{text}` is no time: give a span (90m 24h 7d 4w 6mo 1y), a date (2026-11-20), an RFC 3339 time \
                     (2026-11-20T14:00:00Z), or `all`"
                )
            }),
        }
    }

    /// This point as seconds, spans counted back from `base`.
    fn before(self, base: i64) -> Option<i64> {
        match self {
            Point::Seconds(span) => base.checked_sub(span),
            Point::Months(months) => {
                DateTime::from_timestamp(base, 0)?.checked_sub_months(Months::new(months)).map(|time| time.timestamp())
            }
            Point::At(at) => Some(at),
            Point::All | Point::Newest => None,
        }
    }
}

fn span(text: &str) -> Option<Point> {
    let digits = text.find(|character: char| !character.is_ascii_digit())?;
    let count: u32 = text[..digits].parse().ok()?;
    let seconds = |unit: i64| Some(Point::Seconds(i64::from(count) * unit));
    match &text[digits..] {
        "m" => seconds(60),
        "h" => seconds(3_600),
        "d" => seconds(86_400),
        "w" => seconds(7 * 86_400),
        "mo" => Some(Point::Months(count)),
        "y" => count.checked_mul(12).map(Point::Months),
        _ => None,
    }
}

fn time(text: &str) -> Option<Point> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(Point::At(time.timestamp()));
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(Point::At(date.and_time(NaiveTime::MIN).and_utc().timestamp()))
}

fn resolve(now: i64, extent: Extent, since: Option<Point>, until: Option<Point>) -> Result<Window, String> {
    const TOO_FAR: &str = "further back than calendars reach";
    let everything = extent.last.map_or(now, |last| now.max(last.saturating_add(1)));
    let newest = extent.newest.map_or(now, |newest| newest.saturating_add(1));
    let until_at = match until {
        Some(Point::Newest) => newest,
        Some(Point::All) => everything,
        None if since == Some(Point::All) => everything,
        None => now,
        Some(point) => point.before(now).ok_or(format!("--until: {TOO_FAR}"))?,
    };
    let base = if until == Some(Point::Newest) { newest } else { now };
    let since_at = match since {
        None => until_at.saturating_sub(DEFAULT_SECONDS),
        Some(Point::All) => extent.oldest.unwrap_or(until_at).min(until_at),
        Some(Point::Newest) => return Err("--since: `newest` is for --until".to_owned()),
        Some(point) => point.before(base).ok_or(format!("--since: {TOO_FAR}"))?,
    };
    if since_at > until_at || (since_at == until_at && since != Some(Point::All)) {
        return Err(format!(
            "nothing can be between {} and {} UTC: --since must be before --until, and spans count back from now",
            number::time(since_at),
            number::time(until_at)
        ));
    }
    Ok(Window { since: since_at, until: until_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_219_200; // 2026-11-21T00:00:00Z
    const DAY: i64 = 86_400;
    const EXTENT: Extent =
        Extent { oldest: Some(1_000_000_000), newest: Some(NOW - 30 * DAY - 1), last: Some(4_102_444_800) };

    fn check(since: &str, until: &str, expected: Result<(i64, i64), &str>) {
        let option = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let args = WindowArgs { since: option(since), until: option(until) };
        match (args.resolve(NOW, EXTENT), expected) {
            (Ok(window), Ok(expected)) => {
                assert_eq!((window.since, window.until), expected, "{since} {until}")
            }
            (Err(error), Err(part)) => assert!(error.contains(part), "{since} {until}: {error}"),
            (found, expected) => panic!("{since} {until}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn windows() {
        check("", "", Ok((NOW - 7 * DAY, NOW)));
        check("90m", "", Ok((NOW - 5_400, NOW)));
        check("24h", "", Ok((NOW - DAY, NOW)));
        check("7d", "", Ok((NOW - 7 * DAY, NOW)));
        check("4w", "", Ok((NOW - 28 * DAY, NOW)));
        check("6mo", "", Ok((1_779_321_600, NOW))); // 2026-05-21
        check("1y", "", Ok((1_763_683_200, NOW))); // 2025-11-21
        check("2026-11-20", "", Ok((NOW - DAY, NOW)));
        check("2026-11-20T14:00:00+02:00", "", Ok((NOW - DAY + 12 * 3_600, NOW)));
        check("30d", "7d", Ok((NOW - 30 * DAY, NOW - 7 * DAY)));
        check("", "2026-11-11", Ok((NOW - 17 * DAY, NOW - 10 * DAY)));
        check("2026-11-01", "2026-11-11", Ok((NOW - 20 * DAY, NOW - 10 * DAY)));
    }

    #[test]
    fn all_and_newest() {
        check("all", "", Ok((1_000_000_000, 4_102_444_801)));
        check("all", "7d", Ok((1_000_000_000, NOW - 7 * DAY)));
        check("7d", "all", Ok((NOW - 7 * DAY, 4_102_444_801)));
        check("all", "2000-01-01", Ok((946_684_800, 946_684_800)));
        // Seven whole days, the end of the newest report in the last of them.
        check("", "newest", Ok((NOW - 37 * DAY, NOW - 30 * DAY)));
        check("1d", "newest", Ok((NOW - 31 * DAY, NOW - 30 * DAY)));
        check("all", "newest", Ok((1_000_000_000, NOW - 30 * DAY)));
        let empty = Extent { oldest: None, newest: None, last: None };
        let newest = WindowArgs { since: None, until: Some("newest".to_owned()) };
        assert_eq!(newest.resolve(NOW, empty.clone()), Ok(Window { since: NOW - 7 * DAY, until: NOW }));
        let all = WindowArgs { since: Some("all".to_owned()), until: None };
        assert_eq!(all.resolve(NOW, empty), Ok(Window { since: NOW, until: NOW }));
        let nothing = WindowArgs::default();
        assert_eq!(nothing.resolve_or_all(NOW, EXTENT), Ok(Window { since: 1_000_000_000, until: 4_102_444_801 }));
    }

    #[test]
    fn what_is_no_window_is_said() {
        check("7x", "", Err("--since: `7x` is no time: give a span"));
        check("d", "", Err("`d` is no time"));
        check("7", "", Err("`7` is no time"));
        check("-7d", "", Err("`-7d` is no time"));
        check("99999999999d", "", Err("is no time"));
        check("", "2026-13-01", Err("--until: `2026-13-01` is no time"));
        check("newest", "", Err("`newest` is for --until"));
        check("4000000000y", "", Err("is no time"));
        check("300000000y", "", Err("further back than calendars reach"));
        check("7d", "2026-01-01", Err("--since must be before --until"));
        check("0d", "", Err("nothing can be between"));
    }

    #[test]
    fn spans_back() {
        assert_eq!(back(NOW, "30d"), Ok(NOW - 30 * DAY));
        assert_eq!(back(NOW, "1y"), Ok(1_763_683_200));
        for none in ["0d", "0mo", "all", "newest", "2020-01-01", "x", "-1d", ""] {
            assert!(back(NOW, none).is_err(), "{none}");
        }
    }

    #[test]
    fn times_back() {
        assert_eq!(past(NOW, "30d"), Ok(NOW - 30 * DAY));
        assert_eq!(past(NOW, "2026-11-20"), Ok(NOW - DAY));
        for other in ["2030-01-01", "all", "newest", "soon"] {
            assert!(past(NOW, other).is_err(), "{other}");
        }
    }

    #[test]
    fn times_ahead() {
        assert_eq!(ahead(NOW, "30d"), Ok(NOW + 30 * DAY));
        assert_eq!(ahead(NOW, "1mo"), Ok(NOW + 30 * DAY));
        assert_eq!(ahead(NOW, "2027-01-01"), Ok(1_798_761_600));
        for past in ["2020-01-01", "0d", "all", "newest"] {
            assert!(ahead(NOW, past).is_err(), "{past}");
        }
    }
}
