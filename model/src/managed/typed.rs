//! Whether a configuration is what the schema says. Merging needs to know, so it is asked before anything else, and in words of its own.
use super::conflict::ApplyError;
use super::key;
use super::set::path_step;
use super::types::{Known, Type};
use crate::object::Object;
use crate::schema::{ListType, Node, Shape};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// Most mistakes that are reported.
const MISTAKES_MAX: usize = 100;

/// Checks a configuration: fields that the schema doesn't have, values of other types, and items of lists that can't be told apart.
///
/// # Errors
/// [`ApplyError::Mistyped`] with all of it.
pub fn check(configuration: &Object, node: &Node) -> Result<(), ApplyError> {
    let mut walk = Walk::default();
    walk.fields(&configuration.0, Type::of(node), &mut String::new());
    let lines: Vec<String> = walk.mistakes.iter().map(|(path, why)| if path.is_empty() { why.clone() } else { format!("{path}: {why}") }).collect();
    let why = match lines.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        many => format!("errors:{}", many.iter().map(|line| format!("\n  {line}")).collect::<String>()),
    };
    let (version, kind) = (configuration.api_version(), configuration.kind());
    let version = if version.contains('/') { version.to_owned() } else { format!("/{version}") };
    Err(ApplyError::Mistyped(format!(
        "failed to create typed patch object ({}/{}; {version}, Kind={kind}): {why}",
        configuration.namespace(),
        configuration.name()
    )))
}

#[derive(Default)]
struct Walk {
    mistakes: Vec<(String, String)>,
}

impl Walk {
    fn add(&mut self, path: &str, why: String) {
        if self.mistakes.len() < MISTAKES_MAX {
            self.mistakes.push((path.to_owned(), why));
        }
    }

    fn value(&mut self, value: &Value, kind: Type<'_>, path: &mut String) {
        match (kind, value) {
            (Type::Undeclared, _) => self.add(path, "field not declared in schema".to_owned()),
            (_, Value::Null) | (Type::Opaque | Type::Deduced, _) => {}
            (Type::Known(known), value) => match expected(known, value) {
                Some(why) => self.add(path, why),
                None => self.inside(value, kind, known, path),
            },
        }
    }

    fn inside(&mut self, value: &Value, kind: Type<'_>, known: Known<'_>, path: &mut String) {
        match value {
            Value::Object(map) => self.fields(map, kind, path),
            Value::Array(items) if known.node.list_type == ListType::Atomic => self.atomic(items, kind, path),
            Value::Array(items) => self.items(items, kind, path),
            _ => {}
        }
    }

    fn fields(&mut self, map: &Map<String, Value>, kind: Type<'_>, path: &mut String) {
        for (field, value) in map {
            self.below(&format!(".{field}"), value, kind.field(field).0, path);
        }
    }

    fn below(&mut self, step: &str, value: &Value, kind: Type<'_>, path: &mut String) {
        let length = path.len();
        path.push_str(step);
        self.value(value, kind, path);
        path.truncate(length);
    }

    fn atomic(&mut self, items: &[Value], kind: Type<'_>, path: &mut String) {
        for (i, item) in items.iter().enumerate() {
            self.below(&format!("[{i}]"), item, kind.items(), path);
        }
    }

    fn items(&mut self, items: &[Value], kind: Type<'_>, path: &mut String) {
        let Type::Known(known) = kind else { return };
        let mut found = HashSet::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            let element = match key::element(item, known.node) {
                Ok(element) => element,
                // what is below an item that can't be told from others has no place
                Err(why) => return self.add(path, format!("element {i}: {why}")),
            };
            let step = path_step(&element);
            if !found.insert(element) {
                self.add(path, format!("duplicate entries for key {step}"));
            }
            self.below(&step, item, kind.items(), path);
        }
    }
}

/// What a value should have been, if it should.
fn expected(known: Known<'_>, value: &Value) -> Option<String> {
    let Some(shape) = known.node.shape else {
        let scalar = !known.is_quantity() || !matches!(value, Value::Object(_) | Value::Array(_));
        return (!scalar).then(|| format!("expected any scalar, got &{{{}}}", plain(value)));
    };
    match (shape, value) {
        (Shape::Object, Value::Object(_))
        | (Shape::Array, Value::Array(_))
        | (Shape::Boolean, Value::Bool(_))
        | (Shape::Integer | Shape::Number, Value::Number(_)) => None,
        (Shape::String, Value::String(_)) => None,
        // texts with a format may be any scalar
        (Shape::String, Value::Bool(_) | Value::Number(_)) if !is_text(known.node) => None,
        (Shape::Object, _) => Some(format!("expected map, got &{{{}}}", plain(value))),
        (Shape::Array, _) => Some(format!("expected list, got &{{{}}}", plain(value))),
        (Shape::Boolean, _) => Some(format!("expected boolean, got &{{{}}}", plain(value))),
        (Shape::Integer | Shape::Number, _) => Some(format!("expected numeric (int or float), got {}", type_name(value))),
        (Shape::String, _) if is_text(known.node) => Some(format!("expected string, got &value.valueUnstructured{{Value:{}}}", literal(value))),
        (Shape::String, _) => Some(format!("expected any scalar, got &{{{}}}", plain(value))),
    }
}

/// Whether a text is nothing but that.
fn is_text(node: &Node) -> bool {
    matches!(node.format.as_deref(), None | Some("" | "byte"))
}

/// The type that Go has for a value.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// A value as Go prints it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => format!("map[{}]", map.iter().map(|(key, value)| format!("{key}:{}", plain(value))).collect::<Vec<_>>().join(" ")),
        other => other.to_string(),
    }
}

/// A value as it would stand in Go.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::Array(items) => format!("[]interface {{}}{{{}}}", items.iter().map(literal).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            format!("map[string]interface {{}}{{{}}}", map.iter().map(|(key, value)| format!("{key:?}:{}", literal(value))).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}
