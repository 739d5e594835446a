//! A Deployment's ReplicaSets: which one is new, their revisions and sizes, and what of them changes.
use super::arithmetic::{Sized, Spec, proportions};
use crate::ownership::controller_reference;
use crate::runtime::{Item, Plan, Resource};
use jiff::Timestamp;
use model::Object;
use serde_json::{Map, Value, json};
use std::cmp::Reverse;
use std::sync::Arc;

/// Which of a Deployment's revisions it is.
pub const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAX: &str = "deployment.kubernetes.io/max-replicas";
/// Annotations of the Deployment that its ReplicaSets don't get.
const NOT_COPIED: [&str; 6] = ["kubectl.kubernetes.io/last-applied-configuration", REVISION, HISTORY, DESIRED, MAX, "deprecated.deployment.rollback.to"];
/// The label that tells pods of revisions apart.
pub const HASH: &str = "pod-template-hash";
/// So many characters of former revisions are kept.
const HISTORY_MAX: usize = 2000;

/// A ReplicaSet of a Deployment, with what is to be changed about it.
pub struct Set<'a> {
    /// As it is; `None` for one that is to be created.
    pub item: Option<&'a Arc<Item>>,
    /// Its name.
    pub name: String,
    /// Its revision, 0 before it has one.
    pub revision: i64,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// `spec.replicas` before this plan.
    pub replicas: i64,
    /// `status.replicas`.
    pub status_replicas: i64,
    /// `status.readyReplicas`.
    pub ready: i64,
    /// `status.availableReplicas`.
    pub available: i64,
    /// The Deployment's size, as annotated when this one was last sized.
    desired: Option<i64>,
    max: Option<i64>,
    target: Option<i64>,
    annotations: Map<String, Value>,
    min_ready: Option<i64>,
    object: Option<Object>,
}

impl<'a> Set<'a> {
    fn of(item: &'a Arc<Item>) -> Self {
        let object = item.object();
        let status = |field| object.int_at(&["status", field]).unwrap_or_default();
        let annotated = |name| object.annotation(name).and_then(|v| v.parse().ok());
        Self {
            item: Some(item),
            name: item.name().to_owned(),
            revision: annotated(REVISION).unwrap_or_default(),
            created: item.meta.creation_timestamp,
            replicas: crate::replicaset::replicas(item),
            status_replicas: status("replicas"),
            ready: status("readyReplicas"),
            available: status("availableReplicas"),
            desired: annotated(DESIRED),
            max: annotated(MAX),
            target: None,
            annotations: Map::new(),
            min_ready: None,
            object: None,
        }
    }

    /// A new ReplicaSet for the Deployment's template, beside `old`.
    pub fn create(deployment: &Item, spec: &Spec, old: &[Set<'_>]) -> Set<'static> {
        let mut template = template(deployment).clone();
        let hash = model::hash::pod_template_hash(&template, collisions(deployment));
        label(&mut template, "/metadata", &hash);
        let mut selector = deployment.object().at(&["spec", "selector"]).cloned().unwrap_or_else(|| json!({}));
        selector["matchLabels"][HASH] = json!(hash);
        let replicas = spec.new_size(0, old.iter().map(|s| s.size().max(s.status_replicas)).sum());
        let revision = next_revision(old);
        let name = format!("{}-{hash}", deployment.name());
        let mut annotations = copied(deployment);
        annotations.insert(REVISION.to_owned(), json!(revision.to_string()));
        annotations.extend(sizes(spec));
        let mut object = Object::default();
        object.set(&["apiVersion"], "apps/v1");
        object.set(&["kind"], "ReplicaSet");
        object.set(&["metadata", "name"], name.as_str());
        object.set(&["metadata", "namespace"], deployment.namespace());
        object.set(&["metadata", "labels"], template["metadata"]["labels"].clone());
        object.set(&["metadata", "annotations"], annotations);
        object.set(&["metadata", "ownerReferences"], vec![controller_reference(deployment)]);
        object.set(&["spec"], json!({"replicas": replicas, "selector": selector, "template": template}));
        if spec.min_ready > 0 {
            object.set(&["spec", "minReadySeconds"], spec.min_ready);
        }
        Set {
            item: None,
            name,
            revision,
            created: None,
            replicas,
            status_replicas: 0,
            ready: 0,
            available: 0,
            desired: Some(spec.replicas),
            max: None,
            target: None,
            annotations: Map::new(),
            min_ready: None,
            object: Some(object),
        }
    }

    /// Its size after this plan.
    pub fn size(&self) -> i64 {
        self.target.unwrap_or(self.replicas)
    }
    /// Changes its size; tells whether that is a change.
    pub fn scale(&mut self, to: i64) -> bool {
        let to = to.max(0);
        let changes = to != self.size();
        if let Some(object) = &mut self.object {
            object.set(&["spec", "replicas"], to);
            self.replicas = to;
        } else if changes {
            self.target = Some(to);
        }
        changes
    }
    /// Its available pods that will stay: a set that was made smaller still reports those that are to go.
    fn lasting(&self) -> i64 {
        self.available.min(self.size())
    }
    /// Whether nothing of it runs or is about to.
    pub fn idle(&self) -> bool {
        let observed = self.item.is_some_and(|i| i.object().int_at(&["status", "observedGeneration"]).unwrap_or_default() >= i.meta.generation);
        self.status_replicas == 0 && self.replicas == 0 && observed
    }
    /// Whether this plan creates it.
    pub fn is_created(&self) -> bool {
        self.object.is_some()
    }

    fn annotate(&mut self, name: &str, value: Value) {
        if self.item.is_some_and(|i| i.object().annotation(name) != value.as_str()) {
            self.annotations.insert(name.to_owned(), value);
        }
    }

    /// It becomes revision `revision`; a revision that it had before goes into its history.
    fn renumber(&mut self, revision: i64) {
        if self.revision >= revision {
            return;
        }
        if let Some(old) = self.item.and_then(|i| i.object().annotation(REVISION)) {
            let history = self.item.and_then(|i| i.object().annotation(HISTORY)).unwrap_or_default();
            self.annotate(HISTORY, json!(appended(history, old)));
        }
        self.annotate(REVISION, json!(revision.to_string()));
        self.revision = revision;
    }

    fn write(mut self, deployment: &Item, spec: &Spec, plan: &mut Plan) {
        let (from, to) = if self.is_created() { (0, self.replicas) } else { (self.replicas, self.size()) };
        if self.target.is_some() {
            for (name, value) in sizes(spec) {
                self.annotate(&name, value);
            }
        }
        if from != to {
            let way = if to > from { "up" } else { "down" };
            plan.tell(deployment, "ScalingReplicaSet", format!("Scaled {way} replica set {} from {from} to {to}", self.name));
        }
        if let Some(object) = self.object {
            plan.create(&Resource::REPLICA_SETS, object).says_failure(deployment, ("ReplicaSetCreateError", "Failed to create new replica set: {}"));
            return;
        }
        let mut patch = json!({});
        if !self.annotations.is_empty() {
            patch["metadata"]["annotations"] = Value::Object(self.annotations);
        }
        if let Some(n) = self.target.filter(|n| *n != self.replicas) {
            patch["spec"]["replicas"] = json!(n);
        }
        if let Some(n) = self.min_ready {
            patch["spec"]["minReadySeconds"] = json!(n);
        }
        if let Some(item) = self.item.filter(|_| patch != json!({})) {
            plan.merge(item, "", patch);
        }
    }
}

/// All ReplicaSets of a Deployment.
pub struct Sets<'a> {
    /// The one of its present template.
    pub new: Option<Set<'a>>,
    /// The others, the oldest first.
    pub old: Vec<Set<'a>>,
}

impl<'a> Sets<'a> {
    /// Of those that the Deployment owns, the oldest one with its template is the new one.
    pub fn of(deployment: &Item, owned: &[&'a Arc<Item>]) -> Self {
        let mut owned = owned.to_vec();
        owned.sort_by(|a, b| (a.meta.creation_timestamp, a.name()).cmp(&(b.meta.creation_timestamp, b.name())));
        let wanted = comparable(template(deployment));
        let new = owned.iter().position(|item| comparable(template(item)) == wanted);
        let new = new.map(|at| Set::of(owned.remove(at)));
        Self { new, old: owned.into_iter().map(Set::of).collect() }
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Set<'a>> {
        self.old.iter().chain(&self.new)
    }
    fn total(&self) -> i64 {
        self.all().map(Set::size).sum()
    }
    /// Pods that there are or will be: those of a set that was made smaller count until it says that they are gone.
    fn present(&self) -> i64 {
        self.all().map(|s| s.size().max(s.status_replicas)).sum()
    }

    /// Brings the new set's revision, annotations and `minReadySeconds` up to date.
    pub fn number(&mut self, deployment: &Item, spec: &Spec) {
        let revision = next_revision(&self.old);
        let Some(new) = &mut self.new else { return };
        for (name, value) in copied(deployment) {
            new.annotate(&name, value);
        }
        new.renumber(revision);
        let min_ready = new.item.and_then(|i| i.object().int_at(&["spec", "minReadySeconds"])).unwrap_or_default();
        new.min_ready = (min_ready != spec.min_ready).then_some(spec.min_ready);
    }

    /// Whether the Deployment's size changed since an active set was sized.
    pub fn scaling(&self, replicas: i64) -> bool {
        self.all().any(|s| s.replicas > 0 && s.desired.is_some_and(|d| d != replicas))
    }

    /// Sizes the new set as the surge allows; tells whether that is a change.
    pub fn grow_new(&mut self, spec: &Spec) -> bool {
        let total = self.present();
        let Some(new) = &mut self.new else { return false };
        if new.is_created() || new.size() == spec.replicas {
            return new.is_created();
        }
        let to = if new.size() > spec.replicas { spec.replicas } else { spec.new_size(new.size(), total) };
        new.scale(to)
    }

    /// Takes away old pods: first those that aren't available, then as many as may be missed. Tells whether that is a change.
    pub fn shrink_old(&mut self, spec: &Spec) -> bool {
        let new_unavailable = self.new.as_ref().map_or(0, |n| n.size() - n.lasting());
        let mut room = self.total() - spec.min_available() - new_unavailable;
        if room <= 0 {
            return false;
        }
        let mut changed = false;
        for set in self.old.iter_mut().filter(|s| s.replicas > s.available) {
            let less = room.min(set.replicas - set.available).max(0);
            changed |= set.scale(set.replicas - less);
            room -= less;
        }
        let mut spare = self.all().map(Set::lasting).sum::<i64>() - spec.min_available();
        for set in self.old.iter_mut().filter(|s| s.size() > 0) {
            let less = spare.min(set.size()).max(0);
            changed |= set.scale(set.size() - less);
            spare -= less;
        }
        changed
    }

    /// Sizes all sets when the Deployment was scaled or is paused.
    pub fn proportion(&mut self, spec: &Spec, deployment: &Item) {
        let active = self.all().filter(|s| s.replicas > 0).count();
        if active <= 1 {
            let latest = self.old.iter_mut().max_by_key(|s| s.revision);
            let only = match (active, self.new.as_mut()) {
                (0, new) => new.or(latest),
                (_, Some(new)) if new.replicas > 0 => Some(new),
                _ => self.old.iter_mut().find(|s| s.replicas > 0),
            };
            if let Some(set) = only {
                set.resize(spec.replicas, spec);
            }
        } else if self.saturated(spec) {
            self.old.iter_mut().filter(|s| s.replicas > 0).for_each(|s| s.resize(0, spec));
        } else if !spec.recreate {
            self.share_out(spec, deployment);
        }
    }

    fn saturated(&self, spec: &Spec) -> bool {
        self.new.as_ref().is_some_and(|n| n.replicas == spec.replicas && n.desired == Some(spec.replicas) && n.available == spec.replicas)
    }

    fn share_out(&mut self, spec: &Spec, deployment: &Item) {
        let fallback = deployment.object().int_at(&["status", "replicas"]).unwrap_or_default();
        let mut active: Vec<&mut Set<'a>> = self.old.iter_mut().chain(&mut self.new).filter(|s| s.replicas > 0).collect();
        let total: i64 = active.iter().map(|s| s.replicas).sum();
        let grows = spec.replicas + spec.max_surge > total;
        // the largest first; of equals the newer one when growing, the older one when shrinking
        active.sort_by(|a, b| {
            let age = a.created.cmp(&b.created);
            Reverse(a.replicas).cmp(&Reverse(b.replicas)).then(if grows { age.reverse() } else { age })
        });
        let sized: Vec<Sized> = active.iter().map(|s| Sized { replicas: s.replicas, max_replicas: s.max.unwrap_or(fallback) }).collect();
        for (set, size) in active.into_iter().zip(proportions(spec, &sized)) {
            set.resize(size, spec);
        }
    }

    /// Writes what changed.
    pub fn write(&mut self, deployment: &Item, spec: &Spec, plan: &mut Plan) {
        let new = self.new.as_mut().map(Set::take);
        let old: Vec<Set<'a>> = self.old.iter_mut().map(Set::take).collect();
        for set in new.into_iter().chain(old) {
            set.write(deployment, spec, plan);
        }
    }
}

impl<'a> Set<'a> {
    /// Changes its size and notes the Deployment's, even when its own stays.
    fn resize(&mut self, to: i64, spec: &Spec) {
        self.scale(to);
        self.target = Some(self.size());
        self.desired = Some(spec.replicas);
    }

    /// Its changes, leaving its numbers.
    fn take(&mut self) -> Set<'a> {
        Set {
            item: self.item,
            name: self.name.clone(),
            revision: self.revision,
            created: self.created,
            replicas: self.replicas,
            status_replicas: self.status_replicas,
            ready: self.ready,
            available: self.available,
            desired: self.desired,
            max: self.max,
            target: self.target,
            annotations: std::mem::take(&mut self.annotations),
            min_ready: self.min_ready.take(),
            object: self.object.take(),
        }
    }
}

/// `spec.template`.
fn template(item: &Item) -> &Value {
    item.object().at(&["spec", "template"]).unwrap_or(&Value::Null)
}

/// A template without the hash's label and without what says nothing.
fn comparable(template: &Value) -> Value {
    match template {
        Value::Object(map) => {
            let kept = map.iter().filter(|(k, v)| *k != HASH && !v.is_null() && v.as_array().is_none_or(|a| !a.is_empty()));
            Value::Object(kept.map(|(k, v)| (k.clone(), comparable(v))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(comparable).collect()),
        scalar => scalar.clone(),
    }
}

fn collisions(deployment: &Item) -> i64 {
    deployment.object().int_at(&["status", "collisionCount"]).unwrap_or_default()
}

fn label(template: &mut Value, metadata: &str, hash: &str) {
    if template.pointer(metadata).is_none_or(Value::is_null) {
        template["metadata"] = json!({});
    }
    template["metadata"]["labels"][HASH] = json!(hash);
}

fn next_revision(old: &[Set<'_>]) -> i64 {
    old.iter().map(|s| s.revision).max().unwrap_or_default() + 1
}

fn copied(deployment: &Item) -> Map<String, Value> {
    let annotations = deployment.object().annotations().into_iter().flatten();
    annotations.filter(|(k, _)| !NOT_COPIED.contains(&k.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn sizes(spec: &Spec) -> [(String, Value); 2] {
    [(DESIRED.to_owned(), json!(spec.replicas.to_string())), (MAX.to_owned(), json!((spec.replicas + spec.max_surge).to_string()))]
}

/// A history with one more revision; the oldest ones go where it gets too long.
fn appended(history: &str, revision: &str) -> String {
    let mut history = history;
    while !history.is_empty() && history.len() + revision.len() + 1 > HISTORY_MAX {
        history = history.split_once(',').map_or("", |(_, rest)| rest);
    }
    if history.is_empty() { revision.to_owned() } else { format!("{history},{revision}") }
}
