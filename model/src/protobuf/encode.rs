//! From JSON to protobuf, by the table: objects, lists and events of watches.
use super::decode::PREFIX;
use super::fields::{self, MessageSeed};
use super::put;
use super::table::{Item, Many, Message, Table};
use super::wire::Error;
use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Deserializer, Value};
use std::fmt;

/// Which kind an object says it is.
#[derive(Default)]
struct TypeMeta {
    version: Option<String>,
    kind: Option<String>,
}

impl TypeMeta {
    /// What an object's JSON begins with, where it is in Kubernetes' order: what comes after it isn't looked at.
    fn of(json: &[u8]) -> Self {
        let mut found = Self::default();
        // an error is either that nobody read to the end, or shown by who reads to the end
        Deserializer::from_slice(json).deserialize_map(&mut found).ok();
        found
    }
}

impl<'de> Visitor<'de> for &mut TypeMeta {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while self.version.is_none() || self.kind.is_none() {
            match map.next_key::<String>()?.as_deref() {
                Some("apiVersion") => self.version = map.next_value()?,
                Some("kind") => self.kind = map.next_value()?,
                Some(_) => drop(map.next_value::<IgnoredAny>()?),
                None => break,
            }
        }
        Ok(())
    }
}

/// Whether a kind has a form in protobuf.
pub fn is_kind(api_version: &str, kind: &str) -> bool {
    Table::get().has(api_version, kind)
}

fn unknown(version: &str, kind: &str) -> Error {
    Error::Kind { version: version.into(), kind: kind.into() }
}

/// What is around every object, `runtime.Unknown`, with what `write` makes of its content.
fn envelope(out: &mut Vec<u8>, version: &str, kind: &str, write: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>) -> Result<(), Error> {
    out.extend_from_slice(PREFIX);
    put::nested(out, 1, |out| {
        put::bytes(out, 1, version.as_bytes());
        put::bytes(out, 2, kind.as_bytes());
    });
    put::nested(out, 2, write)?;
    put::bytes(out, 3, b"");
    put::bytes(out, 4, b"");
    Ok(())
}

/// An object's fields.
fn content(message: &Message, json: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let wrong = |e: serde_json::Error| Error::Object(e.to_string().into());
    let mut reader = Deserializer::from_slice(json);
    MessageSeed::new(Table::get(), message, out).deserialize(&mut reader).map_err(wrong)?;
    reader.end().map_err(wrong)
}

/// Appends an object, which says what kind it is.
///
/// # Errors
/// When it has no form in protobuf.
pub fn encode(json: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let TypeMeta { version, kind } = TypeMeta::of(json);
    let (version, kind) = (version.unwrap_or_default(), kind.unwrap_or_default());
    let message = Table::get().kind(&version, &kind).ok_or_else(|| unknown(&version, &kind))?;
    envelope(out, &version, &kind, |out| content(message, json, out))
}

/// Appends a list of objects of one kind: `kind` is the list's.
///
/// # Errors
/// As [`encode`].
pub fn list<'a>(version: &str, kind: &str, metadata: &Value, items: impl Iterator<Item = &'a [u8]>, out: &mut Vec<u8>) -> Result<(), Error> {
    let table = Table::get();
    let (meta, each) = table.kind(version, kind).and_then(|m| m.named("metadata").zip(m.named("items"))).ok_or_else(|| unknown(version, kind))?;
    let Item::Message(item) = &each.shape.item else { return Err(unknown(version, kind)) };
    let message = table.message(item).filter(|_| each.shape.many == Many::List).ok_or_else(|| unknown(version, kind))?;
    envelope(out, version, kind, |out| {
        fields::value(table, meta, metadata, out).map_err(|e| Error::Object(e.to_string().into()))?;
        for item in items {
            put::nested(out, each.tag, |out| content(message, item, out))?;
        }
        Ok(())
    })
}

/// Appends an event of a watch: `meta/v1` WatchEvent after its length, with the object that `write` appends.
///
/// # Errors
/// What `write` fails with; nothing is appended then.
pub fn event<E>(out: &mut Vec<u8>, change: &str, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    put::bytes(out, 1, change.as_bytes());
    let written = put::nested(out, 2, |out| put::nested(out, 1, write));
    if written.is_err() {
        out.truncate(start);
        return written;
    }
    let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    if let Some(head) = out.get_mut(start..start + 4) {
        head.copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
