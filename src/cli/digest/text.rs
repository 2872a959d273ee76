//! The digest as text.

use std::io::{self, Write};

use super::{Digest, freshness, waiting};
use crate::cli::answer;
use crate::cli::summary::{TABLE_DOMAINS, page as summary};
use crate::render::page::{Page, Tone};

/// Lines of sources.
const SOURCES: usize = 20;

/// Writes it.
pub(super) fn write(out: &mut impl Write, digest: &Digest) -> io::Result<()> {
    let mut page = Page::new(out, answer::page_look());
    let review = &digest.review;
    summary::verdict(&mut page, review)?;
    page.blank()?;
    summary::totals(&mut page, review, &digest.notes, None)?;
    section(&mut page, "What changed", &digest.changes)?;
    let silent: Vec<String> = digest.silent.iter().map(|silent| silent.words(digest.now)).collect();
    section(&mut page, "Silent", &silent)?;
    section(&mut page, "Waiting", &waiting(digest))?;
    page.blank()?;
    summary::policies(&mut page, review, TABLE_DOMAINS, "`dmarcdb summary --limit 0` shows all")?;
    summary::sources(&mut page, &review.sources, review.totals, SOURCES)?;
    page.blank()?;
    page.paragraph(Tone::Plain, "", 0, &freshness(digest))
}

fn section(page: &mut Page<impl Write>, heading: &str, lines: &[String]) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    page.blank()?;
    page.line(Tone::Bold, heading)?;
    for line in lines {
        page.paragraph(Tone::Plain, "  - ", 4, line)?;
    }
    Ok(())
}
