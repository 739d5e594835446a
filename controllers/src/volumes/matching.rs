//! Which volume suits a claim best.
use super::index::{BY_CLAIM, FREE};
use crate::pod::claim_key;
use crate::runtime::{Item, Resource, View};
use model::quantity::Quantity;
use model::selector::LabelSelector;
use model::storage::{access_modes, capacity, class, is_for, mode, requested};
use model::{Object, hash};
use serde_json::json;
use std::sync::Arc;

/// The class of attributes that a volume or a claim asks for.
fn attributes(object: &Object) -> &str {
    object.str_at(&["spec", "volumeAttributesClassName"])
}

fn offers(volume: &Object, claim: &Object) -> bool {
    access_modes(claim).all(|mode| access_modes(volume).any(|offered| offered == mode))
}

/// Whether a volume has what a claim asks for, of whatever class it is and whoever it is for.
fn suits(volume: &Item, claim: &Object) -> bool {
    let object = volume.object();
    !volume.deleting()
        && capacity(object) >= requested(claim)
        && mode(object) == mode(claim)
        && attributes(object) == attributes(claim)
        && offers(object, claim)
}

/// The volume that suits an unbound claim best: one that is for it already; otherwise, unless the scheduler chooses (`delayed`), the one with the fewest
/// modes and then the least size beyond what is asked for. Of equal ones different claims find different ones.
pub fn best<'a>(view: &'a View, claim: &Item, delayed: bool) -> Option<&'a Arc<Item>> {
    let wanted = claim.object();
    let mut named = view.with_field(&Resource::VOLUMES, BY_CLAIM, &claim_key(claim.namespace(), claim.name()));
    if let Some(volume) = named.find(|volume| is_for(volume.object(), wanted) && suits(volume, wanted)) {
        return Some(volume);
    }
    if delayed {
        return None;
    }
    let selector = match wanted.at(&["spec", "selector"]).filter(|selector| !selector.is_null()) {
        Some(selector) => LabelSelector::from_json(selector).ok()?,
        None => LabelSelector::everything(),
    };
    let free = view
        .with_field(&Resource::VOLUMES, FREE, class(wanted))
        .filter(|volume| volume.object().str_at(&["status", "phase"]) == "Available" && selector.selects(|key| volume.label(key)) && suits(volume, wanted));
    let rank = |volume: &&Arc<Item>| -> (usize, Quantity, String) {
        let by_chance = hash::content_hash(&json!([claim.uid(), volume.name()]));
        (access_modes(volume.object()).count(), capacity(volume.object()), by_chance)
    };
    free.min_by_key(rank)
}

/// Why a volume that a claim names isn't for it.
///
/// # Errors
/// In Kubernetes' words.
pub fn satisfies(volume: &Item, claim: &Object) -> Result<(), String> {
    let object = volume.object();
    let rules = [
        (capacity(object).value() < requested(claim).value(), "requested PV is too small"),
        (class(object) != class(claim), "storageClassName does not match"),
        (attributes(object) != attributes(claim), "volumeAttributesClassName does not match"),
        (mode(object) != mode(claim), "incompatible volumeMode"),
        (!offers(object, claim), "incompatible accessMode"),
    ];
    if volume.deleting() {
        return Err(format!("the volume is marked for deletion {:?}", volume.name()));
    }
    rules.into_iter().find(|(broken, _)| *broken).map_or(Ok(()), |(_, why)| Err(why.to_owned()))
}
