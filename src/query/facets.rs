//! One set of messages told apart in every way there is: by From domain, signature, SPF domain, disposition, override reason and
//! day. One question to the database, whatever the messages are of.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, Params, Row};

use super::counts::{dmarc_pass, result};
use super::days::{Cells, Day};
use super::evidence::{Dkim, Place, Reason, Results, Spf, Words};
use super::sums::Sum;
use super::{Counts, Database, Error};
use crate::store::daily::packed::Key;

/// Messages that have all of this in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Policy domain.
    pub domain: Option<Arc<str>>,
    /// Domain of the From field.
    pub header_from: Option<Arc<str>>,
    /// Combination of DKIM results.
    pub dkim_set: i64,
    /// Combination of SPF results.
    pub spf_set: i64,
    /// Combination of override reasons.
    pub reason_set: Option<i64>,
    /// Aligned DKIM result.
    pub dkim: Option<bool>,
    /// Aligned SPF result.
    pub spf: Option<bool>,
    /// Disposition, as stored.
    pub disposition: Option<i64>,
    /// Begin of the period.
    pub begin_at: i64,
    /// End of the period.
    pub end_at: i64,
    /// How many.
    pub messages: i64,
}

super::row! {
    /// One way in which messages can be told apart.
    pub struct Facet {
        /// `domain`, `reporter`, `dkim`, `spf`, `disposition`, `reason` or `complaint`.
        section: String,
        /// Policy domain, reporter, DKIM or SPF domain, disposition, reason or feedback type.
        name: Option<String>,
        /// From domain, DKIM selector, SPF scope, comment of the reason, or provider of the complaint.
        detail: Option<String>,
        /// DKIM or SPF result.
        result: Option<String>,
        /// Messages; incidents of complaints. One message counts in each of several signatures and reasons.
        messages: i64,
        /// Of these with DMARC pass; `None` for complaints.
        dmarc_pass: Option<i64>,
        /// Begin of the first period, or first complaint.
        first_at: i64,
        /// End of the last period, or last complaint.
        last_at: i64,
    }
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facets {
    /// All together.
    pub counts: Counts,
    /// Begin of the first period.
    pub first_at: Option<i64>,
    /// End of the last.
    pub last_at: Option<i64>,
    /// `domain`.
    pub domains: Vec<Facet>,
    /// `dkim`.
    pub dkim: Vec<Facet>,
    /// `spf`.
    pub spf: Vec<Facet>,
    /// `disposition`.
    pub dispositions: Vec<Facet>,
    /// `reason`.
    pub reasons: Vec<Facet>,
    /// By day.
    pub days: Vec<Day>,
    /// What all this is made of.
    pub rows: Vec<Seen>,
    /// The results that these name.
    pub results: Results,
}

impl Seen {
    /// Whether DMARC passes; `None` where the reporter left that out.
    pub fn pass(&self) -> Option<bool> {
        dmarc_pass(self.dkim, self.spf)
    }
}

/// All of [`Seen`] but how many, by numbers: policy domain, From domain, combinations of DKIM results, of SPF results and of reasons, aligned DKIM and
/// SPF result, disposition, begin and end. 0 stands for a missing text or combination, -1 for a missing result.
type Numbered = [i64; 10];

/// What is 0 or -1 where it is missing.
const MISSING: Numbered = [0, 0, 0, 0, 0, -1, -1, -1, 0, 0];

/// Messages added up as they come: each of several thousand once takes less than sorting them all.
#[derive(Debug, Default)]
pub(super) struct Adding(HashMap<Numbered, i64, Place>);

impl Adding {
    /// Adds a daily sum.
    pub(super) fn add(&mut self, sum: &Sum<'_>) {
        let Key { domain, header_from, dkim_set, spf_set, reason_set, dkim, spf, disposition, .. } = sum.key;
        let [dkim, spf, disposition] = [dkim, spf, disposition].map(i64::from);
        let numbered =
            [domain, header_from, dkim_set, spf_set, reason_set, dkim, spf, disposition, sum.begin_at, sum.end_at];
        self.put(numbered, sum.messages);
    }

    /// Adds the rows of `sql`, which answers columns as [`Numbered`] has and then the messages.
    ///
    /// # Errors
    /// As [`Database`].
    pub(super) fn ask(&mut self, database: &Database, sql: &str, params: impl Params) -> Result<(), Error> {
        let read = || -> rusqlite::Result<()> {
            let mut statement = database.connection().prepare(sql)?;
            let mut rows = statement.query(params)?;
            while let Some(row) = rows.next()? {
                let mut numbered = MISSING;
                for (column, number) in numbered.iter_mut().enumerate() {
                    *number = row.get::<_, Option<i64>>(column)?.unwrap_or(*number);
                }
                self.put(numbered, row.get(MISSING.len())?);
            }
            Ok(())
        };
        read().map_err(|error| database.explain(error))
    }

    fn put(&mut self, numbered: Numbered, messages: i64) {
        let sum = self.0.entry(numbered).or_default();
        *sum = sum.saturating_add(messages);
    }
}

/// What was added up, with the names of its numbers.
fn seen(connection: &Connection, sums: HashMap<Numbered, i64, Place>) -> rusqlite::Result<Vec<Seen>> {
    let mut sums: Vec<(Numbered, i64)> = sums.into_iter().collect();
    sums.sort_unstable();
    let mut words = Words::default();
    let mut named = |(numbered, messages): (Numbered, i64)| {
        let [domain, header_from, dkim_set, spf_set, reason_set, dkim, spf, disposition, begin_at, end_at] = numbered;
        let mut text = |id: i64| words.text(connection, Some(id).filter(|id| *id != 0));
        Ok(Seen {
            domain: text(domain)?,
            header_from: text(header_from)?,
            dkim_set,
            spf_set,
            reason_set: Some(reason_set).filter(|set| *set != 0),
            dkim: result(dkim),
            spf: result(spf),
            disposition: Some(disposition).filter(|disposition| *disposition >= 0),
            begin_at,
            end_at,
            messages,
        })
    };
    sums.into_iter().map(&mut named).collect()
}

/// Tells messages apart.
pub(super) fn facets(database: &Database, Adding(sums): Adding) -> Result<Facets, Error> {
    let rows = seen(database.connection(), sums).map_err(|error| database.explain(error))?;
    let results = Results::of(
        database,
        rows.iter().map(|row| row.dkim_set),
        rows.iter().map(|row| row.spf_set),
        rows.iter().filter_map(|row| row.reason_set),
    )?;
    let (mut found, mut cells) = (Facets::default(), Cells::default());
    let mut sums: [Sums; 5] = Default::default();
    for row in &rows {
        let counts = Counts::of(row.messages, row.dkim, row.spf, row.disposition);
        found.counts = found.counts.plus(counts);
        found.first_at = found.first_at.into_iter().chain([row.begin_at]).min();
        found.last_at = found.last_at.max(Some(row.end_at));
        cells.add((row.begin_at, row.end_at), (row.dkim, row.spf), row.disposition, row.messages);
        let [domains, dkim, spf, dispositions, reasons] = &mut sums;
        add(domains, (row.domain.clone(), row.header_from.clone(), None), row, counts);
        for result in results.dkim(row.dkim_set) {
            let Dkim { domain, selector, result } = result.clone();
            add(dkim, (domain, selector, result), row, counts);
        }
        for result in results.spf(row.spf_set) {
            let Spf { domain, scope, result } = result.clone();
            add(spf, (domain, scope, result), row, counts);
        }
        add(dispositions, (disposition(row.disposition), None, None), row, counts);
        for reason in row.reason_set.map(|set| results.reasons(set)).into_iter().flatten() {
            let Reason { kind, comment } = reason.clone();
            add(reasons, (kind, comment, None), row, counts);
        }
    }
    let [domains, dkim, spf, dispositions, reasons] = sums;
    found.domains = sorted("domain", domains);
    found.dkim = sorted("dkim", dkim);
    found.spf = sorted("spf", spf);
    found.dispositions = sorted("disposition", dispositions);
    found.reasons = sorted("reason", reasons);
    found.days = cells.days();
    (found.rows, found.results) = (rows, results);
    Ok(found)
}

type Named = (Option<Arc<str>>, Option<Arc<str>>, Option<Arc<str>>);
type Sums = HashMap<Named, (i64, i64, i64, i64)>;

fn add(sums: &mut Sums, key: Named, row: &Seen, counts: Counts) {
    let (messages, pass, first, last) = sums.entry(key).or_insert((0, 0, row.begin_at, row.end_at));
    *messages = messages.saturating_add(counts.messages);
    *pass = pass.saturating_add(counts.dmarc_pass);
    *first = row.begin_at.min(*first);
    *last = row.end_at.max(*last);
}

fn disposition(stored: Option<i64>) -> Option<Arc<str>> {
    let word = match stored? {
        0 => "none",
        1 => "quarantine",
        2 => "reject",
        3 => "pass",
        _ => return None,
    };
    Some(word.into())
}

/// By most messages first.
fn sorted(section: &str, sums: Sums) -> Vec<Facet> {
    let owned = |word: Option<Arc<str>>| word.map(|word| word.as_ref().to_owned());
    let facet = |((name, detail, result), (messages, pass, first_at, last_at)): (Named, _)| Facet {
        section: section.to_owned(),
        name: owned(name),
        detail: owned(detail),
        result: owned(result),
        messages,
        dmarc_pass: Some(pass),
        first_at,
        last_at,
    };
    let mut facets: Vec<Facet> = sums.into_iter().map(facet).collect();
    facets.sort_by(|one, other| {
        let key = |facet: &Facet| (facet.name.clone(), facet.detail.clone(), facet.result.clone());
        other.messages.cmp(&one.messages).then_with(|| key(one).cmp(&key(other)))
    });
    facets
}

impl Facet {
    pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Facet> {
        Facet::read(row)
    }
}
