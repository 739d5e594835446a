//! What tells the items of a list from each other.
use crate::schema::{ListType, Node};
use serde_json::{Map, Value};

/// Fields of keys that Kubernetes' own API fills in where they are left out: ports' protocol.
const DEFAULTS: [(&str, &str); 1] = [("protocol", "TCP")];

/// The path element of an item: `k:{"name":"c"}`, or `v:"x"` in a set. `None` where the list is one value, or the item has no key.
pub fn element(item: &Value, list: &Node) -> Option<String> {
    match list.list_type {
        ListType::Atomic => None,
        ListType::Set => Some(format!("v:{item}")),
        ListType::Map => {
            let map = item.as_object()?;
            let mut keys = Map::new();
            for key in &list.list_keys {
                let value = map.get(&**key).filter(|v| !v.is_null()).cloned().or_else(|| default(list, key));
                keys.insert(key.to_string(), value?);
            }
            keys.sort_keys();
            Some(format!("k:{}", Value::Object(keys)))
        }
    }
}

fn default(list: &Node, key: &str) -> Option<Value> {
    let own = list.items.as_deref().and_then(|items| items.resolve().1.properties.get(key)).and_then(|field| field.default.clone());
    own.or_else(|| DEFAULTS.iter().find(|(field, _)| *field == key).map(|(_, value)| (*value).into()))
}

/// Whether the field of an item is a part of its key.
pub fn is_key(list: &Node, field: &str) -> bool {
    list.list_keys.iter().any(|key| **key == *field)
}
