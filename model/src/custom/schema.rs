//! The structural schema of a custom resource: `openAPIV3Schema` of one version, parsed.
use crate::schema::{ListType, MapType, Node, Shape};
use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Most bytes of a compiled pattern.
const PATTERN_MAX: usize = 512 << 10;
/// The definition of every object's metadata.
const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// A schema that can't be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {why}")]
pub struct SchemaError {
    /// Where in the schema: `properties[spec].pattern`.
    pub path: String,
    /// Why.
    pub why: String,
}

/// What holds for the values of a map whose keys aren't known.
#[derive(Clone, Debug)]
pub enum Values {
    /// Anything.
    Any,
    /// This.
    Schema(Box<Schema>),
}

/// A schema, or one that is nested in `allOf`, `anyOf`, `oneOf` or `not`, which has values' rules only.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// The type.
    pub shape: Option<Shape>,
    /// Whether `null` is a value.
    pub nullable: bool,
    /// What it is when it isn't given.
    pub default: Option<Value>,
    /// Known fields.
    pub properties: BTreeMap<Box<str>, Schema>,
    /// The values of a map with free keys.
    pub values: Option<Values>,
    /// The items of a list.
    pub items: Option<Box<Schema>>,
    /// Whether fields that aren't known stay.
    pub preserves: bool,
    /// Whether it is an object with `apiVersion`, `kind` and `metadata` of its own.
    pub embedded: bool,
    /// Whether it is a number or a text.
    pub int_or_string: bool,
    /// How a list merges.
    pub list_type: ListType,
    /// Which fields tell its items apart.
    pub list_keys: Vec<Box<str>>,
    /// How a map merges.
    pub map_type: MapType,
    /// The rules of values.
    pub limits: Limits,
    /// Rules in CEL: `x-kubernetes-validations`.
    pub rules: Vec<Rule>,
}

/// A rule in CEL, as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// What must be true.
    pub rule: Box<str>,
    /// What is said where it isn't.
    pub message: Box<str>,
    /// An expression of what is said.
    pub message_expression: Box<str>,
    /// The reason of the error.
    pub reason: Option<Box<str>>,
    /// The field that the error names, beneath the one with the rule.
    pub field_path: Box<str>,
    /// Whether `oldSelf` may be absent, so that the rule holds for new objects too.
    pub optional_old_self: Option<bool>,
}

impl Rule {
    fn parse(raw: &Value) -> Self {
        let text = |key: &str| raw[key].as_str().unwrap_or_default().into();
        Self {
            rule: text("rule"),
            message: text("message"),
            message_expression: text("messageExpression"),
            reason: raw["reason"].as_str().map(Into::into),
            field_path: text("fieldPath"),
            optional_old_self: raw["optionalOldSelf"].as_bool(),
        }
    }
}

/// The rules of values.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// `format`.
    pub format: Option<Box<str>>,
    /// The least number, and whether it is itself out.
    pub minimum: Option<(f64, bool)>,
    /// The largest number, and whether it is itself out.
    pub maximum: Option<(f64, bool)>,
    /// What a number is a multiple of.
    pub multiple_of: Option<f64>,
    /// Characters of a text.
    pub length: (Option<u64>, Option<u64>),
    /// Number of items.
    pub items: (Option<u64>, Option<u64>),
    /// Number of fields.
    pub fields: (Option<u64>, Option<u64>),
    /// What a text must match, as written and compiled.
    pub pattern: Option<(Box<str>, Regex)>,
    /// The values that there are.
    pub choices: Vec<Value>,
    /// Fields that must be there.
    pub required: Vec<Box<str>>,
    /// All must hold.
    pub all_of: Vec<Schema>,
    /// One must hold.
    pub any_of: Vec<Schema>,
    /// Exactly one must hold.
    pub one_of: Vec<Schema>,
    /// Must not hold.
    pub not: Option<Box<Schema>>,
}

fn shape(text: &str) -> Option<Shape> {
    serde_json::from_value(text.into()).ok()
}

fn strings(value: Option<&Value>) -> Vec<Box<str>> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(Into::into).collect()
}

fn flag(map: &Map<String, Value>, key: &str) -> bool {
    map.get(key).and_then(Value::as_bool).unwrap_or_default()
}

impl Schema {
    /// Parses a schema.
    ///
    /// # Errors
    /// Patterns that are no regular expressions or are too large, and types that don't exist.
    pub fn parse(raw: &Value) -> Result<Self, SchemaError> {
        let mut root = Self::at(raw, "")?;
        // every object has these, whatever its schema says
        for field in ["apiVersion", "kind"] {
            root.properties.entry(field.into()).or_default().shape = Some(Shape::String);
        }
        Ok(root)
    }

    fn at(raw: &Value, path: &str) -> Result<Self, SchemaError> {
        let Value::Object(map) = raw else { return Ok(Self::default()) };
        let text = |key: &str| map.get(key).and_then(Value::as_str).unwrap_or_default();
        let below = |key: &str| format!("{path}{}{key}", if path.is_empty() { "" } else { "." });
        let error = |key: &str, why: String| SchemaError { path: below(key), why };
        let kind = text("type");
        let mut properties = BTreeMap::new();
        for (field, inner) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
            properties.insert(field.as_str().into(), Self::at(inner, &format!("{}[{field}]", below("properties")))?);
        }
        Ok(Self {
            shape: if kind.is_empty() { None } else { Some(shape(kind).ok_or_else(|| error("type", format!("{kind} is no type")))?) },
            nullable: flag(map, "nullable"),
            default: map.get("default").cloned(),
            properties,
            values: match map.get("additionalProperties") {
                None | Some(Value::Null | Value::Bool(false)) => None,
                Some(Value::Bool(true)) => Some(Values::Any),
                Some(inner) => Some(Values::Schema(Box::new(Self::at(inner, &below("additionalProperties"))?))),
            },
            items: match map.get("items") {
                Some(inner @ Value::Object(_)) => Some(Box::new(Self::at(inner, &below("items"))?)),
                _ => None,
            },
            preserves: flag(map, "x-kubernetes-preserve-unknown-fields"),
            embedded: flag(map, "x-kubernetes-embedded-resource"),
            int_or_string: flag(map, "x-kubernetes-int-or-string"),
            list_type: match text("x-kubernetes-list-type") {
                "set" => ListType::Set,
                "map" => ListType::Map,
                _ => ListType::Atomic,
            },
            list_keys: strings(map.get("x-kubernetes-list-map-keys")),
            map_type: if text("x-kubernetes-map-type") == "atomic" { MapType::Atomic } else { MapType::Granular },
            limits: Limits::at(map, path)?,
            rules: map.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten().map(Rule::parse).collect(),
        })
    }

    /// Types and merge rules alone, as patches and server-side apply read them.
    pub fn node(&self, root: bool) -> Node {
        let mut properties: BTreeMap<Box<str>, Node> = self.properties.iter().map(|(field, inner)| (field.clone(), inner.node(false))).collect();
        if root || self.embedded {
            properties.insert("metadata".into(), Node { reference: Some(META.into()), ..Node::default() });
        }
        Node {
            shape: self.shape,
            properties,
            values: match &self.values {
                Some(Values::Schema(inner)) => Some(Box::new(inner.node(false))),
                Some(Values::Any) => Some(Box::default()),
                None => None,
            },
            items: self.items.as_ref().map(|inner| Box::new(inner.node(false))),
            int_or_string: self.int_or_string,
            default: self.default.clone(),
            preserves: self.preserves,
            list_type: self.list_type,
            list_keys: self.list_keys.clone(),
            map_type: self.map_type,
            ..Node::default()
        }
    }
}

impl Limits {
    fn at(map: &Map<String, Value>, path: &str) -> Result<Self, SchemaError> {
        let number = |key: &str| map.get(key).and_then(Value::as_f64);
        let count = |key: &str| map.get(key).and_then(Value::as_u64);
        let below = |key: &str| format!("{path}{}{key}", if path.is_empty() { "" } else { "." });
        let several = |key: &str| {
            let all = map.get(key).and_then(Value::as_array).into_iter().flatten().enumerate();
            all.map(|(i, inner)| Schema::at(inner, &format!("{}[{i}]", below(key)))).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            format: map.get("format").and_then(Value::as_str).map(Into::into),
            minimum: number("minimum").map(|n| (n, flag(map, "exclusiveMinimum"))),
            maximum: number("maximum").map(|n| (n, flag(map, "exclusiveMaximum"))),
            multiple_of: number("multipleOf").filter(|n| *n != 0.0),
            length: (count("minLength"), count("maxLength")),
            items: (count("minItems"), count("maxItems")),
            fields: (count("minProperties"), count("maxProperties")),
            pattern: map.get("pattern").and_then(Value::as_str).filter(|p| !p.is_empty()).map(|p| pattern(p, &below("pattern"))).transpose()?,
            choices: map.get("enum").and_then(Value::as_array).cloned().unwrap_or_default(),
            required: strings(map.get("required")),
            all_of: several("allOf")?,
            any_of: several("anyOf")?,
            one_of: several("oneOf")?,
            not: map.get("not").filter(|n| n.is_object()).map(|inner| Schema::at(inner, &below("not")).map(Box::new)).transpose()?,
        })
    }
}

fn pattern(text: &str, path: &str) -> Result<(Box<str>, Regex), SchemaError> {
    let compiled = RegexBuilder::new(text).size_limit(PATTERN_MAX).dfa_size_limit(PATTERN_MAX).build();
    let why = |e: regex::Error| format!("must be a valid regular expression, but isn't: {e}");
    compiled.map(|regex| (text.into(), regex)).map_err(|e| SchemaError { path: path.to_owned(), why: why(e) })
}
