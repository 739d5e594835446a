//! Brings sets to the schema of today: a map or a list that has become one value is owned as one.
use super::set::FieldSet;
use super::types::{Grain, Type};
use crate::schema::Node;

/// Brings a set to the schema.
pub fn reconcile(set: &mut FieldSet, node: &Node) {
    let kind = Type::of(node);
    if !fits(set, kind) {
        *set = reconciled(std::mem::take(set), kind);
    }
}

/// What the schema says of an element.
fn below<'n>(kind: Type<'n>, element: &str) -> Option<Type<'n>> {
    match (element.strip_prefix("f:"), kind.declared()) {
        // nothing is known below
        (Some(_), Grain::Map) if kind.is_free() => None,
        (Some(field), Grain::Map) => Some(kind.field(field).0).filter(|inner| !matches!(inner, Type::Undeclared)),
        (None, Grain::List(_)) => Some(kind.items()),
        _ => None,
    }
}

/// Whether values are one for their owners, by a schema that says so.
fn is_whole(kind: Type<'_>) -> bool {
    match kind {
        Type::Opaque => true,
        Type::Known(known) => known.is_whole(),
        _ => false,
    }
}

fn fits(set: &FieldSet, kind: Type<'_>) -> bool {
    set.view().elements().all(|(element, inside)| inside_fits(element, inside, kind))
}

fn inside_fits(element: &str, inside: super::set::FieldSetRef<'_>, kind: Type<'_>) -> bool {
    let Some(inner) = below(kind, element).filter(|_| !inside.is_empty()) else { return true };
    !is_whole(inner) && inside.elements().all(|(element, inside)| inside_fits(element, inside, inner))
}

fn reconciled(set: FieldSet, kind: Type<'_>) -> FieldSet {
    set.map(|element, inside| match below(kind, element) {
        Some(inner) if is_whole(inner) => FieldSet::default(),
        Some(inner) => reconciled(inside, inner),
        None => inside,
    })
}
