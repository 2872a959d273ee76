//! DMARC records (RFC 9989, section 4.7), where they are found (section 4.10), and whether reports may be sent where they ask
//! (RFC 9990, section 4).

use super::finding::{Finding, Notes, Severity};
use super::lookup::{Answer, Failure, Kind, Lookup, Question};
use super::name::{is_name, is_within};
use super::tags::Tags;

/// Labels of a name from which on the tree is walked from the eighth (RFC 9989, section 4.10).
const LABELS: usize = 8;
/// Addresses for reports that are looked at, at most.
const DESTINATIONS: usize = 20;

/// What is found at one name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    None,
    One(String),
    Several(Vec<String>),
    Failed(Failure),
}

/// Where the tree walk led.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Walk {
    /// The names asked, the first is the domain itself, with what was found.
    steps: Vec<(String, Found)>,
    /// The organizational domain.
    organizational: String,
}

impl Walk {
    /// The record that applies to the domain, and the name it was found at.
    fn policy(&self) -> Option<(&str, &str)> {
        let at = |name: &str| {
            self.steps.iter().find(|(step, _)| step == name).and_then(|(step, found)| match found {
                Found::One(record) => Some((step.as_str(), record.as_str())),
                _ => None,
            })
        };
        let (domain, _) = self.steps.first()?;
        let public = || {
            let record = self.steps.iter().rev().find(|(_, found)| psd(found) == Some("y"));
            record.and_then(|(name, _)| at(name))
        };
        at(domain).or_else(|| at(&self.organizational)).or_else(public)
    }
}

fn found(lookup: &mut dyn Lookup, name: &str) -> Found {
    let answer = lookup.get(&format!("_dmarc.{name}"), Kind::Txt);
    if let Answer::Failed(failure) = answer {
        return Found::Failed(failure);
    }
    let mut records: Vec<String> = answer.texts().filter(|text| is_dmarc(text)).map(str::to_owned).collect();
    match records.len() {
        0 => Found::None,
        1 => records.pop().map_or(Found::None, Found::One),
        _ => Found::Several(records),
    }
}

fn is_dmarc(text: &str) -> bool {
    Tags::read(text).begins_with("DMARC1")
}

fn psd(found: &Found) -> Option<&'static str> {
    let Found::One(record) = found else { return None };
    match Tags::read(record).get("psd") {
        Some("y") => Some("y"),
        Some("n") => Some("n"),
        _ => None,
    }
}

/// The names that the tree walk asks, from the domain itself up to one label.
fn names(domain: &str) -> Vec<&str> {
    let mut names = vec![domain];
    let count = domain.split('.').count();
    let above = std::iter::successors(Some(domain), |name| name.split_once('.').map(|(_, above)| above)).skip(1);
    names.extend(above.filter(|name| count < LABELS || name.split('.').count() < LABELS));
    names
}

/// The tree walk (RFC 9989, section 4.10).
fn walk(lookup: &mut dyn Lookup, domain: &str) -> Walk {
    let names = names(domain);
    let questions: Vec<Question> =
        names.iter().map(|name| Question::new(&format!("_dmarc.{name}"), Kind::Txt)).collect();
    lookup.prepare(&questions);
    let mut steps = Vec::new();
    for name in names {
        let found = found(lookup, name);
        let ends = psd(&found).is_some();
        steps.push((name.to_owned(), found));
        if ends {
            break;
        }
    }
    let organizational = organizational(domain, &steps);
    Walk { steps, organizational }
}

/// The organizational domain (RFC 9989, section 4.10.2).
fn organizational(domain: &str, steps: &[(String, Found)]) -> String {
    if let Some((name, _)) = steps.iter().find(|(_, found)| psd(found) == Some("n")) {
        return name.clone();
    }
    if let Some((name, _)) = steps.iter().skip(1).find(|(_, found)| psd(found) == Some("y")) {
        let labels = name.split('.').count() + 1;
        let from = domain.split('.').count().saturating_sub(labels);
        return domain.split('.').skip(from).collect::<Vec<_>>().join(".");
    }
    let last = steps.iter().rev().find(|(_, found)| matches!(found, Found::One(_)));
    last.map_or(domain, |(name, _)| name).to_owned()
}

/// Checks the record that applies to a domain.
pub fn check(lookup: &mut dyn Lookup, domain: &str, findings: &mut Vec<Finding>) {
    let walk = walk(lookup, domain);
    let mut notes = Notes::new(findings, "dmarc", &format!("_dmarc.{domain}"));
    for (name, found) in &walk.steps {
        match found {
            Found::Several(records) => {
                notes.record(&records.join(" | "));
                notes.error(
                    "dmarc-several",
                    format!(
                        "there are {} DMARC records at _dmarc.{name}: receivers act as if there were none",
                        records.len()
                    ),
                    "keep one of them",
                );
                return;
            }
            Found::Failed(failure) if name == domain => return notes.unknown(failure),
            _ => {}
        }
    }
    let near = lookup.get(&format!("_dmarc.{domain}"), Kind::Txt);
    let Some((at, record)) = walk.policy() else {
        return missing(&mut notes, domain, near.texts().next());
    };
    notes.record(record);
    if at != domain {
        notes.info("dmarc-inherited", format!("the domain has no record of its own; that of {at} applies"), "");
    }
    let tags = Tags::read(record);
    syntax(&mut notes, &tags);
    policy(&mut notes, &tags, at != domain);
    let reports = destinations(lookup, &mut notes, &tags, at, &walk.organizational);
    if notes.worst() < Severity::Warning {
        let p = tags.get("p").unwrap_or("none");
        notes.ok("dmarc", format!("p={p}, reports to {}", reports.join(", ")));
    }
}

fn missing(notes: &mut Notes<'_>, domain: &str, text: Option<&str>) {
    match text {
        Some(text) => {
            notes.record(text);
            notes.error(
                "dmarc-unreadable",
                "what is there is no DMARC record: `v=DMARC1` must stand first, spelled so",
                "correct the start of the record: `v=DMARC1; p=…`",
            );
        }
        None => notes.error(
            "dmarc-missing",
            "there is no DMARC record: nobody tells you who sends as this domain, and large receivers refuse bulk mail from it",
            format!("publish `v=DMARC1; p=none; rua=mailto:dmarc@{domain}` at _dmarc.{domain}, and tighten it when reports are fine"),
        ),
    }
}

/// What a tag may say.
fn is_allowed(name: &str, value: &str) -> Option<bool> {
    let one_of = |words: &[&str]| Some(words.iter().any(|word| value.eq_ignore_ascii_case(word)));
    match name {
        "p" | "sp" | "np" => one_of(&["none", "quarantine", "reject"]),
        "adkim" | "aspf" => one_of(&["r", "s"]),
        "t" => one_of(&["y", "n"]),
        "psd" => one_of(&["y", "n", "u"]),
        "fo" => {
            Some(value.split(':').all(|word| ["0", "1", "d", "s"].contains(&word.trim().to_ascii_lowercase().as_str())))
        }
        _ => None,
    }
}

fn syntax(notes: &mut Notes<'_>, tags: &Tags) {
    if let Some(broken) = tags.broken.first() {
        notes.warning(
            "dmarc-syntax",
            format!("`{broken}` is no tag: receivers skip it, or the record"),
            "put a `;` between tags, and `=` within",
        );
    }
    let repeated = tags.repeated();
    if !repeated.is_empty() {
        notes.warning(
            "dmarc-repeated",
            format!("`{}=` is there more than once, and receivers choose as they like", repeated.join("=`, `")),
            "keep one of each",
        );
    }
    for (name, value) in &tags.list {
        if is_allowed(name, value) == Some(false) {
            let (severity, effect) = match name.as_str() {
                "p" => (Severity::Error, "receivers take the record for `p=none`, or for none"),
                _ => (Severity::Warning, "receivers act as if the tag were not there"),
            };
            notes.add(
                severity,
                "dmarc-value",
                format!("`{name}={value}` is nothing that `{name}` may say: {effect}"),
                "correct the value",
            );
        }
        match name.as_str() {
            "pct" if value != "100" => notes.warning(
                "dmarc-pct",
                format!("`pct={value}`: RFC 9989 has dropped `pct`, and receivers that follow it apply the policy to all mail"),
                "take `pct` out; to try a policy out, say `t=y`",
            ),
            "pct" | "rf" | "ri" => notes.info("dmarc-dropped", format!("`{name}` means nothing any more (RFC 9989)"), "take it out"),
            "v" | "p" | "sp" | "np" | "adkim" | "aspf" | "t" | "psd" | "fo" | "rua" | "ruf" => {}
            _ => notes.info("dmarc-unknown", format!("nobody knows a tag `{name}`: receivers skip it"), "look for a slip of the pen"),
        }
    }
}

fn policy(notes: &mut Notes<'_>, tags: &Tags, inherited: bool) {
    match tags.get("p") {
        None => notes.error(
            "dmarc-policy",
            "the record has no `p`: receivers take it for `p=none`, or for none",
            "say `p=none`, `p=quarantine` or `p=reject`",
        ),
        Some(p) if p.eq_ignore_ascii_case("none") => notes.info(
            "dmarc-none",
            "`p=none` stops nobody from sending as this domain",
            "when reports show that all your mail passes, say `p=quarantine`, later `p=reject`",
        ),
        Some(_) => {}
    }
    let weaker = |tag: &str| tags.get(tag).is_some_and(|value| value.eq_ignore_ascii_case("none"));
    let strict = tags.get("p").is_some_and(|p| !p.eq_ignore_ascii_case("none"));
    if strict && weaker("sp") {
        notes.warning(
            "dmarc-sp",
            "`sp=none` lets everybody send as any subdomain",
            "take `sp` out, or say the same as `p`",
        );
    } else if strict && weaker("np") {
        notes.info("dmarc-np", "`np=none` lets everybody send as subdomains that are not there", "say `np=reject`");
    }
    if tags.get("t").is_some_and(|t| t.eq_ignore_ascii_case("y")) {
        notes.info(
            "dmarc-testing",
            "`t=y`: receivers apply the policy one level below what it says (RFC 9989, section 4.7)",
            "take `t=y` out when reports are fine",
        );
    }
    if tags.get("psd") == Some("y") && !inherited {
        notes.warning(
            "dmarc-psd",
            "`psd=y` says that this is a public suffix like `com`, so that its subdomains belong to others",
            "take `psd` out, unless you run a registry",
        );
    }
}

/// Checks where reports are to be sent, and answers the addresses for aggregate reports.
fn destinations(
    lookup: &mut dyn Lookup,
    notes: &mut Notes<'_>,
    tags: &Tags,
    policy_domain: &str,
    own: &str,
) -> Vec<String> {
    let mut reports = Vec::new();
    if tags.get("rua").is_none() {
        notes.warning(
            "dmarc-rua",
            "the record has no `rua`: nobody sends you reports",
            "say where reports are to go: `rua=mailto:…`",
        );
    }
    for tag in ["rua", "ruf"] {
        let uris = tags.get(tag).unwrap_or_default().split(',').map(str::trim);
        for uri in uris.filter(|uri| !uri.is_empty()).take(DESTINATIONS) {
            let Some((address, host)) = mailto(uri) else {
                notes.error(
                    "dmarc-uri",
                    format!("`{tag}`: `{uri}` is no `mailto:` with an address, and nothing is sent there"),
                    "write `mailto:` and one address, with commas between several",
                );
                continue;
            };
            if uri.contains('!') {
                notes.info(
                    "dmarc-size",
                    format!("`{tag}`: a bound on size behind `!` means nothing any more (RFC 9990)"),
                    "take it out",
                );
            }
            permission(lookup, notes, tag, &host, policy_domain, own);
            if tag == "rua" {
                reports.push(address);
            }
        }
    }
    reports
}

/// The address and the domain of a `mailto:`; a bound on size behind `!` is left out.
fn mailto(uri: &str) -> Option<(String, String)> {
    let (scheme, rest) = uri.split_once(':')?;
    let address = rest.split(['?', '!']).next().unwrap_or_default();
    let (local, host) = address.rsplit_once('@')?;
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let fits = scheme.eq_ignore_ascii_case("mailto") && !local.is_empty() && is_name(&host) && host.contains('.');
    fits.then(|| (format!("{local}@{host}"), host))
}

/// Whether the domain that reports go to says that it wants them, where it belongs to somebody else (RFC 9990, section 4), and
/// whether mail reaches it at all.
fn permission(lookup: &mut dyn Lookup, notes: &mut Notes<'_>, tag: &str, host: &str, policy_domain: &str, own: &str) {
    if !takes_mail(lookup, host) {
        notes.error(
            "dmarc-destination",
            format!("`{tag}`: no mail reaches {host}: it has neither mail exchange nor address"),
            "correct the address",
        );
        return;
    }
    let theirs = walk(lookup, host).organizational;
    if theirs == own || (is_within(host, own) && theirs == host) {
        return;
    }
    let name = format!("{policy_domain}._report._dmarc.{host}");
    match lookup.get(&name, Kind::Txt) {
        Answer::Failed(failure) => notes.warning(
            "dns",
            format!(
                "`{tag}`: whether {host} takes reports about this domain could not be looked up: {}",
                failure.text()
            ),
            "run the check again",
        ),
        answer if answer.texts().any(is_dmarc) => {}
        _ => notes.error(
            "dmarc-permission",
            format!(
                "`{tag}`: {host} does not say that it takes reports about {policy_domain}, so nobody sends them there"
            ),
            format!("whoever runs {host} must publish the TXT record `v=DMARC1` at {name}"),
        ),
    }
}

/// Whether mail can be sent to a domain; also where that could not be asked.
fn takes_mail(lookup: &mut dyn Lookup, host: &str) -> bool {
    let answer = lookup.get(host, Kind::Mx);
    let exchanges = super::address::exchanges(answer.records());
    if !exchanges.is_empty() {
        return exchanges.iter().any(|(_, exchange)| !exchange.is_empty());
    }
    let mut there = |kind| {
        let answer = lookup.get(host, kind);
        answer.failure().is_some() || !answer.records().is_empty()
    };
    answer.failure().is_some() || there(Kind::A) || there(Kind::Aaaa)
}

#[cfg(test)]
mod tests {
    use super::super::lookup::tests::Zone;
    use super::*;

    const ZONE: &str = "
        example.com MX 10 mail.example.com
        mail.example.com A 192.0.2.25
        service.example MX 10 mx.service.example
        example.com._report._dmarc.service.example TXT v=DMARC1;
        other.example MX 10 mx.other.example
        null.example MX 0 .";

    #[test]
    fn each_fault_is_found() {
        let check = |record: &str, expected: &[&str]| {
            let lines = record.split('|').filter(|record| !record.is_empty());
            let records: String = lines.map(|record| format!("_dmarc.example.com TXT {record}\n")).collect();
            let (mut zone, mut findings) = (Zone::new(&format!("{ZONE}\n{records}")), Vec::new());
            super::check(&mut zone, "example.com", &mut findings);
            let found: Vec<_> =
                findings.iter().map(|finding| format!("{} {}", finding.severity.word(), finding.code)).collect();
            assert_eq!(found, expected, "{record}: {findings:?}");
        };
        let rua = "rua=mailto:dmarc@example.com";
        check(&format!("v=DMARC1; p=reject; {rua}"), &["ok dmarc"]);
        check(&format!("v=DMARC1;p=reject;{rua},mailto:d@service.example"), &["ok dmarc"]);
        check(&format!("v=DMARC1; p=none; {rua}"), &["info dmarc-none", "ok dmarc"]);
        check("", &["error dmarc-missing"]);
        check("p=reject; v=DMARC1", &["error dmarc-unreadable"]);
        check("v=dmarc1; p=reject", &["error dmarc-unreadable"]);
        check("v=DMARC1; p=reject|v=DMARC1; p=none", &["error dmarc-several"]);
        check("v=DMARC1; p=reject", &["warning dmarc-rua"]);
        check(&format!("v=DMARC1; {rua}"), &["error dmarc-policy"]);
        check(&format!("v=DMARC1; p=strict; {rua}"), &["error dmarc-value"]);
        check(&format!("v=DMARC1; p=reject; adkim=x; {rua}"), &["warning dmarc-value"]);
        check(&format!("v=DMARC1; p=reject; fo=1:d:s; {rua}"), &["ok dmarc"]);
        check(&format!("v=DMARC1; p=reject; fo=2; {rua}"), &["warning dmarc-value"]);
        check(&format!("v=DMARC1; p=reject; pct=50; {rua}"), &["warning dmarc-pct"]);
        check(
            &format!("v=DMARC1; p=reject; pct=100; ri=86400; {rua}"),
            &["info dmarc-dropped", "info dmarc-dropped", "ok dmarc"],
        );
        check(&format!("v=DMARC1; p=reject; policy=x; {rua}"), &["info dmarc-unknown", "ok dmarc"]);
        check(&format!("v=DMARC1; p=reject; sp=none; {rua}"), &["warning dmarc-sp"]);
        check(&format!("v=DMARC1; p=reject; np=none; {rua}"), &["info dmarc-np", "ok dmarc"]);
        check(&format!("v=DMARC1; p=reject; t=y; {rua}"), &["info dmarc-testing", "ok dmarc"]);
        check(&format!("v=DMARC1; p=reject; psd=y; {rua}"), &["warning dmarc-psd"]);
        check(&format!("v=DMARC1; p=reject; p=none; {rua}"), &["warning dmarc-repeated"]);
        check(&format!("v=DMARC1; p=reject, {rua}"), &["error dmarc-value", "warning dmarc-rua"]);
        check(&format!("v=DMARC1; p=reject; oops; {rua}"), &["warning dmarc-syntax"]);
        check("v=DMARC1; p=reject; rua=dmarc@example.com", &["error dmarc-uri"]);
        check("v=DMARC1; p=reject; rua=https://example.com/", &["error dmarc-uri"]);
        check("v=DMARC1; p=reject; rua=mailto:d@example.com!10m", &["info dmarc-size", "ok dmarc"]);
        check("v=DMARC1; p=reject; rua=mailto:d@other.example", &["error dmarc-permission"]);
        check("v=DMARC1; p=reject; rua=mailto:d@gone.example", &["error dmarc-destination"]);
        check("v=DMARC1; p=reject; rua=mailto:d@null.example", &["error dmarc-destination"]);
        check(&format!("v=DMARC1; p=reject; {rua}; ruf=mailto:d@other.example"), &["error dmarc-permission"]);
    }

    #[test]
    fn the_tree_is_walked() {
        let check = |zone: &str, domain: &str, at: Option<&str>, organizational: &str| {
            let walk = walk(&mut Zone::new(zone), domain);
            assert_eq!(walk.policy().map(|(at, _)| at), at, "{domain} in {zone}");
            assert_eq!(walk.organizational, organizational, "{domain} in {zone}");
        };
        let own = "_dmarc.example.com TXT v=DMARC1; p=reject";
        check(own, "example.com", Some("example.com"), "example.com");
        check(own, "a.b.example.com", Some("example.com"), "example.com");
        check(
            &format!("{own}\n_dmarc.b.example.com TXT v=DMARC1; p=none"),
            "b.example.com",
            Some("b.example.com"),
            "example.com",
        );
        check(
            &format!("{own}\n_dmarc.b.example.com TXT v=DMARC1; p=none; psd=n"),
            "a.b.example.com",
            Some("b.example.com"),
            "b.example.com",
        );
        check(
            "_dmarc.gov.example TXT v=DMARC1; p=reject; psd=y",
            "a.agency.gov.example",
            Some("gov.example"),
            "agency.gov.example",
        );
        check("", "example.com", None, "example.com");
        // Of nine labels, the walk goes on with seven.
        assert_eq!(names("a.b.c.d.e.f.g.example.com")[..2], ["a.b.c.d.e.f.g.example.com", "c.d.e.f.g.example.com"]);
        assert_eq!(names("a.b.c.d.e.f.g.example.com").len(), 8);
        assert_eq!(names("example.com"), ["example.com", "com"]);
    }

    #[test]
    fn a_subdomain_inherits() {
        let zone = format!("{ZONE}\n_dmarc.example.com TXT v=DMARC1; p=reject; rua=mailto:d@example.com");
        let mut findings = Vec::new();
        super::check(&mut Zone::new(&zone), "news.example.com", &mut findings);
        let codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, ["dmarc-inherited", "dmarc"]);
    }
}
