//! What reports know of a domain that a check of its DNS needs: the keys its mail is signed with, and who sends for it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::named_params;
use serde_json::{Value, json};

use super::evidence::Words;
use super::{Database, Error, Window, sums};
use crate::providers::is_within;

super::row! {
    /// A key that mail was signed with.
    pub struct Selector {
        /// `d=` of the signatures.
        domain: String,
        /// `s=` of the signatures.
        selector: String,
        /// Messages on which a signature with it passed.
        passed: i64,
        /// Messages with a signature with it.
        messages: i64,
    }
}

super::row! {
    /// An address that sent mail which passed DMARC.
    pub struct Address {
        /// The address, as in `v_record`.
        source_ip: String,
        /// Its messages that passed.
        messages: i64,
        /// A name it said in EHLO, where reporters tell.
        helo: Option<String>,
    }
}

/// The keys that mail of a domain and those below it was signed with, those that passed most first.
///
/// # Errors
/// See [`Error`].
pub fn selectors(database: &Database, window: Window, domain: &str, limit: usize) -> Result<Vec<Selector>, Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut sets: BTreeMap<i64, i64> = BTreeMap::new();
    sums::in_window(database, window, None, false, |sum| {
        let messages = sets.entry(sum.key.dkim_set).or_default();
        *messages = messages.saturating_add(sum.messages);
    })?;
    let sums = sets.into_iter().map(|(set, messages)| json!([set, messages])).collect::<Value>().to_string();
    let params = named_params! {":sums": sums, ":domain": domain, ":limit": limit};
    database.rows(include_str!("selectors.sql"), params, Selector::read)
}

/// The addresses that sent mail as a domain or one below it and passed, those of the most messages first.
///
/// # Errors
/// See [`Error`].
pub fn addresses(database: &Database, window: Window, domain: &str, limit: usize) -> Result<Vec<Address>, Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    // By From domain first: which of them are meant is looked up once each.
    let mut sent: HashMap<i64, BTreeMap<i64, (i64, BTreeSet<i64>)>> = HashMap::new();
    sums::in_window(database, window, None, false, |sum| {
        if sum.pass() == Some(true) {
            let (messages, spf_sets) = sent.entry(sum.key.header_from).or_default().entry(sum.source).or_default();
            *messages = messages.saturating_add(sum.messages);
            spf_sets.insert(sum.key.spf_set);
        }
    })?;
    let mut sources: BTreeMap<i64, (i64, BTreeSet<i64>)> = BTreeMap::new();
    let mut words = Words::default();
    for (header_from, by_source) in sent {
        let text = words.text(database.connection(), Some(header_from)).map_err(|error| database.explain(error))?;
        if !text.is_some_and(|text| is_within(&text, domain)) {
            continue;
        }
        for (source, (messages, spf_sets)) in by_source {
            let (sum, sets) = sources.entry(source).or_default();
            *sum = sum.saturating_add(messages);
            sets.extend(spf_sets);
        }
    }
    let sums = sources.into_iter().map(|(source, (messages, spf_sets))| json!([source, messages, spf_sets]));
    let params = named_params! {":sums": sums.collect::<Value>().to_string(), ":limit": limit};
    database.rows(include_str!("addresses.sql"), params, Address::read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::testing::{FIXTURE, scratch};

    #[test]
    fn keys_and_senders_of_a_domain() {
        let scratch = scratch(FIXTURE);
        let found = selectors(&scratch.database, Window::ALL, "example.com", 9).unwrap();
        let found: Vec<_> = found.iter().map(|key| (&*key.domain, &*key.selector, key.passed, key.messages)).collect();
        assert_eq!(found, [("example.com", "s1", 1640, 1760)]);
        let found = addresses(&scratch.database, Window::ALL, "example.com", 9).unwrap();
        let found: Vec<_> = found.iter().map(|address| (&*address.source_ip, address.messages)).collect();
        assert_eq!(found, [("192.0.2.10", 1640), ("2001:db8::25", 1)]);
        assert_eq!(addresses(&scratch.database, Window::ALL, "ample.com", 9).unwrap(), []);
        assert_eq!(addresses(&scratch.database, Window::ALL, "example.com", 1).unwrap().len(), 1);
    }
}
