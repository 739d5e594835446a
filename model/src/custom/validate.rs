//! Checks a custom object against the rules of its schema, with the sentences of Kubernetes' OpenAPI validation.
use super::format;
use super::schema::{Limits, Schema, Values};
use crate::error::{Cause, CauseReason};
use crate::schema::{ListType, Shape};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// Most causes that are collected.
const CAUSES_MAX: usize = 100;

/// What of an object its schema refuses. `metadata` is checked elsewhere, as that of every object.
pub fn validate(object: &Map<String, Value>, schema: &Schema) -> Vec<Cause> {
    let mut check = Check { causes: Vec::new() };
    check.limits(Subject::Map(object), &schema.limits, "");
    check.fields(object, schema, true, "");
    check.causes
}

/// A value, or the object as a whole.
#[derive(Clone, Copy)]
enum Subject<'a> {
    Map(&'a Map<String, Value>),
    Other(&'a Value),
}

impl<'a> Subject<'a> {
    fn of(value: &'a Value) -> Self {
        match value {
            Value::Object(map) => Self::Map(map),
            other => Self::Other(other),
        }
    }
    fn to_value(self) -> Value {
        match self {
            Self::Map(map) => Value::Object(map.clone()),
            Self::Other(value) => value.clone(),
        }
    }
}

struct Check {
    causes: Vec<Cause>,
}

fn below(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

/// Go's name of a value's type.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn name_of(shape: Shape) -> &'static str {
    match shape {
        Shape::Object => "object",
        Shape::Array => "array",
        Shape::String => "string",
        Shape::Integer => "integer",
        Shape::Number => "number",
        Shape::Boolean => "boolean",
    }
}

fn fits(value: &Value, shape: Shape) -> bool {
    match (value, shape) {
        (Value::Object(_), Shape::Object) | (Value::Array(_), Shape::Array) | (Value::String(_), Shape::String) => true,
        (Value::Bool(_), Shape::Boolean) | (Value::Number(_), Shape::Number) => true,
        // a float without a fraction is a whole number
        (Value::Number(n), Shape::Integer) => n.is_i64() || n.is_u64() || n.as_f64().is_some_and(|f| f.fract() == 0.0),
        _ => false,
    }
}

impl Check {
    fn add(&mut self, cause: Cause) {
        if self.causes.len() < CAUSES_MAX {
            self.causes.push(cause);
        }
    }

    fn invalid(&mut self, path: &str, value: &Value, why: impl std::fmt::Display) {
        self.add(Cause::invalid(path, value, format!("{path} in body {why}")));
    }

    fn value(&mut self, value: &Value, schema: &Schema, path: &str) {
        if value.is_null() && schema.nullable {
            return;
        }
        let number_or_text = schema.int_or_string && (value.is_string() || fits(value, Shape::Integer));
        let wanted = if schema.int_or_string { Some("integer,string") } else { schema.shape.map(name_of) };
        let fitting = number_or_text || (!schema.int_or_string && schema.shape.is_none_or(|shape| fits(value, shape)));
        if let Some(wanted) = wanted.filter(|_| !fitting) {
            let found = type_of(value);
            let message = format!("Invalid value: \"{found}\": {path} in body must be of type {wanted}: \"{found}\"");
            self.add(Cause { reason: CauseReason::FieldValueTypeInvalid, field: path.to_owned(), message });
            return;
        }
        self.limits(Subject::of(value), &schema.limits, path);
        match value {
            Value::Object(map) => self.fields(map, schema, schema.embedded, path),
            Value::Array(items) => self.items(items, schema, path),
            _ => {}
        }
    }

    fn fields(&mut self, map: &Map<String, Value>, schema: &Schema, is_object: bool, path: &str) {
        for (field, value) in map.iter().filter(|(field, _)| !(is_object && *field == "metadata")) {
            match (schema.properties.get(field.as_str()), &schema.values) {
                (Some(inner), _) => self.value(value, inner, &below(path, field)),
                (None, Some(Values::Schema(inner))) => self.value(value, inner, &below(path, field)),
                _ => {}
            }
        }
        if is_object && !path.is_empty() {
            for field in ["apiVersion", "kind"].into_iter().filter(|f| map.get(*f).and_then(Value::as_str).is_none_or(str::is_empty)) {
                self.add(Cause::required(below(path, field), "must not be empty"));
            }
        }
    }

    fn items(&mut self, items: &[Value], schema: &Schema, path: &str) {
        for (i, item) in items.iter().enumerate() {
            schema.items.iter().for_each(|inner| self.value(item, inner, &format!("{path}[{i}]")));
        }
        let mut seen = HashSet::new();
        for (i, item) in items.iter().enumerate() {
            let id = match schema.list_type {
                ListType::Atomic => return,
                ListType::Set => item.clone(),
                ListType::Map => Value::Object(schema.list_keys.iter().filter_map(|key| Some((key.to_string(), item.get(&**key)?.clone()))).collect()),
            };
            if !seen.insert(id.to_string()) {
                self.add(Cause::duplicate(format!("{path}[{i}]"), &id));
            }
        }
    }

    /// The rules of a value's own.
    fn limits(&mut self, subject: Subject<'_>, limits: &Limits, path: &str) {
        match subject {
            Subject::Map(map) => self.map(map, limits, path),
            Subject::Other(Value::Array(items)) => self.list(items, limits, path),
            Subject::Other(value @ Value::Number(number)) => self.number(number.as_f64().unwrap_or_default(), value, limits, path),
            Subject::Other(value @ Value::String(text)) => self.text(text, value, limits, path),
            Subject::Other(_) => {}
        }
        if !limits.choices.is_empty() && !limits.choices.contains(&subject.to_value()) {
            let all: Vec<String> = limits.choices.iter().map(|c| c.as_str().map_or_else(|| c.to_string(), str::to_owned)).collect();
            self.add(Cause::not_supported(path, &subject.to_value(), &all.iter().map(String::as_str).collect::<Vec<_>>()));
        }
        self.combined(subject, limits, path);
    }

    fn map(&mut self, map: &Map<String, Value>, limits: &Limits, path: &str) {
        for field in limits.required.iter().filter(|field| !map.contains_key(&***field)) {
            self.add(Cause::required(below(path, field), ""));
        }
        let (least, most) = limits.fields;
        if let Some(most) = most.filter(|most| map.len() as u64 > *most) {
            self.add(Cause::too_many(path, map.len(), usize::try_from(most).unwrap_or(usize::MAX)));
        }
        if let Some(least) = least.filter(|least| (map.len() as u64) < *least) {
            self.invalid(path, &Value::Object(map.clone()), format_args!("should have at least {least} properties"));
        }
    }

    fn list(&mut self, items: &[Value], limits: &Limits, path: &str) {
        let (least, most) = limits.items;
        if let Some(most) = most.filter(|most| items.len() as u64 > *most) {
            self.add(Cause::too_many(path, items.len(), usize::try_from(most).unwrap_or(usize::MAX)));
        }
        if let Some(least) = least.filter(|least| (items.len() as u64) < *least) {
            self.invalid(path, &items.len().into(), format_args!("should have at least {least} items"));
        }
    }

    fn number(&mut self, number: f64, value: &Value, limits: &Limits, path: &str) {
        if let Some((least, open)) = limits.minimum.filter(|(least, open)| if *open { number <= *least } else { number < *least }) {
            self.invalid(path, value, format_args!("should be greater than {}{least}", if open { "" } else { "or equal to " }));
        }
        if let Some((most, open)) = limits.maximum.filter(|(most, open)| if *open { number >= *most } else { number > *most }) {
            self.invalid(path, value, format_args!("should be less than {}{most}", if open { "" } else { "or equal to " }));
        }
        if let Some(factor) = limits.multiple_of.filter(|factor| (number / factor).fract() != 0.0) {
            self.invalid(path, value, format_args!("should be a multiple of {factor}"));
        }
    }

    fn text(&mut self, text: &str, value: &Value, limits: &Limits, path: &str) {
        let characters = text.chars().count() as u64;
        let (least, most) = limits.length;
        if let Some(most) = most.filter(|most| characters > *most) {
            self.add(Cause::too_long(path, usize::try_from(most).unwrap_or(usize::MAX)));
        }
        if let Some(least) = least.filter(|least| characters < *least) {
            self.invalid(path, value, format_args!("should be at least {least} chars long"));
        }
        if let Some((written, regex)) = &limits.pattern
            && !regex.is_match(text)
        {
            self.invalid(path, value, format_args!("should match '{written}'"));
        }
        if let Some(format) = limits.format.as_deref().filter(|format| !format::holds(format, text)) {
            self.invalid(path, value, format_args!("must be of type {format}: {value}"));
        }
    }

    /// `allOf`, `anyOf`, `oneOf` and `not`.
    fn combined(&mut self, subject: Subject<'_>, limits: &Limits, path: &str) {
        let value = || subject.to_value();
        if limits.all_of.is_empty() && limits.any_of.is_empty() && limits.one_of.is_empty() && limits.not.is_none() {
            return;
        }
        let holding = |schemas: &[Schema]| schemas.iter().filter(|schema| broken(subject, schema, path).is_empty()).count();
        for schema in &limits.all_of {
            let causes = broken(subject, schema, path);
            if !causes.is_empty() {
                self.invalid(path, &"".into(), "must validate all the schemas (allOf)");
                causes.into_iter().for_each(|cause| self.add(cause));
            }
        }
        if !limits.any_of.is_empty() && holding(&limits.any_of) == 0 {
            self.invalid(path, &value(), "must validate at least one schema (anyOf)");
            limits.any_of.first().map(|first| broken(subject, first, path)).into_iter().flatten().for_each(|cause| self.add(cause));
        }
        match holding(&limits.one_of) {
            _ if limits.one_of.is_empty() => {}
            1 => {}
            0 => {
                self.invalid(path, &value(), "must validate one and only one schema (oneOf). Found none valid");
                limits.one_of.first().map(|first| broken(subject, first, path)).into_iter().flatten().for_each(|cause| self.add(cause));
            }
            n => self.invalid(path, &value(), format_args!("must validate one and only one schema (oneOf). Found {n} valid alternatives")),
        }
        if limits.not.as_ref().is_some_and(|not| broken(subject, not, path).is_empty()) {
            self.invalid(path, &value(), "must not validate the schema (not)");
        }
    }
}

/// What a nested schema refuses of a value.
fn broken(subject: Subject<'_>, schema: &Schema, path: &str) -> Vec<Cause> {
    let mut check = Check { causes: Vec::new() };
    match subject {
        Subject::Map(map) => {
            check.limits(subject, &schema.limits, path);
            check.fields(map, schema, false, path);
        }
        Subject::Other(value) => check.value(value, schema, path),
    }
    check.causes
}
