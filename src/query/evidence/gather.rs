//! One pass over the daily sums of a window.

use std::collections::HashMap;

use rusqlite::{Params, Row};

use super::numbers::{Numbers, Place, once};
use super::results::{Results, Sets, Words};
use super::{Evidence, Kind, Seen, Source};
use crate::query::counts::{dmarc_pass, result};
use crate::query::{Counts, Database, Error, Window};

const DAY: i64 = 86_400;
/// So many sums are remembered as they come; then those of one source and kind are taken together.
const MOST_SINGLE: usize = 500_000;

/// What the rows of `sql`, with the columns of `rows.sql`, come to, of the periods that end in `window`.
pub(super) fn gather(database: &Database, sql: &str, params: impl Params, window: Window) -> Result<Evidence, Error> {
    let mut gathering = Gathering::new(window);
    gathering.read(database, sql, params).map_err(|error| database.explain(error))?;
    gathering.finish(database)
}

/// Hands on number, text and end of the first period of each of these addresses, in order of their numbers.
pub(super) fn addresses(
    database: &Database,
    ids: impl Iterator<Item = i64>,
    mut take: impl FnMut(i64, String, Option<i64>),
) -> Result<(), Error> {
    let look = || -> rusqlite::Result<()> {
        let mut statement = database.connection().prepare_cached(include_str!("address.sql"))?;
        for id in once(ids) {
            let mut rows = statement.query([id])?;
            if let Some(row) = rows.next()? {
                take(id, row.get(0)?, row.get(1)?);
            }
        }
        Ok(())
    };
    look().map_err(|error| database.explain(error))
}

/// An answer that is not whole yet.
struct Gathering {
    window: Window,
    evidence: Evidence,
    sources: Numbers<u32>,
    domains: Numbers<usize>,
    kinds: HashMap<Kind, u32, Place>,
    /// The source of the row before: those of one source follow one another within a day.
    last: Option<(i64, u32)>,
    /// How many there are each once.
    merged: usize,
}

impl Gathering {
    fn new(window: Window) -> Gathering {
        Gathering {
            window,
            evidence: Evidence::default(),
            sources: Numbers::default(),
            domains: Numbers::default(),
            kinds: HashMap::default(),
            last: None,
            merged: 0,
        }
    }

    fn read(&mut self, database: &Database, sql: &str, params: impl Params) -> rusqlite::Result<()> {
        let mut statement = database.connection().prepare(sql)?;
        let mut rows = statement.query(params)?;
        while let Some(row) = rows.next()? {
            self.take(row)?;
        }
        Ok(())
    }

    fn take(&mut self, row: &Row<'_>) -> rusqlite::Result<()> {
        let (dkim, spf) = (result(row.get(5)?), result(row.get(6)?));
        let (disposition, messages): (i64, i64) = (row.get(7)?, row.get(8)?);
        let Some((begin_at, end_at)) = self.period(row.get(9)?, row.get(10)?, row.get(11)?) else { return Ok(()) };
        let source = self.source(row.get(0)?, begin_at, end_at);
        if let Some(source) = self.evidence.sources.get_mut(source as usize) {
            source.counts = source.counts.plus(Counts::of(messages, dkim, spf, Some(disposition)));
            source.first_at = source.first_at.min(begin_at);
            source.last_at = source.last_at.max(end_at);
        }
        let pass = dmarc_pass(dkim, spf);
        let domains = self.domains.len();
        let domain = *self.domains.entry(row.get(1)?).or_insert(domains);
        let sets = Sets { dkim: row.get(2)?, spf: row.get(3)? };
        let reason_set = Some(row.get(4)?).filter(|set| *set != 0);
        let kind = self.kind(Kind { domain, sets, reason_set, pass });
        self.evidence.seen.push(Seen { source, kind, messages });
        if self.evidence.seen.len() >= MOST_SINGLE.max(self.merged.saturating_mul(2)) {
            self.merge();
        }
        Ok(())
    }

    /// Begin and end as the columns of these names make them in the schema, where the end is in the window.
    fn period(&self, day: i64, early: i64, short: i64) -> Option<(i64, i64)> {
        let midnight = day.saturating_add(1).saturating_mul(DAY);
        let end_at = midnight.saturating_sub(early);
        let Window { since, until } = self.window;
        (since <= end_at && end_at < until).then(|| (end_at.saturating_sub(DAY).saturating_add(short), end_at))
    }

    fn source(&mut self, id: i64, begin_at: i64, end_at: i64) -> u32 {
        match self.last {
            Some((last, place)) if last == id => return place,
            _ => {}
        }
        let sources = &mut self.evidence.sources;
        let place = *self.sources.entry(id).or_insert_with(|| {
            let (ip, counts) = (String::new(), Counts::default());
            sources.push(Source { id, ip, seen_before: false, counts, first_at: begin_at, last_at: end_at });
            place(sources.len())
        });
        self.last = Some((id, place));
        place
    }

    fn kind(&mut self, kind: Kind) -> u32 {
        let kinds = &mut self.evidence.kinds;
        *self.kinds.entry(kind).or_insert_with(|| {
            kinds.push(kind);
            place(kinds.len())
        })
    }

    /// Takes together what has all in common.
    fn merge(&mut self) {
        let seen = &mut self.evidence.seen;
        seen.sort_unstable();
        seen.dedup_by(|next, first| {
            let same = (next.source, next.kind) == (first.source, first.kind);
            if same {
                first.messages = first.messages.saturating_add(next.messages);
            }
            same
        });
        self.merged = seen.len();
    }

    /// Looks up what the numbers stand for.
    fn finish(self, database: &Database) -> Result<Evidence, Error> {
        let Gathering { mut evidence, sources, domains, kinds, window: Window { since, .. }, .. } = self;
        drop(kinds);
        addresses(database, sources.keys().copied(), |id, ip, first_at| {
            let source = sources.get(&id).and_then(|place| evidence.sources.get_mut(*place as usize));
            if let Some(source) = source {
                source.ip = ip;
                source.seen_before = first_at.is_some_and(|first_at| first_at < since);
            }
        })?;
        let mut words = Words::default();
        evidence.domains = vec![None; domains.len()];
        for (id, place) in domains {
            let text = words.text(database.connection(), Some(id).filter(|id| *id != 0));
            if let Some(domain) = evidence.domains.get_mut(place) {
                *domain = text.map_err(|error| database.explain(error))?;
            }
        }
        let kinds = &evidence.kinds;
        let results =
            Results::of(database, kinds.iter().map(|kind| kind.sets), kinds.iter().filter_map(|kind| kind.reason_set))?;
        evidence.results = results;
        Ok(evidence)
    }
}

/// The place of the last of so many. There are never as many as 2^32: each takes more than a byte.
fn place(count: usize) -> u32 {
    u32::try_from(count.saturating_sub(1)).unwrap_or(u32::MAX)
}
