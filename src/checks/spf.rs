//! SPF (RFC 7208): one record, which can be read, costs few enough look-ups, and does not let everybody pass.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::finding::{Finding, Notes, Severity};
use super::lookup::{Answer, Failure, Kind, Lookup, Question};
use super::name::is_name;
use crate::providers;

/// Look-ups that a receiver makes, at most (section 4.6.4).
const LOOKUPS: u32 = 10;
/// Look-ups with an empty answer that a receiver puts up with (section 4.6.4).
const VOID_LOOKUPS: u32 = 2;
/// Look-ups after which a record is not followed any further.
const FOLLOWED: u32 = 40;
/// Records within each other that are followed.
const DEPTH: usize = 12;
/// Mail exchanges of one `mx` (section 4.6.4).
const EXCHANGES: usize = 10;
/// Addresses that a record names one by one which are handed on, at most.
const ADDRESSES: usize = 50;

/// Checks the record of a domain, and answers the addresses that it names one by one: those are its own.
pub fn check(lookup: &mut dyn Lookup, domain: &str, findings: &mut Vec<Finding>) -> Vec<IpAddr> {
    let mut notes = Notes::new(findings, "spf", domain);
    let record = match record_of(lookup, domain) {
        Ok(Some(record)) => record,
        Ok(None) => {
            notes.error(
                "spf-missing",
                "there is no SPF record: receivers cannot tell your servers from anybody else's",
                "publish one TXT record that names your servers and providers, such as `v=spf1 mx include:… -all`",
            );
            return Vec::new();
        }
        Err(Bad::Several(records)) => {
            notes.record(&records.join(" | "));
            notes.error(
                "spf-several",
                format!(
                    "there are {} SPF records: receivers refuse to choose, and SPF fails for all mail (permerror)",
                    records.len()
                ),
                "put them together into one record, with one `v=spf1` in front and one `all` at the end",
            );
            return Vec::new();
        }
        Err(Bad::Failed(failure)) => {
            notes.unknown(&failure);
            return Vec::new();
        }
    };
    notes.record(&record);
    let mut walk = Walk {
        lookup,
        lookups: 0,
        void: 0,
        path: Vec::new(),
        own: Vec::new(),
        costs: Vec::new(),
        providers: Vec::new(),
    };
    walk.record(domain, &record, &mut notes);
    let Walk { lookups, void, own, costs, providers, .. } = walk;
    judge_counts(&mut notes, lookups, void, &costs);
    if notes.worst() < Severity::Warning {
        let by = if providers.is_empty() { String::new() } else { format!("; lets {} send", providers.join(", ")) };
        notes.ok("spf", format!("one record, {lookups} of {LOOKUPS} look-ups{by}"));
    }
    own
}

fn judge_counts(notes: &mut Notes<'_>, lookups: u32, void: u32, costs: &[(String, u32)]) {
    let mut costly: Vec<&(String, u32)> = costs.iter().collect();
    costly.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
    let costly: Vec<String> = costly.iter().take(4).map(|(term, cost)| format!("{term} {cost}")).collect();
    if lookups > LOOKUPS {
        let at_least = if lookups >= FOLLOWED { "at least " } else { "" };
        notes.error(
            "spf-lookups",
            format!("the record costs {at_least}{lookups} look-ups, and receivers stop after {LOOKUPS}: SPF fails (permerror)"),
            format!("take out what does not send any more, or send from a subdomain with a record of its own; dearest: {}", costly.join(", ")),
        );
    } else if lookups + 1 >= LOOKUPS {
        notes.info(
            "spf-lookups-near",
            format!("{lookups} of {LOOKUPS} look-ups are used: a provider that adds one more breaks the record"),
            format!("dearest: {}", costly.join(", ")),
        );
    }
    if void > VOID_LOOKUPS {
        notes.error(
            "spf-void",
            format!("{void} look-ups lead nowhere, and receivers may stop after {VOID_LOOKUPS} (permerror)"),
            "take out the names that are not there any more",
        );
    }
}

/// Why there is no single record.
enum Bad {
    Several(Vec<String>),
    Failed(Failure),
}

fn record_of(lookup: &mut dyn Lookup, domain: &str) -> Result<Option<String>, Bad> {
    let answer = lookup.get(domain, Kind::Txt);
    if let Answer::Failed(failure) = answer {
        return Err(Bad::Failed(failure));
    }
    let mut records: Vec<String> = answer.texts().filter(|text| is_spf(text)).map(str::to_owned).collect();
    match records.len() {
        0 => Ok(None),
        1 => Ok(records.pop()),
        _ => Err(Bad::Several(records)),
    }
}

/// Whether a text is a record of this version (section 4.5).
fn is_spf(text: &str) -> bool {
    let start = text.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("v=spf1"));
    start && matches!(text.as_bytes().get(6), None | Some(b' '))
}

/// One term of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    All(char),
    Include(String),
    A(Option<String>, bool),
    Mx(Option<String>, bool),
    Ptr,
    Ip(IpAddr, u8),
    Exists(String),
    Redirect(String),
    /// `exp` and modifiers that nobody knows: they change nothing.
    Other,
}

/// Follows a record as a receiver would, but past every match.
struct Walk<'a> {
    lookup: &'a mut dyn Lookup,
    lookups: u32,
    void: u32,
    /// Domains whose records are being followed, the outermost first.
    path: Vec<String>,
    own: Vec<IpAddr>,
    /// What each term of the outermost record costs.
    costs: Vec<(String, u32)>,
    providers: Vec<String>,
}

impl Walk<'_> {
    fn record(&mut self, domain: &str, record: &str, notes: &mut Notes<'_>) {
        let outermost = self.path.is_empty();
        let of = if outermost { String::new() } else { format!(" in the record of {domain}") };
        self.path.push(domain.to_owned());
        if !record.is_ascii() {
            notes.error("spf-syntax", format!("characters outside ASCII{of}"), "write the record again, by hand");
        }
        let words: Vec<&str> = record.split_ascii_whitespace().skip(1).collect();
        let mut terms = Vec::new();
        for word in &words {
            match term(word) {
                Ok(term) => terms.push((*word, term)),
                Err(why) => notes.error(
                    "spf-syntax",
                    format!("`{word}`{of}: {why}; receivers refuse the whole record (permerror)"),
                    if outermost {
                        "correct or take out this term"
                    } else {
                        "tell the provider, or take its include out"
                    },
                ),
            }
        }
        self.lookup.prepare(&questions(domain, &terms));
        self.ends(outermost, &of, &terms, notes);
        for (word, term) in &terms {
            let before = self.lookups;
            if self.lookups < FOLLOWED {
                self.term(domain, outermost, word, term, &of, notes);
            }
            if outermost && self.lookups > before {
                self.costs.push(((*word).to_owned(), self.lookups - before));
            }
        }
        self.path.pop();
    }

    /// What the record says of everybody else.
    fn ends(&self, outermost: bool, of: &str, terms: &[(&str, Term)], notes: &mut Notes<'_>) {
        let all = terms.iter().position(|(_, term)| matches!(term, Term::All(_)));
        let redirect = terms.iter().any(|(_, term)| matches!(term, Term::Redirect(_)));
        match all.and_then(|at| terms.get(at)) {
            Some((_, Term::All('+'))) => notes.error(
                "spf-all",
                format!("`+all`{of} lets everybody on the internet pass"),
                "end the record with `-all` or `~all`",
            ),
            Some((_, Term::All('?'))) if outermost => notes.warning(
                "spf-neutral",
                "`?all` says nothing about mail from elsewhere",
                "end the record with `-all` or `~all`",
            ),
            None if outermost && !redirect => notes.warning(
                "spf-open-end",
                "the record has no `all` at its end, so it says nothing about mail from elsewhere",
                "end the record with `-all` or `~all`",
            ),
            _ => {}
        }
        if let Some(at) = all {
            let ignored: Vec<&str> = terms
                .iter()
                .enumerate()
                .filter(|(index, (_, term))| {
                    let modifier = matches!(term, Term::Other | Term::Redirect(_));
                    (*index > at && !modifier) || matches!(term, Term::Redirect(_))
                })
                .map(|(_, (word, _))| *word)
                .collect();
            if !ignored.is_empty() {
                notes.warning(
                    "spf-ignored",
                    format!("`all`{of} ends the record, so {} is never looked at", ignored.join(" ")),
                    "put `all` at the very end, and take `redirect` out",
                );
            }
        }
    }

    fn term(&mut self, domain: &str, outermost: bool, word: &str, term: &Term, of: &str, notes: &mut Notes<'_>) {
        match term {
            Term::All(_) | Term::Other => {}
            Term::Ip(ip, length) => {
                let whole = if ip.is_ipv4() { 32 } else { 128 };
                if *length == whole && outermost {
                    self.add_own(*ip);
                }
                let wide = if ip.is_ipv4() { 8 } else { 16 };
                if *length == 0 {
                    notes.error("spf-all", format!("`{word}`{of} lets everybody pass"), "name your own networks");
                } else if *length <= wide {
                    notes.warning(
                        "spf-wide",
                        format!("`{word}`{of} lets a huge network pass"),
                        "name your own networks",
                    );
                }
            }
            Term::Ptr => {
                self.lookups += 1;
                notes.warning(
                    "spf-ptr",
                    format!(
                        "`{word}`{of} is slow, and some receivers ignore it (RFC 7208, section 5.5: do not use it)"
                    ),
                    "name the addresses with `ip4:`, `ip6:` or `a:`",
                );
            }
            Term::A(name, single) => {
                self.lookups += 1;
                let name = name.as_deref().unwrap_or(domain);
                if !has_macro(name) {
                    self.addresses_of(name, outermost && *single, word, of, notes);
                }
            }
            Term::Mx(name, single) => {
                self.lookups += 1;
                let name = name.as_deref().unwrap_or(domain);
                if !has_macro(name) {
                    self.exchanges_of(name, outermost && *single, word, of, notes);
                }
            }
            Term::Exists(name) => {
                self.lookups += 1;
                if !has_macro(name) {
                    let answer = self.lookup.get(name, Kind::A);
                    self.count_void(&[&answer], word, of, notes);
                }
            }
            Term::Include(name) | Term::Redirect(name) => {
                self.lookups += 1;
                // Receivers look at `redirect` only where there is no `all`; that is noted elsewhere.
                self.follow(name, word, of, notes);
            }
        }
    }

    fn add_own(&mut self, ip: IpAddr) {
        if self.own.len() < ADDRESSES && !self.own.contains(&ip) {
            self.own.push(ip);
        }
    }

    fn addresses_of(&mut self, name: &str, own: bool, word: &str, of: &str, notes: &mut Notes<'_>) {
        let (v4, v6) = (self.lookup.get(name, Kind::A), self.lookup.get(name, Kind::Aaaa));
        self.count_void(&[&v4, &v6], word, of, notes);
        if own {
            v4.addresses().chain(v6.addresses()).for_each(|ip| self.add_own(ip));
        }
    }

    fn exchanges_of(&mut self, name: &str, own: bool, word: &str, of: &str, notes: &mut Notes<'_>) {
        let answer = self.lookup.get(name, Kind::Mx);
        self.count_void(&[&answer], word, of, notes);
        let exchanges = super::address::exchanges(answer.records());
        if exchanges.len() > EXCHANGES {
            notes.error(
                "spf-mx",
                format!("`{word}`{of}: {name} has more than {EXCHANGES} mail exchanges, and receivers refuse that (permerror)"),
                "name the addresses with `ip4:` and `ip6:`",
            );
        }
        if own {
            for (_, exchange) in exchanges.into_iter().take(EXCHANGES) {
                for kind in [Kind::A, Kind::Aaaa] {
                    self.lookup.get(exchange, kind).addresses().for_each(|ip| self.add_own(ip));
                }
            }
        }
    }

    /// Counts a look-up that leads nowhere.
    fn count_void(&mut self, answers: &[&Answer], word: &str, of: &str, notes: &mut Notes<'_>) {
        if let Some(failure) = answers.iter().find_map(|answer| answer.failure()) {
            notes.warning(
                "dns",
                format!("`{word}`{of} could not be looked up: {}", failure.text()),
                "run the check again; if it stays, look at the name servers of this name",
            );
        } else if answers.iter().all(|answer| answer.records().is_empty()) {
            self.void += 1;
            notes.info(
                "spf-nowhere",
                format!("`{word}`{of} leads nowhere"),
                "take it out, or give the name its record",
            );
        }
    }

    fn follow(&mut self, name: &str, word: &str, of: &str, notes: &mut Notes<'_>) {
        if has_macro(name) {
            notes.info("spf-macro", format!("`{word}`{of} depends on the message, and was not followed"), "");
            return;
        }
        if let Some(provider) = providers::of_include(name)
            && !self.providers.contains(&provider.name)
        {
            self.providers.push(provider.name.clone());
        }
        if self.path.iter().any(|domain| domain.eq_ignore_ascii_case(name)) {
            notes.error("spf-loop", format!("`{word}`{of} leads round in a circle (permerror)"), "take it out");
            return;
        }
        if self.path.len() >= DEPTH {
            return;
        }
        match record_of(self.lookup, name) {
            Ok(Some(record)) => self.record(name, &record, notes),
            Ok(None) => {
                self.void += 1;
                notes.error(
                    "spf-include",
                    format!("`{word}`{of} leads to a name without an SPF record: SPF fails for all mail that gets that far (permerror)"),
                    "correct the name, or take it out",
                );
            }
            Err(Bad::Several(records)) => notes.error(
                "spf-include",
                format!("`{word}`{of} leads to a name with {} SPF records (permerror)", records.len()),
                "tell whoever runs that name, or take it out",
            ),
            Err(Bad::Failed(failure)) => notes.warning(
                "dns",
                format!("`{word}`{of} could not be looked up: {}", failure.text()),
                "run the check again; if it stays, look at the name servers of this name",
            ),
        }
    }
}

/// What will be asked about these terms, so that it can be asked at once.
fn questions(domain: &str, terms: &[(&str, Term)]) -> Vec<Question> {
    let mut questions = Vec::new();
    for (_, term) in terms {
        match term {
            Term::Include(name) | Term::Redirect(name) => questions.push(Question::new(name, Kind::Txt)),
            Term::A(name, _) => {
                let name = name.as_deref().unwrap_or(domain);
                questions.extend([Kind::A, Kind::Aaaa].map(|kind| Question::new(name, kind)));
            }
            Term::Mx(name, _) => questions.push(Question::new(name.as_deref().unwrap_or(domain), Kind::Mx)),
            _ => {}
        }
    }
    questions.retain(|question| is_name(&question.name));
    questions.truncate(usize::try_from(FOLLOWED).unwrap_or(usize::MAX));
    questions
}

/// Reads one term (section 12).
fn term(word: &str) -> Result<Term, String> {
    if let Some((name, value)) = modifier(word) {
        return match name.to_ascii_lowercase().as_str() {
            "redirect" => target(value).map(Term::Redirect),
            "exp" => target(value).map(|_| Term::Other),
            _ => macros(value).map(|_| Term::Other),
        };
    }
    let (qualifier, rest) = match word.chars().next() {
        Some(sign @ ('+' | '-' | '~' | '?')) => (sign, &word[1..]),
        _ => ('+', word),
    };
    let end = rest.find([':', '/']).unwrap_or(rest.len());
    let (name, argument) = rest.split_at(end);
    let value = argument.strip_prefix(':');
    match name.to_ascii_lowercase().as_str() {
        "all" if argument.is_empty() => Ok(Term::All(qualifier)),
        "all" => Err("`all` takes nothing after it".to_owned()),
        "include" => target(value.unwrap_or_default()).map(Term::Include),
        "exists" => target(value.unwrap_or_default()).map(Term::Exists),
        "ptr" => value.map_or(Ok(Term::Ptr), |value| target(value).map(|_| Term::Ptr)),
        "a" => with_prefix(argument).map(|(name, single)| Term::A(name, single)),
        "mx" => with_prefix(argument).map(|(name, single)| Term::Mx(name, single)),
        "ip4" => network::<Ipv4Addr>(value.unwrap_or_default(), 32, "an IPv4"),
        "ip6" => network::<Ipv6Addr>(value.unwrap_or_default(), 128, "an IPv6"),
        "" => Err("a mechanism is missing".to_owned()),
        name => Err(format!("there is no mechanism `{name}`")),
    }
}

/// A modifier is a name, `=`, and a value; `=` may also stand in the macro of a mechanism.
fn modifier(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let begins = name.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
    (begins && name.bytes().all(plain)).then_some((name, value))
}

/// A domain that may have macros in it (section 7.1).
fn target(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("a domain name is missing".to_owned());
    }
    let has_macros = macros(text)?;
    if has_macros || is_name(text.trim_end_matches('.')) {
        Ok(text.trim_end_matches('.').to_ascii_lowercase())
    } else {
        Err(format!("`{text}` is no domain name"))
    }
}

/// What follows `a` and `mx`: a domain, and prefix lengths `/24//64`; whether it means single addresses.
fn with_prefix(argument: &str) -> Result<(Option<String>, bool), String> {
    let (name, prefix) = match argument.find('/') {
        // A slash within a macro is a delimiter.
        Some(at) if !argument[..at].contains("%{") => argument.split_at(at),
        _ => (argument, ""),
    };
    let name = name.strip_prefix(':').map(target).transpose()?;
    if prefix.is_empty() {
        return Ok((name, true));
    }
    let (v4, v6) = match prefix.strip_prefix("//") {
        Some(v6) => (None, Some(v6)),
        None => match prefix[1..].split_once("//") {
            Some((v4, v6)) => (Some(v4), Some(v6)),
            None => (Some(&prefix[1..]), None),
        },
    };
    let bad = |text: Option<&str>, most: u8| text.is_some_and(|text| length(text, most).is_none());
    if bad(v4, 32) || bad(v6, 128) {
        return Err(format!("`{prefix}` is no prefix length"));
    }
    Ok((name, false))
}

fn length(text: &str, most: u8) -> Option<u8> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse::<u8>().ok().filter(|length| digits && *length <= most)
}

fn network<T: std::str::FromStr + Into<IpAddr>>(value: &str, most: u8, kind: &str) -> Result<Term, String> {
    let (address, prefix) = value.split_once('/').map_or((value, None), |(address, prefix)| (address, Some(prefix)));
    let ip: T = address.parse().map_err(|_| format!("`{address}` is not {kind} address"))?;
    let length = match prefix {
        None => most,
        Some(prefix) => length(prefix, most).ok_or_else(|| format!("`/{prefix}` is no prefix length"))?,
    };
    Ok(Term::Ip(ip.into(), length))
}

fn has_macro(name: &str) -> bool {
    name.contains('%')
}

/// Whether a text has macros; an error where one cannot be read (section 7.1).
fn macros(text: &str) -> Result<bool, String> {
    let mut rest = text;
    let mut found = false;
    while let Some(at) = rest.find('%') {
        found = true;
        let after = &rest[at + 1..];
        rest = match after.bytes().next() {
            Some(b'%' | b'_' | b'-') => &after[1..],
            Some(b'{') => {
                let end = after.find('}').ok_or("a macro has no `}`")?;
                macro_letter(&after[1..end])?;
                &after[end + 1..]
            }
            _ => return Err("`%` begins no macro".to_owned()),
        };
    }
    Ok(found)
}

fn macro_letter(inside: &str) -> Result<(), String> {
    let mut rest = inside.bytes().peekable();
    let letter = rest.next().map(|byte| byte.to_ascii_lowercase());
    let known = letter.is_some_and(|byte| b"slodiphcrtv".contains(&byte));
    while rest.next_if(u8::is_ascii_digit).is_some() {}
    rest.next_if(|byte| byte.eq_ignore_ascii_case(&b'r'));
    if known && rest.all(|byte| b".-+,/_=".contains(&byte)) {
        Ok(())
    } else {
        Err(format!("`%{{{inside}}}` is no macro"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::lookup::tests::Zone;
    use super::*;

    #[test]
    fn terms() {
        let check = |word: &str, expected: Result<Term, &str>| {
            let found = term(word);
            match (&found, &expected) {
                (Err(found), Err(part)) => assert!(found.contains(part), "{word}: {found}"),
                _ => assert_eq!(found, expected.map_err(str::to_owned), "{word}"),
            }
        };
        let ip = |text: &str, length| Ok(Term::Ip(text.parse().unwrap(), length));
        check("-all", Ok(Term::All('-')));
        check("ALL", Ok(Term::All('+')));
        check("all:x", Err("nothing after"));
        check("include:_spf.Example.com.", Ok(Term::Include("_spf.example.com".to_owned())));
        check("include:", Err("missing"));
        check("include", Err("missing"));
        check("include:a..b", Err("no domain name"));
        check("a", Ok(Term::A(None, true)));
        check("a/24", Ok(Term::A(None, false)));
        check("a:mail.example.com/24//64", Ok(Term::A(Some("mail.example.com".to_owned()), false)));
        check("mx//64", Ok(Term::Mx(None, false)));
        check("a/33", Err("no prefix length"));
        check("a/", Err("no prefix length"));
        check("?ip4:192.0.2.1", ip("192.0.2.1", 32));
        check("ip4:192.0.2.0/24", ip("192.0.2.0", 24));
        check("ip4:192.0.2", Err("not an IPv4"));
        check("ip4:2001:db8::1", Err("not an IPv4"));
        check("ip6:2001:db8::/32", ip("2001:db8::", 32));
        check("ip4:192.0.2.1/+8", Err("no prefix length"));
        check("ip", Err("no mechanism `ip`"));
        check("ipv4:192.0.2.1", Err("no mechanism `ipv4`"));
        check("-", Err("missing"));
        check("exists:%{ir}.%{v}._spf.%{d2}", Ok(Term::Exists("%{ir}.%{v}._spf.%{d2}".to_owned())));
        check("exists:%{z}.example.com", Err("no macro"));
        check("exists:%(ir).example.com", Err("begins no macro"));
        check("exists:%{ir.example.com", Err("no `}`"));
        check("redirect=_spf.example.com", Ok(Term::Redirect("_spf.example.com".to_owned())));
        check("redirect=", Err("missing"));
        check("exp=explain.example.com", Ok(Term::Other));
        check("unknown=whatever", Ok(Term::Other));
    }

    const ZONE: &str = "
        _spf.google.com TXT v=spf1 ip4:198.51.100.0/24 ~all
        fine.example TXT v=spf1 mx a:mail.fine.example include:_spf.google.com -all
        fine.example TXT some other text
        fine.example MX 10 mail.fine.example
        mail.fine.example A 192.0.2.25
        mail.fine.example AAAA 2001:db8::25
        none.example TXT v=spf10 -all
        several.example TXT v=spf1 -all
        several.example TXT v=spf1 mx -all
        syntax.example TXT v=spf1 ip4:192.0.2 -all
        plus.example TXT v=spf1 +all
        wide.example TXT v=spf1 ip4:0.0.0.0/0 -all
        neutral.example TXT v=spf1 ip4:192.0.2.1 ?all
        open.example TXT v=spf1 ip4:192.0.2.1
        ptr.example TXT v=spf1 ptr -all
        after.example TXT v=spf1 -all ip4:192.0.2.1
        both.example TXT v=spf1 ip4:192.0.2.1 -all redirect=fine.example
        loop.example TXT v=spf1 include:loop2.example -all
        loop2.example TXT v=spf1 include:loop.example -all
        broken.example TXT v=spf1 include:gone.example -all
        failing.example FAIL
        via.example TXT v=spf1 include:failing.example -all
        void.example TXT v=spf1 a:x1.void.example a:x2.void.example exists:x3.void.example -all
        macro.example TXT v=spf1 include:%{d}._spf.example -all
        redirect.example TXT v=spf1 redirect=fine.example
        ten.example TXT v=spf1 a:m.example a:m.example a:m.example a:m.example a:m.example a:m.example a:m.example a:m.example a:m.example a:m.example -all
        eleven.example TXT v=spf1 a:m.example a:m.example include:ten.example -all
        m.example A 192.0.2.77
        bomb.example TXT v=spf1 include:b1.example include:b1.example include:b1.example include:b1.example include:b1.example include:b1.example -all
        b1.example TXT v=spf1 include:b2.example include:b2.example include:b2.example include:b2.example include:b2.example include:b2.example -all
        b2.example TXT v=spf1 include:b3.example include:b3.example include:b3.example include:b3.example include:b3.example include:b3.example -all
        b3.example TXT v=spf1 a:m.example a:m.example a:m.example a:m.example a:m.example a:m.example -all";

    #[test]
    fn each_fault_is_found() {
        let check = |domain: &str, expected: &[&str]| {
            let mut findings = Vec::new();
            super::check(&mut Zone::new(ZONE), domain, &mut findings);
            let codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
            assert_eq!(codes, expected, "{domain}: {findings:#?}");
        };
        check("fine.example", &["spf"]);
        check("none.example", &["spf-missing"]);
        check("nobody.example", &["spf-missing"]);
        check("several.example", &["spf-several"]);
        check("syntax.example", &["spf-syntax"]);
        check("plus.example", &["spf-all"]);
        check("wide.example", &["spf-all"]);
        check("neutral.example", &["spf-neutral"]);
        check("open.example", &["spf-open-end"]);
        check("ptr.example", &["spf-ptr"]);
        check("after.example", &["spf-ignored"]);
        check("both.example", &["spf-ignored"]);
        check("loop.example", &["spf-loop"]);
        check("broken.example", &["spf-include"]);
        check("failing.example", &["dns"]);
        check("via.example", &["dns"]);
        check("void.example", &["spf-nowhere", "spf-nowhere", "spf-nowhere", "spf-void"]);
        check("macro.example", &["spf-macro", "spf"]);
        check("redirect.example", &["spf"]);
        check("ten.example", &["spf-lookups-near", "spf"]);
        check("eleven.example", &["spf-lookups"]);
    }

    #[test]
    fn look_ups_are_counted_through_includes() {
        let mut findings = Vec::new();
        super::check(&mut Zone::new(ZONE), "eleven.example", &mut findings);
        assert!(findings[0].text.contains("13 look-ups"), "{findings:?}");
        assert!(findings[0].fix.as_deref().unwrap().contains("include:ten.example 11"), "{findings:?}");
    }

    #[test]
    fn a_record_that_grows_without_end_is_left() {
        let (mut zone, mut findings) = (Zone::new(ZONE), Vec::new());
        super::check(&mut zone, "bomb.example", &mut findings);
        assert!(findings.iter().any(|finding| finding.code == "spf-lookups"), "{findings:?}");
        assert!(zone.asked.len() < 200, "{}", zone.asked.len());
    }

    #[test]
    fn addresses_of_its_own() {
        let own = super::check(&mut Zone::new(ZONE), "fine.example", &mut Vec::new());
        assert_eq!(own, ["192.0.2.25".parse::<IpAddr>().unwrap(), "2001:db8::25".parse().unwrap()]);
    }
}
