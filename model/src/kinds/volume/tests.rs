use crate::kinds::builtin;
use crate::kinds::fixture::{check_defaults, check_kind, check_kind_change, check_kind_status, merge};
use crate::object::Object;
use serde_json::{Value, json};

const RESOURCE: &str = "persistentvolumes";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist…";

/// A volume with this changed in its spec.
fn volume(change: Value) -> Value {
    let mut spec = json!({"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "csi": {"driver": "d", "volumeHandle": "h"}});
    merge(&mut spec, change);
    json!({"metadata": {"name": "v"}, "spec": spec})
}

#[test]
fn sizes_and_modes() {
    let modes = |modes: &[&str]| volume(json!({ "accessModes": modes }));
    let known = "supported values: \"ReadOnlyMany\", \"ReadWriteMany\", \"ReadWriteOnce\", \"ReadWriteOncePod\"";
    let capacity = |capacity: Value| {
        let mut volume = volume(json!({}));
        volume["spec"]["capacity"] = capacity;
        volume
    };
    check_kind(
        "",
        RESOURCE,
        vec![
            (volume(json!({})), ""),
            (modes(&["ReadWriteMany", "ReadOnlyMany"]), ""),
            (modes(&["ReadWriteOncePod"]), ""),
            (modes(&[]), "spec.accessModes: Required value"),
            (modes(&["X"]), &format!("spec.accessModes: Unsupported value: \"X\": {known}")),
            (modes(&["ReadWriteOncePod", "ReadWriteOnce"]), "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes"),
            (capacity(json!(null)), "spec.capacity: Required value | spec.capacity: Unsupported value: null: supported values: \"storage\""),
            (capacity(json!({"cpu": "1"})), "spec.capacity: Unsupported value: {\"cpu\":\"1\"}: supported values: \"storage\""),
            (
                capacity(json!({"storage": "1", "cpu": "1"})),
                "spec.capacity: Unsupported value: {\"cpu\":\"1\",\"storage\":\"1\"}: supported values: \"storage\"",
            ),
            (capacity(json!({"storage": "0"})), "spec.capacity[storage]: Invalid value: \"0\": must be greater than zero"),
            (
                capacity(json!({"storage": "-1Ki"})),
                "spec.capacity[storage]: Invalid value: -1024: must be a valid resource quantity | spec.capacity[storage]: Invalid value: \"-1Ki\": must be greater than zero",
            ),
            (volume(json!({"volumeMode": "Block"})), ""),
            (volume(json!({"volumeMode": "X"})), "spec.volumeMode: Unsupported value: \"X\": supported values: \"Block\", \"Filesystem\""),
            (
                volume(json!({"persistentVolumeReclaimPolicy": "X"})),
                "spec.persistentVolumeReclaimPolicy: Unsupported value: \"X\": supported values: \"Delete\", \"Recycle\", \"Retain\"",
            ),
            (volume(json!({"storageClassName": "A"})), &format!("spec.storageClassName: Invalid value: \"A\": {SUBDOMAIN}")),
            (volume(json!({"volumeAttributesClassName": "a"})), ""),
            (volume(json!({"volumeAttributesClassName": ""})), "spec.volumeAttributesClassName: Required value: an empty string is disallowed"),
            (volume(json!({"volumeAttributesClassName": "A"})), &format!("spec.volumeAttributesClassName: Invalid value: \"A\": {SUBDOMAIN}")),
            (
                volume(json!({"volumeAttributesClassName": "a", "csi": null, "vsphereVolume": {"volumePath": "p"}})),
                "spec.csi: Required value: has to be specified when using volumeAttributesClassName",
            ),
        ],
    );
}

fn affinity(key: &str, values: &[&str]) -> Value {
    json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": key, "operator": "In", "values": values}]}]}})
}

#[test]
fn nodes_of_a_volume() {
    let of = |affinity: Value| volume(json!({ "nodeAffinity": affinity }));
    let place = "spec.nodeAffinity.required";
    check_kind(
        "",
        RESOURCE,
        vec![
            (of(affinity("a", &["b"])), ""),
            (of(json!({})), &format!("{place}: Required value: must specify required node constraints")),
            (of(json!({"required": {}})), &format!("{place}.nodeSelectorTerms: Required value: must have at least one node selector term")),
            (of(affinity("-", &["b"])), &format!("{place}.nodeSelectorTerms[0].matchExpressions[0].key: Invalid value: \"-\": name part must consist…")),
        ],
    );
    let changed = |to: Value| (of(affinity("beta.kubernetes.io/os", &["linux"])), of(to));
    let refused = |value: &str| format!("nodeAffinity: Invalid value: {value}: field is immutable, except for updating from beta label to GA");
    let shown = r#"{"Required":{"NodeSelectorTerms":[{"MatchExpressions":[{"Key":"a","Operator":"In","Values":["linux"]}],"MatchFields":null}]}}"#;
    let rows = [
        ((volume(json!({})), of(affinity("a", &["b"]))), String::new()),
        (changed(affinity("kubernetes.io/os", &["linux"])), String::new()),
        (changed(affinity("a", &["linux"])), refused(shown)),
        (changed(Value::Null), refused("null")),
    ];
    check_kind_change("", RESOURCE, rows.iter().map(|((old, new), why)| (old.clone(), new.clone(), why.as_str())).collect());
}

#[test]
fn what_stays() {
    let secret = json!({"csi": {"controllerExpandSecretRef": {"name": "a", "namespace": "b"}}});
    let other_secret = json!({"csi": {"controllerExpandSecretRef": {"name": "c", "namespace": "b"}}});
    let source = "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation";
    check_kind_change(
        "",
        RESOURCE,
        vec![
            (volume(json!({})), volume(json!({"capacity": {"storage": "2Gi"}, "persistentVolumeReclaimPolicy": "Delete", "mountOptions": ["ro"]})), ""),
            (volume(json!({})), volume(json!({"claimRef": {"name": "c"}, "storageClassName": "s"})), ""),
            (volume(json!({})), volume(json!({"csi": {"volumeHandle": "i"}})), source),
            (volume(json!({})), volume(json!({"csi": null, "nfs": {"server": "s", "path": "/"}})), source),
            (volume(json!({})), volume(secret.clone()), ""),
            (volume(secret.clone()), volume(other_secret), source),
            (volume(secret), volume(json!({})), source),
            (volume(json!({})), volume(json!({"volumeMode": "Block"})), "volumeMode: Invalid value: \"Block\": field is immutable"),
            (volume(json!({})), volume(json!({"volumeAttributesClassName": "a"})), ""),
            (volume(json!({"volumeAttributesClassName": "a"})), volume(json!({"volumeAttributesClassName": "b"})), ""),
            (
                volume(json!({"volumeAttributesClassName": "a"})),
                volume(json!({})),
                "spec.volumeAttributesClassName: Forbidden: update from non-nil value to nil is forbidden",
            ),
        ],
    );
}

#[test]
fn options_of_mounting() {
    let with = |change: Value| {
        let mut volume = volume(change);
        merge(&mut volume, json!({"metadata": {"annotations": {"volume.beta.kubernetes.io/mount-options": "ro"}}}));
        volume
    };
    let place = "metadata.annotations.volume.beta.kubernetes.io/mount-options";
    check_kind(
        "",
        RESOURCE,
        vec![
            (with(json!({"csi": null, "nfs": {"server": "s", "path": "/"}})), ""),
            (with(json!({})), &format!("{place}: Forbidden: may not specify mount options for this volume type")),
        ],
    );
}

#[test]
fn phases() {
    let time = |time: &str| json!({"status": {"phase": "Bound", "lastPhaseTransitionTime": time}});
    check_kind_status("", RESOURCE, vec![(volume(json!({})), time("2026-01-01T00:00:00Z"), "")]);
    let strategy = builtin().resource("", RESOURCE).unwrap().strategy;
    let object = |value: Value| Object::from_value(value).unwrap();
    let mut new = object(json!({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}, "status": {"phase": "Bound"}}));
    strategy.prepare_create(&mut new);
    assert_eq!(new.at(&["status"]), Some(&json!({"phase": "Pending", "lastPhaseTransitionTime": "2026-01-01T00:00:00Z"})));
    let mut kept = object(json!({"status": {"phase": "Bound", "message": "m"}}));
    strategy.prepare_status(&mut kept, &object(time("2026-01-01T00:00:00Z")));
    assert_eq!(kept.str_at(&["status", "lastPhaseTransitionTime"]), "2026-01-01T00:00:00Z");
    let mut changed = object(json!({"status": {"phase": "Failed"}}));
    strategy.prepare_update(&mut changed, &kept);
    assert_eq!(changed.at(&["status"]), kept.at(&["status"]));
}

#[test]
fn defaults() {
    let filled = |sources: Value, filled: Value| {
        let spec = |source: Value| {
            let mut spec = json!({"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"});
            merge(&mut spec, source);
            json!({ "spec": spec })
        };
        check_defaults("", RESOURCE, json!({ "spec": sources }), spec(filled));
    };
    filled(json!({}), json!({}));
    filled(json!({"hostPath": {"path": "/a"}}), json!({"hostPath": {"path": "/a", "type": ""}}));
    filled(json!({"rbd": {"pool": "p"}}), json!({"rbd": {"pool": "p", "user": "admin", "keyring": "/etc/ceph/keyring"}}));
    filled(json!({"iscsi": {}}), json!({"iscsi": {"iscsiInterface": "default"}}));
    filled(json!({"azureDisk": {}}), json!({"azureDisk": {"cachingMode": "ReadWrite", "fsType": "ext4", "readOnly": false, "kind": "Shared"}}));
    filled(json!({"scaleIO": {"fsType": "ext4"}}), json!({"scaleIO": {"storageMode": "ThinProvisioned", "fsType": "ext4"}}));
}

#[test]
fn volumes_that_pods_have_inline() {
    let attachment = |change: Value| {
        let mut spec = json!({"accessModes": ["ReadWriteOnce"], "csi": {"driver": "d", "volumeHandle": "h"}});
        merge(&mut spec, change);
        json!({"spec": {"attacher": "a", "nodeName": "n", "source": {"inlineVolumeSpec": spec}}})
    };
    let at = |field: &str, why: &str| format!("spec.source.inlineVolumeSpec.{field}: {why} in the context of inline volumes");
    let rows = [
        (json!({"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem", "mountOptions": ["ro"]}), String::new()),
        (json!({"claimRef": {}}), at("claimRef", "Forbidden: may not be specified")),
        (json!({"capacity": {"storage": "1"}}), at("capacity", "Forbidden: may not be specified")),
        (json!({"csi": null, "nfs": {"server": "s", "path": "/"}}), at("csi", "Required value: has to be specified")),
        (json!({"persistentVolumeReclaimPolicy": "Delete"}), at("persistentVolumeReclaimPolicy", "Forbidden: may only be Retain")),
        (json!({"nodeAffinity": {}}), at("nodeAffinity", "Forbidden: may not be specified")),
        (json!({"storageClassName": "s"}), at("storageClassName", "Forbidden: may not be specified")),
        (json!({"volumeMode": "Block"}), at("volumeMode", "Forbidden: may not specify volumeMode other than Filesystem")),
    ];
    check_kind("storage.k8s.io", "volumeattachments", rows.iter().map(|(change, why)| (attachment(change.clone()), why.as_str())).collect());
}
