//! I-JSON in (RFC 7493), canonical JSON out (RFC 8785, "JCS").
//!
//! What is hashed, decided on and executed is the canonical form, never the text that was sent.
//! Refused: duplicate member names, integers beyond 2⁵³, decimals of more than four digits after the
//! point or more than 15 in all, lone surrogates, NUL, and nesting deeper than [`MAX_DEPTH`].
//! What a number is worth is what its digits say: none is rounded.

mod number;

use std::fmt;

use serde::Serialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The deepest nesting of arrays and objects.
pub const MAX_DEPTH: usize = 32;

/// Text that is not I-JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct IJsonError {
    /// What is wrong and where, for the caller.
    pub message: String,
}

/// Reads I-JSON. Numbers without a fraction come out as integers however they were written
/// (`1e2`, `100.0` and `100` are the same value, `-0` is `0`), all others as exact decimals.
///
/// # Errors
/// When the bytes are not JSON, or not I-JSON.
pub fn parse(bytes: &[u8]) -> Result<Value, IJsonError> {
    if let Some((at, rule)) = number::inexact(bytes) {
        return Err(IJsonError { message: located(bytes, at, rule) });
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let refuse = |error: serde_json::Error| IJsonError { message: error.to_string() };
    let value = Strict { depth: 0 }.deserialize(&mut reader).map_err(refuse)?;
    reader.end().map_err(refuse)?;
    Ok(value)
}

/// A rule that is broken `at` bytes into the text, worded as serde_json words its own.
fn located(text: &[u8], at: usize, rule: &str) -> String {
    let before = text.get(..at).unwrap_or_default();
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
    format!("{rule} at line {line} column {column}")
}

/// The canonical text of a value (RFC 8785).
///
/// # Errors
/// When the value holds something JSON can't write, such as a map with keys that are not strings.
pub fn canonical<T: Serialize>(value: &T) -> Result<String, IJsonError> {
    serde_json_canonicalizer::to_string(value).map_err(|error| IJsonError { message: error.to_string() })
}

/// The exact text of a decimal as Cedar's `decimal` takes it, or `None` when it has more than four
/// fractional digits, needs an exponent, or is out of range (±922337203685477.5807).
#[must_use]
pub fn decimal_text(number: f64) -> Option<String> {
    let text = canonical(&number).ok()?;
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let in_range = whole.len() < 15 || (whole.len() == 15 && whole < "922337203685477");
    (plain(whole) && plain(fraction) && fraction.len() <= 4 && in_range)
        .then(|| if text.contains('.') { text.clone() } else { format!("{text}.0") })
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format_args!("nested deeper than {MAX_DEPTH}")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

fn text<E: serde::de::Error>(text: &str) -> Result<(), E> {
    if text.contains('\0') {
        return Err(E::custom("the character U+0000 is not allowed"));
    }
    Ok(())
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("I-JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    // Every number is exact and in the domain: `number::inexact` has read its text.

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    #[allow(clippy::cast_possible_truncation, reason = "whole, and so within ±2^53")]
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        if value.fract() == 0.0 {
            return Ok(Value::Number((value as i64).into()));
        }
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        text(value)?;
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<Value, E> {
        text(&value)?;
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            text(&name)?;
            if map.contains_key(&name) {
                return Err(A::Error::custom("a member name stands twice in one object"));
            }
            let value = members.next_value_seed(inner)?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roundtrip(text: &str) -> Result<String, IJsonError> {
        canonical(&parse(text.as_bytes())?)
    }

    #[test]
    fn one_value_has_one_text() -> Result<(), IJsonError> {
        for (sent, hashed) in [
            (r#"{"b":1,"a":2}"#, r#"{"a":2,"b":1}"#),
            ("1e2", "100"),
            ("100.0", "100"),
            ("-0", "0"),
            ("-0.0", "0"),
            ("-0e400", "0"),
            ("1E2", "100"),
            ("0.1e1", "1"),
            ("0.1e+16", "1000000000000000"),
            ("90071992547409920e-1", "9007199254740992"),
            ("9007199254740992.000", "9007199254740992"),
            ("-12345678901.2345", "-12345678901.2345"),
            ("0.00001e1", "0.0001"),
            ("12.5000", "12.5"),
            (r#""\u0041\/""#, r#""A/""#),
            // UTF-16 order, not UTF-8: U+1F600 (a surrogate pair) sorts before U+FB33.
            ("{\"\u{fb33}\":1,\"\u{1f600}\":2}", "{\"\u{1f600}\":2,\"\u{fb33}\":1}"),
        ] {
            assert_eq!(roundtrip(sent)?, hashed, "{sent}");
        }
        Ok(())
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        let deep = "[".repeat(MAX_DEPTH + 1) + &"]".repeat(MAX_DEPTH + 1);
        for bad in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            "9007199254740993",
            "-9007199254740993",
            "18446744073709551615",
            "1e400",
            "1e22",
            "0.00001",
            "1.23456",
            // What a double would have rounded to something that passes.
            "9007199254740993.0",
            "9007199254740992.0001",
            "0.10000000000000000001",
            "100.00000000000000000001",
            "123456789012.3456",
            "1e-400",
            r#""\ud800""#,
            r#""\u0000""#,
            "{\"\\u0000\":1}",
            "1 2",
            "",
            "NaN",
            &deep,
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        let fits = "[".repeat(MAX_DEPTH) + &"]".repeat(MAX_DEPTH);
        assert!(parse(fits.as_bytes()).is_ok());
    }

    #[test]
    fn a_number_that_is_refused_is_located() {
        let text = b"{\"a\": 1,\n  \"b\": 1e-5}";
        let rule = "a number has more than four digits after the point: send it as a string";
        let refused = parse(text).map_err(|error| error.message);
        assert_eq!(refused, Err(format!("{rule} at line 2 column 8")));
    }

    #[test]
    fn decimals_for_cedar() {
        for (number, text) in [
            (12.5, Some("12.5")),
            (-0.0001, Some("-0.0001")),
            (3.0, Some("3.0")),
            (0.00001, None),
            (1e21, None),
            (9.3e14, None),
        ] {
            assert_eq!(decimal_text(number).as_deref(), text, "{number}");
        }
    }
}
