//! The quality-of-service class of a pod.
use crate::object::Object;
use crate::quantity::Quantity;
use serde_json::Value;

/// What a container asks for of one resource; nothing for an amount of 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Amounts {
    /// Its request.
    pub request: Option<Quantity>,
    /// Its limit.
    pub limit: Option<Quantity>,
}

/// `Guaranteed`, `Burstable` or `BestEffort`, by the requests and limits of CPU and memory of all containers, init containers included.
pub fn class(containers: impl Iterator<Item = [Amounts; 2]>) -> &'static str {
    let given = |q: Option<Quantity>| q.filter(|q| !q.is_zero());
    let (mut any, mut all_exact) = (false, true);
    for container in containers {
        let both = container.map(|a| (given(a.request), given(a.limit)));
        any |= both.iter().any(|(request, limit)| request.is_some() || limit.is_some());
        all_exact &= both.iter().all(|(request, limit)| limit.is_some() && request.or(*limit) == *limit);
    }
    match (any, all_exact) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// The class of a pod's object.
pub fn qos_class(pod: &Object) -> &'static str {
    let containers = pod.list_at(&["spec", "containers"]).iter().chain(pod.list_at(&["spec", "initContainers"]));
    class(containers.map(|c| ["cpu", "memory"].map(|name| amounts(c, name))))
}

fn amounts(container: &Value, name: &str) -> Amounts {
    let amount = |kind: &str| container.get("resources")?.get(kind)?.get(name).and_then(|q| Quantity::from_json(q).ok());
    Amounts { request: amount("requests"), limit: amount("limits") }
}
