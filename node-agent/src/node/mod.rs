//! The node's own object: registration, status, heartbeat.
pub mod machine;
mod object;
mod registration;
mod watch;

pub use registration::Registration;
pub use watch::{follow, look};

use crate::executor::Executor;
use crate::proxy;
use crate::recorder::Subject;
use bus::Backoff;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::NodeCondition;
use model::{ApiError, Object};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the lease is renewed.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How often the status is written when nothing changed.
const STATUS: SignedDuration = SignedDuration::from_mins(5);
/// After so long without a renewed lease others may have taken the node for lost.
const DOUBTED: SignedDuration = SignedDuration::from_secs(20);
/// So many times the status is written anew after that: somebody may still have been about to write that the node is lost.
const REASSURANCES: u8 = 2;
/// After how long a failed attempt is repeated: at first, and at most. A cluster that comes back is not asked by all of its nodes at once.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(4));
/// By up to this share each pause is shorter, so that nodes that began together don't go on together.
const SPREAD: f64 = 0.1;

/// Lets a node decide by what it is about to say of itself, until it has seen its object.
pub fn introduce(executor: &Executor, registration: &Registration) {
    match object::initial(&executor.node, registration) {
        Ok(node) => executor.admission.learn(&node),
        Err(error) => tracing::warn!(node = executor.node.name, %error, "the node's own description is none"),
    }
}

/// Keeps the node's object alive until it is told to stop.
pub struct NodeHeartbeat {
    executor: Arc<Executor>,
    registration: Registration,
    conditions: Vec<NodeCondition>,
    written: Option<Timestamp>,
    renewed: Option<Timestamp>,
    reassure: u8,
}

impl NodeHeartbeat {
    /// A node that isn't registered yet.
    pub fn new(executor: Arc<Executor>, registration: Registration) -> Self {
        Self { executor, registration, conditions: Vec::new(), written: None, renewed: None, reassure: 0 }
    }

    /// Registers, then beats.
    ///
    /// # Errors
    /// Never by the cluster's absence: it is waited for.
    pub async fn run(mut self, cancel: CancellationToken) -> Result<(), ApiError> {
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        loop {
            let wait = match self.once(Timestamp::now()).await {
                Ok(()) => {
                    backoff.reset();
                    HEARTBEAT
                }
                Err(error) => {
                    tracing::debug!(node = self.executor.node.name, %error, "the heartbeat was not written");
                    backoff.pause()
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait.mul_f64(1.0 - SPREAD * rand::random::<f64>())) => {}
                () = cancel.cancelled() => return Ok(()),
            }
        }
    }

    async fn once(&mut self, now: Timestamp) -> Result<(), ApiError> {
        if self.written.is_none() {
            self.register().await?;
            self.status(now).await?;
            return self.renew(now).await;
        }
        if self.renewed.is_some_and(|at| now.duration_since(at) > DOUBTED) {
            self.reassure = REASSURANCES;
        }
        // the lease first: with the old one in view, others would take back what the status says
        let renewed = self.renew(now).await;
        if renewed.as_ref().is_err_and(ApiError::is_not_found) {
            // somebody deleted the node, and its lease went with it
            self.written = None;
        }
        renewed?;
        self.status(now).await
    }

    async fn renew(&mut self, now: Timestamp) -> Result<(), ApiError> {
        self.lease(now).await?;
        self.renewed = Some(now);
        Ok(())
    }

    async fn register(&self) -> Result<(), ApiError> {
        let name = &self.executor.node.name;
        let node = object::node(&self.executor.node, &self.registration)?;
        match self.executor.client.create("", "nodes", "", node).await {
            Ok(stored) => {
                self.executor.admission.learn(&stored);
                self.executor.recorder.normal(&Subject::node(name), "Starting", "Starting kubelet.");
                Ok(())
            }
            Err(e) if e.is_already_exists() => {
                let labels = object::labels(&self.executor.node, &self.registration);
                let patch = json!({"metadata": {"labels": labels, "annotations": object::annotations(&self.registration)}});
                self.executor.client.merge("", "nodes", "", "", name, &patch).await.map(drop)
            }
            Err(e) => Err(e),
        }
    }

    async fn status(&mut self, now: Timestamp) -> Result<(), ApiError> {
        let runtime = self.executor.runtime.version().await;
        let facts = self.registration.machine.pressures(&self.executor.pods);
        let unserved = self.registration.unserved.as_ref().and_then(|unserved| proxy::sentence(&unserved.borrow()));
        let conditions = object::conditions(&self.conditions, &facts, runtime.as_ref().err().map(ToString::to_string), unserved, now);
        let same =
            conditions.iter().zip(&self.conditions).all(|(a, b)| a.status == b.status && a.reason == b.reason) && conditions.len() == self.conditions.len();
        if same && self.reassure == 0 && self.written.is_some_and(|at| now.duration_since(at) < STATUS) {
            return Ok(());
        }
        self.tell(&conditions);
        let images = self.executor.runtime.images().await.unwrap_or_default();
        let status = object::status(&self.executor.node, &self.registration, &runtime.unwrap_or_default(), &images, &conditions);
        let written = self.executor.client.merge("", "nodes", "status", "", &self.executor.node.name, &json!({"status": status})).await;
        match written {
            Ok(stored) => {
                self.executor.admission.learn(&stored);
                self.conditions = conditions;
                self.written = Some(now);
                self.reassure = self.reassure.saturating_sub(1);
                Ok(())
            }
            Err(e) => {
                if e.is_not_found() {
                    self.written = None;
                }
                Err(e)
            }
        }
    }

    /// Events for conditions that changed.
    fn tell(&self, conditions: &[NodeCondition]) {
        let subject = Subject::node(&self.executor.node.name);
        for (new, reason) in conditions.iter().filter_map(|c| object::event_of(c).map(|reason| (c, reason))) {
            let before = self.conditions.iter().find(|c| c.type_ == new.type_);
            if before.is_none_or(|b| b.status != new.status) {
                let message = format!("Node {} status is now: {reason}", self.executor.node.name);
                self.executor.recorder.normal(&subject, reason, &message);
            }
        }
    }

    async fn lease(&self, now: Timestamp) -> Result<(), ApiError> {
        const GROUP: &str = "coordination.k8s.io";
        const NAMESPACE: &str = "kube-node-lease";
        let name = &self.executor.node.name;
        let renew = json!({"spec": {"renewTime": object::micro_time(now)}});
        match self.executor.client.merge(GROUP, "leases", "", NAMESPACE, name, &renew).await {
            Err(e) if e.is_not_found() => {
                let node = self.executor.client.get("", "nodes", "", name).await?;
                let lease = Object::from_value(object::lease(name, node.object().uid(), now))?;
                self.executor.client.create(GROUP, "leases", NAMESPACE, lease).await.map(drop)
            }
            other => other.map(drop),
        }
    }
}
