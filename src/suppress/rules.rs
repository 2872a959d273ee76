//! Whom a complaint or a bounce takes off a list. Pure, and one table of cases.
//!
//! Dropping the wrong person is worse than waiting for somebody to look, and mailing a person who objected is worse than
//! both: what is certain acts, what is uncertain waits, and what cannot be meant never acts.

use std::fmt;

use crate::report::Complaint;
use crate::report::address::Address;
use crate::report::feedback::{FeedbackType, Recipient, RecipientStatus};

use super::bounces::Class;
use super::trust::{About, By, Own, Trust};

/// Local parts that run mail itself (RFC 2142, section 4 and 5; RFC 5321, section 4.5.1): whoever acts on what they are
/// sent must keep getting it.
const ROLES: [&str; 8] = ["postmaster", "abuse", "hostmaster", "webmaster", "mailer-daemon", "noc", "security", "root"];

/// Where a person was found who is proven by a token: see [`super::token`].
const VIA_TOKEN: [&str; 2] = ["cfbl-token", "verp-token"];

/// What follows from a complaint for one person it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// No more mail, from now on.
    Suppress {
        /// The From domain it is limited to.
        scope: String,
        /// What kind of event that is.
        kind: Kind,
    },
    /// Kept for a person to decide; not exported by itself.
    Pending(Pending),
    /// Never from this complaint.
    Never(Never),
}

impl Decision {
    /// The word in the database.
    pub fn as_str(&self) -> &'static str {
        match self {
            Decision::Suppress { .. } => "suppress",
            Decision::Pending(_) => "pending",
            Decision::Never(_) => "never",
        }
    }

    /// Why not, for people; `None` for a suppression.
    pub fn reason(&self) -> Option<String> {
        match self {
            Decision::Suppress { .. } => None,
            Decision::Pending(why) => Some(why.to_string()),
            Decision::Never(why) => Some(why.to_string()),
        }
    }
}

/// `suppression_event.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A person objected.
    Complaint,
    /// A person asked to be removed.
    Unsubscribe,
    /// There is no such address or mailbox.
    HardBounce,
    /// Mail could not be delivered too often.
    SoftBounce,
}

impl Kind {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Complaint => "complaint",
            Kind::Unsubscribe => "unsubscribe",
            Kind::HardBounce => "hard_bounce",
            Kind::SoftBounce => "soft_bounce",
        }
    }
}

/// Why a complaint waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// Nothing proves that it comes from a feedback loop.
    NotTrusted,
    /// Nothing proves that the bounce is genuine.
    NotGenuine,
    /// A token proves that the mail was ours, but not that it went to this person.
    NotBound,
    /// Several people are named of whom one complained.
    Ambiguous,
    /// Fraud: the mail may have been a forgery rather than unwanted.
    Fraud,
}

impl fmt::Display for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Pending::NotTrusted => "not known to come from a feedback loop",
            Pending::NotGenuine => "the bounce is not known to be genuine",
            Pending::NotBound => "proven by a token that does not name this person",
            Pending::Ambiguous => "several people are named, one of whom complained",
            Pending::Fraud => "reported as fraud, which a forgery in our name would be too",
        })
    }
}

/// Why a complaint or a bounce never suppresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Never {
    /// `not-spam`: the opposite of an objection (RFC 6430).
    NotSpam,
    /// `virus`, `other`, or a type that no standard knows (RFC 6650, section 4.5: set aside).
    NoObjection,
    /// Nobody is named who could be taken off a list.
    NoAddress,
    /// An address of ours.
    OwnDomain,
    /// An address that runs mail: postmaster, abuse, ….
    Role,
    /// An address literal, which no list holds.
    Literal,
    /// A spam trap: there is no person behind it.
    Trap,
    /// The mail was not ours: a forgery in our name must not unsubscribe anybody.
    NotOurs,
    /// A refusal for policy, authentication or the sender's address: about us.
    AboutUs,
    /// A refusal of the message for its size or content.
    AboutMessage,
    /// Delivered, or not given up yet.
    NotFailed,
    /// A failure that may pass: it counts with others like it.
    Soft,
    /// The sender's own records name somebody else.
    NotTheSubscriber,
}

impl fmt::Display for Never {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Never::NotSpam => "says that the mail is wanted",
            Never::NoObjection => "not an objection to being mailed",
            Never::NoAddress => "names no usable address",
            Never::OwnDomain => "an address of ours",
            Never::Role => "an address that runs mail",
            Never::Literal => "an address literal",
            Never::Trap => "a spam trap, not a person",
            Never::NotOurs => "not known to be about mail of ours",
            Never::AboutUs => "refused for our reputation or authentication, not for the person",
            Never::AboutMessage => "refused for the message, not for the person",
            Never::NotFailed => "not a failure",
            Never::Soft => "may pass; counts with others like it",
            Never::NotTheSubscriber => "your records say that somebody else got the mail",
        })
    }
}

/// What the user decides about types that standards leave open.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policy {
    /// Whether `fraud` suppresses like `abuse`; else it waits.
    pub suppress_fraud: bool,
}

/// Decides for one person whom a complaint names, or who is known to be meant, as one of so many `people`.
pub fn decide(
    complaint: &Complaint,
    people: usize,
    person: &Recipient,
    trust: &Trust,
    about: &About,
    own: &Own,
    policy: Policy,
) -> Decision {
    let kind = match &complaint.feedback_type {
        FeedbackType::Abuse | FeedbackType::Fraud => Kind::Complaint,
        FeedbackType::OptOut | FeedbackType::OptOutList => Kind::Unsubscribe,
        FeedbackType::NotSpam => return Decision::Never(Never::NotSpam),
        FeedbackType::Virus | FeedbackType::Other | FeedbackType::Unknown(_) => {
            return Decision::Never(Never::NoObjection);
        }
    };
    if let Some(never) = unfit(person, own) {
        return Decision::Never(never);
    }
    if complaint.provider == Some("abusix") {
        return Decision::Never(Never::Trap);
    }
    let About::Ours(scope) = about else {
        return Decision::Never(Never::NotOurs);
    };
    if !trust.trusted {
        return Decision::Pending(Pending::NotTrusted);
    }
    if trust.by == Some(By::Token) && !VIA_TOKEN.contains(&person.via) {
        return Decision::Pending(Pending::NotBound);
    }
    if complaint.provider == Some("amazon-ses") && people > 1 {
        return Decision::Pending(Pending::Ambiguous);
    }
    if complaint.feedback_type == FeedbackType::Fraud && !policy.suppress_fraud {
        return Decision::Pending(Pending::Fraud);
    }
    Decision::Suppress { scope: scope.clone(), kind }
}

/// Decides for one person whom a bounce names. Soft bounces are counted over time: see [`super::bounces::suppressing`].
pub fn decide_bounce(class: Class, person: &Recipient, trusted: bool, about: &About, own: &Own) -> Decision {
    match class {
        Class::Hard | Class::Soft => {}
        Class::Policy | Class::Sender => return Decision::Never(Never::AboutUs),
        Class::Content => return Decision::Never(Never::AboutMessage),
        Class::Delayed | Class::Delivered | Class::Unclear => return Decision::Never(Never::NotFailed),
    }
    if let Some(never) = unfit(person, own) {
        return Decision::Never(never);
    }
    let About::Ours(scope) = about else {
        return Decision::Never(Never::NotOurs);
    };
    match (trusted, class) {
        (false, _) => Decision::Pending(Pending::NotGenuine),
        (true, Class::Hard) => Decision::Suppress { scope: scope.clone(), kind: Kind::HardBounce },
        (true, _) => Decision::Never(Never::Soft),
    }
}

fn unfit(person: &Recipient, own: &Own) -> Option<Never> {
    match person.status {
        RecipientStatus::Ok => {}
        RecipientStatus::OwnDomain => return Some(Never::OwnDomain),
        _ => return Some(Never::NoAddress),
    }
    let Some(address) = person.address.as_deref().and_then(|text| Address::parse(text).ok()) else {
        return Some(Never::NoAddress);
    };
    if address.placeholder().is_some() {
        return Some(Never::NoAddress);
    }
    if address.is_literal() {
        return Some(Never::Literal);
    }
    if own.holds(&address.domain) {
        return Some(Never::OwnDomain);
    }
    ROLES.iter().any(|role| address.local.eq_ignore_ascii_case(role)).then_some(Never::Role)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    fn complaint(feedback_type: FeedbackType) -> Complaint {
        let json = br#"{"notificationType":"Complaint","complaint":{},"mail":{"source":"news@example.com"}}"#;
        let found = crate::report::feedback::read_ses_json(json, &Limits::default());
        Complaint { feedback_type, provider: None, ..found.expect("a complaint").expect("within bounds") }
    }

    fn person(address: &str, status: RecipientStatus) -> Recipient {
        Recipient { address: Some(address.to_owned()), status, via: "original-rcpt-to", spelled: address.to_owned() }
    }

    fn decision(complaint: &Complaint, person: &Recipient, trusted: bool, ours: bool, policy: Policy) -> Decision {
        let trust = if trusted { Trust::yes(By::Mail, "") } else { Trust::no("") };
        let about = if ours { About::Ours("example.com".to_owned()) } else { About::NotOurs("") };
        decide(complaint, complaint.recipients.len(), person, &trust, &about, &Own::new(["example.com"]), policy)
    }

    #[test]
    fn types() {
        use FeedbackType as T;
        let suppress = |kind| Decision::Suppress { scope: "example.com".to_owned(), kind };
        let check = |feedback_type: FeedbackType, expected: Decision| {
            let user = person("user@isp.example", RecipientStatus::Ok);
            let found = decision(&complaint(feedback_type.clone()), &user, true, true, Policy::default());
            assert_eq!(found, expected, "{feedback_type:?}");
        };
        check(T::Abuse, suppress(Kind::Complaint));
        check(T::OptOut, suppress(Kind::Unsubscribe));
        check(T::OptOutList, suppress(Kind::Unsubscribe));
        check(T::Fraud, Decision::Pending(Pending::Fraud));
        check(T::NotSpam, Decision::Never(Never::NotSpam));
        check(T::Virus, Decision::Never(Never::NoObjection));
        check(T::Other, Decision::Never(Never::NoObjection));
        check(T::Unknown("auth-failure".to_owned()), Decision::Never(Never::NoObjection));
        check(T::Unknown("miscategorized".to_owned()), Decision::Never(Never::NoObjection));
        check(T::Unknown(String::new()), Decision::Never(Never::NoObjection));
        let user = person("user@isp.example", RecipientStatus::Ok);
        let strict = Policy { suppress_fraud: true };
        assert_eq!(decision(&complaint(T::Fraud), &user, true, true, strict), suppress(Kind::Complaint));
    }

    #[test]
    fn people() {
        use RecipientStatus as S;
        let check = |address: &str, status: RecipientStatus, expected: Option<Never>| {
            let found =
                decision(&complaint(FeedbackType::Abuse), &person(address, status), true, true, Policy::default());
            match expected {
                Some(never) => assert_eq!(found, Decision::Never(never), "{address}"),
                None => assert!(matches!(found, Decision::Suppress { .. }), "{address}: {found:?}"),
            }
        };
        check("user@isp.example", S::Ok, None);
        check("=cmd|calc!a1@isp.example", S::Ok, None);
        check("info@shop.example", S::Ok, None);
        check("postmaster@isp.example", S::Ok, Some(Never::Role));
        check("Abuse@isp.example", S::Ok, Some(Never::Role));
        check("user@example.com", S::Ok, Some(Never::OwnDomain));
        check("user@sub.example.com", S::Ok, Some(Never::OwnDomain));
        check("user@example.com", S::OwnDomain, Some(Never::OwnDomain));
        check("user@[192.0.2.1]", S::Ok, Some(Never::Literal));
        check("redacted@aol.com", S::Ok, Some(Never::NoAddress));
        check("user@isp.example", S::Redacted, Some(Never::NoAddress));
        check("user@isp.example", S::Hashed, Some(Never::NoAddress));
        check("user@isp.example", S::Malformed, Some(Never::NoAddress));
        check("user@isp.example", S::Absent, Some(Never::NoAddress));
    }

    #[test]
    fn doubts() {
        let check = |trusted: bool, ours: bool, expected: Option<Decision>| {
            let user = person("user@isp.example", RecipientStatus::Ok);
            let found = decision(&complaint(FeedbackType::Abuse), &user, trusted, ours, Policy::default());
            match expected {
                Some(expected) => assert_eq!(found, expected),
                None => assert!(matches!(found, Decision::Suppress { .. }), "{found:?}"),
            }
        };
        check(true, true, None);
        check(false, true, Some(Decision::Pending(Pending::NotTrusted)));
        check(true, false, Some(Decision::Never(Never::NotOurs)));
        check(false, false, Some(Decision::Never(Never::NotOurs)));
        let mut several = complaint(FeedbackType::Abuse);
        several.recipients =
            vec![person("a@isp.example", RecipientStatus::Ok), person("b@isp.example", RecipientStatus::Ok)];
        let first = several.recipients[0].clone();
        assert!(matches!(decision(&several, &first, true, true, Policy::default()), Decision::Suppress { .. }));
        several.provider = Some("amazon-ses");
        assert_eq!(decision(&several, &first, true, true, Policy::default()), Decision::Pending(Pending::Ambiguous));
        several.provider = Some("abusix");
        assert_eq!(decision(&several, &first, true, true, Policy::default()), Decision::Never(Never::Trap));
    }

    #[test]
    fn a_token_speaks_for_its_own_person_only() {
        let check = |via: &'static str, expected: Option<Pending>| {
            let user = Recipient { via, ..person("user@isp.example", RecipientStatus::Ok) };
            let trust = Trust::yes(By::Token, "");
            let about = About::Ours("example.com".to_owned());
            let complaint = complaint(FeedbackType::Abuse);
            let found = decide(&complaint, 1, &user, &trust, &about, &Own::default(), Policy::default());
            match expected {
                Some(pending) => assert_eq!(found, Decision::Pending(pending), "{via}"),
                None => assert!(matches!(found, Decision::Suppress { .. }), "{via}: {found:?}"),
            }
        };
        check("verp-token", None);
        check("cfbl-token", None);
        check("original-rcpt-to", Some(Pending::NotBound));
        check("verp", Some(Pending::NotBound));
        check("send-log", Some(Pending::NotBound));
    }

    #[test]
    fn bounces() {
        let suppress = Decision::Suppress { scope: "example.com".to_owned(), kind: Kind::HardBounce };
        let check = |class: Class, address: &str, trusted: bool, ours: bool, expected: Decision| {
            let about = if ours { About::Ours("example.com".to_owned()) } else { About::NotOurs("") };
            let user = person(address, RecipientStatus::Ok);
            let found = decide_bounce(class, &user, trusted, &about, &Own::new(["example.com"]));
            assert_eq!(found, expected, "{class:?} {address} {trusted} {ours}");
        };
        let user = "user@isp.example";
        let never = Decision::Never;
        check(Class::Hard, user, true, true, suppress);
        check(Class::Hard, user, false, true, Decision::Pending(Pending::NotGenuine));
        check(Class::Hard, user, true, false, never(Never::NotOurs));
        check(Class::Hard, "user@example.com", true, true, never(Never::OwnDomain));
        check(Class::Hard, "postmaster@isp.example", true, true, never(Never::Role));
        check(Class::Hard, "redacted@isp.example", true, true, never(Never::NoAddress));
        check(Class::Hard, "user@[192.0.2.1]", true, true, never(Never::Literal));
        check(Class::Soft, user, true, true, never(Never::Soft));
        check(Class::Soft, user, false, true, Decision::Pending(Pending::NotGenuine));
        check(Class::Policy, user, true, true, never(Never::AboutUs));
        check(Class::Sender, user, true, true, never(Never::AboutUs));
        check(Class::Content, user, true, true, never(Never::AboutMessage));
        check(Class::Delayed, user, true, true, never(Never::NotFailed));
        check(Class::Delivered, user, true, true, never(Never::NotFailed));
        check(Class::Unclear, user, true, true, never(Never::NotFailed));
    }
}
