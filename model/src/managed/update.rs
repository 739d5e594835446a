//! What an ordinary write makes of the owners.
use super::Writer;
use super::compare::{Comparison, compare};
use super::entries::{Entries, Entry, is_of, put_value};
use super::set::FieldSetRef;
use crate::object::Object;
use crate::schema::Node;
use serde_json::{Map, Value};

/// Puts into `new` who owns its fields after an ordinary write of `old`, or a creation. The writer owns what it added and changed, and nobody else does;
/// what is gone is owned by nobody. Entries that don't change keep their time. `owners` are those before the write: the object's own, or what its client
/// sent in their place. Mostly a write changes what its writer owns already: then they stay as they are, unparsed.
pub fn updated(new: &mut Object, old: Option<&Object>, owners: Option<Value>, node: &Node, writer: &Writer<'_>) {
    let nothing = Map::new();
    let found = compare(old.map_or(&nothing, |o| &o.0), &new.0, node, writer.covers);
    if stays(owners.as_ref(), &found, writer) {
        put_value(new, owners);
    } else {
        account(owners.as_ref().map(Entries::parse).unwrap_or_default(), found, writer, false).put(new);
    }
}

/// Whether a write leaves all owners what they own.
fn stays(owners: Option<&Value>, found: &Comparison, writer: &Writer<'_>) -> bool {
    let entries = owners.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut owned = found.changed.is_empty();
    for entry in entries {
        let Some(fields) = entry.get("fieldsV1").and_then(Value::as_object).map(FieldSetRef::of) else { return false };
        if fields.meets(found.removed.view()) {
            return false;
        }
        if is_of(entry, writer) {
            owned |= fields.has_all(found.changed.view());
        } else if fields.meets(found.changed.view()) {
            return false;
        }
    }
    owned
}

/// Takes from everybody what changed or is gone, and gives the writer what changed.
pub(super) fn account(mut entries: Entries, found: Comparison, writer: &Writer<'_>, applied: bool) -> Entries {
    for entry in &mut entries.0 {
        let own = entry.is_of(writer, applied);
        if entry.fields.meets(&found.removed) {
            entry.fields = std::mem::take(&mut entry.fields).difference(&found.removed);
        }
        if !own && entry.fields.meets(&found.changed) {
            entry.fields = std::mem::take(&mut entry.fields).difference(&found.changed);
        }
    }
    if found.changed.is_empty() || applied {
        return entries;
    }
    match entries.0.iter_mut().find(|entry| entry.is_of(writer, false)) {
        Some(own) if own.fields.view().has_all(found.changed.view()) => {}
        Some(own) => {
            own.time = writer.time.to_owned();
            own.fields = std::mem::take(&mut own.fields).union(&found.changed);
        }
        None => entries.0.push(Entry::new(writer, false, found.changed)),
    }
    entries
}
