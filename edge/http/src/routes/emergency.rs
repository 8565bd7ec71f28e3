//! `/api/v1/emergency/*`: stop everything, and start again.

use chancery_api::{Code, EmergencyOrder, EmergencyState};
use chancery_authenticate::permission::EmergencyUse;
use chancery_store::{Change, Epoch, Halt};
use serde_json::json;

use crate::{Answer, ApiError, Cx, Json, Needs, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/emergency/halt", halt)
            .named("emergency.halt", "Halts the organization: nothing acts, no token is minted or redeemed.")
            .may(&[Code::HaltUnchanged]),
        Route::post("/api/v1/emergency/resume", resume)
            .named("emergency.resume", "Lets the organization act again.")
            .may(&[Code::HaltUnchanged]),
    ]
}

async fn halt(cx: Cx<Needs<EmergencyUse>, Json<EmergencyOrder>>) -> Result<Answer<EmergencyState>, ApiError> {
    order(cx, Halt::Halt).await
}

async fn resume(
    cx: Cx<Needs<EmergencyUse>, Json<EmergencyOrder>>,
) -> Result<Answer<EmergencyState>, ApiError> {
    order(cx, Halt::Resume).await
}

async fn order(
    cx: Cx<Needs<EmergencyUse>, Json<EmergencyOrder>>,
    halt: Halt,
) -> Result<Answer<EmergencyState>, ApiError> {
    let (kind, halted) = match halt {
        Halt::Halt => ("organization.halted", true),
        Halt::Resume => ("organization.resumed", false),
    };
    let scoped = cx.write().await?;
    // Known at the caller's epoch, which is current: the transaction began.
    if cx.caller().record().halted == halted {
        return Err(ApiError::new(Code::HaltUnchanged, "the organization already is in that state"));
    }
    let payload = json!({ "reason": cx.input.0.reason });
    let mut change = Change::new(kind, Epoch::Bump, ("organization", cx.org().to_string()), payload);
    change.halt = Some(halt);
    let receipt = cx.commit(scoped, change).await?;
    Ok(Answer::changed(EmergencyState { halted }, &receipt))
}
