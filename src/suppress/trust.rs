//! Whose complaint counts: only one whose own mail is known to come from a feedback loop (RFC 9477, section 3.5), about
//! mail that was ours. Anyone can write the rest.

use std::collections::HashSet;

use crate::report::address::{self, Address};
use crate::report::authentication::Verdict;
use crate::report::{Bounce, Complaint};

/// Senders of feedback loops, by domain (and those below it) or address, with where that is known from.
/// Domains that the public has mailboxes in are named by address only.
pub const KNOWN_SENDERS: [&str; 6] = [
    // Yahoo and AOL Complaint Feedback Loop: From and DKIM signature,
    // https://help.yahoo.com/kb/postmaster/yahoo-complaint-feedback-loop-service-faq-sln26007.html
    "arf.mail.yahoo.com",
    // Microsoft Junk Mail Reporting Program: its FAQ, question 4 ("we forward the complaint from staff@hotmail.com").
    "staff@hotmail.com",
    // Validity Universal Feedback Loop, feedbackloop@<provider>fbl.senderscore.net: public samples of Rackspace and Comcast.
    "senderscore.net",
    // Amazon SES, complaints forwarded as they came (public sample); that it does so:
    // https://docs.aws.amazon.com/ses/latest/dg/monitor-sending-activity-using-notifications-email.html
    "email-abuse.amazonses.com",
    // Amazon SNS by mail, to topics that the receiver has confirmed (public sample).
    "no-reply@sns.amazonaws.com",
    // AOL until 2018 (public samples); old mailboxes still hold its reports.
    "scomp@aol.net",
];

/// Whether a complaint or bounce may act, and why, in words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// It is known to be genuine.
    pub trusted: bool,
    /// Why, or why not.
    pub reason: String,
    /// What proves it; `None` where nothing does.
    pub by: Option<By>,
}

impl Trust {
    /// Trusted by `by`.
    pub fn yes(by: By, reason: impl Into<String>) -> Trust {
        Trust { trusted: true, reason: reason.into(), by: Some(by) }
    }

    /// Not trusted.
    pub fn no(reason: impl Into<String>) -> Trust {
        Trust { trusted: false, reason: reason.into(), by: None }
    }
}

/// What proves that a complaint or bounce is genuine: the words of `trusted_by`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Its mail, authenticated and from a known sender.
    Mail,
    /// The account, known to such senders only.
    Reserved,
    /// A person, who knows the sender.
    Person,
    /// A token in the original that only its sender could make.
    Token,
    /// The send log, which knows the bounced mail's Message-ID for this person alone.
    Log,
}

impl By {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            By::Mail => "mail",
            By::Reserved => "reserved",
            By::Person => "person",
            By::Token => "token",
            By::Log => "log",
        }
    }

    /// What a word in the database means.
    pub fn from_word(word: &str) -> Option<By> {
        [By::Mail, By::Reserved, By::Person, By::Token, By::Log].into_iter().find(|by| by.as_str() == word)
    }
}

/// A sender of complaints whom a person trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted {
    /// A domain, which stands for those below it too, or an address; lower case.
    pub sender: String,
    /// Also where the own server says nothing about the mail. One that it found forged never counts.
    pub unauthenticated: bool,
}

/// What the user says about senders of complaints.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings<'a> {
    /// Further domains or addresses that send complaints.
    pub feedback_senders: &'a [String],
    /// The account or folder is known to feedback loops only.
    pub reserved: bool,
    /// Senders whom a person has decided to trust.
    pub trusted: &'a [Trusted],
}

/// Judges the mail that brought a complaint: an aligned pass by the own server, from a sender of complaints; or a folder
/// that is reserved for them, unless the own server says that the mail is forged. An unsubscribe mail needs no more than
/// the pass: its author speaks for himself.
pub fn assess(complaint: &Complaint, verdict: &Verdict, from: Option<&Address>, settings: &Settings<'_>) -> Trust {
    if settings.reserved && *verdict != Verdict::Fail {
        return Trust::yes(By::Reserved, "the account or folder is reserved for feedback loops");
    }
    let Some(from) = from else {
        return Trust::no("the complaint has no single sender");
    };
    let person = settings.trusted.iter().find(|trusted| is_sender(from, &trusted.sender));
    match verdict {
        Verdict::None if person.is_some_and(|trusted| trusted.unauthenticated) => {
            Trust::yes(By::Person, format!("from {from}, whom a person trusts without authentication"))
        }
        Verdict::None => Trust::no("no Authentication-Results of your server; set `authserv_id`, or reserve a folder"),
        Verdict::Fail => Trust::no("your server found no aligned DKIM or SPF pass"),
        Verdict::Pass(_) if complaint.recipients.iter().any(|person| person.via == "from") => {
            Trust::yes(By::Mail, format!("sent and authenticated by {from}"))
        }
        Verdict::Pass(domain) => match (known_sender(from, settings.feedback_senders), person) {
            (Some(sender), _) => Trust::yes(By::Mail, format!("{domain} passed, and {sender} sends complaints")),
            (None, Some(trusted)) => {
                Trust::yes(By::Person, format!("{domain} passed, and a person trusts {}", trusted.sender))
            }
            (None, None) => Trust::no(
                "authenticated, but not a known sender of complaints; see `dmarcdb trust` and `feedback_senders`",
            ),
        },
    }
}

/// What is known of the mail that brought a bounce.
#[derive(Clone, Copy, Debug)]
pub struct BounceMail<'a> {
    /// Its trace fields say that our own server wrote it.
    pub own_server: bool,
    /// How it was authenticated.
    pub verdict: &'a Verdict,
    /// Its author, where there is one.
    pub from: Option<&'a Address>,
    /// The account is known to mail servers only.
    pub reserved: bool,
}

/// Judges the mail that brought a bounce. Genuine is one that our own server wrote, by its trace fields or by an aligned
/// pass of a domain of ours (`configured`, not one that reports name: those come from strangers); one that came to an
/// account reserved for bounces; and one that Amazon tells. Anybody else could claim that a stranger's address is dead.
/// Whether the send log bears it out is for the caller to look up.
pub fn assess_bounce(bounce: &Bounce, mail: &BounceMail<'_>, configured: &Own) -> Trust {
    if mail.reserved && *mail.verdict != Verdict::Fail {
        return Trust::yes(By::Reserved, "the account is reserved for bounces");
    }
    if mail.own_server {
        return Trust::yes(By::Mail, "written by your own server");
    }
    match (mail.verdict, mail.from) {
        (Verdict::Pass(domain), Some(from)) if is_daemon(from) && configured.holds(&from.domain) => {
            Trust::yes(By::Mail, format!("{domain} passed, and {} is yours", from.domain))
        }
        (Verdict::Pass(domain), Some(from)) if bounce.provider == Some("amazon-ses") => match known_sender(from, &[]) {
            Some(sender) => Trust::yes(By::Mail, format!("{domain} passed, and {sender} tells of bounces")),
            None => Trust::no("not sent by Amazon"),
        },
        _ => Trust::no(NOT_GENUINE),
    }
}

/// Why a bounce is not believed.
pub const NOT_GENUINE: &str = "not written by a server of yours, and no Message-ID of the send log proves it";

/// Who writes for a mail server (RFC 5321, section 4.5.1; RFC 2142).
fn is_daemon(from: &Address) -> bool {
    ["mailer-daemon", "postmaster"].iter().any(|name| from.local.eq_ignore_ascii_case(name))
}

/// The entry of the table or the configuration that a sender falls under.
fn known_sender<'a>(from: &Address, configured: &'a [String]) -> Option<&'a str> {
    let mut entries = KNOWN_SENDERS.into_iter().chain(configured.iter().map(String::as_str));
    entries.find(|entry| is_sender(from, entry))
}

/// Whether a sender falls under an entry: its address, its domain, or one above that; only its domain where the entry
/// begins with `@`.
pub fn is_sender(from: &Address, entry: &str) -> bool {
    match entry.trim().split_once('@') {
        Some(("", domain)) => from.domain.eq_ignore_ascii_case(domain),
        Some(_) => from.folded() == address::folded(entry.trim()),
        None => address::domain(entry).is_some_and(|entry| is_within(&from.domain, &entry)),
    }
}

fn is_within(domain: &str, parent: &str) -> bool {
    domain.strip_suffix(parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// The domains that are ours: configured, and those that aggregate reports name as their policy domain.
#[derive(Clone, Debug, Default)]
pub struct Own {
    domains: HashSet<String>,
}

impl Own {
    /// From names in any spelling; what is no name is left out.
    pub fn new<S: AsRef<str>>(domains: impl IntoIterator<Item = S>) -> Own {
        Own { domains: domains.into_iter().filter_map(|name| address::domain(name.as_ref())).collect() }
    }

    /// One more, canonical. Answers whether that makes a difference.
    pub fn add(&mut self, domain: &str) -> bool {
        !self.holds(domain) && self.domains.insert(domain.to_owned())
    }

    /// Whether a canonical domain, or one above it, is ours.
    pub fn holds(&self, domain: &str) -> bool {
        let above = std::iter::successors(Some(domain), |name| name.split_once('.').map(|(_, parent)| parent));
        above.into_iter().any(|name| self.domains.contains(name))
    }
}

/// Whether the mail complained about was ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// It was, and this is the domain it was sent as: what a suppression is limited to.
    Ours(String),
    /// It was not, or nothing says so.
    NotOurs(&'static str),
}

/// Decides whether a complaint is about mail of ours: its `From`, or else the reported domain, is ours, and the reporter
/// does not name only strangers. A complaint about mail that somebody forged in our name must not unsubscribe anybody.
pub fn about(complaint: &Complaint, own: &Own) -> About {
    let unsubscribe = complaint.unsubscribe_to.as_deref().and_then(|to| to.rsplit_once('@'));
    if let Some((_, domain)) = unsubscribe.filter(|(_, domain)| own.holds(domain)) {
        return About::Ours(domain.to_owned());
    }
    let reported = complaint.reported_domains.iter().find(|domain| own.holds(domain));
    let signed = complaint.dkim_signatures.iter().any(|(domain, _)| own.holds(domain));
    let from = complaint.header_from.as_deref();
    match (from.filter(|from| own.holds(from)), reported) {
        (Some(from), Some(_)) => About::Ours(from.to_owned()),
        (Some(from), None) if complaint.reported_domains.is_empty() || signed => About::Ours(from.to_owned()),
        (Some(_), None) => {
            About::NotOurs("From is ours, but the reporter names another domain: forged, or sent for us by others")
        }
        (None, Some(reported)) => About::Ours(from.unwrap_or(reported).to_owned()),
        (None, None) => About::NotOurs("neither From nor Reported-Domain is a domain of ours"),
    }
}

/// What a suppression is limited to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Mail that names the same domain in its From field.
    #[default]
    Domain,
    /// Mail of the same list, by its List-Id (RFC 2919).
    Stream,
}

impl Reach {
    /// The scope, of mail from the domain `from`; empty is all mail. Where suppressions are limited to lists and none is
    /// named, the person is to get nothing: mail of another list would be as unwelcome.
    pub fn scope(self, from: &str, list_id: Option<&str>) -> String {
        match self {
            Reach::Domain => from.to_owned(),
            Reach::Stream => list_id.and_then(list).unwrap_or_default(),
        }
    }
}

/// The identifier in a List-Id field, without the phrase before it; lower case (RFC 2919, section 6).
fn list(field: &str) -> Option<String> {
    let bare = field.rsplit_once('<').map_or(field, |(_, bare)| bare.split('>').next().unwrap_or_default());
    let bare = bare.trim().to_lowercase();
    let fits = !bare.is_empty() && bare.len() <= 255 && !bare.chars().any(|c| c.is_whitespace() || c.is_control());
    fits.then_some(bare)
}

/// As [`about`], for the mail that bounced. What did not come back at all may well have been ours: then the suppression
/// is limited to no domain.
pub fn about_bounce(header_from: Option<&str>, own: &Own) -> About {
    match header_from {
        None => About::Ours(String::new()),
        Some(from) if own.holds(from) => About::Ours(from.to_owned()),
        Some(_) => About::NotOurs("its From is not a domain of ours"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::feedback::{FeedbackType, Recipient, RecipientStatus};

    fn blank() -> Complaint {
        let json = br#"{"notificationType":"Complaint","complaint":{"complaintFeedbackType":"abuse"}}"#;
        let found = crate::report::feedback::read_ses_json(json, &crate::limits::Limits::default());
        let mut complaint = found.expect("a complaint").expect("within bounds");
        assert_eq!(complaint.feedback_type, FeedbackType::Abuse);
        complaint.provider = None;
        complaint
    }

    #[test]
    fn whom_to_believe() {
        let configured = ["fbl.example".to_owned(), "abuse@isp.example".to_owned()];
        let trusted = |sender: &str, unauthenticated| Trusted { sender: sender.to_owned(), unauthenticated };
        let decided = [trusted("decided.example", false), trusted("fbl@old.example", true)];
        let check = |from: &str, verdict: &Verdict, reserved: bool, expected: bool| {
            let from = Address::parse(from).ok();
            let settings = Settings { feedback_senders: &configured, reserved, trusted: &decided };
            let trust = assess(&blank(), verdict, from.as_ref(), &settings);
            assert_eq!(trust.trusted, expected, "{from:?} {verdict:?} {reserved}: {}", trust.reason);
        };
        let pass = Verdict::Pass("x.example".to_owned());
        check("feedback@arf.mail.yahoo.com", &pass, false, true);
        check("feedback@arf.mail.yahoo.com", &Verdict::None, false, false);
        check("feedback@arf.mail.yahoo.com", &Verdict::Fail, false, false);
        check("feedback@arf.mail.yahoo.com.evil.example", &pass, false, false);
        check("feedback@notarf.mail.yahoo.com", &pass, false, false);
        check("someone@yahoo.com", &pass, false, false);
        check("Staff@hotmail.com", &pass, false, true);
        check("other@hotmail.com", &pass, false, false);
        check("feedbackloop@rackspacefbl.senderscore.net", &pass, false, true);
        check("feedback@fbl.example", &pass, false, true);
        check("abuse@isp.example", &pass, false, true);
        check("sales@isp.example", &pass, false, false);
        check("anyone@evil.example", &pass, false, false);
        check("anyone@evil.example", &Verdict::None, true, true);
        check("anyone@evil.example", &Verdict::Fail, true, false);
        check("", &pass, false, false);
        check("any@sub.decided.example", &pass, false, true);
        check("any@decided.example", &Verdict::None, false, false);
        check("any@decided.example", &Verdict::Fail, false, false);
        check("any@undecided.example", &pass, false, false);
        check("FBL@old.example", &Verdict::None, false, true);
        check("fbl@old.example", &Verdict::Fail, false, false);
        check("other@old.example", &Verdict::None, false, false);
    }

    #[test]
    fn a_person_speaks_for_himself() {
        let mut complaint = blank();
        complaint.recipients = vec![Recipient {
            address: Some("a@icloud.com".to_owned()),
            status: RecipientStatus::Ok,
            via: "from",
            spelled: "a@icloud.com".to_owned(),
        }];
        let from = Address::parse("a@icloud.com").ok();
        let judge = |verdict| assess(&complaint, &verdict, from.as_ref(), &Settings::default()).trusted;
        assert!(judge(Verdict::Pass("icloud.com".to_owned())));
        assert!(!judge(Verdict::None));
    }

    #[test]
    fn which_bounces_are_genuine() {
        let json =
            br#"{"notificationType":"Bounce","bounce":{"bouncedRecipients":[{"emailAddress":"a@isp.example"}]}}"#;
        let found = crate::report::bounce::read_ses_json(json, &crate::limits::Limits::default());
        let ses = found.expect("a bounce").expect("within bounds");
        let plain = Bounce { provider: None, ..ses.clone() };
        let configured = Own::new(["example.com"]);
        let check =
            |bounce: &Bounce, from: &str, verdict: Verdict, own_server: bool, reserved: bool, expected: bool| {
                let from = Address::parse(from).ok();
                let mail = BounceMail { own_server, verdict: &verdict, from: from.as_ref(), reserved };
                let trust = assess_bounce(bounce, &mail, &configured);
                assert_eq!(trust.trusted, expected, "{from:?} {verdict:?} {own_server} {reserved}: {}", trust.reason);
            };
        let pass = || Verdict::Pass("x.example".to_owned());
        check(&plain, "", Verdict::None, true, false, true);
        check(&plain, "", Verdict::None, false, true, true);
        check(&plain, "", Verdict::Fail, false, true, false);
        check(&plain, "", Verdict::None, false, false, false);
        check(&plain, "MAILER-DAEMON@mx.example.com", pass(), false, false, true);
        check(&plain, "postmaster@example.com", pass(), false, false, true);
        check(&plain, "alice@example.com", pass(), false, false, false);
        check(&plain, "mailer-daemon@example.com", Verdict::None, false, false, false);
        check(&plain, "mailer-daemon@example.com", Verdict::Fail, false, false, false);
        check(&plain, "mailer-daemon@evil.example", pass(), false, false, false);
        check(&plain, "no-reply@sns.amazonaws.com", pass(), false, false, false);
        check(&ses, "no-reply@sns.amazonaws.com", pass(), false, false, true);
        check(&ses, "no-reply@sns.amazonaws.com", Verdict::None, false, false, false);
        check(&ses, "no-reply@sns.evil.example", pass(), false, false, false);
    }

    #[test]
    fn how_far_a_suppression_reaches() {
        let check = |reach: Reach, list_id: Option<&str>, expected: &str| {
            assert_eq!(reach.scope("example.com", list_id), expected, "{reach:?} {list_id:?}");
        };
        check(Reach::Domain, Some("news.example.com"), "example.com");
        check(Reach::Stream, Some("Example News <News.Example.com>"), "news.example.com");
        check(Reach::Stream, Some("news.example.com"), "news.example.com");
        check(Reach::Stream, Some("Example News"), "");
        check(Reach::Stream, Some("<>"), "");
        check(Reach::Stream, None, "");
    }

    #[test]
    fn what_is_about_us() {
        let own = Own::new(["Example.com", "bücher.example"]);
        let check = |from: Option<&str>, reported: &[&str], signed: &[&str], expected: Option<&str>| {
            let mut complaint = blank();
            complaint.header_from = from.map(str::to_owned);
            complaint.reported_domains = reported.iter().map(|d| (*d).to_owned()).collect();
            complaint.dkim_signatures = signed.iter().map(|d| ((*d).to_owned(), None)).collect();
            let found = match about(&complaint, &own) {
                About::Ours(scope) => Some(scope),
                About::NotOurs(_) => None,
            };
            assert_eq!(found.as_deref(), expected, "{from:?} {reported:?} {signed:?}");
        };
        check(Some("example.com"), &["example.com"], &[], Some("example.com"));
        check(Some("news.example.com"), &[], &[], Some("news.example.com"));
        check(Some("xn--bcher-kva.example"), &[], &[], Some("xn--bcher-kva.example"));
        check(Some("example.com"), &["other.example"], &[], None);
        check(Some("example.com"), &["amazonses.com"], &["example.com", "amazonses.com"], Some("example.com"));
        check(Some("customer.example"), &["mail.example.com"], &[], Some("customer.example"));
        check(None, &["mail.example.com"], &[], Some("mail.example.com"));
        check(Some("badexample.com"), &[], &[], None);
        check(Some("customer.example"), &[], &["example.com"], None);
        check(None, &[], &[], None);
    }
}
