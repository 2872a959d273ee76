//! Which reporters of aggregate reports are the mailbox provider that a feedback loop is about.
//!
//! Only names that were seen in real reports and belong to the very mailboxes that the loop covers: `Outlook.com` is
//! Microsoft's consumer mail, which its loop is about, `Enterprise Outlook` is not.

/// A mailbox provider that both sends complaints and publishes aggregate reports.
struct Receiver {
    name: &'static str,
    /// Providers of complaints, and mailbox providers behind a shared loop; lower case.
    loops: &'static [&'static str],
    /// `org_name` of their reports, lower case.
    org_names: &'static [&'static str],
    /// Domains of their mailboxes, for loops that cover many providers.
    domains: &'static [&'static str],
}

const RECEIVERS: [Receiver; 8] = [
    Receiver {
        name: "yahoo",
        loops: &["yahoo", "aol"],
        org_names: &["yahoo", "yahoo! inc.", "yahoo inc.", "aol"],
        domains: &["yahoo.com", "aol.com", "ymail.com", "rocketmail.com"],
    },
    Receiver {
        name: "microsoft",
        loops: &["microsoft"],
        org_names: &["outlook.com"],
        domains: &["outlook.com", "hotmail.com", "live.com", "msn.com"],
    },
    Receiver {
        name: "comcast",
        loops: &["comcast"],
        org_names: &["comcast.net", "comcast"],
        domains: &["comcast.net"],
    },
    Receiver {
        name: "fastmail",
        loops: &["fastmail"],
        org_names: &["fastmail pty ltd"],
        domains: &["fastmail.com", "fastmail.fm"],
    },
    Receiver { name: "yandex", loops: &["yandex"], org_names: &["yandex"], domains: &["yandex.ru", "yandex.com"] },
    Receiver { name: "mail.ru", loops: &["mail.ru"], org_names: &["mail.ru"], domains: &["mail.ru"] },
    Receiver { name: "rackspace", loops: &["rackspace"], org_names: &["emailsrvr.com"], domains: &[] },
    Receiver { name: "zoho", loops: &["zoho"], org_names: &["zoho.com"], domains: &["zoho.com"] },
];

/// The mailbox provider whom a complaint is from: by the loop, by the source that a shared loop names, else by the
/// complainer's domain. A name of ours where it is known to publish aggregate reports, else what the complaint calls it.
pub fn of_complaint(provider: Option<&str>, source: Option<&str>, domain: Option<&str>) -> String {
    let named = |word: Option<&str>| {
        let word = word?.trim().to_lowercase();
        RECEIVERS.iter().find(|receiver| receiver.loops.contains(&word.as_str()))
    };
    let by_domain =
        || RECEIVERS.iter().find(|receiver| domain.is_some_and(|domain| receiver.domains.contains(&domain)));
    match named(source).or_else(|| named(provider)).or_else(by_domain) {
        Some(receiver) => receiver.name.to_owned(),
        None => source.or(provider).map_or_else(|| "unknown".to_owned(), |word| word.trim().to_lowercase()),
    }
}

/// The mailbox provider that a reporter is, by the `org_name` of its reports.
pub fn of_org(org_name: &str) -> Option<&'static str> {
    let org_name = org_name.trim().to_lowercase();
    RECEIVERS.iter().find(|receiver| receiver.org_names.contains(&org_name.as_str())).map(|receiver| receiver.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_and_reports_meet() {
        let check = |provider: &str, source: &str, domain: &str, org: &str, expected: Option<&str>| {
            let some = |text: &'static str| Some(text).filter(|text| !text.is_empty());
            let (provider, source, domain) =
                (provider.to_owned().leak(), source.to_owned().leak(), domain.to_owned().leak());
            let found = of_complaint(some(provider), some(source), some(domain));
            assert_eq!((of_org(org) == Some(found.as_str())).then_some(found.as_str()), expected, "{found} {org}");
        };
        check("yahoo", "", "", "Yahoo", Some("yahoo"));
        check("aol", "", "", "Yahoo! Inc.", Some("yahoo"));
        check("microsoft", "", "", "Outlook.com", Some("microsoft"));
        check("microsoft", "", "", "Enterprise Outlook", None);
        check("validity", "Comcast", "", "comcast.net", Some("comcast"));
        check("validity", "Ziggo", "", "comcast.net", None);
        check("amazon-ses", "", "hotmail.com", "Outlook.com", Some("microsoft"));
        check("amazon-ses", "", "isp.example", "Outlook.com", None);
        check("", "", "", "google.com", None);
        assert_eq!(of_complaint(Some("validity"), Some("Ziggo"), None), "ziggo");
        assert_eq!(of_complaint(None, None, None), "unknown");
    }
}
