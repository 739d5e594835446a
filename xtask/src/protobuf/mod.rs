//! The table by which `model::protobuf` reads protobuf: which field of which message has which number, type and JSON name. The numbers and types come from
//! the sources of the crate `k8s-pb`, the JSON names from our structural schemas.
//!
//! Protobuf alone can't tell whether a zero was set: Go writes every field that is no pointer. So a field keeps its zeros when the schema requires it, or
//! when `pointers.txt` lists it. All other zeros mean "not set", as `omitempty` makes them in JSON.
mod source;

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde_json::{Map, Value, json};
use source::{Message, Messages, Prost, normal};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::path::Path;

/// Scalars that are pointers in Go's types (or are written without `omitempty` although the schema doesn't require them): a line has a message, without
/// `io.k8s.`, and its fields' JSON names.
const POINTERS: &str = include_str!("pointers.txt");

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";

/// Messages that JSON writes as the value of one of their fields: of the one with the highest number, where several are set.
const WRAPPERS: [&str; 10] = [
    "io.k8s.api.authentication.v1.ExtraValue",
    "io.k8s.api.authorization.v1.ExtraValue",
    "io.k8s.api.certificates.v1.ExtraValue",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray",
    "io.k8s.apimachinery.pkg.api.resource.Quantity",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1",
    "io.k8s.apimachinery.pkg.runtime.RawExtension",
];

/// Messages that JSON writes as a text or a number.
const SPECIAL: [(&str, &str); 3] = [
    ("io.k8s.apimachinery.pkg.apis.meta.v1.Time", "time"),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime", "microTime"),
    ("io.k8s.apimachinery.pkg.util.intstr.IntOrString", "intOrString"),
];

/// Fields that are in the protobuf and not in the schema of the same message, which is a newer version's: they aren't read.
const GONE: [&str; 1] = ["io.k8s.api.core.v1.PodSpec.workload_ref"];

/// Kinds of the schema that the protobuf doesn't have yet.
const NEW: [&str; 2] = ["io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicy", "io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicyBinding"];

/// Writes the table and returns its size, or says what doesn't fit together.
pub fn write(sources: &Path, schema: &Path, to: &Path) -> io::Result<usize> {
    let definitions = definitions(schema)?;
    let mut table =
        Generator { messages: source::read(&sources.join("src"))?, definitions: &definitions, kept: kept(), out: BTreeMap::new(), problems: vec![] };
    let kinds = table.kinds();
    for root in kinds.values().cloned().collect::<BTreeSet<_>>() {
        table.message(&root);
    }
    table.check_pointers();
    if !table.problems.is_empty() {
        return Err(io::Error::other(table.problems.join("\n")));
    }
    let text = serde_json::to_vec(&json!({"kinds": kinds, "messages": table.out}))?;
    let mut gz = GzEncoder::new(Vec::new(), Compression::best());
    gz.write_all(&text)?;
    let bytes = gz.finish()?;
    std::fs::write(to, &bytes)?;
    Ok(bytes.len())
}

fn definitions(path: &Path) -> io::Result<Map<String, Value>> {
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(path)?).read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text)?)
}

fn kept() -> BTreeSet<(String, String)> {
    let mut kept = BTreeSet::new();
    for line in POINTERS.lines() {
        let mut words = line.split_whitespace();
        if let Some(message) = words.next() {
            kept.extend(words.map(|field| (format!("io.k8s.{message}"), field.to_owned())));
        }
    }
    kept
}

struct Generator<'a> {
    messages: Messages,
    definitions: &'a Map<String, Value>,
    kept: BTreeSet<(String, String)>,
    out: BTreeMap<String, Value>,
    problems: Vec<String>,
}

impl Generator<'_> {
    /// `apps/v1/Deployment` → definition, for all kinds that have both a schema and a message. Deletion's options belong to every group and version.
    fn kinds(&mut self) -> BTreeMap<String, String> {
        let mut kinds = BTreeMap::from([("DeleteOptions".to_owned(), format!("{META}DeleteOptions"))]);
        for (name, schema) in self.definitions {
            for gvk in schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
                let text = |field: &str| gvk[field].as_str().unwrap_or_default();
                let group = if text("group").is_empty() { String::new() } else { format!("{}/", text("group")) };
                kinds.insert(format!("{group}{}/{}", text("version"), text("kind")), name.clone());
            }
        }
        kinds.retain(|_, name| !NEW.contains(&name.as_str()));
        kinds
    }

    fn definition(&self, name: &str) -> Option<(&String, &Value)> {
        let wanted = normal(name);
        self.definitions.iter().find(|(name, _)| normal(name) == wanted)
    }

    /// The name under which a message is in the table: its definition's; wrappers and other messages without one have their own.
    fn name(&self, prost: &str) -> String {
        let wanted = normal(prost);
        let wrapper = WRAPPERS.iter().find(|w| normal(w) == wanted).map(|w| (*w).to_owned());
        wrapper.or_else(|| self.definition(prost).map(|(name, _)| name.clone())).unwrap_or_else(|| prost.to_owned())
    }

    /// Adds a message and all that it refers to.
    fn message(&mut self, name: &str) {
        if self.out.contains_key(name) {
            return;
        }
        let Some(message) = self.messages.get(&normal(name)).cloned() else { return self.problems.push(format!("{name}: no such message")) };
        // before its fields: messages contain themselves
        self.out.insert(name.to_owned(), Value::Null);
        let value = if WRAPPERS.contains(&name) {
            json!({"wrapper": true, "fields": self.wrapped(&message)})
        } else if let Some(schema) = self.definitions.get(name) {
            json!({"fields": self.fields(name, &message, schema)})
        } else {
            self.problems.push(format!("{name}: no schema"));
            return;
        };
        self.out.insert(name.to_owned(), value);
    }

    /// The fields of a message by the schema in which they appear: that of the message or, for an embedded message, that of the one around it.
    fn fields(&mut self, owner: &str, message: &Message, schema: &Value) -> Vec<Value> {
        let empty = Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&empty);
        let mut fields = Vec::new();
        for field in message {
            let wanted = normal(&field.name);
            let property = properties.keys().find(|p| normal(p) == wanted);
            match (property, &field.prost) {
                (Some(json), prost) => {
                    let keep = scalar(field.modifier, prost) && self.keeps(owner, json, schema);
                    let shape = format!("{}{}", field.modifier, self.item(prost));
                    fields.push(json!([field.tag, json, shape, keep]));
                }
                (None, _) if GONE.contains(&format!("{owner}.{}", field.name).as_str()) => {}
                (None, Prost::Message(embedded)) if field.modifier.is_empty() => {
                    fields.push(json!([field.tag, "", self.embedded(owner, embedded, schema), false]))
                }
                (None, _) => self.problems.push(format!("{owner}: {} has no property", field.name)),
            }
        }
        fields
    }

    /// An embedded message has the JSON names of the message around it, and so a name of its own there.
    fn embedded(&mut self, owner: &str, embedded: &str, schema: &Value) -> String {
        let name = format!("{owner}/{embedded}");
        match self.messages.get(&normal(embedded)).cloned() {
            Some(message) => {
                let fields = self.fields(owner, &message, schema);
                self.out.insert(name.clone(), json!({"fields": fields}));
            }
            None => self.problems.push(format!("{name}: no such message")),
        }
        name
    }

    /// Wrappers have no schema of their own; what is set in them counts, zero or not.
    fn wrapped(&mut self, message: &Message) -> Vec<Value> {
        let item = |this: &mut Self, prost: &Prost| if matches!(prost, Prost::Scalar("bytes")) { "json".to_owned() } else { this.item(prost) };
        message.iter().map(|f| json!([f.tag, f.name, format!("{}{}", f.modifier, item(self, &f.prost)), true])).collect()
    }

    fn keeps(&mut self, owner: &str, json: &str, schema: &Value) -> bool {
        let listed = self.kept.remove(&(owner.to_owned(), json.to_owned()));
        listed || schema["required"].as_array().is_some_and(|r| r.iter().any(|name| name == json))
    }

    fn item(&mut self, prost: &Prost) -> String {
        match prost {
            Prost::Scalar(scalar) => (*scalar).to_owned(),
            Prost::Message(prost) => {
                let name = self.name(prost);
                if let Some((_, special)) = SPECIAL.iter().find(|(special, _)| *special == name) {
                    return (*special).to_owned();
                }
                self.message(&name);
                name
            }
        }
    }

    fn check_pointers(&mut self) {
        let left = self.kept.iter().map(|(message, field)| format!("pointers.txt: {message} {field}: no such scalar"));
        self.problems.extend(left);
    }
}

fn scalar(modifier: &str, prost: &Prost) -> bool {
    modifier.is_empty() && matches!(prost, Prost::Scalar(_))
}
