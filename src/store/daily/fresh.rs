//! Rows of a batch that are still at hand when it is committed, so that they need not be read again to be added up.

use std::net::IpAddr;

use super::Record;

/// Rows held, at most: about 3 MB, and 2 MB for addresses. Those of a report that does not fit are read again.
const MOST: usize = 50_000;

/// The rows of new reports, in the order of their numbers.
#[derive(Default)]
pub struct Fresh {
    /// Reports, and where their rows begin.
    reports: Vec<(i64, usize)>,
    rows: Vec<Record>,
    addresses: NewAddresses,
}

/// Addresses of which nothing is in the sums, by their numbers.
#[derive(Default)]
pub(super) struct NewAddresses(Vec<NewAddress>);

struct NewAddress {
    id: i64,
    ip: IpAddr,
    /// The report that told of it first: none before it does.
    report: i64,
}

impl NewAddresses {
    /// The address of this number, if it is one of them.
    pub fn get(&self, id: i64) -> Option<IpAddr> {
        let at = self.0.binary_search_by_key(&id, |address| address.id).ok()?;
        self.0.get(at).map(|address| address.ip)
    }
}

impl Fresh {
    /// Rows of this report come next. A number is given again when the report that had it, or one before that, was given up.
    pub fn begin(&mut self, report: i64) {
        while self.reports.last().is_some_and(|(last, _)| *last >= report) {
            self.drop_last();
        }
        self.reports.push((report, self.rows.len()));
    }

    /// Adds a row, if it is of the report that was begun last.
    pub fn add(&mut self, report: i64, row: impl FnOnce() -> Record) {
        if self.reports.last().is_none_or(|(last, _)| *last != report) {
            return;
        }
        match self.rows.len() {
            ..MOST => self.rows.push(row()),
            _ => self.drop_last(),
        }
    }

    /// Adds an address whose row was made for this report. Rows are numbered in the order in which they are made.
    pub fn add_address(&mut self, report: i64, id: i64, ip: IpAddr) {
        let addresses = &mut self.addresses.0;
        if addresses.len() < MOST && addresses.last().is_none_or(|last| last.id < id) {
            addresses.push(NewAddress { id, ip, report });
        }
    }

    /// The addresses that no report before this one told of; once, because what is done with them is to put them in the sums.
    pub(super) fn take_addresses(&mut self, first: i64) -> NewAddresses {
        let mut addresses = std::mem::take(&mut self.addresses);
        addresses.0.retain(|address| address.report >= first);
        addresses
    }

    /// All rows of a report that has so many, if they are here.
    pub(super) fn rows(&self, report: i64, count: i64) -> Option<&[Record]> {
        let at = self.reports.binary_search_by_key(&report, |(report, _)| *report).ok()?;
        let (_, start) = *self.reports.get(at)?;
        let end = self.reports.get(at + 1).map_or(self.rows.len(), |(_, start)| *start);
        self.rows.get(start..end).filter(|rows| rows.len() as i64 == count)
    }

    /// Forgets all, but keeps the memory for the next batch.
    pub fn clear(&mut self) {
        self.reports.clear();
        self.rows.clear();
        self.addresses.0.clear();
    }

    fn drop_last(&mut self) {
        if let Some((_, start)) = self.reports.pop() {
            self.rows.truncate(start);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(source: i64) -> Record {
        Record {
            source,
            messages: 1,
            disposition: 0,
            dkim: 0,
            spf: 0,
            header_from: 1,
            dkim_set: 1,
            spf_set: 1,
            reason_set: 0,
        }
    }

    fn sources(fresh: &Fresh, report: i64, count: i64) -> Option<Vec<i64>> {
        fresh.rows(report, count).map(|rows| rows.iter().map(|row| row.source).collect())
    }

    #[test]
    fn rows_are_found_by_their_report() {
        let mut fresh = Fresh::default();
        for (report, rows) in [(3, 10..12), (4, 20..20), (7, 30..33)] {
            fresh.begin(report);
            rows.for_each(|row| fresh.add(report, || record(row)));
        }
        // Of one that is read again after others were begun, nothing is held.
        fresh.add(4, || record(99));
        assert_eq!(sources(&fresh, 3, 2), Some(vec![10, 11]));
        assert_eq!(sources(&fresh, 4, 0), Some(vec![]));
        assert_eq!(sources(&fresh, 7, 3), Some(vec![30, 31, 32]));
        assert_eq!(sources(&fresh, 5, 0), None);
        assert_eq!(sources(&fresh, 3, 3), None, "not all of them");
        // The last two were given up.
        fresh.begin(4);
        fresh.add(4, || record(40));
        assert_eq!(sources(&fresh, 3, 2), Some(vec![10, 11]));
        assert_eq!(sources(&fresh, 4, 1), Some(vec![40]));
        assert_eq!(sources(&fresh, 7, 3), None);
        fresh.clear();
        assert_eq!(sources(&fresh, 3, 2), None);
    }

    #[test]
    fn an_address_is_new_unless_its_report_is_in_the_sums() {
        let ip = |id: i64| IpAddr::from([192, 0, 2, id as u8]);
        for (first, expected) in [(3, [true, true, true]), (4, [false, true, true]), (6, [false; 3])] {
            let mut fresh = Fresh::default();
            for (report, id) in [(3, 10), (4, 12), (5, 13)] {
                fresh.add_address(report, id, ip(id));
            }
            let new = fresh.take_addresses(first);
            let found = [10, 12, 13].map(|id| new.get(id));
            assert_eq!(found.map(|ip| ip.is_some()), expected, "{first}");
            assert_eq!((found[1].unwrap_or(ip(12)), new.get(11)), (ip(12), None));
            assert_eq!(fresh.take_addresses(first).get(13), None, "a second time");
        }
    }

    #[test]
    fn only_so_many_are_held() {
        let mut fresh = Fresh::default();
        fresh.begin(1);
        fresh.add(1, || record(1));
        fresh.begin(2);
        (0..=MOST as i64).for_each(|row| fresh.add(2, || record(row)));
        assert_eq!(fresh.rows.len(), 1);
        assert_eq!(sources(&fresh, 1, 1), Some(vec![1]));
        assert_eq!(fresh.rows(2, MOST as i64 + 1).map(<[Record]>::len), None);
    }
}
