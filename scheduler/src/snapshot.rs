//! The cluster as the scheduler sees it, kept incrementally from changes. Pods that were just placed count at once
//! ([`Snapshot::place`]), until the feed shows them or their binding fails ([`Snapshot::forget`]).
use crate::labels::Labels;
use crate::node::{Node, NodeInfo};
use crate::pod::{PodClass, PodInfo};
use crate::wake::Wake;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// A node's place in the snapshot.
pub(crate) type NodeId = u32;
/// A class' place in the snapshot.
pub(crate) type ClassId = u32;

/// A class and where its pods are.
#[derive(Debug)]
pub(crate) struct ClassSlot {
    pub class: Arc<PodClass>,
    /// Pods of it by node.
    pub on: HashMap<NodeId, u32>,
    /// Pods placed, and batches that are about to place some.
    holds: u32,
}

#[derive(Clone, Debug)]
struct Placed {
    node: NodeId,
    class: ClassId,
    assumed: bool,
}

/// Nodes, the pods on them and namespaces.
#[derive(Debug, Default)]
pub struct Snapshot {
    nodes: Vec<Node>,
    by_name: HashMap<Arc<str>, NodeId>,
    /// Places of nodes that are gone, with all their pods.
    free: Vec<NodeId>,
    classes: HashMap<ClassId, ClassSlot>,
    class_ids: HashMap<Arc<PodClass>, ClassId>,
    next_class: ClassId,
    /// Classes with (anti-)affinity terms: what they say concerns other pods.
    with_terms: BTreeSet<ClassId>,
    pods: HashMap<Arc<str>, Placed>,
    namespaces: HashMap<Arc<str>, Labels>,
    images: HashMap<Arc<str>, u32>,
    present: u32,
    no_labels: Labels,
}

impl Snapshot {
    /// Takes in a node, new or changed.
    pub fn apply_node(&mut self, name: &str, info: NodeInfo) -> Wake {
        let id = self.node_id(name);
        let Some(node) = self.nodes.get_mut(id as usize) else { return Wake::NONE };
        let was = std::mem::replace(&mut node.info, info);
        let wake = if node.present { difference(&was, &node.info) } else { Wake::NODE_ADDED };
        if !node.present {
            node.present = true;
            self.present += 1;
        }
        if was.images != node.info.images {
            let now: Vec<Arc<str>> = node.info.images.keys().cloned().collect();
            self.count_images(&was, &now);
        }
        wake
    }

    fn count_images(&mut self, was: &NodeInfo, now: &[Arc<str>]) {
        for image in was.images.keys() {
            if let Some(n) = self.images.get_mut(image) {
                *n = n.saturating_sub(1);
            }
        }
        for image in now {
            *self.images.entry(image.clone()).or_default() += 1;
        }
        self.images.retain(|_, n| *n > 0);
    }

    /// Takes out a node. Pods bound to its name stay counted until they go.
    pub fn remove_node(&mut self, name: &str) -> Wake {
        let Some(node) = self.by_name.get(name).and_then(|id| self.nodes.get_mut(*id as usize)) else { return Wake::NONE };
        if !std::mem::take(&mut node.present) {
            return Wake::NONE;
        }
        let was = std::mem::take(&mut node.info);
        self.present = self.present.saturating_sub(1);
        self.count_images(&was, &[]);
        if let Some(id) = self.by_name.get(name).copied() {
            self.reclaim(id);
        }
        Wake::NODE_REMOVED
    }

    /// Frees a node's place once neither its object nor a pod needs it.
    fn reclaim(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get_mut(id as usize) else { return };
        if !node.present && node.used.pods == 0 {
            self.by_name.remove(&node.name);
            *node = Node::default();
            self.free.push(id);
        }
    }

    /// Takes in a pod, new or changed: only bound pods that run or will run count.
    pub fn apply_pod(&mut self, pod: &PodInfo) -> Wake {
        let Some(node) = pod.node.as_ref().filter(|_| !pod.finished) else {
            let assumed = self.pods.get(&pod.uid).is_some_and(|p| p.assumed) && !pod.finished;
            return if assumed { Wake::NONE } else { self.remove_pod(&pod.uid) };
        };
        let node = self.node_id(node);
        let class = self.hold(&pod.class);
        let wake = match self.pods.get_mut(&pod.uid) {
            Some(placed) if placed.node == node && placed.class == class => {
                let confirmed = std::mem::take(&mut placed.assumed);
                self.release(class);
                return if confirmed { Wake::POD_PLACED } else { Wake::NONE };
            }
            Some(_) => Wake::POD_CHANGED,
            None => Wake::POD_PLACED,
        };
        let was = self.pods.remove(&pod.uid);
        self.account(&pod.uid, node, class, false);
        if let Some(was) = was {
            self.discount(&was);
        }
        wake
    }

    /// Takes out a pod.
    pub fn remove_pod(&mut self, uid: &str) -> Wake {
        let Some(placed) = self.pods.remove(uid) else { return Wake::NONE };
        self.discount(&placed);
        Wake::POD_GONE
    }

    fn discount(&mut self, placed: &Placed) {
        if let Some(slot) = self.classes.get_mut(&placed.class) {
            if let Some(node) = self.nodes.get_mut(placed.node as usize) {
                node.used.remove(&slot.class.needs);
            }
            if let Some(n) = slot.on.get_mut(&placed.node) {
                *n -= 1;
                if *n == 0 {
                    slot.on.remove(&placed.node);
                }
            }
        }
        self.release(placed.class);
        self.reclaim(placed.node);
    }

    /// Takes in a namespace's labels.
    pub fn apply_namespace(&mut self, name: &str, labels: BTreeMap<String, String>) -> Wake {
        let labels = Labels::from(labels);
        match self.namespaces.insert(name.into(), labels.clone()) {
            Some(was) if was == labels => Wake::NONE,
            _ => Wake::NAMESPACE,
        }
    }

    /// Takes out a namespace.
    pub fn remove_namespace(&mut self, name: &str) {
        self.namespaces.remove(name);
    }

    /// Gives back the place of a pod whose binding failed. A pod that the feed has shown on a node is left there.
    pub fn forget(&mut self, uid: &str) -> Wake {
        if self.pods.get(uid).is_some_and(|p| p.assumed) { self.remove_pod(uid) } else { Wake::NONE }
    }

    /// The node that a pod is on or assumed on.
    pub fn node_of(&self, uid: &str) -> Option<&Arc<str>> {
        let placed = self.pods.get(uid)?;
        self.nodes.get(placed.node as usize).map(|n| &n.name)
    }

    /// All nodes whose object exists.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|n| n.present)
    }

    /// How many nodes exist.
    pub fn node_count(&self) -> u32 {
        self.present
    }

    /// Counts a pod on a node before the feed shows it there.
    pub(crate) fn place(&mut self, uid: &Arc<str>, node: NodeId, class: ClassId) {
        self.remove_pod(uid);
        if let Some(slot) = self.classes.get_mut(&class) {
            slot.holds += 1;
        }
        self.account(uid, node, class, true);
    }

    fn account(&mut self, uid: &Arc<str>, node: NodeId, class: ClassId, assumed: bool) {
        if let (Some(slot), Some(on)) = (self.classes.get_mut(&class), self.nodes.get_mut(node as usize)) {
            *slot.on.entry(node).or_default() += 1;
            on.used.add(&slot.class.needs);
        }
        self.pods.insert(uid.clone(), Placed { node, class, assumed });
    }

    fn node_id(&mut self, name: &str) -> NodeId {
        if let Some(id) = self.by_name.get(name) {
            return *id;
        }
        let name: Arc<str> = name.into();
        let node = Node { tie: hash(&name), name: name.clone(), ..Node::default() };
        let reused = self.free.pop().and_then(|id| Some((id, self.nodes.get_mut(id as usize)?)));
        let id = match reused {
            Some((id, place)) => {
                *place = node;
                id
            }
            None => {
                self.nodes.push(node);
                NodeId::try_from(self.nodes.len() - 1).unwrap_or(NodeId::MAX)
            }
        };
        self.by_name.insert(name, id);
        id
    }

    /// The class' place, made if there is none, and held until [`Snapshot::release`].
    pub(crate) fn hold(&mut self, class: &Arc<PodClass>) -> ClassId {
        if let Some(id) = self.class_ids.get(class) {
            if let Some(slot) = self.classes.get_mut(id) {
                slot.holds += 1;
            }
            return *id;
        }
        let id = self.next_class;
        self.next_class = self.next_class.wrapping_add(1);
        self.class_ids.insert(class.clone(), id);
        if class.has_terms() {
            self.with_terms.insert(id);
        }
        self.classes.insert(id, ClassSlot { class: class.clone(), on: HashMap::new(), holds: 1 });
        id
    }

    /// Ends a hold; a class that nobody holds is forgotten.
    pub(crate) fn release(&mut self, id: ClassId) {
        let Some(slot) = self.classes.get_mut(&id) else { return };
        slot.holds = slot.holds.saturating_sub(1);
        if slot.holds == 0 {
            self.class_ids.remove(&slot.class);
            self.classes.remove(&id);
            self.with_terms.remove(&id);
        }
    }

    pub(crate) fn class(&self, id: ClassId) -> Option<&ClassSlot> {
        self.classes.get(&id)
    }
    pub(crate) fn classes(&self) -> impl Iterator<Item = (ClassId, &ClassSlot)> {
        self.classes.iter().map(|(id, slot)| (*id, slot))
    }
    pub(crate) fn classes_with_terms(&self) -> impl Iterator<Item = (ClassId, &ClassSlot)> {
        self.with_terms.iter().filter_map(|id| Some((*id, self.classes.get(id)?)))
    }
    /// All places of nodes, those without an object included.
    pub(crate) fn slots(&self) -> &[Node] {
        &self.nodes
    }
    pub(crate) fn namespace(&self, name: &str) -> &Labels {
        self.namespaces.get(name).unwrap_or(&self.no_labels)
    }
    /// On how many nodes an image is.
    pub(crate) fn image_spread(&self, image: &str) -> u32 {
        self.images.get(image).copied().unwrap_or_default()
    }
}

/// What in a node's change may let pods in.
fn difference(was: &NodeInfo, now: &NodeInfo) -> Wake {
    let rows = [
        (was.labels != now.labels, Wake::NODE_LABELS),
        (was.taints != now.taints || was.unschedulable != now.unschedulable, Wake::NODE_TAINTS),
        (was.allocatable != now.allocatable, Wake::NODE_ALLOCATABLE),
    ];
    rows.into_iter().filter(|(changed, _)| *changed).fold(Wake::NONE, |all, (_, wake)| all | wake)
}

/// FNV-1a: the same on every machine and in every version.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}
