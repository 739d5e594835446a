//! Filter plug-ins: each one pure function and one line in [`FILTERS`].
use crate::node::{Effect, Node, Taint};
use crate::pod::PodClass;
use crate::reason::{Reason, Verdict};
use crate::topology::{Place, Rule};
use crate::volumes::Volumes;
use crate::volumes::filter as storage;
use crate::wake::Wake;
use crate::watched::Watched;
use model::placement::fit::{self, Lack};

/// What a filter looks at, which tells how long its verdict holds.
#[derive(Clone, Copy)]
pub enum Check {
    /// The pod itself and the claims that it names: what it says keeps the pod from all nodes.
    Pod(fn(&PodClass, &Volumes) -> Option<String>),
    /// The node's object: holds for a whole batch.
    Object(fn(&PodClass, &Node) -> Verdict),
    /// What the node's pods use: changes when a pod is placed on it.
    Usage(fn(&PodClass, &Node) -> Verdict),
    /// The pod's claims and what volumes there are: changes when volumes are reserved, or claims for one pod used.
    Volumes(fn(&PodClass, &Node, &Volumes) -> Verdict),
    /// Pods around the node: changes when a pod is placed in one of its domains.
    Place(fn(&Place<'_>) -> Verdict),
}

/// A filter plug-in.
pub struct Filter {
    /// Kubernetes' name of it.
    pub name: &'static str,
    /// The function.
    pub check: Check,
    /// What may change a verdict of it for the better.
    pub wakes: Wake,
    /// What it is computed from, beside the pod: the scheduler watches these.
    pub reads: &'static [Watched],
}

const TAINTS: Wake = Wake::NODE_ADDED.and(Wake::NODE_TAINTS);
const AROUND: Wake = Wake::NODE_ADDED.and(Wake::NODE_LABELS).and(Wake::POD_GONE).and(Wake::POD_PLACED).and(Wake::POD_CHANGED);
const STORAGE: Wake = Wake::NODE_ADDED.and(Wake::NODE_LABELS).and(Wake::CLAIM).and(Wake::VOLUME).and(Wake::STORAGE_CLASS);
const CLAIMS: Wake = Wake::CLAIM.and(Wake::VOLUME).and(Wake::STORAGE_CLASS);
const OBJECT: &[Watched] = &[Watched::NODES];
const USAGE: &[Watched] = &[Watched::NODES, Watched::PODS];
const SURROUNDINGS: &[Watched] = &[Watched::NODES, Watched::PODS, Watched::NAMESPACES];
const VOLUMES: &[Watched] = &[Watched::NODES, Watched::PODS, Watched::CLAIMS, Watched::VOLUMES, Watched::STORAGE_CLASSES];

const fn filter(name: &'static str, check: Check, wakes: Wake, reads: &'static [Watched]) -> Filter {
    Filter { name, check, wakes, reads }
}

/// All filters, in the order in which they are asked: a node's reasons are those of the first that refuses it.
pub const FILTERS: [Filter; 12] = [
    filter("VolumeRestrictions", Check::Pod(storage::missing), CLAIMS, VOLUMES),
    filter("VolumeBinding", Check::Pod(storage::unusable), CLAIMS, VOLUMES),
    filter("NodeUnschedulable", Check::Object(cordoned), TAINTS, OBJECT),
    filter("TaintToleration", Check::Object(taints), TAINTS, OBJECT),
    filter("NodeAffinity", Check::Object(node_affinity), Wake::NODE_ADDED.and(Wake::NODE_LABELS), OBJECT),
    filter("NodePorts", Check::Usage(ports), Wake::NODE_ADDED.and(Wake::POD_GONE), USAGE),
    filter("NodeResourcesFit", Check::Usage(fit), Wake::NODE_ADDED.and(Wake::NODE_ALLOCATABLE).and(Wake::POD_GONE), USAGE),
    filter("VolumeRestrictions", Check::Volumes(storage::in_use), Wake::POD_GONE.and(Wake::CLAIM), VOLUMES),
    filter("VolumeBinding", Check::Volumes(storage::binding), STORAGE, VOLUMES),
    filter("VolumeZone", Check::Volumes(storage::zone), STORAGE, VOLUMES),
    filter("PodTopologySpread", Check::Place(spread), AROUND.and(Wake::NODE_TAINTS).and(Wake::NODE_REMOVED), USAGE),
    filter("InterPodAffinity", Check::Place(inter_pod_affinity), AROUND.and(Wake::NAMESPACE), SURROUNDINGS),
];

fn unless(ok: bool, reason: Reason) -> Verdict {
    if ok { Verdict::new() } else { vec![reason] }
}

fn cordoned(pod: &PodClass, node: &Node) -> Verdict {
    let taint = || Taint { key: "node.kubernetes.io/unschedulable".into(), value: "".into(), effect: Effect::NoSchedule };
    unless(!node.info.unschedulable || pod.needs.untolerated(&[taint()]).is_none(), Reason::Cordoned)
}

fn taints(pod: &PodClass, node: &Node) -> Verdict {
    pod.needs.untolerated(&node.info.taints).map(|t| Reason::Taint { key: t.key.clone(), value: t.value.clone() }).into_iter().collect()
}

fn node_affinity(pod: &PodClass, node: &Node) -> Verdict {
    if pod.needs.may_run_on(&node.name, &node.info.labels) {
        return Verdict::new();
    }
    let named = pod.needs.node_terms.as_deref().and_then(crate::labels::pinned_names);
    vec![if named.is_some_and(|names| !names.contains(&node.name)) { Reason::NotNamed } else { Reason::NodeAffinity }]
}

fn ports(pod: &PodClass, node: &Node) -> Verdict {
    unless(!fit::ports_taken(&pod.needs, &node.used), Reason::Ports)
}

fn fit(pod: &PodClass, node: &Node) -> Verdict {
    let reason = |lack: Lack| match lack.resource {
        pods if &*pods == fit::PODS => Reason::TooManyPods,
        resource if lack.requested > lack.capacity => Reason::TooSmall(resource),
        resource => Reason::Insufficient(resource),
    };
    fit::lacking(&pod.needs, &node.info.allocatable, &node.used).map(reason).collect()
}

fn spread(place: &Place<'_>) -> Verdict {
    for (term, count) in place.terms() {
        let Rule::HardSpread { max_skew, self_match, .. } = term.rule else { continue };
        let Some(count) = count else { return vec![Reason::SpreadLabel] };
        if count + self_match - term.least() > max_skew {
            return vec![Reason::Spread];
        }
    }
    Verdict::new()
}

/// The first pod of a group that must be near to its like finds none: it may go anywhere where all of the keys are.
fn inter_pod_affinity(place: &Place<'_>) -> Verdict {
    let (mut near, mut keyed, mut first) = (true, true, true);
    let (mut away, mut left_alone) = (true, true);
    for (term, count) in place.terms() {
        match term.rule {
            Rule::Affinity { matches_itself } => {
                keyed &= count.is_some();
                near &= count.is_some_and(|n| n > 0);
                first &= matches_itself && term.total() == 0;
            }
            Rule::AntiAffinity => away &= count.is_none_or(|n| n == 0),
            Rule::ExistingAntiAffinity => left_alone &= count.is_none_or(|n| n == 0),
            Rule::HardSpread { .. } | Rule::SoftSpread { .. } | Rule::Preference => {}
        }
    }
    match (keyed && (near || first), away, left_alone) {
        (false, ..) => vec![Reason::Affinity],
        (_, false, _) => vec![Reason::AntiAffinity],
        (_, _, false) => vec![Reason::ExistingAntiAffinity],
        _ => Verdict::new(),
    }
}
