//! Which objects a list or watch selects. For a watch it also tells how a change looks to the watcher: an object that no longer matches is shown as deleted.
use crate::node_name::{FIELD, bound_to};
use crate::store::RecordedChange;
use model::selector::{FieldSelector, LabelSelector};
use model::{ApiError, Kind, Object, Stored};
use state_client::{Event, Options};
use std::sync::Arc;

/// A label selector and a field selector, and what the reader may see of that.
#[derive(Clone, Debug)]
pub struct Selection {
    labels: LabelSelector,
    fields: FieldSelector,
    /// Only pods that are bound to this node.
    node: Option<String>,
}

impl Selection {
    /// From a request's parameters.
    ///
    /// # Errors
    /// 400 for a selector that doesn't parse or names a field that can't be selected.
    pub fn parse(kind: &Kind, options: &Options) -> Result<Self, ApiError> {
        Ok(Self { labels: LabelSelector::parse(&options.label_selector)?, fields: FieldSelector::parse(&options.field_selector, kind)?, node: None })
    }

    /// The same, for one who sees of pods only those that are bound to `node`, whatever else is selected.
    #[must_use]
    pub fn limited(self, node: Option<String>) -> Self {
        let node = node.filter(|node| self.exact(FIELD) != Some(node));
        Self { node, ..self }
    }

    /// Whether it selects everything.
    pub fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty() && self.node.is_none()
    }

    /// The value that the field selector demands of a field.
    pub fn exact(&self, field: &str) -> Option<&str> {
        self.fields.exact(field)
    }

    /// Whether it selects this object.
    pub fn matches(&self, object: &Object) -> bool {
        (self.labels.is_empty() || self.labels.matches(object.labels()))
            && (self.fields.is_empty() || self.fields.matches(object))
            && self.node.as_ref().is_none_or(|node| bound_to(object, node))
    }

    /// Whether it selects this object, of which as little as possible is parsed.
    pub fn selects(&self, stored: &Stored) -> bool {
        self.is_everything() || stored.read(|object| self.matches(object))
    }

    /// A change as a watcher with this selection sees it: an object that begins to match is new to them, one that no longer matches is gone.
    pub fn event(&self, change: &RecordedChange) -> Option<Event> {
        let before = change.old.as_ref().is_some_and(|old| self.selects(old));
        let now = !change.deleted && self.selects(&change.new);
        match (before, now) {
            (false, false) => None,
            (false, true) => Some(Event::Added(change.new.clone())),
            (true, true) => Some(Event::Modified(change.new.clone())),
            (true, false) if change.deleted => Some(Event::Deleted(change.new.clone())),
            (true, false) => Some(Event::Deleted(left(change))),
        }
    }
}

/// An object that left a selection: as it was when it still matched, at the revision at which it left, as Kubernetes shows it.
fn left(change: &RecordedChange) -> Arc<Stored> {
    let Some(old) = &change.old else { return change.new.clone() };
    let encoded = old.read(Stored::encode);
    encoded.and_then(|json| Stored::decode(old.key.clone(), change.revision, &json)).map_or_else(|_| old.clone(), Arc::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Key, kinds};
    use serde_json::json;

    fn stored(revision: u64, tier: &str, node: &str) -> Arc<Stored> {
        let object = json!({"metadata": {"name": "p", "labels": {"tier": tier}, "resourceVersion": revision.to_string()}, "spec": {"nodeName": node}});
        Arc::new(Stored::from_object(Key::new("", "pods", "", "p"), Object::from_value(object).unwrap()).unwrap())
    }

    #[test]
    fn changes_as_a_selection_sees_them() {
        let kinds = kinds::builtin();
        let kind = kinds.resource("", "pods").unwrap();
        let (front, back, elsewhere) = (stored(1, "front", "n1"), stored(2, "back", "n1"), stored(2, "front", "n2"));
        let cases = [
            (None, &front, false, "added 1"),
            (None, &back, false, "nothing"),
            (Some(&front), &front, false, "modified 1"),
            (Some(&back), &front, false, "added 1"),
            (Some(&front), &back, false, "deleted front n1 2"),
            (Some(&front), &elsewhere, false, "deleted front n1 2"),
            (Some(&back), &back, false, "nothing"),
            (Some(&front), &front, true, "deleted front n1 1"),
            (Some(&back), &back, true, "nothing"),
        ];
        let options = Options { label_selector: "tier=front".into(), field_selector: "spec.nodeName=n1".into(), ..Options::default() };
        let selection = Selection::parse(kind, &options).unwrap();
        for (old, new, deleted, want) in cases {
            let change = RecordedChange { old: old.cloned(), new: new.clone(), deleted, revision: new.revision };
            let got = match selection.event(&change) {
                None => "nothing".to_owned(),
                Some(Event::Added(o)) => format!("added {}", o.revision),
                Some(Event::Modified(o)) => format!("modified {}", o.revision),
                Some(Event::Deleted(o)) => format!("deleted {} {} {}", o.object().label("tier").unwrap(), o.object().str_at(&["spec", "nodeName"]), o.revision),
                Some(other) => panic!("{other:?}"),
            };
            assert_eq!(got, want, "{old:?} {new:?} {deleted}");
        }
    }
}
