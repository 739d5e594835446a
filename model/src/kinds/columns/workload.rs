//! Deployments, ReplicaSets and their revisions.
use super::pod::{container_names, names_in};
use super::{AGE, NAME, NONE, integer, labels, or_none, text, wide};
use crate::kind::Column;
use crate::object::Object;
use crate::selector::LabelSelector;
use serde_json::Value;

fn status(object: &Object, key: &str) -> i64 {
    object.int_at(&["status", key]).unwrap_or_default()
}
fn desired(object: &Object) -> i64 {
    object.int_at(&["spec", "replicas"]).unwrap_or_default()
}
fn selector(object: &Object) -> Value {
    let selector = object.at(&["spec", "selector"]).and_then(|s| LabelSelector::from_json(s).ok());
    or_none(selector.map(|s| s.to_string()).unwrap_or_default())
}
const CONTAINERS: Column = wide(text("Containers", "Names of the template's containers", |o, _| container_names(o, "name").into()));
const IMAGES: Column = wide(text("Images", "Images of the template's containers", |o, _| container_names(o, "image").into()));
const SELECTOR: Column = wide(text("Selector", "Labels of the pods that belong to it", |o, _| selector(o)));

pub(in crate::kinds) fn deployment() -> Vec<Column> {
    vec![
        NAME,
        text("Ready", "Pods that are ready, of those desired", |o, _| format!("{}/{}", status(o, "readyReplicas"), desired(o)).into()),
        text("Up-to-date", "Pods of the current template", |o, _| status(o, "updatedReplicas").into()),
        text("Available", "Pods that were ready for long enough", |o, _| status(o, "availableReplicas").into()),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ]
}

pub(in crate::kinds) fn replica_set() -> Vec<Column> {
    vec![
        NAME,
        integer("Desired", "Pods that there should be", |o, _| desired(o).into()),
        integer("Current", "Pods that there are", |o, _| status(o, "replicas").into()),
        integer("Ready", "Pods that are ready", |o, _| status(o, "readyReplicas").into()),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ]
}

pub(in crate::kinds) fn pod_template() -> Vec<Column> {
    vec![
        NAME,
        text("Containers", "Names of the template's containers", |o, _| names_in(o.at(&["template", "spec"]), "name").into()),
        text("Images", "Images of the template's containers", |o, _| names_in(o.at(&["template", "spec"]), "image").into()),
        text("Pod Labels", "Labels of its pods", |o, _| labels(o.at(&["template", "metadata", "labels"]).and_then(Value::as_object)).into()),
    ]
}

pub(in crate::kinds) fn revision() -> Vec<Column> {
    vec![
        NAME,
        text("Controller", "Whose revision it is", |o, _| controller(o).into()),
        integer("Revision", "Its number", |o, _| o.int_at(&["revision"]).unwrap_or_default().into()),
        AGE,
    ]
}

fn controller(object: &Object) -> String {
    let Some(owner) = object.controller() else { return NONE.to_owned() };
    let kind = owner.kind.to_lowercase();
    match owner.api_version.split_once('/') {
        Some((group, _)) => format!("{kind}.{group}/{}", owner.name),
        None => format!("{kind}/{}", owner.name),
    }
}
