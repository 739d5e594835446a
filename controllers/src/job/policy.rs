//! What a pod's failure means, and when enough pods have succeeded, where a Job has policies for that. Pure functions.
use super::indexes::Indexes;
use model::Object;
use serde_json::Value;

/// What a pod's failure means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it doesn't count.
    pub ignored: bool,
    /// Whether the pod's index fails with it.
    pub fails_index: bool,
    /// Why the Job fails with it, if it does.
    pub fails_job: Option<String>,
}

/// What the failure of `pod` means by a `podFailurePolicy`: the first rule that matches says so. Without one that does, it counts.
pub fn failure(policy: &Value, pod: &Object) -> Verdict {
    let rules = policy["rules"].as_array().into_iter().flatten();
    let matching = rules.enumerate().find_map(|(index, rule)| Some((index, rule, matched(rule, pod)?)));
    let Some((index, rule, why)) = matching else { return Verdict::default() };
    let action = rule["action"].as_str().unwrap_or_default();
    Verdict {
        ignored: action == "Ignore",
        fails_index: action == "FailIndex",
        fails_job: (action == "FailJob").then(|| format!("{why} matching {action} rule at index {index}")),
    }
}

/// In what a pod matches a rule, as a sentence begins.
fn matched(rule: &Value, pod: &Object) -> Option<String> {
    let name = format!("{}/{}", pod.namespace(), pod.name());
    if let Some(codes) = rule.get("onExitCodes").filter(|codes| !codes.is_null()) {
        let lists = ["containerStatuses", "initContainerStatuses"].into_iter().flat_map(|list| pod.list_at(&["status", list]));
        let (container, code) = lists.filter_map(|status| Some((status["name"].as_str()?, exit_code(status, codes)?))).next()?;
        return Some(format!("Container {container} for pod {name} failed with exit code {code}"));
    }
    let patterns = rule["onPodConditions"].as_array()?;
    let is = |condition: &&Value| patterns.iter().any(|p| p["type"] == condition["type"] && p["status"] == condition["status"]);
    let condition = pod.list_at(&["status", "conditions"]).iter().find(is)?;
    Some(format!("Pod {name} has condition {}", condition["type"].as_str().unwrap_or_default()))
}

/// The exit code of a container that failed, where the rule is about it.
fn exit_code(status: &Value, rule: &Value) -> Option<i64> {
    let code = status["state"]["terminated"]["exitCode"].as_i64().filter(|code| *code != 0)?;
    let named = rule["containerName"].as_str().is_none_or(|name| status["name"] == name);
    let listed = rule["values"].as_array().is_some_and(|values| values.iter().any(|value| value.as_i64() == Some(code)));
    let means = match rule["operator"].as_str() {
        Some("In") => listed,
        Some("NotIn") => !listed,
        _ => false,
    };
    (named && means).then_some(code)
}

/// Which rule of a `successPolicy` is met by the indexes that succeeded.
pub fn success(policy: &Value, succeeded: &Indexes, completions: i64) -> Option<String> {
    let met = |rule: &Value| {
        let count = rule["succeededCount"].as_i64();
        match rule["succeededIndexes"].as_str() {
            Some(text) => {
                let wanted = Indexes::parse(text, completions);
                let have = wanted.shared(succeeded);
                wanted.total() > 0 && (have == wanted.total() || count.is_some_and(|count| have >= count))
            }
            None => count.is_some_and(|count| succeeded.total() >= count),
        }
    };
    let rules = policy["rules"].as_array()?;
    let index = rules.iter().position(met).filter(|_| succeeded.total() > 0)?;
    Some(format!("Matched rules at index {index}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(status: Value) -> Object {
        Object::from_value(json!({"metadata": {"name": "p", "namespace": "a"}, "status": status})).unwrap()
    }

    fn ended(name: &str, code: i64) -> Value {
        json!({"name": name, "state": {"terminated": {"exitCode": code}}})
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let policy = json!({"rules": [
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [42]}},
            {"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [7]}},
            {"action": "Count", "onExitCodes": {"operator": "NotIn", "values": [9, 42]}},
            {"action": "FailJob", "onPodConditions": [{"type": "Bad", "status": "False"}]},
        ]});
        let job = |why: &str| Verdict { fails_job: Some(why.to_owned()), ..Verdict::default() };
        for (status, expected) in [
            (json!({}), Verdict::default()),
            (
                json!({"containerStatuses": [ended("side", 42), ended("main", 42)]}),
                job("Container main for pod a/p failed with exit code 42 matching FailJob rule at index 1"),
            ),
            (json!({"containerStatuses": [ended("side", 42)]}), Verdict::default()),
            (
                json!({"containerStatuses": [ended("main", 0)], "initContainerStatuses": [ended("init", 7)]}),
                Verdict { fails_index: true, ..Verdict::default() },
            ),
            (json!({"containerStatuses": [ended("main", 1)], "conditions": [{"type": "Bad", "status": "False"}]}), Verdict::default()),
            (json!({"conditions": [{"type": "Bad", "status": "False"}]}), job("Pod a/p has condition Bad matching FailJob rule at index 4")),
            (
                json!({"conditions": [{"type": "DisruptionTarget", "status": "True"}], "containerStatuses": [ended("main", 42)]}),
                Verdict { ignored: true, ..Verdict::default() },
            ),
        ] {
            assert_eq!(failure(&policy, &pod(status.clone())), expected, "{status}");
        }
    }

    #[test]
    fn enough_have_succeeded() {
        for (rules, succeeded, expected) in [
            (json!([{"succeededIndexes": "0,2-3"}]), "0,2", None),
            (json!([{"succeededIndexes": "0,2-3"}]), "0-3", Some("Matched rules at index 0")),
            (json!([{"succeededIndexes": "0,2-3", "succeededCount": 2}]), "0-2", Some("Matched rules at index 0")),
            (json!([{"succeededCount": 3}]), "0,1", None),
            (json!([{"succeededIndexes": "4"}, {"succeededCount": 2}]), "0,1", Some("Matched rules at index 1")),
            (json!([{"succeededIndexes": "x"}]), "0-4", None),
            (json!([{"succeededCount": 0}]), "", None),
        ] {
            let met = success(&json!({"rules": rules}), &Indexes::parse(succeeded, 5), 5);
            assert_eq!(met.as_deref(), expected, "{rules} {succeeded}");
        }
    }
}
