//! The health of a zone, from the states of its nodes. It decides whether evictions in the zone continue, slow down or stop.
use super::part::{BY_ZONE, GIVEN_UP, READY, UNREADY, WAITING, node, zone};
use crate::runtime::{Item, Resource, View, later};
use jiff::{SignedDuration, Timestamp};

/// A share of unready nodes from which a zone counts as disrupted, in percent.
const DISRUPTED_PERCENT: usize = 55;
/// With at least so many unready nodes.
const DISRUPTED_NODES: usize = 3;
/// A zone of more nodes than this goes on evicting slowly while it is disrupted; a smaller one stops.
const LARGE: usize = 50;
/// Taints tell the second in which a node was given up.
const TICK: SignedDuration = SignedDuration::from_secs(1);

/// How many nodes of a zone a second may be taken for lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// While most of the zone is well.
    pub normal: f64,
    /// While a large zone is disrupted.
    pub disrupted: f64,
}

impl Default for Rates {
    fn default() -> Self {
        Self { normal: 0.1, disrupted: 0.01 }
    }
}

/// How often more nodes of a zone may be taken for lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Not at all.
    Stopped,
    /// So many nodes each so long.
    Every(usize, SignedDuration),
}

impl Pace {
    fn of(rate: f64) -> Self {
        if rate <= 0.0 {
            Self::Stopped
        } else if rate >= 1.0 {
            Self::Every(rate.min(1e6) as usize, TICK)
        } else {
            Self::Every(1, SignedDuration::try_from_secs_f64(1.0 / rate).unwrap_or(SignedDuration::MAX))
        }
    }
}

/// The pace of a zone: of its nodes, and whether any node of any zone is ready.
pub fn pace(rates: Rates, nodes: usize, unready: usize, any_ready: bool) -> Pace {
    if !any_ready {
        // everybody at once: rather we are cut off than they are dead
        return Pace::Stopped;
    }
    let disrupted = unready >= DISRUPTED_NODES && unready * 100 >= nodes * DISRUPTED_PERCENT;
    match (disrupted, unready == nodes, nodes > LARGE) {
        (false, ..) | (_, true, _) => Pace::of(rates.normal),
        (true, false, true) => Pace::of(rates.disrupted),
        (true, false, false) => Pace::Stopped,
    }
}

/// Whether a node of a zone may be given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nobody may, for now.
    Nobody,
    /// It may.
    Now,
    /// Others come first: it may ask again then.
    At(Timestamp),
}

/// Whether it is this silent node's turn. Nodes of a zone go in the order in which the view has them, so that nodes which are looked at together, none
/// of them given up yet, don't all take the same place.
pub fn turn(view: &View, item: &Item, rates: Rates, now: Timestamp) -> Turn {
    let (zone, nodes) = (zone(item), Resource::NODES);
    let count = |field| view.count_with_field(&nodes, field, &zone);
    let Pace::Every(places, pause) = pace(rates, count(BY_ZONE), count(UNREADY), any_ready(view)) else { return Turn::Nobody };
    let others = view.with_field(&nodes, GIVEN_UP, &zone).filter(|n| n.uid() != item.uid());
    let lately: Vec<Timestamp> = others.filter_map(|n| node(n).given_up_at()).filter(|at| later(*at, pause) > now).collect();
    let left = places.saturating_sub(lately.len());
    if view.with_field(&nodes, WAITING, &zone).take(left).any(|n| n.uid() == item.uid()) {
        return Turn::Now;
    }
    Turn::At(later(lately.into_iter().min().unwrap_or(now), pause))
}

/// Whether any node of any zone is ready.
pub fn any_ready(view: &View) -> bool {
    view.count_with_field(&Resource::NODES, READY, "") > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const NORMAL: Pace = Pace::Every(1, SignedDuration::from_secs(10));
    const SLOW: Pace = Pace::Every(1, SignedDuration::from_secs(100));

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
            assert_eq!(pace(Rates::default(), nodes, unready, any_ready), expected, "{unready} of {nodes}");
        }
        let quick = Rates { normal: 100.0, disrupted: 0.0 };
        assert_eq!(pace(quick, 10_000, 1_000, true), Pace::Every(100, TICK));
        assert_eq!(pace(quick, 10_000, 6_000, true), Pace::Stopped);
    }
}
