//! What applying a configuration makes of an object and its owners.
use super::compare::compare;
use super::conflict::{ApplyError, Conflict};
use super::entries::{Entries, Entry};
use super::forms::{Comparisons, node_of};
use super::last_applied;
use super::merge::merge;
use super::of_object::of_object;
use super::prune::{Pruned, prune};
use super::reconcile::reconcile;
use super::set::FieldSet;
use super::typed;
use super::update::before_first;
use super::writer::{Form, Writer};
use crate::object::Object;
use crate::schema::Node;

/// The manager of `kubectl`, whose configurations of former days count.
const KUBECTL: &str = "kubectl";

/// Applies a configuration to an object, or to nothing. The configuration is as its client sent it: with `null`s, and with values in any form.
///
/// # Errors
/// [`ApplyError::Mistyped`] for a configuration that isn't what the schema says, [`ApplyError::Conflicts`] without `force`.
pub fn applied(live: Option<&Object>, configuration: &Object, node: &Node, writer: &Writer<'_>, force: bool) -> Result<Object, ApplyError> {
    typed::check(configuration, node)?;
    let mut attempt = attempt(live, configuration, node, writer);
    if !force && !attempt.conflicts.is_empty() {
        let allowed = live.filter(|_| writer.manager == KUBECTL).and_then(|live| last_applied::still_there(live, node, writer));
        let mut conflicts = std::mem::take(&mut attempt.conflicts);
        if let Some(allowed) = allowed {
            conflicts.iter_mut().for_each(|conflict| conflict.fields = std::mem::take(&mut conflict.fields).difference(&allowed));
            conflicts.retain(|conflict| !conflict.fields.is_empty());
        }
        if !conflicts.is_empty() {
            conflicts.sort_by(|a, b| a.order.cmp(&b.order));
            return Err(ApplyError::Conflicts(conflicts));
        }
    }
    let mut object = attempt.object;
    attempt.entries.put(&mut object);
    if writer.manager == KUBECTL {
        last_applied::keep(&mut object, configuration);
    }
    Ok(object)
}

/// What applying by force comes to, and with whom it conflicts.
struct Attempt {
    object: Object,
    entries: Entries,
    conflicts: Vec<Conflict>,
}

fn attempt(live: Option<&Object>, configuration: &Object, node: &Node, writer: &Writer<'_>) -> Attempt {
    let mut entries = live.map(Entries::of).unwrap_or_default();
    if let Some(live) = live.filter(|_| entries.0.is_empty()) {
        entries = before_first(live, node, writer);
    }
    let nothing = Object::default();
    let before = live.unwrap_or(&nothing);
    for entry in &mut entries.0 {
        let node = node_of(entry, before, node, writer);
        reconcile(&mut entry.fields, node);
    }
    let mut object = before.clone();
    merge(&mut object.0, &configuration.0, node);
    let own = of_object(&configuration.0, node).covered(writer.covers);
    let at = entries.0.iter().position(|entry| entry.is_of(writer, true));
    let last = at.map(|at| entries.0.swap_remove(at));
    let pruned = pruned(&mut object, node, last.as_ref(), &own, &mut entries, writer);
    let found = compare(&before.0, &object.0, node, writer.covers, false);
    let found = Comparisons::of(&entries, before, &object, found, writer, false);
    let conflicts = entries.0.iter().filter_map(|entry| Conflict::of(entry, &found.seen_by(entry)?.changed)).collect();
    found.take(&mut entries);
    pruned.swept(&mut object.0, node);
    // who applies what is there already changes nothing, and has the time of his last change
    let changed = object != *before;
    let time = if changed { writer.time.to_owned() } else { last.map(|last| last.time).unwrap_or_default() };
    entries.0.push(Entry { time, ..Entry::new(writer, true, own.stripped()) });
    Attempt { object, entries, conflicts }
}

/// Takes out of a merged object what its applier had and no longer applies.
fn pruned(object: &mut Object, node: &Node, last: Option<&Entry>, own: &FieldSet, entries: &mut Entries, writer: &Writer<'_>) -> Pruned {
    let Some(last) = last.filter(|last| last.api_version != writer.api_version || !own.view().has_all(last.fields.view())) else { return Pruned::nothing() };
    entries.0.push(Entry::new(writer, true, own.clone()));
    let pruned = match writer.forms.form(object, &last.api_version) {
        Form::Gone => Pruned::nothing(),
        Form::Is(mut other, node) if last.api_version != writer.api_version => {
            prune(&mut other, node, last, entries, writer).swept(&mut other.0, node);
            if let Form::Is(back, _) = writer.forms.form(&other, writer.api_version) {
                *object = back;
            }
            Pruned::nothing()
        }
        _ => prune(object, node, last, entries, writer),
    };
    entries.0.pop();
    pruned
}
