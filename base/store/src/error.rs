//! What can go wrong on the way to a row.

/// A failure of the store. Its text is for the log; callers of the API see a generic answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// What the caller knew about its organization is out of date: load it again and repeat.
    #[error("the organization changed: epoch is now {epoch}")]
    Stale {
        /// The epoch as it is now.
        epoch: i64,
    },
    /// There is no such organization.
    #[error("no such organization")]
    NoOrganization,
    /// A unique value is taken.
    #[error("`{constraint}` is taken")]
    Taken {
        /// The constraint that refused.
        constraint: String,
    },
    /// A stored row does not read as what it should be.
    #[error("a row of `{table}` is not readable: {reason}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// Which rule it breaks; never its content.
        reason: String,
    },
    /// The database did not do it.
    #[error("the database refused or did not answer: {}", brief(.0))]
    Database(sqlx::Error),
}

/// What may be logged of a database error: its SQLSTATE and which constraint, for the database quotes
/// values in its messages.
fn brief(error: &sqlx::Error) -> String {
    match error.as_database_error() {
        Some(refusal) => {
            let state = refusal.code().unwrap_or_default();
            format!("SQLSTATE {state} {}", refusal.constraint().or(refusal.table()).unwrap_or_default())
        }
        None => error.to_string(),
    }
}

impl StoreError {
    /// A row of `table` that breaks a rule of its type.
    pub fn corrupt(table: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Corrupt { table, reason: reason.to_string() }
    }

    /// Whether repeating the whole operation may succeed: a deadlock or a serialisation failure.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        let Self::Database(error) = self else { return false };
        error
            .as_database_error()
            .and_then(|e| e.code())
            .is_some_and(|code| matches!(&*code, "40001" | "40P01"))
    }

    /// Whether the connection is gone: what was under way on it has an unknown outcome.
    #[must_use]
    pub fn is_disconnect(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Io(_)) => true,
            // Class 08 is the connection's; 57P01, 57P02 and 57P03 are a server that stops or starts
            // (PostgreSQL, appendix A).
            Self::Database(error) => error
                .as_database_error()
                .and_then(|e| e.code())
                .is_some_and(|code| code.starts_with("08") || matches!(&*code, "57P01" | "57P02" | "57P03")),
            _ => false,
        }
    }

    /// Whether the data itself was refused (SQLSTATE class 22 or 23), not the connection.
    #[must_use]
    pub fn is_data(&self) -> bool {
        match self {
            Self::Taken { .. } => true,
            Self::Database(error) => error
                .as_database_error()
                .and_then(|e| e.code())
                .is_some_and(|code| code.starts_with("22") || code.starts_with("23")),
            _ => false,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if let Some(refusal) = error.as_database_error() {
            match refusal.code().as_deref() {
                // Raised by `enter` (migrations/0001_base.sql).
                Some("CH001") => {
                    return refusal
                        .message()
                        .parse()
                        .map_or(Self::NoOrganization, |epoch| Self::Stale { epoch });
                }
                Some("CH002") => return Self::NoOrganization,
                Some("23505") => {
                    return Self::Taken { constraint: refusal.constraint().unwrap_or("value").to_owned() };
                }
                _ => {}
            }
        }
        Self::Database(error)
    }
}
