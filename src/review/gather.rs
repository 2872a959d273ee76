//! From evidence to facts: what reports tell of each source.

use std::collections::HashSet;

use foldhash::fast::RandomState;

use super::Judged;
use crate::classify::evidence::{Enveloped, Overridden, Seen, Signed};
use crate::query::evidence::{Dkim, Evidence, Source};
use crate::report::authentication::{Organization, Organizations};

/// The sources of `evidence`, which are handed in by themselves, with what reports tell of them.
pub(super) fn gather(evidence: &Evidence, sources: Vec<Source>, signers: &Signers<'_>) -> Vec<Judged> {
    let (results, mut known) = (&evidence.results, Organizations::default());
    let works = |domain: &str, selector: Option<&str>| signers.works(domain, selector);
    let ours: Vec<Option<Organization<'_>>> =
        evidence.domains.iter().map(|domain| domain.as_deref().map(|domain| known.of(domain))).collect();
    let signed: Vec<Signed<'_>> =
        evidence.dkim_sets.iter().map(|set| Signed::of(results.dkim(*set), &mut known, works)).collect();
    let enveloped: Vec<Enveloped<'_>> =
        evidence.spf_sets.iter().map(|set| Enveloped::of(results.spf(*set), &mut known)).collect();
    let overridden: Vec<Overridden<'_>> =
        evidence.reason_sets.iter().map(|set| Overridden::of(results.reasons(*set))).collect();
    let mut gathered: Vec<Judged> = sources.into_iter().map(Judged::of).collect();
    for seen in &evidence.seen {
        let (Some(source), Some(&ours), Some(signed), Some(enveloped), Some(overridden)) = (
            gathered.get_mut(seen.source as usize),
            ours.get(seen.domain as usize),
            signed.get(seen.dkim_set as usize),
            enveloped.get(seen.spf_set as usize),
            overridden.get(seen.reason_set as usize),
        ) else {
            continue;
        };
        source.facts.see(&Seen { ours, pass: seen.pass, signed, enveloped, overridden }, seen.messages);
    }
    gathered
}

/// Keys that verify signatures.
#[derive(Debug, Default)]
pub(super) struct Signers<'a> {
    keys: HashSet<(&'a str, Option<&'a str>), RandomState>,
    domains: HashSet<&'a str, RandomState>,
}

impl<'a> Signers<'a> {
    pub(super) fn of(results: impl IntoIterator<Item = &'a Dkim>) -> Signers<'a> {
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
