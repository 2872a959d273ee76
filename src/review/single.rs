//! One source judged by itself, as a review of the same window judges it.

use std::collections::{BTreeMap, HashMap};

use super::label::Labels;
use super::{HISTORY_SECONDS, Judged, MOST_NEIGHBOURS, Signers, convert, name, network};
use crate::classify::evidence::Seen;
use crate::classify::{Facts, classify};
use crate::query::names::{self, Names};
use crate::query::source::{self, Address, Source};
use crate::query::{Database, Error, Window, evidence, extent, labels, policy};

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
    let names = names::of(database, addresses.iter().take(MOST_NAMES).map(|address| address.ip.as_str()))?;
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
    let judged = Judged { names: names.get(&ip).cloned(), ip, facts, verdict, fails };
    Ok(Some(Single { judged, found, names }))
}

fn facts(database: &Database, found: &Source) -> Result<(Facts, BTreeMap<String, i64>), Error> {
    let results = &found.facets.results;
    let (dkim, spf, reasons) = convert(results);
    let failed = found.facets.rows.iter().filter(|row| row.pass() == Some(false));
    let domains = failed.flat_map(|row| results.dkim(row.auth_set)).filter_map(|dkim| dkim.domain.as_deref());
    let signers = Signers::of(evidence::keys(database, domains)?);
    let mut facts = Facts::default();
    let mut fails: BTreeMap<String, i64> = BTreeMap::new();
    for row in &found.facets.rows {
        let seen = Seen {
            domain: row.domain.as_deref(),
            pass: row.pass(),
            messages: row.messages,
            dkim: dkim.get(&row.auth_set).map_or(&[][..], Vec::as_slice),
            spf: spf.get(&row.auth_set).map_or(&[][..], Vec::as_slice),
            reasons: row.reason_set.and_then(|set| reasons.get(&set)).map_or(&[][..], Vec::as_slice),
        };
        facts.see(seen, |domain, selector| signers.works(domain, selector));
        if let (Some(false), Some(domain)) = (row.pass(), &row.domain) {
            let sum = fails.entry(domain.clone()).or_default();
            *sum = sum.saturating_add(row.messages);
        }
    }
    Ok((facts, fails))
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
