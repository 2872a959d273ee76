//! What a review comes to, in sentences: whether anybody is needed, and for what.

use super::collapse::{Line, groups};
use super::{Judged, Review};
use crate::classify::{Class, Reason};
use crate::number;
use crate::query::Counts;
use crate::query::rates::{self, Rate};

/// So many are called by name.
const NAMED: usize = 3;

/// What a review comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The first sentence: `Nothing needs you.`, or what does.
    pub verdict: String,
    /// More that is worth a person's time, a sentence each.
    pub more: Vec<String>,
    /// Whether somebody must act.
    pub action: bool,
}

/// Sums a review up. Names of sources in it are not sanitized yet.
pub fn outcome(review: &Review) -> Outcome {
    let of = |class: Class| groups(&review.sources, class);
    let (mut fix, new) = (of(Class::Fix), of(Class::New));
    // One stray message is listed, and needs nobody.
    fix.retain(|line| {
        line.facts.counts.fail() > 1 || !line.facts.known().lists.is_empty() || line.verdict.reason == Reason::Labelled
    });
    let complaints = too_many_complaints(review);
    let mut more = Vec::new();
    let verdict = if !fix.is_empty() {
        more.extend(complaints.iter().cloned());
        format!("{} action: {}.", needs(fix.len()), named(&fix))
    } else if let Some((first, others)) = complaints.split_first() {
        more.extend(others.iter().cloned());
        first.clone()
    } else if review.domains.is_empty() && review.sources.is_empty() {
        "There is no report to judge by.".to_owned()
    } else {
        "Nothing needs you.".to_owned()
    };
    more.extend(many_complaints(review));
    if !new.is_empty() {
        let noun = if new.len() == 1 { "One new source" } else { "New sources" };
        more.push(format!("{noun} to look at: {}.", named(&new)));
    }
    more.extend(forged(review));
    Outcome { verdict, more, action: !fix.is_empty() || !complaints.is_empty() }
}

fn needs(count: usize) -> String {
    if count == 1 { "1 source needs".to_owned() } else { format!("{count} sources need") }
}

fn named(lines: &[Line]) -> String {
    let names: Vec<String> = lines.iter().take(NAMED).map(Line::call).collect();
    match lines.len().saturating_sub(NAMED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

fn forged(review: &Review) -> Option<String> {
    let (mut all, mut addresses) = (Counts::default(), 0);
    for source in review.of(Class::Threat) {
        all = all.plus(source.facts.counts);
        addresses += 1;
    }
    let messages = all.fail();
    let stopped = all.quarantine.saturating_add(all.reject).min(messages);
    let from = match addresses {
        1 => "1 address".to_owned(),
        more => format!("{} addresses", number::grouped(more)),
    };
    let noun = number::count(messages, "message");
    let fate = match stopped {
        0 => "none was stopped".to_owned(),
        all if all >= messages => "all were quarantined or rejected".to_owned(),
        part => format!("{} were quarantined or rejected", number::grouped(part)),
    };
    (addresses > 0).then(|| format!("Forged under your name: {noun} from {from}; {fate}."))
}

/// A sentence for each source and receiver with more complaints than receivers bear.
pub fn too_many_complaints(review: &Review) -> Vec<String> {
    review
        .rates
        .iter()
        .filter(|rate| rate.verdict() == rates::Verdict::Bad)
        .map(|rate| complained(review, rate))
        .collect()
}

/// The same of those with more than they ask for.
pub fn many_complaints(review: &Review) -> Vec<String> {
    review
        .rates
        .iter()
        .filter(|rate| rate.verdict() == rates::Verdict::High)
        .map(|rate| complained(review, rate))
        .collect()
}

fn complained(review: &Review, rate: &Rate) -> String {
    let ip = rate.value.as_deref().unwrap_or("a source that is not named");
    let name = review.sources.iter().find(|source| source.ip == ip).and_then(Judged::name);
    let called = name.map_or_else(|| ip.to_owned(), |name| format!("{ip} ({name})"));
    let (word, limit) = match rate.verdict() {
        rates::Verdict::Bad => ("Too many", format!("mail is refused above {:.1}%", rates::BAD * 100.0)),
        _ => ("Many", format!("receivers ask for less than {:.1}%", rates::HIGH * 100.0)),
    };
    let share = rate.interval().map_or(0.0, |interval| interval.share * 100.0);
    format!(
        "{word} complaints about {called} at {}: {} for {} messages there ({share:.2}%; {limit}).",
        rate.receiver,
        number::grouped(rate.compared),
        number::grouped(rate.messages.unwrap_or_default()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::{Facts, classify};
    use crate::query::Window;

    fn source(ip: &str, pass: i64, fail: i64, complaints: i64, with: impl FnOnce(&mut Facts)) -> Judged {
        let mut facts = Facts { fail_bare: fail, ..Facts::default() };
        facts.counts =
            Counts { messages: pass + fail, dmarc_pass: pass, dkim_pass: pass, complaints, ..Counts::default() };
        with(&mut facts);
        let verdict = classify(&facts);
        Judged::new(ip.to_owned(), facts, verdict)
    }

    fn rate(ip: &str, compared: i64, messages: i64) -> Rate {
        Rate {
            value: Some(ip.to_owned()),
            selector: None,
            receiver: "Yahoo".to_owned(),
            complaints: compared,
            trusted: compared,
            compared,
            messages: Some(messages),
        }
    }

    fn check(sources: Vec<Judged>, verdict: &str, more: &[&str], action: bool) {
        check_with(Vec::new(), sources, verdict, more, action);
    }

    fn check_with(rates: Vec<Rate>, sources: Vec<Judged>, verdict: &str, more: &[&str], action: bool) {
        let review = Review {
            rates,
            window: Window { since: 0, until: 1 },
            totals: Counts::default(),
            previous: Counts::default(),
            sources,
            domains: Vec::new(),
        };
        let found = outcome(&review);
        assert_eq!((found.verdict.as_str(), found.action), (verdict, action));
        assert_eq!(found.more, more);
    }

    #[test]
    fn verdicts() {
        let ok = || source("192.0.2.1", 1000, 0, 0, |_| {});
        let fix = |ip| source(ip, 50, 50, 0, |facts| facts.know().names.push(format!("host.{ip}.test")));
        check(vec![], "There is no report to judge by.", &[], false);
        check(vec![ok()], "Nothing needs you.", &[], false);
        check(vec![fix("a"), ok()], "1 source needs action: a (host.a.test).", &[], true);
        check(
            vec![fix("a"), fix("b"), fix("c"), fix("d")],
            "4 sources need action: a (host.a.test), b (host.b.test), c (host.c.test) and 1 more.",
            &[],
            true,
        );
        check_with(
            vec![rate("192.0.2.1", 40, 4000), rate("192.0.2.2", 10, 4000)],
            vec![source("192.0.2.1", 9000, 0, 40, |facts| facts.know().names.push("mx.a.test".to_owned()))],
            "Too many complaints about 192.0.2.1 (mx.a.test) at Yahoo: 40 for 4,000 messages there (1.00%; mail is refused above 0.3%).",
            &[
                "Many complaints about 192.0.2.2 at Yahoo: 10 for 4,000 messages there (0.25%; receivers ask for less than 0.1%).",
            ],
            true,
        );
        check(vec![source("192.0.2.1", 9, 1, 0, |_| {})], "Nothing needs you.", &[], false);
        check(vec![source("192.0.2.1", 10, 0, 1, |_| {})], "Nothing needs you.", &[], false);
        check(
            vec![
                source("b", 9, 0, 0, |facts| facts.seen_before = Some(false)),
                source("t", 0, 9, 0, |facts| facts.counts.reject = 4),
            ],
            "Nothing needs you.",
            &[
                "One new source to look at: b.",
                "Forged under your name: 9 messages from 1 address; 4 were quarantined or rejected.",
            ],
            false,
        );
    }
}
