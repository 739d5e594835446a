//! What pods take, and what quotas want them to say.
use super::amounts::ResourceList;
use crate::kinds::pod::{is_extended, is_huge};
use crate::object::Object;
use crate::quantity::Quantity;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Where a quota limits one of these, each container has to say how much it asks for.
const REQUIRED: [&str; 6] = ["cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory"];

/// Adds what a pod takes while it lives; one that has ended takes its place among the objects alone.
pub fn add_usage(pod: &Object, out: &mut ResourceList) {
    if matches!(pod.str_at(&["status", "phase"]), "Failed" | "Succeeded") {
        return;
    }
    out.add("pods", Quantity::from_value(1));
    out.add_all(&named(&total(pod, "requests"), &total(pod, "limits")));
}

/// Requests and limits, by the names that quotas have for them.
fn named(requests: &ResourceList, limits: &ResourceList) -> ResourceList {
    let mut out = ResourceList::default();
    for (name, amount) in &requests.0 {
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") || is_huge(name) {
            out.add(name, *amount);
            out.add(&format!("requests.{name}"), *amount);
        } else if is_extended(name) {
            out.add(&format!("requests.{name}"), *amount);
        }
    }
    for (name, amount) in limits.0.iter().filter(|(name, _)| matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage")) {
        out.add(&format!("limits.{name}"), *amount);
    }
    out
}

/// All requests of a pod, or all limits. Init containers run one after the other beside the sidecars started so far; then the containers run beside all
/// sidecars. What is said of the whole pod counts in place of its parts, and what running it takes on top of that is added.
fn total(pod: &Object, which: &str) -> ResourceList {
    let (mut all, mut sidecars, mut initial) = (ResourceList::default(), ResourceList::default(), ResourceList::default());
    for container in pod.list_at(&["spec", "containers"]) {
        all.add_all(&of_container(pod, container, which, "containerStatuses"));
    }
    for container in pod.list_at(&["spec", "initContainers"]) {
        let mut own = of_container(pod, container, which, "initContainerStatuses");
        if container["restartPolicy"] == "Always" {
            all.add_all(&own);
            sidecars.add_all(&own);
            own = sidecars.clone();
        } else {
            own.add_all(&sidecars);
        }
        initial.raise_to(&own);
    }
    all.raise_to(&initial);
    all.0.extend(ResourceList::of(pod.at(&["spec", "resources", which])).0);
    let overhead = ResourceList::of(pod.at(&["spec", "overhead"]));
    for (name, amount) in &overhead.0 {
        // overhead is no limit where there is none
        if which == "requests" || !all.get(name).is_zero() {
            all.add(name, *amount);
        }
    }
    all
}

/// What one container asks for, or what it has still where its resources are being changed, whichever is more.
fn of_container(pod: &Object, container: &Value, which: &str, statuses: &str) -> ResourceList {
    let mut own = ResourceList::of(container.pointer(&format!("/resources/{which}")));
    let status = pod.list_at(&["status", statuses]).iter().find(|status| status["name"] == container["name"]);
    if let Some(has) = status.and_then(|status| status.pointer(&format!("/resources/{which}"))) {
        own.raise_to(&ResourceList::of(Some(has)));
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
