//! Objects that are made when they are read, of stored ones and of what is known beside the log: of pods and nodes, what they use.
//!
//! A row of the table of kinds says of which other row's objects its own are made ([`model::kind::DerivedFrom`]); [`Source`] makes them. Who may read them,
//! which are selected, pages and tables are as for all kinds.
use crate::node_name::node_of;
use jiff::{SignedDuration, Timestamp};
use model::quantity::Quantity;
use model::{ApiError, Kind, Object, Stored, time};
use serde_json::{Value, json};
use state_client::usage::{Measured, NodeUsage, Usage, UsageTable};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

/// Makes the objects of derived kinds.
pub(crate) trait Source: Send + Sync {
    /// What of `kind` is made of a stored object; `None` where nothing is known to make it of.
    fn make(&self, kind: &Kind, stored: &Stored, now: Timestamp) -> Option<Object>;
    /// The error for an object that there isn't.
    fn not_found(&self, kind: &Kind, namespace: &str, name: &str) -> ApiError;
}

/// What nodes said.
#[derive(Default)]
pub(crate) struct Usages(RwLock<UsageTable>);

impl Usages {
    fn read(&self) -> RwLockReadGuard<'_, UsageTable> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what a node says.
    pub(crate) fn insert(&self, node: &str, said: NodeUsage) {
        if !self.0.write().unwrap_or_else(PoisonError::into_inner).insert(node, said, Timestamp::now()) {
            tracing::warn!(node, "there is no room for what this node says that it uses");
        }
    }
}

impl Source for Usages {
    fn make(&self, kind: &Kind, stored: &Stored, now: Timestamp) -> Option<Object> {
        let (key, table) = (&stored.key, self.read());
        if !kind.namespaced() {
            let measured = table.node(&key.name, now)?;
            return object(kind, stored, measured, ("usage", amounts(&measured.usage)), now);
        }
        let measured = table.pod(&node_of(stored), (&key.namespace, &key.name), &stored.uid(), now)?;
        let containers: Vec<Value> = measured.usage.iter().map(|(name, usage)| json!({"name": name, "usage": amounts(usage)})).collect();
        object(kind, stored, measured, ("containers", containers.into()), now)
    }

    fn not_found(&self, kind: &Kind, namespace: &str, name: &str) -> ApiError {
        let name = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") };
        ApiError::not_found(&kind.group, &kind.kind.to_lowercase(), &name)
    }
}

/// What is used of each resource.
fn amounts(usage: &Usage) -> Value {
    json!({"cpu": Quantity::from_nanos(usage.cpu_nanos.into()).to_string(), "memory": Quantity::from_bytes(usage.memory.into()).to_string()})
}

fn object<T>(kind: &Kind, of: &Stored, measured: &Measured<T>, (field, value): (&str, Value), now: Timestamp) -> Option<Object> {
    let mut metadata = json!({"name": of.key.name, "creationTimestamp": time::format(now)});
    if !of.key.namespace.is_empty() {
        metadata["namespace"] = json!(of.key.namespace);
    }
    if let Some(labels) = of.read(|of| of.labels().cloned()) {
        metadata["labels"] = labels.into();
    }
    let (timestamp, window) = (time::format(measured.at), duration(measured.window));
    let object = json!({
        "apiVersion": kind.api_version(), "kind": kind.kind, "metadata": metadata, "timestamp": timestamp, "window": window, field: value,
    });
    Object::from_value(object).ok()
}

/// A duration as Go writes it: `10s`, `9.5s`, `1m0.25s`.
fn duration(window: SignedDuration) -> String {
    let (minutes, seconds) = (window.as_secs() / 60, window.as_secs() % 60);
    let fraction = format!("{:09}", window.subsec_nanos());
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    let minutes = if minutes == 0 { String::new() } else { format!("{minutes}m") };
    format!("{minutes}{seconds}{point}{fraction}s")
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Key;
    use state_client::usage::{ContainerSample, PodSample};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn said(seconds: i64, cpu_nanos: u64) -> NodeUsage {
        let container = ContainerSample { name: "c".to_owned(), run: "1".to_owned(), started: at(0), cpu_nanos, memory: 3 << 20 };
        let pod = PodSample { namespace: "a".to_owned(), name: "p".to_owned(), uid: "u".to_owned(), containers: vec![container] };
        NodeUsage { at: at(seconds), cpu_nanos, memory: 1000, pods: vec![pod] }
    }

    fn stored(resource: &str, object: Value) -> Stored {
        let object = Object::from_value(object).unwrap();
        Stored::from_object(Key::new("", resource, object.namespace(), object.name()), object).unwrap()
    }

    #[test]
    fn what_pods_and_nodes_use_as_objects() {
        let (kinds, usages) = (model::kinds::builtin(), Usages::default());
        let kind = |resource: &str| kinds.resource("metrics.k8s.io", resource).unwrap().clone();
        for (seconds, cpu) in [(100, 0), (110, 1_234_567_890)] {
            assert!(usages.0.write().unwrap().insert("n", said(seconds, cpu), at(seconds)));
        }
        let pod = |node: &str, uid: &str| {
            let metadata = json!({"name": "p", "namespace": "a", "uid": uid, "labels": {"app": "x"}, "resourceVersion": "7"});
            stored("pods", json!({"metadata": metadata, "spec": {"nodeName": node}}))
        };
        let made = usages.make(&kind("pods"), &pod("n", "u"), at(111)).unwrap();
        let want = json!({
            "apiVersion": "metrics.k8s.io/v1beta1", "kind": "PodMetrics",
            "metadata": {"name": "p", "namespace": "a", "labels": {"app": "x"}, "creationTimestamp": "1970-01-01T00:01:51Z"},
            "timestamp": "1970-01-01T00:01:50Z", "window": "10s",
            "containers": [{"name": "c", "usage": {"cpu": "123456789n", "memory": "3Mi"}}],
        });
        assert_eq!(Value::Object(made.0), want);
        for (node, uid) in [("m", "u"), ("", "u"), ("n", "v")] {
            assert!(usages.make(&kind("pods"), &pod(node, uid), at(111)).is_none(), "{node} {uid}");
        }
        let node = stored("nodes", json!({"metadata": {"name": "n"}}));
        let made = usages.make(&kind("nodes"), &node, at(111)).unwrap();
        assert_eq!(made.at(&["usage"]), Some(&json!({"cpu": "123456789n", "memory": "1k"})));
        assert_eq!(usages.not_found(&kind("pods"), "a", "x").message, "podmetrics.metrics.k8s.io \"a/x\" not found");
    }

    #[test]
    fn durations_as_go_writes_them() {
        for (nanos, text) in [(10_000_000_000, "10s"), (9_500_000_000, "9.5s"), (60_250_000_000, "1m0.25s"), (1, "0.000000001s")] {
            assert_eq!(duration(SignedDuration::from_nanos(nanos)), text);
        }
    }
}
