//! One set of messages told apart in every way there is: by From domain, signature, SPF domain, disposition, override reason and
//! day. One question to the database, whatever the messages are of.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rusqlite::{Connection, Params, Row};

use super::counts::{dmarc_pass, result};
use super::days::{Cell, Day, days};
use super::evidence::{Dkim, Place, Reason, Results, Sets, Spf, Words};
use super::spread::{LONG_SECONDS, last_day};
use super::{Counts, Database, Error};

/// Messages that have all of this in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Policy domain.
    pub domain: Option<Arc<str>>,
    /// Domain of the From field.
    pub header_from: Option<Arc<str>>,
    /// Combinations of results.
    pub sets: Sets,
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

/// Adds up the rows of `sql`, which answers columns as [`Numbered`] has and then the messages, as they come: each of several
/// thousand once takes less than sorting them all.
fn seen(connection: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<Vec<Seen>> {
    let mut sums: HashMap<Numbered, i64, Place> = HashMap::default();
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query(params)?;
    while let Some(row) = rows.next()? {
        let mut numbered = MISSING;
        for (column, number) in numbered.iter_mut().enumerate() {
            *number = row.get::<_, Option<i64>>(column)?.unwrap_or(*number);
        }
        let sum = sums.entry(numbered).or_default();
        *sum = sum.saturating_add(row.get(MISSING.len())?);
    }
    let mut sums: Vec<(Numbered, i64)> = sums.into_iter().collect();
    sums.sort_unstable();
    let mut words = Words::default();
    let mut named = |(numbered, messages): (Numbered, i64)| {
        let [domain, header_from, dkim_set, spf_set, reason_set, dkim, spf, disposition, begin_at, end_at] = numbered;
        let mut text = |id: i64| words.text(connection, Some(id).filter(|id| *id != 0));
        Ok(Seen {
            domain: text(domain)?,
            header_from: text(header_from)?,
            sets: Sets { dkim: dkim_set, spf: spf_set },
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

/// Asks `sql`, see [`seen`], and tells the messages apart.
pub(super) fn facets(database: &Database, sql: &str, params: impl Params) -> Result<Facets, Error> {
    let rows = seen(database.connection(), sql, params).map_err(|error| database.explain(error))?;
    let results = Results::of(database, rows.iter().map(|row| row.sets), rows.iter().filter_map(|row| row.reason_set))?;
    let mut found = Facets::default();
    let mut sums: [Sums; 5] = Default::default();
    for row in &rows {
        let counts = Counts::of(row.messages, row.dkim, row.spf, row.disposition);
        found.counts = found.counts.plus(counts);
        found.first_at = found.first_at.into_iter().chain([row.begin_at]).min();
        found.last_at = found.last_at.max(Some(row.end_at));
        let [domains, dkim, spf, dispositions, reasons] = &mut sums;
        add(domains, (row.domain.clone(), row.header_from.clone(), None), row, counts);
        for result in results.dkim(row.sets) {
            let Dkim { domain, selector, result } = result.clone();
            add(dkim, (domain, selector, result), row, counts);
        }
        for result in results.spf(row.sets) {
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
    found.days = days(cells(&rows));
    (found.rows, found.results) = (rows, results);
    Ok(found)
}

type Key = (Option<Arc<str>>, Option<Arc<str>>, Option<Arc<str>>);
type Sums = HashMap<Key, (i64, i64, i64, i64)>;

fn add(sums: &mut Sums, key: Key, row: &Seen, counts: Counts) {
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
    let facet = |((name, detail, result), (messages, pass, first_at, last_at)): (Key, _)| Facet {
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

/// Rows of one day and result together, so that what is spread is spread as a whole.
fn cells(rows: &[Seen]) -> Vec<Cell> {
    let mut cells: BTreeMap<_, Cell> = BTreeMap::new();
    for row in rows {
        let long = row.end_at.saturating_sub(row.begin_at) > LONG_SECONDS;
        let (begin_at, end_at) = if long {
            (Some(row.begin_at), row.end_at)
        } else {
            (None, last_day(row.end_at).saturating_mul(86_400) + 1)
        };
        let cell = cells.entry((begin_at, end_at, row.dkim, row.spf, row.disposition)).or_insert(Cell {
            begin_at,
            end_at,
            dkim: row.dkim,
            spf: row.spf,
            disposition: row.disposition,
            messages: 0,
            first_at: row.begin_at,
            last_at: row.end_at,
        });
        cell.messages = cell.messages.saturating_add(row.messages);
        cell.first_at = cell.first_at.min(row.begin_at);
        cell.last_at = cell.last_at.max(row.end_at);
    }
    cells.into_values().collect()
}

impl Facet {
    pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Facet> {
        Facet::read(row)
    }
}
