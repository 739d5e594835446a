use super::{Rules, definition, evaluate};
use crate::custom::schema::Schema;
use serde_json::{Value, json};

fn schema(raw: &Value) -> Schema {
    Schema::parse(raw).unwrap()
}

/// A resource's schema with one field, `spec`.
fn with_spec(spec: &Value) -> Schema {
    schema(&json!({"type": "object", "properties": {"spec": spec}}))
}

fn checked(spec: &Value) -> Vec<String> {
    definition::check(&with_spec(spec), "s", true).into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect()
}

fn evaluated(spec: &Value, new: &Value, old: Option<&Value>) -> Vec<String> {
    assert_eq!(checked(spec), Vec::<String>::new());
    let rules = Rules::of(&with_spec(spec)).unwrap();
    let object = |spec: &Value| json!({"metadata": {"name": "x"}, "spec": spec}).as_object().unwrap().clone();
    let old = old.map(object);
    evaluate(&rules, &object(new), old.as_ref()).into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect()
}

fn replicas(rule: &Value) -> Value {
    json!({"type": "object", "properties": {"replicas": {"type": "integer"}, "max": {"type": "integer"}}, "x-kubernetes-validations": [rule]})
}

#[test]
fn what_a_rule_refuses_is_said_as_kubernetes_says_it() {
    let spec = replicas(&json!({"rule": "self.replicas <= self.max"}));
    assert_eq!(evaluated(&spec, &json!({"replicas": 3, "max": 2}), None), ["spec: Invalid value: failed rule: self.replicas <= self.max"]);
    assert!(evaluated(&spec, &json!({"replicas": 1, "max": 2}), None).is_empty());
    let named = replicas(&json!({"rule": "self.replicas <= self.max", "message": " too many ", "fieldPath": ".replicas", "reason": "FieldValueForbidden"}));
    assert_eq!(evaluated(&named, &json!({"replicas": 3, "max": 2}), None), ["spec.replicas: Forbidden: too many"]);
    let told = replicas(&json!({"rule": "self.replicas <= self.max", "messageExpression": "'at most %d'.format([self.max])"}));
    assert_eq!(evaluated(&told, &json!({"replicas": 3, "max": 2}), None), ["spec: Invalid value: at most 2"]);
    let absent = evaluated(&spec, &json!({"max": 2}), None);
    assert_eq!(absent, ["spec: Invalid value: \"object\": no such key: replicas evaluating rule: self.replicas <= self.max"]);
    let scalar = json!({"type": "object", "properties": {"n": {"type": "integer", "x-kubernetes-validations": [{"rule": "self < 5", "message": "less"}]}}});
    assert_eq!(evaluated(&scalar, &json!({"n": 7}), None), ["spec.n: Invalid value: 7: less"]);
}

#[test]
fn rules_of_the_root_see_its_metadata() {
    let root = schema(&json!({"type": "object", "x-kubernetes-validations": [{"rule": "self.metadata.name.startsWith('a')", "message": "starts with a"}]}));
    let rules = Rules::of(&root).unwrap();
    let causes = evaluate(&rules, json!({"metadata": {"name": "b"}}).as_object().unwrap(), None);
    assert_eq!((&*causes[0].field, &*causes[0].message), ("<nil>", "Invalid value: starts with a"));
}

#[test]
fn rules_that_compare_hold_for_what_was_there() {
    let fixed =
        json!({"type": "object", "properties": {"n": {"type": "integer", "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "fixed"}]}}});
    assert!(evaluated(&fixed, &json!({"n": 1}), None).is_empty());
    assert!(evaluated(&fixed, &json!({"n": 1}), Some(&json!({}))).is_empty());
    assert!(evaluated(&fixed, &json!({"n": 1}), Some(&json!({"n": 1}))).is_empty());
    assert_eq!(evaluated(&fixed, &json!({"n": 1}), Some(&json!({"n": 2}))), ["spec.n: Invalid value: 1: fixed"]);
    let optional = json!({"rule": "oldSelf.hasValue() || self.replicas == 0", "message": "starts at 0", "optionalOldSelf": true});
    assert_eq!(evaluated(&replicas(&optional), &json!({"replicas": 1}), None), ["spec: Invalid value: starts at 0"]);
    assert!(evaluated(&replicas(&optional), &json!({"replicas": 1}), Some(&json!({"replicas": 0}))).is_empty());
}

#[test]
fn items_with_keys_are_compared_with_those_of_the_same() {
    let item = json!({
        "type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "n": {"type": "integer"}},
        "x-kubernetes-validations": [{"rule": "self.n >= oldSelf.n", "message": "grows"}],
    });
    let list = json!({"type": "object", "properties": {"l": {
        "type": "array", "maxItems": 10, "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
    }}});
    let old = json!({"l": [{"name": "a", "n": 5}, {"name": "b", "n": 1}]});
    assert_eq!(evaluated(&list, &json!({"l": [{"name": "b", "n": 2}, {"name": "a", "n": 4}]}), Some(&old)), ["spec.l[1]: Invalid value: grows"]);
    let atomic = json!({"type": "object", "properties": {"l": {"type": "array", "maxItems": 10, "items": item}}});
    assert_eq!(
        checked(&atomic),
        [
            "s.properties[spec].properties[l].items.x-kubernetes-validations[0].rule: Invalid value: \"self.n >= oldSelf.n\": oldSelf cannot be used on the uncorrelatable portion of the schema within s.properties[spec].properties[l]"
        ]
    );
}

#[test]
fn what_stays_as_it_was_may_be_wrong() {
    let spec = replicas(&json!({"rule": "self.replicas < 5"}));
    assert!(evaluated(&spec, &json!({"replicas": 7}), Some(&json!({"replicas": 7}))).is_empty());
    assert_eq!(evaluated(&spec, &json!({"replicas": 8}), Some(&json!({"replicas": 7}))).len(), 1);
}

#[test]
fn a_definition_says_where_its_rules_are_wrong() {
    let at = "s.properties[spec].x-kubernetes-validations[0]";
    let first = |rule: Value| checked(&replicas(&rule)).into_iter().next().unwrap_or_default();
    let of = |rule: &str, more: &str| {
        format!(
            "{at}.rule: Invalid value: apiextensions.ValidationRule{{Rule:\"{rule}\", Message:\"\", MessageExpression:\"{more}\", Reason:(*apiextensions.FieldValueErrorReason)(nil), FieldPath:\"\", OptionalOldSelf:(*bool)(nil)}}"
        )
    };
    assert_eq!(
        first(json!({"rule": "self.none > 0"})),
        format!("{}: compilation failed: ERROR: <input>:1:5: undefined field 'none'\n | self.none > 0\n | ....^", of("self.none > 0", ""))
    );
    assert_eq!(first(json!({"rule": "self.max"})), format!("{}: cel expression must evaluate to a bool", of("self.max", "")));
    assert!(first(json!({"rule": "true", "messageExpression": "self.max"})).ends_with(": messageExpression must evaluate to a string"));
    assert_eq!(first(json!({"rule": " "})), format!("{at}.rule: Required value: rule is not specified"));
    assert_eq!(first(json!({"rule": "true", "message": "a\nb"})), format!("{at}.message: Invalid value: \"a\\nb\": must not contain line breaks"));
    assert_eq!(first(json!({"rule": "true\n", "fieldPath": ".none"})), format!("{at}.fieldPath: Invalid value: \".none\": must be a valid path"));
    assert!(
        first(json!({"rule": "true", "reason": "Other"}))
            .starts_with(&format!("{at}.reason: Unsupported value: \"Other\": supported values: \"FieldValueDuplicate\""))
    );
    assert_eq!(
        first(json!({"rule": "true", "optionalOldSelf": true})),
        format!("{at}.optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule")
    );
}

#[test]
fn costly_rules_are_refused() {
    let list = |max: Option<u64>| {
        let mut list = json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-validations": [{"rule": "self.all(a, self.all(b, a == b))"}]});
        if let Some(max) = max {
            list["maxItems"] = max.into();
            list["items"]["maxLength"] = 10.into();
        }
        json!({"type": "object", "properties": {"l": list}})
    };
    assert!(checked(&list(Some(100))).is_empty());
    let causes = checked(&list(None));
    assert!(
        causes[0].starts_with(
            "s.properties[spec].properties[l].x-kubernetes-validations[0].rule: Forbidden: estimated rule cost exceeds budget by factor of more than 100x"
        ),
        "{causes:?}"
    );
    assert!(
        causes.last().unwrap().starts_with("s: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget"),
        "{causes:?}"
    );
}

#[test]
fn fields_are_known_by_escaped_names_and_formats() {
    let spec = json!({
        "type": "object",
        "properties": {
            "my-field": {"type": "string"}, "namespace": {"type": "string"}, "at": {"type": "string", "format": "date-time"},
            "port": {"x-kubernetes-int-or-string": true}, "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "set": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        },
        "x-kubernetes-validations": [{"rule": "self.my__dash__field == 'x' && self.__namespace__ == 'n' && self.at < timestamp('2021-01-01T00:00:00Z') && (type(self.port) == int ? self.port < 5 : false) && self.labels['a.b'] == 'c' && self.set == ['b', 'a']"}],
    });
    let new = json!({"my-field": "x", "namespace": "n", "at": "2020-01-01T00:00:00Z", "port": 3, "labels": {"a.b": "c"}, "set": ["a", "b"]});
    assert_eq!(evaluated(&spec, &new, None), Vec::<String>::new());
}

#[test]
fn an_object_has_one_budget() {
    let item = json!({"type": "integer", "x-kubernetes-validations": [{"rule": "lists.range(200).all(x, lists.range(200).all(y, x + y >= 0)) && self > 0", "message": "m"}]});
    let list = with_spec(&json!({"type": "array", "maxItems": 200, "items": item}));
    let rules = Rules::of(&list).unwrap();
    let object = json!({"spec": vec![1; 200]});
    let causes = evaluate(&rules, object.as_object().unwrap(), None);
    assert_eq!(causes.len(), 1);
    assert!(causes[0].message.contains("running out of cost budget"), "{}", causes[0].message);
}
