//! `metav1.Table`: what `kubectl get` prints.
use crate::kind::{Column, Kind};
use crate::kinds::columns;
use crate::object::Object;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::borrow::Cow;

/// The columns of a kind; name and age where it has none of its own.
fn columns_of(kind: &Kind) -> Cow<'_, [Column]> {
    if kind.columns.is_empty() { Cow::Owned(vec![columns::NAME, columns::AGE]) } else { Cow::Borrowed(&kind.columns) }
}

/// `columnDefinitions`.
pub fn definitions(kind: &Kind) -> Vec<Value> {
    let definition = |c: &Column| json!({"name": c.name, "type": c.kind, "format": c.format, "description": c.description, "priority": c.priority});
    columns_of(kind).iter().map(definition).collect()
}

/// The cells of one object's row.
pub fn cells(kind: &Kind, object: &Object, now: Timestamp) -> Vec<Value> {
    columns_of(kind).iter().map(|c| c.cell.of(object, now)).collect()
}

/// A table of these objects. Rows hold cells only: the caller adds `object` as the client's `includeObject` asks, and the list's `resourceVersion`.
pub fn render<'a>(kind: &Kind, objects: impl IntoIterator<Item = &'a Object>, now: Timestamp) -> Value {
    let rows: Vec<Value> = objects.into_iter().map(|o| json!({ "cells": cells(kind, o, now) })).collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "columnDefinitions": definitions(kind), "rows": rows})
}
