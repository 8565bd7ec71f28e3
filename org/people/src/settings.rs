//! An organization's settings.

use chancery_crypto::Algorithm;
use chancery_store::{Change, Epoch, Scoped, StoreError, Write};
use serde::Serialize;
use serde_json::json;

/// What an organization can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// What its tokens are signed with.
    pub token_algorithm: Algorithm,
    /// How long a token lives, in seconds: 30 to 900.
    pub token_ttl_seconds: u32,
    /// The risk score from which a person must approve: 0 to 100.
    pub escalate_at: u8,
    /// The risk score from which an intent is denied: not below `escalate_at`; 101 is never.
    pub deny_at: u8,
}

/// The settings to change; `None` leaves one as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SettingsPatch {
    /// See [`Settings::token_algorithm`].
    pub token_algorithm: Option<Algorithm>,
    /// See [`Settings::token_ttl_seconds`].
    pub token_ttl_seconds: Option<u32>,
    /// See [`Settings::escalate_at`].
    pub escalate_at: Option<u8>,
    /// See [`Settings::deny_at`].
    pub deny_at: Option<u8>,
}

/// Why settings were not changed.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A value, alone or beside the others, is out of its range.
    #[error("{rule}")]
    OutOfRange {
        /// The setting.
        field: &'static str,
        /// Its rule, for the caller.
        rule: &'static str,
    },
    /// The patch leaves everything as it is.
    #[error("the settings already have these values")]
    Unchanged,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SettingsError {
    /// The stable code of the API.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::OutOfRange { .. } => "validation_error",
            Self::Unchanged => "unchanged",
            Self::Store(_) => "internal",
        }
    }

    /// The field a caller has to correct.
    #[must_use]
    pub const fn field(&self) -> Option<&'static str> {
        match self {
            Self::OutOfRange { field, .. } => Some(field),
            Self::Unchanged | Self::Store(_) => None,
        }
    }
}

impl Settings {
    fn patched(self, patch: &SettingsPatch) -> Result<Self, SettingsError> {
        let after = Self {
            token_algorithm: patch.token_algorithm.unwrap_or(self.token_algorithm),
            token_ttl_seconds: patch.token_ttl_seconds.unwrap_or(self.token_ttl_seconds),
            escalate_at: patch.escalate_at.unwrap_or(self.escalate_at),
            deny_at: patch.deny_at.unwrap_or(self.deny_at),
        };
        let refuse = |field, rule| Err(SettingsError::OutOfRange { field, rule });
        if !(30..=900).contains(&after.token_ttl_seconds) {
            return refuse("token_ttl_seconds", "a token lives 30 to 900 seconds");
        }
        if after.escalate_at > 100 {
            return refuse("escalate_at", "`escalate_at` is 0 to 100");
        }
        if !(after.escalate_at..=101).contains(&after.deny_at) {
            return refuse("deny_at", "`deny_at` is `escalate_at` to 101");
        }
        if after == self { Err(SettingsError::Unchanged) } else { Ok(after) }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    token_algorithm: String,
    token_ttl_seconds: i32,
    escalate_at: i16,
    deny_at: i16,
}

impl TryFrom<Row> for Settings {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self, StoreError> {
        let range = |error| StoreError::corrupt("organizations", error);
        Ok(Self {
            token_algorithm: row
                .token_algorithm
                .parse()
                .map_err(|error| StoreError::corrupt("organizations", error))?,
            token_ttl_seconds: u32::try_from(row.token_ttl_seconds).map_err(range)?,
            escalate_at: u8::try_from(row.escalate_at).map_err(range)?,
            deny_at: u8::try_from(row.deny_at).map_err(range)?,
        })
    }
}

/// The settings of the scope's organization.
///
/// # Errors
/// See [`StoreError`].
pub async fn read<M>(scoped: &mut Scoped<M>) -> Result<Settings, StoreError> {
    select(
        scoped,
        "SELECT token_algorithm, token_ttl_seconds, escalate_at, deny_at FROM organizations WHERE org_id = $1",
    )
    .await
}

async fn select<M>(scoped: &mut Scoped<M>, sql: &'static str) -> Result<Settings, StoreError> {
    let org = scoped.org();
    let row: Option<Row> =
        sqlx::query_as(sql).bind(org.as_uuid()).fetch_optional(scoped.connection()).await?;
    row.ok_or(StoreError::NoOrganization)?.try_into()
}

/// Changes settings.
///
/// # Errors
/// See [`SettingsError`].
pub async fn change(
    scoped: &mut Scoped<Write>,
    patch: &SettingsPatch,
) -> Result<(Settings, Change), SettingsError> {
    let before = select(
        scoped,
        "SELECT token_algorithm, token_ttl_seconds, escalate_at, deny_at FROM organizations
         WHERE org_id = $1 FOR UPDATE",
    )
    .await?;
    let after = before.patched(patch)?;
    update(scoped, &after).await?;
    let change = Change::new(
        "settings.changed",
        Epoch::Bump,
        ("organization", scoped.org().to_string()),
        json!({ "from": before, "to": after }),
    );
    Ok((after, change))
}

async fn update(scoped: &mut Scoped<Write>, settings: &Settings) -> Result<(), StoreError> {
    let org = scoped.org();
    sqlx::query(
        "UPDATE organizations SET token_algorithm = $2, token_ttl_seconds = $3, escalate_at = $4, deny_at = $5
         WHERE org_id = $1",
    )
    .bind(org.as_uuid())
    .bind(settings.token_algorithm.as_str())
    .bind(i32::try_from(settings.token_ttl_seconds).unwrap_or(i32::MAX))
    .bind(i16::from(settings.escalate_at))
    .bind(i16::from(settings.deny_at))
    .execute(scoped.connection())
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: Settings =
        Settings { token_algorithm: Algorithm::Rs256, token_ttl_seconds: 300, escalate_at: 70, deny_at: 90 };

    #[test]
    fn bounds_hold_alone_and_together() {
        let ttl = |seconds| SettingsPatch { token_ttl_seconds: Some(seconds), ..Default::default() };
        let thresholds = |escalate_at, deny_at| SettingsPatch { escalate_at, deny_at, ..Default::default() };
        for good in [
            ttl(30),
            ttl(900),
            thresholds(Some(90), None),
            thresholds(Some(100), Some(101)),
            thresholds(Some(0), Some(0)),
        ] {
            assert!(DEFAULT.patched(&good).is_ok(), "{good:?}");
        }
        for (bad, field) in [
            (ttl(29), "token_ttl_seconds"),
            (ttl(901), "token_ttl_seconds"),
            (thresholds(Some(101), Some(101)), "escalate_at"),
            (thresholds(Some(91), None), "deny_at"),
            (thresholds(None, Some(69)), "deny_at"),
            (thresholds(None, Some(102)), "deny_at"),
        ] {
            let error = DEFAULT.patched(&bad).unwrap_err();
            assert_eq!((error.code(), error.field()), ("validation_error", Some(field)), "{bad:?}");
        }
        assert_eq!(DEFAULT.patched(&ttl(300)).unwrap_err().code(), "unchanged");
    }
}
