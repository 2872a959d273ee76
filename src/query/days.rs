//! Messages by day. What a report tells of more than two days is spread over them.

use std::collections::BTreeMap;

use super::Counts;
use super::spread::{LONG_SECONDS, last_day, spread};

/// Messages of one result, of one day or one long period.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Begin of the period where it is long, else `None`.
    begin_at: Option<i64>,
    /// Its end, or a second of its last day.
    end_at: i64,
    /// Aligned DKIM result.
    dkim: Option<bool>,
    /// Aligned SPF result.
    spf: Option<bool>,
    /// Disposition, as stored.
    disposition: Option<i64>,
    /// How many.
    messages: i64,
    /// Begin of the first period.
    first_at: i64,
    /// End of the last.
    last_at: i64,
}

/// Messages added up by day and result, so that what is spread is spread as a whole, and adds up in every column.
#[derive(Debug, Default)]
pub struct Cells(BTreeMap<Place, Cell>);

/// A day or a long period, and the results.
type Place = (Option<i64>, i64, Option<bool>, Option<bool>, Option<i64>);

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
            if long { (Some(begin_at), end_at) } else { (None, last_day(end_at).saturating_mul(86_400) + 1) };
        let cell = self.0.entry((begin, end, dkim, spf, disposition)).or_insert(Cell {
            begin_at: begin,
            end_at: end,
            dkim,
            spf,
            disposition,
            messages: 0,
            first_at: begin_at,
            last_at: end_at,
        });
        cell.messages = cell.messages.saturating_add(messages);
        cell.first_at = cell.first_at.min(begin_at);
        cell.last_at = cell.last_at.max(end_at);
    }

    /// By day.
    pub fn days(self) -> Vec<Day> {
        days(self.0.into_values())
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

/// Sums cells up by day.
fn days(cells: impl IntoIterator<Item = Cell>) -> Vec<Day> {
    let mut found: BTreeMap<i64, Day> = BTreeMap::new();
    for cell in cells {
        let long = cell.begin_at.is_some();
        for (number, messages) in spread(cell.messages, cell.begin_at.unwrap_or(cell.end_at), cell.end_at) {
            let day = found.entry(number).or_insert(Day {
                day: number,
                counts: Counts::default(),
                spread: 0,
                first_at: cell.first_at,
                last_at: cell.last_at,
            });
            let counts = Counts::of(messages, cell.dkim, cell.spf, cell.disposition);
            day.counts = day.counts.plus(counts);
            day.spread = day.spread.saturating_add(if long { messages } else { 0 });
            day.first_at = day.first_at.min(cell.first_at);
            day.last_at = day.last_at.max(cell.last_at);
        }
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn cell(begin_at: Option<i64>, end_at: i64, dkim: Option<bool>, disposition: i64, messages: i64) -> Cell {
        let (spf, first_at) = (Some(false), begin_at.unwrap_or(end_at - DAY));
        Cell { begin_at, end_at, dkim, spf, disposition: Some(disposition), messages, first_at, last_at: end_at }
    }

    #[test]
    fn a_week_in_one_report_adds_up_in_every_column() {
        let found = days([
            cell(None, DAY, Some(true), 0, 100),
            cell(Some(0), 7 * DAY, Some(true), 0, 5),
            cell(Some(0), 7 * DAY, Some(false), 2, 3),
            cell(Some(0), 7 * DAY, None, 0, 1),
        ]);
        assert_eq!(found.len(), 7);
        let sum = found.iter().fold(Counts::default(), |sum, day| sum.plus(day.counts));
        assert_eq!((sum.messages, sum.dmarc_pass, sum.reject, sum.unknown), (109, 105, 3, 1));
        assert!(found.iter().all(|day| day.counts.dmarc_pass + day.counts.unknown <= day.counts.messages));
        assert_eq!(found.iter().map(|day| day.spread).sum::<i64>(), 9);
        assert_eq!((found[0].counts.messages, found[0].spread, found[0].last_at), (103, 3, 7 * DAY));
    }
}
