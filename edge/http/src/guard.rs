//! Guards: what a route asks of its caller, as a type in its handler's signature.

use std::future::Future;
use std::marker::PhantomData;

use chancery_api::Code;
use chancery_authenticate::{Allow, Allowed, AuthenticateError, EnterError, Entered, Forbidden};
use chancery_model::Permission;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName};

use crate::head::Seen;
use crate::{ApiError, App, Head};

/// The other place for an API key.
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What a guard asks, for tests and documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing: anyone may call.
    Public,
    /// A valid API key.
    AnyCaller,
    /// A valid API key with this scope, within the roles of its holder and creator.
    Needs(Permission),
}

/// What a route asks of its caller. A route's handler takes a `Cx<G: Guard>`, so a route without a
/// guard does not compile.
pub trait Guard: Send + Sync + 'static {
    /// What the handler gets: the proof that the caller passed.
    type Proof: Send + Sync + 'static;

    /// The same for tests and documents.
    const ACCESS: Access;

    /// Lets the caller in, or not.
    ///
    /// # Errors
    /// The answer to who is refused.
    fn admit(app: &App, head: &Head) -> impl Future<Output = Result<Self::Proof, ApiError>> + Send;
}

/// Anyone may call.
#[derive(Debug)]
pub struct Public;

impl Guard for Public {
    type Proof = ();
    const ACCESS: Access = Access::Public;

    async fn admit(_: &App, _: &Head) -> Result<(), ApiError> {
        Ok(())
    }
}

/// Whoever has a valid API key.
#[derive(Debug)]
pub struct AnyCaller;

impl Guard for AnyCaller {
    type Proof = Entered;
    const ACCESS: Access = Access::AnyCaller;

    async fn admit(app: &App, head: &Head) -> Result<Entered, ApiError> {
        enter(app, head).await
    }
}

/// Whoever holds the permission `P`.
#[derive(Debug)]
pub struct Needs<P>(PhantomData<P>);

impl<P: Allow> Guard for Needs<P> {
    type Proof = Allowed<P>;
    const ACCESS: Access = Access::Needs(P::PERMISSION);

    async fn admit(app: &App, head: &Head) -> Result<Allowed<P>, ApiError> {
        Ok(enter(app, head).await?.allow()?)
    }
}

/// Authenticate, enter, and take one request from the limits.
async fn enter(app: &App, head: &Head) -> Result<Entered, ApiError> {
    let key = credential(&head.headers)?;
    let caller = app.authenticator.authenticate(key).await?;
    let (org, key) = (caller.org(), caller.key());
    let entered = app.entrance.enter(caller).await?;
    let before = head.see(Seen { org, key, scope: entered.scope().clone() });
    if before.is_none() {
        let limited = |retry| ApiError::limited("too many requests for this key or its organization", retry);
        app.limits.check(org, key).map_err(limited)?;
    }
    Ok(entered)
}

/// The API key of a request: `Authorization: Bearer …` or `X-Api-Key`.
fn credential(headers: &HeaderMap) -> Result<&str, ApiError> {
    let bearer = once(headers, &AUTHORIZATION)?.map(bearer_token).transpose()?;
    let plain = once(headers, &X_API_KEY)?;
    match (bearer, plain) {
        (Some(bearer), Some(plain)) if bearer != plain => {
            Err(ambiguous("the headers carry different api keys"))
        }
        (Some(key), _) | (None, Some(key)) => Ok(key),
        (None, None) => Err(AuthenticateError::Missing.into()),
    }
}

fn once<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, ApiError> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(ambiguous("a header with an api key stands more than once").at(name.as_str()));
    }
    // What is not visible ASCII is no key of ours.
    first.map(|value| value.to_str().map_err(|_| AuthenticateError::Invalid("not ascii").into())).transpose()
}

fn bearer_token(value: &str) -> Result<&str, ApiError> {
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim_start_matches(' ')),
        _ => Err(ApiError::new(Code::Unauthenticated, "the scheme of `Authorization` is `Bearer`")),
    }
}

fn ambiguous(message: &'static str) -> ApiError {
    ApiError::new(Code::CredentialsAmbiguous, message)
}

impl From<AuthenticateError> for ApiError {
    fn from(error: AuthenticateError) -> Self {
        match error {
            AuthenticateError::Missing => Self::new(
                Code::Unauthenticated,
                "send an api key as `Authorization: Bearer …` or `X-Api-Key`",
            ),
            // Why it is not valid is for us: a stranger does not learn whether a key exists.
            AuthenticateError::Invalid(why) => {
                Self::new(Code::ApiKeyInvalid, "the api key is not valid").because(why)
            }
            AuthenticateError::Store(error) => error.into(),
        }
    }
}

impl From<EnterError> for ApiError {
    fn from(error: EnterError) -> Self {
        match error {
            // The entrance has told the epoch to whom it concerns; none is older than this one.
            EnterError::Stale => Self::stale(0),
            EnterError::Store(error) => error.into(),
        }
    }
}

impl From<Forbidden> for ApiError {
    fn from(error: Forbidden) -> Self {
        Self::new(Code::InsufficientScope, error.to_string()).at(error.needed.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn of(headers: &[(&'static str, &'static str)]) -> Result<String, Code> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        credential(&map).map(str::to_owned).map_err(|error| error.code())
    }

    #[test]
    fn one_key_from_either_header() {
        assert_eq!(of(&[("authorization", "Bearer chn_a")]), Ok("chn_a".to_owned()));
        assert_eq!(of(&[("authorization", "bearer  chn_a")]), Ok("chn_a".to_owned()));
        assert_eq!(of(&[("x-api-key", "chn_a")]), Ok("chn_a".to_owned()));
        assert_eq!(of(&[("x-api-key", "chn_a"), ("authorization", "Bearer chn_a")]), Ok("chn_a".to_owned()));
    }

    #[test]
    fn none_is_401_and_two_are_400() {
        assert_eq!(of(&[]), Err(Code::Unauthenticated));
        assert_eq!(of(&[("authorization", "Basic YTpi")]), Err(Code::Unauthenticated));
        assert_eq!(of(&[("authorization", "chn_a")]), Err(Code::Unauthenticated));
        for two in [
            [("x-api-key", "chn_a"), ("authorization", "Bearer chn_b")],
            [("x-api-key", "chn_a"), ("x-api-key", "chn_a")],
            [("authorization", "Bearer chn_a"), ("authorization", "Bearer chn_b")],
        ] {
            assert_eq!(of(&two), Err(Code::CredentialsAmbiguous), "{two:?}");
        }
    }
}
