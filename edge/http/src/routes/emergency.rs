//! `/api/v1/emergency`: stop everything, or what acts in one environment, and start again.

use chancery_api::{
    Code, EmergencyOrder, EmergencyState, HaltedEnvironment, OrganizationHalt, PausedConnector,
};
use chancery_authenticate::permission::{EmergencyUse, SettingsRead};
use chancery_connectors::connector::{self, Connector};
use chancery_keys::halt::{self, HALTED};
use chancery_record::query::{self, Filter};
use chancery_store::{Halt, Scoped};
use serde_json::Value;

use crate::{Answer, ApiError, Cx, Inner, Input, Json, Needs, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/emergency", show)
            .named("emergency.show", "What is halted and which connectors are paused."),
        Route::post("/api/v1/emergency/halt", halt)
            .named(
                "emergency.halt",
                "Halts the organization, or what acts with keys of one environment: no token is minted or redeemed.",
            )
            .may(&[Code::HaltUnchanged]),
        Route::post("/api/v1/emergency/resume", resume)
            .named("emergency.resume", "Lets the organization, or one environment, act again.")
            .may(&[Code::HaltUnchanged]),
    ]
}

async fn show(cx: Cx<Needs<SettingsRead>>) -> Result<Answer<EmergencyState>, ApiError> {
    let mut scoped = cx.read().await?;
    let mut now = state(&mut scoped).await?;
    if now.halted {
        now.halt = last_order(&cx, &mut scoped).await?;
    }
    Ok(Answer::read(now))
}

/// The order that halted the organization: the newest of its kind.
async fn last_order<G: Inner, I: Input, M>(
    cx: &Cx<G, I>,
    scoped: &mut Scoped<M>,
) -> Result<Option<OrganizationHalt>, ApiError> {
    let filter = Filter { kind: Some(HALTED.to_owned()), limit: 1, ..Filter::default() };
    let Some(entry) = query::entries(scoped, &filter).await?.pop() else { return Ok(None) };
    let payload = entry.open(cx.keyring(), cx.entered().org()).await?;
    let payload = payload.map(|opened| opened.payload).unwrap_or_default();
    let reason = payload.get("reason").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Some(OrganizationHalt { halted_at: entry.time, reason, seq: entry.seq }))
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
    order: Halt,
) -> Result<Answer<EmergencyState>, ApiError> {
    let EmergencyOrder { reason, environment } = &cx.input.0;
    let mut scoped = cx.write().await?;
    let change = match environment {
        Some(environment) => {
            let now = cx.app.clock.now();
            halt::order_environment(&mut scoped, *environment, order, reason.as_str(), now).await?
        }
        None => halt::order(&mut scoped, order, reason.as_str()).await?,
    };
    let mut after = state(&mut scoped).await?;
    if environment.is_some() && after.halted {
        after.halt = last_order(&cx, &mut scoped).await?;
    }
    let receipt = cx.commit(scoped, change).await?;
    // The head is moved by the commit.
    if environment.is_none() {
        after.halted = order == Halt::Halt;
        after.halt = after.halted.then(|| OrganizationHalt {
            halted_at: receipt.time(),
            reason: reason.as_str().to_owned(),
            seq: receipt.seq(),
        });
    }
    Ok(Answer::changed(after, &receipt))
}

async fn state<M>(scoped: &mut Scoped<M>) -> Result<EmergencyState, ApiError> {
    let halts = halt::read(scoped).await?;
    let environments = halts.environments.into_iter().map(|halted| HaltedEnvironment {
        environment: halted.environment,
        halted_at: halted.at,
        reason: halted.reason,
    });
    let connectors = connector::paused(scoped).await?;
    Ok(EmergencyState {
        halted: halts.organization,
        halt: None,
        environments: environments.collect(),
        connectors: connectors.into_iter().filter_map(paused).collect(),
    })
}

fn paused(connector: Connector) -> Option<PausedConnector> {
    let pause = connector.paused?;
    Some(PausedConnector {
        id: connector.id,
        name: connector.name.to_string(),
        paused_at: pause.at,
        reason: pause.reason,
    })
}
