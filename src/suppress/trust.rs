//! Whose complaint counts: only one whose own mail is known to come from a feedback loop (RFC 9477, section 3.5), about
//! mail that was ours. Anyone can write the rest.

use std::collections::HashSet;

use crate::report::Complaint;
use crate::report::address::{self, Address};
use crate::report::authentication::Verdict;

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

/// Whether a complaint may act, and why, in words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// Its own mail is known to come from a feedback loop.
    pub trusted: bool,
    /// Why, or why not.
    pub reason: String,
}

/// What the user says about senders of complaints.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings<'a> {
    /// Further domains or addresses that send complaints.
    pub feedback_senders: &'a [String],
    /// The account or folder is known to feedback loops only.
    pub reserved: bool,
}

/// Judges the mail that brought a complaint: an aligned pass by the own server, from a sender of complaints; or a folder
/// that is reserved for them, unless the own server says that the mail is forged. An unsubscribe mail needs no more than
/// the pass: its author speaks for himself.
pub fn assess(complaint: &Complaint, verdict: &Verdict, from: Option<&Address>, settings: &Settings<'_>) -> Trust {
    let no = |reason: &str| Trust { trusted: false, reason: reason.to_owned() };
    let yes = |reason: String| Trust { trusted: true, reason };
    if settings.reserved && *verdict != Verdict::Fail {
        return yes("the account or folder is reserved for feedback loops".to_owned());
    }
    let Some(from) = from else {
        return no("the complaint has no single sender");
    };
    match verdict {
        Verdict::None => no("no Authentication-Results of your server; set `authserv_id`, or reserve a folder"),
        Verdict::Fail => no("your server found no aligned DKIM or SPF pass"),
        Verdict::Pass(_) if complaint.recipients.iter().any(|person| person.via == "from") => {
            yes(format!("sent and authenticated by {from}"))
        }
        Verdict::Pass(domain) => match known_sender(from, settings.feedback_senders) {
            Some(sender) => yes(format!("{domain} passed, and {sender} sends complaints")),
            None => no("authenticated, but not a known sender of complaints; see `feedback_senders`"),
        },
    }
}

/// The entry of the table or the configuration that a sender falls under.
fn known_sender<'a>(from: &Address, configured: &'a [String]) -> Option<&'a str> {
    let mut entries = KNOWN_SENDERS.into_iter().chain(configured.iter().map(String::as_str));
    entries.find(|entry| match entry.trim().split_once('@') {
        Some(("", domain)) => from.domain.eq_ignore_ascii_case(domain),
        Some(_) => from.folded() == entry.trim().to_lowercase(),
        None => address::domain(entry).is_some_and(|entry| is_within(&from.domain, &entry)),
    })
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
        let check = |from: &str, verdict: &Verdict, reserved: bool, expected: bool| {
            let from = Address::parse(from).ok();
            let settings = Settings { feedback_senders: &configured, reserved };
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
