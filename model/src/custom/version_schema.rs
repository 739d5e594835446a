//! What is refused of the schema of one version of a definition (`validateCustomResourceDefinitionValidation`).
use super::expressions::{self, Rules};
use super::schema::{Schema, Values};
use super::{prune, structural, validate};
use crate::error::Cause;
use cel::PER_OBJECT;
use serde_json::{Map, Value};

/// What is wrong with the schema of a version at `path`. Rules in CEL are compiled where the schema and its defaults are right: types come from it.
pub(super) fn check(version: &Value, path: &str) -> Vec<Cause> {
    let at = format!("{path}.schema.openAPIV3Schema");
    let Some(raw) = version.pointer("/schema/openAPIV3Schema").filter(|schema| schema.is_object()) else {
        return vec![Cause::required(at, "schemas are required")];
    };
    let has_status = version.pointer("/subresources/status").is_some_and(|status| !status.is_null());
    let mut causes = match structural::check(raw, has_status, &at) {
        Ok(causes) => causes,
        Err(too_deep) => return vec![too_deep],
    };
    match Schema::parse(raw) {
        Ok(schema) => {
            if causes.is_empty() {
                let mut left = PER_OBJECT;
                defaults(&schema, &at, &mut left, &mut causes);
            }
            let compile = causes.is_empty();
            causes.extend(expressions::definition::check(&schema, &at, compile));
        }
        Err(e) if causes.is_empty() => causes.push(Cause::invalid(format!("{at}.{}", e.path), &Value::Null, e.why)),
        Err(_) => {}
    }
    causes
}

/// Defaults are what the schema and its rules accept, and have nothing that it doesn't know. The rules of all of them together cost `left` at most.
fn defaults(schema: &Schema, path: &str, left: &mut u64, causes: &mut Vec<Cause>) {
    if let Some(value) = &schema.default {
        causes.extend(default(value, schema, path, left));
    }
    schema.items.iter().for_each(|inner| defaults(inner, &format!("{path}.items"), left, causes));
    for (field, inner) in &schema.properties {
        defaults(inner, &format!("{path}.properties[{field}]"), left, causes);
    }
    if let Some(Values::Schema(inner)) = &schema.values {
        defaults(inner, &format!("{path}.additionalProperties"), left, causes);
    }
}

fn default(value: &Value, schema: &Schema, path: &str, left: &mut u64) -> Vec<Cause> {
    let key = "default";
    let whole = Map::from_iter([(key.to_owned(), value.clone())]);
    let holder = Schema { properties: [(key.into(), schema.clone())].into_iter().collect(), ..Schema::default() };
    let mut causes = Vec::new();
    if !prune(&mut whole.clone(), &holder).is_empty() {
        causes.push(Cause::invalid(format!("{path}.{key}"), value, "must not have unknown fields"));
    }
    let refused = validate(&whole, &holder);
    let valid = refused.is_empty();
    causes.extend(refused.into_iter().map(|cause| Cause { field: format!("{path}.{}", cause.field), ..cause }));
    if let Some(rules) = Rules::of_part(schema).filter(|_| valid) {
        // it holds for an object that is new as well as for one that stays as it is
        let at = format!("{path}.{key}");
        let refused = [None, Some(value)].into_iter().map(|old| expressions::evaluate_part(&rules, value, old, &at, left)).find(|causes| !causes.is_empty());
        causes.extend(refused.unwrap_or_default());
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn checked(spec: &Value) -> Vec<String> {
        let schema = json!({"schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}});
        let at = "v.schema.openAPIV3Schema.properties[spec].";
        check(&schema, "v").into_iter().map(|cause| format!("{}: {}", cause.field.strip_prefix(at).unwrap_or(&cause.field), cause.message)).collect()
    }

    #[test]
    fn defaults_are_what_the_schema_accepts() {
        let rule = |rule: &str| json!([{"rule": rule, "message": "no"}]);
        let object = |default: Value, more: Value| {
            let mut schema = json!({"type": "object", "default": default, "properties": {"a": {"type": "integer"}}});
            schema.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            schema
        };
        let grows = json!({"rule": "oldSelf.hasValue() || self.a == 0", "message": "starts at 0", "optionalOldSelf": true});
        let cases: [(Value, &[&str]); 9] = [
            (object(json!({"a": 1}), json!({})), &[]),
            (object(json!({"b": 1}), json!({})), &["default: Invalid value: {\"b\":1}: must not have unknown fields"]),
            (object(json!({"a": "x"}), json!({})), &["default.a: Invalid value: \"string\": default.a in body must be of type integer: \"string\""]),
            (object(json!({}), json!({"required": ["a"]})), &["default.a: Required value"]),
            (object(json!({"a": 1}), json!({"x-kubernetes-validations": rule("self.a > 1")})), &["default: Invalid value: no"]),
            (object(json!({"a": 2}), json!({"x-kubernetes-validations": rule("self.a > 1")})), &[]),
            (object(json!({"a": 2}), json!({"x-kubernetes-validations": rule("self.a > oldSelf.a")})), &["default: Invalid value: no"]),
            (object(json!({"a": 2}), json!({"x-kubernetes-validations": [grows]})), &["default: Invalid value: starts at 0"]),
            (
                json!({"type": "array", "items": {"type": "integer", "default": 1, "x-kubernetes-validations": rule("self > 1")}}),
                &["items.default: Invalid value: 1: no"],
            ),
        ];
        for (spec, want) in cases {
            assert_eq!(checked(&spec), want, "{spec}");
        }
    }

    #[test]
    fn rules_beneath_junctors_are_refused_with_what_is_wrong_with_them() {
        let nested = json!([{"x-kubernetes-validations": [{"rule": ""}]}]);
        assert_eq!(
            checked(&json!({"type": "string", "allOf": nested, "x-kubernetes-validations": [{"rule": "nothing"}]})),
            [
                "allOf[0].x-kubernetes-validations: Forbidden: must be empty to be structural",
                "allOf[0].x-kubernetes-validations[0].rule: Required value: rule is not specified"
            ],
            "the other rule isn't compiled"
        );
    }
}
