//! Admission, certificates, flow control and devices.
use super::{AGE, NAME, NONE, integer, or_none, size, text};
use crate::kind::Column;
use crate::object::Object;
use serde_json::Value;

const UNSET: &str = "<unset>";

pub(in crate::kinds) fn webhooks() -> Vec<Column> {
    vec![NAME, integer("Webhooks", "Number of webhooks", |o, _| size(o, "webhooks").into()), AGE]
}

fn param_kind(policy: &Object) -> String {
    match (policy.str_at(&["spec", "paramKind", "apiVersion"]), policy.str_at(&["spec", "paramKind", "kind"])) {
        (_, "") => UNSET.to_owned(),
        (version, kind) => format!("{version}/{kind}"),
    }
}

pub(in crate::kinds) fn policy() -> Vec<Column> {
    vec![
        NAME,
        integer("Validations", "Number of validations", |o, _| o.list_at(&["spec", "validations"]).len().into()),
        text("ParamKind", "Kind of its parameters", |o, _| param_kind(o).into()),
        AGE,
    ]
}

pub(in crate::kinds) fn mutating_policy() -> Vec<Column> {
    vec![
        NAME,
        integer("Mutations", "Number of mutations", |o, _| o.list_at(&["spec", "mutations"]).len().into()),
        text("ParamKind", "Kind of its parameters", |o, _| param_kind(o).into()),
        AGE,
    ]
}

pub(in crate::kinds) fn policy_binding() -> Vec<Column> {
    vec![
        NAME,
        text("PolicyName", "Which policy it binds", |o, _| o.str_at(&["spec", "policyName"]).into()),
        text("ParamRef", "Its parameters", |o, _| match (o.str_at(&["spec", "paramRef", "namespace"]), o.str_at(&["spec", "paramRef", "name"])) {
            ("", "") => UNSET.into(),
            ("", name) => name.into(),
            (namespace, name) => format!("{namespace}/{name}").into(),
        }),
        AGE,
    ]
}

fn decision(request: &Object) -> String {
    let conditions = request.list_at(&["status", "conditions"]);
    let has = |kind: &str| conditions.iter().any(|c| c["type"] == kind);
    let mut said: Vec<&str> = vec![match () {
        () if has("Denied") => "Denied",
        () if has("Approved") => "Approved",
        () => "Pending",
    }];
    said.extend(has("Failed").then_some("Failed"));
    said.extend((!request.str_at(&["status", "certificate"]).is_empty()).then_some("Issued"));
    said.join(",")
}

pub(in crate::kinds) fn signing_request() -> Vec<Column> {
    vec![
        NAME,
        AGE,
        text("SignerName", "Who is to sign", |o, _| o.str_at(&["spec", "signerName"]).into()),
        text("Requestor", "Who asks", |o, _| o.str_at(&["spec", "username"]).into()),
        text("RequestedDuration", "For how long", |o, _| o.int_at(&["spec", "expirationSeconds"]).map_or(NONE.to_owned(), |n| format!("{n}s")).into()),
        text("Condition", "What became of it", |o, _| decision(o).into()),
    ]
}

pub(in crate::kinds) fn trust_bundle() -> Vec<Column> {
    vec![NAME, text("SignerName", "Whose certificates it is about", |o, _| or_none(o.str_at(&["spec", "signerName"]).to_owned()))]
}

pub(in crate::kinds) fn pod_certificate() -> Vec<Column> {
    vec![
        NAME,
        text("PodName", "For which pod", |o, _| o.str_at(&["spec", "podName"]).into()),
        text("ServiceAccountName", "Which account it has", |o, _| o.str_at(&["spec", "serviceAccountName"]).into()),
        text("NodeName", "On which node", |o, _| o.str_at(&["spec", "nodeName"]).into()),
        text("SignerName", "Who is to sign", |o, _| o.str_at(&["spec", "signerName"]).into()),
    ]
}

pub(in crate::kinds) fn flow_schema() -> Vec<Column> {
    vec![
        NAME,
        text("PriorityLevel", "Which level its requests have", |o, _| o.str_at(&["spec", "priorityLevelConfiguration", "name"]).into()),
        integer("MatchingPrecedence", "Which schema is asked first", |o, _| o.int_at(&["spec", "matchingPrecedence"]).unwrap_or_default().into()),
        text("DistinguisherMethod", "What makes a flow", |o, _| or_none(o.str_at(&["spec", "distinguisherMethod", "type"]).to_owned())),
        AGE,
        text("MissingPL", "Whether its level is missing", |o, _| {
            let dangling = o.list_at(&["status", "conditions"]).iter().find(|c| c["type"] == "Dangling");
            dangling.and_then(|c| c["status"].as_str()).unwrap_or("?").into()
        }),
    ]
}

fn limited(level: &Object, path: &[&str]) -> Value {
    level.int_at(path).map_or(NONE.to_owned(), |n| n.to_string()).into()
}

pub(in crate::kinds) fn priority_level() -> Vec<Column> {
    vec![
        NAME,
        text("Type", "Whether it is limited", |o, _| o.str_at(&["spec", "type"]).into()),
        text("NominalConcurrencyShares", "Its share of what is worked on at once", |o, _| limited(o, &["spec", "limited", "nominalConcurrencyShares"])),
        text("Queues", "Number of queues", |o, _| limited(o, &["spec", "limited", "limitResponse", "queuing", "queues"])),
        text("HandSize", "Queues that one flow may use", |o, _| limited(o, &["spec", "limited", "limitResponse", "queuing", "handSize"])),
        text("QueueLengthLimit", "Requests that wait in a queue", |o, _| limited(o, &["spec", "limited", "limitResponse", "queuing", "queueLengthLimit"])),
        AGE,
    ]
}

pub(in crate::kinds) fn resource_claim() -> Vec<Column> {
    vec![
        NAME,
        text("State", "What became of it", |o, _| {
            let mut state: Vec<&str> = Vec::new();
            state.extend(o.deletion_timestamp().is_some().then_some("deleted"));
            let allocated = o.at(&["status", "allocation"]).is_some();
            state.push(if allocated { "allocated" } else { "pending" });
            state.extend((!o.list_at(&["status", "reservedFor"]).is_empty()).then_some("reserved"));
            state.join(",").into()
        }),
        AGE,
    ]
}

pub(in crate::kinds) fn resource_slice() -> Vec<Column> {
    vec![
        NAME,
        text("Node", "Whose devices they are", |o, _| o.str_at(&["spec", "nodeName"]).into()),
        text("Driver", "Whose they are", |o, _| o.str_at(&["spec", "driver"]).into()),
        text("Pool", "In which pool", |o, _| o.str_at(&["spec", "pool", "name"]).into()),
        AGE,
    ]
}

pub(in crate::kinds) fn api_service() -> Vec<Column> {
    vec![
        NAME,
        text("Service", "Who serves it", |o, _| match (o.str_at(&["spec", "service", "namespace"]), o.str_at(&["spec", "service", "name"])) {
            (_, "") => "Local".into(),
            (namespace, name) => format!("{namespace}/{name}").into(),
        }),
        text("Available", "Whether it answers", |o, _| {
            let available = o.list_at(&["status", "conditions"]).iter().find(|c| c["type"] == "Available");
            available.and_then(|c| c["status"].as_str()).unwrap_or("Unknown").into()
        }),
        AGE,
    ]
}
