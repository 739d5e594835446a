//! Who owns what: references to controllers, adoption and release by selector, objects made from templates.
use crate::runtime::{Input, Item, Plan, Resource, View, ViewChange};
use crate::status::list;
use model::selector::LabelSelector;
use model::{ApiError, Key, Object};
use serde_json::{Value, json};
use std::sync::Arc;

/// The reference that makes `owner` the controller of an object.
pub fn controller_reference(owner: &Item) -> Value {
    let object = owner.object();
    json!({
        "apiVersion": object.api_version(), "kind": object.kind(), "name": owner.name(), "uid": owner.uid(),
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// All owners of an object, as it has them.
pub fn references(item: &Item) -> Vec<Value> {
    item.read(|object| object.list_at(&["metadata", "ownerReferences"]).to_vec())
}

/// The merge patch that makes `owner` the controller of an object that nobody controls.
pub fn adoption(item: &Item, owner: &Item) -> Value {
    let mut owners = references(item);
    owners.retain(|o| o["uid"] != owner.uid());
    owners.push(controller_reference(owner));
    json!({"metadata": {"ownerReferences": owners}})
}

/// The merge patch that takes the owner of this UID away.
pub fn release(item: &Item, uid: &str) -> Value {
    let mut owners = references(item);
    owners.retain(|o| o["uid"] != uid);
    json!({"metadata": {"ownerReferences": list(owners)}})
}

/// A pod as a template describes it, for `owner`.
pub fn pod_of_template(template: &Value, owner: &Item) -> Object {
    let mut pod = Object::default();
    pod.set(&["apiVersion"], "v1");
    pod.set(&["kind"], "Pod");
    let mut metadata = json!({
        "generateName": format!("{}-", owner.name()), "namespace": owner.namespace(), "ownerReferences": [controller_reference(owner)],
    });
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template.pointer(&format!("/metadata/{field}")).filter(|v| !v.is_null()) {
            metadata[field] = value.clone();
        }
    }
    pod.set(&["metadata"], metadata);
    pod.set(&["spec"], template.get("spec").cloned().unwrap_or_else(|| json!({})));
    pod
}

/// The selector of a workload, in `spec.selector`: of a ReplicationController it is the labels alone.
///
/// # Errors
/// 400 when it isn't one.
pub fn selector(item: &Item) -> Result<LabelSelector, ApiError> {
    let selector = item.object().at(&["spec", "selector"]).unwrap_or(&Value::Null);
    if Resource::REPLICATION_CONTROLLERS.holds(item.key()) {
        return LabelSelector::from_json(&json!({"matchLabels": selector}));
    }
    LabelSelector::from_json(selector)
}

/// What an owner reads of a resource: the objects that it controls, and those that it would adopt.
pub fn inputs(resource: Resource, owner: Resource) -> [Input; 2] {
    let adopter = owner.clone();
    [Input::controlled(resource.clone(), owner), Input::new(resource, move |view, change| adopters(view, change, &adopter))]
}

/// The owners among `owners` that would adopt a changed object that nobody controls.
fn adopters(view: &View, change: ViewChange<'_>, owners: &Resource) -> Vec<Key> {
    let Some(item) = change.new.filter(|i| i.controller().is_none() && i.labels().is_some()) else { return Vec::new() };
    let selects = |owner: &&Arc<Item>| selector(owner).is_ok_and(|s| s.selects(|key| item.label(key)));
    view.in_namespace(owners, item.namespace()).filter(selects).map(|owner| owner.key().clone()).collect()
}

/// The objects of `resource` that count as the owner's: those that it controls and selects, and those that it adopts now. What it
/// controls and doesn't select is released. An owner that is being deleted neither adopts nor releases.
pub fn claim<'a>(
    view: &'a View,
    resource: &Resource,
    owner: &'a Item,
    selector: &LabelSelector,
    counts: impl Fn(&Item) -> bool,
    plan: &mut Plan,
) -> Vec<&'a Arc<Item>> {
    let by_labels = |item: &Item| selector.selects(|key| item.label(key));
    let owned = view.controlled_by(resource, owner.uid()).filter(|i| counts(i));
    let free = view.uncontrolled(resource, owner.namespace()).filter(|i| !selector.is_empty() && counts(i));
    claim_of(owned, free, owner, by_labels, plan)
}

/// As [`claim`], of objects whose names have to be right, too: what it controls and isn't called so is released.
pub fn claim_named<'a>(
    view: &'a View,
    resource: &Resource,
    owner: &'a Item,
    selector: &LabelSelector,
    named: impl Fn(&str) -> bool,
    plan: &mut Plan,
) -> Vec<&'a Arc<Item>> {
    let member = |item: &Item| selector.selects(|key| item.label(key)) && named(item.name());
    let free = view.uncontrolled(resource, owner.namespace()).filter(|_| !selector.is_empty());
    claim_of(view.controlled_by(resource, owner.uid()), free, owner, member, plan)
}

fn claim_of<'a>(
    owned: impl Iterator<Item = &'a Arc<Item>>,
    free: impl Iterator<Item = &'a Arc<Item>>,
    owner: &Item,
    member: impl Fn(&Item) -> bool,
    plan: &mut Plan,
) -> Vec<&'a Arc<Item>> {
    let mut mine = Vec::new();
    for item in owned {
        if member(item) {
            mine.push(item);
        } else if !owner.deleting() {
            plan.merge_as_seen(item, "", release(item, owner.uid()));
        }
    }
    if owner.deleting() {
        return mine;
    }
    for item in free.filter(|i| !i.deleting() && member(i)) {
        plan.merge_as_seen(item, "", adoption(item, owner));
        mine.push(item);
    }
    mine
}
