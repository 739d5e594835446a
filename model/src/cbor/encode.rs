//! From JSON to CBOR, while it is read: nothing is kept of it in between.
use super::{Error, PREFIX};
use cbor4ii::core::enc::{Encode, Write};
use cbor4ii::core::types::{Bytes, Negative, Null};
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;
use std::convert::Infallible;
use std::fmt;

/// A vector takes all that is written.
struct Out<'a>(&'a mut Vec<u8>);

impl Write for Out<'_> {
    type Error = Infallible;
    fn push(&mut self, input: &[u8]) -> Result<(), Infallible> {
        self.0.extend_from_slice(input);
        Ok(())
    }
}

fn put(out: &mut Vec<u8>, value: &impl Encode) {
    // a vector takes all
    value.encode(&mut Out(out)).ok();
}

/// A text, as a byte string: what Kubernetes reads into a text and, where the type wants bytes, as base64.
fn string(out: &mut Vec<u8>, text: &str) {
    put(out, &Bytes(text.as_bytes()));
}

/// A list (4) or map (5), whose length is known afterwards only. Most lengths take one byte: what follows is moved where it takes more.
fn counted<E>(out: &mut Vec<u8>, major: u8, write: impl FnOnce(&mut Vec<u8>) -> Result<u64, E>) -> Result<(), E> {
    let at = out.len();
    out.push(0);
    let mut head = Vec::with_capacity(9);
    put(&mut head, &write(out)?);
    if let Some(first) = head.first_mut() {
        *first |= major << 5;
    }
    out.splice(at..=at, head);
    Ok(())
}

/// Appends a document.
///
/// # Errors
/// When it isn't JSON.
pub fn encode(json: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    out.extend_from_slice(&PREFIX);
    content(json, out)
}

fn content(json: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let wrong = |e: serde_json::Error| Error::Json(e.to_string().into());
    let mut reader = Deserializer::from_slice(json);
    Item { out }.deserialize(&mut reader).map_err(wrong)?;
    reader.end().map_err(wrong)
}

/// Appends an event of a watch with its object.
///
/// # Errors
/// As [`encode`]; nothing is appended then.
pub fn event(out: &mut Vec<u8>, change: &str, json: &[u8]) -> Result<(), Error> {
    let start = out.len();
    out.extend_from_slice(&PREFIX);
    let written = counted(out, 5, |out| {
        string(out, "type");
        string(out, change);
        string(out, "object");
        content(json, out).map(|()| 2)
    });
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// Writes one value.
struct Item<'a> {
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Item<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        put(self.out, &Null);
        Ok(())
    }

    fn visit_bool<E>(self, yes: bool) -> Result<(), E> {
        put(self.out, &yes);
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        match u64::try_from(number) {
            Ok(number) => put(self.out, &number),
            // -1 is written as 0
            Err(_) => put(self.out, &Negative((-1 - number).cast_unsigned())),
        }
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        match i64::try_from(number) {
            Ok(_) => put(self.out, &number),
            // beyond what decoders take for an integer
            Err(_) => put(self.out, &(number as f64)),
        }
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        put(self.out, &number);
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        string(self.out, text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        counted(self.out, 4, |out| {
            let mut length = 0;
            while let Some(()) = seq.next_element_seed(Item { out: &mut *out })? {
                length += 1;
            }
            Ok(length)
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        counted(self.out, 5, |out| {
            let mut length = 0;
            while let Some(()) = map.next_key_seed(Item { out: &mut *out })? {
                map.next_value_seed(Item { out: &mut *out })?;
                length += 1;
            }
            Ok(length)
        })
    }
}
