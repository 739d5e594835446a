//! From bytes to JSON, by the table.
use super::table::{Field, Item, Many, Message, Table};
use super::wire::{self, Error, Fields, Wire};
use crate::time;
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// The media type of what [`decode`] reads.
pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// What every body begins with.
pub(super) const PREFIX: &[u8] = b"k8s\0";
/// Messages within messages, at most: schemas of custom resources are the only ones that go deep.
const DEPTH: usize = 64;

/// What is around an object: `runtime.Unknown`.
#[derive(Default)]
struct Envelope<'a> {
    version: &'a str,
    kind: &'a str,
    raw: &'a [u8],
    encoding: &'a str,
    media: &'a str,
}

impl<'a> Envelope<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut envelope = Self::default();
        for field in Fields::new(bytes) {
            match field? {
                (1, meta) => {
                    for field in Fields::new(bytes_of(meta, "typeMeta")?) {
                        match field? {
                            (1, version) => envelope.version = text(version, "apiVersion")?,
                            (2, kind) => envelope.kind = text(kind, "kind")?,
                            _ => {}
                        }
                    }
                }
                (2, raw) => envelope.raw = bytes_of(raw, "raw")?,
                (3, encoding) => envelope.encoding = text(encoding, "contentEncoding")?,
                (4, media) => envelope.media = text(media, "contentType")?,
                _ => {}
            }
        }
        Ok(envelope)
    }
}

/// Reads the body of a request.
///
/// # Errors
/// When it isn't protobuf, or of a kind that has none.
pub fn decode(body: &[u8]) -> Result<Map<String, Value>, Error> {
    let envelope = Envelope::read(body.strip_prefix(PREFIX).ok_or(Error::Prefix)?)?;
    if !envelope.encoding.is_empty() || !matches!(envelope.media, "" | MEDIA_TYPE) {
        return Err(Error::Content { encoding: envelope.encoding.into(), media: envelope.media.into() });
    }
    let table = Table::get();
    let unknown = || Error::Kind { version: envelope.version.into(), kind: envelope.kind.into() };
    let message = table.kind(envelope.version, envelope.kind).ok_or_else(unknown)?;
    let mut object = Map::new();
    object.insert("apiVersion".to_owned(), envelope.version.into());
    object.insert("kind".to_owned(), envelope.kind.into());
    Decoder { table }.message(message, envelope.raw, &mut object, DEPTH)?;
    Ok(object)
}

fn bytes_of<'a>(wire: Wire<'a>, name: &str) -> Result<&'a [u8], Error> {
    if let Wire::Bytes(bytes) = wire { Ok(bytes) } else { Err(Error::Type(name.into())) }
}

fn text<'a>(wire: Wire<'a>, name: &str) -> Result<&'a str, Error> {
    std::str::from_utf8(bytes_of(wire, name)?).map_err(|_| Error::Utf8(name.into()))
}

fn number(wire: Wire<'_>, name: &str) -> Result<i64, Error> {
    if let Wire::Varint(number) = wire { Ok(number.cast_signed()) } else { Err(Error::Type(name.into())) }
}

/// Whole numbers are written without a fraction, as Go does.
fn double(number: f64) -> Value {
    // exactly representable, so the conversion is exact
    if number.fract() == 0.0 && number.abs() < 9e15 { (number as i64).into() } else { number.into() }
}

/// Numbers of 32 bits are written as ones of 64: what is above is no part of them.
fn narrow(number: i64) -> i32 {
    number as i32
}

/// `""`, `0`, `false`: what Go writes for fields that nobody set.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Bool(yes) => !yes,
        Value::Null => true,
        Value::Array(_) | Value::Object(_) => false,
    }
}

/// The two numbered fields of times, 0 where absent.
fn seconds_and_nanos(bytes: &[u8], name: &str) -> Result<(i64, i32), Error> {
    let (mut seconds, mut nanos) = (0, 0);
    for field in Fields::new(bytes) {
        match field? {
            (1, wire) => seconds = number(wire, name)?,
            (2, wire) => nanos = narrow(number(wire, name)?),
            _ => {}
        }
    }
    Ok((seconds, nanos))
}

/// A time; `None` for Go's zero time, which is written as nothing.
fn timestamp(bytes: &[u8], name: &str) -> Result<Option<Timestamp>, Error> {
    match seconds_and_nanos(bytes, name)? {
        (0, 0) => Ok(None),
        (seconds, nanos) => Timestamp::new(seconds, nanos).map(Some).map_err(|_| Error::Time(name.into())),
    }
}

fn int_or_string(bytes: &[u8], name: &str) -> Result<Value, Error> {
    let (mut is_text, mut int, mut string) = (false, 0, "");
    for field in Fields::new(bytes) {
        match field? {
            (1, wire) => is_text = number(wire, name)? == 1,
            (2, wire) => int = narrow(number(wire, name)?),
            (3, wire) => string = text(wire, name)?,
            _ => {}
        }
    }
    Ok(if is_text { string.into() } else { int.into() })
}

struct Decoder {
    table: &'static Table,
}

impl Decoder {
    /// Puts a message's fields into a map.
    fn message(&self, message: &Message, bytes: &[u8], into: &mut Map<String, Value>, depth: usize) -> Result<(), Error> {
        let depth = depth.checked_sub(1).ok_or(Error::Depth)?;
        for field in Fields::new(bytes) {
            let (tag, wire) = field?;
            let Some(field) = message.field(tag) else { continue };
            match field.shape.many {
                Many::One => self.one(field, wire, into, depth)?,
                Many::List => self.list(field, wire, into, depth)?,
                Many::Map => self.entry(field, wire, into, depth)?,
            }
        }
        Ok(())
    }

    fn one(&self, field: &Field, wire: Wire<'_>, into: &mut Map<String, Value>, depth: usize) -> Result<(), Error> {
        if let Item::Message(name) = &field.shape.item
            && let Some(message) = self.table.message(name).filter(|m| !m.wrapper)
        {
            let bytes = bytes_of(wire, &field.name)?;
            if field.name.is_empty() {
                return self.message(message, bytes, into, depth);
            }
            let child = into.entry(&*field.name).or_insert_with(|| Map::new().into());
            return child.as_object_mut().map_or(Ok(()), |child| self.message(message, bytes, child, depth));
        }
        let value = self.item(&field.shape.item, wire, &field.name, depth)?;
        // whatever isn't a scalar is written only when it is set
        let scalar = matches!(field.shape.item, Item::String | Item::Int32 | Item::Int64 | Item::Bool | Item::Double | Item::Bytes);
        if let Some(value) = value.filter(|v| !scalar || field.keep_zero || !is_zero(v)) {
            into.insert(field.name.to_string(), value);
        }
        Ok(())
    }

    fn list(&self, field: &Field, wire: Wire<'_>, into: &mut Map<String, Value>, depth: usize) -> Result<(), Error> {
        let Value::Array(items) = into.entry(&*field.name).or_insert_with(|| Value::Array(Vec::new())) else { return Ok(()) };
        match wire {
            Wire::Bytes(bytes) if matches!(field.shape.item, Item::Int32 | Item::Int64 | Item::Bool) => {
                for number in wire::packed(bytes)? {
                    items.extend(self.item(&field.shape.item, Wire::Varint(number), &field.name, depth)?);
                }
            }
            _ => items.extend(self.item(&field.shape.item, wire, &field.name, depth)?),
        }
        Ok(())
    }

    /// Maps are lists of messages with a key (1) and a value (2).
    fn entry(&self, field: &Field, wire: Wire<'_>, into: &mut Map<String, Value>, depth: usize) -> Result<(), Error> {
        let Value::Object(entries) = into.entry(&*field.name).or_insert_with(|| Map::new().into()) else { return Ok(()) };
        // without a value, it is the empty one: all values of maps are texts, bytes or messages
        let (mut key, mut value) = ("", Wire::Bytes(&[]));
        for part in Fields::new(bytes_of(wire, &field.name)?) {
            match part? {
                (1, wire) => key = text(wire, &field.name)?,
                (2, wire) => value = wire,
                _ => {}
            }
        }
        if let Some(value) = self.item(&field.shape.item, value, &field.name, depth)? {
            entries.insert(key.to_owned(), value);
        }
        Ok(())
    }

    /// One value; `None` where nothing is set.
    fn item(&self, item: &Item, wire: Wire<'_>, name: &str, depth: usize) -> Result<Option<Value>, Error> {
        Ok(Some(match item {
            Item::String => text(wire, name)?.into(),
            Item::Int32 => narrow(number(wire, name)?).into(),
            Item::Int64 => number(wire, name)?.into(),
            Item::Bool => (number(wire, name)? != 0).into(),
            Item::Double => match wire {
                Wire::Fixed64(bits) => double(f64::from_bits(bits)),
                _ => return Err(Error::Type(name.into())),
            },
            Item::Bytes => STANDARD.encode(bytes_of(wire, name)?).into(),
            Item::Json => match bytes_of(wire, name)? {
                [] => return Ok(None),
                json => serde_json::from_slice(json).map_err(|_| Error::Json(name.into()))?,
            },
            Item::Time => return Ok(timestamp(bytes_of(wire, name)?, name)?.map(|t| time::format(t).into())),
            Item::MicroTime => return Ok(timestamp(bytes_of(wire, name)?, name)?.map(|t| time::format_micro(t).into())),
            Item::IntOrString => int_or_string(bytes_of(wire, name)?, name)?,
            Item::Message(message) => return self.value(message, bytes_of(wire, name)?, depth),
        }))
    }

    /// A message as a value: a map or, for a wrapper, what it wraps.
    fn value(&self, name: &str, bytes: &[u8], depth: usize) -> Result<Option<Value>, Error> {
        let Some(message) = self.table.message(name) else { return Ok(None) };
        let mut fields = Map::new();
        self.message(message, bytes, &mut fields, depth)?;
        if message.wrapper {
            return Ok(message.last_first().find_map(|f| fields.remove(&*f.name)));
        }
        Ok(Some(fields.into()))
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
