//! How one action becomes a call.

use std::collections::BTreeMap;

use http::{HeaderName, Method};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::Invalid;
use crate::base_url::is_literal;
use crate::fields::{Fields, below, object, text};
use crate::limits::{ANSWER_BYTES, TIMEOUT_MS};
use crate::template::{JsonTemplate, Part, parts};

/// The most pairs of a query, and the most headers.
const MAX_PAIRS: usize = 32;
/// The longest name of a pair of a query.
const MAX_NAME_BYTES: usize = 128;

/// Headers that belong to the connection, to whoever authenticates, or that would make another request of
/// the one that was decided on.
const RESERVED: [&str; 29] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "origin",
    "referer",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-host",
    "x-http-host-override",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// Whether no template may set this header.
pub(crate) fn is_reserved(name: &HeaderName) -> bool {
    let name = name.as_str();
    let families = ["proxy-", "sec-", "x-forwarded-"];
    RESERVED.contains(&name) || families.iter().any(|family| name.starts_with(family))
}

/// A template with its source.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Text {
    source: Box<str>,
    pub(crate) parts: Box<[Part]>,
}

impl Text {
    fn parse(value: &Value, at: &str) -> Result<Self, Invalid> {
        let source = text(value, at)?;
        Ok(Self { source: source.into(), parts: parts(source).map_err(|rule| Invalid::new(at, rule))? })
    }

    fn literals(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(text) => Some(&**text),
            Part::Placeholder(_) => None,
        })
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.source)
    }
}

/// A path: segments, each of them one template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Path {
    source: Box<str>,
    pub(crate) segments: Box<[Box<[Part]>]>,
}

impl Path {
    fn parse(value: &Value, at: &str) -> Result<Self, Invalid> {
        let wrong = |rule: &str| Invalid::new(at, rule);
        let source = text(value, at)?;
        let inside = source.strip_prefix('/').ok_or_else(|| wrong("a path begins with `/`"))?;
        let count = inside.split('/').count();
        let mut segments = Vec::with_capacity(count);
        for (index, segment) in inside.split('/').enumerate() {
            // Only the last may be empty: a path may end with `/`.
            if segment.is_empty() && index + 1 != count {
                return Err(wrong("a path has no empty segment"));
            }
            if matches!(segment, "." | "..") {
                return Err(wrong("a path has no `.` or `..`"));
            }
            let segment = parts(segment).map_err(|rule| Invalid::new(at, rule))?;
            let plain = segment.iter().all(|part| match part {
                Part::Literal(text) => text.bytes().all(is_literal),
                Part::Placeholder(_) => true,
            });
            if !plain {
                return Err(wrong(
                    "outside its placeholders a path has only `A-Z a-z 0-9 - . _ ~ ! $ & ' ( ) * + , ; = : @`",
                ));
            }
            segments.push(segment);
        }
        Ok(Self { source: source.into(), segments: segments.into() })
    }
}

impl Serialize for Path {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.source)
    }
}

/// What a call sends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Body {
    /// The canonical arguments.
    Arguments,
    /// A template, with its source.
    Template(Value, JsonTemplate),
}

impl Body {
    fn parse(value: &Value, at: &str) -> Result<Self, Invalid> {
        match value {
            Value::String(word) if word == "arguments" => Ok(Self::Arguments),
            Value::Object(_) | Value::Array(_) => {
                Ok(Self::Template(value.clone(), JsonTemplate::parse(value, at)?))
            }
            _ => Err(Invalid::new(at, "must be the word `arguments`, an object or an array")),
        }
    }
}

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Arguments => serializer.serialize_str("arguments"),
            Self::Template(source, _) => source.serialize(serializer),
        }
    }
}

/// How one action becomes a call.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Operation {
    #[serde(serialize_with = "as_text")]
    pub(crate) method: Method,
    pub(crate) path: Path,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) query: BTreeMap<String, Text>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", serialize_with = "by_name")]
    pub(crate) headers: BTreeMap<HeaderOrder, Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<Body>,
    pub(crate) idempotent: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout_ms: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_answer_bytes: Option<u32>,
}

/// A header's name, in the order of its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeaderOrder(pub(crate) HeaderName);

impl Ord for HeaderOrder {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.as_str().cmp(other.0.as_str())
    }
}

impl PartialOrd for HeaderOrder {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

fn as_text<S: Serializer>(method: &Method, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(method.as_str())
}

fn by_name<S: Serializer>(headers: &BTreeMap<HeaderOrder, Text>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(headers.iter().map(|(name, text)| (name.0.as_str(), text)))
}

impl Operation {
    /// Its method.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// Whether doing it twice is as good as once, so that it may be tried again.
    #[must_use]
    pub const fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// Whether a template of it sets this header.
    pub(crate) fn sets(&self, name: &HeaderName) -> bool {
        self.headers.keys().any(|set| set.0 == *name)
    }

    pub(crate) fn read(value: &Value, at: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, at)?;
        let (method, method_at) = fields.need("method")?;
        let method = method_of(method, &method_at)?;
        let (path, path_at) = fields.need("path")?;
        let path = Path::parse(path, &path_at)?;
        let query = fields.take("query").map_or(Ok(BTreeMap::new()), |(value, at)| read_query(value, &at))?;
        let headers =
            fields.take("headers").map_or(Ok(BTreeMap::new()), |(value, at)| read_headers(value, &at))?;
        let body = match fields.take("body") {
            Some((_, at)) if matches!(method, Method::GET | Method::HEAD) => {
                return Err(Invalid::new(at, "a GET or HEAD has no body"));
            }
            Some((value, at)) => Some(Body::parse(value, &at)?),
            None => None,
        };
        // RFC 9110 §9.2.2.
        let by_method = matches!(method, Method::GET | Method::HEAD | Method::PUT | Method::DELETE);
        let idempotent = fields.truth("idempotent")?.unwrap_or(by_method);
        let timeout_ms = fields.whole("timeout_ms", TIMEOUT_MS)?;
        let max_answer_bytes = fields.whole("max_answer_bytes", ANSWER_BYTES)?;
        fields.end()?;
        Ok(Self { method, path, query, headers, body, idempotent, timeout_ms, max_answer_bytes })
    }
}

fn method_of(value: &Value, at: &str) -> Result<Method, Invalid> {
    match text(value, at)? {
        "GET" => Ok(Method::GET),
        "HEAD" => Ok(Method::HEAD),
        "POST" => Ok(Method::POST),
        "PUT" => Ok(Method::PUT),
        "PATCH" => Ok(Method::PATCH),
        "DELETE" => Ok(Method::DELETE),
        _ => Err(Invalid::new(at, "must be one of GET, HEAD, POST, PUT, PATCH, DELETE")),
    }
}

fn pairs<'a>(value: &'a Value, at: &str) -> Result<&'a serde_json::Map<String, Value>, Invalid> {
    let pairs = object(value, at)?;
    if pairs.len() > MAX_PAIRS {
        return Err(Invalid::new(at, format!("has more than {MAX_PAIRS} members")));
    }
    Ok(pairs)
}

fn read_query(value: &Value, at: &str) -> Result<BTreeMap<String, Text>, Invalid> {
    let mut query = BTreeMap::new();
    for (name, value) in pairs(value, at)? {
        let at = below(at, name);
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains(char::is_control) {
            return Err(Invalid::new(at, "a name is 1 to 128 bytes without control characters"));
        }
        query.insert(name.clone(), Text::parse(value, &at)?);
    }
    Ok(query)
}

fn read_headers(value: &Value, at: &str) -> Result<BTreeMap<HeaderOrder, Text>, Invalid> {
    let mut headers = BTreeMap::new();
    for (name, value) in pairs(value, at)? {
        let at = below(at, name);
        let header: HeaderName =
            name.parse().map_err(|_| Invalid::new(at.clone(), "is no name of a header"))?;
        if is_reserved(&header) {
            return Err(Invalid::new(at, "is a header that no template sets"));
        }
        let text = Text::parse(value, &at)?;
        if !text.literals().all(|text| text.bytes().all(is_visible)) {
            return Err(Invalid::new(at, "a header has visible ASCII and spaces only"));
        }
        if headers.insert(HeaderOrder(header), text).is_some() {
            return Err(Invalid::new(at, "stands twice, in another case"));
        }
    }
    Ok(headers)
}

/// What may stand in a header: visible ASCII and the space.
pub(crate) const fn is_visible(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

/// What the connection test calls.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Probe {
    #[serde(serialize_with = "as_text")]
    method: Method,
    pub(crate) path: Path,
}

impl Probe {
    /// `GET` or `HEAD`.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.method
    }

    pub(crate) fn read(value: &Value, at: &str) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, at)?;
        let (method, method_at) = fields.need("method")?;
        let method = method_of(method, &method_at)?;
        if !matches!(method, Method::GET | Method::HEAD) {
            return Err(Invalid::new(method_at, "a test changes nothing: `GET` or `HEAD`"));
        }
        let (path, path_at) = fields.need("path")?;
        let path = Path::parse(path, &path_at)?;
        if path.segments.iter().any(|parts| crate::template::placeholders(parts).next().is_some()) {
            return Err(Invalid::new(path_at, "a test has no intent, so its path has no placeholders"));
        }
        fields.end()?;
        Ok(Self { method, path })
    }
}
