//! Complainers whom a provider names by a digest only, found again in a list of the user's.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::{Connection, params};

use super::keep::Ours;
use super::{Error, Store};
use crate::report::address::{self, Address};
use crate::suppress::digest::{self, Form};

/// Where people were found who were matched so.
pub const VIA: &str = "hash-match";

/// What matching did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matched {
    /// Addresses in the list.
    pub listed: u64,
    /// Complaints that name somebody by a digest.
    pub hashed: u64,
    /// Of these matched with one address.
    pub matched: u64,
    /// Of these matched with several, so that it is not known who it was.
    pub ambiguous: u64,
    /// What the digests are of, by how many complaints.
    pub forms: BTreeMap<&'static str, u64>,
}

/// A digest that a complaint names.
struct Wanted {
    complaint: i64,
    /// The domain beside it, where it is a real one.
    domain: Option<String>,
    found: BTreeSet<(String, Form)>,
}

/// Where each digest, in lower case, stands among what is wanted.
type Places = HashMap<String, Vec<usize>>;

impl Store {
    /// Tries every digest that a complaint names against a list of addresses, and judges those complaints again.
    ///
    /// # Errors
    /// Those of SQLite, and those of `next`.
    pub fn match_hashes<E: From<Error>>(
        &mut self,
        ours: &Ours,
        mut next: impl FnMut() -> Result<Option<Address>, E>,
    ) -> Result<Matched, E> {
        let (mut wanted, places) = self.wanted_hashes().map_err(|source| self.error(source))?;
        let mut matched = Matched { hashed: wanted.len() as u64, ..Matched::default() };
        while let Some(address) = next()? {
            matched.listed += 1;
            if places.is_empty() {
                continue;
            }
            digest::each(&address, &mut |digest, form| {
                for place in places.get(digest).into_iter().flatten() {
                    if let Some(wanted) = wanted.get_mut(*place) {
                        wanted.offer(&address, form);
                    }
                }
            });
        }
        self.in_transaction(|store| store.keep_matches(ours, &wanted, &mut matched))?;
        Ok(matched)
    }

    fn wanted_hashes(&self) -> rusqlite::Result<(Vec<Wanted>, Places)> {
        let rows: Vec<(i64, String)> = self
            .connection
            .prepare_cached(
                "SELECT complaint, spelled FROM complaint_recipient WHERE status = 'hashed' ORDER BY complaint",
            )?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let mut wanted: Vec<Wanted> = Vec::new();
        let mut places = Places::new();
        for (complaint, spelled) in rows {
            let bare = spelled.trim_matches(['<', '>', ' ']);
            let (hex, domain) = bare.split_once('@').map_or((bare, None), |(local, domain)| (local, Some(domain)));
            if !digest::is_hex(hex) {
                continue;
            }
            places.entry(hex.to_ascii_lowercase()).or_default().push(wanted.len());
            let domain = domain.and_then(address::domain).filter(|domain| !domain.ends_with(".xxx"));
            wanted.push(Wanted { complaint, domain, found: BTreeSet::new() });
        }
        Ok((wanted, places))
    }

    fn keep_matches(&mut self, ours: &Ours, wanted: &[Wanted], matched: &mut Matched) -> rusqlite::Result<()> {
        let mut complaints = Vec::new();
        for one in wanted {
            let people: BTreeSet<&String> = one.found.iter().map(|(address, _)| address).collect();
            match people.into_iter().collect::<Vec<_>>()[..] {
                [] => {}
                [address] => {
                    matched.matched += 1;
                    if let Some((_, form)) = one.found.first() {
                        *matched.forms.entry(form.as_str()).or_default() += 1;
                    }
                    keep(&self.connection, one.complaint, address)?;
                    complaints.push(one.complaint);
                }
                _ => matched.ambiguous += 1,
            }
        }
        complaints.dedup();
        self.judge(ours, &complaints, &[]).map(|_| ())
    }
}

impl Wanted {
    /// Takes an address whose digest fits. Many have the same local part: then the domain must be the one that is told.
    fn offer(&mut self, address: &Address, form: Form) {
        let fits = match (&self.domain, form.is_of_local_part()) {
            (Some(domain), true) => *domain == address.domain,
            _ => true,
        };
        // A few are as many as a million: nobody is named.
        if fits && self.found.len() < 10 {
            self.found.insert((address.canonical(), form));
        }
    }
}

/// Adds a person whom judging then looks at.
fn keep(connection: &Connection, complaint: i64, address: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO complaint_recipient (complaint, ordinal, address, folded, status, via, spelled, identity) \
             SELECT ?1, (SELECT coalesce(max(ordinal), -1) + 1 FROM complaint_recipient WHERE complaint = ?1), ?2, ?3, 'ok', ?4, \
             ?2, 'subscribed' WHERE NOT EXISTS (SELECT 1 FROM complaint_recipient WHERE complaint = ?1 AND via = ?4 AND folded = ?3)",
        )?
        .execute(params![complaint, address, address::folded(address), VIA])
        .map(|_| ())
}
