//! Deployments, ReplicaSets and their revisions.
use super::pod::{container_names, names_in};
use super::{AGE, NAME, NONE, integer, labels, or_none, text, wide};
use crate::kind::Column;
use crate::object::Object;
use crate::selector::LabelSelector;
use serde_json::Value;

fn status(object: &Object, key: &str) -> i64 {
    object.int_at(&["status", key]).unwrap_or_default()
}
fn desired(object: &Object) -> i64 {
    object.int_at(&["spec", "replicas"]).unwrap_or_default()
}
fn selector(object: &Object) -> Value {
    let selector = object.at(&["spec", "selector"]).and_then(|s| LabelSelector::from_json(s).ok());
    or_none(selector.map(|s| s.to_string()).unwrap_or_default())
}
const CONTAINERS: Column = wide(text("Containers", "Names of the template's containers", |o, _| container_names(o, "name").into()));
const IMAGES: Column = wide(text("Images", "Images of the template's containers", |o, _| container_names(o, "image").into()));
const SELECTOR: Column = wide(text("Selector", "Labels of the pods that belong to it", |o, _| selector(o)));

pub(in crate::kinds) fn deployment() -> Vec<Column> {
    vec![
        NAME,
        text("Ready", "Pods that are ready, of those desired", |o, _| format!("{}/{}", status(o, "readyReplicas"), desired(o)).into()),
        text("Up-to-date", "Pods of the current template", |o, _| status(o, "updatedReplicas").into()),
        text("Available", "Pods that were ready for long enough", |o, _| status(o, "availableReplicas").into()),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ]
}

pub(in crate::kinds) fn replica_set() -> Vec<Column> {
    vec![
        NAME,
        integer("Desired", "Pods that there should be", |o, _| desired(o).into()),
        integer("Current", "Pods that there are", |o, _| status(o, "replicas").into()),
        integer("Ready", "Pods that are ready", |o, _| status(o, "readyReplicas").into()),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ]
}

pub(in crate::kinds) fn pod_template() -> Vec<Column> {
    vec![
        NAME,
        text("Containers", "Names of the template's containers", |o, _| names_in(o.at(&["template", "spec"]), "name").into()),
        text("Images", "Images of the template's containers", |o, _| names_in(o.at(&["template", "spec"]), "image").into()),
        text("Pod Labels", "Labels of its pods", |o, _| labels(o.at(&["template", "metadata", "labels"]).and_then(Value::as_object)).into()),
    ]
}

pub(in crate::kinds) fn revision() -> Vec<Column> {
    vec![
        NAME,
        text("Controller", "Whose revision it is", |o, _| controller(o).into()),
        integer("Revision", "Its number", |o, _| o.int_at(&["revision"]).unwrap_or_default().into()),
        AGE,
    ]
}

fn controller(object: &Object) -> String {
    let Some(owner) = object.controller() else { return NONE.to_owned() };
    let kind = owner.kind.to_lowercase();
    match owner.api_version.split_once('/') {
        Some((group, _)) => format!("{kind}.{group}/{}", owner.name),
        None => format!("{kind}/{}", owner.name),
    }
}

pub(in crate::kinds) fn stateful_set() -> Vec<Column> {
    let ready = text("Ready", "Pods that are ready, of those desired", |o, _| format!("{}/{}", status(o, "readyReplicas"), desired(o)).into());
    vec![NAME, ready, AGE, CONTAINERS, IMAGES]
}

pub(in crate::kinds) fn daemon_set() -> Vec<Column> {
    vec![
        NAME,
        integer("Desired", "Nodes that should run its pod", |o, _| status(o, "desiredNumberScheduled").into()),
        integer("Current", "Nodes that have its pod", |o, _| status(o, "currentNumberScheduled").into()),
        integer("Ready", "Nodes whose pod is ready", |o, _| status(o, "numberReady").into()),
        integer("Up-to-date", "Nodes whose pod is of the current template", |o, _| status(o, "updatedNumberScheduled").into()),
        integer("Available", "Nodes whose pod was ready for long enough", |o, _| status(o, "numberAvailable").into()),
        text("Node Selector", "Labels of the nodes", |o, _| or_none(labels(o.at(&["spec", "template", "spec", "nodeSelector"]).and_then(Value::as_object)))),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ]
}

pub(in crate::kinds) fn replication_controller() -> Vec<Column> {
    let selector = text("Selector", "Labels of the pods that belong to it", |o, _| or_none(labels(o.at(&["spec", "selector"]).and_then(Value::as_object))));
    let mut columns = replica_set();
    columns.pop();
    columns.push(wide(selector));
    columns
}

pub(in crate::kinds) fn job() -> Vec<Column> {
    vec![
        NAME,
        text("Status", "What it is at", |o, _| job_state(o).into()),
        text("Completions", "Pods that succeeded, of those wanted", |o, _| completions(o).into()),
        text("Duration", "How long it has taken", |o, now| duration(o, now).into()),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ]
}

fn job_state(job: &Object) -> &'static str {
    let conditions = job.list_at(&["status", "conditions"]);
    let is = |kind: &str| conditions.iter().any(|c| c["type"] == kind && c["status"] == "True");
    let known = ["Complete", "Failed"].into_iter().find(|kind| is(kind));
    known.unwrap_or_else(|| match () {
        () if job.deletion_timestamp().is_some() => "Terminating",
        () if is("Suspended") => "Suspended",
        () if is("FailureTarget") => "FailureTarget",
        () if is("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    })
}

fn completions(job: &Object) -> String {
    let succeeded = status(job, "succeeded");
    match (job.int_at(&["spec", "completions"]), job.int_at(&["spec", "parallelism"]).unwrap_or_default()) {
        (Some(wanted), _) => format!("{succeeded}/{wanted}"),
        (None, parallel) if parallel > 1 => format!("{succeeded}/1 of {parallel}"),
        (None, _) => format!("{succeeded}/1"),
    }
}

fn duration(job: &Object, now: jiff::Timestamp) -> String {
    let at = |key: &str| crate::time::parse(job.str_at(&["status", key]));
    match (at("startTime"), at("completionTime")) {
        (Some(_), end) => crate::time::age_of(job.str_at(&["status", "startTime"]), end.unwrap_or(now)),
        (None, _) => String::new(),
    }
}

pub(in crate::kinds) fn cron_job() -> Vec<Column> {
    vec![
        NAME,
        text("Schedule", "When its jobs are due", |o, _| o.str_at(&["spec", "schedule"]).into()),
        text("Timezone", "By which clock", |o, _| or_none(o.str_at(&["spec", "timeZone"]).to_owned())),
        super::boolean("Suspend", "Whether no more jobs are made", |o, _| {
            // a word, as Kubernetes has it here, and not JSON's
            if o.at(&["spec", "suspend"]) == Some(&Value::Bool(true)) { "True".into() } else { "False".into() }
        }),
        integer("Active", "Jobs that run", |o, _| o.list_at(&["status", "active"]).len().into()),
        text("Last Schedule", "Time since the last job was due", |o, now| match o.str_at(&["status", "lastScheduleTime"]) {
            "" => NONE.into(),
            time => crate::time::age_of(time, now).into(),
        }),
        AGE,
        wide(text("Containers", "Names of the template's containers", |o, _| {
            names_in(o.at(&["spec", "jobTemplate", "spec", "template", "spec"]), "name").into()
        })),
        wide(text("Images", "Images of the template's containers", |o, _| {
            names_in(o.at(&["spec", "jobTemplate", "spec", "template", "spec"]), "image").into()
        })),
    ]
}
