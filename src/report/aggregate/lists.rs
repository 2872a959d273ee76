//! Many short texts and lists, each kind in one piece of memory: what is read in one thread is given back in another, which costs
//! by the pieces.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::ops::Range;

use foldhash::fast::RandomState;

/// Texts by number.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    all: String,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Texts {
    /// How many.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// A text, if there are so many.
    pub fn get(&self, number: usize) -> Option<&str> {
        self.all.get(range(&self.ends, number)?)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|number| self.get(number))
    }

    /// About how much memory they take.
    pub(super) fn bytes(&self) -> usize {
        self.all.len() + size_of_val(self.ends.as_slice())
    }
}

/// Lists by number.
#[derive(Clone, Debug)]
pub struct Lists<T> {
    all: Vec<T>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl<T> Default for Lists<T> {
    fn default() -> Self {
        Lists { all: Vec::new(), ends: Vec::new() }
    }
}

impl<T> Lists<T> {
    /// How many.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// A list, if there are so many.
    pub fn get(&self, number: u32) -> Option<&[T]> {
        self.all.get(range(&self.ends, number as usize)?)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[T]> {
        (0..self.len()).filter_map(|number| self.all.get(range(&self.ends, number)?))
    }

    /// About how much memory they take.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.all.as_slice()) + size_of_val(self.ends.as_slice())
    }
}

fn range(ends: &[usize], number: usize) -> Option<Range<usize>> {
    let start = match number {
        0 => 0,
        _ => *ends.get(number - 1)?,
    };
    Some(start..*ends.get(number)?)
}

/// Where things have numbers, from 0.
pub(super) trait Numbered {
    type Item: Eq + Hash + ?Sized;

    fn count(&self) -> usize;
    fn at(&self, number: u32) -> Option<&Self::Item>;
    fn push(&mut self, item: &Self::Item);
}

impl Numbered for Texts {
    type Item = str;

    fn count(&self) -> usize {
        self.len()
    }

    fn at(&self, number: u32) -> Option<&str> {
        self.get(number as usize)
    }

    fn push(&mut self, text: &str) {
        self.all.push_str(text);
        self.ends.push(self.all.len());
    }
}

impl<T: Copy + Eq + Hash> Numbered for Lists<T> {
    type Item = [T];

    fn count(&self) -> usize {
        self.len()
    }

    fn at(&self, number: u32) -> Option<&[T]> {
        self.get(number)
    }

    fn push(&mut self, list: &[T]) {
        self.all.extend_from_slice(list);
        self.ends.push(self.all.len());
    }
}

impl<T: Copy + Eq + Hash> Numbered for Vec<T> {
    type Item = T;

    fn count(&self) -> usize {
        self.len()
    }

    fn at(&self, number: u32) -> Option<&T> {
        self.get(number as usize)
    }

    fn push(&mut self, item: &T) {
        self.push(*item);
    }
}

/// The numbers of what was met, by a hash of it; what that is, is looked up where it has the number. Seeded for each run, as
/// strangers fill it.
#[derive(Debug, Default)]
pub(super) struct Met<S = RandomState> {
    seed: S,
    numbers: HashMap<u64, u32, S>,
}

impl<S: BuildHasher> Met<S> {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.numbers.clear();
    }

    /// The number of an item, which is added if it is new.
    pub fn number<N: Numbered>(&mut self, items: &mut N, item: &N::Item) -> u32 {
        let hash = self.seed.hash_one(item);
        if let Some(&number) = self.numbers.get(&hash) {
            // Two of one hash, if that ever happens, are told apart by a look at all.
            let here = [number].into_iter().chain(0..of(items.count()));
            let found = here.into_iter().find(|number| items.at(*number) == Some(item));
            if let Some(number) = found {
                return number;
            }
        }
        let number = of(items.count());
        items.push(item);
        self.numbers.insert(hash, number);
        number
    }
}

fn of(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasherDefault, Hasher};

    use super::*;

    /// All have one hash.
    #[derive(Default)]
    struct Same;

    impl Hasher for Same {
        fn finish(&self) -> u64 {
            7
        }

        fn write(&mut self, _: &[u8]) {}
    }

    fn number_all<S: BuildHasher + Default>() {
        let mut met = Met::<S>::default();
        let mut texts = Texts::default();
        let numbers = ["a", "", "bc", "a", "b", "", "bc", "c"].map(|text| met.number(&mut texts, text));
        assert_eq!(numbers, [0, 1, 2, 0, 3, 1, 2, 4]);
        assert_eq!(texts.iter().collect::<Vec<_>>(), ["a", "", "bc", "b", "c"]);
        assert_eq!((texts.len(), texts.get(2), texts.get(5)), (5, Some("bc"), None));
        let (mut met, mut lists) = (Met::<S>::default(), Lists::default());
        let numbers = [&[1, 2][..], &[], &[1], &[2], &[1, 2], &[]].map(|list| met.number(&mut lists, list));
        assert_eq!(numbers, [0, 1, 2, 3, 0, 1]);
        assert_eq!(lists.iter().collect::<Vec<_>>(), [&[1, 2][..], &[], &[1], &[2]]);
        assert_eq!((lists.len(), lists.get(3), lists.get(4)), (4, Some(&[2][..]), None));
    }

    #[test]
    fn each_is_held_once_and_found_by_its_number() {
        number_all::<RandomState>();
        number_all::<BuildHasherDefault<Same>>();
    }
}
