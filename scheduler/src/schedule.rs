//! From a snapshot and pods to decisions: pure and deterministic.
use crate::budgets::Allowances;
use crate::class_run::{Run, mix};
use crate::expected::ExpectedPods;
use crate::outcome::{Decision, Outcome, Preemption, Refusal};
use crate::pod::PodInfo;
use crate::preempt::plan::{Plan, Trial};
use crate::preempt::search::Search;
use crate::reason::{Counts, Diagnosis, Reason};
use crate::reserve::STEPS;
use crate::snapshot::{ClassId, NodeId, Snapshot};
use crate::topology::Shift;
use crate::verdict::Scratch;
use crate::writes::Write;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

/// Runs kept at once: a run of 5,000 nodes takes some 500 kB.
const RUNS: usize = 64;

/// Decides for all `pods`, those of greater priority first, otherwise in the order given. Placed pods count in `snapshot` at once;
/// [`Snapshot::forget`] takes a placement back. Equal nodes are told apart by `seed`: the same inputs give the same decisions.
pub fn schedule(snapshot: &mut Snapshot, pods: &[Arc<PodInfo>], seed: u64) -> Vec<Decision> {
    let mut order: Vec<&Arc<PodInfo>> = pods.iter().collect();
    order.sort_by_key(|p| Reverse(p.priority));
    let classes: Vec<ClassId> = order.iter().map(|pod| snapshot.hold(&pod.class)).collect();
    let mut batch = Batch::new(snapshot, &classes, seed);
    let decisions = order.into_iter().zip(&classes).map(|(pod, class)| batch.decide(snapshot, pod, *class)).collect();
    batch.expected.end(snapshot);
    for class in classes {
        snapshot.release(class);
    }
    decisions
}

struct Batch {
    seed: u64,
    log: Vec<Shift>,
    runs: HashMap<ClassId, Run>,
    searches: HashMap<(ClassId, i32), Search>,
    expected: ExpectedPods,
    budgets: Allowances,
    scratch: Scratch,
    /// Pods of each class that are still to come.
    left: HashMap<ClassId, u32>,
}

impl Batch {
    fn new(snapshot: &mut Snapshot, classes: &[ClassId], seed: u64) -> Self {
        let mut left = HashMap::new();
        for class in classes {
            *left.entry(*class).or_default() += 1;
        }
        Self {
            seed,
            log: Vec::with_capacity(classes.len()),
            runs: HashMap::new(),
            searches: HashMap::new(),
            expected: ExpectedPods::new(snapshot),
            budgets: allowances(snapshot),
            scratch: Scratch::default(),
            left,
        }
    }

    fn decide(&mut self, snapshot: &mut Snapshot, pod: &Arc<PodInfo>, class: ClassId) -> Decision {
        self.expected.admit(snapshot, &mut self.log, pod.priority);
        let nominated = self.expected.withdraw(snapshot, &mut self.log, &pod.uid);
        self.make_room(class);
        if self.runs.get(&class).is_some_and(|run| run.is_outdated(snapshot)) {
            self.runs.remove(&class);
        }
        let salt = mix(self.seed ^ u64::from(class));
        let run = self.runs.entry(class).or_insert_with(|| Run::new(snapshot, pod.class.clone(), &self.log, salt));
        let there = nominated.filter(|id| run.fits(snapshot, &self.log, *id));
        let picked = there.or_else(|| run.pick(snapshot, &self.log));
        let (outcome, before) = match picked.and_then(|id| Some((id, snapshot.slots().get(id as usize)?.name.clone()))) {
            Some((id, name)) => (Outcome::Bind(name), self.place(snapshot, pod, id, class)),
            None => (Outcome::Unschedulable(self.refuse(snapshot, pod, class, nominated, salt)), Vec::new()),
        };
        self.count_down(class);
        Decision { pod: pod.clone(), outcome, before }
    }

    fn place(&mut self, snapshot: &mut Snapshot, pod: &PodInfo, node: NodeId, class: ClassId) -> Vec<Write> {
        let was = snapshot.nominations.dismiss(&pod.uid);
        if was.is_some_and(|was| snapshot.present(&was) != Some(node)) {
            snapshot.nominations.free();
        }
        snapshot.place(pod, node, class);
        self.log.push(Shift { node, class, pods: 1, expected: false });
        reserve(snapshot, pod, node)
    }

    /// Why no node takes a pod, and room for it where others can be made to go.
    fn refuse(&mut self, snapshot: &mut Snapshot, pod: &Arc<PodInfo>, class: ClassId, nominated: Option<NodeId>, salt: u64) -> Refusal {
        let diagnosis = self.runs.get_mut(&class).map(|run| run.diagnosis(snapshot)).unwrap_or_default();
        let preemption = self.preempt(snapshot, pod, class, nominated, &diagnosis, salt);
        let node = match &preemption {
            Preemption::Planned { node, .. } => {
                snapshot.nominations.nominate(pod.clone(), node.clone());
                snapshot.present(node)
            }
            Preemption::Waiting | Preemption::Never => nominated,
            Preemption::Futile(_) | Preemption::Nowhere => {
                if snapshot.nominations.dismiss(&pod.uid).is_some() {
                    snapshot.nominations.free();
                }
                None
            }
        };
        if let Some(node) = node {
            self.expected.put(snapshot, &mut self.log, &pod.uid, node, class);
        }
        Refusal { diagnosis, preemption }
    }

    fn preempt(
        &mut self,
        snapshot: &mut Snapshot,
        pod: &Arc<PodInfo>,
        class: ClassId,
        nominated: Option<NodeId>,
        diagnosis: &Diagnosis,
        salt: u64,
    ) -> Preemption {
        if diagnosis.nodes == 0 {
            return Preemption::Nowhere;
        }
        if pod.never_preempts {
            return Preemption::Never;
        }
        if nominated.is_some_and(|node| diagnosis.resolvable.contains(&node) && is_being_cleared(snapshot, node, pod.priority)) {
            return Preemption::Waiting;
        }
        if snapshot.lowest_priority().is_none_or(|lowest| lowest >= pod.priority) {
            return Preemption::Futile(Arc::new(no_victims(diagnosis)));
        }
        let Some(run) = self.runs.get_mut(&class) else { return Preemption::Nowhere };
        let search = self.searches.entry((class, pod.priority)).or_insert_with(|| Search::new(diagnosis, salt));
        let mut trial =
            Trial { snapshot, topology: run.topology(), class: &pod.class, priority: pod.priority, budgets: &self.budgets, scratch: &mut self.scratch };
        let Some(plan) = search.best(&mut trial) else { return Preemption::Futile(search.counts()) };
        self.carry_out(snapshot, pod, plan)
    }

    fn carry_out(&mut self, snapshot: &mut Snapshot, pod: &PodInfo, plan: Plan) -> Preemption {
        for victim in &plan.victims {
            let labels = snapshot.class(victim.class).map(|slot| slot.class.labels.clone()).unwrap_or_default();
            snapshot.budgets.take(&victim.namespace, &victim.name, &labels, &mut self.budgets);
            snapshot.condemn(&victim.uid);
        }
        let node = snapshot.slots().get(plan.node as usize).map(|n| n.name.clone()).unwrap_or_default();
        let displaced = snapshot.nominations.below(&node, pod.priority);
        for lower in &displaced {
            self.expected.withdraw(snapshot, &mut self.log, &lower.uid);
            snapshot.nominations.dismiss(&lower.uid);
            snapshot.nominations.free();
        }
        Preemption::Planned { node, victims: plan.victims, displaced }
    }

    /// Before a new run: drops the one that the fewest pods will use.
    fn make_room(&mut self, class: ClassId) {
        if self.runs.len() < RUNS || self.runs.contains_key(&class) {
            return;
        }
        let least = self.runs.keys().copied().min_by_key(|id| (self.left.get(id).copied().unwrap_or_default(), *id));
        if let Some(least) = least {
            self.runs.remove(&least);
        }
    }

    fn count_down(&mut self, class: ClassId) {
        let Some(left) = self.left.get_mut(&class) else { return };
        *left -= 1;
        if *left == 0 {
            self.runs.remove(&class);
            self.searches.retain(|(of, _), _| *of != class);
        }
    }
}

/// What is left of the budgets once those have gone who were told to.
fn allowances(snapshot: &Snapshot) -> Allowances {
    let mut left = Allowances::default();
    for pod in snapshot.condemned() {
        if let Some(slot) = snapshot.class(pod.class) {
            snapshot.budgets.take(&pod.namespace, &pod.name, &slot.class.labels, &mut left);
        }
    }
    left
}

/// Whether less important pods of a node go already to make room.
fn is_being_cleared(snapshot: &Snapshot, node: NodeId, priority: i32) -> bool {
    let pods = snapshot.slots().get(node as usize).map(|n| n.pods.as_slice()).unwrap_or_default();
    pods.iter().any(|p| p.priority < priority && snapshot.makes_room(p))
}

fn no_victims(diagnosis: &Diagnosis) -> Counts {
    let resolvable = u32::try_from(diagnosis.resolvable.len()).unwrap_or(u32::MAX);
    let rows = [(Reason::NoVictims, resolvable), (Reason::NotHelpful, diagnosis.nodes.saturating_sub(resolvable))];
    rows.into_iter().filter(|(_, n)| *n > 0).collect()
}

/// What all plug-ins reserve for a pod on a node.
fn reserve(snapshot: &mut Snapshot, pod: &PodInfo, node: NodeId) -> Vec<Write> {
    if pod.class.claims.is_empty() {
        return Vec::new();
    }
    let Some(node) = snapshot.slots().get(node as usize).cloned() else { return Vec::new() };
    STEPS.iter().flat_map(|step| (step.reserve)(&mut snapshot.volumes, &pod.uid, &pod.class, &node)).collect()
}
