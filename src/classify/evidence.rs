//! From what reporters say of single messages to the facts about their source.

use std::collections::BTreeMap;

use super::Facts;
use crate::report::authentication::{is_aligned, organizational};

/// How many different words are kept of one source: strangers choose them.
const MOST_WORDS: usize = 200;

/// A DKIM result as reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dkim {
    /// `d=`.
    pub domain: Option<String>,
    /// `s=`.
    pub selector: Option<String>,
    /// The result.
    pub result: Option<String>,
}

/// An SPF result as reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spf {
    /// Of the envelope sender, or of HELO.
    pub domain: Option<String>,
    /// The result.
    pub result: Option<String>,
}

/// An override reason as reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Override {
    /// Its type.
    pub kind: Option<String>,
    /// The reporter's explanation.
    pub comment: Option<String>,
}

impl Override {
    /// Whether it tells that the message was passed on. Google writes `local_policy` with `arc=pass` where it trusts the
    /// seal of whoever passed it on (RFC 8617).
    pub fn forwarding(&self) -> bool {
        match self.kind.as_deref() {
            Some("forwarded" | "mailing_list" | "trusted_forwarder") => true,
            Some("local_policy") => {
                self.comment.as_deref().is_some_and(|comment| comment.to_ascii_lowercase().contains("arc=pass"))
            }
            _ => false,
        }
    }
}

/// Messages that have all of this in common.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The policy domain they were judged by.
    pub domain: Option<&'a str>,
    /// Whether DMARC passes; `None` where the reporter left that out.
    pub pass: Option<bool>,
    /// How many.
    pub messages: i64,
    /// DKIM results.
    pub dkim: &'a [Dkim],
    /// SPF results.
    pub spf: &'a [Spf],
    /// Override reasons.
    pub reasons: &'a [Override],
}

impl Facts {
    /// Adds what these messages tell about their source. `works` answers whether the key of a domain and selector verifies
    /// anything at all in the window.
    pub fn see(&mut self, seen: Seen<'_>, works: impl Fn(&str, Option<&str>) -> bool) {
        for reason in seen.reasons {
            add(&mut self.reasons, reason.kind.as_deref().unwrap_or("other"), seen.messages);
        }
        let ours = |domain: &str| seen.domain.is_some_and(|policy| is_aligned(domain, policy));
        let passed = passed(&seen);
        for domain in spf_passed(&seen).filter(|domain| !ours(domain)) {
            add(&mut self.spf_as, organizational(domain), seen.messages);
        }
        let mut signed: Vec<&str> = dkim_passed(&seen).filter(|domain| !ours(domain)).map(organizational).collect();
        signed.sort_unstable();
        signed.dedup();
        for domain in signed {
            add(&mut self.dkim_as, domain, seen.messages);
        }
        let forwarding = seen.reasons.iter().any(Override::forwarding);
        match seen.pass {
            None => {}
            Some(true) if forwarding => self.pass_forwarded = self.pass_forwarded.saturating_add(seen.messages),
            Some(true) => self.see_pass(&seen, &ours),
            Some(false) => self.see_fail(&seen, &passed, forwarding, &ours, &works),
        }
    }

    fn see_pass(&mut self, seen: &Seen<'_>, ours: &dyn Fn(&str) -> bool) {
        let our_envelope = |spf: &Spf| spf.domain.as_deref().is_some_and(ours);
        let fails = |spf: &Spf| matches!(spf.result.as_deref(), Some("fail" | "softfail" | "neutral" | "none"));
        if seen.spf.iter().any(|spf| our_envelope(spf) && fails(spf)) && seen.spf.iter().all(fails) {
            self.pass_survived = self.pass_survived.saturating_add(seen.messages);
        }
    }

    fn see_fail(
        &mut self,
        seen: &Seen<'_>,
        passed: &[&str],
        forwarding: bool,
        ours: &dyn Fn(&str) -> bool,
        works: &dyn Fn(&str, Option<&str>) -> bool,
    ) {
        for domain in passed {
            add(&mut self.authenticated_as, organizational(domain), seen.messages);
        }
        let signed = |dkim: &&Dkim| {
            dkim.domain.as_deref().is_some_and(ours) && !matches!(dkim.result.as_deref(), Some("pass" | "none") | None)
        };
        let mut signatures = seen.dkim.iter().filter(signed).peekable();
        let has_signature = signatures.peek().is_some();
        let key_works =
            signatures.any(|dkim| works(dkim.domain.as_deref().unwrap_or_default(), dkim.selector.as_deref()));
        if has_signature && !key_works {
            self.fail_key = self.fail_key.saturating_add(seen.messages);
        }
        // Passed on with its envelope as it was, or under an envelope of the forwarder's own. Anything else that has a bad
        // signature of ours was made by somebody who could not sign.
        let our_envelope = seen.spf.iter().any(|spf| spf.domain.as_deref().is_some_and(ours));
        let sum = if forwarding {
            &mut self.fail_forwarded
        } else if key_works && (our_envelope || !passed.is_empty()) {
            &mut self.fail_broken
        } else if !passed.is_empty() {
            &mut self.fail_authenticated
        } else {
            &mut self.fail_bare
        };
        *sum = sum.saturating_add(seen.messages);
    }
}

/// Domains for which SPF or DKIM passes, aligned or not.
fn passed<'a>(seen: &Seen<'a>) -> Vec<&'a str> {
    let mut domains: Vec<&str> = dkim_passed(seen).chain(spf_passed(seen)).collect();
    domains.sort_unstable_by_key(|domain| organizational(domain));
    domains.dedup_by_key(|domain| organizational(domain));
    domains
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
        Dkim { domain: Some(domain.to_owned()), selector: Some("s1".to_owned()), result: Some(result.to_owned()) }
    }

    fn spf(domain: &str, result: &str) -> Spf {
        Spf { domain: Some(domain.to_owned()), result: Some(result.to_owned()) }
    }

    /// How ten failing messages count: forwarded, broken, authenticated, bare; and the key that works nowhere.
    fn check(dkim: &[Dkim], spf: &[Spf], reason: Option<(&str, &str)>, works: bool, expected: [i64; 5]) {
        let reasons: Vec<_> = reason
            .map(|(kind, comment)| Override { kind: Some(kind.to_owned()), comment: Some(comment.to_owned()) })
            .into_iter()
            .collect();
        let mut facts = Facts::default();
        let seen = Seen { domain: Some("example.com"), pass: Some(false), messages: 10, dkim, spf, reasons: &reasons };
        facts.see(seen, |domain, selector| works && domain == "mail.example.com" && selector == Some("s1"));
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
        let reasons = [Override { kind: Some("forwarded".to_owned()), comment: None }];
        let (dkim, spf) = ([dkim("example.com", "pass")], [spf("bounces.esp.test", "pass")]);
        let mut seen = Seen {
            domain: Some("example.com"),
            pass: Some(true),
            messages: 4,
            dkim: &dkim,
            spf: &spf,
            reasons: &reasons,
        };
        facts.see(seen, |_, _| true);
        seen.pass = None;
        facts.see(seen, |_, _| true);
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
