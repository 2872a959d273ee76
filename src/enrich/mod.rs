//! Names, networks and block lists for sending addresses, in a table of their own, never during ingest. In batches: what is
//! kept stays kept, and the next run goes on with what is left.

pub mod networks;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;

use crate::checks::address::{self, Listing, Lists, Names};
use crate::checks::lookup::{Failure, Lookup, Question};
use crate::dns::Dns;
use crate::providers;
use crate::query::names::{self, Pending};
use crate::query::{self, Database};
use crate::store::names::{Looked, keep};
use networks::Networks;

/// Addresses looked up and kept at a time.
const BATCH: usize = 100;
const DAY: i64 = 86_400;
/// How soon DNS is asked again that gave no answer, in seconds.
const AGAIN: i64 = 3_600;

/// What to look up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Zones of block lists.
    pub blocklists: Vec<String>,
    /// For how many days an answer is good.
    pub days: i64,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Addresses looked up and kept.
    pub looked_up: u64,
    /// Of these with a name that leads back.
    pub confirmed: u64,
    /// With names of which none leads back.
    pub unconfirmed: u64,
    /// Without a name.
    pub none: u64,
    /// For which DNS gave no answer.
    pub failed: u64,
    /// On a block list.
    pub listed: u64,
    /// Left for the next run.
    pub left: u64,
}

/// Why a run ended early. What was kept until then stays.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// DNS does not answer.
    #[error(
        "DNS does not answer; what was looked up until now is kept: run again when it does, or name another server under [dns]"
    )]
    Unreachable,
    /// The database could not be read.
    #[error(transparent)]
    Query(#[from] query::Error),
    /// The database could not be written.
    #[error("the database could not be written: {0}")]
    Store(String),
}

/// Looks up `pending` and keeps what is found, calling `done` after each batch with how many are done. Ends when `dns` reaches
/// a bound or is stopped; the tally then says how many are left.
///
/// # Errors
/// See [`Error`]. The tally is right in any case.
pub fn run(
    database: &Path,
    dns: &mut Dns,
    networks: &Networks,
    settings: &Settings,
    now: i64,
    pending: &[Pending],
    mut done: impl FnMut(&Tally),
) -> (Tally, Result<(), Error>) {
    let mut tally = Tally { left: pending.len() as u64, ..Tally::default() };
    let mut rest = pending;
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(batch_size(dns, settings).min(rest.len()));
        rest = after;
        let looked = match look(database, dns, networks, settings, now, batch) {
            Ok(looked) => looked,
            Err(error) => return (tally, Err(error)),
        };
        if let Err(error) = keep(database, &looked) {
            return (tally, Err(Error::Store(error.to_string())));
        }
        for one in &looked {
            tally.add(one);
        }
        done(&tally);
        dns.forget();
        if dns.ran_short() {
            break;
        }
    }
    (tally, Ok(()))
}

/// As many as can be finished with the questions left: one for the name, one for whether it leads back, and the lists.
fn batch_size(dns: &Dns, settings: &Settings) -> usize {
    let each = 2 + settings.blocklists.len() as u64;
    usize::try_from(dns.questions_left() / each).unwrap_or(BATCH).clamp(1, BATCH)
}

impl Tally {
    fn add(&mut self, looked: &Looked) {
        self.looked_up += 1;
        self.left = self.left.saturating_sub(1);
        match looked.outcome {
            "confirmed" => self.confirmed += 1,
            "unconfirmed" => self.unconfirmed += 1,
            "none" => self.none += 1,
            _ => self.failed += 1,
        }
        if looked.listed.as_ref().is_some_and(|listed| listed != "[]") {
            self.listed += 1;
        }
    }
}

/// Looks up one batch; without those for which a bound left something unasked.
fn look(
    database: &Path,
    dns: &mut Dns,
    networks: &Networks,
    settings: &Settings,
    now: i64,
    batch: &[Pending],
) -> Result<Vec<Looked>, Error> {
    let ips: Vec<IpAddr> = batch.iter().filter_map(|pending| pending.source_ip.parse().ok()).collect();
    let lists = &settings.blocklists;
    let first: Vec<Question> = ips.iter().flat_map(|ip| address::first_questions(*ip, lists)).collect();
    dns.prepare(&first);
    // All silent, not one answer: DNS is away, not a name broken.
    if !ips.is_empty() && ips.iter().all(|ip| is_silent(dns, *ip)) && !dns.ran_short() && !dns.is_reachable() {
        return Err(Error::Unreachable);
    }
    let second: Vec<Question> = ips.iter().flat_map(|ip| address::second_questions(dns, *ip, lists)).collect();
    dns.prepare(&second);
    let envelopes =
        names::passed_envelopes(&Database::open(database)?, batch.iter().map(|one| one.source_ip.as_str()))?;
    let mut looked = Vec::new();
    for ip in ips {
        let found = address::names(dns, ip);
        let of_lists = address::lists(dns, ip, lists);
        let unasked = Failure::NotAsked.text();
        let unfinished =
            found == Names::Failed(Failure::NotAsked) || of_lists.errors.iter().any(|(_, reason)| *reason == unasked);
        if !unfinished {
            looked.push(put_together(ip, found, of_lists, networks, settings, now, &envelopes));
        }
    }
    Ok(looked)
}

fn is_silent(dns: &mut Dns, ip: IpAddr) -> bool {
    dns.ask(&Question::ptr(ip)).failure() == Some(&Failure::Silent)
}

fn put_together(
    ip: IpAddr,
    found: Names,
    lists: Lists,
    networks: &Networks,
    settings: &Settings,
    now: i64,
    envelopes: &HashMap<String, Vec<String>>,
) -> Looked {
    let source_ip = ip.to_string();
    let (outcome, name, names) = match found {
        Names::None => (names::Outcome::None, None, Vec::new()),
        Names::Some { confirmed: Some(name), names } => (names::Outcome::Confirmed, Some(name), names),
        Names::Some { confirmed: None, names } => (names::Outcome::Unconfirmed, None, names),
        Names::Failed(_) => (names::Outcome::Failed, None, Vec::new()),
    };
    let keeps = if outcome == names::Outcome::Failed { AGAIN } else { settings.days.saturating_mul(DAY) };
    let envelopes = envelopes.get(&source_ip).into_iter().flatten().map(String::as_str);
    let provider = providers::name(name.as_deref(), envelopes).map(|named| named.provider.name.clone());
    let network = networks.of(ip);
    let asked = !settings.blocklists.is_empty();
    let listing = |Listing { list, answers, reason }: Listing| names::Listing {
        list,
        answers: answers.iter().map(ToString::to_string).collect(),
        reason,
    };
    let errors: Vec<_> = lists.errors.into_iter().map(|(list, reason)| names::ListError { list, reason }).collect();
    Looked {
        source_ip,
        looked_up_at: now,
        expires_at: now.saturating_add(keeps),
        outcome: outcome.word(),
        name,
        names: json(&names),
        asn: network.asn,
        as_owner: network.as_owner,
        country: network.country,
        network: network.network,
        listed: asked.then(|| json(&lists.listed.into_iter().map(listing).collect::<Vec<_>>())),
        list_errors: (!errors.is_empty()).then(|| json(&errors)),
        provider,
    }
}

/// An array as it is stored.
fn json<T: serde::Serialize>(list: &[T]) -> String {
    serde_json::to_string(list).unwrap_or_else(|_| "[]".to_owned())
}
