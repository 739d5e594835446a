//! RuntimeClasses: which runtime runs pods of a class, what that costs, and on which nodes there is one.
use super::fields::{Checks, items, map, shown, text};
use super::pod;
use crate::error::Cause;
use crate::meta;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Value, json};
use std::collections::HashSet;

/// The rules of RuntimeClasses.
pub static STRATEGY: RuntimeClass = RuntimeClass;

/// The rules of RuntimeClasses.
pub struct RuntimeClass;

impl Strategy for RuntimeClass {
    fn create_on_update(&self) -> bool {
        true
    }
    fn unconditional_update(&self) -> bool {
        false
    }
    fn validate(&self, class: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        if let Some(overhead) = class.at(&["overhead"]) {
            let limits = overhead.get("podFixed").cloned().unwrap_or_else(|| json!({}));
            pod::validate_resources(&mut checks, &"overhead", &json!({ "limits": limits }));
        }
        if let Some(scheduling) = class.at(&["scheduling"]) {
            checks.extend(meta::labels("scheduling.nodeSelector", map(scheduling, "nodeSelector")));
            pod::tolerations(&mut checks, &"scheduling", scheduling);
            distinct(&mut checks, scheduling);
        }
        checks.0
    }
}

/// No toleration may be said twice.
fn distinct(checks: &mut Checks, scheduling: &Value) {
    let mut seen = HashSet::new();
    for (path, toleration) in items(scheduling, &"scheduling", "tolerations") {
        let [key, operator, value, effect] = ["key", "operator", "value", "effect"].map(|field| text(toleration, field));
        if !seen.insert((key, operator, value, effect)) {
            let seconds = toleration.get("tolerationSeconds").cloned().unwrap_or_default();
            let names = [("Key", key), ("Operator", operator), ("Value", value), ("Effect", effect)].map(|(name, text)| (name, text.into()));
            let value = shown(&[&names[..], &[("TolerationSeconds", seconds)]].concat());
            checks.add(Cause { message: format!("Duplicate value: {value}"), ..Cause::duplicate(path, &Value::Null) });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::kinds::fixture::{check_kind, check_kind_change};
    use serde_json::{Value, json};

    fn class(field: &str, value: Value) -> Value {
        json!({"handler": "h", field: value})
    }

    #[test]
    fn overhead_and_scheduling() {
        let overhead = |amounts: Value| class("overhead", json!({ "podFixed": amounts }));
        let tolerations = |tolerations: Value| class("scheduling", json!({ "tolerations": tolerations }));
        let twice = json!([{"key": "a", "operator": "Exists", "tolerationSeconds": 1, "effect": "NoExecute"}, {"key": "a", "operator": "Exists", "effect": "NoExecute"}]);
        check_kind(
            "node.k8s.io",
            "runtimeclasses",
            vec![
                (overhead(json!({"cpu": "10m", "memory": "64Mi"})), ""),
                (class("overhead", json!({})), ""),
                (overhead(json!({"cpu": "-1"})), "overhead.limits[cpu]: Invalid value: \"-1\": must be greater than or equal to 0"),
                (
                    overhead(json!({"x": "1"})),
                    "overhead.limits[x]: Invalid value: \"x\": must be a standard resource type or fully qualified | overhead.limits[x]: Invalid value: \"x\": must be a standard resource for containers",
                ),
                (class("scheduling", json!({"nodeSelector": {"a": "b"}, "tolerations": [{"key": "a", "operator": "Exists"}, {"key": "b", "value": "c"}]})), ""),
                (class("scheduling", json!({"nodeSelector": {"a": "b "}})), "scheduling.nodeSelector: Invalid value: \"b \": a valid label must be…"),
                (tolerations(json!([{"operator": "Equal"}])), "scheduling.tolerations[0].operator: Invalid value: \"Equal\": operator must be Exists…"),
                (tolerations(json!([{"key": "-", "operator": "Exists"}])), "scheduling.tolerations[0].key: Invalid value: \"-\": name part must consist…"),
                (
                    tolerations(twice),
                    "scheduling.tolerations[1]: Duplicate value: {\"Key\":\"a\",\"Operator\":\"Exists\",\"Value\":\"\",\"Effect\":\"NoExecute\",\"TolerationSeconds\":null}",
                ),
            ],
        );
        check_kind_change("node.k8s.io", "runtimeclasses", vec![(class("overhead", json!({})), class("scheduling", json!({"nodeSelector": {"a": "b"}})), "")]);
    }
}
