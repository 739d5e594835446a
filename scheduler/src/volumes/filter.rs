//! Filters over a pod's claims.
use super::Volumes;
use super::choose::choose;
use crate::node::Node;
use crate::pod::PodClass;
use crate::reason::{Reason, Verdict};

/// Labels of volumes that say where they are, each with the newer label of nodes that means the same.
const ZONES: [(&str, &str); 4] = [
    ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
    ("topology.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("topology.kubernetes.io/region", "topology.kubernetes.io/region"),
];

/// The claims that the pod names are there.
pub fn missing(pod: &PodClass, volumes: &Volumes) -> Option<String> {
    let named = pod.claims.iter().filter(|used| used.made_for.is_none());
    let missing = named.map(|used| &used.name).find(|name| !volumes.claims.contains_key(&(pod.namespace.clone(), (*name).clone())))?;
    Some(format!("persistentvolumeclaim \"{missing}\" not found"))
}

/// The claims can be used, now or once the pod has a node.
pub fn unusable(pod: &PodClass, volumes: &Volumes) -> Option<String> {
    for used in &pod.claims {
        let name = &used.name;
        let Some(claim) = volumes.claims.get(&(pod.namespace.clone(), name.clone())) else {
            return Some(format!("waiting for ephemeral volume controller to create the persistentvolumeclaim \"{name}\""));
        };
        if claim.lost {
            return Some(format!("persistentvolumeclaim \"{name}\" bound to non-existent persistentvolume \"{}\"", claim.volume));
        }
        if claim.terminating {
            return Some(format!("persistentvolumeclaim \"{name}\" is being deleted"));
        }
        if let Some((_, owner)) = used.made_for.as_ref().filter(|(uid, _)| claim.controller.as_ref() != Some(uid)) {
            let namespace = &pod.namespace;
            return Some(format!("PVC {namespace}/{name} was not created for pod {namespace}/{owner} (pod is not owner)"));
        }
    }
    let immediate = volumes.claims_of(pod).any(|(_, claim)| !claim.bound && !volumes.is_delayed(claim));
    immediate.then(|| "pod has unbound immediate PersistentVolumeClaims".to_owned())
}

/// Claims for one pod aren't another's.
pub fn in_use(pod: &PodClass, _: &Node, volumes: &Volumes) -> Verdict {
    let taken = volumes.claims_of(pod).any(|(key, claim)| claim.is_for_one_pod() && volumes.users.contains_key(&key));
    if taken { vec![Reason::ClaimInUse] } else { Verdict::new() }
}

/// Bound claims' volumes can be reached, and the others can get some.
pub fn binding(pod: &PodClass, node: &Node, volumes: &Volumes) -> Verdict {
    if pod.claims.is_empty() { Verdict::new() } else { choose(pod, node, volumes).err().unwrap_or_default() }
}

/// Bound claims' volumes are in the node's zone, where both say in which they are.
pub fn zone(pod: &PodClass, node: &Node, volumes: &Volumes) -> Verdict {
    let labels = &node.info.labels;
    if pod.claims.is_empty() || ZONES.iter().all(|(key, _)| labels.get(key).is_none()) {
        return Verdict::new();
    }
    let there = |(old, new): &(&str, &str), wanted: &str| {
        let here = labels.get(old).or_else(|| labels.get(new));
        // a volume in several zones has them joined
        here.is_some_and(|here| wanted.split("__").any(|zone| zone == here))
    };
    let bound = volumes.claims_of(pod).filter_map(|(_, claim)| volumes.volumes.get(&claim.volume));
    let away = bound.flat_map(|v| ZONES.iter().filter_map(|row| Some((row, v.labels.get(row.0)?)))).any(|(row, wanted)| !there(row, wanted));
    if away { vec![Reason::VolumeZone] } else { Verdict::new() }
}
