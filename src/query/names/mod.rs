//! What `enrich` found out about sending addresses: names, networks, block lists. Nothing here asks DNS: an address that was
//! never looked up is not in the answer, and `expires_at` tells how old what is there may be.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{OptionalExtension, Row, named_params};
use serde::{Deserialize, Serialize};

use super::{Database, Error, Window};
use crate::store::daily;

/// So many daily sums of an address are looked at, and the rest of a day's.
const MOST_SUMS: usize = 2_000;

/// What is known of one sending address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The address, as in `v_record`.
    pub source_ip: String,
    /// When DNS was last asked.
    pub looked_up_at: i64,
    /// When it is worth asking again. What is past it is still the best there is.
    pub expires_at: i64,
    /// What DNS said.
    pub outcome: Outcome,
    /// The first name that leads back to the address; `Some` only where [`Outcome`] is or was `Confirmed`.
    pub name: Option<String>,
    /// All names of the PTR records, confirmed or not. Anybody can write any name there: show them, judge by `name`.
    pub names: Vec<String>,
    /// Number of the autonomous system that announces the network.
    pub asn: Option<u32>,
    /// Who runs that.
    pub as_owner: Option<String>,
    /// Two letters (ISO 3166), as the network file says.
    pub country: Option<String>,
    /// Prefix in the network file that holds the address: `192.0.2.0/24`.
    pub network: Option<String>,
    /// Block lists that hold it; `None`: none was asked, which is the default.
    pub listed: Option<Vec<Listing>>,
    /// Block lists that refused to answer or failed. They say nothing about the address.
    pub list_errors: Vec<ListError>,
    /// Whose service it was, by the built-in table, when it was looked up.
    pub provider: Option<String>,
}

/// What DNS said about the name of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A name leads back to the address (FCrDNS; `iprev=pass` of RFC 8601, section 2.7.3).
    Confirmed,
    /// There are names, and none of them leads back.
    Unconfirmed,
    /// There is no name.
    None,
    /// DNS gave no answer. What else is there is of the time before, if any.
    Failed,
}

impl Outcome {
    /// As in the database and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Confirmed => "confirmed",
            Outcome::Unconfirmed => "unconfirmed",
            Outcome::None => "none",
            Outcome::Failed => "failed",
        }
    }

    fn of(word: &str) -> Outcome {
        match word {
            "confirmed" => Outcome::Confirmed,
            "unconfirmed" => Outcome::Unconfirmed,
            "none" => Outcome::None,
            _ => Outcome::Failed,
        }
    }
}

/// One block list that holds an address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Listing {
    /// The zone of the list.
    pub list: String,
    /// What it answered: addresses below 127.0.0.0/8 that tell the kind of entry (RFC 5782, section 2.1).
    pub answers: Vec<String>,
    /// What it says about the entry, for people.
    pub reason: Option<String>,
}

/// One block list that said nothing about an address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ListError {
    /// The zone of the list.
    pub list: String,
    /// Why.
    pub reason: String,
}

impl Names {
    fn read(row: &Row<'_>) -> rusqlite::Result<Names> {
        let listed: Option<String> = row.get("listed")?;
        let list_errors: Option<String> = row.get("list_errors")?;
        Ok(Names {
            source_ip: row.get("source_ip")?,
            looked_up_at: row.get("looked_up_at")?,
            expires_at: row.get("expires_at")?,
            outcome: Outcome::of(&row.get::<_, String>("outcome")?),
            name: row.get("name")?,
            names: array(&row.get::<_, String>("names")?),
            asn: row.get("asn")?,
            as_owner: row.get("as_owner")?,
            country: row.get("country")?,
            network: row.get("network")?,
            listed: listed.map(|text| array(&text)),
            list_errors: list_errors.map(|text| array(&text)).unwrap_or_default(),
            provider: row.get("provider")?,
        })
    }
}

/// An array as it is stored; other programs may have written something else.
fn array<T: for<'a> Deserialize<'a>>(text: &str) -> Vec<T> {
    serde_json::from_str(text).unwrap_or_default()
}

/// What is known of each of these addresses, by their numbers. Costs a look-up for each that is asked for, whatever else is
/// stored, and nothing where nothing was ever looked up.
///
/// # Errors
/// See [`Error`].
pub fn of(database: &Database, sources: impl IntoIterator<Item = i64>) -> Result<HashMap<i64, Names>, Error> {
    let look = || -> rusqlite::Result<HashMap<i64, Names>> {
        let mut found = HashMap::new();
        let any = include_str!("any.sql");
        if !database.connection().query_row(any, [], |row| row.get::<_, bool>(0))? {
            return Ok(found);
        }
        let mut statement = database.connection().prepare_cached(include_str!("of.sql"))?;
        for source in sources {
            if let Some(names) = statement.query_row([source], Names::read).optional()? {
                found.insert(source, names);
            }
        }
        Ok(found)
    };
    look().map_err(|error| database.explain(error))
}

super::row! {
    /// An address to look up.
    pub struct Pending {
        /// The address, as in `v_record`.
        source_ip: String,
        /// Messages and complaints of it in the window.
        messages: i64,
    }
}

/// The addresses of a window that were never looked up, or whose answers are past their end at `expired` (seconds since the
/// epoch; [`i64::MAX`] is all of them), `limit` at most: those of the most messages first.
///
/// # Errors
/// See [`Error`].
pub fn pending(database: &Database, window: Window, expired: i64, limit: usize) -> Result<Vec<Pending>, Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let params = named_params! {":since": window.since, ":until": window.until, ":expired": expired, ":limit": limit};
    database.rows(include_str!("pending.sql"), params, Pending::read)
}

/// Envelope domains for which SPF passed on mail from each of these addresses, out of a bounded number of records of each.
///
/// # Errors
/// See [`Error`].
pub fn passed_envelopes<'a>(
    database: &Database,
    ips: impl IntoIterator<Item = &'a str>,
) -> Result<HashMap<String, Vec<String>>, Error> {
    let mut passed = HashMap::new();
    for ip in ips {
        let params = named_params! {":spf_sets": spf_sets(database, ip)?};
        passed.insert(ip.to_owned(), database.rows(include_str!("passed.sql"), params, |row| row.get("domain"))?);
    }
    Ok(passed)
}

/// Combinations of SPF results on mail from an address, out of a bounded number of sums, as a JSON array.
fn spf_sets(database: &Database, ip: &str) -> Result<String, Error> {
    let mut spf_sets = BTreeSet::new();
    let mut looked_at = 0;
    let read = |row: &Row<'_>| {
        let mut found = Vec::new();
        daily::each(row, 0, |sum| found.push(sum.key.spf_set))?;
        Ok(found)
    };
    let params = named_params! {":ip": ip};
    database.each(include_str!("passed_sums.sql"), params, read, |found: Vec<i64>| {
        looked_at += found.len();
        spf_sets.extend(found);
        Ok::<_, Error>(looked_at < MOST_SUMS)
    })?;
    Ok(serde_json::Value::from_iter(spf_sets).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::testing::{FIXTURE, scratch};

    const FOUND: &str = "
        INSERT INTO source_name (source, looked_up_at, expires_at, outcome, name, names, asn, as_owner, country, network, listed,
                                 list_errors, provider) VALUES
          (1, 1795000000, 1795600000, 'confirmed', 'mail-1.google.com', '[\"mail-1.google.com\",\"other.example\"]', 15169,
           'Google LLC', 'US', '192.0.2.0/24', '[]', NULL, 'Google'),
          (2, 1795000000, 1795003600, 'failed', NULL, '[]', NULL, NULL, NULL, NULL,
           '[{\"list\":\"zen.example\",\"answers\":[\"127.0.0.4\"],\"reason\":\"infected\"}]',
           '[{\"list\":\"b.example\",\"reason\":\"refused\"}]', NULL);";

    #[test]
    fn what_is_known_of_an_address() {
        let scratch = scratch(&format!("{FIXTURE}{FOUND}"));
        let found = of(&scratch.database, [1, 2, 3, 99]).unwrap();
        assert_eq!(found.len(), 2, "two were looked up: {found:?}");
        let google = &found[&1];
        assert_eq!((google.outcome, google.name.as_deref()), (Outcome::Confirmed, Some("mail-1.google.com")));
        assert_eq!((google.asn, google.names.len()), (Some(15169), 2));
        assert_eq!(google.listed.as_deref(), Some(&[][..]), "asked, and not listed");
        assert_eq!(google.provider.as_deref(), Some("Google"));
        let other = &found[&2];
        assert_eq!(other.outcome, Outcome::Failed);
        assert_eq!(other.listed.as_deref().unwrap()[0].list, "zen.example");
        assert_eq!(other.list_errors[0].reason, "refused");
        assert_eq!(of(&scratch.database, []).unwrap(), HashMap::new());
    }

    #[test]
    fn what_is_to_be_looked_up() {
        let scratch = scratch(&format!("{FIXTURE}{FOUND}"));
        let check = |window: Window, expired: i64, limit: usize, expected: &[(&str, i64)]| {
            let found = pending(&scratch.database, window, expired, limit).unwrap();
            let found: Vec<_> = found.iter().map(|one| (&*one.source_ip, one.messages)).collect();
            assert_eq!(found, expected, "{window:?} {expired} {limit}");
        };
        check(Window::ALL, 1_795_000_100, 9, &[("2001:db8::25", 6), ("203.0.113.9", 1)]);
        let week = Window { since: 1_794_528_000, until: 1_795_200_000 };
        check(week, i64::MAX, 1, &[("192.0.2.10", 1248)]);
        check(week, 1_795_003_600, 9, &[("198.51.100.7", 20), ("2001:db8::25", 6), ("203.0.113.9", 1)]);
    }

    #[test]
    fn envelopes_that_passed() {
        let scratch = scratch(FIXTURE);
        let found = passed_envelopes(&scratch.database, ["192.0.2.10", "198.51.100.7"]).unwrap();
        assert_eq!(found["192.0.2.10"], ["bounces.example.com"]);
        assert_eq!(found["198.51.100.7"], [""; 0]);
    }
}
