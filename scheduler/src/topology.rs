//! Counts of pods by topology domain. For one class of pods it holds the terms (spread constraints, affinity, anti-affinity, and terms of other pods that
//! concern it) and how many matching pods each domain has, and it is updated as pods are placed.
use crate::labels::{HOSTNAME, Labels};
use crate::node::Node;
use crate::pod::{Counted, PodClass, PodTerm, Spread, Weighted};
use crate::snapshot::{ClassId, NodeId, Snapshot};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// How much another pod's required affinity to this one counts in scores (Kubernetes' `hardPodAffinityWeight`).
const REQUIRED_AFFINITY_WEIGHT: i64 = 1;
/// Up to so many domains of a key, nodes are grouped by domain; beyond, by how many matching pods their domain has.
const COARSE_DOMAINS: usize = 48;

/// Pods of a class that came to a node or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shift {
    /// The node.
    pub node: NodeId,
    /// The class.
    pub class: ClassId,
    /// How many; negative: so many went.
    pub pods: i64,
    /// Whether they aren't there, but nominated to be.
    pub expected: bool,
}

/// What a term is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// A spread constraint that must hold.
    HardSpread {
        /// How uneven it may be.
        max_skew: i64,
        /// 1 when the pod is counted by its own constraint.
        self_match: i64,
        /// Below so many domains the least count is taken as 0.
        min_domains: i64,
    },
    /// A spread constraint that counts in scores.
    SoftSpread {
        /// How uneven it may be.
        max_skew: i64,
        /// Of one matching pod: less where there are few domains.
        weight: f64,
        /// Whether nodes without the key get the lowest score.
        needs_key: bool,
    },
    /// Required affinity.
    Affinity {
        /// Whether the pod satisfies all of its own terms, so that it may be the first.
        matches_itself: bool,
    },
    /// Required anti-affinity.
    AntiAffinity,
    /// Required anti-affinity of other pods against this one.
    ExistingAntiAffinity,
    /// Preferred affinity and anti-affinity of this pod and of others towards it: the count is a sum of weights.
    Preference,
}

/// How a term counts pods.
#[derive(Clone, Debug)]
enum Source {
    Spread(Spread),
    /// All required affinity terms at once, as Kubernetes counts them.
    Affinity,
    AntiAffinity(PodTerm),
    Existing,
    Preference,
}

/// One term and its counts by domain.
#[derive(Clone, Debug)]
pub struct Term {
    /// What it is about.
    pub rule: Rule,
    source: Source,
    key: usize,
    counts: Vec<i64>,
    /// Nodes whose pods count; `None`: all.
    eligible: Option<Vec<bool>>,
    /// For spread: how many domains have each count.
    histogram: BTreeMap<i64, u32>,
    total: i64,
}

impl Term {
    /// The least count of a domain, 0 while there are fewer domains than asked for.
    pub fn least(&self) -> i64 {
        let domains: i64 = self.histogram.values().map(|n| i64::from(*n)).sum();
        let least = self.histogram.keys().next().copied().unwrap_or_default();
        match self.rule {
            Rule::HardSpread { min_domains, .. } if domains < min_domains => 0,
            _ => least,
        }
    }
    /// Matching pods in all domains.
    pub fn total(&self) -> i64 {
        self.total
    }
    fn is_yes_or_no(&self) -> bool {
        matches!(self.rule, Rule::Affinity { .. } | Rule::AntiAffinity | Rule::ExistingAntiAffinity)
    }
    fn eligible(&self, node: NodeId) -> bool {
        self.eligible.as_ref().is_none_or(|all| all.get(node as usize).copied().unwrap_or_default())
    }
    fn add(&mut self, domain: usize, delta: i64) {
        let Some(count) = self.counts.get_mut(domain) else { return };
        let was = *count;
        *count += delta;
        self.total += delta;
        if let Some(n) = self.histogram.get_mut(&was) {
            *n -= 1;
            if *n == 0 {
                self.histogram.remove(&was);
            }
            *self.histogram.entry(was + delta).or_default() += 1;
        }
    }
}

/// The terms of a class with their counts at one place; `None`: the node lacks the term's key.
pub struct Place<'a> {
    terms: &'a [Term],
    counts: &'a [Option<i64>],
}

impl<'a> Place<'a> {
    /// Each term with its count here.
    pub fn terms(&self) -> impl Iterator<Item = (&'a Term, Option<i64>)> {
        self.terms.iter().zip(self.counts.iter().copied())
    }
}

/// A topology key and the domain of each node.
#[derive(Clone, Debug)]
struct TopologyKey {
    name: Arc<str>,
    domain_of: Vec<Option<u32>>,
    domains: usize,
    /// Nodes of each domain, for a key of many domains.
    members: Option<Vec<Vec<NodeId>>>,
}

impl TopologyKey {
    fn new(name: Arc<str>, nodes: &[Node]) -> Self {
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        let mut domain_of = Vec::with_capacity(nodes.len());
        for node in nodes {
            let value = if node.present { node.info.labels.get(&name) } else { None };
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            domain_of.push(value.map(|v| *numbers.entry(v).or_insert(next)));
        }
        let domains = numbers.len();
        let members = (domains > COARSE_DOMAINS).then(|| {
            let mut members = vec![Vec::new(); domains];
            for (node, domain) in (0..).zip(&domain_of) {
                if let Some(of) = domain.and_then(|d| members.get_mut(d as usize)) {
                    of.push(node);
                }
            }
            members
        });
        Self { name, domain_of, domains, members }
    }
    fn domain(&self, node: NodeId) -> Option<u32> {
        self.domain_of.get(node as usize).copied().flatten()
    }
}

/// A coordinate of a node that lacks the key.
const MISSING: i64 = i64::MIN;

/// All terms of one class over the nodes of a snapshot.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    keys: Vec<TopologyKey>,
    terms: Vec<Term>,
    deltas: HashMap<ClassId, Option<Arc<[i64]>>>,
}

impl Topology {
    /// The terms of `class`, counted over the snapshot; `open` says which nodes its node filters leave.
    pub fn new(snapshot: &Snapshot, class: &PodClass, open: &[bool]) -> Self {
        let mut topology = Self::default();
        topology.add_spread(snapshot, class, true, open);
        topology.add_spread(snapshot, class, false, open);
        topology.add_affinity(snapshot, class);
        topology.add_others(snapshot, class);
        if !topology.terms.is_empty() {
            topology.count(snapshot, class);
        }
        topology
    }

    fn key(&mut self, name: &Arc<str>, nodes: &[Node]) -> usize {
        if let Some(at) = self.keys.iter().position(|k| k.name == *name) {
            return at;
        }
        self.keys.push(TopologyKey::new(name.clone(), nodes));
        self.keys.len() - 1
    }

    fn add(&mut self, snapshot: &Snapshot, key: &Arc<str>, rule: Rule, source: Source) {
        let key = self.key(key, snapshot.slots());
        let domains = self.keys.get(key).map_or(0, |k| k.domains);
        self.terms.push(Term { rule, source, key, counts: vec![0; domains], eligible: None, histogram: BTreeMap::new(), total: 0 });
    }

    fn add_spread(&mut self, snapshot: &Snapshot, class: &PodClass, hard: bool, open: &[bool]) {
        let all: Vec<&Spread> = class.spread.iter().filter(|s| s.hard == hard).collect();
        let needs_key = hard || class.own_spread;
        let keyed = |labels: &Labels| !needs_key || all.iter().all(|s| labels.get(&s.topology_key).is_some());
        for spread in &all {
            let eligible: Vec<bool> = snapshot
                .slots()
                .iter()
                .map(|n| {
                    let affine = || !spread.honor_affinity || class.needs.may_run_on(&n.name, &n.info.labels);
                    let borne = || !spread.honor_taints || class.needs.untolerated(&n.info.taints).is_none();
                    n.present && keyed(&n.info.labels) && affine() && borne()
                })
                .collect();
            let rule = if hard {
                let self_match = i64::from(counts(&spread.counted, class, class));
                Rule::HardSpread { max_skew: spread.max_skew, self_match, min_domains: spread.min_domains }
            } else {
                let size = Self::domains_among(snapshot.slots(), open, &spread.topology_key, keyed);
                Rule::SoftSpread { max_skew: spread.max_skew, weight: (size as f64 + 2.0).ln(), needs_key }
            };
            self.add(snapshot, &spread.topology_key, rule, Source::Spread((*spread).clone()));
            let (Some(term), keys) = (self.terms.last_mut(), &self.keys) else { continue };
            let Some(key) = keys.get(term.key) else { continue };
            let domains: BTreeSet<u32> = (0..).zip(&eligible).filter(|(_, ok)| **ok).filter_map(|(n, _)| key.domain(n)).collect();
            term.histogram = BTreeMap::from([(0, u32::try_from(domains.len()).unwrap_or(u32::MAX))]);
            term.eligible = Some(eligible);
        }
    }

    /// How many domains the nodes that may be chosen have.
    fn domains_among(nodes: &[Node], open: &[bool], key: &str, keyed: impl Fn(&Labels) -> bool) -> usize {
        let chosen = nodes.iter().zip(open).filter(|(n, open)| **open && keyed(&n.info.labels)).map(|(n, _)| n);
        if key == HOSTNAME {
            return chosen.count();
        }
        chosen.filter_map(|n| n.info.labels.get(key)).collect::<BTreeSet<_>>().len()
    }

    fn add_affinity(&mut self, snapshot: &Snapshot, class: &PodClass) {
        let matches_itself = class.affinity.required.iter().all(|t| t.matches(class, snapshot.namespace(&class.namespace)));
        for term in &class.affinity.required {
            self.add(snapshot, &term.topology_key, Rule::Affinity { matches_itself }, Source::Affinity);
        }
        for term in &class.anti_affinity.required {
            self.add(snapshot, &term.topology_key, Rule::AntiAffinity, Source::AntiAffinity(term.clone()));
        }
    }

    /// One term a key for others' anti-affinity, and one a key for all preferences.
    fn add_others(&mut self, snapshot: &Snapshot, class: &PodClass) {
        let namespace = snapshot.namespace(&class.namespace);
        let own = class.affinity.preferred.iter().chain(&class.anti_affinity.preferred);
        let mut preferred: BTreeSet<Arc<str>> = own.map(|(_, t)| t.topology_key.clone()).collect();
        let mut refused = BTreeSet::new();
        for (_, other) in snapshot.classes_with_terms() {
            let (near, away) = (&other.class.affinity, &other.class.anti_affinity);
            let concerning = |t: &&PodTerm| t.matches(class, namespace);
            refused.extend(away.required.iter().filter(concerning).map(|t| t.topology_key.clone()));
            let weighted = near.preferred.iter().chain(&away.preferred).map(|(_, t)| t).chain(&near.required);
            preferred.extend(weighted.filter(concerning).map(|t| t.topology_key.clone()));
        }
        for key in refused {
            self.add(snapshot, &key, Rule::ExistingAntiAffinity, Source::Existing);
        }
        for key in preferred {
            self.add(snapshot, &key, Rule::Preference, Source::Preference);
        }
    }

    fn count(&mut self, snapshot: &Snapshot, class: &PodClass) {
        let own = self.terms.iter().any(|t| !matches!(t.source, Source::Existing)) && (class.has_terms() || !class.spread.is_empty());
        let relevant: Vec<ClassId> =
            if own { snapshot.classes().map(|(id, _)| id).collect() } else { snapshot.classes_with_terms().map(|(id, _)| id).collect() };
        for id in relevant {
            let (Some(slot), Some(deltas)) = (snapshot.class(id), self.deltas_of(snapshot, class, id)) else { continue };
            for (node, pods) in &slot.on {
                self.add_pods(*node, &deltas, i64::from(*pods), false);
            }
        }
    }

    /// Nobody can be near to pods that are only expected.
    fn add_pods(&mut self, node: NodeId, deltas: &[i64], pods: i64, expected: bool) {
        for (term, delta) in self.terms.iter_mut().zip(deltas) {
            let counts = *delta != 0 && !(expected && matches!(term.rule, Rule::Affinity { .. }));
            let domain = self.keys.get(term.key).and_then(|k| k.domain(node));
            if let Some(domain) = domain.filter(|_| counts && term.eligible(node)) {
                term.add(domain as usize, delta * pods);
            }
        }
    }

    /// What one pod of class `other` adds to each term; `None`: nothing.
    fn deltas_of(&mut self, snapshot: &Snapshot, class: &PodClass, other: ClassId) -> Option<Arc<[i64]>> {
        if let Some(known) = self.deltas.get(&other) {
            return known.clone();
        }
        let deltas = snapshot.class(other).and_then(|slot| {
            let all: Arc<[i64]> = self.terms.iter().map(|t| self.delta(snapshot, class, t, &slot.class)).collect();
            all.iter().any(|d| *d != 0).then_some(all)
        });
        self.deltas.insert(other, deltas.clone());
        deltas
    }

    fn delta(&self, snapshot: &Snapshot, class: &PodClass, term: &Term, other: &PodClass) -> i64 {
        let (here, there) = (snapshot.namespace(&class.namespace), snapshot.namespace(&other.namespace));
        let key = self.keys.get(term.key).map_or("", |k| &*k.name);
        let theirs = |t: &&PodTerm| *t.topology_key == *key && t.matches(class, here);
        let weights = |terms: &[Weighted<PodTerm>], pod: &PodClass, namespace: &Labels| -> i64 {
            terms.iter().filter(|(_, t)| *t.topology_key == *key && t.matches(pod, namespace)).map(|(w, _)| *w).sum()
        };
        match &term.source {
            Source::Spread(spread) => i64::from(counts(&spread.counted, class, other)),
            Source::Affinity => i64::from(class.affinity.required.iter().all(|t| t.matches(other, there))),
            Source::AntiAffinity(own) => i64::from(own.matches(other, there)),
            Source::Existing => as_i64(other.anti_affinity.required.iter().filter(theirs).count()),
            Source::Preference => {
                weights(&class.affinity.preferred, other, there) - weights(&class.anti_affinity.preferred, other, there)
                    + weights(&other.affinity.preferred, class, here)
                    - weights(&other.anti_affinity.preferred, class, here)
                    + REQUIRED_AFFINITY_WEIGHT * as_i64(other.affinity.required.iter().filter(theirs).count())
            }
        }
    }

    /// Whether where other pods are matters.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Counts pods of a class that came to a node (or went, if negative); the nodes whose coordinates changed are added to `moved`.
    pub fn shift(&mut self, snapshot: &Snapshot, class: &PodClass, shift: Shift, moved: &mut Vec<NodeId>) {
        let Some(deltas) = self.count_shift(snapshot, class, shift) else { return };
        for (at, key) in self.keys.iter().enumerate() {
            let touched = self.terms.iter().zip(&*deltas).any(|(t, d)| t.key == at && *d != 0);
            let members = key.members.as_ref().zip(key.domain(shift.node)).and_then(|(all, d)| all.get(d as usize));
            if let Some(members) = members.filter(|_| touched) {
                moved.extend(members);
            }
        }
    }

    /// The same without asking who moved: for pods that are counted back at once. What one of them adds to each term.
    pub fn count_shift(&mut self, snapshot: &Snapshot, class: &PodClass, shift: Shift) -> Option<Arc<[i64]>> {
        if self.terms.is_empty() {
            return None;
        }
        let deltas = self.deltas_of(snapshot, class, shift.class)?;
        self.add_pods(shift.node, &deltas, shift.pods, shift.expected);
        Some(deltas)
    }

    /// Appends a node's coordinates: nodes with the same ones are the same to all terms.
    pub fn coordinates(&self, node: NodeId, out: &mut Vec<i64>) {
        for (at, key) in self.keys.iter().enumerate() {
            let domain = key.domain(node);
            if key.members.is_none() {
                out.push(domain.map_or(MISSING, i64::from));
                continue;
            }
            for term in self.terms.iter().filter(|t| t.key == at) {
                let count = domain.and_then(|d| term.counts.get(d as usize)).copied();
                out.push(count.map_or(MISSING, |n| if term.is_yes_or_no() { n.min(1) } else { n }));
            }
        }
    }

    /// The terms' counts at a place with these coordinates; `counts` is scratch.
    pub fn place<'a>(&'a self, coordinates: &[i64], counts: &'a mut Vec<Option<i64>>) -> Place<'a> {
        counts.clear();
        counts.resize(self.terms.len(), None);
        let mut coordinates = coordinates.iter().copied();
        for (at, key) in self.keys.iter().enumerate() {
            let domain = if key.members.is_none() { coordinates.next() } else { None };
            for (term, count) in self.terms.iter().zip(counts.iter_mut()).filter(|(t, _)| t.key == at) {
                *count = match domain {
                    Some(domain) => usize::try_from(domain).ok().and_then(|d| term.counts.get(d)).copied(),
                    None => coordinates.next().filter(|n| *n != MISSING),
                };
            }
        }
        Place { terms: &self.terms, counts }
    }
}

/// Whether a constraint of `class` counts a pod of class `other`.
fn counts(counted: &Counted, class: &PodClass, other: &PodClass) -> bool {
    let chosen = || match counted {
        Counted::Labels(selector) => selector.matches(&other.labels),
        Counted::Workload => class.workload == other.workload,
    };
    !other.terminating && class.namespace == other.namespace && chosen()
}

fn as_i64(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
