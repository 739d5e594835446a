//! What processes say of themselves when `whalesong status` asks.
use bus::actor::ActorReport;
use bus::{Call, Role};
use model::Stored;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Asks a process for its [`ProcessReport`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatusRequest {}

impl Call for StatusRequest {
    type Reply = ProcessReport;
    const SERVICE: &'static str = "process.status";
}

/// What a process says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProcessReport {
    /// Its host's name.
    pub host: String,
    /// Its process number.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// What it plays: `state`, `gateway`, ….
    pub roles: Vec<String>,
    /// Its resident memory in KiB.
    pub resident_kib: u64,
    /// The server that it is connected to.
    pub nats: Option<NatsReport>,
    /// Its copies of the streams; only where it plays `state`.
    pub streams: Vec<StreamReport>,
    /// What servers tell their system account; only where it has a connection of that.
    pub servers: Vec<ServerReport>,
    /// For which roles it stands that one process at a time plays.
    pub leases: Vec<Standing>,
    /// What its controllers are at.
    pub controllers: Vec<ControllerReport>,
    /// Its actors.
    pub actors: Vec<ActorReport>,
}

impl ProcessReport {
    /// What of it counts where a node says it: nothing of the log, of servers, or of who leads.
    pub fn of_a_node(self) -> Self {
        let roles = vec![Role::Agent.name().to_owned()];
        Self { roles, streams: Vec::new(), servers: Vec::new(), leases: Vec::new(), controllers: Vec::new(), ..self }
    }
}

/// How a process stands for a role that one process at a time plays.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Standing {
    /// The lease.
    pub lease: String,
    /// As whom.
    pub identity: String,
    /// Whether it acts; otherwise it stands by.
    pub leads: bool,
}

/// A connection to a NATS server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NatsReport {
    /// The server's name.
    pub server: String,
    /// Its version.
    pub version: String,
    /// Where it listens.
    pub address: String,
    /// Whether it has JetStream.
    pub jetstream: bool,
    /// Whether the connection carries now.
    pub connected: bool,
}

/// A NATS server as its system account sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerReport {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Open connections.
    pub connections: u64,
    /// Resident memory in bytes.
    pub memory: u64,
    /// How long it has run.
    pub uptime: String,
}

/// A process's copy of a stream.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StreamReport {
    /// The stream's name.
    pub stream: String,
    /// Up to which revision the copy is complete.
    pub revision: u64,
    /// How far the stream's end is beyond that; `None`: it didn't say.
    pub lag: Option<u64>,
    /// The stream's size.
    pub bytes: Option<u64>,
    /// On how many servers it is.
    pub replicas: Option<usize>,
    /// Objects in the copy.
    pub objects: u64,
    /// Writes that wait.
    pub queued: u64,
    /// Writes done.
    pub stored: u64,
    /// How often following had to start again.
    pub restarts: u64,
}

/// What a controller is at.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ControllerReport {
    /// Its name.
    pub name: String,
    /// Whether all that it looks at is complete.
    pub synced: bool,
    /// Keys that wait.
    pub waiting: usize,
    /// Keys that are worked on.
    pub busy: usize,
    /// Plans made.
    pub plans: u64,
    /// Writes done.
    pub writes: u64,
    /// Writes that met a newer object.
    pub conflicts: u64,
    /// Writes that failed.
    pub errors: u64,
}

/// What is known of a cluster.
#[derive(Debug, Serialize)]
pub struct ClusterReport {
    /// Its processes.
    pub processes: Vec<ProcessReport>,
    /// Those that were found and didn't answer, and why.
    pub silent: Vec<String>,
    /// Its nodes; what was asked of `state` and failed is in [`ClusterReport::silent`].
    #[serde(serialize_with = "objects")]
    pub nodes: Vec<Arc<Stored>>,
}

fn objects<S: serde::Serializer>(stored: &[Arc<Stored>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(stored.iter().map(|s| s.object()))
}
