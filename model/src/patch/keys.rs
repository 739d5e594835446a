//! By which key the items of a list merge: `x-kubernetes-patch-strategy` and `x-kubernetes-patch-merge-key` of Kubernetes' API.
//! The server's strategic merge and the OpenAPI documents, from which `kubectl` computes its patches, both read this table.

/// How patches treat one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListKey {
    /// `merge`, `retainKeys` or `merge,retainKeys`.
    pub strategy: &'static str,
    /// The field that identifies an item; `None` for sets of scalars and for maps.
    pub key: Option<&'static str>,
}

const fn by(key: &'static str) -> ListKey {
    ListKey { strategy: "merge", key: Some(key) }
}
const fn retain_by(key: &'static str) -> ListKey {
    ListKey { strategy: "merge,retainKeys", key: Some(key) }
}
const SET: ListKey = ListKey { strategy: "merge", key: None };
const RETAIN: ListKey = ListKey { strategy: "retainKeys", key: None };

/// Definition without the prefix up to the group, field, and how it merges.
const TABLE: &[(&str, &str, ListKey)] = &[
    ("meta.v1.ObjectMeta", "finalizers", SET),
    ("meta.v1.ObjectMeta", "ownerReferences", by("uid")),
    ("core.v1.Container", "env", by("name")),
    ("core.v1.Container", "ports", by("containerPort")),
    ("core.v1.Container", "volumeDevices", by("devicePath")),
    ("core.v1.Container", "volumeMounts", by("mountPath")),
    ("core.v1.ContainerStatus", "volumeMounts", by("mountPath")),
    ("core.v1.EphemeralContainer", "env", by("name")),
    ("core.v1.EphemeralContainer", "ports", by("containerPort")),
    ("core.v1.EphemeralContainer", "volumeDevices", by("devicePath")),
    ("core.v1.EphemeralContainer", "volumeMounts", by("mountPath")),
    ("core.v1.NamespaceStatus", "conditions", by("type")),
    ("core.v1.NodeSpec", "podCIDRs", SET),
    ("core.v1.NodeStatus", "addresses", by("type")),
    ("core.v1.NodeStatus", "conditions", by("type")),
    ("core.v1.PersistentVolumeClaimStatus", "conditions", by("type")),
    ("core.v1.PodSpec", "containers", by("name")),
    ("core.v1.PodSpec", "ephemeralContainers", by("name")),
    ("core.v1.PodSpec", "hostAliases", by("ip")),
    ("core.v1.PodSpec", "imagePullSecrets", by("name")),
    ("core.v1.PodSpec", "initContainers", by("name")),
    ("core.v1.PodSpec", "resourceClaims", retain_by("name")),
    ("core.v1.PodSpec", "schedulingGates", by("name")),
    ("core.v1.PodSpec", "topologySpreadConstraints", by("topologyKey")),
    ("core.v1.PodSpec", "volumes", retain_by("name")),
    ("core.v1.PodStatus", "conditions", by("type")),
    ("core.v1.PodStatus", "hostIPs", by("ip")),
    ("core.v1.PodStatus", "podIPs", by("ip")),
    ("core.v1.PodStatus", "resourceClaimStatuses", retain_by("name")),
    ("core.v1.ReplicationControllerStatus", "conditions", by("type")),
    ("core.v1.ServiceAccount", "secrets", by("name")),
    ("core.v1.ServiceSpec", "ports", by("port")),
    ("core.v1.ServiceStatus", "conditions", by("type")),
    ("apps.v1.DaemonSetStatus", "conditions", by("type")),
    ("apps.v1.DeploymentSpec", "strategy", RETAIN),
    ("apps.v1.DeploymentStatus", "conditions", by("type")),
    ("apps.v1.ReplicaSetStatus", "conditions", by("type")),
    ("apps.v1.StatefulSetStatus", "conditions", by("type")),
    ("batch.v1.JobStatus", "conditions", by("type")),
    ("autoscaling.v2.HorizontalPodAutoscalerStatus", "conditions", by("type")),
    ("policy.v1.PodDisruptionBudgetStatus", "conditions", by("type")),
    ("admissionregistration.v1.MutatingWebhookConfiguration", "webhooks", by("name")),
    ("admissionregistration.v1.ValidatingWebhookConfiguration", "webhooks", by("name")),
    ("storage.v1.CSINodeSpec", "drivers", by("name")),
];

/// How patches treat `field` of the definition `name` (`io.k8s.api.core.v1.PodSpec`); `None`: it is replaced as a whole.
pub fn list_key(name: &str, field: &str) -> Option<ListKey> {
    let short = name.strip_prefix("io.k8s.api.").or_else(|| name.strip_prefix("io.k8s.apimachinery.pkg.apis."))?;
    TABLE.iter().find(|(definition, f, _)| *definition == short && *f == field).map(|(_, _, key)| *key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;

    /// A row about a field that doesn't exist would silently do nothing.
    #[test]
    fn rows_name_real_fields() {
        for (definition, field, key) in TABLE {
            let name = if definition.starts_with("meta") { format!("io.k8s.apimachinery.pkg.apis.{definition}") } else { format!("io.k8s.api.{definition}") };
            let node = schema::definition(&name).unwrap_or_else(|| panic!("{name}"));
            let list = node.properties.get(*field).unwrap_or_else(|| panic!("{name}.{field}"));
            if let Some(key) = key.key {
                let (_, item) = list.items.as_ref().unwrap().resolve();
                assert!(item.properties.contains_key(key), "{name}.{field}[].{key}");
            }
            assert_eq!(list_key(&name, field), Some(*key));
        }
    }
}
