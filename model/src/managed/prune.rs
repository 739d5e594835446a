//! Takes out of an object what its applier no longer applies and nobody else owns.
use super::entries::Entries;
use super::of_object::of_object;
use super::remove::{remove, sweep};
use super::set::FieldSet;
use super::types::Type;
use crate::schema::Node;
use serde_json::{Map, Value};

/// What is taken out of a merged object: fields that its applier had (`last`), and that neither it nor anybody else owns now (`all`). With what is left empty
/// as `null`, until [`Pruned::swept`] takes it out as well: the comparison that follows tells them apart.
pub struct Pruned(Option<FieldSet>);

/// Takes them out.
pub fn prune(merged: &mut Map<String, Value>, node: &Node, last: &FieldSet, entries: &Entries) -> Pruned {
    let kind = Type::of(node);
    let owned = entries.0.iter().fold(FieldSet::default(), |all, entry| all.union(&entry.fields)).with_named(kind);
    let last = last.clone().with_named(kind);
    let whole = of_object(merged, node).with_named(kind);
    let rest = |removed: &FieldSet| {
        let mut pruned = merged.clone();
        remove(&mut pruned, node, removed.view());
        of_object(&pruned, node).with_named(kind)
    };
    // without what it had, whatever is in it; then again with what is owned of that
    let mut unowned = whole.clone().difference(&rest(&last).union(&owned));
    unowned = whole.difference(&rest(&unowned));
    let gone = unowned.intersection(&last);
    if gone.is_empty() {
        return Pruned(None);
    }
    remove(merged, node, gone.view());
    Pruned(Some(gone))
}

impl Pruned {
    /// Nothing was taken out.
    pub fn nothing() -> Self {
        Self(None)
    }

    /// Takes out of `merged` what was left empty.
    pub fn swept(self, merged: &mut Map<String, Value>, node: &Node) {
        if let Some(gone) = self.0 {
            sweep(merged, node, gone.view());
        }
    }
}
