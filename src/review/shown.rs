//! Which of many policy domains a page shows: whoever sends for hundreds of them wants to read of the few that matter, and of
//! the others how many there are.

use std::cmp::Reverse;

use super::Domain;
use crate::classify::tighten::Advice;
use crate::number;

/// Some policy domains, and what the others come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shown<'a> {
    /// All in order of their names, or, of more than fit, those of the most messages first.
    pub domains: Vec<&'a Domain>,
    /// A sentence about the others, if there are any.
    pub rest: Option<String>,
}

/// Shows `most` of them at most.
pub fn shown(domains: &[Domain], most: usize) -> Shown<'_> {
    let mut all: Vec<&Domain> = domains.iter().collect();
    if all.len() <= most {
        return Shown { domains: all, rest: None };
    }
    all.sort_by_key(|domain| Reverse(domain.standing.messages));
    let rest = all.split_off(most);
    Shown { rest: Some(sentence(&rest)), domains: all }
}

fn sentence(rest: &[&Domain]) -> String {
    let count = |count: usize| number::grouped(i64::try_from(count).unwrap_or(i64::MAX));
    let messages = rest.iter().fold(0, |sum: i64, domain| sum.saturating_add(domain.standing.messages));
    let parts: Vec<String> = ["safe to tighten", "not yet", "too early to tell", "as strict as can be"]
        .into_iter()
        .map(|words| (words, rest.iter().filter(|domain| called(&domain.advice) == words).count()))
        .filter(|(_, of)| *of > 0)
        .map(|(words, of)| format!("{} {words}", count(of)))
        .collect();
    let domains = number::count(i64::try_from(rest.len()).unwrap_or(i64::MAX), "more domain");
    format!("{domains} with {}: {}", number::count(messages, "message"), parts.join(", "))
}

fn called(advice: &Advice) -> &'static str {
    match advice {
        Advice::Safe(_) => "safe to tighten",
        Advice::NotYet(_) => "not yet",
        Advice::TooEarly => "too early to tell",
        Advice::Strictest => "as strict as can be",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::tighten::Standing;

    fn domain(name: &str, messages: i64, advice: Advice) -> Domain {
        Domain { standing: Standing { domain: name.to_owned(), messages, ..Standing::default() }, advice, reports: 1 }
    }

    #[test]
    fn the_largest_are_shown_and_the_others_counted() {
        let domains = [
            domain("a.example", 5, Advice::Safe("p=reject")),
            domain("b.example", 1_000, Advice::NotYet("p=reject")),
            domain("c.example", 7, Advice::Strictest),
            domain("d.example", 70, Advice::Safe("p=quarantine")),
            domain("e.example", 2_000, Advice::Safe("p=reject")),
        ];
        for (most, expected, rest) in [
            (5, &["a.example", "b.example", "c.example", "d.example", "e.example"][..], None),
            (
                4,
                &["e.example", "b.example", "d.example", "c.example"],
                Some("1 more domain with 5 messages: 1 safe to tighten"),
            ),
            (
                2,
                &["e.example", "b.example"],
                Some("3 more domains with 82 messages: 2 safe to tighten, 1 as strict as can be"),
            ),
            (
                1,
                &["e.example"],
                Some("4 more domains with 1,082 messages: 2 safe to tighten, 1 not yet, 1 as strict as can be"),
            ),
        ] {
            let found = shown(&domains, most);
            let names: Vec<&str> = found.domains.iter().map(|domain| domain.standing.domain.as_str()).collect();
            assert_eq!((names.as_slice(), found.rest.as_deref()), (expected, rest), "{most}");
        }
    }
}
