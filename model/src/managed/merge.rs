//! Puts an applied configuration over an object, by the schema.
use super::key;
use super::types::{Grain, Type};
use crate::schema::Node;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet, VecDeque};

/// Merges what is applied into what is there. What is applied was checked before.
pub fn merge(into: &mut Map<String, Value>, applied: &Map<String, Value>, node: &Node) {
    fields(into, applied, Type::of(node));
}

fn fields(into: &mut Map<String, Value>, applied: &Map<String, Value>, kind: Type<'_>) {
    for (field, value) in applied {
        match into.get_mut(field) {
            Some(present) => values(present, value, kind.field(field).0),
            None => _ = into.insert(field.clone(), value.clone()),
        }
    }
}

fn values(into: &mut Value, applied: &Value, kind: Type<'_>) {
    match (kind.grain(applied), &mut *into, applied) {
        (Grain::Map, Value::Object(into), Value::Object(applied)) if !into.is_empty() => fields(into, applied, kind),
        // nothing in place of a map or a list that has something leaves it as it is
        (Grain::Map, Value::Object(into), Value::Null) if !into.is_empty() => {}
        (Grain::List(_), Value::Array(into), Value::Null) if !into.is_empty() => {}
        (Grain::List(list), Value::Array(present), Value::Array(applied)) if !present.is_empty() => {
            let merged = items(std::mem::take(present), applied, list, kind);
            *into = Value::Array(merged);
        }
        _ => *into = applied.clone(),
    }
}

/// The items of two lists while they are merged.
struct Lists<'a> {
    kind: Type<'a>,
    /// The items that are there, in their order; those that can't be told from others have an element of their own.
    present: VecDeque<(String, Value)>,
    /// The first item of each element that is there once, as it was.
    single: HashMap<String, Value>,
    applied: HashSet<&'a str>,
    done: HashSet<&'a str>,
    out: Vec<Value>,
}

/// Merges lists. Items that only one of them has stay between the items that both have, in the order of what is applied; those that were there come first.
fn items(into: Vec<Value>, applied: &[Value], list: &Node, kind: Type<'_>) -> Vec<Value> {
    let applied: Vec<(String, &Value)> = key::elements(applied, list);
    let mut count: HashMap<String, usize> = HashMap::new();
    let present: VecDeque<(String, Value)> =
        into.into_iter().enumerate().map(|(i, item)| (key::element(&item, list).unwrap_or_else(|_| format!("{i}")), item)).collect();
    present.iter().for_each(|(element, _)| *count.entry(element.clone()).or_default() += 1);
    let names: HashSet<&str> = applied.iter().map(|(element, _)| element.as_str()).collect();
    let single = present.iter().filter(|(element, _)| count.get(element) == Some(&1) && names.contains(element.as_str())).cloned().collect();
    let mut shared: VecDeque<&str> = applied.iter().map(|(element, _)| element.as_str()).filter(|element| count.contains_key(*element)).collect();
    let mut lists = Lists { kind, present, single, applied: names, done: HashSet::new(), out: Vec::new() };
    let mut next = shared.pop_front();
    let mut rest = applied.iter().peekable();
    while !lists.present.is_empty() || rest.peek().is_some() {
        let wanted = rest.peek().map(|(element, _)| element.as_str());
        let meet = wanted.is_some() && lists.present.front().map(|(front, _)| front.as_str()) == wanted;
        if meet {
            lists.present.pop_front();
        } else if lists.take_present(wanted, next) {
            continue;
        }
        let Some((element, item)) = rest.next() else { continue };
        if meet || next == Some(element) {
            next = shared.pop_front();
        }
        lists.take_applied(element, item);
    }
    lists.out
}

impl<'a> Lists<'a> {
    /// Takes the next item that is there, unless it is the turn of what is applied. Whether it did something.
    fn take_present(&mut self, wanted: Option<&str>, next: Option<&str>) -> bool {
        let Some((element, _)) = self.present.front() else { return false };
        let shared = self.applied.contains(element.as_str());
        // an item that both have comes when its turn is there, or has come
        if shared && wanted.is_some() && next.is_some_and(|next| next != element) {
            self.present.pop_front();
            return true;
        }
        if !shared {
            self.out.extend(self.present.pop_front().map(|(_, item)| item));
            return true;
        }
        if self.done.contains(element.as_str()) {
            self.present.pop_front();
        }
        wanted.is_none()
    }

    fn take_applied(&mut self, element: &'a str, item: &Value) {
        self.done.insert(element);
        let merged = match self.single.remove(element) {
            Some(mut present) => {
                values(&mut present, item, self.kind.items());
                present
            }
            None => item.clone(),
        };
        self.out.push(merged);
    }
}
