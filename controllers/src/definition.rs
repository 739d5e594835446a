//! Definitions of custom resources: gives them their names, and empties those that are deleted before it lets them go.
use crate::runtime::{Controller, Guard, Input, Moment, Output, Part, Plan, Resource, View, ViewChange};
use jiff::Timestamp;
use model::custom::definition::CLEANUP;
use model::custom::names::{self, Taken};
use model::{Key, Kind, Object};
use serde_json::{Value, json};

/// Accepts the names of definitions, and ends those that are deleted.
pub struct Definitions;

impl Controller for Definitions {
    fn name(&self) -> &'static str {
        "crd-controller"
    }

    fn inputs(&self) -> Vec<Input> {
        // a name that one gives up another may be waiting for
        vec![Input::new(Resource::DEFINITIONS, |view, change| {
            let group = change.item().map(|i| i.object().str_at(&["spec", "group"]).to_owned()).unwrap_or_default();
            let same = view.all(&Resource::DEFINITIONS).filter(|i| i.object().str_at(&["spec", "group"]) == group);
            same.map(|i| i.key().clone()).collect()
        })]
    }

    fn custom_input(&self, kind: &Kind) -> Option<Input> {
        let definition = Resource::DEFINITIONS.key("", &format!("{}.{}", kind.resource, kind.group));
        Some(Input::new(Resource::of_kind(kind), move |view, change: ViewChange<'_>| {
            let ending = change.new.is_none() && view.at(&definition).is_some_and(|crd| crd.deleting());
            if ending { vec![definition.clone()] } else { Vec::new() }
        }))
    }

    fn outputs(&self) -> Vec<Output> {
        vec![
            Output::new(Resource::DEFINITIONS, Part::Status, ""),
            Output::new(Resource::DEFINITIONS, Part::Portion, "finalizer customresourcecleanup.apiextensions.k8s.io"),
            Output::new(Resource::ANY, Part::End, "of custom resources whose definition ends"),
        ]
    }

    fn plan(&self, view: &View, key: &Key, at: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        let Some(item) = view.at(key) else { return plan };
        let crd = item.object();
        if !item.deleting() {
            let others: Vec<_> = view.all(&Resource::DEFINITIONS).collect();
            let taken = Taken::by_others(crd, others.iter().map(|i| i.object()), view.kinds());
            let status = names::status(crd, &taken, at.now);
            if Some(&status) != crd.at(&["status"]) {
                plan.merge(item, "status", json!({ "status": status }));
            }
            return plan;
        }
        if !item.has_finalizer(CLEANUP) {
            return plan;
        }
        let resource = Resource::named(crd.str_at(&["spec", "group"]), crd.str_at(&["status", "acceptedNames", "plural"]));
        let served = view.synced_at(&resource).is_some();
        let left: Vec<_> = view.all(&resource).cloned().collect();
        left.iter().filter(|i| !i.deleting()).for_each(|i| _ = plan.delete(i));
        if !left.is_empty() {
            told(crd, "InstanceDeletionInProgress", "CustomResource deletion is in progress", at.now)
                .into_iter()
                .for_each(|s| _ = plan.merge(item, "status", s));
        } else if served || !names::is_established(crd) {
            let finalizers: Vec<&String> = item.meta.finalizers.iter().flatten().filter(|f| *f != CLEANUP).collect();
            let write = plan.merge(item, "", json!({"metadata": {"finalizers": finalizers, "resourceVersion": item.revision().to_string()}}));
            if served {
                write.guard(Guard::Empty { resource, namespace: String::new() });
            }
        }
        plan
    }
}

/// The status of a definition that ends, where it doesn't say so yet.
fn told(crd: &Object, reason: &str, message: &str, now: Timestamp) -> Option<Value> {
    let mut status = names::status_of(crd);
    names::set_condition(&mut status, "Terminating", ("True", reason, message.to_owned()), now);
    (Some(&status) != crd.at(&["status"])).then(|| json!({ "status": status }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Sim;

    fn definition(plural: &str, kind: &str) -> Value {
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": format!("{plural}.a.example")},
            "spec": {"group": "a.example", "scope": "Cluster", "names": {"plural": plural, "singular": plural, "kind": kind, "listKind": format!("{kind}List")},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}]}})
    }
    fn condition(sim: &Sim, name: &str, kind: &str) -> (String, String) {
        let crd = sim.get(&Resource::DEFINITIONS, name).unwrap();
        let found = crd.list_at(&["status", "conditions"]).iter().find(|c| c["type"] == kind).cloned().unwrap_or_default();
        let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
        (text("status"), text("reason"))
    }

    #[test]
    fn names_are_given_once() {
        let mut sim = Sim::new(vec![Box::new(Definitions)]);
        sim.create(definition("things", "Thing"));
        sim.settle();
        assert_eq!(condition(&sim, "things.a.example", "Established"), ("True".into(), "InitialNamesAccepted".into()));
        sim.create(definition("others", "Thing"));
        sim.settle();
        assert_eq!(condition(&sim, "others.a.example", "NamesAccepted"), ("False".into(), "KindConflict".into()));
        assert_eq!(condition(&sim, "others.a.example", "Established"), ("False".into(), "NotAccepted".into()));
        // who gives a name up leaves it to who waits for it
        sim.delete(&Resource::DEFINITIONS, "things.a.example", None);
        sim.settle();
        assert_eq!(sim.names(&Resource::DEFINITIONS), ["others.a.example"]);
        assert_eq!(condition(&sim, "others.a.example", "Established").0, "True");
    }
}
