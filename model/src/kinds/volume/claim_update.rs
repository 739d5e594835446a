//! What of a claim may change: it gets its volume once, and one that has a volume may ask for more.
use crate::error::Cause;
use crate::kinds::fields::Checks;
use crate::object::Object;
use crate::quantity::Quantity;
use serde_json::{Map, Value};

/// Named the class before there was a field for it.
const CLASS: &str = "volume.beta.kubernetes.io/storage-class";
const STORAGE: &str = "spec.resources.requests.storage";
const ATTRIBUTES: &str = "spec.volumeAttributesClassName";

/// What is refused of a change from `old` to `new`.
pub(super) fn validate(new: &Object, old: &Object) -> Vec<Cause> {
    let mut checks = Checks::default();
    let spec = |claim: &Object| claim.at(&["spec"]).and_then(Value::as_object).cloned().unwrap_or_default();
    let (mut after, mut before) = (spec(new), spec(old));
    let (mode, old_mode) = (after.get("volumeMode").cloned(), before.get("volumeMode").cloned());
    if before.get("volumeName").and_then(Value::as_str).unwrap_or_default().is_empty() {
        take(&mut before, &after, "volumeName");
    }
    class(&mut checks, (new, &mut after), (old, &before));
    if new.str_at(&["status", "phase"]) == "Bound" {
        let size = before.get("resources").and_then(|r| r.pointer("/requests/storage")).cloned();
        if let (Some(size), Some(Value::Object(requests))) = (size, after.get_mut("resources").and_then(|r| r.get_mut("requests"))) {
            requests.insert("storage".to_owned(), size);
        }
        take(&mut after, &before, "volumeAttributesClassName");
    }
    if plain(Value::Object(after)) != plain(Value::Object(before)) {
        let why = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        checks.add(Cause::forbidden("spec", why));
    }
    let amount = |claim: &Object, path: &[&str]| claim.at(path).and_then(|a| Quantity::from_json(a).ok()).unwrap_or(Quantity::ZERO);
    let size = |claim: &Object| amount(claim, &["spec", "resources", "requests", "storage"]);
    // a claim that cannot grow as far as it asked may ask for less, but not for less than it has
    if size(new) < size(old) && size(new) <= amount(old, &["status", "capacity", "storage"]) {
        checks.add(Cause::forbidden(STORAGE, "field can not be less than status.capacity"));
    }
    checks.immutable("volumeMode", mode.as_ref(), old_mode.as_ref());
    attributes(&mut checks, new, old);
    checks.0
}

/// Makes a field of one map what it is in another.
fn take(into: &mut Map<String, Value>, from: &Map<String, Value>, field: &str) {
    match from.get(field) {
        Some(value) => into.insert(field.to_owned(), value.clone()),
        None => into.remove(field),
    };
}

/// A class may be named where none was, and in the field where it was in the annotation; it doesn't change.
fn class(checks: &mut Checks, (new, after): (&Object, &mut Map<String, Value>), (old, before): (&Object, &Map<String, Value>)) {
    let name = |spec: &Map<String, Value>| spec.get("storageClassName").and_then(Value::as_str).map(str::to_owned);
    let (annotated, was_annotated) = (new.annotation(CLASS), old.annotation(CLASS));
    let (Some(named), true) = (name(after), name(before).is_none()) else { return annotation(checks, annotated, was_annotated) };
    let moved = was_annotated == Some(&*named) && annotated.is_none_or(|class| class == named);
    if !moved {
        annotation(checks, annotated, was_annotated);
    }
    if was_annotated.is_none_or(|class| class == named) {
        after.remove("storageClassName");
    }
}

fn annotation(checks: &mut Checks, new: Option<&str>, old: Option<&str>) {
    let (new, old) = (new.unwrap_or_default(), old.unwrap_or_default());
    if new != old {
        checks.add(Cause::invalid(format_args!("metadata.annotations.{CLASS}"), &new.into(), "field is immutable"));
    }
}

/// Without what is empty, and with quantities in one form.
fn plain(mut spec: Value) -> Value {
    for part in ["requests", "limits"] {
        if let Some(Value::Object(amounts)) = spec.get_mut("resources").and_then(|r| r.get_mut(part)) {
            for value in amounts.values_mut() {
                let amount = Quantity::from_json(value).map(|a| format!("{}.{}", a.value(), a.milli()));
                amount.into_iter().for_each(|amount| *value = amount.into());
            }
        }
    }
    without_empty(spec)
}

fn without_empty(value: Value) -> Value {
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    match value {
        Value::Object(map) => {
            let fields = map.into_iter().map(|(key, value)| (key, without_empty(value)));
            Value::Object(fields.filter(|(key, value)| !(empty(value) || key == "volumeName" && value == "")).collect())
        }
        other => other,
    }
}

/// Attributes that were applied can be others, not none.
fn attributes(checks: &mut Checks, new: &Object, old: &Object) {
    let class = |claim: &Object| claim.at(&["spec", "volumeAttributesClassName"]).cloned();
    if old.at(&["status", "currentVolumeAttributesClassName"]).is_none() || class(new) == class(old) {
        return;
    }
    let what = match class(new) {
        None => "nil",
        Some(Value::String(name)) if name.is_empty() => "empty string",
        Some(_) => return,
    };
    checks.add(Cause::forbidden(ATTRIBUTES, format!("update to {what} is forbidden when status.currentVolumeAttributesClassName is not nil")));
}
