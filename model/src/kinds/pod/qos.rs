//! The quality-of-service class of a pod.
use crate::object::Object;
use crate::quantity::Quantity;
use serde_json::Value;

/// `Guaranteed`, `Burstable` or `BestEffort`, by the requests and limits of cpu and memory of all containers.
pub fn qos_class(pod: &Object) -> &'static str {
    let containers = || pod.list_at(&["spec", "containers"]).iter().chain(pod.list_at(&["spec", "initContainers"]));
    let amount = |c: &Value, kind: &str, name: &str| {
        c.get("resources").and_then(|r| r.get(kind)).and_then(|l| l.get(name)).and_then(|q| Quantity::from_json(q).ok()).filter(|q| !q.is_zero())
    };
    let named = |c: &Value| ["cpu", "memory"].iter().any(|name| amount(c, "requests", name).or_else(|| amount(c, "limits", name)).is_some());
    let exact = |c: &Value| {
        ["cpu", "memory"].iter().all(|name| {
            let limit = amount(c, "limits", name);
            limit.is_some() && amount(c, "requests", name).or(limit) == limit
        })
    };
    if !containers().any(named) {
        "BestEffort"
    } else if containers().all(exact) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}
