//! `summary` by source for programs.

use serde_json::{Map, Value as Json, json};

use crate::classify::tighten::words as advice_words;
use crate::classify::{Class, Facts, Tally};
use crate::query::{Counts, Window};
use crate::render::{Field, sheet};
use crate::review::verdict::outcome;
use crate::review::{Domain, Judged, Review};

macro_rules! count {
    ($name:ident) => {
        Field::integer(stringify!($name), |row: &Judged| row.facts.counts.$name.into())
    };
}

/// A source.
pub(in crate::cli) const SOURCE: &[Field<Judged>] = &[
    Field::text("source_ip", |row: &Judged| (&row.ip).into()),
    count!(messages),
    count!(dmarc_pass),
    count!(dkim_pass),
    count!(spf_pass),
    count!(unknown),
    count!(quarantine),
    count!(reject),
    count!(complaints),
    Field::text("name", |row: &Judged| row.name().map(str::to_owned).into()),
    Field::text("class", |row: &Judged| row.verdict.class.as_str().into()),
    Field::time("first_at", |row: &Judged| row.facts.first_at.into()),
    Field::time("last_at", |row: &Judged| row.facts.last_at.into()),
    Field::text("why", |row: &Judged| row.why().into()),
    Field::text("provider", |row: &Judged| (&row.facts.known().provider).into()),
];

/// What every summary begins with.
pub(in crate::cli) fn head(window: Window, domains: &[String], totals: Counts, previous: Counts) -> Json {
    json!({
        "since_at": window.since,
        "until_at": window.until,
        "domains": domains,
        "totals": counts(totals),
        "previous": counts(previous),
    })
}

/// A review with `sources` of it.
pub(in crate::cli) fn document<'a>(review: &Review, explain: bool, sources: impl Iterator<Item = &'a Judged>) -> Json {
    let names: Vec<String> = review.domains.iter().map(|domain| domain.standing.domain.clone()).collect();
    let mut document = head(review.window, &names, review.totals, review.previous);
    let found = outcome(review);
    document["verdict"] = found.verdict.into();
    document["more"] = found.more.into();
    document["action"] = found.action.into();
    document["totals"]["forwarded"] = review.forwarded().into();
    document["policies"] = review.domains.iter().map(policy).collect();
    let one = |source: &Judged| {
        let mut object = sheet::object(SOURCE, source);
        if explain {
            object["facts"] = Json::Object(facts(&source.facts));
        }
        object
    };
    document["sources"] = sources.map(one).collect();
    document
}

/// A policy domain: its policy, what fails by class of source, and the advice.
pub(in crate::cli) fn policy(domain: &Domain) -> Json {
    let standing = &domain.standing;
    let policy = &standing.policy;
    let fails = Class::ALL.map(|class| (class.as_str().to_owned(), Json::from(standing.fails.of(class))));
    json!({
        "domain": standing.domain,
        "p": policy.p,
        "sp": policy.sp,
        "np": policy.np,
        "adkim": policy.adkim,
        "aspf": policy.aspf,
        "pct": policy.pct,
        "testing": policy.testing,
        "reports": domain.reports,
        "days": standing.days,
        "messages": standing.messages,
        "fail": Map::from_iter(fails),
        "next": policy.next(),
        "advice": domain.advice.as_str(),
        "why": advice_words(standing, &domain.advice),
    })
}

fn counts(counts: Counts) -> Json {
    json!({
        "messages": counts.messages,
        "dmarc_pass": counts.dmarc_pass,
        "dkim_pass": counts.dkim_pass,
        "spf_pass": counts.spf_pass,
        "unknown": counts.unknown,
        "quarantine": counts.quarantine,
        "reject": counts.reject,
        "complaints": counts.complaints,
    })
}

/// All that a class rests on.
pub(in crate::cli) fn facts(facts: &Facts) -> Map<String, Json> {
    let known = facts.known();
    let label = known.label.as_ref().map(|label| {
        json!({
            "subject": label.subject,
            "class": label.class.map(Class::as_str),
            "name": label.name,
            "note": label.note,
        })
    });
    let found = json!({
        "messages": facts.counts.messages,
        "dmarc_pass": facts.counts.dmarc_pass,
        "dkim_pass": facts.counts.dkim_pass,
        "spf_pass": facts.counts.spf_pass,
        "fail": facts.counts.fail(),
        "unknown": facts.counts.unknown,
        "pass_forwarded": facts.pass_forwarded,
        "pass_survived": facts.pass_survived,
        "fail_forwarded": facts.fail_forwarded,
        "fail_broken": facts.fail_broken,
        "fail_authenticated": facts.fail_authenticated,
        "fail_bare": facts.fail_bare,
        "fail_key": facts.fail_key,
        "authenticated_as": words(&facts.authenticated_as),
        "spf_as": words(&facts.spf_as),
        "dkim_as": words(&facts.dkim_as),
        "reasons": words(&facts.reasons),
        "seen_before": facts.seen_before,
        "names": known.names,
        "name_is_ours": facts.name_is_ours,
        "provider": known.provider,
        "forwarder": facts.forwarder,
        "neighbour": known.neighbour,
        "lists": known.lists,
        "label": label,
    });
    match found {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}

fn words(tally: &Tally) -> Map<String, Json> {
    tally.iter().map(|(word, messages)| (word.to_owned(), messages.into())).collect()
}
