//! Fills in what a client left out.
use super::table::Table;
use crate::object::Object;
use crate::schema::{self, Node};
use serde_json::{Map, Value};

/// Fills in the defaults of the definition `name` and of those below it, where what holds them is there.
pub fn default(name: &str, object: &mut Object) {
    let table = Table::get();
    if let Some(node) = schema::definition(name).filter(|_| table.concerns(name)) {
        map(table, &mut object.0, name, node);
    }
}

fn map(table: &Table, fields: &mut Map<String, Value>, name: &str, node: &Node) {
    for (field, rule) in table.definition(name).into_iter().flatten() {
        if let Some(default) = rule.default.as_ref().filter(|_| !rule.sets(fields.get(&**field))) {
            fields.insert(field.to_string(), default.clone());
        }
    }
    for (field, value) in fields.iter_mut() {
        if let Some(child) = node.properties.get(field.as_str()).filter(|child| table.reaches(child)) {
            below(table, value, child);
        }
    }
}

fn below(table: &Table, value: &mut Value, node: &Node) {
    let (name, node) = node.resolve();
    match (value, &node.values, &node.items) {
        (Value::Object(entries), Some(inner), _) => entries.values_mut().for_each(|value| below(table, value, inner)),
        (Value::Object(fields), None, _) => map(table, fields, name.unwrap_or_default(), node),
        (Value::Array(items), _, Some(inner)) => items.iter_mut().for_each(|item| below(table, item, inner)),
        _ => {}
    }
}
