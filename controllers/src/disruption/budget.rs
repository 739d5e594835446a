//! The status of one budget.
use super::expected::{Expected, expected};
use super::selection::{BUDGETS, budgets_of, selection};
use crate::pod::pod;
use crate::runtime::{Item, Plan, Resource, View, later};
use crate::status;
use jiff::{SignedDuration, Timestamp};
use model::Object;
use model::kinds::disruption_budget::{self, SYNC_FAILED};
use model::selector::LabelSelector;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A pod whose eviction was allowed so long ago, and that isn't going yet, isn't evicted any more.
const DELETION_TIMEOUT: SignedDuration = SignedDuration::from_mins(2);
/// When it is looked again for pods that aren't in view yet.
const UNSEEN: SignedDuration = SignedDuration::from_secs(5);
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// What is to be done for a budget.
pub fn plan(view: &View, item: &Item, now: Timestamp) -> Plan {
    let mut plan = Plan::nothing();
    let budget = item.object();
    if let Err(error) = LabelSelector::from_json(budget.at(&["spec", "selector"]).unwrap_or(&Value::Null)) {
        plan.warn(item, "NoPods", format!("Failed to get pods: {error}"));
        fail(item, &error.message, now, &mut plan);
        return plan;
    }
    let pods = pods_of(view, item);
    if pods.is_empty() {
        plan.tell(item, "NoPods", "No matching pods found");
    }
    warn_of_others(view, item, &pods, &mut plan);
    match expected(view, budget, &pods) {
        Ok(expected) => {
            if expected.unmanaged {
                plan.warn(item, "UnmanagedPods", unmanaged(budget));
            }
            let disrupted = disrupted(view, item, &pods, now, &mut plan);
            count(item, &pods, expected, &disrupted, now, &mut plan);
        }
        Err(why) => {
            plan.warn(item, "CalculateExpectedPodCountFailed", format!("Failed to calculate the number of expected pods: {why}"));
            fail(item, &why, now, &mut plan);
        }
    }
    plan
}

/// The pods of a budget, by name.
fn pods_of<'a>(view: &'a View, item: &'a Item) -> Vec<&'a Arc<Item>> {
    let selection = selection(item);
    let labels = item.object().at(&["spec", "selector", "matchLabels"]).and_then(Value::as_object).filter(|labels| !labels.is_empty());
    let mut pods: Vec<_> = match labels {
        Some(labels) => view.labelled(&Resource::PODS, item.namespace(), labels).filter(|pod| selection.has(pod)).collect(),
        None => view.in_namespace(&Resource::PODS, item.namespace()).filter(|pod| selection.has(pod)).collect(),
    };
    pods.sort_by_key(|pod| pod.name());
    pods
}

/// Says of pods that another budget is about them too; of several budgets the first one does.
fn warn_of_others(view: &View, item: &Item, pods: &[&Arc<Item>], plan: &mut Plan) {
    if view.in_namespace(&BUDGETS, item.namespace()).nth(1).is_none() {
        return;
    }
    for pod in pods.iter().filter(|pod| !pod.deleting()) {
        if let [first, _, ..] = budgets_of(view, pod)[..]
            && first.key() == item.key()
        {
            let (namespace, name) = (pod.namespace(), pod.name());
            let message = format!("Pod {namespace:?}/{name:?} matches multiple PodDisruptionBudgets.  Chose {:?} arbitrarily.", item.name());
            plan.warn(pod, "MultiplePodDisruptionBudgets", message);
        }
    }
}

/// The pods whose evictions were allowed and that don't go yet, with the time when that was. One that was never in view may come yet, as long as the pods that
/// are shown are no newer than the budget.
fn disrupted(view: &View, item: &Item, pods: &[&Arc<Item>], now: Timestamp, plan: &mut Plan) -> BTreeMap<String, Value> {
    let mut kept = BTreeMap::new();
    let behind = view.revision(&Resource::PODS).is_none_or(|shown| shown <= item.revision());
    let noted = item.object().at(&["status", "disruptedPods"]).and_then(Value::as_object);
    for (name, time) in noted.into_iter().flatten() {
        let Some(end) = time.as_str().and_then(model::time::parse).map(|at| later(at, DELETION_TIMEOUT)) else { continue };
        match pods.iter().find(|pod| pod.name() == name) {
            Some(pod) if pod.deleting() => {}
            Some(pod) if end < now => {
                let message = format!("Pod was expected by PDB {}/{} to be deleted but it wasn't", item.namespace(), item.name());
                plan.warn(pod, "NotDeleted", message);
            }
            Some(_) => {
                // a moment later it is over
                plan.look_again(later(end, SECOND));
                kept.insert(name.clone(), time.clone());
            }
            None if behind && end >= now && view.gone_at(&Resource::PODS, item.namespace(), name).is_none() => {
                plan.look_again(later(now, UNSEEN));
                kept.insert(name.clone(), time.clone());
            }
            None => {}
        }
    }
    kept
}

/// Writes the count, where it is another one.
fn count(item: &Item, pods: &[&Arc<Item>], expected: Expected, disrupted: &BTreeMap<String, Value>, now: Timestamp, plan: &mut Plan) {
    let is_healthy = |p: &&&Arc<Item>| !p.deleting() && !disrupted.contains_key(p.name()) && pod(p).ready();
    let healthy = i64::try_from(pods.iter().filter(is_healthy).count()).unwrap_or(i64::MAX);
    // a budget without pods allows nothing, so that the first ones that come are safe until they are counted
    let allowed = if expected.pods <= 0 { 0 } else { (healthy - expected.healthy).max(0) };
    let (budget, generation) = (item.object(), item.meta.generation);
    let mut conditions = budget.list_at(&["status", "conditions"]).to_vec();
    disruption_budget::set_condition(&mut conditions, disruption_budget::allowed_condition(allowed, generation), now);
    let fields = [
        ("observedGeneration", status::count(generation)),
        ("disruptionsAllowed", json!(allowed)),
        ("currentHealthy", json!(healthy)),
        ("desiredHealthy", json!(expected.healthy)),
        ("expectedPods", json!(expected.pods)),
        ("disruptedPods", disrupted_patch(budget, disrupted)),
        ("conditions", status::list(conditions)),
    ];
    write(item, fields, plan);
}

/// The merge patch of `status.disruptedPods`: the map itself where nothing changes.
fn disrupted_patch(budget: &Object, kept: &BTreeMap<String, Value>) -> Value {
    if kept.is_empty() {
        return Value::Null;
    }
    let old = budget.at(&["status", "disruptedPods"]).and_then(Value::as_object);
    let gone = old.into_iter().flat_map(Map::keys).filter(|name| !kept.contains_key(*name)).map(|name| (name.clone(), Value::Null));
    Value::Object(kept.iter().map(|(name, time)| (name.clone(), time.clone())).chain(gone).collect())
}

/// Lets nothing be evicted when it can't be counted.
fn fail(item: &Item, why: &str, now: Timestamp, plan: &mut Plan) {
    let budget = item.object();
    let mut conditions = budget.list_at(&["status", "conditions"]).to_vec();
    let observed = budget.int_at(&["status", "observedGeneration"]).unwrap_or_default();
    disruption_budget::set_condition(&mut conditions, disruption_budget::condition("False", SYNC_FAILED, why, observed), now);
    write(item, [("disruptionsAllowed", json!(0)), ("conditions", status::list(conditions))], plan);
}

fn write<const N: usize>(item: &Item, fields: [(&str, Value); N], plan: &mut Plan) {
    let fields = fields.into_iter().map(|(field, value)| (field.to_owned(), value)).collect();
    if let Some(patch) = status::difference(item.object().at(&["status"]), fields) {
        plan.merge_as_seen(item, "status", json!({"status": patch}));
    }
}

/// What is said of pods that nobody controls.
fn unmanaged(budget: &Object) -> String {
    format!(
        "Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. As a result, the status of the PDB cannot be calculated \
         correctly, which may result in undefined behavior. To account for these pods please set \".spec.minAvailable\" field of the PDB to an integer value.",
        shown(budget.at(&["spec", "selector"]).unwrap_or(&Value::Null))
    )
}

/// A selector as Go prints it.
fn shown(selector: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let labels: BTreeMap<&String, &Value> = selector["matchLabels"].as_object().into_iter().flatten().collect();
    let labels: String = labels.into_iter().map(|(key, value)| format!("{key}: {},", text(value))).collect();
    let expression = |e: &Value| {
        let values: Vec<String> = e["values"].as_array().into_iter().flatten().map(text).collect();
        format!("LabelSelectorRequirement{{Key:{},Operator:{},Values:[{}],}},", text(&e["key"]), text(&e["operator"]), values.join(" "))
    };
    let expressions: String = selector["matchExpressions"].as_array().into_iter().flatten().map(expression).collect();
    format!("&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}")
}
