//! What a list or watch selects, and how a change looks to somebody who sees only that.
use crate::store::Change;
use model::selector::{FieldSelector, LabelSelector};
use model::{ApiError, Kind, Object, Stored};
use state_client::{Event, Options};
use std::sync::Arc;

/// A label selector and a field selector.
#[derive(Clone, Debug)]
pub struct Selection {
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Selection {
    /// From a request's parameters.
    ///
    /// # Errors
    /// 400 for a selector that doesn't parse or names a field that can't be selected.
    pub fn parse(kind: &Kind, options: &Options) -> Result<Self, ApiError> {
        Ok(Self { labels: LabelSelector::parse(&options.label_selector)?, fields: FieldSelector::parse(&options.field_selector, kind)? })
    }

    /// Whether it selects everything.
    pub fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// The value that the field selector demands of a field.
    pub fn exact(&self, field: &str) -> Option<&str> {
        self.fields.exact(field)
    }

    /// Whether it selects this object.
    pub fn matches(&self, object: &Object) -> bool {
        (self.labels.is_empty() || self.labels.matches(object.labels())) && (self.fields.is_empty() || self.fields.matches(object))
    }

    fn selects(&self, stored: &Stored) -> bool {
        self.is_everything() || self.matches(stored.object())
    }

    /// A change as a watcher with this selection sees it: an object that begins to match is new to them, one that no longer matches is gone.
    pub fn event(&self, change: &Change) -> Option<Event> {
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
fn left(change: &Change) -> Arc<Stored> {
    let Some(old) = &change.old else { return change.new.clone() };
    let encoded = Stored::encode(old.object());
    encoded.and_then(|json| Stored::decode(old.key.clone(), change.revision, &json)).map_or_else(|_| old.clone(), Arc::new)
}
