//! Suppression events that follow from evidence, held to what follows from it now.

use rusqlite::{Connection, params};

use crate::report::address::folded;
use crate::suppress::rules::Kind;

/// An event that ought to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The address as it is exported.
    pub address: String,
    /// The From domain it is limited to; empty for none.
    pub scope: String,
    /// What happened.
    pub kind: Kind,
    /// When.
    pub at: i64,
    /// When it ends by itself.
    pub until_at: Option<i64>,
    /// Feedback type or status code.
    pub reason: String,
}

/// Where events come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A complaint's row.
    Complaint(i64),
    /// A bounce's row.
    Bounce(i64),
}

impl Evidence {
    fn complaint(self) -> Option<i64> {
        match self {
            Evidence::Complaint(id) => Some(id),
            Evidence::Bounce(_) => None,
        }
    }

    fn bounce(self) -> Option<i64> {
        match self {
            Evidence::Bounce(id) => Some(id),
            Evidence::Complaint(_) => None,
        }
    }
}

/// An event that is there.
struct Known {
    id: i64,
    folded: String,
    scope: String,
    kind: String,
    at: i64,
    until_at: Option<i64>,
}

impl Known {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Known> {
        Ok(Known {
            id: row.get(0)?,
            folded: row.get(1)?,
            scope: row.get(2)?,
            kind: row.get(3)?,
            at: row.get(4)?,
            until_at: row.get(5)?,
        })
    }

    fn is(&self, event: &Event) -> bool {
        self.folded == folded(&event.address) && self.scope == event.scope && self.kind == event.kind.as_str()
    }
}

/// Adds an event.
pub fn insert(connection: &Connection, evidence: Evidence, event: &Event) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO suppression_event (folded, address, scope, kind, at, until_at, reason, complaint, bounce) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            folded(&event.address),
            event.address,
            event.scope,
            event.kind.as_str(),
            event.at,
            event.until_at,
            event.reason,
            evidence.complaint(),
            evidence.bounce(),
        ])
        .map(|_| ())
}

/// Makes the events of one complaint, or the hard bounces of one bounce, those that follow from it now: adds what is
/// missing, and ends what does not hold, as if it never had. Nothing is taken away, so that it can be told. How many are
/// not as they were.
pub fn hold(connection: &Connection, evidence: Evidence, events: &[Event]) -> rusqlite::Result<usize> {
    let mut changed = 0;
    const COMPLAINT: &str =
        "SELECT id, folded, scope, kind, at, until_at FROM suppression_event WHERE complaint = ?1 ORDER BY id";
    const BOUNCE: &str = "SELECT id, folded, scope, kind, at, until_at FROM suppression_event \
        WHERE bounce = ?1 AND kind <> 'soft_bounce' ORDER BY id";
    let (sql, id) = match evidence {
        Evidence::Complaint(id) => (COMPLAINT, id),
        Evidence::Bounce(id) => (BOUNCE, id),
    };
    let known: Vec<Known> =
        connection.prepare_cached(sql)?.query_map(params![id], Known::read)?.collect::<rusqlite::Result<_>>()?;
    for one in &known {
        let until_at = match events.iter().find(|event| one.is(event)) {
            Some(event) => event.until_at,
            None => Some(one.at),
        };
        changed += set_end(connection, one, until_at)?;
    }
    for event in events.iter().filter(|event| !known.iter().any(|one| one.is(event))) {
        insert(connection, evidence, event)?;
        changed += 1;
    }
    Ok(changed)
}

/// A soft bounce that suppresses.
struct Soft {
    event: Known,
    bounce: i64,
    /// Only the bare fact of it is left.
    pruned: bool,
}

/// Makes the soft bounces that suppress one address those that do now. Those that do not end at `better_at`, when
/// something better was heard, else as if they never had.
pub fn hold_soft(
    connection: &Connection,
    folded: &str,
    events: &[(i64, Event)],
    better_at: Option<i64>,
) -> rusqlite::Result<usize> {
    let mut changed = 0;
    let rows: Vec<Soft> = connection
        .prepare_cached(
            "SELECT e.id, e.folded, e.scope, e.kind, e.at, e.until_at, e.bounce, b.pruned_at IS NOT NULL \
             FROM suppression_event e LEFT JOIN bounce b ON b.id = e.bounce \
             WHERE e.folded = ?1 AND e.kind = 'soft_bounce' ORDER BY e.id",
        )?
        .query_map(params![folded], |row| {
            Ok(Soft { event: Known::read(row)?, bounce: row.get(6)?, pruned: row.get(7)? })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let same = |row: &Soft, (other, event): &(i64, Event)| row.bounce == *other && row.event.is(event);
    for row in &rows {
        let Known { at, until_at: before, .. } = row.event;
        let until_at = match events.iter().find(|event| same(row, event)) {
            Some((_, event)) => event.until_at,
            // The others that it counted with are gone: only better news ends it.
            None if row.pruned => better_at.filter(|better_at| *better_at > at).or(before),
            None => Some(better_at.unwrap_or(at).max(at)),
        };
        changed += set_end(connection, &row.event, until_at)?;
    }
    for event in events.iter().filter(|event| !rows.iter().any(|row| same(row, event))) {
        insert(connection, Evidence::Bounce(event.0), &event.1)?;
        changed += 1;
    }
    Ok(changed)
}

fn set_end(connection: &Connection, one: &Known, until_at: Option<i64>) -> rusqlite::Result<usize> {
    if one.until_at == until_at {
        return Ok(0);
    }
    connection
        .prepare_cached("UPDATE suppression_event SET until_at = ?2 WHERE id = ?1")?
        .execute(params![one.id, until_at])
}
