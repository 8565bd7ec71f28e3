//! `/api/v1/approvals`: escalated intents and what people answer.

use chancery_model::{IntentId, KeyId, MemberId, Role, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::{Reason, RecordRef};

/// What became of an escalated intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalStatus {
    /// People have not answered enough.
    Pending,
    /// Enough people agreed: whoever asked can have the token, or have it executed, for an hour.
    Approved,
    /// Somebody refused.
    Rejected,
    /// Whoever asked took it back.
    Cancelled,
    /// The time to answer is over, or what was approved was not carried out in its time.
    Expired,
}

/// How an escalated intent stands.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ApprovalState {
    /// What became of it.
    pub status: ApprovalStatus,
    /// Until when people can answer.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// Until when what was approved can be carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub good_until: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// What the approval was used for, once it was: it is good once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Release>,
    /// Who answered what, without the answers that were withdrawn.
    pub answers: Vec<GivenAnswer>,
}

/// What an approval was used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Release {
    /// `token` or `execution`.
    pub r#as: ReleaseWord,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// What an approval can be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReleaseWord {
    /// A token was minted.
    Token,
    /// The connector was called.
    Execution,
}

/// What a person answered.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GivenAnswer {
    /// Who.
    #[schema(value_type = uuid::Uuid)]
    pub member_id: MemberId,
    /// Their name now; only where approvals are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_name: Option<String>,
    /// With which API key.
    #[schema(value_type = uuid::Uuid)]
    pub key_id: KeyId,
    /// `approve` or `reject`.
    pub answer: AnswerWord,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// What can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AnswerWord {
    /// It may be done.
    Approve,
    /// It may not.
    Reject,
}

/// An escalated intent as people see it who may answer it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Approval {
    /// The intent, and the approval.
    #[schema(value_type = uuid::Uuid)]
    pub id: IntentId,
    /// How it stands.
    #[serde(flatten)]
    pub state: ApprovalState,
    /// Who asked: `{"id", "type"}`; `null` once erased, like what is asked.
    pub requester: Value,
    /// The name that whoever asked has now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester_name: Option<String>,
    /// What is asked, exactly: the canonical form with its hash, the context, connector and in whose name.
    pub intent: Value,
    /// Why people are asked.
    pub reasons: Value,
    /// The risk score and its factors.
    pub risk: Value,
    /// What people have to do.
    pub requirements: Vec<Requirement>,
    /// Whether the caller stands behind the request and so may not answer it. That it says `false` is no
    /// promise: who may answer is looked at in full when they do.
    pub own: bool,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub requested_at: Timestamp,
    /// Where the decision stands in the record.
    pub record: RecordRef,
}

/// How many people of which role have to agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Requirement {
    /// How many different people.
    pub approvals: u8,
    /// In which role.
    #[schema(value_type = crate::words::RoleWord)]
    pub role: Role,
}

/// An answer, with its reason.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct Answering {
    /// For the record, and for whoever asked.
    pub reason: Reason,
}

/// What an answer brought about.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct AnswerTaken {
    /// The intent.
    #[schema(value_type = uuid::Uuid)]
    pub id: IntentId,
    /// What it is now.
    pub status: ApprovalStatus,
}

/// Which escalated intents.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ApprovalQuery {
    /// How many at most: 1 to 200, 50 when absent.
    #[param(minimum = 1, maximum = 200, default = 50)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to go on: the `page.next` of the answer before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Also those that wait for nobody any more.
    #[serde(default)]
    pub ended: bool,
}
