//! Policy domains: what their mail tells about a stricter policy.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::collapse::{Common, common};
use super::{Domain, Judged};
use crate::classify::Class;
use crate::classify::tighten::{Fails, Standing, advise};
use crate::query::evidence::Evidence;
use crate::query::policy;

/// What the mail of one domain comes to.
#[derive(Default)]
struct Mail<'a> {
    messages: i64,
    fails: Fails,
    /// What blocks a stricter policy by what it is called by: how many sources, the name of one, and what would be lost.
    blockers: HashMap<Common<'a>, (usize, &'a str, i64), RandomState>,
}

/// Judges the policies. `sources` stand in the places of those of `evidence`.
pub(super) fn domains(policies: Vec<policy::Policy>, evidence: &Evidence, sources: &[Judged]) -> Vec<Domain> {
    let places = evidence.domains.iter().enumerate();
    let places: HashMap<&str, usize, RandomState> =
        places.filter_map(|(place, domain)| Some((domain.as_deref()?, place))).collect();
    let mut mail = mail(evidence, sources);
    let mut of = |domain: &str| places.get(domain).and_then(|place| mail.get_mut(*place)).map(std::mem::take);
    let judged = |policy: policy::Policy| judged(of(&policy.domain).unwrap_or_default(), policy);
    policies.into_iter().map(judged).collect()
}

/// The mail of each domain of `evidence`.
fn mail<'a>(evidence: &Evidence, sources: &'a [Judged]) -> Vec<Mail<'a>> {
    let mut mail: Vec<Mail<'_>> = evidence.domains.iter().map(|_| Mail::default()).collect();
    let mut blocked: HashMap<(u32, u32), i64, RandomState> = HashMap::default();
    for seen in &evidence.seen {
        let (Some(of), Some(source)) = (mail.get_mut(seen.domain as usize), sources.get(seen.source as usize)) else {
            continue;
        };
        of.messages = of.messages.saturating_add(seen.messages);
        if seen.pass != Some(false) {
            continue;
        }
        of.fails.add(source.verdict.class, seen.messages);
        if matches!(source.verdict.class, Class::Fix | Class::New) {
            let lost = blocked.entry((seen.domain, seen.source)).or_default();
            *lost = lost.saturating_add(seen.messages);
        }
    }
    for ((domain, source), lost) in blocked.into_iter().filter(|(_, lost)| *lost > 0) {
        if let (Some(of), Some(source)) = (mail.get_mut(domain as usize), sources.get(source as usize)) {
            let name = source.name().unwrap_or(&source.ip);
            let (count, _, sum) = of.blockers.entry(common(source)).or_insert((0, name, 0));
            (*count, *sum) = (*count + 1, sum.saturating_add(lost));
        }
    }
    mail
}

fn judged(mail: Mail<'_>, found: policy::Policy) -> Domain {
    // One is called by its own name, several by what they have in common.
    let call = |(common, (count, name, lost)): (Common<'_>, (usize, &str, i64))| {
        (if count == 1 { name.to_owned() } else { common.to_string() }, lost)
    };
    let mut blockers: Vec<(String, i64)> = mail.blockers.into_iter().map(call).collect();
    blockers.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    let standing = Standing {
        days: days(found.reach.first_at, found.reach.last_at),
        messages: mail.messages,
        fails: mail.fails,
        blockers,
        policy: found.published,
        domain: found.domain,
    };
    let advice = advise(&standing);
    Domain { standing, advice, reports: found.reach.reports }
}

/// Days begun from `first` to `last`.
fn days(first: i64, last: i64) -> i64 {
    last.saturating_sub(first).max(0).saturating_add(86_399) / 86_400
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_when_begun() {
        for (first, last, expected) in
            [(0, 86_399, 1), (0, 86_400, 1), (0, 86_401, 2), (5, 5, 0), (i64::MIN, i64::MAX, i64::MAX / 86_400)]
        {
            assert_eq!(days(first, last), expected, "{first} {last}");
        }
    }
}
