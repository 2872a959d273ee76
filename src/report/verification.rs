//! Whose word a report is: whether the mail that brought it comes from the reporter it names.
//!
//! RFC 7489, section 7.2.1.1: a report must be sent so that it passes DMARC, which "minimizes the risk of … fraudulent
//! reports". Anyone can write `google.com` into a report; only Google can have the mail pass as google.com.

use super::authentication::is_aligned;

/// Reporters whose name is no domain, or another than the one they send from, with the domains they send from. A mail
/// that names one of them must come from there, whatever address the report gives.
///
/// Sources: the reporters' own mails in public collections of reports (the `From` fields and `report_metadata/email`).
pub const REPORTERS: [(&str, &[&str]); 21] = [
    // noreply-dmarc-support@google.com; `Google, Inc.` until about 2012.
    ("google.com", &["google.com"]),
    ("google, inc.", &["google.com"]),
    ("google inc.", &["google.com"]),
    // dmarcreport@microsoft.com; dmarcrep@microsoft.com before.
    ("outlook.com", &["microsoft.com"]),
    ("enterprise outlook", &["microsoft.com"]),
    ("microsoft corporation", &["microsoft.com"]),
    ("microsoft corp.", &["microsoft.com"]),
    // noreply@dmarc.yahoo.com, with dmarchelp@yahooinc.com, dmarc-noreply@yahoo-inc.com or postmaster@dmarc.yahoo.com in it.
    ("yahoo", &["yahoo.com", "yahooinc.com", "yahoo-inc.com"]),
    ("yahoo inc.", &["yahoo.com", "yahooinc.com", "yahoo-inc.com"]),
    ("yahoo! inc.", &["yahoo.com", "yahooinc.com", "yahoo-inc.com"]),
    ("aol", &["aol.com", "yahoo.com", "yahooinc.com"]),
    // postmaster@amazonses.com.
    ("amazon-ses", &["amazonses.com", "amazon.com"]),
    // no-reply@REGION.mimecastreport.com; mimecast.org before.
    ("mimecast", &["mimecastreport.com", "mimecast.org", "mimecast.com"]),
    ("mimecast.org", &["mimecastreport.com", "mimecast.org", "mimecast.com"]),
    // noreply-dmarc@sicher.gmx.net and noreply-dmarc@sicher.web.de: one company.
    ("gmx", &["gmx.net", "web.de"]),
    ("gmx.net", &["gmx.net", "web.de"]),
    ("web.de", &["web.de", "gmx.net"]),
    // dmarc_support@corp.mail.ru.
    ("mail.ru", &["mail.ru"]),
    // reports@fastmaildmarc.com.
    ("fastmail pty ltd", &["fastmaildmarc.com", "fastmail.com"]),
    // dmarcreports@secureserver.net.
    ("godaddy.com", &["secureserver.net", "godaddy.com"]),
    // noreply@dmarc-reports.xs4all.net.
    ("xs4all.nl", &["xs4all.nl", "xs4all.net"]),
];

/// How the mail that brought a report was authenticated, held against the reporter that the report names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// An aligned pass of a domain of the reporter's.
    Verified,
    /// An aligned pass of another domain: forwarded, or sent by a provider, or by anyone.
    Foreign,
    /// The own server said nothing that tells one way or the other; also for what was never a mail.
    Unverified,
    /// The own server says that the mail is not from whom it says it is.
    Failed,
}

impl Verification {
    /// The word in `report.verification`.
    pub fn as_str(self) -> &'static str {
        match self {
            Verification::Verified => "verified",
            Verification::Foreign => "foreign",
            Verification::Unverified => "unverified",
            Verification::Failed => "failed",
        }
    }

    /// Of two reports that contradict each other the one of lower rank stands.
    pub fn rank(self) -> u8 {
        match self {
            Verification::Verified => 0,
            Verification::Foreign | Verification::Unverified => 1,
            Verification::Failed => 2,
        }
    }
}

/// What the own server said about a mail, as far as it matters here. The default is that it said nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// The aligned domain that passed, canonical.
    pub passed: Option<String>,
    /// The server says that the mail failed.
    pub failed: bool,
}

/// Judges the mail of a report that names its reporter as `org_name` and `org_email`.
///
/// A name that is a domain, or that [`REPORTERS`] knows, is a claim that must hold: were the address enough, anyone could
/// sign `google.com` with an address of his own. Any other name says nothing, and then the address must fit.
pub fn verify(sender: &Sender, org_name: Option<&str>, org_email: Option<&str>) -> Verification {
    match &sender.passed {
        Some(domain) if fits(domain, org_name, org_email) => Verification::Verified,
        Some(_) => Verification::Foreign,
        None if sender.failed => Verification::Failed,
        None => Verification::Unverified,
    }
}

fn fits(domain: &str, org_name: Option<&str>, org_email: Option<&str>) -> bool {
    let name = org_name.unwrap_or("").trim().to_lowercase();
    if let Some((_, domains)) = REPORTERS.iter().find(|(known, _)| *known == name) {
        return domains.iter().any(|of| is_aligned(domain, of));
    }
    if let Some(claimed) = domain_of_name(&name) {
        return is_aligned(domain, &claimed);
    }
    let address = org_email.and_then(|email| email.trim().trim_matches(['<', '>']).rsplit_once('@'));
    let address = address.and_then(|(_, of)| super::address::domain(of));
    address.is_some_and(|of| is_aligned(domain, &of))
}

/// A reporter's name as a domain, where it is one: `comcast.net`, and not `Orange.` or `GMO Pepabo, Inc.`.
fn domain_of_name(name: &str) -> Option<String> {
    let looks = name.contains('.') && !name.ends_with('.') && !name.contains([' ', ',', '@']);
    looks.then(|| super::address::domain(name)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_word_it_is() {
        use Verification::{Failed, Foreign, Unverified, Verified};
        let check = |passed: Option<&str>, failed: bool, name: &str, email: &str, expected: Verification| {
            let sender = Sender { passed: passed.map(str::to_owned), failed };
            let some = |text: &'static str| (!text.is_empty()).then_some(text);
            let (name, email): (&'static str, &'static str) = (name.to_owned().leak(), email.to_owned().leak());
            assert_eq!(verify(&sender, some(name), some(email)), expected, "{passed:?} {name} {email}");
        };
        let pass = |domain, name, email, expected| check(Some(domain), false, name, email, expected);
        pass("google.com", "google.com", "noreply-dmarc-support@google.com", Verified);
        pass("google.com", "Google, Inc.", "", Verified);
        pass("microsoft.com", "Enterprise Outlook", "dmarcreport@microsoft.com", Verified);
        pass("microsoft.com", "Outlook.com", "dmarcreport@microsoft.com", Verified);
        pass("dmarc.yahoo.com", "Yahoo", "dmarchelp@yahooinc.com", Verified);
        pass("yahoo.com", "Yahoo! Inc.", "postmaster@dmarc.yahoo.com", Verified);
        pass("amazonses.com", "AMAZON-SES", "postmaster@amazonses.com", Verified);
        pass("us-1.mimecastreport.com", "Mimecast", "no-reply@us-1.mimecastreport.com", Verified);
        pass("sicher.gmx.net", "GMX", "noreply-dmarc@sicher.gmx.net", Verified);
        pass("sicher.web.de", "WEB.DE", "noreply-dmarc@sicher.web.de", Verified);
        pass("corp.mail.ru", "Mail.Ru", "dmarc_support@corp.mail.ru", Verified);
        pass("dmarc-reports.xs4all.net", "xs4all.nl", "noreply@dmarc-reports.xs4all.net", Verified);
        pass("alerts.comcast.net", "comcast.net", "dmarc-admin@alerts.comcast.net", Verified);
        pass("artfiles.de", "Artfiles New Media GmbH", "devnull@artfiles.de", Verified);
        pass("accurateplastics.com", "", "<administrator@accurateplastics.com>", Verified);
        pass("reporter.example", "reporter.example", "dmarc@reporter.example", Verified);
        // Somebody else's domain: a provider, a forwarder, or a liar.
        pass("esa.vcu.iphmx.com", "vcu.edu", "MAILER-DAEMON@esa.vcu.iphmx.com", Foreign);
        pass("example.com", "google.com", "noreply-dmarc-support@google.com", Foreign);
        pass("evil.example", "google.com", "me@evil.example", Foreign);
        pass("evil.example", "Enterprise Outlook", "me@evil.example", Foreign);
        pass("evil.example", "GOOGLE.COM ", "me@evil.example", Foreign);
        pass("badgoogle.com", "google.com", "", Foreign);
        pass("two.co.uk", "one.co.uk", "", Foreign);
        pass("evil.example", "", "", Foreign);
        pass("evil.example", "Acme ISP", "", Foreign);
        pass("evil.example", "Acme ISP", "dmarc@acme.example", Foreign);
        pass("evil.example", "Acme ISP", "evil.example", Foreign);
        // Nothing said, or the opposite.
        check(None, false, "google.com", "noreply-dmarc-support@google.com", Unverified);
        check(None, true, "google.com", "noreply-dmarc-support@google.com", Failed);
    }

    #[test]
    fn known_names_are_in_lower_case_and_once() {
        for (at, (name, domains)) in REPORTERS.iter().enumerate() {
            assert_eq!(*name, name.to_lowercase());
            assert!(
                !domains.is_empty()
                    && domains.iter().all(|of| super::super::address::domain(of).as_deref() == Some(*of))
            );
            assert!(REPORTERS.iter().skip(at + 1).all(|(other, _)| other != name), "{name}");
        }
    }
}
