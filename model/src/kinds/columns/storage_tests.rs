use crate::kinds::builtin;
use crate::kinds::fixture::merge;
use crate::object::Object;
use crate::table;
use serde_json::{Value, json};

/// Each object of a group and resource, and its cells with ` | ` between.
fn check(group: &str, rows: Vec<(&str, Value, &str)>) {
    let kinds = builtin();
    for (resource, change, expected) in rows {
        let mut object = json!({"metadata": {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"}});
        merge(&mut object, change);
        let row = kinds.resource(group, resource).unwrap();
        let cells = table::cells(row, &Object::from_value(object).unwrap(), "2026-01-01T01:05:00Z".parse().unwrap());
        let cells: Vec<String> = cells.into_iter().map(|c| c.as_str().map_or_else(|| c.to_string(), str::to_owned)).collect();
        assert_eq!(cells.join(" | "), expected, "{resource}");
    }
}

#[test]
fn networking() {
    let hosts = |hosts: &[&str]| json!({"spec": {"rules": hosts.iter().map(|host| json!({"host": host})).collect::<Vec<_>>()}});
    let points = json!([{"ip": "2.2.2.2"}, {"hostname": "a.b"}, {"ip": "1.1.1.1"}, {"ip": "2.2.2.2"}]);
    let parameters = json!({"spec": {"controller": "a/b", "parameters": {"apiGroup": "g", "kind": "K", "name": "n"}}});
    let mut default = parameters.clone();
    default["spec"]["parameters"]["apiGroup"] = Value::Null;
    default["metadata"] = json!({"annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}});
    check(
        "networking.k8s.io",
        vec![
            ("ingresses", json!({}), "x | <none> | * |  | 80 | 65m"),
            (
                "ingresses",
                json!({"spec": {"ingressClassName": "c", "tls": [{}]}, "status": {"loadBalancer": {"ingress": points}}}),
                "x | c | * | 1.1.1.1,2.2.2.2,a.b | 80, 443 | 65m",
            ),
            ("ingresses", hosts(&["a", "", "b", "c"]), "x | <none> | a,b,c |  | 80 | 65m"),
            ("ingresses", hosts(&["a", "b", "c", "d", "e"]), "x | <none> | a,b,c + 2 more... |  | 80 | 65m"),
            ("ingressclasses", json!({"spec": {"controller": "a/b"}}), "x | a/b | <none> | 65m"),
            ("ingressclasses", parameters, "x | a/b | K.g/n | 65m"),
            ("ingressclasses", default, "x (default) | a/b | K/n | 65m"),
            ("networkpolicies", json!({"spec": {"podSelector": {}}}), "x | <none> | 65m"),
            ("networkpolicies", json!({"spec": {"podSelector": {"matchLabels": {"a": "b"}}}}), "x | a=b | 65m"),
            ("ipaddresses", json!({}), "x | <none>"),
            ("ipaddresses", json!({"spec": {"parentRef": {"resource": "services", "namespace": "n", "name": "s"}}}), "x | services/n/s"),
            ("ipaddresses", json!({"spec": {"parentRef": {"group": "g.h", "resource": "Gs", "name": "s"}}}), "x | gs.g.h/s"),
            ("servicecidrs", json!({"spec": {"cidrs": ["10.0.0.0/8", "fd00::/64"]}}), "x | 10.0.0.0/8,fd00::/64 | 65m"),
        ],
    );
}

#[test]
fn storage() {
    let driver = json!({"attachRequired": false, "podInfoOnMount": true, "tokenRequests": [{"audience": "a"}, {"audience": ""}], "volumeLifecycleModes": ["Persistent", "Ephemeral"]});
    let default = json!({"metadata": {"annotations": {"storageclass.beta.kubernetes.io/is-default-class": "true"}}, "allowVolumeExpansion": true});
    check(
        "storage.k8s.io",
        vec![
            (
                "storageclasses",
                json!({"provisioner": "p", "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}),
                "x | p | Delete | Immediate | false | 65m",
            ),
            ("storageclasses", default, "x (default) |  |  |  | true | 65m"),
            ("volumeattributesclasses", json!({"driverName": "d"}), "x | d | 65m"),
            ("csinodes", json!({"spec": {"drivers": [{}, {}]}}), "x | 2 | 65m"),
            ("csidrivers", json!({}), "x | true | false | false | <unset> | false | <none> | 65m"),
            ("csidrivers", json!({ "spec": driver }), "x | false | true | false | a, | false | Persistent,Ephemeral | 65m"),
            ("csistoragecapacities", json!({"storageClassName": "s"}), "x | s | <unset>"),
            ("csistoragecapacities", json!({"storageClassName": "s", "capacity": "1024Mi"}), "x | s | 1Gi"),
            (
                "volumeattachments",
                json!({"spec": {"attacher": "a", "nodeName": "n", "source": {"persistentVolumeName": "v"}}, "status": {"attached": true}}),
                "x | a | v | n | true | 65m",
            ),
        ],
    );
    let conditions = json!([{"type": "Running", "status": "True"}, {"type": "Succeeded", "status": "True"}, {"type": "Failed", "status": "False"}]);
    check(
        "storagemigration.k8s.io",
        vec![
            ("storageversionmigrations", json!({"spec": {"resource": {"resource": "pods"}}}), "x | pods | Unknown"),
            (
                "storageversionmigrations",
                json!({"spec": {"resource": {"group": "apps", "resource": "daemonsets"}}, "status": {"conditions": conditions}}),
                "x | daemonsets.apps | Succeeded",
            ),
        ],
    );
}

#[test]
fn volumes() {
    let modes = json!(["ReadWriteMany", "ReadOnlyMany", "ReadWriteOnce", "ReadWriteOnce", "ReadWriteOncePod"]);
    let going = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {"phase": "Bound"}});
    let annotated = json!({"metadata": {"annotations": {"volume.beta.kubernetes.io/storage-class": "old"}}, "spec": {"storageClassName": "new"}});
    check(
        "",
        vec![
            ("persistentvolumes", json!({}), "x | 0 |  |  |  |  |  | <unset> |  | 65m | <unset>"),
            (
                "persistentvolumes",
                json!({"spec": {"capacity": {"storage": "2048Mi"}, "accessModes": modes, "persistentVolumeReclaimPolicy": "Retain", "claimRef": {"namespace": "n", "name": "c"},
                    "storageClassName": "s", "volumeAttributesClassName": "a", "volumeMode": "Block"}, "status": {"phase": "Bound", "reason": "R"}}),
                "x | 2Gi | RWO,ROX,RWX,RWOP | Retain | Bound | n/c | s | a | R | 65m | Block",
            ),
            ("persistentvolumes", annotated, "x | 0 |  |  |  |  | old | <unset> |  | 65m | <unset>"),
            (
                "persistentvolumeclaims",
                json!({"spec": {"volumeMode": "Filesystem"}, "status": {"phase": "Pending", "capacity": {"storage": "1Gi"}}}),
                "x | Pending |  |  |  |  | <unset> | 65m | Filesystem",
            ),
            (
                "persistentvolumeclaims",
                json!({"spec": {"volumeName": "v", "storageClassName": "s"}, "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}}),
                "x | Bound | v | 1Gi | RWO | s | <unset> | 65m | <unset>",
            ),
            ("persistentvolumeclaims", going, "x | Terminating |  |  |  |  | <unset> | 65m | <unset>"),
        ],
    );
}
