//! Whether a schema is structural: each field has a type outside of the logical junctors, and these constrain values only. The rules are those of the
//! Kubernetes documentation, "Specifying a structural schema".
use crate::error::Cause;
use serde_json::{Map, Value, json};

/// Where in a schema a part is, as far as the rules care.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Field,
    Item,
}

/// Deepest nesting of a schema.
const DEPTH_MAX: usize = 100;
const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
/// What may not stand in a nested schema, and how Kubernetes says that it is there.
const NESTED: [(&str, &str); 9] = [
    ("additionalProperties", "must be undefined to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
    ("x-kubernetes-embedded-resource", "must be false to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
];
/// What no schema of a custom resource may have.
const FORBIDDEN: [(&str, &str); 7] = [
    ("definitions", "definitions is not supported"),
    ("dependencies", "dependencies is not supported"),
    ("patternProperties", "patternProperties is not supported"),
    ("additionalItems", "additionalItems is not supported"),
    ("id", "id is not supported"),
    ("$ref", "$ref is not supported"),
    ("$schema", "$schema is not supported"),
];

/// What is wrong with a schema at `path`.
pub fn check(schema: &Value, path: &str) -> Vec<Cause> {
    let mut check = Check { causes: Vec::new() };
    check.part(schema, Level::Root, path, 0);
    check.causes.sort_by(|a, b| (&a.field, &a.message).cmp(&(&b.field, &b.message)));
    check.causes
}

struct Check {
    causes: Vec<Cause>,
}

fn flag(map: &Map<String, Value>, key: &str) -> bool {
    map.get(key) == Some(&Value::Bool(true))
}

impl Check {
    fn part(&mut self, schema: &Value, level: Level, path: &str, depth: usize) {
        let Value::Object(map) = schema else { return };
        if depth > DEPTH_MAX {
            self.causes.push(Cause::forbidden(path, "nests too deep"));
            return;
        }
        self.forbidden(map, path);
        self.kind(map, level, path);
        self.list(map, path);
        self.extensions(map, path);
        match map.get("items") {
            Some(Value::Array(_)) => self.causes.push(Cause::forbidden(format!("{path}.items"), "items must be a schema object and not an array")),
            Some(inner) => self.part(inner, Level::Item, &format!("{path}.items"), depth + 1),
            None if map.get("type") == Some(&"array".into()) => self.causes.push(Cause::required(format!("{path}.items"), "must be specified")),
            None => {}
        }
        self.fields(map, level, path, depth);
        self.junctors(map, path, depth);
    }

    fn forbidden(&mut self, map: &Map<String, Value>, path: &str) {
        for (key, why) in FORBIDDEN.iter().filter(|(key, _)| map.get(*key).is_some_and(|v| !v.is_null() && *v != json!({}))) {
            self.causes.push(Cause::forbidden(format!("{path}.{key}"), why));
        }
        if flag(map, "uniqueItems") {
            self.causes
                .push(Cause::forbidden(format!("{path}.uniqueItems"), "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"));
        }
        if map.contains_key("properties") && map.contains_key("additionalProperties") {
            self.causes.push(Cause::forbidden(format!("{path}.additionalProperties"), "additionalProperties and properties are mutual exclusive"));
        }
        if map.get("additionalProperties") == Some(&Value::Bool(false)) {
            self.causes.push(Cause::forbidden(format!("{path}.additionalProperties"), "additionalProperties cannot be set to false"));
        }
    }

    fn kind(&mut self, map: &Map<String, Value>, level: Level, path: &str) {
        let at = format!("{path}.type");
        let embedded = flag(map, "x-kubernetes-embedded-resource");
        match map.get("type").and_then(Value::as_str).unwrap_or_default() {
            "" if embedded => self.causes.push(Cause::required(at, "must be object if x-kubernetes-embedded-resource is true")),
            "" if flag(map, "x-kubernetes-int-or-string") || flag(map, "x-kubernetes-preserve-unknown-fields") => {}
            "" => {
                let why = match level {
                    Level::Root => "must not be empty at the root",
                    Level::Item => "must not be empty for specified array items",
                    Level::Field => "must not be empty for specified object fields",
                };
                self.causes.push(Cause::required(at, why));
            }
            kind if !TYPES.contains(&kind) => self.causes.push(Cause::not_supported(at, &kind.into(), &TYPES)),
            kind if level == Level::Root && kind != "object" => self.causes.push(Cause::invalid(at, &kind.into(), "must be object at the root")),
            kind if embedded && kind != "object" => {
                self.causes.push(Cause::invalid(at, &kind.into(), "must be object if x-kubernetes-embedded-resource is true"));
            }
            _ => {}
        }
    }

    fn list(&mut self, map: &Map<String, Value>, path: &str) {
        let kind = map.get("type").and_then(Value::as_str).unwrap_or_default();
        let list = map.get("x-kubernetes-list-type").and_then(Value::as_str);
        let at = format!("{path}.x-kubernetes-list-type");
        let keys: Vec<&str> = map.get("x-kubernetes-list-map-keys").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        match list {
            None => {}
            Some(other) if !matches!(other, "atomic" | "set" | "map") => self.causes.push(Cause::not_supported(&at, &other.into(), &["atomic", "map", "set"])),
            Some(_) if kind != "array" => {
                self.causes.push(Cause::invalid(format!("{path}.type"), &kind.into(), "must be array if x-kubernetes-list-type is specified"))
            }
            Some("map") if keys.is_empty() => {
                self.causes.push(Cause::required(format!("{path}.x-kubernetes-list-map-keys"), "must not be empty if x-kubernetes-list-type is map"));
            }
            Some("map") => self.map_keys(map, &keys, path),
            Some(_) => {}
        }
        if list != Some("map") && !keys.is_empty() {
            self.causes.push(Cause::required(at, "must be map if x-kubernetes-list-map-keys is non-empty"));
        }
        if let Some(other) = map.get("x-kubernetes-map-type").and_then(Value::as_str) {
            let at = format!("{path}.x-kubernetes-map-type");
            if !matches!(other, "atomic" | "granular") {
                self.causes.push(Cause::not_supported(at, &other.into(), &["atomic", "granular"]));
            } else if kind != "object" {
                self.causes.push(Cause::invalid(format!("{path}.type"), &kind.into(), "must be object if x-kubernetes-map-type is specified"));
            }
        }
    }

    /// The keys of a list of maps are fields of its items, with a value in each.
    fn map_keys(&mut self, map: &Map<String, Value>, keys: &[&str], path: &str) {
        let items = map.get("items").and_then(Value::as_object);
        if items.and_then(|i| i.get("type")).and_then(Value::as_str) != Some("object") {
            self.causes.push(Cause::invalid(format!("{path}.items.type"), &Value::Null, "must be object if parent array's x-kubernetes-list-type is map"));
            return;
        }
        let fields = items.and_then(|i| i.get("properties")).and_then(Value::as_object);
        let required = |key: &str| items.and_then(|i| i.get("required")).and_then(Value::as_array).is_some_and(|r| r.iter().any(|r| r == key));
        for (i, key) in keys.iter().enumerate() {
            let Some(field) = fields.and_then(|f| f.get(*key)) else {
                let why = "entries must all be names of item properties";
                self.causes.push(Cause::invalid(format!("{path}.x-kubernetes-list-map-keys[{i}]"), &(*key).into(), why));
                continue;
            };
            if keys.get(..i).is_some_and(|before| before.contains(key)) {
                self.causes.push(Cause::duplicate(format!("{path}.x-kubernetes-list-map-keys[{i}]"), &(*key).into()));
            }
            if matches!(field["type"].as_str(), Some("object" | "array")) {
                let why = "entry must be an object property with a scalar type";
                self.causes.push(Cause::invalid(format!("{path}.items.properties[{key}].type"), &field["type"], why));
            }
            if !required(key) && field.get("default").is_none_or(Value::is_null) {
                let why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
                self.causes.push(Cause::required(format!("{path}.items.properties[{key}].default"), why));
            }
        }
    }

    fn extensions(&mut self, map: &Map<String, Value>, path: &str) {
        for (key, needs_type) in [("x-kubernetes-preserve-unknown-fields", false), ("x-kubernetes-embedded-resource", true)] {
            if flag(map, "x-kubernetes-int-or-string") && flag(map, key) {
                self.causes.push(Cause::invalid(format!("{path}.{key}"), &true.into(), "must be false if x-kubernetes-int-or-string is true"));
            }
            if needs_type && flag(map, key) && map.contains_key("additionalProperties") {
                self.causes.push(Cause::forbidden(format!("{path}.additionalProperties"), "must not be used if x-kubernetes-embedded-resource is set"));
            }
        }
        let known = flag(map, "x-kubernetes-preserve-unknown-fields") || map.get("properties").and_then(Value::as_object).is_some_and(|p| !p.is_empty());
        if flag(map, "x-kubernetes-embedded-resource") && !known {
            let why = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
            self.causes.push(Cause::required(format!("{path}.properties"), why));
        }
        if map.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(false)) {
            let why = "must be true or undefined";
            self.causes.push(Cause::invalid(format!("{path}.x-kubernetes-preserve-unknown-fields"), &false.into(), why));
        }
        if let Some(pattern) = map.get("pattern").and_then(Value::as_str)
            && let Err(e) = super::Schema::parse(&json!({ "pattern": pattern }))
        {
            self.causes.push(Cause::invalid(format!("{path}.pattern"), &pattern.into(), e.why));
        }
    }

    fn fields(&mut self, map: &Map<String, Value>, level: Level, path: &str, depth: usize) {
        for (field, inner) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let at = format!("{path}.properties[{field}]");
            let of_object = level == Level::Root || flag(map, "x-kubernetes-embedded-resource");
            match field.as_str() {
                "metadata" if level == Level::Root => self.metadata(inner, &at),
                "apiVersion" | "kind" if of_object && inner["type"] != "string" => {
                    self.causes.push(Cause::invalid(format!("{at}.type"), &inner["type"], "must be string"));
                }
                _ => self.part(inner, Level::Field, &at, depth + 1),
            }
        }
        match map.get("additionalProperties") {
            Some(_) if level == Level::Root => self.causes.push(Cause::forbidden(format!("{path}.additionalProperties"), "must not be used at the root")),
            Some(inner @ Value::Object(_)) => self.part(inner, Level::Field, &format!("{path}.additionalProperties"), depth + 1),
            _ => {}
        }
    }

    /// At the root, metadata is what it is for every object; only its names may be constrained.
    fn metadata(&mut self, schema: &Value, path: &str) {
        if schema["type"] != "object" {
            self.causes.push(Cause::invalid(format!("{path}.type"), &schema["type"], "must be object"));
        }
        let names = |fields: &Map<String, Value>| fields.keys().all(|k| matches!(k.as_str(), "name" | "generateName"));
        let known = schema.as_object().is_none_or(|map| {
            map.iter().all(|(key, value)| match key.as_str() {
                "type" | "description" => true,
                "properties" => value.as_object().is_none_or(names),
                _ => false,
            })
        });
        if !known {
            let why = "must not specify anything other than name and generateName, but metadata is implicitly specified";
            self.causes.push(Cause::forbidden(path, why));
        }
    }

    fn junctors(&mut self, map: &Map<String, Value>, path: &str, depth: usize) {
        for key in ["allOf", "anyOf", "oneOf"] {
            for (i, inner) in map.get(key).and_then(Value::as_array).into_iter().flatten().enumerate() {
                // a number or a text is written as these two
                let number_or_text = flag(map, "x-kubernetes-int-or-string") && is_number_or_text(inner, key);
                if !number_or_text {
                    self.nested(inner, &format!("{path}.{key}[{i}]"), depth + 1);
                }
            }
        }
        map.get("not").into_iter().for_each(|inner| self.nested(inner, &format!("{path}.not"), depth + 1));
    }

    fn nested(&mut self, schema: &Value, path: &str, depth: usize) {
        let Value::Object(map) = schema else { return };
        if depth > DEPTH_MAX {
            self.causes.push(Cause::forbidden(path, "nests too deep"));
            return;
        }
        self.forbidden(map, path);
        if map.get("type").and_then(Value::as_str).is_some_and(|t| !t.is_empty()) {
            self.causes.push(Cause::forbidden(format!("{path}.type"), "must be empty to be structural"));
        }
        for (key, why) in NESTED.iter().filter(|(key, _)| map.get(*key).is_some_and(|v| !v.is_null() && *v != false && *v != "")) {
            self.causes.push(Cause::forbidden(format!("{path}.{key}"), why));
        }
        for key in ["x-kubernetes-list-map-keys", "x-kubernetes-validations"] {
            if map.get(key).and_then(Value::as_array).is_some_and(|list| !list.is_empty()) {
                self.causes.push(Cause::forbidden(format!("{path}.{key}"), "must be empty to be structural"));
            }
        }
        for (field, inner) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let at = format!("{path}.properties[{field}]");
            if field == "metadata" {
                self.causes.push(Cause::forbidden(&at, "must not be specified in a nested context"));
            }
            self.nested(inner, &at, depth + 1);
        }
        map.get("items").into_iter().for_each(|inner| self.nested(inner, &format!("{path}.items"), depth + 1));
        self.junctors(map, path, depth);
    }
}

/// Whether a nested schema is one of the two that say of a field that it is a number or a text.
fn is_number_or_text(schema: &Value, key: &str) -> bool {
    let plain = |s: &Value| *s == json!({"type": "integer"}) || *s == json!({"type": "string"});
    match key {
        "anyOf" => plain(schema),
        "allOf" => schema["anyOf"].as_array().is_some_and(|all| all.iter().all(plain)),
        _ => false,
    }
}
