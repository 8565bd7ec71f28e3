//! `/api/v1/intents`

use chancery_model::{CorrelationId, IntentId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::ApprovalState;

/// What a caller asks to do.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct SubmitIntent {
    /// The action, as the catalogue names it.
    pub action: String,
    /// On what.
    pub resource: ResourceRef,
    /// How, exactly: an object that fits the action's schema. A token is bound to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Value>,
    /// The circumstances. What is stated here may raise the risk and never lowers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Value>,
    /// Who will redeem the token; the organization itself when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connector: Option<String>,
    /// The member in whose name an agent asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// Whether an allowed intent is answered with a token.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub token: bool,
    /// Whether an allowed intent is carried out by the server, through its connector, instead.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schema(default = false)]
    pub execute: bool,
}

const fn yes() -> bool {
    true
}

/// A resource by type and id.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct ResourceRef {
    /// Its type, as the catalogue names it.
    pub r#type: String,
    /// Which one.
    pub id: String,
}

/// What became of an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum IntentStatus {
    /// It may be carried out.
    Allowed,
    /// People have to agree first.
    Escalated,
    /// It may not be carried out.
    Denied,
}

/// The answer to an intent.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct IntentAnswer {
    /// The intent.
    #[schema(value_type = Uuid)]
    pub id: IntentId,
    /// The story it begins.
    #[schema(value_type = Uuid)]
    pub correlation_id: CorrelationId,
    /// What became of it.
    pub status: IntentStatus,
    /// The decision with everything that explains it: effect, reasons, risk, gates, requirements,
    /// policies.
    #[schema(value_type = Object)]
    pub decision: Box<RawValue>,
    /// What people have to do; only when escalated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub approval: Option<Value>,
    /// The token, once: single-use authority for exactly this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// When the token expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub token_expires_at: Option<Timestamp>,
    /// What came of executing it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution: Option<Execution>,
    /// Where the decision stands in the record.
    pub record: RecordRef,
}

/// A place in the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecordRef {
    /// The entry's number.
    pub seq: u64,
    /// The chain hash at the entry, in hex.
    pub entry_hash: String,
}

/// An intent in a list.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct IntentSummary {
    /// The intent.
    #[schema(value_type = Uuid)]
    pub id: IntentId,
    /// What became of it.
    pub status: IntentStatus,
    /// `member` or `agent`.
    pub principal_type: String,
    /// Who asked.
    pub principal_id: Uuid,
    /// What for.
    pub action: String,
    /// On what kind of thing.
    pub resource_type: String,
    /// The risk score, 0 to 100.
    pub risk: u8,
    /// `live` or `test`.
    pub environment: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// An intent as its entry tells it.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct IntentDetail {
    /// The intent.
    #[schema(value_type = Uuid)]
    pub id: IntentId,
    /// The story it begins.
    #[schema(value_type = Uuid)]
    pub correlation_id: CorrelationId,
    /// What became of it.
    pub status: IntentStatus,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// What was asked, exactly; `null` once erased, like the next three.
    pub intent: Value,
    /// Who asked.
    pub principal: Value,
    /// The decision.
    pub decision: Value,
    /// The token's claims without its nonce, if one was minted.
    pub token: Value,
    /// What people answered; only when it was escalated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalState>,
    /// What came of executing it; only when it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution: Option<Execution>,
    /// Where the decision stands in the record.
    pub record: RecordRef,
}

/// How an execution stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionStatus {
    /// Under way.
    Open,
    /// The system did it.
    Succeeded,
    /// The system refused it, or was not reached.
    Failed,
    /// Nobody knows: it may have been done. Look at the system before asking for it again.
    OutcomeUnknown,
}

/// An execution, and what came back.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Execution {
    /// Through which connector.
    pub connector: String,
    /// How it stands.
    pub status: ExecutionStatus,
    /// The HTTP status that came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// Why it did not succeed, in a stable word; said in the first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What came back, for a day, to whoever asked: as JSON where it is JSON of at most 256 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub answer: Option<Box<RawValue>>,
    /// The same as base64, where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_base64: Option<String>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub closed_at: Option<Timestamp>,
}

/// What to release of an approved intent. What stands here must be what was approved: it is compared, and
/// never taken.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct ReleaseIntent {
    /// The action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// On what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceRef>,
    /// How, exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Value>,
}

/// How long to wait.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct WaitQuery {
    /// Seconds to wait, at most 25, while people have not answered or an execution is under way; the
    /// answer comes at once when that changes.
    #[param(minimum = 0, maximum = 25, default = 0)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<u32>,
}

/// Which intents.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct IntentQuery {
    /// How many at most: 1 to 1000, 100 when absent.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to go on: the `page.next` of the answer before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Only those with this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<IntentStatus>,
}
