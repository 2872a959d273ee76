//! Bars of text: a figure for each day at a glance.

/// Heights of a bar, none first.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A bar for each day from `first` to `last`, at most `width`: where there are more days, a bar stands for several and shows the
/// highest of them. Answers the bars and the highest value. Days without a value are none; more than none is never drawn as none.
pub fn by_day(values: &[(i64, i64)], first: i64, last: i64, width: usize) -> (String, i64) {
    let width = i128::try_from(width.max(1)).unwrap_or(1);
    let days = (i128::from(last) - i128::from(first) + 1).max(1);
    let each = (days + width - 1) / width;
    let count = usize::try_from((days + each - 1) / each).unwrap_or(0);
    let mut heights = vec![0_i64; count];
    for (day, value) in values {
        let at = usize::try_from((i128::from(*day) - i128::from(first)) / each).ok();
        if let Some(height) = at.and_then(|at| heights.get_mut(at)) {
            *height = (*value).max(*height);
        }
    }
    let most = heights.iter().copied().max().unwrap_or(0);
    let bar = |height: &i64| {
        let scaled = (i128::from(*height) * 8 + i128::from(most) - 1).checked_div(i128::from(most)).unwrap_or(0);
        BARS.get(usize::try_from(scaled).unwrap_or(0).min(8)).copied().unwrap_or(' ')
    };
    (heights.iter().map(bar).collect(), most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_of_days() {
        for (values, first, last, width, expected) in [
            (&[(0, 8), (1, 4), (2, 1), (4, 0)][..], 0, 4, 10, ("█▄▁  ", 8)),
            (&[(0, 1_000_000), (1, 1)], 0, 1, 10, ("█▁", 1_000_000)),
            (&[(0, 1), (1, 5), (2, 3), (3, 10)], 0, 3, 2, ("▄█", 10)),
            (&[(0, 1), (4, 2)], 0, 4, 2, ("▄█", 2)),
            (&[], 0, 2, 10, ("   ", 0)),
            (&[(7, i64::MAX)], 7, 7, 10, ("█", i64::MAX)),
            (&[(3, 1)], 9, 8, 10, (" ", 0)),
        ] {
            let (bars, most) = by_day(values, first, last, width);
            assert_eq!((bars.as_str(), most), expected, "{values:?}");
        }
        assert_eq!(by_day(&[(0, 1), (i64::MAX - 1, 1)], 0, i64::MAX - 1, 60).0.chars().count(), 60);
    }
}
