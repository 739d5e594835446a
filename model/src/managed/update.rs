//! What an ordinary write makes of the owners.
use super::compare::{Comparison, compare};
use super::entries::{BEFORE, Entries, Entry, put_value, sort};
use super::forms::{Comparisons, node_of};
use super::reconcile::reconcile;
use super::set::FieldSetRef;
use super::writer::Writer;
use crate::object::Object;
use crate::schema::Node;
use serde_json::{Map, Value};

/// Puts into `new` who owns its fields after an ordinary write of `old`, or a creation. The writer owns what it added and changed, and nobody else does;
/// what is gone is owned by nobody. Entries that don't change keep their time. `owners` are those before the write: the object's own, or what its client
/// sent in their place. An object that nobody owned stays so, until somebody applies a configuration.
pub fn updated(new: &mut Object, old: Option<&Object>, owners: Option<Value>, node: &Node, writer: &Writer<'_>) {
    let nothing = Object::default();
    let before = old.unwrap_or(&nothing);
    let mut owners = owners;
    if old.is_some() && owners.as_ref().and_then(Value::as_array).is_none_or(Vec::is_empty) {
        return put_value(new, None);
    }
    let found = compare(&before.0, &new.0, node, writer.covers, true);
    // mostly a write changes what its writer alone owns already
    let present = before.at(&["metadata", "managedFields"]).is_some_and(|present| Some(present) == owners.as_ref());
    if present && owners.as_mut().and_then(Value::as_array_mut).is_some_and(|list| stays(list, &found, writer)) {
        return put_value(new, owners);
    }
    let entries = owners.as_ref().map(Entries::parse).unwrap_or_default();
    let found = Comparisons::of(&entries, before, new, found, writer, true);
    let mut entries = account(entries, found, new, node, writer);
    entries.cap();
    entries.put(new);
}

/// Whether a write leaves all owners what they own. Then its writer's entry has the time of it.
fn stays(entries: &mut [Value], found: &Comparison, writer: &Writer<'_>) -> bool {
    let mut own = None;
    for (at, entry) in entries.iter().enumerate() {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        let Some(fields) = entry.get("fieldsV1").and_then(Value::as_object).map(FieldSetRef::of) else { return false };
        let is_own = text("operation") == "Update" && text("manager") == writer.manager && text("subresource") == writer.subresource;
        if text("apiVersion") != writer.api_version || fields.meets(found.removed.view()) {
            return false;
        }
        match is_own {
            true if fields.has_all(found.changed.view()) => own = Some(at),
            false if !fields.meets(found.changed.view()) => {}
            _ => return false,
        }
    }
    if found.changed.is_empty() {
        return true;
    }
    let Some(own) = own.and_then(|at| entries.get_mut(at)) else { return false };
    if !writer.time.is_empty() && own.get("time").and_then(Value::as_str) != Some(writer.time) {
        own.as_object_mut().into_iter().for_each(|own| _ = own.insert("time".to_owned(), writer.time.into()));
        sort(entries);
    }
    true
}

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
