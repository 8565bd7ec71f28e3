//! What a handler reads of a request: a body, a query, or nothing. Parsed after the guard, before
//! the handler, and described in the OpenAPI document by the same type.

use axum::extract::Query as AxumQuery;
use bytes::Bytes;
use chancery_api::{Code, ListQuery};
use chancery_model::ijson;
use http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use utoipa::openapi::path::{OperationBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::{ContentBuilder, Required};
use utoipa::{IntoParams, ToSchema};

use crate::openapi::Schemas;
use crate::strict::Strict;
use crate::{ApiError, Head, cursor};

/// Something a handler reads.
pub trait Input: Sized + Send + Sync {
    /// Whether it is read from the body; otherwise the body is not even received.
    const TAKES_BODY: bool;

    /// What can be wrong with it.
    const CODES: &'static [Code];

    /// Reads it.
    ///
    /// # Errors
    /// A failure that names the part that breaks its rule.
    fn read(head: &Head, body: &Bytes) -> Result<Self, ApiError>;

    /// Describes it.
    fn describe(operation: OperationBuilder, schemas: &mut Schemas) -> OperationBuilder;
}

/// No body and no query.
#[derive(Debug)]
pub struct Nothing;

impl Input for Nothing {
    const TAKES_BODY: bool = false;
    const CODES: &'static [Code] = &[Code::QueryInvalid];

    fn read(head: &Head, _: &Bytes) -> Result<Self, ApiError> {
        if head.uri.query().is_some_and(|query| !query.is_empty()) {
            return Err(ApiError::new(Code::QueryInvalid, "this route takes no query parameters"));
        }
        Ok(Self)
    }

    fn describe(operation: OperationBuilder, _: &mut Schemas) -> OperationBuilder {
        operation
    }
}

/// A body of `application/json`.
#[derive(Debug)]
pub struct Json<T>(
    /// The body.
    pub T,
);

impl<T: DeserializeOwned + ToSchema + Send + Sync> Input for Json<T> {
    const TAKES_BODY: bool = true;
    const CODES: &'static [Code] = &[
        Code::ContentTypeUnsupported,
        Code::BodyInvalid,
        Code::ValidationError,
        Code::QueryInvalid,
        Code::RequestTimeout,
        Code::BodyTooLarge,
    ];

    fn read(head: &Head, body: &Bytes) -> Result<Self, ApiError> {
        Nothing::read(head, body)?;
        if !is_json(head) {
            return Err(ApiError::new(Code::ContentTypeUnsupported, "send the body as `application/json`")
                .at(CONTENT_TYPE.as_str()));
        }
        let value = ijson::parse(body).map_err(|error| ApiError::new(Code::BodyInvalid, error.message))?;
        serde_path_to_error::deserialize(Strict(value)).map(Self).map_err(|error| {
            let field = error.path().to_string();
            let failure =
                ApiError::new(Code::ValidationError, shorten(in_json(&error.into_inner().to_string())));
            if field == "." { failure } else { failure.at(shorten(field)) }
        })
    }

    fn describe(operation: OperationBuilder, schemas: &mut Schemas) -> OperationBuilder {
        let content = ContentBuilder::new().schema(Some(schemas.reference::<T>())).build();
        operation.request_body(Some(
            RequestBodyBuilder::new()
                .content("application/json", content)
                .required(Some(Required::True))
                .build(),
        ))
    }
}

/// The query of a request.
#[derive(Debug)]
pub struct Query<T>(
    /// The parameters.
    pub T,
);

impl<T: DeserializeOwned + IntoParams + Send + Sync> Input for Query<T> {
    const TAKES_BODY: bool = false;
    const CODES: &'static [Code] = &[Code::QueryInvalid, Code::CursorInvalid];

    fn read(head: &Head, _: &Bytes) -> Result<Self, ApiError> {
        AxumQuery::try_from_uri(&head.uri)
            .map(|AxumQuery(query)| Self(query))
            .map_err(|error| ApiError::new(Code::QueryInvalid, shorten(in_json(&error.body_text()))))
    }

    fn describe(operation: OperationBuilder, _: &mut Schemas) -> OperationBuilder {
        operation.parameters(Some(T::into_params(|| Some(ParameterIn::Query))))
    }
}

impl Query<ListQuery> {
    /// How many things at most, and behind which one to begin.
    ///
    /// # Errors
    /// [`Code::QueryInvalid`] or [`Code::CursorInvalid`].
    pub fn window<T: std::str::FromStr>(&self) -> Result<(u16, Option<T>), ApiError> {
        window(self.0.limit, self.0.cursor.as_deref())
    }
}

/// How many things at most, and behind which one to begin.
pub(crate) fn window<T: std::str::FromStr>(
    limit: Option<u32>,
    cursor: Option<&str>,
) -> Result<(u16, Option<T>), ApiError> {
    let limit = u16::try_from(limit.unwrap_or(100))
        .ok()
        .filter(|limit| (1..=1_000).contains(limit))
        .ok_or_else(|| ApiError::new(Code::QueryInvalid, "`limit` is 1 to 1000").at("limit"))?;
    Ok((limit, cursor.map(cursor::decode).transpose()?))
}

/// `application/json`, alone or with `charset=utf-8`, standing once.
fn is_json(head: &Head) -> bool {
    let Ok(Some(text)) = head.header(&CONTENT_TYPE) else { return false };
    let (kind, parameters) =
        text.split_once(';').map_or((text, None), |(kind, rest)| (kind, Some(rest.trim())));
    kind.trim().eq_ignore_ascii_case("application/json")
        && parameters.is_none_or(|p| {
            p.eq_ignore_ascii_case("charset=utf-8") || p.eq_ignore_ascii_case("charset=\"utf-8\"")
        })
}

/// What parsers say of what they found, and what is said instead.
const FOUND: [(&str, &str); 6] = [
    ("Failed to deserialize query string: ", ""),
    ("unknown variant `", "unknown word `"),
    ("invalid type: sequence", "invalid type: array"),
    ("invalid type: map", "invalid type: object"),
    ("invalid type: unit value", "invalid type: null"),
    ("invalid type: floating point", "invalid type: number"),
];

/// The same of what they expect. That an object is expected, its type says (`edge/api`).
const EXPECTED: [(&str, &str); 6] = [
    ("u8", "a whole number from 0 to 255"),
    ("u16", "a whole number from 0 to 65535"),
    ("u32", "a whole number from 0 to 4294967295"),
    ("a sequence", "an array"),
    ("a map", "an object"),
    ("variant identifier", "a string"),
];

/// A parser's message in the words of JSON, which the caller knows: the words of the language that this
/// is written in are nothing to them.
fn in_json(message: &str) -> String {
    let message = FOUND.iter().fold(message.to_owned(), |text, (found, said)| text.replacen(found, said, 1));
    let translated = message.rsplit_once(", expected ").and_then(|(found, expected)| {
        let (_, said) = EXPECTED.iter().find(|(word, _)| *word == expected)?;
        Some(format!("{found}, expected {said}"))
    });
    translated.unwrap_or(message)
}

/// A parser's message may quote what was sent: it goes back to who sent it, but not at any length.
fn shorten(mut text: String) -> String {
    const MOST: usize = 300;
    if let Some(end) = (text.len() > MOST).then(|| text.floor_char_boundary(MOST)) {
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_api::{CreateAgent, SubmitIntent};
    use serde_json::json;

    async fn read<I: Input>(uri: &str, content_type: Option<&str>, body: &'static str) -> Result<I, Code> {
        let mut request = http::Request::builder().uri(uri);
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        let request = request.body(axum::body::Body::empty()).unwrap();
        let (head, _) = Head::split(crate::head::tests::id(), request).await.unwrap();
        I::read(&head, &Bytes::from_static(body.as_bytes())).map_err(|error| error.code())
    }

    async fn agent(content_type: Option<&str>, body: &'static str) -> Result<Json<CreateAgent>, Code> {
        read("/", content_type, body).await
    }

    #[tokio::test]
    async fn a_body_is_strict_json_and_says_so() {
        let good = r#"{"name":"a","description":"b"}"#;
        for said in
            ["application/json", "Application/JSON; charset=utf-8", "application/json;charset=\"UTF-8\""]
        {
            assert!(agent(Some(said), good).await.is_ok(), "{said}");
        }
        for said in
            [None, Some("text/plain"), Some("application/json; charset=latin1"), Some("application/jsonp")]
        {
            assert_eq!(agent(said, good).await.err(), Some(Code::ContentTypeUnsupported), "{said:?}");
        }
        for (body, code) in [
            ("", Code::BodyInvalid),
            (r#"{"name":"a","name":"b"}"#, Code::BodyInvalid),
            (r#"{"name":"a\u0000"}"#, Code::BodyInvalid),
            (r#"{"name":"a","nmae":"b"}"#, Code::ValidationError),
            (r#"{"name":""}"#, Code::ValidationError),
            (r#"{}"#, Code::ValidationError),
            (r#"[]"#, Code::ValidationError),
            (r#"["a","b"]"#, Code::ValidationError),
        ] {
            assert_eq!(agent(Some("application/json"), body).await.err(), Some(code), "{body}");
        }
    }

    #[tokio::test]
    async fn an_array_is_no_object_however_deep() {
        let submit = async |body| read::<Json<SubmitIntent>>("/", Some("application/json"), body).await;
        let good = r#"{"action":"a.b","resource":{"type":"Payment","id":"1"},"arguments":{"a":[1,[2]]}}"#;
        let read = submit(good).await.unwrap().0;
        assert_eq!((read.resource.id.as_str(), read.arguments), ("1", Some(json!({"a": [1, [2]]}))));
        let listed = r#"{"action":"a.b","resource":["Payment","1"]}"#;
        assert_eq!(submit(listed).await.err(), Some(Code::ValidationError));
    }

    #[tokio::test]
    async fn a_query_takes_what_it_names_and_nothing_else() {
        let list = |uri| async move { read::<Query<ListQuery>>(uri, None, "").await };
        let (limit, after) = list("/x?limit=7").await.unwrap().window::<u64>().unwrap();
        assert_eq!((limit, after), (7, None));
        for bad in ["/x?limit=a", "/x?limt=1", "/x?limit=1&limit=2", "/x?limit=-1"] {
            assert_eq!(list(bad).await.err(), Some(Code::QueryInvalid), "{bad}");
        }
        for bad in ["/x?limit=0", "/x?limit=1001"] {
            assert!(list(bad).await.unwrap().window::<u64>().is_err(), "{bad}");
        }
        assert_eq!(read::<Nothing>("/x?a=1", None, "").await.err(), Some(Code::QueryInvalid));
        assert!(read::<Nothing>("/x?", None, "").await.is_ok());
    }
}
