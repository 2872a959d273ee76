//! What `source` and `domain` share: messages told apart in every way, as tables, JSON and a chart.

use std::io::{self, Write};

use serde_json::{Value as Json, json};

use super::answer;
use super::summary::page;
use crate::classify::{Class, Facts};
use crate::query::Counts;
use crate::query::days::Day;
use crate::query::facets::{Facet, Facets};
use crate::query::names::{Names, Outcome};
use crate::render::page::{Page, Tone};
use crate::render::{Field, chart as bars, number, sheet};

/// One way of telling apart.
pub(super) struct Section {
    /// In `section` of flat formats.
    pub word: &'static str,
    /// In JSON.
    pub key: &'static str,
    heading: &'static str,
    fields: &'static [Field<Facet>],
}

/// Rows of a table on a page; the data formats have all.
const ROWS: usize = 12;

macro_rules! fields {
    ($($field:expr),*; $messages:literal) => {
        &[
            $($field,)*
            Field::integer($messages, |row: &Facet| row.messages.into()),
            Field::time("first_at", |row: &Facet| row.first_at.into()).if_wide(2),
            Field::time("last_at", |row: &Facet| row.last_at.into()).if_wide(1),
        ]
    };
}

const fn name(word: &'static str) -> Field<Facet> {
    Field::text(word, |row: &Facet| (&row.name).into())
}

const fn detail(word: &'static str) -> Field<Facet> {
    Field::text(word, |row: &Facet| (&row.detail).into())
}

const RESULT: Field<Facet> = Field::text("result", |row: &Facet| (&row.result).into());
const PASS: Field<Facet> = Field::integer("dmarc_pass", |row: &Facet| row.dmarc_pass.into());

const DOMAIN: &[Field<Facet>] = fields!(name("domain"), detail("header_from"), PASS; "messages");
const REPORTER: &[Field<Facet>] = fields!(name("org_name"), PASS; "messages");
const DKIM: &[Field<Facet>] = fields!(name("domain"), detail("selector"), RESULT, PASS; "messages");
const SPF: &[Field<Facet>] = fields!(name("domain"), detail("scope"), RESULT, PASS; "messages");
const DISPOSITION: &[Field<Facet>] = fields!(name("disposition"), PASS; "messages");
const REASON: &[Field<Facet>] = fields!(name("type"), detail("comment"), PASS; "messages");
const COMPLAINT: &[Field<Facet>] = fields!(name("feedback_type"), detail("provider"); "incidents");

/// All sections in one table, for formats that have only one.
pub(super) const FLAT: &[Field<Facet>] = fields!(Field::text("section", |row: &Facet| (&row.section).into()), name("name"), detail("detail"), RESULT, PASS; "messages");

/// All sections, in order.
pub(super) const SECTIONS: [&Section; 7] = [
    &Section { word: "domain", key: "domains", heading: "Policy domains and From domains", fields: DOMAIN },
    &Section { word: "reporter", key: "reporters", heading: "Reported by", fields: REPORTER },
    &Section { word: "dkim", key: "dkim", heading: "DKIM signatures", fields: DKIM },
    &Section { word: "spf", key: "spf", heading: "SPF domains", fields: SPF },
    &Section { word: "disposition", key: "dispositions", heading: "What was done", fields: DISPOSITION },
    &Section { word: "reason", key: "reasons", heading: "Why other than the policy asks", fields: REASON },
    &Section { word: "complaint", key: "complaints", heading: "Complaints", fields: COMPLAINT },
];

/// The rows of a section.
pub(super) fn of<'a>(facets: &'a Facets, section: &str) -> &'a [Facet] {
    match section {
        "domain" => &facets.domains,
        "dkim" => &facets.dkim,
        "spf" => &facets.spf,
        "disposition" => &facets.dispositions,
        "reason" => &facets.reasons,
        _ => &[],
    }
}

/// A section as JSON.
pub(super) fn array(section: &Section, rows: &[Facet]) -> Json {
    rows.iter().map(|row| sheet::object(section.fields, row)).collect()
}

/// A section as a table with its heading; nothing where there are no rows.
pub(super) fn table(out: &mut impl Write, section: &Section, rows: &[Facet]) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", section.heading)?;
    answer::page_table(out, section.fields, rows.iter().take(ROWS))?;
    let rest = rows.get(ROWS..).unwrap_or_default();
    if !rest.is_empty() {
        let messages = rest.iter().fold(0, |sum: i64, row| sum.saturating_add(row.messages));
        let more = number::count(rest.len() as i64, "more row");
        writeln!(out, "{more} with {}: --format csv shows all.", number::grouped(messages))?;
    }
    Ok(())
}

/// Puts counts into an object under the names of the contract.
pub(super) fn put_counts(document: &mut Json, counts: Counts) {
    for (name, count) in [
        ("messages", counts.messages),
        ("dmarc_pass", counts.dmarc_pass),
        ("dkim_pass", counts.dkim_pass),
        ("spf_pass", counts.spf_pass),
        ("unknown", counts.unknown),
        ("quarantine", counts.quarantine),
        ("reject", counts.reject),
    ] {
        document[name] = count.into();
    }
}

/// Days as JSON.
pub(super) fn days(days: &[Day]) -> Json {
    let day = |day: &Day| {
        let mut object = json!({ "day": number::day(day.day.saturating_mul(86_400)) });
        put_counts(&mut object, day.counts);
        object["spread"] = day.spread.into();
        object
    };
    days.iter().map(day).collect()
}

/// What `enrich` found as JSON.
pub(super) fn names(names: &Names) -> Json {
    let listed =
        names.listed.as_ref().map(|listed| listed.iter().map(|listing| listing.list.clone()).collect::<Vec<_>>());
    json!({
        "source_ip": names.source_ip,
        "name": names.name,
        "names": names.names,
        "outcome": names.outcome.word(),
        "provider": names.provider,
        "asn": names.asn,
        "as_owner": names.as_owner,
        "country": names.country,
        "network": names.network,
        "listed": listed,
        "looked_up_at": names.looked_up_at,
    })
}

/// The same in words.
pub(super) fn named(names: &Names) -> String {
    let mut parts = Vec::new();
    match (&names.name, names.outcome) {
        (Some(name), _) => parts.push(format!("name {name}, which leads back to it")),
        (None, Outcome::Failed) => parts.push("name not known: DNS gave no answer".to_owned()),
        (None, _) if names.names.is_empty() => parts.push("no name in the DNS".to_owned()),
        (None, _) => parts.push(format!("name {}, which does not lead back to it", names.names.join(", "))),
    }
    let network: Vec<String> =
        [names.network.clone(), names.asn.map(|asn| format!("AS{asn}")), names.as_owner.clone(), names.country.clone()]
            .into_iter()
            .flatten()
            .collect();
    if !network.is_empty() {
        parts.push(format!("network {}", network.join(" ")));
    }
    match names.listed.as_deref() {
        None => {}
        Some([]) => parts.push("on no block list that was asked".to_owned()),
        Some(listed) => {
            let lists: Vec<&str> = listed.iter().map(|listing| listing.list.as_str()).collect();
            parts.push(format!("on block list {}", lists.join(", ")));
        }
    }
    parts.push(format!("looked up {} UTC", number::time(names.looked_up_at)));
    parts.join("; ")
}

/// The tone of a class.
pub(super) fn tone(class: Class) -> Tone {
    match class {
        Class::Fix => Tone::Alert,
        Class::New => Tone::Notice,
        Class::Threat => Tone::Hostile,
        Class::Forwarded => Tone::Bold,
        Class::Ok => Tone::Good,
    }
}

/// How much, from when to when, and how it fared.
pub(super) fn figures(page: &mut Page<impl Write>, facets: &Facets) -> io::Result<()> {
    let counts = facets.counts;
    let mut text = number::count(counts.messages, "message");
    if let (Some(first), Some(last)) = (facets.first_at, facets.last_at) {
        text.push_str(&format!(" from {} to {} UTC", number::time(first), number::time(last)));
    }
    for (name, count) in [("pass DMARC", counts.dmarc_pass), ("DKIM", counts.dkim_pass), ("SPF", counts.spf_pass)] {
        if let Some(share) = counts.share(count) {
            text.push_str(&format!(", {} {name}", number::percent(share)));
        }
    }
    if counts.complaints > 0 {
        text.push_str(&format!(", {}", number::count(counts.complaints, "complaint")));
        if let Some(rate) = counts.share(counts.complaints) {
            text.push_str(&format!(" ({:.2}% of messages)", rate * 100.0));
        }
    }
    page.paragraph(Tone::Plain, "  ", 2, &text)
}

/// Messages by day as a line of bars, and of those that fail another.
pub(super) fn chart(page: &mut Page<impl Write>, days: &[Day]) -> io::Result<()> {
    let (Some(first), Some(last)) = (days.first(), days.last()) else { return Ok(()) };
    let width = page.width().saturating_sub(24).clamp(10, 60);
    let value = |value: fn(&Day) -> i64| {
        let values: Vec<(i64, i64)> = days.iter().map(|day| (day.day, value(day))).collect();
        bars::by_day(&values, first.day, last.day, width)
    };
    let day = |day: &Day| number::day(day.day.saturating_mul(86_400));
    let from = format!("{} to {}", day(first), day(last));
    let (all, most) = value(|day| day.counts.messages);
    page.paragraph(Tone::Plain, "  ", 2, &format!("by day, {from}, at most {}:", number::grouped(most)))?;
    page.line(Tone::Plain, &format!("  messages  {all}"))?;
    let (fail, most) = value(|day| day.counts.fail());
    if most > 0 {
        page.line(Tone::Plain, &format!("  failing   {fail}  at most {}", number::grouped(most)))?;
    }
    let spread = days.iter().fold(0, |sum: i64, day| sum.saturating_add(day.spread));
    if spread > 0 {
        let text = format!("{} by day from longer reports, in proportion", number::grouped(spread));
        page.paragraph(Tone::Dim, "  ", 2, &text)?;
    }
    Ok(())
}

/// The facts that a class rests on.
pub(super) fn explained(page: &mut Page<impl Write>, facts: &Facts) -> io::Result<()> {
    page::explained(page, facts)
}
