//! `whalesong up`: a whole cluster in one process, with its NATS server as a child.
use crate::agent;
use crate::cli::UpArgs;
use crate::data::{Data, Identity};
use crate::failure::Failure;
use crate::join::{self, Admit, CLUSTER};
use crate::process::{Durability, Process, hostname, listen_address, pki, write_kubeconfig};
use api_gateway::Pki;
use bus::server::Server;
use bus::{Bus, Caller, Role, Service};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Runs until a signal asks to stop.
///
/// # Errors
/// When a part can't be started, with the remedy.
pub async fn up(args: UpArgs) -> Result<(), Failure> {
    let start = Instant::now();
    let data = Data::hold(&join::root(args.home.data.as_ref()))?;
    let cluster = args.home.cluster.clone().unwrap_or_else(|| CLUSTER.to_owned());
    let listen = listen_address(args.api.listen.as_deref())?;
    let name = args.node.node_name.clone().unwrap_or_else(hostname);
    let keys = pki(data.root(), &[name.clone(), listen.ip().to_string()])?;
    let (server, bus, durability) = nats(&data, &args, &cluster, &name).await?;
    let _admit = admit(&bus, &server, &data, &cluster).await?;

    let mut process = Process::new(bus, &name);
    let identity = Identity::of(&data, &hostname())?;
    process.play_state(&keys, durability, &identity).await?;
    streams_made(&server);
    let address = process.play_gateway(listen, keys.clone()).await?;
    let kubeconfig = args.api.kubeconfig.clone().unwrap_or_else(|| data.join("kubeconfig"));
    write_kubeconfig(&keys, &kubeconfig, &cluster, address)?;
    println!("The API answers at https://{address} after {} ms; export KUBECONFIG={}", start.elapsed().as_millis(), kubeconfig.display());
    process.play_scheduler(&identity);
    process.play_controllers(keys.ca(), args.controllers.eviction(), &identity)?;
    let _hollow = match args.hollow_nodes {
        Some(count) => Some(agent::play_hollow(&mut process, &[], count, &args.hollow).await?),
        None => None,
    };
    if !args.no_node {
        let node = node(&args, &data, &name);
        agent::announce_ready(&process, &name, start);
        agent::play(&mut process, &node).await?;
        publish(&mut process, address, Some(&node), keys).await?;
    } else {
        publish(&mut process, address, None, keys).await?;
    }
    process.answer_status().await?;
    let outcome = process.run().await;
    stop_server(server).await;
    outcome
}

/// Pods reach the API by a Service. What listens on loopback only gets a second address, on the pods' bridge.
async fn publish(process: &mut Process, address: SocketAddr, node: Option<&agent::Node>, keys: Pki) -> Result<(), Failure> {
    let reachable = match node {
        Some(node) if address.ip().is_loopback() => process.play_gateway(SocketAddr::new(node.bridge_address()?, address.port()), keys).await?,
        Some(node) if address.ip().is_unspecified() => SocketAddr::new(node.bridge_address()?, address.port()),
        _ => address,
    };
    agent::publish_api(&process.bus, reachable).await
}

fn node(args: &UpArgs, data: &Data, name: &str) -> agent::Node {
    agent::Node { name: name.to_owned(), podman: args.node.podman.clone(), pod_cidr: args.node.pod_cidr.clone(), data: data.join("node") }
}

type Shared = Arc<Mutex<Option<Server>>>;

async fn nats(data: &Data, args: &UpArgs, cluster: &str, name: &str) -> Result<(Shared, Bus, Durability), Failure> {
    match args.nats.as_deref() {
        None | Some("embedded") => {
            let host: IpAddr = match &args.nats_listen {
                Some(text) => text.parse().map_err(|_| Failure::new(format!("{text:?} is no IP address"), "give --nats-listen an address such as 0.0.0.0"))?,
                None => Ipv4Addr::LOCALHOST.into(),
            };
            let (server, bus) = join::embedded(data, cluster, name, host, args.nats_port.unwrap_or(4222)).await?;
            write(data.join("nats.url"), &server.url())?;
            Ok((Arc::new(Mutex::new(Some(server))), bus, Durability::Ours))
        }
        Some(url) => {
            let bus = join::connect(url, cluster, Caller::new(Role::State, name), args.creds.as_deref()).await?;
            let system = join::system(url, &args.durability).await?;
            write(data.join("nats.url"), url)?;
            let durability = Durability::Asked { system, allow_unsafe: args.durability.allow_unsafe_sync };
            Ok((Arc::new(Mutex::new(None)), bus, durability))
        }
    }
}

fn write(path: PathBuf, text: &str) -> Result<(), Failure> {
    std::fs::write(&path, text)
        .map_err(|e| Failure::new(format!("{} can't be written ({e})", path.display()), "free some space, or choose another directory with --data"))
}

/// Answers `whalesong creds`: lets new keys in without a restart.
async fn admit(bus: &Bus, server: &Shared, data: &Data, cluster: &str) -> Result<Service, Failure> {
    let (server, root, cluster) = (server.clone(), data.root().to_owned(), cluster.to_owned());
    let service = bus.serve(&bus.caller().name, 1, move |_: bus::Incoming<Admit>| {
        let outcome = join::users(&root, &cluster).map_err(|e| e.to_string()).and_then(|users| {
            let mut server = server.lock().unwrap_or_else(PoisonError::into_inner);
            server.as_mut().map_or(Ok(()), |s| s.authorize(users).map_err(|e| e.to_string()))
        });
        async move { outcome }
    });
    service.await.map_err(|e| Failure::new(e.to_string(), ""))
}

fn streams_made(server: &Shared) {
    if let Some(server) = server.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        server.streams_made();
    }
}

async fn stop_server(server: Shared) {
    let server = server.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(server) = server {
        server.stop().await;
    }
}
