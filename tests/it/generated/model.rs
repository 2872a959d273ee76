//! Everything that an aggregate report can say (RFC 7489 and RFC 9990), and values for it.

use std::net::{IpAddr, Ipv6Addr};

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

/// A text and its `@lang`.
pub type Told = (String, Option<String>);

/// Everything that an aggregate report can say.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub version: Option<String>,
    pub org_name: Option<String>,
    pub email: Option<String>,
    pub contact: Option<Told>,
    pub report_id: String,
    pub begin: i64,
    pub end: i64,
    pub errors: Vec<Told>,
    pub generator: Option<String>,
    pub policy: Policy,
    pub extension: Option<String>,
    pub records: Vec<Record>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub domain: String,
    pub p: Option<String>,
    pub sp: Option<String>,
    pub np: Option<String>,
    pub adkim: Option<String>,
    pub aspf: Option<String>,
    pub pct: Option<i64>,
    pub fo: Option<String>,
    pub testing: Option<String>,
    pub discovery_method: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub source_ip: IpAddr,
    pub count: u32,
    pub disposition: Option<String>,
    pub dkim: Option<bool>,
    pub spf: Option<bool>,
    pub reasons: Vec<Reason>,
    pub header_from: Option<String>,
    pub envelope_from: Option<String>,
    pub envelope_to: Option<String>,
    pub dkim_results: Vec<Checked>,
    pub spf_results: Vec<Checked>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    pub kind: Option<String>,
    pub comment: Option<Told>,
}

/// A result of DKIM or SPF; `detail` is the selector or the scope.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    pub domain: Option<String>,
    pub detail: Option<String>,
    pub result: Option<String>,
    pub human_result: Option<Told>,
}

fn word(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(words).prop_map(str::to_owned)
}

/// Texts of every script with the characters that XML escapes; mostly of Latin letters, so that every encoding gets
/// its share.
fn text() -> impl Strategy<Value = String> {
    let any = prop_oneof![
        "[ -~]{1,30}",
        "[ -~äöüßéÿ€–]{1,20}",
        "[ -~\u{e000}-\u{e010}\u{a0}-\u{17f}社🦀\u{feff}\u{202e}]{1,20}",
    ];
    any.prop_map(|text| text.trim().to_owned()).prop_filter("not empty", |text| !text.is_empty())
}

fn told() -> impl Strategy<Value = Told> {
    (text(), of(word(&["en", "de", "pt-BR"])))
}

fn domain() -> impl Strategy<Value = String> {
    "[a-z0-9]{1,8}(\\.[a-z]{2,6}){1,2}"
}

fn ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u16; 8]>().prop_filter_map("IPv4 within IPv6 is IPv4", |words| {
            let ip = Ipv6Addr::from(words);
            ip.to_ipv4_mapped().is_none().then_some(IpAddr::V6(ip))
        }),
    ]
}

fn reason() -> impl Strategy<Value = Reason> {
    let kinds =
        &["local_policy", "mailing_list", "forwarded", "trusted_forwarder", "sampled_out", "policy_test_mode", "other"];
    (of(word(kinds)), of(told()))
        .prop_map(|(kind, comment)| Reason { kind, comment })
        .prop_filter("says something", |reason| reason.kind.is_some() || reason.comment.is_some())
}

fn checked(detail: BoxedStrategy<String>, results: &'static [&'static str]) -> impl Strategy<Value = Checked> {
    (of(domain()), of(detail), of(word(results)), of(told()))
        .prop_map(|(domain, detail, result, human_result)| Checked { domain, detail, result, human_result })
        .prop_filter("says something", |checked| {
            checked.domain.is_some()
                || checked.detail.is_some()
                || checked.result.is_some()
                || checked.human_result.is_some()
        })
}

fn record() -> impl Strategy<Value = Record> {
    let dkim = &["none", "pass", "fail", "policy", "neutral", "temperror", "permerror"];
    let spf = &["none", "neutral", "pass", "fail", "softfail", "policy", "temperror", "permerror"];
    let evaluated = (
        ip(),
        1..=1u32 << 31,
        of(word(&["none", "quarantine", "reject", "pass"])),
        of(any::<bool>()),
        of(any::<bool>()),
        vec(reason(), 0..3),
    );
    let identifiers = (of(domain()), of(prop_oneof![3 => domain(), 1 => Just(String::new())]), of(domain()));
    let results = (
        vec(checked("[a-z0-9._-]{1,12}".boxed(), dkim), 0..4),
        vec(checked(word(&["mfrom", "helo"]).boxed(), spf), 0..3),
    );
    (evaluated, identifiers, results).prop_map(|(evaluated, identifiers, results)| Record {
        source_ip: evaluated.0,
        count: evaluated.1,
        disposition: evaluated.2,
        dkim: evaluated.3,
        spf: evaluated.4,
        reasons: evaluated.5,
        header_from: identifiers.0,
        envelope_from: identifiers.1,
        envelope_to: identifiers.2,
        dkim_results: results.0,
        spf_results: results.1,
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    let policies = || of(word(&["none", "quarantine", "reject"]));
    let modes = || of(word(&["r", "s"]));
    let rest = (of(0..=100i64), of(word(&["0", "1", "d:s"])), of(word(&["y", "n"])), of(word(&["psl", "treewalk"])));
    (domain(), policies(), policies(), policies(), modes(), modes(), rest).prop_map(
        |(domain, p, sp, np, adkim, aspf, (pct, fo, testing, discovery_method))| Policy {
            domain,
            p,
            sp,
            np,
            adkim,
            aspf,
            pct,
            fo,
            testing,
            discovery_method,
        },
    )
}

pub fn model() -> impl Strategy<Value = Model> {
    let email = ("[a-z]{1,8}", domain()).prop_map(|(local, domain)| format!("{local}@{domain}"));
    let head = (
        of(word(&["1.0", "0.1", "2"])),
        of(text()),
        of(email),
        of(told()),
        text(),
        (0..4_000_000_000i64, 0..200_000i64),
    );
    let rest = (
        vec(told(), 0..3),
        of(text()),
        policy(),
        of(Just("<x:a xmlns:x=\"urn:x\" b=\"1\">c &amp; d</x:a>".to_owned())),
    );
    (head, rest, vec(record(), 0..6)).prop_map(|(head, rest, records)| Model {
        version: head.0,
        org_name: head.1,
        email: head.2,
        contact: head.3,
        report_id: head.4,
        begin: head.5.0,
        end: head.5.0 + head.5.1,
        errors: rest.0,
        generator: rest.1,
        policy: rest.2,
        extension: rest.3,
        records,
    })
}
