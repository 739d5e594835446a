//! From a snapshot and pods to decisions: pure and deterministic.
use crate::class_run::{Placement, Run, mix};
use crate::pod::PodInfo;
use crate::reason::Diagnosis;
use crate::snapshot::{ClassId, Snapshot};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

/// Runs kept at once: a run of 5,000 nodes takes some 500 kB.
const RUNS: usize = 64;

/// What is to become of a pod.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It goes to this node. The snapshot counts it there already.
    Bind(Arc<str>),
    /// No node takes it now.
    Unschedulable(Arc<Diagnosis>),
}

/// A pod and its outcome.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The pod.
    pub pod: Arc<PodInfo>,
    /// What is to become of it.
    pub outcome: Outcome,
}

/// Decides for all `pods`, those of greater priority first, otherwise in the order given. Placed pods count in `snapshot` at once;
/// [`Snapshot::forget`] takes a placement back. Equal nodes are told apart by `seed`: the same inputs give the same decisions.
pub fn schedule(snapshot: &mut Snapshot, pods: &[Arc<PodInfo>], seed: u64) -> Vec<Decision> {
    let mut order: Vec<&Arc<PodInfo>> = pods.iter().collect();
    order.sort_by_key(|p| Reverse(p.priority));
    let classes: Vec<ClassId> = order.iter().map(|pod| snapshot.hold(&pod.class)).collect();
    let mut batch = Batch::new(&classes, seed);
    let decisions = order.into_iter().zip(&classes).map(|(pod, class)| Decision { pod: pod.clone(), outcome: batch.decide(snapshot, pod, *class) }).collect();
    for class in classes {
        snapshot.release(class);
    }
    decisions
}

struct Batch {
    seed: u64,
    log: Vec<Placement>,
    runs: HashMap<ClassId, Run>,
    /// Pods of each class that are still to come.
    left: HashMap<ClassId, u32>,
}

impl Batch {
    fn new(classes: &[ClassId], seed: u64) -> Self {
        let mut left = HashMap::new();
        for class in classes {
            *left.entry(*class).or_default() += 1;
        }
        Self { seed, log: Vec::with_capacity(classes.len()), runs: HashMap::new(), left }
    }

    fn decide(&mut self, snapshot: &mut Snapshot, pod: &PodInfo, class: ClassId) -> Outcome {
        self.make_room(class);
        let salt = mix(self.seed ^ u64::from(class));
        let run = self.runs.entry(class).or_insert_with(|| Run::new(snapshot, pod.class.clone(), self.log.len(), salt));
        let picked = run.pick(snapshot, &self.log).and_then(|id| Some((id, snapshot.slots().get(id as usize)?.name.clone())));
        let outcome = match picked {
            Some((id, name)) => {
                snapshot.place(&pod.uid, id, class);
                self.log.push((id, class));
                Outcome::Bind(name)
            }
            None => Outcome::Unschedulable(run.diagnosis(snapshot)),
        };
        self.count_down(class);
        outcome
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
        }
    }
}
