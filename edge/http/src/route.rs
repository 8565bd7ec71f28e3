//! A route: where, what it asks of its caller, and what it reads and answers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use chancery_api::Code;
use chancery_keys::halt;
use chancery_store::StoreError;
use http::{Method, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use utoipa::openapi::path::OperationBuilder;

use crate::answer::Respond;
use crate::guard::{Access, Guard};
use crate::input::Input;
use crate::openapi::Schemas;
use crate::{ApiError, App, Cx, Head};

pub(crate) type Outcome = Result<Response<Body>, ApiError>;
pub(crate) type Runner =
    Box<dyn Fn(Arc<App>, Arc<Head>, Body) -> Pin<Box<dyn Future<Output = Outcome> + Send>> + Send + Sync>;

/// One route of the API. Guard, input and answer are those of the handler's signature.
///
/// ```no_run
/// use chancery_authenticate::permission::RecordRead;
/// use chancery_http::{ApiError, Cx, Needs, Plain, Public, Route};
/// async fn guarded(_: Cx<Needs<RecordRead>>) -> Result<Plain, ApiError> {
///     Ok(Plain::new("text/plain", ""))
/// }
/// async fn open_to_all(_: Cx<Public>) -> Result<Plain, ApiError> {
///     Ok(Plain::new("text/plain", ""))
/// }
/// let routes = [Route::get("/guarded", guarded), Route::get("/open", open_to_all)];
/// ```
///
/// A handler that states no guard is none, nor is one whose guard is something else, and a route does
/// not come about in another way:
///
/// ```compile_fail,E0593
/// # use chancery_http::{ApiError, Plain, Route};
/// async fn unguarded() -> Result<Plain, ApiError> {
///     Ok(Plain::new("text/plain", ""))
/// }
/// let route = Route::get("/unguarded", unguarded);
/// ```
/// ```compile_fail,E0277
/// # use chancery_http::{ApiError, Cx, Plain, Route};
/// # async fn any<G: chancery_http::Guard>(_: Cx<G>) -> Result<Plain, ApiError> {
/// #     Ok(Plain::new("text/plain", ""))
/// # }
/// let route = Route::get("/unguarded", any::<String>);
/// ```
/// ```compile_fail,E0451
/// # use chancery_http::{Access, Route};
/// let known = chancery_http::routes().remove(0);
/// let route = Route { access: Access::Public, ..known };
/// ```
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with parameters in braces.
    pub path: &'static str,
    /// What it asks of its caller.
    pub access: Access,
    /// Its name in the OpenAPI document, such as `agents.list`.
    pub operation: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// What can go wrong beyond what its guard and input say.
    pub codes: &'static [Code],
    /// Statuses of success beside the usual one, with what they mean.
    pub statuses: &'static [(StatusCode, &'static str)],
    pub(crate) input_codes: &'static [Code],
    pub(crate) describe: fn(OperationBuilder, &mut Schemas) -> OperationBuilder,
    pub(crate) run: Runner,
    /// What reading its input says, for tests of what is said.
    #[cfg(test)]
    pub(crate) read: fn(&Head, &Bytes) -> Result<(), ApiError>,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {:?}", self.method, self.path, self.access)
    }
}

macro_rules! methods {
    ($($name:ident $method:ident),+ $(,)?) => {$(
        #[doc = concat!("A route for `", stringify!($method), "`.")]
        pub fn $name<G, I, R, F, Fut>(path: &'static str, handler: F) -> Self
        where
            G: Guard,
            I: Input + 'static,
            R: Respond + 'static,
            F: Fn(Cx<G, I>) -> Fut + Copy + Send + Sync + 'static,
            Fut: Future<Output = Result<R, ApiError>> + Send + 'static,
        {
            Self::new(Method::$method, path, handler)
        }
    )+};
}

impl Route {
    methods!(get GET, post POST, put PUT, patch PATCH, delete DELETE);

    fn new<G, I, R, F, Fut>(method: Method, path: &'static str, handler: F) -> Self
    where
        G: Guard,
        I: Input + 'static,
        R: Respond + 'static,
        F: Fn(Cx<G, I>) -> Fut + Copy + Send + Sync + 'static,
        Fut: Future<Output = Result<R, ApiError>> + Send + 'static,
    {
        Self {
            method,
            path,
            access: G::ACCESS,
            operation: "",
            summary: "",
            codes: &[],
            statuses: &[],
            input_codes: I::CODES,
            describe: |operation, schemas| R::describe(I::describe(operation, schemas), schemas),
            #[cfg(test)]
            read: |head, body| I::read(head, body).map(|_| ()),
            run: Box::new(move |app, head, body| Box::pin(run(handler, app, head, body))),
        }
    }

    /// Names it, in the OpenAPI document and for people.
    #[must_use]
    pub const fn named(mut self, operation: &'static str, summary: &'static str) -> Self {
        self.operation = operation;
        self.summary = summary;
        self
    }

    /// Says what can go wrong beyond what its guard and input say.
    #[must_use]
    pub const fn may(mut self, codes: &'static [Code]) -> Self {
        self.codes = codes;
        self
    }

    /// Says which other statuses of success it answers with.
    #[must_use]
    pub const fn also(mut self, statuses: &'static [(StatusCode, &'static str)]) -> Self {
        self.statuses = statuses;
        self
    }
}

/// How often a request is run while the organization changes under it.
const RUNS: usize = 3;

/// Guard, body, input, handler; from the start again when the organization changed in between.
async fn run<G, I, R, F, Fut>(handler: F, app: Arc<App>, head: Arc<Head>, body: Body) -> Outcome
where
    G: Guard,
    I: Input,
    R: Respond,
    F: Fn(Cx<G, I>) -> Fut,
    Fut: Future<Output = Result<R, ApiError>>,
{
    let mut unread = Some(body);
    let mut bytes = Bytes::new();
    let mut last = None;
    for _ in 0..RUNS {
        let run = async {
            let proof = G::admit(&app, &head).await?;
            if let Some(body) = unread.take().filter(|_| I::TAKES_BODY) {
                bytes = receive(&app, body).await?;
            }
            let input = I::read(&head, &bytes)?;
            handler(Cx { app: Arc::clone(&app), head: Arc::clone(&head), proof, input }).await
        };
        let error = match run.await {
            Ok(answer) => return Ok(answer.respond()),
            Err(error) => confirm(&app, &head, error).await,
        };
        let Some(epoch) = error.stale_epoch() else { return Err(error) };
        if let Some(seen) = head.seen() {
            app.authenticator.epochs().learn(seen.org, epoch);
        }
        last = Some(error);
    }
    Err(last.unwrap_or_else(|| ApiError::internal("no run")))
}

/// A refusal that rests on what is remembered is given only while that is current: a right just
/// granted, or an organization just resumed, counts at once.
async fn confirm(app: &App, head: &Head, error: ApiError) -> ApiError {
    let Some(seen) = head.seen().filter(|_| error.rests_on_memory()) else { return error };
    match app.store.read(&seen.scope).await {
        Err(StoreError::Stale { epoch }) => ApiError::stale(epoch),
        // A key is halted with its organization or with its environment: which, only whoever is refused asks.
        Ok(mut scoped) if error.code() == Code::OrganizationHalted => {
            match halt::is_organization_halted(&mut scoped).await {
                Ok(false) => ApiError::new(Code::EnvironmentHalted, "the key's environment is halted"),
                Ok(true) | Err(_) => error,
            }
        }
        Ok(_) | Err(_) => error,
    }
}

/// Receives a body, within the limits of size and time.
async fn receive(app: &App, body: Body) -> Result<Bytes, ApiError> {
    let limit = app.bounds.body_bytes;
    let collected = tokio::time::timeout(app.bounds.body_time, Limited::new(body, limit).collect())
        .await
        .map_err(|_| ApiError::new(Code::RequestTimeout, "the body did not arrive in time"))?;
    match collected {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(limit)),
        Err(_) => Err(ApiError::new(Code::BodyInvalid, "the body did not arrive whole")),
    }
}

pub(crate) fn too_large(limit: usize) -> ApiError {
    ApiError::new(Code::BodyTooLarge, format!("a body is at most {limit} bytes"))
}
