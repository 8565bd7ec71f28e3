//! `/api/v1/policies`: the organization's policies, over all their versions.

use std::sync::Arc;

use chancery_api::{
    ActivatePolicy, AddPolicyVersion, CheckPolicy, Code, CreatePolicy, ListQuery, Policy, PolicyCheck,
    PolicyDetail, PolicyProblem, PolicyText, PolicyVersion,
};
use chancery_authenticate::permission::{PoliciesManage, PoliciesRead};
use chancery_decide::{Layer, check_policy};
use chancery_evidence::Hex;
use chancery_model::PolicyId;
use chancery_policies::{Authorship, PolicyRecord, VersionRecord, policies};

use crate::{Answer, ApiError, Created, Cx, Input, Json, Many, Needs, Query, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/policies", create)
            .named("policies.create", "Makes a policy with its first version, which is not in force yet.")
            .may(&[Code::PolicyInvalid, Code::AlreadyExists]),
        Route::get("/api/v1/policies", list).named("policies.list", "Policies, newest first."),
        Route::post("/api/v1/policies/check", check)
            .named("policies.check", "Checks a text against the catalogue, and stores nothing."),
        Route::get("/api/v1/policies/{id}", show).named("policies.show", "One policy with its versions."),
        Route::post("/api/v1/policies/{id}/versions", add_version)
            .named("policies.add_version", "Adds a version, which is not in force yet.")
            .may(&[Code::PolicyInvalid, Code::Unchanged]),
        Route::get("/api/v1/policies/{id}/versions/{version}", show_version)
            .named("policies.show_version", "The text of one version."),
        Route::post("/api/v1/policies/{id}/activate", activate)
            .named("policies.activate", "Puts a version in force; it holds from the next decision on.")
            .may(&[Code::PolicyInvalid, Code::PolicyBreaks, Code::LimitReached, Code::Unchanged]),
        Route::post("/api/v1/policies/{id}/withdraw", withdraw)
            .named("policies.withdraw", "Takes a policy out of force; its versions stay.")
            .may(&[Code::Unchanged]),
    ]
}

async fn create(cx: Cx<Needs<PoliciesManage>, Json<CreatePolicy>>) -> Result<Created<Policy>, ApiError> {
    let wanted = &cx.input.0;
    let mut scoped = cx.write().await?;
    let (made, change) =
        policies::create(&mut scoped, wanted.name.clone(), &wanted.text, authorship(&cx)).await?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Created::new(view(made), &receipt))
}

async fn list(cx: Cx<Needs<PoliciesRead>, Query<ListQuery>>) -> Result<Many<Policy>, ApiError> {
    let (limit, before) = cx.input.window()?;
    let mut scoped = cx.read().await?;
    let found = policies::list(&mut scoped, before, limit).await?;
    Ok(Many::page(found.into_iter().map(view).collect(), limit, |policy| policy.id))
}

async fn check(cx: Cx<Needs<PoliciesRead>, Json<CheckPolicy>>) -> Result<Answer<PolicyCheck>, ApiError> {
    cx.confirm().await?;
    let policies = cx.app.policies.of(&cx.app.store, cx.scope()).await?;
    let (catalogue, text) = (Arc::clone(policies.catalogue()), cx.input.0.text.clone());
    // Strict validation takes milliseconds: not on a thread that answers requests.
    let checking = tokio::task::spawn_blocking(move || check_policy(&text, &catalogue, Layer::Organization));
    let problems = checking.await.map_err(ApiError::internal)?.err().unwrap_or_default();
    Ok(Answer::read(PolicyCheck {
        valid: problems.is_empty(),
        problems: problems.into_iter().map(problem).collect(),
    }))
}

async fn show(cx: Cx<Needs<PoliciesRead>>) -> Result<Answer<PolicyDetail>, ApiError> {
    let id = cx.param("id")?;
    let mut scoped = cx.read().await?;
    let (policy, versions) = policies::read(&mut scoped, id).await?.ok_or_else(ApiError::not_found)?;
    let versions = versions.into_iter().map(version).collect();
    Ok(Answer::read(PolicyDetail { policy: view(policy), versions }))
}

async fn show_version(cx: Cx<Needs<PoliciesRead>>) -> Result<Answer<PolicyText>, ApiError> {
    let id = cx.param("id")?;
    let version = cx.param("version")?;
    let mut scoped = cx.read().await?;
    let text = policies::text(&mut scoped, id, version).await?.ok_or_else(ApiError::not_found)?;
    Ok(Answer::read(PolicyText { version, text }))
}

async fn add_version(
    cx: Cx<Needs<PoliciesManage>, Json<AddPolicyVersion>>,
) -> Result<Created<Policy>, ApiError> {
    let id: PolicyId = cx.param("id")?;
    let mut scoped = cx.write().await?;
    let (policy, change) = policies::new_version(&mut scoped, id, &cx.input.0.text, authorship(&cx)).await?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Created::new(view(policy), &receipt))
}

async fn activate(cx: Cx<Needs<PoliciesManage>, Json<ActivatePolicy>>) -> Result<Answer<Policy>, ApiError> {
    let id = cx.param("id")?;
    let mut scoped = cx.write().await?;
    let (policy, change) = policies::activate(&mut scoped, id, cx.input.0.version).await?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Answer::changed(view(policy), &receipt))
}

async fn withdraw(cx: Cx<Needs<PoliciesManage>>) -> Result<Answer<Policy>, ApiError> {
    let id = cx.param("id")?;
    let mut scoped = cx.write().await?;
    let (policy, change) = policies::withdraw(&mut scoped, id).await?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Answer::changed(view(policy), &receipt))
}

/// The caller as the author, now.
pub(super) fn authorship<I: Input>(cx: &Cx<Needs<PoliciesManage>, I>) -> Authorship<'_> {
    Authorship { by: cx.caller().principal().id(), at: cx.app.clock.now(), random: &*cx.app.random }
}

fn view(policy: PolicyRecord) -> Policy {
    Policy {
        id: policy.id,
        name: policy.name,
        active_version: policy.active_version,
        latest_version: policy.latest_version,
        created_at: policy.created_at,
    }
}

fn version(version: VersionRecord) -> PolicyVersion {
    PolicyVersion {
        version: version.version,
        content_hash: Hex(version.content_hash).to_string(),
        created_by: version.created_by,
        created_at: version.created_at,
    }
}

fn problem(problem: chancery_decide::PolicyProblem) -> PolicyProblem {
    PolicyProblem { line: problem.line, column: problem.column, message: problem.message, hint: problem.hint }
}
