//! `whalesong up`: a whole cluster in one process, with its NATS server as a child.
use crate::access::control::{AccessControl, Served, Shared};
use crate::access::registry::Registry;
use crate::admission::pod_security;
use crate::agent;
use crate::cli::UpArgs;
use crate::data::{Data, Identity};
use crate::failure::Failure;
use crate::host::hostname;
use crate::join::{self, CLUSTER, Listen};
use crate::process::{Durability, Process, listen_address, pki, write_kubeconfig};
use api_gateway::Pki;
use bus::{Bus, Caller, Role, Trust};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
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
    let security = pod_security(&args.admission)?;
    let keys = pki(data.root(), &[name.clone(), listen.ip().to_string()])?;
    let (server, bus, durability) = nats(&data, &args, &cluster, &name, &keys).await?;
    let _access = access(&bus, &server, &data, &cluster).await?;

    let mut process = Process::new(bus, &name);
    let identity = Identity::of(&data, &hostname())?;
    process.play_state(&keys, durability, &identity, security).await?;
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
        let node = agent::Node::new(&name, &args.node, data.join("node"));
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

async fn nats(data: &Data, args: &UpArgs, cluster: &str, name: &str, keys: &Pki) -> Result<(Shared, Bus, Durability), Failure> {
    match args.nats.as_deref() {
        None | Some("embedded") => {
            let host: IpAddr = match &args.nats_listen {
                Some(text) => text.parse().map_err(|_| Failure::new(format!("{text:?} is no IP address"), "give --nats-listen an address such as 0.0.0.0"))?,
                None => Ipv4Addr::LOCALHOST.into(),
            };
            // what leaves this machine is encrypted
            let listen = Listen { host, port: args.nats_port.unwrap_or(4222), tls: (!host.is_loopback()).then_some(keys) };
            let (server, bus) = join::embedded(data, cluster, name, listen).await?;
            Ok((Arc::new(Mutex::new(Some(server))), bus, Durability::Ours))
        }
        Some(url) => {
            let trust = match &args.nats_ca {
                Some(_) => join::trust(args.nats_ca.as_ref(), data.root())?,
                None => Trust::System,
            };
            let ca = if let Trust::Ca(pem) = &trust { Some(pem.clone()) } else { None };
            let bus = join::connect(url, cluster, Caller::new(Role::State, name), args.creds.as_deref(), trust).await?;
            let system = join::system(url, &args.durability).await?;
            join::remember(data.root(), url, ca.as_deref())?;
            let durability = Durability::Asked { system, allow_unsafe: args.durability.allow_unsafe_sync };
            Ok((Arc::new(Mutex::new(None)), bus, durability))
        }
    }
}

/// Who is let in by the embedded server, where there is one.
async fn access(bus: &Bus, server: &Shared, data: &Data, cluster: &str) -> Result<Option<Served>, Failure> {
    if server.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
        return Ok(None);
    }
    AccessControl::new(Registry::new(data.root(), cluster), server.clone()).serve(bus).await.map(Some)
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
