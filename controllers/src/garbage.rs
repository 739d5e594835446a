//! Garbage collection of all kinds: deletes objects whose owners are gone, in the way (foreground, background, orphan) that the owner's deletion asked for.
use crate::runtime::{Controller, Guard, Input, Item, Moment, Output, Part, Plan, Resource, View, ViewChange, WriteOp};
use crate::status::list;
use model::{Key, Kind, Kinds, OwnerReference};
use serde_json::{Value, json};
use state_client::Propagation;
use std::collections::HashSet;

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// Collects garbage of all kinds.
pub struct GarbageCollector {
    resources: Vec<Resource>,
}

impl GarbageCollector {
    /// For all kinds of a table that are watched.
    pub fn new(kinds: &Kinds) -> Self {
        Self { resources: Resource::watched(kinds) }
    }
}

impl Controller for GarbageCollector {
    fn name(&self) -> &'static str {
        "garbage-collector-controller"
    }

    fn inputs(&self) -> Vec<Input> {
        self.resources.iter().map(|r| Input::new(r.clone(), concerned)).collect()
    }

    fn custom_input(&self, kind: &Kind) -> Option<Input> {
        Some(Input::new(Resource::of_kind(kind), concerned))
    }

    fn outputs(&self) -> Vec<Output> {
        vec![
            Output::new(Resource::ANY, Part::End, "without owners"),
            Output::new(Resource::ANY, Part::Portion, "ownerReferences to what is gone, finalizers orphan and foregroundDeletion"),
        ]
    }

    fn plan(&self, view: &View, key: &Key, _at: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        let Some(item) = view.at(key) else { return plan };
        if item.deleting() {
            if item.has_finalizer(ORPHAN) {
                orphan(view, item, &mut plan);
            } else if item.has_finalizer(FOREGROUND) {
                if !dependents(view, item).any(|d| blocks(d, item)) {
                    unfinalize(item, FOREGROUND, &mut plan);
                } else if waits_for_itself(view, item) {
                    unblock(item, &mut plan);
                }
            }
        } else {
            collect(view, item, &mut plan);
        }
        plan
    }
}

/// The keys that a change concerns: the object itself, what depends on it, and owners that wait for it to go.
fn concerned(view: &View, change: ViewChange<'_>) -> Vec<Key> {
    let mut keys = Vec::new();
    if let Some(new) = change.new.filter(|n| !n.owners().is_empty() || waits(n) || n.has_finalizer(ORPHAN)) {
        keys.push(new.key().clone());
    }
    let replaced = change.old.filter(|old| change.new.is_none_or(|new| new.uid() != old.uid()));
    let began_to_wait = change.new.filter(|new| waits(new) && !change.old.is_some_and(waits));
    for item in replaced.into_iter().chain(began_to_wait) {
        keys.extend(view.owned_by(item.uid()).map(|d| d.key().clone()));
    }
    for item in change.both() {
        let owners = item.owners().iter().filter_map(|o| view.owner(item.namespace(), o));
        keys.extend(owners.filter(|o| waits(o) || (o.deleting() && o.has_finalizer(ORPHAN))).map(|o| o.key().clone()));
    }
    keys
}

/// Whether an owner is being deleted and waits for its dependents to go first.
fn waits(item: &Item) -> bool {
    item.deleting() && item.has_finalizer(FOREGROUND)
}

/// What names `owner` as one of its owners, and may: a namespaced owner has dependents in its own namespace only.
fn dependents<'a>(view: &'a View, owner: &'a Item) -> impl Iterator<Item = &'a Item> {
    view.owned_by(owner.uid()).map(|d| &**d).filter(|d| owner.namespace().is_empty() || owner.namespace() == d.namespace())
}

fn blocks(dependent: &Item, owner: &Item) -> bool {
    dependent.owners().iter().any(|o| o.uid == owner.uid() && o.block_owner_deletion == Some(true))
}

/// Whether an object that waits for its dependents is, over others that wait as well, an owner of its own: owners form a circle, and none would go first.
/// It looks upwards: an object has few owners, and may have thousands of dependents.
fn waits_for_itself(view: &View, item: &Item) -> bool {
    let (mut seen, mut below) = (HashSet::new(), vec![item]);
    while let Some(dependent) = below.pop() {
        let blocked = dependent.owners().iter().filter(|o| o.block_owner_deletion == Some(true));
        for owner in blocked.filter_map(|o| view.owner(dependent.namespace(), o)).filter(|o| waits(o)) {
            if owner.uid() == item.uid() {
                return true;
            }
            if seen.insert(owner.uid()) {
                below.push(owner);
            }
        }
    }
    false
}

/// Its owners no longer wait for this object, which breaks the circle that they form with it.
fn unblock(item: &Item, plan: &mut Plan) {
    let mut references = crate::ownership::references(item);
    let blocking = |reference: &&mut Value| reference["blockOwnerDeletion"] == true;
    references.iter_mut().filter(blocking).for_each(|reference| reference["blockOwnerDeletion"] = json!(false));
    plan.merge_as_seen(item, "", json!({"metadata": {"ownerReferences": references}}));
}

/// Dependents lose this owner; then it loses what held it.
fn orphan(view: &View, item: &Item, plan: &mut Plan) {
    for dependent in dependents(view, item) {
        plan.merge_as_seen(dependent, "", crate::ownership::release(dependent, item.uid()));
    }
    if plan.writes.is_empty() {
        unfinalize(item, ORPHAN, plan);
    }
}

fn unfinalize(item: &Item, finalizer: &str, plan: &mut Plan) {
    let left: Vec<Value> = item.meta.finalizers.iter().flatten().filter(|f| *f != finalizer).map(|f| json!(f)).collect();
    plan.merge_as_seen(item, "", json!({"metadata": {"finalizers": list(left)}}));
}

/// What an owner reference comes to.
enum Owner {
    /// It is there, or there is no telling: the object stays.
    Solid,
    /// It is being deleted and waits for this object.
    Waiting,
    /// The view doesn't show it: gone, if `state` says so, too.
    Absent(Guard),
}

fn classify(view: &View, item: &Item, reference: &OwnerReference) -> Owner {
    let Some(kind) = view.kinds().of(&reference.api_version, &reference.kind) else { return Owner::Solid };
    let resource = Resource::of_kind(kind);
    if view.revision(&resource).is_none() || (kind.namespaced() && item.namespace().is_empty()) {
        return Owner::Solid;
    }
    match view.owner(item.namespace(), reference) {
        Some(owner) if waits(owner) => Owner::Waiting,
        Some(_) => Owner::Solid,
        None => {
            let namespace = if kind.namespaced() { item.namespace() } else { "" };
            Owner::Absent(Guard::Absent { key: resource.key(namespace, &reference.name), uid: reference.uid.clone() })
        }
    }
}

/// A cluster-scoped object can't have an owner in a namespace: it is told, and kept.
fn warn_misplaced(view: &View, item: &Item, plan: &mut Plan) {
    let misplaced = |o: &&OwnerReference| view.kinds().of(&o.api_version, &o.kind).is_some_and(|k| k.namespaced());
    if let Some(owner) = item.owners().iter().find(misplaced).filter(|_| item.namespace().is_empty()) {
        let message =
            format!("ownerRef [{}/{}, namespace: , name: {}, uid: {}] does not exist in namespace \"\"", owner.api_version, owner.kind, owner.name, owner.uid);
        plan.warn(item, "OwnerRefInvalidNamespace", message);
    }
}

/// An object without a solid owner goes; one with some loses its references to the others.
fn collect(view: &View, item: &Item, plan: &mut Plan) {
    let (mut solid, mut waiting, mut guards, mut gone) = (false, false, Vec::new(), Vec::new());
    for reference in item.owners() {
        match classify(view, item, reference) {
            Owner::Solid => solid = true,
            Owner::Waiting => {
                waiting = true;
                gone.push(reference.uid.as_str());
            }
            Owner::Absent(guard) => {
                guards.push(guard);
                gone.push(reference.uid.as_str());
            }
        }
    }
    if gone.is_empty() {
        warn_misplaced(view, item, plan);
        return;
    }
    let write = if solid {
        let mut left = crate::ownership::references(item);
        left.retain(|o| !o["uid"].as_str().is_some_and(|u| gone.contains(&u)));
        plan.merge_as_seen(item, "", json!({"metadata": {"ownerReferences": left}}))
    } else {
        let op = WriteOp::Delete { uid: item.uid().to_owned(), revision: item.revision(), propagation: Some(propagation(view, item, waiting)), grace: None };
        plan.write(item.key().clone(), op)
    };
    write.guards = guards;
}

/// As the object's own finalizers ask; in the foreground where an owner waits and there is more below.
fn propagation(view: &View, item: &Item, waiting: bool) -> Propagation {
    if item.has_finalizer(ORPHAN) {
        Propagation::Orphan
    } else if item.has_finalizer(FOREGROUND) || (waiting && dependents(view, item).next().is_some()) {
        Propagation::Foreground
    } else {
        Propagation::Background
    }
}

#[cfg(test)]
#[path = "garbage_tests.rs"]
mod tests;
