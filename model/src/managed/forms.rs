//! Managers that write other versions of an object: what each owns is held in the version that it writes, and compared in it.
use super::compare::{Comparison, compare};
use super::entries::{Entries, Entry};
use super::writer::{Form, Writer};
use crate::object::Object;
use crate::schema::Node;
use std::collections::BTreeMap;

/// What a write did to an object, in each version that somebody writes.
pub struct Comparisons {
    /// In the version of the writer.
    pub own: Comparison,
    others: BTreeMap<String, Option<Comparison>>,
}

impl Comparisons {
    /// In the writer's version, which is the only one.
    pub fn alone(own: Comparison) -> Self {
        Self { own, others: BTreeMap::new() }
    }

    /// Compares two forms of an object in the versions of all entries; `own` is what was found in the writer's.
    pub fn of(entries: &Entries, old: &Object, new: &Object, own: Comparison, writer: &Writer<'_>, whole: bool) -> Self {
        let mut others = BTreeMap::new();
        for version in entries.0.iter().map(|entry| &entry.api_version).filter(|version| *version != writer.api_version) {
            if others.contains_key(version) {
                continue;
            }
            // nothing is nothing in each version
            let before = if old.0.is_empty() { None } else { Some(writer.forms.form(old, version)) };
            let found = match (before, writer.forms.form(new, version)) {
                (None, Form::Is(new, node)) => Some(compare(&Object::default().0, &new.0, node, writer.covers, whole)),
                (Some(Form::Is(old, _)), Form::Is(new, node)) => Some(compare(&old.0, &new.0, node, writer.covers, whole)),
                (Some(Form::Gone), _) | (_, Form::Gone) => None,
                _ => continue,
            };
            others.insert(version.clone(), found);
        }
        Self { own, others }
    }

    /// What was done in the version of an entry; `None` where that is gone.
    pub fn seen_by(&self, entry: &Entry) -> Option<&Comparison> {
        match self.others.get(&entry.api_version) {
            Some(other) => other.as_ref(),
            None => Some(&self.own),
        }
    }

    /// Takes what changed or is gone from those who own it, and entries of versions that are gone.
    pub fn take(&self, entries: &mut Entries) {
        entries.0.retain(|entry| self.seen_by(entry).is_some());
        for entry in &mut entries.0 {
            let Some(found) = self.seen_by(entry) else { continue };
            for gone in [&found.removed, &found.changed] {
                if entry.fields.meets(gone) {
                    entry.fields = std::mem::take(&mut entry.fields).difference(gone);
                }
            }
        }
    }
}

/// The schema of an entry's version: `node` is that of the writer's.
pub fn node_of<'f>(entry: &Entry, object: &Object, node: &'f Node, writer: &Writer<'f>) -> &'f Node {
    if entry.api_version == writer.api_version {
        return node;
    }
    match writer.forms.form(object, &entry.api_version) {
        Form::Is(_, other) => other,
        _ => node,
    }
}
