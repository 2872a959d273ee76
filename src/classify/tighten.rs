//! Whether a published policy can be made stricter without losing mail of ours, and what stands in the way.

use super::Class;
use crate::number;
use crate::query::policy::Published;

/// Reports over less than this tell too little: weekly mail must have had its turn.
const LEAST_DAYS: i64 = 6;
/// Of our own mail so much may fail, in parts of a thousand, and the policy be tightened all the same.
const OWN_PER_MILLE: i64 = 2;

impl Published {
    /// As in the record: `p=none sp=reject pct=50`. What is at its default is left out.
    pub fn words(&self) -> String {
        let mut words = vec![format!("p={}", self.p.as_deref().unwrap_or("?"))];
        let mut word = |name: &str, value: Option<&str>, default: Option<&str>| {
            if let Some(value) = value.filter(|value| Some(*value) != default) {
                words.push(format!("{name}={value}"));
            }
        };
        word("sp", self.sp.as_deref(), self.p.as_deref());
        word("np", self.np.as_deref(), self.sp.as_deref().or(self.p.as_deref()));
        word("adkim", self.adkim.as_deref(), Some("r"));
        word("aspf", self.aspf.as_deref(), Some("r"));
        word("t", self.testing.as_deref(), Some("n"));
        if let Some(pct) = self.pct.filter(|pct| *pct != 100) {
            words.push(format!("pct={pct}"));
        }
        words.join(" ")
    }

    /// The next stricter step, as it would be written; `None` where there is none.
    pub fn next(&self) -> Option<&'static str> {
        let part = self.pct.is_some_and(|pct| pct < 100);
        let testing = self.testing.as_deref() == Some("y");
        match self.p.as_deref() {
            Some("none") | None => Some("p=quarantine"),
            Some(_) if testing => Some("t=n"),
            Some(_) if part => Some("pct=100"),
            Some("quarantine") => Some("p=reject"),
            Some(_) => None,
        }
    }
}

/// Failing messages of one policy domain by the class of their source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fails {
    /// By class, in the order of [`Class::ALL`].
    pub by_class: [i64; 5],
}

impl Fails {
    /// Adds messages of a source of this class.
    pub fn add(&mut self, class: Class, messages: i64) {
        if let Some(sum) = self.by_class.get_mut(class as usize) {
            *sum = sum.saturating_add(messages);
        }
    }

    /// Those of sources of this class.
    pub fn of(&self, class: Class) -> i64 {
        self.by_class.get(class as usize).copied().unwrap_or(0)
    }

    /// Of sources that are ours, or may be.
    pub fn own(&self) -> i64 {
        [Class::Fix, Class::New, Class::Ok].map(|class| self.of(class)).into_iter().fold(0, i64::saturating_add)
    }
}

/// What a window tells about one policy domain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// The domain.
    pub domain: String,
    /// Its newest policy.
    pub policy: Published,
    /// From the begin of the first period to the end of the last, in days begun.
    pub days: i64,
    /// All its messages.
    pub messages: i64,
    /// Its failing messages.
    pub fails: Fails,
    /// Sources that are ours, or may be, and fail: name and failing messages, most first.
    pub blockers: Vec<(String, i64)>,
}

/// Whether to tighten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Already as strict as can be.
    Strictest,
    /// There is too little to go by.
    TooEarly,
    /// The next step loses nothing of ours.
    Safe(&'static str),
    /// The next step loses mail of ours.
    NotYet(&'static str),
}

impl Advice {
    /// The word of it in JSON.
    pub fn as_str(&self) -> &'static str {
        match self {
            Advice::Strictest => "strictest",
            Advice::TooEarly => "too_early",
            Advice::Safe(_) => "safe",
            Advice::NotYet(_) => "not_yet",
        }
    }
}

/// Judges whether the next step is safe.
pub fn advise(standing: &Standing) -> Advice {
    let Some(next) = standing.policy.next() else {
        return Advice::Strictest;
    };
    if standing.days < LEAST_DAYS || standing.messages == 0 {
        return Advice::TooEarly;
    }
    let own = standing.messages.saturating_sub(standing.fails.of(Class::Threat));
    if standing.fails.own().saturating_mul(1000) > own.saturating_mul(OWN_PER_MILLE) {
        return Advice::NotYet(next);
    }
    Advice::Safe(next)
}

/// The advice in a sentence. Names of sources in it are not sanitized yet.
pub fn words(standing: &Standing, advice: &Advice) -> String {
    let fails = standing.fails;
    let per_cent = |part: i64| number::percent(part as f64 / standing.messages.max(1) as f64);
    let messages = |count: i64| number::count(count, "message");
    let fails_of = |lost: i64| format!("{} of yours {}", messages(lost), if lost == 1 { "fails" } else { "fail" });
    let forwarded = match fails.of(Class::Forwarded) {
        0 => String::new(),
        lost => format!("; {} that others pass on would suffer", messages(lost)),
    };
    match advice {
        Advice::Strictest => match fails.own() {
            0 => "as strict as can be, and nothing of yours fails".to_owned(),
            lost => format!("as strict as can be; {}{}", fails_of(lost), by(standing)),
        },
        Advice::TooEarly => {
            format!("too early to tighten: reports over {}", number::count(standing.days, "day"))
        }
        Advice::Safe(next) => {
            let lost = match fails.own() {
                0 => "nothing of yours fails".to_owned(),
                lost => format!("only {} ({})", fails_of(lost), per_cent(lost)),
            };
            let stopped = match fails.of(Class::Threat) {
                0 => String::new(),
                threat => format!(", and {} of others under your name would be stopped", messages(threat)),
            };
            format!("{next} is safe: {lost}{stopped}{forwarded}")
        }
        Advice::NotYet(next) => {
            let lost = fails.own();
            format!(
                "not yet {next}: {} of yours ({}) would be lost{}{forwarded}",
                messages(lost),
                per_cent(lost),
                by(standing)
            )
        }
    }
}

fn by(standing: &Standing) -> String {
    let names: Vec<&str> = standing.blockers.iter().take(3).map(|(name, _)| name.as_str()).collect();
    let more = standing.blockers.len().saturating_sub(names.len());
    match (names.is_empty(), more) {
        (true, _) => String::new(),
        (false, 0) => format!(", from {}", names.join(", ")),
        (false, more) => format!(", from {} and {more} more", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(p: &str, pct: Option<i64>, testing: Option<&str>) -> Published {
        Published { p: Some(p.to_owned()), pct, testing: testing.map(str::to_owned), ..Published::default() }
    }

    #[test]
    fn one_step_at_a_time() {
        for (policy, expected) in [
            (Published::default(), Some("p=quarantine")),
            (policy("none", Some(50), None), Some("p=quarantine")),
            (policy("quarantine", Some(50), None), Some("pct=100")),
            (policy("quarantine", None, Some("y")), Some("t=n")),
            (policy("quarantine", Some(100), Some("n")), Some("p=reject")),
            (policy("reject", Some(10), None), Some("pct=100")),
            (policy("reject", Some(100), None), None),
        ] {
            assert_eq!(policy.next(), expected, "{policy:?}");
        }
    }

    #[test]
    fn defaults_need_no_words() {
        let full = Published {
            p: Some("quarantine".to_owned()),
            sp: Some("quarantine".to_owned()),
            np: Some("reject".to_owned()),
            adkim: Some("r".to_owned()),
            aspf: Some("s".to_owned()),
            pct: Some(50),
            testing: Some("n".to_owned()),
        };
        assert_eq!(full.words(), "p=quarantine np=reject aspf=s pct=50");
        assert_eq!(Published::default().words(), "p=?");
    }

    #[test]
    fn tightening() {
        let standing = |p: &str, days, messages, fails: &[(Class, i64)]| {
            let mut standing = Standing { policy: policy(p, None, None), days, messages, ..Standing::default() };
            for (class, messages) in fails {
                standing.fails.add(*class, *messages);
                if *class == Class::Fix {
                    standing.blockers.push(("192.0.2.99".to_owned(), *messages));
                }
            }
            standing
        };
        for (standing, advice, part) in [
            (
                standing("none", 7, 1000, &[]),
                Advice::Safe("p=quarantine"),
                "p=quarantine is safe: nothing of yours fails",
            ),
            (
                standing("none", 7, 1000, &[(Class::Ok, 2)]),
                Advice::Safe("p=quarantine"),
                "only 2 messages of yours fail (0.2%)",
            ),
            (
                standing("none", 7, 1000, &[(Class::Ok, 3)]),
                Advice::NotYet("p=quarantine"),
                "3 messages of yours (0.3%) would be lost",
            ),
            (
                standing("none", 7, 1000, &[(Class::Fix, 30)]),
                Advice::NotYet("p=quarantine"),
                "would be lost, from 192.0.2.99",
            ),
            (standing("none", 7, 1000, &[(Class::New, 30)]), Advice::NotYet("p=quarantine"), "30 messages"),
            (
                standing("quarantine", 7, 1000, &[(Class::Threat, 900)]),
                Advice::Safe("p=reject"),
                "900 messages of others under your name would be stopped",
            ),
            // Forged mail does not make ours more.
            (
                standing("quarantine", 7, 1000, &[(Class::Threat, 900), (Class::Ok, 1)]),
                Advice::NotYet("p=reject"),
                "1 message of yours",
            ),
            (
                standing("none", 7, 1000, &[(Class::Forwarded, 40)]),
                Advice::Safe("p=quarantine"),
                "40 messages that others pass on would suffer",
            ),
            (standing("none", 1, 1000, &[]), Advice::TooEarly, "reports over 1 day"),
            (standing("none", 7, 0, &[]), Advice::TooEarly, "too early"),
            (standing("reject", 1, 10, &[]), Advice::Strictest, "nothing of yours fails"),
            (
                standing("reject", 7, 10, &[(Class::Fix, 5)]),
                Advice::Strictest,
                "5 messages of yours fail, from 192.0.2.99",
            ),
        ] {
            let found = advise(&standing);
            assert_eq!(found, advice, "{standing:?}");
            let text = words(&standing, &found);
            assert!(text.contains(part), "{text}");
        }
    }
}
