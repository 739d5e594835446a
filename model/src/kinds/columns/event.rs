//! Events, in either of their forms.
use super::{text, wide};
use crate::kind::Column;
use crate::kinds::event::to_core;
use crate::object::Object;
use crate::time;
use jiff::Timestamp;
use serde_json::Value;
use std::borrow::Cow;

pub(in crate::kinds) fn event() -> Vec<Column> {
    vec![
        text("Last Seen", "Time since it was last seen", |o, now| last_seen(&core(o), now).into()),
        text("Type", "Normal or Warning", |o, _| o.str_at(&["type"]).into()),
        text("Reason", "Why, in one word", |o, _| o.str_at(&["reason"]).into()),
        text("Object", "What it is about", |o, _| object(&core(o)).into()),
        wide(text("Subobject", "Which part of it", |o, _| core(o).str_at(&["involvedObject", "fieldPath"]).into())),
        wide(text("Source", "Who says so", |o, _| source(&core(o)).into())),
        text("Message", "What happened", |o, _| core(o).str_at(&["message"]).trim().into()),
        wide(text("First Seen", "Time since it was first seen", |o, now| first_seen(&core(o), now).into())),
        wide(text("Count", "How often it was seen", |o, _| count(&core(o)).into())),
        wide(super::column("Name", "string", "name", "The event's name", |o, _| o.name().into())),
    ]
}

fn core(event: &Object) -> Cow<'_, Object> {
    if event.api_version() == "events.k8s.io/v1" { Cow::Owned(to_core(event)) } else { Cow::Borrowed(event) }
}

fn first_seen(event: &Object, now: Timestamp) -> String {
    let first = event.str_at(&["firstTimestamp"]);
    time::age_of(if first.is_empty() { event.str_at(&["eventTime"]) } else { first }, now)
}

fn last_seen(event: &Object, now: Timestamp) -> String {
    match (event.str_at(&["series", "lastObservedTime"]), event.str_at(&["lastTimestamp"])) {
        ("", "") => first_seen(event, now),
        ("", last) => time::age_of(last, now),
        (series, _) => time::age_of(series, now),
    }
}

fn count(event: &Object) -> i64 {
    event.int_at(&["series", "count"]).or_else(|| event.int_at(&["count"])).filter(|n| *n != 0).unwrap_or(1)
}

fn object(event: &Object) -> String {
    let kind = event.str_at(&["involvedObject", "kind"]).to_lowercase();
    match event.str_at(&["involvedObject", "name"]) {
        "" => kind,
        name => format!("{kind}/{name}"),
    }
}

fn source(event: &Object) -> String {
    let text = |path: &[&str]| event.at(path).and_then(Value::as_str).filter(|t| !t.is_empty()).map(str::to_owned);
    let who = text(&["source", "component"]).or_else(|| text(&["reportingComponent"])).unwrap_or_default();
    match text(&["source", "host"]).or_else(|| text(&["reportingInstance"])) {
        Some(host) => format!("{who}, {host}"),
        None => who,
    }
}
