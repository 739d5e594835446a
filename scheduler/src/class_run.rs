//! Chooses nodes for the pods of one class within a batch. Pods of a class ask the same of a node, so the work is done once a class. Nodes that look the same
//! to all label and topology plug-ins share a bucket, a bucket keeps its nodes in a heap by score, and a placement moves only the nodes that it affects. The
//! next pod of the class therefore costs time by the number of buckets and not of nodes.
use crate::filter::{Check, FILTERS};
use crate::node::Node;
use crate::pod::PodClass;
use crate::reason::Diagnosis;
use crate::score::{LOCAL, Raw, SCALED, image_locality};
use crate::snapshot::{NodeId, Snapshot};
use crate::topology::{Shift, Topology};
use crate::verdict::{diagnose, whole};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

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
    /// Whether it takes a pod of the class, as far as filters go that other pods have no part in: holds as long as the run.
    allowed: bool,
    /// Whether it does as far as filters over the node itself go.
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
    /// How much of the batch's shifts it has taken in.
    seen: usize,
    /// State of volumes that it was made for.
    volumes: u64,
    diagnosis: Option<Arc<Diagnosis>>,
    candidates: Vec<Candidate>,
}

impl Run {
    /// Filters and scores all nodes for `class`. Of the batch's shifts those that are only expected are not in the snapshot's lists of pods, the others are.
    /// Ties are broken by `salt`.
    pub fn new(snapshot: &Snapshot, class: Arc<PodClass>, log: &[Shift], salt: u64) -> Self {
        let refused = whole(snapshot, &class).is_some();
        let of = |node| if refused { Standing::default() } else { standing(snapshot, &class, node) };
        let standings: Vec<Standing> = snapshot.slots().iter().map(of).collect();
        let allowed: Vec<bool> = standings.iter().map(|s| s.allowed).collect();
        let mut topology = Topology::new(snapshot, &class, &allowed);
        for shift in log.iter().filter(|s| s.expected) {
            topology.count_shift(snapshot, &class, *shift);
        }
        let (seen, volumes) = (log.len(), snapshot.volumes.generation());
        let mut run =
            Self { class, salt, topology, standings, buckets: Vec::new(), index: HashMap::new(), seen, volumes, diagnosis: None, candidates: Vec::new() };
        for node in (0..).zip(allowed).filter(|(_, allowed)| *allowed).map(|(node, _)| node) {
            run.enter(snapshot, node);
        }
        run
    }

    /// Whether what it found of the pods' claims holds no longer.
    pub fn is_outdated(&self, snapshot: &Snapshot) -> bool {
        !self.class.claims.is_empty() && self.volumes != snapshot.volumes.generation()
    }

    /// Whether a node takes a pod of the class.
    pub fn fits(&mut self, snapshot: &Snapshot, log: &[Shift], node: NodeId) -> bool {
        self.catch_up(snapshot, log);
        let (mut coordinates, mut counts) = (Vec::new(), Vec::new());
        self.topology.coordinates(node, &mut coordinates);
        let place = self.topology.place(&coordinates, &mut counts);
        let open =
            self.standings.get(node as usize).is_some_and(|s| s.allowed) && snapshot.slots().get(node as usize).is_some_and(|n| has_room(&self.class, n));
        open && FILTERS.iter().all(|f| !matches!(f.check, Check::Place(check) if !check(&place).is_empty()))
    }

    /// Counts of the pods around, as of the last shift that it took in.
    pub fn topology(&mut self) -> &mut Topology {
        &mut self.topology
    }

    /// The best node for the next pod of the class, after the batch's placements so far.
    pub fn pick(&mut self, snapshot: &Snapshot, log: &[Shift]) -> Option<NodeId> {
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

    fn catch_up(&mut self, snapshot: &Snapshot, log: &[Shift]) {
        let mut moved = Vec::new();
        for shift in log.get(self.seen..).unwrap_or_default() {
            moved.push(shift.node);
            self.topology.shift(snapshot, &self.class, *shift, &mut moved);
            if let Some(standing) = self.standings.get_mut(shift.node as usize).filter(|_| !shift.expected) {
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
        standing.open = standing.allowed && has_room(&self.class, node);
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

/// Whether what a node's pods leave is enough.
fn has_room(class: &PodClass, node: &Node) -> bool {
    FILTERS.iter().all(|f| !matches!(f.check, Check::Usage(check) if !check(class, node).is_empty()))
}

fn standing(snapshot: &Snapshot, class: &PodClass, node: &Node) -> Standing {
    let refused = |check: &Check| match check {
        Check::Object(check) => !check(class, node).is_empty(),
        Check::Volumes(check) if !class.claims.is_empty() => !check(class, node, &snapshot.volumes).is_empty(),
        _ => false,
    };
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
    Standing { allowed: true, open: false, version: 0, placed: 0, image, raw }
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

/// SplitMix64's finish: spreads equal scores over the nodes.
pub fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
