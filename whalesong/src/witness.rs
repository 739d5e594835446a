//! What a process says of itself when `whalesong status` asks.
use crate::candidate::Candidate;
use crate::host::hostname;
use crate::report::{ControllerReport, NatsReport, ProcessReport, ServerReport, StreamReport};
use bus::Bus;
use bus::actor::System;
use controllers::Controllers;
use serde::Deserialize;
use state::store::{Store, StreamStats};
use std::time::Duration;

/// How long the server may take for its part.
const PATIENCE: Duration = Duration::from_millis(500);

/// All that a process knows of itself.
pub struct Witness {
    /// Its place on the bus.
    pub bus: Bus,
    /// Its actors, and the store's loops.
    pub systems: [System; 2],
    /// What it plays.
    pub roles: Vec<String>,
    /// What it would play.
    pub candidates: Vec<Candidate>,
    /// Its controllers.
    pub controllers: Option<Controllers>,
    /// Its copy of the log.
    pub store: Option<Store>,
    /// A connection of the server's system account.
    pub system_account: Option<async_nats::Client>,
}

/// This process's resident memory in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    line.and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse().ok()).unwrap_or_default()
}

/// What a server says to its system account.
#[derive(Deserialize)]
struct Varz {
    data: Option<VarzData>,
}

#[derive(Deserialize)]
struct VarzData {
    server_name: String,
    version: String,
    connections: u64,
    mem: u64,
    uptime: String,
}

impl Witness {
    /// What it says now.
    pub async fn report(&self) -> ProcessReport {
        ProcessReport {
            host: hostname(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            roles: self.roles.clone(),
            resident_kib: resident_kib(),
            nats: self.bus.nats().map(nats),
            streams: self.streams().await,
            servers: self.servers().await,
            leases: self.candidates.iter().map(Candidate::standing).collect(),
            controllers: self.controllers().await,
            actors: self.systems.iter().flat_map(System::report).collect(),
        }
    }

    async fn streams(&self) -> Vec<StreamReport> {
        let stats = self.store.as_ref().map(Store::stats).unwrap_or_default();
        futures::future::join_all(stats.into_iter().map(|stats| self.stream(stats))).await
    }

    async fn stream(&self, stats: StreamStats) -> StreamReport {
        let asked = async { self.bus.jetstream()?.get_stream(&stats.stream).await.ok().map(|s| s.cached_info().clone()) };
        let info = tokio::time::timeout(PATIENCE, asked).await.ok().flatten();
        let StreamStats { stream, revision, objects, queued, stored, follows, .. } = stats;
        StreamReport {
            stream,
            revision,
            lag: info.as_ref().map(|i| i.state.last_sequence.saturating_sub(revision)),
            bytes: info.as_ref().map(|i| i.state.bytes),
            replicas: info.as_ref().map(|i| i.config.num_replicas),
            objects,
            queued,
            stored,
            restarts: follows.saturating_sub(1),
        }
    }

    async fn servers(&self) -> Vec<ServerReport> {
        let Some(system) = &self.system_account else { return Vec::new() };
        let reply = tokio::time::timeout(PATIENCE, system.request("$SYS.REQ.SERVER.PING.VARZ", bytes::Bytes::new())).await;
        let varz = reply.ok().and_then(Result::ok).and_then(|m| serde_json::from_slice::<Varz>(&m.payload).ok()).and_then(|v| v.data);
        let server = |v: VarzData| ServerReport { name: v.server_name, version: v.version, connections: v.connections, memory: v.mem, uptime: v.uptime };
        varz.map(server).into_iter().collect()
    }

    async fn controllers(&self) -> Vec<ControllerReport> {
        let Some(controllers) = &self.controllers else { return Vec::new() };
        let stats = tokio::time::timeout(PATIENCE, controllers.stats()).await.unwrap_or_default();
        let report = |s: controllers::runtime::Stats| ControllerReport {
            name: s.name.to_owned(),
            synced: s.synced,
            waiting: s.depth.ready + s.depth.delayed,
            busy: s.depth.busy,
            plans: s.plans,
            writes: s.writes,
            conflicts: s.conflicts,
            errors: s.errors,
        };
        stats.into_iter().map(report).collect()
    }
}

fn nats(client: &async_nats::Client) -> NatsReport {
    let info = client.server_info();
    let connected = client.connection_state() == async_nats::connection::State::Connected;
    NatsReport { server: info.server_name, version: info.version, address: format!("{}:{}", info.host, info.port), jetstream: info.jetstream, connected }
}
