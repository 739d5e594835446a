//! Which objects of its namespace a pod refers to by name: what its node may read, and what a mirror pod may not have.
use model::{Object, storage};
use serde_json::Value;
use std::borrow::Cow;

pub use model::kinds::pod::MIRROR;

/// What a pod may refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// Secrets: volumes, environment, image pulls.
    Secret,
    /// ConfigMaps: volumes, environment.
    ConfigMap,
    /// Its service account.
    ServiceAccount,
    /// Claims to volumes, those that are made for it among them.
    Claim,
}

/// Where volumes name a Secret.
const SECRETS: [&[&str]; 10] = [
    &["secret", "secretName"],
    &["azureFile", "secretName"],
    &["cephfs", "secretRef", "name"],
    &["cinder", "secretRef", "name"],
    &["flexVolume", "secretRef", "name"],
    &["rbd", "secretRef", "name"],
    &["scaleIO", "secretRef", "name"],
    &["iscsi", "secretRef", "name"],
    &["storageos", "secretRef", "name"],
    &["csi", "nodePublishSecretRef", "name"],
];
const CONFIG_MAPS: [&[&str]; 1] = [&["configMap", "name"]];

/// Volumes that need nothing of the API.
const INDEPENDENT: [&str; 22] = [
    "awsElasticBlockStore",
    "azureDisk",
    "cephfs",
    "cinder",
    "downwardAPI",
    "emptyDir",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "gitRepo",
    "hostPath",
    "image",
    "iscsi",
    "nfs",
    "photonPersistentDisk",
    "portworxVolume",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
    "vsphereVolume",
];

/// Volumes that need something of the API even when they name nothing.
const DEPENDENT: [(&str, &str); 7] = [
    ("configMap", "configmaps (via configmap volumes)"),
    ("secret", "secrets (via secret volumes)"),
    ("csi", "csidrivers (via CSI volumes)"),
    ("glusterfs", "endpoints (via glusterFS volumes)"),
    ("persistentVolumeClaim", "persistentvolumeclaims"),
    ("ephemeral", "persistentvolumeclaims (via ephemeral volumes)"),
    ("azureFile", "secrets (via azureFile volumes)"),
];

/// The same of a projected volume's sources.
const PROJECTED: [(&str, &str); 5] = [
    ("configMap", "configmaps (via projected volumes)"),
    ("secret", "secrets (via projected volumes)"),
    ("serviceAccountToken", "serviceaccounts (via projected volumes)"),
    ("clusterTrustBundle", "clustertrustbundles"),
    ("podCertificate", "podcertificates"),
];

/// Whether it is a mirror pod.
pub fn is_mirror(pod: &Object) -> bool {
    pod.annotation(MIRROR).is_some()
}

fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    path.iter().try_fold(value, |v, step| v.get(step)).and_then(Value::as_str).filter(|name| !name.is_empty())
}

fn has(value: &Value, field: &str) -> bool {
    value.get(field).is_some_and(|v| !v.is_null())
}

fn each<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value.get(field).and_then(Value::as_array).into_iter().flatten()
}

fn in_volumes<'a>(pod: &'a Object, paths: &'static [&'static [&'static str]], projected: &'static str) -> impl Iterator<Item = &'a str> {
    let of = move |volume: &'a Value| {
        let sources = volume.get("projected").into_iter().flat_map(|p| each(p, "sources"));
        paths.iter().filter_map(|path| at(volume, path)).chain(sources.filter_map(move |s| at(s, &[projected, "name"])))
    };
    pod.list_at(&["spec", "volumes"]).iter().flat_map(of)
}

fn in_containers<'a>(pod: &'a Object, key: &'static str, all: &'static str) -> impl Iterator<Item = &'a str> {
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    let containers = lists.into_iter().flat_map(|list| pod.list_at(&["spec", list]));
    containers.flat_map(move |c| {
        let env = each(c, "env").filter_map(move |e| at(e, &["valueFrom", key, "name"]));
        env.chain(each(c, "envFrom").filter_map(move |e| at(e, &[all, "name"])))
    })
}

fn secrets(pod: &Object) -> impl Iterator<Item = &str> {
    let pulls = pod.list_at(&["spec", "imagePullSecrets"]).iter().filter_map(|s| at(s, &["name"]));
    pulls.chain(in_containers(pod, "secretKeyRef", "secretRef")).chain(in_volumes(pod, &SECRETS, "secret"))
}

fn config_maps(pod: &Object) -> impl Iterator<Item = &str> {
    in_containers(pod, "configMapKeyRef", "configMapRef").chain(in_volumes(pod, &CONFIG_MAPS, "configMap"))
}

/// Whether a pod refers to an object of this kind whose name passes `wanted`.
fn refers_where(pod: &Object, kind: Reference, wanted: impl Fn(&str) -> bool) -> bool {
    match kind {
        Reference::Secret => secrets(pod).any(wanted),
        Reference::ConfigMap => config_maps(pod).any(wanted),
        Reference::ServiceAccount => account(pod).is_some_and(wanted),
        Reference::Claim => claims(pod).any(|claim| wanted(&claim)),
    }
}

/// The claims that a pod's volumes mean.
pub fn claims(pod: &Object) -> impl Iterator<Item = Cow<'_, str>> {
    pod.list_at(&["spec", "volumes"]).iter().filter_map(|volume| storage::claim_of(pod.name(), volume)).map(|(claim, _)| claim)
}

/// A pod's service account, by the field's present name or its former one.
fn account(pod: &Object) -> Option<&str> {
    ["serviceAccountName", "serviceAccount"].into_iter().map(|field| pod.str_at(&["spec", field])).find(|name| !name.is_empty())
}

/// Whether a pod refers to the object of this name in its namespace.
pub fn refers(pod: &Object, kind: Reference, name: &str) -> bool {
    refers_where(pod, kind, |found| found == name)
}

/// Whether a pod refers to any object of this kind.
pub fn refers_to_any(pod: &Object, kind: Reference) -> bool {
    refers_where(pod, kind, |_| true)
}

/// Whether one of a pod's volumes is a token of its service account for `audience`; `""` is the API's own.
pub fn has_token_for(pod: &Object, audience: &str) -> bool {
    tokens(pod).any(|token| at(token, &["audience"]).unwrap_or_default() == audience)
}

/// The tokens that a pod's volumes have.
pub fn tokens(pod: &Object) -> impl Iterator<Item = &Value> {
    let sources = pod.list_at(&["spec", "volumes"]).iter().filter_map(|v| v.get("projected")).flat_map(|p| each(p, "sources"));
    sources.filter_map(|s| s.get("serviceAccountToken").filter(|t| !t.is_null()))
}

/// Which resource of the API a pod needs first; `None` for a pod that stands by itself.
///
/// # Errors
/// The name of a volume of which nobody can tell.
pub fn needs(pod: &Object) -> Result<Option<&'static str>, String> {
    let claims = !pod.list_at(&["spec", "resourceClaims"]).is_empty();
    let first = [
        (refers_to_any(pod, Reference::ServiceAccount), "serviceaccounts"),
        (refers_to_any(pod, Reference::Secret), "secrets"),
        (refers_to_any(pod, Reference::ConfigMap), "configmaps"),
        (claims, "resourceclaims"),
    ];
    if let Some((_, resource)) = first.into_iter().find(|(found, _)| *found) {
        return Ok(Some(resource));
    }
    for volume in pod.list_at(&["spec", "volumes"]) {
        if let Some(resource) = volume_needs(volume)? {
            return Ok(Some(resource));
        }
    }
    Ok(None)
}

fn volume_needs(volume: &Value) -> Result<Option<&'static str>, String> {
    let name = at(volume, &["name"]).unwrap_or_default();
    let known = |rows: &[(&str, &'static str)], value: &Value| rows.iter().find(|(field, _)| has(value, field)).map(|(_, resource)| *resource);
    if let Some(resource) = known(&DEPENDENT, volume) {
        return Ok(Some(resource));
    }
    if has(volume, "projected") {
        for source in volume.get("projected").into_iter().flat_map(|p| each(p, "sources")) {
            match known(&PROJECTED, source) {
                None if has(source, "downwardAPI") => {}
                None => return Err(format!("unknown source for projected volume {name:?}")),
                found => return Ok(found),
            }
        }
        return Ok(None);
    }
    if INDEPENDENT.iter().any(|field| has(volume, field)) { Ok(None) } else { Err(format!("unknown volume type for volume {name:?}")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(spec: Value) -> Object {
        Object::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap()
    }

    #[test]
    fn what_a_pod_needs_of_the_api() {
        let volume = |source: Value| {
            let mut volume = json!({"name": "v"});
            volume.as_object_mut().unwrap().extend(source.as_object().unwrap().clone());
            json!({"volumes": [{"name": "a", "emptyDir": {}}, volume]})
        };
        let cases = [
            (json!({"containers": [{"name": "c", "env": [{"name": "X", "value": "1"}]}]}), Ok(None)),
            (json!({"serviceAccountName": "a"}), Ok(Some("serviceaccounts"))),
            (json!({"serviceAccount": "a"}), Ok(Some("serviceaccounts"))),
            (json!({"imagePullSecrets": [{"name": "s"}]}), Ok(Some("secrets"))),
            (json!({"containers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "s"}}}]}]}), Ok(Some("secrets"))),
            (json!({"initContainers": [{"envFrom": [{"secretRef": {"name": "s"}}]}]}), Ok(Some("secrets"))),
            (json!({"ephemeralContainers": [{"envFrom": [{"configMapRef": {"name": "s"}}]}]}), Ok(Some("configmaps"))),
            (json!({"containers": [{"env": [{"valueFrom": {"configMapKeyRef": {"name": "s"}}}]}]}), Ok(Some("configmaps"))),
            (json!({"resourceClaims": [{"name": "r"}]}), Ok(Some("resourceclaims"))),
            (volume(json!({"hostPath": {"path": "/x"}})), Ok(None)),
            (volume(json!({"secret": {"secretName": "s"}})), Ok(Some("secrets"))),
            (volume(json!({"secret": {}})), Ok(Some("secrets (via secret volumes)"))),
            (volume(json!({"cephfs": {"secretRef": {"name": "s"}}})), Ok(Some("secrets"))),
            (volume(json!({"csi": {"driver": "d"}})), Ok(Some("csidrivers (via CSI volumes)"))),
            (volume(json!({"persistentVolumeClaim": {"claimName": "c"}})), Ok(Some("persistentvolumeclaims"))),
            (volume(json!({"ephemeral": {}})), Ok(Some("persistentvolumeclaims (via ephemeral volumes)"))),
            (volume(json!({"projected": {"sources": [{"downwardAPI": {}}]}})), Ok(None)),
            (
                volume(json!({"projected": {"sources": [{"downwardAPI": {}}, {"serviceAccountToken": {}}]}})),
                Ok(Some("serviceaccounts (via projected volumes)")),
            ),
            (volume(json!({"projected": {"sources": [{"clusterTrustBundle": {}}]}})), Ok(Some("clustertrustbundles"))),
            (volume(json!({"projected": {"sources": [{"new": {}}]}})), Err("unknown source for projected volume \"v\"")),
            (volume(json!({"new": {}})), Err("unknown volume type for volume \"v\"")),
        ];
        for (spec, want) in cases {
            assert_eq!(needs(&pod(spec.clone())), want.map_err(str::to_owned), "{spec}");
        }
    }

    #[test]
    fn tokens_are_for_an_audience() {
        let with = |token: Value| pod(json!({"volumes": [{"name": "t", "projected": {"sources": [{"serviceAccountToken": token}]}}]}));
        let cases = [(json!({"path": "t"}), "", true), (json!({"audience": "a"}), "", false), (json!({"audience": "a"}), "a", true), (json!(null), "", false)];
        for (token, audience, want) in cases {
            assert_eq!(has_token_for(&with(token.clone()), audience), want, "{token} {audience}");
        }
    }
}
