//! Volumes, claims and their classes: the names that several parts of the cluster read or write, and what is read of the objects alike everywhere.
use crate::object::Object;
use crate::quantity::Quantity;
use serde_json::Value;

/// The built-in provisioner: directories of nodes, made and removed by the nodes' agents.
pub const PROVISIONER: &str = "whalesong.dev/local-path";
/// The class that a cluster begins with.
pub const DEFAULT_CLASS: &str = "local-path";
/// Marks the class that claims get which name none.
pub const IS_DEFAULT: [&str; 2] = ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
/// On a claim: it is bound, and its volume knows it.
pub const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
/// On a claim or a volume: the controller chose the other one; otherwise a user did.
pub const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
/// On a volume: who made it, and so removes it.
pub const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// On a claim: who is to make its volume; the second is the name before.
pub const STORAGE_PROVISIONER: [&str; 2] = ["volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner"];
/// On a claim: the node for whose pod its volume is to be made.
pub const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
/// Named the class before there was a field for it.
pub const CLASS: &str = "volume.beta.kubernetes.io/storage-class";
/// The finalizer of a claim, which stays while a pod uses it.
pub const CLAIM_PROTECTION: &str = "kubernetes.io/pvc-protection";
/// The finalizer of a volume, which stays while it is bound.
pub const VOLUME_PROTECTION: &str = "kubernetes.io/pv-protection";
/// Label of a volume of the built-in provisioner: the node that has its directory.
pub const DIRECTORY_NODE: &str = "whalesong.dev/node";
/// The finalizer of such a volume, which stays until the node has removed the directory.
pub const DIRECTORY: &str = "whalesong.dev/directory";
/// On such a volume: the size up to which the node has made the directory.
pub const DIRECTORY_SIZE: &str = "whalesong.dev/directory-size";
/// On such a volume: whether the node's file system keeps the directory within its size, `true` or `false`.
pub const SIZE_ENFORCED: &str = "whalesong.dev/size-enforced";
/// On a node: where it keeps the directories of volumes.
pub const DIRECTORIES: &str = "whalesong.dev/volume-directories";

/// The class that a claim or a volume names; `""` for none.
pub fn class(object: &Object) -> &str {
    object.annotation(CLASS).unwrap_or_else(|| object.str_at(&["spec", "storageClassName"]))
}

/// Whether a claim says which class it is of, if only that it is of none.
pub fn names_class(claim: &Object) -> bool {
    claim.annotation(CLASS).is_some() || claim.at(&["spec", "storageClassName"]).is_some_and(|class| !class.is_null())
}

fn quantity(object: &Object, path: &[&str]) -> Quantity {
    object.at(path).and_then(|size| Quantity::from_json(size).ok()).unwrap_or(Quantity::ZERO)
}

/// The size that a claim asks for.
pub fn requested(claim: &Object) -> Quantity {
    quantity(claim, &["spec", "resources", "requests", "storage"])
}

/// The size that a volume has.
pub fn capacity(volume: &Object) -> Quantity {
    quantity(volume, &["spec", "capacity", "storage"])
}

/// Who is to make a claim's volume; `""` for nobody yet.
pub fn provisioner(claim: &Object) -> &str {
    STORAGE_PROVISIONER.iter().find_map(|key| claim.annotation(key)).unwrap_or_default()
}

/// Whether a volume is a directory of the built-in provisioner.
pub fn is_directory(volume: &Object) -> bool {
    volume.annotation(PROVISIONED_BY) == Some(PROVISIONER)
}

/// The name of the claim that a volume of a pod means: one that it names, or its own; and whether it is its own.
pub fn claim_of<'a>(pod: &str, volume: &'a Value) -> Option<(std::borrow::Cow<'a, str>, bool)> {
    if let Some(claim) = volume.pointer("/persistentVolumeClaim/claimName").and_then(Value::as_str) {
        return Some((claim.into(), false));
    }
    let own = volume.get("ephemeral").is_some_and(|source| !source.is_null());
    own.then(|| (own_claim(pod, volume.get("name").and_then(Value::as_str).unwrap_or_default()).into(), true))
}

/// The name of the claim that a pod has for its generic ephemeral volume.
pub fn own_claim(pod: &str, volume: &str) -> String {
    format!("{pod}-{volume}")
}

/// The modes in which an object can be, or asks to be, mounted.
pub fn access_modes(object: &Object) -> impl Iterator<Item = &str> {
    object.list_at(&["spec", "accessModes"]).iter().filter_map(Value::as_str)
}

/// As what a pod sees a volume.
pub fn mode(object: &Object) -> &str {
    Some(object.str_at(&["spec", "volumeMode"])).filter(|mode| !mode.is_empty()).unwrap_or("Filesystem")
}

/// Whether a volume names this claim as the one that it is for, which may not have a UID yet.
pub fn is_for(volume: &Object, claim: &Object) -> bool {
    let of = |field: &str| volume.str_at(&["spec", "claimRef", field]);
    let names = volume.at(&["spec", "claimRef"]).is_some() && of("name") == claim.name() && of("namespace") == claim.namespace();
    names && (of("uid").is_empty() || of("uid") == claim.uid())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_read_of_claims_and_volumes() {
        let object = |value: Value| Object::from_value(value).unwrap();
        let claim = object(json!({"metadata": {"name": "c", "namespace": "a", "uid": "u"}, "spec": {"resources": {"requests": {"storage": "1Gi"}}}}));
        assert_eq!((class(&claim), names_class(&claim), mode(&claim), requested(&claim).value()), ("", false, "Filesystem", 1 << 30));
        let none = object(json!({"spec": {"storageClassName": ""}}));
        assert!(names_class(&none) && class(&none).is_empty());
        let before = object(json!({"metadata": {"annotations": {CLASS: "old"}}, "spec": {"storageClassName": "new"}}));
        assert_eq!(class(&before), "old");
        let volume = |claim: Value| object(json!({"spec": {"claimRef": claim}}));
        let named = |uid: &str| json!({"name": "c", "namespace": "a", "uid": uid});
        for (reference, want) in [(named(""), true), (named("u"), true), (named("other"), false), (json!(null), false), (json!({"name": "c"}), false)] {
            assert_eq!(is_for(&volume(reference.clone()), &claim), want, "{reference}");
        }
        assert!(!is_for(&object(json!({"spec": {}})), &claim));
    }

    #[test]
    fn claims_of_pods() {
        assert_eq!(claim_of("p", &json!({"name": "v", "persistentVolumeClaim": {"claimName": "c"}})), Some(("c".into(), false)));
        assert_eq!(claim_of("p", &json!({"name": "v", "ephemeral": {}})), Some(("p-v".into(), true)));
        assert_eq!(claim_of("p", &json!({"name": "v", "emptyDir": {}})), None);
    }
}
