//! What tells the items of a list from each other.
use crate::schema::Node;
use serde_json::{Map, Value};

/// The path element of an item: `k:{"name":"c"}`, or `v:"x"` in a set.
///
/// # Errors
/// Why the item can't be told from others.
pub fn element(item: &Value, list: &Node) -> Result<String, String> {
    if list.list_keys.is_empty() { value(item) } else { keyed(item, list) }
}

fn value(item: &Value) -> Result<String, String> {
    match item {
        Value::Object(_) => Err("associative list without keys has an element that's a map type".to_owned()),
        Value::Array(_) => Err("not supported: associative list with lists as elements".to_owned()),
        Value::Null => Err("associative list without keys has an element that's an explicit null".to_owned()),
        scalar => Ok(format!("v:{scalar}")),
    }
}

fn keyed(item: &Value, list: &Node) -> Result<String, String> {
    let Value::Object(map) = item else {
        let what = if item.is_null() { "may not have a null element" } else { "may not have non-map elements" };
        return Err(format!("associative list with keys {what}"));
    };
    let mut keys = Map::new();
    for key in &list.list_keys {
        let value = map.get(&**key).or_else(|| default(list, key));
        value.into_iter().for_each(|value| _ = keys.insert(key.to_string(), value.clone()));
    }
    if keys.is_empty() {
        let names = list.list_keys.iter().map(|key| format!("{key:?}")).collect::<Vec<_>>().join(" ");
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{names}] (and doesn't have default values for any key fields)"
        ));
    }
    keys.sort_keys();
    Ok(format!("k:{}", Value::Object(keys)))
}

/// What a key is where an item leaves it out.
fn default<'n>(list: &'n Node, key: &str) -> Option<&'n Value> {
    let field = list.items.as_deref().and_then(|items| items.resolve().1.properties.get(key))?;
    field.default.as_ref().or(field.zero.as_ref())
}

/// The elements of a list, with the items of each in their order. Items that can't be told apart are left out.
pub fn elements<'v>(items: &'v [Value], list: &Node) -> Vec<(String, &'v Value)> {
    items.iter().filter_map(|item| Some((element(item, list).ok()?, item))).collect()
}
