//! Nominated pods within a batch. They count on their nodes for pods that aren't more important; as the batch goes from the most important pods to the
//! least, more and more of them come in.
use crate::nominations::Nomination;
use crate::snapshot::{ClassId, NodeId, Snapshot};
use crate::topology::Shift;
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Clone, Copy)]
struct Expected {
    node: NodeId,
    class: ClassId,
    counted: bool,
}

/// See the module.
#[derive(Default)]
pub struct ExpectedPods {
    pods: HashMap<Arc<str>, Expected>,
    /// Those not yet counted, the least important first.
    waiting: Vec<(i32, Arc<str>)>,
}

impl ExpectedPods {
    /// Of all nominations of the snapshot to nodes that exist.
    pub fn new(snapshot: &mut Snapshot) -> Self {
        let mut all: Vec<Nomination> = snapshot.nominations.iter().cloned().collect();
        all.sort_by_key(|n| n.pod.priority);
        let mut expected = Self::default();
        for Nomination { pod, node } in all {
            if let Some(node) = snapshot.present(&node) {
                let class = snapshot.hold(&pod.class);
                expected.pods.insert(pod.uid.clone(), Expected { node, class, counted: false });
                expected.waiting.push((pod.priority, pod.uid.clone()));
            }
        }
        expected
    }

    /// Counts those of at least this priority.
    pub fn admit(&mut self, snapshot: &mut Snapshot, log: &mut Vec<Shift>, priority: i32) {
        while let Some((_, uid)) = self.waiting.pop_if(|(of, _)| *of >= priority) {
            if let Some(pod) = self.pods.get_mut(&uid).filter(|p| !p.counted) {
                pod.counted = true;
                shift(snapshot, log, *pod, 1);
            }
        }
    }

    /// Takes out a pod, whose turn it is. The node that it was nominated to.
    pub fn withdraw(&mut self, snapshot: &mut Snapshot, log: &mut Vec<Shift>, uid: &str) -> Option<NodeId> {
        let pod = self.pods.remove(uid)?;
        if pod.counted {
            shift(snapshot, log, pod, -1);
        }
        snapshot.release(pod.class);
        Some(pod.node)
    }

    /// Counts a pod on the node that it is nominated to.
    pub fn put(&mut self, snapshot: &mut Snapshot, log: &mut Vec<Shift>, uid: &Arc<str>, node: NodeId, class: ClassId) {
        self.withdraw(snapshot, log, uid);
        snapshot.keep(class);
        let pod = Expected { node, class, counted: true };
        self.pods.insert(uid.clone(), pod);
        shift(snapshot, log, pod, 1);
    }

    /// Takes out all.
    pub fn end(mut self, snapshot: &mut Snapshot) {
        let uids: Vec<Arc<str>> = self.pods.keys().cloned().collect();
        for uid in uids {
            self.withdraw(snapshot, &mut Vec::new(), &uid);
        }
    }
}

fn shift(snapshot: &mut Snapshot, log: &mut Vec<Shift>, pod: Expected, pods: i64) {
    if pods < 0 {
        snapshot.lift(pod.node, pod.class)
    } else {
        snapshot.lay(pod.node, pod.class)
    }
    log.push(Shift { node: pod.node, class: pod.class, pods, expected: true });
}
