//! Counts of a long period over its days: in proportion, in whole messages that add up.

use crate::store::daily;

/// A period longer than this is spread: two days, and the second that some reporters end late.
pub const LONG_SECONDS: i64 = 2 * 86_400 + 1;
/// A period is spread over no more than so many days, the last of it: a stranger can claim to report about a century.
const MOST_DAYS: usize = 366;
const DAY: i64 = 86_400;

/// Days and messages of a period: all on its last day, or spread over its days where it is long. Of a tie the earlier day gets
/// the message (largest remainder).
pub fn spread(messages: i64, begin_at: i64, end_at: i64) -> Vec<(i64, i64)> {
    let length = end_at.saturating_sub(begin_at);
    let last = daily::day(end_at);
    if length <= LONG_SECONDS {
        return vec![(last, messages)];
    }
    let first = begin_at.div_euclid(DAY).max(last.saturating_sub(MOST_DAYS as i64 - 1));
    let begin_at = begin_at.max(first.saturating_mul(DAY));
    let whole = i128::from(end_at - begin_at);
    let mut shares: Vec<(i64, i64, i128)> = Vec::new();
    for day in first..=last {
        let seconds = end_at.min((day + 1) * DAY) - begin_at.max(day * DAY);
        let product = i128::from(messages) * i128::from(seconds);
        // Never more than `messages`, which is an i64.
        let part = i64::try_from(product / whole).unwrap_or(messages);
        shares.push((day, part, product % whole));
    }
    let mut rest = messages - shares.iter().map(|(_, part, _)| part).sum::<i64>();
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(shares.get(*at).map(|(_, _, remainder)| *remainder)));
    for at in order {
        if rest == 0 {
            break;
        }
        if let Some((_, part, _)) = shares.get_mut(at) {
            *part += 1;
            rest -= 1;
        }
    }
    shares.into_iter().map(|(day, part, _)| (day, part)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_periods_belong_to_their_last_day() {
        for (begin, end, day) in
            [(0, DAY, 0), (0, DAY - 1, 0), (0, DAY + 1, 1), (0, 2 * DAY, 1), (0, 0, -1), (5, 4, 0), (-DAY, 0, -1)]
        {
            assert_eq!(spread(7, begin, end), [(day, 7)], "{begin} {end}");
        }
    }

    #[test]
    fn long_periods_are_spread_in_proportion() {
        assert_eq!(spread(14, 0, 7 * DAY), (0..7).map(|day| (day, 2)).collect::<Vec<_>>());
        assert_eq!(spread(10, 0, 3 * DAY), [(0, 4), (1, 3), (2, 3)]);
        assert_eq!(spread(6, DAY / 2, 3 * DAY + DAY / 2), [(0, 1), (1, 2), (2, 2), (3, 1)]);
        assert_eq!(spread(1, DAY / 2, 3 * DAY + DAY / 2), [(0, 0), (1, 1), (2, 0), (3, 0)]);
        assert_eq!(spread(-DAY, -3 * DAY, 0).len(), 3);
    }

    #[test]
    fn whatever_strangers_claim_adds_up() {
        for messages in [0, 1, 2, 365, 367, 1_000_003, i64::MAX] {
            for (begin, end) in [
                (0, 3 * DAY),
                (17, 9 * DAY - 4),
                (-5 * DAY, 400 * DAY),
                (i64::MIN, 4_102_444_800),
                (0, 253_402_300_800),
            ] {
                let days = spread(messages, begin, end);
                assert_eq!(days.iter().map(|(_, part)| part).sum::<i64>(), messages, "{messages} {begin} {end}");
                assert!(days.len() <= MOST_DAYS && days.iter().all(|(_, part)| *part >= 0));
                assert_eq!(days.last().unwrap().0, daily::day(end));
            }
        }
    }
}
