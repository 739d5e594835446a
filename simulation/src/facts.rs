//! What is read of objects again and again.
use crate::net::Net;
use model::{Object, Stored};
use serde_json::Value;
use std::sync::Arc;

/// Whether a pod or a node is ready.
pub(crate) fn ready(pod: &Object) -> bool {
    pod.list_at(&["status", "conditions"]).iter().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

/// Whether a pod hasn't ended, and is not on its way out.
pub(crate) fn alive(pod: &Object) -> bool {
    pod.deletion_timestamp().is_none() && !matches!(pod.str_at(&["status", "phase"]), "Succeeded" | "Failed")
}

/// A number, or a percentage of `of`.
pub(crate) fn share(value: Option<&Value>, of: i64, up: bool) -> i64 {
    match value {
        Some(Value::String(percent)) => {
            let share = of * percent.trim_end_matches('%').parse::<i64>().unwrap_or_default();
            if up { (share + 99) / 100 } else { share / 100 }
        }
        other => other.and_then(Value::as_i64).unwrap_or_default(),
    }
}

/// `spec.replicas`.
pub(crate) fn replicas(object: &Object) -> i64 {
    object.int_at(&["spec", "replicas"]).unwrap_or_default()
}

/// The objects of a resource that somebody controls.
pub(crate) fn owned<'a>(net: &'a Net, resource: &'a str, owner: &'a str) -> impl Iterator<Item = &'a Arc<Stored>> {
    net.store.all(resource).filter(move |o| o.object().controller().is_some_and(|c| c.uid == owner))
}
