//! What `kubectl apply` leaves in an annotation when it merges by itself, and how that becomes server-side apply and goes back.
use super::compare::compare;
use super::of_object::of_object;
use super::set::FieldSet;
use super::typed;
use super::writer::Writer;
use crate::object::Object;
use crate::schema::Node;
use serde_json::{Map, Value};

const LAST_APPLIED: [&str; 3] = ["metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"];
/// Most bytes of all annotations.
const SIZE_MAX: usize = 256 << 10;

/// The fields that were applied last and are as they were applied: `kubectl` may change them, whoever owns them. `None` where nothing was applied, or not in
/// this version.
pub fn still_there(live: &Object, node: &Node, writer: &Writer<'_>) -> Option<FieldSet> {
    let last = Object::from_json(live.str_at(&LAST_APPLIED).as_bytes()).ok()?;
    if last.kind().is_empty() || last.api_version() != writer.api_version || typed::check(&last, node).is_err() || typed::check(live, node).is_err() {
        return None;
    }
    let found = compare(&last.0, &live.0, node, |_| true, true);
    Some(of_object(&last.0, node).difference(&found.changed).difference(&found.removed))
}

/// Keeps the annotation current where there is one, so that `kubectl` can go back to merging by itself.
pub fn keep(object: &mut Object, configuration: &Object) {
    if object.str_at(&LAST_APPLIED).is_empty() {
        return;
    }
    let mut kept = configuration.clone();
    kept.remove(&LAST_APPLIED);
    object.set(&LAST_APPLIED, format!("{}\n", Value::Object(kept.0)));
    let size = |map: &Map<String, Value>| map.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum::<usize>();
    if object.at(&["metadata", "annotations"]).and_then(Value::as_object).is_some_and(|all| size(all) > SIZE_MAX) {
        object.remove(&LAST_APPLIED);
    }
}
