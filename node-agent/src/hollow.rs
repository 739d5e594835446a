//! Many simulated nodes in one process: the same agent with everything but Podman.
use crate::agent::Agent;
use crate::edge::{Edge, Lookups, NodeInfo};
use crate::node::Registration;
use crate::node::machine::Machine;
use crate::objects::References;
use crate::recorder::Recorder;
use crate::runtime::hollow::Hollow;
use bus::actor::System;
use bus::{Bus, Caller, Role};
use state_client::Client;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// How simulated nodes are made.
#[derive(Clone, Debug)]
pub struct HollowOptions {
    /// Nodes are named by this and a number from 0.
    pub prefix: String,
    /// The most pods a node.
    pub max_pods: u32,
    /// Labels beside the standard ones.
    pub labels: BTreeMap<String, String>,
}

impl Default for HollowOptions {
    fn default() -> Self {
        Self { prefix: "hollow-".to_owned(), max_pods: 110, labels: BTreeMap::from([("whalesong.io/hollow".to_owned(), "true".to_owned())]) }
    }
}

/// Starts `n` simulated nodes in `system`. Each speaks as its own agent over `bus`.
pub fn run(bus: &Bus, system: &System, n: u32, options: &HollowOptions) {
    let runtime = Arc::new(Hollow::default());
    // Simulated pods have no environment: nobody waits for the services.
    let (_, services) = watch::channel(None);
    for i in 0..n {
        let name = format!("{}{i}", options.prefix);
        let client = Client::new(bus.speaking_as(Caller::new(Role::Agent, &name)));
        let machine = Machine::simulated();
        let (references, _) = References::new(client.clone(), PathBuf::new());
        let address = Ipv4Addr::from(0x0a80_0000 | (i & 0x003f_ffff));
        let node = NodeInfo {
            name,
            addresses: vec![address.to_string()],
            cpu_milli: i64::from(machine.cpus) * 1000,
            memory: machine.memory,
            cluster_dns: None,
            cluster_domain: "cluster.local".to_owned(),
        };
        let edge = Edge {
            runtime: runtime.clone(),
            client,
            references,
            images: Lookups::default(),
            recorder: Recorder::silent(),
            services: services.clone(),
            node,
            pods: PathBuf::new(),
            real: false,
        };
        let pod_cidr = format!("{}/24", Ipv4Addr::from(0x6440_0000 | ((i & 0x3fff) << 8)));
        let registration = Registration { pod_cidr, labels: options.labels.clone(), max_pods: options.max_pods, machine };
        Agent::new(Arc::new(edge), system.clone()).begin(registration);
    }
}
