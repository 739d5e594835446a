//! Nodes.
use super::{AGE, NAME, NONE, at, text, wide};
use crate::kind::Column;
use crate::object::Object;
use serde_json::Value;

const ROLE: &str = "node-role.kubernetes.io/";

pub(in crate::kinds) fn node() -> Vec<Column> {
    vec![
        NAME,
        text("Status", "Whether the node takes and runs pods", |o, _| status(o).into()),
        text("Roles", "What the node is for", |o, _| roles(o).into()),
        AGE,
        text("Version", "Version of the node's agent", |o, _| info(o, "kubeletVersion", "")),
        wide(text("Internal-IP", "Address inside of the cluster", |o, _| address(o, "InternalIP").into())),
        wide(text("External-IP", "Address from outside", |o, _| address(o, "ExternalIP").into())),
        wide(text("OS-Image", "Operating system", |o, _| info(o, "osImage", "<unknown>"))),
        wide(text("Kernel-Version", "Kernel", |o, _| info(o, "kernelVersion", "<unknown>"))),
        wide(text("Container-Runtime", "What runs the containers", |o, _| info(o, "containerRuntimeVersion", "<unknown>"))),
    ]
}

fn info(node: &Object, key: &str, missing: &str) -> Value {
    match node.str_at(&["status", "nodeInfo", key]) {
        "" => missing.into(),
        text => text.into(),
    }
}

fn status(node: &Object) -> String {
    let ready = node.list_at(&["status", "conditions"]).iter().find(|c| at(c, "type") == "Ready");
    let mut text = match ready.map(|c| at(c, "status")).as_deref() {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if node.at(&["spec", "unschedulable"]) == Some(&Value::Bool(true)) {
        text.push_str(",SchedulingDisabled");
    }
    text
}

fn roles(node: &Object) -> String {
    let role = |(key, value): (&String, &Value)| match key.strip_prefix(ROLE) {
        Some("") => None,
        Some(role) => Some(role.to_owned()),
        None if key == "kubernetes.io/role" => value.as_str().filter(|v| !v.is_empty()).map(str::to_owned),
        None => None,
    };
    let mut roles: Vec<String> = node.labels().into_iter().flatten().filter_map(role).collect();
    roles.sort();
    roles.dedup();
    if roles.is_empty() { NONE.to_owned() } else { roles.join(",") }
}

fn address(node: &Object, kind: &str) -> String {
    let found = node.list_at(&["status", "addresses"]).iter().find(|a| at(a, "type") == kind);
    found.map_or_else(|| NONE.to_owned(), |a| at(a, "address"))
}
