//! What `enrich` found out about sending addresses. Written beside any other run: it changes nothing that others write.

use std::path::Path;

use rusqlite::{named_params, params};

use super::suppressions::open;

/// What was found out about one address; the columns of `source_name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// The address, as in the table of addresses.
    pub source_ip: String,
    /// Now, seconds since the epoch.
    pub looked_up_at: i64,
    /// When it is worth asking again.
    pub expires_at: i64,
    /// `confirmed`, `unconfirmed`, `none` or `failed`. After a failure, names and provider of the time before stay.
    pub outcome: &'static str,
    /// The name that leads back.
    pub name: Option<String>,
    /// All names, JSON array.
    pub names: String,
    /// Number of the autonomous system.
    pub asn: Option<u32>,
    /// Who runs that.
    pub as_owner: Option<String>,
    /// Two letters.
    pub country: Option<String>,
    /// The prefix.
    pub network: Option<String>,
    /// Block lists that hold it, JSON array; `None`: none was asked.
    pub listed: Option<String>,
    /// Block lists that said nothing, JSON array; `None`: none.
    pub list_errors: Option<String>,
    /// Who that is.
    pub provider: Option<String>,
}

const KEEP: &str = "
    INSERT INTO source_name (source, looked_up_at, expires_at, outcome, name, names, asn, as_owner, country, network, listed,
                             list_errors, provider)
    VALUES (:source, :looked_up_at, :expires_at, :outcome, :name, :names, :asn, :as_owner, :country, :network, :listed,
            :list_errors, :provider)
    ON CONFLICT (source) DO UPDATE SET
      looked_up_at = excluded.looked_up_at, expires_at = excluded.expires_at, outcome = excluded.outcome,
      name = CASE WHEN excluded.outcome = 'failed' THEN name ELSE excluded.name END,
      names = CASE WHEN excluded.outcome = 'failed' THEN names ELSE excluded.names END,
      provider = CASE WHEN excluded.outcome = 'failed' THEN coalesce(excluded.provider, provider) ELSE excluded.provider END,
      asn = excluded.asn, as_owner = excluded.as_owner, country = excluded.country, network = excluded.network,
      listed = excluded.listed, list_errors = excluded.list_errors";

/// Keeps what was found out, all or nothing. Addresses that are in the database no more are left out.
///
/// # Errors
/// The database cannot be written, or another program writes for longer than we wait.
pub fn keep(path: &Path, looked: &[Looked]) -> rusqlite::Result<()> {
    let mut connection = open(path)?;
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for one in looked {
        let mut find = transaction.prepare_cached("SELECT id FROM address WHERE ip = ?1")?;
        let source: Option<i64> = find.query_map(params![one.source_ip], |row| row.get(0))?.next().transpose()?;
        let Some(source) = source else { continue };
        transaction.prepare_cached(KEEP)?.execute(named_params! {
            ":source": source, ":looked_up_at": one.looked_up_at, ":expires_at": one.expires_at, ":outcome": one.outcome,
            ":name": one.name, ":names": one.names, ":asn": one.asn, ":as_owner": one.as_owner, ":country": one.country,
            ":network": one.network, ":listed": one.listed, ":list_errors": one.list_errors, ":provider": one.provider,
        })?;
    }
    transaction.commit()
}
