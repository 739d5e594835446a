//! ControllerRevisions: what the template of a workload was, one object for each that differs, so that a rollout can be told about and turned back.
use crate::ownership::{self, controller_reference};
use crate::runtime::{Item, Plan, Resource, View};
use model::Object;
use model::selector::LabelSelector;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The label that says of which revision a pod is.
pub const POD_LABEL: &str = "controller-revision-hash";
/// So much of an owner's name is part of its revisions' names.
const PREFIX_MAX: usize = 223;

/// The revisions of one owner, the oldest first.
pub struct History<'a> {
    owner: &'a Item,
    all: Vec<&'a Arc<Item>>,
}

impl<'a> History<'a> {
    /// Those that the owner controls and selects, and those that it adopts with this plan.
    pub fn claim(view: &'a View, owner: &'a Item, selector: &LabelSelector, plan: &mut Plan) -> Self {
        let mut all = ownership::claim(view, &Resource::CONTROLLER_REVISIONS, owner, selector, |_| true, plan);
        all.sort_by_key(|item| (number(item), item.meta.creation_timestamp, item.name()));
        Self { owner, all }
    }

    /// The newest one.
    pub fn newest(&self) -> Option<&'a Arc<Item>> {
        self.all.last().copied()
    }

    /// The one of this name.
    pub fn named(&self, name: &str) -> Option<&'a Arc<Item>> {
        self.all.iter().find(|item| item.name() == name).copied()
    }

    /// The revision of the owner's template. One that was before and is again gets the highest number. Where there is none the plan creates it, with the
    /// hash in its name in `label`, and `None` is returned: nothing of a revision is planned before it is there.
    pub fn latest(&self, view: &View, label: &str, plan: &mut Plan) -> Option<&'a Arc<Item>> {
        let data = data(self.owner.object());
        let newest = self.newest();
        let next = newest.map_or(0, |item| number(item)) + 1;
        let equal = self.all.iter().rfind(|item| item.object().at(&["data"]) == Some(&data));
        if let Some(equal) = equal {
            if newest.is_some_and(|newest| newest.uid() != equal.uid()) {
                plan.merge(equal, "", json!({"revision": next}));
            }
            return Some(equal);
        }
        let same = newest.filter(|newest| self.restores(view, newest, &data));
        if same.is_none() {
            self.create(view, label, data, next, plan);
        }
        same
    }

    /// Whether a revision would make the owner's template what it is: that of an earlier version may lack what is a default by now.
    fn restores(&self, view: &View, revision: &Item, wanted: &Value) -> bool {
        let Some(kind) = view.kinds().resource(&self.owner.key().group, &self.owner.key().resource) else { return false };
        let mut restored = self.owner.object().clone();
        restored.set(&["spec", "template"], template(revision));
        kind.strategy.default(&mut restored);
        data(&restored) == *wanted
    }

    fn create(&self, view: &View, label: &str, data: Value, number: i64, plan: &mut Plan) {
        let owner = self.owner.object();
        let template = owner.at(&["spec", "template"]).unwrap_or(&Value::Null);
        let taken = |name: &str| view.get(&Resource::CONTROLLER_REVISIONS, self.owner.namespace(), name).is_some();
        let before = owner.int_at(&["status", "collisionCount"]).unwrap_or_default();
        let mut collisions = before;
        let (mut hash, mut name) = names(self.owner.name(), template, collisions);
        while taken(&name) {
            collisions += 1;
            (hash, name) = names(self.owner.name(), template, collisions);
        }
        let mut labels = template.pointer("/metadata/labels").and_then(Value::as_object).cloned().unwrap_or_default();
        labels.insert(label.to_owned(), json!(hash));
        let mut revision = Object::default();
        revision.set(&["apiVersion"], "apps/v1");
        revision.set(&["kind"], "ControllerRevision");
        let owners = [controller_reference(self.owner)];
        revision.set(&["metadata"], json!({"name": name, "namespace": self.owner.namespace(), "labels": labels, "ownerReferences": owners}));
        if let Some(annotations) = owner.annotations().filter(|all| !all.is_empty()) {
            revision.set(&["metadata", "annotations"], annotations.clone());
        }
        revision.set(&["data"], data);
        revision.set(&["revision"], number);
        plan.create(&Resource::CONTROLLER_REVISIONS, revision);
        if collisions != before {
            plan.merge(self.owner, "status", json!({"status": {"collisionCount": collisions}}));
        }
    }

    /// Those for which `of` holds, the oldest first.
    pub fn filter(&self, of: impl Fn(&Item) -> bool) -> Vec<&'a Arc<Item>> {
        self.all.iter().filter(|item| of(item)).copied().collect()
    }
}

/// Deletes of `old` revisions, the oldest first, so many that as many as the owner keeps are left; none that `lives`.
pub fn truncate(owner: &Item, old: &[&Arc<Item>], lives: impl Fn(&Item) -> bool, plan: &mut Plan) {
    let Some(limit) = owner.object().int_at(&["spec", "revisionHistoryLimit"]) else { return };
    let surplus = old.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
    for revision in old.iter().filter(|item| !item.deleting() && !lives(item)).take(surplus) {
        plan.delete(revision);
    }
}

/// The template that a revision holds.
pub fn template(revision: &Item) -> Value {
    let mut template = revision.object().at(&["data", "spec", "template"]).cloned().unwrap_or_default();
    if let Some(template) = template.as_object_mut() {
        template.remove("$patch");
    }
    template
}

/// The number of a revision.
fn number(revision: &Item) -> i64 {
    revision.object().int_at(&["revision"]).unwrap_or_default()
}

/// What a revision of an owner holds: the strategic merge patch that gives it its template back.
fn data(owner: &Object) -> Value {
    let mut template = owner.at(&["spec", "template"]).and_then(Value::as_object).cloned().unwrap_or_else(Map::new);
    template.insert("$patch".to_owned(), json!("replace"));
    json!({"spec": {"template": template}})
}

/// The hash of a template after so many collisions, and the name of the revision that holds it.
fn names(owner: &str, template: &Value, collisions: i64) -> (String, String) {
    let hash = model::hash::pod_template_hash(template, collisions);
    let name = format!("{}-{hash}", owner.get(..PREFIX_MAX).unwrap_or(owner));
    (hash, name)
}
