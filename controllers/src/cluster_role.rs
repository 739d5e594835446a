//! ClusterRoles with an `aggregationRule` show the rules of those that it selects.
use crate::runtime::{Controller, Input, Item, Moment, Output, Part, Plan, Resource, View};
use model::Key;
use model::selector::LabelSelector;
use serde_json::{Value, json};

/// Fills in the rules of aggregated ClusterRoles.
pub struct AggregatedClusterRoles;

impl Controller for AggregatedClusterRoles {
    fn name(&self) -> &'static str {
        "clusterrole-aggregation-controller"
    }

    fn inputs(&self) -> Vec<Input> {
        // labels and selectors are few and change seldom: each change concerns all that aggregate
        let aggregating = |view: &View| view.all(&Resource::CLUSTER_ROLES).filter(|role| !selectors(role).is_empty()).map(|role| role.key().clone()).collect();
        vec![Input::new(Resource::CLUSTER_ROLES, move |view, _| aggregating(view))]
    }

    fn outputs(&self) -> Vec<Output> {
        vec![Output::new(Resource::CLUSTER_ROLES, Part::Portion, "rules of aggregated ones")]
    }

    fn plan(&self, view: &View, key: &Key, _at: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        let Some(role) = view.at(key).filter(|role| !role.deleting()) else { return plan };
        let selectors = selectors(role);
        let rules = aggregated(view, role, &selectors);
        if !selectors.is_empty() && role.object().list_at(&["rules"]) != rules {
            plan.merge_as_seen(role, "", json!({"rules": rules}));
        }
        plan
    }
}

fn selectors(role: &Item) -> Vec<LabelSelector> {
    let rows = role.object().list_at(&["aggregationRule", "clusterRoleSelectors"]);
    rows.iter().filter_map(|selector| LabelSelector::from_json(selector).ok()).collect()
}

/// The rules of the roles that each selector selects, in the order of the roles' names, each once.
fn aggregated(view: &View, role: &Item, selectors: &[LabelSelector]) -> Vec<Value> {
    let mut others: Vec<_> = view.all(&Resource::CLUSTER_ROLES).filter(|other| other.name() != role.name()).collect();
    others.sort_by_key(|other| other.name());
    let mut rules: Vec<Value> = Vec::new();
    for selector in selectors {
        for other in others.iter().filter(|other| selector.matches(other.object().labels())) {
            for rule in other.object().list_at(&["rules"]) {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Sim;

    fn role(name: &str, labels: Value, rest: Value) -> Value {
        let mut role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name, "labels": labels}});
        role.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        role
    }

    fn rule(resource: &str) -> Value {
        json!({"apiGroups": [""], "resources": [resource], "verbs": ["get"]})
    }

    #[test]
    fn rules_follow_those_that_are_selected() {
        let mut sim = Sim::new(vec![Box::new(AggregatedClusterRoles)]);
        let select = |label: &str| json!({"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {label: "true"}}]}, "rules": [rule("stale")]});
        sim.create(role("all", json!({"top": "true"}), select("part")));
        sim.create(role("top", json!({}), select("top")));
        sim.create(role("z", json!({"part": "true"}), json!({"rules": [rule("pods"), rule("secrets")]})));
        sim.create(role("b", json!({"part": "true"}), json!({"rules": [rule("pods"), rule("nodes")]})));
        sim.create(role("plain", json!({}), json!({"rules": [rule("events")]})));
        sim.settle();
        let rules = |sim: &Sim, name: &str| sim.get(&Resource::CLUSTER_ROLES, name).unwrap().list_at(&["rules"]).to_vec();
        assert_eq!(rules(&sim, "all"), [rule("pods"), rule("nodes"), rule("secrets")]);
        assert_eq!(rules(&sim, "top"), rules(&sim, "all"), "what aggregates can be aggregated");
        assert_eq!(rules(&sim, "plain"), [rule("events")]);
        sim.patch(&Resource::CLUSTER_ROLES, "b", "", json!({"metadata": {"labels": {"part": null}}}));
        sim.settle();
        assert_eq!(rules(&sim, "top"), [rule("pods"), rule("secrets")]);
        sim.delete(&Resource::CLUSTER_ROLES, "z", None);
        sim.settle();
        assert_eq!(rules(&sim, "all"), Vec::<Value>::new());
    }
}
