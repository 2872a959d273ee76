//! From what reporters say of single messages to the facts about their source.

use std::collections::BTreeMap;

use super::Facts;
use crate::query::evidence::{Dkim, Reason, Spf};
use crate::report::authentication::Organizations;

/// How many different words are kept of one source: strangers choose them.
const MOST_WORDS: usize = 200;

/// Whether a reason tells that the message was passed on. Google writes `local_policy` with `arc=pass` where it trusts the
/// seal of whoever passed it on (RFC 8617).
fn tells_of_forwarding(reason: &Reason) -> bool {
    match reason.kind.as_deref() {
        Some("forwarded" | "mailing_list" | "trusted_forwarder") => true,
        Some("local_policy") => {
            reason.comment.as_deref().is_some_and(|comment| comment.to_ascii_lowercase().contains("arc=pass"))
        }
        _ => false,
    }
}

/// What messages have in common.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The policy domain they were judged by.
    pub domain: Option<&'a str>,
    /// Whether DMARC passes; `None` where the reporter left that out.
    pub pass: Option<bool>,
    /// DKIM results.
    pub dkim: &'a [Dkim],
    /// SPF results.
    pub spf: &'a [Spf],
    /// Override reasons.
    pub reasons: &'a [Reason],
}

/// What messages with something in common tell about their source, however many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told<'a> {
    /// Types of override reasons, as often as they stand there.
    reasons: Vec<&'a str>,
    /// Domains not ours that SPF passes for.
    spf_as: Vec<&'a str>,
    /// The same of DKIM.
    dkim_as: Vec<&'a str>,
    /// Of failing messages: domains that either passes for.
    authenticated_as: Vec<&'a str>,
    /// Which of the sums they belong to, if any.
    sum: Option<Sum>,
    /// Failing, with a signature of ours whose key works nowhere.
    key: bool,
}

/// The sums of [`Facts`] of which each message is in one at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sum {
    PassForwarded,
    PassSurvived,
    FailForwarded,
    FailBroken,
    FailAuthenticated,
    FailBare,
}

impl<'a> Told<'a> {
    /// `works` answers whether the key of a domain and selector verifies anything at all in the window.
    pub fn by(seen: Seen<'a>, known: &Organizations, works: impl Fn(&str, Option<&str>) -> bool) -> Told<'a> {
        let policy = seen.domain.map(|policy| (policy, known.of(policy)));
        let ours = |domain: &str| {
            policy.is_some_and(|(policy, organization)| domain == policy || known.of(domain) == organization)
        };
        let others = |domain: &&str| !ours(domain);
        let mut told = Told {
            reasons: seen.reasons.iter().map(|reason| reason.kind.as_deref().unwrap_or("other")).collect(),
            spf_as: spf_passed(&seen).filter(others).map(|domain| known.of(domain)).collect(),
            dkim_as: dkim_passed(&seen).filter(others).map(|domain| known.of(domain)).collect(),
            ..Told::default()
        };
        told.dkim_as.sort_unstable();
        told.dkim_as.dedup();
        let forwarding = seen.reasons.iter().any(tells_of_forwarding);
        match seen.pass {
            None => {}
            Some(true) if forwarding => told.sum = Some(Sum::PassForwarded),
            Some(true) => told.sum = survived(&seen, &ours).then_some(Sum::PassSurvived),
            Some(false) => told.fail(&seen, known, forwarding, &ours, &works),
        }
        told
    }

    fn fail(
        &mut self,
        seen: &Seen<'a>,
        known: &Organizations,
        forwarding: bool,
        ours: &dyn Fn(&str) -> bool,
        works: &dyn Fn(&str, Option<&str>) -> bool,
    ) {
        let passed = dkim_passed(seen).chain(spf_passed(seen)).map(|domain| known.of(domain));
        self.authenticated_as = passed.collect();
        self.authenticated_as.sort_unstable();
        self.authenticated_as.dedup();
        let signed = |dkim: &&Dkim| {
            dkim.domain.as_deref().is_some_and(ours) && !matches!(dkim.result.as_deref(), Some("pass" | "none") | None)
        };
        let mut signatures = seen.dkim.iter().filter(signed).peekable();
        let has_signature = signatures.peek().is_some();
        let key_works =
            signatures.any(|dkim| works(dkim.domain.as_deref().unwrap_or_default(), dkim.selector.as_deref()));
        self.key = has_signature && !key_works;
        // Passed on with its envelope as it was, or under an envelope of the forwarder's own. Anything else that has a bad
        // signature of ours was made by somebody who could not sign.
        let our_envelope = || seen.spf.iter().any(|spf| spf.domain.as_deref().is_some_and(ours));
        let passed = !self.authenticated_as.is_empty();
        self.sum = Some(if forwarding {
            Sum::FailForwarded
        } else if key_works && (passed || our_envelope()) {
            Sum::FailBroken
        } else if passed {
            Sum::FailAuthenticated
        } else {
            Sum::FailBare
        });
    }
}

fn survived(seen: &Seen<'_>, ours: &dyn Fn(&str) -> bool) -> bool {
    let our_envelope = |spf: &Spf| spf.domain.as_deref().is_some_and(ours);
    let fails = |spf: &Spf| matches!(spf.result.as_deref(), Some("fail" | "softfail" | "neutral" | "none"));
    seen.spf.iter().all(fails) && seen.spf.iter().any(our_envelope)
}

impl Facts {
    /// Adds what messages tell about their source.
    pub fn see(&mut self, told: &Told<'_>, messages: i64) {
        for (sums, words) in [
            (&mut self.spf_as, &told.spf_as),
            (&mut self.dkim_as, &told.dkim_as),
            (&mut self.authenticated_as, &told.authenticated_as),
        ] {
            for word in words {
                add(sums, word, messages);
            }
        }
        for reason in &told.reasons {
            add(&mut self.reasons, reason, messages);
        }
        let sum = match told.sum {
            None => None,
            Some(Sum::PassForwarded) => Some(&mut self.pass_forwarded),
            Some(Sum::PassSurvived) => Some(&mut self.pass_survived),
            Some(Sum::FailForwarded) => Some(&mut self.fail_forwarded),
            Some(Sum::FailBroken) => Some(&mut self.fail_broken),
            Some(Sum::FailAuthenticated) => Some(&mut self.fail_authenticated),
            Some(Sum::FailBare) => Some(&mut self.fail_bare),
        };
        for sum in sum.into_iter().chain(told.key.then_some(&mut self.fail_key)) {
            *sum = sum.saturating_add(messages);
        }
    }
}

fn dkim_passed<'a>(seen: &Seen<'a>) -> impl Iterator<Item = &'a str> + use<'a> {
    let passed = seen.dkim.iter().filter(|dkim| dkim.result.as_deref() == Some("pass"));
    passed.filter_map(|dkim| dkim.domain.as_deref()).filter(|domain| !domain.is_empty())
}

fn spf_passed<'a>(seen: &Seen<'a>) -> impl Iterator<Item = &'a str> + use<'a> {
    let passed = seen.spf.iter().filter(|spf| spf.result.as_deref() == Some("pass"));
    passed.filter_map(|spf| spf.domain.as_deref()).filter(|domain| !domain.is_empty())
}

/// Counts a word.
pub(super) fn add(words: &mut BTreeMap<String, i64>, word: &str, messages: i64) {
    if let Some(sum) = words.get_mut(word) {
        *sum = sum.saturating_add(messages);
    } else if words.len() < MOST_WORDS {
        words.insert(word.to_owned(), messages);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dkim(domain: &str, result: &str) -> Dkim {
        Dkim { domain: Some(domain.into()), selector: Some("s1".into()), result: Some(result.into()) }
    }

    fn spf(domain: &str, result: &str) -> Spf {
        Spf { domain: Some(domain.into()), scope: None, result: Some(result.into()) }
    }

    /// How ten failing messages count: forwarded, broken, authenticated, bare; and the key that works nowhere.
    fn check(dkim: &[Dkim], spf: &[Spf], reason: Option<(&str, &str)>, works: bool, expected: [i64; 5]) {
        let reasons: Vec<_> = reason
            .map(|(kind, comment)| Reason { kind: Some(kind.into()), comment: Some(comment.into()) })
            .into_iter()
            .collect();
        let mut facts = Facts::default();
        let seen = Seen { domain: Some("example.com"), pass: Some(false), dkim, spf, reasons: &reasons };
        let works_here =
            |domain: &str, selector: Option<&str>| works && domain == "mail.example.com" && selector == Some("s1");
        facts.see(&Told::by(seen, &Organizations::default(), works_here), 10);
        let found =
            [facts.fail_forwarded, facts.fail_broken, facts.fail_authenticated, facts.fail_bare, facts.fail_key];
        assert_eq!(found, expected, "{dkim:?} {spf:?} {reason:?} {works}");
    }

    #[test]
    fn every_failing_message_counts_once() {
        let ours = dkim("mail.example.com", "fail");
        check(&[], &[], None, true, [0, 0, 0, 10, 0]);
        check(&[], &[spf("example.com", "fail")], None, true, [0, 0, 0, 10, 0]);
        check(&[], &[spf("payroll.test", "pass")], None, true, [0, 0, 10, 0, 0]);
        check(&[dkim("payroll.test", "pass")], &[], None, true, [0, 0, 10, 0, 0]);
        // Forwarded with its envelope, and under another.
        check(std::slice::from_ref(&ours), &[spf("example.com", "fail")], None, true, [0, 10, 0, 0, 0]);
        check(std::slice::from_ref(&ours), &[spf("list.test", "pass")], None, true, [0, 10, 0, 0, 0]);
        // A signature that nobody could make, under an envelope of neither.
        check(std::slice::from_ref(&ours), &[spf("other.test", "softfail")], None, true, [0, 0, 0, 10, 0]);
        // The key works nowhere.
        check(std::slice::from_ref(&ours), &[spf("list.test", "pass")], None, false, [0, 0, 10, 0, 10]);
        check(std::slice::from_ref(&ours), &[spf("example.com", "fail")], None, false, [0, 0, 0, 10, 10]);
        check(&[], &[], Some(("mailing_list", "")), true, [10, 0, 0, 0, 0]);
        check(&[], &[], Some(("local_policy", "arc=pass as.1=x")), true, [10, 0, 0, 0, 0]);
        check(&[], &[], Some(("local_policy", "trusted for testing")), true, [0, 0, 0, 10, 0]);
        check(&[], &[], Some(("sampled_out", "")), true, [0, 0, 0, 10, 0]);
    }

    #[test]
    fn what_passes_and_what_is_not_known() {
        let mut facts = Facts::default();
        let reasons = [Reason { kind: Some("forwarded".into()), comment: None }];
        let (dkim, spf) = ([dkim("example.com", "pass")], [spf("bounces.esp.test", "pass")]);
        let mut seen =
            Seen { domain: Some("example.com"), pass: Some(true), dkim: &dkim, spf: &spf, reasons: &reasons };
        let known = Organizations::default();
        facts.see(&Told::by(seen, &known, |_, _| true), 4);
        seen.pass = None;
        facts.see(&Told::by(seen, &known, |_, _| true), 4);
        assert_eq!((facts.pass_forwarded, facts.fail_forwarded), (4, 0));
        assert_eq!((facts.spf_as, facts.dkim_as.len()), (BTreeMap::from([("esp.test".to_owned(), 8)]), 0));
        assert_eq!(facts.reasons, BTreeMap::from([("forwarded".to_owned(), 8)]));
    }

    #[test]
    fn words_of_strangers_are_bounded() {
        let mut words = BTreeMap::new();
        for number in 0..10 * MOST_WORDS {
            add(&mut words, &format!("{number}.test"), 1);
        }
        assert_eq!(words.len(), MOST_WORDS);
    }
}
