//! Puts the agent of a real node together and starts it.
use super::error::AgentError;
use super::kept::address;
use super::options::AgentOptions;
use super::{Agent, events};
use crate::admission::Allocations;
use crate::executor::{Executor, Lookups, NodeInfo};
use crate::net::{NetOptions, Network};
use crate::node::Registration;
use crate::node::machine::Machine;
use crate::objects::References;
use crate::recorder::Recorder;
use crate::reports::Reports;
use crate::runtime::Runtime;
use crate::runtime::podman::{Podman, service};
use crate::sysctl::Allowlist;
use bus::Bus;
use bus::actor::System;
use state_client::Client;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Starts an agent: its parts run in `system` until that is shut down. Returns once it runs; the node registers in the background.
///
/// # Errors
/// [`AgentError`] with the remedy, when the machine lacks something.
pub async fn run(bus: Bus, system: &System, options: AgentOptions) -> Result<(), AgentError> {
    let pods_dir = options.data_dir.join("pods");
    let network = Network::open(NetOptions { bridge: options.bridge.clone(), pod_cidr: options.pod_cidr, pods: pods_dir.clone() }).await?;
    let socket = service::find(&options.podman, &options.data_dir).await?;
    let runtime: Arc<dyn Runtime> = Arc::new(Podman::new(&socket, network));
    let machine = Machine::here(&pods_dir);
    let sysctls = Allowlist::new(&machine.kernel, &options.allowed_unsafe_sysctls)?;
    let address = options.node_ip.or_else(|| address(&options.data_dir)).ok_or(AgentError::NoAddress)?;
    let client = Client::new(bus.clone());
    let references = References::new(client.clone(), options.data_dir.join("objects"));
    let (recorder, writer) = Recorder::new(client.clone(), options.node_name.clone());
    tokio::spawn(writer);
    let memory = crate::proxy::ServiceCache::open(&options.data_dir).await;
    let (services_in, services) = watch::channel(memory.services());
    let node = NodeInfo {
        name: options.node_name.clone(),
        addresses: vec![address.to_string()],
        cpu_milli: i64::from(machine.cpus) * 1000,
        memory: machine.memory,
        cluster_dns: options.cluster_dns.map(|ip| ip.to_string()),
        cluster_domain: options.cluster_domain.clone(),
        sysctls,
        seccomp: options.seccomp_profile_root.clone(),
    };
    let (reports, images, admission) = (Reports::default(), Lookups::default(), Allocations::default());
    let (pods, freed) = (pods_dir, watch::Sender::default());
    let executor = Arc::new(Executor { runtime, client: client.clone(), references, reports, images, recorder, services, node, admission, freed, pods });
    let agent = Agent::new(executor.clone(), system.clone());
    agent.adopt().await?;
    let (unserved, not_served) = watch::channel(Vec::new());
    let registration = Registration {
        pod_cidr: options.pod_cidr.to_string(),
        labels: options.labels.clone(),
        directories: executor.directories().display().to_string(),
        max_pods: options.max_pods,
        machine,
        unserved: Some(not_served),
    };
    agent.clone().begin(registration, Duration::ZERO);
    events::follow_references(executor.clone(), agent.pods.clone());
    events::follow_events(system, executor.clone(), agent.pods.clone(), options.podman.clone(), options.data_dir.clone());
    let proxy = Arc::new(crate::proxy::Proxy {
        client,
        node: options.node_name.clone(),
        services: services_in,
        memory: memory.into(),
        recorder: executor.recorder.clone(),
        unserved,
    });
    system.task("proxy", move |cancel| proxy.clone().follow(cancel));
    let own = executor.clone();
    system.task("own-node", move |cancel| crate::node::follow(own.clone(), cancel));
    let (own, rotation) = (executor.clone(), options.logs);
    system.task("logs", move |cancel| {
        let executor = own.clone();
        async move { crate::executor::rotate(&executor, rotation, cancel).await }
    });
    crate::stream::serve(&bus, system, executor, agent.pods.clone()).await?;
    Ok(())
}
