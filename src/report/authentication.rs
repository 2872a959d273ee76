//! `Authentication-Results` (RFC 8601): what the user's own server found out about a mail, and what of it may be
//! believed.
//!
//! Anyone can write such a field into a mail. Only the topmost run of fields that bear the own server's name counts
//! (section 5): the server adds them above everything that came in from outside.

use std::borrow::Cow;
use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::mail::Header;

use super::address::{self, Mailbox};
use super::text::{split_outside, split_outside_quotes, unquoted, without_comments, without_nul};

/// Bytes of trusted fields that are handed on to be kept.
const KEPT_BYTES: usize = 8 << 10;

/// Fields that the author's own program writes, or that came with the mail.
const AUTHORS: [&str; 11] = [
    "from",
    "to",
    "cc",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "content-type",
    "sender",
    "reply-to",
    "dkim-signature",
];

/// One `Authentication-Results` field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthenticationResults {
    /// Who says so, lower case; `None` where the field names nobody (Microsoft 365, LinkedIn's failure reports).
    pub authserv_id: Option<String>,
    /// The version of the field's format; `None` where absent, which means 1.
    pub version: Option<u32>,
    /// The results in order. Empty for `none`.
    pub results: Vec<MethodResult>,
}

/// What one method found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MethodResult {
    /// `dkim`, `spf`, `dmarc`, …, lower case, without its version.
    pub method: String,
    /// `pass`, `fail`, …, lower case.
    pub result: String,
    /// What it looked at.
    pub properties: Vec<Property>,
}

/// `ptype.property=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// `header`, `smtp`, `policy`, …, lower case; empty where there was none (`reason=`).
    pub ptype: String,
    /// `d`, `from`, `mailfrom`, …, lower case.
    pub property: String,
    /// The value without quotes.
    pub value: String,
}

/// What the trusted results say about a mail's `From` domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// An aligned pass, and the domain that passed.
    Pass(String),
    /// The own server looked and found no aligned pass.
    Fail,
    /// The own server said nothing that may be believed.
    None,
}

impl Verdict {
    /// The word in `message.auth`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Verdict::Pass(_) => "pass",
            Verdict::Fail => "fail",
            Verdict::None => "none",
        }
    }

    /// The aligned domain that passed.
    pub fn domain(&self) -> Option<&str> {
        match self {
            Verdict::Pass(domain) => Some(domain),
            _ => None,
        }
    }
}

/// How a mail was authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// What the trusted fields say.
    pub verdict: Verdict,
    /// The own server says that the mail failed: more than that it found no proof.
    pub failed: bool,
    /// The domain of the one address in the one `From` field, canonical.
    pub from_domain: Option<String>,
    /// The trusted fields as received, unfolded, together at most 8 KiB.
    pub fields: Vec<String>,
}

/// Judges a mail by its header fields. `authserv_id` names the user's own server; without one nothing can be believed.
pub fn assess(headers: &[Header<'_>], authserv_id: Option<&str>) -> Authentication {
    let from = headers.iter().find(|header| is_from(header));
    let authors = from.map(|field| address::mailboxes(&unfolded(&field.value))).unwrap_or_default();
    assess_from(headers, &authors, authserv_id)
}

/// The same where the mailboxes of the first `From` field have been read already.
pub fn assess_from(headers: &[Header<'_>], authors: &[Mailbox], authserv_id: Option<&str>) -> Authentication {
    let fields = authserv_id.map_or_else(Vec::new, |id| trusted_fields(headers, id));
    let (fields, parsed): (Vec<String>, Vec<AuthenticationResults>) = fields.into_iter().unzip();
    let from_domain = sole_from_domain(headers, authors);
    let verdict = match &from_domain {
        _ if fields.is_empty() => Verdict::None,
        Some(from) => verdict(&parsed, from),
        None => Verdict::Fail,
    };
    let failed = verdict == Verdict::Fail && is_failure(&parsed);
    let mut room = KEPT_BYTES;
    let fields = fields.into_iter().take_while(|field| {
        let fits = field.len() <= room;
        room = room.saturating_sub(field.len());
        fits
    });
    Authentication { verdict, failed, from_domain, fields: fields.map(|field| without_nul(&field)).collect() }
}

/// The `Authentication-Results` fields that may be believed, unfolded, and what they say: the topmost run that names
/// `authserv_id`.
///
/// The run ends at the first such field of another name, at any `Received` field below its first field, and where the
/// author's own fields begin; it does not begin below a `Received` field that the own servers did not add (the topmost
/// one is always theirs). All below came with the mail.
fn trusted_fields(headers: &[Header<'_>], authserv_id: &str) -> Vec<(String, AuthenticationResults)> {
    let own = authserv_id.trim().to_ascii_lowercase();
    let mut run = Vec::new();
    let (mut topmost, mut topmost_by) = (None::<&Header<'_>>, None::<String>);
    for header in headers {
        let name = header.name.trim();
        if name.eq_ignore_ascii_case("authentication-results") {
            let field = unfolded(&header.value);
            let parsed = parse(&field);
            if parsed.authserv_id.as_deref() != Some(own.as_str()) {
                break;
            }
            run.push((field, parsed));
        } else if name.eq_ignore_ascii_case("received") {
            if !run.is_empty() {
                break;
            }
            let Some(topmost) = topmost else {
                topmost = Some(header);
                continue;
            };
            let by = received_by(&header.value);
            let is_own = by == *topmost_by.get_or_insert_with(|| received_by(&topmost.value));
            if !is_own && organizational(&by) != organizational(&own) {
                break;
            }
        } else if AUTHORS.iter().any(|field| name.eq_ignore_ascii_case(field)) {
            break;
        }
    }
    run
}

/// Reads one field. Lenient: what is not understood is skipped, nothing is invented.
pub fn parse(value: &str) -> AuthenticationResults {
    let value = without_comments(value);
    let mut segments = split_outside_quotes(&value, b';');
    let mut found = AuthenticationResults::default();
    let first = segments.next().unwrap_or_default();
    let mut words = words(first).into_iter();
    match words.next() {
        Some(word) if !word.contains('=') => {
            found.authserv_id = Some(unquoted(&word).to_ascii_lowercase());
            found.version = words.next().and_then(|word| word.parse().ok());
        }
        Some(_) => found.results.extend(method_result(first)),
        None => {}
    }
    found.results.extend(segments.filter_map(method_result));
    found
}

/// What results say about a `From` domain (canonical). A method that a field higher up has stated is not restated by
/// one further down: that is how a field that came with the mail would speak.
pub fn verdict(fields: &[AuthenticationResults], from: &str) -> Verdict {
    let stated = |method: &str| -> Vec<&MethodResult> {
        let named = |field: &&AuthenticationResults| field.results.iter().any(|r| r.method == method);
        let field = fields.iter().find(named);
        field.into_iter().flat_map(|field| field.results.iter().filter(|r| r.method == method)).collect()
    };
    let dmarc = stated("dmarc");
    let about_from = |result: &&&MethodResult| {
        let named = result.value("header", "from").and_then(address::domain);
        named.is_none_or(|domain| domain == from)
    };
    if dmarc.iter().filter(about_from).any(|result| result.result == "pass") {
        return Verdict::Pass(from.to_owned());
    }
    if dmarc.iter().any(|result| result.result == "fail") {
        return Verdict::Fail;
    }
    let passed = stated("dkim").into_iter().chain(stated("spf")).filter(|result| result.result == "pass");
    let mut aligned = passed.filter_map(MethodResult::identity).filter(|domain| is_aligned(domain, from));
    aligned.next().map_or(Verdict::Fail, Verdict::Pass)
}

/// Whether results without an aligned pass speak against the mail: DMARC failed, or, from a server that does not judge
/// DMARC, something failed and nothing passed. A domain without a policy, a lookup that went wrong, and a pass of somebody
/// else's domain prove nothing.
fn is_failure(fields: &[AuthenticationResults]) -> bool {
    let results = |method: &str| {
        let of = |field: &&AuthenticationResults| field.results.iter().any(|r| r.method == method);
        let words = fields.iter().find(of).into_iter().flat_map(|field| &field.results);
        words.filter(|r| r.method == method).map(|r| r.result.as_str()).collect::<Vec<_>>()
    };
    let dmarc = results("dmarc");
    if !dmarc.is_empty() {
        return dmarc.contains(&"fail");
    }
    let others = [results("dkim"), results("spf")].concat();
    others.contains(&"fail") && !others.contains(&"pass")
}

/// Relaxed alignment (RFC 7489, section 3.1): both have the same organizational domain. Both canonical.
pub fn is_aligned(domain: &str, from: &str) -> bool {
    domain == from || organizational(domain) == organizational(from)
}

/// The organizational domain: one label below the public suffix; the domain itself where it is a public suffix.
pub fn organizational(domain: &str) -> &str {
    psl::domain_str(domain).unwrap_or(domain)
}

/// Organizational domains with numbers, for whoever compares the same few tens of thousands of times.
#[derive(Debug, Default)]
pub struct Organizations<'a> {
    /// By any domain that was asked for.
    known: HashMap<&'a str, Organization<'a>, RandomState>,
    numbers: HashMap<&'a str, u32, RandomState>,
}

/// An organizational domain; two of the same [`Organizations`] are told apart by number alone.
#[derive(Clone, Copy, Debug)]
pub struct Organization<'a> {
    number: u32,
    /// Itself.
    pub domain: &'a str,
}

impl PartialEq for Organization<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Organization<'_> {}

impl<'a> Organizations<'a> {
    /// That of [`organizational`].
    pub fn of(&mut self, domain: &'a str) -> Organization<'a> {
        if let Some(known) = self.known.get(domain) {
            return *known;
        }
        let found = organizational(domain);
        // There are never as many as 2^32: each takes more than a byte.
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(found).or_insert(next);
        let organization = Organization { number, domain: found };
        self.known.insert(domain, organization);
        organization
    }
}

impl MethodResult {
    /// The value of a property, without quotes.
    pub fn value(&self, ptype: &str, property: &str) -> Option<&str> {
        let found = self.properties.iter().find(|p| p.ptype == ptype && p.property == property)?;
        Some(&found.value)
    }

    /// The domain a DKIM or SPF result is about, canonical: `header.d`, else that of `header.i`; the domain of
    /// `smtp.mailfrom` (`smtp.mail`, `smtp.mfrom` of older senders). A HELO identity never aligns.
    pub fn identity(&self) -> Option<String> {
        let value = match self.method.as_str() {
            "dkim" => self.value("header", "d").or_else(|| self.value("header", "i"))?,
            "spf" => ["mailfrom", "mail", "mfrom"].iter().find_map(|name| self.value("smtp", name))?,
            _ => return None,
        };
        let value = value.trim_matches(['<', '>']);
        address::domain(value.rsplit('@').next().unwrap_or(value))
    }
}

/// The domain of the one address in the one `From` field; `None` where there are several, which nobody can vouch for.
fn sole_from_domain(headers: &[Header<'_>], authors: &[Mailbox]) -> Option<String> {
    let fields = headers.iter().filter(|header| is_from(header)).count();
    match authors {
        [author] if fields == 1 => author.address.as_ref().ok().map(|address| address.domain.clone()),
        _ => None,
    }
}

fn is_from(header: &Header<'_>) -> bool {
    header.name.trim().eq_ignore_ascii_case("from")
}

fn unfolded(value: &str) -> String {
    let value = value.trim();
    let mut out = String::with_capacity(value.len());
    let mut from = 0;
    for end in memchr::memchr2_iter(b'\r', b'\n', value.as_bytes()) {
        out.push_str(&value[from..end]);
        from = end + 1;
    }
    out.push_str(&value[from..]);
    out
}

/// The host after `by` in a `Received` field, lower case; empty where there is none.
fn received_by(value: &str) -> String {
    let value = unfolded(value);
    let value = without_comments(&value);
    let mut words = value.split_ascii_whitespace();
    let by = words.by_ref().find(|word| word.eq_ignore_ascii_case("by")).and_then(|_| words.next());
    by.unwrap_or_default().trim_end_matches([';', '.']).to_ascii_lowercase()
}

/// One `method=result property…` segment; `None` for `none` and for what is no result.
fn method_result(segment: &str) -> Option<MethodResult> {
    let words = words(segment);
    let mut pairs = words.iter().filter_map(|word| word.split_once('='));
    let (method, result) = pairs.next()?;
    let method = method.split('/').next().unwrap_or_default();
    let properties = pairs.map(|(key, value)| {
        let (ptype, property) = key.split_once('.').unwrap_or(("", key));
        Property {
            ptype: ptype.to_ascii_lowercase(),
            property: property.to_ascii_lowercase(),
            value: unquoted(value).into_owned(),
        }
    });
    Some(MethodResult {
        method: method.to_ascii_lowercase(),
        result: unquoted(result).to_ascii_lowercase(),
        properties: properties.collect(),
    })
}

/// Words split at white space outside quotes, with white space around `=` closed up (`header.d = x`).
fn words(segment: &str) -> Vec<Cow<'_, str>> {
    let mut words: Vec<Cow<'_, str>> = Vec::new();
    for word in split_outside(segment, is_white) {
        if word.is_empty() {
            continue;
        }
        match words.last_mut() {
            Some(last) if last.ends_with('=') || word.starts_with('=') => last.to_mut().push_str(word),
            _ => words.push(Cow::Borrowed(word)),
        }
    }
    words
}

fn is_white(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&'static str]) -> Vec<Header<'static>> {
        let split = |line: &&'static str| line.split_once(": ").expect("name: value");
        lines.iter().map(split).map(|(name, value)| Header { name: name.into(), value: value.into() }).collect()
    }

    #[test]
    fn one_field() {
        let field = parse(
            "mx.Example.com 1; dkim=fail (a; b) reason=\"bad; sig\" header.d = sender.example\r\n header.i=@x; \
                           spf/1=Pass smtp.mailfrom=\"a b\"@x.example; none",
        );
        assert_eq!(field.authserv_id.as_deref(), Some("mx.example.com"));
        assert_eq!(field.version, Some(1));
        let shown: Vec<_> = field.results.iter().map(|r| (r.method.as_str(), r.result.as_str())).collect();
        assert_eq!(shown, [("dkim", "fail"), ("spf", "pass")]);
        assert_eq!(field.results[0].value("", "reason"), Some("bad; sig"));
        assert_eq!(field.results[0].identity().as_deref(), Some("sender.example"));
        assert_eq!(field.results[1].identity().as_deref(), Some("x.example"));
        assert_eq!(parse("mx.example.com; none").results, []);
        assert_eq!(parse(""), AuthenticationResults::default());
    }

    #[test]
    fn fields_that_name_nobody() {
        let field = parse("spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=sender.example; dkim=none");
        assert_eq!(field.authserv_id, None);
        assert_eq!(field.results.len(), 2);
        // Yahoo's own dialect: identities in front of the first semicolon.
        let field =
            parse("mta1.yahoo.com  from=example.jp; domainkeys=neutral (no sig);  from=amazonses.com; dkim=pass (ok)");
        assert_eq!(field.authserv_id.as_deref(), Some("mta1.yahoo.com"));
    }

    #[test]
    fn verdicts() {
        let check = |fields: &[&str], expected: Verdict| {
            let parsed: Vec<_> = fields.iter().map(|field| parse(field)).collect();
            assert_eq!(verdict(&parsed, "fbl.isp.example"), expected, "{fields:?}");
        };
        let pass = |domain: &str| Verdict::Pass(domain.to_owned());
        check(&["mx; dmarc=pass header.from=fbl.isp.example"], pass("fbl.isp.example"));
        check(&["mx; dmarc=pass"], pass("fbl.isp.example"));
        check(&["mx; dmarc=pass header.from=other.example"], Verdict::Fail);
        check(&["mx; dkim=pass header.d=isp.example"], pass("isp.example"));
        check(&["mx; dkim=pass header.i=@mail.isp.example"], pass("mail.isp.example"));
        check(&["mx; dkim=pass header.d=other.example; dkim=pass header.d=isp.example"], pass("isp.example"));
        check(&["mx; dkim=pass header.d=example"], Verdict::Fail);
        check(&["mx; dkim=fail header.d=isp.example"], Verdict::Fail);
        check(&["mx; spf=pass smtp.mailfrom=bounce@isp.example"], pass("isp.example"));
        check(&["mx; spf=pass smtp.helo=isp.example"], Verdict::Fail);
        check(&["mx; dkim=pass header.d=isp.example; dmarc=fail header.from=fbl.isp.example"], Verdict::Fail);
        check(&["mx; dmarc=fail", "mx; dmarc=pass"], Verdict::Fail);
        check(&["mx; dkim=fail header.d=isp.example", "mx; dkim=pass header.d=isp.example"], Verdict::Fail);
        check(&["mx; dmarc=none; spf=pass smtp.mailfrom=isp.example"], pass("isp.example"));
        check(&["mx; none"], Verdict::Fail);
    }

    #[test]
    fn failing_is_more_than_not_passing() {
        let check = |fields: &[&str], expected: bool| {
            let parsed: Vec<_> = fields.iter().map(|field| parse(field)).collect();
            assert_eq!(is_failure(&parsed), expected, "{fields:?}");
        };
        check(&["mx; spf=fail smtp.mailfrom=evil.example; dmarc=fail"], true);
        check(&["mx; dkim=pass header.d=evil.example; dmarc=fail"], true);
        check(&["mx; dmarc=fail", "mx; dmarc=pass"], true);
        check(&["mx; spf=fail; dmarc=none"], false);
        check(&["mx; spf=fail; dmarc=temperror"], false);
        check(&["mx; spf=fail; dkim=none"], true);
        check(&["mx; spf=softfail; dkim=none"], false);
        check(&["mx; spf=fail; dkim=pass header.d=provider.example"], false);
        check(&["mx; none"], false);
    }

    #[test]
    fn alignment_needs_the_public_suffix_list() {
        let check = |a: &str, b: &str, expected: bool| assert_eq!(is_aligned(a, b), expected, "{a} {b}");
        check("a.example.co.uk", "b.example.co.uk", true);
        check("one.co.uk", "two.co.uk", false);
        check("co.uk", "two.co.uk", false);
        check("mail.example.com", "example.com", true);
        check("badexample.com", "example.com", false);
    }

    #[test]
    fn organizations_are_those_of_their_domains() {
        let domains = [
            "a.b.example.co.uk",
            "example.co.uk",
            "other.co.uk",
            "co.uk",
            "example.com",
            "mail.example.com",
            "example.com.",
            "x.github.io",
            "com",
            "",
            ".",
            "bücher.example",
        ];
        let mut known = Organizations::default();
        for one in domains {
            assert_eq!(known.of(one).domain, organizational(one), "{one}");
            for other in domains {
                let same = known.of(one) == known.of(other);
                assert_eq!(same, organizational(one) == organizational(other), "{one} {other}");
            }
        }
    }

    /// RFC 8601, section 5, and `hostile/mail/m16`.
    #[test]
    fn only_the_topmost_run_counts() {
        let own = "Authentication-Results: mx.example.com; dmarc=pass header.from=isp.example";
        let failed = "Authentication-Results: mx.example.com; spf=fail smtp.mailfrom=evil.example; dmarc=fail";
        let dkim = "Authentication-Results: mx.example.com; dkim=pass header.d=isp.example";
        let spf = "Authentication-Results: mx.example.com; spf=fail smtp.mailfrom=evil.example";
        let foreign = "Authentication-Results: mx.evil.example; dmarc=pass header.from=isp.example";
        let from = "From: fbl@isp.example";
        let inner = "Received: from mx.example.com by imap1.backend.test with LMTP; x";
        let border = "Received: from mta.isp.example by mx.example.com with ESMTPS; x";
        let outside = "Received: from a by mta.isp.example; x";
        let check = |lines: &[&'static str], expected: &str| {
            let found = assess(&headers(lines), Some("MX.example.com"));
            assert_eq!(found.verdict.as_str(), expected, "{lines:#?}");
        };
        check(&[own, from], "pass");
        check(&[border, own, from], "pass");
        check(&[own, border, from], "pass");
        check(&[inner, border, own, outside, from], "pass");
        check(&[own, border, outside, from, foreign], "pass");
        check(&[border, "Received-SPF: pass", own, from], "pass");
        check(&[border, dkim, failed, from], "fail");
        check(&[border, failed, from, own], "fail");
        check(&[border, failed, own, from], "fail");
        check(&[spf, border, own, from], "fail");
        check(&[border, foreign, own, from], "none");
        check(&[border, outside, own, from], "none");
        check(&[border, from, own], "none");
        check(&[border, "DKIM-Signature: v=1", own, from], "none");
        check(&[border, from], "none");
        check(&[own, "From: fbl@isp.example, x@evil.example"], "fail");
        check(&[own, from, "From: x@evil.example"], "fail");
        check(&[own], "fail");
        assert_eq!(assess(&headers(&[own, from]), None).verdict, Verdict::None);
    }

    #[test]
    fn kept_fields_are_bounded() {
        let long: &'static str =
            Box::leak(format!("Authentication-Results: mx; x={}", "a".repeat(5000)).into_boxed_str());
        let found = assess(&headers(&[long, long, long, "From: a@b.example"]), Some("mx"));
        assert_eq!(found.fields.len(), 1);
    }
}
