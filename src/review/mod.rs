//! A window judged: every source with its class and why, and every policy domain with what tightening its policy would do.

pub mod changes;
pub mod collapse;
mod label;
pub mod selectors;
pub mod silence;
pub mod single;
pub mod steps;
pub mod verdict;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;

use crate::classify::evidence::{Dkim, Override, Seen, Spf};
use crate::classify::tighten::{Advice, Fails, Policy, Standing, advise};
use crate::classify::{Class, Facts, Verdict, classify};
use crate::providers::{By as KnownBy, Forwards};
use crate::query::evidence::{self, Evidence, Results};
use crate::query::names::{self, Names};
use crate::query::rates::{self, Rate};
use crate::query::summary::{self, By, Line};
use crate::query::{Counts, Database, Error, Window, extent, labels, policy};
use crate::report::authentication::is_aligned;

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

/// One source, judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The address.
    pub ip: String,
    /// What is known.
    pub facts: Facts,
    /// What it is, and why.
    pub verdict: Verdict,
    /// Its failing messages by policy domain.
    pub fails: BTreeMap<String, i64>,
    /// What DNS said of it, if it was asked.
    pub names: Option<Names>,
}

impl Judged {
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
    let found = summary::summary(database, window, domain, verified, By::Source)?;
    let seen = evidence::evidence(database, window, domain, verified)?;
    let ips: Vec<&str> = found.lines.iter().filter_map(|line| line.key.as_deref()).collect();
    let mut names = names::of(database, ips.iter().copied())?;
    let labels = label::Labels::new(labels::labels(database)?);
    let ours = policy::domains(database)?;
    let oldest = extent::of_reports(database, Some("aggregate"), now)?.oldest;
    let history = oldest.is_some_and(|oldest| oldest < window.since.saturating_sub(HISTORY_SECONDS));

    let mut facts = gather(&seen);
    let mut sources: Vec<Judged> = Vec::with_capacity(found.lines.len());
    for line in found.lines {
        let Some(ip) = line.key.clone() else { continue };
        let (mut facts, fails, seen_before) = facts.remove(&ip).unwrap_or_default();
        complete(&mut facts, &line, history.then_some(seen_before));
        let names = names.remove(&ip);
        name(&mut facts, names.as_ref(), &ours);
        facts.label = labels.of(&ip, &facts);
        let verdict = classify(&facts);
        sources.push(Judged { ip, facts, verdict, fails, names });
    }
    neighbours(&mut sources);
    sources.sort_by(|one, other| {
        let key = |judged: &Judged| (judged.verdict.class, -judged.facts.counts.fail(), -judged.facts.counts.messages);
        key(one).cmp(&key(other)).then_with(|| one.ip.cmp(&other.ip))
    });
    let domains = domains(policy::policies(database, window, domain, verified)?, &by_domain(&seen), &sources);
    let mut rates = rates::rates(database, window, domain, rates::By::Source)?;
    rates.retain(|rate| matches!(rate.verdict(), rates::Verdict::Bad | rates::Verdict::High));
    Ok(Review { window, totals: found.totals, previous: found.previous, sources, domains, rates })
}

/// Facts of each address, its failing messages by policy domain, and whether it was seen before.
type Gathered = HashMap<String, (Facts, BTreeMap<String, i64>, bool)>;

fn gather(evidence: &Evidence) -> Gathered {
    let (dkim, spf, reasons) = convert(&evidence.results);
    let signers = Signers::of(evidence.results.dkim.values().flatten().cloned());
    let mut gathered = Gathered::new();
    for row in &evidence.rows {
        let Some(source) = evidence.sources.get(&row.source) else { continue };
        let (facts, fails, seen_before) = gathered.entry(source.ip.clone()).or_default();
        *seen_before = source.seen_before;
        let of = |set: Option<i64>| set.and_then(|set| reasons.get(&set)).map_or(&[][..], Vec::as_slice);
        let seen = Seen {
            domain: row.domain.as_deref(),
            pass: row.pass,
            messages: row.messages,
            dkim: dkim.get(&row.auth_set).map_or(&[][..], Vec::as_slice),
            spf: spf.get(&row.auth_set).map_or(&[][..], Vec::as_slice),
            reasons: of(row.reason_set),
        };
        facts.see(seen, |domain, selector| signers.works(domain, selector));
        if let (Some(false), Some(domain)) = (row.pass, &row.domain) {
            let sum = fails.entry(domain.clone()).or_default();
            *sum = sum.saturating_add(row.messages);
        }
    }
    gathered
}

/// Keys that verify signatures.
#[derive(Debug, Default)]
struct Signers {
    keys: HashSet<(String, Option<String>)>,
    domains: HashSet<String>,
}

impl Signers {
    fn of(results: impl IntoIterator<Item = evidence::Dkim>) -> Signers {
        let mut signers = Signers::default();
        for dkim in results.into_iter().filter(|dkim| dkim.result.as_deref() == Some("pass")) {
            let domain = dkim.domain.unwrap_or_default();
            signers.domains.insert(domain.clone());
            signers.keys.insert((domain, dkim.selector));
        }
        signers
    }

    /// Reporters often leave the selector out: then any key of the domain will do.
    fn works(&self, domain: &str, selector: Option<&str>) -> bool {
        let key = |selector: Option<&str>| self.keys.contains(&(domain.to_owned(), selector.map(str::to_owned)));
        key(selector) || key(None) || (selector.is_none() && self.domains.contains(domain))
    }
}

/// Results in the words of the classification.
type Converted = (HashMap<i64, Vec<Dkim>>, HashMap<i64, Vec<Spf>>, HashMap<i64, Vec<Override>>);

fn convert(results: &Results) -> Converted {
    let dkim = converted(&results.dkim, |row| Dkim {
        domain: row.domain.clone(),
        selector: row.selector.clone(),
        result: row.result.clone(),
    });
    let spf = converted(&results.spf, |row| Spf { domain: row.domain.clone(), result: row.result.clone() });
    let reasons = converted(&results.reasons, |row| Override { kind: row.kind.clone(), comment: row.comment.clone() });
    (dkim, spf, reasons)
}

fn converted<A, B>(sets: &HashMap<i64, Vec<A>>, convert: impl Fn(&A) -> B) -> HashMap<i64, Vec<B>> {
    sets.iter().map(|(set, rows)| (*set, rows.iter().map(&convert).collect())).collect()
}

fn complete(facts: &mut Facts, line: &Line, seen_before: Option<bool>) {
    facts.counts = line.counts;
    facts.first_at = line.first_at;
    facts.last_at = line.last_at;
    facts.seen_before = seen_before;
}

/// What names tell. Only a name that leads back to the address counts: anybody can write any name for his own.
fn name(facts: &mut Facts, names: Option<&Names>, domains: &[String]) {
    let confirmed = names.and_then(|names| names.name.as_deref());
    facts.names = confirmed.map(str::to_owned).into_iter().collect();
    facts.name_is_ours = confirmed.is_some_and(|name| domains.iter().any(|domain| is_aligned(name, domain)));
    let words = |words: &BTreeMap<String, i64>| words.keys().cloned().collect::<Vec<_>>();
    let (spf, dkim) = (words(&facts.spf_as), words(&facts.dkim_as));
    let known = crate::providers::name(confirmed, spf.iter().map(String::as_str), dkim.iter().map(String::as_str));
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
    let mut ours: HashMap<IpNet, (i64, String)> = HashMap::new();
    let mut bare: HashMap<IpNet, usize> = HashMap::new();
    for source in sources.iter() {
        let Some(network) = network(&source.ip) else { continue };
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
        let Some(network) = network(&source.ip) else { continue };
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

/// Messages of each policy domain.
fn by_domain(evidence: &Evidence) -> HashMap<&str, i64> {
    let mut messages: HashMap<&str, i64> = HashMap::new();
    for row in &evidence.rows {
        let sum = messages.entry(row.domain.as_deref().unwrap_or_default()).or_default();
        *sum = sum.saturating_add(row.messages);
    }
    messages
}

fn domains(policies: Vec<policy::Policy>, messages: &HashMap<&str, i64>, sources: &[Judged]) -> Vec<Domain> {
    let one = |found: policy::Policy| {
        let mut fails = Fails::default();
        let mut blockers: BTreeMap<String, (usize, &str, i64)> = BTreeMap::new();
        for source in sources {
            let Some(lost) = source.fails.get(&found.domain).copied().filter(|lost| *lost > 0) else { continue };
            fails.add(source.verdict.class, lost);
            if matches!(source.verdict.class, Class::Fix | Class::New) {
                let first = source.name().unwrap_or(&source.ip);
                let (count, _, sum) = blockers.entry(collapse::common(source)).or_insert((0, first, 0));
                (*count, *sum) = (*count + 1, sum.saturating_add(lost));
            }
        }
        // One is called by its own name, several by what they have in common.
        let call = |(common, (count, first, lost)): (String, (usize, &str, i64))| {
            (if count == 1 { first.to_owned() } else { common }, lost)
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
        Judged { ip: ip.to_owned(), facts, verdict, fails: BTreeMap::new(), names: None }
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
