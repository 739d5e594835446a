use crate::kinds::fixture::{check_kind, merge};
use serde_json::{Value, json};

/// A volume with these sources.
fn volume(sources: Value) -> Value {
    let mut spec = json!({"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]});
    merge(&mut spec, sources);
    json!({"metadata": {"name": "v"}, "spec": spec})
}

/// Each source, and what is wrong with it; `@` stands for where it is.
fn check(field: &str, rows: Vec<(Value, &str)>) {
    let place = format!("spec.{field}");
    let rows: Vec<(Value, String)> = rows.into_iter().map(|(source, why)| (volume(json!({ field: source })), why.replace('@', &place))).collect();
    check_kind("", "persistentvolumes", rows.iter().map(|(volume, why)| (volume.clone(), why.as_str())).collect());
}

/// What must be there: each field, in a source that has the others.
fn check_required(field: &str, place: &str, whole: &Value) {
    check(field, vec![(whole.clone(), "")]);
    for missing in whole.as_object().unwrap().keys() {
        let mut source = whole.clone();
        source.as_object_mut().unwrap().remove(missing);
        check(field, vec![(source, &format!("spec.{place}.{missing}: Required value"))]);
    }
}

#[test]
fn exactly_one_source() {
    let more = "may not specify more than 1 volume type";
    let nfs = json!({"server": "s", "path": "/"});
    let vsphere = json!({"volumePath": "p"});
    check_kind(
        "",
        "persistentvolumes",
        vec![
            (volume(json!({})), "spec: Required value: must specify a volume type"),
            (volume(json!({"nfs": nfs, "vsphereVolume": vsphere})), &format!("spec.vsphereVolume: Forbidden: {more}")),
            (volume(json!({"nfs": nfs, "cephfs": {"monitors": []}})), &format!("spec.cephFS: Forbidden: {more}")),
            (
                volume(json!({"nfs": nfs, "cephfs": {}, "vsphereVolume": {}})),
                &format!("spec.cephFS: Forbidden: {more} | spec.vsphereVolume: Forbidden: {more}"),
            ),
            (volume(json!({"nfs": nfs, "flexVolume": {"driver": "d"}})), ""),
            (volume(json!({"flexVolume": {"driver": "d"}, "csi": {}})), &format!("spec.csi: Forbidden: {more}")),
        ],
    );
}

#[test]
fn what_sources_need() {
    check_required("gcePersistentDisk", "persistentDisk", &json!({"pdName": "d"}));
    check_required("awsElasticBlockStore", "awsElasticBlockStore", &json!({"volumeID": "v"}));
    check_required("glusterfs", "glusterfs", &json!({"endpoints": "e", "path": "p"}));
    check_required("rbd", "rbd", &json!({"monitors": ["m"], "image": "i"}));
    check_required("cephfs", "cephfs", &json!({"monitors": ["m"]}));
    check_required("cinder", "cinder", &json!({"volumeID": "v"}));
    check_required("flexVolume", "flexVolume", &json!({"driver": "d"}));
    check_required("azureFile", "azureFile", &json!({"secretName": "s", "shareName": "t"}));
    check_required("vsphereVolume", "vsphereVolume", &json!({"volumePath": "p"}));
    check_required("photonPersistentDisk", "photonPersistentDisk", &json!({"pdID": "p"}));
    check_required("portworxVolume", "portworxVolume", &json!({"volumeID": "v"}));
    check_required("scaleIO", "scaleIO", &json!({"gateway": "g", "system": "s", "volumeName": "v"}));
    check_required("storageos", "storageos", &json!({"volumeName": "v"}));
    check_required("csi", "csi", &json!({"driver": "d", "volumeHandle": "h"}));
}

#[test]
fn paths() {
    check(
        "hostPath",
        vec![
            (json!({"path": "/a", "type": "Directory"}), ""),
            (json!({}), "@.path: Required value"),
            (json!({"path": "/a/../b"}), "@.path: Invalid value: \"/a/../b\": must not contain '..'"),
            (json!({"path": "/a", "type": "X"}), "@.type: Unsupported value: \"X\": supported values: \"\", \"BlockDevice\"…"),
        ],
    );
    check(
        "nfs",
        vec![
            (json!({"server": "s", "path": "/a"}), ""),
            (json!({"path": "/a"}), "@.server: Required value"),
            (json!({"server": "s"}), "@.path: Required value | @.path: Invalid value: \"\": must be an absolute path"),
            (json!({"server": "s", "path": "a"}), "@.path: Invalid value: \"a\": must be an absolute path"),
        ],
    );
    let local = |path: &str| {
        let terms = json!([{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]);
        volume(json!({"local": {"path": path}, "nodeAffinity": {"required": {"nodeSelectorTerms": terms}}}))
    };
    check_kind(
        "",
        "persistentvolumes",
        vec![
            (local("/a"), ""),
            (local(""), "spec.local.path: Required value"),
            (local("/a/.."), "spec.local.path: Invalid value: \"/a/..\": must not contain '..'"),
            (volume(json!({"local": {"path": "/a"}})), "spec.nodeAffinity: Required value: Local volume requires node affinity"),
        ],
    );
    let recycled = |path: &str| volume(json!({"hostPath": {"path": path}, "persistentVolumeReclaimPolicy": "Recycle"}));
    let root = "spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'";
    check_kind("", "persistentvolumes", vec![(recycled("/a"), ""), (recycled("/"), root), (recycled("//./"), root)]);
}

#[test]
fn partitions_and_names() {
    let partition = |number: i64| json!({"pdName": "d", "partition": number});
    let wrong = "spec.persistentDisk.partition: Invalid value: 256: must be between 1 and 255, inclusive";
    check("gcePersistentDisk", vec![(partition(255), ""), (partition(256), wrong)]);
    check("awsElasticBlockStore", vec![(json!({"volumeID": "v", "partition": -1}), "@.partition: Invalid value: -1: must be between 1 and 255, inclusive")]);
    let gluster = |namespace: &str| json!({"endpoints": "e", "path": "p", "endpointsNamespace": namespace});
    check(
        "glusterfs",
        vec![
            (gluster("a"), ""),
            (gluster(""), "@.endpointsNamespace: Invalid value: \"\": if the endpointnamespace is set, it must be a valid namespace name"),
            (gluster("a.b"), "@.endpointsNamespace: Invalid value: \"a.b\": must not contain dots"),
        ],
    );
    check(
        "flocker",
        vec![
            (json!({"datasetName": "a"}), ""),
            (json!({"datasetUUID": "a"}), ""),
            (json!({}), "@: Required value: one of datasetName and datasetUUID is required"),
            (
                json!({"datasetName": "a", "datasetUUID": "b"}),
                "@: Invalid value: \"resource\": datasetName and datasetUUID can not be specified simultaneously",
            ),
            (json!({"datasetName": "a/b"}), "@.datasetName: Invalid value: \"a/b\": must not contain '/'"),
        ],
    );
    let flex = |key: &str| json!({"driver": "d", "options": {key: "v"}});
    let reserved = "kubernetes.io and k8s.io namespaces are reserved";
    check(
        "flexVolume",
        vec![
            (flex("a.b/c"), ""),
            (flex("Kubernetes.io/c"), &format!("@.options[Kubernetes.io/c]: Invalid value: \"Kubernetes.io/c\": {reserved}")),
            (flex("a.k8s.io"), &format!("@.options[a.k8s.io]: Invalid value: \"a.k8s.io\": {reserved}")),
        ],
    );
}

#[test]
fn quobyte() {
    let of = |registry: &str| json!({"registry": registry, "volume": "v"});
    let pairs = "must be a host:port pair or multiple pairs separated by commas";
    check(
        "quobyte",
        vec![
            (of("h:1"), ""),
            (of("h:1,[::1]:2,:3"), ""),
            (json!({"volume": "v"}), &format!("@.registry: Required value: {pairs}")),
            (json!({"registry": "h:1"}), "@.volume: Required value"),
            (of("h"), &format!("@.registry: Invalid value: \"h\": {pairs}")),
            (of("::1:2"), &format!("@.registry: Invalid value: \"::1:2\": {pairs}")),
            (of("[::1]2"), &format!("@.registry: Invalid value: \"[::1]2\": {pairs}")),
            (
                json!({"registry": "h:1", "volume": "v", "tenant": "t".repeat(65)}),
                "@.tenant: Required value: must be a UUID and may not exceed a length of 64 characters",
            ),
        ],
    );
}

#[test]
fn iscsi() {
    let of = |change: Value| {
        let mut source = json!({"targetPortal": "1.2.3.4", "iqn": "iqn.2001-04.com.example:storage.a", "lun": 0});
        merge(&mut source, change);
        source
    };
    let (eui, naa) = ("eui.0123456789abcdef", "naa.0123456789abcdef0123456789abcdef");
    let wrong = |field: &str, value: &str| format!("@.{field}: Invalid value: \"{value}\": must be valid format");
    let long = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.";
    check(
        "iscsi",
        vec![
            (of(json!({})), ""),
            (of(json!({ "iqn": eui })), ""),
            (of(json!({"iqn": naa, "initiatorName": eui})), ""),
            (of(json!({"targetPortal": ""})), "@.targetPortal: Required value"),
            (of(json!({"iqn": ""})), "@.iqn: Required value"),
            (of(json!({"iqn": "x"})), &wrong("iqn", "x")),
            (of(json!({"iqn": "iqn.2001.com.example:a"})), &wrong("iqn", "iqn.2001.com.example:a")),
            (of(json!({"iqn": "iqn.2001-04.com.example:"})), &wrong("iqn", "iqn.2001-04.com.example:")),
            (of(json!({"iqn": "iqn.2001-04.com.example:a b"})), &wrong("iqn", "iqn.2001-04.com.example:a b")),
            (of(json!({"iqn": "eui.01"})), &wrong("iqn", "eui.01")),
            (of(json!({"iqn": "naa.01"})), &wrong("iqn", "naa.01")),
            (of(json!({"initiatorName": "x"})), &wrong("initiatorname", "x")),
            (of(json!({"lun": 256})), "@.lun: Invalid value: 256: must be between 0 and 255, inclusive"),
            (of(json!({"chapAuthSession": true})), "@.secretRef: Required value"),
            (of(json!({"chapAuthDiscovery": true, "secretRef": {"name": "s"}})), ""),
            (of(json!({"secretRef": {}})), "@.secretRef.name: Required value"),
            (of(json!({"targetPortal": "p".repeat(62), "initiatorName": eui})), ""),
            (of(json!({"targetPortal": "p".repeat(63), "initiatorName": eui})), &format!("@.targetportal: Invalid value: \"{}\": {long}", "p".repeat(63))),
        ],
    );
}

#[test]
fn fibre_channel() {
    let both = "@.targetWWNs: Invalid value: [\"a\"]: targetWWNs and wwids can not be specified simultaneously";
    check(
        "fc",
        vec![
            (json!({"targetWWNs": ["a"], "lun": 0}), ""),
            (json!({"wwids": ["a"]}), ""),
            (json!({}), "@.targetWWNs: Required value: must specify either targetWWNs or wwids, but not both"),
            (json!({"targetWWNs": ["a"], "wwids": ["b"], "lun": 1}), both),
            (json!({"targetWWNs": ["a"]}), "@.lun: Required value: lun is required if targetWWNs is specified"),
            (json!({"targetWWNs": ["a"], "lun": 256}), "@.lun: Invalid value: 256: must be between 0 and 255, inclusive"),
        ],
    );
}

#[test]
fn azure() {
    check("azureFile", vec![(json!({"secretName": "s", "shareName": "t", "secretNamespace": ""}), "@.secretNamespace: Required value")]);
    let of = |change: Value| {
        let mut source = json!({"diskName": "d", "diskURI": "https://a.blob.core.windows.net/c/d.vhd"});
        merge(&mut source, change);
        source
    };
    let managed = "supported values: \"/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}\"";
    let blob = "supported values: \"https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd\"";
    check(
        "azureDisk",
        vec![
            (of(json!({})), ""),
            (of(json!({"kind": "Managed", "diskURI": "/subscriptions/s"})), ""),
            (of(json!({"diskName": ""})), "@.diskName: Required value"),
            (of(json!({"diskURI": ""})), &format!("@.diskURI: Required value | @.diskURI: Unsupported value: \"\": {blob}")),
            (of(json!({"cachingMode": "X"})), "@.cachingMode: Unsupported value: \"X\": supported values: \"None\", \"ReadOnly\", \"ReadWrite\""),
            (of(json!({"kind": "X"})), "@.kind: Unsupported value: \"X\": supported values: \"Dedicated\", \"Managed\", \"Shared\""),
            (of(json!({"kind": "Managed", "diskURI": "u"})), &format!("@.diskURI: Unsupported value: \"u\": {managed}")),
            (of(json!({"diskURI": "u"})), &format!("@.diskURI: Unsupported value: \"u\": {blob}")),
        ],
    );
}

#[test]
fn secrets_and_drivers() {
    let cinder = |secret: Value| json!({"volumeID": "v", "secretRef": secret});
    check(
        "cinder",
        vec![
            (cinder(json!({"name": "s", "namespace": "n"})), ""),
            (cinder(json!({})), "@.secretRef.name: Required value | @.secretRef.namespace: Required value"),
        ],
    );
    check(
        "storageos",
        vec![
            (json!({"volumeName": "v", "volumeNamespace": "n", "secretRef": {"name": "s", "namespace": "n"}}), ""),
            (json!({"volumeName": "a.b"}), "@.volumeName: Invalid value: \"a.b\": must not contain dots"),
            (json!({"volumeName": "v", "volumeNamespace": "a.b"}), "@.volumeNamespace: Invalid value: \"a.b\": must not contain dots"),
            (json!({"volumeName": "v", "secretRef": {"name": "s"}}), "@.secretRef.namespace: Required value"),
        ],
    );
    let csi = |change: Value| {
        let mut source = json!({"driver": "D.e", "volumeHandle": "h"});
        merge(&mut source, change);
        source
    };
    let secret = |field: &str, name: &str| csi(json!({field: {"name": name, "namespace": "n"}}));
    let subdomain = "a lowercase RFC 1123 subdomain must consist…";
    check(
        "csi",
        vec![
            (csi(json!({})), ""),
            (csi(json!({"driver": "a b"})), &format!("@.driver: Invalid value: \"a b\": {subdomain}")),
            (csi(json!({"driver": "a".repeat(64)})), "@.driver: Too long: may not be more than 63 bytes"),
            (secret("controllerPublishSecretRef", ""), "@.controllerPublishSecretRef.name: Required value"),
            (secret("controllerExpandSecretRef", "A"), &format!("@.controllerExpandSecretRef.name: Invalid value: \"A\": {subdomain}")),
            (secret("nodePublishSecretRef", ""), "@.nodePublishSecretRef.name: Required value"),
            (secret("nodeExpandSecretRef", ""), "@.nodeExpandSecretRef.name: Required value"),
            (secret("nodeStageSecretRef", ""), ""),
            (csi(json!({"nodePublishSecretRef": {"name": "s"}})), "@.nodePublishSecretRef.namespace: Required value"),
            (csi(json!({"nodePublishSecretRef": {"name": "s", "namespace": "a.b"}})), "@.nodePublishSecretRef.namespace: Invalid value: \"a.b\": must not…"),
        ],
    );
}
