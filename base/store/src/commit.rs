//! Committing, and the proof of it.
//!
//! The right to commit is an object, not a convention: [`Store::connect`](crate::Store::connect)
//! makes one [`CommitRight`], the server hands it to the record, and nothing else can commit. The
//! record uses it only as the last step of appending an entry: that is why every mutation leaves
//! one.

use chancery_model::{CorrelationId, OrgId, Timestamp};
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres, Row as _};

use crate::{Scoped, StoreError, Write};

/// The right to commit. There is one in a process; it is not `Clone`.
///
/// ```compile_fail,E0423
/// let mine = chancery_store::CommitRight(());
/// ```
/// ```compile_fail,E0624
/// let mine = chancery_store::CommitRight::new();
/// ```
/// ```compile_fail,E0277
/// # use chancery_store::CommitRight;
/// fn twice<T: Clone>() {}
/// twice::<CommitRight>();
/// ```
#[derive(Debug)]
pub struct CommitRight(());

impl CommitRight {
    pub(crate) const fn new() -> Self {
        Self(())
    }

    /// Commits a write into which an entry was appended.
    ///
    /// # Errors
    /// When the database refuses or does not answer: the outcome is then unknown to us.
    pub async fn commit(&self, scoped: Scoped<Write>) -> Result<Committed, StoreError> {
        scoped.commit().await?;
        Ok(Committed(()))
    }

    /// Commits a batch of appended entries of many organizations: the transaction that is open on this
    /// connection, none of whose statements failed.
    ///
    /// # Errors
    /// When the database refuses or does not answer: the outcome is then unknown to us.
    pub async fn commit_batch(&self, connection: &mut PgConnection) -> Result<Committed, StoreError> {
        sqlx::raw_sql("COMMIT").execute(connection).await?;
        Ok(Committed(()))
    }

    /// Runs one statement that appends a batch as a transaction of its own, committed by the end of its
    /// message. It answers with two booleans: whether it wrote, and whether what it was made from still
    /// stands. If it wrote nothing there is no proof.
    ///
    /// # Errors
    /// When the database refuses it, nothing was written; when it does not answer, the outcome is
    /// unknown to us.
    pub async fn commit_statement(
        &self,
        connection: &mut PgConnection,
        statement: Query<'_, Postgres, PgArguments>,
    ) -> Result<Statement, StoreError> {
        let row = statement.fetch_one(connection).await?;
        Ok(match (row.try_get(0)?, row.try_get(1)?) {
            (true, _) => Statement::Committed(Committed(())),
            (false, true) => Statement::Refused,
            (false, false) => Statement::Outdated,
        })
    }

    /// Vouches for entries found in the store after the outcome of their commit was unknown, or
    /// that an earlier request with the same idempotency key committed.
    #[must_use]
    pub const fn found_committed(&self) -> Committed {
        Committed(())
    }
}

/// What became of [`CommitRight::commit_statement`].
#[derive(Debug)]
pub enum Statement {
    /// It wrote.
    Committed(Committed),
    /// It wrote nothing: something in it is refused.
    Refused,
    /// It wrote nothing: what it was made from has changed.
    Outdated,
}

/// Proof that a transaction is durable.
#[derive(Debug)]
pub struct Committed(());

impl Committed {
    /// The receipt of one entry of that transaction, by its place and time.
    #[must_use]
    pub const fn receipt(
        &self,
        org: OrgId,
        (seq, time): (u64, Timestamp),
        entry_hash: [u8; 32],
        correlation: Option<CorrelationId>,
    ) -> Receipt {
        Receipt { org, seq, time, entry_hash, correlation }
    }
}

/// Proof that an entry stands in the record. It releases answers and tokens; it is not `Clone`.
///
/// ```compile_fail,E0451
/// # use chancery_model::{OrgId, Timestamp};
/// # use chancery_store::Receipt;
/// fn forges(org: OrgId, time: Timestamp) -> Receipt {
///     Receipt { org, seq: 1, time, entry_hash: [0; 32], correlation: None }
/// }
/// ```
/// ```compile_fail,E0277
/// # use chancery_store::Receipt;
/// fn twice<T: Clone>() {}
/// twice::<Receipt>();
/// ```
#[derive(Debug)]
pub struct Receipt {
    org: OrgId,
    seq: u64,
    time: Timestamp,
    entry_hash: [u8; 32],
    correlation: Option<CorrelationId>,
}

impl Receipt {
    /// The organization whose record holds the entry.
    #[must_use]
    pub const fn org(&self) -> OrgId {
        self.org
    }

    /// The entry's sequence number, from 1.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// When the record says that it happened.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        self.time
    }

    /// The chain hash at the entry.
    #[must_use]
    pub const fn entry_hash(&self) -> &[u8; 32] {
        &self.entry_hash
    }

    /// The story the entry belongs to.
    #[must_use]
    pub const fn correlation(&self) -> Option<CorrelationId> {
        self.correlation
    }
}
