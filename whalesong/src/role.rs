//! One role a process, against a NATS server that runs elsewhere.
use crate::admission::pod_security;
use crate::agent;
use crate::cli::{AgentArgs, ControllersArgs, GatewayArgs, RoleArgs, StateArgs};
use crate::data::{Data, Identity};
use crate::failure::Failure;
use crate::host::hostname;
use crate::join::{self, CLUSTER};
use crate::process::{Durability, Process, listen_address, pki, write_kubeconfig};
use bus::{Bus, Role};

/// Runs only the state.
///
/// # Errors
/// When NATS or the log can't be used.
pub async fn state(args: StateArgs) -> Result<(), Failure> {
    let data = Data::hold(&join::root(args.role.home.data.as_ref()))?;
    let mut process = Process::new(join::as_role(&args.role, Role::State, &hostname()).await?, &hostname());
    let system = join::system(&join::url(&args.role), &args.durability).await?;
    let durability = Durability::Asked { system, allow_unsafe: args.durability.allow_unsafe_sync };
    let keys = pki(data.root(), &[])?;
    process.play_state(&keys, durability, &Identity::of(&data, &hostname())?, pod_security(&args.admission)?).await?;
    process.answer_status().await?;
    process.run().await
}

/// Runs only the gateway.
///
/// # Errors
/// When NATS can't be reached or the port can't be had.
pub async fn gateway(args: GatewayArgs) -> Result<(), Failure> {
    let root = join::root(args.role.home.data.as_ref());
    let data = Data::hold(&root.join("gateway"))?;
    let listen = listen_address(args.api.listen.as_deref())?;
    let keys = pki(&root, &[hostname(), listen.ip().to_string()])?;
    let mut process = Process::new(join::as_role(&args.role, Role::Gateway, &hostname()).await?, &hostname());
    let address = process.play_gateway(listen, keys.clone()).await?;
    let kubeconfig = args.api.kubeconfig.clone().unwrap_or_else(|| data.join("kubeconfig"));
    write_kubeconfig(&keys, &kubeconfig, args.role.home.cluster.as_deref().unwrap_or(CLUSTER), address)?;
    println!("The API answers at https://{address}; export KUBECONFIG={}", kubeconfig.display());
    process.answer_status().await?;
    process.run().await
}

/// Runs only the scheduler.
///
/// # Errors
/// When NATS can't be reached.
pub async fn scheduler(args: RoleArgs) -> Result<(), Failure> {
    let mut process = Process::new(join::as_role(&args, Role::Scheduler, &hostname()).await?, &hostname());
    let identity = Identity::at(&join::root(args.home.data.as_ref()).join("scheduler"), &hostname());
    process.play_scheduler(&identity);
    process.answer_status().await?;
    process.run().await
}

/// Runs only the controllers.
///
/// # Errors
/// When NATS can't be reached, or the cluster's CA isn't below the data directory.
pub async fn controllers(ControllersArgs { role: args, own }: ControllersArgs) -> Result<(), Failure> {
    let ca = join::root(args.home.data.as_ref()).join("pki/ca.crt");
    let ca = std::fs::read_to_string(&ca).map_err(|e| {
        Failure::new(format!("{} can't be read ({e})", ca.display()), "copy the cluster's pki/ca.crt there, or name its data directory with --data")
    })?;
    let mut process = Process::new(join::as_role(&args, Role::Controllers, &hostname()).await?, &hostname());
    let identity = Identity::at(&join::root(args.home.data.as_ref()).join("controllers"), &hostname());
    process.play_controllers(&ca, own.eviction(), &identity)?;
    process.answer_status().await?;
    process.run().await
}

/// Simulated nodes on one connection: a real node has one of its own, and the server cuts who doesn't read in time what it has for him.
const NODES_A_CONNECTION: u32 = 500;

/// Connections for so many simulated nodes, beside the process's own.
async fn connections(args: &AgentArgs, nodes: u32) -> Result<Vec<Bus>, Failure> {
    let mut more = Vec::new();
    for _ in 1..nodes.div_ceil(NODES_A_CONNECTION) {
        more.push(join::as_role(&args.role, Role::State, &hostname()).await?);
    }
    Ok(more)
}

/// Runs only a node, or simulated ones.
///
/// # Errors
/// When NATS or Podman can't be used.
pub async fn agent(args: AgentArgs) -> Result<(), Failure> {
    if let Some(count) = args.hollow {
        let mut process = Process::new(join::as_role(&args.role, Role::State, &hostname()).await?, &hostname());
        let more = connections(&args, count).await?;
        let _nodes = agent::play_hollow(&mut process, &more, count, &args.hollow_nodes).await?;
        process.answer_status().await?;
        return process.run().await;
    }
    let name = args.node.node_name.clone().unwrap_or_else(hostname);
    let start = std::time::Instant::now();
    let data = Data::hold(&join::root(args.role.home.data.as_ref()).join("node"))?;
    let bus = join::as_node(&args.role, &name, args.token.as_deref(), node_agent::has_pods(data.root())).await?;
    let mut process = Process::new(bus, &name);
    let node = agent::Node::new(&name, &args.node, data.root().to_owned());
    agent::announce_ready(&process, &name, start);
    agent::play(&mut process, &node).await?;
    process.answer_status().await?;
    process.run().await
}
