//! What pods take, and what quotas want them to say.
use crate::kinds::pod::{is_extended, is_huge};
use crate::object::Object;
use crate::placement::at_once::Amount;
use crate::quantity::Quantity;
use crate::resource_list::{ResourceList, of_pod};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Where a quota limits one of these, each container has to say how much it asks for.
const REQUIRED: [&str; 6] = ["cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory"];

/// Adds what a pod takes while it lives; one that has ended takes its place among the objects alone.
pub fn add_usage(pod: &Object, out: &mut ResourceList) {
    if matches!(pod.str_at(&["status", "phase"]), "Failed" | "Succeeded") {
        return;
    }
    out.add_one("pods", Quantity::from_value(1));
    out.add(&named(&total(pod, "requests"), &total(pod, "limits")));
}

/// Requests and limits, by the names that quotas have for them.
fn named(requests: &ResourceList, limits: &ResourceList) -> ResourceList {
    let mut out = ResourceList::default();
    for (name, amount) in &requests.0 {
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") || is_huge(name) {
            out.add_one(name, *amount);
            out.add_one(&format!("requests.{name}"), *amount);
        } else if is_extended(name) {
            out.add_one(&format!("requests.{name}"), *amount);
        }
    }
    for (name, amount) in limits.0.iter().filter(|(name, _)| matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage")) {
        out.add_one(&format!("limits.{name}"), *amount);
    }
    out
}

/// All requests of a pod, or all limits, and what running it takes on top of that.
fn total(pod: &Object, which: &str) -> ResourceList {
    let mut all = of_pod(pod, which, |list, container| of_container(pod, container, which, list));
    let overhead = ResourceList::of(pod.at(&["spec", "overhead"]));
    for (name, amount) in &overhead.0 {
        // overhead is no limit where there is none
        if which == "requests" || !all.get(name).is_zero() {
            all.add_one(name, *amount);
        }
    }
    all
}

/// What one container asks for, or what it has still where its resources are being changed, whichever is more.
fn of_container(pod: &Object, container: &Value, which: &str, list: &str) -> ResourceList {
    let statuses = if list == "containers" { "containerStatuses" } else { "initContainerStatuses" };
    let mut own = ResourceList::of(container.pointer(&format!("/resources/{which}")));
    let status = pod.list_at(&["status", statuses]).iter().find(|status| status["name"] == container["name"]);
    if let Some(has) = status.and_then(|status| status.pointer(&format!("/resources/{which}"))) {
        own.max(&ResourceList::of(Some(has)));
    }
    own
}

/// Whether a pod says of each of its containers what a quota that limits `hard` wants to know.
///
/// # Errors
/// The sentence that says what is missing.
pub fn check_constraints(pod: &Object, hard: &ResourceList) -> Result<(), String> {
    if pod.at(&["spec", "resources"]).and_then(Value::as_object).is_some_and(|all| !all.is_empty()) {
        return Ok(());
    }
    let mut missing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for container in pod.list_at(&["spec", "containers"]).iter().chain(pod.list_at(&["spec", "initContainers"])) {
        let part = |which: &str| ResourceList::of(container.pointer(&format!("/resources/{which}")));
        let said = named(&part("requests"), &part("limits"));
        for name in REQUIRED.iter().filter(|name| hard.0.contains_key(**name) && !said.0.contains_key(**name)) {
            missing.entry(name).or_default().insert(container["name"].as_str().unwrap_or_default());
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let each = missing.into_iter().map(|(name, containers)| format!("{name} for: {}", containers.into_iter().collect::<Vec<_>>().join(",")));
    Err(format!("must specify {}", each.collect::<Vec<_>>().join("; ")))
}
