//! What a pod asks of a node.
use super::at_once::{Part, at_once};
use super::error::ParseError;
use super::labels::{Labelled, NodeTerm, Selector};
use super::ports::HostPort;
use super::resources::{BadQuantity, RawList, Requests, Resources};
use super::taints::{Effect, Taint, Toleration};
use crate::Stored;
use k8s_openapi::api::core::v1::{Affinity, Toleration as ApiToleration, TopologySpreadConstraint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

/// What a pod asks of the one node that it runs on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Needs {
    /// What it asks for.
    pub requests: Requests,
    /// Ports on the node.
    pub ports: Vec<HostPort>,
    /// `spec.nodeSelector`.
    pub node_selector: Selector,
    /// Required node affinity: one term of these, where there are any.
    pub node_terms: Option<Vec<NodeTerm>>,
    /// Taints that it bears.
    pub tolerations: Vec<Toleration>,
}

impl Needs {
    /// From a stored Pod.
    ///
    /// # Errors
    /// [`ParseError`] when the object isn't a Pod.
    pub fn parse(stored: &Stored) -> Result<Self, ParseError> {
        Self::of_json(stored.json())
    }
    /// From a Pod in JSON.
    ///
    /// # Errors
    /// [`ParseError`] when it is none.
    pub fn of_json(json: &[u8]) -> Result<Self, ParseError> {
        #[derive(Deserialize)]
        struct RawPod {
            spec: RawSpec,
        }
        Ok(serde_json::from_slice::<RawPod>(json)?.spec.needs()?)
    }
    /// Whether required node affinity and the node selector leave a node.
    pub fn may_run_on(&self, name: &str, labels: &impl Labelled) -> bool {
        self.node_selector.matches(labels) && self.node_terms.as_ref().is_none_or(|terms| terms.iter().any(|t| t.matches(name, labels)))
    }
    /// The first taint of `NoSchedule` or `NoExecute` that the pod doesn't tolerate.
    pub fn untolerated<'a>(&self, taints: &'a [Taint]) -> Option<&'a Taint> {
        self.untolerated_of(taints, |effect| effect != Effect::PreferNoSchedule)
    }
    /// The first taint of `NoExecute` that the pod doesn't tolerate.
    pub fn evicted_by<'a>(&self, taints: &'a [Taint]) -> Option<&'a Taint> {
        self.untolerated_of(taints, |effect| effect == Effect::NoExecute)
    }
    fn untolerated_of<'a>(&self, taints: &'a [Taint], concerns: fn(Effect) -> bool) -> Option<&'a Taint> {
        taints.iter().find(|t| concerns(t.effect) && !self.tolerations.iter().any(|o| o.tolerates(t)))
    }
}

/// Of a pod's spec, what decides where it may run; read without the rest, as there may be many pods.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RawSpec {
    /// Where it is bound.
    pub node_name: Option<String>,
    /// Whose it is to place.
    pub scheduler_name: Option<String>,
    /// Its priority.
    pub priority: Option<i32>,
    /// Whether it may preempt others.
    pub preemption_policy: Option<String>,
    /// What holds it back.
    pub scheduling_gates: Option<Vec<IgnoredAny>>,
    /// Whether it has the node's addresses.
    pub host_network: Option<bool>,
    /// Its containers.
    pub containers: Option<Vec<RawContainer>>,
    /// What runs before them, or beside them from the beginning.
    pub init_containers: Option<Vec<RawContainer>>,
    /// Labels that its node must have.
    pub node_selector: Option<BTreeMap<String, String>>,
    /// Nodes and pods to be near to or away from.
    pub affinity: Option<Affinity>,
    /// Taints that it bears.
    pub tolerations: Option<Vec<ApiToleration>>,
    /// How its like are to be spread.
    pub topology_spread_constraints: Option<Vec<TopologySpreadConstraint>>,
    /// What it takes beside its containers.
    pub overhead: Option<RawList>,
    /// What it asks for as a whole.
    pub resources: Option<RawResources>,
    /// Its volumes.
    pub volumes: Option<Vec<RawVolume>>,
}

/// A volume of it, as far as that is a claim's.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RawVolume {
    /// Its name.
    pub name: String,
    /// The claim that it names.
    pub persistent_volume_claim: Option<RawClaim>,
    /// Whether it has a claim of its own.
    pub ephemeral: Option<IgnoredAny>,
}

/// The claim of a volume.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RawClaim {
    /// Its name.
    pub claim_name: String,
}

/// Of a container's status, what the container has of its node: another size may be wanted than it has.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RawSize {
    #[serde(default)]
    name: String,
    allocated_resources: Option<RawList>,
    resources: Option<RawResources>,
}

impl RawSize {
    fn allotted(&self) -> Option<&RawList> {
        self.allocated_resources.as_ref()
    }
    fn actual(&self) -> Option<&RawList> {
        self.resources.as_ref().and_then(|r| r.requests.as_ref()).or(self.allocated_resources.as_ref())
    }
}

/// A container of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RawContainer {
    #[serde(default)]
    name: String,
    /// Its image.
    pub image: Option<String>,
    ports: Option<Vec<RawPort>>,
    resources: Option<RawResources>,
    restart_policy: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPort {
    #[serde(rename = "hostIP")]
    host_ip: Option<String>,
    host_port: Option<i32>,
    container_port: Option<i32>,
    protocol: Option<String>,
}

/// What is asked for.
#[derive(Deserialize)]
pub struct RawResources {
    requests: Option<RawList>,
    limits: Option<RawList>,
}

impl RawContainer {
    fn requests(&self) -> Result<Requests, BadQuantity> {
        let resources = self.resources.as_ref();
        Requests::of_container(resources.and_then(|r| r.requests.as_ref()), resources.and_then(|r| r.limits.as_ref()))
    }
    fn is_sidecar(&self) -> bool {
        self.restart_policy.as_deref() == Some("Always")
    }
    fn host_ports(&self, host_network: bool) -> impl Iterator<Item = HostPort> {
        self.ports.iter().flatten().filter_map(move |p| {
            let own = p.host_port.filter(|n| *n > 0);
            let port = own.or(if host_network { p.container_port } else { None })?;
            let ip = p.host_ip.as_deref().filter(|ip| !ip.is_empty()).unwrap_or("0.0.0.0").into();
            Some(HostPort { ip, protocol: p.protocol.as_deref().unwrap_or("TCP").into(), port })
        })
    }
}

impl RawSpec {
    /// What it asks of a node.
    ///
    /// # Errors
    /// The first quantity that doesn't parse.
    pub fn needs(&self) -> Result<Needs, BadQuantity> {
        let selector = LabelSelector { match_labels: Some(self.node_selector.clone().unwrap_or_default()), match_expressions: None };
        let node = self.affinity.as_ref().and_then(|a| a.node_affinity.as_ref());
        let required = node.and_then(|n| n.required_during_scheduling_ignored_during_execution.as_ref());
        Ok(Needs {
            requests: self.requests_by(RawContainer::requests)?,
            ports: self.ports(),
            node_selector: Selector::parse(Some(&selector)),
            node_terms: required.map(|s| s.node_selector_terms.iter().map(NodeTerm::parse).collect()),
            tolerations: self.tolerations.iter().flatten().filter_map(Toleration::parse).collect(),
        })
    }
    /// The same of a pod that has been given something: the most of what is wanted, what was allotted, and what is had; without what is wanted where the node
    /// can never give it.
    ///
    /// # Errors
    /// The first quantity that doesn't parse.
    pub fn needs_with(&self, sizes: &[&RawSize], infeasible: bool) -> Result<Needs, BadQuantity> {
        let mut needs = self.needs()?;
        if sizes.is_empty() {
            return Ok(needs);
        }
        let of = |which: fn(&RawSize) -> Option<&RawList>| {
            self.requests_by(|c| match sizes.iter().find(|s| s.name == c.name).copied().and_then(which) {
                Some(given) => Requests::of_container(Some(given), None),
                None if infeasible => Ok(Requests::default()),
                None => c.requests(),
            })
        };
        let mut given = of(RawSize::allotted)?;
        given.max(&of(RawSize::actual)?);
        if infeasible {
            needs.requests = given;
        } else {
            needs.requests.max(&given);
        }
        Ok(needs)
    }
    /// Init containers and containers.
    pub fn all_containers(&self) -> impl Iterator<Item = &RawContainer> {
        self.init_containers.iter().chain(&self.containers).flatten()
    }
    /// What its containers take, by what `of` says of one of them, and what is said of the whole.
    fn requests_by(&self, of: impl Fn(&RawContainer) -> Result<Requests, BadQuantity>) -> Result<Requests, BadQuantity> {
        let init = self.init_containers.iter().flatten().map(|c| (if c.is_sidecar() { Part::Sidecar } else { Part::Init }, c));
        let all = init.chain(self.containers.iter().flatten().map(|c| (Part::Main, c)));
        let mut total = at_once(all.map(|(part, container)| (part, of(container))))?;
        if let Some(set) = self.resources.as_ref().and_then(|r| r.requests.as_ref()) {
            total.replace(&Resources::parse(set)?, set);
        }
        if let Some(overhead) = &self.overhead {
            total.add_exact(&Resources::parse(overhead)?);
        }
        Ok(total)
    }
    fn ports(&self) -> Vec<HostPort> {
        let host_network = self.host_network == Some(true);
        let sidecars = self.init_containers.iter().flatten().filter(|c| c.is_sidecar());
        self.containers.iter().flatten().chain(sidecars).flat_map(|c| c.host_ports(host_network)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn cpu(statuses: Value, infeasible: bool) -> i64 {
        let spec = json!({"containers": [{"name": "a", "resources": {"requests": {"cpu": "2"}}}, {"name": "b", "resources": {"requests": {"cpu": "1"}}}]});
        let spec: RawSpec = serde_json::from_value(spec).unwrap();
        let sizes: Vec<RawSize> = serde_json::from_value(statuses).unwrap();
        spec.needs_with(&sizes.iter().collect::<Vec<_>>(), infeasible).unwrap().requests.exact.milli_cpu
    }

    #[test]
    fn the_most_of_what_is_wanted_allotted_and_had_counts() {
        let given = |allotted: &str, had: &str| json!([{"name": "a", "allocatedResources": {"cpu": allotted}, "resources": {"requests": {"cpu": had}}}]);
        let rows = [
            (json!([]), false, 3000),
            (given("2", "2"), false, 3000),
            (given("4", "1"), false, 5000),
            (given("1", "6"), false, 7000),
            (given("1", "1"), false, 3000),
            (given("1", "1"), true, 1000),
            (json!([{"name": "a", "allocatedResources": {"cpu": "4"}}]), false, 5000),
            (json!([{"name": "other", "allocatedResources": {"cpu": "4"}}]), false, 3000),
        ];
        for (statuses, infeasible, want) in rows {
            assert_eq!(cpu(statuses.clone(), infeasible), want, "{statuses}");
        }
    }
}
