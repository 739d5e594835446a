//! The table by which `model::protobuf` reads and writes protobuf: which field of which message has which number, type and JSON name. The numbers and types
//! come from the `generated.proto` files of Kubernetes' Go modules, the JSON names from the tags of the Go types.
//!
//! Protobuf alone can't tell whether a zero was set: Go writes every field that is no pointer. So a field keeps its zeros when it is a pointer, or when JSON
//! has it always. All other zeros mean "not set", as `omitempty` makes them in JSON.
mod golang;
mod proto;

use flate2::{Compression, write::GzEncoder};
use golang::Package;
use proto::{Field, Messages};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The modules that have messages.
const MODULES: [&str; 4] = ["api", "apimachinery", "apiextensions-apiserver", "kube-aggregator"];

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";

/// Kinds of the package of metadata that belong to every group and version.
const EVERYWHERE: [&str; 6] = ["CreateOptions", "DeleteOptions", "GetOptions", "ListOptions", "PatchOptions", "UpdateOptions"];

/// Kinds of that package that belong to the core group's version.
const CORE: [&str; 5] = ["Status", "APIVersions", "APIGroup", "APIGroupList", "APIResourceList"];

/// Messages that JSON writes as the value of one of their fields: of the one with the highest number, where several are set. Named slices, whose messages
/// have nothing but `items`, are such messages too.
const WRAPPERS: [&str; 7] = [
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

/// Writes the table and returns its size, or says what doesn't fit together. `modules` has the directories of Kubernetes' modules at `version`.
pub fn write(modules: &Path, version: &str, to: &Path) -> io::Result<usize> {
    let mut generator = Generator::default();
    for module in MODULES {
        let mut files = Vec::new();
        find(&modules.join(format!("{module}@{version}")), &mut files)?;
        for file in files {
            generator.read(&file)?;
        }
    }
    let kinds = generator.kinds();
    for root in kinds.values().cloned().collect::<BTreeSet<_>>() {
        generator.message(&root);
    }
    if !generator.problems.is_empty() {
        return Err(io::Error::other(generator.problems.join("\n")));
    }
    let text = serde_json::to_vec(&json!({"kinds": kinds, "messages": generator.out}))?;
    let mut gz = GzEncoder::new(Vec::new(), Compression::best());
    gz.write_all(&text)?;
    let bytes = gz.finish()?;
    std::fs::write(to, &bytes)?;
    Ok(bytes.len())
}

/// All `generated.proto` below a directory.
fn find(directory: &Path, into: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            find(&entry.path(), into)?;
        } else if entry.file_name() == "generated.proto" {
            into.push(entry.path());
        }
    }
    Ok(())
}

#[derive(Default)]
struct Generator {
    messages: Messages,
    /// By their names in the table: `io.k8s.api.core.v1`.
    packages: BTreeMap<String, Package>,
    out: BTreeMap<String, Value>,
    problems: Vec<String>,
}

/// A name as the schemas have it: `k8s.io.kube_aggregator.x` → `io.k8s.kube-aggregator.x`.
fn named(proto: &str) -> String {
    match proto.strip_prefix("k8s.io.") {
        Some(rest) => format!("io.k8s.{}", rest.replace('_', "-")),
        None => proto.to_owned(),
    }
}

/// Only the versions that are stable: `v1`, `v2`.
fn stable(package: &str) -> Option<&str> {
    let version = package.rsplit('.').next()?;
    version.strip_prefix('v')?.parse::<u32>().ok().map(|_| version)
}

impl Generator {
    fn read(&mut self, file: &Path) -> io::Result<()> {
        let mut messages = Messages::new();
        let package = proto::read(&std::fs::read_to_string(file)?, &mut messages)?;
        for (name, mut fields) in messages {
            fields.iter_mut().for_each(|f| f.ty = named(&f.ty));
            self.messages.insert(named(&name), fields);
        }
        if let Some(directory) = file.parent() {
            self.packages.insert(named(&package), golang::read(directory)?);
        }
        Ok(())
    }

    /// `apps/v1/Deployment` → message, for all kinds of stable versions; those that belong to every group and version are without one.
    fn kinds(&mut self) -> BTreeMap<String, String> {
        let mut kinds = BTreeMap::from(EVERYWHERE.map(|kind| (kind.to_owned(), format!("{META}{kind}"))));
        kinds.extend(CORE.map(|kind| (format!("v1/{kind}"), format!("{META}{kind}"))));
        for (package, declared) in &self.packages {
            let Some(version) = stable(package) else { continue };
            let group = if declared.group.is_empty() { String::new() } else { format!("{}/", declared.group) };
            for (kind, _) in declared.structs.iter().filter(|(_, s)| s.has_type_meta) {
                let message = format!("{package}.{kind}");
                if self.messages.contains_key(&message) {
                    kinds.insert(format!("{group}{version}/{kind}"), message);
                }
            }
        }
        kinds
    }

    /// Adds a message and all that it refers to.
    fn message(&mut self, name: &str) {
        if self.out.contains_key(name) {
            return;
        }
        let Some(fields) = self.messages.get(name).cloned() else { return self.problems.push(format!("{name}: no such message")) };
        // before its fields: messages contain themselves
        self.out.insert(name.to_owned(), Value::Null);
        let slice = self.declared(name).is_none() && matches!(fields.as_slice(), [only] if only.name == "items");
        let value = if slice || WRAPPERS.contains(&name) {
            json!({"wrapper": true, "fields": self.wrapped(&fields)})
        } else {
            json!({"fields": self.fields(name, &fields)})
        };
        self.out.insert(name.to_owned(), value);
    }

    fn declared(&self, message: &str) -> Option<&golang::Struct> {
        let (package, name) = message.rsplit_once('.')?;
        self.packages.get(package)?.structs.get(name)
    }

    fn fields(&mut self, owner: &str, fields: &[Field]) -> Vec<Value> {
        let mut all = Vec::new();
        for field in fields {
            let Some(declared) = self.declared(owner).and_then(|s| s.fields.get(&field.tag)).cloned() else {
                self.problems.push(format!("{owner}.{}: no field of the struct", field.name));
                continue;
            };
            let scalar = field.modifier.is_empty() && proto::is_scalar(&field.ty);
            let shape = format!("{}{}", field.modifier, self.item(&field.ty));
            all.push(json!([field.tag, declared.json, shape, scalar && declared.keep_zero]));
        }
        all
    }

    /// What is set in a wrapper counts, zero or not.
    fn wrapped(&mut self, fields: &[Field]) -> Vec<Value> {
        let item = |this: &mut Self, ty: &str| if ty == "bytes" { "json".to_owned() } else { this.item(ty) };
        fields.iter().map(|f| json!([f.tag, f.name, format!("{}{}", f.modifier, item(self, &f.ty)), true])).collect()
    }

    fn item(&mut self, ty: &str) -> String {
        if let Some((_, special)) = SPECIAL.iter().find(|(special, _)| *special == ty) {
            return (*special).to_owned();
        }
        if !proto::is_scalar(ty) {
            self.message(ty);
        }
        ty.to_owned()
    }
}
