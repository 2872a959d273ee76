//! Every address that is not to be mailed now, in the order of exports, as fast as the disk gives it.
//!
//! `v_suppression` says the same and asks the index three times for each row; here the events of one address and From
//! domain come one after the other, and what nearly all of them are is decided while they pass: objections without an end,
//! and lifts. Whatever else happened to an address is left to `state.sql`, so that there is one rule for it.

use rusqlite::types::ValueRef;
use rusqlite::{Row, named_params};

use super::{Database, Error, Suppression};

/// One address that is not to be mailed, or waits for a person to decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// The address in lower case.
    pub folded: String,
    /// The address.
    pub address: String,
    /// The kind of the event that decides.
    pub kind: String,
    /// Feedback type, or what the person wrote.
    pub reason: String,
    /// The From domain it is about; empty is every domain.
    pub scope: String,
    /// Since when.
    pub since_at: i64,
    /// Until when; `None` is for ever.
    pub until_at: Option<i64>,
    /// Where it comes from.
    pub evidence: String,
    /// No more than a complaint or bounce that is not known to be genuine.
    pub pending: bool,
}

/// Hands over every address that is suppressed at `now`, with `pending` also those that wait, ordered by the address in
/// lower case, then by From domain. With `scope`, those for that From domain and for every.
///
/// # Errors
/// As [`Database`], and what `take` fails with.
pub fn current<E: From<Error>>(
    database: &Database,
    scope: Option<&str>,
    now: i64,
    pending: bool,
    mut take: impl FnMut(Current) -> Result<(), E>,
) -> Result<(), E> {
    let explain = |error| E::from(database.explain(error));
    let mut statement = database.connection().prepare(include_str!("waiting.sql")).map_err(explain)?;
    let mut waiting = match pending {
        true => Some(statement.query(named_params! {":scope": scope, ":now": now}).map_err(explain)?),
        false => None,
    };
    let mut next_waiting = || -> Result<Option<Current>, E> {
        let row = waiting.as_mut().map(|rows| rows.next()).transpose().map_err(explain)?.flatten();
        row.map(read_waiting).transpose().map_err(explain)
    };
    let mut held = next_waiting()?;
    suppressed(database, scope, now, |row| {
        while let Some(before) = held.take_if(|before| (&before.folded, &before.scope) < (&row.folded, &row.scope)) {
            take(before)?;
            held = next_waiting()?;
        }
        take(row)
    })?;
    while let Some(row) = held {
        take(row)?;
        held = next_waiting()?;
    }
    Ok(())
}

fn read_waiting(row: &Row<'_>) -> rusqlite::Result<Current> {
    Ok(Current {
        folded: row.get("folded")?,
        scope: row.get("scope")?,
        since_at: row.get("at")?,
        address: row.get("address")?,
        kind: row.get("kind")?,
        reason: row.get("reason")?,
        until_at: None,
        evidence: row.get("evidence")?,
        pending: true,
    })
}

fn suppressed<E: From<Error>>(
    database: &Database,
    scope: Option<&str>,
    now: i64,
    mut take: impl FnMut(Current) -> Result<(), E>,
) -> Result<(), E> {
    let explain = |error| E::from(database.explain(error));
    let mut statement = database.connection().prepare(include_str!("current.sql")).map_err(explain)?;
    let mut rows = statement.query(named_params! {":scope": scope}).map_err(explain)?;
    let mut history = History::default();
    while let Some(row) = rows.next().map_err(explain)? {
        if !history.is_of(row).map_err(explain)? {
            if let Some(found) = history.end(database, now)? {
                take(found)?;
            }
            history.begin(row).map_err(explain)?;
        }
        history.event(row).map_err(explain)?;
    }
    history.end(database, now)?.map_or(Ok(()), take)
}

/// What is known after some of the events of one address and From domain.
#[derive(Default)]
struct History {
    folded: String,
    scope: String,
    /// When the first event since the last lift was.
    since_at: Option<i64>,
    /// The newest event since the last lift.
    newest: Option<Event>,
    /// Among them is one whose effect is not decided here.
    unsure: bool,
}

/// An event that suppresses.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at: i64,
    kind: String,
    reason: String,
    address: String,
    author: Option<String>,
    complaint: Option<i64>,
    bounce: Option<i64>,
}

impl History {
    fn is_of(&self, row: &Row<'_>) -> rusqlite::Result<bool> {
        Ok(row.get_ref(0)?.as_str()? == self.folded && row.get_ref(1)?.as_str()? == self.scope)
    }

    fn begin(&mut self, row: &Row<'_>) -> rusqlite::Result<()> {
        self.folded.clear();
        self.folded.push_str(row.get_ref(0)?.as_str()?);
        self.scope.clear();
        self.scope.push_str(row.get_ref(1)?.as_str()?);
        (self.since_at, self.newest, self.unsure) = (None, None, false);
        Ok(())
    }

    fn event(&mut self, row: &Row<'_>) -> rusqlite::Result<()> {
        match row.get_ref(3)?.as_str()? {
            "lift" => {
                (self.since_at, self.newest) = (None, None);
                return Ok(());
            }
            "complaint" | "unsubscribe" | "hard_bounce" | "add" if row.get_ref(4)? == ValueRef::Null => {}
            _ => self.unsure = true,
        }
        let at = row.get(2)?;
        self.since_at = self.since_at.or(Some(at));
        let event = Event {
            at,
            kind: row.get(3)?,
            reason: row.get(6)?,
            address: row.get(5)?,
            author: row.get(7)?,
            complaint: row.get(8)?,
            bounce: row.get(9)?,
        };
        // Of events in one second the row id tells no more than which was stored first: their content decides. A
        // person's word always comes later than what it is about.
        let later = self.newest.as_ref().is_none_or(|newest| event.author.is_some() || event > *newest);
        if later {
            self.newest = Some(event);
        }
        Ok(())
    }

    /// The state after the last event.
    fn end(&mut self, database: &Database, now: i64) -> Result<Option<Current>, Error> {
        if self.unsure {
            return self.asked(database, now).map_err(|error| database.explain(error));
        }
        let Some(event) = self.newest.take() else { return Ok(None) };
        let evidence = match (event.complaint, event.bounce) {
            (Some(id), _) => format!("complaint {id}"),
            (None, Some(id)) => format!("bounce {id}"),
            (None, None) => format!("{} by {}", event.kind, event.author.as_deref().unwrap_or("?")),
        };
        Ok(Some(Current {
            folded: self.folded.clone(),
            address: event.address,
            kind: event.kind,
            reason: event.reason,
            scope: self.scope.clone(),
            since_at: self.since_at.unwrap_or(event.at),
            until_at: None,
            evidence,
            pending: false,
        }))
    }

    /// The state as `state.sql` tells it.
    fn asked(&self, database: &Database, now: i64) -> rusqlite::Result<Option<Current>> {
        let connection = database.connection();
        let mut state = connection.prepare_cached(include_str!("state.sql"))?;
        let rows = state.query_map(named_params! {":folded": self.folded, ":now": now}, Suppression::read)?;
        let rows: Vec<Suppression> = rows.collect::<rusqlite::Result<_>>()?;
        let Some(row) = rows.into_iter().find(|row| row.scope == self.scope) else { return Ok(None) };
        let params = named_params! {
            ":folded": self.folded, ":scope": self.scope, ":reason": row.reason, ":until_at": row.until_at,
        };
        let kind = connection.prepare_cached(include_str!("deciding.sql"))?.query_row(params, |row| row.get(0))?;
        Ok(Some(Current {
            folded: self.folded.clone(),
            address: row.address,
            kind,
            reason: row.reason,
            scope: row.scope,
            since_at: row.since_at,
            until_at: row.until_at,
            evidence: row.evidence,
            pending: false,
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use rusqlite::Connection;

    use super::*;
    use crate::query::testing::{FIXTURE, create, scratch};

    const NOW: i64 = 1_000;

    fn all(database: &Database, scope: Option<&str>, pending: bool, now: i64) -> Vec<Current> {
        let mut found = Vec::new();
        current(database, scope, now, pending, |row| {
            found.push(row);
            Ok::<_, Error>(())
        })
        .unwrap();
        found
    }

    #[test]
    fn pending_rows_stand_in_their_places() {
        let scratch = scratch(FIXTURE);
        let list = |scope, pending| -> Vec<String> {
            all(&scratch.database, scope, pending, 1_795_219_200).into_iter().map(|row| row.address).collect()
        };
        assert_eq!(list(None, false), ["+dave@customer.example", "Alice@customer.example"]);
        assert_eq!(list(None, true), ["+dave@customer.example", "Alice@customer.example", "bob@customer.example"]);
        assert_eq!(list(Some("example.com"), true), ["Alice@customer.example"]);
    }

    #[test]
    fn a_kind_that_is_not_known_is_left_to_the_view() {
        let rows = "PRAGMA ignore_check_constraints = ON;
            INSERT INTO suppression_event (folded, address, scope, kind, at, reason) VALUES
              ('a@x.test', 'a@x.test', '', 'fax', 1, 'odd'), ('b@x.test', 'B@x.test', '', 'hard_bounce', 2, '5.1.1');";
        let scratch = scratch(rows);
        let found = all(&scratch.database, None, false, NOW);
        let told: Vec<(&str, &str)> = found.iter().map(|row| (row.address.as_str(), row.kind.as_str())).collect();
        assert_eq!(told, [("a@x.test", "fax"), ("B@x.test", "hard_bounce")]);
    }

    /// Something that happens to one of three addresses, for one of two domains, at a time that no other thing has.
    #[derive(Clone, Debug)]
    struct Happening {
        person: usize,
        scope: &'static str,
        kind: &'static str,
        at: i64,
        until_at: Option<i64>,
    }

    /// A database without rows, made once.
    static EMPTY: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("empty");
        create(&path, "");
        std::fs::read(path).unwrap()
    });

    const PEOPLE: [&str; 3] = ["Ann@x.test", "bob@x.test", "\"c d\"@x.test"];

    fn happenings() -> impl Strategy<Value = Vec<Happening>> {
        let kind = prop_oneof![Just("complaint"), Just("unsubscribe"), Just("add"), Just("lift")];
        let one = (
            0..3usize,
            prop_oneof![Just(""), Just("a.test")],
            kind,
            prop_oneof![
                3 => Just(None),
                1 => (900..1_100i64).prop_map(Some)
            ],
        );
        proptest::collection::vec(one, 0..16).prop_map(|list| {
            let numbered = list.into_iter().enumerate();
            numbered
                .map(|(number, (person, scope, kind, until_at))| Happening {
                    person,
                    scope,
                    kind,
                    at: number as i64,
                    until_at: until_at.filter(|_| kind == "add"),
                })
                .collect()
        })
    }

    fn stored(list: &[Happening]) -> String {
        let rows = list.iter().map(|one| {
            let address = PEOPLE[one.person];
            format!(
                "INSERT INTO suppression_event (folded, address, scope, kind, at, until_at, reason, author) VALUES \
                 ('{}', '{address}', '{}', '{}', {}, {}, 'r{}', {});",
                address.to_lowercase(),
                one.scope,
                one.kind,
                one.at,
                one.until_at.map_or("NULL".to_owned(), |at| at.to_string()),
                one.at,
                if matches!(one.kind, "add" | "lift") { "'mia'" } else { "NULL" }
            )
        });
        format!("PRAGMA synchronous = OFF; BEGIN; {} COMMIT;", rows.collect::<String>())
    }

    /// What the view says, with its clock set to `NOW`.
    fn viewed(rows: &str) -> Vec<(String, String, String, i64, Option<i64>, String)> {
        let connection = Connection::open_in_memory().unwrap();
        let schema = include_str!("../../../schema.sql").replace("CAST(strftime('%s', 'now') AS INTEGER)", "1000");
        connection.execute_batch(&schema).unwrap();
        connection.execute_batch(rows).unwrap();
        let mut statement = connection
            .prepare("SELECT address, scope, reason, since_at, until_at, evidence FROM v_suppression ORDER BY lower(address), scope")
            .unwrap();
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?));
        statement.query_map([], read).unwrap().map(Result::unwrap).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// The list is what the view says, holds nobody whom no event named, and is the same in whatever order events
        /// were stored; who is lifted is not in it.
        #[test]
        fn the_list_is_what_happened((list, shuffled) in happenings().prop_flat_map(|list| {
            (Just(list.clone()), Just(list).prop_shuffle())
        })) {
            let directory = tempfile::tempdir().unwrap();
            let rows = |list: &[Happening], name: &str| {
                let path = directory.path().join(name);
                std::fs::write(&path, &*EMPTY).unwrap();
                Connection::open(&path).unwrap().execute_batch(&stored(list)).unwrap();
                all(&Database::open(&path).unwrap(), None, false, NOW)
            };
            let found = rows(&list, "in-order");
            prop_assert_eq!(&found, &rows(&shuffled, "shuffled"));
            let told: Vec<_> = found.iter().cloned().map(|row| {
                (row.address, row.scope, row.reason, row.since_at, row.until_at, row.evidence)
            }).collect();
            prop_assert_eq!(told, viewed(&stored(&list)));
            for row in &found {
                let named = list.iter().any(|one| one.kind != "lift" && PEOPLE[one.person] == row.address && one.scope == row.scope);
                prop_assert!(named, "{:?}", row);
            }
            for one in list.iter().filter(|one| one.kind == "lift") {
                let later = |other: &&Happening| other.at > one.at && other.person == one.person && other.scope == one.scope;
                if !list.iter().any(|other| later(&other)) {
                    prop_assert!(!found.iter().any(|row| row.address == PEOPLE[one.person] && row.scope == one.scope));
                }
            }
        }
    }
}
