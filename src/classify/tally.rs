//! Messages counted by word: the domains and reasons of one source.

use std::collections::BTreeMap;

/// How many different words are kept of one source: strangers choose them.
const MOST_WORDS: usize = 200;

/// Words, and how many messages tell of each. Of most sources there are none, and then this is a pointer to nothing.
#[allow(clippy::box_collection, reason = "a map alone takes three words where it is empty, as it mostly is")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally(Option<Box<BTreeMap<String, i64>>>);

impl Tally {
    /// Counts a word.
    pub fn add(&mut self, word: &str, messages: i64) {
        let words = self.0.get_or_insert_default();
        if let Some(sum) = words.get_mut(word) {
            *sum = sum.saturating_add(messages);
        } else if words.len() < MOST_WORDS {
            words.insert(word.to_owned(), messages);
        }
    }

    /// Counts all words of another.
    pub fn add_all(&mut self, other: &Tally) {
        for (word, messages) in other.iter() {
            self.add(word, messages);
        }
    }

    /// Whether there is no word.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The words in order, each with its messages.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, i64)> {
        self.0.iter().flat_map(|words| words.iter()).map(|(word, messages)| (word.as_str(), *messages))
    }

    /// The words in order.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(word, _)| word)
    }

    /// The word with the most messages; of several the first in order.
    pub fn most(&self) -> Option<&str> {
        // `max_by_key` answers the last.
        self.iter().rev().max_by_key(|(_, messages)| *messages).map(|(word, _)| word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_add_up() {
        let mut tally = Tally::default();
        assert_eq!((tally.most(), tally.words().count(), tally.is_empty()), (None, 0, true));
        tally.add("b.test", 2);
        tally.add("a.test", 1);
        tally.add("c.test", 2);
        assert_eq!(tally.most(), Some("b.test"));
        let mut other = Tally::default();
        other.add("a.test", i64::MAX);
        tally.add_all(&other);
        assert_eq!(tally.iter().collect::<Vec<_>>(), [("a.test", i64::MAX), ("b.test", 2), ("c.test", 2)]);
    }

    #[test]
    fn words_of_strangers_are_bounded() {
        let mut tally = Tally::default();
        for number in 0..10 * MOST_WORDS {
            tally.add(&format!("{number}.test"), 1);
        }
        assert_eq!(tally.words().count(), MOST_WORDS);
    }
}
