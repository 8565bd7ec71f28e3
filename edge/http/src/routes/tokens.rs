//! `/api/v1/tokens/verify`: redeeming a token, once.

use chancery_api::{Code, RecordRef, ResourceRef, VerifiedToken, VerifyToken};
use chancery_authenticate::permission::TokensVerify;
use chancery_evidence::Hex;
use chancery_mint::{Expected, UnverifiedToken, VerifyError, verify};
use chancery_model::{ActionName, Audience, ResourceId, ResourceType};
use chancery_screen::intent_hash;
use serde_json::{Map, Value};

use crate::{Answer, ApiError, Cx, Json, Needs, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/tokens/verify", redeem)
            .named("tokens.verify", "Redeems a token: of any number of calls, exactly one succeeds.")
            .may(&[
                Code::TokenInvalid,
                Code::TokenExpired,
                Code::TokenRevoked,
                Code::TokenReplayed,
                Code::ConnectorPaused,
                Code::OrganizationHalted,
                Code::EnvironmentHalted,
                Code::RecordUnavailable,
            ]),
    ]
}

async fn redeem(cx: Cx<Needs<TokensVerify>, Json<VerifyToken>>) -> Result<Answer<VerifiedToken>, ApiError> {
    let asked = &cx.input.0;
    let record = cx.caller().record();
    if record.halted {
        return Err(ApiError::new(Code::OrganizationHalted, "the organization is halted"));
    }
    let hash = expected_hash(asked)?;
    // The key speaks for its audiences and no other; naming one narrows them.
    let named: Option<Audience> = asked.audience.as_deref().map(|text| read("audience", text)).transpose()?;
    let audiences: Vec<Audience> = record
        .audiences
        .iter()
        .filter(|own| named.as_ref().is_none_or(|named| named == *own))
        .cloned()
        .collect();
    let stopped = cx.app.stops.of(&cx.app.store, cx.scope()).await?;
    let trust = cx.app.signing_keys.trust(&cx.app.store, cx.scope()).await?;
    let issuer = cx.app.issuer(&record.slug);
    let expected = Expected {
        issuer: &issuer,
        audiences: &audiences,
        environment: record.environment,
        intent_hash: hash,
        stopped: &stopped,
        now: cx.app.clock.now(),
    };
    let token = UnverifiedToken::parse(&asked.token).map_err(|error| refuse(error.into()))?;
    let redemption = verify(token, &trust, &expected).map_err(refuse)?;
    let receipt = cx.app.recorder.redeem(&cx.proof, &redemption).await?;
    let mut claims = serde_json::to_value(redemption.claims()).map_err(ApiError::internal)?;
    claims.as_object_mut().and_then(|claims| claims.remove("nonce"));
    let record = RecordRef { seq: receipt.seq(), entry_hash: Hex(*receipt.entry_hash()).to_string() };
    Ok(Answer::changed(VerifiedToken { claims, record }, &receipt))
}

/// A stranger learns that a token is no good; why is for the log.
fn refuse(error: VerifyError) -> ApiError {
    let (code, text) = match error.code() {
        "token_expired" => (Code::TokenExpired, "the token has expired"),
        "connector_paused" => (Code::ConnectorPaused, "the connector is paused or retired"),
        "token_revoked" => (Code::TokenRevoked, "the token was revoked"),
        _ => (Code::TokenInvalid, "the token is not valid for this"),
    };
    ApiError::new(code, text).because(error)
}

/// The hash of what is about to be done: given, or computed from the thing itself.
fn expected_hash(asked: &VerifyToken) -> Result<[u8; 32], ApiError> {
    match (&asked.intent_hash, &asked.action, &asked.resource) {
        (Some(text), None, None) if asked.arguments.is_none() => unhex(text).ok_or_else(|| {
            ApiError::new(Code::ValidationError, "an intent hash is 64 hex digits").at("intent_hash")
        }),
        (None, Some(action), Some(resource)) => computed_hash(action, resource, asked.arguments.as_ref()),
        _ => Err(ApiError::new(
            Code::ValidationError,
            "give either `intent_hash`, or `action` and `resource` with `arguments`",
        )
        .at("intent_hash")),
    }
}

fn computed_hash(
    action: &str,
    resource: &ResourceRef,
    arguments: Option<&Value>,
) -> Result<[u8; 32], ApiError> {
    let action: ActionName = read("action", action)?;
    let kind: ResourceType = read("resource.type", &resource.r#type)?;
    let id: ResourceId = read("resource.id", &resource.id)?;
    let none = Value::Object(Map::new());
    let arguments = arguments.filter(|arguments| !arguments.is_null()).unwrap_or(&none);
    intent_hash(&action, &kind, &id, arguments)
        .map_err(|error| ApiError::new(Code::ValidationError, error.rule).at(error.field))
}

fn read<T: std::str::FromStr<Err: std::fmt::Display>>(
    field: &'static str,
    text: &str,
) -> Result<T, ApiError> {
    text.parse().map_err(|error| ApiError::invalid(field, error))
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes: Option<Vec<u8>> = text
        .as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect();
    bytes?.try_into().ok()
}
