//! Fixtures of this crate's tests.
use model::kind::{Bucket, Cell, Column, ScalePaths, Scope};
use model::stored::Key;
use model::strategy::Plain;
use model::{Kind, Kinds, Object, Stored, Subresource};
use serde_json::json;
use std::sync::Arc;

/// A row for pods with one column.
pub fn pods_kind() -> Kind {
    Kind {
        group: "".into(),
        version: "v1".into(),
        kind: "Pod".into(),
        resource: "pods".into(),
        singular: "pod".into(),
        short_names: vec!["po".into()],
        categories: vec!["all".into()],
        scope: Scope::Namespaced,
        verbs: vec!["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"],
        subresources: vec![Subresource::STATUS, Subresource::LOG, Subresource::EXEC, Subresource::PORTFORWARD, Subresource::EVICTION],
        columns: vec![Column {
            name: "Name".into(),
            kind: "string".into(),
            format: "name".into(),
            description: "Name.".into(),
            priority: 0,
            cell: Cell::Computed(|o, _| json!(o.name())),
        }],
        selectable: vec![],
        bucket: Bucket::Log,
        generation: false,
        stored_as: None,
        derived_from: None,
        scale: ScalePaths::default(),
        schema: "io.k8s.api.core.v1.Pod".into(),
        strategy: &Plain,
    }
}

/// A table of that row.
pub fn pods() -> Kinds {
    Kinds::new([pods_kind()])
}

/// A pod on node `n1` with one container, at a revision.
pub fn pod(name: &str, revision: u64) -> Arc<Stored> {
    let object = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "uid": format!("uid-{name}"), "resourceVersion": revision.to_string()},
        "spec": {"nodeName": "n1", "containers": [{"name": "c"}]},
        "status": {"phase": "Running"},
    });
    let object = Object::from_value(object).unwrap();
    Arc::new(Stored::from_object(Key::new("", "pods", "default", name), object).unwrap())
}
