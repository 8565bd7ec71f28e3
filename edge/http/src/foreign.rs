//! JSON of another system, as a part of an answer of ours.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The most bytes that are handed on as JSON.
const MOST: usize = 256 * 1024;
/// How deep it may be: parsers give up at some 128, and ours lies within more.
const DEEPEST: usize = 64;

/// The bytes as JSON, if that is what they are, and whoever reads our answer can read it with them. Nothing is
/// built of it: values in memory take up to a hundred times as much as their text.
///
/// # Errors
/// The bytes.
pub(crate) fn json(bytes: Vec<u8>) -> Result<Box<RawValue>, Vec<u8>> {
    if bytes.len() > MOST || !is_readable(&bytes) {
        return Err(bytes);
    }
    let text = String::from_utf8(bytes).map_err(std::string::FromUtf8Error::into_bytes)?;
    RawValue::from_string(text.clone()).map_err(|_| text.into_bytes())
}

fn is_readable(bytes: &[u8]) -> bool {
    let mut text = serde_json::Deserializer::from_slice(bytes);
    Looked(DEEPEST).deserialize(&mut text).is_ok() && text.end().is_ok()
}

/// Looks at a value, this many levels deep, and keeps nothing.
#[derive(Clone, Copy)]
struct Looked(usize);

impl Looked {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        self.0.checked_sub(1).map(Self).ok_or_else(|| E::custom("too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Looked {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Looked {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let inside = self.deeper()?;
        while elements.next_element_seed(inside)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inside = self.deeper()?;
        while members.next_key_seed(inside)?.is_some() {
            members.next_value_seed(inside)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_any_client_reads_is_handed_on_as_it_came() {
        let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        for text in [r#"{"a": [1, -2.50, "é", null, true, {}]}"#, " 7 ", r#""text""#, &deep(DEEPEST)] {
            assert_eq!(json(text.into()).unwrap().get(), text.trim(), "{text}");
        }
        let long = format!("\"{}\"", "a".repeat(MOST));
        for text in
            ["", "{", "1 2", "1e999", r#""\ud800""#, "nul", "[1,]", &deep(DEEPEST + 1), &deep(100_000), &long]
        {
            assert_eq!(json(text.into()).unwrap_err(), text.as_bytes(), "{text:.80}");
        }
        assert!(json(vec![b'"', 0xff, b'"']).is_err());
    }
}
