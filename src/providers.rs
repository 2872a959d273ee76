//! Who is behind a sending address: a small table, kept as data with its sources in `providers.toml`, and the rule that
//! reads it. Pure.

use std::sync::OnceLock;

use serde::Deserialize;

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// As people call it.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// Whether it passes on mail that others have sent.
    pub forwards: Forwards,
    /// Suffixes of forward-confirmed names.
    ptr: Vec<String>,
    /// Suffixes of envelope domains of its own.
    spf: Vec<String>,
    /// Suffixes of signing domains of its own.
    dkim: Vec<String>,
    /// What its customers include in their SPF records.
    include: Vec<String>,
    /// In which columns a name was found in use.
    pub seen: Vec<Seen>,
    /// Pages that were read for it.
    #[serde(default)]
    pub source: Vec<String>,
    /// Where the provider is likely to write of it.
    pub page: String,
}

/// Where a name of a provider was found in use. The table says more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seen {
    /// As the name of an address, in headers.
    Ptr,
    /// As the domain of an envelope, in headers.
    Spf,
    /// As the domain of a signature, in headers.
    Dkim,
    /// In SPF records.
    Include,
    /// In a public list of such names.
    List,
}

/// What a provider is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Keeps people's mail, and sends what they write.
    Mailbox,
    /// Sends for its customers: newsletters, receipts, tickets.
    Sender,
    /// Filters and relays its customers' mail.
    Gateway,
    /// Forwards other people's mail: that is what it is for.
    Forwarder,
    /// Rents servers out; its name says nothing about who uses one.
    Host,
}

/// Whether a provider passes on mail that others have sent. Such mail fails SPF through no fault of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Forwards {
    /// It sends hardly anything else.
    Mainly,
    /// Its users can have their mail forwarded, or it relays what it has filtered.
    Also,
    /// It sends only what its customers hand in.
    No,
}

/// By what a provider was recognised, the surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// The forward-confirmed name of the address: the owner of the network says so, and the owner of the name agrees.
    Name,
    /// The envelope domain, for which SPF passed: the provider lets this address send.
    Spf,
}

/// The provider of an address, and by what it was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// Who it is.
    pub provider: &'static Provider,
    /// By what.
    pub by: By,
}

/// The table, in the order of the file.
pub fn table() -> &'static [Provider] {
    static TABLE: OnceLock<Vec<Provider>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let File { provider } = toml::from_str(include_str!("providers/providers.toml")).unwrap_or_default();
        provider
    })
}

/// Names the provider of an address from its forward-confirmed name and the envelope domains for which SPF passed. Hand in nothing
/// that did not pass: anybody can claim a domain. Names may be in any case, with or without the dot at the end. Signatures do not tell
/// it: they stay on mail that somebody else passes on, or sends again.
pub fn name<'a>(confirmed_name: Option<&'a str>, spf_passed: impl IntoIterator<Item = &'a str>) -> Option<Named> {
    let found = |by, provider| Named { provider, by };
    let by_name = find(confirmed_name, |provider| &provider.ptr).map(|provider| found(By::Name, provider));
    let by_spf = || find(spf_passed, |provider| &provider.spf).map(|provider| found(By::Spf, provider));
    by_name.or_else(by_spf)
}

/// The provider whose own domain this is, in signatures or envelopes: whose service sent mail that authenticates so first, whoever
/// passed it on since.
pub fn of_domain(domain: &str) -> Option<&'static Provider> {
    find([domain], |provider| &provider.dkim).or_else(|| find([domain], |provider| &provider.spf))
}

/// The provider whose customers have this domain after `include:` or `redirect=` in their SPF records.
pub fn of_include(domain: &str) -> Option<&'static Provider> {
    find([domain], |provider| &provider.include)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    provider: Vec<Provider>,
}

/// The provider with the longest suffix of one of the names.
fn find<'a>(
    names: impl IntoIterator<Item = &'a str>,
    suffixes: fn(&Provider) -> &Vec<String>,
) -> Option<&'static Provider> {
    let names: Vec<String> = names.into_iter().map(|name| name.trim_end_matches('.').to_ascii_lowercase()).collect();
    if names.is_empty() {
        return None;
    }
    let all = table().iter().flat_map(|provider| suffixes(provider).iter().map(move |suffix| (suffix, provider)));
    let fitting = all.filter(|(suffix, _)| names.iter().any(|name| is_within(name, suffix)));
    fitting.max_by_key(|(suffix, _)| suffix.len()).map(|(_, provider)| provider)
}

/// Whether a name is another or below it; both in lower case.
pub fn is_within(name: &str, suffix: &str) -> bool {
    name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_table_is_read_whole_and_names_each_thing_once() {
        let file: File = toml::from_str(include_str!("providers/providers.toml")).unwrap();
        assert_eq!(table(), file.provider);
        assert!(table().len() > 80, "only {}", table().len());
        let mut names = HashSet::new();
        for provider in table() {
            assert!(names.insert(&provider.name), "{} is there twice", provider.name);
            for link in provider.source.iter().chain([&provider.page]) {
                assert!(link.starts_with("https://"), "{}: {link}", provider.name);
            }
            assert!(provider.seen.is_sorted_by(|one, next| one < next), "{}: {:?}", provider.name, provider.seen);
            for (seen, column) in [
                (Seen::Ptr, &provider.ptr),
                (Seen::Spf, &provider.spf),
                (Seen::Dkim, &provider.dkim),
                (Seen::Include, &provider.include),
                (Seen::List, &provider.ptr),
            ] {
                assert!(!provider.seen.contains(&seen) || !column.is_empty(), "{}: {seen:?} of nothing", provider.name);
            }
            assert_eq!(
                provider.kind == Kind::Forwarder,
                provider.forwards == Forwards::Mainly,
                "{}: forwarders forward",
                provider.name
            );
        }
        for (what, suffixes) in [
            ("ptr", (|p| &p.ptr) as fn(&Provider) -> &Vec<String>),
            ("spf", |p| &p.spf),
            ("dkim", |p| &p.dkim),
            ("include", |p| &p.include),
        ] {
            let mut seen = HashSet::new();
            for suffix in table().iter().flat_map(suffixes) {
                assert!(seen.insert(suffix), "{what}: {suffix} is there twice");
                let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
                assert!(suffix.bytes().all(plain) && suffix.contains('.'), "{what}: {suffix}");
                assert!(!suffix.starts_with('.') && !suffix.ends_with('.'), "{what}: {suffix}");
            }
        }
    }

    /// Mail is told apart by organizational domains: a longer name would never be found.
    #[test]
    fn envelopes_and_signatures_are_organizational_domains() {
        for provider in table() {
            for domain in provider.spf.iter().chain(&provider.dkim) {
                assert_eq!(crate::report::authentication::organizational(domain), domain, "{}", provider.name);
            }
        }
    }

    /// What stands only here for a name that others could have taken, and for hosts that do more than forward.
    #[test]
    fn what_customers_name_or_send_is_not_the_providers() {
        assert_eq!(name(None, ["tenant.onmicrosoft.com"]), None);
        assert_eq!(of_domain("mail.tenant.onmicrosoft.com"), None);
        for host in ["vps.example.amazonaws.com", "1.2.3.4.bc.googleusercontent.com", "vm.cloudapp.azure.com"] {
            assert_eq!(name(Some(host), []), None, "{host}");
        }
        for (host, forwards) in [
            ("mx1.forwardemail.net", Forwards::Mainly),
            ("smtp.forwardemail.net", Forwards::No),
            ("a-h.cloudflare-email.net", Forwards::Mainly),
            ("outbound3.eu.mailhop.org", Forwards::Also),
            ("pb-smtp20.pobox.com", Forwards::Also),
            ("mail-200163.simplelogin.co", Forwards::Also),
            ("mailout.easydns.com", Forwards::Also),
            ("tor.lore.kernel.org", Forwards::Mainly),
            ("mail.kernel.org", Forwards::No),
        ] {
            let found = name(Some(host), []).map_or(Forwards::No, |found| found.provider.forwards);
            assert_eq!(found, forwards, "{host}");
        }
    }

    #[test]
    fn who_that_is() {
        let check = |ptr: Option<&str>, spf: &[&str], expected: Option<(&str, By)>| {
            let found = name(ptr, spf.iter().copied());
            assert_eq!(found.map(|found| (&*found.provider.name, found.by)), expected, "{ptr:?} {spf:?}");
        };
        check(Some("mail-oi1-f176.google.com"), &[], Some(("Google", By::Name)));
        check(Some("MAIL-OI1-F176.Google.Com."), &[], Some(("Google", By::Name)));
        check(Some("google.com"), &[], Some(("Google", By::Name)));
        check(Some("notgoogle.com"), &[], None);
        check(Some("google.com.evil.example"), &[], None);
        check(Some(""), &[], None);
        check(None, &["eu-west-1.amazonses.com"], Some(("Amazon SES", By::Spf)));
        check(Some("a-h.cloudflare-email.net"), &["amazonses.com"], Some(("Cloudflare Email Routing", By::Name)));
        check(Some("host.example.net"), &["example.com", "bounce.mcsv.net"], Some(("Mailchimp", By::Spf)));
        check(None, &["example.com"], None);
        check(None, &[], None);
    }

    #[test]
    fn whose_domain_that_is() {
        let check = |domain: &str, expected: Option<&str>| {
            assert_eq!(of_domain(domain).map(|provider| &*provider.name), expected, "{domain}");
        };
        check("amazonses.com", Some("Amazon SES"));
        check("example-com.20230601.gappssmtp.com", Some("Google"));
        check("bounce.mcsv.net", Some("Mailchimp"));
        check("example.com", None);
        check("", None);
    }

    #[test]
    fn whom_an_include_stands_for() {
        let check = |domain: &str, expected: Option<&str>| {
            assert_eq!(of_include(domain).map(|provider| &*provider.name), expected, "{domain}");
        };
        check("_spf.google.com", Some("Google"));
        check("spf.protection.outlook.com", Some("Microsoft 365"));
        check("3004554.spf03.hubspotemail.net", Some("HubSpot"));
        check("spf-00000000.pphosted.com", Some("Proofpoint"));
        check("eu._netblocks.mimecast.com", Some("Mimecast"));
        check("_spf.example.com", None);
    }
}
