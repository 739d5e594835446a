use super::check;
use serde_json::{Value, json};

/// What is wrong with a schema, without the place of the whole.
fn wrong(schema: &Value, has_status: bool) -> Vec<String> {
    let causes = check(schema, has_status, "s").unwrap_or_else(|cause| vec![cause]);
    causes.into_iter().map(|cause| format!("{}: {}", cause.field.strip_prefix("s.").unwrap_or(&cause.field), cause.message)).collect()
}

/// What is wrong with a schema whose field `a` is this.
fn of_field(field: &Value) -> Vec<String> {
    let causes = wrong(&json!({"type": "object", "properties": {"a": field}}), false);
    causes.into_iter().map(|cause| cause.trim_start_matches("properties[a].").to_owned()).collect()
}

#[test]
fn nothing_of_a_values_form_stands_beneath_junctors() {
    let cases = [
        ("default", json!(false), "must be undefined"),
        ("default", json!(""), "must be undefined"),
        ("description", json!("d"), "must be empty"),
        ("nullable", json!(true), "must be false"),
        ("title", json!("t"), "must be empty"),
        ("type", json!("string"), "must be empty"),
        ("x-kubernetes-embedded-resource", json!(true), "must be false"),
        ("x-kubernetes-int-or-string", json!(true), "must be false"),
        ("x-kubernetes-preserve-unknown-fields", json!(true), "must be false"),
        ("x-kubernetes-validations", json!([{"rule": "true"}]), "must be empty"),
        ("additionalProperties", json!(true), "must be undefined"),
        ("additionalProperties", json!({"type": "string"}), "must be undefined"),
    ];
    for (key, value, why) in cases {
        let nested = json!({ key: value });
        let beneath = [
            ("allOf[0]", json!({"allOf": [nested]})),
            ("anyOf[0]", json!({"anyOf": [nested]})),
            ("oneOf[0]", json!({"oneOf": [nested]})),
            ("not", json!({"not": nested})),
            ("allOf[0].not.items.properties[x]", json!({"allOf": [{"not": {"items": {"properties": {"x": nested}}}}]})),
            ("anyOf[0].allOf[1]", json!({"anyOf": [{"allOf": [{}, nested]}]})),
        ];
        for (place, junctors) in beneath {
            let mut field = json!({"type": "string"});
            field.as_object_mut().unwrap().extend(junctors.as_object().unwrap().clone());
            assert_eq!(of_field(&field), [format!("{place}.{key}: Forbidden: {why} to be structural")], "{field}");
        }
    }
    let said =
        json!({"minLength": 1, "externalDocs": {"url": "u"}, "example": 1, "nullable": false, "default": null, "additionalProperties": false, "type": ""});
    assert_eq!(of_field(&json!({"type": "string", "allOf": [said], "not": {"enum": ["a"]}})), Vec::<String>::new());
    let metadata = json!({"type": "object", "properties": {"metadata": {"type": "object"}}, "not": {"properties": {"metadata": {}}}});
    assert_eq!(of_field(&metadata), ["not.properties[metadata]: Forbidden: must not be specified in a nested context"]);
}

#[test]
fn a_number_or_a_text_is_said_with_types() {
    let both = json!([{"type": "integer"}, {"type": "string"}]);
    let of = |more: Value| {
        let mut field = json!({"x-kubernetes-int-or-string": true});
        field.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        of_field(&field).len()
    };
    let cases = [
        (json!({}), 0),
        (json!({"anyOf": both}), 0),
        (json!({"allOf": [{"anyOf": both}, {"minLength": 1}]}), 0),
        (json!({"anyOf": [{"type": "string"}, {"type": "integer"}]}), 2),
        (json!({"anyOf": [{"type": "integer"}]}), 1),
        (json!({"oneOf": both}), 2),
        (json!({"allOf": [{"minLength": 1}, {"anyOf": both}]}), 2),
        (json!({"allOf": [{"anyOf": both, "not": {"type": "string"}}]}), 1),
    ];
    for (more, want) in cases {
        assert_eq!(of(more.clone()), want, "{more}");
    }
}

#[test]
fn what_the_root_constrains_is_known() {
    let of = |junctors: Value| {
        let mut schema =
            json!({"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "array", "items": {"type": "string"}}}}}});
        schema.as_object_mut().unwrap().extend(junctors.as_object().unwrap().clone());
        wrong(&schema, false)
    };
    let required = |place: &str, path: &str| vec![format!("{place}: Required value: because it is defined in s.{path}")];
    let cases = [
        (json!({"allOf": [{"properties": {"a": {"properties": {"b": {"items": {"minLength": 1}}}}}}]}), Vec::new()),
        (json!({"not": {"properties": {"c": {}}}}), required("properties[c]", "not.properties[c]")),
        (json!({"anyOf": [{"items": {}}]}), required("items", "anyOf[0].items")),
        (
            json!({"oneOf": [{"properties": {"a": {"allOf": [{}, {"properties": {"c": {}}}]}}}]}),
            required("properties[a].properties[c]", "oneOf[0].properties[a].allOf[1].properties[c]"),
        ),
    ];
    for (junctors, want) in cases {
        assert_eq!(of(junctors.clone()), want, "{junctors}");
    }
    // Kubernetes looks at the root alone
    assert_eq!(of_field(&json!({"type": "object", "not": {"properties": {"c": {}}}})), Vec::<String>::new());
}

#[test]
fn parts_have_types() {
    let embedded = "must be object if x-kubernetes-embedded-resource is true";
    let cases: [(Value, &[&str]); 10] = [
        (json!({}), &["type: Required value: must not be empty for specified object fields"]),
        (json!({"type": "array"}), &["items: Required value: must be specified"]),
        (json!({"type": "array", "items": {}}), &["items.type: Required value: must not be empty for specified array items"]),
        (json!({"type": "object", "additionalProperties": {}}), &["additionalProperties.type: Required value: must not be empty for specified object fields"]),
        (json!({"x-kubernetes-preserve-unknown-fields": true}), &[]),
        (json!({"x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true}), &[&format!("type: Required value: {embedded}")]),
        (
            json!({"type": "object", "x-kubernetes-embedded-resource": true, "properties": {"metadata": {"type": "string"}, "kind": {"type": "object"}}}),
            &["properties[kind].type: Invalid value: \"object\": must be string", "properties[metadata].type: Invalid value: \"string\": must be object"],
        ),
        (
            json!({"x-kubernetes-int-or-string": true, "x-kubernetes-preserve-unknown-fields": true}),
            &["x-kubernetes-preserve-unknown-fields: Invalid value: true: must be false if x-kubernetes-int-or-string is true"],
        ),
        (json!({"type": "object", "properties": {"x": {"type": "string"}}, "additionalProperties": true}), &[]),
        (
            json!({"type": "null"}),
            &[
                "type: Unsupported value: \"null\": supported values: \"array\", \"boolean\", \"integer\", \"number\", \"object\", \"string\"",
                "type: Forbidden: type cannot be set to null, use nullable as an alternative",
            ],
        ),
    ];
    for (field, want) in cases {
        assert_eq!(of_field(&field), want, "{field}");
    }
}

#[test]
fn lists_with_keys_and_sets() {
    let items = json!({"type": "object", "properties": {"k": {"type": "string"}, "o": {"type": "object"}}, "required": ["k", "o"]});
    let map = |keys: Value| json!({"type": "array", "items": items, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys});
    let keys = "x-kubernetes-list-map-keys: Invalid value:";
    let atomic = "must be atomic as item of a list with x-kubernetes-list-type=set";
    let cases: [(Value, &[&str]); 11] = [
        (map(json!(["k"])), &[]),
        (map(json!([])), &["x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map"]),
        (map(json!(["x"])), &[&format!("{keys} [\"x\"]: entries must all be names of item properties")]),
        (map(json!(["k", "k"])), &[&format!("{keys} [\"k\",\"k\"]: must not contain duplicate entries")]),
        (map(json!(["o"])), &["items.properties[o].type: Invalid value: \"object\": must be a scalar type if parent array's x-kubernetes-list-type is map"]),
        (
            json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-map-keys": ["k"]}),
            &["x-kubernetes-list-type: Required value: must be map if x-kubernetes-list-map-keys is non-empty"],
        ),
        (
            json!({"type": "array", "items": {"type": "object", "properties": {"k": {"type": "string", "nullable": true}}},
                "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}),
            &[
                "items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
                "items.properties[k].nullable: Forbidden: this property is in x-kubernetes-list-map-keys, so it cannot be nullable",
            ],
        ),
        (
            json!({"type": "array", "items": {"type": "string", "nullable": true}, "x-kubernetes-list-type": "set"}),
            &["items.nullable: Forbidden: cannot be nullable when x-kubernetes-list-type is set"],
        ),
        (
            json!({"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "set"}),
            &[&format!("items.x-kubernetes-map-type: Invalid value: null: {atomic}")],
        ),
        (
            json!({"type": "object", "x-kubernetes-list-type": "bag"}),
            &[
                "type: Invalid value: \"object\": must be array if x-kubernetes-list-type is specified",
                "x-kubernetes-list-type: Unsupported value: \"bag\": supported values: \"atomic\", \"set\", \"map\"",
            ],
        ),
        (
            json!({"x-kubernetes-int-or-string": true, "x-kubernetes-map-type": "atomic"}),
            &["type: Required value: must be object if x-kubernetes-map-type is specified"],
        ),
    ];
    for (field, want) in cases {
        assert_eq!(of_field(&field), want, "{field}");
    }
}

#[test]
fn words_that_custom_resources_have_not() {
    for (key, value) in [
        ("id", json!("x")),
        ("$ref", json!("#")),
        ("definitions", json!({"x": {}})),
        ("dependencies", json!({})),
        ("patternProperties", json!({"x": {}})),
        ("additionalItems", json!(true)),
    ] {
        let field = json!({"type": "string", "not": {key: value}});
        assert_eq!(of_field(&field), [format!("not.{key}: Forbidden: {key} is not supported")]);
    }
    let whole = |schema: &Value| wrong(schema, false);
    let of = |more: Value| json!({"type": "object", "properties": {"a": more}});
    assert_eq!(whole(&of(json!({"type": "string", "$schema": "x"}))), ["s: Invalid value: \"\": OpenAPIV3Schema 'schema' is not supported"]);
    assert_eq!(
        whole(&of(json!({"type": "object", "x-kubernetes-preserve-unknown-fields": false}))),
        ["properties[a].x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined"]
    );
    let deep = (0..200).fold(json!({"type": "string"}), |inner, _| json!({"type": "array", "items": inner}));
    assert!(whole(&of(deep))[0].ends_with("Forbidden: nests too deep"));
}

#[test]
fn the_root_is_an_object_with_metadata_of_its_own() {
    let metadata = |metadata: Value| json!({"type": "object", "properties": {"metadata": metadata}});
    let more = "properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified";
    let status = |what: &str| format!("s: Invalid value: only [{what}] fields are allowed at the root of the schema if the status subresource is enabled");
    let allowed = "Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields XValidations";
    let name = json!({"name": {"type": "string", "maxLength": 10}});
    let cases = [
        (json!({}), false, vec!["type: Required value: must not be empty at the root".to_owned()]),
        (json!({"type": "string"}), false, vec!["type: Invalid value: \"string\": must be object at the root".to_owned()]),
        (json!({"type": "object", "additionalProperties": true}), false, vec!["additionalProperties: Forbidden: must not be used at the root".to_owned()]),
        (json!({"type": "object", "nullable": true}), false, vec!["nullable: Forbidden: nullable cannot be true at the root".to_owned()]),
        (metadata(json!({"type": "object", "properties": name})), false, Vec::new()),
        (metadata(json!({"type": "object", "properties": {"labels": {"type": "object"}}})), false, vec![more.to_owned()]),
        (metadata(json!({"type": "object", "description": "d"})), false, vec![more.to_owned()]),
        (
            metadata(json!({"type": "object", "default": {}})),
            false,
            vec!["properties[metadata].default: Forbidden: must not be set in top-level metadata".to_owned()],
        ),
        (json!({"type": "object", "not": {}, "x-kubernetes-preserve-unknown-fields": true}), true, vec![status(allowed)]),
        (json!({"type": "object", "required": ["a"], "description": "d", "x-kubernetes-preserve-unknown-fields": true}), true, Vec::new()),
    ];
    for (schema, has_status, want) in cases {
        assert_eq!(wrong(&schema, has_status), want, "{schema}");
    }
}
