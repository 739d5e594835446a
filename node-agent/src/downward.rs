//! The downward API: a pod's own fields and resources as text.
use crate::pod::{Observed, container, spec};
use crate::resources;
use k8s_openapi::api::core::v1::{ObjectFieldSelector, Pod, ResourceFieldSelector};
use model::quantity::Quantity;
use std::collections::BTreeMap;

/// What the fields are read from.
#[derive(Clone, Copy)]
pub struct DownwardSource<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// Its addresses.
    pub pod_ips: &'a [String],
    /// The node's addresses.
    pub host_ips: &'a [String],
    /// What a container without limits may use: the node's allocatable CPU (thousandths) and memory (bytes).
    pub allocatable: (i64, i64),
}

/// The pod's addresses as far as they are known.
pub fn pod_ips(pod: &Pod, seen: &Observed, host_ips: &[String]) -> Vec<String> {
    if spec(pod).host_network == Some(true) {
        return host_ips.to_vec();
    }
    seen.sandbox.as_ref().and_then(|s| s.ip).map(|ip| ip.to_string()).into_iter().collect()
}

/// `key="value"` lines, sorted by key.
fn lines(map: Option<&BTreeMap<String, String>>) -> String {
    map.into_iter().flatten().map(|(k, v)| format!("{k}={v:?}")).collect::<Vec<_>>().join("\n")
}

fn entry<'p>(path: &'p str, map: &str) -> Option<&'p str> {
    path.strip_prefix(map)?.strip_prefix("['")?.strip_suffix("']")
}

/// A `fieldRef`'s value.
///
/// # Errors
/// The field's path when it isn't one of those that are supported.
pub fn field(view: DownwardSource<'_>, selector: &ObjectFieldSelector) -> Result<String, String> {
    let meta = &view.pod.metadata;
    let spec = spec(view.pod);
    let path = selector.field_path.as_str();
    let text = |s: &Option<String>| s.clone().unwrap_or_default();
    let of = |map: &Option<BTreeMap<String, String>>, key: &str| map.as_ref().and_then(|m| m.get(key)).cloned().unwrap_or_default();
    if let Some(key) = entry(path, "metadata.labels") {
        return Ok(of(&meta.labels, key));
    }
    if let Some(key) = entry(path, "metadata.annotations") {
        return Ok(of(&meta.annotations, key));
    }
    Ok(match path {
        "metadata.name" => text(&meta.name),
        "metadata.namespace" => text(&meta.namespace),
        "metadata.uid" => text(&meta.uid),
        "metadata.labels" => lines(meta.labels.as_ref()),
        "metadata.annotations" => lines(meta.annotations.as_ref()),
        "spec.nodeName" => text(&spec.node_name),
        "spec.serviceAccountName" => text(&spec.service_account_name),
        "status.podIP" => view.pod_ips.first().cloned().unwrap_or_default(),
        "status.podIPs" => view.pod_ips.join(","),
        "status.hostIP" => view.host_ips.first().cloned().unwrap_or_default(),
        "status.hostIPs" => view.host_ips.join(","),
        _ => return Err(format!("unsupported fieldPath: {path}")),
    })
}

/// A `resourceFieldRef`'s value: rounded up to the divisor.
///
/// # Errors
/// What can't be resolved.
pub fn resource(view: DownwardSource<'_>, selector: &ResourceFieldSelector, default_container: &str) -> Result<String, String> {
    let name = selector.container_name.as_deref().filter(|n| !n.is_empty()).unwrap_or(default_container);
    let c = container(view.pod, name).ok_or_else(|| format!("container {name} not found"))?;
    let (kind, what) = selector.resource.split_once('.').ok_or_else(|| format!("unsupported resource: {}", selector.resource))?;
    let asked = match kind {
        "limits" => resources::limit(&c, what),
        "requests" => resources::request(&c, what),
        _ => return Err(format!("unsupported container resource : {}", selector.resource)),
    };
    let milli = asked.map(|q| q.milli()).unwrap_or(match (kind, what) {
        ("limits", "cpu") => view.allocatable.0.into(),
        ("limits", "memory") => i128::from(view.allocatable.1) * 1000,
        _ => 0,
    });
    let divisor: i128 = match &selector.divisor {
        Some(d) if d.0 != "0" && !d.0.is_empty() => d.0.parse::<Quantity>().map_err(|e| e.to_string())?.milli(),
        _ => 1000,
    };
    let divisor = divisor.max(1);
    Ok(((milli + divisor - 1) / divisor).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_and_resources() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n", "labels": {"b": "2", "a": "1\""}},
            "spec": {"nodeName": "node", "containers": [{"name": "c", "resources": {"limits": {"cpu": "1500m"}, "requests": {"memory": "1Mi"}}}]}
        }))
        .unwrap();
        let ips = ["10.0.0.5".to_owned()];
        let view = DownwardSource { pod: &pod, pod_ips: &ips, host_ips: &[], allocatable: (2000, 1 << 30) };
        for (path, want) in [
            ("metadata.name", Ok("p")),
            ("metadata.labels", Ok("a=\"1\\\"\"\nb=\"2\"")),
            ("metadata.labels['b']", Ok("2")),
            ("metadata.annotations['x']", Ok("")),
            ("status.podIP", Ok("10.0.0.5")),
            ("spec.nodeName", Ok("node")),
            ("spec.what", Err("unsupported fieldPath: spec.what")),
        ] {
            let got = field(view, &ObjectFieldSelector { field_path: path.into(), api_version: None });
            assert_eq!(got, want.map(str::to_owned).map_err(str::to_owned), "{path}");
        }
        for (what, divisor, want) in
            [("limits.cpu", "0", "2"), ("limits.cpu", "1m", "1500"), ("requests.memory", "1Ki", "1024"), ("limits.memory", "1Mi", "1024")]
        {
            let selector = json!({"resource": what, "divisor": divisor});
            assert_eq!(resource(view, &serde_json::from_value(selector).unwrap(), "c").unwrap(), want, "{what}/{divisor}");
        }
    }
}
