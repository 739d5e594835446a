//! The cluster that is tested: a control plane, and nodes.
use crate::failure::Failure;
use crate::suite::{NODES, Suite};
use testbed::{Cluster, Lab, Machine};

/// What pods run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nodes {
    /// Two machines with Podman.
    Podman,
    /// Two nodes that only pretend.
    Hollow,
}

impl Nodes {
    fn kind(self) -> &'static str {
        match self {
            Self::Podman => "Podman",
            Self::Hollow => "simulated",
        }
    }

    /// How many tests run at a time where nobody says it: containers keep the processors busy, pretending doesn't.
    pub fn procs(self) -> usize {
        match self {
            Self::Podman => 10,
            Self::Hollow => 25,
        }
    }
}

/// Starts it; up when all nodes are Ready.
///
/// # Panics
/// As [`Cluster::start`].
pub fn start(suite: &Suite, nodes: Nodes) -> Result<Cluster, Failure> {
    eprintln!("  starting a control plane and {NODES} {} nodes", nodes.kind());
    let mut cluster = Cluster::booted_on(Lab::with_images(suite.images()));
    match nodes {
        Nodes::Podman => {
            cluster.up(&["--no-node", "--nats-listen", "0.0.0.0"]);
            for _ in 0..NODES {
                cluster.join();
            }
            lay_routes(&cluster);
            for machine in &cluster.machines[1..] {
                cluster.node_ready(&machine.name);
            }
        }
        Nodes::Hollow => {
            cluster.up(&["--no-node", "--hollow-nodes", &NODES.to_string()]);
            for node in 0..NODES {
                cluster.node_ready(&format!("hollow-{node}"));
            }
        }
    }
    Ok(cluster)
}

/// Nodes don't reach each other's pods by themselves yet: the machines get the routes that an administrator would lay.
fn lay_routes(cluster: &Cluster) {
    for (at, machine) in cluster.machines.iter().enumerate() {
        for (other, to) in cluster.machines.iter().enumerate().skip(1).filter(|(other, _)| *other != at) {
            machine.sh(&format!("ip route replace {} via {}", Cluster::pod_cidr(other), to.address));
        }
    }
}

/// The processes whose logs are looked at, and where they are.
pub fn logs(cluster: &Cluster) -> Vec<(String, std::path::PathBuf)> {
    let of = |machine: &Machine, name: &str, file: &str| (name.to_owned(), machine.disk().join(file));
    let (control, nodes) = cluster.machines.split_first().map_or((None, &[][..]), |(first, others)| (Some(first), others));
    control.map(|m| of(m, "control-plane", "up.log")).into_iter().chain(nodes.iter().map(|m| of(m, &m.name, "agent.log"))).collect()
}
