//! What Kubernetes' messages say in Go's forms.
use model::Key;
use serde_json::Value;

/// A label selector as Go prints it.
pub(super) fn selector(selector: &Value) -> String {
    let Some(selector) = selector.as_object() else { return "nil".to_owned() };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let labels = selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
    let labels: String = labels.map(|(key, value)| format!("{key}: {},", text(value))).collect();
    let expressions = selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten();
    let expression = |expression: &Value| {
        let values: Vec<String> = expression["values"].as_array().into_iter().flatten().map(text).collect();
        let (key, operator) = (text(&expression["key"]), text(&expression["operator"]));
        format!("LabelSelectorRequirement{{Key:{key},Operator:{operator},Values:[{}],}},", values.join(" "))
    };
    let expressions: String = expressions.map(expression).collect();
    format!("&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}")
}

/// Names of objects as Go prints a list of them.
pub(super) fn keys<'a>(keys: impl Iterator<Item = &'a Key>) -> String {
    let names: Vec<String> = keys.map(|key| format!("{{{} {}}}", key.name, key.namespace)).collect();
    format!("[{}]", names.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors() {
        assert_eq!(selector(&Value::Null), "nil");
        assert_eq!(
            selector(&json!({"matchLabels": {"b": "2", "a": "1"}, "matchExpressions": [{"key": "k", "operator": "In", "values": ["x", "y"]}]})),
            "&LabelSelector{MatchLabels:map[string]string{a: 1,b: 2,},MatchExpressions:[]LabelSelectorRequirement{LabelSelectorRequirement{Key:k,Operator:In,Values:[x y],},},}",
        );
    }
}
