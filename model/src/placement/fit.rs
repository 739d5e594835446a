//! Whether a node satisfies what a pod requires.
use super::needs::Needs;
use super::node::Usage;
use super::resources::Resources;
use std::sync::Arc;

/// The name of the number of pods as a resource.
pub const PODS: &str = "pods";

/// A resource of which a node has too little left for a pod. Amounts are as [`Resources`] has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// The resource's name in the API.
    pub resource: Arc<str>,
    /// What the pod asks for.
    pub requested: i64,
    /// What the node's pods ask for.
    pub used: i64,
    /// What the node has.
    pub capacity: i64,
}

impl Lack {
    fn of(resource: &str, requested: i64, used: i64, capacity: i64) -> Option<Self> {
        let short = requested > 0 && requested > capacity.saturating_sub(used);
        short.then(|| Self { resource: resource.into(), requested, used, capacity })
    }
}

/// All that a node lacks for a pod: the number of pods first, then CPU, memory, ephemeral storage, and the others by name.
pub fn lacking<'a>(needs: &'a Needs, has: &'a Resources, usage: &'a Usage) -> impl Iterator<Item = Lack> + 'a {
    let (asked, used) = (&needs.requests.exact, &usage.requests.exact);
    let rows = [
        (PODS, 1, usage.pods, has.pods),
        ("cpu", asked.milli_cpu, used.milli_cpu, has.milli_cpu),
        ("memory", asked.memory, used.memory, has.memory),
        ("ephemeral-storage", asked.ephemeral_storage, used.ephemeral_storage, has.ephemeral_storage),
    ];
    let extended = asked.extended.iter().filter_map(|(name, n)| Lack::of(name, *n, used.extended(name), has.extended(name)));
    rows.into_iter().filter_map(|(name, asked, used, has)| Lack::of(name, asked, used, has)).chain(extended)
}

/// Whether a port that a pod wants is in use on the node.
pub fn ports_taken(needs: &Needs, usage: &Usage) -> bool {
    needs.ports.iter().any(|wanted| usage.ports.keys().any(|used| used.conflicts(wanted)))
}
