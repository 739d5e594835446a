//! How many replicas an object has, of any kind that says where it has them.
use crate::kind::ScalePaths;
use crate::object::Object;
use crate::selector::LabelSelector;
use serde_json::Value;

/// How many replicas an object has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scaled {
    /// As many as it is to have.
    pub desired: i64,
    /// As many as there are.
    pub current: i64,
    /// Which pods these are, as text; `None` where the object doesn't say it.
    pub selector: Option<String>,
}

/// A path as objects are asked by it.
pub fn steps(path: &[Box<str>]) -> Vec<&str> {
    path.iter().map(|step| &**step).collect()
}

/// How many replicas an object says that it is to have.
pub fn desired(paths: &ScalePaths, object: &Object) -> Option<i64> {
    object.int_at(&steps(&paths.desired))
}

/// What an object says of its replicas.
pub fn read(paths: &ScalePaths, object: &Object) -> Scaled {
    let number = |path: &[Box<str>]| object.int_at(&steps(path)).unwrap_or_default();
    let selector = match paths.selector.as_ref().and_then(|path| object.at(&steps(path))) {
        Some(Value::String(text)) => Some(text.clone()),
        // a ReplicationController's is a map of labels
        Some(Value::Object(labels)) if !labels.is_empty() && labels.values().all(Value::is_string) => Some(LabelSelector::from_map(Some(labels)).to_string()),
        Some(selector) => LabelSelector::from_json(selector).ok().map(|selector| selector.to_string()),
        None => None,
    };
    Scaled { desired: number(&paths.desired), current: number(&paths.current), selector }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_of_all_forms() {
        let of = |selector: Value| {
            let object = json!({"metadata": {}, "spec": {"replicas": 3, "selector": selector}, "status": {"replicas": 2}});
            read(&ScalePaths::default(), &Object::from_value(object).unwrap())
        };
        for (selector, text) in [
            (json!({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]}), Some("a=1,b")),
            (json!({"a": "1", "b": "2"}), Some("a=1,b=2")),
            (json!("a in (x)"), Some("a in (x)")),
            (json!({}), Some("")),
        ] {
            assert_eq!(of(selector), Scaled { desired: 3, current: 2, selector: text.map(str::to_owned) });
        }
    }
}
