//! Autoscalers and disruption budgets.
use super::{AGE, NAME, integer, some_of, text};
use crate::kind::Column;
use crate::object::Object;
use serde_json::Value;

const UNKNOWN: &str = "<unknown>";
const UNSET: &str = "<unset>";

fn scaler(targets: Column) -> Vec<Column> {
    vec![
        NAME,
        text("Reference", "What it scales", |o, _| {
            format!("{}/{}", o.str_at(&["spec", "scaleTargetRef", "kind"]), o.str_at(&["spec", "scaleTargetRef", "name"])).into()
        }),
        targets,
        text("MinPods", "Least pods", |o, _| o.int_at(&["spec", "minReplicas"]).map_or(UNSET.to_owned(), |n| n.to_string()).into()),
        integer("MaxPods", "Most pods", |o, _| o.int_at(&["spec", "maxReplicas"]).unwrap_or_default().into()),
        integer("Replicas", "Pods that there are", |o, _| o.int_at(&["status", "currentReplicas"]).unwrap_or_default().into()),
        AGE,
    ]
}

pub(in crate::kinds) fn autoscaler() -> Vec<Column> {
    scaler(text("Targets", "Metrics, and what they should be", |o, _| {
        let current = o.list_at(&["status", "currentMetrics"]);
        let all: Vec<String> = o.list_at(&["spec", "metrics"]).iter().enumerate().map(|(i, m)| metric(m, current.get(i))).collect();
        if all.is_empty() { "<none>".into() } else { some_of(&all).into() }
    }))
}

/// `cpu: 10%/80%`
fn metric(metric: &Value, current: Option<&Value>) -> String {
    let sources = [("Resource", "resource"), ("ContainerResource", "containerResource"), ("Pods", "pods"), ("Object", "object"), ("External", "external")];
    let Some((_, field)) = sources.into_iter().find(|(kind, _)| metric["type"] == **kind) else { return UNKNOWN.to_owned() };
    let shown = |holder: &Value, part: &str| {
        let numbers = &holder[field][part];
        let value = numbers["averageUtilization"].as_i64().map(|n| format!("{n}%"));
        value.or_else(|| ["averageValue", "value"].iter().find_map(|key| numbers[*key].as_str()).map(str::to_owned))
    };
    let now = current.and_then(|c| shown(c, "current")).unwrap_or_else(|| UNKNOWN.to_owned());
    let numbers = format!("{now}/{}", shown(metric, "target").unwrap_or_else(|| UNKNOWN.to_owned()));
    match (field, metric[field]["name"].as_str()) {
        ("resource" | "containerResource", Some(name)) => format!("{name}: {numbers}"),
        _ => numbers,
    }
}

pub(in crate::kinds) fn autoscaler_v1() -> Vec<Column> {
    scaler(text("Targets", "Use of processors, and what it should be", |o, _| {
        let percent = |path: &[&str]| o.int_at(path).map_or(UNKNOWN.to_owned(), |n| format!("{n}%"));
        format!("cpu: {}/{}", percent(&["status", "currentCPUUtilizationPercentage"]), percent(&["spec", "targetCPUUtilizationPercentage"])).into()
    }))
}

fn amount(object: &Object, key: &str) -> Value {
    match object.at(&["spec", key]) {
        Some(Value::String(text)) => text.as_str().into(),
        Some(number) => number.to_string().into(),
        None => "N/A".into(),
    }
}

pub(in crate::kinds) fn disruption_budget() -> Vec<Column> {
    vec![
        NAME,
        text("Min Available", "Pods that must stay", |o, _| amount(o, "minAvailable")),
        text("Max Unavailable", "Pods that may be missing", |o, _| amount(o, "maxUnavailable")),
        integer("Allowed Disruptions", "Pods that may be evicted now", |o, _| o.int_at(&["status", "disruptionsAllowed"]).unwrap_or_default().into()),
        AGE,
    ]
}
