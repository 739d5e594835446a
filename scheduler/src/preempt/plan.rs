//! Which pods of one node have to go for a more important one: as few and as unimportant as possible.
use crate::budgets::Allowances;
use crate::node::Resident;
use crate::pod::PodClass;
use crate::reason::{Reason, Verdict};
use crate::snapshot::{NodeId, Snapshot};
use crate::topology::{Shift, Topology};
use crate::verdict::{Scratch, changeable};
use std::cmp::Reverse;
use std::sync::Arc;

/// How bad a plan is: the less the better, the first difference decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// Pods that go against a budget.
    violations: usize,
    /// The greatest priority of a victim.
    highest: i64,
    /// Of all victims' priorities, each taken as positive.
    sum: i64,
    victims: usize,
    /// When the first of the most important victims started: the later the better.
    started: Reverse<i64>,
}

/// What is done on a node for a pod.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The node.
    pub node: NodeId,
    /// Pods that have to go, the most important first. None: it is enough to wait for those that go anyhow.
    pub victims: Vec<Arc<Resident>>,
    /// How bad that is.
    pub rank: Rank,
}

/// A pod that more important ones are moved out of the way for, and the snapshot that is tried out; all is put back.
pub struct Trial<'a> {
    /// The snapshot.
    pub snapshot: &'a mut Snapshot,
    /// Counts of the pods around.
    pub topology: &'a mut Topology,
    /// What the pod asks for.
    pub class: &'a PodClass,
    /// Its priority.
    pub priority: i32,
    /// What is left of disruption budgets.
    pub budgets: &'a Allowances,
    /// Scratch.
    pub scratch: &'a mut Scratch,
}

/// More important ones first; among equals, those that have run for longer.
fn importance(pod: &Resident) -> (Reverse<i32>, i64, Arc<str>) {
    (Reverse(pod.priority), started(pod), pod.uid.clone())
}

fn started(pod: &Resident) -> i64 {
    pod.started.map_or(i64::MAX, |t| t.as_second())
}

impl Trial<'_> {
    /// The plan for a node.
    ///
    /// # Errors
    /// Why the pod doesn't fit even without all less important pods.
    pub fn plan(&mut self, node: NodeId) -> Result<Plan, Verdict> {
        let here = self.snapshot.slots().get(node as usize).map(|n| n.pods.as_slice()).unwrap_or_default();
        let lower: Vec<Arc<Resident>> = here.iter().filter(|p| p.priority < self.priority).cloned().collect();
        if lower.is_empty() {
            return Err(vec![Reason::NoVictims]);
        }
        for pod in &lower {
            self.shift(node, pod, -1);
        }
        let verdict = changeable(self.snapshot, self.class, self.topology, node, self.scratch);
        let (leaving, staying): (Vec<_>, Vec<_>) = lower.into_iter().partition(|p| self.snapshot.is_leaving(p));
        let (violations, victims) = if verdict.is_empty() { self.reprieve(node, staying) } else { (0, staying) };
        for pod in leaving.iter().chain(&victims) {
            self.shift(node, pod, 1);
        }
        match verdict.is_empty() {
            // nothing would be gained
            true if victims.is_empty() && leaving.is_empty() => Err(vec![Reason::NoVictims]),
            true => Ok(Plan { node, rank: rank(violations, &victims), victims }),
            false => Err(verdict),
        }
    }

    /// Puts back whom it can, those first whose going a budget forbids. How many of these must go nevertheless, and all who must.
    fn reprieve(&mut self, node: NodeId, mut staying: Vec<Arc<Resident>>) -> (usize, Vec<Arc<Resident>>) {
        staying.sort_by_cached_key(|p| importance(p));
        let mut left = self.budgets.clone();
        let (violating, others): (Vec<_>, Vec<_>) = staying.into_iter().partition(|p| self.violates(p, &mut left));
        let (mut victims, mut violations) = (Vec::new(), 0);
        for (pod, violates) in violating.into_iter().map(|p| (p, true)).chain(others.into_iter().map(|p| (p, false))) {
            self.shift(node, &pod, 1);
            if !changeable(self.snapshot, self.class, self.topology, node, self.scratch).is_empty() {
                self.shift(node, &pod, -1);
                violations += usize::from(violates);
                victims.push(pod);
            }
        }
        victims.sort_by_cached_key(|p| importance(p));
        (violations, victims)
    }

    fn violates(&self, pod: &Resident, left: &mut Allowances) -> bool {
        if self.snapshot.budgets.is_without(&pod.namespace) {
            return false;
        }
        let class = self.snapshot.class(pod.class);
        class.is_some_and(|slot| self.snapshot.budgets.take(&pod.namespace, &pod.name, &slot.class.labels, left))
    }

    fn shift(&mut self, node: NodeId, pod: &Resident, pods: i64) {
        let class = pod.class;
        if pods < 0 {
            self.snapshot.lift(node, class)
        } else {
            self.snapshot.lay(node, class)
        }
        self.topology.count_shift(self.snapshot, self.class, Shift { node, class, pods, expected: false });
    }
}

fn rank(violations: usize, victims: &[Arc<Resident>]) -> Rank {
    let highest = victims.first().map(|p| p.priority);
    let top = victims.iter().filter(|p| Some(p.priority) == highest);
    Rank {
        violations,
        highest: highest.map_or(i64::MIN, i64::from),
        sum: victims.iter().map(|p| i64::from(p.priority) + i64::from(i32::MAX) + 1).sum(),
        victims: victims.len(),
        started: Reverse(top.map(|p| started(p)).min().unwrap_or(i64::MAX)),
    }
}
