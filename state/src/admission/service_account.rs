//! ServiceAccount: gives each pod a service account of its namespace, and mounts that account's token where clients look for it.
use super::step::{Admit, Effects, Refusal, Step};
use crate::authz::references::{self, Reference, is_mirror, refers_to_any};
use crate::meta;
use model::{Key, Object};
use serde_json::{Map, Value, json};
use std::time::Duration;

const MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const VOLUME: &str = "kube-api-access-";
/// An hour and seven seconds, as Kubernetes asks for: recognisable as not chosen by a user.
const TOKEN_SECONDS: i64 = 3607;
/// How long a pod waits for its new namespace's own account, by default; in Kubernetes it is between one and two seconds.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// The step.
pub struct ServiceAccount {
    /// How long a pod waits for its namespace's own account.
    pub patience: Duration,
}

impl Step for ServiceAccount {
    fn admit(&self, request: &Admit<'_>, object: &mut Object, _held: &mut Effects) -> Result<(), Refusal> {
        if !request.creates("", "pods") {
            return Ok(());
        }
        if is_mirror(object) {
            return mirror(object).map_or(Ok(()), |why| Err(request.forbidden(object, why)));
        }
        if object.str_at(&["spec", "serviceAccountName"]).is_empty() {
            let name = match object.str_at(&["spec", "serviceAccount"]) {
                "" => "default".to_owned(),
                old_form => old_form.to_owned(),
            };
            object.set(&["spec", "serviceAccountName"], name);
        }
        let (namespace, name) = (object.namespace().to_owned(), object.str_at(&["spec", "serviceAccountName"]).to_owned());
        let Some(account) = request.view.get(&Key::new("", "serviceaccounts", namespace.as_str(), name.as_str())) else {
            let why = format!("error looking up service account {namespace}/{name}: serviceaccount \"{name}\" not found");
            let refusal = Refusal::missing("", "serviceaccounts", request.forbidden(object, why).error);
            return Err(if name == "default" { refusal.expected_within(self.patience) } else { refusal });
        };
        object.set(&["spec", "serviceAccount"], name);
        apply(object, account.object(), request.entropy);
        Ok(())
    }
}

/// What a mirror pod may not have, whoever makes it: its node would be given it.
fn mirror(pod: &Object) -> Option<&'static str> {
    let rows = [
        (refers_to_any(pod, Reference::ServiceAccount), "a mirror pod may not reference service accounts"),
        (refers_to_any(pod, Reference::Secret), "a mirror pod may not reference secrets"),
        (references::tokens(pod).next().is_some(), "a mirror pod may not use ServiceAccountToken volume projections"),
    ];
    rows.into_iter().find_map(|(found, why)| found.then_some(why))
}

fn apply(pod: &mut Object, account: &Object, entropy: u64) {
    let automount = |o: &Object, path: &[&str]| o.at(path).and_then(Value::as_bool);
    let wanted = automount(pod, &["spec", "automountServiceAccountToken"]).or(automount(account, &["automountServiceAccountToken"])).unwrap_or(true);
    if wanted {
        mount(pod, entropy);
    }
    let pulls = account.list_at(&["imagePullSecrets"]);
    if pod.list_at(&["spec", "imagePullSecrets"]).is_empty() && !pulls.is_empty() {
        pod.set(&["spec", "imagePullSecrets"], pulls.to_vec());
    }
}

/// Mounts the token into every container that has nothing at its place yet.
fn mount(pod: &mut Object, entropy: u64) {
    let named = |v: &Value| v.get("name").and_then(Value::as_str).filter(|n| n.starts_with(VOLUME)).map(str::to_owned);
    let existing = pod.list_at(&["spec", "volumes"]).iter().find_map(named);
    let name = existing.clone().unwrap_or_else(|| format!("{VOLUME}{}", meta::suffix(entropy)));
    let mut mounted = false;
    for list in ["initContainers", "containers"] {
        let containers = pod.at_mut(&["spec", list]).and_then(Value::as_array_mut).into_iter().flatten();
        for container in containers.filter_map(Value::as_object_mut) {
            mounted |= mount_into(container, &name);
        }
    }
    if mounted && existing.is_none() {
        match pod.at_mut(&["spec", "volumes"]).and_then(Value::as_array_mut) {
            Some(volumes) => volumes.push(volume(&name)),
            None => pod.set(&["spec", "volumes"], vec![volume(&name)]),
        }
    }
}

fn mount_into(container: &mut Map<String, Value>, volume: &str) -> bool {
    let mounts = container.entry("volumeMounts").or_insert_with(|| json!([]));
    if mounts.is_null() {
        *mounts = json!([]);
    }
    let Some(mounts) = mounts.as_array_mut() else { return false };
    if mounts.iter().any(|m| m.get("mountPath").and_then(Value::as_str) == Some(MOUNT)) {
        return false;
    }
    mounts.push(json!({"name": volume, "readOnly": true, "mountPath": MOUNT}));
    true
}

fn volume(name: &str) -> Value {
    json!({"name": name, "projected": {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
    ]}})
}
