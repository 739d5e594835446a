//! Removes what an agent left on its machine, for `whalesong down`.
use crate::agent::{AgentError, AgentOptions};
use crate::component::Component;
use crate::net::{self, NetOptions, Network};
use crate::runtime::podman::{Podman, service};
use crate::runtime::{Container, Runtime, RuntimeError};
use futures::future::try_join_all;
use std::collections::BTreeSet;
use std::time::Duration;

/// Removes the containers and networks of all pods that the agent with these options ran; no agent may run with them. Their number comes back.
///
/// # Errors
/// When Podman can't be reached or refuses.
pub async fn remove_all(options: &AgentOptions) -> Result<usize, AgentError> {
    let pods = options.data_dir.join("pods");
    let network = Network::open(NetOptions { bridge: options.bridge.clone(), pod_cidr: options.pod_cidr, pods: pods.clone() }).await?;
    let socket = service::find(&options.podman, &options.data_dir).await?;
    let runtime = Podman::new(&socket, network);
    let containers = runtime.list(None).await?;
    let mut uids: BTreeSet<String> = containers.iter().map(|c| c.pod.uid.clone()).collect();
    uids.extend(std::fs::read_dir(&pods).into_iter().flatten().flatten().filter_map(|e| Component::name(&e.file_name())));
    try_join_all(containers.iter().map(|c| end(&runtime, c))).await?;
    for uid in &uids {
        runtime.remove_sandbox(uid).await?;
    }
    service::stop(&options.data_dir);
    net::clear(&options.bridge, &pods).await?;
    let table = crate::proxy::TABLE;
    crate::nft::apply(&format!("table ip {table} {{}}\ndelete table ip {table}\n")).await.map_err(net::NetError::from)?;
    Ok(uids.len())
}

async fn end(runtime: &Podman, container: &Container) -> Result<(), RuntimeError> {
    runtime.stop(&container.id, Some(Duration::ZERO)).await?;
    runtime.remove(&container.id).await
}
