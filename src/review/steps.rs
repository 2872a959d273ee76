//! What to do before a policy is made stricter, each with its evidence.

use super::collapse::{Line, groups};
use super::selectors::selectors;
use super::verdict::too_many_complaints;
use super::{Domain, Judged, Review};
use crate::classify::Class;
use crate::classify::tighten::Advice;
use crate::number;
use crate::query::facets::Facets;

/// So many sources are steps of their own.
const MOST: usize = 10;

/// The steps for a policy domain, of a review of that domain alone. Text of strangers in it is not sanitized yet.
pub fn steps(review: &Review, domain: &Domain, facets: &Facets) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    let lost = |line: &Line| line.facts.counts.fail() > 0;
    let of = |class| groups(&review.sources, class).into_iter().filter(lost);
    let blocking: Vec<Line> = [Class::Fix, Class::New].into_iter().flat_map(of).collect();
    for line in blocking.iter().take(MOST) {
        let counts = line.facts.counts;
        let (fail, why) = (number::grouped(counts.fail()), line.verdict.reason.words(&line.facts));
        steps.push(format!("{}: {fail} of {} fail: {why}.", line.call(), number::count(counts.messages, "message")));
    }
    if let Some(more) = blocking.len().checked_sub(MOST).filter(|more| *more > 0) {
        let more = number::count(i64::try_from(more).unwrap_or(i64::MAX), "more source");
        steps.push(format!("{more} of that kind: `dmarcdb summary --domain {}`.", domain.standing.domain));
    }
    let unsigned: Vec<&Judged> = review
        .of(Class::Ok)
        .iter()
        .filter(|source| source.facts.counts.dkim_pass == 0 && source.facts.counts.spf_pass > 0)
        .collect();
    if !unsigned.is_empty() {
        let messages = unsigned.iter().fold(0, |sum: i64, source| sum.saturating_add(source.facts.counts.messages));
        let names: Vec<String> = unsigned.iter().take(3).map(|source| called(source)).collect();
        steps.push(format!(
            "Sign what passes by SPF alone, because SPF ends where mail is passed on: {} from {}{}.",
            number::count(messages, "message"),
            names.join(", "),
            if unsigned.len() > 3 { format!(" and {} more", unsigned.len() - 3) } else { String::new() },
        ));
    }
    for selector in selectors(&domain.standing.domain, &facets.dkim) {
        if selector.pass == 0 && selector.messages > 1 && selector.selector.is_some() {
            steps.push(format!(
                "Look at the key {}._domainkey.{}: none of {} with that signature verifies.",
                selector.selector.unwrap_or_default(),
                selector.domain,
                number::count(selector.messages, "message"),
            ));
        }
    }
    if domain.advice == Advice::TooEarly {
        let days = number::count(domain.standing.days, "day");
        steps.push(format!(
            "Wait for more reports: these are over {days} only; a week has all weekdays, a month the monthly mail."
        ));
    }
    steps.extend(too_many_complaints(review));
    steps
}

fn called(source: &Judged) -> String {
    match source.name() {
        Some(name) => format!("{} ({name})", source.ip),
        None => source.ip.clone(),
    }
}
