//! One pass over the daily sums of a window.

use std::collections::HashMap;

use rusqlite::named_params;

use super::numbers::{Numbers, Place, once};
use super::results::{Results, Sets, Words};
use super::{Evidence, Kind, Seen, Source};
use crate::query::sums::Sum;
use crate::query::{Counts, Database, Error, Window};

/// So many sums are remembered as they come; then those of one source and kind are taken together.
const MOST_SINGLE: usize = 500_000;
/// Of so many addresses each is looked up; of more, those that are new in the window are.
const FEW: usize = 1_000;

/// Hands on number and end of the first period of each of these addresses, in order of their numbers.
pub(super) fn first_seen(
    database: &Database,
    ids: impl Iterator<Item = i64>,
    mut take: impl FnMut(i64, Option<i64>),
) -> Result<(), Error> {
    let look = || -> rusqlite::Result<()> {
        let mut statement = database.connection().prepare_cached(include_str!("address.sql"))?;
        for id in once(ids) {
            let mut rows = statement.query([id])?;
            if let Some(row) = rows.next()? {
                take(id, row.get(0)?);
            }
        }
        Ok(())
    };
    look().map_err(|error| database.explain(error))
}

/// An answer that is not whole yet.
#[derive(Default)]
pub(super) struct Gathering {
    evidence: Evidence,
    sources: Numbers<u32>,
    domains: Numbers<u32>,
    kinds: HashMap<Kind, u32, Place>,
    /// The source of the sum before: those of one source follow one another within a day.
    last: Option<(i64, u32)>,
    /// How many there are each once.
    merged: usize,
}

impl Gathering {
    pub(super) fn take(&mut self, sum: &Sum<'_>) {
        let &Sum { source, ip, key, messages, begin_at, end_at } = sum;
        let (dkim, spf) = sum.results();
        let source = self.source(source, ip, begin_at, end_at);
        if let Some(source) = self.evidence.sources.get_mut(source as usize) {
            source.counts = source.counts.plus(Counts::of(messages, dkim, spf, sum.disposition()));
            source.first_at = source.first_at.min(begin_at);
            source.last_at = source.last_at.max(end_at);
        }
        let next = place(self.domains.len().saturating_add(1));
        let domain = *self.domains.entry(key.domain).or_insert(next);
        let sets = Sets { dkim: key.dkim_set, spf: key.spf_set };
        let kind = self.kind(Kind { domain, sets, reason_set: key.reason_set, pass: sum.pass() });
        self.evidence.seen.push(Seen { source, kind, messages });
        if self.evidence.seen.len() >= MOST_SINGLE.max(self.merged.saturating_mul(2)) {
            self.merge();
        }
    }

    fn source(&mut self, id: i64, ip: &str, begin_at: i64, end_at: i64) -> u32 {
        match self.last {
            Some((last, place)) if last == id => return place,
            _ => {}
        }
        let sources = &mut self.evidence.sources;
        let place = *self.sources.entry(id).or_insert_with(|| {
            let (ip, counts) = (ip.to_owned(), Counts::default());
            sources.push(Source { id, ip, seen_before: true, counts, first_at: begin_at, last_at: end_at });
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
    /// `window` is what was gathered.
    pub(super) fn finish(self, database: &Database, window: Window) -> Result<Evidence, Error> {
        let Gathering { mut evidence, sources, domains, kinds, .. } = self;
        drop(kinds);
        let mut new = |id: i64| {
            let source = sources.get(&id).and_then(|place| evidence.sources.get_mut(*place as usize));
            if let Some(source) = source {
                source.seen_before = false;
            }
        };
        if sources.len() <= FEW {
            first_seen(database, sources.keys().copied(), |id, first_at| {
                if first_at.is_none_or(|first_at| first_at >= window.since) {
                    new(id);
                }
            })?;
        } else {
            let params = named_params! {":since": window.since, ":until": window.until};
            database.each(
                include_str!("new.sql"),
                params,
                |row| row.get(0),
                |id| {
                    new(id);
                    Ok::<_, Error>(true)
                },
            )?;
        }
        let mut words = Words::default();
        evidence.domains = vec![None; domains.len()];
        for (id, place) in domains {
            let text = words.text(database.connection(), Some(id).filter(|id| *id != 0));
            if let Some(domain) = evidence.domains.get_mut(place as usize) {
                *domain = text.map_err(|error| database.explain(error))?;
            }
        }
        let kinds = &evidence.kinds;
        let results = Results::of(
            database,
            kinds.iter().map(|kind| kind.sets),
            kinds.iter().map(|kind| kind.reason_set).filter(|set| *set != 0),
        )?;
        evidence.results = results;
        Ok(evidence)
    }
}

/// The place of the last of so many. There are never as many as 2^32: each takes more than a byte.
fn place(count: usize) -> u32 {
    u32::try_from(count.saturating_sub(1)).unwrap_or(u32::MAX)
}
