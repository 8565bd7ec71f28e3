//! What an organization publishes: the key set that verifies its tokens.

use chancery_api::Code;
use chancery_mint::signing_keys;
use chancery_model::Slug;
use chancery_people::organization;
use chancery_store::Scope;

use crate::{ApiError, Cx, Plain, Public, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/orgs/{slug}/.well-known/jwks.json", jwks)
            .named("signing_keys.publish", "The key set (RFC 7517) that verifies the organization's tokens.")
            .may(&[Code::StoreUnavailable]),
    ]
}

async fn jwks(cx: Cx<Public>) -> Result<Plain, ApiError> {
    let slug: Slug = cx.param("slug")?;
    let org = organization::find(&cx.app.store, &slug).await?.ok_or_else(ApiError::not_found)?;
    let mut scoped = cx.app.store.read(&Scope::installation(org)).await?;
    let keys = signing_keys::jwks(&mut scoped).await?;
    Ok(Plain::new("application/json", keys.to_string()).cached("public, max-age=60"))
}
