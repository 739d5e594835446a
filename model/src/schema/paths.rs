//! The paths of a kind in an OpenAPI document.
use crate::kind::Kind;
use crate::patch;
use crate::subresource::Subresource;
use serde_json::{Map, Value, json};

const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
const LISTING: [(&str, &str); 9] = [
    ("allowWatchBookmarks", "boolean"),
    ("continue", "string"),
    ("fieldSelector", "string"),
    ("labelSelector", "string"),
    ("limit", "integer"),
    ("resourceVersion", "string"),
    ("resourceVersionMatch", "string"),
    ("timeoutSeconds", "integer"),
    ("watch", "boolean"),
];
const WRITING: [(&str, &str); 3] = [("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string")];
const DELETING: [(&str, &str); 3] = [("dryRun", "string"), ("gracePeriodSeconds", "integer"), ("propagationPolicy", "string")];

/// The version of OpenAPI: they differ in how schemas, parameters and bodies are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V2,
    V3,
}

impl Version {
    /// Makes a schema refer to a definition. In version 3 what stands beside a reference counts only with `allOf` around it.
    pub(super) fn refer(self, schema: &mut Map<String, Value>, target: &str) {
        match self {
            Self::V2 => schema.insert("$ref".to_owned(), format!("#/definitions/{target}").into()),
            Self::V3 => schema.insert("allOf".to_owned(), json!([{"$ref": format!("#/components/schemas/{target}")}])),
        };
    }
    fn reference(self, target: &str) -> Value {
        match self {
            Self::V2 => json!({"$ref": format!("#/definitions/{target}")}),
            Self::V3 => json!({"$ref": format!("#/components/schemas/{target}")}),
        }
    }
    fn parameter(self, name: &str, kind: &str, place: &str) -> Value {
        let mut parameter = json!({"name": name, "in": place, "required": place == "path"});
        if let Some(map) = parameter.as_object_mut() {
            match self {
                Self::V2 => map.insert("type".to_owned(), kind.into()),
                Self::V3 => map.insert("schema".to_owned(), json!({"type": kind})),
            };
        }
        parameter
    }
    fn response(self, schema: &str) -> Value {
        match self {
            Self::V2 => json!({"200": {"description": "OK", "schema": self.reference(schema)}}),
            Self::V3 => json!({"200": {"description": "OK", "content": {"application/json": {"schema": self.reference(schema)}}}}),
        }
    }
}

/// One operation of a path.
struct Operation<'a> {
    method: &'static str,
    action: &'static str,
    query: &'static [(&'static str, &'static str)],
    body: Option<&'a str>,
    answer: &'a str,
}

/// What a path is about.
struct Target<'a> {
    version: Version,
    kind: &'a Kind,
    id: String,
    gvk: Value,
    parameters: &'a [&'a str],
}

impl Target<'_> {
    fn operation(&self, op: &Operation<'_>) -> Value {
        let mut parameters: Vec<Value> = op.query.iter().map(|(name, kind)| self.version.parameter(name, kind, "query")).collect();
        let mut out = json!({
            "operationId": format!("{}{}", op.action, self.id), "responses": self.version.response(op.answer),
            "x-kubernetes-action": op.action, "x-kubernetes-group-version-kind": self.gvk,
        });
        let is_patch = op.method == "patch";
        if let Some(body) = op.body {
            let schema = if is_patch { json!({"type": "object"}) } else { self.version.reference(body) };
            match self.version {
                Version::V2 => parameters.push(json!({"name": "body", "in": "body", "required": op.method != "delete", "schema": schema})),
                Version::V3 => {
                    let types = if is_patch { patch::media_types(self.kind) } else { vec!["*/*"] };
                    let content: Map<String, Value> = types.iter().map(|t| ((*t).to_owned(), json!({ "schema": schema }))).collect();
                    out["requestBody"] = json!({ "content": content });
                }
            }
        }
        out["parameters"] = parameters.into();
        if self.version == Version::V2 {
            out["produces"] = json!(["application/json"]);
            out["consumes"] = if is_patch { json!(patch::media_types(self.kind)) } else { json!(["*/*"]) };
        }
        out
    }

    fn path(&self, operations: Vec<Operation<'_>>) -> Option<Value> {
        if operations.is_empty() {
            return None;
        }
        let mut item: Map<String, Value> = operations.iter().map(|op| (op.method.to_owned(), self.operation(op))).collect();
        let shared: Vec<Value> = self.parameters.iter().map(|p| self.version.parameter(p, "string", "path")).collect();
        item.insert("parameters".to_owned(), shared.into());
        Some(Value::Object(item))
    }
}

/// The paths of `kind`, with their operations.
pub(super) fn of(kind: &Kind, form: Version) -> Vec<(String, Value)> {
    let version = &*kind.version;
    let base = if kind.group.is_empty() { format!("/api/{version}") } else { format!("/apis/{}/{version}", kind.group) };
    let (within, parameters): (&str, &[&str]) = if kind.namespaced() { ("/namespaces/{namespace}", &["namespace"]) } else { ("", &[]) };
    let named: Vec<&str> = parameters.iter().copied().chain(["name"]).collect();
    let gvk = json!({"group": kind.group, "version": version, "kind": kind.kind});
    let list = format!("{}List", kind.schema.name());
    let id = format!("{}{}", kind.group.replace('.', ""), format_args!("{version}{}", kind.kind));
    let target = |suffix: &str, gvk: &Value, parameters| Target { version: form, kind, id: format!("{id}{suffix}"), gvk: gvk.clone(), parameters };
    let collection = format!("{base}{within}/{}", kind.resource);
    let mut out: Vec<(String, Option<Value>)> = vec![
        (collection.clone(), target("Collection", &gvk, parameters).path(collection_operations(kind, &list))),
        (format!("{collection}/{{name}}"), target("", &gvk, &named).path(object_operations(kind))),
    ];
    if kind.namespaced() && kind.verbs.contains(&"list") {
        let operation = Operation { method: "get", action: "list", query: &LISTING, body: None, answer: &list };
        out.push((format!("{base}/{}", kind.resource), target("ForAllNamespaces", &gvk, &[]).path(vec![operation])));
    }
    for sub in &kind.subresources {
        let schema = subresource_schema(*sub).unwrap_or(kind.schema.name());
        let gvk = subresource_gvk(*sub, kind, version).unwrap_or_else(|| gvk.clone());
        let item = target(sub.name(), &gvk, &named).path(subresource_operations(*sub, schema));
        out.push((format!("{collection}/{{name}}/{}", sub.name()), item));
    }
    out.into_iter().filter_map(|(path, item)| item.map(|i| (path, i))).collect()
}

fn collection_operations<'a>(kind: &'a Kind, list: &'a str) -> Vec<Operation<'a>> {
    let has = |verb: &str| kind.verbs.contains(&verb);
    let all = [
        (has("list"), Operation { method: "get", action: "list", query: &LISTING, body: None, answer: list }),
        (has("create"), Operation { method: "post", action: "post", query: &WRITING, body: Some(kind.schema.name()), answer: kind.schema.name() }),
        (has("deletecollection"), Operation { method: "delete", action: "deletecollection", query: &LISTING, body: Some(DELETE_OPTIONS), answer: STATUS }),
    ];
    all.into_iter().filter(|(wanted, _)| *wanted).map(|(_, op)| op).collect()
}

fn object_operations(kind: &Kind) -> Vec<Operation<'_>> {
    let all = [
        ("get", Operation { method: "get", action: "get", query: &[], body: None, answer: kind.schema.name() }),
        ("update", Operation { method: "put", action: "put", query: &WRITING, body: Some(kind.schema.name()), answer: kind.schema.name() }),
        ("patch", Operation { method: "patch", action: "patch", query: &WRITING, body: Some(kind.schema.name()), answer: kind.schema.name() }),
        ("delete", Operation { method: "delete", action: "delete", query: &DELETING, body: Some(DELETE_OPTIONS), answer: STATUS }),
    ];
    all.into_iter().filter(|(verb, _)| kind.verbs.contains(verb)).map(|(_, op)| op).collect()
}

fn subresource_operations(sub: Subresource, schema: &str) -> Vec<Operation<'_>> {
    // who can run something by a stream may open it by a POST as well, without a body
    let (opens, runs) = (sub.connects(), sub.connects() && sub.verbs().contains(&"create"));
    let operation = |verb: &&str| match *verb {
        "get" => Some(Operation { method: "get", action: if runs { "connect" } else { "get" }, query: &[], body: None, answer: schema }),
        "create" if opens => Some(Operation { method: "post", action: "connect", query: &[], body: None, answer: schema }),
        "update" if opens => Some(Operation { method: "put", action: "connect", query: &[], body: None, answer: schema }),
        "patch" if opens => Some(Operation { method: "patch", action: "connect", query: &[], body: None, answer: schema }),
        "delete" if opens => Some(Operation { method: "delete", action: "connect", query: &[], body: None, answer: schema }),
        "create" => Some(Operation { method: "post", action: "post", query: &WRITING, body: Some(schema), answer: schema }),
        "update" => Some(Operation { method: "put", action: "put", query: &WRITING, body: Some(schema), answer: schema }),
        "patch" => Some(Operation { method: "patch", action: "patch", query: &WRITING, body: Some(schema), answer: schema }),
        _ => None,
    };
    sub.verbs().iter().filter_map(operation).collect()
}

/// Group, version and kind of what a subresource of a kind takes, where that has a definition of its own.
fn subresource_gvk(sub: Subresource, of: &Kind, version: &str) -> Option<Value> {
    let exchanged = sub.exchanged().filter(|exchanged| exchanged.schema.is_some())?;
    let (group, version) = exchanged.group_version.unwrap_or((&of.group, version));
    Some(json!({"group": group, "version": version, "kind": exchanged.kind}))
}

/// The schema of what a subresource takes, where that isn't the kind itself.
pub(super) fn subresource_schema(sub: Subresource) -> Option<&'static str> {
    sub.exchanged()?.schema
}
