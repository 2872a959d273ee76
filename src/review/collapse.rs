//! Many sources on few lines: by provider, domain of their name, or network.

use std::borrow::Cow;
use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;
use std::fmt;

use foldhash::fast::RandomState;
use ipnet::IpNet;

use super::Judged;
use crate::classify::{Class, Facts, Reason, Verdict};
use crate::query::Counts;
use crate::report::authentication::organizational;

/// A class with more sources than this is collapsed.
const MANY: usize = 8;
/// So many lines each class gets before another gets more.
const FAIR: usize = 4;

/// One line: a source, or several of one class that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The address, or what the sources have in common.
    pub source: String,
    /// What to call it, where that is other than `source`.
    pub name: Option<String>,
    /// How many addresses.
    pub addresses: usize,
    /// Of all of them.
    pub facts: Facts,
    /// Of the one that fails most.
    pub verdict: Verdict,
}

impl Line {
    /// What to call it: `192.0.2.99 (printer.example.com)`, `mailer.example (2 addresses)`.
    pub fn call(&self) -> String {
        match (&self.name, self.addresses) {
            (Some(name), _) => format!("{} ({name})", self.source),
            (None, 0 | 1) => self.source.clone(),
            (None, count) => format!("{} ({count} addresses)", self.source),
        }
    }
}

/// What a table shows and what it leaves out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lines {
    /// By class, then by most failing messages.
    pub shown: Vec<Line>,
    /// How many addresses are not shown.
    pub addresses_left_out: usize,
    /// What these come to.
    pub left_out: Counts,
}

/// Lines for sources in order; `most` at most, and of every class some.
pub fn collapse(sources: &[Judged], most: usize) -> Lines {
    fitted(sources, MANY, most)
}

/// The same with a line for each source, however many there are.
pub fn each(sources: &[Judged], most: usize) -> Lines {
    fitted(sources, usize::MAX, most)
}

fn fitted(sources: &[Judged], many: usize, most: usize) -> Lines {
    let by_class = Class::ALL.map(|class| grouped(sources, class, many));
    let sizes: Vec<usize> = by_class.iter().map(Vec::len).collect();
    let mut found = Lines::default();
    for (mut groups, room) in by_class.into_iter().zip(allot(&sizes, most)) {
        let left = first_in_order(&mut groups, room);
        found.shown.extend(groups.iter().map(Group::line));
        for group in left {
            found.addresses_left_out += group.count();
            found.left_out = found.left_out.plus(group.counts);
        }
    }
    found
}

/// Leaves the first `room` of these in order, and hands out the others in none.
fn first_in_order<'a>(groups: &mut Vec<Group<'a>>, room: usize) -> Vec<Group<'a>> {
    let left = if room < groups.len() {
        groups.select_nth_unstable_by(room, Group::before);
        groups.split_off(room)
    } else {
        Vec::new()
    };
    groups.sort_unstable_by(Group::before);
    left
}

/// Shares `most` lines out: to each class a few, and what is left in order.
fn allot(sizes: &[usize], most: usize) -> Vec<usize> {
    let mut left = most;
    let mut rooms: Vec<usize> = sizes.iter().map(|_| 0).collect();
    for bound in [FAIR, usize::MAX] {
        for (room, size) in rooms.iter_mut().zip(sizes) {
            let more = (*size).min(bound).saturating_sub(*room).min(left);
            *room += more;
            left -= more;
        }
    }
    rooms
}

/// What belongs together of one class, on one line each, however few there are.
pub fn groups(sources: &[Judged], class: Class) -> Vec<Line> {
    let mut groups = grouped(sources, class, 0);
    first_in_order(&mut groups, usize::MAX);
    groups.iter().map(Group::line).collect()
}

/// What becomes one line.
struct Group<'a> {
    common: Common<'a>,
    /// The place of the first among all sources, where groups are ordered by that alone.
    place: Option<usize>,
    /// The one that fails most.
    first: &'a Judged,
    /// In order.
    others: Vec<&'a Judged>,
    counts: Counts,
}

/// In no order.
fn grouped(sources: &[Judged], class: Class, many: usize) -> Vec<Group<'_>> {
    let members = || sources.iter().filter(|source| source.verdict.class == class);
    if members().count() <= many {
        return members().enumerate().map(|(place, source)| Group::of(common(source), source, Some(place))).collect();
    }
    let mut groups: Vec<Group<'_>> = Vec::new();
    // What has another reason has another sentence, and is another line.
    let mut known: HashMap<(Common<'_>, Reason), usize, RandomState> = HashMap::default();
    for source in members() {
        let common = common(source);
        let place = *known.entry((common, source.verdict.reason)).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.add(source),
            None => groups.push(Group::of(common, source, None)),
        }
    }
    groups
}

impl<'a> Group<'a> {
    fn of(common: Common<'a>, first: &'a Judged, place: Option<usize>) -> Group<'a> {
        Group { common, place, first, others: Vec::new(), counts: first.facts.counts }
    }

    fn add(&mut self, other: &'a Judged) {
        self.others.push(other);
        self.counts = self.counts.plus(other.facts.counts);
    }

    /// How many sources.
    fn count(&self) -> usize {
        self.others.len() + 1
    }

    /// What stands in the first column.
    fn source(&self) -> Cow<'a, str> {
        if self.others.is_empty() { Cow::Borrowed(&self.first.ip) } else { Cow::Owned(self.common.to_string()) }
    }

    /// As the sources are ordered where there are few; else most failing messages first, then most messages.
    fn before(&self, other: &Group<'_>) -> Ordering {
        let key = |group: &Group<'_>| (group.place, Reverse(group.counts.fail()), Reverse(group.counts.messages));
        let text = || self.source().cmp(&other.source());
        key(self).cmp(&key(other)).then_with(text).then(self.count().cmp(&other.count()))
    }

    fn line(&self) -> Line {
        let facts = self.others.iter().fold(self.first.facts.clone(), |sum, other| sum.plus(&other.facts));
        Line {
            source: self.source().into_owned(),
            name: self.first.name().filter(|_| self.others.is_empty()).map(str::to_owned),
            addresses: self.count(),
            verdict: self.first.verdict,
            facts,
        }
    }
}

/// What a source has in common with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Common<'a> {
    /// The user's name for it, its provider's, or the organisation of its own.
    Name(&'a str),
    /// Its network.
    Network(IpNet),
}

impl fmt::Display for Common<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Common::Name(name) => f.write_str(name),
            Common::Network(network) => write!(f, "{network}"),
        }
    }
}

/// What a source has in common with others.
pub(super) fn common(source: &Judged) -> Common<'_> {
    let known = source.facts.known();
    let label = known.label.as_ref().and_then(|label| label.name.as_deref());
    let name = || known.names.first().map(|name| organizational(name));
    let called = label.or(known.provider.as_deref()).or_else(name).map(Common::Name);
    called.or_else(|| source.network.map(Common::Network)).unwrap_or(Common::Name(&source.ip))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::classify;

    fn judged(ip: &str, pass: i64, fail: i64) -> Judged {
        let mut facts = Facts { fail_bare: fail, ..Facts::default() };
        facts.counts =
            Counts { messages: pass + fail, dmarc_pass: pass, dkim_pass: pass, spf_pass: pass, ..Counts::default() };
        let verdict = classify(&facts);
        Judged::new(ip.to_owned(), facts, verdict)
    }

    #[test]
    fn every_class_gets_some_and_the_first_get_the_rest() {
        for (sizes, most, expected) in [
            (&[1, 0, 2, 0, 3][..], 20, &[1, 0, 2, 0, 3][..]),
            (&[30, 0, 30, 0, 30], 20, &[12, 0, 4, 0, 4]),
            (&[2, 0, 30, 0, 3], 20, &[2, 0, 15, 0, 3]),
            (&[9, 9, 9, 9, 9], 1, &[1, 0, 0, 0, 0]),
            (&[9, 9], usize::MAX, &[9, 9]),
            (&[9, 9], 0, &[0, 0]),
        ] {
            assert_eq!(allot(sizes, most), expected, "{sizes:?} {most}");
        }
    }

    #[test]
    fn a_burst_is_one_line_and_nothing_is_lost() {
        let mut sources: Vec<Judged> = (1..=58).map(|last| judged(&format!("203.0.113.{last}"), 0, last)).collect();
        sources.reverse();
        sources.push(judged("198.51.100.4", 0, 1));
        sources.extend((1..=8).map(|last| judged(&format!("192.0.2.{last}"), 100, 0)));
        let found = collapse(&sources, 20);
        let shown: Vec<_> = found.shown.iter().map(|line| (line.source.as_str(), line.addresses)).collect();
        assert_eq!(shown[..3], [("203.0.113.0/24", 58), ("198.51.100.4", 1), ("192.0.2.1", 1)]);
        assert_eq!((found.shown[0].facts.counts.messages, found.addresses_left_out), (1711, 0));
        let few = collapse(&sources, 3);
        let all = few.shown.iter().fold(few.left_out, |sum, line| sum.plus(line.facts.counts));
        assert_eq!((all.messages, few.addresses_left_out), (1711 + 1 + 800, 7));
    }
}
