use crate::kinds::builtin;
use crate::kinds::fixture::{check_defaults, check_kind, check_kind_change, check_kind_status, merge};
use crate::object::Object;
use serde_json::{Value, json};

const RESOURCE: &str = "persistentvolumeclaims";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist…";
const FIXED: &str = "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
const CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// A claim with this changed in its spec.
fn claim(change: Value) -> Value {
    let mut spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}});
    merge(&mut spec, change);
    json!({ "spec": spec })
}
/// The same in this state.
fn in_state(change: Value, status: Value) -> Value {
    let mut claim = claim(change);
    claim["status"] = status;
    claim
}
fn bound(change: Value) -> Value {
    in_state(change, json!({"phase": "Bound", "capacity": {"storage": "1Gi"}}))
}
fn size(size: &str) -> Value {
    json!({"resources": {"requests": {"storage": size}}})
}

#[test]
fn what_is_claimed() {
    let known = "supported values: \"ReadOnlyMany\", \"ReadWriteMany\", \"ReadWriteOnce\", \"ReadWriteOncePod\"";
    check_kind(
        "",
        RESOURCE,
        vec![
            (claim(json!({"selector": {"matchLabels": {"a": "b"}}, "storageClassName": "", "volumeMode": "Block"})), ""),
            (json!({}), "spec.accessModes: Required value: at least 1 access mode is required | spec.resources[storage]: Required value"),
            (claim(json!({"accessModes": ["X"]})), &format!("spec.accessModes: Unsupported value: \"X\": {known}")),
            (
                claim(json!({"accessModes": ["ReadWriteOncePod", "ReadWriteMany"]})),
                "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
            ),
            (
                claim(json!({"selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}})),
                "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
            ),
            (claim(size("0")), "spec.resources[storage]: Invalid value: \"0\": must be greater than zero"),
            (claim(size("-1")), "spec.resources[storage]: Invalid value: \"-1\": must be greater than zero"),
            (claim(json!({"storageClassName": "A"})), &format!("spec.storageClassName: Invalid value: \"A\": {SUBDOMAIN}")),
            (claim(json!({"volumeMode": "X"})), "spec.volumeMode: Unsupported value: \"X\": supported values: \"Block\", \"Filesystem\""),
            (claim(json!({"volumeAttributesClassName": "A"})), &format!("spec.volumeAttributesClassName: Invalid value: \"A\": {SUBDOMAIN}")),
        ],
    );
    check_defaults("", RESOURCE, claim(json!({})), claim(json!({"volumeMode": "Filesystem"})));
}

#[test]
fn what_volumes_begin_with() {
    let of = |field: &str, change: Value| {
        let mut source = json!({"apiGroup": "a.b", "kind": "K", "name": "n"});
        merge(&mut source, change);
        claim(json!({ field: source }))
    };
    // the older field says the same
    let twice = |why: &str| format!("{} | {}", why.replace('@', "spec.dataSource"), why.replace('@', "spec.dataSourceRef"));
    let both = |source: Value| claim(json!({"dataSource": {"kind": "PersistentVolumeClaim", "name": "n"}, "dataSourceRef": source}));
    let rows = [
        (of("dataSourceRef", json!({})), String::new()),
        (of("dataSourceRef", json!({"name": ""})), twice("@.name: Required value")),
        (of("dataSourceRef", json!({"kind": ""})), twice("@.kind: Required value")),
        (of("dataSourceRef", json!({"apiGroup": "A"})), twice(&format!("@.apiGroup: Invalid value: \"A\": {SUBDOMAIN}"))),
        (
            of("dataSourceRef", json!({"apiGroup": null})),
            twice("@: Invalid value: \"K\": must be 'PersistentVolumeClaim' when referencing the default apiGroup"),
        ),
        (of("dataSourceRef", json!({"namespace": "elsewhere"})), String::new()),
        (both(json!({"kind": "PersistentVolumeClaim", "name": "n"})), String::new()),
        (both(json!({"kind": "PersistentVolumeClaim", "name": "m"})), "spec: Invalid value: {}: must match dataSourceRef".to_owned()),
    ];
    check_kind("", RESOURCE, rows.iter().map(|(claim, why)| (claim.clone(), why.as_str())).collect());
}

#[test]
fn two_fields_say_the_same() {
    let strategy = builtin().resource("", RESOURCE).unwrap().strategy;
    let object = |value: &Value| Object::from_value(value.clone()).unwrap();
    let of = |source: &Value, reference: &Value| {
        let mut spec = json!({});
        for (field, value) in [("dataSource", source), ("dataSourceRef", reference)] {
            if !value.is_null() {
                spec[field] = value.clone();
            }
        }
        json!({ "spec": spec })
    };
    let (none, claim) = (Value::Null, json!({"kind": "PersistentVolumeClaim", "name": "n"}));
    let snapshot = json!({"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "n"});
    let (other, elsewhere) = (json!({"apiGroup": "a", "kind": "K", "name": "n"}), json!({"apiGroup": "a", "kind": "K", "name": "n", "namespace": "x"}));
    for (given, before, want) in [
        (of(&claim, &none), None, of(&claim, &claim)),
        (of(&none, &claim), None, of(&claim, &claim)),
        (of(&snapshot, &none), None, of(&snapshot, &snapshot)),
        (of(&none, &other), None, of(&other, &other)),
        (of(&other, &none), None, of(&none, &none)),
        (of(&none, &elsewhere), None, of(&none, &none)),
        (of(&other, &none), Some(of(&other, &none)), of(&other, &other)),
        (of(&none, &elsewhere), Some(of(&none, &elsewhere)), of(&none, &elsewhere)),
    ] {
        let mut new = object(&given);
        match &before {
            None => strategy.prepare_create(&mut new),
            Some(old) => strategy.prepare_update(&mut new, &object(old)),
        }
        new.remove(&["status"]);
        assert_eq!(new, object(&want), "{given} after {before:?}");
    }
    let mut new = object(&json!({"status": {"phase": "Bound"}}));
    strategy.prepare_create(&mut new);
    assert_eq!(new.at(&["status"]), Some(&json!({"phase": "Pending"})));
}

#[test]
fn what_may_change() {
    let less = "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity";
    check_kind_change(
        "",
        RESOURCE,
        vec![
            (claim(json!({})), claim(json!({})), ""),
            (claim(json!({})), claim(size("2048Mi")), ""),
            (claim(json!({"volumeName": ""})), claim(json!({"volumeName": "v"})), ""),
            (claim(json!({"volumeName": "v"})), claim(json!({"volumeName": "w"})), FIXED),
            (claim(json!({})), claim(json!({"accessModes": ["ReadOnlyMany"]})), FIXED),
            (claim(json!({})), claim(size("3Gi")), FIXED),
            (bound(json!({})), bound(size("3Gi")), ""),
            (bound(json!({})), bound(size("1500Mi")), ""),
            (bound(json!({})), bound(size("1Gi")), less),
            (bound(json!({})), bound(json!({"resources": {"limits": {"storage": "3Gi"}}})), FIXED),
            (claim(json!({})), claim(json!({"volumeMode": "Block"})), &format!("{FIXED} | volumeMode: Invalid value: \"Block\": field is immutable")),
        ],
    );
}

#[test]
fn classes() {
    let annotated = |class: Option<&str>, change: Value| {
        let mut claim = claim(change);
        merge(&mut claim, json!({"metadata": {"annotations": {CLASS: class}}}));
        claim
    };
    let class = |name: &str| json!({ "storageClassName": name });
    let fixed = |value: &str| format!("metadata.annotations.{CLASS}: Invalid value: \"{value}\": field is immutable");
    let rows = [
        (claim(json!({})), claim(class("a")), String::new()),
        (claim(class("a")), claim(class("b")), FIXED.to_owned()),
        (claim(class("a")), claim(json!({})), FIXED.to_owned()),
        (annotated(Some("a"), json!({})), annotated(None, class("a")), String::new()),
        (annotated(Some("a"), json!({})), annotated(Some("a"), class("a")), String::new()),
        (annotated(Some("a"), json!({})), annotated(Some("a"), class("b")), FIXED.to_owned()),
        (annotated(Some("a"), json!({})), annotated(Some("b"), json!({})), fixed("b")),
        (annotated(Some("a"), json!({})), annotated(None, json!({})), fixed("")),
    ];
    check_kind_change("", RESOURCE, rows.iter().map(|(old, new, why)| (old.clone(), new.clone(), why.as_str())).collect());
}

#[test]
fn attributes() {
    let class = |name: &str| json!({ "volumeAttributesClassName": name });
    let applied = |change: Value| in_state(change, json!({"phase": "Bound", "currentVolumeAttributesClassName": "a"}));
    let refused = |what: &str| {
        format!("spec.volumeAttributesClassName: Forbidden: update to {what} is forbidden when status.currentVolumeAttributesClassName is not nil")
    };
    check_kind_change(
        "",
        RESOURCE,
        vec![
            (claim(json!({})), claim(class("a")), FIXED),
            (bound(json!({})), bound(class("a")), ""),
            (bound(class("a")), bound(json!({})), ""),
            (applied(class("a")), applied(class("b")), ""),
            (applied(class("a")), applied(json!({})), &refused("nil")),
            (applied(class("a")), applied(class("")), &refused("empty string")),
        ],
    );
}

#[test]
fn what_controllers_say() {
    let states = "supported values: \"ControllerResizeInProgress\", \"ControllerResizeInfeasible\", \"NodeResizeInProgress\", \"NodeResizeInfeasible\", \"NodeResizePending\"";
    let to = |status: Value| (claim(json!({})), in_state(json!({}), status));
    let rows = [
        (to(json!({"phase": "Bound", "capacity": {"storage": "1Gi"}, "healthStatus": {"healthConditions": [{"reason": "-"}]}})), String::new()),
        (to(json!({"capacity": {"storage": "-1"}})), "status.capacity[storage]: Invalid value: -1: must be a valid resource quantity".to_owned()),
        (to(json!({"allocatedResourceStatuses": {"storage": "NodeResizePending", "a.b/c": "NodeResizeInProgress"}})), String::new()),
        (to(json!({"allocatedResourceStatuses": {"storage": "X"}})), format!("status.allocatedResourceStatuses: Unsupported value: \"storage\": {states}")),
        (
            to(json!({"allocatedResourceStatuses": {"cpu": "NodeResizePending"}})),
            "status.allocatedResourceStatuses: Unsupported value: \"cpu\": supported values: \"storage\"".to_owned(),
        ),
        (to(json!({"allocatedResources": {"storage": "1Gi"}})), String::new()),
        (to(json!({"allocatedResources": {"cpu": "-1"}})), "status.allocatedResources: Unsupported value: \"cpu\": supported values: \"storage\"".to_owned()),
        (to(json!({"allocatedResources": {"-": "1"}})), "status.allocatedResources: Invalid value: \"-\": name part must consist…".to_owned()),
        (
            to(json!({"allocatedResources": {"storage": "-1"}})),
            "status.allocatedResources[storage]: Invalid value: -1: must be a valid resource quantity".to_owned(),
        ),
        ((json!({}), json!({"status": {"phase": "Lost"}})), "Spec.accessModes: Required value".to_owned()),
    ];
    check_kind_status("", RESOURCE, rows.iter().map(|((old, new), why)| (old.clone(), new.clone(), why.as_str())).collect());
}
