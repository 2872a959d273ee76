//! One pass over the daily sums of a window.

use rusqlite::named_params;

use super::numbers::{Places, once};
use super::results::{Results, Words};
use super::{Evidence, Seen, Source};
use crate::query::sums::Sum;
use crate::query::{Counts, Database, Error, Window};

/// So many sums are remembered as they come; then those that have all in common are taken together.
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
    sources: Places,
    domains: Places,
    dkim_sets: Places,
    spf_sets: Places,
    reason_sets: Places,
    /// How many there are each once.
    merged: usize,
}

impl Gathering {
    pub(super) fn take(&mut self, sum: &Sum<'_>) {
        let (source, new) = self.sources.of(sum.source);
        if new {
            self.evidence.sources.push(met(sum));
        }
        if let Some(source) = self.evidence.sources.get_mut(source as usize) {
            let (dkim, spf) = sum.results();
            source.counts = source.counts.plus(Counts::of(sum.messages, dkim, spf, sum.disposition()));
            source.first_at = source.first_at.min(sum.begin_at);
            source.last_at = source.last_at.max(sum.end_at);
        }
        let seen = Seen {
            source,
            domain: self.domains.of(sum.key.domain).0,
            dkim_set: self.dkim_sets.of(sum.key.dkim_set).0,
            spf_set: self.spf_sets.of(sum.key.spf_set).0,
            reason_set: self.reason_sets.of(sum.key.reason_set).0,
            pass: sum.pass(),
            messages: sum.messages,
        };
        self.see(seen);
    }

    /// Those of one day and source come in order, so that what differs in period alone is mostly taken together at once.
    fn see(&mut self, next: Seen) {
        let seen = &mut self.evidence.seen;
        if seen.last_mut().is_some_and(|last| last.take_in(&next)) {
            return;
        }
        seen.push(next);
        if seen.len() >= MOST_SINGLE.max(self.merged.saturating_mul(2)) {
            seen.sort_unstable();
            seen.dedup_by(|next, first| first.take_in(next));
            self.merged = seen.len();
        }
    }

    /// Looks up what the numbers stand for.
    /// `window` is what was gathered.
    pub(super) fn finish(mut self, database: &Database, window: Window) -> Result<Evidence, Error> {
        self.tell_new(database, window)?;
        let Gathering { mut evidence, domains, dkim_sets, spf_sets, reason_sets, .. } = self;
        let mut words = Words::default();
        for id in domains.numbers() {
            let text = words.text(database.connection(), Some(*id).filter(|id| *id != 0));
            evidence.domains.push(text.map_err(|error| database.explain(error))?);
        }
        evidence.dkim_sets = dkim_sets.numbers().to_vec();
        evidence.spf_sets = spf_sets.numbers().to_vec();
        evidence.reason_sets = reason_sets.numbers().to_vec();
        evidence.results = Results::of(
            database,
            evidence.dkim_sets.iter().copied(),
            evidence.spf_sets.iter().copied(),
            evidence.reason_sets.iter().copied().filter(|set| *set != 0),
        )?;
        Ok(evidence)
    }

    /// Marks the sources that were not seen before.
    fn tell_new(&mut self, database: &Database, window: Window) -> Result<(), Error> {
        let (places, sources) = (&self.sources, &mut self.evidence.sources);
        let mut new = |id: i64| {
            if let Some(source) = places.known(id).and_then(|place| sources.get_mut(place as usize)) {
                source.seen_before = false;
            }
        };
        if places.numbers().len() <= FEW {
            return first_seen(database, places.numbers().iter().copied(), |id, first_at| {
                if first_at.is_none_or(|first_at| first_at >= window.since) {
                    new(id);
                }
            });
        }
        let params = named_params! {":since": window.since, ":until": window.until};
        database.each(
            include_str!("new.sql"),
            params,
            |row| row.get(0),
            |id| {
                new(id);
                Ok::<_, Error>(true)
            },
        )
    }
}

/// A source of which nothing is counted yet.
fn met(sum: &Sum<'_>) -> Source {
    let &Sum { source: id, ip, begin_at: first_at, end_at: last_at, .. } = sum;
    Source { id, ip: ip.to_owned(), seen_before: true, counts: Counts::default(), first_at, last_at }
}

impl Seen {
    /// Takes messages in that have all in common with these, if they do.
    fn take_in(&mut self, next: &Seen) -> bool {
        let same = *next == Seen { messages: next.messages, ..*self };
        if same {
            self.messages = self.messages.saturating_add(next.messages);
        }
        same
    }
}
