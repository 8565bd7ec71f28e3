//! From an intent to the one call that it stands for. Pure: the same intent gives the same bytes.
//!
//! Whatever the arguments say, the call goes to the connector's own scheme, host and port, to a path of as
//! many segments as the template has, with the headers that the template names and no others.

use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use chancery_model::{ActionName, IntentId, ResourceId, ResourceType, ijson};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;

use crate::Definition;
use crate::operation::{Body, Operation, Path, is_visible};
use crate::template::{Part, Placeholder, Unfilled, Values, fill};

/// The longest URL, in bytes.
const MAX_URL_BYTES: usize = 8 * 1024;
/// The longest value of a header, in bytes.
const MAX_HEADER_BYTES: usize = 8 * 1024;

/// What of an intent a call is made of.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// What to do.
    pub action: &'a ActionName,
    /// To what kind of thing.
    pub resource_type: &'a ResourceType,
    /// To which one.
    pub resource_id: &'a ResourceId,
    /// How, exactly: the arguments of the canonical form, which is what was hashed and decided on.
    pub arguments: &'a Value,
    /// The intent.
    pub intent: IntentId,
}

/// Why an intent is no call of this connector. No text of it quotes a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The connector has no operation for the action.
    #[error("the connector has no operation for this action")]
    NoOperation,
    /// A path needs what the intent does not have.
    #[error("`{placeholder}` is not there, and `{place}` needs it")]
    Missing {
        /// Where.
        place: String,
        /// What.
        placeholder: String,
    },
    /// An object, an array or null where text must stand.
    #[error("`{placeholder}` is not text, and `{place}` needs text")]
    NotText {
        /// Where.
        place: String,
        /// What.
        placeholder: String,
    },
    /// A value that can't stand where it would have to.
    #[error("a value does not fit `{place}`: {rule}")]
    Unfit {
        /// Where.
        place: String,
        /// The rule.
        rule: &'static str,
    },
}

/// One call, ready but for what authenticates it. A header of the credential is set after these, in the
/// place of one with its name.
#[derive(Clone)]
pub struct Rendered {
    /// The method.
    pub method: Method,
    /// The URL, on the connector's own origin, as the URL standard would write it.
    pub url: String,
    /// The headers of the templates, and `content-type` where there is a body.
    pub headers: HeaderMap,
    /// The body; empty where there is none.
    pub body: Bytes,
    /// Whether it may be tried again.
    pub idempotent: bool,
    /// How long it may take.
    pub timeout: Duration,
    /// The most of its answer that is read.
    pub max_answer_bytes: usize,
}

/// What a call holds came from a user: only its kind is shown.
impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendered")
            .field("method", &self.method)
            .field("idempotent", &self.idempotent)
            .finish_non_exhaustive()
    }
}

/// A refusal where it is not known yet in which place.
enum Refused {
    Unfilled(Unfilled),
    Unfit(&'static str),
}

impl From<Unfilled> for Refused {
    fn from(unfilled: Unfilled) -> Self {
        Self::Unfilled(unfilled)
    }
}

impl Refused {
    fn at(self, place: &str) -> RenderError {
        let place = place.to_owned();
        match self {
            Self::Unfilled(Unfilled::Missing(name)) => {
                RenderError::Missing { place, placeholder: name.to_string() }
            }
            Self::Unfilled(Unfilled::NotText(name)) => {
                RenderError::NotText { place, placeholder: name.to_string() }
            }
            Self::Unfit(rule) => RenderError::Unfit { place, rule },
        }
    }

    const fn is_absence(&self) -> bool {
        matches!(self, Self::Unfilled(Unfilled::Missing(Placeholder::Argument(_))))
    }
}

impl Definition {
    /// The call that an intent stands for.
    ///
    /// # Errors
    /// See [`RenderError`]; nothing may be called then.
    pub fn render(&self, call: &Call<'_>) -> Result<Rendered, RenderError> {
        let operation = self.operation(call.action).ok_or(RenderError::NoOperation)?;
        let values = Values {
            arguments: call.arguments,
            resource_type: call.resource_type.as_str().into(),
            resource_id: call.resource_id.as_str().into(),
            intent_id: call.intent.to_string().into(),
        };
        let mut url = self.at(&operation.path, &values)?;
        append_query(&mut url, operation, &values)?;
        if url.len() > MAX_URL_BYTES {
            return Err(Refused::Unfit("the whole URL is at most 8192 bytes").at("path"));
        }
        let mut headers = headers(operation, &values)?;
        let body = body(operation, &values)?;
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let limits = self.limits();
        let timeout_ms = operation.timeout_ms.unwrap_or(limits.timeout_ms);
        let max_answer_bytes = operation.max_answer_bytes.unwrap_or(limits.max_answer_bytes);
        Ok(Rendered {
            method: operation.method.clone(),
            url,
            headers,
            body: body.unwrap_or_default(),
            idempotent: operation.idempotent,
            timeout: Duration::from_millis(timeout_ms.into()),
            max_answer_bytes: usize::try_from(max_answer_bytes).unwrap_or(usize::MAX),
        })
    }

    /// The call of the connection test, if the connector has one.
    #[must_use]
    pub fn render_probe(&self) -> Option<Rendered> {
        let probe = self.probe()?;
        let nothing = Value::Null;
        let values = Values {
            arguments: &nothing,
            resource_type: Value::Null,
            resource_id: Value::Null,
            intent_id: Value::Null,
        };
        let limits = self.limits();
        Some(Rendered {
            method: probe.method().clone(),
            url: self.at(&probe.path, &values).ok()?,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            idempotent: true,
            timeout: Duration::from_millis(limits.timeout_ms.into()),
            max_answer_bytes: usize::try_from(limits.max_answer_bytes).unwrap_or(usize::MAX),
        })
    }

    fn at(&self, path: &Path, values: &Values<'_>) -> Result<String, RenderError> {
        let base = self.base_url();
        let mut url = format!("{}{}", base.origin(), base.prefix());
        for segment in &path.segments {
            url.push('/');
            url.push_str(&filled_segment(segment, values).map_err(|refused| refused.at("path"))?);
        }
        Ok(url)
    }
}

/// One segment, whatever is in it: `/ ? # % \` and all else that could end or move it is encoded.
fn filled_segment(segment: &[Part], values: &Values<'_>) -> Result<String, Refused> {
    let whole = fill(segment, values, |text, out| {
        if matches!(text, "" | "." | "..") {
            return Err(Refused::Unfit("a segment of a path is not empty, `.` or `..`"));
        }
        percent_encode(text, out);
        Ok(())
    })?;
    // Literals and values together can make what neither is alone.
    if matches!(&*whole, "." | "..") {
        return Err(Refused::Unfit("a segment of a path is not empty, `.` or `..`"));
    }
    Ok(whole)
}

fn append_query(url: &mut String, operation: &Operation, values: &Values<'_>) -> Result<(), RenderError> {
    let mut mark = '?';
    for (name, text) in &operation.query {
        let mut value = String::new();
        // A literal of a query is text like a value: it is encoded here, not when it is saved.
        let filled = fill::<Refused>(&text.parts, values, |text, out| {
            out.push_str(text);
            Ok(())
        });
        match filled {
            Ok(text) => percent_encode(&text, &mut value),
            Err(refused) if refused.is_absence() => continue,
            Err(refused) => return Err(refused.at(&format!("query.{name}"))),
        }
        url.push(mark);
        percent_encode(name, url);
        url.push('=');
        url.push_str(&value);
        mark = '&';
    }
    Ok(())
}

fn headers(operation: &Operation, values: &Values<'_>) -> Result<HeaderMap, RenderError> {
    let mut headers = HeaderMap::with_capacity(operation.headers.len() + 1);
    for (name, text) in &operation.headers {
        let place = || format!("headers.{}", name.0);
        let filled = fill(&text.parts, values, |text, out| {
            if !text.bytes().all(is_visible) {
                return Err(Refused::Unfit("a header has visible ASCII and spaces only"));
            }
            out.push_str(text);
            Ok(())
        });
        let value = match filled {
            Ok(value) if value.len() > MAX_HEADER_BYTES => {
                return Err(Refused::Unfit("a header is at most 8192 bytes").at(&place()));
            }
            Ok(value) => value,
            Err(refused) if refused.is_absence() => continue,
            Err(refused) => return Err(refused.at(&place())),
        };
        let value = HeaderValue::try_from(value)
            .map_err(|_| Refused::Unfit("a header has visible ASCII and spaces only").at(&place()))?;
        headers.insert(name.0.clone(), value);
    }
    Ok(headers)
}

fn body(operation: &Operation, values: &Values<'_>) -> Result<Option<Bytes>, RenderError> {
    let value = match &operation.body {
        None => return Ok(None),
        Some(Body::Arguments) => ijson::canonical(values.arguments),
        Some(Body::Template(_, template)) => {
            let filled = template.fill(values).map_err(|unfilled| Refused::Unfilled(unfilled).at("body"))?;
            ijson::canonical(&filled.unwrap_or_default())
        }
    };
    match value {
        Ok(text) => Ok(Some(text.into())),
        Err(_) => Err(Refused::Unfit("it has no canonical form").at("body")),
    }
}

/// Percent-encodes all but the unreserved characters (RFC 3986 §2.3).
fn percent_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
