//! Takes out of an object what its applier no longer applies and nobody else owns.
use super::key;
use super::of_object::{child, is_atomic};
use super::set::FieldSetRef;
use crate::schema::Node;
use serde_json::{Map, Value};

/// Takes the members of `gone` out. A map or an item that is left without anything goes with them, unless `kept` has it.
pub fn prune(object: &mut Map<String, Value>, node: &Node, gone: FieldSetRef<'_>, kept: FieldSetRef<'_>) {
    fields(object, Some(node), gone, Some(kept), &|_| false);
}

fn fields(map: &mut Map<String, Value>, node: Option<&Node>, gone: FieldSetRef<'_>, kept: Option<FieldSetRef<'_>>, spared: &dyn Fn(&str) -> bool) {
    for (element, below) in gone.elements() {
        let Some(field) = element.strip_prefix("f:").filter(|field| !spared(field)) else { continue };
        let kept = kept.and_then(|k| k.below(element));
        let Some(value) = map.get_mut(field) else { continue };
        if inside(value, child(node, field), below, kept) {
            map.remove(field);
        }
    }
}

/// Takes what is gone out of a value. Whether nothing is left of it.
fn inside(value: &mut Value, node: Option<&Node>, gone: FieldSetRef<'_>, kept: Option<FieldSetRef<'_>>) -> bool {
    let atomic = is_atomic(value, node);
    let owned = kept.is_some();
    match value {
        Value::Object(map) if !atomic => {
            fields(map, node, gone, kept, &|_| false);
            map.is_empty() && !owned
        }
        Value::Array(items) if !atomic => {
            let Some(list) = node.map(|n| n.resolve().1) else { return false };
            items.retain_mut(|item| {
                let Some(element) = key::element(item, list) else { return true };
                let Some(below) = gone.below(&element) else { return true };
                !item_gone(item, list, below, kept.and_then(|k| k.below(&element)))
            });
            items.is_empty() && !owned
        }
        _ => gone.is_member(),
    }
}

/// Whether an item of a list goes: it was owned, and nothing but its key is left.
fn item_gone(item: &mut Value, list: &Node, gone: FieldSetRef<'_>, kept: Option<FieldSetRef<'_>>) -> bool {
    let Value::Object(map) = item else { return gone.is_member() };
    fields(map, list.items.as_deref(), gone, kept, &|field| key::is_key(list, field));
    gone.is_member() && kept.is_none() && map.keys().all(|field| key::is_key(list, field))
}
