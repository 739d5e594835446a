use crate::kinds::fixture::{check_defaults, check_kind, check_kind_change, check_kind_status, merge};
use serde_json::{Value, json};

const GROUP: &str = "storage.k8s.io";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist…";
const IMMUTABLE: &str = "field is immutable";

fn driver(spec: Value) -> Value {
    json!({ "spec": spec })
}

#[test]
fn drivers() {
    let full = json!({
        "attachRequired": true, "podInfoOnMount": false, "storageCapacity": false, "fsGroupPolicy": "ReadWriteOnceWithFSType",
        "volumeLifecycleModes": ["Persistent"], "requiresRepublish": false, "seLinuxMount": false, "preventPodSchedulingIfMissing": false,
    });
    check_defaults(GROUP, "csidrivers", json!({}), driver(full));
    let token = |audience: &str, seconds: i64| json!({"audience": audience, "expirationSeconds": seconds});
    let tokens = |tokens: Value| driver(json!({ "tokenRequests": tokens }));
    let place = "spec.tokenRequests[0].expirationSeconds: Invalid value:";
    check_kind(
        GROUP,
        "csidrivers",
        vec![
            (driver(json!({"volumeLifecycleModes": ["Persistent", "Ephemeral"], "fsGroupPolicy": "None"})), ""),
            (
                driver(json!({"volumeLifecycleModes": ["X"]})),
                "spec.volumeLifecycleModes: Unsupported value: \"X\": supported values: \"Persistent\", \"Ephemeral\"",
            ),
            (
                driver(json!({"fsGroupPolicy": "X"})),
                "spec.fsGroupPolicy: Unsupported value: \"X\": supported values: \"File\", \"None\", \"ReadWriteOnceWithFSType\"",
            ),
            (tokens(json!([token("a", 600), token("", 4_294_967_296), {"audience": "c"}])), ""),
            (tokens(json!([token("a", 600), token("a", 1)])), "spec.tokenRequests[1].audience: Duplicate value: \"a\""),
            (tokens(json!([token("a", 599)])), &format!("{place} 599: may not specify a duration less than 10 minutes")),
            (tokens(json!([token("a", 4_294_967_297)])), &format!("{place} 4294967297: may not specify a duration larger than 2^32 seconds")),
            (driver(json!({"nodeAllocatableUpdatePeriodSeconds": 10})), ""),
            (
                driver(json!({"nodeAllocatableUpdatePeriodSeconds": 9})),
                "spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 9: must be greater than or equal to 10 seconds",
            ),
            (driver(json!({"serviceAccountTokenInSecrets": true, "tokenRequests": [{"audience": ""}]})), ""),
            (
                driver(json!({"serviceAccountTokenInSecrets": false})),
                "spec.serviceAccountTokenInSecrets: Invalid value: false: serviceAccountTokenInSecrets is set but no tokenRequests are specified",
            ),
        ],
    );
    check_kind_change(
        GROUP,
        "csidrivers",
        vec![
            (driver(json!({})), driver(json!({"podInfoOnMount": true, "fsGroupPolicy": "File"})), ""),
            (driver(json!({})), driver(json!({"attachRequired": false})), &format!("spec.attachedRequired: Invalid value: false: {IMMUTABLE}")),
            (
                driver(json!({})),
                driver(json!({"volumeLifecycleModes": ["Ephemeral"]})),
                &format!("spec.volumeLifecycleModes: Invalid value: [\"Ephemeral\"]: {IMMUTABLE}"),
            ),
        ],
    );
}

fn node(change: Value) -> Value {
    let mut one = json!({"name": "a.b", "nodeID": "n", "topologyKeys": ["a/z"]});
    merge(&mut one, change);
    json!({"spec": {"drivers": [one]}})
}

#[test]
fn nodes() {
    let place = "spec.drivers[0]";
    let twice = json!({"spec": {"drivers": [{"name": "a", "nodeID": "n"}, {"name": "a", "nodeID": "n"}]}});
    check_kind(
        GROUP,
        "csinodes",
        vec![
            (node(json!({"allocatable": {"count": 0}})), ""),
            (json!({"spec": {"drivers": []}}), ""),
            (node(json!({"name": ""})), &format!("{place}.name: Required value")),
            (node(json!({"name": "a_b"})), &format!("{place}.name: Invalid value: \"a_b\": {SUBDOMAIN}")),
            (node(json!({"name": "a".repeat(64)})), &format!("{place}.name: Too long: may not be more than 63 bytes")),
            (node(json!({"nodeID": ""})), &format!("{place}.nodeID: Required value")),
            (node(json!({"nodeID": "n".repeat(257)})), &format!("{place}.nodeID: Invalid value: \"{}\": must be 256 characters or less", "n".repeat(257))),
            (node(json!({"allocatable": {"count": -1}})), &format!("{place}.allocatable.count: Invalid value: -1: must be greater than or equal to 0")),
            (twice, "spec.drivers[1].name: Duplicate value: \"a\""),
            (node(json!({"topologyKeys": ["a", "a"]})), &format!("{place}: Duplicate value: \"a\"")),
            (node(json!({"topologyKeys": ["-"]})), &format!("{place}: Invalid value: \"-\": name part must consist…")),
            (
                node(json!({"topologyKeys": [""]})),
                &format!("{place}: Required value | {place}: Invalid value: \"\": name part must be non-empty | {place}: Invalid value: \"\": name part must…"),
            ),
        ],
    );
    let shown = r#"{"Name":"a.b","NodeID":"m","TopologyKeys":["a/z"],"Allocatable":null}"#;
    check_kind_change(
        GROUP,
        "csinodes",
        vec![
            (node(json!({})), node(json!({"allocatable": {"count": 5}})), ""),
            (node(json!({})), node(json!({"name": "c", "nodeID": "m"})), ""),
            (node(json!({})), node(json!({"nodeID": "m"})), &format!("spec.drivers: Invalid value: {shown}: {IMMUTABLE}")),
        ],
    );
    check_kind_status(GROUP, "csinodes", vec![(node(json!({})), json!({"status": {"storageHealth": [{"name": ""}]}}), "")]);
    check_defaults(GROUP, "csinodes", node(json!({})), node(json!({})));
}

#[test]
fn capacities() {
    let of = |change: Value| {
        let mut capacity = json!({"storageClassName": "s", "capacity": "1Gi", "nodeTopology": {"matchLabels": {"a": "b"}}});
        merge(&mut capacity, change);
        capacity
    };
    let resource = "csistoragecapacities";
    check_kind(
        GROUP,
        resource,
        vec![
            (of(json!({})), ""),
            (json!({"storageClassName": "s"}), ""),
            (json!({}), &format!("storageClassName: Invalid value: \"\": {SUBDOMAIN}")),
            (of(json!({"storageClassName": "A"})), &format!("storageClassName: Invalid value: \"A\": {SUBDOMAIN}")),
            (of(json!({"capacity": "-1"})), "capacity: Invalid value: \"-1\": must be greater than or equal to 0"),
            (of(json!({"nodeTopology": {"matchLabels": {"a": "b "}}})), "nodeTopology.matchLabels: Invalid value: \"b \": a valid label must be…"),
        ],
    );
    check_kind_change(
        GROUP,
        resource,
        vec![
            (of(json!({})), of(json!({"capacity": "2Gi", "maximumVolumeSize": "1Gi"})), ""),
            (of(json!({})), of(json!({"storageClassName": "t"})), &format!("storageClassName: Invalid value: \"t\": {IMMUTABLE}")),
            (
                of(json!({})),
                of(json!({"nodeTopology": {"matchLabels": {"a": "c"}}})),
                &format!("nodeTopology: Invalid value: {{\"matchLabels\":{{\"a\":\"c\"}}}}: {IMMUTABLE}"),
            ),
        ],
    );
}
