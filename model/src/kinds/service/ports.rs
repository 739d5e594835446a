//! Ports of Services.
use crate::error::{Cause, CauseReason};
use crate::kinds::fields::{Checks, int, items, list, text};
use crate::names;
use serde_json::Value;
use std::collections::HashSet;
use std::fmt::Display;

pub(super) fn validate(checks: &mut Checks, spec: &Value) {
    let kind = text(spec, "type");
    let many = list(spec, "ports").len() > 1;
    let (mut names_seen, mut ports_seen, mut node_ports) = (HashSet::new(), HashSet::new(), HashSet::new());
    for (path, port) in items(spec, &"spec", "ports") {
        one(checks, &path, port, many);
        let (name, protocol, number) = (text(port, "name"), text(port, "protocol"), int(port, "port").unwrap_or_default());
        if !name.is_empty() {
            checks.unique(format_args!("{path}.name"), &name.into(), &mut names_seen);
        }
        if !ports_seen.insert((number, protocol)) {
            checks.add(duplicate(&path, number, protocol));
        }
        let Some(node) = int(port, "nodePort").filter(|n| *n != 0) else { continue };
        if matches!(kind, "ClusterIP" | "ExternalName") {
            checks.add(Cause::forbidden(format_args!("{path}.nodePort"), format!("may not be used when `type` is '{kind}'")));
        }
        if !node_ports.insert((node, protocol)) {
            checks.add(Cause::duplicate(format_args!("{path}.nodePort"), &node.into()));
        }
    }
}

fn one(checks: &mut Checks, path: &dyn Display, port: &Value, many: bool) {
    let path_of = |key: &str| format!("{path}.{key}");
    let name = text(port, "name");
    if many {
        checks.name(path_of("name"), name, names::dns_label)
    } else {
        checks.optional_name(path_of("name"), name, names::dns_label)
    }
    checks.port(path_of("port"), int(port, "port").unwrap_or_default());
    checks.one_of(path_of("protocol"), text(port, "protocol"), &["SCTP", "TCP", "UDP"]);
    checks.port_or_name(path_of("targetPort"), port.get("targetPort"));
    if let Some(protocol) = port.get("appProtocol").and_then(Value::as_str) {
        checks.all(path_of("appProtocol"), protocol, names::qualified_name(protocol));
    }
}

/// Kubernetes shows the port as it has it in memory, with only what must be unique.
fn duplicate(path: &dyn Display, number: i64, protocol: &str) -> Cause {
    let protocol = Value::from(protocol);
    let shown = format!("{{\"Name\":\"\",\"Protocol\":{protocol},\"AppProtocol\":null,\"Port\":{number},\"TargetPort\":0,\"NodePort\":0}}");
    Cause { reason: CauseReason::FieldValueDuplicate, field: path.to_string(), message: format!("Duplicate value: {shown}") }
}
