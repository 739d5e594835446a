//! Puts an applied configuration over an object, by the schema.
use super::key;
use super::of_object::{child, is_atomic};
use crate::schema::Node;
use serde_json::{Map, Value};

/// Merges what is applied into what is there.
///
/// # Errors
/// A sentence about items of an applied list that have no key, or the same.
pub fn merge(into: &mut Map<String, Value>, applied: &Map<String, Value>, node: &Node) -> Result<(), String> {
    maps(into, applied, Some(node), "")
}

fn maps(into: &mut Map<String, Value>, applied: &Map<String, Value>, node: Option<&Node>, path: &str) -> Result<(), String> {
    for (field, value) in applied {
        let at = format!("{path}.{field}");
        match into.get_mut(field) {
            Some(present) => values(present, value, child(node, field), &at)?,
            None => {
                // what is new is checked as well: its lists may hold an item twice
                let mut fresh = match value {
                    Value::Object(_) => Value::Object(Map::new()),
                    Value::Array(_) => Value::Array(Vec::new()),
                    other => other.clone(),
                };
                values(&mut fresh, value, child(node, field), &at)?;
                into.insert(field.clone(), fresh);
            }
        }
    }
    Ok(())
}

fn values(into: &mut Value, applied: &Value, node: Option<&Node>, path: &str) -> Result<(), String> {
    match (into, applied) {
        (Value::Object(into), Value::Object(applied)) if !is_atomic_map(applied, node) => maps(into, applied, node, path),
        (Value::Array(into), Value::Array(applied)) if !is_atomic(&Value::Array(Vec::new()), node) => match node.map(|n| n.resolve().1) {
            Some(list) => lists(into, applied, list, path),
            None => Ok(()),
        },
        (into, applied) => {
            *into = applied.clone();
            Ok(())
        }
    }
}

fn is_atomic_map(_: &Map<String, Value>, node: Option<&Node>) -> bool {
    is_atomic(&Value::Object(Map::new()), node)
}

/// Merges lists by key: in the order of what is applied, with the other items where they were between those that both have.
fn lists(into: &mut Vec<Value>, applied: &[Value], list: &Node, path: &str) -> Result<(), String> {
    let mut keys: Vec<String> = Vec::new();
    for item in applied {
        let element = key::element(item, list).ok_or_else(|| unkeyed(item, list, path))?;
        if keys.contains(&element) {
            return Err(format!("{path}: duplicate entries for key [{}]", element.get(2..).unwrap_or_default()));
        }
        keys.push(element);
    }
    let mut present: Vec<(Option<String>, Option<Value>)> = into.drain(..).map(|item| (key::element(&item, list), Some(item))).collect();
    let mut next = 0;
    for (element, item) in keys.iter().zip(applied) {
        let at = present.iter().position(|(e, _)| e.as_ref() == Some(element));
        if let Some(at) = at.filter(|at| *at >= next) {
            into.extend(
                present.iter_mut().take(at).skip(next).filter(|(e, _)| !e.as_ref().is_some_and(|e| keys.contains(e))).filter_map(|(_, item)| item.take()),
            );
            next = at + 1;
        }
        let mut merged = at.and_then(|at| present.get_mut(at)).and_then(|(_, item)| item.take()).unwrap_or_else(|| match item {
            Value::Object(_) => Value::Object(Map::new()),
            other => other.clone(),
        });
        values(&mut merged, item, list.items.as_deref(), &format!("{path}[{}]", element.get(2..).unwrap_or_default()))?;
        into.push(merged);
    }
    into.extend(present.into_iter().filter(|(e, _)| !e.as_ref().is_some_and(|e| keys.contains(e))).filter_map(|(_, item)| item));
    Ok(())
}

fn unkeyed(item: &Value, list: &Node, path: &str) -> String {
    let missing = list.list_keys.iter().find(|key| item.get(&***key).is_none()).map_or("", |key| key);
    format!("{path}: element 0: associative list with keys has an element that omits key field {missing:?} (and doesn't have default value)")
}
