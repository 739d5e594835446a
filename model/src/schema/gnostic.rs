//! Encodes the OpenAPI v2 document as protobuf, in the messages of gnostic's `OpenAPIv2.proto`. `kubectl` before 1.27 and typed clients ask for this form.
//!
//! For each message a table says which JSON member becomes which field. Members without a row are left out, which readers take as absent.
use serde_json::{Map, Value};

/// The media type that clients ask for.
pub const MEDIA_TYPE: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
/// The media type that the answer names: an `@` isn't allowed in it.
pub const CONTENT_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// How a JSON value is written.
enum Form {
    /// A text.
    Text,
    /// `true` or `false`.
    Flag,
    /// Any value, as YAML in an `Any` message.
    Any,
    /// A map with known members.
    Message(&'static Message),
    /// A message with one field of this number, which holds the value.
    Within(u32, &'static Form),
    /// A list: the field is repeated.
    Each(&'static Form),
    /// A map with free keys: a message that repeats, in the field of this number, a name (1) and a value (2).
    Named(u32, &'static Form),
    /// A parameter of an operation: its place decides about its message.
    Parameter,
}

/// The members of a map with their field numbers, and the number of the field for its `x-` members.
struct Message {
    rows: &'static [(&'static str, u32, Form)],
    extensions: u32,
}

use Form::{Any, Each, Flag, Named, Parameter, Text, Within};

static DOCUMENT: Message = Message {
    rows: &[
        ("swagger", 1, Text),
        ("info", 2, Form::Message(&Message { rows: &[("title", 1, Text), ("version", 2, Text), ("description", 3, Text)], extensions: 7 })),
        ("paths", 8, Named(2, &Form::Message(&PATH))),
        ("definitions", 9, Named(1, &Form::Message(&SCHEMA))),
    ],
    extensions: 16,
};

static PATH: Message = Message {
    rows: &[
        ("get", 2, Form::Message(&OPERATION)),
        ("put", 3, Form::Message(&OPERATION)),
        ("post", 4, Form::Message(&OPERATION)),
        ("delete", 5, Form::Message(&OPERATION)),
        ("patch", 8, Form::Message(&OPERATION)),
        ("parameters", 9, Each(&Parameter)),
    ],
    extensions: 10,
};

static OPERATION: Message = Message {
    rows: &[
        ("tags", 1, Each(&Text)),
        ("summary", 2, Text),
        ("description", 3, Text),
        ("operationId", 5, Text),
        ("produces", 6, Each(&Text)),
        ("consumes", 7, Each(&Text)),
        ("parameters", 8, Each(&Parameter)),
        ("responses", 9, Named(1, &Within(1, &Form::Message(&RESPONSE)))),
    ],
    extensions: 13,
};

static RESPONSE: Message = Message { rows: &[("description", 1, Text), ("schema", 2, Within(1, &Form::Message(&SCHEMA)))], extensions: 5 };

static BODY: Message = Message {
    rows: &[("description", 1, Text), ("name", 2, Text), ("in", 3, Text), ("required", 4, Flag), ("schema", 5, Form::Message(&SCHEMA))],
    extensions: 6,
};

static QUERY: Message =
    Message { rows: &[("required", 1, Flag), ("in", 2, Text), ("description", 3, Text), ("name", 4, Text), ("type", 6, Text)], extensions: 23 };

static IN_PATH: Message =
    Message { rows: &[("required", 1, Flag), ("in", 2, Text), ("description", 3, Text), ("name", 4, Text), ("type", 5, Text)], extensions: 22 };

static SCHEMA: Message = Message {
    rows: &[
        ("$ref", 1, Text),
        ("format", 2, Text),
        ("title", 3, Text),
        ("description", 4, Text),
        ("default", 5, Any),
        ("pattern", 13, Text),
        ("required", 19, Each(&Text)),
        ("enum", 20, Each(&Any)),
        ("additionalProperties", 21, Within(1, &Form::Message(&SCHEMA))),
        ("type", 22, Within(1, &Text)),
        ("items", 23, Within(1, &Form::Message(&SCHEMA))),
        ("properties", 25, Named(1, &Form::Message(&SCHEMA))),
    ],
    extensions: 31,
};

const VARINT: u8 = 0;
const BYTES: u8 = 2;

fn varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

fn tag(out: &mut Vec<u8>, number: u32, wire: u8) {
    varint(out, u64::from(number) << 3 | u64::from(wire));
}

fn bytes(out: &mut Vec<u8>, number: u32, content: &[u8]) {
    tag(out, number, BYTES);
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

/// A field that holds a message, which `write` fills.
fn nested(out: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let mut content = Vec::new();
    write(&mut content);
    bytes(out, number, &content);
}

/// Any value as YAML: every JSON text is one.
fn any(out: &mut Vec<u8>, number: u32, value: &Value) {
    nested(out, number, |out| bytes(out, 2, value.to_string().as_bytes()));
}

fn field(out: &mut Vec<u8>, number: u32, form: &Form, value: &Value) {
    match (form, value) {
        (Text, Value::String(text)) => bytes(out, number, text.as_bytes()),
        (Flag, Value::Bool(flag)) => {
            tag(out, number, VARINT);
            varint(out, u64::from(*flag));
        }
        (Any, value) => any(out, number, value),
        (Form::Message(message), Value::Object(map)) => nested(out, number, |out| members(out, message, map)),
        (Within(inner, form), value) => nested(out, number, |out| field(out, *inner, form, value)),
        (Each(form), Value::Array(items)) => items.iter().for_each(|item| field(out, number, form, item)),
        (Named(inner, form), Value::Object(map)) => nested(out, number, |out| map.iter().for_each(|(name, value)| entry(out, *inner, name, form, value))),
        (Parameter, Value::Object(map)) => nested(out, number, |out| parameter(out, map)),
        _ => {}
    }
}

fn entry(out: &mut Vec<u8>, number: u32, name: &str, form: &Form, value: &Value) {
    nested(out, number, |out| {
        bytes(out, 1, name.as_bytes());
        field(out, 2, form, value);
    });
}

/// A `ParametersItem`: a parameter (1) in the body (1), or elsewhere (2) in the query (3) or the path (4).
fn parameter(out: &mut Vec<u8>, map: &Map<String, Value>) {
    nested(out, 1, |out| match map.get("in").and_then(Value::as_str) {
        Some("body") => nested(out, 1, |out| members(out, &BODY, map)),
        Some("path") => nested(out, 2, |out| nested(out, 4, |out| members(out, &IN_PATH, map))),
        _ => nested(out, 2, |out| nested(out, 3, |out| members(out, &QUERY, map))),
    });
}

fn members(out: &mut Vec<u8>, message: &Message, map: &Map<String, Value>) {
    for (name, number, form) in message.rows {
        if let Some(value) = map.get(*name) {
            field(out, *number, form, value);
        }
    }
    for (name, value) in map.iter().filter(|(name, _)| name.starts_with("x-")) {
        nested(out, message.extensions, |out| {
            bytes(out, 1, name.as_bytes());
            any(out, 2, value);
        });
    }
}

/// The bytes of a Swagger document, as [`super::openapi_v2`] makes it.
pub fn encode(document: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    if let Value::Object(map) = document {
        members(&mut out, &DOCUMENT, map);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Reads a message into its fields' numbers and contents.
    fn fields(mut rest: &[u8]) -> Vec<(u32, Vec<u8>)> {
        fn number(rest: &mut &[u8]) -> u64 {
            let mut value = 0;
            for shift in (0..).step_by(7) {
                let byte = rest[0];
                *rest = &rest[1..];
                value |= u64::from(byte & 0x7f) << shift;
                if byte < 0x80 {
                    break;
                }
            }
            value
        }
        let mut out = Vec::new();
        while !rest.is_empty() {
            let tag = number(&mut rest);
            let length = number(&mut rest);
            let content = if tag & 7 == 2 {
                let (content, after) = rest.split_at(usize::try_from(length).unwrap());
                rest = after;
                content.to_vec()
            } else {
                vec![u8::try_from(length).unwrap()]
            };
            out.push((u32::try_from(tag >> 3).unwrap(), content));
        }
        out
    }

    /// The content of the first field at the end of a path of numbers.
    fn at(message: &[u8], path: &[u32]) -> Vec<u8> {
        path.iter().fold(message.to_vec(), |message, number| fields(&message).into_iter().find(|(n, _)| n == number).map(|(_, c)| c).unwrap_or_default())
    }

    #[test]
    fn each_form() {
        let schema = |schema: Value| encode(&json!({"definitions": {"D": schema}}));
        let cases: [(Vec<u8>, &[u32], &str); 16] = [
            (encode(&json!({"swagger": "2.0"})), &[1], "2.0"),
            (encode(&json!({"info": {"title": "T", "version": "v"}})), &[2, 2], "v"),
            (schema(json!({})), &[9, 1, 1], "D"),
            (schema(json!({"$ref": "#/definitions/E"})), &[9, 1, 2, 1], "#/definitions/E"),
            (schema(json!({"type": "object"})), &[9, 1, 2, 22, 1], "object"),
            (schema(json!({"default": 1})), &[9, 1, 2, 5, 2], "1"),
            (schema(json!({"required": ["a"]})), &[9, 1, 2, 19], "a"),
            (schema(json!({"items": {"type": "string"}})), &[9, 1, 2, 23, 1, 22, 1], "string"),
            (schema(json!({"additionalProperties": {"type": "string"}})), &[9, 1, 2, 21, 1, 22, 1], "string"),
            (schema(json!({"properties": {"p": {"format": "int32"}}})), &[9, 1, 2, 25, 1, 2, 2], "int32"),
            (schema(json!({"x-a": [{"kind": "K"}]})), &[9, 1, 2, 31, 2, 2], r#"[{"kind":"K"}]"#),
            (encode(&json!({"paths": {"/p": {"get": {"operationId": "o"}}}})), &[8, 2, 2, 2, 5], "o"),
            (encode(&json!({"paths": {"/p": {"put": {"responses": {"200": {"schema": {"$ref": "r"}}}}}}})), &[8, 2, 2, 3, 9, 1, 2, 1, 2, 1, 1], "r"),
            (encode(&json!({"paths": {"/p": {"parameters": [{"in": "path", "name": "n"}]}}})), &[8, 2, 2, 9, 1, 2, 4, 4], "n"),
            (encode(&json!({"paths": {"/p": {"parameters": [{"in": "query", "name": "q", "type": "string"}]}}})), &[8, 2, 2, 9, 1, 2, 3, 6], "string"),
            (encode(&json!({"paths": {"/p": {"parameters": [{"in": "body", "required": true}]}}})), &[8, 2, 2, 9, 1, 1, 4], "\u{1}"),
        ];
        for (message, path, want) in cases {
            assert_eq!(String::from_utf8(at(&message, path)).unwrap(), want, "{path:?}");
        }
    }

    #[test]
    fn the_whole_document() {
        let document = super::super::openapi_v2(&crate::kinds::builtin());
        let message = encode(&document);
        let definitions = fields(&at(&message, &[9]));
        assert_eq!(definitions.len(), document["definitions"].as_object().unwrap().len());
        let pod = definitions.iter().find(|(_, d)| at(d, &[1]) == b"io.k8s.api.core.v1.Pod").unwrap();
        let kinds = fields(&at(&pod.1, &[2])).into_iter().find(|(number, c)| *number == 31 && at(c, &[1]) == b"x-kubernetes-group-version-kind").unwrap();
        let text: Value = serde_json::from_slice(&at(&kinds.1, &[2, 2])).unwrap();
        assert_eq!(text, json!([{"group": "", "version": "v1", "kind": "Pod"}]));
    }

    /// What the document says and no row takes would be lost without anybody's noticing.
    #[test]
    fn every_member_has_a_row() {
        fn unsaid(value: &Value, known: &dyn Fn(&str) -> bool, out: &mut Vec<String>) {
            for (name, _) in value.as_object().into_iter().flatten().filter(|(name, _)| !known(name)) {
                out.push(name.clone());
            }
        }
        let has = |message: &'static Message| move |name: &str| name.starts_with("x-") || message.rows.iter().any(|(row, ..)| *row == name);
        let document = super::super::openapi_v2(&crate::kinds::builtin());
        let mut out = Vec::new();
        unsaid(&document, &has(&DOCUMENT), &mut out);
        for schema in document["definitions"].as_object().unwrap().values() {
            unsaid(schema, &has(&SCHEMA), &mut out);
            schema["properties"].as_object().into_iter().flatten().for_each(|(_, p)| unsaid(p, &has(&SCHEMA), &mut out));
        }
        for path in document["paths"].as_object().unwrap().values() {
            unsaid(path, &has(&PATH), &mut out);
            path.as_object().unwrap().iter().filter(|(name, _)| *name != "parameters").for_each(|(_, o)| unsaid(o, &has(&OPERATION), &mut out));
        }
        assert_eq!(out, Vec::<String>::new());
    }
}
