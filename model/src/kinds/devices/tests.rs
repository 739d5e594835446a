//! What is refused of devices, and of claims to them.
use crate::kinds::fixture::{check_defaults, check_kind, check_kind_change, check_kind_status, merge};
use serde_json::{Value, json};

const GROUP: &str = "resource.k8s.io";
const REFERENCE: &str = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";

fn claim(devices: Value) -> Value {
    json!({"metadata": {"name": "x"}, "spec": {"devices": devices}})
}
fn exactly(change: Value) -> Value {
    let mut request = json!({"deviceClassName": "c"});
    merge(&mut request, change);
    claim(json!({"requests": [{"name": "r", "exactly": request}]}))
}

#[test]
fn claims() {
    let at = "spec.devices.requests[0]";
    let tolerated = |toleration: Value| exactly(json!({"tolerations": [toleration]}));
    let one = "exactly one of `exactly` or `firstAvailable` is required";
    check_kind(
        GROUP,
        "resourceclaims",
        vec![
            (exactly(json!({})), ""),
            (claim(json!({"requests": [{"name": "r"}]})), &format!("{at}: Required value: {one}")),
            (
                claim(json!({"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}, "firstAvailable": [{"name": "s", "deviceClassName": "c"}]}]})),
                &format!("{at}: Invalid value: null: {one}, but multiple fields are set"),
            ),
            (exactly(json!({"count": -1})), &format!("{at}.exactly.count: Invalid value: -1: must be greater than zero")),
            (
                exactly(json!({"allocationMode": "All", "count": 2})),
                &format!("{at}.exactly.count: Invalid value: 2: must not be specified when allocationMode is 'All'"),
            ),
            (
                exactly(json!({"allocationMode": "X"})),
                &format!("{at}.exactly.allocationMode: Unsupported value: \"X\": supported values: \"All\", \"ExactCount\""),
            ),
            (exactly(json!({"deviceClassName": ""})), &format!("{at}.exactly.deviceClassName: Required value")),
            (
                tolerated(json!({"operator": "Exists", "value": "a"})),
                &format!("{at}.exactly.tolerations[0].value: Invalid value: \"a\": must be empty for operator `Exists`"),
            ),
            (tolerated(json!({"operator": ""})), &format!("{at}.exactly.tolerations[0].operator: Required value")),
            (
                tolerated(json!({"operator": "Equal", "value": "a b"})),
                &format!("{at}.exactly.tolerations[0].value: Invalid value: \"a b\": a valid label must be…"),
            ),
        ],
    );
}

#[test]
fn constraints_and_configurations() {
    let with = |more: Value| {
        let mut devices =
            json!({"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}, {"name": "s", "firstAvailable": [{"name": "t", "deviceClassName": "c"}]}]});
        merge(&mut devices, more);
        claim(devices)
    };
    let config = |config: Value| with(json!({"config": [config]}));
    let constraint = |constraint: Value| with(json!({"constraints": [constraint]}));
    check_kind(
        GROUP,
        "resourceclaims",
        vec![
            (constraint(json!({"matchAttribute": "a.b/c", "requests": ["r", "s/t"]})), ""),
            (
                constraint(json!({"matchAttribute": "a.b/c", "requests": ["s/r"]})),
                &format!("spec.devices.constraints[0].requests[0]: Invalid value: \"s/r\": {REFERENCE}"),
            ),
            (
                constraint(json!({"matchAttribute": "a.b/c", "requests": ["a/b/c"]})),
                &format!("spec.devices.constraints[0].requests[0]: Invalid value: \"a/b/c\": {REFERENCE}"),
            ),
            (
                constraint(json!({})),
                "spec.devices.constraints[0]: Required value: exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, but multiple fields are set",
            ),
            (config(json!({"opaque": {"driver": "d", "parameters": {"a": 1}}})), ""),
            (config(json!({})), "spec.devices.config[0].opaque: Required value"),
            (config(json!({"opaque": {"driver": "d"}})), "spec.devices.config[0].opaque.parameters: Required value"),
            (
                config(json!({"opaque": {"driver": "d", "parameters": [1]}})),
                "spec.devices.config[0].opaque.parameters: Invalid value: \"<value omitted>\": must be a valid JSON object",
            ),
            (
                config(json!({"opaque": {"driver": "d", "parameters": {"a": "x".repeat(10_240)}}})),
                "spec.devices.config[0].opaque.parameters: Too long: may not be more than 10240 bytes",
            ),
        ],
    );
}

#[test]
fn claims_stay() {
    let other = exactly(json!({"deviceClassName": "d"}));
    check_kind_change(GROUP, "resourceclaims", vec![(exactly(json!({})), exactly(json!({})), ""), (exactly(json!({})), other, "spec: Invalid value: …")]);
    check_defaults(GROUP, "resourceclaims", exactly(json!({})), exactly(json!({"allocationMode": "ExactCount", "count": 1})));
    let template = |spec: Value| json!({"metadata": {"name": "x"}, "spec": {"spec": spec, "metadata": {"labels": {"-": ""}}}});
    check_kind(GROUP, "resourceclaimtemplates", vec![(template(json!({})), "spec.metadata.labels: Invalid value: \"-\": name part must consist…")]);
    let class = |config: Value| json!({"metadata": {"name": "x"}, "spec": {"config": [config]}});
    check_kind(GROUP, "deviceclasses", vec![(class(json!({})), "spec.config[0].opaque: Required value")]);
}

#[test]
fn statuses_of_claims() {
    let result = json!({"request": "r", "driver": "d", "pool": "p", "device": "a"});
    let allocation = json!({"devices": {"results": [result]}});
    let with = |status: Value| {
        let mut claim = exactly(json!({}));
        claim["status"] = status;
        claim
    };
    let consumer = json!({"resource": "pods", "name": "p", "uid": "u"});
    let said = |change: Value| {
        let mut device = json!({"driver": "d", "pool": "p", "device": "a"});
        merge(&mut device, change);
        with(json!({"allocation": allocation, "devices": [device]}))
    };
    let none = || with(json!({}));
    check_kind_status(
        GROUP,
        "resourceclaims",
        vec![
            (none(), with(json!({"allocation": allocation, "reservedFor": [consumer]})), ""),
            (none(), with(json!({"reservedFor": [consumer]})), "status.reservedFor: Forbidden: may not be specified when `allocated` is not set"),
            (
                none(),
                with(json!({"allocation": allocation, "reservedFor": [{"uid": "u"}]})),
                "status.reservedFor[0].resource: Required value | status.reservedFor[0].name: Required value",
            ),
            (
                none(),
                with(json!({"allocation": {"devices": {"results": [{"request": "s", "driver": "d", "pool": "p", "device": "A"}]}}})),
                &format!(
                    "status.allocation.devices.results[0].request: Invalid value: \"s\": {REFERENCE} | status.allocation.devices.results[0].device: Invalid value: \"A\": a lowercase RFC 1123 label…"
                ),
            ),
            (none(), said(json!({"data": {"a": 1}, "networkData": {"ips": ["10.0.0.1/24"]}})), ""),
            (none(), said(json!({"device": "b"})), "status.devices[0]: Invalid value: \"d/p/b\": must be an allocated device in the claim"),
            (
                none(),
                said(json!({"networkData": {"ips": ["x"]}})),
                "status.devices[0].networkData.ips[0]: Invalid value: \"x\": must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)",
            ),
            (none(), said(json!({"data": []})), "status.devices[0].data: Invalid value: \"<value omitted>\": must be a valid JSON object"),
            (said(json!({})), with(json!({"devices": [{"driver": "d", "pool": "p", "device": "a"}]})), ""),
        ],
    );
}

fn slice(change: Value) -> Value {
    let mut spec = json!({"driver": "d", "pool": {"name": "p", "resourceSliceCount": 1}, "allNodes": true});
    merge(&mut spec, change);
    json!({"metadata": {"name": "x"}, "spec": spec})
}
fn device(change: Value) -> Value {
    let mut device = json!({"name": "a"});
    merge(&mut device, change);
    slice(json!({"devices": [device]}))
}

#[test]
fn slices() {
    let attribute = |attribute: Value| device(json!({"attributes": {"a": attribute}}));
    let (at, semantic) = ("spec.devices[0]", "must be a string compatible with semver.org spec 2.0.0");
    let exactly = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
    check_kind(
        GROUP,
        "resourceslices",
        vec![
            (slice(json!({})), ""),
            (attribute(json!({"version": "1.2.3-alpha.1+b-1"})), ""),
            (attribute(json!({"version": "1.02.3"})), &format!("{at}.attributes[a].version: Invalid value: \"1.02.3\": {semantic}")),
            (attribute(json!({"string": "x".repeat(65)})), &format!("{at}.attributes[a].string: Too long: may not be more than 64 bytes")),
            (device(json!({"attributes": {"a/1": {"int": 1}}})), &format!("{at}.attributes: Invalid value: \"1\": a valid C identifier must…")),
            (device(json!({"attributes": {"/a": {"int": 1}}})), &format!("{at}.attributes: Invalid value: \"\": the domain must not be empty")),
            (
                slice(json!({"pool": {"resourceSliceCount": 0, "generation": -1}})),
                "spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero | spec.pool.generation: Invalid value: -1: must be greater than or equal to zero",
            ),
            (slice(json!({"allNodes": null})), &format!("spec: Required value: {exactly}")),
            (slice(json!({"nodeName": "n"})), &format!("spec: Invalid value: \"{{`nodeName`, `allNodes`}}\": {exactly}, but multiple fields are set")),
            (slice(json!({"perDeviceNodeSelection": false})), "spec.perDeviceNodeSelection: Invalid value: false: must be either unset or set to true"),
            (slice(json!({"devices": [], "sharedCounters": []})), "spec: Invalid value: \"\": only one of `sharedCounters` or `devices` is allowed"),
            (device(json!({"nodeName": "n"})), &format!("{at}: Invalid value: null: `nodeName`, `nodeSelector` and `allNodes` can only be set if…")),
            (
                device(json!({"bindingConditions": ["a"]})),
                &format!("{at}.bindingFailureConditions: Invalid value: null: bindingFailureConditions are required to use bindingConditions"),
            ),
            (
                device(json!({"bindingConditions": ["a"], "bindingFailureConditions": ["a"]})),
                &format!("{at}.bindingFailureConditions[0]: Invalid value: \"a\": bindingFailureConditions must not overlap with bindingConditions"),
            ),
        ],
    );
    check_kind_change(
        GROUP,
        "resourceslices",
        vec![(slice(json!({})), slice(json!({"pool": {"name": "q"}})), "spec.pool.name: Invalid value: \"q\": field is immutable")],
    );
}

#[test]
fn amounts_of_devices() {
    let policy = |shared: bool, policy: Value| device(json!({"allowMultipleAllocations": shared, "capacity": {"m": {"value": "10", "requestPolicy": policy}}}));
    let at = "spec.devices[0].capacity[m].requestPolicy";
    let range = |change: Value| {
        let mut range = json!({"min": "2", "max": "8", "step": "2"});
        merge(&mut range, change);
        policy(true, json!({"default": "4", "validRange": range}))
    };
    check_kind(
        GROUP,
        "resourceslices",
        vec![
            (range(json!({})), ""),
            (policy(false, json!({})), &format!("{at}: Forbidden: allowMultipleAllocations must be true")),
            (policy(true, json!({"validValues": ["1"]})), &format!("{at}.default: Required value: required when validValues is defined")),
            (
                policy(true, json!({"default": "3", "validValues": ["2", "1", "11"]})),
                &format!(
                    "{at}.validValues[1]: Invalid value: \"1\": values must be sorted in ascending order | {at}.validValues[2]: Invalid value: \"11\": option is larger than capacity value: 10 | {at}.validValues: Invalid value: \"3\": default value is not valid according to the requestPolicy"
                ),
            ),
            (
                range(json!({"min": "5"})),
                &format!(
                    "{at}.validRange.default: Invalid value: \"4\": default is less than min: 5 | {at}.validRange.step: Invalid value: \"4\": value is not a multiple of a given step (2) from (5) | {at}.validRange.step: Invalid value: \"8\": value is not a multiple of a given step (2) from (5)"
                ),
            ),
            (range(json!({"max": "12"})), &format!("{at}.validRange.max: Invalid value: \"12\": max is larger than capacity value: 10")),
            (range(json!({"step": "0"})), &format!("{at}.validRange.step: Invalid value: \"0\": must be greater than zero")),
            (
                range(json!({"step": "9", "max": null})),
                &format!(
                    "{at}.validRange.step: Invalid value: \"9\": one step 11 is larger than capacity value: 10 | {at}.validRange.step: Invalid value: \"4\": value is not a multiple of a given step (9) from (2)"
                ),
            ),
        ],
    );
}
