//! `/api/v1/connectors`: the systems that can be called, and what Chancery authenticates with there.

use chancery_api::{
    ChangeConnector, Code, Connector, ConnectorBreaker, ConnectorCredential, ConnectorDetail, ConnectorOrder,
    ConnectorTest, CreateConnector, ListQuery, RemovedCredentials, SecretText, WriteCredential,
};
use chancery_authenticate::permission::{ConnectorsManage, ConnectorsRead, EmergencyUse};
use chancery_connectors::connector::{self, ConnectorPatch};
use chancery_connectors::credential::{self, CredentialRecord, Writing};
use chancery_connectors::{ClientAuth, ConnectorError, CredentialDraft};
use chancery_execute::ProbeError;
use chancery_execute::breaker::{self, Breakers};
use chancery_model::{ConnectorId, Timestamp};
use chancery_store::{Change, Epoch};
use serde_json::json;

use crate::{Answer, ApiError, Created, Cx, Json, Many, Needs, Query, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/connectors", create)
            .named("connectors.create", "Makes a connector, without a credential.")
            .may(&[Code::ConnectorInvalid, Code::AlreadyExists]),
        Route::get("/api/v1/connectors", list)
            .named("connectors.list", "Connectors, newest first, retired ones too."),
        Route::get("/api/v1/connectors/{id}", show)
            .named("connectors.show", "One connector, with its credentials but for their secrets."),
        Route::patch("/api/v1/connectors/{id}", change)
            .named(
                "connectors.change",
                "Gives a connector another name or definition; at another host its credentials end.",
            )
            .may(&[Code::ConnectorInvalid, Code::AlreadyExists, Code::ConnectorRetired, Code::Unchanged]),
        Route::post("/api/v1/connectors/{id}/credentials", write_credential)
            .named("connectors.write_credential", "Writes what authenticates there; it is never read back.")
            .may(&[Code::ConnectorRetired]),
        Route::delete("/api/v1/connectors/{id}/credentials", remove_credentials)
            .named("connectors.remove_credentials", "Destroys a connector's credentials.")
            .may(&[Code::ConnectorRetired, Code::Unchanged]),
        Route::post("/api/v1/connectors/{id}/test", test)
            .named(
                "connectors.test",
                "Calls what the definition says tells whether it works, with its credential.",
            )
            .may(&[
                Code::NotExecutable,
                Code::ConnectorPaused,
                Code::ConnectorRetired,
                Code::RecordUnavailable,
            ]),
        Route::post("/api/v1/connectors/{id}/reset", reset)
            .named("connectors.reset", "Closes the connector's circuit breaker: calls are made again."),
        Route::post("/api/v1/connectors/{id}/retire", retire)
            .named("connectors.retire", "Retires a connector for good, and destroys its credentials.")
            .may(&[Code::ConnectorRetired]),
        Route::post("/api/v1/connectors/{id}/pause", pause)
            .named("connectors.pause", "Pauses a connector: no token for it is minted or redeemed.")
            .may(&[Code::ConnectorRetired, Code::Unchanged]),
        Route::post("/api/v1/connectors/{id}/resume", resume)
            .named("connectors.resume", "Lets a paused connector be used again.")
            .may(&[Code::ConnectorRetired, Code::Unchanged]),
    ]
}

async fn create(
    cx: Cx<Needs<ConnectorsManage>, Json<CreateConnector>>,
) -> Result<Created<Connector>, ApiError> {
    let CreateConnector { name, definition } = &cx.input.0;
    let by = cx.caller().principal().id();
    let mut scoped = cx.write().await?;
    let made = connector::create(&mut scoped, cx.keyring(), name.clone(), definition, by).await?;
    let (made, change) = made;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Created::new(view(made), &receipt))
}

async fn list(cx: Cx<Needs<ConnectorsRead>, Query<ListQuery>>) -> Result<Many<Connector>, ApiError> {
    let (limit, after) = cx.input.window()?;
    let mut scoped = cx.read().await?;
    let found = connector::list(&mut scoped, after, limit).await?;
    Ok(Many::page(found.into_iter().map(view).collect(), limit, |connector| connector.id))
}

async fn show(cx: Cx<Needs<ConnectorsRead>>) -> Result<Answer<ConnectorDetail>, ApiError> {
    let id = cx.param("id")?;
    let mut scoped = cx.read().await?;
    let found = connector::read(&mut scoped, id).await?.ok_or_else(ApiError::not_found)?;
    let credentials = credential::list(&mut scoped, id, cx.app.clock.now()).await?;
    let credentials = credentials.into_iter().map(of_credential).collect();
    let now = cx.app.clock.now();
    let breakers = breaker::read(&mut scoped, id).await?;
    let breakers = breakers.into_iter().map(|one| of_breaker(one, now)).collect();
    Ok(Answer::read(ConnectorDetail { connector: view(found), credentials, breakers }))
}

/// A test reaches the system, so it stands in the record before it does.
async fn test(cx: Cx<Needs<ConnectorsManage>>) -> Result<Answer<ConnectorTest>, ApiError> {
    let id: ConnectorId = cx.param("id")?;
    let mut scoped = cx.write().await?;
    let found = connector::read(&mut scoped, id).await?.ok_or_else(ApiError::not_found)?;
    if found.retired_at.is_some() {
        return Err(ConnectorError::Retired.into());
    }
    if found.paused.is_some() {
        let text = "the connector is paused, and a test calls it: resume it first";
        return Err(ApiError::new(Code::ConnectorPaused, text));
    }
    if found.definition.probe().is_none() {
        return Err(ProbeError::Untestable.into());
    }
    let payload = json!({ "name": found.name });
    let change = Change::new("connector.tested", Epoch::Keep, ("connector", id.to_string()), payload);
    let receipt = cx.commit(scoped, change).await?;
    let probed = cx.app.executor.test(cx.scope(), &found.name).await?;
    let tested = ConnectorTest {
        works: probed.works,
        http_status: probed.status,
        code: probed.code.map(str::to_owned),
    };
    Ok(Answer::changed(tested, &receipt))
}

async fn reset(cx: Cx<Needs<ConnectorsManage>, Json<ConnectorOrder>>) -> Result<Answer<Connector>, ApiError> {
    let id: ConnectorId = cx.param("id")?;
    let mut scoped = cx.write().await?;
    let found = connector::read(&mut scoped, id).await?.ok_or_else(ApiError::not_found)?;
    let change = breaker::reset(&mut scoped, id, cx.input.0.reason.as_str()).await?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Answer::changed(view(found), &receipt))
}

fn of_breaker(breaker: Breakers, now: Timestamp) -> ConnectorBreaker {
    ConnectorBreaker {
        state: breaker.state(now).to_owned(),
        host: breaker.host,
        failures: breaker.failures,
        open_until: breaker.open_until,
    }
}

async fn change(
    cx: Cx<Needs<ConnectorsManage>, Json<ChangeConnector>>,
) -> Result<Answer<Connector>, ApiError> {
    let id = cx.param("id")?;
    let ChangeConnector { name, definition } = &cx.input.0;
    let patch = ConnectorPatch { name: name.as_ref(), definition: definition.as_ref() };
    let mut scoped = cx.write().await?;
    let changed = connector::update(&mut scoped, id, patch, cx.app.clock.now()).await?;
    let (changed, change) = changed.ok_or_else(ApiError::not_found)?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Answer::changed(view(changed), &receipt))
}

async fn write_credential(
    cx: Cx<Needs<ConnectorsManage>, Json<WriteCredential>>,
) -> Result<Created<ConnectorCredential>, ApiError> {
    let id = cx.param("id")?;
    let draft = draft(&cx.input.0)?;
    let org_key = cx.keyring().org_key(cx.org()).await?;
    let writing = Writing {
        keyring: cx.keyring(),
        org_key: &org_key,
        by: cx.caller().principal().id(),
        overlap_seconds: cx.input.0.overlap_seconds,
    };
    let mut scoped = cx.write().await?;
    let written = credential::write(&mut scoped, id, draft, writing).await?;
    let (written, change) = written.ok_or_else(ApiError::not_found)?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Created::new(of_credential(written), &receipt))
}

async fn remove_credentials(cx: Cx<Needs<ConnectorsManage>>) -> Result<Answer<RemovedCredentials>, ApiError> {
    let id = cx.param("id")?;
    let mut scoped = cx.write().await?;
    let removed = credential::remove(&mut scoped, id, cx.app.clock.now()).await?;
    let (removed, change) = removed.ok_or_else(ApiError::not_found)?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Answer::changed(RemovedCredentials { removed }, &receipt))
}

async fn retire(cx: Cx<Needs<ConnectorsManage>>) -> Result<Answer<Connector>, ApiError> {
    let id = cx.param("id")?;
    let mut scoped = cx.write().await?;
    let retired = connector::retire(&mut scoped, id, cx.app.clock.now()).await?;
    let (retired, change) = retired.ok_or_else(ApiError::not_found)?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Answer::changed(view(retired), &receipt))
}

async fn pause(cx: Cx<Needs<EmergencyUse>, Json<ConnectorOrder>>) -> Result<Answer<Connector>, ApiError> {
    let id = cx.param("id")?;
    let reason = cx.input.0.reason.as_str();
    let mut scoped = cx.write().await?;
    let paused = connector::pause(&mut scoped, id, reason, cx.app.clock.now()).await?;
    let (paused, change) = paused.ok_or_else(ApiError::not_found)?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Answer::changed(view(paused), &receipt))
}

async fn resume(cx: Cx<Needs<EmergencyUse>, Json<ConnectorOrder>>) -> Result<Answer<Connector>, ApiError> {
    let id = cx.param("id")?;
    let mut scoped = cx.write().await?;
    let resumed = connector::resume(&mut scoped, id, cx.input.0.reason.as_str()).await?;
    let (resumed, change) = resumed.ok_or_else(ApiError::not_found)?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Answer::changed(view(resumed), &receipt))
}

fn draft(sent: &WriteCredential) -> Result<CredentialDraft, ApiError> {
    let secret = |text: &Option<SecretText>| text.clone().map(SecretText::into_secret);
    let auth = match sent.auth.as_deref() {
        None => None,
        Some("basic") => Some(ClientAuth::Basic),
        Some("post") => Some(ClientAuth::Post),
        Some(_) => return Err(ApiError::invalid("auth", "must be `basic` or `post`")),
    };
    Ok(CredentialDraft {
        kind: sent.kind.parse().map_err(|error| ApiError::invalid("kind", error))?,
        token: secret(&sent.token),
        username: sent.username.clone(),
        password: secret(&sent.password),
        name: sent.name.clone(),
        value: secret(&sent.value),
        token_url: sent.token_url.clone(),
        client_id: sent.client_id.clone(),
        client_secret: secret(&sent.client_secret),
        scope: sent.scope.clone(),
        audience: sent.audience.clone(),
        auth,
    })
}

fn view(connector: connector::Connector) -> Connector {
    let (paused_at, pause_reason) = connector.paused.map(|pause| (pause.at, pause.reason)).unzip();
    Connector {
        id: connector.id,
        name: connector.name,
        kind: "http".to_owned(),
        definition: connector.definition.to_value(),
        created_by: connector.created_by,
        created_at: connector.created_at,
        updated_at: connector.updated_at,
        paused_at,
        pause_reason,
        retired_at: connector.retired_at,
    }
}

fn of_credential(credential: CredentialRecord) -> ConnectorCredential {
    ConnectorCredential {
        id: credential.id,
        kind: credential.kind.as_str().to_owned(),
        state: credential.state.as_str().to_owned(),
        created_by: credential.created_by,
        created_at: credential.created_at,
        ends_at: credential.ends_at,
    }
}
