//! The best node to make room on, for the pods of one class and priority within a batch: nodes are planned for once, and a plan is made again when it is used.
use super::plan::{Plan, Rank, Trial};
use crate::reason::{Counts, Diagnosis, Reason, Verdict};
use crate::snapshot::NodeId;
use crate::watched::Watched;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// What preemption reads beside what the filters do.
pub const READS: &[Watched] = &[Watched::PODS, Watched::NODES, Watched::BUDGETS];
/// So many plans are compared at least, if there are as many,
const FEWEST: usize = 100;
/// and one of so many nodes.
const SHARE: usize = 10;

/// See the module.
pub struct Search {
    /// Nodes that might take the pod if others went, in the order in which they are looked at.
    open: Vec<NodeId>,
    next: usize,
    wanted: usize,
    plans: BTreeSet<(Rank, usize, NodeId)>,
    refused: HashMap<NodeId, Verdict>,
    counts: Counts,
}

impl Search {
    /// Begins at a node that `salt` chooses, so that searches of big clusters spread.
    pub fn new(diagnosis: &Diagnosis, salt: u64) -> Self {
        let mut open = diagnosis.resolvable.clone();
        let length = open.len();
        let start = usize::try_from(salt % length.max(1) as u64).unwrap_or_default();
        open.rotate_left(start.min(length));
        let wanted = (open.len() / SHARE).max(FEWEST);
        let counts = Counts::from([(Reason::NotHelpful, diagnosis.nodes.saturating_sub(u32::try_from(open.len()).unwrap_or(u32::MAX)))]);
        Self { open, next: 0, wanted, plans: BTreeSet::new(), refused: HashMap::new(), counts }
    }

    /// The best plan now.
    pub fn best(&mut self, trial: &mut Trial<'_>) -> Option<Plan> {
        let mut ours = BTreeSet::new();
        loop {
            while self.plans.len() < self.wanted
                && let Some(node) = self.open.get(self.next).copied()
            {
                self.next += 1;
                if let Some(plan) = self.look(trial, node) {
                    self.plans.insert((plan.rank, self.next, node));
                }
            }
            let (_, order, node) = self.plans.pop_first()?;
            let Some(plan) = self.look(trial, node) else { continue };
            // what was placed since may have made it worse than others
            let worse = self.plans.first().is_some_and(|(rank, ..)| *rank < plan.rank);
            if worse && ours.insert(node) {
                self.plans.insert((plan.rank, order, node));
                continue;
            }
            self.open.push(node);
            return Some(plan);
        }
    }

    fn look(&mut self, trial: &mut Trial<'_>, node: NodeId) -> Option<Plan> {
        if let Some(was) = self.refused.remove(&node) {
            for reason in was {
                self.counts.entry(reason).and_modify(|n| *n = n.saturating_sub(1));
            }
        }
        let verdict = match trial.plan(node) {
            Ok(plan) => return Some(plan),
            Err(verdict) => verdict,
        };
        for reason in &verdict {
            *self.counts.entry(reason.clone()).or_default() += 1;
        }
        self.refused.insert(node, verdict);
        None
    }

    /// How many nodes are of no use for which reason, when there is no plan.
    pub fn counts(&self) -> Arc<Counts> {
        Arc::new(self.counts.iter().filter(|(_, n)| **n > 0).map(|(reason, n)| (reason.clone(), *n)).collect())
    }
}
