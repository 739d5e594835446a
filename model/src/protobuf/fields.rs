//! One message's fields from JSON, while it is read: nothing is kept of it in between.
use super::put;
use super::table::{Field, Item, Many, Message, Shape, Table};
use crate::time;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// Writes one field from its value.
pub fn value<'de, D: Deserializer<'de>>(table: &Table, field: &Field, value: D, out: &mut Vec<u8>) -> Result<(), D::Error> {
    FieldSeed { table, field, out }.deserialize(value)
}

/// Writes the fields of a map.
pub struct MessageSeed<'a> {
    table: &'a Table,
    message: &'a Message,
    out: &'a mut Vec<u8>,
}

impl<'a> MessageSeed<'a> {
    /// Appends to `out`.
    pub fn new(table: &'a Table, message: &'a Message, out: &'a mut Vec<u8>) -> Self {
        Self { table, message, out }
    }
}

impl<'de> DeserializeSeed<'de> for MessageSeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for MessageSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(place) = map.next_key_seed(Name { table: self.table, message: self.message })? {
            match place {
                Place::Here(field) => map.next_value_seed(FieldSeed { table: self.table, field, out: self.out })?,
                // several such fields of one number are read as one
                Place::Within(tags, field) => map.next_value_seed(WithinSeed { table: self.table, tags: &tags, field, out: self.out })?,
                Place::Nowhere => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Where a name of JSON is in a message.
enum Place<'a> {
    Here(&'a Field),
    /// In embedded messages, one within the other, of these numbers.
    Within(Vec<u32>, &'a Field),
    Nowhere,
}

impl<'a> Place<'a> {
    fn of(table: &'a Table, message: &'a Message, name: &str) -> Self {
        if let Some(field) = message.named(name) {
            return Self::Here(field);
        }
        for outer in message.embedded() {
            let Item::Message(inner) = &outer.shape.item else { continue };
            match table.message(inner).map_or(Self::Nowhere, |inner| Self::of(table, inner, name)) {
                Self::Here(field) => return Self::Within(vec![outer.tag], field),
                Self::Within(mut tags, field) => {
                    tags.insert(0, outer.tag);
                    return Self::Within(tags, field);
                }
                Self::Nowhere => {}
            }
        }
        Self::Nowhere
    }
}

/// Finds a key's place.
struct Name<'a> {
    table: &'a Table,
    message: &'a Message,
}

impl<'de, 'a> DeserializeSeed<'de> for Name<'a> {
    type Value = Place<'a>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Place<'a>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Name<'a> {
    type Value = Place<'a>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }
    fn visit_str<E: Error>(self, name: &str) -> Result<Place<'a>, E> {
        // no field has an empty name, but embedded messages have
        Ok(if name.is_empty() { Place::Nowhere } else { Place::of(self.table, self.message, name) })
    }
}

/// Writes a field of an embedded message.
struct WithinSeed<'a> {
    table: &'a Table,
    tags: &'a [u32],
    field: &'a Field,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for WithinSeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Self { table, tags, field, out } = self;
        match tags.split_first() {
            None => FieldSeed { table, field, out }.deserialize(deserializer),
            Some((tag, tags)) => put::nested(out, *tag, |out| WithinSeed { table, tags, field, out }.deserialize(deserializer)),
        }
    }
}

/// Writes a field; nothing where its value is null.
struct FieldSeed<'a> {
    table: &'a Table,
    field: &'a Field,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for FieldSeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Self { table, field, out } = self;
        match field.shape.many {
            Many::One => ItemSeed { table, tag: field.tag, item: &field.shape.item, name: &field.name, zero: false, out }.deserialize(deserializer),
            Many::List | Many::Map => deserializer.deserialize_any(Repeated { table, field, out }),
        }
    }
}

/// Lists and maps: an entry is a message with a key (1) and a value (2).
struct Repeated<'a> {
    table: &'a Table,
    field: &'a Field,
    out: &'a mut Vec<u8>,
}

impl<'de> Visitor<'de> for Repeated<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {} for {}", if self.field.shape.many == Many::List { "list" } else { "map" }, self.field.name)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { table, field, out } = self;
        let Shape { many: Many::List, item } = &field.shape else { return Err(A::Error::custom(format!("{} can't be a list", field.name))) };
        while let Some(()) = seq.next_element_seed(ItemSeed { table, tag: field.tag, item, name: &field.name, zero: true, out: &mut *out })? {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { table, field, out } = self;
        let Shape { many: Many::Map, item } = &field.shape else { return Err(A::Error::custom(format!("{} can't be a map", field.name))) };
        let mut entry = Vec::new();
        loop {
            entry.clear();
            if map.next_key_seed(ItemSeed { table, tag: 1, item: &Item::String, name: &field.name, zero: true, out: &mut entry })?.is_none() {
                return Ok(());
            }
            map.next_value_seed(ItemSeed { table, tag: 2, item, name: &field.name, zero: true, out: &mut entry })?;
            put::bytes(out, field.tag, &entry);
        }
    }
}

/// Writes one value as a field.
struct ItemSeed<'a> {
    table: &'a Table,
    tag: u32,
    item: &'a Item,
    name: &'a str,
    /// Whether null is written, as the type's zero: lists and maps keep their places.
    zero: bool,
    out: &'a mut Vec<u8>,
}

impl<'a> ItemSeed<'a> {
    fn message(&self) -> Option<&'a Message> {
        let Item::Message(name) = self.item else { return None };
        self.table.message(name)
    }

    /// The wrapper that the value is the content of, and its field of a kind.
    fn wrapped(&self, is: impl Fn(&Shape) -> bool) -> Option<&'a Field> {
        self.message().filter(|m| m.wrapper)?.find(is)
    }

    fn json(self, json: &str) {
        if json != "null" {
            put::bytes(self.out, self.tag, json.as_bytes());
        }
    }

    fn wrong<E: Error>(&self, given: &str) -> E {
        E::custom(format!("{} can't be {given}", self.name))
    }

    /// A scalar within a wrapper.
    fn inner<E: Error>(self, item: &Item, given: &str, write: impl FnOnce(ItemSeed<'_>) -> Result<(), E>) -> Result<(), E> {
        let Some(field) = self.wrapped(|s| s.many == Many::One && s.item == *item) else { return Err(self.wrong(given)) };
        let Self { table, name, out, .. } = self;
        put::nested(out, self.tag, |out| write(ItemSeed { table, tag: field.tag, item: &field.shape.item, name, zero: true, out }))
    }

    fn time<E: Error>(self, text: &str) -> Result<(), E> {
        if text.is_empty() {
            return Ok(());
        }
        let Some(time) = time::parse(text) else { return Err(self.wrong("a text that is no time")) };
        // Go writes what its JSON has of it: whole seconds, or microseconds
        let nanos = if *self.item == Item::Time { 0 } else { i64::from(time.subsec_nanosecond()) / 1_000 * 1_000 };
        put::nested(self.out, self.tag, |out| {
            put::number(out, 1, time.as_second());
            put::number(out, 2, nanos);
        });
        Ok(())
    }

    /// `intstr.IntOrString`: which of the two it is (1), the number (2), the text (3).
    fn int_or_string(self, number: Option<i64>, text: &str) {
        put::nested(self.out, self.tag, |out| {
            put::number(out, 1, i64::from(number.is_none()));
            put::number(out, 2, number.unwrap_or_default());
            put::bytes(out, 3, text.as_bytes());
        });
    }
}

impl<'de> DeserializeSeed<'de> for ItemSeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if *self.item == Item::Json {
            self.json(Box::<RawValue>::deserialize(deserializer)?.get());
            return Ok(());
        }
        let Some(field) = self.wrapped(|s| s.item == Item::Json) else { return deserializer.deserialize_any(self) };
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        if self.zero || raw.get() != "null" {
            let Self { table, tag, name, zero, out, .. } = self;
            put::nested(out, tag, |out| ItemSeed { table, tag: field.tag, item: &Item::Json, name, zero, out }.json(raw.get()));
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for ItemSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value for {}", self.name)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        match self.item {
            _ if !self.zero => {}
            Item::Int32 | Item::Int64 | Item::Bool => put::number(self.out, self.tag, 0),
            Item::Double => put::double(self.out, self.tag, 0.0),
            // an empty text, and an empty message
            _ => put::bytes(self.out, self.tag, b""),
        }
        Ok(())
    }

    fn visit_bool<E: Error>(self, yes: bool) -> Result<(), E> {
        match self.item {
            Item::Bool => put::number(self.out, self.tag, i64::from(yes)),
            _ => return self.inner(&Item::Bool, "a Boolean", |inner| inner.visit_bool(yes)),
        }
        Ok(())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        match self.item {
            Item::Int32 | Item::Int64 => put::number(self.out, self.tag, number),
            Item::Double => put::double(self.out, self.tag, number as f64),
            Item::IntOrString => self.int_or_string(Some(number), ""),
            // quantities may be numbers in JSON
            _ => return self.inner(&Item::String, "a number", |inner| inner.visit_str(&number.to_string())),
        }
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            Err(_) => self.visit_f64(number as f64),
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        match self.item {
            Item::Double => put::double(self.out, self.tag, number),
            // exactly representable, so the conversion is exact
            Item::Int32 | Item::Int64 if number.fract() == 0.0 && number.abs() < 9e15 => put::number(self.out, self.tag, number as i64),
            _ => return self.inner(&Item::String, "a fraction", |inner| inner.visit_str(&number.to_string())),
        }
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        match self.item {
            Item::String => put::bytes(self.out, self.tag, text.as_bytes()),
            Item::Bytes => {
                let bytes = STANDARD.decode(text).map_err(|_| self.wrong::<E>("a text that isn't base64"))?;
                put::bytes(self.out, self.tag, &bytes);
            }
            Item::Time | Item::MicroTime => return self.time(text),
            Item::IntOrString => self.int_or_string(None, text),
            _ => return self.inner(&Item::String, "a text", |inner| inner.visit_str(text)),
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let message = self.message();
        let Self { table, tag, out, name, .. } = self;
        match message {
            None => Err(A::Error::custom(format!("{name} can't be a map"))),
            Some(message) if !message.wrapper => put::nested(out, tag, |out| MessageSeed { table, message, out }.visit_map(map)),
            Some(wrapper) => {
                let is = |s: &Shape| s.many == Many::One && matches!(s.item, Item::Message(_));
                let field = wrapper.find(is).ok_or_else(|| A::Error::custom(format!("{name} can't be a map")))?;
                put::nested(out, tag, |out| {
                    // where a schema may stand for `true`, that is written too
                    if let Some(allows) = wrapper.find(|s| s.item == Item::Bool) {
                        put::number(out, allows.tag, 1);
                    }
                    ItemSeed { table, tag: field.tag, item: &field.shape.item, name, zero: true, out }.visit_map(map)
                })
            }
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        let Some(field) = self.wrapped(|s| s.many == Many::List) else { return Err(self.wrong("a list")) };
        let Self { table, tag, out, .. } = self;
        put::nested(out, tag, |out| Repeated { table, field, out }.visit_seq(seq))
    }
}
