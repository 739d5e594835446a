//! Checks a change against what may not be changed.
use super::check::Path;
use super::rule::{Change, Rule, is_set};
use super::table::Table;
use super::validate;
use crate::error::Cause;
use crate::object::Object;
use crate::schema::{self, ListType, Node};
use serde_json::{Map, Value};

/// The part of an object that those who run it write.
const STATUS: &str = "status";

/// What of a change of an object, its status aside, the rules of the definition `name` refuse.
pub fn validate_update(name: &str, new: &Object, old: &Object) -> Vec<Cause> {
    changes(name, new, old, |field| field != STATUS)
}

/// What of a changed status the rules of the definition `name` refuse; what was wrong before may stay.
pub fn validate_status(name: &str, new: &Object, old: &Object) -> Vec<Cause> {
    if !Table::get().concerns(name) {
        return Vec::new();
    }
    let within = |cause: &Cause| cause.field.starts_with(STATUS);
    let before: Vec<Cause> = validate(name, old).into_iter().filter(within).collect();
    let mut causes = changes(name, new, old, |field| field == STATUS);
    causes.extend(validate(name, new).into_iter().filter(within).filter(|cause| !before.contains(cause)));
    causes
}

fn changes(name: &str, new: &Object, old: &Object, part: fn(&str) -> bool) -> Vec<Cause> {
    let table = Table::get();
    let mut causes = Vec::new();
    if let Some(node) = schema::definition(name).filter(|_| table.concerns(name)) {
        Compare { table, causes: &mut causes }.maps(&new.0, &old.0, name, node, &Path::Top, part);
    }
    causes
}

struct Compare<'c> {
    table: &'static Table,
    causes: &'c mut Vec<Cause>,
}

impl Compare<'_> {
    fn maps(&mut self, new: &Map<String, Value>, old: &Map<String, Value>, name: &str, node: &Node, path: &Path<'_>, part: fn(&str) -> bool) {
        for (field, rule) in self.table.definition(name).into_iter().flatten().filter(|(field, _)| !field.is_empty() && part(field)) {
            self.field(new.get(&**field), old.get(&**field), rule, &Path::Field(path, field));
        }
        for (field, value) in new.iter().filter(|(field, _)| part(field)) {
            let child = node.properties.get(field.as_str()).filter(|child| self.table.reaches(child));
            if let (Some(child), Some(before)) = (child, old.get(field).filter(|before| *before != value)) {
                self.below(value, before, child, &Path::Field(path, field));
            }
        }
    }

    fn below(&mut self, new: &Value, old: &Value, node: &Node, path: &Path<'_>) {
        let (name, node) = node.resolve();
        match (new, old) {
            (Value::Object(new), Value::Object(old)) => match &node.values {
                Some(inner) => new.iter().for_each(|(key, value)| {
                    old.get(key).into_iter().for_each(|before| self.below(value, before, inner, &Path::Key(path, key)));
                }),
                None => self.maps(new, old, name.unwrap_or_default(), node, path, |_| true),
            },
            (Value::Array(new), Value::Array(old)) if node.list_type == ListType::Map => {
                for (i, item) in new.iter().enumerate() {
                    let same = |before: &&Value| node.list_keys.iter().all(|key| before.get(&**key) == item.get(&**key));
                    if let (Some(inner), Some(before)) = (&node.items, old.iter().find(same)) {
                        self.below(item, before, inner, &Path::Index(path, i));
                    }
                }
            }
            _ => {}
        }
    }

    fn field(&mut self, new: Option<&Value>, old: Option<&Value>, rule: &Rule, path: &Path<'_>) {
        let (after, before) = (new.filter(|v| is_set(Some(v))), old.filter(|v| is_set(Some(v))));
        if after == before {
            return;
        }
        let given = after.unwrap_or(&Value::Null);
        let refused = match (before.is_some(), after.is_some()) {
            (false, _) => (Change::Set, "field cannot be set once created"),
            (true, false) => (Change::Unset, "field cannot be cleared once set"),
            (true, true) => (Change::Modify, "field cannot be modified once set"),
        };
        if rule.immutable {
            self.causes.push(Cause::invalid(path, given, "field is immutable"));
        } else if rule.update.contains(&refused.0) {
            self.causes.push(Cause::invalid(path, given, refused.1));
        }
    }
}
