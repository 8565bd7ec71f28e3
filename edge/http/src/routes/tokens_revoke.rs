//! `/api/v1/tokens/revoke`: tokens that must not be redeemed any more.

use chancery_api::{Code, Revocation, RevocationTarget, RevokeTokens};
use chancery_authenticate::permission::TokensRevoke;
use chancery_keys::{agent, api_key};
use chancery_mint::revocations::{self, Target};
use chancery_model::{AgentId, KeyId, TokenId};

use crate::{ApiError, Created, Cx, Json, Needs, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/tokens/revoke", revoke)
            .named(
                "tokens.revoke",
                "Revokes one token, a key's or an agent's tokens, or all of the organization's.",
            )
            .may(&[Code::NotFound]),
    ]
}

async fn revoke(cx: Cx<Needs<TokensRevoke>, Json<RevokeTokens>>) -> Result<Created<Revocation>, ApiError> {
    let wanted = &cx.input.0;
    let target = match (wanted.kind, wanted.id) {
        (RevocationTarget::Token, Some(id)) => Target::Token(TokenId::from_uuid(id)),
        (RevocationTarget::Key, Some(id)) => Target::Key(KeyId::from_uuid(id)),
        (RevocationTarget::Agent, Some(id)) => Target::Agent(AgentId::from_uuid(id)),
        (RevocationTarget::Organization, None) => Target::Organization,
        (RevocationTarget::Organization, Some(_)) => {
            return Err(ApiError::invalid("id", "the organization is the caller's own: send no `id`"));
        }
        (RevocationTarget::Token | RevocationTarget::Key | RevocationTarget::Agent, None) => {
            return Err(ApiError::invalid("id", "`id` is required for this kind"));
        }
    };
    let (clock, random) = (&*cx.app.clock, &*cx.app.random);
    let mut scoped = cx.write().await?;
    // A mistyped id must not look like success. Of tokens there is no list: they are known by their ids alone.
    let known = match target {
        Target::Key(id) => api_key::read(&mut scoped, id).await?.is_some(),
        Target::Agent(id) => agent::read(&mut scoped, id).await?.is_some(),
        Target::Token(_) | Target::Organization => true,
    };
    if !known {
        return Err(ApiError::not_found());
    }
    let (made, change) =
        revocations::revoke(&mut scoped, target, wanted.reason.as_str(), clock, random).await?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Created::new(Revocation { id: made.id, before: made.before }, &receipt))
}
