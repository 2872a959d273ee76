//! Some sources judged by themselves, as a review of the same window judges them.

use std::collections::HashMap;

use super::collapse::groups;
use super::gather::{Signers, gather};
use super::{HISTORY_SECONDS, Judged, MOST_NEIGHBOURS, Network, in_order, judge};
use crate::classify::{Class, Facts, Verdict, classify};
use crate::number;
use crate::query::names::Names;
use crate::query::source::{self, Address, Source};
use crate::query::{Database, Error, Window, evidence, extent};

/// In so many networks at most a neighbour is looked for.
const MOST_NETWORKS: usize = 256;

/// One source, or several taken together.
#[derive(Clone, Debug, PartialEq)]
pub struct Single {
    /// Each that mail of the window came from, as in a review and in its order: the worst first.
    pub members: Vec<Judged>,
    /// What all come to; where there are several the class of the worst.
    pub facts: Facts,
    /// The class, and why.
    pub verdict: Verdict,
    /// The sentence that explains the class: of several, the sentences of those that have one in common.
    pub why: String,
    /// All that is known of them together.
    pub found: Source,
}

impl Single {
    /// The one source, if it is one.
    pub fn only(&self) -> Option<&Judged> {
        match self.members.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// What DNS said of each address that was asked for, in order of their text.
    pub fn names(&self) -> Vec<&Names> {
        let mut names: Vec<&Names> = self.members.iter().filter_map(|member| member.names.as_deref()).collect();
        names.sort_by(|one, other| one.source_ip.cmp(&other.source_ip));
        names
    }
}

/// Judges what these addresses sent in the window. `None` where no report and no complaint tells of them.
///
/// # Errors
/// As [`Database`].
pub fn single(database: &Database, window: Window, addresses: &[Address], now: i64) -> Result<Option<Single>, Error> {
    let found = source::source(database, window, addresses)?;
    if found.facets.rows.is_empty() && found.complaints.is_empty() {
        return Ok(None);
    }
    let members = members(database, window, addresses, now)?;
    let facts = members.iter().map(|member| &member.facts).fold(None, |sum: Option<Facts>, facts| {
        Some(match sum {
            Some(sum) => sum.plus(facts),
            None => facts.clone(),
        })
    });
    let mut facts = facts.unwrap_or_default();
    facts.counts.complaints = found.facets.counts.complaints;
    let verdict = members.first().map_or_else(|| classify(&facts), |worst| worst.verdict);
    let why = why(&members, verdict, &facts);
    Ok(Some(Single { members, facts, verdict, why, found }))
}

/// What has another reason has another sentence.
fn why(members: &[Judged], verdict: Verdict, facts: &Facts) -> String {
    let reasons: Vec<_> = Class::ALL.into_iter().flat_map(|class| groups_by_reason(members, class)).collect();
    if reasons.len() < 2 {
        return verdict.reason.words(facts);
    }
    let part = |(verdict, count, facts): &(Verdict, usize, Facts)| {
        let addresses = number::count(i64::try_from(*count).unwrap_or(i64::MAX), "source");
        format!("{addresses} {}: {}", verdict.class, verdict.reason.words(facts))
    };
    reasons.iter().map(part).collect::<Vec<_>>().join("; ")
}

/// How many sources of a class have a reason in common, and what they come to; in the order of the first of each.
fn groups_by_reason(members: &[Judged], class: Class) -> Vec<(Verdict, usize, Facts)> {
    let mut found: Vec<(Verdict, usize, Facts)> = Vec::new();
    for line in groups(members, class) {
        match found.iter_mut().find(|(verdict, _, _)| *verdict == line.verdict) {
            Some((_, count, facts)) => {
                *count += line.addresses;
                *facts = std::mem::take(facts).plus(&line.facts);
            }
            None => found.push((line.verdict, line.addresses, line.facts)),
        }
    }
    found
}

fn members(database: &Database, window: Window, addresses: &[Address], now: i64) -> Result<Vec<Judged>, Error> {
    let mut seen = evidence::of(database, window, addresses)?;
    let complained = source::complained(database, window, addresses)?;
    let oldest = extent::of_reports(database, Some("aggregate"), now)?.oldest;
    let history = oldest.is_some_and(|oldest| oldest < window.since.saturating_sub(HISTORY_SECONDS));
    let keys = evidence::keys(database, seen.results.all_dkim().filter_map(|dkim| dkim.domain.as_deref()))?;
    let ids: Vec<i64> = seen.sources.iter().map(|source| source.id).collect();
    let sources = std::mem::take(&mut seen.sources);
    let mut members = gather(&seen, sources, &Signers::of(&keys));
    judge(database, &ids, &mut members, &complained, history)?;
    let mut known: HashMap<Network, Option<String>> = HashMap::new();
    for member in members.iter_mut().filter(|member| member.facts.counts.dmarc_pass == 0) {
        let Some(network) = member.network else { continue };
        if !known.contains_key(&network) && known.len() < MOST_NETWORKS {
            known.insert(network, neighbour(database, window, network)?);
        }
        if let Some(Some(server)) = known.get(&network) {
            member.facts.know().neighbour = Some(server.clone());
            member.verdict = classify(&member.facts);
        }
    }
    Ok(in_order(members))
}

/// As in a review: who passes in a network, if there are few who prove nothing.
fn neighbour(database: &Database, window: Window, network: Network) -> Result<Option<String>, Error> {
    let addresses = source::in_network(database, network.net())?;
    let others = source::passes(database, window, &addresses)?;
    let bare = others.iter().filter(|other| other.dmarc_pass == 0).count();
    let first =
        others.into_iter().filter(|other| other.spf_pass > 0).max_by_key(|other| (other.messages, other.ip.clone()));
    Ok(first.filter(|_| bare <= MOST_NEIGHBOURS).map(|other| other.ip))
}
