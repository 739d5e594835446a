//! A node in this process, simulated nodes, and what makes the API reachable from inside of pods.
use crate::cli::{HollowNodeArgs, NodeArgs};
use crate::failure::Failure;
use crate::process::Process;
use bus::{Bus, Role};
use k8s_openapi::api::core::v1::Node as NodeObject;
use model::{ApiError, Object, Stored, addresses};
use node_agent::hollow::{HollowOptions, Nodes};
use node_agent::{AgentOptions, Socket};
use serde_json::{Value, json};
use state_client::{Change, Client, Reflector, Request, Verb};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// The pods' addresses of a node when nobody says.
const POD_CIDR: &str = "10.244.0.0/24";
/// The address of the Service `default/kubernetes`, the first of the Services' range.
const API_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);

/// A node to run.
pub struct Node {
    /// Its name.
    pub name: String,
    /// What a person says of it.
    pub args: NodeArgs,
    /// Its own directory.
    pub data: PathBuf,
}

impl Node {
    /// What a person says of this machine's node.
    pub fn new(name: &str, args: &NodeArgs, data: PathBuf) -> Self {
        Self { name: name.to_owned(), args: args.clone(), data }
    }

    fn ip(&self) -> Result<Option<IpAddr>, Failure> {
        let Some(text) = &self.args.node_ip else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Failure::new(format!("{text:?} is no IP address"), "write --node-ip as 192.0.2.7"))
    }

    fn cidr(&self) -> Result<ipnet::Ipv4Net, Failure> {
        let text = self.args.pod_cidr.as_deref().unwrap_or(POD_CIDR);
        // what a node registers must be a range, not an address in it
        text.parse()
            .map(|cidr: ipnet::Ipv4Net| cidr.trunc())
            .map_err(|_| Failure::new(format!("{text:?} is no address range"), "write --pod-cidr as 10.244.1.0/24"))
    }

    /// The address of this machine on the pods' bridge.
    ///
    /// # Errors
    /// When the range is none.
    pub fn bridge_address(&self) -> Result<IpAddr, Failure> {
        let cidr = self.cidr()?;
        Ok(cidr.hosts().next().unwrap_or(cidr.addr()).into())
    }
}

/// Which Podman a person means.
pub fn socket(podman: Option<&str>) -> Socket {
    match podman {
        None | Some("auto") => Socket::Auto,
        Some(path) => Socket::Path(PathBuf::from(path.trim_start_matches("unix://"))),
    }
}

/// Runs a node.
///
/// # Errors
/// When Podman, the network or the data directory can't be used, with the remedy.
pub async fn play(process: &mut Process, node: &Node) -> Result<(), Failure> {
    let default = AgentOptions::default();
    let options = AgentOptions {
        node_name: node.name.clone(),
        podman: socket(node.args.podman.as_deref()),
        data_dir: node.data.clone(),
        pod_cidr: node.cidr()?,
        node_ip: node.ip()?,
        max_pods: node.args.max_pods.unwrap_or(default.max_pods),
        allowed_unsafe_sysctls: node.args.allowed_unsafe_sysctls.clone(),
        ..default
    };
    let bus = process.speak(Role::Agent, &node.name);
    node_agent::run(bus, &process.system, options).await.map_err(|e| Failure::new(e.to_string(), ""))
}

/// Runs simulated nodes: real agents whose containers are simulated. Each speaks as its own node, which only `state`'s key may do over NATS; over the
/// process's connection or one of `more`.
///
/// # Errors
/// When an option can't be read, or NATS refuses the service that takes orders to them.
pub async fn play_hollow(process: &mut Process, more: &[Bus], count: u32, args: &HollowNodeArgs) -> Result<Nodes, Failure> {
    let bus = process.speak(Role::State, "hollow");
    let mut options = HollowOptions::default();
    if let Some(prefix) = &args.hollow_prefix {
        options.prefix.clone_from(prefix);
    }
    if let Some(text) = &args.hollow_start_delay {
        options.start_delay = crate::hollow::duration(text)?;
    }
    node_agent::hollow::run((&bus, more), &process.system, count, &options).await.map_err(|e| Failure::new(e.to_string(), ""))
}

fn is_ready(node: &Stored) -> bool {
    let Ok(node) = node.typed::<NodeObject>() else { return false };
    node.status.iter().flat_map(|s| s.conditions.iter().flatten()).any(|c| c.type_ == "Ready" && c.status == "True")
}

/// Prints one line once this node is Ready.
pub fn announce_ready(process: &Process, name: &str, start: Instant) {
    let mut request = Request::new(Verb::Watch, "", "nodes", "", "");
    request.options.field_selector = format!("metadata.name={name}");
    let mut nodes = Reflector::new(Client::new(process.bus.clone()), request);
    let name = name.to_owned();
    tokio::spawn(async move {
        loop {
            let ready = nodes.next().await.iter().any(|change| matches!(change, Change::Applied { new, .. } if is_ready(new)));
            if ready {
                println!("The node {name} is Ready after {} ms", start.elapsed().as_millis());
                return;
            }
        }
    });
}

/// Makes the Service `default/kubernetes` lead to the API at this address.
///
/// # Errors
/// When `state` refuses.
pub async fn publish_api(bus: &Bus, api: SocketAddr) -> Result<(), Failure> {
    let client = Client::new(bus.clone());
    let labels = json!({"component": "apiserver", "provider": "kubernetes"});
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "kubernetes", "namespace": "default", "labels": labels},
        "spec": {"clusterIP": API_SERVICE, "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": api.port()}]},
    });
    let (slice, endpoints) = api_endpoints(api);
    for (group, resource, object, follows) in
        [("", "services", service, false), ("discovery.k8s.io", "endpointslices", slice, true), ("", "endpoints", endpoints, true)]
    {
        let ensured = match Object::from_value(object) {
            Ok(object) => ensure(&client, group, resource, object, follows).await,
            Err(e) => Err(e),
        };
        ensured.map_err(|e| Failure::new(format!("the Service default/kubernetes can't be made: {e}"), ""))?;
    }
    Ok(())
}

/// The EndpointSlice and the Endpoints of `default/kubernetes`. They are empty where no pod could reach the address: one on loopback means the pod itself.
fn api_endpoints(api: SocketAddr) -> (Value, Value) {
    let reachable = addresses::endpoint(&api.ip().to_string()).is_empty();
    let only = |one: Value| if reachable { json!([one]) } else { json!([]) };
    let ports = json!([{"name": "https", "port": api.port(), "protocol": "TCP"}]);
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": if api.is_ipv4() { "IPv4" } else { "IPv6" },
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "endpoints": only(json!({"addresses": [api.ip()], "conditions": {"ready": true}})), "ports": ports,
    });
    let endpoints = json!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        "subsets": only(json!({"addresses": [{"ip": api.ip()}], "ports": ports})),
    });
    (slice, endpoints)
}

/// Creates an object, or (where it `follows` the gateway's address) replaces the one there is.
async fn ensure(client: &Client, group: &str, resource: &str, object: Object, follows: bool) -> Result<Option<Arc<Stored>>, ApiError> {
    match client.create(group, resource, "default", object.clone()).await {
        Err(e) if e.is_already_exists() && follows => client.update(group, resource, "", object).await.map(Some),
        Err(e) if e.is_already_exists() => Ok(None),
        outcome => outcome.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_published_where_pods_can_reach_it() {
        for (address, reachable) in
            [("10.0.0.5:6443", true), ("[2001:db8::1]:6443", true), ("127.0.0.1:6443", false), ("0.0.0.0:6443", false), ("[::1]:6443", false)]
        {
            let api: SocketAddr = address.parse().unwrap();
            let kinds = model::kinds::builtin();
            let (slice, endpoints) = api_endpoints(api);
            assert_eq!(slice["endpoints"][0]["addresses"][0], if reachable { json!(api.ip()) } else { Value::Null }, "{address}");
            assert_eq!(endpoints["subsets"][0]["addresses"][0]["ip"], if reachable { json!(api.ip()) } else { Value::Null }, "{address}");
            for (group, resource, object) in [("discovery.k8s.io", "endpointslices", slice), ("", "endpoints", endpoints)] {
                let refused = kinds.resource(group, resource).unwrap().strategy.validate(&Object::from_value(object).unwrap());
                assert!(refused.is_empty(), "{address}: {refused:?}");
            }
        }
    }
}
