//! What reports know of a domain that a check of its DNS needs: the keys its mail is signed with, and who sends for it.

use rusqlite::named_params;

use super::{Database, Error, Window};

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
    let params = named_params! {":since": window.since, ":until": window.until, ":domain": domain, ":limit": limit};
    database.rows(include_str!("selectors.sql"), params, Selector::read)
}

/// The addresses that sent mail as a domain or one below it and passed, those of the most messages first.
///
/// # Errors
/// See [`Error`].
pub fn addresses(database: &Database, window: Window, domain: &str, limit: usize) -> Result<Vec<Address>, Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let params = named_params! {":since": window.since, ":until": window.until, ":domain": domain, ":limit": limit};
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
