//! What is refused in a pod's spec.
use super::context::{Owner, Within};
use super::{annotations, containers, ephemeral, network, os, placement, security, unsupported, volumes};
use crate::error::Cause;
use crate::kinds::fields::{Checks, int, items, list, map, text};
use crate::object::Object;
use crate::{meta, names};
use serde_json::Value;
use std::collections::HashSet;
use std::fmt::{self, Display};

/// A template of pods: metadata, which Kubernetes leaves out of its fields' paths, and spec.
pub(in crate::kinds) fn template(checks: &mut Checks, path: &dyn Display, template: &Value) {
    let of = |field| template.get("metadata").and_then(|m| map(m, field));
    let empty = Value::Null;
    let pod = template.get("spec").unwrap_or(&empty);
    checks.extend(meta::labels(format_args!("{path}.labels"), of("labels")));
    checks.extend(meta::annotations(&format_args!("{path}.annotations"), of("annotations")));
    annotations::validate(checks, &format_args!("{path}.annotations"), of("annotations"), pod);
    spec(checks, &format_args!("{path}.spec"), pod, Owner::Template);
    if !list(pod, "ephemeralContainers").is_empty() {
        checks.add(Cause::forbidden(format_args!("{path}.spec.ephemeralContainers"), "ephemeral containers not allowed in pod template"));
    }
}

/// A pod, but for what holds for all kinds.
pub(super) fn pod(checks: &mut Checks, object: &Object) {
    let pod = object.at(&["spec"]).unwrap_or(&Value::Null);
    annotations::validate(checks, &"metadata.annotations", object.annotations(), pod);
    spec(checks, &"spec", pod, Owner::Pod);
    if text(pod, "serviceAccountName").is_empty() {
        for (path, volume) in items(pod, &"spec", "volumes") {
            let Some(projected) = volume.get("projected") else { continue };
            for (path, _) in items(projected, &format_args!("{path}.projected"), "sources").filter(|(_, s)| s.get("serviceAccountToken").is_some()) {
                checks.add(Cause::forbidden(format_args!("{path}.serviceAccountToken"), "must not be specified when serviceAccountName is not set"));
            }
        }
    }
    checks.not_negative("spec.terminationGracePeriodSeconds", int(pod, "terminationGracePeriodSeconds"));
    if !text(pod, "nodeName").is_empty() && !list(pod, "schedulingGates").is_empty() {
        checks.add(Cause::forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared"));
    }
}

/// The spec at `path`.
fn spec(checks: &mut Checks, path: &dyn Display, spec: &Value, owner: Owner) {
    let at = |field: &'static str| fmt::from_fn(move |f| write!(f, "{path}.{field}"));
    let volumes = volumes::validate(checks, path, spec);
    let within = Within {
        volumes,
        grace: int(spec, "terminationGracePeriodSeconds"),
        never_restarts: text(spec, "restartPolicy") == "Never",
        host_users: spec.get("hostUsers") != Some(&Value::Bool(false)),
        owner,
    };
    containers::validate(checks, path, spec, &within);
    if owner == Owner::Pod {
        ephemeral::validate(checks, path, spec, &within);
    }
    checks.one_of(at("restartPolicy"), text(spec, "restartPolicy"), &["Always", "OnFailure", "Never"]);
    checks.one_of(at("dnsPolicy"), text(spec, "dnsPolicy"), &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]);
    security::pod(checks, path, spec);
    network::validate(checks, path, spec, owner);
    placement::validate(checks, path, spec);
    gates(checks, path, spec);
    references(checks, path, spec);
    if let Some(n) = int(spec, "activeDeadlineSeconds").filter(|n| !(1..=i64::from(i32::MAX)).contains(n)) {
        checks.add(Cause::invalid(at("activeDeadlineSeconds"), &n.into(), "must be between 1 and 2147483647, inclusive"));
    }
    if let Some(policy) = spec.get("preemptionPolicy") {
        checks.one_of(at("preemptionPolicy"), policy.as_str().unwrap_or_default(), &["PreemptLowerPriority", "Never"]);
    }
    if !list(spec, "resourceClaims").is_empty() {
        checks.add(Cause::forbidden(at("resourceClaims"), "dynamic resource allocation is not supported"));
    }
    os::validate(checks, path, spec);
    unsupported::validate(checks, path, spec);
}

/// Names of other objects. Those of `imagePullSecrets` are free, and so is the scheduler's: Kubernetes looks at neither.
fn references(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    for field in ["serviceAccountName", "nodeName", "priorityClassName"] {
        checks.optional_name(format_args!("{path}.{field}"), text(spec, field), names::dns_subdomain);
    }
    let (account, name) = (text(spec, "serviceAccount"), text(spec, "serviceAccountName"));
    if account != name {
        let why = format!("must be the same as serviceAccountName: \"{name}\"");
        checks.add(Cause::invalid(format_args!("{path}.deprecatedServiceAccount"), &account.into(), why));
    }
    if let Some(class) = spec.get("runtimeClassName").and_then(Value::as_str) {
        checks.all(format_args!("{path}.runtimeClassName"), class, names::dns_subdomain(class));
    }
}

/// What a pod waits for before it is scheduled, or ready.
fn gates(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    for (path, gate) in items(spec, path, "readinessGates") {
        let condition = text(gate, "conditionType");
        checks.all(format_args!("{path}.conditionType"), condition, names::qualified_name(condition));
    }
    let mut seen = HashSet::new();
    for (path, gate) in items(spec, path, "schedulingGates") {
        let name = text(gate, "name");
        checks.all(&path, name, names::qualified_name(name));
        checks.unique(&path, &name.into(), &mut seen);
    }
}
