//! Chooses nodes for the pods of one class within a batch. Pods of a class ask the same of a node, so the work is done once a class. Nodes that look the same
//! to all label and topology plug-ins share a bucket, a bucket keeps its nodes in a heap by score, and a placement moves only the nodes that it affects. The
//! next pod of the class therefore costs time by the number of buckets and not of nodes.
use crate::filter::{Check, FILTERS};
use crate::node::Node;
use crate::pod::PodClass;
use crate::reason::Diagnosis;
use crate::score::{LOCAL, Raw, SCALED, image_locality};
use crate::snapshot::{ClassId, NodeId, Snapshot};
use crate::topology::Topology;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

/// A pod just placed: what other classes' runs have to take in.
pub type Placement = (NodeId, ClassId);

/// Empty buckets are swept out beyond this number.
const SWEEP: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    score: i64,
    placed: Reverse<u32>,
    tie: u64,
    node: NodeId,
    version: u32,
}

#[derive(Default)]
struct Bucket {
    coordinates: Box<[i64]>,
    heap: BinaryHeap<Entry>,
}

#[derive(Clone, Copy, Default)]
struct Standing {
    /// Whether it takes a pod of the class, as far as filters over the node itself go. Never turns back to true: a batch only adds pods.
    open: bool,
    /// An entry of another version is outdated.
    version: u32,
    /// Pods that the batch placed here: among equals the emptier goes first.
    placed: u32,
    image: i64,
    /// Raw values of the scores over the node's object, in the order of [`SCALED`].
    raw: [i64; SCALED.len()],
}

struct Candidate {
    raw: [Option<i64>; SCALED.len()],
    best: Entry,
}

/// See the module.
pub struct Run {
    class: Arc<PodClass>,
    salt: u64,
    topology: Topology,
    standings: Vec<Standing>,
    buckets: Vec<Bucket>,
    index: HashMap<Box<[i64]>, usize>,
    /// How much of the batch's placements it has taken in.
    seen: usize,
    diagnosis: Option<Arc<Diagnosis>>,
    candidates: Vec<Candidate>,
}

impl Run {
    /// Filters and scores all nodes for `class`. `seen` placements of the batch are in the snapshot already; ties are broken by `salt`.
    pub fn new(snapshot: &Snapshot, class: Arc<PodClass>, seen: usize, salt: u64) -> Self {
        let standings: Vec<Standing> = snapshot.slots().iter().map(|node| standing(snapshot, &class, node)).collect();
        let open: Vec<bool> = standings.iter().map(|s| s.open).collect();
        let topology = Topology::new(snapshot, &class, &open);
        let mut run = Self { class, salt, topology, standings, buckets: Vec::new(), index: HashMap::new(), seen, diagnosis: None, candidates: Vec::new() };
        for node in (0..).zip(open).filter(|(_, open)| *open).map(|(node, _)| node) {
            run.enter(snapshot, node);
        }
        run
    }

    /// The best node for the next pod of the class, after the batch's placements so far.
    pub fn pick(&mut self, snapshot: &Snapshot, log: &[Placement]) -> Option<NodeId> {
        self.catch_up(snapshot, log);
        self.collect();
        let mut ranges = [(i64::MAX, i64::MIN); SCALED.len()];
        for candidate in &self.candidates {
            for (range, raw) in ranges.iter_mut().zip(candidate.raw) {
                if let Some(raw) = raw {
                    *range = (range.0.min(raw), range.1.max(raw));
                }
            }
        }
        let total = |c: &Candidate| {
            let scaled = SCALED
                .iter()
                .zip(c.raw)
                .zip(ranges)
                .filter_map(|((plugin, raw), (least, greatest))| Some(plugin.weight * (plugin.scale)(raw?, least, greatest)));
            Entry { score: c.best.score + scaled.sum::<i64>(), ..c.best }
        };
        self.candidates.iter().map(total).max().map(|best| best.node)
    }

    /// The best of each bucket that the place filters leave.
    fn collect(&mut self) {
        self.candidates.clear();
        let (mut counts, mut empty) = (Vec::new(), 0);
        for bucket in &mut self.buckets {
            let Some(best) = live_top(&mut bucket.heap, &self.standings) else {
                empty += 1;
                continue;
            };
            let (raws, coordinates) = bucket.coordinates.split_at(SCALED.len().min(bucket.coordinates.len()));
            let place = self.topology.place(coordinates, &mut counts);
            if FILTERS.iter().any(|f| matches!(f.check, Check::Place(check) if !check(&place).is_empty())) {
                continue;
            }
            let mut raw = [None; SCALED.len()];
            for ((out, plugin), object) in raw.iter_mut().zip(&SCALED).zip(raws) {
                *out = match plugin.raw {
                    Raw::Object(_) => Some(*object),
                    Raw::Place(score) => score(&place),
                };
            }
            self.candidates.push(Candidate { raw, best });
        }
        if empty > SWEEP && empty * 2 > self.buckets.len() {
            self.buckets.retain(|b| !b.heap.is_empty());
            self.index = self.buckets.iter().enumerate().map(|(at, b)| (b.coordinates.clone(), at)).collect();
        }
    }

    fn catch_up(&mut self, snapshot: &Snapshot, log: &[Placement]) {
        let mut moved = Vec::new();
        for (node, class) in log.get(self.seen..).unwrap_or_default() {
            moved.push(*node);
            self.topology.placed(snapshot, &self.class, *class, *node, &mut moved);
            if let Some(standing) = self.standings.get_mut(*node as usize) {
                standing.placed += 1;
            }
        }
        self.seen = log.len();
        moved.sort_unstable();
        moved.dedup();
        for node in moved {
            self.enter(snapshot, node);
        }
    }

    /// Puts a node where it belongs now; where it was before it is outdated.
    fn enter(&mut self, snapshot: &Snapshot, id: NodeId) {
        let (Some(standing), Some(node)) = (self.standings.get_mut(id as usize), snapshot.slots().get(id as usize)) else { return };
        standing.version += 1;
        let fits = |check: &Check| !matches!(check, Check::Usage(check) if !check(&self.class, node).is_empty());
        standing.open &= FILTERS.iter().all(|f| fits(&f.check));
        if !standing.open {
            return;
        }
        let score = standing.image + LOCAL.iter().map(|s| s.weight * (s.score)(&self.class, node)).sum::<i64>();
        let tie = mix(self.salt ^ node.tie);
        let entry = Entry { score, placed: Reverse(standing.placed), tie, node: id, version: standing.version };
        let mut coordinates = standing.raw.to_vec();
        self.topology.coordinates(id, &mut coordinates);
        if let Some(bucket) = self.index.get(coordinates.as_slice()).and_then(|at| self.buckets.get_mut(*at)) {
            bucket.heap.push(entry);
            return;
        }
        let coordinates: Box<[i64]> = coordinates.into();
        self.index.insert(coordinates.clone(), self.buckets.len());
        self.buckets.push(Bucket { coordinates, heap: BinaryHeap::from([entry]) });
    }

    /// Why no node takes a pod of the class: as of the first pod of the class that the batch couldn't place.
    pub fn diagnosis(&mut self, snapshot: &Snapshot) -> Arc<Diagnosis> {
        let diagnose = || Arc::new(diagnose(snapshot, &self.class, &self.topology));
        self.diagnosis.get_or_insert_with(diagnose).clone()
    }
}

fn standing(snapshot: &Snapshot, class: &PodClass, node: &Node) -> Standing {
    let refused = |check: &Check| matches!(check, Check::Object(check) if !check(class, node).is_empty());
    if !node.present || FILTERS.iter().any(|f| refused(&f.check)) {
        return Standing::default();
    }
    let mut raw = [0; SCALED.len()];
    for (out, plugin) in raw.iter_mut().zip(&SCALED) {
        if let Raw::Object(score) = plugin.raw {
            *out = score(class, node);
        }
    }
    let image = image_locality(class, node, snapshot.node_count(), |image| snapshot.image_spread(image));
    Standing { open: true, version: 0, placed: 0, image, raw }
}

/// The best entry of a heap that isn't outdated.
fn live_top(heap: &mut BinaryHeap<Entry>, standings: &[Standing]) -> Option<Entry> {
    while let Some(top) = heap.peek() {
        if standings.get(top.node as usize).is_some_and(|s| s.open && s.version == top.version) {
            return Some(*top);
        }
        heap.pop();
    }
    None
}

fn diagnose(snapshot: &Snapshot, class: &PodClass, topology: &Topology) -> Diagnosis {
    let mut diagnosis = Diagnosis { nodes: snapshot.node_count(), ..Diagnosis::default() };
    if diagnosis.nodes == 0 {
        diagnosis.wakes = crate::wake::Wake::NODE_ADDED;
    }
    let (mut coordinates, mut counts) = (Vec::new(), Vec::new());
    for (id, node) in (0..).zip(snapshot.slots()).filter(|(_, n)| n.present) {
        coordinates.clear();
        topology.coordinates(id, &mut coordinates);
        let place = topology.place(&coordinates, &mut counts);
        let verdict = FILTERS.iter().map(|f| {
            let verdict = match f.check {
                Check::Object(check) | Check::Usage(check) => check(class, node),
                Check::Place(check) => check(&place),
            };
            (verdict, f.wakes)
        });
        let Some((verdict, wakes)) = verdict.into_iter().find(|(v, _)| !v.is_empty()) else { continue };
        diagnosis.wakes |= wakes;
        for reason in verdict {
            *diagnosis.reasons.entry(reason).or_default() += 1;
        }
    }
    diagnosis
}

/// SplitMix64's finish: spreads equal scores over the nodes.
pub fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
