//! From what reporters say of single messages to the facts about their source.

use super::Facts;
use crate::query::evidence::{Dkim, Reason, Spf};
use crate::report::authentication::{Organization, Organizations};

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

/// What a combination of DKIM results tells, whoever's mail has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signed<'a> {
    /// Whose signatures verify, each once, in order.
    passed: Vec<Organization<'a>>,
    /// Whose do not, and whether their key verifies others.
    broken: Vec<(Organization<'a>, bool)>,
}

impl<'a> Signed<'a> {
    /// `works` answers whether the key of a domain and selector verifies anything at all in the window.
    pub fn of(
        dkim: &'a [Dkim],
        known: &mut Organizations<'a>,
        works: impl Fn(&str, Option<&str>) -> bool,
    ) -> Signed<'a> {
        let mut signed = Signed::default();
        for Dkim { domain, selector, result } in dkim {
            let Some(domain) = domain.as_deref() else { continue };
            match result.as_deref() {
                Some("pass") if domain.is_empty() => {}
                Some("pass") => signed.passed.push(known.of(domain)),
                Some("none") | None => {}
                Some(_) => signed.broken.push((known.of(domain), works(domain, selector.as_deref()))),
            }
        }
        signed.passed.sort_unstable_by_key(|organization| organization.domain);
        signed.passed.dedup();
        signed
    }
}

/// What a combination of SPF results tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enveloped<'a> {
    /// Whose envelopes pass.
    passed: Vec<Organization<'a>>,
    /// Whose envelopes there are.
    all: Vec<Organization<'a>>,
    /// No result is other than that the envelope is not from where it says.
    fails: bool,
}

impl<'a> Enveloped<'a> {
    /// Of these results.
    pub fn of(spf: &'a [Spf], known: &mut Organizations<'a>) -> Enveloped<'a> {
        let fails = |spf: &Spf| matches!(spf.result.as_deref(), Some("fail" | "softfail" | "neutral" | "none"));
        let mut enveloped = Enveloped { fails: spf.iter().all(fails), ..Enveloped::default() };
        for Spf { domain, result, .. } in spf {
            let Some(domain) = domain.as_deref() else { continue };
            let organization = known.of(domain);
            enveloped.all.push(organization);
            if result.as_deref() == Some("pass") && !domain.is_empty() {
                enveloped.passed.push(organization);
            }
        }
        enveloped
    }
}

/// What a combination of override reasons tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overridden<'a> {
    /// Their types.
    kinds: Vec<&'a str>,
    /// One of them tells that the message was passed on.
    forwarded: bool,
}

impl<'a> Overridden<'a> {
    /// Of these reasons.
    pub fn of(reasons: &'a [Reason]) -> Overridden<'a> {
        Overridden {
            kinds: reasons.iter().map(|reason| reason.kind.as_deref().unwrap_or("other")).collect(),
            forwarded: reasons.iter().any(tells_of_forwarding),
        }
    }
}

/// What messages have in common. Combinations are shared by many sources, and worked out once.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// That of the policy domain they were judged by.
    pub ours: Option<Organization<'a>>,
    /// Whether DMARC passes; `None` where the reporter left that out.
    pub pass: Option<bool>,
    /// DKIM results.
    pub signed: &'a Signed<'a>,
    /// SPF results.
    pub enveloped: &'a Enveloped<'a>,
    /// Override reasons.
    pub overridden: &'a Overridden<'a>,
}

impl<'a> Seen<'a> {
    fn is_ours(&self, organization: Organization<'_>) -> bool {
        self.ours == Some(organization)
    }

    fn others<'b>(&'b self, of: &'b [Organization<'a>]) -> impl Iterator<Item = &'a str> + use<'a, 'b> {
        of.iter().filter(|organization| !self.is_ours(**organization)).map(|organization| organization.domain)
    }

    fn our_envelope(&self) -> bool {
        self.enveloped.all.iter().any(|organization| self.is_ours(*organization))
    }

    /// Whether a signature of ours does not verify; if so, whether the key of one works.
    fn broken(&self) -> Option<bool> {
        let ours = self.signed.broken.iter().filter(|(organization, _)| self.is_ours(*organization));
        ours.map(|(_, works)| *works).reduce(|one, other| one || other)
    }

    /// Domains that either check passes for, each once.
    fn authenticated(&self) -> impl Iterator<Item = &'a str> {
        let (signed, enveloped) = (&self.signed.passed, &self.enveloped.passed);
        let new = |(place, organization): &(usize, &Organization<'_>)| {
            !signed.contains(organization) && !enveloped.iter().take(*place).any(|before| before == *organization)
        };
        let by_envelope_alone = enveloped.iter().enumerate().filter(new).map(|(_, organization)| organization);
        signed.iter().chain(by_envelope_alone).map(|organization| organization.domain)
    }
}

impl Facts {
    /// Adds what messages tell about their source.
    pub fn see(&mut self, seen: &Seen<'_>, messages: i64) {
        for domain in seen.others(&seen.enveloped.passed) {
            self.spf_as.add(domain, messages);
        }
        for domain in seen.others(&seen.signed.passed) {
            self.dkim_as.add(domain, messages);
        }
        for kind in &seen.overridden.kinds {
            self.reasons.add(kind, messages);
        }
        let sum = match seen.pass {
            None => return,
            Some(true) if seen.overridden.forwarded => &mut self.pass_forwarded,
            Some(true) if seen.enveloped.fails && seen.our_envelope() => &mut self.pass_survived,
            Some(true) => return,
            Some(false) => return self.see_fail(seen, messages),
        };
        *sum = sum.saturating_add(messages);
    }

    fn see_fail(&mut self, seen: &Seen<'_>, messages: i64) {
        let mut passes = false;
        for domain in seen.authenticated() {
            self.authenticated_as.add(domain, messages);
            passes = true;
        }
        let broken = seen.broken();
        if broken == Some(false) {
            self.fail_key = self.fail_key.saturating_add(messages);
        }
        let sum = if seen.overridden.forwarded {
            &mut self.fail_forwarded
        } else if broken == Some(true) && (passes || seen.our_envelope()) {
            // Passed on with its envelope as it was, or under an envelope of the forwarder's own. Anything else that has a bad
            // signature of ours was made by somebody who could not sign.
            &mut self.fail_broken
        } else if passes {
            &mut self.fail_authenticated
        } else {
            &mut self.fail_bare
        };
        *sum = sum.saturating_add(messages);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::Tally;

    fn dkim(domain: &str, result: &str) -> Dkim {
        Dkim { domain: Some(domain.into()), selector: Some("s1".into()), result: Some(result.into()) }
    }

    fn spf(domain: &str, result: &str) -> Spf {
        Spf { domain: Some(domain.into()), scope: None, result: Some(result.into()) }
    }

    /// Adds messages about `example.com`, whose key `s1` of `mail.example.com` works if any does.
    fn see(facts: &mut Facts, pass: Option<bool>, dkim: &[Dkim], spf: &[Spf], reasons: &[Reason], works: bool) {
        let mut known = Organizations::default();
        let works_here =
            |domain: &str, selector: Option<&str>| works && domain == "mail.example.com" && selector == Some("s1");
        let seen = Seen {
            ours: Some(known.of("example.com")),
            pass,
            signed: &Signed::of(dkim, &mut known, works_here),
            enveloped: &Enveloped::of(spf, &mut known),
            overridden: &Overridden::of(reasons),
        };
        facts.see(&seen, 10);
    }

    fn words(tally: &Tally) -> Vec<(&str, i64)> {
        tally.iter().collect()
    }

    /// How ten failing messages count: forwarded, broken, authenticated, bare; and the key that works nowhere.
    fn check(dkim: &[Dkim], spf: &[Spf], reason: Option<(&str, &str)>, works: bool, expected: [i64; 5]) {
        let reasons: Vec<_> = reason
            .map(|(kind, comment)| Reason { kind: Some(kind.into()), comment: Some(comment.into()) })
            .into_iter()
            .collect();
        let mut facts = Facts::default();
        see(&mut facts, Some(false), dkim, spf, &reasons, works);
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
        // Of two signatures the key of one works.
        let two = [dkim("example.com", "fail"), ours];
        check(&two, &[spf("example.com", "fail")], None, true, [0, 10, 0, 0, 0]);
        // Nobody's signature but ours says something about ours.
        check(&[dkim("list.test", "fail")], &[spf("example.com", "fail")], None, false, [0, 0, 0, 10, 0]);
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
        for pass in [Some(true), None] {
            see(&mut facts, pass, &dkim, &spf, &reasons, true);
        }
        assert_eq!((facts.pass_forwarded, facts.fail_forwarded), (10, 0));
        assert_eq!((words(&facts.spf_as), words(&facts.dkim_as)), (vec![("esp.test", 20)], vec![]));
        assert_eq!(words(&facts.reasons), [("forwarded", 20)]);
    }

    #[test]
    fn a_signature_survives_where_only_our_envelope_fails() {
        let signed = [dkim("example.com", "pass")];
        for (spf, survives) in [
            (&[spf("bounce.example.com", "softfail")][..], true),
            (&[spf("bounce.example.com", "softfail"), spf("list.test", "fail")], true),
            (&[spf("bounce.example.com", "softfail"), spf("list.test", "pass")], false),
            (&[spf("list.test", "fail")], false),
            (&[], false),
        ] {
            let mut facts = Facts::default();
            see(&mut facts, Some(true), &signed, spf, &[], true);
            assert_eq!(facts.pass_survived, if survives { 10 } else { 0 }, "{spf:?}");
        }
    }

    #[test]
    fn whom_failing_mail_authenticates_as_counts_once() {
        let mut facts = Facts::default();
        let signed = [dkim("b.esp.test", "pass"), dkim("a.esp.test", "pass"), dkim("example.com", "fail")];
        let envelopes = [spf("esp.test", "pass"), spf("x.list.test", "pass"), spf("list.test", "pass")];
        see(&mut facts, Some(false), &signed, &envelopes, &[], true);
        assert_eq!(words(&facts.authenticated_as), [("esp.test", 10), ("list.test", 10)]);
        assert_eq!(words(&facts.dkim_as), [("esp.test", 10)]);
        assert_eq!(words(&facts.spf_as), [("esp.test", 10), ("list.test", 20)]);
    }
}
