//! Takes out of an object what its applier no longer applies and nobody else owns.
use super::entries::{Entries, Entry};
use super::of_object::of_object;
use super::remove::{remove, sweep};
use super::set::FieldSet;
use super::types::Type;
use super::writer::{Form, Writer};
use crate::object::Object;
use crate::schema::Node;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What is taken out of a merged object: fields that its applier had (`last`), and that neither it nor anybody else owns now (`all`). With what is left empty
/// as `null`, until [`Pruned::swept`] takes it out as well: the comparison that follows tells them apart.
pub struct Pruned(Option<FieldSet>);

/// Takes them out. The object is in the version of `last`.
pub fn prune(merged: &mut Object, node: &Node, last: &Entry, entries: &Entries, writer: &Writer<'_>) -> Pruned {
    let kind = Type::of(node);
    let fields = last.fields.clone().with_named(kind);
    let whole = of_object(&merged.0, node).with_named(kind);
    let mut pruned = merged.clone();
    remove(&mut pruned.0, node, fields.view());
    // without what it had, whatever is in it; then again with what is owned of that, in the version of each owner
    let mut owned: BTreeMap<&str, FieldSet> = BTreeMap::new();
    for entry in &entries.0 {
        let all = owned.entry(&entry.api_version).or_default();
        *all = std::mem::take(all).union(&entry.fields);
    }
    let mut own = owned.remove(last.api_version.as_str()).unwrap_or_default();
    owned.retain(|version, fields| {
        let unknown = matches!(writer.forms.form(merged, version), Form::Unknown);
        if unknown {
            own = std::mem::take(&mut own).union(fields);
        }
        !unknown
    });
    pruned = with_owned(merged, &pruned, node, &own);
    for (version, fields) in owned {
        let forms = (writer.forms.form(merged, version), writer.forms.form(&pruned, version));
        let (Form::Is(merged, node), Form::Is(other, _)) = forms else { continue };
        if let Form::Is(back, _) = writer.forms.form(&with_owned(&merged, &other, node, &fields), &last.api_version) {
            pruned = back;
        }
    }
    let gone = whole.difference(&of_object(&pruned.0, node).with_named(kind)).intersection(&fields);
    if gone.is_empty() {
        return Pruned(None);
    }
    remove(&mut merged.0, node, gone.view());
    Pruned(Some(gone))
}

/// What was taken out of `merged`, with what is owned of that.
fn with_owned(merged: &Object, pruned: &Object, node: &Node, owned: &FieldSet) -> Object {
    let kind = Type::of(node);
    let kept = of_object(&pruned.0, node).with_named(kind).union(&owned.clone().with_named(kind));
    let unowned = of_object(&merged.0, node).with_named(kind).difference(&kept);
    let mut out = merged.clone();
    remove(&mut out.0, node, unowned.view());
    out
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
