//! Which failure of which stage is which code: the one place where errors become answers.

use chancery_api::Code;
use chancery_approve::AnswerError;
use chancery_connectors::ConnectorError;
use chancery_decide::{CatalogueError, CompileError};
use chancery_keys::NoteError;
use chancery_keys::agent::AgentError;
use chancery_keys::api_key::ApiKeyError;
use chancery_keys::halt::HaltError;
use chancery_mint::PoolClosed;
use chancery_mint::signing_keys::SigningKeyError;
use chancery_people::EmailError;
use chancery_people::delegation::DelegationError;
use chancery_people::member::MemberError;
use chancery_people::settings::SettingsError;
use chancery_policies::PolicyError;
use chancery_record::RecordError;
use chancery_store::{KeyringError, StoreError};
use serde_json::json;

use crate::ApiError;

impl ApiError {
    /// A failure that names its own code and field.
    fn of(code: &str, field: Option<&str>, message: String) -> Self {
        match code.parse() {
            Ok(code) => {
                let error = Self::new(code, message);
                if let Some(field) = field { error.at(field) } else { error }
            }
            Err(_) => Self::internal(format_args!("a failure with the unknown code `{code}`")),
        }
    }

    /// A field that breaks its rule.
    pub(crate) fn invalid(field: &'static str, rule: impl std::fmt::Display) -> Self {
        Self::new(Code::ValidationError, rule.to_string()).at(field)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Stale { epoch } => Self::stale(epoch),
            // A deadlock: nothing was done, so the same request is run again.
            error if error.is_transient() => Self::stale(0),
            StoreError::Taken { constraint } => {
                Self::new(Code::AlreadyExists, "a value that must be unique is taken").because(constraint)
            }
            StoreError::Database(error) => database(&error),
            error @ (StoreError::NoOrganization | StoreError::Corrupt { .. }) => Self::internal(error),
        }
    }
}

/// The log gets the SQLSTATE and not the text: the database quotes values in it.
fn database(error: &sqlx::Error) -> ApiError {
    let unavailable = |cause: &str| {
        ApiError::new(Code::StoreUnavailable, "the store does not answer; try again")
            .because(cause)
            .retry_after(1)
    };
    match error {
        sqlx::Error::Database(refusal) => {
            let state = refusal.code().unwrap_or_default();
            let cause = format!("SQLSTATE {state} on {}", refusal.table().unwrap_or("no table"));
            // Connection, resources, operator intervention (PostgreSQL, appendix A).
            let passing = ["08", "53", "57"].iter().any(|class| state.starts_with(class));
            if passing { unavailable(&cause) } else { ApiError::internal(cause) }
        }
        sqlx::Error::Io(_) => unavailable("the connection failed"),
        sqlx::Error::PoolTimedOut => unavailable("no connection was free in time"),
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => unavailable("the pool is closed"),
        sqlx::Error::Tls(_) => unavailable("tls failed"),
        sqlx::Error::Protocol(_) => unavailable("the connection is out of step"),
        _ => ApiError::internal("a statement does not fit its rows"),
    }
}

impl From<KeyringError> for ApiError {
    fn from(error: KeyringError) -> Self {
        match error {
            KeyringError::Shredded => Self::new(Code::Erased, "the data was erased"),
            KeyringError::Store(error) => error.into(),
            error @ (KeyringError::Missing | KeyringError::Open(_)) => Self::internal(error),
        }
    }
}

impl From<RecordError> for ApiError {
    fn from(error: RecordError) -> Self {
        let text = error.to_string();
        let unavailable = || {
            Self::new(Code::RecordUnavailable, "nothing can be recorded now, so nothing was done; try again")
                .retry_after(1)
        };
        match error {
            RecordError::Stale { epoch } => Self::stale(epoch),
            RecordError::Halted => Self::new(Code::OrganizationHalted, text),
            RecordError::Used => Self::new(Code::TokenReplayed, text),
            RecordError::Groundless => {
                tracing::error!("a token of a trusted key rests on no recorded decision");
                Self::new(Code::TokenInvalid, "the token is not valid for this").because(text)
            }
            RecordError::Released => Self::new(Code::IntentReleased, text),
            RecordError::KeyReused => Self::new(Code::IdempotencyConflict, text).at("idempotency-key"),
            RecordError::Busy => unavailable().because(text),
            RecordError::Unavailable => Self::new(
                Code::RecordUnavailable,
                "the record does not answer; look up what became of the request before repeating it",
            )
            .because(text),
            RecordError::Keyring(error) => error.into(),
            RecordError::Store(error) => error.into(),
            RecordError::Refused | RecordError::Payload(_) => Self::internal("the entry can't be written"),
        }
    }
}

impl From<AnswerError> for ApiError {
    fn from(error: AnswerError) -> Self {
        let text = error.to_string();
        let code = match error {
            AnswerError::Own(_) => Code::SelfApproval,
            AnswerError::Role => Code::ApproverRequired,
            AnswerError::NotAnother => Code::ApproverNotDistinct,
            AnswerError::Answered => Code::AlreadyAnswered,
            AnswerError::Unanswered => Code::NotAnswered,
            AnswerError::Ended(_) => Code::ApprovalEnded,
            AnswerError::Store(error) => return error.into(),
        };
        Self::new(code, text)
    }
}

impl From<MemberError> for ApiError {
    fn from(error: MemberError) -> Self {
        match error {
            MemberError::Store(error) => error.into(),
            MemberError::Keyring(error) => error.into(),
            error => Self::of(error.code(), error.field(), error.to_string()),
        }
    }
}

impl From<SettingsError> for ApiError {
    fn from(error: SettingsError) -> Self {
        match error {
            SettingsError::Store(error) => error.into(),
            error => Self::of(error.code(), error.field(), error.to_string()),
        }
    }
}

impl From<DelegationError> for ApiError {
    fn from(error: DelegationError) -> Self {
        match error {
            DelegationError::Store(error) => error.into(),
            error => Self::of(error.code(), error.field(), error.to_string()),
        }
    }
}

impl From<AgentError> for ApiError {
    fn from(error: AgentError) -> Self {
        match error {
            AgentError::Store(error) => error.into(),
            AgentError::Keyring(error) => error.into(),
            error => Self::of(error.code(), None, error.to_string()),
        }
    }
}

impl From<ApiKeyError> for ApiError {
    fn from(error: ApiKeyError) -> Self {
        match error {
            ApiKeyError::Store(error) => error.into(),
            error => Self::of(error.code(), error.field(), error.to_string()),
        }
    }
}

impl From<SigningKeyError> for ApiError {
    fn from(error: SigningKeyError) -> Self {
        let text = error.to_string();
        match error {
            // Another rotation was first; the next run finds its key.
            SigningKeyError::Lost => Self::stale(0),
            SigningKeyError::Missing => Self::not_found(),
            SigningKeyError::Waiting { .. } => Self::new(Code::SigningKeyWaiting, text),
            SigningKeyError::NotPrevious(_) => Self::new(Code::SigningKeyNotPrevious, text),
            SigningKeyError::InUse { .. } => Self::new(Code::SigningKeyInUse, text),
            SigningKeyError::Store(error) => error.into(),
        }
    }
}

impl From<PolicyError> for ApiError {
    fn from(error: PolicyError) -> Self {
        let text = error.to_string();
        match error {
            PolicyError::Catalogue(CatalogueError { path, .. }) => {
                Self::new(Code::ValidationError, text).at(path)
            }
            PolicyError::Problems(problems) => {
                Self::new(Code::PolicyInvalid, text).at("text").with(&json!({ "problems": problems }))
            }
            PolicyError::Breaks { policy, problems } => {
                Self::new(Code::PolicyBreaks, text).with(&json!({ "policy": policy, "problems": problems }))
            }
            PolicyError::Compile(CompileError::TooMany) => Self::new(Code::LimitReached, text),
            PolicyError::Compile(_) => Self::internal("a policy in force can't be read"),
            PolicyError::Missing(_) => Self::not_found(),
            PolicyError::NameTaken => Self::new(Code::AlreadyExists, text).at("name"),
            PolicyError::Unchanged => Self::new(Code::Unchanged, text),
            PolicyError::Store(error) => error.into(),
        }
    }
}

impl From<ConnectorError> for ApiError {
    fn from(error: ConnectorError) -> Self {
        let text = error.to_string();
        match error {
            ConnectorError::Definition(invalid) => {
                Self::new(Code::ConnectorInvalid, invalid.rule).at(format!("definition{}", invalid.pointer))
            }
            ConnectorError::Credential { field, .. } => Self::invalid(field, text),
            ConnectorError::NameTaken => Self::new(Code::AlreadyExists, text).at("name"),
            ConnectorError::Unchanged => Self::new(Code::Unchanged, text),
            ConnectorError::Retired => Self::new(Code::ConnectorRetired, text),
            ConnectorError::Keyring(error) => error.into(),
            ConnectorError::Store(error) => error.into(),
        }
    }
}

impl From<HaltError> for ApiError {
    fn from(error: HaltError) -> Self {
        match error {
            HaltError::Unchanged => Self::new(Code::HaltUnchanged, error.to_string()),
            HaltError::Store(error) => error.into(),
        }
    }
}

impl From<PoolClosed> for ApiError {
    fn from(error: PoolClosed) -> Self {
        Self::internal(error)
    }
}

impl From<EmailError> for ApiError {
    fn from(error: EmailError) -> Self {
        Self::invalid("email", error)
    }
}

impl From<NoteError> for ApiError {
    fn from(error: NoteError) -> Self {
        Self::new(Code::ValidationError, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_model::Role;

    #[test]
    fn every_code_that_an_owner_names_is_one_of_ours() {
        let errors: Vec<ApiError> = vec![
            MemberError::AgentRole.into(),
            MemberError::LastAdmin.into(),
            MemberError::Unchanged.into(),
            MemberError::Removed.into(),
            SettingsError::OutOfRange { field: "deny_at", rule: "" }.into(),
            SettingsError::Unchanged.into(),
            DelegationError::Actions.into(),
            DelegationError::Expired.into(),
            DelegationError::DelegatorNotActive.into(),
            DelegationError::Revoked.into(),
            AgentError::OwnerNotActive.into(),
            AgentError::Retired.into(),
            AgentError::Unchanged.into(),
            ApiKeyError::Invalid { field: "scopes", rule: "" }.into(),
            ApiKeyError::ScopeExceedsCreator { scopes: vec![] }.into(),
            ApiKeyError::ScopeExceedsHolder { role: Role::Agent, scopes: vec![] }.into(),
            ApiKeyError::EnvironmentExceedsCreator.into(),
            ApiKeyError::HolderNotActive.into(),
            ApiKeyError::NotActive.into(),
            ApiKeyError::Revoked.into(),
        ];
        for error in errors {
            assert_ne!(error.code(), Code::Internal, "{error:?}");
        }
    }

    #[test]
    fn a_store_that_does_not_answer_is_503_and_a_defect_500() {
        let of = |error: sqlx::Error| ApiError::from(StoreError::Database(error)).code();
        assert_eq!(of(sqlx::Error::PoolTimedOut), Code::StoreUnavailable);
        assert_eq!(of(sqlx::Error::RowNotFound), Code::Internal);
        assert_eq!(ApiError::from(StoreError::corrupt("agents", "x")).code(), Code::Internal);
        assert_eq!(ApiError::from(StoreError::Stale { epoch: 7 }).stale_epoch(), Some(7));
    }
}
