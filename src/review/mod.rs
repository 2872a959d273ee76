//! A window judged: every source with its class and why, and every policy domain with what tightening its policy would do.

pub mod changes;
pub mod collapse;
mod label;
pub mod selectors;
pub mod shown;
pub mod silence;
pub mod single;
pub mod steps;
pub mod verdict;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use ipnet::IpNet;

use crate::classify::evidence::{Seen, Told};
use crate::classify::tighten::{Advice, Fails, Policy, Standing, advise};
use crate::classify::{Class, Facts, Verdict, classify};
use crate::providers::{By as KnownBy, Forwards};
use crate::query::evidence::{self, Evidence, Kind};
use crate::query::names::{self, Names};
use crate::query::rates::{self, Rate};
use crate::query::summary;
use crate::query::{Counts, Database, Error, Window, extent, labels, policy};
use crate::report::authentication::{Organizations, is_aligned};

use collapse::Common;
pub use label::{Subject, parse as subject};

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

/// Failing messages by policy domain.
pub type Lost = Vec<(Arc<str>, i64)>;

/// One source, judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The address.
    pub ip: String,
    /// See [`network`].
    pub network: Option<IpNet>,
    /// What is known.
    pub facts: Facts,
    /// What it is, and why.
    pub verdict: Verdict,
    /// Its failing messages by policy domain.
    pub fails: Lost,
    /// What DNS said of it, if it was asked.
    pub names: Option<Box<Names>>,
}

impl Judged {
    /// With the network that goes with the address.
    pub fn new(ip: String, facts: Facts, verdict: Verdict, fails: Lost, names: Option<Box<Names>>) -> Judged {
        Judged { network: network(&ip), ip, facts, verdict, fails, names }
    }

    /// A source of which no more is known than how much it sent.
    fn of(source: evidence::Source) -> Judged {
        let evidence::Source { ip, seen_before, counts, first_at, last_at, .. } = source;
        let seen_before = Some(seen_before);
        let facts = Facts { counts, first_at, last_at, seen_before, ..Facts::default() };
        let verdict = classify(&facts);
        Judged::new(ip, facts, verdict, Lost::new(), None)
    }

    /// What to call it: the user's name, its own, its provider's.
    pub fn name(&self) -> Option<&str> {
        let label = self.facts.label.as_ref().and_then(|label| label.name.as_deref());
        label.or(self.facts.names.first().map(String::as_str)).or(self.facts.provider.as_deref())
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
        self.of(Class::Forwarded).fold(0, |sum, source| sum.saturating_add(source.facts.counts.fail()))
    }

    /// Sources of one class, in order.
    pub fn of(&self, class: Class) -> impl Iterator<Item = &Judged> {
        self.sources.iter().filter(move |source| source.verdict.class == class)
    }
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

    let signers = Signers::of(seen.results.all_dkim());
    let ids: Vec<i64> = seen.sources.iter().map(|source| source.id).collect();
    let sources = std::mem::take(&mut seen.sources);
    let (mut sources, messages) = gather(&seen, sources, &signers);
    drop(seen);
    judge(database, &ids, &mut sources, &complained, history)?;
    neighbours(&mut sources);
    let sources = in_order(sources);
    let domains = domains(policy::policies(database, window, domain, verified)?, &messages, &sources);
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
        source.names = names.remove(id).map(Box::new);
        name(facts, source.names.as_deref(), &ours);
        facts.label = labels.of(&source.ip, facts);
        source.verdict = classify(facts);
    }
    Ok(())
}

/// By class, then by most failing messages, then by most messages. The places are sorted and not the sources, which are large.
fn in_order(mut sources: Vec<Judged>) -> Vec<Judged> {
    let key = |judged: &Judged| {
        let counts = judged.facts.counts;
        (judged.verdict.class, Reverse(counts.fail()), Reverse(counts.messages))
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

/// Messages of policy domains.
type ByDomain = HashMap<Arc<str>, i64>;

/// The sources of `evidence` with what reports tell of them and their failing messages by policy domain; and the messages of each domain.
fn gather(evidence: &Evidence, sources: Vec<evidence::Source>, signers: &Signers<'_>) -> (Vec<Judged>, ByDomain) {
    let results = &evidence.results;
    let known = Organizations::default();
    let tell = |kind: &Kind| {
        let domain = evidence.domains.get(kind.domain as usize).and_then(Option::as_deref);
        let seen = Seen {
            domain,
            pass: kind.pass,
            dkim: results.dkim(kind.sets),
            spf: results.spf(kind.sets),
            reasons: results.reasons(kind.reason_set),
        };
        Told::by(seen, &known, |domain, selector| signers.works(domain, selector))
    };
    let told: Vec<Told<'_>> = evidence.kinds.iter().map(tell).collect();
    let mut gathered: Vec<Judged> = sources.into_iter().map(Judged::of).collect();
    let mut messages: Vec<i64> = vec![0; evidence.domains.len()];
    for seen in &evidence.seen {
        let place = seen.kind as usize;
        let (Some(kind), Some(told)) = (evidence.kinds.get(place), told.get(place)) else { continue };
        let Some(source) = gathered.get_mut(seen.source as usize) else { continue };
        source.facts.see(told, seen.messages);
        if let Some(sum) = messages.get_mut(kind.domain as usize) {
            *sum = sum.saturating_add(seen.messages);
        }
        if let (Some(false), Some(Some(domain))) = (kind.pass, evidence.domains.get(kind.domain as usize)) {
            lose(&mut source.fails, domain, seen.messages);
        }
    }
    let domains = evidence.domains.iter().zip(messages);
    (gathered, domains.filter_map(|(domain, messages)| Some((domain.clone()?, messages))).collect())
}

/// Adds to the domain's sum. Few sources send as many domains; each domain's text is held once.
fn lose(lost: &mut Lost, domain: &Arc<str>, messages: i64) {
    match lost.iter_mut().find(|(known, _)| Arc::ptr_eq(known, domain)) {
        Some((_, sum)) => *sum = sum.saturating_add(messages),
        None => lost.push((domain.clone(), messages)),
    }
}

/// Keys that verify signatures.
#[derive(Debug, Default)]
struct Signers<'a> {
    keys: HashSet<(&'a str, Option<&'a str>), RandomState>,
    domains: HashSet<&'a str, RandomState>,
}

impl<'a> Signers<'a> {
    fn of(results: impl IntoIterator<Item = &'a evidence::Dkim>) -> Signers<'a> {
        let mut signers = Signers::default();
        for dkim in results.into_iter().filter(|dkim| dkim.result.as_deref() == Some("pass")) {
            let domain = dkim.domain.as_deref().unwrap_or_default();
            signers.domains.insert(domain);
            signers.keys.insert((domain, dkim.selector.as_deref()));
        }
        signers
    }

    /// Reporters often leave the selector out: then any key of the domain will do.
    fn works(&self, domain: &str, selector: Option<&str>) -> bool {
        let key = |selector: Option<&str>| self.keys.contains(&(domain, selector));
        key(selector) || key(None) || (selector.is_none() && self.domains.contains(domain))
    }
}

/// What names tell. Only a name that leads back to the address counts: anybody can write any name for his own.
fn name(facts: &mut Facts, names: Option<&Names>, domains: &[String]) {
    let confirmed = names.and_then(|names| names.name.as_deref());
    facts.names = confirmed.map(str::to_owned).into_iter().collect();
    facts.name_is_ours = confirmed.is_some_and(|name| domains.iter().any(|domain| is_aligned(name, domain)));
    let (spf, dkim) = (facts.spf_as.keys().map(String::as_str), facts.dkim_as.keys().map(String::as_str));
    let known = crate::providers::name(confirmed, spf, dkim);
    // Signatures stay on mail that others pass on: they do not tell whose address it is.
    if let Some(known) = known.filter(|known| known.by != KnownBy::Dkim) {
        facts.provider = Some(known.provider.name.clone());
        facts.forwarder = known.by == KnownBy::Name && known.provider.forwards == Forwards::Mainly;
    }
    let listed = names.and_then(|names| names.listed.as_ref());
    facts.lists = listed.into_iter().flatten().map(|listing| listing.list.clone()).collect();
}

/// Finds the sources that prove nothing next to one that passes SPF as ours, and judges them again: printers, forgotten
/// servers.
fn neighbours(sources: &mut [Judged]) {
    let mut ours: HashMap<IpNet, (i64, String), RandomState> = HashMap::default();
    let mut bare: HashMap<IpNet, usize, RandomState> = HashMap::default();
    for source in sources.iter() {
        let Some(network) = source.network else { continue };
        if source.facts.counts.spf_pass > 0 {
            let found = (source.facts.counts.messages, source.ip.clone());
            let most = ours.entry(network).or_insert_with(|| found.clone());
            // Of several the one with most messages, and of these the last in order.
            if found > *most {
                *most = found;
            }
        } else if source.facts.counts.dmarc_pass == 0 {
            *bare.entry(network).or_default() += 1;
        }
    }
    for source in sources.iter_mut().filter(|source| source.facts.counts.dmarc_pass == 0) {
        let Some(network) = source.network else { continue };
        if bare.get(&network).is_some_and(|count| *count <= MOST_NEIGHBOURS) {
            source.facts.neighbour = ours.get(&network).map(|(_, ip)| ip.clone());
            source.verdict = classify(&source.facts);
        }
    }
}

/// The network that an address is likely to share with others of its owner: /24, /48.
pub fn network(ip: &str) -> Option<IpNet> {
    let ip: IpAddr = ip.parse().ok()?;
    let length = if ip.is_ipv4() { 24 } else { 48 };
    Some(IpNet::new(ip, length).ok()?.trunc())
}

/// What blocks a stricter policy of one domain: what it is called by, how many sources, the first one's name, and what is lost.
type Blockers<'a> = HashMap<Common<'a>, (usize, &'a str, i64), RandomState>;

fn domains(policies: Vec<policy::Policy>, messages: &ByDomain, sources: &[Judged]) -> Vec<Domain> {
    let mut lost: HashMap<&str, (Fails, Blockers<'_>), RandomState> = HashMap::default();
    for source in sources {
        let blocks = matches!(source.verdict.class, Class::Fix | Class::New) && !source.fails.is_empty();
        let common = blocks.then(|| collapse::common(source));
        for (domain, messages) in source.fails.iter().filter(|(_, messages)| *messages > 0) {
            let (fails, blockers) = lost.entry(domain).or_default();
            fails.add(source.verdict.class, *messages);
            if let Some(common) = common {
                let first = source.name().unwrap_or(&source.ip);
                let (count, _, sum) = blockers.entry(common).or_insert((0, first, 0));
                (*count, *sum) = (*count + 1, sum.saturating_add(*messages));
            }
        }
    }
    let one = |found: policy::Policy| {
        let (fails, blockers) = lost.remove(found.domain.as_str()).unwrap_or_default();
        // One is called by its own name, several by what they have in common.
        let call = |(common, (count, first, lost)): (Common<'_>, (usize, &str, i64))| {
            (if count == 1 { first.to_owned() } else { common.to_string() }, lost)
        };
        let mut blockers: Vec<(String, i64)> = blockers.into_iter().map(call).collect();
        blockers.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        let standing = Standing {
            days: days(found.first_at, found.last_at),
            messages: messages.get(found.domain.as_str()).copied().unwrap_or(0),
            fails,
            blockers,
            policy: Policy {
                p: found.p,
                sp: found.sp,
                np: found.np,
                adkim: found.adkim,
                aspf: found.aspf,
                pct: found.pct,
                testing: found.testing,
            },
            domain: found.domain,
        };
        let advice = advise(&standing);
        Domain { standing, advice, reports: found.reports }
    };
    policies.into_iter().map(one).collect()
}

/// Days begun from `first` to `last`.
fn days(first: i64, last: i64) -> i64 {
    last.saturating_sub(first).max(0).saturating_add(86_399) / 86_400
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_of_addresses() {
        for (ip, expected) in
            [("192.0.2.99", Some("192.0.2.0/24")), ("2001:db8:10:7::25", Some("2001:db8:10::/48")), ("nonsense", None)]
        {
            assert_eq!(network(ip).map(|network| network.to_string()).as_deref(), expected);
        }
    }

    #[test]
    fn days_are_counted_when_begun() {
        for (first, last, expected) in
            [(0, 86_399, 1), (0, 86_400, 1), (0, 86_401, 2), (5, 5, 0), (i64::MIN, i64::MAX, i64::MAX / 86_400)]
        {
            assert_eq!(days(first, last), expected, "{first} {last}");
        }
    }

    fn judged(ip: &str, spf_pass: i64, messages: i64) -> Judged {
        let mut facts = Facts { fail_bare: messages - spf_pass, ..Facts::default() };
        facts.counts = Counts { messages, dmarc_pass: spf_pass, spf_pass, ..Counts::default() };
        let verdict = classify(&facts);
        Judged::new(ip.to_owned(), facts, verdict, Vec::new(), None)
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
            source.facts.neighbour = None;
            source.verdict = classify(&source.facts);
        }
        neighbours(&mut sources);
        assert_eq!(sources[1].verdict.class, Class::Threat);
    }
}
