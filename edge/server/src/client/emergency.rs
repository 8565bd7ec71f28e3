//! `emergency`.

use clap::{Args, Subcommand};
use http::Method;
use serde_json::json;

use super::request::Request;

/// `emergency`.
#[derive(Debug, Subcommand)]
pub enum EmergencyCommand {
    /// Show what is halted and which connectors are paused.
    Show,
    /// Halt the organization, or one environment: nothing acts in it.
    Halt(Order),
    /// Let it act again.
    Resume(Order),
}

/// What to halt or to resume, and why.
#[derive(Args, Clone, Debug)]
pub struct Order {
    /// For the record.
    #[arg(long)]
    reason: String,
    /// Only what acts with keys of this environment: `live` or `test`.
    #[arg(long)]
    environment: Option<String>,
}

impl EmergencyCommand {
    pub(super) fn request(self) -> Request {
        const AT: &str = "/api/v1/emergency";
        let (order, Order { reason, environment }) = match self {
            Self::Show => return Request::get(AT),
            Self::Halt(order) => ("halt", order),
            Self::Resume(order) => ("resume", order),
        };
        let body = json!({ "reason": reason, "environment": environment });
        Request::send(Method::POST, format!("{AT}/{order}"), body)
    }
}
