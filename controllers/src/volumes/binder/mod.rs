//! Binds claims to volumes, and says of both in which phase they are.
mod claims;
mod phase;
mod reclaim;
mod volumes;

use super::index::{BY_VOLUME, OPEN, claim_key_of, claims_of_pod, volumes_for};
use crate::runtime::{Controller, Input, Item, Moment, Output, Part, Plan, Resource, View, ViewChange};
use model::Key;
use model::storage::class;

/// Kubernetes' persistent volume controller.
pub struct Binder;

impl Controller for Binder {
    fn name(&self) -> &'static str {
        "persistentvolume-controller"
    }

    fn inputs(&self) -> Vec<Input> {
        vec![
            Input::itself(Resource::CLAIMS),
            Input::new(Resource::CLAIMS, volumes_of),
            Input::itself(Resource::VOLUMES),
            Input::new(Resource::VOLUMES, claims_of_volume),
            Input::new(Resource::STORAGE_CLASSES, claims_of_class),
            Input::new(Resource::PODS, waiting_claims),
        ]
    }

    fn outputs(&self) -> Vec<Output> {
        vec![
            Output::new(Resource::CLAIMS, Part::Portion, "volume and class"),
            Output::new(Resource::CLAIMS, Part::Status, "phase"),
            Output::new(Resource::VOLUMES, Part::Portion, "claim"),
            Output::new(Resource::VOLUMES, Part::Status, "phase"),
        ]
    }

    fn plan(&self, view: &View, key: &Key, at: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        let Some(item) = view.at(key) else { return plan };
        if Resource::CLAIMS.holds(key) {
            claims::plan(view, item, &mut plan);
        } else {
            volumes::plan(view, item, at.now, &mut plan);
        }
        plan
    }
}

/// The volumes that a changed claim concerns: the one that it names, and those that name it.
fn volumes_of(view: &View, change: ViewChange<'_>) -> Vec<Key> {
    let Some(claim) = change.item() else { return Vec::new() };
    let name = claim.object().str_at(&["spec", "volumeName"]);
    let named = (!name.is_empty()).then(|| Resource::VOLUMES.key("", name));
    named.into_iter().chain(volumes_for(view, claim)).collect()
}

/// The claims that a changed volume concerns: those that it names or named, those that name it, and where it has become free, those that it may suit.
fn claims_of_volume(view: &View, change: ViewChange<'_>) -> Vec<Key> {
    let mut keys: Vec<Key> = change.both().filter_map(claim_key_of).collect();
    let Some(volume) = change.item() else { return keys };
    keys.extend(view.with_field(&Resource::CLAIMS, BY_VOLUME, volume.name()).map(|claim| claim.key().clone()));
    let free = |item: &Item| claim_key_of(item).is_none() && item.object().str_at(&["status", "phase"]) == "Available";
    if change.new.is_some_and(free) {
        keys.extend(open_claims(view, class(volume.object())));
    }
    keys
}

fn open_claims<'a>(view: &'a View, class: &str) -> impl Iterator<Item = Key> + use<'a> {
    view.with_field(&Resource::CLAIMS, OPEN, class).map(|claim| claim.key().clone())
}

/// A class concerns the claims of it that aren't bound, and as the default those of none.
fn claims_of_class(view: &View, change: ViewChange<'_>) -> Vec<Key> {
    let names = change.item().into_iter().flat_map(|class| [class.name(), ""]);
    names.flat_map(|name| open_claims(view, name)).collect()
}

/// A pod that comes, or is bound to a node, is somebody for whom its claims may wait.
fn waiting_claims(view: &View, change: ViewChange<'_>) -> Vec<Key> {
    let node = |item: &Item| crate::pod::pod(item).node().to_owned();
    let same = change.old.zip(change.new).is_some_and(|(old, new)| old.uid() == new.uid() && node(old) == node(new));
    if same { Vec::new() } else { claims_of_pod(view, change) }
}
