//! Strategic merge patch: a merge patch that merges lists by key, with directives.
//!
//! Directives: `$patch: replace|delete|merge` in a map or in an item of a list, `$retainKeys` in a map,
//! `$deleteFromPrimitiveList/<field>` and `$setElementOrder/<field>` beside a list.
use super::unprocessable;
use crate::error::ApiError;
use crate::object::Object;
use crate::schema::{self, Node};
use serde_json::{Map, Value};

const PATCH: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const REMOVE: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";

/// Applies a strategic merge patch to an object whose schema is named `schema` (`io.k8s.api.core.v1.Pod`).
///
/// # Errors
/// 400 when the patch is no JSON object or a directive is malformed, 422 when an item lacks the merge key, 500 when the schema isn't known.
pub fn apply_strategic(object: &Object, patch: &[u8], schema: &str) -> Result<Object, ApiError> {
    let patch: Value = serde_json::from_slice(patch).map_err(|e| ApiError::bad_request(format!("error decoding patch: {e}")))?;
    let Value::Object(patch) = patch else { return Err(ApiError::bad_request("error decoding patch: a strategic merge patch must be a JSON object")) };
    let node = schema::definition(schema).ok_or_else(|| ApiError::internal(format!("no schema {schema}")))?;
    let mut map = object.0.clone();
    merge_map(&mut map, patch, Place::of(Some(node)))?;
    Ok(Object(map))
}

/// Where in the schema a value is; without a node nothing is known of it.
#[derive(Clone, Copy)]
struct Place<'a>(Option<&'a Node>);

impl<'a> Place<'a> {
    fn of(node: Option<&'a Node>) -> Self {
        Self(node.map(|node| node.resolve().1))
    }
    fn field(self, key: &str) -> Self {
        Self::of(self.0.and_then(|n| n.properties.get(key).or(n.values.as_deref())))
    }
    fn item(self) -> Self {
        Self::of(self.0.and_then(|n| n.items.as_deref()))
    }
    /// By what the items of the list in this field are told apart.
    fn key(self, field: &str) -> Option<&'a str> {
        self.list(field)?.patch_key.as_deref()
    }
    /// The list in this field, where patches merge it.
    fn list(self, field: &str) -> Option<&'a Node> {
        self.0.and_then(|n| n.properties.get(field)).filter(|n| n.patch_merges())
    }
}

fn malformed(what: &str) -> ApiError {
    ApiError::bad_request(format!("invalid strategic merge patch format: {what}"))
}

/// What a map's own `$patch` says; the directive is taken out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Directive {
    Merge,
    Replace,
    Delete,
}

fn directive(map: &mut Map<String, Value>) -> Result<Directive, ApiError> {
    match map.remove(PATCH) {
        None => Ok(Directive::Merge),
        Some(Value::String(text)) => match text.as_str() {
            "merge" => Ok(Directive::Merge),
            "replace" => Ok(Directive::Replace),
            "delete" => Ok(Directive::Delete),
            other => Err(malformed(&format!("unknown patch type found: {other}"))),
        },
        Some(other) => Err(malformed(&format!("unknown patch type found: {other}"))),
    }
}

fn merge_map(target: &mut Map<String, Value>, mut patch: Map<String, Value>, place: Place<'_>) -> Result<(), ApiError> {
    match directive(&mut patch)? {
        Directive::Replace => {
            *target = as_new(patch)?;
            return Ok(());
        }
        Directive::Delete => {
            target.clear();
            return Ok(());
        }
        Directive::Merge => {}
    }
    retain_keys(target, &mut patch)?;
    let removals = take_beside(&mut patch, REMOVE)?;
    let orders = take_beside(&mut patch, ORDER)?;
    for (key, removed) in &removals {
        if let Some(Value::Array(items)) = target.get_mut(key) {
            items.retain(|item| !removed.contains(item));
        }
    }
    let list_keys = |key: &str| place.key(key);
    let before: Vec<Vec<Value>> =
        orders.iter().map(|(key, _)| target.get(key).and_then(Value::as_array).map_or_else(Vec::new, |l| ids(l, list_keys(key)))).collect();
    for (key, change) in patch {
        merge_field(target, key, change, place)?;
    }
    for ((key, order), before) in orders.iter().zip(before) {
        if let Some(Value::Array(items)) = target.get_mut(key) {
            arrange(items, &ids(order, list_keys(key)), &before, list_keys(key));
        }
    }
    Ok(())
}

fn merge_field(target: &mut Map<String, Value>, key: String, change: Value, place: Place<'_>) -> Result<(), ApiError> {
    match (target.get_mut(&key), change) {
        (_, Value::Null) => {
            target.remove(&key);
        }
        (Some(Value::Object(old)), Value::Object(new)) => merge_map(old, new, place.field(&key))?,
        (Some(Value::Array(old)), Value::Array(new)) => match place.list(&key) {
            Some(list) => merge_list(old, new, list.patch_key.as_deref(), place.field(&key))?,
            None => *old = clean_list(new)?,
        },
        (_, new) => {
            if let Some(value) = clean(new)? {
                target.insert(key, value);
            }
        }
    }
    Ok(())
}

/// Drops the fields that `$retainKeys` doesn't list. What the patch sets must be listed.
fn retain_keys(target: &mut Map<String, Value>, patch: &mut Map<String, Value>) -> Result<(), ApiError> {
    let Some(retained) = patch.remove(RETAIN) else { return Ok(()) };
    let Value::Array(retained) = retained else { return Err(malformed("the value of $retainKeys must be a list")) };
    let listed = |key: &String| retained.iter().any(|r| r.as_str() == Some(key));
    let beside = |key: &str| key.starts_with('$');
    if let Some((key, _)) = patch.iter().find(|(key, value)| !beside(key) && !value.is_null() && !listed(key)) {
        return Err(malformed(&format!("the field {key} is set but not in $retainKeys")));
    }
    target.retain(|key, _| listed(key));
    Ok(())
}

/// Takes the directives out that stand beside a list, by the list's field.
fn take_beside(patch: &mut Map<String, Value>, prefix: &str) -> Result<Vec<(String, Vec<Value>)>, ApiError> {
    let names: Vec<String> = patch.keys().filter(|k| k.starts_with(prefix)).cloned().collect();
    let mut all = Vec::new();
    for name in names {
        match patch.remove(&name) {
            Some(Value::Array(items)) => all.push((name.trim_start_matches(prefix).to_owned(), items)),
            Some(Value::Null) | None => {}
            Some(_) => return Err(malformed(&format!("the value of {name} must be a list"))),
        }
    }
    Ok(all)
}

fn merge_list(old: &mut Vec<Value>, new: Vec<Value>, key: Option<&str>, place: Place<'_>) -> Result<(), ApiError> {
    let (before, listed) = (ids(old, key), ids(&new, key));
    let Some(key) = key else {
        for item in new {
            if !old.contains(&item) {
                old.push(item);
            }
        }
        arrange(old, &listed, &before, key);
        return Ok(());
    };
    if new.iter().any(|item| item.get(PATCH).and_then(Value::as_str) == Some("replace")) {
        *old = new.into_iter().filter(|item| item.get(PATCH).is_none()).map(clean).filter_map(Result::transpose).collect::<Result<_, _>>()?;
        return Ok(());
    }
    for item in new {
        let Value::Object(mut item) = item else { return Err(unprocessable("patch", "a list that merges by key may hold maps only")) };
        let Some(id) = item.get(key).cloned() else {
            return Err(unprocessable("patch", format!("map: {} does not contain declared merge key: {key}", Value::Object(item))));
        };
        let found = old.iter_mut().find(|o| o.get(key) == Some(&id));
        match (item.get(PATCH).and_then(Value::as_str), found) {
            (Some("delete"), _) => old.retain(|o| o.get(key) != Some(&id)),
            (_, Some(Value::Object(existing))) => merge_map(existing, item, place.item())?,
            _ => {
                directive(&mut item)?;
                old.push(Value::Object(as_new(item)?));
            }
        }
    }
    arrange(old, &listed, &before, Some(key));
    Ok(())
}

/// A part of a patch where there is nothing to merge with: without directives and without removals.
fn clean(value: Value) -> Result<Option<Value>, ApiError> {
    match value {
        Value::Object(mut map) => match directive(&mut map)? {
            Directive::Delete => Ok(None),
            Directive::Merge | Directive::Replace => as_new(map).map(|m| Some(Value::Object(m))),
        },
        Value::Array(items) => clean_list(items).map(|l| Some(Value::Array(l))),
        Value::Null => Ok(None),
        scalar => Ok(Some(scalar)),
    }
}

fn clean_list(items: Vec<Value>) -> Result<Vec<Value>, ApiError> {
    let replacing = |item: &Value| item.get(PATCH).and_then(Value::as_str) == Some("replace") && item.as_object().is_some_and(|m| m.len() == 1);
    items.into_iter().filter(|item| !replacing(item)).map(clean).filter_map(Result::transpose).collect()
}

fn as_new(map: Map<String, Value>) -> Result<Map<String, Value>, ApiError> {
    let plain = map.into_iter().filter(|(key, _)| key != RETAIN && !key.starts_with(REMOVE) && !key.starts_with(ORDER));
    plain.filter_map(|(key, value)| clean(value).map(|v| v.map(|v| (key, v))).transpose()).collect()
}

/// What tells an item from the others of its list: the value of the list's key, or the item itself.
fn id(item: &Value, key: Option<&str>) -> Option<Value> {
    key.map_or_else(|| Some(item.clone()), |k| item.get(k).cloned())
}

fn ids(items: &[Value], key: Option<&str>) -> Vec<Value> {
    items.iter().filter_map(|item| id(item, key)).collect()
}

/// Puts the items that the patch lists into its order, and the others among them: each before the first listed item that it was before in the live
/// list (`before`). An item that is new is after none, so that it comes first. The rule is Kubernetes' of strategic merge patches.
fn arrange(items: &mut Vec<Value>, listed: &[Value], before: &[Value], key: Option<&str>) {
    let place = |of: &[Value], item: &Value| id(item, key).and_then(|id| of.iter().position(|o| *o == id));
    let (mut first, others): (Vec<Value>, Vec<Value>) = std::mem::take(items).into_iter().partition(|item| place(listed, item).is_some());
    first.sort_by_key(|item| place(listed, item));
    let mut first = first.into_iter().peekable();
    for other in others {
        let at = place(before, &other);
        while let Some(next) = first.next_if(|next| !matches!((at, place(before, next)), (Some(other), Some(next)) if other < next)) {
            items.push(next);
        }
        items.push(other);
    }
    items.extend(first);
}
