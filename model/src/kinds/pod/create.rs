//! What is filled in once when a pod is made.
use crate::object::Object;
use serde_json::{Value, json};

const GATED: &str = "Scheduling is blocked due to non-empty scheduling gates";
const AFFINITIES: [&str; 2] = ["podAffinity", "podAntiAffinity"];
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// The status of a new pod.
pub(super) fn status(pod: &Object, class: &str) -> Value {
    let mut status = json!({"phase": "Pending", "qosClass": class});
    if !pod.list_at(&["spec", "schedulingGates"]).is_empty() {
        status["conditions"] = json!([{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": GATED}]);
    }
    status
}

/// Adds what `matchLabelKeys` and `mismatchLabelKeys` stand for, by the pod's own labels, to the selectors beside them.
pub(super) fn label_keys(pod: &mut Object) {
    let labels = pod.at(&["metadata", "labels"]).cloned().unwrap_or_default();
    let Some(spec) = pod.at_mut(&["spec"]) else { return };
    for kind in AFFINITIES {
        let Some(affinity) = spec.get_mut("affinity").and_then(|a| a.get_mut(kind)) else { continue };
        terms(affinity, REQUIRED).for_each(|term| add(term, &labels));
        terms(affinity, PREFERRED).filter_map(|term| term.get_mut("podAffinityTerm")).for_each(|term| add(term, &labels));
    }
    terms(spec, "topologySpreadConstraints").for_each(|constraint| add(constraint, &labels));
}

fn terms<'a>(of: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Value> {
    of.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}

/// A term without a selector selects nothing, and goes on doing so.
fn add(term: &mut Value, labels: &Value) {
    let of = |field: &str, operator: &str| {
        let keys = term.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let there = keys.filter_map(|key| Some((key, labels.get(key)?)));
        there.map(|(key, value)| json!({"key": key, "operator": operator, "values": [value]})).collect::<Vec<_>>()
    };
    let more = [of("matchLabelKeys", "In"), of("mismatchLabelKeys", "NotIn")].concat();
    let Some(selector) = term.get_mut("labelSelector").and_then(Value::as_object_mut).filter(|_| !more.is_empty()) else { return };
    if let Some(all) = selector.entry("matchExpressions").or_insert_with(|| json!([])).as_array_mut() {
        all.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_expressions_where_the_pod_has_the_label_and_the_term_a_selector() {
        let term =
            |selector: Value| json!({"topologyKey": "zone", "labelSelector": selector, "matchLabelKeys": ["rev", "absent"], "mismatchLabelKeys": ["team"]});
        let bare = json!({"topologyKey": "zone", "matchLabelKeys": ["rev"]});
        let mut pod = Object::from_value(json!({
            "metadata": {"labels": {"rev": "2", "team": "x"}},
            "spec": {
                "affinity": {
                    "podAffinity": {REQUIRED: [term(json!({})), bare.clone()]},
                    "podAntiAffinity": {PREFERRED: [{"weight": 1, "podAffinityTerm": term(json!({"matchExpressions": [{"key": "a", "operator": "Exists"}]}))}]},
                },
                "topologySpreadConstraints": [{"labelSelector": {"matchLabels": {"app": "web"}}, "matchLabelKeys": ["rev"]}],
            },
        }))
        .expect("a map");
        label_keys(&mut pod);
        let expression = |key: &str, operator: &str, value: &str| json!({"key": key, "operator": operator, "values": [value]});
        let added = json!([expression("rev", "In", "2"), expression("team", "NotIn", "x")]);
        let required = pod.list_at(&["spec", "affinity", "podAffinity", REQUIRED]);
        assert_eq!((&required[0]["labelSelector"]["matchExpressions"], &required[1]), (&added, &bare));
        let preferred = &pod.list_at(&["spec", "affinity", "podAntiAffinity", PREFERRED])[0]["podAffinityTerm"]["labelSelector"]["matchExpressions"];
        assert_eq!(preferred.as_array().map(Vec::len), Some(3));
        let spread = &pod.list_at(&["spec", "topologySpreadConstraints"])[0]["labelSelector"];
        assert_eq!(*spread, json!({"matchLabels": {"app": "web"}, "matchExpressions": [expression("rev", "In", "2")]}));
    }

    #[test]
    fn a_gated_pod_says_so() {
        let pod = |gates: Value| Object::from_value(json!({"spec": {"schedulingGates": gates}})).expect("a map");
        assert_eq!(status(&pod(json!([])), "Burstable"), json!({"phase": "Pending", "qosClass": "Burstable"}));
        let gated = status(&pod(json!([{"name": "wait"}])), "Burstable");
        assert_eq!((&gated["conditions"][0]["reason"], &gated["conditions"][0]["status"]), (&json!("SchedulingGated"), &json!("False")));
    }
}
