//! What every answer is wrapped in.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use crate::{Code, words};

/// A success.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Data<T> {
    /// The thing asked for.
    pub data: T,
}

/// A success with many things.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct List<T> {
    /// The things, in the order the route states.
    pub data: Vec<T>,
    /// How to go on.
    pub page: Page,
}

/// How to go on after a list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Page {
    /// The `cursor` of the next page; `null` on the last one.
    pub next: Option<String>,
}

/// A failure. A refused intent and an invalid policy carry `data` too.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// What went wrong.
    pub error: ErrorBody,
    /// What belongs to the failure: a decision with its reasons, the problems of a policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub data: Option<Box<RawValue>>,
}

/// What went wrong.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// A stable word for programs.
    #[schema(value_type = words::ErrorCode)]
    pub code: Code,
    /// The same for people.
    pub message: String,
    /// The part of the request it is about: a field's path, a parameter, a header, a scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// Which part of a list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// How many at most: 1 to 1000, 100 when absent.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to go on: the `page.next` of the answer before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}
