//! Parting what is said of a period into its days. Sums over windows never do: there a report counts whole, where it ends.

use crate::query::Counts;
use crate::store::daily::day;

const SECONDS: i64 = 86_400;
/// A period is parted into no more days than this, from its end: one that claims to be of a thousand years is not.
const MOST_DAYS: i64 = 400;

/// Whether a period is long enough to be parted: more than two days.
pub fn is_long(begin_at: i64, end_at: i64) -> bool {
    end_at.saturating_sub(begin_at) > 2 * SECONDS
}

/// The days of a period, with how many seconds of it lie in each. One day, that of its end, where it is not long.
fn days(begin_at: i64, end_at: i64) -> Vec<(i64, i64)> {
    let last = day(end_at);
    if !is_long(begin_at, end_at) {
        return vec![(last, 1)];
    }
    let first = begin_at.div_euclid(SECONDS).max(last.saturating_sub(MOST_DAYS - 1));
    let seconds = |day: i64| {
        let midnight = day.saturating_mul(SECONDS);
        end_at.min(midnight.saturating_add(SECONDS)).saturating_sub(begin_at.max(midnight)).max(0)
    };
    (first..=last).map(|day| (day, seconds(day))).collect()
}

/// Parts `number` by how much of the period lies in each day, in integers that add up to it.
pub fn parts(number: i64, begin_at: i64, end_at: i64) -> Vec<(i64, i64)> {
    let days = days(begin_at, end_at);
    let whole: i128 = days.iter().map(|(_, seconds)| i128::from(*seconds)).sum::<i128>().max(1);
    let (mut passed, mut given) = (0_i128, 0_i64);
    let last = days.len() - 1;
    let part = |(index, (day, seconds)): (usize, (i64, i64))| {
        passed += i128::from(seconds);
        // What is due up to this day, less what the days before it got: rounding never adds up.
        let due = if index == last { number } else { (i128::from(number) * passed / whole) as i64 };
        let part = (day, due - given);
        given = due;
        part
    };
    days.into_iter().enumerate().map(part).collect()
}

/// The same for each of the counts. What passes and what fails is parted each by itself, so the parts of a day may be one
/// off against each other where the numbers are small; over the days each adds up.
pub fn counts(counts: Counts, begin_at: i64, end_at: i64) -> Vec<(i64, Counts)> {
    if !is_long(begin_at, end_at) {
        return vec![(day(end_at), counts)];
    }
    type Field = fn(&mut Counts) -> &mut i64;
    const FIELDS: [Field; 8] = [
        |counts| &mut counts.messages,
        |counts| &mut counts.dmarc_pass,
        |counts| &mut counts.dkim_pass,
        |counts| &mut counts.spf_pass,
        |counts| &mut counts.unknown,
        |counts| &mut counts.quarantine,
        |counts| &mut counts.reject,
        |counts| &mut counts.complaints,
    ];
    let mut whole = counts;
    let mut days: Vec<(i64, Counts)> = Vec::new();
    for field in FIELDS {
        for (index, (day, part)) in parts(*field(&mut whole), begin_at, end_at).into_iter().enumerate() {
            if days.len() <= index {
                days.push((day, Counts::default()));
            }
            *field(&mut days[index].1) = part;
        }
    }
    days
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = SECONDS;

    #[test]
    fn short_periods_stay_whole_and_long_ones_add_up() {
        let check = |number: i64, begin_at: i64, end_at: i64, expected: &[(i64, i64)]| {
            let parts = parts(number, begin_at, end_at);
            assert_eq!(parts, expected, "{number} in {begin_at}..{end_at}");
            assert_eq!(parts.iter().map(|(_, part)| part).sum::<i64>(), number);
        };
        check(7, 0, DAY - 1, &[(0, 7)]);
        check(7, 0, DAY, &[(0, 7)]);
        check(7, DAY / 2, DAY + DAY / 2, &[(1, 7)]);
        check(7, 0, 2 * DAY, &[(1, 7)]);
        check(9, 0, 3 * DAY, &[(0, 3), (1, 3), (2, 3)]);
        check(10, 0, 3 * DAY, &[(0, 3), (1, 3), (2, 4)]);
        check(1, 0, 3 * DAY, &[(0, 0), (1, 0), (2, 1)]);
        check(0, 0, 3 * DAY, &[(0, 0), (1, 0), (2, 0)]);
        check(6, DAY / 2, 3 * DAY + DAY / 2, &[(0, 1), (1, 2), (2, 2), (3, 1)]);
        check(i64::MAX, 0, 3 * DAY, &[(0, i64::MAX / 3), (1, i64::MAX / 3), (2, i64::MAX / 3 + 1)]);
        // An end before its begin, and what no calendar has.
        check(5, 10 * DAY, DAY, &[(0, 5)]);
        assert_eq!(parts(1000, 0, i64::MAX).len() as i64, MOST_DAYS);
        assert_eq!(parts(1000, i64::MIN, i64::MAX).iter().map(|(_, part)| part).sum::<i64>(), 1000);
    }

    #[test]
    fn each_of_the_counts_adds_up() {
        let whole =
            Counts { messages: 100, dmarc_pass: 41, dkim_pass: 40, spf_pass: 7, unknown: 1, ..Counts::default() };
        let days = counts(whole, 0, 7 * DAY - 1);
        assert_eq!(days.len(), 7);
        assert_eq!(days.iter().fold(Counts::default(), |sum, (_, part)| sum.plus(*part)), whole);
        assert!(days.iter().all(|(_, part)| part.messages >= part.dmarc_pass && part.dmarc_pass >= part.dkim_pass));
        assert_eq!(counts(whole, 0, DAY), [(0, whole)]);
    }
}
