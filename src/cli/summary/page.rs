//! `summary` by source for people: a verdict, the totals, the policies, and the sources by class. Reads well in 80 columns and
//! in a mail.

use std::io::{self, Write};

use serde_json::Value as Json;
use unicode_width::UnicodeWidthStr;

use super::data;
use crate::classify::tighten::words as advice_words;
use crate::classify::{Class, Facts, Reason};
use crate::cli::{answer, window};
use crate::query::Counts;
use crate::query::notes::Notes;
use crate::query::rates::Rate;
use crate::render::number;
use crate::render::page::{Page, Tone, wrap};
use crate::render::sanitize::Untrusted;
use crate::render::table::cut;
use crate::review::collapse::{self, Line, Lines, collapse};
use crate::review::shown::shown;
use crate::review::verdict::outcome;
use crate::review::{Judged, Review};

/// From so many columns on, the reason stands behind the figures.
const WIDE: usize = 130;
/// From so many columns on there is room for DKIM and SPF.
const ROOMY: usize = 96;
/// The column of sources is not wider than this, nor narrower.
const SOURCE: (usize, usize) = (44, 20);
const GAP: &str = "  ";

/// How many lines of each there are at most.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Limits {
    pub sources: usize,
    pub domains: usize,
}

/// Writes the whole page but its closing lines.
pub(in crate::cli) fn write(
    out: &mut impl Write,
    review: &Review,
    notes: &Notes,
    rate: Option<&Rate>,
    limits: Limits,
    domain: Option<&str>,
    explain: bool,
) -> io::Result<()> {
    if notes.reports == 0 {
        return Ok(());
    }
    let mut page = Page::new(out, answer::page_look());
    verdict(&mut page, review)?;
    page.blank()?;
    totals(&mut page, review, notes, domain)?;
    if let Some(words) = rate.and_then(crate::cli::rates::words) {
        page.paragraph(Tone::Plain, GAP, 2, &words)?;
    }
    page.blank()?;
    policies(&mut page, review, limits.domains, "--limit 0 shows all")?;
    let found = collapse(&review.sources, limits.sources);
    lines(&mut page, &found, if explain { Beside::Facts } else { Beside::Why })?;
    left_out(&mut page, &found, review.totals, "--limit 0 shows all")
}

/// The verdict, and what else is worth a person's time.
pub(in crate::cli) fn verdict(page: &mut Page<impl Write>, review: &Review) -> io::Result<()> {
    let found = outcome(review);
    page.paragraph(if found.action { Tone::Alert } else { Tone::Good }, "", 0, &found.verdict)?;
    for sentence in &found.more {
        page.paragraph(Tone::Plain, "", 0, sentence)?;
    }
    Ok(())
}

/// The window, how much there was, and how it fared against the window before.
pub(in crate::cli) fn totals(
    page: &mut Page<impl Write>,
    review: &Review,
    notes: &Notes,
    domain: Option<&str>,
) -> io::Result<()> {
    let (totals, previous) = (review.totals, review.previous);
    let about = domain.map_or_else(String::new, |domain| format!(" about {domain}"));
    let reports = number::count(notes.reports, "report");
    page.paragraph(Tone::Bold, "", 0, &format!("{}: {reports}{about}", window::words(review.window)))?;
    let mut text = number::count(totals.messages, "message");
    text.push_str(&change(totals.messages, previous.messages));
    if let Some(share) = totals.share(totals.dmarc_pass) {
        text.push_str(&format!(", {} pass DMARC", number::percent(share)));
        match previous.share(previous.dmarc_pass) {
            Some(before) => text.push_str(&format!(" ({:+.1} points on the window before)", (share - before) * 100.0)),
            None => text.push_str(" (the window before has no messages)"),
        }
    }
    page.paragraph(Tone::Plain, GAP, 2, &text)?;
    page.paragraph(Tone::Plain, GAP, 2, &details(review))
}

/// ` (+12%)`.
fn change(now: i64, before: i64) -> String {
    if before <= 0 {
        return String::new();
    }
    let change = (now as f64 - before as f64) / before as f64 * 100.0;
    if change >= 1000.0 {
        format!(" ({:.0} times as many)", now as f64 / before as f64)
    } else {
        format!(" ({change:+.0}%)")
    }
}

/// The totals in all their parts.
pub(in crate::cli) fn details(review: &Review) -> String {
    let totals = review.totals;
    let mut parts = Vec::new();
    let forwarded = review.forwarded();
    let direct = Counts { messages: totals.messages.saturating_sub(forwarded), ..totals };
    if let (true, Some(share)) = (forwarded > 0, direct.share(totals.dmarc_pass)) {
        let messages = number::count(forwarded, "message");
        parts.push(format!("{} without {messages} that others passed on", number::percent(share)));
    }
    for (name, count) in [("DKIM", totals.dkim_pass), ("SPF", totals.spf_pass)] {
        if let Some(share) = totals.share(count) {
            parts.push(format!("{name} {}", number::percent(share)));
        }
    }
    if let Some(share) = totals.share(totals.unknown).filter(|share| *share > 0.0) {
        parts.push(format!("{} not known", number::percent(share)));
    }
    for (name, count) in [("quarantined", totals.quarantine), ("rejected", totals.reject)] {
        if count > 0 {
            parts.push(format!("{} {name}", number::grouped(count)));
        }
    }
    if totals.complaints > 0 || review.previous.complaints > 0 {
        let before = number::grouped(review.previous.complaints);
        parts.push(format!("{} ({before} before)", number::count(totals.complaints, "complaint")));
    }
    parts.join(", ")
}

/// Policy domains with their policy and the advice.
pub(in crate::cli) fn policies(page: &mut Page<impl Write>, review: &Review, most: usize, how: &str) -> io::Result<()> {
    if review.domains.is_empty() {
        return Ok(());
    }
    page.line(Tone::Bold, "Published policy")?;
    let shown = shown(&review.domains, most);
    for domain in &shown.domains {
        let policy = domain.standing.policy.words();
        page.paragraph(Tone::Plain, GAP, 4, &format!("{} {policy}", domain.standing.domain))?;
        page.paragraph(Tone::Plain, "    ", 4, &advice_words(&domain.standing, &domain.advice))?;
    }
    if let Some(rest) = &shown.rest {
        page.paragraph(Tone::Plain, GAP, 4, &format!("{rest}; {how}"))?;
    }
    page.blank()
}

/// The sources by class.
pub(in crate::cli) fn sources(
    page: &mut Page<impl Write>,
    sources: &[Judged],
    totals: Counts,
    limit: usize,
) -> io::Result<()> {
    let found = collapse(sources, limit);
    lines(page, &found, Beside::Why)?;
    left_out(page, &found, totals, "--limit 0 shows all")
}

/// Each of these sources, by class; the sentence only where not all have the same.
pub(in crate::cli) fn each(
    page: &mut Page<impl Write>,
    sources: &[Judged],
    totals: Counts,
    limit: usize,
) -> io::Result<()> {
    let mut verdicts = sources.iter().map(|source| source.verdict);
    let first = verdicts.next();
    let same = verdicts.all(|verdict| Some(verdict) == first);
    let found = collapse::each(sources, limit);
    lines(page, &found, if same { Beside::Nothing } else { Beside::Why })?;
    left_out(page, &found, totals, "--format json shows all")
}

/// What is told of a source beside its figures.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    Why,
    Facts,
}

fn lines(page: &mut Page<impl Write>, lines: &Lines, beside: Beside) -> io::Result<()> {
    let mut columns = Columns::new(page.width(), &lines.shown);
    columns.why = columns.why.filter(|_| beside != Beside::Nothing);
    let mut class = None;
    if !lines.shown.is_empty() {
        page.line(Tone::Dim, &columns.heading())?;
    }
    for line in &lines.shown {
        if class != Some(line.verdict.class) {
            if class.is_some() {
                page.blank()?;
            }
            heading(page, line.verdict.class)?;
            class = Some(line.verdict.class);
        }
        source(page, &columns, line, beside != Beside::Nothing)?;
        if beside == Beside::Facts {
            explained(page, &line.facts)?;
        }
    }
    Ok(())
}

/// What the lines leave out, and how to see it.
fn left_out(page: &mut Page<impl Write>, lines: &Lines, totals: Counts, how: &str) -> io::Result<()> {
    if lines.addresses_left_out == 0 {
        return Ok(());
    }
    let more = number::count(i64::try_from(lines.addresses_left_out).unwrap_or(i64::MAX), "more source");
    let left = lines.left_out;
    let share = totals.share(left.messages).map_or_else(String::new, |share| format!(" ({})", number::percent(share)));
    let messages = number::count(left.messages, "message");
    let fail = number::grouped(left.fail());
    page.paragraph(Tone::Plain, "", 0, &format!("{more} with {messages}{share}, of which {fail} fail: {how}."))
}

fn heading(page: &mut Page<impl Write>, class: Class) -> io::Result<()> {
    let tone = match class {
        Class::Fix => Tone::Alert,
        Class::New => Tone::Notice,
        Class::Threat => Tone::Hostile,
        Class::Forwarded => Tone::Bold,
        Class::Ok => Tone::Good,
    };
    page.paragraph(tone, "", 2, &format!("{class}: {}", class.about()))
}

/// Widths that suit all classes.
struct Columns {
    source: usize,
    roomy: bool,
    /// Where the reason stands behind the figures: how wide it is.
    why: Option<usize>,
}

impl Columns {
    fn new(width: usize, lines: &[Line]) -> Columns {
        let roomy = width >= ROOMY;
        let figures = if roomy { 2 + 12 + 10 + 8 + 8 + 8 + 12 } else { 2 + 12 + 10 + 8 + 12 };
        let natural = lines.iter().map(|line| called(line).width()).max().unwrap_or(0);
        let most = SOURCE.0.min(width.saturating_sub(figures)).max(SOURCE.1);
        let source = natural.clamp(SOURCE.1, most);
        let why = (width >= WIDE).then(|| width.saturating_sub(figures + source + 2));
        Columns { source, roomy, why }
    }

    fn heading(&self) -> String {
        let mut text = self.row(["source", "messages", "fail", "dmarc", "dkim", "spf", "complaints"]);
        if self.why.is_some() {
            text.push_str("  why");
        }
        text
    }

    fn row(&self, [source, messages, fail, dmarc, dkim, spf, complaints]: [&str; 7]) -> String {
        let (source, width) = cut(source, self.source);
        let blanks = " ".repeat(self.source.saturating_sub(width));
        let roomy = if self.roomy { format!("{dkim:>8}{spf:>8}") } else { String::new() };
        format!("  {source}{blanks}{messages:>12}{fail:>10}{dmarc:>8}{roomy}{complaints:>12}")
    }
}

/// `192.0.2.99 printer.example.com`, `203.0.113.0/24 (58 addresses)`.
fn called(line: &Line) -> String {
    match (&line.name, line.addresses) {
        (Some(name), _) => format!("{} {name}", line.source),
        (None, 0 | 1) => line.source.clone(),
        (None, count) => format!("{} ({count} addresses)", line.source),
    }
}

fn source(page: &mut Page<impl Write>, columns: &Columns, line: &Line, told: bool) -> io::Result<()> {
    let counts = line.facts.counts;
    let share = |part| counts.share(part).map_or_else(|| "-".to_owned(), number::percent);
    let figures = [
        called(line),
        number::grouped(counts.messages),
        number::grouped(counts.fail()),
        share(counts.dmarc_pass),
        share(counts.dkim_pass),
        share(counts.spf_pass),
        number::grouped(counts.complaints),
    ];
    let mut text = columns.row(figures.each_ref().map(String::as_str));
    let why = line.verdict.reason.words(&line.facts);
    if let Some(width) = columns.why {
        let indent = text.width() + 2;
        text.push_str(GAP);
        let lines = wrap(&Untrusted(&why).to_string(), width, 0);
        for (number, line) in lines.into_iter().enumerate() {
            let before = if number == 0 { text.clone() } else { " ".repeat(indent) };
            page.line(Tone::Plain, &format!("{before}{line}"))?;
        }
        return Ok(());
    }
    page.line(Tone::Plain, &text)?;
    // The figures say it.
    if !told || counts.unknown == 0 && matches!(line.verdict.reason, Reason::Passes | Reason::PassesNearly) {
        return Ok(());
    }
    page.paragraph(Tone::Plain, "    ", 4, &why)
}

/// The facts that the class rests on, without those that are nothing.
pub(in crate::cli) fn explained(page: &mut Page<impl Write>, facts: &Facts) -> io::Result<()> {
    let facts = data::facts(facts);
    let is_something = |value: &Json| match value {
        Json::Null => false,
        Json::Bool(flag) => *flag,
        Json::Number(count) => count.as_i64() != Some(0),
        Json::Array(all) => !all.is_empty(),
        Json::Object(all) => !all.is_empty(),
        Json::String(_) => true,
    };
    let words = facts.iter().filter(|(name, value)| is_something(value) || *name == "seen_before");
    let words: Vec<String> = words.map(|(name, value)| format!("{name} {}", plain(value))).collect();
    page.paragraph(Tone::Dim, "    facts: ", 6, &words.join("; "))
}

/// A value in words.
fn plain(value: &Json) -> String {
    match value {
        Json::Null => "not known".to_owned(),
        Json::Bool(flag) => if *flag { "yes" } else { "no" }.to_owned(),
        Json::Number(count) => count.as_i64().map_or_else(|| count.to_string(), number::grouped),
        Json::String(text) => text.clone(),
        Json::Array(all) => all.iter().map(plain).collect::<Vec<_>>().join(", "),
        Json::Object(all) => {
            let pairs = all.iter().filter(|(_, value)| !value.is_null());
            pairs.map(|(name, value)| format!("{name} {}", plain(value))).collect::<Vec<_>>().join(", ")
        }
    }
}
