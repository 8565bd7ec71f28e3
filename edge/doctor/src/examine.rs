//! The whole examination, in one transaction that can change nothing.

use sqlx::{Connection as _, PgConnection, Postgres, Transaction};

use crate::catalogue::Function;
use crate::{Catalogue, Check, Report, functions, grants, policies, read, roles, tables, views};

/// A role that is meant to reach every tenant's rows.
#[derive(Clone, Debug)]
pub struct Trusted {
    /// Its name.
    pub role: String,
    /// Only in these tables, by their names; `None` for all.
    pub tables: Option<Vec<String>>,
}

/// A `SECURITY DEFINER` function that somebody has read.
#[derive(Clone, Debug)]
pub struct Guarded {
    /// `schema.name(types)`, as Postgres writes the types; or `schema.name`, with any; or `name`, in any
    /// schema as well. Only the first can't be another function, made later under a name that is known.
    pub function: String,
    /// Whose it has to be; anybody's if absent.
    pub owner: Option<String>,
}

impl Guarded {
    fn names(&self, function: &Function) -> bool {
        let wanted = self.function.as_str();
        if wanted.contains('(') {
            return wanted == function.signature;
        }
        wanted == function.name || wanted == format!("{}.{}", function.schema, function.name)
    }
}

/// What to examine, and what is known and meant to be so.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// The column that says whose a row is.
    pub column: String,
    /// The schemas; all that are not Postgres' own if empty.
    pub schemas: Vec<String>,
    /// Roles that are meant to reach every tenant's rows: backups, support.
    pub trusted: Vec<Trusted>,
    /// Logins that make the roles and own the tables here, and so may: they can unlock what they made.
    pub administrators: Vec<String>,
    /// `SECURITY DEFINER` functions that somebody has read and found to guard themselves.
    pub guarded: Vec<Guarded>,
    /// Whether the cluster serves this database alone: then no login but the trusted may be a superuser
    /// or have BYPASSRLS, also where it can't connect yet.
    pub whole_cluster: bool,
    /// Whether a person named the trusted roles and guarded functions for this examination: then a name that
    /// nothing has is refused, rather than excepting nothing unnoticed.
    pub by_hand: bool,
}

impl Expected {
    /// Whether a role is meant to reach every tenant's rows wherever they are.
    pub(crate) fn trusts(&self, role: &str) -> bool {
        self.trusted.iter().any(|trusted| trusted.role == role && trusted.tables.is_none())
    }

    /// Whether somebody has read a function.
    pub(crate) fn guards(&self, function: &Function, owner: &str) -> bool {
        self.guarded.iter().any(|guarded| {
            guarded.names(function) && guarded.owner.as_ref().is_none_or(|wanted| wanted == owner)
        })
    }

    /// That every exception excepts something.
    fn require_matches(&self, catalogue: &Catalogue) -> Result<(), ExamineError> {
        let known = |role: &str| catalogue.roles.values().any(|it| it.name == role);
        if let Some(missing) = self.trusted.iter().find(|it| !known(&it.role)) {
            return Err(ExamineError::NoRole(missing.role.clone()));
        }
        let definers = || catalogue.functions.iter().filter(|function| function.definer);
        let missing = self.guarded.iter().find(|one| !definers().any(|it| one.names(it)));
        missing.map_or(Ok(()), |missing| Err(ExamineError::NoFunction(missing.function.clone())))
    }

    /// Whether a role is meant to reach every tenant's rows in a table.
    pub(crate) fn trusts_in(&self, role: &str, table: &str) -> bool {
        self.trusted.iter().any(|trusted| {
            let here = trusted.tables.as_ref().is_none_or(|tables| tables.iter().any(|known| known == table));
            trusted.role == role && here
        })
    }
}

/// Why a database can't be examined.
#[derive(Debug, thiserror::Error)]
pub enum ExamineError {
    /// It is too old.
    #[error("the database server has version {0}, and Postgres 15 or newer is needed")]
    OldServer(String),
    /// There is no such schema.
    #[error("there is no schema `{0}`")]
    NoSchema(String),
    /// A role that is to be trusted is not there.
    #[error("there is no role `{0}` to trust")]
    NoRole(String),
    /// A function that somebody has read is not there, or is no SECURITY DEFINER function.
    #[error("there is no SECURITY DEFINER function `{0}` in what is examined")]
    NoFunction(String),
    /// It did not answer.
    #[error("{what} can't be read: {cause}")]
    Database {
        /// What was being read.
        what: &'static str,
        /// Why not.
        cause: sqlx::Error,
    },
}

impl ExamineError {
    pub(crate) fn reading(what: &'static str) -> impl FnOnce(sqlx::Error) -> Self + Copy {
        move |cause| Self::Database { what, cause }
    }
}

/// Begins a transaction of one snapshot that changes nothing, waits for no lock and does not last. No
/// name is looked up outside `pg_catalog`: whoever could put functions elsewhere would have them called.
///
/// # Errors
/// When the database does not answer.
pub async fn begin_reading(db: &mut PgConnection) -> Result<Transaction<'_, Postgres>, ExamineError> {
    let failed = ExamineError::reading("the catalogue");
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    let mut tx = match db.begin_with(begin).await {
        Ok(tx) => tx,
        Err(error) => return Err(failed(error)),
    };
    sqlx::raw_sql(
        "SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL statement_timeout = '30s';
         SET LOCAL lock_timeout = '3s'; SET LOCAL row_security = on",
    )
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    Ok(tx)
}

/// Examines the database behind a connection.
///
/// # Errors
/// When anything of its catalogue can't be read.
pub async fn examine(db: &mut PgConnection, expected: &Expected) -> Result<Report, ExamineError> {
    let mut tx = begin_reading(db).await?;
    let catalogue = read::read(&mut tx, expected).await?;
    tx.rollback().await.map_err(ExamineError::reading("the catalogue"))?;
    if expected.by_hand {
        expected.require_matches(&catalogue)?;
    }
    Ok(of(&catalogue, expected))
}

/// All checks over what was read.
pub(crate) fn of(catalogue: &Catalogue, expected: &Expected) -> Report {
    let checks: [fn(&Catalogue, &Expected) -> Check; 7] = [
        tables::check,
        policies::check,
        roles::check,
        roles::check_sessions,
        functions::check,
        views::check,
        grants::check,
    ];
    Report { checks: checks.into_iter().map(|check| check(catalogue, expected)).collect() }
}
