//! What differs between an object before and after.
use super::key;
use super::of_object::{below, child, is_atomic, is_unowned};
use super::set::FieldSet;
use crate::schema::Node;
use serde_json::{Map, Value};

/// What a write did to an object.
#[derive(Debug, Default, PartialEq)]
pub struct Comparison {
    /// Fields that are new or have another value.
    pub changed: FieldSet,
    /// Fields that are no longer there.
    pub removed: FieldSet,
}

/// Compares two forms of an object, of the fields that `covers` takes at the top.
pub fn compare(old: &Map<String, Value>, new: &Map<String, Value>, node: &Node, covers: fn(&str) -> bool) -> Comparison {
    let mut out = Comparison::default();
    fields(old, new, Some(node), &mut out, &|field| covers(field) && !is_unowned(0, false, field), 0);
    out
}

fn fields(old: &Map<String, Value>, new: &Map<String, Value>, node: Option<&Node>, out: &mut Comparison, wanted: &dyn Fn(&str) -> bool, depth: usize) {
    for (field, value) in new.iter().filter(|(field, _)| wanted(field)) {
        let inner = child(node, field);
        let metadata = depth == 0 && field == "metadata";
        match old.get(field) {
            Some(before) if before == value => {}
            Some(before) => {
                let difference = values(before, value, inner, metadata, depth);
                put(&mut out.changed, field, difference.changed);
                put(&mut out.removed, field, difference.removed);
            }
            None if metadata => {
                let difference = values(&Value::Object(Map::new()), value, inner, true, depth);
                put(&mut out.changed, field, difference.changed);
            }
            None => {
                let mut all = below(value, inner);
                // a map of free keys is owned itself by who made it
                if !all.is_empty() && inner.is_some_and(|n| n.resolve().1.values.is_some()) {
                    all.insert_itself();
                }
                let nothing = matches!(value, Value::Array(items) if items.is_empty()) && !is_atomic(value, inner);
                if !nothing {
                    out.changed.insert(format!("f:{field}"), all);
                }
            }
        }
    }
    for (field, value) in old.iter().filter(|(field, _)| wanted(field) && !new.contains_key(*field)) {
        let mut all = below(value, child(node, field));
        if !all.is_empty() {
            all.insert_itself();
        }
        out.removed.insert(format!("f:{field}"), all);
    }
}

/// Adds what is below a field, if it is anything: alone, or as a whole where the mark says so.
fn put(set: &mut FieldSet, field: &str, below: Option<FieldSet>) {
    if let Some(below) = below {
        set.insert(format!("f:{field}"), below);
    }
}

/// What differs below a value; `Some` of an empty set is the value itself.
#[derive(Default)]
struct Difference {
    changed: Option<FieldSet>,
    removed: Option<FieldSet>,
}

impl From<Comparison> for Difference {
    fn from(found: Comparison) -> Self {
        let some = |set: FieldSet| (!set.is_empty()).then_some(set);
        Self { changed: some(found.changed), removed: some(found.removed) }
    }
}

fn values(old: &Value, new: &Value, node: Option<&Node>, metadata: bool, depth: usize) -> Difference {
    let whole = || Difference { changed: Some(FieldSet::default()), removed: None };
    match (old, new) {
        (Value::Object(before), Value::Object(after)) if !is_atomic(new, node) => {
            let mut out = Comparison::default();
            fields(before, after, node, &mut out, &|field| !(metadata && is_unowned(1, true, field)), depth + 1);
            out.into()
        }
        (Value::Array(before), Value::Array(after)) if !is_atomic(new, node) => items(before, after, node, depth).into(),
        _ => whole(),
    }
}

fn items(old: &[Value], new: &[Value], node: Option<&Node>, depth: usize) -> Comparison {
    let mut out = Comparison::default();
    let Some(list) = node.map(|n| n.resolve().1) else { return out };
    let inner = list.items.as_deref();
    let keyed = |items: &[Value]| -> Vec<Option<String>> { items.iter().map(|item| key::element(item, list)).collect() };
    let (before, after) = (keyed(old), keyed(new));
    let all = |item: &Value| {
        let mut all = below(item, inner);
        if !all.is_empty() {
            all.insert_itself();
        }
        all
    };
    for (element, item) in after.iter().zip(new) {
        let Some(element) = element else { continue };
        match before.iter().position(|e| e.as_ref() == Some(element)).and_then(|at| old.get(at)) {
            Some(same) if same == item => {}
            Some(other) => {
                let difference = values(other, item, inner, false, depth + 1);
                difference.changed.into_iter().for_each(|set| out.changed.insert(element.clone(), set));
                difference.removed.into_iter().for_each(|set| out.removed.insert(element.clone(), set));
            }
            None => out.changed.insert(element.clone(), all(item)),
        }
    }
    for (element, item) in before.iter().zip(old) {
        if let Some(element) = element.as_ref().filter(|e| !after.iter().any(|a| a.as_ref() == Some(*e))) {
            out.removed.insert(element.clone(), all(item));
        }
    }
    out
}
