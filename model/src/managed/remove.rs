//! Takes fields out of a value.
use super::key;
use super::set::FieldSetRef;
use super::types::{Grain, Type};
use crate::schema::Node;
use serde_json::{Map, Value};

/// Takes the members of a set out of an object. A map or a list of which nothing is left is `null` then.
pub fn remove(object: &mut Map<String, Value>, node: &Node, set: FieldSetRef<'_>) {
    fields(object, Type::of(node), set);
}

fn fields(map: &mut Map<String, Value>, kind: Type<'_>, set: FieldSetRef<'_>) {
    for (element, below) in set.elements() {
        let Some(field) = element.strip_prefix("f:") else { continue };
        if below.is_member() {
            map.remove(field);
        } else if let Some(value) = map.get_mut(field) {
            inside(value, kind.field(field).0, below);
        }
    }
}

fn inside(value: &mut Value, kind: Type<'_>, set: FieldSetRef<'_>) {
    let left = match (kind.grain(value), &mut *value) {
        (Grain::Map, Value::Object(map)) => {
            fields(map, kind, set);
            !map.is_empty()
        }
        (Grain::List(list), Value::Array(items)) => {
            items.retain_mut(|item| {
                let below = key::element(item, list).ok().and_then(|element| set.below(&element));
                if let Some(below) = below.filter(|below| !below.is_member()) {
                    inside(item, kind.items(), below);
                }
                !below.is_some_and(FieldSetRef::is_member)
            });
            !items.is_empty()
        }
        (_, Value::Object(_) | Value::Array(_)) => false,
        _ => true,
    };
    if !left {
        *value = Value::Null;
    }
}

/// Takes out what [`remove`] left empty.
pub fn sweep(object: &mut Map<String, Value>, node: &Node, set: FieldSetRef<'_>) {
    swept(object, Type::of(node), set);
}

fn swept(map: &mut Map<String, Value>, kind: Type<'_>, set: FieldSetRef<'_>) {
    for (element, below) in set.elements() {
        let Some(field) = element.strip_prefix("f:") else { continue };
        let inner = kind.field(field).0;
        match map.get_mut(field) {
            Some(Value::Null) if !below.is_empty() => _ = map.remove(field),
            Some(Value::Object(map)) => swept(map, inner, below),
            Some(value @ Value::Array(_)) => {
                let grain = inner.grain(value);
                let (Grain::List(list), Value::Array(items)) = (grain, value) else { continue };
                items.retain(|item| !item.is_null());
                for item in items {
                    let below = key::element(item, list).ok().and_then(|element| below.below(&element));
                    if let (Value::Object(map), Some(below)) = (item, below) {
                        swept(map, inner.items(), below);
                    }
                }
            }
            _ => {}
        }
    }
}
