//! Maps by numbers that we gave ourselves: nobody chooses them so that they collide, and they are asked for very often.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// By the number of a row.
pub(super) type Numbers<T> = HashMap<i64, T, Place>;

/// Makes [`Mixed`].
pub(in crate::query) type Place = BuildHasherDefault<Mixed>;

/// Mixes numbers by multiplication.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::query) struct Mixed(u64);

impl Mixed {
    fn mix(&mut self, number: u64) {
        // 2^64 divided by the golden ratio: neighbours end far apart.
        self.0 = (self.0.rotate_left(26) ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        // What multiplication mixes best is on top; a map takes from both ends.
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.mix(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.mix(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(u64::from(number));
    }

    fn write_i64(&mut self, number: i64) {
        self.mix(number.cast_unsigned());
    }

    fn write_isize(&mut self, number: isize) {
        self.mix(number as u64);
    }

    fn write_u64(&mut self, number: u64) {
        self.mix(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }
}

/// Places given to numbers in the order in which these are first met.
#[derive(Debug, Default)]
pub(super) struct Places {
    places: Numbers<u32>,
    numbers: Vec<i64>,
    /// The number before and its place: the same one mostly comes several times in a row.
    last: Option<(i64, u32)>,
}

impl Places {
    /// The place of a number, and whether it is new.
    #[inline]
    pub(super) fn of(&mut self, number: i64) -> (u32, bool) {
        match self.last {
            Some((last, place)) if last == number => (place, false),
            _ => self.look_up(number),
        }
    }

    fn look_up(&mut self, number: i64) -> (u32, bool) {
        let known = self.known(number);
        let place = known.unwrap_or_else(|| self.add(number));
        self.last = Some((number, place));
        (place, known.is_none())
    }

    fn add(&mut self, number: i64) -> u32 {
        // There are never as many as 2^32: each takes more than a byte.
        let place = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        self.places.insert(number, place);
        self.numbers.push(number);
        place
    }

    /// The place of a number that was met.
    pub(super) fn known(&self, number: i64) -> Option<u32> {
        self.places.get(&number).copied()
    }

    /// The numbers in the order of their places.
    pub(super) fn numbers(&self) -> &[i64] {
        &self.numbers
    }
}

/// Each number once, in order.
pub(super) fn once(numbers: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut all: Vec<i64> = numbers.collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_in_order() {
        let mut places = Places::default();
        let met = [7, 7, -1, 7, 0, -1].map(|number| places.of(number));
        assert_eq!(met, [(0, true), (0, false), (1, true), (0, false), (2, true), (1, false)]);
        assert_eq!((places.numbers(), places.known(0), places.known(5)), (&[7, -1, 0][..], Some(2), None));
    }

    #[test]
    fn numbers_that_follow_each_other_do_not_meet() {
        let place = |number: i64| {
            let mut hasher = Mixed::default();
            hasher.write_i64(number);
            (hasher.finish() & 0xFFFF, hasher.finish() >> 57)
        };
        let places: std::collections::HashSet<_> = (0..10_000).map(place).collect();
        assert!(places.len() > 9_900, "{}", places.len());
    }
}
