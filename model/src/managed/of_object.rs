//! The set of all fields of a value, by its schema.
use super::key;
use super::set::{FieldSet, Part};
use super::types::{Grain, Type};
use crate::schema::Node;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// All fields of an object.
pub fn of_object(object: &Map<String, Value>, node: &Node) -> FieldSet {
    fields(object, Type::of(node))
}

/// What a value is for its owners: itself where it is one value, and what is below it.
fn value(value: &Value, kind: Type<'_>) -> Part {
    match (kind.grain(value), value) {
        (Grain::Map, Value::Object(map)) => Part { member: false, below: fields(map, kind) },
        (Grain::List(list), Value::Array(items)) => Part { member: false, below: self::items(items, list, kind) },
        (Grain::Leaf, _) => Part::leaf(),
        _ => Part::default(),
    }
}

/// The fields of a map. Those that have no name in the schema, and those without anything below, are there themselves.
fn fields(map: &Map<String, Value>, kind: Type<'_>) -> FieldSet {
    let mut set = FieldSet::default();
    for (field, inner) in map {
        let (kind, named) = kind.field(field);
        let mut part = value(inner, kind);
        part.member |= !named || inner.is_null() || inner.as_object().is_some_and(Map::is_empty);
        set.put(format!("f:{field}"), part);
    }
    set
}

/// The items of a list: each is there itself, and those that are there twice are nothing but that.
fn items(items: &[Value], list: &Node, kind: Type<'_>) -> FieldSet {
    let found = key::elements(items, list);
    let mut count: HashMap<&str, usize> = HashMap::with_capacity(found.len());
    found.iter().for_each(|(element, _)| *count.entry(element).or_default() += 1);
    let twice: HashSet<String> = count.iter().filter(|(_, n)| **n > 1).map(|(element, _)| (*element).to_owned()).collect();
    let mut set = FieldSet::default();
    for (element, item) in found {
        let part = if twice.contains(&element) { Part::leaf() } else { Part { member: true, ..value(item, kind.items()) } };
        set.put(element, part);
    }
    set
}
