//! What a schema declares for expressions: types, names of fields, and how large values may be
//! (`k8s.io/apiserver/pkg/cel/common/schemas.go`).
use crate::custom::schema::{Schema, Values};
use crate::schema::{ListType, Shape};
use cel::{Declaration, DeclaredShape, Field, Merge, ObjectDeclaration, Type};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most bytes of a request.
pub const REQUEST_MAX: u64 = 3 * 1024 * 1024;

/// The name of a field in an expression: `my-field` is `my__dash__field`. None where it can't have one.
pub fn escape(name: &str) -> Option<String> {
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if cel::is_reserved(name) {
        return Some(format!("__{name}__"));
    }
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        let (written, length) = match c {
            '_' if rest.starts_with("__") => ("__underscores__", 2),
            '.' => ("__dot__", 1),
            '-' => ("__dash__", 1),
            '/' => ("__slash__", 1),
            c if c.is_ascii_alphanumeric() || c == '_' => (rest.get(..1).unwrap_or_default(), 1),
            _ => return None,
        };
        out.push_str(written);
        rest = rest.get(length..).unwrap_or_default();
    }
    Some(out)
}

fn simple(of: Type, max_elements: u64) -> Declaration {
    Declaration { shape: DeclaredShape::Simple(of), max_elements }
}

/// What a schema declares; none where it says no type, so that expressions can't see it. `name` is the type's in messages.
pub fn declare(schema: &Schema, is_resource: bool, name: &str) -> Option<Declaration> {
    let characters = schema.limits.length.1.map(|n| n.saturating_mul(4));
    if schema.int_or_string {
        return Some(simple(Type::Dyn, characters.unwrap_or(REQUEST_MAX - 2)));
    }
    Some(match schema.shape.or(is_resource.then_some(Shape::Object))? {
        Shape::Array => {
            let items = schema.items.as_deref()?;
            let inner = declare(items, items.embedded, &format!("{name}.@idx"))?;
            let max_elements = schema.limits.items.1.unwrap_or_else(|| (REQUEST_MAX - 2) / (min_size(items) + 1));
            let merge = match schema.list_type {
                ListType::Atomic => Merge::Atomic,
                ListType::Set => Merge::Set,
                ListType::Map => Merge::Map(schema.list_keys.clone()),
            };
            Declaration { shape: DeclaredShape::List(Arc::new(inner), merge), max_elements }
        }
        Shape::Object => match &schema.values {
            Some(Values::Schema(values)) => {
                let inner = declare(values, values.embedded, &format!("{name}.@elem"))?;
                let max_elements = schema.limits.fields.1.unwrap_or_else(|| (REQUEST_MAX - 2) / (min_size(values) + 6));
                Declaration { shape: DeclaredShape::Map(Arc::new(inner)), max_elements }
            }
            _ => object(schema, is_resource, name),
        },
        Shape::String => text(schema, characters),
        Shape::Boolean => simple(Type::Bool, 0),
        Shape::Number => simple(Type::Double, 0),
        Shape::Integer => simple(Type::Int, 0),
    })
}

fn object(schema: &Schema, is_resource: bool, name: &str) -> Declaration {
    let mut fields = BTreeMap::new();
    for (field, inner) in &schema.properties {
        if let (Some(declaration), Some(escaped)) = (declare(inner, inner.embedded, &format!("{name}.{field}")), escape(field)) {
            fields.insert(escaped.into(), Field { name: field.clone(), declaration });
        }
    }
    if is_resource {
        let text = || simple(Type::String, REQUEST_MAX - 2);
        let field = |name: &str, declaration: Declaration| (Box::from(name), Field { name: name.into(), declaration });
        let names = BTreeMap::from([field("name", text()), field("generateName", text())]);
        let metadata = ObjectDeclaration { name: format!("{name}.metadata").into(), fields: names };
        let metadata = Declaration { shape: DeclaredShape::Object(Arc::new(metadata)), max_elements: 0 };
        fields.extend([field("apiVersion", text()), field("kind", text()), field("metadata", metadata)]);
    }
    Declaration { shape: DeclaredShape::Object(Arc::new(ObjectDeclaration { name: name.into(), fields })), max_elements: 0 }
}

fn text(schema: &Schema, characters: Option<u64>) -> Declaration {
    match schema.limits.format.as_deref() {
        Some("byte") => simple(Type::Bytes, schema.limits.length.1.unwrap_or(REQUEST_MAX - 2)),
        Some("duration") => simple(Type::Duration, 32),
        Some("date") => simple(Type::Timestamp, 12),
        Some("date-time") => simple(Type::Timestamp, 32),
        _ => {
            let longest = schema.limits.choices.iter().filter_map(Value::as_str).map(str::len).max();
            let longest = longest.and_then(|n| u64::try_from(n).ok());
            simple(Type::String, characters.or(longest).unwrap_or(REQUEST_MAX - 2))
        }
    }
}

/// The fewest bytes that a value has in JSON.
pub fn min_size(schema: &Schema) -> u64 {
    if schema.int_or_string {
        return 1;
    }
    match schema.shape {
        None | Some(Shape::Integer | Shape::Number) => 1,
        Some(Shape::Boolean) => 4,
        Some(Shape::Array) => 2,
        Some(Shape::String) => match schema.limits.format.as_deref() {
            Some("duration") => 3,
            Some("date") => 12,
            Some("date-time") => 21,
            _ => 2,
        },
        Some(Shape::Object) => {
            let required = schema.limits.required.iter().filter_map(|name| Some((name, schema.properties.get(name)?)));
            let without_default = required.filter(|(_, inner)| inner.default.is_none() && inner.shape.is_some());
            2 + without_default.map(|(name, inner)| u64::try_from(name.len()).unwrap_or_default() + min_size(inner) + 4).sum::<u64>()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_fields_are_escaped() {
        let table = [
            ("plain_Name1", Some("plain_Name1")),
            ("my-field.x/y", Some("my__dash__field__dot__x__slash__y")),
            ("a__b", Some("a__underscores__b")),
            ("namespace", Some("__namespace__")),
            ("1a", None),
            ("é", None),
        ];
        for (name, escaped) in table {
            assert_eq!(escape(name).as_deref(), escaped, "{name}");
        }
    }
}
