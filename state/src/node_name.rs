//! The node that a pod is bound to: its `spec.nodeName`.
use model::{Object, Stored};
use serde::Deserialize;

/// The field of a pod that names its node, as field selectors write it.
pub const FIELD: &str = "spec.nodeName";

/// Whether a pod is bound to a node.
pub fn bound_to(pod: &Object, node: &str) -> bool {
    pod.str_at(&["spec", "nodeName"]) == node
}

/// Which node a stored pod is bound to, without parsing the rest; empty where to none.
pub fn node_of(pod: &Stored) -> String {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Spec {
        node_name: String,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Pod {
        spec: Spec,
    }
    pod.peek::<Pod>().spec.node_name
}
