//! Bounces, one row for each bounce and recipient, and the refusals that are about us.

use rusqlite::named_params;

use super::{Database, Error, Window};

super::row! {
    /// One recipient of one bounce, as `v_bounce` tells it.
    pub struct Bounce {
        /// Row id of the bounce; repeats where it tells about several people.
        id: i64,
        /// When it bounced.
        at: i64,
        /// What it means: `hard`, `soft`, `policy`, `sender`, `content`, `delayed`, `delivered`, `unclear`.
        class: String,
        /// `Action`.
        action: Option<String>,
        /// `Status`.
        status: Option<String>,
        /// Whom the mail was sent to, where usable.
        recipient: Option<String>,
        /// `ok`, or why not usable.
        recipient_status: String,
        /// Where the recipient was found.
        recipient_via: String,
        /// The usable address that the bounce names.
        reported: Option<String>,
        /// `Final-Recipient`.
        final_recipient: Option<String>,
        /// `Diagnostic-Code`.
        diagnostic: Option<String>,
        /// `Remote-MTA`.
        remote_mta: Option<String>,
        /// `Reporting-MTA`.
        reporting_mta: Option<String>,
        /// The address of ours that the diagnostic names.
        source_ip: Option<String>,
        /// Domain of the From field of the bounced mail.
        header_from: Option<String>,
        /// Its Message-ID.
        message_id: Option<String>,
        /// It is known to be genuine.
        trusted: bool,
        /// Why, or why not.
        trust_reason: String,
        /// What follows: `suppress`, `pending`, `never`.
        decision: String,
        /// Why not suppressed.
        decision_reason: Option<String>,
        /// The bounced mail was ours, as far as can be told.
        about_us: bool,
        /// Who tells it, where that is no mail server.
        provider: Option<String>,
        /// `Arrival-Date`.
        arrived_at: Option<i64>,
        /// When it was told.
        told_at: i64,
        /// `Last-Attempt-Date`.
        last_attempt_at: Option<i64>,
        /// `Will-Retry-Until`.
        will_retry_until: Option<i64>,
        /// Subject of the bounced mail.
        subject: Option<String>,
        /// Its date.
        sent_at: Option<i64>,
        /// Its List-Id.
        list_id: Option<String>,
        /// Its DKIM signatures, JSON array.
        dkim_signatures: String,
        /// Deviations that were read around.
        warnings: i64,
        /// Where the message was found.
        origin: String,
        /// When it was kept.
        seen_at: i64,
    }
}

super::row! {
    /// Refusals that have these in common.
    pub struct Refusal {
        /// The address of ours that was refused, where the other server names it.
        source_ip: Option<String>,
        /// Our From domain.
        header_from: Option<String>,
        /// The other server, else the recipient's domain.
        refused_by: Option<String>,
        /// The status code.
        status: Option<String>,
        /// How many.
        bounces: i64,
        /// For how many people.
        recipients: i64,
        /// The first.
        first_at: i64,
        /// The last.
        last_at: i64,
        /// What one of them says.
        diagnostic: Option<String>,
    }
}

/// Hands over the bounces that were told of in `window`, newest first, until `take` answers false. With `domain`, those
/// of mail whose From field names it or a subdomain of it; with `class`, those of that class.
///
/// # Errors
/// As [`Database`], and what `take` fails with.
pub fn each<E: From<Error>>(
    database: &Database,
    window: Window,
    domain: Option<&str>,
    class: Option<&str>,
    take: impl FnMut(Bounce) -> Result<bool, E>,
) -> Result<(), E> {
    let params = named_params! {":since": window.since, ":until": window.until, ":domain": domain, ":class": class};
    database.each(include_str!("bounces.sql"), params, Bounce::read, take)
}

/// Hands over the refusals for policy, authentication or the sender's address in `window`, most first.
///
/// # Errors
/// As [`Database`], and what `take` fails with.
pub fn each_refusal<E: From<Error>>(
    database: &Database,
    window: Window,
    domain: Option<&str>,
    take: impl FnMut(Refusal) -> Result<bool, E>,
) -> Result<(), E> {
    let params = named_params! {":since": window.since, ":until": window.until, ":domain": domain};
    database.each(include_str!("bounces_policy.sql"), params, Refusal::read, take)
}
