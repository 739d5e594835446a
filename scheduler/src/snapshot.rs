//! The cluster as the scheduler sees it, kept incrementally from changes. Pods that were just placed count at once
//! ([`Snapshot::place`]), until the feed shows them or their binding fails ([`Snapshot::forget`]).
use crate::budgets::Budgets;
use crate::labels::Labels;
use crate::node::{Node, NodeInfo, Resident};
use crate::nominations::Nominations;
use crate::pod::{PodClass, PodInfo};
use crate::volumes::Volumes;
use crate::wake::Wake;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
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
    pub on: BTreeMap<NodeId, u32>,
    /// Pods placed, and batches that are about to place some.
    holds: u32,
}

#[derive(Clone, Debug)]
struct Placed {
    pod: Arc<Resident>,
    node: NodeId,
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
    /// How many pods of each priority have a node.
    priorities: BTreeMap<i32, u32>,
    /// Pods that were told to go, until the feed shows that they do.
    condemned: HashSet<Arc<str>>,
    /// Claims and volumes.
    pub volumes: Volumes,
    /// Disruption budgets.
    pub budgets: Budgets,
    /// Pods without a node for which room was made on one.
    pub nominations: Nominations,
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
        if pod.class.terminating {
            self.condemned.remove(&pod.uid);
        }
        let wake = match self.pods.get_mut(&pod.uid) {
            Some(placed) if placed.node == node && placed.pod.class == class => {
                let confirmed = std::mem::take(&mut placed.assumed);
                self.release(class);
                self.renew(pod, class);
                return if confirmed { Wake::POD_PLACED } else { Wake::NONE };
            }
            Some(_) => Wake::POD_CHANGED,
            None => Wake::POD_PLACED,
        };
        self.volumes.release(&pod.uid);
        let was = self.pods.remove(&pod.uid);
        self.account(resident(pod, class), node, false);
        if let Some(was) = was {
            self.discount(&was);
        }
        wake
    }

    /// Takes over what changed in a pod that stays where it is.
    fn renew(&mut self, pod: &PodInfo, class: ClassId) {
        self.volumes.release(&pod.uid);
        let now = resident(pod, class);
        let Some(placed) = self.pods.get_mut(&pod.uid).filter(|p| *p.pod != now) else { return };
        let now = Arc::new(now);
        self.priorities.entry(now.priority).and_modify(|n| *n += 1).or_insert(1);
        subtract(&mut self.priorities, placed.pod.priority);
        placed.pod = now.clone();
        let slot = self.nodes.get_mut(placed.node as usize).and_then(|n| n.pods.iter_mut().find(|p| p.uid == now.uid));
        if let Some(slot) = slot {
            *slot = now;
        }
    }

    /// Takes out a pod.
    pub fn remove_pod(&mut self, uid: &str) -> Wake {
        self.condemned.remove(uid);
        self.volumes.release(uid);
        let Some(placed) = self.pods.remove(uid) else { return Wake::NONE };
        self.discount(&placed);
        Wake::POD_GONE
    }

    fn discount(&mut self, placed: &Placed) {
        let class = placed.pod.class;
        self.lift(placed.node, class);
        if let Some(node) = self.nodes.get_mut(placed.node as usize)
            && let Some(at) = node.pods.iter().position(|p| p.uid == placed.pod.uid)
        {
            node.pods.swap_remove(at);
        }
        if let Some(slot) = self.classes.get_mut(&class) {
            subtract(&mut slot.on, placed.node);
        }
        subtract(&mut self.priorities, placed.pod.priority);
        self.release(class);
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
    pub(crate) fn place(&mut self, pod: &PodInfo, node: NodeId, class: ClassId) {
        self.remove_pod(&pod.uid);
        if let Some(slot) = self.classes.get_mut(&class) {
            slot.holds += 1;
        }
        self.account(resident(pod, class), node, true);
    }

    fn account(&mut self, pod: Resident, node: NodeId, assumed: bool) {
        let (class, pod) = (pod.class, Arc::new(pod));
        self.lay(node, class);
        if let (Some(slot), Some(on)) = (self.classes.get_mut(&class), self.nodes.get_mut(node as usize)) {
            *slot.on.entry(node).or_default() += 1;
            on.pods.push(pod.clone());
        }
        *self.priorities.entry(pod.priority).or_default() += 1;
        self.pods.insert(pod.uid.clone(), Placed { pod, node, assumed });
    }

    /// Counts what a pod of a class uses on a node, without the pod.
    pub(crate) fn lay(&mut self, node: NodeId, class: ClassId) {
        if let (Some(slot), Some(on)) = (self.classes.get(&class), self.nodes.get_mut(node as usize)) {
            on.used.add(&slot.class.needs);
            self.volumes.count(&slot.class, true);
        }
    }

    /// Counts it no longer.
    pub(crate) fn lift(&mut self, node: NodeId, class: ClassId) {
        if let (Some(slot), Some(on)) = (self.classes.get(&class), self.nodes.get_mut(node as usize)) {
            on.used.remove(&slot.class.needs);
            self.volumes.count(&slot.class, false);
        }
    }

    /// A pod that was told to go.
    pub(crate) fn condemn(&mut self, uid: &Arc<str>) {
        self.condemned.insert(uid.clone());
    }

    /// It wasn't told after all.
    pub fn spare(&mut self, uid: &str) {
        self.condemned.remove(uid);
    }

    /// Whether a pod goes to make room.
    pub(crate) fn makes_room(&self, pod: &Resident) -> bool {
        pod.leaving && pod.preempted || self.condemned.contains(&pod.uid)
    }

    /// Whether a pod goes anyhow.
    pub(crate) fn is_leaving(&self, pod: &Resident) -> bool {
        pod.leaving || self.condemned.contains(&pod.uid)
    }

    /// Pods that were told to go and are not yet seen to.
    pub(crate) fn condemned(&self) -> impl Iterator<Item = &Arc<Resident>> {
        self.condemned.iter().filter_map(|uid| self.pods.get(uid)).map(|placed| &placed.pod)
    }

    /// The least priority of a pod that has a node.
    pub(crate) fn lowest_priority(&self) -> Option<i32> {
        self.priorities.keys().next().copied()
    }

    /// The place of a node whose object exists.
    pub(crate) fn present(&self, name: &str) -> Option<NodeId> {
        let id = self.by_name.get(name).copied()?;
        self.nodes.get(id as usize).filter(|n| n.present).map(|_| id)
    }

    /// A node whose object exists.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.get(self.present(name)? as usize)
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
        self.classes.insert(id, ClassSlot { class: class.clone(), on: BTreeMap::new(), holds: 1 });
        id
    }

    /// One hold more of a class that is held.
    pub(crate) fn keep(&mut self, id: ClassId) {
        if let Some(slot) = self.classes.get_mut(&id) {
            slot.holds += 1;
        }
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

fn resident(pod: &PodInfo, class: ClassId) -> Resident {
    Resident {
        uid: pod.uid.clone(),
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        priority: pod.priority,
        started: pod.started,
        leaving: pod.class.terminating,
        preempted: pod.preempted,
        generation: pod.generation,
        class,
    }
}

/// One less of a key.
fn subtract<K: Ord>(counts: &mut BTreeMap<K, u32>, key: K) {
    if let Some(n) = counts.get_mut(&key) {
        *n = n.saturating_sub(1);
        if *n == 0 {
            counts.remove(&key);
        }
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
