//! Many simulated nodes in one process: the same agent with everything but Podman, each over a connection of its own that can be made bad.
mod fleet;
mod mode;

pub use fleet::{FleetMessage, FleetOrder, Report};
pub use mode::Mode;

use crate::actor::Message;
use crate::admission::Allocations;
use crate::agent::{Agent, Pods};
use crate::executor::{Executor, Lookups, NodeInfo};
use crate::node::Registration;
use crate::node::machine::Machine;
use crate::objects::References;
use crate::recorder::Recorder;
use crate::reports::Reports;
use crate::runtime::hollow::{Ended, Hollow};
use bus::actor::{Options, System};
use bus::{Bus, BusError, Caller, Impairment, Role, Service};
use fleet::{Fleet, Member};
use state_client::Client;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How simulated nodes are made.
#[derive(Clone, Debug)]
pub struct HollowOptions {
    /// Nodes are named by this and a number from 0.
    pub prefix: String,
    /// The most pods a node.
    pub max_pods: u32,
    /// Labels beside the standard ones.
    pub labels: BTreeMap<String, String>,
    /// How long a container takes to start.
    pub start_delay: Duration,
}

impl Default for HollowOptions {
    fn default() -> Self {
        Self {
            prefix: "hollow-".to_owned(),
            max_pods: 110,
            labels: BTreeMap::from([("whalesong.io/hollow".to_owned(), "true".to_owned())]),
            start_delay: Duration::ZERO,
        }
    }
}

/// Nodes begin so long after each other, as machines do, so that their heartbeats don't come all at once …
const APART: Duration = Duration::from_millis(1);
/// … and the last one no later than this.
const ALL_WITHIN: Duration = Duration::from_secs(10);

/// The nodes of one process, for as long as it is held: orders to them are taken.
pub struct Nodes {
    _orders: Service,
}

/// Starts `n` simulated nodes in `system`. Each speaks as its own agent over one of the connections, to which they are dealt out in turn. Orders to
/// them are answered under the nodes' prefix.
///
/// # Errors
/// When the bus refuses the service.
pub async fn run((bus, more): (&Bus, &[Bus]), system: &System, n: u32, options: &HollowOptions) -> Result<Nodes, BusError> {
    let (runtime, ends) = Hollow::starting_after(options.start_delay);
    // Simulated pods have no environment: nobody waits for the services.
    let (_, services) = watch::channel(None);
    let apart = APART.min(ALL_WITHIN / n.max(1));
    let (mut members, mut pods) = (Vec::new(), Vec::new());
    for (i, bus) in (0..n).zip(std::iter::once(bus).chain(more).cycle()) {
        let (name, impairment) = (format!("{}{i}", options.prefix), Impairment::default());
        members.push(Member::new(name.clone(), impairment.clone()));
        let client = Client::new(bus.speaking_as(Caller::new(Role::Agent, &name)).impaired_by(impairment).await?);
        let runtime = Arc::new(runtime.of_node(pods.len()));
        let (executor, registration) = node(i, name, client, runtime, services.clone(), options);
        let agent = Agent::new(Arc::new(executor), system.clone());
        pods.push(agent.pods.clone());
        agent.begin(registration, apart * i);
    }
    tokio::spawn(pass_on(ends, pods));
    let fleet = Arc::new(members);
    let actor = system.spawn("hollow", Options::default(), move || Fleet::new(fleet.clone()));
    Ok(Nodes { _orders: bus.expose::<FleetOrder, _>(&options.prefix, 4, actor).await? })
}

/// Tells pods' actors that containers have ended by themselves.
async fn pass_on(mut ends: mpsc::Receiver<Ended>, pods: Vec<Arc<Pods>>) {
    while let Some((node, event)) = ends.recv().await {
        if let Some(entry) = pods.get(node).and_then(|pods| pods.entry(&event.uid)) {
            entry.tell(Message::Event(event));
        }
    }
}

fn node(
    i: u32,
    name: String,
    client: Client,
    runtime: Arc<Hollow>,
    services: watch::Receiver<Option<Arc<Vec<Arc<model::Stored>>>>>,
    options: &HollowOptions,
) -> (Executor, Registration) {
    let machine = Machine::simulated();
    let references = References::new(client.clone(), PathBuf::new());
    let address = Ipv4Addr::from(0x0a80_0000 | (i & 0x003f_ffff));
    let node = NodeInfo {
        name,
        addresses: vec![address.to_string()],
        cpu_milli: i64::from(machine.cpus) * 1000,
        memory: machine.memory,
        cluster_dns: None,
        cluster_domain: "cluster.local".to_owned(),
        ..NodeInfo::default()
    };
    let (reports, images) = (Reports::default(), Lookups::default());
    let (recorder, admission) = (Recorder::silent(), Allocations::default());
    let executor =
        Executor { runtime, client, references, reports, images, recorder, services, node, admission, freed: watch::Sender::default(), pods: PathBuf::new() };
    let pod_cidr = format!("{}/24", Ipv4Addr::from(0x6440_0000 | ((i & 0x3fff) << 8)));
    let directories = executor.directories().display().to_string();
    (executor, Registration { pod_cidr, labels: options.labels.clone(), directories, max_pods: options.max_pods, machine, unserved: None })
}
