//! One source judged by itself, as a review of the same window judges it.

use std::collections::{BTreeMap, HashMap};

use super::label::Labels;
use super::{HISTORY_SECONDS, Judged, Lost, MOST_NEIGHBOURS, Signers, name, network};
use crate::classify::evidence::{Seen, Told};
use crate::classify::{Facts, classify};
use crate::query::names::{self, Names};
use crate::query::source::{self, Address, Source};
use crate::query::{Database, Error, Window, evidence, extent, labels, policy};
use crate::report::authentication::Organizations;

/// So many names of a group are looked at.
const MOST_NAMES: usize = 1000;

/// One source, or several taken together.
#[derive(Clone, Debug, PartialEq)]
pub struct Single {
    /// As in a review; `ip` is empty where there are several.
    pub judged: Judged,
    /// All that is known of it.
    pub found: Source,
    /// What DNS said of each address, if it was asked.
    pub names: HashMap<String, Names>,
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
    let known = names::of(database, addresses.iter().take(MOST_NAMES).map(|address| address.id))?;
    let names: HashMap<String, Names> = known.into_values().map(|names| (names.source_ip.clone(), names)).collect();
    let ours = policy::domains(database)?;
    let (mut facts, fails) = facts(database, &found)?;
    facts.counts = found.facets.counts;
    facts.first_at = found.facets.first_at.unwrap_or_default();
    facts.last_at = found.facets.last_at.unwrap_or_default();
    let oldest = extent::of_reports(database, Some("aggregate"), now)?.oldest;
    if oldest.is_some_and(|oldest| oldest < window.since.saturating_sub(HISTORY_SECONDS)) {
        facts.seen_before = Some(evidence::any_seen_before(database, window.since, addresses)?);
    }
    let ip = match addresses {
        [only] => only.ip.clone(),
        _ => String::new(),
    };
    name(&mut facts, names.get(&ip), &ours);
    if !ip.is_empty() {
        facts.label = Labels::new(labels::labels(database)?).of(&ip, &facts);
        facts.neighbour = neighbour(database, window, &ip, &facts)?;
    }
    let verdict = classify(&facts);
    let judged = Judged { names: names.get(&ip).cloned().map(Box::new), ip, facts, verdict, fails };
    Ok(Some(Single { judged, found, names }))
}

fn facts(database: &Database, found: &Source) -> Result<(Facts, Lost), Error> {
    let results = &found.facets.results;
    let failed = found.facets.rows.iter().filter(|row| row.pass() == Some(false));
    let domains = failed.flat_map(|row| results.dkim(row.auth_set)).filter_map(|dkim| dkim.domain.as_deref());
    let keys = evidence::keys(database, domains)?;
    let (signers, known) = (Signers::of(&keys), Organizations::default());
    let mut facts = Facts::default();
    let mut fails: BTreeMap<&str, i64> = BTreeMap::new();
    for row in &found.facets.rows {
        let seen = Seen {
            domain: row.domain.as_deref(),
            pass: row.pass(),
            dkim: results.dkim(row.auth_set),
            spf: results.spf(row.auth_set),
            reasons: row.reason_set.map_or(&[], |set| results.reasons(set)),
        };
        facts.see(&Told::by(seen, &known, |domain, selector| signers.works(domain, selector)), row.messages);
        if let (Some(false), Some(domain)) = (row.pass(), &row.domain) {
            let sum = fails.entry(domain).or_default();
            *sum = sum.saturating_add(row.messages);
        }
    }
    Ok((facts, fails.into_iter().map(|(domain, messages)| (domain.into(), messages)).collect()))
}

/// As in a review: who else is in the network of an address that proves nothing.
fn neighbour(database: &Database, window: Window, ip: &str, facts: &Facts) -> Result<Option<String>, Error> {
    if facts.counts.dmarc_pass > 0 {
        return Ok(None);
    }
    let Some(network) = network(ip) else { return Ok(None) };
    let addresses = source::in_network(database, network)?;
    let others = source::passes(database, window, &addresses)?;
    let bare = others.iter().filter(|other| other.dmarc_pass == 0).count();
    let first =
        others.into_iter().filter(|other| other.spf_pass > 0).max_by_key(|other| (other.messages, other.ip.clone()));
    Ok(first.filter(|_| bare <= MOST_NEIGHBOURS).map(|other| other.ip))
}
