//! By what volumes and claims are looked up.
use crate::pod::{self, claim_key};
use crate::runtime::view::FieldIndex;
use crate::runtime::{Item, Resource, View, ViewChange};
use model::storage::{self, BIND_COMPLETED};
use model::{Key, Object};
use std::sync::Arc;

/// The index of claims by the volume that they name.
pub const BY_VOLUME: &str = "spec.volumeName";
/// The index by class of claims that aren't bound; `""` of those without a class.
pub const OPEN: &str = "open";
/// The index of volumes by the claim that they name.
pub const BY_CLAIM: &str = "spec.claimRef";
/// The index by class of volumes that name no claim.
pub const FREE: &str = "free";

/// The fields that claims are looked up by.
pub const CLAIM_FIELDS: [FieldIndex; 2] = [
    (BY_VOLUME, |item, index| text(item.object().str_at(&["spec", "volumeName"])).into_iter().for_each(index)),
    (OPEN, |item, index| {
        if item.object().annotation(BIND_COMPLETED).is_none() {
            index(storage::class(item.object()).into());
        }
    }),
];

/// The fields that volumes are looked up by.
pub const VOLUME_FIELDS: [FieldIndex; 2] = [
    (BY_CLAIM, |item, index| claim_of(item.object()).map(|(namespace, name)| claim_key(namespace, name)).into_iter().for_each(index)),
    (FREE, |item, index| {
        if claim_of(item.object()).is_none() {
            index(storage::class(item.object()).into());
        }
    }),
];

fn text(value: &str) -> Option<Arc<str>> {
    (!value.is_empty()).then(|| value.into())
}

/// Namespace and name of the claim that a volume names.
pub fn claim_of(volume: &Object) -> Option<(&str, &str)> {
    volume.at(&["spec", "claimRef"]).filter(|claim| !claim.is_null())?;
    Some((volume.str_at(&["spec", "claimRef", "namespace"]), volume.str_at(&["spec", "claimRef", "name"])))
}

/// The key of the claim that a volume names.
pub fn claim_key_of(volume: &Item) -> Option<Key> {
    claim_of(volume.object()).map(|(namespace, name)| Resource::CLAIMS.key(namespace, name))
}

/// The claim that a volume names, if it is the very one.
pub fn claim<'a>(view: &'a View, volume: &Item) -> Option<&'a Arc<Item>> {
    let (namespace, name) = claim_of(volume.object())?;
    view.get(&Resource::CLAIMS, namespace, name).filter(|claim| claim.uid() == volume.object().str_at(&["spec", "claimRef", "uid"]))
}

/// The volume that a claim names.
pub fn volume<'a>(view: &'a View, claim: &Item) -> Option<&'a Arc<Item>> {
    view.get(&Resource::VOLUMES, "", claim.object().str_at(&["spec", "volumeName"]))
}

/// The volumes that name a claim.
pub fn volumes_for(view: &View, claim: &Item) -> Vec<Key> {
    let by = view.with_field(&Resource::VOLUMES, BY_CLAIM, &claim_key(claim.namespace(), claim.name()));
    by.map(|volume| volume.key().clone()).collect()
}

/// The claims that a changed pod means, or meant.
pub fn claims_of_pod(_: &View, change: ViewChange<'_>) -> Vec<Key> {
    let keys = |item: &Item| -> Vec<Key> { pod::pod(item).claims(item.name()).map(|claim| Resource::CLAIMS.key(item.namespace(), &claim)).collect() };
    let mut all: Vec<Key> = change.both().flat_map(keys).collect();
    all.dedup();
    all
}

/// The pods whose volumes mean a claim.
pub fn pods_of<'a>(view: &'a View, claim: &Item) -> impl Iterator<Item = &'a Arc<Item>> + use<'a> {
    view.with_field(&Resource::PODS, pod::BY_CLAIM, &claim_key(claim.namespace(), claim.name()))
}
