//! Pods without a node for which room was made on one. They count there for pods that aren't more important, until they have a node.
use crate::pod::PodInfo;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A pod and the node that it is nominated to.
#[derive(Clone, Debug)]
pub struct Nomination {
    /// The pod.
    pub pod: Arc<PodInfo>,
    /// The node.
    pub node: Arc<str>,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Nominations {
    by_uid: BTreeMap<Arc<str>, Nomination>,
    by_node: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    freed: bool,
}

impl Nominations {
    /// Notes one, in place of the pod's former one.
    pub fn nominate(&mut self, pod: Arc<PodInfo>, node: Arc<str>) {
        self.dismiss(&pod.uid);
        self.by_node.entry(node.clone()).or_default().insert(pod.uid.clone());
        self.by_uid.insert(pod.uid.clone(), Nomination { pod, node });
    }

    /// Forgets a pod's. The node that it was nominated to.
    pub fn dismiss(&mut self, uid: &str) -> Option<Arc<str>> {
        let was = self.by_uid.remove(uid)?;
        if let Some(uids) = self.by_node.get_mut(&was.node) {
            uids.remove(uid);
            if uids.is_empty() {
                self.by_node.remove(&was.node);
            }
        }
        Some(was.node)
    }

    /// Notes that somebody's room is others' now.
    pub fn free(&mut self) {
        self.freed = true;
    }

    /// Whether that has happened since the last call.
    pub fn take_freed(&mut self) -> bool {
        std::mem::take(&mut self.freed)
    }

    /// The node that a pod is nominated to.
    pub fn node_of(&self, uid: &str) -> Option<&Arc<str>> {
        self.by_uid.get(uid).map(|n| &n.node)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Nomination> {
        self.by_uid.values()
    }

    /// Pods of less than a priority that are nominated to a node.
    pub fn below(&self, node: &str, priority: i32) -> Vec<Arc<PodInfo>> {
        let here = self.by_node.get(node).into_iter().flatten().filter_map(|uid| self.by_uid.get(uid));
        here.filter(|n| n.pod.priority < priority).map(|n| n.pod.clone()).collect()
    }
}
