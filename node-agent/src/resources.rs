//! Requests and limits: what they become in cgroups, and the class of service that follows from them.
use crate::pod::{inits, spec};
use crate::runtime::Limits;
use k8s_openapi::api::core::v1::{Container as Spec, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;
use model::kinds::pod::{Amounts, qos_class_of};
use model::quantity::Quantity;
use std::collections::BTreeMap;

type List = Option<BTreeMap<String, Written>>;

/// An amount of a container; `None` when it isn't given or doesn't parse (the API server refuses such).
fn amount(list: Option<&List>, resource: &str) -> Option<Quantity> {
    list?.as_ref()?.get(resource)?.0.parse().ok()
}

/// What a container requests; its limit where it says nothing.
pub fn request(c: &Spec, resource: &str) -> Option<Quantity> {
    amount(c.resources.as_ref().map(|r| &r.requests), resource).or_else(|| limit(c, resource))
}

/// What a container is limited to.
pub fn limit(c: &Spec, resource: &str) -> Option<Quantity> {
    amount(c.resources.as_ref().map(|r| &r.limits), resource)
}

/// The pod's quality-of-service class.
pub fn qos_class(pod: &Pod) -> &'static str {
    let amounts = |c: &Spec, name| {
        let of = |list| amount(list, name);
        Amounts { request: of(c.resources.as_ref().map(|r| &r.requests)), limit: of(c.resources.as_ref().map(|r| &r.limits)) }
    };
    qos_class_of(spec(pod).containers.iter().chain(inits(pod)).map(|c| ["cpu", "memory"].map(|name| amounts(c, name))))
}

/// cgroup v1's least `cpu.shares`.
const SHARES_MIN: i128 = 2;
/// And its most.
const SHARES_MAX: i128 = 262_144;

/// What the runtime is told. `memory_capacity` is the node's, in bytes.
pub fn limits(pod: &Pod, c: &Spec, memory_capacity: i64) -> Limits {
    let shares = request(c, "cpu").map_or(0, |q| q.milli()) * 1024 / 1000;
    let quota = limit(c, "cpu").map(|q| (q.milli() * 100).max(1000));
    Limits {
        cpu_shares: u64::try_from(shares.clamp(SHARES_MIN, SHARES_MAX)).ok(),
        cpu_quota: quota.and_then(|q| i64::try_from(q).ok()),
        memory: limit(c, "memory").and_then(|q| i64::try_from(q.value()).ok()).filter(|m| *m > 0),
        oom_score_adj: Some(oom_score_adj(pod, c, memory_capacity)),
    }
}

/// Whom the kernel kills first: those who asked for least.
fn oom_score_adj(pod: &Pod, c: &Spec, capacity: i64) -> i64 {
    match qos_class(pod) {
        "Guaranteed" => -997,
        "BestEffort" => 1000,
        _ => {
            let asked = request(c, "memory").and_then(|q| i64::try_from(q.value()).ok()).unwrap_or_default();
            (1000 - asked.saturating_mul(1000) / capacity.max(1)).clamp(3, 999)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(resources: Value) -> Pod {
        serde_json::from_value(json!({"metadata": {}, "spec": {"containers": [{"name": "c", "resources": resources}]}})).unwrap()
    }

    #[test]
    fn classes() {
        for (resources, class) in [
            (json!({}), "BestEffort"),
            (json!({"requests": {"cpu": "0"}}), "BestEffort"),
            (json!({"limits": {"cpu": "1"}}), "Burstable"),
            (json!({"requests": {"memory": "1Mi"}}), "Burstable"),
            (json!({"limits": {"cpu": "1", "memory": "1Gi"}}), "Guaranteed"),
            (json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1024Mi"}}), "Guaranteed"),
            (json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}), "Burstable"),
        ] {
            assert_eq!(qos_class(&pod(resources.clone())), class, "{resources}");
        }
    }

    #[test]
    fn cgroup_values() {
        let p = pod(json!({"requests": {"cpu": "250m", "memory": "100Mi"}, "limits": {"cpu": "500m", "memory": "200Mi"}}));
        let got = limits(&p, &p.spec.as_ref().unwrap().containers[0], 1000 << 20);
        assert_eq!(got, Limits { cpu_shares: Some(256), cpu_quota: Some(50_000), memory: Some(200 << 20), oom_score_adj: Some(900) });
        let p = pod(json!({}));
        let got = limits(&p, &p.spec.as_ref().unwrap().containers[0], 1 << 30);
        assert_eq!(got, Limits { cpu_shares: Some(2), cpu_quota: None, memory: None, oom_score_adj: Some(1000) });
    }
}
