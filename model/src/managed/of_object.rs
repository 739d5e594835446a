//! The set of all fields of a value, by its schema.
use super::key;
use super::set::FieldSet;
use crate::schema::{ListType, MapType, Node};
use serde_json::{Map, Value};

/// Fields that nobody owns, of the object and of its metadata.
pub fn is_unowned(depth: usize, in_metadata: bool, field: &str) -> bool {
    match depth {
        0 => matches!(field, "apiVersion" | "kind"),
        1 if in_metadata => matches!(
            field,
            "name" | "namespace" | "creationTimestamp" | "selfLink" | "uid" | "clusterName" | "generation" | "managedFields" | "resourceVersion"
        ),
        _ => false,
    }
}

/// All fields of an object that `covers` takes at the top.
pub fn of_object(object: &Map<String, Value>, node: &Node, covers: fn(&str) -> bool) -> FieldSet {
    let mut set = FieldSet::default();
    for (field, value) in object.iter().filter(|(field, _)| covers(field) && !is_unowned(0, false, field)) {
        let inner = node.properties.get(field.as_str());
        let below = match value {
            Value::Object(map) if field == "metadata" => {
                let owned = map.iter().filter(|(field, _)| !is_unowned(1, true, field));
                let mut below = FieldSet::default();
                for (field, value) in owned {
                    enter(&mut below, field, value, child(inner, field), true);
                }
                if below.is_empty() {
                    continue;
                }
                below
            }
            _ => {
                enter(&mut set, field, value, inner, true);
                continue;
            }
        };
        set.insert(format!("f:{field}"), below);
    }
    set
}

/// The schema of a field.
pub fn child<'n>(node: Option<&'n Node>, field: &str) -> Option<&'n Node> {
    let node = node?.resolve().1;
    node.properties.get(field).or(node.values.as_deref())
}

/// What a schema says of a value, and whether it is one value for its owners.
pub fn is_atomic(value: &Value, node: Option<&Node>) -> bool {
    // how a list merges stands beside the reference, how a map does with the definition as well
    let (outer, inner) = (node, node.map(|n| n.resolve().1));
    match value {
        Value::Object(_) => [outer, inner].into_iter().flatten().any(|n| n.map_type == MapType::Atomic),
        Value::Array(_) => inner.is_none_or(|n| n.list_type == ListType::Atomic),
        _ => true,
    }
}

/// Adds a field with all that is below it. `known`: whether the map around it has fields of its own rather than free keys.
fn enter(set: &mut FieldSet, field: &str, value: &Value, node: Option<&Node>, known: bool) {
    let below = below(value, node);
    let alone = matches!(value, Value::Array(items) if items.is_empty()) && !is_atomic(value, node);
    if !below.is_empty() || !known || !alone {
        set.insert(format!("f:{field}"), below);
    }
}

/// What is below a value: nothing where it is one value.
pub fn below(value: &Value, node: Option<&Node>) -> FieldSet {
    let mut set = FieldSet::default();
    if is_atomic(value, node) {
        return set;
    }
    match value {
        Value::Object(map) => {
            for (field, value) in map {
                enter(&mut set, field, value, child(node, field), true);
            }
        }
        Value::Array(items) => {
            let Some(list) = node.map(|n| n.resolve().1) else { return set };
            for item in items {
                let Some(element) = key::element(item, list) else { continue };
                let mut inner = below(item, list.items.as_deref());
                if !inner.is_empty() {
                    inner.insert_itself();
                }
                set.insert(element, inner);
            }
        }
        _ => {}
    }
    set
}
