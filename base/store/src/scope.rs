//! Who asks, and the transaction that carries it.

use std::marker::PhantomData;

use chancery_model::{MemberId, OrgId, Role};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};

use crate::StoreError;

/// Who asks, in which organization, and what they knew of it. Made from the database row of the
/// authenticated principal, never from anything a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    org: OrgId,
    member: Option<MemberId>,
    role: Option<Role>,
    seen: i64,
}

/// `seen` of the installation's own work (see `enter` in `migrations/0001_base.sql`).
const INSTALLATION: i64 = -1;
/// `seen` while an organization is being founded: it has no head yet.
const FOUNDING: i64 = -2;

impl Scope {
    /// The scope of an authenticated principal: its row's organization, its role, and the epoch at
    /// which both were read.
    #[must_use]
    pub const fn of_principal(org: OrgId, member: Option<MemberId>, role: Role, epoch: i64) -> Self {
        Self { org, member, role: Some(role), seen: epoch }
    }

    /// The installation's own work in an organization (jobs, commands of the operator, public keys):
    /// nobody's rights, no epoch.
    #[must_use]
    pub const fn installation(org: OrgId) -> Self {
        Self { org, member: None, role: None, seen: INSTALLATION }
    }

    /// The founding of an organization.
    #[must_use]
    pub const fn founding(org: OrgId) -> Self {
        Self { org, member: None, role: None, seen: FOUNDING }
    }

    /// The organization.
    #[must_use]
    pub const fn org(&self) -> OrgId {
        self.org
    }

    /// The epoch the caller's knowledge is from; `None` for the installation's own work.
    #[must_use]
    pub const fn epoch(&self) -> Option<i64> {
        if self.seen > 0 { Some(self.seen) } else { None }
    }

    /// Whether the organization is being founded in this transaction.
    #[must_use]
    pub const fn is_founding(&self) -> bool {
        self.seen == FOUNDING
    }

    /// Identifiers, a fixed word and a number: nothing in it can end a literal.
    ///
    /// `enter` stands before BEGIN: when it refuses, the message ends outside a transaction and the
    /// connection goes back to the pool clean. Its transaction-local settings hold all the same, for
    /// the statements of one message are one transaction.
    fn begin(&self, mode: &str) -> String {
        let member = self.member.map(|id| id.to_string()).unwrap_or_default();
        let role = self.role.map_or("", Role::as_str);
        format!("SELECT enter('{}', '{member}', '{role}', {}); BEGIN {mode}", self.org, self.seen)
    }
}

/// Marks a transaction that reads.
#[derive(Debug)]
pub struct Read;

/// Marks a transaction that changes something, and therefore must end with an entry.
#[derive(Debug)]
pub struct Write;

/// A transaction inside one organization: the only way to its rows.
///
/// Dropping it undoes it. A [`Read`] is never committed; a [`Write`] only by the record, after it
/// has appended an entry in the same transaction ([`crate::CommitRight`]).
///
/// ```no_run
/// use chancery_store::{CommitRight, Committed, Scoped, StoreError, Write};
/// async fn commits(right: &CommitRight, scoped: Scoped<Write>) -> Result<Committed, StoreError> {
///     right.commit(scoped).await
/// }
/// ```
///
/// Without the right nothing is committed, and a transaction that reads is not committed at all:
///
/// ```compile_fail,E0624
/// # use chancery_store::{Scoped, Write};
/// async fn leaves_no_entry(scoped: Scoped<Write>) {
///     let _ = scoped.commit().await;
/// }
/// ```
/// ```compile_fail,E0308
/// # use chancery_store::{CommitRight, Committed, Read, Scoped, StoreError};
/// async fn commits(right: &CommitRight, scoped: Scoped<Read>) -> Result<Committed, StoreError> {
///     right.commit(scoped).await
/// }
/// ```
#[derive(Debug)]
pub struct Scoped<M> {
    tx: Transaction<'static, Postgres>,
    scope: Scope,
    mode: PhantomData<M>,
}

impl<M> Scoped<M> {
    /// The connection, for statements. Row-level security shows it one organization.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// Who asks.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The organization.
    #[must_use]
    pub const fn org(&self) -> OrgId {
        self.scope.org
    }

    /// The pool may hand out connections that died unnoticed, each once: as nothing has been asked of
    /// the database before this message, it is simply sent over the next.
    async fn begin(pool: &PgPool, scope: &Scope, mode: &str) -> Result<Self, StoreError> {
        let opening = scope.begin(mode);
        let mut dead = pool.size();
        loop {
            match pool.begin_with(AssertSqlSafe(opening.clone())).await.map_err(StoreError::from) {
                Ok(tx) => return Ok(Self { tx, scope: scope.clone(), mode: PhantomData }),
                Err(error) if error.is_disconnect() && dead > 0 => dead -= 1,
                Err(error) => return Err(error),
            }
        }
    }
}

impl Scoped<Read> {
    pub(crate) async fn open(pool: &PgPool, scope: &Scope) -> Result<Self, StoreError> {
        Self::begin(pool, scope, "READ ONLY").await
    }
}

impl Scoped<Write> {
    pub(crate) async fn open(pool: &PgPool, scope: &Scope) -> Result<Self, StoreError> {
        Self::begin(pool, scope, "READ WRITE").await
    }

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        Ok(self.tx.commit().await?)
    }
}
