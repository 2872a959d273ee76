//! Records on their way into the daily sums: held until they are many, and then written by reporter and by address.

use rusqlite::{Connection, params_from_iter};

use super::fresh::NewAddresses;
use super::map::Map;
use super::sources::Sources;
use super::{NO_RESULT, Period, Record};

/// Records held before they are written: those of a whole batch, in some 6 MB. Of what is met again and again, a row is then
/// written once.
const MOST: usize = 50_000;

/// What a report says of all its records.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub day: i64,
    pub period: Period,
    pub domain: i64,
    pub org_name: i64,
}

/// A record with what its report says.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    pub head: &'a Head,
    pub record: &'a Record,
}

impl<'a> Told<'a> {
    fn of(heads: &'a [Head], (head, record): &'a (usize, Record)) -> Option<Told<'a>> {
        Some(Told { head: heads.get(*head)?, record })
    }
}

/// How messages fared. A count is at most 2^31, so these cannot overflow by what is read.
#[derive(Clone, Copy, Default)]
pub(super) struct Figures {
    pub records: i64,
    pub messages: i64,
    pub dmarc_pass: i64,
    pub dkim_pass: i64,
    pub spf_pass: i64,
    pub unknown: i64,
    pub quarantine: i64,
    pub reject: i64,
}

impl Figures {
    /// In the order of the columns, which both tables have.
    pub fn values(&self) -> [i64; 8] {
        let &Figures { records, messages, dmarc_pass, dkim_pass, spf_pass, unknown, quarantine, reject } = self;
        [records, messages, dmarc_pass, dkim_pass, spf_pass, unknown, quarantine, reject]
    }

    pub fn add(&mut self, record: &Record, sign: i64) {
        let plus = |sum: &mut i64, holds: bool| {
            if holds {
                *sum = sum.saturating_add(record.messages.saturating_mul(sign));
            }
        };
        let (dkim, spf) = (record.dkim == 1, record.spf == 1);
        self.records += sign;
        plus(&mut self.messages, true);
        plus(&mut self.dmarc_pass, dkim || spf);
        plus(&mut self.dkim_pass, dkim);
        plus(&mut self.spf_pass, spf);
        plus(&mut self.unknown, !dkim && !spf && (record.dkim == NO_RESULT || record.spf == NO_RESULT));
        plus(&mut self.quarantine, record.disposition == 1);
        plus(&mut self.reject, record.disposition == 2);
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct ReporterKey {
    day: i64,
    domain: i64,
    org_name: i64,
    period: Period,
}

impl ReporterKey {
    fn of(head: &Head) -> ReporterKey {
        let &Head { day, domain, org_name, period } = head;
        ReporterKey { day, domain, org_name, period }
    }
}

/// Records on their way into the tables.
pub(super) struct Sums<'a> {
    connection: &'a Connection,
    sign: i64,
    /// Of the records held; the last one is of the report that was begun last.
    heads: Vec<Head>,
    /// Each with the place of its head.
    records: Vec<(usize, Record)>,
    new_addresses: NewAddresses,
    reporters: Map<ReporterKey, (i64, Figures)>,
}

impl Sums<'_> {
    /// Nothing. `sign`: 1 where what is added is to be put in, -1 where it is to be taken out.
    pub fn of(connection: &Connection, sign: i64, new_addresses: NewAddresses) -> Sums<'_> {
        Sums { connection, sign, heads: Vec::new(), records: Vec::new(), new_addresses, reporters: Map::default() }
    }

    /// Records of this report come next.
    pub fn begin(&mut self, head: Head) -> rusqlite::Result<()> {
        if self.heads.len() >= MOST {
            self.write()?;
        }
        let (reports, _) = self.reporters.entry(ReporterKey::of(&head)).or_default();
        *reports += self.sign;
        self.heads.push(head);
        Ok(())
    }

    /// Adds a record of the report that was begun last.
    pub fn add(&mut self, record: Record) -> rusqlite::Result<()> {
        if self.records.len() >= MOST {
            self.write()?;
        }
        self.records.push((self.heads.len().saturating_sub(1), record));
        Ok(())
    }

    /// Writes what is held.
    pub fn write(&mut self) -> rusqlite::Result<()> {
        self.write_sources()?;
        self.write_reporters()?;
        self.records.clear();
        self.new_addresses = NewAddresses::default();
        // Of the last report more may come.
        self.heads.drain(..self.heads.len().saturating_sub(1));
        Ok(())
    }

    /// In the order of the keys: neighbours share their page.
    fn write_sources(&self) -> rusqlite::Result<()> {
        let mut sources = Sources::of(self.connection, self.sign)?;
        let mut told: Vec<Told<'_>> = self.records.iter().filter_map(|held| Told::of(&self.heads, held)).collect();
        told.sort_by_cached_key(|told| (told.record.source, told.head.day));
        told.chunk_by_mut(|one, other| one.record.source == other.record.source)
            .try_for_each(|told| sources.write(told, &self.new_addresses))
    }

    fn write_reporters(&mut self) -> rusqlite::Result<()> {
        for of_report in self.records.chunk_by(|(one, _), (other, _)| one == other) {
            let Some(head) = of_report.first().and_then(|(head, _)| self.heads.get(*head)) else { continue };
            let (_, sum) = self.reporters.entry(ReporterKey::of(head)).or_default();
            of_report.iter().for_each(|(_, record)| sum.add(record, self.sign));
        }
        let mut upsert = self.connection.prepare_cached(
            "INSERT INTO daily_reporter (day, domain, org_name, early, short, verified, reports, records, messages, \
             dmarc_pass, dkim_pass, spf_pass, unknown, quarantine, reject) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) \
             ON CONFLICT (day, domain, org_name, early, short, verified) DO UPDATE SET reports = reports + excluded.reports, \
             records = records + excluded.records, messages = messages + excluded.messages, \
             dmarc_pass = dmarc_pass + excluded.dmarc_pass, dkim_pass = dkim_pass + excluded.dkim_pass, \
             spf_pass = spf_pass + excluded.spf_pass, unknown = unknown + excluded.unknown, \
             quarantine = quarantine + excluded.quarantine, reject = reject + excluded.reject",
        )?;
        let mut remove = self.connection.prepare_cached(
            "DELETE FROM daily_reporter \
             WHERE (day, domain, org_name, early, short, verified) = (?1, ?2, ?3, ?4, ?5, ?6) AND reports = 0",
        )?;
        let mut all: Vec<_> = self.reporters.drain().collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        for (key, (reports, figures)) in all {
            let ReporterKey { day, domain, org_name, period: Period { early, short, verified } } = key;
            let key = [day, domain, org_name, early, short, i64::from(verified)];
            upsert.execute(params_from_iter(key.into_iter().chain([reports]).chain(figures.values())))?;
            if self.sign < 0 {
                remove.execute(key)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::daily::Fresh;
    use crate::store::migrations::SCHEMA;

    fn begin(sums: &mut Sums<'_>, org_name: i64) {
        begin_on(sums, 20_000, org_name);
    }

    fn begin_on(sums: &mut Sums<'_>, day: i64, org_name: i64) {
        let period = Period { early: 1, short: 1, verified: false };
        sums.begin(Head { day, period, domain: 1, org_name }).unwrap();
    }

    fn add(sums: &mut Sums<'_>, count: usize) {
        let (header_from, dkim_set, spf_set, reason_set) = (1, 1, 1, 0);
        let (disposition, dkim, spf) = (0, 1, 1);
        let (source, messages) = (1, 2);
        let record = Record { source, messages, disposition, dkim, spf, header_from, dkim_set, spf_set, reason_set };
        (0..count).for_each(|_| sums.add(record).unwrap());
    }

    /// Reports, records and messages of each reporter.
    fn reporters(connection: &Connection) -> Vec<[i64; 4]> {
        let sql = "SELECT org_name, reports, records, messages FROM daily_reporter ORDER BY org_name";
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])).unwrap();
        rows.map(Result::unwrap).collect()
    }

    fn database() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        connection.execute_batch("INSERT INTO address (id, ip) VALUES (1, '192.0.2.1')").unwrap();
        connection
    }

    #[test]
    fn a_new_address_is_new_until_it_is_written() {
        let connection = database();
        let mut fresh = Fresh::default();
        fresh.add_address(4, 1, "192.0.2.1".parse().unwrap());
        let mut sums = Sums::of(&connection, 1, fresh.take_addresses(4));
        begin(&mut sums, 1);
        add(&mut sums, MOST);
        begin_on(&mut sums, 20_001, 1);
        add(&mut sums, 5);
        sums.write().unwrap();
        let all =
            "SELECT ip, records, first_at, (SELECT group_concat(day || ' ' || ip) FROM daily_result) FROM address";
        let all =
            connection.query_row(all, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).unwrap();
        let ip = "192.0.2.1".to_owned();
        assert_eq!(all, (ip, MOST as i64 + 5, 20_001 * 86_400 - 1, "20000 192.0.2.1,20001 192.0.2.1".to_owned()));
    }

    #[test]
    fn what_is_written_on_the_way_adds_up() {
        let connection = database();
        let mut sums = Sums::of(&connection, 1, NewAddresses::default());
        let most = MOST as i64;
        begin(&mut sums, 1);
        add(&mut sums, 3);
        // Written while records of it come.
        begin(&mut sums, 2);
        add(&mut sums, MOST);
        assert_eq!(reporters(&connection), [[1, 1, 3, 6], [2, 1, most - 3, 2 * (most - 3)]]);
        // Written when there is no record of the last ones.
        (0..=MOST).for_each(|_| begin(&mut sums, 3));
        assert_eq!(reporters(&connection)[1], [2, 1, most, 2 * most]);
        add(&mut sums, 1);
        sums.write().unwrap();
        assert_eq!(reporters(&connection), [[1, 1, 3, 6], [2, 1, most, 2 * most], [3, most + 1, 1, 2]]);
        let all = "SELECT records, messages FROM daily_source";
        let all = connection.query_row(all, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(all, (most + 4, 2 * (most + 4)));
    }
}
