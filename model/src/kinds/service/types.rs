//! What follows from a Service's type.
use super::super::fields::{list, text};
use serde_json::Value;

/// Whether a Service of this type has node ports.
pub(super) fn has_node_ports(spec: &Value) -> bool {
    matches!(text(spec, "type"), "NodePort" | "LoadBalancer")
}

/// Whether it is reached from outside of the cluster.
pub(super) fn external(spec: &Value) -> bool {
    has_node_ports(spec) || (text(spec, "type") == "ClusterIP" && !list(spec, "externalIPs").is_empty())
}

pub(super) fn balanced(spec: &Value) -> bool {
    text(spec, "type") == "LoadBalancer"
}

pub(super) fn health_checked(spec: &Value) -> bool {
    balanced(spec) && text(spec, "externalTrafficPolicy") == "Local"
}
