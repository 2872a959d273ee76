//! How often something happened, and how sure that is.

/// Google and Yahoo ask for less than this share of complaints, and never a [`BAD`] one.
pub const HIGH: f64 = 0.001;
/// What Google and Yahoo refuse mail for.
pub const BAD: f64 = 0.003;

/// 97.5th percentile of the normal distribution: 95 % lie within as much on either side.
const Z: f64 = 1.959_963_985;

/// A share, and between which it lies with 95 % confidence (Wilson's score interval).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The share: 0 to 1, or more where more was complained about than was seen.
    pub share: f64,
    /// The least it may be.
    pub low: f64,
    /// The most it may be.
    pub high: f64,
}

impl Interval {
    /// Of `part` in `all`; `None` of nothing, and of numbers below nought.
    pub fn of(part: i64, all: i64) -> Option<Interval> {
        if all <= 0 || part < 0 {
            return None;
        }
        let (n, share) = (all as f64, part as f64 / all as f64);
        let p = share.min(1.0);
        let scale = 1.0 + Z * Z / n;
        let centre = (p + Z * Z / (2.0 * n)) / scale;
        let half = Z / scale * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        let low = if part == 0 { 0.0 } else { (centre - half).max(0.0) };
        Some(Interval { share, low, high: (centre + half).min(1.0) })
    }
}

/// What a rate means, taken from its interval rather than from the share: few complaints of few messages say little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All of the interval is below 0.1 %.
    Ok,
    /// All of it is above 0.1 %.
    High,
    /// All of it is above 0.3 %.
    Bad,
    /// It has 0.1 % within: too few messages to tell.
    Unclear,
    /// There is nothing to compare with.
    NotKnown,
}

impl Verdict {
    /// By the interval.
    pub fn of(interval: Option<Interval>) -> Verdict {
        match interval {
            None => Verdict::NotKnown,
            // More complaints than messages: the two do not belong together.
            Some(interval) if interval.share > 1.0 => Verdict::Unclear,
            Some(interval) if interval.low > BAD => Verdict::Bad,
            Some(interval) if interval.low > HIGH => Verdict::High,
            Some(interval) if interval.high < HIGH => Verdict::Ok,
            Some(_) => Verdict::Unclear,
        }
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::High => "high",
            Verdict::Bad => "bad",
            Verdict::Unclear => "unclear",
            Verdict::NotKnown => "n/a",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let check = |part: i64, all: i64, low: f64, high: f64, verdict: &str| {
            let interval = Interval::of(part, all);
            assert_eq!(Verdict::of(interval).as_str(), verdict, "{part} of {all}: {interval:?}");
            let interval = interval.unwrap();
            let near = |found: f64, expected: f64| (found * 100.0 - expected).abs() < 0.006;
            assert!(near(interval.low, low) && near(interval.high, high), "{part} of {all}: {interval:?}");
        };
        // The bounds, in per cent, are those of published tables and of R's binom.confint.
        check(3, 900, 0.11, 0.98, "high");
        check(2, 900, 0.06, 0.81, "unclear");
        check(40, 20_000, 0.15, 0.27, "high");
        check(0, 100, 0.0, 3.70, "unclear");
        check(0, 10_000, 0.0, 0.04, "ok");
        check(5, 100_000, 0.00, 0.01, "ok");
        check(50, 5_000, 0.76, 1.32, "bad");
        check(1, 1, 20.65, 100.0, "bad");
        check(7, 2, 34.24, 100.0, "unclear");
        assert_eq!(Interval::of(1, 0), None, "nothing is divided by nought");
        assert_eq!(Interval::of(-1, 5), None);
        assert_eq!(Verdict::of(None).as_str(), "n/a");
    }

    #[test]
    fn the_share_lies_within() {
        for all in [1, 2, 10, 999, 1_000_000, i64::MAX] {
            for part in [0, 1, all / 3, all] {
                let found = Interval::of(part, all).unwrap();
                assert!(found.low <= found.share && found.share <= found.high + 1e-12, "{part} of {all}: {found:?}");
            }
        }
    }
}
