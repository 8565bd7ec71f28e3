//! `/api/v1/record`

use chancery_model::{CorrelationId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// An entry of the record.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RecordEntry {
    /// Its number, from 1.
    pub seq: u64,
    /// When it was appended.
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// Its type, such as `intent.allowed`.
    pub r#type: String,
    /// The story it belongs to.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub correlation_id: Option<CorrelationId>,
    /// Opaque identifiers by name.
    pub refs: Value,
    /// What happened; `null` once erased.
    pub payload: Value,
    /// The commitment to the payload, in hex.
    pub commitment: String,
    /// The hash of the leaf, in hex.
    pub leaf_hash: String,
    /// The chain hash, in hex.
    pub entry_hash: String,
}

/// Which entries.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct RecordQuery {
    /// How many at most: 1 to 1000, 100 when absent.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to go on: the `page.next` of the answer before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Only the entries of one story.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    pub correlation_id: Option<CorrelationId>,
    /// Only the entries of one type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
}

/// What verifying the organization's record found.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RecordVerification {
    /// Whether everything that was read is as the record says it must be.
    pub intact: bool,
    /// Whether the record was read to its end, or to a gap. A long one does not fit into a request:
    /// `chancery record verify` takes its time.
    pub complete: bool,
    /// How many entries were read.
    pub entries: u64,
    /// How many payloads are erased; their leaves still prove.
    pub shredded: u64,
    /// The size of the newest signed checkpoint that the record stands up to.
    pub checkpoint: u64,
    /// What is wrong, and at which entry.
    pub faults: Vec<RecordFault>,
}

/// Something wrong with the record.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RecordFault {
    /// What, as a stable word.
    pub code: String,
    /// At which entry or checkpoint size.
    pub seq: u64,
}
