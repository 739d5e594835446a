//! What autoscalers read of pods.
use crate::runtime::Item;
use jiff::Timestamp;
use model::quantity::Quantity;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

type Amounts = BTreeMap<String, Value>;

/// A pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Pod {
    metadata: Metadata,
    spec: Spec,
    status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    name: String,
    uid: String,
    deletion_timestamp: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    node_name: String,
    containers: Vec<Container>,
    init_containers: Vec<Container>,
    resources: Option<Resources>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Container {
    name: String,
    restart_policy: Option<String>,
    resources: Option<Resources>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Resources {
    requests: Option<Amounts>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: String,
    start_time: Option<Timestamp>,
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Condition {
    r#type: String,
    status: String,
    last_transition_time: Option<Timestamp>,
}

/// What a pod says of its readiness.
pub(super) struct Readiness {
    /// Whether it says that it isn't ready.
    pub(super) denied: bool,
    /// When that last changed.
    pub(super) changed: Timestamp,
    /// When the pod started.
    pub(super) started: Timestamp,
}

impl Resources {
    fn request(&self, resource: &str) -> Option<i128> {
        self.requests.as_ref()?.get(resource).and_then(|amount| Quantity::from_json(amount).ok()).map(|quantity| quantity.milli())
    }
}

impl Pod {
    /// As the view has it; what doesn't decode counts as empty.
    pub(super) fn of(item: &Item) -> Self {
        serde_json::from_slice(item.stored.json()).unwrap_or_else(|error| {
            tracing::warn!(key = %item.key(), %error, "a pod does not decode");
            Self { metadata: Metadata { name: item.name().to_owned(), ..Metadata::default() }, ..Self::default() }
        })
    }
    pub(super) fn name(&self) -> &str {
        &self.metadata.name
    }
    pub(super) fn uid(&self) -> &str {
        &self.metadata.uid
    }
    pub(super) fn node(&self) -> &str {
        &self.spec.node_name
    }
    /// Whether it is on its way out, or has failed.
    pub(super) fn going(&self) -> bool {
        self.metadata.deletion_timestamp.is_some() || self.status.phase == "Failed"
    }
    pub(super) fn pending(&self) -> bool {
        self.status.phase == "Pending"
    }
    /// What it says of its readiness, if it says anything, and has started.
    pub(super) fn readiness(&self) -> Option<Readiness> {
        let condition = self.status.conditions.iter().find(|condition| condition.r#type == "Ready")?;
        let changed = condition.last_transition_time.unwrap_or(Timestamp::MIN);
        Some(Readiness { denied: condition.status == "False", changed, started: self.status.start_time? })
    }
    /// Whether it runs and is ready.
    pub(super) fn ready(&self) -> bool {
        self.status.phase == "Running" && self.status.conditions.iter().any(|c| c.r#type == "Ready" && c.status == "True")
    }

    /// Thousandths of a resource that it requests, or that one of its containers does.
    ///
    /// # Errors
    /// As Kubernetes says it, where a request is missing.
    pub(super) fn request(&self, resource: &str, container: &str) -> Result<i128, String> {
        let name = &self.metadata.name;
        let own = self.spec.resources.as_ref().filter(|own| container.is_empty() && own.requests.as_ref().is_some_and(|r| !r.is_empty()));
        let sidecars = self.spec.init_containers.iter().filter(|c| c.restart_policy.as_deref() == Some("Always"));
        let mut containers = self.spec.containers.iter().chain(sidecars);
        let of = |c: &Container| c.resources.as_ref().and_then(|resources| resources.request(resource));
        if let Some(own) = own {
            let sum = || containers.filter_map(of).reduce(|a, b| a + b);
            return own.request(resource).or_else(sum).ok_or_else(|| format!("missing pod-level request for {resource} in Pod {name}"));
        }
        let requested = |c: &Container| of(c).ok_or_else(|| format!("missing request for {resource} in container {} of Pod {name}", c.name));
        if container.is_empty() {
            return containers.map(requested).sum();
        }
        containers.find(|c| c.name == container).map(requested).unwrap_or_else(|| Err(format!("container {container} not found in Pod {name}")))
    }
}
