//! Amounts of resources: what a node has, what pods ask for.
use super::at_once::Amount;
use crate::quantity::Quantity;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// CPU that scores count for a container without a request, in thousandths of a core (Kubernetes' default).
pub const DEFAULT_MILLI_CPU: i64 = 100;
/// Memory that scores count for a container without a request, in bytes (Kubernetes' default).
pub const DEFAULT_MEMORY: i64 = 200 * 1024 * 1024;

/// A quantity as JSON carries it: usually a string, a number where a client was lazy.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum RawQuantity {
    /// `500m`, `1Gi`.
    Text(String),
    /// `2`.
    Number(serde_json::Number),
}

/// A resource list of the API.
pub type RawList = BTreeMap<String, RawQuantity>;

/// A quantity that doesn't parse, with the resource it was given for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{resource}: {quantity:?} is not a quantity")]
pub struct BadQuantity {
    /// The resource's name.
    pub resource: String,
    /// What was given.
    pub quantity: String,
}

/// Amounts: CPU in thousandths of a core, memory and ephemeral storage in bytes, others in their own unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Resources {
    /// Thousandths of a core.
    pub milli_cpu: i64,
    /// Bytes.
    pub memory: i64,
    /// Bytes.
    pub ephemeral_storage: i64,
    /// Number of pods; on nodes only.
    pub pods: i64,
    /// All others (devices, huge pages), sorted by name; never 0.
    pub extended: Vec<(Arc<str>, i64)>,
}

impl Resources {
    /// From a resource list.
    ///
    /// # Errors
    /// The first quantity that doesn't parse.
    pub fn parse(list: &RawList) -> Result<Self, BadQuantity> {
        let mut all = Self::default();
        for (name, quantity) in list {
            let text = match quantity {
                RawQuantity::Text(t) => t.clone(),
                RawQuantity::Number(n) => n.to_string(),
            };
            let quantity: Quantity = text.parse().map_err(|_| BadQuantity { resource: name.clone(), quantity: text.clone() })?;
            let amount = if name == "cpu" { quantity.milli() } else { quantity.value() };
            all.change(name, |_| i64::try_from(amount).unwrap_or(i64::MAX));
        }
        all.extended.retain(|(_, n)| *n != 0);
        Ok(all)
    }
    /// Changes the amount of a resource, given by its name in the API.
    fn change(&mut self, name: &str, f: impl FnOnce(i64) -> i64) {
        let slot = match name {
            "cpu" => &mut self.milli_cpu,
            "memory" => &mut self.memory,
            "ephemeral-storage" => &mut self.ephemeral_storage,
            "pods" => &mut self.pods,
            other => match self.extended.binary_search_by(|(n, _)| (**n).cmp(other)) {
                Err(at) => return self.extended.insert(at, (other.into(), f(0))),
                Ok(at) => match self.extended.get_mut(at) {
                    Some((_, n)) => n,
                    None => return,
                },
            },
        };
        *slot = f(*slot);
    }
    fn combine(&mut self, other: &Self, f: fn(i64, i64) -> i64) {
        self.milli_cpu = f(self.milli_cpu, other.milli_cpu);
        self.memory = f(self.memory, other.memory);
        self.ephemeral_storage = f(self.ephemeral_storage, other.ephemeral_storage);
        self.pods = f(self.pods, other.pods);
        for (name, n) in &other.extended {
            self.change(name, |own| f(own, *n));
        }
    }
    /// Adds.
    pub fn add(&mut self, other: &Self) {
        self.combine(other, i64::saturating_add);
    }
    /// Takes away.
    pub fn subtract(&mut self, other: &Self) {
        self.combine(other, i64::saturating_sub);
        self.extended.retain(|(_, n)| *n != 0);
    }
    /// The greater amount of each resource.
    pub fn max(&mut self, other: &Self) {
        self.combine(other, i64::max);
    }
    /// The amount of a device or other resource without a field of its own.
    pub fn extended(&self, name: &str) -> i64 {
        self.extended.binary_search_by(|(n, _)| (**n).cmp(name)).ok().and_then(|at| self.extended.get(at)).map_or(0, |(_, n)| *n)
    }
    /// Whether nothing is asked for.
    pub fn is_zero(&self) -> bool {
        self.milli_cpu == 0 && self.memory == 0 && self.ephemeral_storage == 0 && self.extended.is_empty()
    }
}

/// What one container asks for: once as it says, once with the defaults that scores count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Requests {
    /// As asked.
    pub exact: Resources,
    /// CPU with the default for containers that don't ask.
    pub scored_milli_cpu: i64,
    /// Memory with the default for containers that don't ask.
    pub scored_memory: i64,
}

impl Amount for Requests {
    fn add(&mut self, more: &Self) {
        Self::add(self, more);
    }
    fn max(&mut self, other: &Self) {
        Self::max(self, other);
    }
}

impl Requests {
    /// Of one container; a resource that is limited but not requested counts with its limit, as the API defaults it.
    ///
    /// # Errors
    /// The first quantity that doesn't parse.
    pub fn of_container(requests: Option<&RawList>, limits: Option<&RawList>) -> Result<Self, BadQuantity> {
        let mut list = limits.cloned().unwrap_or_default();
        list.extend(requests.into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())));
        let exact = Resources::parse(&list)?;
        let scored_milli_cpu = if list.contains_key("cpu") { exact.milli_cpu } else { DEFAULT_MILLI_CPU };
        let scored_memory = if list.contains_key("memory") { exact.memory } else { DEFAULT_MEMORY };
        Ok(Self { exact, scored_milli_cpu, scored_memory })
    }
    /// Adds.
    pub fn add(&mut self, other: &Self) {
        self.exact.add(&other.exact);
        self.scored_milli_cpu = self.scored_milli_cpu.saturating_add(other.scored_milli_cpu);
        self.scored_memory = self.scored_memory.saturating_add(other.scored_memory);
    }
    /// Takes away.
    pub fn subtract(&mut self, other: &Self) {
        self.exact.subtract(&other.exact);
        self.scored_milli_cpu = self.scored_milli_cpu.saturating_sub(other.scored_milli_cpu);
        self.scored_memory = self.scored_memory.saturating_sub(other.scored_memory);
    }
    /// The greater of each.
    pub fn max(&mut self, other: &Self) {
        self.exact.max(&other.exact);
        self.scored_milli_cpu = self.scored_milli_cpu.max(other.scored_milli_cpu);
        self.scored_memory = self.scored_memory.max(other.scored_memory);
    }
    /// Adds a pod's overhead, which is exact by nature.
    pub fn add_exact(&mut self, overhead: &Resources) {
        self.exact.add(overhead);
        self.scored_milli_cpu = self.scored_milli_cpu.saturating_add(overhead.milli_cpu);
        self.scored_memory = self.scored_memory.saturating_add(overhead.memory);
    }
    /// Replaces what a pod-level request sets for the pod as a whole.
    pub fn replace(&mut self, pod: &Resources, set: &RawList) {
        if set.contains_key("cpu") {
            (self.exact.milli_cpu, self.scored_milli_cpu) = (pod.milli_cpu, pod.milli_cpu);
        }
        if set.contains_key("memory") {
            (self.exact.memory, self.scored_memory) = (pod.memory, pod.memory);
        }
        for (name, n) in &pod.extended {
            self.exact.change(name, |_| *n);
        }
    }
}
