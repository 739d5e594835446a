//! LimitRanger: containers get the requests and limits that the LimitRanges of their namespace have as defaults; a pod or a claim that asks for less or more
//! than one of them allows is refused. Containers can't be changed later but through `resize`, so pods are judged when they are made and resized; claims
//! always.
mod constraint;

use super::step::{Admit, Effects, Refusal, Step};
use constraint::Asked;
use model::resource_list::ResourceList;
use model::{Object, Stored};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Which defaults were set.
const ANNOTATION: &str = "kubernetes.io/limit-ranger";
const CONTAINERS: [(&str, &str); 2] = [("containers", "container"), ("initContainers", "init container")];

/// The step.
pub struct LimitRanger;

/// What can be limited.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Limited {
    Pod,
    Claim,
}

/// What a write makes or changes that can be limited, unless it is being deleted.
fn limited(request: &Admit<'_>) -> Option<Limited> {
    if request.old.is_some_and(|old| old.deletion_timestamp().is_some()) {
        return None;
    }
    let of = |resource: &str| request.kind.group.is_empty() && &*request.kind.resource == resource;
    match (request.subresource.map(|sub| sub.name()), request.old.is_some()) {
        (None, false) | (Some("resize"), true) if of("pods") => Some(Limited::Pod),
        (None, _) if of("persistentvolumeclaims") => Some(Limited::Claim),
        _ => None,
    }
}

fn ranges(request: &Admit<'_>, object: &Object) -> Vec<Arc<Stored>> {
    request.view.list("", "limitranges", object.namespace())
}

/// What a LimitRange says of one type of things after the other.
fn items(range: &Stored) -> impl Iterator<Item = (&str, &Value)> {
    range.object().list_at(&["spec", "limits"]).iter().map(|item| (item["type"].as_str().unwrap_or_default(), item))
}

impl Step for LimitRanger {
    fn admit(&self, request: &Admit<'_>, object: &mut Object, _held: &mut Effects) -> Result<(), Refusal> {
        if limited(request) == Some(Limited::Pod) {
            ranges(request, object).iter().for_each(|range| set_defaults(object, range));
        }
        Ok(())
    }

    fn judge(&self, request: &Admit<'_>, object: &Object, _held: &mut Effects) -> Result<(), Refusal> {
        let Some(what) = limited(request) else { return Ok(()) };
        for range in ranges(request, object) {
            let broken = match what {
                Limited::Pod => items(&range).flat_map(|(kind, item)| of_pod(object, kind, item)).collect(),
                Limited::Claim => items(&range).flat_map(|(kind, item)| of_claim(object, kind, item)).collect(),
            };
            if let Some(why) = together(broken) {
                return Err(request.forbidden(object, why));
            }
        }
        Ok(())
    }
}

/// Several reasons as one, each said once.
fn together(reasons: Vec<String>) -> Option<String> {
    let mut once: Vec<String> = Vec::with_capacity(reasons.len());
    for reason in reasons {
        if !once.contains(&reason) {
            once.push(reason);
        }
    }
    if once.len() > 1 { Some(format!("[{}]", once.join(", "))) } else { once.pop() }
}

/// What of a pod an item of a LimitRange refuses.
fn of_pod(pod: &Object, kind: &str, item: &Value) -> Vec<String> {
    match kind {
        "Container" => {
            let containers = CONTAINERS.iter().flat_map(|(field, _)| pod.list_at(&["spec", field]));
            containers.flat_map(|container| constraint::broken(item, kind, &Asked::of(container))).collect()
        }
        "Pod" => constraint::broken(item, kind, &Asked::of_pod(pod)),
        _ => Vec::new(),
    }
}

/// What of a claim an item of a LimitRange refuses.
fn of_claim(claim: &Object, kind: &str, item: &Value) -> Vec<String> {
    if kind != "PersistentVolumeClaim" {
        return Vec::new();
    }
    let requests = ResourceList::of(claim.at(&["spec", "resources", "requests"]));
    constraint::broken_by_requests(item, kind, &Asked { requests, limits: ResourceList::default() })
}

/// The defaults that a LimitRange has for containers.
fn defaults(range: &Stored, field: &str) -> Map<String, Value> {
    let maps = items(range).filter(|(kind, _)| *kind == "Container").filter_map(|(_, item)| item[field].as_object());
    maps.flatten().map(|(resource, amount)| (resource.clone(), amount.clone())).collect()
}

/// Gives containers the requests and limits that they don't have, and notes which those are.
fn set_defaults(pod: &mut Object, range: &Stored) {
    let (requests, limits) = (defaults(range, "defaultRequest"), defaults(range, "default"));
    let mut notes = Vec::new();
    for (field, called) in CONTAINERS {
        let containers = pod.at_mut(&["spec", field]).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            for (field, word, amounts) in [("requests", "request", &requests), ("limits", "limit", &limits)] {
                let set = fill(container, field, amounts);
                if !set.is_empty() {
                    notes.push(format!("{} {word} for {called} {}", set.join(", "), container["name"].as_str().unwrap_or_default()));
                }
            }
        }
    }
    if !notes.is_empty() {
        pod.set(&["metadata", "annotations", ANNOTATION], format!("LimitRanger plugin set: {}", notes.join("; ")));
    }
}

/// Adds the amounts that a container doesn't have. Returns their names in order.
fn fill<'a>(container: &mut Value, field: &str, amounts: &'a Map<String, Value>) -> Vec<&'a str> {
    let given = |resource: &str| container.pointer(&format!("/resources/{field}")).is_some_and(|had| had.get(resource).is_some());
    let mut missing: Vec<(&str, &Value)> = amounts.iter().map(|(resource, amount)| (resource.as_str(), amount)).filter(|(r, _)| !given(r)).collect();
    missing.sort_by_key(|(resource, _)| *resource);
    for (resource, amount) in &missing {
        for at in ["/resources", &format!("/resources/{field}")] {
            make_map(container, at);
        }
        container["resources"][field][*resource] = (*amount).clone();
    }
    missing.into_iter().map(|(resource, _)| resource).collect()
}

/// Puts an empty map where there is none.
fn make_map(value: &mut Value, at: &str) {
    if value.pointer(at).is_none_or(|there| !there.is_object()) {
        let (parent, name) = at.rsplit_once('/').unwrap_or_default();
        if let Some(Value::Object(parent)) = value.pointer_mut(parent) {
            parent.insert(name.to_owned(), json!({}));
        }
    }
}

#[cfg(test)]
mod tests;
