//! What an autoscaler scales: any object that has replicas, of a kind that has the subresource `scale`.
use super::spec::TargetRef;
use crate::runtime::{Item, Resource, View};
use model::Subresource;
use model::scale::Scaled;
use std::sync::Arc;

/// The target.
pub(super) struct Target<'v> {
    pub(super) item: &'v Arc<Item>,
    pub(super) scaled: Scaled,
}

/// Why there is no target.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoTarget {
    /// It isn't known yet whether there is one.
    Unseen,
    /// In the words of the API.
    Error(String),
}

/// Finds the object that `reference` names in a namespace.
///
/// # Errors
/// [`NoTarget`].
pub(super) fn find<'v>(view: &'v View, namespace: &str, reference: &TargetRef) -> Result<Target<'v>, NoTarget> {
    let (group, kind) = (reference.api_version.split_once('/').map_or("", |(group, _)| group), &reference.kind);
    if reference.api_version.matches('/').count() > 1 {
        return Err(NoTarget::Error(format!("unexpected GroupVersion string: {}", reference.api_version)));
    }
    let unknown = || NoTarget::Error(format!("no matches for kind {kind:?} in group {group:?}"));
    let row = view.kinds().kind(group, kind).ok_or_else(unknown)?;
    if !row.has(Subresource::SCALE) || !row.namespaced() {
        return Err(NoTarget::Error("the server could not find the requested resource".to_owned()));
    }
    let resource = Resource::of_kind(row);
    let item = view.get(&resource, namespace, &reference.name);
    let item = item.ok_or_else(|| match view.synced_at(&resource) {
        Some(_) => NoTarget::Error(format!("{resource} {:?} not found", reference.name)),
        None => NoTarget::Unseen,
    })?;
    Ok(Target { item, scaled: item.read(|object| model::scale::read(&row.scale, object)) })
}
