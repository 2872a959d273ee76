//! What records tell of addresses, on its way into the tables: into `daily_source`, `daily_result` and the rows of the addresses.

use rusqlite::{CachedStatement, Connection, params_from_iter};

use super::fresh::NewAddresses;
use super::map::Map;
use super::packed::{Key, Sum};
use super::results::Results;
use super::sums::{Figures, Told};
use super::{NO_TEXT, Period, Record};

/// Combinations of results or reasons of which it is remembered what they say.
const MOST_KNOWN: usize = 10_000;

/// Whether one of a combination of results passes, and whether one of reasons tells of forwarding.
const PASSES_DKIM: &str = "SELECT EXISTS (SELECT 1 FROM dkim_result WHERE dkim_set = ?1 AND result = 'pass')";
const PASSES_SPF: &str = "SELECT EXISTS (SELECT 1 FROM spf_result WHERE spf_set = ?1 AND result = 'pass')";
const TELLS_OF_FORWARDING: &str = "SELECT EXISTS (SELECT 1 FROM reason WHERE reason_set = ?1 \
    AND type IN ('forwarded', 'mailing_list', 'trusted_forwarder'))";

/// The rows of addresses, to be changed.
pub(super) struct Sources<'a> {
    sign: i64,
    address: CachedStatement<'a>,
    count: CachedStatement<'a>,
    count_first: CachedStatement<'a>,
    upsert: CachedStatement<'a>,
    remove: CachedStatement<'a>,
    results: Results<'a>,
    dkim: Known<'a>,
    spf: Known<'a>,
    reasons: Known<'a>,
    /// Memory for the sums of one address and day.
    sums: Vec<Sum>,
}

/// The row of an address.
pub(super) struct Address {
    pub id: i64,
    /// Canonical text.
    pub ip: String,
    /// Nothing of it is in the sums.
    pub is_new: bool,
    /// The end of the first period that told of it.
    pub first_at: Option<i64>,
}

impl<'a> Sources<'a> {
    /// `sign`: 1 where records are put in, -1 where they are taken out.
    pub fn of(connection: &'a Connection, sign: i64) -> rusqlite::Result<Sources<'a>> {
        let prepare = |sql| connection.prepare_cached(sql);
        Ok(Sources {
            sign,
            address: prepare("SELECT ip, records = 0, first_at FROM address WHERE id = ?1")?,
            count: prepare(
                "UPDATE address SET records = records + ?2, records_failed = records_failed + ?3 WHERE id = ?1",
            )?,
            count_first: prepare(
                "UPDATE address SET records = records + ?2, records_failed = records_failed + ?3, first_at = ?4 WHERE id = ?1",
            )?,
            upsert: prepare(
                "INSERT INTO daily_source (day, source, early, short, verified, records, messages, dmarc_pass, dkim_pass, \
                 spf_pass, unknown, quarantine, reject, forwarded, dkim_any, spf_any) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) \
                 ON CONFLICT (day, source, early, short, verified) DO UPDATE SET records = records + excluded.records, \
                 messages = messages + excluded.messages, dmarc_pass = dmarc_pass + excluded.dmarc_pass, \
                 dkim_pass = dkim_pass + excluded.dkim_pass, spf_pass = spf_pass + excluded.spf_pass, \
                 unknown = unknown + excluded.unknown, quarantine = quarantine + excluded.quarantine, \
                 reject = reject + excluded.reject, forwarded = forwarded + excluded.forwarded, \
                 dkim_any = dkim_any + excluded.dkim_any, spf_any = spf_any + excluded.spf_any",
            )?,
            remove: prepare(
                "DELETE FROM daily_source \
                 WHERE (day, source, early, short, verified) = (?1, ?2, ?3, ?4, ?5) AND records = 0",
            )?,
            results: Results::of(connection)?,
            dkim: Known::of(connection, PASSES_DKIM)?,
            spf: Known::of(connection, PASSES_SPF)?,
            reasons: Known::of(connection, TELLS_OF_FORWARDING)?,
            sums: Vec::new(),
        })
    }

    /// Adds what is told of one address, in the order of the days.
    pub fn write(&mut self, told: &mut [Told<'_>], new: &NewAddresses) -> rusqlite::Result<()> {
        let Some(id) = told.first().map(|told| told.record.source) else { return Ok(()) };
        let address = match new.get(id) {
            Some(ip) => Address { id, ip: ip.to_string(), is_new: true, first_at: None },
            None => self.address(id)?,
        };
        for of_day in told.chunk_by_mut(|one, other| one.head.day == other.head.day) {
            self.write_periods(&address, of_day)?;
            self.write_results(&address, of_day)?;
        }
        self.write_address(&address, told)
    }

    fn address(&mut self, id: i64) -> rusqlite::Result<Address> {
        self.address
            .query_row([id], |row| Ok(Address { id, ip: row.get(0)?, is_new: row.get(1)?, first_at: row.get(2)? }))
    }

    fn write_address(&mut self, address: &Address, told: &[Told<'_>]) -> rusqlite::Result<()> {
        let records = told.len() as i64 * self.sign;
        let failed =
            told.iter().filter(|told| told.record.dkim == 0 && told.record.spf == 0).count() as i64 * self.sign;
        let first_at = told.iter().map(|told| told.head.period.end_at(told.head.day)).min();
        let changed =
            match first_at.filter(|first_at| self.sign > 0 && address.first_at.is_none_or(|known| *first_at < known)) {
                Some(first_at) => self.count_first.execute((address.id, records, failed, first_at)),
                // Left alone, it keeps its place in the index.
                None => self.count.execute((address.id, records, failed)),
            };
        changed.map(|_| ())
    }

    /// `told` is of one day.
    fn write_periods(&mut self, address: &Address, told: &mut [Told<'_>]) -> rusqlite::Result<()> {
        told.sort_unstable_by_key(|told| told.head.period);
        for told in told.chunk_by(|one, other| one.head.period == other.head.period) {
            let Some(Told { head, .. }) = told.first() else { continue };
            let mut sum = SourceFigures::default();
            for told in told {
                self.add(&mut sum, told.record)?;
            }
            let Period { early, short, verified } = head.period;
            let key = [head.day, address.id, early, short, i64::from(verified)];
            let more = [sum.forwarded, sum.dkim_any, sum.spf_any];
            self.upsert.execute(params_from_iter(key.into_iter().chain(sum.figures.values()).chain(more)))?;
            if self.sign < 0 {
                self.remove.execute(key)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, sum: &mut SourceFigures, record: &Record) -> rusqlite::Result<()> {
        sum.figures.add(record, self.sign);
        let messages = record.messages.saturating_mul(self.sign);
        let plus = |sum: &mut i64, holds: bool| {
            if holds {
                *sum = sum.saturating_add(messages);
            }
        };
        plus(&mut sum.forwarded, record.reason_set != NO_TEXT && self.reasons.holds(record.reason_set)?);
        plus(&mut sum.dkim_any, self.dkim.holds(record.dkim_set)?);
        plus(&mut sum.spf_any, self.spf.holds(record.spf_set)?);
        Ok(())
    }

    /// `told` is of one day.
    fn write_results(&mut self, address: &Address, told: &[Told<'_>]) -> rusqlite::Result<()> {
        let Some(day) = told.first().map(|told| told.head.day) else { return Ok(()) };
        let sign = self.sign;
        self.sums.clear();
        self.sums.extend(told.iter().map(|told| sum(told, sign)));
        self.sums.sort_unstable_by_key(|sum| sum.key);
        self.sums.dedup_by(|one, sum| {
            let same = one.key == sum.key;
            if same {
                sum.records += one.records;
                sum.messages = sum.messages.saturating_add(one.messages);
            }
            same
        });
        self.results.add(day, address, &self.sums)?;
        if sign < 0 {
            self.results.tidy(day, address.id)?;
        }
        Ok(())
    }
}

fn sum(told: &Told<'_>, sign: i64) -> Sum {
    let Told { head, record } = told;
    let &Record { disposition, dkim, spf, header_from, dkim_set, spf_set, reason_set, .. } = *record;
    let (domain, period) = (head.domain, head.period);
    let key = Key { domain, header_from, disposition, dkim, spf, dkim_set, spf_set, reason_set, period };
    Sum { key, records: sign, messages: record.messages.saturating_mul(sign) }
}

#[derive(Clone, Copy, Default)]
struct SourceFigures {
    figures: Figures,
    forwarded: i64,
    dkim_any: i64,
    spf_any: i64,
}

/// What combinations of one kind say, looked up at most once while it is remembered.
struct Known<'a> {
    look_up: CachedStatement<'a>,
    known: Map<i64, bool>,
}

impl<'a> Known<'a> {
    fn of(connection: &'a Connection, look_up: &str) -> rusqlite::Result<Known<'a>> {
        Ok(Known { look_up: connection.prepare_cached(look_up)?, known: Map::default() })
    }

    fn holds(&mut self, set: i64) -> rusqlite::Result<bool> {
        if let Some(holds) = self.known.get(&set) {
            return Ok(*holds);
        }
        let holds = self.look_up.query_row([set], |row| row.get(0))?;
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        self.known.insert(set, holds);
        Ok(holds)
    }
}

#[cfg(test)]
mod tests {
    use super::super::sums::Head;
    use super::*;
    use crate::store::migrations::SCHEMA;

    fn database() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        connection.execute_batch("INSERT INTO address (id, ip) VALUES (7, '192.0.2.7')").unwrap();
        connection
    }

    /// Adds records of an address on days; of those on even ones both DKIM and SPF fail.
    fn write(connection: &Connection, source: i64, days: &[i64], sign: i64) -> rusqlite::Result<()> {
        let period = Period { early: 1, short: 1, verified: false };
        let told = |day: &i64| {
            let pass = (day % 2) as i8;
            let (header_from, dkim_set, spf_set, reason_set) = (1, 1, 1, NO_TEXT);
            let record = Record {
                source,
                messages: 10,
                disposition: 0,
                dkim: pass,
                spf: 0,
                header_from,
                dkim_set,
                spf_set,
                reason_set,
            };
            (Head { day: *day, period, domain: 1, org_name: 1 }, record)
        };
        let held: Vec<(Head, Record)> = days.iter().map(told).collect();
        let mut told: Vec<Told<'_>> = held.iter().map(|(head, record)| Told { head, record }).collect();
        Sources::of(connection, sign)?.write(&mut told, &NewAddresses::default())
    }

    /// First end, records and failed ones of the address, and how many rows of two tables it has.
    fn address(connection: &Connection) -> (Option<i64>, i64, i64, i64, i64) {
        let sql = "SELECT first_at, records, records_failed, (SELECT count(*) FROM daily_source WHERE source = id), \
                   (SELECT count(*) FROM daily_result WHERE source = id) FROM address";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?));
        connection.query_row(sql, [], read).unwrap()
    }

    #[test]
    fn the_row_of_an_address_follows() {
        let connection = database();
        for (days, sign, expected) in [
            (&[4, 4, 5][..], 1, (Some(5 * 86_400 - 1), 3, 2, 2, 2)),
            (&[6], 1, (Some(5 * 86_400 - 1), 4, 3, 3, 3)),
            (&[2, 5], 1, (Some(3 * 86_400 - 1), 6, 4, 4, 4)),
            // When it was seen first stays.
            (&[2], -1, (Some(3 * 86_400 - 1), 5, 3, 3, 3)),
            (&[4, 4, 5, 5, 6], -1, (Some(3 * 86_400 - 1), 0, 0, 0, 0)),
        ] {
            write(&connection, 7, days, sign).unwrap();
            assert_eq!(address(&connection), expected, "{days:?} {sign}");
        }
    }

    #[test]
    fn nothing_is_lost_without_a_word() {
        let connection = database();
        assert!(write(&connection, 8, &[4], 1).is_err(), "no such address");
        assert_eq!(address(&connection), (None, 0, 0, 0, 0));
    }
}
