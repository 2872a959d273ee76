//! Many sources on few lines: by provider, domain of their name, or network.

use std::borrow::Cow;
use std::cmp::{Ordering, Reverse};
use std::fmt;
use std::ops::Range;

use super::{Judged, Network, of_class};
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
    let by_class = Class::ALL.map(|class| Groups::of(of_class(sources, class), many));
    let sizes: Vec<usize> = by_class.iter().map(|groups| groups.all.len()).collect();
    let mut found = Lines::default();
    for (mut groups, room) in by_class.into_iter().zip(allot(&sizes, most)) {
        groups.order(room);
        let shown = groups.all.get(..room).unwrap_or_default();
        found.shown.extend(shown.iter().filter_map(|group| groups.line(group)));
        for source in groups.but(shown) {
            found.addresses_left_out += 1;
            found.left_out = found.left_out.plus(source.facts.counts);
        }
    }
    found
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
    let mut groups = Groups::of(of_class(sources, class), 0);
    groups.order(groups.all.len());
    groups.all.iter().filter_map(|group| groups.line(group)).collect()
}

/// The sources of one class by what they have in common. Where a domain is forged these are tens of thousands of groups of one, so
/// little is held of each.
struct Groups<'a> {
    /// In order.
    sources: &'a [Judged],
    /// Those of one group in a row, and each row in order.
    members: Vec<Member<'a>>,
    all: Vec<Group>,
    /// Each source is by itself, as it is where there are few.
    single: bool,
}

/// What has another reason has another sentence, and is another line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Member<'a> {
    common: Common<'a>,
    reason: Reason,
    /// Its place among the sources.
    place: u32,
}

/// What becomes one line.
struct Group {
    /// Its part of the members; the first fails most.
    members: Range<usize>,
    fail: i64,
    messages: i64,
}

impl<'a> Groups<'a> {
    /// Those of a class, where it has more than `many` sources; in no order.
    fn of(sources: &'a [Judged], many: usize) -> Groups<'a> {
        let single = sources.len() <= many;
        let member = |(place, source): (u32, &'a Judged)| Member {
            common: common(source),
            reason: source.verdict.reason,
            place,
        };
        let mut members: Vec<Member<'_>> = (0..).zip(sources).map(member).collect();
        if !single {
            members.sort_unstable();
        }
        let together =
            |one: &Member<'_>, next: &Member<'_>| !single && (one.common, one.reason) == (next.common, next.reason);
        let mut groups = Groups { sources, members: Vec::new(), all: Vec::new(), single };
        let mut from = 0;
        for group in members.chunk_by(together) {
            groups.all.push(groups.group(from, group));
            from += group.len();
        }
        groups.members = members;
        groups
    }

    /// These members, which begin at `from`.
    fn group(&self, from: usize, members: &[Member<'_>]) -> Group {
        let counts = members.iter().filter_map(|member| self.source(member)).map(|source| source.facts.counts);
        let all = counts.fold(Counts::default(), Counts::plus);
        Group { members: from..from + members.len(), fail: all.fail(), messages: all.messages }
    }

    fn source(&self, member: &Member<'_>) -> Option<&'a Judged> {
        self.sources.get(member.place as usize)
    }

    /// The sources of a group, in order.
    fn members(&self, group: &Group) -> impl Iterator<Item = &'a Judged> {
        self.members.get(group.members.clone()).into_iter().flatten().filter_map(|member| self.source(member))
    }

    /// The sources that are in none of these groups, in order: tens of thousands are read faster as they lie.
    fn but(&self, groups: &[Group]) -> impl Iterator<Item = &'a Judged> {
        let mut others = vec![true; self.sources.len()];
        for member in groups.iter().filter_map(|group| self.members.get(group.members.clone())).flatten() {
            if let Some(other) = others.get_mut(member.place as usize) {
                *other = false;
            }
        }
        self.sources.iter().zip(others).filter_map(|(source, other)| other.then_some(source))
    }

    /// Puts the first `room` groups first, and in order: as the sources where each is single; else those of most failing messages,
    /// then of most messages.
    fn order(&mut self, room: usize) {
        if self.single {
            return;
        }
        let mut all = std::mem::take(&mut self.all);
        if room < all.len() {
            all.select_nth_unstable_by(room, |one, other| self.before(one, other));
        }
        if let Some(first) = all.get_mut(..room) {
            first.sort_unstable_by(|one, other| self.before(one, other));
        }
        self.all = all;
    }

    fn before(&self, one: &Group, other: &Group) -> Ordering {
        let key = |group: &Group| (Reverse(group.fail), Reverse(group.messages));
        let text = || self.called(one).cmp(&self.called(other));
        key(one).cmp(&key(other)).then_with(text).then(one.members.len().cmp(&other.members.len()))
    }

    /// What stands in the first column.
    fn called(&self, group: &Group) -> Cow<'a, str> {
        match self.members.get(group.members.clone()) {
            Some([only]) => Cow::Borrowed(self.source(only).map_or("", |source| &source.ip)),
            Some([first, ..]) => Cow::Owned(first.common.to_string()),
            _ => Cow::Borrowed(""),
        }
    }

    /// Of a group, which is never empty.
    fn line(&self, group: &Group) -> Option<Line> {
        let mut members = self.members(group);
        let first = members.next()?;
        let addresses = group.members.len();
        Some(Line {
            source: self.called(group).into_owned(),
            name: first.name().filter(|_| addresses == 1).map(str::to_owned),
            addresses,
            verdict: first.verdict,
            facts: members.fold(first.facts.clone(), |sum, other| sum.plus(&other.facts)),
        })
    }
}

/// What a source has in common with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Common<'a> {
    /// The user's name for it, its provider's, or the organisation of its own.
    Name(&'a str),
    /// Its network.
    Network(Network),
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
