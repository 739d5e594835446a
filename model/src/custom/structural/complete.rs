//! Whether the fields and items that the junctors of a schema's root constrain are known outside of them (`validateStructuralCompleteness`). As in
//! Kubernetes, the junctors of its fields aren't looked at.
use super::read::{JUNCTORS, fields, list};
use crate::error::Cause;
use serde_json::Value;

/// A schema and where it is, the one that constrains or the one that is to know what is constrained.
#[derive(Clone, Copy)]
struct Placed<'a> {
    schema: &'a Value,
    path: &'a str,
}

/// What the junctors of a schema at `path` constrain although it doesn't know it.
pub(super) fn check(schema: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let root = Placed { schema, path };
    junctors(root, root, &mut causes);
    causes
}

fn junctors(constraint: Placed<'_>, known: Placed<'_>, causes: &mut Vec<Cause>) {
    let Value::Object(map) = constraint.schema else { return };
    let mut below = |step: &str, schema: &Value| constrained(Placed { schema, path: &format!("{}.{step}", constraint.path) }, known, causes);
    map.get("not").into_iter().for_each(|inner| below("not", inner));
    for key in JUNCTORS {
        list(map, key).iter().enumerate().for_each(|(i, inner)| below(&format!("{key}[{i}]"), inner));
    }
}

fn constrained(constraint: Placed<'_>, known: Placed<'_>, causes: &mut Vec<Cause>) {
    let Value::Object(map) = constraint.schema else { return };
    junctors(constraint, known, causes);
    let items = map.get("items").map(|inner| ("items".to_owned(), inner, known.schema.get("items")));
    let known_field = |field: &str| known.schema.get("properties").and_then(|properties| properties.get(field));
    let fields = fields(map).map(|(field, inner)| (format!("properties[{field}]"), inner, known_field(field)));
    for (step, schema, there) in items.into_iter().chain(fields) {
        let (at, path) = (format!("{}.{step}", known.path), format!("{}.{step}", constraint.path));
        match there {
            Some(there) => constrained(Placed { schema, path: &path }, Placed { schema: there, path: &at }, causes),
            None => causes.push(Cause::required(at, format!("because it is defined in {path}"))),
        }
    }
}
