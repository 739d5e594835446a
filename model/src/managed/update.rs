//! What an ordinary write makes of the owners.
use super::Writer;
use super::compare::{Comparison, compare};
use super::entries::{Entries, Entry};
use crate::object::Object;
use crate::schema::Node;
use serde_json::Map;

/// Puts into `new` who owns its fields after an ordinary write of `old`, or a creation. The writer owns what it added and changed, and nobody else does;
/// what is gone is owned by nobody. Entries that don't change keep their time. `given` are the entries that the writer sent itself.
pub fn updated(new: &mut Object, old: Option<&Object>, given: Option<Entries>, node: &Node, writer: &Writer<'_>) {
    let nothing = Map::new();
    let found = compare(old.map_or(&nothing, |o| &o.0), &new.0, node, writer.covers);
    let present = old.map(Entries::of).unwrap_or_default();
    let entries = given.unwrap_or(present);
    account(entries, found, writer, false).put(new);
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
        Some(own) => {
            let all = own.fields.clone().union(&found.changed);
            if all != own.fields {
                own.time = writer.time.to_owned();
                own.fields = all;
            }
        }
        None => entries.0.push(Entry::new(writer, false, found.changed)),
    }
    entries
}
