//! How the results of one address on one day stand in one row: sum after sum in the order of their keys, in numbers of few
//! bytes. A question about a week reads as many rows as there are addresses on each day, and not one for each combination.
//!
//! A sum is, in this order:
//! - a byte: disposition, DKIM and SPF result as one number below 45, 64 for a verified report, 128 where the From domain is
//!   the policy domain and there are no reasons
//! - the policy domain, as how much more it is than that of the sum before
//! - without the 128: the From domain, as what it differs from the policy domain, and the reasons
//! - the combinations of DKIM and of SPF results
//! - `early` and `short` of the period, the latter signed
//! - records and messages, signed: of an address with thousands of sums what is taken out may be in another row than what came in
//!
//! Numbers have seven bits in each byte, the lowest first, and 128 in every byte but the last. Signed ones are doubled, and what
//! is below 0 is that less than -1, as in Protocol Buffers.

use super::Period;

/// What sums of one day and address are told apart by. 0 stands for a missing domain or set of reasons, -1 for a missing result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Policy domain.
    pub domain: i64,
    /// From domain.
    pub header_from: i64,
    /// Disposition: 0 none, 1 quarantine, 2 reject, 3 pass.
    pub disposition: i8,
    /// Aligned DKIM result: 1 pass, 0 fail.
    pub dkim: i8,
    /// Aligned SPF result, likewise.
    pub spf: i8,
    /// Combination of DKIM results.
    pub dkim_set: i64,
    /// Combination of SPF results.
    pub spf_set: i64,
    /// Combination of override reasons.
    pub reason_set: i64,
    /// Period and verification of the reports.
    pub period: Period,
}

/// What the records of one day, address and key come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    /// What they have in common.
    pub key: Key,
    /// How many records.
    pub records: i64,
    /// How many messages these tell of.
    pub messages: i64,
}

/// Bytes that are no sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bytes that are no daily sums")]
pub struct NotSums;

const VERIFIED: u8 = 64;
const PLAIN: u8 = 128;
/// Dispositions and results are from -1 on: so many of each there are.
const DISPOSITIONS: i8 = 5;
const RESULTS: i8 = 3;

/// The bytes of sums, which are in the order of their keys.
pub fn pack<'a>(sums: impl IntoIterator<Item = &'a Sum>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut domain = 0;
    for Sum { key, records, messages } in sums {
        let plain = key.header_from == key.domain && key.reason_set == 0;
        let mut head = results(key);
        if key.period.verified {
            head |= VERIFIED;
        }
        if plain {
            head |= PLAIN;
        }
        bytes.push(head);
        put(&mut bytes, key.domain.wrapping_sub(domain).cast_unsigned());
        domain = key.domain;
        if !plain {
            put_signed(&mut bytes, key.header_from.wrapping_sub(key.domain));
            put(&mut bytes, key.reason_set.cast_unsigned());
        }
        put(&mut bytes, key.dkim_set.cast_unsigned());
        put(&mut bytes, key.spf_set.cast_unsigned());
        put(&mut bytes, key.period.early.cast_unsigned());
        put_signed(&mut bytes, key.period.short);
        put_signed(&mut bytes, *records);
        put_signed(&mut bytes, *messages);
    }
    bytes
}

/// Disposition and results in one number below 45. Others than there are cannot be stored, and are missing.
fn results(key: &Key) -> u8 {
    let code = |value: i8, count: i8| if (-1..count - 1).contains(&value) { value + 1 } else { 0 };
    let code =
        (code(key.disposition, DISPOSITIONS) * RESULTS + code(key.dkim, RESULTS)) * RESULTS + code(key.spf, RESULTS);
    code.cast_unsigned()
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 128 {
        bytes.push(number as u8 | 128);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn put_signed(bytes: &mut Vec<u8>, number: i64) {
    put(bytes, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

/// The sums that these bytes are. After an error there is nothing more.
pub fn unpack(bytes: &[u8]) -> Unpack<'_> {
    Unpack { bytes, domain: 0 }
}

/// See [`unpack`].
#[derive(Clone, Debug)]
pub struct Unpack<'a> {
    bytes: &'a [u8],
    domain: i64,
}

impl Iterator for Unpack<'_> {
    type Item = Result<Sum, NotSums>;

    fn next(&mut self) -> Option<Result<Sum, NotSums>> {
        if self.bytes.is_empty() {
            return None;
        }
        let sum = self.sum().ok_or(NotSums);
        if sum.is_err() {
            self.bytes = &[];
        }
        Some(sum)
    }
}

impl Unpack<'_> {
    fn sum(&mut self) -> Option<Sum> {
        let head = self.byte()?;
        let code = (head & (VERIFIED - 1)).cast_signed();
        let (spf, code) = (code % RESULTS - 1, code / RESULTS);
        let (dkim, disposition) = (code % RESULTS - 1, code / RESULTS - 1);
        let domain = self.domain.wrapping_add(self.number()?.cast_signed());
        self.domain = domain;
        let (header_from, reason_set) = match head & PLAIN {
            0 => (domain.wrapping_add(self.signed()?), self.number()?.cast_signed()),
            _ => (domain, 0),
        };
        let (dkim_set, spf_set) = (self.number()?.cast_signed(), self.number()?.cast_signed());
        let (early, short) = (self.number()?.cast_signed(), self.signed()?);
        let period = Period { early, short, verified: head & VERIFIED != 0 };
        let key = Key { domain, header_from, disposition, dkim, spf, dkim_set, spf_set, reason_set, period };
        (disposition < DISPOSITIONS - 1).then_some(())?;
        Some(Sum { key, records: self.signed()?, messages: self.signed()? })
    }

    #[inline]
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    #[inline]
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        // Ten bytes hold 64 bits; what is above them is no number that was put.
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Some(number);
            }
        }
        None
    }

    #[inline]
    fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Sum {
        let period = Period { early: 1, short: 1, verified: false };
        let key = Key {
            domain: 300,
            header_from: 300,
            disposition: 0,
            dkim: 1,
            spf: 1,
            dkim_set: 7,
            spf_set: 1_000,
            reason_set: 0,
            period,
        };
        Sum { key, records: 1, messages: 12 }
    }

    #[test]
    fn what_is_packed_is_what_comes_out() {
        let mut sums = vec![plain()];
        let changes: [fn(&mut Sum); 12] = [
            |sum| sum.key.header_from = 0,
            |sum| sum.key.domain = 0,
            |sum| sum.key.domain = i64::MAX,
            |sum| sum.key.header_from = i64::MAX,
            |sum| (sum.key.disposition, sum.key.dkim, sum.key.spf) = (-1, -1, -1),
            |sum| (sum.key.disposition, sum.key.dkim, sum.key.spf) = (3, 1, 1),
            |sum| (sum.key.disposition, sum.key.dkim, sum.key.spf) = (2, 0, -1),
            |sum| sum.key.period.verified = true,
            |sum| (sum.key.period.early, sum.key.period.short) = (86_399, -3_000_000_000),
            |sum| (sum.key.dkim_set, sum.key.spf_set, sum.key.reason_set) = (i64::MAX, 1 << 40, 128),
            |sum| (sum.records, sum.messages) = (-1, i64::MIN),
            |sum| (sum.records, sum.messages) = (i64::MAX, i64::MAX),
        ];
        for change in changes {
            let mut sum = plain();
            change(&mut sum);
            sums.push(sum);
        }
        let bytes = pack(&sums);
        assert_eq!(unpack(&bytes).collect::<Result<Vec<_>, _>>(), Ok(sums.clone()));
        for sum in &sums {
            assert_eq!(unpack(&pack([sum])).collect::<Vec<_>>(), [Ok(*sum)]);
        }
        assert_eq!(pack([&plain()]).len(), 10, "a common sum takes few bytes");
        assert_eq!(pack([&plain(), &plain()]).len(), 19, "and the next one less");
    }

    #[test]
    fn bytes_cut_short_or_of_something_else_are_told() {
        let bytes = pack([&plain()]);
        for length in 1..bytes.len() {
            assert_eq!(unpack(&bytes[..length]).collect::<Vec<_>>(), [Err(NotSums)], "{length}");
        }
        for bytes in [&[0xFF; 400][..], &[63; 400], &[0x80; 11]] {
            let found: Vec<_> = unpack(bytes).collect();
            assert_eq!(found.last(), Some(&Err(NotSums)), "{bytes:?}");
        }
    }
}
