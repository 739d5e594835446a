//! How a node's zone is: whether evictions go on, slow down or stop.
use super::{NOT_READY, UNREACHABLE, condition, taints};
use crate::runtime::{Item, Resource, View};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// A share of unready nodes from which a zone counts as disrupted, in percent.
const DISRUPTED_PERCENT: usize = 55;
/// With at least so many unready nodes.
const DISRUPTED_NODES: usize = 3;
/// A zone of more nodes than this goes on evicting slowly while it is disrupted; a smaller one stops.
const LARGE: usize = 50;

/// How often one more node of a zone may be taken for lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Not at all.
    Stopped,
    /// One node each so long.
    Every(SignedDuration),
}

const NORMAL: Pace = Pace::Every(SignedDuration::from_secs(10));
const SLOW: Pace = Pace::Every(SignedDuration::from_secs(100));

/// The pace of a zone: of its nodes, and whether any node of any zone is ready.
pub fn pace(nodes: usize, unready: usize, any_ready: bool) -> Pace {
    if !any_ready {
        // everybody at once: rather we are cut off than they are dead
        return Pace::Stopped;
    }
    let disrupted = unready >= DISRUPTED_NODES && unready * 100 >= nodes * DISRUPTED_PERCENT;
    match (disrupted, unready == nodes, nodes > LARGE) {
        (false, ..) | (_, true, _) => NORMAL,
        (true, false, true) => SLOW,
        (true, false, false) => Pace::Stopped,
    }
}

/// A zone as the view shows it.
pub struct Zone {
    /// Its pace.
    pub pace: Pace,
    /// When the last of its nodes was given up.
    pub last: Option<Timestamp>,
}

impl Zone {
    /// The zone of `node`; its last loss is that of another node.
    pub fn of(view: &View, node: &Item) -> Self {
        let ready = |n: &&Arc<Item>| condition(n, "Ready") == "True";
        let zone: Vec<&Arc<Item>> = view.all(&Resource::NODES).filter(|n| name(n) == name(node)).collect();
        let unready = zone.iter().filter(|n| !ready(n)).count();
        let any_ready = view.all(&Resource::NODES).any(|n| ready(&n));
        let last = zone.iter().filter(|n| n.uid() != node.uid()).filter_map(|n| given_up_at(n)).max();
        Self { pace: pace(zone.len(), unready, any_ready), last }
    }
}

fn name(node: &Item) -> (Option<&str>, Option<&str>) {
    (node.label("topology.kubernetes.io/region"), node.label("topology.kubernetes.io/zone"))
}

fn given_up_at(node: &Item) -> Option<Timestamp> {
    let ours = |t: &&serde_json::Value| t["effect"] == "NoExecute" && (t["key"] == NOT_READY || t["key"] == UNREACHABLE);
    taints(node).iter().filter(ours).filter_map(|t| t["timeAdded"].as_str()?.parse().ok()).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_follows_the_share_of_unready_nodes() {
        for (nodes, unready, any_ready, expected) in [
            (3, 1, true, NORMAL),
            (3, 2, true, NORMAL),
            (3, 3, true, NORMAL),
            (3, 3, false, Pace::Stopped),
            (1, 1, false, Pace::Stopped),
            (5, 3, true, Pace::Stopped),
            (10, 5, true, NORMAL),
            (100, 60, true, SLOW),
            (100, 100, true, NORMAL),
        ] {
            assert_eq!(pace(nodes, unready, any_ready), expected, "{unready} of {nodes}");
        }
    }
}
