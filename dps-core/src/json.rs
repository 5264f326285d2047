//! JSON from strangers: bounded, and nothing in it is dropped in silence.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How deep arrays and objects may nest. Our choice: devices send a handful of levels.
pub const MAX_DEPTH: usize = 32;

/// A text is not JSON that we take.
///
/// The text says what is wrong and where, never what the document contained beyond a member's name.
#[derive(Debug, thiserror::Error)]
#[error("not acceptable JSON: {0}")]
pub struct JsonError(#[from] serde_json::Error);

/// Reads one JSON document.
///
/// Stricter than `serde_json`: a member named twice is an error, because one of the two would be
/// lost, and nesting ends at [`MAX_DEPTH`]. Size is the caller's to bound.
///
/// # Errors
/// [`JsonError`] if the bytes are not UTF-8, not JSON, name a member twice, nest too deep, or go on
/// after the document.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { left: MAX_DEPTH }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Writes a document in ASCII: other characters become `\uXXXX`.
///
/// # Source
/// The Node.js device SDK reads MQTT payloads as ASCII (`mqtt.ts`).
#[must_use]
pub fn to_ascii(value: &impl serde::Serialize) -> Vec<u8> {
    // Most documents fit; one that grows to that from nothing is copied three times.
    let mut text = Vec::with_capacity(1000);
    if serde_json::to_writer(&mut text, value).is_err() {
        return Vec::new();
    }
    if text.is_ascii() {
        return text;
    }
    let text = String::from_utf8(text).unwrap_or_default();
    let mut out = Vec::with_capacity(text.len() * 2);
    for c in text.chars() {
        if c.is_ascii() {
            out.push(c as u8);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
            }
        }
    }
    out
}

#[derive(Clone, Copy)]
struct Strict {
    left: usize,
}

impl Strict {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        let left = self.left.checked_sub(1).ok_or_else(|| {
            E::custom(format_args!(
                "arrays and objects nest deeper than {MAX_DEPTH}"
            ))
        })?;
        Ok(Self { left })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        let number =
            Number::from_f64(value).ok_or_else(|| E::custom("a number is out of range"))?;
        Ok(Value::Number(number))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(inner)?;
            if members.contains_key(&name) {
                return Err(de::Error::custom("an object names a member twice"));
            }
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_member_named_twice_is_refused_at_any_depth() {
        assert!(parse(br#"{"a":1,"b":{"c":1,"c":2}}"#).is_err());
        assert!(parse(br#"{"a":1,"b":{"c":1,"d":2}}"#).is_ok());
    }

    #[test]
    fn nesting_ends_at_the_limit() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert!(parse(nested(MAX_DEPTH + 1).as_bytes()).is_err());
        assert!(parse(nested(100_000).as_bytes()).is_err());
    }

    #[test]
    fn bytes_that_are_not_utf8_and_text_after_the_end_are_refused() {
        assert!(parse(b"\"\xff\"").is_err());
        assert!(parse(b"{} {}").is_err());
        assert!(parse(b"").is_err());
    }

    #[test]
    fn other_characters_are_escaped() {
        let out = to_ascii(&serde_json::json!({"k": "é😀"}));
        assert_eq!(out, br#"{"k":"\u00e9\ud83d\ude00"}"#);
    }

    #[test]
    fn a_number_with_many_digits_reads_back_as_written() {
        let value = parse(format!("31{}", "3".repeat(71)).as_bytes()).unwrap();
        assert_eq!(parse(&to_ascii(&value)).unwrap(), value);
    }

    proptest! {
        #[test]
        fn any_bytes_are_json_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn what_is_written_in_ascii_reads_back(text in ".{0,40}") {
            let value = Value::String(text);
            prop_assert_eq!(parse(&to_ascii(&value)).unwrap(), value);
        }
    }
}
