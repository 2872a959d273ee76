//! Who must not be mailed, and why.

mod current;
mod exported;
mod proof;

use rusqlite::named_params;

pub use current::{Current, current};
pub use exported::{Exported, Last, entries, last};
pub use proof::proof;

use super::{Database, Error};

super::row! {
    /// One address not to be mailed, as `v_suppression` tells it, or about to be.
    pub struct Suppression {
        /// `active`, or `pending`: a complaint or bounce names it that may be genuine, which a person has to decide.
        state: String,
        /// The address.
        address: String,
        /// Feedback type, or what the person wrote.
        reason: String,
        /// The From domain it is about; empty is every domain.
        scope: String,
        /// Since when.
        since_at: i64,
        /// Until when; `None` is for ever.
        until_at: Option<i64>,
        /// Where it comes from.
        evidence: String,
    }
}

super::row! {
    /// One thing that speaks for or against mailing an address.
    pub struct Event {
        /// `complaint`, `unsubscribe`, `hard_bounce`, `soft_bounce`, `add`, `lift`; or of a complaint or bounce that had no
        /// effect: `pending`, which waits for a person, or `ignored`.
        kind: String,
        /// The From domain it is about; empty is every domain.
        scope: String,
        /// When.
        at: i64,
        /// End of an `add` with an end.
        until_at: Option<i64>,
        /// Feedback type, status code, or what the person wrote.
        reason: String,
        /// Why a complaint or bounce had no effect.
        decision_reason: Option<String>,
        /// The person.
        author: Option<String>,
        /// Row id of the complaint.
        complaint: Option<i64>,
        /// Row id of the bounce.
        bounce: Option<i64>,
        /// Who runs the feedback loop it came through.
        provider: Option<String>,
        /// It is known to have come through one.
        trusted: Option<bool>,
        /// Why, or why not.
        trust_reason: Option<String>,
        /// Where the message was found first.
        origin: Option<String>,
        /// The mail complained about, or that bounced, was ours.
        about_us: Option<bool>,
        /// How many mails the complaint stands for.
        incidents: Option<i64>,
        /// The address the mail complained about came from.
        source_ip: Option<String>,
        /// From domain of that mail.
        header_from: Option<String>,
        /// Message-ID of that mail.
        message_id: Option<String>,
        /// Subject of that mail.
        subject: Option<String>,
        /// What wrote the complaint.
        user_agent: Option<String>,
        /// Where in the complaint the address was found.
        recipient_via: Option<String>,
        /// What it is.
        recipient_status: Option<String>,
        /// How it is spelled there.
        recipient_spelled: Option<String>,
        /// What the refusing server said.
        diagnostic: Option<String>,
        /// The server that refused.
        remote_mta: Option<String>,
        /// The server that tells of it.
        reporting_mta: Option<String>,
        /// The fields of the complaint, or of the bounce about this person, JSON array of [name, value].
        fields: Option<String>,
        /// Row id of the message that brought it.
        message: Option<i64>,
        /// Its SHA-256, hexadecimal.
        sha256: Option<String>,
        /// When it was kept.
        seen_at: Option<i64>,
        /// `pass`, `fail` or `none`: how the own server authenticated it.
        auth: Option<String>,
        /// The aligned domain that passed.
        auth_domain: Option<String>,
        /// Every place in IMAP folders where it was found, JSON array.
        places: Option<String>,
    }
}

/// Hands over the addresses not to be mailed now, in order. With `scope`, those for that From domain and for every.
///
/// # Errors
/// As [`Database`], and what `take` fails with.
pub fn each<E: From<Error>>(
    database: &Database,
    scope: Option<&str>,
    take: impl FnMut(Suppression) -> Result<bool, E>,
) -> Result<(), E> {
    database.each(include_str!("list.sql"), named_params! {":scope": scope}, Suppression::read, take)
}

/// Hands over the addresses that wait for a person, in order. Nothing follows from them by itself.
///
/// # Errors
/// As [`Database`], and what `take` fails with.
pub fn each_pending<E: From<Error>>(
    database: &Database,
    scope: Option<&str>,
    now: i64,
    take: impl FnMut(Suppression) -> Result<bool, E>,
) -> Result<(), E> {
    let params = named_params! {":scope": scope, ":now": now};
    database.each(include_str!("pending.sql"), params, Suppression::read, take)
}

/// How one address is suppressed at `now`, which is given in lower case: one row for each scope, none where it is not.
///
/// # Errors
/// As [`Database`].
pub fn state(database: &Database, folded: &str, now: i64) -> Result<Vec<Suppression>, Error> {
    let params = named_params! {":folded": folded, ":now": now};
    database.rows(include_str!("state.sql"), params, Suppression::read)
}

/// All that speaks for or against mailing the address, which is given in lower case: events in order, then complaints
/// and bounces that had no effect.
///
/// # Errors
/// As [`Database`].
pub fn why(database: &Database, folded: &str) -> Result<Vec<Event>, Error> {
    let params = named_params! {":folded": folded};
    let mut events = database.rows(include_str!("events.sql"), params, Event::read)?;
    events.extend(database.rows(include_str!("complaints.sql"), params, Event::read)?);
    events.extend(database.rows(include_str!("bounces.sql"), params, Event::read)?);
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::testing::{FIXTURE, scratch};

    fn addresses(rows: &str, scope: Option<&str>, pending: bool) -> Vec<(String, String)> {
        let scratch = scratch(&format!("{FIXTURE}\n{rows}"));
        let mut found = Vec::new();
        let take = |row: Suppression| {
            found.push((row.address, row.scope));
            Ok::<_, Error>(true)
        };
        if pending {
            each_pending(&scratch.database, scope, 1_795_219_200, take).unwrap();
        } else {
            each(&scratch.database, scope, take).unwrap();
        }
        found
    }

    #[test]
    fn lifted_and_ended_ones_are_not_listed() {
        let list = |scope| addresses("", scope, false).into_iter().map(|(address, _)| address).collect::<Vec<_>>();
        assert_eq!(list(None), ["+dave@customer.example", "Alice@customer.example"]);
        assert_eq!(list(Some("example.com")), ["Alice@customer.example"]);
    }

    #[test]
    fn pending_leaves_out_who_is_suppressed_or_was_lifted_since() {
        let bob = ("bob@customer.example".to_owned(), "news.example.com".to_owned());
        let event = |id, kind, scope, at, until: &str| {
            format!(
                "INSERT INTO suppression_event VALUES ({id}, 'bob@customer.example', 'bob@customer.example', '{scope}', '{kind}', {at}, {until}, 'x', NULL, NULL, NULL);"
            )
        };
        assert_eq!(addresses("", None, true), std::slice::from_ref(&bob));
        assert_eq!(addresses("", Some("example.com"), true), []);
        assert_eq!(addresses(&event(90, "add", "", 1, "NULL"), None, true), [], "suppressed everywhere");
        assert_eq!(
            addresses(&event(90, "add", "other.test", 1, "NULL"), None, true),
            std::slice::from_ref(&bob),
            "elsewhere"
        );
        assert_eq!(addresses(&event(90, "add", "", 1, "2"), None, true), std::slice::from_ref(&bob), "ended");
        assert_eq!(addresses(&event(90, "lift", "", 1_795_060_000, "NULL"), None, true), [], "lifted since");
        let lifted = event(90, "add", "", 1, "NULL") + &event(91, "lift", "", 2, "NULL");
        assert_eq!(addresses(&lifted, None, true), [bob], "the complaint is younger than the lift");
    }

    #[test]
    fn the_state_of_one_is_what_the_view_says() {
        let scratch = scratch(FIXTURE);
        let mut listed = Vec::new();
        let take = |row| {
            listed.push(row);
            Ok::<_, Error>(true)
        };
        each(&scratch.database, None, take).unwrap();
        for (folded, expected) in [
            ("+dave@customer.example", &listed[..1]),
            ("alice@customer.example", &listed[1..]),
            ("erin@customer.example", &[]),
            ("frank@customer.example", &[]),
        ] {
            assert_eq!(state(&scratch.database, folded, 1_795_219_200).unwrap(), expected, "{folded}");
        }
    }

    #[test]
    fn why_tells_events_in_order_and_complaints_without_effect() {
        let scratch = scratch(FIXTURE);
        let kinds = |address| why(&scratch.database, address).unwrap().into_iter().map(|e| e.kind).collect::<Vec<_>>();
        assert_eq!(kinds("erin@customer.example"), ["complaint", "lift"]);
        assert_eq!(kinds("bob@customer.example"), ["pending"]);
        assert_eq!(kinds("carol@customer.example"), ["ignored"]);
        assert!(kinds("nobody@customer.example").is_empty());
    }
}
