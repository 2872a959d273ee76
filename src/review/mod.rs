//! A window judged: every source with its class and why, and every policy domain with what tightening its policy would do.

pub mod changes;
pub mod collapse;
mod domains;
mod gather;
mod label;
mod network;
pub mod selectors;
pub mod shown;
pub mod silence;
pub mod single;
pub mod steps;
pub mod verdict;

use std::cmp::Reverse;
use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::classify::tighten::{Advice, Standing};
use crate::classify::{Class, Facts, Verdict, classify};
use crate::providers::{By as KnownBy, Forwards};
use crate::query::evidence;
use crate::query::names::{self, Names};
use crate::query::rates::{self, Rate};
use crate::query::summary;
use crate::query::{Counts, Database, Error, Window, extent, labels, policy};
use crate::report::authentication::is_aligned;

use gather::{Signers, gather};
pub use label::{Subject, parse as subject};
pub use network::Network;

/// Older reports must reach back so far before the window for a source to be told new.
const HISTORY_SECONDS: i64 = 7 * 86_400;
/// A network with more sources that prove nothing than this is not the one of our servers' neighbours.
const MOST_NEIGHBOURS: usize = 3;

/// What to review.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The window.
    pub window: Window,
    /// One policy domain, or all.
    pub domain: Option<&'a str>,
    /// Only reports and complaints known to come from whom they name.
    pub verified: bool,
    /// Seconds since the epoch.
    pub now: i64,
}

/// One source, judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The address.
    pub ip: String,
    /// The network that goes with it.
    pub network: Option<Network>,
    /// What is known.
    pub facts: Facts,
    /// What it is, and why.
    pub verdict: Verdict,
    /// What DNS said of it, if it was asked.
    pub names: Option<Box<Names>>,
}

impl Judged {
    /// With the network that goes with the address.
    pub fn new(ip: String, facts: Facts, verdict: Verdict) -> Judged {
        Judged { network: Network::of(&ip), ip, facts, verdict, names: None }
    }

    /// A source of which no more is known than how much it sent.
    fn of(source: evidence::Source) -> Judged {
        let evidence::Source { ip, seen_before, counts, first_at, last_at, .. } = source;
        let seen_before = Some(seen_before);
        let facts = Facts { counts, first_at, last_at, seen_before, ..Facts::default() };
        let verdict = classify(&facts);
        Judged::new(ip, facts, verdict)
    }

    /// What to call it: the user's name, its own, its provider's.
    pub fn name(&self) -> Option<&str> {
        let known = self.facts.known();
        let label = known.label.as_ref().and_then(|label| label.name.as_deref());
        label.or(known.names.first().map(String::as_str)).or(known.provider.as_deref())
    }

    /// The sentence that explains its class.
    pub fn why(&self) -> String {
        self.verdict.reason.words(&self.facts)
    }
}

/// One policy domain, judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    /// What the window tells about it.
    pub standing: Standing,
    /// Whether to tighten.
    pub advice: Advice,
    /// Reports about it.
    pub reports: i64,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Review {
    /// The window.
    pub window: Window,
    /// All messages and complaints of the window.
    pub totals: Counts,
    /// The same of the window of equal length before.
    pub previous: Counts,
    /// By class, then by most failing messages, then by most messages.
    pub sources: Vec<Judged>,
    /// Policy domains, in order.
    pub domains: Vec<Domain>,
    /// Sources that a receiver's users complain about more than receivers bear, most complaints first.
    pub rates: Vec<Rate>,
}

impl Review {
    /// Failing messages of sources that pass mail on.
    pub fn forwarded(&self) -> i64 {
        self.of(Class::Forwarded).iter().fold(0, |sum, source| sum.saturating_add(source.facts.counts.fail()))
    }

    /// Sources of one class, in order.
    pub fn of(&self, class: Class) -> &[Judged] {
        of_class(&self.sources, class)
    }
}

/// Those of one class, of sources in order.
fn of_class(sources: &[Judged], class: Class) -> &[Judged] {
    let from = sources.partition_point(|source| source.verdict.class < class);
    let to = sources.partition_point(|source| source.verdict.class <= class);
    sources.get(from..to).unwrap_or_default()
}

/// Judges a window.
///
/// # Errors
/// As [`Database`].
pub fn review(database: &Database, asked: Asked<'_>) -> Result<Review, Error> {
    let Asked { window, domain, verified, now } = asked;
    let mut seen = evidence::evidence(database, window, domain, verified)?;
    let (complaints, complained) = summary::complaints(database, window, domain, verified)?;
    let mut totals = seen.sources.iter().fold(Counts::default(), |sum, source| sum.plus(source.counts));
    totals.complaints = complaints;
    let previous = summary::totals(database, window.previous(), domain, verified)?;
    let oldest = extent::of_reports(database, Some("aggregate"), now)?.oldest;
    let history = oldest.is_some_and(|oldest| oldest < window.since.saturating_sub(HISTORY_SECONDS));

    let ids: Vec<i64> = seen.sources.iter().map(|source| source.id).collect();
    let sources = std::mem::take(&mut seen.sources);
    let mut sources = gather(&seen, sources, &Signers::of(seen.results.all_dkim()));
    judge(database, &ids, &mut sources, &complained, history)?;
    neighbours(&mut sources);
    let domains = domains::domains(policy::policies(database, window, domain, verified)?, &seen, &sources);
    let sources = in_order(sources);
    let mut rates = rates::rates(database, window, domain, rates::By::Source)?;
    rates.retain(|rate| matches!(rate.verdict(), rates::Verdict::Bad | rates::Verdict::High));
    Ok(Review { window, totals, previous, sources, domains, rates })
}

/// Judges each source by itself; `ids` are their numbers. Without `history` nothing tells what is new.
fn judge(
    database: &Database,
    ids: &[i64],
    sources: &mut [Judged],
    complained: &HashMap<String, i64>,
    history: bool,
) -> Result<(), Error> {
    let mut names = names::of(database, ids.iter().copied())?;
    let labels = label::Labels::new(labels::labels(database)?);
    let ours = policy::domains(database)?;
    for (id, source) in ids.iter().zip(sources) {
        let facts = &mut source.facts;
        if let Some(complaints) = complained.get(&source.ip) {
            facts.counts.complaints = *complaints;
        }
        facts.seen_before = facts.seen_before.filter(|_| history);
        if !names.is_empty() {
            source.names = names.remove(id).map(Box::new);
        }
        name(facts, source.names.as_deref(), &ours);
        if let Some(label) = labels.of(&source.ip, facts) {
            facts.know().label = Some(label);
        }
        source.verdict = classify(facts);
    }
    Ok(())
}

/// By class, then by most failing messages, then by most messages, then by address. The places are sorted and not the sources,
/// which are larger.
fn in_order(mut sources: Vec<Judged>) -> Vec<Judged> {
    let key = |judged: &Judged| {
        let counts = judged.facts.counts;
        (judged.verdict.class, Reverse(counts.fail()), Reverse(counts.messages), beginning(&judged.ip))
    };
    let mut order: Vec<_> =
        sources.iter().enumerate().map(|(place, judged)| (key(judged), &*judged.ip, place)).collect();
    order.sort_unstable();
    let mut places = vec![0; order.len()];
    for (to, (_, _, from)) in order.into_iter().enumerate() {
        if let Some(place) = places.get_mut(from) {
            *place = to;
        }
    }
    for at in 0..places.len() {
        while let Some(to) = places.get(at).copied().filter(|to| *to != at) {
            sources.swap(at, to);
            places.swap(at, to);
        }
    }
    sources
}

/// The first bytes of an address in a number that is ordered as they are. Thousands of forgers tie in all but the address, and this
/// is all of an IPv4 address.
fn beginning(ip: &str) -> [u64; 2] {
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(ip.bytes()).for_each(|(to, from)| *to = from);
    let number = u128::from_be_bytes(bytes);
    [(number >> 64) as u64, number as u64]
}

/// What names tell. Only a name that leads back to the address counts: anybody can write any name for his own.
fn name(facts: &mut Facts, names: Option<&Names>, domains: &[String]) {
    let confirmed = names.and_then(|names| names.name.as_deref());
    if let Some(name) = confirmed {
        facts.know().names.push(name.to_owned());
        facts.name_is_ours = domains.iter().any(|domain| is_aligned(name, domain));
    }
    if names.is_none() && facts.spf_as.is_empty() {
        return;
    }
    if let Some(known) = crate::providers::name(confirmed, facts.spf_as.words()) {
        facts.know().provider = Some(known.provider.name.clone());
        facts.forwarder = known.by == KnownBy::Name && known.provider.forwards == Forwards::Mainly;
    }
    for listing in names.iter().filter_map(|names| names.listed.as_ref()).flatten() {
        facts.know().lists.push(listing.list.clone());
    }
}

/// Finds the sources that prove nothing next to one that passes SPF as ours, and judges them again: printers, forgotten
/// servers.
fn neighbours(sources: &mut [Judged]) {
    let servers = servers(sources);
    for source in sources.iter_mut().filter(|source| source.facts.counts.dmarc_pass == 0) {
        if let Some(server) = source.network.and_then(|network| servers.get(&network)) {
            source.facts.know().neighbour = Some(server.clone());
            source.verdict = classify(&source.facts);
        }
    }
}

/// The source that passes SPF as ours in each network where few prove nothing: of several the one with most messages, and of these
/// the last in order.
fn servers(sources: &[Judged]) -> HashMap<Network, String, RandomState> {
    let mut servers: HashMap<Network, ((i64, &str), usize), RandomState> = HashMap::default();
    for source in sources.iter().filter(|source| source.facts.counts.spf_pass > 0) {
        let Some(network) = source.network else { continue };
        let found = (source.facts.counts.messages, &*source.ip);
        let (most, _) = servers.entry(network).or_insert((found, 0));
        *most = found.max(*most);
    }
    for source in sources.iter().filter(|source| source.facts.counts.dmarc_pass == 0) {
        if let Some((_, bare)) = source.network.and_then(|network| servers.get_mut(&network)) {
            *bare += 1;
        }
    }
    let next_to_few = servers.into_iter().filter(|(_, (_, bare))| *bare <= MOST_NEIGHBOURS);
    next_to_few.map(|(network, ((_, ip), _))| (network, ip.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(ip: &str, spf_pass: i64, messages: i64) -> Judged {
        let mut facts = Facts { fail_bare: messages - spf_pass, ..Facts::default() };
        facts.counts = Counts { messages, dmarc_pass: spf_pass, spf_pass, ..Counts::default() };
        let verdict = classify(&facts);
        Judged::new(ip.to_owned(), facts, verdict)
    }

    #[test]
    fn sources_are_in_order() {
        let all = [
            judged("192.0.2.10", 9, 9),
            judged("2001:db8:10:200::25", 0, 7),
            judged("2001:db8:10:200::1", 0, 7),
            judged("9.9.9.9", 0, 7),
            judged("203.0.113.20", 0, 7),
            judged("203.0.113.2", 0, 7),
            judged("203.0.113.1", 0, 8),
        ];
        let sources = in_order(all.to_vec());
        assert_eq!(
            sources.iter().map(|source| source.ip.as_str()).collect::<Vec<_>>(),
            [
                "203.0.113.1",
                "2001:db8:10:200::1",
                "2001:db8:10:200::25",
                "203.0.113.2",
                "203.0.113.20",
                "9.9.9.9",
                "192.0.2.10"
            ]
        );
    }

    #[test]
    fn a_neighbour_of_our_server_is_ours_and_a_crowd_is_not() {
        let mut sources = vec![judged("192.0.2.10", 9, 9), judged("192.0.2.99", 0, 3), judged("203.0.113.1", 0, 3)];
        neighbours(&mut sources);
        assert_eq!(
            sources.iter().map(|source| source.verdict.class).collect::<Vec<_>>(),
            [Class::Ok, Class::Fix, Class::Threat]
        );
        sources.extend((100..110).map(|last| judged(&format!("192.0.2.{last}"), 0, 1)));
        for source in &mut sources {
            source.facts.known = None;
            source.verdict = classify(&source.facts);
        }
        neighbours(&mut sources);
        assert_eq!(sources[1].verdict.class, Class::Threat);
    }
}
