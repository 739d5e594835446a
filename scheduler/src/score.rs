//! Score plug-ins. Those over a node's own usage are added up as they are ([`LOCAL`]); those over labels and places are first
//! scaled to 0..100 over the nodes that may be chosen ([`SCALED`]). Weights are Kubernetes'.
use crate::node::{Effect, Node};
use crate::pod::PodClass;
use crate::topology::{Place, Rule};

/// The greatest score of a plug-in.
pub const MAX: i64 = 100;

/// A score over a node's own state, 0..100.
pub struct Local {
    /// Kubernetes' name of it.
    pub name: &'static str,
    /// How often it counts.
    pub weight: i64,
    /// The function.
    pub score: fn(&PodClass, &Node) -> i64,
}

/// Scores over what a node's pods use.
pub const LOCAL: [Local; 2] =
    [Local { name: "NodeResourcesFit", weight: 1, score: least_allocated }, Local { name: "NodeResourcesBalancedAllocation", weight: 1, score: balanced }];

/// What a scaled score is computed from.
#[derive(Clone, Copy)]
pub enum Raw {
    /// The node's object: holds for a whole batch.
    Object(fn(&PodClass, &Node) -> i64),
    /// Pods around the node; `None`: the plug-in leaves the node at 0.
    Place(fn(&Place<'_>) -> Option<i64>),
}

/// A score whose raw values are scaled over all nodes that may be chosen.
pub struct Scaled {
    /// Kubernetes' name of it.
    pub name: &'static str,
    /// How often it counts.
    pub weight: i64,
    /// The raw value.
    pub raw: Raw,
    /// From a raw value, the least and the greatest to 0..100.
    pub scale: fn(i64, i64, i64) -> i64,
}

/// Scores over labels and places.
pub const SCALED: [Scaled; 4] = [
    Scaled { name: "NodeAffinity", weight: 2, raw: Raw::Object(node_affinity), scale: share_of_greatest },
    Scaled { name: "TaintToleration", weight: 3, raw: Raw::Object(unwanted_taints), scale: inverse_of_greatest },
    Scaled { name: "PodTopologySpread", weight: 2, raw: Raw::Place(spread), scale: fewest_first },
    Scaled { name: "InterPodAffinity", weight: 2, raw: Raw::Place(preferences), scale: within_range },
];

/// The share of CPU and memory that is left, containers without requests counted with defaults.
fn least_allocated(pod: &PodClass, node: &Node) -> i64 {
    let (has, used, asked) = (&node.info.allocatable, &node.used.requests, &pod.needs.requests);
    let rows = [(has.milli_cpu, used.scored_milli_cpu + asked.scored_milli_cpu), (has.memory, used.scored_memory + asked.scored_memory)];
    let shares = rows.into_iter().filter(|(has, _)| *has > 0).map(|(has, used)| if used > has { 0 } else { (has - used).saturating_mul(MAX) / has });
    let (sum, n) = shares.fold((0, 0), |(sum, n), share| (sum + share, n + 1));
    if n == 0 { 0 } else { sum / n }
}

/// How evenly CPU and memory are used: 100 less the standard deviation of the two shares in percent.
fn balanced(pod: &PodClass, node: &Node) -> i64 {
    let (has, used, asked) = (&node.info.allocatable, &node.used.requests.exact, &pod.needs.requests.exact);
    if asked.milli_cpu == 0 && asked.memory == 0 {
        return 0;
    }
    let share = |has: i64, used: i64| if has > 0 { Some((used as f64 / has as f64).min(1.0)) } else { None };
    let deviation = match (share(has.milli_cpu, used.milli_cpu + asked.milli_cpu), share(has.memory, used.memory + asked.memory)) {
        (Some(cpu), Some(memory)) => ((cpu - memory) / 2.0).abs(),
        _ => 0.0,
    };
    ((1.0 - deviation) * MAX as f64) as i64
}

/// Images count from this size on, in bytes.
const IMAGE_MIN: i64 = 23 << 20;
/// And up to this size a container.
const IMAGE_MAX: i64 = 1000 << 20;

/// How much of the pod's images is on the node, each image by the share of nodes that hold it, so that an image on one node doesn't draw all pods there.
/// `spread` is on how many of `nodes` nodes an image is.
pub fn image_locality(pod: &PodClass, node: &Node, nodes: u32, spread: impl Fn(&str) -> u32) -> i64 {
    let size = |image: &std::sync::Arc<str>| {
        let bytes = node.info.images.get(image).copied().unwrap_or_default();
        (bytes as f64 * (f64::from(spread(image)) / f64::from(nodes.max(1)))) as i64
    };
    let most = IMAGE_MAX.saturating_mul(i64::try_from(pod.images.len()).unwrap_or(1));
    let sum = pod.images.iter().map(size).sum::<i64>().clamp(IMAGE_MIN, most.max(IMAGE_MIN));
    if most <= IMAGE_MIN { 0 } else { MAX * (sum - IMAGE_MIN) / (most - IMAGE_MIN) }
}

fn node_affinity(pod: &PodClass, node: &Node) -> i64 {
    pod.node_preferences.iter().filter(|(_, term)| term.matches(&node.name, &node.info.labels)).map(|(weight, _)| weight).sum()
}

fn unwanted_taints(pod: &PodClass, node: &Node) -> i64 {
    let unwanted = node.info.taints.iter().filter(|t| t.effect == Effect::PreferNoSchedule);
    let borne = |t: &&crate::node::Taint| pod.needs.tolerations.iter().any(|o| o.is_for(Effect::PreferNoSchedule) && o.tolerates(t));
    i64::try_from(unwanted.filter(|t| !borne(t)).count()).unwrap_or(i64::MAX)
}

fn spread(place: &Place<'_>) -> Option<i64> {
    let mut sum = None;
    for (term, count) in place.terms() {
        let Rule::SoftSpread { max_skew, weight, needs_key } = term.rule else { continue };
        match count {
            Some(count) => *sum.get_or_insert(0.0) += count as f64 * weight + (max_skew - 1) as f64,
            None if needs_key => return None,
            None => _ = sum.get_or_insert(0.0),
        }
    }
    sum.map(|s| s.round() as i64)
}

fn preferences(place: &Place<'_>) -> Option<i64> {
    let preferred = place.terms().filter(|(term, _)| matches!(term.rule, Rule::Preference));
    preferred.map(|(_, count)| count.unwrap_or_default()).reduce(|a, b| a + b)
}

fn share_of_greatest(raw: i64, _: i64, greatest: i64) -> i64 {
    if greatest == 0 { 0 } else { MAX * raw / greatest }
}

fn inverse_of_greatest(raw: i64, least: i64, greatest: i64) -> i64 {
    MAX - share_of_greatest(raw, least, greatest)
}

fn fewest_first(raw: i64, least: i64, greatest: i64) -> i64 {
    if greatest == 0 { MAX } else { MAX * (greatest + least - raw) / greatest }
}

fn within_range(raw: i64, least: i64, greatest: i64) -> i64 {
    if greatest == least { 0 } else { MAX * (raw - least) / (greatest - least) }
}
