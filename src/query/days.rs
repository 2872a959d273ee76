//! Messages by day. What a report tells of more than two days is spread over them.

use std::collections::BTreeMap;

use super::Counts;
use super::spread::{LONG_SECONDS, spread};
use crate::store::daily;

/// Messages added up by day and result, so that what is spread is spread as a whole, and adds up in every column.
#[derive(Debug, Default)]
pub struct Cells(BTreeMap<Place, Cell>);

/// Begin of the period where it is long, else `None`; its end, or a second of its last day; aligned DKIM and SPF result; disposition,
/// as stored.
type Place = (Option<i64>, i64, Option<bool>, Option<bool>, Option<i64>);

/// What has this in common.
#[derive(Debug)]
struct Cell {
    messages: i64,
    /// Begin of the first period.
    first_at: i64,
    /// End of the last.
    last_at: i64,
}

impl Cells {
    /// Adds messages of a period that have these results in common.
    pub fn add(
        &mut self,
        (begin_at, end_at): (i64, i64),
        (dkim, spf): (Option<bool>, Option<bool>),
        disposition: Option<i64>,
        messages: i64,
    ) {
        let long = end_at.saturating_sub(begin_at) > LONG_SECONDS;
        let (begin, end) =
            if long { (Some(begin_at), end_at) } else { (None, daily::day(end_at).saturating_mul(86_400) + 1) };
        let none = Cell { messages: 0, first_at: begin_at, last_at: end_at };
        let cell = self.0.entry((begin, end, dkim, spf, disposition)).or_insert(none);
        cell.messages = cell.messages.saturating_add(messages);
        cell.first_at = cell.first_at.min(begin_at);
        cell.last_at = cell.last_at.max(end_at);
    }

    /// By day.
    pub fn days(self) -> Vec<Day> {
        let mut found: BTreeMap<i64, Day> = BTreeMap::new();
        for ((begin_at, end_at, dkim, spf, disposition), cell) in self.0 {
            let long = begin_at.is_some();
            for (number, messages) in spread(cell.messages, begin_at.unwrap_or(end_at), end_at) {
                let day = found.entry(number).or_insert(Day {
                    day: number,
                    counts: Counts::default(),
                    spread: 0,
                    first_at: cell.first_at,
                    last_at: cell.last_at,
                });
                day.counts = day.counts.plus(Counts::of(messages, dkim, spf, disposition));
                day.spread = day.spread.saturating_add(if long { messages } else { 0 });
                day.first_at = day.first_at.min(cell.first_at);
                day.last_at = day.last_at.max(cell.last_at);
            }
        }
        found.into_values().collect()
    }
}

/// One UTC day.
#[derive(Clone, Debug, PartialEq)]
pub struct Day {
    /// In days since the epoch.
    pub day: i64,
    /// Its messages; complaints are not known here.
    pub counts: Counts,
    /// Messages among these that are a day's part of a longer report.
    pub spread: i64,
    /// Begin of the first period that tells of it.
    pub first_at: i64,
    /// End of the last.
    pub last_at: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    #[test]
    fn a_week_in_one_report_adds_up_in_every_column() {
        let mut cells = Cells::default();
        for (end_at, dkim, disposition, messages) in [
            (DAY, Some(true), 0, 100),
            (7 * DAY, Some(true), 0, 5),
            (7 * DAY, Some(false), 2, 3),
            (7 * DAY, None, 0, 1),
        ] {
            cells.add((0, end_at), (dkim, Some(false)), Some(disposition), messages);
        }
        let found = cells.days();
        assert_eq!(found.len(), 7);
        let sum = found.iter().fold(Counts::default(), |sum, day| sum.plus(day.counts));
        assert_eq!((sum.messages, sum.dmarc_pass, sum.reject, sum.unknown), (109, 105, 3, 1));
        assert!(found.iter().all(|day| day.counts.dmarc_pass + day.counts.unknown <= day.counts.messages));
        assert_eq!(found.iter().map(|day| day.spread).sum::<i64>(), 9);
        assert_eq!((found[0].counts.messages, found[0].spread, found[0].last_at), (103, 3, 7 * DAY));
    }
}
