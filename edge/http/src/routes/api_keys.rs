//! `/api/v1/api-keys`: what callers authenticate with.

use chancery_api::{ApiKey, Code, CreateApiKey, IssuedApiKey, ListQuery, RevokeApiKey, RotateApiKey};
use chancery_authenticate::permission::{KeysManage, KeysRead};
use chancery_keys::api_key::{self, Creator, Issued, NewApiKey};
use chancery_model::Role;
use secrecy::ExposeSecret;

use crate::{Answer, ApiError, App, Created, Cx, Input, Json, Many, Needs, Query, Route};

/// What making a key can run into.
const TOO_MUCH: &[Code] = &[
    Code::ScopeExceedsCreator,
    Code::ScopeExceedsHolder,
    Code::EnvironmentExceedsCreator,
    Code::HolderNotActive,
    Code::MemberRequired,
    Code::KeyNotActive,
];

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/api-keys", create)
            .named("api_keys.create", "Makes a key. Its secret is in this answer and nowhere else.")
            .may(TOO_MUCH),
        Route::get("/api/v1/api-keys", list)
            .named("api_keys.list", "Keys without their secrets, newest first."),
        Route::get("/api/v1/api-keys/{id}", show).named("api_keys.show", "One key without its secret."),
        Route::post("/api/v1/api-keys/{id}/rotate", rotate)
            .named("api_keys.rotate", "Makes a key in the place of another, which works on for a while.")
            .may(TOO_MUCH),
        Route::post("/api/v1/api-keys/{id}/revoke", revoke)
            .named("api_keys.revoke", "Revokes a key; the next request with it is refused, on every server.")
            .may(&[Code::KeyRevoked, Code::ScopeExceedsCreator, Code::MemberRequired]),
    ]
}

async fn create(cx: Cx<Needs<KeysManage>, Json<CreateApiKey>>) -> Result<Created<IssuedApiKey>, ApiError> {
    let wanted = &cx.input.0;
    let new = NewApiKey {
        holder: wanted.holder,
        name: wanted.name.clone(),
        environment: wanted.environment,
        scopes: wanted.scopes.clone(),
        audiences: wanted.audiences.clone(),
        expires_at: wanted.expires_at,
    };
    let rights_of = role_rights(&cx.app);
    let creator = creator(&cx, &rights_of)?;
    let mut scoped = cx.write().await?;
    let (issued, change) =
        api_key::create(&mut scoped, cx.keyring(), &cx.app.key_prefix, &creator, new).await?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Created::new(view_issued(issued), &receipt))
}

async fn list(cx: Cx<Needs<KeysRead>, Query<ListQuery>>) -> Result<Many<ApiKey>, ApiError> {
    let (limit, after) = cx.input.window()?;
    let mut scoped = cx.read().await?;
    let found = api_key::list(&mut scoped, after, limit).await?;
    Ok(Many::page(found.into_iter().map(view).collect(), limit, |key| key.id))
}

async fn show(cx: Cx<Needs<KeysRead>>) -> Result<Answer<ApiKey>, ApiError> {
    let id = cx.param("id")?;
    let mut scoped = cx.read().await?;
    let found = api_key::read(&mut scoped, id).await?;
    Ok(Answer::read(view(found.ok_or_else(ApiError::not_found)?)))
}

async fn rotate(cx: Cx<Needs<KeysManage>, Json<RotateApiKey>>) -> Result<Created<IssuedApiKey>, ApiError> {
    let id = cx.param("id")?;
    let overlap = cx.input.0.overlap_seconds;
    let rights_of = role_rights(&cx.app);
    let creator = creator(&cx, &rights_of)?;
    let mut scoped = cx.write().await?;
    let rotated =
        api_key::rotate(&mut scoped, cx.keyring(), &cx.app.key_prefix, &creator, (id, overlap)).await?;
    let (issued, change) = rotated.ok_or_else(ApiError::not_found)?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Created::new(view_issued(issued), &receipt))
}

async fn revoke(cx: Cx<Needs<KeysManage>, Json<RevokeApiKey>>) -> Result<Answer<ApiKey>, ApiError> {
    let id = cx.param("id")?;
    let reason = cx.input.0.reason.as_str().parse()?;
    let rights_of = role_rights(&cx.app);
    let creator = creator(&cx, &rights_of)?;
    let mut scoped = cx.write().await?;
    let revoked = api_key::revoke(&mut scoped, cx.keyring(), &creator, (id, reason)).await?;
    let (revoked, change) = revoked.ok_or_else(ApiError::not_found)?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Answer::changed(view(revoked), &receipt))
}

fn role_rights(app: &App) -> impl Fn(Role) -> u64 + Sync + '_ {
    |role| app.authenticator.roles().of(role)
}

fn creator<'a, I: Input>(
    cx: &'a Cx<Needs<KeysManage>, I>,
    rights_of: &'a (dyn Fn(Role) -> u64 + Sync),
) -> Result<Creator<'a>, ApiError> {
    let caller = cx.caller();
    Ok(Creator {
        member: cx.member()?,
        key: Some(caller.record().id),
        rights: caller.rights(),
        environment: caller.record().environment,
        audiences: &caller.record().audiences,
        expires_at: caller.record().expires_at,
        rights_of,
    })
}

fn view_issued(issued: Issued) -> IssuedApiKey {
    IssuedApiKey { key: view(issued.key), secret: issued.text.expose_secret().to_owned() }
}

fn view(key: api_key::ApiKey) -> ApiKey {
    let (revoked_at, revoke_reason) = key.revoked.map(|it| (it.at, it.reason.to_string())).unzip();
    ApiKey {
        id: key.id,
        name: key.name,
        holder: key.holder,
        environment: key.environment,
        scopes: key.scopes,
        audiences: key.audiences,
        created_by: key.created_by,
        created_at: key.created_at,
        expires_at: key.expires_at,
        rotated_from: key.rotated_from,
        superseded_at: key.superseded_at,
        revoked_at,
        revoke_reason,
        last_used_at: key.last_used_at,
        uses: key.uses,
    }
}
