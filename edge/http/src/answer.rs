//! What a handler answers, typed by what it holds.

use axum::body::Body;
use bytes::Bytes;
use chancery_api::{Data, List, Page};
use chancery_store::Receipt;
use futures_util::{Stream, StreamExt as _};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::path::OperationBuilder;
use utoipa::openapi::{ContentBuilder, RefOr, ResponseBuilder, Schema};

use crate::openapi::Schemas;
use crate::{ApiError, cursor};

/// The sequence number of the entry that a change left in the record.
pub const RECORD_SEQ: HeaderName = HeaderName::from_static("chancery-record-seq");

/// Something a handler answers.
pub trait Respond: Send {
    /// The answer.
    fn respond(self) -> Response<Body>;

    /// Describes it.
    fn describe(operation: OperationBuilder, schemas: &mut Schemas) -> OperationBuilder;
}

/// One thing: `{"data": …}`.
#[derive(Debug)]
pub struct Answer<T> {
    status: StatusCode,
    seq: Option<u64>,
    data: T,
}

impl<T> Answer<T> {
    /// What was read. 200.
    pub const fn read(data: T) -> Self {
        Self { status: StatusCode::OK, seq: None, data }
    }

    /// What was changed, released by the receipt of its entry. 200.
    pub const fn changed(data: T, receipt: &Receipt) -> Self {
        Self { status: StatusCode::OK, seq: Some(receipt.seq()), data }
    }

    /// The same with another status, which the route documents with [`crate::Route::also`].
    #[must_use]
    pub const fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}

impl<T: Serialize + ToSchema + Send> Respond for Answer<T> {
    fn respond(self) -> Response<Body> {
        let mut response = json(self.status, &Data { data: self.data });
        if let Some(seq) = self.seq {
            response.headers_mut().insert(RECORD_SEQ, seq.into());
        }
        response
    }

    fn describe(operation: OperationBuilder, schemas: &mut Schemas) -> OperationBuilder {
        let schema = schemas.data::<T>();
        success(operation, StatusCode::OK, schema)
    }
}

/// One new thing: `{"data": …}` with 201.
#[derive(Debug)]
pub struct Created<T>(Answer<T>);

impl<T> Created<T> {
    /// What was made, released by the receipt of its entry.
    pub const fn new(data: T, receipt: &Receipt) -> Self {
        Self(Answer::changed(data, receipt).with_status(StatusCode::CREATED))
    }
}

impl<T: Serialize + ToSchema + Send> Respond for Created<T> {
    fn respond(self) -> Response<Body> {
        self.0.respond()
    }

    fn describe(operation: OperationBuilder, schemas: &mut Schemas) -> OperationBuilder {
        let schema = schemas.data::<T>();
        success(operation, StatusCode::CREATED, schema)
    }
}

/// Many things: `{"data": […], "page": {"next"}}`.
#[derive(Debug)]
pub struct Many<T>(List<T>);

impl<T> Many<T> {
    /// A page of at most `limit` things; a full page names where to go on.
    pub fn page<P: std::fmt::Display>(data: Vec<T>, limit: u16, position: impl Fn(&T) -> P) -> Self {
        let full = data.len() >= usize::from(limit);
        let next = data.last().filter(|_| full).map(|last| cursor::encode(&position(last)));
        Self(List { data, page: Page { next } })
    }

    /// All there is.
    #[must_use]
    pub fn all(data: Vec<T>) -> Self {
        Self(List { data, page: Page::default() })
    }
}

impl<T: Serialize + ToSchema + Send> Respond for Many<T> {
    fn respond(self) -> Response<Body> {
        json(StatusCode::OK, &self.0)
    }

    fn describe(operation: OperationBuilder, schemas: &mut Schemas) -> OperationBuilder {
        let schema = schemas.list::<T>();
        success(operation, StatusCode::OK, schema)
    }
}

/// An answer in a format that others defined: no envelope.
#[derive(Debug)]
pub struct Plain {
    content_type: &'static str,
    cache_control: Option<&'static str>,
    body: Bytes,
}

impl Plain {
    /// A body of a media type.
    pub fn new(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { content_type, cache_control: None, body: body.into() }
    }

    /// How long it may be kept; nothing is kept when this is not said.
    #[must_use]
    pub const fn cached(mut self, cache_control: &'static str) -> Self {
        self.cache_control = Some(cache_control);
        self
    }
}

impl Respond for Plain {
    fn respond(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if let Some(cache_control) = self.cache_control {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache_control));
        }
        response
    }

    fn describe(operation: OperationBuilder, _: &mut Schemas) -> OperationBuilder {
        operation.response("200", ResponseBuilder::new().description("the document").build())
    }
}

/// A stream of server-sent events.
pub struct Events(Body);

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events(..)")
    }
}

impl Events {
    /// What is said first, and then the rest.
    pub fn new(
        first: impl Stream<Item = Bytes> + Send + 'static,
        rest: impl Stream<Item = Bytes> + Send + 'static,
    ) -> Self {
        Self(Body::from_stream(first.chain(rest).map(Ok::<_, std::convert::Infallible>)))
    }
}

impl Respond for Events {
    fn respond(self) -> Response<Body> {
        let mut response = Response::new(self.0);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        response
    }

    fn describe(operation: OperationBuilder, _: &mut Schemas) -> OperationBuilder {
        let content = ContentBuilder::new().build();
        let response = ResponseBuilder::new().description("events").content("text/event-stream", content);
        operation.response("200", response.build())
    }
}

fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    let body = match serde_json::to_vec(value) {
        Ok(body) => body,
        Err(error) => return ApiError::internal(error).render(),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn success(operation: OperationBuilder, status: StatusCode, schema: RefOr<Schema>) -> OperationBuilder {
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let reason = status.canonical_reason().unwrap_or("success");
    let response = ResponseBuilder::new().description(reason).content("application/json", content).build();
    operation.response(status.as_str(), response)
}
