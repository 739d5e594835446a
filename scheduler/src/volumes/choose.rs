//! Which volumes a pod gets on a node.
use super::Volumes;
use super::choice::Choice;
use super::object::{Claim, ClaimKey, Volume};
use crate::node::Node;
use crate::pod::PodClass;
use crate::reason::Reason;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the pod gets on the node.
///
/// # Errors
/// All that keeps it from there.
pub fn choose(class: &PodClass, node: &Node, volumes: &Volumes) -> Result<Choice, Vec<Reason>> {
    let mut reasons = Vec::new();
    if let Err(reason) = bound(class, node, volumes) {
        reasons.push(reason);
    }
    match unbound(class, node, volumes) {
        Some(choice) if reasons.is_empty() => return Ok(choice),
        Some(_) => {}
        None => reasons.push(Reason::NoVolume),
    }
    reasons.sort_by_key(|r| *r == Reason::VolumeGone);
    Err(reasons)
}

/// Whether what claims are bound to can be reached from the node.
fn bound(class: &PodClass, node: &Node, volumes: &Volumes) -> Result<(), Reason> {
    for (_, claim) in volumes.claims_of(class).filter(|(_, c)| c.bound) {
        let volume = volumes.volumes.get(&claim.volume).ok_or(Reason::VolumeGone)?;
        if !volume.is_reached_from(&node.name, &node.info.labels) {
            return Err(Reason::VolumeAffinity);
        }
    }
    Ok(())
}

fn unbound(class: &PodClass, node: &Node, volumes: &Volumes) -> Option<Choice> {
    let mut claims: Vec<(ClaimKey, &Claim)> = volumes.claims_of(class).filter(|(_, c)| !c.bound && volumes.is_delayed(c)).collect();
    // the smallest first, so that it doesn't take a volume which only a greater one could not do without
    claims.sort_by_key(|(_, claim)| claim.wanted.size);
    let (mut choice, mut taken) = (Choice::default(), BTreeSet::new());
    for (key, claim) in claims {
        let selected = volumes.selected_node(&key, claim);
        if selected.as_ref().is_some_and(|selected| *selected != node.name) {
            return None;
        }
        let found = if selected.is_none() { best(&key, claim, node, volumes, &taken) } else { None };
        match found {
            Some(name) => {
                taken.insert(name.clone());
                choice.found.push((name, key));
            }
            None if can_be_made(claim, node, volumes) => choice.made.push(key),
            None => return None,
        }
    }
    Some(choice)
}

/// The volume that is meant for the claim, or else the smallest that is great enough.
fn best(key: &ClaimKey, claim: &Claim, node: &Node, volumes: &Volumes, taken: &BTreeSet<Arc<str>>) -> Option<Arc<str>> {
    let free = volumes.candidates(key, claim).filter(|(name, _)| !taken.contains(*name));
    let rank = |volume: &Volume| (volume.claim.is_none(), volume.size);
    // a volume that is meant for the claim and can't be reached from the node leaves it without one
    let (name, volume) = free.filter(|(_, v)| v.claim.is_some() || v.is_reached_from(&node.name, &node.info.labels)).min_by_key(|(_, v)| rank(v))?;
    volume.is_reached_from(&node.name, &node.info.labels).then(|| name.clone())
}

fn can_be_made(claim: &Claim, node: &Node, volumes: &Volumes) -> bool {
    volumes.classes.get(&claim.class).is_some_and(|class| class.has_provisioner() && class.reaches(&node.info.labels))
}
