//! What the scheduler watches, and which part of the snapshot takes it in. Pods are the queue's too and aren't here.
use crate::filter::FILTERS;
use crate::node::{NodeInfo, ParseError};
use crate::preempt::search;
use crate::reserve::STEPS;
use crate::snapshot::Snapshot;
use crate::wake::Wake;
use crate::watched::Watched;
use model::{Key, Stored};
use state_client::Change;
use std::collections::BTreeSet;

/// All that plug-ins read.
pub fn watched() -> BTreeSet<Watched> {
    let filters = FILTERS.iter().flat_map(|f| f.reads);
    filters.chain(STEPS.iter().flat_map(|s| s.reads)).chain(search::READS).copied().collect()
}

/// How a resource gets into the snapshot. Both return what that may do for pods that wait.
struct Input {
    of: Watched,
    applied: fn(&mut Snapshot, &Stored) -> Result<Wake, ParseError>,
    removed: fn(&mut Snapshot, &Key) -> Wake,
}

const INPUTS: [Input; 6] = [
    Input { of: Watched::NODES, applied: |s, new| Ok(s.apply_node(&new.key.name, NodeInfo::parse(new)?)), removed: |s, key| s.remove_node(&key.name) },
    input(
        Watched::NAMESPACES,
        |s, new| Ok(apply_namespace(s, new)),
        |s, key| {
            s.remove_namespace(&key.name);
            Wake::NONE
        },
    ),
    input(
        Watched::CLAIMS,
        |s, new| s.volumes.apply_claim(new),
        |s, key| {
            s.volumes.remove_claim(&key.namespace, &key.name);
            Wake::NONE
        },
    ),
    input(
        Watched::VOLUMES,
        |s, new| s.volumes.apply_volume(new),
        |s, key| {
            s.volumes.remove_volume(&key.name);
            Wake::NONE
        },
    ),
    input(
        Watched::STORAGE_CLASSES,
        |s, new| s.volumes.apply_class(new),
        |s, key| {
            s.volumes.remove_class(&key.name);
            Wake::NONE
        },
    ),
    input(
        Watched::BUDGETS,
        |s, new| s.budgets.apply(new).map(|()| Wake::NONE),
        |s, key| {
            s.budgets.remove(&key.namespace, &key.name);
            Wake::NONE
        },
    ),
];

const fn input(of: Watched, applied: fn(&mut Snapshot, &Stored) -> Result<Wake, ParseError>, removed: fn(&mut Snapshot, &Key) -> Wake) -> Input {
    Input { of, applied, removed }
}

fn apply_namespace(snapshot: &mut Snapshot, new: &Stored) -> Wake {
    let labels = new.object().labels().into_iter().flatten();
    let labels = labels.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect();
    snapshot.apply_namespace(&new.key.name, labels)
}

/// Takes in a change of anything but a pod. An object that doesn't decode is left out, with a word about it.
pub fn apply(snapshot: &mut Snapshot, change: &Change) -> Wake {
    let key = match change {
        Change::Applied { new, .. } => &new.key,
        Change::Deleted(last) => &last.key,
        Change::Synced => return Wake::NONE,
    };
    let Some(input) = INPUTS.iter().find(|i| *i.of.group == *key.group && *i.of.resource == *key.resource) else { return Wake::NONE };
    match change {
        Change::Applied { new, .. } => {
            let wake = (input.applied)(snapshot, new);
            wake.inspect_err(|error| tracing::warn!(object = ?new, %error, "left out of the snapshot")).unwrap_or(Wake::NONE)
        }
        _ => (input.removed)(snapshot, key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_watched_is_taken_in() {
        let taken: BTreeSet<Watched> = INPUTS.iter().map(|i| i.of).chain([Watched::PODS]).collect();
        assert_eq!(watched(), taken);
    }
}
