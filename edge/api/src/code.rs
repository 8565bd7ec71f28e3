//! The stable codes of failures. Clients decide by them; each has a page in `docs/errors/`.

use std::fmt;
use std::str::FromStr;

use chancery_model::UnknownVariant;
use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$meta:meta])* $status:literal $variant:ident = $word:literal),+ $(,)?) => {
        /// What went wrong, as a stable word. A code is never renamed and never changes its status.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code { $($(#[$meta])* #[serde(rename = $word)] $variant),+ }

        impl Code {
            /// Every code, by status.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in `error.code`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The HTTP status it comes with.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status),+ }
            }
        }
    };
}

codes!(
    /// `Authorization` and `X-Api-Key` carry different keys, or one of them stands twice.
    400 CredentialsAmbiguous = "credentials_ambiguous",
    /// The body is not announced as `application/json`.
    400 ContentTypeUnsupported = "content_type_unsupported",
    /// The body is not I-JSON, or did not arrive whole.
    400 BodyInvalid = "body_invalid",
    /// A field is missing, unknown, or breaks its rule.
    400 ValidationError = "validation_error",
    /// A query parameter is unknown or breaks its rule.
    400 QueryInvalid = "query_invalid",
    /// The cursor is not one that a list gave out.
    400 CursorInvalid = "cursor_invalid",
    /// A request header breaks its rule.
    400 HeaderInvalid = "header_invalid",
    /// A policy does not parse or does not fit the action catalogue.
    400 PolicyInvalid = "policy_invalid",
    /// A connector's definition breaks a rule, or names what its actions do not have.
    400 ConnectorInvalid = "connector_invalid",
    /// No API key came with the request.
    401 Unauthenticated = "unauthenticated",
    /// The API key is not valid (any more).
    401 ApiKeyInvalid = "api_key_invalid",
    /// The key, its holder or its creator lacks the scope that the route needs.
    403 InsufficientScope = "insufficient_scope",
    /// The key to make would have scopes that its maker lacks.
    403 ScopeExceedsCreator = "scope_exceeds_creator",
    /// The key to make would have scopes that its holder's role lacks.
    403 ScopeExceedsHolder = "scope_exceeds_holder",
    /// A test key was to make a live one.
    403 EnvironmentExceedsCreator = "environment_exceeds_creator",
    /// Only a person may do this, and the key is held by an agent.
    403 MemberRequired = "member_required",
    /// The decision is deny; `data` holds the reasons.
    403 IntentDenied = "intent_denied",
    /// The organization is halted: nothing acts in it.
    403 OrganizationHalted = "organization_halted",
    /// What acts with keys of this environment is halted.
    403 EnvironmentHalted = "environment_halted",
    /// The connector is paused or retired: nothing is done with it.
    403 ConnectorPaused = "connector_paused",
    /// The token is not one of ours, or not for this audience or this action.
    403 TokenInvalid = "token_invalid",
    /// The token's few minutes are over.
    403 TokenExpired = "token_expired",
    /// The token was redeemed before.
    403 TokenReplayed = "token_replayed",
    /// The token, its key or its organization's tokens were revoked.
    403 TokenRevoked = "token_revoked",
    /// Nobody answers their own request.
    403 SelfApproval = "self_approval",
    /// The escalation asks people in another role.
    403 ApproverRequired = "approver_required",
    /// The caller is not another person than one who agreed before.
    403 ApproverNotDistinct = "approver_not_distinct",
    /// There is no such thing in the caller's organization, or no such route.
    404 NotFound = "not_found",
    /// The route does not take this method.
    405 MethodNotAllowed = "method_not_allowed",
    /// The body did not arrive in time.
    408 RequestTimeout = "request_timeout",
    /// A unique value is taken.
    409 AlreadyExists = "already_exists",
    /// The change would change nothing.
    409 Unchanged = "unchanged",
    /// The member was removed.
    409 MemberRemoved = "member_removed",
    /// The member who delegates is not active.
    409 DelegatorNotActive = "delegator_not_active",
    /// The delegation was revoked.
    409 DelegationRevoked = "delegation_revoked",
    /// The owner is not an active member.
    409 OwnerNotActive = "owner_not_active",
    /// The agent was retired.
    409 AgentRetired = "agent_retired",
    /// The connector was retired.
    409 ConnectorRetired = "connector_retired",
    /// The key's holder is unknown, removed or retired.
    409 HolderNotActive = "holder_not_active",
    /// The key was revoked, has expired, or was rotated before.
    409 KeyNotActive = "key_not_active",
    /// The key was revoked before.
    409 KeyRevoked = "key_revoked",
    /// The next signing key is published already, and waits until verifiers know it.
    409 SigningKeyWaiting = "signing_key_waiting",
    /// Only a previous signing key can be retired.
    409 SigningKeyNotPrevious = "signing_key_not_previous",
    /// Tokens that the signing key signed may still be good.
    409 SigningKeyInUse = "signing_key_in_use",
    /// A policy in force would not hold any more.
    409 PolicyBreaks = "policy_breaks",
    /// The organization has as many actions or policies in force as it can have.
    409 LimitReached = "limit_reached",
    /// The organization or environment is halted already, or not halted.
    409 HaltUnchanged = "halt_unchanged",
    /// The organization would be left without an administrator.
    409 LastAdmin = "last_admin",
    /// The intent was not escalated, so there is nothing to release.
    409 IntentNotEscalated = "intent_not_escalated",
    /// People have not answered enough yet.
    409 ApprovalPending = "approval_pending",
    /// The escalation waits for nobody any more.
    409 ApprovalEnded = "approval_ended",
    /// The caller answered before.
    409 AlreadyAnswered = "already_answered",
    /// The caller has not answered.
    409 NotAnswered = "not_answered",
    /// What is asked for now is not what was approved.
    409 IntentChanged = "intent_changed",
    /// The intent was released before: an approval is good once.
    409 IntentReleased = "intent_released",
    /// The connector can't execute this.
    409 NotExecutable = "not_executable",
    /// The idempotency key was used for another request.
    409 IdempotencyConflict = "idempotency_conflict",
    /// The data was erased by destroying its key.
    410 Erased = "erased",
    /// The body is larger than the limit.
    413 BodyTooLarge = "body_too_large",
    /// The key or the organization sends too many requests.
    429 RateLimited = "rate_limited",
    /// A defect of the server.
    500 Internal = "internal",
    /// The connector's system refused or failed, or was not reached: it did not do it.
    502 ExecutionFailed = "execution_failed",
    /// The organization changed faster than the request could be carried out.
    503 OrganizationBusy = "organization_busy",
    /// The record can't be written, so nothing was done.
    503 RecordUnavailable = "record_unavailable",
    /// The store does not answer.
    503 StoreUnavailable = "store_unavailable",
    /// The request took longer than the limit; its outcome has to be looked up.
    503 TimedOut = "timed_out",
    /// The intent's newest entry is not under a signed checkpoint yet: that takes a second.
    503 CheckpointPending = "checkpoint_pending",
    /// A record is being verified: the server does one at a time.
    503 VerificationRunning = "verification_running",
    /// The connector's system failed too often: it is left alone for a while.
    503 ConnectorUnavailable = "connector_unavailable",
    /// As many calls of the connector are under way as may be.
    503 ConnectorBusy = "connector_busy",
    /// The server is not ready for requests.
    503 NotReady = "not_ready",
    /// Nobody knows whether the connector's system did it.
    504 OutcomeUnknown = "outcome_unknown",
);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Code {
    type Err = UnknownVariant;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == text)
            .ok_or(UnknownVariant { kind: "error code" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    const PAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors");

    #[test]
    fn every_code_has_a_page_and_every_page_a_code() -> Result<(), Box<dyn std::error::Error>> {
        let mut pages = BTreeSet::new();
        for entry in std::fs::read_dir(PAGES)? {
            let name = entry?.file_name().into_string().unwrap_or_default();
            if name != "README.md" {
                pages.insert(name);
            }
        }
        let codes: BTreeSet<String> = Code::ALL.iter().map(|code| format!("{code}.md")).collect();
        assert_eq!(pages, codes);
        Ok(())
    }

    #[test]
    fn a_page_states_the_status_and_shows_the_code() -> Result<(), Box<dyn std::error::Error>> {
        let index = std::fs::read_to_string(Path::new(PAGES).join("README.md"))?;
        for code in Code::ALL {
            let page = std::fs::read_to_string(Path::new(PAGES).join(format!("{code}.md")))?;
            assert!(page.starts_with(&format!("# `{code}` ({})\n", code.status())), "{code}");
            let example = page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next());
            let failure: crate::Failure = serde_json::from_str(example.unwrap_or_default())?;
            assert_eq!(failure.error.code, *code);
            for part in ["**When.**", "**What to do.**"] {
                assert!(page.contains(part), "{code}: {part}");
            }
            assert!(
                index.contains(&format!("| {} | [`{code}`]", code.status())),
                "{code} is not in the index"
            );
        }
        Ok(())
    }

    #[test]
    fn words_and_statuses_are_what_clients_expect() {
        let words: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(words.len(), Code::ALL.len());
        for code in Code::ALL {
            assert_eq!(code.as_str().parse(), Ok(*code));
            assert!((400..=599).contains(&code.status()), "{code}");
        }
        assert!(
            Code::ALL.is_sorted_by_key(|code| code.status()),
            "codes stand in the order of their statuses"
        );
    }
}
