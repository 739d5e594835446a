use crate::kinds::fixture::{check_defaults, check_kind, check_kind_change, check_kind_status, merge};
use serde_json::{Map, Value, json};

const GROUP: &str = "storage.k8s.io";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist…";
const IMMUTABLE: &str = "field is immutable";

fn class(change: Value) -> Value {
    let mut class = json!({"provisioner": "a.b/c"});
    merge(&mut class, change);
    class
}
/// Parameters, so many and so long.
fn parameters(count: usize, bytes: usize) -> Value {
    let map: Map<String, Value> = (0..count).map(|i| (format!("{i:04}"), "x".repeat(bytes - 4).into())).collect();
    json!({ "parameters": map })
}

#[test]
fn storage_classes() {
    check_defaults(GROUP, "storageclasses", class(json!({})), json!({"provisioner": "a.b/c", "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}));
    check_kind(
        GROUP,
        "storageclasses",
        vec![
            (class(json!({"reclaimPolicy": "Retain", "volumeBindingMode": "WaitForFirstConsumer", "parameters": {"a": "b"}})), ""),
            (class(json!({"provisioner": "A.b"})), ""),
            (class(json!({"provisioner": ""})), "provisioner: Required value"),
            (class(json!({"provisioner": "A/b/c"})), "provisioner: Invalid value: \"a/b/c\": a valid label key must…"),
            (class(json!({"reclaimPolicy": "Recycle"})), "reclaimPolicy: Unsupported value: \"Recycle\": supported values: \"Delete\", \"Retain\""),
            (
                class(json!({"volumeBindingMode": "X"})),
                "volumeBindingMode: Unsupported value: \"X\": supported values: \"Immediate\", \"WaitForFirstConsumer\"",
            ),
            (class(parameters(512, 512)), ""),
            (class(parameters(512, 513)), "parameters: Too long: may not be more than 262144 bytes"),
            (class(parameters(513, 5)), "parameters: Too long: may not be more than 512 bytes"),
            (class(json!({"parameters": {"": "b"}})), "parameters: Invalid value: \"\": field can not be empty."),
        ],
    );
    let changed = |change: Value, field: &str, value: &str| (class(json!({})), class(change), format!("{field}: Invalid value: {value}: {IMMUTABLE}"));
    let rows = [
        (class(json!({})), class(json!({"allowVolumeExpansion": true, "mountOptions": ["a"]})), String::new()),
        changed(json!({"provisioner": "x"}), "provisioner", "\"x\""),
        changed(json!({"parameters": {"a": "b"}}), "parameters", "{\"a\":\"b\"}"),
        changed(json!({"reclaimPolicy": "Retain"}), "reclaimPolicy", "\"Retain\""),
        changed(json!({"volumeBindingMode": "WaitForFirstConsumer"}), "volumeBindingMode", "\"WaitForFirstConsumer\""),
    ];
    check_kind_change(GROUP, "storageclasses", rows.iter().map(|(old, new, why)| (old.clone(), new.clone(), why.as_str())).collect());
}

#[test]
fn topologies() {
    let of = |terms: Value| class(json!({ "allowedTopologies": terms }));
    let term = |key: &str, values: &[&str]| json!({"matchLabelExpressions": [{"key": key, "values": values}]});
    let place = "allowedTopologies[0].matchLabelExpressions[0]";
    let twice = json!({"matchLabelExpressions": [{"key": "a", "values": ["b"]}, {"key": "a", "values": ["c"]}]});
    check_kind(
        GROUP,
        "storageclasses",
        vec![
            (of(json!([term("a", &["b", "c"]), term("a", &["b"])])), ""),
            (of(json!([{}])), ""),
            (of(json!([term("a", &[])])), &format!("{place}.values: Required value")),
            (of(json!([term("a", &["b", "b"])])), &format!("{place}.values[1]: Duplicate value: \"b\"")),
            (of(json!([term("-", &["b"])])), &format!("{place}.key: Invalid value: \"-\": name part must consist…")),
            (of(json!([twice])), "allowedTopologies[0].matchLabelExpressions[1].key: Duplicate value: \"a\""),
            (of(json!([term("a", &["b", "c"]), term("a", &["c", "b"])])), "allowedTopologies[1].matchLabelExpressions: Duplicate value: \"\""),
        ],
    );
}

#[test]
fn classes_of_attributes() {
    let of = |change: Value| {
        let mut class = json!({"driverName": "a.b", "parameters": {"a": "b"}});
        merge(&mut class, change);
        class
    };
    let resource = "volumeattributesclasses";
    check_kind(
        GROUP,
        resource,
        vec![
            (of(json!({})), ""),
            (of(json!({"driverName": ""})), "driverName: Required value"),
            (of(json!({"driverName": "a b"})), "driverName: Invalid value: \"a b\": name part must consist…"),
            (of(json!({"parameters": null})), "parameters: Required value: must contain at least one key/value pair"),
            (of(parameters(513, 5)), "parameters: Too long: may not be more than 512 bytes"),
            (of(json!({"parameters": {"": "b"}})), "parameters: Invalid value: \"\": field can not be empty."),
        ],
    );
    check_kind_change(
        GROUP,
        resource,
        vec![
            (of(json!({})), of(json!({"metadata": {"labels": {"a": "b"}}})), ""),
            (of(json!({})), of(json!({"driverName": "c"})), "driverName: Forbidden: updates to driverName are forbidden."),
            (of(json!({})), of(json!({"parameters": {"a": "c"}})), "parameters: Forbidden: updates to parameters are forbidden."),
        ],
    );
}

fn attachment(change: Value) -> Value {
    let mut spec = json!({"attacher": "a.b", "nodeName": "n", "source": {"persistentVolumeName": "v"}});
    merge(&mut spec, change);
    json!({ "spec": spec })
}

#[test]
fn attachments() {
    let source = |source: Value| {
        let mut attachment = attachment(json!({}));
        attachment["spec"]["source"] = source;
        attachment
    };
    let either = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    let inline = json!({"accessModes": ["ReadWriteOnce"], "csi": {"driver": "d", "volumeHandle": "h"}});
    let name = "spec.source.persistentVolumeName";
    check_kind(
        GROUP,
        "volumeattachments",
        vec![
            (attachment(json!({})), ""),
            (attachment(json!({"attacher": "A.b"})), ""),
            (attachment(json!({"attacher": ""})), "spec.attacher: Required value"),
            (attachment(json!({"attacher": "a b"})), &format!("spec.attacher: Invalid value: \"a b\": {SUBDOMAIN}")),
            (attachment(json!({"attacher": "a".repeat(64)})), "spec.attacher: Too long: may not be more than 63 characters"),
            (attachment(json!({"nodeName": ""})), &format!("spec.nodeName: Invalid value: \"\": {SUBDOMAIN}")),
            (source(json!({})), &format!("spec.source: Required value: {either}")),
            (source(json!({"persistentVolumeName": "v", "inlineVolumeSpec": inline})), &format!("spec.source: Forbidden: {either}")),
            (source(json!({"persistentVolumeName": "A"})), &format!("{name}: Invalid value: \"A\": {SUBDOMAIN}")),
            (
                source(json!({"persistentVolumeName": ""})),
                &format!("{name}: Required value: must specify non empty persistentVolumeName | {name}: Invalid value: \"\": {SUBDOMAIN}"),
            ),
            (source(json!({ "inlineVolumeSpec": inline })), ""),
            (source(json!({"inlineVolumeSpec": {}})), {
                "spec.source.inlineVolumeSpec.csi: Required value: has to be specified in the context of inline volumes | spec.source.inlineVolumeSpec.accessModes: Required value | spec.source.inlineVolumeSpec: Required value: must specify a volume type"
            }),
        ],
    );
    let changed = json!({"attacher": "a.b", "nodeName": "m", "source": {"persistentVolumeName": "v"}});
    check_kind_change(
        GROUP,
        "volumeattachments",
        vec![(attachment(json!({})), attachment(json!({"nodeName": "m"})), &format!("spec: Invalid value: {changed}: {IMMUTABLE}"))],
    );
}

#[test]
fn what_drivers_say_of_attachments() {
    let status = |status: Value| {
        let mut attachment = attachment(json!({}));
        attachment["status"] = status;
        attachment
    };
    let rows = [
        (json!({"attached": true, "attachmentMetadata": {"a": "b"}, "attachError": {"message": "m", "errorCode": 0}}), ""),
        (json!({"attachmentMetadata": {"a": "b".repeat(262_144)}}), "status.attachmentMetadata: Too long: may not be more than 262144 bytes"),
        (json!({"attachError": {"message": "m".repeat(1025)}}), "status.attachError.message: Too long: may not be more than 1024 bytes"),
        (json!({"detachError": {"errorCode": -1}}), "status.detachError.errorCode: Invalid value: -1: must be between 0 and 2147483647, inclusive"),
    ];
    check_kind_status(GROUP, "volumeattachments", rows.into_iter().map(|(new, why)| (attachment(json!({})), status(new), why)).collect());
}
