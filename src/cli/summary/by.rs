//! `summary` by policy domain, reporter or day: a table of counts.

use std::io::Write;

use super::{Args, By};
use crate::cli::answer;
use crate::cli::{Error, window};
use crate::query::notes::Notes;
use crate::query::summary::{Line, Summary};
use crate::query::{Counts, Window};
use crate::render::{Field, Format, Sheet, Value, number};

/// A line, and what it is a share of.
pub(super) struct Row {
    line: Line,
    all: i64,
}

impl Row {
    fn share(&self, part: i64) -> Value {
        self.line.counts.share(part).into()
    }
}

macro_rules! fields {
    ($key:literal, $complaints:expr $(, $more:expr)*) => {
        &[
            Field::text($key, |row: &Row| (&row.line.key).into()),
            Field::integer("messages", |row: &Row| row.line.counts.messages.into()),
            Field::share("share", |row: &Row| {
                (row.all > 0).then(|| row.line.counts.messages as f64 / row.all as f64).into()
            })
            .table_only()
            .if_wide(4),
            Field::share("dmarc", |row: &Row| row.share(row.line.counts.dmarc_pass)).table_only(),
            Field::share("dkim", |row: &Row| row.share(row.line.counts.dkim_pass)).table_only(),
            Field::share("spf", |row: &Row| row.share(row.line.counts.spf_pass)).table_only(),
            Field::integer("dmarc_pass", |row: &Row| row.line.counts.dmarc_pass.into()).data_only(),
            Field::integer("dkim_pass", |row: &Row| row.line.counts.dkim_pass.into()).data_only(),
            Field::integer("spf_pass", |row: &Row| row.line.counts.spf_pass.into()).data_only(),
            Field::integer("unknown", |row: &Row| row.line.counts.unknown.into()).if_wide(6),
            Field::integer("quarantine", |row: &Row| row.line.counts.quarantine.into()),
            Field::integer("reject", |row: &Row| row.line.counts.reject.into()),
            Field::integer("complaints", $complaints),
            $($more,)*
            Field::day("first_at", |row: &Row| row.line.first_at.into()).if_wide(5),
            Field::day("last_at", |row: &Row| row.line.last_at.into()).if_wide(3),
            Field::text("why", |row: &Row| row.line.counts.why().into()).data_only(),
        ]
    };
}

const DOMAIN: &[Field<Row>] = fields!("domain", |row| row.line.counts.complaints.into());
/// Which feedback loop belongs to which reporter is not known, and none is not nought.
const REPORTER: &[Field<Row>] = fields!("org_name", |_| Value::Null);
const DAY: &[Field<Row>] = fields!(
    "day",
    |row| row.line.counts.complaints.into(),
    Field::integer("spread", |row: &Row| row.line.spread.into()).if_wide(2)
);

/// The columns.
pub(super) fn fields(by: By) -> &'static [Field<Row>] {
    match by {
        By::Source | By::Domain => DOMAIN,
        By::Reporter => REPORTER,
        By::Day => DAY,
    }
}

/// The rows, `limit` at most.
pub(super) fn rows(found: Summary, limit: usize) -> impl Iterator<Item = Row> {
    let all = found.totals.messages;
    found.lines.into_iter().take(limit).map(move |line| Row { line, all })
}

/// Writes the table, with what it leaves out.
pub(super) fn table(
    out: &mut impl Write,
    args: &Args,
    window: Window,
    found: Summary,
    notes: &Notes,
    limit: usize,
) -> Result<(), Error> {
    if notes.reports > 0 {
        writeln!(out, "{}\n", headline(window, args.domain.as_deref(), &found, notes))?;
    }
    let (totals, lines) = (found.totals, found.lines.len());
    let rest = found.lines.iter().skip(limit).fold(Counts::default(), |sum, line| sum.plus(line.counts));
    let mut sheet = Sheet::begin(&mut *out, Format::Table, answer::look(), fields(args.by))?;
    for row in rows(found, limit) {
        sheet.row(&row)?;
    }
    let left_out = sheet.finish()?;
    if lines > limit {
        let more = number::count((lines - limit) as i64, &format!("more {}", args.by.singular()));
        let share =
            totals.share(rest.messages).map_or_else(String::new, |share| format!(" ({})", number::percent(share)));
        writeln!(out, "{more} with {}{share}: --limit 0 shows all.", number::count(rest.messages, "message"))?;
    }
    answer::no_room(out, &left_out)?;
    Ok(())
}

/// The window, how much there was, and how it fared against the window before.
fn headline(window: Window, domain: Option<&str>, found: &Summary, notes: &Notes) -> String {
    let totals = found.totals;
    let mut of = format!("in {}", number::count(notes.reports, "report"));
    if let Some(domain) = domain {
        of.push_str(&format!(" about {domain}"));
    }
    let mut text = format!("{}: {} {of}", window::words(window), number::count(totals.messages, "message"));
    let Some(share) = totals.share(totals.dmarc_pass) else {
        return text;
    };
    text.push_str(&format!(", {} pass DMARC", number::percent(share)));
    match found.previous.share(found.previous.dmarc_pass) {
        Some(before) => text.push_str(&format!(" ({:+.1} points on the window before)", (share - before) * 100.0)),
        None => text.push_str(" (the window before has no messages)"),
    }
    if let Some(unknown) = totals.share(totals.unknown).filter(|share| *share > 0.0) {
        text.push_str(&format!(", {} not known", number::percent(unknown)));
    }
    text
}
