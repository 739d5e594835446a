//! Reports the Services that this node can't serve, as events and as a condition of the node.
use crate::recorder::{Recorder, Subject};
use k8s_openapi::api::core::v1::Service;
use std::sync::Arc;

/// Something of a Service that isn't served here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unserved {
    /// The Service's namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What isn't served, and why.
    pub why: String,
}

/// Tells of what has come since `before`: an event on the Service and one on the node.
pub fn tell(recorder: &Recorder, node: &str, services: &[Arc<Service>], before: &[Unserved], now: &[Unserved]) {
    for unserved in now.iter().filter(|unserved| !before.contains(unserved)) {
        let Unserved { namespace, name, why } = unserved;
        tracing::warn!(namespace, name, why, "a Service isn't wholly served");
        let named = |s: &&Arc<Service>| (s.metadata.namespace.as_ref(), s.metadata.name.as_ref()) == (Some(namespace), Some(name));
        let uid = services.iter().find(named).and_then(|s| s.metadata.uid.clone()).unwrap_or_default();
        recorder.warning(&Subject::service(namespace, name, &uid), REASON, &format!("Node {node}: {why}"));
        recorder.warning(&Subject::node(node), REASON, &format!("Service {namespace}/{name}: {why}"));
    }
}

/// The reason of the events and of the node's condition.
pub const REASON: &str = "ServiceNotServed";

/// The sentence of the node's condition; `None` where all is served.
pub fn sentence(unserved: &[Unserved]) -> Option<String> {
    /// So many are named.
    const NAMED: usize = 5;
    let mut named: Vec<String> = unserved.iter().take(NAMED).map(|u| format!("Service {}/{}: {}", u.namespace, u.name, u.why)).collect();
    if unserved.len() > NAMED {
        named.push(format!("and {} more", unserved.len() - NAMED));
    }
    (!named.is_empty()).then(|| named.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_condition_names_some() {
        let unserved =
            |n: usize| -> Vec<Unserved> { (0..n).map(|i| Unserved { namespace: "n".to_owned(), name: format!("s{i}"), why: "w".to_owned() }).collect() };
        assert_eq!(sentence(&[]), None);
        assert_eq!(sentence(&unserved(2)).unwrap(), "Service n/s0: w; Service n/s1: w");
        assert!(sentence(&unserved(9)).unwrap().ends_with("Service n/s4: w; and 4 more"));
    }
}
