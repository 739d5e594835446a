//! What an ordinary write makes of the owners.
use super::compare::compare;
use super::entries::{BEFORE, Entries, Entry, put_value};
use super::forms::{Comparisons, node_of};
use super::reconcile::reconcile;
use super::writer::Writer;
use crate::object::Object;
use crate::schema::Node;
use serde_json::{Map, Value};

/// Puts into `new` who owns its fields after an ordinary write of `old`, or a creation. The writer owns what it added and changed, and nobody else does;
/// what is gone is owned by nobody. Entries that don't change keep their time. `owners` are those before the write: the object's own, or what its client
/// sent in their place. An object that nobody owned stays so, until somebody applies a configuration.
pub fn updated(new: &mut Object, old: Option<&Object>, owners: Option<Value>, node: &Node, writer: &Writer<'_>) {
    let entries = owners.as_ref().map(Entries::parse).unwrap_or_default();
    if old.is_some() && entries.0.is_empty() {
        return put_value(new, None);
    }
    let nothing = Object::default();
    let before = old.unwrap_or(&nothing);
    let found = compare(&before.0, &new.0, node, writer.covers, true);
    if found.changed.is_empty() && found.removed.is_empty() && entries.0.len() <= UPDATES_SURE && old.is_some() {
        return put_value(new, owners);
    }
    let found = Comparisons::of(&entries, before, new, found, writer, true);
    let mut entries = account(entries, found, new, node, writer);
    entries.cap();
    entries.put(new);
}

/// So few entries are never too many.
const UPDATES_SURE: usize = 10;

/// Who owns what of an object that nobody owned, before the first configuration is applied: who was there before, with all of it.
pub(super) fn before_first(live: &Object, node: &Node, writer: &Writer<'_>) -> Entries {
    let found = compare(&Map::new(), &live.0, node, writer.covers, true);
    account(Entries::default(), Comparisons::alone(found), live, node, &Writer { manager: BEFORE, ..*writer })
}

/// Takes from everybody what changed or is gone, and gives the writer what changed.
fn account(mut entries: Entries, found: Comparisons, object: &Object, node: &Node, writer: &Writer<'_>) -> Entries {
    for entry in &mut entries.0 {
        let node = node_of(entry, object, node, writer);
        reconcile(&mut entry.fields, node);
    }
    found.take(&mut entries);
    let found = found.own;
    if found.changed.is_empty() {
        return entries;
    }
    match entries.0.iter_mut().find(|entry| entry.is_of(writer, false)) {
        Some(own) => {
            writer.time.clone_into(&mut own.time);
            own.fields = std::mem::take(&mut own.fields).union(&found.changed);
        }
        None => entries.0.push(Entry::new(writer, false, found.changed)),
    }
    entries
}

/// Gives the owners of `new` the times that they had in `old`, where nothing else differs: who writes what is there already, in other words perhaps, changes
/// nothing.
pub fn same_time(new: &mut Object, old: Option<&Object>) {
    let Some(old) = old else { return };
    let (Some(after), Some(before)) = (entries(new), entries(old)) else { return };
    let untimed = |entry: &Value| {
        let mut entry = entry.clone();
        entry.as_object_mut().into_iter().for_each(|entry| _ = entry.remove("time"));
        entry
    };
    let known: Vec<Value> = before.iter().map(untimed).collect();
    let same = after.len() == before.len() && after != before && after.iter().all(|entry| known.contains(&untimed(entry)));
    if same && same_but_owners(new, old) {
        let before = before.clone();
        put_value(new, Some(Value::Array(before)));
    }
}

fn entries(object: &Object) -> Option<&Vec<Value>> {
    object.at(&["metadata", "managedFields"]).and_then(Value::as_array)
}

/// Whether two forms of an object differ in nothing but their owners.
fn same_but_owners(one: &Object, other: &Object) -> bool {
    let same = |a: &Map<String, Value>, b: &Map<String, Value>, but: &str| {
        let count = |map: &Map<String, Value>| map.keys().filter(|field| *field != but).count();
        count(a) == count(b) && a.iter().all(|(field, value)| field == but || b.get(field) == Some(value))
    };
    fn metadata(object: &Object) -> Option<&Map<String, Value>> {
        object.0.get("metadata").and_then(Value::as_object)
    }
    match (metadata(one), metadata(other)) {
        (Some(a), Some(b)) => same(&one.0, &other.0, "metadata") && same(a, b, "managedFields"),
        _ => false,
    }
}
