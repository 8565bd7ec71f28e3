//! Wrapping keys under the KEK, and dropping versions of it, keep out of each other's way.
//!
//! What wraps a key reads the newest version from the key file and commits a while later. A version that
//! were dropped in between would take the key with it: nobody who counts what is wrapped can see a key
//! that is not committed yet. So whoever wraps holds a lock shared, from before it reads the file to the
//! end of its transaction, and whoever drops holds it alone, from before it counts until the file is
//! rewritten.

use sqlx::PgConnection;

use crate::StoreError;

/// Any number does; this one is ours.
const LOCK: i64 = 0x6368_6b65_6b77_7270;

/// Keeps every version of the KEK until the transaction of this connection ends; waits while versions
/// are being dropped. For who is about to wrap a key, before it does.
///
/// # Errors
/// When the database does not answer.
pub async fn keep_kek_versions(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query("SELECT pg_advisory_xact_lock_shared($1)").bind(LOCK).execute(connection).await?;
    Ok(())
}

/// Keeps everyone from wrapping a key until the transaction of this connection ends. `false` when a key
/// is being wrapped now: then nobody is kept from anything. Asked again in the same transaction it is
/// `true`, as long as the transaction lives; it may be idle for as long as counting takes elsewhere.
///
/// # Errors
/// When the database does not answer.
pub async fn exclude_wrapping(connection: &mut PgConnection) -> Result<bool, StoreError> {
    sqlx::query("SET LOCAL idle_in_transaction_session_timeout = 0").execute(&mut *connection).await?;
    Ok(sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)").bind(LOCK).fetch_one(connection).await?)
}
