//! `dmarcdb complaints --rates`: how often people complain.

use std::io::Write;

use clap::ValueEnum;
use serde_json::Value as Json;

use super::answer;
use super::{Context, Error, Status, window};
use crate::query::rates::{self, Interval, Rate};
use crate::query::{Database, Window};
use crate::render::{Field, Format, Value, number, sheet};

/// What rates are told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// Sending address
    Source,
    /// Domain and selector of the DKIM signature
    Dkim,
    /// Domain of the From field
    Domain,
    /// Mailing list, by its List-Id
    Stream,
    /// Mailbox provider
    Provider,
}

const CLOSING: &str = "
Approximate: complaints over the messages that the same receiver told of in its
aggregate reports, for the times these cover (`compared` of the `complaints`).
Loops may pass on only some complaints, and reports count mail in the spam folder
too: the true rate is not lower. The verdict comes from `between`, the 95 % interval:
above 1 per 1,000 is high, above 3 is bad. n/a: the receiver published no aggregate
report of the time, or cannot tell.";

macro_rules! fields {
    ($($key:expr),*) => {
        &[
            $($key,)*
            Field::text("receiver", |row: &Rate| (&row.receiver).into()),
            Field::integer("complaints", |row: &Rate| row.complaints.into()),
            Field::integer("trusted", |row: &Rate| row.trusted.into()).data_only(),
            Field::integer("compared", |row: &Rate| row.compared.into()),
            Field::integer("messages", |row: &Rate| row.messages.into()),
            Field::flag("approximate", |_| true.into()).data_only(),
            Field::text("per_1000", |row: &Rate| row.interval().map(|found| format!("~{}", per_1000(found.share))).into())
                .table_only(),
            Field::text("between", |row: &Rate| row.interval().map(between).into()).table_only().if_wide(1),
            Field::share("rate", |row: &Rate| share(row, |found| found.share)).data_only(),
            Field::share("rate_low", |row: &Rate| share(row, |found| found.low)).data_only(),
            Field::share("rate_high", |row: &Rate| share(row, |found| found.high)).data_only(),
            Field::text("verdict", |row: &Rate| row.verdict().as_str().into()),
        ]
    };
}

const SOURCE: &[Field<Rate>] = fields!(Field::text("source_ip", |row: &Rate| (&row.value).into()));
const DOMAIN: &[Field<Rate>] = fields!(Field::text("header_from", |row: &Rate| (&row.value).into()));
const STREAM: &[Field<Rate>] = fields!(Field::text("list_id", |row: &Rate| (&row.value).into()));
const DKIM: &[Field<Rate>] = fields!(
    Field::text("dkim_domain", |row: &Rate| (&row.value).into()),
    Field::text("dkim_selector", |row: &Rate| (&row.selector).into())
);
/// The receiver stands in every row.
const PROVIDER: &[Field<Rate>] = fields!();

fn share(row: &Rate, part: fn(Interval) -> f64) -> Value {
    row.interval().map(part).into()
}

/// A share in parts of a thousand, with as many digits as say something.
pub fn per_1000(share: f64) -> String {
    let parts = share * 1000.0;
    if parts >= 99.95 { format!("{parts:.0}") } else { format!("{parts:.2}") }
}

/// A line about the rate of a whole window, where there is one.
pub fn words(rate: &Rate) -> Option<String> {
    let (interval, messages) = rate.interval().zip(rate.messages)?;
    let all = number::count(messages, "message");
    let (part, receiver) = (number::grouped(rate.compared), &rate.receiver);
    let parts = per_1000(interval.share);
    Some(format!("~{parts} complaints per 1,000: {part} over {all} that {receiver} reported (`complaints --rates`)"))
}

/// The same for programs.
pub fn document(rate: &Rate) -> Json {
    sheet::object(PROVIDER, rate)
}

fn between(interval: Interval) -> String {
    format!("{}-{}", per_1000(interval.low), per_1000(interval.high))
}

/// Runs the command.
///
/// # Errors
/// Those of the database and of standard output.
pub fn run(
    context: &Context,
    database: &Database,
    window: Window,
    domain: Option<&str>,
    by: By,
    format: Format,
    limit: usize,
) -> Result<Status, Error> {
    let (question, fields) = match by {
        By::Source => (rates::By::Source, SOURCE),
        By::Dkim => (rates::By::Dkim, DKIM),
        By::Domain => (rates::By::Domain, DOMAIN),
        By::Stream => (rates::By::Stream, STREAM),
        By::Provider => (rates::By::Provider, PROVIDER),
    };
    let rows = rates::rates(database, window, domain, question)?;
    let mut out = answer::stdout();
    let listed = answer::list(&mut out, format, limit, fields, |take| {
        for row in rows {
            if !take(row)? {
                break;
            }
        }
        Ok(())
    })?;
    if listed.rows == 0 {
        let words = window::words(window);
        answer::say_empty(context, &mut out, format, &format!("No complaint of {words} is about mail of yours."))?;
    } else if format == Format::Table {
        writeln!(out, "{CLOSING}")?;
    }
    out.flush()?;
    Ok(Status::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_thousand() {
        for (share, expected) in [(0.0, "0.00"), (0.00133, "1.33"), (0.000_002, "0.00"), (0.5, "500"), (3.5, "3500")] {
            assert_eq!(per_1000(share), expected, "{share}");
        }
    }
}
