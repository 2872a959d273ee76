//! Many sources on few lines: by provider, domain of their name, or network.

use std::collections::HashMap;

use super::{Judged, network};
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
    let mut by_class: Vec<Vec<Line>> = Class::ALL.map(|class| lines(sources, class, MANY)).into();
    let sizes: Vec<usize> = by_class.iter().map(Vec::len).collect();
    let mut found = Lines::default();
    for (lines, room) in by_class.iter_mut().zip(allot(&sizes, most)) {
        for line in lines.split_off(room.min(lines.len())) {
            found.addresses_left_out += line.addresses;
            found.left_out = found.left_out.plus(line.facts.counts);
        }
        found.shown.append(lines);
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
    lines(sources, class, 0)
}

fn lines(sources: &[Judged], class: Class, many: usize) -> Vec<Line> {
    let members: Vec<&Judged> = sources.iter().filter(|source| source.verdict.class == class).collect();
    if members.len() <= many {
        return members.into_iter().map(single).collect();
    }
    // What has another reason has another sentence, and is another line.
    let mut groups: HashMap<(String, Reason), Vec<&Judged>> = HashMap::new();
    for source in members {
        groups.entry((common(source), source.verdict.reason)).or_default().push(source);
    }
    let mut lines: Vec<Line> = groups.into_iter().map(|((common, _), members)| together(common, &members)).collect();
    lines.sort_by(|one, other| {
        let key = |line: &Line| (-line.facts.counts.fail(), -line.facts.counts.messages);
        key(one).cmp(&key(other)).then_with(|| (&one.source, one.addresses).cmp(&(&other.source, other.addresses)))
    });
    lines
}

/// What a source has in common with others.
pub(super) fn common(source: &Judged) -> String {
    let label = source.facts.label.as_ref().and_then(|label| label.name.clone());
    let name = || source.facts.names.first().map(|name| organizational(name).to_owned());
    let network = || network(&source.ip).map(|network| network.to_string());
    label.or_else(|| source.facts.provider.clone()).or_else(name).or_else(network).unwrap_or_else(|| source.ip.clone())
}

fn single(source: &Judged) -> Line {
    Line {
        source: source.ip.clone(),
        name: source.name().map(str::to_owned),
        addresses: 1,
        facts: source.facts.clone(),
        verdict: source.verdict,
    }
}

/// Members come in order, the one that fails most first.
fn together(common: String, members: &[&Judged]) -> Line {
    let Some((first, others)) = members.split_first() else {
        let verdict = crate::classify::classify(&Facts::default());
        return Line { source: common, name: None, addresses: 0, facts: Facts::default(), verdict };
    };
    if others.is_empty() {
        return single(first);
    }
    let facts = others.iter().fold(first.facts.clone(), |sum, other| sum.plus(&other.facts));
    Line { source: common, name: None, addresses: members.len(), facts, verdict: first.verdict }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::classify::classify;

    fn judged(ip: &str, pass: i64, fail: i64) -> Judged {
        let mut facts = Facts { fail_bare: fail, ..Facts::default() };
        facts.counts =
            Counts { messages: pass + fail, dmarc_pass: pass, dkim_pass: pass, spf_pass: pass, ..Counts::default() };
        let verdict = classify(&facts);
        Judged { ip: ip.to_owned(), facts, verdict, fails: BTreeMap::new(), names: None }
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
