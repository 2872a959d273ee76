//! Sets of UIDs as commands take them, and the windows in which a folder is searched.

use std::fmt::Write;
use std::ops::RangeInclusive;

/// Bytes of a set, so that a command stays below the 8192 that servers must take (RFC 7162, section 4).
const SET: usize = 4000;

/// `uids` (ascending) as sets like `1:3,7`, each short enough for one command, with the UIDs in it.
pub(super) fn sets(uids: &[u32]) -> Vec<(String, &[u32])> {
    let mut sets = Vec::new();
    let mut rest = uids;
    while !rest.is_empty() {
        let (set, count) = one_set(rest);
        let (covered, after) = rest.split_at(count);
        sets.push((set, covered));
        rest = after;
    }
    sets
}

/// The first set, and how many UIDs are in it: at least one.
fn one_set(uids: &[u32]) -> (String, usize) {
    let mut set = String::new();
    let mut count = 0;
    while let Some(first) = uids.get(count)
        && set.len() < SET
    {
        let run = uids.iter().skip(count).zip(*first..=u32::MAX).take_while(|(uid, expected)| *uid == expected).count();
        let comma = if set.is_empty() { "" } else { "," };
        let last = first + u32::try_from(run).unwrap_or(1).saturating_sub(1);
        let _ = match run {
            0 | 1 => write!(set, "{comma}{first}"),
            _ => write!(set, "{comma}{first}:{last}"),
        };
        count += run.max(1);
    }
    (set, count)
}

/// A folder up to this size is searched at once.
const WHOLE: u32 = 50_000;
/// Widest window where there may be more messages than that.
const WIDEST: u32 = 1 << 20;

/// Walks over the UIDs of a folder, window by window, so that an answer stays bounded in a folder of any size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Windows {
    /// First UID not yet searched; `None` at the end.
    next: Option<u32>,
    width: u32,
    /// The UID that the next new message will get, as far as the server says.
    uid_next: Option<u32>,
    whole: bool,
}

impl Windows {
    /// All UIDs above `cursor` in a folder of `exists` messages.
    pub fn new(cursor: u32, exists: u32, uid_next: Option<u32>) -> Self {
        Windows {
            next: if exists == 0 { None } else { cursor.checked_add(1) },
            width: WHOLE,
            uid_next,
            whole: exists <= WHOLE,
        }
    }

    /// The window to search: its set and the UIDs in it. A window that ends in `*` brings the newest message even when
    /// that lies below it (RFC 9051, section 9, `seq-range`), so what is found outside of it must be ignored.
    pub fn current(&self) -> Option<(String, RangeInclusive<u32>)> {
        let first = self.next?;
        Some(match self.last(first) {
            Some(last) => (format!("{first}:{last}"), first..=last),
            None => (format!("{first}:*"), first..=u32::MAX),
        })
    }

    /// The last UID of the window that begins at `first`; `None` for the last window, which has no end.
    fn last(&self, first: u32) -> Option<u32> {
        let last = first.checked_add(self.width - 1)?;
        (!self.whole && self.uid_next.is_some_and(|next| last < next)).then_some(last)
    }

    /// Goes on after the current window, in which `found` UIDs were.
    pub fn advance(&mut self, found: usize) {
        let last = self.next.and_then(|first| self.last(first));
        self.next = last.and_then(|last| last.checked_add(1));
        if found < WHOLE as usize / 2 {
            self.width = self.width.saturating_mul(2).min(WIDEST);
        } else {
            self.width = WHOLE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_short_and_whole() {
        let check = |uids: &[u32], expected: &str| {
            let sets = sets(uids);
            assert_eq!(sets.len(), 1);
            assert_eq!(sets[0], (expected.to_owned(), uids));
        };
        check(&[7], "7");
        check(&[1, 2, 3, 7, 9, 10], "1:3,7,9:10");
        check(&[u32::MAX - 1, u32::MAX], "4294967294:4294967295");
        assert!(sets(&[]).is_empty());
        let odd: Vec<u32> = (0..5000).map(|n| 4_000_000_000 + 2 * n).collect();
        let parts = sets(&odd);
        assert!(parts.len() > 1 && parts.iter().all(|(set, _)| set.len() < SET + 30));
        let joined: Vec<u32> = parts.iter().flat_map(|(_, uids)| uids.iter().copied()).collect();
        assert_eq!(joined, odd);
    }

    fn walk(mut windows: Windows, found: usize) -> Vec<String> {
        let mut seen = Vec::new();
        while let Some((set, _)) = windows.current() {
            seen.push(set);
            windows.advance(found);
        }
        seen
    }

    #[test]
    fn windows_cover_everything() {
        assert_eq!(walk(Windows::new(0, 0, Some(1)), 0), [""; 0]);
        assert_eq!(walk(Windows::new(9, 10, Some(4_000_000_000)), 10), ["10:*"]);
        assert_eq!(walk(Windows::new(u32::MAX, 10, None), 10), [""; 0]);
        assert_eq!(walk(Windows::new(u32::MAX - 1, 10, None), 10), ["4294967295:*"]);
        assert_eq!(walk(Windows::new(0, 1_000_000, None), 10), ["1:*"]);
        let dense = walk(Windows::new(0, 120_000, Some(120_001)), 50_000);
        assert_eq!(dense, ["1:50000", "50001:100000", "100001:*"]);
        let sparse = walk(Windows::new(0, 60_000, Some(u32::MAX)), 0);
        assert_eq!(&sparse[..3], ["1:50000", "50001:150000", "150001:350000"]);
        assert!(sparse.last().unwrap().ends_with(":*") && sparse.len() < 5000);
    }
}
