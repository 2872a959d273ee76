//! What changed from one window to the next, in sentences.

use std::collections::HashMap;

use super::Review;
use super::collapse::{Line, groups};
use crate::classify::Class;
use crate::number;

/// A change of the pass rate by less is weather.
const LEAST_POINTS: f64 = 1.0;
/// Of a window with fewer messages no change is told.
const LEAST_MESSAGES: i64 = 20;
/// A source is missed when it had at least this part of all messages.
const MISSED_SHARE: f64 = 0.01;

/// Tells what is other in `now` than in `before`. Names of sources are not sanitized yet.
pub fn changes(before: &Review, now: &Review) -> Vec<String> {
    let mut found = Vec::new();
    let (then, totals) = (before.totals, now.totals);
    if then.messages < LEAST_MESSAGES {
        return found;
    }
    if let (Some(old), Some(new)) = (then.share(then.dmarc_pass), totals.share(totals.dmarc_pass)) {
        let points = (new - old) * 100.0;
        if points.abs() >= LEAST_POINTS {
            found.push(format!(
                "{} pass DMARC, after {} ({points:+.1} points).",
                number::percent(new),
                number::percent(old)
            ));
        }
    }
    let times = totals.messages as f64 / then.messages as f64;
    if !(0.5..=2.0).contains(&times) {
        found.push(format!("{}, after {}.", number::count(totals.messages, "message"), number::grouped(then.messages)));
    }
    for domain in &now.domains {
        let old = before.domains.iter().find(|old| old.standing.domain == domain.standing.domain);
        if let Some(old) = old.filter(|old| old.standing.policy != domain.standing.policy) {
            let (from, to) = (old.standing.policy.words(), domain.standing.policy.words());
            found.push(format!("{} publishes {to}, after {from}.", domain.standing.domain));
        }
    }
    let old: HashMap<&str, Class> =
        before.sources.iter().map(|source| (source.ip.as_str(), source.verdict.class)).collect();
    let newly: Vec<_> = now
        .sources
        .iter()
        .filter(|source| source.verdict.class == Class::Fix && old.get(source.ip.as_str()) == Some(&Class::Ok))
        .cloned()
        .collect();
    for line in groups(&newly, Class::Fix) {
        found.push(format!("{} was ok, and fails now: {}.", line.call(), line.verdict.reason.words(&line.facts)));
    }
    let seen: Vec<&str> = now.sources.iter().map(|source| source.ip.as_str()).collect();
    let missed = |line: &Line| {
        let share = then.share(line.facts.counts.messages).unwrap_or(0.0);
        share >= MISSED_SHARE && line.facts.counts.messages >= LEAST_MESSAGES
    };
    let gone: Vec<_> =
        before.of(Class::Ok).iter().filter(|source| !seen.contains(&source.ip.as_str())).cloned().collect();
    for line in groups(&gone, Class::Ok).into_iter().filter(missed) {
        let messages = number::count(line.facts.counts.messages, "message");
        found.push(format!("Nothing from {}, after {messages}.", line.call()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::tighten::{Advice, Standing};
    use crate::classify::{Facts, classify};
    use crate::query::policy::Published;
    use crate::query::{Counts, Window};
    use crate::review::{Domain, Judged};

    fn review(p: &str, sources: &[(&str, i64, i64)]) -> Review {
        let mut totals = Counts::default();
        let mut judged = Vec::new();
        for (ip, pass, fail) in sources {
            let counts = Counts { messages: pass + fail, dmarc_pass: *pass, dkim_pass: *pass, ..Counts::default() };
            totals = totals.plus(counts);
            let facts = Facts { counts, fail_bare: *fail, ..Facts::default() };
            let verdict = classify(&facts);
            judged.push(Judged::new((*ip).to_owned(), facts, verdict));
        }
        let policy = Published { p: Some(p.to_owned()), ..Published::default() };
        let standing = Standing { domain: "a.test".to_owned(), policy, ..Standing::default() };
        let domains = vec![Domain { standing, advice: Advice::TooEarly, reports: 1 }];
        Review {
            window: Window { since: 0, until: 1 },
            totals,
            previous: Counts::default(),
            sources: judged,
            domains,
            rates: Vec::new(),
        }
    }

    #[test]
    fn only_what_changed_is_told() {
        let before = review("none", &[("192.0.2.1", 900, 0), ("192.0.2.2", 100, 0)]);
        assert_eq!(changes(&before, &before), Vec::<String>::new());
        let after = review("reject", &[("192.0.2.1", 1400, 1400)]);
        assert_eq!(
            changes(&before, &after),
            [
                "50.0% pass DMARC, after 100.0% (-50.0 points).",
                "2,800 messages, after 1,000.",
                "a.test publishes p=reject, after p=none.",
                "192.0.2.1 was ok, and fails now: 1,400 of 2,800 fail DMARC: what fails is not signed by you: sign all.",
                "Nothing from 192.0.2.2, after 100 messages.",
            ]
        );
        let few = review("none", &[("192.0.2.1", 5, 0)]);
        assert_eq!(changes(&few, &after), Vec::<String>::new(), "too little to compare with");
    }
}
