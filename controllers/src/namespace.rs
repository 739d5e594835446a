//! Deletes everything in a namespace that is being deleted, and then lets the namespace go.
use crate::runtime::{Controller, Guard, Input, Item, Moment, Output, Part, Plan, Resource, View, ViewChange, WriteOp};
use crate::status;
use jiff::Timestamp;
use model::{Key, Kind, Kinds};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const FINALIZER: &str = "kubernetes";

/// Empties namespaces that are deleted.
pub struct Namespaces {
    /// Kinds whose objects are watched and deleted one by one.
    watched: Vec<Resource>,
    /// Namespaced kinds that aren't watched: deleted as a whole.
    unwatched: Vec<Resource>,
}

impl Namespaces {
    /// For the namespaced kinds of a table.
    pub fn new(kinds: &Kinds) -> Self {
        let namespaced = |resource: &Resource| kinds.resource(&resource.group, &resource.name).is_some_and(|k| k.namespaced());
        Self { watched: Resource::watched(kinds).into_iter().filter(namespaced).collect(), unwatched: vec![Resource::EVENTS] }
    }
}

impl Controller for Namespaces {
    fn name(&self) -> &'static str {
        "namespace-controller"
    }

    fn inputs(&self) -> Vec<Input> {
        let mut inputs = vec![Input::itself(Resource::NAMESPACES)];
        inputs.extend(self.watched.iter().map(|r| Input::new(r.clone(), ending_namespace)));
        inputs
    }

    fn custom_input(&self, kind: &Kind) -> Option<Input> {
        kind.namespaced().then(|| Input::new(Resource::of_kind(kind), ending_namespace))
    }

    fn outputs(&self) -> Vec<Output> {
        vec![
            Output::new(Resource::ANY, Part::End, "in namespaces that end"),
            Output::new(Resource::NAMESPACES, Part::Status, ""),
            Output::new(Resource::NAMESPACES, Part::Portion, "finalizer kubernetes"),
        ]
    }

    fn plan(&self, view: &View, key: &Key, at: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        let Some(namespace) = view.at(key).filter(|n| n.deleting()) else { return plan };
        let finalizers = namespace.object().list_at(&["spec", "finalizers"]);
        if !finalizers.iter().any(|f| f == FINALIZER) {
            return plan;
        }
        let content: Vec<&Arc<Item>> = namespaced(view).flat_map(|r| view.in_namespace(r, namespace.name())).collect();
        // Pods go before what they use: a NetworkPolicy or a Secret is there for as long as a container runs.
        let pods = content.iter().any(|i| is_pod(i));
        content.iter().filter(|i| !i.deleting() && (!pods || is_pod(i))).for_each(|i| _ = plan.delete(i));
        let conditions = conditions(namespace, &content, at.now);
        if conditions != namespace.object().list_at(&["status", "conditions"]) {
            plan.merge(namespace, "status", json!({"status": {"conditions": conditions}}));
        } else if content.is_empty() {
            self.finish(view, namespace, &mut plan);
        }
        plan
    }
}

impl Namespaces {
    /// Nothing is left that the view shows: events go, and the namespace's own finalizer, if nothing is left that it doesn't show either.
    fn finish(&self, view: &View, namespace: &Item, plan: &mut Plan) {
        for resource in &self.unwatched {
            plan.write(resource.key(namespace.name(), ""), WriteOp::DeleteAll);
        }
        let mut object = namespace.object().clone();
        let left: Vec<Value> = object.list_at(&["spec", "finalizers"]).iter().filter(|f| **f != FINALIZER).cloned().collect();
        object.set(&["spec", "finalizers"], left);
        let write = plan.write(namespace.key().clone(), WriteOp::Replace { subresource: "finalize", object: Box::new(object) });
        for resource in namespaced(view) {
            write.guard(Guard::Empty { resource: resource.clone(), namespace: namespace.name().to_owned() });
        }
    }
}

/// The watched resources whose objects live in namespaces.
fn namespaced(view: &View) -> impl Iterator<Item = &Resource> {
    view.resources().filter(|r| **r != Resource::EVENTS && view.kinds().resource(&r.group, &r.name).is_some_and(|k| k.namespaced()))
}

fn is_pod(item: &Item) -> bool {
    Resource::PODS.holds(item.key())
}

/// The namespace of a changed object, if that namespace is being deleted.
fn ending_namespace(view: &View, change: ViewChange<'_>) -> Vec<Key> {
    let namespace = change.item().and_then(|i| view.get(&Resource::NAMESPACES, "", i.namespace()));
    namespace.filter(|n| n.deleting()).map(|n| n.key().clone()).into_iter().collect()
}

fn conditions(namespace: &Item, content: &[&Arc<Item>], now: Timestamp) -> Vec<Value> {
    let mut conditions = namespace.object().list_at(&["status", "conditions"]).to_vec();
    let (mut kinds, mut finalizers) = (BTreeMap::<String, usize>::new(), BTreeMap::<String, usize>::new());
    for item in content {
        *kinds.entry(format!("{}.{}", item.key().resource, item.key().group)).or_default() += 1;
        for finalizer in item.meta.finalizers.iter().flatten() {
            *finalizers.entry(finalizer.clone()).or_default() += 1;
        }
    }
    let told =
        |counts: &BTreeMap<String, usize>, word: &str| counts.iter().map(|(k, n)| format!("{k} {word} {n} resource instances")).collect::<Vec<_>>().join(", ");
    let remaining = match kinds.is_empty() {
        true => status::condition("NamespaceContentRemaining", false, "ContentRemoved", "All content successfully removed"),
        false => status::condition("NamespaceContentRemaining", true, "SomeResourcesRemain", format!("Some resources are remaining: {}", told(&kinds, "has"))),
    };
    let held = match finalizers.is_empty() {
        true => status::condition("NamespaceFinalizersRemaining", false, "ContentHasNoFinalizers", "All content-preserving finalizers finished"),
        false => {
            let message = format!("Some content in the namespace has finalizers remaining: {}", told(&finalizers, "in"));
            status::condition("NamespaceFinalizersRemaining", true, "SomeFinalizersRemain", message)
        }
    };
    for condition in [
        status::condition("NamespaceDeletionDiscoveryFailure", false, "ResourcesDiscovered", "All resources successfully discovered"),
        status::condition("NamespaceDeletionGroupVersionParsingFailure", false, "ParsedGroupVersions", "All legacy kube types successfully parsed"),
        status::condition("NamespaceDeletionContentFailure", false, "ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
        remaining,
        held,
    ] {
        status::set(&mut conditions, condition, now, true);
    }
    conditions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Sim;

    fn sim() -> Sim {
        let mut sim = Sim::new(vec![Box::new(Namespaces::new(&model::kinds::builtin()))]);
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}, "spec": {"finalizers": [FINALIZER]}});
        sim.create(namespace);
        sim
    }
    fn config_map(name: &str, finalizers: &[&str]) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "a", "finalizers": finalizers}})
    }

    #[test]
    fn a_deleted_namespace_goes_after_its_content() {
        let mut sim = sim();
        sim.create(config_map("x", &[]));
        sim.create(config_map("y", &["held"]));
        sim.settle();
        assert_eq!(sim.names(&Resource::CONFIG_MAPS), ["x", "y"], "it lives");
        sim.delete(&Resource::NAMESPACES, "a", None);
        sim.settle();
        assert_eq!(sim.names(&Resource::CONFIG_MAPS), ["y"]);
        let namespace = sim.get(&Resource::NAMESPACES, "a").unwrap();
        let condition = |t| status::find(namespace.list_at(&["status", "conditions"]), t).unwrap()["message"].as_str().unwrap().to_owned();
        assert_eq!(condition("NamespaceContentRemaining"), "Some resources are remaining: configmaps. has 1 resource instances");
        assert_eq!(condition("NamespaceFinalizersRemaining"), "Some content in the namespace has finalizers remaining: held in 1 resource instances");
        sim.patch(&Resource::CONFIG_MAPS, "y", "", json!({"metadata": {"finalizers": null}}));
        sim.settle();
        assert_eq!(sim.get(&Resource::NAMESPACES, "a"), None);
    }

    #[test]
    fn pods_go_before_everything_else() {
        let mut sim = sim();
        sim.create(config_map("x", &[]));
        sim.create(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "a", "finalizers": ["held"]}, "spec": {"containers": []}}));
        sim.delete(&Resource::NAMESPACES, "a", None);
        sim.settle();
        let pod = sim.get(&Resource::PODS, "p").unwrap();
        assert!(!pod.str_at(&["metadata", "deletionTimestamp"]).is_empty());
        assert_eq!(sim.names(&Resource::CONFIG_MAPS), ["x"], "it waits for the pod");
        sim.patch(&Resource::PODS, "p", "", json!({"metadata": {"finalizers": null}}));
        sim.settle();
        assert_eq!(sim.get(&Resource::NAMESPACES, "a"), None);
    }

    #[test]
    fn what_the_view_does_not_show_keeps_the_namespace() {
        let mut sim = sim();
        sim.settle();
        sim.create(config_map("late", &[]));
        sim.delete(&Resource::NAMESPACES, "a", None);
        sim.show(&Resource::NAMESPACES);
        for _ in 0..4 {
            sim.plan();
            while sim.act() {}
            sim.show(&Resource::NAMESPACES);
        }
        assert!(sim.get(&Resource::NAMESPACES, "a").is_some(), "a live list saw the late one");
        sim.settle();
        sim.pass(60);
        assert_eq!(sim.get(&Resource::NAMESPACES, "a"), None);
    }
}
