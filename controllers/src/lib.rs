//! The controllers, and the runtime that runs them. A controller is a pure function that returns a plan; the runtime carries the plan out.
//!
//! [`Controllers`] runs all of them on the bus. Each controller is one file (or folder) with one implementation of [`runtime::Controller`] and one line in
//! [`all`].
pub mod amount;
pub mod autoscaler;
pub mod cluster_role;
pub mod cron_job;
pub mod daemonset;
pub mod definition;
pub mod deployment;
pub mod disruption;
pub mod endpoints;
pub mod garbage;
pub mod job;
pub mod namespace;
pub mod node;
pub mod ownership;
pub mod pod;
pub mod replicaset;
pub mod revisions;
pub mod runtime;
pub mod statefulset;
pub mod status;
pub mod tenancy;
#[cfg(test)]
mod testing;
pub mod token_secret;
pub mod ttl_after_finished;
pub mod volumes;

use jiff::SignedDuration;
use model::Kinds;
use runtime::actor::{self, StatsRequest};
use runtime::{Controller, Engine, Lookup, Resource, StartError, Stats};
use state_client::Client;
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// How the controllers are run.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long a node may be silent until its state counts as unknown: [`node::GRACE`].
    pub node_grace: SignedDuration,
    /// How quickly the pods of silent nodes are given up.
    pub eviction: node::Rates,
    /// So many ended pods are kept: [`node::TERMINATED_MAX`].
    pub terminated_max: usize,
    /// The certificate of the cluster's CA, PEM: what `kube-root-ca.crt` holds in every namespace.
    pub ca_pem: String,
    /// The table of kinds.
    pub kinds: Arc<Kinds>,
}

impl Options {
    /// The defaults of Kubernetes, over a table of kinds and with this CA.
    pub fn new(ca_pem: impl Into<String>, kinds: Arc<Kinds>) -> Self {
        Self { node_grace: node::GRACE, eviction: node::Rates::default(), terminated_max: node::TERMINATED_MAX, ca_pem: ca_pem.into(), kinds }
    }
}

/// All controllers.
pub fn all(options: &Options) -> Vec<Box<dyn Controller>> {
    vec![
        Box::new(deployment::Deployments),
        Box::new(replicaset::REPLICA_SETS),
        Box::new(replicaset::REPLICATION_CONTROLLERS),
        Box::new(daemonset::DaemonSets),
        Box::new(statefulset::StatefulSets),
        Box::new(job::Jobs),
        Box::new(job::OrphanPods),
        Box::new(ttl_after_finished::TtlAfterFinished),
        Box::new(cron_job::CronJobs),
        Box::new(endpoints::EndpointSlices),
        Box::new(endpoints::LegacyEndpoints),
        Box::new(endpoints::MirroredEndpoints),
        Box::new(disruption::Disruptions::new(&options.kinds)),
        Box::new(namespace::Namespaces::new(&options.kinds)),
        Box::new(garbage::GarbageCollector::new(&options.kinds)),
        Box::new(tenancy::DefaultServiceAccounts),
        Box::new(tenancy::RootCa::new(&options.ca_pem)),
        Box::new(token_secret::TokenSecrets::new(&options.ca_pem)),
        Box::new(definition::Definitions),
        Box::new(cluster_role::AggregatedClusterRoles),
        Box::new(autoscaler::Autoscalers),
        Box::new(node::NodeLifecycle { grace: options.node_grace, rates: options.eviction }),
        Box::new(node::TaintEviction),
        Box::new(node::PodGc { terminated_max: options.terminated_max }),
        Box::new(volumes::Binder),
        Box::new(volumes::Provisioner),
        Box::new(volumes::Expansion),
        Box::new(volumes::EphemeralVolumes),
        Box::new(volumes::ClaimProtection),
        Box::new(volumes::VolumeProtection),
        Box::new(volumes::DefaultStorageClass),
    ]
}

/// The runtime of all controllers, before it has seen anything.
///
/// # Errors
/// [`StartError`] when two controllers own the same output.
pub fn engine(options: &Options) -> Result<Engine, StartError> {
    Engine::new(all(options), options.kinds.clone(), &lookups())
}

/// By what objects are looked up, besides names and owners.
fn lookups() -> Vec<(Resource, Lookup)> {
    let by_fields = |fields: &'static [runtime::view::FieldIndex]| Lookup { fields, labels: false };
    vec![
        (Resource::PODS, Lookup { fields: &pod::FIELDS, labels: true }),
        (Resource::NODES, by_fields(&node::FIELDS)),
        (Resource::CLAIMS, by_fields(&volumes::CLAIM_FIELDS)),
        (Resource::VOLUMES, by_fields(&volumes::VOLUME_FIELDS)),
    ]
}

/// Why a run of the controllers ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// They can't run together.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A part of the runtime panicked.
    #[error(transparent)]
    Broken(#[from] actor::Broken),
}

/// All controllers, ready to run. Clones are the same.
#[derive(Clone)]
pub struct Controllers {
    options: Arc<Options>,
    asks: mpsc::Sender<StatsRequest>,
    asked: Arc<Mutex<mpsc::Receiver<StatsRequest>>>,
}

impl Controllers {
    /// All controllers with these options.
    ///
    /// # Errors
    /// [`StartError`] when two own the same output.
    pub fn new(options: Options) -> Result<Self, StartError> {
        engine(&options)?;
        let (asks, asked) = mpsc::channel(16);
        Ok(Self { options: Arc::new(options), asks, asked: Arc::new(Mutex::new(asked)) })
    }

    /// Runs them until `cancel`. They write by `client`; `identity` is who holds their Lease. Starting anew is always safe: all that they know comes
    /// from `state`.
    ///
    /// # Errors
    /// [`RunError`] when a part of the runtime panicked; it is to be started again.
    pub async fn run(&self, client: Client, identity: String, cancel: CancellationToken) -> Result<(), RunError> {
        let engine = engine(&self.options)?;
        let mut asked = self.asked.lock().await;
        Ok(actor::run(engine, client, identity, &mut asked, cancel).await?)
    }

    /// What each controller is at; empty where they aren't running.
    pub async fn stats(&self) -> Vec<Stats> {
        if self.asked.try_lock().is_ok() {
            return Vec::new();
        }
        let (reply, answer) = oneshot::channel();
        match self.asks.send(reply).await {
            Ok(()) => answer.await.unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }
}
