//! The digest as a page.

use super::{Digest, freshness, title, waiting};
use crate::classify::tighten::words as advice_words;
use crate::cli::summary::TABLE_DOMAINS;
use crate::cli::summary::page::details;
use crate::cli::window;
use crate::number;
use crate::render::html::{Bar, END, Text, begin, chart};
use crate::review::collapse::{Line, collapse};
use crate::review::shown::shown;
use crate::review::verdict::outcome;

/// Lines of sources.
const SOURCES: usize = 40;

/// All of it.
pub(super) fn page(digest: &Digest) -> String {
    let review = &digest.review;
    let found = outcome(review);
    let mut text = begin(&format!("dmarcdb: {}", title(digest)));
    text.push_str(&format!(
        "<h1{}>{}</h1>\n",
        if found.action { " class=\"action\"" } else { "" },
        Text(&found.verdict)
    ));
    for sentence in &found.more {
        text.push_str(&format!("<p>{}</p>\n", Text(sentence)));
    }
    text.push_str(&totals(digest));
    let bars: Vec<Bar> = digest.days.iter().map(bar).collect();
    text.push_str(&chart(&bars));
    list(&mut text, "What changed", &digest.changes);
    let silent: Vec<String> = digest.silent.iter().map(|silent| silent.words(digest.now)).collect();
    list(&mut text, "Silent", &silent);
    list(&mut text, "Waiting", &waiting(digest));
    sources(&mut text, digest);
    policies(&mut text, digest);
    text.push_str(&format!("<p class=\"quiet\">{}</p>\n", Text(&freshness(digest))));
    text + END
}

fn totals(digest: &Digest) -> String {
    let review = &digest.review;
    let totals = review.totals;
    let pass = totals.share(totals.dmarc_pass).map_or_else(String::new, |share| {
        let before = review.previous.share(review.previous.dmarc_pass);
        let change = before.map_or_else(String::new, |before| format!(" ({:+.1} points)", (share - before) * 100.0));
        format!(", {} pass DMARC{change}", number::percent(share))
    });
    format!(
        "<h2>{}</h2>\n<p>{} in {}{pass}.</p>\n<p class=\"quiet\">{}</p>\n",
        Text(&window::words(review.window)),
        number::count(totals.messages, "message"),
        number::count(digest.notes.reports, "report"),
        Text(&details(review))
    )
}

fn bar(line: &crate::query::summary::Line) -> Bar {
    Bar {
        label: line.key.clone().unwrap_or_default(),
        pass: line.counts.dmarc_pass,
        fail: line.counts.fail(),
        unknown: line.counts.unknown,
    }
}

fn list(text: &mut String, heading: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    text.push_str(&format!("<h2>{heading}</h2>\n<ul>\n"));
    for line in lines {
        text.push_str(&format!("<li>{}</li>\n", Text(line)));
    }
    text.push_str("</ul>\n");
}

fn sources(text: &mut String, digest: &Digest) {
    let lines = collapse(&digest.review.sources, SOURCES);
    if lines.shown.is_empty() {
        return;
    }
    text.push_str(
        "<h2>Sources</h2>\n<table>\n<tbody>\n<tr><th>source</th><th class=\"n\">messages</th><th class=\"n\">fail</th>\
         <th class=\"n wide\">dmarc</th><th class=\"n wide\">complaints</th></tr>\n",
    );
    for line in &lines.shown {
        text.push_str(&source(line));
    }
    text.push_str("</tbody>\n</table>\n");
    if lines.addresses_left_out > 0 {
        let more = number::count(i64::try_from(lines.addresses_left_out).unwrap_or(i64::MAX), "more source");
        let messages = number::count(lines.left_out.messages, "message");
        let fail = number::grouped(lines.left_out.fail());
        text.push_str(&format!("<p class=\"quiet\">{more} with {messages}, of which {fail} fail.</p>\n"));
    }
}

fn source(line: &Line) -> String {
    let counts = line.facts.counts;
    let class = line.verdict.class;
    format!(
        "<tr><td><span class=\"class {class}\">{class}</span> {}<span class=\"why\">{}</span></td><td class=\"n\">{}</td>\
         <td class=\"n\">{}</td><td class=\"n wide\">{}</td><td class=\"n wide\">{}</td></tr>\n",
        Text(&line.call()),
        Text(&line.verdict.reason.words(&line.facts)),
        number::grouped(counts.messages),
        number::grouped(counts.fail()),
        counts.share(counts.dmarc_pass).map_or_else(|| "-".to_owned(), number::percent),
        number::grouped(counts.complaints),
    )
}

fn policies(text: &mut String, digest: &Digest) {
    if digest.review.domains.is_empty() {
        return;
    }
    text.push_str("<h2>Published policy</h2>\n<table>\n<tbody>\n");
    let shown = shown(&digest.review.domains, TABLE_DOMAINS);
    for domain in &shown.domains {
        text.push_str(&format!(
            "<tr><td>{} {}<span class=\"why\">{}</span></td></tr>\n",
            Text(&domain.standing.domain),
            Text(&domain.standing.policy.words()),
            Text(&advice_words(&domain.standing, &domain.advice))
        ));
    }
    if let Some(rest) = &shown.rest {
        text.push_str(&format!("<tr><td><span class=\"why\">{}</span></td></tr>\n", Text(rest)));
    }
    text.push_str("</tbody>\n</table>\n");
}
