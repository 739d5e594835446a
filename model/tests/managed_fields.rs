//! What Kubernetes 1.37's own library makes of sequences of applies and updates, compared with what we make of them. `data/managed_fields.json.gz` has sequences
//! and, beside each step, what that library answered: the owners without their times, and the object.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
use flate2::read::GzDecoder;
use model::managed::{self, NoForms, Writer};
use model::schema::{Node, definition};
use model::{Object, custom};
use serde_json::{Value, json};
use std::io::Read;

const TIME: &str = "2026-01-01T00:00:00Z";

fn cases() -> Vec<Value> {
    let mut text = String::new();
    match std::env::var("MANAGED_FIELDS") {
        Ok(path) => text = std::fs::read_to_string(path).unwrap(),
        Err(_) => _ = GzDecoder::new(&include_bytes!("data/managed_fields.json.gz")[..]).read_to_string(&mut text).unwrap(),
    }
    serde_json::from_str(&text).unwrap()
}

/// The object without what says nothing, which Kubernetes' types write and ours don't.
fn plain(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.remove("managedFields");
            map.values_mut().for_each(plain);
            map.retain(|field, value| field != "uid" && !value.is_null() && *value != json!({}) && *value != json!([]));
        }
        Value::Array(items) => items.iter_mut().for_each(plain),
        _ => {}
    }
}

fn owners(object: &Value) -> Value {
    let mut owners = object["metadata"].get("managedFields").cloned().unwrap_or_default();
    owners.as_array_mut().into_iter().flatten().for_each(|entry| _ = entry.as_object_mut().unwrap().remove("time"));
    owners.as_array_mut().into_iter().for_each(|list| list.sort_by_key(|entry| format!("{}{}", entry["operation"], entry["manager"])));
    owners
}

fn writer<'a>(step: &'a Value, api_version: &'a str) -> Writer<'a> {
    let subresource = step["subresource"].as_str().unwrap_or_default();
    let covers: fn(&str) -> bool = if subresource == "status" { |field| field != "spec" } else { |field| field != "status" };
    Writer { manager: step["manager"].as_str().unwrap(), api_version, subresource, time: TIME, covers, forms: &NoForms }
}

/// What a step makes of an object.
fn step(live: Option<&Object>, step: &Value, case: &Value, node: &Node) -> Result<Object, String> {
    let api_version = case["apiVersion"].as_str().unwrap();
    let mut object = Object::from_value(step["object"].clone()).unwrap();
    object.set(&["apiVersion"], api_version);
    object.set(&["kind"], case["kind"].as_str().unwrap());
    let writer = writer(step, api_version);
    if step["op"] == "apply" {
        return managed::applied(live, &object, node, &writer, step["force"] == true).map_err(|e| e.to_api().message);
    }
    if object.at(&["metadata", "managedFields"]).is_none()
        && let Some(present) = live.and_then(|live| live.at(&["metadata", "managedFields"]))
    {
        object.set(&["metadata", "managedFields"], present.clone());
    }
    let present = managed::before(&mut object, live, !writer.subresource.is_empty());
    managed::updated(&mut object, live, present, node, &writer);
    Ok(object)
}

fn run(case: &Value) -> Result<(), String> {
    let parsed = |of: &Value| of.get("schema").map(|raw| custom::Schema::parse(raw).unwrap().node(true));
    let (mut custom, deduced) = (parsed(case), Node::default());
    let builtin = match case["deduced"] == true {
        true => &deduced,
        false => match case["kind"].as_str().unwrap() {
            "ConfigMap" => definition("io.k8s.api.core.v1.ConfigMap").unwrap(),
            "Service" => definition("io.k8s.api.core.v1.Service").unwrap(),
            _ => definition("io.k8s.api.apps.v1.Deployment").unwrap(),
        },
    };
    let mut live: Option<Object> = None;
    for (i, given) in case["ops"].as_array().unwrap().iter().enumerate() {
        let want = &given["expect"];
        custom = parsed(given).or(custom);
        let node = custom.as_ref().unwrap_or(builtin);
        let fail = |what: &str, got: String, want: String| Err(format!("{} step {i} {what}\n got {got}\nwant {want}", case["name"]));
        match (step(live.as_ref(), given, case, node), want["error"].as_str()) {
            (Ok(mut object), None) => {
                let got = Value::Object(object.0.clone());
                if owners(&got) != owners(&want["live"]) {
                    return fail("owners", owners(&got).to_string(), owners(&want["live"]).to_string());
                }
                let (mut got, mut wanted) = (got, want["live"].clone());
                plain(&mut got);
                plain(&mut wanted);
                if got != wanted {
                    return fail("object", got.to_string(), wanted.to_string());
                }
                object.0.values_mut().for_each(drop_nulls);
                live = Some(object);
            }
            (Err(got), Some(want)) if same_mistakes(&got, want) => {}
            (got, want) => return fail("error", format!("{:?}", got.map(|_| ())), format!("{want:?}")),
        }
    }
    Ok(())
}

/// Kubernetes reports mistakes in the order of its maps, and none of a map after one of a field that isn't declared.
fn same_mistakes(got: &str, want: &str) -> bool {
    let lines = |text: &str| -> Vec<String> {
        let (head, rest) = text.split_once("): ").unwrap_or((text, ""));
        let mut lines: Vec<String> =
            rest.trim_start_matches("errors:").split('\n').map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
        lines.push(head.to_owned());
        lines.sort_unstable();
        lines
    };
    let (got, wanted) = (lines(got), lines(want));
    got == wanted || (want.contains("not declared") && wanted.iter().all(|line| got.contains(line)))
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[test]
fn as_kubernetes_does() {
    let cases = cases();
    let failures: Vec<String> = cases.iter().filter_map(|case| run(case).err()).collect();
    let shown: Vec<&String> = failures.iter().take(std::env::var("SHOW").map_or(5, |n| n.parse().unwrap())).collect();
    assert!(failures.is_empty(), "{} of {} differ:\n{}", failures.len(), cases.len(), shown.iter().map(|s| s.as_str()).collect::<Vec<_>>().join("\n\n"));
}
