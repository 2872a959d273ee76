//! What a bounce says about the person it names. Pure, and tables of cases.
//!
//! `Action` decides whether a failure is final (RFC 3464, section 2.3.3), `Status` whose it is (RFC 3463). What is about
//! our own reputation or about one message says nothing about the person.

use crate::report::bounce::{Action, StatusCode};

/// What a bounce means: the words of `bounce_recipient.class`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// There is no such address or mailbox.
    Hard,
    /// It could not be delivered, for a reason that may pass.
    Soft,
    /// Refused for policy or authentication (`x.7.x`): about us.
    Policy,
    /// Refused for its sender's address (`5.1.7`, `5.1.8`): about us.
    Sender,
    /// Refused for the message: its size or content.
    Content,
    /// Not delivered yet.
    Delayed,
    /// Delivered, or handed on.
    Delivered,
    /// Not told.
    Unclear,
}

impl Class {
    /// All of them.
    pub const ALL: [Class; 8] = [
        Class::Hard,
        Class::Soft,
        Class::Policy,
        Class::Sender,
        Class::Content,
        Class::Delayed,
        Class::Delivered,
        Class::Unclear,
    ];

    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Hard => "hard",
            Class::Soft => "soft",
            Class::Policy => "policy",
            Class::Sender => "sender",
            Class::Content => "content",
            Class::Delayed => "delayed",
            Class::Delivered => "delivered",
            Class::Unclear => "unclear",
        }
    }

    /// What a word in the database means.
    pub fn from_word(word: &str) -> Class {
        Class::ALL.into_iter().find(|class| class.as_str() == word).unwrap_or(Class::Unclear)
    }
}

/// What a bounce means, by its action and status. `permanent` is what Amazon SES says in place of an exact status.
pub fn classify(action: Option<&Action>, status: Option<StatusCode>, permanent: Option<bool>) -> Class {
    match action {
        Some(Action::Failed) => failed(status, permanent),
        Some(Action::Delayed) => Class::Delayed,
        Some(Action::Delivered | Action::Relayed | Action::Expanded) => Class::Delivered,
        Some(Action::Other(_)) | None => Class::Unclear,
    }
}

fn failed(status: Option<StatusCode>, permanent: Option<bool>) -> Class {
    let stated = status.filter(|code| !code.is_vague());
    let Some(StatusCode { class, subject, detail }) = stated else {
        return match (permanent, status.map(|code| code.class)) {
            (_, Some(2)) => Class::Unclear,
            (Some(true), _) => Class::Hard,
            _ => Class::Soft,
        };
    };
    match (class, subject, detail) {
        (2, ..) => Class::Unclear,
        (_, 7, _) => Class::Policy,
        (_, 1, 7 | 8) => Class::Sender,
        // Content or media; message length exceeds administrative limit, or is too big for the system.
        (_, 6, _) | (_, 2, 3) | (_, 3, 4) => Class::Content,
        (5, 1, 1 | 2 | 3 | 6 | 10) | (5, 2, 1) => Class::Hard,
        _ => Class::Soft,
    }
}

/// When repeated soft bounces suppress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoftPolicy {
    /// How many within the window; 0 is never.
    pub bounces: u32,
    /// The window, seconds.
    pub window: i64,
    /// How long it lasts, seconds.
    pub lasts: i64,
}

impl Default for SoftPolicy {
    /// 5 in 14 days, for 90 days.
    fn default() -> Self {
        const DAY: i64 = 86_400;
        SoftPolicy { bounces: 5, window: 14 * DAY, lasts: 90 * DAY }
    }
}

/// One thing heard about a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    /// When, seconds since the epoch.
    pub at: i64,
    /// Delivered, rather than a soft bounce.
    pub good: bool,
}

/// The soft bounces, by their place in `news`, each of which suppresses for [`SoftPolicy::lasts`]: those that are the
/// last of enough within the window, with nothing better heard since the first of these, nor afterwards. The order of
/// `news` makes no difference.
pub fn suppressing(news: &[News], policy: SoftPolicy) -> Vec<usize> {
    let better = news.iter().filter(|one| one.good).map(|one| one.at).max();
    let counts = |one: &News| !one.good && better.is_none_or(|better| one.at > better);
    let mut soft: Vec<(i64, usize)> =
        news.iter().enumerate().filter(|(_, one)| counts(one)).map(|(place, one)| (one.at, place)).collect();
    soft.sort_unstable();
    let Some(others) = usize::try_from(policy.bounces).ok().and_then(|bounces| bounces.checked_sub(1)) else {
        return Vec::new();
    };
    let last_of_enough = soft.iter().zip(soft.iter().skip(others));
    let close = last_of_enough.filter(|((first, _), (last, _))| last.saturating_sub(*first) <= policy.window);
    close.map(|(_, (_, place))| *place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        let check = |action: &str, status: &str, expected: Class| {
            let action = (!action.is_empty()).then(|| match action {
                "failed" => Action::Failed,
                "delayed" => Action::Delayed,
                "delivered" => Action::Delivered,
                "relayed" => Action::Relayed,
                "expanded" => Action::Expanded,
                other => Action::Other(other.to_owned()),
            });
            assert_eq!(classify(action.as_ref(), StatusCode::parse(status), None), expected, "{action:?} {status}");
        };
        for hard in ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"] {
            check("failed", hard, Class::Hard);
            check("delayed", hard, Class::Delayed);
            check("delivered", hard, Class::Delivered);
            check("", hard, Class::Unclear);
            check("bounced", hard, Class::Unclear);
        }
        for soft in [
            "4.1.1", "4.2.1", "4.2.2", "4.4.1", "4.4.7", "5.2.2", "5.3.0", "5.4.1", "5.4.4", "5.0.0", "5.1.0", "5.5.0",
            "",
        ] {
            check("failed", soft, Class::Soft);
        }
        for policy in ["5.7.1", "5.7.26", "5.7.606", "4.7.0", "4.7.650"] {
            check("failed", policy, Class::Policy);
        }
        check("delayed", "4.7.0", Class::Delayed);
        check("failed", "5.1.7", Class::Sender);
        check("failed", "5.1.8", Class::Sender);
        check("failed", "5.6.0", Class::Content);
        check("failed", "5.2.3", Class::Content);
        check("failed", "5.3.4", Class::Content);
        check("failed", "2.0.0", Class::Unclear);
        check("failed", "2.1.5", Class::Unclear);
        check("relayed", "2.0.0", Class::Delivered);
        check("expanded", "2.0.0", Class::Delivered);
        let ses = |status: &str, permanent| classify(Some(&Action::Failed), StatusCode::parse(status), permanent);
        assert_eq!(ses("", Some(true)), Class::Hard);
        assert_eq!(ses("5.0.0", Some(true)), Class::Hard);
        assert_eq!(ses("5.7.1", Some(true)), Class::Policy);
        assert_eq!(ses("5.2.2", Some(true)), Class::Soft);
        assert_eq!(ses("", Some(false)), Class::Soft);
    }

    #[test]
    fn enough_soft_bounces() {
        // Days of soft bounces, with `+` before a day on which something was delivered.
        let check = |days: &str, expected: &[i64]| {
            let day = |text: &str| text.trim_start_matches('+').parse::<i64>().expect("a day") * 86_400;
            let mut news: Vec<News> =
                days.split_whitespace().map(|text| News { at: day(text), good: text.starts_with('+') }).collect();
            for _ in 0..2 {
                let mut found: Vec<i64> =
                    suppressing(&news, SoftPolicy::default()).iter().map(|place| news[*place].at / 86_400).collect();
                found.sort_unstable();
                assert_eq!(found, expected, "{days}");
                news.reverse();
            }
        };
        check("", &[]);
        check("1 2 3 4", &[]);
        check("1 2 3 4 5", &[5]);
        check("1 1 1 1 1", &[1]);
        check("1 2 3 4 15", &[15]);
        check("1 2 3 4 16", &[]);
        check("1 2 3 4 5 6 7", &[5, 6, 7]);
        check("1 2 +3 4 5", &[]);
        check("1 2 +3 4 5 6 7 8", &[8]);
        check("1 2 3 4 5 +6", &[]);
        check("1 2 3 4 +5 5", &[]);
        check("1 5 9 13 17 21", &[]);
        let never = SoftPolicy { bounces: 0, ..SoftPolicy::default() };
        let one = SoftPolicy { bounces: 1, ..SoftPolicy::default() };
        let news = [News { at: 5, good: false }];
        assert_eq!((suppressing(&news, never), suppressing(&news, one)), (vec![], vec![0]));
    }
}
