//! What an organization publishes: the key set that verifies its tokens.

use chancery_api::Code;
use chancery_mint::signing_keys::KEY_SET_SECONDS;
use chancery_model::Slug;
use chancery_people::organization;

use crate::{ApiError, Cx, Plain, Public, Route};

/// For how long verifiers may keep a key set: the next key is published for longer before it signs.
const KEPT: &str = "public, max-age=60";
const _: () = assert!(KEY_SET_SECONDS == 60, "verifiers are told another time than keys wait");

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
    let keys = cx.app.signing_keys.jwks(&cx.app.store, org).await?;
    Ok(Plain::new("application/json", keys.to_string()).cached(KEPT))
}
