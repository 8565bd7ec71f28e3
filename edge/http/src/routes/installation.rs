//! The server itself: whether it lives, whether it is ready, what it measures, what it offers.

use std::sync::LazyLock;

use bytes::Bytes;
use chancery_api::{Code, Health, Readiness};
use sqlx::Connection;

use crate::{Answer, ApiError, App, Cx, Plain, Public, Route, openapi};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/healthz", health).named("installation.health", "Whether the process lives."),
        Route::get("/readyz", ready)
            .named("installation.ready", "Whether requests can be answered; a refusal says what is missing.")
            .may(&[Code::NotReady]),
        Route::get("/metrics", metrics).named("installation.metrics", "What is measured, for Prometheus."),
        Route::get("/openapi.json", document).named("installation.openapi", "This document."),
    ]
}

async fn health(_: Cx<Public>) -> Result<Answer<Health>, ApiError> {
    Ok(Answer::read(Health { alive: true }))
}

async fn ready(cx: Cx<Public>) -> Result<Answer<Readiness>, ApiError> {
    let readiness = Readiness {
        store: store_answers(&cx.app).await,
        record: cx.app.recorder.is_alive().await,
        keys: cx.keyring().custody().active_version() > 0,
    };
    if readiness.is_ready() {
        return Ok(Answer::read(readiness));
    }
    Err(ApiError::new(Code::NotReady, "the server is not ready").with(&readiness))
}

async fn store_answers(app: &App) -> bool {
    match app.store.outside().await {
        Ok(mut connection) => connection.ping().await.is_ok(),
        Err(_) => false,
    }
}

async fn metrics(cx: Cx<Public>) -> Result<Plain, ApiError> {
    Ok(Plain::new("text/plain; version=0.0.4", cx.app.metrics.render()))
}

async fn document(_: Cx<Public>) -> Result<Plain, ApiError> {
    static DOCUMENT: LazyLock<Bytes> =
        LazyLock::new(|| openapi::document(&super::routes()).to_json().unwrap_or_default().into());
    Ok(Plain::new("application/json", DOCUMENT.clone()))
}
