//! All filters over one node, one after the other.
use crate::filter::{Check, FILTERS};
use crate::pod::PodClass;
use crate::reason::{Diagnosis, Verdict};
use crate::snapshot::{NodeId, Snapshot};
use crate::topology::{Place, Topology};
use crate::wake::Wake;

/// Memory that is used again from node to node.
#[derive(Default)]
pub struct Scratch {
    coordinates: Vec<i64>,
    counts: Vec<Option<i64>>,
}

impl Scratch {
    fn place<'a>(&'a mut self, topology: &'a Topology, id: NodeId) -> Place<'a> {
        self.coordinates.clear();
        topology.coordinates(id, &mut self.coordinates);
        topology.place(&self.coordinates, &mut self.counts)
    }
}

/// What the first filter that refuses the node says; empty: none does.
fn first(snapshot: &Snapshot, class: &PodClass, topology: &Topology, id: NodeId, scratch: &mut Scratch) -> (Verdict, Wake) {
    let Some(node) = snapshot.slots().get(id as usize) else { return (Verdict::new(), Wake::NONE) };
    let place = scratch.place(topology, id);
    for filter in &FILTERS {
        let verdict = match filter.check {
            Check::Pod(_) => continue,
            Check::Object(check) | Check::Usage(check) => check(class, node),
            Check::Volumes(check) => check(class, node, &snapshot.volumes),
            Check::Place(check) => check(&place),
        };
        if !verdict.is_empty() {
            return (verdict, filter.wakes);
        }
    }
    (Verdict::new(), Wake::NONE)
}

/// What those filters say that other pods' coming and going changes.
pub fn changeable(snapshot: &Snapshot, class: &PodClass, topology: &Topology, id: NodeId, scratch: &mut Scratch) -> Verdict {
    let Some(node) = snapshot.slots().get(id as usize) else { return Verdict::new() };
    let verdict = |check: &Check| match check {
        Check::Usage(check) => check(class, node),
        Check::Volumes(check) if !class.claims.is_empty() => check(class, node, &snapshot.volumes),
        _ => Verdict::new(),
    };
    let refused = FILTERS.iter().map(|f| verdict(&f.check)).find(|v| !v.is_empty());
    if refused.is_some() || topology.is_empty() {
        return refused.unwrap_or_default();
    }
    let place = scratch.place(topology, id);
    let places = FILTERS.iter().filter_map(|f| if let Check::Place(check) = f.check { Some(check(&place)) } else { None });
    places.into_iter().find(|v| !v.is_empty()).unwrap_or_default()
}

/// What keeps a pod from all nodes.
pub fn whole(snapshot: &Snapshot, class: &PodClass) -> Option<(String, Wake)> {
    let why = |check: &Check| if let Check::Pod(check) = check { check(class, &snapshot.volumes) } else { None };
    if class.claims.is_empty() { None } else { FILTERS.iter().find_map(|f| Some((why(&f.check)?, f.wakes))) }
}

/// Why no node takes a pod of the class.
pub fn diagnose(snapshot: &Snapshot, class: &PodClass, topology: &Topology) -> Diagnosis {
    let mut diagnosis = Diagnosis { nodes: snapshot.node_count(), ..Diagnosis::default() };
    if diagnosis.nodes == 0 {
        diagnosis.wakes = Wake::NODE_ADDED;
    }
    if let Some((why, wakes)) = whole(snapshot, class) {
        return Diagnosis { whole: Some(why), wakes: diagnosis.wakes | wakes, ..diagnosis };
    }
    let mut scratch = Scratch::default();
    for (id, _) in (0..).zip(snapshot.slots()).filter(|(_, n)| n.present) {
        let (verdict, wakes) = first(snapshot, class, topology, id, &mut scratch);
        diagnosis.wakes |= wakes;
        if !verdict.is_empty() && verdict.iter().all(crate::reason::Reason::is_resolvable) {
            diagnosis.resolvable.push(id);
        }
        for reason in verdict {
            *diagnosis.reasons.entry(reason).or_default() += 1;
        }
    }
    diagnosis
}
