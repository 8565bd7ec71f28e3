//! `/api/v1/signing-keys`: what the organization's tokens are signed with.

use chancery_api::{Code, RetireSigningKey, RotateSigningKey, SigningKey};
use chancery_authenticate::permission::{SigningKeysManage, SigningKeysRead};
use chancery_mint::signing_keys::{self, Forge, Retirement, SigningKeyError, SigningKeyRecord};

use crate::{Answer, ApiError, Created, Cx, Json, Many, Needs, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/signing-keys", list)
            .named("signing_keys.list", "The signing keys without their private halves, newest first."),
        Route::post("/api/v1/signing-keys/rotate", rotate)
            .named(
                "signing_keys.rotate",
                "Publishes the next key, which signs when verifiers know it; the one before verifies on.",
            )
            .may(&[Code::SigningKeyWaiting]),
        Route::post("/api/v1/signing-keys/{id}/retire", retire)
            .named("signing_keys.retire", "Retires a previous key: it verifies nothing any more.")
            .may(&[Code::SigningKeyNotPrevious, Code::SigningKeyInUse]),
    ]
}

async fn list(cx: Cx<Needs<SigningKeysRead>>) -> Result<Many<SigningKey>, ApiError> {
    let mut scoped = cx.read().await?;
    let found = signing_keys::list(&mut scoped).await?;
    Ok(Many::all(found.into_iter().map(view).collect()))
}

async fn rotate(
    cx: Cx<Needs<SigningKeysManage>, Json<RotateSigningKey>>,
) -> Result<Created<SigningKey>, ApiError> {
    let RotateSigningKey { algorithm, immediately } = cx.input.0;
    let algorithm = algorithm.unwrap_or(cx.settings().token_algorithm);
    let key = cx.app.key_pool.take(algorithm).await?;
    let org_key = cx.keyring().org_key(cx.org()).await?;
    let forge = Forge { slug: &cx.caller().record().slug, org_key: &org_key, keyring: cx.keyring() };
    let mut scoped = cx.write().await?;
    let rotated = if immediately {
        signing_keys::rotate(&mut scoped, forge, &key).await
    } else {
        match signing_keys::activate_next(&mut scoped, algorithm, cx.app.clock.now()).await {
            Err(SigningKeyError::Missing) => signing_keys::publish_next(&mut scoped, forge, &key).await,
            activated => activated,
        }
    };
    let made = match rotated {
        // There is nothing to rotate before the first token was minted: this is the first key.
        Err(SigningKeyError::Missing) => signing_keys::create_first(&mut scoped, forge, &key).await,
        made => made,
    };
    let (made, change) = made?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Created::new(view(made), &receipt))
}

async fn retire(
    cx: Cx<Needs<SigningKeysManage>, Json<RetireSigningKey>>,
) -> Result<Answer<SigningKey>, ApiError> {
    let id = cx.param("id")?;
    let compromised = cx.input.0.compromised.as_ref();
    let retirement = if compromised.is_some() { Retirement::Compromised } else { Retirement::Orderly };
    let mut scoped = cx.write().await?;
    let (retired, mut change) = signing_keys::retire(&mut scoped, id, retirement, cx.app.clock.now()).await?;
    if let (Some(reason), Some(payload)) = (compromised, change.payload.as_object_mut()) {
        payload.insert("reason".to_owned(), reason.as_str().into());
    }
    let receipt = cx.commit(scoped, change).await?;
    Ok(Answer::changed(view(retired), &receipt))
}

fn view(key: SigningKeyRecord) -> SigningKey {
    let activates_at = key.activates_at();
    SigningKey {
        id: key.id,
        kid: key.kid,
        algorithm: key.algorithm,
        state: key.state.as_str().to_owned(),
        generation: key.generation,
        jwk: key.jwk,
        activates_at,
        created_at: key.created_at,
        activated_at: key.activated_at,
        superseded_at: key.superseded_at,
        retired_at: key.retired_at,
    }
}
