//! The rows of the table of kinds that a definition makes: one for each of its versions.
use super::custom_schema::{CustomSchema, StoredObjects};
use super::expressions::Rules;
use super::names;
use super::path::PrintedPath;
use super::schema::Schema;
use crate::hash::content_hash;
use crate::kind::{Bucket, Cell, Column, Conversion, Kind, ScalePaths, Scope, Selectable, StoredAs};
use crate::object::Object;
use crate::schema::KindSchema;
use crate::strategy::{Observed, Plain, Strategy};
use crate::subresource::Subresource;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::sync::Arc;

const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// The rows of a definition, that of its storage version first: none until its names are accepted. What a definition says that can't be used is left out;
/// it is refused when it is written.
pub fn rows(crd: &Object) -> Vec<Kind> {
    if !names::is_established(crd) {
        return Vec::new();
    }
    let versions = crd.list_at(&["spec", "versions"]);
    let Some(stored) = versions.iter().find(|v| v["storage"] == true).and_then(|v| v["name"].as_str()) else { return Vec::new() };
    let mut rows: Vec<Kind> = versions.iter().filter_map(|version| row(crd, version, stored)).collect();
    rows.sort_by_key(|row| &*row.version != stored);
    rows
}

fn texts(value: Option<&Value>) -> Vec<Arc<str>> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(Arc::from).collect()
}

fn row(crd: &Object, version: &Value, stored: &str) -> Option<Kind> {
    let (group, name) = (crd.str_at(&["spec", "group"]), version["name"].as_str()?);
    let accepted = |key: &str| crd.str_at(&["status", "acceptedNames", key]);
    let (kind, resource) = (accepted("kind"), accepted("plural"));
    let raw = version.pointer("/schema/openAPIV3Schema").cloned().unwrap_or_else(|| json!({"type": "object"}));
    let schema = Schema::parse(&raw).ok()?;
    let node = schema.node(true);
    let domain: Vec<&str> = group.split('.').rev().collect();
    let schema_name = format!("{}.{name}.{kind}", domain.join("."));
    let has_status = version.pointer("/subresources/status").is_some();
    let scale = version.pointer("/subresources/scale");
    let strategy: &'static dyn Strategy = if has_status { &Observed } else { &Plain };
    Some(Kind {
        group: group.into(),
        version: name.into(),
        kind: kind.into(),
        resource: resource.into(),
        singular: accepted("singular").into(),
        short_names: texts(crd.at(&["status", "acceptedNames", "shortNames"])),
        categories: texts(crd.at(&["status", "acceptedNames", "categories"])),
        scope: if crd.str_at(&["spec", "scope"]) == "Cluster" { Scope::Cluster } else { Scope::Namespaced },
        verbs: if version["served"] == true { VERBS.to_vec() } else { Vec::new() },
        subresources: [has_status.then_some(Subresource::STATUS), scale.map(|_| Subresource::SCALE)].into_iter().flatten().collect(),
        columns: columns(version),
        selectable: selectable(version),
        bucket: Bucket::Log,
        derived_from: None,
        generation: true,
        stored_as: (name != stored).then(|| StoredAs {
            group: group.into(),
            resource: resource.into(),
            conversion: Conversion::Rename { stored: format!("{group}/{stored}").into(), shown: format!("{group}/{name}").into() },
        }),
        schema: KindSchema::Custom(Arc::new(CustomSchema {
            name: schema_name.into(),
            node,
            rules: Rules::of(&schema),
            schema,
            fingerprint: content_hash(&raw).into(),
            deprecation: deprecation(version, group, kind),
            stored: stored_objects(crd, &raw),
            raw,
        })),
        scale: scale.map(scale_paths).unwrap_or_default(),
        strategy,
    })
}

/// What clients of a deprecated version are told: as its definition says, or in Kubernetes' words.
fn deprecation(version: &Value, group: &str, kind: &str) -> Option<Box<str>> {
    let usual = || format!("{group}/{} {kind} is deprecated", version["name"].as_str().unwrap_or_default());
    let said = version["deprecationWarning"].as_str().map(str::to_owned);
    (version["deprecated"] == true).then(|| said.unwrap_or_else(usual).into())
}

/// What of a definition concerns the objects that are in the log already. Those that were written after the definition have the defaults of its schemas.
fn stored_objects(crd: &Object, schema: &Value) -> StoredObjects {
    let by_webhook = crd.str_at(&["spec", "conversion", "strategy"]) == "Webhook";
    let has_defaults = schema.to_string().contains("\"default\":");
    StoredObjects {
        webhook: crd.at(&["spec", "conversion", "webhook"]).filter(|_| by_webhook).cloned().map(Arc::new),
        mixed: crd.list_at(&["status", "storedVersions"]).len() > 1,
        without_defaults: crd.resource_version().parse().ok().filter(|_| has_defaults).unwrap_or_default(),
    }
}

/// A simple path, `.spec.replicas`, as steps.
fn steps(path: &str) -> Vec<Box<str>> {
    path.split('.').filter(|step| !step.is_empty()).map(Into::into).collect()
}

fn scale_paths(scale: &Value) -> ScalePaths {
    let path = |key: &str| steps(scale[key].as_str().unwrap_or_default());
    ScalePaths { desired: path("specReplicasPath"), current: path("statusReplicasPath"), selector: scale["labelSelectorPath"].as_str().map(steps) }
}

fn selectable(version: &Value) -> Vec<Selectable> {
    let fields = version["selectableFields"].as_array().into_iter().flatten().filter_map(|f| f["jsonPath"].as_str());
    fields.map(|path| Selectable { label: path.trim_start_matches('.').into(), path: steps(path) }).collect()
}

/// The name, the columns of the definition, and the age where it has none.
fn columns(version: &Value) -> Vec<Column> {
    let Some(own) = version["additionalPrinterColumns"].as_array().filter(|c| !c.is_empty()) else { return Vec::new() };
    let text = |column: &Value, key: &str| Cow::Owned(column[key].as_str().unwrap_or_default().to_owned());
    let own = own.iter().filter_map(|column| {
        let kind = column["type"].as_str().unwrap_or_default();
        Some(Column {
            name: text(column, "name"),
            kind: text(column, "type"),
            format: text(column, "format"),
            description: text(column, "description"),
            priority: column["priority"].as_i64().and_then(|p| i32::try_from(p).ok()).unwrap_or_default(),
            cell: Cell::Path(Arc::new(PrintedPath::parse(column["jsonPath"].as_str()?, kind).ok()?)),
        })
    });
    std::iter::once(crate::kinds::columns::NAME).chain(own).collect()
}
