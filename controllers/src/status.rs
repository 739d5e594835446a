//! Conditions and patches of status: what several controllers write alike.
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// The merge patch that makes the fields of `old` that `new` names (with `null` for none) what `new` says; `None` when they are already.
pub fn difference(old: Option<&Value>, new: Map<String, Value>) -> Option<Value> {
    let differs = |(key, value): &(String, Value)| old.and_then(|o| o.get(key)).unwrap_or(&Value::Null) != value;
    let patch: Map<String, Value> = new.into_iter().filter(differs).collect();
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// A count as a status shows it: absent when 0.
pub fn count(n: i64) -> Value {
    if n == 0 { Value::Null } else { json!(n) }
}

/// A list as a status shows it: absent when empty.
pub fn list(items: Vec<Value>) -> Value {
    if items.is_empty() { Value::Null } else { Value::Array(items) }
}

/// The condition of this type among `conditions`.
pub fn find<'a>(conditions: &'a [Value], r#type: &str) -> Option<&'a Value> {
    conditions.iter().find(|c| c["type"] == r#type)
}

/// Sets a condition. The time of its transition stays while its status stays; nothing changes when status and reason are as before,
/// unless the message differs and `always` is set. Returns whether it changed.
pub fn set(conditions: &mut Vec<Value>, mut new: Value, now: Timestamp, always: bool) -> bool {
    let old = conditions.iter_mut().find(|c| c["type"] == new["type"]);
    let Some(old) = old else {
        new["lastTransitionTime"] = json!(model::time::format(now));
        conditions.push(new);
        return true;
    };
    let same = old["status"] == new["status"] && old["reason"] == new["reason"];
    if same && (!always || old["message"] == new["message"]) {
        return false;
    }
    new["lastTransitionTime"] = if old["status"] == new["status"] { old["lastTransitionTime"].clone() } else { json!(model::time::format(now)) };
    *old = new;
    true
}

/// Takes a condition away; returns whether it was there.
pub fn unset(conditions: &mut Vec<Value>, r#type: &str) -> bool {
    let before = conditions.len();
    conditions.retain(|c| c["type"] != r#type);
    conditions.len() != before
}

/// A condition, without its time.
pub fn condition(r#type: &str, status: bool, reason: &str, message: impl Into<String>) -> Value {
    json!({"type": r#type, "status": if status { "True" } else { "False" }, "reason": reason, "message": message.into()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_patched() {
        let old = json!({"replicas": 2, "readyReplicas": 1});
        let new = |ready| Map::from_iter([("replicas".to_owned(), json!(2)), ("readyReplicas".to_owned(), count(ready))]);
        assert_eq!(difference(Some(&old), new(1)), None);
        assert_eq!(difference(Some(&old), new(0)), Some(json!({"readyReplicas": null})));
        assert_eq!(difference(None, new(0)), Some(json!({"replicas": 2})));
    }

    #[test]
    fn a_transition_is_stamped_when_the_status_turns() {
        let at = |s| Timestamp::from_second(s).unwrap();
        let mut conditions = Vec::new();
        assert!(set(&mut conditions, condition("A", true, "R", "m"), at(1), false));
        assert!(!set(&mut conditions, condition("A", true, "R", "n"), at(2), false));
        assert!(set(&mut conditions, condition("A", true, "S", "n"), at(3), false));
        assert_eq!(conditions[0]["lastTransitionTime"], "1970-01-01T00:00:01Z");
        assert!(set(&mut conditions, condition("A", false, "S", "n"), at(4), false));
        assert_eq!(conditions[0]["lastTransitionTime"], "1970-01-01T00:00:04Z");
        assert!(unset(&mut conditions, "A") && !unset(&mut conditions, "A"));
    }
}
