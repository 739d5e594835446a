//! What differs between an object before and after.
use super::key;
use super::set::{FieldSet, Part};
use super::types::{Grain, Type};
use crate::schema::Node;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What a write did to an object.
#[derive(Debug, Default, PartialEq)]
pub struct Comparison {
    /// Fields that are new or have another value.
    pub changed: FieldSet,
    /// Fields that are no longer there.
    pub removed: FieldSet,
}

/// Compares two forms of an object, of the fields that `covers` takes. `whole` says that the new one is a whole object, whose types hold what isn't set, rather
/// than one that a configuration was merged into.
pub fn compare(old: &Map<String, Value>, new: &Map<String, Value>, node: &Node, covers: fn(&str) -> bool, whole: bool) -> Comparison {
    let mut out = Comparison::default();
    Walk { whole }.fields((Some(old), Some(new)), Type::of(node), &mut out, &covers);
    Comparison { changed: out.changed.stripped(), removed: out.removed.stripped() }
}

/// What differs of a value: itself, and what is below it.
#[derive(Default)]
struct Difference {
    changed: Part,
    removed: Part,
}

impl Difference {
    fn of(below: Comparison) -> Self {
        Self { changed: Part { member: false, below: below.changed }, removed: Part { member: false, below: below.removed } }
    }

    /// The difference of a value that is compared as one.
    fn whole(old: Option<&Value>, new: Option<&Value>) -> Self {
        let mut out = Self::default();
        match (old, new) {
            (Some(old), Some(new)) => out.changed.member = old != new,
            (None, Some(_)) => out.changed.member = true,
            (Some(_), None) => out.removed.member = true,
            (None, None) => {}
        }
        out
    }

    /// The difference of a value that is nothing but there.
    fn itself(changed: bool) -> Self {
        let part = |member: bool| Part { member, below: FieldSet::default() };
        Self { changed: part(changed), removed: part(!changed) }
    }

    fn and(self, other: Self) -> Self {
        Self { changed: self.changed.and(&other.changed), removed: self.removed.and(&other.removed) }
    }
}

impl Comparison {
    fn put(&mut self, field: &str, difference: Difference) {
        if !difference.changed.is_empty() || !difference.removed.is_empty() {
            self.put_element(format!("f:{field}"), difference);
        }
    }

    fn put_element(&mut self, element: String, difference: Difference) {
        if !difference.removed.is_empty() {
            self.removed.put(element.clone(), difference.removed);
        }
        self.changed.put(element, difference.changed);
    }
}

fn differ(one: Grain<'_>, other: Grain<'_>) -> bool {
    std::mem::discriminant(&one) != std::mem::discriminant(&other)
}

fn map(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object)
}

fn listed(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A value before and after; `None` where it isn't there.
type Sides<'v, T> = (Option<&'v T>, Option<&'v T>);

struct Walk {
    whole: bool,
}

impl Walk {
    fn values(&self, (old, new): Sides<'_, Value>, kind: Type<'_>) -> Difference {
        match (old, new) {
            (Some(old), Some(new)) if old == new => Difference::default(),
            (Some(before), Some(after)) if !before.is_null() && !after.is_null() && differ(kind.grain(before), kind.grain(after)) => {
                // a value of another kind: what was below one is gone, and what is below the other is new
                self.taken((old, new), kind.grain(before), kind).and(self.taken((old, new), kind.grain(after), kind))
            }
            (Some(value), Some(Value::Null) | None) | (_, Some(value)) => self.taken((old, new), kind.grain(value), kind),
            (None, None) => Difference::default(),
        }
    }

    /// Compares values as `grain` takes them apart; a value of another kind is none.
    fn taken(&self, (old, new): Sides<'_, Value>, grain: Grain<'_>, kind: Type<'_>) -> Difference {
        let mut below = Comparison::default();
        match grain {
            Grain::Map if map(old).is_some_and(|m| !m.is_empty()) || map(new).is_some_and(|m| !m.is_empty()) => {
                self.fields((map(old), map(new)), kind, &mut below, &|_| true);
            }
            Grain::List(list) if !listed(old).is_empty() || !listed(new).is_empty() => self.items((listed(old), listed(new)), list, kind, &mut below),
            _ => return Difference::whole(old, new),
        }
        let mut out = Difference::of(below);
        out.changed.member |= old.is_none();
        out.removed.member |= new.is_none();
        out
    }

    fn fields(&self, (old, new): Sides<'_, Map<String, Value>>, kind: Type<'_>, out: &mut Comparison, wanted: &dyn Fn(&str) -> bool) {
        let get = |map: Option<&'_ Map<String, Value>>, field: &str| map.is_some_and(|map| map.contains_key(field));
        let gone = old.into_iter().flatten().filter(|(field, _)| !get(new, field)).map(|(field, _)| field.as_str());
        // what a type always has is there with its map, and isn't new in one that was there
        let held = kind.zeros().filter(|_| new.is_none() || (old.is_none() && self.whole)).filter(|field| !get(old, field) && !get(new, field));
        for field in new.into_iter().flatten().map(|(field, _)| field.as_str()).chain(gone).chain(held).filter(|field| wanted(field)) {
            let before = old.and_then(|map| map.get(field).or_else(|| kind.zero(field)));
            let after = new.and_then(|map| map.get(field).or_else(|| kind.zero(field).filter(|_| self.whole || old.is_some())));
            out.put(field, self.values((before, after), kind.field(field).0));
        }
    }

    fn items(&self, (old, new): (&[Value], &[Value]), list: &Node, kind: Type<'_>, out: &mut Comparison) {
        let mut found: BTreeMap<String, [Vec<&Value>; 2]> = BTreeMap::new();
        for (element, item) in key::elements(old, list) {
            found.entry(element).or_default()[0].push(item);
        }
        for (element, item) in key::elements(new, list) {
            found.entry(element).or_default()[1].push(item);
        }
        for (element, [old, new]) in found {
            let (before, after) = (old.first().copied(), new.first().copied());
            let difference = match (old.len(), new.len()) {
                (0 | 1, 0 | 1) => self.values((before, after), kind.items()),
                // items that are there several times are one value
                (2.., 2..) if old == new => continue,
                (2.., 2..) => Difference::itself(true),
                (2.., _) => self.values((None, after), kind.items()).and(Difference::itself(false)),
                _ => self.values((before, None), kind.items()).and(Difference::itself(true)),
            };
            out.put_element(element, difference);
        }
    }
}
