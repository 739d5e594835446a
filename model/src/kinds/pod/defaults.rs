//! What a pod's spec gets where a client left it out.
use crate::kinds::fields::{fill, fill_number, flag, int, items_mut, map_mut, text};
use serde_json::{Map, Value, json};

/// The default mode of files in volumes: 0644.
const FILE_MODE: i64 = 420;

/// Defaults of a pod.
pub(super) fn pod(spec: &mut Value) {
    fill(spec, "enableServiceLinks", true);
    if int(spec, "terminationGracePeriodSeconds").is_some_and(|grace| grace < 0)
        && let Some(map) = spec.as_object_mut()
    {
        map.insert("terminationGracePeriodSeconds".to_owned(), 1.into());
    }
    template_spec(spec);
    for key in ["initContainers", "containers"] {
        items_mut(spec, key).for_each(requests_from_limits);
    }
}

/// Defaults of a workload's `spec.template`.
pub(in crate::kinds) fn template(template: &mut Value) {
    if let Some(spec) = map_mut(template, "spec") {
        template_spec(spec);
    }
}

fn template_spec(spec: &mut Value) {
    fill(spec, "restartPolicy", "Always");
    fill(spec, "dnsPolicy", "ClusterFirst");
    fill(spec, "terminationGracePeriodSeconds", 30);
    fill(spec, "schedulerName", "default-scheduler");
    fill(spec, "securityContext", json!({}));
    service_account(spec);
    let host_network = flag(spec, "hostNetwork");
    items_mut(spec, "volumes").for_each(volume);
    for key in ["initContainers", "containers", "ephemeralContainers"] {
        items_mut(spec, key).for_each(|c| container(c, host_network));
    }
}

/// The deprecated field and its successor say the same.
fn service_account(spec: &mut Value) {
    let name = [text(spec, "serviceAccountName"), text(spec, "serviceAccount")].into_iter().find(|n| !n.is_empty()).map(str::to_owned);
    if let (Some(name), Some(map)) = (name, spec.as_object_mut()) {
        map.insert("serviceAccountName".to_owned(), name.as_str().into());
        map.insert("serviceAccount".to_owned(), name.into());
    }
}

fn container(container: &mut Value, host_network: bool) {
    let policy = if is_latest(text(container, "image")) { "Always" } else { "IfNotPresent" };
    fill(container, "imagePullPolicy", policy);
    fill(container, "terminationMessagePath", "/dev/termination-log");
    fill(container, "terminationMessagePolicy", "File");
    fill(container, "resources", json!({}));
    for port in items_mut(container, "ports") {
        fill(port, "protocol", "TCP");
        if host_network && let Some(number) = port.get("containerPort").cloned() {
            fill(port, "hostPort", number);
        }
    }
    items_mut(container, "env").for_each(|env| {
        if let Some(from) = env.get_mut("valueFrom") {
            reference(from);
        }
    });
    for key in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(p) = container.get_mut(key).filter(|p| p.is_object()) {
            probe(p);
        }
    }
    for hook in ["postStart", "preStop"] {
        if let Some(h) = container.pointer_mut(&format!("/lifecycle/{hook}")) {
            http_get(h);
        }
    }
}

/// Whether an image has no tag and no digest, or the tag `latest`.
fn is_latest(image: &str) -> bool {
    if image.contains('@') {
        return false;
    }
    let last = image.rsplit('/').next().unwrap_or(image);
    last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn probe(probe: &mut Value) {
    for (key, default) in [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)] {
        fill_number(probe, key, default);
    }
    http_get(probe);
    if let Some(grpc) = probe.get_mut("grpc").and_then(Value::as_object_mut) {
        grpc.entry("service").or_insert_with(|| "".into());
    }
}

fn http_get(handler: &mut Value) {
    if let Some(get) = handler.get_mut("httpGet") {
        fill(get, "path", "/");
        fill(get, "scheme", "HTTP");
    }
}

/// Of `valueFrom` and of a downward API volume's items.
fn reference(from: &mut Value) {
    if let Some(field) = from.get_mut("fieldRef") {
        fill(field, "apiVersion", "v1");
    }
    if let Some(resource) = from.get_mut("resourceFieldRef") {
        fill(resource, "divisor", "0");
    }
}

fn volume(volume: &mut Value) {
    let Some(map) = volume.as_object_mut() else { return };
    if !map.iter().any(|(key, value)| key != "name" && !value.is_null()) {
        map.insert("emptyDir".to_owned(), Value::Object(Map::new()));
    }
    for key in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = volume.get_mut(key) {
            fill(source, "defaultMode", FILE_MODE);
        }
    }
    if let Some(image) = volume.get_mut("image").filter(|image| image.is_object()) {
        let policy = if is_latest(text(image, "reference")) { "Always" } else { "IfNotPresent" };
        fill(image, "pullPolicy", policy);
    }
    if let Some(claim) = volume.pointer_mut("/ephemeral/volumeClaimTemplate/spec").filter(|spec| spec.is_object()) {
        fill(claim, "volumeMode", "Filesystem");
    }
    if let Some(path) = volume.get_mut("hostPath").and_then(Value::as_object_mut) {
        path.entry("type").or_insert_with(|| "".into());
    }
    if let Some(downward) = volume.get_mut("downwardAPI") {
        items_mut(downward, "items").for_each(reference);
    }
    let Some(projected) = volume.get_mut("projected") else { return };
    for source in items_mut(projected, "sources") {
        if let Some(token) = source.get_mut("serviceAccountToken") {
            fill(token, "expirationSeconds", 3600);
        }
        if let Some(downward) = source.get_mut("downwardAPI") {
            items_mut(downward, "items").for_each(reference);
        }
    }
}

/// A limit without a request requests as much.
fn requests_from_limits(container: &mut Value) {
    let Some(limits) = container.pointer("/resources/limits").and_then(Value::as_object).cloned() else { return };
    let Some(requests) = container.get_mut("resources").and_then(|r| map_mut(r, "requests")).and_then(Value::as_object_mut) else { return };
    for (name, limit) in limits {
        requests.entry(name).or_insert(limit);
    }
}
